//! `cat`: what comes goes back.
//!
//! What the channel does not take waits here, and no credit is given for it until it has gone: so no more than the channel's
//! window waits. This knows no peer and no command.

use std::collections::VecDeque;
use strombus::connection::Channel;
use strombus::transport::{Error, Server};

/// What is still to go back on a channel.
#[derive(Default)]
pub struct Echo {
    waiting: VecDeque<u8>,
    /// No more comes.
    is_ended: bool,
}

impl Echo {
    /// Something came.
    pub fn take(&mut self, mut channel: Channel<'_, Server>, data: &[u8]) -> Result<(), Error> {
        let sent = if self.waiting.is_empty() { channel.write(data) } else { 0 };
        self.waiting.extend(data.get(sent..).unwrap_or_default());
        channel.adjust_window(sent)
    }

    /// The input has ended.
    pub const fn end(&mut self) {
        self.is_ended = true;
    }

    /// Sends as far as the channel takes it; whether that was all there will be.
    pub fn proceed(&mut self, mut channel: Channel<'_, Server>) -> Result<bool, Error> {
        loop {
            let sent = channel.write(self.waiting.as_slices().0);
            if sent == 0 {
                return Ok(self.is_ended && self.waiting.is_empty());
            }
            self.waiting.drain(..sent);
            channel.adjust_window(sent)?;
        }
    }
}
