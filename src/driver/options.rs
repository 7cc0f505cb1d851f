//! What a client may be told about a connection, by ssh's own names (ssh_config(5)).

use super::algorithms::AlgorithmOptions;
use crate::crypto::sign::{PrivateKey, SignatureAlgorithm};
use crate::transport::algorithms::Algorithm;
use crate::transport::{ClientConfig, RekeyLimit, TransportConfig};
use crate::wire::number::Sender;
use core::time::Duration;
use std::env;
use std::path::PathBuf;

/// What is done with a host key that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrictHostKeyChecking {
    /// Refused.
    Yes,
    /// Accepted and noted down.
    AcceptNew,
    /// The person at the terminal is asked; refused where there is none.
    Ask,
}

/// Where to log in, as whom, and by what rules.
#[derive(Clone, Debug)]
pub struct Options {
    /// As the user typed it.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The name at the server.
    pub user: String,
    /// Files of private keys, to be tried in this order; without any, the default one if it is there.
    pub identity_files: Vec<PathBuf>,
    /// The first is the one that new keys are noted down in.
    pub user_known_hosts_files: Vec<PathBuf>,
    /// Read only.
    pub global_known_hosts_files: Vec<PathBuf>,
    /// For hosts that are not known.
    pub strict_host_key_checking: StrictHostKeyChecking,
    /// Never ask.
    pub batch_mode: bool,
    /// How often a password is asked for.
    pub number_of_password_prompts: u32,
    /// Whether keys are tried.
    pub pubkey_authentication: bool,
    /// Whether passwords are.
    pub password_authentication: bool,
    /// How long the connection may take until keys are in use.
    pub connect_timeout: Duration,
    /// What is offered.
    pub algorithms: AlgorithmOptions,
    /// When keys are renewed.
    pub rekey_limit: RekeyLimit,
}

/// The keywords that [`Options::set`] takes; the only list of them.
pub const KEYWORDS: &[&str] = &[
    "AlgorithmPreset",
    "BatchMode",
    "Ciphers",
    "Compression",
    "ConnectTimeout",
    "GlobalKnownHostsFile",
    "HostKeyAlgorithms",
    "IdentityFile",
    "KexAlgorithms",
    "MACs",
    "NumberOfPasswordPrompts",
    "PasswordAuthentication",
    "Port",
    "PubkeyAcceptedAlgorithms",
    "PubkeyAuthentication",
    "RekeyLimit",
    "StrictHostKeyChecking",
    "User",
    "UserKnownHostsFile",
];

impl Options {
    /// The defaults of ssh for a host.
    #[must_use]
    pub fn new(host: &str) -> Self {
        let home = home();
        Self {
            host: host.to_owned(),
            port: 22,
            user: env::var("USER").or_else(|_| env::var("LOGNAME")).unwrap_or_else(|_| "root".to_owned()),
            identity_files: Vec::new(),
            user_known_hosts_files: vec![home.join(".ssh/known_hosts"), home.join(".ssh/known_hosts2")],
            global_known_hosts_files: vec![
                "/etc/ssh/ssh_known_hosts".into(),
                "/etc/ssh/ssh_known_hosts2".into(),
            ],
            strict_host_key_checking: StrictHostKeyChecking::Ask,
            batch_mode: false,
            number_of_password_prompts: 3,
            pubkey_authentication: true,
            password_authentication: true,
            connect_timeout: Duration::from_secs(120),
            algorithms: AlgorithmOptions::new(Sender::Client),
            rekey_limit: RekeyLimit::default(),
        }
    }

