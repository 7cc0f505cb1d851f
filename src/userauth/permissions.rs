//! What a login may do: [`Permissions`], one value from wherever it was allowed.
//!
//! Options of authorized_keys and of certificates become such a value; a login by several methods has what all of them
//! leave ([`Permissions::intersect`]). It stands here because it speaks of a user's rights: the files that grant them are
//! read in `keys`, and those who act on them are above. It does not know which user it is, nor whether anything was proved.

use core::fmt;

use super::source::{Origin, SourceList};
use crate::crypto::sign::sk::SkFlags;
use crate::wire::pattern_matches;

/// The circumstances of a login that rights may hang on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances<'a> {
    /// Seconds since 1970.
    pub now: u64,
    /// Where it comes from.
    pub origin: Origin<'a>,
}

/// What a login may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// A pseudo-terminal.
    pub pty: bool,
    /// Forwarding of ports, as far as [`permits_open`](Self::permits_open) and [`permits_listen`](Self::permits_listen) go.
    pub port_forwarding: bool,
    /// Forwarding of an agent.
    pub agent_forwarding: bool,
    /// Forwarding of X11.
    pub x11_forwarding: bool,
    /// The user's own commands at the start of a session (`~/.ssh/rc`).
    pub user_rc: bool,
    /// Tunnel devices.
    pub tunnel: Tunnel,
    /// Runs in place of shell, command and subsystem alike.
    pub force_command: Option<Vec<u8>>,
    /// Set for what is run, each name once.
    pub environment: Vec<(String, Vec<u8>)>,
    /// Where connections may be opened to: every list must have it. None at all is no limit.
    pub permit_open: Vec<Vec<Endpoint>>,
    /// Where may be listened, in the same way.
    pub permit_listen: Vec<Vec<Endpoint>>,
    /// Whether a token must say that it was touched.
    pub touch_required: bool,
    /// Whether a token must say that it knows its user.
    pub verify_required: bool,
    /// Where the login must come from: every list must match.
    pub sources: Vec<SourceList>,
    /// The last second in which one may log in by it.
    pub expires: Option<u64>,
}

impl Permissions {
    /// What a key without options has: all but signatures of tokens that nobody touched.
    pub const FULL: Self = Self::all(true);

    /// To run a command without a terminal, and nothing else: what a certificate without extensions has.
    pub const BARE: Self = Self::all(false);

    const fn all(granted: bool) -> Self {
        Self {
            pty: granted,
            port_forwarding: granted,
            agent_forwarding: granted,
            x11_forwarding: granted,
            user_rc: granted,
            tunnel: if granted { Tunnel::Any } else { Tunnel::None },
            force_command: None,
            environment: Vec::new(),
            permit_open: Vec::new(),
            permit_listen: Vec::new(),
            touch_required: true,
            verify_required: false,
            sources: Vec::new(),
            expires: None,
        }
    }

    /// Whether nothing is limited, asked for or widened: a caller that obeys no options may take such a key, and no other.
    #[must_use]
    pub fn is_unrestricted(&self) -> bool {
        *self == Self::FULL
    }

    /// Whether a login may be made by it now and from there. To be asked once all methods of a login are through, too.
    pub fn admits(&self, login: &Circumstances<'_>) -> Result<(), NotAdmitted> {
        if self.expires.is_some_and(|last| login.now > last) {
            return Err(NotAdmitted::Expired);
        }
        if !self.sources.iter().all(|list| list.matches(&login.origin)) {
            return Err(NotAdmitted::Source);
        }
        Ok(())
    }

    /// Whether what a token says of a signature is enough. Keys in files have nothing to say.
    #[must_use]
    pub fn permits_signature(&self, sk: Option<SkFlags>) -> bool {
        sk.is_none_or(|sk| {
            (sk.user_present() || !self.touch_required) && (sk.user_verified() || !self.verify_required)
        })
    }

    /// Whether a connection may be opened to this host, as it was asked for, and port.
    #[must_use]
    pub fn permits_open(&self, host: &str, port: u16) -> bool {
        self.port_forwarding && on_every_list(&self.permit_open, |endpoint| endpoint.is(host, port))
    }

    /// Whether may be listened at this address, as it was asked for, and port.
    #[must_use]
    pub fn permits_listen(&self, host: &str, port: u16) -> bool {
        self.port_forwarding && on_every_list(&self.permit_listen, |endpoint| endpoint.is_like(host, port))
    }

