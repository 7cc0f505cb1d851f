//! The ways to a host's logs: SFTP, a shell, `tail`; which one is taken, and what the last one loses.
//!
//! It does not know how a way is tried.

use super::shell::Start;
use crate::driver::text::quoted;

/// How logs are read on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Via {
    /// By handles and offsets: nothing is lost.
    Sftp,
    /// By a follower in POSIX sh.
    Sh,
    /// By the host's `tail -F`.
    Tail,
}

impl Via {
    /// As the user writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sftp => "sftp",
            Self::Sh => "sh",
            Self::Tail => "tail",
        }
    }

    /// What is said once of a way that may lose something.
    #[must_use]
    pub const fn loses(self) -> Option<&'static str> {
        match self {
            Self::Sftp => None,
            Self::Sh => Some(
                "via sh: what is written in the second before a log is truncated, and a log that comes and goes within a second, may be missing",
            ),
            Self::Tail => Some(
                "via tail: offsets are unknown, lines around a rotation may be missing or come twice, and a lost connection loses what was written meanwhile",
            ),
        }
    }
}

/// The way that is taken, and those that are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ways {
    current: Via,
    is_forced: bool,
}

impl Ways {
    /// The best first, or only the one that was asked for.
    #[must_use]
    pub const fn new(forced: Option<Via>) -> Self {
        match forced {
            Some(current) => Self { current, is_forced: true },
            None => Self { current: Via::Sftp, is_forced: false },
        }
    }

    /// The way to take.
    #[must_use]
    pub const fn current(&self) -> Via {
        self.current
    }

    /// The host lacks this way: takes the next.
    ///
    /// # Errors
    /// There is none: a text for the user. The source cannot be read.
    pub const fn lacking(&mut self) -> Result<Via, &'static str> {
        self.current = match (self.is_forced, self.current) {
            (false, Via::Sftp) => Via::Sh,
            (false, Via::Sh) => Via::Tail,
            (true, Via::Sftp) => {
                return Err(
                    "no sftp there; leave --via out, or take --via sh, or have the host's sshd_config say `Subsystem sftp internal-sftp`",
                );
            }
            (true, Via::Sh) => {
                return Err(
                    "no POSIX sh with ls, dd, cat and sleep runs there for this user; leave --via out, or take --via sftp",
                );
            }
            (true, Via::Tail) => {
                return Err("no `tail -F` runs there for this user; leave --via out, or take --via sftp");
            }
            (false, Via::Tail) => {
                return Err(
                    "neither sftp nor a shell there for this user; have the host's sshd_config say `Subsystem sftp internal-sftp`",
                );
            }
        };
        Ok(self.current)
    }
}

/// The command for [`Via::Tail`], which can begin at a line only.
#[must_use]
pub fn tail_command(path: &[u8], start: &Start, follow: bool) -> Vec<u8> {
    let lines = match start {
        Start::LinesBeforeEnd(lines) => lines.to_string(),
        Start::Line(line) => format!("+{}", (*line).max(1)),
        // GNU's would give the whole of a file that was rotated meanwhile, and call it truncated.
        Start::At(_) => "0".to_owned(),
    };
    let follow: &[u8] = if follow { b" -F" } else { b"" };
    [b"LC_ALL=C exec tail -n ", lines.as_bytes(), follow, b" -- ", &quoted(path)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::io::{BufRead, BufReader};
    use std::os::unix::ffi::OsStrExt;
    use std::process::{Command, Stdio};

    #[test]
    fn the_best_way_is_taken_first_and_a_forced_one_only() {
        let mut ways = Ways::new(None);
        assert_eq!(ways.current(), Via::Sftp);
        assert_eq!((ways.lacking(), ways.lacking()), (Ok(Via::Sh), Ok(Via::Tail)));
        assert!(ways.lacking().is_err());
        for via in [Via::Sftp, Via::Sh, Via::Tail] {
            let mut ways = Ways::new(Some(via));
            let advice = ways.lacking().unwrap_err();
            assert_eq!(ways.current(), via);
            assert!(advice.contains("--via") && advice.starts_with("no "), "{advice}");
        }
        assert_eq!([Via::Sftp, Via::Sh, Via::Tail].map(|via| via.loses().is_some()), [false, true, true]);
    }

    #[test]
    fn t100_tail_begins_at_a_line_of_the_file_that_is_meant() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["-n", "it's $(id)"] {
            std::fs::write(directory.path().join(name), "1\n2\n3\n").unwrap();
            for (start, first) in
                [(Start::LinesBeforeEnd(1), "3"), (Start::Line(2), "2"), (Start::Line(0), "1")]
            {
                let command = tail_command(name.as_bytes(), &start, true);
                let mut child = Command::new("sh")
                    .arg("-c")
                    .arg(OsStr::from_bytes(&command))
                    .current_dir(directory.path())
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap();
                let line = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
                child.kill().unwrap();
                child.wait().unwrap();
                assert_eq!(line, first, "{name} {start:?}");
            }
        }
        let position = Start::At(super::super::shell::Position::default());
        assert_eq!(tail_command(b"a", &position, true), b"LC_ALL=C exec tail -n 0 -F -- 'a'");
    }
}
