//! `ssh-weblog`: arguments to options; the rest is the library's.
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, clippy::use_self)]

use clap::Parser;
use std::alloc::System;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;
use strombus::driver::algorithms::PRESET_HELP;
use strombus::driver::config::{self, CommandLine, LoadError};
use strombus::driver::options::Options;
use strombus::driver::text::escaped_lines;
use strombus::tell;
use strombus::weblog::client::{NO_CONNECTION, WatchOptions, watch};
use strombus::weblog::demo;
use strombus::weblog::options::{ViewOptions, quoted};
use strombus::weblog::view::{Destination, View};
use zeroizing_alloc::ZeroAlloc;

/// Wipes what is freed, passwords among it.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

/// Wrong arguments.
const USAGE: u8 = 2;

const EXAMPLES: &str = "\
Examples:
  ssh-weblog demo                                      everything on this machine
  ssh-weblog ann@shop.example /var/log/nginx/access.log
  ssh-weblog -n 100 --show hits ann@shop.example:/var/log/nginx/access.log
  ssh-weblog --json shop.example:access.log | jq .path

Exit status: 0 done, 1 the log could not be read, 2 bad arguments, 130 Ctrl-C, 143 SIGTERM, 141 nobody reads the output,
255 no connection or login.";

/// Logs in to a host over SSH, follows a web access log there and shows who came from where.
#[derive(Parser)]
#[command(name = "ssh-weblog", version, after_help = format!("{EXAMPLES}\n\n{PRESET_HELP}"))]
struct Arguments {
    /// Port of the host
    #[arg(short, value_name = "PORT")]
    port: Option<String>,
    /// File of a private key; may be repeated
    #[arg(short, value_name = "FILE")]
    identity: Vec<String>,
    /// Name of the user there
    #[arg(short, value_name = "USER")]
    login_name: Option<String>,
    /// An option by its name in ssh_config(5), as Key=Value; may be repeated
    #[arg(short, value_name = "OPTION")]
    option: Vec<String>,
    /// File to be read instead of ~/.ssh/config and /etc/ssh/ssh_config; none for none
    #[arg(short = 'F', value_name = "FILE")]
    file: Option<PathBuf>,
    /// Hosts to go through
    #[arg(short = 'J', value_name = "HOSTS")]
    jump: Option<String>,
    /// IPv4 only
    #[arg(short = '4', conflicts_with = "inet6")]
    inet: bool,
    /// IPv6 only
    #[arg(short = '6')]
    inet6: bool,
    /// Never ask for anything
    #[arg(long)]
    batch: bool,
    /// Lines of the log to begin with; +N: from line N on
    #[arg(short = 'n', value_name = "LINES", allow_hyphen_values = true)]
    lines: Option<String>,
    /// End at the end of the log
    #[arg(long)]
    no_follow: bool,
    #[command(flatten)]
    view: ViewOptions,
    /// No fingerprint and no notices
    #[arg(short, long)]
    quiet: bool,
    /// Tell the story of the login, and of lines that are not understood; more with -vv and -vvv
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// With demo: end after so many seconds
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// HOST:PATH, or HOST PATH, with USER@ in front where you are another there; or demo
    #[arg(required = true, num_args = 1..=2, value_name = "SOURCE")]
    source: Vec<String>,
}

/// Why nothing is watched: a text for the user, and the exit status.
struct Wrong(String, u8);

impl From<LoadError> for Wrong {
    fn from(error: LoadError) -> Self {
        let status = if matches!(error, LoadError::CommandLine(_)) { USAGE } else { NO_CONNECTION };
        Self(error.text().to_owned(), status)
    }
}

impl Arguments {
    fn view(&self) -> Result<View, Wrong> {
        let terminal = std::io::stdout().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let destination =
            Destination { escaped: terminal, coloured: terminal && !plain, names_sources: false };
        View::new(&self.view, destination, SystemTime::now())
            .map_err(|text| Wrong(format!("{text}; see --help"), USAGE))
    }

