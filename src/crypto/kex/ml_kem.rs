//! ML-KEM-768 and ML-KEM-1024 (FIPS 203).
//!
//! What is random in it is drawn from our own generator, which tests can seed. It does not know what it is joined with.

use ml_kem::array::typenum::{U32, U64, Unsigned};
use ml_kem::kem::{Ciphertext, DecapsulationKey, Decapsulator, EncapsulationKey, Key, KeySizeUser};
use ml_kem::kem::{Decapsulate, KeyExport, KeyInit, TryKeyInit};
use ml_kem::{B32, Seed, SharedKey};
use zeroize::Zeroizing;

use super::hybrid::Kem;
use super::{BadPublicValue, SharedBytes};
use crate::crypto::Rng;

pub(super) type MlKem768 = MlKem<ml_kem::MlKem768>;
pub(super) type MlKem1024 = MlKem<ml_kem::MlKem1024>;

/// A parameter set of FIPS 203 §8.
pub(super) trait ParameterSet:
    ml_kem::Kem<SharedKeySize = U32, DecapsulationKey: Decapsulate + KeyInit<KeySize = U64> + Send>
{
    /// ML-KEM.Encaps_internal. The crate has it for each set, and for all by a bound that has no name outside of it.
    fn encapsulate(public_key: &EncapsulationKey<Self>, m: &B32) -> (Ciphertext<Self>, SharedKey);
}

impl ParameterSet for ml_kem::MlKem768 {
    fn encapsulate(public_key: &EncapsulationKey<Self>, m: &B32) -> (Ciphertext<Self>, SharedKey) {
        public_key.encapsulate_deterministic(m)
    }
}

impl ParameterSet for ml_kem::MlKem1024 {
    fn encapsulate(public_key: &EncapsulationKey<Self>, m: &B32) -> (Ciphertext<Self>, SharedKey) {
        public_key.encapsulate_deterministic(m)
    }
}

/// A decapsulation key, expanded from its seed; zeroed on drop by the crate.
pub(super) struct MlKem<P: ParameterSet>(DecapsulationKey<P>);

impl<P: ParameterSet> Kem for MlKem<P> {
    const PUBLIC_KEY_LEN: usize = <EncapsulationKey<P> as KeySizeUser>::KeySize::USIZE;
    const CIPHERTEXT_LEN: usize = P::CiphertextSize::USIZE;

    fn new(rng: &mut dyn Rng) -> (Self, Vec<u8>) {
        let mut seed = Zeroizing::new(Seed::default());
        rng.fill(&mut seed);
        let key = DecapsulationKey::<P>::new(&seed);
        let public_key = key.encapsulation_key().to_bytes().to_vec();
        (Self(key), public_key)
    }

    fn decapsulate(&self, ciphertext: &[u8]) -> Result<SharedBytes, BadPublicValue> {
        let ciphertext = ciphertext.try_into().map_err(|_| BadPublicValue)?;
        let shared = Zeroizing::new(self.0.decapsulate(ciphertext));
        Ok(Zeroizing::new(shared.to_vec()))
    }

    /// The crate checks the modulus as FIPS 203 §7.2 says: a key with a coefficient that is not less than q is refused.
    fn encapsulate(public_key: &[u8], rng: &mut dyn Rng) -> Result<(Vec<u8>, SharedBytes), BadPublicValue> {
        let public_key: &Key<EncapsulationKey<P>> = public_key.try_into().map_err(|_| BadPublicValue)?;
        let public_key = EncapsulationKey::<P>::new(public_key).map_err(|_| BadPublicValue)?;
        let mut m = Zeroizing::new(B32::default());
        rng.fill(&mut m);
        let (ciphertext, shared) = P::encapsulate(&public_key, &m);
        let shared = Zeroizing::new(shared);
        Ok((ciphertext.to_vec(), Zeroizing::new(shared.to_vec())))
    }
}
