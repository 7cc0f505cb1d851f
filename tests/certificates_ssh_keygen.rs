//! Certificates that ssh-keygen of both generations makes: good ones, and one for each thing that can be wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use strombus::crypto::sign::PublicKey;
use strombus::crypto::sign::certificate::{CaSignature, Certificate, Role};
use strombus::keys::certificate::{self, CA_SIGNATURE_ALGORITHMS, Refusal, Trust, check_host, check_user};
use strombus::keys::public_key;
use strombus::userauth::{Circumstances, NotAdmitted, Origin, Permissions};
use tempfile::TempDir;

/// A second of 2001, in the validity of [`VALID`].
const NOW: u64 = 1_000_000_000;
const VALID: [&str; 2] = ["-V", "20010101000000Z:20020101000000Z"];

/// ssh-keygen of Debian 12, and the one of Debian 13 that `tests/run` installs.
fn generations() -> [PathBuf; 2] {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || Path::new(&std::env::var_os("HOME").expect("HOME is set")).join(".cache");
    let trixie = cache.unwrap_or_else(home).join("strombus/bin/ssh-keygen");
    let both = [PathBuf::from("/usr/bin/ssh-keygen"), trixie];
    for path in &both {
        assert!(path.exists(), "{} is missing: tests/run installs it", path.display());
    }
    both
}

struct Keys {
    program: PathBuf,
    directory: TempDir,
}

impl Keys {
    fn new(program: PathBuf) -> Self {
        Self { program, directory: tempfile::tempdir().unwrap() }
    }

    fn run(&self, arguments: &[&str]) {
        let mut command = Command::new(&self.program);
        let output = command.args(arguments).current_dir(&self.directory).output().expect("ssh-keygen");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn make(&self, name: &str, key_type: &str, bits: &str) -> PublicKey {
        self.run(&["-q", "-t", key_type, "-b", bits, "-N", "", "-C", name, "-f", name]);
        public_key::parse(&self.read(&format!("{name}.pub"))).unwrap().key
    }

    /// Has `name` signed by `ca`.
    fn sign(&self, ca: &str, name: &str, arguments: &[&str]) -> Certificate {
        self.run(&[&["-q", "-s", ca, "-I", "id"], arguments, &[&format!("{name}.pub")]].concat());
        certificate::parse(&self.read(&format!("{name}-cert.pub"))).unwrap()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.directory.path().join(name)).unwrap()
    }
}

fn login() -> Circumstances<'static> {
    let origin = Origin { address: Some("192.0.2.1".parse().unwrap()), host_name: None };
    Circumstances { now: NOW, origin }
}

fn outcome(certificate: &Certificate, trust: &Trust<'_>) -> Result<Permissions, Refusal> {
    check_user(certificate, trust, &[b"ann"], &login()).map(|user| user.permissions().clone())
}

#[test]
fn t88_every_key_type_is_certified_by_every_type_of_ca() {
    let types = [("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"), ("rsa", "2048")];
    for program in generations() {
        let keys = Keys::new(program);
        let public = types.map(|(key_type, bits)| keys.make(&format!("{key_type}-{bits}"), key_type, bits));
        for (ca, ca_key) in types.iter().zip(&public) {
            for (subject, key) in types.iter().zip(&public) {
                let [ca, subject] = [ca, subject].map(|(key_type, bits)| format!("{key_type}-{bits}"));
                let authorities = [ca_key.clone()];
                let trust = Trust {
                    authorities: &authorities,
                    revoked: &[],
                    ca_signature_algorithms: CA_SIGNATURE_ALGORITHMS,
                };
                let user = keys.sign(&ca, &subject, &[&["-n", "bob,ann"][..], &VALID].concat());
                assert_eq!(user.key(), key);
                let permissions = outcome(&user, &trust).unwrap();
                assert!(permissions.is_unrestricted(), "{ca} {subject}: {permissions:?}");
                let host = keys.sign(&ca, &subject, &[&["-h", "-n", "h.example"][..], &VALID].concat());
                assert!(check_host(&host, &trust, "h.example", NOW).is_ok());
            }
        }
    }
}

