//! Conversations of ours with OpenSSH, recorded once and had again: from the same seed and the same bytes of the peer come
//! the same bytes and the same events, however the bytes are cut. `vectors/replay` holds them: one for each key exchange
//! method in each role, and some of what else changes the bytes. Where no OpenSSH has the method the peer is ours.
//!
//! `STROMBUS_RECORD=1 cargo test --test replay` records all of them anew, with the OpenSSH that `tests/setup` installs and
//! with curl (of Debian 12: libssh2 without strict key exchange). That is due when our bytes change on purpose: another
//! version (it stands in the identification line), another order of drawing from the generator, another compressor, a
//! further method. A test that fails without such a purpose has found a mistake; recording anew would hide it.

mod end;
#[path = "../interop/openssh.rs"]
#[expect(dead_code, reason = "the interop tests run more of OpenSSH than a recording needs")]
mod openssh;
mod record;
mod recording;
#[path = "../common/rng.rs"]
mod rng;

use end::{End, REKEY_BEGINS, REKEY_ENDS, Side};
use recording::{Recording, Rekey};
use rng::SeededRng;
use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;
use strombus::crypto::Rng;
use strombus::transport::algorithms::KEX;
use strombus::transport::{Client, EXCHANGES_MAX, Server};
use strombus::wire::number::Sender;

/// What all recordings may take (bytes).
const SIZE_MAX: u64 = 1_500_000;

/// Every recording; new ones first if that is asked for.
static RECORDINGS: LazyLock<Vec<Recording>> = LazyLock::new(|| {
    if std::env::var_os("STROMBUS_RECORD").is_some() {
        recording::replace_all(&record::record_all());
    }
    recording::read_all()
});

/// Replays every recording with a function for each role.
fn each(client: impl Fn(&Recording), server: impl Fn(&Recording)) {
    for recording in &*RECORDINGS {
        println!("{}", recording.name);
        match recording.settings.role {
            Sender::Client => client(recording),
            Sender::Server => server(recording),
        }
    }
}

/// The peer's bytes as they came.
fn replay_as_recorded<S: Side>(recording: &Recording) {
    let Recording { name, settings, turns } = recording;
    let mut end = End::<S>::new(settings);
    for (id, turn) in turns.iter().enumerate() {
        let again = end.take(&turn.input, usize::MAX);
        assert_eq!(again.events, turn.events, "{name}: ID {id}");
        assert!(again.output == turn.output, "{name}: ID {id}: other bytes go out");
    }
    end.assert_complete();
    assert_eq!(end.peer(), settings.peer, "{name}");
    let negotiated = end.negotiated();
    assert_eq!(negotiated.kex.name, settings.kex, "{name}");
    for direction in [&negotiated.client_to_server, &negotiated.server_to_client] {
        assert_eq!(direction.cipher.name, settings.cipher, "{name}");
        assert!(direction.mac.is_none_or(|mac| mac.name == settings.mac), "{name}");
        assert_eq!(direction.compression.name, settings.compression, "{name}");
    }
}

/// The same bytes, as many at a time as `cut` says, and the output consumed by as many as `consumed` says.
fn replay_cut<S: Side>(recording: &Recording, mut cut: impl FnMut() -> usize, consumed: usize) {
    let Recording { name, settings, turns } = recording;
    let input: Vec<u8> = turns.iter().flat_map(|turn| turn.input.clone()).collect();
    let mut end = End::<S>::new(settings);
    let mut again = end.take(&[], consumed);
    let mut rest = &*input;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(cut().min(rest.len()));
        let turn = end.take(now, consumed);
        again.events.extend(turn.events);
        again.output.extend(turn.output);
        rest = later;
    }
    end.assert_complete();
    assert_eq!(again.events, turns.iter().flat_map(|turn| turn.events.clone()).collect::<Vec<_>>(), "{name}");
    let output: Vec<u8> = turns.iter().flat_map(|turn| turn.output.clone()).collect();
    assert!(again.output == output, "{name}: other bytes go out");
}

