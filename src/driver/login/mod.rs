//! A client's login as ssh's users know it: the host key against known_hosts, then keys, then the password.
//!
//! It answers the questions of a connection from files and from the person at the terminal. It knows paths and prompts; what
//! happens after the login it does not.

mod host_key;
mod revoked;
mod update;

pub use host_key::kind;

use super::Error;
use super::files::{self, KeyFileError};
use super::options::{Options, home};
use super::terminal::{self, Question};
use crate::connection::{Connection, GlobalEvent};
use crate::crypto::SystemRng;
use crate::crypto::sign::{PrivateKey, PublicKey};
use crate::transport::{Client, HostKey, Ticket};
use crate::userauth::{ClientUserauthConfig, ClientUserauthEvent};
use crate::wire::DisconnectReason;
use mio::Waker;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use host_key::{HostKeys, Judgement};

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
    host_keys: HostKeys,
    keys: VecDeque<Arc<PrivateKey>>,
    prompts: u32,
    pending: Option<(Pending, Question)>,
    passwords_off: bool,
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
        let mut login = Self {
            prompts: options.number_of_password_prompts,
            host_keys: HostKeys::new(&options)?,
            keys: VecDeque::new(),
            pending: None,
            passwords_off: false,
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
        Connection::new(
            Arc::new(self.options.client_config(&self.host_keys.key_types())),
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

    /// Judges a host key, or asks the person at the terminal.
    ///
    /// # Errors
    /// The login has ended.
    pub fn judge(&mut self, conn: &mut Connection<Client>, question: HostKey<'_>) -> Result<(), Refused> {
        let HostKey { key, certificate, ticket, .. } = question;
        match self.host_keys.judge(&key, certificate.as_deref()) {
            Judgement::Accept => accept(conn, ticket),
            Judgement::AcceptChanged(warning) => {
                self.passwords_off = true;
                self.notices.push(format!("WARNING: {warning}"));
                self.notices.push(
                    "Passwords and forwarding are switched off, so that nobody in the middle learns or uses them."
                        .to_owned(),
                );
                accept(conn, ticket)
            }
            Judgement::AcceptNew => {
                self.notices.push(self.host_keys.remember(&key));
                accept(conn, ticket)
            }
            Judgement::Ask(text) if !self.options.batch_mode && terminal::is_there() => {
                match Question::line(&text, Arc::clone(&self.waker)) {
                    Ok(question) => {
                        self.pending = Some((Pending::HostKey { ticket, key: Box::new(key) }, question));
                        Ok(())
                    }
                    Err(error) => refuse(conn, ticket, error.to_string()),
                }
            }
            Judgement::Ask(_) => refuse(conn, ticket, self.host_keys.nobody_to_ask(&key)),
            Judgement::Refuse(text) => refuse(conn, ticket, text),
        }
    }

    /// Whether the host may be somebody in the middle, and the user goes on all the same: no password, no answer to a question of
    /// the host's, and no forwarding then.
    #[must_use]
    pub const fn passwords_off(&self) -> bool {
        self.passwords_off
    }

    /// Takes what the host says of its keys after the login, and keeps the user's files as UpdateHostKeys has it.
    pub fn global(&mut self, conn: &mut Connection<Client>, event: GlobalEvent) {
        let proved = match event {
            GlobalEvent::HostKeys { keys } => match self.host_keys.announced(keys) {
                Some(to_prove) if !to_prove.is_empty() => {
                    // Nothing is learned if it cannot be asked for.
                    let _asked = conn.request_hostkeys_prove(&to_prove);
                    return;
                }
                Some(nothing_to_prove) => nothing_to_prove,
                None => return,
            },
            GlobalEvent::HostKeysProved { keys } => keys,
            GlobalEvent::HostKeysNotProved => {
                self.notices.push("the host did not prove the host keys that it announced".to_owned());
                return;
            }
        };
        self.notices.extend(self.host_keys.update(&proved));
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
        let asks = self.options.password_authentication
            && !self.passwords_off
            && !self.options.batch_mode
            && self.prompts > 0;
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
                    self.notices.push(self.host_keys.confirmed(&key));
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

fn accept(conn: &mut Connection<Client>, ticket: Ticket) -> Result<(), Refused> {
    conn.accept_host_key(ticket).map_err(|error| Refused::HostKey(error.to_string()))
}

fn refuse(conn: &mut Connection<Client>, ticket: Ticket, why: String) -> Result<(), Refused> {
    conn.refuse_host_key(ticket).map_err(|error| Refused::HostKey(error.to_string()))?;
    Err(Refused::HostKey(format!("{why}\nHost key verification failed.")))
}
