//! ECDSA over the curves NIST P-256, P-384 and P-521 (RFC 5656 §3, FIPS 186-5).
//!
//! P-256 and P-384 are verified and signed by ring, whose nonces hash the key, the message and fresh randomness together.
//! ring has no P-521: there the nonces are those of RFC 6979, made by the p521 crate from the key and the message alone. No
//! nonce is made here. Blobs and names are [`super`]'s.

use core::fmt;

use p256::elliptic_curve::sec1::ToSec1Point;
use p521::ecdsa::signature::{Signer as _, Verifier as _};
use ring::rand::SystemRandom;
use ring::signature::{self as ring_signature, EcdsaKeyPair, UnparsedPublicKey};
use zeroize::Zeroizing;

use super::{BadSignature, CannotSign, KeyError};
use crate::crypto::Rng;
use crate::wire::{Reader, Writer};

/// A curve, and with it the hash: each curve has one (RFC 5656 §6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256, with SHA-256.
    Nistp256,
    /// NIST P-384, with SHA-384.
    Nistp384,
    /// NIST P-521, with SHA-512.
    Nistp521,
}

impl Curve {
    /// Every curve there is.
    pub const ALL: &[Self] = &[Self::Nistp256, Self::Nistp384, Self::Nistp521];

    /// The name of the algorithm and of its keys (RFC 5656 §3).
    #[must_use]
    pub const fn algorithm_name(self) -> &'static str {
        match self {
            Self::Nistp256 => "ecdsa-sha2-nistp256",
            Self::Nistp384 => "ecdsa-sha2-nistp384",
            Self::Nistp521 => "ecdsa-sha2-nistp521",
        }
    }

    /// The curve's identifier, which key blobs repeat (RFC 5656 §6.1).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nistp256 => "nistp256",
            Self::Nistp384 => "nistp384",
            Self::Nistp521 => "nistp521",
        }
    }

    /// Bytes of a coordinate; as many as of a scalar on these curves.
    const fn scalar_len(self) -> usize {
        match self {
            Self::Nistp256 => 32,
            Self::Nistp384 => 48,
            Self::Nistp521 => SCALAR_LEN_MAX,
        }
    }
}

/// Bytes of a scalar of P-521.
const SCALAR_LEN_MAX: usize = 66;

/// The first byte of a point in the one form that is taken: uncompressed (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;

/// A point of its curve, not infinity.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    curve: Curve,
    /// 04, x, y.
    q: Box<[u8]>,
}

impl PublicKey {
    /// Reads the fields behind the type name: the curve's own name and Q.
    pub(super) fn decode(curve: Curve, r: &mut Reader<'_>) -> Result<Self, KeyError> {
        if r.string()? != curve.name().as_bytes() {
            return Err(KeyError::NotAKey);
        }
        Self::from_point(curve, r.string()?)
    }

    /// Takes an uncompressed point. [`KeyError::NotAKey`] for another form or length, for infinity, for a coordinate that is
    /// not less than p and for what is not on the curve.
    pub fn from_point(curve: Curve, q: &[u8]) -> Result<Self, KeyError> {
        if q.len() != 1 + 2 * curve.scalar_len() || q.first() != Some(&UNCOMPRESSED) {
            return Err(KeyError::NotAKey);
        }
        let on_curve = match curve {
            Curve::Nistp256 => p256::PublicKey::from_sec1_bytes(q).is_ok(),
            Curve::Nistp384 => p384::PublicKey::from_sec1_bytes(q).is_ok(),
            Curve::Nistp521 => p521::PublicKey::from_sec1_bytes(q).is_ok(),
        };
        if on_curve { Ok(Self { curve, q: q.into() }) } else { Err(KeyError::NotAKey) }
    }

    /// The curve.
    #[must_use]
    pub const fn curve(&self) -> Curve {
        self.curve
    }

    /// Q, uncompressed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.q
    }

    /// Writes the fields behind the type name.
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.string(self.curve.name().as_bytes());
        w.string(&self.q);
    }

    /// Checks `mpint r, mpint s` with nothing after them; both of 1 to n - 1.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        let mut r = Reader::new(signature);
        let halves = [r.mpint()?.positive()?, r.mpint()?.positive()?];
        r.finish()?;
        let mut fixed = [0; 2 * SCALAR_LEN_MAX];
        let len = self.curve.scalar_len();
        let (fixed, _) = fixed.split_at_mut(2 * len);
        for (half, magnitude) in fixed.chunks_exact_mut(len).zip(halves) {
            pad_left(magnitude, half).ok_or(BadSignature)?;
        }
        match self.curve {
            Curve::Nistp256 => UnparsedPublicKey::new(&ring_signature::ECDSA_P256_SHA256_FIXED, &self.q)
                .verify(message, fixed)
                .map_err(|_| BadSignature),
            Curve::Nistp384 => UnparsedPublicKey::new(&ring_signature::ECDSA_P384_SHA384_FIXED, &self.q)
                .verify(message, fixed)
                .map_err(|_| BadSignature),
            Curve::Nistp521 => {
                let signature = p521::ecdsa::Signature::from_slice(fixed).map_err(|_| BadSignature)?;
                p521::ecdsa::VerifyingKey::from_sec1_bytes(&self.q)
                    .and_then(|key| key.verify(message, &signature))
                    .map_err(|_| BadSignature)
            }
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.curve.name())?;
        self.q.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// A scalar and what follows from it; the scalar is zeroed on drop, what ring makes of it is not.
