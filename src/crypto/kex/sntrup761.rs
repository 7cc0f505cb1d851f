//! Streamlined NTRU Prime with the parameters sntrup761 (RFC 9941).
//!
//! It does not know what it is joined with.

use core::convert::Infallible;

// The traits by which `sntrup` asks for randomness.
use p256::elliptic_curve::rand_core::{TryCryptoRng, TryRng};
use sntrup::sntrup761::{self, Ciphertext, DecapsulationKey, EncapsulationKey};
use zeroize::Zeroizing;

use super::hybrid::Kem;
use super::{BadPublicValue, SharedBytes};
use crate::crypto::{Rng, Secret};

/// A decapsulation key; zeroed on drop by the crate.
pub(super) struct Sntrup761(DecapsulationKey);

impl Kem for Sntrup761 {
    const PUBLIC_KEY_LEN: usize = sntrup761::PUBLIC_KEY_SIZE;
    const CIPHERTEXT_LEN: usize = sntrup761::CIPHERTEXT_SIZE;

    fn new(rng: &mut dyn Rng) -> (Self, Vec<u8>) {
        let (public_key, key) = sntrup761::generate_key(&mut Drawn(rng));
        (Self(key), public_key.as_ref().to_vec())
    }

    fn decapsulate(&self, ciphertext: &[u8]) -> Result<SharedBytes, BadPublicValue> {
        let ciphertext = Ciphertext::try_from(ciphertext).map_err(|_| BadPublicValue)?;
        Ok(Zeroizing::new(self.0.decapsulate(&ciphertext).as_ref().to_vec()))
    }

    /// Any bytes of the right length are a public key.
    fn encapsulate(public_key: &[u8], rng: &mut dyn Rng) -> Result<(Vec<u8>, SharedBytes), BadPublicValue> {
        let public_key = EncapsulationKey::try_from(public_key).map_err(|_| BadPublicValue)?;
        let (ciphertext, shared) = public_key.encapsulate(&mut Drawn(rng));
        Ok((ciphertext.as_ref().to_vec(), Zeroizing::new(shared.as_ref().to_vec())))
    }
}

/// Our generator, as the crate asks for one.
struct Drawn<'a>(&'a mut dyn Rng);

impl TryRng for Drawn<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(*Secret::random(self.0).as_bytes()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(*Secret::random(self.0).as_bytes()))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(out);
        Ok(())
    }
}

impl TryCryptoRng for Drawn<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::kex::ecdh::Ecdh;
    use crate::crypto::kex::hybrid::Hybrid;
    use crate::crypto::kex::x25519::X25519;
    use crate::crypto::kex::{ClientKey, Method};
    use crate::crypto::{Hash, SystemRng};

    const MECHANISM: &str = include_str!("../../../vectors/sntrup761.txt");
    const METHOD: &str = include_str!("../../../vectors/sntrup761x25519-sha512.txt");

    /// Gives out the bytes of a vector.
    struct Given(Vec<u8>);

    impl Rng for Given {
        fn fill(&mut self, out: &mut [u8]) {
            out.copy_from_slice(&self.0);
        }
    }

    fn blocks(text: &'static str) -> impl Iterator<Item = &'static str> {
        text.split("\n\n").filter(|block| block.starts_with("ID = "))
    }

    fn value(block: &'static str, key: &str) -> Option<&'static str> {
        block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" =")).map(str::trim)
    }

    fn hex(block: &'static str, key: &str) -> Vec<u8> {
        let text = value(block, key).unwrap();
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
    }

    fn key(bytes: &[u8]) -> Sntrup761 {
        Sntrup761(DecapsulationKey::try_from(bytes).unwrap())
    }

    #[test]
    fn the_vectors_of_the_mechanism() {
        let (mut accepted, mut refused) = (0, 0);
        for block in blocks(MECHANISM) {
            let of = value(block, "SK_OF").unwrap_or_else(|| value(block, "ID").unwrap());
            let owner = blocks(MECHANISM).find(|block| value(block, "ID") == Some(of)).unwrap();
            let k = key(&hex(owner, "SK")).decapsulate(&hex(block, "C"));
            match (k, value(block, "RESULT")) {
                (Ok(k), Some("valid")) => {
                    assert_eq!(*k, hex(block, "K"), "{block}");
                    accepted += 1;
                }
                (Err(BadPublicValue), Some("invalid")) => refused += 1,
                (k, _) => panic!("{k:?}: {block}"),
            }
        }
        assert_eq!((accepted, refused), (11, 3));
    }

    /// The client's key is made from the vector's bytes; the server cannot be made to draw what the vector's server drew,
    /// but whoever has the client's key must come to the same K as it.
    #[test]
    fn the_vectors_of_the_method() {
        let client = |block| {
            let kem = key(&hex(block, "SNTRUP761_SK"));
            let public_key = kem.0.encapsulation_key().as_ref().to_vec();
            let ecdh = X25519::new(&mut Given(hex(block, "CLIENT_X25519")));
            Box::new(Hybrid::of(Hash::Sha512, kem, public_key, ecdh))
        };
        let first = blocks(METHOD).next().unwrap();
        let (mut accepted, mut refused) = (0, 0);
        for block in blocks(METHOD) {
            if value(block, "SNTRUP761_SK").is_some() {
                let own = client(block);
                assert_eq!(own.public(), hex(block, "C_INIT"), "{block}");
                let k = own.agree(&hex(block, "S_REPLY")).unwrap();
                assert_eq!(k.encoded(), hex(block, "K"), "{block}");

                let c_init = hex(block, "C_INIT");
                let (s_reply, k) = Method::Sntrup761X25519.respond(&c_init, &mut SystemRng).unwrap();
                assert_eq!(client(block).agree(&s_reply).unwrap().encoded(), k.encoded(), "{block}");
                accepted += 1;
            } else if value(block, "C_INIT").is_some() {
                let c_init = hex(block, "C_INIT");
                let responded = Method::Sntrup761X25519.respond(&c_init, &mut SystemRng);
                assert_eq!(responded.err(), Some(BadPublicValue), "{block}");
                refused += 1;
            } else {
                let agreed = client(first).agree(&hex(block, "S_REPLY"));
                assert_eq!(agreed.err(), Some(BadPublicValue), "{block}");
                refused += 1;
            }
        }
        assert_eq!((accepted, refused), (4, 6));
    }
}
