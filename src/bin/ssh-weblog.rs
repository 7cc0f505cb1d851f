//! `ssh-weblog`: arguments to options; the rest is the library's.
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, clippy::use_self)]

use clap::Parser;
use std::alloc::System;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use strombus::copy::operand::{Host, Operand};
use strombus::driver::algorithms::PRESET_HELP;
use strombus::driver::config::{self, CommandLine, LoadError};
use strombus::driver::options::Options;
use strombus::driver::text::escaped_lines;
use strombus::tell;
use strombus::weblog::demo;
use strombus::weblog::follow::Start;
use strombus::weblog::follow::via::Via;
use strombus::weblog::options::ViewOptions;
use strombus::weblog::view::Destination;
use strombus::weblog::watch::{NO_CONNECTION, Place, Source, WatchOptions, watch};
use zeroizing_alloc::ZeroAlloc;

/// Wipes what is freed, passwords among it.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

/// Wrong arguments.
const USAGE: u8 = 2;

/// How often a silent host is asked whether it is there (seconds), and how often in vain, unless the configuration says so.
const ALIVE_INTERVAL: u32 = 15;

const EXAMPLES: &str = "\
SOURCE: [USER@]HOST:PATH, ssh://[USER@]HOST[:PORT]/PATH, a local file, or - for standard input; or HOST PATH, as two words.
A PATH is from the login directory if it is not absolute; patterns in it (* ? [a-z]) are expanded there, again every ten seconds,
unless a file has exactly this name. One connection serves all logs of a host.

Examples:
  ssh-weblog demo                                      everything on this machine
  ssh-weblog ann@shop.example /var/log/nginx/access.log
  ssh-weblog -n 100 --show hits 'ann@shop.example:/var/log/nginx/*.log'
  ssh-weblog --dashboard ann@shop.example:access.log   rates, tops and live lines; ? shows the keys
  ssh-weblog --stats --no-follow --with-rotated /var/log/nginx/access.log
  ssh-weblog --status 5xx --json shop.example:access.log api.example:access.log | jq .path
  ssh-weblog --over 5/s --for 30s --status 5xx shop.example:access.log && echo calm

Exit status: 0 done, 1 a log could not be read, 2 bad arguments, 3 --over came true, 130 Ctrl-C, 143 SIGTERM, 141 nobody reads
the output, 255 no connection or login.";

/// Follows web access logs, here and on any host over SSH, and shows who came from where.
#[derive(Parser)]
#[command(
    name = "ssh-weblog",
    version,
    override_usage = "ssh-weblog [OPTIONS] SOURCE...\n       ssh-weblog [OPTIONS] HOST PATH\n       ssh-weblog demo [--seconds N]"
)]
#[command(after_help = format!("{EXAMPLES}\n\n{PRESET_HELP}"))]
struct Arguments {
    /// Port of the hosts
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
    /// Lines of each log to begin with; +N: from line N on
    #[arg(short = 'n', value_name = "LINES", allow_hyphen_values = true, help_heading = LOGS)]
    lines: Option<String>,
    /// End at the end of the logs
    #[arg(long, help_heading = LOGS)]
    no_follow: bool,
    /// Begin with the rotated files, .gz too
    #[arg(long, help_heading = LOGS)]
    with_rotated: bool,
    /// common, combined, vhost, nginx, caddy, traefik, json, alb, cloudfront, w3c or s3, or the server's own LogFormat or
    /// log_format; found out from the lines if it is not given
    #[arg(long, value_name = "FORMAT", help_heading = LOGS)]
    log_format: Option<String>,
    /// Read logs on hosts in this way only; without it the first that a host has
    #[arg(long, value_enum, value_name = "WAY", help_heading = LOGS)]
    via: Option<Via>,
    /// Keep positions there, and go on at them the next time
    #[arg(long, value_name = "FILE", help_heading = LOGS)]
    state: Option<PathBuf>,
    /// Show lines of several logs by their times, within a second
    #[arg(long, help_heading = LOGS)]
    sorted: bool,
    /// Try a connection so often again; without it the first once, and one that was there for ever
    #[arg(long, value_name = "N", help_heading = LOGS)]
    retry: Option<u32>,
    #[command(flatten)]
    view: ViewOptions,
    /// No fingerprint and no notices
    #[arg(short, long)]
    quiet: bool,
    /// Tell of formats, lines that are not understood and what was read; the story of the login with -vv, -vvv
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// With demo: end after so many seconds
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Logs
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<OsString>,
}

const LOGS: &str = "Logs";

/// Why nothing is watched: a text for the user, and the exit status.
struct Wrong(String, u8);

impl Wrong {
    fn usage(text: impl core::fmt::Display) -> Self {
        Self(format!("{text}; see --help"), USAGE)
    }
}

impl From<LoadError> for Wrong {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::CommandLine(_) => Self::usage(error.text()),
            _ => Self(error.text().to_owned(), NO_CONNECTION),
        }
    }
}

impl Arguments {
    fn destination(&self) -> Destination {
        let terminal = std::io::stdout().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let names_sources = self.sources.len() > 1 && !self.is_of_the_article();
        Destination { escaped: terminal, coloured: terminal && !plain, names_sources }
    }

