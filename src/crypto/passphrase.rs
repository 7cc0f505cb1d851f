//! Keys from passphrases, for files: bcrypt_pbkdf (OpenSSH's PROTOCOL.key), PBKDF2 (RFC 8018 §5.2), scrypt (RFC 7914), Argon2
//! (RFC 9106) and the MD5 derivation of OpenSSL's old PEM files.
//!
//! How much a derivation costs stands in the file, so a stranger may have chosen it: a [`PassphraseKdf`] exists only within
//! bounds of time and memory, and nobody need be asked for a passphrase where there is none. It does not know which file the
//! parameters are from, nor what the key is for.

use core::fmt;

use argon2::{Argon2, Block, Version};
use md5::{Digest as _, Md5};
use zeroize::{Zeroize, Zeroizing};

use super::Hash;

/// The most rounds of bcrypt_pbkdf, as in Go: some 20 s. ssh-keygen takes 24, and 16 before OpenSSH 9.8.
pub const BCRYPT_ROUNDS_MAX: u32 = bound(2048);

/// The most iterations of PBKDF2: some 5 s.
pub const PBKDF2_ITERATIONS_MAX: u32 = bound(10_000_000);

/// The most memory of scrypt and Argon2, in KiB.
pub const MEMORY_KIB_MAX: u32 = bound(256 * 1024);

/// The most memory times passes of Argon2, and times p of scrypt, in KiB: some 5 s.
pub const WORK_KIB_MAX: u32 = bound(4 * 1024 * 1024);

/// A fuzzer tries thousands of files a second.
const fn bound(max: u32) -> u32 {
    if cfg!(fuzzing) { max >> 10 } else { max }
}

/// The kinds of Argon2.
pub use argon2::Algorithm as Argon2Kind;

/// A derivation with its parameters, all of them within their bounds.
#[derive(Debug)]
pub struct PassphraseKdf(Parameters);

#[derive(Debug)]
enum Parameters {
    Bcrypt { salt: Box<[u8]>, rounds: u32 },
    Pbkdf2 { hash: Hash, salt: Box<[u8]>, iterations: u32 },
    Scrypt { salt: Box<[u8]>, params: scrypt::Params },
    Argon2 { kind: Argon2Kind, salt: Box<[u8]>, params: argon2::Params },
    Md5 { salt: [u8; 8] },
}

impl PassphraseKdf {
    /// bcrypt_pbkdf, of at least one round and with a salt.
    pub fn bcrypt(salt: &[u8], rounds: u32) -> Result<Self, KdfError> {
        if rounds > BCRYPT_ROUNDS_MAX {
            return Err(KdfError::TooCostly);
        }
        if rounds == 0 || salt.is_empty() {
            return Err(KdfError::BadParameters);
        }
        Ok(Self(Parameters::Bcrypt { salt: salt.into(), rounds }))
    }

    /// PBKDF2 with HMAC and this hash, of at least one iteration.
    pub fn pbkdf2(hash: Hash, salt: &[u8], iterations: u32) -> Result<Self, KdfError> {
        match iterations {
            0 => Err(KdfError::BadParameters),
            1..=PBKDF2_ITERATIONS_MAX => Ok(Self(Parameters::Pbkdf2 { hash, salt: salt.into(), iterations })),
            _ => Err(KdfError::TooCostly),
        }
    }

    /// scrypt; `n` is a power of two above 1.
    pub fn scrypt(salt: &[u8], n: u64, r: u32, p: u32) -> Result<Self, KdfError> {
        if n < 2 || !n.is_power_of_two() || r == 0 || p == 0 {
            return Err(KdfError::BadParameters);
        }
        // 128 · N · r bytes; 128 · r for each of p beside them.
        let memory = u128::from(n) * u128::from(r) / 8;
        let work = memory * u128::from(p);
        let beside = u128::from(r) * u128::from(p) / 8;
        let memory_max = u128::from(MEMORY_KIB_MAX);
        if memory > memory_max || beside > memory_max || work > u128::from(WORK_KIB_MAX) {
            return Err(KdfError::TooCostly);
        }
        let log_n = u8::try_from(n.ilog2()).map_err(|_| KdfError::BadParameters)?;
        let params = scrypt::Params::new(log_n, r, p).map_err(|_| KdfError::BadParameters)?;
        Ok(Self(Parameters::Scrypt { salt: salt.into(), params }))
    }

