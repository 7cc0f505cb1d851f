//! Messages of user authentication (RFC 4252).

use super::{Decode, Encode, messages};
use crate::wire::number::USERAUTH_REQUEST;
use crate::wire::{DecodeError, Reader, Writer};
use core::fmt;

messages! {
    /// RFC 4252 §5.1.
    USERAUTH_FAILURE UserauthFailure<'a> { authentications_that_can_continue: name_list, partial_success: boolean }
    /// RFC 4252 §5.1.
    USERAUTH_SUCCESS UserauthSuccess {}
    /// RFC 4252 §5.4.
    USERAUTH_BANNER UserauthBanner<'a> { message: string, language_tag: string }
    /// RFC 4252 §7: the server would take this key.
    USERAUTH_PK_OK UserauthPkOk<'a> { public_key_algorithm_name: string, public_key_blob: string }
    /// RFC 4252 §8: the password must be changed. Its number is that of PK_OK; the method under way tells which it is.
    USERAUTH_PK_OK UserauthPasswdChangereq<'a> { prompt: string, language_tag: string }
}

/// RFC 4252 §5; the fields of the method follow to the end.
#[derive(Clone, PartialEq, Eq)]
pub struct UserauthRequest<'a> {
    /// `string`
    pub user_name: &'a [u8],
    /// `string`
    pub service_name: &'a [u8],
    /// `string`
    pub method_name: &'a [u8],
    /// To the end. A password may be among them, so they are never printed.
    pub method_fields: &'a [u8],
}

impl fmt::Debug for UserauthRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserauthRequest")
            .field("user_name", &self.user_name)
            .field("service_name", &self.service_name)
            .field("method_name", &self.method_name)
            .finish_non_exhaustive()
    }
}

impl Encode for UserauthRequest<'_> {
    const NUMBER: u8 = USERAUTH_REQUEST;

    fn encode(&self, w: &mut Writer<'_>) {
        w.string(self.user_name);
        w.string(self.service_name);
        w.string(self.method_name);
        w.bytes(self.method_fields);
    }
}

impl<'a> Decode<'a> for UserauthRequest<'a> {
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            user_name: r.string()?,
            service_name: r.string()?,
            method_name: r.string()?,
            method_fields: r.remainder()?,
        })
    }
}

/// The method fields of `publickey` (RFC 4252 §7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublickeyFields<'a> {
    /// The name of the signature algorithm.
    pub public_key_algorithm_name: &'a [u8],
    /// The key.
    pub public_key_blob: &'a [u8],
    /// The proof; without one the request is a query.
    pub signature: Option<&'a [u8]>,
}

impl<'a> PublickeyFields<'a> {
    /// Reads the fields after the method's name.
    pub fn decode(fields: &'a [u8]) -> Result<Self, DecodeError> {
        Self::with(fields, |_| Ok(())).map(|(fields, ())| fields)
    }

    /// Reads the fields of `publickey-hostbound-v00@openssh.com` (OpenSSH PROTOCOL §3.1): the same, and the server's host
    /// key in front of the signature.
    pub fn decode_hostbound(fields: &'a [u8]) -> Result<(Self, &'a [u8]), DecodeError> {
        Self::with(fields, Reader::string)
    }

    fn with<T>(
        fields: &'a [u8],
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<(Self, T), DecodeError> {
        let mut r = Reader::new(fields);
        let signed = r.boolean()?;
        let (public_key_algorithm_name, public_key_blob) = (r.string()?, r.string()?);
        let more = read(&mut r)?;
        let signature = if signed { Some(r.string()?) } else { None };
        r.finish()?;
        Ok((Self { public_key_algorithm_name, public_key_blob, signature }, more))
    }
}

/// The method fields of `password` (RFC 4252 §8).
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordFields<'a> {
    /// The password, or the old one where a new one is given.
    pub password: &'a [u8],
    /// The new password of a change.
    pub new_password: Option<&'a [u8]>,
}

impl fmt::Debug for PasswordFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordFields(..)")
    }
}

impl<'a> PasswordFields<'a> {
    /// Reads the fields after the method's name.
    pub fn decode(fields: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(fields);
        let change = r.boolean()?;
        let message =
            Self { password: r.string()?, new_password: if change { Some(r.string()?) } else { None } };
        r.finish()?;
        Ok(message)
    }
}
