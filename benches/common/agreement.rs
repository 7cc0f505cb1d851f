//! What two sides compute in an exchange, straight from the crates and with nothing around it.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd, Resize};
use ml_kem::array::typenum::U64;
use ml_kem::kem::{
    Ciphertext, Decapsulate, DecapsulationKey, Decapsulator, EncapsulationKey, Key, KeyExport, KeyInit,
    TryKeyInit,
};
use ml_kem::{B32, Kem, Seed, SharedKey};
use p256::elliptic_curve::ecdh::diffie_hellman;
use p256::elliptic_curve::rand_core::{TryCryptoRng, TryRng};
use p256::elliptic_curve::sec1::{FromSec1Point, ModulusSize, Sec1Point, ToSec1Point};
use p256::elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytesSize, NonZeroScalar, PublicKey};
use sntrup::sntrup761;
use std::convert::Infallible;
use std::hint::black_box;
use strombus::crypto::kex::{Group, MODULUS_BITS_PREFERRED};

pub type Work = Box<dyn Fn()>;

/// Both ephemeral keys and both agreements of a method; of a group exchange the client's test of the group too. What is
/// drawn is constant: randomness is not counted.
pub fn agreement(method: &str) -> Work {
    match method.split(['-', '@']).next().unwrap_or_default() {
        "mlkem768x25519" => both(ml_kem_768(), x25519()),
        "mlkem768nistp256" => both(ml_kem_768(), nist::<p256::NistP256>()),
        "mlkem1024nistp384" => both(ml_kem_1024(), nist::<p384::NistP384>()),
        "sntrup761x25519" => both(Box::new(sntrup), x25519()),
        "curve25519" => x25519(),
        "ecdh" if method.ends_with("256") => nist::<p256::NistP256>(),
        "ecdh" if method.ends_with("384") => nist::<p384::NistP384>(),
        "ecdh" => nist::<p521::NistP521>(),
        _ if method.contains("group14") => finite_field(2048),
        _ if method.contains("group16") => finite_field(4096),
        _ if method.contains("group18") => finite_field(8192),
        _ if method.contains("exchange") => {
            both(euler(MODULUS_BITS_PREFERRED), finite_field(MODULUS_BITS_PREFERRED))
        }
        _ => panic!("a method without its primitives: {method}"),
    }
}

fn both(one: Work, other: Work) -> Work {
    Box::new(move || {
        one();
        other();
    })
}

fn x25519() -> Work {
    use x25519_dalek::{PublicKey, StaticSecret};
    Box::new(|| {
        let (client, server) = (StaticSecret::from([1; 32]), StaticSecret::from([2; 32]));
        let (q_c, q_s) = (PublicKey::from(&client), PublicKey::from(&server));
        black_box(client.diffie_hellman(black_box(&q_s)));
        black_box(server.diffie_hellman(black_box(&q_c)));
    })
}

fn nist<C>() -> Work
where
    C: CurveArithmetic<AffinePoint: FromSec1Point<C> + ToSec1Point<C>>,
    FieldBytesSize<C>: ModulusSize,
{
    let key = |byte| {
        let mut bytes = p256::elliptic_curve::FieldBytes::<C>::default();
        bytes.iter_mut().skip(1).for_each(|octet| *octet = byte);
        let scalar = NonZeroScalar::<C>::try_from(&bytes[..]).unwrap();
        let public = PublicKey::<C>::from_secret_scalar(&scalar).to_sec1_point(false);
        (scalar, public)
    };
    let agree = |scalar: &NonZeroScalar<C>, public: &Sec1Point<C>| {
        let point = Sec1Point::<C>::from_bytes(black_box(public.as_bytes())).unwrap();
        let point = AffinePoint::<C>::from_sec1_point(&point).unwrap();
        black_box(diffie_hellman(scalar, point));
    };
    Box::new(move || {
        let ((client, q_c), (server, q_s)) = (key(black_box(1)), key(black_box(2)));
        agree(&client, &q_s);
        agree(&server, &q_c);
    })
}

fn ml_kem_768() -> Work {
    encapsulation::<ml_kem::MlKem768>(|key, m| key.encapsulate_deterministic(m))
}

fn ml_kem_1024() -> Work {
    encapsulation::<ml_kem::MlKem1024>(|key, m| key.encapsulate_deterministic(m))
}

fn encapsulation<P>(encapsulate: fn(&EncapsulationKey<P>, &B32) -> (Ciphertext<P>, SharedKey)) -> Work
where
    P: Kem<DecapsulationKey: Decapsulate + KeyInit<KeySize = U64>> + 'static,
{
    Box::new(move || {
        let key = DecapsulationKey::<P>::new(&black_box(Seed::default()));
        let public = key.encapsulation_key().to_bytes();
        let public: &Key<EncapsulationKey<P>> = (&public[..]).try_into().unwrap();
        let public = EncapsulationKey::<P>::new(public).unwrap();
        let (ciphertext, shared) = encapsulate(&public, &black_box(B32::default()));
        black_box(shared);
        black_box(key.decapsulate(&ciphertext));
    })
}

fn sntrup() {
    let mut rng = Counted(1);
    let (public, key) = sntrup761::generate_key(&mut rng);
    let (ciphertext, shared) = public.encapsulate(&mut rng);
    black_box(shared);
    black_box(key.decapsulate(&ciphertext));
}

/// xorshift: what is drawn costs nothing.
struct Counted(u64);

impl TryRng for Counted {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|word| (word >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Ok(self.0)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.iter_mut().try_for_each(|octet| self.try_next_u32().map(|word| *octet = word as u8))
    }
}

impl TryCryptoRng for Counted {}

/// p of the group of RFC 3526 with so many bits, with what is computed from it once.
fn params(bits: u32) -> BoxedMontyParams {
    let p = Group::by_size(bits, bits, bits).expect("a group").p();
    BoxedMontyParams::new_vartime(Odd::new(BoxedUint::from_be_slice_vartime(&p[1..])).unwrap())
}

/// Two powers of 2 and two of them to the other's exponent, each of 512 bits.
fn finite_field(bits: u32) -> Work {
    let params = params(bits);
    let exponent = |octet| BoxedUint::from_be_slice(&[octet; 64], 512).unwrap();
    Box::new(move || {
        let power = |base: BoxedUint, exponent: &BoxedUint| {
            BoxedMontyForm::new(base, &params).pow_bounded_exp(exponent, 512).retrieve()
        };
        let (x, y) = (black_box(exponent(0x55)), black_box(exponent(0x66)));
        let two = BoxedUint::from(2_u32).resize(bits);
        let (e, f) = (power(two.clone(), &x), power(two, &y));
        black_box(power(f, &x));
        black_box(power(e, &y));
    })
}

/// 2 to the power of (p − 1)/2, and what is computed from a p that comes from the peer.
fn euler(bits: u32) -> Work {
    Box::new(move || {
        let params = params(bits);
        let half = params.modulus().shr(1);
        let two = BoxedUint::from(2_u32).resize(bits);
        black_box(BoxedMontyForm::new(two, &params).pow_bounded_exp(&half, bits - 1).retrieve());
    })
}
