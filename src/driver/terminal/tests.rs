//! Programs that ask. What needs a terminal is in `tests/terminal.rs`.

use super::*;
use core::time::Duration;
use mio::{Events, Poll, Token};
use std::ffi::OsString;
use std::fs;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A script. Another process writes it: one that is open for writing, here or in a child of another test, cannot be run.
struct Script(TempDir);

impl Script {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "cat > askpass && chmod 700 askpass"]).current_dir(&directory);
        let mut writing = command.stdin(Stdio::piped()).spawn().unwrap();
        let whole = format!("#!/bin/sh\ncd {}\n{text}\n", directory.path().display());
        writing.stdin.take().unwrap().write_all(whole.as_bytes()).unwrap();
        assert!(writing.wait().unwrap().success());
        Self(directory)
    }

    fn environment(&self) -> Environment {
        Environment {
            askpass: Some(self.0.path().join("askpass").into()),
            require: Some("force".into()),
            display: false,
        }
    }
}

struct Asked {
    poll: Poll,
    /// With its last holder a wake-up would be lost.
    _waker: Arc<Waker>,
    question: Question,
}

fn ask(kind: Kind, prompt: &str, script: &Script) -> Asked {
    let poll = Poll::new().unwrap();
    let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
    let question = Question::ask(kind, prompt, &script.environment(), Arc::clone(&waker)).unwrap();
    Asked { poll, _waker: waker, question }
}

impl Asked {
    fn answer(&mut self) -> io::Result<String> {
        let mut events = Events::with_capacity(4);
        loop {
            if let Some(answer) = self.question.answer() {
                return answer.map(|answer| answer.to_string());
            }
            while let Err(error) = self.poll.poll(&mut events, Some(Duration::from_secs(30))) {
                assert_eq!(error.kind(), ErrorKind::Interrupted); // a signal to the process
            }
            assert!(!events.is_empty(), "nobody woke the loop");
        }
    }
}

fn answer(kind: Kind, text: &str) -> Result<String, ErrorKind> {
    ask(kind, "prompt", &Script::new(text)).answer().map_err(|error| error.kind())
}

#[test]
fn the_first_line_of_a_program_is_the_answer() {
    let script = Script::new("printf '%s,' \"$#\" \"$1\" \"$SSH_ASKPASS_PROMPT\"; cat; echo; echo more");
    let prompt = "ann's \"key\": $(id)";
    assert_eq!(ask(Kind::Secret, prompt, &script).answer().unwrap(), "1,ann's \"key\": $(id),,");
    assert_eq!(ask(Kind::Line, prompt, &script).answer().unwrap(), "1,ann's \"key\": $(id),,");
    assert_eq!(answer(Kind::Secret, "printf 'no end'").unwrap(), "no end");
    assert_eq!(answer(Kind::Secret, "printf 'a b\\r\\nc'").unwrap(), "a b");
    // An empty passphrase is one, and nothing is no yes.
    for text in ["exit 0", "echo"] {
        assert_eq!(answer(Kind::Line, text).unwrap(), "");
        assert_eq!(answer(Kind::Secret, text).unwrap(), "");
    }
}

#[test]
fn a_program_that_declines_or_dies_gives_no_answer() {
    for text in ["exit 1", "echo secret; exit 1", "echo secret; kill -9 $$", "kill -TERM $$"] {
        for kind in [Kind::Line, Kind::Secret] {
            assert_eq!(answer(kind, text), Err(ErrorKind::PermissionDenied), "{text}");
        }
    }
    let script = Script::new("");
    fs::remove_file(script.0.path().join("askpass")).unwrap();
    let poll = Poll::new().unwrap();
    let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
    let missing = Question::ask(Kind::Line, "?", &script.environment(), waker).err().unwrap();
    assert!(missing.to_string().contains("askpass"), "{missing}");
}

#[test]
fn an_answer_has_its_bound() {
    let zeros = |n: usize| format!("head -c {n} /dev/zero | tr '\\0' x; echo done > written");
    let longest = ANSWER_MAX - 1;
    assert_eq!(answer(Kind::Secret, &zeros(longest)).unwrap().len(), longest);
    for n in [ANSWER_MAX, 1024 * 1024] {
        assert_eq!(answer(Kind::Secret, &zeros(n)), Err(ErrorKind::InvalidData), "{n}");
    }
    // One that never stops is ended.
    for text in ["exec yes", "head -c 9999 /dev/zero; exec sleep 1000000"] {
        assert_eq!(answer(Kind::Secret, text), Err(ErrorKind::InvalidData));
    }
    assert_eq!(answer(Kind::Secret, "printf '\\377'"), Err(ErrorKind::InvalidData));
}

