//! What is asked for on a session besides a command: terminals, variables, signals; and the order of requests and replies.

use super::hostile::{payload, refused_by_client, refused_by_server, running};
use super::pair::{Pair, Seen, Settings};
use crate::connection::{
    CHANNEL_NOT_OPEN, ChannelId, ENV_MAX, ENV_NAME_MAX, ENV_VALUE_MAX, NO_REPLY_OWED, TerminalModes,
    WindowSize,
};
use crate::wire::message::ChannelRequest;
use crate::wire::{MALFORMED, Writer};

const SIZE: WindowSize = WindowSize { columns: 80, rows: 24, width_px: 0, height_px: 0 };

/// A session on which nothing was asked for yet; the ids of both sides.
fn session(pair: &mut Pair) -> (ChannelId, ChannelId) {
    pair.client.conn.open_session().unwrap();
    pair.drive();
    let there = pair.server.channel.unwrap();
    pair.server.conn.accept_channel(there).unwrap();
    pair.drive();
    pair.client.seen.clear();
    pair.server.seen.clear();
    (pair.client.channel.unwrap(), there)
}

fn opened() -> (Pair, ChannelId, ChannelId) {
    let mut pair = Pair::authenticated(Settings::default());
    let (here, there) = session(&mut pair);
    (pair, here, there)
}

/// The names of the requests that a side saw.
fn requests(seen: &[Seen]) -> Vec<&str> {
    let name = |seen: &Seen| match seen {
        Seen::Request(text) => Some(text.split([' ', '{']).next().unwrap().to_owned()),
        Seen::Exec(_) => Some("Exec".to_owned()),
        _ => None,
    };
    seen.iter().filter_map(name).map(|name| &*name.leak()).collect()
}

fn request(request_type: &[u8], want_reply: bool, type_fields: &[u8]) -> Vec<u8> {
    payload(&ChannelRequest { recipient_channel: 0, request_type, want_reply, type_fields })
}

#[test]
fn everything_that_a_client_can_ask_for_arrives_in_its_order() {
    let (mut pair, here, there) = opened();
    let modes = TerminalModes::encode([(53, 1)]);
    let mut channel = pair.client.conn.channel(here).unwrap();
    channel.request_pty(b"xterm", SIZE, &modes).unwrap();
    channel.request_auth_agent().unwrap();
    channel.send_env(b"LANG", b"C").unwrap();
    channel.request_shell().unwrap();
    channel.send_window_change(WindowSize { columns: 132, ..SIZE }).unwrap();
    channel.send_signal(b"INT").unwrap();
    channel.request_break(500).unwrap();
    assert!(channel.send_eow().unwrap());
    pair.drive();
    let names = ["PtyReq", "AuthAgentReq", "Env", "Shell", "WindowChange", "Signal", "Break", "Eow"];
    assert_eq!(requests(&pair.server.seen), names);
    let told = format!("{:?}", pair.server.seen);
    assert!(told.contains("columns: 132") && told.contains("length_ms: 500"), "{told}");
    let mut channel = pair.server.conn.channel(there).unwrap();
    for success in [true, false, true, false] {
        channel.reply(success).unwrap();
    }
    assert_eq!(channel.reply(true), Err(NO_REPLY_OWED.into()), "the others want no reply");
    channel.send_xon_xoff(true).unwrap();
    assert!(channel.send_eow().unwrap());
    channel.send_exit_signal(b"KILL", true, "out of memory").unwrap();
    channel.close().unwrap();
    assert_eq!(channel.send_eow(), Err(CHANNEL_NOT_OPEN.into()));
    pair.drive();
    let replies = [true, false, true, false].map(Seen::Reply);
    assert_eq!(pair.client.seen[..4], replies);
    assert_eq!(requests(&pair.client.seen), ["XonXoff", "Eow", "ExitSignal"]);
    let told = format!("{:?}", pair.client.seen);
    let message = format!("{:?}", b"out of memory").replace('"', "\\\"");
    assert!(told.contains(&message) && told.contains("core_dumped: true"), "{told}");
    assert_eq!((&pair.client.error, &pair.server.error), (&None, &None));
}

#[test]
fn replies_come_in_the_order_of_the_requests_however_long_one_takes() {
    let (mut pair, here, there) = opened();
    let mut channel = pair.client.conn.channel(here).unwrap();
    channel.request_pty(b"xterm", SIZE, b"").unwrap();
    pair.client.conn.send_payload(&request(b"x11-req", true, b"fields"));
    pair.client.conn.channel(here).unwrap().request_exec(b"id").unwrap();
    pair.drive();
    assert_eq!(requests(&pair.server.seen), ["PtyReq", "Exec"]);
    assert_eq!(pair.client.seen, [], "the unknown one waits for the first");
    pair.server.conn.channel(there).unwrap().reply(true).unwrap();
    pair.drive();
    // The client of the test asked for two.
    assert_eq!(pair.client.seen, [true, false].map(Seen::Reply));
    pair.server.conn.channel(there).unwrap().reply(true).unwrap();
    pair.drive();
    assert_eq!((&pair.client.error, &pair.server.error), (&None, &None));
}

