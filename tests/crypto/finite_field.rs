use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd, Resize};
use strombus::crypto::kdf::derive;
use strombus::crypto::kex::{
    BadGroup, BadPublicValue, Group, KeyExchange, MODULUS_BITS_MAX, MODULUS_BITS_MIN, MODULUS_BITS_PREFERRED,
    Method, SharedSecret,
};
use strombus::crypto::{Hash, Rng};
use strombus::wire::{Reader, Writer};
use zeroize::Zeroize;

use crate::rng::SeededRng;

const METHODS: [(Method, u32); 4] = [
    (Method::DhGroup14Sha256, 2048),
    (Method::DhGroup14Sha1, 2048),
    (Method::DhGroup16Sha512, 4096),
    (Method::DhGroup18Sha512, 8192),
];

/// An exponent that is known: the 512 bits of this number.
struct Exponent(u32);

impl Rng for Exponent {
    fn fill(&mut self, out: &mut [u8]) {
        assert_eq!(out.len(), 64);
        out.fill(0);
        out[60..].copy_from_slice(&self.0.to_be_bytes());
    }
}

fn fixed(bits: u32) -> Group {
    Group::by_size(bits, bits, bits).unwrap()
}

fn from_peer(p: &BoxedUint, g: &BoxedUint) -> Result<Group, BadGroup> {
    Group::from_peer(&mpint(p), &mpint(g), MODULUS_BITS_MIN, MODULUS_BITS_MAX)
}

/// The contents of the mpint.
fn mpint(number: &BoxedUint) -> Vec<u8> {
    let mut bytes = Vec::new();
    Writer::new(&mut bytes).mpint(&number.to_be_bytes());
    bytes.split_off(4)
}

fn number(contents: &[u8]) -> BoxedUint {
    BoxedUint::from_be_slice_vartime(contents)
}

/// 2^`shift` + `low`, with room for products.
fn power_of_2(shift: u32, low: u32) -> BoxedUint {
    BoxedUint::one_with_precision(4096).shl(shift).wrapping_add(BoxedUint::from(low))
}

fn pow(base: u32, exponent: &BoxedUint, p: &BoxedUint) -> BoxedUint {
    let p = Odd::new(p.clone()).unwrap();
    let base = BoxedUint::from(base).resize(p.bits_precision());
    BoxedMontyForm::new(base, &BoxedMontyParams::new_vartime(p)).pow(exponent).retrieve()
}

/// A prime p = 2^2047 + 66238971 such that (p − 1)/2 has the factor 1031 and no smaller one.
fn prime_with_a_subgroup() -> BoxedUint {
    power_of_2(2047, 66_238_971).resize(2048)
}

/// The factors of p = r²s, 2050 bits, and a generator that passes: r and s are primes with the factor d = 2^61 − 1 in
/// r − 1 and s − 1, g has the order d, which divides (p − 1)/2.
fn composite() -> (BoxedUint, BoxedUint, Group) {
    let d = BoxedUint::from((1_u64 << 61) - 1);
    let (r_part, s_part) = (power_of_2(600, 124), power_of_2(664, 20_395));
    let prime = |part: &BoxedUint| part.wrapping_mul(&d).shl(1).wrapping_add(BoxedUint::one()).resize(4096);
    let (r, s) = (prime(&r_part), prime(&s_part));
    let p = r.wrapping_mul(&r).wrapping_mul(&s).resize(2112);
    let g = pow(3, &r.wrapping_mul(r_part.shl(1)).wrapping_mul(s_part.shl(1)), &p);
    let group = from_peer(&p, &g).unwrap();
    (r, s, group)
}

