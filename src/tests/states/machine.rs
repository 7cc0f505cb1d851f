//! One side of a connection as it is seen from outside: which states it has, and what each message does in each.

use super::alphabet::{ALPHABET, Letter, letter};
use super::peer::{Peer, World};
use super::{HOST_KEY, USER_KEY};
use crate::connection::{ChannelLimits, Connection};
use crate::crypto::sign::certificate::PlainOrCertified;
use crate::tests::pair::{End, SeededRng, Seen, TestSide};
use crate::transport::algorithms::{KEX, pick};
use crate::transport::{Client, ClientConfig, Error, Server, ServerConfig, TransportConfig};
use crate::userauth::{ClientUserauthConfig, Method, MethodChains, Permissions, ServerUserauthConfig};
use crate::wire::number::{self, Sender};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

const FAILURE_DELAY: Duration = Duration::from_secs(1);

/// Where the two sides differ in what their application does.
pub(super) trait Side: TestSide {
    const ACTIONS: &'static [&'static str];
    fn connection(world: World, now: Instant) -> Connection<Self>;
    /// Does what the application may do; the error says that it may not now.
    fn act(end: &mut End<Self>, action: &str) -> Result<(), Error>;
}

/// What both applications do.
fn act_on_either_side<S: TestSide>(end: &mut End<S>, action: &str) -> Result<(), Error> {
    if action == "rekey" {
        end.conn.start_kex();
        return Ok(());
    }
    let mut channel = end.conn.channel(end.channel.ok_or(Error::Failed)?)?;
    match action {
        "write" => drop(channel.write(b"data")),
        "eof" => channel.send_eof()?,
        _ => channel.close()?,
    }
    Ok(())
}

fn transport_config(world: World, mut config: TransportConfig) -> TransportConfig {
    config.algorithms.kex = pick(KEX, world.name).unwrap();
    config
}

/// One is enough to see what a channel does, and more would be more of the same.
fn limits() -> ChannelLimits {
    ChannelLimits { channels_max: 1, ..ChannelLimits::default() }
}

impl Side for Client {
    const ACTIONS: &'static [&'static str] = &[
        "accept host key",
        "refuse host key",
        "password",
        "publickey",
        "identity",
        "signature",
        "keyboard-interactive",
        "responses",
        "rekey",
        "open",
        "exec",
        "write",
        "eof",
        "close",
    ];

    fn connection(world: World, now: Instant) -> Connection<Self> {
        let config = Arc::new(ClientConfig { transport: transport_config(world, TransportConfig::client()) });
        let ann = ClientUserauthConfig { user_name: "ann".to_owned() };
        Connection::<Self>::new(config, ann, limits(), Box::new(SeededRng::new(1)), now)
    }

    fn act(end: &mut End<Self>, action: &str) -> Result<(), Error> {
        let mut ticket = || end.tickets.pop_front().ok_or(Error::Failed);
        match action {
            "accept host key" => end.conn.accept_host_key(ticket()?)?,
            "refuse host key" => end.conn.refuse_host_key(ticket()?)?,
            "password" => end.conn.request_password(ticket()?, b"password")?,
            "publickey" => end.conn.request_publickey(ticket()?, Arc::clone(&USER_KEY))?,
            "identity" => {
                let identity = PlainOrCertified::Plain(USER_KEY.public_key());
                end.conn.request_identity(ticket()?, &identity)?;
            }
            "signature" => end.conn.send_signature(ticket()?, b"signature")?,
            "keyboard-interactive" => end.conn.request_keyboard_interactive(ticket()?, b"")?,
            "responses" => end.conn.send_responses(ticket()?, &[])?,
            "open" => end.channel = Some(end.conn.open_session()?),
            "exec" => end.conn.channel(end.channel.ok_or(Error::Failed)?)?.request_exec(b"cat")?,
            _ => act_on_either_side(end, action)?,
        }
        Ok(())
    }
}

