//! Logging in by keys: what the agent and the files have, offered one after the other, signed where the private half is.

use super::person::Asked;
use super::{Login, Refused, Waiting, denied};
use crate::connection::Connection;
use crate::crypto::sign::PrivateKey;
use crate::driver::agent::{AgentClient, AgentFailure, Request};
use crate::driver::identities::{
    self, Candidate, Identity, KeySource, Locked, Plan, Rules, UnlockError, Unlocking,
};
use crate::driver::options::Options;
use crate::driver::text::key_kind;
use crate::keys::agent::Answer;
use crate::keys::private_key::{Encrypted, PrivateKeyError};
use crate::transport::{Client, Ticket};
use crate::userauth::SignatureRequest;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The keys of a login.
pub(super) struct Keys {
    rules: Rules,
    agent: Option<AgentClient>,
    /// The host's key and its signature of the exchange, for the agent.
    bound_to: (Vec<u8>, Vec<u8>),
    /// What is still to be offered; nothing before it is planned.
    candidates: Option<VecDeque<Candidate>>,
    /// What the server was asked about last.
    trying: Option<Identity>,
    /// Blobs of the keys that have made a step; each makes only one.
    served: Vec<Vec<u8>>,
    /// How often a passphrase may be typed wrong.
    prompts_max: u32,
}

/// What the agent was asked for.
pub(super) enum AgentTask {
    /// Its keys; the session was bound before, if `binds` answers wait for that.
    Identities { ticket: Ticket, binds: bool },
    /// A signature.
    Signature { ticket: Ticket, name: String },
}

/// What a passphrase is for.
pub(super) struct PassphraseTask {
    ticket: Ticket,
    file: Arc<Encrypted>,
    name: String,
    tries: u32,
    then: Then,
}

/// What is done with the key.
enum Then {
    /// It is offered.
    Offer(Box<Locked>),
    /// It was offered, and signs.
    Sign(Box<SignatureRequest>),
}

/// A passphrase that is being tried.
pub(super) struct Unlock {
    task: PassphraseTask,
    work: Unlocking,
}

impl Keys {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            rules: Rules::of(options),
            agent: None,
            bound_to: Default::default(),
            candidates: None,
            trying: None,
            served: Vec::new(),
            prompts_max: options.number_of_password_prompts,
        }
    }

    /// What the host has shown.
    pub(super) fn bind_to(&mut self, k_s: &[u8], signature: &[u8]) {
        self.bound_to = (k_s.to_vec(), signature.to_vec());
    }

    pub(super) const fn are_planned(&self) -> bool {
        self.candidates.is_some()
    }

    /// Whether no file names the next key; nothing if there is no next one.
    pub(super) fn next_is_stray(&self) -> Option<bool> {
        self.candidates.as_ref()?.front().map(is_stray)
    }

    /// Keys that a file names come first from now on.
    pub(super) fn put_strays_last(&mut self) {
        if let Some(candidates) = &mut self.candidates {
            candidates.make_contiguous().sort_by_key(is_stray);
        }
    }

    /// The server did not take it.
    pub(super) const fn refused(&mut self) -> Option<Identity> {
        self.trying.take()
    }

    /// A step is done: the keys are planned anew, without the one that served.
    pub(super) fn begin_again(&mut self, served: Option<&Identity>) {
        self.candidates = None;
        self.served.extend(served.map(|identity| identity.public.key().blob()));
    }

    /// The agent is gone, and with it what only it signs for.
    fn lose_agent(&mut self) {
        self.agent = None;
        if let Some(candidates) = &mut self.candidates {
            candidates.retain(|candidate| match candidate {
                Candidate::Identity(identity) => !matches!(identity.source, KeySource::Agent(_)),
                Candidate::Locked(_) => true,
            });
        }
    }

    /// The host's key, and its signature of the first exchange.
    pub(super) const fn bound_to(&self) -> &(Vec<u8>, Vec<u8>) {
        &self.bound_to
    }

    /// Keys are not needed any more.
    pub(super) fn finish(&mut self) {
        (self.agent, self.trying, self.candidates) = (None, None, Some(VecDeque::new()));
    }
}

impl Login {
    /// Asks the agent for its keys, or plans without one.
    pub(super) fn plan_keys(&mut self, conn: &mut Connection<Client>, ticket: Ticket) -> Result<(), Refused> {
        let binds = self.keys.agent.is_none(); // a connection is bound once
        if binds {
            self.keys.agent = self.agent();
        }
        let (host_key, signature) = self.keys.bound_to.clone();
        let session_id = conn.session_id().to_vec();
        let bind = Request::SessionBind { host_key, session_id, signature, is_forwarding: false };
        let asked = self.keys.agent.as_mut().map(|agent| {
            if binds {
                agent.ask(bind)?;
            }
            agent.ask(Request::Identities)
        });
        match asked {
            Some(Ok(())) => {
                self.waiting = Some(Waiting::Agent(AgentTask::Identities { ticket, binds }));
                Ok(())
            }
            Some(Err(failure)) => self.plan_with(conn, ticket, Err(failure)),
            None => self.plan_with(conn, ticket, Ok(Vec::new())),
        }
    }

