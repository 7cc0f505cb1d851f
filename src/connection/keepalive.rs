//! Whether a silent peer is still there: `keepalive@openssh.com` (OpenSSH PROTOCOL, ssh_config(5) `ServerAliveInterval`,
//! sshd_config(5) `ClientAliveInterval`).
//!
//! Any packet of the peer's is a sign of life, not only an answer: peers that answer no unknown request exist. It knows times
//! that it is told, and no clock.

use core::time::Duration;
use std::time::Instant;

/// How a silent peer is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// It is asked after each such time without a packet of its; never if it is zero.
    pub interval: Duration,
    /// So often in vain; after another interval the connection ends, [`TimedOut`](crate::transport::Error::TimedOut). As
    /// OpenSSH has it.
    pub count_max: u32,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Ask,
    GiveUp,
}

#[derive(Debug)]
pub(super) struct Watch {
    keepalive: Keepalive,
    heard: Instant,
    /// It does not move with each packet, so that whoever keeps it moves nothing either.
    due: Instant,
    asked: u32,
}

impl Watch {
    pub(super) fn new(keepalive: Keepalive, now: Instant) -> Self {
        Self { keepalive, heard: now, due: now + keepalive.interval, asked: 0 }
    }

    /// A packet came.
    pub(super) const fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.asked = 0;
    }

    pub(super) const fn due(&self) -> Instant {
        self.due
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Due {
        if now < self.due {
            return Due::Nothing;
        }
        let silent_until = self.heard + self.keepalive.interval;
        if self.asked == 0 && now < silent_until {
            self.due = silent_until;
            return Due::Nothing;
        }
        self.due = now + self.keepalive.interval;
        if self.asked >= self.keepalive.count_max {
            return Due::GiveUp;
        }
        self.asked += 1;
        Due::Ask
    }
}
