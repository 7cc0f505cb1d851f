//! The person at the terminal: questions, here or by the program that SSH_ASKPASS names (ssh(1)), beside the loop; and the
//! terminal itself, when it shows that of another machine.
//!
//! A thread waits for the answer, so that the loop goes on and Ctrl-C works meanwhile; the answer comes with a [`Waker`].
//! What is asked is the program's: a prompt says who asks, and what of it came from a peer the caller has escaped.

mod askpass;
pub mod escape;
mod guard;
pub mod modes;
mod raw;
mod screen;

pub use guard::{before_end, guard, leave_to_program};
pub use raw::{Raw, terminal_modes, window_size};
pub use screen::{Keyboard, Screen, screen_size};

use askpass::{Askpass, Environment};
use mio::Waker;
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush, tcgetattr, tcsetattr,
};
use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use zeroize::Zeroizing;

/// The longest answer (bytes).
pub const ANSWER_MAX: usize = 4096;

/// A question that was asked.
pub struct Question {
    answer: Receiver<io::Result<Zeroizing<String>>>,
    way: Way,
    turn: Cell<Option<Turn>>,
}

/// The right to the person's terminal, for a question or for a [`Screen`]. Given back when it is dropped, and then all who want
/// it are woken.
struct Turn;

struct Turns {
    is_taken: bool,
    /// By a question that is asked at the terminal.
    is_asking: bool,
    /// The loops that wait for their turn.
    waiting: Vec<Arc<Waker>>,
    /// The loop whose screen has it, and gives way.
    screen: Option<Arc<Waker>>,
}

static TURNS: Mutex<Turns> =
    Mutex::new(Turns { is_taken: false, is_asking: false, waiting: Vec::new(), screen: None });

fn turns() -> MutexGuard<'static, Turns> {
    TURNS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Turn {
    fn take(waker: &Arc<Waker>) -> io::Result<Self> {
        Self::take_from(turns(), waker)
    }

    /// The same for a screen, whose loop is woken when somebody wants the turn.
    fn take_for_screen(waker: &Arc<Waker>) -> io::Result<Self> {
        let mut turns = turns();
        turns.screen = turns.screen.take().or_else(|| (!turns.is_taken).then(|| Arc::clone(waker)));
        Self::take_from(turns, waker)
    }

    fn take_from(mut turns: MutexGuard<'_, Turns>, waker: &Arc<Waker>) -> io::Result<Self> {
        if turns.is_taken {
            if !turns.waiting.iter().any(|waiting| Arc::ptr_eq(waiting, waker)) {
                turns.waiting.push(Arc::clone(waker));
            }
            if let Some(screen) = &turns.screen {
                let _gone = screen.wake();
            }
            return Err(ErrorKind::ResourceBusy.into());
        }
        turns.is_taken = true;
        Ok(Self)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut turns = turns();
        (turns.is_taken, turns.is_asking, turns.screen) = (false, false, None);
        for waker in turns.waiting.drain(..) {
            let _gone = waker.wake();
        }
    }
}

/// How it was asked.
enum Way {
    /// At the terminal, and how that was before.
    Terminal(File, Box<Termios>),
    /// By a program.
    Askpass(Askpass),
}

/// What kind of answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Shown as it is typed.
    Line,
    /// Not shown.
    Secret,
}

/// Whether there is a terminal to ask on.
#[must_use]
pub fn is_there() -> bool {
    open().is_ok()
}

/// Whether a question is open at the terminal.
#[must_use]
pub fn is_asking() -> bool {
    turns().is_asking
}

/// Whether there is somebody to ask, at the terminal or by a program.
#[must_use]
pub fn can_ask() -> bool {
    Environment::own().can_ask(is_there())
}

fn open() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/tty")
}

impl Question {
    /// Asks for a line that is shown as it is typed.
    ///
    /// # Errors
    /// There is nobody to ask, or no thread; of the kind `ResourceBusy` while another question is open: `waker` is used once
    /// that is over.
    pub fn line(prompt: &str, waker: Arc<Waker>) -> io::Result<Self> {
        Self::in_turn(Kind::Line, prompt, waker)
    }

    /// Asks for a secret, which is not shown.
    ///
    /// # Errors
    /// There is nobody to ask, or no thread; of the kind `ResourceBusy` while another question is open: `waker` is used once
    /// that is over.
    pub fn secret(prompt: &str, waker: Arc<Waker>) -> io::Result<Self> {
        Self::in_turn(Kind::Secret, prompt, waker)
    }

    fn in_turn(kind: Kind, prompt: &str, waker: Arc<Waker>) -> io::Result<Self> {
        let turn = Turn::take(&waker)?;
        let question = Self::ask(kind, prompt, &Environment::own(), waker)?;
        question.turn.set(Some(turn));
        turns().is_asking = matches!(question.way, Way::Terminal(..));
        Ok(question)
    }

    fn ask(kind: Kind, prompt: &str, environment: &Environment, waker: Arc<Waker>) -> io::Result<Self> {
        let terminal = open();
        match environment.askpass(terminal.is_ok()) {
            Some(program) => Self::by_program(prompt, program, waker),
            None => Self::at_terminal(kind, prompt, terminal?, waker),
        }
    }