impl Side for Server {
    const ACTIONS: &'static [&'static str] = &[
        "accept user",
        "refuse user",
        "ask",
        "expire password",
        "wait",
        "rekey",
        "accept channel",
        "refuse channel",
        "reply",
        "exit-status",
        "write",
        "eof",
        "close",
    ];

    fn connection(world: World, now: Instant) -> Connection<Self> {
        let transport = transport_config(world, TransportConfig::server());
        let config = ServerConfig {
            transport,
            announces_host_keys: false,
            ..ServerConfig::new(vec![Arc::clone(&HOST_KEY)])
        };
        let userauth = ServerUserauthConfig {
            methods: MethodChains::any_of(&[
                Method::Publickey,
                Method::Password,
                Method::KeyboardInteractive,
            ]),
            failure_delay: FAILURE_DELAY,
            ..Default::default()
        };
        Connection::<Self>::new(Arc::new(config), userauth, limits(), Box::new(SeededRng::new(2)), now)
    }

    fn act(end: &mut End<Self>, action: &str) -> Result<(), Error> {
        let mut ticket = || end.tickets.pop_front().ok_or(Error::Failed);
        let channel = end.channel.ok_or(Error::Failed);
        match action {
            "accept user" => {
                end.conn.accept_user(ticket()?, &Permissions::FULL)?;
            }
            "ask" => end.conn.request_information(ticket()?, b"", b"", &[])?,
            "expire password" => end.conn.expire_password(ticket()?, b"")?,
            "refuse user" => end.conn.refuse_user(ticket()?)?,
            "wait" => {} // the bench knows the time
            "accept channel" => end.conn.accept_channel(channel?)?,
            "refuse channel" => end.conn.refuse_channel(channel?, 1, "")?,
            "reply" => end.conn.channel(channel?)?.reply(true)?,
            "exit-status" => end.conn.channel(channel?)?.send_exit_status(0)?,
            _ => act_on_either_side(end, action)?,
        }
        Ok(())
    }
}

/// Something that can happen to the machine.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// The peer says this.
    Says(&'static Letter),
    /// The application does this.
    Does(&'static str),
}

impl Step {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Says(letter) => letter.name,
            Self::Does(action) => action,
        }
    }

    /// All that can happen to a side; messages come first.
    pub(super) fn all<S: Side>() -> impl Iterator<Item = Self> {
        ALPHABET.iter().map(Self::Says).chain(S::ACTIONS.iter().copied().map(Self::Does))
    }
}

/// What one step did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// It could not happen: the application may not, or a question keeps the machine from listening.
    pub(super) waits: bool,
    /// The payloads that went out.
    pub(super) sent: Vec<Vec<u8>>,
    /// What the application was told, in a word each.
    pub(super) told: Vec<String>,
    pub(super) error: Option<Error>,
    /// Nothing goes in or out any more.
    pub(super) ended: bool,
    /// The state after it.
    pub(super) next: String,
    /// The sequence number of the packet that the peer sent.
    pub(super) sequence_number: u32,
}

impl Outcome {
    pub(super) fn numbers(&self) -> Vec<u8> {
        self.sent.iter().map(|payload| payload[0]).collect()
    }

    pub(super) fn sends(&self, number: u8) -> usize {
        self.numbers().iter().filter(|n| **n == number).count()
    }

    /// The reason in SSH_MSG_DISCONNECT, if that went out.
    pub(super) fn disconnects(&self) -> Option<u32> {
        self.sent.iter().find(|payload| payload[0] == number::DISCONNECT).map(|payload| uint32(payload, 1))
    }

    /// Answered with SSH_MSG_UNIMPLEMENTED, and with nothing else.
    pub(super) fn is_unimplemented(&self) -> bool {
        let right = |payload: &Vec<u8>| uint32(payload, 1) == self.sequence_number;
        self.told.is_empty() && self.numbers() == [number::UNIMPLEMENTED] && self.sent.iter().all(right)
    }

    /// Nobody was told anything, nothing was sent, and the machine stays where it was.
    pub(super) fn is_ignored_in(&self, state: &str) -> bool {
        self.sent.is_empty() && self.told.is_empty() && self.next == state && !self.ended
    }

