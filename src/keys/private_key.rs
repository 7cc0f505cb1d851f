//! Private key files of the form openssh-key-v1 (OpenSSH's PROTOCOL.key).
//!
//! Armoured base64 around: the magic, cipher, key derivation, one public key, and a private section that repeats a
//! random number (so that a wrong passphrase shows), has the key's fields and a comment, and is padded with 1, 2, 3 …
//! Reading checks each of these, that all copies of the public key agree and that the private key makes it; what is
//! decoded is wiped. Files with a passphrase and other formats are recognised and named, not read. This file does not
//! know where the bytes are kept, nor whether others may read them.

use core::fmt;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::crypto::sign::ecdsa::Curve;
use crate::crypto::sign::{KeyError, PrivateKey, PublicKey, ed25519, rsa, sk};
use crate::crypto::{Rng, Secret};
use crate::wire::{DecodeError, Reader, Writer};

use super::line::{self, BadComment};

/// The longest file that is read, in bytes; one of RSA with 16384 bits needs 13 KiB.
pub const PRIVATE_KEY_FILE_MAX: usize = 64 * 1024;

/// A private key and what was written beside it.
#[derive(Debug)]
pub struct PrivateKeyFile {
    /// The key.
    pub key: PrivateKey,
    /// The comment, for people; bytes that are not UTF-8 are replaced. It may hold control characters.
    pub comment: String,
}

/// Reads a file.
pub fn parse(file: &[u8]) -> Result<PrivateKeyFile, PrivateKeyError> {
    if file.len() > PRIVATE_KEY_FILE_MAX {
        return Err(PrivateKeyError::TooLarge);
    }
    let body = unarmour(file)?;
    let mut reader = Reader::new(&body);
    if reader.bytes(MAGIC.len())? != MAGIC {
        return Err(Malformed::Magic.into());
    }
    let (cipher, kdf, kdf_options) = (reader.string()?, reader.string()?, reader.string()?);
    if cipher != NONE {
        return Err(PrivateKeyError::Encrypted);
    }
    if kdf != NONE || !kdf_options.is_empty() {
        return Err(Malformed::KeyDerivation.into());
    }
    if reader.uint32()? != 1 {
        return Err(Malformed::KeyCount.into());
    }
    let (public, private) = (reader.string()?, reader.string()?);
    reader.finish()?;
    parse_private_section(public, private)
}

/// Writes a file without a passphrase. `rng` gives the number that the private section repeats.
///
/// Whoever stores it creates the file with mode 0600 from the first.
pub fn write(key: &PrivateKey, comment: &str, rng: &mut dyn Rng) -> Result<Zeroizing<String>, BadComment> {
    line::check_comment(comment)?;
    let mut check = [0; 4];
    rng.fill(&mut check);
    // A buffer that grows would leave copies of the key behind: these hold everything from the start.
    let public = key.public_key().blob();
    let mut private = Zeroizing::new(Vec::with_capacity(PRIVATE_FIELDS_MAX + comment.len()));
    let mut writer = Writer::new(&mut private);
    writer.bytes(&check);
    writer.bytes(&check);
    write_private_fields(key, &mut writer);
    writer.string(comment.as_bytes());
    for padding in 1.. {
        if private.len().is_multiple_of(BLOCK_LEN) {
            break;
        }
        private.push(padding);
    }
    debug_assert!(private.len() <= PRIVATE_FIELDS_MAX + comment.len());
    let mut body = Zeroizing::new(Vec::with_capacity(HEAD_LEN + public.len() + private.len()));
    let mut writer = Writer::new(&mut body);
    writer.bytes(MAGIC);
    writer.string(NONE);
    writer.string(NONE);
    writer.string(b"");
    writer.uint32(1);
    writer.string(&public);
    writer.string(&private);
    Ok(armour(&body))
}

