//! Channels and their requests.

use super::{payload, refused_by_both, refused_by_client, refused_by_server, running};
use crate::connection::*;
use crate::tests::pair::{Pair, Seen, Settings};
use crate::wire::message::*;

const OURS: u32 = 0;

fn data(length: usize) -> Vec<u8> {
    payload(&ChannelData { recipient_channel: OURS, data: &vec![0; length] })
}

#[test]
fn t63_t65_windows_and_packets_are_kept() {
    let small = || {
        let limits = ChannelLimits { window_size: 1000, ..Default::default() };
        let mut pair = Pair::authenticated(Settings { limits, ..Default::default() });
        pair.open();
        pair.client.consumes = false;
        pair.server.consumes = false;
        pair
    };
    refused_by_both(small, &[data(1000), data(1)], WINDOW_EXCEEDED);
    refused_by_both(running, &[data(32_769)], PACKET_EXCEEDED);
    let adjust = |bytes_to_add| payload(&ChannelWindowAdjust { recipient_channel: OURS, bytes_to_add });
    refused_by_both(running, &[adjust(0), adjust(u32::MAX)], WINDOW_OVERFLOW);
    refused_by_both(running, &[payload(&ChannelEof { recipient_channel: OURS }), data(1)], DATA_AFTER_EOF);
}

#[test]
fn t66_data_that_nobody_wants_is_credited_and_empty_data_is_nothing() {
    let mut pair = running();
    let odd = ChannelExtendedData { recipient_channel: OURS, data_type_code: 7, data: &[0; 32_000] };
    let seen = pair.server.seen.len();
    for _ in 0..100 {
        pair.client.conn.send_payload(&payload(&odd));
        pair.drive();
    }
    for _ in 0..10_000 {
        pair.client.conn.send_payload(&data(0));
    }
    pair.drive();
    assert_eq!((pair.server.seen.len(), &pair.server.error, &pair.client.error), (seen, &None, &None));
}

#[test]
fn t67_t73_a_message_for_a_channel_that_is_not_open_is_refused_or_means_nothing() {
    let to = 5;
    let fatal = [
        payload(&ChannelData { recipient_channel: to, data: b"x" }),
        payload(&ChannelExtendedData { recipient_channel: to, data_type_code: 1, data: b"x" }),
        payload(&ChannelEof { recipient_channel: to }),
        payload(&ChannelClose { recipient_channel: to }),
        payload(&ChannelRequest {
            recipient_channel: to,
            request_type: b"x",
            want_reply: true,
            type_fields: b"",
        }),
        payload(&ChannelOpenConfirmation {
            recipient_channel: to,
            sender_channel: 0,
            initial_window_size: 0,
            maximum_packet_size: 1,
            type_fields: b"",
        }),
    ];
    for message in fatal {
        refused_by_both(running, &[message], UNKNOWN_CHANNEL);
    }
    let mut pair = running();
    for end in 0..2 {
        for message in [
            payload(&ChannelWindowAdjust { recipient_channel: to, bytes_to_add: 1 }),
            payload(&ChannelSuccess { recipient_channel: to }),
            payload(&ChannelSuccess { recipient_channel: OURS }),
            payload(&RequestFailure {}),
        ] {
            if end == 0 {
                pair.client.conn.send_payload(&message)
            } else {
                pair.server.conn.send_payload(&message)
            }
        }
    }
    let seen = (pair.client.seen.len(), pair.server.seen.len());
    pair.drive();
    assert_eq!((pair.client.error, pair.server.error), (None, None), "T-73: an unasked reply means nothing");
    assert_eq!((pair.client.seen.len(), pair.server.seen.len()), seen);
    // A second confirmation of a channel that is open.
    let again = ChannelOpenConfirmation {
        recipient_channel: OURS,
        sender_channel: 0,
        initial_window_size: 0,
        maximum_packet_size: 1,
        type_fields: b"",
    };
    refused_by_both(running, &[payload(&again)], UNKNOWN_CHANNEL);
}

fn open(channel_type: &[u8], maximum_packet_size: u32) -> Vec<u8> {
    let (sender_channel, initial_window_size) = (u32::MAX, 1000);
    payload(&ChannelOpen {
        channel_type,
        sender_channel,
        initial_window_size,
        maximum_packet_size,
        type_fields: b"",
    })
}

