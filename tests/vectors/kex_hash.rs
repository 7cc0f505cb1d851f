use strombus::crypto::Rng;
use strombus::crypto::kex::{Ephemeral, Group, KeyExchange, MODULUS_BITS_MAX, MODULUS_BITS_MIN};
use strombus::crypto::sign::{PublicKey, SignatureAlgorithm};
use strombus::transport::algorithms::KEX;
use strombus::wire::Writer;

use crate::Given;
use crate::reader::{Block, Tally, Verdict, judge};

/// An exchange: public values, K, H put together by the fields of RFC 5656 §4, RFC 4253 §8 and RFC 4419 §3, and the host's
/// signature. The private halves of hybrid exchanges are not given: there it is H and the signature.
#[test]
fn kex_hash() {
    let passed_over = if cfg!(feature = "sntrup") { 0 } else { 1 };
    judge("kex-hash.txt", Tally { valid: 13 - passed_over, passed_over, ..Tally::default() }, |block| {
        let Some(row) = KEX.iter().find(|row| row.name == block.text("KEX")) else {
            return Verdict::PassedOver;
        };
        let (q_c, q_s) = public_values(block);
        let mut group = Vec::new();
        if block.get("C_INIT").is_none() {
            let client_private = block.hex("CLIENT_PRIVATE");
            let client_rng = &mut Given(&client_private);
            let (ephemeral, answer) = match row.algorithm {
                KeyExchange::OneStep(method) => (
                    method.client_start(client_rng),
                    method.respond(&q_c, &mut Given(&block.hex("SERVER_PRIVATE"))),
                ),
                KeyExchange::GroupExchange(_) => {
                    let (chosen, ephemeral) = chosen_group(block, client_rng, &mut group);
                    (ephemeral, chosen.respond(&q_c, &mut Given(&block.hex("SERVER_PRIVATE"))))
                }
            };
            assert_eq!(ephemeral.public(), q_c, "{block}");
            let client_k = ephemeral.agree(&q_s).unwrap();
            let (public, server_k) = answer.unwrap();
            assert_eq!(public, q_s, "{block}");
            let k = block.hex("K");
            assert_eq!((client_k.encoded(), server_k.encoded()), (&*k, &*k), "{block}");
        }

        let mut hashed = Vec::new();
        let mut w = Writer::new(&mut hashed);
        ["V_C", "V_S", "I_C", "I_S", "K_S"].iter().for_each(|key| w.string(&block.hex(key)));
        w.bytes(&group);
        w.string(&q_c);
        w.string(&q_s);
        w.bytes(&block.hex("K"));
        let h = row.algorithm.hash().digest(&hashed);
        assert_eq!(h.as_bytes(), block.hex("H"), "{block}");

        let host_key = PublicKey::from_blob(&block.hex("K_S")).unwrap();
        let verified = host_key.verify(SignatureAlgorithm::Ed25519, h.as_bytes(), &block.hex("SIGNATURE"));
        assert!(verified.is_ok(), "{block}");
        Verdict::Accepted
    });
}

/// Q_C and Q_S, or what a method has in their place.
fn public_values(block: &Block) -> (Vec<u8>, Vec<u8>) {
    if block.get("C_INIT").is_some() {
        (block.hex("C_INIT"), block.hex("S_REPLY"))
    } else if block.get("E").is_some() {
        (contents(block, "E"), contents(block, "F"))
    } else {
        (block.hex("Q_C"), block.hex("Q_S"))
    }
}

/// The contents of an `mpint`.
fn contents(block: &Block, key: &str) -> Vec<u8> {
    block.hex(key)[4..].to_vec()
}

/// The server's choice, the client's key in it, and in `fields` what the two add to H.
fn chosen_group(block: &Block, rng: &mut dyn Rng, fields: &mut Vec<u8>) -> (Group, Ephemeral) {
    let (p, g) = (contents(block, "P"), contents(block, "G"));
    let [min, n, max] = ["MIN", "N", "MAX"].map(|key| u32::try_from(block.number(key)).unwrap());
    let chosen = Group::by_size(min, n, max).unwrap();
    assert_eq!((chosen.p(), chosen.g()), (p.clone(), g.clone()), "{block}");
    let given = Group::from_peer(&p, &g, MODULUS_BITS_MIN, MODULUS_BITS_MAX).unwrap();
    let mut w = Writer::new(fields);
    [min, n, max].into_iter().for_each(|bits| w.uint32(bits));
    ["P", "G"].iter().for_each(|key| w.bytes(&block.hex(key)));
    (chosen, given.client_start(rng))
}
