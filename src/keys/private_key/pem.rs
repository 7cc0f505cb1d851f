//! PEM files as OpenSSL made them first: RSA PRIVATE KEY (PKCS#1: RFC 8017 §A.1.2) and EC PRIVATE KEY (SEC1: RFC 5915), plain
//! and encrypted by the lines Proc-Type and DEK-Info (RFC 1421 §4.6); and what encrypted PKCS#8 has in common with them.
//!
//! Encryption is CBC with nothing that authenticates: a passphrase is taken to be wrong where the padding is, or where no
//! DER comes out. Nothing is written in these formats.

use zeroize::Zeroizing;

use super::der::{self, Der};
use super::error::{Malformed, PrivateKeyError};
use super::{Encrypted, Parsed, PrivateKeyFile, armour, pkcs8, plain};
use crate::crypto::file_cipher::FileCipher;
use crate::crypto::passphrase::PassphraseKdf;
use crate::crypto::sign::ecdsa::Curve;
use crate::crypto::sign::{PrivateKey, PublicKey, rsa};
use crate::keys::line;

pub(super) const RSA_LABEL: &[u8] = b"RSA PRIVATE KEY";
pub(super) const EC_LABEL: &[u8] = b"EC PRIVATE KEY";
const EC_PARAMETERS_LABEL: &[u8] = b"EC PARAMETERS";

/// The structure around a key.
#[derive(Clone, Copy)]
pub(super) enum Inside {
    Pkcs1,
    Sec1,
    Pkcs8,
}

impl Inside {
    fn parse(self, der: &[u8]) -> Result<PrivateKey, PrivateKeyError> {
        match self {
            Self::Pkcs1 => parse_pkcs1(der),
            Self::Sec1 => parse_sec1(der, None),
            Self::Pkcs8 => pkcs8::parse(der),
        }
    }
}

/// Steps over the block of parameters that `openssl ecparam -genkey` puts in front of a key, which repeats them.
pub(super) fn without_parameters(file: &[u8]) -> &[u8] {
    match armour::block(file, EC_PARAMETERS_LABEL) {
        Some((_, after)) => after.trim_ascii_start(),
        None => file,
    }
}

/// Reads what is within the armour: header lines if it is encrypted, and base64.
pub(super) fn parse(text: &[u8], inside: Inside) -> Result<Parsed, PrivateKeyError> {
    let text = text.trim_ascii_start();
    let Some(headers) = text.strip_prefix(b"Proc-Type: 4,ENCRYPTED") else {
        return inside.parse(&armour::decode(text)?).map(plain);
    };
    let headers = next_line(headers).filter(|(end, _)| end.is_empty()).ok_or(Malformed::Headers)?.1;
    let (dek_info, rest) = next_line(headers).ok_or(Malformed::Headers)?;
    let (empty, base64) = next_line(rest).ok_or(Malformed::Headers)?;
    let dek_info = dek_info.strip_prefix(b"DEK-Info: ").ok_or(Malformed::Headers)?;
    let comma = dek_info.iter().position(|byte| *byte == b',').ok_or(Malformed::Headers)?;
    let (name, iv) = dek_info.split_at(comma);
    let cipher = match name {
        b"AES-128-CBC" => FileCipher::Aes128Cbc,
        b"AES-192-CBC" => FileCipher::Aes192Cbc,
        b"AES-256-CBC" => FileCipher::Aes256Cbc,
        _ => {
            let name = line::name(name).ok_or(Malformed::Headers)?;
            return Err(PrivateKeyError::UnknownCipher(name.to_owned()));
        }
    };
    let iv = iv.strip_prefix(b",").and_then(hex::<16>).ok_or(Malformed::Headers)?;
    let (salt, _) = iv.split_first_chunk().ok_or(Malformed::Headers)?;
    if !empty.is_empty() {
        return Err(Malformed::Headers.into());
    }
    Sealed::parsed(PassphraseKdf::md5(*salt), cipher, iv, &armour::decode(base64)?, inside)
}

/// A line without its end, and what follows.
pub(super) fn next_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (line, rest) = text.split_at_checked(text.iter().position(|byte| *byte == b'\n')?)?;
    Some((line.strip_suffix(b"\r").unwrap_or(line), rest.strip_prefix(b"\n")?))
}

/// Exactly `N` bytes in hexadecimal.
pub(super) fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// A key encrypted with AES in CBC mode.
pub(super) struct Sealed {
    kdf: PassphraseKdf,
    cipher: FileCipher,
    iv: [u8; 16],
    bytes: Vec<u8>,
    inside: Inside,
}

