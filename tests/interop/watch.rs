//! Logs that are followed on hosts: by each way, across rotations and lost connections.

use super::openssh::{Files, Generation, Server, free_port, is_long, ours, run, sshd};
use super::weblog::{Watching, append, here, hit, ssh_weblog};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Cuts of a watch's connection. Each comes soon after another, so that the host is dialled later.
const CUTS: u64 = 3;

/// Watches whose connections are cut so, in a short run and in a long one.
const WATCHES: (u64, u64) = (2, 334);

/// Of these so many at once: they wait most of the time.
const AT_ONCE: u32 = 4;

/// Rotated files that are kept.
const KEPT: u32 = 20;

/// An sshd of that generation with its sftp-server.
pub fn serving(generation: Generation, files: &Files) -> Server {
    sshd(generation, files, &[&format!("Subsystem sftp {}", generation.program("sftp-server").display())])
}

/// Ends the processes that serve the server's connections, without a word to anybody.
pub fn cut(server: &Server) {
    signal_children(server, Signal::KILL);
}

/// Sends a signal to the processes that serve the server's connections.
pub fn signal_children(server: &Server, signal: Signal) {
    let mut all = vec![server.running.child.id()];
    let mut at = 0;
    while let Some(pid) = all.get(at).copied() {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        all.extend(children.split_ascii_whitespace().map(|child| child.parse::<u32>().unwrap()));
        at += 1;
    }
    for child in all.into_iter().skip(1) {
        let child = Pid::from_raw(child.try_into().unwrap()).unwrap();
        let _gone_by_itself = kill_process(child, signal);
    }
}

/// Rotates as logrotate does: `access.log.1` is always the newest.
fn rotate(files: &Files) {
    let named = |number: u32| files.path(&format!("access.log.{number}"));
    for number in (1..KEPT).rev().filter(|number| named(*number).exists()) {
        fs::rename(named(number), named(number + 1)).unwrap();
    }
    fs::rename(files.path("access.log"), named(1)).unwrap();
    append(&files.path("access.log"), "");
}

/// SplitMix64, the same each time.
pub struct Dice(pub u64);

impl Dice {
    pub fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// A connection's socket to the watch, and whether what comes through is swallowed.
type Carried = (TcpStream, Arc<AtomicBool>);

/// Stands between a watch and its host, and may fail.
struct Link {
    port: u16,
    open: Arc<Mutex<Vec<Carried>>>,
}

impl Link {
    fn new(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = Self { port: listener.local_addr().unwrap().port(), open: Arc::default() };
        let open = Arc::clone(&link.open);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                let swallows = Arc::new(AtomicBool::new(false));
                open.lock().unwrap().push((client.try_clone().unwrap(), Arc::clone(&swallows)));
                let (client2, server2) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let swallows2 = Arc::clone(&swallows);
                thread::spawn(move || carry(client, server, &swallows));
                thread::spawn(move || carry(server2, client2, &swallows2));
            }
        });
        link
    }

    /// Both ends hear that it is gone.
    fn shut(&self) {
        for (client, _) in self.open.lock().unwrap().drain(..) {
            let _gone_by_itself = client.shutdown(Shutdown::Both);
        }
    }

    /// Nothing comes through any more, and nobody hears of it.
    fn swallow(&self) {
        for (_, swallows) in self.open.lock().unwrap().drain(..) {
            swallows.store(true, Ordering::SeqCst);
        }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, swallows: &AtomicBool) {
    let mut bytes = vec![0; 65_536];
    while let Ok(n @ 1..) = from.read(&mut bytes) {
        if !swallows.load(Ordering::SeqCst) && to.write_all(&bytes[..n]).is_err() {
            break;
        }
    }
    if !swallows.load(Ordering::SeqCst) {
        let _gone_by_itself = to.shutdown(Shutdown::Both);
    }
}

