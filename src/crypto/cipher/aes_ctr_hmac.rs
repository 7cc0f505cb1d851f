//! aes256-ctr with hmac-sha2-256-etm@openssh.com or hmac-sha2-256 (RFC 4344 §4, RFC 6668, OpenSSH PROTOCOL §1.5).
//!
//! The counter runs on through all packets of a key. With etm the length is in clear, and the MAC covers the ciphertext
//! and is checked first. With the plain MAC the length is encrypted with the rest and the MAC covers the plaintext, so
//! the first block is decrypted before anything is known to be authentic, and the rest before the MAC is checked.

use aes::Aes256Enc;
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;

use crate::crypto::Unauthentic;
use crate::crypto::seal::Mac;

pub(in crate::crypto) const BLOCK_LEN: usize = 16;
pub(in crate::crypto) const TAG_LEN: usize = 32;

/// Seals or opens packets: the state of both is the same.
pub struct AesCtrHmac {
    cipher: ctr::Ctr128BE<Aes256Enc>,
    // Keyed, with nothing appended: each packet starts from a copy, which saves two blocks of hashing.
    mac: Hmac<Sha256>,
    encrypt_then_mac: bool,
}

impl AesCtrHmac {
    /// The caller has checked the length of `mac_key`: HMAC itself takes any.
    pub(in crate::crypto) fn new(mac: Mac, key: &[u8], iv: &[u8], mac_key: &[u8]) -> Option<Self> {
        Some(Self {
            cipher: ctr::Ctr128BE::new_from_slices(key, iv).ok()?,
            mac: Hmac::new_from_slice(mac_key).ok()?,
            encrypt_then_mac: matches!(mac, Mac::HmacSha256Etm),
        })
    }

    /// Bytes at the start of a packet that are sent in clear.
    pub(in crate::crypto) const fn clear_len(&self) -> usize {
        if self.encrypt_then_mac { 4 } else { 0 }
    }

    /// Bytes at the start of a packet that are needed to read its length.
    pub(in crate::crypto) const fn first_len(&self) -> usize {
        if self.encrypt_then_mac { 4 } else { BLOCK_LEN }
    }

    /// `None` if `packet` has no length field or `tag` a wrong length.
    pub(in crate::crypto) fn seal(
        &mut self,
        sequence_number: u32,
        packet: &mut [u8],
        tag: &mut [u8],
    ) -> Option<()> {
        let tag: &mut [u8; TAG_LEN] = tag.try_into().ok()?;
        let mac = self.mac(sequence_number);
        let authenticate = |packet: &[u8]| mac.chain_update(packet).finalize().into_bytes();
        if self.encrypt_then_mac {
            self.cipher.try_apply_keystream(packet.get_mut(4..)?).ok()?;
            tag.copy_from_slice(&authenticate(packet));
        } else {
            tag.copy_from_slice(&authenticate(packet));
            self.cipher.try_apply_keystream(packet).ok()?;
        }
        Some(())
    }

    /// With the plain MAC, decrypts the first block in place.
    pub(in crate::crypto) fn packet_length(&mut self, first: &mut [u8]) -> Option<u32> {
        if !self.encrypt_then_mac {
            self.cipher.try_apply_keystream(first).ok()?;
        }
        first.first_chunk().map(|length| u32::from_be_bytes(*length))
    }

    /// What fails under the plain MAC has been decrypted: the caller wipes it.
    pub(in crate::crypto) fn open(
        &mut self,
        sequence_number: u32,
        sealed: &mut [u8],
    ) -> Result<(), Unauthentic> {
        let (packet, tag) = sealed.split_last_chunk_mut::<TAG_LEN>().ok_or(Unauthentic)?;
        let mac = self.mac(sequence_number);
        // Compared in constant time.
        let verify = |packet: &[u8]| mac.chain_update(packet).verify((&*tag).into()).map_err(|_| Unauthentic);
        if self.encrypt_then_mac {
            verify(packet)?;
            self.decrypt_rest(packet)
        } else {
            self.decrypt_rest(packet)?;
            verify(packet)
        }
    }

    /// Decrypts what [`Self::packet_length`] has left encrypted.
    fn decrypt_rest(&mut self, packet: &mut [u8]) -> Result<(), Unauthentic> {
        let rest = packet.get_mut(self.first_len()..).ok_or(Unauthentic)?;
        self.cipher.try_apply_keystream(rest).map_err(|_| Unauthentic)
    }

    /// A MAC that covers the sequence number so far.
    fn mac(&self, sequence_number: u32) -> Hmac<Sha256> {
        self.mac.clone().chain_update(sequence_number.to_be_bytes())
    }
}
