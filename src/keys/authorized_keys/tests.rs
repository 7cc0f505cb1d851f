use super::*;
use crate::crypto::sign::KeyError;
use crate::crypto::sign::certificate::tests::{
    self as certificates, Fields, options as certificate_options, strings,
};
use crate::keys::certificate::CA_SIGNATURE_ALGORITHMS;
use crate::keys::certificate::tests::from;
use crate::keys::public_key;
use crate::userauth::{Endpoint, Tunnel};

const ED25519: &str = include_str!("../../../vectors/keys/ed25519.pub");
const OTHER: &str = include_str!("../../../vectors/keys/ed25519-no-comment.pub");
const RSA: &str = include_str!("../../../vectors/keys/rsa-2048.pub");
const SMALL_RSA: &str = include_str!("../../../vectors/keys/rsa-1024.pub");
/// A type that is not implemented.
const UNKNOWN: &str = "ssh-unknown AAAAC3NzaC11bmtub3du x\n";

fn key() -> PublicKey {
    public_key::parse(ED25519.as_bytes()).unwrap().key
}

fn other() -> PublicKey {
    public_key::parse(OTHER.as_bytes()).unwrap().key
}

/// The only line of a file must be refused.
fn refusal(line: &str) -> Refusal {
    assert_eq!(plain_lookup(line.as_bytes(), &key()), None, "{line}");
    let mut entries = plain_entries(line.as_bytes());
    let refused = entries.next().unwrap().unwrap_err();
    assert!(entries.next().is_none());
    refused.reason
}

/// The line that authorises exactly `key` without a condition: the first, if there are several.
fn plain_lookup(file: &[u8], key: &PublicKey) -> Option<Entry> {
    plain_entries(file).filter_map(Result::ok).find(|entry| entry.key == *key)
}

#[test]
fn keys_authorise_by_their_line() {
    let file = format!("# team\r\n\n  \t{}\r\n\r\n{}\n", OTHER.trim_end(), ED25519.trim_end());
    let entry = plain_lookup(file.as_bytes(), &key()).unwrap();
    assert_eq!((entry.line, entry.comment.as_str()), (5, "ed25519@vectors"));
    assert_eq!(plain_lookup(file.as_bytes(), &other()).unwrap().line, 3);
    assert_eq!(plain_lookup(OTHER.as_bytes(), &key()), None);
    assert_eq!(plain_lookup(b"", &key()), None);
    assert_eq!(plain_lookup(format!("#{ED25519}").as_bytes(), &key()), None);
}

#[test]
fn keys_of_every_type_authorise_and_none_another() {
    let lines = public_key::tests::EVERY_TYPE;
    let file: String = lines.concat();
    for (line, number) in lines.iter().zip(1..) {
        let key = public_key::parse(line.as_bytes()).unwrap().key;
        assert_eq!(plain_lookup(file.as_bytes(), &key).unwrap().line, number);
        assert_eq!(plain_lookup(file.replace(line, "").as_bytes(), &key), None);
    }
}

#[test]
fn a_bad_line_does_not_hide_the_next() {
    let file = format!("garbage\n{UNKNOWN}command=\"x\" {OTHER}{ED25519}");
    let lines: Vec<_> = plain_entries(file.as_bytes()).map(|entry| entry.is_ok()).collect();
    assert_eq!(lines, [false, false, false, true]);
    assert_eq!(plain_lookup(file.as_bytes(), &key()).unwrap().line, 4);
    assert_eq!(plain_lookup(file.as_bytes(), &other()), None);
}

#[test]
fn t91_a_line_with_options_is_refused_and_says_which() {
    for (options, names) in [
        ("restrict", vec!["restrict"]),
        ("No-PTY", vec!["no-pty"]),
        ("no-pty,command=\"echo \\\"a, b\\\" c\",from=\"*.example.com\"", vec!["no-pty", "command", "from"]),
        ("no-touch-required", vec!["no-touch-required"]),
        ("cert-authority", vec!["cert-authority"]),
    ] {
        assert_eq!(refusal(&format!("{options} {ED25519}")), Refusal::NotObeyed(names), "{options}");
    }
    let refused = plain_entries(format!("\nrestrict,pty {ED25519}").as_bytes()).next().unwrap().unwrap_err();
    assert_eq!(refused.to_string(), "line 2: options are not supported here (restrict, pty)");
    // What gives nothing and takes nothing is nothing to obey.
    let whole = "restrict,pty,port-forwarding,agent-forwarding,x11-forwarding,user-rc,tunnel=\"any\"";
    assert!(plain_lookup(format!("{whole} {ED25519}").as_bytes(), &key()).is_some());
}

