//! aes128-gcm@openssh.com and aes256-gcm@openssh.com (RFC 5647 §7, draft-miller-sshm-aes-gcm).
//!
//! The length is in clear and is the additional data. The nonce is the packet's place under this key; the sequence number
//! has no part in it.

use ring::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::crypto::Unauthentic;

pub(in crate::crypto) const TAG_LEN: usize = aead::MAX_TAG_LEN;
pub(in crate::crypto) const IV_LEN: usize = aead::NONCE_LEN;

/// Seals or opens packets: the state of both is the same.
pub struct AesGcm {
    key: LessSafeKey,
    fixed: [u8; 4],
    invocation_counter: u64,
}

impl AesGcm {
    /// AES-128 or AES-256 by the length of `key`.
    pub(in crate::crypto) fn new(key: &[u8], iv: &[u8]) -> Option<Self> {
        let algorithm = match key.len() {
            16 => &aead::AES_128_GCM,
            32 => &aead::AES_256_GCM,
            _ => return None,
        };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?);
        let (fixed, counter) = iv.split_first_chunk()?;
        Some(Self { key, fixed: *fixed, invocation_counter: u64::from_be_bytes(counter.try_into().ok()?) })
    }

    /// `None` if `packet` has no length field, or `tag` or `packet` a wrong length.
    pub(in crate::crypto) fn seal(&mut self, packet: &mut [u8], tag: &mut [u8]) -> Option<()> {
        let nonce = self.next_nonce();
        let (packet_length, rest) = packet.split_first_chunk_mut::<4>()?;
        let tag: &mut [u8; TAG_LEN] = tag.try_into().ok()?;
        let sealed = self.key.seal_in_place_separate_tag(nonce, Aad::from(&*packet_length), rest).ok()?;
        tag.copy_from_slice(sealed.as_ref());
        Some(())
    }

    /// Decrypts and checks in one pass; what fails is zeroed before this returns.
    pub(in crate::crypto) fn open(&mut self, sealed: &mut [u8]) -> Result<(), Unauthentic> {
        let nonce = self.next_nonce();
        let (packet_length, rest) = sealed.split_first_chunk_mut::<4>().ok_or(Unauthentic)?;
        self.key.open_in_place(nonce, Aad::from(&*packet_length), rest).map(|_| ()).map_err(|_| Unauthentic)
    }

    /// The nonce of the next packet: four fixed bytes and a counter that wraps (RFC 5647 §7.1). Rekeying comes long
    /// before it would.
    fn next_nonce(&mut self) -> Nonce {
        let mut nonce = [0; IV_LEN];
        let (fixed, counter) = nonce.split_at_mut(self.fixed.len());
        fixed.copy_from_slice(&self.fixed);
        counter.copy_from_slice(&self.invocation_counter.to_be_bytes());
        self.invocation_counter = self.invocation_counter.wrapping_add(1);
        Nonce::assume_unique_for_key(nonce)
    }
}
