//! How somebody logs in to `ssh-weblog-server`, and why he does not; the hash of a password that is typed.

use super::super::logins::{Answers, hash};
use super::super::openssh::{ENDED, Files, Generation, Terminal, eventually, ours, run, words};
use super::super::weblog::Watching;
use super::{NO_KEY, Serving, configuration, refusals};
use rustix::process::Signal;
use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::process::Command;

const BATCH: &str = "BatchMode=yes";

#[test]
fn a_key_and_a_password_are_both_needed_where_both_are_required() {
    let orders = ["'publickey', 'password'", "'password', 'publickey'"];
    for (generation, order) in Generation::ALL.into_iter().flat_map(|of| orders.map(|order| (of, order))) {
        let of_ann = format!("password_hash = '{}'\nrequire = [{order}]", hash("right"));
        let serving = Serving::start_with("", &of_ann);
        // Each from an address of its own, for penalties add up.
        for (address, password, option) in [
            ("127.0.0.2", "right", BATCH),
            ("127.0.0.3", "right", NO_KEY),
            ("127.0.0.4", "wrong", "NumberOfPasswordPrompts=1"),
        ] {
            let words = ["-b", address, "-o", option, "logs"];
            let output = run(&mut serving.ssh_knowing(password, generation, &words), b"");
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(255), "{option}");
            assert!(told.contains("Permission denied ("), "{option}: {told}");
        }
        assert!(!serving.running.log().contains(" login user="), "{}", serving.running.log());
        let output = run(&mut serving.ssh_knowing("right", generation, &["logs"]), b"");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let login = serving.running.wait_for(" login user=ann address=127.0.0.1:").unwrap();
        assert!(login.ends_with(" method=password"), "{login}");
    }
}

#[test]
fn keyboard_interactive_asks_once_for_the_password_and_is_counted_by_its_name() {
    for generation in Generation::ALL {
        let serving = Serving::start_with("", &format!("password_hash = '{}'", hash("right")));
        let log_in = |name: &str, answer: &str| {
            let answers = Answers::new(&serving.files, name, &[answer]);
            let method = "PreferredAuthentications=keyboard-interactive";
            let words = ["-o", method, "-o", "NumberOfPasswordPrompts=1", "metrics"];
            let mut ssh = serving.ssh(generation, &words);
            answers.give(&mut ssh);
            let output = run(&mut ssh, b"");
            assert_eq!(answers.asked(), ["(ann@127.0.0.1) Password: "]);
            (output.status.code(), String::from_utf8(output.stdout).unwrap())
        };
        assert_eq!(log_in("one", "wrong"), (Some(255), String::new()));
        let (status, metrics) = log_in("two", "right");
        assert_eq!(status, Some(0), "{}", serving.running.log());
        let line = "\nssh_weblog_logins_total{method=\"keyboard-interactive\"} 1\n";
        assert!(metrics.contains(line), "{metrics}");
        let login = serving.running.wait_for(" login user=ann address=127.0.0.1:").unwrap();
        assert!(login.ends_with(" method=keyboard-interactive"), "{login}");
    }
}

#[test]
fn a_key_that_may_have_no_terminal_gets_none() {
    for generation in Generation::ALL {
        let serving = Serving::start("");
        let key = fs::read_to_string(serving.files.path("user_key.pub")).unwrap();
        for (options, may) in
            [("no-pty", false), ("restrict", false), ("no-pty,pty", true), ("restrict,pty", true)]
        {
            serving.files.write("authorized_keys", &format!("{options} {key}"));
            let output = run(&mut serving.ssh(generation, &["-tt", "logs"]), b"");
            let (shown, told) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert_eq!(output.status.code() == Some(0), may, "{options}: {told}");
            assert_eq!(shown.contains("\r\n"), may, "{options}: {shown}");
            assert_eq!(told.contains("PTY allocation request failed"), !may, "{options}: {told}");
            let output = run(&mut serving.ssh(generation, &["-T", "logs"]), b"");
            assert_eq!(output.status.code(), Some(0), "{options}: he may have the rest");
        }
    }
}

#[test]
fn a_line_of_authorized_keys_holds_or_refuses_its_key_and_the_audit_says_why() {
    for generation in Generation::ALL {
        let serving = Serving::start("");
        // While it is there nobody here gets a penalty.
        let _session = serving.watch("tail shop");
        let key = fs::read_to_string(serving.files.path("user_key.pub")).unwrap();
        for (options, why) in [
            ("from=\"127.0.0.0/8\"", None),
            ("from=\"127.0.0.2\"", Some("the key: it may not be used from this address")),
            ("expiry-time=\"20990101Z\"", None),
            ("expiry-time=\"20200101Z\"", Some("the key: its expiry-time is over")),
            ("no-such-option", Some("the option no-such-option is not known")),
            ("restrict,no-such-option=\"x\"", Some("the option no-such-option is not known")),
            ("environment=\"A=b\"", Some("environment is not permitted")),
        ] {
            let path = serving.files.write("authorized_keys", &format!("{options} {key}"));
            let output = run(&mut serving.ssh(generation, &["-o", BATCH, "logs"]), b"");
            assert_eq!(output.status.code() == Some(0), why.is_none(), "{options}");
            if let Some(why) = why {
                let line = serving.running.wait_for(" is refused: ").unwrap();
                let end = format!(" is refused: {path}:1: {why}");
                assert!(line.starts_with("ED25519 SHA256:") && line.ends_with(&end), "{options}: {line}");
            }
        }
    }
}

