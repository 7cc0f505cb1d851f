//! Values with a form of their own: forwardings and ways through other hosts.

use super::tokens::{Variable, expand_variables};
use super::value::{Arguments, ENTRIES_MAX, Field};
use core::fmt;

/// The longest path of a socket, and the longest name of a host (bytes).
const NAME_MAX: usize = 1024;

/// Where a forwarding listens or leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// A port, at an address if one is named; port 0 where the server shall choose.
    Tcp {
        /// An address, a name or `*`; empty is written as such.
        host: Option<String>,
        /// The port.
        port: u16,
    },
    /// A socket in the file system.
    Unix(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host: Some(host), port } => write!(f, "[{host}]:{port}"),
            Self::Tcp { host: None, port } => port.fmt(f),
            Self::Unix(path) => f.write_str(path),
        }
    }
}

/// A forwarding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Where connections are taken.
    pub listen: End,
    /// Where they go; none where each says so itself, by SOCKS.
    pub connect: Option<End>,
}

struct Part {
    text: String,
    is_path: bool,
}

/// Takes the part up to the next `:`, which `[…]` and a backslash protect.
fn part(text: &str) -> Option<(Part, Option<&str>)> {
    if let Some(inside) = text.strip_prefix('[') {
        let (inside, rest) = inside.split_once(']')?;
        let rest = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
        return Some((Part { text: inside.to_owned(), is_path: inside.contains('/') }, rest));
    }
    let mut part = Part { text: String::new(), is_path: false };
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            ':' => return Some((part, text.get(at + 1..))),
            '\\' => part.text.push(characters.next()?.1),
            _ => {
                part.is_path |= character == '/';
                part.text.push(character);
            }
        }
    }
    Some((part, None))
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
}

/// Cuts what stands behind ssh's `-L`, `-R` or `-D` into the two words that a line of the configuration has: where is listened,
/// and where that leads unless each connection says it.
#[must_use]
pub fn ends(text: &str) -> Option<(&str, Option<&str>)> {
    let (mut starts, mut paths, mut rest) = (Vec::new(), Vec::new(), Some(text));
    while let Some(now) = rest.filter(|now| !now.is_empty() || starts.is_empty()) {
        starts.push(text.len() - now.len());
        let (next, after) = part(now)?;
        paths.push(next.is_path);
        rest = after;
    }
    let first = match paths.as_slice() {
        [_] => return Some((text, None)),
        [true, _] | [true, _, _] | [false, true] | [false, false, false] => 1,
        [false, false] => return Some((text, None)),
        [false, _, true] | [_, _, _, _] => 2,
        _ => return None,
    };
    let (listen, connect) = text.split_at_checked(*starts.get(first)?)?;
    Some((listen.strip_suffix(':')?, Some(connect)))
}

impl Forward {
    /// Reads `[address:]port` or a path and, unless it is dynamic, `host:hostport` or a path. Only who asks a server may
    /// leave the port to it.
    pub(super) fn parse(text: &str, dynamic: bool, remote: bool, variable: Variable<'_>) -> Option<Self> {
        let text = expand_variables(text, variable).ok()?;
        let mut parts = Vec::new();
        let mut rest = Some(text.trim_start()).filter(|text| !text.is_empty());
        while let Some(text) = rest.filter(|_| parts.len() < 5) {
            let (next, after) = part(text)?;
            parts.push(next);
            rest = after.filter(|after| !after.is_empty());
        }
        let tcp = |host: Option<&Part>, of: &Part| {
            Some(End::Tcp { host: host.map(|host| host.text.clone()), port: port(&of.text)? })
        };
        let unix = |path: &Part| Some(End::Unix(path.text.clone()));
        let (listen, connect) = match parts.as_slice() {
            [a] if a.is_path => (unix(a)?, None),
            [a] => (tcp(None, a)?, None),
            [a, b] if a.is_path && b.is_path => (unix(a)?, Some(unix(b)?)),
            [a, b] if b.is_path => (tcp(None, a)?, Some(unix(b)?)),
            [a, b] => (tcp(Some(a), b)?, None),
            [a, b, c] if a.is_path => (unix(a)?, Some(tcp(Some(b), c)?)),
            [a, b, c] if c.is_path => (tcp(Some(a), b)?, Some(unix(c)?)),
            [a, b, c] => (tcp(None, a)?, Some(tcp(Some(b), c)?)),
            [a, b, c, d] => (tcp(Some(a), b)?, Some(tcp(Some(c), d)?)),
            _ => return None,
        };
        let sound = |end: &End, zero: bool| match end {
            End::Tcp { host, port } => {
                (zero || *port != 0) && host.as_ref().is_none_or(|host| host.len() < NAME_MAX)
            }
            End::Unix(path) => path.len() < NAME_MAX,
        };
        let fits = connect.is_none() == dynamic
            && sound(&listen, remote)
            && connect.as_ref().is_none_or(|connect| sound(connect, false));
        fits.then_some(Self { listen, connect })
    }

