//! What `ssh-weblog-server` is asked to do: by its file, which is TOML, and by its command line.
//!
//! [`Configuration::read`] reads all of it, at the start and again when it is told to. What it finds wrong in a file is told as
//! `FILE:LINE: what is wrong, and what to write instead`. It does not know connections, nor how a log is read; the files of keys,
//! which logins read, [`start`](super::start) looks at.

use super::flags::Flags;
use super::logs::learned;
use super::run_as::RunAs;
use super::tables::{At, Document, Table};
use super::users::{NOBODY, User, Users, wrong_name};
use crate::driver::files;
use crate::driver::gate::Startups;
use crate::driver::options::home;
use crate::driver::passwords::Passwords;
use crate::driver::text::acts;
use crate::weblog::format::RecordParser;
use crate::weblog::view::when;
use clap::ValueEnum;
use core::time::Duration;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// What can be changed while it serves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who may log in.
    pub users: Users,
    /// What there is to see.
    pub logs: Vec<LogFile>,
    /// Bounds.
    pub limits: Limits,
}

/// A log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// What viewers call it.
    pub name: String,
    /// Where it is; perhaps a pattern.
    pub path: PathBuf,
    /// Its format, if it is not to be found out; [`RecordParser::named`] takes it.
    pub log_format: Option<String>,
}

/// Bounds: `[limits]`. A time that is `None` has no end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The time for a login: 30 s.
    pub login_grace: Option<Duration>,
    /// How many may be without a login: 10:30:100.
    pub max_startups: Startups,
    /// Failures of a connection before its end: 6.
    pub max_auth_tries: u32,
    /// Connections: 10 000.
    pub max_connections: u32,
    /// Connections of one address; 0, the default, for no bound of its own.
    pub per_source: u32,
    /// Sessions of a connection at once: 10.
    pub max_sessions: u32,
    /// The time after which a session ends to which nothing was written; none unless it is given.
    pub idle: Option<Duration>,
    /// The time after which a silent peer is asked whether it is there: 30 s.
    pub keepalive: Option<Duration>,
    /// Records of a log that are kept for those who come back: 10 000.
    pub ring: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            login_grace: Some(Duration::from_secs(30)),
            max_startups: Startups::default(),
            max_auth_tries: 6,
            max_connections: 10_000,
            per_source: 0,
            max_sessions: 10,
            idle: None,
            keepalive: Some(Duration::from_secs(30)),
            ring: 10_000,
        }
    }
}

/// The most records of a log that may be kept.
pub const RING_MAX: u32 = 10_000_000;

/// How the audit log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum AuditForm {
    /// Words for people, values by name
    #[default]
    Text,
    /// One object a line
    Json,
}

/// All that is asked for, with what only a start can take.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// What can be changed while it serves.
    pub settings: Settings,
    /// Where to listen; port 0 for one that is free. The unspecified address of IPv6 takes peers by IPv4 too.
    pub listen: Vec<SocketAddr>,
    /// Files of host keys; none for the one in the state directory.
    pub host_keys: Vec<PathBuf>,
    /// Files of certificates of them.
    pub host_certificates: Vec<PathBuf>,
    /// Whom to become.
    pub run_as: Option<RunAs>,
    /// What the server keeps is here.
    pub state_dir: PathBuf,
    /// How the audit log is written.
    pub audit: AuditForm,
    /// What an operator should know, though nothing is wrong: lines.
    pub notes: Vec<String>,
    /// The files of keys that logins will read.
    pub(super) key_files: Vec<KeyFile>,
    /// Where what is asked for stands, if in a file: a key, and `FILE:LINE: `.
    pub(super) places: Vec<(&'static str, String)>,
}

/// A file that logins will read.
#[derive(Clone, Debug)]
pub(super) struct KeyFile {
    /// Which it is, with the line that names it.
    pub(super) what: String,
    pub(super) path: PathBuf,
    pub(super) of: KeysOf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeysOf {
    /// Lines as authorized_keys has them.
    User,
    /// Keys, one a line, of CAs or revoked.
    List,
}

/// Why a configuration is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The command line.
    Usage(String),
    /// Files, or what stands in them: a line each.
    Files(Vec<String>),
}

