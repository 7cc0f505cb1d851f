//! Files that hold keys or say how they are used, as formats: bytes in, values out, and back.
//!
//! [`private_key`] reads private keys in the formats of OpenSSH, PEM and PuTTY and writes OpenSSH's, [`public_key`] the one-line
//! form of a public key, [`authorized_keys`] says which users' keys a server takes and what they may do, [`known_hosts`] which
//! host keys a client knows, [`certificate`] whether a certificate counts, [`ssh_config`] how a user wants to connect;
//! [`agent`] speaks with whoever holds keys for a user. Their texts are those of OpenSSH (PROTOCOL.key, sshd(8),
//! ssh_config(5)); RFC 4253 §6.6 defines the key blobs inside.
//!
//! Every function takes the bytes of a whole file, and the time where it matters. This layer does not open, lock, create or
//! check the mode of a file, does not know a connection, and asks nobody: what to do with an unknown host is the
//! application's decision. Of the layers above the keys it knows one value, the [`Permissions`](crate::userauth::Permissions)
//! that a line or a certificate grants.

pub mod agent;
pub mod authorized_keys;
pub mod certificate;
pub mod known_hosts;
mod line;
pub mod private_key;
pub mod public_key;
pub mod ssh_config;

pub use line::{BadComment, COMMENT_MAX, KeyLineError, LINE_MAX};