    /// The ends that are paths, to be expanded.
    pub(super) fn paths(&mut self) -> impl Iterator<Item = &mut String> {
        [Some(&mut self.listen), self.connect.as_mut()].into_iter().flatten().filter_map(|end| match end {
            End::Unix(path) => Some(path),
            End::Tcp { .. } => None,
        })
    }
}

/// A host on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jump {
    /// The name there, if it is another.
    pub user: Option<String>,
    /// The host.
    pub host: String,
    /// The port, if one is named.
    pub port: Option<u16>,
}

impl Jump {
    /// Reads `[user@]host[:port]` or `ssh://[user@]host[:port]`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (text, uri) = match text.strip_prefix("ssh://") {
            Some(rest) => (rest.strip_suffix('/').unwrap_or(rest), true),
            None => (text, false),
        };
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user).filter(|user| !user.is_empty()).map(Some)?, rest),
            None => (None, text),
        };
        let (host, port_text) = match rest.strip_prefix('[') {
            Some(inside) => {
                let (host, after) = inside.split_once(']')?;
                (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
            }
            None => match rest.split_once([':', '/']) {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let user = match user {
            Some(user) if uri => Some(decoded(user.split(';').next()?)?),
            other => other.map(str::to_owned),
        };
        let port = match port_text.filter(|text| !text.is_empty()) {
            Some(text) => Some(port(text).filter(|port| *port != 0)?),
            None => None,
        };
        (!host.is_empty()).then(|| Self { user, host: host.to_owned(), port })
    }
}

impl fmt::Display for Jump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        let is_address =
            self.host.contains(':') || self.host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if is_address {
            write!(f, "[{}]", self.host)?
        } else {
            f.write_str(&self.host)?
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Replaces `%XX`; a NUL is refused.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = u8::try_from(digit()? * 16 + digit()?).ok().filter(|value| *value != 0)?;
        bytes.push(value);
    }
    String::from_utf8(bytes).ok()
}