/// Values that no peer of these groups has for an exponent of its own.
fn bad_values(p: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let one = BoxedUint::one();
    let mut half_negative = p[1..].to_vec();
    half_negative[0] = 0x80;
    vec![
        ("0", vec![]),
        ("1", vec![1]),
        ("p − 1", mpint(&number(p).wrapping_sub(&one))),
        ("p", p.to_vec()),
        ("p + 1", mpint(&number(p).wrapping_add(&one))),
        ("p + 2", mpint(&number(p).wrapping_add(BoxedUint::from(2_u32)))),
        ("−1", vec![0xff]),
        ("−2", vec![0xfe]),
        ("p without its sign byte", p[1..].to_vec()),
        ("a negative number of p's length", half_negative),
        ("0 in one byte", vec![0]),
        ("2 in two bytes", vec![0, 2]),
        ("two sign bytes", [&[0], p].concat()),
        ("−128 in two bytes", vec![0xff, 0x80]),
        ("2^20000", [vec![1], vec![0; 2500]].concat()),
        ("2^280000", [vec![1], vec![0; 35_000]].concat()),
        ("two bytes longer than p", vec![0x7f; p.len() + 1]),
    ]
}

#[test]
fn t20_public_values_out_of_range_are_refused_by_both_sides() {
    let mut rng = SeededRng::new(20);
    for (method, bits) in METHODS {
        for (what, value) in bad_values(&fixed(bits).p()) {
            let agreed = method.client_start(&mut Exponent(3)).agree(&value);
            assert_eq!(agreed.err(), Some(BadPublicValue), "{method:?}: {what}");
            assert_eq!(method.respond(&value, &mut rng).err(), Some(BadPublicValue), "{method:?}: {what}");
        }
    }
    for group in [fixed(3072), from_peer(&prime_with_a_subgroup(), &number(&[2])).unwrap()] {
        for (what, value) in bad_values(&group.p()) {
            let agreed = group.client_start(&mut rng).agree(&value);
            assert_eq!(agreed.err(), Some(BadPublicValue), "{group:?}: {what}");
            assert_eq!(group.respond(&value, &mut rng).err(), Some(BadPublicValue), "{group:?}: {what}");
        }
    }
}

#[test]
fn the_outermost_public_values_are_taken() {
    let group = fixed(2048);
    let p_minus_2 = mpint(&number(&group.p()).wrapping_sub(BoxedUint::from(2_u32)));
    let k = |value: &[u8]| group.client_start(&mut Exponent(3)).agree(value).unwrap().encoded().to_vec();
    assert_eq!(k(&[2]), [0, 0, 0, 1, 8]);
    // (−2)³ = p − 8
    assert_eq!(k(&p_minus_2)[4..], mpint(&number(&group.p()).wrapping_sub(BoxedUint::from(8_u32))));
}

#[test]
fn t20_a_shared_secret_of_1_is_refused_by_both_sides() {
    for (method, bits) in METHODS {
        let agreed = method.client_start(&mut Exponent(0)).agree(&[9]);
        assert_eq!(agreed.err(), Some(BadPublicValue), "{bits}");
        assert_eq!(method.respond(&[9], &mut Exponent(0)).err(), Some(BadPublicValue), "{bits}");
    }
}

/// An element of order 1031, and its negative, of order 2062, meet a multiple of 1031.
#[test]
fn t20_a_shared_secret_of_1_or_p_minus_1_from_a_small_subgroup_is_refused_by_both_sides() {
    let p = prime_with_a_subgroup();
    let group = from_peer(&p, &number(&[2])).unwrap();
    let small = pow(3, &p.wrapping_sub(BoxedUint::one()).wrapping_div(&nonzero(1031)), &p);
    assert!(small > BoxedUint::one());
    let negative = mpint(&p.wrapping_sub(&small));
    for value in [mpint(&small), negative] {
        for (exponent, ok) in [(1031, false), (2062, false), (1032, true), (1033, true)] {
            let agreed = group.client_start(&mut Exponent(exponent)).agree(&value);
            assert_eq!(agreed.is_ok(), ok, "{exponent}");
            assert_eq!(group.respond(&value, &mut Exponent(exponent)).is_ok(), ok, "{exponent}");
        }
    }
}

