//! The transport: identification, packets, exchanges, extensions.

use super::{
    asking, assert_told, both, clear, feed, first_bytes, keyed, payload, refused_by_both, refused_by_client,
    refused_by_server, running,
};
use crate::crypto::{Cipher, Mac};
use crate::tests::pair::{End, Pair, Settings, TestSide, all_output, host_key, protections};
use crate::transport::algorithms::{Algorithm, KEX, pick};
use crate::transport::*;
use crate::wire::message::*;
use crate::wire::{Decode, DisconnectReason, MALFORMED, NameList, Writer};

#[test]
fn t01_only_a_server_may_talk_before_its_identification_and_only_so_much() {
    assert_eq!(first_bytes(b"hello\r\n"), [None, Some(NOT_SSH.into())]);
    let lines = b"line\r\n".repeat(LINES_MAX);
    assert_eq!(first_bytes(&[&lines[..], b"SSH-2.0-x\r\n"].concat())[0], None);
    assert_eq!(first_bytes(&[&lines[..], b"line\r\n"].concat())[0], Some(TOO_MANY_LINES.into()));
    assert_eq!(first_bytes(&vec![b'x'; LINE_MAX])[0], Some(TOO_MANY_LINES.into()));
    let long = [b"SSH-2.0-".to_vec(), vec![b'x'; 246], b"\r\n".to_vec()].concat();
    assert_eq!(first_bytes(&long), both(IDENTIFICATION_LENGTH));
    assert_eq!(first_bytes(&long[1..]), [None, Some(NOT_SSH.into())]);
    assert_eq!(first_bytes(&[&long[..253], b"\r\n"].concat()), [None, None], "255 bytes are allowed");
}

#[test]
fn t03_t04_an_identification_is_printable_and_of_version_two() {
    for bytes in [
        &b"SSH-2.0-a\0b\r\n"[..],
        b"SSH-2.0-x\x1b]0;pwn\x07\r\n",
        b"SSH-2.0-a\rb\n",
        b"SSH-2.0-\r\n",
        b"SSH-2.0- x\r\n",
    ] {
        assert_eq!(first_bytes(bytes), both(IDENTIFICATION_CHARACTER), "{}", bytes.escape_ascii());
    }
    for bytes in [&b"SSH-1.5-x\r\n"[..], b"SSH-3.0-x\r\n", b"SSH-2.1-x\r\n"] {
        assert_eq!(first_bytes(bytes), both(VERSION));
    }
    for bytes in [&b"SSH-1.99-x\r\n"[..], b"SSH-2.0-x\n", b"SSH-2.0-a-b c d\r\n"] {
        assert_eq!(first_bytes(bytes), [None, None], "{}", bytes.escape_ascii());
    }
}

#[test]
fn t05_another_protocol_fails_at_its_first_bytes() {
    for bytes in [&b"GET / HTTP/1.0\r\n"[..], b"\x16\x03\x01\x02\x00", b"S", b"\0"] {
        let expected = if b"SSH-".starts_with(bytes) { None } else { Some(NOT_SSH.into()) };
        assert_eq!(first_bytes(bytes)[1], expected);
    }
}

#[test]
fn t06_t07_a_packet_out_of_shape_is_refused_in_clear() {
    let identified = |bytes: &[u8]| first_bytes(&[b"SSH-2.0-x\r\n", bytes].concat());
    for length in [0, 1, 4, 35_001, 0x0004_0001, u32::MAX, 13, 16] {
        assert_eq!(identified(&length.to_be_bytes()), both(PACKET_LENGTH), "{length}");
    }
    let packet = |padding_length: u8| [&[0, 0, 0, 12, padding_length, 2][..], &[0; 10]].concat();
    assert_eq!(identified(&packet(3)), both(PADDING_LENGTH));
    assert_eq!(identified(&packet(12)), both(PADDING_LENGTH));
    assert_eq!(identified(&packet(255)), both(PADDING_LENGTH));
    assert_eq!(identified(&packet(11)), both(EMPTY_PAYLOAD));
}

