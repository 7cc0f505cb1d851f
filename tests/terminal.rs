//! A question, and raw mode, on a terminal of its own, which `script` of util-linux makes: what is typed, what is shown, Ctrl-C,
//! and how the terminal is afterwards.

use mio::{Events, Poll, Token, Waker};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, tcgetattr};
use std::env;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use strombus::connection::{Connection, Event};
use strombus::driver::terminal::{self, Keyboard, Question, Raw, Screen};
use strombus::driver::{Application, Context, Driver, Error, PeerId, Peers, Source};
use strombus::transport::Client;

/// Set in the process that asks.
const ASKS: &str = "STROMBUS_TEST_ASKS";

/// What the asking process does: a secret, then a line; each answer is told.
fn ask() {
    let mut poll = Poll::new().unwrap();
    let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
    let mut wait = |question: &Question| {
        let mut events = Events::with_capacity(4);
        loop {
            if let Some(answer) = question.answer() {
                return answer;
            }
            while let Err(error) = poll.poll(&mut events, Some(Duration::from_secs(30))) {
                assert_eq!(error.kind(), std::io::ErrorKind::Interrupted); // a signal to the process
            }
        }
    };
    assert!(terminal::is_there() && terminal::can_ask());
    let tty = File::open("/dev/tty").unwrap();
    let told = |answer: std::io::Result<zeroize::Zeroizing<String>>| {
        let modes = tcgetattr(&tty).unwrap().local_modes;
        let plain = modes.contains(LocalModes::ECHO | LocalModes::ISIG | LocalModes::ICANON);
        let answer = answer.map(|answer| answer.to_string()).map_err(|error| error.kind());
        println!("told {answer:?} plain={plain}");
    };
    let secret = Question::secret("secret? ", Arc::clone(&waker)).unwrap();
    let another = Question::line("not now? ", Arc::clone(&waker)).err().unwrap();
    assert_eq!(another.kind(), std::io::ErrorKind::ResourceBusy, "one question at a time");
    told(wait(&secret));
    let line = Question::line("line? ", Arc::clone(&waker)).unwrap();
    told(wait(&line));
    let given_up = Question::secret("another? ", waker).unwrap();
    assert!(given_up.answer().is_none());
    given_up.abort();
    told(Ok(zeroize::Zeroizing::default()));
}

/// A process of this test on a terminal.
struct Terminal {
    child: Child,
    shown: String,
}

impl Terminal {
    fn start(test: &str) -> Self {
        Self::start_and(test, "")
    }

    /// The same with words of a shell behind it.
    fn start_and(test: &str, then: &str) -> Self {
        let own = env::current_exe().unwrap();
        let mut command = Command::new("script");
        command.args([
            "-q",
            "-e",
            "-c",
            &format!("{} --exact {test} --nocapture{then}", own.display()),
            "/dev/null",
        ]);
        for name in ["SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "DISPLAY", "WAYLAND_DISPLAY"] {
            command.env_remove(name);
        }
        let child = command.env(ASKS, "1").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        Self { child: child.expect("script of util-linux"), shown: String::new() }
    }

    /// Reads until `text` is shown, and gives what was shown since the last time.
    fn wait_for(&mut self, text: &str) -> String {
        let mut shown = std::mem::take(&mut self.shown);
        let output = self.child.stdout.as_mut().unwrap();
        let mut chunk = [0; 1024];
        while !shown.contains(text) {
            let limit = Timespec::try_from(Duration::from_secs(30)).unwrap();
            let ready = poll(&mut [PollFd::new(&*output, PollFlags::IN)], Some(&limit));
            assert!(ready.is_ok_and(|ready| ready > 0), "it stopped at {shown:?}");
            let n = output.read(&mut chunk).unwrap();
            assert!(n > 0, "it ended with {shown:?}");
            shown.push_str(core::str::from_utf8(&chunk[..n]).unwrap());
        }
        let end = shown.find(text).unwrap() + text.len();
        self.shown = shown.split_off(end);
        shown
    }

