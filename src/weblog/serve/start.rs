//! What a start does with a configuration, in this order: it listens, reads what perhaps only root can read, gives root up, and
//! looks at what it will read as it is from now on.
//!
//! It starts no thread. It does not know connections.

use super::run_as::is_root;
use super::settings::{Configuration, KeyFile, KeysOf, Wrong, place, reason};
use crate::crypto::SystemRng;
use crate::crypto::sign::PrivateKey;
use crate::crypto::sign::certificate::{Certificate, Role};
use crate::driver::files::{self, KeyFileError};
use crate::keys::{authorized_keys, certificate, private_key};
use crate::transport::ServerConfig;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::fs::DirBuilder;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a server begins with.
#[derive(Debug)]
pub struct Started {
    /// They listen, and do not block.
    pub listeners: Vec<TcpListener>,
    /// What it is known by.
    pub config: ServerConfig,
    /// What an operator should know, though nothing is wrong: lines.
    pub notes: Vec<String>,
}

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

impl Configuration {
    /// Listens, reads the host keys or makes one, and gives root up.
    ///
    /// # Errors
    /// What is wrong, for the user.
    pub fn start(&self) -> Result<Started, Wrong> {
        let no_core = Rlimit { current: Some(0), maximum: Some(0) }; // it would hold secrets
        let _as_it_was = setrlimit(Resource::Core, no_core);
        let listeners = self.listeners()?;
        let config = self.identity().map_err(|wrong| match wrong {
            Wrong::Files(wrongs) => Wrong::Files([wrongs, self.wrong_key_files()].concat()),
            wrong => wrong,
        })?;
        let mut notes = self.notes.clone();
        if is_root() {
            notes.push(
                "this runs as root, which it need not: give --run-as USER, and root is given up once it listens"
                    .to_owned(),
            );
        }
        notes.extend(self.look_at_key_files()?);
        Ok(Started { listeners, config, notes })
    }

    /// Reads the host keys and gives root up. A key that is made is the user's.
    ///
    /// # Errors
    /// What is wrong, for the user.
    pub fn identity(&self) -> Result<ServerConfig, Wrong> {
        let config = self.read_identity()?;
        let directory = self.make_state_dir(config.is_none());
        self.give_up_root()?;
        let config = match config {
            Some(config) => config,
            None => {
                directory.map_err(wrong)?;
                let path = self.own_key_path();
                let key =
                    make_host_key(&path).map_err(|error| wrong(format!("{}: {error}", path.display())))?;
                self.certified(vec![Arc::new(key)])?
            }
        };
        Ok(config)
    }

    /// Reads all that a start reads, and makes nothing; gives root up. What an operator should know.
    ///
    /// # Errors
    /// What is wrong, for the user.
    pub fn check(&self) -> Result<Vec<String>, Wrong> {
        let identity = self.read_identity();
        if is_root() {
            self.give_up_root()?;
        }
        match (identity, self.look_at_key_files()) {
            (Ok(_), Ok(notes)) => Ok([self.notes.clone(), notes].concat()),
            (identity, keys) => Err(Wrong::Files([lines(identity), lines(keys)].concat())),
        }
    }

    /// What is wrong with the files that this names, as far as that can be told now.
    pub(super) fn wrong_files(&self) -> Vec<String> {
        [lines(self.read_identity()), self.wrong_key_files()].concat()
    }

    /// Of the files of keys. They are judged as whom this runs: root that is still to be given up can't say.
    fn wrong_key_files(&self) -> Vec<String> {
        if is_root() && self.run_as.is_some() { Vec::new() } else { lines(self.look_at_key_files()) }
    }

    fn listeners(&self) -> Result<Vec<TcpListener>, Wrong> {
        let place = place(&self.places, "listen");
        listen_at(&self.listen).map_err(|wrongs| {
            let wrongs = wrongs.iter().map(|why| format!("{place}{why}"));
            Wrong::Files(wrongs.chain(self.wrong_files()).collect())
        })
    }

    fn give_up_root(&self) -> Result<(), Wrong> {
        self.run_as.as_ref().map_or(Ok(()), |user| user.give_up_root().map_err(wrong))
    }

