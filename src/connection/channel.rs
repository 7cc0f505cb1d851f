//! One channel: its window, its two halves, and the requests on it (RFC 4254 §5).
//!
//! ```text
//! we open ─▶ Opening ─ confirmation ─┐
//!                                    ├─▶ Open { outbound, inbound }, each: Open ─ EOF ─▶ Eof ─ CLOSE ─▶ Closed
//! peer opens ─▶ Offered ─ accepted ──┘                                        └────────── CLOSE ───────▶
//! ```
//!
//! What is sent on a channel leaves in the order of the calls: data goes out at once or is refused short, and a message
//! that an exchange bars is held before any later data. When the peer's CLOSE comes, everything it sent was delivered.
//! A channel does not know what its bytes mean, nor who its peer is.

use super::growth::{Growth, Pace};
use super::pty::{TerminalModes, WindowSize};
use super::request::{ENV_MAX, Request};
use crate::transport::{
    Client, Error, KexSide, Misuse, OVERHEAD_MAX, PACKET_LENGTH_MAX_UNAUTHENTICATED, Server, Transport,
};
use crate::wire::message::{
    ChannelClose, ChannelEof, ChannelFailure, ChannelRequest, ChannelSuccess, ChannelWindowAdjust,
};
use crate::wire::{Fault, number};
use std::collections::VecDeque;
use std::time::Instant;

/// The most data in one message that is taken or sent (bytes): what every peer takes (RFC 4253 §6.1).
pub const MAXIMUM_PACKET_SIZE: u32 = 32 * 1024;

/// The fields before the data of SSH_MSG_CHANNEL_EXTENDED_DATA (bytes).
const FIELDS: usize = 13;

const _: () =
    assert!(MAXIMUM_PACKET_SIZE as usize + FIELDS + OVERHEAD_MAX <= PACKET_LENGTH_MAX_UNAUTHENTICATED);

/// The replies on one channel that may be owed to the peer at a time.
pub const REPLIES_OWED_MAX: usize = 64;

/// SSH_EXTENDED_DATA_STDERR (RFC 4254 §5.2).
pub(super) const STDERR: u32 = 1;

/// Data beyond the window.
pub const WINDOW_EXCEEDED: Fault = Fault::protocol("CHANNEL_DATA exceeds the window");
/// More data in one message than was allowed.
pub const PACKET_EXCEEDED: Fault = Fault::protocol("CHANNEL_DATA exceeds the maximum packet size");
/// A window of more than 2^32 - 1 bytes.
pub const WINDOW_OVERFLOW: Fault = Fault::protocol("CHANNEL_WINDOW_ADJUST exceeds 2^32 - 1 bytes");
/// Data after EOF.
pub const DATA_AFTER_EOF: Fault = Fault::protocol("CHANNEL_DATA after CHANNEL_EOF");
/// Requests faster than they are answered.
pub const TOO_MANY_REQUESTS_OWED: Fault = Fault::protocol("too many channel requests wait for their reply");

/// The channel is not open, or our direction is ended.
pub const CHANNEL_NOT_OPEN: Misuse = Misuse("the channel is not open for that");
/// No request waits for a reply.
pub const NO_REPLY_OWED: Misuse = Misuse("no request waits for a reply");
/// Credit for more bytes than came.
pub const CREDIT_EXCEEDED: Misuse = Misuse("credit for more than was received");

/// How a channel came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// We asked for it.
    Opening,
    /// The peer asked for it.
    Offered,
    Open,
}

/// One direction of an open channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    Open,
    Eof,
    Closed,
}

