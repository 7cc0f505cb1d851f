//! Files that hold keys or say how they are used, as formats: bytes in, values out, and back.
//!
//! [`private_key`] reads private keys in the formats of OpenSSH, PEM and PuTTY and writes OpenSSH's, [`public_key`] the one-line
//! form of a public key, [`authorized_keys`] says which users' keys a server takes, [`known_hosts`] which host keys a client
//! knows, and [`ssh_config`] how a user wants to connect. Their texts are those of OpenSSH (PROTOCOL.key, sshd(8),
//! ssh_config(5)); RFC 4253 §6.6 defines the key blobs inside.
//!
//! Every function takes the bytes of a whole file. This layer does not open, lock, create or check the mode of a file,
//! does not know a connection, and asks nobody: what to do with an unknown host is the application's decision.

pub mod authorized_keys;
pub mod known_hosts;
mod line;
pub mod private_key;
pub mod public_key;
pub mod ssh_config;

pub use line::{BadComment, COMMENT_MAX, KeyLineError, LINE_MAX};
