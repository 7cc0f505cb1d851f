use super::*;
use crate::crypto::sign::KeyError;
use crate::keys::public_key;

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
    assert_eq!(lookup(line.as_bytes(), &key()), None, "{line}");
    let mut entries = entries(line.as_bytes());
    let refused = entries.next().unwrap().unwrap_err();
    assert!(entries.next().is_none());
    refused.reason
}

#[test]
fn keys_authorise_by_their_line() {
    let file = format!("# team\r\n\n  \t{}\r\n\r\n{}\n", OTHER.trim_end(), ED25519.trim_end());
    let entry = lookup(file.as_bytes(), &key()).unwrap();
    assert_eq!((entry.line, entry.comment.as_str()), (5, "ed25519@vectors"));
    assert_eq!(lookup(file.as_bytes(), &other()).unwrap().line, 3);
    assert_eq!(lookup(OTHER.as_bytes(), &key()), None);
    assert_eq!(lookup(b"", &key()), None);
    assert_eq!(lookup(format!("#{ED25519}").as_bytes(), &key()), None);
}

#[test]
fn keys_of_every_type_authorise_and_none_another() {
    let lines = public_key::tests::EVERY_TYPE;
    let file: String = lines.concat();
    for (line, number) in lines.iter().zip(1..) {
        let key = public_key::parse(line.as_bytes()).unwrap().key;
        assert_eq!(lookup(file.as_bytes(), &key).unwrap().line, number);
        assert_eq!(lookup(file.replace(line, "").as_bytes(), &key), None);
    }
}

#[test]
fn a_bad_line_does_not_hide_the_next() {
    let file = format!("garbage\n{UNKNOWN}command=\"x\" {OTHER}{ED25519}");
    let lines: Vec<_> = entries(file.as_bytes()).map(|entry| entry.is_ok()).collect();
    assert_eq!(lines, [false, false, false, true]);
    assert_eq!(lookup(file.as_bytes(), &key()).unwrap().line, 4);
    assert_eq!(lookup(file.as_bytes(), &other()), None);
}

#[test]
fn t91_a_line_with_options_is_refused_and_says_which() {
    for (options, names) in [
        ("restrict", vec!["restrict"]),
        ("No-PTY", vec!["no-pty"]),
        ("no-pty,command=\"echo \\\"a, b\\\" c\",from=\"*.example.com\"", vec!["no-pty", "command", "from"]),
        ("future-option=\"1\"", vec!["future-option"]),
        ("permitopen=\"host:99999\"", vec!["permitopen"]),
        ("cert-authority", vec!["cert-authority"]),
    ] {
        let names = names.into_iter().map(str::to_owned).collect();
        assert_eq!(refusal(&format!("{options} {ED25519}")), Refusal::Options(names), "{options}");
    }
    let refused = entries(format!("\nrestrict,pty {ED25519}").as_bytes()).next().unwrap().unwrap_err();
    assert_eq!(refused.to_string(), "line 2: options are not supported yet (restrict, pty)");
}

#[test]
fn broken_options_are_refused() {
    assert_eq!(refusal(&format!("command=\"x {ED25519}")), Refusal::UnclosedQuote);
    assert_eq!(refusal(&format!("command=\"x\\\" {ED25519}")), Refusal::UnclosedQuote);
    // Names that are none, or a second blank-separated list: no key stands where it must.
    for line in
        [format!(",, {ED25519}"), format!("no-pty,=x {ED25519}"), format!("no-pty from=\"a\" {ED25519}")]
    {
        assert!(matches!(refusal(&line), Refusal::Key(_)), "{line}");
    }
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
    assert!(lookup(longest.as_bytes(), &key()).is_some());
    assert_eq!(refusal(&(longest + "c")), Refusal::Key(KeyLineError::TooLong));
}

#[test]
fn t40_no_cut_or_changed_byte_panics_or_authorises_another_line() {
    let file = format!("restrict,command=\"a \\\"b\\\"\" {OTHER}{RSA}");
    for cut in 0..file.len() {
        assert_eq!(lookup(&file.as_bytes()[..cut], &other()), None, "{cut}");
    }
    for at in 0..file.len() {
        let mut changed = file.clone().into_bytes();
        changed[at] ^= 1;
        assert_eq!(lookup(&changed, &key()), None);
        for _ in entries(&changed) {}
    }
}
