use strombus::crypto::Secret;
use strombus::crypto::sign::{KeyError, PrivateKey, PublicKey, SignatureAlgorithm};
use strombus::wire::Writer;

use crate::reader::{Tally, Verdict, judge};

/// Policy, all refused:
/// - keys of small order with R = identity and S = 0 (eight blocks). RFC 8032 would let them pass, as OpenSSH does, but
///   such a "signature" holds for every message, and nobody who makes his key as the RFC says ever has such a key;
/// - keys in a second encoding: y not below p, or a sign for x = 0 (three blocks). RFC 8032 §5.1.3 refuses them.
#[test]
fn ed25519() {
    let expected = Tally { valid: 41, invalid: 64, policy_refused: 11, ..Tally::default() };
    judge("ed25519.txt", expected, |block| {
        let algorithm = SignatureAlgorithm::Ed25519;
        let (message, signature) = (block.hex("MSG"), block.hex("SIG"));
        let signature_blob = strings(&[b"ssh-ed25519", &signature]);
        if block.get("SEED").is_some() {
            let key = PrivateKey::ed25519_from_seed(&Secret::new(block.array("SEED")));
            assert_eq!(key.public_key().blob(), strings(&[b"ssh-ed25519", &block.hex("PUBLIC")]), "{block}");
            assert_eq!(key.sign(algorithm, &message).as_ref(), Ok(&signature_blob), "{block}");
        }
        let key = PublicKey::from_blob(&strings(&[b"ssh-ed25519", &block.hex("PUBLIC")]));
        let reason = block.get("REASON").unwrap_or_default();
        let no_key = reason.starts_with("non-canonical") || reason == "not-on-curve-y=2";
        assert_eq!(key == Err(KeyError::NotAKey), no_key, "{block}");
        let Ok(key) = key else { return Verdict::Refused };
        match key.verify(algorithm, &message, &signature_blob) {
            Ok(_) => Verdict::Accepted,
            Err(_) => Verdict::Refused,
        }
    });
}

fn strings(fields: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut w = Writer::new(&mut bytes);
    fields.iter().for_each(|field| w.string(field));
    bytes
}
