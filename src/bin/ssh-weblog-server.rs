//! `ssh-weblog-server`: arguments and files to options; the rest is the library's.
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, clippy::use_self)]

use clap::Parser;
use std::alloc::System;
use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use strombus::crypto::sign::{PrivateKey, PublicKey};
use strombus::driver::passwords;
use strombus::driver::text::{escaped_lines, key_kind};
use strombus::tell;
use strombus::weblog::serve::flags::Flags;
use strombus::weblog::serve::notify::Notify;
use strombus::weblog::serve::settings::{Configuration, Wrong};
use strombus::weblog::serve::start::Started;
use strombus::weblog::serve::{ServerOptions, WeblogServer, audit};
use zeroize::Zeroizing;
use zeroizing_alloc::ZeroAlloc;

/// Wipes what is freed, passwords among it.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

/// Wrong arguments.
const USAGE: u8 = 2;

const EXAMPLES: &str = "\
Commands:
  check FILE       read a configuration as a start does, and say what is wrong with it
  fingerprint      show the host keys, as ssh-keygen -l does; with --state-dir, --host-key or --config
  hash-password    ask for a password twice, or read it from standard input, and show what a password file holds of it
A log of such a name is written with its directory: ./check

Examples:
  ssh-weblog-server --user ann --authorized-keys ann.pub /var/log/nginx/access.log
  ssh-weblog-server hash-password > ann.password
  ssh-weblog-server --listen 127.0.0.1:8022 --user ann --password-file ann.password access.log
  ssh-weblog-server check /etc/ssh-weblog-server/config.toml
  ssh-weblog-server --config /etc/ssh-weblog-server/config.toml --run-as ssh-weblog

