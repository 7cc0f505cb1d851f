//! Messages of the connection protocol into a side that is logged in, chosen by what they say, and an application that opens,
//! writes, credits, answers and closes when the bytes say so: it is told only what can be, and nothing is kept without bound.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use strombus::connection::{
    CHANNEL_NOT_OPEN, CREDIT_EXCEEDED, ChannelEvent, ChannelId, ChannelLimits, Connection, Event,
    MAXIMUM_PACKET_SIZE, NO_REPLY_OWED, NO_SUCH_CHANNEL, REPLIES_OWED_MAX, Request, Step, TOO_MANY_CHANNELS,
};
use strombus::transport::{Client, Error, Misuse, RecvBuf, Server};
use strombus::wire::message::*;
use strombus::wire::{Encode, Writer};
use strombus_fuzz::{Choices, End, Pair, Side, all_output, fill, quick};

const SIZES: [u32; 8] = [0, 1, 9, 1000, 32_768, 32_769, 1 << 31, u32::MAX];
const CHANNEL_TYPES: [&[u8]; 6] =
    [b"session", b"session", b"direct-tcpip", b"forwarded-tcpip", b"x11", b"unknown@example.com"];
const REQUEST_TYPES: [&[u8]; 8] = [
    b"exec",
    b"shell",
    b"subsystem",
    b"exit-status",
    b"exit-signal",
    b"pty-req",
    b"env",
    b"unknown@example.com",
];
const REQUEST_NAMES: [&[u8]; 5] = [
    b"keepalive@openssh.com",
    b"tcpip-forward",
    b"hostkeys-00@openssh.com",
    b"hostkeys-prove-00@openssh.com",
    b"no-more-sessions@openssh.com",
];
/// What a request says behind its type: something that fits one or another, or what the bytes are.
const FIELDS: [&[u8]; 5] =
    [b"", b"\0\0\0\x02id", b"\0\0\0\x07", b"\0\0\0\x04TERM\0\0\0\0\0\0\0\0\0", b"\0\0\0\xff"];

/// Above this no input is taken, as a driver does it.
const INPUT_MARK: usize = 512 * 1024;

trait Role: Side {
    type Peer: Side;
    const IS_CLIENT: bool;
    fn split(pair: Pair) -> (End<Self>, End<Self::Peer>);
    /// Opens a channel, or answers to one that was asked for.
    fn open(conn: &mut Connection<Self>, known: &mut BTreeMap<ChannelId, Known>, limit: usize, choice: u8);
    fn request(conn: &mut Connection<Self>, id: ChannelId, choice: u8) -> Result<bool, Error>;
}

/// What the application knows of a channel.
#[derive(Debug, Default)]
struct Known {
    /// Whom it waits for, if it is not open.
    opening: bool,
    offered: bool,
    heard_eof: bool,
    sent_eof: bool,
    closed: bool,
    /// Bytes that came, and bytes that were credited.
    heard: u64,
    credited: u64,
    owed: usize,
    asked: usize,
    has_command: bool,
}

impl Known {
    fn is_open(&self) -> bool {
        !self.opening && !self.offered
    }

    fn speaks(&self) -> bool {
        self.is_open() && !self.closed
    }
}

impl Role for Client {
    type Peer = Server;
    const IS_CLIENT: bool = true;

    fn split(pair: Pair) -> (End<Self>, End<Server>) {
        (pair.client, pair.server)
    }

    fn open(conn: &mut Connection<Self>, known: &mut BTreeMap<ChannelId, Known>, limit: usize, choice: u8) {
        let opened = match choice % 2 {
            0 => conn.open_session(),
            _ => conn.open_direct_tcpip("host", 1, "::1", 2),
        };
        match opened {
            Ok(id) => {
                assert!(
                    known.len() < limit
                        && known.insert(id, Known { opening: true, ..Known::default() }).is_none()
                );
            }
            Err(error) => assert_eq!((error, known.len()), (TOO_MANY_CHANNELS.into(), limit)),
        }
    }

    fn request(conn: &mut Connection<Self>, id: ChannelId, choice: u8) -> Result<bool, Error> {
        match choice % 3 {
            0 => conn.channel(id)?.request_exec(b"cat"),
            1 => conn.channel(id)?.request_shell(),
            _ => conn.channel(id)?.request_subsystem(b"sftp"),
        }?;
        Ok(true)
    }
}

