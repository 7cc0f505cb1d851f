//! The way to a host: its addresses, and the first that answers.

use crate::keys::ssh_config::AddressFamily;
use core::time::Duration;
use mio::net::TcpStream;
use rustix::net::sockopt::set_socket_keepalive;
use std::io;
use std::net::{SocketAddr, TcpStream as Blocking, ToSocketAddrs};
use std::thread;

/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// How a host is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// For each address.
    pub timeout: Duration,
    /// Which addresses.
    pub address_family: AddressFamily,
    /// How often all of them are tried, a second apart.
    pub attempts: u32,
    /// Whether the system asks a silent peer if it is there.
    pub keep_alive: bool,
}

impl Way {
    /// All addresses, once.
    #[must_use]
    pub const fn new(timeout: Duration) -> Self {
        Self { timeout, address_family: AddressFamily::Any, attempts: 1, keep_alive: true }
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
            match Blocking::connect_timeout(&address, way.timeout) {
                Ok(stream) => {
                    set_socket_keepalive(&stream, way.keep_alive)?;
                    stream.set_nonblocking(true)?;
                    return Ok(TcpStream::from_std(stream));
                }
                Err(error) => last = error,
            }
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::{Way, connect};
    use crate::keys::ssh_config::AddressFamily;
    use core::time::Duration;
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
}
