//! OpenSSH certificates as blobs (draft-miller-ssh-cert): a public key, what a CA says of it, and the CA's signature.
//!
//! A certificate stands where a public key blob can stand, and signs by the plain algorithm of its key. This file reads the
//! blob to its last byte and checks the CA's signature. It does not know who the CA is, what the time is, or what the
//! principals and options mean: whether a certificate lets somebody in is judged in `keys`.

use super::{KeyError, PublicKey, SignatureAlgorithm};
use crate::wire::{DecodeError, Reader};

use core::fmt;

/// The most principals that a certificate may list (OpenSSH: the same).
pub const PRINCIPALS_MAX: usize = 256;

/// Each name of an algorithm or of a key type, and the name that it has for certificates.
const NAMES: [(&str, &str); 9] = [
    ("ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com"),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256-cert-v01@openssh.com"),
    ("ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384-cert-v01@openssh.com"),
    ("ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521-cert-v01@openssh.com"),
    ("sk-ssh-ed25519@openssh.com", "sk-ssh-ed25519-cert-v01@openssh.com"),
    ("sk-ecdsa-sha2-nistp256@openssh.com", "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com"),
    ("rsa-sha2-512", "rsa-sha2-512-cert-v01@openssh.com"),
    ("rsa-sha2-256", "rsa-sha2-256-cert-v01@openssh.com"),
    ("ssh-rsa", "ssh-rsa-cert-v01@openssh.com"),
];

/// The plain name that a name for certificates stands for.
fn plain_name(name: &[u8]) -> Option<&'static str> {
    NAMES.iter().find(|(_, certificate)| certificate.as_bytes() == name).map(|(plain, _)| *plain)
}

fn certificate_name(plain: &str) -> &'static str {
    NAMES.iter().find(|(name, _)| *name == plain).map_or("", |(_, certificate)| certificate)
}

impl SignatureAlgorithm {
    /// The name in negotiations and requests when the key is in a certificate; never in a signature blob.
    #[must_use]
    pub fn certificate_name(self) -> &'static str {
        certificate_name(self.name())
    }

    /// The algorithm that is meant by exactly this name for certificates.
    #[must_use]
    pub fn from_certificate_name(name: &str) -> Option<Self> {
        Self::from_name(plain_name(name.as_bytes())?)
    }

    /// The type name in the blobs of certificates that it is used with.
    #[must_use]
    pub fn certificate_type(self) -> &'static str {
        certificate_name(self.key_type())
    }
}

/// How a key is shown and what it signs by: what a name in a negotiation or a request says. The signature's own name is always
/// the plain one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyAlgorithm {
    /// What signatures are made and checked by.
    pub signature: SignatureAlgorithm,
    /// Whether the key is shown in a certificate.
    pub certified: bool,
}

impl KeyAlgorithm {
    /// That of a key alone.
    #[must_use]
    pub const fn plain(signature: SignatureAlgorithm) -> Self {
        Self { signature, certified: false }
    }

    /// That of a key in a certificate.
    #[must_use]
    pub const fn certified(signature: SignatureAlgorithm) -> Self {
        Self { signature, certified: true }
    }

    /// The name in negotiations and requests.
    #[must_use]
    pub fn name(self) -> &'static str {
        if self.certified { self.signature.certificate_name() } else { self.signature.name() }
    }

    /// The type name in the blobs that it is used with.
    #[must_use]
    pub fn key_type(self) -> &'static str {
        if self.certified { self.signature.certificate_type() } else { self.signature.key_type() }
    }
}

/// Whom a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Users who log in.
    User,
    /// Hosts that are logged in to.
    Host,
}

/// A certificate that was read to its last byte. Nothing in it is true before its CA is trusted and
/// [`verify`](Self::verify) holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    blob: Box<[u8]>,
    /// How much of the blob the CA has signed.
    signed_len: usize,
    key: PublicKey,
    serial: u64,
    role: Role,
    key_id: Box<[u8]>,
    /// Strings, one after the other.
    principals: Box<[u8]>,
    valid_after: u64,
    valid_before: u64,
    /// Pairs of strings.
    critical_options: Box<[u8]>,
    extensions: Box<[u8]>,
    ca_key: PublicKey,
    signature: Box<[u8]>,
}

