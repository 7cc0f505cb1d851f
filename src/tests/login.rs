//! Every way a login can go.

use super::pair::{Pair, Seen, Settings, host_key, user_key};
use crate::transport::{Error, HOST_KEY_CHANGED, STALE_VERDICT};
use crate::wire::DisconnectReason;
use std::time::Duration;

#[test]
fn a_key_logs_in_after_its_query() {
    let pair = Pair::authenticated(Settings::default());
    let host = host_key().public_key().fingerprint();
    let methods = "publickey,password".to_owned();
    assert_eq!(pair.client.seen, [Seen::HostKey(host), Seen::Continue(methods), Seen::Authenticated]);
    assert_eq!(pair.server.seen, [Seen::Query(b"ann".to_vec()), Seen::Publickey(b"ann".to_vec())]);
    assert!(pair.client.conn.is_authenticated() && pair.server.conn.is_authenticated());
    assert_eq!(pair.client.conn.session_id(), pair.server.conn.session_id());
    assert_eq!(pair.client.conn.server_sig_algs().unwrap().len(), 1);
}

#[test]
fn a_password_logs_in_after_a_wrong_one() {
    let mut pair = Pair::keyed(Settings::default());
    let ticket = pair.client.ticket();
    pair.client.conn.request_password(ticket, b"wrong").unwrap();
    pair.drive();
    let ticket = pair.server.ticket();
    pair.server.conn.refuse_user(ticket).unwrap();
    pair.drive();
    assert!(!pair.client.conn.is_authenticated());
    let ticket = pair.client.ticket();
    pair.client.conn.request_password(ticket, b"right").unwrap();
    pair.drive();
    let ticket = pair.server.ticket();
    pair.server.conn.accept_user(ticket).unwrap();
    pair.drive();
    assert!(pair.client.conn.is_authenticated());
    let asked = |password: &[u8]| Seen::Password(b"ann".to_vec(), password.to_vec());
    assert_eq!(pair.server.seen, [asked(b"wrong"), asked(b"right")]);
}

#[test]
fn t59_a_refused_host_key_sees_nothing_of_the_login() {
    let mut pair = Pair::new(Settings::default());
    pair.drive();
    let ticket = pair.client.ticket();
    pair.client.conn.refuse_host_key(ticket).unwrap();
    pair.drive();
    let Some(Error::Disconnected { reason, .. }) = &pair.server.error else {
        panic!("{:?}", pair.server.error)
    };
    assert_eq!(*reason, DisconnectReason::HOST_KEY_NOT_VERIFIABLE);
    assert!(pair.server.seen.is_empty());
}

#[test]
fn a_verdict_of_another_attempt_or_connection_changes_nothing() {
    let mut one = Pair::keyed(Settings::default());
    let mut two = Pair::keyed(Settings::default());
    for pair in [&mut one, &mut two] {
        let ticket = pair.client.ticket();
        pair.client.conn.request_publickey(ticket, user_key()).unwrap();
        pair.drive();
    }
    let stale = one.server.ticket();
    assert_eq!(two.server.conn.accept_user(stale), Err(STALE_VERDICT.into()));
    two.drive();
    assert_eq!(two.server.seen, [Seen::Query(b"ann".to_vec())]);
    let ticket = two.server.ticket();
    two.server.conn.accept_user(ticket).unwrap();
    two.drive();
    assert_eq!(two.server.seen.len(), 2, "the right ticket lets it go on");
}

#[test]
fn a_ticket_of_the_login_is_no_verdict_on_the_host_key() {
    for accepts in [true, false] {
        let mut pair = Pair::keyed(Settings::default());
        let ticket = pair.client.ticket();
        let verdict = match accepts {
            true => pair.client.conn.accept_host_key(ticket),
            false => pair.client.conn.refuse_host_key(ticket),
        };
        assert_eq!(verdict, Err(STALE_VERDICT.into()));
        assert!(!pair.client.conn.is_ended() && pair.client.conn.pending_output() == 0);
        pair.client.conn.start_kex();
        pair.drive();
        assert_eq!((&pair.client.error, &pair.server.error), (&None, &None));
    }
}

#[test]
fn t47_a_failure_comes_after_its_delay_and_not_before() {
    let mut settings = Settings::default();
    settings.userauth.failure_delay = Duration::from_millis(20);
    let mut pair = Pair::keyed(settings);
    let ticket = pair.client.ticket();
    pair.client.conn.request_password(ticket, b"wrong").unwrap();
    pair.drive();
    let ticket = pair.server.ticket();
    pair.server.conn.refuse_user(ticket).unwrap();
    pair.drive();
    assert_eq!(pair.client.tickets.len(), 0);
    assert_eq!(pair.server.conn.poll_timeout(), Some(pair.now + Duration::from_millis(20)));
    pair.wait(Duration::from_millis(19));
    pair.drive();
    assert_eq!(pair.client.tickets.len(), 0);
    pair.wait(Duration::from_millis(1));
    pair.drive();
    assert_eq!(pair.client.tickets.len(), 1);
}

#[test]
fn t33_another_host_key_at_a_rekey_ends_the_connection() {
    // The first key of the client's memory is swapped: for it the server's has changed.
    let mut pair = Pair::running(Settings::default());
    pair.client.conn.forget_host_key();
    pair.client.conn.start_kex();
    pair.drive();
    assert_eq!(pair.client.error, Some(HOST_KEY_CHANGED.into()));
}

#[test]
fn a_banner_is_told_before_the_first_answer() {
    let mut settings = Settings::default();
    settings.userauth.banner = Some("hello\n".to_owned());
    let pair = Pair::keyed(settings);
    assert_eq!(pair.client.seen[1], Seen::Banner(b"hello\n".to_vec()));
}
