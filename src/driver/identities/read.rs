//! The files of keys and certificates, read as ssh reads them.
//!
//! What is missing or wrong is left out, with a word to the user unless it is only a default file that is not there. Nothing
//! is decrypted.

use super::super::files::{KeyFileError, read_key_file, read_public};
use super::super::options::{Options, home};
use super::{Entry, Held, KeyFiles, Notice, shown};
use crate::crypto::sign::PublicKey;
use crate::crypto::sign::certificate::{Certificate, PlainOrCertified};
use crate::keys::private_key::{ForeignFormat, Parsed, PrivateKeyError};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most files of keys that are read (OpenSSH: the same).
pub const IDENTITY_FILES_MAX: usize = 100;

/// The most files of certificates that CertificateFile may name (OpenSSH: the same).
pub const CERTIFICATE_FILES_MAX: usize = 100;

/// What is tried if no file is named, in the user's `.ssh`.
const DEFAULT_FILES: [&str; 5] = ["id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk"];

/// What a file of a public key is worth alone.
const ONLY_PUBLIC: &str = "only the public half of a key, and no agent has the private one";

/// Reads the files that the options name, or the default ones.
#[must_use]
pub fn read(options: &Options) -> KeyFiles {
    let configured = &options.config.identity_file.0; // `none` among them, too
    let by_default = options.identity_files.is_empty() && configured.is_empty();
    if by_default {
        let paths = DEFAULT_FILES.map(|name| home().join(".ssh").join(name));
        read_files(&paths, true, &options.certificate_files)
    } else {
        read_files(&options.identity_files, false, &options.certificate_files)
    }
}

pub(super) fn read_files(
    identity_files: &[PathBuf],
    by_default: bool,
    certificate_files: &[PathBuf],
) -> KeyFiles {
    let mut reader = Reader { files: KeyFiles::default(), by_default };
    let mut read: Vec<&PathBuf> = Vec::new();
    for path in identity_files {
        if read.contains(&path) {
            continue;
        }
        if read.len() == IDENTITY_FILES_MAX {
            reader
                .tell(path, &format!("not read, nor what follows: {IDENTITY_FILES_MAX} files of keys were"));
            break;
        }
        read.push(path);
        // Whoever names certificates wants no others.
        let beside = if certificate_files.is_empty() { reader.beside(path) } else { None };
        reader.key(path, beside.as_ref().map(|(_, certificate)| certificate.key()));
        if let Some((path, certificate)) = beside {
            reader.files.entries.push(Entry { path, held: Held::Certificate(Box::new(certificate)) });
        }
    }
    for path in certificate_files.iter().take(CERTIFICATE_FILES_MAX) {
        reader.certificate(path);
    }
    if let Some(path) = certificate_files.get(CERTIFICATE_FILES_MAX) {
        let text = format!("not read, nor what follows: {CERTIFICATE_FILES_MAX} files of certificates were");
        reader.tell(path, &text);
    }
    reader.files
}

struct Reader {
    files: KeyFiles,
    by_default: bool,
}

impl Reader {
    fn tell(&mut self, path: &Path, text: &str) {
        self.files.notices.push(Notice::Tell(format!("{}: {text}", shown(path))));
    }

    /// `certified` is the key of the certificate beside the file.
    fn key(&mut self, path: &Path, certified: Option<&PublicKey>) {
        let held = match read_key_file(path) {
            Ok(Parsed::Key(file)) => Some(Held::Key(Arc::new(file.key))),
            Ok(Parsed::Encrypted(file)) => {
                let public = file.public_key().cloned().or_else(|| public_beside(path));
                let public = public.or_else(|| certified.cloned());
                Some(Held::Encrypted { public, file: Arc::from(file) })
            }
            Ok(Parsed::InToken(key)) => {
                Some(Held::Public { key, why: Some(PrivateKeyError::InToken.to_string()) })
            }
            Err(KeyFileError::Key(
                PrivateKeyError::NotAPrivateKey | PrivateKeyError::Foreign(ForeignFormat::PublicKey),
            )) => self.public(path),
            Err(error) => self.without_private(path, &error),
        };
        self.files.entries.extend(held.map(|held| Entry { path: path.to_owned(), held }));
    }

    /// The file may be a public key or a certificate itself.
    fn public(&mut self, path: &Path) -> Option<Held> {
        match read_public(path) {
            Ok(PlainOrCertified::Plain(key)) => Some(Held::Public { key, why: Some(ONLY_PUBLIC.to_owned()) }),
            Ok(PlainOrCertified::Certified(certificate)) => Some(Held::Certificate(certificate)),
            Err(error) => {
                self.tell(path, &error.to_string());
                None
            }
        }
    }

    /// An agent may have the key whose public half lies beside the name.
    fn without_private(&mut self, path: &Path, error: &KeyFileError) -> Option<Held> {
        let missing = matches!(error, KeyFileError::Io(error) if is_missing(error));
        let why = if missing && self.by_default { None } else { Some(error.to_string()) };
        match public_beside(path) {
            Some(key) => Some(Held::Public { key, why }),
            None => {
                if let Some(why) = why {
                    self.tell(path, &why);
                }
                None
            }
        }
    }

    /// `FILE-cert.pub`.
    fn beside(&mut self, path: &Path) -> Option<(PathBuf, Certificate)> {
        let path = with_ending(path, "-cert.pub");
        match read_public(&path) {
            Ok(PlainOrCertified::Certified(certificate)) => Some((path, *certificate)),
            Ok(PlainOrCertified::Plain(_)) => {
                self.tell(&path, "not a certificate");
                None
            }
            Err(error) if is_missing(&error) => None,
            Err(error) => {
                self.tell(&path, &error.to_string());
                None
            }
        }
    }

    fn certificate(&mut self, path: &Path) {
        match read_public(path) {
            Ok(PlainOrCertified::Certified(certificate)) => {
                self.files.certificates.push((path.to_owned(), *certificate));
            }
            Ok(PlainOrCertified::Plain(_)) => self.tell(path, "not a certificate"),
            Err(error) => self.tell(path, &error.to_string()),
        }
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The key in `FILE.pub`, if that is there and a key.
fn public_beside(path: &Path) -> Option<PublicKey> {
    match read_public(&with_ending(path, ".pub")) {
        Ok(PlainOrCertified::Plain(key)) => Some(key),
        _ => None,
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}
