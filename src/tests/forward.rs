//! Forwarding: every channel type and global request, answered in every order, and what nobody asked for.

use super::hostile::payload;
use super::pair::{Pair, Seen, Settings};
use crate::connection::*;
use crate::transport::Error;
use crate::wire::message::{ChannelOpen, GlobalRequest};

fn forwarding() -> Pair {
    let mut pair = Pair::authenticated(Settings::default());
    pair.server.conn.expect_forwarding();
    pair
}

fn tcpip(address: &str, port: u16) -> Bind {
    Bind::Tcpip { address: address.to_owned(), port }
}

fn streamlocal(socket_path: &str) -> Bind {
    Bind::Streamlocal { socket_path: socket_path.to_owned() }
}

/// Our number of a channel, without its generation.
fn number(id: ChannelId) -> String {
    format!("{id:?}").split(", generation").next().unwrap().to_owned()
}

fn last<S: super::pair::TestSide>(end: &super::pair::End<S>) -> Seen {
    end.seen.last().unwrap().clone()
}

fn errors(pair: &Pair) -> (Option<Error>, Option<Error>) {
    (pair.client.error.clone(), pair.server.error.clone())
}

/// The client asks, and the server grants it with this port.
fn hold(pair: &mut Pair, bind: &Bind, bound_port: u16) -> Seen {
    match bind {
        Bind::Tcpip { address, port } => pair.client.conn.request_tcpip_forward(address, *port).unwrap(),
        Bind::Streamlocal { socket_path } => {
            pair.client.conn.request_streamlocal_forward(socket_path).unwrap()
        }
    }
    pair.drive();
    pair.server.conn.accept_global_request(bound_port).unwrap();
    pair.drive();
    last(&pair.client)
}

/// The server opens a channel; whether the client's application is asked, or the reason why not.
fn offered(pair: &mut Pair, open: impl FnOnce(&mut Pair) -> ChannelId) -> Result<String, u32> {
    let (before, id) = (pair.client.seen.len(), open(pair));
    pair.drive();
    assert_eq!(errors(pair), (None, None));
    if let Some(Seen::Offered(what)) = pair.client.seen.get(before) {
        let what = what.clone();
        let here = pair.client.channel.unwrap();
        pair.client.conn.accept_channel(here).unwrap();
        pair.drive();
        assert_eq!(last(&pair.server), Seen::Opened);
        pair.client.conn.channel(here).unwrap().close().unwrap();
        pair.drive();
        return Ok(what);
    }
    let Seen::OpenFailure(reason_code) = last(&pair.server) else { panic!("{:?}", pair.server.seen) };
    assert_eq!(pair.server.conn.channel(id).err(), Some(NO_SUCH_CHANNEL.into()));
    assert_eq!(pair.client.seen.len(), before, "nobody is asked");
    Err(reason_code)
}

fn from_port(address: &str, port: u16) -> impl FnOnce(&mut Pair) -> ChannelId {
    move |pair| pair.server.conn.open_forwarded_tcpip(address, port, "192.0.2.7", 1234).unwrap()
}

fn from_path(path: &str) -> impl FnOnce(&mut Pair) -> ChannelId {
    move |pair| pair.server.conn.open_forwarded_streamlocal(path).unwrap()
}

#[test]
fn direct_channels_carry_data_both_ways_and_say_where_to() {
    let mut pair = forwarding();
    for streamlocal in [false, true] {
        let here = match streamlocal {
            false => pair.client.conn.open_direct_tcpip("db.example", 5432, "127.0.0.1", 65535),
            true => pair.client.conn.open_direct_streamlocal("/run/db.sock"),
        };
        let here = here.unwrap();
        pair.drive();
        let Seen::Offered(what) = last(&pair.server) else { panic!() };
        let expected = match streamlocal {
            false => {
                let (host, originator_address) = (&b"db.example"[..], &b"127.0.0.1"[..]);
                let port = 5432;
                let originator_port = 65535;
                ChannelType::DirectTcpip { host, port, originator_address, originator_port }
            }
            true => ChannelType::DirectStreamlocal { socket_path: b"/run/db.sock" },
        };
        assert_eq!(what, format!("{expected:?}"));
        assert_eq!(pair.client.conn.channel(here).unwrap().write(b"early"), 0, "it is not open yet");
        let there = pair.server.channel.unwrap();
        pair.server.conn.accept_channel(there).unwrap();
        assert_eq!(pair.server.conn.accept_channel(there), Err(NO_SUCH_CHANNEL.into()), "once");
        pair.drive();
        assert_eq!(last(&pair.client), Seen::Opened);
        assert_eq!(pair.client.conn.channel(here).unwrap().write(b"there"), 5);
        assert_eq!(pair.server.conn.channel(there).unwrap().write(b"back"), 4);
        pair.client.conn.channel(here).unwrap().send_eof().unwrap();
        pair.drive();
        assert_eq!(
            pair.server.seen[pair.server.seen.len() - 2..],
            [Seen::Data(b"there".to_vec()), Seen::Eof]
        );
        assert_eq!(last(&pair.client), Seen::Data(b"back".to_vec()));
        pair.server.conn.channel(there).unwrap().close().unwrap();
        pair.drive();
        assert_eq!((last(&pair.client), last(&pair.server)), (Seen::Closed, Seen::Closed));
    }
    assert_eq!(errors(&pair), (None, None));
}

