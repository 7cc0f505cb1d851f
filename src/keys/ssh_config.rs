//! ssh_config: what a user wants of a connection (ssh_config(5)).
//!
//! [`read`] takes the command line's options, then files in their order; the first value of a keyword counts, but for those
//! that add up. `Host` and `Match` say for which hosts the lines behind them are; `Include` brings other files; where
//! `Match final` stands, everything is read a second time with the host's final name. Every line is checked, those for other
//! hosts, too. What a keyword sets stands in one table ([`Config`]); a keyword that ssh knows and nothing here acts on is
//! passed over and told; one that nobody knows is an error, unless `IgnoreUnknown` names it.
//!
//! Names that are typed are checked before anything is made of them ([`is_valid_host`], [`is_valid_user`]); a command is
//! only made with names that a shell reads as letters, wherever they came from.
//!
//! Of `Match` it knows all, canonical, final, host, originalhost, user, localuser, tagged and exec; another one is an error.
//! A file is UTF-8 but for its comments. What is outside comes by [`Outside`]: this module opens no file, starts no command
//! and knows no environment, and it does not know what is acted on.

mod choice;
mod config;
mod forward;
mod tokens;
mod value;
pub mod words;

pub use choice::{
    AddressFamily, CanonicalizeHostname, LogLevel, PubkeyAuthentication, RequestTty, SessionType,
    StrictHostKeyChecking, YesNoAsk,
};
pub use config::Config;
pub use forward::{DynamicForwards, End, Forward, Jump, LocalForwards, RemoteForwards, ends};
pub use tokens::{
    ALL, EXPANDED_MAX, Local, PROXY_COMMAND, Tokens, USER, Variable, is_valid_host, is_valid_user,
};
pub use value::{
    AddKeysToAgent, AgentSocket, Command, ENTRIES_MAX, EscapeChar, FILES_MAX, Files, ForwardAgent, Interval,
    Keystrokes, List, Mask, ProxyJump, RekeyLimit, SendEnv, SetEnv, Timeout, seconds,
};

use crate::wire::list_matches;
use config::{Sets, find};
use core::fmt;
use std::collections::{BTreeMap, BTreeSet};
use value::Arguments;

/// The largest file (bytes).
pub const FILE_MAX: usize = 1024 * 1024;

/// The longest line (bytes).
pub const LINE_MAX: usize = 64 * 1024;

/// How deep files include files, as in OpenSSH.
pub const DEPTH_MAX: usize = 16;

/// How many files are read for one connection, each time that one is included.
pub const READS_MAX: usize = 1024;

/// How much is read for one connection (bytes).
pub const TOTAL_MAX: usize = 16 * 1024 * 1024;

/// The longest host or user name (bytes).
pub const NAME_MAX: usize = 1024;

/// Whose file it is: it decides what a relative name in `Include` means, and what `~` may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The user's, or named by the user.
    User,
    /// The system's.
    System,
}

/// A file, read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// What the user is told.
    pub name: String,
    /// Its bytes.
    pub contents: Vec<u8>,
}

/// What the reader cannot do itself.
pub trait Outside {
    /// Runs a command in the user's shell: whether it ended with status 0.
    ///
    /// # Errors
    /// A text for the user: it could not be run.
    fn exec(&mut self, command: &str) -> Result<bool, String>;

    /// The files that a pattern of `Include` means, sorted; none for one that fits nothing.
    ///
    /// # Errors
    /// A text for the user: one of them cannot be read.
    fn include(&mut self, pattern: &str, owner: Owner) -> Result<Vec<File>, String>;

    /// An environment variable.
    fn variable(&self, name: &str) -> Option<String>;

    /// The home directory of another user.
    fn home_of(&self, user: &str) -> Option<String>;
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The host as typed.
    pub host: String,
    /// The user as typed.
    pub user: Option<String>,
    /// `Keyword=Value` or `Keyword Value`, in the order in which the first counts.
    pub options: Vec<String>,
    /// Who asks.
    pub local: Local,
}

