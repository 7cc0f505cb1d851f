use strombus::crypto::sign::{PublicKey, SignatureAlgorithm};
use strombus::transport::algorithms::KEX;
use strombus::wire::Writer;

use crate::Given;
use crate::reader::{Tally, Verdict, judge};

/// The exchange: public values, K, H put together by the fields of RFC 5656 §4, and the host's signature. The private
/// halves of hybrid exchanges are not given: there it is H and the signature. The methods of finite fields
/// are not in the table: their blocks are passed over.
#[test]
fn kex_hash() {
    let passed_over = if cfg!(feature = "sntrup") { 5 } else { 6 };
    judge("kex-hash.txt", Tally { valid: 13 - passed_over, passed_over, ..Tally::default() }, |block| {
        let Some(row) = KEX.iter().find(|row| row.name == block.text("KEX")) else {
            return Verdict::PassedOver;
        };
        let method = row.algorithm;
        let hybrid = block.get("C_INIT").is_some();
        let (q_c, q_s) = if hybrid { ("C_INIT", "S_REPLY") } else { ("Q_C", "Q_S") };
        if !hybrid {
            let (q_c, q_s) = (block.hex(q_c), block.hex(q_s));
            let ephemeral = method.client_start(&mut Given(&block.hex("CLIENT_PRIVATE")));
            assert_eq!(ephemeral.public(), q_c, "{block}");
            let client_k = ephemeral.agree(&q_s).unwrap();
            let (public, server_k) = method.respond(&q_c, &mut Given(&block.hex("SERVER_PRIVATE"))).unwrap();
            assert_eq!(public, q_s, "{block}");
            let k = block.hex("K");
            assert_eq!((client_k.encoded(), server_k.encoded()), (&*k, &*k), "{block}");
        }

        let mut hashed = Vec::new();
        let mut w = Writer::new(&mut hashed);
        ["V_C", "V_S", "I_C", "I_S", "K_S", q_c, q_s].iter().for_each(|key| w.string(&block.hex(key)));
        w.bytes(&block.hex("K"));
        let h = method.hash().digest(&hashed);
        assert_eq!(h.as_bytes(), block.hex("H"), "{block}");

        let host_key = PublicKey::from_blob(&block.hex("K_S")).unwrap();
        let verified = host_key.verify(SignatureAlgorithm::Ed25519, h.as_bytes(), &block.hex("SIGNATURE"));
        assert!(verified.is_ok(), "{block}");
        Verdict::Accepted
    });
}