#[test]
fn what_is_asked_of_a_session_is_refused_on_every_other_channel_and_nobody_hears_of_it() {
    let mut pair = forwarding();
    let here = pair.client.conn.open_direct_tcpip("db.example", 5432, "127.0.0.1", 1).unwrap();
    pair.drive();
    let there = pair.server.channel.unwrap();
    pair.server.conn.accept_channel(there).unwrap();
    pair.drive();
    let (asked, heard) = (pair.server.seen.len(), pair.client.seen.len());
    // More than may wait for their replies.
    for _ in 0..REPLIES_OWED_MAX {
        let mut channel = pair.client.conn.channel(here).unwrap();
        channel.request_auth_agent().unwrap();
        channel.request_exec(b"id").unwrap();
        assert!(channel.send_eow().unwrap());
    }
    pair.drive();
    assert_eq!((errors(&pair), pair.server.seen.len()), ((None, None), asked));
    assert_eq!(pair.client.seen[heard..], vec![Seen::Reply(false); 2 * REPLIES_OWED_MAX]);
}

#[test]
fn channels_open_are_refused_and_close_in_every_order() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut pair = forwarding();
        let here: Vec<_> =
            ["/a", "/b", "/c"].map(|path| pair.client.conn.open_direct_streamlocal(path)).into();
        let here: Vec<_> = here.into_iter().map(Result::unwrap).collect();
        let mut there = Vec::new();
        while pair.round() {
            if !pair.server.seen.is_empty() {
                there.extend(pair.server.channel.take());
            }
        }
        // All three came in one round; their ids are those of the offers, in order.
        assert_eq!(pair.server.seen.iter().filter(|seen| matches!(seen, Seen::Offered(_))).count(), 3);
        drop(there);
        let there: Vec<_> = here.clone(); // the same numbers and generations on both sides
        for (nth, which) in order.into_iter().enumerate() {
            let before = pair.client.seen.len();
            if nth == 1 {
                pair.server.conn.refuse_channel(there[which], CONNECT_FAILED, "no").unwrap();
            } else {
                pair.server.conn.accept_channel(there[which]).unwrap();
            }
            pair.drive();
            let expected = if nth == 1 { Seen::OpenFailure(CONNECT_FAILED) } else { Seen::Opened };
            assert_eq!(
                (&pair.client.seen[before..], pair.client.channel),
                (&[expected][..], Some(here[which]))
            );
        }
        for (nth, which) in order.into_iter().enumerate() {
            match nth {
                0 => pair.client.conn.channel(here[which]).unwrap().close().unwrap(),
                2 => pair.server.conn.channel(there[which]).unwrap().close().unwrap(),
                _ => assert_eq!(pair.client.conn.channel(here[which]).err(), Some(NO_SUCH_CHANNEL.into())),
            }
        }
        pair.drive();
        for id in here {
            assert_eq!(pair.client.conn.channel(id).err(), Some(NO_SUCH_CHANNEL.into()));
            assert_eq!(pair.server.conn.channel(id).err(), Some(NO_SUCH_CHANNEL.into()));
        }
        assert_eq!(errors(&pair), (None, None));
    }
}

#[test]
fn t68_a_number_is_used_again_only_when_both_sides_have_closed() {
    let mut pair = forwarding();
    let first = pair.client.conn.open_direct_streamlocal("/a").unwrap();
    pair.drive();
    let there = pair.server.channel.unwrap();
    pair.server.conn.accept_channel(there).unwrap();
    pair.drive();
    pair.client.conn.channel(first).unwrap().close().unwrap();
    let second = pair.client.conn.open_direct_streamlocal("/b").unwrap();
    assert_ne!(number(first), number(second), "the server has not closed");
    pair.drive();
    let third = pair.client.conn.open_direct_streamlocal("/c").unwrap();
    assert_eq!(number(first), number(third));
    assert_ne!(first, third, "another generation");
}