/// Where a line stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a file; lines are counted from 1.
    Line(String, usize),
    /// An option of the command line.
    Option(String),
    /// Nowhere: the names that were typed, or the whole.
    Request,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(file, line) => write!(f, "{file}:{line}"),
            Self::Option(option) => write!(f, "-o {option}"),
            Self::Request => f.write_str("command line"),
        }
    }
}

/// Why a configuration is not taken. Its text may hold what the file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Where.
    pub place: Place,
    /// What, for the user.
    pub text: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Request => f.write_str(&self.text),
            _ => write!(f, "{}: {}", self.place, self.text),
        }
    }
}

impl core::error::Error for Error {}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The values; names of files and sockets expanded, but for identities, certificates and the system's known hosts.
    pub config: Config,
    /// The host to connect to, the user, and what else tokens stand for.
    pub tokens: Tokens,
    /// Where each keyword that was given got its value.
    pub given: BTreeMap<&'static str, Place>,
    /// Keywords that were passed over.
    pub passed_over: BTreeSet<(Place, &'static str)>,
}

/// Reads options and files for a host.
///
/// # Errors
/// The first thing that is wrong.
pub fn read(request: &Request, files: &[(Owner, File)], outside: &mut dyn Outside) -> Result<Outcome, Error> {
    let refuse = |text: &str| Err(Error { place: Place::Request, text: text.to_owned() });
    if request.host.len() > NAME_MAX || !is_valid_host(&request.host) {
        return refuse("the host's name is empty, too long, or has characters that are not allowed there");
    }
    if request.user.as_ref().is_some_and(|user| user.len() > NAME_MAX || !is_valid_user(user)) {
        return refuse("the user's name is empty, too long, or has characters that are not allowed there");
    }
    let mut reader = Reader {
        request,
        outside,
        config: Config::default(),
        given: BTreeMap::new(),
        passed_over: BTreeSet::new(),
        final_host: None,
        wants_final: false,
        reads: 0,
        total: 0,
    };
    reader.options()?;
    reader.files(files)?;
    if reader.wants_final {
        reader.final_host = Some(reader.host()?);
        reader.files(files)?;
    }
    reader.finish()
}

/// In which lines it is.
struct Block {
    /// Whether they are for this host.
    active: bool,
    /// Whether none in this file is: it was included for other hosts.
    never: bool,
}

struct Reader<'a> {
    request: &'a Request,
    outside: &'a mut dyn Outside,
    config: Config,
    given: BTreeMap<&'static str, Place>,
    passed_over: BTreeSet<(Place, &'static str)>,
    /// The host's name, the second time.
    final_host: Option<String>,
    wants_final: bool,
    reads: usize,
    total: usize,
}

type Why = String;

