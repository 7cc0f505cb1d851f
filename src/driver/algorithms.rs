//! The options that choose algorithms, by ssh's own names (ssh_config(5), sshd_config(5)), for both sides; and what to type
//! where two sides have none in common.

use super::Error;
use super::options::yes_no;
use crate::crypto::sign::SignatureAlgorithm;
use crate::crypto::sign::certificate::KeyAlgorithm;
use crate::keys::certificate::CA_SIGNATURE_ALGORITHMS;
use crate::transport;
use crate::transport::algorithms::{
    self, Algorithm, Algorithms, BadList, CIPHER, COMPRESSION, Compression, Incompatible, KEX, MAC, Offered,
    Preset, SIGNATURE, Slot, edit, names,
};
use crate::wire::number::Sender;

/// What `--help` says of presets.
pub const PRESET_HELP: &str = "\
Algorithms: -o AlgorithmPreset=NAME, before any list of algorithms wherever it stands:
  default        what is thought secure
  post-quantum   only key exchange that resists a quantum computer
  legacy         the default and, behind it, what is broken: for one old peer";

/// Lists that users gave, and the algorithms that these leave. Each list is one of the preset's defaults as edited by the
/// last text that was set, in whatever order presets and lists are set.
#[derive(Clone, Debug)]
pub struct AlgorithmOptions {
    role: Sender,
    preset: Preset,
    ciphers: Option<String>,
    host_key_algorithms: Option<String>,
    kex_algorithms: Option<String>,
    macs: Option<String>,
    pubkey_accepted_algorithms: Option<String>,
    ca_signature_algorithms: Option<String>,
    compression: bool,
    chosen: Algorithms,
    chosen_ca: Vec<SignatureAlgorithm>,
}

impl AlgorithmOptions {
    /// The default of a side.
    #[must_use]
    pub fn new(role: Sender) -> Self {
        Self {
            role,
            preset: Preset::Default,
            ciphers: None,
            host_key_algorithms: None,
            kex_algorithms: None,
            macs: None,
            pubkey_accepted_algorithms: None,
            ca_signature_algorithms: None,
            compression: false,
            chosen: Preset::Default.offered(role),
            chosen_ca: CA_SIGNATURE_ALGORITHMS.to_vec(),
        }
    }

    /// What is offered.
    #[must_use]
    pub const fn chosen(&self) -> &Algorithms {
        &self.chosen
    }

    /// What CAs may sign certificates by.
    #[must_use]
    pub fn ca_signature_algorithms(&self) -> &[SignatureAlgorithm] {
        &self.chosen_ca
    }

    /// Sets one option; nothing if the keyword is none of these.
    ///
    /// # Errors
    /// A text for the user; then nothing is changed.
    pub fn set(&mut self, keyword: &str, value: &str) -> Option<Result<(), String>> {
        let mut changed = self.clone();
        match keyword.to_ascii_lowercase().as_str() {
            "algorithmpreset" => match Preset::from_name(value) {
                Some(preset) => changed.preset = preset,
                None => return Some(Err(Preset::ALL.map(Preset::name).join(", "))),
            },
            "casignaturealgorithms" => changed.ca_signature_algorithms = Some(value.to_owned()),
            "ciphers" => changed.ciphers = Some(value.to_owned()),
            "compression" => match (yes_no(value), self.role) {
                (Some(yes), _) => changed.compression = yes,
                (None, Sender::Server) if value == "delayed" => changed.compression = true, // the only kind there is
                (None, _) => return Some(Err("yes or no".to_owned())),
            },
            "hostkeyalgorithms" => changed.host_key_algorithms = Some(value.to_owned()),
            "kexalgorithms" => changed.kex_algorithms = Some(value.to_owned()),
            "macs" => changed.macs = Some(value.to_owned()),
            "pubkeyacceptedalgorithms" => changed.pubkey_accepted_algorithms = Some(value.to_owned()),
            _ => return None,
        }
        let chosen = changed.choose().and_then(|chosen| Ok((chosen, changed.choose_ca()?)));
        Some(chosen.map(|(chosen, chosen_ca)| *self = Self { chosen, chosen_ca, ..changed }))
    }

