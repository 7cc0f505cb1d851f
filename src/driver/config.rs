//! What ssh's users have configured: the command line, `~/.ssh/config`, `/etc/ssh/ssh_config`.
//!
//! It finds and reads the files for [`ssh_config`], runs the commands of `Match exec`, and makes [`Options`] of what comes
//! out. It does not know what a line means.

use super::algorithms::AlgorithmOptions;
use super::files;
use super::glob::glob;
use super::options::{NOT_ACTED_ON, Options, home, shell};
use super::text::escaped;
use crate::keys::ssh_config::{
    self, CanonicalizeHostname, File, Local, Outcome, Outside, Owner, PROXY_COMMAND, Place, Request,
    expand_path,
};
use crate::transport::algorithms::names;
use rustix::process::getuid;
use std::env;
use std::fmt::Write;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The system's file.
const SYSTEM_FILE: &str = "/etc/ssh/ssh_config";

/// The system's directory, for names in it that are relative.
const SYSTEM_DIRECTORY: &str = "/etc/ssh";

/// What stands on a command line.
#[derive(Clone, Debug, Default)]
pub struct CommandLine {
    /// The host.
    pub host: String,
    /// The user, if one is named.
    pub user: Option<String>,
    /// `Keyword=Value`, in the order in which the first counts; [`option`] makes one.
    pub options: Vec<String>,
    /// The file to be read instead of the user's and the system's; `none` for none.
    pub file: Option<PathBuf>,
}

/// Writes an option, so that its value stays one word.
#[must_use]
pub fn option(keyword: &str, value: &str) -> String {
    format!("{keyword}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The option that ssh's `-L` and `-R` (or `-D`, whose `keyword` is `DynamicForward`) stand for; nothing if no forwarding can
/// be made of the text.
#[must_use]
pub fn forward_option(keyword: &str, text: &str) -> Option<String> {
    let quoted = |word: &str| format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""));
    let (listen, connect) = ssh_config::ends(text)?;
    let connect = connect.map_or(String::new(), |connect| format!(" {}", quoted(connect)));
    Some(format!("{keyword}={}{connect}", quoted(listen)))
}

/// The `LogLevel` that so many `-v` mean.
#[must_use]
pub const fn log_level(verbose: u8) -> Option<&'static str> {
    match verbose {
        0 => None,
        1 => Some("DEBUG1"),
        2 => Some("DEBUG2"),
        _ => Some("DEBUG3"),
    }
}

/// Why there are no options. The text names the place.
#[derive(Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The command line is wrong.
    CommandLine(String),
    /// A file is.
    File(String),
    /// It is right, and asks for something that is not there yet.
    NotYet(String),
}

impl LoadError {
    /// What the user is told.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::CommandLine(text) | Self::File(text) | Self::NotYet(text) => text,
        }
    }

    fn at(place: &Place, text: &str) -> Self {
        let whole = ssh_config::Error { place: place.clone(), text: text.to_owned() }.to_string();
        match place {
            Place::Line(..) => Self::File(whole),
            Place::Option(_) | Place::Request => Self::CommandLine(whole),
        }
    }
}

/// A file's name, for the user.
fn shown(path: &Path) -> String {
    escaped(path.as_os_str().as_bytes())
}

/// What the files and the command line say together.
pub struct Loaded {
    outcome: Outcome,
    file: Option<PathBuf>,
    system: System,
}

/// Reads what the user and the system have configured for a host.
///
/// # Errors
/// See [`LoadError`].
pub fn load(line: &CommandLine) -> Result<Loaded, LoadError> {
    let mut system = System { users: files::read_text(Path::new("/etc/passwd")).unwrap_or_default() };
    let request = Request {
        host: line.host.clone(),
        user: line.user.clone(),
        options: line.options.clone(),
        local: system.local(),
    };
    let read = |path: &Path, checked: bool| match files::read_config(path, checked) {
        Ok(contents) => Ok(Some(File { name: shown(path), contents })),
        Err(error) => match error.kind() {
            // What ssh cannot open either, it does without.
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied
                if line.file.is_none() && error.raw_os_error().is_some() =>
            {
                Ok(None)
            }
            io::ErrorKind::NotFound => Err(LoadError::File(format!(
                "{}: no such file; look at the path, or use -F none",
                shown(path)
            ))),
            _ => Err(LoadError::File(format!("{}: {error}", shown(path)))),
        },
    };
    let mut files = Vec::new();
    match &line.file {
        Some(none) if none.as_os_str().eq_ignore_ascii_case("none") => {}
        Some(path) => files.extend(read(path, false)?.map(|file| (Owner::User, file))),
        None => {
            files.extend(read(&home().join(".ssh/config"), true)?.map(|file| (Owner::User, file)));
            files.extend(read(Path::new(SYSTEM_FILE), false)?.map(|file| (Owner::System, file)));
        }
    }
    let mut outcome = ssh_config::read(&request, &files, &mut system)
        .map_err(|error| LoadError::at(&error.place, &error.text))?;
    let config = &mut outcome.config;
    if config.clear_all_forwardings {
        config.local_forward.0.clear();
        config.remote_forward.0.clear();
        config.dynamic_forward.0.clear();
    }
    Ok(Loaded { outcome, file: line.file.clone(), system })
}

