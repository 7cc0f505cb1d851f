//! Forwarding: requests and channels that no sound peer asks for.

use super::{payload, refused_by_client, refused_by_server};
use crate::connection::*;
use crate::tests::pair::{Pair, Seen, Settings};
use crate::wire::MALFORMED;
use crate::wire::message::*;

fn forwarding() -> Pair {
    let mut pair = Pair::authenticated(Settings::default());
    pair.server.conn.expect_forwarding();
    pair
}

fn open(channel_type: &[u8], type_fields: &[u8]) -> Vec<u8> {
    let (sender_channel, initial_window_size, maximum_packet_size) = (u32::MAX, 1000, 1000);
    payload(&ChannelOpen {
        channel_type,
        sender_channel,
        initial_window_size,
        maximum_packet_size,
        type_fields,
    })
}

fn request(request_name: &[u8], request_fields: &[u8]) -> Vec<u8> {
    payload(&GlobalRequest { request_name, want_reply: true, request_fields })
}

fn string(length: usize) -> Vec<u8> {
    [&u32::try_from(length).unwrap().to_be_bytes()[..], &vec![b'a'; length]].concat()
}

/// The fields of a TCP channel.
fn fields(host: usize, port: u32, originator: usize, originator_port: u32) -> Vec<u8> {
    [&string(host)[..], &port.to_be_bytes(), &string(originator), &originator_port.to_be_bytes()].concat()
}

#[test]
fn t72_a_server_that_does_not_forward_is_asked_nothing() {
    for (channel_type, type_fields) in [
        (&b"direct-tcpip"[..], fields(1, 80, 1, 1)),
        (b"direct-tcpip", Vec::new()),
        (b"direct-streamlocal@openssh.com", [string(1), vec![0; 8]].concat()),
    ] {
        let mut pair = Pair::authenticated(Settings::default());
        let seen = pair.server.seen.len();
        pair.client.conn.send_payload(&open(channel_type, &type_fields));
        pair.client.conn.send_payload(&request(b"tcpip-forward", &[string(1), vec![0; 4]].concat()));
        pair.client.conn.send_payload(&request(b"streamlocal-forward@openssh.com", &string(1)));
        pair.client.conn.send_payload(&request(b"cancel-tcpip-forward", b""));
        pair.round();
        assert_eq!((pair.server.seen.len(), &pair.server.error), (seen, &None));
    }
}

#[test]
fn t70_malformed_channels_and_requests_are_faults() {
    for broken in [Vec::new(), fields(1, 80, 1, 1)[..12].to_vec(), [fields(1, 80, 1, 1), vec![0]].concat()] {
        refused_by_server(forwarding(), &[open(b"direct-tcpip", &broken)], MALFORMED);
        refused_by_client(forwarding(), &[open(b"forwarded-tcpip", &broken)], MALFORMED);
    }
    for broken in [Vec::new(), string(3)[..6].to_vec(), [string(3), vec![0; 9]].concat()] {
        refused_by_server(forwarding(), &[open(b"direct-streamlocal@openssh.com", &broken)], MALFORMED);
        refused_by_client(forwarding(), &[open(b"forwarded-streamlocal@openssh.com", &broken)], MALFORMED);
        for name in [&b"streamlocal-forward@openssh.com"[..], b"cancel-streamlocal-forward@openssh.com"] {
            refused_by_server(forwarding(), &[request(name, &broken)], MALFORMED);
        }
        for name in [&b"tcpip-forward"[..], b"cancel-tcpip-forward"] {
            refused_by_server(forwarding(), &[request(name, &broken)], MALFORMED);
        }
    }
    refused_by_client(forwarding(), &[open(b"auth-agent@openssh.com", b"x")], MALFORMED);
}

