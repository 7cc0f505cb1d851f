//! Messages of user authentication (RFC 4252).

use super::messages;
use crate::wire::{DecodeError, Reader};

messages! {
    /// RFC 4252 §5; the fields of the method follow to the end.
    USERAUTH_REQUEST UserauthRequest<'a> {
        user_name: string, service_name: string, method_name: string, method_fields: remainder
    }
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
    /// RFC 4256 §3.2: as many prompts follow, each with its echo. The number is that of PK_OK, too.
    USERAUTH_PK_OK UserauthInfoRequest<'a> {
        name: string, instruction: string, language_tag: string, num_prompts: uint32, prompts: remainder
    }
    /// RFC 4256 §3.4: as many responses follow.
    USERAUTH_INFO_RESPONSE UserauthInfoResponse<'a> { num_responses: uint32, responses: remainder }
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

impl core::fmt::Debug for PasswordFields<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
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

/// The method fields of `keyboard-interactive` (RFC 4256 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyboardInteractiveFields<'a> {
    /// A hint which ways of asking the client would like; any bytes.
    pub submethods: &'a [u8],
}

impl<'a> KeyboardInteractiveFields<'a> {
    /// Reads the fields after the method's name.
    pub fn decode(fields: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(fields);
        let _language_tag = r.string()?;
        let submethods = r.string()?;
        r.finish()?;
        Ok(Self { submethods })
    }
}
