//! The program that asks where there is no terminal, or where the user prefers it (SSH_ASKPASS in ssh(1)).
//!
//! It gets the prompt as its argument and writes the answer to its standard output; a status other than 0 declines.

use super::Answer;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use zeroize::Zeroizing;

/// The program if SSH_ASKPASS is not set (Debian's).
pub(super) const DEFAULT_ASKPASS: &str = "/usr/bin/ssh-askpass";

/// What the environment says about asking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Environment {
    /// The program; nothing if there is none.
    pub askpass: Option<OsString>,
    /// There is a screen for its windows: `DISPLAY` or `WAYLAND_DISPLAY` is set.
    pub display: bool,
    /// `SSH_ASKPASS_REQUIRE`: `force`, `prefer`, `never`; anything else says nothing.
    pub require: Option<OsString>,
}

impl Environment {
    /// That of this process.
    #[must_use]
    pub(super) fn own() -> Self {
        Self::of(|name| env::var_os(name))
    }

    /// That in which variables have such values.
    #[must_use]
    pub(super) fn of(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let default = || Path::new(DEFAULT_ASKPASS).exists().then(|| DEFAULT_ASKPASS.into());
        Self {
            askpass: variable("SSH_ASKPASS").or_else(default).filter(|program| !program.is_empty()),
            display: is_set("DISPLAY") || is_set("WAYLAND_DISPLAY"),
            require: variable("SSH_ASKPASS_REQUIRE"),
        }
    }

    /// Whether there is somebody to ask, if a terminal is there or not.
    #[must_use]
    pub(super) fn can_ask(&self, terminal: bool) -> bool {
        terminal || self.askpass(terminal).is_some()
    }

    /// The program, if it is the one to ask.
    pub(super) fn askpass(&self, terminal: bool) -> Option<&OsStr> {
        let require =
            |word: &str| self.require.as_ref().is_some_and(|given| given.eq_ignore_ascii_case(word));
        let asks = if require("force") {
            true
        } else if require("prefer") {
            self.display
        } else {
            self.display && !terminal && !require("never")
        };
        self.askpass.as_deref().filter(|_| asks)
    }
}

/// The loop's hold on the program, which it ends when it lets go.
pub(super) struct Askpass(OwnedFd);

/// The thread's.
pub(super) struct Running {
    child: Child,
}

impl Askpass {
    /// Starts the program.
    pub(super) fn start(program: &OsStr, prompt: &str) -> io::Result<(Self, Running)> {
        let mut command = Command::new(program);
        // Standard input may be the connection's.
        command.arg(prompt).stdin(Stdio::null()).stdout(Stdio::piped());
        // A yes is typed as at the terminal, as ssh wants it to be.
        command.env_remove("SSH_ASKPASS_PROMPT");
        let mut child = command
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", program.display())))?;
        // Nobody has waited for the child yet, so the number is still its own.
        match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(handle) => Ok((Self(handle), Running { child })),
            Err(error) => {
                let _ended = child.kill();
                let _ended = child.wait();
                Err(error.into())
            }
        }
    }

    /// Ends it, if it has not ended.
    pub(super) fn end(&self) {
        let _ended_already = pidfd_send_signal(&self.0, Signal::KILL);
    }
}

impl Drop for Askpass {
    fn drop(&mut self) {
        self.end();
    }
}

impl Running {
    /// Waits for the end of the program. One that writes too much is ended.
    pub(super) fn answer(mut self) -> io::Result<Zeroizing<String>> {
        let mut answer = Answer::new();
        let read = match self.child.stdout.take() {
            Some(mut output) => loop {
                match answer.read(&mut output) {
                    Ok([]) => break Ok(()),
                    Ok(_) => {}
                    Err(error) => break Err(error),
                }
            },
            None => Ok(()),
        };
        if read.is_err() {
            let _ended = self.child.kill();
        }
        let status = self.child.wait()?;
        read?;
        if !status.success() {
            return Err(io::Error::new(ErrorKind::PermissionDenied, "declined"));
        }
        answer.line()
    }
}
