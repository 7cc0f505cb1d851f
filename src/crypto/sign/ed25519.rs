//! ssh-ed25519 (RFC 8032, RFC 8709).
//!
//! It signs and verifies bytes; blobs and names are [`super`]'s.

use core::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use super::{BadSignature, KeyError};
use crate::crypto::Secret;
use crate::wire::Reader;

/// The name of the algorithm and of its keys (RFC 8709 §3).
pub const NAME: &str = "ssh-ed25519";

/// A point of the curve in its one encoding.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads the fields behind the type name: `string` of 32 bytes.
    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, KeyError> {
        Self::from_bytes(r.string()?)
    }

    /// Takes the 32 bytes of RFC 8032 §5.1.2. [`KeyError::NotAKey`] for another length, for what is not on the curve and
    /// for a y that is not less than p.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let bytes: &[u8; 32] = bytes.try_into().map_err(|_| KeyError::NotAKey)?;
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotAKey)?;
        if key.to_edwards().compress().as_bytes() != bytes {
            return Err(KeyError::NotAKey);
        }
        Ok(Self(key))
    }

    /// The 32 bytes of RFC 8032 §5.1.2.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// RFC 8032 §5.1.7 without the cofactor, as OpenSSH does, and strict: a key or an R of small order is refused, for
    /// such a key "signs" whatever is asked. No key or signature that was made as the RFC says is ever refused by that.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        let signature = Signature::from_slice(signature).map_err(|_| BadSignature)?;
        self.0.verify_strict(message, &signature).map_err(|_| BadSignature)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// A seed and what follows from it; zeroed on drop, and in one place until then: who moves it copies nothing.
pub struct PrivateKey(Box<SigningKey>);

impl PrivateKey {
    pub(super) fn from_seed(seed: &Secret<32>) -> Self {
        Self(Box::new(SigningKey::from_bytes(seed.as_bytes())))
    }

    /// The 32 bytes that RFC 8032 calls the private key, for writing key files.
    #[must_use]
    pub fn seed(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}