/// Reads the private section and compares the key in it with the public blob outside.
fn parse_private_section(public: &[u8], private: &[u8]) -> Result<PrivateKeyFile, PrivateKeyError> {
    if !private.len().is_multiple_of(BLOCK_LEN) {
        return Err(Malformed::Padding.into());
    }
    let mut reader = Reader::new(private);
    if reader.uint32()? != reader.uint32()? {
        return Err(Malformed::CheckNumbers.into());
    }
    let key_type = reader.string()?;
    if Reader::new(public).string() != Ok(key_type) {
        return Err(Malformed::PublicKey.into());
    }
    let key = parse_private_fields(key_type, &mut reader)?;
    if key.public_key().blob() != public {
        return Err(Malformed::PublicKey.into());
    }
    let comment = String::from_utf8_lossy(reader.string()?).into_owned();
    // Padding is 1, 2, 3 … and so at most 255 long; it is all that may follow.
    let padding = reader.remainder()?;
    if padding.len() > usize::from(u8::MAX) || padding.iter().zip(1..=u8::MAX).any(|(byte, i)| *byte != i) {
        return Err(Malformed::Padding.into());
    }
    Ok(PrivateKeyFile { key, comment })
}

/// The fields after the type's name: one arm a type. What they say of the public half is compared with `public` by the
/// caller, through the private half that makes it.
fn parse_private_fields(key_type: &[u8], reader: &mut Reader<'_>) -> Result<PrivateKey, PrivateKeyError> {
    let curve = Curve::ALL.iter().copied().find(|curve| curve.algorithm_name().as_bytes() == key_type);
    match (line::name(key_type), curve) {
        (Some(ed25519::NAME), _) => parse_ed25519(reader),
        (_, Some(curve)) => parse_ecdsa(curve, reader),
        (Some(rsa::KEY_TYPE), _) => parse_rsa(reader),
        (Some(sk::ED25519_NAME | sk::ECDSA_NAME), _) => Err(PrivateKeyError::InToken),
        (Some(name), _) => Err(PrivateKeyError::UnknownType(name.to_owned())),
        (None, _) => Err(Malformed::KeyFields.into()),
    }
}

/// `string public, string seed and public`.
fn parse_ed25519(reader: &mut Reader<'_>) -> Result<PrivateKey, PrivateKeyError> {
    let public: &[u8; 32] = reader.string()?.try_into().map_err(|_| Malformed::KeyFields)?;
    let pair: &[u8; 64] = reader.string()?.try_into().map_err(|_| Malformed::KeyFields)?;
    let (seed, public_again) = pair.split_first_chunk::<32>().ok_or(Malformed::KeyFields)?;
    let key = PrivateKey::ed25519_from_seed(&Secret::new(*seed));
    if public != public_again || !key.public_key().blob().ends_with(public) {
        return Err(Malformed::PublicKey.into());
    }
    Ok(key)
}

/// `string curve, string Q, mpint d`.
fn parse_ecdsa(curve: Curve, reader: &mut Reader<'_>) -> Result<PrivateKey, PrivateKeyError> {
    if reader.string()? != curve.name().as_bytes() {
        return Err(Malformed::KeyFields.into());
    }
    let q = reader.string()?;
    let key = PrivateKey::ecdsa_from_scalar(curve, reader.mpint()?.positive()?)?;
    if !matches!(key.public_key(), PublicKey::Ecdsa(public) if public.as_bytes() == q) {
        return Err(Malformed::PublicKey.into());
    }
    Ok(key)
}

/// `mpint n, e, d, iqmp, p, q`.
fn parse_rsa(reader: &mut Reader<'_>) -> Result<PrivateKey, PrivateKeyError> {
    let mut number = || reader.mpint()?.positive();
    let components = rsa::Components {
        n: number()?,
        e: number()?,
        d: number()?,
        iqmp: number()?,
        p: number()?,
        q: number()?,
    };
    Ok(PrivateKey::rsa_from_components(&components)?)
}

fn write_private_fields(key: &PrivateKey, writer: &mut Writer<'_>) {
    writer.string(key.public_key().key_type().as_bytes());
    match key {
        PrivateKey::Ed25519(key) => {
            let public = key.public_key();
            let mut pair = Zeroizing::new([0; 64]);
            let (seed_half, public_half) = pair.split_at_mut(32);
            seed_half.copy_from_slice(key.seed());
            public_half.copy_from_slice(public.as_bytes());
            writer.string(public.as_bytes());
            writer.string(&*pair);
        }
        PrivateKey::Ecdsa(key) => {
            writer.string(key.curve().name().as_bytes());
            writer.string(key.public_key().as_bytes());
            writer.mpint(key.scalar());
        }
        PrivateKey::Rsa(key) => key.encode_components(writer),
    }
}