#[test]
fn t79_a_session_has_one_terminal_and_is_prepared_before_it_runs() {
    let (mut pair, here, there) = opened();
    let ask = |pair: &mut Pair| {
        let mut channel = pair.client.conn.channel(here).unwrap();
        channel.request_pty(b"xterm", SIZE, b"").unwrap();
        pair.drive();
    };
    ask(&mut pair);
    pair.server.conn.channel(there).unwrap().reply(false).unwrap();
    ask(&mut pair);
    assert_eq!(pair.client.seen, [false, false].map(Seen::Reply), "also if the first was refused");
    pair.client.conn.channel(here).unwrap().request_shell().unwrap();
    pair.drive();
    pair.server.conn.channel(there).unwrap().reply(true).unwrap();
    ask(&mut pair);
    let mut channel = pair.client.conn.channel(here).unwrap();
    channel.request_auth_agent().unwrap();
    channel.send_env(b"LANG", b"C").unwrap();
    channel.request_subsystem(b"sftp").unwrap();
    pair.drive();
    assert_eq!(requests(&pair.server.seen), ["PtyReq", "Shell"], "nobody is asked about the others");
    assert_eq!(pair.client.seen[2..], [true, false, false, false].map(Seen::Reply));
    assert_eq!((&pair.client.error, &pair.server.error), (&None, &None));
}

#[test]
fn t80_variables_that_are_too_many_or_too_long_are_refused() {
    let env = |name: &[u8], value: &[u8]| {
        let mut fields = Vec::new();
        let mut w = Writer::new(&mut fields);
        w.string(name);
        w.string(value);
        request(b"env", true, &fields)
    };
    let (mut pair, ..) = opened();
    for (name, value) in [
        (vec![b'x'; ENV_NAME_MAX + 1], vec![]),
        (b"A".to_vec(), vec![b'x'; ENV_VALUE_MAX + 1]),
        (b"A=B".to_vec(), vec![]),
    ] {
        pair.client.conn.send_payload(&env(&name, &value));
    }
    pair.drive();
    assert_eq!((requests(&pair.server.seen).len(), &pair.server.error), (0, &None));
    let (mut pair, _, there) = opened();
    for n in 0..ENV_MAX + 50 {
        pair.client.conn.send_payload(&env(format!("LC_{n}").as_bytes(), &[b'x'; ENV_VALUE_MAX]));
        pair.drive();
        if n < ENV_MAX {
            pair.server.conn.channel(there).unwrap().reply(true).unwrap();
        }
    }
    assert_eq!((requests(&pair.server.seen).len(), &pair.server.error), (ENV_MAX, &None));
}

#[test]
fn a_request_that_is_not_known_or_not_the_peers_to_make_is_refused_once() {
    let size = b"\0\0\0\x50\0\0\0\x18\0\0\0\0\0\0\0\0";
    for want_reply in [true, false] {
        let mut pair = running();
        let (client, server) = (pair.client.seen.len(), pair.server.seen.len());
        for (name, fields) in [
            (&b"exit-status"[..], &b"\0\0\0\0"[..]),
            (b"xon-xoff", b"\x01"),
            (b"keepalive@openssh.com", b""),
            (b"winadj@putty.projects.tartarus.org", b""),
        ] {
            pair.client.conn.send_payload(&request(name, want_reply, fields));
        }
        for (name, fields) in [
            (&b"window-change"[..], &size[..]),
            (b"env", b"\0\0\0\x01A\0\0\0\x01B"),
            (b"shell", b""),
            (b"nonsense", b"x"),
        ] {
            pair.server.conn.send_payload(&request(name, want_reply, fields));
        }
        pair.drive();
        // The test's ends asked for nothing, so the refusals mean nothing to them.
        assert_eq!((pair.client.seen.len(), pair.server.seen.len()), (client, server));
        assert_eq!((&pair.client.error, &pair.server.error), (&None, &None));
    }
}

#[test]
fn t81_any_size_and_any_modes_arrive_and_are_no_fault() {
    for (n, modes) in [(u32::MAX, &b"\x01\0\0"[..]), (0, b"\xff\xff\xff"), (1, b""), (u32::MAX, &[1; 9001])] {
        let (mut pair, here, _) = opened();
        let size = WindowSize { columns: n, rows: n, width_px: n, height_px: n };
        let mut channel = pair.client.conn.channel(here).unwrap();
        channel.request_pty(b"\x1b]0;x\x07", size, modes).unwrap();
        channel.send_window_change(size).unwrap();
        pair.drive();
        assert_eq!(requests(&pair.server.seen), ["PtyReq", "WindowChange"]);
        assert_eq!((&pair.client.error, &pair.server.error), (&None, &None));
    }
}

#[test]
fn requests_whose_fields_are_cut_end_the_connection() {
    for (name, fields) in [
        (&b"pty-req"[..], &b"\0\0\0\x05xterm\0\0\0\x50\0\0\0\x18\0\0\0\0\0\0\0\0\xff\xff\xff\xff"[..]),
        (b"env", b"\0\0\0\x01A"),
        (b"window-change", b"\0\0\0\x50"),
        (b"signal", b"\0\0\0\x09INT"),
        (b"break", b"\0\0\0"),
        (b"auth-agent-req@openssh.com", b"x"),
        (b"eow@openssh.com", b"x"),
    ] {
        refused_by_server(running(), &[request(name, false, fields)], MALFORMED);
    }
    for (name, fields) in [
        (&b"xon-xoff"[..], &b""[..]),
        (b"eow@openssh.com", b"\0"),
        (b"exit-status", b"\0\0\0"),
        (b"exit-signal", b"\0\0\0\x04KILL\x01\0\0\0\x01x"),
    ] {
        refused_by_client(running(), &[request(name, true, fields)], MALFORMED);
    }
}
