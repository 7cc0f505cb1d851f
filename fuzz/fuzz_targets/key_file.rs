//! Files with one key.
#![no_main]
use libfuzzer_sys::fuzz_target;
use strombus::crypto::sign::PublicKey;
use strombus::keys::{private_key, public_key};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = private_key::parse(bytes) {
        assert!(!file.key.algorithms().is_empty());
        assert_eq!(PublicKey::from_blob(&file.key.public_key().blob()), Ok(file.key.public_key()));
    }
    let _ = public_key::parse(bytes);
});
