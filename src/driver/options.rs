//! What a client may be told about a connection, by ssh's own names (ssh_config(5)).

use super::Way;
use super::algorithms::AlgorithmOptions;
use crate::connection::Keepalive;
use crate::crypto::sign::PublicKey;
use crate::crypto::sign::certificate::KeyAlgorithm;
use crate::keys::ssh_config::{self, Config};
use crate::transport::algorithms::Algorithm;
use crate::transport::{ClientConfig, RekeyLimit, TransportConfig};
use crate::wire::number::Sender;
use core::time::Duration;
use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

pub use crate::keys::ssh_config::StrictHostKeyChecking;

/// How long the connection may take until keys are in use, unless the user says otherwise.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(120);

/// Keywords that are read and kept in [`Options::config`] for what is to come, and that nothing acts on yet.
pub const NOT_ACTED_ON: &[&str] = &["AddKeysToAgent", "CheckHostIP", "ObscureKeystrokeTiming"];

/// Where to log in, as whom, and by what rules.
#[derive(Clone, Debug)]
pub struct Options {
    /// As the user typed it.
    pub typed_host: String,
    /// The host to connect to; its key is looked up by this name, unless there is an alias.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The name at the server.
    pub user: String,
    /// Files of private keys, to be tried in this order; without any, the default ones that are there.
    pub identity_files: Vec<PathBuf>,
    /// Files of certificates.
    pub certificate_files: Vec<PathBuf>,
    /// The first is the one that new keys are noted down in.
    pub user_known_hosts_files: Vec<PathBuf>,
    /// Read only.
    pub global_known_hosts_files: Vec<PathBuf>,
    /// For hosts that are not known; a key that has changed is refused unless this is off, and then the login goes on without
    /// passwords.
    pub strict_host_key_checking: StrictHostKeyChecking,
    /// Never ask.
    pub batch_mode: bool,
    /// How often a password, a passphrase or keyboard-interactive is asked for.
    pub number_of_password_prompts: u32,
    /// Whether passwords are.
    pub password_authentication: bool,
    /// How long the connection may take until keys are in use.
    pub connect_timeout: Duration,
    /// What is offered.
    pub algorithms: AlgorithmOptions,
    /// When keys are renewed.
    pub rekey_limit: RekeyLimit,
    /// The command that is the connection, ready for the user's shell.
    pub proxy_command: Option<String>,
    /// The file that was read instead of the user's and the system's: that of the hosts on the way, too.
    pub file: Option<PathBuf>,
    /// Keywords of the configuration that nothing acts on, each with its place; texts for the user.
    pub passed_over: Vec<String>,
    /// All keywords, what the fields above are made of among them; from here come those that say how to connect, the alias of
    /// the host's key, and what [`NOT_ACTED_ON`] names.
    pub config: Config,
}

impl Options {
    /// The defaults of ssh for a host, without any file.
    #[must_use]
    pub fn new(host: &str) -> Self {
        let user = env::var("USER").or_else(|_| env::var("LOGNAME")).unwrap_or_else(|_| "root".to_owned());
        let mut config = Config { user: Some(user), host_name: Some(host.to_owned()), ..Config::default() };
        for file in &mut config.user_known_hosts_file.0 {
            if let Some(rest) = file.strip_prefix("~/") {
                *file = home().join(rest).display().to_string();
            }
        }
        Self::from_config(host, config)
    }

    /// What a configuration says whose names are expanded; without algorithms and users' keys, whose names the caller must
    /// make sense of.
    pub(super) fn from_config(typed_host: &str, config: Config) -> Self {
        let files = |list: &ssh_config::List| list.0.iter().map(PathBuf::from).collect();
        let connect_timeout = config.connect_timeout.0.filter(|seconds| *seconds > 0);
        Self {
            typed_host: typed_host.to_owned(),
            host: config.host_name.clone().unwrap_or_else(|| typed_host.to_owned()),
            port: config.port,
            user: config.user.clone().unwrap_or_default(),
            identity_files: Vec::new(),
            certificate_files: Vec::new(),
            user_known_hosts_files: files(&config.user_known_hosts_file),
            global_known_hosts_files: files(&config.global_known_hosts_file),
            strict_host_key_checking: config.strict_host_key_checking,
            batch_mode: config.batch_mode,
            number_of_password_prompts: config.number_of_password_prompts,
            password_authentication: config.password_authentication,
            connect_timeout: connect_timeout.map_or(CONNECT_TIMEOUT, |n| Duration::from_secs(n.into())),
            algorithms: AlgorithmOptions::new(Sender::Client),
            rekey_limit: limit(config.rekey_limit),
            proxy_command: None,
            file: None,
            passed_over: Vec::new(),
            config,
        }
    }

    /// How to connect without a proxy.
    #[must_use]
    pub fn way(&self) -> Way {
        Way {
            address_family: self.config.address_family,
            attempts: self.config.connection_attempts,
            keep_alive: self.config.tcp_keep_alive,
            bind_address: self.config.bind_address.clone(),
            ..Way::new(self.connect_timeout)
        }
    }

    /// How a silent host is asked whether it is there; not by default.
    #[must_use]
    pub fn keepalive(&self) -> Option<Keepalive> {
        let interval = Duration::from_secs(self.config.server_alive_interval.0.into());
        let keepalive = Keepalive { interval, count_max: self.config.server_alive_count_max };
        (!interval.is_zero()).then_some(keepalive)
    }

    /// The transport's configuration, with the host key algorithms of `known` types of keys and certificates first and those
    /// of other certificates last, unless the user gave them an order. A host that nobody vouches for shows its plain key,
    /// which a person can compare.
    #[must_use]
    pub fn client_config(&self, known: &[String]) -> ClientConfig {
        let mut algorithms = self.algorithms.chosen().clone();
        let is_new = |row: &Algorithm<KeyAlgorithm>| {
            (!known.iter().any(|known| known == row.algorithm.key_type())).then_some(row.algorithm.certified)
        };
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

/// Whether a key is of RSA and has fewer bits than that.
#[must_use]
pub fn is_too_short(key: &PublicKey, required_rsa_size: u32) -> bool {
    let required = usize::try_from(required_rsa_size).unwrap_or(usize::MAX);
    matches!(key, PublicKey::Rsa(key) if key.bits() < required)
}

/// The user's shell: `SHELL`, or sh.
#[must_use]
pub fn shell() -> OsString {
    env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or_else(|| "/bin/sh".into())
}

/// The user's home directory.
#[must_use]
pub fn home() -> PathBuf {
    env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from)
}

pub(super) fn yes_no(value: &str) -> Option<bool> {
    match value {
        "yes" | "true" => Some(true),
        "no" | "false" => Some(false),
        _ => None,
    }
}

/// `RekeyLimit` of ssh_config(5): bytes or `default`, and perhaps a time.
///
/// Returns nothing for any other text.
#[must_use]
pub fn rekey_limit(value: &str) -> Option<RekeyLimit> {
    let words: Vec<_> = value.split_ascii_whitespace().collect();
    ssh_config::RekeyLimit::parse(&words).ok().map(limit)
}

fn limit(given: ssh_config::RekeyLimit) -> RekeyLimit {
    let mut limit = RekeyLimit::default();
    if given.bytes > 0 {
        limit.bytes = given.bytes;
    }
    if given.seconds > 0 {
        limit.time = Duration::from_secs(given.seconds.into());
    }
    limit
}