#[test]
fn a_question_that_is_given_up_ends_the_program() {
    let forever = Script::new("exec sleep 1000000");
    let mut asked = ask(Kind::Secret, "prompt", &forever);
    assert!(asked.question.answer().is_none());
    asked.question.abort();
    assert_eq!(asked.answer().unwrap_err().kind(), ErrorKind::PermissionDenied);
    // Dropped, too; its end is seen at the pipe that it holds.
    let mut command = Command::new("mkfifo");
    assert!(command.arg("held").current_dir(&forever.0).status().unwrap().success());
    let holding =
        Script::new(&format!("exec > {0}; exec sleep 1000000", forever.0.path().join("held").display()));
    let asked = ask(Kind::Secret, "prompt", &holding);
    let mut held = File::open(forever.0.path().join("held")).unwrap();
    drop(asked);
    assert_eq!(held.read(&mut [0]).unwrap(), 0, "the program is gone");
}

#[test]
fn the_environment_says_who_asks() {
    let of = |pairs: &[(&str, &str)]| {
        Environment::of(|name| {
            pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    };
    let program = ("SSH_ASKPASS", "/bin/ask");
    let screen = ("DISPLAY", ":0");
    let require = |word| ("SSH_ASKPASS_REQUIRE", word);
    // Whether the program is asked with a terminal and without.
    for (pairs, with, without) in [
        (&[program][..], false, false),
        (&[program, screen], false, true),
        (&[program, ("DISPLAY", "")], false, false),
        (&[program, ("WAYLAND_DISPLAY", "wayland-0")], false, true),
        (&[program, require("force")], true, true),
        (&[program, require("FORCE")], true, true),
        (&[program, require("prefer")], false, false),
        (&[program, screen, require("prefer")], true, true),
        (&[program, screen, require("never")], false, false),
        (&[program, screen, require("other")], false, true),
        (&[("SSH_ASKPASS", ""), screen, require("force")], false, false),
    ] {
        let environment = of(pairs);
        assert_eq!(environment.askpass(true).is_some(), with, "{pairs:?}");
        assert_eq!(environment.askpass(false).is_some(), without, "{pairs:?}");
        assert!(environment.can_ask(true));
        assert_eq!(environment.can_ask(false), without, "{pairs:?}");
    }
    let default = of(&[screen]);
    assert_eq!(default.askpass.is_some(), std::path::Path::new(askpass::DEFAULT_ASKPASS).exists());
}

#[test]
fn a_line_ends_at_its_end_or_at_the_inputs_and_ctrl_c_is_told() {
    /// Gives one part a read.
    struct Parts(Vec<&'static [u8]>);
    impl Read for Parts {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            self.0.remove(0).read(buf)
        }
    }
    let read = |parts: &[&'static [u8]], interrupt| {
        let line = read_line(Parts(parts.to_vec()), interrupt);
        line.map(|line| line.to_string()).map_err(|error| error.kind())
    };
    assert_eq!(read(&[b"ab", b"c\n", b"d"], None).unwrap(), "abc");
    assert_eq!(read(&[b"ab"], None).unwrap(), "ab");
    assert_eq!(read(&[b"\n"], None).unwrap(), "");
    assert_eq!(read(&[], None), Err(ErrorKind::UnexpectedEof));
    assert_eq!(read(&[b"ab\x03"], Some(3)), Err(ErrorKind::Interrupted));
    assert_eq!(read(&[b"a\x03b\n"], Some(3)).unwrap(), "a\x03b");
    assert_eq!(read(&[b"ab\0", b"\n"], Some(0)).unwrap(), "ab\0", "the key is switched off");
    assert_eq!(read(&[b"\xff\n"], None), Err(ErrorKind::InvalidData));
    assert_eq!(read(&[&[b'x'; ANSWER_MAX], b"\n"], None), Err(ErrorKind::InvalidData));
}
