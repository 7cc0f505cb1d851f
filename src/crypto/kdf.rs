//! Keys from a key exchange (RFC 4253 §7.2).
//!
//! It does not know what a key is for, nor how many are needed.

use zeroize::Zeroize;

use super::hash::Hash;
use super::kex::SharedSecret;

/// Fills `out` with HASH(K ‖ H ‖ `letter` ‖ `session_id`) and, where that is not enough, with HASH(K ‖ H ‖ all that came
/// before), as often as needed. `h` is the exchange hash; `letter` is one of `b'A'` to `b'F'`. It cannot fail, whatever
/// the length.
pub fn derive(hash: Hash, k: &SharedSecret, h: &[u8], letter: u8, session_id: &[u8], out: &mut [u8]) {
    let mut so_far = hash.start();
    so_far.update(k.encoded());
    so_far.update(h);
    for (i, part) in out.chunks_mut(hash.digest_len()).enumerate() {
        let mut state = so_far.clone();
        if i == 0 {
            state.update(&[letter]);
            state.update(session_id);
        }
        let mut digest = state.finish();
        so_far.update(digest.as_bytes());
        part.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
        digest.zeroize();
    }
}
