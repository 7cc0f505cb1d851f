//! Orders of events: any cut of the bytes, a rekey at any step, pipes of any width.

use super::pair::{
    End, Pair, SeededRng, Seen, Settings, TestSide, all_output, protections, receive, ship, user_key,
};
use crate::connection::{ChannelId, ChannelLimits};
use crate::transport::algorithms::{CIPHER, KEX};
use crate::transport::{RekeyLimit, TransportConfig};
use crate::userauth::Permissions;
use std::collections::VecDeque;
use std::time::Duration;

/// A whole conversation, up to a closed channel; the bytes of each direction.
pub(super) fn conversation() -> (Pair, Vec<u8>, Vec<u8>) {
    let mut pair = Pair::new(Settings::default());
    let (mut up, mut down) = (Vec::new(), Vec::new());
    let mut step = 0;
    loop {
        let from_client = all_output(&mut pair.client.conn);
        let from_server = all_output(&mut pair.server.conn);
        let moved = !from_client.is_empty() || !from_server.is_empty();
        up.extend_from_slice(&from_client);
        down.extend_from_slice(&from_server);
        let mut pipes = (VecDeque::from(from_client), VecDeque::from(from_server));
        receive(&mut pair.server.input, &mut pipes.0);
        receive(&mut pair.client.input, &mut pipes.1);
        pair.server.pull(pair.now);
        pair.client.pull(pair.now);
        if !moved {
            if !act(&mut pair, step) {
                return (pair, up, down);
            }
            step += 1;
        }
    }
}

/// What the applications do, one thing after another; false when all is done.
fn act(pair: &mut Pair, step: usize) -> bool {
    let (here, there) = (pair.client.channel, pair.server.channel);
    match step {
        0 => {
            let ticket = pair.client.ticket();
            pair.client.conn.accept_host_key(ticket).unwrap();
        }
        1 => {
            let ticket = pair.client.ticket();
            pair.client.conn.request_publickey(ticket, user_key()).unwrap();
        }
        2 | 3 => {
            let ticket = pair.server.ticket();
            pair.server.conn.accept_user(ticket, &Permissions::FULL).unwrap();
        }
        4 => drop(pair.client.conn.open_session().unwrap()),
        5 => pair.server.conn.accept_channel(there.unwrap()).unwrap(),
        6 => pair.client.conn.channel(here.unwrap()).unwrap().request_exec(b"cat").unwrap(),
        7 => pair.server.conn.channel(there.unwrap()).unwrap().reply(true).unwrap(),
        8 => {
            assert_eq!(pair.client.conn.channel(here.unwrap()).unwrap().write(b"question"), 8);
            pair.client.conn.channel(here.unwrap()).unwrap().send_eof().unwrap();
        }
        9 => {
            let mut channel = pair.server.conn.channel(there.unwrap()).unwrap();
            assert_eq!(channel.write(b"answer"), 6);
            channel.send_exit_status(0).unwrap();
            channel.send_eof().unwrap();
        }
        10 => pair.server.conn.channel(there.unwrap()).unwrap().close().unwrap(),
        _ => return false,
    }
    true
}

/// Replays what one side got, cut in pieces, and does what its application did when it waits.
fn replay<S: TestSide>(
    end: &mut End<S>,
    bytes: &[u8],
    cuts: &mut dyn FnMut() -> usize,
    mut act: impl FnMut(&mut End<S>),
) {
    let (mut rest, now) = (bytes, std::time::Instant::now());
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(cuts().clamp(1, rest.len()));
        rest = later;
        let mut pipe: VecDeque<u8> = piece.to_vec().into();
        receive(&mut end.input, &mut pipe);
        loop {
            let moved = end.step(now);
            act(end);
            // The output is taken a byte at a time.
            while !end.conn.output().is_empty() {
                end.conn.consume_output(1);
            }
            if !moved {
                break;
            }
        }
    }
}

