//! Keys that seal and open whole packets in place (RFC 4253 §6).
//!
//! `packet` is `packet_length ‖ padding_length ‖ payload ‖ padding`. One key serves one direction. It does not know when it
//! comes into use, nor what a payload is.

use super::cipher::{aes_ctr_hmac, aes_gcm, chacha20_poly1305};
use core::fmt;

/// A packet is not what was sealed; there is no more to say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unauthentic;

/// A cipher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// ChaCha20 and Poly1305 as OpenSSH puts them together.
    ChaCha20Poly1305,
    /// AES-GCM with 128 bits (RFC 5647).
    Aes128Gcm,
    /// AES-GCM with 256 bits (RFC 5647).
    Aes256Gcm,
    /// AES in counter mode with 256 bits (RFC 4344 §4).
    Aes256Ctr,
}

impl Cipher {
    /// Bytes of key.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::ChaCha20Poly1305 => 64,
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm | Self::Aes256Ctr => 32,
        }
    }

    /// Bytes of initial IV.
    #[must_use]
    pub const fn iv_len(self) -> usize {
        match self {
            Self::ChaCha20Poly1305 => 0,
            Self::Aes128Gcm | Self::Aes256Gcm => 12,
            Self::Aes256Ctr => 16,
        }
    }

    /// Whether it authenticates what it encrypts, so that it needs no MAC.
    #[must_use]
    pub const fn is_aead(self) -> bool {
        match self {
            Self::ChaCha20Poly1305 | Self::Aes128Gcm | Self::Aes256Gcm => true,
            Self::Aes256Ctr => false,
        }
    }
}

/// A MAC for a cipher that needs one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mac {
    /// HMAC-SHA-256 over the plaintext (RFC 6668).
    HmacSha256,
    /// HMAC-SHA-256 over the ciphertext, the length in clear (OpenSSH's PROTOCOL §1.5).
    HmacSha256Etm,
}

impl Mac {
    /// Bytes of key.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::HmacSha256 | Self::HmacSha256Etm => 32,
        }
    }

    /// Whether it is over the ciphertext.
    pub(super) const fn is_etm(self) -> bool {
        match self {
            Self::HmacSha256 => false,
            Self::HmacSha256Etm => true,
        }
    }
}

/// What both directions share: the sizes that framing needs.
macro_rules! sizes {
    () => {
        /// What the padded part is a multiple of (bytes).
        #[must_use]
        pub const fn block_len(&self) -> usize {
            match self {
                Self::Clear | Self::ChaCha20Poly1305(_) => 8,
                Self::AesGcm(_) | Self::AesCtrHmac(_) => 16,
            }
        }

        /// Bytes at the beginning that are not part of that: 4 where `packet_length` is not encrypted with the rest.
        #[must_use]
        pub const fn unpadded_len(&self) -> usize {
            match self {
                Self::Clear => 0,
                Self::ChaCha20Poly1305(_) | Self::AesGcm(_) => 4,
                Self::AesCtrHmac(key) => {
                    if key.is_etm() {
                        4
                    } else {
                        0
                    }
                }
            }
        }

        /// Bytes after the packet.
        #[must_use]
        pub const fn tag_len(&self) -> usize {
            match self {
                Self::Clear => 0,
                Self::ChaCha20Poly1305(_) | Self::AesGcm(_) => 16,
                Self::AesCtrHmac(_) => aes_ctr_hmac::TAG_LEN,
            }
        }
    };
}

/// Seals the packets of one direction.
pub enum SealingKey {
    /// No keys yet.
    Clear,
    /// `chacha20-poly1305@openssh.com`.
    ChaCha20Poly1305(Box<chacha20_poly1305::Sealing>),
    /// `aes128-gcm@openssh.com` and `aes256-gcm@openssh.com`.
    AesGcm(Box<aes_gcm::Key>),
    /// `aes256-ctr` with a MAC.
    AesCtrHmac(Box<aes_ctr_hmac::Key>),
}

impl SealingKey {
    sizes!();