#[test]
fn ports_and_names_that_there_cannot_be_are_refused() {
    let refused = |pair: &mut Pair, message: Vec<u8>| {
        let seen = pair.server.seen.len();
        pair.client.conn.send_payload(&message);
        let mut bytes = crate::tests::pair::all_output(&mut pair.client.conn).into();
        crate::tests::pair::receive(&mut pair.server.input, &mut bytes);
        pair.server.pull(pair.now);
        let answered = pair.server.conn.pending_output() > 0;
        assert_eq!((pair.server.seen.len(), answered, &pair.server.error), (seen, true, &None));
    };
    let (host, path) = (HOST_TO_CONNECT_MAX + 1, SOCKET_PATH_MAX + 1);
    for type_fields in
        [fields(1, 65536, 1, 1), fields(1, 1, 1, 65536), fields(host, 1, 1, 1), fields(1, 1, host, 1)]
    {
        refused(&mut forwarding(), open(b"direct-tcpip", &type_fields));
    }
    let type_fields = [string(path), vec![0; 8]].concat();
    refused(&mut forwarding(), open(b"direct-streamlocal@openssh.com", &type_fields));
    let port = |port: u32| [&string(1)[..], &port.to_be_bytes()].concat();
    refused(&mut forwarding(), request(b"tcpip-forward", &port(65536)));
    refused(&mut forwarding(), request(b"tcpip-forward", &[string(host), vec![0; 4]].concat()));
    refused(&mut forwarding(), request(b"tcpip-forward", b"\0\0\0\x01\xff\0\0\0\x01"));
    refused(&mut forwarding(), request(b"streamlocal-forward@openssh.com", &string(path)));
    // The longest are asked about.
    let mut pair = forwarding();
    pair.client.conn.send_payload(&open(b"direct-tcpip", &fields(host - 1, 65535, host - 1, 65535)));
    pair.drive();
    assert!(matches!(pair.server.seen.last(), Some(Seen::Offered(_))));
}

#[test]
fn t70_a_port_that_the_server_chose_must_be_one() {
    let asked = || {
        let mut pair = forwarding();
        pair.client.conn.request_tcpip_forward("", 0).unwrap();
        pair.drive();
        pair
    };
    for response_fields in [&b""[..], b"\0\0\0", b"\0\0\0\0", b"\0\x01\0\0"] {
        refused_by_client(asked(), &[payload(&RequestSuccess { response_fields })], MALFORMED);
    }
}

#[test]
fn t74_global_requests_that_wait_for_the_application_have_a_bound() {
    let request = request(b"tcpip-forward", b"\0\0\0\x01h\0\0\0\x50");
    let keepalive = self::request(b"keepalive@openssh.com", b"");
    let mut all = vec![request; 1];
    all.resize(GLOBAL_REPLIES_OWED_MAX + 1, keepalive);
    refused_by_server(forwarding(), &all, TOO_MANY_GLOBAL_REQUESTS_OWED);
    let mut pair = forwarding();
    all.truncate(GLOBAL_REPLIES_OWED_MAX);
    all.iter().for_each(|message| pair.client.conn.send_payload(message));
    pair.drive();
    assert_eq!(pair.server.error, None);
    pair.server.conn.accept_global_request(0).unwrap();
    assert!(pair.server.conn.pending_output() > GLOBAL_REPLIES_OWED_MAX, "all of them go");
}

#[test]
fn a_session_after_no_more_sessions_ends_the_connection() {
    let mut pair = Pair::authenticated(Settings::default());
    pair.client.conn.send_no_more_sessions().unwrap();
    pair.drive();
    pair.client.conn.open_session().unwrap();
    refused_by_server(pair, &[], SESSION_AFTER_NO_MORE);
}

#[test]
fn t69_offers_of_all_types_share_one_bound() {
    let mut pair = forwarding();
    for _ in 0..OFFERED_MAX {
        pair.client.conn.send_payload(&open(b"direct-tcpip", &fields(1, 1, 1, 1)));
    }
    pair.client.conn.send_payload(&open(b"session", b""));
    pair.drive();
    let offers = pair.server.seen.iter().filter(|seen| matches!(seen, Seen::Offered(_))).count();
    assert_eq!((offers, pair.server.seen.contains(&Seen::OpenRequest)), (OFFERED_MAX, false));
}
