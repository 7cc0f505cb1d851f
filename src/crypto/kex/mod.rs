//! Key exchange methods: two public values in, one shared secret out.
//!
//! A [`Method`] is one message each way. The client calls [`Method::client_start`], sends [`Ephemeral::public`], and
//! gives the server's answer to [`Ephemeral::agree`]; the server's whole part is [`Method::respond`]. In a group exchange
//! (RFC 4419) the two first settle on a [`Group`], which then has the same two halves. This module does not know names,
//! messages, the exchange hash, or who signs it.

mod finite_field;
mod x25519;

pub use finite_field::{BadGroup, Group, MODULUS_BITS_MAX, MODULUS_BITS_MIN, MODULUS_BITS_PREFERRED};

use core::fmt;

use zeroize::{ZeroizeOnDrop, Zeroizing};

use self::finite_field::{GROUP_14, GROUP_16, GROUP_18};
use super::Rng;
use super::hash::Hash;
use crate::wire::Writer;

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
}

/// A key exchange method of one message each way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// X25519 with SHA-256 (RFC 8731).
    Curve25519,
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
            Self::Curve25519 | Self::DhGroup14Sha256 => Hash::Sha256,
            Self::DhGroup14Sha1 => Hash::Sha1,
            Self::DhGroup16Sha512 | Self::DhGroup18Sha512 => Hash::Sha512,
        }
    }

    /// The client's half: a fresh ephemeral key.
    pub fn client_start(self, rng: &mut dyn Rng) -> Ephemeral {
        match self {
            Self::Curve25519 => Ephemeral(Keys::X25519(x25519::Ephemeral::new(rng))),
            Self::DhGroup14Sha256 | Self::DhGroup14Sha1 => GROUP_14.group().client_start(rng),
            Self::DhGroup16Sha512 => GROUP_16.group().client_start(rng),
            Self::DhGroup18Sha512 => GROUP_18.group().client_start(rng),
        }
    }

    /// The server's whole: its public value Q_S and the secret it shares with the owner of `q_c`.
    pub fn respond(self, q_c: &[u8], rng: &mut dyn Rng) -> Result<(Vec<u8>, SharedSecret), BadPublicValue> {
        match self {
            Self::Curve25519 => {
                let ephemeral = x25519::Ephemeral::new(rng);
                let q_s = ephemeral.public().to_vec();
                Ok((q_s, SharedSecret::from_mpint(ephemeral.agree(q_c)?.as_bytes())))
            }
            Self::DhGroup14Sha256 | Self::DhGroup14Sha1 => GROUP_14.group().respond(q_c, rng),
            Self::DhGroup16Sha512 => GROUP_16.group().respond(q_c, rng),
            Self::DhGroup18Sha512 => GROUP_18.group().respond(q_c, rng),
        }
    }
}

/// The client's ephemeral key of one exchange. Agreement consumes it, so no key serves twice.
pub struct Ephemeral(Keys);

enum Keys {
    X25519(x25519::Ephemeral),
    FiniteField(finite_field::Ephemeral),
}

impl Ephemeral {
    /// The client's public value, Q_C.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        match &self.0 {
            Keys::X25519(ephemeral) => ephemeral.public(),
            Keys::FiniteField(ephemeral) => ephemeral.public(),
        }
    }

    /// The secret shared with the owner of `q_s`.
    pub fn agree(self, q_s: &[u8]) -> Result<SharedSecret, BadPublicValue> {
        match self.0 {
            Keys::X25519(ephemeral) => Ok(SharedSecret::from_mpint(ephemeral.agree(q_s)?.as_bytes())),
            Keys::FiniteField(ephemeral) => ephemeral.agree(q_s),
        }
    }
}

impl fmt::Debug for Ephemeral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ephemeral(..)")
    }
}

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
