//! Requests on a session channel (RFC 4254 §6.2 to §6.10, RFC 4335, OpenSSH PROTOCOL §2.1), their fields and who may make
//! them.

use super::pty::{TerminalModes, WindowSize};
use crate::wire::number::Sender;
use crate::wire::{DecodeError, Reader, Writer};

/// The longest name of a variable that is passed on (bytes).
pub const ENV_NAME_MAX: usize = 128;

/// The longest value of one (bytes).
pub const ENV_VALUE_MAX: usize = 4096;

/// The most variables that a client may ask for on one session.
pub const ENV_MAX: usize = 128;

/// A request on a session channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// A pseudo-terminal, before anything runs (RFC 4254 §6.2).
    PtyReq {
        /// The value of TERM; see [`terminal_type`](super::terminal_type).
        term: &'a [u8],
        /// Of the client's window.
        size: WindowSize,
        /// Of the client's terminal.
        modes: TerminalModes<'a>,
    },
    /// A variable for what is going to run (RFC 4254 §6.4). Never more than [`ENV_MAX`] on a session.
    Env {
        /// At most [`ENV_NAME_MAX`] bytes, without `=`.
        name: &'a [u8],
        /// At most [`ENV_VALUE_MAX`] bytes.
        value: &'a [u8],
    },
    /// The client's window has another size (RFC 4254 §6.7).
    WindowChange {
        /// The new one.
        size: WindowSize,
    },
    /// A signal for what runs (RFC 4254 §6.9).
    Signal {
        /// Without `SIG`.
        signal_name: &'a [u8],
    },
    /// A BREAK on the terminal (RFC 4335).
    Break {
        /// In milliseconds; 0 for the server's default.
        length_ms: u32,
    },
    /// The agent is to be forwarded (OpenSSH's `auth-agent-req@openssh.com`, `agent-req`).
    AuthAgentReq,
    /// Whether the client may do flow control by itself (RFC 4254 §6.8).
    XonXoff {
        /// It may.
        client_can_do: bool,
    },
    /// The peer reads no more data on this channel, which stays open (OpenSSH's `eow@openssh.com`).
    Eow,
    /// The user's shell (RFC 4254 §6.5).
    Shell,
    /// A command (RFC 4254 §6.5).
    Exec {
        /// Any bytes; a shell's syntax by custom.
        command: &'a [u8],
    },
    /// A subsystem by its name (RFC 4254 §6.5).
    Subsystem {
        /// Its name.
        subsystem_name: &'a [u8],
    },
    /// How the command ended (RFC 4254 §6.10).
    ExitStatus {
        /// 0 for success.
        exit_status: u32,
    },
    /// Which signal ended it (RFC 4254 §6.10).
    ExitSignal {
        /// Without `SIG`.
        signal_name: &'a [u8],
        /// Whether there is a core.
        core_dumped: bool,
        /// A text of the peer's; escape it before it is shown.
        error_message: &'a [u8],
    },
}

impl<'a> Request<'a> {
    /// Reads the fields of a request that `sender` may make on a session; `None` for any other.
    pub(super) fn decode(
        request_type: &[u8],
        fields: &'a [u8],
        sender: Sender,
    ) -> Result<Option<Self>, DecodeError> {
        let mut r = Reader::new(fields);
        let request = match (sender, request_type) {
            (Sender::Client, b"pty-req") => {
                let (term, size) = (r.string()?, window_size(&mut r)?);
                Self::PtyReq { term, size, modes: TerminalModes::new(r.string()?) }
            }
            (Sender::Client, b"env") => Self::Env { name: r.string()?, value: r.string()? },
            (Sender::Client, b"window-change") => Self::WindowChange { size: window_size(&mut r)? },
            (Sender::Client, b"signal") => Self::Signal { signal_name: r.string()? },
            (Sender::Client, b"break") => Self::Break { length_ms: r.uint32()? },
            (Sender::Client, b"auth-agent-req@openssh.com" | b"agent-req") => Self::AuthAgentReq,
            (Sender::Server, b"xon-xoff") => Self::XonXoff { client_can_do: r.boolean()? },
            (_, b"eow@openssh.com") => Self::Eow,
            (Sender::Client, b"shell") => Self::Shell,
            (Sender::Client, b"exec") => Self::Exec { command: r.string()? },
            (Sender::Client, b"subsystem") => Self::Subsystem { subsystem_name: r.string()? },
            (Sender::Server, b"exit-status") => Self::ExitStatus { exit_status: r.uint32()? },
            (Sender::Server, b"exit-signal") => {
                let (signal_name, core_dumped, error_message) = (r.string()?, r.boolean()?, r.string()?);
                r.string()?; // language tag
                Self::ExitSignal { signal_name, core_dumped, error_message }
            }
            _ => return Ok(None),
        };
        r.finish()?;
        Ok(Some(request))
    }