#[test]
fn t70_a_client_is_opened_only_what_it_asked_for_and_still_holds() {
    let mut pair = forwarding();
    assert_eq!(offered(&mut pair, from_port("localhost", 8080)), Err(ADMINISTRATIVELY_PROHIBITED), "unasked");
    assert_eq!(offered(&mut pair, from_path("/s")), Err(ADMINISTRATIVELY_PROHIBITED), "unasked");
    // Asked and not answered.
    pair.client.conn.request_tcpip_forward("localhost", 8080).unwrap();
    pair.drive();
    assert_eq!(offered(&mut pair, from_port("localhost", 8080)), Err(ADMINISTRATIVELY_PROHIBITED));
    pair.server.conn.accept_global_request(0).unwrap();
    pair.drive();
    let (connected_address, originator_address) = (&b"localhost"[..], &b"192.0.2.7"[..]);
    let expected = ChannelType::ForwardedTcpip {
        connected_address,
        connected_port: 8080,
        originator_address,
        originator_port: 1234,
    };
    assert_eq!(offered(&mut pair, from_port("localhost", 8080)), Ok(format!("{expected:?}")));
    // Another port, another word for the same, and the other family of channels.
    for other in [("localhost", 8081), ("127.0.0.1", 8080), ("", 8080), ("localhost\0", 8080)] {
        assert_eq!(offered(&mut pair, from_port(other.0, other.1)), Err(ADMINISTRATIVELY_PROHIBITED));
    }
    assert_eq!(offered(&mut pair, from_path("localhost")), Err(ADMINISTRATIVELY_PROHIBITED));
    hold(&mut pair, &streamlocal("/s"), 0);
    assert!(offered(&mut pair, from_path("/s")).is_ok());
    assert_eq!(offered(&mut pair, from_path("/t")), Err(ADMINISTRATIVELY_PROHIBITED));
    // Cancelled: from then on, whatever the server says to it.
    for success in [true, false] {
        hold(&mut pair, &tcpip("::1", 1), 0);
        pair.client.conn.cancel_tcpip_forward("::1", 1).unwrap();
        assert_eq!(offered(&mut pair, from_port("::1", 1)), Err(ADMINISTRATIVELY_PROHIBITED));
        match success {
            true => pair.server.conn.accept_global_request(0).unwrap(),
            false => pair.server.conn.refuse_global_request().unwrap(),
        }
        pair.drive();
        let told = GlobalEvent::ForwardingCancelled { bind: tcpip("::1", 1), success };
        assert_eq!(last(&pair.client), Seen::Global(told));
        assert_eq!(offered(&mut pair, from_port("::1", 1)), Err(ADMINISTRATIVELY_PROHIBITED));
        assert_eq!(pair.client.conn.cancel_tcpip_forward("::1", 1), Err(NO_SUCH_FORWARD.into()));
    }
    pair.client.conn.cancel_streamlocal_forward("/s").unwrap();
    pair.drive();
    assert_eq!(offered(&mut pair, from_path("/s")), Err(ADMINISTRATIVELY_PROHIBITED));
    assert!(offered(&mut pair, from_port("localhost", 8080)).is_ok(), "the first is held all the time");
    // Refused.
    pair.server.conn.accept_global_request(0).unwrap();
    pair.client.conn.request_tcpip_forward("x", 2).unwrap();
    pair.drive();
    pair.server.conn.refuse_global_request().unwrap();
    pair.drive();
    assert_eq!(last(&pair.client), Seen::Global(GlobalEvent::ForwardingRefused { asked: tcpip("x", 2) }));
    assert_eq!(offered(&mut pair, from_port("x", 2)), Err(ADMINISTRATIVELY_PROHIBITED));
}