/// Forwardings of one kind.
macro_rules! forwards {
    ($(#[$doc:meta])* $name:ident, $dynamic:literal, $remote:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name(pub Vec<Forward>);

        impl Field for $name {
            fn adds(&self) -> bool {
        true
    }

            fn set(&mut self, arguments: &Arguments<'_>) -> Result<(), String> {
                add_forward(&mut self.0, arguments, $dynamic, $remote)
            }

            fn show(&self) -> Vec<String> {
                let socks = if $remote { " [socks]:0" } else { "" };
                let connect = |forward: &Forward| forward.connect.as_ref().map_or(socks.to_owned(), |end| format!(" {end}"));
                self.0.iter().map(|forward| format!("{}{}", forward.listen, connect(forward))).collect()
            }
        }
    };
}

forwards!(
    /// Listening here, connecting there.
    LocalForwards,
    false,
    false
);
forwards!(
    /// Listening there, connecting here.
    RemoteForwards,
    false,
    true
);
forwards!(
    /// Listening here for SOCKS.
    DynamicForwards,
    true,
    false
);

fn add_forward(
    forwards: &mut Vec<Forward>,
    arguments: &Arguments<'_>,
    dynamic: bool,
    remote: bool,
) -> Result<(), String> {
    let (text, dynamic) = match arguments.words.as_slice() {
        [listen] if dynamic || remote => (listen.clone(), true),
        [listen, connect] if !dynamic => (format!("{listen}:{connect}"), false),
        _ => return Err("[ADDRESS:]PORT and, if it is not dynamic, HOST:PORT".to_owned()),
    };
    let forward = Forward::parse(&text, dynamic, remote, arguments.variable)
        .ok_or_else(|| format!("{text}: no forwarding can be made of this"))?;
    if forwards.len() >= ENTRIES_MAX {
        return Err(format!("more than {ENTRIES_MAX} forwardings"));
    }
    if !forwards.contains(&forward) {
        forwards.push(forward);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Forward, Jump, ends};

    fn shown(text: &str, dynamic: bool, remote: bool) -> Option<String> {
        let variable = |name: &str| (name == "RUN").then(|| "/run".to_owned());
        let forward = Forward::parse(text, dynamic, remote, &variable)?;
        let connect = forward.connect.map_or(String::new(), |end| format!(" {end}"));
        Some(format!("{}{connect}", forward.listen))
    }

    #[test]
    fn forwardings_are_read_as_ssh_reads_them() {
        for (text, expected) in [
            ("80:host:8080", Some("80 [host]:8080")),
            ("[::1]:80:[::2]:81", Some("[::1]:80 [::2]:81")),
            (":80:h:1", Some("[]:80 [h]:1")),
            ("/a/b:h:1", Some("/a/b [h]:1")),
            ("80:/a", Some("80 /a")),
            ("${RUN}/s:/b\\:c", Some("/run/s /b:c")),
            ("h:80:/a", Some("[h]:80 /a")),
            ("0:h:1", None),
            ("80:h:0", None),
            ("80:h", None),
            ("80", None),
            ("a:h:1", None),
            ("65536:h:1", None),
            ("+80:h:1", None),
            ("[::1:80:h:1", None),
            ("1:2:3:4:5", None),
            ("${NO}:h:1", None),
            ("", None),
        ] {
            assert_eq!(shown(text, false, false).as_deref(), expected, "{text}");
        }
        assert_eq!(shown("0:h:1", false, true).as_deref(), Some("0 [h]:1"));
        assert_eq!(shown("*:1080", true, false).as_deref(), Some("[*]:1080"));
        assert_eq!(shown("1080", true, false).as_deref(), Some("1080"));
        assert_eq!(shown("80:h:1", true, false), None);
    }

    #[test]
    fn what_stands_behind_a_letter_is_cut_into_two_words() {
        for (text, expected) in [
            ("80:host:8080", Some(("80", Some("host:8080")))),
            ("a:80:host:8080", Some(("a:80", Some("host:8080")))),
            ("[::1]:80:[::2]:81", Some(("[::1]:80", Some("[::2]:81")))),
            (":80:h:1", Some((":80", Some("h:1")))),
            ("/a/b:h:1", Some(("/a/b", Some("h:1")))),
            ("/a:/b", Some(("/a", Some("/b")))),
            ("80:/a", Some(("80", Some("/a")))),
            ("/s\\:1:/b", Some(("/s\\:1", Some("/b")))),
            ("h:80:/a", Some(("h:80", Some("/a")))),
            ("1080", Some(("1080", None))),
            ("*:1080", Some(("*:1080", None))),
            ("[::1]:0", Some(("[::1]:0", None))),
            ("1:2:3:4:5", None),
            ("[::1:80", None),
        ] {
            assert_eq!(ends(text), expected, "{text}");
        }
    }

    #[test]
    fn jumps_are_hosts_or_uris() {
        let jump = |text: &str| Jump::parse(text).map(|jump| jump.to_string());
        for (text, expected) in [
            ("a", Some("a")),
            ("u@a:22", Some("u@a:22")),
            ("u@d@[::1]:22", Some("u@d@[::1]:22")),
            ("10.0.0.1", Some("[10.0.0.1]")),
            ("ssh://u%40d;x=y@a:2222/", Some("u@d@a:2222")),
            ("ssh://u%00@a", None),
            ("@a", None),
            ("", None),
            ("u@", None),
            ("a:0", None),
            ("a:b", None),
            ("[::1", None),
        ] {
            assert_eq!(jump(text).as_deref(), expected, "{text}");
        }
    }
}