    /// What both leave. Two forced commands that differ leave nothing.
    pub fn intersect(&self, other: &Self) -> Result<Self, CommandsDiffer> {
        let force_command = match (&self.force_command, &other.force_command) {
            (Some(a), Some(b)) if a != b => return Err(CommandsDiffer),
            (a, b) => a.as_ref().or(b.as_ref()).cloned(),
        };
        let mut environment = self.environment.clone();
        for (name, value) in &other.environment {
            if !environment.iter().any(|(known, _)| known == name) {
                environment.push((name.clone(), value.clone()));
            }
        }
        Ok(Self {
            pty: self.pty && other.pty,
            port_forwarding: self.port_forwarding && other.port_forwarding,
            agent_forwarding: self.agent_forwarding && other.agent_forwarding,
            x11_forwarding: self.x11_forwarding && other.x11_forwarding,
            user_rc: self.user_rc && other.user_rc,
            tunnel: self.tunnel.intersect(other.tunnel),
            force_command,
            environment,
            permit_open: [&*self.permit_open, &*other.permit_open].concat(),
            permit_listen: [&*self.permit_listen, &*other.permit_listen].concat(),
            touch_required: self.touch_required || other.touch_required,
            verify_required: self.verify_required || other.verify_required,
            sources: [&*self.sources, &*other.sources].concat(),
            expires: self.expires.into_iter().chain(other.expires).min(),
        })
    }
}

fn on_every_list(lists: &[Vec<Endpoint>], is: impl Fn(&Endpoint) -> bool) -> bool {
    lists.iter().all(|list| list.iter().any(&is))
}

/// A host and a port that may be forwarded to or from. No name is looked up. Where may be listened, the host is a pattern with
/// `*` and `?`; to where may be connected, it is that host, as in sshd_config(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The host; `None` for any.
    pub host: Option<String>,
    /// The port; `None` for any.
    pub port: Option<u16>,
}

impl Endpoint {
    fn is(&self, host: &str, port: u16) -> bool {
        self.host.as_ref().is_none_or(|own| own == host) && self.has_port(port)
    }

    fn is_like(&self, host: &str, port: u16) -> bool {
        let matches = |own: &String| pattern_matches(own.as_bytes(), host.as_bytes(), u8::eq);
        self.host.as_ref().is_none_or(matches) && self.has_port(port)
    }

    fn has_port(&self, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
    }
}

/// Which tunnel devices may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tunnel {
    /// None.
    None,
    /// This one.
    Device(u32),
    /// Any.
    Any,
}

impl Tunnel {
    fn intersect(self, other: Self) -> Self {
        match (self, other) {
            (Self::Any, least) | (least, Self::Any) => least,
            (a, b) if a == b => a,
            _ => Self::None,
        }
    }
}

/// Why a login may not be made by an otherwise good credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAdmitted {
    /// Its time is over.
    Expired,
    /// It may not be used from there.
    Source,
}

impl fmt::Display for NotAdmitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "its expiry-time is over",
            Self::Source => "it may not be used from this address",
        })
    }
}

impl core::error::Error for NotAdmitted {}

/// Two credentials force two commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandsDiffer;

impl fmt::Display for CommandsDiffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("two forced commands that differ")
    }
}

