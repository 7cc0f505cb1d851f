use super::*;
use crate::crypto::sign::certificate::tests::{Fields, ca, key, options, strings};
use crate::userauth::Origin;

const NOW: u64 = 150;

pub(in crate::keys) fn from(address: &str) -> Circumstances<'static> {
    Circumstances { now: NOW, origin: Origin { address: Some(address.parse().unwrap()), host_name: None } }
}

fn with_ca<T>(revoked: &[PublicKey], ask: impl FnOnce(&Trust<'_>) -> T) -> T {
    let authorities = [key(9).public_key(), ca().public_key()];
    let ca_signature_algorithms = CA_SIGNATURE_ALGORITHMS;
    ask(&Trust { authorities: &authorities, revoked, ca_signature_algorithms })
}

/// What becomes of a certificate for the user ann who comes from 192.0.2.1.
fn user(fields: &Fields) -> Result<Permissions, Refusal> {
    let certificate = fields.certificate();
    with_ca(&[], |trust| {
        check_user(&certificate, trust, &[b"ann"], &from("192.0.2.1"))
            .map(|checked| checked.permissions().clone())
    })
}

fn host(fields: &Fields, name: &str, now: u64) -> Result<(), Refusal> {
    let certificate = fields.certificate();
    with_ca(&[], |trust| check_host(&certificate, trust, name, now).map(|_| ()))
}

#[test]
fn t88_a_certificate_counts_when_all_of_it_does() {
    let good = Fields::new(1);
    assert_eq!(user(&good), Ok(Permissions::BARE));
    let certificate = good.certificate();
    let ask = |trust: &Trust<'_>, principals: &[&[u8]]| {
        check_user(&certificate, trust, principals, &from("192.0.2.1"))
            .map(|checked| checked.certificate().serial())
    };
    with_ca(&[], |trust| {
        assert_eq!(ask(trust, &[b"bob", b"ann"]), Ok(7));
        assert_eq!(ask(trust, &[]), Err(Refusal::OtherPrincipals));
        assert_eq!(ask(&Trust { authorities: &[], ..*trust }, &[b"ann"]), Err(Refusal::Untrusted));
        let nothing = Trust { ca_signature_algorithms: &[], ..*trust };
        assert_eq!(ask(&nothing, &[b"ann"]), Err(Refusal::Signature(CaSignature::NotAllowed)));
    });
    for revoked in [key(2).public_key(), ca().public_key()] {
        with_ca(&[key(8).public_key(), revoked], |trust| {
            assert_eq!(ask(trust, &[b"ann"]), Err(Refusal::Revoked));
        });
    }
    let blob = good.signed_by(&key(3), SignatureAlgorithm::Ed25519);
    let forged = Certificate::from_blob(&blob).unwrap();
    let refused = with_ca(&[], |trust| check_user(&forged, trust, &[b"ann"], &from("192.0.2.1")).err());
    assert_eq!(refused, Some(Refusal::Signature(CaSignature::Bad)));
}

#[test]
fn t88_roles_are_not_exchanged() {
    assert_eq!(user(&Fields { principals: strings(&[b"ann"]), ..Fields::new(2) }), Err(Refusal::Role));
    assert_eq!(
        host(&Fields { principals: strings(&[b"h.example"]), ..Fields::new(1) }, "h.example", NOW),
        Err(Refusal::Role)
    );
}

#[test]
fn t88_time_begins_with_its_first_second_and_ends_before_its_last() {
    for (valid, expected) in [
        ((NOW, NOW + 1), Ok(())),
        ((NOW + 1, NOW + 2), Err(Refusal::NotYetValid)),
        ((NOW - 1, NOW), Err(Refusal::Expired)),
        ((0, u64::MAX), Ok(())),
        ((u64::MAX, u64::MAX), Err(Refusal::NotYetValid)),
        ((0, 0), Err(Refusal::Expired)),
        ((200, 100), Err(Refusal::NotYetValid)),
    ] {
        assert_eq!(user(&Fields { valid, ..Fields::new(1) }).map(|_| ()), expected, "{valid:?}");
        assert_eq!(host(&Fields { valid, ..Fields::new(2) }, "h.example", NOW), expected, "{valid:?}");
    }
}

#[test]
fn t88_principals_of_users_are_exact_and_none_is_nobody() {
    for (principals, expected) in [
        (&[&b"bob"[..], b"ann"][..], Ok(())),
        (&[], Err(Refusal::NoPrincipals)),
        (&[b"Ann"], Err(Refusal::OtherPrincipals)),
        (&[b"an"], Err(Refusal::OtherPrincipals)),
        (&[b"ann\0"], Err(Refusal::OtherPrincipals)),
        (&[b"*"], Err(Refusal::OtherPrincipals)),
        (&[b"a?n"], Err(Refusal::OtherPrincipals)),
        (&[b"bob,ann"], Err(Refusal::OtherPrincipals)),
        (&[b""], Err(Refusal::OtherPrincipals)),
    ] {
        let fields = Fields { principals: strings(principals), ..Fields::new(1) };
        assert_eq!(user(&fields).map(|_| ()), expected, "{principals:?}");
    }
}