#[derive(Debug)]
pub(super) struct ChannelState {
    pub(super) stage: Stage,
    /// Its type is `session`: others have no requests that are known.
    pub(super) session: bool,
    pub(super) outbound: Half,
    pub(super) inbound: Half,
    /// The peer's number.
    pub(super) remote_channel: u32,
    /// Bytes the peer takes, in all and in one message.
    pub(super) remote_window: u32,
    pub(super) remote_packet_max: u32,
    /// Bytes the peer may still send.
    local_window: u32,
    local_window_max: u32,
    /// Bytes delivered whose credit the application holds.
    delivered: u32,
    /// Bytes of credit that the peer was not told yet.
    credit: u32,
    pace: Pace,
    /// Was refused bytes.
    pub(super) starved: bool,
    /// Has sent data since it was its turn.
    had_turn: bool,
    /// A shell, command or subsystem was asked for.
    started: bool,
    /// A terminal was asked for.
    terminal: bool,
    /// Variables that were asked for.
    variables: usize,
    /// Replies owed in their order: those of the application's are `None` until it decides.
    replies: VecDeque<Option<bool>>,
    /// Our requests that wait for a reply.
    requests: u32,
}

impl ChannelState {
    pub(super) fn new(stage: Stage, local_window: u32) -> Self {
        Self {
            stage,
            session: false,
            outbound: Half::Open,
            inbound: Half::Open,
            remote_channel: 0,
            remote_window: 0,
            remote_packet_max: 0,
            local_window,
            local_window_max: local_window,
            delivered: 0,
            credit: 0,
            pace: Pace::default(),
            starved: false,
            had_turn: false,
            started: false,
            terminal: false,
            variables: 0,
            replies: VecDeque::new(),
            requests: 0,
        }
    }

    /// Whether it was refused bytes that would go out now, if there is room in the output.
    pub(super) fn waits_for_room(&self) -> bool {
        self.starved && self.stage == Stage::Open && self.outbound == Half::Open && self.remote_window > 0
    }

    /// It is its turn to write.
    pub(super) const fn named(&mut self) {
        self.starved = false;
        self.had_turn = false;
    }

    /// `length` bytes came. Whether they are for the application; otherwise they are credited or dropped here.
    pub(super) fn receive(&mut self, length: usize, known_type: bool) -> Result<bool, Error> {
        let length = u32::try_from(length).map_err(|_| PACKET_EXCEEDED)?;
        if self.inbound != Half::Open {
            return Err(DATA_AFTER_EOF.into());
        }
        if length > MAXIMUM_PACKET_SIZE {
            return Err(PACKET_EXCEEDED.into());
        }
        self.local_window = self.local_window.checked_sub(length).ok_or(WINDOW_EXCEEDED)?;
        let wanted = known_type && self.outbound != Half::Closed;
        if wanted {
            self.delivered += length; // at most the window
        } else {
            self.credit += length;
        }
        Ok(wanted && length > 0)
    }

    pub(super) fn adjust_remote_window(&mut self, bytes_to_add: u32) -> Result<(), Error> {
        self.remote_window = self.remote_window.checked_add(bytes_to_add).ok_or(WINDOW_OVERFLOW)?;
        Ok(())
    }

    /// Tells the peer of its credit, once it is worth a message.
    pub(super) fn flush_credit<S: KexSide>(&mut self, transport: &mut Transport<S>) {
        let worth = self.local_window_max / 8;
        let due = self.credit > worth || (self.credit > 0 && self.local_window < worth);
        if !due || self.outbound == Half::Closed || self.inbound != Half::Open || transport.is_sending_kex() {
            return; // a number waits, not a message
        }
        let bytes_to_add = core::mem::take(&mut self.credit);
        self.local_window += bytes_to_add; // at most local_window_max
        transport.send(&ChannelWindowAdjust { recipient_channel: self.remote_channel, bytes_to_add });
    }

    /// Another `n` bytes were dealt with.
    fn grow(&mut self, n: u32, growth: &mut Growth, now: Instant) {
        let more = self.pace.deal(n, self.local_window_max, growth, now);
        self.local_window_max += more;
        self.credit += more;
    }

    /// What the window has grown by since it was this (bytes).
    pub(super) const fn grown(&self, initial_window_size: u32) -> u32 {
        self.local_window_max - initial_window_size
    }