impl Sealed {
    pub(super) fn parsed(
        kdf: PassphraseKdf,
        cipher: FileCipher,
        iv: [u8; 16],
        bytes: &[u8],
        inside: Inside,
    ) -> Result<Parsed, PrivateKeyError> {
        if bytes.is_empty() || !bytes.len().is_multiple_of(cipher.block_len()) {
            return Err(Malformed::Padding.into());
        }
        let sealed = super::Sealed::Pem(Self { kdf, cipher, iv, bytes: bytes.to_vec(), inside });
        Ok(Parsed::Encrypted(Box::new(Encrypted { public_key: None, sealed })))
    }

    pub(super) fn open(&self, passphrase: &[u8]) -> Result<PrivateKeyFile, PrivateKeyError> {
        let mut key = Zeroizing::new(vec![0; self.cipher.key_len()]);
        self.kdf.derive(passphrase, &mut key)?;
        let mut bytes = Zeroizing::new(self.bytes.clone());
        self.cipher.decrypt(&key, &self.iv, &mut bytes, &[]).map_err(|_| PrivateKeyError::WrongPassphrase)?;
        // RFC 8018 §6.1.1: as many bytes as each of them says.
        let der = bytes
            .last()
            .filter(|last| (1..=16).contains(*last))
            .and_then(|last| bytes.split_at_checked(bytes.len().checked_sub(usize::from(*last))?))
            .and_then(|(der, padding)| {
                padding.iter().all(|b| usize::from(*b) == padding.len()).then_some(der)
            })
            .ok_or(PrivateKeyError::WrongPassphrase)?;
        Der::whole_sequence(der).map_err(|_| PrivateKeyError::WrongPassphrase)?;
        Ok(PrivateKeyFile { key: self.inside.parse(der)?, comment: String::new() })
    }
}

/// `RSAPrivateKey`. dP and dQ are passed over: they follow from d, and are made anew.
pub(super) fn parse_pkcs1(bytes: &[u8]) -> Result<PrivateKey, PrivateKeyError> {
    let mut der = Der::whole_sequence(bytes)?;
    // Version 1 has more than two primes.
    if der.number()? != 0 {
        return Err(PrivateKeyError::UnknownType("multi-prime-rsa".to_owned()));
    }
    let (n, e, d) = (der.unsigned()?, der.unsigned()?, der.unsigned()?);
    let (p, q, _dp, _dq) = (der.unsigned()?, der.unsigned()?, der.unsigned()?, der.unsigned()?);
    let iqmp = der.unsigned()?;
    der.finish()?;
    Ok(PrivateKey::rsa_from_components(&rsa::Components { n, e, d, iqmp, p, q })?)
}

/// `ECPrivateKey`: the curve is named here, or outside, or both and then the same.
pub(super) fn parse_sec1(bytes: &[u8], outside: Option<Curve>) -> Result<PrivateKey, PrivateKeyError> {
    let mut der = Der::whole_sequence(bytes)?;
    if der.number()? != 1 {
        return Err(Malformed::KeyFields.into());
    }
    let d = der.value(der::OCTET_STRING)?;
    let parameters = der.optional(der::constructed(0))?;
    let public = der.optional(der::constructed(1))?;
    der.finish()?;
    let named = parameters.map(|contents| curve(Der::explicit(contents, der::OID))).transpose()?;
    let curve = match (named, outside) {
        (Some(named), Some(outside)) if named != outside => return Err(Malformed::KeyFields.into()),
        (Some(curve), _) | (None, Some(curve)) => curve,
        (None, None) => return Err(Malformed::KeyFields.into()),
    };
    let key = PrivateKey::ecdsa_from_scalar(curve, d)?;
    if let Some(contents) = public {
        let point = Der::bits(Der::explicit(contents, der::BIT_STRING)?)?;
        if !matches!(key.public_key(), PublicKey::Ecdsa(q) if q.as_bytes() == point) {
            return Err(Malformed::PublicKey.into());
        }
    }
    Ok(key)
}

/// The curve of an identifier (RFC 5480 §2.1.1.1). What is no identifier describes a curve of its own.
pub(super) fn curve(oid: Result<&[u8], Malformed>) -> Result<Curve, PrivateKeyError> {
    match oid.map_err(|_| PrivateKeyError::UnknownType("ec-without-named-curve".to_owned()))? {
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7] => Ok(Curve::Nistp256),
        [0x2b, 0x81, 4, 0, 34] => Ok(Curve::Nistp384),
        [0x2b, 0x81, 4, 0, 35] => Ok(Curve::Nistp521),
        oid => Err(PrivateKeyError::UnknownType(der::oid_text(oid))),
    }
}
