//! When keys are renewed (RFC 4253 §9, RFC 4344 §3).

use super::algorithms::{Direction, Negotiated};
use super::{Transport, side::KexSide};
use crate::wire::number::Sender;
use core::time::Duration;
use std::time::Instant;

/// How long and for how much one set of keys is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RekeyLimit {
    /// Bytes in one direction; never more than [the cipher](crate::crypto::Cipher::key_bytes_max) may.
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
        let Some(Negotiated { client_to_server, server_to_client, .. }) = &self.link.negotiated else {
            return;
        };
        let (sends, receives) = match S::ROLE {
            Sender::Client => (client_to_server, server_to_client),
            Sender::Server => (server_to_client, client_to_server),
        };
        let limit = S::transport_config(&self.link.config).rekey_limit;
        let spent = |(packets, bytes), direction: &Direction| {
            let bytes_max = limit.bytes.min(direction.cipher.algorithm.key_bytes_max());
            packets >= REKEY_PACKETS || bytes >= bytes_max
        };
        let due = spent(self.link.send.used(), sends)
            || spent(self.link.recv.used(), receives)
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
