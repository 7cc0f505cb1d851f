//! The server: requests with their handles found, and the answers to them (draft §3, §4; OpenSSH PROTOCOL §4).
//!
//! A request comes out with a [`Ticket`]; whoever has it answers at once or later, in any order, so that a slow disk holds up
//! nothing. What can be refused without asking a file system is refused here: what cannot be read, handles that are none,
//! paths that are too long or have a NUL, more handles than the bound. A client that asks and does not read is not read
//! either. It does not know which paths may be used, and has no descriptor.

use super::answer::{Answer, Expected};
use super::handle::{Handle, HandleKind, Handles};
use super::output::Output;
use super::request::{INIT, Take, VERSION as VERSION_NUMBER, decode};
use super::{
    Extension, LEN_MAX, Limits, OUTPUT_MARK, PACKET_LEN_MAX, PATH_LEN_MAX, Pairs, Reassembly, Request,
    Status, StatusCode, Step, VERSION, split,
};
use crate::transport::Misuse;
use crate::wire::{DecodeError, Fault, Reader, Writer};
use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::BTreeMap;

/// A request before INIT; it was answered by [`StatusCode::BAD_MESSAGE`].
pub const NOT_INIT: Fault = Fault::protocol("the SFTP client does not begin with INIT");
/// INIT a second time.
pub const SECOND_INIT: Fault = Fault::protocol("the SFTP client begins a second time");
/// The client speaks only versions below 3.
pub const VERSION_TOO_LOW: Fault = Fault::protocol("the SFTP client does not speak version 3");

/// An answer to what nobody asks, or what another server of the process was asked.
pub const STALE_TICKET: Misuse = Misuse("the answer is to no SFTP request under way");
/// An answer that the request cannot have; the client was told [`StatusCode::FAILURE`].
pub const WRONG_ANSWER: Misuse = Misuse("the answer does not fit its SFTP request");
/// An answer above [`PACKET_LEN_MAX`]; the client was told [`StatusCode::FAILURE`].
pub const ANSWER_TOO_LONG: Misuse = Misuse("the answer is longer than an SFTP packet");

/// Of requests under way with the answers that they may have (bytes): from here on no request is taken.
pub const WORK_LEN_MAX: usize = 2 * 1024 * 1024;

/// Of all servers in this process.
static SERVERS: AtomicU64 = AtomicU64::new(0);

/// What a server offers, and how much at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// What is told in VERSION and handed to the backend. [`Extension::Limits`] is always offered, and answered here.
    pub extensions: Vec<Extension>,
    /// Handles, those being opened and closed included.
    pub handles: usize,
    /// Requests under way.
    pub in_flight: usize,
}

impl Default for ServerLimits {
    /// No extensions, 256 handles, 64 requests.
    fn default() -> Self {
        Self { extensions: Vec::new(), handles: 256, in_flight: 64 }
    }
}

/// Names one request under way. It is given back by value with the answer; each has to be answered once.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Ticket {
    server: u64,
    number: u64,
    handle: Option<Handle>,
}

impl Ticket {
    /// The handle that OPEN or OPENDIR gets if it is granted, for [`Answer::Handle`].
    #[must_use]
    pub const fn handle(&self) -> Option<Handle> {
        self.handle
    }
}

/// Who does what is asked.
pub trait Backend {
    /// Answers a request by [`SftpServer::answer`], now or later.
    ///
    /// CLOSE may come while other requests on the handle are under way; whether these succeed is the backend's affair.
    fn handle_request(&mut self, ticket: Ticket, request: Request<'_, Handle>, server: &mut SftpServer);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    AwaitInit,
    Ready,
    Failed(Fault),
}

/// A request under way.
#[derive(Debug)]
struct Asked {
    id: u32,
    expected: Expected,
    opens: Option<Handle>,
    closes: Option<Handle>,
    work_len: usize,
}

/// The server's end of a channel that carries SFTP.
#[derive(Debug)]
pub struct SftpServer {
    state: State,
    limits: ServerLimits,
    handles: Handles,
    server: u64,
    next_number: u64,
    in_flight: BTreeMap<u64, Asked>,
    work_len: usize,
    output: Output,
}

impl SftpServer {
    /// Begins: INIT is awaited.
    #[must_use]
    pub fn new(limits: ServerLimits) -> Self {
        Self {
            state: State::AwaitInit,
            handles: Handles::new(limits.handles),
            limits,
            server: SERVERS.fetch_add(1, Ordering::Relaxed),
            next_number: 0,
            in_flight: BTreeMap::new(),
            work_len: 0,
            output: Output::default(),
        }
    }