impl Reader<'_> {
    fn options(&mut self) -> Result<(), Error> {
        if let Some(user) = &self.request.user {
            self.config.user = Some(user.clone());
            self.given.insert("User", Place::Request);
        }
        for option in &self.request.options {
            let place = Place::Option(option.clone());
            let error = |text| Error { place: place.clone(), text };
            let bad = || error("write it as Keyword=Value".to_owned());
            if option.len() > LINE_MAX || option.contains(['\0', '\n', '\r']) {
                return Err(bad());
            }
            let (keyword, rest) = words::split(option).ok_or_else(bad)?;
            if rest.is_empty() {
                return Err(bad());
            }
            self.keyword(keyword, rest, &place, true).map_err(error)?;
        }
        Ok(())
    }

    fn files(&mut self, files: &[(Owner, File)]) -> Result<(), Error> {
        files.iter().try_for_each(|(owner, file)| self.file(*owner, file, true, 0))
    }

    /// Reads a file, or only checks it.
    fn file(&mut self, owner: Owner, file: &File, active: bool, depth: usize) -> Result<(), Error> {
        let whole = |text: String| Error { place: Place::Line(file.name.clone(), 1), text };
        self.reads += 1;
        self.total += file.contents.len();
        if depth > DEPTH_MAX {
            return Err(whole(format!("files include each other more than {DEPTH_MAX} deep")));
        }
        if file.contents.len() > FILE_MAX || self.total > TOTAL_MAX || self.reads > READS_MAX {
            return Err(whole("the file is too large, or too much is included".to_owned()));
        }
        let mut block = Block { active, never: !active };
        for (number, line) in (1..).zip(file.contents.split(|byte| *byte == b'\n')) {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let place = Place::Line(file.name.clone(), number);
            self.line(owner, line, &place, &mut block, depth)?;
        }
        Ok(())
    }

    fn line(
        &mut self,
        owner: Owner,
        line: &[u8],
        place: &Place,
        block: &mut Block,
        depth: usize,
    ) -> Result<(), Error> {
        let error = |text: Why| Error { place: place.clone(), text };
        if line.trim_ascii_start().first() == Some(&b'#') {
            return Ok(());
        }
        if line.len() > LINE_MAX {
            return Err(error(format!("the line is longer than {LINE_MAX} bytes")));
        }
        let text = core::str::from_utf8(line).ok().filter(|text| !text.contains('\0'));
        let text = text.ok_or_else(|| error("the line is not UTF-8, or has a NUL".to_owned()))?;
        let Some((keyword, rest)) = words::split(text) else { return Ok(()) };
        if rest.is_empty() {
            return Err(error(format!("{keyword}: a value is missing")));
        }
        let reading = find(keyword).filter(|(_, sets)| matches!(sets, Sets::Reading));
        let words = || words::words(rest).ok_or_else(|| error(format!("{keyword}: a quote is not closed")));
        match reading.map(|(name, _)| name) {
            None => self.keyword(keyword, rest, place, block.active).map_err(error),
            Some("Host") => {
                block.active = self.host_matches(&words()?).map_err(error)? && !block.never;
                Ok(())
            }
            Some("Match") => {
                block.active = self.is_match(&words()?, block.never).map_err(error)? && !block.never;
                Ok(())
            }
            Some("Include") => self.include(owner, &words()?, place, block.active, depth),
            Some(_) if block.active => Err(error(words()?.join(" "))),
            Some(_) => Ok(()),
        }
    }

    /// A keyword that sets something.
    fn keyword(&mut self, keyword: &str, rest: &str, place: &Place, active: bool) -> Result<(), Why> {
        let words = words::words(rest).ok_or_else(|| format!("{keyword}: a quote is not closed"))?;
        let Some((name, sets)) = find(keyword) else {
            let is_ignored =
                |list: &String| list_matches(list.as_bytes(), keyword.as_bytes(), u8::eq_ignore_ascii_case);
            let ignored = self.config.ignore_unknown.as_ref().is_some_and(is_ignored);
            return if ignored { Ok(()) } else { Err(format!("{keyword}: unknown keyword")) };
        };
        let field = match sets {
            Sets::Field(field) => field,
            Sets::Reading => return Err(format!("{name} stands in files only")),
            Sets::Nothing => {
                if active {
                    self.passed_over.insert((place.clone(), name));
                }
                return Ok(());
            }
        };
        let variable = |name: &str| self.outside.variable(name);
        let arguments = Arguments { words, rest, variable: &variable };
        let with_name = |why| format!("{name}: {why}");
        let mut other = Config::default();
        if !active || (self.given.contains_key(name) && !field(&mut self.config).adds()) {
            return field(&mut other).set(&arguments).map_err(with_name);
        }
        if name == "ProxyJump" {
            // Whichever of the two is named first; `none` leaves the other one free.
            field(&mut other).set(&arguments).map_err(with_name)?;
            if !other.proxy_jump.0.is_empty() {
                if self.given.contains_key("ProxyCommand") {
                    return Ok(());
                }
                self.given.insert("ProxyCommand", place.clone());
            }
        }
        field(&mut self.config).set(&arguments).map_err(with_name)?;
        if matches!(place, Place::Option(_)) && name == "ProxyJump" {
            let valid = |jump: &Jump| {
                is_valid_host(&jump.host) && jump.user.as_ref().is_none_or(|user| is_valid_user(user))
            };
            if !self.config.proxy_jump.0.iter().all(valid) {
                return Err("a name has characters that are not allowed there".to_owned());
            }
        }
        self.given.entry(name).or_insert_with(|| place.clone());
        Ok(())
    }

    fn host_matches(&self, patterns: &[String]) -> Result<bool, Why> {
        if patterns.iter().any(String::is_empty) {
            return Err("Host: a pattern is empty".to_owned());
        }
        let name = self.final_host.as_ref().unwrap_or(&self.request.host).as_bytes();
        let mut found = false;
        for pattern in patterns {
            // A comma is no separator here; no host's name has one.
            let fits =
                |pattern: &str| !pattern.contains(',') && list_matches(pattern.as_bytes(), name, u8::eq);
            match pattern.strip_prefix('!') {
                Some(negated) if fits(negated) => return Ok(false),
                Some(_) => {}
                None => found |= fits(pattern),
            }
        }
        Ok(found)
    }

    /// Whether all criteria hold; `never` if that does not matter, and no command is run.
    fn is_match(&mut self, words: &[String], never: bool) -> Result<bool, Why> {
        let mut result = true;
        let mut rest = words;
        let mut count = 0;
        while let [word, after @ ..] = rest {
            rest = after;
            let (attribute, negated) = match word.strip_prefix('!') {
                Some(attribute) => (attribute, true),
                None => (word.as_str(), false),
            };
            let (name, inline) = match attribute.split_once('=') {
                Some((name, argument)) => (name, Some(argument)),
                None => (attribute, None),
            };
            let name = name.to_ascii_lowercase();
            count += 1;
            let holds = match name.as_str() {
                // As ssh has it, one criterion may stand before it: `canonical all`.
                "all" if count > 2 || !rest.is_empty() => {
                    return Err("Match: all stands alone".to_owned());
                }
                "all" => true,
                "canonical" | "final" => {
                    self.wants_final |= name == "final" && !negated;
                    self.final_host.is_some()
                }
                _ => {
                    let argument = match (inline, rest) {
                        (Some(argument), _) => argument,
                        (None, [argument, after @ ..]) => {
                            rest = after;
                            argument.as_str()
                        }
                        (None, []) => return Err(format!("Match {name}: a value is missing")),
                    };
                    self.criterion(&name, argument, never || !result)?
                }
            };
            result &= holds != negated;
        }
        if count == 0 { Err("Match: a criterion is missing".to_owned()) } else { Ok(result) }
    }

    fn criterion(&mut self, name: &str, argument: &str, skipped: bool) -> Result<bool, Why> {
        if argument.is_empty() && name != "tagged" {
            return Err(format!("Match {name}: a value is missing"));
        }
        let list = argument.as_bytes();
        Ok(match name {
            "host" => list_matches(list, self.host_so_far()?.as_bytes(), u8::eq_ignore_ascii_case),
            "originalhost" => list_matches(list, self.request.host.as_bytes(), u8::eq_ignore_ascii_case),
            "user" => list_matches(list, self.user().as_bytes(), u8::eq),
            "localuser" => list_matches(list, self.request.local.user.as_bytes(), u8::eq),
            "tagged" => {
                let tag = self.config.tag.as_deref().unwrap_or_default();
                if tag.is_empty() { list.is_empty() } else { list_matches(list, tag.as_bytes(), u8::eq) }
            }
            "exec" if skipped => false,
            "exec" => {
                let command = self.tokens()?.expand_command(argument, ALL)?;
                self.outside.exec(&command)?
            }
            _ => return Err(format!("Match {name}: not supported")),
        })
    }

    fn include(
        &mut self,
        owner: Owner,
        patterns: &[String],
        place: &Place,
        active: bool,
        depth: usize,
    ) -> Result<(), Error> {
        let error = |text: Why| Error { place: place.clone(), text };
        if depth >= DEPTH_MAX {
            return Err(error(format!("files include each other more than {DEPTH_MAX} deep")));
        }
        for pattern in patterns {
            if pattern.is_empty() || (owner == Owner::System && pattern.starts_with('~')) {
                return Err(error("Include: a path is expected".to_owned()));
            }
            let variable = |name: &str| self.outside.variable(name);
            let expanded = self.tokens().and_then(|tokens| tokens.expand_with(pattern, ALL, &variable));
            let pattern = expanded.map_err(error)?;
            if pattern.contains('\0') {
                return Err(error("Include: a path is expected".to_owned()));
            }
            for file in self.outside.include(&pattern, owner).map_err(error)? {
                self.file(owner, &file, active, depth + 1)?;
            }
        }
        Ok(())
    }

    fn user(&self) -> &str {
        self.config.user.as_ref().unwrap_or(&self.request.local.user)
    }

    /// The host's name as far as it is known now.
    fn host_so_far(&self) -> Result<String, Why> {
        if let Some(host) = &self.final_host {
            return Ok(host.clone());
        }
        let Some(name) = &self.config.host_name else { return Ok(self.request.host.clone()) };
        let token = |token: char| (token == 'h').then(|| self.request.host.clone());
        tokens::expand(name, token, None).map_err(|why| format!("HostName {name}: {why}"))
    }

    /// The host to connect to.
    fn host(&self) -> Result<String, Error> {
        let place = || self.given.get("HostName").cloned().unwrap_or(Place::Request);
        let mut host = self.host_so_far().map_err(|text| Error { place: place(), text })?;
        host.make_ascii_lowercase();
        if host.is_empty() || host.len() > NAME_MAX {
            return Err(Error { place: place(), text: "the host's name is empty or too long".to_owned() });
        }
        Ok(host)
    }

    fn tokens(&self) -> Result<Tokens, Why> {
        let host = self.host_so_far()?;
        Ok(Tokens {
            local: self.request.local.clone(),
            typed_host: self.request.host.clone(),
            port: self.config.port,
            user: self.user().to_owned(),
            host_key_alias: self.config.host_key_alias.clone().unwrap_or_else(|| host.clone()),
            jump_host: self.config.proxy_jump.0.last().map_or(String::new(), |jump| jump.host.clone()),
            host,
        })
    }

    /// Makes the names final, and expands what is to be.
    fn finish(mut self) -> Result<Outcome, Error> {
        let host = self.host()?;
        let mut config = core::mem::take(&mut self.config);
        for command in [&mut config.proxy_command.0, &mut config.remote_command.0] {
            if command.as_deref().is_some_and(|command| command.eq_ignore_ascii_case("none")) {
                *command = None;
            }
        }
        if let Some(alias) = &mut config.host_key_alias {
            alias.make_ascii_lowercase();
        }
        let one_default_file = |files: &List| files.0 == ["~/.ssh/known_hosts"];
        let known_hosts_given = self.given.contains_key("UserKnownHostsFile");
        if !self.given.contains_key("UpdateHostKeys")
            && known_hosts_given
            && !one_default_file(&config.user_known_hosts_file)
        {
            config.update_host_keys = YesNoAsk::No;
        }
        let mut tokens = Tokens {
            local: self.request.local.clone(),
            typed_host: self.request.host.clone(),
            host,
            port: config.port,
            user: self.request.local.user.clone(),
            host_key_alias: config.host_key_alias.clone().unwrap_or_else(|| self.request.host.clone()),
            jump_host: config.proxy_jump.0.last().map_or(String::new(), |jump| jump.host.clone()),
        };
        let expander = Expander { outside: &*self.outside, given: &self.given };
        if let Some(user) = &config.user {
            tokens.user = match self.given.get("User") {
                Some(Place::Request) => user.clone(),
                _ => expander.user(&tokens, user)?,
            };
        }
        config.user = Some(tokens.user.clone());
        config.host_name = Some(tokens.host.clone());
        expander.config(&tokens, &mut config)?;
        Ok(Outcome { config, tokens, given: self.given, passed_over: self.passed_over })
    }
}