    fn plan_with(
        &mut self,
        conn: &mut Connection<Client>,
        ticket: Ticket,
        listed: Result<Vec<crate::keys::agent::Identity>, AgentFailure>,
    ) -> Result<(), Refused> {
        let listed = listed.unwrap_or_else(|failure| {
            self.keys.agent = None;
            self.debug(1, || failure.to_string());
            Vec::new()
        });
        self.debug(2, || format!("the agent has {} keys", listed.len()));
        let files = identities::read(&self.options);
        let Plan { candidates, notices } = identities::plan(files, &listed, &self.keys.rules);
        for notice in notices {
            self.pass_on(notice);
        }
        for candidate in &candidates {
            if let Candidate::Identity(identity) = candidate {
                let text = described(identity);
                self.debug(2, || format!("will attempt key: {text}"));
            }
        }
        let unused = |candidate: &Candidate| match candidate {
            Candidate::Identity(identity) => !self.keys.served.contains(&identity.public.key().blob()),
            Candidate::Locked(_) => true,
        };
        let candidates = candidates.into_iter().filter(unused).collect();
        self.keys.candidates = Some(candidates);
        self.next(conn, ticket)
    }

    /// Offers the next key.
    pub(super) fn try_key(&mut self, conn: &mut Connection<Client>, ticket: Ticket) -> Result<(), Refused> {
        match self.keys.candidates.as_mut().and_then(VecDeque::pop_front) {
            Some(Candidate::Identity(identity)) => self.offer(conn, ticket, *identity),
            Some(Candidate::Locked(locked)) => {
                let (file, name) = (Arc::clone(&locked.file), locked.name.clone());
                let then = Then::Offer(Box::new(locked));
                self.ask_passphrase(conn, PassphraseTask { ticket, file, name, tries: 0, then })
            }
            None => self.next(conn, ticket),
        }
    }

    fn offer(
        &mut self,
        conn: &mut Connection<Client>,
        ticket: Ticket,
        identity: Identity,
    ) -> Result<(), Refused> {
        let text = described(&identity);
        self.debug(1, || format!("Offering public key: {text}"));
        let asked = conn.request_identity(ticket, &identity.public);
        self.keys.trying = Some(identity);
        asked.map_err(denied)
    }

    /// The server would take the key.
    pub(super) fn sign(
        &mut self,
        conn: &mut Connection<Client>,
        request: SignatureRequest,
        ticket: Ticket,
    ) -> Result<(), Refused> {
        let Some(identity) = self.keys.trying.clone() else { return self.next(conn, ticket) };
        let text = described(&identity);
        self.debug(1, || format!("Server accepts key: {text}"));
        match identity.source {
            KeySource::File(key) => self.sign_with(conn, ticket, &key, &request),
            KeySource::Encrypted(file) => {
                let then = Then::Sign(Box::new(request));
                let name = identity.name;
                self.ask_passphrase(conn, PassphraseTask { ticket, file, name, tries: 0, then })
            }
            KeySource::Agent(blob) => {
                let SignatureRequest { algorithm, data, .. } = request;
                let asked =
                    self.keys.agent.as_mut().map(|agent| agent.ask(Request::Sign { blob, data, algorithm }));
                match asked {
                    Some(Ok(())) => {
                        let name = identity.name;
                        self.waiting = Some(Waiting::Agent(AgentTask::Signature { ticket, name }));
                        Ok(())
                    }
                    Some(Err(failure)) => {
                        self.keys.lose_agent();
                        self.not_signed(conn, ticket, &identity.name, &failure.to_string())
                    }
                    None => self.next(conn, ticket),
                }
            }
        }
    }

    fn sign_with(
        &mut self,
        conn: &mut Connection<Client>,
        ticket: Ticket,
        key: &PrivateKey,
        request: &SignatureRequest,
    ) -> Result<(), Refused> {
        match key.sign(request.algorithm, &request.data) {
            Ok(signature) => conn.send_signature(ticket, &signature).map_err(denied),
            Err(error) => self.not_signed(conn, ticket, "the key", &error.to_string()),
        }
    }

    /// A key that does not sign is one that was tried.
    fn not_signed(
        &mut self,
        conn: &mut Connection<Client>,
        ticket: Ticket,
        name: &str,
        why: &str,
    ) -> Result<(), Refused> {
        self.tell(format!("sign_and_send_pubkey: {name}: {why}"));
        if let Some(Identity { name, .. }) = self.keys.refused() {
            self.tried.push(name);
        }
        self.next(conn, ticket)
    }

