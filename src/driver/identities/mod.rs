//! Which keys a client offers, in which order, and who signs with them.
//!
//! [`read`] takes in the files, [`plan`] puts them and the agent's keys into the order in which ssh tries them:
//!
//! ```text
//! 1. certificates that CertificateFile names
//! 2. keys and certificates of the agent that IdentityFile names, in the agent's order
//! 3. the agent's others, in its order; not with IdentitiesOnly
//! 4. what is in files alone, in IdentityFile's order, each key before the certificate beside it
//! ```
//!
//! OpenSSH 9.2 and 10.0 have this order; the later releases that sort keys by their type are not followed. The plan is made
//! of values: it opens no file and asks nobody. What is said to a server, and whether it likes a key, this module does not
//! know.

mod read;
mod unlock;

pub use read::{CERTIFICATE_FILES_MAX, IDENTITY_FILES_MAX, read};
pub use unlock::{UnlockError, Unlocking};

use super::options::{Options, is_too_short};
use super::text::escaped;
use crate::crypto::sign::certificate::{Certificate, KeyAlgorithm, PlainOrCertified, Role};
use crate::crypto::sign::{PrivateKey, PublicKey};
use crate::keys::agent;
use crate::keys::private_key::Encrypted;
use core::fmt;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most keys and certificates of a plan. No server lets so many be tried.
pub const IDENTITIES_MAX: usize = 256;

/// What is offered: a key or certificate, and who signs for it.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The server sees it.
    pub public: PlainOrCertified,
    /// For people: the file, or the agent's comment; safe to show.
    pub name: String,
    /// Where its private half is.
    pub source: KeySource,
    /// Whether a file names it. An agent may have many others.
    pub is_named: bool,
}

/// Where a private half is.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// An agent has it and is asked by this blob: that of the certificate, if it has the certificate too.
    Agent(Vec<u8>),
    /// It is here.
    File(Arc<PrivateKey>),
    /// It is here, behind a passphrase. [`Identity::unlocked`] takes what [`Unlocking`] gives.
    Encrypted(Arc<Encrypted>),
}

impl Identity {
    /// Takes the private half that was behind a passphrase.
    ///
    /// # Errors
    /// It is another key's: what stands beside the file does not belong to it. Nothing is changed.
    pub fn unlocked(&mut self, key: PrivateKey) -> Result<(), OtherKey> {
        if key.public_key() != *self.public.key() {
            return Err(OtherKey);
        }
        self.source = KeySource::File(Arc::new(key));
        Ok(())
    }
}

/// The private key is not the one that its public half promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherKey;

impl fmt::Display for OtherKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the private key is not that of the public key beside it")
    }
}

impl core::error::Error for OtherKey {}

/// A key that only its passphrase tells: nothing can be offered before.
#[derive(Clone, Debug)]
pub struct Locked {
    /// For people: the file; safe to show.
    pub name: String,
    /// For [`Unlocking`].
    pub file: Arc<Encrypted>,
}

impl Locked {
    /// What is to be offered now. [`Rules::refusal`] has not seen it yet.
    #[must_use]
    pub fn unlocked(self, key: PrivateKey) -> Identity {
        let public = PlainOrCertified::Plain(key.public_key());
        Identity { public, name: self.name, source: KeySource::File(Arc::new(key)), is_named: true }
    }
}

/// What is tried next.
#[derive(Clone, Debug)]
pub enum Candidate {
    /// Something that can be shown to the server.
    Identity(Box<Identity>),
    /// Something that must be unlocked first.
    Locked(Locked),
}

/// A text for the user, safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// In any case.
    Tell(String),
    /// If he wants to know it all.
    Debug(String),
}

/// What files hold.
#[derive(Debug, Default)]
pub struct KeyFiles {
    /// What IdentityFile names, or the default files, with the certificates beside them; in order.
    pub entries: Vec<Entry>,
    /// What CertificateFile names, in order.
    pub certificates: Vec<(PathBuf, Certificate)>,
    /// What could not be read.
    pub notices: Vec<Notice>,
}

/// A file of a key, or the certificate beside it.
#[derive(Debug)]
pub struct Entry {
    /// As it was named; with a certificate the name of its own file.
    pub path: PathBuf,
    /// What it holds.
    pub held: Held,
}

