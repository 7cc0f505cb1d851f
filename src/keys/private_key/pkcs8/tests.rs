use super::*;
use crate::crypto::passphrase::PBKDF2_ITERATIONS_MAX;
use crate::crypto::sign::ecdsa::Curve;

/// A value in DER.
fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let contents = parts.concat();
    let length = contents.len();
    let length = match length {
        0..0x80 => vec![length as u8],
        0x80..0x100 => vec![0x81, length as u8],
        _ => vec![0x82, (length >> 8) as u8, length as u8],
    };
    [&[tag], &*length, &*contents].concat()
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    value(der::SEQUENCE, parts)
}

fn number(number: u64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(7);
    let sign: &[u8] = if bytes[zeros] >= 0x80 { &[0] } else { &[] };
    value(der::INTEGER, &[sign, &bytes[zeros..]])
}

const AES128: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 2];
const SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 9];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: &[u8] = &[0x2b, 0x81, 4, 0, 34];

fn oid(contents: &[u8]) -> Vec<u8> {
    value(der::OID, &[contents])
}

fn octets(contents: &[u8]) -> Vec<u8> {
    value(der::OCTET_STRING, &[contents])
}

/// `EncryptedPrivateKeyInfo` with AES-128 and a key derivation of these parameters.
fn encrypted(kdf: &[u8], parameters: &[u8]) -> Vec<u8> {
    let scheme = sequence(&[&oid(AES128), &octets(&[0; 16])]);
    let kdf = sequence(&[&oid(kdf), parameters]);
    sequence(&[&sequence(&[&oid(PBES2), &sequence(&[&kdf, &scheme])]), &octets(&[0; 64])])
}

fn prf(hash: &[u8]) -> Vec<u8> {
    sequence(&[&oid(hash), &value(der::NULL, &[])])
}

fn refused(file: &[u8]) -> PrivateKeyError {
    parse_encrypted(file).unwrap_err()
}

#[test]
fn t89_the_cost_of_pbkdf2_is_judged_before_any_work() {
    let with =
        |iterations| encrypted(PBKDF2, &sequence(&[&octets(b"salt"), &number(iterations), &prf(SHA256)]));
    assert!(parse_encrypted(&with(2048)).is_ok());
    assert!(parse_encrypted(&with(PBKDF2_ITERATIONS_MAX.into())).is_ok());
    for iterations in [u64::from(PBKDF2_ITERATIONS_MAX) + 1, 1_000_000_000, u32::MAX.into(), u64::MAX] {
        assert_eq!(refused(&with(iterations)), PrivateKeyError::TooCostly, "{iterations}");
    }
    assert_eq!(refused(&with(0)), Malformed::KeyDerivation.into());
}

#[test]
fn t89_the_cost_of_scrypt_is_judged_before_any_work() {
    let with =
        |n, r, p| encrypted(SCRYPT, &sequence(&[&octets(b"salt"), &number(n), &number(r), &number(p)]));
    assert!(parse_encrypted(&with(1 << 14, 8, 1)).is_ok());
    for (n, r, p) in
        [(1 << 30, 8, 1), (1 << 63, 8, 1), (2, u64::MAX, 1), (2, 1, 1 << 32), (1 << 14, 8, 1 << 20)]
    {
        assert_eq!(refused(&with(n, r, p)), PrivateKeyError::TooCostly, "{n} {r} {p}");
    }
    for (n, r, p) in [(0, 8, 1), (1, 8, 1), (1000, 8, 1), (1 << 14, 0, 1), (1 << 14, 8, 0)] {
        assert_eq!(refused(&with(n, r, p)), Malformed::KeyDerivation.into(), "{n} {r} {p}");
    }
}

#[test]
fn t89_parameters_that_do_not_fit_are_refused() {
    let salt = octets(b"salt");
    let pbkdf2 = |rest: &[&[u8]]| encrypted(PBKDF2, &sequence(&[&salt, &number(1), &rest.concat()]));
    let length = |length| number(length);
    assert!(parse_encrypted(&pbkdf2(&[])).is_ok(), "SHA-1 unsaid");
    assert!(parse_encrypted(&pbkdf2(&[&length(16)])).is_ok());
    assert!(parse_encrypted(&pbkdf2(&[&length(16), &prf(SHA256)])).is_ok());
    for wrong in [0, 15, 32, u64::MAX] {
        assert_eq!(refused(&pbkdf2(&[&length(wrong)])), Malformed::KeyDerivation.into(), "{wrong}");
    }
    assert_eq!(refused(&pbkdf2(&[&length(16), &length(16)])), Malformed::Der.into());
    assert_eq!(refused(&pbkdf2(&[&prf(SHA256), &prf(SHA256)])), Malformed::Der.into());
    let unknown = |text: &str| PrivateKeyError::UnknownKdf(text.to_owned());
    assert_eq!(refused(&pbkdf2(&[&prf(RSA_ENCRYPTION)])), unknown("1.2.840.113549.1.1.1"));
    assert_eq!(refused(&encrypted(ED25519, &sequence(&[]))), unknown("1.3.101.112"));
    for (iv, data) in [(15, 64), (17, 64), (16, 0), (16, 63), (16, 65)] {
        let kdf = sequence(&[&oid(PBKDF2), &sequence(&[&salt, &number(1)])]);
        let scheme = sequence(&[&oid(AES128), &octets(&vec![0; iv])]);
        let algorithm = sequence(&[&oid(PBES2), &sequence(&[&kdf, &scheme])]);
        let file = sequence(&[&algorithm, &octets(&vec![0; data])]);
        assert!(parse_encrypted(&file).is_err(), "{iv} {data}");
    }
}