#[test]
fn broken_options_are_refused() {
    assert_eq!(refusal(&format!("command=\"x {ED25519}")), Refusal::UnclosedQuote);
    assert_eq!(refusal(&format!("command=\"x\\\" {ED25519}")), Refusal::UnclosedQuote);
    // Names that are none, or a second blank-separated list: no key stands where it must.
    for options in [",,", "no-pty,=x", "no-pty,"] {
        let line = format!("{options} {ED25519}");
        assert_eq!(refusal(&line), Refusal::UnknownOption(String::new()), "{line}");
    }
    assert!(matches!(refusal(&format!("no-pty from=\"a\" {ED25519}")), Refusal::Key(_)));
}

#[test]
fn unknown_types_and_damaged_keys_are_refused() {
    assert_eq!(refusal(UNKNOWN), Refusal::Key(KeyLineError::UnknownType("ssh-unknown".to_owned())));
    assert_eq!(refusal(SMALL_RSA), Refusal::Key(KeyLineError::BadKey(KeyError::UnsupportedSize)));
    assert_eq!(refusal("ssh-ed25519 AAAAnotbase64!!"), Refusal::Key(KeyLineError::NotBase64));
    assert_eq!(refusal("ssh-ed25519"), Refusal::Key(KeyLineError::Missing));
    assert_eq!(refusal(&ED25519.replace("ssh-ed25519", "ssh-rsa")), Refusal::Key(KeyLineError::TypeMismatch));
    // A blank that is none, and a key without its line's beginning.
    assert!(matches!(refusal(&ED25519.replace("ssh-ed25519 ", "ssh-ed25519\u{a0}")), Refusal::Key(_)));
    assert!(matches!(refusal(&format!("\u{feff}{ED25519}")), Refusal::Key(_)));
}

#[test]
fn t91_tail_of_a_long_line_is_not_a_line() {
    let filler = "x".repeat(LINE_MAX);
    for line in [
        format!("{filler} {ED25519}"),
        format!("{}{ED25519}", "x ".repeat(10 * 1024)),
        format!("ssh-ed25519 AAAA {}{ED25519}", "c".repeat(20 * 1024)),
        format!("command=\"{filler}\" {ED25519}"),
        format!("{} {}", ED25519.trim_end(), "c".repeat(LINE_MAX)),
    ] {
        assert_eq!(refusal(&line), Refusal::Key(KeyLineError::TooLong));
    }
    let fill = LINE_MAX - ED25519.trim_end().len() - 1;
    let longest = format!("{} {}", ED25519.trim_end(), "c".repeat(fill));
    assert!(plain_lookup(longest.as_bytes(), &key()).is_some());
    assert_eq!(refusal(&(longest + "c")), Refusal::Key(KeyLineError::TooLong));
}

#[test]
fn t40_no_cut_or_changed_byte_panics_or_authorises_another_line() {
    let file = format!("restrict,command=\"a \\\"b\\\"\" {OTHER}{RSA}");
    for cut in 0..file.len() {
        assert_eq!(plain_lookup(&file.as_bytes()[..cut], &other()), None, "{cut}");
    }
    for at in 0..file.len() {
        let mut changed = file.clone().into_bytes();
        changed[at] ^= 1;
        assert_eq!(plain_lookup(&changed, &key()), None);
        for _ in entries(&changed) {}
    }
}

fn parsed(options: &str) -> Result<Entry, Refusal> {
    let line = format!("{options} {ED25519}");
    let entry = entries(line.as_bytes()).next().unwrap();
    entry.map_err(|refused| refused.reason)
}

fn permissions(options: &str) -> Permissions {
    parsed(options).unwrap_or_else(|reason| panic!("{options}: {reason}")).permissions
}

