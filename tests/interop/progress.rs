//! The bar that a person sees while a backlog is read.

use super::openssh::{ENDED, Files, Generation, Running, Terminal, is_long, ours, run, sshd, words};
use super::weblog::{append, here, hit, ssh_weblog};
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

/// Enough to be seen on its way.
const LINES: usize = 400_000;

/// In the middle of it stands what is no hit.
fn backlog(files: &Files) {
    let half = hit("https://one.example/", "/a", 200).repeat(LINES / 2);
    append(&files.path("access.log"), &format!("{half}garbage\n{half}"));
}

/// Runs it on a terminal, and gives all that was ever written there, and what is left on the screen.
fn seen(files: &Files, program: &Command, then: &str) -> (String, String) {
    let all = files.text("all");
    // What is narrow for a bar, and wide enough for the paths in what is told.
    let script = format!(
        "script -q -c \"stty cols 80; {}{then}; echo {ENDED} \\$?\" {all}; echo all of it",
        words(program)
    );
    let terminal = Terminal::run(&script);
    let screen = terminal.wait_for("all of it");
    assert!(screen.contains(ENDED), "{screen}");
    (String::from_utf8_lossy(&std::fs::read(all).unwrap()).into_owned(), screen)
}

const BAR: &str = "reading ";

#[test]
fn a_bar_is_seen_while_a_backlog_is_read_and_is_gone_before_anything_else_is() {
    for generation in Generation::ALL {
        let files = Files::new();
        backlog(&files);
        let subsystem = format!("Subsystem sftp {}", generation.program("sftp-server").display());
        let server = sshd(generation, &files, &[&subsystem]);
        let mut program = ssh_weblog(&files, server.port);
        let log = files.text("access.log");
        program.args(["--no-follow", "--stats", "-v", &here(), &log]);
        let (all, screen) = seen(&files, &program, "");
        let bars: Vec<_> =
            all.match_indices(BAR).map(|(at, _)| all[at..].split(['\r', '\x1b']).next().unwrap()).collect();
        assert!(bars.len() > 1 && bars.iter().all(|bar| bar.contains("% [")), "{all}");
        assert!(bars.iter().all(|bar| bar.len() <= 80), "one line: {all}");
        assert!(all.contains('>') && all.contains("MiB"), "{all}");
        assert!(!screen.contains(BAR), "{screen}");
        // The words about the log stand on lines of their own, and so does the report.
        let source = format!("{}:{log}:", here());
        for (before, after) in [("127.0.0.1: via sftp", ""), (source.as_str(), ": not understood: garbage")] {
            let is = |line: &str| line.starts_with(before) && line.trim_end().ends_with(after);
            assert!(screen.lines().any(is), "{screen}");
        }
        assert!(screen.lines().any(|line| line.starts_with("hits") && line.contains("400 000")), "{screen}");
    }
}

#[test]
fn lines_on_the_terminal_take_the_bars_place_and_where_they_go_elsewhere_it_stays() {
    let files = Files::new();
    backlog(&files);
    append(&files.path("access.log"), &hit("https://two.example/", "/last", 503));
    let mut program = ours("ssh-weblog");
    program.args(["--no-follow", "--status", "5xx", "--format", "{path}", &files.text("access.log")]);
    let (all, screen) = seen(&files, &program, "");
    assert!(all.contains(BAR), "{all}");
    assert_eq!(screen.lines().next(), Some("/last"), "{screen}");
    assert!(!screen.contains(BAR), "{screen}");
    let mut program = ours("ssh-weblog");
    program.args(["--no-follow", &files.text("access.log")]);
    let lines = files.text("lines");
    let (all, screen) = seen(&files, &program, &format!(" > {lines}"));
    assert!(all.contains(BAR) && !screen.contains(BAR), "{all}");
    assert_eq!(std::fs::read_to_string(&lines).unwrap().lines().count(), LINES);
}

#[test]
fn there_is_no_bar_where_nobody_would_see_it_or_asked_for_quiet() {
    let files = Files::new();
    backlog(&files);
    let log = files.text("access.log");
    let only = format!("{log}: 1 line was not understood\n");
    let mut program = ours("ssh-weblog");
    let output = run(program.args(["--no-follow", "--stats", &log]), b"");
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), told.as_str()), (Some(0), only.as_str()));
    program.arg("-q");
    let (all, _) = seen(&files, &program, "");
    assert!(!all.contains(BAR) && all.contains("400 000"), "{all}");
    let (all, _) = seen(
        &files,
        ours("ssh-weblog").args(["--no-follow", "--stats", &log]),
        &format!(" 2> {}", files.text("err")),
    );
    assert!(!all.contains(BAR), "{all}");
    assert_eq!(std::fs::read_to_string(files.path("err")).unwrap(), only);
}

/// Of a terminal that takes a line now and then: while others are read that show nothing, some are still to be written. Where
/// the bar comes in between is a matter of chance: a fault shows in every other short run, and in a long one.
#[test]
fn lines_that_a_slow_terminal_is_still_to_take_never_go_on_behind_the_bar() {
    let files = Files::new();
    let few = hit("https://one.example/", "/a", 200).repeat(2500) + &hit("-", "/b", 200).repeat(9000);
    let round = few.repeat(2) + &hit("-", "/b", 200).repeat(50_000);
    let rounds = if is_long() { 60 } else { 12 };
    append(&files.path("access.log"), &round.repeat(rounds));
    let mut program = ours("ssh-weblog");
    let program = words(program.args(["--no-follow", &files.text("access.log")]));
    let mut script = Command::new("script");
    script.args(["-q", "-c", &program, "/dev/null"]).env("TERM", "xterm");
    let mut running = Running::start(script.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let mut terminal = running.child.stdout.take().unwrap();
    let (_never, tick) = channel::<()>();
    let (mut all, mut chunk) = (Vec::new(), [0; 5000]);
    loop {
        match terminal.read(&mut chunk).unwrap() {
            0 => break,
            n => all.extend_from_slice(&chunk[..n]),
        }
        let _slow = tick.recv_timeout(Duration::from_millis(10));
    }
    let all = String::from_utf8_lossy(&all);
    assert_eq!(all.matches("https://one.example/  --> /a").count(), 5000 * rounds);
    let bars: Vec<_> = all.split(BAR).skip(1).collect();
    assert!(!bars.is_empty(), "there are times for it");
    for bar in bars {
        let line = bar.split(['\r', '\x1b', '\n']).next().unwrap();
        assert!(!line.contains("https://"), "it was not taken away: {line}");
    }
}
