//! Each channel against a reference: every order of what both applications and a peer without manners can do.
//!
//! A channel is explored breadth first. Each state of the [`Model`] is visited once, by the shortest way there, and in it
//! everything is done that there is, each on a channel of its own; what is sent, told and returned is compared after every
//! step. The channels follow each other on one connection, where each has the number of the one before. Two channels at
//! once are in `channel_schedules.rs`.

mod model;

use super::hostile::payload;
use super::pair::{End, Pair, Settings, TestSide, receive, ship};
use crate::connection::{ChannelLimits, Connection, NO_SUCH_CHANNEL};
use crate::transport::{Client, Error, RecvBuf, Server};
use crate::wire::message::*;
use crate::wire::{Decode, Encode, number};
use model::{Action, Model, Said};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

/// Of the machine (bytes). The peer's are such that a write is cut and does not come out even.
const WINDOW: usize = 40_000;
const PEER_WINDOW: usize = 10;
const PEER_PACKET: usize = 4;

/// The peer's number is its own affair.
const PEER_CHANNEL: u32 = u32::MAX - 1;
const UNKNOWN_TYPE: &[u8] = b"unknown@example.com";

/// Steps from no channel to the last thing that is tried.
const STEPS: usize = 6;
const STEPS_LONG: usize = 7;

/// A connection serves so many channels: keys are renewed by volume, and not without end.
const CHANNELS_MAX: usize = 500;
const EXCHANGES: u32 = 12;

/// What only one side's application can do.
trait Role: TestSide {
    const IS_CLIENT: bool;
    type Peer: TestSide;
    fn split(pair: Pair) -> (End<Self>, Connection<Self::Peer>, RecvBuf);
    fn act(end: &mut End<Self>, action: Action) -> Result<usize, Error>;
}

impl Role for Client {
    const IS_CLIENT: bool = true;
    type Peer = Server;

    fn split(pair: Pair) -> (End<Self>, Connection<Server>, RecvBuf) {
        (pair.client, pair.server.conn, pair.server.input)
    }

    fn act(end: &mut End<Self>, action: Action) -> Result<usize, Error> {
        match action {
            Action::Open => end.channel = Some(end.conn.open_session()?),
            _ => {
                let id = end.channel.ok_or(NO_SUCH_CHANNEL)?;
                end.conn.channel(id)?.request_exec(b"cat")?;
            }
        }
        Ok(0)
    }
}

impl Role for Server {
    const IS_CLIENT: bool = false;
    type Peer = Client;

    fn split(pair: Pair) -> (End<Self>, Connection<Client>, RecvBuf) {
        (pair.server, pair.client.conn, pair.client.input)
    }

    fn act(end: &mut End<Self>, action: Action) -> Result<usize, Error> {
        let id = end.channel.ok_or(NO_SUCH_CHANNEL)?;
        match action {
            Action::Accept => end.conn.accept_channel(id)?,
            Action::Refuse => end.conn.refuse_channel(id, 2, "")?,
            Action::WriteStderr(n) => return Ok(end.conn.channel(id)?.write_stderr(&vec![7; n])),
            _ => end.conn.channel(id)?.send_exit_status(9)?,
        }
        Ok(0)
    }
}

/// A machine and a peer that says what it is told to, and takes note of what it hears.
struct Bench<S: Role> {
    end: End<S>,
    peer: Connection<S::Peer>,
    peer_input: RecvBuf,
    /// From the machine to the peer.
    pipe: VecDeque<u8>,
    now: Instant,
    channels: usize,
}

impl<S: Role> Bench<S> {
    fn new() -> Self {
        let limits = ChannelLimits {
            channels_max: 1,
            window_size: WINDOW as u32,
            window_max: 0,
            ..ChannelLimits::default()
        };
        let pair = Pair::authenticated(Settings { limits, ..Default::default() });
        let now = pair.now;
        let (mut end, peer, peer_input) = S::split(pair);
        end.consumes = false;
        end.seen.clear();
        Self { end, peer, peer_input, pipe: VecDeque::new(), now, channels: 0 }
    }

    /// Does on one channel what leads to a state, and then this.
    fn tries(&mut self, way: &[Action], last: Action) -> Model {
        let mut model = Model::new(S::IS_CLIENT);
        self.channels += 1;
        for (at, action) in way.iter().chain([&last]).enumerate() {
            if !self.compare(&mut model, *action) {
                assert_eq!(at, way.len(), "{way:?}: a way leads on");
                return model;
            }
        }
        let reached = model.clone();
        let end = [
            (model.is_in_kex(), Action::EndKex),
            (model.state() == "Opening", Action::Denies),
            (model.state() == "Offered", Action::Refuse),
            (model.state().contains('/'), Action::Closes),
        ];
        for (_, action) in end.iter().filter(|(is_due, _)| *is_due) {
            assert!(self.compare(&mut model, *action));
        }
        if let Some(id) = self.end.channel {
            assert_eq!(self.end.conn.channel(id).err(), Some(NO_SUCH_CHANNEL.into()));
        }
        reached
    }

