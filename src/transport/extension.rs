//! Extension negotiation (RFC 8308): what each side says of itself after its first NEWKEYS.
//!
//! It knows names and values, and not what follows from them: that is for whoever asks.

use super::algorithms::SIGNATURE;
use super::error::Error;
use crate::crypto::sign::SignatureAlgorithm;
use crate::wire::message::ExtInfo;
use crate::wire::number::Sender;
use crate::wire::{Decode, Encode, Fault, NameList, Writer};

/// In a client's first list of methods: "I take SSH_MSG_EXT_INFO".
pub(super) const EXT_INFO_C: &str = "ext-info-c";
/// The same of a server.
pub(super) const EXT_INFO_S: &str = "ext-info-s";

/// The signature algorithms that a server takes from users (RFC 8308 §3.1).
const SERVER_SIG_ALGS: &[u8] = b"server-sig-algs";
/// A server understands the method `publickey-hostbound-v00@openssh.com` (OpenSSH PROTOCOL §3.1).
const PUBLICKEY_HOSTBOUND: &[u8] = b"publickey-hostbound@openssh.com";
/// A server answers PING (OpenSSH PROTOCOL §1.9).
const PING: &[u8] = b"ping@openssh.com";
/// The one version there is of both.
const VERSION_0: &[u8] = b"0";
/// Whoever says it answers global requests that it does not know (draft-ssh-global-requests-ok).
const GLOBAL_REQUESTS_OK: &[u8] = b"global-requests-ok";

/// As many extensions as are looked at; OpenSSH's bound.
pub const EXTENSIONS_MAX: usize = 1024;

/// More extensions than anybody has.
pub const TOO_MANY_EXTENSIONS: Fault = Fault::protocol("EXT_INFO has too many extensions");
/// The same extension twice in one message.
pub const EXTENSION_TWICE: Fault = Fault::protocol("EXT_INFO names an extension twice");

/// What a peer said of itself, as far as it is known here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extensions {
    /// Of the names in the list, those known here; `None` if the list did not come.
    pub(super) server_sig_algs: Option<Vec<SignatureAlgorithm>>,
    pub(super) publickey_hostbound: bool,
}

/// The payload of SSH_MSG_EXT_INFO that `role` sends directly after its first NEWKEYS; a server says with it which
/// signature algorithms it takes from users.
pub(super) fn ext_info<'n>(role: Sender, server_sig_algs: impl Iterator<Item = &'n str>) -> Vec<u8> {
    let mut pairs = Vec::new();
    let mut w = Writer::new(&mut pairs);
    let mut nr_extensions = 1;
    w.string(GLOBAL_REQUESTS_OK);
    w.string(b"");
    if role == Sender::Server {
        nr_extensions += 3;
        w.string(SERVER_SIG_ALGS);
        w.name_list(server_sig_algs);
        for name in [PUBLICKEY_HOSTBOUND, PING] {
            w.string(name);
            w.string(VERSION_0);
        }
    }
    let mut payload = Vec::new();
    let mut w = Writer::new(&mut payload);
    w.byte(ExtInfo::NUMBER);
    ExtInfo { nr_extensions, pairs: &pairs }.encode(&mut w);
    payload
}

/// Reads the peer's SSH_MSG_EXT_INFO. Unknown extensions and versions are passed over.
pub(super) fn extensions(payload: &[u8]) -> Result<Extensions, Error> {
    let mut found = Extensions::default();
    for (count, extension) in ExtInfo::from_payload(payload)?.extensions().enumerate() {
        let (name, value) = extension?;
        if count >= EXTENSIONS_MAX {
            return Err(TOO_MANY_EXTENSIONS.into());
        }
        let again = match name {
            SERVER_SIG_ALGS => {
                let list = NameList::from_bytes(value)?;
                let plain =
                    SIGNATURE.iter().filter(|row| !row.algorithm.certified && list.contains(row.name));
                let known = plain.map(|row| row.algorithm.signature);
                found.server_sig_algs.replace(known.collect()).is_some()
            }
            PUBLICKEY_HOSTBOUND if value == VERSION_0 => {
                core::mem::replace(&mut found.publickey_hostbound, true)
            }
            _ => false,
        };
        if again {
            return Err(EXTENSION_TWICE.into());
        }
    }
    Ok(found)
}
