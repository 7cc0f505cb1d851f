use super::*;
use crate::crypto::SystemRng;
use crate::crypto::sign::certificate::tests::{self as certificates, Fields, strings};
use crate::keys::certificate::CA_SIGNATURE_ALGORITHMS;
use crate::keys::public_key;

const KNOWN_HOSTS: &[u8] = include_bytes!("../../../vectors/keys/known_hosts");
const REVOKED_ALL: &[u8] = include_bytes!("../../../vectors/keys/known_hosts.revoked-all");
const QUERIES: &str = include_str!("../../../vectors/keys/known_hosts.queries.txt");
const HASHES: &str = include_str!("../../../vectors/known-hosts-hash.txt");

/// The key of most lines of [`KNOWN_HOSTS`].
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILTIHQCANLsS6XIIIB48vFhNwkx1DQ19bTPZUY8IMZA/";
const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXM3jR8XIoiAVBpl49hZ1q937fOC1HAtHfeC4JmAI+8";
/// One of another type, and one of a type that is not implemented.
const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBF+uMQdbjpTbyCsdGKX7hGf0AJ+D/hJKWiiDGClcXRl21JGXO2C87Ep5GkiLQ6ulKxBY62VKsu9iPJm5Dh7xCH8=";
const UNKNOWN: &str = "ssh-unknown AAAAC3NzaC11bmtub3du";

fn key(line: &str) -> PublicKey {
    public_key::parse(line.as_bytes()).unwrap().key
}

fn host(name: &str) -> Host {
    Host::new(name, 22).unwrap()
}

/// The verdict of one file for the host `h.example` and [`KEY`], as a word and the line that decides.
fn judge(contents: &str) -> (&'static str, usize) {
    word(lookup(&[File { name: "f", contents: contents.as_bytes() }], &host("h.example"), &key(KEY)))
}

fn word(verdict: Result<Verdict<'_>, UnreadableLine>) -> (&'static str, usize) {
    match verdict {
        Ok(Verdict::Unknown) => ("unknown", 0),
        Ok(Verdict::OtherType(place)) => ("other type", place.line),
        Ok(Verdict::Changed(place)) => ("changed", place.line),
        Ok(Verdict::Known(place)) => ("known", place.line),
        Ok(Verdict::Revoked(place)) => ("revoked", place.line),
        Err(error) => {
            (if error.fault == LineFault::Marker { "bad marker" } else { "bad revocation" }, error.line)
        }
    }
}

fn value<'a>(block: &'a str, key: &str) -> Option<&'a str> {
    block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" =")).map(str::trim)
}

#[test]
fn t87_lines_match_as_ssh_keygen_finds_them() {
    let mut seen = 0;
    for block in QUERIES.split("\n\n").filter(|block| value(block, "QUERY").is_some()) {
        seen += 1;
        let query = value(block, "QUERY").unwrap();
        let Ok((name, port)) = split_port(query) else {
            assert_eq!(query, "");
            assert_eq!(Host::new(query, 22), Err(BadHost));
            continue;
        };
        let host = Host::new(name, port).unwrap();
        let contents = if value(block, "FILE").is_some() { REVOKED_ALL } else { KNOWN_HOSTS };
        let found: Vec<String> = lines(&[File { name: "f", contents }])
            .filter(|line| line.matches(&host) == Some(true) && line.marker != Marker::Unknown)
            .filter(|line| !matches!(KeyText::parse(line.key), Err(super::super::KeyLineError::Missing)))
            .map(|line| line.number.to_string())
            .collect();
        let expected = match query {
            // ssh looks for the name in lower case, ssh-keygen -F for hashed ones as it is typed.
            "HASHED.example.com" => "9",
            // Port 22 is never written.
            "[ported.example.com]:22" => "",
            // Lines of types that OpenSSH does not know tell us that the host is known.
            "unknown.example.com" => "22",
            _ => value(block, "LINES").unwrap(),
        };
        assert_eq!(found.join(","), expected, "{query}");
    }
    assert_eq!(seen, 44);
}

