//! Announcements of host keys that are wrong, and requests to prove keys that would make a server an oracle.

use super::payload;
use crate::connection::{
    GLOBAL_ASKED_MAX, GlobalEvent, HOST_KEYS_MAX, NOT_AUTHENTICATED, TOO_MANY_GLOBAL_REQUESTS,
    TOO_MANY_HOST_KEYS,
};
use crate::crypto::sign::{PrivateKey, PublicKey, SignatureAlgorithm, ecdsa::Curve};
use crate::tests::pair::{Pair, SeededRng, Seen, Settings, all_output, host_key, user_key};
use crate::wire::message::{GlobalRequest, RequestFailure, RequestSuccess};
use crate::wire::{Reader, Writer};
use std::sync::Arc;

fn strings(fields: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    fields.iter().for_each(|field| Writer::new(&mut bytes).string(field));
    bytes
}

fn second_key() -> Arc<PrivateKey> {
    Arc::new(PrivateKey::generate_ecdsa(Curve::Nistp256, &mut SeededRng::new(9)))
}

fn own_keys() -> [PublicKey; 2] {
    [host_key().public_key(), second_key().public_key()]
}

fn blobs(keys: &[PublicKey]) -> Vec<Vec<u8>> {
    keys.iter().map(PublicKey::blob).collect()
}

/// A server with two keys, which announces them if it is asked to.
fn authenticated(announces_host_keys: bool) -> Pair {
    let host_keys = vec![host_key(), second_key()];
    let mut pair = Pair::authenticated(Settings { host_keys, announces_host_keys, ..Settings::default() });
    pair.client.seen.clear();
    pair
}

/// What a host key signs to prove itself.
fn message(pair: &Pair, blob: &[u8]) -> Vec<u8> {
    let session_id = pair.server.conn.session_id().to_vec();
    strings(&[b"hostkeys-prove-00@openssh.com".to_vec(), session_id, blob.to_vec()])
}

fn assert_unhurt(pair: &Pair) {
    assert_eq!((&pair.client.error, &pair.server.error), (&None, &None));
}

#[test]
fn t75_a_server_proves_its_own_keys_and_each_once() {
    let [first, second] = own_keys();
    let mut pair = authenticated(true);
    let mut prove = |keys: &[Vec<u8>]| pair.server.conn.prove_host_keys(&strings(keys));
    let (own, foreign) = (blobs(&[first, second.clone()]), user_key().public_key().blob());
    let certificate = b"\0\0\0\x20ssh-ed25519-cert-v01@openssh.com".to_vec();
    for wrong in [
        vec![foreign.clone()],
        vec![own[0].clone(), foreign],
        vec![own[0].clone(), own[0].clone()],
        vec![own[0].clone(), Vec::new()],
        vec![own[0].clone(), b"no key".to_vec()],
        vec![certificate],
    ] {
        assert_eq!(prove(&wrong), None, "{wrong:?}");
    }
    let response = prove(&own[..1]).expect("what was refused cost no signature");
    assert_eq!(prove(&own), None, "the first has signed");
    assert_eq!(prove(&own[..1]), None);
    let last = prove(&own[1..]).expect("the second has not");
    assert_eq!(prove(&own[1..]), None);
    let cut = strings(&own);
    assert_eq!(pair.server.conn.prove_host_keys(&cut[..cut.len() - 1]), None);

    let mut r = Reader::new(&response);
    let signature = r.string().unwrap();
    let message = message(&pair, &own[0]);
    let _token = host_key().public_key().verify(SignatureAlgorithm::Ed25519, &message, signature).unwrap();
    assert!(r.rest().is_empty());
    let algorithm = SignatureAlgorithm::Ecdsa(Curve::Nistp256);
    let signature = Reader::new(&last).string().unwrap().to_vec();
    let _token = second.verify(algorithm, &self::message(&pair, &own[1]), &signature).unwrap();
}

#[test]
fn t75_a_server_that_announces_nothing_proves_nothing() {
    let mut pair = authenticated(false);
    assert_eq!(pair.server.conn.prove_host_keys(&strings(&blobs(&own_keys()[..1]))), None);
    assert_eq!(pair.client.seen, []);
}

#[test]
fn t75_a_client_proves_nothing() {
    let mut pair = authenticated(true);
    assert_eq!(pair.client.conn.prove_host_keys(&strings(&blobs(&own_keys()))), None);
}

