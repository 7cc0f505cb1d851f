//! Sessions: data, windows, EOF and CLOSE in their orders.

use super::pair::{Pair, Seen, Settings};
use crate::connection::{
    ADMINISTRATIVELY_PROHIBITED, CHANNEL_NOT_OPEN, ChannelLimits, HOST_TO_CONNECT_MAX, HOST_TOO_LONG,
    NO_SUCH_CHANNEL, NOT_AUTHENTICATED, TOO_MANY_CHANNELS,
};

#[test]
fn a_command_gets_its_input_and_gives_output_errors_and_status() {
    let mut pair = Pair::authenticated(Settings::default());
    let (here, there) = pair.open();
    assert_eq!(pair.client.conn.channel(here).unwrap().write(b"question"), 8);
    pair.client.conn.channel(here).unwrap().send_eof().unwrap();
    pair.drive();
    assert_eq!(
        pair.server.seen[3..],
        [Seen::Exec(b"cat".to_vec()), Seen::Data(b"question".to_vec()), Seen::Eof]
    );
    let mut channel = pair.server.conn.channel(there).unwrap();
    assert_eq!(channel.write(b"answer"), 6);
    assert_eq!(channel.write_stderr(b"oops"), 4);
    channel.send_exit_status(3).unwrap();
    channel.send_eof().unwrap();
    channel.close().unwrap();
    assert_eq!(channel.write(b"late"), 0);
    assert_eq!(channel.send_eof(), Err(CHANNEL_NOT_OPEN.into()));
    pair.drive();
    let status = Seen::Request("ExitStatus { exit_status: 3 }".to_owned());
    let told =
        [Seen::Data(b"answer".to_vec()), Seen::Stderr(b"oops".to_vec()), status, Seen::Eof, Seen::Closed];
    assert_eq!(pair.client.seen[5..], told);
    assert_eq!(pair.server.seen.last(), Some(&Seen::Closed));
    assert_eq!(pair.client.conn.channel(here).err(), Some(NO_SUCH_CHANNEL.into()));
    assert_eq!(pair.server.conn.channel(there).err(), Some(NO_SUCH_CHANNEL.into()));
}

#[test]
fn data_beyond_the_window_waits_for_credit() {
    let limits = ChannelLimits { window_size: 100_000, ..Default::default() };
    let mut pair = Pair::authenticated(Settings { limits, ..Default::default() });
    let (here, there) = pair.open();
    pair.server.consumes = false;
    assert_eq!(pair.client.conn.channel(here).unwrap().write(&[7; 150_000]), 100_000);
    assert_eq!(pair.client.conn.poll_writable(), None);
    pair.drive();
    assert_eq!(pair.server.data().len(), 100_000);
    pair.server.conn.channel(there).unwrap().adjust_window(60_000).unwrap();
    pair.drive();
    assert_eq!(pair.client.conn.poll_writable(), Some(here));
    assert_eq!(pair.client.conn.poll_writable(), None, "named once");
    assert_eq!(pair.client.conn.channel(here).unwrap().write(&[7; 50_000]), 50_000);
    pair.drive();
    assert_eq!(pair.server.data().len(), 150_000);
}

#[test]
fn starved_channels_are_named_in_turn() {
    let limits = ChannelLimits { window_size: 1000, window_max: 1000, ..Default::default() };
    let mut pair = Pair::authenticated(Settings { limits, ..Default::default() });
    let ids: Vec<_> = (0..3).map(|_| pair.open().0).collect();
    for _ in 0..3 {
        for id in &ids {
            pair.client.conn.channel(*id).unwrap().write(&[1; 2000]);
        }
        pair.drive();
        let mut named = Vec::new();
        while let Some(id) = pair.client.conn.poll_writable() {
            named.push(id);
        }
        named.sort();
        assert_eq!(named, ids);
    }
}

#[test]
fn t68_a_number_is_used_again_only_when_both_sides_closed() {
    let mut pair = Pair::authenticated(Settings::default());
    let (here, _) = pair.open();
    pair.client.conn.channel(here).unwrap().close().unwrap();
    let second = pair.client.conn.open_session().unwrap();
    assert_ne!(second, here);
    pair.drive();
    assert_eq!(pair.client.conn.channel(here).err(), Some(NO_SUCH_CHANNEL.into()));
    let third = pair.client.conn.open_session().unwrap();
    assert_ne!(third, here, "the same number, another generation");
}