impl core::fmt::Display for Wrong {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Usage(text) => f.write_str(text),
            Self::Files(lines) => f.write_str(&lines.join("\n")),
        }
    }
}

impl core::error::Error for Wrong {}

impl Configuration {
    /// Reads what is asked for: the file that the flags name, and the flags.
    ///
    /// # Errors
    /// See [`Wrong`].
    pub fn read(flags: &Flags) -> Result<Self, Wrong> {
        if flags.config.is_some() && !flags.log.is_empty() {
            return Err(Wrong::Usage("with --config the logs stand in its file: [[log]] each".to_owned()));
        }
        let (mut asked, mut wrongs) = File::of(flags)?;
        if flags.config.is_none() {
            asked.logs = operands(&flags.log)?;
        }
        wrongs.extend(asked.add_users(flags)?);
        let is_known = wrongs.is_empty();
        let (users, passwords) = (core::mem::take(&mut asked.users), asked.passwords.take());
        let mut users = Users::new(users, passwords).unwrap_or_else(|of_users| {
            // Nobody may be there because of what else is wrong.
            let told = of_users.iter().filter(|(_, what)| is_known || what != NOBODY);
            wrongs.extend(told.map(|(line, what)| asked.at(*line, what)));
            Users::nobody()
        });
        users.accounts.revoked_keys.clone_from(&asked.revoked_keys);
        let configuration = asked.configuration(users);
        if wrongs.is_empty() {
            return Ok(configuration);
        }
        wrongs.extend(configuration.wrong_files());
        Err(Wrong::Files(wrongs))
    }

    /// The same without users and logs: what a server is known by can be asked for before there are any.
    ///
    /// # Errors
    /// See [`Wrong`].
    pub fn of_identity(flags: &Flags) -> Result<Self, Wrong> {
        match File::of(flags)? {
            (asked, wrongs) if wrongs.is_empty() => Ok(asked.configuration(Users::nobody())),
            (_, wrongs) => Err(Wrong::Files(wrongs)),
        }
    }

    /// Reads everything anew, as SIGHUP asks: what can be changed, and lines about what has changed and waits for the next
    /// start.
    ///
    /// # Errors
    /// What is wrong: a line `FILE:LINE: …`, and how many more there are.
    pub fn read_again(&self, flags: &Flags) -> Result<(Settings, Vec<String>), String> {
        let new = Self::read(flags).and_then(|new| new.look_at_key_files().map(|notes| (new, notes)));
        let (new, notes) = new.map_err(|wrong| self.in_a_line(&wrong))?;
        let changed = [
            ("listen", new.listen != self.listen),
            ("host_keys", new.host_keys != self.host_keys),
            ("host_certificates", new.host_certificates != self.host_certificates),
            ("run_as", new.run_as != self.run_as),
            ("state_dir", new.state_dir != self.state_dir),
            ("audit", new.audit != self.audit),
        ];
        let changed: Vec<_> = changed.into_iter().filter_map(|(key, is)| is.then_some(key)).collect();
        let waits = format!("changed, but taken only at the next start: {}", changed.join(", "));
        let waits = (!changed.is_empty()).then_some(waits);
        Ok((new.settings, waits.into_iter().chain(new.notes).chain(notes).collect()))
    }

    fn in_a_line(&self, wrong: &Wrong) -> String {
        let text = match wrong {
            Wrong::Usage(text) => text.clone(),
            Wrong::Files(lines) if lines.len() > 1 => {
                format!("{} (and {} more)", lines.first().map_or("", String::as_str), lines.len() - 1)
            }
            Wrong::Files(lines) => lines.concat(),
        };
        match &self.run_as {
            Some(user) if text.contains("Permission denied") => {
                format!("{text}; this runs as {user}, who must be able to read it")
            }
            _ => text,
        }
    }
}

