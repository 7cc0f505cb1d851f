//! Finite-field Diffie-Hellman (RFC 4253 §8): the groups of RFC 3526, and those that a server gives (RFC 4419).
//!
//! An `mpint` is a string whose contents are the bytes of the number. So SSH_MSG_KEXDH_INIT and SSH_MSG_KEXDH_REPLY look
//! like the messages of the elliptic methods, and the exchange hash is over the same bytes: here a public value is the
//! contents of its `mpint`, and of the peer's only the minimal form of a number in 2..=p−2 is taken.
//!
//! A private exponent has 512 random bits, twice the strength of the strongest cipher (RFC 4419 §6.2); a power takes a
//! time that depends on the group alone. Exponents and shared secrets are wiped; in the memory of a power one entry of its
//! table is not, which tells the last four bits of the exponent. It does not know messages, nor which sizes a side asks
//! for.

use core::fmt;

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, CtGt, CtLt, Limb, NonZero, Odd, Resize};
use zeroize::Zeroizing;

use super::{BadPublicValue, ClientKey, SharedSecret};
use crate::crypto::{Rng, Secret};
use crate::wire::{Mpint, Writer};

/// The smallest modulus in bits that is asked for, taken or given (RFC 8270).
pub const MODULUS_BITS_MIN: u32 = 2048;

/// The size in bits that a client prefers: 128 bits of strength (NIST SP 800-57 part 1, table 2).
pub const MODULUS_BITS_PREFERRED: u32 = 3072;

/// The largest modulus in bits that is asked for, taken or given (RFC 4419 §3).
pub const MODULUS_BITS_MAX: u32 = 8192;

/// A group: the powers of g modulo p.
#[derive(Clone)]
pub struct Group {
    params: BoxedMontyParams,
    g: BoxedUint,
}

impl Group {
    /// The client's judgement of the group that a server gives, `p` and `g` as contents of `mpint`s.
    ///
    /// Taken is a p of `min` to `max` bits, but no fewer than [`MODULUS_BITS_MIN`] and no more than [`MODULUS_BITS_MAX`],
    /// such that neither p nor (p − 1)/2 has a factor below 1024, and a g with 1 < g < p − 1 of which the power (p − 1)/2
    /// is 1 or p − 1. **This is no proof that p is prime**: a server that wants a weak group can make one that passes, as
    /// it can give the secret away by other means. The checks find what is broken or careless. The last one takes a power
    /// with an exponent as long as p: at 8192 bits that costs several times what an exchange does.
    pub fn from_peer(p: &[u8], g: &[u8], min: u32, max: u32) -> Result<Self, BadGroup> {
        let p = positive(p).ok_or(BadGroup::Modulus)?;
        if p.len() > MODULUS_BITS_MAX as usize / 8 {
            return Err(BadGroup::Size);
        }
        let p = BoxedUint::from_be_slice_vartime(p);
        if !(min.max(MODULUS_BITS_MIN)..=max).contains(&p.bit_width_vartime()) {
            return Err(BadGroup::Size);
        }
        let p = Odd::new(p).into_option().ok_or(BadGroup::Modulus)?;
        if has_small_factor(&p) {
            return Err(BadGroup::Modulus);
        }
        let g = positive(g).and_then(|g| BoxedUint::from_be_slice(g, p.bits_precision()).ok());
        let group = Self { g: g.ok_or(BadGroup::Generator)?, params: BoxedMontyParams::new_vartime(p) };
        if !group.is_inside(&group.g) {
            return Err(BadGroup::Generator);
        }
        if group.passes_eulers_test() { Ok(group) } else { Err(BadGroup::Modulus) }
    }

    /// The server's choice for a client that asks for `n` bits and would take `min` to `max`: of the groups 14 to 18 of
    /// RFC 3526 the smallest that has `n` bits, else the largest (RFC 4419 §3). None if no group is within the bounds, or
    /// if `n` is not.
    #[must_use]
    pub fn by_size(min: u32, n: u32, max: u32) -> Option<Self> {
        if !(min..=max).contains(&n) {
            return None;
        }
        let mut fitting = MODP.iter().filter(|modp| (min..=max).contains(&modp.bits));
        let largest = fitting.clone().next_back();
        fitting.find(|modp| modp.bits >= n).or(largest).map(Modp::group)
    }

    /// p, as the contents of an `mpint`.
    #[must_use]
    pub fn p(&self) -> Vec<u8> {
        mpint(&self.params.modulus().to_be_bytes())
    }

    /// g, as the contents of an `mpint`.
    #[must_use]
    pub fn g(&self) -> Vec<u8> {
        mpint(&self.g.to_be_bytes())
    }