/// One watch whose connections are cut, in each of three ways in turn.
fn watch_across_cuts(number: u64) {
    let generation = Generation::ALL[usize::try_from(number).unwrap() % Generation::ALL.len()];
    let files = Files::new();
    let server = serving(generation, &files);
    let link = Link::new(server.port);
    let log = files.path("access.log");
    append(&log, &hit("-", "/0", 200));
    let mut command = ssh_weblog(&files, link.port);
    command.args(["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1"]);
    command.args(["-n", "+1", "--via", "sftp", "--format", "{resource}", "--stop-on", "/end", &here()]);
    let mut watching = Watching::start(command.arg(&log));
    assert_eq!(watching.line().as_deref(), Some("/0"), "{}", watching.running.log());
    let (mut dice, mut written) = (Dice(2003 + number), 1);
    let mut write = |dice: &mut Dice, count: u64| {
        let lines: String = (0..count).map(|n| hit("-", &format!("/{}", written + n), 200)).collect();
        written += count;
        append(&log, &lines);
        if dice.throw(2) == 0 {
            rotate(&files);
        }
        written
    };
    let mut read = 1;
    for at in 0..CUTS {
        let count = 1 + dice.throw(50);
        let all = write(&mut dice, count);
        // Some of it is read before the cut, and more is written while nobody reads.
        let until = read + dice.throw(all - read + 1);
        while read < until {
            assert_eq!(watching.line(), Some(format!("/{read}")), "{}", watching.running.log());
            read += 1;
        }
        match (number * CUTS + at) % 6 {
            0 => link.swallow(),
            2 | 4 => link.shut(),
            _ => cut(&server),
        }
        let count = dice.throw(50);
        write(&mut dice, count);
    }
    append(&log, &hit("-", "/end", 200));
    for expected in read..written {
        assert_eq!(watching.line(), Some(format!("/{expected}")), "{}", watching.running.log());
    }
    assert_eq!(watching.line().as_deref(), Some("/end"));
    assert_eq!(watching.line().as_deref(), Some("Bye bye..."));
    assert_eq!(watching.running.wait().code(), Some(0));
    let told = watching.running.log();
    assert!(told.contains("127.0.0.1: connection lost (") && told.contains("reconnected after"), "{told}");
    assert!(!told.contains("gap"), "{told}");
}

#[test]
fn each_line_comes_once_in_order_however_often_the_connection_is_cut_and_the_log_rotated() {
    let watches = if is_long() { WATCHES.1 } else { WATCHES.0 };
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    match next.fetch_add(1, Ordering::SeqCst) {
                        number if number < watches => watch_across_cuts(number),
                        _ => break,
                    }
                }
            });
        }
    });
}

#[test]
fn a_log_is_followed_across_a_rotation_by_every_way_that_a_host_may_have() {
    for generation in Generation::ALL {
        for via in ["sftp", "sh", "tail"] {
            let files = Files::new();
            let server = serving(generation, &files);
            let log = files.path("it's $(a) log");
            append(&log, &(hit("-", "/old", 200) + &hit("-", "/0", 200)));
            let mut command = ssh_weblog(&files, server.port);
            command.args(["-v", "-n1", "--via", via, "--format", "{resource}", "--stop-on", "/end"]);
            let mut watching = Watching::start(command.arg(here()).arg(&log));
            assert_eq!(watching.line().as_deref(), Some("/0"), "{}", watching.running.log());
            append(&log, &hit("-", "/1", 200));
            assert_eq!(watching.line().as_deref(), Some("/1"));
            fs::rename(&log, files.path("rotated")).unwrap();
            append(&log, &(hit("-", "/2", 200) + &hit("-", "/end", 200)));
            for expected in ["/2", "/end", "Bye bye..."] {
                assert_eq!(watching.line().as_deref(), Some(expected), "{via}: {}", watching.running.log());
            }
            assert_eq!(watching.running.wait().code(), Some(0));
            assert!(watching.running.wait_for("receipt ").is_some(), "{}", watching.running.log());
            let told = watching.running.log();
            assert!(told.contains(&format!("127.0.0.1: via {via}\n")), "{told}");
            assert!(told.contains(": format combined\n"), "{told}");
        }
    }
}