/// `[host]:port` or `host` as ssh-keygen -F takes it.
fn split_port(query: &str) -> Result<(&str, u16), ()> {
    match query.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        Some((name, port)) => Ok((name, port.parse().unwrap())),
        None if query.is_empty() => Err(()),
        None => Ok((query, 22)),
    }
}

#[test]
fn t87_hashed_names_are_those_of_ssh_keygen() {
    let mut seen = 0;
    for block in HASHES.split("\n\n").filter(|block| value(block, "FIELD").is_some()) {
        let (name, field) = (value(block, "HOST").unwrap(), value(block, "FIELD").unwrap().as_bytes());
        assert_eq!(hash_matches(field, name.as_bytes()), Some(true), "{name}");
        assert_eq!(hash_matches(field, format!("{name}x").as_bytes()), Some(false), "{name}");
        seen += 1;
    }
    assert_eq!(seen, 3);
}

#[test]
fn verdicts_of_the_recorded_file() {
    for (name, port, expected) in [
        ("plain.example.com", 22, ("known", 3)),
        ("PLAIN.example.com", 22, ("known", 3)),
        ("plain.example.com", 2222, ("unknown", 0)),
        ("multi", 22, ("other type", 5)),
        ("192.0.2.10", 22, ("other type", 5)),
        ("ported.example.com", 2222, ("known", 6)),
        ("ported.example.com", 2223, ("other type", 25)),
        ("2001:db8::1", 22022, ("other type", 7)),
        ("2001:db8::2", 22, ("known", 8)),
        ("hashed.example.com", 22, ("known", 9)),
        ("HASHED.example.com", 22, ("known", 9)),
        ("hashed.example.com", 2222, ("other type", 10)),
        ("a.wild.example.com", 22, ("known", 12)),
        ("bad.wild.example.com", 22, ("unknown", 0)),
        ("x.ca.example.com", 22, ("unknown", 0)),
        ("x.rev.example.com", 22, ("unknown", 0)),
        ("revoked.example.com", 22, ("revoked", 17)),
        ("upper.example.com", 22, ("known", 19)),
        ("broken.example.com", 22, ("unknown", 0)),
        ("broken2.example.com", 22, ("unknown", 0)),
        ("unknown.example.com", 22, ("other type", 22)),
        ("marker.example.com", 22, ("bad marker", 23)),
        ("spaced.example.com", 22, ("other type", 24)),
        ("wrongtype.example.com", 22, ("unknown", 0)),
        ("nowhere.example.org", 22, ("unknown", 0)),
    ] {
        let files = [File { name: "f", contents: KNOWN_HOSTS }];
        let host = Host::new(name, port).unwrap();
        assert_eq!(word(lookup(&files, &host, &key(KEY))), expected, "{name} {port}");
    }
    let host = host("plain.example.com");
    let files = [File { name: "f", contents: REVOKED_ALL }];
    assert_eq!(word(lookup(&files, &host, &key(KEY))), ("revoked", 1));
    assert_eq!(word(lookup(&files, &host, &key(OTHER))), ("changed", 2));
}