    /// Argon2 version 1.3; `memory` is in KiB.
    pub fn argon2(
        kind: Argon2Kind,
        salt: &[u8],
        memory: u32,
        passes: u32,
        parallelism: u32,
    ) -> Result<Self, KdfError> {
        if memory > MEMORY_KIB_MAX || u64::from(memory) * u64::from(passes) > WORK_KIB_MAX.into() {
            return Err(KdfError::TooCostly);
        }
        if parallelism > memory / 8 || salt.len() < argon2::MIN_SALT_LEN {
            return Err(KdfError::BadParameters);
        }
        let params = argon2::Params::new(memory, passes, parallelism, None);
        let params = params.map_err(|_| KdfError::BadParameters)?;
        Ok(Self(Parameters::Argon2 { kind, salt: salt.into(), params }))
    }

    /// OpenSSL's EVP_BytesToKey with MD5 and one iteration. Hardly a derivation: whoever has the file may try billions of
    /// passphrases a second.
    #[must_use]
    pub const fn md5(salt: [u8; 8]) -> Self {
        Self(Parameters::Md5 { salt })
    }

    /// Fills `out`, which is 1 to 1024 bytes long (Argon2: at least 4). This takes as long as the parameters say.
    pub fn derive(&self, passphrase: &[u8], out: &mut [u8]) -> Result<(), KdfError> {
        match &self.0 {
            Parameters::Bcrypt { .. } if passphrase.is_empty() => Err(KdfError::EmptyPassphrase),
            Parameters::Bcrypt { salt, rounds } => {
                let mut memory = Zeroizing::new(vec![0; out.len().next_multiple_of(32)]);
                bcrypt_pbkdf::bcrypt_pbkdf_with_memory(passphrase, salt, *rounds, out, &mut memory)
                    .map_err(|_| KdfError::BadParameters)
            }
            Parameters::Pbkdf2 { hash, salt, iterations } => {
                let derive = match hash {
                    Hash::Sha1 => pbkdf2::pbkdf2_hmac::<sha1::Sha1>,
                    Hash::Sha256 => pbkdf2::pbkdf2_hmac::<sha2::Sha256>,
                    Hash::Sha384 => pbkdf2::pbkdf2_hmac::<sha2::Sha384>,
                    Hash::Sha512 => pbkdf2::pbkdf2_hmac::<sha2::Sha512>,
                };
                derive(passphrase, salt, *iterations, out);
                Ok(())
            }
            Parameters::Scrypt { salt, params } => {
                scrypt::scrypt(passphrase, salt, params, out).map_err(|_| KdfError::BadParameters)
            }
            Parameters::Argon2 { kind, salt, params } => {
                let mut memory = Blocks(Vec::new());
                memory.0.try_reserve_exact(params.block_count()).map_err(|_| KdfError::TooCostly)?;
                memory.0.resize(params.block_count(), Block::default());
                Argon2::new(*kind, Version::V0x13, params.clone())
                    .hash_password_into_with_memory(passphrase, salt, out, &mut memory.0)
                    .map_err(|_| KdfError::BadParameters)
            }
            Parameters::Md5 { salt } => {
                let mut last = Zeroizing::new([0; 16]);
                for (i, part) in out.chunks_mut(last.len()).enumerate() {
                    let before: &[u8] = if i == 0 { &[] } else { &*last };
                    let digest = Md5::new().chain_update(before).chain_update(passphrase).chain_update(salt);
                    *last = digest.finalize().0;
                    part.iter_mut().zip(last.iter()).for_each(|(to, from)| *to = *from);
                }
                Ok(())
            }
        }
    }
}

/// Argon2's memory, wiped.
struct Blocks(Vec<Block>);

impl Drop for Blocks {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(Zeroize::zeroize);
    }
}

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KdfError {
    /// The parameters ask for more time or memory than anybody spends here.
    TooCostly,
    /// The parameters are none.
    BadParameters,
    /// bcrypt_pbkdf takes no empty passphrase.
    EmptyPassphrase,
}

impl fmt::Display for KdfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooCostly => "the key derivation asks for too much time or memory",
            Self::BadParameters => "the key derivation has impossible parameters",
            Self::EmptyPassphrase => "the passphrase is empty",
        })
    }
}

