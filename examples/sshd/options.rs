//! What `-o` and the file of `-f` say, by sshd_config(5)'s names.

use super::forward::ForwardOptions;
use super::session::SessionOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use strombus::connection::Keepalive;
use strombus::crypto::sign::certificate::Certificate;
use strombus::driver::accounts::{Account, Accounts, Names};
use strombus::driver::algorithms::AlgorithmOptions;
use strombus::driver::environment::AcceptEnv;
use strombus::driver::gate::GateConfig;
use strombus::driver::passwords::Passwords;
use strombus::driver::sftp::Service;
use strombus::driver::{config, files, options};
use strombus::keys::ssh_config::words;
use strombus::keys::{certificate, ssh_config};
use strombus::transport::TransportConfig;
use strombus::userauth::{Method, MethodChains, ServerUserauthConfig};
use strombus::wire::number::Sender as Role;

/// What the options say.
pub struct Options {
    /// Of `ListenAddress`: hosts, and ports where one is named.
    pub listen: Vec<(String, Option<u16>)>,
    pub port: u16,
    pub host_keys: Vec<PathBuf>,
    /// `Workers`, which is ours: threads with connections; 0 are as many as there are cores.
    pub workers: usize,
    account: Account,
    pub accounts: Accounts,
    /// AuthorizedKeysFile is `none`.
    no_key_files: bool,
    methods: Methods,
    pub certificates: Vec<Certificate>,
    pub passwords: Option<Arc<Passwords>>,
    /// What `Subsystem sftp` serves.
    pub sftp: Option<Arc<Service>>,
    pub algorithms: AlgorithmOptions,
    pub forward: ForwardOptions,
    pub gate: GateConfig,
    pub sessions: SessionOptions,
    /// AcceptEnv was given.
    accepts_env: bool,
    pub transport: TransportConfig,
    pub userauth: ServerUserauthConfig,
    /// None with an interval of zero.
    pub keepalive: Keepalive,
}

