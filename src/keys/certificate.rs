//! Whether a certificate counts: for a user who logs in, or for a host that is logged in to (draft-miller-ssh-cert, OpenSSH's
//! PROTOCOL.certkeys).
//!
//! [`check_user`] and [`check_host`] ask all there is to ask, in one order: the CA is trusted and neither it nor the key is
//! revoked; its signature holds; role, time, principals; every critical option is known. What comes out of them,
//! [`CheckedUser`] and [`CheckedHost`], nothing else can make. A CA that is not trusted has nothing computed with its key.
//!
//! This file does not know where trust is written down: whoever calls says which CAs speak for this purpose. It has no clock.

use core::fmt;

use crate::crypto::sign::certificate::{CaSignature, Certificate, CertificateError, Role};
use crate::crypto::sign::ecdsa::Curve;
use crate::crypto::sign::rsa::Scheme;
use crate::crypto::sign::{PublicKey, SignatureAlgorithm};
use crate::userauth::{Circumstances, NotAdmitted, Permissions, SourceList, Tunnel};
use crate::wire::pattern_matches;

use super::line::{self, KeyLineError, LINE_MAX};

/// The algorithms by which CAs sign, unless the user says otherwise (OpenSSH's CASignatureAlgorithms): all but SHA-1.
pub const CA_SIGNATURE_ALGORITHMS: &[SignatureAlgorithm] = &[
    SignatureAlgorithm::Ed25519,
    SignatureAlgorithm::Ecdsa(Curve::Nistp256),
    SignatureAlgorithm::Ecdsa(Curve::Nistp384),
    SignatureAlgorithm::Ecdsa(Curve::Nistp521),
    SignatureAlgorithm::SkEd25519,
    SignatureAlgorithm::SkEcdsa,
    SignatureAlgorithm::Rsa(Scheme::Sha512),
    SignatureAlgorithm::Rsa(Scheme::Sha256),
];

/// The bytes of an unknown option's name that are shown.
const SHOWN_MAX: usize = 64;

/// Whom a certificate is believed by.
#[derive(Clone, Copy, Debug)]
pub struct Trust<'a> {
    /// The keys of the CAs that speak for this purpose.
    pub authorities: &'a [PublicKey],
    /// Keys, of CAs or their subjects, that are not believed any more.
    pub revoked: &'a [PublicKey],
    /// What CAs may sign by: [`CA_SIGNATURE_ALGORITHMS`].
    pub ca_signature_algorithms: &'a [SignatureAlgorithm],
}

/// A certificate that lets a user in who proves to have its key.
#[derive(Clone, Debug)]
pub struct CheckedUser<'c> {
    certificate: &'c Certificate,
    permissions: Permissions,
}

impl<'c> CheckedUser<'c> {
    /// The certificate.
    #[must_use]
    pub const fn certificate(&self) -> &'c Certificate {
        self.certificate
    }

    /// What it lets the user do. Its addresses are checked already, and stay in it for the end of a login.
    #[must_use]
    pub const fn permissions(&self) -> &Permissions {
        &self.permissions
    }
}

/// A certificate that proves a host that has its key.
#[derive(Clone, Debug)]
pub struct CheckedHost<'c> {
    certificate: &'c Certificate,
}

impl<'c> CheckedHost<'c> {
    /// The certificate.
    #[must_use]
    pub const fn certificate(&self) -> &'c Certificate {
        self.certificate
    }
}

/// Checks a user's certificate. One of its principals must be exactly one of `principals`: the user's name, or the names that
/// a file lists for him.
pub fn check_user<'c>(
    certificate: &'c Certificate,
    trust: &Trust<'_>,
    principals: &[&[u8]],
    login: &Circumstances<'_>,
) -> Result<CheckedUser<'c>, Refusal> {
    check(certificate, trust, Role::User, login.now, |principal| principals.contains(&principal))?;
    let permissions = permissions(certificate)?;
    permissions.admits(login)?;
    Ok(CheckedUser { certificate, permissions })
}

/// Checks a host's certificate. One of its principals must match `host`, the name without its port and in lower case; there `*`
/// and `?` are patterns.
pub fn check_host<'c>(
    certificate: &'c Certificate,
    trust: &Trust<'_>,
    host: &str,
    now: u64,
) -> Result<CheckedHost<'c>, Refusal> {
    check(certificate, trust, Role::Host, now, |principal| {
        pattern_matches(principal, host.as_bytes(), u8::eq)
    })?;
    match certificate.critical_options().next() {
        Some((name, _)) => Err(unknown_option(name)),
        None => Ok(CheckedHost { certificate }),
    }
}

/// What both have in common.
fn check(
    certificate: &Certificate,
    trust: &Trust<'_>,
    role: Role,
    now: u64,
    is_meant: impl Fn(&[u8]) -> bool,
) -> Result<(), Refusal> {
    if !trust.authorities.contains(certificate.ca_key()) {
        return Err(Refusal::Untrusted);
    }
    if [certificate.ca_key(), certificate.key()].iter().any(|key| trust.revoked.contains(key)) {
        return Err(Refusal::Revoked);
    }
    certificate.verify(trust.ca_signature_algorithms)?;
    if certificate.role() != role {
        return Err(Refusal::Role);
    }
    if now < certificate.valid_after() {
        return Err(Refusal::NotYetValid);
    }
    if now >= certificate.valid_before() {
        return Err(Refusal::Expired);
    }
    if certificate.principals().next().is_none() {
        return Err(Refusal::NoPrincipals);
    }
    if certificate.principals().any(is_meant) { Ok(()) } else { Err(Refusal::OtherPrincipals) }
}

