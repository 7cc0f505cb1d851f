//! The commands of a session: words to what is asked for. The options are those of `ssh-weblog`.
//!
//! It does not know who asks, nor whether there is such a log.

use crate::driver::text::{escaped_lines, excerpt};
use crate::weblog::options::{ViewOptions, words};
use crate::weblog::view::when;
use clap::{Arg, Parser};
use core::time::Duration;

/// A command that does not exist, as a shell says it.
const NOT_FOUND: u32 = 127;
/// Wrong arguments.
pub(super) const USAGE: u32 = 2;

/// The longest command (bytes).
pub const COMMAND_MAX: usize = 16 * 1024;

/// Of what is said of a wrong command, which it is quoted in, so much is shown (bytes).
pub(super) const SAID_MAX: usize = 4096;

/// What `help` says.
pub(super) const HELP: &str = "\
Without a command: referrer  --> resource of each hit that comes; on a terminal the dashboard.
Commands:
  tail [--after SEQ] [LOG]...      the records that come
  stats [--every TIME] [LOG]...    a report of the current files; with --every again and again, live
  wait [--timeout TIME] [LOG]...   until a record comes that passes, or until --over comes true
  logs [--json]                    the logs that there are
  dashboard [LOG]...               needs a terminal: ssh -t
  metrics                          numbers about the server (OpenMetrics)
  help                             this text
The first three and dashboard take options of ssh-weblog for what is shown, filters, reports and alerts; COMMAND --help
names those of each. Without a LOG they take all. Files: sftp, scp.
Examples:
  tail --json --status 5xx shop
  wait --status 5xx --over 5/s --for 30s && echo it happened
  stats --since 2h --top 5 shop
";

/// What is asked for.
#[derive(Debug, Parser)]
#[command(name = "", no_binary_name = true, disable_help_subcommand = true, term_width = 80)]
#[command(args_override_self = true)]
pub(super) enum Command {
    /// The records that come from now on
    Tail {
        #[command(flatten)]
        view: Box<ViewOptions>,
        /// Go on behind the record of this number; of one log
        #[arg(long, value_name = "SEQ")]
        after: Option<u64>,
        /// The logs; all if none is named
        #[arg(value_name = "LOG")]
        logs: Vec<String>,
    },
    /// A report of the current files, from their beginning
    #[command(mut_arg("show", hidden), mut_arg("format", hidden), mut_arg("dashboard", hidden))]
    Stats {
        #[command(flatten)]
        view: Box<ViewOptions>,
        /// The logs; all if none is named
        #[arg(value_name = "LOG")]
        logs: Vec<String>,
    },
    /// Ends with 0 when a record comes that passes, or when --over comes true
    #[command(mut_arg("dashboard", hidden))]
    Wait {
        #[command(flatten)]
        view: Box<ViewOptions>,
        /// End with 1 after so long
        #[arg(long, value_name = "DURATION")]
        timeout: Option<String>,
        /// The logs; all if none is named
        #[arg(value_name = "LOG")]
        logs: Vec<String>,
    },
    /// The logs that there are
    Logs {
        /// An object a line
        #[arg(long)]
        json: bool,
    },
    /// The dashboard, on a terminal
    #[command(mut_arg("show", hidden), mut_arg("json", hidden), mut_arg("format", hidden))]
    #[command(mut_arg("dashboard", hidden))]
    Dashboard {
        #[command(flatten)]
        view: Box<ViewOptions>,
        /// The logs; all if none is named
        #[arg(value_name = "LOG")]
        logs: Vec<String>,
    },
    /// Numbers about the server
    Metrics,
    /// This text
    Help,
}

/// What a command has no use for is not in its help.
fn hidden(option: Arg) -> Arg {
    option.hide(true)
}

/// The commands there are.
const NAMES: [&str; 7] = ["tail", "stats", "wait", "logs", "dashboard", "metrics", "help"];

/// What a command ends with that does not begin.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) status: u32,
    pub(super) out: String,
    pub(super) err: String,
}

impl Ended {
    /// It failed.
    pub(super) fn failed(status: u32, why: &str) -> Self {
        Self {
            status,
            out: String::new(),
            err: format!("ssh-weblog-server: {}\n", said(&escaped_lines(why))),
        }
    }
}

/// A command, or how it ends at once.
pub(super) fn parse(command: &[u8]) -> Result<Command, Ended> {
    if command.len() > COMMAND_MAX {
        let why = format!("a command of {} bytes: write {COMMAND_MAX} at the most", command.len());
        return Err(Ended::failed(USAGE, &why));
    }
    let text = String::from_utf8_lossy(command);
    let words = words(&text).ok_or_else(|| Ended::failed(USAGE, "a quote is not closed; try help"))?;
    let name = words.first().map_or("", String::as_str);
    if !NAMES.contains(&name) {
        let why = format!("{}: no such command; try help", excerpt(name.as_bytes()));
        return Err(Ended::failed(NOT_FOUND, &why));
    }
    Command::try_parse_from(&words).map_err(|error| {
        let text = escaped_lines(&error.to_string()).replace("'--help'", &format!("'{name} --help'"));
        match error.use_stderr() {
            true => Ended { status: USAGE, out: String::new(), err: said(&text) },
            false => Ended { status: 0, out: text, err: String::new() },
        }
    })
}

