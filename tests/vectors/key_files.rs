//! Every private key file of `vectors/keys`, with the outcome that its README says.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use strombus::crypto::sign::{PrivateKey, PublicKey};
use strombus::keys::private_key::{self, Encrypted, Malformed, Parsed, PrivateKeyError, PrivateKeyFile};
use strombus::keys::public_key;

const PASSPHRASE: &[u8] = b"correct horse battery staple";

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/keys")
}

fn read(name: &str) -> Vec<u8> {
    fs::read(directory().join(name)).unwrap()
}

/// The files that begin as private keys do.
fn private_files() -> BTreeMap<String, Vec<u8>> {
    let names =
        fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files = names.map(|name| (name.clone(), read(&name)));
    let begins = |file: &[u8]| {
        file.starts_with(b"PuTTY-") || file.windows(12).take(128).any(|window| window == b"PRIVATE KEY-")
    };
    files.filter(|(_, file)| begins(file)).collect()
}

fn passphrase(name: &str) -> Vec<u8> {
    match name {
        "ed25519.utf8-passphrase" => "пароль ключ".as_bytes().to_vec(),
        "ed25519.long-passphrase" => vec![b'x'; 200],
        _ => PASSPHRASE.to_vec(),
    }
}

/// The public half of a file, from the `.pub` that belongs to the key; `None` if there is none.
fn public_half(name: &str) -> Option<PublicKey> {
    let whole = directory().join(format!("{name}.pub"));
    let key = name.split_once('.').map_or(name, |(key, _)| key);
    let path = if whole.exists() { whole } else { directory().join(format!("{key}.pub")) };
    Some(public_key::parse(&fs::read(path).ok()?).unwrap().key)
}

fn encrypted(file: &[u8]) -> Encrypted {
    match private_key::parse(file).unwrap() {
        Parsed::Encrypted(encrypted) => *encrypted,
        other => panic!("{other:?}"),
    }
}

fn assert_signs(key: &PrivateKey) {
    let algorithm = key.algorithms()[0];
    let signature = key.sign(algorithm, b"m").unwrap();
    assert!(key.public_key().verify(algorithm, b"m", &signature).is_ok());
}

