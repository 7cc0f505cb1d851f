use strombus::crypto::Hash;
use strombus::crypto::sign::{PublicKey, SignatureAlgorithm};
use strombus::wire::Reader;

use crate::reader::{Block, Tally, Verdict, judge};
use crate::strings;

/// The signatures inside the envelopes, over what an SSH key signs: SSHSIG, namespace, reserved, hash, digest. The envelope
/// is taken apart by the test, for nothing here reads or writes it. One block is passed over, a webauthn signature: its
/// signed bytes wrap the message in JSON, and it is offered by nobody in a login.
#[test]
fn sshsig() {
    judge("sshsig.txt", Tally { valid: 15, invalid: 2, passed_over: 1, ..Tally::default() }, |block| {
        let envelope = block.hex("SSHSIG");
        let mut r = Reader::new(&envelope);
        assert_eq!((r.bytes(6), r.uint32()), (Ok(&b"SSHSIG"[..]), Ok(1)), "{block}");
        let (public, namespace, reserved, hash_name) =
            (r.string().unwrap(), r.string().unwrap(), r.string().unwrap(), r.string().unwrap());
        let signature = r.string().unwrap();
        r.finish().unwrap();
        assert_eq!((public, namespace), (&*block.hex("PUBLIC"), &*block.hex("NAMESPACE")), "{block}");
        assert_eq!(hash_name, block.text("HASH").as_bytes(), "{block}");
        let digest = hash(block).digest(&block.hex("MESSAGE"));
        let signed = [b"SSHSIG", &*strings(&[namespace, reserved, hash_name, digest.as_bytes()])].concat();

        let key = PublicKey::from_blob(public).unwrap();
        assert_eq!(key.blob(), public, "{block}");
        let name = block.text("SIGNATURE_TYPE");
        let Some(algorithm) = SignatureAlgorithm::from_name(name) else {
            assert_eq!(name, "webauthn-sk-ecdsa-sha2-nistp256@openssh.com", "{block}");
            return Verdict::PassedOver;
        };
        match key.verify(algorithm, &signed, signature) {
            Ok(verified) => {
                assert_eq!(verified.sk().is_some(), block.get("FLAGS").is_some(), "{block}");
                if let Some(sk) = verified.sk() {
                    judge_token(block, &signed, signature);
                    let flags = block.array::<1>("FLAGS")[0];
                    assert_eq!((sk.user_present(), sk.user_verified()), (flags & 1 != 0, flags & 4 != 0));
                    assert_eq!(u64::from(sk.counter()), block.number("COUNTER"), "{block}");
                }
                Verdict::Accepted
            }
            Err(_) => Verdict::Refused,
        }
    });
}

/// The parts of a token's blob, and the bytes that the file says it signed.
fn judge_token(block: &Block, signed: &[u8], signature: &[u8]) {
    let counter = u32::try_from(block.number("COUNTER")).unwrap();
    let inner = [&*block.hex("FLAGS"), &counter.to_be_bytes()].concat();
    let raw = strings(&[block.text("SIGNATURE_TYPE").as_bytes(), &block.hex("RAW_SIGNATURE")]);
    assert_eq!(signature, [&*raw, &inner].concat(), "{block}");
    assert_eq!(signed, block.hex("SIGNED_DATA"), "{block}");
    let message = [
        Hash::Sha256.digest(&block.hex("APPLICATION")).as_bytes(),
        &inner,
        Hash::Sha256.digest(signed).as_bytes(),
    ]
    .concat();
    assert_eq!(message, block.hex("SK_MESSAGE"), "{block}");
}

fn hash(block: &Block) -> Hash {
    match block.text("HASH") {
        "sha256" => Hash::Sha256,
        "sha512" => Hash::Sha512,
        other => panic!("{block}: {other}"),
    }
}
