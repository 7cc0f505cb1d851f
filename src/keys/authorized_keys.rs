//! authorized_keys: the keys with which a user may log in, and what he may do then (sshd(8), "AUTHORIZED_KEYS FILE FORMAT").
//!
//! A line is `[options] type base64 [comment]`. [`authorise`] and [`authorise_certificate`] say what the lines about a key or a
//! CA come to, here and now; a list of keys, as of CAs or of what is revoked, is read by [`plain_entries`], which refuses options. A line that
//! cannot be read is refused by itself and said so, it never changes the meaning of another. This file does not know users,
//! and not whose file it reads.

mod options;

use core::fmt;

use crate::crypto::sign::certificate::Certificate;
use crate::crypto::sign::{PublicKey, SignatureAlgorithm};
use crate::userauth::{Circumstances, NotAdmitted, Permissions};

use self::options::{Options, split_unquoted};
pub use self::options::{endpoint, listener};
use super::certificate::{self, Trust, check_user};
use super::line::{self, KeyLineError, KeyText, LINE_MAX};

/// A line that authorises its key, or the certificates of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The line's number, from 1.
    pub line: usize,
    /// The key that may log in.
    pub key: PublicKey,
    /// What follows the key, for people; it may hold control characters.
    pub comment: String,
    /// What may be done with it.
    pub permissions: Permissions,
    /// `cert-authority`: the key itself may not log in, but who has a certificate of it.
    pub cert_authority: bool,
    /// `principals`: one of these must be in the certificate, in place of the user's name.
    pub principals: Option<Vec<Vec<u8>>>,
    options: Vec<&'static str>,
}

/// What a line grants to a login under way. Only [`authorise`] and [`authorise_certificate`] make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorised {
    line: usize,
    permissions: Permissions,
}

impl Authorised {
    /// The line's number, from 1.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line
    }

    /// What the user may do. It says too what a token must say: see [`Permissions::permits_signature`].
    #[must_use]
    pub const fn permissions(&self) -> &Permissions {
        &self.permissions
    }
}

/// A line that authorises nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: Refusal,
    /// The key on it, if it has one that can be read.
    pub key: Option<Box<PublicKey>>,
}

/// Why a line authorises nothing. Its text is safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The line has these options, and whoever asks obeys none.
    NotObeyed(Vec<&'static str>),
    /// An option is not known.
    UnknownOption(String),
    /// An option has a value that it cannot have, or has none.
    BadOption(&'static str),
    /// An option is there twice that can only be there once.
    Twice(&'static str),
    /// `expiry-time` is given in a time that is not known here.
    LocalTime,
    /// `principals` is there without `cert-authority`.
    PrincipalsWithoutCa,
    /// A quote of the options is not closed.
    UnclosedQuote,
    /// There is no usable key.
    Key(KeyLineError),
    /// The line is about this key, but not here or now.
    NotAdmitted(NotAdmitted),
    /// The line is about this certificate's CA, but the certificate does not count.
    Certificate(certificate::Refusal),
    /// The line and the certificate force two commands.
    CommandsDiffer,
}

/// What the lines about `key` come to, those among them that cannot be read. The first that is not refused counts; the others
/// are for a log.
pub fn authorise<'a>(
    file: &'a [u8],
    key: &'a PublicKey,
    login: &'a Circumstances<'a>,
) -> impl Iterator<Item = Result<Authorised, Refused>> + 'a {
    entries(file).filter_map(move |entry| match entry {
        Ok(entry) if entry.cert_authority || entry.key != *key => None,
        Ok(Entry { line, permissions, .. }) => Some(match permissions.admits(login) {
            Ok(()) => Ok(Authorised { line, permissions }),
            Err(error) => Err(refused(line, Refusal::NotAdmitted(error), key)),
        }),
        Err(refused) => (refused.key.as_deref() == Some(key)).then_some(Err(refused)),
    })
}

/// Whose certificate is judged, and by which rules.
#[derive(Clone, Copy, Debug)]
pub struct CertificateRules<'a> {
    /// The user who logs in: the principal that is asked for where a line names none.
    pub user_name: &'a [u8],
    /// Keys that are not believed any more.
    pub revoked: &'a [PublicKey],
    /// What CAs may sign by: [`certificate::CA_SIGNATURE_ALGORITHMS`].
    pub ca_signature_algorithms: &'a [SignatureAlgorithm],
}

