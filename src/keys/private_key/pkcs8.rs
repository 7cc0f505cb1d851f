//! PKCS#8: PRIVATE KEY and ENCRYPTED PRIVATE KEY (RFC 5958) with RSA, EC on a named curve, and Ed25519 (RFC 8410); encrypted by
//! PBES2 (RFC 8018 §6.2) with PBKDF2 or scrypt (RFC 7914 §7) and AES in CBC mode.
//!
//! PBES1 and 3DES are named and refused. Nothing is written in this format.

use super::der::{self, Der};
use super::error::{Malformed, PrivateKeyError};
use super::{Parsed, pem};
use crate::crypto::file_cipher::FileCipher;
use crate::crypto::passphrase::PassphraseKdf;
use crate::crypto::sign::{PrivateKey, PublicKey};
use crate::crypto::{Hash, Secret};

pub(super) const LABEL: &[u8] = b"PRIVATE KEY";
pub(super) const ENCRYPTED_LABEL: &[u8] = b"ENCRYPTED PRIVATE KEY";

/// 1.2.840.113549.1.1.1 (RFC 8017 §A.1).
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
/// 1.2.840.10045.2.1 (RFC 5480 §2.1.1).
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
/// 1.3.101.112 (RFC 8410 §3).
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
/// 1.2.840.113549.1.5.13 and .12 (RFC 8018 §A).
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 13];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 12];
/// 1.3.6.1.4.1.11591.4.11 (RFC 7914 §7).
const SCRYPT: &[u8] = &[0x2b, 6, 1, 4, 1, 0xda, 0x47, 4, 11];

/// `PrivateKeyInfo`, which RFC 5958 calls `OneAsymmetricKey`.
pub(super) fn parse(bytes: &[u8]) -> Result<PrivateKey, PrivateKeyError> {
    let mut der = Der::whole_sequence(bytes)?;
    let version = der.number()?;
    let mut algorithm = der.sequence()?;
    let private = der.value(der::OCTET_STRING)?;
    let _attributes = der.optional(der::constructed(0))?;
    let public = der.optional(der::context(1))?.map(Der::bits).transpose()?;
    der.finish()?;
    if version > 1 || (version == 0 && public.is_some()) {
        return Err(Malformed::KeyFields.into());
    }
    let key = match algorithm.value(der::OID)? {
        RSA_ENCRYPTION => {
            no_parameters(algorithm)?;
            pem::parse_pkcs1(private)?
        }
        EC_PUBLIC_KEY => {
            let curve = pem::curve(algorithm.value(der::OID))?;
            algorithm.finish()?;
            pem::parse_sec1(private, Some(curve))?
        }
        ED25519 => {
            algorithm.finish()?;
            let seed: &[u8; 32] =
                Der::explicit(private, der::OCTET_STRING)?.try_into().map_err(|_| Malformed::KeyFields)?;
            PrivateKey::ed25519_from_seed(&Secret::new(*seed))
        }
        oid => return Err(PrivateKeyError::UnknownType(der::oid_text(oid))),
    };
    let agrees = match (public, key.public_key()) {
        (None, _) => true,
        (Some(public), PublicKey::Ed25519(key)) => key.as_bytes() == public,
        (Some(public), PublicKey::Ecdsa(key)) => key.as_bytes() == public,
        // Nobody writes it, and it would have to be compared.
        (Some(_), _) => false,
    };
    if agrees { Ok(key) } else { Err(Malformed::PublicKey.into()) }
}

/// `EncryptedPrivateKeyInfo`.
pub(super) fn parse_encrypted(bytes: &[u8]) -> Result<Parsed, PrivateKeyError> {
    let mut der = Der::whole_sequence(bytes)?;
    let mut algorithm = der.sequence()?;
    let encrypted = der.value(der::OCTET_STRING)?;
    der.finish()?;
    let oid = algorithm.value(der::OID)?;
    if oid != PBES2 {
        return Err(PrivateKeyError::UnknownKdf(der::oid_text(oid)));
    }
    let mut parameters = algorithm.sequence()?;
    algorithm.finish()?;
    let (mut kdf, mut scheme) = (parameters.sequence()?, parameters.sequence()?);
    parameters.finish()?;
    let cipher = match scheme.value(der::OID)? {
        [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 2] => FileCipher::Aes128Cbc,
        [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 22] => FileCipher::Aes192Cbc,
        [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 42] => FileCipher::Aes256Cbc,
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 3, 7] => {
            return Err(PrivateKeyError::UnknownCipher("3des-cbc".to_owned()));
        }
        oid => return Err(PrivateKeyError::UnknownCipher(der::oid_text(oid))),
    };
    let iv = scheme.value(der::OCTET_STRING)?.try_into().map_err(|_| Malformed::KeyDerivation)?;
    scheme.finish()?;
    let oid = kdf.value(der::OID)?;
    let parameters = kdf.sequence()?;
    kdf.finish()?;
    let kdf = match oid {
        PBKDF2 => pbkdf2(parameters, cipher)?,
        SCRYPT => scrypt(parameters, cipher)?,
        oid => return Err(PrivateKeyError::UnknownKdf(der::oid_text(oid))),
    };
    pem::Sealed::parsed(kdf, cipher, iv, encrypted, pem::Inside::Pkcs8)
}

/// `PBKDF2-params`.
fn pbkdf2(mut der: Der<'_>, cipher: FileCipher) -> Result<PassphraseKdf, PrivateKeyError> {
    let salt = der.value(der::OCTET_STRING)?;
    let iterations = u32::try_from(der.number()?).map_err(|_| PrivateKeyError::TooCostly)?;
    key_length(&mut der, cipher)?;
    let hash = if der.is_empty() {
        Hash::Sha1
    } else {
        let mut prf = der.sequence()?;
        let hash = match prf.value(der::OID)? {
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 7] => Hash::Sha1,
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 9] => Hash::Sha256,
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 10] => Hash::Sha384,
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 11] => Hash::Sha512,
            oid => return Err(PrivateKeyError::UnknownKdf(der::oid_text(oid))),
        };
        no_parameters(prf)?;
        hash
    };
    der.finish()?;
    Ok(PassphraseKdf::pbkdf2(hash, salt, iterations)?)
}

/// `scrypt-params`.
fn scrypt(mut der: Der<'_>, cipher: FileCipher) -> Result<PassphraseKdf, PrivateKeyError> {
    let salt = der.value(der::OCTET_STRING)?;
    let n = der.number()?;
    let mut small = || u32::try_from(der.number()?).map_err(|_| PrivateKeyError::TooCostly);
    let (r, p) = (small()?, small()?);
    key_length(&mut der, cipher)?;
    der.finish()?;
    Ok(PassphraseKdf::scrypt(salt, n, r, p)?)
}

/// `keyLength INTEGER OPTIONAL`: the cipher has but one.
fn key_length(der: &mut Der<'_>, cipher: FileCipher) -> Result<(), PrivateKeyError> {
    let mut ahead = der.clone();
    if let Ok(length) = ahead.number() {
        if usize::try_from(length) != Ok(cipher.key_len()) {
            return Err(Malformed::KeyDerivation.into());
        }
        *der = ahead;
    }
    Ok(())
}

/// NULL, or nothing: writers differ.
fn no_parameters(mut algorithm: Der<'_>) -> Result<(), Malformed> {
    match algorithm.optional(der::NULL)? {
        None | Some([]) => algorithm.finish(),
        Some(_) => Err(Malformed::Der),
    }
}

#[cfg(test)]
mod tests;
