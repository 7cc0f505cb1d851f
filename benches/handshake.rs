//! A whole exchange in memory, until both sides have keys and have used them, beside the sum of its primitives, in one run:
//! `cargo bench --bench handshake [WORD]…`, a line for each method of the table with an Ed25519 host key, and for each type
//! of host key with curve25519.
//!
//! The primitives are both ephemeral keys, both agreements, the signature and its check by a key that came as bytes, the
//! exchange hash of both sides and the keys that both derive.

#[path = "common/agreement.rs"]
mod agreement;
mod common;

use agreement::{Work, agreement};
use base64ct::{Base64, Encoding};
use common::{Pair, is_wanted, least, timed};
use crypto_bigint::{BoxedUint, NonZero};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use ring::rand::SystemRandom;
use ring::rsa::{KeyPairComponents, PublicKeyComponents};
use ring::signature::{self, EcdsaKeyPair, KeyPair};
use sha2::{Digest, Sha256, Sha384, Sha512};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use strombus::crypto::hash::Hash;
use strombus::crypto::sign::PrivateKey;
use strombus::keys::private_key;
use strombus::transport::algorithms::{Algorithms, KEX, SIGNATURE, pick};
use strombus::transport::{ClientConfig, ServerConfig, TransportConfig};
use strombus::wire::Reader;

/// What is signed: H.
const H: [u8; 32] = [7; 32];

/// Time for a line.
const BUDGET: Duration = Duration::from_secs(2);

/// A signature, and its check.
fn signature(file: &str) -> Work {
    let numbers = numbers(file);
    let rng = SystemRandom::new();
    match file {
        "ed25519" => {
            let key = SigningKey::from_bytes(numbers[1][..32].try_into().unwrap());
            let public = key.verifying_key().to_bytes();
            Box::new(move || {
                let signature = key.sign(black_box(&H));
                let public = VerifyingKey::from_bytes(black_box(&public)).unwrap();
                public.verify_strict(&H, &signature).unwrap();
            })
        }
        "ecdsa-256" | "ecdsa-384" => {
            let (signing, verifying) = match file {
                "ecdsa-256" => {
                    (&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &signature::ECDSA_P256_SHA256_FIXED)
                }
                _ => (&signature::ECDSA_P384_SHA384_FIXED_SIGNING, &signature::ECDSA_P384_SHA384_FIXED),
            };
            let (q, d) = (&numbers[1], without_sign(&numbers[2]));
            let key = EcdsaKeyPair::from_private_key_and_public_key(signing, d, q, &rng).unwrap();
            Box::new(move || {
                let made = key.sign(&rng, black_box(&H)).unwrap();
                let public = signature::UnparsedPublicKey::new(verifying, key.public_key());
                public.verify(&H, made.as_ref()).unwrap();
            })
        }
        "ecdsa-521" => {
            use p521::ecdsa::{Signature, SigningKey, VerifyingKey, signature::Verifier};
            let mut d = [0; 66];
            let scalar = without_sign(&numbers[2]);
            d[66 - scalar.len()..].copy_from_slice(scalar);
            let key = SigningKey::from_slice(&d).unwrap();
            let q = numbers[1].clone();
            Box::new(move || {
                let made: Signature = key.sign(black_box(&H));
                VerifyingKey::from_sec1_bytes(black_box(&q)).unwrap().verify(&H, &made).unwrap();
            })
        }
        _ => {
            let [n, e, d, q_inv, p, q] = [0, 1, 2, 3, 4, 5].map(|at| without_sign(&numbers[at]).to_vec());
            let reduced = |prime: &[u8]| {
                let one_less = BoxedUint::from_be_slice_vartime(prime).wrapping_sub(BoxedUint::one());
                let rest = BoxedUint::from_be_slice_vartime(&d).rem(&NonZero::new(one_less).unwrap());
                without_sign(&rest.to_be_bytes()).to_vec()
            };
            let components = KeyPairComponents {
                public_key: PublicKeyComponents { n: &n[..], e: &e[..] },
                d: &d[..],
                p: &p[..],
                q: &q[..],
                dP: &reduced(&p)[..],
                dQ: &reduced(&q)[..],
                qInv: &q_inv[..],
            };
            let key = ring::rsa::KeyPair::from_components(&components).unwrap();
            let (n, e) = (n.clone(), e.clone());
            Box::new(move || {
                let mut made = vec![0; n.len()];
                key.sign(&signature::RSA_PKCS1_SHA512, &rng, black_box(&H), &mut made).unwrap();
                PublicKeyComponents { n: &n, e: &e }
                    .verify(&signature::RSA_PKCS1_2048_8192_SHA512, &H, &made)
                    .unwrap();
            })
        }
    }
}

