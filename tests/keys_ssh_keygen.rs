//! Key files and known_hosts between this library and ssh-keygen: the machine's own, for key files that of Debian 13 too.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use strombus::crypto::SystemRng;
use strombus::crypto::sign::PrivateKey;
use strombus::crypto::sign::ecdsa::Curve;
use strombus::keys::known_hosts::{self, Host, NameForm, Verdict};
use strombus::keys::private_key::{Parsed, PrivateKeyError};
use strombus::keys::{private_key, public_key};

/// Runs ssh-keygen, which must succeed, and gives what it prints.
fn ssh_keygen(arguments: &[&str]) -> String {
    run(Path::new("ssh-keygen"), arguments)
}

/// ssh-keygen of both generations; `tests/setup` fetches the second.
fn both() -> [PathBuf; 2] {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || Path::new(&std::env::var_os("HOME").expect("HOME is set")).join(".cache");
    ["ssh-keygen".into(), cache.unwrap_or_else(home).join("strombus/bin/ssh-keygen")]
}

fn run(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("ssh-keygen: see tests/setup");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn create(path: &Path, contents: &str) {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(contents.as_bytes()).unwrap();
}

#[test]
fn ssh_keygen_reads_the_key_file_we_write() {
    let directory = tempfile::tempdir().unwrap();
    let ed25519 = || PrivateKey::generate_ed25519(&mut SystemRng);
    let ecdsa = |curve| PrivateKey::generate_ecdsa(curve, &mut SystemRng);
    let rsa = private_key::parse(include_bytes!("../vectors/keys/rsa-2048")).unwrap().plain().unwrap().key;
    for (key, comment) in [
        (ed25519(), ""),
        (ed25519(), "ann@example.com"),
        (ed25519(), "a longer comment, with blanks and ünïcode"),
        (ecdsa(Curve::Nistp256), "p"),
        (ecdsa(Curve::Nistp384), "p3"),
        (ecdsa(Curve::Nistp521), "p52"),
        (rsa, "rsa1"),
    ] {
        let path = directory.path().join(format!("key{}", comment.len()));
        create(&path, &private_key::write(&key, comment, &mut SystemRng).unwrap());
        let path = path.to_str().unwrap();
        let public = public_key::write(&key.public_key(), comment).unwrap();
        assert_eq!(ssh_keygen(&["-y", "-f", path]), public);
        let listed = ssh_keygen(&["-l", "-f", path]);
        assert!(listed.contains(&key.public_key().fingerprint()), "{listed}");
    }
}

#[test]
fn the_key_file_of_ssh_keygen_is_read() {
    let directory = tempfile::tempdir().unwrap();
    for (key_type, bits, comment) in [
        ("ed25519", "256", ""),
        ("ed25519", "256", "ann@example.com"),
        ("ecdsa", "256", "p"),
        ("ecdsa", "384", "p3"),
        ("ecdsa", "521", "p52"),
        ("rsa", "2048", "rsa1"),
        ("rsa", "2050", "rsa12"),
    ] {
        let path = directory.path().join(format!("key{}", comment.len()));
        let name = path.to_str().unwrap();
        ssh_keygen(&["-q", "-t", key_type, "-b", bits, "-N", "", "-C", comment, "-f", name]);
        let private = private_key::parse(&fs::read(&path).unwrap()).unwrap().plain().unwrap();
        let public = public_key::parse(&fs::read(path.with_extension("pub")).unwrap()).unwrap();
        assert_eq!(private.key.public_key(), public.key);
        assert_eq!((private.comment.as_str(), public.comment.as_str()), (comment, comment));
    }
}

const PASSPHRASE: &str = "a passphrase";

#[test]
fn both_generations_open_the_encrypted_file_we_write() {
    let directory = tempfile::tempdir().unwrap();
    let rsa = private_key::parse(include_bytes!("../vectors/keys/rsa-2048")).unwrap().plain().unwrap().key;
    let ecdsa = Curve::ALL.iter().map(|curve| PrivateKey::generate_ecdsa(*curve, &mut SystemRng));
    let keys = ecdsa.chain([PrivateKey::generate_ed25519(&mut SystemRng), rsa]);
    for (key, rounds) in keys.zip([1, 2, 3, private_key::BCRYPT_ROUNDS, 5]) {
        let path = directory.path().join(format!("key{rounds}"));
        let file =
            private_key::write_encrypted(&key, "c", PASSPHRASE.as_bytes(), rounds, &mut SystemRng).unwrap();
        create(&path, &file);
        let path = path.to_str().unwrap();
        for program in both() {
            let printed = run(&program, &["-y", "-P", PASSPHRASE, "-f", path]);
            assert_eq!(printed, public_key::write(&key.public_key(), "c").unwrap());
            let wrong = Command::new(&program).args(["-y", "-P", "another", "-f", path]).output().unwrap();
            assert!(!wrong.status.success());
        }
    }
}

#[test]
fn each_type_under_each_cipher_of_both_generations_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let types = [("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"), ("rsa", "2048")];
    let mut opened = 0;
    for (program, generation) in both().iter().zip(1..) {
        for (key_type, bits) in types {
            let path = directory.path().join(format!("{key_type}{bits}-{generation}"));
            let name = path.to_str().unwrap();
            run(
                program,
                &["-q", "-t", key_type, "-b", bits, "-N", PASSPHRASE, "-a", "1", "-C", "c", "-f", name],
            );
            let public = public_key::parse(&fs::read(path.with_extension("pub")).unwrap()).unwrap().key;
            let ciphers = [
                "aes256-ctr",
                "aes192-ctr",
                "aes128-ctr",
                "aes256-cbc",
                "aes192-cbc",
                "aes128-cbc",
                "aes256-gcm@openssh.com",
                "aes128-gcm@openssh.com",
                "chacha20-poly1305@openssh.com",
            ];
            for cipher in ciphers {
                run(
                    program,
                    &["-q", "-p", "-P", PASSPHRASE, "-N", PASSPHRASE, "-a", "1", "-Z", cipher, "-f", name],
                );
                let Parsed::Encrypted(encrypted) = private_key::parse(&fs::read(&path).unwrap()).unwrap()
                else {
                    panic!("{cipher}")
                };
                assert_eq!(encrypted.public_key(), Some(&public));
                let file = encrypted.decrypt(PASSPHRASE.as_bytes()).unwrap();
                assert_eq!((file.key.public_key(), file.comment.as_str()), (public.clone(), "c"), "{cipher}");
                assert_eq!(encrypted.decrypt(b"another").unwrap_err(), PrivateKeyError::WrongPassphrase);
                opened += 1;
            }
        }
    }
    assert_eq!(opened, 2 * types.len() * 9);
}

