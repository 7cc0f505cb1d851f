//! Sealing and opening of packets, in place, the same calls for every cipher (RFC 4253 §6).
//!
//! `packet` is `packet_length ‖ padding_length ‖ payload ‖ padding`, `sealed` is a packet with its tag behind it. Nothing
//! here allocates. It does not know how a packet is padded or how long one may be, nor when keys change.
//!
//! What is missing is missing on purpose. CBC tells plaintext by where a packet fails (CVE-2008-5161); 3DES and Blowfish
//! come in CBC only, with blocks of 64 bits. The key stream of arcfour is biased (RFC 8758). umac: every peer that offers
//! one offers an HMAC or an AEAD too.

use core::fmt;

use super::cipher::aes_ctr_hmac::{self, AesCtrHmac};
use super::cipher::aes_gcm::{self, AesGcm};
use super::cipher::chacha20_poly1305;

/// A packet cipher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// chacha20-poly1305@openssh.com.
    ChaCha20Poly1305,
    /// aes128-gcm@openssh.com.
    Aes128Gcm,
    /// aes256-gcm@openssh.com.
    Aes256Gcm,
    /// aes256-ctr, which needs a [`Mac`].
    Aes256Ctr,
    /// aes192-ctr, which needs a [`Mac`].
    Aes192Ctr,
    /// aes128-ctr, which needs a [`Mac`].
    Aes128Ctr,
}

impl Cipher {
    /// Bytes of the key.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::ChaCha20Poly1305 => chacha20_poly1305::KEY_LEN,
            Self::Aes128Gcm | Self::Aes128Ctr => 16,
            Self::Aes192Ctr => 24,
            Self::Aes256Gcm | Self::Aes256Ctr => 32,
        }
    }

    /// Bytes of the initial IV.
    #[must_use]
    pub const fn iv_len(self) -> usize {
        match self {
            Self::ChaCha20Poly1305 => 0,
            Self::Aes128Gcm | Self::Aes256Gcm => aes_gcm::IV_LEN,
            Self::Aes256Ctr | Self::Aes192Ctr | Self::Aes128Ctr => aes_ctr_hmac::BLOCK_LEN,
        }
    }

    /// Bytes that one key may serve for (RFC 4344 §3.2): a quarter of the blocks' bits, or 1 GiB where blocks are short. Of
    /// ChaCha20 OpenSSH says the same.
    #[must_use]
    pub const fn key_bytes_max(self) -> u64 {
        match self {
            Self::ChaCha20Poly1305 => 1 << 30,
            Self::Aes128Gcm | Self::Aes256Gcm | Self::Aes256Ctr | Self::Aes192Ctr | Self::Aes128Ctr => {
                (1 << 32) * aes_ctr_hmac::BLOCK_LEN as u64
            }
        }
    }

    /// Whether it authenticates by itself and takes no [`Mac`].
    #[must_use]
    pub const fn is_aead(self) -> bool {
        matches!(self, Self::ChaCha20Poly1305 | Self::Aes128Gcm | Self::Aes256Gcm)
    }
}

/// A message authentication code beside a cipher that has none. The plain ones cover the plaintext, those with etm the
/// ciphertext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mac {
    /// hmac-sha2-256-etm@openssh.com.
    HmacSha256Etm,
    /// hmac-sha2-512-etm@openssh.com.
    HmacSha512Etm,
    /// hmac-sha2-256.
    HmacSha256,
    /// hmac-sha2-512.
    HmacSha512,
    /// hmac-sha1-etm@openssh.com, for old peers.
    HmacSha1Etm,
    /// hmac-sha1, for old peers.
    HmacSha1,
}

impl Mac {
    /// Bytes of the key: as many as of the tag.
    #[must_use]
    pub const fn key_len(self) -> usize {
        self.tag_len()
    }

