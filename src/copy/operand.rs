//! What stands on the command line: `[USER@]HOST:PATH`, `ssh://[USER@]HOST[:PORT]/PATH`, a local file, or `-`.
//!
//! It does not look at any file: a colon before any slash makes an argument remote, as for scp.

use core::fmt;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// A place to copy from or to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// On a host.
    Remote(Remote),
    /// Here.
    Local(PathBuf),
    /// `-`: standard output.
    Standard,
}

/// A place on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Where to log in.
    pub host: Host,
    /// From the login directory, if it is not absolute; empty for that directory itself.
    pub path: Vec<u8>,
}

/// A host, and who logs in there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The user, if one is named.
    pub user: Option<String>,
    /// The name or address, without brackets.
    pub name: String,
    /// The port of a URL.
    pub port: Option<u16>,
}

/// What is wrong with an operand; a text for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAnOperand(pub String);

impl fmt::Display for NotAnOperand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Operand {
    /// Reads an operand.
    ///
    /// # Errors
    /// It is remote, and its host, port or path cannot be one.
    pub fn parse(text: &OsStr) -> Result<Self, NotAnOperand> {
        let wrong = |why: &str| NotAnOperand(format!("{}: {why}", String::from_utf8_lossy(text.as_bytes())));
        let bytes = text.as_bytes();
        if bytes.is_empty() {
            return Err(NotAnOperand("an empty operand is no file".to_owned()));
        }
        if bytes == b"-" {
            return Ok(Self::Standard);
        }
        if let Some(rest) = bytes.strip_prefix(b"ssh://") {
            return url(rest).map(Self::Remote).map_err(wrong);
        }
        let Some((place, path)) = split(bytes) else { return Ok(Self::Local(PathBuf::from(text))) };
        let (user, name) = user_and_name(place);
        let host = host(user.map(<[u8]>::to_vec), name, None).map_err(wrong)?;
        // What a shell would have done with it: the login directory is where relative paths begin.
        let path = match path {
            b"~" | b"~/" => b"",
            path => path.strip_prefix(b"~/").unwrap_or(path),
        };
        Ok(Self::Remote(Remote { host, path: path.to_vec() }))
    }
}

/// At the colon that comes before any slash, but for those of an address in brackets.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = bytes.iter().position(|byte| *byte == b'/').unwrap_or(bytes.len());
    let address = bytes
        .iter()
        .position(|byte| *byte == b'[')
        .filter(|at| *at < slash && (*at == 0 || bytes.get(at.saturating_sub(1)) == Some(&b'@')));
    let from = match address {
        Some(open) => open + bytes.get(open..)?.windows(2).position(|two| two == b"]:")? + 1,
        None => 0,
    };
    let colon = from + bytes.get(from..)?.iter().position(|byte| *byte == b':')?;
    let is_remote = colon > 0 && (address.is_some() || colon < slash);
    is_remote.then(|| Some((bytes.get(..colon)?, bytes.get(colon + 1..)?)))?
}

fn user_and_name(place: &[u8]) -> (Option<&[u8]>, &[u8]) {
    match place.iter().rposition(|byte| *byte == b'@') {
        Some(at) => (place.get(..at), place.get(at + 1..).unwrap_or_default()),
        None => (None, place),
    }
}

fn host(user: Option<Vec<u8>>, name: &[u8], port: Option<u16>) -> Result<Host, &'static str> {
    let name = name.strip_prefix(b"[").and_then(|name| name.strip_suffix(b"]")).unwrap_or(name);
    let name = String::from_utf8(name.to_vec()).map_err(|_| "the host's name is not UTF-8")?;
    let user = user.map(String::from_utf8).transpose().map_err(|_| "the user's name is not UTF-8")?;
    if name.is_empty() || name.starts_with('-') {
        return Err("this is no host's name");
    }
    if user.as_deref().is_some_and(|user| user.is_empty() || user.starts_with('-')) {
        return Err("this is no user's name");
    }
    Ok(Host { user, name, port })
}

fn url(rest: &[u8]) -> Result<Remote, &'static str> {
    let slash = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
    let (place, path) = rest.split_at_checked(slash).unwrap_or((rest, b""));
    let (user, name_and_port) = user_and_name(place);
    let after_address = name_and_port.iter().rposition(|byte| *byte == b']').unwrap_or(0);
    let colon = name_and_port.iter().rposition(|byte| *byte == b':').filter(|at| *at >= after_address);
    let (name, port) = match colon {
        Some(at) => {
            let digits = name_and_port.get(at + 1..).unwrap_or_default();
            let port = core::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
            (name_and_port.get(..at).unwrap_or_default(), Some(port.ok_or("this is no port")?))
        }
        None => (name_and_port, None),
    };
    let user = user.map(decoded).transpose()?;
    let path = decoded(path)?;
    let path = match path.as_slice() {
        b"/~" | b"/~/" => Vec::new(),
        absolute => absolute.strip_prefix(b"/~/").unwrap_or(absolute).to_vec(),
    };
    Ok(Remote { host: host(user, name, port)?, path })
}

