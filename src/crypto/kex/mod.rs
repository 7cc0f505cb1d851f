//! Key exchange methods: two public values in, one shared secret out.
//!
//! Every method here is one message each way. The client calls [`Method::client_start`], sends [`Ephemeral::public`], and
//! gives the server's answer to [`Ephemeral::agree`]; the server's whole part is [`Method::respond`]. This module does
//! not know names, messages, the exchange hash, or who signs it.

mod x25519;

use core::fmt;

use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::Rng;
use super::hash::Hash;
use crate::wire::Writer;

/// A key exchange method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// X25519 with SHA-256 (RFC 8731).
    Curve25519,
}

impl Method {
    /// The hash of the exchange hash and of the key derivation.
    #[must_use]
    pub const fn hash(self) -> Hash {
        match self {
            Self::Curve25519 => Hash::Sha256,
        }
    }

    /// Whether it holds against a quantum computer: one of its parts is a lattice problem.
    #[must_use]
    pub const fn is_post_quantum(self) -> bool {
        match self {
            Self::Curve25519 => false,
        }
    }

    /// The client's half: a fresh ephemeral key.
    pub fn client_start(self, rng: &mut dyn Rng) -> Ephemeral {
        match self {
            Self::Curve25519 => Ephemeral(Keys::X25519(x25519::Ephemeral::new(rng))),
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
        }
    }
}

/// The client's ephemeral key of one exchange. Agreement consumes it, so no key serves twice.
pub struct Ephemeral(Keys);

enum Keys {
    X25519(x25519::Ephemeral),
}

impl Ephemeral {
    /// The client's public value, Q_C.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        match &self.0 {
            Keys::X25519(ephemeral) => ephemeral.public(),
        }
    }

    /// The secret shared with the owner of `q_s`.
    pub fn agree(self, q_s: &[u8]) -> Result<SharedSecret, BadPublicValue> {
        match self.0 {
            Keys::X25519(ephemeral) => Ok(SharedSecret::from_mpint(ephemeral.agree(q_s)?.as_bytes())),
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

/// The peer's public value has the wrong length, or leads to a secret that anyone can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPublicValue;

impl fmt::Display for BadPublicValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bad public value in the key exchange")
    }
}

impl core::error::Error for BadPublicValue {}
