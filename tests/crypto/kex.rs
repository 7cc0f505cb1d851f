use strombus::crypto::kdf::derive;
use strombus::crypto::kex::{BadPublicValue, Ephemeral, KeyExchange, Method, SharedSecret};
use strombus::crypto::{Hash, Rng, SystemRng};
use strombus::transport::algorithms::KEX;
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

/// A method, and the bytes of its messages as the RFCs count them: post-quantum half, classical half.
struct Shape {
    method: Method,
    public_key: usize,
    ciphertext: usize,
    point: usize,
}

impl Shape {
    const fn new(method: Method, public_key: usize, ciphertext: usize, point: usize) -> Self {
        Self { method, public_key, ciphertext, point }
    }

    /// What the client sends, what the server answers to it.
    fn messages(&self) -> (Vec<u8>, Vec<u8>) {
        let client = self.client();
        let (q_s, _) = self.respond(client.public()).unwrap();
        (client.public().to_vec(), q_s)
    }

    /// The same client each time.
    fn client(&self) -> Ephemeral {
        self.method.client_start(&mut SeededRng::new(21))
    }

    fn respond(&self, q_c: &[u8]) -> Result<(Vec<u8>, SharedSecret), BadPublicValue> {
        self.method.respond(q_c, &mut SeededRng::new(22))
    }

    /// Whether a side refuses its peer's message with `point` for the classical half; both do, or neither.
    fn refuses_point(&self, (q_c, q_s): &(Vec<u8>, Vec<u8>), point: &[u8]) -> bool {
        let q_c = [&q_c[..self.public_key], point].concat();
        let q_s = [&q_s[..self.ciphertext], point].concat();
        let (client, server) = (self.client().agree(&q_s), self.respond(&q_c));
        assert_eq!(client.is_err(), server.is_err(), "{:?}", self.method);
        client.is_err()
    }
}

const X25519: usize = 32;
const P256: usize = 65;
const P384: usize = 97;
const P521: usize = 133;

const SHAPES: &[Shape] = &[
    Shape::new(Method::MlKem768X25519, 1184, 1088, X25519),
    Shape::new(Method::MlKem768NistP256, 1184, 1088, P256),
    Shape::new(Method::MlKem1024NistP384, 1568, 1568, P384),
    #[cfg(feature = "sntrup")]
    Shape::new(Method::Sntrup761X25519, 1158, 1039, X25519),
    Shape::new(Method::Curve25519, 0, 0, X25519),
    Shape::new(Method::EcdhNistP256, 0, 0, P256),
    Shape::new(Method::EcdhNistP384, 0, 0, P384),
    Shape::new(Method::EcdhNistP521, 0, 0, P521),
];

fn hybrids() -> impl Iterator<Item = &'static Shape> {
    SHAPES.iter().filter(|shape| shape.public_key > 0)
}

#[test]
fn every_method_of_the_table_is_tried_here_but_those_of_finite_fields() {
    for row in KEX {
        let here = SHAPES.iter().any(|shape| row.algorithm == KeyExchange::OneStep(shape.method));
        assert_eq!(here, !row.name.starts_with("diffie-hellman-"), "{}", row.name);
    }
}

#[test]
fn messages_are_as_long_as_the_rfcs_say() {
    for shape in SHAPES {
        let (q_c, q_s) = shape.messages();
        assert_eq!(q_c.len(), shape.public_key + shape.point, "{:?}", shape.method);
        assert_eq!(q_s.len(), shape.ciphertext + shape.point, "{:?}", shape.method);
    }
}

/// Good messages, but for what is missing or one too many.
#[test]
fn t21_t22_t23_every_other_length_is_a_bad_public_value() {
    for shape in SHAPES {
        let (q_c, q_s) = shape.messages();
        let others = |good: &[u8], first: usize| {
            let (first_half, second_half) = good.split_at(first);
            vec![
                vec![],
                good[..good.len() - 1].to_vec(),
                good[1..].to_vec(),
                [good, &[0]].concat(),
                [&[0], good].concat(),
                [good, good].concat(),
                [first_half, &second_half[1..]].concat(),
                [first_half, &[0], second_half].concat(),
            ]
        };
        let half = |half: &[u8]| if shape.public_key > 0 { vec![half.to_vec()] } else { vec![] };
        let (public_key, point) = q_c.split_at(shape.public_key);
        for bad in [others(&q_c, shape.public_key), half(public_key), half(point)].concat() {
            assert_eq!(shape.respond(&bad).err(), Some(BadPublicValue), "{:?} {}", shape.method, bad.len());
        }
        let (ciphertext, point) = q_s.split_at(shape.ciphertext);
        for bad in [others(&q_s, shape.ciphertext), half(ciphertext), half(point)].concat() {
            assert_eq!(
                shape.client().agree(&bad).err(),
                Some(BadPublicValue),
                "{:?} {}",
                shape.method,
                bad.len()
            );
        }
        if q_c.len() != q_s.len() {
            assert_eq!(shape.respond(&q_s).err(), Some(BadPublicValue), "{:?}", shape.method);
            assert_eq!(shape.client().agree(&q_c).err(), Some(BadPublicValue), "{:?}", shape.method);
        }
    }
}