#[test]
fn t85_each_odd_line_has_its_verdict() {
    for (contents, expected) in [
        // Order does not matter: revoked, known, changed, other type.
        (format!("h.example {KEY}\n@revoked h.example {KEY}\n"), ("revoked", 2)),
        (format!("h.example {OTHER}\nh.example {KEY}\n"), ("known", 2)),
        (format!("h.example {KEY}\r\nh.example {KEY}\r\n"), ("known", 1)),
        (format!("h.example {OTHER}\nh.example {OTHER}\n"), ("changed", 1)),
        (format!("h.example {ECDSA}\nh.example {OTHER}\n"), ("changed", 2)),
        (format!("h.example {ECDSA}\nh.example {KEY}\n"), ("known", 2)),
        (format!("@revoked h.example {OTHER}\nh.example {KEY}\n"), ("known", 2)),
        (format!("@revoked other.example {KEY}\nh.example {KEY}\n"), ("known", 2)),
        // A CA speaks for certificates.
        (format!("@cert-authority h.example {KEY}\n"), ("unknown", 0)),
        (format!("@cert-authority * {OTHER}\nh.example {KEY}\n"), ("known", 2)),
        // Unknown, double and hidden markers.
        (format!("@revokd h.example {KEY}\nh.example {KEY}"), ("bad marker", 1)),
        (format!("@Revoked h.example {KEY}\nh.example {KEY}"), ("bad marker", 1)),
        (format!("@revoked @revoked h.example {KEY}\nh.example {KEY}"), ("bad marker", 1)),
        (format!("@revoked @cert-authority h.example {KEY}\nh.example {KEY}"), ("bad marker", 1)),
        (format!("@cert-authority @revoked h.example {KEY}\nh.example {KEY}"), ("bad marker", 1)),
        (format!("@revoked,h.example {KEY}\nh.example {KEY}"), ("bad marker", 1)),
        (format!("@ h.example {KEY}\nh.example {KEY}"), ("bad marker", 1)),
        (format!("@\nh.example {KEY}"), ("bad marker", 1)),
        (format!("@future other.example {KEY}\nh.example {KEY}"), ("known", 2)),
        (format!("\u{feff}@revoked h.example {KEY}\nh.example {KEY}"), ("bad marker", 1)),
        (format!("\u{a0}@revoked h.example {KEY}\nh.example {KEY}"), ("bad marker", 1)),
        (format!("\x0b@revoked h.example {KEY}\nh.example {KEY}"), ("bad marker", 1)),
        // Revocations that cannot be read.
        (format!("@revoked\nh.example {KEY}"), ("bad revocation", 1)),
        (format!("@revoked {KEY}\nh.example {KEY}"), ("bad revocation", 1)),
        (format!("@revoked h.example ssh-ed25519 AAAAnotbase64!!\nh.example {KEY}"), ("bad revocation", 1)),
        (format!("@revoked h.example ssh-rsa {}\nh.example {KEY}", &KEY[12..]), ("bad revocation", 1)),
        (format!("@revoked h.example {}\nh.example {KEY}", &KEY[..KEY.len() - 4]), ("bad revocation", 1)),
        (format!("@revoked |1|AAAA|AAAA {KEY}\nh.example {KEY}"), ("bad revocation", 1)),
        (format!("@revoked |2|x {KEY}\nh.example {KEY}"), ("bad revocation", 1)),
        (format!("@revoked * {UNKNOWN}\nh.example {KEY}"), ("known", 2)),
        // Blanks are space and tab; what else looks like one belongs to the word.
        (format!(" \t h.example \t {} \t\r\n", KEY.replace(' ', "\t")), ("known", 1)),
        (format!("h.example\u{a0}{KEY}\n"), ("unknown", 0)),
        (format!("h.example\x0b{KEY}\n"), ("unknown", 0)),
        (format!("h.example {}", KEY.replace(' ', "\u{2003}")), ("unknown", 0)),
        // Plain lines that cannot be read.
        (format!("h.example ssh-rsa {}\n", &KEY[12..]), ("unknown", 0)),
        (format!("h.example {}\n", &KEY[..KEY.len() - 4]), ("unknown", 0)),
        (format!("h.example {}\n", &KEY[12..]), ("unknown", 0)),
        (format!("h.example\0 {KEY}\n"), ("unknown", 0)),
        (format!("|1|AAAA|AAAA {KEY}\n"), ("unknown", 0)),
        (format!("# h.example {KEY}\n"), ("unknown", 0)),
        (format!("\r\n\n{KEY}\n"), ("unknown", 0)),
        // Lists.
        (format!("!h.example,* {KEY}\n"), ("unknown", 0)),
        (format!("*,!*.example {KEY}\n"), ("unknown", 0)),
        (format!("!other.example {KEY}\n"), ("unknown", 0)),
        (format!("a,*.EXAMPLE,,b {KEY} comment\n"), ("known", 1)),
        (format!("[h.example]:* {KEY}\n"), ("unknown", 0)),
    ] {
        assert_eq!(judge(&contents), expected, "{contents}");
    }
}

