//! RSA with PKCS#1 v1.5 padding (RFC 8017 §8.2): rsa-sha2-512 and rsa-sha2-256 (RFC 8332), and ssh-rsa, whose hash is SHA-1
//! (RFC 4253 §6.6), to verify only.
//!
//! Sizes are judged before any arithmetic. ring verifies, and signs for the keys that it takes: 2048 to 4096 bits, an
//! exponent of 65537 or more, primes of half the length and a multiple of 512 bits. For the others the private power is made
//! here by the Chinese remainder theorem, with the constant-time arithmetic of crypto-bigint. The time of neither depends on
//! the bytes that are signed, so they are not blinded. A fault in one half of that computation would give the key away, so
//! no signature leaves that the public key has not verified.
//!
//! What a key file has is zeroed on drop; what ring and the Montgomery form make of it is not. Blobs and names are
//! [`super`]'s.

use core::fmt;

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, ConcatenatingMul};
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair, KeyPairComponents, PublicKeyComponents};
use ring::signature::{self as ring_signature, RsaEncoding, RsaParameters};
use zeroize::Zeroizing;

use super::{BadSignature, CannotSign, KeyError};
use crate::crypto::Hash;
use crate::wire::{Reader, Writer};

/// The type name in the blobs of all RSA keys (RFC 4253 §6.6, RFC 8332 §3).
pub const KEY_TYPE: &str = "ssh-rsa";

/// The least bits of a modulus.
pub const MODULUS_BITS_MIN: usize = 2048;

/// The most bits of a modulus.
pub const MODULUS_BITS_MAX: usize = 8192;

/// The least public exponent; the greatest is the greatest `u32`.
pub const EXPONENT_MIN: u32 = 3;

const MODULUS_LEN_MAX: usize = MODULUS_BITS_MAX / 8;

/// The hash of a signature, and with it the algorithm's name: one key serves all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// rsa-sha2-512.
    Sha512,
    /// rsa-sha2-256.
    Sha256,
    /// ssh-rsa. Nothing is signed with it.
    Sha1,
}

impl Scheme {
    /// The name of the algorithm.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha512 => "rsa-sha2-512",
            Self::Sha256 => "rsa-sha2-256",
            Self::Sha1 => "ssh-rsa",
        }
    }

    const fn parameters(self) -> &'static RsaParameters {
        match self {
            Self::Sha512 => &ring_signature::RSA_PKCS1_2048_8192_SHA512,
            Self::Sha256 => &ring_signature::RSA_PKCS1_2048_8192_SHA256,
            Self::Sha1 => &ring_signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        }
    }
}

/// A modulus and an exponent within their bounds, both odd.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    n: Box<[u8]>,
    e: u32,
}

impl PublicKey {
    /// Reads the fields behind the type name: `mpint e, mpint n`.
    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, KeyError> {
        let (e, n) = (r.mpint()?.positive()?, r.mpint()?.positive()?);
        Self::new(n, e)
    }

    /// Takes big-endian numbers without leading zeros. [`KeyError::UnsupportedSize`] for a modulus of fewer bits than
    /// [`MODULUS_BITS_MIN`] or more than [`MODULUS_BITS_MAX`] and for an exponent that is too large; [`KeyError::NotAKey`]
    /// for one below [`EXPONENT_MIN`] and for even numbers.
    pub(super) fn new(n: &[u8], e: &[u8]) -> Result<Self, KeyError> {
        if !(MODULUS_BITS_MIN..=MODULUS_BITS_MAX).contains(&bits(n)) || e.len() > size_of::<u32>() {
            return Err(KeyError::UnsupportedSize);
        }
        let e = e.iter().fold(0, |e, octet| e << 8 | u32::from(*octet));
        if e < EXPONENT_MIN || e % 2 == 0 || n.last().is_none_or(|low| low % 2 == 0) {
            return Err(KeyError::NotAKey);
        }
        Ok(Self { n: n.into(), e })
    }

    /// n, big-endian without leading zeros.
    #[must_use]
    pub const fn modulus(&self) -> &[u8] {
        &self.n
    }

    /// How many bits n has.
    #[must_use]
    pub fn bits(&self) -> usize {
        bits(&self.n)
    }

