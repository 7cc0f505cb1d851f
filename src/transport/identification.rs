//! The identification line of each side (RFC 4253 §4.2).
//!
//! The peer's line is kept as it came, without its end, because it goes into the exchange hash; whoever shows it escapes it.

use super::recv_buf::RecvBuf;
use crate::wire::number::Sender;
use crate::wire::{DisconnectReason, Fault};

/// Our line without its end.
pub(super) const LOCAL: &[u8] = concat!("SSH-2.0-strombus_", env!("CARGO_PKG_VERSION")).as_bytes();

/// The longest identification line with its end.
pub const IDENTIFICATION_MAX: usize = 255;
/// The longest line a server may send before it.
pub const LINE_MAX: usize = 8192;
/// How many such lines a client reads.
pub const LINES_MAX: usize = 1024;

/// A client sent something else than an identification line first.
pub const NOT_SSH: Fault = Fault::protocol("the first line is no SSH identification");
/// The identification line is too long.
pub const IDENTIFICATION_LENGTH: Fault = Fault::protocol("the identification line is too long");
/// The identification line holds what RFC 4253 §4.2 does not allow.
pub const IDENTIFICATION_CHARACTER: Fault =
    Fault::protocol("the identification line holds a forbidden character");
/// A server talks without ever identifying itself.
pub const TOO_MANY_LINES: Fault = Fault::protocol("too much text before the identification line");
/// Neither 2.0 nor 1.99.
pub const VERSION: Fault = Fault {
    reason: DisconnectReason::PROTOCOL_VERSION_NOT_SUPPORTED,
    description: "protocol version 2.0 is required",
};

/// Waits for the peer's identification line.
#[derive(Debug, Default)]
pub(super) struct Identification {
    lines: usize,
    /// Bytes of the current line that hold no end.
    searched: usize,
    /// The line before, for the user: a server that will not talk says why in clear text.
    pub(super) last_line: Vec<u8>,
}

impl Identification {
    /// The peer's line without its end, once it is here.
    pub(super) fn next(&mut self, input: &mut RecvBuf, local: Sender) -> Result<Option<Vec<u8>>, Fault> {
        loop {
            let unread = input.unread();
            let fresh = unread.get(self.searched..).unwrap_or_default();
            let is_ssh = unread.starts_with(b"SSH-");
            let might_be_ssh = is_ssh || b"SSH-".starts_with(unread);
            if local == Sender::Server && !might_be_ssh {
                return Err(NOT_SSH);
            }
            let (max, too_long) =
                if is_ssh { (IDENTIFICATION_MAX, IDENTIFICATION_LENGTH) } else { (LINE_MAX, TOO_MANY_LINES) };
            let Some(end) = fresh.iter().position(|b| *b == b'\n').map(|at| self.searched + at + 1) else {
                self.searched = unread.len();
                return if self.searched >= max { Err(too_long) } else { Ok(None) };
            };
            if end > max {
                return Err(too_long);
            }
            self.searched = 0;
            let line = input.take(end);
            if is_ssh {
                return identification(line).map(Some);
            }
            self.lines += 1;
            if self.lines > LINES_MAX {
                return Err(TOO_MANY_LINES);
            }
            self.last_line.clear();
            self.last_line.extend_from_slice(line.trim_ascii_end());
        }
    }
}

/// Checks a line that begins with `SSH-`.
fn identification(line: &[u8]) -> Result<Vec<u8>, Fault> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let rest = line.strip_prefix(b"SSH-").unwrap_or_default();
    let software = rest.strip_prefix(b"2.0-").or_else(|| rest.strip_prefix(b"1.99-")).ok_or(VERSION)?;
    if !line.iter().all(|b| b.is_ascii_graphic() || *b == b' ') || matches!(software, [] | [b' ', ..]) {
        return Err(IDENTIFICATION_CHARACTER);
    }
    Ok(line.to_vec())
}
