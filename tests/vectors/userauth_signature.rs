use std::path::Path;

use strombus::crypto::sign::SignatureAlgorithm;
use strombus::keys::private_key;
use strombus::wire::message::{PublickeyFields, UserauthRequest};
use strombus::wire::{Decode, Reader};

use crate::reader::{Tally, Verdict, judge};
use crate::strings;

/// Keys from files sign what the file says a login signs; the request is read and agrees. Ed25519, RSA and ECDSA over P-521
/// give the very signature; the nonces of the others are drawn.
#[test]
fn userauth_signature() {
    judge("userauth-signature.txt", Tally { valid: 9, ..Tally::default() }, |block| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(block.text("KEY_FILE"));
        let key = private_key::parse(&std::fs::read(path).unwrap()).unwrap().plain().unwrap().key;
        let algorithm = SignatureAlgorithm::from_name(block.text("ALGORITHM")).unwrap();
        let (data, signature) = (block.hex("SIGNED_DATA"), block.hex("SIGNATURE"));
        assert!(key.public_key().verify(algorithm, &data, &signature).is_ok(), "{block}");
        let ours = key.sign(algorithm, &data).unwrap();
        assert!(key.public_key().verify(algorithm, &data, &ours).is_ok(), "{block}");
        let drawn = matches!(algorithm.name(), "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384");
        assert_eq!(ours == signature, !drawn, "{block}");

        let payload = block.hex("REQUEST");
        let mut r = Reader::new(&data);
        assert_eq!(r.string().unwrap(), block.hex("SESSION_ID"), "{block}");
        assert_eq!(payload, [r.rest(), &strings(&[&signature])].concat(), "{block}");
        let request = UserauthRequest::from_payload(&payload).unwrap();
        let fields = PublickeyFields::decode(request.method_fields).unwrap();
        assert_eq!((request.user_name, request.method_name), (&*block.hex("USER"), &b"publickey"[..]));
        assert_eq!(fields.public_key_algorithm_name, algorithm.name().as_bytes(), "{block}");
        assert_eq!(fields.public_key_blob, key.public_key().blob(), "{block}");
        assert_eq!(fields.signature, Some(&*signature), "{block}");
        Verdict::Accepted
    });
}
