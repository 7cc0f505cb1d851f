use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::reader::{Tally, Verdict, judge};

/// The primitive as `ring` has it, for additional data of any length: ours always has four bytes of it.
#[test]
fn aes_gcm() {
    judge("aes-gcm.txt", Tally { valid: 83, invalid: 54, ..Tally::default() }, |block| {
        let key = block.hex("KEY");
        let algorithm = if key.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, &key).unwrap());
        let nonce = || Nonce::assume_unique_for_key(block.array("IV"));
        let aad = Aad::from(block.hex("AAD"));
        let mut sealed = [block.hex("CIPHERTEXT"), block.hex("TAG")].concat();
        let Ok(plaintext) = key.open_in_place(nonce(), aad.clone(), &mut sealed) else {
            return Verdict::Refused;
        };
        assert_eq!(plaintext, block.hex("PLAINTEXT"), "{block}");

        let mut in_out = block.hex("PLAINTEXT");
        let tag = key.seal_in_place_separate_tag(nonce(), aad, &mut in_out).unwrap();
        assert_eq!((in_out, tag.as_ref()), (block.hex("CIPHERTEXT"), &block.hex("TAG")[..]), "{block}");
        Verdict::Accepted
    });
}
