//! The dashboard in a shell with job control: stopped, and in the foreground again.

use super::dashboard::{STATE, WORDS};
use super::openssh::{ENDED, Files, Terminal, ours, words};
use super::weblog::{append, hit};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;

/// A shell that has a dashboard of a log in the foreground, and the dashboard's process.
fn start(files: &Files, program: &str) -> (Terminal, Pid) {
    append(&files.path("access.log"), &hit("-", "/0", 200));
    let terminal = Terminal::run("PS1='$ ' bash --norc --noprofile -i");
    terminal.resize(80, 24);
    terminal.wait_for("$");
    let pid = files.text("pid");
    terminal.send(&format!("stty -g > {}", files.text("stty")));
    terminal.send(&format!("clear; sh -c 'echo $$ > {pid}; exec \"$@\"' sh {program}; echo {ENDED} $?"));
    terminal.wait_for("GET /0");
    let pid = fs::read_to_string(files.path("pid")).unwrap();
    (terminal, Pid::from_raw(pid.trim().parse().unwrap()).unwrap())
}

fn dashboard(files: &Files) -> String {
    let mut command = ours("ssh-weblog");
    command.args(["-F", "none", "-n1", "--dashboard", &files.text("access.log")]);
    words(&command)
}

fn is_whole(screen: &str) -> bool {
    WORDS.iter().all(|word| screen.contains(word)) && screen.lines().count() == 24
}

/// The terminal is raw when a key counts without Enter.
fn leave(terminal: &Terminal, files: &Files) {
    terminal.key("q");
    terminal.wait_for(&format!("{ENDED} 0"));
    assert_eq!(terminal.state(STATE), "0 1 1");
    terminal.send(&format!("stty -g | cmp - {} && echo as it was", files.text("stty")));
    terminal.wait_until("the terminal as it was", |screen| screen.lines().any(|line| line == "as it was"));
}

#[test]
fn ctrl_z_gives_the_terminal_back_to_the_shell_and_fg_takes_it_again_with_what_came_meanwhile() {
    let files = Files::new();
    let (terminal, _) = start(&files, &dashboard(&files));
    for round in 1..=2 {
        terminal.key("C-z");
        terminal.wait_for("Stopped");
        assert_eq!(terminal.state(STATE), "0 1 1");
        // The shell is not raw: what is typed is seen, and an Enter is needed.
        terminal.send("clear; echo in $((40 + 2)) words");
        terminal.wait_for("in 42 words");
        append(&files.path("access.log"), &hit("-", &format!("/while-stopped-{round}"), 404));
        terminal.send(&format!("fg; echo {ENDED} $?"));
        let screen = terminal.wait_for(&format!("GET /while-stopped-{round}"));
        assert!(is_whole(&screen) && !screen.contains("words"), "{screen}");
        assert_eq!(terminal.state(STATE), "1 0 0");
    }
    leave(&terminal, &files);
}

#[test]
fn a_dashboard_that_is_stopped_from_outside_is_whole_again_in_the_foreground() {
    let files = Files::new();
    let (terminal, process) = start(&files, &dashboard(&files));
    for signal in [Signal::TSTP, Signal::STOP] {
        kill_process(process, signal).unwrap();
        terminal.wait_for("Stopped");
        terminal.send("stty sane; clear; echo in $((40 + 2)) words");
        terminal.wait_for("in 42 words");
        terminal.send(&format!("fg; echo {ENDED} $?"));
        let screen = terminal.wait_until("all of it", |screen| is_whole(screen) && screen.contains("GET /0"));
        assert!(!screen.contains("words"), "{screen}");
        terminal.wait_until("another screen, no cursor", |_| terminal.state(STATE) == "1 0 0");
    }
    terminal.key("q");
    terminal.wait_for(&format!("{ENDED} 0"));
    assert_eq!(terminal.state("#{alternate_on} #{cursor_flag}"), "0 1");
}

#[test]
fn a_dashboard_that_is_killed_while_it_is_stopped_gives_the_terminal_back_in_the_foreground() {
    let files = Files::new();
    let (terminal, _) = start(&files, &dashboard(&files));
    terminal.key("C-z");
    terminal.wait_for("Stopped");
    terminal.send(&format!("clear; kill %1; fg; echo {ENDED} $?"));
    terminal.wait_for(&format!("{ENDED} 143"));
    assert_eq!(terminal.state(STATE), "0 1 1");
}

#[test]
fn ctrl_z_where_no_shell_would_continue_it_is_passed_over() {
    let files = Files::new();
    append(&files.path("access.log"), &hit("-", "/0", 200));
    // Its session has no shell that could take it to the foreground again: its process group is an orphan.
    let all = files.text("all");
    let terminal = Terminal::run(&format!("script -q -f -c \"{}\" {all}", dashboard(&files)));
    terminal.resize(80, 24);
    terminal.wait_for("GET /0");
    terminal.key("C-z");
    let taken = || String::from_utf8_lossy(&fs::read(&all).unwrap()).matches("\x1b[?1049h").count();
    terminal.wait_until("the screen taken again", |_| taken() == 2);
    append(&files.path("access.log"), &hit("-", "/1", 200));
    terminal.wait_until("all of it", |screen| is_whole(screen) && screen.contains("GET /1"));
    terminal.key("q");
    terminal.wait_until("its end", |_| terminal.state("#{alternate_on}") == "0");
}