    /// The name on the wire.
    pub(crate) const fn request_type(&self) -> &'static [u8] {
        match self {
            Self::PtyReq { .. } => b"pty-req",
            Self::Env { .. } => b"env",
            Self::WindowChange { .. } => b"window-change",
            Self::Signal { .. } => b"signal",
            Self::Break { .. } => b"break",
            Self::AuthAgentReq => b"auth-agent-req@openssh.com",
            Self::XonXoff { .. } => b"xon-xoff",
            Self::Eow => b"eow@openssh.com",
            Self::Shell => b"shell",
            Self::Exec { .. } => b"exec",
            Self::Subsystem { .. } => b"subsystem",
            Self::ExitStatus { .. } => b"exit-status",
            Self::ExitSignal { .. } => b"exit-signal",
        }
    }

    /// Appends the fields.
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        match *self {
            Self::PtyReq { term, size, modes } => {
                w.string(term);
                put_window_size(w, size);
                w.string(modes.as_bytes());
            }
            Self::Env { name, value } => {
                w.string(name);
                w.string(value);
            }
            Self::WindowChange { size } => put_window_size(w, size),
            Self::Signal { signal_name } => w.string(signal_name),
            Self::Break { length_ms } => w.uint32(length_ms),
            Self::XonXoff { client_can_do } => w.boolean(client_can_do),
            Self::Shell | Self::AuthAgentReq | Self::Eow => {}
            Self::Exec { command } => w.string(command),
            Self::Subsystem { subsystem_name } => w.string(subsystem_name),
            Self::ExitStatus { exit_status } => w.uint32(exit_status),
            Self::ExitSignal { signal_name, core_dumped, error_message } => {
                w.string(signal_name);
                w.boolean(core_dumped);
                w.string(error_message);
                w.string(b"");
            }
        }
    }

    /// Whether it prepares what is going to run: too late once that has begun, as OpenSSH has it.
    pub(super) const fn prepares_session(&self) -> bool {
        matches!(self, Self::PtyReq { .. } | Self::Env { .. } | Self::AuthAgentReq)
    }

    /// Whether its bytes may reach an environment, as far as their form goes.
    pub(super) fn is_within_bounds(&self) -> bool {
        let Self::Env { name, value } = *self else { return true };
        (1..=ENV_NAME_MAX).contains(&name.len())
            && value.len() <= ENV_VALUE_MAX
            && !name.iter().any(|byte| matches!(byte, b'=' | 0))
            && !value.contains(&0)
    }

    /// Whether it begins what the session is for; a session has one (RFC 4254 §6.5).
    pub(super) const fn starts_session(&self) -> bool {
        matches!(self, Self::Shell | Self::Exec { .. } | Self::Subsystem { .. })
    }
}

fn window_size(r: &mut Reader<'_>) -> Result<WindowSize, DecodeError> {
    let (columns, rows) = (r.uint32()?, r.uint32()?);
    Ok(WindowSize { columns, rows, width_px: r.uint32()?, height_px: r.uint32()? })
}

