//! Whether a host key is the host's, from the files of known hosts and the user's rules.
//!
//! It reads and writes the files and words the answers; it asks nobody and does not know connections.

use crate::crypto::sign::{PublicKey, sk};
use crate::driver::files;
use crate::driver::options::{Options, StrictHostKeyChecking};
use crate::keys::known_hosts::{self, File, Host, NameForm, Verdict};
use crate::transport::algorithms::SIGNATURE;
use std::io;
use std::path::PathBuf;

const ADVICE: &str =
    "log in once on a terminal and compare the fingerprint, or use -o StrictHostKeyChecking=accept-new";

/// What is to be done about a host key.
pub(super) enum Judgement {
    /// It is known.
    Accept,
    /// It is new, and may be noted down unasked.
    AcceptNew,
    /// The user is to be asked this.
    Ask(String),
    /// It is not the host's; why.
    Refuse(String),
}

/// What is known of one host.
pub(super) struct HostKeys {
    host: Host,
    /// known_hosts files, name and contents.
    known: Vec<(PathBuf, Vec<u8>)>,
    /// Where new keys are noted down.
    own_file: Option<PathBuf>,
    strict: StrictHostKeyChecking,
}

impl HostKeys {
    /// Reads the files.
    ///
    /// # Errors
    /// A text for the user: the host's name cannot be one, or a file cannot be read.
    pub(super) fn new(options: &Options) -> Result<Self, String> {
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
        let own_file = options.user_known_hosts_files.first().cloned();
        Ok(Self { host, known, own_file, strict: options.strict_host_key_checking })
    }

    fn files(&self) -> Vec<File<'_>> {
        self.known
            .iter()
            .map(|(path, contents)| File { name: path.to_str().unwrap_or("known_hosts"), contents })
            .collect()
    }

    /// The types of key that are known, and of certificates if there is an authority for the host; those should be asked for
    /// first.
    pub(super) fn key_types(&self) -> Vec<String> {
        let files = self.files();
        let mut types: Vec<_> =
            known_hosts::key_types(&files, &self.host).into_iter().map(str::to_owned).collect();
        if known_hosts::has_authority(&files, &self.host) {
            let certified = SIGNATURE.iter().map(|row| row.algorithm).filter(|algorithm| algorithm.certified);
            types.extend(certified.map(|algorithm| algorithm.key_type().to_owned()));
        }
        types
    }

    pub(super) fn judge(&self, key: &PublicKey) -> Judgement {
        let host = self.host.as_str();
        let place = match known_hosts::lookup(&self.files(), &self.host, key) {
            Ok(Verdict::Known(_)) => return Judgement::Accept,
            Ok(Verdict::Unknown) if self.strict == StrictHostKeyChecking::AcceptNew => {
                return Judgement::AcceptNew;
            }
            Ok(Verdict::Unknown | Verdict::OtherType(_)) if self.strict == StrictHostKeyChecking::Ask => {
                return Judgement::Ask(format!(
                    "The authenticity of host '{host}' can't be established ({}).\n{} key fingerprint is {}.\nAre you \
                     sure you want to continue connecting (yes/no/[fingerprint])? ",
                    self.unknown(key),
                    kind(key),
                    key.fingerprint()
                ));
            }
            Ok(Verdict::Unknown | Verdict::OtherType(_)) => {
                return Judgement::Refuse(self.nobody_to_ask(key));
            }
            Ok(Verdict::Changed(place)) => {
                return Judgement::Refuse(format!(
                    "{}:{}: the host key of {host} has changed: it is {} {} now, and somebody may be listening. If you \
                     know why it changed, remove that line",
                    place.file,
                    place.line,
                    key.key_type(),
                    key.fingerprint()
                ));
            }
            Ok(Verdict::Revoked(place)) => place,
            Err(error) => return Judgement::Refuse(error.to_string()),
        };
        Judgement::Refuse(format!("{}:{}: the key of {host} is revoked", place.file, place.line))
    }

    /// What is missing about a key that is not known.
    fn unknown(&self, key: &PublicKey) -> String {
        match known_hosts::lookup(&self.files(), &self.host, key) {
            Ok(Verdict::OtherType(place)) => {
                format!("{}:{}: another type of key ({}) is known", place.file, place.line, place.key_type)
            }
            _ => format!("no known host key for {}", self.host.as_str()),
        }
    }

    /// Why a key that is not known is refused where nobody can be asked.
    pub(super) fn nobody_to_ask(&self, key: &PublicKey) -> String {
        format!("{}; {ADVICE}", self.unknown(key))
    }

    /// Notes a new key down; what the user is told of it.
    pub(super) fn remember(&self, key: &PublicKey) -> String {
        let (host, kind) = (self.host.as_str(), kind(key));
        let Some(path) = &self.own_file else { return format!("the key of {host} was not noted down") };
        let contents = self.known.iter().find(|(known, _)| known == path).map_or(&[][..], |(_, c)| c);
        let line = known_hosts::line_to_append(contents, &self.host, key, NameForm::Plain);
        match files::append_line(path, &line) {
            Ok(()) => format!("Warning: Permanently added '{host}' ({kind}) to the list of known hosts."),
            Err(error) => format!("{}: {error}: the key of {host} was not noted down", path.display()),
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