#[test]
fn t88_one_certificate_for_each_check_is_refused_for_that_check() {
    for program in generations() {
        let keys = Keys::new(program);
        let key = keys.make("key", "ed25519", "256");
        let authorities = [keys.make("ca", "ed25519", "256"), keys.make("rsa", "rsa", "2048")];
        keys.make("other", "ed25519", "256");
        let ca_signature_algorithms = CA_SIGNATURE_ALGORITHMS;
        let trust = Trust { authorities: &authorities, revoked: &[], ca_signature_algorithms };
        let with = |ca, arguments: &[&str]| {
            outcome(&keys.sign(ca, "key", &[arguments, &["-n", "ann"], &VALID].concat()), &trust)
        };
        let good = keys.sign("ca", "key", &[&["-n", "ann"][..], &VALID].concat());
        assert_eq!(outcome(&good, &trust), Ok(Permissions::FULL));

        assert_eq!(with("other", &[]), Err(Refusal::Untrusted));
        for revoked in [[key], [authorities[0].clone()]] {
            assert_eq!(outcome(&good, &Trust { revoked: &revoked, ..trust }), Err(Refusal::Revoked));
        }
        let sha1 = Err(Refusal::Signature(CaSignature::NotAllowed));
        assert_eq!(with("rsa", &["-t", "ssh-rsa"]), sha1);
        assert_eq!(with("rsa", &["-t", "rsa-sha2-256"]), Ok(Permissions::FULL));
        assert_eq!(with("ca", &["-h"]), Err(Refusal::Role));
        let early = keys.sign("ca", "key", &["-n", "ann", "-V", "20010910000000Z:20020101000000Z"]);
        assert_eq!(outcome(&early, &trust), Err(Refusal::NotYetValid));
        let late = keys.sign("ca", "key", &["-n", "ann", "-V", "20000101000000Z:20010909000000Z"]);
        assert_eq!(outcome(&late, &trust), Err(Refusal::Expired));
        let nobody = keys.sign("ca", "key", &VALID);
        assert_eq!(outcome(&nobody, &trust), Err(Refusal::NoPrincipals));
        let others = keys.sign("ca", "key", &[&["-n", "bob,Ann,*"][..], &VALID].concat());
        assert_eq!(outcome(&others, &trust), Err(Refusal::OtherPrincipals));
        let unknown = Err(Refusal::UnknownOption("x@example.com".to_owned()));
        assert_eq!(with("ca", &["-O", "critical:x@example.com=1"]), unknown);
        let bad = with("ca", &["-O", "critical:verify-required=1"]);
        assert_eq!(bad, Err(Refusal::BadOption("verify-required")));
        let elsewhere = with("ca", &["-O", "source-address=10.0.0.0/8,::/0"]);
        assert_eq!(elsewhere, Err(Refusal::NotAdmitted(NotAdmitted::Source)));
        assert!(with("ca", &["-O", "source-address=192.0.2.0/24"]).is_ok());

        let mut forged = good.blob().to_vec();
        *forged.last_mut().unwrap() ^= 1;
        let forged = Certificate::from_blob(&forged).unwrap();
        assert_eq!(outcome(&forged, &trust), Err(Refusal::Signature(CaSignature::Bad)));

        let host = keys.sign("ca", "key", &[&["-h", "-n", "h.example"][..], &VALID].concat());
        assert_eq!(host.role(), Role::Host);
        for (name, expected) in [("h.example", None), ("x.example", Some(Refusal::OtherPrincipals))] {
            assert_eq!(check_host(&host, &trust, name, NOW).err(), expected);
        }
    }
}

#[test]
fn t88_options_are_those_that_ssh_keygen_wrote() {
    for program in generations() {
        let keys = Keys::new(program);
        keys.make("key", "ed25519", "256");
        let authorities = [keys.make("ca", "ecdsa", "256")];
        let ca_signature_algorithms = CA_SIGNATURE_ALGORITHMS;
        let trust = Trust { authorities: &authorities, revoked: &[], ca_signature_algorithms };
        let with = |options: &[&str]| {
            let options: Vec<_> = options.iter().flat_map(|option| ["-O", option]).collect();
            let arguments = [&options[..], &["-n", "ann"], &VALID].concat();
            outcome(&keys.sign("ca", "key", &arguments), &trust).unwrap()
        };
        assert_eq!(with(&["clear"]), Permissions::BARE);
        assert_eq!(with(&["clear", "permit-pty"]), Permissions { pty: true, ..Permissions::BARE });
        assert_eq!(with(&["no-x11-forwarding"]), Permissions { x11_forwarding: false, ..Permissions::FULL });
        assert_eq!(with(&["extension:x@example.com=1"]), Permissions::FULL);
        let command = Some(b"date -u".to_vec());
        assert_eq!(
            with(&["force-command=date -u", "verify-required", "no-touch-required"]),
            Permissions {
                force_command: command,
                verify_required: true,
                touch_required: false,
                ..Permissions::FULL
            }
        );
    }
}