#[test]
fn t26_an_rsa_key_proves_itself_by_sha2_and_only_as_the_client_takes_it() {
    let file = include_bytes!("../../../vectors/keys/rsa-2048");
    let rsa = Arc::new(crate::keys::private_key::parse(file).unwrap().plain().unwrap().key);
    for (client_takes, expected) in [
        ("ssh-ed25519,rsa-sha2-256,rsa-sha2-512", Some("rsa-sha2-512")),
        ("ssh-ed25519,rsa-sha2-256", Some("rsa-sha2-256")),
        ("ssh-ed25519,rsa-sha2-256-cert-v01@openssh.com", Some("rsa-sha2-256")),
        ("rsa-sha2-256,ssh-ed25519,rsa-sha2-512", Some("rsa-sha2-256")),
        ("ssh-ed25519,ssh-rsa", None),
        ("ssh-ed25519", None),
    ] {
        let host_keys = vec![host_key(), Arc::clone(&rsa)];
        let mut settings = Settings { host_keys, announces_host_keys: true, ..Settings::default() };
        settings.client.algorithms.host_key =
            crate::transport::algorithms::pick(crate::transport::algorithms::SIGNATURE, client_takes)
                .unwrap();
        let mut pair = Pair::authenticated(settings);
        pair.client.seen.clear();
        pair.client.conn.request_hostkeys_prove(&[rsa.public_key()]).unwrap();
        pair.drive();
        assert_unhurt(&pair);
        let keys = vec![rsa.public_key()];
        let told = match expected {
            Some(_) => GlobalEvent::HostKeysProved { keys },
            None => GlobalEvent::HostKeysNotProved,
        };
        assert_eq!(pair.client.seen, [Seen::Global(told)], "{client_takes}");
        if let Some(name) = expected {
            // The agreed algorithm is the only one that a client takes.
            let algorithm = SignatureAlgorithm::from_name(name).unwrap();
            let other = ["rsa-sha2-512", "rsa-sha2-256"].into_iter().find(|other| *other != name).unwrap();
            let other = SignatureAlgorithm::from_name(other).unwrap();
            let agreed = client_takes.starts_with("rsa");
            for (algorithm, good) in [(algorithm, true), (other, !agreed)] {
                let message = message(&pair, &rsa.public_key().blob());
                let signature = rsa.sign(algorithm, &message).unwrap();
                assert_eq!(answered(&mut pair, &[rsa.public_key()], &[signature]), good, "{client_takes}");
            }
        }
    }
}

/// Whether a client believes these signatures, whoever made them.
fn answered(pair: &mut Pair, keys: &[PublicKey], signatures: &[Vec<u8>]) -> bool {
    pair.client.seen.clear();
    pair.client.conn.request_hostkeys_prove(keys).unwrap();
    all_output(&mut pair.client.conn); // the server never hears of it
    pair.server.conn.send_payload(&payload(&RequestSuccess { response_fields: &strings(signatures) }));
    pair.drive();
    assert_eq!(pair.client.error, None);
    let proved = Seen::Global(GlobalEvent::HostKeysProved { keys: keys.to_vec() });
    match &*pair.client.seen {
        [seen] if *seen == proved => true,
        [Seen::Global(GlobalEvent::HostKeysNotProved)] => false,
        other => panic!("{other:?}"),
    }
}

#[test]
fn t76_one_bad_signature_proves_nothing() {
    let keys = own_keys();
    let mut pair = authenticated(true);
    let [first, second] = [0, 1].map(|at| message(&pair, &keys[at].blob()));
    let ecdsa = SignatureAlgorithm::Ecdsa(Curve::Nistp256);
    let good = [
        host_key().sign(SignatureAlgorithm::Ed25519, &first).unwrap(),
        second_key().sign(ecdsa, &second).unwrap(),
    ];
    let of_another_session =
        strings(&[b"hostkeys-prove-00@openssh.com".to_vec(), vec![1; 32], keys[1].blob()]);
    let with = |signature: Vec<u8>| vec![good[0].clone(), signature];
    assert!(answered(&mut pair, &keys, &good));
    for wrong in [
        with(second_key().sign(ecdsa, &of_another_session).unwrap()),
        with(second_key().sign(ecdsa, &first).unwrap()),
        with(second_key().sign(ecdsa, pair.server.conn.session_id()).unwrap()),
        with(host_key().sign(SignatureAlgorithm::Ed25519, &second).unwrap()),
        with(Vec::new()),
        vec![good[0].clone()],
        vec![good[1].clone(), good[0].clone()],
        vec![good[0].clone(), good[1].clone(), good[1].clone()],
        Vec::new(),
    ] {
        assert!(!answered(&mut pair, &keys, &wrong));
    }
    assert!(answered(&mut pair, &keys, &good));
}

#[test]
fn a_server_announces_its_keys_once_and_proves_them_to_who_asks() {
    let keys = own_keys().to_vec();
    let host_keys = vec![host_key(), second_key()];
    let mut pair =
        Pair::authenticated(Settings { host_keys, announces_host_keys: true, ..Settings::default() });
    let announced = Seen::Global(GlobalEvent::HostKeys { keys: keys.clone() });
    assert_eq!(pair.client.seen[2..], [Seen::Authenticated, announced], "directly after the login");
    pair.client.seen.clear();
    pair.client.conn.request_hostkeys_prove(&keys).unwrap();
    pair.client.conn.start_kex();
    pair.client.conn.request_hostkeys_prove(&keys).unwrap();
    pair.drive();
    assert_unhurt(&pair);
    let told = [GlobalEvent::HostKeysProved { keys }, GlobalEvent::HostKeysNotProved].map(Seen::Global);
    assert_eq!(pair.client.seen, told, "also while keys are renewed");
}