/// What is asked for, as far as it is known.
#[derive(Default)]
struct File {
    /// Where it stands; empty for the command line.
    path: PathBuf,
    listen: Vec<SocketAddr>,
    host_keys: Vec<PathBuf>,
    host_certificates: Vec<PathBuf>,
    run_as: Option<RunAs>,
    state_dir: Option<PathBuf>,
    audit: AuditForm,
    logs: Vec<LogFile>,
    users: Vec<User>,
    limits: Limits,
    password_file: Option<PathBuf>,
    passwords: Option<Passwords>,
    revoked_keys: Option<PathBuf>,
    key_files: Vec<KeyFile>,
    places: Vec<(&'static str, String)>,
    notes: Vec<String>,
}

impl File {
    /// What the file says that the flags name, and what they say of the server itself; and what is wrong with the file, though
    /// the rest of it can be looked at.
    fn of(flags: &Flags) -> Result<(Self, Vec<String>), Wrong> {
        let listen = flags.listen.iter().map(|text| {
            address(text).ok_or_else(|| {
                Wrong::Usage(format!(
                    "--listen {text}: write it as [ADDRESS:]PORT, as 8022 or 127.0.0.1:8022"
                ))
            })
        });
        let listen: Vec<_> = listen.collect::<Result<_, _>>()?;
        let run_as = flags.run_as.as_deref().map(RunAs::named).transpose();
        let run_as = run_as.map_err(|why| Wrong::Usage(format!("--run-as {why}")))?;
        let none = || Ok(Default::default());
        let (mut asked, wrongs) = flags.config.as_deref().map_or_else(none, Self::read)?;
        let lists = [
            ("host_keys", &flags.host_key, &mut asked.host_keys),
            ("host_certificates", &flags.host_certificate, &mut asked.host_certificates),
        ];
        for (key, flags, list) in lists {
            if !flags.is_empty() {
                list.clone_from(flags);
                asked.places.retain(|(of, _)| *of != key);
            }
        }
        if !listen.is_empty() {
            asked.listen = listen;
            asked.places.retain(|(of, _)| *of != "listen");
        }
        asked.run_as = run_as.or(asked.run_as);
        asked.audit = flags.audit.unwrap_or(asked.audit);
        if flags.state_dir.is_some() {
            asked.state_dir.clone_from(&flags.state_dir);
            asked.places.retain(|(of, _)| *of != "state_dir");
        }
        Ok((asked, wrongs))
    }

    /// The file, and what is wrong with it.
    fn read(path: &Path) -> Result<(Self, Vec<String>), Wrong> {
        let wrong = |why| Wrong::Files(vec![why]);
        let missing = "; ssh-weblog-server --help shows what stands in one";
        let text = read_text(path, files::read_config(path, false), missing).map_err(wrong)?;
        let document = Document::new(&text);
        let mut file = Self { path: path.to_owned(), ..Self::default() };
        let Some(root) = document.root() else { return Err(Wrong::Files(document.all_wrong(path))) };
        file.take(root, path.parent().unwrap_or(Path::new("")));
        Ok((file, document.all_wrong(path)))
    }

    fn take(&mut self, mut root: Table<'_>, directory: &Path) {
        self.take_server(&mut root, directory);
        self.take_logs(&mut root, directory);
        if let Some(table) = root.table("limits") {
            self.limits = limits(table);
        }
        for table in root.tables("user") {
            let before = root.document().count();
            if let Some(mut user) = User::read(table, directory, &self.logs) {
                user.faulty = root.document().count() > before;
                self.note_hosts(&user);
                self.note_files(&user);
                let files = [
                    ("authorized_keys", &user.authorized_keys, KeysOf::User),
                    ("ca_keys", &user.ca_keys, KeysOf::List),
                ];
                for (key, path, of) in files {
                    if let Some(path) = path {
                        self.key_file(user.line, &format!("user {}: {key}", user.name), path.clone(), of);
                    }
                }
                self.users.push(user);
            }
        }
        root.end();
    }