#[test]
fn t64_a_peer_that_lets_nothing_be_sent_gets_no_channel() {
    let mut pair = Pair::authenticated(Settings::default());
    pair.client.conn.send_payload(&open(b"session", 0));
    pair.drive();
    assert!(!pair.server.seen.contains(&Seen::OpenRequest));
    let mut pair = Pair::authenticated(Settings::default());
    pair.client.conn.open_session().unwrap();
    let confirmation = ChannelOpenConfirmation {
        recipient_channel: 0,
        sender_channel: 0,
        initial_window_size: 9,
        maximum_packet_size: 0,
        type_fields: b"",
    };
    refused_by_client(pair, &[payload(&confirmation)], NO_PACKET_SIZE);
    let mut tiny = Pair::authenticated(Settings::default());
    tiny.client.conn.send_payload(&open(b"session", 1));
    tiny.drive();
    let id = tiny.server.channel.unwrap();
    tiny.server.conn.accept_channel(id).unwrap();
    assert_eq!(tiny.server.conn.channel(id).unwrap().write(b"one byte at a time"), 18);
}

#[test]
fn t69_channels_and_offers_have_their_bounds_and_a_refusal_frees_all() {
    let mut pair = Pair::authenticated(Settings::default());
    for _ in 0..OFFERED_MAX + 5 {
        pair.client.conn.send_payload(&open(b"session", 1000));
    }
    pair.drive();
    let offers = pair.server.seen.iter().filter(|seen| **seen == Seen::OpenRequest).count();
    assert_eq!(offers, OFFERED_MAX, "the others are refused");
    let mut pair = Pair::authenticated(Settings::default());
    for _ in 0..1000 {
        pair.client.conn.open_session().unwrap();
        pair.drive();
        let id = pair.server.channel.unwrap();
        pair.server.conn.refuse_channel(id, 4, "no").unwrap();
        pair.drive();
        assert_eq!(pair.client.seen.last(), Some(&Seen::OpenFailure(4)));
    }
}

#[test]
fn t71_t72_no_channel_but_a_session_at_the_server() {
    let types = [
        &b"x11"[..],
        b"direct-tcpip",
        b"forwarded-tcpip",
        b"auth-agent@openssh.com",
        b"agent-connect",
        b"direct-streamlocal@openssh.com",
        b"forwarded-streamlocal@openssh.com",
        b"tun@openssh.com",
        b"session\0",
        b"",
    ];
    for channel_type in types {
        let mut pair = running();
        pair.client.conn.send_payload(&open(channel_type, 1000));
        pair.server.conn.send_payload(&open(channel_type, 1000));
        pair.server.conn.send_payload(&open(b"session", 1000));
        let seen = (pair.client.seen.len(), pair.server.seen.len());
        pair.client.conn.send_payload(&payload(&GlobalRequest {
            request_name: b"tcpip-forward",
            want_reply: true,
            request_fields: b"\0\0\0\0\0\0\0\0",
        }));
        // The refusals name a channel that neither side opened, which is what ends these two at last.
        pair.round();
        assert_eq!((pair.client.seen.len(), pair.server.seen.len()), seen, "nobody is asked");
    }
}

#[test]
fn t79_a_session_has_one_command_and_requests_owed_have_a_bound() {
    let mut pair = running();
    let exec = ChannelRequest {
        recipient_channel: OURS,
        request_type: b"exec",
        want_reply: true,
        type_fields: b"\0\0\0\x02id",
    };
    let seen = pair.server.seen.len();
    pair.client.conn.send_payload(&payload(&exec));
    pair.drive();
    assert_eq!((pair.server.seen.len(), &pair.server.error), (seen, &None), "the first wins");

    let mut pair = Pair::authenticated(Settings::default());
    pair.client.conn.open_session().unwrap();
    pair.drive();
    let id = pair.server.channel.unwrap();
    pair.server.conn.accept_channel(id).unwrap();
    pair.drive();
    // The first waits for the application, so the answers to the others wait too.
    refused_by_server(pair, &vec![payload(&exec); REPLIES_OWED_MAX + 1], TOO_MANY_REQUESTS_OWED);
}
