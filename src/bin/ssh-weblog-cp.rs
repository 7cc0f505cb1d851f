//! `ssh-weblog-cp`: arguments to options; the rest is the library's.
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, clippy::use_self)]

use clap::Parser;
use std::alloc::System;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use strombus::copy::operand::{Host, Operand};
use strombus::copy::{CopyOptions, Manner, Plan, copy};
use strombus::driver::algorithms::PRESET_HELP;
use strombus::driver::arguments::{ConnectionArguments, Wrong};
use strombus::driver::config;
use strombus::driver::options::Options;
use strombus::driver::text::escaped_lines;
use strombus::tell;
use zeroizing_alloc::ZeroAlloc;

/// Wipes what is freed, passwords among it.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

const EXAMPLES: &str = "\
SRC and DST: [USER@]HOST:PATH, ssh://[USER@]HOST[:PORT]/PATH, or a local file; DST may be - for standard output. Either all SRC \
are on hosts, or DST is. A PATH on a host is from the login directory if it does not begin with /; patterns in it (* ? [a-z]) are \
expanded there, unless a file has exactly this name; quote them, or your shell expands them here.

Examples:
  ssh-weblog-cp ann@shop.example:/var/log/nginx/access.log .
  ssh-weblog-cp 'shop.example:/var/log/nginx/*.gz' logs/
  ssh-weblog-cp -rp site/ ann@shop.example:/srv/www
  ssh-weblog-cp --resume ssh://ann@[2001:db8::1]:2222/srv/dump.tar .
  ssh-weblog-cp shop.example:access.log - | ssh-weblog --stats -

A file appears under its name once it is whole; until then it is .NAME.part beside it. What was cut off stays, with size and time \
of the source in .NAME.part.meta if there is more than 64 KiB of it. --resume goes on with that if size and time of the source \
are what they were and the first 64 KiB and the last 1 MiB there are equal; else it begins again. A DST of the same size (with \
-p: and time) and the same last 1 MiB is left as it is. A change of the source that leaves all of this as it was is not seen.

Not copied, but named: devices, FIFOs, sockets, with -r links to directories; links to files are followed. Set-user-ID and its \
like are never set. Where DST is a link, it is not written through and not replaced. By cat no mode, no time and no limit is \
kept, and a file there is overwritten as it comes.

Exit status: 0 all is copied, 1 some is not, 2 bad arguments, 130 Ctrl-C, 143 SIGTERM, 141 nobody reads the output, 255 no \
connection or login.";

/// Copies files to or from a host over SSH
#[derive(Parser)]
#[command(name = "ssh-weblog-cp", version, override_usage = "ssh-weblog-cp [OPTIONS] SRC... DST")]
#[command(args_override_self = true)]
#[command(after_help = format!("{EXAMPLES}\n\n{PRESET_HELP}"))]
struct Arguments {
    /// Directories with all that is in them
    #[arg(short = 'r', conflicts_with = "cat")]
    recursive: bool,
    /// Keep modes and times
    #[arg(short = 'p')]
    preserve: bool,
    /// No progress, no fingerprint and no notices
    #[arg(short, long)]
    quiet: bool,
    /// Port of sshd on the host, unless SRC or DST names one
    #[arg(short = 'P', value_name = "PORT")]
    port: Option<String>,
    /// So many KiBit a second at the most
    #[arg(short, value_name = "KIBIT", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Go on where a copy was cut off
    #[arg(long, conflicts_with = "cat")]
    resume: bool,
    /// Copy one file by cat, for a host without sftp
    #[arg(long)]
    cat: bool,
    /// Never ask for anything: no password, no passphrase, no host key; for cron
    #[arg(short = 'B', long)]
    batch: bool,
    /// Tell the story of the login, and what becomes of each file; more with -vv and -vvv
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(flatten)]
    connection: ConnectionArguments,
    /// Ciphers, the first is preferred
    #[arg(short, value_name = "CIPHERS")]
    ciphers: Option<String>,
    /// Compress
    #[arg(short = 'C')]
    compress: bool,
    /// From where, and last to where
    #[arg(required = true, num_args = 2.., value_name = "SRC")]
    operands: Vec<OsString>,
}

impl Arguments {
    fn plan(&self) -> Result<Plan, Wrong> {
        let wrong = |text: &str| Err(Wrong::usage(text));
        let parsed = self.operands.iter().map(|text| Operand::parse(text));
        let mut operands = parsed.collect::<Result<Vec<_>, _>>().map_err(Wrong::usage)?;
        let Some(target) = operands.pop() else { return wrong("no operands") };
        if self.cat && operands.len() > 1 {
            return wrong("--cat copies one file");
        }
        if let Operand::Remote(there) = target {
            let mut sources = Vec::new();
            for operand in operands {
                match operand {
                    Operand::Local(path) => sources.push(path),
                    Operand::Standard => sources.push(PathBuf::from("-")),
                    Operand::Remote(_) => {
                        return wrong("from host to host nothing is copied: one end must be here");
                    }
                }
            }
            let host = Box::new(self.connection(&there.host)?);
            return Ok(Plan::Up { sources, host, path: there.path });
        }
        if target == Operand::Standard && self.recursive {
            return wrong("-r needs a directory as DST");
        }
        let mut sources: Vec<(Host, Vec<Vec<u8>>)> = Vec::new();
        for operand in operands {
            let Operand::Remote(from) = operand else {
                return wrong("nothing is on a host here: write one end as [USER@]HOST:PATH");
            };
            match sources.iter_mut().find(|(host, _)| *host == from.host) {
                Some((_, paths)) => paths.push(from.path),
                None => sources.push((from.host, vec![from.path])),
            }
        }
        let sources = sources.into_iter().map(|(host, paths)| Ok((self.connection(&host)?, paths)));
        Ok(Plan::Down { sources: sources.collect::<Result<_, Wrong>>()?, target })
    }

    fn connection(&self, host: &Host) -> Result<Options, Wrong> {
        let port = host.port.map(|port| port.to_string());
        let named = [
            ("Port", port.as_deref()),
            ("Port", self.port.as_deref()),
            ("BatchMode", self.batch.then_some("yes")),
            ("LogLevel", config::log_level(self.verbose)),
            ("LogLevel", self.quiet.then_some("ERROR")),
            ("Compression", self.compress.then_some("yes")),
            ("Ciphers", self.ciphers.as_deref()),
        ];
        let options = self.connection.load(&host.name, host.user.as_deref(), named)?.options()?;
        if self.verbose > 0 {
            options.passed_over.iter().for_each(|text| tell!("{}", escaped_lines(text)));
        }
        Ok(options)
    }

    const fn options(&self) -> CopyOptions {
        CopyOptions {
            manner: Manner { recursive: self.recursive, preserve: self.preserve, resume: self.resume },
            limit: self.limit,
            cat: self.cat,
            quiet: self.quiet,
            verbose: self.verbose > 0,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.plan() {
        Ok(plan) => ExitCode::from(copy(plan, &arguments.options())),
        Err(Wrong { text, status }) => {
            tell!("ssh-weblog-cp: {}", escaped_lines(&text));
            ExitCode::from(status)
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
