use strombus::crypto::kdf::derive;
use strombus::crypto::kex::{BadPublicValue, Method, SharedSecret};
use strombus::crypto::{Hash, SystemRng};
use strombus::wire::Reader;

use crate::rng::SeededRng;

/// The points of order 1, 2, 4 and 8, in each encoding that 255 bits have room for, and with the top bit that is ignored.
fn low_order_points() -> Vec<[u8; 32]> {
    let little_endian = |low: u8, high: u8| {
        let mut point = [0xff; 32];
        (point[0], point[31]) = (low, high);
        point
    };
    let mut one = [0; 32];
    one[0] = 1;
    let order_8 = [
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    ];
    let mut points = vec![[0; 32], one];
    // p − 1, p and p + 1
    points.extend([0xec, 0xed, 0xee].map(|low| little_endian(low, 0x7f)));
    points.extend(
        order_8.map(|text| std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())),
    );
    let with_top_bit = points.clone().into_iter().map(|mut point| {
        point[31] |= 0x80;
        point
    });
    points.extend(with_top_bit);
    points
}

#[test]
fn t21_low_order_points_are_bad_public_values_for_both_sides() {
    let mut rng = SeededRng::new(21);
    for point in low_order_points() {
        let agreed = Method::Curve25519.client_start(&mut rng).agree(&point);
        assert_eq!(agreed.err(), Some(BadPublicValue), "{point:02x?}");
        let responded = Method::Curve25519.respond(&point, &mut rng);
        assert_eq!(responded.err(), Some(BadPublicValue), "{point:02x?}");
    }
}

#[test]
fn t21_every_other_length_than_32_is_a_bad_public_value() {
    let mut rng = SeededRng::new(21);
    for len in (0..100).filter(|len| *len != 32) {
        let value = vec![9; len];
        let agreed = Method::Curve25519.client_start(&mut rng).agree(&value);
        assert_eq!(agreed.err(), Some(BadPublicValue), "{len}");
        assert_eq!(Method::Curve25519.respond(&value, &mut rng).err(), Some(BadPublicValue), "{len}");
    }
}

#[test]
fn t31_two_thousand_exchanges_agree_in_minimal_mpints() {
    let (mut client_rng, mut server_rng) = (SeededRng::new(31), SeededRng::new(32));
    let (mut short, mut signed) = (0, 0);
    for _ in 0..2000 {
        let ephemeral = Method::Curve25519.client_start(&mut client_rng);
        let (q_s, server_k) = Method::Curve25519.respond(ephemeral.public(), &mut server_rng).unwrap();
        let client_k = ephemeral.agree(&q_s).unwrap();
        assert_eq!(client_k.encoded(), server_k.encoded());

        // The reader refuses what is not minimal.
        let mut r = Reader::new(client_k.encoded());
        let k = r.mpint().unwrap();
        assert_eq!(r.finish(), Ok(()));
        let magnitude = k.positive().unwrap();
        short += usize::from(magnitude.len() < 32);
        signed += usize::from(k.as_bytes().len() > magnitude.len());
    }
    assert!(short > 0, "no K with a leading zero byte among them");
    assert!(signed > 500, "{signed} with a sign byte");
}

#[test]
fn t31_k_is_encoded_by_its_kind() {
    let mpint = |magnitude: &[u8]| SharedSecret::from_mpint(magnitude).encoded().to_vec();
    assert_eq!(mpint(&[0, 0, 0x7f, 1]), [0, 0, 0, 2, 0x7f, 1]);
    assert_eq!(mpint(&[0, 0x80]), [0, 0, 0, 2, 0, 0x80]);
    assert_eq!(mpint(&[0, 0]), [0, 0, 0, 0]);
    assert_eq!(SharedSecret::from_string(&[0, 0x80]).encoded(), [0, 0, 0, 2, 0, 0x80]);
    assert_eq!(SharedSecret::from_string(&[0, 1]).encoded(), [0, 0, 0, 2, 0, 1]);
}

/// Written out by hand: HASH(K ‖ H ‖ X ‖ session_id), then HASH(K ‖ H ‖ K1), HASH(K ‖ H ‖ K1 ‖ K2) …
#[test]
fn t32_keys_of_every_length_are_derived() {
    let k = SharedSecret::from_mpint(&[0x81; 32]);
    let (h, session_id) = ([5; 32], [6; 32]);
    for hash in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
        let mut expected = hash.digest(&[k.encoded(), &h, b"C", &session_id].concat()).as_bytes().to_vec();
        while expected.len() < 200 {
            expected.extend(hash.digest(&[k.encoded(), &h, &expected].concat()).as_bytes());
        }
        for len in 0..200 {
            let mut out = vec![0; len];
            derive(hash, &k, &h, b'C', &session_id, &mut out);
            assert_eq!(out, expected[..len], "{hash:?} {len}");
        }
    }
}

#[test]
fn t39_two_exchanges_differ() {
    let public = || Method::Curve25519.client_start(&mut SystemRng).public().to_vec();
    let here = public();
    let there = std::thread::spawn(move || Method::Curve25519.client_start(&mut SystemRng).public().to_vec());
    let (again, there) = (public(), there.join().unwrap());
    assert!(here != again && here != there && again != there);
}