    /// A request came. Whether the application is asked.
    pub(super) fn handle_request<S: KexSide>(
        &mut self,
        request: Option<&Request<'_>>,
        want_reply: bool,
        transport: &mut Transport<S>,
    ) -> Result<bool, Error> {
        let asked = self.session
            && request.is_some_and(|request| self.is_in_order(request))
            && self.outbound != Half::Closed;
        if want_reply && self.outbound != Half::Closed {
            if self.replies.len() >= REPLIES_OWED_MAX {
                return Err(TOO_MANY_REQUESTS_OWED.into());
            }
            self.replies.push_back(if asked { None } else { Some(false) });
            self.flush_replies(transport)?;
        }
        Ok(asked)
    }

    /// Whether a request may come now, and notes that it came: a session runs one thing, has one terminal, and is prepared
    /// before.
    fn is_in_order(&mut self, request: &Request<'_>) -> bool {
        if request.prepares_session() && self.started {
            return false;
        }
        match request {
            Request::PtyReq { .. } => !core::mem::replace(&mut self.terminal, true),
            Request::Env { .. } => {
                self.variables += 1; // no more than packets
                self.variables <= ENV_MAX && request.is_within_bounds()
            }
            _ if request.starts_session() => !core::mem::replace(&mut self.started, true),
            _ => true,
        }
    }

    fn flush_replies<S: KexSide>(&mut self, transport: &mut Transport<S>) -> Result<(), Error> {
        let recipient_channel = self.remote_channel;
        while let Some(Some(success)) = self.replies.front() {
            match success {
                true => transport.reply(&ChannelSuccess { recipient_channel })?,
                false => transport.reply(&ChannelFailure { recipient_channel })?,
            }
            self.replies.pop_front();
        }
        Ok(())
    }

    /// A reply came. Whether it is to a request of ours; an unasked one means nothing.
    pub(super) const fn handle_reply(&mut self) -> bool {
        let asked = self.requests > 0;
        self.requests = self.requests.saturating_sub(1);
        asked
    }

    /// A door for tests: a command was asked for, replies are owed to the peer, the peer owes replies.
    #[cfg(test)]
    pub(super) fn marks(&self) -> [&'static str; 3] {
        let mark = |is: bool, word| if is { word } else { "" };
        [
            mark(self.started, " started"),
            mark(!self.replies.is_empty(), " owes"),
            mark(self.requests > 0, " asked"),
        ]
    }

    /// Sends CLOSE, once.
    pub(super) fn close<S: KexSide>(&mut self, transport: &mut Transport<S>) {
        if self.outbound != Half::Closed {
            self.outbound = Half::Closed;
            self.starved = false;
            self.replies.clear();
            self.requests = 0; // whatever they are answered, nobody waits for it
            transport.send(&ChannelClose { recipient_channel: self.remote_channel });
        }
    }
}

/// A channel, to act on it.
#[must_use]
pub struct Channel<'a, S: KexSide> {
    pub(super) state: &'a mut ChannelState,
    pub(super) growth: &'a mut Growth,
    /// Others were refused bytes: then one message goes out in a turn, lest a byte of theirs waits for all of its data.
    pub(super) others_wait: bool,
    pub(super) transport: &'a mut Transport<S>,
}

