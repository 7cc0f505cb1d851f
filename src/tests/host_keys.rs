//! The host's identity: certificates in the exchange, and what a server says of its keys afterwards.

use super::pair::{Pair, Seen, Settings, host_key};
use crate::crypto::sign::certificate::{Certificate, KeyAlgorithm, tests::Fields};
use crate::crypto::sign::{PublicKey, SignatureAlgorithm};
use crate::transport::BAD_HOST_SIGNATURE;
use crate::transport::algorithms::{Algorithm, SIGNATURE, pick};

/// A certificate of `key`; 2 is the role of hosts.
fn certificate(key: &PublicKey, role: u32) -> Certificate {
    Certificate::from_blob(&Fields { key: key.blob(), ..Fields::new(role) }.signed()).unwrap()
}

fn certified(role: u32) -> Settings {
    let certificates = vec![certificate(&host_key().public_key(), role)];
    Settings { certificates, ..Settings::default() }
}

fn shown(settings: Settings) -> (Vec<u8>, &'static str) {
    let mut pair = Pair::authenticated(settings);
    let key = host_key().public_key();
    assert_eq!(pair.client.seen[0], Seen::HostKey(key.fingerprint()), "the key is the one that signed");
    let [client, server] = [pair.client.conn.first_host_key(), pair.server.conn.first_host_key()];
    assert_eq!(client, server);
    let (blob, name) = (client.to_vec(), pair.client.conn.negotiated().unwrap().host_key.name);
    pair.client.conn.start_kex();
    pair.drive();
    assert_eq!((pair.client.error, pair.server.error), (None, None));
    assert_eq!(pair.client.conn.exchanges(), 2, "a later exchange shows the same");
    (blob, name)
}

#[test]
fn a_host_shows_its_certificate_to_who_asks_for_it_first() {
    let of_host = certificate(&host_key().public_key(), 2);
    assert_eq!(shown(certified(2)), (of_host.blob().to_vec(), "ssh-ed25519-cert-v01@openssh.com"));
    let mut settings = certified(2);
    settings.client.algorithms.host_key =
        pick(SIGNATURE, "ssh-ed25519,ssh-ed25519-cert-v01@openssh.com").unwrap();
    assert_eq!(shown(settings), (host_key().public_key().blob(), "ssh-ed25519"));
}

#[test]
fn what_is_no_certificate_of_a_host_key_is_not_offered() {
    let of_another = certificate(&super::pair::user_key().public_key(), 2);
    for settings in [certified(1), Settings { certificates: vec![of_another], ..Settings::default() }] {
        assert_eq!(shown(settings), (host_key().public_key().blob(), "ssh-ed25519"));
    }
}

#[test]
fn t25_a_key_is_shown_in_the_form_that_was_agreed_upon() {
    let forms = [KeyAlgorithm::plain, KeyAlgorithm::certified].map(|form| form(SignatureAlgorithm::Ed25519));
    for (asked, given) in [(forms[0], forms[1]), (forms[1], forms[0])] {
        let mut settings = certified(2);
        settings.client.algorithms.host_key = pick(SIGNATURE, asked.name()).unwrap();
        // The server means the other form by this name.
        settings.server.algorithms.host_key = pick(SIGNATURE, asked.name()).unwrap();
        settings.server.algorithms.host_key[0].algorithm = given;
        let mut pair = Pair::new(settings);
        pair.drive();
        assert_eq!(pair.client.error, Some(BAD_HOST_SIGNATURE.into()), "{}", asked.name());
    }
}

#[test]
fn names_of_certificates_stand_in_front_of_plain_ones() {
    let certified = SIGNATURE.iter().take_while(|row| row.algorithm.certified).count();
    let (certified, plain) = SIGNATURE.split_at(certified);
    assert!(plain.iter().all(|row| !row.algorithm.certified));
    let signatures = |rows: &[Algorithm<KeyAlgorithm>]| -> Vec<_> {
        rows.iter().map(|row| (row.algorithm.signature, row.offered)).collect()
    };
    assert_eq!(signatures(certified), signatures(plain));
}