/// `%XX` read.
fn decoded(text: &[u8]) -> Result<Vec<u8>, &'static str> {
    const WRONG: &str = "behind % there must be two hexadecimal digits that are not 00";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(*digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(WRONG) };
        bytes.push(u8::try_from(high * 16 + low).ok().filter(|byte| *byte > 0).ok_or(WRONG)?);
    }
    Ok(bytes)
}

/// The last name of a path, if it is one: nothing for an empty path, `/`, and what ends in `.` or `..`.
#[must_use]
pub fn base_name(path: &[u8]) -> Option<&[u8]> {
    let end = path.iter().rposition(|byte| *byte != b'/')? + 1;
    let whole = path.get(..end)?;
    let name = whole.rsplit(|byte| *byte == b'/').next()?;
    (!matches!(name, b"." | b"..")).then_some(name)
}

/// A path and a name below it.
#[must_use]
pub fn joined(path: &[u8], name: &[u8]) -> Vec<u8> {
    match path {
        b"" => [b"./", name].concat(),
        path if path.ends_with(b"/") => [path, name].concat(),
        path => [path, b"/", name].concat(),
    }
}

/// Bytes as a name of the system's.
pub(super) fn os(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(user: Option<&str>, name: &str, port: Option<u16>, path: &[u8]) -> Operand {
        let host = Host { user: user.map(str::to_owned), name: name.to_owned(), port };
        Operand::Remote(Remote { host, path: path.to_vec() })
    }

    fn parse(text: &[u8]) -> Result<Operand, NotAnOperand> {
        Operand::parse(OsStr::from_bytes(text))
    }

    #[test]
    fn a_colon_before_any_slash_makes_an_operand_remote() {
        let local = |text: &str| Operand::Local(PathBuf::from(text));
        for (text, expected) in [
            (&b"h:a"[..], remote(None, "h", None, b"a")),
            (b"ann@h:/a b", remote(Some("ann"), "h", None, b"/a b")),
            (b"a@b@h:x", remote(Some("a@b"), "h", None, b"x")),
            (b"h:", remote(None, "h", None, b"")),
            (b"h:a:b", remote(None, "h", None, b"a:b")),
            (b"h:caf\xe9", remote(None, "h", None, b"caf\xe9")),
            (b"h:~/a", remote(None, "h", None, b"a")),
            (b"h:~", remote(None, "h", None, b"")),
            (b"h:~ann/a", remote(None, "h", None, b"~ann/a")),
            (b"[::1]:/x", remote(None, "::1", None, b"/x")),
            (b"ann@[fe80::1%eth0]:x", remote(Some("ann"), "fe80::1%eth0", None, b"x")),
            (b"a", local("a")),
            (b"./a:b", local("./a:b")),
            (b"/a:b", local("/a:b")),
            (b":a", local(":a")),
            (b"[x]", local("[x]")),
            (b"a[1]/b:c", local("a[1]/b:c")),
            (b"-", Operand::Standard),
            (b"./-", local("./-")),
        ] {
            assert_eq!(parse(text).as_ref(), Ok(&expected), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_url_has_a_port_and_an_absolute_path_or_one_below_the_tilde() {
        for (text, expected) in [
            (&b"ssh://h/var/x"[..], remote(None, "h", None, b"/var/x")),
            (b"ssh://ann@h:2222/x", remote(Some("ann"), "h", Some(2222), b"/x")),
            (b"ssh://[::1]:22/~/x", remote(None, "::1", Some(22), b"x")),
            (b"ssh://[::1]/x", remote(None, "::1", None, b"/x")),
            (b"ssh://a%40b@h/%20%c3%a9%", remote(None, "", None, b"")),
            (b"ssh://a%40b@h/%20%c3%a9:x", remote(Some("a@b"), "h", None, b"/ \xc3\xa9:x")),
            (b"ssh://h", remote(None, "h", None, b"")),
            (b"ssh://h/~", remote(None, "h", None, b"")),
            (b"ssh://h/", remote(None, "h", None, b"/")),
        ] {
            if text.ends_with(b"%") {
                assert!(parse(text).is_err());
            } else {
                assert_eq!(parse(text).as_ref(), Ok(&expected), "{}", text.escape_ascii());
            }
        }
    }

    #[test]
    fn what_cannot_be_a_host_a_port_or_a_path_is_refused() {
        let wrong = [
            &b""[..],
            b"-oProxyCommand=x:a",
            b"@h:a",
            b"-l@h:a",
            b"h\xff:a",
            b"ssh:///x",
            b"ssh://h:x/a",
            b"ssh://h:70000/a",
            b"ssh://h/%00",
            b"ssh://h/%4",
        ];
        for text in wrong {
            assert!(parse(text).is_err(), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_base_name_is_a_name() {
        for (path, expected) in [
            (&b"/a/b"[..], Some(&b"b"[..])),
            (b"b//", Some(b"b")),
            (b"..b", Some(b"..b")),
            (b"", None),
            (b"/", None),
            (b"a/..", None),
            (b".", None),
        ] {
            assert_eq!(base_name(path), expected, "{}", path.escape_ascii());
        }
        assert_eq!((joined(b"", b"-x"), joined(b"/", b"x")), (b"./-x".to_vec(), b"/x".to_vec()));
    }
}
