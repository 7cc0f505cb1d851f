//! Who may log in to a server, by which files, and what he may do then.
//!
//! [`Accounts`] judges a key or certificate from authorized_keys, CAs, principals and revoked keys, as sshd(8) does; the files
//! are read anew for each question, so that a key that is taken out lets nobody in any more. It knows paths and user names;
//! it knows no connection, and does not check passwords.

use super::files;
use crate::crypto::sign::certificate::{Certificate, PlainOrCertified};
use crate::crypto::sign::{PublicKey, SignatureAlgorithm};
use crate::keys::authorized_keys::{self, Authorised, CertificateRules, Refused};
use crate::keys::certificate::{CA_SIGNATURE_ALGORITHMS, Trust, check_user};
use crate::userauth::{Circumstances, MethodChains, Permissions};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The longest name of a user (bytes); nobody has a longer one.
pub const USER_NAME_MAX: usize = 255;

/// The files of one user, or of all.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Each is looked into; one that is missing has no keys.
    pub authorized_keys: Vec<PathBuf>,
    /// A file of CAs that speak for him.
    pub trusted_ca_keys: Option<PathBuf>,
    /// The principals that a certificate of those may have, a line each; without a file it is the user's name.
    pub authorized_principals: Option<PathBuf>,
    /// What he must go through, if that is not what all must.
    pub methods: Option<MethodChains>,
}

/// Whose names are known.
#[derive(Clone, Debug)]
pub enum Names {
    /// Every name is that of the one user there is.
    Any {
        /// The user.
        account: Account,
        /// His own name: a certificate is for him if that is a principal of it, whatever name was said.
        name: Vec<u8>,
    },
    /// These, and nobody else.
    Of(HashMap<Vec<u8>, Account>),
}

/// Who may log in, and by what.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// Users.
    pub names: Names,
    /// A file of keys, of users and of CAs, that are not believed any more. If it cannot be read, no key is.
    pub revoked_keys: Option<PathBuf>,
    /// What CAs may sign by.
    pub ca_signature_algorithms: Vec<SignatureAlgorithm>,
    /// Whether `environment` of authorized_keys is obeyed; if not, a line that has it is refused.
    pub permits_environment: bool,
    /// Whether authorized_keys and principals that others may write are refused. Lists of CAs and of revoked keys are the
    /// server's own.
    pub strict_modes: bool,
}

/// A key that lets a user in.
#[derive(Clone, Debug)]
pub struct Granted {
    /// What he may do.
    pub permissions: Permissions,
    /// By which line of which file, for a log.
    pub by: String,
}

impl Accounts {
    /// These users; nobody revoked, no environment, strict about files.
    #[must_use]
    pub fn new(names: Names) -> Self {
        Self {
            names,
            revoked_keys: None,
            ca_signature_algorithms: CA_SIGNATURE_ALGORITHMS.to_vec(),
            permits_environment: false,
            strict_modes: true,
        }
    }

    /// A user, if he exists.
    #[must_use]
    pub fn account(&self, user_name: &[u8]) -> Option<&Account> {
        match &self.names {
            _ if user_name.len() > USER_NAME_MAX => None,
            Names::Any { account, .. } => Some(account),
            Names::Of(accounts) => accounts.get(user_name),
        }
    }

    /// Whether `key` may log `user_name` in here and now.
    ///
    /// # Errors
    /// Why not, a text a reason for a log; none at all if no line is about the key.
    pub fn judge(
        &self,
        user_name: &[u8],
        key: &PlainOrCertified,
        login: &Circumstances<'_>,
    ) -> Result<Granted, Vec<String>> {
        let account = self.account(user_name).ok_or_else(Vec::new)?;
        let revoked = self.key_list(self.revoked_keys.as_deref()).map_err(|why| vec![why])?;
        let mut refused = Vec::new();
        let granted = match key {
            PlainOrCertified::Plain(key) if revoked.contains(key) => {
                return Err(vec!["it is revoked".into()]);
            }
            PlainOrCertified::Plain(key) => self.by_line(account, &mut refused, |file| {
                authorized_keys::authorise(file, key, login).collect()
            }),
            PlainOrCertified::Certified(certificate) => {
                let own_name = match &self.names {
                    Names::Any { name, .. } => name,
                    Names::Of(_) => user_name,
                };
                let rules = CertificateRules {
                    user_name: own_name,
                    revoked: &revoked,
                    ca_signature_algorithms: &self.ca_signature_algorithms,
                };
                self.by_authority(account, certificate, &rules, login, &mut refused).or_else(|| {
                    self.by_line(account, &mut refused, |file| {
                        authorized_keys::authorise_certificate(file, certificate, &rules, login).collect()
                    })
                })
            }
        };
        granted.ok_or(refused)
    }

