//! Every block of `vectors/*.txt`, judged by the code that it is about.
//!
//! A test says beside its file name how many blocks it expects to end how; a block whose `RESULT` is not met, or that
//! nothing judged, fails it. Where the texts leave a case open (`RESULT = policy`) the test says what was decided and why.

mod aes_ctr;
mod aes_gcm;
mod aes_gcm_ssh;
mod bcrypt_pbkdf;
mod certificates;
mod chacha20_poly1305_openssh;
mod ecdsa;
mod ed25519;
mod finite_field;
mod hmac;
mod kex_hash;
mod key_files;
mod ml_kem;
mod mlkem768x25519;
mod nist_ecdh;
mod reader;
mod rsa;
mod sha;
mod ssh_kdf;
mod sshsig;
mod userauth_signature;
mod wire;
mod x25519;

use strombus::crypto::Rng;
use strombus::wire::Writer;

/// Fields one after the other.
fn fields(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut Writer::new(&mut bytes));
    bytes
}

/// Fields as strings, one after the other.
fn strings(values: &[&[u8]]) -> Vec<u8> {
    fields(|w| values.iter().for_each(|value| w.string(value)))
}

/// Gives out the bytes of a vector where the code asks for randomness.
struct Given<'a>(&'a [u8]);

impl Rng for Given<'_> {
    fn fill(&mut self, out: &mut [u8]) {
        let (given, rest) = self.0.split_at(out.len());
        out.copy_from_slice(given);
        self.0 = rest;
    }
}
