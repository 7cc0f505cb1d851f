//! Through other hosts and commands to a host: OpenSSH's servers on the way and at its end.

use super::openssh::{Account, ENDED, Files, Generation, Server, Terminal, ours, run, sshd, user};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A server with keys of its own.
struct Host {
    files: Files,
    server: Server,
}

impl Host {
    fn new(generation: Generation, lines: &[&str]) -> Self {
        let files = Files::new();
        // sshd reads the keys as the user who logs in.
        fs::set_permissions(files.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let server = sshd(generation, &files, lines);
        files.known_hosts(server.port);
        Self { files, server }
    }

    /// Its lines of a configuration.
    fn lines(&self, name: &str, user: &str, more: &str) -> String {
        lines(name, self.server.port, user, &self.files, more)
    }

    fn logins(&self) -> usize {
        self.server.running.log().matches("Accepted p").count()
    }
}

fn lines(name: &str, port: u16, user: &str, files: &Files, more: &str) -> String {
    let (key, known) = (files.text("user_key"), files.text("known_hosts"));
    format!(
        "Host {name}\nHostName 127.0.0.1\nPort {port}\nUser {user}\nIdentityFile {key}\nUserKnownHostsFile {known}\n{more}\n"
    )
}

/// What all hosts have in common, behind what they have of their own.
const COMMON: &str = "Host *\nGlobalKnownHostsFile none\nStrictHostKeyChecking yes\nIdentitiesOnly yes\n";

fn our_ssh(config: &str) -> Command {
    let mut command = ours("ssh");
    command.env_remove("SSH_AUTH_SOCK").args(["-F", config]);
    command
}

fn their_ssh(config: &str) -> Command {
    let mut command = Command::new(Generation::Bookworm.program("ssh"));
    command.env_remove("SSH_AUTH_SOCK").args(["-F", config]);
    command
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 83_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()
    };
    (0..length.div_ceil(8)).flat_map(|_| next()).take(length).collect()
}

/// Two jumps and a host, each with its own user, key and known hosts.
struct Way {
    account: Account,
    hosts: [Host; 3],
}

impl Way {
    fn new() -> Self {
        let generations = [Generation::Bookworm, Generation::Trixie, Generation::Bookworm];
        Self { account: Account::create(), hosts: generations.map(|generation| Host::new(generation, &[])) }
    }

    /// The configuration, with lines that are the second jump's and the target's.
    fn config(&self, second: &str, target: &str) -> String {
        let [a, b, c] = &self.hosts;
        let (me, account) = (user(), &self.account.name);
        let lines = [a.lines("a", &me, ""), b.lines("b", account, second), c.lines("c", &me, target)];
        self.hosts[2].files.write("config", &(lines.concat() + COMMON))
    }

    fn logins(&self) -> [usize; 3] {
        self.hosts.each_ref().map(Host::logins)
    }
}

#[test]
fn hosts_on_the_way_are_logged_in_to_each_by_its_own_configuration() {
    let way = Way::new();
    let remote = ["c", "cat; echo oops >&2; exit 7"];
    let mut seen = [0; 3];
    for (second, target, arguments, passed) in [
        ("", "ProxyJump a", &[][..], [1, 0, 1]),
        ("", "", &["-J", "a"][..], [1, 0, 1]),
        ("", "ProxyJump a,b", &[], [1, 1, 1]),
        ("ProxyJump a", "ProxyJump b", &[], [1, 1, 1]),
        ("", "ProxyJump none", &["-J", "a,b"], [1, 1, 1]),
        // What a jump has of its own gives way to what is before it in a list.
        ("ProxyJump nowhere", "ProxyJump a,b", &[], [1, 1, 1]),
        ("", "ProxyJump none", &[], [0, 0, 1]),
    ] {
        let config = way.config(second, target);
        let output = run(our_ssh(&config).args(arguments).args(remote), b"question");
        let told = String::from_utf8_lossy(&output.stderr);
        let case = format!("{second} | {target} | {arguments:?}: {told}");
        assert_eq!((output.status.code(), &*output.stdout), (Some(7), &b"question"[..]), "{case}");
        assert!(told.contains("oops"), "{case}");
        seen = std::array::from_fn(|i| seen[i] + passed[i]);
        assert_eq!(way.logins(), seen, "{case}");
        // ssh goes the same way.
        let answers = [our_ssh(&config), their_ssh(&config)].map(|mut ssh| {
            let output = run(ssh.args(arguments).args(["-G", "c"]), b"");
            let lines = String::from_utf8(output.stdout).unwrap();
            lines.lines().filter(|line| line.starts_with("proxy")).map(str::to_owned).collect::<Vec<_>>()
        });
        assert_eq!(
            answers[0].iter().filter(|l| !l.contains("fdpass")).collect::<Vec<_>>(),
            answers[1].iter().filter(|l| !l.contains("fdpass")).collect::<Vec<_>>()
        );
    }
    assert!(
        way.hosts[1].server.running.log().contains(&format!("Accepted publickey for {}", way.account.name))
    );
}

