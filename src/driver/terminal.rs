//! Questions to the person at the terminal, asked beside the loop.
//!
//! The question is put on the controlling terminal by a thread, so that the loop goes on and Ctrl-C works meanwhile; the
//! answer comes with a [`Waker`]. What is asked is the program's.

use mio::Waker;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;
use zeroize::Zeroizing;

/// A question that was asked.
pub struct Question {
    answer: Receiver<io::Result<Zeroizing<String>>>,
    /// How the terminal was before the question.
    before: (File, Termios),
}

/// Whether there is a terminal to ask on.
#[must_use]
pub fn is_there() -> bool {
    open().is_ok()
}

fn open() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/tty")
}

impl Question {
    /// Asks for a line that is shown as it is typed.
    ///
    /// # Errors
    /// There is no terminal, or no thread.
    pub fn line(prompt: &str, waker: Arc<Waker>) -> io::Result<Self> {
        let terminal = open()?;
        Self::ask(prompt, waker, move || {
            let mut answer = Zeroizing::new(String::new());
            match BufReader::new(terminal).read_line(&mut answer)? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(answer),
            }
        })
    }

    /// Asks for a secret, which is not shown.
    ///
    /// # Errors
    /// There is no terminal, or no thread.
    pub fn secret(prompt: &str, waker: Arc<Waker>) -> io::Result<Self> {
        Self::ask(prompt, waker, || rpassword::read_password().map(Zeroizing::new))
    }

    fn ask(
        prompt: &str,
        waker: Arc<Waker>,
        read: impl FnOnce() -> io::Result<Zeroizing<String>> + Send + 'static,
    ) -> io::Result<Self> {
        let mut terminal = open()?;
        let before = tcgetattr(&terminal)?;
        terminal.write_all(prompt.as_bytes())?;
        let (sender, answer) = sync_channel(1);
        thread::Builder::new().name("terminal".to_owned()).spawn(move || {
            let _nobody_waits = sender.send(read());
            let _nobody_waits = waker.wake();
        })?;
        Ok(Self { answer, before: (terminal, before) })
    }

    /// The answer without its line end, once there is one. An error of the kind `Interrupted` is Ctrl-C; with any other
    /// nothing more can be typed.
    #[must_use]
    pub fn answer(&self) -> Option<io::Result<Zeroizing<String>>> {
        match self.answer.try_recv() {
            Ok(Ok(line)) => Some(Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))),
            Ok(Err(error)) => Some(Err(error)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// Gives the question up: the terminal is as it was before, on a new line.
    pub fn abort(&self) {
        let (terminal, before) = &self.before;
        let _gone = tcsetattr(terminal, OptionalActions::Now, before);
        let _gone = (&*terminal).write_all(b"\n");
    }
}
