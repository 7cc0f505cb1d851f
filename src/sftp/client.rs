//! The client: requests under way, each with its id, and the answers to them (draft §3, §4).
//!
//! Right after the versions it asks what the server takes, if the server can say so; then it is ready. Requests are many at
//! a time, and answers come in any order. It does not retry, reorder or split anything, and does not know which handle
//! belongs to which request.

use super::answer::{Answer, Expected};
use super::output::Output;
use super::request::{INIT, VERSION as VERSION_NUMBER};
use super::{
    Extension, LEN_MAX, Limits, OUTPUT_MARK, PACKET_LEN_MAX, PATH_LEN_MAX, Pairs, Reassembly, Request, Step,
    VERSION, split,
};
use crate::transport::Misuse;
use crate::wire::{Fault, Reader, Writer};
use std::collections::BTreeMap;

/// The first packet is not VERSION.
pub const NOT_VERSION: Fault = Fault::protocol("the SFTP server does not begin with VERSION");
/// The server speaks another version than 3.
pub const WRONG_VERSION: Fault = Fault::protocol("the SFTP server does not speak version 3");
/// The extensions in VERSION are longer than [`EXTENSIONS_LEN_MAX`].
pub const EXTENSIONS_TOO_LONG: Fault = Fault::protocol("the SFTP server's list of extensions is too long");
/// An answer to nothing that is under way: never asked, or answered before.
pub const UNKNOWN_ID: Fault = Fault::protocol("an SFTP answer to no request");
/// An answer that the request cannot have.
pub const ANSWER_OF_ANOTHER_TYPE: Fault =
    Fault::protocol("an SFTP answer of another type than its request's");
/// OK to a request that asked for something.
pub const STATUS_WITHOUT_ANSWER: Fault = Fault::protocol("the SFTP server says OK and does not answer");
/// A handle above [`HANDLE_LEN_MAX`](super::HANDLE_LEN_MAX).
pub const HANDLE_TOO_LONG: Fault = Fault::protocol("the SFTP handle is too long");
/// DATA without a byte: whoever asked again would ask for ever.
pub const EMPTY_DATA: Fault = Fault::protocol("SFTP data without a byte");
/// DATA above what was asked for.
pub const DATA_EXCEEDS_REQUEST: Fault = Fault::protocol("more SFTP data than was asked for");
/// The answer to REALPATH and its like is not one path of 1 to [`PATH_LEN_MAX`] bytes other than NUL.
pub const NOT_ONE_NAME: Fault = Fault::protocol("an SFTP answer that should be one path and is not");

/// Before [`ClientEvent::Ready`], or after the channel has failed, nothing can be asked.
pub const NOT_READY: Misuse = Misuse("the SFTP server is not ready for requests");
/// More would be under way than [`IN_FLIGHT_MAX`], or unsent than [`OUTPUT_MARK`]: see
/// [`is_writable`](SftpClient::is_writable).
pub const TOO_MUCH_ASKED: Misuse = Misuse("too many SFTP requests are under way");
/// The packet is longer than the server takes, or a path longer than [`PATH_LEN_MAX`].
pub const REQUEST_TOO_LONG: Misuse = Misuse("the SFTP request is too long");
/// READ or WRITE of more than [`ClientLimits`] say, or READ of nothing.
pub const LEN_OUT_OF_BOUNDS: Misuse = Misuse("so many bytes cannot be read or written at once");
/// The server does not offer the extension in the version that is known here.
pub const UNSUPPORTED_EXTENSION: Misuse = Misuse("the SFTP server does not offer the extension");

/// Requests under way at a time; four times what OpenSSH's client uses.
pub const IN_FLIGHT_MAX: usize = 256;
/// The longest list of extensions (bytes); OpenSSH's has some 300.
pub const EXTENSIONS_LEN_MAX: usize = 16 * 1024;
/// Of a READ or WRITE, where the server does not say what it takes (bytes; draft §3: packets of 34000 should pass).
pub const LEN_DEFAULT: u32 = 32 * 1024;
/// Of a packet, where the server does not say what it takes (bytes; draft §3).
pub const PACKET_LEN_DEFAULT: usize = 34_000;

