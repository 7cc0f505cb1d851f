//! Public keys, private keys and signatures, with their blobs (RFC 4253 §6.6).
//!
//! [`PublicKey::verify`] is the one place that decides whether an algorithm, a key and a signature belong together. It
//! does not know whether a key is trusted, nor what the signed bytes mean.

pub mod ed25519;

use core::fmt;

use base64ct::{Base64Unpadded, Encoding};

use super::hash::Hash;
use super::{Rng, Secret};
use crate::wire::{DecodeError, Reader, Writer};

/// A signature algorithm, as named in a negotiation or a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// ssh-ed25519 (RFC 8709).
    Ed25519,
}

impl SignatureAlgorithm {
    /// Every algorithm there is.
    pub const ALL: &[Self] = &[Self::Ed25519];

    /// The name in negotiations, in requests and in signature blobs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => ed25519::NAME,
        }
    }

    /// The algorithm of exactly this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|algorithm| algorithm.name() == name)
    }

    /// The type name in the blobs of the keys that it is used with; for some algorithms not its own name (RFC 8332 §3).
    #[must_use]
    pub const fn key_type(self) -> &'static str {
        match self {
            Self::Ed25519 => ed25519::NAME,
        }
    }
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// ssh-ed25519.
    Ed25519(ed25519::PublicKey),
}

impl PublicKey {
    /// Reads a public key blob, to its last byte.
    pub fn from_blob(blob: &[u8]) -> Result<Self, KeyError> {
        let mut r = Reader::new(blob);
        let key = match r.string()? {
            name if name == ed25519::NAME.as_bytes() => Self::Ed25519(ed25519::PublicKey::decode(&mut r)?),
            _ => return Err(KeyError::UnknownType),
        };
        r.finish()?;
        Ok(key)
    }

    /// The public key blob.
    #[must_use]
    pub fn blob(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        let mut w = Writer::new(&mut blob);
        w.string(self.key_type().as_bytes());
        match self {
            Self::Ed25519(key) => w.string(key.as_bytes()),
        }
        blob
    }

    /// The type name in the blob.
    #[must_use]
    pub const fn key_type(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => ed25519::NAME,
        }
    }

    /// Checks that `signature_blob` is this key's signature of `message`, made by `algorithm`: the algorithm fits the
    /// key, the blob names the same algorithm by equality, nothing follows in it, and the signature holds.
    pub fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature_blob: &[u8],
    ) -> Result<SignatureVerified, BadSignature> {
        if algorithm.key_type() != self.key_type() {
            return Err(BadSignature);
        }
        let mut r = Reader::new(signature_blob);
        if r.string()? != algorithm.name().as_bytes() {
            return Err(BadSignature);
        }
        let signature = r.string()?;
        r.finish()?;
        match (self, algorithm) {
            (Self::Ed25519(key), SignatureAlgorithm::Ed25519) => key.verify(message, signature)?,
        }
        Ok(SignatureVerified(()))
    }

    /// `SHA256:` and the digest of the blob in base64 without padding, as OpenSSH prints it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = Hash::Sha256.digest(&self.blob());
        format!("SHA256:{}", Base64Unpadded::encode_string(digest.as_bytes()))
    }
}

/// A private key: zeroed on drop, never printed, not `Clone`. Where many use it, they share it by `Arc`.
pub enum PrivateKey {
    /// ssh-ed25519.
    Ed25519(ed25519::PrivateKey),
}

impl PrivateKey {
    /// The Ed25519 key of a seed: the 32 bytes that RFC 8032 calls the private key.
    #[must_use]
    pub fn ed25519_from_seed(seed: &Secret<32>) -> Self {
        Self::Ed25519(ed25519::PrivateKey::from_seed(seed))
    }

    /// A fresh key of the kind that serves `algorithm`.
    pub fn generate(algorithm: SignatureAlgorithm, rng: &mut dyn Rng) -> Self {
        match algorithm {
            SignatureAlgorithm::Ed25519 => Self::ed25519_from_seed(&Secret::random(rng)),
        }
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        match self {
            Self::Ed25519(key) => PublicKey::Ed25519(key.public_key()),
        }
    }

    /// The algorithm it signs with first.
    #[must_use]
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        match self {
            Self::Ed25519(_) => SignatureAlgorithm::Ed25519,
        }
    }

    /// Whether it serves `algorithm`.
    #[must_use]
    pub fn can_sign(&self, algorithm: SignatureAlgorithm) -> bool {
        self.public_key().key_type() == algorithm.key_type()
    }

    /// The signature blob of `message`. [`CannotSign`] if `algorithm` is for keys of another type.
    pub fn sign(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Result<Vec<u8>, CannotSign> {
        let mut blob = Vec::new();
        let mut w = Writer::new(&mut blob);
        w.string(algorithm.name().as_bytes());
        match (self, algorithm) {
            (Self::Ed25519(key), SignatureAlgorithm::Ed25519) => w.string(&key.sign(message)),
        }
        Ok(blob)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ed25519(_) => f.write_str("PrivateKey::Ed25519(..)"),
        }
    }
}

/// Proof that a signature was checked and holds. Only [`PublicKey::verify`] makes one.
#[derive(Debug)]
#[must_use]
pub struct SignatureVerified(());

/// A signature does not hold, or is not what its place asks for. There is no detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSignature;

impl From<DecodeError> for BadSignature {
    fn from(_: DecodeError) -> Self {
        Self
    }
}

impl fmt::Display for BadSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bad signature")
    }
}

impl core::error::Error for BadSignature {}

/// A private key does not serve the algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CannotSign;

impl fmt::Display for CannotSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the key does not serve this signature algorithm")
    }
}

impl core::error::Error for CannotSign {}

/// Why bytes are no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// The blob is not well formed.
    Malformed(DecodeError),
    /// The blob is of a type that is not known.
    UnknownType,
    /// The fields are no key of their type: wrong length, or not a point of the curve in its one encoding.
    NotAKey,
}

impl From<DecodeError> for KeyError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => write!(f, "malformed key: {error}"),
            Self::UnknownType => f.write_str("key of an unknown type"),
            Self::NotAKey => f.write_str("not a key of its type"),
        }
    }
}

impl core::error::Error for KeyError {}
