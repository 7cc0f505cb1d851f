//! Global requests (RFC 4254 §4). None is known here, which is the right answer to `keepalive@openssh.com` too: any reply
//! proves life.

use crate::transport::{Error, KexSide, Transport};
use crate::wire::message::{GlobalRequest, RequestFailure};
use crate::wire::{Decode, Encode};

/// Takes a message of numbers 80 to 82. A reply that nobody asked for means nothing.
pub(super) fn handle<S: KexSide>(payload: &[u8], transport: &mut Transport<S>) -> Result<(), Error> {
    if payload.first() == Some(&GlobalRequest::NUMBER) && GlobalRequest::from_payload(payload)?.want_reply {
        transport.reply(&RequestFailure {})?;
    }
    Ok(())
}
