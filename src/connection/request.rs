//! Requests on a session channel (RFC 4254 §6.5 to §6.10), their fields and who may make them.

use crate::wire::number::Sender;
use crate::wire::{DecodeError, Reader, Writer};

/// A request on a session channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
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
    /// The agent is to be forwarded (OpenSSH's `auth-agent-req@openssh.com`, `agent-req`).
    AuthAgentReq,
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
            (Sender::Client, b"shell") => Self::Shell,
            (Sender::Client, b"exec") => Self::Exec { command: r.string()? },
            (Sender::Client, b"subsystem") => Self::Subsystem { subsystem_name: r.string()? },
            (Sender::Client, b"auth-agent-req@openssh.com" | b"agent-req") => Self::AuthAgentReq,
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
    pub(super) const fn request_type(&self) -> &'static [u8] {
        match self {
            Self::Shell => b"shell",
            Self::Exec { .. } => b"exec",
            Self::Subsystem { .. } => b"subsystem",
            Self::AuthAgentReq => b"auth-agent-req@openssh.com",
            Self::ExitStatus { .. } => b"exit-status",
            Self::ExitSignal { .. } => b"exit-signal",
        }
    }

    /// Appends the fields.
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        match *self {
            Self::Shell | Self::AuthAgentReq => {}
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

    /// Whether it begins what the session is for; a session has one (RFC 4254 §6.5).
    pub(super) const fn starts_session(&self) -> bool {
        matches!(self, Self::Shell | Self::Exec { .. } | Self::Subsystem { .. })
    }
}
