//! Reports, alerts and colours of a watch that goes on, as a person or a script sees them.

use super::openssh::{ENDED, Files, Terminal, ours, run};
use super::weblog::{Watching, append, hit};
use rustix::process::Signal;
use std::process::Command;

/// A watch of a log with one hit, which it has read.
fn watching(files: &Files, words: &[&str]) -> Watching {
    let log = files.path("access.log");
    append(&log, &hit("-", "/0", 200));
    let mut command = ours("ssh-weblog");
    let watching = Watching::start(command.args(["-v", "-n1"]).args(words).arg(&log));
    let format = watching.running.wait_for(": format combined");
    assert!(format.is_some(), "{}", watching.running.log());
    watching
}

/// What is still shown until it ends, and how.
fn rest(mut watching: Watching) -> (Vec<String>, Option<i32>) {
    let lines = std::iter::from_fn(|| watching.line()).collect();
    (lines, watching.running.wait().code())
}

#[test]
fn a_watch_reports_each_time_and_once_more_when_it_is_interrupted() {
    let files = Files::new();
    let mut often = watching(&files, &["--every", "1s", "--json"]);
    for (more, hits) in [(false, 1), (false, 1), (true, 2), (false, 2)] {
        let expected = format!("\"hits\":{hits},");
        if more {
            append(&files.path("access.log"), &hit("-", "/1", 200));
        }
        let mut report = String::new();
        while !report.contains(&expected) {
            report = often.line().unwrap_or_else(|| panic!("{}", often.running.log()));
            assert!(report.starts_with("{\"type\":\"stats\","), "{report}");
        }
    }
    let files = Files::new();
    for words in [&["--every", "1h"][..], &["--every", "1h", "--json"]] {
        let rarely = watching(&files, words);
        rarely.running.signal(Signal::INT);
        let (lines, status) = rest(rarely);
        let count =
            lines.iter().filter(|line| line.starts_with("receipt ") || line.contains("receipts")).count();
        assert_eq!((count, status), (1, Some(130)), "one report: {lines:?}");
    }
}

#[test]
fn a_watch_that_is_terminated_reports_what_it_has_seen() {
    let files = Files::new();
    let watching = watching(&files, &["--stats", "--json"]);
    watching.running.signal(Signal::TERM);
    let (lines, status) = rest(watching);
    assert_eq!((lines.len(), status), (1, Some(143)), "{lines:?}");
    let all = hit("-", "/0", 200).len();
    let receipt = format!("\"written\":{all},\"read\":{all},\"generations\":0,\"gaps\":[]");
    assert!(lines[0].contains("\"hits\":1,") && lines[0].contains(&receipt), "{lines:?}");
}

#[test]
fn a_watch_ends_at_the_hit_that_is_too_many() {
    for (words, evidence) in [(&[][..], "over 1/s for 1s: 2 hits in 1s"), (&["--json"], "\"hits\":2,")] {
        let files = Files::new();
        let watching = watching(&files, &[&["--over", "1/s", "--for", "1s"], words].concat());
        append(&files.path("access.log"), &hit("-", "/1", 200));
        let (lines, status) = rest(watching);
        assert_eq!(status, Some(3), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains(evidence)), "{lines:?}");
    }
}

#[test]
fn hits_are_coloured_on_a_terminal_unless_the_environment_says_otherwise() {
    let files = Files::new();
    append(&files.path("access.log"), &hit("-", "/a", 404));
    let mut shows = ours("ssh-weblog");
    shows.args(["--no-follow", "--show", "hits", &files.text("access.log")]);
    for (environment, is_coloured) in
        [("NO_COLOR=", true), ("NO_COLOR=1", false), ("NO_COLOR= TERM=dumb", false)]
    {
        let mut program = Command::new("env");
        program.args(environment.split(' ')).arg(shows.get_program()).args(shows.get_args());
        let terminal = Terminal::start(&program);
        let screen = terminal.wait_for(ENDED);
        assert!(screen.contains(" 404 GET /a 512 -"), "{screen}");
        let coloured = terminal.coloured_screen();
        assert_eq!(coloured.contains("\x1b[33m404"), is_coloured, "{environment}: {coloured}");
        assert_eq!(coloured.contains('\x1b'), is_coloured, "{environment}: {coloured}");
    }
    let piped = run(shows.env_remove("NO_COLOR"), b"");
    assert_eq!(String::from_utf8_lossy(&piped.stdout), "2026-03-01T00:00:00+00:00 404 GET /a 512 -\n");
}