    /// The connection ended, and the peer was told this reason and nothing else.
    pub(super) fn is_refused(&self, reason: u32) -> bool {
        let said = self.told.is_empty() && self.numbers() == [number::DISCONNECT];
        self.ended && said && self.disconnects() == Some(reason)
    }

    /// The message means nothing: it waits, is refused, unknown, or passed over, at most as what follows a wrong guess.
    pub(super) fn obeys_nothing_in(&self, state: &str) -> bool {
        let passed_over =
            exchange(state).strip_suffix("+skip").is_some_and(|rest| exchange(&self.next) == rest);
        let stays = self.next == state || (passed_over && service(&self.next) == service(state));
        let silent = self.told.is_empty() && (self.sent.is_empty() || self.is_unimplemented());
        self.waits || self.is_refused(2) || (silent && stays && !self.ended)
    }
}

pub(super) fn uint32(payload: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(*payload[at..].first_chunk().unwrap())
}

/// A machine and its peer.
pub(super) struct Bench<S: Side> {
    pub(super) end: End<S>,
    pub(super) peer: Peer,
    now: Instant,
}

impl<S: Side> Bench<S> {
    /// Both identification lines went out.
    pub(super) fn new(world: World) -> Self {
        let now = Instant::now();
        let role = if S::ROLE == Sender::Client { Sender::Server } else { Sender::Client };
        let mut bench = Self { end: End::new(S::connection(world, now)), peer: Peer::new(role, world), now };
        bench.feed(&Peer::identification());
        let outcome = bench.outcome(0, 0);
        assert_eq!((outcome.numbers(), outcome.error), (vec![number::KEXINIT], None));
        bench
    }

    /// A fresh machine, brought to where a path leads.
    pub(super) fn at(world: World, path: &[Step]) -> Self {
        let mut bench = Self::new(world);
        path.iter().for_each(|step| drop(bench.take(*step)));
        bench
    }

    pub(super) fn state(&self) -> String {
        self.end.conn.state()
    }

    /// Gives the machine bytes, and lets it take one packet.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> bool {
        let space = self.end.input.space();
        space[..bytes.len()].copy_from_slice(bytes);
        self.end.input.filled(bytes.len());
        self.end.step(self.now)
    }

    pub(super) fn take(&mut self, step: Step) -> Outcome {
        let told = self.end.seen.len();
        let sequence_number = self.peer.sequence_numbers[0];
        let taken = match step {
            Step::Says(letter) => {
                let payload = letter.payload(&mut self.peer);
                let bytes = self.peer.seal(&payload);
                self.feed(&bytes)
            }
            Step::Does(action) => {
                let done = S::act(&mut self.end, action);
                if action == "wait" {
                    self.now += FAILURE_DELAY;
                    self.end.conn.handle_timeout(self.now).unwrap();
                }
                done.is_ok()
            }
        };
        Outcome { waits: !taken, ..self.outcome(told, sequence_number) }
    }

    /// What is to be seen of the machine since it had told the application so much.
    fn outcome(&mut self, told: usize, sequence_number: u32) -> Outcome {
        let output = crate::tests::pair::all_output(&mut self.end.conn);
        Outcome {
            waits: false,
            sent: self.peer.open(&output).expect("the peer can open what the machine sends"),
            told: self.end.seen[told..].iter().map(word).collect(),
            error: self.end.error.clone(),
            ended: self.end.conn.is_ended(),
            next: self.state(),
            sequence_number,
        }
    }

    /// P3: whatever happens to a connection that has ended, nothing goes out any more, and nothing is told.
    fn assert_that_it_is_over(&mut self) {
        let told = self.end.seen.len();
        let letters = ["2", "20", "30", "31", "21", "80.reply", "90.session", "97", "192"].map(letter);
        for letter in letters {
            let payload = letter.payload(&mut self.peer);
            let bytes = self.peer.seal(&payload);
            let space = self.end.input.space();
            space[..bytes.len()].copy_from_slice(&bytes);
            self.end.input.filled(bytes.len());
            assert!(!matches!(
                self.end.conn.handle_input(&mut self.end.input, self.now),
                Ok(crate::connection::Step::Event(_))
            ));
        }
        S::ACTIONS.iter().for_each(|action| drop(S::act(&mut self.end, action)));
        self.now += Duration::from_secs(1000);
        drop(self.end.conn.handle_timeout(self.now));
        self.end.conn.disconnect(crate::wire::DisconnectReason::BY_APPLICATION, "");
        assert_eq!((self.end.conn.pending_output(), self.end.seen.len()), (0, told), "{}", self.state());
    }

    pub(super) fn say(&mut self, name: &str) -> Outcome {
        self.take(Step::Says(letter(name)))
    }

    /// Ends the exchange that is under way, or that begins with this, as an honest peer does.
    pub(super) fn finish_exchange(&mut self) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        loop {
            let state = self.state();
            let outcome = match exchange(&state) {
                "Exchange+skip" => self.say("32"), // the guess
                "SentInit" => self.say("20"),
                "Exchange" if S::ROLE == Sender::Client => self.say("31"),
                "Exchange" => self.say("30"),
                "AwaitVerdict" => self.take(Step::Does("accept host key")),
                "NewKeys" => self.say("21"),
                _ => return outcomes,
            };
            assert!(!outcome.waits && outcome.error.is_none(), "{state}: {outcome:?}");
            outcomes.push(outcome);
        }
    }
}