/// What may be asked at once: what the server told, within the bounds of here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Of a packet (bytes, its length not counted).
    pub packet_len: usize,
    /// Of a READ (bytes).
    pub read_len: u32,
    /// Of a WRITE (bytes).
    pub write_len: u32,
    /// Of handles at a time, if the server told it.
    pub open_handles: Option<u64>,
}

impl ClientLimits {
    const DEFAULT: Self = Self {
        packet_len: PACKET_LEN_DEFAULT,
        read_len: LEN_DEFAULT,
        write_len: LEN_DEFAULT,
        open_handles: None,
    };

    fn new(told: Limits) -> Self {
        let len = |told: u64| match u32::try_from(told) {
            Ok(0) => LEN_DEFAULT,
            Ok(told) => told.min(LEN_MAX),
            Err(_) => LEN_MAX,
        };
        Self {
            packet_len: match usize::try_from(told.max_packet_length) {
                Ok(0) => PACKET_LEN_DEFAULT,
                told => told.unwrap_or(PACKET_LEN_MAX).min(PACKET_LEN_MAX),
            },
            read_len: len(told.max_read_length),
            write_len: len(told.max_write_length),
            open_handles: (told.max_open_handles > 0).then_some(told.max_open_handles),
        }
    }
}

/// Something the application should know. It borrows the channel's data or the [`Reassembly`].
#[derive(Debug, PartialEq, Eq)]
pub enum ClientEvent<'b, T> {
    /// Requests can be made.
    Ready,
    /// A request was answered.
    Answer {
        /// Of the request.
        token: T,
        /// To it.
        answer: Answer<'b>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    SentInit,
    /// The id of the request for limits is 0.
    AskedLimits,
    Ready,
    Failed(Fault),
}

/// The client's end of a channel that carries SFTP. `T` is what the application knows a request by.
#[derive(Debug)]
pub struct SftpClient<T> {
    state: State,
    pub(super) next_id: u32,
    in_flight: BTreeMap<u32, (Expected, T)>,
    pub(super) extensions: Vec<u8>,
    limits: ClientLimits,
    output: Output,
}

impl<T> Default for SftpClient<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> SftpClient<T> {
    /// Begins: INIT waits in the output.
    #[must_use]
    pub fn new() -> Self {
        let mut output = Output::default();
        Writer::new(output.bytes()).nested(|w| {
            w.byte(INIT);
            w.uint32(VERSION);
        });
        Self {
            state: State::SentInit,
            next_id: 0,
            in_flight: BTreeMap::new(),
            extensions: Vec::new(),
            limits: ClientLimits::DEFAULT,
            output,
        }
    }