#[test]
fn without_following_every_way_ends_at_the_end_of_the_log_and_says_what_is_not_there() {
    let files = Files::new();
    let server = serving(Generation::Bookworm, &files);
    let log = files.path("access.log");
    append(&log, (hit("-", "/0", 200) + &hit("-", "/1", 200)).trim_end());
    for via in ["sftp", "sh", "tail"] {
        let watched = |log: &str| {
            let mut command = ssh_weblog(&files, server.port);
            command.args(["-q", "--no-follow", "--via", via, "--format", "{resource}"]);
            let output = run(command.arg(format!("{}:{log}", here())), b"");
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            (output.status.code(), text(output.stdout), text(output.stderr))
        };
        let (status, shown, told) = watched(log.to_str().unwrap());
        assert_eq!((status, shown.as_str()), (Some(0), "/0\n/1\n"), "{via}: {told}");
        let (status, shown, told) = watched(&files.text("none.log"));
        assert_eq!((status, shown.as_str()), (Some(1), ""), "{via}: {told}");
        assert!(told.contains("no such file there; look at the path"), "{via}: {told}");
        let (status, _, told) = watched(files.directory.path().to_str().unwrap());
        assert_eq!(status, Some(1), "{via}: {told}");
    }
}

#[test]
fn without_sftp_a_shell_is_taken_and_one_that_was_asked_for_is_missed() {
    let files = Files::new();
    let server = sshd(Generation::Bookworm, &files, &[]);
    let log = files.path("access.log");
    append(&log, &hit("-", "/0", 200));
    let mut command = ssh_weblog(&files, server.port);
    command.args(["-v", "-n1", "--format", "{resource}", "--stop-on", "/end"]);
    let mut watching = Watching::start(command.arg(here()).arg(&log));
    assert_eq!(watching.line().as_deref(), Some("/0"), "{}", watching.running.log());
    append(&log, &hit("-", "/end", 200));
    assert_eq!(watching.line().as_deref(), Some("/end"));
    assert_eq!(watching.running.wait().code(), Some(0));
    assert!(watching.running.log().contains("127.0.0.1: via sh\n"), "{}", watching.running.log());
    let mut command = ssh_weblog(&files, server.port);
    let output = run(command.args(["-q", "--no-follow", "--via", "sftp"]).arg(here()).arg(&log), b"");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("no sftp there") && told.contains("Subsystem sftp internal-sftp"), "{told}");
}

#[test]
fn a_follower_there_that_ends_at_once_is_not_begun_again_at_once() {
    let files = Files::new();
    // Without it the follower can't wait, and ends.
    fs::create_dir(files.path("bin")).unwrap();
    let sleep = files.write("bin/sleep", "#!/bin/sh\nexit 1\n");
    fs::set_permissions(&sleep, fs::Permissions::from_mode(0o755)).unwrap();
    let command = format!("PATH={}:/usr/bin:/bin exec sh -s", files.text("bin"));
    let server = sshd(Generation::Trixie, &files, &[&format!("ForceCommand={command}")]);
    let log = files.path("access.log");
    append(&log, &hit("-", "/0", 200));
    let mut command = ssh_weblog(&files, server.port);
    command.args(["--via", "sh", "-n1", "--format", "{resource}", "--stop-on", "/end"]);
    let mut watching = Watching::start(command.arg(here()).arg(&log));
    assert_eq!(watching.line().as_deref(), Some("/0"), "{}", watching.running.log());
    watching.running.wait_for("again in").unwrap_or_else(|| panic!("{}", watching.running.log()));
    append(&log, &hit("-", "/end", 200));
    assert_eq!(watching.line().as_deref(), Some("/end"), "{}", watching.running.log());
    assert_eq!(watching.running.wait().code(), Some(0));
}

#[test]
fn what_cannot_be_had_is_told_and_does_not_stop_the_others() {
    let files = Files::new();
    let server = serving(Generation::Trixie, &files);
    append(&files.path("a.log"), &hit("https://a.example/", "/a", 200));
    append(&files.path("b.log"), &hit("https://b.example/", "/b", 200));
    fs::create_dir(files.path("d.log")).unwrap();
    let pattern = format!("{}:{}/?.log", here(), files.directory.path().display());
    let missing = format!("{}:{}", here(), files.text("missing.log"));
    let unreached = format!("ssh://127.0.0.1:{}/a.log", free_port());
    let local = files.text("b.log");
    for (sources, status) in [
        (vec![&pattern], 0),
        (vec![&pattern, &local], 0),
        (vec![&missing, &pattern, &local], 1),
        (vec![&unreached, &pattern, &local], 255),
    ] {
        let mut command = ssh_weblog(&files, server.port);
        let output = run(command.args(["--no-follow", "--show", "hits"]).args(&sources), b"");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{told}");
        let shown = String::from_utf8(output.stdout).unwrap();
        let mut lines: Vec<_> = shown.lines().map(|line| line.split(' ').next().unwrap()).collect();
        lines.sort_unstable();
        let there = |name: &str| format!("{}:{}", here(), files.text(name));
        let mut expected = vec![there("a.log"), there("b.log")];
        expected.extend(sources.contains(&&local).then(|| local.clone()));
        expected.sort_unstable();
        assert_eq!(lines, expected, "each hit says where it is from");
        assert_eq!(told.matches("host key fingerprint").count(), 1, "one connection a host: {told}");
        assert_eq!(told.contains("no such file"), status == 1, "{told}");
    }
}

