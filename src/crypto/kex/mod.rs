//! Key exchange methods: two public values in, one shared secret out.
//!
//! A [`Method`] is one message each way. The client calls [`Method::client_start`], sends [`Ephemeral::public`], and
//! gives the server's answer to [`Ephemeral::agree`]; the server's whole part is [`Method::respond`]. In a group exchange
//! (RFC 4419) the two first settle on a [`Group`], which then has the same two halves. This module does not know names,
//! messages, the exchange hash, or who signs it.

mod ecdh;
mod finite_field;
mod hybrid;
mod ml_kem;
mod nist_ecdh;
#[cfg(feature = "sntrup")]
mod sntrup761;
mod x25519;

pub use finite_field::{BadGroup, Group, MODULUS_BITS_MAX, MODULUS_BITS_MIN, MODULUS_BITS_PREFERRED};

use core::fmt;

use zeroize::{ZeroizeOnDrop, Zeroizing};

use self::finite_field::{GROUP_14, GROUP_16, GROUP_18};
use super::Rng;
use super::hash::Hash;
use crate::wire::Writer;
use ecdh::Ecdh;
use hybrid::Hybrid;
use ml_kem::{MlKem768, MlKem1024};
use nist_ecdh::{NistP256, NistP384, NistP521};
#[cfg(feature = "sntrup")]
use sntrup761::Sntrup761;
use x25519::X25519;

/// How a secret is agreed upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyExchange {
    /// By one message each way.
    OneStep(Method),
    /// In a [`Group`] that the server chooses first (RFC 4419); with this hash, of which SHA-1 is legacy.
    GroupExchange(Hash),
}

impl KeyExchange {
    /// The hash of the exchange hash and of the key derivation.
    #[must_use]
    pub const fn hash(self) -> Hash {
        match self {
            Self::OneStep(method) => method.hash(),
            Self::GroupExchange(hash) => hash,
        }
    }

    /// Whether it holds against a quantum computer: one of its parts is a lattice problem.
    #[must_use]
    pub const fn is_post_quantum(self) -> bool {
        match self {
            Self::OneStep(method) => method.is_hybrid(),
            Self::GroupExchange(_) => false,
        }
    }
}

/// A key exchange method of one message each way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// ML-KEM-768 and X25519 with SHA-256 (RFC 10042).
    MlKem768X25519,
    /// ML-KEM-768 and ECDH on nistp256 with SHA-256 (RFC 10042).
    MlKem768NistP256,
    /// ML-KEM-1024 and ECDH on nistp384 with SHA-384 (RFC 10042).
    MlKem1024NistP384,
    /// Streamlined NTRU Prime and X25519 with SHA-512 (RFC 9941).
    #[cfg(feature = "sntrup")]
    Sntrup761X25519,
    /// X25519 with SHA-256 (RFC 8731).
    Curve25519,
    /// ECDH on nistp256 with SHA-256 (RFC 5656 §4).
    EcdhNistP256,
    /// ECDH on nistp384 with SHA-384 (RFC 5656 §4).
    EcdhNistP384,
    /// ECDH on nistp521 with SHA-512 (RFC 5656 §4).
    EcdhNistP521,
    /// Diffie-Hellman in group 14 of RFC 3526, 2048 bits, with SHA-256 (RFC 8268).
    DhGroup14Sha256,
    /// The same with SHA-1 (RFC 4253 §8.2): legacy.
    DhGroup14Sha1,
    /// Diffie-Hellman in group 16 of RFC 3526, 4096 bits, with SHA-512 (RFC 8268).
    DhGroup16Sha512,
    /// Diffie-Hellman in group 18 of RFC 3526, 8192 bits, with SHA-512 (RFC 8268).
    DhGroup18Sha512,
}

impl Method {
    /// The hash of the exchange hash and of the key derivation.
    #[must_use]
    pub const fn hash(self) -> Hash {
        match self {
            Self::MlKem768X25519 | Self::MlKem768NistP256 | Self::Curve25519 | Self::EcdhNistP256 => {
                Hash::Sha256
            }
            Self::MlKem1024NistP384 | Self::EcdhNistP384 => Hash::Sha384,
            #[cfg(feature = "sntrup")]
            Self::Sntrup761X25519 => Hash::Sha512,
            Self::EcdhNistP521 => Hash::Sha512,
            Self::DhGroup14Sha256 => Hash::Sha256,
            Self::DhGroup16Sha512 | Self::DhGroup18Sha512 => Hash::Sha512,
            Self::DhGroup14Sha1 => Hash::Sha1,
        }
    }

    /// Whether a key encapsulation mechanism is joined with a curve.
    const fn is_hybrid(self) -> bool {
        match self {
            Self::MlKem768X25519 | Self::MlKem768NistP256 | Self::MlKem1024NistP384 => true,
            #[cfg(feature = "sntrup")]
            Self::Sntrup761X25519 => true,
            Self::Curve25519 | Self::EcdhNistP256 | Self::EcdhNistP384 | Self::EcdhNistP521 => false,
            Self::DhGroup14Sha256 | Self::DhGroup16Sha512 | Self::DhGroup18Sha512 | Self::DhGroup14Sha1 => {
                false
            }
        }
    }

