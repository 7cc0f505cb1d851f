use strombus::crypto::Hash;
use strombus::crypto::kex::{Group, KeyExchange, MODULUS_BITS_MAX, MODULUS_BITS_MIN, Method};
use strombus::crypto::sign::{PublicKey, SignatureAlgorithm};
use strombus::wire::Writer;

use crate::Given;
use crate::reader::{Tally, Verdict, judge};

/// An exchange: public values, K, H put together by the fields of RFC 8731 §3, RFC 4253 §8 and RFC 4419 §3, and the host's
/// signature. The other methods' blocks are for when they exist.
#[test]
fn kex_hash() {
    judge("kex-hash.txt", Tally { valid: 8, passed_over: 5, ..Tally::default() }, |block| {
        let method = match block.text("KEX") {
            "curve25519-sha256" | "curve25519-sha256@libssh.org" => KeyExchange::OneStep(Method::Curve25519),
            "diffie-hellman-group14-sha1" => KeyExchange::OneStep(Method::DhGroup14Sha1),
            "diffie-hellman-group14-sha256" => KeyExchange::OneStep(Method::DhGroup14Sha256),
            "diffie-hellman-group16-sha512" => KeyExchange::OneStep(Method::DhGroup16Sha512),
            "diffie-hellman-group18-sha512" => KeyExchange::OneStep(Method::DhGroup18Sha512),
            "diffie-hellman-group-exchange-sha256" => KeyExchange::GroupExchange(Hash::Sha256),
            "ecdh-sha2-nistp256"
            | "ecdh-sha2-nistp384"
            | "ecdh-sha2-nistp521"
            | "mlkem768x25519-sha256"
            | "sntrup761x25519-sha512" => return Verdict::PassedOver,
            other => panic!("{block}: {other}"),
        };
        // The contents of the two mpints of a finite field take the place of Q_C and Q_S.
        let contents = |key: &str| block.hex(key)[4..].to_vec();
        let (q_c, q_s) = match block.get("E") {
            Some(_) => (contents("E"), contents("F")),
            None => (block.hex("Q_C"), block.hex("Q_S")),
        };
        let (client_private, server_private) = (block.hex("CLIENT_PRIVATE"), block.hex("SERVER_PRIVATE"));
        let (client_rng, server_rng) = (&mut Given(&client_private), &mut Given(&server_private));
        let mut group = Vec::new();
        let (ephemeral, answer) = match method {
            KeyExchange::OneStep(method) => {
                (method.client_start(client_rng), method.respond(&q_c, server_rng))
            }
            KeyExchange::GroupExchange(_) => {
                let [min, n, max] = ["MIN", "N", "MAX"].map(|key| u32::try_from(block.number(key)).unwrap());
                let chosen = Group::by_size(min, n, max).unwrap();
                assert_eq!((chosen.p(), chosen.g()), (contents("P"), contents("G")), "{block}");
                let given =
                    Group::from_peer(&contents("P"), &contents("G"), MODULUS_BITS_MIN, MODULUS_BITS_MAX);
                let mut w = Writer::new(&mut group);
                [min, n, max].into_iter().for_each(|bits| w.uint32(bits));
                ["P", "G"].iter().for_each(|key| w.bytes(&block.hex(key)));
                (given.unwrap().client_start(client_rng), chosen.respond(&q_c, server_rng))
            }
        };
        assert_eq!(ephemeral.public(), q_c, "{block}");
        let client_k = ephemeral.agree(&q_s).unwrap();
        let (public, server_k) = answer.unwrap();
        assert_eq!(public, q_s, "{block}");
        assert_eq!((client_k.encoded(), server_k.encoded()), (&*block.hex("K"), &*block.hex("K")), "{block}");

        let mut hashed = Vec::new();
        let mut w = Writer::new(&mut hashed);
        ["V_C", "V_S", "I_C", "I_S", "K_S"].iter().for_each(|key| w.string(&block.hex(key)));
        w.bytes(&group);
        [&q_c, &q_s].into_iter().for_each(|public| w.string(public));
        w.bytes(client_k.encoded());
        let h = method.hash().digest(&hashed);
        assert_eq!(h.as_bytes(), block.hex("H"), "{block}");

        let host_key = PublicKey::from_blob(&block.hex("K_S")).unwrap();
        let verified = host_key.verify(SignatureAlgorithm::Ed25519, h.as_bytes(), &block.hex("SIGNATURE"));
        assert!(verified.is_ok(), "{block}");
        Verdict::Accepted
    });
}
