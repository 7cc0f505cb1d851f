//! Many channels at once between two machines whose applications do what chance says, over pipes that are short, stall and
//! are cut: what went in came out, in order, and both sides know how each channel ended.
//!
//! One channel alone, and a peer that breaks the rules, is in `channel_model`; a single pair of bulk senders in
//! `schedules.rs`.

use super::pair::{End, Pair, SeededRng, Seen, Settings, TestSide, receive, ship};
use crate::connection::{
    CONNECT_FAILED, ChannelId, ChannelLimits, Connection, Event, MAXIMUM_PACKET_SIZE, Step,
};
use crate::transport::{Client, DATA_MARK, OVERHEAD_MAX, Server};
use std::collections::VecDeque;
use std::time::Instant;

const WINDOW: usize = 6000;
/// Channels at a time, and in all.
const LIVE_MAX: usize = 5;
const CHANNELS: usize = 12;
/// Fewer than are a flood.
const EXCHANGES: usize = 10;

/// Data and standard error.
const TYPES: [usize; 2] = [0, 1];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Asked,
    Open,
    Refused,
    Closed,
}

/// What one application knows of a channel.
#[derive(Debug)]
struct Talk {
    id: ChannelId,
    stage: Stage,
    /// Bytes of each type: that wait to be written, were written, came.
    wanted: [usize; 2],
    sent: [usize; 2],
    came: [usize; 2],
    /// Bytes whose credit is held back, and bytes that were credited.
    held: usize,
    credited: usize,
    sent_eof: bool,
    saw_eof: bool,
    has_closed: bool,
    status: Option<u32>,
    saw_status: Option<String>,
    /// Commands asked for; at a server the replies that are owed, and the first one's answer.
    commands: usize,
    owed: usize,
    granted: Option<bool>,
    replies: Vec<bool>,
}

impl Talk {
    const fn new(id: ChannelId) -> Self {
        Self {
            id,
            stage: Stage::Asked,
            wanted: [0; 2],
            sent: [0; 2],
            came: [0; 2],
            held: 0,
            credited: 0,
            sent_eof: false,
            saw_eof: false,
            has_closed: false,
            status: None,
            saw_status: None,
            commands: 0,
            owed: 0,
            granted: None,
            replies: Vec::new(),
        }
    }

    fn speaks(&self) -> bool {
        self.stage == Stage::Open && !self.has_closed
    }

    fn hear(&mut self, channel: usize, from_client: bool, data_type: usize, data: &[u8]) {
        assert!(self.speaks() && !self.saw_eof);
        let at = self.came[data_type];
        let right =
            data.iter().zip(at..).all(|(byte, at)| *byte == octet(channel, from_client, data_type, at));
        assert!(right, "channel {channel}: bytes of another place");
        self.came[data_type] += data.len();
        self.held += data.len();
    }
}

/// The byte that stands there: of which channel, from whom, of which type, and where.
fn octet(channel: usize, is_client: bool, data_type: usize, at: usize) -> u8 {
    let of = channel * 4 + usize::from(is_client) * 2 + data_type;
    ((at + 1).wrapping_mul(of * 2 + 0x9e37_79b1) >> 11) as u8
}

/// An application with its channels, in the order in which they were asked for.
struct Application {
    is_client: bool,
    talks: Vec<Talk>,
}

impl Application {
    const fn new(is_client: bool) -> Self {
        Self { is_client, talks: Vec::new() }
    }

    fn by_id(&mut self, id: ChannelId) -> (usize, &mut Talk) {
        self.talks.iter_mut().enumerate().find(|(_, talk)| talk.id == id).expect("a channel that is known")
    }

    /// Takes up to so many packets, as a driver does; whether there was one.
    fn pull<S: TestSide>(&mut self, end: &mut End<S>, packets: usize, now: Instant) -> bool {
        for taken in 0..packets {
            if end.conn.pending_output() >= 2 * DATA_MARK {
                return taken > 0;
            }
            match end.conn.handle_input(&mut end.input, now).expect("nobody breaks a rule") {
                Step::NeedInput => return taken > 0,
                Step::NeedVerdict => unreachable!("a question after the login"),
                Step::Progress => {}
                Step::Event(event) => self.take(event),
            }
        }
        true
    }