    fn type_in(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn end(mut self) {
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_signal_in_a_question_leaves_the_terminal_as_it_was() {
    if env::var_os(ASKS).is_some() {
        terminal::guard().unwrap();
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let _secret = Question::secret("secret? ", waker).unwrap();
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::TERM).unwrap();
        std::thread::park_timeout(Duration::from_secs(30)); // the signal ends it
        return;
    }
    let mut terminal =
        Terminal::start_and("a_signal_in_a_question_leaves_the_terminal_as_it_was", "; stty -a");
    terminal.wait_for("secret? ");
    let shown = terminal.wait_for(" echoke");
    let words: Vec<_> = shown.split([' ', ';', '\r', '\n']).collect();
    assert!(words.contains(&"echo") && words.contains(&"isig") && words.contains(&"icanon"), "{shown}");
}

/// A program that has the terminal in raw mode while its loop runs, as `examples/ssh` has it, and fails there.
struct Failing {
    _raw: Raw,
}

impl Application<Client> for Failing {
    fn event(
        &mut self,
        _: &mut Context<'_>,
        _: PeerId,
        _: &mut Connection<Client>,
        _: Event<'_, Client>,
    ) -> Result<(), Error> {
        Ok(())
    }

    fn source(&mut self, _: &mut Context<'_>, _: &mut Peers<'_, Client>, _: Source) -> Result<(), Error> {
        panic!("a fault of the program's");
    }

    fn disconnect(&mut self, _: &mut Context<'_>, _: PeerId, _: Result<(), Error>) {}

    fn is_done(&self) -> bool {
        false
    }
}

#[test]
fn a_panic_in_raw_mode_leaves_the_terminal_as_it_was() {
    let tell_modes = |when: &str| {
        let words = format!("printf '{when} '; stty -g");
        assert!(Command::new("sh").args(["-c", &words]).status().unwrap().success());
    };
    if env::var_os(ASKS).is_some() {
        terminal::guard().unwrap();
        tell_modes("before");
        let mut driver = Driver::with_waker(|waker| {
            waker.wake()?;
            Ok(Failing { _raw: Raw::enter()? })
        })
        .unwrap();
        tell_modes("raw");
        driver.run().unwrap();
        return;
    }
    let then = "; printf 'after '; stty -g; echo over";
    let mut terminal = Terminal::start_and("a_panic_in_raw_mode_leaves_the_terminal_as_it_was", then);
    let shown = terminal.wait_for("over");
    let modes = |when: &str| {
        let (_, modes) = shown.split_once(&format!("{when} ")).unwrap_or_else(|| panic!("{shown}"));
        modes.split_ascii_whitespace().next().unwrap()
    };
    assert!(shown.contains("a fault of the program's") && modes("raw") != modes("before"), "{shown}");
    assert_eq!(modes("after"), modes("before"), "{shown}");
}

#[test]
fn a_panic_ends_drawing_and_puts_the_terminal_back_before_it_is_told() {
    if env::var_os(ASKS).is_some() {
        terminal::guard().unwrap();
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let keyboard = Keyboard::open().unwrap();
        let _screen = Screen::take(&keyboard, b"<left>", &waker).unwrap();
        println!("drawn");
        panic!("as it happens");
    }
    let mut terminal =
        Terminal::start_and("a_panic_ends_drawing_and_puts_the_terminal_back_before_it_is_told", "; stty -a");
    terminal.wait_for("drawn");
    let shown = terminal.wait_for("as it happens\r\n");
    assert!(shown.contains("<left>"), "{shown:?}");
    let shown = terminal.wait_for(" echoke");
    let words: Vec<_> = shown.split([' ', ';', '\r', '\n']).collect();
    let modes = ["echo", "isig", "icanon", "opost", "icrnl"];
    assert!(modes.iter().all(|mode| words.contains(mode)), "{shown}");
}

#[test]
fn a_screen_gives_way_to_a_question_and_waits_for_its_end() {
    if env::var_os(ASKS).is_some() {
        let mut poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let mut woken = move || {
            let mut events = Events::with_capacity(4);
            poll.poll(&mut events, Some(Duration::from_secs(30))).unwrap();
            !events.is_empty()
        };
        let keyboard = Keyboard::open().unwrap();
        let is_busy =
            |error: Option<std::io::Error>| error.is_some_and(|e| e.kind() == ErrorKind::ResourceBusy);
        let screen = Screen::take(&keyboard, b"", &waker).unwrap();
        assert!(!screen.is_wanted());
        assert!(is_busy(Question::secret("not now? ", Arc::clone(&waker)).err()));
        assert!(woken() && screen.is_wanted());
        drop(screen);
        assert!(woken());
        let question = Question::secret("secret? ", Arc::clone(&waker)).unwrap();
        assert!(is_busy(Screen::take(&keyboard, b"", &waker).err()));
        while question.answer().is_none() {
            assert!(woken());
        }
        let screen = Screen::take(&keyboard, b"", &waker).unwrap();
        assert!(!screen.is_wanted());
        return println!("taken again\r");
    }
    let mut terminal = Terminal::start("a_screen_gives_way_to_a_question_and_waits_for_its_end");
    terminal.wait_for("secret? ");
    terminal.type_in("x\n");
    terminal.wait_for("taken again");
    terminal.end();
}

#[test]
fn a_secret_is_not_shown_and_a_line_is() {
    if env::var_os(ASKS).is_some() {
        return ask();
    }
    let mut terminal = Terminal::start("a_secret_is_not_shown_and_a_line_is");
    terminal.wait_for("secret? ");
    terminal.type_in("pssd\x7f\x7f\x7fassword\n");
    let shown = terminal.wait_for("plain=");
    assert_eq!(shown, "\r\ntold Ok(\"password\") plain=");
    terminal.wait_for("true\r\nline? ");
    terminal.type_in("visible\n");
    let shown = terminal.wait_for("another? ");
    assert_eq!(shown, "visible\r\ntold Ok(\"visible\") plain=true\r\nanother? ");
    terminal.wait_for("plain=true");
    terminal.end();
}

#[test]
fn ctrl_c_at_a_secret_is_told_and_the_terminal_is_as_before() {
    if env::var_os(ASKS).is_some() {
        return ask();
    }
    let mut terminal = Terminal::start("ctrl_c_at_a_secret_is_told_and_the_terminal_is_as_before");
    terminal.wait_for("secret? ");
    terminal.type_in("half\x03");
    let shown = terminal.wait_for("line? ");
    assert_eq!(shown.trim_start(), "told Err(Interrupted) plain=true\r\nline? ");
    // Ctrl-D ends the next one.
    terminal.type_in("\x04");
    terminal.wait_for("told Err(UnexpectedEof) plain=true");
    terminal.wait_for("plain=true");
    terminal.end();
}
