//! A client's login as ssh's users know it: the host key against known_hosts, then keys from the agent and from files, then
//! what a person types.
//!
//! It answers the questions of a connection from files, an agent and the person at the terminal, all of them beside the
//! loop: whatever is waited for comes with a [`Waker`], and [`answered`](Login::answered) takes it. It knows paths and
//! prompts; what happens after the login it does not.

mod host_key;
mod methods;
mod person;
mod publickey;
mod revoked;
mod update;

use super::Error;
use super::agent::{self, AgentClient, Binding};
use super::exit::{INTERRUPTED, NO_CONNECTION};
use super::identities::Notice;
use super::options::Options;
use super::terminal::{self, Question};
use super::text::{escaped, escaped_lines};
use crate::connection::{Connection, GlobalEvent};
use crate::crypto::SystemRng;
use crate::crypto::sign::PublicKey;
use crate::keys::ssh_config::LogLevel;
use crate::tell;
use crate::transport::algorithms::{Algorithm, Negotiated, names};
use crate::transport::{self, Client, HostKey, Ticket};
use crate::userauth::{ClientUserauthConfig, ClientUserauthEvent, Method};
use crate::wire::{DisconnectReason, NameList};
use host_key::{HostKeys, Judgement};
use methods::Methods;
use mio::Waker;
use person::{Asked, Person};
use publickey::{AgentTask, Keys, Unlock};
use std::io;
use std::sync::Arc;
use std::time::Instant;
use zeroize::Zeroizing;

/// What is shown of a host's banners and instructions in one login (bytes).
pub const HOST_TEXT_MAX: usize = 64 * 1024;

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

impl Refused {
    /// Tells the user on standard error, and gives the exit status of a program that ends by it.
    #[must_use]
    pub fn tell(self) -> u8 {
        match self {
            Self::HostKey(text) | Self::Denied(text) => {
                tell!("{}", escaped_lines(&text));
                NO_CONNECTION
            }
            Self::Interrupted => INTERRUPTED,
        }
    }
}

/// What the login waits for.
enum Waiting {
    /// An answer of the person.
    Person(Asked, Question),
    /// The end of another question; then this one, shown as it is typed or not, is asked.
    Turn(Asked, String, bool),
    /// An answer of the agent.
    Agent(AgentTask),
    /// A passphrase that is being tried.
    Unlock(Unlock),
}

/// One login.
pub struct Login {
    options: Options,
    /// There is a person who may be asked.
    asks: bool,
    host_keys: HostKeys,
    methods: Methods,
    /// What the server takes, as it said last.
    takes: String,
    keys: Keys,
    person: Person,
    waiting: Option<Waiting>,
    waker: Arc<Waker>,
    /// What was tried and did not suffice, for the last words.
    tried: Vec<String>,
    /// What is being tried.
    method: Method,
    /// Bytes of the host's texts that are still shown.
    host_text_left: usize,
    /// What the user should know, one text a line. What is not taken before a question is written to standard error.
    pub notices: Vec<String>,
}

impl Login {
    /// Reads the files; `waker` is the loop's.
    ///
    /// # Errors
    /// A text for the user: the host's name cannot be one, or a known_hosts file cannot be read.
    pub fn new(options: Options, waker: Arc<Waker>) -> Result<Self, String> {
        let asks = !options.batch_mode && terminal::can_ask();
        Ok(Self {
            asks,
            host_keys: HostKeys::new(&options)?,
            methods: Methods::new(&options, asks),
            takes: String::new(),
            keys: Keys::new(&options),
            person: Person::new(&options),
            waiting: None,
            waker,
            tried: Vec::new(),
            method: Method::None,
            host_text_left: HOST_TEXT_MAX,
            notices: Vec::new(),
            options,
        })
    }

    /// A connection for this login.
    #[must_use]
    pub fn connection(&self, now: Instant) -> Connection<Client> {
        let mut conn = Connection::new(
            Arc::new(self.options.client_config(&self.host_keys.key_types())),
            ClientUserauthConfig { user_name: self.options.user.clone() },
            Default::default(),
            Box::new(SystemRng),
            now,
        );
        conn.set_keepalive(self.options.keepalive(), now);
        conn
    }

    /// Why the connection ended, and what the user could type if it is the algorithms.
    #[must_use]
    pub fn explain(&self, error: &Error) -> String {
        let text = self.options.algorithms.explain(error);
        if self.tried.is_empty() { text } else { format!("{text} (tried: {})", self.tried.join(", ")) }
    }