    /// A CA's signature that rests on SHA-1 is not taken, whoever names it.
    fn choose_ca(&self) -> Result<Vec<SignatureAlgorithm>, String> {
        let plain = |row: &Algorithm<KeyAlgorithm>| {
            let signature = row.algorithm.signature;
            (!row.algorithm.certified).then_some(Algorithm {
                name: row.name,
                algorithm: signature,
                offered: row.offered,
            })
        };
        let known: Vec<_> = SIGNATURE.iter().filter_map(plain).collect();
        let sound: Vec<_> =
            known.iter().filter(|row| CA_SIGNATURE_ALGORITHMS.contains(&row.algorithm)).copied().collect();
        let given = &self.ca_signature_algorithms;
        let rows = list("CASignatureAlgorithms", given, &known, &sound, sound.clone(), true)?;
        Ok(rows.iter().map(|row| row.algorithm).collect())
    }

    fn choose(&self) -> Result<Algorithms, String> {
        let (all, default) = (self.preset.permitted(self.role), self.preset.offered(self.role));
        // As ssh does it, only names of keys may be patterns where something is added.
        Ok(Algorithms {
            kex: list("KexAlgorithms", &self.kex_algorithms, KEX, &all.kex, default.kex, false)?,
            host_key: list(
                "HostKeyAlgorithms",
                &self.host_key_algorithms,
                SIGNATURE,
                &all.host_key,
                default.host_key,
                true,
            )?,
            user_key: list(
                "PubkeyAcceptedAlgorithms",
                &self.pubkey_accepted_algorithms,
                SIGNATURE,
                &all.user_key,
                default.user_key,
                true,
            )?,
            cipher: list("Ciphers", &self.ciphers, CIPHER, &all.cipher, default.cipher, false)?,
            mac: list("MACs", &self.macs, MAC, &all.mac, default.mac, false)?,
            compression: if self.compression { compressing(all.compression) } else { default.compression },
        })
    }

    /// A list without the names that only ssh knows: files are written for ssh. Nothing if a change to the default is of
    /// such names alone; a whole list of them is left as it is, to be told.
    pub(super) fn without_ssh_only(list: &str) -> Option<String> {
        let (mark, names) = list.split_at(usize::from(list.starts_with(['+', '^', '-'])));
        let kept: Vec<_> = names.split(',').filter(|name| !is_ssh_only(name)).collect();
        match (kept.is_empty(), mark) {
            (false, _) => Some(format!("{mark}{}", kept.join(","))),
            (true, "") => Some(list.to_owned()),
            (true, _) => None,
        }
    }

    /// Whether the user says which host key algorithm comes first.
    #[must_use]
    pub fn orders_host_keys(&self) -> bool {
        self.host_key_algorithms.as_ref().is_some_and(|list| !list.starts_with(['+', '-']))
    }

    /// Why a connection ended; where no algorithm was common, with what to type.
    #[must_use]
    pub fn explain(&self, error: &Error) -> String {
        match error {
            Error::Ssh(transport::Error::Incompatible(lists)) => format!("{lists}; {}", self.advice(lists)),
            other => other.to_string(),
        }
    }

    fn advice(&self, lists: &Incompatible) -> String {
        let keyword = match lists.slot {
            Slot::KexAlgorithms => "KexAlgorithms",
            Slot::ServerHostKeyAlgorithms if self.role == Sender::Server => {
                return "no host key here is of that kind".to_owned();
            }
            Slot::ServerHostKeyAlgorithms => "HostKeyAlgorithms",
            Slot::EncryptionAlgorithmsClientToServer | Slot::EncryptionAlgorithmsServerToClient => "Ciphers",
            Slot::MacAlgorithmsClientToServer | Slot::MacAlgorithmsServerToClient => "MACs",
            Slot::CompressionAlgorithmsClientToServer | Slot::CompressionAlgorithmsServerToClient => {
                "Compression"
            }
        };
        let sound = lists.not_offered.iter().find(|known| known.offered != Offered::Legacy);
        let Some(known) = sound.or(lists.not_offered.first()) else {
            return "nothing here speaks any of these".to_owned();
        };
        let name = known.name;
        let permitted = self.preset.permitted(self.role);
        if lists.slot == Slot::KexAlgorithms && !names(&permitted.kex).any(|other| other == name) {
            return format!("-o AlgorithmPreset={} refuses {name}", self.preset.name());
        }
        if keyword == "Compression" {
            return "to allow it: -o Compression=yes".to_owned();
        }
        let warning = if known.offered == Offered::Legacy { ", INSECURE, for this peer alone" } else { "" };
        format!("to allow it{warning}: -o {keyword}=+{name}")
    }
}