/// Takes the base64 out of its armour and decodes it.
fn unarmour(file: &[u8]) -> Result<Zeroizing<Vec<u8>>, PrivateKeyError> {
    let Some(inside) = file.strip_prefix(BEGIN) else { return Err(foreign(file)) };
    let end = inside.windows(END.len()).position(|window| window == END).ok_or(Malformed::Armour)?;
    let (base64, rest) = inside.split_at(end);
    let after = rest.strip_prefix(END).ok_or(Malformed::Armour)?;
    if !after.iter().all(u8::is_ascii_whitespace) {
        return Err(Malformed::Armour.into());
    }
    let mut text = Zeroizing::new(Vec::with_capacity(base64.len()));
    text.extend(base64.iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    let mut body = Zeroizing::new(vec![0; text.len() / 4 * 3]);
    let length = Base64::decode(&*text, &mut body).map_err(|_| Malformed::Base64)?.len();
    body.truncate(length);
    Ok(body)
}

/// Encodes `body` in lines of [`ARMOUR_COLUMNS`].
fn armour(body: &[u8]) -> Zeroizing<String> {
    let base64 = Zeroizing::new(Base64::encode_string(body));
    let lines = base64.len().div_ceil(ARMOUR_COLUMNS);
    let mut text =
        Zeroizing::new(String::with_capacity(base64.len() + lines + 2 * (BEGIN.len() + END.len())));
    text.push_str("-----BEGIN OPENSSH PRIVATE KEY-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(ARMOUR_COLUMNS));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END OPENSSH PRIVATE KEY-----\n");
    text
}

/// What a file is that does not begin as one of ours.
fn foreign(file: &[u8]) -> PrivateKeyError {
    FOREIGN
        .iter()
        .find(|(begin, _)| file.starts_with(begin))
        .map_or(PrivateKeyError::NotAPrivateKey, |(_, format)| PrivateKeyError::Foreign(*format))
}

const BEGIN: &[u8] = b"-----BEGIN OPENSSH PRIVATE KEY-----";
const END: &[u8] = b"-----END OPENSSH PRIVATE KEY-----";
const MAGIC: &[u8] = b"openssh-key-v1\0";
const NONE: &[u8] = b"none";

/// The padded section is a multiple of this without a cipher.
const BLOCK_LEN: usize = 8;

const ARMOUR_COLUMNS: usize = 70;

/// Room for everything in front of the two blobs: magic, two names, an empty string, the count and both lengths.
const HEAD_LEN: usize = 15 + 2 * (4 + 4) + 4 + 4 + 2 * 4;

/// Room for the private section without its comment; an RSA key of 8192 bits needs some 3.6 KiB.
const PRIVATE_FIELDS_MAX: usize = 4096;

const FOREIGN: [(&[u8], ForeignFormat); 8] = [
    (b"-----BEGIN RSA PRIVATE KEY-----", ForeignFormat::Pkcs1),
    (b"-----BEGIN EC PRIVATE KEY-----", ForeignFormat::Sec1),
    (b"-----BEGIN PRIVATE KEY-----", ForeignFormat::Pkcs8),
    (b"-----BEGIN ENCRYPTED PRIVATE KEY-----", ForeignFormat::EncryptedPkcs8),
    (b"PuTTY-User-Key-File-", ForeignFormat::Ppk),
    (b"---- BEGIN SSH2 PUBLIC KEY ----", ForeignFormat::PublicKey),
    (b"ssh-", ForeignFormat::PublicKey),
    (b"ecdsa-sha2-", ForeignFormat::PublicKey),
];

/// A file of another kind that people mistake for an OpenSSH private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignFormat {
    /// PEM "RSA PRIVATE KEY" (RFC 8017).
    Pkcs1,
    /// PEM "EC PRIVATE KEY" (RFC 5915).
    Sec1,
    /// PEM "PRIVATE KEY" (RFC 5958).
    Pkcs8,
    /// PEM "ENCRYPTED PRIVATE KEY" (RFC 5958).
    EncryptedPkcs8,
    /// PuTTY's own.
    Ppk,
    /// The public half of a key.
    PublicKey,
}

