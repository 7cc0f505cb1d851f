//! Real OpenSSH of two generations, as processes on the loopback interface.

use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with};
use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// No run of a program here takes longer.
pub fn deadline() -> Duration {
    Duration::from_secs(if is_long() { 900 } else { 90 })
}

/// What is found at last. Nothing tells of it, so it is looked for again and again.
pub fn found<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let (_never, tick) = channel::<()>();
    for _ in 0..(deadline().as_millis() / 20) {
        if let Some(found) = find() {
            return found;
        }
        let _tick = tick.recv_timeout(Duration::from_millis(20));
    }
    panic!("it never came to it: {what}");
}

/// Waits until `is` is true.
pub fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    found(what, || is().then_some(()));
}

/// Whether `tests/run long` asks for the sizes that need time.
pub fn is_long() -> bool {
    std::env::var_os("STROMBUS_LONG").is_some()
}

/// An OpenSSH that the tests run against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// 9.2, of Debian 12.
    Bookworm,
    /// 10.0, of Debian 13.
    Trixie,
}

impl Generation {
    pub const ALL: [Self; 2] = [Self::Bookworm, Self::Trixie];

    /// Where a program of this generation is; `tests/run` puts it there.
    pub fn program(self, name: &str) -> PathBuf {
        let path = match self {
            Self::Bookworm if name == "sftp-server" => PathBuf::from("/usr/lib/openssh/sftp-server"),
            Self::Bookworm if name == "sshd" => PathBuf::from("/usr/sbin/sshd"),
            Self::Bookworm => Path::new("/usr/bin").join(name),
            Self::Trixie => {
                let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
                let home = || Path::new(&std::env::var_os("HOME").expect("HOME is set")).join(".cache");
                cache.unwrap_or_else(home).join("strombus/bin").join(name)
            }
        };
        assert!(path.exists(), "{} is missing: tests/run installs it", path.display());
        path
    }
}

/// A program of ours, built by cargo beside this test.
pub fn ours(name: &str) -> Command {
    match name {
        "ssh-weblog" => Command::new(env!("CARGO_BIN_EXE_ssh-weblog")),
        "ssh-weblog-server" => Command::new(env!("CARGO_BIN_EXE_ssh-weblog-server")),
        "ssh-weblog-cp" => Command::new(env!("CARGO_BIN_EXE_ssh-weblog-cp")),
        example => {
            let beside = Path::new(env!("CARGO_BIN_EXE_ssh-weblog")).parent().unwrap();
            Command::new(beside.join("examples").join(example))
        }
    }
}