/// What a file holds.
#[derive(Debug)]
pub enum Held {
    /// A key.
    Key(Arc<PrivateKey>),
    /// A key behind a passphrase.
    Encrypted {
        /// Its public half, if it is known without.
        public: Option<PublicKey>,
        /// For [`Unlocking`].
        file: Arc<Encrypted>,
    },
    /// A public half, for an agent.
    Public {
        /// Agents are asked by it.
        key: PublicKey,
        /// What the user should know if no agent has it.
        why: Option<String>,
    },
    /// A certificate.
    Certificate(Box<Certificate>),
}

impl Entry {
    fn key(&self) -> Option<&PublicKey> {
        match &self.held {
            Held::Encrypted { public, .. } => public.as_ref(),
            Held::Public { key, .. } => Some(key),
            Held::Key(_) | Held::Certificate(_) => None,
        }
    }

    /// The blob that an agent would have for it.
    fn blob(&self) -> Option<Vec<u8>> {
        match &self.held {
            Held::Key(key) => Some(key.public_key().blob()),
            Held::Certificate(certificate) => Some(certificate.blob().to_vec()),
            Held::Encrypted { .. } | Held::Public { .. } => self.key().map(PublicKey::blob),
        }
    }

    /// Who signs with `key`, if this file has its private half.
    fn source(&self, key: &PublicKey) -> Option<KeySource> {
        match &self.held {
            Held::Key(own) if own.public_key() == *key => Some(KeySource::File(Arc::clone(own))),
            Held::Encrypted { public: Some(public), file } if public == key => {
                Some(KeySource::Encrypted(Arc::clone(file)))
            }
            _ => None,
        }
    }
}

/// What the user wants to be offered.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Of the agent only what a file names (`IdentitiesOnly`).
    pub identities_only: bool,
    /// A key or certificate is offered that is shown by one of these (`PubkeyAcceptedAlgorithms`).
    pub accepted: Vec<KeyAlgorithm>,
    /// The fewest bits of an RSA key (`RequiredRSASize`).
    pub required_rsa_size: u32,
}

impl Rules {
    /// Those of a configuration.
    #[must_use]
    pub fn of(options: &Options) -> Self {
        let accepted = options.algorithms.chosen().user_key.iter().map(|row| row.algorithm).collect();
        let config = &options.config;
        Self {
            identities_only: config.identities_only,
            accepted,
            required_rsa_size: config.required_rsa_size,
        }
    }

    /// Why a key or certificate is not offered, if it is not.
    #[must_use]
    pub fn refusal(&self, public: &PlainOrCertified) -> Option<String> {
        let (key, certified) = (public.key(), matches!(public, PlainOrCertified::Certified(_)));
        let key_type = key.key_type();
        let shown = |row: &&KeyAlgorithm| row.certified == certified && row.signature.key_type() == key_type;
        if !self.accepted.iter().any(|row| shown(&row)) {
            return Some(format!("PubkeyAcceptedAlgorithms has nothing for a key of type {key_type}"));
        }
        is_too_short(key, self.required_rsa_size).then(|| "it is shorter than RequiredRSASize".to_owned())
    }
}

/// What is tried, in this order, and what the user is told.
#[derive(Debug, Default)]
pub struct Plan {
    /// At most [`IDENTITIES_MAX`]; each blob once.
    pub candidates: Vec<Candidate>,
    /// Those of the files first.
    pub notices: Vec<Notice>,
}

/// Plans what to try. `agent` is what the agent lists, in its order; empty without one.
#[must_use]
pub fn plan(files: KeyFiles, agent: &[agent::Identity], rules: &Rules) -> Plan {
    let KeyFiles { entries, certificates, notices } = files;
    let plan = Plan { candidates: Vec::new(), notices };
    let mut planner = Planner { entries: &entries, agent, rules, plan, seen: HashSet::new() };
    for (path, certificate) in &certificates {
        planner.certificate(path, certificate);
    }
    let blobs: Vec<_> = entries.iter().map(Entry::blob).collect();
    let named = |identity: &agent::Identity| {
        let place = blobs.iter().position(|blob| blob.as_ref() == Some(&identity.blob));
        place.and_then(|place| entries.get(place))
    };
    for (identity, entry) in agent.iter().filter_map(|identity| Some((identity, named(identity)?))) {
        planner.of_agent(identity, &shown(&entry.path), true);
    }
    if !rules.identities_only {
        for identity in agent {
            planner.of_agent(identity, &escaped(&identity.comment), false);
        }
    }
    for entry in &entries {
        planner.of_file(entry);
    }
    planner.plan
}