#[test]
fn a_host_that_is_tried_again_and_never_there_is_not_said_to_be_lost() {
    let files = Files::new();
    let port = free_port();
    let mut command = ssh_weblog(&files, port);
    let output = run(command.args(["--no-follow", "--retry", "1", "127.0.0.1:a.log"]), b"");
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(255), "{told}");
    let why = format!("connect to host 127.0.0.1 port {port}: Connection refused");
    let expected =
        format!("127.0.0.1: cannot be reached ({why}); again in 1 s\n127.0.0.1: cannot be reached ({why})\n");
    assert_eq!(told, expected);
}

#[test]
fn a_pattern_where_a_command_reads_is_told_once_counted_and_no_reason_to_wait() {
    let files = Files::new();
    let server = serving(Generation::Bookworm, &files);
    append(&files.path("a.log"), &hit("-", "/a", 200));
    append(&files.path("[b].log"), &hit("-", "/b", 200));
    let watched = |arguments: &[&str], log: &str| {
        let mut command = ssh_weblog(&files, server.port);
        command.args(["-q", "-n", "+1", "--format", "{resource}"]).args(arguments);
        let output = run(command.arg(format!("{}:{}", here(), files.text(log))), b"");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    for arguments in
        [&["--via", "sh"][..], &["--via", "sh", "--no-follow"], &["--via", "tail", "--no-follow"]]
    {
        let (status, shown, told) = watched(arguments, "*.log");
        assert_eq!((status, shown.as_str()), (Some(1), ""), "{arguments:?}: {told}");
        assert_eq!(told.matches("; patterns need sftp: name each log\n").count(), 1, "{arguments:?}: {told}");
    }
    for via in ["sh", "tail"] {
        let (status, shown, told) = watched(&["--via", via, "--no-follow"], "[b].log");
        assert_eq!(
            (status, shown.as_str(), told.as_str()),
            (Some(0), "/b\n", ""),
            "a file of exactly this name"
        );
    }
}

#[test]
fn more_logs_than_a_connection_may_have_sessions_are_read_by_more_connections() {
    const LOGS: usize = 8;
    for generation in Generation::ALL {
        let files = Files::new();
        let server = sshd(generation, &files, &["MaxSessions 3"]);
        let name = |log: usize| files.text(&format!("{log}.log"));
        let write = |log: usize| append(name(log).as_ref(), &hit("-", &format!("/{log}"), 200));
        let sources: Vec<_> = (0..LOGS).map(|log| format!("{}:{}", here(), name(log))).collect();
        let all: Vec<_> = (0..LOGS).map(|log| format!("/{log}")).collect();
        (0..LOGS).for_each(write);
        for via in ["sh", "tail"] {
            let mut command = ssh_weblog(&files, server.port);
            command.args(["--no-follow", "--via", via, "--format", "{resource}"]);
            let output = run(command.args(&sources), b"");
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(0), "{via}: {told}");
            let shown = String::from_utf8(output.stdout).unwrap();
            let mut lines: Vec<_> = shown.lines().collect();
            lines.sort_unstable();
            assert_eq!(lines, all, "{via}: {told}");
            assert_eq!(told.matches("host key fingerprint").count(), 1, "once a host: {told}");
            assert!(!told.contains("no session"), "{told}");
        }
        let mut command = ssh_weblog(&files, server.port);
        command.args(["-n1", "--via", "sh", "--format", "{resource}", "--stop-on", "/end"]);
        let mut watching = Watching::start(command.args(&sources));
        for _ in 0..2 {
            let mut lines: Vec<_> = (0..LOGS).filter_map(|_| watching.line()).collect();
            lines.sort_unstable();
            assert_eq!(lines, all, "{}", watching.running.log());
            (0..LOGS).for_each(write);
        }
        append(name(LOGS - 1).as_ref(), &hit("-", "/end", 200));
        assert_eq!(watching.running.wait().code(), Some(0), "{}", watching.running.log());
        assert_eq!(watching.running.log().matches("via sh: ").count(), 1, "{}", watching.running.log());
    }
}

