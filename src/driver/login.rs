//! A client's login as ssh's users know it: the host key against known_hosts, then keys, then the password.
//!
//! It answers the questions of a connection from files and from the person at the terminal. It knows paths and prompts; what
//! happens after the login it does not.

use super::Error;
use super::files::{self, KeyFileError};
use super::options::{Options, StrictHostKeyChecking, home};
use super::terminal::{self, Question};
use crate::connection::Connection;
use crate::crypto::SystemRng;
use crate::crypto::sign::{PrivateKey, PublicKey, sk};
use crate::keys::known_hosts::{self, File, Host, NameForm, Verdict};
use crate::transport::{Client, HostKey, Ticket};
use crate::userauth::{ClientUserauthConfig, ClientUserauthEvent};
use crate::wire::DisconnectReason;
use mio::Waker;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// Why a login ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// The host is not known, or another; a text for the user.
    HostKey(String),
    /// Nothing that could be tried sufficed; a text for the user.
    Denied(String),
    /// Ctrl-C in a question.
    Interrupted,
}

/// What is open at the terminal.
enum Pending {
    HostKey { ticket: Ticket, key: Box<PublicKey> },
    Password { ticket: Ticket },
}

/// One login.
pub struct Login {
    options: Options,
    host: Host,
    /// known_hosts files, name and contents.
    known: Vec<(PathBuf, Vec<u8>)>,
    keys: VecDeque<Arc<PrivateKey>>,
    prompts: u32,
    pending: Option<(Pending, Question)>,
    waker: Arc<Waker>,
    /// What the user should know, one text a line.
    pub notices: Vec<String>,
}

impl Login {
    /// Reads the files; `waker` is the loop's.
    ///
    /// # Errors
    /// A text for the user: the host's name cannot be one, or a known_hosts file cannot be read.
    pub fn new(options: Options, waker: Arc<Waker>) -> Result<Self, String> {
        // An alias goes with the port that is not written.
        let alias = options.config.host_key_alias.as_deref().map(|alias| (alias, 22));
        let (name, port) = alias.unwrap_or((&options.host, options.port));
        let host = Host::new(name, port).map_err(|_| format!("{}: not a host name", name.escape_debug()))?;
        let mut known = Vec::new();
        for path in options.user_known_hosts_files.iter().chain(&options.global_known_hosts_files) {
            match files::read_text(path) {
                Ok(contents) => known.push((path.clone(), contents)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(format!("{}: {error}", path.display())),
            }
        }
        let mut login = Self {
            prompts: options.number_of_password_prompts,
            host,
            known,
            keys: VecDeque::new(),
            pending: None,
            waker,
            notices: Vec::new(),
            options,
        };
        login.read_keys();
        Ok(login)
    }

    fn read_keys(&mut self) {
        let configured = &self.options.config.identity_file.0; // `none` among them, too
        let by_default = self.options.identity_files.is_empty() && configured.is_empty();
        let paths = if by_default {
            vec![home().join(".ssh/id_ed25519")]
        } else {
            self.options.identity_files.clone()
        };
        for path in paths {
            match files::read_private_key(&path) {
                Ok(key) if self.options.offers(&key) => self.keys.push_back(Arc::new(key)),
                Ok(key) => {
                    let kind = kind(&key.public_key());
                    self.notices.push(format!(
                        "{}: PubkeyAcceptedAlgorithms has nothing for a key of type {kind}",
                        path.display()
                    ));
                }
                Err(KeyFileError::Io(error)) if by_default && error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.notices.push(format!("{}: {error}", path.display())),
            }
        }
    }

    /// A connection for this login.
    #[must_use]
    pub fn connection(&self, now: Instant) -> Connection<Client> {
        let types = known_hosts::key_types(&self.files(), &self.host);
        Connection::new(
            Arc::new(self.options.client_config(&types)),
            ClientUserauthConfig { user_name: self.options.user.clone() },
            Default::default(),
            Box::new(SystemRng),
            now,
        )
    }

    /// Why the connection ended, and what the user could type if it is the algorithms.
    #[must_use]
    pub fn explain(&self, error: &Error) -> String {
        self.options.algorithms.explain(error)
    }

    fn files(&self) -> Vec<File<'_>> {
        self.known
            .iter()
            .map(|(path, contents)| File { name: path.to_str().unwrap_or("known_hosts"), contents })
            .collect()
    }