#[test]
fn t70_all_addresses_are_one_text_and_a_port_that_the_server_chose_is_what_is_held() {
    for told in ["*", ""] {
        let mut pair = forwarding();
        pair.client.conn.request_tcpip_forward(told, 0).unwrap();
        pair.drive();
        let event = GlobalEvent::Forward { bind: tcpip("", 0), want_reply: true };
        assert_eq!(last(&pair.server), Seen::Global(event));
        pair.server.conn.accept_global_request(40_000).unwrap();
        pair.drive();
        let (asked, held) = (tcpip("", 0), tcpip("", 40_000));
        assert_eq!(last(&pair.client), Seen::Global(GlobalEvent::Forwarding { asked, held }));
        assert!(offered(&mut pair, from_port("", 40_000)).is_ok());
        for (address, port) in [("", 0), ("*", 40_000), ("0.0.0.0", 40_000), ("localhost", 40_000)] {
            assert_eq!(offered(&mut pair, from_port(address, port)), Err(ADMINISTRATIVELY_PROHIBITED));
        }
        assert_eq!(pair.client.conn.cancel_tcpip_forward(told, 0), Err(NO_SUCH_FORWARD.into()));
        pair.client.conn.cancel_tcpip_forward(told, 40_000).unwrap();
        pair.drive();
        let event = GlobalEvent::CancelForward { bind: tcpip("", 40_000), want_reply: true };
        assert_eq!(last(&pair.server), Seen::Global(event));
    }
}

#[test]
fn t71_the_agent_is_reached_only_after_it_was_offered() {
    let agent = |pair: &mut Pair| pair.server.conn.open_auth_agent().unwrap();
    let mut pair = forwarding();
    assert_eq!(offered(&mut pair, agent), Err(ADMINISTRATIVELY_PROHIBITED));
    let here = pair.client.conn.open_session().unwrap();
    pair.drive();
    let there = pair.server.channel.unwrap();
    pair.server.conn.accept_channel(there).unwrap();
    pair.drive();
    pair.client.conn.channel(here).unwrap().request_auth_agent().unwrap();
    pair.drive();
    assert_eq!(last(&pair.server), Seen::Request("AuthAgentReq".to_owned()));
    pair.server.conn.channel(there).unwrap().reply(true).unwrap();
    pair.client.conn.expect_agent_channels();
    pair.drive();
    assert_eq!(offered(&mut pair, agent), Ok("AuthAgent".to_owned()));
    // By its later name, too.
    let open = ChannelOpen {
        channel_type: b"agent-connect",
        sender_channel: 9,
        initial_window_size: 1,
        maximum_packet_size: 1,
        type_fields: b"",
    };
    pair.server.conn.send_payload(&payload(&open));
    pair.drive();
    assert_eq!(last(&pair.client), Seen::Offered("AuthAgent".to_owned()));
}

#[test]
fn replies_to_global_requests_come_in_their_order() {
    let mut pair = forwarding();
    for address in ["a", "b", "c"] {
        pair.client.conn.request_tcpip_forward(address, 0).unwrap();
    }
    // One that the library answers keeps its place.
    let unknown = GlobalRequest { request_name: b"unknown", want_reply: true, request_fields: b"" };
    pair.client.conn.send_payload(&payload(&unknown));
    pair.client.conn.request_streamlocal_forward("/d").unwrap();
    pair.drive();
    let before = pair.client.seen.len();
    pair.server.conn.accept_global_request(1).unwrap();
    pair.server.conn.refuse_global_request().unwrap();
    pair.drive();
    let granted = |asked: &str, port| {
        Seen::Global(GlobalEvent::Forwarding { asked: tcpip(asked, 0), held: tcpip(asked, port) })
    };
    let refused = |asked| Seen::Global(GlobalEvent::ForwardingRefused { asked });
    assert_eq!(pair.client.seen[before..], [granted("a", 1), refused(tcpip("b", 0))]);
    assert_eq!(pair.server.conn.pending_output(), 0, "the answer to the unknown one waits");
    pair.server.conn.accept_global_request(3).unwrap();
    pair.drive();
    // What is not known was not asked by the client's machine: its refusal is taken for that of the next one.
    assert_eq!(pair.client.seen[before + 2..], [granted("c", 3), refused(streamlocal("/d"))]);
    pair.server.conn.accept_global_request(0).unwrap();
    assert_eq!(pair.server.conn.accept_global_request(0), Err(NO_REPLY_OWED.into()));
    assert_eq!(pair.server.conn.refuse_global_request(), Err(NO_REPLY_OWED.into()));
    pair.drive();
    assert_eq!(errors(&pair), (None, None));
}