#[test]
fn t88_principals_of_hosts_are_patterns_and_none_is_nobody() {
    for (principal, name, expected) in [
        ("h.example", "h.example", true),
        ("*.example", "h.example", true),
        ("?.example", "h.example", true),
        ("*.example", "example", false),
        ("h.example", "H.example", false),
        ("a,h.example", "h.example", false),
        ("!x,*", "h.example", false),
        ("!x", "h.example", false),
        ("", "h.example", false),
    ] {
        let fields = Fields { principals: strings(&[principal.as_bytes()]), ..Fields::new(2) };
        let refused = (!expected).then_some(Refusal::OtherPrincipals);
        assert_eq!(host(&fields, name, NOW).err(), refused, "{principal}");
    }
    let nobody = Fields { principals: Vec::new(), ..Fields::new(2) };
    assert_eq!(host(&nobody, "h.example", NOW), Err(Refusal::NoPrincipals));
}

#[test]
fn t88_critical_options_are_obeyed_or_refuse() {
    let critical = |name: &str, value: Option<&str>| {
        user(&Fields { critical_options: options(&[(name, value)]), ..Fields::new(1) })
    };
    assert_eq!(critical("force-command", Some("date")).unwrap().force_command.as_deref(), Some(&b"date"[..]));
    assert_eq!(critical("force-command", Some("")).unwrap().force_command.as_deref(), Some(&b""[..]));
    assert_eq!(critical("force-command", None), Err(Refusal::BadOption("force-command")));
    assert!(critical("verify-required", None).unwrap().verify_required);
    assert_eq!(critical("verify-required", Some("")), Err(Refusal::BadOption("verify-required")));
    for unknown in ["Force-command", "force-command ", "permit-pty", "no-such-option@example.com"] {
        assert_eq!(critical(unknown, None), Err(Refusal::UnknownOption(unknown.to_owned())), "{unknown}");
    }
    let long = "\x1b".repeat(100);
    assert_eq!(critical(&long, None), Err(Refusal::UnknownOption("\\x1b".repeat(SHOWN_MAX))));
    // Nothing is defined for hosts.
    let fields = Fields { critical_options: options(&[("force-command", Some("x"))]), ..Fields::new(2) };
    assert_eq!(host(&fields, "h.example", NOW), Err(Refusal::UnknownOption("force-command".to_owned())));
}

#[test]
fn t88_source_address_binds_and_an_empty_one_is_for_nobody() {
    let only = |list: Option<&str>| {
        user(&Fields { critical_options: options(&[("source-address", list)]), ..Fields::new(1) })
    };
    assert_eq!(only(Some("192.0.2.0/24,::/0")).unwrap().sources.len(), 1);
    assert_eq!(only(Some("10.0.0.0/8")), Err(Refusal::NotAdmitted(NotAdmitted::Source)));
    for bad in [None, Some(""), Some("*"), Some("192.0.2.1/24"), Some("192.0.2.0/24,"), Some("!10.0.0.0/8")] {
        assert_eq!(only(bad), Err(Refusal::BadOption("source-address")), "{bad:?}");
    }
}

#[test]
fn t88_extensions_give_and_unknown_ones_give_nothing() {
    let grant = |name: &str, value| user(&Fields { extensions: options(&[(name, value)]), ..Fields::new(1) });
    let bare = Permissions::BARE;
    for (name, expected) in [
        ("permit-X11-forwarding", Permissions { x11_forwarding: true, ..bare.clone() }),
        ("permit-agent-forwarding", Permissions { agent_forwarding: true, ..bare.clone() }),
        (
            "permit-port-forwarding",
            Permissions { port_forwarding: true, tunnel: Tunnel::Any, ..bare.clone() },
        ),
        ("permit-pty", Permissions { pty: true, ..bare.clone() }),
        ("permit-user-rc", Permissions { user_rc: true, ..bare.clone() }),
        ("no-touch-required", Permissions { touch_required: false, ..bare.clone() }),
    ] {
        assert_eq!(grant(name, None), Ok(expected), "{name}");
        assert_eq!(grant(name, Some("")), Err(Refusal::BadOption(name)), "{name}");
    }
    // Critical options among the extensions are none.
    for name in ["permit-x11-forwarding", "note@example.com", "force-command", "verify-required"] {
        assert_eq!(grant(name, Some("x")), Ok(bare.clone()), "{name}");
    }
}

#[test]
fn a_file_has_one_line_with_one_certificate() {
    let line = include_str!("../../../vectors/keys/cert-user-plain-cert.pub");
    let certificate = parse(line.as_bytes()).unwrap();
    assert_eq!(certificate.key_id(), b"user-plain");
    let line_error = |text: &str| match parse(text.as_bytes()) {
        Err(CertificateLineError::Line(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(line_error(""), KeyLineError::Missing);
    assert_eq!(line_error(&line.repeat(2)), KeyLineError::MoreThanOne);
    assert_eq!(line_error(&"x".repeat(LINE_MAX + 1)), KeyLineError::TooLong);
    let renamed = line.replacen("ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519", 1);
    assert_eq!(line_error(&renamed), KeyLineError::TypeMismatch);
    let plain = include_str!("../../../vectors/keys/ed25519.pub");
    let error = CertificateLineError::Certificate(CertificateError::NotACertificate);
    assert_eq!(parse(plain.as_bytes()), Err(error));
}
