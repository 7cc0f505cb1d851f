//! Public keys, private keys and signatures, and their wire form (RFC 4253 §6.6).

mod ed25519;

use super::Rng;
use crate::wire::{DecodeError, Reader, Writer};
use base64ct::{Base64Unpadded, Encoding};
use core::fmt;
use sha2::{Digest as _, Sha256};

/// A signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// RFC 8709.
    Ed25519,
}

impl SignatureAlgorithm {
    /// The name in requests, lists and signatures.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
        }
    }

    /// The algorithm of exactly this name.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        [Self::Ed25519].into_iter().find(|algorithm| algorithm.name().as_bytes() == name)
    }

    /// The name in the blobs of its keys.
    #[must_use]
    pub const fn key_type(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
        }
    }
}

/// Why a blob is no public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// No key of a type that is known here.
    UnknownType,
    /// The fields are wrong, or something follows them.
    Malformed,
    /// The fields hold no valid key.
    Invalid,
}

impl From<DecodeError> for KeyError {
    fn from(_: DecodeError) -> Self {
        Self::Malformed
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownType => "this type of key is not supported",
            Self::Malformed => "the key is malformed",
            Self::Invalid => "the key is not valid",
        })
    }
}

impl core::error::Error for KeyError {}

/// A signature that does not hold, for whatever reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSignature;

/// Proof that a signature holds; only [`PublicKey::verify`] makes it.
#[derive(Debug)]
pub struct SignatureVerified(());

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// RFC 8709.
    Ed25519(ed25519::Public),
}

impl PublicKey {
    /// Reads a blob; nothing may follow the key.
    pub fn from_blob(blob: &[u8]) -> Result<Self, KeyError> {
        let mut r = Reader::new(blob);
        let key = match r.string()? {
            b"ssh-ed25519" => Self::Ed25519(ed25519::Public::from_bytes(r.string()?)?),
            _ => return Err(KeyError::UnknownType),
        };
        r.finish()?;
        Ok(key)
    }

    /// The blob.
    #[must_use]
    pub fn to_blob(&self) -> Vec<u8> {
        let mut blob = Vec::with_capacity(64);
        let mut w = Writer::new(&mut blob);
        w.string(self.key_type().as_bytes());
        match self {
            Self::Ed25519(key) => w.string(key.as_bytes()),
        }
        blob
    }

    /// The name in the blob.
    #[must_use]
    pub const fn key_type(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "ssh-ed25519",
        }
    }

    /// `SHA256:` and the unpadded base64 of the blob's SHA-256, as OpenSSH shows it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", Base64Unpadded::encode_string(&Sha256::digest(self.to_blob())))
    }

    /// Whether `signature_blob` is this key's over `message` by `algorithm`.
    ///
    /// The one place that decides whether the name agreed upon, the type of the key and the name in the signature belong
    /// together: by equality, with nothing left over.
    pub fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature_blob: &[u8],
    ) -> Result<SignatureVerified, BadSignature> {
        let mut r = Reader::new(signature_blob);
        let (name, signature) =
            r.string().and_then(|name| Ok((name, r.string()?))).map_err(|_| BadSignature)?;
        r.finish().map_err(|_| BadSignature)?;
        if self.key_type() != algorithm.key_type() || name != algorithm.name().as_bytes() {
            return Err(BadSignature);
        }
        match (self, algorithm) {
            (Self::Ed25519(key), SignatureAlgorithm::Ed25519) => key.verify(message, signature)?,
        }
        Ok(SignatureVerified(()))
    }
}

/// A private key: wiped on drop, redacted in `Debug`.
#[derive(Debug)]
pub enum PrivateKey {
    /// RFC 8709.
    Ed25519(ed25519::Private),
}

impl PrivateKey {
    /// A new Ed25519 key.
    pub fn generate_ed25519(rng: &mut dyn Rng) -> Self {
        Self::Ed25519(ed25519::Private::generate(rng))
    }

    /// The Ed25519 key of a seed (RFC 8032 §5.1.5).
    #[must_use]
    pub fn from_ed25519_seed(seed: &[u8; 32]) -> Self {
        Self::Ed25519(ed25519::Private::from_seed(seed))
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        match self {
            Self::Ed25519(key) => PublicKey::Ed25519(key.public()),
        }
    }

    /// The algorithm it signs with first.
    #[must_use]
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        match self {
            Self::Ed25519(_) => SignatureAlgorithm::Ed25519,
        }
    }

    /// Whether it can sign with `algorithm`.
    #[must_use]
    pub fn can_sign(&self, algorithm: SignatureAlgorithm) -> bool {
        self.public_key().key_type() == algorithm.key_type()
    }

    /// Appends the signature blob over `message`.
    pub fn sign(&self, algorithm: SignatureAlgorithm, message: &[u8], out: &mut Vec<u8>) {
        let mut w = Writer::new(out);
        w.string(algorithm.name().as_bytes());
        match (self, algorithm) {
            (Self::Ed25519(key), SignatureAlgorithm::Ed25519) => w.string(&key.sign(message)),
        }
    }
}
