//! openssh-key-v1 (OpenSSH's PROTOCOL.key).
//!
//! Armoured base64 around: the magic, cipher, key derivation, one public key, and a private section that repeats a
//! random number (so that a wrong passphrase shows), has the key's fields and a comment, and is padded with 1, 2, 3 …
//! Reading checks each of these, that all copies of the public key agree and that the private key makes it; what is
//! decoded is wiped. Written is what ssh-keygen writes: no cipher, or aes256-ctr under bcrypt_pbkdf.

use zeroize::Zeroizing;

use super::error::{Malformed, PrivateKeyError, WriteError};
use super::{Encrypted, Parsed, PrivateKeyFile, armour};
use crate::crypto::file_cipher::FileCipher;
use crate::crypto::passphrase::{KdfError, PassphraseKdf};
use crate::crypto::sign::ecdsa::Curve;
use crate::crypto::sign::{KeyError, PrivateKey, PublicKey, ed25519, rsa, sk};
use crate::crypto::{Rng, Secret};
use crate::keys::line::{self, BadComment};
use crate::wire::{DecodeError, Reader, Writer};

/// The rounds of bcrypt_pbkdf that ssh-keygen takes (OpenSSH 9.8 and later).
pub const BCRYPT_ROUNDS: u32 = 24;

pub(super) const LABEL: &[u8] = b"OPENSSH PRIVATE KEY";
const LABEL_TEXT: &str = "OPENSSH PRIVATE KEY";
const MAGIC: &[u8] = b"openssh-key-v1\0";
const NONE: &[u8] = b"none";
const BCRYPT: &[u8] = b"bcrypt";
const AES256_CTR: &[u8] = b"aes256-ctr";

/// The padded section is a multiple of this without a cipher.
const BLOCK_LEN: usize = 8;

const SALT_LEN: usize = 16;

const ARMOUR_COLUMNS: usize = 70;

/// Room for everything in front of the two blobs: magic, two names, an empty string, the count and both lengths.
const HEAD_LEN: usize = 15 + 2 * (4 + 4) + 4 + 4 + 2 * 4;

/// Room for what a cipher adds to that: longer names, salt and rounds.
const ENCRYPTED_HEAD_LEN: usize = HEAD_LEN + 16 + 4 + SALT_LEN + 4;

/// Room for the private section without its comment; an RSA key of 8192 bits needs some 3.6 KiB.
const PRIVATE_FIELDS_MAX: usize = 4096;

/// The ciphers that ssh-keygen -Z offers or once offered, without 3DES.
const CIPHERS: [(&[u8], FileCipher); 9] = [
    (AES256_CTR, FileCipher::Aes256Ctr),
    (b"aes192-ctr", FileCipher::Aes192Ctr),
    (b"aes128-ctr", FileCipher::Aes128Ctr),
    (b"aes256-cbc", FileCipher::Aes256Cbc),
    (b"aes192-cbc", FileCipher::Aes192Cbc),
    (b"aes128-cbc", FileCipher::Aes128Cbc),
    (b"aes256-gcm@openssh.com", FileCipher::Aes256Gcm),
    (b"aes128-gcm@openssh.com", FileCipher::Aes128Gcm),
    (b"chacha20-poly1305@openssh.com", FileCipher::ChaCha20Poly1305),
];

/// Reads what is within the armour.
pub(super) fn parse(body: &[u8]) -> Result<Parsed, PrivateKeyError> {
    let mut reader = Reader::new(body);
    if reader.bytes(MAGIC.len())? != MAGIC {
        return Err(Malformed::Magic.into());
    }
    let (cipher_name, kdf_name, kdf_options) = (reader.string()?, reader.string()?, reader.string()?);
    let sealed = if cipher_name == NONE {
        if kdf_name != NONE || !kdf_options.is_empty() {
            return Err(Malformed::KeyDerivation.into());
        }
        None
    } else {
        Some((cipher(cipher_name)?, kdf(kdf_name, kdf_options)?))
    };
    if reader.uint32()? != 1 {
        return Err(Malformed::KeyCount.into());
    }
    let (public, private, tag) = (reader.string()?, reader.string()?, reader.remainder()?);
    let (block_len, tag_len) = sealed.as_ref().map_or((BLOCK_LEN, 0), |(c, _)| (c.block_len(), c.tag_len()));
    if private.is_empty() || !private.len().is_multiple_of(block_len) {
        return Err(Malformed::Padding.into());
    }
    match tag.len().cmp(&tag_len) {
        core::cmp::Ordering::Less => return Err(DecodeError::Truncated.into()),
        core::cmp::Ordering::Greater => return Err(DecodeError::TrailingBytes.into()),
        core::cmp::Ordering::Equal => {}
    }
    let Some((cipher, kdf)) = sealed else { return parse_private_section(public, private) };
    let public_key = public_key(public)?;
    if let PublicKey::Sk(_) = public_key {
        return Ok(Parsed::InToken(public_key));
    }
    let sealed = Sealed { cipher, kdf, public: public.into(), private: private.into(), tag: tag.into() };
    let sealed = super::Sealed::OpenSsh(sealed);
    Ok(Parsed::Encrypted(Box::new(Encrypted { public_key: Some(public_key), sealed })))
}