    /// Takes all requests of `data` to `backend`. If so much is under way that some must wait, `reassembly` keeps them:
    /// this is to be called again, with or without data, once something was answered or sent.
    ///
    /// # Errors
    /// The client broke the protocol: the channel should be closed, after what is in the output.
    pub fn serve(
        &mut self,
        backend: &mut impl Backend,
        reassembly: &mut Reassembly,
        mut data: &[u8],
    ) -> Result<(), Fault> {
        loop {
            match self.handle_input(reassembly, &mut data)? {
                Step::NeedInput => return Ok(()),
                Step::Busy => return reassembly.keep(&mut data).inspect_err(|fault| self.fail(*fault)),
                Step::Progress => {}
                Step::Event((ticket, request)) => backend.handle_request(ticket, request, self),
            }
        }
    }

    /// Takes at most one packet from `data`, or from what `reassembly` holds of earlier data. The length of a READ is at
    /// most [`LEN_MAX`] when it comes out.
    ///
    /// # Errors
    /// The client broke the protocol: the channel should be closed, after what is in the output; every later call fails
    /// alike. A request that cannot be read is no such error, but answered by [`StatusCode::BAD_MESSAGE`].
    pub fn handle_input<'b, 'd: 'b>(
        &mut self,
        reassembly: &'b mut Reassembly,
        data: &mut &'d [u8],
    ) -> Result<Step<(Ticket, Request<'b, Handle>)>, Fault> {
        if let State::Failed(fault) = self.state {
            return Err(fault);
        }
        if self.is_busy() {
            return Ok(Step::Busy);
        }
        let step = reassembly.next(data).and_then(|packet| match packet {
            Some(packet) if self.state == State::AwaitInit => {
                self.handle_init(packet).map(|()| Step::Progress)
            }
            Some(packet) => self.handle_packet(packet),
            None => Ok(Step::NeedInput),
        });
        if let Err(fault) = &step {
            self.fail(*fault);
        }
        step
    }

    fn handle_init(&mut self, packet: &[u8]) -> Result<(), Fault> {
        let mut r = Reader::new(packet);
        if r.byte()? != INIT {
            let (_, id, _) = split(packet)?;
            self.send_status(id, &Status::new(StatusCode::BAD_MESSAGE));
            return Err(NOT_INIT);
        }
        if r.uint32()? < VERSION {
            return Err(VERSION_TOO_LOW);
        }
        Pairs::from_bytes(r.rest())?;
        let offered =
            self.limits.extensions.iter().copied().filter(|extension| *extension != Extension::Limits);
        Writer::new(self.output.bytes()).nested(|w| {
            w.byte(VERSION_NUMBER);
            w.uint32(VERSION);
            for extension in offered.chain([Extension::Limits]) {
                w.string(extension.name());
                w.string(extension.version());
            }
        });
        self.state = State::Ready;
        Ok(())
    }

