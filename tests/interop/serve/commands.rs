//! What the commands of `ssh-weblog-server` show, of which logs, and what ends them.

use super::super::openssh::{Generation, found, resident, run};
use super::super::weblog::{Watching, append, hit};
use super::{Serving, configuration, seq};

#[test]
fn numbers_grow_over_a_restart_and_one_from_before_it_is_told_as_such() {
    let mut serving = Serving::start("");
    let mut live = serving.watch("tail --json shop");
    append(&serving.log(), &hit("-", "/before", 200));
    let before = seq(&live.line().unwrap());
    serving.restart();
    let mut again = serving.watch(&format!("tail --json --after {before} shop"));
    assert_eq!(again.line().as_deref(), Some("{\"skipped\":null}"));
    append(&serving.log(), &hit("-", "/after", 200));
    let line = again.line().unwrap();
    assert!(line.contains("\"/after\"") && seq(&line) > before, "{before}: {line}");
}

#[test]
fn logs_are_objects_of_a_name_and_a_size_where_json_is_asked_for() {
    let serving = Serving::start("");
    let size = serving.log().metadata().unwrap().len();
    let shown = serving.shown("logs --json");
    let mut lines: Vec<_> = shown.split_inclusive('\n').collect();
    lines.sort_unstable();
    let shop = format!("{{\"name\":\"shop\",\"size\":{size}}}\n");
    assert_eq!(lines, ["{\"name\":\"other\",\"size\":0}\n", &shop]);
}

#[test]
fn a_dashboard_without_a_terminal_is_none_and_says_how_to_get_one() {
    for generation in Generation::ALL {
        let serving = Serving::start("");
        for words in ["dashboard", "dashboard shop", "tail --dashboard"] {
            let output = run(&mut serving.ssh(generation, &[words]), b"");
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]), "{words}: {told}");
            assert!(told.contains("ssh -t "), "{words}: {told}");
        }
    }
}

#[test]
fn the_end_of_standard_input_ends_no_session() {
    for generation in Generation::ALL {
        let serving = Serving::start("");
        let start = |words: &&[&str]| {
            let told = ["-vvv", "-o", "ServerAliveInterval=1"];
            Watching::start(&mut serving.ssh(generation, &[&told, *words].concat()))
        };
        let sessions: [&[&str]; 4] =
            [&["-T"], &["tail", "shop"], &["wait", "shop"], &["-tt", "tail", "shop"]];
        let mut sessions: Vec<_> = sessions.iter().map(start).collect();
        for session in &sessions {
            session.running.wait_for("send eof").unwrap_or_else(|| panic!("{}", session.running.log()));
            // The answer to a question that came behind it: REQUEST_FAILURE.
            session.running.wait_for("receive packet: type 82").unwrap();
        }
        append(&serving.log(), &hit("https://late.example/", "/late", 200));
        for session in &mut sessions {
            let line = session.line().unwrap_or_else(|| panic!("{}", session.running.log()));
            assert!(line.contains("https://late.example/"), "{line}");
        }
    }
}

#[test]
fn what_acts_on_a_terminal_is_escaped_in_a_raw_line_for_a_pipe_too() {
    let serving = Serving::start("");
    let mut raw = serving.watch("tail --show raw shop");
    append(&serving.log(), "garbage \x1b]0;x\x07\t\u{9b}2J\u{202e}\n");
    append(&serving.log(), &hit("-", "/\x1b[31m", 200));
    assert_eq!(raw.line().as_deref(), Some("garbage \\x1b]0;x\\x07\\x09\\x9b2J\\u{202e}"));
    assert_eq!(raw.line().as_deref(), Some(hit("-", "/\\x1b[31m", 200).trim_end()));
}

#[test]
fn a_terminal_gets_no_colours_where_its_user_wants_none() {
    for generation in Generation::ALL {
        let serving = Serving::start("");
        let cases = [
            ("xterm", "SetEnv=NO_COLOR=1", false),
            ("xterm", "SetEnv=NO_COLOR=", true),
            ("dumb", "SetEnv=LANG=C.UTF-8", false),
        ];
        let mut sessions = cases.map(|(term, option, _)| {
            let mut ssh = serving.ssh(generation, &["-tt", "-o", option, "tail --show hits shop"]);
            let session = Watching::start(ssh.env("TERM", term));
            serving.wait_for_command("tail --show hits");
            session
        });
        append(&serving.log(), &hit("-", "/a", 503));
        for (session, (term, option, is_coloured)) in sessions.iter_mut().zip(cases) {
            let line = session.line().unwrap();
            let status = if is_coloured { "\x1b[31m503\x1b[0m" } else { "503" };
            let whole = format!("2026-03-01T00:00:00+00:00 {status} GET /a 512 -\r");
            assert_eq!(line, whole, "{term} {option}");
        }
    }
}