#[test]
fn t17_any_cut_of_the_bytes_gives_the_same_events() {
    let (recorded, up, down) = conversation();
    let mut rng = SeededRng::new(17);
    for round in 0..60 {
        let mut cuts: Box<dyn FnMut() -> usize> = match round {
            0 => Box::new(|| 1),
            1 => Box::new(|| usize::MAX),
            _ => Box::new(|| rng.below(97) + 1),
        };
        let mut pair = Pair::new(Settings::default());
        all_output(&mut pair.client.conn);
        let mut opened = false;
        replay(&mut pair.client, &down, &mut cuts, |client| {
            while let Some(ticket) = client.tickets.pop_front() {
                match client.seen.last().unwrap() {
                    Seen::HostKey(_) => client.conn.accept_host_key(ticket).unwrap(),
                    _ => client.conn.request_publickey(ticket, user_key()).unwrap(),
                }
            }
            match client.seen.last() {
                Some(Seen::Authenticated) if !opened => {
                    client.conn.open_session().unwrap();
                    opened = true;
                }
                Some(Seen::Opened) if client.channel.is_some() => {
                    let id = client.channel.unwrap();
                    client.conn.channel(id).unwrap().request_exec(b"cat").unwrap();
                    client.seen.push(Seen::Exec(Vec::new())); // done once
                }
                _ => {}
            }
        });
        let seen: Vec<_> = pair.client.seen.iter().filter(|s| !matches!(s, Seen::Exec(_))).cloned().collect();
        assert_eq!((&seen, &pair.client.error), (&recorded.client.seen, &None), "round {round}");

        let mut pair = Pair::new(Settings::default());
        all_output(&mut pair.server.conn);
        replay(&mut pair.server, &up, &mut cuts, |server| {
            while let Some(ticket) = server.tickets.pop_front() {
                server.conn.accept_user(ticket, &Permissions::FULL).unwrap();
            }
            match (server.seen.last(), server.channel) {
                (Some(Seen::OpenRequest), Some(id)) => drop(server.conn.accept_channel(id)),
                (Some(Seen::Exec(_)), Some(id)) => drop(server.conn.channel(id).unwrap().reply(true)),
                (Some(Seen::Eof), Some(id)) => drop(server.conn.channel(id).unwrap().close()),
                _ => {}
            }
        });
        assert_eq!((&pair.server.seen, &pair.server.error), (&recorded.server.seen, &None), "round {round}");
    }
}

#[test]
fn a_rekey_at_every_step_changes_nothing_that_is_seen() {
    let (recorded, ..) = conversation();
    let settings = [Settings::default as fn() -> Settings, Settings::compressed];
    for (at, settings) in (4..12).flat_map(|at| settings.map(|settings| (at, settings))) {
        for who in 0..3 {
            let mut pair = Pair::new(settings());
            let mut step = 0;
            loop {
                pair.drive();
                if step == at {
                    // The exchange is under way while the step is done: what it says waits, in its order.
                    if who != 1 {
                        pair.client.conn.start_kex();
                    }
                    if who != 0 {
                        pair.server.conn.start_kex();
                    }
                }
                let data = (8..10).contains(&step) && step == at;
                if data {
                    // Data is refused until the exchange is over; a patient application offers it then.
                    pair.drive();
                }
                if !act(&mut pair, step) {
                    break;
                }
                step += 1;
            }
            pair.drive();
            assert_eq!(pair.client.seen, recorded.client.seen, "step {at}, {who}");
            assert_eq!(pair.server.seen, recorded.server.seen, "step {at}, {who}");
            assert_eq!((pair.client.error, pair.server.error), (None, None));
        }
    }
}

/// One side sends and receives this much.
struct Sender {
    id: ChannelId,
    left: usize,
}

fn push<S: TestSide>(end: &mut End<S>, sender: &mut Sender, pipe: &mut VecDeque<u8>, width: usize) -> bool {
    let block = [7; 32_768];
    let n = end.conn.channel(sender.id).unwrap().write(&block[..block.len().min(sender.left)]);
    sender.left -= n;
    ship(&mut end.conn, pipe, width) || n > 0
}

/// Takes input as a driver does: not above the mark.
fn pull<S: TestSide>(end: &mut End<S>, pipe: &mut VecDeque<u8>, now: std::time::Instant) -> bool {
    let mut moved = false;
    if end.conn.pending_output() < 2 * crate::transport::DATA_MARK {
        moved = receive(&mut end.input, pipe);
        while end.conn.pending_output() < 2 * crate::transport::DATA_MARK && end.step(now) {
            moved = true;
        }
    }
    moved
}

/// Bytes that came as data, which are not kept.
fn taken<S: TestSide>(end: &mut End<S>) -> usize {
    end.seen.drain(..).map(|seen| if let Seen::Data(data) = seen { data.len() } else { 0 }).sum()
}

fn cross(seed: u64, total: usize, rekey: bool) {
    let mut rng = SeededRng::new(seed);
    let limits = ChannelLimits { window_size: 32 * 1024, window_max: 32 * 1024, ..Default::default() };
    let mut pair = Pair::authenticated(Settings { limits, seed, ..Default::default() });
    let (here, there) = pair.open();
    let (mut up, mut down) = (Sender { id: here, left: total }, Sender { id: there, left: total });
    let width = [1024, 4096, 65_536][rng.below(3)];
    let (mut to_server, mut to_client) = (0, 0);
    let mut idle = 0;
    while to_server < total || to_client < total {
        let mut moved = false;
        for _ in 0..4 {
            moved |= match rng.below(4) {
                0 => push(&mut pair.client, &mut up, &mut pair.up, width),
                1 => push(&mut pair.server, &mut down, &mut pair.down, width),
                2 => pull(&mut pair.server, &mut pair.up, pair.now),
                _ => pull(&mut pair.client, &mut pair.down, pair.now),
            };
        }
        if rekey && rng.below(50) == 0 {
            if rng.below(2) == 0 { pair.client.conn.start_kex() } else { pair.server.conn.start_kex() }
        }
        to_server += taken(&mut pair.server);
        to_client += taken(&mut pair.client);
        idle = if moved { 0 } else { idle + 1 };
        assert!(idle < 200, "seed {seed}: a standstill at {to_server} and {to_client} of {total}");
    }
    assert_eq!((to_server, to_client, pair.client.error, pair.server.error), (total, total, None, None));
}

