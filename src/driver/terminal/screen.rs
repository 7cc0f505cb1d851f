//! The terminal at standard output while a program draws on all of it, and what is typed there meanwhile.
//!
//! It gives way to questions: it has the same turn as they have, and says when one wants it. What is drawn it does not know.

use super::raw::size_of;
use super::{Raw, Turn, turns};
use crate::connection::WindowSize;
use mio::Waker;
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

/// The size of the terminal at standard output, zeros if that is none.
#[must_use]
pub fn screen_size() -> WindowSize {
    size_of(io::stdout())
}

/// What is typed at the terminal, wherever standard input comes from. Reading it never waits, and nobody else's descriptor is
/// changed by that: it is opened anew.
#[derive(Debug)]
pub struct Keyboard(File);

impl Keyboard {
    /// Opens the process's terminal, or else the one at standard output.
    ///
    /// # Errors
    /// The system's: there is none.
    pub fn open() -> io::Result<Self> {
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let open = |path| OpenOptions::new().read(true).write(true).custom_flags(flags).open(path);
        open("/dev/tty").or_else(|_| open("/proc/self/fd/1")).map(Self)
    }

    /// The descriptor, for the loop.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Read for Keyboard {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

/// The terminal in raw mode, to draw on. When it is dropped, it is in its former mode, and whoever waits for it may ask.
pub struct Screen {
    raw: Raw,
    turn: Turn,
}

impl Screen {
    /// Takes the terminal. `leave` is written to it if a panic or a signal that the program does not handle itself ends the
    /// process; otherwise that is the program's to do. `waker` is used when somebody [wants to ask](Self::is_wanted).
    ///
    /// # Errors
    /// The system's; of the kind `ResourceBusy` while a question is open: `waker` is used once that is over.
    pub fn take(keyboard: &Keyboard, leave: &'static [u8], waker: &Arc<Waker>) -> io::Result<Self> {
        let turn = Turn::take_for_screen(waker)?;
        Ok(Self { raw: Raw::of(keyboard.0.try_clone()?, leave)?, turn })
    }

    /// The terminal is in its former mode, and `last` may write to it before anybody may ask.
    pub fn leave(self, last: impl FnOnce()) {
        drop(self.raw);
        last();
        drop(self.turn);
    }

    /// Whether a question waits for the terminal.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        !turns().waiting.is_empty()
    }
}