#[test]
fn t08_a_packet_changed_anywhere_is_refused_and_nothing_of_it_is_seen() {
    for (cipher, mac) in protections() {
        for at in 0..60 {
            let mut pair = Pair::authenticated(Settings::protected(cipher.name, mac.name));
            let (here, _) = pair.open();
            pair.client.conn.channel(here).unwrap().write(b"a secret for the server");
            let mut bytes = pair.client.conn.output().to_vec();
            let Some(byte) = bytes.get_mut(at) else { break };
            *byte ^= 0x10;
            let seen = pair.server.seen.len();
            feed(&mut pair.server, &bytes);
            // A length that became larger waits for bytes that never come; the others fail at once.
            feed(&mut pair.server, &vec![0; 2 * PACKET_LENGTH_MAX]);
            let error = pair.server.error.clone();
            let length = at < 4 && error == Some(PACKET_LENGTH.into());
            assert!(
                length || error == Some(MAC_ERROR.into()),
                "{} {} {at}: {error:?}",
                cipher.name,
                mac.name
            );
            assert_eq!(pair.server.seen.len(), seen, "nothing is told of it");
        }
    }
}

#[test]
fn t09_t124_with_a_plain_mac_the_place_of_a_wrong_length_does_not_show() {
    let plain = |(cipher, mac): &(Algorithm<Cipher>, Algorithm<Mac>)| {
        !cipher.algorithm.is_aead() && !mac.name.contains("etm")
    };
    for (cipher, mac) in protections().filter(plain) {
        let mut pair = Pair::authenticated(Settings::protected(cipher.name, mac.name));
        let (here, _) = pair.open();
        pair.client.conn.channel(here).unwrap().write(b"data");
        let mut bytes = pair.client.conn.output().to_vec();
        bytes[0] ^= 0xff;
        feed(&mut pair.server, &bytes);
        assert_eq!(pair.server.error, None);
        feed(&mut pair.server, &vec![0; PACKET_LENGTH_MAX - bytes.len() - 1]);
        assert_eq!(pair.server.error, None, "one byte before the largest packet would have ended");
        feed(&mut pair.server, &[0]);
        assert_eq!(pair.server.error, Some(MAC_ERROR.into()), "{} {}", cipher.name, mac.name);
    }
}