impl Certificate {
    /// Reads a certificate's blob. The CA's signature is not checked.
    pub fn from_blob(blob: &[u8]) -> Result<Self, CertificateError> {
        let mut r = Reader::new(blob);
        let key_type = plain_name(r.string()?).ok_or(CertificateError::NotACertificate)?;
        let _nonce = r.string()?;
        let key = PublicKey::decode(key_type.as_bytes(), &mut r)?;
        let serial = r.uint64()?;
        let role = match r.uint32()? {
            1 => Role::User,
            2 => Role::Host,
            _ => return Err(CertificateError::Role),
        };
        let key_id = r.string()?;
        let principals = r.string()?;
        let (valid_after, valid_before) = (r.uint64()?, r.uint64()?);
        let (critical_options, extensions) = (r.string()?, r.string()?);
        let _reserved = r.string()?;
        let ca_key = r.string()?;
        let signed_len = blob.len().saturating_sub(r.rest().len());
        let signature = r.string()?;
        r.finish()?;

        check_principals(principals)?;
        check_options(critical_options)?;
        check_options(extensions)?;
        Ok(Self {
            blob: blob.into(),
            signed_len,
            key,
            serial,
            role,
            key_id: key_id.into(),
            principals: principals.into(),
            valid_after,
            valid_before,
            critical_options: critical_options.into(),
            extensions: extensions.into(),
            ca_key: decode_ca_key(ca_key)?,
            signature: signature.into(),
        })
    }

    /// Reads the blob of a certificate for `algorithm`. Of one of another type no more than the name is looked at.
    pub fn for_algorithm(algorithm: SignatureAlgorithm, blob: &[u8]) -> Result<Self, CertificateError> {
        if Reader::new(blob).string()? != algorithm.certificate_type().as_bytes() {
            return Err(KeyError::OtherType.into());
        }
        Self::from_blob(blob)
    }

    /// Checks that the CA's key has signed the certificate, by one of the `allowed` algorithms, and that the signature names
    /// the algorithm that made it. A CA in a token must have been touched.
    pub fn verify(&self, allowed: &[SignatureAlgorithm]) -> Result<(), CaSignature> {
        let name = Reader::new(&self.signature).string().map_err(|_| CaSignature::Bad)?;
        let algorithm = allowed
            .iter()
            .find(|algorithm| algorithm.name().as_bytes() == name)
            .ok_or(CaSignature::NotAllowed)?;
        let signed = self.blob.get(..self.signed_len).ok_or(CaSignature::Bad)?;
        match self.ca_key.verify(*algorithm, signed, &self.signature) {
            Ok(verified) if verified.sk().is_none_or(|sk| sk.user_present()) => Ok(()),
            _ => Err(CaSignature::Bad),
        }
    }

    /// The whole blob, as it was read.
    #[must_use]
    pub const fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// The type name in the blob.
    #[must_use]
    pub fn certificate_type(&self) -> &'static str {
        certificate_name(self.key.key_type())
    }

    /// The key that the certificate is about: signatures are checked with it.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The number that the CA gave it.
    #[must_use]
    pub const fn serial(&self) -> u64 {
        self.serial
    }

    /// Whom it is for.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The name that the CA gave it, for a log; any bytes.
    #[must_use]
    pub const fn key_id(&self) -> &[u8] {
        &self.key_id
    }

    /// The users or hosts that it is for. None means nobody.
    pub fn principals(&self) -> impl Iterator<Item = &[u8]> {
        strings(&self.principals)
    }

    /// The first second in which it is valid, counted from 1970.
    #[must_use]
    pub const fn valid_after(&self) -> u64 {
        self.valid_after
    }

    /// The first second in which it is not valid any more; the greatest number for never.
    #[must_use]
    pub const fn valid_before(&self) -> u64 {
        self.valid_before
    }

    /// Names and values of what must be obeyed or the certificate refused.
    pub fn critical_options(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        options(&self.critical_options)
    }

    /// Names and values of what may be passed over.
    pub fn extensions(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        options(&self.extensions)
    }

    /// The key that signed it, as the certificate says.
    #[must_use]
    pub const fn ca_key(&self) -> &PublicKey {
        &self.ca_key
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("key", &self.key)
            .field("serial", &self.serial)
            .field("role", &self.role)
            .field("key_id", &self.key_id.escape_ascii().to_string())
            .finish_non_exhaustive()
    }
}

/// A CA's key is a plain key: a certificate in its place is not read, so that there are no chains to follow.
fn decode_ca_key(blob: &[u8]) -> Result<PublicKey, CertificateError> {
    if plain_name(Reader::new(blob).string()?).is_some() {
        return Err(CertificateError::CaIsCertificate);
    }
    PublicKey::from_blob(blob).map_err(CertificateError::CaKey)
}

fn check_principals(section: &[u8]) -> Result<(), CertificateError> {
    let mut r = Reader::new(section);
    for _ in 0..PRINCIPALS_MAX {
        if r.rest().is_empty() {
            return Ok(());
        }
        r.string()?;
    }
    if r.rest().is_empty() { Ok(()) } else { Err(CertificateError::TooManyPrincipals) }
}

