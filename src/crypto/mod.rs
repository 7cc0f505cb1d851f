//! Keys: packet ciphers, key exchange, signatures, hashes, randomness.
//!
//! One algorithm a file, in place, by value. This layer does not know which names are negotiated, when a key is taken
//! into use, or that there is a peer: it is given keys and bytes, and says whether the bytes are authentic.
//!
//! What holds a secret is zeroed when dropped, has a redacted `Debug`, and is not `Clone`. The exceptions are what `ring`
//! holds, round keys and private keys that sign, RSA primes in `crypto-bigint`'s Montgomery form, and the memory that `scrypt`
//! works in: these crates do not wipe them.

mod cipher;
pub(crate) mod file_cipher;
pub mod hash;
pub mod kdf;
pub mod kex;
pub mod passphrase;
mod rng;
mod seal;
mod secret;
pub mod sign;

pub use cipher::aes_is_fast;
pub use hash::{Digest, Hash, HashState};
pub use rng::{Rng, SystemRng};
pub use seal::{Cipher, Mac, OpeningKey, PacketKey, SealingKey, Unauthentic};
pub use secret::Secret;
pub(crate) use secret::then_wipe_stack;