A configuration:
  listen = [\"[::]:8022\"]
  [[log]]
  name = \"shop\"
  path = \"/var/log/nginx/shop.log\"
  [[user]]
  name = \"ann\"
  authorized_keys = \"ann.pub\"
  logs = [\"shop\"]
  view = [\"--vhost\", \"shop.example\", \"--anonymize\"]

Then, from anywhere:  ssh -p 8022 ann@this.host

SIGHUP reads configuration, keys and passwords anew; SIGTERM ends it when what was read is sent, a second one at once.

Exit status: 0 stopped, or nothing is wrong; 1 it cannot start, or something is; 2 bad arguments.";

/// Shows the new records of web access logs to whoever logs in by SSH.
#[derive(Parser)]
#[command(name = "ssh-weblog-server", version, after_help = EXAMPLES)]
#[command(
    override_usage = "ssh-weblog-server [OPTIONS] LOG...\n       ssh-weblog-server [OPTIONS] --config FILE\n       \
                            ssh-weblog-server check FILE | fingerprint | hash-password"
)]
struct Arguments {
    #[command(flatten)]
    flags: Flags,
}

/// What is wanted.
enum Command {
    Serve,
    Check(PathBuf),
    Fingerprint,
    HashPassword,
}

impl Arguments {
    fn command(&self) -> Result<Command, Wrong> {
        let words: Vec<_> = self.flags.log.iter().map(|word| word.to_str().unwrap_or_default()).collect();
        let wrong = |text: &str| Err(Wrong::Usage(text.to_owned()));
        match *words {
            ["hash-password"] => Ok(Command::HashPassword),
            ["fingerprint"] => Ok(Command::Fingerprint),
            ["check", _] => Ok(Command::Check(self.flags.log.iter().skip(1).collect())),
            ["check", ..] => wrong("check: name one FILE"),
            ["hash-password" | "fingerprint", ..] => wrong(
                "hash-password and fingerprint stand alone; a log of that name is written with its directory",
            ),
            [] if self.flags.config.is_none() => wrong("no log is named: give a LOG, or --config FILE"),
            _ => Ok(Command::Serve),
        }
    }
}

fn serve(flags: &Flags) -> Result<(), Wrong> {
    let failed = |text| Wrong::Files(vec![text]);
    let configuration = Configuration::read(flags)?;
    let Started { listeners, config, notes } = configuration.start()?;
    notes.iter().for_each(|line| tell!("{}", escaped_lines(line)));
    let fingerprints: Vec<_> = config.host_keys.iter().map(|key| fingerprint(key)).collect();
    let addresses: Vec<_> = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
    let notify = Notify::from_environment().map_err(|error| failed(format!("NOTIFY_SOCKET: {error}")))?;
    let audit = audit::start(configuration.audit).map_err(|error| failed(error.to_string()))?;
    let (settings, again) = (configuration.settings.clone(), flags.clone());
    let reload = Box::new(move || configuration.read_again(&again));
    let options = ServerOptions { listeners, config, settings, reload: Some(reload), notify };
    let server = WeblogServer::bind(options, true).map_err(failed)?;
    fingerprints.iter().for_each(|line| tell!("host key fingerprint: {line}"));
    addresses.iter().for_each(|address| tell!("listening on {address}"));
    let ended = server.run().map_err(failed);
    audit.finish();
    ended
}

fn check(file: PathBuf, flags: &Flags) -> Result<(), Wrong> {
    let flags = Flags { config: Some(file), log: Vec::new(), ..flags.clone() };
    let notes = Configuration::read(&flags)?.check()?;
    notes.iter().for_each(|line| tell!("{}", escaped_lines(line)));
    Ok(())
}

fn show_fingerprints(flags: &Flags) -> Result<(), Wrong> {
    let flags = Flags { log: Vec::new(), ..flags.clone() };
    let config = Configuration::of_identity(&flags)?.identity()?;
    for key in &config.host_keys {
        println!("{} {}", bits(&key.public_key()), fingerprint(key));
    }
    Ok(())
}

fn fingerprint(key: &PrivateKey) -> String {
    let public = key.public_key();
    format!("{} ({})", public.fingerprint(), key_kind(&public))
}

/// As ssh-keygen counts them.
fn bits(key: &PublicKey) -> usize {
    match key {
        PublicKey::Rsa(key) => key.bits(),
        key => key.key_type().rsplit("nistp").next().and_then(|digits| digits.parse().ok()).unwrap_or(256),
    }
}

fn hash_password() -> Result<(), String> {
    let password = if io::stdin().is_terminal() {
        let first =
            rpassword::prompt_password("password: ").map(Zeroizing::new).map_err(|e| e.to_string())?;
        let again =
            rpassword::prompt_password("the same again: ").map(Zeroizing::new).map_err(|e| e.to_string())?;
        if first != again {
            return Err("the two are not the same: nothing was made, try again".to_owned());
        }
        first
    } else {
        let mut line = Zeroizing::new(String::new());
        io::stdin().lock().read_line(&mut line).map_err(|error| error.to_string())?;
        Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned())
    };
    if password.is_empty() {
        return Err(
            "an empty password is none: type one, or write it as the first line of standard input".to_owned()
        );
    }
    println!("{}", passwords::hash(password.as_bytes())?);
    Ok(())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let flags = &arguments.flags;
    let done = arguments.command().and_then(|command| match command {
        Command::Serve => serve(flags),
        Command::Check(file) => check(file, flags),
        Command::Fingerprint => show_fingerprints(flags),
        Command::HashPassword => hash_password().map_err(|text| Wrong::Files(vec![text])),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong @ Wrong::Usage(_)) => {
            tell!("ssh-weblog-server: {}; see --help", escaped_lines(&wrong.to_string()));
            ExitCode::from(USAGE)
        }
        // Of a file: FILE:LINE: …, a line each, as compilers do.
        Err(wrong @ Wrong::Files(_)) => {
            tell!("{}", escaped_lines(&wrong.to_string()));
            ExitCode::FAILURE
        }
    }
}
