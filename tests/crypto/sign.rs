use std::collections::BTreeSet;

use p521::elliptic_curve::PrimeField;
use p521::elliptic_curve::sec1::ToSec1Point;
use strombus::crypto::sign::ecdsa::Curve;
use strombus::crypto::sign::rsa::Scheme;
use strombus::crypto::sign::{BadSignature, CannotSign, KeyError, PrivateKey, PublicKey, SignatureAlgorithm};
use strombus::crypto::{Hash, Secret};
use strombus::keys::private_key;
use strombus::wire::{DecodeError, Reader, Writer};

use crate::rng::SeededRng;
use crate::strings;

/// Every name that stands in SSH's tables or is nearly one, with what could be confused with ours.
const NAMES: [&str; 26] = [
    "ssh-ed25519",
    "ssh-ed25519-cert-v01@openssh.com",
    "sk-ssh-ed25519@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "ssh-ed448",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-256",
    "rsa-sha2-512",
    "rsa-sha2-512-cert-v01@openssh.com",
    "ssh-rsa",
    "ssh-rsa-cert-v01@openssh.com",
    "ssh-rsa-sha256@ssh.com",
    "ssh-dss",
    "ssh-mldsa44-ed25519@openssh.com",
    "ssh-ed2551",
    "ssh-ed25519 ",
    "ssh-ed25519\0",
    "SSH-ED25519",
    "ed25519",
    "ecdsa-sha2-",
    "",
];

/// What [`SHA1_SIGNATURE`] and all else here is over.
const MESSAGE: &[u8] = b"signed";

/// Made with `openssl dgst -sha1 -sign` and the key vectors/keys/rsa-2048, for nothing here signs with SHA-1.
const SHA1_SIGNATURE: &str = "83386d21fe379789ecf523df310bc88a18f751aee2981978f399e325113fd4c32100b85ca4f7250be1101e\
    ab99de3ca4ece9dd38240231c366edd22ca1a74c6d685c3f787220fa04e83cae3d3fb71c9e6679a550ce6e1ee4ac9aa9d72e20d1389b7cdf21\
    f5c653db76bfac65d066dd656f981e2f84253e7de22fe1ef20a1a1fb8f4822f6ec28450efea4782066d8aa6919af5694770c963edf48e00bbe\
    e359fb2f82fee2671c1e2f72840cb78365ce10febd869f1089e382abd3394113041a68be6c918f67af1dfad7f224e983ce9501b019c6e1273a\
    0ae95a7fdc1cf7d712cfc9754570c96893378b5a7602d73c21916bab6887d33fb54273004631012ce9a4";

fn key() -> PrivateKey {
    PrivateKey::generate_ed25519(&mut SeededRng::new(25))
}

fn rsa_key() -> PrivateKey {
    private_key::parse(include_bytes!("../../vectors/keys/rsa-2048")).unwrap().plain().unwrap().key
}

/// A blob without the string at its beginning.
fn behind_name(blob: &[u8]) -> &[u8] {
    let mut r = Reader::new(blob);
    r.string().unwrap();
    r.rest()
}

/// An algorithm with what stands behind the name in its key's blob and in the blob of its signature of [`MESSAGE`].
struct Case {
    algorithm: SignatureAlgorithm,
    key: Vec<u8>,
    signature: Vec<u8>,
}

/// What a token with this key would answer. The key is of the plain type.
fn token(algorithm: SignatureAlgorithm, key: &PrivateKey, flags: u8, counter: u32) -> Case {
    let state = [&[flags], &counter.to_be_bytes()[..]].concat();
    let hashes = [b"ssh:", MESSAGE].map(|bytes| Hash::Sha256.digest(bytes));
    let signed = [hashes[0].as_bytes(), &state, hashes[1].as_bytes()].concat();
    let signature = key.sign(key.algorithms()[0], &signed).unwrap();
    let public = key.public_key().blob();
    Case {
        algorithm,
        key: [behind_name(&public), &strings(&[b"ssh:"])].concat(),
        signature: [behind_name(&signature), &state].concat(),
    }
}