fn replay_cut_at_random<S: Side>(recording: &Recording) {
    let mut rng = SeededRng::new(recording.settings.seed + 500);
    let mut cut = || {
        let mut bytes = [0; 2];
        rng.fill(&mut bytes);
        1 + usize::from(u16::from_be_bytes(bytes)) % 700
    };
    replay_cut::<S>(recording, &mut cut, 100);
}

#[test]
fn t31_every_conversation_is_had_again_byte_for_byte() {
    each(replay_as_recorded::<Client>, replay_as_recorded::<Server>);
    println!("figure: {} recorded conversations", RECORDINGS.len());
}

#[test]
fn t17_cut_at_every_octet_the_bytes_and_events_are_the_same() {
    each(|r| replay_cut::<Client>(r, || 1, 1), |r| replay_cut::<Server>(r, || 1, 1));
}

#[test]
fn t17_cut_anywhere_the_bytes_and_events_are_the_same() {
    each(replay_cut_at_random::<Client>, replay_cut_at_random::<Server>);
}

#[test]
fn every_method_has_a_recording_in_each_role() {
    let recorded: BTreeSet<_> =
        RECORDINGS.iter().map(|r| (&*r.settings.kex, r.settings.role == Sender::Client)).collect();
    let missing: Vec<_> = KEX
        .iter()
        .flat_map(|row| [(row.name, true), (row.name, false)])
        .filter(|case| !recorded.contains(case))
        .collect();
    assert!(missing.is_empty(), "STROMBUS_RECORD=1 cargo test --test replay: {missing:?}");
}

#[test]
fn what_else_changes_the_bytes_has_a_recording_in_each_role() {
    for role in [Sender::Client, Sender::Server] {
        let count = |is: &dyn Fn(&Recording) -> bool| {
            RECORDINGS.iter().filter(|r| r.settings.role == role && is(r)).count()
        };
        assert_eq!(count(&|r| r.settings.compression == "zlib@openssh.com"), 1, "{role:?}");
        assert_eq!(count(&|r| r.settings.cipher == "aes256-ctr" && r.settings.mac.contains("512-etm")), 1);
        assert_eq!(count(&|r| r.settings.rekey == Rekey::Local), 1, "{role:?}");
        assert_eq!(count(&|r| r.settings.rekey == Rekey::Remote), 1, "{role:?}");
    }
    let is_strict = |r: &Recording| {
        let clear: Vec<u8> = r.turns.iter().flat_map(|turn| turn.input.clone()).collect();
        clear.windows(b"kex-strict-".len()).any(|name| name == b"kex-strict-")
    };
    let not_strict: Vec<_> = RECORDINGS.iter().filter(|r| !is_strict(r)).map(|r| &*r.name).collect();
    assert_eq!(not_strict, ["not-strict-server"]);
}

/// Counts the exchanges after the first, and has those of the recording again that has any.
fn replay_rekeys<S: Side>(recording: &Recording) {
    let Recording { name, settings, turns } = recording;
    let count = |word| turns.iter().flat_map(|turn| &turn.events).filter(|event| **event == word).count();
    let (begun, ended) = (count(REKEY_BEGINS), count(REKEY_ENDS));
    assert_eq!(begun, ended, "{name}");
    let expected = match settings.rekey {
        Rekey::Nobody => 0..=0,
        Rekey::Local => 1..=1,
        // More within a minute than are taken from a peer that sends no data between them.
        Rekey::Remote => EXCHANGES_MAX as usize + 1..=usize::MAX,
    };
    assert!(expected.contains(&begun), "{name}: {begun} exchanges");
    if begun > 0 {
        replay_as_recorded::<S>(recording);
    }
}

#[test]
fn t36_a_peer_that_renews_its_keys_for_every_few_bytes_is_followed() {
    each(replay_rekeys::<Client>, replay_rekeys::<Server>);
}

#[test]
fn the_recordings_are_small() {
    let _written = RECORDINGS.len();
    let entries = fs::read_dir(recording::directory()).unwrap();
    let size: u64 = entries.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    println!("figure: recordings of {size} bytes");
    assert!(size <= SIZE_MAX, "{size} bytes");
}