#[test]
fn keys_of_every_type_are_known_or_changed_or_of_another_type() {
    let lines = public_key::tests::EVERY_TYPE.map(|line| format!("h.example {line}"));
    for line in &lines {
        let shown = key(line.strip_prefix("h.example ").unwrap());
        for known in &lines {
            let files = [File { name: "f", contents: known.as_bytes() }];
            let same_type = known.split(' ').nth(1) == Some(shown.key_type());
            let expected = if line == known {
                "known"
            } else if same_type {
                "changed"
            } else {
                "other type"
            };
            let verdict = word(lookup(&files, &host("h.example"), &shown));
            assert_eq!(verdict, (expected, 1), "{known} {line}");
        }
    }
}

/// A key of a size that nobody is let in with still says that the host is known, and can be revoked.
#[test]
fn t86_a_key_of_a_size_that_is_not_taken_is_compared_all_the_same() {
    let small = include_str!("../../../vectors/keys/rsa-1024.pub");
    let rsa = key(include_str!("../../../vectors/keys/rsa-2048.pub"));
    let contents = format!("h.example {small}");
    let files = [File { name: "f", contents: contents.as_bytes() }];
    assert_eq!(word(lookup(&files, &host("h.example"), &rsa)), ("changed", 1));
    assert_eq!(judge(&contents), ("other type", 1));
    assert_eq!(judge(&format!("@revoked * {small}h.example {KEY}")), ("known", 2));
}

#[test]
fn t86_a_host_known_by_another_type_is_not_unknown() {
    for line in [ECDSA, UNKNOWN] {
        let contents = format!("h.example {line}\n");
        let files = [File { name: "f", contents: contents.as_bytes() }];
        let verdict = lookup(&files, &host("h.example"), &key(KEY)).unwrap();
        let key_type = line.split(' ').next().unwrap();
        assert_eq!(verdict, Verdict::OtherType(Place { file: "f", line: 1, key_type }));
        assert_eq!(key_types(&files, &host("h.example")), [key_type]);
    }
}

#[test]
fn t84_a_cut_file_never_makes_a_key_known() {
    let line = format!("h.example {KEY}");
    for cut in 0..line.len() {
        assert_ne!(judge(&line[..cut]).0, "known", "{cut}");
    }
    assert_eq!(judge(&line), ("known", 1));
    // A revocation that is cut anywhere behind its first byte still stops the key.
    let revocation = format!("@revoked h.example {KEY}");
    for cut in 1..=revocation.len() {
        let verdict = judge(&format!("{line}\n{}", &revocation[..cut])).0;
        assert!(["bad marker", "bad revocation", "revoked"].contains(&verdict), "{cut}: {verdict}");
    }
}

#[test]
fn t40_no_changed_byte_panics() {
    for at in 0..KNOWN_HOSTS.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = KNOWN_HOSTS.to_vec();
            changed[at] ^= change;
            let files = [File { name: "f", contents: &changed }];
            // A host of whose key no line speaks cannot become known by one byte.
            let verdict = lookup(&files, &host("nowhere.example.org"), &key(OTHER));
            assert!(!matches!(verdict, Ok(Verdict::Known(_))), "{at}");
        }
    }
}