#[test]
fn t21_low_order_points_are_bad_public_values_for_both_sides() {
    for shape in SHAPES.iter().filter(|shape| shape.point == X25519) {
        let messages = shape.messages();
        for point in low_order_points() {
            assert!(shape.refuses_point(&messages, &point), "{:?} {point:02x?}", shape.method);
        }
        assert!(!shape.refuses_point(&messages, &[9; 32]), "{:?}", shape.method);
    }
}

/// p of a curve, and a y for which (0, y) is a point of it.
fn p_and_y(point: usize) -> [Vec<u8>; 2] {
    let (p, y) = match point {
        P256 => (
            "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
            "66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4",
        ),
        P384 => (
            "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
            "c306610fb0ae5a159cf45c06069f22a6c5eb3641c602d42dea2c4b4f75550793406d80d2b91ad54f9048bd487af1ade1",
        ),
        _ => (
            "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
             ffffffffffffffffffffffffffffffffff",
            "012df13601594a883ef2d935e44bb90bf4d6619b74e52af7552f97769011c0719eb439cfab2a88d40fe59a2bed1f4355\
             7169a2d0a2ccd280c607b92bbf51ffe0b078",
        ),
    };
    [p, y].map(|text| {
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
    })
}

#[test]
fn t22_only_an_uncompressed_point_of_the_curve_is_taken() {
    for shape in SHAPES.iter().filter(|shape| shape.point != X25519) {
        let messages = shape.messages();
        let good = &messages.0[shape.public_key..];
        let (x, y) = good[1..].split_at(shape.point / 2);
        let [p, y_of_0] = p_and_y(shape.point);
        let zero = vec![0; p.len()];
        let tagged = |tag: u8, x: &[u8], y: &[u8]| [&[tag], x, y].concat();
        let parity = 2 + (y[y.len() - 1] & 1);

        assert!(
            !shape.refuses_point(&messages, good)
                && !shape.refuses_point(&messages, &tagged(4, &zero, &y_of_0))
        );
        let mut beside = y.to_vec();
        beside[0] ^= 1;
        for bad in [
            vec![0],
            tagged(parity, x, &[]),
            tagged(parity ^ 1, x, &[]),
            tagged(5, x, &[]),
            tagged(4, x, &[]),
            tagged(4, x, &beside),
            tagged(4, y, x),
            tagged(4, &zero, &zero),
            tagged(4, &p, &y_of_0),
            tagged(4, &p, &p),
            tagged(4, x, &p),
            tagged(4, &vec![0xff; p.len()], &vec![0xff; p.len()]),
        ] {
            assert!(shape.refuses_point(&messages, &bad), "{:?} {bad:02x?}", shape.method);
        }
        for tag in [0, 1, 2, 3, 5, 6, 7, 0x84, 0xff] {
            assert!(shape.refuses_point(&messages, &tagged(tag, x, y)), "{:?} {tag:02x}", shape.method);
        }
    }
}

#[test]
fn t23_a_coefficient_that_is_not_less_than_3329_is_a_bad_public_value() {
    let methods = [Method::MlKem768X25519, Method::MlKem768NistP256, Method::MlKem1024NistP384];
    for shape in SHAPES.iter().filter(|shape| methods.contains(&shape.method)) {
        let (q_c, _) = shape.messages();
        let coefficients = (shape.public_key - 32) * 8 / 12;
        for i in [0, 1, 255, 256, coefficients / 2 + 1, coefficients - 2, coefficients - 1] {
            for (coefficient, good) in [(0, true), (3328, true), (3329, false), (4095, false)] {
                let mut q_c = q_c.clone();
                let [low, middle, high] = &mut q_c[i / 2 * 3..][..3] else { panic!() };
                let bits = u16::to_le_bytes(if i % 2 == 0 { coefficient } else { coefficient << 4 });
                if i % 2 == 0 {
                    (*low, *middle) = (bits[0], *middle & 0xf0 | bits[1]);
                } else {
                    (*middle, *high) = (*middle & 0x0f | bits[0], bits[1]);
                }
                assert_eq!(shape.respond(&q_c).is_ok(), good, "{:?} {i} {coefficient}", shape.method);
            }
        }
    }
}

#[test]
fn t23_a_changed_post_quantum_half_gives_another_k_and_no_failure() {
    for shape in hybrids() {
        let (q_c, q_s) = shape.messages();
        let (_, server_k) = shape.respond(&q_c).unwrap();
        assert_eq!(shape.client().agree(&q_s).unwrap().encoded(), server_k.encoded());
        for at in [0, 1, shape.ciphertext / 2, shape.ciphertext - 32, shape.ciphertext - 1] {
            for bit in [0, 7] {
                let mut q_s = q_s.clone();
                q_s[at] ^= 1 << bit;
                let client_k = shape.client().agree(&q_s).unwrap();
                assert_ne!(client_k.encoded(), server_k.encoded(), "{:?} {at} {bit}", shape.method);
            }
        }
        // The last bytes of ML-KEM's key are a seed, of sntrup's a number in a mixed radix: any value will do.
        let mut q_c = q_c;
        q_c[shape.public_key - 8] ^= 1;
        let (q_s, server_k) = shape.respond(&q_c).unwrap();
        assert_ne!(shape.client().agree(&q_s).unwrap().encoded(), server_k.encoded(), "{:?}", shape.method);
    }
}

