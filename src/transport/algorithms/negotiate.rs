//! Negotiation (RFC 4253 §7.1): of each list the first of the client's names that the server has too.
//!
//! Of the peer's lists no more than [`NAMES_MAX`](crate::wire::NAMES_MAX) names are looked at, and the lists of this side
//! are short: work and memory are bounded, whatever the peer sends.

use super::{Algorithm, Algorithms, CIPHER, COMPRESSION, Compression, KEX, MAC, Offered, SIGNATURE, names};
use crate::crypto::kex::KeyExchange;
use crate::crypto::sign::certificate::KeyAlgorithm;
use crate::crypto::{Cipher, Mac};
use crate::wire::message::KexInit;
use crate::wire::{NameList, number::Sender};
use core::fmt;

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
    /// What the peer offers and this side knows but does not offer, in this side's order of preference. Empty for the host
    /// keys of a server, which would need a key and not a name.
    pub not_offered: Vec<NotOffered>,
}

/// A name that is known and was not offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotOffered {
    /// As in SSH_MSG_KEXINIT.
    pub name: &'static str,
    /// Who offers it unasked.
    pub offered: Offered,
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
    pub kex: Algorithm<KeyExchange>,
    /// The signature algorithm of the host key, and whether that is shown in a certificate.
    pub host_key: Algorithm<KeyAlgorithm>,
    /// From the client to the server.
    pub client_to_server: Direction,
    /// From the server to the client.
    pub server_to_client: Direction,
}

/// Of each list the first of the client's names that the server has too; each direction apart (RFC 4253 §7.1).
pub(in crate::transport) fn negotiate(
    local: &Algorithms,
    remote: &KexInit<'_>,
    role: Sender,
) -> Result<Negotiated, Box<Incompatible>> {
    let direction = |ciphers, macs, compressions, slots: [Slot; 3]| {
        let [cipher_slot, mac_slot, compression_slot] = slots;
        let cipher = common(&local.cipher, CIPHER, ciphers, role, cipher_slot)?;
        let mac = if cipher.algorithm.is_aead() {
            None // whatever the lists say, as OpenSSH
        } else {
            Some(common(&local.mac, MAC, macs, role, mac_slot)?)
        };
        let compression = common(&local.compression, COMPRESSION, compressions, role, compression_slot)?;
        Ok::<_, Box<Incompatible>>(Direction { cipher, mac, compression })
    };
    let host_keys = match role {
        Sender::Client => SIGNATURE,
        Sender::Server => &[],
    };
    Ok(Negotiated {
        kex: common(&local.kex, KEX, remote.kex_algorithms, role, Slot::KexAlgorithms)?,
        host_key: common(
            &local.host_key,
            host_keys,
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

fn common<T: Copy>(
    local: &[Algorithm<T>],
    known: &[Algorithm<T>],
    remote: NameList<'_>,
    role: Sender,
    slot: Slot,
) -> Result<Algorithm<T>, Box<Incompatible>> {
    let found = match role {
        Sender::Client => local.iter().find(|row| remote.contains(row.name)),
        Sender::Server => remote.iter().find_map(|name| local.iter().find(|row| row.name == name)),
    };
    found.copied().ok_or_else(|| {
        // None of this side's is among them: whatever both know is not offered here.
        let not_offered = known.iter().filter(|row| remote.contains(row.name));
        Box::new(Incompatible {
            slot,
            local: names(local).collect::<Vec<_>>().join(","),
            remote: crate::transport::text_of_peer(remote.as_str().as_bytes()),
            not_offered: not_offered.map(|row| NotOffered { name: row.name, offered: row.offered }).collect(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn row(name: &'static str, offered: Offered) -> Algorithm<()> {
        Algorithm { name, algorithm: (), offered }
    }

    const KNOWN: [Algorithm<()>; 4] = [
        row("a", Offered::ByBoth),
        row("b", Offered::ByBoth),
        row("c", Offered::ByName),
        row("d", Offered::Legacy),
    ];

    fn compare(
        local: &[Algorithm<()>],
        remote: &str,
        role: Sender,
    ) -> Result<&'static str, Box<Incompatible>> {
        let remote = NameList::from_bytes(remote.as_bytes()).unwrap();
        common(local, &KNOWN, remote, role, Slot::KexAlgorithms).map(|row| row.name)
    }

    #[test]
    fn the_first_of_the_clients_names_that_both_have_is_taken() {
        assert_eq!(compare(&KNOWN, "x,d,b,a", Sender::Client), Ok("a"));
        assert_eq!(compare(&KNOWN, "x,d,b,a", Sender::Server), Ok("d"));
    }

    #[test]
    fn what_the_peer_offers_and_is_known_here_is_told() {
        let told = compare(&KNOWN[..2], "d,x,c,ext-info-c", Sender::Server).unwrap_err();
        assert_eq!((&*told.local, &*told.remote), ("a,b", "d,x,c,ext-info-c"));
        let not_offered: Vec<_> = told.not_offered.iter().map(|known| (known.name, known.offered)).collect();
        assert_eq!(not_offered, [("c", Offered::ByName), ("d", Offered::Legacy)]);
        assert!(compare(&KNOWN[..2], "x,y", Sender::Client).unwrap_err().not_offered.is_empty());
    }

    #[test]
    fn t19_a_list_without_end_is_looked_at_only_at_its_beginning() {
        let beginning = "x,".repeat(crate::wire::NAMES_MAX - 1);
        let end = ",x".repeat(130_000);
        for role in [Sender::Client, Sender::Server] {
            assert_eq!(compare(&KNOWN, &format!("{beginning}a,b{end}"), role), Ok("a"), "the last looked at");
            let told = compare(&KNOWN, &format!("{beginning}x,a{end}"), role).unwrap_err();
            assert!(told.not_offered.is_empty() && told.remote.len() <= crate::transport::TEXT_MAX);
        }
    }
}