#[test]
fn every_option_of_sshd_means_what_it_does_there() {
    let full = Permissions::FULL;
    let endpoint = |host: Option<&str>, port| Endpoint { host: host.map(str::to_owned), port };
    let open = |list: Vec<Endpoint>| Permissions { permit_open: vec![list], ..Permissions::FULL };
    let listen = |list: Vec<Endpoint>| Permissions { permit_listen: vec![list], ..Permissions::FULL };
    let set = |pairs: &[(&str, &str)]| Permissions {
        environment: pairs.iter().map(|(n, v)| ((*n).to_owned(), v.as_bytes().to_vec())).collect(),
        ..Permissions::FULL
    };
    let forced =
        |command: &str| Permissions { force_command: Some(command.as_bytes().to_vec()), ..Permissions::FULL };
    for (options, expected) in [
        ("pty", full.clone()),
        ("restrict", Permissions::BARE),
        ("RESTRICT,Pty", Permissions { pty: true, ..Permissions::BARE }),
        ("pty,restrict", Permissions::BARE),
        ("restrict,port-forwarding", Permissions { port_forwarding: true, ..Permissions::BARE }),
        ("restrict,agent-forwarding", Permissions { agent_forwarding: true, ..Permissions::BARE }),
        ("restrict,X11-forwarding", Permissions { x11_forwarding: true, ..Permissions::BARE }),
        ("restrict,user-rc", Permissions { user_rc: true, ..Permissions::BARE }),
        ("restrict,tunnel=\"3\"", Permissions { tunnel: Tunnel::Device(3), ..Permissions::BARE }),
        ("tunnel=\"Any\"", full.clone()),
        ("no-pty", Permissions { pty: false, ..full.clone() }),
        ("no-pty,pty", full.clone()),
        ("no-port-forwarding", Permissions { port_forwarding: false, ..full.clone() }),
        ("no-agent-forwarding", Permissions { agent_forwarding: false, ..full.clone() }),
        ("no-X11-forwarding", Permissions { x11_forwarding: false, ..full.clone() }),
        ("no-user-rc", Permissions { user_rc: false, ..full.clone() }),
        ("no-touch-required", Permissions { touch_required: false, ..full.clone() }),
        ("no-touch-required,touch-required", full.clone()),
        ("verify-required", Permissions { verify_required: true, ..full.clone() }),
        ("verify-required,no-verify-required", full.clone()),
        ("command=\"\"", forced("")),
        ("command=\"echo \\\"a, b\\\" \\c # d\"", forced("echo \"a, b\" \\c # d")),
        (
            "environment=\"A_1=x=y\",environment=\"B=\",environment=\"A_1=z\"",
            set(&[("A_1", "x=y"), ("B", "")]),
        ),
        ("permitopen=\"h.example:80\"", open(vec![endpoint(Some("h.example"), Some(80))])),
        (
            "permitopen=\"[::1]:*\",permitopen=\"*:65535\"",
            open(vec![endpoint(Some("::1"), None), endpoint(None, Some(65535))]),
        ),
        (
            "permitlisten=\"8080\",permitlisten=\"localhost:1\"",
            listen(vec![endpoint(None, Some(8080)), endpoint(Some("localhost"), Some(1))]),
        ),
        ("permitlisten=\"*\"", listen(vec![endpoint(None, None)])),
        ("expiry-time=\"20300101Z\"", Permissions { expires: Some(1_893_456_000), ..full.clone() }),
        ("expiry-time=\"202402291234Z\"", Permissions { expires: Some(1_709_210_040), ..full.clone() }),
        ("expiry-time=\"20240229123456z\"", Permissions { expires: Some(1_709_210_096), ..full.clone() }),
        ("expiry-time=\"19700101Z\"", Permissions { expires: Some(0), ..full.clone() }),
        (
            "expiry-time=\"20300101Z\",expiry-time=\"20240229123456Z\"",
            Permissions { expires: Some(1_709_210_096), ..full },
        ),
    ] {
        assert_eq!(permissions(options), expected, "{options}");
    }
    assert_eq!(permissions("from=\"10.0.0.0/8,*.example\"").sources.len(), 1);
    let ca = parsed("cert-authority,principals=\"ann,bob\"").unwrap();
    assert!(ca.cert_authority);
    assert_eq!(ca.principals, Some(vec![b"ann".to_vec(), b"bob".to_vec()]));
}