    /// Reads the host keys; `None` if the one of the state directory is not there.
    fn read_identity(&self) -> Result<Option<ServerConfig>, Wrong> {
        let own = [self.own_key_path()];
        let paths = if self.host_keys.is_empty() { &own[..] } else { &self.host_keys };
        let (mut keys, mut wrongs) = (Vec::<(&PathBuf, Arc<PrivateKey>)>::new(), Vec::new());
        for path in paths {
            match files::read_private_key(path) {
                Ok(key) => {
                    let of = key.public_key();
                    let same =
                        |(_, other): &&(_, Arc<PrivateKey>)| other.public_key().key_type() == of.key_type();
                    if let Some((other, _)) = keys.iter().find(same) {
                        let (kind, other) = (of.key_type(), other.display());
                        let what = format!("an {kind} key as in {other}: name one file of each type");
                        wrongs.push(self.wrong_file("host_keys", path, &what));
                    }
                    keys.push((path, Arc::new(key)));
                }
                Err(KeyFileError::Io(error))
                    if error.kind() == io::ErrorKind::NotFound && self.host_keys.is_empty() =>
                {
                    return Ok(None);
                }
                Err(error) => wrongs.push(self.wrong_file("host_keys", path, &of_host_key(&error, path))),
            }
        }
        if wrongs.is_empty() {
            return self.certified(keys.into_iter().map(|(_, key)| key).collect()).map(Some);
        }
        let (_, of_certificates) = self.read_certificates();
        Err(Wrong::Files([wrongs, of_certificates].concat()))
    }

    fn wrong_file(&self, key: &str, path: &Path, what: &str) -> String {
        format!("{}{}: {what}", place(&self.places, key), path.display())
    }

    /// The certificates with their files, and what is wrong with the others.
    fn read_certificates(&self) -> (Vec<(&Path, Certificate)>, Vec<String>) {
        let (mut certificates, mut wrongs) = (Vec::new(), Vec::new());
        for path in &self.host_certificates {
            let text = files::read_text(path);
            let text =
                text.map_err(|error| reason(&error, "; make it with ssh-keygen -s CA -h, or leave it out"));
            match text.and_then(|text| certificate::parse(&text).map_err(|error| error.to_string())) {
                Ok(certificate) => certificates.push((path.as_path(), certificate)),
                Err(what) => wrongs.push(self.wrong_file("host_certificates", path, &what)),
            }
        }
        (certificates, wrongs)
    }

    fn certified(&self, keys: Vec<Arc<PrivateKey>>) -> Result<ServerConfig, Wrong> {
        let (certificates, mut wrongs) = self.read_certificates();
        for (path, certificate) in &certificates {
            let is_ours = keys.iter().any(|key| key.public_key() == *certificate.key());
            let key = certificate.key().fingerprint();
            let what = match certificate.role() {
                Role::Host if is_ours => continue,
                Role::Host => {
                    format!("the key that it certifies, {key}, is none of the host keys: name its file too")
                }
                Role::User => {
                    "this certificate is for a user: make one for a host with ssh-keygen -s CA -h".to_owned()
                }
            };
            wrongs.push(self.wrong_file("host_certificates", path, &what));
        }
        let certificates = certificates.into_iter().map(|(_, certificate)| certificate).collect();
        if wrongs.is_empty() {
            Ok(ServerConfig { certificates, ..ServerConfig::new(keys) })
        } else {
            Err(Wrong::Files(wrongs))
        }
    }

    fn own_key_path(&self) -> PathBuf {
        self.state_dir.join("ssh_host_ed25519_key")
    }

    /// Makes the state directory if it is wanted and missing; what root makes is the user's.
    fn make_state_dir(&self, wanted: bool) -> Result<(), String> {
        if !wanted || self.state_dir.exists() {
            return Ok(());
        }
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.state_dir);
        let owned = made.and_then(|()| match &self.run_as {
            Some(user) if is_root() => user.own(&self.state_dir),
            _ => Ok(()),
        });
        owned.map_err(|error| {
            let why = format!("{}; give --state-dir DIR, one that can be written", reason(&error, ""));
            self.wrong_file("state_dir", &self.state_dir, &why)
        })
    }

    /// Reads every file of keys as a login will; what is said of them now need not be found out then. The lines that let
    /// nobody in.
    ///
    /// # Errors
    /// A file that cannot be read, or that others may write.
    pub fn look_at_key_files(&self) -> Result<Vec<String>, Wrong> {
        let (mut notes, mut wrongs) = (Vec::new(), Vec::new());
        for file in &self.key_files {
            match file.look() {
                Ok(refused) => notes.extend(refused),
                Err(why) => wrongs.push(format!("{}: {}: {why}", file.what, file.path.display())),
            }
        }
        if wrongs.is_empty() { Ok(notes) } else { Err(Wrong::Files(wrongs)) }
    }
}