    /// Judges a host key, or asks the person at the terminal.
    ///
    /// # Errors
    /// The login has ended.
    pub fn judge(&mut self, conn: &mut Connection<Client>, question: HostKey<'_>) -> Result<(), Refused> {
        let HostKey { key, ticket, .. } = question;
        let verdict = match known_hosts::lookup(&self.files(), &self.host, &key) {
            Ok(Verdict::Known(_)) => return accept(conn, ticket),
            Ok(Verdict::Unknown) => Ok(None),
            Ok(Verdict::OtherType(place)) => Ok(Some(format!(
                "{}:{}: another type of key ({}) is known",
                place.file, place.line, place.key_type
            ))),
            Ok(Verdict::Changed(place)) => Err(format!(
                "{}:{}: the host key of {} has changed: it is {} {} now, and somebody may be listening. If you know \
                 why it changed, remove that line",
                place.file,
                place.line,
                self.host.as_str(),
                key.key_type(),
                key.fingerprint()
            )),
            Ok(Verdict::Revoked(place)) => {
                Err(format!("{}:{}: the key of {} is revoked", place.file, place.line, self.host.as_str()))
            }
            Err(error) => Err(error.to_string()),
        };
        let other = match verdict {
            Ok(other) => other,
            Err(text) => return refuse(conn, ticket, text),
        };
        let strict = self.options.strict_host_key_checking;
        if strict == StrictHostKeyChecking::AcceptNew && other.is_none() {
            self.remember(&key);
            return accept(conn, ticket);
        }
        let unknown = other.unwrap_or_else(|| format!("no known host key for {}", self.host.as_str()));
        if strict == StrictHostKeyChecking::Ask && !self.options.batch_mode && terminal::is_there() {
            let text = format!(
                "The authenticity of host '{}' can't be established ({unknown}).\n{} key fingerprint is {}.\nAre you \
                 sure you want to continue connecting (yes/no/[fingerprint])? ",
                self.host.as_str(),
                kind(&key),
                key.fingerprint()
            );
            match Question::line(&text, Arc::clone(&self.waker)) {
                Ok(question) => {
                    self.pending = Some((Pending::HostKey { ticket, key: Box::new(key) }, question));
                    return Ok(());
                }
                Err(error) => return refuse(conn, ticket, error.to_string()),
            }
        }
        let advice = "log in once on a terminal and compare the fingerprint, or use -o StrictHostKeyChecking=accept-new";
        refuse(conn, ticket, format!("{unknown}; {advice}"))
    }

    /// Notes a new key down.
    fn remember(&mut self, key: &PublicKey) {
        let Some(path) = self.options.user_known_hosts_files.first() else { return };
        let contents = self.known.iter().find(|(known, _)| known == path).map_or(&[][..], |(_, c)| c);
        let line = known_hosts::line_to_append(contents, &self.host, key, NameForm::Plain);
        let host = self.host.as_str();
        self.notices.push(match files::append_line(path, &line) {
            Ok(()) => {
                format!("Warning: Permanently added '{host}' ({}) to the list of known hosts.", kind(key))
            }
            Err(error) => format!("{}: {error}: the key of {host} was not noted down", path.display()),
        });
    }