    /// e.
    #[must_use]
    pub const fn exponent(&self) -> u32 {
        self.e
    }

    /// Writes the fields behind the type name.
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.mpint(&self.e.to_be_bytes());
        w.mpint(&self.n);
    }

    /// RFC 8017 §8.2.2. A signature shorter than the modulus gets its leading zeros back, as OpenSSH does: some signers
    /// drop them.
    pub(super) fn verify(
        &self,
        scheme: Scheme,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        let mut padded = [0; MODULUS_LEN_MAX];
        let zeros = self.n.len().checked_sub(signature.len()).ok_or(BadSignature)?;
        padded.get_mut(zeros..self.n.len()).ok_or(BadSignature)?.copy_from_slice(signature);
        let padded = padded.get(..self.n.len()).ok_or(BadSignature)?;
        let e = self.e.to_be_bytes();
        let e = e.split_at(e.iter().take_while(|b| **b == 0).count()).1;
        PublicKeyComponents { n: &*self.n, e }
            .verify(scheme.parameters(), message, padded)
            .map_err(|_| BadSignature)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.e)?;
        self.n.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// The numbers of a private key as a key file has them (OpenSSH's PROTOCOL.key): big-endian, without leading zeros.
#[derive(Clone, Copy)]
pub struct Components<'a> {
    /// The modulus, p · q.
    pub n: &'a [u8],
    /// The public exponent.
    pub e: &'a [u8],
    /// The private exponent.
    pub d: &'a [u8],
    /// The inverse of q modulo p.
    pub iqmp: &'a [u8],
    /// One prime.
    pub p: &'a [u8],
    /// The other prime.
    pub q: &'a [u8],
}

impl fmt::Debug for Components<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Components(..)")
    }
}

/// A private key whose numbers belong together.
pub struct PrivateKey {
    public_key: PublicKey,
    d: Zeroizing<Box<[u8]>>,
    iqmp: Zeroizing<Box<[u8]>>,
    p: Zeroizing<Box<[u8]>>,
    q: Zeroizing<Box<[u8]>>,
    signer: Signer,
}

enum Signer {
    Ring(Box<KeyPair>),
    Crt(Box<Crt>),
}

impl PrivateKey {
    /// Checks the numbers' sizes, then that n = p · q, e · d ≡ 1 modulo p - 1 and q - 1, and q · iqmp ≡ 1 modulo p. The
    /// primes are taken to be prime: a wrong one makes signatures that do not verify.
    pub(super) fn from_components(components: &Components<'_>) -> Result<Self, KeyError> {
        let Components { n, e, d, iqmp, p, q } = *components;
        let public_key = PublicKey::new(n, e)?;
        let prime_bits = bits(n).div_ceil(2);
        if bits(p) > prime_bits || bits(q) > prime_bits || bits(iqmp) > prime_bits || bits(d) > bits(n) {
            return Err(KeyError::UnsupportedSize);
        }
        let crt = Crt::new(&public_key, d, iqmp, p, q).ok_or(KeyError::Inconsistent)?;
        let (d_p, d_q) = (Zeroizing::new(crt.d_p.to_be_bytes()), Zeroizing::new(crt.d_q.to_be_bytes()));
        let of_ring = KeyPair::from_components(&KeyPairComponents {
            public_key: PublicKeyComponents { n, e },
            d,
            p,
            q,
            dP: trimmed(&d_p),
            dQ: trimmed(&d_q),
            qInv: iqmp,
        });
        // What ring refuses was found to be a key above; it has more conditions.
        let signer = match of_ring {
            Ok(pair) => Signer::Ring(Box::new(pair)),
            Err(_) => Signer::Crt(Box::new(crt)),
        };
        let secret = |number: &[u8]| Zeroizing::new(Box::from(number));
        Ok(Self { public_key, d: secret(d), iqmp: secret(iqmp), p: secret(p), q: secret(q), signer })
    }

    /// The public half.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Writes `mpint n, e, d, iqmp, p, q`, as key files have them.
    pub(crate) fn encode_components(&self, w: &mut Writer<'_>) {
        w.mpint(&self.public_key.n);
        w.mpint(&self.public_key.e.to_be_bytes());
        for number in [&self.d, &self.iqmp, &self.p, &self.q] {
            w.mpint(number);
        }
    }