    pub(super) fn agent_answered(
        &mut self,
        conn: &mut Connection<Client>,
        task: AgentTask,
    ) -> Result<(), Refused> {
        let answer = match self.keys.agent.as_mut().map(AgentClient::answer) {
            Some(Some(answer)) => answer,
            Some(None) => {
                self.waiting = Some(Waiting::Agent(task));
                return Ok(());
            }
            None => Err(AgentFailure::Closed),
        };
        match task {
            AgentTask::Identities { ticket, binds: true } => {
                let text = match &answer {
                    Ok(Answer::Bound) => "the agent has bound the session".to_owned(),
                    Ok(_) => "the agent does not bind sessions".to_owned(),
                    Err(failure) => failure.to_string(),
                };
                self.debug(1, || text);
                self.agent_answered(conn, AgentTask::Identities { ticket, binds: false })
            }
            AgentTask::Identities { ticket, binds: false } => {
                let listed = answer.map(|answer| match answer {
                    Answer::Identities(identities) => identities,
                    _ => Vec::new(),
                });
                self.plan_with(conn, ticket, listed)
            }
            AgentTask::Signature { ticket, name } => match answer {
                Ok(Answer::Signature(signature)) => conn.send_signature(ticket, &signature).map_err(denied),
                Ok(Answer::OtherAlgorithm) => self.not_signed(
                    conn,
                    ticket,
                    &name,
                    "the agent signs by another algorithm than was asked for",
                ),
                Ok(_) => self.not_signed(conn, ticket, &name, "the agent refused to sign"),
                Err(failure) => {
                    self.keys.lose_agent();
                    self.not_signed(conn, ticket, &name, &failure.to_string())
                }
            },
        }
    }

    fn ask_passphrase(
        &mut self,
        conn: &mut Connection<Client>,
        mut task: PassphraseTask,
    ) -> Result<(), Refused> {
        if !self.asks {
            return self.give_up(conn, task, "it needs a passphrase, and nobody is asked");
        }
        if task.tries >= self.keys.prompts_max {
            return self.give_up(conn, task, "no passphrase was right");
        }
        task.tries += 1;
        let prompt = format!("Enter passphrase for key '{}': ", task.name);
        self.ask_or_deny(conn, Asked::Passphrase { task }, &prompt, false)
    }

    /// Goes on without a key.
    fn give_up(
        &mut self,
        conn: &mut Connection<Client>,
        task: PassphraseTask,
        why: &str,
    ) -> Result<(), Refused> {
        let PassphraseTask { ticket, name, .. } = task;
        self.debug(1, || format!("{name}: {why}"));
        self.tried.push(format!("{name} ({why})"));
        self.keys.trying = None;
        self.next(conn, ticket)
    }

    pub(super) fn passphrase_answered(
        &mut self,
        conn: &mut Connection<Client>,
        task: PassphraseTask,
        answer: io::Result<Zeroizing<String>>,
    ) -> Result<(), Refused> {
        match answer {
            Ok(passphrase) if !passphrase.is_empty() => {
                match Unlocking::start(Arc::clone(&task.file), passphrase, Arc::clone(&self.waker)) {
                    Ok(work) => {
                        self.waiting = Some(Waiting::Unlock(Unlock { task, work }));
                        Ok(())
                    }
                    Err(error) => self.give_up(conn, task, &error.to_string()),
                }
            }
            // As ssh: whoever types nothing wants the next key.
            Ok(_) | Err(_) => self.give_up(conn, task, "no passphrase was typed"),
        }
    }

    pub(super) fn unlocked(&mut self, conn: &mut Connection<Client>, unlock: Unlock) -> Result<(), Refused> {
        let Unlock { task, work } = unlock;
        let Some(key) = work.done() else {
            self.waiting = Some(Waiting::Unlock(Unlock { task, work }));
            return Ok(());
        };
        let key = match key {
            Ok(key) => key,
            Err(UnlockError::Key(PrivateKeyError::WrongPassphrase)) => {
                self.debug(1, || "that passphrase is wrong".to_owned());
                return self.ask_passphrase(conn, task);
            }
            Err(error) => return self.give_up(conn, task, &error.to_string()),
        };
        let PassphraseTask { ticket, name, then, .. } = task;
        match then {
            Then::Offer(locked) => {
                let identity = locked.unlocked(key);
                match self.keys.rules.refusal(&identity.public) {
                    None => self.offer(conn, ticket, identity),
                    Some(why) => {
                        self.debug(1, || format!("{name}: {why}"));
                        self.next(conn, ticket)
                    }
                }
            }
            Then::Sign(request) => match self.keys.trying.as_mut().map(|identity| identity.unlocked(key)) {
                Some(Ok(())) => self.sign(conn, *request, ticket),
                Some(Err(error)) => self.not_signed(conn, ticket, &name, &error.to_string()),
                None => self.next(conn, ticket),
            },
        }
    }
}

/// Whether no file names it.
fn is_stray(candidate: &Candidate) -> bool {
    matches!(candidate, Candidate::Identity(identity) if !identity.is_named)
}

/// A key as the story tells it.
fn described(identity: &Identity) -> String {
    let key = identity.public.key();
    let place = if matches!(identity.source, KeySource::Agent(_)) { " agent" } else { "" };
    format!("{} {} {}{place}", identity.name, key_kind(key), key.fingerprint())
}
