//! aes128-ctr, aes192-ctr and aes256-ctr with an HMAC (RFC 4344 §4, RFC 4253 §6.4, RFC 6668, OpenSSH PROTOCOL §1.5).
//!
//! The counter runs on through all packets of a key. With etm the length is in clear, and the MAC covers the ciphertext
//! and is checked first. With the plain MAC the length is encrypted with the rest and the MAC covers the plaintext, so
//! the first block is decrypted before anything is known to be authentic, and the rest before the MAC is checked.
//!
//! Key stream and MAC go over a packet one after the other, each in one piece: by turns over pieces of 1 to 16 KiB, so that
//! the second finds its bytes in the nearest cache, they are one to eight in a hundred slower at 32 KiB.

use aes::{Aes128Enc, Aes192Enc, Aes256Enc};
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, KeyInit, Mac as _};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use crate::crypto::Unauthentic;
use crate::crypto::seal::Mac;

pub(in crate::crypto) const BLOCK_LEN: usize = 16;

/// Seals or opens packets: the state of both is the same.
pub struct AesCtrHmac {
    key_stream: KeyStream,
    mac: KeyedMac,
    encrypt_then_mac: bool,
}

impl AesCtrHmac {
    /// AES-128, AES-192 or AES-256 by the length of `key`. The caller has checked the length of `mac_key`: HMAC itself
    /// takes any.
    pub(in crate::crypto) fn new(mac: Mac, key: &[u8], iv: &[u8], mac_key: &[u8]) -> Option<Self> {
        Some(Self {
            key_stream: KeyStream::new(key, iv)?,
            mac: KeyedMac::new(mac, mac_key)?,
            encrypt_then_mac: mac.is_etm(),
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

    pub(in crate::crypto) const fn tag_len(&self) -> usize {
        self.mac.tag_len()
    }

    /// `None` if `packet` has no length field or `tag` a wrong length.
    pub(in crate::crypto) fn seal(
        &mut self,
        sequence_number: u32,
        packet: &mut [u8],
        tag: &mut [u8],
    ) -> Option<()> {
        if self.encrypt_then_mac {
            self.key_stream.apply(packet.get_mut(4..)?)?;
            self.mac.authenticate(sequence_number, packet, tag)
        } else {
            self.mac.authenticate(sequence_number, packet, tag)?;
            self.key_stream.apply(packet)
        }
    }

    /// With the plain MAC, decrypts the first block in place.
    pub(in crate::crypto) fn packet_length(&mut self, first: &mut [u8]) -> Option<u32> {
        if !self.encrypt_then_mac {
            self.key_stream.apply(first)?;
        }
        first.first_chunk().map(|length| u32::from_be_bytes(*length))
    }

    /// What fails under the plain MAC has been decrypted: the caller wipes it.
    pub(in crate::crypto) fn open(
        &mut self,
        sequence_number: u32,
        sealed: &mut [u8],
    ) -> Result<(), Unauthentic> {
        let packet_len = sealed.len().checked_sub(self.tag_len()).ok_or(Unauthentic)?;
        let (packet, tag) = sealed.split_at_mut_checked(packet_len).ok_or(Unauthentic)?;
        if self.encrypt_then_mac {
            self.mac.verify(sequence_number, packet, tag)?;
            self.decrypt_rest(packet)
        } else {
            self.decrypt_rest(packet)?;
            self.mac.verify(sequence_number, packet, tag)
        }
    }

    /// Decrypts what [`Self::packet_length`] has left encrypted.
    fn decrypt_rest(&mut self, packet: &mut [u8]) -> Result<(), Unauthentic> {
        let rest = packet.get_mut(self.first_len()..).ok_or(Unauthentic)?;
        self.key_stream.apply(rest).ok_or(Unauthentic)
    }
}

/// The counter runs on from call to call.
enum KeyStream {
    Aes128(Ctr128BE<Aes128Enc>),
    Aes192(Ctr128BE<Aes192Enc>),
    Aes256(Ctr128BE<Aes256Enc>),
}

impl KeyStream {
    fn new(key: &[u8], iv: &[u8]) -> Option<Self> {
        match key.len() {
            16 => Ctr128BE::new_from_slices(key, iv).map(Self::Aes128).ok(),
            24 => Ctr128BE::new_from_slices(key, iv).map(Self::Aes192).ok(),
            32 => Ctr128BE::new_from_slices(key, iv).map(Self::Aes256).ok(),
            _ => None,
        }
    }

    fn apply(&mut self, bytes: &mut [u8]) -> Option<()> {
        match self {
            Self::Aes128(cipher) => cipher.try_apply_keystream(bytes).ok(),
            Self::Aes192(cipher) => cipher.try_apply_keystream(bytes).ok(),
            Self::Aes256(cipher) => cipher.try_apply_keystream(bytes).ok(),
        }
    }
}

/// Keyed, with nothing appended: each packet starts from a copy, which saves two blocks of hashing.
enum KeyedMac {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha512(Hmac<Sha512>),
}

impl KeyedMac {
    fn new(mac: Mac, key: &[u8]) -> Option<Self> {
        match mac {
            Mac::HmacSha1 | Mac::HmacSha1Etm => Hmac::new_from_slice(key).map(Self::Sha1).ok(),
            Mac::HmacSha256 | Mac::HmacSha256Etm => Hmac::new_from_slice(key).map(Self::Sha256).ok(),
            Mac::HmacSha512 | Mac::HmacSha512Etm => Hmac::new_from_slice(key).map(Self::Sha512).ok(),
        }
    }

    const fn tag_len(&self) -> usize {
        match self {
            Self::Sha1(_) => Mac::HmacSha1.tag_len(),
            Self::Sha256(_) => Mac::HmacSha256.tag_len(),
            Self::Sha512(_) => Mac::HmacSha512.tag_len(),
        }
    }

    /// `None` if `tag` has a wrong length.
    fn authenticate(&self, sequence_number: u32, packet: &[u8], tag: &mut [u8]) -> Option<()> {
        match self {
            Self::Sha1(keyed) => authenticate(keyed, sequence_number, packet, tag),
            Self::Sha256(keyed) => authenticate(keyed, sequence_number, packet, tag),
            Self::Sha512(keyed) => authenticate(keyed, sequence_number, packet, tag),
        }
    }

    /// Compares in constant time.
    fn verify(&self, sequence_number: u32, packet: &[u8], tag: &[u8]) -> Result<(), Unauthentic> {
        match self {
            Self::Sha1(keyed) => begin(keyed, sequence_number, packet).verify_slice(tag),
            Self::Sha256(keyed) => begin(keyed, sequence_number, packet).verify_slice(tag),
            Self::Sha512(keyed) => begin(keyed, sequence_number, packet).verify_slice(tag),
        }
        .map_err(|_| Unauthentic)
    }
}

/// The MAC of a packet, not finished.
fn begin<M: hmac::Mac + Clone>(keyed: &M, sequence_number: u32, packet: &[u8]) -> M {
    keyed.clone().chain_update(sequence_number.to_be_bytes()).chain_update(packet)
}

fn authenticate<M: hmac::Mac + Clone>(
    keyed: &M,
    sequence_number: u32,
    packet: &[u8],
    tag: &mut [u8],
) -> Option<()> {
    if tag.len() != M::output_size() {
        return None;
    }
    tag.copy_from_slice(&begin(keyed, sequence_number, packet).finalize().into_bytes());
    Some(())
}