/// Critical options take away, extensions give. An extension that is not known gives nothing.
fn permissions(certificate: &Certificate) -> Result<Permissions, Refusal> {
    let mut permissions = Permissions::BARE;
    for (name, value) in certificate.critical_options() {
        match (name, value) {
            (b"force-command", Some(command)) => permissions.force_command = Some(command.to_vec()),
            (b"source-address", Some(list)) => {
                let list = SourceList::networks(list).map_err(|_| Refusal::BadOption("source-address"))?;
                permissions.sources.push(list);
            }
            (b"verify-required", None) => permissions.verify_required = true,
            (b"force-command", None) => return Err(Refusal::BadOption("force-command")),
            (b"source-address", None) => return Err(Refusal::BadOption("source-address")),
            (b"verify-required", Some(_)) => return Err(Refusal::BadOption("verify-required")),
            (name, _) => return Err(unknown_option(name)),
        }
    }
    for (name, value) in certificate.extensions() {
        let (known, granted) = match name {
            b"permit-X11-forwarding" => ("permit-X11-forwarding", &mut permissions.x11_forwarding),
            b"permit-agent-forwarding" => ("permit-agent-forwarding", &mut permissions.agent_forwarding),
            b"permit-port-forwarding" => ("permit-port-forwarding", &mut permissions.port_forwarding),
            b"permit-pty" => ("permit-pty", &mut permissions.pty),
            b"permit-user-rc" => ("permit-user-rc", &mut permissions.user_rc),
            b"no-touch-required" => ("no-touch-required", &mut permissions.touch_required),
            _ => continue,
        };
        if value.is_some() {
            return Err(Refusal::BadOption(known));
        }
        *granted = known != "no-touch-required";
    }
    // No extension speaks of tunnels. They carry what forwarded ports carry, and more.
    if permissions.port_forwarding {
        permissions.tunnel = Tunnel::Any;
    }
    Ok(permissions)
}

fn unknown_option(name: &[u8]) -> Refusal {
    let shown = name.get(..SHOWN_MAX).unwrap_or(name);
    Refusal::UnknownOption(shown.escape_ascii().to_string())
}

/// Reads a `-cert.pub` file: one line, `type base64 [comment]`.
pub fn parse(file: &[u8]) -> Result<Certificate, CertificateLineError> {
    let mut lines = line::significant_lines(file);
    let (_, text) = lines.next().ok_or(KeyLineError::Missing)?;
    if text.len() > LINE_MAX {
        return Err(KeyLineError::TooLong.into());
    }
    if lines.next().is_some() {
        return Err(KeyLineError::MoreThanOne.into());
    }
    let (_, blob, _) = line::split_key(text)?;
    Ok(Certificate::from_blob(&blob)?)
}

/// Why a `-cert.pub` file gives no certificate. Its text is safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateLineError {
    /// The line is none of a key.
    Line(KeyLineError),
    /// The blob on it is no certificate.
    Certificate(CertificateError),
}

impl From<KeyLineError> for CertificateLineError {
    fn from(error: KeyLineError) -> Self {
        Self::Line(error)
    }
}

impl From<CertificateError> for CertificateLineError {
    fn from(error: CertificateError) -> Self {
        Self::Certificate(error)
    }
}

impl fmt::Display for CertificateLineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(error) => error.fmt(f),
            Self::Certificate(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for CertificateLineError {}

/// Why a certificate does not count. Its text is safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its CA does not speak for this purpose.
    Untrusted,
    /// Its key or the key of its CA is revoked.
    Revoked,
    /// The CA's signature does not count.
    Signature(CaSignature),
    /// It is for hosts where one for users is needed, or the other way round.
    Role,
    /// Its time has not come.
    NotYetValid,
    /// Its time is over.
    Expired,
    /// It lists no principals, and so is for nobody.
    NoPrincipals,
    /// It is for others.
    OtherPrincipals,
    /// A critical option is not known.
    UnknownOption(String),
    /// A known option has a value that it cannot have.
    BadOption(&'static str),
    /// It may not be used from there, or not any more.
    NotAdmitted(NotAdmitted),
}

impl From<CaSignature> for Refusal {
    fn from(error: CaSignature) -> Self {
        Self::Signature(error)
    }
}

impl From<NotAdmitted> for Refusal {
    fn from(error: NotAdmitted) -> Self {
        Self::NotAdmitted(error)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Untrusted => "the certificate's CA is not trusted here",
            Self::Revoked => "the certificate's key or the key of its CA is revoked",
            Self::Signature(error) => return error.fmt(f),
            Self::Role => {
                "the certificate is for hosts where one for users is needed, or the other way round"
            }
            Self::NotYetValid => "the certificate is not valid yet",
            Self::Expired => "the certificate has expired",
            Self::NoPrincipals => "the certificate lists no principals",
            Self::OtherPrincipals => "the certificate does not list this name",
            Self::UnknownOption(name) => {
                return write!(f, "the certificate's critical option {name} is not supported");
            }
            Self::BadOption(name) => return write!(f, "the certificate's option {name} has a bad value"),
            Self::NotAdmitted(error) => return write!(f, "the certificate: {error}"),
        })
    }
}

impl core::error::Error for Refusal {}

#[cfg(test)]
pub(in crate::keys) mod tests;
