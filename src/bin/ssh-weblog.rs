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
use strombus::driver::arguments::{ConnectionArguments, Wrong};
use strombus::driver::config;
use strombus::driver::glob::Pattern;
use strombus::driver::options::Options;
use strombus::driver::text::{escaped, escaped_lines};
use strombus::tell;
use strombus::weblog::demo;
use strombus::weblog::follow::Start;
use strombus::weblog::follow::via::Via;
use strombus::weblog::options::ViewOptions;
use strombus::weblog::view::Destination;
use strombus::weblog::watch::{Place, Source, UNREADABLE, WatchError, WatchOptions, watch};
use zeroizing_alloc::ZeroAlloc;

/// Wipes what is freed, passwords among it.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

/// How often a silent host is asked whether it is there (seconds), unless the configuration says so.
const ALIVE_INTERVAL: u32 = 15;

const EXAMPLES: &str = "\
SOURCE: [USER@]HOST:PATH, ssh://[USER@]HOST[:PORT]/PATH, a local file, or - for standard input; or HOST PATH, as two words. A \
PATH on a host is from the login directory if it does not begin with /. Patterns in it (* ? [a-z]) are expanded there, again \
every ten seconds, unless a file has exactly this name; quote them, or your shell expands them here. One connection serves all \
logs of a host.

Examples:
  ssh-weblog demo                          all of it on this machine
  ssh-weblog ann@shop.example /var/log/nginx/access.log
  ssh-weblog -n 100 --show hits 'ann@shop.example:/var/log/nginx/*.log'
  ssh-weblog --dashboard ann@shop.example:access.log
  ssh-weblog --no-follow --with-rotated --stats /var/log/nginx/access.log
  ssh-weblog --status 5xx --json shop.example:access.log | jq .path
  ssh-weblog --no-follow --since 5m --status 5xx --over 5/s --for 30s \\
      shop.example:access.log && echo calm

Exit status: 0 done, 1 a log could not be read, 2 bad arguments, 3 --over came true, 130 Ctrl-C, 143 SIGTERM, 141 nobody reads \
the output, 255 no connection or login.";

/// Follows web access logs, here and on any host over SSH, and shows who came from where
#[derive(Parser)]
#[command(
    name = "ssh-weblog",
    version,
    args_override_self = true,
    override_usage = "ssh-weblog [OPTIONS] SOURCE...\n       ssh-weblog [OPTIONS] HOST PATH\n       ssh-weblog demo [--seconds N]"
)]
#[command(after_help = format!("{EXAMPLES}\n\n{PRESET_HELP}"))]
struct Arguments {
    /// Port of sshd on the hosts, unless a SOURCE names one
    #[arg(short, value_name = "PORT")]
    port: Option<String>,
    /// User to log in as, unless a SOURCE names one
    #[arg(short, value_name = "USER")]
    login_name: Option<String>,
    #[command(flatten)]
    connection: ConnectionArguments,
    /// Never ask for anything: no password, no passphrase, no host key; for cron
    #[arg(long)]
    batch: bool,
    /// Begin with the last LINES lines of each log, with +N at line N [default: 0, with --no-follow +1]
    #[arg(short = 'n', value_name = "LINES", allow_hyphen_values = true, help_heading = LOGS)]
    lines: Option<String>,
    /// End at the end of the logs; without it new lines are waited for
    #[arg(long, help_heading = LOGS)]
    no_follow: bool,
    /// Begin with the rotated files of each log: .1, .2.gz, -20260301 and so on
    #[arg(long, help_heading = LOGS)]
    with_rotated: bool,
    /// Format of the lines: common, combined, vhost, nginx, caddy, traefik, json, alb, cloudfront, w3c or s3, or the server's own
    /// LogFormat or log_format; without it, it is found out from each log's first lines
    #[arg(long, value_name = "FORMAT", help_heading = LOGS)]
    log_format: Option<String>,
    /// Read logs on hosts in this way only; without it in the first of these that a host has
    #[arg(long, value_enum, value_name = "WAY", help_heading = LOGS)]
    via: Option<Via>,
    /// Keep in FILE where each log was read to, and go on there the next time; a last line without its end is left for that
    #[arg(long, value_name = "FILE", help_heading = LOGS)]
    state: Option<PathBuf>,
    /// Show lines of several logs in the order of their times, as far as they are a second apart
    #[arg(long, help_heading = LOGS)]
    sorted: bool,
    /// Try a connection N times more; without it the first is tried once, and one that was lost for ever
    #[arg(long, value_name = "N", help_heading = LOGS)]
    retry: Option<u32>,
    #[command(flatten)]
    view: ViewOptions,
    /// No fingerprint and no notices; of -q and -v the last counts
    #[arg(short, long, overrides_with = "verbose")]
    quiet: bool,
    /// Tell of formats, lines that are not understood and what was read; -vv, -vvv: of the login too
    #[arg(short, long, action = clap::ArgAction::Count, overrides_with = "quiet")]
    verbose: u8,
    /// With demo: end after N seconds
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Logs to watch; how they are written is said below
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<OsString>,
}