    fn by_program(prompt: &str, program: &std::ffi::OsStr, waker: Arc<Waker>) -> io::Result<Self> {
        let (askpass, running) = Askpass::start(program, prompt)?;
        let answer = wait(waker, move || running.answer())?;
        Ok(Self { answer, way: Way::Askpass(askpass), turn: Cell::default() })
    }

    /// A secret is read without echo, and with Ctrl-C as the end of a line instead of a signal.
    fn at_terminal(kind: Kind, prompt: &str, mut terminal: File, waker: Arc<Waker>) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let interrupt = before.special_codes[SpecialCodeIndex::VINTR];
        if kind == Kind::Secret {
            let mut hidden = before.clone();
            hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
            hidden.local_modes.insert(LocalModes::ICANON | LocalModes::ECHONL);
            hidden.special_codes[SpecialCodeIndex::VEOL] = interrupt;
            guard::open(&terminal, &before, b"")?;
            // What was typed before the question is no answer to it.
            tcsetattr(&terminal, OptionalActions::Flush, &hidden)?;
        } else {
            tcflush(&terminal, QueueSelector::IFlush)?;
        }
        let way = Way::Terminal(terminal.try_clone()?, Box::new(before.clone()));
        let asked = terminal.write_all(prompt.as_bytes()).and_then(|()| {
            wait(waker, move || {
                let answer = read_line(&terminal, (kind == Kind::Secret).then_some(interrupt));
                if kind == Kind::Secret {
                    guard::close();
                    tcsetattr(&terminal, OptionalActions::Now, &before)?;
                }
                answer
            })
        });
        match asked {
            Ok(answer) => Ok(Self { answer, way, turn: Cell::default() }),
            Err(error) => {
                way.restore();
                Err(error)
            }
        }
    }

    /// The answer without its line end, once there is one. An error of the kind `Interrupted` is Ctrl-C at a secret (with
    /// other questions it is a signal); with any other nothing more can be typed, or the program's user has declined.
    #[must_use]
    pub fn answer(&self) -> Option<io::Result<Zeroizing<String>>> {
        let answer = match self.answer.try_recv() {
            Ok(answer) => answer,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Err(ErrorKind::BrokenPipe.into()),
        };
        self.turn.take();
        Some(answer)
    }

    /// Gives the question up: the terminal is as it was before, on a new line; a program is ended.
    pub fn abort(&self) {
        self.way.restore();
        self.turn.take();
    }
}

impl Way {
    fn restore(&self) {
        match self {
            Self::Terminal(terminal, before) => {
                let mut terminal = terminal;
                guard::close();
                let _gone = tcsetattr(terminal, OptionalActions::Now, before);
                let _gone = terminal.write_all(b"\n");
            }
            Self::Askpass(askpass) => askpass.end(),
        }
    }
}

/// Lets a thread wait for the answer.
fn wait(
    waker: Arc<Waker>,
    answer: impl FnOnce() -> io::Result<Zeroizing<String>> + Send + 'static,
) -> io::Result<Receiver<io::Result<Zeroizing<String>>>> {
    let (sender, receiver) = sync_channel(1);
    thread::Builder::new().name("question".to_owned()).spawn(move || {
        let _nobody_waits = sender.send(answer());
        let _nobody_waits = waker.wake();
    })?;
    Ok(receiver)
}

/// What was read of an answer.
struct Answer {
    bytes: Zeroizing<[u8; ANSWER_MAX]>,
    len: usize,
}

impl Answer {
    fn new() -> Self {
        Self { bytes: Zeroizing::new([0; ANSWER_MAX]), len: 0 }
    }

    /// Reads once more, and returns what has come; nothing at the end.
    fn read(&mut self, mut input: impl Read) -> io::Result<&[u8]> {
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        if room.is_empty() {
            return Err(io::Error::new(ErrorKind::InvalidData, "the answer is too long"));
        }
        let n = loop {
            match input.read(room) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.len += n;
        Ok(room.get(..n).unwrap_or_default())
    }

    /// The first line, without its end.
    fn line(&self) -> io::Result<Zeroizing<String>> {
        let read = self.bytes.get(..self.len).unwrap_or_default();
        let line = read.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
        match core::str::from_utf8(line) {
            Ok(line) => Ok(Zeroizing::new(line.to_owned())),
            Err(_) => Err(io::Error::new(ErrorKind::InvalidData, "the answer is not UTF-8")),
        }
    }
}

/// Reads a line from a terminal. `interrupt` at the end of what comes is Ctrl-C.
fn read_line(input: impl Read, interrupt: Option<u8>) -> io::Result<Zeroizing<String>> {
    let (mut input, mut answer) = (input, Answer::new());
    loop {
        match answer.read(&mut input)?.last().copied() {
            Some(b'\n') => return answer.line(),
            Some(last) if last != 0 && Some(last) == interrupt => return Err(ErrorKind::Interrupted.into()),
            Some(_) => {}
            None if answer.len == 0 => return Err(ErrorKind::UnexpectedEof.into()),
            None => return answer.line(),
        }
    }
}

#[cfg(test)]
mod tests;
