use strombus::crypto::sign::rsa::Scheme;
use strombus::crypto::sign::{PublicKey, SignatureAlgorithm};

use crate::reader::{Block, Tally, Verdict, hex, judge};
use crate::{fields, strings};

/// Policy, refused in all files: a DigestInfo without NULL. RFC 8017 §9.2 has verifiers compare with the one encoding.
fn tally(valid: usize, invalid: usize, policy_refused: usize) -> Tally {
    Tally { valid, invalid, policy_refused, ..Tally::default() }
}

#[test]
fn rsa_2048_sha256() {
    judge("rsa-2048-sha256.txt", tally(0, 0, 0), verifier());
}

#[test]
fn rsa_2048_sha512() {
    judge("rsa-2048-sha512.txt", tally(0, 0, 0), verifier());
}

#[test]
fn rsa_3072_4096() {
    judge("rsa-3072-4096.txt", tally(0, 0, 0), verifier());
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

/// N and E hold until a block has others.
fn verifier() -> impl FnMut(&Block) -> Verdict {
    let (mut n, mut e) = (Vec::new(), Vec::new());
    move |block| {
        for (number, name) in [(&mut n, "N"), (&mut e, "E")] {
            if let Some(text) = block.get(name) {
                *number = hex(text).unwrap();
            }
        }
        let scheme = match block.text("HASH") {
            "sha256" => Scheme::Sha256,
            "sha512" => Scheme::Sha512,
            other => panic!("{block}: {other}"),
        };
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

fn key_blob(n: &[u8], e: &[u8]) -> Vec<u8> {
    fields(|w| {
        w.string(b"ssh-rsa");
        w.mpint(e);
        w.mpint(n);
    })
}
