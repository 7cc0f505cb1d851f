//! A server's answers to credentials: keys from [`Accounts`], passwords from [`Passwords`] beside the loop, and the same
//! passwords asked for by keyboard-interactive.
//!
//! It knows connections, and the lines of a log that its program writes; who may log in it asks the accounts. A user who does
//! not exist is answered as one who does with a wrong credential: a password after as much work, a key in no less time
//! (`failure_delay`).

use super::accounts::Accounts;
use super::passwords::{Checker, Passwords};
use super::text::{escaped, key_kind};
use super::{Error, PeerId, Peers};
use crate::connection::Connection;
use crate::crypto::sign::certificate::PlainOrCertified;
use crate::transport::{self, Server, Ticket};
use crate::userauth::{
    Accepted, Circumstances, Credential, CredentialEvent, Method, Origin, Permissions, Prompt,
};
use mio::Waker;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// Judges the logins of all connections of a loop.
pub struct Authenticator {
    /// Who may log in by keys.
    pub accounts: Accounts,
    /// Who may by a password.
    pub passwords: Option<Arc<Passwords>>,
    checker: Checker<Asked>,
    addresses: HashMap<PeerId, SocketAddr>,
    /// Lines for the log, escaped.
    pub log: Vec<String>,
}

/// What a password is checked for.
struct Asked {
    peer: PeerId,
    ticket: Ticket,
    user_name: Arc<[u8]>,
    method: Method,
}

impl Authenticator {
    /// Starts the threads that check passwords; `waker` is the loop's.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn new(
        accounts: Accounts,
        passwords: Option<Arc<Passwords>>,
        waker: &Arc<Waker>,
    ) -> io::Result<Self> {
        let (addresses, log) = (HashMap::new(), Vec::new());
        Ok(Self { accounts, passwords, checker: Checker::spawn(waker)?, addresses, log })
    }

    /// A peer is there; keys may be bound to addresses.
    pub fn connect(&mut self, peer: PeerId, address: Option<SocketAddr>) {
        self.addresses.extend(address.map(|address| (peer, address)));
    }

    /// A peer is gone.
    pub fn disconnect(&mut self, peer: PeerId) {
        self.addresses.remove(&peer);
    }

    /// Answers a credential, now or once its password is checked.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn credential(
        &mut self,
        peer: PeerId,
        conn: &mut Connection<Server>,
        question: CredentialEvent,
    ) -> Result<(), Error> {
        let CredentialEvent { user_name, credential, ticket } = question;
        if let Some(methods) = self.accounts.account(&user_name).and_then(|account| account.methods.clone()) {
            conn.set_methods(methods);
        }
        let method = credential.method();
        let asked = Asked { peer, ticket, user_name, method };
        match credential {
            Credential::Query { key } => self.key(conn, asked, &key, false)?,
            Credential::Publickey { key, .. } => self.key(conn, asked, &key, true)?,
            Credential::Password(password) => self.password(conn, asked, password)?,
            Credential::KeyboardInteractive { .. } if self.passwords.is_some() => {
                let prompt = Prompt { prompt: b"Password: ", echo: false };
                conn.request_information(asked.ticket, b"", b"", &[prompt])?;
            }
            Credential::Responses(mut responses) if responses.len() == 1 => {
                let password = responses.pop().unwrap_or_default();
                self.password(conn, asked, password)?;
            }
            Credential::None
            | Credential::PasswordChange { .. }
            | Credential::KeyboardInteractive { .. }
            | Credential::Responses(_) => self.refuse(conn, asked, "")?,
        }
        Ok(())
    }

    fn key(
        &mut self,
        conn: &mut Connection<Server>,
        asked: Asked,
        key: &PlainOrCertified,
        is_proved: bool,
    ) -> Result<(), transport::Error> {
        let address = self.addresses.get(&asked.peer).map(SocketAddr::ip);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |since| since.as_secs());
        let login = Circumstances { now, origin: Origin { address, host_name: None } };
        let shown = format!("{} {}", key_kind(key.key()), key.key().fingerprint());
        match self.accounts.judge(&asked.user_name, key, &login) {
            Ok(granted) => {
                self.accept(conn, asked, &granted.permissions, &format!("{shown} ({})", granted.by))
            }
            Err(reasons) => {
                for reason in reasons {
                    self.tell(&format!("{shown} is refused: {reason}"));
                }
                if is_proved { self.refuse(conn, asked, &shown) } else { conn.refuse_user(asked.ticket) }
            }
        }
    }

    fn password(
        &mut self,
        conn: &mut Connection<Server>,
        asked: Asked,
        password: Zeroizing<Vec<u8>>,
    ) -> Result<(), transport::Error> {
        let Some(passwords) = &self.passwords else { return self.refuse(conn, asked, "") };
        let user_name = Arc::clone(&asked.user_name);
        match self.checker.check(passwords, &user_name, password, asked) {
            Ok(()) => Ok(()),
            Err(asked) => self.refuse(conn, asked, "too many are being checked"),
        }
    }

    /// The loop was woken: passes on what came of the passwords.
    pub fn answered(&mut self, peers: &mut Peers<'_, Server>) {
        while let Some((asked, fits)) = self.checker.answer() {
            // A verdict may end the connection; its own turn tells.
            let Some(conn) = peers.get(asked.peer) else { continue };
            let _ended = match fits && self.accounts.account(&asked.user_name).is_some() {
                true => self.accept(conn, asked, &Permissions::FULL, ""),
                false => self.refuse(conn, asked, ""),
            };
        }
    }

    fn accept(
        &mut self,
        conn: &mut Connection<Server>,
        asked: Asked,
        permissions: &Permissions,
        with: &str,
    ) -> Result<(), transport::Error> {
        let Asked { ticket, ref user_name, method, peer } = asked;
        match conn.accept_user(ticket, permissions)? {
            Accepted::Query => {}
            Accepted::Partial => self.tell_of("Partial", method, user_name, peer, with),
            Accepted::Complete => self.tell_of("Accepted", method, user_name, peer, with),
            Accepted::Insufficient(why) => {
                let why = if with.is_empty() { why.to_string() } else { format!("{with}: {why}") };
                self.tell_of("Failed", method, user_name, peer, &why);
            }
        }
        Ok(())
    }

    fn refuse(
        &mut self,
        conn: &mut Connection<Server>,
        asked: Asked,
        with: &str,
    ) -> Result<(), transport::Error> {
        self.tell_of("Failed", asked.method, &asked.user_name, asked.peer, with);
        conn.refuse_user(asked.ticket)
    }

    /// A line as sshd logs it.
    fn tell_of(&mut self, what: &str, method: Method, user_name: &[u8], peer: PeerId, with: &str) {
        let address = self.addresses.get(&peer);
        let from = address.map_or_else(String::new, |address| {
            format!(" from {} port {}", address.ip().to_canonical(), address.port())
        });
        let with = if with.is_empty() { String::new() } else { format!(": {with}") };
        let user = String::from_utf8_lossy(user_name);
        self.tell(&format!("{what} {} for {user}{from} ssh2{with}", method.name()));
    }

    fn tell(&mut self, line: &str) {
        self.log.push(escaped(line.as_bytes()));
    }
}