impl Role for Server {
    type Peer = Client;
    const IS_CLIENT: bool = false;

    fn split(pair: Pair) -> (End<Self>, End<Client>) {
        (pair.server, pair.client)
    }

    fn open(conn: &mut Connection<Self>, known: &mut BTreeMap<ChannelId, Known>, _limit: usize, choice: u8) {
        let count = known.len().max(1);
        let Some((&id, channel)) = known.iter_mut().nth(usize::from(choice >> 1) % count) else { return };
        let judged = match choice % 2 {
            0 => conn.accept_channel(id),
            _ => conn.refuse_channel(id, 1, ""),
        };
        let expected = if channel.offered { Ok(()) } else { Err(NO_SUCH_CHANNEL.into()) };
        assert_eq!(judged, expected);
        match (channel.offered, choice % 2) {
            (true, 0) => channel.offered = false,
            (true, _) => drop(known.remove(&id)),
            _ => {}
        }
    }

    fn request(conn: &mut Connection<Self>, id: ChannelId, choice: u8) -> Result<bool, Error> {
        match choice % 2 {
            0 => conn.channel(id)?.send_exit_status(u32::from(choice)),
            _ => conn.channel(id)?.send_exit_signal(b"KILL", choice > 128, ""),
        }?;
        Ok(false)
    }
}

/// The side under test with its application, and who speaks to it.
struct Talk<S: Role> {
    end: End<S>,
    peer: Connection<S::Peer>,
    peer_input: RecvBuf,
    known: BTreeMap<ChannelId, Known>,
    limits: ChannelLimits,
    now: std::time::Instant,
}

impl<S: Role> Talk<S> {
    fn new(limits: ChannelLimits) -> Self {
        let pair = Pair::running(quick(), limits);
        let now = pair.now;
        let (end, peer) = S::split(pair);
        let id = end.seen.channel.expect("a session is open");
        let known = BTreeMap::from([(id, Known::default())]);
        Self { end, peer: peer.conn, peer_input: peer.input, known, limits, now }
    }

    fn says<M: Encode>(&mut self, message: &M) {
        let mut payload = vec![M::NUMBER];
        message.encode(&mut Writer::new(&mut payload));
        self.says_payload(&payload);
    }

    fn says_payload(&mut self, payload: &[u8]) {
        self.peer.send_payload(payload);
        self.deliver();
    }

    fn deliver(&mut self) {
        if self.end.conn.pending_output() >= INPUT_MARK {
            self.drain();
        }
        let mut bytes = &*all_output(&mut self.peer);
        while self.end.error.is_none()
            && let n @ 1.. = fill(&mut self.end.input, bytes)
        {
            bytes = &bytes[n..];
            self.pull();
        }
    }

    fn pull(&mut self) {
        while self.end.error.is_none() {
            match self.end.conn.handle_input(&mut self.end.input, self.now) {
                Ok(Step::NeedInput | Step::NeedVerdict) => break,
                Ok(Step::Event(Event::Channel(id, event))) => {
                    take::<S>(&mut self.known, self.limits, id, &event);
                }
                Ok(_) => {}
                Err(error) => self.end.error = Some(error),
            }
        }
    }

    /// The peer reads what there is; an exchange goes on by that.
    fn drain(&mut self) {
        loop {
            let bytes = all_output(&mut self.end.conn);
            let mut rest = &*bytes;
            while let n @ 1.. = fill(&mut self.peer_input, rest) {
                rest = &rest[n..];
                while let Ok(Some(_)) = self.peer.take_payload(&mut self.peer_input, self.now) {}
            }
            if bytes.is_empty() || self.end.error.is_some() {
                return;
            }
            let answer = all_output(&mut self.peer);
            let mut rest = &*answer;
            while self.end.error.is_none()
                && let n @ 1.. = fill(&mut self.end.input, rest)
            {
                rest = &rest[n..];
                self.pull();
            }
        }
    }

