//! Algorithms by their names: which there are, who offers which, and what two sides agree upon (RFC 4253 §7.1).
//!
//! The tables hold the rows: a further algorithm is one line there and one file in `crypto`. A [`Preset`] makes a
//! side's offer of them, [`edit`] changes a list by the words of ssh_config(5), `negotiate` compares two offers. All this
//! knows names and which cipher needs no MAC; what an algorithm does it does not know, nor where a user's words come from.

mod list;
mod negotiate;
mod preset;
mod table;

pub use list::{BadList, edit, pick};
pub use negotiate::{Direction, Incompatible, Negotiated, NotOffered, Slot};
pub use preset::Preset;
pub use table::{CIPHER, COMPRESSION, KEX, MAC, SIGNATURE};

pub(super) use negotiate::negotiate;

use crate::crypto::kex::KeyExchange;
use crate::crypto::sign::certificate::KeyAlgorithm;
use crate::crypto::{Cipher, Mac};
use crate::wire::number::Sender;

/// A row of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Algorithm<T> {
    /// As in SSH_MSG_KEXINIT.
    pub name: &'static str,
    /// What it names.
    pub algorithm: T,
    /// Who offers it unasked.
    pub offered: Offered,
}

/// Who offers a row without being told its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// Clients and servers.
    ByBoth,
    /// Clients, who meet peers that are older than themselves.
    ByClients,
    /// Nobody.
    ByName,
    /// Nobody, and no pattern finds it: it is broken, or will be. Whoever must reach one old peer names it for that peer,
    /// or says [`Preset::Legacy`].
    Legacy,
}

/// A compression method (RFC 4253 §6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Payloads go as they are.
    None,
    /// Payloads are compressed once a user is authenticated (OpenSSH PROTOCOL §1.2).
    ZlibOpenssh,
}

/// What a side offers, each list in its order of preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Algorithms {
    /// Key exchange methods.
    pub kex: Vec<Algorithm<KeyExchange>>,
    /// Signature algorithms of the host key, alone or in a certificate.
    pub host_key: Vec<Algorithm<KeyAlgorithm>>,
    /// Signature algorithms of users' keys, alone or in a certificate: a client signs with no other; a server takes no
    /// other, and announces those of keys alone as `server-sig-algs` (RFC 8308 §3.1).
    pub user_key: Vec<Algorithm<KeyAlgorithm>>,
    /// Ciphers, for both directions.
    pub cipher: Vec<Algorithm<Cipher>>,
    /// MACs, for both directions.
    pub mac: Vec<Algorithm<Mac>>,
    /// Compression methods, for both directions.
    pub compression: Vec<Algorithm<Compression>>,
}

impl Algorithms {
    /// What a client offers by default.
    #[must_use]
    pub fn client() -> Self {
        Preset::Default.offered(Sender::Client)
    }

    /// What a server offers by default.
    #[must_use]
    pub fn server() -> Self {
        Preset::Default.offered(Sender::Server)
    }
}

/// The names of a list's rows.
pub fn names<T>(rows: &[Algorithm<T>]) -> impl Iterator<Item = &'static str> + '_ {
    rows.iter().map(|row| row.name)
}
