//! Files of keys and hosts.
#![no_main]
use libfuzzer_sys::fuzz_target;
use strombus::crypto::sign::{PrivateKey, PublicKey};
use strombus::keys::known_hosts::{File, Host, Verdict};
use strombus::keys::private_key::{Parsed, PrivateKeyFile};
use strombus::keys::{authorized_keys, known_hosts, private_key, public_key};

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
    let key = PrivateKey::ed25519_from_seed(&strombus::crypto::Secret::new([7; 32])).public_key();
    for entry in authorized_keys::entries(bytes).flatten() {
        assert!(authorized_keys::lookup(bytes, &entry.key).is_some());
    }
    let files = [File { name: "known_hosts", contents: bytes }];
    for (name, port) in [("host.example", 22), ("10.0.0.1", 2222)] {
        let host = Host::new(name, port).expect("a host name");
        let _ = known_hosts::key_types(&files, &host);
        let verdict = known_hosts::lookup(&files, &host, &key);
        let line = known_hosts::line_to_append(bytes, &host, &key);
        if matches!(verdict, Ok(Verdict::Unknown)) && bytes.len() < 4096 {
            let longer = [bytes, line.as_bytes()].concat();
            let files = [File { name: "known_hosts", contents: &longer }];
            assert!(matches!(known_hosts::lookup(&files, &host, &key), Ok(Verdict::Known(_))));
        }
    }
});