#[test]
fn positions_are_kept_across_runs_and_through_a_rotation_between_them() {
    let files = Files::new();
    let server = serving(Generation::Bookworm, &files);
    let (log, state) = (files.path("access.log"), files.text("state"));
    let shown = || {
        let mut command = ssh_weblog(&files, server.port);
        command.args(["-q", "--no-follow", "--state", &state, "--format", "{resource}", &here()]);
        let output = run(command.arg(&log), b"");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    append(&log, &(hit("-", "/0", 200) + &hit("-", "/1", 200)));
    assert_eq!(shown(), "/0\n/1\n");
    assert_eq!(shown(), "");
    append(&log, &hit("-", "/2", 200));
    fs::rename(&log, files.path("access.log.1")).unwrap();
    append(&log, &hit("-", "/3", 200));
    assert_eq!(shown(), "/2\n/3\n");
}

#[test]
fn what_comes_behind_the_line_that_ends_a_watch_is_shown_by_the_next() {
    let files = Files::new();
    let server = serving(Generation::Trixie, &files);
    let (log, rotated) = (files.path("access.log"), files.path("access.log.1"));
    append(&rotated, &["/0", "/end", "/1"].map(|resource| hit("-", resource, 200)).concat());
    append(&log, &["/2", "/end", "/3"].map(|resource| hit("-", resource, 200)).concat());
    let log = log.to_str().unwrap();
    let host = format!("{}:{log}", here());
    for (state, source) in [("local", log), ("sftp", &host)] {
        for expected in ["/0\n/end\nBye bye...\n", "/1\n/2\n/end\nBye bye...\n", "/3\n", ""] {
            let mut command = ssh_weblog(&files, server.port);
            command.args([
                "-q",
                "--no-follow",
                "--with-rotated",
                "--format",
                "{resource}",
                "--stop-on",
                "/end",
            ]);
            let output = run(command.args(["--state", &files.text(state), source]), b"");
            assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{source}");
        }
    }
    // One of two logs ends it: nothing of the other is lost.
    append(&files.path("a.log"), &["/a0", "/end", "/a1"].map(|resource| hit("-", resource, 200)).concat());
    append(&files.path("b.log"), &["/b0", "/b1"].map(|resource| hit("-", resource, 200)).concat());
    let mut shown = Vec::new();
    for _ in 0..2 {
        let mut command = ours("ssh-weblog");
        command.args(["-q", "--no-follow", "-n", "+1", "--format", "{resource}", "--stop-on", "/end"]);
        command.args(["--state", &files.text("both"), &files.text("a.log"), &files.text("b.log")]);
        shown.extend(run(&mut command, b"").stdout);
    }
    let mut shown: Vec<_> = core::str::from_utf8(&shown).unwrap().lines().collect();
    shown.sort_unstable();
    assert_eq!(shown, ["/a0", "/a1", "/b0", "/b1", "/end", "Bye bye..."]);
}

#[test]
fn a_watch_that_is_ended_while_nobody_reads_its_output_goes_on_behind_what_it_has_written() {
    const LINES: u64 = 50_000;
    // More than is held of the output, and than is told before it is taken.
    let resource = |number: u64| format!("/{number:0200}");
    let files = Files::new();
    let log = files.path("access.log");
    append(&log, &(0..LINES).map(|number| hit("-", &resource(number), 200)).collect::<String>());
    let mut shown = 0;
    for signal in [Some(Signal::INT), None] {
        let mut command = ours("ssh-weblog");
        command.args(["-q", "--no-follow", "-n", "+1", "--format", "{resource}"]);
        command.args(["--state", &files.text("state"), log.to_str().unwrap()]);
        let mut watching = Watching::start(&mut command);
        let mut next = watching.line();
        assert_eq!(next.as_deref(), Some(resource(shown).as_str()));
        if let Some(signal) = signal {
            let pid = Pid::from_raw(watching.running.child.id().try_into().unwrap()).unwrap();
            kill_process(pid, signal).unwrap();
        }
        while let Some(line) = next {
            assert_eq!(line, resource(shown));
            shown += 1;
            next = watching.line();
        }
        assert_eq!(watching.running.wait().code(), Some(if signal.is_some() { 130 } else { 0 }));
        assert!(signal.is_none() || shown < LINES, "it was ended before all was read");
    }
    assert_eq!(shown, LINES);
}

#[test]
fn a_log_that_a_pattern_finds_by_several_names_is_read_once() {
    let files = Files::new();
    append(&files.path("a.log"), &hit("-", "/once", 200));
    fs::hard_link(files.path("a.log"), files.path("b.log")).unwrap();
    symlink("a.log", files.path("c.log")).unwrap();
    append(&files.path("d.log"), &hit("-", "/another", 200));
    let mut command = ours("ssh-weblog");
    let output = run(command.args(["--no-follow", "--format", "{resource}", &files.text("?.log")]), b"");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "/once\n/another\n");
}