    fn take<S: TestSide>(&mut self, event: Event<'_, S>) {
        let (_, id, seen) = S::see(event);
        let id = id.expect("of a channel");
        if seen == Seen::OpenRequest {
            assert!(self.talks.iter().all(|talk| talk.id != id), "an id names one channel for ever");
            return self.talks.push(Talk::new(id));
        }
        let is_client = self.is_client;
        let (channel, talk) = self.by_id(id);
        let is_open = talk.stage == Stage::Open;
        let listens = talk.speaks();
        match seen {
            Seen::Opened => {
                assert_eq!(talk.stage, Stage::Asked);
                talk.stage = Stage::Open;
            }
            Seen::OpenFailure(CONNECT_FAILED) => {
                assert_eq!(talk.stage, Stage::Asked);
                talk.stage = Stage::Refused;
            }
            Seen::Data(data) => talk.hear(channel, !is_client, 0, &data),
            Seen::Stderr(data) => talk.hear(channel, !is_client, 1, &data),
            Seen::Eof => {
                assert!(listens && !core::mem::replace(&mut talk.saw_eof, true));
            }
            Seen::Exec(_) => {
                assert!(listens && !is_client && talk.commands == 0);
                (talk.commands, talk.owed) = (1, 1);
            }
            Seen::Request(text) => assert!(listens && talk.saw_status.replace(text).is_none()),
            Seen::Reply(success) => {
                assert!(listens);
                talk.replies.push(success);
            }
            Seen::Closed => {
                assert!(is_open, "closed once");
                talk.stage = Stage::Closed;
            }
            other => panic!("{other:?}"),
        }
    }

    /// Writes what waits on a channel, and nothing beyond.
    fn write<S: TestSide>(&mut self, conn: &mut Connection<S>, channel: usize) {
        let is_client = self.is_client;
        let talk = &mut self.talks[channel];
        for data_type in TYPES {
            let (at, wanted) = (talk.sent[data_type], talk.wanted[data_type]);
            if wanted > 0 {
                let block: Vec<_> =
                    (at..at + wanted).map(|at| octet(channel, is_client, data_type, at)).collect();
                let mut channel = conn.channel(talk.id).unwrap();
                let n = if data_type == 0 { channel.write(&block) } else { channel.write_stderr(&block) };
                talk.sent[data_type] += n;
                talk.wanted[data_type] -= n;
            }
        }
    }

    /// Writes wherever the machine says that it may.
    fn write_in_turn<S: TestSide>(&mut self, conn: &mut Connection<S>) -> bool {
        let mut moved = false;
        while let Some(id) = conn.poll_writable() {
            let (channel, _) = self.by_id(id);
            self.write(conn, channel);
            moved = true;
        }
        moved
    }

    fn credit<S: TestSide>(&mut self, conn: &mut Connection<S>, channel: usize, n: usize) {
        let talk = &mut self.talks[channel];
        conn.channel(talk.id).unwrap().adjust_window(n).unwrap();
        talk.held -= n;
        talk.credited += n;
    }

    /// Something, or nothing if it cannot be done.
    fn act<S: TestSide>(&mut self, conn: &mut Connection<S>, rng: &mut SeededRng) {
        let live: Vec<_> = (0..self.talks.len()).filter(|at| self.talks[*at].speaks()).collect();
        if live.is_empty() {
            return;
        }
        let channel = live[rng.below(live.len())];
        let talk = &mut self.talks[channel];
        match rng.below(40) {
            0 => {
                conn.channel(talk.id).unwrap().close().unwrap();
                (talk.has_closed, talk.wanted) = (true, [0; 2]);
            }
            1 => {
                conn.channel(talk.id).unwrap().send_eof().unwrap();
                (talk.sent_eof, talk.wanted) = (true, [0; 2]);
            }
            2..=16 if !talk.sent_eof => {
                let data_type = if self.is_client { 0 } else { rng.below(2) };
                let at_most = [10, 3000, 20_000][rng.below(3)];
                talk.wanted[data_type] += 1 + rng.below(at_most);
                self.write(conn, channel);
            }
            17..=30 => {
                let n = rng.below(talk.held + 1);
                self.credit(conn, channel, n);
            }
            _ => {
                let n = talk.held;
                self.credit(conn, channel, n);
            }
        }
    }
}

