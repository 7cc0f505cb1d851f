use super::super::ecdsa::Curve;
use super::super::rsa::Scheme;
use super::super::{PrivateKey, ed25519};
use super::*;
use crate::crypto::Secret;
use crate::wire::Writer;

/// The fields of a certificate as they are written, to be changed one at a time.
#[derive(Clone)]
pub(crate) struct Fields {
    pub(crate) type_name: &'static str,
    /// The key in it as a plain blob.
    pub(crate) key: Vec<u8>,
    pub(crate) role: u32,
    pub(crate) principals: Vec<u8>,
    pub(crate) valid: (u64, u64),
    pub(crate) critical_options: Vec<u8>,
    pub(crate) extensions: Vec<u8>,
    pub(crate) ca_key: Vec<u8>,
}

pub(crate) fn key(seed: u8) -> PrivateKey {
    PrivateKey::ed25519_from_seed(&Secret::new([seed; 32]))
}

/// The key whose signature [`Fields::signed`] carries.
pub(crate) fn ca() -> PrivateKey {
    key(1)
}

pub(crate) fn strings(values: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    values.iter().for_each(|value| Writer::new(&mut bytes).string(value));
    bytes
}

/// Options that have a string each, or nothing.
pub(crate) fn options(pairs: &[(&str, Option<&str>)]) -> Vec<u8> {
    let data = |value: &Option<&str>| value.map_or(Vec::new(), |value| strings(&[value.as_bytes()]));
    pairs.iter().flat_map(|(name, value)| strings(&[name.as_bytes(), &data(value)])).collect()
}

impl Fields {
    /// For the user ann or the host h.example, from second 100 to second 200.
    pub(crate) fn new(role: u32) -> Self {
        Self {
            type_name: "ssh-ed25519-cert-v01@openssh.com",
            key: key(2).public_key().blob(),
            role,
            principals: strings(&[if role == 2 { b"h.example" } else { b"ann" }]),
            valid: (100, 200),
            critical_options: Vec::new(),
            extensions: Vec::new(),
            ca_key: ca().public_key().blob(),
        }
    }

    fn to_be_signed(&self) -> Vec<u8> {
        let mut bytes = strings(&[self.type_name.as_bytes(), b"nonce"]);
        let mut plain = Reader::new(&self.key);
        plain.string().unwrap();
        bytes.extend_from_slice(plain.rest());
        let mut w = Writer::new(&mut bytes);
        w.uint64(7);
        w.uint32(self.role);
        w.string(b"id");
        w.string(&self.principals);
        w.uint64(self.valid.0);
        w.uint64(self.valid.1);
        [&*self.critical_options, &self.extensions, b"", &self.ca_key].iter().for_each(|s| w.string(s));
        bytes
    }

    pub(crate) fn signed_by(&self, ca: &PrivateKey, algorithm: SignatureAlgorithm) -> Vec<u8> {
        let bytes = self.to_be_signed();
        let signature = ca.sign(algorithm, &bytes).unwrap();
        [bytes, strings(&[&signature])].concat()
    }

    pub(crate) fn signed(&self) -> Vec<u8> {
        self.signed_by(&ca(), SignatureAlgorithm::Ed25519)
    }

    pub(crate) fn certificate(&self) -> Certificate {
        Certificate::from_blob(&self.signed()).unwrap()
    }

    fn refusal(&self) -> CertificateError {
        Certificate::from_blob(&self.signed()).unwrap_err()
    }
}

const ALLOWED: &[SignatureAlgorithm] =
    &[SignatureAlgorithm::Ed25519, SignatureAlgorithm::Rsa(Scheme::Sha512), SignatureAlgorithm::SkEd25519];

#[test]
fn a_certificate_says_what_its_ca_wrote() {
    let fields = Fields {
        principals: strings(&[b"ann", b"bob,carl", b""]),
        critical_options: options(&[("force-command", Some("")), ("verify-required", None)]),
        ..Fields::new(1)
    };
    let blob = fields.signed();
    let certificate = Certificate::from_blob(&blob).unwrap();
    assert_eq!(certificate.blob(), blob);
    assert_eq!(certificate.key(), &key(2).public_key());
    assert_eq!(certificate.ca_key(), &ca().public_key());
    assert_eq!((certificate.serial(), certificate.role(), certificate.key_id()), (7, Role::User, &b"id"[..]));
    assert_eq!((certificate.valid_after(), certificate.valid_before()), (100, 200));
    assert_eq!(certificate.principals().collect::<Vec<_>>(), [&b"ann"[..], b"bob,carl", b""]);
    let critical: Vec<_> = certificate.critical_options().collect();
    assert_eq!(critical, [(&b"force-command"[..], Some(&b""[..])), (b"verify-required", None)]);
    assert_eq!(certificate.extensions().count(), 0);
    assert_eq!(certificate.verify(ALLOWED), Ok(()));
    assert_eq!(Fields::new(2).certificate().role(), Role::Host);
}