    /// What stands in no table.
    fn take_server(&mut self, root: &mut Table<'_>, directory: &Path) {
        let document = root.document();
        let beside = |at: At<String>| directory.join(at.value);
        if let Some(name) = root.text("run_as", "\"ssh-weblog\"") {
            let found = RunAs::named(&name.value).map_err(|why| format!("run_as: {why}"));
            self.run_as = found.map_err(|what| document.wrong(name.line, what)).ok();
        }
        if let Some(texts) = root.texts("listen", "[\"[::]:8022\"]") {
            self.places.push(("listen", self.at(texts.line, "")));
            let wrong = |line| {
                document
                    .wrong(line, "listen: write each as \"[ADDRESS:]PORT\", as \"8022\" or \"[::1]:8022\"")
            };
            if texts.value.is_empty() {
                wrong(texts.line);
            }
            for text in texts.value {
                match address(&text.value) {
                    Some(address) => self.listen.push(address),
                    None => wrong(text.line),
                }
            }
        }
        let mut paths = |key, example| {
            let Some(texts) = root.texts(key, example) else { return Vec::new() };
            self.places.push((key, self.at(texts.line, "")));
            texts.value.into_iter().map(|at| directory.join(at.value)).collect()
        };
        let host_keys = paths("host_keys", "[\"ssh_host_ed25519_key\"]");
        let host_certificates = paths("host_certificates", "[\"ssh_host_ed25519_key-cert.pub\"]");
        (self.host_keys, self.host_certificates) = (host_keys, host_certificates);
        if let Some(at) = root.text("state_dir", "\"/var/lib/ssh-weblog-server\"") {
            self.places.push(("state_dir", self.at(at.line, "")));
            self.state_dir = Some(beside(at));
        }
        if let Some(form) = root.text("audit", "\"text\"") {
            match AuditForm::from_str(&form.value, false) {
                Ok(form) => self.audit = form,
                Err(_) => document.wrong(form.line, "audit: write audit = \"text\" or audit = \"json\""),
            }
        }
        if let Some(path) = root.text("revoked_keys", "\"revoked_keys\"") {
            self.key_file(path.line, "revoked_keys", directory.join(&path.value), KeysOf::List);
            self.revoked_keys = Some(beside(path));
        }
        if let Some(at) = root.text("password_file", "\"passwords\"") {
            self.places.push(("password_file", self.at(at.line, "")));
            self.password_file = Some(beside(at));
        }
    }

    fn take_logs(&mut self, root: &mut Table<'_>, directory: &Path) {
        if !root.has("log") {
            root.lacks("there is no log: write [[log]] with path = \"/var/log/nginx/access.log\"");
        }
        for (line, log) in root.tables("log").into_iter().filter_map(|table| log(table, directory)) {
            if self.logs.iter().any(|known| known.name == log.name) {
                let what = format!("log {}: two logs have this name: give one another name", log.name);
                root.document().wrong(line, what);
            }
            self.logs.push(log);
        }
    }

    fn key_file(&mut self, line: usize, what: &str, path: PathBuf, of: KeysOf) {
        self.key_files.push(KeyFile { what: self.at(line, what), path, of });
    }

    /// A view that asks for a virtual host shows nothing of a log that names none.
    fn note_hosts(&mut self, user: &User) {
        if user.rights.view.vhost.is_empty() {
            return;
        }
        let of_user =
            |log: &&LogFile| user.rights.logs.as_ref().is_none_or(|names| names.contains(&log.name));
        for log in self.logs.iter().filter(of_user) {
            let parser = learned(log.log_format.as_deref(), &log.path);
            if !parser.has_host() {
                let what = format!(
                    "user {}: view: --vhost: no record of {} will pass, for its format, {}, has no virtual host",
                    user.name,
                    log.name,
                    parser.name().unwrap_or_default()
                );
                self.notes.push(self.at(user.line, &what));
            }
        }
    }

    /// A view that hides addresses hides nothing from who has the log itself.
    fn note_files(&mut self, user: &User) {
        if user.rights.sftp && !user.rights.view.anonymize.is_empty() {
            let what =
                "by sftp = true he gets the logs whole, with what --anonymize cuts: leave one of them out";
            self.notes.push(self.at(user.line, &format!("user {}: {what}", user.name)));
        }
    }