    /// Takes at most one packet from `data`, or from what `reassembly` holds of earlier data. To be called until it says
    /// [`Step::NeedInput`]; then nothing of `data` is left.
    ///
    /// # Errors
    /// The server broke the protocol: the channel should be closed, and every later call fails alike.
    pub fn handle_input<'b, 'd: 'b>(
        &mut self,
        reassembly: &'b mut Reassembly,
        data: &mut &'d [u8],
    ) -> Result<Step<ClientEvent<'b, T>>, Fault> {
        if let State::Failed(fault) = self.state {
            return Err(fault);
        }
        let step = reassembly.next(data).and_then(|packet| match packet {
            Some(packet) => self.handle_packet(packet),
            None => Ok(Step::NeedInput),
        });
        if let Err(fault) = &step {
            self.state = State::Failed(*fault);
        }
        step
    }

    fn handle_packet<'b>(&mut self, packet: &'b [u8]) -> Result<Step<ClientEvent<'b, T>>, Fault> {
        if self.state == State::SentInit {
            return self.handle_version(packet);
        }
        let (number, id, fields) = split(packet)?;
        if self.state == State::AskedLimits && id == 0 {
            if let Answer::Limits(told) = Answer::decode(number, fields, Expected::Limits)? {
                self.limits = ClientLimits::new(told);
            }
            self.state = State::Ready;
            return Ok(Step::Event(ClientEvent::Ready));
        }
        let (expected, token) = self.in_flight.remove(&id).ok_or(UNKNOWN_ID)?;
        let answer = Answer::decode(number, fields, expected)?;
        Ok(Step::Event(ClientEvent::Answer { token, answer }))
    }

    fn handle_version<'b>(&mut self, packet: &[u8]) -> Result<Step<ClientEvent<'b, T>>, Fault> {
        let mut r = Reader::new(packet);
        if r.byte()? != VERSION_NUMBER {
            return Err(NOT_VERSION);
        }
        if r.uint32()? != VERSION {
            return Err(WRONG_VERSION);
        }
        if r.rest().len() > EXTENSIONS_LEN_MAX {
            return Err(EXTENSIONS_TOO_LONG);
        }
        self.extensions = Pairs::from_bytes(r.rest())?.bytes().to_vec();
        if !self.supports(Extension::Limits) {
            self.state = State::Ready;
            return Ok(Step::Event(ClientEvent::Ready));
        }
        self.state = State::AskedLimits;
        self.next_id = 1;
        Request::<'_, &[u8]>::Limits.encode(0, self.output.bytes());
        Ok(Step::Progress)
    }

    /// Sends a request. Its answer comes with `token`; none comes if the channel fails.
    ///
    /// # Errors
    /// [`NOT_READY`], [`TOO_MUCH_ASKED`], [`UNSUPPORTED_EXTENSION`], [`LEN_OUT_OF_BOUNDS`], [`REQUEST_TOO_LONG`]: nothing
    /// was sent.
    pub fn request(&mut self, token: T, request: &Request<'_>) -> Result<(), Misuse> {
        if self.state != State::Ready {
            return Err(NOT_READY);
        }
        if !self.is_writable() {
            return Err(TOO_MUCH_ASKED);
        }
        if request.extension().is_some_and(|extension| !self.supports(extension)) {
            return Err(UNSUPPORTED_EXTENSION);
        }
        let in_bounds = match request {
            Request::Read { len, .. } => (1..=self.limits.read_len).contains(len),
            Request::Write { data, .. } => data.len() <= self.limits.write_len as usize,
            _ => true,
        };
        if !in_bounds {
            return Err(LEN_OUT_OF_BOUNDS);
        }
        if request.paths().iter().any(|path| path.len() > PATH_LEN_MAX) {
            return Err(REQUEST_TOO_LONG);
        }
        while self.in_flight.contains_key(&self.next_id) {
            self.next_id = self.next_id.wrapping_add(1);
        }
        let (id, out) = (self.next_id, self.output.bytes());
        let start = out.len();
        request.encode(id, out);
        if out.len() - start - 4 > self.limits.packet_len {
            out.truncate(start);
            return Err(REQUEST_TOO_LONG);
        }
        self.next_id = id.wrapping_add(1);
        self.in_flight.insert(id, (request.expected(), token));
        Ok(())
    }

    /// Whether a request would be taken now.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.state == State::Ready
            && self.in_flight.len() < IN_FLIGHT_MAX
            && self.output.pending().len() < OUTPUT_MARK
    }

    /// Requests under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The tokens of the requests that will have no answer, when the channel is gone; in the order of their ids.
    pub fn into_tokens(self) -> impl Iterator<Item = T> {
        self.in_flight.into_values().map(|(_, token)| token)
    }

    /// What may be asked at once; final once it is ready.
    #[must_use]
    pub const fn limits(&self) -> &ClientLimits {
        &self.limits
    }

    /// Whether the server offers an extension in the version that is known here.
    #[must_use]
    pub fn supports(&self, extension: Extension) -> bool {
        self.extensions().data(extension.name()) == Some(extension.version())
    }

    /// All extensions of the server's, with their data.
    #[must_use]
    pub fn extensions(&self) -> Pairs<'_> {
        Pairs::from_bytes(&self.extensions).unwrap_or_default()
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