#[test]
fn every_algorithm_has_a_name_for_certificates_and_each_means_it_alone() {
    for algorithm in SignatureAlgorithm::ALL {
        let name = algorithm.certificate_name();
        assert!(name.ends_with("-cert-v01@openssh.com"), "{algorithm:?}");
        assert_eq!(SignatureAlgorithm::from_certificate_name(name), Some(*algorithm));
        assert_eq!(SignatureAlgorithm::from_name(name), None);
        assert_eq!(SignatureAlgorithm::from_certificate_name(algorithm.name()), None);
    }
    let rsa = SignatureAlgorithm::Rsa(Scheme::Sha512);
    assert_eq!(rsa.certificate_name(), "rsa-sha2-512-cert-v01@openssh.com");
    assert_eq!(rsa.certificate_type(), "ssh-rsa-cert-v01@openssh.com");
    assert_eq!(SignatureAlgorithm::SkEd25519.certificate_name(), "sk-ssh-ed25519-cert-v01@openssh.com");
}

#[test]
fn a_certificate_is_read_for_its_own_algorithm_only() {
    let blob = Fields::new(1).signed();
    assert!(Certificate::for_algorithm(SignatureAlgorithm::Ed25519, &blob).is_ok());
    let other = Certificate::for_algorithm(SignatureAlgorithm::Rsa(Scheme::Sha256), &blob);
    assert_eq!(other, Err(CertificateError::Key(KeyError::OtherType)));
    let plain = Certificate::for_algorithm(SignatureAlgorithm::Ed25519, &key(2).public_key().blob());
    assert_eq!(plain, Err(CertificateError::Key(KeyError::OtherType)));
    // A plain reader takes no certificate, and the other way round.
    assert_eq!(PublicKey::from_blob(&blob), Err(KeyError::UnknownType));
    let plain = key(2).public_key().blob();
    assert_eq!(Certificate::from_blob(&plain), Err(CertificateError::NotACertificate));
    assert_eq!(PlainOrCertified::from_blob(&plain).unwrap().key(), &key(2).public_key());
    assert!(
        matches!(PlainOrCertified::from_blob(&blob), Ok(PlainOrCertified::Certified(c)) if c.blob() == blob)
    );
}

#[test]
fn t88_what_is_not_well_formed_is_no_certificate() {
    let fields = Fields::new(1);
    for role in [0, 3, u32::MAX] {
        assert_eq!(Fields { role, ..fields.clone() }.refusal(), CertificateError::Role);
    }
    let many = |n: usize| Fields { principals: strings(&[b"p"]).repeat(n), ..fields.clone() };
    assert_eq!(many(PRINCIPALS_MAX).certificate().principals().count(), PRINCIPALS_MAX);
    assert_eq!(many(PRINCIPALS_MAX + 1).refusal(), CertificateError::TooManyPrincipals);
    let cut = Fields { principals: b"\0\0\0\x09ann".to_vec(), ..fields.clone() };
    assert_eq!(cut.refusal(), CertificateError::Key(DecodeError::Truncated.into()));
    for (pairs, error) in [
        (options(&[("b", None), ("a", None)]), CertificateError::OptionsNotSorted),
        (options(&[("a", None), ("a", None)]), CertificateError::OptionsNotSorted),
        (strings(&[b"a", b"raw"]), CertificateError::OptionValue),
        (strings(&[b"a", &strings(&[b"x", b"y"])]), CertificateError::OptionValue),
        (strings(&[b"a"]), CertificateError::Key(DecodeError::Truncated.into())),
    ] {
        assert_eq!(Fields { critical_options: pairs.clone(), ..fields.clone() }.refusal(), error);
        assert_eq!(Fields { extensions: pairs, ..fields.clone() }.refusal(), error);
    }
    let longer = [fields.signed(), vec![0]].concat();
    assert_eq!(Certificate::from_blob(&longer), Err(DecodeError::TrailingBytes.into()));
    let wrong_type = Fields { type_name: "ssh-unknown-cert-v01@openssh.com", ..fields };
    assert_eq!(wrong_type.refusal(), CertificateError::NotACertificate);
}

