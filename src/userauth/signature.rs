//! What a `publickey` signature is made over (RFC 4252 §7, OpenSSH PROTOCOL §3.1).

use super::CONNECTION_SERVICE;
use crate::wire::message::UserauthRequest;
use crate::wire::{Encode, Writer};

/// The name of the method.
pub(super) const PUBLICKEY: &[u8] = b"publickey";
/// The same method, whose signature covers the host key too.
pub(super) const PUBLICKEY_HOSTBOUND: &[u8] = b"publickey-hostbound-v00@openssh.com";

/// What a signature binds besides session, user and key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binding<'a> {
    /// Nothing: `publickey`.
    Session,
    /// K_S of the first exchange: `publickey-hostbound-v00@openssh.com`.
    HostKey(&'a [u8]),
}

impl Binding<'_> {
    pub(super) const fn method_name(self) -> &'static [u8] {
        match self {
            Self::Session => PUBLICKEY,
            Self::HostKey(_) => PUBLICKEY_HOSTBOUND,
        }
    }

    /// The method fields without the signature: `boolean TRUE, string algorithm, string blob`, and the host key.
    pub(super) fn signed_fields(self, algorithm: &str, blob: &[u8]) -> Vec<u8> {
        let mut fields = Vec::new();
        let mut w = Writer::new(&mut fields);
        w.boolean(true);
        w.string(algorithm.as_bytes());
        w.string(blob);
        if let Self::HostKey(k_s) = self {
            w.string(k_s);
        }
        fields
    }

    /// The session identifier and the request as far as the signature. Both sides build it from what they know, so that
    /// a signature for another session, user, service, algorithm or host does not fit.
    pub(super) fn signed_data(
        self,
        session_id: &[u8],
        user_name: &[u8],
        algorithm: &str,
        blob: &[u8],
    ) -> Vec<u8> {
        let mut data = Vec::new();
        let mut w = Writer::new(&mut data);
        w.string(session_id);
        w.byte(UserauthRequest::NUMBER);
        w.string(user_name);
        w.string(CONNECTION_SERVICE);
        w.string(self.method_name());
        w.bytes(&self.signed_fields(algorithm, blob));
        data
    }
}
