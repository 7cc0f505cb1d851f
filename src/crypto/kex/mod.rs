//! Key exchange methods: an ephemeral that is used up by the agreement, and the secret that comes of it.

mod x25519;

use super::Rng;
use super::hash::Hash;
use crate::wire::Writer;
use core::fmt;
use zeroize::Zeroizing;

/// A peer's public value that must be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPublicValue;

/// K as it goes into hashes: its encoding, length included. Wiped on drop, redacted, never copied.
pub struct SharedSecret(Zeroizing<Vec<u8>>);

impl SharedSecret {
    /// K as an `mpint`: the number whose big-endian bytes these are.
    #[must_use]
    pub fn from_mpint(magnitude: &[u8]) -> Self {
        let mut encoded = Zeroizing::new(Vec::with_capacity(magnitude.len() + 5)); // never moved, so wiped whole
        Writer::new(&mut encoded).mpint(magnitude);
        Self(encoded)
    }

    /// K as a `string` of these bytes.
    #[must_use]
    pub fn from_string(bytes: &[u8]) -> Self {
        let mut encoded = Zeroizing::new(Vec::with_capacity(bytes.len() + 4));
        Writer::new(&mut encoded).string(bytes);
        Self(encoded)
    }

    /// The encoding.
    #[must_use]
    pub fn encoded(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(..)")
    }
}

/// A key exchange method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// X25519 with SHA-256 (RFC 8731).
    Curve25519,
}

impl Method {
    /// The hash of the exchange.
    #[must_use]
    pub const fn hash(self) -> Hash {
        match self {
            Self::Curve25519 => Hash::Sha256,
        }
    }

    /// The client's half.
    pub fn client_start(self, rng: &mut dyn Rng) -> Ephemeral {
        match self {
            Self::Curve25519 => Ephemeral(Kind::X25519(x25519::Ephemeral::generate(rng))),
        }
    }

    /// The server's whole: its public value and the secret, from the client's public value.
    pub fn respond(self, q_c: &[u8], rng: &mut dyn Rng) -> Result<(Vec<u8>, SharedSecret), BadPublicValue> {
        match self {
            Self::Curve25519 => {
                let own = x25519::Ephemeral::generate(rng);
                let q_s = own.public().to_vec();
                Ok((q_s, own.agree(q_c)?))
            }
        }
    }
}

/// The client's secret half of one exchange.
#[derive(Debug)]
pub struct Ephemeral(Kind);

#[derive(Debug)]
enum Kind {
    X25519(x25519::Ephemeral),
}

impl Ephemeral {
    /// What the server is sent.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        match &self.0 {
            Kind::X25519(own) => own.public(),
        }
    }

    /// The secret, from the server's public value.
    pub fn agree(self, q_s: &[u8]) -> Result<SharedSecret, BadPublicValue> {
        match self.0 {
            Kind::X25519(own) => own.agree(q_s),
        }
    }
}