#[test]
fn t91_an_option_that_is_not_known_or_not_usable_refuses_its_line() {
    for unknown in
        ["future-option=\"1\"", "no-restrict", "no-cert-authority", "no-command=\"x\"", "no-pty=x,tunnel"]
    {
        let name = unknown.split('=').next().unwrap();
        let expected = if name == "no-pty" {
            Refusal::BadOption("no-pty")
        } else {
            Refusal::UnknownOption(name.to_owned())
        };
        assert_eq!(parsed(unknown), Err(expected), "{unknown}");
    }
    assert_eq!(parsed("\x1b[1m"), Err(Refusal::UnknownOption("\\x1b[1m".to_owned())));
    let long = "x".repeat(4000);
    assert_eq!(parsed(&long), Err(Refusal::UnknownOption("x".repeat(64))));
    for (name, values) in [
        ("pty", &["=\"\"", "=x"][..]),
        ("restrict", &["=\"1\""]),
        ("command", &["", "=", "=x", "=\"x\"y", "=y\"x\"", "=\"a\"\"b\"", "=\"a\0b\"", "=\"a\\\"\"x"]),
        ("from", &["=\"\"", "=\"a,\"", "=\"10.0.0.1/8\"", "=\"!\""]),
        ("principals", &["=\"\"", "=\"a,\"", "=\",a\"", "=\"a,,b\""]),
        ("environment", &["=\"\"", "=\"A\"", "=\"=x\"", "=\"A-B=x\"", "=\"\u{e9}=x\""]),
        (
            "permitopen",
            &[
                "=\"h\"",
                "=\"h:\"",
                "=\"h:0\"",
                "=\"h:65536\"",
                "=\"h:99999\"",
                "=\"h:+1\"",
                "=\":1\"",
                "=\"::1:1\"",
                "=\"[::1:1\"",
                "=\"[]:1\"",
                "=\"h:ssh\"",
                "=\"80\"",
                "=\"a b:1\"",
                "=\"h/1\"",
            ],
        ),
        ("permitlisten", &["=\"\"", "=\"0\"", "=\"65536\"", "=\"h\"", "=\"h:\""]),
        ("tunnel", &["=\"\"", "=\"-1\"", "=\"2147483646\"", "=\"x\""]),
        (
            "expiry-time",
            &[
                "=\"\"",
                "=\"Z\"",
                "=\"2030Z\"",
                "=\"20301301Z\"",
                "=\"20300001Z\"",
                "=\"20300100Z\"",
                "=\"20230229Z\"",
                "=\"19691231Z\"",
                "=\"2030010124Z\"",
                "=\"203001012400Z\"",
                "=\"20300101000060Z\"",
                "=\"+2030101Z\"",
                "=\"20300101ZZ\"",
            ],
        ),
    ] {
        for value in values {
            assert_eq!(parsed(&format!("{name}{value}")), Err(Refusal::BadOption(name)), "{name}{value}");
        }
    }
    for (name, twice) in [
        ("command", "command=\"a\",command=\"a\""),
        ("from", "from=\"*\",no-pty,from=\"*\""),
        ("principals", "cert-authority,principals=\"a\",principals=\"a\""),
    ] {
        assert_eq!(parsed(twice), Err(Refusal::Twice(name)));
    }
    assert_eq!(parsed("expiry-time=\"20300101\""), Err(Refusal::LocalTime));
    assert_eq!(parsed("principals=\"ann\""), Err(Refusal::PrincipalsWithoutCa));
}

