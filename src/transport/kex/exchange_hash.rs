//! The exchange hash H (RFC 4253 §8, RFC 5656 §4).

use crate::crypto::hash::{Digest, Hash, HashState};
use crate::crypto::kex::SharedSecret;

/// H so far: `string V_C, V_S, I_C, I_S` are in.
pub struct ExchangeHash {
    hash: Hash,
    state: HashState,
}

impl ExchangeHash {
    pub(super) fn new(hash: Hash, v_c: &[u8], v_s: &[u8], i_c: &[u8], i_s: &[u8]) -> Self {
        let mut own = Self { hash, state: hash.start() };
        for field in [v_c, v_s, i_c, i_s] {
            own.string(field);
        }
        own
    }

    /// Adds `string K_S, Q_C, Q_S` and K, which brings its own encoding.
    pub(super) fn finish(mut self, k_s: &[u8], q_c: &[u8], q_s: &[u8], k: SharedSecret) -> Agreement {
        for field in [k_s, q_c, q_s] {
            self.string(field);
        }
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
