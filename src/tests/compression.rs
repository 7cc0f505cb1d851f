//! Compressed payloads: who agreed upon them gets the same as without, in fewer bytes.

use super::hostile::payload;
use super::pair::{End, Pair, SeededRng, Settings, TestSide, all_output, receive};
use crate::connection::ChannelId;
use crate::crypto::Rng;
use crate::transport::PACKET_LENGTH_MAX_UNAUTHENTICATED;
use crate::transport::algorithms::Compression::{self, None as Plain, ZlibOpenssh as Zlib};
use crate::userauth::Permissions;
use crate::wire::message::Ignore;

fn text(length: usize) -> Vec<u8> {
    (0..).flat_map(|line| format!("{line} GET /index.html 200\n").into_bytes()).take(length).collect()
}

/// The bytes on the wire of a text that is written.
fn written<S: TestSide>(end: &mut End<S>, id: ChannelId, data: &[u8]) -> usize {
    let before = end.conn.pending_output();
    assert_eq!(end.conn.channel(id).unwrap().write(data), data.len());
    end.conn.pending_output() - before
}

fn set(pair: &mut Pair, up: Compression, down: Compression) {
    pair.client.conn.set_compression(up, down);
    pair.server.conn.set_compression(down, up);
}

#[test]
fn each_direction_is_compressed_by_itself() {
    let data = text(100_000);
    for (up, down) in [(Plain, Plain), (Zlib, Plain), (Plain, Zlib), (Zlib, Zlib)] {
        let mut pair = Pair::authenticated(Settings::default());
        let (here, there) = pair.open();
        set(&mut pair, up, down);
        for _ in 0..3 {
            let (sent, answered) =
                (written(&mut pair.client, here, &data), written(&mut pair.server, there, &data));
            pair.drive();
            assert_eq!((sent < 30_000, answered < 30_000), (up == Zlib, down == Zlib), "{sent} {answered}");
        }
        let three = data.repeat(3);
        assert!(pair.server.data() == three && pair.client.data() == three, "{up:?} {down:?}");
        assert_eq!((pair.client.error, pair.server.error), (None, None));
    }
}

#[test]
fn it_is_agreed_upon_by_both_and_begins_with_the_login() {
    let ignore = payload(&Ignore { data: &text(20_000) });
    let mut pair = Pair::keyed(Settings::compressed());
    assert_eq!(pair.client.conn.negotiated().unwrap().client_to_server.compression.algorithm, Zlib);
    pair.client.conn.send_payload(&ignore);
    pair.server.conn.send_payload(&ignore);
    assert!(pair.client.conn.pending_output() > 20_000 && pair.server.conn.pending_output() > 20_000);
    let ticket = pair.client.ticket();
    pair.client.conn.request_password(ticket, b"secret").unwrap();
    pair.drive();
    let ticket = pair.server.ticket();
    pair.server.conn.accept_user(ticket, &Permissions::FULL).unwrap();
    pair.server.conn.send_payload(&ignore);
    assert!(
        pair.server.conn.pending_output() < 10_000,
        "the first packet after USERAUTH_SUCCESS is compressed"
    );
    pair.drive();
    assert!(pair.client.conn.is_authenticated());
    pair.client.conn.send_payload(&ignore);
    assert!(pair.client.conn.pending_output() < 10_000);
    pair.drive();
    assert_eq!((pair.client.error, pair.server.error), (None, None));

    let one_sided = Settings { server: Settings::default().server, ..Settings::compressed() };
    let mut pair = Pair::authenticated(one_sided);
    assert_eq!(pair.client.conn.negotiated().unwrap().server_to_client.compression.algorithm, Plain);
    pair.client.conn.send_payload(&ignore);
    assert!(pair.client.conn.pending_output() > 20_000, "a side alone does not compress");
}