#[test]
fn what_appears_where_nothing_fitted_a_pattern_is_shown_from_its_beginning() {
    let files = Files::new();
    let pattern = files.text("site-*.log");
    let mut watching = Watching::start(ours("ssh-weblog").arg(&pattern));
    watching.running.wait_for("waiting for one").unwrap_or_else(|| panic!("{}", watching.running.log()));
    let whole = hit("https://one.example/", "/1", 200) + &hit("https://two.example/", "/2", 200);
    append(&files.path("new"), &whole);
    fs::rename(files.path("new"), files.path("site-a.log")).unwrap();
    assert_eq!(watching.line().as_deref(), Some("https://one.example/  --> /1"));
    assert_eq!(watching.line().as_deref(), Some("https://two.example/  --> /2"));
}

#[test]
fn a_watch_ends_when_until_has_passed() {
    let files = Files::new();
    append(&files.path("a.log"), &hit("https://one.example/", "/1", 200));
    let soon = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 2;
    for (until, shown) in
        [(format!("@{soon}"), ""), ("@1772400000".to_owned(), "https://one.example/  --> /1\n")]
    {
        let output = run(ours("ssh-weblog").args(["--until", &until, &files.text("a.log")]), b"");
        assert_eq!(output.status.code(), Some(0), "{until}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout), shown, "{until}");
    }
}

#[test]
fn a_way_that_keeps_no_positions_leaves_those_that_were_kept_and_says_so_once() {
    let files = Files::new();
    let server = serving(Generation::Bookworm, &files);
    let (log, other, state) = (files.path("access.log"), files.text("other.log"), files.text("state"));
    append(&log, &hit("-", "/0", 200));
    append(other.as_ref(), "");
    let shown = |via: &str| {
        let mut command = ssh_weblog(&files, server.port);
        command.args(["-q", "--no-follow", "--via", via, "--state", &state, "--format", "{resource}"]);
        command.args([&log.to_str().unwrap(), &&*other].map(|log| format!("{}:{log}", here())));
        let output = run(&mut command, b"");
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{told}");
        (String::from_utf8(output.stdout).unwrap(), told)
    };
    assert_eq!(shown("sftp"), ("/0\n".to_owned(), String::new()));
    let kept = fs::read_to_string(&state).unwrap();
    for via in ["sh", "tail"] {
        let told =
            format!("127.0.0.1: via {via}: --state keeps no positions of logs there; that needs sftp\n");
        assert_eq!(shown(via), ("/0\n".to_owned(), told));
        assert_eq!(fs::read_to_string(&state).unwrap(), kept);
    }
    append(&log, &hit("-", "/1", 200));
    assert_eq!(shown("sftp").0, "/1\n");
}

/// `--sorted` lines wait for earlier ones. While they do, they are not shown, whatever was read.
#[test]
fn a_line_that_waits_to_be_sorted_is_not_lost_by_a_sudden_end_however_many_come() {
    let files = Files::new();
    let (log, state) = (files.path("access.log"), files.text("state"));
    let all = |count: usize| (0..count).map(|n| format!("/{n}")).collect::<Vec<_>>();
    append(&log, &hit("-", "/0", 200));
    let words = ["-q", "-n", "+1", "--sorted", "--state", &state, "--format", "{resource}"];
    let mut watching = Watching::start(ours("ssh-weblog").args(words).arg(&log));
    // Something always waits, and yet positions are kept.
    let (_never, tick) = std::sync::mpsc::channel::<()>();
    let mut written = 1;
    while !fs::read_to_string(&state).is_ok_and(|kept| kept.contains("\"offset\":")) {
        append(&log, &hit("-", &format!("/{written}"), 200));
        written += 1;
        assert!(written < 3000, "{}", watching.running.log());
        let _tick = tick.recv_timeout(std::time::Duration::from_millis(20));
    }
    watching.running.signal(Signal::KILL);
    watching.running.wait();
    let mut shown: Vec<_> = std::iter::from_fn(|| watching.line()).collect();
    let output = run(ours("ssh-weblog").args(words).arg("--no-follow").arg(&log), b"");
    let rest = String::from_utf8(output.stdout).unwrap();
    assert!(!rest.starts_with("/0\n"), "it does not begin anew");
    shown.extend(rest.lines().map(str::to_owned));
    shown.sort_unstable_by_key(|line| line[1..].parse::<usize>().unwrap());
    shown.dedup();
    assert_eq!(shown, all(written));
}

#[test]
fn an_end_by_until_is_no_better_than_what_has_failed() {
    let files = Files::new();
    let server = serving(Generation::Trixie, &files);
    append(&files.path("a.log"), &hit("https://one.example/", "/1", 200));
    fs::create_dir(files.path("d.log")).unwrap();
    let (local, directory) = (files.text("a.log"), files.text("d.log"));
    let there = format!("{}:{local}", here());
    let unreached = format!("ssh://127.0.0.1:{}/a.log", free_port());
    for (sources, status) in [
        (vec![&there, &local], 0),
        (vec![&directory, &there, &local], 1),
        (vec![&unreached, &directory, &there, &local], 255),
    ] {
        let soon = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 2;
        let mut command = ssh_weblog(&files, server.port);
        let output = run(command.args(["--until", &format!("@{soon}")]).args(&sources), b"");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{sources:?}: {told}");
    }
}

#[test]
fn a_packed_log_is_read_from_its_beginning_to_its_end_and_not_followed() {
    let files = Files::new();
    let server = serving(Generation::Bookworm, &files);
    append(&files.path("old.log"), &(hit("-", "/0", 200) + &hit("-", "/1", 200)));
    assert!(run(Command::new("gzip").arg(files.path("old.log")), b"").status.success());
    append(&files.path("a.log"), &hit("-", "/before", 200));
    let (packed, log) = (files.text("old.log.gz"), files.text("a.log"));
    let ended = |words: &[&str]| {
        let mut command = ssh_weblog(&files, server.port);
        let output = run(command.args(["-q", "--format", "{resource}"]).args(words), b"");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let both = (0, "/0\n/1\n".to_owned(), String::new());
    let (there, pattern) = (format!("{}:{packed}", here()), files.text("*.gz"));
    for packed in [&packed, &there, &pattern] {
        assert_eq!(ended(&[packed]), both, "{packed}");
    }
    assert_eq!(ended(&["-n1", &packed]).1, "/1\n");
    let (status, _, told) = ended(&[&files.text("none.log.gz")]);
    assert!(status == 1 && told.ends_with("none.log.gz: no such file; look at the path\n"), "{told}");
    let (status, _, told) = ended(&["--via", "sh", &there]);
    assert!(status == 1 && told.ends_with(".gz: via sh: a packed log is read by sftp only\n"), "{told}");
    let output = run(ours("ssh-weblog").args(["--stats", &packed]), b"");
    assert!(String::from_utf8_lossy(&output.stdout).contains("receipt"), "{output:?}");
    // What is not packed is followed on.
    let mut command = ours("ssh-weblog");
    let words = ["--format", "{resource}", "--stop-on", "/end"];
    let mut watching = Watching::start(command.args(words).args([&packed, &log]));
    assert_eq!((watching.line().as_deref(), watching.line().as_deref()), (Some("/0"), Some("/1")));
    append(log.as_ref(), &hit("-", "/end", 200));
    assert_eq!(watching.line().as_deref(), Some("/end"));
    assert_eq!(watching.running.wait().code(), Some(0));
}