    /// By the first line of authorized_keys that is about the key and not refused.
    fn by_line(
        &self,
        account: &Account,
        refused: &mut Vec<String>,
        judge: impl Fn(&[u8]) -> Vec<Result<Authorised, Refused>>,
    ) -> Option<Granted> {
        for path in &account.authorized_keys {
            let file = match self.read(path) {
                Ok(file) => file,
                Err(why) => {
                    refused.push(why);
                    continue;
                }
            };
            for judged in judge(&file) {
                match judged {
                    Ok(authorised) => {
                        let by = format!("{}:{}", path.display(), authorised.line());
                        let permissions = authorised.permissions().clone();
                        if permissions.environment.is_empty() || self.permits_environment {
                            return Some(Granted { permissions, by });
                        }
                        refused.push(format!("{by}: environment is not permitted"));
                    }
                    Err(Refused { line, reason, .. }) => {
                        refused.push(format!("{}:{line}: {reason}", path.display()));
                    }
                }
            }
        }
        None
    }

    /// By a CA of the user's.
    fn by_authority(
        &self,
        account: &Account,
        certificate: &Certificate,
        rules: &CertificateRules<'_>,
        login: &Circumstances<'_>,
        refused: &mut Vec<String>,
    ) -> Option<Granted> {
        let mut notes = Vec::new();
        let path = account.trusted_ca_keys.as_deref()?;
        let checked = self.key_list(Some(path)).and_then(|authorities| {
            if !authorities.contains(certificate.ca_key()) {
                return Ok(None);
            }
            let file = account.authorized_principals.as_deref().map(|path| self.read(path)).transpose()?;
            let principals = match &file {
                Some(file) => principals(file, |line| {
                    notes.push(format!("a line of principals has options, which are not obeyed: {line}"));
                }),
                None => vec![rules.user_name],
            };
            let trust = Trust {
                authorities: &authorities,
                revoked: rules.revoked,
                ca_signature_algorithms: rules.ca_signature_algorithms,
            };
            let user = check_user(certificate, &trust, &principals, login)
                .map_err(|refusal| format!("{}: {refusal}", path.display()))?;
            Ok(Some(user.permissions().clone()))
        });
        refused.append(&mut notes);
        match checked {
            Ok(permissions) => {
                let id = String::from_utf8_lossy(certificate.key_id());
                let by = format!("{}, certificate {id} serial {}", path.display(), certificate.serial());
                Some(Granted { permissions: permissions?, by })
            }
            Err(why) => {
                refused.push(why);
                None
            }
        }
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let file = if self.strict_modes { files::read_owned(path) } else { files::read_text(path) };
        match file {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            file => file.map_err(|error| format!("{}: {error}", path.display())),
        }
    }

    /// Keys, one a line. A line that cannot be read makes the whole list one that cannot be trusted.
    fn key_list(&self, path: Option<&Path>) -> Result<Vec<PublicKey>, String> {
        let Some(path) = path else { return Ok(Vec::new()) };
        let file = files::read_text(path).map_err(|error| format!("{}: {error}", path.display()))?;
        authorized_keys::plain_entries(&file)
            .map(|entry| entry.map(|entry| entry.key))
            .collect::<Result<_, _>>()
            .map_err(|refused| format!("{}: {refused}", path.display()))
    }
}

/// The names in a file of principals. A line with a blank in it has options, counts for nobody, and is told.
fn principals(file: &[u8], mut tell: impl FnMut(String)) -> Vec<&[u8]> {
    let lines = file.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let mut names = Vec::new();
    for line in lines.filter(|line| !line.is_empty() && line.first() != Some(&b'#')) {
        match line.contains(&b' ') {
            true => tell(String::from_utf8_lossy(line).into_owned()),
            false => names.push(line),
        }
    }
    names
}

#[cfg(test)]
mod tests;
