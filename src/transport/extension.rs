//! Extension negotiation (RFC 8308): what a server says of itself after its first NEWKEYS.

use super::algorithms::SIGNATURE;
use super::error::Error;
use crate::crypto::sign::SignatureAlgorithm;
use crate::wire::message::ExtInfo;
use crate::wire::{Decode, Fault, NameList, Writer};

/// In a client's first list of methods: "I take SSH_MSG_EXT_INFO".
pub(super) const EXT_INFO_C: &str = "ext-info-c";

/// RFC 8308 §3.1.
const SERVER_SIG_ALGS: &[u8] = b"server-sig-algs";

/// As many extensions as are looked at; OpenSSH's bound.
pub const EXTENSIONS_MAX: usize = 1024;

/// More extensions than anybody has.
pub const TOO_MANY_EXTENSIONS: Fault = Fault::protocol("EXT_INFO has too many extensions");

/// The payload a server sends directly after its first NEWKEYS.
pub(super) fn server_ext_info() -> Vec<u8> {
    let mut payload = Vec::new();
    let mut pairs = Vec::new();
    let mut w = Writer::new(&mut pairs);
    w.string(SERVER_SIG_ALGS);
    w.name_list(SIGNATURE.iter().filter(|row| !row.algorithm.uses_sha1()).map(|row| row.name));
    let message = ExtInfo { nr_extensions: 1, pairs: &pairs };
    let mut w = Writer::new(&mut payload);
    w.byte(<ExtInfo<'_> as crate::wire::Encode>::NUMBER);
    crate::wire::Encode::encode(&message, &mut w);
    payload
}

/// What the peer's SSH_MSG_EXT_INFO says: the signature algorithms that a server takes from users, those that are known
/// here. Unknown extensions are passed over.
pub(super) fn server_sig_algs(payload: &[u8]) -> Result<Option<Vec<SignatureAlgorithm>>, Error> {
    let mut found = None;
    for (count, extension) in ExtInfo::from_payload(payload)?.extensions().enumerate() {
        let (name, value) = extension?;
        if count >= EXTENSIONS_MAX {
            return Err(TOO_MANY_EXTENSIONS.into());
        }
        if name == SERVER_SIG_ALGS {
            let list = NameList::from_bytes(value)?;
            found = Some(
                SIGNATURE.iter().filter(|row| list.contains(row.name)).map(|row| row.algorithm).collect(),
            );
        }
    }
    Ok(found)
}
