//! Public keys, private keys and signatures, with their blobs (RFC 4253 §6.6).
//!
//! [`PublicKey::verify`] is the one place that decides whether an algorithm, a key and a signature belong together. It
//! does not know whether a key is trusted, nor what the signed bytes mean.

pub mod certificate;
pub mod ecdsa;
pub mod ed25519;
pub mod rsa;
pub mod sk;

use core::fmt;

use base64ct::{Base64Unpadded, Encoding};

use self::ecdsa::Curve;
use self::rsa::Scheme;
use self::sk::SkFlags;
use super::hash::Hash;
use super::{Rng, Secret, then_wipe_stack};
use crate::wire::{DecodeError, Reader, Writer};

/// A signature algorithm, as named in a negotiation or a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// ssh-ed25519 (RFC 8709).
    Ed25519,
    /// ecdsa-sha2-nistp256, -nistp384 and -nistp521 (RFC 5656).
    Ecdsa(Curve),
    /// sk-ssh-ed25519@openssh.com (OpenSSH's PROTOCOL.u2f).
    SkEd25519,
    /// sk-ecdsa-sha2-nistp256@openssh.com (the same).
    SkEcdsa,
    /// rsa-sha2-512 and rsa-sha2-256 (RFC 8332), and ssh-rsa.
    Rsa(Scheme),
}

impl SignatureAlgorithm {
    /// Every algorithm there is.
    pub const ALL: &[Self] = &[
        Self::Ed25519,
        Self::Ecdsa(Curve::Nistp256),
        Self::Ecdsa(Curve::Nistp384),
        Self::Ecdsa(Curve::Nistp521),
        Self::SkEd25519,
        Self::SkEcdsa,
        Self::Rsa(Scheme::Sha512),
        Self::Rsa(Scheme::Sha256),
        Self::Rsa(Scheme::Sha1),
    ];

    /// The name in negotiations, in requests and in signature blobs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => ed25519::NAME,
            Self::Ecdsa(curve) => curve.algorithm_name(),
            Self::SkEd25519 => sk::ED25519_NAME,
            Self::SkEcdsa => sk::ECDSA_NAME,
            Self::Rsa(scheme) => scheme.name(),
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
            Self::Rsa(_) => rsa::KEY_TYPE,
            other => other.name(),
        }
    }
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// ssh-ed25519.
    Ed25519(ed25519::PublicKey),
    /// ecdsa-sha2-nistp256, -nistp384 or -nistp521.
    Ecdsa(ecdsa::PublicKey),
    /// ssh-rsa.
    Rsa(rsa::PublicKey),
    /// sk-ssh-ed25519@openssh.com or sk-ecdsa-sha2-nistp256@openssh.com.
    Sk(sk::PublicKey),
}

impl PublicKey {
    /// Reads a public key blob, to its last byte.
    pub fn from_blob(blob: &[u8]) -> Result<Self, KeyError> {
        let mut r = Reader::new(blob);
        let name = r.string()?;
        let key = Self::decode(name, &mut r)?;
        r.finish()?;
        Ok(key)
    }

    /// Reads the fields behind a type name; they are the same in a plain blob and in a certificate.
    fn decode(name: &[u8], r: &mut Reader<'_>) -> Result<Self, KeyError> {
        let curve = Curve::ALL.iter().find(|curve| curve.algorithm_name().as_bytes() == name);
        Ok(match (core::str::from_utf8(name), curve) {
            (Ok(ed25519::NAME), _) => Self::Ed25519(ed25519::PublicKey::decode(r)?),
            (_, Some(curve)) => Self::Ecdsa(ecdsa::PublicKey::decode(*curve, r)?),
            (Ok(rsa::KEY_TYPE), _) => Self::Rsa(rsa::PublicKey::decode(r)?),
            (Ok(sk::ED25519_NAME), _) => Self::Sk(sk::PublicKey::decode_ed25519(r)?),
            (Ok(sk::ECDSA_NAME), _) => Self::Sk(sk::PublicKey::decode_ecdsa(r)?),
            _ => return Err(KeyError::UnknownType),
        })
    }