    /// The user of the flags, and the passwords; what is wrong with their file.
    fn add_users(&mut self, flags: &Flags) -> Result<Option<String>, Wrong> {
        if let Some(name) = &flags.user {
            if let Some(what) = wrong_name(name) {
                return Err(Wrong::Usage(format!("--user: {what}")));
            }
            if let Some(path) = &flags.authorized_keys {
                self.users.push(User {
                    name: name.clone(),
                    authorized_keys: Some(path.clone()),
                    ..User::default()
                });
                let what = format!("user {name}");
                self.key_files.push(KeyFile { what, path: path.clone(), of: KeysOf::User });
            }
        }
        if let Some(path) = &flags.revoked_keys {
            self.key_files.retain(|file| Some(&file.path) != self.revoked_keys.as_ref());
            let what = "revoked keys".to_owned();
            self.key_files.push(KeyFile { what, path: path.clone(), of: KeysOf::List });
            self.revoked_keys = Some(path.clone());
        }
        let from_file = self.password_file.as_ref().map(|path| (path, place(&self.places, "password_file")));
        let Some((path, place)) = flags.password_file.as_ref().map(|path| (path, "")).or(from_file) else {
            return Ok(None);
        };
        let missing = "; make it with ssh-weblog-server hash-password";
        let read = read_text(path, files::read_text(path), missing).map_err(|why| format!("{place}{why}"));
        let passwords = read.and_then(|text| {
            let passwords = Passwords::parse(&text, flags.user.as_deref());
            passwords.map_err(|(line, why)| format!("{}:{line}: {why}", path.display()))
        });
        match passwords {
            Ok(passwords) => self.passwords = Some(passwords),
            Err(why) => {
                self.users.iter_mut().for_each(|user| user.faulty = true);
                return Ok(Some(why));
            }
        }
        Ok(None)
    }

    fn configuration(self, users: Users) -> Configuration {
        let every = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), PORT);
        Configuration {
            settings: Settings { users, logs: self.logs, limits: self.limits },
            listen: if self.listen.is_empty() { vec![every] } else { self.listen },
            host_keys: self.host_keys,
            host_certificates: self.host_certificates,
            run_as: self.run_as,
            state_dir: self.state_dir.unwrap_or_else(state_dir),
            audit: self.audit,
            notes: self.notes,
            key_files: self.key_files,
            places: self.places,
        }
    }

    fn at(&self, line: usize, what: &str) -> String {
        match line {
            0 if self.path.as_os_str().is_empty() => what.to_owned(),
            0 if what == NOBODY => format!("{}:1: {what}", self.path.display()),
            0 => format!("{}: {what}", self.path.display()),
            line => format!("{}:{line}: {what}", self.path.display()),
        }
    }
}

/// The port that is listened on if none is named.
pub const PORT: u16 = 8022;

/// `[ADDRESS:]PORT`; a port alone is at every address.
fn address(text: &str) -> Option<SocketAddr> {
    let port = text.parse().map(|port| SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port));
    port.or_else(|_| text.parse()).ok()
}

/// Where the server keeps what it keeps, if nobody says.
fn state_dir() -> PathBuf {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // Of several, which systemd separates by colons, the first.
    let systemd =
        std::env::var("STATE_DIRECTORY").ok().and_then(|all| all.split(':').next().map(PathBuf::from));
    systemd.filter(|path| !path.as_os_str().is_empty()).unwrap_or_else(|| {
        named("XDG_STATE_HOME").unwrap_or_else(|| home().join(".local/state")).join("ssh-weblog-server")
    })
}