    /// The client's half: a fresh ephemeral key, whose public value is e.
    pub fn client_start(&self, rng: &mut dyn Rng) -> super::Ephemeral {
        super::Ephemeral(Box::new(self.ephemeral(rng)))
    }

    pub(super) fn ephemeral(&self, rng: &mut dyn Rng) -> Ephemeral {
        Ephemeral::new(self, rng)
    }

    /// The server's whole: its public value f and the secret it shares with the owner of `e`.
    pub fn respond(&self, e: &[u8], rng: &mut dyn Rng) -> Result<(Vec<u8>, SharedSecret), BadPublicValue> {
        self.public_value(e)?; // before the first power is paid for
        let ephemeral = self.ephemeral(rng);
        let f = ephemeral.public.clone();
        Ok((f, Box::new(ephemeral).agree(e)?))
    }

    /// The peer's public value.
    fn public_value(&self, contents: &[u8]) -> Result<BoxedUint, BadPublicValue> {
        let value = positive(contents).ok_or(BadPublicValue)?;
        let value =
            BoxedUint::from_be_slice(value, self.params.bits_precision()).map_err(|_| BadPublicValue)?;
        if self.is_inside(&value) { Ok(value) } else { Err(BadPublicValue) }
    }

    /// Whether 1 < `value` < p − 1; how far it is from that, its time doesn't tell.
    fn is_inside(&self, value: &BoxedUint) -> bool {
        let one = BoxedUint::one_with_precision(self.params.bits_precision());
        let p_minus_1 = self.params.modulus().wrapping_sub(&one);
        (value.ct_gt(&one) & value.ct_lt(&p_minus_1)).to_bool()
    }

    /// `base` to the power of the low `bits` bits of `exponent`, in a time that depends on neither.
    fn pow(&self, base: BoxedUint, exponent: &BoxedUint, bits: u32) -> Zeroizing<BoxedUint> {
        let power = BoxedMontyForm::new(base, &self.params).pow_bounded_exp(exponent, bits);
        Zeroizing::new(Zeroizing::new(power).retrieve())
    }

    /// Whether g^((p−1)/2) is 1 or p − 1, as it is for every g where p is prime.
    fn passes_eulers_test(&self) -> bool {
        let half = self.params.modulus().shr(1);
        let power = self.pow(self.g.clone(), &half, half.bit_width_vartime());
        !self.is_inside(&power) && !bool::from(power.is_zero())
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Group({} bits)", self.params.modulus().bit_width_vartime())
    }
}

/// The group that a server gives is not to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadGroup {
    /// p has fewer or more bits than were asked for.
    Size,
    /// p is not positive, not odd, or seen not to be a safe prime.
    Modulus,
    /// g is not within 2..=p−2.
    Generator,
}

impl fmt::Display for BadGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size => "the modulus of the group is not of the size that was asked for",
            Self::Modulus => "the modulus of the group is not a safe prime",
            Self::Generator => "the generator of the group is out of range",
        })
    }
}

impl core::error::Error for BadGroup {}

/// Bits of a private exponent.
const EXPONENT_BITS: u32 = 512;

/// An ephemeral key, used once.
pub(super) struct Ephemeral {
    group: Group,
    exponent: Zeroizing<BoxedUint>,
    public: Vec<u8>,
}

impl Ephemeral {
    fn new(group: &Group, rng: &mut dyn Rng) -> Self {
        let bytes = Secret::<{ EXPONENT_BITS as usize / 8 }>::random(rng);
        let exponent = Zeroizing::new(BoxedUint::from_be_slice_truncated(bytes.as_bytes(), EXPONENT_BITS));
        let public = mpint(&group.pow(group.g.clone(), &exponent, EXPONENT_BITS).to_be_bytes());
        Self { group: group.clone(), exponent, public }
    }
}

impl ClientKey for Ephemeral {
    fn public(&self) -> &[u8] {
        &self.public
    }

    /// The shared number; in 2..=p−2 too (NIST SP 800-56A revision 3, §5.7.1.1).
    fn agree(self: Box<Self>, public: &[u8]) -> Result<SharedSecret, BadPublicValue> {
        let public = self.group.public_value(public)?;
        let k = self.group.pow(public, &self.exponent, EXPONENT_BITS);
        if !self.group.is_inside(&k) {
            return Err(BadPublicValue);
        }
        Ok(SharedSecret::from_mpint(&Zeroizing::new(k.to_be_bytes())))
    }
}

/// The bytes of the number above zero of which these are an `mpint`'s contents.
fn positive(contents: &[u8]) -> Option<&[u8]> {
    Mpint::from_bytes(contents).ok()?.positive().ok()
}

/// The contents of the `mpint` of a public number.
fn mpint(magnitude: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    Writer::new(&mut encoded).mpint(magnitude);
    encoded.drain(..size_of::<u32>());
    encoded
}

