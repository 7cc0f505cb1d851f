//! Every block of `vectors/*.txt`, judged by the code that it is about.
//!
//! A test says beside its file name how many blocks it expects to end how; a block whose `RESULT` is not met, or that
//! nothing judged, fails it. Where the texts leave a case open (`RESULT = policy`) the test says what was decided and why.

mod aes_ctr;
mod aes_gcm;
mod aes_gcm_ssh;
mod chacha20_poly1305_openssh;
mod ed25519;
mod finite_field;
mod hmac;
mod kex_hash;
mod ml_kem;
mod mlkem768x25519;
mod nist_ecdh;
mod reader;
mod sha;
mod ssh_kdf;
mod wire;
mod x25519;

use strombus::crypto::Rng;

/// Gives out the bytes of a vector where the code asks for randomness.
struct Given<'a>(&'a [u8]);

impl Rng for Given<'_> {
    fn fill(&mut self, out: &mut [u8]) {
        let (given, rest) = self.0.split_at(out.len());
        out.copy_from_slice(given);
        self.0 = rest;
    }
}