/// What only a client does.
fn act_as_client(application: &mut Application, conn: &mut Connection<Client>, rng: &mut SeededRng) {
    let live = |talk: &Talk| matches!(talk.stage, Stage::Asked | Stage::Open);
    let room = application.talks.iter().filter(|talk| live(talk)).count() < LIVE_MAX;
    match rng.below(6) {
        0 if room && application.talks.len() < CHANNELS => {
            application.talks.push(Talk::new(conn.open_session().unwrap()));
        }
        1 => {
            if let Some(talk) = application.talks.iter_mut().rfind(|talk| talk.speaks() && talk.commands < 4)
            {
                conn.channel(talk.id).unwrap().request_exec(b"cat").unwrap();
                talk.commands += 1;
            }
        }
        _ => application.act(conn, rng),
    }
}

/// What only a server does.
fn act_as_server(application: &mut Application, conn: &mut Connection<Server>, rng: &mut SeededRng) {
    match rng.below(6) {
        0 => {
            if let Some(talk) = application.talks.iter_mut().find(|talk| talk.stage == Stage::Asked) {
                if rng.below(8) == 0 {
                    conn.refuse_channel(talk.id, CONNECT_FAILED, "").unwrap();
                    talk.stage = Stage::Refused;
                } else {
                    conn.accept_channel(talk.id).unwrap();
                    talk.stage = Stage::Open;
                }
            }
        }
        1 => {
            if let Some(talk) = application.talks.iter_mut().find(|talk| talk.speaks() && talk.owed > 0) {
                let success = rng.below(2) == 0;
                conn.channel(talk.id).unwrap().reply(success).unwrap();
                (talk.owed, talk.granted) = (0, Some(success));
            }
        }
        2 => {
            let status = rng.below(256) as u32;
            let may = |talk: &&mut Talk| talk.speaks() && talk.commands > 0 && talk.status.is_none();
            if let Some(talk) = application.talks.iter_mut().find(may).filter(|_| rng.below(4) == 0) {
                conn.channel(talk.id).unwrap().send_exit_status(status).unwrap();
                talk.status = Some(status);
            }
        }
        _ => application.act(conn, rng),
    }
}

/// Moves at most `n` bytes from a pipe into a buffer.
fn receive_some<S: TestSide>(end: &mut End<S>, pipe: &mut VecDeque<u8>, n: usize) {
    let mut some: VecDeque<_> = pipe.drain(..n.min(pipe.len())).collect();
    receive(&mut end.input, &mut some);
    some.into_iter().rev().for_each(|byte| pipe.push_front(byte));
}

struct World {
    pair: Pair,
    here: Application,
    there: Application,
}

impl World {
    fn new(seed: u64) -> Self {
        let limits = ChannelLimits {
            channels_max: LIVE_MAX,
            window_size: WINDOW as u32,
            window_max: 0,
            ..ChannelLimits::default()
        };
        let pair = Pair::authenticated(Settings { limits, seed, ..Default::default() });
        Self { pair, here: Application::new(true), there: Application::new(false) }
    }