/// Factors are looked for below this.
const SMALL_FACTOR_MAX: u32 = 1024;

/// Whether p or (p − 1)/2 has a factor that is found by trial division, for an odd p.
fn has_small_factor(p: &Odd<BoxedUint>) -> bool {
    // A divisor d of p − 1 leaves 1: it divides (p − 1)/2 if it is odd, else its half does.
    let mut divisors = (3..SMALL_FACTOR_MAX).filter_map(|d| NonZero::new(Limb::from_u32(d)).into_option());
    divisors.any(|d| p.rem_limb(d) <= Limb::ONE)
}

/// A group of RFC 3526: p = 2^bits − 2^(bits−64) − 1 + 2^64 · (⌊2^(bits−130) · π⌋ + `added`), g = 2.
pub(super) struct Modp {
    bits: u32,
    added: u64,
}

/// Group 14.
pub(super) const GROUP_14: Modp = Modp { bits: 2048, added: 124_476 };
/// Group 15.
const GROUP_15: Modp = Modp { bits: 3072, added: 1_690_314 };
/// Group 16.
pub(super) const GROUP_16: Modp = Modp { bits: 4096, added: 240_904 };
/// Group 17.
const GROUP_17: Modp = Modp { bits: 6144, added: 929_484 };
/// Group 18.
pub(super) const GROUP_18: Modp = Modp { bits: 8192, added: 4_743_158 };

/// By size.
static MODP: [Modp; 5] = [GROUP_14, GROUP_15, GROUP_16, GROUP_17, GROUP_18];

impl Modp {
    pub(super) fn group(&self) -> Group {
        let p = BoxedUint::from_be_slice_vartime(&self.p());
        let g = BoxedUint::from(2_u32).resize(p.bits_precision());
        // There is always a value: p ends in 64 ones.
        Group { params: BoxedMontyParams::new_vartime(Odd::new(p).into_option().unwrap_or_default()), g }
    }

    /// The big-endian bytes of p: 64 ones, the digits of π with `added` − 1, and 64 ones.
    fn p(&self) -> Vec<u8> {
        let digits = (self.bits / u64::BITS) as usize - 2;
        let mut words = PI.iter().take(digits).copied().collect::<Vec<_>>();
        let mut carry = self.added - 1;
        for word in words.iter_mut().rev() {
            let (sum, overflow) = word.overflowing_add(carry);
            (*word, carry) = (sum, u64::from(overflow));
        }
        [&[u64::MAX], &*words, &[u64::MAX]].concat().into_iter().flat_map(u64::to_be_bytes).collect()
    }
}