const LOGS: &str = "Logs";

/// The status of what ended a watch early, with a text.
fn wrong(error: WatchError) -> Wrong {
    match error {
        WatchError::Usage(text) => Wrong::usage(text),
        WatchError::System(text) => Wrong { text, status: UNREADABLE },
    }
}

impl Arguments {
    /// `sources` are what is watched; the logs that one of them stands for have names of their own.
    fn destination(&self, sources: &[Source]) -> Destination {
        let terminal = std::io::stdout().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let is_pattern = |source: &Source| match &source.place {
            Place::Host { path, .. } => Pattern::is_one(path),
            Place::Local(path) => Pattern::is_one(path.as_os_str().as_bytes()),
            Place::Standard => false,
        };
        let names_sources = sources.len() > 1 || sources.iter().any(is_pattern);
        Destination { escaped: terminal, coloured: terminal && !plain, names_sources }
    }

    /// Two words, a host and a path.
    fn is_of_the_article(&self) -> bool {
        match self.sources.as_slice() {
            [host, _] => is_word(host) && !Path::new(host).exists(),
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
        if let [first, second] = self.sources.as_slice()
            && self.verbose > 0
            && is_word(first)
            && Path::new(first).exists()
        {
            let (first, second) = (escaped(first.as_bytes()), escaped(second.as_bytes()));
            tell!(
                "{first} is a file here: two logs are read, {first} and {second}; for the host write {first}:{second}"
            );
        }
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
        let (mut typed, mut hosts, mut sources) = (Vec::<(Host, usize)>::new(), Vec::new(), Vec::new());
        for (name, operand) in self.operands()? {
            let place = match operand {
                Operand::Standard => Place::Standard,
                Operand::Local(path) => Place::Local(path),
                Operand::Remote(remote) => {
                    let host = match typed.iter().find(|(host, _)| *host == remote.host) {
                        Some((_, host)) => *host,
                        None => {
                            let options = self.connection(&remote.host)?;
                            let same = hosts.iter().position(|other| leads_to_the_same(other, &options));
                            let host = same.unwrap_or_else(|| {
                                hosts.push(options);
                                hosts.len() - 1
                            });
                            typed.push((remote.host, host));
                            host
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
            let passed_over = hosts.iter().flat_map(|options| &options.passed_over);
            passed_over.for_each(|text| tell!("{}", escaped_lines(text)));
        }
        Ok((sources, hosts))
    }

    fn options(&self) -> Result<WatchOptions, Wrong> {
        let (sources, hosts) = if self.is_demo() { Default::default() } else { self.named()? };
        if hosts.is_empty() {
            self.connection.check()?;
        }
        Ok(WatchOptions {
            destination: self.destination(&sources),
            sources,
            hosts,
            view: self.view.clone(),
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
        let named = [
            ("Port", port.as_deref()),
            ("BatchMode", self.batch.then_some("yes")),
            ("LogLevel", config::log_level(self.verbose.saturating_sub(1))),
            ("LogLevel", self.quiet.then_some("ERROR")),
        ];
        let user = host.user.as_deref().or(self.login_name.as_deref());
        let loaded = self.connection.load(&host.name, user, named)?;
        Ok(loaded.or_server_alive_interval(ALIVE_INTERVAL).options()?)
    }
}

/// Whether one connection serves both, however they were typed.
fn leads_to_the_same(one: &Options, other: &Options) -> bool {
    let place = |options: &Options| (options.user.clone(), options.host.clone(), options.port);
    let way = |options: &Options| (options.proxy_command.clone(), options.config.proxy_jump.clone());
    let name = |options: &Options| options.config.host_key_alias.clone();
    place(one) == place(other) && way(one) == way(other) && name(one) == name(other)
}

/// Whether it may be the host of `HOST PATH`.
fn is_word(operand: &OsString) -> bool {
    operand != "-" && !operand.as_bytes().iter().any(|byte| matches!(byte, b':' | b'/'))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let run = if arguments.is_demo() { demo::run } else { watch };
    let done = arguments.options().and_then(|options| run(options).map_err(wrong));
    match done {
        Ok(status) => ExitCode::from(status),
        Err(Wrong { text, status }) => {
            tell!("ssh-weblog: {}", escaped_lines(&text));
            ExitCode::from(status)
        }
    }
}

#[cfg(test)]
mod pages;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn its_pages_are_those_of_its_command_line() {
        pages::agree(&<Arguments as clap::CommandFactory>::command());
    }

    /// What is watched, without any file of ssh's.
    fn asked(words: &[&str]) -> WatchOptions {
        let words = [&["ssh-weblog", "-F", "none"], words].concat();
        Arguments::parse_from(words).options().unwrap_or_else(|wrong| panic!("{}", wrong.text))
    }

    #[test]
    fn a_silent_host_is_asked_every_15_seconds_unless_something_is_configured() {
        let interval = |words: &[&str]| {
            let options = asked(&[words, &["shop.example:a.log"]].concat());
            let config = &options.hosts[0].config;
            (config.server_alive_interval.0, config.server_alive_count_max)
        };
        assert_eq!(interval(&[]), (ALIVE_INTERVAL, 3));
        assert_eq!(interval(&["-o", "ServerAliveInterval=40", "-o", "ServerAliveCountMax=5"]), (40, 5));
        assert_eq!(interval(&["-o", "ServerAliveInterval=0"]), (0, 3), "never, if that is asked for");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "Host shop.*\n  ServerAliveInterval 0\n").unwrap();
        let words = ["ssh-weblog", "-F", file.path().to_str().unwrap(), "shop.example:a", "blog.example:a"];
        let options = Arguments::parse_from(words).options().unwrap_or_else(|wrong| panic!("{}", wrong.text));
        let intervals: Vec<_> =
            options.hosts.iter().map(|host| host.config.server_alive_interval.0).collect();
        assert_eq!(intervals, [0, ALIVE_INTERVAL]);
    }

    #[test]
    fn one_connection_serves_a_host_however_its_name_and_port_were_typed() {
        let hosts = |words: &[&str]| {
            let options = asked(words);
            let of = |source: &Source| match source.place {
                Place::Host { host, .. } => host,
                _ => usize::MAX,
            };
            (options.hosts.len(), options.sources.iter().map(of).collect::<Vec<_>>())
        };
        let typed = ["-p", "2222", "-l", "ann", "h:a", "ann@h:b", "ssh://ann@h:2222/c", "ssh://h/d", "h:e"];
        assert_eq!(hosts(&typed), (1, vec![0; 5]));
        let other = ["ann@h:a", "bob@h:b", "ssh://ann@h:2222/c", "ann@i:d", "ssh://ann@h:22/e"];
        assert_eq!(hosts(&other), (4, vec![0, 1, 2, 3, 0]));
    }

    #[test]
    fn sources_are_named_where_there_may_be_several() {
        for (words, named) in [
            (&["h:/var/log/a.log"][..], false),
            (&["h", "/var/log/a.log"], false),
            (&["h:/var/log/[st].log"], true),
            (&["h", "/var/log/*.log"], true),
            (&["/var/log/?.log"], true),
            (&["-"], false),
            (&["h:a.log", "b.log"], true),
            (&["demo"], false),
        ] {
            assert_eq!(asked(words).destination.names_sources, named, "{words:?}");
        }
    }
}