fn nonzero(n: u32) -> crypto_bigint::NonZero<BoxedUint> {
    crypto_bigint::NonZero::new(BoxedUint::from(n)).unwrap()
}

/// What the checks of a group do not see, and what is left then.
#[test]
fn t20_a_shared_secret_of_0_modulo_a_square_is_refused_by_both_sides() {
    let (r, s, group) = composite();
    let value = mpint(&r.wrapping_mul(&s));
    let mut rng = SeededRng::new(20);
    assert_eq!(group.client_start(&mut rng).agree(&value).err(), Some(BadPublicValue));
    assert_eq!(group.respond(&value, &mut rng).err(), Some(BadPublicValue));
    assert!(group.client_start(&mut Exponent(1)).agree(&value).is_ok(), "0 is the power, not the value");
}

/// The digest is of another implementation's K, for the exponents a5a5… and 5a5a….
#[test]
fn t115_a_modulus_that_fills_no_word_gives_the_right_power() {
    struct Repeated(u8);
    impl Rng for Repeated {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(self.0);
        }
    }
    let (_, _, group) = composite();
    let ephemeral = group.client_start(&mut Repeated(0xa5));
    let (f, server_k) = group.respond(ephemeral.public(), &mut Repeated(0x5a)).unwrap();
    let client_k = ephemeral.agree(&f).unwrap();
    assert_eq!(client_k.encoded(), server_k.encoded());
    let digest = format!("{:?}", Hash::Sha256.digest(client_k.encoded()));
    assert_eq!(digest, "7bd8ac10048f4eec2713de03d72044a7add9f1848b800fe8a28c37c88ebdd321");
}

#[test]
fn t115_bases_and_exponents_of_every_small_size_give_the_right_power() {
    let group = fixed(2048);
    for shift in 1..=20 {
        let public = group.client_start(&mut Exponent(shift)).public().to_vec();
        assert_eq!(public, mpint(&power_of_2(shift, 0)), "2^{shift}");
        let k = group.client_start(&mut Exponent(3)).agree(&public).unwrap();
        assert_eq!(k.encoded()[4..], mpint(&power_of_2(3 * shift, 0)), "2^{shift}³");
    }
}

#[test]
fn t31_exchanges_agree_in_minimal_mpints() {
    let (mut short, mut signed) = (0, 0);
    for (method, bits, count) in [
        (Method::DhGroup14Sha256, 2048, 200),
        (Method::DhGroup16Sha512, 4096, 20),
        (Method::DhGroup18Sha512, 8192, 20),
    ] {
        let (mut client_rng, mut server_rng) = (SeededRng::new(31), SeededRng::new(32));
        for _ in 0..count {
            let ephemeral = method.client_start(&mut client_rng);
            let (f, server_k) = method.respond(ephemeral.public(), &mut server_rng).unwrap();
            let client_k = ephemeral.agree(&f).unwrap();
            assert_eq!(client_k.encoded(), server_k.encoded());
            let mut r = Reader::new(client_k.encoded());
            let k = r.mpint().unwrap();
            assert_eq!(r.finish(), Ok(()));
            let magnitude = k.positive().unwrap();
            short += usize::from(magnitude.len() < bits / 8);
            signed += usize::from(k.as_bytes().len() > magnitude.len());
        }
    }
    assert!(short > 0, "no K with a leading zero byte among them");
    assert!(signed > 60, "{signed} with a sign byte");
}

