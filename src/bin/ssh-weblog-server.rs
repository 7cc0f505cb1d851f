//! `ssh-weblog-server`: arguments and files to options; the rest is the library's.
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, clippy::use_self)]

use clap::Parser;
use std::alloc::System;
use std::io::{self, BufRead, IsTerminal};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use strombus::crypto::SystemRng;
use strombus::crypto::sign::{PrivateKey, PublicKey};
use strombus::driver::files::{self, KeyFileError};
use strombus::driver::options::home;
use strombus::driver::passwords::{self, Passwords};
use strombus::driver::text::{escaped_lines, key_kind};
use strombus::keys::{certificate, private_key};
use strombus::tell;
use strombus::transport::ServerConfig;
use strombus::weblog::server::{LogFile, ServerOptions, WeblogServer};
use strombus::weblog::users::{self, User, Users};
use zeroize::Zeroizing;
use zeroizing_alloc::ZeroAlloc;

/// Wipes what is freed, passwords among it.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

/// Wrong arguments.
const USAGE: u8 = 2;

const EXAMPLES: &str = "\
Examples:
  ssh-weblog-server --user ann --authorized-keys ann.pub /var/log/nginx/access.log
  ssh-weblog-server --config users.toml /var/log/nginx/access.log
  ssh-weblog-server hash-password > ann.password
  ssh-weblog-server --listen 127.0.0.1:8022 --user ann --password-file ann.password access.log

Then, from anywhere:  ssh -p 8022 ann@this.host

Exit status: 0 stopped, 1 it cannot start, 2 bad arguments.";

/// Shows the new records of web access logs to whoever logs in by SSH.
#[derive(Parser)]
#[command(name = "ssh-weblog-server", version, after_help = EXAMPLES)]
struct Arguments {
    /// PORT or ADDRESS:PORT to listen on; port 0 is one that is free
    #[arg(long, value_name = "[ADDR:]PORT", default_value = "8022")]
    listen: String,
    /// The name to log in with
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// File of the user's keys, a line each
    #[arg(long, value_name = "FILE", requires = "user")]
    authorized_keys: Option<PathBuf>,
    /// File of password hashes: lines NAME:HASH, or a bare hash, which is the user's
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// File of users: TOML, a `[[user]]` each, with name, authorized_keys, password_hash, require, ca_keys
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// File of a host key, repeatable, one of a type; without any, one is made in the state directory
    #[arg(long, value_name = "FILE")]
    host_key: Vec<PathBuf>,
    /// File of a certificate of one of the host keys, repeatable
    #[arg(long, value_name = "FILE")]
    host_certificate: Vec<PathBuf>,
    /// File of keys, of users and of CAs, that let nobody in any more
    #[arg(long, value_name = "FILE")]
    revoked_keys: Option<PathBuf>,
    /// Directory of what the server keeps
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Logs to show; or hash-password, or fingerprint
    #[arg(required = true, value_name = "LOG")]
    log: Vec<PathBuf>,
}

enum Failure {
    /// Wrong arguments.
    Usage(String),
    /// It cannot start.
    Start(String),
}

impl Arguments {
    fn address(&self) -> Result<SocketAddr, Failure> {
        let every = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let port = self.listen.parse().map(|port| SocketAddr::new(every, port));
        port.or_else(|_| self.listen.parse())
            .map_err(|_| Failure::Usage(format!("--listen {}: write it as [ADDRESS:]PORT", self.listen)))
    }

    fn own_key_path(&self) -> PathBuf {
        let kept = || {
            let systemd = std::env::var_os("STATE_DIRECTORY").map(PathBuf::from);
            let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
            systemd.unwrap_or_else(|| {
                state.unwrap_or_else(|| home().join(".local/state")).join("ssh-weblog-server")
            })
        };
        self.state_dir.clone().unwrap_or_else(kept).join("ssh_host_ed25519_key")
    }

