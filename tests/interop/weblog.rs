//! The programs as people use them.

use super::logins::hash;
use super::openssh::{
    Account, ENDED, Files, Generation, Running, Terminal, Trust, ours, resident, run, ssh_trusting, sshd,
    user, wait,
};
use rustix::process::Signal;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

pub fn hit(referrer: &str, resource: &str, status: u16) -> String {
    format!(
        "203.0.113.7 - - [01/Mar/2026:00:00:00 +0000] \"GET {resource} HTTP/1.1\" {status} 512 \"{referrer}\" \"x\"\n"
    )
}

pub fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// A program whose lines are read as they come.
pub struct Watching {
    pub running: Running,
    pub lines: BufReader<ChildStdout>,
}

impl Watching {
    pub fn start(command: &mut Command) -> Self {
        let mut running = Running::start(command.stdin(Stdio::null()).stdout(Stdio::piped()));
        let lines = BufReader::new(running.child.stdout.take().unwrap());
        Self { running, lines }
    }

    /// The next line; `None` at the end.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.lines.read_line(&mut line).unwrap() {
            0 => None,
            _ => Some(line.trim_end_matches('\n').to_owned()),
        }
    }
}

/// `ssh-weblog` with a key and known hosts of the test's.
pub fn ssh_weblog(files: &Files, port: u16) -> Command {
    let mut command = ours("ssh-weblog");
    command.args(["-F", "none"]);
    command.env_remove("SSH_AUTH_SOCK").args(["-p", &port.to_string(), "-i", &files.text("user_key")]);
    command.args(["-o", &format!("UserKnownHostsFile={}", files.known_hosts(port))]);
    command
}

pub fn here() -> String {
    format!("{}@127.0.0.1", user())
}

#[test]
fn a_log_is_shown_in_every_form_and_its_end_is_an_end() {
    let files = Files::new();
    let server = sshd(Generation::Trixie, &files, &[]);
    let log = files.path("it's a log");
    append(&log, &(hit("https://a.example/", "/a", 200) + "garbage\n" + &hit("-", "/b", 404)));
    let source = format!("{}:{}", here(), log.display());
    let show = |options: &[&str]| {
        let output =
            run(ssh_weblog(&files, server.port).args(["-q", "--no-follow"]).args(options).arg(&source), b"");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(show(&[]), "https://a.example/  --> /a\n");
    let hits = "2026-03-01T00:00:00+00:00 200 GET /a 512 https://a.example/\n2026-03-01T00:00:00+00:00 404 GET /b 512 -\n";
    assert_eq!(show(&["--show", "hits"]), hits);
    assert_eq!(show(&["--show", "raw"]), fs::read_to_string(&log).unwrap());
    assert_eq!(show(&["--show", "raw", "-n", "+3"]), hit("-", "/b", 404));
    assert_eq!(show(&["--show", "raw", "-n1"]), hit("-", "/b", 404));
    let json = show(&["--json"]);
    assert_eq!(json.lines().count(), 2);
    assert!(json.lines().all(|line| line.starts_with("{\"time\":\"2026-03-01T00:00:00+00:00\"")), "{json}");
}

#[test]
fn statuses_tell_what_went_wrong() {
    let files = Files::new();
    let server = sshd(Generation::Bookworm, &files, &[]);
    let status = |command: &mut Command| run(command, b"").status.code();
    let missing = format!("{}:{}", here(), files.text("missing.log"));
    assert_eq!(status(ssh_weblog(&files, server.port).args(["--no-follow", &missing])), Some(1));
    for wrong in [
        &["--no-such-option", "h:p"][..],
        &["--json", "--show", "raw", "h:p"],
        &["--format", "{nothing}", "h:p"],
        &["--status", "ok", "h:p"],
        &["--since", "yesterday-ish", "h:p"],
        &["--log-format", "nonsense", "h:p"],
        &["h:"],
        &["-n", "x", "h:p"],
        &["-o", "Nonsense=1", "h:p"],
        &[],
    ] {
        assert_eq!(status(ours("ssh-weblog").args(wrong)), Some(2), "{wrong:?}");
    }
    for good in [&["--help"][..], &["--version"]] {
        assert_eq!(status(ours("ssh-weblog").args(good)), Some(0), "{good:?}");
    }
    let nobody =
        ssh_weblog(&files, server.port).args(["--batch", "strombus-nobody@127.0.0.1:x"]).output().unwrap();
    let text = String::from_utf8_lossy(&nobody.stderr);
    assert_eq!(nobody.status.code(), Some(255), "{text}");
    assert!(text.contains("strombus-nobody@127.0.0.1: Permission denied (publickey"), "{text}");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    assert_eq!(status(ssh_weblog(&files, port).arg(&missing)), Some(255), "nobody listens");

    let log = files.path("access.log");
    for (signal, expected) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        append(&log, &hit("https://a.example/", "/a", 200));
        let mut command = ssh_weblog(&files, server.port);
        let mut watching = Watching::start(command.args(["-n", "1", &here(), log.to_str().unwrap()]));
        assert!(watching.line().is_some());
        watching.running.signal(signal);
        assert_eq!(watching.running.wait().code(), Some(expected));
    }
    // Nobody reads any more: that ends it, without a word and without another hit.
    let mut command = ssh_weblog(&files, server.port);
    let mut watching = Watching::start(command.args(["-q", "-n", "1", &here(), log.to_str().unwrap()]));
    assert!(watching.line().is_some());
    let Watching { mut running, lines } = watching;
    drop(lines);
    assert_eq!(running.wait().code(), Some(141));
    assert_eq!(running.log(), "");
}

