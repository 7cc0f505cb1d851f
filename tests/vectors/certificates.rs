use std::collections::BTreeMap;
use std::path::Path;

use strombus::crypto::sign::PublicKey;
use strombus::crypto::sign::certificate::{Certificate, Role};
use strombus::keys::certificate::{
    CA_SIGNATURE_ALGORITHMS, Refusal, Trust, check_host, check_user, parse as parse_certificate,
};
use strombus::keys::public_key;
use strombus::userauth::{Circumstances, Origin, Permissions};

use crate::reader::{Block, Tally, Verdict, blocks, judge};

/// A second of the year 2026.
const NOW: u64 = 1_790_000_000;

fn read(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/keys").join(name)).unwrap()
}

fn public(name: &str) -> PublicKey {
    public_key::parse(&read(name)).unwrap().key
}

/// What becomes of the certificate as the heads of the files say: the user is alice, from the loopback interface; the host is
/// host.example.com.
fn outcome(certificate: &Certificate) -> Result<Permissions, Refusal> {
    let role_ca = if certificate.role() == Role::User { "ca-user.pub" } else { "ca-host.pub" };
    let authorities = [role_ca, "ca-ecdsa.pub", "ca-rsa.pub"].map(public);
    let trust =
        Trust { authorities: &authorities, revoked: &[], ca_signature_algorithms: CA_SIGNATURE_ALGORITHMS };
    match certificate.role() {
        Role::User => {
            let origin = Origin { address: Some("127.0.0.1".parse().unwrap()), host_name: None };
            let login = Circumstances { now: NOW, origin };
            check_user(certificate, &trust, &[b"alice"], &login).map(|user| user.permissions().clone())
        }
        Role::Host => check_host(certificate, &trust, "host.example.com", NOW).map(|_| Permissions::BARE),
    }
}

fn joined<'a>(values: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let one = |(name, value): (&[u8], Option<&[u8]>)| match value {
        Some(value) => format!("{}={}", text(name), text(value)),
        None => text(name),
    };
    values.map(one).collect::<Vec<_>>().join(",")
}

fn compare_fields(block: &Block, certificate: &Certificate) {
    assert_eq!(certificate.certificate_type(), block.text("TYPE"), "{block}");
    let role = if certificate.role() == Role::User { "user" } else { "host" };
    assert_eq!(role, block.text("CERT_TYPE"), "{block}");
    assert_eq!(certificate.key_id(), block.text("KEY_ID").as_bytes(), "{block}");
    assert_eq!(certificate.serial(), block.number("SERIAL"), "{block}");
    assert_eq!(certificate.valid_after(), block.number("VALID_AFTER"), "{block}");
    assert_eq!(certificate.valid_before(), block.number("VALID_BEFORE"), "{block}");
    let principals = joined(certificate.principals().map(|principal| (principal, None)));
    assert_eq!(principals, block.text("PRINCIPALS"), "{block}");
    assert_eq!(joined(certificate.critical_options()), block.text("CRITICAL"), "{block}");
    assert_eq!(joined(certificate.extensions()), block.text("EXTENSIONS"), "{block}");
    assert_eq!(certificate.ca_key().key_type(), block.text("CA_TYPE"), "{block}");
    assert_eq!(certificate.ca_key().fingerprint(), block.text("CA_SHA256"), "{block}");
}

/// Two differ from OpenSSH 9.2, and are as in 10.3: a host certificate without principals is for no host, and `*` in a host's
/// principal is a pattern.
#[test]
fn t88_certificates_and_what_becomes_of_each() {
    let mut seen = BTreeMap::new();
    for block in blocks("keys/certs.txt") {
        let name = block.text("FILE");
        let certificate = parse_certificate(&read(name)).unwrap();
        compare_fields(&block, &certificate);
        let outcome = outcome(&certificate);
        let word = match (&outcome, block.get("EXPECT").unwrap_or("not run")) {
            (Ok(p), "accept" | "accept/only-from-listed-addresses") if p.force_command.is_none() => "ok",
            (Ok(p), "accept/nothing-permitted") if *p == Permissions::BARE => "ok",
            (Ok(p), "accept/forced-command") if p.force_command.as_deref() == Some(b"/usr/bin/uptime -p") => {
                "ok"
            }
            (Ok(p), "accept/option-known,without-effect-on-a-plain-key") if p.verify_required => "ok",
            (Err(Refusal::Expired), "reject/expired") => "no",
            (Err(Refusal::NotYetValid), "reject/not-yet-valid") => "no",
            (Err(Refusal::Signature(_)), "reject/sha1-signature") => "no",
            (Err(Refusal::NotAdmitted(_)), "reject-from-loopback/source-address") => "no",
            (Err(Refusal::UnknownOption(_)), "reject/unknown-critical-option") => "no",
            (Err(Refusal::NoPrincipals), "reject/no-principals") => "no",
            (Err(Refusal::OtherPrincipals), "reject/principal") => "no",
            (Err(Refusal::Untrusted), "reject/ca-not-trusted") => "no",
            // Certificates of tokens' keys, signed by other CAs than the files have.
            (Err(Refusal::Untrusted), "not run") if certificate.verify(CA_SIGNATURE_ALGORITHMS).is_ok() => {
                "no"
            }
            (Err(Refusal::NoPrincipals), "accept/any-host-by-9.2,refused-by-newer-OpenSSH") => "no",
            (Ok(_), _) if name == "cert-host-wildcard-cert.pub" => "ok",
            (outcome, expected) => panic!("{name}: {expected}, but {outcome:?}"),
        };
        *seen.entry(word).or_insert(0) += 1;
    }
    assert_eq!(seen, BTreeMap::from([("ok", 17), ("no", 14)]));
}

#[test]
fn t88_what_ssh_and_sshd_said_to_each() {
    let mut seen = 0;
    for block in blocks("keys/certs-sshd.txt") {
        let name = block.text("FILE");
        let ours = outcome(&parse_certificate(&read(name)).unwrap()).is_ok();
        let theirs = block.text("RESULT") == "accept";
        let differs = matches!(name, "cert-host-no-principals-cert.pub" | "cert-host-wildcard-cert.pub");
        assert_eq!(ours, theirs != differs, "{name}");
        seen += 1;
    }
    assert_eq!(seen, 29);
}

/// Policy, refused: keys of DSA, and a CA that signs with SHA-1.
#[test]
fn t88_certificates_with_structural_faults() {
    let tally = Tally { valid: 5, invalid: 8, policy_refused: 3, ..Tally::default() };
    judge("certs-odd.txt", tally, |block| {
        let Ok(certificate) = Certificate::from_blob(&block.hex("BLOB")) else { return Verdict::Refused };
        match certificate.verify(CA_SIGNATURE_ALGORITHMS) {
            Ok(()) => Verdict::Accepted,
            Err(_) => Verdict::Refused,
        }
    });
}
