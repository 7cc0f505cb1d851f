//! Where is listened for connections to be forwarded: addresses as ssh(1) and sshd(8) mean them, and Unix sockets.
//!
//! What becomes of a connection is not known here.

use super::super::peer::Stream;
use super::super::sftp::Held;
use core::fmt;
use mio::event::Source;
use mio::net::{TcpListener, UnixListener};
use rustix::fs::{Mode, fchmod};
use rustix::net::sockopt::{set_ipv6_v6only, set_socket_reuseaddr};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};
use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};

/// Connections that the system holds until they are accepted.
const BACKLOG: i32 = 128;

/// `GatewayPorts` of ssh_config(5) and sshd_config(5): whether other hosts may connect to what is forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GatewayPorts {
    /// Only this one.
    #[default]
    No,
    /// A client's: where no address is named. A server's: whatever the client asks for.
    Yes,
    /// What the client asks for; a server's.
    ClientSpecified,
}

/// Which addresses are listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// All.
    All,
    /// The loopback ones, of both families.
    Loopback,
    /// Those of a name, or one.
    Named(String),
}

impl Address {
    /// Where a client listens that was told this, or nothing.
    #[must_use]
    pub fn at_client(told: Option<&str>, gateway_ports: bool) -> Self {
        match told {
            None if gateway_ports => Self::All,
            Some("" | "*") => Self::All,
            None | Some("localhost") => Self::Loopback,
            Some(named) => Self::Named(named.to_owned()),
        }
    }

    /// Where a server listens that a client asks for this.
    #[must_use]
    pub fn at_server(asked: &str, gateway_ports: GatewayPorts) -> Self {
        match (gateway_ports, asked) {
            (GatewayPorts::Yes, _) | (GatewayPorts::ClientSpecified, "" | "*") => Self::All,
            // Of one family, which a client may prefer.
            (_, "127.0.0.1" | "::1") => Self::Named(asked.to_owned()),
            (GatewayPorts::No, _) | (GatewayPorts::ClientSpecified, "localhost") => Self::Loopback,
            (GatewayPorts::ClientSpecified, named) => Self::Named(named.to_owned()),
        }
    }

    /// Whether a name must be looked up first, which may take its time.
    #[must_use]
    pub fn is_name(&self) -> bool {
        matches!(self, Self::Named(name) if name.parse::<std::net::IpAddr>().is_err())
    }

    fn addresses(&self, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(match self {
            Self::All => {
                vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()]
            }
            Self::Loopback => vec![(Ipv6Addr::LOCALHOST, port).into(), (Ipv4Addr::LOCALHOST, port).into()],
            Self::Named(name) => (&**name, port).to_socket_addrs()?.collect(),
        })
    }
}

/// The addresses of a name that are listened on: its first.
const ADDRESSES_MAX: usize = 8;

/// So often the system chooses a port, until it is free at each address.
const CHOICES_MAX: usize = 16;

/// A socket that is listened on.
pub struct Listener {
    socket: Socket,
    /// What there is to be removed, if it is still this.
    path: Option<(PathBuf, (u64, u64))>,
    /// Its descriptor's place, once it is counted.
    pub(super) held: Option<Held>,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Socket::Tcp(socket) => socket.fmt(f),
            Socket::Unix(socket) => socket.fmt(f),
        }
    }
}

impl Listener {
    /// Listens on a port of all these addresses, as far as they are there; the port is the same at each, also if it is 0 and so
    /// the system's choice: then it is nobody else's at any of them. Blocks while a name is looked up.
    ///
    /// # Errors
    /// The system's for the last address, if there is none on which it can; `AddrInUse`, if each port that the system chose for
    /// one address is another's at the next.
    pub fn tcp(address: &Address, port: u16) -> io::Result<(Vec<Self>, u16)> {
        let addresses = address.addresses(port)?;
        if port == 0 { Self::on_a_free_port(&addresses) } else { Self::on(&addresses, port) }
    }

    fn on_a_free_port(addresses: &[SocketAddr]) -> io::Result<(Vec<Self>, u16)> {
        for _ in 1..CHOICES_MAX {
            match Self::on(addresses, 0) {
                // Whoever connects to the port at that address would reach another's program.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                done => return done,
            }
        }
        Self::on(addresses, 0)
    }

    fn on(addresses: &[SocketAddr], port: u16) -> io::Result<(Vec<Self>, u16)> {
        let (mut listeners, mut bound) = (Vec::new(), port);
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses.iter().take(ADDRESSES_MAX) {
            match listen_at(SocketAddr::new(address.ip(), bound)) {
                Ok(socket) => {
                    bound = socket.local_addr()?.port();
                    let socket = Socket::Tcp(TcpListener::from_std(socket));
                    listeners.push(Self { socket, path: None, held: None });
                }
                Err(error) if port == 0 && error.kind() == io::ErrorKind::AddrInUse => return Err(error),
                Err(error) => last = error,
            }
        }
        if listeners.is_empty() { Err(last) } else { Ok((listeners, bound)) }
    }