/// The fields of a key behind its type name in the private section of a key file of the form openssh-key-v1.
fn numbers(file: &str) -> Vec<Vec<u8>> {
    let text = String::from_utf8(contents(file)).unwrap();
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let body = Base64::decode_vec(&body).unwrap();
    let mut r = Reader::new(&body[b"openssh-key-v1\0".len()..]);
    (0..3).for_each(|_| assert!(r.string().is_ok()));
    r.uint32().unwrap();
    r.string().unwrap();
    let mut r = Reader::new(r.string().unwrap());
    (0..2).for_each(|_| assert!(r.uint32().is_ok()));
    let kind = r.string().unwrap();
    let mut fields: Vec<_> = std::iter::from_fn(|| r.string().ok().map(<[u8]>::to_vec)).collect();
    if kind.starts_with(b"ecdsa") {
        assert!(fields.remove(0).starts_with(b"nistp")); // the curve's own name
        fields.insert(0, Vec::new());
    }
    fields
}

fn contents(file: &str) -> Vec<u8> {
    std::fs::read(format!("{}/vectors/keys/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The bytes of a number without leading zeros.
fn without_sign(mpint: &[u8]) -> &[u8] {
    &mpint[mpint.iter().take_while(|octet| **octet == 0).count()..]
}

/// H of both sides, over what both said, and of both the six keys, of which each is a hash of K, H and the session's.
fn hashes(hash: Hash, said: usize) -> Work {
    fn of<D: Digest>(said: usize) -> Work {
        let said = vec![7; said];
        Box::new(move || {
            for _ in 0..2 {
                black_box(D::digest(black_box(&said)));
                let (k, h) = ([7; 37], D::digest([7; 5]));
                for letter in *b"ABCDEF" {
                    let state = D::new().chain_update(black_box(k)).chain_update(&h);
                    black_box(state.chain_update([letter]).chain_update(&h).finalize());
                }
            }
        })
    }
    match hash {
        Hash::Sha1 => of::<sha1::Sha1>(said),
        Hash::Sha256 => of::<Sha256>(said),
        Hash::Sha384 => of::<Sha384>(said),
        Hash::Sha512 => of::<Sha512>(said),
    }
}

fn measure(method: &str, host_key: &str, file: &str) {
    let name = format!("{method} {file}");
    if !is_wanted(&name) {
        return;
    }
    let kex = pick(KEX, method).unwrap();
    let mut algorithms = Algorithms { kex, ..Algorithms::client() };
    let hash = algorithms.kex[0].algorithm.hash();
    algorithms.host_key = pick(SIGNATURE, host_key).unwrap();
    let transport = TransportConfig { algorithms, ..TransportConfig::client() };
    let host_key: PrivateKey = private_key::parse(&contents(file)).unwrap().plain().unwrap().key;
    let server = Arc::new(ServerConfig {
        transport: transport.clone(),
        ..ServerConfig::new(vec![Arc::new(host_key)])
    });
    let client = Arc::new(ClientConfig { transport });
    let exchange = || {
        let mut pair = Pair::new(&client, &server, Default::default());
        timed(|| {
            while !pair.keyed && pair.round() {}
            assert!(pair.keyed);
        })
    };
    let mut fresh = Pair::new(&client, &server, Default::default());
    let said = fresh.client.output().len() + fresh.server.output().len() + 256;
    let work = [agreement(method), signature(file), hashes(hash, said)];
    let primitives = || timed(|| work.iter().for_each(|work| work()));
    let one = exchange() + primitives();
    let rounds = (BUDGET.as_micros() / one.as_micros()).clamp(5, 2000) as usize;
    let (ours, bare) = least(rounds, exchange, primitives);
    println!(
        "{name:55} {:8.1} us, primitives {:8.1} us, ratio {:.3}; {:6.0} exchanges a second, both sides on one core",
        ours.as_secs_f64() * 1e6,
        bare.as_secs_f64() * 1e6,
        ours.as_secs_f64() / bare.as_secs_f64(),
        1.0 / ours.as_secs_f64(),
    );
}

fn main() {
    for row in KEX {
        measure(row.name, "ssh-ed25519", "ed25519");
    }
    for (host_key, file) in [
        ("ecdsa-sha2-nistp256", "ecdsa-256"),
        ("ecdsa-sha2-nistp384", "ecdsa-384"),
        ("ecdsa-sha2-nistp521", "ecdsa-521"),
        ("rsa-sha2-512", "rsa-2048"),
        ("rsa-sha2-512", "rsa-3072"),
    ] {
        measure("curve25519-sha256", host_key, file);
    }
}