    /// Everything in disorder, for a while.
    fn disorder(&mut self, rng: &mut SeededRng) {
        let Self { pair, here, there } = self;
        pair.pipe = [50, 1000, 70_000][rng.below(3)];
        // Rounds for which a direction does not move.
        let mut stalled = [0_usize; 2];
        let mut exchanges = 0;
        for _ in 0..100 + rng.below(400) {
            match rng.below(8) {
                0 | 1 => act_as_client(here, &mut pair.client.conn, rng),
                2 | 3 => act_as_server(there, &mut pair.server.conn, rng),
                4 if rng.below(8) == 0 => stalled[rng.below(2)] = rng.below(40),
                5 if rng.below(8) == 0 && exchanges < EXCHANGES => {
                    exchanges += 1;
                    match rng.below(3) {
                        0 => pair.client.conn.start_kex(),
                        1 => pair.server.conn.start_kex(),
                        _ => {
                            pair.client.conn.start_kex();
                            pair.server.conn.start_kex();
                        }
                    }
                }
                6 => drop(here.write_in_turn(&mut pair.client.conn)),
                _ => drop(there.write_in_turn(&mut pair.server.conn)),
            }
            let n = [1, 100, 100_000][rng.below(3)];
            if stalled[0] == 0 {
                ship(&mut pair.client.conn, &mut pair.up, pair.pipe);
                receive_some(&mut pair.server, &mut pair.up, n);
            }
            if stalled[1] == 0 {
                ship(&mut pair.server.conn, &mut pair.down, pair.pipe);
                receive_some(&mut pair.client, &mut pair.down, n);
            }
            stalled = stalled.map(|rounds| rounds.saturating_sub(1));
            let packets = rng.below(4);
            there.pull(&mut pair.server, packets, pair.now);
            here.pull(&mut pair.client, packets, pair.now);
            assert_windows(here, there);
            assert_windows(there, here);
        }
    }

    /// Until nothing moves: what waits is written, whatever is held is credited, what is asked is answered.
    fn settle(&mut self) {
        let Self { pair, here, there } = self;
        pair.pipe = usize::MAX;
        loop {
            while ship(&mut pair.client.conn, &mut pair.up, pair.pipe)
                | ship(&mut pair.server.conn, &mut pair.down, pair.pipe)
                | receive(&mut pair.server.input, &mut pair.up)
                | receive(&mut pair.client.input, &mut pair.down)
                | there.pull(&mut pair.server, usize::MAX, pair.now)
                | here.pull(&mut pair.client, usize::MAX, pair.now)
            {}
            let mut moved = here.settle(&mut pair.client.conn) | there.settle(&mut pair.server.conn);
            while let Some(talk) = there.talks.iter_mut().find(|talk| talk.stage == Stage::Asked) {
                pair.server.conn.accept_channel(talk.id).unwrap();
                talk.stage = Stage::Open;
                moved = true;
            }
            while let Some(talk) = there.talks.iter_mut().find(|talk| talk.speaks() && talk.owed > 0) {
                pair.server.conn.channel(talk.id).unwrap().reply(true).unwrap();
                (talk.owed, talk.granted) = (0, Some(true));
                moved = true;
            }
            if !moved {
                break;
            }
        }
        assert_windows(here, there);
        assert_windows(there, here);
    }

    /// All channels end, by the one side or the other or both.
    fn close(&mut self, rng: &mut SeededRng) {
        let Self { pair, here, there } = self;
        for channel in 0..here.talks.len() {
            let by = rng.below(3);
            if by != 0 {
                here.close(&mut pair.client.conn, channel);
            }
            if by != 1 {
                there.close(&mut pair.server.conn, channel);
            }
        }
    }

    /// Part of what is on its way is lost, and nothing more comes.
    fn cut(&mut self, rng: &mut SeededRng) {
        let Self { pair, here, there } = self;
        let left = [rng.below(pair.up.len() + 1), rng.below(pair.down.len() + 1)];
        pair.up.truncate(left[0]);
        pair.down.truncate(left[1]);
        while receive(&mut pair.server.input, &mut pair.up)
            | receive(&mut pair.client.input, &mut pair.down)
            | there.pull(&mut pair.server, usize::MAX, pair.now)
            | here.pull(&mut pair.client, usize::MAX, pair.now)
        {}
    }
}

/// Nobody has sent more than was granted.
fn assert_windows(from: &Application, to: &Application) {
    for (from, to) in from.talks.iter().zip(&to.talks) {
        assert!(from.sent.iter().sum::<usize>() <= WINDOW + to.credited, "{from:?}");
    }
}

