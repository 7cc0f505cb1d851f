//! Keys are renewed at any moment, and nobody notices.

use super::pair::{Pair, Seen, Settings};
use crate::transport::RekeyLimit;
use std::time::Duration;

#[test]
fn data_written_around_a_rekey_arrives_once_and_in_order() {
    let mut pair = Pair::authenticated(Settings::default());
    let (here, there) = pair.open();
    let session_id = pair.client.conn.session_id().to_vec();
    let (mut up, mut down): (Vec<u8>, Vec<u8>) = (Vec::new(), Vec::new());
    for i in 0..30_u8 {
        match i % 3 {
            0 => pair.client.conn.start_kex(),
            1 => pair.server.conn.start_kex(),
            _ => {
                pair.client.conn.start_kex();
                pair.server.conn.start_kex();
            }
        }
        for _ in 0..=i {
            let block = [i; 777];
            let n = pair.client.conn.channel(here).unwrap().write(&block);
            up.extend(&block[..n]);
            let n = pair.server.conn.channel(there).unwrap().write(&block);
            down.extend(&block[..n]);
            pair.round();
        }
        pair.drive();
    }
    assert_eq!((pair.client.error.take(), pair.server.error.take()), (None, None));
    assert!(up.len() > 100_000 && down.len() > 100_000, "{} {}", up.len(), down.len());
    assert!(pair.server.data() == up && pair.client.data() == down);
    assert_eq!(pair.client.conn.session_id(), session_id, "the first exchange's, for ever");
}

#[test]
fn t77_control_messages_of_a_rekey_keep_their_order() {
    let mut pair = Pair::authenticated(Settings::default());
    let (_, there) = pair.open();
    pair.server.conn.start_kex();
    let mut channel = pair.server.conn.channel(there).unwrap();
    assert_eq!(channel.write(b"barred"), 0, "data is refused, and offered again");
    channel.send_exit_status(0).unwrap();
    channel.send_eof().unwrap();
    channel.close().unwrap();
    pair.drive();
    let status = Seen::Request("ExitStatus { exit_status: 0 }".to_owned());
    assert_eq!(pair.client.seen[5..], [status, Seen::Eof, Seen::Closed]);
}

#[test]
fn keys_are_renewed_by_bytes_and_by_time() {
    let rekey_limit = RekeyLimit { bytes: 1 << 20, time: Duration::from_secs(60) };
    let mut settings = Settings::default();
    settings.client.rekey_limit = rekey_limit;
    let mut pair = Pair::authenticated(settings);
    let (here, _) = pair.open();
    assert_eq!(pair.client.conn.exchanges(), 1);
    let block = vec![1; 300_000];
    for _ in 0..8 {
        pair.client.conn.channel(here).unwrap().write(&block);
        pair.drive();
    }
    assert!((2..=4).contains(&pair.client.conn.exchanges()), "{}", pair.client.conn.exchanges());
    let before = pair.client.conn.exchanges();
    assert!(pair.client.conn.poll_timeout().unwrap() <= pair.now + Duration::from_secs(60));
    pair.wait(Duration::from_secs(60));
    pair.drive();
    assert_eq!(pair.client.conn.exchanges(), before + 1);
    assert_eq!(pair.server.conn.exchanges(), before + 1);
}

#[test]
fn no_key_serves_longer_than_its_cipher_may_whatever_the_limit() {
    for (cipher, bytes_max) in [
        ("chacha20-poly1305@openssh.com", 1 << 30),
        ("aes128-gcm@openssh.com", 64 << 30),
        ("aes256-ctr", 64 << 30),
    ] {
        for (bytes, exchanges) in [(bytes_max - 4096, 1), (bytes_max, 2)] {
            let mut settings = Settings::protected(cipher, "hmac-sha2-256");
            settings.client.rekey_limit.bytes = u64::MAX;
            settings.server.rekey_limit.bytes = u64::MAX;
            let mut pair = Pair::running(settings);
            pair.client.conn.age_keys(0, bytes);
            let there = pair.server.channel.unwrap();
            pair.server.conn.channel(there).unwrap().write(b"one more");
            pair.drive();
            assert_eq!(pair.client.conn.exchanges(), exchanges, "{cipher} {bytes}");
        }
    }
}