impl Loaded {
    /// The same, where a silent host is asked after so many seconds whether it is there, unless something else is configured.
    #[must_use]
    pub fn or_server_alive_interval(mut self, seconds: u32) -> Self {
        if !self.outcome.given.contains_key("ServerAliveInterval") {
            self.outcome.config.server_alive_interval.0 = seconds;
        }
        self
    }

    /// The options of a connection.
    ///
    /// # Errors
    /// A list of algorithms or a file's name is wrong, or something is asked for that is not there yet.
    pub fn options(self) -> Result<Options, LoadError> {
        self.refuse_what_is_not_there()?;
        let algorithms = self.algorithms()?;
        let Outcome { config, tokens, given, passed_over } = self.outcome;
        let file = |keyword: &str, path: &str| {
            let place = given.get(keyword).cloned().unwrap_or(Place::Request);
            expand_path(&tokens, &self.system, path)
                .map(PathBuf::from)
                .map_err(|why| LoadError::at(&place, &why))
        };
        let identities = config.identity_file.0.iter().filter(|path| !path.eq_ignore_ascii_case("none"));
        let identity_files = identities.map(|path| file("IdentityFile", path)).collect::<Result<_, _>>()?;
        let certificates = config.certificate_file.0.iter().filter(|path| !path.eq_ignore_ascii_case("none"));
        let certificate_files =
            certificates.map(|path| file("CertificateFile", path)).collect::<Result<_, _>>()?;
        // Names are checked before they stand in a command, wherever they come from.
        let command =
            config.proxy_command.0.as_ref().map(|command| tokens.expand_command(command, PROXY_COMMAND));
        let place = given.get("ProxyCommand").unwrap_or(&Place::Request);
        let proxy_command = command.transpose().map_err(|why| LoadError::at(place, &why))?;
        let not_acted_on = given.iter().filter(|(keyword, _)| NOT_ACTED_ON.contains(keyword));
        let passed_over = passed_over.iter().map(|(place, keyword)| (place, *keyword));
        let passed_over = not_acted_on
            .map(|(keyword, place)| (place, *keyword))
            .chain(passed_over)
            .map(|(place, keyword)| format!("{place}: {keyword} is passed over"))
            .collect();
        Ok(Options {
            algorithms,
            identity_files,
            certificate_files,
            proxy_command,
            file: self.file,
            passed_over,
            ..Options::from_config(&tokens.typed_host, config)
        })
    }

    /// What would mean something else if it were passed over.
    fn refuse_what_is_not_there(&self) -> Result<(), LoadError> {
        let config = &self.outcome.config;
        let passed_over = |name| self.outcome.passed_over.iter().find(|(_, keyword)| *keyword == name);
        let leads_anywhere = config.remote_forward.0.iter().any(|forward| forward.connect.is_none());
        let limit = passed_over("PermitRemoteOpen").filter(|_| leads_anywhere);
        let asked = [
            ("BindInterface", config.bind_interface.is_some()),
            ("CanonicalizeHostname", config.canonicalize_hostname != CanonicalizeHostname::No),
            ("PermitRemoteOpen", limit.is_some()),
        ];
        let Some((keyword, _)) = asked.iter().find(|(_, asked)| *asked) else { return Ok(()) };
        let place = self.outcome.given.get(keyword).or(limit.map(|(place, _)| place));
        let place = place.map_or(String::new(), |place| format!("{place}: "));
        Err(LoadError::NotYet(format!("{place}{keyword} is not there yet")))
    }

    fn algorithms(&self) -> Result<AlgorithmOptions, LoadError> {
        let config = &self.outcome.config;
        let mut algorithms = AlgorithmOptions::new(crate::wire::number::Sender::Client);
        let compression = Some(if config.compression { "yes" } else { "no" }.to_owned());
        for (keyword, value) in [
            ("AlgorithmPreset", &config.algorithm_preset),
            ("CASignatureAlgorithms", &config.ca_signature_algorithms),
            ("Ciphers", &config.ciphers),
            ("HostKeyAlgorithms", &config.host_key_algorithms),
            ("KexAlgorithms", &config.kex_algorithms),
            ("MACs", &config.macs),
            ("PubkeyAcceptedAlgorithms", &config.pubkey_accepted_algorithms),
            ("Compression", &compression),
        ] {
            let (Some(value), place) = (value, self.outcome.given.get(keyword)) else { continue };
            let place = place.unwrap_or(&Place::Request);
            // A file is written for ssh, too.
            let from_file = matches!(place, Place::Line(..));
            let value =
                if from_file { AlgorithmOptions::without_ssh_only(value) } else { Some(value.clone()) };
            if let Some(Err(why)) = value.and_then(|value| algorithms.set(keyword, &value)) {
                return Err(LoadError::at(place, &why));
            }
        }
        Ok(algorithms)
    }