    /// Two words, a host and a path.
    fn is_of_the_article(&self) -> bool {
        match self.sources.as_slice() {
            [host, _] => {
                let is_plain = !host.as_bytes().iter().any(|byte| matches!(byte, b':' | b'/'));
                is_plain && host != "-" && !Path::new(host).exists()
            }
            _ => false,
        }
    }

    /// What stands on the command line, each with how it was typed.
    fn operands(&self) -> Result<Vec<(String, Operand)>, Wrong> {
        let typed = if self.is_of_the_article() {
            vec![self.sources.join(std::ffi::OsStr::new(":"))]
        } else {
            self.sources.clone()
        };
        let operand = |text: &OsString| {
            let name = text.to_string_lossy().into_owned();
            Operand::parse(text).map(|operand| (name, operand)).map_err(Wrong::usage)
        };
        typed.iter().map(operand).collect()
    }

    fn start(&self) -> Result<Option<Start>, Wrong> {
        let Some(lines) = &self.lines else { return Ok(None) };
        let wrong = |_| Wrong::usage(format!("-n {lines}: write a number, or +N for line N on"));
        Ok(Some(match lines.strip_prefix('+') {
            Some(line) => Start::Line(line.parse().map_err(wrong)?),
            None => Start::LinesBeforeEnd(lines.parse().map_err(wrong)?),
        }))
    }

    fn is_demo(&self) -> bool {
        self.sources == ["demo"]
    }

    /// The logs that are named, and their hosts.
    fn named(&self) -> Result<(Vec<Source>, Vec<Options>), Wrong> {
        if self.seconds.is_some() {
            return Err(Wrong::usage("--seconds is for demo"));
        }
        let (mut names, mut hosts, mut sources) = (Vec::new(), Vec::new(), Vec::new());
        for (name, operand) in self.operands()? {
            let place = match operand {
                Operand::Standard => Place::Standard,
                Operand::Local(path) => Place::Local(path),
                Operand::Remote(remote) => {
                    let host = match names.iter().position(|name| *name == remote.host) {
                        Some(host) => host,
                        None => {
                            hosts.push(self.connection(&remote.host)?);
                            names.push(remote.host);
                            names.len() - 1
                        }
                    };
                    if remote.path.is_empty() {
                        return Err(Wrong::usage(format!("{name}: no log is named")));
                    }
                    Place::Host { host, path: remote.path }
                }
            };
            sources.push(Source { name, place });
        }
        if self.verbose > 0 {
            let passed_over = hosts.iter().flat_map(|options: &Options| &options.passed_over);
            passed_over.for_each(|text| tell!("{}", escaped_lines(text)));
        }
        Ok((sources, hosts))
    }

    fn options(&self) -> Result<WatchOptions, Wrong> {
        let (sources, hosts) = if self.is_demo() { Default::default() } else { self.named()? };
        Ok(WatchOptions {
            sources,
            hosts,
            view: self.view.clone(),
            destination: self.destination(),
            log_format: self.log_format.clone(),
            start: self.start()?,
            with_rotated: self.with_rotated,
            follow: !self.no_follow,
            via: self.via,
            retry: self.retry,
            state: self.state.clone(),
            sorted: self.sorted,
            quiet: self.quiet,
            verbose: self.verbose > 0,
            seconds: self.seconds,
        })
    }

    fn connection(&self, host: &Host) -> Result<Options, Wrong> {
        let port = host.port.map(|port| port.to_string()).or_else(|| self.port.clone());
        // The first of two values counts, as for ssh; what has a name of its own comes first.
        let named = [
            ("Port", port.as_deref()),
            ("BatchMode", self.batch.then_some("yes")),
            ("LogLevel", config::log_level(self.verbose.saturating_sub(1))),
            ("LogLevel", self.quiet.then_some("ERROR")),
            ("AddressFamily", self.inet.then_some("inet")),
            ("AddressFamily", self.inet6.then_some("inet6")),
        ];
        let named = named.into_iter().filter_map(|(keyword, value)| Some(config::option(keyword, value?)));
        let identities = self.identity.iter().map(|file| config::option("IdentityFile", file));
        let jump = self.jump.iter().map(|hosts| format!("ProxyJump={hosts}"));
        let line = CommandLine {
            host: host.name.clone(),
            user: host.user.as_deref().or(self.login_name.as_deref()).map(str::to_owned),
            options: named.chain(identities).chain(jump).chain(self.option.iter().cloned()).collect(),
            file: self.file.clone(),
        };
        let mut options = config::load(&line)?.options()?;
        let interval = &mut options.config.server_alive_interval.0;
        *interval = if *interval == 0 { ALIVE_INTERVAL } else { *interval };
        Ok(options)
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = arguments.options().and_then(|options| {
        if !arguments.is_demo() {
            return watch(options).map_err(Wrong::usage);
        }
        options.check().map_err(Wrong::usage)?;
        demo::run(options).map_err(|text| Wrong(text, NO_CONNECTION))
    });
    match done {
        Ok(status) => ExitCode::from(status),
        Err(Wrong(text, status)) => {
            tell!("ssh-weblog: {}", escaped_lines(&text));
            ExitCode::from(status)
        }
    }
}