#[test]
fn a_reload_takes_another_password_and_the_one_before_is_none_any_more() {
    for in_a_file in [false, true] {
        let more = if in_a_file { "password_file = 'passwords'" } else { "" };
        let of_ann = |password: &str| match in_a_file {
            true => String::new(),
            false => format!("password_hash = '{}'", hash(password)),
        };
        let serving = Serving::start("");
        let write = |password: &str| {
            serving.files.write("passwords", &format!("ann:{}\n", hash(password)));
            serving.files.write("config.toml", &configuration(more, &of_ann(password)));
        };
        let log_in = |address: &str, password: &str| {
            let words = ["-b", address, "-o", NO_KEY, "logs"];
            run(&mut serving.ssh_knowing(password, Generation::Trixie, &words), b"").status.code()
        };
        write("old");
        serving.reload();
        assert_eq!(log_in("127.0.0.2", "old"), Some(0));
        write("new");
        assert_eq!(log_in("127.0.0.2", "old"), Some(0), "it has not been told to read it");
        serving.reload();
        assert_eq!(log_in("127.0.0.3", "old"), Some(255));
        assert_eq!(log_in("127.0.0.4", "new"), Some(0));
    }
}

#[test]
fn an_address_with_a_session_gets_no_penalty_for_logins_that_fail() {
    for generation in Generation::ALL {
        let serving = Serving::start("");
        let session = serving.watch("tail shop");
        let fails = || {
            let output = run(&mut serving.ssh_as("nobody", generation, &["-o", BATCH, "logs"]), b"");
            assert_eq!(output.status.code(), Some(255));
        };
        for _ in 0..8 {
            fails();
            serving.running.wait_for(" refused user=nobody address=127.0.0.1:").unwrap();
        }
        assert_eq!(run(&mut serving.ssh(generation, &["logs"]), b"").status.code(), Some(0));
        assert!(!serving.running.log().contains("a penalty"), "{}", serving.running.log());
        drop(session);
        eventually("a penalty once nobody is there", || {
            fails();
            serving.running.log().contains("a penalty: logins failed")
        });
        assert_eq!(run(&mut serving.ssh(generation, &["logs"]), b"").status.code(), Some(255));
    }
}

#[test]
fn a_password_to_be_hashed_is_typed_twice_and_never_shown() {
    let hashing = |files: &Files, typed: [&str; 2]| {
        let program = words(ours("ssh-weblog-server").arg("hash-password"));
        let terminal = Terminal::run(&format!("{program} > {}; echo {ENDED} $?", files.text("hash")));
        for (prompt, typed) in ["password:", "the same again:"].into_iter().zip(typed) {
            terminal.wait_for(prompt);
            // It is asked for before the echo is off.
            let device = terminal.state("#{pane_tty}");
            eventually("no echo", || {
                let stty = run(Command::new("stty").args(["-a", "-F", &device]), b"");
                String::from_utf8_lossy(&stty.stdout).split_whitespace().any(|word| word == "-echo")
            });
            terminal.send(typed);
        }
        let screen = terminal.wait_for(ENDED);
        assert!(typed.iter().all(|typed| !screen.contains(typed)), "{screen}");
        (screen, fs::read_to_string(files.path("hash")).unwrap())
    };
    let files = Files::new();
    let (screen, shown) = hashing(&files, ["correct horse", "battery staple"]);
    assert!(screen.contains(&format!("{ENDED} 1")) && screen.contains("not the same"), "{screen}");
    assert_eq!(shown, "");
    let (screen, shown) = hashing(&files, ["correct horse", "correct horse"]);
    assert!(screen.contains(&format!("{ENDED} 0")) && !screen.contains("argon2id"), "{screen}");
    assert!(shown.starts_with("$argon2id$") && shown.lines().count() == 1, "{shown}");
    let serving = Serving::start_with("", &format!("password_hash = '{}'", shown.trim_end()));
    let mut ssh = serving.ssh_knowing("correct horse", Generation::Bookworm, &["-o", NO_KEY, "logs"]);
    assert_eq!(run(&mut ssh, b"").status.code(), Some(0), "{}", serving.running.log());
}

#[test]
fn t60_each_connection_that_is_refused_is_counted_at_once_and_by_its_own_reason() {
    let serving = Serving::start("[limits]\nper_source = 2\nmax_connections = 4\n");
    let connect = || TcpStream::connect(("127.0.0.1", serving.port)).unwrap();
    let is_refused = || {
        let mut told = [0; 8];
        connect().read_exact(&mut told).unwrap();
        assert_eq!(told, *b"Too many");
    };
    let silent = [connect(), connect()];
    silent.iter().for_each(|mut stream| stream.read_exact(&mut [0; 4]).unwrap()); // they are through the gate
    is_refused();
    is_refused();
    let viewers = [("127.0.0.2", "shop"), ("127.0.0.3", "other")].map(|(address, log)| {
        let viewer = Watching::start(&mut serving.ssh_from(address, &["tail", log]));
        serving.wait_for_command(&format!("tail {log}"));
        viewer
    });
    (0..3).for_each(|_| is_refused());
    viewers[1].running.signal(Signal::KILL);
    serving.running.wait_for(" end user=ann").unwrap();
    assert_eq!([refusals(&serving, "per_source"), refusals(&serving, "max_connections")], [2, 3]);
}