pub struct PrivateKey {
    public_key: PublicKey,
    scalar: Zeroizing<Vec<u8>>,
    signer: Signer,
}

enum Signer {
    Ring(Box<EcdsaKeyPair>),
    P521(Box<p521::ecdsa::SigningKey>),
}

impl PrivateKey {
    /// Takes the private scalar d, big-endian, leading zeros or not. [`KeyError::NotAKey`] if it is not of 1 to n - 1.
    pub(super) fn from_scalar(curve: Curve, d: &[u8]) -> Result<Self, KeyError> {
        let mut scalar = Zeroizing::new(vec![0; curve.scalar_len()]);
        let zeros = d.iter().take_while(|b| **b == 0).count();
        pad_left(d.split_at(zeros).1, &mut scalar).ok_or(KeyError::NotAKey)?;
        let q = match curve {
            Curve::Nistp256 => {
                let key = p256::SecretKey::from_slice(&scalar).map_err(|_| KeyError::NotAKey)?;
                key.public_key().to_sec1_point(false).to_bytes()
            }
            Curve::Nistp384 => {
                let key = p384::SecretKey::from_slice(&scalar).map_err(|_| KeyError::NotAKey)?;
                key.public_key().to_sec1_point(false).to_bytes()
            }
            Curve::Nistp521 => {
                let key = p521::SecretKey::from_slice(&scalar).map_err(|_| KeyError::NotAKey)?;
                key.public_key().to_sec1_point(false).to_bytes()
            }
        };
        let ring = |algorithm| {
            EcdsaKeyPair::from_private_key_and_public_key(algorithm, &scalar, &q, &SystemRandom::new())
                .map(|pair| Signer::Ring(Box::new(pair)))
                .map_err(|_| KeyError::NotAKey)
        };
        let signer = match curve {
            Curve::Nistp256 => ring(&ring_signature::ECDSA_P256_SHA256_FIXED_SIGNING)?,
            Curve::Nistp384 => ring(&ring_signature::ECDSA_P384_SHA384_FIXED_SIGNING)?,
            Curve::Nistp521 => p521::ecdsa::SigningKey::from_slice(&scalar)
                .map(|key| Signer::P521(Box::new(key)))
                .map_err(|_| KeyError::NotAKey)?,
        };
        Ok(Self { public_key: PublicKey { curve, q }, scalar, signer })
    }

    /// A fresh key.
    pub(super) fn generate(curve: Curve, rng: &mut dyn Rng) -> Self {
        let mut scalar = Zeroizing::new(vec![0; curve.scalar_len()]);
        // Draws until one is of 1 to n - 1 (FIPS 186-5 §A.2.2): of these curves all but one in 2^32 are.
        loop {
            rng.fill(&mut scalar);
            if let (Curve::Nistp521, Some(first)) = (curve, scalar.first_mut()) {
                *first &= 1; // 521 bits
            }
            if let Ok(key) = Self::from_scalar(curve, &scalar) {
                return key;
            }
        }
    }

    /// The public half.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The curve.
    #[must_use]
    pub const fn curve(&self) -> Curve {
        self.public_key.curve
    }

    /// The private scalar d, big-endian and of the curve's length, for writing key files.
    #[must_use]
    pub fn scalar(&self) -> &[u8] {
        &self.scalar
    }

    /// Writes `mpint r, mpint s`.
    pub(super) fn sign(&self, message: &[u8], w: &mut Writer<'_>) -> Result<(), CannotSign> {
        let mut write = |fixed: &[u8]| {
            let (r, s) = fixed.split_at(fixed.len() / 2);
            w.mpint(r);
            w.mpint(s);
        };
        match &self.signer {
            Signer::Ring(pair) => {
                write(pair.sign(&SystemRandom::new(), message).map_err(|_| CannotSign::Failed)?.as_ref());
            }
            Signer::P521(key) => {
                let signature: p521::ecdsa::Signature =
                    key.try_sign(message).map_err(|_| CannotSign::Failed)?;
                write(&signature.to_bytes());
            }
        }
        Ok(())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

/// Writes `magnitude` to the end of `out`, which is zero; `None` if it is longer.
fn pad_left(magnitude: &[u8], out: &mut [u8]) -> Option<()> {
    let (_, end) = out.split_at_mut_checked(out.len().checked_sub(magnitude.len())?)?;
    end.copy_from_slice(magnitude);
    Some(())
}