#[test]
fn replies_that_are_owed_during_an_exchange_come_after_it_in_order() {
    let mut pair = forwarding();
    for address in ["a", "b"] {
        pair.client.conn.request_tcpip_forward(address, 7).unwrap();
    }
    pair.drive();
    pair.server.conn.start_kex();
    pair.server.conn.refuse_global_request().unwrap();
    pair.server.conn.accept_global_request(0).unwrap();
    let before = pair.client.seen.len();
    pair.drive();
    let asked = tcpip("b", 7);
    let told = [
        Seen::Global(GlobalEvent::ForwardingRefused { asked: tcpip("a", 7) }),
        Seen::Global(GlobalEvent::Forwarding { asked: asked.clone(), held: asked }),
    ];
    assert_eq!((&pair.client.seen[before..], errors(&pair)), (&told[..], (None, None)));
}

#[test]
fn a_request_that_wants_no_reply_gets_none() {
    let mut pair = forwarding();
    let request_fields = b"\0\0\0\x01h\0\0\0\x50";
    let request = GlobalRequest { request_name: b"tcpip-forward", want_reply: false, request_fields };
    pair.client.conn.send_payload(&payload(&request));
    pair.drive();
    let event = GlobalEvent::Forward { bind: tcpip("h", 80), want_reply: false };
    assert_eq!(last(&pair.server), Seen::Global(event));
    assert_eq!(pair.server.conn.accept_global_request(0), Err(NO_REPLY_OWED.into()));
}

#[test]
fn names_and_paths_have_a_longest_length_on_both_sides() {
    let mut pair = forwarding();
    let (host, path) = ("h".repeat(HOST_TO_CONNECT_MAX), "p".repeat(SOCKET_PATH_MAX));
    let (long_host, long_path) = (format!("{host}h"), format!("{path}p"));
    let client = &mut pair.client.conn;
    assert_eq!(client.open_direct_streamlocal(&long_path), Err(SOCKET_PATH_TOO_LONG.into()));
    assert_eq!(client.request_tcpip_forward(&long_host, 1), Err(HOST_TOO_LONG.into()));
    assert_eq!(client.request_streamlocal_forward(&long_path), Err(SOCKET_PATH_TOO_LONG.into()));
    let server = &mut pair.server.conn;
    assert_eq!(server.open_forwarded_tcpip(&long_host, 1, "", 0), Err(HOST_TOO_LONG.into()));
    assert_eq!(server.open_forwarded_streamlocal(&long_path), Err(SOCKET_PATH_TOO_LONG.into()));
    hold(&mut pair, &tcpip(&host, 1), 0);
    hold(&mut pair, &streamlocal(&path), 0);
    assert!(offered(&mut pair, from_port(&host, 1)).is_ok() && offered(&mut pair, from_path(&path)).is_ok());
}

#[test]
fn a_client_holds_no_more_than_the_bound() {
    let mut pair = forwarding();
    for port in 1..=u16::try_from(FORWARDS_MAX).unwrap() {
        pair.client.conn.request_tcpip_forward("", port).unwrap();
        if port % 2 == 0 {
            pair.drive();
            while pair.server.conn.accept_global_request(0).is_ok() {}
            pair.drive();
        }
    }
    assert_eq!(pair.client.conn.request_tcpip_forward("", 9999), Err(TOO_MANY_FORWARDS.into()));
    pair.client.conn.cancel_tcpip_forward("", 1).unwrap();
    pair.client.conn.request_tcpip_forward("", 9999).unwrap();
    assert_eq!(pair.client.conn.request_streamlocal_forward("/s"), Err(TOO_MANY_FORWARDS.into()));
}

#[test]
fn nothing_is_forwarded_before_the_login() {
    let mut pair = Pair::keyed(Settings::default());
    assert_eq!(pair.client.conn.request_tcpip_forward("", 1), Err(NOT_AUTHENTICATED.into()));
    assert_eq!(pair.client.conn.send_no_more_sessions(), Err(NOT_AUTHENTICATED.into()));
    assert!(pair.client.conn.open_direct_streamlocal("/s").is_err());
    assert!(pair.server.conn.open_auth_agent().is_err());
}

#[test]
fn after_no_more_sessions_those_before_it_and_other_channels_are_served() {
    let mut pair = Pair::authenticated(Settings::default());
    pair.client.conn.open_session().unwrap();
    pair.client.conn.send_no_more_sessions().unwrap();
    assert!(pair.client.conn.pending_output() > 0);
    pair.drive();
    assert_eq!((last(&pair.server), errors(&pair)), (Seen::OpenRequest, (None, None)), "that one was before");
    // Other channels may still be opened.
    pair.server.conn.expect_forwarding();
    pair.client.conn.open_direct_streamlocal("/s").unwrap();
    pair.drive();
    assert!(matches!(last(&pair.server), Seen::Offered(_)));
}
