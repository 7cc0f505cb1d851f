//! Files with one key.
#![no_main]
use libfuzzer_sys::fuzz_target;
use strombus::crypto::sign::PublicKey;
use strombus::keys::private_key::{Parsed, PrivateKeyFile};
use strombus::keys::{private_key, public_key};

/// What a private key came out of is used.
fn check(file: &PrivateKeyFile) {
    assert!(!file.key.algorithms().is_empty());
    assert_eq!(PublicKey::from_blob(&file.key.public_key().blob()), Ok(file.key.public_key()));
}

fuzz_target!(|bytes: &[u8]| {
    match private_key::parse(bytes) {
        Ok(Parsed::Key(file)) => check(&file),
        Ok(Parsed::Encrypted(encrypted)) => {
            // Those of the seeds, and one that is always wrong.
            for passphrase in [b"correct horse battery staple".as_slice(), b""] {
                if let Ok(file) = encrypted.decrypt(passphrase) {
                    assert!(encrypted.public_key().is_none_or(|key| *key == file.key.public_key()));
                    check(&file);
                }
            }
        }
        Ok(Parsed::InToken(key)) => assert_eq!(PublicKey::from_blob(&key.blob()), Ok(key)),
        Err(error) => assert!(!error.to_string().contains(|c: char| c.is_control())),
    }
    let _ = public_key::parse(bytes);
});