/// Names that OpenSSH has, or had, and that are not implemented here.
const SSH_ONLY: &[&str] = &[
    "3des-cbc",
    "aes128-cbc",
    "aes192-cbc",
    "aes256-cbc",
    "arcfour",
    "arcfour128",
    "arcfour256",
    "blowfish-cbc",
    "cast128-cbc",
    "rijndael-cbc@lysator.liu.se",
    "diffie-hellman-group1-sha1",
    "hmac-md5",
    "hmac-md5-96",
    "hmac-md5-96-etm@openssh.com",
    "hmac-md5-etm@openssh.com",
    "hmac-ripemd160",
    "hmac-ripemd160-etm@openssh.com",
    "hmac-ripemd160@openssh.com",
    "hmac-sha1-96",
    "hmac-sha1-96-etm@openssh.com",
    "umac-128-etm@openssh.com",
    "umac-128@openssh.com",
    "umac-64-etm@openssh.com",
    "umac-64@openssh.com",
    "ssh-dss",
    "ssh-dss-cert-v01@openssh.com",
    "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
];

fn is_ssh_only(name: &str) -> bool {
    SSH_ONLY.contains(&name)
}

/// Applies a user's list; `known` are all rows, `permitted` those that may be used.
fn list<T: Copy>(
    keyword: &str,
    given: &Option<String>,
    known: &[Algorithm<T>],
    permitted: &[Algorithm<T>],
    default: Vec<Algorithm<T>>,
    wildcards: bool,
) -> Result<Vec<Algorithm<T>>, String> {
    let Some(given) = given else { return Ok(default) };
    edit(permitted, &default, given, wildcards).map_err(|why| match why {
        BadList::Nothing => format!("{keyword}: nothing is left"),
        BadList::Unknown(name) => {
            let names = names(permitted).collect::<Vec<_>>().join(", ");
            if algorithms::names(known).any(|other| other == name) {
                format!("{keyword}: {name} is refused; it may be {names}")
            } else {
                format!("{keyword}: {name} is not known; known are {names}")
            }
        }
    })
}

/// What compresses first; a peer need not agree.
fn compressing(mut rows: Vec<Algorithm<Compression>>) -> Vec<Algorithm<Compression>> {
    rows.sort_by_key(|row| row.algorithm == Compression::None);
    rows
}

/// What [`query`] answers.
pub const QUERIES: &[&str] = &["cipher", "compression", "kex", "key", "mac", "sig"];

