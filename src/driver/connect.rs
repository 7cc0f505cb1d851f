//! The way to a host: its addresses, and the first that answers.

use crate::keys::ssh_config::AddressFamily;
use core::time::Duration;
use mio::net::TcpStream;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_keepalive, socket_error};
use rustix::net::{AddressFamily as Family, SocketFlags, SocketType, bind, connect as start, socket_with};
use std::io;
use std::net::{SocketAddr, TcpStream as Blocking, ToSocketAddrs};
use std::thread;
use std::time::Instant;

/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// How a host is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// For each address.
    pub timeout: Duration,
    /// Which addresses.
    pub address_family: AddressFamily,
    /// How often all of them are tried, a second apart.
    pub attempts: u32,
    /// Whether the system asks a silent peer if it is there.
    pub keep_alive: bool,
    /// An address of this machine, or its name, to connect from.
    pub bind_address: Option<String>,
}

impl Way {
    /// All addresses, once.
    #[must_use]
    pub const fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            address_family: AddressFamily::Any,
            attempts: 1,
            keep_alive: true,
            bind_address: None,
        }
    }

    /// Where to connect from to an address of the family of `to`.
    fn own_address(&self, to: &SocketAddr) -> io::Result<Option<SocketAddr>> {
        let Some(name) = &self.bind_address else { return Ok(None) };
        let of_kind = |own: &SocketAddr| own.is_ipv4() == to.is_ipv4();
        match (&**name, 0).to_socket_addrs()?.find(of_kind) {
            Some(own) => Ok(Some(own)),
            None => Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "BindAddress is of another kind")),
        }
    }

    const fn takes(&self, address: &SocketAddr) -> bool {
        match self.address_family {
            AddressFamily::Any => true,
            AddressFamily::Inet => address.is_ipv4(),
            AddressFamily::Inet6 => address.is_ipv6(),
        }
    }
}

/// Connects to the first address of `host` that answers in time. Blocks: for a client that has nothing else to do yet.
/// Brackets around an IPv6 address are taken off.
///
/// # Errors
/// The name is not known, or the last address' error.
pub fn connect(host: &str, port: u16, way: &Way) -> io::Result<TcpStream> {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address of that kind");
    for attempt in 0..way.attempts.max(1) {
        if attempt > 0 {
            thread::park_timeout(PAUSE);
        }
        for address in (host, port).to_socket_addrs()?.filter(|address| way.takes(address)) {
            match way.own_address(&address).and_then(|own| connect_from(own, &address, way.timeout)) {
                Ok(stream) => {
                    set_socket_keepalive(&stream, way.keep_alive)?;
                    return Ok(TcpStream::from_std(stream));
                }
                Err(error) => last = error,
            }
        }
    }
    Err(last)
}

/// Connects to the first address of `host` that answers, all of them together within `timeout`. Blocks, as long as the system
/// looks up the name beyond that.
pub(super) fn connect_by(host: &str, port: u16, timeout: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let addresses = (host, port).to_socket_addrs()?;
    let until = Instant::now() + timeout;
    for address in addresses {
        match connect_from(None, &address, until.saturating_duration_since(Instant::now())) {
            Ok(stream) => return Ok(TcpStream::from_std(stream)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Connects to an address within `timeout`; the socket does not block afterwards.
fn connect_from(own: Option<SocketAddr>, to: &SocketAddr, timeout: Duration) -> io::Result<Blocking> {
    let family = if to.is_ipv4() { Family::INET } else { Family::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    if let Some(own) = own {
        bind(&socket, &own)?;
    }
    match start(&socket, to) {
        Ok(()) => return Ok(socket.into()),
        Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    let until = Instant::now() + timeout;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 });
        match poll(&mut [PollFd::new(&socket, PollFlags::OUT)], Some(&left)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    socket_error(&socket)??;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::net::TcpListener;

    #[test]
    fn only_addresses_of_the_family_are_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let way = |address_family| Way { address_family, ..Way::new(Duration::from_secs(5)) };
        let connects = |family| connect("127.0.0.1", port, &way(family)).is_ok();
        assert!(connects(AddressFamily::Any) && connects(AddressFamily::Inet));
        assert!(!connects(AddressFamily::Inet6));
    }
    #[test]
    fn the_address_here_is_the_one_that_is_asked_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let from = |address: &str| Way {
            bind_address: Some(address.to_owned()),
            ..Way::new(Duration::from_secs(5))
        };
        let stream = connect("127.0.0.1", port, &from("127.0.0.77")).unwrap();
        assert_eq!(listener.accept().unwrap().1.ip().to_string(), "127.0.0.77");
        assert_eq!(stream.local_addr().unwrap().ip().to_string(), "127.0.0.77");
        // Of another family, or no address of this machine's.
        for address in ["::1", "192.0.2.1"] {
            assert_eq!(
                connect("127.0.0.1", port, &from(address)).unwrap_err().kind(),
                ErrorKind::AddrNotAvailable
            );
        }
    }

    #[test]
    fn all_addresses_together_have_their_time() {
        let socket = rustix::net::socket(Family::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        rustix::net::listen(&socket, 0).unwrap();
        let listener = TcpListener::from(socket);
        let port = listener.local_addr().unwrap().port();
        let mut held = Vec::new();
        let silent = loop {
            match connect_by("127.0.0.1", port, Duration::from_millis(50)) {
                Ok(stream) if held.len() < 16 => held.push(stream),
                other => break other.map(drop).map_err(|error| error.kind()),
            }
        };
        assert_eq!(silent, Err(ErrorKind::TimedOut));
    }

    #[test]
    fn an_address_that_refuses_or_is_silent_is_told_so() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let way = Way::new(Duration::from_secs(5));
        assert_eq!(connect("127.0.0.1", port, &way).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        // A listener whose queue is full answers nobody.
        let socket = rustix::net::socket(Family::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        rustix::net::listen(&socket, 0).unwrap();
        let listener = TcpListener::from(socket);
        let port = listener.local_addr().unwrap().port();
        let way = Way::new(Duration::from_millis(50));
        let (mut held, mut last) = (Vec::new(), None);
        while last.is_none() && held.len() < 16 {
            match connect("127.0.0.1", port, &way) {
                Ok(stream) => held.push(stream),
                Err(error) => last = Some(error.kind()),
            }
        }
        assert_eq!(last, Some(ErrorKind::TimedOut));
    }
}