    /// Bytes of the tag: all of the hash.
    #[must_use]
    pub const fn tag_len(self) -> usize {
        match self {
            Self::HmacSha256 | Self::HmacSha256Etm => 32,
            Self::HmacSha512 | Self::HmacSha512Etm => 64,
            Self::HmacSha1 | Self::HmacSha1Etm => 20,
        }
    }

    /// Whether it covers the ciphertext.
    pub(super) const fn is_etm(self) -> bool {
        matches!(self, Self::HmacSha256Etm | Self::HmacSha512Etm | Self::HmacSha1Etm)
    }
}

/// A packet is not what the peer sealed. There is no detail: one would help only an attacker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unauthentic;

impl fmt::Display for Unauthentic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("packet is not authentic")
    }
}

impl core::error::Error for Unauthentic {}

/// Seals the packets of one direction.
pub type SealingKey = PacketKey<chacha20_poly1305::Sealing>;

/// Opens the packets of one direction.
pub type OpeningKey = PacketKey<chacha20_poly1305::Opening>;

/// The cipher state of one direction; `C` is the half of ChaCha20-Poly1305, the one cipher whose halves differ. Everything
/// is boxed: an idle connection is small.
pub enum PacketKey<C> {
    /// No encryption: before the first key exchange is done.
    Clear,
    /// chacha20-poly1305@openssh.com.
    ChaCha20Poly1305(Box<C>),
    /// aes128-gcm@openssh.com or aes256-gcm@openssh.com.
    AesGcm(Box<AesGcm>),
    /// aes128-ctr, aes192-ctr or aes256-ctr with a [`Mac`].
    AesCtrHmac(Box<AesCtrHmac>),
}

impl<C: chacha20_poly1305::Half> PacketKey<C> {
    /// `None` if a length is not that of the algorithm, or if `mac` is missing or one too many. An AEAD has no `mac` and
    /// an empty `mac_key`.
    #[must_use]
    pub fn new(cipher: Cipher, mac: Option<Mac>, key: &[u8], iv: &[u8], mac_key: &[u8]) -> Option<Self> {
        let right = key.len() == cipher.key_len()
            && iv.len() == cipher.iv_len()
            && mac.is_none() == cipher.is_aead()
            && mac_key.len() == mac.map_or(0, Mac::key_len);
        if !right {
            return None;
        }
        match cipher {
            Cipher::ChaCha20Poly1305 => C::new(key).map(Box::new).map(Self::ChaCha20Poly1305),
            Cipher::Aes128Gcm | Cipher::Aes256Gcm => AesGcm::new(key, iv).map(Box::new).map(Self::AesGcm),
            Cipher::Aes256Ctr | Cipher::Aes192Ctr | Cipher::Aes128Ctr => {
                AesCtrHmac::new(mac?, key, iv, mac_key).map(Box::new).map(Self::AesCtrHmac)
            }
        }
    }
}

impl<C> PacketKey<C> {
    /// What the padded part of a packet is a multiple of: 8 or 16 bytes.
    #[must_use]
    pub const fn block_len(&self) -> usize {
        match self {
            Self::Clear | Self::ChaCha20Poly1305(_) => 8,
            Self::AesGcm(_) | Self::AesCtrHmac(_) => aes_ctr_hmac::BLOCK_LEN,
        }
    }

    /// Bytes at the start of a packet that are not part of what is padded: 4 where `packet_length` is not encrypted with
    /// the rest, otherwise 0.
    #[must_use]
    pub const fn unpadded_len(&self) -> usize {
        match self {
            Self::Clear => 0,
            Self::ChaCha20Poly1305(_) | Self::AesGcm(_) => 4,
            Self::AesCtrHmac(key) => key.clear_len(),
        }
    }

    /// Bytes of the tag or MAC behind a packet.
    #[must_use]
    pub const fn tag_len(&self) -> usize {
        match self {
            Self::Clear => 0,
            Self::ChaCha20Poly1305(_) => chacha20_poly1305::TAG_LEN,
            Self::AesGcm(_) => aes_gcm::TAG_LEN,
            Self::AesCtrHmac(key) => key.tag_len(),
        }
    }
}