#[test]
fn bulk_goes_whole_through_two_hosts() {
    let way = Way::new();
    let config = way.config("", "ProxyJump a,b");
    let sent = noise(64 << 20);
    let output = run(our_ssh(&config).args(["c", "cat"]), &sent);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout == sent, "{} bytes of {} came back, or others", output.stdout.len(), sent.len());
    assert_eq!(way.logins(), [1, 1, 1]);
    for host in &way.hosts {
        assert!(host.server.running.wait_for("disconnected by user").is_some(), "each is told of the end");
    }
}

#[test]
fn a_log_is_read_and_copied_through_hosts() {
    let way = Way::new();
    let line = "192.0.2.7 - - [10/Oct/2026:13:55:36 +0000] \"GET /through HTTP/1.1\" 200 2326\n";
    let log = way.hosts[2].files.write("access.log", line);
    let mut weblog = ours("ssh-weblog");
    weblog.env_remove("SSH_AUTH_SOCK").args([
        "-F",
        &way.config("", ""),
        "-J",
        "a,b",
        "--batch",
        "--show",
        "raw",
    ]);
    let output = run(weblog.args(["--no-follow", &format!("c:{log}")]), b"");
    let (shown, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((output.status.code(), &*shown), (Some(0), line), "{told}");
    assert_eq!(way.logins(), [1, 1, 1]);
    let copied = way.hosts[2].files.path("copied");
    for (words, status) in [(&["-6"][..], 255), (&["-4"], 0), (&["-J", "a,b"], 0)] {
        let mut copy = ours("ssh-weblog-cp");
        copy.env_remove("SSH_AUTH_SOCK").args(["-F", &way.config("", ""), "--batch"]).args(words);
        let output = run(copy.arg(format!("c:{log}")).arg(&copied), b"");
        assert_eq!(output.status.code(), Some(status), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(fs::read_to_string(copied).unwrap(), line);
    assert_eq!(way.logins(), [2, 2, 3]);
}

#[test]
fn t59_a_jump_whose_key_is_not_known_is_not_passed() {
    let way = Way::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let port = silent.local_addr().unwrap().port();
    for (wrong, passed) in [(0, [0, 0, 0]), (1, [1, 0, 0])] {
        let files = &way.hosts[wrong].files;
        let right = fs::read_to_string(files.path("known_hosts")).unwrap();
        let other = fs::read_to_string(files.path("user_key.pub")).unwrap();
        files.write("known_hosts", &format!("[127.0.0.1]:{} {other}", way.hosts[wrong].server.port));
        let config = way.config("", &format!("Port {port}\nProxyJump a,b"));
        // The target is a listener that nobody reaches.
        let text = fs::read_to_string(&config).unwrap();
        let config =
            files.write("silent", &text.replace(&format!("Port {}\n", way.hosts[2].server.port), ""));
        let output = run(our_ssh(&config).args(["c", "true"]), b"");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(255), "{told}");
        assert!(told.contains("the host key of") && told.contains("Host key verification failed."), "{told}");
        assert_eq!(way.logins(), passed);
        assert_eq!(silent.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        files.write("known_hosts", &right);
    }
}

#[test]
fn a_host_that_does_not_connect_further_is_told_by_name() {
    let refusing = Host::new(Generation::Bookworm, &["AllowTcpForwarding no"]);
    let willing = Host::new(Generation::Bookworm, &[]);
    let closed = super::openssh::free_port();
    let target = |jump: &str| lines("c", closed, "ann", &willing.files, &format!("ProxyJump {jump}"));
    for (jump, why) in [("refusing", "prohibited"), ("willing", "connect failed: Connection refused")] {
        let hosts = refusing.lines("refusing", &user(), "") + &willing.lines("willing", &user(), "");
        let config = willing.files.write("config", &(hosts + &target(jump) + COMMON));
        let output = run(our_ssh(&config).args(["c", "true"]), b"");
        let told = String::from_utf8_lossy(&output.stderr);
        let text = format!("127.0.0.1: no connection to 127.0.0.1 port {closed} from there: ");
        assert!(told.contains(&text) && told.contains(why), "{told}");
        assert_eq!((output.status.code(), told.lines().count()), (Some(255), 1), "{told}");
    }
    // The same by the example's -W, whose status is ssh's.
    let config = willing.files.write("config", &(willing.lines("willing", &user(), "") + COMMON));
    let output = run(our_ssh(&config).args(["-W", &format!("127.0.0.1:{closed}"), "willing"]), b"");
    assert_eq!(output.status.code(), Some(255), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_command_is_the_connection_for_ours_and_theirs() {
    let way = Way::new();
    let sent = noise(8 << 20);
    let plain = way.config("", "");
    let own =
        format!("ProxyCommand {} -F {plain} -W %h:%p a", our_ssh(&plain).get_program().to_str().unwrap());
    let theirs =
        format!("ProxyCommand {} -F {plain} -W '[%h]:%p' b", Generation::Bookworm.program("ssh").display());
    let text = fs::read_to_string(&plain).unwrap();
    for (i, command) in [own, theirs].iter().enumerate() {
        let config = way.hosts[i]
            .files
            .write("config", &text.replace("Host *\n", &format!("Host c\n{command}\nHost *\n")));
        for mut ssh in [our_ssh(&config), their_ssh(&config)] {
            let output = run(ssh.args(["c", "cat; exit 7"]), &sent);
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(7), "{command}: {told}");
            assert!(output.stdout == sent, "{command}: {} bytes came back: {told}", output.stdout.len());
        }
    }
    assert_eq!(way.logins(), [2, 2, 4]);
}

#[test]
fn a_connection_forwarded_to_standard_output_ends_apart_in_both_directions() {
    let host = Host::new(Generation::Bookworm, &[]);
    let config = host.files.write("config", &(host.lines("a", &user(), "") + COMMON));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
    for there_first in [true, false] {
        let mut child = our_ssh(&config)
            .args(["-W", &to, "a"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut socket = listener.accept().unwrap().0;
        let mut all = String::new();
        if there_first {
            socket.write_all(b"first").unwrap();
            socket.shutdown(std::net::Shutdown::Write).unwrap();
            stdout.read_to_string(&mut all).unwrap();
            stdin.write_all(b"second").unwrap();
            drop(stdin);
            socket.read_to_string(&mut all).unwrap();
        } else {
            stdin.write_all(b"first").unwrap();
            drop(stdin);
            socket.read_to_string(&mut all).unwrap();
            socket.write_all(b"second").unwrap();
            drop(socket);
            stdout.read_to_string(&mut all).unwrap();
        }
        assert_eq!(all, "firstsecond");
        assert_eq!(super::openssh::wait(&mut child).code(), Some(0));
    }
}

#[test]
fn a_command_ends_with_the_connection_even_if_it_would_go_on() {
    let host = Host::new(Generation::Bookworm, &[]);
    let (mark, plain) = (host.files.text("pid"), host.files.text("plain"));
    fs::write(&plain, host.lines("c", &user(), "") + COMMON).unwrap();
    let ssh = Generation::Bookworm.program("ssh");
    // The script goes on when ssh has ended.
    let script = format!(
        "#!/bin/sh\necho $$ >{mark}\n{} -F {plain} -W $1:$2 c\nexec cat /dev/zero >/dev/null\n",
        ssh.display()
    );
    let script = host.files.write("way", &script);
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let config = host.lines("c", &user(), &format!("ProxyCommand {script} %h %p")) + COMMON;
    let config = host.files.write("config", &config);
    let output = run(our_ssh(&config).args(["c", "echo done"]), b"");
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"done\n"[..]));
    let pid = fs::read_to_string(&mark).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).exists(), "process {pid} is still there");
}

#[test]
fn a_command_that_fails_or_is_silent_is_no_connection() {
    let files = Files::new();
    files.known_hosts(22);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let run = |more: &str| {
        let config = files.write("config", &(lines("c", port, "ann", &files, more) + COMMON));
        let output = run(our_ssh(&config).args(["c", "true"]), b"");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (status, told) = run("ProxyCommand echo no way >&2; exit 3");
    assert_eq!(status, Some(255), "{told}");
    assert!(told.contains("no way"), "{told}");
    let (status, told) = run("ConnectTimeout 1\nProxyCommand cat >/dev/null");
    assert_eq!((status, told.contains("did not answer in time")), (Some(255), true), "{told}");
    // Behind a jump that connects to a host which says nothing.
    let host = Host::new(Generation::Bookworm, &[]);
    let more = format!("ConnectTimeout 1\nProxyJump a\n{}", host.lines("a", &user(), ""));
    let (status, told) = run(&more);
    assert_eq!((status, told.contains("did not answer in time")), (Some(255), true), "{told}");
    assert_eq!(host.logins(), 1);
    // Behind a jump that hears nothing of the host: its listener's queue is full.
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None);
    let socket = socket.unwrap();
    rustix::net::bind(&socket, &std::net::SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let full = TcpListener::from(socket);
    let port = full.local_addr().unwrap().port();
    let connect = |_| TcpStream::connect_timeout(&full.local_addr().unwrap(), Duration::from_millis(50)).ok();
    let queued: Vec<_> = (0..16).map_while(connect).collect();
    assert!(queued.len() < 16, "the queue is not full");
    let config = lines("c", port, "ann", &files, &more) + COMMON;
    let output = super::openssh::run(our_ssh(&files.write("config", &config)).args(["c", "true"]), b"");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("127.0.0.1: no answer about 127.0.0.1 in time"), "{told}");
    assert_eq!((output.status.code(), host.logins()), (Some(255), 2));
}

#[test]
fn t83_names_that_a_shell_would_read_start_no_proxy() {
    let files = Files::new();
    let mark = files.path("mark");
    let command = format!("ProxyCommand touch {}; : %h %r %n; exit 1", mark.display());
    let run = |lines: &str, arguments: &[&str]| {
        let config = files.write("config", &format!("{lines}\n{command}\n"));
        let ssh = run(our_ssh(&config).args(arguments).arg("true"), b"");
        let mut weblog = ours("ssh-weblog");
        weblog.env_remove("SSH_AUTH_SOCK").args(["-F", &config]).args(arguments).arg("/log");
        for output in [ssh, run(&mut weblog, b"")] {
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success(), "{told}");
            assert!(!told.is_empty(), "it is told why");
        }
        mark.exists()
    };
    for (lines, arguments) in [
        ("HostName a;touch${IFS}x", &["c"][..]),
        ("HostName $(x)", &["c"]),
        ("HostName -oProxyCommand=x", &["c"]),
        ("HostKeyAlias `x`", &["c"]),
        ("User a;b", &["c"]),
        ("User -l", &["c"]),
        ("", &["a;b"]),
        ("", &["$(x)"]),
        ("", &["-l", "a|b", "c"]),
        ("", &["-l", "a\nb", "c"]),
        ("", &["a\nb"]),
        ("", &["`x`@c"]),
    ] {
        assert!(!run(lines, arguments), "{lines} {arguments:?}");
    }
    assert!(run("HostName plain.example\nUser ann", &["c"]), "it is started where the names are harmless");
}

#[test]
fn a_jump_that_goes_away_ends_what_goes_through_it() {
    let way = Way::new();
    let config = way.config("", "ProxyJump a,b");
    let mut child = our_ssh(&config)
        .args(["c", "echo there; cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    assert_eq!(&said, b"there\n");
    // The children of its sshd are the sessions.
    let pid = way.hosts[0].server.running.child.id();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    for child in children.split_ascii_whitespace() {
        let pid = rustix::process::Pid::from_raw(child.parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    assert_eq!(super::openssh::wait(&mut child).code(), Some(255));
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(told.contains("the host closed the connection"), "{told}");
}

#[test]
fn each_host_asks_for_its_password_when_the_one_before_has_let_us_through() {
    let accounts = [Account::create(), Account::create()];
    let lines_of = ["PubkeyAuthentication no", "PasswordAuthentication yes"];
    let (a, c) = (Host::new(Generation::Bookworm, &lines_of), Host::new(Generation::Bookworm, &lines_of));
    let config =
        a.lines("a", &accounts[0].name, "") + &c.lines("c", &accounts[1].name, "ProxyJump a") + COMMON;
    let config = a.files.write("config", &config);
    let mut command = our_ssh(&config);
    command.args(["c", "echo through"]);
    let terminal = Terminal::start(&command);
    for account in &accounts {
        let screen = terminal.wait_for(&format!("{}@127.0.0.1's password:", account.name));
        assert_eq!(screen.matches("password:").count(), if account.name == accounts[0].name { 1 } else { 2 });
        terminal.send(&account.password);
    }
    let screen = terminal.wait_for(ENDED);
    assert!(screen.contains("through") && screen.contains(&format!("{ENDED} 0")), "{screen}");
    let terminal = Terminal::start(&command);
    terminal.wait_for("password:");
    terminal.key("C-c");
    let screen = terminal.wait_for(ENDED);
    assert!(screen.contains(&format!("{ENDED} 130")), "{screen}");
    assert_eq!((a.logins(), c.logins()), (1, 1), "who gives up at the first prompt is logged in nowhere");
}