#[test]
fn several_files_are_one_answer() {
    let (user, global) = (format!("h.example {KEY}\n"), format!("\n@revoked * {KEY}\n"));
    let files = [
        File { name: "user", contents: user.as_bytes() },
        File { name: "global", contents: global.as_bytes() },
        File { name: "missing", contents: b"" },
    ];
    let verdict = lookup(&files, &host("h.example"), &key(KEY)).unwrap();
    assert_eq!(verdict, Verdict::Revoked(Place { file: "global", line: 2, key_type: "ssh-ed25519" }));
    let bad = [files[0], File { name: "global", contents: b"# \n@revoked x\n" }];
    let error = lookup(&bad, &host("h.example"), &key(KEY)).unwrap_err();
    assert_eq!(error.to_string(), "global:2: the @revoked line cannot be read");
}

#[test]
fn known_types_come_once_in_the_order_of_the_lines() {
    let files = [File { name: "f", contents: KNOWN_HOSTS }];
    assert_eq!(key_types(&files, &host("plain.example.com")), ["ssh-ed25519", "ecdsa-sha2-nistp256"]);
    assert_eq!(key_types(&[files[0], files[0]], &host("multi")), ["ssh-rsa"]);
    for name in ["x.ca.example.com", "x.rev.example.com", "broken.example.com", "nowhere.example.org"] {
        assert!(key_types(&files, &host(name)).is_empty(), "{name}");
    }
}

#[test]
fn an_appended_line_is_found_again() {
    for (name, port) in [("H.example", 22), ("h.example", 2222), ("::1", 22), ("fe80::1%eth0", 22022)] {
        let host = Host::new(name, port).unwrap();
        for before in ["", "# no end", "x.example ssh-ed25519 AAAA\n"] {
            let file =
                before.to_owned() + &line_to_append(before.as_bytes(), &host, &key(KEY), NameForm::Plain);
            let files = [File { name: "f", contents: file.as_bytes() }];
            let line = if before.is_empty() { 1 } else { 2 };
            assert_eq!(word(lookup(&files, &host, &key(KEY))), ("known", line), "{name} {before}");
            assert_eq!(word(lookup(&files, &host, &key(OTHER))), ("changed", line));
        }
    }
    let host = Host::new("H.example", 2222).unwrap();
    assert_eq!(line_to_append(b"", &host, &key(KEY), NameForm::Plain), format!("[h.example]:2222 {KEY}\n"));
}

#[test]
fn t87_names_that_mean_something_else_are_refused() {
    let longest = "h".repeat(HOST_MAX);
    assert!(Host::new(&longest, 22).is_ok());
    for name in [
        "",
        "a b",
        "a\tb",
        "a\nb *",
        "a,b",
        "*",
        "h?",
        "!h",
        "|1|x",
        "#h",
        "@revoked",
        "[h]:22",
        "h]",
        "\u{e9}",
        "h\0",
        "h\x7f",
        &format!("{longest}h"),
    ] {
        assert_eq!(Host::new(name, 22), Err(BadHost), "{name}");
    }
}

/// The verdict of a file on a host's certificate in second 150; in the file `CA` and `KEY` stand for the CA's key and the one
/// in the certificate.
fn judge_certificate(
    contents: &str,
    fields: &Fields,
    name: &str,
    port: u16,
) -> Result<String, UnreadableLine> {
    let text = |key: PublicKey| public_key::write(&key, "").unwrap().trim_end().to_owned();
    let contents = contents
        .replace("CA", &text(certificates::ca().public_key()))
        .replace("KEY", &text(certificates::key(2).public_key()));
    let certificate = fields.certificate();
    let files = [File { name: "f", contents: contents.as_bytes() }];
    let host = Host::new(name, port).unwrap();
    lookup_certificate(&files, &host, &certificate, CA_SIGNATURE_ALGORITHMS, 150).map(|verdict| match verdict
    {
        CertificateVerdict::NoAuthority => "none".to_owned(),
        CertificateVerdict::Refused(place, refusal) => format!("refused {}: {refusal:?}", place.line),
        CertificateVerdict::Vouched(place, checked) => {
            assert_eq!(checked.certificate().key(), &certificates::key(2).public_key());
            format!("vouched {}", place.line)
        }
        CertificateVerdict::Revoked(place) => format!("revoked {}", place.line),
    })
}