#[test]
fn a_password_is_asked_for_on_the_terminal_and_an_unknown_host_too() {
    let account = Account::create();
    for generation in Generation::ALL {
        let files = Files::new();
        let server = sshd(generation, &files, &["PasswordAuthentication yes"]);
        let log = files.path("access.log");
        append(&log, &hit("https://a.example/", "/a", 200));
        fs::set_permissions(files.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&log, fs::Permissions::from_mode(0o644)).unwrap();
        let known_hosts = files.path("new/known_hosts");
        let mut command = ours("ssh-weblog");
        command.args([
            "-F",
            "none",
            "-p",
            &server.port.to_string(),
            "-o",
            "PubkeyAuthentication=no",
            "--no-follow",
        ]);
        command.args(["-o", &format!("UserKnownHostsFile={}", known_hosts.display())]);
        command.args([&format!("{}@127.0.0.1", account.name), log.to_str().unwrap()]);
        let terminal = Terminal::start(&command);
        terminal.wait_for("Are you sure you want to continue connecting (yes/no/[fingerprint])?");
        terminal.send("perhaps");
        terminal.wait_for("Please type 'yes', 'no' or the fingerprint:");
        terminal.send("yes");
        terminal.wait_for(&format!("{}@127.0.0.1's password:", account.name));
        terminal.send("wrong");
        terminal.wait_for("Permission denied, please try again.");
        terminal.send(&account.password);
        let screen = terminal.wait_for(ENDED);
        assert!(screen.contains("https://a.example/  --> /a"), "{screen}");
        assert!(screen.contains(&format!("{ENDED} 0")), "{screen}");
        assert!(!screen.contains(&account.password), "{screen}");
        let known = fs::read_to_string(known_hosts).unwrap();
        assert!(known.starts_with(&format!("[127.0.0.1]:{} ssh-ed25519 ", server.port)), "{known}");

        let terminal = Terminal::start(&command);
        terminal.wait_for("password:");
        terminal.key("C-c");
        let screen = terminal.wait_for(ENDED);
        assert!(screen.contains(&format!("{ENDED} 130")), "{screen}");
    }
}

/// `ssh-weblog-server` with a state directory of the test's.
pub fn serve(files: &Files, arguments: &[&str]) -> (Running, u16) {
    let mut command = ours("ssh-weblog-server");
    command
        .args(["--listen", "127.0.0.1:0", "--user", "ann", "--state-dir", &files.text("state")])
        .args(arguments);
    listening(&mut command)
}

