//! What a `publickey` signature is made over (RFC 4252 §7).

use super::CONNECTION_SERVICE;
use crate::wire::message::UserauthRequest;
use crate::wire::{Encode, Writer};

/// The name of the method.
pub(super) const PUBLICKEY: &[u8] = b"publickey";

/// The method fields without the signature: `boolean TRUE, string algorithm, string blob`.
pub(super) fn signed_fields(algorithm: &str, blob: &[u8]) -> Vec<u8> {
    let mut fields = Vec::new();
    let mut w = Writer::new(&mut fields);
    w.boolean(true);
    w.string(algorithm.as_bytes());
    w.string(blob);
    fields
}

/// The session identifier and the request as far as the signature. Both sides build it from what they know, so that a
/// signature for another session, user, service or algorithm does not fit.
pub(super) fn signed_data(session_id: &[u8], user_name: &[u8], algorithm: &str, blob: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    let mut w = Writer::new(&mut data);
    w.string(session_id);
    w.byte(UserauthRequest::NUMBER);
    w.string(user_name);
    w.string(CONNECTION_SERVICE);
    w.string(PUBLICKEY);
    w.bytes(&signed_fields(algorithm, blob));
    data
}