fn cipher(name: &[u8]) -> Result<FileCipher, PrivateKeyError> {
    let known = CIPHERS.iter().find(|(known, _)| *known == name).map(|(_, cipher)| *cipher);
    known.map_or_else(|| Err(unknown(name, PrivateKeyError::UnknownCipher)), Ok)
}

fn kdf(name: &[u8], options: &[u8]) -> Result<PassphraseKdf, PrivateKeyError> {
    match name {
        BCRYPT => {
            let mut options = Reader::new(options);
            let (salt, rounds) = (options.string()?, options.uint32()?);
            options.finish()?;
            Ok(PassphraseKdf::bcrypt(salt, rounds)?)
        }
        NONE => Err(Malformed::KeyDerivation.into()),
        other => Err(unknown(other, PrivateKeyError::UnknownKdf)),
    }
}

/// Names what is not known, if it is a name.
fn unknown(name: &[u8], error: fn(String) -> PrivateKeyError) -> PrivateKeyError {
    line::name(name).map_or(Malformed::KeyFields.into(), |name| error(name.to_owned()))
}

fn public_key(blob: &[u8]) -> Result<PublicKey, PrivateKeyError> {
    match PublicKey::from_blob(blob) {
        Err(KeyError::UnknownType) => Err(unknown(Reader::new(blob).string()?, PrivateKeyError::UnknownType)),
        Err(KeyError::UnsupportedSize) => Err(PrivateKeyError::UnsupportedSize),
        key => key.map_err(|_| Malformed::PublicKey.into()),
    }
}

/// A file with a passphrase.
pub(super) struct Sealed {
    cipher: FileCipher,
    kdf: PassphraseKdf,
    public: Box<[u8]>,
    private: Box<[u8]>,
    tag: Box<[u8]>,
}

impl Sealed {
    pub(super) fn open(&self, passphrase: &[u8]) -> Result<PrivateKeyFile, PrivateKeyError> {
        let mut key_and_iv = Zeroizing::new(vec![0; self.cipher.key_len() + self.cipher.iv_len()]);
        self.kdf.derive(passphrase, &mut key_and_iv)?;
        let (key, iv) = key_and_iv.split_at(self.cipher.key_len());
        let mut private = Zeroizing::new(self.private.to_vec());
        self.cipher
            .decrypt(key, iv, &mut private, &self.tag)
            .map_err(|_| PrivateKeyError::WrongPassphrase)?;
        match parse_private_section(&self.public, &private) {
            Err(PrivateKeyError::Malformed(Malformed::CheckNumbers)) => Err(PrivateKeyError::WrongPassphrase),
            parsed => parsed.and_then(Parsed::plain),
        }
    }
}

/// Writes a file without a passphrase. `rng` gives the number that the private section repeats.
///
/// Whoever stores it creates the file with mode 0600 from the first.
pub fn write(key: &PrivateKey, comment: &str, rng: &mut dyn Rng) -> Result<Zeroizing<String>, BadComment> {
    let private = private_section(key, comment, BLOCK_LEN, rng)?;
    Ok(container(key, NONE, NONE, &[], &private))
}

/// Writes a file with a passphrase, which is not empty: aes256-ctr under bcrypt_pbkdf of this many rounds, as ssh-keygen
/// does with [`BCRYPT_ROUNDS`] of them.
pub fn write_encrypted(
    key: &PrivateKey,
    comment: &str,
    passphrase: &[u8],
    rounds: u32,
    rng: &mut dyn Rng,
) -> Result<Zeroizing<String>, WriteError> {
    let cipher = FileCipher::Aes256Ctr;
    let mut salt = [0; SALT_LEN];
    rng.fill(&mut salt);
    let kdf = PassphraseKdf::bcrypt(&salt, rounds)?;
    let mut private = private_section(key, comment, cipher.block_len(), rng)?;
    let mut key_and_iv = Zeroizing::new(vec![0; cipher.key_len() + cipher.iv_len()]);
    kdf.derive(passphrase, &mut key_and_iv)?;
    let (cipher_key, iv) = key_and_iv.split_at(cipher.key_len());
    FileCipher::encrypt_aes256_ctr(cipher_key, iv, &mut private).map_err(|_| KdfError::BadParameters)?;
    let mut options = Vec::new();
    let mut writer = Writer::new(&mut options);
    writer.string(&salt);
    writer.uint32(rounds);
    Ok(container(key, AES256_CTR, BCRYPT, &options, &private))
}