impl Options {
    /// Reads `-o`, and the file behind it.
    pub fn new(given: &[String], file: Option<&Path>) -> Result<Self, String> {
        let mut own = Self {
            listen: Vec::new(),
            port: 22,
            host_keys: Vec::new(),
            workers: 1,
            account: Account::default(),
            accounts: Accounts::new(Names::Any { account: Account::default(), name: Vec::new() }),
            no_key_files: false,
            methods: Methods { publickey: true, password: true, interactive: true, chains: None },
            certificates: Vec::new(),
            passwords: None,
            sftp: None,
            algorithms: AlgorithmOptions::new(Role::Server),
            forward: ForwardOptions::default(),
            gate: GateConfig::default(),
            sessions: SessionOptions::default(),
            accepts_env: false,
            transport: TransportConfig::server(),
            userauth: ServerUserauthConfig::default(),
            keepalive: Keepalive { interval: Duration::ZERO, count_max: 3 },
        };
        // The first of two counts, as in sshd_config(5).
        if let Some(path) = file.filter(|path| *path != Path::new("/dev/null")) {
            let text = files::read_text(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let text = String::from_utf8(text).map_err(|_| format!("{}: not UTF-8", path.display()))?;
            for (number, line) in (1..).zip(text.lines()).collect::<Vec<(u32, _)>>().into_iter().rev() {
                let told = |why| format!("{}:{number}: {why}", path.display());
                own.line(line).map_err(told)?;
            }
        }
        for option in given.iter().rev() {
            own.line(option).map_err(|why| format!("-o {option}: {why}"))?;
        }
        own.transport.algorithms = own.algorithms.chosen().clone();
        if own.account.authorized_keys.is_empty() && !own.no_key_files {
            let ssh = options::home().join(".ssh");
            own.account.authorized_keys = vec![ssh.join("authorized_keys"), ssh.join("authorized_keys2")];
        }
        if own.listen.is_empty() {
            own.listen = vec![("127.0.0.1".to_owned(), None)];
        }
        let name = config::own_name().into_bytes();
        own.accounts.names = Names::Any { account: own.account.clone(), name };
        own.userauth.methods = own.methods.chains(own.passwords.is_some())?;
        Ok(own)
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let Some((keyword, rest)) = words::split(line) else { return Ok(()) };
        let value = words::words(rest).ok_or("a quote is not closed")?.join(" ");
        if value.is_empty() {
            return Err(format!("{keyword} needs a value"));
        }
        self.set(keyword, &value)
    }

    fn set(&mut self, keyword: &str, value: &str) -> Result<(), String> {
        match keyword.to_ascii_lowercase().as_str() {
            // This one adds up.
            "acceptenv" if core::mem::replace(&mut self.accepts_env, true) => {
                self.sessions.accept_env.add(value)
            }
            "acceptenv" => self.sessions.accept_env = AcceptEnv::parse(value),
            "authenticationmethods" if value == "any" => self.methods.chains = None,
            "authenticationmethods" => {
                self.methods.chains = Some(MethodChains::parse(value).map_err(|error| error.to_string())?);
            }
            "authorizedkeysfile" => {
                let files = value.split_ascii_whitespace().filter_map(named).map(|path| of_user(&path));
                self.account.authorized_keys = files.collect::<Result<_, _>>()?;
                self.no_key_files = self.account.authorized_keys.is_empty();
            }
            "authorizedprincipalsfile" => {
                self.account.authorized_principals = named(value).map(|path| of_user(&path)).transpose()?;
            }
            "banner" => {
                let banner = named(value).map(|path| files::read_text(&path)).transpose();
                let banner = banner.map_err(|error| error.to_string())?;
                self.userauth.banner = banner.map(|text| String::from_utf8_lossy(&text).into_owned());
            }
            "clientalivecountmax" => {
                let count_max = value.parse().map_err(|_| "a number")?;
                self.keepalive.count_max = if count_max == 0 { u32::MAX } else { count_max };
            }
            "clientaliveinterval" => {
                let seconds = ssh_config::seconds(value).ok_or("a time")?;
                self.keepalive.interval = Duration::from_secs(seconds.into());
            }
            "hostcertificate" => {
                let text = files::read_text(value.as_ref()).map_err(|error| error.to_string())?;
                self.certificates.push(certificate::parse(&text).map_err(|error| error.to_string())?);
            }
            "hostkey" => self.host_keys.insert(0, value.into()),
            "listenaddress" => self.listen.insert(0, listen_address(value)?),
            "logingracetime" => {
                let seconds = ssh_config::seconds(value).ok_or("a time")?;
                let seconds = if seconds == 0 { u32::MAX } else { seconds }; // no end, as good as
                self.transport.login_grace = Duration::from_secs(seconds.into());
            }
            "kbdinteractiveauthentication" => self.methods.interactive = yes(value)?,
            "maxauthtries" => self.userauth.max_auth_tries = value.parse().map_err(|_| "a number")?,
            "maxsessions" => self.sessions.max_sessions = value.parse().map_err(|_| "a number")?,
            "passwordfile" => {
                let text = files::read_text(value.as_ref()).map_err(|error| error.to_string())?;
                let text = String::from_utf8(text).map_err(|_| "not UTF-8")?;
                let passwords =
                    Passwords::parse(&text, None).map_err(|(line, why)| format!("line {line}: {why}"))?;
                self.passwords = Some(Arc::new(passwords));
            }
            "passwordauthentication" => self.methods.password = yes(value)?,
            "permittty" => self.sessions.permit_tty = yes(value)?,
            "permituserenvironment" => self.accounts.permits_environment = yes(value)?,
            "port" => self.port = value.parse().map_err(|_| "a port")?,
            "pubkeyauthentication" => self.methods.publickey = yes(value)?,
            "rekeylimit" => {
                self.transport.rekey_limit =
                    options::rekey_limit(value).ok_or("bytes with K, M or G, perhaps seconds")?;
            }
            "revokedkeys" => self.accounts.revoked_keys = named(value),
            "strictmodes" => self.accounts.strict_modes = yes(value)?,
            "subsystem" => self.sftp = crate::sftp::subsystem(value)?,
            "trustedusercakeys" => self.account.trusted_ca_keys = named(value),
            "workers" => self.workers = value.parse().map_err(|_| "a number")?,
            _ => {
                return self
                    .algorithms
                    .set(keyword, value)
                    .or_else(|| self.gate.set(keyword, value))
                    .or_else(|| self.forward.set(keyword, value))
                    .unwrap_or_else(|| Err(format!("{keyword} is no keyword that this server acts on")));
            }
        }
        Ok(())
    }
}

/// Which methods may be tried.
struct Methods {
    publickey: bool,
    password: bool,
    interactive: bool,
    chains: Option<MethodChains>,
}

impl Methods {
    fn chains(&self, passwords: bool) -> Result<MethodChains, String> {
        let alone = [
            (Method::Publickey, self.publickey),
            (Method::Password, self.password && passwords),
            (Method::KeyboardInteractive, self.interactive && passwords),
        ];
        let alone: Vec<_> = alone.iter().filter(|(_, is)| *is).map(|(method, _)| *method).collect();
        let Some(chains) = &self.chains else { return Ok(MethodChains::any_of(&alone)) };
        let mut off = chains.methods().filter(|method| *method != Method::None && !alone.contains(method));
        match off.next() {
            Some(method) => {
                Err(format!("AuthenticationMethods names {}, which is switched off", method.name()))
            }
            None => Ok(chains.clone()),
        }
    }
}

/// A file's name with `%h`, `%u` and `%%` in it; a relative one is in the user's home.
pub fn of_user(path: &Path) -> Result<PathBuf, String> {
    let (mut whole, mut rest) = (String::new(), path.to_str().ok_or("not UTF-8")?);
    while let Some((before, after)) = rest.split_once('%') {
        whole.push_str(before);
        match after.chars().next() {
            Some('h') => whole.push_str(&options::home().display().to_string()),
            Some('u') => whole.push_str(&config::own_name()),
            Some('%') => whole.push('%'),
            _ => return Err("%h, %u and %% are what it may have".to_owned()),
        }
        rest = &after[1..];
    }
    whole.push_str(rest);
    Ok(options::home().join(whole))
}

/// A host, perhaps with a port. With two colons and no brackets it is an address of IPv6 alone.
fn listen_address(value: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = match value.strip_prefix('[') {
        Some(rest) => match rest.split_once(']').ok_or("a bracket is not closed")? {
            (host, "") => (host, None),
            (host, rest) => (host, Some(rest.strip_prefix(':').ok_or("[HOST]:PORT")?)),
        },
        None => match value.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (value, None),
        },
    };
    let port = port.map(|port| port.parse().ok().filter(|port| *port != 0).ok_or("a port")).transpose()?;
    Ok((host.to_owned(), port))
}

/// A file's name, unless it is `none`.
fn named(value: &str) -> Option<PathBuf> {
    if value.eq_ignore_ascii_case("none") { None } else { Some(value.into()) }
}

fn yes(value: &str) -> Result<bool, String> {
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("yes or no".to_owned()),
    }
}