#[test]
fn t85_t88_a_certificate_is_vouched_for_by_a_line_with_its_ca_alone() {
    let good = Fields::new(2);
    for (contents, expected) in [
        ("@cert-authority *.example CA\n", "vouched 1"),
        ("@cert-authority h.example CA comment\n", "vouched 1"),
        ("@cert-authority *,!h.example CA\n", "none"),
        ("@cert-authority *.test CA\n", "none"),
        ("@cert-authority * KEY\n", "none"),
        ("@cert-authority * x\n@cert-authority * CA", "vouched 2"),
        ("", "none"),
        // A plain line has a key, not a CA.
        ("h.example CA\n", "none"),
        ("h.example KEY\n", "none"),
        // Revoked: the CA, the key in it; anywhere, but for this host.
        ("@cert-authority * CA\n@revoked * CA\n", "revoked 2"),
        ("@revoked h.example KEY\n@cert-authority * CA\n", "revoked 1"),
        ("@revoked h.example CA\n", "revoked 1"),
        ("@revoked x.example CA\n@cert-authority * CA\n", "vouched 2"),
    ] {
        let verdict = judge_certificate(contents, &good, "H.example", 22);
        assert_eq!(verdict.as_deref(), Ok(expected), "{contents}");
    }
    for contents in ["@cert-authority * CA\n@revoked * x\n", "@cert-authority * CA\n@revokd * CA\n"] {
        assert!(judge_certificate(contents, &good, "h.example", 22).is_err(), "{contents}");
    }
    // The port is in the line and not in the principal.
    let line = "@cert-authority [h.example]:2222 CA\n";
    assert_eq!(judge_certificate(line, &good, "h.example", 2222).as_deref(), Ok("vouched 1"));
    assert_eq!(judge_certificate(line, &good, "h.example", 22).as_deref(), Ok("none"));
    for (fields, expected) in [
        (Fields { valid: (0, 150), ..good.clone() }, "refused 1: Expired"),
        (Fields { principals: strings(&[b"x.example"]), ..good.clone() }, "refused 1: OtherPrincipals"),
        (Fields { principals: Vec::new(), ..good }, "refused 1: NoPrincipals"),
        (Fields { principals: strings(&[b"h.example"]), ..Fields::new(1) }, "refused 1: Role"),
    ] {
        let verdict = judge_certificate("@cert-authority * CA\n", &fields, "h.example", 22);
        assert_eq!(verdict.as_deref(), Ok(expected));
    }
}

#[test]
fn certificates_are_asked_for_where_a_ca_is_known() {
    let files = [File { name: "f", contents: KNOWN_HOSTS }];
    for (name, expected) in [
        ("x.ca.example.com", true),
        ("yes.ca2.example.com", true),
        ("not.ca2.example.com", false),
        ("plain.example.com", false),
        ("x.rev.example.com", false),
    ] {
        assert_eq!(has_authority(&files, &host(name)), expected, "{name}");
    }
    let files = [File { name: "f", contents: b"@cert-authority * x\n" }];
    assert!(!has_authority(&files, &host("h.example")), "a line without key");
}

#[test]
fn a_hashed_line_is_found_again_and_hides_the_name() {
    let host = Host::new("H.example", 2222).unwrap();
    let append =
        |contents: &[u8]| line_to_append(contents, &host, &key(KEY), NameForm::Hashed(&mut SystemRng));
    let (one, two) = (append(b""), append(b"x"));
    assert!(one.starts_with("|1|") && two.starts_with("\n|1|") && one != two[1..]);
    assert!(!one.contains("example"));
    let files = [File { name: "f", contents: one.as_bytes() }];
    assert_eq!(word(lookup(&files, &host, &key(KEY))), ("known", 1));
    assert_eq!(word(lookup(&files, &self::host("h.example"), &key(KEY))), ("unknown", 0));
}