#[test]
fn t10_t11_strict_key_exchange_takes_nothing_else() {
    for extra in [
        payload(&Ignore { data: b"" }),
        payload(&NewKeys {}),
        payload(&ServiceRequest { service_name: b"ssh-userauth" }),
        vec![4, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        vec![3, 0, 0, 0, 0],
        vec![192, 0, 0, 0, 0],
        vec![7, 0, 0, 0, 0],
    ] {
        // Our side's KEXINIT is out; the next thing must be the exchange.
        refused_by_server(Pair::new(Settings::default()), std::slice::from_ref(&extra), UNEXPECTED_MESSAGE);
        refused_by_client(Pair::new(Settings::default()), std::slice::from_ref(&extra), UNEXPECTED_MESSAGE);
    }
}

#[test]
fn t10_strict_key_exchange_begins_with_the_first_packet() {
    let mut pair = Pair::new(Settings::default());
    let output = pair.client.conn.output().to_vec();
    let line = output.iter().position(|b| *b == b'\n').unwrap() + 1;
    let bytes = [&output[..line], &clear(&payload(&Ignore { data: b"" })), &output[line..]].concat();
    feed(&mut pair.server, &bytes);
    assert_eq!(pair.server.error, Some(KEXINIT_NOT_FIRST.into()));
}

#[test]
fn t19_a_second_kexinit_ends_the_connection() {
    let mut pair = Pair::new(Settings::default());
    let output = pair.client.conn.output().to_vec();
    let line = output.iter().position(|b| *b == b'\n').unwrap() + 1;
    feed(&mut pair.server, &[&output[..], &output[line..]].concat());
    assert_eq!(pair.server.error, Some(UNEXPECTED_MESSAGE.into()));
}

#[test]
fn t19_a_list_as_long_as_a_packet_finds_nothing_in_common_and_next_to_nothing_is_kept() {
    let names = b"a,".repeat(130_000);
    let list = NameList::from_bytes(&names[..names.len() - 1]).unwrap();
    let empty = NameList::from_bytes(b"").unwrap();
    let kexinit = payload(&KexInit {
        cookie: &[0; 16],
        kex_algorithms: list,
        server_host_key_algorithms: empty,
        encryption_algorithms_client_to_server: empty,
        encryption_algorithms_server_to_client: empty,
        mac_algorithms_client_to_server: empty,
        mac_algorithms_server_to_client: empty,
        compression_algorithms_client_to_server: empty,
        compression_algorithms_server_to_client: empty,
        languages_client_to_server: empty,
        languages_server_to_client: empty,
        first_kex_packet_follows: false,
    });
    let mut pair = running();
    pair.client.conn.send_payload(&kexinit);
    pair.drive();
    let Some(Error::Incompatible(lists)) = &pair.server.error else { panic!("{:?}", pair.server.error) };
    assert_eq!(lists.slot, algorithms::Slot::KexAlgorithms);
    assert!(lists.remote.len() <= TEXT_MAX && lists.not_offered.is_empty());
    let Some(Error::Disconnected { reason, .. }) = pair.client.error else { panic!() };
    assert_eq!(reason, DisconnectReason::KEY_EXCHANGE_FAILED);

    let mut pair = Pair::new(Settings::default());
    feed(&mut pair.server, &[&b"SSH-2.0-long\r\n"[..], &clear(&kexinit)].concat());
    assert_eq!(pair.server.error, Some(PACKET_LENGTH.into()), "a stranger's packets are shorter");
}

#[test]
fn t36_a_second_exchange_before_the_login_and_exchange_after_exchange_are_refused() {
    let mut pair = keyed();
    pair.client.conn.send_payload(&[20]);
    pair.drive();
    assert_told(&pair.client, &pair.server, UNEXPECTED_MESSAGE);
    for by_client in [true, false] {
        let mut pair = running();
        for _ in 0..EXCHANGES_MAX {
            if by_client {
                pair.client.conn.start_kex()
            } else {
                pair.server.conn.start_kex()
            }
            pair.drive();
        }
        assert_eq!((&pair.client.error, &pair.server.error), (&None, &None));
        if by_client {
            pair.client.conn.start_kex()
        } else {
            pair.server.conn.start_kex()
        }
        pair.drive();
        if by_client {
            assert_told(&pair.client, &pair.server, TOO_MANY_EXCHANGES);
        } else {
            assert_told(&pair.server, &pair.client, TOO_MANY_EXCHANGES);
        }
    }
    let mut hourly = running();
    for _ in 0..100 {
        hourly.now += std::time::Duration::from_secs(3600);
        hourly.client.conn.start_kex();
        hourly.drive();
    }
    assert_eq!((hourly.client.error, hourly.server.error), (None, None));
}

#[test]
fn t21_a_public_value_that_makes_a_known_secret_is_refused() {
    let low_order = [0; 32];
    let mut one = [0; 32];
    one[0] = 1;
    for q in [&low_order[..], &one, &[9; 31], &[9; 33], b""] {
        let mut pair = Pair::new(Settings::default());
        let output = pair.client.conn.output().to_vec();
        feed(&mut pair.server, &[&output[..], &clear(&payload(&KexEcdhInit { q_c: q }))].concat());
        assert_eq!(pair.server.error, Some(BAD_PUBLIC_VALUE.into()));
        let mut pair = Pair::new(Settings::default());
        let output = pair.server.conn.output().to_vec();
        let reply = KexEcdhReply { k_s: &host_key().public_key().blob(), q_s: q, signature: b"" };
        feed(&mut pair.client, &[&output[..], &clear(&payload(&reply))].concat());
        assert_eq!(pair.client.error, Some(BAD_PUBLIC_VALUE.into()));
    }
}

#[test]
fn t24_t25_the_host_key_must_have_signed_just_this_exchange() {
    let key = host_key();
    let blob = key.public_key().blob();
    let of_other = key.sign(key.algorithms()[0], b"another exchange").unwrap();
    let mut renamed = of_other.clone();
    renamed[4] = b'x';
    for (k_s, signature) in [
        (&blob[..], &of_other[..]),
        (&blob, &renamed),
        (&blob, b""),
        (b"", b""),
        (&blob[..blob.len() - 1], &of_other),
    ] {
        let mut pair = Pair::new(Settings::default());
        let output = pair.server.conn.output().to_vec();
        let reply = KexEcdhReply { k_s, q_s: &[9; 32], signature };
        feed(&mut pair.client, &[&output[..], &clear(&payload(&reply))].concat());
        assert_eq!(pair.client.error, Some(BAD_HOST_SIGNATURE.into()));
        assert!(pair.client.seen.is_empty(), "nobody is asked about such a key");
    }
    let mut pair = Pair::new(Settings::default());
    let output = pair.server.conn.output().to_vec();
    feed(&mut pair.client, &[&output[..], &clear(&payload(&NewKeys {}))].concat());
    assert_eq!(pair.client.error, Some(UNEXPECTED_MESSAGE.into()), "no reply, no keys");
}

#[test]
fn t13_a_key_does_not_serve_for_ever() {
    let mut pair = running();
    pair.server.conn.age_keys(u64::from(u32::MAX), 0);
    refused_by_server(pair, &[payload(&Ignore { data: b"" })], KEY_EXHAUSTED);
    let mut pair = running();
    let before = pair.client.conn.exchanges();
    pair.client.conn.age_keys(crate::transport::REKEY_PACKETS, 0);
    pair.server.conn.send_payload(&payload(&Ignore { data: b"" }));
    pair.drive();
    assert_eq!(pair.client.conn.exchanges(), before + 1);
}

#[test]
fn t14_talk_without_a_purpose_has_an_end_before_the_login() {
    let talk = vec![payload(&Ignore { data: b"x" }); CHATTER_MAX as usize];
    let mut pair = keyed();
    for payload in &talk {
        pair.client.conn.send_payload(payload);
    }
    pair.drive();
    assert_eq!(pair.server.error, None);
    let more = [talk, vec![vec![3, 0, 0, 0, 0]]].concat();
    refused_by_server(keyed(), &more, TOO_MUCH_CHATTER);
    refused_by_client(asking(), &more, TOO_MUCH_CHATTER);
}

#[test]
fn t34_after_its_kexinit_a_peer_sends_the_exchange_only() {
    let mut pair = running();
    pair.client.conn.start_kex();
    let request =
        GlobalRequest { request_name: b"keepalive@openssh.com", want_reply: true, request_fields: b"" };
    refused_by_server(pair, &[payload(&request)], UNEXPECTED_MESSAGE);
}

#[test]
fn t34_t74_replies_owed_during_an_exchange_have_a_bound() {
    let mut pair = running();
    pair.server.conn.start_kex(); // the client does not see it yet, and asks
    let request =
        GlobalRequest { request_name: b"keepalive@openssh.com", want_reply: true, request_fields: b"" };
    for _ in 0..14_000 {
        pair.client.conn.send_payload(&payload(&request));
    }
    let bytes = all_output(&mut pair.client.conn);
    feed(&mut pair.server, &bytes);
    assert_eq!(pair.server.error, Some(TOO_MANY_REPLIES.into()));
}

/// Answers of the application's count as well: it accepts, the peer closes, and again.
#[test]
fn t34_t74_channels_opened_and_closed_during_an_exchange_have_a_bound() {
    for accepts in [true, false] {
        let mut pair = running();
        pair.server.conn.start_kex();
        let open = ChannelOpen {
            channel_type: b"session",
            sender_channel: 7,
            initial_window_size: 0,
            maximum_packet_size: 1,
            type_fields: b"",
        };
        let mut last = Ok(());
        for round in 0..10_000 {
            assert!(round < 9_999, "the peer goes on for ever");
            pair.client.conn.send_payload(&payload(&open));
            let bytes = all_output(&mut pair.client.conn);
            feed(&mut pair.server, &bytes);
            let id = pair.server.channel.unwrap();
            last = match accepts {
                true => pair.server.conn.accept_channel(id),
                false => pair.server.conn.refuse_channel(id, 1, "no"),
            };
            if last.is_err() {
                break;
            }
            if accepts {
                pair.client.conn.send_payload(&payload(&ChannelClose { recipient_channel: 1 }));
                let bytes = all_output(&mut pair.client.conn);
                feed(&mut pair.server, &bytes);
            }
        }
        assert_eq!(last, Err(TOO_MANY_REPLIES.into()));
        assert!(pair.server.conn.is_ended());
    }
}

#[test]
fn t34_t74_answers_to_global_requests_during_an_exchange_have_a_bound_and_end_that_connection() {
    for accepts in [true, false] {
        let mut pair = running();
        pair.server.conn.expect_forwarding();
        pair.server.conn.start_kex();
        let request = GlobalRequest {
            request_name: b"tcpip-forward",
            want_reply: true,
            request_fields: b"\0\0\0\x01h\0\0\0\0",
        };
        let mut last = Ok(());
        for round in 0..20_000 {
            assert!(round < 19_999, "the peer goes on for ever");
            pair.client.conn.send_payload(&payload(&request));
            let bytes = all_output(&mut pair.client.conn);
            feed(&mut pair.server, &bytes);
            last = match accepts {
                true => pair.server.conn.accept_global_request(2222),
                false => pair.server.conn.refuse_global_request(),
            };
            if last.is_err() {
                break;
            }
        }
        assert_eq!(last, Err(TOO_MANY_REPLIES.into()));
        assert!(pair.server.conn.is_ended());
    }
}

#[test]
fn t37_extension_information_is_bounded_and_has_its_place() {
    let refused = |pairs: &[u8], nr_extensions, fault| {
        refused_by_client(asking(), &[payload(&ExtInfo { nr_extensions, pairs })], fault);
    };
    refused(&[], u32::MAX, MALFORMED);
    refused(&[0; 8], u32::MAX, MALFORMED);
    refused(&[0; 8], 0, MALFORMED);
    refused(&vec![0; 8 * (EXTENSIONS_MAX + 1)], EXTENSIONS_MAX as u32 + 1, TOO_MANY_EXTENSIONS);
    let mut twice = Vec::new();
    for list in [&b"ssh-ed25519"[..], b"rsa-sha2-512"] {
        let mut w = Writer::new(&mut twice);
        w.string(b"server-sig-algs");
        w.string(list);
    }
    refused(&twice, 2, EXTENSION_TWICE);
    let none = payload(&ExtInfo { nr_extensions: 0, pairs: b"" });
    refused_by_server(keyed(), std::slice::from_ref(&none), UNEXPECTED_MESSAGE);
    refused_by_both(running, std::slice::from_ref(&none), UNEXPECTED_MESSAGE);
    // From a server once more, directly before it says that the login is complete.
    let success = payload(&UserauthSuccess {});
    refused_by_client(asking(), &[none.clone(), none.clone()], UNEXPECTED_MESSAGE);
    let banner = payload(&UserauthBanner { message: b"", language_tag: b"" });
    refused_by_client(asking(), &[none.clone(), banner], UNEXPECTED_MESSAGE);
    refused_by_client(asking(), &[none.clone(), vec![255], success.clone()], UNEXPECTED_MESSAGE);
    let mut pair = asking();
    pair.server.conn.send_payload(&none);
    pair.server.conn.send_payload(&[1, 0, 0, 0, 11]);
    pair.drive();
    assert!(matches!(pair.client.error, Some(Error::Disconnected { .. })), "{:?}", pair.client.error);
    let mut pair = asking();
    pair.server.conn.send_payload(&none);
    pair.server.conn.send_payload(&success);
    pair.drive();
    assert_eq!((&pair.client.error, pair.client.conn.is_authenticated()), (&None, true));
    assert_eq!(pair.client.conn.server_sig_algs(), None, "what came last holds");
}

#[test]
fn t106_a_ping_is_answered_after_the_login_and_never_held() {
    let ping = payload(&Ping { data: b"PING!" });
    let mut pair = keyed();
    pair.client.conn.send_payload(&ping);
    pair.drive();
    assert_eq!((&pair.server.error, pair.client.conn.pending_output()), (&None, 0));
    refused_by_server(keyed(), &vec![ping.clone(); CHATTER_MAX as usize + 1], TOO_MUCH_CHATTER);

    let mut pair = running();
    pair.client.conn.send_payload(&ping);
    let bytes = all_output(&mut pair.client.conn);
    feed(&mut pair.server, &bytes);
    assert_eq!(all_output(&mut pair.server.conn).len(), bytes.len(), "as long as what it answers");
    let mut pair = running();
    pair.server.conn.send_payload(&ping);
    pair.drive();
    assert_eq!((&pair.client.error, &pair.server.error), (&None, &None), "a client answers too");
    // While our own exchange bars it there is no answer, and nothing is kept for later.
    pair.server.conn.start_kex();
    for _ in 0..100_000 {
        pair.client.conn.send_payload(&ping);
    }
    let bytes = all_output(&mut pair.client.conn);
    feed(&mut pair.server, &bytes);
    assert_eq!(pair.server.error, None);
    pair.drive();
    assert_eq!((&pair.client.error, &pair.server.error), (&None, &None));
    let mut pair = running();
    pair.client.conn.start_kex();
    refused_by_server(pair, &[ping], UNEXPECTED_MESSAGE);
}

#[test]
fn t40_t117_no_message_cut_or_bent_makes_either_side_panic() {
    let long = vec![0xff; 40];
    for stage in [keyed, running, || Pair::new(Settings::default())] {
        for number in 0..=255_u8 {
            for length in [0, 1, 3, 4, 5, 8, 9, 12, 13, 16, 17, 40] {
                for filler in [&[0; 40][..], &long, &[0, 0, 0, 1].repeat(10), &[0, 0, 0, 0, 1].repeat(8)] {
                    let bytes = [&[number], &filler[..length]].concat();
                    let mut pair = stage();
                    pair.client.conn.send_payload(&bytes);
                    pair.server.conn.send_payload(&bytes);
                    pair.round();
                    if number > 20 && length > 13 {
                        break;
                    }
                }
            }
        }
    }
}

#[test]
fn t82_what_a_peer_says_at_the_end_is_kept_short_and_replaced_where_it_is_no_text() {
    let mut pair = running();
    let description = [&b"\xff\x1b[31m"[..], &[b'x'; 5000]].concat();
    pair.client.conn.send_payload(&payload(&Disconnect {
        reason_code: 11,
        description: &description,
        language_tag: b"",
    }));
    pair.drive();
    let Some(Error::Disconnected { description, .. }) = &pair.server.error else { panic!() };
    assert!(description.starts_with("\u{fffd}\x1b[31mxx") && description.len() < 1100);
    assert!(!pair.server.error.as_ref().unwrap().to_string().contains('\x1b'), "escaped where it is shown");
    let mut pair = running();
    pair.client.conn.send_payload(&[1, 0, 0, 0, 11]);
    pair.drive();
    assert!(matches!(pair.server.error, Some(Error::Disconnected { .. })), "some peers leave the rest out");
}

/// The first bytes of a side, its KEXINIT with something changed.
pub(super) fn with_kexinit<S: TestSide>(end: &mut End<S>, change: impl FnOnce(&mut KexInit<'_>)) -> Vec<u8> {
    let output = end.conn.output().to_vec();
    let line = output.iter().position(|b| *b == b'\n').unwrap() + 1;
    let padding = usize::from(output[line + 4]);
    let own = &output[line + 5..output.len() - padding];
    let mut message = KexInit::from_payload(own).unwrap();
    change(&mut message);
    [&output[..line], &clear(&payload(&message))].concat()
}

#[test]
fn t16_a_peer_that_wants_no_cipher_or_mac_finds_nothing_in_common() {
    let none = NameList::from_bytes(b"none").unwrap();
    type Change = fn(&mut KexInit<'_>, NameList<'static>);
    let changes: [(Change, algorithms::Slot); 4] = [
        (
            |k, none| k.encryption_algorithms_client_to_server = none,
            algorithms::Slot::EncryptionAlgorithmsClientToServer,
        ),
        (
            |k, none| k.encryption_algorithms_server_to_client = none,
            algorithms::Slot::EncryptionAlgorithmsServerToClient,
        ),
        (|k, none| k.kex_algorithms = none, algorithms::Slot::KexAlgorithms),
        (|k, none| k.server_host_key_algorithms = none, algorithms::Slot::ServerHostKeyAlgorithms),
    ];
    for (change, slot) in changes {
        let mut pair = Pair::new(Settings::default());
        let bytes = with_kexinit(&mut pair.client, |message| change(message, none));
        feed(&mut pair.server, &bytes);
        let Some(Error::Incompatible(lists)) = &pair.server.error else { panic!("{:?}", pair.server.error) };
        assert_eq!((lists.slot, lists.remote.as_str()), (slot, "none"));
        let mut told = all_output(&mut pair.server.conn);
        told.drain(..told.windows(5).rposition(|w| w == [1, 0, 0, 0, 3]).expect("DISCONNECT with reason 3"));
    }
    // A cipher that needs a MAC has none without one.
    let counter = NameList::from_bytes(b"aes256-ctr").unwrap();
    let mut pair = Pair::new(Settings::default());
    let bytes = with_kexinit(&mut pair.client, |k| {
        k.encryption_algorithms_client_to_server = counter;
        k.mac_algorithms_client_to_server = none;
    });
    feed(&mut pair.server, &bytes);
    let Some(Error::Incompatible(lists)) = &pair.server.error else { panic!("{:?}", pair.server.error) };
    assert_eq!(lists.slot, algorithms::Slot::MacAlgorithmsClientToServer);
    // An AEAD needs no MAC, whatever the lists say.
    let mut pair = Pair::new(Settings::default());
    let bytes = with_kexinit(&mut pair.client, |k| k.mac_algorithms_client_to_server = none);
    feed(&mut pair.server, &bytes);
    assert_eq!(pair.server.error, None);
}

#[test]
fn t30_exactly_one_packet_follows_a_wrong_guess_and_none_a_right_one() {
    for (method, right) in [
        (&b"ecdh-sha2-nistp256,curve25519-sha256,kex-strict-c-v00@openssh.com"[..], false),
        (b"curve25519-sha256,kex-strict-c-v00@openssh.com", true),
    ] {
        let mut pair = Pair::new(Settings::default());
        let [methods, host_key] = [method, b"ssh-ed25519"].map(|list| NameList::from_bytes(list).unwrap());
        let mut bytes = with_kexinit(&mut pair.client, |message| {
            message.kex_algorithms = methods;
            message.server_host_key_algorithms = host_key; // the server's first, too
            message.first_kex_packet_follows = true;
        });
        if !right {
            // The guess itself: whatever it is, even under strict key exchange.
            bytes.extend(clear(&payload(&KexEcdhInit { q_c: b"of another method" })));
        }
        let mut q_c = [9; 32];
        q_c[31] = 0;
        bytes.extend(clear(&payload(&KexEcdhInit { q_c: &q_c })));
        feed(&mut pair.server, &bytes);
        assert_eq!(pair.server.error, None);
        let output = all_output(&mut pair.server.conn);
        assert!(
            output.windows(16).any(|w| w[5..].starts_with(&[31, 0, 0, 0, 51])),
            "the exchange is answered"
        );
        feed(&mut pair.server, &clear(&payload(&Ignore { data: b"" })));
        assert_eq!(pair.server.error, Some(UNEXPECTED_MESSAGE.into()), "no second packet is passed over");
    }
}

/// Both sides offer group exchange and nothing else.
fn group_exchange() -> Pair {
    let mut settings = Settings::default();
    for side in [&mut settings.client, &mut settings.server] {
        side.algorithms.kex = pick(KEX, "diffie-hellman-group-exchange-sha256").unwrap();
    }
    Pair::new(settings)
}

/// An identification and the KEXINIT behind it.
fn opening<S: TestSide>(end: &mut End<S>) -> Vec<u8> {
    let output = end.conn.output();
    let line = output.iter().position(|b| *b == b'\n').unwrap() + 1;
    let length = 4 + u32::from_be_bytes(output[line..line + 4].try_into().unwrap()) as usize;
    output[..line + length].to_vec()
}

#[test]
fn t29_a_group_or_a_request_for_one_of_the_wrong_size_is_refused() {
    for (min, n, max) in
        [(8192, 4096, 2048), (2048, 1024, 8192), (1024, 1024, 1024), (0, 0, 0), (16384, 16384, 16384)]
    {
        let mut pair = group_exchange();
        let opened = opening(&mut pair.client);
        let request = clear(&payload(&KexDhGexRequest { min, n, max }));
        feed(&mut pair.server, &[&opened[..], &request].concat());
        assert_eq!(pair.server.error, Some(BAD_GROUP_REQUEST.into()), "{min} {n} {max}");
    }
    let group_14 = crate::crypto::kex::Group::by_size(2048, 2048, 2048).unwrap();
    let mut even = group_14.p();
    *even.last_mut().unwrap() &= 0xfe;
    for (p, g) in
        [(&even[..], &[2][..]), (&group_14.p()[..129], &[2]), (&group_14.p(), &[1]), (&[], &[]), (&[5], &[2])]
    {
        let mut pair = group_exchange();
        let output = pair.server.conn.output().to_vec();
        feed(&mut pair.client, &[&output[..], &clear(&payload(&KexDhGexGroup { p, g }))].concat());
        assert_eq!(pair.client.error, Some(BAD_GROUP.into()));
    }
}

#[test]
fn t24_the_messages_of_a_group_exchange_come_in_their_order_only() {
    let init = payload(&KexDhGexInit { e: &[2] });
    let request = payload(&KexDhGexRequest { min: 2048, n: 2048, max: 8192 });
    let one_step = payload(&KexEcdhInit { q_c: &[2] });
    for early in [&[init][..], &[one_step], &[request.clone(), request]] {
        let mut pair = group_exchange();
        let opened = opening(&mut pair.client);
        let early: Vec<u8> = early.iter().flat_map(|payload| clear(payload)).collect();
        feed(&mut pair.server, &[&opened[..], &early].concat());
        assert_eq!(pair.server.error, Some(UNEXPECTED_MESSAGE.into()));
    }
    let mut pair = group_exchange();
    let output = pair.server.conn.output().to_vec();
    let reply = clear(&payload(&KexDhGexReply { k_s: b"", f: &[2], signature: b"" }));
    feed(&mut pair.client, &[&output[..], &reply].concat());
    assert_eq!(pair.client.error, Some(UNEXPECTED_MESSAGE.into()), "no group, no reply");
}

#[test]
fn t24_a_group_exchange_takes_no_other_message_at_any_step() {
    let group = crate::crypto::kex::Group::by_size(2048, 2048, 2048).unwrap();
    let group = clear(&payload(&KexDhGexGroup { p: &group.p(), g: &[2] }));
    let request = clear(&payload(&KexDhGexRequest { min: 2048, n: 2048, max: 8192 }));
    for number in 2..=255 {
        // What the peer has sent after its KEXINIT, and the one number that may follow.
        for (sent, next) in [(&[][..], 34), (&request, 32)] {
            let mut pair = group_exchange();
            let opened = opening(&mut pair.client);
            refuses_but(&mut pair.server, &[&opened, sent].concat(), next, number);
        }
        for (sent, next) in [(&[][..], 31), (&group, 33)] {
            let mut pair = group_exchange();
            let opened = opening(&mut pair.server);
            refuses_but(&mut pair.client, &[&opened, sent].concat(), next, number);
        }
    }
    fn refuses_but<S: TestSide>(end: &mut End<S>, sent: &[u8], next: u8, number: u8) {
        feed(end, sent);
        assert_eq!(end.error, None, "before {next}");
        feed(end, &clear(&[number]));
        let malformed = number == next; // and nothing in it
        let expected = if malformed { MALFORMED } else { UNEXPECTED_MESSAGE };
        assert_eq!(end.error, Some(expected.into()), "{number} where {next} is due");
    }
}