#[test]
fn a_rekey_begins_the_streams_anew() {
    // The same payload gives the same bytes as long as nothing was said before it.
    let fresh = b"\x78\x9c\x00\x06\x00\xf9\xff\x02\x00\x00\x00\x01x\x00\x00\x00\xff\xff";
    let mut pair = Pair::authenticated(Settings::compressed());
    let (here, there) = pair.open();
    let (mut up, mut down) = (Vec::new(), Vec::new());
    for i in 0..12 {
        for (n, data) in [text(777 * i), vec![7; 50_000]].into_iter().enumerate() {
            if n == i % 2 {
                if i % 3 != 0 {
                    pair.client.conn.start_kex();
                }
                if i % 3 != 1 {
                    pair.server.conn.start_kex();
                }
            }
            for _ in 0..=i {
                let sent = pair.client.conn.channel(here).unwrap().write(&data);
                up.extend_from_slice(&data[..sent]);
                let sent = pair.server.conn.channel(there).unwrap().write(&data);
                down.extend_from_slice(&data[..sent]);
                pair.round();
            }
        }
        pair.drive();
    }
    assert_eq!((pair.client.error.take(), pair.server.error.take()), (None, None));
    assert!(pair.client.conn.exchanges() > 6 && up.len() > 1_000_000 && down.len() > 1_000_000);
    assert!(pair.server.data() == up && pair.client.data() == down);

    // With no word said since, NEWKEYS is followed by the beginning of a stream.
    pair.now += std::time::Duration::from_secs(3600);
    pair.client.conn.start_kex();
    pair.drive();
    pair.client.conn.send_payload_as_it_is(fresh);
    pair.server.conn.send_payload_as_it_is(fresh);
    pair.drive();
    assert_eq!((pair.client.error, pair.server.error), (None, None));
}

#[test]
fn a_rekey_after_the_login_that_agrees_upon_it_begins_it_at_once() {
    let mut pair = Pair::authenticated(Settings::compressed());
    let (here, there) = pair.open();
    set(&mut pair, Plain, Plain);
    let data = text(30_000);
    assert!(
        written(&mut pair.client, here, &data) > 30_000 && written(&mut pair.server, there, &data) > 30_000
    );
    pair.client.conn.start_kex();
    pair.drive();
    assert!(
        written(&mut pair.client, here, &data) < 10_000 && written(&mut pair.server, there, &data) < 10_000
    );
    pair.drive();
    assert!(pair.server.data() == data.repeat(2) && pair.client.data() == data.repeat(2));
}

#[test]
fn what_cannot_be_compressed_arrives_in_packets_that_every_peer_takes() {
    let mut settings = Settings::compressed();
    settings.client.rekey_limit.bytes = 300_000;
    let mut pair = Pair::authenticated(settings);
    let (here, _) = pair.open();
    let mut data = vec![0; 2_000_000];
    SeededRng::new(5).fill(&mut data);
    let (mut sent, mut largest) = (0, 0);
    while sent < data.len() {
        sent += pair.client.conn.channel(here).unwrap().write(&data[sent..]);
        // The length is in clear with AES-GCM.
        let bytes = all_output(&mut pair.client.conn);
        let mut rest = &bytes[..];
        while let Some((length, _)) = rest.split_first_chunk() {
            let whole = 4 + u32::from_be_bytes(*length) as usize + 16;
            largest = largest.max(whole);
            rest = &rest[whole..];
        }
        let mut bytes = bytes.into();
        while receive(&mut pair.server.input, &mut bytes) || !bytes.is_empty() {
            pair.server.pull(pair.now);
            assert_eq!(pair.server.error, None);
        }
        pair.drive();
        assert_eq!(pair.client.error, None);
    }
    pair.drive();
    assert!(pair.server.data() == data);
    assert!(pair.client.conn.exchanges() > 5);
    assert!((32_800..=PACKET_LENGTH_MAX_UNAUTHENTICATED).contains(&largest), "{largest}");
}
