//! A server's answers to credentials: keys from [`Accounts`], passwords from [`Passwords`] beside the loop, and the same
//! passwords asked for by keyboard-interactive.
//!
//! It knows connections, and the lines of a log that its program writes; who may log in it asks the accounts. A user who does
//! not exist is answered as one who does with a wrong credential: a password after as much work, a key in no less time
//! (`failure_delay`).

use super::accounts::{Accounts, USER_NAME_MAX};
use super::passwords::{Checker, Passwords};
use super::text::{escaped, key_kind};
use super::{Error, PeerId, Peers};
use crate::connection::Connection;
use crate::crypto::sign::certificate::PlainOrCertified;
use crate::transport::{self, Server, Ticket};
use crate::userauth::{
    Accepted, Circumstances, Credential, CredentialEvent, Method, Origin, Permissions, Prompt,
};
use crate::wire::DisconnectReason;
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
    strangers: HashMap<PeerId, Stranger>,
    /// What is for the log, in its order.
    pub log: Vec<Entry>,
}

/// A line of the log, and what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose connection it was on.
    pub peer: PeerId,
    /// The line, escaped.
    pub text: String,
    /// The verdict that it tells of, if it does.
    pub verdict: Option<Verdict>,
}

/// What came of a credential, or of all those that were only asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What the login is now.
    pub outcome: Outcome,
    /// By what.
    pub method: Method,
    /// Whose it is, or would be: any bytes, at most [`USER_NAME_MAX`].
    pub user_name: Vec<u8>,
    /// The key, and by which line it is taken, or why not; perhaps nothing.
    pub with: String,
}

/// What a login is after a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Through.
    Accepted,
    /// A step further.
    Partial,
    /// Where it was.
    Failed,
}

impl Outcome {
    /// As sshd logs it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Partial => "Partial",
            Self::Failed => "Failed",
        }
    }
}

/// A peer, as far as the log is concerned.
struct Stranger {
    address: Option<SocketAddr>,
    /// Asked about and not taken since the last line about a credential of his.
    keys: u32,
    user_name: Arc<[u8]>,
    /// Of those keys.
    last_key: String,
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
        let (strangers, log) = (HashMap::new(), Vec::new());
        Ok(Self { accounts, passwords, checker: Checker::spawn(waker)?, strangers, log })
    }

    /// A peer is there; keys may be bound to addresses.
    pub fn connect(&mut self, peer: PeerId, address: Option<SocketAddr>) {
        self.strangers
            .insert(peer, Stranger { address, keys: 0, user_name: Arc::default(), last_key: String::new() });
    }

    /// A peer is gone. One who only asked about keys has left no other line.
    pub fn disconnect(&mut self, peer: PeerId) {
        if let Some(Stranger { address, keys: keys @ 1.., user_name, last_key }) =
            self.strangers.remove(&peer)
        {
            let with = match keys {
                1 => format!("{last_key} would not do"),
                _ => format!("none of {keys} keys would do, the last one {last_key}"),
            };
            self.tell_verdict(peer, address, Outcome::Failed, Method::Publickey, &user_name, &with);
        }
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
        let address = self.address(asked.peer).map(|address| address.ip());
        let login = Circumstances { now: seconds(), origin: Origin { address, host_name: None } };
        let shown = format!("{} {}", key_kind(key.key()), key.key().fingerprint());
        match self.accounts.judge(&asked.user_name, key, &login) {
            Ok(granted) => {
                self.accept(conn, asked, &granted.permissions, &format!("{shown} ({})", granted.by))
            }
            Err(reasons) => {
                for reason in reasons {
                    self.tell(asked.peer, &format!("{shown} is refused: {reason}"));
                }
                if is_proved {
                    return self.refuse(conn, asked, &shown);
                }
                if let Some(stranger) = self.strangers.get_mut(&asked.peer) {
                    stranger.keys += 1;
                    stranger.last_key = shown;
                    stranger.user_name = asked.user_name;
                }
                conn.refuse_user(asked.ticket)
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
            Accepted::Partial => self.tell_of(Outcome::Partial, method, user_name, peer, with),
            Accepted::Complete => {
                self.tell_of(Outcome::Accepted, method, user_name, peer, with);
                self.judge_the_end(conn, peer);
            }
            Accepted::Insufficient(why) => {
                let why = if with.is_empty() { why.to_string() } else { format!("{with}: {why}") };
                self.tell_of(Outcome::Failed, method, user_name, peer, &why);
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
        self.tell_of(Outcome::Failed, asked.method, &asked.user_name, asked.peer, with);
        conn.refuse_user(asked.ticket)
    }

    /// All steps are through: what they permit together must hold now, too.
    fn judge_the_end(&mut self, conn: &mut Connection<Server>, peer: PeerId) {
        let login = Circumstances {
            now: seconds(),
            origin: Origin { address: self.address(peer).map(|address| address.ip()), host_name: None },
        };
        if let Some(Err(why)) = conn.permissions().map(|permissions| permissions.admits(&login)) {
            self.tell(peer, &format!("the login came too late: {why}"));
            conn.disconnect(DisconnectReason::BY_APPLICATION, "the login came too late");
        }
    }

    fn address(&self, peer: PeerId) -> Option<SocketAddr> {
        self.strangers.get(&peer)?.address
    }

    fn tell_of(&mut self, outcome: Outcome, method: Method, user_name: &[u8], peer: PeerId, with: &str) {
        if let Some(stranger) = self.strangers.get_mut(&peer) {
            stranger.keys = 0;
        }
        self.tell_verdict(peer, self.address(peer), outcome, method, user_name, with);
    }

    /// As sshd logs it.
    fn tell_verdict(
        &mut self,
        peer: PeerId,
        address: Option<SocketAddr>,
        outcome: Outcome,
        method: Method,
        user_name: &[u8],
        with: &str,
    ) {
        let user_name = user_name.get(..USER_NAME_MAX).unwrap_or(user_name);
        let from = address.map_or_else(String::new, |address| {
            format!(" from {} port {}", address.ip().to_canonical(), address.port())
        });
        let user = String::from_utf8_lossy(user_name);
        let colon = if with.is_empty() { "" } else { ": " };
        let line = format!("{} {} for {user}{from} ssh2{colon}{with}", outcome.word(), method.name());
        let (user_name, with) = (user_name.to_vec(), escaped(with.as_bytes()));
        let verdict = Some(Verdict { outcome, method, user_name, with });
        self.log.push(Entry { peer, text: escaped(line.as_bytes()), verdict });
    }

    fn tell(&mut self, peer: PeerId, line: &str) {
        self.log.push(Entry { peer, text: escaped(line.as_bytes()), verdict: None });
    }
}

/// Since 1970. A clock before that is as far from every limit as can be.
fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |since| since.as_secs())
}
