//! Presets: from the tables to a side's offer.

use super::{Algorithm, Algorithms, CIPHER, COMPRESSION, KEX, MAC, Offered, SIGNATURE};
use crate::crypto::sign::certificate::KeyAlgorithm;
use crate::crypto::{Cipher, aes_is_fast};
use crate::wire::number::Sender;

/// What is offered, in a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// What is thought secure.
    #[default]
    Default,
    /// The same with no key exchange method but those that resist a quantum computer; others cannot even be named.
    PostQuantum,
    /// The default, and behind it what is broken: for one old peer.
    Legacy,
}

impl Preset {
    /// Every preset there is.
    pub const ALL: [Self; 3] = [Self::Default, Self::PostQuantum, Self::Legacy];

    /// The name, as users type it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::PostQuantum => "post-quantum",
            Self::Legacy => "legacy",
        }
    }

    /// The preset of exactly this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == name)
    }

    /// What a side offers without a further word.
    #[must_use]
    pub fn offered(self, role: Sender) -> Algorithms {
        let permitted = self.permitted(role);
        let kex = match self {
            Self::PostQuantum => permitted.kex,
            Self::Default | Self::Legacy => self.unasked(permitted.kex, role),
        };
        Algorithms {
            kex,
            host_key: self.unasked(permitted.host_key, role),
            user_key: self.unasked(permitted.user_key, role),
            cipher: self.unasked(permitted.cipher, role),
            mac: self.unasked(permitted.mac, role),
            compression: self.unasked(permitted.compression, role),
        }
    }

    /// All that a side may offer if it is named. A signature that rests on SHA-1 is only ever checked, and only that of a
    /// host key.
    #[must_use]
    pub fn permitted(self, role: Sender) -> Algorithms {
        let kex = KEX.iter().filter(|row| self != Self::PostQuantum || row.algorithm.is_post_quantum());
        let sound: Vec<Algorithm<KeyAlgorithm>> =
            SIGNATURE.iter().filter(|row| row.offered != Offered::Legacy).copied().collect();
        Algorithms {
            kex: kex.copied().collect(),
            host_key: match role {
                Sender::Client => SIGNATURE.to_vec(),
                Sender::Server => sound.clone(),
            },
            user_key: sound,
            cipher: ciphers(aes_is_fast()),
            mac: MAC.to_vec(),
            compression: COMPRESSION.to_vec(),
        }
    }

    /// Of `rows`, those that are offered without their name; legacy ones at the end.
    fn unasked<T>(self, mut rows: Vec<Algorithm<T>>, role: Sender) -> Vec<Algorithm<T>> {
        rows.retain(|row| match row.offered {
            Offered::ByBoth => true,
            Offered::ByClients => role == Sender::Client,
            Offered::ByName => false,
            Offered::Legacy => self == Self::Legacy,
        });
        rows.sort_by_key(|row| row.offered == Offered::Legacy);
        rows
    }
}

/// The ciphers; where the processor has no instructions for AES, ChaCha20 is the fast one and comes first.
fn ciphers(aes_is_fast: bool) -> Vec<Algorithm<Cipher>> {
    let mut rows = CIPHER.to_vec();
    if !aes_is_fast {
        rows.sort_by_key(|row| row.algorithm != Cipher::ChaCha20Poly1305);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::names;
    use super::*;

    const ROLES: [Sender; 2] = [Sender::Client, Sender::Server];

    #[test]
    fn a_row_is_offered_by_whom_its_class_says() {
        let row = |name, offered| Algorithm { name, algorithm: (), offered };
        let rows = vec![
            row("old", Offered::Legacy),
            row("both", Offered::ByBoth),
            row("client", Offered::ByClients),
            row("name", Offered::ByName),
        ];
        let offer = |preset: Preset, role| names(&preset.unasked(rows.clone(), role)).collect::<Vec<_>>();
        for preset in [Preset::Default, Preset::PostQuantum] {
            assert_eq!(offer(preset, Sender::Client), ["both", "client"]);
            assert_eq!(offer(preset, Sender::Server), ["both"]);
        }
        assert_eq!(offer(Preset::Legacy, Sender::Client), ["both", "client", "old"]);
        assert_eq!(offer(Preset::Legacy, Sender::Server), ["both", "old"]);
    }

    #[test]
    fn the_defaults_of_both_roles_have_a_row_in_every_list_and_meet() {
        let (client, server) = (Algorithms::client(), Algorithms::server());
        let lists = |own: &Algorithms| {
            [
                names(&own.kex).collect::<Vec<_>>(),
                names(&own.host_key).collect(),
                names(&own.user_key).collect(),
                names(&own.cipher).collect(),
                names(&own.mac).collect(),
                names(&own.compression).collect(),
            ]
        };
        for (client, server) in lists(&client).iter().zip(lists(&server)) {
            assert!(!server.is_empty());
            assert!(server.iter().all(|name| client.contains(name)), "{client:?} {server:?}");
        }
        assert_eq!(lists(&server).last().unwrap(), &["none"], "compression is asked for");
    }

    #[test]
    fn post_quantum_has_no_other_method_and_permits_none() {
        for role in ROLES {
            let (offered, permitted) =
                (Preset::PostQuantum.offered(role), Preset::PostQuantum.permitted(role));
            assert!(permitted.kex.iter().all(|row| row.algorithm.is_post_quantum()));
            assert_eq!(offered.kex, permitted.kex);
            assert_eq!(offered.cipher, Preset::Default.offered(role).cipher);
            let hybrid = |name: &str| name.starts_with("mlkem") || name.starts_with("sntrup");
            assert!(KEX.iter().all(|row| row.algorithm.is_post_quantum() == hybrid(row.name)));
        }
    }

    #[test]
    fn t26_legacy_signatures_are_for_host_keys_that_a_client_checks() {
        let legacy = |rows: &[Algorithm<_>]| rows.iter().any(|row| row.offered == Offered::Legacy);
        for preset in Preset::ALL {
            for role in ROLES {
                assert!(!legacy(&preset.permitted(role).user_key));
            }
            assert!(!legacy(&preset.permitted(Sender::Server).host_key));
            let shown = legacy(&preset.offered(Sender::Client).host_key);
            assert_eq!(shown, preset == Preset::Legacy && legacy(SIGNATURE));
        }
    }

    #[test]
    fn the_first_cipher_is_the_one_that_is_fast_here() {
        let first = |aes_is_fast| ciphers(aes_is_fast).first().map(|row| row.name);
        assert_eq!(first(true), Some("aes128-gcm@openssh.com"));
        assert_eq!(first(false), Some("chacha20-poly1305@openssh.com"));
        assert_eq!(ciphers(false).len(), CIPHER.len());
    }

    #[test]
    fn presets_have_names() {
        assert!(Preset::ALL.iter().all(|preset| Preset::from_name(preset.name()) == Some(*preset)));
        assert_eq!(Preset::from_name("Default"), None);
    }
}
