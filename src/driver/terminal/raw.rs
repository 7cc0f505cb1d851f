//! A terminal in raw mode: the one at standard input while another machine's is shown in it, or one that is drawn on.
//!
//! Whatever ends it, the terminal is as it was before: a drop, a panic, and the signals that [`guard`](super::guard()) minds.

use super::{guard, modes};
use crate::connection::{TerminalModes, WindowSize};
use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize,
    tcsetattr,
};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

/// The size of the window, zeros if standard input is no terminal.
#[must_use]
pub fn window_size() -> WindowSize {
    size_of(io::stdin())
}

/// The size of a terminal, zeros for what is none.
pub(super) fn size_of(terminal: impl AsFd) -> WindowSize {
    let Ok(size) = tcgetwinsize(terminal) else { return WindowSize::default() };
    WindowSize {
        columns: size.ws_col.into(),
        rows: size.ws_row.into(),
        width_px: size.ws_xpixel.into(),
        height_px: size.ws_ypixel.into(),
    }
}

/// The modes of the terminal in the form of [`TerminalModes`], none if standard input is no terminal.
#[must_use]
pub fn terminal_modes() -> Vec<u8> {
    tcgetattr(io::stdin()).map_or_else(|_| TerminalModes::encode([]), |termios| modes::encode(&termios))
}

/// A terminal in raw mode. When it is dropped, the terminal is as it was before.
#[must_use]
pub struct Raw {
    terminal: File,
    before: Termios,
}

impl Raw {
    /// Makes it raw: no line editing, no signals, no echo, nothing translated.
    ///
    /// # Errors
    /// Standard input is no terminal, or the system's.
    pub fn enter() -> io::Result<Self> {
        Self::of(File::from(io::stdin().as_fd().try_clone_to_owned()?), b"")
    }

    /// The same of another terminal, on which what ends drawing on all of it is written if it is not ended otherwise.
    pub(super) fn of(terminal: File, leave: &'static [u8]) -> io::Result<Self> {
        let raw = Self { before: tcgetattr(&terminal)?, terminal };
        guard::open(&raw.terminal, &raw.before, leave)?;
        raw.set()?;
        Ok(raw)
    }

    fn set(&self) -> io::Result<()> {
        let mut raw = self.before.clone();
        raw.input_modes.insert(InputModes::IGNPAR);
        raw.input_modes.remove(
            InputModes::ISTRIP
                | InputModes::INLCR
                | InputModes::IGNCR
                | InputModes::ICRNL
                | InputModes::IUCLC
                | InputModes::IXON
                | InputModes::IXANY
                | InputModes::IXOFF,
        );
        raw.local_modes.remove(
            LocalModes::ISIG
                | LocalModes::ICANON
                | LocalModes::ECHO
                | LocalModes::ECHOE
                | LocalModes::ECHOK
                | LocalModes::ECHONL
                | LocalModes::IEXTEN,
        );
        raw.output_modes.remove(OutputModes::OPOST);
        raw.special_codes[SpecialCodeIndex::VMIN] = 1;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        Ok(tcsetattr(&self.terminal, OptionalActions::Drain, &raw)?)
    }

    fn restore(&self) -> io::Result<()> {
        Ok(tcsetattr(&self.terminal, OptionalActions::Drain, &self.before)?)
    }

    /// Stops the process as Ctrl-Z does, with the terminal as it was before; returns when it goes on, raw again.
    ///
    /// # Errors
    /// The system's.
    pub fn suspend(&self) -> io::Result<()> {
        self.restore()?;
        kill_process(getpid(), Signal::TSTP)?;
        self.set()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _gone = self.restore();
        guard::close();
    }
}