    /// RFC 8017 §8.2.1. The signature is as long as the modulus.
    pub(super) fn sign(&self, scheme: Scheme, message: &[u8]) -> Result<Zeroizing<Vec<u8>>, CannotSign> {
        let (encoding, hash, digest_info): (&'static dyn RsaEncoding, _, _) = match scheme {
            Scheme::Sha512 => (&ring_signature::RSA_PKCS1_SHA512, Hash::Sha512, DIGEST_INFO_SHA512),
            Scheme::Sha256 => (&ring_signature::RSA_PKCS1_SHA256, Hash::Sha256, DIGEST_INFO_SHA256),
            Scheme::Sha1 => return Err(CannotSign::WrongAlgorithm),
        };
        let mut signature = Zeroizing::new(vec![0; self.public_key.n.len()]);
        match &self.signer {
            Signer::Ring(pair) => pair
                .sign(encoding, &SystemRandom::new(), message, &mut signature)
                .map_err(|_| CannotSign::Failed)?,
            Signer::Crt(crt) => {
                encode_message(digest_info, hash.digest(message).as_bytes(), &mut signature);
                crt.power(&mut signature);
            }
        }
        // A faulty signature stays here, where it is wiped.
        self.public_key.verify(scheme, message, &signature).map_err(|_| CannotSign::Failed)?;
        Ok(signature)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

/// The private power by the Chinese remainder theorem (RFC 8017 §5.1.2, 2.b). Every number has the same precision, so that
/// times show only the modulus's length.
struct Crt {
    p: BoxedMontyParams,
    q: BoxedMontyParams,
    d_p: Zeroizing<BoxedUint>,
    d_q: Zeroizing<BoxedUint>,
    q_inv: Zeroizing<BoxedMontyForm>,
}

impl Crt {
    /// `None` if the numbers do not belong together. Their sizes are checked by the caller.
    fn new(public_key: &PublicKey, d: &[u8], iqmp: &[u8], p: &[u8], q: &[u8]) -> Option<Self> {
        let number = |bytes: &[u8], bits: usize| {
            let bits = u32::try_from(bits).ok()?;
            BoxedUint::from_be_slice(bytes, bits).ok().map(Zeroizing::new)
        };
        let modulus_bits = bits(&public_key.n);
        let prime_bits = modulus_bits.div_ceil(2);
        let (p, q) = (number(p, prime_bits)?, number(q, prime_bits)?);
        if trimmed(&Zeroizing::new(p.concatenating_mul(&*q)).to_be_bytes()) != &*public_key.n {
            return None;
        }
        let (d, e) = (number(d, modulus_bits)?, BoxedUint::from(public_key.e));
        // d modulo prime - 1; the inverse of e there.
        let exponent = |prime: &BoxedUint| {
            let order = Zeroizing::new(prime.wrapping_sub(BoxedUint::one()));
            let order = Zeroizing::new(Option::from(order.to_nz())?);
            let reduced = Zeroizing::new(d.rem(&*order));
            let product = Zeroizing::new(reduced.concatenating_mul(&e).rem(&*order));
            bool::from(product.is_one()).then_some(reduced)
        };
        let (d_p, d_q) = (exponent(&p)?, exponent(&q)?);
        let q_inv = number(iqmp, prime_bits)?;
        if *q_inv >= *p {
            return None;
        }
        let params = |prime: &BoxedUint| Some(BoxedMontyParams::new(Option::from(prime.to_odd())?));
        let (p, q) = (params(&p)?, params(&q)?);
        let q_inv = Zeroizing::new(BoxedMontyForm::new((*q_inv).clone(), &p));
        let unit = Zeroizing::new(q_inv.mul(&residue(q.modulus().as_ref(), &p)));
        (*unit == BoxedMontyForm::one(&p)).then_some(Self { p, q, d_p, d_q, q_inv })
    }

    /// Replaces a number below n by its private power. `in_out` is as long as n.
    fn power(&self, in_out: &mut [u8]) {
        let c = BoxedUint::from_be_slice_vartime(in_out);
        let m_1 = Zeroizing::new(residue(&c, &self.p).pow(&self.d_p));
        let m_2 = Zeroizing::new(residue(&c, &self.q).pow(&self.d_q).retrieve());
        let h = Zeroizing::new(self.q_inv.mul(&m_1.sub(&residue(&m_2, &self.p))).retrieve());
        let h_q = Zeroizing::new(h.concatenating_mul(self.q.modulus().as_ref()));
        let m = Zeroizing::new(h_q.wrapping_add(&*m_2).to_be_bytes());
        let zeros = m.len().saturating_sub(in_out.len());
        in_out.copy_from_slice(m.split_at(zeros).1);
    }
}

/// A number modulo a prime, in constant time.
fn residue(number: &BoxedUint, prime: &BoxedMontyParams) -> BoxedMontyForm {
    BoxedMontyForm::new(number.rem(prime.modulus().as_nz_ref()), prime)
}

/// EMSA-PKCS1-v1_5 (RFC 8017 §9.2): 00 01, octets of ff, 00, the DigestInfo with the digest at the end. `out` is as long as
/// the modulus.
fn encode_message(digest_info: &[u8], digest: &[u8], out: &mut [u8]) {
    out.fill(0xff);
    let head = [0x00, 0x01];
    let tail = [&[0x00], digest_info, digest].concat();
    out.iter_mut().zip(head).for_each(|(octet, value)| *octet = value);
    out.iter_mut().rev().zip(tail.iter().rev()).for_each(|(octet, value)| *octet = *value);
}

/// The DER of a DigestInfo in front of a SHA-256 digest (RFC 8017 §9.2, note 1).
const DIGEST_INFO_SHA256: &[u8] =
    b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";

/// The same for SHA-512.
const DIGEST_INFO_SHA512: &[u8] =
    b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40";

/// How many bits a big-endian number without leading zeros has.
fn bits(number: &[u8]) -> usize {
    let zeros = number.first().map_or(0, |first| first.leading_zeros() as usize);
    number.len() * 8 - zeros
}

/// A big-endian number without its leading zeros.
fn trimmed(number: &[u8]) -> &[u8] {
    number.split_at(number.iter().take_while(|b| **b == 0).count()).1
}

#[cfg(test)]
mod tests {
    use super::*;

    const VECTORS: &str = include_str!("../../../vectors/rsa-sign.txt");

    /// The numbers N, E, D, IQMP, P, Q of a block.
    fn numbers(id: &str) -> [Vec<u8>; 6] {
        let block = VECTORS.split("\n\n").find(|block| block.starts_with(&format!("ID = {id}\n"))).unwrap();
        ["N", "E", "D", "IQMP", "P", "Q"].map(|name| {
            let text = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = ")).unwrap();
            (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
        })
    }

    fn load(numbers: &[Vec<u8>; 6]) -> Result<PrivateKey, KeyError> {
        let [n, e, d, iqmp, p, q] = numbers.each_ref().map(Vec::as_slice);
        PrivateKey::from_components(&Components { n, e, d, iqmp, p, q })
    }

    /// The arithmetic of this file whatever the key, so that a fault can be put into one of its parts.
    fn crt(numbers: &[Vec<u8>; 6]) -> (PrivateKey, Crt) {
        let [_, _, d, iqmp, p, q] = numbers.each_ref().map(Vec::as_slice);
        let key = load(numbers).unwrap();
        let crt = Crt::new(&key.public_key, d, iqmp, p, q).unwrap();
        (key, crt)
    }

    #[test]
    fn ring_signs_for_the_keys_that_it_takes() {
        let signs = |id| matches!(load(&numbers(id)).unwrap().signer, Signer::Ring(_));
        // 2048, 3072 and 4096 bits with the primes either way round; then 2048 with e = 3, odd sizes, 8192.
        for (id, expected) in
            [("1", true), ("3", true), ("10", true), ("11", true), ("4", false), ("6", false), ("13", false)]
        {
            assert_eq!(signs(id), expected, "{id}");
        }
    }

    #[test]
    fn t27_a_fault_in_a_part_gives_an_error_and_no_signature() {
        let plus_one = |number: &BoxedUint| Zeroizing::new(number.wrapping_add(BoxedUint::one()));
        let number = |octets: &[u8]| BoxedUint::from_be_slice_vartime(octets);
        for id in ["1", "4", "6"] {
            let numbers = numbers(id);
            let good = load(&numbers).unwrap().sign(Scheme::Sha256, b"m").unwrap();
            // Which part is wrong, and which prime then divides the difference from the good signature.
            for (part, gives_away_p, gives_away_q) in
                [("none", true, true), ("d_p", false, true), ("d_q", true, false), ("q_inv", false, true)]
            {
                let (key, mut crt) = crt(&numbers);
                match part {
                    "d_p" => crt.d_p = plus_one(&crt.d_p),
                    "d_q" => crt.d_q = plus_one(&crt.d_q),
                    "q_inv" => crt.q_inv = Zeroizing::new(crt.q_inv.double()),
                    _ => {}
                }
                let mut kept_back = vec![0; good.len()];
                encode_message(DIGEST_INFO_SHA256, Hash::Sha256.digest(b"m").as_bytes(), &mut kept_back);
                crt.power(&mut kept_back);
                let (a, b) = (number(&good).max(number(&kept_back)), number(&good).min(number(&kept_back)));
                let divides = |prime| bool::from(residue(&a.wrapping_sub(&b), prime).is_zero());
                assert_eq!((divides(&crt.p), divides(&crt.q)), (gives_away_p, gives_away_q), "{id} {part}");

                let key = PrivateKey { signer: Signer::Crt(Box::new(crt)), ..key };
                let expected = if part == "none" { Ok(good.clone()) } else { Err(CannotSign::Failed) };
                assert_eq!(key.sign(Scheme::Sha256, b"m"), expected, "{id} {part}");
            }
        }
    }

    /// ring makes the check by itself; ours holds whatever ring does.
    #[test]
    fn t27_a_fault_within_ring_gives_an_error_and_no_signature() {
        let numbers = numbers("1");
        let [n, e, d, iqmp, p, q] = numbers.each_ref().map(Vec::as_slice);
        let (key, crt) = crt(&numbers);
        let (d_p, mut d_q) = (crt.d_p.to_be_bytes(), crt.d_q.to_be_bytes());
        *d_q.last_mut().unwrap() ^= 2;
        let public_key = PublicKeyComponents { n, e };
        let parts = KeyPairComponents { public_key, d, p, q, dP: &*d_p, dQ: &*d_q, qInv: iqmp };
        let faulty = KeyPair::from_components(&parts).unwrap();
        let key = PrivateKey { signer: Signer::Ring(Box::new(faulty)), ..key };
        assert_eq!(key.sign(Scheme::Sha512, b"m"), Err(CannotSign::Failed));

        let Signer::Ring(of_another_key) = load(&self::numbers("3")).unwrap().signer else { panic!() };
        let key = PrivateKey { signer: Signer::Ring(of_another_key), ..key };
        assert_eq!(key.sign(Scheme::Sha512, b"m"), Err(CannotSign::Failed));
    }

    #[test]
    fn t89_numbers_that_do_not_belong_together_are_no_key() {
        for id in ["1", "4", "6"] {
            let good = numbers(id);
            assert!(load(&good).is_ok());
            let other = numbers(if id == "3" { "1" } else { "3" });
            for at in 0..6 {
                for change in [1, 2, 4] {
                    let mut changed = good.clone();
                    *changed[at].last_mut().unwrap() ^= change;
                    assert!(load(&changed).is_err(), "{id} {at} {change}");
                }
                let mut mixed = good.clone();
                mixed[at].clone_from(&other[at]);
                assert!(mixed[at] == good[at] || load(&mixed).is_err(), "{id} {at}");
            }
            let mut swapped = good.clone();
            swapped.swap(4, 5);
            assert_eq!(load(&swapped).err(), Some(KeyError::Inconsistent));
            // A number as large as its modulus says the same, and is refused all the same.
            let [n, _, _, iqmp, p, _] =
                good.each_ref().map(|octets| BoxedUint::from_be_slice_vartime(octets));
            let mut beyond = good.clone();
            beyond[3] = trimmed(&iqmp.concatenating_add(&p).to_be_bytes()).to_vec();
            assert!(load(&beyond).is_err());
            beyond = good.clone();
            beyond[2] = trimmed(&n.concatenating_mul(&n).to_be_bytes()).to_vec();
            assert_eq!(load(&beyond).err(), Some(KeyError::UnsupportedSize));
        }
    }

    #[test]
    fn t54_t89_sizes_are_judged_before_anything_is_computed() {
        let good = numbers("1");
        let huge = vec![0xff; 1 << 20];
        for at in [0, 1, 2, 3, 4, 5] {
            let mut changed = good.clone();
            changed[at].clone_from(&huge);
            assert_eq!(load(&changed).err(), Some(KeyError::UnsupportedSize), "{at}");
        }
        // Primes of 1, and of the whole length.
        for (p, q) in [(4, 5), (5, 4)] {
            let mut changed = good.clone();
            changed[p] = vec![1];
            changed[q].clone_from(&good[0]);
            assert_eq!(load(&changed).err(), Some(KeyError::UnsupportedSize));
        }
        for at in [2, 3, 4, 5] {
            let mut changed = good.clone();
            changed[at] = vec![1];
            assert_eq!(load(&changed).err(), Some(KeyError::Inconsistent), "{at}");
        }
        let public = |bits: usize, e: &[u8]| {
            let mut n = vec![0xff; bits.div_ceil(8)];
            n[0] >>= (8 - bits % 8) % 8;
            PublicKey::new(&n, e).err()
        };
        let e = &[1, 0, 1];
        for bits in [1, 1024, MODULUS_BITS_MIN - 1, MODULUS_BITS_MAX + 1, 16384, 65536] {
            assert_eq!(public(bits, e), Some(KeyError::UnsupportedSize), "{bits}");
        }
        for bits in [MODULUS_BITS_MIN, MODULUS_BITS_MIN + 1, MODULUS_BITS_MAX] {
            assert_eq!(public(bits, e), None, "{bits}");
        }
        for (e, expected) in [
            (&[3][..], None),
            (&[0xff; 4], None),
            (&[1, 0, 0, 0, 1], Some(KeyError::UnsupportedSize)),
            (&[0xff; 512], Some(KeyError::UnsupportedSize)),
            (&[1], Some(KeyError::NotAKey)),
            (&[2], Some(KeyError::NotAKey)),
            (&[1, 0, 0], Some(KeyError::NotAKey)),
        ] {
            assert_eq!(public(2048, e), expected, "{e:?}");
        }
        let mut even = numbers("1");
        even[0][255] ^= 1;
        assert_eq!(PublicKey::new(&even[0], e).err(), Some(KeyError::NotAKey));
    }

    /// OpenSSH pads such signatures too; a longer one is another number.
    #[test]
    fn a_short_signature_gets_its_zeros_back_and_a_long_one_is_bad() {
        let key = load(&numbers("4")).unwrap();
        let short = (0_u32..).find_map(|i| {
            let signature = key.sign(Scheme::Sha256, &i.to_be_bytes()).unwrap();
            (signature[0] == 0).then_some((i.to_be_bytes(), signature))
        });
        let (message, signature) = short.unwrap();
        let verify = |signature: &[u8]| key.public_key.verify(Scheme::Sha256, &message, signature);
        assert_eq!((verify(&signature), verify(&signature[1..])), (Ok(()), Ok(())));
        assert_eq!(verify(&signature[2..]).is_ok(), signature[1] == 0);
        assert_eq!(verify(&[&[0], &**signature].concat()), Err(BadSignature));
        assert_eq!(
            (verify(b""), verify(&[0; 256]), verify(&[0xff; 2000])),
            (Err(BadSignature), Err(BadSignature), Err(BadSignature))
        );
    }

    #[test]
    fn t26_nothing_is_signed_with_sha1() {
        let key = load(&numbers("1")).unwrap();
        assert_eq!(key.sign(Scheme::Sha1, b"m"), Err(CannotSign::WrongAlgorithm));
    }
}