    /// Sets one option by its name in ssh_config(5): `Key=Value` or `Key Value`.
    ///
    /// # Errors
    /// A text for the user: the keyword or the value is not known.
    pub fn set(&mut self, option: &str) -> Result<(), String> {
        let (keyword, value) = option
            .split_once(['=', ' '])
            .map(|(keyword, value)| (keyword.trim(), value.trim().trim_matches('"')))
            .ok_or_else(|| format!("-o {option}: write it as Keyword=Value"))?;
        let wrong = |what: &str| format!("-o {keyword}={value}: {what}");
        match keyword.to_ascii_lowercase().as_str() {
            "batchmode" => self.batch_mode = yes_no(value).ok_or_else(|| wrong("yes or no"))?,
            "connecttimeout" => {
                self.connect_timeout = Duration::from_secs(value.parse().map_err(|_| wrong("seconds"))?);
            }
            "globalknownhostsfile" => self.global_known_hosts_files = files(value),
            "identityfile" => self.identity_files.push(file(value)),
            "numberofpasswordprompts" => {
                self.number_of_password_prompts = value.parse().map_err(|_| wrong("a number"))?;
            }
            "passwordauthentication" => {
                self.password_authentication = yes_no(value).ok_or_else(|| wrong("yes or no"))?;
            }
            "port" => self.port = value.parse().map_err(|_| wrong("a port from 1 to 65535"))?,
            "pubkeyauthentication" => {
                self.pubkey_authentication = yes_no(value).ok_or_else(|| wrong("yes or no"))?;
            }
            "rekeylimit" => {
                self.rekey_limit =
                    rekey_limit(value).ok_or_else(|| wrong("bytes with K, M or G, perhaps seconds"))?;
            }
            "stricthostkeychecking" => {
                self.strict_host_key_checking = match value {
                    "yes" => StrictHostKeyChecking::Yes,
                    "accept-new" | "no" | "off" => StrictHostKeyChecking::AcceptNew, // a changed key stays refused
                    "ask" => StrictHostKeyChecking::Ask,
                    _ => return Err(wrong("yes, accept-new, ask or no")),
                }
            }
            "user" => value.clone_into(&mut self.user),
            "userknownhostsfile" => self.user_known_hosts_files = files(value),
            _ => match self.algorithms.set(keyword, value) {
                Some(set) => set.map_err(|why| wrong(&why))?,
                None => {
                    return Err(format!("-o {keyword}: unknown keyword; known are {}", KEYWORDS.join(", ")));
                }
            },
        }
        Ok(())
    }

    /// Whether `key` signs with anything that is offered.
    #[must_use]
    pub fn offers(&self, key: &PrivateKey) -> bool {
        self.algorithms.chosen().user_key.iter().any(|row| key.can_sign(row.algorithm))
    }

    /// The transport's configuration, with the host key algorithms of `known` key types first, unless the user gave them
    /// an order.
    #[must_use]
    pub fn client_config(&self, known: &[&str]) -> ClientConfig {
        let mut algorithms = self.algorithms.chosen().clone();
        let is_new = |row: &Algorithm<SignatureAlgorithm>| !known.contains(&row.algorithm.key_type());
        if !self.algorithms.orders_host_keys() {
            algorithms.host_key.sort_by_key(is_new);
        }
        ClientConfig {
            transport: TransportConfig {
                algorithms,
                rekey_limit: self.rekey_limit,
                login_grace: self.connect_timeout,
            },
        }
    }
}

/// The user's home directory.
#[must_use]
pub fn home() -> PathBuf {
    env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from)
}

fn file(name: &str) -> PathBuf {
    name.strip_prefix("~/").map_or_else(|| PathBuf::from(name), |rest| home().join(rest))
}

fn files(names: &str) -> Vec<PathBuf> {
    names.split_ascii_whitespace().filter(|name| *name != "none").map(file).collect()
}

pub(super) fn yes_no(value: &str) -> Option<bool> {
    match value {
        "yes" | "true" => Some(true),
        "no" | "false" => Some(false),
        _ => None,
    }
}

/// `RekeyLimit` of ssh_config(5): bytes, `default` or `none`, and perhaps a time.
///
/// Returns nothing for any other text.
#[must_use]
pub fn rekey_limit(value: &str) -> Option<RekeyLimit> {
    let mut limit = RekeyLimit::default();
    let mut words = value.split_ascii_whitespace();
    match words.next()? {
        "default" | "none" => {}
        bytes => {
            let (digits, unit) = match bytes.char_indices().last()? {
                (at, 'K' | 'k') => (bytes.get(..at)?, 1 << 10),
                (at, 'M' | 'm') => (bytes.get(..at)?, 1 << 20),
                (at, 'G' | 'g') => (bytes.get(..at)?, 1 << 30),
                _ => (bytes, 1_u64),
            };
            limit.bytes = digits.parse::<u64>().ok()?.checked_mul(unit).filter(|n| *n > 0)?;
        }
    }
    match words.next() {
        None | Some("none") => {}
        Some(seconds) => limit.time = Duration::from_secs(seconds.parse().ok().filter(|n| *n > 0)?),
    }
    words.next().is_none().then_some(limit)
}