/// What `-Q` of a program lists.
pub fn names(program: &mut Command, query: &str) -> Vec<String> {
    let output = run(program.args(["-Q", query]), b"");
    assert!(output.status.success(), "-Q {query}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// What ours list of a generation's names too, in our order.
pub fn known_to(generation: Generation, query: &str) -> Vec<String> {
    let theirs = names(&mut Command::new(generation.program("ssh")), query);
    let mut known = names(&mut ours("ssh"), query);
    known.retain(|name| theirs.contains(name));
    known
}

/// Keys, known hosts and other files of one test.
pub struct Files {
    pub directory: TempDir,
}

impl Files {
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("strombus-interop").tempdir().unwrap();
        let files = Self { directory };
        for name in ["host_key", "user_key"] {
            let path = files.path(name);
            let made = Command::new(Generation::Bookworm.program("ssh-keygen"))
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(&path)
                .status();
            assert!(made.unwrap().success());
        }
        fs::copy(files.path("user_key.pub"), files.path("authorized_keys")).unwrap();
        files
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub fn write(&self, name: &str, contents: &str) -> String {
        fs::write(self.path(name), contents).unwrap();
        self.text(name)
    }

    /// A known_hosts file with the host key for a port.
    pub fn known_hosts(&self, port: u16) -> String {
        let key = fs::read_to_string(self.path("host_key.pub")).unwrap();
        self.write("known_hosts", &format!("[127.0.0.1]:{port} {key}"))
    }

    /// A program that prints a password, for SSH_ASKPASS.
    pub fn askpass(&self, password: &str) -> String {
        let script = self.write("askpass", &format!("#!/bin/sh\necho '{password}'\n"));
        fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
        script
    }
}

/// A process that is ended with its owner, and what it wrote to standard error.
pub struct Running {
    pub child: Child,
    log: Arc<Mutex<String>>,
    lines: Receiver<String>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let (theirs, (send, lines)) = (Arc::clone(&log), channel());
        thread::spawn(move || {
            for line in stderr.split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                *theirs.lock().unwrap() += &format!("{line}\n");
                let _nobody_waits = send.send(line);
            }
        });
        Self { child, log, lines }
    }

    /// Waits for a line on standard error that holds `text`; nothing if the process ends first.
    pub fn wait_for(&self, text: &str) -> Option<String> {
        loop {
            match self.lines.recv_timeout(deadline()) {
                Ok(line) if line.contains(text) => return Some(line),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Sends a signal to just this process.
    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end, which must come in time.
    pub fn wait(&mut self) -> ExitStatus {
        wait(&mut self.child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Waits for a process, which is killed if it takes too long.
pub fn wait(child: &mut Child) -> ExitStatus {
    let pid = rustix::process::Pid::from_child(child);
    let (done, over) = channel::<()>();
    let watchdog = thread::spawn(move || {
        if over.recv_timeout(deadline()) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            let _ended = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    });
    let status = child.wait().unwrap();
    drop(done);
    watchdog.join().unwrap();
    status
}

/// Runs a program to its end with this input.
pub fn run(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (mut stdin, mut stdout, mut stderr) =
        (child.stdin.take().unwrap(), child.stdout.take().unwrap(), child.stderr.take().unwrap());
    thread::scope(|scope| {
        scope.spawn(move || {
            let _closed = stdin.write_all(input);
        });
        let collect = |pipe: &mut dyn Read| {
            let mut all = Vec::new();
            pipe.read_to_end(&mut all).unwrap();
            all
        };
        let out = scope.spawn(move || collect(&mut stdout));
        let err = scope.spawn(move || collect(&mut stderr));
        let status = wait(&mut child);
        Output { status, stdout: out.join().unwrap(), stderr: err.join().unwrap() }
    })
}

/// So many ports that were given are held.
const HELD_MAX: usize = 256;

/// A free port, which the system gives to nobody else who has no choice of his own, at whatever address: it is held by a socket
/// that does not listen, beside which others that ask for SO_REUSEADDR, as all servers do, can.
pub fn free_port() -> u16 {
    static HELD: Mutex<VecDeque<OwnedFd>> = Mutex::new(VecDeque::new());
    let held = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    set_socket_reuseaddr(&held, true).unwrap();
    bind(&held, &SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let address = SocketAddr::try_from(getsockname(&held).unwrap()).unwrap();
    let mut all = HELD.lock().unwrap();
    all.push_back(held);
    if all.len() > HELD_MAX {
        all.pop_front();
    }
    address.port()
}

/// A server that can be logged in to.
pub struct Server {
    pub running: Running,
    pub port: u16,
}

/// OpenSSH's sshd with further lines of configuration, which count before those that are here.
pub fn sshd(generation: Generation, files: &Files, lines: &[&str]) -> Server {
    for _ in 0..5 {
        let port = free_port();
        let mut config: String = lines.iter().map(|line| format!("{line}\n")).collect();
        config += &format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nUsePAM no\nStrictModes no\n\
             PidFile none\nMaxStartups 100\nLogLevel VERBOSE\n",
            files.text("host_key"),
            files.text("authorized_keys"),
        );
        if generation == Generation::Trixie {
            let path = |name| generation.program(name).display().to_string();
            config += &format!(
                "PerSourcePenalties no\nSshdSessionPath {}\nSshdAuthPath {}\n",
                path("sshd-session"),
                path("sshd-auth")
            );
        }
        let config = files.write("sshd_config", &config);
        let mut command = Command::new(generation.program("sshd"));
        let running = Running::start(command.args(["-D", "-e", "-f", &config]));
        if running.wait_for("Server listening").is_some() {
            return Server { running, port };
        }
        let log = running.log();
        assert!(log.contains("Address already in use"), "{generation:?} sshd: {log}");
    }
    panic!("no free port for sshd");
}

/// `examples/sshd` with further options.
pub fn our_sshd(files: &Files, options: &[&str]) -> Server {
    our_sshd_with(files, &[files.text("host_key")], options)
}

/// The same with other host keys.
pub fn our_sshd_with(files: &Files, host_keys: &[String], options: &[impl AsRef<str>]) -> Server {
    let mut command = ours("sshd");
    command.args(["-D", "-e", "-p", "0", "-o"]);
    command.arg(format!("AuthorizedKeysFile={}", files.text("authorized_keys")));
    for host_key in host_keys {
        command.args(["-h", host_key]);
    }
    for option in options {
        command.args(["-o", option.as_ref()]);
    }
    // All clients of a test are one source. The first of two options counts.
    command.args(["-o", "PerSourcePenalties=no", "-o", "MaxStartups=100"]);
    let running = Running::start(&mut command);
    let line = running.wait_for("Server listening").unwrap_or_else(|| panic!("{}", running.log()));
    let port = line.trim_end_matches('.').rsplit(' ').next().unwrap().parse().unwrap();
    Server { running, port }
}

/// What a client trusts.
#[derive(Clone, Debug)]
pub struct Trust {
    pub known_hosts: String,
    pub strict: &'static str,
}

impl Trust {
    /// Just the host key of the test's, on this port.
    pub fn test_key(files: &Files, port: u16) -> Self {
        Self { known_hosts: files.known_hosts(port), strict: "yes" }
    }

    /// Whatever it meets first, noted down in a file of this name.
    pub fn first_met(files: &Files, name: &str) -> Self {
        Self { known_hosts: files.text(name), strict: "accept-new" }
    }
}

/// OpenSSH's ssh to a port here, with nothing of the user's; the destination and the command follow.
pub fn ssh(generation: Generation, files: &Files, port: u16) -> Command {
    ssh_trusting(generation, files, port, &Trust::test_key(files, port))
}

/// The same with another trust.
pub fn ssh_trusting(generation: Generation, files: &Files, port: u16, trust: &Trust) -> Command {
    let mut command = Command::new(generation.program("ssh"));
    command.args(["-F", "none", "-o", "IdentitiesOnly=yes", "-o", "GlobalKnownHostsFile=none"]);
    common(&mut command, files, port, trust);
    command
}

/// `examples/ssh`, likewise with nothing of the user's.
pub fn our_ssh(files: &Files, port: u16) -> Command {
    our_ssh_trusting(files, port, &Trust::test_key(files, port))
}

/// The same with another trust.
pub fn our_ssh_trusting(files: &Files, port: u16, trust: &Trust) -> Command {
    let mut command = ours("ssh");
    command.args(["-F", "none"]);
    common(&mut command, files, port, trust);
    command
}

fn common(command: &mut Command, files: &Files, port: u16, trust: &Trust) {
    command.env_remove("SSH_AUTH_SOCK").args(["-p", &port.to_string(), "-i", &files.text("user_key")]);
    command.args(["-o", &format!("UserKnownHostsFile={}", trust.known_hosts)]);
    command.args(["-o", &format!("StrictHostKeyChecking={}", trust.strict)]);
}

/// Resident memory of a process (bytes).
pub fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// How many descriptors a process has.
pub fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// The processes that each thread of a process has started, and that are not yet waited for.
pub fn children_of_threads(pid: u32) -> Vec<Vec<i32>> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    let paths = threads.map(|thread| thread.unwrap().path().join("children"));
    // A thread may have ended meanwhile.
    let texts = paths.filter_map(|path| fs::read_to_string(path).ok());
    texts.map(|text| text.split_ascii_whitespace().map(|child| child.parse().unwrap()).collect()).collect()
}

/// Those of all its threads.
pub fn children(pid: u32) -> Vec<i32> {
    children_of_threads(pid).concat()
}

/// The name of whoever runs the tests: the user at sshd.
pub fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// An account of the system's with a password, removed again.
pub struct Account {
    pub name: String,
    pub password: String,
}

impl Account {
    /// Needs root, as in CI.
    pub fn create() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("strombus{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let password = format!("pw-{name}");
        let made =
            Command::new("useradd").args(["-M", "-d", "/tmp", "-s", "/bin/sh", &name]).output().unwrap();
        assert!(made.status.success(), "useradd (as root): {}", String::from_utf8_lossy(&made.stderr));
        let account = Self { name, password };
        let line = format!("{}:{}\n", account.name, account.password);
        assert!(run(&mut Command::new("chpasswd"), line.as_bytes()).status.success());
        account
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let _removed = Command::new("userdel").arg(&self.name).output();
    }
}

/// Runs a program on a terminal of tmux's, answers a prompt, and returns the screen when it has ended.
pub fn on_a_terminal(program: &Command, prompt: &str, answer: &str) -> String {
    let terminal = Terminal::start(program);
    terminal.wait_for(prompt);
    terminal.send(answer);
    terminal.wait_for(ENDED)
}

/// What stands on the screen when the program has ended, with its status behind.
pub const ENDED: &str = "ended with";

/// A program and its arguments as a shell reads them.
pub fn words(program: &Command) -> String {
    let quote = |word: &std::ffi::OsStr| format!("'{}'", word.to_str().unwrap().replace('\'', "'\\''"));
    let words: Vec<_> = std::iter::once(program.get_program()).chain(program.get_args()).map(quote).collect();
    words.join(" ")
}

/// A program on a terminal of its own.
pub struct Terminal {
    socket: String,
}

impl Terminal {
    pub fn start(program: &Command) -> Self {
        Self::run(&format!("{}; echo {ENDED} $?", words(program)))
    }

    /// Lines of a shell, of 200 columns and 50 rows; what they leave on the screen stays.
    pub fn run(script: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let socket = format!("strombus-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let script = format!("{script}; exec cat");
        let terminal = Self { socket };
        let started =
            terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "200", "-y", "50", &script]);
        assert!(started.status.success(), "tmux: {}", String::from_utf8_lossy(&started.stderr));
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        Command::new("tmux").args(["-L", &self.socket]).args(arguments).output().unwrap()
    }

    /// Gives it another size.
    pub fn resize(&self, columns: u32, rows: u32) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let resized = self.tmux(&["resize-window", "-x", &columns, "-y", &rows]);
        assert!(resized.status.success(), "tmux: {}", String::from_utf8_lossy(&resized.stderr));
    }

    /// Types a line.
    pub fn send(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.tmux(&["send-keys", "Enter"]);
    }

    /// Types a key by tmux's name.
    pub fn key(&self, name: &str) {
        self.tmux(&["send-keys", name]);
    }

    /// The screen as it is now.
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p", "-J"]).stdout).into_owned()
    }

    /// The same with the sequences that colour it.
    pub fn coloured_screen(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p", "-e"]).stdout).into_owned()
    }

    /// What tmux says of it, in tmux's own words.
    pub fn state(&self, words: &str) -> String {
        String::from_utf8_lossy(&self.tmux(&["display-message", "-p", words]).stdout).trim_end().to_owned()
    }

    /// The screen, once it shows `text`. tmux tells of no change, so it is asked again and again.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_until(text, |screen| screen.contains(text))
    }

    /// The screen, once it is as it should be.
    pub fn wait_until(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        found(&format!("the terminal shows {what:?}"), || Some(self.screen()).filter(|screen| is(screen)))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