    /// Reads the host keys, or makes one.
    fn host_keys(&self) -> Result<Vec<Arc<PrivateKey>>, String> {
        let read = |path: &Path| {
            files::read_private_key(path).map(Arc::new).map_err(|error| (error, path.display().to_string()))
        };
        let told = |(error, path): (KeyFileError, String)| format!("{path}: {error}");
        if !self.host_key.is_empty() {
            return self.host_key.iter().map(|path| read(path).map_err(told)).collect();
        }
        let path = self.own_key_path();
        match read(&path) {
            Err((KeyFileError::Io(error), _)) if error.kind() == io::ErrorKind::NotFound => {
                let key = make_host_key(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                Ok(vec![Arc::new(key)])
            }
            key => key.map(|key| vec![key]).map_err(told),
        }
    }

    /// What the server is known by.
    fn config(&self) -> Result<ServerConfig, String> {
        let certificate = |path: &PathBuf| {
            let text = files::read_text(path).map_err(|error| format!("{}: {error}", path.display()))?;
            certificate::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
        };
        let certificates = self.host_certificate.iter().map(certificate).collect::<Result<_, _>>()?;
        Ok(ServerConfig { certificates, ..ServerConfig::new(self.host_keys()?) })
    }

    fn users(&self) -> Result<Users, String> {
        let mut users = Vec::new();
        if let Some(path) = &self.config {
            let in_file = |why: String| format!("{}: {why}", path.display());
            let text = read_text(path)?;
            users = users::parse(&text, path.parent().unwrap_or(Path::new(""))).map_err(in_file)?;
        }
        if let (Some(name), Some(keys)) = (&self.user, &self.authorized_keys) {
            users.push(User { name: name.clone(), authorized_keys: Some(keys.clone()), ..User::default() });
        }
        let mut users = users::collect(users, self.passwords()?)?;
        users.accounts.revoked_keys.clone_from(&self.revoked_keys);
        users.look_at_files()?.iter().for_each(|line| tell!("{}", escaped_lines(line)));
        Ok(users)
    }

    fn passwords(&self) -> Result<Option<Passwords>, String> {
        let Some(path) = &self.password_file else { return Ok(None) };
        let passwords = Passwords::parse(&read_text(path)?, self.user.as_deref())
            .map_err(|(line, why)| format!("{}:{line}: {why}", path.display()))?;
        Ok(Some(passwords))
    }

    fn logs(&self) -> Result<Vec<LogFile>, Failure> {
        let mut logs: Vec<LogFile> = Vec::new();
        for path in &self.log {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
            let name = name.strip_suffix(".log").unwrap_or(&name).to_owned();
            if logs.iter().any(|log| log.name == name) {
                return Err(Failure::Usage(format!("two logs are called {name}")));
            }
            logs.push(LogFile { name, path: path.clone() });
        }
        Ok(logs)
    }
}

fn read_text(path: &Path) -> Result<String, String> {
    let file = files::read_text(path).map_err(|error| format!("{}: {error}", path.display()))?;
    String::from_utf8(file).map_err(|_| format!("{}: not UTF-8", path.display()))
}

fn make_host_key(path: &Path) -> io::Result<PrivateKey> {
    if let Some(directory) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let key = PrivateKey::generate_ed25519(&mut SystemRng);
    let file = private_key::write(&key, "ssh-weblog-server", &mut SystemRng).map_err(io::Error::other)?;
    files::create_private(path, file.as_bytes())?;
    Ok(key)
}

fn serve(arguments: &Arguments) -> Result<(), Failure> {
    let (listen, logs) = (arguments.address()?, arguments.logs()?);
    let start = Failure::Start;
    let Users { accounts, passwords, methods } = arguments.users().map_err(start)?;
    let config = arguments.config().map_err(start)?;
    let fingerprints: Vec<_> = config.host_keys.iter().map(|key| fingerprint(key)).collect();
    let options = ServerOptions { listen, config, accounts, methods, passwords, logs };
    let server = WeblogServer::bind(options, true).map_err(start)?;
    fingerprints.iter().for_each(|line| tell!("host key fingerprint: {line}"));
    tell!("listening on {}", server.address());
    server.run().map_err(start)
}

fn fingerprint(key: &PrivateKey) -> String {
    let public = key.public_key();
    format!("{} ({})", public.fingerprint(), key_kind(&public))
}

/// As ssh-keygen counts them.
fn bits(key: &PublicKey) -> usize {
    match key {
        PublicKey::Rsa(key) => key.bits(),
        key => key.key_type().rsplit("nistp").next().and_then(|digits| digits.parse().ok()).unwrap_or(256),
    }
}

fn hash_password() -> Result<(), String> {
    let password = if io::stdin().is_terminal() {
        let first =
            rpassword::prompt_password("password: ").map(Zeroizing::new).map_err(|e| e.to_string())?;
        let again =
            rpassword::prompt_password("the same again: ").map(Zeroizing::new).map_err(|e| e.to_string())?;
        if first != again {
            return Err("the two are not the same".to_owned());
        }
        first
    } else {
        let mut line = Zeroizing::new(String::new());
        io::stdin().lock().read_line(&mut line).map_err(|error| error.to_string())?;
        Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned())
    };
    if password.is_empty() {
        return Err("an empty password is none".to_owned());
    }
    println!("{}", passwords::hash(password.as_bytes())?);
    Ok(())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let is = |word: &str| arguments.log == [PathBuf::from(word)];
    let done = if is("hash-password") {
        hash_password().map_err(Failure::Start)
    } else if is("fingerprint") {
        arguments.host_keys().map_err(Failure::Start).map(|keys| {
            keys.iter().for_each(|key| println!("{} {}", bits(&key.public_key()), fingerprint(key)));
        })
    } else {
        serve(&arguments)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(text)) => {
            tell!("ssh-weblog-server: {}; see --help", escaped_lines(&text));
            ExitCode::from(USAGE)
        }
        Err(Failure::Start(text)) => {
            tell!("ssh-weblog-server: {}", escaped_lines(&text));
            ExitCode::FAILURE
        }
    }
}