struct Planner<'p> {
    entries: &'p [Entry],
    agent: &'p [agent::Identity],
    rules: &'p Rules,
    plan: Plan,
    /// Blobs that had their turn.
    seen: HashSet<Vec<u8>>,
}

impl Planner<'_> {
    fn of_agent(&mut self, identity: &agent::Identity, name: &str, is_named: bool) {
        let useless = match &identity.key {
            Ok(PlainOrCertified::Certified(certificate)) if certificate.role() != Role::User => {
                FOR_HOSTS.to_owned()
            }
            Ok(public) => {
                self.offer(public.clone(), name, KeySource::Agent(identity.blob.clone()), is_named);
                return;
            }
            Err(error) => format!("the agent's key is of no use: {error}"),
        };
        if self.seen.insert(identity.blob.clone()) {
            self.debug(name, &useless);
        }
    }

    fn of_file(&mut self, entry: &Entry) {
        let name = shown(&entry.path);
        match &entry.held {
            Held::Key(key) => {
                self.offer(
                    PlainOrCertified::Plain(key.public_key()),
                    &name,
                    KeySource::File(Arc::clone(key)),
                    true,
                );
            }
            Held::Encrypted { public: Some(key), file } => {
                let source = KeySource::Encrypted(Arc::clone(file));
                self.offer(PlainOrCertified::Plain(key.clone()), &name, source, true);
            }
            Held::Encrypted { public: None, file } => {
                self.push(Candidate::Locked(Locked { name, file: Arc::clone(file) }));
            }
            Held::Public { key, why } => {
                if self.seen.insert(key.blob())
                    && let Some(why) = why
                {
                    self.tell(&name, why);
                }
            }
            Held::Certificate(certificate) => self.certificate(&entry.path, certificate),
        }
    }

    /// The agent signs for a certificate, or else a file does; for one that a file names the agent may even when it is asked
    /// for nothing else.
    fn certificate(&mut self, path: &Path, certificate: &Certificate) {
        let key = certificate.key();
        let plain = key.blob();
        let has = |blob: &[u8]| self.agent.iter().any(|identity| identity.blob == blob);
        // A key that may sign for some hosts alone signs what names it exactly as the agent has it.
        let by_agent = [certificate.blob(), &plain].into_iter().find(|blob| has(blob));
        let source = by_agent
            .map(|blob| KeySource::Agent(blob.to_vec()))
            .or_else(|| self.entries.iter().find_map(|entry| entry.source(key)));
        let name = shown(path);
        let useless = match source {
            _ if certificate.role() != Role::User => FOR_HOSTS,
            None => "neither a file nor an agent has the private key of this certificate",
            Some(source) => {
                self.offer(PlainOrCertified::Certified(Box::new(certificate.clone())), &name, source, true);
                return;
            }
        };
        if self.seen.insert(certificate.blob().to_vec()) {
            self.tell(&name, useless);
        }
    }

    fn offer(&mut self, public: PlainOrCertified, name: &str, source: KeySource, is_named: bool) {
        if !self.seen.insert(public.blob()) {
            return;
        }
        if let Some(why) = self.rules.refusal(&public) {
            self.debug(name, &why);
            return;
        }
        let identity = Identity { public, name: name.to_owned(), source, is_named };
        self.push(Candidate::Identity(Box::new(identity)));
    }

    fn push(&mut self, candidate: Candidate) {
        match self.plan.candidates.len() {
            0..IDENTITIES_MAX => self.plan.candidates.push(candidate),
            _ => {
                let text = format!("no more than {IDENTITIES_MAX} keys are tried");
                if self.plan.notices.last() != Some(&Notice::Tell(text.clone())) {
                    self.plan.notices.push(Notice::Tell(text));
                }
            }
        }
    }

    fn tell(&mut self, name: &str, text: &str) {
        self.plan.notices.push(Notice::Tell(format!("{name}: {text}")));
    }

    fn debug(&mut self, name: &str, text: &str) {
        self.plan.notices.push(Notice::Debug(format!("{name}: {text}")));
    }
}

/// ssh shows a server such a certificate of an agent, which takes none.
const FOR_HOSTS: &str = "the certificate is for hosts, not for users";

/// A path as it may be shown.
fn shown(path: &Path) -> String {
    escaped(path.as_os_str().as_encoded_bytes())
}

#[cfg(test)]
mod tests;