/// All names of one kind, as `ssh -Q` gives them: what can be named, offered or not.
#[must_use]
pub fn query(what: &str) -> Option<Vec<&'static str>> {
    Some(match what {
        "cipher" => names(CIPHER).collect(),
        "compression" => names(COMPRESSION).collect(),
        "kex" => names(KEX).collect(),
        "key" => {
            let mut types: Vec<_> = SIGNATURE.iter().map(|row| row.algorithm.key_type()).collect();
            types.sort_unstable();
            types.dedup();
            types
        }
        "mac" => names(MAC).collect(),
        "sig" => SIGNATURE.iter().filter(|row| !row.algorithm.certified).map(|row| row.name).collect(),
        "help" => QUERIES.to_vec(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::algorithms::NotOffered;

    fn options(role: Sender, set: &[(&str, &str)]) -> Result<AlgorithmOptions, String> {
        let mut options = AlgorithmOptions::new(role);
        for (keyword, value) in set {
            options.set(keyword, value).unwrap_or_else(|| panic!("{keyword}"))?;
        }
        Ok(options)
    }

    fn ciphers(options: &AlgorithmOptions) -> String {
        names(&options.chosen().cipher).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn a_list_changes_the_default_and_the_last_one_set_counts() {
        let one = options(Sender::Client, &[("Ciphers", "-*gcm*"), ("ciphers", "^aes256-ctr")]).unwrap();
        let other = options(Sender::Client, &[("CIPHERS", "^aes256-ctr")]).unwrap();
        assert_eq!(ciphers(&one), ciphers(&other));
        assert!(ciphers(&one).starts_with("aes256-ctr,") && ciphers(&one).contains("gcm"));
        let only = options(Sender::Server, &[("MACs", "hmac-sha2-256"), ("Ciphers", "aes256-ctr")]).unwrap();
        assert_eq!(
            (names(&only.chosen().mac).collect(), &*ciphers(&only)),
            (vec!["hmac-sha2-256"], "aes256-ctr")
        );
    }

    #[test]
    fn a_wrong_list_is_told_and_changes_nothing() {
        let mut options = AlgorithmOptions::new(Sender::Client);
        let why = options.set("Ciphers", "+blowfish").unwrap().unwrap_err();
        assert!(
            why.starts_with("Ciphers: blowfish is not known; known are ") && why.contains("aes256-ctr"),
            "{why}"
        );
        assert_eq!(options.set("MACs", "-*").unwrap().unwrap_err(), "MACs: nothing is left");
        assert_eq!(
            options.set("AlgorithmPreset", "x").unwrap().unwrap_err(),
            "default, post-quantum, legacy"
        );
        assert!(options.set("Compression", "delayed").unwrap().is_err());
        assert!(options.set("Port", "22").is_none());
        assert_eq!(options.chosen(), &Algorithms::client());
    }

    #[test]
    fn patterns_add_names_of_keys_only() {
        for keyword in ["HostKeyAlgorithms", "PubkeyAcceptedAlgorithms"] {
            assert!(options(Sender::Client, &[(keyword, "^ssh-ed*")]).is_ok());
        }
        for (keyword, list) in [("Ciphers", "aes*"), ("MACs", "+hmac*"), ("KexAlgorithms", "^curve*")] {
            assert!(options(Sender::Client, &[(keyword, list)]).unwrap_err().contains("is not known"));
        }
    }

    #[test]
    fn a_preset_comes_before_the_lists_in_whatever_order() {
        let preset = ("AlgorithmPreset", "post-quantum");
        for list in ["curve25519-sha256", "+curve25519-sha256", "^curve25519-sha256"] {
            let list = ("KexAlgorithms", list);
            for both in [[preset, list], [list, preset]] {
                let why = options(Sender::Client, &both).unwrap_err();
                assert!(why.starts_with("KexAlgorithms: curve25519-sha256 is refused"), "{why}");
            }
        }
        let list = ("Ciphers", "-*ctr");
        for preset in Preset::ALL {
            let preset = ("AlgorithmPreset", preset.name());
            let [one, other] =
                [[preset, list], [list, preset]].map(|both| options(Sender::Client, &both).unwrap());
            assert_eq!(one.chosen(), other.chosen());
        }
        let only = options(Sender::Server, &[preset]).unwrap();
        assert!(only.chosen().kex.iter().all(|row| row.algorithm.is_post_quantum()));
    }

    #[test]
    fn t26_a_legacy_signature_is_refused_for_users_and_as_a_servers_own() {
        for row in SIGNATURE.iter().filter(|row| row.offered == Offered::Legacy) {
            let list = format!("+{}", row.name);
            for role in [Sender::Client, Sender::Server] {
                assert!(
                    options(role, &[("PubkeyAcceptedAlgorithms", &list)]).unwrap_err().contains("refused")
                );
            }
            assert!(options(Sender::Server, &[("HostKeyAlgorithms", &list)]).is_err());
            assert!(options(Sender::Client, &[("HostKeyAlgorithms", &list)]).is_ok());
        }
    }

    #[test]
    fn t26_cas_sign_by_what_the_user_lists_and_never_by_sha_1() {
        let listed = |list: &str| {
            let set = options(Sender::Client, &[("CASignatureAlgorithms", list)])?;
            Ok(set.ca_signature_algorithms().iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>())
        };
        let all = AlgorithmOptions::new(Sender::Client).ca_signature_algorithms().len();
        assert_eq!(listed("rsa-sha2-256,ssh-ed25519"), Ok(vec!["rsa-sha2-256", "ssh-ed25519"]));
        assert_eq!(listed("-rsa*").unwrap().len(), all - 2);
        assert_eq!(listed("*").unwrap().len(), all);
        assert_eq!(listed("^rsa-sha2-256").unwrap()[0], "rsa-sha2-256");
        let why: Result<_, String> = listed("+ssh-rsa");
        assert!(why.unwrap_err().starts_with("CASignatureAlgorithms: ssh-rsa is refused"));
        assert!(listed("ssh-ed25519-cert-v01@openssh.com").unwrap_err().contains("is not known"));
    }

    #[test]
    fn compression_is_offered_to_who_asks_before_none() {
        for (role, value) in [(Sender::Client, "yes"), (Sender::Server, "yes"), (Sender::Server, "delayed")] {
            let asked = options(role, &[("Compression", value)]).unwrap();
            assert_eq!(asked.chosen().compression.len(), COMPRESSION.len());
            assert_eq!(asked.chosen().compression.last().unwrap().name, "none");
        }
        let not = options(Sender::Client, &[("Compression", "yes"), ("Compression", "no")]).unwrap();
        assert_eq!(names(&not.chosen().compression).collect::<Vec<_>>(), ["none"]);
    }

    #[test]
    fn the_advice_is_what_can_be_typed() {
        let known = |name, offered| NotOffered { name, offered };
        let explained = |role, preset, slot, not_offered: &[NotOffered]| {
            let (local, remote) = ("a,b".to_owned(), "c".to_owned());
            let not_offered = not_offered.to_vec();
            let lists = Incompatible { slot, local, remote, not_offered };
            let error = Error::Ssh(transport::Error::Incompatible(Box::new(lists)));
            options(role, &[("AlgorithmPreset", preset)]).unwrap().explain(&error)
        };
        let client =
            |slot, not_offered: &[NotOffered]| explained(Sender::Client, "default", slot, not_offered);
        let old = known("old", Offered::Legacy);
        assert_eq!(
            client(Slot::EncryptionAlgorithmsServerToClient, &[old, known("new", Offered::ByName)]),
            "no common cipher: this side offers a,b; the peer offers c; to allow it: -o Ciphers=+new"
        );
        assert!(
            client(Slot::ServerHostKeyAlgorithms, &[old])
                .ends_with("; to allow it, INSECURE, for this peer alone: -o HostKeyAlgorithms=+old")
        );
        assert!(
            client(Slot::MacAlgorithmsClientToServer, &[]).ends_with("; nothing here speaks any of these")
        );
        let zlib = [known("zlib@openssh.com", Offered::ByName)];
        assert!(
            client(Slot::CompressionAlgorithmsClientToServer, &zlib)
                .ends_with("; to allow it: -o Compression=yes")
        );
        let curve = known("curve25519-sha256", Offered::ByBoth);
        let refused = explained(Sender::Client, "post-quantum", Slot::KexAlgorithms, &[curve]);
        assert!(
            refused.ends_with("; -o AlgorithmPreset=post-quantum refuses curve25519-sha256"),
            "{refused}"
        );
        let server = explained(Sender::Server, "default", Slot::ServerHostKeyAlgorithms, &[]);
        assert!(server.ends_with("; no host key here is of that kind"));
        let other = AlgorithmOptions::new(Sender::Client).explain(&transport::Error::TimedOut.into());
        assert_eq!(other, "the peer did not answer in time");
    }

    #[test]
    fn names_that_only_ssh_has_are_left_out_of_files() {
        for (list, expected) in [
            ("aes256-ctr,3des-cbc", Some("aes256-ctr")),
            ("+3des-cbc,aes256-ctr", Some("+aes256-ctr")),
            ("3des-cbc", Some("3des-cbc")),
            ("+3des-cbc", None),
            ("-3des-cbc", None),
            ("^ssh-dss-cert-v01@openssh.com,ssh-ed25519", Some("^ssh-ed25519")),
            ("frobnicate", Some("frobnicate")),
        ] {
            assert_eq!(AlgorithmOptions::without_ssh_only(list).as_deref(), expected);
        }
        let ours: Vec<_> = QUERIES.iter().flat_map(|kind| query(kind).unwrap()).collect();
        assert!(SSH_ONLY.iter().all(|name| !ours.contains(name)), "what is implemented leaves the list");
    }

    #[test]
    fn known_host_keys_come_first_unless_the_user_orders_them() {
        for (list, orders) in
            [("+ssh-ed25519", false), ("-x", false), ("^ssh-ed25519", true), ("ssh-ed25519", true)]
        {
            let set = options(Sender::Client, &[("HostKeyAlgorithms", list)]).unwrap();
            assert_eq!(set.orders_host_keys(), orders, "{list}");
        }
    }
}