/// A server that listens, and its port.
pub fn listening(command: &mut Command) -> (Running, u16) {
    let running = Running::start(command);
    let port = next_port(&running);
    (running, port)
}

/// The port of the next address that a server says it listens on.
fn next_port(running: &Running) -> u16 {
    let line = running.wait_for("listening on").unwrap_or_else(|| panic!("{}", running.log()));
    line.rsplit(':').next().unwrap().parse().unwrap()
}

/// A viewer by OpenSSH's ssh, which learns the server's key at its first login.
pub fn viewer(generation: Generation, files: &Files, port: u16) -> Command {
    ssh_trusting(generation, files, port, &Trust::first_met(files, "learnt"))
}

/// A session that is there: it has been shown a first hit.
pub struct Viewer {
    child: Child,
    pub lines: BufReader<ChildStdout>,
}

impl Viewer {
    pub fn start(mut command: Command, log: &Path) -> Self {
        command
            .args(["-T", "ann@127.0.0.1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut viewer = Self { child, lines };
        viewer.wait_until_shown(log);
        viewer
    }

    /// Writes hits until one comes: only then the session is known to be live.
    fn wait_until_shown(&mut self, log: &Path) {
        let (send, shown) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let lines = &mut self.lines;
            scope.spawn(move || {
                let mut line = String::new();
                lines.read_line(&mut line).unwrap();
                send.send(()).unwrap();
            });
            for _ in 0..900 {
                append(log, &hit("https://knock.example/", "/", 200));
                if shown.recv_timeout(std::time::Duration::from_millis(100)).is_ok() {
                    return;
                }
            }
            panic!("a viewer was never shown anything");
        });
    }

    /// Reads until a line that holds `text`.
    pub fn wait_for(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "the session ended before {text}");
        }
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

#[test]
fn t107_fifty_viewers_see_each_hit_and_one_that_is_stopped_holds_up_nobody() {
    let files = Files::new();
    let log = files.path("shop.log");
    append(&log, "");
    let keys = files.text("authorized_keys");
    let (mut server, port) = serve(&files, &["--authorized-keys", &keys, log.to_str().unwrap()]);
    let mut viewers: Vec<_> =
        (0..50).map(|i| Viewer::start(viewer(Generation::ALL[i % 2], &files, port), &log)).collect();
    append(&log, &hit("https://everyone.example/", "/50", 200));
    for viewer in &mut viewers {
        viewer.wait_for("https://everyone.example/  --> /50");
    }
    let stopped = rustix::process::Pid::from_child(&viewers[0].child);
    rustix::process::kill_process(stopped, Signal::STOP).unwrap();
    let before = resident(server.child.id());
    for i in 0..40 {
        append(&log, &hit(&"x".repeat(1000), &format!("/{i}"), 200).repeat(500));
    }
    append(&log, &hit("https://last.example/", "/end", 200));
    for viewer in &mut viewers[1..] {
        viewer.wait_for("https://last.example/  --> /end");
    }
    // Twenty megabytes went by: they are nowhere for him who did not take them.
    let grown = resident(server.child.id()).saturating_sub(before);
    assert!(grown < 80 << 20, "{grown} bytes");
    rustix::process::kill_process(stopped, Signal::CONT).unwrap();
    viewers[0].wait_for("records skipped");
    viewers[0].wait_for("https://last.example/  --> /end");
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    for viewer in &mut viewers {
        assert_eq!(wait(&mut viewer.child).code(), Some(255), "the server has ended the session");
    }
}