    /// The application does something on the channel that the byte chooses.
    fn acts(&mut self, operation: u8, choice: u8) {
        let count = self.known.len().max(1);
        let conn = &mut self.end.conn;
        let Some((&id, channel)) = self.known.iter_mut().nth(usize::from(choice) % count) else { return };
        let rightly = |done: Result<(), Error>, may: bool, misuse: Misuse| {
            assert_eq!(done, if may { Ok(()) } else { Err(misuse.into()) });
        };
        match operation {
            0 => drop(conn.channel(id).expect("known").write(&vec![7; usize::from(choice) * 400])),
            1 => {
                let filled = conn.channel(id).expect("known").fill(|space| {
                    space.fill(7);
                    if choice > 200 { Err(()) } else { Ok(space.len().min(usize::from(choice))) }
                });
                assert!(channel.speaks() || filled == Ok(None));
            }
            2 => drop(conn.channel(id).expect("known").write_stderr(&vec![7; usize::from(choice)])),
            3 => {
                rightly(conn.channel(id).expect("known").send_eof(), channel.speaks(), CHANNEL_NOT_OPEN);
                channel.sent_eof |= channel.speaks();
            }
            4 => {
                rightly(conn.channel(id).expect("known").close(), channel.speaks(), CHANNEL_NOT_OPEN);
                if channel.speaks() {
                    (channel.closed, channel.owed, channel.asked) = (true, 0, 0);
                }
            }
            5 => {
                let left = channel.heard - channel.credited;
                let n = if choice > 200 { left } else { u64::from(choice) * 200 };
                let done = conn.channel(id).expect("known").adjust_window(n as usize);
                channel.credited += if done.is_ok() { n } else { 0 };
                rightly(done, n <= left, CREDIT_EXCEEDED);
            }
            6 => {
                rightly(
                    conn.channel(id).expect("known").reply(choice & 1 == 0),
                    channel.owed > 0,
                    NO_REPLY_OWED,
                );
                channel.owed = channel.owed.saturating_sub(1);
            }
            _ => match S::request(conn, id, choice) {
                Ok(want_reply) => {
                    assert!(channel.speaks());
                    channel.asked += usize::from(want_reply);
                }
                Err(error) => assert_eq!((error, channel.speaks()), (CHANNEL_NOT_OPEN.into(), false)),
            },
        }
        let is_open = conn.channel(id).expect("known").is_open_for_data();
        assert_eq!(is_open, channel.speaks() && !channel.sent_eof);
    }

    /// Something is said that may be anything.
    fn is_told(&mut self, number: u8, choices: &mut Choices<'_>) {
        let recipient_channel = match choices.byte() {
            255 => u32::MAX,
            to => u32::from(to) % 8,
        };
        let sender_channel = u32::from(choices.byte());
        let size = *choices.one_of(&SIZES);
        let want_reply = sender_channel & 1 == 0;
        let length = (size as usize).min(MAXIMUM_PACKET_SIZE as usize + 1);
        match number {
            80 => {
                let (request_name, length) = (*choices.one_of(&REQUEST_NAMES), choices.below(64));
                self.says(&GlobalRequest { request_name, want_reply, request_fields: choices.bytes(length) });
            }
            81 => self.says(&RequestSuccess { response_fields: b"" }),
            82 => self.says(&RequestFailure {}),
            90 => self.says(&ChannelOpen {
                channel_type: *choices.one_of(&CHANNEL_TYPES),
                sender_channel,
                initial_window_size: size,
                maximum_packet_size: *choices.one_of(&SIZES),
                type_fields: b"",
            }),
            91 => self.says(&ChannelOpenConfirmation {
                recipient_channel,
                sender_channel,
                initial_window_size: size,
                maximum_packet_size: *choices.one_of(&SIZES),
                type_fields: b"",
            }),
            92 => {
                let (description, language_tag) = (choices.bytes(3), b"");
                self.says(&ChannelOpenFailure {
                    recipient_channel,
                    reason_code: size,
                    description,
                    language_tag,
                });
            }
            93 => self.says(&ChannelWindowAdjust { recipient_channel, bytes_to_add: size }),
            94 => self.says(&ChannelData { recipient_channel, data: &vec![0; length] }),
            95 => {
                let data_type_code = sender_channel % 3;
                self.says(&ChannelExtendedData { recipient_channel, data_type_code, data: &vec![0; length] });
            }
            96 => self.says(&ChannelEof { recipient_channel }),
            97 => self.says(&ChannelClose { recipient_channel }),
            98 => {
                let (request_type, type_fields) = (*choices.one_of(&REQUEST_TYPES), *choices.one_of(&FIELDS));
                self.says(&ChannelRequest { recipient_channel, request_type, want_reply, type_fields });
            }
            99 => self.says(&ChannelSuccess { recipient_channel }),
            100 => self.says(&ChannelFailure { recipient_channel }),
            _ => {
                let body = choices.bytes(usize::from(choices.0.first().copied().unwrap_or_default() % 32));
                self.says_payload(&[&[number][..], body].concat());
            }
        }
    }