/// Options are sorted by name, each there once, with a value that is empty or one string.
fn check_options(section: &[u8]) -> Result<(), CertificateError> {
    let mut r = Reader::new(section);
    let mut before: Option<&[u8]> = None;
    while !r.rest().is_empty() {
        let (name, data) = (r.string()?, r.string()?);
        if before.is_some_and(|before| before >= name) {
            return Err(CertificateError::OptionsNotSorted);
        }
        before = Some(name);
        if !data.is_empty() {
            let mut value = Reader::new(data);
            value.string().and_then(|_| value.finish()).map_err(|_| CertificateError::OptionValue)?;
        }
    }
    Ok(())
}

fn strings(section: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut r = Reader::new(section);
    core::iter::from_fn(move || r.string().ok())
}

/// A value that is not there and one that is the empty string are two things.
fn options(section: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    let mut r = Reader::new(section);
    core::iter::from_fn(move || {
        let (name, data) = (r.string().ok()?, r.string().ok()?);
        Some((name, Reader::new(data).string().ok()))
    })
}

/// A key as a peer, a file or an agent shows it: plain, or in a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "most are plain keys, and there are few")]
pub enum PlainOrCertified {
    /// The key alone.
    Plain(PublicKey),
    /// A certificate with the key in it.
    Certified(Box<Certificate>),
}

impl PlainOrCertified {
    /// Reads the blob of either, as its type name says.
    pub fn from_blob(blob: &[u8]) -> Result<Self, CertificateError> {
        match Certificate::from_blob(blob) {
            Ok(certificate) => Ok(Self::Certified(Box::new(certificate))),
            Err(CertificateError::NotACertificate) => Ok(Self::Plain(PublicKey::from_blob(blob)?)),
            Err(error) => Err(error),
        }
    }

    /// Reads the blob of what `algorithm` is used with. Of one of another type no more than the name is looked at.
    pub fn for_algorithm(algorithm: KeyAlgorithm, blob: &[u8]) -> Result<Self, CertificateError> {
        if algorithm.certified {
            Ok(Self::Certified(Box::new(Certificate::for_algorithm(algorithm.signature, blob)?)))
        } else {
            Ok(Self::Plain(PublicKey::for_algorithm(algorithm.signature, blob)?))
        }
    }

    /// The blob.
    #[must_use]
    pub fn blob(&self) -> Vec<u8> {
        match self {
            Self::Plain(key) => key.blob(),
            Self::Certified(certificate) => certificate.blob().to_vec(),
        }
    }

    /// The key that signatures are checked with.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        match self {
            Self::Plain(key) => key,
            Self::Certified(certificate) => certificate.key(),
        }
    }
}

/// Why bytes are no certificate. Its text is safe to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateError {
    /// The type name is none of a certificate.
    NotACertificate,
    /// The key in it is none that is taken, or a field reaches beyond the end, or bytes are left.
    Key(KeyError),
    /// It is for neither users nor hosts.
    Role,
    /// It lists more than [`PRINCIPALS_MAX`] principals.
    TooManyPrincipals,
    /// Options are not sorted by name, or one is there twice.
    OptionsNotSorted,
    /// The value of an option is not one string.
    OptionValue,
    /// The CA's key is a certificate itself.
    CaIsCertificate,
    /// The CA's key is none that is taken.
    CaKey(KeyError),
}

impl From<KeyError> for CertificateError {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

impl From<DecodeError> for CertificateError {
    fn from(error: DecodeError) -> Self {
        Self::Key(error.into())
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotACertificate => f.write_str("not a certificate"),
            Self::Key(error) => error.fmt(f),
            Self::Role => f.write_str("a certificate for neither users nor hosts"),
            Self::TooManyPrincipals => {
                write!(f, "the certificate lists more than {PRINCIPALS_MAX} principals")
            }
            Self::OptionsNotSorted => {
                f.write_str("the certificate's options are not sorted, or one is there twice")
            }
            Self::OptionValue => f.write_str("the value of a certificate's option is not one string"),
            Self::CaIsCertificate => f.write_str("the certificate is signed by a certificate"),
            Self::CaKey(error) => write!(f, "the CA's key: {error}"),
        }
    }
}

impl core::error::Error for CertificateError {}

/// Why the CA's signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaSignature {
    /// It was made by an algorithm that is not allowed to CAs.
    NotAllowed,
    /// It does not hold.
    Bad,
}

impl fmt::Display for CaSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAllowed => "the CA signed by an algorithm that is not allowed",
            Self::Bad => "the CA's signature does not hold",
        })
    }
}

impl core::error::Error for CaSignature {}

#[cfg(test)]
pub(crate) mod tests;