    fn handle_packet<'b>(&mut self, packet: &'b [u8]) -> Result<Step<(Ticket, Request<'b, Handle>)>, Fault> {
        if packet.first() == Some(&INIT) {
            return Err(SECOND_INIT);
        }
        let (number, id, fields) = split(packet)?;
        let started = match self.take_request(number, fields) {
            Ok(Request::Limits) => {
                let limits = self.own_limits();
                Answer::<Handle>::Limits(limits).encode(id, self.output.bytes());
                return Ok(Step::Progress);
            }
            Ok(request) => self.start(id, &request, packet.len()).map(|ticket| (ticket, request)),
            Err(refused) => Err(refused),
        };
        Ok(match started {
            Ok(event) => Step::Event(event),
            Err(Refused(status)) => {
                self.send_status(id, &status);
                Step::Progress
            }
        })
    }

    /// Reads a request, and refuses what needs no file system to be refused.
    fn take_request<'b>(&self, number: u8, fields: &'b [u8]) -> Result<Request<'b, Handle>, Refused> {
        let mut request = decode(number, fields, &mut Taking(self))?;
        match &mut request {
            Request::Unknown { .. } | Request::Extended { .. } => {
                return Err(Refused(Status::new(StatusCode::OP_UNSUPPORTED)));
            }
            Request::Read { offset, len, .. } => {
                *len = (*len).min(LEN_MAX);
                if *len == 0 || offset.checked_add(u64::from(*len)).is_none() {
                    return Err(refused(b"no such range of bytes"));
                }
            }
            Request::Write { offset, data, .. } if offset.checked_add(data.len() as u64).is_none() => {
                return Err(refused(b"no such range of bytes"));
            }
            Request::CopyData { read_handle, read_offset, read_length, write_handle, write_offset } => {
                if read_handle == write_handle {
                    return Err(refused(b"a file cannot be copied to itself"));
                }
                let ends = [*read_offset, *write_offset].map(|offset| offset.checked_add(*read_length));
                if ends.contains(&None) {
                    return Err(refused(b"no such range of bytes"));
                }
            }
            _ => {}
        }
        Ok(request)
    }

    /// The request is under way, unless it opens one thing too many.
    fn start(
        &mut self,
        id: u32,
        request: &Request<'_, Handle>,
        packet_len: usize,
    ) -> Result<Ticket, Refused> {
        let kind = match request {
            Request::Open { .. } => Some(HandleKind::File),
            Request::Opendir { .. } => Some(HandleKind::Directory),
            _ => None,
        };
        let opens = match kind {
            Some(kind) => Some(self.handles.reserve(kind).ok_or(refused(b"too many handles"))?),
            None => None,
        };
        let closes = match request {
            Request::Close { handle } => Some(*handle),
            _ => None,
        };
        if let Some(handle) = closes {
            self.handles.closing(handle);
        }
        let expected = request.expected();
        let work_len = packet_len + expected.len_max();
        self.work_len += work_len;
        let number = self.next_number;
        self.next_number += 1;
        self.in_flight.insert(number, Asked { id, expected, opens, closes, work_len });
        Ok(Ticket { server: self.server, number, handle: opens })
    }

    /// Answers a request. DATA and NAME without anything in them say the end, as [`StatusCode::EOF`].
    ///
    /// # Errors
    /// [`STALE_TICKET`], [`WRONG_ANSWER`], [`ANSWER_TOO_LONG`]. Once the channel has failed an answer is dropped.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used up")]
    pub fn answer(&mut self, ticket: Ticket, answer: &Answer<'_, Handle>) -> Result<(), Misuse> {
        if ticket.server != self.server {
            return Err(STALE_TICKET);
        }
        if matches!(self.state, State::Failed(_)) {
            return Ok(());
        }
        let asked = self.in_flight.remove(&ticket.number).ok_or(STALE_TICKET)?;
        self.work_len -= asked.work_len;
        let sent = self.send_answer(&asked, answer);
        if let Err(misuse) = sent {
            let why: &[u8] =
                if misuse == ANSWER_TOO_LONG { b"the answer is too long" } else { b"internal error" };
            self.send_status(asked.id, &Status::with_message(StatusCode::FAILURE, why));
        }
        if let Some(handle) = asked.opens {
            match answer {
                Answer::Handle(_) if sent.is_ok() => self.handles.opened(handle),
                _ => self.handles.free(handle),
            }
        }
        if let Some(handle) = asked.closes {
            self.handles.free(handle);
        }
        sent
    }

    /// Answers a request by a code and its own words.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub fn answer_status(&mut self, ticket: Ticket, code: StatusCode) -> Result<(), Misuse> {
        self.answer(ticket, &Answer::Status(Status::new(code)))
    }

    fn send_answer(&mut self, asked: &Asked, answer: &Answer<'_, Handle>) -> Result<(), Misuse> {
        let ended = match (answer, asked.expected) {
            (Answer::Data(data), Expected::Data { .. }) => data.is_empty(),
            (Answer::Names(names), Expected::Names) => names.is_empty(),
            _ => false,
        };
        if ended {
            self.send_status(asked.id, &Status::new(StatusCode::EOF));
            return Ok(());
        }
        answer.check(asked.expected).map_err(|_| WRONG_ANSWER)?;
        if matches!(answer, Answer::Handle(handle) if Some(*handle) != asked.opens) {
            return Err(WRONG_ANSWER);
        }
        let out = self.output.bytes();
        let start = out.len();
        answer.encode(asked.id, out);
        if out.len() - start - 4 > PACKET_LEN_MAX {
            out.truncate(start);
            return Err(ANSWER_TOO_LONG);
        }
        Ok(())
    }

    fn send_status(&mut self, id: u32, status: &Status<'_>) {
        Answer::<Handle>::Status(*status).encode(id, self.output.bytes());
    }

    fn own_limits(&self) -> Limits {
        Limits {
            max_packet_length: PACKET_LEN_MAX as u64,
            max_read_length: LEN_MAX.into(),
            max_write_length: LEN_MAX.into(),
            max_open_handles: self.limits.handles as u64,
        }
    }

    fn fail(&mut self, fault: Fault) {
        self.state = State::Failed(fault);
        self.in_flight.clear();
        self.work_len = 0;
    }

    /// Whether no request is taken until something is answered or sent.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.in_flight.len() >= self.limits.in_flight
            || self.work_len >= WORK_LEN_MAX
            || self.output.pending().len() >= OUTPUT_MARK
    }

    /// Requests under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Handles that are open, or being opened or closed.
    #[must_use]
    pub fn open_handles(&self) -> usize {
        self.handles.len()
    }

    /// What is to be written to the channel.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.output.pending()
    }

    /// The first `n` bytes of [`output`](Self::output) are written.
    pub fn consume_output(&mut self, n: usize) {
        self.output.consume(n);
    }
}

