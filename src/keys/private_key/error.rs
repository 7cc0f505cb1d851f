//! What can be wrong with a private key file, in words for the person who has it.

use core::fmt;

use super::PRIVATE_KEY_FILE_MAX;
use crate::crypto::passphrase::KdfError;
use crate::crypto::sign::KeyError;
use crate::keys::line::BadComment;
use crate::wire::DecodeError;

/// Why a file gives no key. Its text is safe to show, and says what helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrivateKeyError {
    /// The file is longer than [`PRIVATE_KEY_FILE_MAX`].
    TooLarge,
    /// The file is of no kind that is known here.
    NotAPrivateKey,
    /// The file is of another kind.
    Foreign(ForeignFormat),
    /// The key has a passphrase, and none was given.
    Encrypted,
    /// The key has another passphrase; or, without a sign of it in the file, what is encrypted is damaged.
    WrongPassphrase,
    /// The key is of a type that is not implemented.
    UnknownType(String),
    /// The key is encrypted with a cipher that is not implemented.
    UnknownCipher(String),
    /// The key is encrypted under a key derivation that is not implemented.
    UnknownKdf(String),
    /// The key derivation asks for more time or memory than [`passphrase`](crate::crypto::passphrase) gives.
    TooCostly,
    /// The key is of a size that is not taken.
    UnsupportedSize,
    /// The file only names a key that is in a hardware token.
    InToken,
    /// The file is of a format that is known, and damaged.
    Malformed(Malformed),
}

/// A file of another kind that people mistake for a private key that is read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignFormat {
    /// The public half of a key.
    PublicKey,
    /// PEM "DSA PRIVATE KEY".
    Dsa,
    /// The format of ssh.com.
    SshCom,
    /// PuTTY's own in its first version.
    OldPpk,
}

/// What is damaged in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The END line is missing, or something follows it.
    Armour,
    /// The text between BEGIN and END is not base64.
    Base64,
    /// The lines in front of the base64 are not those of the format.
    Headers,
    /// The contents do not begin with "openssh-key-v1".
    Magic,
    /// Cipher and key derivation do not fit together, or have impossible parameters.
    KeyDerivation,
    /// There is not exactly one key.
    KeyCount,
    /// The two check numbers differ.
    CheckNumbers,
    /// The MAC does not hold.
    Mac,
    /// The public keys in the file differ, or are not that of the private key.
    PublicKey,
    /// A field of the key has the wrong length or an impossible value.
    KeyFields,
    /// The padding is not 1, 2, 3 … up to the end of a block.
    Padding,
    /// The contents are not the DER of their format.
    Der,
    /// A field reaches beyond the end, or bytes are left.
    Fields(DecodeError),
}

/// Why no file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The comment.
    Comment(BadComment),
    /// The passphrase is empty, or the rounds are none or too many.
    Kdf(KdfError),
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

impl From<KdfError> for PrivateKeyError {
    fn from(error: KdfError) -> Self {
        match error {
            KdfError::TooCostly => Self::TooCostly,
            KdfError::BadParameters => Malformed::KeyDerivation.into(),
            KdfError::EmptyPassphrase => Self::WrongPassphrase,
        }
    }
}

impl From<BadComment> for WriteError {
    fn from(error: BadComment) -> Self {
        Self::Comment(error)
    }
}

impl From<KdfError> for WriteError {
    fn from(error: KdfError) -> Self {
        Self::Kdf(error)
    }
}

impl fmt::Display for PrivateKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "the file is longer than {PRIVATE_KEY_FILE_MAX} bytes"),
            Self::NotAPrivateKey => f.write_str("not a private key in a format that is known here"),
            Self::Foreign(format) => format.fmt(f),
            Self::Encrypted => f.write_str(
                "the key has a passphrase, which is not asked for here; `ssh-keygen -p -f FILE` can remove it from a copy",
            ),
            Self::WrongPassphrase => f.write_str("this is not the key's passphrase"),
            Self::UnknownType(key_type) => write!(f, "keys of type {key_type} are not supported"),
            Self::UnknownCipher(cipher) => {
                write!(f, "the key is encrypted with {cipher}, which is not supported; {REENCRYPT}")
            }
            Self::UnknownKdf(kdf) => {
                write!(f, "the key is encrypted under {kdf}, which is not supported; {REENCRYPT}")
            }
            Self::TooCostly => {
                write!(f, "the key derivation of the file asks for too much time or memory; {REENCRYPT}")
            }
            Self::UnsupportedSize => KeyError::UnsupportedSize.fmt(f),
            Self::InToken => f.write_str(
                "the key is in a hardware token, where only an agent can sign with it; `ssh-add FILE` gives it to one",
            ),
            Self::Malformed(malformed) => write!(f, "the key file is damaged: {malformed}"),
        }
    }
}

const REENCRYPT: &str = "`ssh-keygen -p -f FILE` can encrypt it anew";

/// What a file is that does not begin as one that is read here.
pub(super) fn foreign(file: &[u8]) -> PrivateKeyError {
    FOREIGN
        .iter()
        .find(|(begin, _)| file.starts_with(begin))
        .map_or(PrivateKeyError::NotAPrivateKey, |(_, format)| PrivateKeyError::Foreign(*format))
}

const FOREIGN: [(&[u8], ForeignFormat); 8] = [
    (b"-----BEGIN DSA PRIVATE KEY-----", ForeignFormat::Dsa),
    (b"-----BEGIN PUBLIC KEY-----", ForeignFormat::PublicKey),
    (b"-----BEGIN RSA PUBLIC KEY-----", ForeignFormat::PublicKey),
    (b"---- BEGIN SSH2 PUBLIC KEY ----", ForeignFormat::PublicKey),
    (b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----", ForeignFormat::SshCom),
    (b"ssh-", ForeignFormat::PublicKey),
    (b"sk-", ForeignFormat::PublicKey),
    (b"ecdsa-sha2-", ForeignFormat::PublicKey),
];

impl fmt::Display for ForeignFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PublicKey => "this is a public key; the private one is in the file without .pub",
            Self::Dsa => "DSA keys are not supported: too short, and nobody takes them any more",
            Self::SshCom => {
                "a private key in the format of ssh.com; `puttygen FILE -O private-openssh-new -o NEW` converts it"
            }
            Self::OldPpk => {
                "a PuTTY key of version 1; `puttygen FILE -O private-openssh-new -o NEW` converts it"
            }
        })
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Armour => "the END line is missing, or something follows it",
            Self::Base64 => "the text inside is not base64",
            Self::Headers => "its header lines are not those of the format",
            Self::Magic => "it does not begin with openssh-key-v1",
            Self::KeyDerivation => "its cipher and its key derivation do not fit together",
            Self::KeyCount => "it does not hold exactly one key",
            Self::CheckNumbers => "its check numbers differ",
            Self::Mac => "its MAC is wrong",
            Self::PublicKey => "its public and private key do not belong together",
            Self::KeyFields => "a field of the key has the wrong length or an impossible value",
            Self::Padding => "its padding is wrong",
            Self::Der => "its contents are not encoded in DER as they should",
            Self::Fields(error) => return error.fmt(f),
        })
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Comment(error) => error.fmt(f),
            Self::Kdf(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for PrivateKeyError {}

impl core::error::Error for WriteError {}
