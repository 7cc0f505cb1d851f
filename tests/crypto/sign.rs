use strombus::crypto::Secret;
use strombus::crypto::sign::{BadSignature, KeyError, PrivateKey, PublicKey, SignatureAlgorithm};
use strombus::wire::DecodeError;

use crate::rng::SeededRng;
use crate::strings;

/// Every name that stands in SSH's tables or is nearly one, with what could be confused with ours.
const NAMES: [&str; 20] = [
    "ssh-ed25519",
    "ssh-ed25519-cert-v01@openssh.com",
    "sk-ssh-ed25519@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "ssh-ed448",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-256",
    "rsa-sha2-512",
    "ssh-rsa",
    "ssh-dss",
    "ssh-mldsa44-ed25519@openssh.com",
    "ssh-ed2551",
    "ssh-ed25519 ",
    "ssh-ed25519\0",
    "SSH-ED25519",
    "ed25519",
    "",
];

fn key() -> PrivateKey {
    PrivateKey::generate_ed25519(&mut SeededRng::new(25))
}

/// The bytes of the key and of the signature are good throughout: only the names differ.
#[test]
fn t25_of_all_names_only_the_three_that_agree_verify() {
    let key = key();
    let message = b"signed";
    let key_bytes = &key.public_key().blob()[4 + 11 + 4..];
    let signature_bytes = &key.sign(SignatureAlgorithm::Ed25519, message).unwrap()[4 + 11 + 4..];
    let mut passed = Vec::new();
    for algorithm_name in NAMES {
        for key_name in NAMES {
            for signature_name in NAMES {
                let key_blob = strings(&[key_name.as_bytes(), key_bytes]);
                let signature_blob = strings(&[signature_name.as_bytes(), signature_bytes]);
                if let Some(algorithm) = SignatureAlgorithm::from_name(algorithm_name)
                    && let Ok(key) = PublicKey::from_blob(&key_blob)
                    && key.verify(algorithm, message, &signature_blob).is_ok()
                {
                    passed.push((algorithm_name, key_name, signature_name));
                }
            }
        }
    }
    assert_eq!(passed, [("ssh-ed25519", "ssh-ed25519", "ssh-ed25519")]);
}

#[test]
fn t25_every_algorithm_is_found_by_its_name_alone() {
    for algorithm in SignatureAlgorithm::ALL {
        assert_eq!(SignatureAlgorithm::from_name(algorithm.name()), Some(*algorithm));
    }
    let known = NAMES.iter().filter(|name| SignatureAlgorithm::from_name(name).is_some());
    assert_eq!(known.count(), SignatureAlgorithm::ALL.len());
}

#[test]
fn t25_a_signature_blob_with_anything_more_or_less_is_bad() {
    let (key, algorithm) = (key(), SignatureAlgorithm::Ed25519);
    let public_key = key.public_key();
    let blob = key.sign(algorithm, b"m").unwrap();
    assert!(public_key.verify(algorithm, b"m", &blob).is_ok());
    assert_eq!(public_key.verify(algorithm, b"n", &blob).err(), Some(BadSignature));
    assert_eq!(public_key.verify(algorithm, b"m", &[&*blob, &[0]].concat()).err(), Some(BadSignature));
    for len in 0..blob.len() {
        assert_eq!(public_key.verify(algorithm, b"m", &blob[..len]).err(), Some(BadSignature), "{len}");
    }
    for bit in 0..blob.len() * 8 {
        let mut flipped = blob.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(public_key.verify(algorithm, b"m", &flipped).err(), Some(BadSignature), "{bit}");
    }
}

#[test]
fn key_blobs_are_read_to_their_last_byte() {
    let key = key().public_key();
    let blob = key.blob();
    assert_eq!(PublicKey::from_blob(&blob), Ok(key));
    for len in 0..blob.len() {
        let cut = PublicKey::from_blob(&blob[..len]);
        assert_eq!(cut, Err(KeyError::Malformed(DecodeError::Truncated)), "{len}");
    }
    let longer = PublicKey::from_blob(&[&*blob, &[0]].concat());
    assert_eq!(longer, Err(KeyError::Malformed(DecodeError::TrailingBytes)));
    assert_eq!(PublicKey::from_blob(&strings(&[b"ssh-rsa", &[1; 32]])), Err(KeyError::UnknownType));
    for len in [0, 31, 33] {
        let odd = strings(&[b"ssh-ed25519", &vec![1; len]]);
        assert_eq!(PublicKey::from_blob(&odd), Err(KeyError::NotAKey), "{len}");
    }
}

/// The key of RFC 8032 §7.1, TEST 1; the fingerprint as ssh-keygen -l prints it.
#[test]
fn fingerprint_is_the_one_that_openssh_prints() {
    let seed = [
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44,
        0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
    ];
    let key = PrivateKey::ed25519_from_seed(&Secret::new(seed));
    assert_eq!(key.public_key().fingerprint(), "SHA256:bbXpuKG6zhzdmnxq256TlqzFBzRl2f6OOg722cYNbU8");
}