    /// Does one thing, here and in the model; whether the connection outlived it.
    fn compare(&mut self, model: &mut Model, action: Action) -> bool {
        let before = model.clone();
        let expected = model.step(action);
        let (mut taken, mut misuse) = (0, None);
        match self.act(action) {
            Ok(n) => taken = n,
            Err(error) => misuse = Some(error),
        }
        let (payloads, disconnected) = self.heard(model.is_in_kex());
        let mut said = Vec::new();
        for payload in payloads {
            match read(&payload) {
                Ok(message) => said.push(message),
                Err(bytes_to_add) => {
                    assert!(model.adjusted(bytes_to_add), "{before:?}, {action:?}: credit of {bytes_to_add}")
                }
            }
        }
        let told = self.end.seen.pop();
        let fault = self.end.error.take();
        let found = model::Outcome { taken, misuse, said, told, fault };
        assert!(found == expected, "{before:?}, {action:?}: {expected:?} was expected, not {found:?}");
        assert!(self.end.seen.is_empty(), "{before:?}, {action:?}: told twice");
        if let Some(Error::Peer(fault)) = found.fault {
            let description = fault.description.to_owned();
            assert_eq!(disconnected, Some(Error::Disconnected { reason: fault.reason, description }));
            return false;
        }
        assert_eq!((disconnected, found.fault), (None, None));
        let state = self.end.conn.state();
        assert!(
            state.ends_with(&format!("| connection {}", model.state())),
            "{before:?}, {action:?}: {state}"
        );
        assert_eq!(self.end.conn.has_writable(), model.is_writable(), "{before:?}, {action:?}");
        assert!(!model.starves_peer(), "{before:?}, {action:?}: credit is kept back");
        if model.exists() {
            let channel = self.end.conn.channel(self.end.channel.unwrap()).unwrap();
            assert_eq!(channel.is_open_for_data(), model.is_open_for_data(), "{before:?}, {action:?}");
        }
        true
    }

    fn act(&mut self, action: Action) -> Result<usize, Error> {
        if let Some(payload) = says(action) {
            self.peer.send_payload(&payload);
            self.deliver();
            return Ok(0);
        }
        let id = self.end.channel.ok_or(NO_SUCH_CHANNEL);
        match action {
            Action::Open | Action::Accept | Action::Refuse | Action::WriteStderr(_) | Action::Ask => {
                return S::act(&mut self.end, action);
            }
            Action::StartKex => self.end.conn.start_kex(),
            Action::EndKex => {}
            Action::Poll => {
                let named = self.end.conn.poll_writable();
                assert!(named.is_none() || named == self.end.channel);
                return Ok(usize::from(named.is_some()));
            }
            Action::Write(n) => return Ok(self.end.conn.channel(id?)?.write(&vec![7; n])),
            Action::Eof => self.end.conn.channel(id?)?.send_eof()?,
            Action::Close => self.end.conn.channel(id?)?.close()?,
            Action::Reply(success) => self.end.conn.channel(id?)?.reply(success)?,
            Action::Credit(n) => self.end.conn.channel(id?)?.adjust_window(n)?,
            _ => unreachable!("{action:?} is the peer's"),
        }
        Ok(0)
    }

    /// What the peer has to send.
    fn deliver(&mut self) {
        let mut pipe = VecDeque::new();
        ship(&mut self.peer, &mut pipe, usize::MAX);
        while receive(&mut self.end.input, &mut pipe) {
            self.end.pull(self.now);
        }
    }

    /// The payloads that reach the peer, who may be made to wait, and how it was told that this is the end.
    fn heard(&mut self, waits: bool) -> (Vec<Vec<u8>>, Option<Error>) {
        let mut payloads = Vec::new();
        let hears = !waits || self.end.error.is_some();
        while ship(&mut self.end.conn, &mut self.pipe, usize::MAX)
            | (hears && receive(&mut self.peer_input, &mut self.pipe))
        {
            loop {
                match self.peer.take_payload(&mut self.peer_input, self.now) {
                    Ok(Some(payload)) => payloads.push(payload),
                    Ok(None) => break,
                    Err(error) => return (payloads, Some(error)),
                }
            }
            self.deliver();
        }
        (payloads, None)
    }
}

