//! PuTTY's key files, made by puttygen at test time: each type in each version under each key derivation.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use strombus::keys::private_key::{self, Malformed, Parsed, PrivateKeyError};
use strombus::keys::public_key;

const PASSPHRASE: &str = "a passphrase, ünïcode";

fn puttygen(directory: &Path, arguments: &[&str]) -> String {
    let program =
        Command::new("puttygen").args(arguments).current_dir(directory).stdin(Stdio::null()).output();
    let output = program.expect("puttygen: see tests/setup");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A new key and its public half as puttygen prints it.
fn made(directory: &Path, of: &str, passphrase: &str, parameters: &str) -> (Vec<u8>, Vec<u8>) {
    fs::write(directory.join("passphrase"), passphrase).unwrap();
    let (key_type, bits) = of.split_once(' ').unwrap();
    let arguments = ["-q", "-t", key_type, "-b", bits, "-C", "a comment: of two parts", "-o", "key"];
    let random =
        ["--random-device", "/dev/urandom", "--new-passphrase", "passphrase", "--ppk-param", parameters];
    puttygen(directory, &[arguments.as_slice(), &random].concat());
    let public = puttygen(directory, &["-O", "public-openssh", "--old-passphrase", "passphrase", "key"]);
    (fs::read(directory.join("key")).unwrap(), public.into_bytes())
}

#[test]
fn each_type_in_each_version_is_read() {
    let directory = tempfile::tempdir().unwrap();
    for of in ["ed25519 255", "ecdsa 256", "ecdsa 384", "ecdsa 521", "rsa 2048", "rsa 3072"] {
        for (passphrase, parameters) in [
            ("", "version=2"),
            ("", "version=3"),
            (PASSPHRASE, "version=2"),
            (PASSPHRASE, "version=3,kdf=argon2id,memory=1024,passes=3"),
            (PASSPHRASE, "version=3,kdf=argon2i,memory=256,passes=1,parallelism=3"),
            (PASSPHRASE, "version=3,kdf=argon2d,memory=512,passes=2"),
        ] {
            let (file, public) = made(directory.path(), of, passphrase, parameters);
            let public = public_key::parse(&public).unwrap();
            let parsed = private_key::parse(&file).unwrap();
            assert_eq!(parsed.public_key(), Some(public.key.clone()));
            let read = match parsed {
                Parsed::Key(file) if passphrase.is_empty() => file,
                Parsed::Encrypted(encrypted) => {
                    for wrong in ["", "another"] {
                        let error = encrypted.decrypt(wrong.as_bytes()).unwrap_err();
                        assert_eq!(error, PrivateKeyError::WrongPassphrase);
                    }
                    encrypted.decrypt(passphrase.as_bytes()).unwrap()
                }
                other => panic!("{of} {parameters}: {other:?}"),
            };
            assert_eq!(read.key.public_key(), public.key, "{of} {parameters}");
            assert_eq!(read.comment, "a comment: of two parts");
            let windows = String::from_utf8(file).unwrap().replace('\n', "\r\n");
            assert!(private_key::parse(windows.as_bytes()).is_ok());
        }
    }
}

/// With its own parameters, which are for 0.1 s.
#[test]
fn what_puttygen_takes_unasked_is_within_the_bounds() {
    let directory = tempfile::tempdir().unwrap();
    let (file, _) = made(directory.path(), "ed25519 255", PASSPHRASE, "version=3");
    let Parsed::Encrypted(encrypted) = private_key::parse(&file).unwrap() else { panic!() };
    assert!(encrypted.decrypt(PASSPHRASE.as_bytes()).is_ok());
}

/// One field after the other says something else.
#[test]
fn t89_each_field_of_a_ppk_file_is_judged() {
    let directory = tempfile::tempdir().unwrap();
    let parameters = "version=3,kdf=argon2id,memory=64,passes=1";
    let (plain, _) = made(directory.path(), "ed25519 255", "", parameters);
    let (encrypted, _) = made(directory.path(), "ed25519 255", PASSPHRASE, parameters);
    let [plain, encrypted] = [plain, encrypted].map(|file| String::from_utf8(file).unwrap());
    let parse = |file: &str| private_key::parse(file.as_bytes());
    let changed = |file: &str, from: &str, to: &str| {
        assert!(file.contains(from), "{from}");
        parse(&file.replacen(from, to, 1))
    };
    let headers = PrivateKeyError::from(Malformed::Headers);
    let other = |name: &str| name.to_owned();
    for (from, to, error) in [
        ("File-3", "File-1", parse("PuTTY-User-Key-File-1: ssh-rsa\n").unwrap_err()),
        ("File-3", "File-4", headers.clone()),
        ("File-3", "File-33", headers.clone()),
        ("File-3: ssh-ed25519", "File-3: ssh-rsa", Malformed::PublicKey.into()),
        ("aes256-cbc", "none", headers.clone()),
        ("aes256-cbc", "aes256-ctr", PrivateKeyError::UnknownCipher(other("aes256-ctr"))),
        ("Encryption", "encryption", headers.clone()),
        ("Comment", "Remark", headers.clone()),
        ("Public-Lines: 2", "Public-Lines: 4294967295", headers.clone()),
        ("Public-Lines: 2", "Public-Lines: -1", headers.clone()),
        ("Public-Lines: 2", "Public-Lines: ", headers.clone()),
        ("Public-Lines: 2", "Public-Lines: 3", Malformed::Base64.into()),
        ("Argon2id", "Argon2", PrivateKeyError::UnknownKdf(other("Argon2"))),
        ("Argon2-Memory: 64", "Argon2-Memory: 4294967295", PrivateKeyError::TooCostly),
        ("Argon2-Memory: 64", "Argon2-Memory: 99999999999", headers.clone()),
        ("Argon2-Memory: 64", "Argon2-Memory: 7", Malformed::KeyDerivation.into()),
        ("Argon2-Passes: 1", "Argon2-Passes: 1000000000", PrivateKeyError::TooCostly),
        ("Argon2-Passes: 1", "Argon2-Passes: 0", Malformed::KeyDerivation.into()),
        ("Parallelism: 1", "Parallelism: 4294967295", Malformed::KeyDerivation.into()),
        ("Parallelism: 1", "Parallelism: 0", Malformed::KeyDerivation.into()),
        ("Argon2-Salt: ", "Argon2-Salt: 0", headers.clone()),
        ("Private-Lines: 1", "Private-Lines: 0", headers.clone()),
        ("Private-MAC: ", "Private-MAC: 00", headers.clone()),
    ] {
        assert_eq!(changed(&encrypted, from, to).unwrap_err(), error, "{from} {to}");
    }
    // What the MAC covers.
    for (from, to) in [
        ("Comment: a", "Comment: b"),
        ("Private-MAC: ", "Private-MAC: "),
        ("Lines: 1\nAAAAI", "Lines: 1\nAAAAJ"),
    ] {
        let result = changed(&plain, from, to);
        assert_eq!(result.err(), (from != to).then_some(Malformed::Mac.into()), "{from}");
    }
    let Parsed::Encrypted(renamed) = changed(&encrypted, "Comment: a", "Comment: b").unwrap() else {
        panic!()
    };
    assert_eq!(renamed.decrypt(PASSPHRASE.as_bytes()).unwrap_err(), PrivateKeyError::WrongPassphrase);
    assert_eq!(parse(&format!("{plain}x")).unwrap_err(), headers);
}