/// What the plan says for the host `h.example`, which has shown [`KEY`] and announced these keys.
fn plan(contents: &str, announced: &[&str]) -> Result<(Vec<String>, usize), NoUpdate> {
    let announced: Vec<_> = announced.iter().map(|line| key(line)).collect();
    let files = [File { name: "f", contents: contents.as_bytes() }];
    let update = plan_update(&files, &host("h.example"), &key(KEY), &announced)?;
    let line = |key: &&PublicKey| public_key::write(key, "").unwrap().trim_end().to_owned();
    Ok((update.to_prove.iter().map(line).collect(), update.to_remove))
}

#[test]
fn t76_keys_come_and_go_only_on_plain_lines_of_this_host_alone() {
    let both = &[KEY, ECDSA][..];
    let known = format!("h.example {KEY}\n");
    let hashed = line_to_append(b"", &host("h.example"), &key(KEY), NameForm::Hashed(&mut SystemRng));
    let new = vec![ECDSA.to_owned()];
    for (contents, announced, expected) in [
        (known.clone(), &[KEY][..], Ok((vec![], 0))),
        (known.clone(), both, Ok((new.clone(), 0))),
        (hashed, both, Ok((new.clone(), 0))),
        (format!("{known}h.example {ECDSA}\n"), both, Ok((vec![], 0))),
        (format!("{known}H.EXAMPLE {OTHER}\n"), both, Ok((new.clone(), 1))),
        (format!("{known}h.example {OTHER}\n"), &[KEY], Ok((vec![], 1))),
        // Lines that cannot be read, or of types that are not known, stay.
        (format!("{known}h.example x\nh.example {UNKNOWN}\n"), &[KEY], Ok((vec![], 0))),
        (known.clone(), &[ECDSA], Err(NoUpdate::NotAnnounced)),
        (String::new(), both, Err(NoUpdate::NotKnown)),
        (format!("h.example {ECDSA}\n"), both, Err(NoUpdate::NotKnown)),
        (format!("[h.example]:2222 {KEY}\n"), both, Err(NoUpdate::NotKnown)),
        (format!("*.example {KEY}\n"), both, Err(NoUpdate::Pattern)),
        (format!("{known}*.example {OTHER}\n"), both, Err(NoUpdate::Pattern)),
        (format!("{known}h.example,192.0.2.1 {OTHER}\n"), both, Err(NoUpdate::Pattern)),
        (format!("{known}@revoked * {OTHER}\n"), both, Err(NoUpdate::Marker)),
        (format!("{known}@cert-authority *.example {OTHER}\n"), both, Err(NoUpdate::Marker)),
        (format!("{known}@future h.example {OTHER}\n"), both, Err(NoUpdate::Marker)),
        (format!("{known}@revoked |1|x {OTHER}\n"), both, Err(NoUpdate::Marker)),
        (format!("{known}@revoked x.example {OTHER}\n"), both, Ok((new.clone(), 0))),
        (format!("{known}x.example {ECDSA}\n"), both, Err(NoUpdate::OtherName)),
        (format!("{known}h.example {OTHER}\nx.example {OTHER}\n"), &[KEY], Err(NoUpdate::OtherName)),
        (format!("{known}x.example {KEY}\n"), both, Ok((new.clone(), 0))),
    ] {
        assert_eq!(plan(&contents, announced), expected, "{contents}");
    }
}

