//! `ssh-weblog-server`: arguments and files to options; the rest is the library's.
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, clippy::use_self)]

use clap::{Parser, Subcommand};
use std::alloc::System;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use strombus::crypto::sign::{PrivateKey, PublicKey};
use strombus::driver::passwords;
use strombus::driver::text::{escaped_lines, key_kind};
use strombus::tell;
use strombus::userauth::SECRET_MAX;
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
A log that is called as a command is written with its directory: ./check. What is said on the command line counts more than \
what the file of --config says.

Examples:
  ssh-weblog-server --user ann --authorized-keys ann.pub \\
      /var/log/nginx/access.log
  ssh-weblog-server hash-password > ann.password
  ssh-weblog-server --listen 127.0.0.1:8022 --user ann \\
      --password-file ann.password access.log
  ssh-weblog-server check /etc/ssh-weblog-server/config.toml
  ssh-weblog-server --config /etc/ssh-weblog-server/config.toml \\
      --run-as ssh-weblog

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

Then, from anywhere:
  ssh -p 8022 ann@this.host

Signals: SIGHUP reads configuration, keys and passwords anew; SIGTERM ends it when what was read is sent, a second one at once.

Exit status: 0 stopped, or nothing is wrong; 1 it cannot start, or something is; 2 bad arguments.";

const CHECK: &str = "\
It says nothing if nothing is wrong, and otherwise FILE:LINE: what is wrong, and what to write instead, a line each. It reads the \
keys and passwords that FILE names, too; as root it does so as the user of run_as, if there is one. It makes and changes nothing.

Examples:
  ssh-weblog-server check config.toml && systemctl reload ssh-weblog-server

Exit status: 0 nothing is wrong, 1 something is, 2 bad arguments.";

const FINGERPRINT: &str = "\
A line for each host key: bits, fingerprint, kind. Tell it to whoever logs in for the first time; their ssh shows the same. \
The key is made if there is none yet.

Which key: those of --host-key, or of the file of --config; otherwise the one in --state-dir, or where the server keeps it \
if nothing is said.

Examples:
  ssh-weblog-server fingerprint
  ssh-weblog-server fingerprint --config /etc/ssh-weblog-server/config.toml
  ssh-weblog-server fingerprint --state-dir /var/lib/ssh-weblog-server

Exit status: 0 shown, 1 a key cannot be read or made, 2 bad arguments.";

const HASH_PASSWORD: &str = "\
It asks twice on a terminal, and otherwise reads the first line of standard input. What it prints goes into a file for \
--password-file, bare for the one user of --user or as NAME:HASH, or into password_hash = \"…\" of a [[user]].

Examples:
  ssh-weblog-server hash-password > ann.password
  pass show weblog/ann | ssh-weblog-server hash-password

Exit status: 0 printed, 1 the two differ or there is none, 2 bad arguments.";

/// The help of a command that takes none of the options, or few, which its text names.
const BRIEF: &str = "{about-with-newline}\n{usage-heading} {usage}{after-help}\n";

/// Shows the new records of web access logs to whoever logs in by SSH
#[derive(Parser)]
#[command(name = "ssh-weblog-server", version, after_help = EXAMPLES, disable_help_subcommand = true)]
#[command(args_override_self = true)]
#[command(
    override_usage = "ssh-weblog-server [OPTIONS] LOG...\n       ssh-weblog-server [OPTIONS] --config FILE\n       \
                            ssh-weblog-server check FILE | fingerprint | hash-password"
)]
struct Arguments {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What else than serving is wanted.
#[derive(Subcommand)]
enum Command {
    /// Read a configuration as a start does, and say what is wrong with it
    #[command(after_help = CHECK, override_usage = "ssh-weblog-server check FILE")]
    #[command(help_template = BRIEF)]
    Check {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Show the host keys as ssh-keygen -l does
    #[command(after_help = FINGERPRINT, override_usage = "ssh-weblog-server fingerprint [OPTIONS]")]
    #[command(help_template = BRIEF)]
    Fingerprint,
    /// Make of a password what a password file holds of it
    #[command(after_help = HASH_PASSWORD, override_usage = "ssh-weblog-server hash-password")]
    #[command(help_template = BRIEF)]
    HashPassword,
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
    let line = |key: &Arc<PrivateKey>| format!("{} {}\n", bits(&key.public_key()), fingerprint(key));
    show(&config.host_keys.iter().map(line).collect::<String>()).map_err(|text| Wrong::Files(vec![text]))
}

fn show(lines: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    out.write_all(lines.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| format!("standard output: {error}"))
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
        first_line()?
    };
    if password.is_empty() {
        return Err(
            "an empty password is none: type one, or write it as the first line of standard input".to_owned()
        );
    }
    show(&format!("{}\n", passwords::hash(password.as_bytes())?))
}

/// A password without a terminal.
fn first_line() -> Result<Zeroizing<String>, String> {
    let mut line = Zeroizing::new(Vec::new());
    let most = SECRET_MAX as u64 + 2; // and its end
    io::stdin()
        .lock()
        .take(most)
        .read_until(b'\n', &mut line)
        .map_err(|error| format!("standard input: {error}"))?;
    let end = line.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
    line.truncate(end);
    if line.len() > SECRET_MAX {
        return Err(format!("a password has {SECRET_MAX} bytes at the most"));
    }
    let text = core::str::from_utf8(&line).map_err(|_| "a password is UTF-8: this one is not".to_owned())?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let flags = &arguments.flags;
    let done = match arguments.command {
        None => serve(flags),
        Some(Command::Check { file }) => check(file, flags),
        Some(Command::Fingerprint) => show_fingerprints(flags),
        Some(Command::HashPassword) => hash_password().map_err(|text| Wrong::Files(vec![text])),
    };
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

#[cfg(test)]
mod pages;

#[cfg(test)]
mod tests {
    #[test]
    fn its_pages_are_those_of_its_command_line() {
        super::pages::agree(&<super::Arguments as clap::CommandFactory>::command());
    }
}