#[test]
fn no_more_channels_than_the_bound() {
    let limits = ChannelLimits { channels_max: 3, ..Default::default() };
    let mut pair = Pair::authenticated(Settings { limits, ..Default::default() });
    for _ in 0..3 {
        pair.open();
    }
    assert_eq!(pair.client.conn.open_session(), Err(TOO_MANY_CHANNELS.into()));
}

/// Roaming among them: nothing is resumed, nothing told of what is held.
#[test]
fn t114_a_keepalive_and_any_other_global_request_is_answered_once_by_either_side() {
    use crate::wire::Encode;
    use crate::wire::message::GlobalRequest;
    let only_servers = &b"hostkeys-00@openssh.com"[..];
    for (want_reply, answers) in [(true, 1), (false, 0)] {
        for request_name in [b"keepalive@openssh.com", only_servers, b"roaming@appgate.com", b"nonsense"] {
            let mut payload = vec![GlobalRequest::NUMBER];
            let message = GlobalRequest { request_name, want_reply, request_fields: b"fields" };
            message.encode(&mut crate::wire::Writer::new(&mut payload));
            let mut pair = Pair::running(Settings::default());
            let seen = (pair.client.seen.len(), pair.server.seen.len());
            pair.client.conn.send_payload(&payload);
            let mut bytes = super::pair::all_output(&mut pair.client.conn).into();
            super::pair::receive(&mut pair.server.input, &mut bytes);
            pair.server.pull(pair.now);
            // One payload of one byte: 4 + 1 + 1 + padding, and the tag.
            assert_eq!(pair.server.conn.pending_output() / 36, answers, "{}", request_name.escape_ascii());
            pair.drive();
            if request_name == only_servers {
                continue;
            }
            pair.server.conn.send_payload(&payload);
            let mut bytes = super::pair::all_output(&mut pair.server.conn).into();
            super::pair::receive(&mut pair.client.input, &mut bytes);
            pair.client.pull(pair.now);
            assert_eq!(pair.client.conn.pending_output() / 36, answers, "{}", request_name.escape_ascii());
            pair.drive();
            assert_eq!((&pair.client.error, &pair.server.error), (&None, &None));
            assert_eq!((pair.client.seen.len(), pair.server.seen.len()), seen, "nobody is told");
        }
    }
}

#[test]
fn a_channel_closed_without_eof_or_by_both_at_once_is_gone_on_both_sides() {
    for both in [false, true] {
        let mut pair = Pair::authenticated(Settings::default());
        let (here, there) = pair.open();
        pair.client.conn.channel(here).unwrap().close().unwrap();
        if both {
            pair.server.conn.channel(there).unwrap().close().unwrap();
        }
        pair.drive();
        assert_eq!(
            (pair.client.seen.last(), pair.server.seen.last()),
            (Some(&Seen::Closed), Some(&Seen::Closed))
        );
        assert_eq!((&pair.client.error, &pair.server.error), (&None, &None));
    }
}

#[test]
fn a_server_here_refuses_to_connect_elsewhere() {
    let mut pair = Pair::authenticated(Settings::default());
    let id = pair.client.conn.open_direct_tcpip("db.example", 5432, "127.0.0.1", 65535).unwrap();
    assert_eq!(pair.client.conn.channel(id).unwrap().write(b"early"), 0, "it is not open yet");
    pair.drive();
    assert_eq!(pair.client.seen.last(), Some(&Seen::OpenFailure(ADMINISTRATIVELY_PROHIBITED)));
    assert_eq!(pair.client.conn.channel(id).err(), Some(NO_SUCH_CHANNEL.into()));
    assert_eq!((&pair.client.error, &pair.server.error), (&None, &None));
}

#[test]
fn a_host_to_connect_to_has_a_longest_name() {
    let mut pair = Pair::keyed(Settings::default());
    let longest = "a".repeat(HOST_TO_CONNECT_MAX);
    let too_long = "a".repeat(HOST_TO_CONNECT_MAX + 1);
    let open = |pair: &mut Pair, host: &str, from: &str| pair.client.conn.open_direct_tcpip(host, 1, from, 1);
    assert_eq!(open(&mut pair, "host", "::1"), Err(NOT_AUTHENTICATED.into()));
    let mut pair = Pair::authenticated(Settings::default());
    for (host, from) in [(&*too_long, "::1"), ("host", &*too_long)] {
        assert_eq!(open(&mut pair, host, from), Err(HOST_TOO_LONG.into()));
    }
    open(&mut pair, &longest, &longest).unwrap();
    pair.drive();
    assert_eq!(pair.client.seen.last(), Some(&Seen::OpenFailure(ADMINISTRATIVELY_PROHIBITED)));
}