impl core::error::Error for KdfError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn derive(kdf: &PassphraseKdf, passphrase: &[u8], expected: &str) {
        let mut out = vec![0; expected.len() / 2];
        kdf.derive(passphrase, &mut out).unwrap();
        assert_eq!(out.iter().map(|b| format!("{b:02x}")).collect::<String>(), expected);
    }

    #[test]
    fn published_keys_are_derived() {
        // RFC 6070 §2, the second.
        derive(
            &PassphraseKdf::pbkdf2(Hash::Sha1, b"salt", 2).unwrap(),
            b"password",
            "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957",
        );
        // RFC 7914 §11.
        derive(
            &PassphraseKdf::pbkdf2(Hash::Sha256, b"salt", 1).unwrap(),
            b"passwd",
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783",
        );
        // RFC 7914 §12.
        derive(
            &PassphraseKdf::scrypt(b"NaCl", 1024, 8, 16).unwrap(),
            b"password",
            "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640",
        );
    }

    #[test]
    fn t89_what_costs_too_much_is_refused_before_any_work() {
        let too_costly = |kdf: Result<PassphraseKdf, KdfError>| kdf.err() == Some(KdfError::TooCostly);
        assert!(PassphraseKdf::bcrypt(b"s", BCRYPT_ROUNDS_MAX).is_ok());
        for rounds in [BCRYPT_ROUNDS_MAX + 1, 1_000_000_000, u32::MAX] {
            assert!(too_costly(PassphraseKdf::bcrypt(b"s", rounds)), "{rounds}");
        }
        assert!(PassphraseKdf::pbkdf2(Hash::Sha1, b"", PBKDF2_ITERATIONS_MAX).is_ok());
        for iterations in [PBKDF2_ITERATIONS_MAX + 1, u32::MAX] {
            assert!(too_costly(PassphraseKdf::pbkdf2(Hash::Sha1, b"", iterations)), "{iterations}");
        }
        assert!(PassphraseKdf::scrypt(b"", 1 << 18, 8, 16).is_ok());
        for (n, r, p) in [
            (1 << 18, 8, 17),
            (1 << 19, 8, 1),
            (1 << 63, 1, 1),
            (2, u32::MAX, 1),
            (2, 1, u32::MAX),
            (2, 1 << 16, 1 << 16),
            (1 << 63, u32::MAX, u32::MAX),
        ] {
            assert!(too_costly(PassphraseKdf::scrypt(b"", n, r, p)), "{n} {r} {p}");
        }
        let argon2 = |memory, passes, lanes| {
            PassphraseKdf::argon2(Argon2Kind::Argon2id, b"salt of 16 bytes", memory, passes, lanes)
        };
        assert!(argon2(1 << 18, 16, 1).is_ok());
        for (memory, passes) in
            [(1 << 18, 17), ((1 << 18) + 1, 1), (u32::MAX, u32::MAX), (8, u32::MAX), (u32::MAX, 1)]
        {
            assert!(too_costly(argon2(memory, passes, 1)), "{memory} {passes}");
        }
    }

    #[test]
    fn t89_impossible_parameters_are_errors() {
        let bad = |kdf: Result<PassphraseKdf, KdfError>| kdf.err() == Some(KdfError::BadParameters);
        assert!(bad(PassphraseKdf::bcrypt(b"", 1)) && bad(PassphraseKdf::bcrypt(b"s", 0)));
        assert!(bad(PassphraseKdf::pbkdf2(Hash::Sha1, b"s", 0)));
        for (n, r, p) in [(0, 1, 1), (1, 1, 1), (3, 1, 1), (2, 0, 1), (2, 1, 0)] {
            assert!(bad(PassphraseKdf::scrypt(b"", n, r, p)), "{n} {r} {p}");
        }
        let salt = b"salt of 16 bytes".as_slice();
        for (salt, memory, passes, lanes) in [
            (salt, 0, 1, 1),
            (salt, 7, 1, 1),
            (salt, 8, 0, 1),
            (salt, 8, 1, 0),
            (salt, 15, 1, 2),
            (salt, 8, 1, u32::MAX),
            (b"short".as_slice(), 8, 1, 1),
        ] {
            let kdf = PassphraseKdf::argon2(Argon2Kind::Argon2i, salt, memory, passes, lanes);
            assert!(bad(kdf), "{memory} {passes} {lanes}");
        }
        let kdf = PassphraseKdf::bcrypt(b"s", 1).unwrap();
        assert_eq!(kdf.derive(b"", &mut [0; 4]), Err(KdfError::EmptyPassphrase));
    }
}