#[test]
fn a_group_of_the_server_is_taken_as_it_was_given() {
    for (min, n, max) in [(2048, 2048, 2048), (2048, 3072, 8192), (4096, 4096, 8192)] {
        let chosen = Group::by_size(min, n, max).unwrap();
        let given = Group::from_peer(&chosen.p(), &chosen.g(), min, max).unwrap();
        assert_eq!((chosen.p(), chosen.g()), (given.p(), given.g()));
        let ephemeral = given.client_start(&mut SeededRng::new(1));
        let (f, server_k) = chosen.respond(ephemeral.public(), &mut SeededRng::new(2)).unwrap();
        assert_eq!(ephemeral.agree(&f).unwrap().encoded(), server_k.encoded());
    }
}

#[test]
fn t29_a_modulus_of_another_size_than_asked_for_is_refused() {
    let judge = |p: &[u8], min, max| Group::from_peer(p, &[2], min, max).err();
    let ones = |bits: usize| [vec![0], vec![0xff; bits / 8]].concat();
    for bits in [8, 1024, 2040, 8200, 16_384, 200_000] {
        assert_eq!(judge(&ones(bits), 0, u32::MAX), Some(BadGroup::Size), "{bits}");
    }
    let (low, high) = (mpint(&power_of_2(2046, 1)), mpint(&power_of_2(2047, 0).resize(8256).shl(6145)));
    assert_eq!(judge(&low, 0, u32::MAX), Some(BadGroup::Size), "2047 bits");
    assert_eq!(judge(&high, 0, u32::MAX), Some(BadGroup::Size), "8193 bits");

    let (p, largest) = (fixed(3072).p(), fixed(8192).p());
    assert_eq!(judge(&p, 3073, 8192), Some(BadGroup::Size));
    assert_eq!(judge(&p, 2048, 3071), Some(BadGroup::Size));
    assert_eq!(judge(&p, 8192, 2048), Some(BadGroup::Size));
    assert_eq!(judge(&p, 3072, 3072), None);
    assert_eq!(judge(&largest, 8192, u32::MAX), None);
}

#[test]
fn t29_a_modulus_that_is_not_positive_or_not_minimal_is_refused() {
    let p = fixed(2048).p();
    for bad in [vec![], vec![0], vec![0xff], p[1..].to_vec(), [&[0], &*p].concat()] {
        let judged = Group::from_peer(&bad, &[2], MODULUS_BITS_MIN, MODULUS_BITS_MAX);
        assert_eq!(judged.err(), Some(BadGroup::Modulus), "{bad:02x?}");
    }
}

/// 2^2047 and a little: primes, but for the even numbers and 2^2047 + 99.
#[test]
fn t29_a_modulus_that_is_seen_not_to_be_a_safe_prime_is_refused() {
    let judge = |low| from_peer(&power_of_2(2047, low).resize(2048), &number(&[2])).err();
    assert_eq!(judge(0), Some(BadGroup::Modulus), "even");
    assert_eq!(judge(66_238_970), Some(BadGroup::Modulus), "even");
    assert_eq!(judge(5061), Some(BadGroup::Modulus), "2 divides (p − 1)/2");
    assert_eq!(judge(2111), Some(BadGroup::Modulus), "3 divides (p − 1)/2");
    assert_eq!(judge(8_353_695), Some(BadGroup::Modulus), "1021 divides (p − 1)/2");
    assert_eq!(judge(99), Some(BadGroup::Modulus), "no small factor; Euler's test fails");
    assert_eq!(judge(66_238_971), None, "1031 divides (p − 1)/2: beyond the bound");
    let p = number(&fixed(2048).p());
    for factor in [3_u32, 5, 1021] {
        let multiple = p.clone().resize(2112).wrapping_mul(BoxedUint::from(factor)).resize(2112);
        assert_eq!(from_peer(&multiple, &number(&[2])).err(), Some(BadGroup::Modulus), "{factor}");
    }
}

