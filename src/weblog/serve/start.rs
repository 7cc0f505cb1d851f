//! What a start does with a configuration, in this order: it listens, reads what perhaps only root can read, gives root up, and
//! looks at what it will read as it is from now on.
//!
//! It starts no thread. It does not know connections.

use super::run_as::is_root;
use super::settings::{Configuration, KeyFile, KeysOf, Wrong};
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
        let listeners = listen_at(&self.listen).map_err(wrong)?;
        let config = self.identity()?;
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
        self.read_identity()?;
        if is_root() {
            self.give_up_root()?;
        }
        Ok([self.notes.clone(), self.look_at_key_files()?].concat())
    }

    fn give_up_root(&self) -> Result<(), Wrong> {
        self.run_as.as_ref().map_or(Ok(()), |user| user.give_up_root().map_err(wrong))
    }

    /// Reads the host keys; `None` if the one of the state directory is not there.
    fn read_identity(&self) -> Result<Option<ServerConfig>, Wrong> {
        let own = [self.own_key_path()];
        let paths = if self.host_keys.is_empty() { &own[..] } else { &self.host_keys };
        let mut keys = Vec::new();
        for path in paths {
            match files::read_private_key(path) {
                Ok(key) => keys.push(Arc::new(key)),
                Err(KeyFileError::Io(error))
                    if error.kind() == io::ErrorKind::NotFound && self.host_keys.is_empty() =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(wrong(format!("{}: {error}", path.display()))),
            }
        }
        self.certified(keys).map(Some)
    }

    fn certified(&self, keys: Vec<Arc<PrivateKey>>) -> Result<ServerConfig, Wrong> {
        let certificate = |path: &PathBuf| {
            let text =
                files::read_text(path).map_err(|error| wrong(format!("{}: {error}", path.display())))?;
            certificate::parse(&text).map_err(|error| wrong(format!("{}: {error}", path.display())))
        };
        let certificates: Vec<Certificate> =
            self.host_certificates.iter().map(certificate).collect::<Result<_, _>>()?;
        for (path, certificate) in self.host_certificates.iter().zip(&certificates) {
            let is_ours = keys.iter().any(|key| key.public_key() == *certificate.key());
            if certificate.role() != Role::Host {
                let what = "this certificate is for a user: make one for a host with ssh-keygen -s CA -h";
                return Err(wrong(format!("{}: {what}", path.display())));
            } else if !is_ours {
                let key = certificate.key().fingerprint();
                let what =
                    format!("the key that it certifies, {key}, is none of the host keys: name its file too");
                return Err(wrong(format!("{}: {what}", path.display())));
            }
        }
        Ok(ServerConfig { certificates, ..ServerConfig::new(keys) })
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
            format!("{}: {error}: give --state-dir DIR, one that can be written", self.state_dir.display())
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
        let text = files::read_owned(&self.path).map_err(|error| error.to_string())?;
        let path = self.path.display();
        match self.of {
            KeysOf::User => {
                let refused = authorized_keys::entries(&text).filter_map(Result::err);
                Ok(refused.map(|line| format!("{path}:{}: not taken: {}", line.line, line.reason)).collect())
            }
            KeysOf::List => authorized_keys::plain_entries(&text)
                .try_for_each(|entry| entry.map(|_| ()))
                .map(|()| Vec::new())
                .map_err(|refused| refused.to_string()),
        }
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
/// there is no IPv6.
fn listen_at(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, String> {
    let listener = |address: &SocketAddr| {
        let v4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
        let is_every = address.is_ipv6() && address.ip().is_unspecified();
        let alone = !is_every || (addresses.contains(&v4) && address.port() != 0);
        match listen_on(*address, alone) {
            Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) if is_every && !alone => listen_on(v4, true),
            listener => listener,
        }
        .map_err(|error| format!("{address}: {}", io::Error::from(error)))
    };
    addresses.iter().map(listener).collect()
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
