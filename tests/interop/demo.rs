//! `ssh-weblog demo`, as somebody tries it who has nothing yet.

use super::dashboard::{STATE, ended, script};
use super::openssh::{ENDED, Files, Generation, Terminal, ours, run};
use super::weblog::Watching;
use rustix::process::Signal;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A demonstration that runs, in a directory for temporary files of its own.
struct Demo {
    watching: Watching,
    scratch: TempDir,
    /// The line that it says to log in by.
    login: String,
}

impl Demo {
    fn start(words: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), words)
    }

    fn start_in(scratch: TempDir, words: &[&str]) -> Self {
        let mut command = ours("ssh-weblog");
        command.arg("demo").args(words).env("TMPDIR", scratch.path());
        let watching = Watching::start(&mut command);
        let login =
            watching.running.wait_for("ssh -").unwrap_or_else(|| panic!("{}", watching.running.log()));
        Self { watching, scratch, login }
    }

    fn directory(&self) -> PathBuf {
        let all: Vec<_> =
            fs::read_dir(self.scratch.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }

    /// The login line for a shell, with a generation's `ssh` in front of its words.
    fn words(&self, generation: Generation) -> String {
        let words = self.login.strip_prefix("ssh ").unwrap();
        format!("{} {words}", generation.program("ssh").display())
    }

    fn end(mut self, signal: Signal, status: i32) {
        self.watching.running.signal(signal);
        assert_eq!(self.watching.running.wait().code(), Some(status), "{}", self.watching.running.log());
        is_empty(self.scratch.path());
    }
}

fn is_empty(scratch: &Path) {
    assert_eq!(fs::read_dir(scratch).unwrap().count(), 0, "it cleans up after itself");
}

/// A `sh -c` whose environment has nothing that would answer a question, or ask one.
fn shell(words: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", words]).env_remove("SSH_AUTH_SOCK").env_remove("DISPLAY").stdin(Stdio::null());
    command
}

#[test]
fn the_demonstration_shows_hits_and_lets_the_reader_log_in_and_leaves_nothing() {
    let mut demo = Demo::start(&[]);
    assert!(demo.login.starts_with("ssh ") && demo.login.ends_with(" demo@127.0.0.1"), "{}", demo.login);
    let fingerprint = demo.watching.running.wait_for("host key fingerprint: SHA256:").unwrap();
    assert!(fingerprint.ends_with("(ED25519) 127.0.0.1"), "{fingerprint}");
    let mode = fs::metadata(demo.directory()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);
    // More than what was there before.
    for _ in 0..20 {
        let line = demo.watching.line().unwrap();
        assert!(line.contains("  --> /"), "{line}");
    }
    for generation in Generation::ALL {
        let words = demo.words(generation);
        let mut reader = shell(&format!("exec {words}"));
        let mut child = reader.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("  --> /"), "{line}");
        child.kill().unwrap();
        child.wait().unwrap();
        // The same words on a terminal.
        let terminal = Terminal::run(&format!("{words}; echo {ENDED} $?"));
        terminal.wait_until("a hit in the dashboard", |screen| {
            screen.contains("hits/s") && screen.contains("GET /")
        });
        terminal.key("q");
        let screen = terminal.wait_for(ENDED);
        assert!(screen.contains(&format!("{ENDED} 0")), "{screen}");
    }
    demo.end(Signal::INT, 130);
}

#[test]
fn the_demonstration_is_there_for_this_machine_only() {
    let demo = Demo::start(&["-q"]);
    let words: Vec<_> = demo.login.split(' ').collect();
    let at = words.iter().position(|word| *word == "-p").unwrap();
    let port = format!(":{:04X} ", words[at + 1].parse::<u16>().unwrap());
    let listening = |table: &str| {
        let table = fs::read_to_string(format!("/proc/net/{table}")).unwrap();
        let lines = table.lines().filter(|line| line.contains(&port) && line.contains(" 0A "));
        lines.map(|line| line.split_ascii_whitespace().nth(1).unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listening("tcp"), [format!("0100007F{}", port.trim_end())]);
    assert!(listening("tcp6").is_empty());
    demo.end(Signal::TERM, 143);
}

#[test]
fn the_demonstration_ends_after_its_seconds_and_leaves_nothing_however_it_ends() {
    let scratch = tempfile::tempdir().unwrap();
    let short = run(ours("ssh-weblog").args(["demo", "--seconds", "1"]).env("TMPDIR", scratch.path()), b"");
    assert_eq!(short.status.code(), Some(0), "{}", String::from_utf8_lossy(&short.stderr));
    assert!(String::from_utf8_lossy(&short.stdout).lines().count() > 3);
    is_empty(scratch.path());

    // Its terminal is closed.
    let mut demo = Demo::start(&[]);
    assert!(demo.watching.line().is_some());
    demo.watching.running.signal(Signal::HUP);
    let ended = demo.watching.running.wait();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&ended),
        Some(1),
        "{}",
        demo.watching.running.log()
    );
    is_empty(demo.scratch.path());

    // Nobody reads any more.
    let mut demo = Demo::start(&[]);
    assert!(demo.watching.line().is_some());
    let Watching { mut running, lines } = demo.watching;
    drop(lines);
    assert_eq!(running.wait().code(), Some(141), "{}", running.log());
    is_empty(demo.scratch.path());

    for wrong in [
        &["--dashboard"][..],
        &["--status", "ok"],
        &["--log-format", "nonsense"],
        &["--json", "--show", "raw"],
    ] {
        let output = run(ours("ssh-weblog").arg("demo").args(wrong).env("TMPDIR", scratch.path()), b"");
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!told.lines().any(|line| line.starts_with("ssh -")), "nothing was begun: {told}");
        is_empty(scratch.path());
    }
}

