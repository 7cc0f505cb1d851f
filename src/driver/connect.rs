//! The way to a host: its addresses, and the first that answers.

use core::time::Duration;
use mio::net::TcpStream;
use std::io;
use std::net::{TcpStream as Blocking, ToSocketAddrs};

/// Connects to the first address of `host` that answers within `timeout`. Blocks: for a client that has nothing else to do
/// yet. Brackets around an IPv6 address are taken off.
///
/// # Errors
/// The name is not known, or the last address' error.
pub fn connect(host: &str, port: u16, timeout: Duration) -> io::Result<TcpStream> {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match Blocking::connect_timeout(&address, timeout) {
            Ok(stream) => {
                stream.set_nonblocking(true)?;
                return Ok(TcpStream::from_std(stream));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
