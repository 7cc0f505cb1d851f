//! The exchange hash H (RFC 4253 §8, RFC 4419 §3, RFC 5656 §4).

use crate::crypto::hash::{Digest, Hash, HashState};
use crate::crypto::kex::{Group, SharedSecret};
use crate::wire::message::KexDhGexRequest;

/// H so far: `string V_C, V_S, I_C, I_S` are in.
pub struct ExchangeHash {
    hash: Hash,
    state: HashState,
}

/// What a group exchange adds to H: what the client asked for, and the group it got.
pub struct ChosenGroup {
    pub(super) request: KexDhGexRequest,
    pub(super) group: Group,
}

impl ExchangeHash {
    pub(super) fn new(hash: Hash, v_c: &[u8], v_s: &[u8], i_c: &[u8], i_s: &[u8]) -> Self {
        let mut own = Self { hash, state: hash.start() };
        for field in [v_c, v_s, i_c, i_s] {
            own.string(field);
        }
        own
    }

    /// Adds `string K_S`, those of a group exchange, Q_C and Q_S (`string`, or the `mpint` e and f, which is a string of
    /// their bytes) and K, which brings its own encoding.
    pub(super) fn finish(
        mut self,
        k_s: &[u8],
        chosen: Option<&ChosenGroup>,
        q_c: &[u8],
        q_s: &[u8],
        k: SharedSecret,
    ) -> Agreement {
        self.string(k_s);
        if let Some(ChosenGroup { request: KexDhGexRequest { min, n, max }, group }) = chosen {
            for bits in [min, n, max] {
                self.state.update(&bits.to_be_bytes());
            }
            self.string(&group.p());
            self.string(&group.g());
        }
        self.string(q_c);
        self.string(q_s);
        self.state.update(k.encoded());
        Agreement { hash: self.hash, h: self.state.finish(), k }
    }

    fn string(&mut self, field: &[u8]) {
        self.state.update(&u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.state.update(field);
    }
}

/// What an exchange agreed upon; keys are derived from it.
pub struct Agreement {
    pub(super) hash: Hash,
    pub(super) h: Digest,
    pub(super) k: SharedSecret,
}
