use strombus::crypto::kex::{BadPublicValue, Method, SharedSecret};

use crate::Given;
use crate::reader::{Tally, Verdict, judge};

/// The cases of policy are compressed and hybrid points, which RFC 5656 §4 lets an implementation refuse: refused.
#[test]
fn ecdh_p256() {
    let tally = Tally { valid: 51, invalid: 56, policy_refused: 4, ..Tally::default() };
    ecdh("ecdh-p256.txt", Method::EcdhNistP256, 32, tally);
}

#[test]
fn ecdh_p384() {
    let tally = Tally { valid: 49, invalid: 46, policy_refused: 4, ..Tally::default() };
    ecdh("ecdh-p384.txt", Method::EcdhNistP384, 48, tally);
}

#[test]
fn ecdh_p521() {
    let tally = Tally { valid: 44, invalid: 33, policy_refused: 2, ..Tally::default() };
    ecdh("ecdh-p521.txt", Method::EcdhNistP521, 66, tally);
}

/// Both halves of the method must say the same. A block without a private key is about the point alone.
fn ecdh(file: &str, method: Method, width: usize, tally: Tally) {
    judge(file, tally, |block| {
        let private = block.get("PRIVATE").map_or_else(|| vec![1; width], |_| block.hex("PRIVATE"));
        let peer = block.hex("PEER");
        let client = method.client_start(&mut Given(&private));
        if block.get("PUBLIC").is_some() {
            assert_eq!(client.public(), block.hex("PUBLIC"), "{block}");
        }
        let public = client.public().to_vec();
        let agreed = client.agree(&peer);
        let responded = method.respond(&peer, &mut Given(&private));
        match (agreed, responded) {
            (Ok(client_k), Ok((q_s, server_k))) => {
                let k = SharedSecret::from_mpint(&block.hex("SHARED"));
                assert_eq!(q_s, public, "{block}");
                assert_eq!((client_k.encoded(), server_k.encoded()), (k.encoded(), k.encoded()), "{block}");
                Verdict::Accepted
            }
            (Err(BadPublicValue), Err(BadPublicValue)) => Verdict::Refused,
            _ => panic!("{block}: the halves differ"),
        }
    });
}