    /// Judges a host key, or asks the person at the terminal.
    ///
    /// # Errors
    /// The login has ended.
    pub fn judge(&mut self, conn: &mut Connection<Client>, question: HostKey<'_>) -> Result<(), Refused> {
        let HostKey { key, certificate, k_s, signature, ticket, .. } = question;
        let offered = self.options.client_config(&self.host_keys.key_types()).transport.algorithms;
        self.debug(2, || format!("KEX algorithms: {}", joined(&offered.kex)));
        self.debug(2, || format!("host key algorithms: {}", joined(&offered.host_key)));
        self.debug(2, || format!("ciphers: {}", joined(&offered.cipher)));
        self.debug(2, || format!("MACs: {}", joined(&offered.mac)));
        self.keys.bind_to(k_s, signature);
        let remote = escaped(conn.remote_identification());
        self.debug(1, || format!("Remote software is {remote}"));
        self.debug(1, || format!("Server host key: {} {}", key.key_type(), key.fingerprint()));
        match self.host_keys.judge(&key, certificate.as_deref()) {
            Judgement::Accept => accept(conn, ticket),
            Judgement::AcceptChanged(warning) => {
                self.methods.without_passwords();
                self.notices.push(format!("WARNING: {warning}"));
                self.notices
                    .push("Passwords are switched off, so that nobody in the middle learns them.".to_owned());
                accept(conn, ticket)
            }
            Judgement::AcceptNew => {
                let notice = self.host_keys.remember(&key);
                self.tell(notice);
                accept(conn, ticket)
            }
            Judgement::Ask(text) if self.asks => {
                self.ask_or_deny(conn, Asked::HostKey { ticket, key: Box::new(key) }, &text, true)
            }
            Judgement::Ask(_) => refuse(conn, ticket, self.host_keys.nobody_to_ask(&key)),
            Judgement::Refuse(text) => refuse(conn, ticket, text),
        }
    }

    /// What the user's agent is to be told before it works for the host.
    #[must_use]
    pub fn binding(&self, conn: &Connection<Client>) -> Binding {
        let (host_key, signature) = self.keys.bound_to().clone();
        Binding { host_key, session_id: conn.session_id().to_vec(), signature }
    }

