//! The hashes of key exchange methods and of key fingerprints (FIPS 180-4).
//!
//! It does not know what is hashed.

use core::fmt;

use sha2::Digest as _;
use zeroize::Zeroize;

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-1: legacy. It is broken as a fingerprint, and nothing here uses it as one.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// Bytes of a digest.
    #[must_use]
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Begins a digest.
    #[must_use]
    pub fn start(self) -> HashState {
        HashState(match self {
            Self::Sha1 => State::Sha1(sha1::Sha1::new()),
            Self::Sha256 => State::Sha256(sha2::Sha256::new()),
            Self::Sha384 => State::Sha384(sha2::Sha384::new()),
            Self::Sha512 => State::Sha512(sha2::Sha512::new()),
        })
    }

    /// The digest of `bytes` alone.
    #[must_use]
    pub fn digest(self, bytes: &[u8]) -> Digest {
        let mut state = self.start();
        state.update(bytes);
        state.finish()
    }
}

/// A digest that is being computed.
#[derive(Clone)]
pub struct HashState(State);

#[derive(Clone)]
enum State {
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
}

impl HashState {
    /// Appends to what is hashed.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha1(state) => state.update(bytes),
            State::Sha256(state) => state.update(bytes),
            State::Sha384(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// The digest of all that was appended.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self.0 {
            State::Sha1(state) => Digest::new(&state.finalize().0),
            State::Sha256(state) => Digest::new(&state.finalize().0),
            State::Sha384(state) => Digest::new(&state.finalize().0),
            State::Sha512(state) => Digest::new(&state.finalize().0),
        }
    }
}

impl fmt::Debug for HashState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashState(..)")
    }
}

/// The longest digest in bytes: that of SHA-512.
pub const DIGEST_MAX: usize = 64;

/// The outcome of a hash: 20, 32, 48 or 64 bytes. It is no secret by itself; where it is one, its owner wipes it.
#[derive(Clone, Copy, PartialEq, Eq, Zeroize)]
pub struct Digest {
    bytes: [u8; DIGEST_MAX],
    len: u8,
}

impl Digest {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }

    fn new<const N: usize>(digest: &[u8; N]) -> Self {
        const { assert!(N <= DIGEST_MAX) };
        let mut bytes = [0; DIGEST_MAX];
        let (filled, _) = bytes.split_at_mut(N);
        filled.copy_from_slice(digest);
        #[expect(clippy::cast_possible_truncation, reason = "at most DIGEST_MAX, asserted above")]
        Self { bytes, len: N as u8 }
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}
