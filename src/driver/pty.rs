//! A pseudo-terminal with a command on it, for the loop.
//!
//! The command is the leader of a session of its own, and the terminal controls it. Who closes the [`Pty`] hangs the
//! terminal up: the system sends SIGHUP to the leader and to what runs in the foreground. It does not know why the command
//! runs, nor what the bytes mean.

use super::terminal::modes;
use crate::connection::{TerminalModes, WindowSize};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token, event};
use pty_process::blocking;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::pty::ptsname;
use rustix::termios::{OptionalActions, tcgetattr, tcsendbreak, tcsetattr};
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::{Child, Command};

/// The master of a pseudo-terminal. Reading and writing do not block; reading ends when nobody has the terminal open.
pub struct Pty {
    master: blocking::Pty,
    /// Until something runs on it.
    slave: Option<blocking::Pts>,
    path: PathBuf,
}

impl Pty {
    /// Opens one of this size, within [bounds](WindowSize::clamped), and with these modes.
    ///
    /// # Errors
    /// The system's: it has no more.
    pub fn open(size: WindowSize, modes: TerminalModes<'_>) -> io::Result<Self> {
        let (master, slave) = blocking::open().map_err(of_system)?;
        fcntl_setfl(&master, fcntl_getfl(&master)? | OFlags::NONBLOCK)?;
        let path = OsString::from_vec(ptsname(&master, Vec::new())?.into_bytes()).into();
        let mut termios = tcgetattr(&slave)?;
        modes::apply(modes, &mut termios);
        tcsetattr(&slave, OptionalActions::Now, &termios)?;
        let pty = Self { master, slave: Some(slave), path };
        pty.resize(size)?;
        Ok(pty)
    }

    /// The terminal's name.
    #[must_use]
    pub const fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Starts a command on it, once.
    ///
    /// # Errors
    /// The system's, or something was started before.
    pub fn spawn(&mut self, command: Command) -> io::Result<Child> {
        let slave = self.slave.take().ok_or(io::ErrorKind::AlreadyExists)?;
        blocking::Command::from(command).spawn(slave).map_err(of_system)
    }

    /// Gives it another size, within [bounds](WindowSize::clamped); what runs in the foreground is told by SIGWINCH.
    ///
    /// # Errors
    /// The system's.
    pub fn resize(&self, size: WindowSize) -> io::Result<()> {
        let size = size.clamped();
        let [rows, columns, width, height] = [size.rows, size.columns, size.width_px, size.height_px]
            .map(|n| u16::try_from(n).unwrap_or(u16::MAX));
        let size = pty_process::Size::new_with_pixel(rows, columns, width, height);
        self.master.resize(size).map_err(of_system)
    }

    /// Sends a BREAK, which a terminal without a wire takes and forgets.
    ///
    /// # Errors
    /// The system's.
    pub fn send_break(&self) -> io::Result<()> {
        Ok(tcsendbreak(&self.master)?)
    }
}

/// What is still read of a terminal whose command has ended, if something else goes on to write there (bytes). The system
/// holds less.
pub const REST_MAX: usize = 64 * 1024;

/// What a terminal says, up to its end. Who else has it open when its command has ended does not keep it from that: what the
/// command wrote is there at once.
#[derive(Debug, Default)]
pub struct Saying {
    /// Bytes read after the end of the command.
    rest: usize,
    is_over: bool,
}

impl Saying {
    /// Whether all was read that is wanted.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Reads by `fill`, which gives the number of bytes, or `None` where there is no room for more, until one of them has
    /// enough. Once the command `has_ended`, it is over when nothing is there, or after [`REST_MAX`].
    pub fn pump(&mut self, has_ended: bool, mut fill: impl FnMut() -> io::Result<Option<usize>>) {
        while !self.is_over {
            match fill() {
                Ok(Some(n)) => {
                    self.rest += if has_ended { n } else { 0 };
                    self.is_over = n == 0 || self.rest > REST_MAX;
                }
                Ok(None) => return,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_over = has_ended;
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.is_over = true,
            }
        }
    }
}

fn of_system(error: pty_process::Error) -> io::Error {
    match error {
        pty_process::Error::Io(error) => error,
        pty_process::Error::Rustix(errno) => errno.into(),
    }
}

impl Read for Pty {
    /// EIO is how the system says that nobody has the terminal open any more.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.master.read(buf) {
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => Ok(0),
            result => result,
        }
    }
}

impl Write for Pty {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.master.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.master.flush()
    }
}

impl event::Source for Pty {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        SourceFd(&self.master.as_raw_fd()).register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        SourceFd(&self.master.as_raw_fd()).reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        SourceFd(&self.master.as_raw_fd()).deregister(registry)
    }
}

#[cfg(test)]
mod tests;