/// What is told instead of asking the backend.
struct Refused(Status<'static>);

const fn refused(message: &'static [u8]) -> Refused {
    Refused(Status::with_message(StatusCode::FAILURE, message))
}

impl From<DecodeError> for Refused {
    fn from(_: DecodeError) -> Self {
        Self(Status::new(StatusCode::BAD_MESSAGE))
    }
}

/// Paths within bounds, handles that are open, extensions that are offered.
struct Taking<'s>(&'s SftpServer);

impl<'a> Take<'a> for Taking<'_> {
    type Handle = Handle;
    type Error = Refused;

    fn path(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Refused> {
        if bytes.len() > PATH_LEN_MAX {
            return Err(refused(b"the path is too long"));
        }
        if bytes.contains(&0) {
            return Err(refused(b"the path has a NUL"));
        }
        Ok(bytes)
    }

    fn handle(&mut self, bytes: &'a [u8], kind: Option<HandleKind>) -> Result<Handle, Refused> {
        self.0.handles.find(bytes, kind).ok_or(refused(b"no such handle"))
    }

    fn extension(&self, name: &[u8]) -> Option<Extension> {
        let offered = |extension: &Extension| {
            *extension == Extension::Limits || self.0.limits.extensions.contains(extension)
        };
        Extension::from_name(name).filter(offered)
    }
}
