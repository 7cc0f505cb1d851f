//! When keys are renewed (RFC 4253 §9, RFC 4344 §3).

use super::{Transport, side::KexSide};
use core::time::Duration;
use std::time::Instant;

/// How long and for how much one set of keys is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RekeyLimit {
    /// Bytes in one direction.
    pub bytes: u64,
    /// Time since the last exchange began to use its keys.
    pub time: Duration,
}

impl Default for RekeyLimit {
    /// 1 GiB or one hour, as RFC 4253 §9 advises.
    fn default() -> Self {
        Self { bytes: 1 << 30, time: Duration::from_secs(3600) }
    }
}

/// Packets in one direction (RFC 4344 §3.1).
pub const REKEY_PACKETS: u64 = 1 << 31;

impl<S: KexSide> Transport<S> {
    /// Starts an exchange if the keys have served enough. Never before a user is authenticated.
    pub(super) fn start_kex_if_due(&mut self) {
        let limit = S::transport_config(&self.link.config).rekey_limit;
        let spent = |(packets, bytes)| packets >= REKEY_PACKETS || bytes >= limit.bytes;
        let due = spent(self.link.send.used())
            || spent(self.link.recv.used())
            || self.rekey_at().is_some_and(|at| self.link.now >= at);
        if due && self.authenticated {
            self.start_kex();
        }
    }

    /// When time alone asks for an exchange.
    pub(super) fn rekey_at(&self) -> Option<Instant> {
        let limit = S::transport_config(&self.link.config).rekey_limit;
        self.link.keyed_at.checked_add(limit.time).filter(|_| self.authenticated)
    }
}