/// Replaces tokens and variables in values.
struct Expander<'a> {
    outside: &'a dyn Outside,
    given: &'a BTreeMap<&'static str, Place>,
}

impl Expander<'_> {
    fn error(&self, keyword: &str) -> impl Fn(Why) -> Error {
        let place = self.given.get(keyword).cloned().unwrap_or(Place::Request);
        move |text| Error { place: place.clone(), text }
    }

    /// A user's name that is made of something must be one that could be typed.
    fn user(&self, tokens: &Tokens, user: &str) -> Result<String, Error> {
        let expanded = tokens
            .expand_with(user, USER, &|name| self.outside.variable(name))
            .map_err(self.error("User"))?;
        if expanded == user || is_valid_user(&expanded) {
            return Ok(expanded);
        }
        Err(self.error("User")("it has characters that are not allowed there".to_owned()))
    }

    fn path(&self, tokens: &Tokens, keyword: &str, path: &str) -> Result<String, Error> {
        expand_path(tokens, self.outside, path).map_err(self.error(keyword))
    }

    fn config(&self, tokens: &Tokens, config: &mut Config) -> Result<(), Error> {
        if let Some(command) = &mut config.remote_command.0 {
            *command = tokens.expand(command, ALL).map_err(self.error("RemoteCommand"))?;
        }
        for (keyword, list) in [
            ("UserKnownHostsFile", &mut config.user_known_hosts_file),
            ("RevokedHostKeys", &mut config.revoked_host_keys),
        ] {
            for path in &mut list.0 {
                *path = self.path(tokens, keyword, path)?;
            }
        }
        for (keyword, socket) in [
            ("IdentityAgent", &mut config.identity_agent),
            ("ForwardAgent", &mut config.forward_agent.socket),
        ] {
            if let Some(path) = &mut socket.0 {
                *path = self.path(tokens, keyword, path)?;
            }
        }
        for pair in &mut config.set_env.0 {
            if let Some((name, value)) = pair.split_once('=') {
                let variable = |name: &str| self.outside.variable(name);
                let value = tokens.expand_with(value, ALL, &variable).map_err(self.error("SetEnv"))?;
                *pair = format!("{name}={value}");
            }
        }
        let forwards = [
            ("LocalForward", &mut config.local_forward.0),
            ("RemoteForward", &mut config.remote_forward.0),
            ("DynamicForward", &mut config.dynamic_forward.0),
        ];
        for (keyword, forwards) in forwards {
            for path in forwards.iter_mut().flat_map(Forward::paths) {
                *path = tokens.expand(path, ALL).map_err(self.error(keyword))?;
            }
        }
        Ok(())
    }
}

/// Expands the name of a file: `~` and `~user` at its start, tokens and variables.
///
/// # Errors
/// A text for the user.
pub fn expand_path(tokens: &Tokens, outside: &dyn Outside, path: &str) -> Result<String, String> {
    let with_home = match path.strip_prefix('~') {
        None => path.to_owned(),
        Some(rest) => {
            let (user, below) = rest.split_once('/').map_or((rest, ""), |(user, below)| (user, below));
            let home = if user.is_empty() { Some(tokens.local.home.clone()) } else { outside.home_of(user) };
            let home = home.ok_or_else(|| format!("{path}: there is no such user"))?;
            // The home directory is no text to be expanded.
            format!("{}/{}", home.trim_end_matches('/').replace('%', "%%"), below.trim_start_matches('/'))
        }
    };
    tokens
        .expand_with(&with_home, ALL, &|name| outside.variable(name))
        .map_err(|why| format!("{path}: {why}"))
}

#[cfg(test)]
mod tests;