impl<S: KexSide> Channel<'_, S> {
    /// Takes as many bytes of `data` as the peer's window and the output allow, but one message's if other channels wait for
    /// room, and returns how many. If that is not all, [`poll_writable`](super::Connection::poll_writable) names the channel
    /// when the rest may be offered.
    pub fn write(&mut self, data: &[u8]) -> usize {
        self.write_typed(None, data)
    }

    /// The same for a server's standard error (RFC 4254 §5.2).
    pub fn write_stderr(&mut self, data: &[u8]) -> usize {
        self.write_typed(Some(STDERR), data)
    }

    fn write_typed(&mut self, data_type_code: Option<u32>, data: &[u8]) -> usize {
        let mut rest = data;
        while !rest.is_empty() {
            let taken = self.packet(data_type_code, |max, packet| {
                let (now, later) = rest.split_at_checked(max).unwrap_or((rest, &[]));
                packet.writer().string(now);
                rest = later;
                Ok::<_, core::convert::Infallible>(now.len())
            });
            if !matches!(taken, Ok(Some(_))) {
                break;
            }
        }
        data.len() - rest.len()
    }

    /// Lets `fill` write data where it is sealed and sent from: at most one message. `Ok(None)` if nothing can go out
    /// now; [`poll_writable`](super::Connection::poll_writable) then names the channel. If `fill` fails or returns 0,
    /// nothing is sent.
    pub fn fill<E>(&mut self, fill: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<Option<usize>, E> {
        self.packet(None, |max, packet| packet.fill_string(max, fill))
    }

    /// The same for a server's standard error.
    pub fn fill_stderr<E>(
        &mut self,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Option<usize>, E> {
        self.packet(Some(STDERR), |max, packet| packet.fill_string(max, fill))
    }

    /// One message of at most as many bytes as may go out now; `write` appends them.
    fn packet<E>(
        &mut self,
        data_type_code: Option<u32>,
        write: impl FnOnce(usize, &mut crate::transport::PacketBuilder<'_>) -> Result<usize, E>,
    ) -> Result<Option<usize>, E> {
        if self.state.stage != Stage::Open || self.state.outbound != Half::Open {
            return Ok(None);
        }
        let max = self.state.remote_window.min(self.state.remote_packet_max).min(MAXIMUM_PACKET_SIZE);
        let is_its_turn = !(self.others_wait && self.state.had_turn);
        let packet = if max > 0 && is_its_turn { self.transport.packet() } else { None };
        let Some(mut packet) = packet else {
            self.state.starved = true;
            return Ok(None);
        };
        let mut w = packet.writer();
        w.byte(if data_type_code.is_some() { number::CHANNEL_EXTENDED_DATA } else { number::CHANNEL_DATA });
        w.uint32(self.state.remote_channel);
        if let Some(code) = data_type_code {
            w.uint32(code);
        }
        let n = write(max as usize, &mut packet)?;
        if n > 0 {
            packet.seal();
            self.state.had_turn = true;
            self.state.remote_window =
                self.state.remote_window.saturating_sub(u32::try_from(n).unwrap_or(max));
        }
        Ok(Some(n))
    }

    /// Gives credit for `n` bytes of data that were dealt with, of whichever type.
    ///
    /// # Errors
    /// [`CREDIT_EXCEEDED`].
    pub fn adjust_window(&mut self, n: usize) -> Result<(), Error> {
        let credit = u32::try_from(n).ok().filter(|n| *n <= self.state.delivered).ok_or(CREDIT_EXCEEDED)?;
        self.state.delivered -= credit;
        self.state.credit += credit;
        self.state.grow(credit, self.growth, self.transport.now());
        self.state.flush_credit(self.transport);
        Ok(())
    }

    /// Grants or refuses the oldest request of the peer's that waits for a reply.
    ///
    /// # Errors
    /// [`NO_REPLY_OWED`]; or the connection ends, because a peer that renews its keys is owed too many.
    pub fn reply(&mut self, success: bool) -> Result<(), Error> {
        match self.state.replies.front_mut() {
            Some(first @ None) => *first = Some(success),
            _ => return Err(NO_REPLY_OWED.into()),
        }
        self.state.flush_replies(self.transport)
    }

    /// Ends our direction: no more data. The peer may go on sending.
    ///
    /// # Errors
    /// [`CHANNEL_NOT_OPEN`]: it is not open yet, or was closed here.
    pub fn send_eof(&mut self) -> Result<(), Error> {
        self.check_open()?;
        if self.state.outbound == Half::Open {
            self.state.outbound = Half::Eof;
            self.state.starved = false;
            self.transport.send(&ChannelEof { recipient_channel: self.state.remote_channel });
        }
        Ok(())
    }

    /// Ends the channel: nothing more goes out on it, and what comes in is dropped until the peer closes too.
    ///
    /// # Errors
    /// [`CHANNEL_NOT_OPEN`]: it is not open yet, or was closed here.
    pub fn close(&mut self) -> Result<(), Error> {
        self.check_open()?;
        self.state.close(self.transport);
        Ok(())
    }

    /// Whether data may still go out, now or later.
    #[must_use]
    pub fn is_open_for_data(&self) -> bool {
        self.state.stage == Stage::Open && self.state.outbound == Half::Open
    }

    /// Says that no more data is read here, while the channel stays open (OpenSSH's `eow@openssh.com`): whoever makes the data
    /// there can end. Only peers that are known to know it are told; whether this one was.
    ///
    /// # Errors
    /// [`CHANNEL_NOT_OPEN`]: it is not open yet, or was closed here.
    pub fn send_eow(&mut self) -> Result<bool, Error> {
        let told = knows_extensions(self.transport.remote_identification());
        if told {
            self.send_request(&Request::Eow, false)?;
        }
        Ok(told)
    }

    fn check_open(&self) -> Result<(), Error> {
        let open = self.state.stage == Stage::Open && self.state.outbound != Half::Closed;
        if open { Ok(()) } else { Err(CHANNEL_NOT_OPEN.into()) }
    }

    fn send_request(&mut self, request: &Request<'_>, want_reply: bool) -> Result<(), Error> {
        self.check_open()?;
        let mut type_fields = Vec::new();
        request.encode(&mut crate::wire::Writer::new(&mut type_fields));
        self.state.requests += u32::from(want_reply);
        self.transport.send(&ChannelRequest {
            recipient_channel: self.state.remote_channel,
            request_type: request.request_type(),
            want_reply,
            type_fields: &type_fields,
        });
        Ok(())
    }
}

impl Channel<'_, Client> {
    /// Asks for a pseudo-terminal, before anything runs (RFC 4254 §6.2). `modes` are in the form of
    /// [`TerminalModes::encode`].
    ///
    /// # Errors
    /// [`CHANNEL_NOT_OPEN`]: it is not open yet, or was closed here.
    pub fn request_pty(&mut self, term: &[u8], size: WindowSize, modes: &[u8]) -> Result<(), Error> {
        self.send_request(&Request::PtyReq { term, size, modes: TerminalModes::new(modes) }, true)
    }

    /// Passes a variable, before anything runs (RFC 4254 §6.4). The server does not say whether it takes it.
    ///
    /// # Errors
    /// [`CHANNEL_NOT_OPEN`]: it is not open yet, or was closed here.
    pub fn send_env(&mut self, name: &[u8], value: &[u8]) -> Result<(), Error> {
        self.send_request(&Request::Env { name, value }, false)
    }

    /// Says that the window has another size (RFC 4254 §6.7).
    ///
    /// # Errors
    /// [`CHANNEL_NOT_OPEN`]: it is not open yet, or was closed here.
    pub fn send_window_change(&mut self, size: WindowSize) -> Result<(), Error> {
        self.send_request(&Request::WindowChange { size }, false)
    }

    /// Sends a signal to what runs (RFC 4254 §6.9); `signal_name` without `SIG`. The server does not say whether it does.
    ///
    /// # Errors
    /// [`CHANNEL_NOT_OPEN`]: it is not open yet, or was closed here.
    pub fn send_signal(&mut self, signal_name: &[u8]) -> Result<(), Error> {
        self.send_request(&Request::Signal { signal_name }, false)
    }

    /// Asks for a BREAK of so many milliseconds on the terminal (RFC 4335).
    ///
    /// # Errors
    /// [`CHANNEL_NOT_OPEN`]: it is not open yet, or was closed here.
    pub fn request_break(&mut self, length_ms: u32) -> Result<(), Error> {
        self.send_request(&Request::Break { length_ms }, true)
    }

    /// Asks that what runs can reach the agent here, before it runs (OpenSSH's `auth-agent-req@openssh.com`).
    ///
    /// # Errors
    /// [`CHANNEL_NOT_OPEN`]: it is not open yet, or was closed here.
    pub fn request_auth_agent(&mut self) -> Result<(), Error> {
        self.send_request(&Request::AuthAgentReq, true)
    }

    /// Asks for the user's shell; answered by [`Reply`](super::ChannelEvent::Reply) (RFC 4254 §6.5).
    ///
    /// # Errors
    /// [`CHANNEL_NOT_OPEN`]: it is not open yet, or was closed here.
    pub fn request_shell(&mut self) -> Result<(), Error> {
        self.send_request(&Request::Shell, true)
    }

    /// Asks for a command (RFC 4254 §6.5).
    ///
    /// # Errors
    /// [`CHANNEL_NOT_OPEN`]: it is not open yet, or was closed here.
    pub fn request_exec(&mut self, command: &[u8]) -> Result<(), Error> {
        self.send_request(&Request::Exec { command }, true)
    }

    /// Asks for a subsystem (RFC 4254 §6.5).
    ///
    /// # Errors
    /// [`CHANNEL_NOT_OPEN`]: it is not open yet, or was closed here.
    pub fn request_subsystem(&mut self, subsystem_name: &[u8]) -> Result<(), Error> {
        self.send_request(&Request::Subsystem { subsystem_name }, true)
    }
}

impl Channel<'_, Server> {
    /// Says how the command ended (RFC 4254 §6.10).
    ///
    /// # Errors
    /// [`CHANNEL_NOT_OPEN`]: it is not open yet, or was closed here.
    pub fn send_exit_status(&mut self, exit_status: u32) -> Result<(), Error> {
        self.send_request(&Request::ExitStatus { exit_status }, false)
    }

    /// Says which signal ended the command (RFC 4254 §6.10); `signal_name` without `SIG`, `error_message` for the user.
    ///
    /// # Errors
    /// [`CHANNEL_NOT_OPEN`]: it is not open yet, or was closed here.
    pub fn send_exit_signal(
        &mut self,
        signal_name: &[u8],
        core_dumped: bool,
        error_message: &str,
    ) -> Result<(), Error> {
        let error_message = error_message.as_bytes();
        self.send_request(&Request::ExitSignal { signal_name, core_dumped, error_message }, false)
    }

    /// Says whether the client may do flow control with Ctrl-S and Ctrl-Q by itself (RFC 4254 §6.8).
    ///
    /// # Errors
    /// [`CHANNEL_NOT_OPEN`]: it is not open yet, or was closed here.
    pub fn send_xon_xoff(&mut self, client_can_do: bool) -> Result<(), Error> {
        self.send_request(&Request::XonXoff { client_can_do }, false)
    }
}

/// Whether a peer of this identification knows what OpenSSH's has and announces nowhere (`eow@openssh.com`,
/// `no-more-sessions@openssh.com`): OpenSSH, and what this library makes.
pub(super) fn knows_extensions(identification: &[u8]) -> bool {
    [&b"SSH-2.0-OpenSSH"[..], b"SSH-2.0-strombus_"]
        .iter()
        .any(|software| identification.starts_with(software))
}

#[cfg(test)]
mod tests {
    use super::knows_extensions;

    #[test]
    fn only_who_knows_openssh_s_extensions_is_sent_them() {
        for known in ["SSH-2.0-OpenSSH_9.2p1 Debian-2", "SSH-2.0-OpenSSH", "SSH-2.0-strombus_0.1.0"] {
            assert!(knows_extensions(known.as_bytes()), "{known}");
        }
        for other in ["SSH-2.0-dropbear_2026.94", "SSH-2.0-Go", "SSH-2.0-openssh", "SSH-1.99-OpenSSH_3", ""] {
            assert!(!knows_extensions(other.as_bytes()), "{other}");
        }
    }
}
