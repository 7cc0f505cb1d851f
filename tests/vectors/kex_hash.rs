use strombus::crypto::kex::Method;
use strombus::crypto::sign::{PublicKey, SignatureAlgorithm};
use strombus::wire::Writer;

use crate::Given;
use crate::reader::{Tally, Verdict, judge};

/// The exchange of Curve25519: public values, K, H put together by the fields of RFC 8731 §3, and the host's signature.
/// The other methods' blocks are for when they exist.
#[test]
fn kex_hash() {
    judge("kex-hash.txt", Tally { valid: 3, passed_over: 10, ..Tally::default() }, |block| {
        let method = match block.text("KEX") {
            "curve25519-sha256" | "curve25519-sha256@libssh.org" => Method::Curve25519,
            "ecdh-sha2-nistp256"
            | "ecdh-sha2-nistp384"
            | "ecdh-sha2-nistp521"
            | "diffie-hellman-group14-sha1"
            | "diffie-hellman-group14-sha256"
            | "diffie-hellman-group16-sha512"
            | "diffie-hellman-group18-sha512"
            | "diffie-hellman-group-exchange-sha256"
            | "mlkem768x25519-sha256"
            | "sntrup761x25519-sha512" => return Verdict::PassedOver,
            other => panic!("{block}: {other}"),
        };
        let (q_c, q_s) = (block.hex("Q_C"), block.hex("Q_S"));
        let ephemeral = method.client_start(&mut Given(&block.hex("CLIENT_PRIVATE")));
        assert_eq!(ephemeral.public(), q_c, "{block}");
        let client_k = ephemeral.agree(&q_s).unwrap();
        let (public, server_k) = method.respond(&q_c, &mut Given(&block.hex("SERVER_PRIVATE"))).unwrap();
        assert_eq!(public, q_s, "{block}");
        assert_eq!((client_k.encoded(), server_k.encoded()), (&*block.hex("K"), &*block.hex("K")), "{block}");

        let mut hashed = Vec::new();
        let mut w = Writer::new(&mut hashed);
        ["V_C", "V_S", "I_C", "I_S", "K_S", "Q_C", "Q_S"].iter().for_each(|key| w.string(&block.hex(key)));
        w.bytes(client_k.encoded());
        let h = method.hash().digest(&hashed);
        assert_eq!(h.as_bytes(), block.hex("H"), "{block}");

        let host_key = PublicKey::from_blob(&block.hex("K_S")).unwrap();
        let verified = host_key.verify(SignatureAlgorithm::Ed25519, h.as_bytes(), &block.hex("SIGNATURE"));
        assert!(verified.is_ok(), "{block}");
        Verdict::Accepted
    });
}