    /// Takes what the host says of its keys after the login, and keeps the user's files as UpdateHostKeys has it. What is of
    /// something else is passed over.
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
            _ => return,
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
        match event {
            ClientUserauthEvent::Banner { message } => {
                self.tell_of_host(message);
                Ok(())
            }
            ClientUserauthEvent::Continue { authentications_that_can_continue, partial_success, ticket } => {
                let is_first = self.takes.is_empty();
                self.takes = authentications_that_can_continue.as_str().to_owned();
                self.answer_came(conn, is_first, partial_success);
                self.next(conn, ticket)
            }
            ClientUserauthEvent::Sign { request, ticket } => self.sign(conn, request, ticket),
            ClientUserauthEvent::PasswordExpired { prompt, ticket } => {
                self.tell_of_host(prompt);
                self.ask_new_password(conn, ticket)
            }
            ClientUserauthEvent::InformationRequest { name, instruction, prompts, ticket } => {
                self.begin_interview(conn, [name, instruction], &prompts, ticket)
            }
        }
    }

    /// The user is logged in.
    pub fn authenticated(&mut self) {
        self.keys.finish();
        self.person.forget();
        let (host, method) = (escaped(self.options.host.as_bytes()), self.method.name());
        self.debug(1, || format!("Authenticated to {host} using \"{method}\"."));
    }

    /// The server has answered the last request, and wants more.
    fn answer_came(&mut self, conn: &Connection<Client>, is_first: bool, partial_success: bool) {
        if is_first {
            self.tell_negotiated(conn);
        }
        let takes = escaped(self.takes.as_bytes());
        self.debug(1, || format!("Authentications that can continue: {takes}"));
        let answered = self.keys.refused();
        self.tried.extend(answered.as_ref().map(|identity| identity.name.clone()));
        if partial_success {
            self.tell_debug(1, "Authenticated with partial success.");
            self.methods.begin_again();
            self.keys.begin_again(answered.as_ref());
            self.person.forget();
            self.tried.clear();
        }
    }

    /// What the exchange has agreed upon.
    fn tell_negotiated(&mut self, conn: &Connection<Client>) {
        let Some(Negotiated { kex, host_key, client_to_server: up, server_to_client: down }) =
            conn.negotiated()
        else {
            return;
        };
        self.debug(1, || format!("kex: algorithm: {}", kex.name));
        self.debug(1, || format!("kex: host key algorithm: {}", host_key.name));
        let taken = conn.server_sig_algs().map(|taken| taken.iter().map(|of| of.name()).collect::<Vec<_>>());
        let taken = taken.map_or("nothing said".to_owned(), |names| names.join(","));
        self.debug(3, || format!("server-sig-algs known here: {taken}"));
        for (direction, of) in [("client->server", up), ("server->client", down)] {
            let mac = of.mac.map_or("<implicit>", |mac| mac.name);
            let (cipher, compression) = (of.cipher.name, of.compression.name);
            self.debug(1, || {
                format!("kex: {direction} cipher: {cipher} MAC: {mac} compression: {compression}")
            });
        }
    }

    /// Tries what comes next.
    fn next(&mut self, conn: &mut Connection<Client>, ticket: Ticket) -> Result<(), Refused> {
        let takes = self.takes.clone();
        let Ok(takes) = NameList::from_bytes(takes.as_bytes()) else { return self.deny(conn) };
        let preferred = self.methods.preferred();
        self.debug(3, || format!("preferred {preferred}"));
        if self.methods.has_keys(&takes) && !self.keys.are_planned() {
            return self.plan_keys(conn, ticket);
        }
        if self.methods.had_strays() {
            self.keys.put_strays_last();
        }
        let method = self.methods.next(&takes, self.keys.next_is_stray());
        if let Some(method) = method {
            self.method = method;
            self.debug(1, || format!("Next authentication method: {}", method.name()));
        }
        match method {
            Some(Method::Publickey) => self.try_key(conn, ticket),
            Some(Method::KeyboardInteractive) => {
                self.tried.push("keyboard-interactive".to_owned());
                conn.request_keyboard_interactive(ticket, b"").map_err(denied)
            }
            Some(Method::Password) => self.ask_password(conn, ticket),
            Some(Method::None) | None => self.deny(conn),
        }
    }

    /// Nothing is left: says what the server would take, and what was tried.
    fn deny(&self, conn: &mut Connection<Client>) -> Result<(), Refused> {
        conn.disconnect(DisconnectReason::NO_MORE_AUTH_METHODS_AVAILABLE, "nothing left to try");
        let (user, host) = (&self.options.user, &self.options.host);
        let mut tried = self.tried.clone();
        tried.dedup();
        let tried = if tried.is_empty() { "nothing".to_owned() } else { tried.join(", ") };
        Err(Refused::Denied(format!(
            "{user}@{host}: Permission denied ({}).\nTried: {tried}.",
            escaped(self.takes.as_bytes())
        )))
    }

    /// The loop was woken: takes what came from the terminal, the agent or a passphrase, if anything did.
    ///
    /// # Errors
    /// The login has ended.
    pub fn answered(&mut self, conn: &mut Connection<Client>) -> Result<(), Refused> {
        match self.waiting.take() {
            None => Ok(()),
            Some(Waiting::Person(asked, question)) => match question.answer() {
                None => {
                    self.waiting = Some(Waiting::Person(asked, question));
                    Ok(())
                }
                Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => Err(Refused::Interrupted),
                Some(answer) => {
                    if answer.is_err() {
                        question.abort();
                    }
                    self.person_answered(conn, asked, answer)
                }
            },
            Some(Waiting::Turn(asked, prompt, echo)) => self.ask_or_deny(conn, asked, &prompt, echo),
            Some(Waiting::Agent(task)) => self.agent_answered(conn, task),
            Some(Waiting::Unlock(unlock)) => self.unlocked(conn, unlock),
        }
    }

    fn person_answered(
        &mut self,
        conn: &mut Connection<Client>,
        asked: Asked,
        answer: io::Result<Zeroizing<String>>,
    ) -> Result<(), Refused> {
        match asked {
            Asked::HostKey { ticket, key } => self.host_key_answered(conn, ticket, *key, answer),
            Asked::Password { ticket } => self.password_answered(conn, ticket, answer),
            Asked::NewPassword { ticket } => self.new_password_answered(conn, ticket, answer),
            Asked::Prompt { ticket } => self.prompt_answered(conn, ticket, answer),
            Asked::Passphrase { task } => self.passphrase_answered(conn, task, answer),
        }
    }

    fn host_key_answered(
        &mut self,
        conn: &mut Connection<Client>,
        ticket: Ticket,
        key: PublicKey,
        answer: io::Result<Zeroizing<String>>,
    ) -> Result<(), Refused> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return refuse(conn, ticket, error.to_string()),
        };
        if answer.eq_ignore_ascii_case("yes") || *answer == key.fingerprint() {
            let notice = self.host_keys.confirmed(&key);
            self.tell(notice);
            return accept(conn, ticket);
        }
        if answer.is_empty() || answer.eq_ignore_ascii_case("no") {
            return refuse(conn, ticket, "it was not accepted".to_owned());
        }
        let text = "Please type 'yes', 'no' or the fingerprint: ";
        self.ask_or_deny(conn, Asked::HostKey { ticket, key: Box::new(key) }, text, true)
    }

    /// Leaves the terminal as it was; for the end of the program.
    pub fn abort(&self) {
        if let Some(Waiting::Person(_, question)) = &self.waiting {
            question.abort();
        }
    }

    /// A word for every user.
    fn tell(&mut self, text: String) {
        if self.options.config.log_level >= LogLevel::Info && !text.is_empty() {
            self.notices.push(text);
        }
    }

    /// A text of the host's. Each of its lines says whose it is, so that none can pass for a question or a word of ours.
    fn tell_of_host(&mut self, text: &[u8]) {
        let text = text.get(..self.host_text_left).unwrap_or(text);
        self.host_text_left -= text.len();
        let host = escaped(self.options.host.as_bytes());
        for line in String::from_utf8_lossy(text).trim_end().lines() {
            self.tell(format!("{host}: {}", escaped(line.as_bytes())));
        }
    }

    /// Shows what there is to tell before a question is put.
    fn flush_notices(&mut self) {
        for notice in self.notices.drain(..) {
            tell!("{}", escaped_lines(&notice));
        }
    }

    /// A word for who asked for the story of the login, by as many `-v` as `level`.
    fn debug(&mut self, level: u8, text: impl FnOnce() -> String) {
        if self.options.config.log_level.debug() >= level {
            self.notices.push(format!("debug{level}: {}", text()));
        }
    }

    fn tell_debug(&mut self, level: u8, text: &str) {
        self.debug(level, || text.to_owned());
    }

    fn pass_on(&mut self, notice: Notice) {
        match notice {
            Notice::Tell(text) => self.tell(text),
            Notice::Debug(text) => self.tell_debug(1, &text),
        }
    }

    /// Connects to the agent, if there is one to ask.
    fn agent(&self) -> Option<AgentClient> {
        let path = agent::socket(&self.options.config.identity_agent, |name| std::env::var_os(name))?;
        Some(AgentClient::connect(&path, Arc::clone(&self.waker)))
    }
}

