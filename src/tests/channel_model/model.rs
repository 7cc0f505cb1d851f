//! What a channel is: RFC 4254 §5 once more, in another form than that of `src/connection`.
//!
//! It says what comes of an action, but for one thing that the RFC leaves open: when the peer is told of credit. It knows
//! neither numbers nor contents, nor a second channel.

use super::{PEER_PACKET, PEER_WINDOW, WINDOW};
use crate::connection::*;
use crate::tests::pair::Seen;
use crate::transport::{Error, Misuse};
use crate::wire::Fault;
use std::collections::VecDeque;

/// What may happen to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    // The application's.
    Open,
    Accept,
    Refuse,
    Write(usize),
    WriteStderr(usize),
    Eof,
    Close,
    /// A command at a client, an exit status at a server.
    Ask,
    Reply(bool),
    Credit(usize),
    Poll,
    /// From now on the peer hears nothing, and nothing but the exchange may be sent.
    StartKex,
    // The peer's.
    EndKex,
    Offers,
    Confirms,
    Denies,
    Data(usize),
    /// With its type.
    Extended(u32, usize),
    Adjust(u32),
    SaysEof,
    Closes,
    /// Whether a reply is wanted.
    Exec(bool),
    ExitStatus(bool),
    Unknown(bool),
    Answers(bool),
}

/// A message of ours, without the credit of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Said {
    Open,
    Confirmation,
    OpenFailure(u32),
    Data(usize),
    Stderr(usize),
    Eof,
    Close,
    Exec,
    ExitStatus,
    Success,
    Failure,
}