fn announcement(blobs: &[Vec<u8>]) -> Vec<u8> {
    let request_fields = &strings(blobs);
    payload(&GlobalRequest { request_name: b"hostkeys-00@openssh.com", want_reply: false, request_fields })
}

/// What a client hears of an announcement.
fn heard(blobs: &[Vec<u8>]) -> Option<Vec<PublicKey>> {
    let mut pair = authenticated(false);
    pair.server.conn.send_payload(&announcement(blobs));
    pair.drive();
    assert_unhurt(&pair);
    match pair.client.seen.pop()? {
        Seen::Global(GlobalEvent::HostKeys { keys }) => Some(keys),
        other => panic!("{other:?}"),
    }
}

fn many(n: usize) -> Vec<PublicKey> {
    (0..n).map(|seed| PrivateKey::generate_ed25519(&mut SeededRng::new(seed as u64)).public_key()).collect()
}

#[test]
fn t76_an_announcement_is_bounded_and_what_cannot_be_read_is_passed_over() {
    let most = many(HOST_KEYS_MAX);
    assert_eq!(heard(&blobs(&most)), Some(most));
    assert_eq!(heard(&blobs(&many(HOST_KEYS_MAX + 1))), None, "half of a list would forget the other half");
    let [first, second] = own_keys();
    let junk =
        [b"".to_vec(), b"\0\0\0\x07ssh-new\0\0\0\0".to_vec(), vec![255; 5000], first.blob()[..40].to_vec()];
    let mixed = [junk.to_vec(), blobs(&[first.clone(), second.clone()]), junk.to_vec()].concat();
    assert_eq!(heard(&mixed), Some(vec![first.clone(), second.clone()]));
    assert_eq!(heard(&junk), None);
    assert_eq!(heard(&[]), None);
    assert_eq!(heard(&blobs(&[first.clone(), second, first])), None, "twice the same");
}

#[test]
fn t76_a_second_announcement_is_passed_over_even_if_the_first_said_nothing() {
    for first in [blobs(&own_keys()), Vec::new()] {
        let mut pair = authenticated(false);
        pair.server.conn.send_payload(&announcement(&first));
        pair.drive();
        pair.client.seen.clear();
        pair.server.conn.send_payload(&announcement(&blobs(&many(1))));
        pair.drive();
        assert_unhurt(&pair);
        assert_eq!(pair.client.seen, []);
    }
    let mut pair = authenticated(false);
    pair.client.conn.send_payload(&announcement(&blobs(&many(1))));
    pair.drive();
    assert_unhurt(&pair);
    assert!(
        !pair.server.seen.iter().any(|seen| matches!(seen, Seen::Global(_))),
        "a server hears of no keys"
    );
}

#[test]
fn t73_replies_that_nobody_asked_for_mean_nothing_and_the_real_one_is_still_taken() {
    let mut pair = authenticated(true);
    for _ in 0..1000 {
        pair.server.conn.send_payload(&payload(&RequestSuccess { response_fields: b"x" }));
        pair.server.conn.send_payload(&payload(&RequestFailure {}));
    }
    pair.drive();
    assert_eq!(pair.client.seen, []);
    let keys = own_keys();
    pair.client.conn.request_hostkeys_prove(&keys).unwrap();
    pair.drive();
    assert_unhurt(&pair);
    assert_eq!(pair.client.seen, [Seen::Global(GlobalEvent::HostKeysProved { keys: keys.to_vec() })]);
}

#[test]
fn requests_that_wait_for_replies_are_bounded() {
    let mut pair = Pair::keyed(Settings::default());
    assert_eq!(pair.client.conn.request_hostkeys_prove(&[]), Err(NOT_AUTHENTICATED.into()));
    let mut pair = authenticated(true);
    assert_eq!(
        pair.client.conn.request_hostkeys_prove(&many(HOST_KEYS_MAX + 1)),
        Err(TOO_MANY_HOST_KEYS.into())
    );
    for _ in 0..GLOBAL_ASKED_MAX {
        pair.client.conn.request_hostkeys_prove(&many(1)).unwrap();
    }
    assert_eq!(pair.client.conn.request_hostkeys_prove(&many(1)), Err(TOO_MANY_GLOBAL_REQUESTS.into()));
    pair.drive();
    assert_unhurt(&pair);
    assert_eq!(pair.client.seen.len(), GLOBAL_ASKED_MAX);
    pair.client.conn.request_hostkeys_prove(&own_keys()).unwrap();
}
