//! The static tables of algorithms, and their negotiation (RFC 4253 §7.1).
//!
//! A further algorithm is one line here and one file in `crypto`. Tables know names and which cipher needs no MAC; what an
//! algorithm does, they don't.

use crate::crypto::kex::Method;
use crate::crypto::sign::{SignatureAlgorithm, ecdsa::Curve, rsa::Scheme};
use crate::crypto::{Cipher, Mac};
use crate::wire::message::KexInit;
use crate::wire::{NameList, number::Sender};
use core::fmt;

/// A row of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Algorithm<T> {
    /// As in SSH_MSG_KEXINIT.
    pub name: &'static str,
    /// What it names.
    pub algorithm: T,
}

/// Key exchange methods, in the order of preference.
pub static KEX: [Algorithm<Method>; 2] = [
    Algorithm { name: "curve25519-sha256", algorithm: Method::Curve25519 },
    Algorithm { name: "curve25519-sha256@libssh.org", algorithm: Method::Curve25519 },
];

/// Signature algorithms of host keys and users' keys, in the order of preference. The last stands on SHA-1: it is for host
/// keys alone, and only where it is asked for by name.
pub static SIGNATURE: [Algorithm<SignatureAlgorithm>; 9] = [
    Algorithm { name: "ssh-ed25519", algorithm: SignatureAlgorithm::Ed25519 },
    Algorithm { name: "ecdsa-sha2-nistp256", algorithm: SignatureAlgorithm::Ecdsa(Curve::Nistp256) },
    Algorithm { name: "ecdsa-sha2-nistp384", algorithm: SignatureAlgorithm::Ecdsa(Curve::Nistp384) },
    Algorithm { name: "ecdsa-sha2-nistp521", algorithm: SignatureAlgorithm::Ecdsa(Curve::Nistp521) },
    Algorithm { name: "sk-ssh-ed25519@openssh.com", algorithm: SignatureAlgorithm::SkEd25519 },
    Algorithm { name: "sk-ecdsa-sha2-nistp256@openssh.com", algorithm: SignatureAlgorithm::SkEcdsa },
    Algorithm { name: "rsa-sha2-512", algorithm: SignatureAlgorithm::Rsa(Scheme::Sha512) },
    Algorithm { name: "rsa-sha2-256", algorithm: SignatureAlgorithm::Rsa(Scheme::Sha256) },
    Algorithm { name: "ssh-rsa", algorithm: SignatureAlgorithm::Rsa(Scheme::Sha1) },
];

/// Ciphers, in the order of preference.
pub static CIPHER: [Algorithm<Cipher>; 4] = [
    Algorithm { name: "aes128-gcm@openssh.com", algorithm: Cipher::Aes128Gcm },
    Algorithm { name: "aes256-gcm@openssh.com", algorithm: Cipher::Aes256Gcm },
    Algorithm { name: "chacha20-poly1305@openssh.com", algorithm: Cipher::ChaCha20Poly1305 },
    Algorithm { name: "aes256-ctr", algorithm: Cipher::Aes256Ctr },
];

/// MACs, in the order of preference.
pub static MAC: [Algorithm<Mac>; 2] = [
    Algorithm { name: "hmac-sha2-256-etm@openssh.com", algorithm: Mac::HmacSha256Etm },
    Algorithm { name: "hmac-sha2-256", algorithm: Mac::HmacSha256 },
];

/// Compression methods.
pub static COMPRESSION: [Algorithm<Compression>; 1] =
    [Algorithm { name: "none", algorithm: Compression::None }];

/// A compression method (RFC 4253 §6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Payloads go as they are.
    None,
}

/// What a side offers, each list in its order of preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Algorithms {
    /// Key exchange methods.
    pub kex: Vec<Algorithm<Method>>,
    /// Signature algorithms of the host key.
    pub host_key: Vec<Algorithm<SignatureAlgorithm>>,
    /// Ciphers, for both directions.
    pub cipher: Vec<Algorithm<Cipher>>,
    /// MACs, for both directions.
    pub mac: Vec<Algorithm<Mac>>,
    /// Compression methods, for both directions.
    pub compression: Vec<Algorithm<Compression>>,
}

impl Default for Algorithms {
    fn default() -> Self {
        Self {
            kex: KEX.to_vec(),
            host_key: SIGNATURE.iter().filter(|row| !row.algorithm.uses_sha1()).copied().collect(),
            cipher: CIPHER.to_vec(),
            mac: MAC.to_vec(),
            compression: COMPRESSION.to_vec(),
        }
    }
}

/// The rows of `table` that a list of names picks, in the list's order; the error is the first name that no row has.
pub fn pick<T: Copy>(table: &[Algorithm<T>], names: &str) -> Result<Vec<Algorithm<T>>, String> {
    names
        .split(',')
        .map(|name| table.iter().find(|row| row.name == name).copied().ok_or_else(|| name.to_owned()))
        .collect()
}

