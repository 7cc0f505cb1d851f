//! What a service tells the manager that started it, as sd_notify(3): that it is ready, that it reads its configuration anew,
//! that it ends.
//!
//! It knows a socket of datagrams; it does not know what the server does.

use rustix::time::{ClockId, clock_gettime};
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The way to the manager, if there is one. A message that the manager does not take is lost, and waited for by nobody.
#[derive(Debug, Default)]
pub struct Notify(Option<UnixDatagram>);

impl Notify {
    /// The manager that `NOTIFY_SOCKET` names; none if it is not there.
    ///
    /// # Errors
    /// It is there and cannot be reached.
    pub fn from_environment() -> io::Result<Self> {
        std::env::var_os("NOTIFY_SOCKET").map_or_else(|| Ok(Self::default()), |address| Self::to(&address))
    }

    /// The manager at a path, or at a name in the abstract namespace, which begins with `@`.
    ///
    /// # Errors
    /// It cannot be reached.
    pub fn to(address: &OsStr) -> io::Result<Self> {
        let address = match address.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(address)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect_addr(&address)?;
        Ok(Self(Some(socket)))
    }

    /// It serves; also after [`reloading`](Self::reloading).
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// It reads its configuration anew; [`ready`](Self::ready) must follow, whether it was taken or not.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    /// It ends.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// What it does, in a line for whoever asks the manager.
    pub fn status(&self, text: &str) {
        self.send(&format!("STATUS={}", text.replace('\n', " ")));
    }

    fn send(&self, message: &str) {
        if let Some(socket) = &self.0 {
            let _nobody_waits = socket.send(message.as_bytes());
        }
    }
}