    /// `None` if a length is wrong, or the MAC is missing.
    #[must_use]
    pub fn new(cipher: Cipher, mac: Option<Mac>, key: &[u8], iv: &[u8], mac_key: &[u8]) -> Option<Self> {
        Some(match cipher {
            Cipher::ChaCha20Poly1305 => Self::ChaCha20Poly1305(Box::new(chacha20_poly1305::sealing(key)?)),
            Cipher::Aes128Gcm | Cipher::Aes256Gcm => {
                Self::AesGcm(Box::new(aes_gcm::Key::new(cipher, key, iv)?))
            }
            Cipher::Aes256Ctr => Self::AesCtrHmac(Box::new(aes_ctr_hmac::Key::new(key, iv, mac?, mac_key)?)),
        })
    }

    /// Encrypts `packet` where it stands and fills `tag`, which is [`tag_len`](Self::tag_len) long.
    pub fn seal_in_place(&mut self, sequence_number: u32, packet: &mut [u8], tag: &mut [u8]) {
        match self {
            Self::Clear => {}
            Self::ChaCha20Poly1305(key) => chacha20_poly1305::seal(key, sequence_number, packet, tag),
            Self::AesGcm(key) => key.seal(packet, tag),
            Self::AesCtrHmac(key) => key.seal(sequence_number, packet, tag),
        }
    }
}

/// Opens the packets of the other direction.
pub enum OpeningKey {
    /// No keys yet.
    Clear,
    /// `chacha20-poly1305@openssh.com`.
    ChaCha20Poly1305(Box<chacha20_poly1305::Opening>),
    /// `aes128-gcm@openssh.com` and `aes256-gcm@openssh.com`.
    AesGcm(Box<aes_gcm::Key>),
    /// `aes256-ctr` with a MAC.
    AesCtrHmac(Box<aes_ctr_hmac::Key>),
}

impl OpeningKey {
    sizes!();

    /// `None` if a length is wrong, or the MAC is missing.
    #[must_use]
    pub fn new(cipher: Cipher, mac: Option<Mac>, key: &[u8], iv: &[u8], mac_key: &[u8]) -> Option<Self> {
        Some(match cipher {
            Cipher::ChaCha20Poly1305 => Self::ChaCha20Poly1305(Box::new(chacha20_poly1305::opening(key)?)),
            Cipher::Aes128Gcm | Cipher::Aes256Gcm => {
                Self::AesGcm(Box::new(aes_gcm::Key::new(cipher, key, iv)?))
            }
            Cipher::Aes256Ctr => Self::AesCtrHmac(Box::new(aes_ctr_hmac::Key::new(key, iv, mac?, mac_key)?)),
        })
    }

    /// Bytes that must be there before the length can be read.
    #[must_use]
    pub const fn first_len(&self) -> usize {
        match self {
            Self::Clear | Self::ChaCha20Poly1305(_) | Self::AesGcm(_) => 4,
            Self::AesCtrHmac(key) => key.first_len(),
        }
    }

    /// Whether a wrong length may show at once. False where the length is decrypted before anything is authenticated and
    /// with the payload's own key stream (RFC 4253 §6.4 with a cipher that is no AEAD).
    #[must_use]
    pub const fn may_report_length(&self) -> bool {
        match self {
            Self::Clear | Self::ChaCha20Poly1305(_) | Self::AesGcm(_) => true,
            Self::AesCtrHmac(key) => key.is_etm(),
        }
    }

    /// Reads `packet_length` from the first [`first_len`](Self::first_len) bytes; once a packet. It is not authentic yet.
    pub fn packet_length(&mut self, sequence_number: u32, first: &mut [u8]) -> u32 {
        let length = |first: &[u8]| first.first_chunk().map_or(0, |b| u32::from_be_bytes(*b));
        match self {
            Self::Clear | Self::AesGcm(_) => length(first),
            Self::ChaCha20Poly1305(key) => chacha20_poly1305::packet_length(key, sequence_number, first),
            Self::AesCtrHmac(key) => {
                key.open_first(first);
                length(first)
            }
        }
    }

    /// Checks and decrypts `sealed`, the packet and its tag; it begins with what [`packet_length`](Self::packet_length)
    /// left there. On an error nothing of it may be used.
    pub fn open_in_place(&mut self, sequence_number: u32, sealed: &mut [u8]) -> Result<(), Unauthentic> {
        match self {
            Self::Clear => Ok(()),
            Self::ChaCha20Poly1305(key) => chacha20_poly1305::open(key, sequence_number, sealed),
            Self::AesGcm(key) => key.open(sealed),
            Self::AesCtrHmac(key) => key.open(sequence_number, sealed),
        }
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

impl fmt::Debug for OpeningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpeningKey(..)")
    }
}
