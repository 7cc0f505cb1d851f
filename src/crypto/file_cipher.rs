//! The ciphers of encrypted key files: AES in CTR, CBC and GCM, and the parts of chacha20-poly1305@openssh.com.
//!
//! A file is one message under a key of its own, so there is no sequence number, no length in front and nothing that is
//! authenticated in clear: what [`SealingKey`](super::SealingKey) does for packets does not fit. CBC is for reading old
//! files. It does not know how a file names a cipher, nor how what it decrypts is padded.

use aes::{Aes128, Aes192, Aes256};
use cbc::Decryptor;
use cbc::cipher::{Block, BlockModeDecrypt, KeyIvInit, StreamCipher};
use ctr::Ctr128BE;
use ring::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use subtle::ConstantTimeEq;

use super::Unauthentic;
use super::cipher::chacha20_poly1305;

/// A cipher with the length of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileCipher {
    Aes128Ctr,
    Aes192Ctr,
    Aes256Ctr,
    Aes128Cbc,
    Aes192Cbc,
    Aes256Cbc,
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
}

impl FileCipher {
    pub(crate) const fn key_len(self) -> usize {
        match self {
            Self::Aes128Ctr | Self::Aes128Cbc | Self::Aes128Gcm => 16,
            Self::Aes192Ctr | Self::Aes192Cbc => 24,
            Self::Aes256Ctr | Self::Aes256Cbc | Self::Aes256Gcm => 32,
            // The second half would encrypt a packet's length.
            Self::ChaCha20Poly1305 => 64,
        }
    }

    pub(crate) const fn iv_len(self) -> usize {
        match self {
            Self::ChaCha20Poly1305 => 0,
            Self::Aes128Gcm | Self::Aes256Gcm => aead::NONCE_LEN,
            _ => 16,
        }
    }

    /// Plaintexts are padded to a multiple of this, by OpenSSH also where the cipher needs none.
    pub(crate) const fn block_len(self) -> usize {
        if matches!(self, Self::ChaCha20Poly1305) { 8 } else { 16 }
    }

    /// Bytes of the tag; 0 where nothing is authenticated.
    pub(crate) const fn tag_len(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm | Self::ChaCha20Poly1305 => 16,
            _ => 0,
        }
    }

    /// Decrypts `bytes` in place. Fails if the tag does not hold, with `bytes` still encrypted or zeroed, and for wrong
    /// lengths.
    pub(crate) fn decrypt(
        self,
        key: &[u8],
        iv: &[u8],
        bytes: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Unauthentic> {
        if tag.len() != self.tag_len() || iv.len() != self.iv_len() {
            return Err(Unauthentic);
        }
        match self {
            Self::Aes128Ctr => ctr::<Ctr128BE<Aes128>>(key, iv, bytes),
            Self::Aes192Ctr => ctr::<Ctr128BE<Aes192>>(key, iv, bytes),
            Self::Aes256Ctr => ctr::<Ctr128BE<Aes256>>(key, iv, bytes),
            Self::Aes128Cbc => cbc::<Decryptor<Aes128>>(key, iv, bytes),
            Self::Aes192Cbc => cbc::<Decryptor<Aes192>>(key, iv, bytes),
            Self::Aes256Cbc => cbc::<Decryptor<Aes256>>(key, iv, bytes),
            Self::Aes128Gcm => gcm(&aead::AES_128_GCM, key, iv, bytes, tag),
            Self::Aes256Gcm => gcm(&aead::AES_256_GCM, key, iv, bytes, tag),
            Self::ChaCha20Poly1305 => chacha(key, bytes, tag),
        }
    }

    /// Encrypts `bytes` in place with aes256-ctr, the one cipher that files are written with.
    pub(crate) fn encrypt_aes256_ctr(key: &[u8], iv: &[u8], bytes: &mut [u8]) -> Result<(), Unauthentic> {
        ctr::<Ctr128BE<Aes256>>(key, iv, bytes)
    }
}

fn ctr<C: KeyIvInit + StreamCipher>(key: &[u8], iv: &[u8], bytes: &mut [u8]) -> Result<(), Unauthentic> {
    let mut cipher = C::new_from_slices(key, iv).map_err(|_| Unauthentic)?;
    cipher.try_apply_keystream(bytes).map_err(|_| Unauthentic)
}

fn cbc<C: KeyIvInit + BlockModeDecrypt>(key: &[u8], iv: &[u8], bytes: &mut [u8]) -> Result<(), Unauthentic> {
    let mut cipher = C::new_from_slices(key, iv).map_err(|_| Unauthentic)?;
    let (blocks, rest) = Block::<C>::slice_as_chunks_mut(bytes);
    if !rest.is_empty() {
        return Err(Unauthentic);
    }
    cipher.decrypt_blocks(blocks);
    Ok(())
}

fn gcm(
    algorithm: &'static aead::Algorithm,
    key: &[u8],
    iv: &[u8],
    bytes: &mut [u8],
    tag: &[u8],
) -> Result<(), Unauthentic> {
    let key = LessSafeKey::new(UnboundKey::new(algorithm, key).map_err(|_| Unauthentic)?);
    let nonce = Nonce::try_assume_unique_for_key(iv).map_err(|_| Unauthentic)?;
    let tag = tag.try_into().map_err(|_| Unauthentic)?;
    key.open_in_place_separate_tag(nonce, Aad::empty(), tag, bytes, 0..).map_err(|_| Unauthentic)?;
    Ok(())
}

/// With sequence number 0 and no length in front (draft-ietf-sshm-chacha20-poly1305).
fn chacha(key: &[u8], bytes: &mut [u8], tag: &[u8]) -> Result<(), Unauthentic> {
    let (main_key, _) = key.split_first_chunk::<32>().ok_or(Unauthentic)?;
    let (mut cipher, mac) = chacha20_poly1305::begin(main_key, 0);
    if !bool::from(mac.compute_unpadded(bytes).as_slice().ct_eq(tag)) {
        return Err(Unauthentic);
    }
    cipher.try_apply_keystream(bytes).map_err(|_| Unauthentic)
}