#[test]
fn every_file_ends_as_the_readme_says() {
    let mut counts = BTreeMap::new();
    for (name, file) in private_files() {
        let outcome = match private_key::parse(&file) {
            Ok(Parsed::Key(PrivateKeyFile { key, .. })) => {
                assert!(public_half(&name).is_none_or(|public| public == key.public_key()), "{name}");
                assert_signs(&key);
                "plain"
            }
            Ok(Parsed::Encrypted(encrypted)) => {
                let key = encrypted.decrypt(&passphrase(&name)).unwrap_or_else(|e| panic!("{name}: {e}")).key;
                assert_eq!(Some(key.public_key()), public_half(&name), "{name}");
                let in_clear = encrypted.public_key();
                assert!(in_clear.is_none_or(|public| *public == key.public_key()), "{name}");
                assert_eq!(in_clear.is_none(), name.contains(".P"), "{name}: PEM has none");
                assert_signs(&key);
                "encrypted"
            }
            Ok(Parsed::InToken(public)) => {
                assert_eq!(Some(public), public_half(&name), "{name}");
                "in a token"
            }
            Err(PrivateKeyError::UnsupportedSize) => {
                assert_eq!(name, "rsa-1024");
                "too small"
            }
            Err(error @ (PrivateKeyError::UnknownCipher(_) | PrivateKeyError::UnknownKdf(_))) => {
                let named = match name.as_str() {
                    "ed25519.3des-cbc" | "ecdsa-256.PKCS8-des3" => "encrypted with 3des-cbc,",
                    "ecdsa-256.PEM-des3" => "encrypted with DES-EDE3-CBC,",
                    "ecdsa-256.PKCS8-pbes1" => "encrypted under 1.2.840.113549.1.12.1.3,",
                    _ => panic!("{name}: {error}"),
                };
                assert!(error.to_string().contains(named), "{name}: {error}");
                "encrypted otherwise"
            }
            Err(PrivateKeyError::UnknownType(of)) => {
                let named = match name.as_str() {
                    "ecdsa-256.PEM-explicit" => "ec-without-named-curve",
                    "ed448.PKCS8" => "1.3.101.113",
                    "secp256k1.PEM" => "1.3.132.0.10",
                    _ => panic!("{name}: {of}"),
                };
                assert_eq!(of, named, "{name}");
                "of another type"
            }
            Err(error) => panic!("{name}: {error}"),
        };
        *counts.entry(outcome).or_insert(0) += 1;
    }
    let expected = [
        ("encrypted", 35),
        ("encrypted otherwise", 4),
        ("in a token", 6),
        ("of another type", 3),
        ("plain", 26),
        ("too small", 1),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
}

#[test]
fn comments_are_kept_where_the_format_has_them() {
    let comment = |name: &str| {
        let file = match private_key::parse(&read(name)).unwrap() {
            Parsed::Key(file) => file,
            Parsed::Encrypted(encrypted) => encrypted.decrypt(PASSPHRASE).unwrap(),
            Parsed::InToken(_) => panic!(),
        };
        file.comment
    };
    let of_public = |name: &str| public_key::parse(&read(name)).unwrap().comment;
    assert_eq!(comment("ed25519.aes256-ctr"), of_public("ed25519.pub"));
    assert_eq!(comment("rsa-2048.aes256-ctr"), of_public("rsa-2048.pub"));
    assert_eq!(comment("rsa-2048.ppk2"), of_public("rsa-2048.pub"));
    assert_eq!(comment("ed25519.ppk3-encrypted"), of_public("ed25519.pub"));
    assert_eq!((comment("ed25519-no-comment").as_str(), comment("rsa-2048.PEM").as_str()), ("", ""));
}

#[test]
fn t57_a_wrong_passphrase_is_told_from_a_damaged_file_and_is_in_no_text() {
    for (name, file) in private_files() {
        let Ok(Parsed::Encrypted(encrypted)) = private_key::parse(&file) else { continue };
        let right = passphrase(&name);
        for wrong in [b"wrong horse".as_slice(), b"", &[&*right, b"x"].concat()] {
            let error = encrypted.decrypt(wrong).unwrap_err();
            assert_eq!(error, PrivateKeyError::WrongPassphrase, "{name}");
            assert!(wrong.is_empty() || !format!("{error:?} {error}").contains("horse"));
        }
        let debug = format!("{encrypted:?} {encrypted:#?}");
        assert!(!debug.contains("sealed") && !debug.contains("salt"), "{debug}");
    }
}

/// One file a format: its key comes out of the whole file only, up to the white space at its end.
#[test]
fn t89_no_cut_of_a_file_of_any_format_panics_or_gives_a_key() {
    for name in [
        "ecdsa-256.PEM",
        "ecdsa-256.PKCS8",
        "ed25519-other.PKCS8",
        "rsa-2048.PEM",
        "rsa-2048.PKCS8",
        "ecdsa-256.PEM-encrypted",
        "ecdsa-256.PKCS8-encrypted",
        "ecdsa-384.PKCS8-scrypt",
        "ed25519.ppk2",
        "ed25519.ppk3-encrypted",
        "ed25519.rounds-1",
        "ed25519.aes256-gcm@openssh.com",
        "ed25519.chacha20-poly1305@openssh.com",
    ] {
        let file = read(name);
        let end = file.trim_ascii_end().len();
        for cut in 0..file.len() {
            assert_eq!(private_key::parse(&file[..cut]).is_ok(), cut >= end, "{name} {cut}");
        }
    }
}

/// A change in the file is an error, or changes nothing that counts. (An Ed25519 seed in PKCS#8 has nothing beside it that it
/// must agree with, and what CBC decrypts to nothing but its padding: these are not here.)
#[test]
fn t89_no_changed_byte_of_a_file_panics_or_gives_another_key() {
    for name in [
        "ecdsa-256.PEM",
        "ecdsa-256.PKCS8",
        "ecdsa-256.PEM-encrypted",
        "ed25519.rounds-1",
        "ed25519.ppk2",
        "ed25519.ppk3-encrypted",
        "rsa-2048.ppk2",
    ] {
        let file = read(name);
        let public = public_half(name);
        for at in 0..file.len() {
            for change in [0x01, 0x20, 0x80] {
                let mut changed = file.clone();
                changed[at] ^= change;
                let key = match private_key::parse(&changed) {
                    Ok(Parsed::Encrypted(encrypted)) => encrypted.decrypt(PASSPHRASE).ok(),
                    parsed => parsed.and_then(Parsed::plain).ok(),
                };
                assert!(key.is_none_or(|file| Some(file.key.public_key()) == public), "{name} {at}");
            }
        }
    }
}

#[test]
fn damaged_pem_headers_are_named() {
    let text = String::from_utf8(read("ecdsa-256.PEM-encrypted")).unwrap();
    assert!(text.contains("DEK-Info: AES-128-CBC,"));
    let error = |from: &str, to: &str| private_key::parse(text.replacen(from, to, 1).as_bytes()).unwrap_err();
    let headers = PrivateKeyError::from(Malformed::Headers);
    for (from, to) in [
        ("4,ENCRYPTED", "4,ENCRYPTED "),
        ("DEK-Info: ", "DEK-Info:"),
        ("DEK-Info: AES-128-CBC,", "DEK-Info: AES-128-CBC"),
        ("AES-128-CBC,", "AES-128-CBC,0"),
        ("AES-128-CBC,", "AES-128-CBC,g"),
        ("AES-128-CBC,", "AES 128 CBC,"),
        ("\n\n", "\nX: y\n\n"),
        ("DEK-Info", "DEK-Inf"),
    ] {
        assert_eq!(error(from, to), headers, "{from} {to}");
    }
    assert_eq!(
        error("AES-128-CBC", "DES-EDE3-CBC"),
        PrivateKeyError::UnknownCipher("DES-EDE3-CBC".to_owned())
    );
    assert_eq!(error("4,ENCRYPTED", "4,MIC-ONLY"), Malformed::Base64.into());
    let windows = text.replace('\n', "\r\n");
    assert!(encrypted(windows.as_bytes()).decrypt(PASSPHRASE).is_ok());
}

#[test]
fn other_files_are_named_for_what_they_are() {
    for (name, word) in [
        ("ed25519.pub", "public key"),
        ("ed25519.pub.RFC4716", "public key"),
        ("rsa-2048.pub.PKCS8", "public key"),
        ("rsa-2048.pub.PEM", "public key"),
        ("known_hosts", "not a private key"),
    ] {
        let error = private_key::parse(&read(name)).unwrap_err().to_string();
        assert!(error.contains(word), "{name}: {error}");
    }
}
