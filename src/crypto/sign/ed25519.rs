//! Ed25519 (RFC 8032 §5.1, RFC 8709).

use super::{BadSignature, KeyError};
use crate::crypto::{Rng, Secret};
use core::fmt;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

/// A point on the curve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Public(VerifyingKey);

impl Public {
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let bytes = bytes.try_into().map_err(|_| KeyError::Malformed)?;
        VerifyingKey::from_bytes(bytes).map(Self).map_err(|_| KeyError::Invalid)
    }

    /// Its 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Strict: no point of small order, no S beyond the group's order, no other encoding of R.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        let signature = Signature::from_slice(signature).map_err(|_| BadSignature)?;
        self.0.verify_strict(message, &signature).map_err(|_| BadSignature)
    }
}

/// A seed and what follows from it.
pub struct Private(SigningKey);

impl Private {
    pub(super) fn generate(rng: &mut dyn Rng) -> Self {
        let mut seed = Secret::new([0; 32]);
        rng.fill(seed.as_bytes_mut());
        Self::from_seed(seed.as_bytes())
    }

    pub(super) fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> Public {
        Public(self.0.verifying_key())
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// The seed, for writing a key file.
    #[must_use]
    pub fn seed(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Private(..)")
    }
}