/// Where a key stands, as it is written in front of what is said of it.
pub(super) fn place<'p>(places: &'p [(&'static str, String)], key: &str) -> &'p str {
    places.iter().find(|(of, _)| *of == key).map_or("", |(_, place)| place)
}

/// What the system says of a file, and what to do; `missing` is for one that is not there.
pub(super) fn reason(error: &io::Error, missing: &str) -> String {
    let text = error.to_string();
    let text = text.split(" (os error ").next().unwrap_or_default();
    match error.kind() {
        io::ErrorKind::NotFound => format!("{text}{missing}"),
        _ => text.to_owned(),
    }
}

fn read_text(path: &Path, file: io::Result<Vec<u8>>, missing: &str) -> Result<String, String> {
    let file = file.map_err(|error| format!("{}: {}", path.display(), reason(&error, missing)))?;
    String::from_utf8(file).map_err(|error| {
        let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("{}:{line}: this is no UTF-8", path.display())
    })
}

/// The logs of the command line.
fn operands(paths: &[PathBuf]) -> Result<Vec<LogFile>, Wrong> {
    let mut logs: Vec<LogFile> = Vec::new();
    for path in paths {
        let name = log_name(path);
        if let Some(what) = wrong_log_name(&name) {
            return Err(Wrong::Usage(format!("{}: {what}", path.display())));
        }
        if logs.iter().any(|log| log.name == name) {
            return Err(Wrong::Usage(format!(
                "two logs are called {name}: name them in a file, [[log]] each, and give --config FILE"
            )));
        }
        logs.push(LogFile { name, path: path.clone(), log_format: None });
    }
    if logs.is_empty() {
        return Err(Wrong::Usage("no log is named: give a LOG, or --config FILE".to_owned()));
    }
    Ok(logs)
}

/// A log's name if it is given none: its file's without `.log`.
fn log_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    name.strip_suffix(".log").filter(|name| !name.is_empty()).unwrap_or(&name).to_owned()
}

/// The longest name of a log (bytes): it is that of a directory too, for who copies.
pub const LOG_NAME_MAX: usize = 255;

fn wrong_log_name(name: &str) -> Option<String> {
    let odd = name.starts_with(['-', '.']) || name.contains('/') || name.chars().any(acts);
    let wrong = name.is_empty() || name.len() > LOG_NAME_MAX || odd;
    wrong.then(|| {
        format!(
            "a log's name has 1 to {LOG_NAME_MAX} bytes, no / and no control characters, and does not begin with - or a dot: \
             give it one by name = \"…\" in a [[log]]"
        )
    })
}

/// Reads a `[[log]]`, with its line.
fn log(mut table: Table<'_>, directory: &Path) -> Option<(usize, LogFile)> {
    let document = table.document();
    let name = table.text("name", "\"shop\"");
    let needs = "a [[log]] needs path = \"/var/log/nginx/access.log\"";
    let path = table.needed("path", "\"/var/log/nginx/shop.log\"", needs);
    let log_format = table.text("log_format", "\"combined\"");
    let line = table.line;
    table.end();
    if let Some(At { line, value }) = &log_format
        && let Err(what) = RecordParser::named(value)
    {
        document.wrong(*line, format!("log_format: {what}"));
    }
    let path = path?;
    let (name_line, name) =
        name.map_or_else(|| (path.line, log_name(Path::new(&path.value))), |name| (name.line, name.value));
    if let Some(what) = wrong_log_name(&name) {
        document.wrong(name_line, what);
    }
    let log_format = log_format.map(|at| at.value);
    Some((line, LogFile { name, path: directory.join(path.value), log_format }))
}

fn limits(mut table: Table<'_>) -> Limits {
    let document = table.document();
    let default = Limits::default();
    let max_startups = table.text("max_startups", "\"10:30:100\"").and_then(|At { line, value }| {
        let startups = value.parse::<Startups>();
        startups.map_err(|what| document.wrong(line, format!("max_startups: write {what}"))).ok()
    });
    let mut time = |key, default| {
        let Some(At { line, value }) = table.text(key, "\"30s\", or \"0\" for no limit") else {
            return default;
        };
        if value == "0" {
            return None;
        }
        when::duration(&value)
            .map_err(|what| document.wrong(line, format!("{key}: {what}, or \"0\" for no limit")))
            .ok()
    };
    let login_grace = time("login_grace", default.login_grace);
    let idle = time("idle", default.idle);
    let keepalive = time("keepalive", default.keepalive);
    let mut number = |key, from, to, default: u32| table.number(key, from..=to, default).unwrap_or(default);
    let limits = Limits {
        login_grace,
        max_startups: max_startups.unwrap_or(default.max_startups),
        max_auth_tries: number("max_auth_tries", 1, u32::MAX, default.max_auth_tries),
        max_connections: number("max_connections", 1, u32::MAX, default.max_connections),
        per_source: number("per_source", 0, u32::MAX, default.per_source),
        max_sessions: number("max_sessions", 1, u32::MAX, default.max_sessions),
        idle,
        keepalive,
        ring: number("ring", 1, RING_MAX, 10_000) as usize,
    };
    table.end();
    limits
}