#[test]
fn the_server_makes_its_host_key_once_and_takes_keys_passwords_and_commands() {
    let files = Files::new();
    let log = files.path("shop.log");
    append(&log, "");
    let passwords = files.write("passwords", &hash("secret one"));
    assert!(fs::read_to_string(&passwords).unwrap().starts_with("$argon2id$"));
    let keys = files.text("authorized_keys");
    let arguments = ["--authorized-keys", &keys, "--password-file", &passwords, log.to_str().unwrap()];
    let (server, port) = serve(&files, &arguments);
    let key = files.path("state/ssh_host_ed25519_key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::metadata(files.path("state")).unwrap().permissions().mode() & 0o7777, 0o700);
    let fingerprint =
        run(ours("ssh-weblog-server").args(["--state-dir", &files.text("state"), "fingerprint"]), b"");
    let fingerprint = String::from_utf8(fingerprint.stdout).unwrap();
    let by_keygen = run(Command::new("ssh-keygen").arg("-lf").arg(&key), b"");
    let by_keygen = String::from_utf8(by_keygen.stdout).unwrap();
    assert_eq!(by_keygen.split(' ').nth(1), fingerprint.split(' ').nth(1));
    assert!(server.log().contains(fingerprint.split(' ').nth(1).unwrap()), "{}", server.log());
    for generation in Generation::ALL {
        let command =
            |words: &[&str]| run(viewer(generation, &files, port).arg("ann@127.0.0.1").args(words), b"");
        let unknown = command(&["logs;", "id"]);
        assert_eq!(unknown.status.code(), Some(127));
        assert!(String::from_utf8_lossy(&unknown.stderr).contains("logs;: no such command"));
        assert_eq!(command(&["help"]).status.code(), Some(0));
        assert_eq!(command(&["tail", "--nonsense"]).status.code(), Some(2));
        let mut stranger = viewer(generation, &files, port);
        assert_eq!(
            run(stranger.args(["-o", "BatchMode=yes", "bob@127.0.0.1"]), b"").status.code(),
            Some(255)
        );
        let mut by_password = viewer(generation, &files, port);
        by_password.args(["-o", "PubkeyAuthentication=no"]);
        by_password.env("SSH_ASKPASS", files.askpass("secret one")).env("SSH_ASKPASS_REQUIRE", "force");
        drop(Viewer::start(by_password, &log));
    }
    let (again, _) = serve(&files, &arguments);
    assert!(again.log().contains(fingerprint.split(' ').nth(1).unwrap()), "the same key as before");
    let nobody = run(ours("ssh-weblog-server").arg(&log), b"");
    assert_eq!(nobody.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("nobody may log in"));
}

#[test]
fn t45_a_command_that_is_forced_is_all_that_its_key_can_run() {
    let files = Files::new();
    let log = files.path("shop.log");
    append(&log, "");
    let key = fs::read_to_string(files.path("user_key.pub")).unwrap();
    let keys = files.write("authorized_keys", &format!("command=\"help\" {key}"));
    let (server, port) = serve(&files, &["--authorized-keys", &keys, log.to_str().unwrap()]);
    for (flag, words) in [("-T", &[][..]), ("-T", &["tail", "--json"]), ("-T", &["logs"]), ("-s", &["sftp"])]
    {
        let mut client = viewer(Generation::Trixie, &files, port);
        let output = run(client.args([flag, "ann@127.0.0.1"]).args(words), b"");
        let (shown, told) = (String::from_utf8_lossy(&output.stdout), server.log());
        assert_eq!(output.status.code(), Some(0), "{words:?}: {told}");
        assert!(shown.contains("\nCommands:\n"), "{words:?}: {shown} {told}");
    }
}

#[test]
fn a_server_whose_log_nobody_reads_goes_on() {
    let files = Files::new();
    let log = files.path("shop.log");
    append(&log, "");
    let mut command = ours("ssh-weblog-server");
    command.args(["--listen", "127.0.0.1:0", "--user", "ann", "--state-dir", &files.text("state")]);
    command.args(["--authorized-keys", &files.text("authorized_keys"), log.to_str().unwrap()]);
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("listening on") {
        line.clear();
        assert!(told.read_line(&mut line).unwrap() > 0, "it ended");
    }
    let port = line.trim_end().rsplit(':').next().unwrap().parse().unwrap();
    drop(told);
    for _ in 0..2 {
        let output = run(viewer(Generation::Trixie, &files, port).args(["ann@127.0.0.1", "help"]), b"");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_server_may_have_several_host_keys_certificates_for_them_and_keys_that_are_revoked() {
    let files = Files::new();
    let log = files.path("shop.log");
    append(&log, "");
    let keygen = |words: &[&str]| {
        let output = run(Command::new("ssh-keygen").arg("-q").args(words), b"");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    for name in ["host_ca", "host_two"] {
        keygen(&["-t", "ecdsa", "-N", "", "-f", &files.text(name)]);
    }
    keygen(&["-s", &files.text("host_ca"), "-h", "-I", "x", "-n", "127.0.0.1", &files.text("host_two.pub")]);
    let revoked = files.write("revoked", "");
    let [one, two, certificate] = ["host_key", "host_two", "host_two-cert.pub"].map(|name| files.text(name));
    let words = ["--host-key", &one, "--host-key", &two, "--host-certificate", &certificate];
    let keys = files.text("authorized_keys");
    let words = [&words[..], &["--revoked-keys", &revoked, "--authorized-keys", &keys]].concat();
    let (server, port) = serve(&files, &[&words[..], &[log.to_str().unwrap()]].concat());
    let ca = fs::read_to_string(files.path("host_ca.pub")).unwrap();
    let trust =
        Trust { known_hosts: files.write("vouched", &format!("@cert-authority * {ca}")), strict: "yes" };
    let logs_in = || {
        let mut client = ssh_trusting(Generation::Trixie, &files, port, &trust);
        run(client.args(["ann@127.0.0.1", "help"]), b"").status.code()
    };
    assert_eq!(logs_in(), Some(0), "{}", server.log());
    fs::copy(files.path("user_key.pub"), &revoked).unwrap();
    assert_eq!(logs_in(), Some(255), "{}", server.log());
    assert!(server.log().contains("it is revoked"), "{}", server.log());
}

#[test]
fn a_server_listens_at_every_address_and_tells_each() {
    let files = Files::new();
    append(&files.path("shop.log"), "");
    let [keys, log] = ["authorized_keys", "shop.log"].map(|name| files.text(name));
    let (server, port) = serve(&files, &["--listen", "127.0.0.1:0", "--authorized-keys", &keys, &log]);
    let ports = [port, next_port(&server)];
    assert_ne!(ports[0], ports[1], "{}", server.log());
    for port in ports {
        let output = run(viewer(Generation::Trixie, &files, port).args(["ann@127.0.0.1", "logs"]), b"");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "shop 0\n", "{}", server.log());
    }
}

#[test]
fn nothing_is_written_into_a_question_that_is_open() {
    let files = Files::new();
    let subsystem = format!("Subsystem sftp {}", Generation::Trixie.program("sftp-server").display());
    let server = sshd(Generation::Trixie, &files, &[&subsystem]);
    append(&files.path("here.log"), &hit("-", "/before", 200));
    append(&files.path("there.log"), &hit("-", "/there", 200));
    let mut program = ours("ssh-weblog");
    program.args(["-F", "none", "-p", &server.port.to_string(), "-i", &files.text("user_key"), "-v"]);
    program.args(["-o", &format!("UserKnownHostsFile={}", files.text("nobody")), "-n1", "--show", "hits"]);
    program.args([files.text("here.log"), format!("{}:{}", here(), files.text("there.log"))]);
    let terminal = Terminal::start(&program);
    terminal.wait_for("(yes/no/[fingerprint])?");
    append(&files.path("here.log"), &(hit("-", "/meanwhile", 200) + "garbage\n"));
    for count in 1..=5 {
        terminal.send("perhaps");
        let screen =
            terminal.wait_until("asked again", |screen| screen.matches("Please type").count() == count);
        assert!(!screen.contains("GET /meanwhile") && !screen.contains("not understood"), "{screen}");
    }
    terminal.send("yes");
    terminal.wait_until("all of it", |screen| {
        ["GET /there", "GET /meanwhile", "not understood: garbage"].iter().all(|word| screen.contains(word))
    });
    terminal.key("C-c");
    terminal.wait_for(&format!("{ENDED} 130"));
}
