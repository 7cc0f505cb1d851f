//! Every way a login can go.

use super::pair::{Pair, Seen, Settings, host_key, user_key};
use crate::crypto::sign::PrivateKey;
use crate::crypto::sign::certificate::KeyAlgorithm;
use crate::keys::private_key;
use crate::transport::algorithms::{Algorithm, Algorithms, Offered, SIGNATURE, Slot, pick};
use crate::transport::{Error, HOST_KEY_CHANGED, STALE_VERDICT};
use crate::userauth::{KEY_NOT_OFFERED, Permissions};
use crate::wire::DisconnectReason;
use std::sync::Arc;
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
    let taken = Algorithms::server().user_key;
    let taken = taken.iter().filter(|row| !row.algorithm.certified);
    let taken: Vec<_> = taken.map(|row| row.algorithm.signature).collect();
    assert_eq!(pair.client.conn.server_sig_algs(), Some(&*taken));
}

/// Lists that leave nothing to sign users' keys with: one is empty, one has only what is broken.
fn none_for_users() -> [Vec<Algorithm<KeyAlgorithm>>; 2] {
    let mut broken = SIGNATURE.to_vec();
    broken.iter_mut().for_each(|row| row.offered = Offered::Legacy);
    [Vec::new(), broken]
}

#[test]
fn t26_a_signature_algorithm_that_the_server_does_not_take_logs_nobody_in() {
    for user_key in none_for_users() {
        let mut settings = Settings::default();
        settings.server.algorithms.user_key = user_key;
        let mut pair = Pair::keyed(settings);
        assert_eq!(pair.client.conn.server_sig_algs(), Some(&[][..]), "what is announced is what is taken");
        let ticket = pair.client.ticket();
        pair.client.conn.request_publickey(ticket, super::pair::user_key()).unwrap();
        pair.drive();
        assert_eq!(pair.server.seen, [], "nobody is asked");
        assert_eq!(pair.client.tickets.len(), 1, "the client may try something else");
    }
}

fn key_of(file: &[u8]) -> Arc<PrivateKey> {
    Arc::new(private_key::parse(file).unwrap().plain().unwrap().key)
}

/// One key of each type that signs.
fn keys_of_every_type() -> [Arc<PrivateKey>; 5] {
    [
        key_of(include_bytes!("../../vectors/keys/ed25519")),
        key_of(include_bytes!("../../vectors/keys/ecdsa-256")),
        key_of(include_bytes!("../../vectors/keys/ecdsa-384")),
        key_of(include_bytes!("../../vectors/keys/ecdsa-521")),
        key_of(include_bytes!("../../vectors/keys/rsa-2048")),
    ]
}

#[test]
fn keys_of_every_type_prove_hosts_and_users() {
    for key in keys_of_every_type() {
        let settings = Settings { host_keys: vec![Arc::clone(&key)], ..Settings::default() };
        let pair = Pair::authenticated_by(Arc::clone(&key), settings);
        assert_eq!(pair.client.seen[0], Seen::HostKey(key.public_key().fingerprint()));
        assert!(pair.client.conn.is_authenticated() && pair.server.conn.is_authenticated());
    }
}

#[test]
fn t26_a_host_key_of_rsa_signs_by_each_name_of_sha2_and_none_by_sha1() {
    for (names, good) in [("rsa-sha2-512", true), ("rsa-sha2-256", true), ("ssh-rsa", false)] {
        let host_keys = vec![Arc::clone(&keys_of_every_type()[4])];
        let mut settings = Settings { host_keys, ..Settings::default() };
        settings.client.algorithms.host_key = pick(SIGNATURE, names).unwrap();
        settings.server.algorithms.host_key = SIGNATURE.to_vec();
        let mut pair = Pair::new(settings);
        pair.drive();
        assert_eq!(pair.client.seen.len(), usize::from(good), "{names}");
        if !good {
            let Some(Error::Incompatible(error)) = &pair.server.error else {
                panic!("{:?}", pair.server.error)
            };
            assert_eq!(
                (error.slot, &*error.local),
                (Slot::ServerHostKeyAlgorithms, "rsa-sha2-512,rsa-sha2-256")
            );
        }
    }
}

#[test]
fn t26_a_key_that_the_client_does_not_offer_is_not_sent() {
    for user_key in none_for_users() {
        let mut settings = Settings::default();
        settings.client.algorithms.user_key = user_key;
        let mut pair = Pair::keyed(settings);
        let ticket = pair.client.ticket();
        let refused = pair.client.conn.request_publickey(ticket, super::pair::user_key());
        assert_eq!(refused, Err(KEY_NOT_OFFERED.into()));
        assert!(pair.client.conn.output().is_empty());
    }
}

#[test]
fn t26_a_server_signs_with_nothing_broken() {
    let mut settings = Settings::default();
    settings.server.algorithms.host_key.iter_mut().for_each(|row| row.offered = Offered::Legacy);
    let mut pair = Pair::new(settings);
    pair.drive();
    let Some(Error::Incompatible(lists)) = &pair.client.error else { panic!("{:?}", pair.client.error) };
    assert_eq!((lists.slot, &*lists.remote), (Slot::ServerHostKeyAlgorithms, ""));
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
    pair.server.conn.accept_user(ticket, &Permissions::FULL).unwrap();
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
    assert_eq!(two.server.conn.accept_user(stale, &Permissions::FULL), Err(STALE_VERDICT.into()));
    two.drive();
    assert_eq!(two.server.seen, [Seen::Query(b"ann".to_vec())]);
    let ticket = two.server.ticket();
    two.server.conn.accept_user(ticket, &Permissions::FULL).unwrap();
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

#[test]
fn t52_t93_an_application_that_gives_no_verdict_lets_nobody_in() {
    let mut pair = Pair::new(Settings::default());
    pair.drive();
    assert_eq!((pair.client.tickets.len(), pair.client.seen.len()), (1, 1), "asked about the host key");
    assert!(
        pair.server.seen.is_empty() && pair.client.conn.pending_output() == 0,
        "nothing goes on by itself"
    );
    let mut pair = Pair::keyed(Settings::default());
    let ticket = pair.client.ticket();
    pair.client.conn.request_password(ticket, b"right").unwrap();
    pair.drive();
    assert_eq!((pair.server.tickets.len(), pair.server.seen.len()), (1, 1), "asked about the password");
    assert!(!pair.server.conn.is_authenticated() && !pair.client.conn.is_authenticated());
    let mut pair = Pair::authenticated(Settings::default());
    pair.client.conn.open_session().unwrap();
    pair.drive();
    assert_eq!(pair.server.seen.last(), Some(&Seen::OpenRequest));
    assert!(!pair.client.seen.contains(&Seen::Opened), "a channel is opened by its application only");
}