#[test]
fn without_a_log_it_is_about_those_of_the_user() {
    let of_ann = "logs = ['shop']\n[[user]]\nname = 'bob'\nauthorized_keys = 'authorized_keys'";
    let serving = Serving::start_with("", of_ann);
    let mut of_bob = Watching::start(&mut serving.ssh_as("bob", Generation::Trixie, &["tail --json"]));
    serving.wait_for_command("tail --json");
    let mut waiting = serving.watch("wait");
    append(&serving.files.path("other.log"), &hit("https://other.example/", "/other", 200));
    let line = of_bob.line().unwrap();
    assert!(line.contains("\"source\":\"other\""), "{line}");
    let stats = serving.shown("stats --json");
    assert!(stats.contains("\"hits\":1,") && !stats.contains("other"), "{stats}");
    append(&serving.log(), &hit("-", "/shop", 200));
    let line = waiting.line().unwrap();
    assert!(line.contains("GET /shop"), "{line}");
    assert_eq!((waiting.line(), waiting.running.wait().code()), (None, Some(0)));
}

#[test]
fn a_request_that_the_view_hides_stops_nothing() {
    let serving = Serving::start_with("", "view = ['--status', '200']");
    let mut live = serving.watch("tail --stop-on /kill --format '{status} {path}'");
    append(&serving.log(), &(hit("-", "/kill", 404) + &hit("-", "/seen", 200)));
    assert_eq!(live.line().as_deref(), Some("200 /seen"));
    append(&serving.log(), &hit("-", "/kill", 200));
    assert_eq!(live.line().as_deref(), Some("200 /kill"));
    assert_eq!(live.line().as_deref(), Some("Bye bye..."));
    assert_eq!((live.line(), live.running.wait().code()), (None, Some(0)));
}

#[test]
fn the_audit_has_files_that_were_refused_to_a_user_with_a_view() {
    for generation in Generation::ALL {
        let serving = Serving::start_with("", "view = ['--status', '200']");
        let output = run(&mut serving.ssh(generation, &["-s", "sftp"]), b"");
        assert_ne!(output.status.code(), Some(0));
        let line = serving.running.wait_for(" refused user=ann address=127.0.0.1:").unwrap();
        assert!(line.ends_with(" why=\"sftp: not for this user\""), "{line}");
        assert!(!serving.running.log().contains(" command user=ann"), "{}", serving.running.log());
    }
}

#[test]
fn metrics_have_lines_that_were_not_understood_what_is_not_read_yet_and_the_memory() {
    let serving = Serving::start("");
    let once = |line: &str| {
        let metrics = || Some(serving.shown("metrics")).filter(|metrics| metrics.contains(line));
        found(line, metrics)
    };
    let half = "203.0.113.7 - - ";
    append(&serving.log(), &("garbage\n\n".to_owned() + &hit("-", "/a", 200) + half));
    once(&format!("\nssh_weblog_lag_bytes{{log=\"shop\"}} {}\n", half.len()));
    append(&serving.log(), "nonsense\n");
    let metrics = once("\nssh_weblog_malformed_total{log=\"shop\"} 3\n");
    for line in [
        "ssh_weblog_malformed_total{log=\"other\"} 0",
        "ssh_weblog_records_total{log=\"shop\"} 1",
        "ssh_weblog_lag_bytes{log=\"shop\"} 0",
        "ssh_weblog_lag_bytes{log=\"other\"} 0",
    ] {
        assert!(metrics.lines().any(|shown| shown == line), "{line}: {metrics}");
    }
    let memory = metrics.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
    let (memory, real) = (memory.unwrap().parse::<u64>().unwrap(), resident(serving.running.child.id()));
    assert!((real / 2..real * 2).contains(&memory), "{memory} of {real}");
    assert!(metrics.ends_with("\n# EOF\n"), "{metrics}");
}

#[test]
fn one_connection_does_not_fill_the_audit_with_what_it_is_refused_and_all_is_counted() {
    const TOLD: usize = 16;
    for generation in Generation::ALL {
        let serving = Serving::start("");
        for connections in 1..=2 {
            // OpenSSH's client asks for these before it opens its session.
            let ports: Vec<_> = (0..TOLD + 4).map(|at| format!("{}:127.0.0.1:1", 20_000 + at)).collect();
            let mut words: Vec<_> = ports.iter().flat_map(|port| ["-R", port]).collect();
            words.push("metrics");
            let shown = run(&mut serving.ssh(generation, &words), b"");
            let shown = String::from_utf8(shown.stdout).unwrap();
            let counted =
                format!("ssh_weblog_refusals_total{{reason=\"request\"}} {}\n", connections * (TOLD + 4));
            assert!(shown.contains(&counted), "{shown}");
            serving.wait_for_command("metrics");
            let log = serving.running.log();
            let told: Vec<_> = log.lines().filter(|line| line.contains(" refused user=ann ")).collect();
            assert_eq!(told.len(), connections * TOLD, "{log}");
            let is_last = |line: &&&str| line.ends_with(" (more of this connection are not told)\"");
            assert_eq!(told.iter().filter(is_last).count(), connections, "{log}");
        }
    }
}

#[test]
fn a_reload_is_told_when_the_logs_that_it_adds_are_followed() {
    let serving = Serving::start("");
    let line = hit("-", "/there", 200);
    let mut config = configuration("", "");
    for number in 0..8 {
        append(&serving.files.path(&format!("{number}.log")), &line);
        config += &format!("[[log]]\npath = '{number}.log'\n");
        serving.files.write("config.toml", &config);
        serving.reload();
        let logs = serving.shown("logs");
        assert!(logs.contains(&format!("{number} {}\n", line.len())), "{logs}");
    }
}