#[test]
fn t88_a_certificate_signs_no_certificate() {
    let inner = Fields::new(1).signed();
    let chained = Fields { ca_key: inner, ..Fields::new(1) };
    assert_eq!(chained.refusal(), CertificateError::CaIsCertificate);
    let unknown = Fields { ca_key: strings(&[b"ssh-unknown"]), ..Fields::new(1) };
    assert_eq!(unknown.refusal(), CertificateError::CaKey(KeyError::UnknownType));
    let longer = Fields { ca_key: [ca().public_key().blob(), vec![0]].concat(), ..Fields::new(1) };
    assert!(matches!(longer.refusal(), CertificateError::CaKey(KeyError::Malformed(_))));
}

#[test]
fn t88_the_cas_signature_is_by_its_key_over_all_and_by_an_allowed_algorithm() {
    let good = Fields::new(1);
    assert_eq!(good.certificate().verify(ALLOWED), Ok(()));
    assert_eq!(good.certificate().verify(&[]), Err(CaSignature::NotAllowed));
    let of_another = good.signed_by(&key(3), SignatureAlgorithm::Ed25519);
    assert_eq!(Certificate::from_blob(&of_another).unwrap().verify(ALLOWED), Err(CaSignature::Bad));
    // Each byte that is signed counts.
    let blob = good.signed();
    let mut read = 0;
    for at in 0..good.to_be_signed().len() {
        let mut changed = blob.clone();
        changed[at] ^= 1;
        if let Ok(certificate) = Certificate::from_blob(&changed) {
            assert_eq!(certificate.verify(ALLOWED), Err(CaSignature::Bad), "{at}");
            read += 1;
        }
    }
    assert!(read > 60, "{read}");
    // The signature's name must be that of the CA's key.
    let rsa_name = [good.to_be_signed(), strings(&[&strings(&[b"rsa-sha2-512", &[1; 64]])])].concat();
    assert_eq!(Certificate::from_blob(&rsa_name).unwrap().verify(ALLOWED), Err(CaSignature::Bad));
    for signature in [&b""[..], b"\0\0\0\x0bssh-ed25519", &strings(&[b"ssh-ed25519", &[0; 64], b""])] {
        let odd = [good.to_be_signed(), strings(&[signature])].concat();
        assert_eq!(Certificate::from_blob(&odd).unwrap().verify(ALLOWED), Err(CaSignature::Bad));
    }
}

#[test]
fn t88_a_ca_in_a_token_must_have_been_touched() {
    let signer = ed25519::PrivateKey::from_seed(&Secret::new([9; 32]));
    let ca_key = strings(&[b"sk-ssh-ed25519@openssh.com", signer.public_key().as_bytes(), b"ssh:"]);
    let fields = Fields { ca_key, ..Fields::new(1) };
    let bytes = fields.to_be_signed();
    for (flags, expected) in
        [(1, Ok(())), (5, Ok(())), (0, Err(CaSignature::Bad)), (4, Err(CaSignature::Bad))]
    {
        let hash = |bytes: &[u8]| crate::crypto::Hash::Sha256.digest(bytes);
        let tail = [flags, 0, 0, 0, 9];
        let message = [hash(b"ssh:").as_bytes(), &tail, hash(&bytes).as_bytes()].concat();
        let signature =
            [strings(&[b"sk-ssh-ed25519@openssh.com", &signer.sign(&message)]), tail.to_vec()].concat();
        let blob = [bytes.clone(), strings(&[&signature])].concat();
        assert_eq!(Certificate::from_blob(&blob).unwrap().verify(ALLOWED), expected, "{flags}");
    }
}

#[test]
fn t40_no_cut_certificate_is_read_and_no_changed_byte_panics() {
    let fields = Fields {
        key: PrivateKey::ecdsa_from_scalar(Curve::Nistp256, &[5; 32]).unwrap().public_key().blob(),
        type_name: "ecdsa-sha2-nistp256-cert-v01@openssh.com",
        critical_options: options(&[("force-command", Some("x")), ("source-address", Some("::/0"))]),
        extensions: options(&[("permit-pty", None)]),
        ..Fields::new(1)
    };
    let blob = fields.signed();
    assert_eq!(Certificate::from_blob(&blob).unwrap().certificate_type(), fields.type_name);
    for cut in 0..blob.len() {
        assert!(Certificate::from_blob(&blob[..cut]).is_err(), "{cut}");
    }
    for at in 0..blob.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = blob.clone();
            changed[at] ^= change;
            let _ = Certificate::from_blob(&changed).map(|certificate| certificate.verify(ALLOWED));
        }
    }
}
