//! The tables of algorithms, each in the order of preference: one line a row.
//!
//! No table but that of compression methods has `none`: it cannot be negotiated, whatever is configured.

use super::Offered::ByBoth;
use super::{Algorithm, Compression, Offered};
use crate::crypto::kex::Method;
use crate::crypto::sign::SignatureAlgorithm;
use crate::crypto::{Cipher, Mac};

/// Key exchange methods.
pub static KEX: &[Algorithm<Method>] = &[
    row("curve25519-sha256", Method::Curve25519, ByBoth),
    row("curve25519-sha256@libssh.org", Method::Curve25519, ByBoth),
];

/// Signature algorithms of host keys and users' keys.
pub static SIGNATURE: &[Algorithm<SignatureAlgorithm>] =
    &[row("ssh-ed25519", SignatureAlgorithm::Ed25519, ByBoth)];

/// Ciphers, for a processor with instructions for AES; see [`Preset`](super::Preset) for others.
pub static CIPHER: &[Algorithm<Cipher>] = &[
    row("aes128-gcm@openssh.com", Cipher::Aes128Gcm, ByBoth),
    row("aes256-gcm@openssh.com", Cipher::Aes256Gcm, ByBoth),
    row("chacha20-poly1305@openssh.com", Cipher::ChaCha20Poly1305, ByBoth),
    row("aes256-ctr", Cipher::Aes256Ctr, ByBoth),
];

/// MACs.
pub static MAC: &[Algorithm<Mac>] = &[
    row("hmac-sha2-256-etm@openssh.com", Mac::HmacSha256Etm, ByBoth),
    row("hmac-sha2-256", Mac::HmacSha256, ByBoth),
];

/// Compression methods. What compresses is offered before `none`, and only by who asks for compression.
pub static COMPRESSION: &[Algorithm<Compression>] = &[row("none", Compression::None, ByBoth)];

const fn row<T: Copy>(name: &'static str, algorithm: T, offered: Offered) -> Algorithm<T> {
    Algorithm { name, algorithm, offered }
}

#[cfg(test)]
mod tests {
    use super::super::names;
    use super::*;
    use crate::wire::NameList;
    use std::collections::BTreeSet;

    #[test]
    fn t16_no_table_of_what_protects_has_none() {
        assert!(names(CIPHER).chain(names(MAC)).chain(names(KEX)).all(|name| !name.contains("none")));
        assert!(names(SIGNATURE).all(|name| !name.contains("none") && name != "null"));
    }

    #[test]
    fn every_name_stands_once_and_can_be_a_name() {
        let tables = [
            names(KEX).collect::<Vec<_>>(),
            names(SIGNATURE).collect(),
            names(CIPHER).collect(),
            names(MAC).collect(),
            names(COMPRESSION).collect(),
        ];
        for table in tables {
            assert_eq!(table.iter().collect::<BTreeSet<_>>().len(), table.len(), "{table:?}");
            let list = table.join(",");
            assert_eq!(NameList::from_bytes(list.as_bytes()).unwrap().iter().collect::<Vec<_>>(), table);
        }
        for row in SIGNATURE {
            assert_eq!(row.name, row.algorithm.name());
        }
    }

    #[test]
    fn t26_what_rests_on_sha_1_is_legacy() {
        let legacy = |offered| offered == Offered::Legacy;
        for (name, offered) in KEX
            .iter()
            .map(|row| (row.name, row.offered))
            .chain(MAC.iter().map(|row| (row.name, row.offered)))
            .chain(SIGNATURE.iter().map(|row| (row.name, row.offered)))
        {
            let sha_1 = name.contains("sha1") || name == "ssh-rsa";
            assert_eq!(legacy(offered), sha_1, "{name}");
        }
    }
}