    /// Reads the blob of a key for `algorithm`. Of a key of another type no more than the name is looked at: a peer must
    /// not choose what is computed.
    pub fn for_algorithm(algorithm: SignatureAlgorithm, blob: &[u8]) -> Result<Self, KeyError> {
        if Reader::new(blob).string()? != algorithm.key_type().as_bytes() {
            return Err(KeyError::OtherType);
        }
        Self::from_blob(blob)
    }

    /// The public key blob.
    #[must_use]
    pub fn blob(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        let mut w = Writer::new(&mut blob);
        w.string(self.key_type().as_bytes());
        match self {
            Self::Ed25519(key) => w.string(key.as_bytes()),
            Self::Ecdsa(key) => key.encode(&mut w),
            Self::Rsa(key) => key.encode(&mut w),
            Self::Sk(key) => key.encode(&mut w),
        }
        blob
    }

    /// The type name in the blob.
    #[must_use]
    pub const fn key_type(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => ed25519::NAME,
            Self::Ecdsa(key) => key.curve().algorithm_name(),
            Self::Rsa(_) => rsa::KEY_TYPE,
            Self::Sk(key) => key.key_type(),
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
        let sk = if let Self::Sk(_) = self { Some(SkFlags::decode(&mut r)?) } else { None };
        r.finish()?;
        match (self, algorithm, sk) {
            (Self::Ed25519(key), SignatureAlgorithm::Ed25519, None) => key.verify(message, signature)?,
            // The types are equal, and each curve has its own.
            (Self::Ecdsa(key), SignatureAlgorithm::Ecdsa(_), None) => key.verify(message, signature)?,
            (Self::Rsa(key), SignatureAlgorithm::Rsa(scheme), None) => {
                key.verify(scheme, message, signature)?;
            }
            (Self::Sk(key), SignatureAlgorithm::SkEd25519 | SignatureAlgorithm::SkEcdsa, Some(flags)) => {
                key.verify(message, signature, flags)?;
            }
            _ => return Err(BadSignature),
        }
        Ok(SignatureVerified { sk })
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
    /// ecdsa-sha2-nistp256, -nistp384 or -nistp521.
    Ecdsa(ecdsa::PrivateKey),
    /// ssh-rsa.
    Rsa(rsa::PrivateKey),
}

impl PrivateKey {
    /// The Ed25519 key of a seed: the 32 bytes that RFC 8032 calls the private key.
    #[must_use]
    pub fn ed25519_from_seed(seed: &Secret<32>) -> Self {
        then_wipe_stack(|| Self::Ed25519(ed25519::PrivateKey::from_seed(seed)))
    }

    /// The ECDSA key of a private scalar d, big-endian. [`KeyError::NotAKey`] if it is not of 1 to n - 1.
    pub fn ecdsa_from_scalar(curve: Curve, d: &[u8]) -> Result<Self, KeyError> {
        then_wipe_stack(|| ecdsa::PrivateKey::from_scalar(curve, d)).map(Self::Ecdsa)
    }

    /// The RSA key of these numbers. [`KeyError::UnsupportedSize`] before anything is computed with them;
    /// [`KeyError::Inconsistent`] if they do not belong together.
    pub fn rsa_from_components(components: &rsa::Components<'_>) -> Result<Self, KeyError> {
        then_wipe_stack(|| rsa::PrivateKey::from_components(components)).map(Self::Rsa)
    }

    /// A fresh Ed25519 key.
    pub fn generate_ed25519(rng: &mut dyn Rng) -> Self {
        Self::ed25519_from_seed(&Secret::random(rng))
    }

    /// A fresh ECDSA key.
    pub fn generate_ecdsa(curve: Curve, rng: &mut dyn Rng) -> Self {
        Self::Ecdsa(ecdsa::PrivateKey::generate(curve, rng))
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        match self {
            Self::Ed25519(key) => PublicKey::Ed25519(key.public_key()),
            Self::Ecdsa(key) => PublicKey::Ecdsa(key.public_key().clone()),
            Self::Rsa(key) => PublicKey::Rsa(key.public_key().clone()),
        }
    }