    /// What `ssh -G` prints: keyword and value, a line each.
    ///
    /// # Errors
    /// A list of algorithms is wrong.
    pub fn lines(&self) -> Result<String, LoadError> {
        let algorithms = self.algorithms()?;
        let chosen = algorithms.chosen();
        let joined = |names: &mut dyn Iterator<Item = &'static str>| names.collect::<Vec<_>>().join(",");
        let mut config = self.outcome.config.clone();
        let ca = algorithms.ca_signature_algorithms();
        config.ca_signature_algorithms = Some(joined(&mut ca.iter().map(|algorithm| algorithm.name())));
        config.ciphers = Some(joined(&mut names(&chosen.cipher)));
        config.host_key_algorithms = Some(joined(&mut names(&chosen.host_key)));
        config.kex_algorithms = Some(joined(&mut names(&chosen.kex)));
        config.macs = Some(joined(&mut names(&chosen.mac)));
        config.pubkey_accepted_algorithms = Some(joined(&mut names(&chosen.user_key)));
        let mut lines = format!("host {}\n", escaped(self.outcome.tokens.typed_host.as_bytes()));
        for (keyword, value) in config.lines() {
            let _ = writeln!(lines, "{keyword} {}", escaped(value.as_bytes()));
        }
        Ok(lines)
    }
}

/// The name of the user who runs this.
#[must_use]
pub fn own_name() -> String {
    System { users: files::read_text(Path::new("/etc/passwd")).unwrap_or_default() }.local().user
}

/// The machine: its files, its shell, its environment.
struct System {
    /// `/etc/passwd`
    users: Vec<u8>,
}

impl System {
    /// Name, number and home directory of each user.
    fn users(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.users.split(|byte| *byte == b'\n').filter_map(|line| {
            let mut fields = core::str::from_utf8(line).ok()?.split(':');
            Some((fields.next()?, fields.nth(1)?, fields.nth(2)?))
        })
    }

    fn local(&self) -> Local {
        let uid = getuid().as_raw();
        let own =
            self.users().find(|(_, number, _)| number.parse() == Ok(uid)).map(|(name, ..)| name.to_owned());
        let from_environment = || env::var("USER").or_else(|_| env::var("LOGNAME")).ok();
        let host = files::read_text(Path::new("/proc/sys/kernel/hostname")).unwrap_or_default();
        Local {
            user: own.or_else(from_environment).unwrap_or_else(|| uid.to_string()),
            home: home().display().to_string(),
            uid,
            host: String::from_utf8_lossy(&host).trim().to_owned(),
        }
    }
}

impl Outside for System {
    /// As ssh does it: the user's shell, without input and output, with the terminal's errors.
    fn exec(&mut self, command: &str) -> Result<bool, String> {
        let shell = shell();
        let status = Command::new(&shell)
            .arg("-c")
            .arg(command)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .map_err(|error| format!("Match exec: {}: {error}", shell.display()))?;
        match status.code() {
            Some(code) => Ok(code == 0),
            None => Err(format!("Match exec: the command was ended: {status}")),
        }
    }

    fn include(&mut self, pattern: &str, owner: Owner) -> Result<Vec<File>, String> {
        let (base, below) = match (pattern.strip_prefix('~'), owner) {
            (Some(rest), Owner::User) => {
                let (user, below) = rest.split_once('/').unwrap_or((rest, ""));
                let base = if user.is_empty() { Some(home()) } else { self.home_of(user).map(PathBuf::from) };
                (base.ok_or_else(|| format!("{pattern}: there is no such user"))?, below)
            }
            _ if pattern.starts_with('/') => (PathBuf::from("/"), pattern),
            (_, Owner::User) => (home().join(".ssh"), pattern),
            (_, Owner::System) => (PathBuf::from(SYSTEM_DIRECTORY), pattern),
        };
        let mut files = Vec::new();
        for path in glob(&base, below).map_err(|error| format!("{pattern}: {error}"))? {
            match files::read_config(&path, true) {
                Ok(contents) => files.push(File { name: shown(&path), contents }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(format!("{}: {error}", shown(&path))),
            }
        }
        Ok(files)
    }

    fn variable(&self, name: &str) -> Option<String> {
        // A name that no variable can have.
        if name.is_empty() || name.contains(['=', '\0']) { None } else { env::var(name).ok() }
    }

    fn home_of(&self, user: &str) -> Option<String> {
        self.users().find(|(name, ..)| *name == user).map(|(.., home)| home.to_owned())
    }
}

#[cfg(test)]
mod tests;