/// What the peer says; `None` if it is not the peer's turn.
fn says(action: Action) -> Option<Vec<u8>> {
    let (recipient_channel, sender_channel) = (0, PEER_CHANNEL);
    let (initial_window_size, maximum_packet_size) = (PEER_WINDOW as u32, PEER_PACKET as u32);
    let (description, language_tag, type_fields) = (b"", b"", b"");
    let request = |request_type: &[u8], want_reply, type_fields: &[u8]| {
        payload(&ChannelRequest { recipient_channel, request_type, want_reply, type_fields })
    };
    Some(match action {
        Action::Offers => payload(&ChannelOpen {
            channel_type: b"session",
            sender_channel,
            initial_window_size,
            maximum_packet_size,
            type_fields,
        }),
        Action::Confirms => payload(&ChannelOpenConfirmation {
            recipient_channel,
            sender_channel,
            initial_window_size,
            maximum_packet_size,
            type_fields,
        }),
        Action::Denies => {
            payload(&ChannelOpenFailure { recipient_channel, reason_code: 4, description, language_tag })
        }
        Action::Data(n) => payload(&ChannelData { recipient_channel, data: &vec![0; n] }),
        Action::Extended(data_type_code, n) => {
            payload(&ChannelExtendedData { recipient_channel, data_type_code, data: &vec![0; n] })
        }
        Action::Adjust(bytes_to_add) => payload(&ChannelWindowAdjust { recipient_channel, bytes_to_add }),
        Action::SaysEof => payload(&ChannelEof { recipient_channel }),
        Action::Closes => payload(&ChannelClose { recipient_channel }),
        Action::Exec(want_reply) => request(b"exec", want_reply, b"\0\0\0\x03cat"),
        Action::ExitStatus(want_reply) => request(b"exit-status", want_reply, b"\0\0\0\x09"),
        Action::Unknown(want_reply) => request(UNKNOWN_TYPE, want_reply, b"fields"),
        Action::Answers(true) => payload(&ChannelSuccess { recipient_channel }),
        Action::Answers(false) => payload(&ChannelFailure { recipient_channel }),
        _ => return None,
    })
}

/// A message of the machine's, which names the peer's number; credit is an error here.
fn read(payload: &[u8]) -> Result<Said, usize> {
    let number = payload[0];
    if number == ChannelOpen::NUMBER {
        let message = ChannelOpen::from_payload(payload).unwrap();
        assert_eq!((message.sender_channel, message.initial_window_size as usize), (0, WINDOW));
        return Ok(Said::Open);
    }
    assert_eq!(payload[1..5], PEER_CHANNEL.to_be_bytes(), "the peer's number");
    Ok(match number {
        number::CHANNEL_OPEN_CONFIRMATION => {
            let message = ChannelOpenConfirmation::from_payload(payload).unwrap();
            assert_eq!((message.sender_channel, message.initial_window_size as usize), (0, WINDOW));
            Said::Confirmation
        }
        number::CHANNEL_OPEN_FAILURE => {
            Said::OpenFailure(ChannelOpenFailure::from_payload(payload).unwrap().reason_code)
        }
        number::CHANNEL_WINDOW_ADJUST => {
            return Err(ChannelWindowAdjust::from_payload(payload).unwrap().bytes_to_add as usize);
        }
        number::CHANNEL_DATA => Said::Data(ChannelData::from_payload(payload).unwrap().data.len()),
        number::CHANNEL_EXTENDED_DATA => {
            let message = ChannelExtendedData::from_payload(payload).unwrap();
            assert_eq!(message.data_type_code, 1);
            Said::Stderr(message.data.len())
        }
        number::CHANNEL_EOF => Said::Eof,
        number::CHANNEL_CLOSE => Said::Close,
        number::CHANNEL_REQUEST => match ChannelRequest::from_payload(payload).unwrap() {
            ChannelRequest { request_type: b"exec", want_reply: true, .. } => Said::Exec,
            ChannelRequest { request_type: b"exit-status", want_reply: false, .. } => Said::ExitStatus,
            other => panic!("{other:?}"),
        },
        number::CHANNEL_SUCCESS => Said::Success,
        number::CHANNEL_FAILURE => Said::Failure,
        _ => panic!("{payload:?}"),
    })
}

/// All states that so many steps lead to, and all that can happen in those before.
fn explore<S: Role>() {
    let steps = if std::env::var_os("STROMBUS_LONG").is_some() { STEPS_LONG } else { STEPS };
    let mut bench = Bench::<S>::new();
    let first = Model::new(S::IS_CLIENT);
    let mut known = BTreeSet::from([first.clone()]);
    let mut ways = VecDeque::from([(first, Vec::new())]);
    let (mut tried, mut faults, mut faulty) = (0, BTreeMap::new(), BTreeSet::new());
    while let Some((state, way)) = ways.pop_front() {
        for action in state.actions() {
            // What ends the connection ends it once in each state of the halves: it costs a login.
            let is_fault = state.clone().step(action).fault.is_some();
            if is_fault && !faulty.insert((state.state(), state.is_in_kex(), action)) {
                continue;
            }
            if bench.channels >= CHANNELS_MAX || bench.end.conn.exchanges() >= EXCHANGES {
                bench = Bench::new();
            }
            let next = bench.tries(&way, action);
            tried += 1;
            if is_fault {
                *faults.entry(format!("{action:?}").split('(').next().unwrap().to_owned()).or_insert(0) += 1;
                bench = Bench::new();
            } else if way.len() + 1 < steps && known.insert(next.clone()) {
                ways.push_back((next, [&way[..], &[action]].concat()));
            }
        }
    }
    let who = if S::IS_CLIENT { "client" } else { "server" };
    println!(
        "figure: a channel at a {who}: {} states, {tried} sequences of up to {steps} steps, faults by {faults:?}",
        known.len()
    );
}

#[test]
fn t67_a_channel_at_a_client_is_that_of_the_model_whatever_happens_in_whatever_order() {
    explore::<Client>();
}

#[test]
fn t67_a_channel_at_a_server_is_that_of_the_model_whatever_happens_in_whatever_order() {
    explore::<Server>();
}