    /// The algorithms that it signs with, the best first; never ssh-rsa, which stands on SHA-1.
    #[must_use]
    pub const fn algorithms(&self) -> &'static [SignatureAlgorithm] {
        match self {
            Self::Ed25519(_) => &[SignatureAlgorithm::Ed25519],
            Self::Ecdsa(key) => match key.curve() {
                Curve::Nistp256 => &[SignatureAlgorithm::Ecdsa(Curve::Nistp256)],
                Curve::Nistp384 => &[SignatureAlgorithm::Ecdsa(Curve::Nistp384)],
                Curve::Nistp521 => &[SignatureAlgorithm::Ecdsa(Curve::Nistp521)],
            },
            Self::Rsa(_) => {
                &[SignatureAlgorithm::Rsa(Scheme::Sha512), SignatureAlgorithm::Rsa(Scheme::Sha256)]
            }
        }
    }

    /// Whether it signs with `algorithm`.
    #[must_use]
    pub fn can_sign(&self, algorithm: SignatureAlgorithm) -> bool {
        self.algorithms().contains(&algorithm)
    }

    /// The signature blob of `message`. [`CannotSign::WrongAlgorithm`] if `algorithm` is none of
    /// [`algorithms`](Self::algorithms).
    pub fn sign(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Result<Vec<u8>, CannotSign> {
        if !self.can_sign(algorithm) {
            return Err(CannotSign::WrongAlgorithm);
        }
        then_wipe_stack(|| self.sign_by(algorithm, message))
    }

    fn sign_by(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Result<Vec<u8>, CannotSign> {
        let mut signature = Vec::new();
        match (self, algorithm) {
            (Self::Ed25519(key), SignatureAlgorithm::Ed25519) => signature.extend(key.sign(message)),
            (Self::Ecdsa(key), SignatureAlgorithm::Ecdsa(_)) => {
                key.sign(message, &mut Writer::new(&mut signature))?;
            }
            (Self::Rsa(key), SignatureAlgorithm::Rsa(scheme)) => {
                signature.extend_from_slice(&key.sign(scheme, message)?);
            }
            _ => return Err(CannotSign::WrongAlgorithm),
        }
        let mut blob = Vec::new();
        let mut w = Writer::new(&mut blob);
        w.string(algorithm.name().as_bytes());
        w.string(&signature);
        Ok(blob)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ed25519(_) => "PrivateKey::Ed25519(..)",
            Self::Ecdsa(_) => "PrivateKey::Ecdsa(..)",
            Self::Rsa(_) => "PrivateKey::Rsa(..)",
        })
    }
}

/// Proof that a signature was checked and holds. Only [`PublicKey::verify`] makes one.
#[derive(Debug)]
#[must_use]
pub struct SignatureVerified {
    sk: Option<SkFlags>,
}

impl SignatureVerified {
    /// What the token says, if a token signed; `None` for keys in files. Whoever lets a user in by it demands at least that
    /// the [user was present](SkFlags::user_present).
    #[must_use]
    pub const fn sk(&self) -> Option<SkFlags> {
        self.sk
    }
}

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

/// Why a private key gives no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CannotSign {
    /// The key does not serve the algorithm.
    WrongAlgorithm,
    /// The computation failed or went wrong; what it gave was kept back.
    Failed,
}

impl fmt::Display for CannotSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongAlgorithm => "the key does not serve this signature algorithm",
            Self::Failed => "the signature went wrong",
        })
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
    /// The blob is of another type than the algorithm is used with.
    OtherType,
    /// The key is of a size that is not taken: see [`rsa`].
    UnsupportedSize,
    /// The fields are no key of their type: wrong length, or not a point of the curve in its one encoding.
    NotAKey,
    /// The parts of a private key do not belong together.
    Inconsistent,
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
            Self::OtherType => f.write_str("key of another type than the signature algorithm's"),
            Self::UnsupportedSize => {
                let (min, max) = (rsa::MODULUS_BITS_MIN, rsa::MODULUS_BITS_MAX);
                write!(f, "RSA keys have {min} to {max} bits here, and an exponent of at most 32")
            }
            Self::NotAKey => f.write_str("not a key of its type"),
            Self::Inconsistent => f.write_str("the parts of the private key do not belong together"),
        }
    }
}

impl core::error::Error for KeyError {}