/// What must come of an action.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Bytes taken, or a channel that was named.
    pub(super) taken: usize,
    pub(super) misuse: Option<Error>,
    pub(super) said: Vec<Said>,
    pub(super) told: Option<Seen>,
    pub(super) fault: Option<Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    None,
    Opening,
    Offered,
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Half {
    Open,
    Eof,
    Closed,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Model {
    is_client: bool,
    stage: Stage,
    sends: Half,
    hears: Half,
    /// The peer's window, and ours.
    may_send: usize,
    may_hear: usize,
    /// Bytes that the application has, and bytes that it gave credit for.
    delivered: usize,
    credited: usize,
    /// Replies that the peer waits for, if they are known already.
    owed: VecDeque<Option<bool>>,
    /// Replies that we wait for.
    asked: usize,
    has_command: bool,
    /// Was refused bytes, and not named since.
    waits: bool,
    /// What an exchange keeps back.
    held: Option<Vec<Said>>,
}

impl Model {
    pub(super) fn new(is_client: bool) -> Self {
        Self {
            is_client,
            stage: Stage::None,
            sends: Half::Open,
            hears: Half::Open,
            may_send: 0,
            may_hear: WINDOW,
            delivered: 0,
            credited: 0,
            owed: VecDeque::new(),
            asked: 0,
            has_command: false,
            waits: false,
            held: None,
        }
    }

    /// All that may happen next, with lengths on both sides of each bound.
    pub(super) fn actions(&self) -> Vec<Action> {
        use Action::*;
        let packet_max = MAXIMUM_PACKET_SIZE as usize;
        let mut actions = vec![Write(1), Write(PEER_WINDOW + 1), Eof, Close, Ask, Reply(true), Reply(false)];
        actions.extend([Credit(1), Credit(self.delivered), Credit(self.delivered + 1), Poll]);
        actions.push(if self.held.is_some() { EndKex } else { StartKex });
        actions.extend([0, 10_000, packet_max, self.may_hear + 1, packet_max + 1].map(Data));
        actions.extend([Extended(1, 10_000), Extended(1, self.may_hear + 1), Extended(7, packet_max)]);
        actions.extend([Offers, Confirms, Denies, Adjust(5), Adjust(u32::MAX), SaysEof, Closes]);
        actions.extend([Exec(true), ExitStatus(false), ExitStatus(true), Unknown(false), Unknown(true)]);
        actions.extend([Exec(false), Answers(true), Answers(false)]);
        match self.is_client {
            true => actions.push(Open),
            false => actions.extend([Accept, Refuse, WriteStderr(PEER_PACKET + 1)]),
        }
        actions
    }

    /// As the door for tests has it.
    pub(super) fn state(&self) -> String {
        match self.stage {
            Stage::None => "no channel".to_owned(),
            Stage::Open => {
                let mark = |is: bool, mark| if is { mark } else { "" };
                let started = mark(self.has_command, " started");
                let (owes, asked) = (mark(!self.owed.is_empty(), " owes"), mark(self.asked > 0, " asked"));
                format!("{:?}/{:?}{started}{owes}{asked}", self.sends, self.hears)
            }
            stage => format!("{stage:?}"),
        }
    }

    pub(super) fn exists(&self) -> bool {
        self.stage != Stage::None
    }

    pub(super) fn is_open_for_data(&self) -> bool {
        self.stage == Stage::Open && self.sends == Half::Open
    }

    pub(super) fn is_writable(&self) -> bool {
        self.waits && self.is_open_for_data() && self.may_send > 0 && self.held.is_none()
    }

    pub(super) fn is_in_kex(&self) -> bool {
        self.held.is_some()
    }

    /// The peer was told of credit; whether that was right.
    pub(super) fn adjusted(&mut self, bytes_to_add: usize) -> bool {
        let right = self.stage == Stage::Open && self.sends != Half::Closed && self.held.is_none();
        let in_bounds = (1..=self.credited).contains(&bytes_to_add);
        self.credited -= bytes_to_add.min(self.credited);
        self.may_hear += bytes_to_add;
        right && in_bounds && self.may_hear <= WINDOW
    }

    /// The peer cannot go on, and was not told that it may.
    pub(super) fn starves_peer(&self) -> bool {
        let speaks = self.stage == Stage::Open && self.sends != Half::Closed && self.hears == Half::Open;
        speaks && self.held.is_none() && self.may_hear < WINDOW / 8 && self.credited > 0
    }

    /// Does it. After a fault nothing more happens.
    pub(super) fn step(&mut self, action: Action) -> Outcome {
        let mut outcome = Outcome::default();
        let said = match self.act(action, &mut outcome) {
            Ok(said) => said,
            Err(Error::Misuse(misuse)) => {
                outcome.misuse = Some(misuse.into());
                Vec::new()
            }
            Err(fault) => {
                outcome.fault = Some(fault);
                Vec::new()
            }
        };
        match &mut self.held {
            Some(held) => held.extend(said),
            None => outcome.said.extend(said),
        }
        outcome
    }

    fn act(&mut self, action: Action, outcome: &mut Outcome) -> Result<Vec<Said>, Error> {
        let mut said = Vec::new();
        match action {
            Action::Open if self.exists() => return misuse(TOO_MANY_CHANNELS),
            Action::Open => {
                self.begin(Stage::Opening);
                said.push(Said::Open);
            }
            Action::Accept | Action::Refuse if self.stage != Stage::Offered => {
                return misuse(NO_SUCH_CHANNEL);
            }
            Action::Accept => {
                self.stage = Stage::Open;
                said.push(Said::Confirmation);
            }
            Action::Refuse => {
                self.end();
                said.push(Said::OpenFailure(2));
            }
            Action::StartKex => self.held = Some(Vec::new()),
            Action::EndKex => said = self.held.take().unwrap_or_default(),
            Action::Poll => {
                outcome.taken = usize::from(self.is_writable());
                self.waits &= !self.is_writable();
            }
            Action::Write(_)
            | Action::WriteStderr(_)
            | Action::Eof
            | Action::Close
            | Action::Ask
            | Action::Reply(_)
            | Action::Credit(_) => {
                if !self.exists() {
                    return misuse(NO_SUCH_CHANNEL);
                }
                self.act_on_channel(action, outcome, &mut said)?;
            }
            _ => outcome.told = self.hear(action, &mut said)?,
        }
        Ok(said)
    }

    fn act_on_channel(
        &mut self,
        action: Action,
        outcome: &mut Outcome,
        said: &mut Vec<Said>,
    ) -> Result<(), Error> {
        match action {
            Action::Write(n) => outcome.taken = self.write(n, Said::Data, said),
            Action::WriteStderr(n) => outcome.taken = self.write(n, Said::Stderr, said),
            Action::Credit(n) => {
                if n > self.delivered {
                    return misuse(CREDIT_EXCEEDED);
                }
                self.delivered -= n;
                self.credited += n;
            }
            Action::Reply(success) => match self.owed.front_mut() {
                Some(owed @ None) => {
                    *owed = Some(success);
                    self.answer(said);
                }
                _ => return misuse(NO_REPLY_OWED),
            },
            _ if self.stage != Stage::Open || self.sends == Half::Closed => return misuse(CHANNEL_NOT_OPEN),
            Action::Eof => {
                if self.sends == Half::Open {
                    said.push(Said::Eof);
                }
                self.sends = Half::Eof;
            }
            Action::Close => self.close(said),
            _ => {
                self.asked += usize::from(self.is_client);
                said.push(if self.is_client { Said::Exec } else { Said::ExitStatus });
            }
        }
        Ok(())
    }

    fn write(&mut self, n: usize, as_what: fn(usize) -> Said, said: &mut Vec<Said>) -> usize {
        if !self.is_open_for_data() {
            return 0;
        }
        let taken = if self.held.is_some() { 0 } else { n.min(self.may_send) };
        let full = core::iter::repeat_n(PEER_PACKET, taken / PEER_PACKET);
        said.extend(full.chain([taken % PEER_PACKET]).filter(|length| *length > 0).map(as_what));
        self.may_send -= taken;
        self.waits |= taken < n;
        taken
    }

    fn hear(&mut self, action: Action, said: &mut Vec<Said>) -> Result<Option<Seen>, Error> {
        match action {
            Action::Offers => return Ok(self.offered(said)),
            Action::Confirms | Action::Denies => {
                if self.stage != Stage::Opening {
                    return fault(UNKNOWN_CHANNEL);
                }
                if action == Action::Denies {
                    self.end();
                    return Ok(Some(Seen::OpenFailure(4)));
                }
                (self.stage, self.may_send) = (Stage::Open, PEER_WINDOW);
                return Ok(Some(Seen::Opened));
            }
            // What does no harm without a channel: it may have been on its way when that ended.
            Action::Adjust(_) | Action::Answers(_) if !self.exists() => return Ok(None),
            Action::Adjust(n) => {
                self.may_send += n as usize;
                return if self.may_send > u32::MAX as usize { fault(WINDOW_OVERFLOW) } else { Ok(None) };
            }
            Action::Answers(success) => {
                let awaited = self.asked > 0;
                self.asked -= usize::from(awaited);
                return Ok(awaited.then_some(Seen::Reply(success)));
            }
            _ if self.stage != Stage::Open => return fault(UNKNOWN_CHANNEL),
            _ => {}
        }
        let listens = self.sends != Half::Closed;
        match action {
            Action::Data(n) => {
                self.take(n, listens)?;
                Ok((n > 0 && listens).then(|| Seen::Data(vec![0; n])))
            }
            Action::Extended(data_type_code, n) => {
                let wanted = listens && self.is_client && data_type_code == 1;
                self.take(n, wanted)?;
                Ok((n > 0 && wanted).then(|| Seen::Stderr(vec![0; n])))
            }
            Action::SaysEof => {
                let first = core::mem::replace(&mut self.hears, Half::Eof) == Half::Open;
                Ok((first && listens).then_some(Seen::Eof))
            }
            Action::Closes => {
                self.close(said);
                self.end();
                Ok(Some(Seen::Closed))
            }
            _ => Ok(self.requested(action, listens, said)),
        }
    }

    fn offered(&mut self, said: &mut Vec<Said>) -> Option<Seen> {
        match (self.is_client, self.exists()) {
            (true, _) => said.push(Said::OpenFailure(ADMINISTRATIVELY_PROHIBITED)),
            (false, true) => said.push(Said::OpenFailure(RESOURCE_SHORTAGE)),
            (false, false) => {
                self.begin(Stage::Offered);
                self.may_send = PEER_WINDOW;
                return Some(Seen::OpenRequest);
            }
        }
        None
    }

    fn take(&mut self, n: usize, wanted: bool) -> Result<(), Error> {
        if self.hears != Half::Open {
            return fault(DATA_AFTER_EOF);
        }
        if n > MAXIMUM_PACKET_SIZE as usize {
            return fault(PACKET_EXCEEDED);
        }
        if n > self.may_hear {
            return fault(WINDOW_EXCEEDED);
        }
        self.may_hear -= n;
        *if wanted { &mut self.delivered } else { &mut self.credited } += n;
        Ok(())
    }

    fn requested(&mut self, action: Action, listens: bool, said: &mut Vec<Said>) -> Option<Seen> {
        let (request, want_reply) = match (action, self.is_client) {
            (Action::Exec(want_reply), false) => {
                let first = !core::mem::replace(&mut self.has_command, true);
                (first.then(|| Seen::Exec(b"cat".to_vec())), want_reply)
            }
            (Action::ExitStatus(want_reply), true) => {
                (Some(Seen::Request("ExitStatus { exit_status: 9 }".to_owned())), want_reply)
            }
            (Action::Exec(want_reply) | Action::ExitStatus(want_reply) | Action::Unknown(want_reply), _) => {
                (None, want_reply)
            }
            _ => unreachable!("{action:?} is not heard"),
        };
        let request = request.filter(|_| listens);
        if want_reply && listens {
            // What nobody can grant is refused when its turn comes.
            self.owed.push_back(if request.is_some() { None } else { Some(false) });
            self.answer(said);
        }
        request
    }

    /// Replies carry no name: they go out in the order of the requests.
    fn answer(&mut self, said: &mut Vec<Said>) {
        while let Some(Some(success)) = self.owed.front() {
            said.push(if *success { Said::Success } else { Said::Failure });
            self.owed.pop_front();
        }
    }

    fn begin(&mut self, stage: Stage) {
        let held = self.held.take();
        *self = Self { stage, held, ..Self::new(self.is_client) };
    }

    fn end(&mut self) {
        self.begin(Stage::None);
    }

    /// Nothing goes out after CLOSE, and nobody waits for what would.
    fn close(&mut self, said: &mut Vec<Said>) {
        if self.sends != Half::Closed {
            said.push(Said::Close);
            self.sends = Half::Closed;
            self.owed.clear();
            self.asked = 0;
            self.waits = false;
        }
    }
}

fn misuse<T>(misuse: Misuse) -> Result<T, Error> {
    Err(misuse.into())
}

fn fault<T>(fault: Fault) -> Result<T, Error> {
    Err(fault.into())
}