impl core::error::Error for CommandsDiffer {}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(host: &str, port: u16) -> Endpoint {
        Endpoint { host: Some(host.to_owned()), port: Some(port) }
    }

    /// Each right of its own, so that one that is forgotten shows.
    fn one_less() -> Vec<Permissions> {
        let full = Permissions::FULL;
        vec![
            Permissions { pty: false, ..full.clone() },
            Permissions { port_forwarding: false, ..full.clone() },
            Permissions { agent_forwarding: false, ..full.clone() },
            Permissions { x11_forwarding: false, ..full.clone() },
            Permissions { user_rc: false, ..full.clone() },
            Permissions { tunnel: Tunnel::None, ..full.clone() },
            Permissions { tunnel: Tunnel::Device(3), ..full.clone() },
            Permissions { force_command: Some(b"date".to_vec()), ..full.clone() },
            Permissions { environment: vec![("A".to_owned(), b"1".to_vec())], ..full.clone() },
            Permissions { permit_open: vec![vec![endpoint("a", 1)]], ..full.clone() },
            Permissions { permit_listen: vec![vec![endpoint("a", 1)]], ..full.clone() },
            Permissions { verify_required: true, ..full.clone() },
            Permissions { sources: vec![SourceList::networks(b"10.0.0.0/8").unwrap()], ..full.clone() },
            Permissions { expires: Some(9), ..full },
        ]
    }

    #[test]
    fn t45_what_one_step_takes_away_no_other_gives_back() {
        assert!(Permissions::FULL.is_unrestricted());
        for less in one_less() {
            assert!(!less.is_unrestricted());
            assert_eq!(less.intersect(&Permissions::FULL), Ok(less.clone()));
            assert_eq!(Permissions::FULL.intersect(&less), Ok(less.clone()));
            let none = Permissions::BARE.intersect(&less).unwrap();
            assert_eq!((none.pty, none.port_forwarding, none.tunnel), (false, false, Tunnel::None));
            for other in one_less() {
                if let (Tunnel::Device(_), Tunnel::None) = (less.tunnel, other.tunnel) {
                    assert_eq!(less.intersect(&other).unwrap().tunnel, Tunnel::None);
                }
                let both = less.intersect(&other).unwrap();
                assert!(!both.is_unrestricted());
                assert_eq!(both.intersect(&less).unwrap().pty, both.pty);
            }
        }
        let untouched = Permissions { touch_required: false, ..Permissions::FULL };
        assert!(!untouched.is_unrestricted());
        assert_eq!(untouched.intersect(&Permissions::FULL), Ok(Permissions::FULL));
        assert!(!untouched.intersect(&untouched).unwrap().touch_required);
    }

    #[test]
    fn t45_two_forced_commands_must_be_one() {
        let forced = |command: &str| Permissions {
            force_command: Some(command.as_bytes().to_vec()),
            ..Permissions::FULL
        };
        assert_eq!(forced("a").intersect(&forced("a")), Ok(forced("a")));
        assert_eq!(forced("a").intersect(&forced("b")), Err(CommandsDiffer));
    }

    #[test]
    fn limits_of_both_hold() {
        let limited = |hosts: &[(&str, u16)], expires| Permissions {
            permit_open: vec![hosts.iter().map(|(host, port)| endpoint(host, *port)).collect()],
            expires: Some(expires),
            ..Permissions::FULL
        };
        let both = limited(&[("a", 1), ("b", 2)], 9).intersect(&limited(&[("b", 2), ("c", 3)], 5)).unwrap();
        assert!(both.permits_open("b", 2));
        assert!(!both.permits_open("a", 1) && !both.permits_open("c", 3) && !both.permits_open("b", 3));
        assert!(both.permits_listen("x", 1));
        assert_eq!(both.expires, Some(5));
        let off = Permissions { port_forwarding: false, ..both };
        assert!(!off.permits_open("b", 2) && !off.permits_listen("x", 1));
        let any = Endpoint { host: None, port: Some(2) };
        assert!(any.is("x", 2) && !any.is("x", 3));
        assert!(Endpoint { host: Some("x".to_owned()), port: None }.is("x", 3));

        let environment = |pairs: &[(&str, &str)]| Permissions {
            environment: pairs.iter().map(|(n, v)| ((*n).to_owned(), v.as_bytes().to_vec())).collect(),
            ..Permissions::FULL
        };
        let both = environment(&[("A", "1")]).intersect(&environment(&[("A", "2"), ("B", "3")])).unwrap();
        assert_eq!(both, environment(&[("A", "1"), ("B", "3")]));
    }

    #[test]
    fn a_host_to_listen_at_is_a_pattern_and_one_to_connect_to_is_not() {
        let own = vec![endpoint("192.0.2.*", 80), endpoint("h?st", 80)];
        let limited =
            Permissions { permit_open: vec![own.clone()], permit_listen: vec![own], ..Permissions::FULL };
        for host in ["192.0.2.7", "192.0.2.*", "host", "hast"] {
            assert!(limited.permits_listen(host, 80) && !limited.permits_listen(host, 81), "{host}");
        }
        for host in ["192.0.3.7", "hosts", "ghost", "HOST", "localhost", ""] {
            assert!(!limited.permits_listen(host, 80), "{host}");
        }
        assert!(limited.permits_open("h?st", 80) && !limited.permits_open("host", 80));
        assert!(!limited.permits_open("192.0.2.7", 80));
    }

    #[test]
    fn t45_a_login_is_admitted_where_and_while_all_say_so() {
        let at = |address: &str, now| Circumstances {
            now,
            origin: Origin { address: Some(address.parse().unwrap()), host_name: None },
        };
        let list = |list: &str| Permissions {
            sources: vec![SourceList::networks(list.as_bytes()).unwrap()],
            expires: Some(100),
            ..Permissions::FULL
        };
        let both = list("10.0.0.0/8").intersect(&list("10.1.0.0/16,192.0.2.0/24")).unwrap();
        assert_eq!(both.admits(&at("10.1.0.1", 100)), Ok(()));
        assert_eq!(both.admits(&at("10.1.0.1", 101)), Err(NotAdmitted::Expired));
        assert_eq!(both.admits(&at("10.2.0.1", 100)), Err(NotAdmitted::Source));
        assert_eq!(both.admits(&at("192.0.2.1", 100)), Err(NotAdmitted::Source));
        let nowhere = Circumstances { now: 0, origin: Origin { address: None, host_name: None } };
        assert_eq!(both.admits(&nowhere), Err(NotAdmitted::Source));
        assert_eq!(Permissions::FULL.admits(&nowhere), Ok(()));
    }
}