/// The same for a certificate: the lines are those of its CA, and what they and the certificate both leave is granted.
pub fn authorise_certificate<'a>(
    file: &'a [u8],
    certificate: &'a Certificate,
    rules: &'a CertificateRules<'a>,
    login: &'a Circumstances<'a>,
) -> impl Iterator<Item = Result<Authorised, Refused>> + 'a {
    let ca = certificate.ca_key();
    entries(file).filter_map(move |entry| match entry {
        Ok(entry) if !entry.cert_authority || entry.key != *ca => None,
        Ok(entry) => Some(match entry.grant(certificate, rules, login) {
            Ok(permissions) => Ok(Authorised { line: entry.line, permissions }),
            Err(reason) => Err(refused(entry.line, reason, ca)),
        }),
        Err(refused) => (refused.key.as_deref() == Some(ca)).then_some(Err(refused)),
    })
}

fn refused(line: usize, reason: Refusal, key: &PublicKey) -> Refused {
    Refused { line, reason, key: Some(Box::new(key.clone())) }
}

impl Entry {
    fn grant(
        &self,
        certificate: &Certificate,
        rules: &CertificateRules<'_>,
        login: &Circumstances<'_>,
    ) -> Result<Permissions, Refusal> {
        self.permissions.admits(login).map_err(Refusal::NotAdmitted)?;
        let trust = Trust {
            authorities: core::slice::from_ref(&self.key),
            revoked: rules.revoked,
            ca_signature_algorithms: rules.ca_signature_algorithms,
        };
        let principals: Vec<&[u8]> = match &self.principals {
            Some(principals) => principals.iter().map(Vec::as_slice).collect(),
            None => vec![rules.user_name],
        };
        let user = check_user(certificate, &trust, &principals, login).map_err(Refusal::Certificate)?;
        self.permissions.intersect(user.permissions()).map_err(|_| Refusal::CommandsDiffer)
    }
}

/// [`entries`] for a caller that obeys no options: an entry must be a user's key and its permissions unrestricted.
pub fn plain_entries(file: &[u8]) -> impl Iterator<Item = Result<Entry, Refused>> {
    entries(file).map(|entry| match entry? {
        entry if !entry.cert_authority && entry.permissions.is_unrestricted() => Ok(entry),
        Entry { line, options, key, .. } => Err(refused(line, Refusal::NotObeyed(options), &key)),
    })
}

/// What each line of `file` says, in order, without empty lines and comments.
pub fn entries(file: &[u8]) -> impl Iterator<Item = Result<Entry, Refused>> {
    line::significant_lines(file).map(|(line, text)| parse_line(line, text))
}

fn parse_line(line: usize, text: &[u8]) -> Result<Entry, Refused> {
    let refused = |reason| Refused { line, reason, key: None };
    // The length is judged on the whole line: the tail of a long one must not be read as a line of its own.
    if text.len() > LINE_MAX {
        return Err(refused(Refusal::Key(KeyLineError::TooLong)));
    }
    let (options, text) = match KeyText::parse(text) {
        Ok(text) => (Options::none(), text),
        // No key in front: what stands there may be options, if a key follows them.
        Err(error) => {
            let unquoted = split_unquoted(text, line::is_blank);
            let (options, rest) = unquoted.ok_or_else(|| refused(Refusal::UnclosedQuote))?;
            let text = KeyText::parse(line::trim_start(rest)).map_err(|_| refused(Refusal::Key(error)))?;
            let options = Options::parse(options).map_err(|reason| Refused {
                key: text.key.as_ref().ok().cloned().map(Box::new),
                ..refused(reason)
            })?;
            (options, text)
        }
    };
    let comment = String::from_utf8_lossy(text.comment).into_owned();
    Ok(Entry {
        line,
        key: text.into_key().map_err(|error| refused(Refusal::Key(error)))?,
        comment,
        permissions: options.permissions,
        cert_authority: options.cert_authority,
        principals: options.principals,
        options: options.names,
    })
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl core::error::Error for Refused {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotObeyed(names) => write!(f, "options are not supported here ({})", names.join(", ")),
            Self::UnknownOption(name) => write!(f, "the option {name} is not known"),
            Self::BadOption(name) => write!(f, "the option {name} has a bad value"),
            Self::Twice(name) => write!(f, "the option {name} is there twice"),
            Self::LocalTime => f.write_str("expiry-time needs a Z behind it and is read as UTC"),
            Self::PrincipalsWithoutCa => f.write_str("the option principals needs cert-authority"),
            Self::UnclosedQuote => f.write_str("a quote in the options is not closed"),
            Self::Key(error) => error.fmt(f),
            Self::NotAdmitted(error) => write!(f, "the key: {error}"),
            Self::Certificate(error) => error.fmt(f),
            Self::CommandsDiffer => f.write_str("the line and the certificate force two commands"),
        }
    }
}

#[cfg(test)]
mod tests;