#[test]
fn t91_a_line_holds_where_and_while_it_says() {
    let file = format!(
        "from=\"10.0.0.0/8\" {ED25519}expiry-time=\"19700101Z\",no-pty {ED25519}cert-authority {ED25519}no-user-rc {ED25519}restrict {OTHER}"
    );
    let login = from("192.0.2.1");
    let key = key();
    let outcomes: Vec<_> = authorise(file.as_bytes(), &key, &login)
        .map(|outcome| {
            outcome.map(|authorised| authorised.line()).map_err(|refused| (refused.line, refused.reason))
        })
        .collect();
    assert_eq!(
        outcomes,
        [
            Err((1, Refusal::NotAdmitted(NotAdmitted::Source))),
            Err((2, Refusal::NotAdmitted(NotAdmitted::Expired))),
            Ok(4)
        ]
    );
    let inside = from("10.0.0.1");
    let first = authorise(file.as_bytes(), &key, &inside).next().unwrap().unwrap();
    assert_eq!(first.line(), 1);
    assert!(!first.permissions().is_unrestricted());
    let restricted = authorise(file.as_bytes(), &other(), &login).next().unwrap().unwrap();
    assert_eq!(restricted.permissions(), &Permissions::BARE);
}

/// The outcome of one line for a certificate of [`certificates::ca`], as the user ann.
fn certified(line_options: &str, fields: &Fields) -> Vec<Result<Permissions, Refusal>> {
    let ca = public_key::write(&certificates::ca().public_key(), "").unwrap();
    let file = format!("{line_options} {ca}");
    let certificate = fields.certificate();
    let rules = CertificateRules {
        user_name: b"ann",
        revoked: &[],
        ca_signature_algorithms: CA_SIGNATURE_ALGORITHMS,
    };
    authorise_certificate(file.as_bytes(), &certificate, &rules, &from("192.0.2.1"))
        .map(|outcome| outcome.map(|granted| granted.permissions).map_err(|refused| refused.reason))
        .collect()
}

#[test]
fn t45_t88_a_line_and_a_certificate_grant_what_both_leave() {
    let fields = |critical: &[(&str, Option<&str>)], extensions: &[(&str, Option<&str>)]| Fields {
        critical_options: certificate_options(critical),
        extensions: certificate_options(extensions),
        ..Fields::new(1)
    };
    let granting = fields(&[], &[("permit-pty", None), ("permit-user-rc", None)]);
    let expected = Permissions { pty: true, ..Permissions::BARE };
    assert_eq!(certified("cert-authority,no-user-rc", &granting), [Ok(expected)]);
    // Nothing is said of a certificate by a line without the option, or of another key.
    assert_eq!(certified("no-pty", &granting), []);
    let bad = Fields { principals: strings(&[b"bob"]), ..granting.clone() };
    let others = Refusal::Certificate(certificate::Refusal::OtherPrincipals);
    assert_eq!(certified("cert-authority", &bad), [Err(others.clone())]);
    assert!(certified("cert-authority,principals=\"x,bob\"", &bad)[0].is_ok());
    assert_eq!(certified("cert-authority,principals=\"x,bob\"", &granting), [Err(others.clone())]);
    let comma = Fields { principals: strings(&[b"x,bob"]), ..granting.clone() };
    assert_eq!(certified("cert-authority,principals=\"x,bob\"", &comma), [Err(others)]);
    let nobody = Fields { principals: Vec::new(), ..granting.clone() };
    assert_eq!(
        certified("cert-authority,principals=\"ann\"", &nobody),
        [Err(Refusal::Certificate(certificate::Refusal::NoPrincipals))]
    );
    assert_eq!(
        certified("cert-authority,from=\"10.0.0.0/8\"", &granting),
        [Err(Refusal::NotAdmitted(NotAdmitted::Source))]
    );

    let forced = fields(&[("force-command", Some("date"))], &[]);
    for (line, expected) in [
        ("cert-authority", Ok(())),
        ("cert-authority,command=\"date\"", Ok(())),
        ("cert-authority,command=\"true\"", Err(Refusal::CommandsDiffer)),
    ] {
        let outcome = certified(line, &forced).remove(0);
        assert_eq!(outcome.map(|p| assert_eq!(p.force_command.as_deref(), Some(&b"date"[..]))), expected);
    }
    // Both must do without the touch.
    let untouched = fields(&[], &[("no-touch-required", None)]);
    assert!(!certified("cert-authority,no-touch-required", &untouched)[0].as_ref().unwrap().touch_required);
    assert!(certified("cert-authority", &untouched)[0].as_ref().unwrap().touch_required);
}
