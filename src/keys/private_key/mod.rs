//! Private key files: openssh-key-v1 (OpenSSH's PROTOCOL.key), PEM files of PKCS#1 (RFC 8017), SEC1 (RFC 5915) and PKCS#8
//! (RFC 5958, RFC 8410), and PuTTY's ppk 2 and 3, plain and encrypted.
//!
//! [`parse`] says what a file is: a key, a key behind a passphrase, or the name of one that is in a token. Whatever the
//! format, every copy of the public key that a file has must agree with the private key, nothing may be left over, and no
//! length, size or cost is taken on trust; what is decoded is wiped. Only openssh-key-v1 is written. This layer does not know
//! where the bytes are kept, nor whether others may read them, and asks nobody for a passphrase.

mod armour;
mod der;
mod error;
mod openssh;
mod pem;
mod pkcs8;
mod ppk;

use core::fmt;

pub use self::error::{ForeignFormat, Malformed, PrivateKeyError, WriteError};
pub use self::openssh::{BCRYPT_ROUNDS, write, write_encrypted};
use crate::crypto::sign::{PrivateKey, PublicKey};
use crate::crypto::then_wipe_stack;

/// The longest file that is read, in bytes; one of RSA with 16384 bits needs 13 KiB.
pub const PRIVATE_KEY_FILE_MAX: usize = 64 * 1024;

/// A private key and what was written beside it.
#[derive(Debug)]
pub struct PrivateKeyFile {
    /// The key.
    pub key: PrivateKey,
    /// The comment, for people; bytes that are not UTF-8 are replaced. It may hold control characters. PEM has none.
    pub comment: String,
}

/// What a file holds.
#[derive(Debug)]
pub enum Parsed {
    /// A key without a passphrase.
    Key(PrivateKeyFile),
    /// A key with a passphrase.
    Encrypted(Box<Encrypted>),
    /// The handle of a key in a token, and its public half: only an agent can sign with it. Where the handle is encrypted it
    /// was not looked at.
    InToken(PublicKey),
}

impl Parsed {
    /// The key, if nothing more is needed for it.
    pub fn plain(self) -> Result<PrivateKeyFile, PrivateKeyError> {
        match self {
            Self::Key(file) => Ok(file),
            Self::Encrypted(_) => Err(PrivateKeyError::Encrypted),
            Self::InToken(_) => Err(PrivateKeyError::InToken),
        }
    }

    /// The public half. `None` if only the passphrase opens it; for all else it is not yet proved that the private half
    /// belongs to it.
    #[must_use]
    pub fn public_key(&self) -> Option<PublicKey> {
        match self {
            Self::Key(file) => Some(file.key.public_key()),
            Self::Encrypted(encrypted) => encrypted.public_key().cloned(),
            Self::InToken(public_key) => Some(public_key.clone()),
        }
    }
}

/// A file whose key is encrypted. Its key derivation is known and within bounds, and so is its cipher.
pub struct Encrypted {
    public_key: Option<PublicKey>,
    sealed: Sealed,
}

enum Sealed {
    OpenSsh(openssh::Sealed),
    Pem(pem::Sealed),
    Ppk(Box<ppk::Sealed>),
}

impl Encrypted {
    /// The public half as the file names it in clear: `None` for PEM.
    #[must_use]
    pub const fn public_key(&self) -> Option<&PublicKey> {
        self.public_key.as_ref()
    }

    /// Decrypts the key. [`PrivateKeyError::WrongPassphrase`] if another passphrase may help, any other error if none will. It
    /// takes the time that the file asks for.
    pub fn decrypt(&self, passphrase: &[u8]) -> Result<PrivateKeyFile, PrivateKeyError> {
        then_wipe_stack(|| match &self.sealed {
            Sealed::OpenSsh(sealed) => sealed.open(passphrase),
            Sealed::Pem(sealed) => sealed.open(passphrase),
            Sealed::Ppk(sealed) => sealed.open(passphrase),
        })
    }
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encrypted").field("public_key", &self.public_key).finish_non_exhaustive()
    }
}

/// Reads a file of any format.
pub fn parse(file: &[u8]) -> Result<Parsed, PrivateKeyError> {
    then_wipe_stack(|| read(file))
}

fn read(file: &[u8]) -> Result<Parsed, PrivateKeyError> {
    if file.len() > PRIVATE_KEY_FILE_MAX {
        return Err(PrivateKeyError::TooLarge);
    }
    if file.starts_with(ppk::MAGIC) {
        return ppk::parse(file);
    }
    let file = pem::without_parameters(file);
    let Some(label) = armour::label(file) else { return Err(error::foreign(file)) };
    let text = armour::inside(file, label);
    match label {
        openssh::LABEL => openssh::parse(&armour::decode(text?)?),
        pem::RSA_LABEL => pem::parse(text?, pem::Inside::Pkcs1),
        pem::EC_LABEL => pem::parse(text?, pem::Inside::Sec1),
        pkcs8::LABEL => pkcs8::parse(&armour::decode(text?)?).map(plain),
        pkcs8::ENCRYPTED_LABEL => pkcs8::parse_encrypted(&armour::decode(text?)?),
        _ => Err(error::foreign(file)),
    }
}

/// A key of a format that has no comments.
const fn plain(key: PrivateKey) -> Parsed {
    Parsed::Key(PrivateKeyFile { key, comment: String::new() })
}
