//! Two connections do what the bytes choose, with the algorithms that they choose, and renew their keys in the midst of it;
//! what came out is what went in.
#![no_main]
use libfuzzer_sys::fuzz_target;
use strombus::connection::ChannelLimits;
use strombus::transport::algorithms::{CIPHER, COMPRESSION, KEX, MAC};
use strombus::transport::{EXCHANGES_MAX, Error, TOO_MANY_EXCHANGES, TransportConfig};
use strombus_fuzz::{Choices, End, Pair, Side, quick};

/// Methods that take little time: an input may ask for many exchanges.
const METHODS: [&str; 4] =
    ["curve25519-sha256", "ecdh-sha2-nistp256", "mlkem768x25519-sha256", "mlkem768nistp256-sha256"];

fn offer(choices: &mut Choices<'_>) -> TransportConfig {
    let mut transport = quick();
    let algorithms = &mut transport.algorithms;
    let method = choices.one_of(&METHODS);
    algorithms.kex = KEX.iter().filter(|row| row.name == *method).copied().collect();
    algorithms.cipher = vec![*choices.one_of(CIPHER)];
    algorithms.mac = vec![*choices.one_of(MAC)];
    algorithms.compression = vec![*choices.one_of(COMPRESSION)];
    // None, or after a few packets.
    let limit = choices.byte();
    transport.rekey_limit.bytes = if limit < 128 { u64::MAX } else { u64::from(limit) * 97 };
    transport
}

/// Sends some bytes, each of which tells where it stands; of the longer blocks half are such that they do not compress.
fn write<S: Side>(end: &mut End<S>, sent: &mut Vec<u8>, length: usize) {
    let Some(id) = end.seen.channel else { return };
    let start = sent.len();
    let octet = |at: usize| match length & 128 {
        0 => (at * 31 + at / 251) as u8,
        _ => (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u8,
    };
    let block: Vec<u8> = (start..start + length).map(octet).collect();
    if let Ok(mut channel) = end.conn.channel(id) {
        let n = channel.write(&block);
        sent.extend_from_slice(&block[..n]);
    }
}

fn credit<S: Side>(end: &mut End<S>, part: usize) {
    let n = end.seen.owed.min(part);
    if let Some(mut channel) = end.seen.channel.and_then(|id| end.conn.channel(id).ok()) {
        channel.adjust_window(n).expect("so much was received");
        end.seen.owed -= n;
    }
}

fn finish<S: Side>(end: &mut End<S>, close: bool) {
    if let Some(mut channel) = end.seen.channel.and_then(|id| end.conn.channel(id).ok()) {
        let _closed_before = if close { channel.close() } else { channel.send_eof() };
    }
}

/// A flood of exchanges is refused by design, and by nothing else does a side fail.
fn was_refused(pair: &Pair) -> bool {
    let flooded = |error: &Option<Error>| *error == Some(TOO_MANY_EXCHANGES.into());
    let told = |error: &Option<Error>| matches!(error, Some(Error::Disconnected { description, .. }) if description == TOO_MANY_EXCHANGES.description);
    let errors = [&pair.client.error, &pair.server.error];
    assert!(errors.iter().all(|error| error.is_none() || flooded(error) || told(error)), "{errors:?}");
    errors.iter().any(|error| error.is_some())
}

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices(bytes);
    let limits = ChannelLimits { window_size: 1 + u32::from(choices.byte()) * 700, ..Default::default() };
    let transport = offer(&mut choices);
    let mut pair = Pair::running(transport, limits);
    let (mut up, mut down) = (Vec::new(), Vec::new());
    let (mut closed, mut exchanges) = (false, 0);
    while let [operation, size] = *choices.bytes(2) {
        let size = usize::from(size);
        match operation % 16 {
            0 => write(&mut pair.client, &mut up, size * 97),
            1 => write(&mut pair.server, &mut down, size * 97),
            2 => credit(&mut pair.client, size * 211),
            3 => credit(&mut pair.server, size * 211),
            4..=6 => {
                exchanges += 1;
                if operation % 16 != 5 {
                    pair.client.conn.start_kex();
                }
                if operation % 16 != 4 {
                    pair.server.conn.start_kex();
                }
            }
            7 | 8 => drop(pair.up(size * 17)),
            9 | 10 => drop(pair.down(size * 17)),
            11 => pair.drive(),
            12 => finish(&mut pair.client, false),
            13 => {
                if size < 40 {
                    closed = true;
                    finish(&mut pair.server, true);
                } else {
                    finish(&mut pair.server, false);
                }
            }
            // All that was written comes out before the next thing.
            14 => {
                pair.drive();
                credit(&mut pair.client, usize::MAX);
                credit(&mut pair.server, usize::MAX);
                pair.drive();
            }
            _ => write(&mut pair.client, &mut up, size * 311),
        }
    }
    pair.drive();
    if was_refused(&pair) {
        assert!(exchanges > EXCHANGES_MAX);
        return;
    }
    assert_eq!(pair.client.conn.exchanges(), pair.server.conn.exchanges());
    assert!(exchanges == 0 || pair.client.conn.exchanges() > 1);
    assert_eq!(pair.client.seen.data, down, "from the server");
    if closed {
        assert!(up.starts_with(&pair.server.seen.data), "from the client, as far as it was heard");
    } else {
        assert_eq!(pair.server.seen.data, up, "from the client");
    }
});