fn put_window_size(w: &mut Writer<'_>, size: WindowSize) {
    [size.columns, size.rows, size.width_px, size.height_px].into_iter().for_each(|n| w.uint32(n));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<(Sender, Request<'static>)> {
        let size = WindowSize { columns: 80, rows: 24, width_px: 640, height_px: 480 };
        let modes = TerminalModes::new(b"\x01\0\0\0\x03\0");
        let client = [
            Request::PtyReq { term: b"xterm", size, modes },
            Request::Env { name: b"LANG", value: b"C" },
            Request::WindowChange { size },
            Request::Signal { signal_name: b"INT" },
            Request::Break { length_ms: 500 },
            Request::AuthAgentReq,
            Request::Eow,
            Request::Shell,
            Request::Exec { command: b"id" },
            Request::Subsystem { subsystem_name: b"sftp" },
        ];
        let error_message = b"it was killed";
        let server = [
            Request::XonXoff { client_can_do: true },
            Request::Eow,
            Request::ExitStatus { exit_status: 3 },
            Request::ExitSignal { signal_name: b"KILL", core_dumped: true, error_message },
        ];
        let of = |sender, requests: Vec<_>| requests.into_iter().map(move |request| (sender, request));
        of(Sender::Client, client.to_vec()).chain(of(Sender::Server, server.to_vec())).collect()
    }

    fn fields(request: &Request<'_>) -> Vec<u8> {
        let mut fields = Vec::new();
        request.encode(&mut Writer::new(&mut fields));
        fields
    }

    #[test]
    fn each_request_is_read_as_it_is_written_and_only_from_the_side_that_may_make_it() {
        for (sender, request) in all() {
            let (fields, name) = (fields(&request), request.request_type());
            assert_eq!(Request::decode(name, &fields, sender), Ok(Some(request)));
            let other = if sender == Sender::Client { Sender::Server } else { Sender::Client };
            let both = (request == Request::Eow).then_some(request);
            assert_eq!(Request::decode(name, &fields, other), Ok(both), "{request:?}");
        }
        assert_eq!(Request::decode(b"agent-req", b"", Sender::Client), Ok(Some(Request::AuthAgentReq)));
        for unknown in [&b"x11-req"[..], b"winadj@putty.projects.tartarus.org", b"", b"pty-req\0", b"Shell"] {
            assert_eq!(Request::decode(unknown, b"fields", Sender::Client), Ok(None));
        }
    }

    #[test]
    fn a_request_whose_fields_are_cut_or_go_on_is_no_request() {
        for (sender, request) in all() {
            let (mut fields, name) = (fields(&request), request.request_type());
            for cut in 0..fields.len() {
                assert_eq!(
                    Request::decode(name, &fields[..cut], sender),
                    Err(DecodeError::Truncated),
                    "{request:?} {cut}"
                );
            }
            fields.push(0);
            assert_eq!(
                Request::decode(name, &fields, sender),
                Err(DecodeError::TrailingBytes),
                "{request:?}"
            );
        }
    }

    #[test]
    fn t80_a_variable_has_a_form_and_bounds() {
        let is = |name: &[u8], value: &[u8]| Request::Env { name, value }.is_within_bounds();
        let (longest, long) = (vec![b'x'; ENV_NAME_MAX], vec![b'x'; ENV_VALUE_MAX]);
        assert!(is(b"LANG", b"") && is(&longest, &long) && is(b"A", b"a=b\n\xff"));
        let (longer, too_long) = (vec![b'x'; ENV_NAME_MAX + 1], vec![b'x'; ENV_VALUE_MAX + 1]);
        for (name, value) in [
            (&b""[..], &b""[..]),
            (b"A=B", b""),
            (b"A\0", b""),
            (b"A", b"\0"),
            (&longer, b""),
            (b"A", &too_long),
        ] {
            assert!(!is(name, value), "{}", name.escape_ascii());
        }
    }
}