#[test]
fn t76_no_more_than_32_keys_may_be_announced() {
    let known = format!("h.example {KEY}\n");
    let files = [File { name: "f", contents: known.as_bytes() }];
    let mut announced = vec![key(KEY)];
    announced.extend((0..31).map(|seed| certificates::key(seed).public_key()));
    assert_eq!(announced.len(), ANNOUNCED_MAX);
    let plan = |announced: &[PublicKey]| {
        plan_update(&files, &host("h.example"), &key(KEY), announced).map(|update| update.to_prove.len())
    };
    assert_eq!(plan(&announced), Ok(31));
    announced.push(certificates::key(99).public_key());
    assert_eq!(plan(&announced), Err(NoUpdate::TooMany));
}

#[test]
fn t76_what_is_not_changed_stays_byte_for_byte() {
    let announced = [key(KEY), key(ECDSA)];
    let update = |contents: &str, add: &[PublicKey]| {
        updated(contents.as_bytes(), &host("h.example"), &announced, add, NameForm::Plain)
            .map(|contents| String::from_utf8(contents).unwrap())
    };
    let new = format!("h.example {ECDSA}\n");
    let kept = format!(
        "# \u{e9}\r\n\n \th.example {KEY} c\r\nx.example {OTHER}\n@revoked h.example {OTHER}\nh.example x\n\
         *.example {OTHER}\nh.example,b {OTHER}\n@cert-authority h.example {OTHER}\n[h.example]:2222 {OTHER}\n"
    );
    assert_eq!(update(&kept, &[]), None);
    assert_eq!(update(&kept, &announced[1..]), Some(format!("{kept}{new}")));
    let old = format!(" h.example {OTHER} old\r\n");
    assert_eq!(update(&format!("{old}{kept}{old}"), &[]), Some(kept.clone()));
    let hashed = line_to_append(b"", &host("h.example"), &key(OTHER), NameForm::Hashed(&mut SystemRng));
    assert_eq!(update(&format!("{kept}{hashed}"), &announced[1..]), Some(format!("{kept}{new}")));
    assert_eq!(update("# no end", &announced[1..]), Some(format!("# no end\n{new}")));
    assert_eq!(update("", &announced[1..]), Some(new));
    assert_eq!(update(old.trim_end(), &[]), Some(String::new()));

    // Planned and done, the host is known by what it announced, and there is nothing left to do.
    let before = format!("h.example {KEY}\nh.example {OTHER}\n");
    let files = [File { name: "f", contents: before.as_bytes() }];
    let plan = plan_update(&files, &host("h.example"), &key(KEY), &announced).unwrap();
    let form = NameForm::Hashed(&mut SystemRng);
    let after = updated(before.as_bytes(), &host("h.example"), &announced, plan.to_prove, form).unwrap();
    let files = [File { name: "f", contents: &after }];
    let done = plan_update(&files, &host("h.example"), &key(KEY), &announced);
    assert_eq!(done, Ok(Update { to_prove: vec![], to_remove: 0 }));
    assert_eq!(word(lookup(&files, &host("h.example"), &key(OTHER))).0, "changed");
}

#[test]
fn a_key_may_be_known_by_other_names() {
    let hashed = NameForm::Hashed(&mut SystemRng).write(&host("other.example"));
    let own_hashed = NameForm::Hashed(&mut SystemRng).write(&host("h.example"));
    let contents = format!(
        "h.example {KEY}\na,b {KEY} comment\nc {OTHER}\n{hashed} {KEY}\n{own_hashed} {KEY}\n*.example {KEY}\n\
         @revoked d {KEY}\n@cert-authority e {KEY}\nf {KEY}x\n[h.example]:2222 {KEY}\n"
    );
    let files = [File { name: "f", contents: contents.as_bytes() }];
    let names: Vec<_> = other_names(&files, &host("h.example"), &key(KEY))
        .into_iter()
        .map(|(place, name)| (place.line, name.map(|name| core::str::from_utf8(name).unwrap())))
        .collect();
    assert_eq!(names, [(2, Some("a,b")), (4, None), (10, Some("[h.example]:2222"))]);
}