#[test]
fn t23_bytes_that_are_no_ciphertext_and_no_key_are_borne() {
    let mut rng = SeededRng::new(23);
    for shape in hybrids() {
        let (q_c, q_s) = shape.messages();
        for i in 0..20 {
            let mut bytes = vec![if i == 0 { 0 } else { 0xff }; shape.public_key.max(shape.ciphertext)];
            if i > 1 {
                rng.fill(&mut bytes);
            }
            let q_c = [&bytes[..shape.public_key], &q_c[shape.public_key..]].concat();
            let q_s = [&bytes[..shape.ciphertext], &q_s[shape.ciphertext..]].concat();
            assert!(shape.client().agree(&q_s).is_ok(), "{:?}", shape.method);
            let _ = shape.respond(&q_c);
        }
    }
}

/// K of so many exchanges, which both sides come to.
fn exchanges(method: Method, count: usize) -> impl Iterator<Item = SharedSecret> {
    // Without optimization the slower methods take their time: `tests/run long` has the full number of each.
    let count = if std::env::var_os("STROMBUS_LONG").is_some() { 2000 } else { count };
    let (mut client_rng, mut server_rng) = (SeededRng::new(31), SeededRng::new(32));
    (0..count).map(move |_| {
        let ephemeral = method.client_start(&mut client_rng);
        let (q_s, server_k) = method.respond(ephemeral.public(), &mut server_rng).unwrap();
        let client_k = ephemeral.agree(&q_s).unwrap();
        assert_eq!(client_k.encoded(), server_k.encoded(), "{method:?}");
        client_k
    })
}

#[test]
fn t31_exchanges_on_one_curve_agree_in_minimal_mpints() {
    for (method, width, count) in [
        (Method::Curve25519, 32, 2000),
        (Method::EcdhNistP256, 32, 2000),
        (Method::EcdhNistP384, 48, 400),
        (Method::EcdhNistP521, 66, 100),
    ] {
        let (mut short, mut signed) = (0, 0);
        for k in exchanges(method, count) {
            // The reader refuses what is not minimal.
            let mut r = Reader::new(k.encoded());
            let k = r.mpint().unwrap();
            assert_eq!(r.finish(), Ok(()));
            let magnitude = k.positive().unwrap();
            short += usize::from(magnitude.len() < width);
            signed += usize::from(k.as_bytes().len() > magnitude.len());
        }
        println!(
            "figure: {method:?}: {short} of {count} K begin with a zero byte, {signed} have a sign byte"
        );
        assert!(short > 0, "{method:?}: no K with a leading zero byte among them");
        assert!(signed > count / 8, "{method:?}: {signed} with a sign byte");
    }
}

#[test]
fn t31_hybrid_exchanges_agree_in_strings_of_one_length() {
    for (method, len, count) in [
        (Method::MlKem768X25519, 32, 600),
        (Method::MlKem768NistP256, 32, 100),
        (Method::MlKem1024NistP384, 48, 50),
        #[cfg(feature = "sntrup")]
        (Method::Sntrup761X25519, 64, 50),
    ] {
        let mut zero = 0;
        for k in exchanges(method, count) {
            let mut r = Reader::new(k.encoded());
            let k = r.string().unwrap();
            assert_eq!(r.finish(), Ok(()));
            assert_eq!(k.len(), len, "{method:?}");
            zero += usize::from(k[0] == 0);
        }
        println!("figure: {method:?}: {zero} of {count} K begin with a zero byte");
        assert!(zero > 0 || count < 600, "{method:?}: no K with a leading zero byte among them");
    }
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
fn t39_two_exchanges_differ_in_each_half() {
    for shape in SHAPES {
        let method = shape.method;
        let exchange = move || {
            let client = method.client_start(&mut SystemRng);
            let (q_s, _) = method.respond(client.public(), &mut SystemRng).unwrap();
            (client.public().to_vec(), q_s)
        };
        let here = exchange();
        let there = std::thread::spawn(exchange);
        let (again, there) = (exchange(), there.join().unwrap());
        for (a, b) in [(&here, &again), (&here, &there), (&again, &there)] {
            let differ = |a: &[u8], b: &[u8]| assert!(a.is_empty() && b.is_empty() || a != b, "{method:?}");
            differ(&a.0[..shape.public_key], &b.0[..shape.public_key]);
            differ(&a.0[shape.public_key..], &b.0[shape.public_key..]);
            differ(&a.1[..shape.ciphertext], &b.1[..shape.ciphertext]);
            differ(&a.1[shape.ciphertext..], &b.1[shape.ciphertext..]);
        }
    }
}