fn joined<T>(rows: &[Algorithm<T>]) -> String {
    names(rows).collect::<Vec<_>>().join(",")
}

fn accept(conn: &mut Connection<Client>, ticket: Ticket) -> Result<(), Refused> {
    conn.accept_host_key(ticket).map_err(|error| Refused::HostKey(error.to_string()))
}

fn refuse(conn: &mut Connection<Client>, ticket: Ticket, why: String) -> Result<(), Refused> {
    conn.refuse_host_key(ticket).map_err(|error| Refused::HostKey(error.to_string()))?;
    Err(Refused::HostKey(format!("{why}\nHost key verification failed.")))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn denied(error: transport::Error) -> Refused {
    Refused::Denied(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::config::{CommandLine, load};
    use mio::Poll;

    #[test]
    fn t58_texts_of_a_host_have_a_bound_in_all_and_each_line_says_whose_it_is() {
        let directory = tempfile::TempDir::new().unwrap();
        let file = directory.path().join("config");
        std::fs::write(&file, "UserKnownHostsFile none\nGlobalKnownHostsFile none\n").unwrap();
        let line = CommandLine { host: "target".to_owned(), file: Some(file), ..CommandLine::default() };
        let waker = Arc::new(Waker::new(Poll::new().unwrap().registry(), mio::Token(0)).unwrap());
        let mut login = Login::new(load(&line).unwrap().options().unwrap(), waker).unwrap();
        let first = b"one\nYes or no? \x1b[2J\r\n";
        login.tell_of_host(first);
        assert_eq!(login.notices, ["target: one", "target: Yes or no? \\x1b[2J"]);
        login.notices.clear();
        let block = [b'x'; 1000];
        (0..HOST_TEXT_MAX / block.len() + 10).for_each(|_| login.tell_of_host(&block));
        let shown: usize = login.notices.iter().map(|notice| notice.len() - "target: ".len()).sum();
        assert_eq!(shown, HOST_TEXT_MAX - first.len());
    }
}
