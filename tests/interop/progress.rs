//! The bar that a person sees while a backlog is read, and the lines while files are copied.

use super::openssh::{ENDED, Files, Generation, Terminal, eventually, found, ours, run, sshd, wait, words};
use super::weblog::{append, here, hit, ssh_weblog};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::{self, File};
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};

/// Enough to be seen on its way by SFTP.
const LINES: usize = 400_000;

/// The same here, where it is read in no time.
const LINES_HERE: usize = 2_000_000;

/// In the middle of it stands what is no hit.
fn backlog(files: &Files, lines: usize) {
    let half = hit("https://one.example/", "/a", 200).repeat(lines / 2);
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
    (String::from_utf8_lossy(&fs::read(all).unwrap()).into_owned(), screen)
}

const BAR: &str = "reading ";

#[test]
fn a_bar_is_seen_while_a_backlog_is_read_and_is_gone_before_anything_else_is() {
    for generation in Generation::ALL {
        let files = Files::new();
        backlog(&files, LINES);
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
    backlog(&files, LINES_HERE);
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
    assert_eq!(fs::read_to_string(&lines).unwrap().lines().count(), LINES_HERE);
}

#[test]
fn there_is_no_bar_where_nobody_would_see_it_or_asked_for_quiet() {
    let files = Files::new();
    backlog(&files, LINES);
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
    assert_eq!(fs::read_to_string(files.path("err")).unwrap(), only);
}

/// A pseudo-terminal of the usual size: what is read of it, and what a program has.
fn pty() -> (File, File) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let master = openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = openat(CWD, &name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    tcsetwinsize(&slave, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    (File::from(master), File::from(slave))
}

/// Reads it until nobody has it open any more.
fn read_to_end(mut terminal: File) -> JoinHandle<String> {
    thread::spawn(move || {
        let (mut all, mut chunk) = (Vec::new(), [0; 4096]);
        while let Ok(n @ 1..) = terminal.read(&mut chunk) {
            all.extend_from_slice(&chunk[..n]);
        }
        String::from_utf8(all).unwrap()
    })
}

#[test]
fn there_is_no_bar_while_lines_wait_for_their_terminal() {
    let files = Files::new();
    // More than the terminal takes, and then what shows nothing and would have a bar.
    let shown = 5000;
    append(&files.path("access.log"), &hit("https://one.example/", "/a", 200).repeat(shown));
    append(&files.path("access.log"), &hit("-", "/b", 200).repeat(4 * LINES));
    let ((terminal, out), (other, err)) = (pty(), pty());
    let mut program = ours("ssh-weblog");
    program.args(["--no-follow", &files.text("access.log")]).env("TERM", "xterm").stdin(Stdio::null());
    let mut child = program.stdout(out).stderr(err).spawn().unwrap();
    drop(program); // it has the terminals open too
    let told = read_to_end(other);
    let whole = files.path("access.log").metadata().unwrap().len();
    eventually("all is read", || {
        let io = fs::read_to_string(format!("/proc/{}/io", child.id())).unwrap();
        let read = io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
        read.parse::<u64>().unwrap() >= whole
    });
    let lines = read_to_end(terminal);
    assert_eq!(wait(&mut child).code(), Some(0));
    assert_eq!(lines.join().unwrap().matches("https://one.example/  --> /a").count(), shown);
    let told = told.join().unwrap();
    assert!(
        told.split(BAR).skip(1).all(|bar| bar.contains(" 0 B of ")),
        "only before the first line: {told}"
    );
    assert!(told.is_empty() || told.ends_with("\r\x1b[2K"), "{told}");
}

#[test]
fn a_copy_has_a_line_for_its_file_and_one_for_all_whatever_the_name_and_the_window() {
    let files = Files::new();
    let server = sshd(Generation::Trixie, &files, &["Subsystem sftp internal-sftp"]);
    fs::create_dir(files.path("there")).unwrap();
    for (columns, name) in [(80, "漢字漢字.bin"), (60, "e\u{301}e\u{301}.bin"), (40, "漢e\u{301}.bin")] {
        let source = files.write(name, &"x".repeat(1 << 20));
        let mut program = ours("ssh-weblog-cp");
        program.args(["-F", "none", "-B", "-P", &server.port.to_string(), "-i", &files.text("user_key")]);
        program.args(["-o", &format!("UserKnownHostsFile={}", files.known_hosts(server.port))]);
        program.args(["-l", "8192", &source, &format!("{}:{}", here(), files.text("there"))]);
        let terminal = Terminal::run(&format!("read go; {}; echo {ENDED} $?", words(&program)));
        terminal.resize(columns, 24);
        terminal.send("");
        // Rows of the screen from the first of them on, which are not joined so.
        let rows = |terminal: &Terminal| {
            let screen = terminal.coloured_screen();
            let rows = screen.lines().skip_while(|row| !row.contains('%')).map(str::trim_end);
            rows.filter(|row| !row.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        let moving = found("both of them", || Some(rows(&terminal)).filter(|rows| rows.len() >= 2));
        assert!(moving.len() == 2 && moving.iter().all(|row| row.ends_with('s')), "{columns}: {moving:?}");
        terminal.wait_for(&format!("{ENDED} 0"));
        let rows = rows(&terminal);
        assert!(
            rows.len() == 2 && rows[0].ends_with('s') && rows[1] == "ended with 0",
            "{columns}: {rows:?}"
        );
    }
}
