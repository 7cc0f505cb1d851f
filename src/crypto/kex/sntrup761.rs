//! Streamlined NTRU Prime with the parameters sntrup761 (RFC 9941 §2).
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

    fn decapsulate(self, ciphertext: &[u8]) -> Result<SharedBytes, BadPublicValue> {
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