impl SealingKey {
    /// Encrypts `packet` in place and writes its tag.
    ///
    /// `packet` has its four bytes of length at least, `tag` has [`Self::tag_len`] bytes. Where that does not hold both
    /// are zeroed: nothing leaves in clear by a mistake of the caller's, and no peer takes it.
    pub fn seal_in_place(&mut self, sequence_number: u32, packet: &mut [u8], tag: &mut [u8]) {
        let sealed = match self {
            Self::Clear => Some(()),
            Self::ChaCha20Poly1305(key) => key.seal(sequence_number, packet, tag),
            Self::AesGcm(key) => key.seal(packet, tag),
            Self::AesCtrHmac(key) => key.seal(sequence_number, packet, tag),
        };
        if sealed.is_none() {
            packet.fill(0);
            tag.fill(0);
        }
    }
}

impl OpeningKey {
    /// Bytes that must be there before the length can be read: 4, or a block where the length is encrypted with the rest.
    #[must_use]
    pub const fn first_len(&self) -> usize {
        match self {
            Self::Clear | Self::ChaCha20Poly1305(_) | Self::AesGcm(_) => 4,
            Self::AesCtrHmac(key) => key.first_len(),
        }
    }

    /// Whether a wrong length must not show where it was found: true for encrypt-and-MAC, whose length is a decryption of
    /// bytes that an attacker chose from the stream (CVE-2008-5161). The caller then reads on to the longest packet
    /// before it fails, and fails as for a wrong tag.
    #[must_use]
    pub const fn hides_bad_length(&self) -> bool {
        match self {
            Self::Clear | Self::ChaCha20Poly1305(_) | Self::AesGcm(_) => false,
            Self::AesCtrHmac(key) => key.clear_len() == 0,
        }
    }

    /// The `packet_length` of the next packet, not authentic yet: the caller bounds it. Called once a packet with its
    /// first [`Self::first_len`] bytes, which may be decrypted in place. Where there are fewer, 0, which no packet has.
    pub fn packet_length(&mut self, sequence_number: u32, first: &mut [u8]) -> u32 {
        let length = match self {
            Self::Clear | Self::AesGcm(_) => first.first_chunk().map(|length| u32::from_be_bytes(*length)),
            Self::ChaCha20Poly1305(key) => {
                first.first_chunk().map(|length| key.packet_length(sequence_number, *length))
            }
            Self::AesCtrHmac(key) => key.packet_length(first),
        };
        length.unwrap_or(0)
    }

    /// Checks and decrypts a packet in place. `sealed` is all of it with its tag; it begins with the bytes that
    /// [`Self::packet_length`] left behind. Afterwards everything behind the four bytes of the length is plaintext; these
    /// themselves may still be encrypted.
    ///
    /// After [`Unauthentic`] all of `sealed` is zero, and the key is of no more use.
    pub fn open_in_place(&mut self, sequence_number: u32, sealed: &mut [u8]) -> Result<(), Unauthentic> {
        let opened = match self {
            Self::Clear => Ok(()),
            Self::ChaCha20Poly1305(key) => key.open(sequence_number, sealed),
            Self::AesGcm(key) => key.open(sealed),
            Self::AesCtrHmac(key) => key.open(sequence_number, sealed),
        };
        // Not every cipher can check before it decrypts: what it decrypted is not for anyone to see.
        opened.inspect_err(|_| sealed.fill(0))
    }
}

impl<C> fmt::Debug for PacketKey<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clear => "Clear",
            Self::ChaCha20Poly1305(_) => "ChaCha20Poly1305(..)",
            Self::AesGcm(_) => "AesGcm(..)",
            Self::AesCtrHmac(_) => "AesCtrHmac(..)",
        })
    }
}
