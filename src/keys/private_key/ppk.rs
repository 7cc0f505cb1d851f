//! PuTTY's key files, versions 2 and 3 (PuTTY's manual, appendix C).
//!
//! Lines of `Name: value` in a fixed order, two of them followed by base64, and a MAC over everything that means something.
//! In version 3 a passphrase goes through Argon2, in version 2 through SHA-1 alone. The MAC is checked before a field of the
//! private key is looked at. Nothing is written in this format.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use super::error::{ForeignFormat, Malformed, PrivateKeyError};
use super::{Encrypted, Parsed, PrivateKeyFile, armour};
use crate::crypto::file_cipher::FileCipher;
use crate::crypto::passphrase::{Argon2Kind, PassphraseKdf};
use crate::crypto::sign::{KeyError, PrivateKey, PublicKey, rsa};
use crate::crypto::{Hash, Secret};
use crate::keys::line;
use crate::wire::{Reader, Writer};

pub(super) const MAGIC: &[u8] = b"PuTTY-User-Key-File-";

/// The cipher of both versions.
const CIPHER: FileCipher = FileCipher::Aes256Cbc;
const CIPHER_NAME: &[u8] = b"aes256-cbc";
const KEY_LEN: usize = CIPHER.key_len();
const MAC_KEY_LEN: usize = 32;

/// The most lines of base64 in a part: a file has no more.
const LINES_MAX: u32 = 2048;

/// A file, read but not yet trusted.
pub(super) struct Sealed {
    version: Version,
    algorithm: Vec<u8>,
    encryption: Vec<u8>,
    comment: Vec<u8>,
    public: Vec<u8>,
    public_key: PublicKey,
    /// Encrypted, or not if there is no passphrase.
    private: Zeroizing<Vec<u8>>,
    mac: Vec<u8>,
}

enum Version {
    /// HMAC-SHA-1.
    V2,
    /// HMAC-SHA-256, and a key derivation if there is a passphrase.
    V3(Option<PassphraseKdf>),
}

pub(super) fn parse(file: &[u8]) -> Result<Parsed, PrivateKeyError> {
    let mut lines = Lines(file);
    let version = file.strip_prefix(MAGIC).and_then(<[u8]>::first);
    let (name, algorithm) = lines.pair()?;
    match (version, name) {
        (Some(b'1'), _) => return Err(PrivateKeyError::Foreign(ForeignFormat::OldPpk)),
        (Some(b'2'), b"PuTTY-User-Key-File-2") | (Some(b'3'), b"PuTTY-User-Key-File-3") => {}
        _ => return Err(Malformed::Headers.into()),
    }
    let encryption = lines.value(b"Encryption")?;
    let encrypted = match encryption {
        b"none" => false,
        CIPHER_NAME => true,
        other => {
            let name = line::name(other).ok_or(Malformed::Headers)?;
            return Err(PrivateKeyError::UnknownCipher(name.to_owned()));
        }
    };
    let comment = lines.value(b"Comment")?;
    let public = lines.base64(b"Public-Lines")?;
    let version = match version {
        Some(b'2') => Version::V2,
        _ => Version::V3(encrypted.then(|| lines.argon2()).transpose()?),
    };
    let private = lines.base64(b"Private-Lines")?;
    let mac = match version {
        Version::V2 => lines.hex(b"Private-MAC", Hash::Sha1.digest_len())?,
        Version::V3(_) => lines.hex(b"Private-MAC", Hash::Sha256.digest_len())?,
    };
    if !lines.0.iter().all(u8::is_ascii_whitespace) {
        return Err(Malformed::Headers.into());
    }
    if encrypted && (private.is_empty() || !private.len().is_multiple_of(CIPHER.block_len())) {
        return Err(Malformed::Padding.into());
    }
    let sealed = Sealed {
        version,
        algorithm: algorithm.to_vec(),
        encryption: encryption.to_vec(),
        comment: comment.to_vec(),
        public_key: public_key(algorithm, &public)?,
        public: public.to_vec(),
        private,
        mac,
    };
    if encrypted {
        let public_key = Some(sealed.public_key.clone());
        let sealed = super::Sealed::Ppk(Box::new(sealed));
        return Ok(Parsed::Encrypted(Box::new(Encrypted { public_key, sealed })));
    }
    sealed.authenticate(&[], &sealed.private).map_err(|Wrong| Malformed::Mac)?;
    sealed.key(&sealed.private).map(Parsed::Key)
}

