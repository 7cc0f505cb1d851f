//! The terminal after a signal or a panic: what a question or raw mode changed is put back before the process ends.
//!
//! It does not know the questions; the one that is open tells how the terminal was before it. Raw mode does likewise, and the
//! two never come together: questions end with the login, and a [`Screen`](super::Screen) gives way to them.

use rustix::termios::{OptionalActions, Termios, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::fs::{self, File};
use std::io::{self, Write};
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

/// How the terminal was before the question that is open, or before raw mode.
static BEFORE: Mutex<Option<Before>> = Mutex::new(None);

struct Before {
    terminal: File,
    termios: Termios,
    /// Written to it at the end; not empty while a program draws on all of it.
    leave: &'static [u8],
    /// Who changed it.
    thread: ThreadId,
}

/// What a program has to do before a signal ends it.
static LAST: Mutex<Option<Box<dyn FnOnce() + Send>>> = Mutex::new(None);

/// The signals that the program handles itself.
static HANDLED: AtomicU64 = AtomicU64::new(0);

/// Puts the terminal back when SIGTERM or SIGHUP comes in a question or in raw mode, and ends the process as the signal does;
/// and when the thread that changed it panics, before that is told. For the start of a program.
///
/// # Errors
/// The system's.
pub fn guard() -> io::Result<()> {
    let ignored = ignored();
    let mut signals =
        Signals::new([SIGTERM, SIGHUP].into_iter().filter(|signal| ignored & mask(*signal) == 0))?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            let is_handled = HANDLED.load(Ordering::Relaxed) & mask(signal) != 0;
            if is_handled && lock().as_ref().is_some_and(|before| !before.leave.is_empty()) {
                continue;
            }
            let asked = restore();
            if asked || !is_handled {
                let last = LAST.lock().unwrap_or_else(PoisonError::into_inner).take();
                last.into_iter().for_each(|last| last());
                let _ended = emulate_default_handler(signal);
            }
        }
    })?;
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if lock().as_ref().is_some_and(|before| before.thread == thread::current().id()) {
            restore();
        }
        tell(panic);
    }));
    Ok(())
}

/// From now on the program handles this signal itself, but for one that comes in a question or in raw mode without a
/// [`Screen`](super::Screen).
pub fn leave_to_program(signal: i32) {
    HANDLED.fetch_or(mask(signal), Ordering::Relaxed);
}

/// What is done before a signal that the program does not handle itself ends it, once [`guard`] is called: in its own thread, so
/// that it should be short.
pub fn before_end(last: impl FnOnce() + Send + 'static) {
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(last));
}

/// A question is open that has changed the terminal, or it is raw. `leave` is what ends drawing on it.
pub(super) fn open(terminal: &File, before: &Termios, leave: &'static [u8]) -> io::Result<()> {
    let (terminal, termios, thread) = (terminal.try_clone()?, before.clone(), thread::current().id());
    *lock() = Some(Before { terminal, termios, leave, thread });
    Ok(())
}

/// It is not open any more.
pub(super) fn close() {
    *lock() = None;
}

/// Whether there was a question.
fn restore() -> bool {
    let Some(Before { mut terminal, termios, leave, .. }) = lock().take() else { return false };
    let _gone = tcsetattr(&terminal, OptionalActions::Now, &termios);
    let _gone = terminal.write_all(leave);
    true
}

fn lock() -> MutexGuard<'static, Option<Before>> {
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
