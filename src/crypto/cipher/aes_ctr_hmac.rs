//! AES in counter mode (RFC 4344 §4) with HMAC-SHA-256, over the plaintext (RFC 4253 §6.4) or over the ciphertext with the
//! length in clear (OpenSSH's PROTOCOL §1.5).

use crate::crypto::{Mac, Unauthentic};
use aes::Aes256;
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq;

pub(in crate::crypto) const TAG_LEN: usize = 32;

const BLOCK_LEN: usize = 16;

type Ctr = ctr::Ctr128BE<Aes256>;

/// A key of either direction.
pub struct Key {
    cipher: Ctr,
    mac: Hmac<Sha256>,
    kind: Mac,
}

impl Key {
    pub(in crate::crypto) fn new(key: &[u8], iv: &[u8], kind: Mac, mac_key: &[u8]) -> Option<Self> {
        let mac = (mac_key.len() == kind.key_len()).then(|| Hmac::new_from_slice(mac_key).ok())??;
        Some(Self { cipher: Ctr::new_from_slices(key, iv).ok()?, mac, kind })
    }

    pub(in crate::crypto) const fn is_etm(&self) -> bool {
        self.kind.is_etm()
    }

    /// The length in clear, or the block that it is encrypted in.
    pub(in crate::crypto) const fn first_len(&self) -> usize {
        if self.is_etm() { 4 } else { BLOCK_LEN }
    }

    pub(in crate::crypto) fn seal(&mut self, sequence_number: u32, packet: &mut [u8], tag: &mut [u8]) {
        if self.is_etm() {
            self.cipher.apply_keystream(packet.get_mut(4..).unwrap_or_default());
            tag.copy_from_slice(&self.tag(sequence_number, packet));
        } else {
            tag.copy_from_slice(&self.tag(sequence_number, packet));
            self.cipher.apply_keystream(packet);
        }
    }

    /// Decrypts the block that holds the length, where the length is encrypted.
    pub(in crate::crypto) fn open_first(&mut self, first: &mut [u8]) {
        if !self.is_etm() {
            self.cipher.apply_keystream(first);
        }
    }

    pub(in crate::crypto) fn open(
        &mut self,
        sequence_number: u32,
        sealed: &mut [u8],
    ) -> Result<(), Unauthentic> {
        let (packet, tag) = sealed.split_last_chunk_mut::<TAG_LEN>().ok_or(Unauthentic)?;
        if !self.is_etm() {
            self.cipher.apply_keystream(packet.get_mut(BLOCK_LEN..).unwrap_or_default());
        }
        if !bool::from(self.tag(sequence_number, packet).ct_eq(tag)) {
            return Err(Unauthentic);
        }
        if self.is_etm() {
            self.cipher.apply_keystream(packet.get_mut(4..).unwrap_or_default());
        }
        Ok(())
    }

    fn tag(&self, sequence_number: u32, packet: &[u8]) -> [u8; TAG_LEN] {
        let mut mac = self.mac.clone();
        mac.update(&sequence_number.to_be_bytes());
        mac.update(packet);
        mac.finalize().into_bytes().into()
    }
}
