//! RevokedHostKeys of ssh_config(5): files of keys that are no host's any more.
//!
//! A line that cannot be read might be the one that matters, so such a file revokes everything: it is an error, and whoever
//! asked refuses. The binary form of revocation lists is not read.

use crate::crypto::sign::PublicKey;
use crate::driver::files;
use crate::keys::public_key;
use std::path::Path;

/// How a binary revocation list begins (OpenSSH PROTOCOL.krl).
const KRL_MAGIC: &[u8] = b"SSHKRL\n\0";

/// The keys of all files; `none` is no file.
///
/// # Errors
/// A text for the user.
pub(super) fn read(paths: &[String]) -> Result<Vec<PublicKey>, String> {
    let mut keys = Vec::new();
    for path in paths.iter().filter(|path| !path.eq_ignore_ascii_case("none")) {
        let contents = files::read_text(Path::new(path)).map_err(|error| format!("{path}: {error}"))?;
        keys.extend(parse(&contents).map_err(|why| format!("{path}:{why}"))?);
    }
    Ok(keys)
}

fn parse(contents: &[u8]) -> Result<Vec<PublicKey>, String> {
    if contents.starts_with(KRL_MAGIC) {
        return Err(" a binary revocation list is not read here; list the keys, one a line".to_owned());
    }
    let mut keys = Vec::new();
    for (number, line) in (1..).zip(contents.split(|byte| *byte == b'\n')) {
        let text = line.trim_ascii();
        if !text.is_empty() && !text.starts_with(b"#") {
            let line = public_key::parse(text).map_err(|error| format!("{number}: {error}"))?;
            keys.push(line.key);
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = include_str!("../../../vectors/keys/ed25519.pub");

    #[test]
    fn keys_stand_one_a_line() {
        let file = format!("# old\n\n {KEY}\r\n{KEY}");
        let key = public_key::parse(KEY.as_bytes()).unwrap().key;
        assert_eq!(parse(file.as_bytes()), Ok(vec![key.clone(), key]));
        assert_eq!(parse(b""), Ok(Vec::new()));
    }

    #[test]
    fn what_cannot_be_read_revokes_all() {
        let why = parse(format!("{KEY}ssh-ed25519 AAAA\n").as_bytes()).unwrap_err();
        assert!(why.starts_with("2: "), "{why}");
        assert!(parse(b"SSHKRL\n\0\0\0\0\x01").unwrap_err().contains("binary"));
        assert!(read(&["/nowhere/at/all".to_owned()]).unwrap_err().contains("/nowhere/at/all"));
        assert_eq!(read(&["none".to_owned()]), Ok(Vec::new()));
    }
}
