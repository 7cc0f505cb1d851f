//! What a program takes from its start to its end: one that prints its help, and one that logs in and has `true` run, with whatever
//! algorithms it prefers. A round is [`RUNS`] of them, one after the other; it tells their median, and their mean of the processor.

use crate::contest::{Contest, Contestant, Round};
use crate::cost;
use crate::openssh::{Files, Generation, Server, our_ssh, ours, ssh, sshd};
use crate::rows::Sizes;
use crate::table::{Column, Rounds};
use std::fs;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Instant;

/// Runs of a round.
const RUNS: usize = 50;

enum Start {
    Help,
    Exec,
}

pub fn all() -> Vec<Box<dyn Contest>> {
    vec![Box::new(Start::Help), Box::new(Start::Exec)]
}

impl Contest for Start {
    fn name(&self) -> String {
        match self {
            Self::Help => "start-help".to_owned(),
            Self::Exec => "start-exec".to_owned(),
        }
    }

    fn columns(&self) -> Vec<Column> {
        let column = |head, digits| Column { head, digits, is_compared: true };
        vec![column("wall ms", 2), column("its CPU ms", 1)]
    }

    fn contestants<'f>(&self, files: &'f Files, _: Sizes) -> Vec<Contestant<'f>> {
        match self {
            Self::Help => {
                let mut help = ours("ssh-weblog");
                help.arg("--help");
                let version = |generation: Generation| {
                    let mut command = bare(&Command::new(generation.program("ssh")));
                    command.arg("-V");
                    command
                };
                vec![
                    Contestant { name: "ssh-weblog --help", round: round(help, None) },
                    Contestant {
                        name: "ssh -V of OpenSSH 10",
                        round: round(version(Generation::Trixie), None),
                    },
                    Contestant {
                        name: "ssh -V of OpenSSH 9.2",
                        round: round(version(Generation::Bookworm), None),
                    },
                ]
            }
            Self::Exec => {
                // A bash of this level reads no ~/.bashrc, which is nothing of OpenSSH's.
                let server = Rc::new(sshd(Generation::Trixie, files, &["LogLevel INFO", "SetEnv SHLVL=1"]));
                let login = |command: &Command| {
                    let mut command = bare(command);
                    command.args(["127.0.0.1", "true"]);
                    round(command, Some(Rc::clone(&server)))
                };
                let port = server.port;
                vec![
                    Contestant { name: "ours", round: login(&our_ssh(files, port)) },
                    Contestant { name: "OpenSSH 10", round: login(&ssh(Generation::Trixie, files, port)) },
                    Contestant { name: "OpenSSH 9.2", round: login(&ssh(Generation::Bookworm, files, port)) },
                ]
            }
        }
    }
}

/// The command without the shell script around it by which a program of the newer OpenSSH is found: that is none of its own.
fn bare(command: &Command) -> Command {
    let script = fs::read(command.get_program()).unwrap_or_default();
    let script = String::from_utf8(script).unwrap_or_default();
    let words =
        script.strip_prefix("#!/bin/sh\nexec ").and_then(|line| line.trim_end().strip_suffix(r#" "$@""#));
    let mut bare = match words.map(|words| words.split(' ').collect::<Vec<_>>()).as_deref() {
        Some([program, arguments @ ..]) => {
            let mut bare = Command::new(program);
            bare.args(arguments);
            bare
        }
        _ => Command::new(command.get_program()),
    };
    bare.args(command.get_args()).env_remove("SSH_AUTH_SOCK");
    bare
}

fn round<'f>(mut command: Command, server: Option<Rc<Server>>) -> Round<'f> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Box::new(move || {
        let _lasts = &server;
        let (mut walls, before) = (Rounds::default(), cost::of_children());
        for _ in 0..RUNS {
            let begun = Instant::now();
            let status = command.status().map_err(|error| error.to_string())?;
            walls.push(begun.elapsed().as_secs_f64() * 1e3);
            if !status.success() {
                return Err(format!("{command:?} ended with {status}"));
            }
        }
        Ok(vec![walls.median(), (cost::of_children() - before) * 1e3 / RUNS as f64])
    })
}