/// The private section in clear, padded to a multiple of `block_len`.
fn private_section(
    key: &PrivateKey,
    comment: &str,
    block_len: usize,
    rng: &mut dyn Rng,
) -> Result<Zeroizing<Vec<u8>>, BadComment> {
    line::check_comment(comment)?;
    let mut check = [0; 4];
    rng.fill(&mut check);
    // A buffer that grows would leave copies of the key behind: this holds everything from the start.
    let mut private = Zeroizing::new(Vec::with_capacity(PRIVATE_FIELDS_MAX + comment.len()));
    let mut writer = Writer::new(&mut private);
    writer.bytes(&check);
    writer.bytes(&check);
    write_private_fields(key, &mut writer);
    writer.string(comment.as_bytes());
    for padding in 1.. {
        if private.len().is_multiple_of(block_len) {
            break;
        }
        private.push(padding);
    }
    debug_assert!(private.len() <= PRIVATE_FIELDS_MAX + comment.len());
    Ok(private)
}

/// Everything around the private section.
fn container(
    key: &PrivateKey,
    cipher: &[u8],
    kdf: &[u8],
    kdf_options: &[u8],
    private: &[u8],
) -> Zeroizing<String> {
    let public = key.public_key().blob();
    let mut body = Zeroizing::new(Vec::with_capacity(ENCRYPTED_HEAD_LEN + public.len() + private.len()));
    let mut writer = Writer::new(&mut body);
    writer.bytes(MAGIC);
    writer.string(cipher);
    writer.string(kdf);
    writer.string(kdf_options);
    writer.uint32(1);
    writer.string(&public);
    writer.string(private);
    debug_assert!(body.len() <= ENCRYPTED_HEAD_LEN + public.len() + private.len());
    armour::encode(LABEL_TEXT, &body, ARMOUR_COLUMNS)
}

/// Reads the private section and compares the key in it with the public blob outside.
fn parse_private_section(public: &[u8], private: &[u8]) -> Result<Parsed, PrivateKeyError> {
    let mut reader = Reader::new(private);
    if reader.uint32()? != reader.uint32()? {
        return Err(Malformed::CheckNumbers.into());
    }
    let key_type = reader.string()?;
    if Reader::new(public).string() != Ok(key_type) {
        return Err(Malformed::PublicKey.into());
    }
    let held = parse_private_fields(key_type, &mut reader)?;
    let comment = String::from_utf8_lossy(reader.string()?).into_owned();
    // Padding is 1, 2, 3 … and so at most 255 long; it is all that may follow.
    let padding = reader.remainder()?;
    if padding.len() > usize::from(u8::MAX) || padding.iter().zip(1..=u8::MAX).any(|(byte, i)| *byte != i) {
        return Err(Malformed::Padding.into());
    }
    match held {
        Held::Key(key) if key.public_key().blob() == public => {
            Ok(Parsed::Key(PrivateKeyFile { key, comment }))
        }
        Held::Handle(key) if key.blob() == public => Ok(Parsed::InToken(key)),
        _ => Err(Malformed::PublicKey.into()),
    }
}

/// What the fields after the type's name are.
enum Held {
    Key(PrivateKey),
    /// A key in a token: its public half stands in clear.
    Handle(PublicKey),
}

/// The fields after the type's name: one arm a type. What they say of the public half is compared with the blob outside by
/// the caller, through the private half that makes it.
fn parse_private_fields(key_type: &[u8], reader: &mut Reader<'_>) -> Result<Held, PrivateKeyError> {
    let curve = Curve::ALL.iter().copied().find(|curve| curve.algorithm_name().as_bytes() == key_type);
    match (line::name(key_type), curve) {
        (Some(ed25519::NAME), _) => parse_ed25519(reader).map(Held::Key),
        (_, Some(curve)) => parse_ecdsa(curve, reader).map(Held::Key),
        (Some(rsa::KEY_TYPE), _) => parse_rsa(reader).map(Held::Key),
        // `string public`, or `string curve, string Q`; then `string application`.
        (Some(sk::ED25519_NAME), _) => parse_handle(key_type, 2, reader).map(Held::Handle),
        (Some(sk::ECDSA_NAME), _) => parse_handle(key_type, 3, reader).map(Held::Handle),
        (Some(name), _) => Err(PrivateKeyError::UnknownType(name.to_owned())),
        (None, _) => Err(Malformed::KeyFields.into()),
    }
}

/// The public fields, of which there are `count`, then `byte flags, string key_handle, string reserved`.
fn parse_handle(
    key_type: &[u8],
    count: usize,
    reader: &mut Reader<'_>,
) -> Result<PublicKey, PrivateKeyError> {
    let fields = reader.rest();
    for _ in 0..count {
        reader.string()?;
    }
    let (public_fields, _) = fields.split_at(fields.len() - reader.rest().len());
    let (_flags, _key_handle, _reserved) = (reader.byte()?, reader.string()?, reader.string()?);
    let mut blob = Vec::new();
    let mut writer = Writer::new(&mut blob);
    writer.string(key_type);
    writer.bytes(public_fields);
    Ok(PublicKey::from_blob(&blob)?)
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

#[cfg(test)]
mod tests;
