//! Keys: one algorithm a file, in place.
//!
//! It knows keys, tags and signatures, and the wire form of keys and signatures. It does not know which algorithm was
//! negotiated, where packets come from, or that there is a connection.

mod cipher;
pub mod hash;
pub mod kdf;
pub mod kex;
mod rng;
mod seal;
mod secret;
pub mod sign;

pub use rng::{Rng, SystemRng};
pub use seal::{Cipher, Mac, OpeningKey, SealingKey, Unauthentic};
pub use secret::Secret;
