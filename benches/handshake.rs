//! A whole exchange in memory, until both sides have keys, beside the sum of its primitives, in one run:
//! `cargo bench --bench handshake`.

#[path = "common.rs"]
mod common;

use common::{Pair, least, server};
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;
use strombus::transport::ClientConfig;
use strombus::transport::algorithms::{KEX, pick};
use x25519_dalek::{PublicKey, StaticSecret};

const ROUNDS: usize = 2000;

/// Two ephemerals, two agreements, a signature and its check, two hashes of what both sides said.
fn primitives(host_key: &SigningKey) {
    let (client, server) = (StaticSecret::from([1; 32]), StaticSecret::from([2; 32]));
    let (q_c, q_s) = (PublicKey::from(&client), PublicKey::from(&server));
    let k = black_box(client.diffie_hellman(&q_s));
    black_box(server.diffie_hellman(&q_c));
    let mut said = vec![7; 1200];
    said.extend_from_slice(k.as_bytes());
    let h = Sha256::digest(black_box(&said));
    black_box(Sha256::digest(&said));
    let signature = host_key.sign(&h);
    host_key.verifying_key().verify_strict(&h, &signature).expect("it is the key's");
}

fn main() {
    let mut client = ClientConfig::default();
    client.transport.algorithms.kex = pick(KEX, "curve25519-sha256").expect("a name of the table");
    let (client, server) = (Arc::new(client), server());
    let host_key = SigningKey::from_bytes(&[9; 32]);
    let (ours, bare) = least(
        ROUNDS,
        || {
            let mut pair = Pair::new(&client, &server, Default::default());
            let start = Instant::now();
            while !pair.keyed && pair.round() {}
            assert!(pair.keyed);
            start.elapsed()
        },
        || {
            let start = Instant::now();
            primitives(&host_key);
            start.elapsed()
        },
    );
    println!(
        "curve25519-sha256, ssh-ed25519: {:.0} exchanges a second, both sides on one core; {:.1} us, primitives {:.1} us, ratio {:.3}",
        1.0 / ours.as_secs_f64(),
        ours.as_secs_f64() * 1e6,
        bare.as_secs_f64() * 1e6,
        ours.as_secs_f64() / bare.as_secs_f64(),
    );
}