#[test]
fn t78_two_bulk_senders_never_stand_still() {
    for seed in 0..1000 {
        cross(seed, 96 * 1024, false);
    }
    cross(1000, 4 << 20, false);
}

#[test]
fn t35_rekeys_that_cross_under_full_windows_end_and_lose_nothing() {
    for seed in 0..1000 {
        cross(seed, 48 * 1024, true);
    }
    cross(1000, 4 << 20, true);
}

#[test]
fn t77_a_megabyte_and_its_end_arrive_in_order_whatever_keys_are_renewed() {
    let rekey_limit = RekeyLimit { bytes: 20_000, time: Duration::from_secs(3600) };
    let client = TransportConfig { rekey_limit, ..TransportConfig::client() };
    let server = TransportConfig { rekey_limit, ..TransportConfig::server() };
    let limits = ChannelLimits { window_size: 9000, window_max: 9000, ..Default::default() };
    let mut pair = Pair::authenticated(Settings { client, server, limits, ..Default::default() });
    let (_, there) = pair.open();
    let data: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
    let mut sent = 0;
    while sent < data.len() {
        sent += pair.server.conn.channel(there).unwrap().write(&data[sent..]);
        pair.round();
    }
    let mut channel = pair.server.conn.channel(there).unwrap();
    channel.send_exit_status(9).unwrap();
    channel.send_eof().unwrap();
    channel.close().unwrap();
    pair.drive();
    assert!(pair.client.data() == data);
    let status = Seen::Request("ExitStatus { exit_status: 9 }".to_owned());
    assert_eq!(pair.client.seen[pair.client.seen.len() - 3..], [status, Seen::Eof, Seen::Closed]);
    assert!(pair.client.conn.exchanges() > 20, "{}", pair.client.conn.exchanges());
}

#[test]
fn t02_one_deadline_from_the_connection_to_the_login_whatever_comes_meanwhile() {
    let mut pair = Pair::new(Settings::default());
    let began = pair.now;
    for second in (0..120).step_by(10) {
        pair.now = began + Duration::from_secs(second);
        assert_eq!(pair.server.conn.handle_timeout(pair.now), Ok(()));
        let mut byte = VecDeque::from(
            b"SSH-2.0-slowly".get(usize::try_from(second / 10).unwrap()..).unwrap()[..1].to_vec(),
        );
        receive(&mut pair.server.input, &mut byte);
        pair.server.pull(pair.now);
    }
    assert_eq!(pair.server.conn.poll_timeout(), Some(began + Duration::from_secs(120)));
    assert!(pair.server.conn.handle_timeout(began + Duration::from_secs(120)).is_err());
    assert!(
        all_output(&mut pair.server.conn).starts_with(b"SSH-2.0-strombus"),
        "closed without a packet more"
    );
    let mut keyed = Pair::keyed(Settings::default());
    assert!(keyed.server.conn.handle_timeout(keyed.now + Duration::from_secs(120)).is_err());
    let mut running = Pair::running(Settings::default());
    assert_eq!(running.server.conn.handle_timeout(running.now + Duration::from_secs(3000)), Ok(()));
}

#[test]
fn each_direction_has_its_own_cipher_and_every_choice_is_taken() {
    let protected = protections().map(|(cipher, mac)| {
        (Settings::protected(cipher.name, mac.name), "curve25519-sha256", cipher, Some(mac))
    });
    let with_method = KEX.iter().map(|kex| {
        let mut settings = Settings::default();
        settings.client.algorithms.kex = vec![*kex];
        settings.server.algorithms.kex = vec![*kex];
        (settings, kex.name, CIPHER[0], None)
    });
    for (settings, kex, cipher, mac) in protected.chain(with_method) {
        let mut pair = Pair::authenticated(settings);
        let (here, _) = pair.open();
        pair.client.conn.channel(here).unwrap().write(b"x");
        pair.server.conn.start_kex();
        pair.drive();
        assert_eq!((pair.server.data(), pair.server.conn.exchanges()), (b"x".to_vec(), 2));
        let negotiated = pair.client.conn.negotiated().unwrap();
        assert_eq!((negotiated.kex.name, negotiated.client_to_server.cipher.name), (kex, cipher.name));
        assert_eq!(negotiated.server_to_client.mac, mac.filter(|_| !cipher.algorithm.is_aead()));
    }
}

#[test]
fn t18_padding_of_sealed_packets_is_random() {
    let mut pair = Pair::running(Settings::default());
    let here = pair.client.channel.unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        pair.client.conn.channel(here).unwrap().write(b"the same");
        assert!(seen.insert(all_output(&mut pair.client.conn)), "no two packets are alike");
    }
}