    /// Listens on a Unix socket whose mode lacks the bits of `mask`; it is removed at the end. What is there already is in the
    /// way, unless `unlink`.
    ///
    /// # Errors
    /// The system's.
    pub fn unix(path: &Path, mask: u32, unlink: bool) -> io::Result<Self> {
        if unlink
            && let Err(error) = fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        // Of the socket, before it has a name: nobody gets in between. The process' own mask takes its part, too.
        let mode = 0o777 & !mask;
        fchmod(&socket, Mode::from_raw_mode(mode))?;
        bind(&socket, &rustix::net::SocketAddrUnix::new(path)?)?;
        let there = fs::symlink_metadata(path)?;
        let own = Self {
            path: Some((path.to_owned(), (there.dev(), there.ino()))),
            socket: Socket::Unix(UnixListener::from_std(StdUnixListener::from(socket))),
            held: None,
        };
        if there.mode() & 0o777 != mode {
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        let Socket::Unix(socket) = &own.socket else { return Ok(own) };
        listen(socket, BACKLOG)?;
        Ok(own)
    }

    pub(super) const fn source(&mut self) -> &mut dyn Source {
        match &mut self.socket {
            Socket::Tcp(socket) => socket,
            Socket::Unix(socket) => socket,
        }
    }

    /// A connection that waits, and from where.
    pub(super) fn accept(&self) -> io::Result<(Stream, (String, u16))> {
        match &self.socket {
            Socket::Tcp(socket) => {
                let (stream, from) = socket.accept()?;
                let _unsupported = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream), (from.ip().to_string(), from.port())))
            }
            Socket::Unix(socket) => Ok((Stream::Unix(socket.accept()?.0), (String::new(), 0))),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some((path, own)) = &self.path
            && fs::symlink_metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == *own)
        {
            let _gone = fs::remove_file(path);
        }
    }
}

/// Listens at one address and does not wait. That of all addresses of one family is not that of the other.
///
/// # Errors
/// The system's.
pub fn listen_at(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        set_ipv6_v6only(&socket, true)?; // the other family has a socket of its own
    }
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_ssh_and_sshd() {
        let named = |name: &str| Address::Named(name.to_owned());
        for (told, gateway_ports, expected) in [
            (None, false, Address::Loopback),
            (None, true, Address::All),
            (Some("*"), false, Address::All),
            (Some(""), false, Address::All),
            (Some("localhost"), true, Address::Loopback),
            (Some("::1"), true, named("::1")),
            (Some("name"), false, named("name")),
        ] {
            assert_eq!(Address::at_client(told, gateway_ports), expected, "{told:?}");
        }
        use GatewayPorts::{ClientSpecified, No, Yes};
        for (asked, gateway_ports, expected) in [
            ("", No, Address::Loopback),
            ("localhost", No, Address::Loopback),
            ("0.0.0.0", No, Address::Loopback),
            ("192.0.2.1", No, Address::Loopback),
            ("::1", No, named("::1")),
            ("127.0.0.1", No, named("127.0.0.1")),
            ("localhost", Yes, Address::All),
            ("127.0.0.1", Yes, Address::All),
            ("", ClientSpecified, Address::All),
            ("*", ClientSpecified, Address::All),
            ("localhost", ClientSpecified, Address::Loopback),
            ("127.0.0.2", ClientSpecified, named("127.0.0.2")),
        ] {
            assert_eq!(Address::at_server(asked, gateway_ports), expected, "{asked} {gateway_ports:?}");
        }
        assert!(named("localhost.example").is_name() && !named("::1").is_name() && !Address::All.is_name());
    }

    #[test]
    fn both_loopback_addresses_have_the_same_port() {
        let (listeners, port) = Listener::tcp(&Address::Loopback, 0).unwrap();
        assert!(port != 0 && !listeners.is_empty());
        for address in ["127.0.0.1", "::1"].iter().take(listeners.len()) {
            let taken = Listener::tcp(&Address::Named((*address).to_owned()), port);
            assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AddrInUse, "{address}");
        }
    }

    #[test]
    fn a_port_that_the_system_chose_is_nobody_elses_at_any_address() {
        let [first, second] = [1, 2].map(|n| SocketAddr::from(([127, 0, 0, n], 0)));
        // So many that of so many choices one is taken there.
        let others: Vec<_> = (0..256).map(|_| listen_at(second).unwrap()).collect();
        for _ in 0..500 {
            assert_eq!(Listener::on_a_free_port(&[first, second]).unwrap().0.len(), 2);
        }
        let port = others[0].local_addr().unwrap().port();
        let half =
            Listener::on(&[SocketAddr::new(first.ip(), port), SocketAddr::new(second.ip(), port)], port);
        assert!(half.is_ok_and(|(half, _)| half.len() == 1), "what was asked for is held where it can be");
        // The same address twice: whichever port it is, it is taken.
        assert_eq!(Listener::on_a_free_port(&[first; 2]).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn of_a_name_with_many_addresses_only_the_first_are_listened_on() {
        let many: Vec<SocketAddr> =
            (1..=ADDRESSES_MAX + 5).map(|n| ([127, 0, 0, n as u8], 0).into()).collect();
        let (listeners, port) = Listener::on(&many, 0).unwrap();
        assert_eq!(listeners.len(), ADDRESSES_MAX);
        for (n, address) in many.iter().enumerate() {
            let is_heard = std::net::TcpStream::connect((address.ip(), port)).is_ok();
            assert_eq!(is_heard, n < ADDRESSES_MAX, "{address}");
        }
        assert!(Listener::on(&[], 0).is_err(), "a name without an address");
    }

    #[test]
    fn a_socket_is_its_users_alone_and_gone_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        for (mask, mode) in [(0o177, 0o600), (0o111, 0o666), (0, 0o777), (0o777, 0)] {
            let listener = Listener::unix(&path, mask, false).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode, "{mask:o}");
            let in_the_way = Listener::unix(&path, mask, false);
            assert_eq!(in_the_way.unwrap_err().kind(), io::ErrorKind::AddrInUse);
            drop(listener);
            assert!(!path.exists());
        }
        let first = Listener::unix(&path, 0o177, false).unwrap();
        let second = Listener::unix(&path, 0o177, true).unwrap();
        drop(first);
        assert!(path.exists(), "it is the second one's");
        drop(second);
        assert!(!path.exists());
    }
}
