//! The hashes of exchange methods.

use core::fmt;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use zeroize::Zeroize;

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// FIPS 180-4, 32 bytes.
    Sha256,
    /// FIPS 180-4, 48 bytes.
    Sha384,
    /// FIPS 180-4, 64 bytes.
    Sha512,
}

/// The longest digest (bytes).
const DIGEST_MAX: usize = 64;

/// The output of a hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Digest {
    bytes: [u8; DIGEST_MAX],
    length: usize,
}

impl Digest {
    fn new(output: &[u8]) -> Self {
        let mut bytes = [0; DIGEST_MAX];
        let length = output.len().min(DIGEST_MAX);
        bytes[..length].copy_from_slice(&output[..length]);
        Self { bytes, length }
    }

    /// As many bytes as the hash gives.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)") // what keys are derived from may pass here
    }
}

impl Drop for Digest {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// A hash under way.
#[derive(Clone)]
pub enum HashState {
    /// SHA-256.
    Sha256(Sha256),
    /// SHA-384.
    Sha384(Sha384),
    /// SHA-512.
    Sha512(Sha512),
}

impl HashState {
    /// Of no input yet.
    #[must_use]
    pub fn new(hash: Hash) -> Self {
        match hash {
            Hash::Sha256 => Self::Sha256(Sha256::new()),
            Hash::Sha384 => Self::Sha384(Sha384::new()),
            Hash::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    /// More input.
    pub fn update(&mut self, input: &[u8]) {
        match self {
            Self::Sha256(state) => state.update(input),
            Self::Sha384(state) => state.update(input),
            Self::Sha512(state) => state.update(input),
        }
    }

    /// The digest of all input.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self {
            Self::Sha256(state) => Digest::new(&state.finalize()),
            Self::Sha384(state) => Digest::new(&state.finalize()),
            Self::Sha512(state) => Digest::new(&state.finalize()),
        }
    }
}
