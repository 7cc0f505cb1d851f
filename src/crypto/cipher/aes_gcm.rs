//! `aes128-gcm@openssh.com` and `aes256-gcm@openssh.com` (RFC 5647 §7), by ring.
//!
//! `packet_length` is in clear and is the additional data. The nonce is 4 fixed bytes and an invocation counter of 8, both
//! from the initial IV; it does not depend on the sequence number.

use crate::crypto::{Cipher, Unauthentic};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

const TAG_LEN: usize = 16;

/// A key of either direction.
pub struct Key {
    key: LessSafeKey,
    fixed: [u8; 4],
    invocation: u64,
}

impl Key {
    pub(in crate::crypto) fn new(cipher: Cipher, key: &[u8], iv: &[u8]) -> Option<Self> {
        let algorithm = if cipher == Cipher::Aes128Gcm { &AES_128_GCM } else { &AES_256_GCM };
        let (fixed, invocation) = iv.split_first_chunk::<4>()?;
        Some(Self {
            key: LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?),
            fixed: *fixed,
            invocation: u64::from_be_bytes(invocation.try_into().ok()?),
        })
    }

    fn next_nonce(&mut self) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        let (fixed, invocation) = nonce.split_at_mut(4);
        fixed.copy_from_slice(&self.fixed);
        invocation.copy_from_slice(&self.invocation.to_be_bytes());
        self.invocation = self.invocation.wrapping_add(1);
        Nonce::assume_unique_for_key(nonce)
    }

    pub(in crate::crypto) fn seal(&mut self, packet: &mut [u8], tag: &mut [u8]) {
        let nonce = self.next_nonce();
        let Some((length, rest)) = packet.split_first_chunk_mut::<4>() else { return };
        // ring fails only beyond 64 GiB; then the tag stays zero and nobody takes the packet.
        if let Ok(made) = self.key.seal_in_place_separate_tag(nonce, Aad::from(*length), rest) {
            tag.copy_from_slice(made.as_ref());
        }
    }

    pub(in crate::crypto) fn open(&mut self, sealed: &mut [u8]) -> Result<(), Unauthentic> {
        let nonce = self.next_nonce();
        let (length, rest) = sealed.split_first_chunk_mut::<4>().ok_or(Unauthentic)?;
        if rest.len() < TAG_LEN {
            return Err(Unauthentic);
        }
        self.key.open_in_place(nonce, Aad::from(*length), rest).map(drop).map_err(|_| Unauthentic)
    }
}