/// `OneAsymmetricKey` with what may be changed about it.
fn plain(
    version: u64,
    algorithm: &[&[u8]],
    private: &[u8],
    rest: &[&[u8]],
) -> Result<PrivateKey, PrivateKeyError> {
    parse(&sequence(&[&number(version), &sequence(algorithm), &octets(private), &rest.concat()]))
}

#[test]
fn t89_ed25519_fields_of_other_lengths_and_other_public_keys_are_refused() {
    let algorithm: &[&[u8]] = &[&oid(ED25519)];
    let key = PrivateKey::ed25519_from_seed(&Secret::new([7; 32]));
    let PublicKey::Ed25519(public) = key.public_key() else { panic!() };
    let bits = |public: &[u8]| value(der::context(1), &[&[0], public]);
    let public_key = bits(public.as_bytes());
    let attributes = value(der::constructed(0), &[]);
    for (version, rest) in [
        (0, &[][..]),
        (0, &[&*attributes][..]),
        (1, &[][..]),
        (1, &[&*public_key]),
        (1, &[&*attributes, &*public_key]),
    ] {
        let read = plain(version, algorithm, &octets(&[7; 32]), rest).unwrap();
        assert_eq!(read.public_key(), key.public_key());
    }
    for length in [0, 31, 33, 64] {
        let read = plain(0, algorithm, &octets(&vec![7; length]), &[]);
        assert_eq!(read.unwrap_err(), Malformed::KeyFields.into(), "{length}");
    }
    assert_eq!(plain(0, algorithm, &[7; 32], &[]).unwrap_err(), Malformed::Der.into());
    assert_eq!(
        plain(0, algorithm, &octets(&[7; 32]), &[&public_key]).unwrap_err(),
        Malformed::KeyFields.into()
    );
    assert_eq!(plain(2, algorithm, &octets(&[7; 32]), &[]).unwrap_err(), Malformed::KeyFields.into());
    for other in [bits(&[9; 32]), bits(&public.as_bytes()[1..]), bits(&[])] {
        let read = plain(1, algorithm, &octets(&[7; 32]), &[&other]);
        assert_eq!(read.unwrap_err(), Malformed::PublicKey.into());
    }
    let with_null: &[&[u8]] = &[&oid(ED25519), &value(der::NULL, &[])];
    assert_eq!(plain(0, with_null, &octets(&[7; 32]), &[]).unwrap_err(), Malformed::Der.into());
}

#[test]
fn t89_ec_keys_are_on_the_one_curve_that_is_named() {
    let key = PrivateKey::ecdsa_from_scalar(Curve::Nistp256, &[7; 32]).unwrap();
    let PublicKey::Ecdsa(q) = key.public_key() else { panic!() };
    let named = |curve: &[u8]| value(der::constructed(0), &[&oid(curve)]);
    let point = |q: &[u8]| value(der::constructed(1), &[&value(der::BIT_STRING, &[&[0], q])]);
    let inside = |d: &[u8], rest: &[&[u8]]| sequence(&[&number(1), &octets(d), &rest.concat()]);
    let read = |curve: &[u8], private: &[u8]| {
        plain(0, &[&oid(EC_PUBLIC_KEY), &oid(curve)], private, &[]).map(|key| key.public_key())
    };
    let (d, good) = ([7; 32], Ok(key.public_key()));
    assert_eq!(read(P256, &inside(&d, &[])), good);
    assert_eq!(read(P256, &inside(&d, &[&named(P256), &point(q.as_bytes())])), good);
    let fields = Err(PrivateKeyError::from(Malformed::KeyFields));
    assert_eq!(read(P256, &inside(&d, &[&named(P384)])), fields);
    assert_eq!(read(P256, &inside(&[0xff; 32], &[])), fields);
    assert_eq!(read(P256, &inside(&[0; 32], &[])), fields);
    assert_eq!(read(P256, &inside(&[7; 33], &[])), fields);
    assert_eq!(read(P256, &inside(&[], &[])), fields);
    let mut other = q.as_bytes().to_vec();
    other[64] ^= 1;
    for wrong in [&*other, &q.as_bytes()[..33], &[0], &[]] {
        let expected = Err(PrivateKeyError::from(Malformed::PublicKey));
        assert_eq!(read(P256, &inside(&d, &[&point(wrong)])), expected);
    }
    assert!(read(P384, &inside(&d, &[&point(q.as_bytes())])).is_err());
    let no_curve = pem::parse_sec1(&inside(&d, &[]), None);
    assert_eq!(no_curve.unwrap_err(), Malformed::KeyFields.into());
    let version = sequence(&[&number(2), &octets(&d)]);
    assert_eq!(read(P256, &version), fields);
}

#[test]
fn t89_rsa_numbers_are_judged_before_they_are_computed_with() {
    let read = |version: u64, n: &[u8], d: &[u8]| {
        let small = number(65537);
        let (n, d) = (value(der::INTEGER, &[&[0], n]), value(der::INTEGER, &[&[0], d]));
        let numbers = [&number(version), &n, &small, &d, &small, &small, &small, &small, &small];
        let private = sequence(&numbers.map(|number| &**number));
        plain(0, &[&oid(RSA_ENCRYPTION), &value(der::NULL, &[])], &private, &[]).unwrap_err()
    };
    let good = [0xff; 256];
    assert_eq!(read(0, &good, &good), Malformed::PublicKey.into());
    for (n, d) in
        [(vec![0xff; 8192], vec![0xff]), (vec![0xff; 64], vec![0xff]), (good.to_vec(), vec![0xff; 8192])]
    {
        assert_eq!(read(0, &n, &d), PrivateKeyError::UnsupportedSize);
    }
    assert_eq!(read(1, &good, &good), PrivateKeyError::UnknownType("multi-prime-rsa".to_owned()));
    assert_eq!(read(0, &[0x7f; 256], &good), Malformed::Der.into());
}