/// What one side was told of each channel is what the other did, as far as it was told.
fn assert_told(from: &Application, to: &Application) {
    for (from, to) in from.talks.iter().zip(&to.talks) {
        let all = TYPES.iter().all(|data_type| to.came[*data_type] == from.sent[*data_type]);
        assert!(TYPES.iter().all(|data_type| to.came[*data_type] <= from.sent[*data_type]));
        assert!(!to.saw_eof || (from.sent_eof && all), "EOF is behind all data: {from:?} {to:?}");
        let status = from.status.map(|exit_status| format!("ExitStatus {{ exit_status: {exit_status} }}"));
        assert!(to.saw_status.is_none() || to.saw_status == status, "{from:?} {to:?}");
        // The first command is for the application; there is no second one.
        let replies = [from.granted.unwrap_or_default(), false, false, false];
        assert!(to.replies.is_empty() || from.granted.is_some());
        assert!(replies.starts_with(&to.replies), "{from:?} {to:?}");
        if to.stage == Stage::Closed {
            assert!(from.has_closed || to.has_closed, "somebody must have closed it");
        }
        if to.stage == Stage::Closed && !to.has_closed {
            assert!(all && to.saw_eof == from.sent_eof && to.saw_status == status, "{from:?} {to:?}");
        }
    }
}

impl Application {
    /// Writes in turn and gives all credit.
    fn settle<S: TestSide>(&mut self, conn: &mut Connection<S>) -> bool {
        let mut moved = self.write_in_turn(conn);
        for channel in 0..self.talks.len() {
            let Talk { held, .. } = self.talks[channel];
            if held > 0 && self.talks[channel].stage == Stage::Open {
                self.credit(conn, channel, held);
                moved = true;
            }
        }
        moved
    }

    fn close<S: TestSide>(&mut self, conn: &mut Connection<S>, channel: usize) {
        let Some(talk) = self.talks.get_mut(channel) else { return };
        if talk.speaks() {
            conn.channel(talk.id).unwrap().close().unwrap();
            talk.has_closed = true;
        }
    }
}

fn run(seed: u64, counts: &mut [usize; 3]) {
    let mut rng = SeededRng::new(seed);
    let mut world = World::new(seed);
    world.disorder(&mut rng);
    let is_cut = rng.below(4) == 0;
    if is_cut {
        world.cut(&mut rng);
    } else {
        world.settle();
        for talk in world.here.talks.iter().chain(&world.there.talks) {
            let ended = talk.stage != Stage::Open || talk.has_closed || talk.sent_eof;
            assert!(ended || talk.wanted == [0; 2], "seed {seed}: bytes wait for ever: {talk:?}");
        }
        world.close(&mut rng);
        world.settle();
    }
    let World { pair, here, there } = world;
    assert_told(&here, &there);
    assert_told(&there, &here);
    counts[0] += here.talks.len();
    counts[1] +=
        here.talks.iter().chain(&there.talks).map(|talk| talk.came.iter().sum::<usize>()).sum::<usize>();
    counts[2] += usize::from(is_cut);
    if is_cut {
        return;
    }
    assert_eq!(here.talks.len(), there.talks.len());
    for (one, other) in here.talks.iter().zip(&there.talks) {
        assert!(matches!(one.stage, Stage::Refused | Stage::Closed), "seed {seed}: {one:?}");
        assert_eq!(one.stage, other.stage, "seed {seed}");
    }
    for state in [pair.client.conn.state(), pair.server.conn.state()] {
        assert_eq!(state, "Idle | connection no channel", "seed {seed}");
    }
}

#[test]
fn t77_what_goes_into_many_channels_comes_out_and_both_sides_know_how_each_ended() {
    let seeds = if std::env::var_os("STROMBUS_LONG").is_some() { 10_000 } else { 400 };
    let mut counts = [0; 3];
    (0..seeds).for_each(|seed| run(seed, &mut counts));
    let [channels, bytes, cuts] = counts;
    println!("figure: {seeds} schedules, {cuts} of them cut: {channels} channels, {bytes} bytes");
}

/// A server that writes to so many channels without end and has one more, on which a byte now and then must go out.
struct Bulk {
    pair: Pair,
    keys: ChannelId,
    bulk: Vec<ChannelId>,
    /// Bytes written to each.
    written: Vec<usize>,
    /// Bytes of output that left.
    consumed: usize,
    /// A byte that was refused, and the output before it.
    key: Option<usize>,
}