#[test]
fn t29_a_generator_out_of_range_is_refused() {
    let group = fixed(2048);
    for (what, g) in bad_values(&group.p()) {
        let judged = Group::from_peer(&group.p(), &g, MODULUS_BITS_MIN, MODULUS_BITS_MAX);
        assert_eq!(judged.err(), Some(BadGroup::Generator), "{what}");
    }
    let p_minus_2 = number(&group.p()).wrapping_sub(BoxedUint::from(2_u32));
    for g in [vec![2], vec![3], vec![5], mpint(&p_minus_2)] {
        let judged = Group::from_peer(&group.p(), &g, MODULUS_BITS_MIN, MODULUS_BITS_MAX);
        assert_eq!(judged.unwrap().g(), g);
    }
}

#[test]
fn t29_the_server_chooses_the_smallest_group_that_is_large_enough_within_the_bounds() {
    let bits = |min, n, max| Group::by_size(min, n, max).map(|group| (group.p().len() - 1) * 8);
    for (request, chosen) in [
        ((MODULUS_BITS_MIN, MODULUS_BITS_PREFERRED, MODULUS_BITS_MAX), Some(3072)),
        ((2048, 2048, 2048), Some(2048)),
        ((2048, 2049, 8192), Some(3072)),
        ((2048, 7680, 8192), Some(8192)),
        ((2048, 7680, 8191), Some(6144)),
        ((2048, 3073, 4095), Some(3072)),
        ((0, 0, 8192), Some(2048)),
        ((1024, 1024, 2048), Some(2048)),
        ((2048, 16_384, u32::MAX), Some(8192)),
        ((0, u32::MAX, u32::MAX), Some(8192)),
        // No group is within the bounds.
        ((0, 1024, 2047), None),
        ((8193, 8193, u32::MAX), None),
        ((2049, 2500, 3071), None),
        // A request that contradicts itself.
        ((3072, 2048, 8192), None),
        ((2048, 8192, 4096), None),
        ((8192, 4096, 2048), None),
        ((4096, 2048, 2048), None),
        ((0, 0, 0), None),
    ] {
        let (min, n, max) = request;
        assert_eq!(bits(min, n, max), chosen, "{request:?}");
    }
}

#[test]
fn hashes_are_those_of_the_methods_names() {
    let hashes = METHODS.map(|(method, _)| (method.hash(), KeyExchange::OneStep(method).hash()));
    let expected = [Hash::Sha256, Hash::Sha1, Hash::Sha512, Hash::Sha512];
    assert_eq!(hashes, expected.map(|hash| (hash, hash)));
    assert_eq!(KeyExchange::GroupExchange(Hash::Sha256).hash(), Hash::Sha256);
}

#[test]
fn t38_secrets_of_finite_fields_are_not_shown_and_can_be_wiped() {
    let shown = format!("{:?}", Method::DhGroup14Sha256.client_start(&mut SeededRng::new(38)));
    assert_eq!(shown, "Ephemeral(..)");
    let mut exponent = BoxedUint::from_be_slice(&[77; 64], 512).unwrap();
    exponent.zeroize();
    assert!(exponent.as_words().iter().all(|word| *word == 0));
}

/// A session keeps the identifier of its first exchange, whatever the hash of a later one.
#[test]
fn t116_keys_are_derived_from_digests_of_different_lengths() {
    let k = SharedSecret::from_mpint(&[5; 256]);
    for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha512] {
        let h = hash.digest(b"exchange");
        for first in [Hash::Sha1, Hash::Sha256, Hash::Sha512] {
            let session_id = first.digest(b"first exchange");
            let mut expected = hash
                .digest(&[k.encoded(), h.as_bytes(), b"D", session_id.as_bytes()].concat())
                .as_bytes()
                .to_vec();
            while expected.len() < 64 {
                let more = hash.digest(&[k.encoded(), h.as_bytes(), &*expected].concat());
                expected.extend(more.as_bytes());
            }
            let mut key = [0; 64];
            derive(hash, &k, h.as_bytes(), b'D', session_id.as_bytes(), &mut key);
            assert_eq!(key, expected[..64], "{hash:?} after {first:?}");
        }
    }
}