    /// Answers what the server asks of the user.
    ///
    /// # Errors
    /// The login has ended.
    pub fn userauth(
        &mut self,
        conn: &mut Connection<Client>,
        event: ClientUserauthEvent<'_>,
    ) -> Result<(), Refused> {
        let (ticket, methods) = match event {
            ClientUserauthEvent::Banner { message } => {
                self.notices.push(String::from_utf8_lossy(message).trim_end().to_owned());
                return Ok(());
            }
            ClientUserauthEvent::PasswordExpired { .. } => {
                return self.deny(conn, "the password has expired: change it on the host");
            }
            ClientUserauthEvent::Continue { authentications_that_can_continue, ticket, .. } => {
                (ticket, authentications_that_can_continue)
            }
        };
        if methods.contains("publickey")
            && self.options.pubkey_authentication
            && let Some(key) = self.keys.pop_front()
        {
            return conn.request_publickey(ticket, key).map_err(|error| Refused::Denied(error.to_string()));
        }
        let asks = self.options.password_authentication && !self.options.batch_mode && self.prompts > 0;
        if methods.contains("password") && asks && terminal::is_there() {
            if self.prompts < self.options.number_of_password_prompts {
                self.notices.push("Permission denied, please try again.".to_owned());
            }
            self.prompts -= 1;
            let text = format!("{}@{}'s password: ", self.options.user, self.options.host);
            match Question::secret(&text, Arc::clone(&self.waker)) {
                Ok(question) => {
                    self.pending = Some((Pending::Password { ticket }, question));
                    return Ok(());
                }
                Err(error) => self.notices.push(error.to_string()),
            }
        }
        self.deny(conn, &format!("Permission denied ({}).", methods.as_str()))
    }

    fn deny(&self, conn: &mut Connection<Client>, why: &str) -> Result<(), Refused> {
        conn.disconnect(DisconnectReason::NO_MORE_AUTH_METHODS_AVAILABLE, "nothing left to try");
        Err(Refused::Denied(format!("{}@{}: {why}", self.options.user, self.options.host)))
    }

    /// Whether a question is open at the terminal.
    #[must_use]
    pub const fn is_asking(&self) -> bool {
        self.pending.is_some()
    }

    /// The loop was woken: takes the answer from the terminal, if there is one.
    ///
    /// # Errors
    /// The login has ended.
    pub fn answered(&mut self, conn: &mut Connection<Client>) -> Result<(), Refused> {
        let Some(answer) = self.pending.as_ref().and_then(|(_, question)| question.answer()) else {
            return Ok(());
        };
        let Some((pending, question)) = self.pending.take() else { return Ok(()) };
        match (pending, answer) {
            (_, Err(error)) if error.kind() == io::ErrorKind::Interrupted => Err(Refused::Interrupted),
            (Pending::HostKey { ticket, key }, Ok(answer)) => {
                if *answer == "yes" || *answer == key.fingerprint() {
                    self.remember(&key);
                    return accept(conn, ticket);
                }
                if *answer == "no" {
                    return refuse(conn, ticket, "it was not accepted".to_owned());
                }
                let text = "Please type 'yes', 'no' or the fingerprint: ";
                match Question::line(text, Arc::clone(&self.waker)) {
                    Ok(question) => self.pending = Some((Pending::HostKey { ticket, key }, question)),
                    Err(error) => return refuse(conn, ticket, error.to_string()),
                }
                Ok(())
            }
            (Pending::HostKey { ticket, .. }, Err(error)) => refuse(conn, ticket, error.to_string()),
            (Pending::Password { ticket }, Ok(password)) => conn
                .request_password(ticket, password.as_bytes())
                .map_err(|error| Refused::Denied(error.to_string())),
            (Pending::Password { .. }, Err(_)) => {
                question.abort();
                self.deny(conn, "no password was typed")
            }
        }
    }

    /// Leaves the terminal as it was; for the end of the program.
    pub fn abort(&self) {
        if let Some((_, question)) = &self.pending {
            question.abort();
        }
    }
}

/// The name of a key's kind in ssh's messages.
#[must_use]
pub fn kind(key: &PublicKey) -> &'static str {
    match key {
        PublicKey::Ed25519(_) => "ED25519",
        PublicKey::Ecdsa(_) => "ECDSA",
        PublicKey::Rsa(_) => "RSA",
        PublicKey::Sk(key) if key.key_type() == sk::ED25519_NAME => "ED25519-SK",
        PublicKey::Sk(_) => "ECDSA-SK",
    }
}

fn accept(conn: &mut Connection<Client>, ticket: Ticket) -> Result<(), Refused> {
    conn.accept_host_key(ticket).map_err(|error| Refused::HostKey(error.to_string()))
}

fn refuse(conn: &mut Connection<Client>, ticket: Ticket, why: String) -> Result<(), Refused> {
    conn.refuse_host_key(ticket).map_err(|error| Refused::HostKey(error.to_string()))?;
    Err(Refused::HostKey(format!("{why}\nHost key verification failed.")))
}
