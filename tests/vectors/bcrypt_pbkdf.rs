//! bcrypt_pbkdf, the key derivation of openssh-key-v1.

use strombus::crypto::passphrase::PassphraseKdf;

use crate::reader::{Tally, Verdict, judge};

#[test]
fn bcrypt_pbkdf() {
    judge("bcrypt-pbkdf.txt", Tally { valid: 17, invalid: 4, ..Tally::default() }, |block| {
        let rounds = u32::try_from(block.number("ROUNDS")).unwrap();
        let mut key = vec![0; usize::try_from(block.number("LENGTH")).unwrap()];
        let derived = PassphraseKdf::bcrypt(&block.hex("SALT"), rounds)
            .and_then(|kdf| kdf.derive(&block.hex("PASSWORD"), &mut key));
        if derived.is_err() {
            return Verdict::Refused;
        }
        assert_eq!(key, block.hex("KEY"), "{block}");
        Verdict::Accepted
    });
}