impl Bulk {
    fn new(count: usize) -> Self {
        let mut pair = Pair::authenticated(Settings::default());
        let keys = pair.open().1;
        let bulk: Vec<_> = (0..count).map(|_| pair.open().1).collect();
        let mut world = Self { pair, keys, written: vec![0; count], bulk, consumed: 0, key: None };
        (0..count).for_each(|at| world.write(at));
        world
    }

    /// All output there was, or will be.
    fn output(&self) -> usize {
        self.consumed + self.pair.server.conn.pending_output()
    }

    fn write(&mut self, at: usize) {
        let mut channel = self.pair.server.conn.channel(self.bulk[at]).unwrap();
        self.written[at] += channel.write(&[7; 1 << 20]);
    }

    /// A key is struck.
    fn strike(&mut self) -> Option<usize> {
        let before = self.output();
        self.key = Some(before);
        self.try_key()
    }

    /// Bytes of bulk data that were put before the key after it was struck.
    fn try_key(&mut self) -> Option<usize> {
        let struck = self.key?;
        let before = self.output();
        let n = self.pair.server.conn.channel(self.keys).unwrap().write(b"k");
        if n == 0 {
            return None;
        }
        self.key = None;
        Some(before - struck)
    }

    /// The network takes some output, and there is room again.
    fn turn(&mut self, n: usize) -> Option<usize> {
        let mut taken = 0;
        while taken < n {
            let output = self.pair.server.conn.output();
            let now = output.len().min(n - taken);
            if now == 0 {
                break;
            }
            self.pair.down.extend(&output[..now]);
            self.pair.server.conn.consume_output(now);
            taken += now;
        }
        self.consumed += taken;
        while receive(&mut self.pair.client.input, &mut self.pair.down) {
            self.pair.client.pull(self.pair.now);
        }
        self.pair.client.seen.clear();
        ship(&mut self.pair.client.conn, &mut self.pair.up, usize::MAX);
        while receive(&mut self.pair.server.input, &mut self.pair.up) {
            self.pair.server.pull(self.pair.now);
        }
        let mut late = None;
        while let Some(id) = self.pair.server.conn.poll_writable() {
            match self.bulk.iter().position(|bulk| *bulk == id) {
                Some(at) => self.write(at),
                None => late = self.try_key().or(late),
            }
        }
        late
    }
}

/// A message of as much data as it may have.
const MESSAGE: usize = MAXIMUM_PACKET_SIZE as usize + OVERHEAD_MAX;

#[test]
fn a_byte_goes_out_behind_what_waits_already_and_one_message_of_each_other_channel() {
    let mut most = (0, 0);
    for count in [1, 3, 7] {
        for width in [1000, 40_000, 300_000, usize::MAX] {
            let mut world = Bulk::new(count);
            let mut rng = SeededRng::new(count as u64);
            (0..3).for_each(|_| assert_eq!(world.turn(width), None));
            for _ in 0..20 {
                let waiting = world.pair.server.conn.pending_output();
                let struck = world.strike();
                let late = struck.or_else(|| (0..1000).find_map(|_| world.turn(width)));
                let late = late.expect("it goes out at last");
                assert!(waiting <= DATA_MARK + MESSAGE, "{waiting}");
                assert!(late <= count * MESSAGE, "{count} channels, {width} bytes at a time: {late} bytes");
                most = most.max((count, late));
                (0..rng.below(4)).for_each(|_| assert_eq!(world.turn(width), None));
            }
        }
    }
    println!(
        "figure: beside {} bulk channels a byte waits for {} bytes that were written after it",
        most.0, most.1
    );
}

#[test]
fn each_channel_gets_its_share_in_each_round() {
    for count in [2, 5] {
        for width in [1000, 40_000, 300_000, usize::MAX] {
            let mut world = Bulk::new(count);
            for _ in 0..100 {
                assert_eq!(world.turn(width), None);
            }
            let (least, most) = (world.written.iter().min().unwrap(), world.written.iter().max().unwrap());
            // One of them was first, when there was room for all that it had.
            assert!(most - least <= DATA_MARK + 2 * MESSAGE, "{width}: {:?}", world.written);
        }
    }
}
