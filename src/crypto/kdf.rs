//! Derivation of keys from an exchange (RFC 4253 §7.2).

use super::hash::{Digest, Hash, HashState};
use super::kex::SharedSecret;

/// Fills `out` with the key that `letter` names: HASH(K ‖ H ‖ letter ‖ session_id), and as much more by
/// HASH(K ‖ H ‖ all so far) as `out` takes.
pub fn derive(hash: Hash, k: &SharedSecret, h: &[u8], letter: u8, session_id: &[u8], out: &mut [u8]) {
    let mut so_far = HashState::new(hash);
    so_far.update(k.encoded());
    so_far.update(h);
    let mut block = so_far.clone();
    block.update(&[letter]);
    block.update(session_id);
    let mut block = block.finish();
    let mut rest = out;
    while !rest.is_empty() {
        rest = give(rest, &block);
        so_far.update(block.as_bytes());
        block = so_far.clone().finish();
    }
}

fn give<'o>(out: &'o mut [u8], block: &Digest) -> &'o mut [u8] {
    let bytes = block.as_bytes();
    let (now, rest) = out.split_at_mut(bytes.len().min(out.len()));
    now.copy_from_slice(bytes.get(..now.len()).unwrap_or_default());
    rest
}
