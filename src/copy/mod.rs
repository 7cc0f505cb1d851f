//! `ssh-weblog-cp`: files to and from a host, over SFTP with many requests at a time, or by `cat`.
//!
//! ```text
//! session   login, channel, signals: bytes in and out, tasks woken
//!   └ run   sources found, target looked at ──▶ walk: trees as streams of files
//!                                           ──▶ download, upload: one file each, a task
//!        └ remote   requests that are awaited, bounds      transfer   a file's READs and WRITEs
//!          local    directories by descriptor, partial files that are renamed once they are whole
//! ```
//!
//! The server is not trusted with anything: names that it sends are one component or nothing, no link here is followed while
//! something is written, a file is written under the name that was chosen here, and what it says is shown escaped.
//!
//! It sees channels and files, never a packet; how a login goes is the [driver](crate::driver)'s affair. It knows nothing of
//! logs.

mod cat;
mod download;
mod limit;
mod local;
pub mod operand;
mod progress;
mod remote;
mod resume;
mod run;
mod session;
mod transfer;
mod upload;
mod walk;
mod work;

pub use crate::driver::exit::{BROKEN_PIPE, INTERRUPTED, NO_CONNECTION, TERMINATED, USAGE};
pub use work::Manner;

use crate::driver::options::Options;
use crate::driver::terminal;
use crate::driver::text::{escaped, escaped_lines};
use crate::tell;
use operand::Operand;
use progress::Progress;
use run::{Target, worst};
use rustix::process::{Resource, getrlimit, setrlimit, umask};
use session::{Errand, How};
use std::path::PathBuf;
use std::rc::Rc;

/// Something was not copied; it was named on standard error.
pub const FAILED: u8 = 1;

/// What is copied where.
pub enum Plan {
    /// From hosts, in this order; each with its paths.
    Down {
        /// Where to log in, and what to copy from there.
        sources: Vec<(Options, Vec<Vec<u8>>)>,
        /// Here, or standard output.
        target: Operand,
    },
    /// To a host.
    Up {
        /// Here.
        sources: Vec<PathBuf>,
        /// Where to log in.
        host: Box<Options>,
        /// There.
        path: Vec<u8>,
    },
}

/// How it is copied.
#[derive(Clone, Copy, Debug, Default)]
pub struct CopyOptions {
    /// What is kept, and what goes on.
    pub manner: Manner,
    /// Of the transfer, in KiBit a second.
    pub limit: Option<u32>,
    /// By `cat`.
    pub cat: bool,
    /// No fingerprint, no notices, no progress.
    pub quiet: bool,
    /// Tell how it goes.
    pub verbose: bool,
}

/// Copies, tells what went wrong, and returns the exit status.
#[must_use]
pub fn copy(plan: Plan, options: &CopyOptions) -> u8 {
    match try_copy(plan, options) {
        Ok(status) => status,
        Err((status, text)) => {
            tell!("ssh-weblog-cp: {}", escaped_lines(&text));
            status
        }
    }
}

fn try_copy(plan: Plan, options: &CopyOptions) -> Result<u8, (u8, String)> {
    let lost = |text: String| (NO_CONNECTION, text);
    terminal::guard().map_err(|error| lost(error.to_string()))?;
    raise_descriptor_limit();
    let own = umask(rustix::fs::Mode::from_raw_mode(0o077));
    umask(own);
    let how = How {
        manner: options.manner,
        limit: options.limit,
        cat: options.cat,
        quiet: options.quiet,
        verbose: options.verbose,
        umask: own.bits(),
        progress: Rc::new(Progress::new(options.quiet)),
    };
    match plan {
        Plan::Up { sources, host, path } => {
            session::run(&host, Errand::Up { sources, path }, how).map_err(lost)
        }
        Plan::Down { sources, target } => {
            let target = match target {
                Operand::Local(path) => {
                    let many = sources.iter().map(|(_, paths)| paths.len()).sum::<usize>() > 1;
                    Target::new(&path, many)?
                }
                _ => Target::Standard,
            };
            let mut status = 0;
            for (host, sources) in sources {
                let errand = Errand::Down { sources, target: target.clone() };
                let one = session::run(&host, errand, how.clone()).unwrap_or_else(|text| {
                    tell!("ssh-weblog-cp: {}: {}", escaped(host.host.as_bytes()), escaped_lines(&text));
                    NO_CONNECTION
                });
                if matches!(one, INTERRUPTED | TERMINATED | BROKEN_PIPE) {
                    return Ok(one);
                }
                status = worst(status, one);
            }
            Ok(status)
        }
    }
}

/// Each file on its way is open, and each directory that has one.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _as_it_was = setrlimit(Resource::Nofile, limit);
}