/// ssh-keygen -m writes them for all but Ed25519.
#[test]
fn pem_files_of_both_generations_are_opened() {
    let directory = tempfile::tempdir().unwrap();
    for (program, generation) in both().iter().zip(1..) {
        for (key_type, bits) in
            [("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"), ("rsa", "2048"), ("rsa", "3072")]
        {
            for (format, passphrase) in
                [("PEM", ""), ("PEM", PASSPHRASE), ("PKCS8", ""), ("PKCS8", PASSPHRASE)]
            {
                let path = directory
                    .path()
                    .join(format!("{key_type}{bits}{format}{}-{generation}", passphrase.len()));
                let name = path.to_str().unwrap();
                run(program, &["-q", "-t", key_type, "-b", bits, "-m", format, "-N", passphrase, "-f", name]);
                let public = public_key::parse(&fs::read(path.with_extension("pub")).unwrap()).unwrap().key;
                let file = match private_key::parse(&fs::read(&path).unwrap()).unwrap() {
                    Parsed::Key(file) if passphrase.is_empty() => file,
                    Parsed::Encrypted(encrypted) => encrypted.decrypt(passphrase.as_bytes()).unwrap(),
                    other => panic!("{name}: {other:?}"),
                };
                assert_eq!(file.key.public_key(), public, "{name}");
            }
        }
    }
}

#[test]
fn ssh_keygen_finds_the_known_host_we_append_and_we_find_it_hashed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("known_hosts");
    let name = path.to_str().unwrap();
    let key = PrivateKey::generate_ed25519(&mut SystemRng).public_key();
    let hosts = [Host::new("Plain.example.com", 22).unwrap(), Host::new("2001:db8::1", 2222).unwrap()];
    let contents = hosts.iter().fold(String::from("# no end"), |contents, host| {
        contents.clone() + &known_hosts::line_to_append(contents.as_bytes(), host, &key, NameForm::Plain)
    });
    create(&path, &contents);
    for (host, line) in hosts.iter().zip(2..) {
        let found = ssh_keygen(&["-F", host.as_str(), "-f", name]);
        assert!(found.starts_with(&format!("# Host {} found: line {line}", host.as_str())), "{found}");
    }
    let hashed = known_hosts::line_to_append(b"", &hosts[0], &key, NameForm::Hashed(&mut SystemRng));
    create(&directory.path().join("hashed"), &hashed);
    let found =
        ssh_keygen(&["-F", hosts[0].as_str(), "-f", directory.path().join("hashed").to_str().unwrap()]);
    assert!(found.contains("found: line 1"), "{found}");
    ssh_keygen(&["-H", "-f", name]);
    let hashed = fs::read(&path).unwrap();
    assert!(hashed.windows(3).filter(|window| window == b"|1|").count() == hosts.len());
    for (host, number) in hosts.iter().zip(2..) {
        let files = [known_hosts::File { name, contents: &hashed }];
        let verdict = known_hosts::lookup(&files, host, &key).unwrap();
        assert!(matches!(verdict, Verdict::Known(place) if place.line == number), "{verdict:?}");
    }
}