    fn run(mut self, choices: &mut Choices<'_>) {
        while let [operation, choice] = *choices.bytes(2)
            && self.end.error.is_none()
        {
            match operation {
                0..=127 => self.is_told(80 + operation % 21, choices),
                128..=223 => self.acts(operation % 8, choice),
                224..=235 => S::open(&mut self.end.conn, &mut self.known, self.limits.channels_max, choice),
                236..=243 => {
                    while let Some(id) = self.end.conn.poll_writable() {
                        assert!(self.known[&id].speaks() && !self.known[&id].sent_eof);
                        // Who is named is not refused.
                        let n = self
                            .end
                            .conn
                            .channel(id)
                            .expect("known")
                            .write(&vec![7; 1 + usize::from(choice)]);
                        assert!(n > 0);
                    }
                }
                244..=251 => self.drain(),
                _ if choice < 16 && self.end.conn.exchanges() < 8 => self.end.conn.start_kex(),
                _ => {}
            }
            assert!(self.known.len() <= self.limits.channels_max);
            assert!(self.known.keys().all(|id| self.end.conn.channel(*id).is_ok()));
            assert!(self.end.conn.pending_output() < 2 * INPUT_MARK);
        }
    }
}

/// Whether an event can be, after those before it.
fn take<S: Role>(
    all: &mut BTreeMap<ChannelId, Known>,
    limits: ChannelLimits,
    id: ChannelId,
    event: &ChannelEvent<'_>,
) {
    if matches!(event, ChannelEvent::OpenRequest { .. }) {
        assert!(!S::IS_CLIENT && all.insert(id, Known { offered: true, ..Known::default() }).is_none());
        return;
    }
    let channel = all.get_mut(&id).expect("a channel that is known");
    match event {
        ChannelEvent::Opened => assert!(core::mem::replace(&mut channel.opening, false)),
        ChannelEvent::OpenFailure { .. } => assert!(all.remove(&id).is_some_and(|channel| channel.opening)),
        ChannelEvent::Data { data } | ChannelEvent::Stderr { data } => {
            assert!(channel.speaks() && !channel.heard_eof && !data.is_empty());
            assert!(S::IS_CLIENT || matches!(event, ChannelEvent::Data { .. }));
            channel.heard += data.len() as u64;
            assert!(channel.heard <= u64::from(limits.window_size) + channel.credited);
        }
        ChannelEvent::Eof => {
            assert!(channel.speaks() && !core::mem::replace(&mut channel.heard_eof, true));
        }
        ChannelEvent::Request { request, want_reply } => {
            assert!(channel.speaks());
            let starts = matches!(request, Request::Exec { .. } | Request::Shell | Request::Subsystem { .. });
            assert!(!starts || (!S::IS_CLIENT && !core::mem::replace(&mut channel.has_command, true)));
            channel.owed += usize::from(*want_reply);
            assert!(channel.owed <= REPLIES_OWED_MAX);
        }
        ChannelEvent::Reply { .. } => {
            assert!(channel.speaks() && channel.asked > 0);
            channel.asked -= 1;
        }
        ChannelEvent::Closed => assert!(all.remove(&id).is_some_and(|channel| channel.is_open())),
        ChannelEvent::OpenRequest { .. } => unreachable!("it is above"),
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices(bytes);
    let [role, channels, window] = [choices.byte(), choices.byte(), choices.byte()];
    let limits = ChannelLimits {
        channels_max: 1 + usize::from(channels) % 6,
        window_size: 1 + u32::from(window) * 700,
        window_max: 0,
        ..ChannelLimits::default()
    };
    match role % 2 {
        0 => Talk::<Client>::new(limits).run(&mut choices),
        _ => Talk::<Server>::new(limits).run(&mut choices),
    }
});
