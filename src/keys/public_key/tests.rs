use super::*;
use crate::crypto::sign::KeyError;

const ED25519: &[u8] = include_bytes!("../../../vectors/keys/ed25519.pub");
const NO_COMMENT: &[u8] = include_bytes!("../../../vectors/keys/ed25519-no-comment.pub");
const SMALL_RSA: &[u8] = include_bytes!("../../../vectors/keys/rsa-1024.pub");
const FINGERPRINTS: &str = include_str!("../../../vectors/keys/fingerprints.txt");

macro_rules! lines {
    ($($name:literal)*) => { [$(include_str!(concat!("../../../vectors/keys/", $name, ".pub"))),*] };
}

/// A line of every type and size, as ssh-keygen writes them.
pub(in crate::keys) const EVERY_TYPE: [&str; 15] = lines![
    "ed25519" "ca-user" "ca-host"
    "ecdsa-256" "ecdsa-384" "ecdsa-521" "ca-ecdsa"
    "rsa-2048" "rsa-3072" "rsa-4096" "ca-rsa"
    "sk-ed25519-1" "sk-ed25519-2" "sk-ecdsa-1" "sk-ecdsa-2"
];

/// The base64 of the key of `ed25519.pub`.
const BASE64: &str = "AAAAC3NzaC1lZDI1NTE5AAAAILTIHQCANLsS6XIIIB48vFhNwkx1DQ19bTPZUY8IMZA/";

#[test]
fn a_line_is_read_and_written_alike() {
    let line = parse(ED25519).unwrap();
    assert_eq!(line.comment, "ed25519@vectors");
    assert_eq!(write(&line.key, &line.comment).unwrap().as_bytes(), ED25519);
    for text in EVERY_TYPE {
        let line = parse(text.as_bytes()).unwrap();
        assert_eq!(write(&line.key, &line.comment).unwrap(), text);
        assert!(text.starts_with(&format!("{} ", line.key.key_type())));
    }
    let bare = parse(NO_COMMENT).unwrap();
    assert_eq!(bare.comment, "");
    assert_eq!(write(&bare.key, "").unwrap(), core::str::from_utf8(NO_COMMENT).unwrap().replace(" \n", "\n"));
}

#[test]
fn fingerprints_are_those_of_ssh_keygen() {
    let mut seen = 0;
    for block in FINGERPRINTS.split("\n\n").filter(|block| block.contains("\nTYPE = ")) {
        let value = |key: &str| {
            let line = block.lines().find(|line| line.split(" = ").next() == Some(key)).unwrap();
            line.split_once(" = ").unwrap().1
        };
        let hex = value("BLOB").as_bytes();
        let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
        let blob: Vec<u8> = hex.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
        seen += 1;
        let key = PublicKey::from_blob(&blob);
        if value("BITS") == "1024" {
            assert_eq!(key, Err(KeyError::UnsupportedSize));
            continue;
        }
        let key = key.unwrap();
        assert_eq!((key.fingerprint().as_str(), key.key_type()), (value("SHA256"), value("TYPE")));
        assert_eq!(key.blob(), blob);
    }
    assert_eq!(seen, 17);
}

#[test]
fn odd_lines_are_refused_by_their_fault() {
    let error = |text: &str| parse(text.as_bytes()).unwrap_err();
    assert_eq!(error(""), KeyLineError::Missing);
    assert_eq!(error("# only a comment\n"), KeyLineError::Missing);
    assert_eq!(error("ssh-ed25519"), KeyLineError::Missing);
    assert_eq!(error(&format!("ssh-ed25519 {BASE64}\nssh-ed25519 {BASE64}\n")), KeyLineError::MoreThanOne);
    assert_eq!(error(&format!("ssh-ed25519 {BASE64} {}", "c".repeat(LINE_MAX))), KeyLineError::TooLong);
    assert_eq!(error(&format!("\u{e9} {BASE64}")), KeyLineError::BadType);
    assert_eq!(error(&format!("{} {BASE64}", "t".repeat(65))), KeyLineError::BadType);
    assert_eq!(error("ssh-ed25519 AAAAnotbase64!!"), KeyLineError::NotBase64);
    assert_eq!(error("ssh-ed25519 \u{e9}"), KeyLineError::NotBase64);
    assert_eq!(error(&format!("ssh-ed25519\u{a0}{BASE64}")), KeyLineError::Missing);
    // string "ssh-ed25519" and 31 bytes.
    let short = BASE64.replace("AAAAIL", "AAAAHL");
    assert!(matches!(error(&format!("ssh-ed25519 {short}")), KeyLineError::BadKey(_)));
    assert_eq!(
        error("ssh-unknown AAAAC3NzaC11bmtub3du"),
        KeyLineError::UnknownType("ssh-unknown".to_owned())
    );
    assert_eq!(parse(SMALL_RSA).unwrap_err(), KeyLineError::BadKey(KeyError::UnsupportedSize));
    let text = parse(SMALL_RSA).unwrap_err().to_string();
    assert!(text.starts_with("RSA keys have 2048 to 8192 bits"), "{text}");
}

#[test]
fn t85_type_word_must_be_the_blobs_own() {
    for word in ["ssh-rsa", "ssh-ed25519x", "ssh-ed2551", "SSH-ED25519", "ssh-ed25519-cert-v01@openssh.com"] {
        assert_eq!(
            parse(format!("{word} {BASE64}").as_bytes()).unwrap_err(),
            KeyLineError::TypeMismatch,
            "{word}"
        );
    }
}

#[test]
fn a_comment_cannot_end_its_line() {
    let key = parse(ED25519).unwrap().key;
    assert_eq!(write(&key, "a\nssh-ed25519 AAAA"), Err(BadComment));
    assert_eq!(write(&key, "a\rb"), Err(BadComment));
    assert_eq!(write(&key, &"c".repeat(super::super::COMMENT_MAX + 1)), Err(BadComment));
    let longest = "c".repeat(super::super::COMMENT_MAX);
    assert_eq!(parse(write(&key, &longest).unwrap().as_bytes()).unwrap().comment, longest);
}

#[test]
fn t40_no_cut_or_changed_byte_of_a_line_panics_or_gives_another_key() {
    let key = parse(ED25519).unwrap().key;
    // Behind the key only the comment is left.
    let end = "ssh-ed25519 ".len() + BASE64.len();
    for cut in 0..ED25519.len() {
        assert_eq!(parse(&ED25519[..cut]).is_ok(), cut >= end, "{cut}");
    }
    for at in 0..ED25519.len() {
        for bit in 0..8 {
            let mut line = ED25519.to_vec();
            line[at] ^= 1 << bit;
            if let Ok(parsed) = parse(&line) {
                let in_body = (34..end).contains(&at);
                assert!(parsed.key == key || in_body, "byte {at} bit {bit}");
            }
        }
    }
}
