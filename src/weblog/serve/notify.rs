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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Rng, SystemRng};

    /// What a manager hears, a message each.
    fn heard(manager: &UnixDatagram) -> Vec<String> {
        manager.set_nonblocking(true).unwrap();
        let mut buffer = [0; 1024];
        let next =
            || manager.recv(&mut buffer).ok().map(|n| String::from_utf8_lossy(&buffer[..n]).into_owned());
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn a_manager_hears_all_at_a_path_and_at_an_abstract_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let mut random = [0; 8];
        SystemRng.fill(&mut random);
        let name = format!("strombus-notify-{:016x}", u64::from_ne_bytes(random));
        let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
        for (manager, address) in [
            (UnixDatagram::bind(&path).unwrap(), path.as_os_str().to_owned()),
            (UnixDatagram::bind_addr(&abstract_name).unwrap(), format!("@{name}").into()),
        ] {
            let notify = Notify::to(&address).unwrap();
            notify.ready();
            notify.status("12 viewers\nREADY=0");
            let before = clock_gettime(ClockId::Monotonic);
            notify.reloading();
            let after = clock_gettime(ClockId::Monotonic);
            notify.stopping();
            let heard = heard(&manager);
            assert_eq!((heard.len(), heard[0].as_str()), (4, "READY=1"), "{heard:?}");
            assert_eq!(heard[1], "STATUS=12 viewers READY=0", "a status is a line");
            let at: i64 = heard[2].strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse().unwrap();
            let microseconds = |time: rustix::time::Timespec| time.tv_sec * 1_000_000 + time.tv_nsec / 1000;
            assert!((microseconds(before)..=microseconds(after)).contains(&at), "{at}");
            assert_eq!(heard[3], "STOPPING=1");
        }
    }

    #[test]
    fn without_a_manager_nothing_is_said_and_one_that_does_not_listen_holds_up_nobody() {
        Notify::default().ready();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        assert!(Notify::to(path.as_os_str()).is_err(), "there is nobody");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notify = Notify::to(path.as_os_str()).unwrap();
        (0..10_000).for_each(|_| notify.status("busy")); // more than a socket takes
        let heard = heard(&manager);
        assert!(heard.len() < 10_000 && heard[0] == "STATUS=busy", "{}", heard.len());
        drop(manager);
        notify.stopping();
    }
}