fn word(seen: &Seen) -> String {
    let debug = format!("{seen:?}");
    debug.split(['(', ' ']).next().unwrap().to_owned()
}

/// Where the exchange stands, of a state's name.
pub(super) fn exchange(state: &str) -> &str {
    state.split(" | ").next().unwrap().trim_start_matches("first ")
}

/// Where the login or the channels stand.
pub(super) fn service(state: &str) -> &str {
    state.split(" | ").nth(1).unwrap()
}

/// No keys of the peer's are in use.
pub(super) fn is_first(state: &str) -> bool {
    state.starts_with("first ")
}

pub(super) fn is_authenticated(state: &str) -> bool {
    service(state).starts_with("connection")
}

/// A state, the shortest way to it and what every step does in it.
pub(super) struct State {
    pub(super) name: String,
    pub(super) path: Vec<Step>,
    pub(super) row: Vec<(Step, Outcome)>,
}

impl State {
    /// What the message of that name does here.
    pub(super) fn on(&self, name: &str) -> &Outcome {
        &self.row.iter().find(|(step, _)| step.name() == name).expect(name).1
    }

    /// What each message does here.
    pub(super) fn letters(&self) -> impl Iterator<Item = (&'static Letter, &Outcome)> {
        self.row.iter().filter_map(|(step, outcome)| match step {
            Step::Says(letter) => Some((*letter, outcome)),
            Step::Does(_) => None,
        })
    }
}

/// What each step does at the end of a path, each to a fresh machine.
pub(super) fn row<S: Side>(world: World, path: &[Step]) -> Vec<(Step, Outcome)> {
    let try_out = |step| {
        let mut bench = Bench::<S>::at(world, path);
        let outcome = bench.take(step);
        if outcome.ended {
            bench.assert_that_it_is_over();
        }
        (step, outcome)
    };
    Step::all::<S>().map(try_out).collect()
}

/// All states that can be reached, breadth first, through those that `follow` lets pass.
pub(super) fn explore<S: Side>(world: World, follow: fn(&str) -> bool) -> Vec<State> {
    let first = Bench::<S>::new(world).state();
    let mut known = BTreeSet::from([first.clone()]);
    let mut ways = VecDeque::from([(first, Vec::new())]);
    let mut states = Vec::new();
    while let Some((name, path)) = ways.pop_front() {
        let row = row::<S>(world, &path);
        // First the ways on which no exchange is under way: what one holds back would show in what follows.
        for idle in [true, false] {
            for (step, Outcome { waits, ended, next, .. }) in &row {
                let way = (exchange(next) == "Idle") == idle && !ended && !waits;
                if way && follow(next) && known.insert(next.clone()) {
                    ways.push_back((next.clone(), [&path[..], &[*step]].concat()));
                }
            }
        }
        states.push(State { name, path, row });
    }
    states
}