impl KeyFile {
    fn look(&self) -> Result<Vec<String>, String> {
        let missing = match self.of {
            KeysOf::User => "; put the user's public keys there, a line each: an id_ed25519.pub will do",
            KeysOf::List => "; put the public keys there, a line each, or leave it out",
        };
        let text = files::read_owned(&self.path).map_err(|error| reason(&error, missing))?;
        let path = self.path.display();
        if is_private_key(&text) {
            return Err(format!(
                "this is a private key: name the public one, {path}.pub (ssh-keygen -y shows it)"
            ));
        }
        match self.of {
            KeysOf::User => {
                let refused = authorized_keys::entries(&text).filter_map(Result::err);
                let told = refused.map(|line| format!("{path}:{}: not taken: {}", line.line, line.reason));
                let is_empty = authorized_keys::entries(&text).next().is_none();
                let empty =
                    is_empty.then(|| format!("{path}: there is no key in it, so nobody gets in by it"));
                Ok(told.chain(empty).collect())
            }
            KeysOf::List => authorized_keys::plain_entries(&text)
                .try_for_each(|entry| entry.map(|_| ()))
                .map(|()| Vec::new())
                .map_err(|refused| refused.to_string()),
        }
    }
}

/// Whether somebody has taken the wrong one of the two files.
fn is_private_key(text: &[u8]) -> bool {
    let line = text.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.starts_with(b"PuTTY-User-Key-File-")
        || (line.starts_with(b"-----BEGIN ") && line.trim_ascii_end().ends_with(b"PRIVATE KEY-----"))
}

/// What is said of a host key that cannot be read.
fn of_host_key(error: &KeyFileError, path: &Path) -> String {
    match error {
        KeyFileError::Io(error) => {
            let make = format!("; make it with ssh-keygen -t ed25519 -N '' -f {}", path.display());
            reason(error, &make)
        }
        error => error.to_string(),
    }
}

/// What is wrong, a line each.
fn lines<T>(done: Result<T, Wrong>) -> Vec<String> {
    match done {
        Ok(_) => Vec::new(),
        Err(Wrong::Files(wrongs)) => wrongs,
        Err(Wrong::Usage(text)) => vec![text],
    }
}

fn wrong(text: String) -> Wrong {
    Wrong::Files(vec![text])
}

fn make_host_key(path: &Path) -> io::Result<PrivateKey> {
    let key = PrivateKey::generate_ed25519(&mut SystemRng);
    let file = private_key::write(&key, "ssh-weblog-server", &mut SystemRng).map_err(io::Error::other)?;
    files::create_private(path, file.as_bytes())?;
    Ok(key)
}

/// Listens at each address. The unspecified one of IPv6 is that of IPv4 too, unless this is named with the same port, or where
/// there is no IPv6. Otherwise of each where that cannot be, what to do.
fn listen_at(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, Vec<String>> {
    let listener = |address: &SocketAddr| {
        let v4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
        let is_every = address.is_ipv6() && address.ip().is_unspecified();
        let alone = !is_every || (addresses.contains(&v4) && address.port() != 0);
        match listen_on(*address, alone) {
            Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) if is_every && !alone => listen_on(v4, true),
            listener => listener,
        }
        .map_err(|error| format!("{address}: {}", not_listening(error)))
    };
    let (listeners, wrongs): (Vec<_>, Vec<_>) = addresses.iter().map(listener).partition(Result::is_ok);
    let wrongs: Vec<_> = wrongs.into_iter().filter_map(Result::err).collect();
    if wrongs.is_empty() { Ok(listeners.into_iter().flatten().collect()) } else { Err(wrongs) }
}

fn not_listening(error: Errno) -> String {
    let advice = match error {
        Errno::ADDRINUSE => "; ss -ltnp shows by whom: end that, or take another port with --listen",
        Errno::ADDRNOTAVAIL => "; listen on an address that this machine has, or on the port alone",
        Errno::ACCESS | Errno::PERM => {
            "; a port below 1024 is root's: take another, or start as root with --run-as USER"
        }
        _ => "",
    };
    reason(&error.into(), "") + advice
}

fn listen_on(address: SocketAddr, only_v6: bool) -> Result<TcpListener, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, only_v6)?;
    }
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}