/// The public key, whose type the first line must name too.
fn public_key(algorithm: &[u8], blob: &[u8]) -> Result<PublicKey, PrivateKeyError> {
    if Reader::new(blob).string()? != algorithm {
        return Err(Malformed::PublicKey.into());
    }
    match PublicKey::from_blob(blob) {
        Ok(PublicKey::Sk(_)) | Err(KeyError::UnknownType) => {
            let name = line::name(algorithm).ok_or(Malformed::KeyFields)?;
            Err(PrivateKeyError::UnknownType(name.to_owned()))
        }
        key => Ok(key?),
    }
}

/// A MAC that does not hold.
struct Wrong;

impl Sealed {
    pub(super) fn open(&self, passphrase: &[u8]) -> Result<PrivateKeyFile, PrivateKeyError> {
        // Cipher key, IV, MAC key.
        let mut keys = Zeroizing::new([0; KEY_LEN + CIPHER.iv_len() + MAC_KEY_LEN]);
        match &self.version {
            Version::V2 => {
                let (key, _) = keys.split_at_mut(KEY_LEN);
                for (part, counter) in key.chunks_mut(Hash::Sha1.digest_len()).zip(0_u32..) {
                    digest(&[&counter.to_be_bytes(), passphrase], part);
                }
            }
            Version::V3(kdf) => {
                kdf.as_ref().ok_or(Malformed::KeyDerivation)?.derive(passphrase, &mut *keys)?;
            }
        }
        let (key, rest) = keys.split_at(KEY_LEN);
        let (iv, mac_key) = rest.split_at(CIPHER.iv_len());
        let mut private = self.private.clone();
        CIPHER.decrypt(key, iv, &mut private, &[]).map_err(|_| Malformed::Padding)?;
        let mac_key = if matches!(self.version, Version::V2) { passphrase } else { mac_key };
        self.authenticate(mac_key, &private).map_err(|Wrong| PrivateKeyError::WrongPassphrase)?;
        self.key(&private)
    }

    /// Checks the MAC over all that counts. `secret` is the passphrase in version 2, the key of the MAC in version 3.
    fn authenticate(&self, secret: &[u8], private: &[u8]) -> Result<(), Wrong> {
        let fields = [&*self.algorithm, &*self.encryption, &*self.comment, &*self.public, private];
        let room = fields.iter().map(|field| 4 + field.len()).sum();
        let mut message = Zeroizing::new(Vec::with_capacity(room));
        let mut writer = Writer::new(&mut message);
        fields.iter().for_each(|field| writer.string(field));
        match self.version {
            Version::V2 => {
                let mut key = Zeroizing::new([0; 20]);
                digest(&[b"putty-private-key-file-mac-key", secret], &mut *key);
                let mac = Hmac::<Sha1>::new_from_slice(&*key).map_err(|_| Wrong)?.chain_update(&*message);
                mac.verify_slice(&self.mac).map_err(|_| Wrong)
            }
            Version::V3(_) => {
                let mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| Wrong)?.chain_update(&*message);
                mac.verify_slice(&self.mac).map_err(|_| Wrong)
            }
        }
    }

    /// The key of the decrypted part. What fills the last block is authentic, and of no meaning.
    fn key(&self, private: &[u8]) -> Result<PrivateKeyFile, PrivateKeyError> {
        let mut reader = Reader::new(private);
        let key = match &self.public_key {
            PublicKey::Ed25519(_) => {
                let seed: &[u8; 32] = reader.string()?.try_into().map_err(|_| Malformed::KeyFields)?;
                PrivateKey::ed25519_from_seed(&Secret::new(*seed))
            }
            PublicKey::Ecdsa(public) => {
                PrivateKey::ecdsa_from_scalar(public.curve(), reader.mpint()?.positive()?)?
            }
            PublicKey::Rsa(public) => {
                let mut number = || reader.mpint()?.positive();
                let (d, p, q, iqmp) = (number()?, number()?, number()?, number()?);
                let e = public.exponent().to_be_bytes();
                let e = e.split_at(e.iter().take_while(|octet| **octet == 0).count()).1;
                let components = rsa::Components { n: public.modulus(), e, d, iqmp, p, q };
                PrivateKey::rsa_from_components(&components)?
            }
            PublicKey::Sk(_) => return Err(Malformed::KeyFields.into()),
        };
        if key.public_key() != self.public_key {
            return Err(Malformed::PublicKey.into());
        }
        let block_len = if self.encryption == CIPHER_NAME { CIPHER.block_len() } else { 1 };
        if reader.rest().len() >= block_len {
            return Err(Malformed::Padding.into());
        }
        Ok(PrivateKeyFile { key, comment: String::from_utf8_lossy(&self.comment).into_owned() })
    }
}