/// The beginning of a text, if it is long.
fn said(text: &str) -> String {
    match text.get(..text.floor_char_boundary(SAID_MAX)) {
        Some(begin) if begin.len() < text.len() => format!("{begin}…\n"),
        _ => text.to_owned(),
    }
}

/// A duration of an option.
pub(super) fn duration(option: &str, text: &str) -> Result<Duration, Ended> {
    when::duration(text).map_err(|why| Ended::failed(USAGE, &format!("{option} {why}; try help")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t100_nothing_in_a_command_is_run_or_expanded() {
        for command in ["logs; id", "$(id)", "`id`", "/bin/sh", "", "LOGS"] {
            assert_eq!(parse(command.as_bytes()).unwrap_err().status, NOT_FOUND, "{command}");
        }
        let Command::Tail { logs, .. } = parse(b"tail '$(id)' \"a b\" *").unwrap() else { panic!("tail") };
        assert_eq!(logs, ["$(id)", "a b", "*"]);
    }

    #[test]
    fn wrong_arguments_end_with_2_and_help_with_0() {
        for command in ["tail --nonsense", "tail 'a", "wait --timeout", "stats --top 0", "logs --status 200"]
        {
            let ended = parse(command.as_bytes()).unwrap_err();
            assert_eq!((ended.status, ended.out.as_str()), (USAGE, ""), "{command}");
            assert!(!ended.err.is_empty(), "{command}");
        }
        assert!(parse(b"tail --json --json --top 1 --top 2").is_ok(), "the last counts");
        let ended = parse(b"tail --help").unwrap_err();
        assert_eq!((ended.status, ended.err.as_str()), (0, ""));
        assert!(ended.out.contains("--after"));
    }

    #[test]
    fn t60_an_error_shows_no_escape_sequence_of_the_command() {
        for command in [&b"\x1b[31mevil"[..], b"tail --\x1b]0;x\x07", b"tail --status '\x1b[2J'"] {
            if let Err(ended) = parse(command) {
                assert!(!ended.err.contains('\x1b'), "{}", ended.err);
            }
        }
    }

    #[test]
    fn t107_a_command_is_bounded_and_so_is_what_is_said_of_it() {
        let just = |name: &str, byte: u8, length: usize| {
            let mut command = name.as_bytes().to_vec();
            command.resize(length, byte);
            command
        };
        let long = parse(&just("tail ", b'x', COMMAND_MAX + 1)).unwrap_err();
        assert_eq!(long.err, "ssh-weblog-server: a command of 16385 bytes: write 16384 at the most\n");
        assert_eq!(long.status, USAGE);
        assert!(parse(&just("tail ", b'x', COMMAND_MAX)).is_ok());
        for command in [&b"\x01"[..], b"tail --", b"tail --status=200 --", b"tail --show ", "ä".as_bytes()] {
            let mut command = command.to_vec();
            let last = command.pop().unwrap();
            let ended = parse(&just(core::str::from_utf8(&command).unwrap_or_default(), last, COMMAND_MAX));
            let said = ended.unwrap_err().err;
            assert!((1..=SAID_MAX + 100).contains(&said.len()), "{}", said.len());
        }
        assert!(Ended::failed(1, &"ä\n".repeat(COMMAND_MAX)).err.len() <= SAID_MAX + 100);
        assert!(!parse(b"tail --help").unwrap_err().out.ends_with("…\n"), "what is our own is whole");
    }

    #[test]
    fn the_help_of_every_command_fits_80_columns() {
        let of = |name: &str| parse(format!("{name} --help").as_bytes()).unwrap_err().out;
        for help in NAMES.map(of) {
            assert!(help.lines().count() > 2, "{help}");
            assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
        }
    }

    #[test]
    fn the_help_of_a_command_offers_the_forms_that_it_takes_and_no_others() {
        for (name, forms) in [
            ("tail", &["show", "json", "format", "dashboard"][..]),
            ("stats", &["json"]),
            ("wait", &["show", "json", "format"]),
            ("dashboard", &[]),
        ] {
            let help = parse(format!("{name} --help").as_bytes()).unwrap_err().out;
            let offers = |form: &&str| help.contains(&format!(" --{form}"));
            let offered: Vec<_> =
                ["show", "json", "format", "dashboard"].into_iter().filter(offers).collect();
            assert_eq!(offered, forms, "{name}");
        }
    }

    #[test]
    fn help_names_every_command() {
        for name in NAMES {
            assert!(HELP.contains(&format!("\n  {name} ")), "{name}");
        }
    }

    #[test]
    fn a_wrong_option_points_to_the_help_of_its_command() {
        let ended = parse(b"logs --status 200").unwrap_err();
        assert_eq!(ended.status, USAGE);
        assert!(ended.err.ends_with("For more information, try 'logs --help'.\n"), "{}", ended.err);
    }
}