/// ⌊2^8062 · π⌋.
#[rustfmt::skip]
static PI: [u64; 126] = [
    0xc90fdaa22168c234, 0xc4c6628b80dc1cd1, 0x29024e088a67cc74, 0x020bbea63b139b22,
    0x514a08798e3404dd, 0xef9519b3cd3a431b, 0x302b0a6df25f1437, 0x4fe1356d6d51c245,
    0xe485b576625e7ec6, 0xf44c42e9a637ed6b, 0x0bff5cb6f406b7ed, 0xee386bfb5a899fa5,
    0xae9f24117c4b1fe6, 0x49286651ece45b3d, 0xc2007cb8a163bf05, 0x98da48361c55d39a,
    0x69163fa8fd24cf5f, 0x83655d23dca3ad96, 0x1c62f356208552bb, 0x9ed529077096966d,
    0x670c354e4abc9804, 0xf1746c08ca18217c, 0x32905e462e36ce3b, 0xe39e772c180e8603,
    0x9b2783a2ec07a28f, 0xb5c55df06f4c52c9, 0xde2bcbf695581718, 0x3995497cea956ae5,
    0x15d2261898fa0510, 0x15728e5a8aaac42d, 0xad33170d04507a33, 0xa85521abdf1cba64,
    0xecfb850458dbef0a, 0x8aea71575d060c7d, 0xb3970f85a6e1e4c7, 0xabf5ae8cdb0933d7,
    0x1e8c94e04a25619d, 0xcee3d2261ad2ee6b, 0xf12ffa06d98a0864, 0xd87602733ec86a64,
    0x521f2b18177b200c, 0xbbe117577a615d6c, 0x770988c0bad946e2, 0x08e24fa074e5ab31,
    0x43db5bfce0fd108e, 0x4b82d120a9210801, 0x1a723c12a787e6d7, 0x88719a10bdba5b26,
    0x99c327186af4e23c, 0x1a946834b6150bda, 0x2583e9ca2ad44ce8, 0xdbbbc2db04de8ef9,
    0x2e8efc141fbecaa6, 0x287c59474e6bc05d, 0x99b2964fa090c3a2, 0x233ba186515be7ed,
    0x1f612970cee2d7af, 0xb81bdd762170481c, 0xd0069127d5b05aa9, 0x93b4ea988d8fddc1,
    0x86ffb7dc90a6c08f, 0x4df435c934028492, 0x36c3fab4d27c7026, 0xc1d4dcb2602646de,
    0xc9751e763dba37bd, 0xf8ff9406ad9e530e, 0xe5db382f413001ae, 0xb06a53ed9027d831,
    0x179727b0865a8918, 0xda3edbebcf9b14ed, 0x44ce6cbaced4bb1b, 0xdb7f1447e6cc254b,
    0x332051512bd7af42, 0x6fb8f401378cd2bf, 0x5983ca01c64b92ec, 0xf032ea15d1721d03,
    0xf482d7ce6e74fef6, 0xd55e702f46980c82, 0xb5a84031900b1c9e, 0x59e7c97fbec7e8f3,
    0x23a97a7e36cc88be, 0x0f1d45b7ff585ac5, 0x4bd407b22b4154aa, 0xcc8f6d7ebf48e1d8,
    0x14cc5ed20f8037e0, 0xa79715eef29be328, 0x06a1d58bb7c5da76, 0xf550aa3d8a1fbff0,
    0xeb19ccb1a313d55c, 0xda56c9ec2ef29632, 0x387fe8d76e3c0468, 0x043e8f663f4860ee,
    0x12bf2d5b0b7474d6, 0xe694f91e6dbe1159, 0x74a3926f12fee5e4, 0x38777cb6a932df8c,
    0xd8bec4d073b931ba, 0x3bc832b68d9dd300, 0x741fa7bf8afc47ed, 0x2576f6936ba42466,
    0x3aab639c5ae4f568, 0x3423b4742bf1c978, 0x238f16cbe39d652d, 0xe3fdb8befc848ad9,
    0x22222e04a4037c07, 0x13eb57a81a23f0c7, 0x3473fc646cea306b, 0x4bcbc8862f8385dd,
    0xfa9d4b7fa2c087e8, 0x79683303ed5bdd3a, 0x062b3cf5b3a278a6, 0x6d2a13f83f44f82d,
    0xdf310ee074ab6a36, 0x4597e899a0255dc1, 0x64f31cc50846851d, 0xf9ab48195ded7ea1,
    0xb1d510bd7ee74d73, 0xfaf36bc31ecfa268, 0x359046f4eb879f92, 0x4009438b481c6cd7,
    0x889a002ed5ee382b, 0xc9190da6fc026e47, 0x9558e4475677e9aa, 0x9e3050e2765694df,
    0xc81f56e880b96e71, 0x60c980dd98a573ea,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_stand_by_size_within_the_bounds_and_their_moduli_are_odd() {
        assert!(MODP.is_sorted_by_key(|modp| modp.bits));
        assert_eq!((MODP[0].bits, MODP[4].bits), (MODULUS_BITS_MIN, MODULUS_BITS_MAX));
        for modp in &MODP {
            let group = modp.group();
            assert_eq!(group.params.modulus().bit_width_vartime(), modp.bits);
            assert!(!has_small_factor(group.params.modulus()));
        }
    }

    #[test]
    fn t29_factors_below_the_bound_are_found_in_p_and_in_half_of_p_less_one() {
        let found = |p: u64| has_small_factor(&Odd::new(BoxedUint::from(p)).unwrap());
        // 1021 and 1031 are the primes around the bound; all of these numbers are products of two primes, or primes, and
        // so is (p − 1)/2.
        for (p, expected) in [
            (3 * 1033, true),
            (1021 * 1103, true),
            (1031 * 1069, false),
            (2 * 1021 * 1193 + 1, true),
            (2 * 1031 * 1033 + 1, false),
            (4 * 1033 + 1, true),
        ] {
            assert_eq!(found(p), expected, "{p}");
        }
    }

    #[test]
    fn t29_eulers_test_fails_where_p_has_two_factors() {
        let passes = |p: u64, g: u64| {
            let params = BoxedMontyParams::new_vartime(Odd::new(BoxedUint::from(p)).unwrap());
            Group { params, g: BoxedUint::from(g) }.passes_eulers_test()
        };
        // 1019 is a safe prime: half of its numbers have the power 1, half p − 1.
        assert!((2..1018).all(|g| passes(1019, g)));
        assert!(!passes(1019 * 1187, 2) && !passes(1019 * 1187, 3) && !passes(1019 * 1019, 2));
        // A number that has a factor of p ends at 0.
        assert!(!passes(9, 3));
    }
}