/// Which of the lists of SSH_MSG_KEXINIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the fields")]
pub enum Slot {
    KexAlgorithms,
    ServerHostKeyAlgorithms,
    EncryptionAlgorithmsClientToServer,
    EncryptionAlgorithmsServerToClient,
    MacAlgorithmsClientToServer,
    MacAlgorithmsServerToClient,
    CompressionAlgorithmsClientToServer,
    CompressionAlgorithmsServerToClient,
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KexAlgorithms => "key exchange method",
            Self::ServerHostKeyAlgorithms => "host key type",
            Self::EncryptionAlgorithmsClientToServer | Self::EncryptionAlgorithmsServerToClient => "cipher",
            Self::MacAlgorithmsClientToServer | Self::MacAlgorithmsServerToClient => "MAC",
            Self::CompressionAlgorithmsClientToServer | Self::CompressionAlgorithmsServerToClient => {
                "compression method"
            }
        })
    }
}

/// The two sides have no algorithm of one kind in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incompatible {
    /// Which list.
    pub slot: Slot,
    /// What this side offers, joined by commas.
    pub local: String,
    /// What the peer offers, joined by commas; at most 1024 bytes of it, printable US-ASCII.
    pub remote: String,
}

impl fmt::Display for Incompatible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no common {}: this side offers {}; the peer offers {}", self.slot, self.local, self.remote)
    }
}

/// What one direction uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    /// The cipher.
    pub cipher: Algorithm<Cipher>,
    /// The MAC, of a cipher that needs one.
    pub mac: Option<Algorithm<Mac>>,
    /// The compression method.
    pub compression: Algorithm<Compression>,
}

/// What both sides agreed upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The key exchange method.
    pub kex: Algorithm<Method>,
    /// The signature algorithm of the host key.
    pub host_key: Algorithm<SignatureAlgorithm>,
    /// From the client to the server.
    pub client_to_server: Direction,
    /// From the server to the client.
    pub server_to_client: Direction,
}

/// Of each list the first of the client's names that the server has too; each direction apart (RFC 4253 §7.1).
pub(super) fn negotiate(
    local: &Algorithms,
    remote: &KexInit<'_>,
    role: Sender,
) -> Result<Negotiated, Box<Incompatible>> {
    let direction = |ciphers, macs, compressions, slots: [Slot; 3]| {
        let [cipher_slot, mac_slot, compression_slot] = slots;
        let cipher = common(&local.cipher, ciphers, role, cipher_slot)?;
        let mac = if cipher.algorithm.is_aead() {
            None // whatever the lists say, as OpenSSH
        } else {
            Some(common(&local.mac, macs, role, mac_slot)?)
        };
        let compression = common(&local.compression, compressions, role, compression_slot)?;
        Ok::<_, Box<Incompatible>>(Direction { cipher, mac, compression })
    };
    Ok(Negotiated {
        kex: common(&local.kex, remote.kex_algorithms, role, Slot::KexAlgorithms)?,
        host_key: common(
            &local.host_key,
            remote.server_host_key_algorithms,
            role,
            Slot::ServerHostKeyAlgorithms,
        )?,
        client_to_server: direction(
            remote.encryption_algorithms_client_to_server,
            remote.mac_algorithms_client_to_server,
            remote.compression_algorithms_client_to_server,
            [
                Slot::EncryptionAlgorithmsClientToServer,
                Slot::MacAlgorithmsClientToServer,
                Slot::CompressionAlgorithmsClientToServer,
            ],
        )?,
        server_to_client: direction(
            remote.encryption_algorithms_server_to_client,
            remote.mac_algorithms_server_to_client,
            remote.compression_algorithms_server_to_client,
            [
                Slot::EncryptionAlgorithmsServerToClient,
                Slot::MacAlgorithmsServerToClient,
                Slot::CompressionAlgorithmsServerToClient,
            ],
        )?,
    })
}

/// The lists of this side are short, so the work is linear in the peer's.
fn common<T: Copy>(
    local: &[Algorithm<T>],
    remote: NameList<'_>,
    role: Sender,
    slot: Slot,
) -> Result<Algorithm<T>, Box<Incompatible>> {
    let found = match role {
        Sender::Client => local.iter().find(|row| remote.contains(row.name)),
        Sender::Server => remote.iter().find_map(|name| local.iter().find(|row| row.name == name)),
    };
    found.copied().ok_or_else(|| {
        let local = names(local).collect::<Vec<_>>().join(",");
        Box::new(Incompatible { slot, local, remote: super::error::text_of_peer(remote.as_str().as_bytes()) })
    })
}

/// The names of a list's rows.
pub fn names<T>(rows: &[Algorithm<T>]) -> impl Iterator<Item = &'static str> + '_ {
    rows.iter().map(|row| row.name)
}