/// Why a file gives no key. Its text is safe to show, and says what helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrivateKeyError {
    /// The file is longer than [`PRIVATE_KEY_FILE_MAX`].
    TooLarge,
    /// The file is of no kind that is known here.
    NotAPrivateKey,
    /// The file is of another kind.
    Foreign(ForeignFormat),
    /// The key has a passphrase, which is not supported yet.
    Encrypted,
    /// The key is of a type that is not implemented.
    UnknownType(String),
    /// The key is of a size that is not taken.
    UnsupportedSize,
    /// The file only names a key that is in a hardware token.
    InToken,
    /// The file is openssh-key-v1 and damaged.
    Malformed(Malformed),
}

/// What is damaged in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The END line is missing, or something follows it.
    Armour,
    /// The text between BEGIN and END is not base64.
    Base64,
    /// The contents do not begin with "openssh-key-v1".
    Magic,
    /// A key derivation is named, but no cipher.
    KeyDerivation,
    /// There is not exactly one key.
    KeyCount,
    /// The two check numbers differ.
    CheckNumbers,
    /// The public keys in the file differ, or are not that of the private key.
    PublicKey,
    /// A field of the key has the wrong length or an impossible value.
    KeyFields,
    /// The padding is not 1, 2, 3 … up to a multiple of 8.
    Padding,
    /// A field reaches beyond the end, or bytes are left.
    Fields(DecodeError),
}

impl From<Malformed> for PrivateKeyError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<KeyError> for PrivateKeyError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::UnsupportedSize => Self::UnsupportedSize,
            KeyError::Inconsistent => Malformed::PublicKey.into(),
            KeyError::Malformed(error) => error.into(),
            _ => Malformed::KeyFields.into(),
        }
    }
}

impl From<DecodeError> for PrivateKeyError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(Malformed::Fields(error))
    }
}

impl fmt::Display for PrivateKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "the file is longer than {PRIVATE_KEY_FILE_MAX} bytes"),
            Self::NotAPrivateKey => f.write_str("not a private key in OpenSSH's format"),
            Self::Foreign(format) => format.fmt(f),
            Self::Encrypted => f.write_str(
                "the key has a passphrase, which is not supported yet; `ssh-keygen -p -f FILE` can remove it from a copy",
            ),
            Self::UnknownType(key_type) => write!(f, "keys of type {key_type} are not supported yet"),
            Self::UnsupportedSize => KeyError::UnsupportedSize.fmt(f),
            Self::InToken => f.write_str(
                "the key is in a hardware token, where only an agent can sign with it; `ssh-add FILE` gives it to one",
            ),
            Self::Malformed(malformed) => write!(f, "the key file is damaged: {malformed}"),
        }
    }
}

impl fmt::Display for ForeignFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, advice) = match self {
            Self::Pkcs1 => ("a PEM RSA key (PKCS#1)", KEYGEN),
            Self::Sec1 => ("a PEM EC key (SEC1)", KEYGEN),
            Self::Pkcs8 => ("a PEM key (PKCS#8)", KEYGEN),
            Self::EncryptedPkcs8 => ("a PEM key with a passphrase (PKCS#8)", KEYGEN),
            Self::Ppk => ("a PuTTY key", "`puttygen FILE -O private-openssh-new -o NEW` converts it"),
            Self::PublicKey => ("a public key", "the private one is in the file without .pub"),
        };
        write!(f, "{kind}, not a private key in OpenSSH's format; {advice}")
    }
}

const KEYGEN: &str = "`ssh-keygen -p -f FILE` converts it";

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Armour => "the END line is missing, or something follows it",
            Self::Base64 => "the text inside is not base64",
            Self::Magic => "it does not begin with openssh-key-v1",
            Self::KeyDerivation => "it names a key derivation but no cipher",
            Self::KeyCount => "it does not hold exactly one key",
            Self::CheckNumbers => "its check numbers differ",
            Self::PublicKey => "its public and private key do not belong together",
            Self::KeyFields => "a field of the key has the wrong length or an impossible value",
            Self::Padding => "its padding is wrong",
            Self::Fields(error) => return error.fmt(f),
        })
    }
}

impl core::error::Error for PrivateKeyError {}

#[cfg(test)]
mod tests;