/// Every algorithm.
fn cases() -> Vec<Case> {
    let rng = &mut SeededRng::new(25);
    let plain = |key: &PrivateKey, algorithm| Case {
        algorithm,
        key: behind_name(&key.public_key().blob()).to_vec(),
        signature: behind_name(&key.sign(algorithm, MESSAGE).unwrap()).to_vec(),
    };
    let ecdsa = [Curve::Nistp256, Curve::Nistp384, Curve::Nistp521];
    let ecdsa = ecdsa.map(|curve| PrivateKey::generate_ecdsa(curve, rng));
    let rsa = rsa_key();
    let mut cases = vec![
        token(SignatureAlgorithm::SkEd25519, &key(), 1, 7),
        token(SignatureAlgorithm::SkEcdsa, &ecdsa[0], 1, 7),
        Case {
            algorithm: SignatureAlgorithm::Rsa(Scheme::Sha1),
            key: behind_name(&rsa.public_key().blob()).to_vec(),
            signature: strings(&[&hex(SHA1_SIGNATURE)]),
        },
    ];
    for key in ecdsa.into_iter().chain([key(), rsa]) {
        cases.extend(key.algorithms().iter().map(|algorithm| plain(&key, *algorithm)));
    }
    let covered = |algorithm| cases.iter().filter(|case| case.algorithm == algorithm).count() == 1;
    assert!(SignatureAlgorithm::ALL.iter().copied().all(covered));
    cases
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn named(name: &str, rest: &[u8]) -> Vec<u8> {
    [&*strings(&[name.as_bytes()]), rest].concat()
}

/// The bytes of the key and of the signature are good throughout: only the names differ.
#[test]
fn t25_of_all_names_only_the_three_that_agree_verify() {
    for case in cases() {
        let mut passed = Vec::new();
        for algorithm_name in NAMES {
            for key_name in NAMES {
                for signature_name in NAMES {
                    if let Some(algorithm) = SignatureAlgorithm::from_name(algorithm_name)
                        && let Ok(key) = PublicKey::from_blob(&named(key_name, &case.key))
                        && key.verify(algorithm, MESSAGE, &named(signature_name, &case.signature)).is_ok()
                    {
                        passed.push((algorithm_name, key_name, signature_name));
                    }
                }
            }
        }
        let name = case.algorithm.name();
        assert_eq!(passed, [(name, case.algorithm.key_type(), name)]);
    }
}

/// Whole blobs, each good by itself, of the same message.
#[test]
fn t25_of_all_algorithms_keys_and_signatures_only_the_diagonal_verifies() {
    let cases = cases();
    for a in &cases {
        for k in &cases {
            let blob = named(k.algorithm.key_type(), &k.key);
            let key = PublicKey::from_blob(&blob).unwrap();
            let fits = k.algorithm.key_type() == a.algorithm.key_type();
            let for_algorithm = PublicKey::for_algorithm(a.algorithm, &blob);
            assert_eq!(for_algorithm, if fits { Ok(key.clone()) } else { Err(KeyError::OtherType) });
            for s in &cases {
                let signature = named(s.algorithm.name(), &s.signature);
                let held = key.verify(a.algorithm, MESSAGE, &signature).is_ok();
                let expected = fits && a.algorithm == s.algorithm;
                assert_eq!(held, expected, "{:?} {:?} {:?}", a.algorithm, k.algorithm, s.algorithm);
            }
        }
    }
}

/// What is behind the name of another type is not looked at.
#[test]
fn t54_a_key_of_another_type_is_not_parsed() {
    for algorithm in SignatureAlgorithm::ALL.iter().copied() {
        for key_type in NAMES.iter().filter(|name| **name != algorithm.key_type()) {
            let blob = named(key_type, &[0xff; 9000]);
            assert_eq!(PublicKey::for_algorithm(algorithm, &blob), Err(KeyError::OtherType));
        }
        let own = named(algorithm.key_type(), &[0xff; 9000]);
        assert!(matches!(PublicKey::for_algorithm(algorithm, &own), Err(KeyError::Malformed(_))));
    }
}

#[test]
fn t54_an_rsa_key_beyond_the_bounds_is_refused_by_its_size() {
    let blob = |e: &[u8], bits: usize| {
        let mut blob = strings(&[b"ssh-rsa"]);
        let mut w = Writer::new(&mut blob);
        w.mpint(e);
        w.mpint(&vec![0xff; bits / 8]);
        blob
    };
    for bits in [8, 512, 1024, 2040, 8200, 16384, 65536, 1 << 20] {
        assert_eq!(PublicKey::from_blob(&blob(&[1, 0, 1], bits)), Err(KeyError::UnsupportedSize), "{bits}");
    }
    assert_eq!(PublicKey::from_blob(&blob(&[0xff; 4096], 2048)), Err(KeyError::UnsupportedSize));
    assert_eq!(PublicKey::from_blob(&blob(&[1], 2048)), Err(KeyError::NotAKey));
    let negative = strings(&[b"ssh-rsa", &[0x81], &[1; 256]]);
    assert_eq!(PublicKey::from_blob(&negative), Err(KeyError::Malformed(DecodeError::NotPositive)));
    let padded = strings(&[b"ssh-rsa", &[0, 3], &[1; 256]]);
    assert_eq!(PublicKey::from_blob(&padded), Err(KeyError::Malformed(DecodeError::NonMinimalMpint)));
}

/// The flags and the counter are signed, and told.
#[test]
fn t56_what_a_token_says_is_under_its_signature() {
    let ecdsa = PrivateKey::generate_ecdsa(Curve::Nistp256, &mut SeededRng::new(56));
    for (algorithm, key) in [(SignatureAlgorithm::SkEd25519, key()), (SignatureAlgorithm::SkEcdsa, ecdsa)] {
        for (flags, counter) in [(0, 0), (1, 1), (4, u32::MAX), (5, 7), (0xff, 0x0102_0304)] {
            let case = token(algorithm, &key, flags, counter);
            let public = PublicKey::from_blob(&named(algorithm.key_type(), &case.key)).unwrap();
            let blob = named(algorithm.name(), &case.signature);
            let sk = public.verify(algorithm, MESSAGE, &blob).unwrap().sk().unwrap();
            assert_eq!((sk.user_present(), sk.user_verified()), (flags & 1 != 0, flags & 4 != 0));
            assert_eq!(sk.counter(), counter);
            for bit in (blob.len() - 5) * 8..blob.len() * 8 {
                let mut flipped = blob.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(public.verify(algorithm, MESSAGE, &flipped).err(), Some(BadSignature), "{bit}");
            }
            // Another application.
            let other = [&case.key[..case.key.len() - 1], b"!"].concat();
            let other = PublicKey::from_blob(&named(algorithm.key_type(), &other)).unwrap();
            assert_eq!(other.verify(algorithm, MESSAGE, &blob).err(), Some(BadSignature));
        }
    }
    assert_eq!(
        key()
            .public_key()
            .verify(
                SignatureAlgorithm::Ed25519,
                MESSAGE,
                &key().sign(SignatureAlgorithm::Ed25519, MESSAGE).unwrap()
            )
            .unwrap()
            .sk(),
        None
    );
}

/// The nonces that RFC 6979 derives for P-521, taken out of the signatures by the known key. PuTTY's were short of 9 bits,
/// which 58 signatures give away. A thousand take a second; ten thousand are taken if STROMBUS_LONG is set.
#[test]
fn t28_nonces_of_p521_are_distinct_and_of_full_length() {
    let count = if std::env::var_os("STROMBUS_LONG").is_some() { 10_000 } else { 1000_u32 };
    let algorithm = SignatureAlgorithm::Ecdsa(Curve::Nistp521);
    let key = PrivateKey::generate_ecdsa(Curve::Nistp521, &mut SeededRng::new(28));
    let PrivateKey::Ecdsa(inner) = &key else { panic!() };
    let scalar = |bytes: &[u8]| {
        let mut repr = p521::FieldBytes::default();
        repr[66 - bytes.len()..].copy_from_slice(bytes);
        p521::Scalar::from_repr(repr).unwrap()
    };
    let d = scalar(inner.scalar());
    let (mut seen, mut top) = (BTreeSet::new(), [0_u32; 16]);
    for i in 0..count {
        let message = i.to_be_bytes();
        let blob = key.sign(algorithm, &message).unwrap();
        let mut signature = Reader::new(behind_name(&blob));
        let mut halves = Reader::new(signature.string().unwrap());
        let mut half = || halves.mpint().unwrap().positive().unwrap();
        let (r, s) = (half(), half());
        assert!(seen.insert(r.to_vec()), "r of {i} was there before");
        let k =
            (scalar(Hash::Sha512.digest(&message).as_bytes()) + scalar(r) * d) * scalar(s).invert().unwrap();
        if i == 0 {
            let point = p521::PublicKey::from_affine((p521::ProjectivePoint::GENERATOR * k).into()).unwrap();
            assert_eq!(point.to_sec1_point(false).as_bytes()[1..67].strip_prefix(&[0][..]).unwrap_or(r), r);
        }
        // 521 bits: the top four are the lowest of the first byte and three of the second.
        let k = k.to_repr();
        top[usize::from(k[0] << 3 | k[1] >> 5)] += 1;
    }
    let expected = f64::from(count) / 16.0;
    let chi_square: f64 = top.iter().map(|n| (f64::from(*n) - expected).powi(2) / expected).sum();
    println!("figure: chi-square of 15 degrees of freedom over {count} nonces: {chi_square:.1}");
    // One in a million is above 56; the keys and messages are always the same.
    assert!(chi_square < 56.0, "{chi_square}: {top:?}");
}

/// P-256 and P-384 are signed with fresh randomness: not twice the same.
#[test]
fn t28_nonces_of_ring_are_drawn_anew() {
    for curve in [Curve::Nistp256, Curve::Nistp384] {
        let algorithm = SignatureAlgorithm::Ecdsa(curve);
        let key = PrivateKey::generate_ecdsa(curve, &mut SeededRng::new(28));
        let signatures: BTreeSet<_> = (0..200).map(|_| key.sign(algorithm, MESSAGE).unwrap()).collect();
        assert_eq!(signatures.len(), 200);
    }
}

#[test]
fn t26_no_key_signs_with_sha1() {
    let sha1 = SignatureAlgorithm::Rsa(Scheme::Sha1);
    let key = rsa_key();
    assert_eq!(
        key.algorithms().iter().map(|a| a.name()).collect::<Vec<_>>(),
        ["rsa-sha2-512", "rsa-sha2-256"]
    );
    assert!(!key.can_sign(sha1));
    assert_eq!(key.sign(sha1, MESSAGE), Err(CannotSign::WrongAlgorithm));
    for algorithm in SignatureAlgorithm::ALL.iter().copied() {
        assert_eq!(key.sign(algorithm, MESSAGE).is_ok(), key.algorithms().contains(&algorithm));
    }
}

#[test]
fn generated_keys_differ_and_sign() {
    let rng = &mut SeededRng::new(1);
    for curve in Curve::ALL.iter().copied() {
        let (one, two) = (PrivateKey::generate_ecdsa(curve, rng), PrivateKey::generate_ecdsa(curve, rng));
        assert_ne!(one.public_key(), two.public_key());
        let PrivateKey::Ecdsa(inner) = &one else { panic!() };
        let again = PrivateKey::ecdsa_from_scalar(curve, inner.scalar()).unwrap();
        assert_eq!(again.public_key(), one.public_key());
    }
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
    for case in cases() {
        let algorithm = case.algorithm;
        let key = PublicKey::from_blob(&named(algorithm.key_type(), &case.key)).unwrap();
        let bad =
            |message: &[u8], blob: &[u8]| key.verify(algorithm, message, blob).err() == Some(BadSignature);
        let blob = named(algorithm.name(), &case.signature);
        assert!(!bad(MESSAGE, &blob));
        assert!(bad(b"other", &blob));
        assert!(bad(MESSAGE, &[&*blob, &[0]].concat()));
        for len in 0..blob.len() {
            assert!(bad(MESSAGE, &blob[..len]), "{algorithm:?} {len}");
        }
        // Every bit of the lengths and of what is short; of long ones some.
        let step = if algorithm == SignatureAlgorithm::Ed25519 { 1 } else { 7 };
        for bit in (0..blob.len() * 8).filter(|bit| *bit < 50 * 8 || bit % step == 0) {
            let mut flipped = blob.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(bad(MESSAGE, &flipped), "{algorithm:?} {bit}");
        }
    }
}

#[test]
fn t118_key_blobs_are_read_to_their_last_byte() {
    for case in cases() {
        let blob = named(case.algorithm.key_type(), &case.key);
        let key = PublicKey::from_blob(&blob).unwrap();
        assert_eq!(key.blob(), blob);
        for len in 0..blob.len() {
            let cut = PublicKey::from_blob(&blob[..len]);
            assert_eq!(cut, Err(KeyError::Malformed(DecodeError::Truncated)), "{len}");
        }
        let longer = PublicKey::from_blob(&[&*blob, &[0]].concat());
        assert_eq!(longer, Err(KeyError::Malformed(DecodeError::TrailingBytes)));
    }
    assert_eq!(PublicKey::from_blob(&strings(&[b"ssh-dss", &[1; 32]])), Err(KeyError::UnknownType));
    for len in [0, 31, 33] {
        for name in [&b"ssh-ed25519"[..], b"sk-ssh-ed25519@openssh.com"] {
            let odd = strings(&[name, &vec![1; len], b"ssh:"]);
            assert_eq!(PublicKey::from_blob(&odd), Err(KeyError::NotAKey), "{len}");
        }
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