    /// The client's half: a fresh ephemeral key.
    pub fn client_start(self, rng: &mut dyn Rng) -> Ephemeral {
        let hash = self.hash();
        Ephemeral(match self {
            Self::MlKem768X25519 => Box::new(Hybrid::<MlKem768, X25519>::new(hash, rng)),
            Self::MlKem768NistP256 => Box::new(Hybrid::<MlKem768, NistP256>::new(hash, rng)),
            Self::MlKem1024NistP384 => Box::new(Hybrid::<MlKem1024, NistP384>::new(hash, rng)),
            #[cfg(feature = "sntrup")]
            Self::Sntrup761X25519 => Box::new(Hybrid::<Sntrup761, X25519>::new(hash, rng)),
            Self::Curve25519 => Box::new(X25519::new(rng)),
            Self::EcdhNistP256 => Box::new(NistP256::new(rng)),
            Self::EcdhNistP384 => Box::new(NistP384::new(rng)),
            Self::EcdhNistP521 => Box::new(NistP521::new(rng)),
            Self::DhGroup14Sha256 | Self::DhGroup14Sha1 => Box::new(GROUP_14.group().ephemeral(rng)),
            Self::DhGroup16Sha512 => Box::new(GROUP_16.group().ephemeral(rng)),
            Self::DhGroup18Sha512 => Box::new(GROUP_18.group().ephemeral(rng)),
        })
    }

    /// The server's whole: its public value Q_S and the secret it shares with the owner of `q_c`.
    pub fn respond(self, q_c: &[u8], rng: &mut dyn Rng) -> Result<(Vec<u8>, SharedSecret), BadPublicValue> {
        let hash = self.hash();
        match self {
            Self::MlKem768X25519 => hybrid::respond::<MlKem768, X25519>(hash, q_c, rng),
            Self::MlKem768NistP256 => hybrid::respond::<MlKem768, NistP256>(hash, q_c, rng),
            Self::MlKem1024NistP384 => hybrid::respond::<MlKem1024, NistP384>(hash, q_c, rng),
            #[cfg(feature = "sntrup")]
            Self::Sntrup761X25519 => hybrid::respond::<Sntrup761, X25519>(hash, q_c, rng),
            Self::Curve25519 => ecdh::respond::<X25519>(q_c, rng),
            Self::EcdhNistP256 => ecdh::respond::<NistP256>(q_c, rng),
            Self::EcdhNistP384 => ecdh::respond::<NistP384>(q_c, rng),
            Self::EcdhNistP521 => ecdh::respond::<NistP521>(q_c, rng),
            Self::DhGroup14Sha256 | Self::DhGroup14Sha1 => GROUP_14.group().respond(q_c, rng),
            Self::DhGroup16Sha512 => GROUP_16.group().respond(q_c, rng),
            Self::DhGroup18Sha512 => GROUP_18.group().respond(q_c, rng),
        }
    }
}

/// The client's ephemeral key of one exchange. Agreement consumes it, so no key serves twice.
///
/// Boxed, so that a connection, idle or not, is one size whatever method it may come to use.
pub struct Ephemeral(Box<dyn ClientKey>);

impl Ephemeral {
    /// The client's public value: Q_C, or C_INIT of a hybrid method.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        self.0.public()
    }

    /// The secret shared with the owner of `q_s`.
    pub fn agree(self, q_s: &[u8]) -> Result<SharedSecret, BadPublicValue> {
        self.0.agree(q_s)
    }
}

impl fmt::Debug for Ephemeral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ephemeral(..)")
    }
}

/// What every kind of method has on the client's side.
trait ClientKey: Send {
    fn public(&self) -> &[u8];

    fn agree(self: Box<Self>, q_s: &[u8]) -> Result<SharedSecret, BadPublicValue>;
}

/// What the two sides share by one mechanism, in its fixed width, before K is made of it.
type SharedBytes = Zeroizing<Vec<u8>>;

/// The shared secret K, encoded as it enters the exchange hash and the key derivation: zeroed on drop, never printed.
pub struct SharedSecret(Zeroizing<Vec<u8>>);

impl ZeroizeOnDrop for SharedSecret {}

impl SharedSecret {
    /// K as an `mpint`: the number whose big-endian bytes are `magnitude` (RFC 8731 §3.1, RFC 4253 §8).
    #[must_use]
    pub fn from_mpint(magnitude: &[u8]) -> Self {
        Self::encode(magnitude, |w| w.mpint(magnitude))
    }

    /// K as a `string` of fixed length, as the hybrid methods have it (RFC 9941, RFC 10042).
    #[must_use]
    pub fn from_string(secret: &[u8]) -> Self {
        Self::encode(secret, |w| w.string(secret))
    }

    /// K with its length in front.
    #[must_use]
    pub fn encoded(&self) -> &[u8] {
        &self.0
    }

    /// Encodes into a buffer that is large enough from the start: one that grows leaves copies behind.
    fn encode(secret: &[u8], write: impl FnOnce(&mut Writer<'_>)) -> Self {
        let mut encoded = Zeroizing::new(Vec::with_capacity(LENGTH_AND_SIGN + secret.len()));
        write(&mut Writer::new(&mut encoded));
        Self(encoded)
    }
}

/// What an `mpint` can add to the bytes of its number.
const LENGTH_AND_SIGN: usize = 5;

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(..)")
    }
}

/// The peer's public value has the wrong form or size, or leads to a secret that anyone can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPublicValue;

impl fmt::Display for BadPublicValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bad public value in the key exchange")
    }
}

impl core::error::Error for BadPublicValue {}