#[test]
fn the_demonstration_takes_the_options_of_a_watch() {
    let shown = |words: &[&str]| {
        let output = run(ours("ssh-weblog").arg("demo").args(words), b"");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let source = "demo@127.0.0.1:access/access.log";
    let json = shown(&["--no-follow", "--json", "-n", "5"]);
    assert_eq!(json.lines().count(), 5, "{json}");
    assert!(json.lines().all(|line| line.contains(&format!("\"source\":\"{source}\""))), "{json}");
    // A thousand hits were there before.
    let stats = shown(&["--no-follow", "--stats"]);
    let lines = stats.lines().find_map(|line| line.trim().strip_prefix("lines ")).map(str::trim);
    assert!(lines.unwrap().replace(' ', "").parse::<u64>().unwrap() >= 1000, "{stats}");
    assert!(stats.contains(&format!("receipt {source}: ")), "{stats}");
    let missing = shown(&["--no-follow", "--format", "{status} {path}", "--status", "404"]);
    assert!(!missing.is_empty() && missing.lines().all(|line| line == "404 /missing"), "{missing}");
}

#[test]
fn the_demonstration_asks_no_agent_and_its_line_is_complete_wherever_it_is() {
    let scratch = tempfile::Builder::new().prefix("it's a 100% [new] place").tempdir().unwrap();
    let socket = scratch.path().join("agent");
    let agent = UnixListener::bind(&socket).unwrap();
    let inner = scratch.path().join("tmp");
    fs::create_dir(&inner).unwrap();
    let mut command = ours("ssh-weblog");
    command.arg("demo").env("TMPDIR", &inner).env("SSH_AUTH_SOCK", &socket);
    let mut watching = Watching::start(&mut command);
    let login = watching.running.wait_for("ssh -").unwrap_or_else(|| panic!("{}", watching.running.log()));
    assert!(watching.line().is_some(), "{}", watching.running.log());
    let output = run(&mut shell(&format!("{login} logs")), b"");
    assert_eq!(output.status.code(), Some(0), "{login}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("access"), "{output:?}");
    watching.running.signal(Signal::INT);
    assert_eq!(watching.running.wait().code(), Some(130));
    is_empty(&inner);
    // An agent that is asked would be waited for; nobody has come.
    agent.set_nonblocking(true).unwrap();
    assert!(agent.accept().is_err(), "the agent was asked");
}

#[test]
fn the_demonstration_shows_the_dashboard_and_its_login_line_on_the_screen_from_before() {
    let files = Files::new();
    let mut program = Command::new("env");
    let demo = ours("ssh-weblog");
    program
        .arg(format!("TMPDIR={}", files.text("tmp")))
        .arg(demo.get_program())
        .args(["demo", "--dashboard"]);
    fs::create_dir(files.path("tmp")).unwrap();
    let terminal = Terminal::run(&script(&files, &program));
    terminal.resize(200, 30);
    let screen =
        terminal.wait_until("hits", |screen| screen.contains("GET /") && screen.contains("news.example"));
    assert!(screen.contains("access.log") && screen.contains("hits/s"), "{screen}");
    assert_eq!(terminal.state(STATE), "1 0 0");
    terminal.key("q");
    ended(&terminal, 0);
    let screen = terminal.screen();
    assert!(screen.lines().any(|line| line.starts_with("ssh ") && line.contains(" -p ")), "{screen}");
    is_empty(&files.path("tmp"));
}
