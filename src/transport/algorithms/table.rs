//! The tables of algorithms, each in the order of preference: one line a row.
//!
//! No table but that of compression methods has `none`: it cannot be negotiated, whatever is configured.

use super::Offered::{ByBoth, ByClients, ByName, Legacy};
use super::{Algorithm, Compression, Offered};
use crate::crypto::kex::KeyExchange::{GroupExchange, OneStep};
use crate::crypto::kex::{KeyExchange, Method};
use crate::crypto::sign::certificate::KeyAlgorithm;
use crate::crypto::sign::{SignatureAlgorithm, ecdsa::Curve, rsa::Scheme};
use crate::crypto::{Cipher, Hash, Mac};

/// Key exchange methods.
pub static KEX: &[Algorithm<KeyExchange>] = &[
    row("mlkem768x25519-sha256", OneStep(Method::MlKem768X25519), ByBoth),
    row("mlkem768nistp256-sha256", OneStep(Method::MlKem768NistP256), ByName),
    row("mlkem1024nistp384-sha384", OneStep(Method::MlKem1024NistP384), ByName),
    #[cfg(feature = "sntrup")]
    row("sntrup761x25519-sha512", OneStep(Method::Sntrup761X25519), ByBoth),
    #[cfg(feature = "sntrup")]
    row("sntrup761x25519-sha512@openssh.com", OneStep(Method::Sntrup761X25519), ByBoth),
    row("curve25519-sha256", OneStep(Method::Curve25519), ByBoth),
    row("curve25519-sha256@libssh.org", OneStep(Method::Curve25519), ByBoth),
    row("ecdh-sha2-nistp256", OneStep(Method::EcdhNistP256), ByBoth),
    row("ecdh-sha2-nistp384", OneStep(Method::EcdhNistP384), ByBoth),
    row("ecdh-sha2-nistp521", OneStep(Method::EcdhNistP521), ByBoth),
    row("diffie-hellman-group16-sha512", OneStep(Method::DhGroup16Sha512), ByClients),
    row("diffie-hellman-group18-sha512", OneStep(Method::DhGroup18Sha512), ByName),
    row("diffie-hellman-group14-sha256", OneStep(Method::DhGroup14Sha256), ByClients),
    row("diffie-hellman-group-exchange-sha256", GroupExchange(Hash::Sha256), ByName),
    row("diffie-hellman-group14-sha1", OneStep(Method::DhGroup14Sha1), Legacy),
    row("diffie-hellman-group-exchange-sha1", GroupExchange(Hash::Sha1), Legacy),
];

/// Signature algorithms of host keys and users' keys: of those in certificates, then of those shown alone.
pub static SIGNATURE: &[Algorithm<KeyAlgorithm>] = &[
    row("ssh-ed25519-cert-v01@openssh.com", certified(SignatureAlgorithm::Ed25519), ByBoth),
    row(
        "ecdsa-sha2-nistp256-cert-v01@openssh.com",
        certified(SignatureAlgorithm::Ecdsa(Curve::Nistp256)),
        ByBoth,
    ),
    row(
        "ecdsa-sha2-nistp384-cert-v01@openssh.com",
        certified(SignatureAlgorithm::Ecdsa(Curve::Nistp384)),
        ByBoth,
    ),
    row(
        "ecdsa-sha2-nistp521-cert-v01@openssh.com",
        certified(SignatureAlgorithm::Ecdsa(Curve::Nistp521)),
        ByBoth,
    ),
    row("sk-ssh-ed25519-cert-v01@openssh.com", certified(SignatureAlgorithm::SkEd25519), ByBoth),
    row("sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", certified(SignatureAlgorithm::SkEcdsa), ByBoth),
    row("rsa-sha2-512-cert-v01@openssh.com", certified(SignatureAlgorithm::Rsa(Scheme::Sha512)), ByBoth),
    row("rsa-sha2-256-cert-v01@openssh.com", certified(SignatureAlgorithm::Rsa(Scheme::Sha256)), ByBoth),
    row("ssh-rsa-cert-v01@openssh.com", certified(SignatureAlgorithm::Rsa(Scheme::Sha1)), Legacy),
    row("ssh-ed25519", plain(SignatureAlgorithm::Ed25519), ByBoth),
    row("ecdsa-sha2-nistp256", plain(SignatureAlgorithm::Ecdsa(Curve::Nistp256)), ByBoth),
    row("ecdsa-sha2-nistp384", plain(SignatureAlgorithm::Ecdsa(Curve::Nistp384)), ByBoth),
    row("ecdsa-sha2-nistp521", plain(SignatureAlgorithm::Ecdsa(Curve::Nistp521)), ByBoth),
    row("sk-ssh-ed25519@openssh.com", plain(SignatureAlgorithm::SkEd25519), ByBoth),
    row("sk-ecdsa-sha2-nistp256@openssh.com", plain(SignatureAlgorithm::SkEcdsa), ByBoth),
    row("rsa-sha2-512", plain(SignatureAlgorithm::Rsa(Scheme::Sha512)), ByBoth),
    row("rsa-sha2-256", plain(SignatureAlgorithm::Rsa(Scheme::Sha256)), ByBoth),
    row("ssh-rsa", plain(SignatureAlgorithm::Rsa(Scheme::Sha1)), Legacy),
];

/// Ciphers, for a processor with instructions for AES; see [`Preset`](super::Preset) for others.
pub static CIPHER: &[Algorithm<Cipher>] = &[
    row("aes128-gcm@openssh.com", Cipher::Aes128Gcm, ByBoth),
    row("aes256-gcm@openssh.com", Cipher::Aes256Gcm, ByBoth),
    row("chacha20-poly1305@openssh.com", Cipher::ChaCha20Poly1305, ByBoth),
    row("aes256-ctr", Cipher::Aes256Ctr, ByBoth),
    row("aes192-ctr", Cipher::Aes192Ctr, ByBoth),
    row("aes128-ctr", Cipher::Aes128Ctr, ByBoth),
];

/// MACs.
pub static MAC: &[Algorithm<Mac>] = &[
    row("hmac-sha2-256-etm@openssh.com", Mac::HmacSha256Etm, ByBoth),
    row("hmac-sha2-512-etm@openssh.com", Mac::HmacSha512Etm, ByBoth),
    row("hmac-sha2-256", Mac::HmacSha256, ByBoth),
    row("hmac-sha2-512", Mac::HmacSha512, ByBoth),
    row("hmac-sha1-etm@openssh.com", Mac::HmacSha1Etm, Legacy),
    row("hmac-sha1", Mac::HmacSha1, Legacy),
];

/// Compression methods. What compresses is offered before `none`, and only by who asks for compression. `zlib` is not among
/// them: it would read streams of peers that nobody has authenticated (CVE-2026-23943).
pub static COMPRESSION: &[Algorithm<Compression>] =
    &[row("none", Compression::None, ByBoth), row("zlib@openssh.com", Compression::ZlibOpenssh, ByName)];

const fn certified(signature: SignatureAlgorithm) -> KeyAlgorithm {
    KeyAlgorithm::certified(signature)
}

const fn plain(signature: SignatureAlgorithm) -> KeyAlgorithm {
    KeyAlgorithm::plain(signature)
}

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
            let sha_1 = name.contains("sha1") || name.starts_with("ssh-rsa");
            assert_eq!(legacy(offered), sha_1, "{name}");
        }
    }
}