    /// Host, with its user, and path: the article's two operands, or one with a colon before any slash.
    fn source(&self) -> Result<(&str, &str), Wrong> {
        let wrong = |text: String| Err(Wrong(format!("{text}; see --help"), USAGE));
        match self.source.as_slice() {
            [host, path] if !host.contains([':', '/']) => Ok((host, path)),
            [source] => {
                let after_address = source.find(']').filter(|_| source.contains('[')).unwrap_or(0);
                let colon =
                    source.get(after_address..).and_then(|rest| rest.find(':')).map(|at| after_address + at);
                let (host, path) = match colon {
                    Some(at) => (source.get(..at), source.get(at + 1..)),
                    None => (None, None),
                };
                match (host, path) {
                    (Some(host), Some(path))
                        if !host.is_empty() && !path.is_empty() && !host.contains('/') =>
                    {
                        Ok((host, path))
                    }
                    _ => wrong(format!("{source}: write a source as [USER@]HOST:PATH")),
                }
            }
            _ => wrong("one source at a time: [USER@]HOST:PATH or [USER@]HOST PATH".to_owned()),
        }
    }

    fn options(&self) -> Result<WatchOptions, Wrong> {
        if self.seconds.is_some() {
            return Err(Wrong("--seconds is for demo; see --help".to_owned(), USAGE));
        }
        let (destination, path) = self.source()?;
        let (user, host) = match destination.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, destination),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let connection = self.connection(host, user)?;
        if self.verbose > 0 {
            connection.passed_over.iter().for_each(|text| tell!("{}", escaped_lines(text)));
        }
        Ok(WatchOptions {
            connection,
            command: self.command(path)?,
            source: self.source.join(":"),
            view: self.view()?,
            quiet: self.quiet,
            verbose: self.verbose > 0,
            seconds: None,
        })
    }

    fn connection(&self, host: &str, user: Option<&str>) -> Result<Options, Wrong> {
        // The first of two values counts, as for ssh; what has a name of its own comes first.
        let named = [
            ("Port", self.port.as_deref()),
            ("BatchMode", self.batch.then_some("yes")),
            ("LogLevel", config::log_level(self.verbose)),
            ("LogLevel", self.quiet.then_some("ERROR")),
            ("AddressFamily", self.inet.then_some("inet")),
            ("AddressFamily", self.inet6.then_some("inet6")),
        ];
        let named = named.into_iter().filter_map(|(keyword, value)| Some(config::option(keyword, value?)));
        let identities = self.identity.iter().map(|file| config::option("IdentityFile", file));
        let jump = self.jump.iter().map(|hosts| format!("ProxyJump={hosts}"));
        let line = CommandLine {
            host: host.to_owned(),
            user: user.or(self.login_name.as_deref()).map(str::to_owned),
            options: named.chain(identities).chain(jump).chain(self.option.iter().cloned()).collect(),
            file: self.file.clone(),
        };
        Ok(config::load(&line)?.options()?)
    }

    /// What runs there: tail, as every host has it.
    fn command(&self, path: &str) -> Result<String, Wrong> {
        let lines = self.lines.as_deref().unwrap_or(if self.no_follow { "+1" } else { "0" });
        let digits = lines.strip_prefix('+').unwrap_or(lines);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Wrong(format!("-n {lines}: write a number, or +N for line N on"), USAGE));
        }
        let follow = if self.no_follow { "" } else { "-F " };
        Ok(format!("LC_ALL=C exec tail -n {lines} {follow}-- {}", quoted(path)))
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = if arguments.source == ["demo"] {
        arguments.view().map(|view| demo::run(arguments.seconds, view))
    } else {
        arguments.options().map(watch)
    };
    let done = match done {
        Ok(done) => done,
        Err(Wrong(text, status)) => {
            tell!("ssh-weblog: {}", escaped_lines(&text));
            return ExitCode::from(status);
        }
    };
    match done {
        Ok(status) => ExitCode::from(status),
        Err(text) => {
            tell!("ssh-weblog: {}", escaped_lines(&text));
            ExitCode::from(NO_CONNECTION)
        }
    }
}
