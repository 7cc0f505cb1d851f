//! What a person types: passwords, new ones, and the answers of keyboard-interactive (RFC 4252 §8, RFC 4256).
//!
//! A prompt says for whom it is, so that a server cannot pass its own off as another's. Secrets are kept no longer than until
//! they are sent.

use super::publickey::PassphraseTask;
use super::{Login, Refused, Waiting, denied, refuse};
use crate::connection::Connection;
use crate::crypto::sign::PublicKey;
use crate::driver::options::Options;
use crate::driver::terminal::Question;
use crate::driver::text::escaped;
use crate::transport::{Client, Ticket};
use crate::userauth::Prompt;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What is open at the terminal.
pub(super) enum Asked {
    /// Whether a host key is the host's.
    HostKey { ticket: Ticket, key: Box<PublicKey> },
    /// The password.
    Password { ticket: Ticket },
    /// A password in place of the one that has expired, the first or the second time.
    NewPassword { ticket: Ticket },
    /// A prompt of the server's.
    Prompt { ticket: Ticket },
    /// The passphrase of a key.
    Passphrase { task: PassphraseTask },
}

/// What a person has typed and is being asked.
pub(super) struct Person {
    /// In front of the server's prompts.
    who: String,
    /// The password under way: it is wanted again if it has expired.
    password: Option<Zeroizing<String>>,
    new_password: Option<Zeroizing<String>>,
    /// Prompts not put yet.
    prompts: VecDeque<(Vec<u8>, bool)>,
    responses: Vec<Zeroizing<String>>,
}

impl Person {
    pub(super) fn new(options: &Options) -> Self {
        let who = escaped(format!("{}@{}", options.user, options.host).as_bytes());
        let (prompts, responses) = (VecDeque::new(), Vec::new());
        Self { who, password: None, new_password: None, prompts, responses }
    }

    /// Wipes what was typed.
    pub(super) fn forget(&mut self) {
        (self.password, self.new_password) = (None, None);
        self.prompts.clear();
        self.responses.clear();
    }
}

impl Login {
    /// Asks the person, as soon as nobody else asks; if that cannot be, what it was about comes back.
    pub(super) fn ask(&mut self, asked: Asked, prompt: &str, echo: bool) -> Result<(), (Asked, io::Error)> {
        self.flush_notices();
        let waker = Arc::clone(&self.waker);
        let question = if echo { Question::line(prompt, waker) } else { Question::secret(prompt, waker) };
        self.waiting = Some(match question {
            Ok(question) => Waiting::Person(asked, question),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                Waiting::Turn(asked, prompt.to_owned(), echo)
            }
            Err(error) => return Err((asked, error)),
        });
        Ok(())
    }

    /// The same, where without an answer the login ends.
    pub(super) fn ask_or_deny(
        &mut self,
        conn: &mut Connection<Client>,
        asked: Asked,
        prompt: &str,
        echo: bool,
    ) -> Result<(), Refused> {
        match self.ask(asked, prompt, echo) {
            Ok(()) => Ok(()),
            Err((Asked::HostKey { ticket, .. }, error)) => refuse(conn, ticket, error.to_string()),
            Err((_, error)) => {
                self.tell(error.to_string());
                self.deny(conn)
            }
        }
    }

    pub(super) fn ask_password(
        &mut self,
        conn: &mut Connection<Client>,
        ticket: Ticket,
    ) -> Result<(), Refused> {
        if self.methods.passwords() > 1 {
            self.tell("Permission denied, please try again.".to_owned());
        }
        let prompt = format!("{}'s password: ", self.person.who);
        self.ask_or_deny(conn, Asked::Password { ticket }, &prompt, false)
    }

    pub(super) fn password_answered(
        &mut self,
        conn: &mut Connection<Client>,
        ticket: Ticket,
        answer: io::Result<Zeroizing<String>>,
    ) -> Result<(), Refused> {
        let Ok(password) = answer else { return self.deny(conn) };
        self.tried.push("password".to_owned());
        let sent = conn.request_password(ticket, password.as_bytes());
        self.person.password = Some(password);
        sent.map_err(denied)
    }

    /// The password is right and has expired.
    pub(super) fn ask_new_password(
        &mut self,
        conn: &mut Connection<Client>,
        ticket: Ticket,
    ) -> Result<(), Refused> {
        self.person.new_password = None;
        let prompt = format!("Enter {}'s new password: ", self.person.who);
        self.ask_or_deny(conn, Asked::NewPassword { ticket }, &prompt, false)
    }

    pub(super) fn new_password_answered(
        &mut self,
        conn: &mut Connection<Client>,
        ticket: Ticket,
        answer: io::Result<Zeroizing<String>>,
    ) -> Result<(), Refused> {
        let Ok(typed) = answer else { return self.deny(conn) };
        match (self.person.new_password.take(), &self.person.password) {
            (None, _) if typed.is_empty() => self.ask_new_password(conn, ticket),
            (None, _) => {
                self.person.new_password = Some(typed);
                let prompt = format!("Retype {}'s new password: ", self.person.who);
                self.ask_or_deny(conn, Asked::NewPassword { ticket }, &prompt, false)
            }
            (Some(new), Some(password)) if *new == *typed => {
                // The old one is kept: if the new one is not taken, another is asked for.
                conn.request_password_change(ticket, password.as_bytes(), new.as_bytes()).map_err(denied)
            }
            (Some(_), _) => {
                self.tell("Mismatch; try again, EOF to quit.".to_owned());
                self.ask_new_password(conn, ticket)
            }
        }
    }

    /// The server has questions, perhaps none.
    pub(super) fn begin_interview(
        &mut self,
        conn: &mut Connection<Client>,
        texts: [&[u8]; 2],
        prompts: &[Prompt<'_>],
        ticket: Ticket,
    ) -> Result<(), Refused> {
        self.methods.interview();
        for text in texts {
            self.tell_of_host(text);
        }
        self.person.prompts = prompts.iter().map(|prompt| (prompt.prompt.to_vec(), prompt.echo)).collect();
        self.person.responses.clear();
        self.go_on_with_interview(conn, ticket)
    }

    fn go_on_with_interview(&mut self, conn: &mut Connection<Client>, ticket: Ticket) -> Result<(), Refused> {
        if let Some((prompt, echo)) = self.person.prompts.pop_front() {
            // Of several lines the last is the question.
            let end = prompt.trim_ascii_end().iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let (above, last) = prompt.split_at_checked(end).unwrap_or((&[], &prompt));
            self.tell_of_host(above);
            let prompt = format!("({}) {}", self.person.who, escaped(last));
            return self.ask_or_deny(conn, Asked::Prompt { ticket }, &prompt, echo);
        }
        let responses: Vec<_> = self.person.responses.iter().map(|response| response.as_bytes()).collect();
        let sent = conn.send_responses(ticket, &responses);
        self.person.responses.clear();
        sent.map_err(denied)
    }

    pub(super) fn prompt_answered(
        &mut self,
        conn: &mut Connection<Client>,
        ticket: Ticket,
        answer: io::Result<Zeroizing<String>>,
    ) -> Result<(), Refused> {
        let Ok(response) = answer else { return self.deny(conn) };
        self.person.responses.push(response);
        self.go_on_with_interview(conn, ticket)
    }
}
