//! What the application is told.

use super::{ChannelId, ChannelType, GlobalEvent, Request};
use crate::userauth::UserauthSide;

/// What one call of [`handle_input`](super::Connection::handle_input) did: at most one packet.
#[derive(Debug)]
#[must_use]
pub enum Step<E> {
    /// No whole packet is in the buffer.
    NeedInput,
    /// A question to the application is open, or an answer is being delayed: no packet is taken until then.
    NeedVerdict,
    /// A packet that the application need not know of.
    Progress,
    /// A packet that it should.
    Event(E),
}

/// Something happened. It borrows the receive buffer, not the connection.
pub enum Event<'b, S: UserauthSide> {
    /// Of the key exchange: a client is asked whether the host key is the server's.
    Kex(S::KexEvent<'b>),
    /// Of the login.
    Userauth(S::UserauthEvent<'b>),
    /// The login is complete; channels may be opened. A server may let in who showed nothing: a client that wants to have been
    /// asked for a credential looks whether it was, and disconnects otherwise; nothing has gone out yet.
    Authenticated,
    /// Of the connection as a whole.
    Global(GlobalEvent),
    /// Of a channel.
    Channel(ChannelId, ChannelEvent<'b>),
}

/// Something happened to a channel.
#[derive(Debug, PartialEq, Eq)]
pub enum ChannelEvent<'b> {
    /// The peer asks for a channel (RFC 4254 §5.1): [`accept_channel`](super::Connection::accept_channel) or
    /// [`refuse_channel`](super::Connection::refuse_channel), now or later. A client is asked only for what it has asked
    /// for itself, and a server for nothing but sessions unless it [forwards](super::Connection::expect_forwarding).
    OpenRequest {
        /// What for.
        channel_type: ChannelType<'b>,
    },
    /// The peer accepted a channel that we opened.
    Opened,
    /// The peer refused it; the channel is gone.
    OpenFailure {
        /// RFC 4254 §5.1.
        reason_code: u32,
        /// A text of the peer's; escape it before it is shown.
        description: &'b [u8],
    },
    /// Data. [`adjust_window`](super::Channel::adjust_window) gives the credit back once it is dealt with.
    Data {
        /// Never empty.
        data: &'b [u8],
    },
    /// Data of the type SSH_EXTENDED_DATA_STDERR. Credit as for [`Data`](Self::Data).
    Stderr {
        /// Never empty.
        data: &'b [u8],
    },
    /// The peer sends no more data; we may.
    Eof,
    /// A request of the peer's. If it wants a reply, [`reply`](super::Channel::reply) answers requests in their order.
    Request {
        /// Which.
        request: Request<'b>,
        /// Whether a reply is owed.
        want_reply: bool,
    },
    /// Our oldest request that wanted a reply was granted or not.
    Reply {
        /// Granted.
        success: bool,
    },
    /// The channel is gone, on both sides.
    Closed,
}