/// SHA-1 of the parts, cut to the length of `out`.
fn digest(parts: &[&[u8]], out: &mut [u8]) {
    let mut state = Hash::Sha1.start();
    parts.iter().for_each(|part| state.update(part));
    let mut digest = state.finish();
    out.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
    digest.zeroize();
}

/// What is left of a file.
struct Lines<'a>(&'a [u8]);

impl<'a> Lines<'a> {
    fn next(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(self.0.len());
        let (line, rest) = self.0.split_at(end);
        let end = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n"));
        self.0 = end.or_else(|| rest.strip_prefix(b"\r")).unwrap_or_default();
        line
    }

    /// `Name: value`.
    fn pair(&mut self) -> Result<(&'a [u8], &'a [u8]), Malformed> {
        let line = self.next();
        let colon = line.windows(2).position(|two| two == b": ").ok_or(Malformed::Headers)?;
        let (name, value) = line.split_at(colon);
        Ok((name, value.strip_prefix(b": ").ok_or(Malformed::Headers)?))
    }

    fn value(&mut self, name: &[u8]) -> Result<&'a [u8], Malformed> {
        self.pair().and_then(|(found, value)| if found == name { Ok(value) } else { Err(Malformed::Headers) })
    }

    /// A decimal number.
    fn number(&mut self, name: &[u8]) -> Result<u32, Malformed> {
        let digits = self.value(name)?;
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(Malformed::Headers);
        }
        core::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).ok_or(Malformed::Headers)
    }

    /// A number of lines, and as many of base64.
    fn base64(&mut self, name: &[u8]) -> Result<Zeroizing<Vec<u8>>, Malformed> {
        let count = self.number(name)?;
        if count > LINES_MAX {
            return Err(Malformed::Headers);
        }
        let start = self.0;
        for _ in 0..count {
            self.next();
        }
        armour::decode(start.split_at(start.len() - self.0.len()).0)
    }

    fn hex(&mut self, name: &[u8], len: usize) -> Result<Vec<u8>, Malformed> {
        let bytes = hex(self.value(name)?).ok_or(Malformed::Headers)?;
        if bytes.len() == len { Ok(bytes) } else { Err(Malformed::Headers) }
    }

    fn argon2(&mut self) -> Result<PassphraseKdf, PrivateKeyError> {
        let kind = match self.value(b"Key-Derivation")? {
            b"Argon2id" => Argon2Kind::Argon2id,
            b"Argon2i" => Argon2Kind::Argon2i,
            b"Argon2d" => Argon2Kind::Argon2d,
            other => {
                let name = line::name(other).ok_or(Malformed::Headers)?;
                return Err(PrivateKeyError::UnknownKdf(name.to_owned()));
            }
        };
        let (memory, passes) = (self.number(b"Argon2-Memory")?, self.number(b"Argon2-Passes")?);
        let parallelism = self.number(b"Argon2-Parallelism")?;
        let salt = hex(self.value(b"Argon2-Salt")?).ok_or(Malformed::Headers)?;
        Ok(PassphraseKdf::argon2(kind, &salt, memory, passes, parallelism)?)
    }
}

/// Bytes in hexadecimal, an even number of digits.
fn hex(text: &[u8]) -> Option<Vec<u8>> {
    text.chunks(2).map(|pair| super::pem::hex::<1>(pair).map(|[byte]| byte)).collect()
}
