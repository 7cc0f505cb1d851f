//! The terminal after a signal: what a question or raw mode changed is put back before the process ends.
//!
//! It does not know the questions; the one that is open tells how the terminal was before it. Raw mode does likewise, and the
//! two never come together: questions end with the login.

use rustix::termios::{OptionalActions, Termios, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::fs::{self, File};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// How the terminal was before the question that is open, or before raw mode.
static BEFORE: Mutex<Option<(File, Termios)>> = Mutex::new(None);

/// The signals that the program handles itself.
static HANDLED: AtomicU64 = AtomicU64::new(0);

/// Puts the terminal back when SIGTERM or SIGHUP comes in a question or in raw mode, and ends the process as the signal does. For the start of
/// a program.
///
/// # Errors
/// The system's.
pub fn guard() -> io::Result<()> {
    let ignored = ignored();
    let mut signals =
        Signals::new([SIGTERM, SIGHUP].into_iter().filter(|signal| ignored & mask(*signal) == 0))?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            let asked = restore();
            if asked || HANDLED.load(Ordering::Relaxed) & mask(signal) == 0 {
                let _ended = emulate_default_handler(signal);
            }
        }
    })?;
    Ok(())
}

/// From now on the program handles this signal itself, but for one that comes in a question or in raw mode.
pub fn leave_to_program(signal: i32) {
    HANDLED.fetch_or(mask(signal), Ordering::Relaxed);
}

/// A question is open that has changed the terminal.
pub(super) fn open(terminal: &File, before: &Termios) -> io::Result<()> {
    *lock() = Some((terminal.try_clone()?, before.clone()));
    Ok(())
}

/// It is not open any more.
pub(super) fn close() {
    *lock() = None;
}

/// Whether there was a question.
fn restore() -> bool {
    let Some((terminal, before)) = lock().take() else { return false };
    let _gone = tcsetattr(&terminal, OptionalActions::Now, &before);
    true
}

fn lock() -> MutexGuard<'static, Option<(File, Termios)>> {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The signals that whoever started the process wants to be ignored, as nohup does.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

const fn mask(signal: i32) -> u64 {
    1 << (signal - 1)
}
