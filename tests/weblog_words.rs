//! What `ssh-weblog` and `ssh-weblog-server` say to whoever uses them for the first time: helps, and errors with what to do next.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::net::UnixListener;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const HIT: &str = "203.0.113.7 - - [01/Mar/2026:12:00:00 +0000] \"GET /a HTTP/1.1\" 200 5 \"https://x.example/\" \"curl/8\"\n";

/// Runs it in a directory, with this standard input.
fn run(program: &str, directory: &TempDir, words: &[&str], input: &str) -> Output {
    let program = match program {
        "ssh-weblog" => env!("CARGO_BIN_EXE_ssh-weblog"),
        "ssh-weblog-cp" => env!("CARGO_BIN_EXE_ssh-weblog-cp"),
        _ => env!("CARGO_BIN_EXE_ssh-weblog-server"),
    };
    let mut command = Command::new(program);
    command.args(words).current_dir(directory.path()).env("HOME", directory.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A directory with a log of one hit, `a.log`, and one that is none, `none.log`.
fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.log"), HIT).unwrap();
    fs::write(directory.path().join("none.log"), "garbage\nmore\n").unwrap();
    directory
}

/// What is said on standard error, and the status.
fn told(words: &[&str]) -> (i32, String) {
    let output = run("ssh-weblog", &directory(), words, "");
    (output.status.code().unwrap(), text(&output.stderr))
}

#[test]
fn every_help_ends_with_examples_and_a_status_and_fits_80_columns() {
    let commands = [
        ("ssh-weblog", &["--help"][..]),
        ("ssh-weblog", &["-h"]),
        ("ssh-weblog-cp", &["--help"]),
        ("ssh-weblog-cp", &["-h"]),
        ("ssh-weblog-server", &["--help"]),
        ("ssh-weblog-server", &["check", "--help"]),
        ("ssh-weblog-server", &["fingerprint", "--help"]),
        ("ssh-weblog-server", &["hash-password", "--help"]),
    ];
    for (program, words) in commands {
        let directory = directory();
        let mut command = Command::new(match program {
            "ssh-weblog" => env!("CARGO_BIN_EXE_ssh-weblog"),
            "ssh-weblog-cp" => env!("CARGO_BIN_EXE_ssh-weblog-cp"),
            _ => env!("CARGO_BIN_EXE_ssh-weblog-server"),
        });
        let output = command.args(words).env("COLUMNS", "80").current_dir(directory.path()).output().unwrap();
        let help = text(&output.stdout);
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{program} {words:?}");
        assert!(help.contains("\nExamples:\n  ssh-weblog") && help.contains("\nExit status: 0 "), "{help}");
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{program} {words:?}: {line}");
        }
        // Of prose that was wrapped by hand and is wrapped again, every other line is short.
        for paragraph in help.split("\n\n").filter(|text| !text.contains("\n ") && !text.starts_with(' ')) {
            let lines: Vec<_> = paragraph.trim_end().lines().collect();
            for two in lines.windows(2) {
                let next = two[1].split(' ').next().unwrap();
                assert!(two[0].len() + 1 + next.len() > 80, "{program} {words:?}: {}", two[0]);
            }
        }
        // An example that is broken by the terminal would not begin like one.
        let examples = help.split("\nExamples:\n").nth(1).unwrap().split("\n\n").next().unwrap();
        for line in examples.lines() {
            assert!(line.starts_with("  "), "{program} {words:?}: {line}");
        }
    }
}

#[test]
fn a_command_of_the_server_stands_before_or_behind_its_options() {
    let directory = directory();
    let server = |words: &[&str]| run("ssh-weblog-server", &directory, words, "");
    let before = server(&["--state-dir", "state", "fingerprint"]);
    let behind = server(&["fingerprint", "--state-dir", "state"]);
    assert!(before.status.success() && before.stdout == behind.stdout, "{}", text(&behind.stderr));
    assert!(text(&server(&["./check"]).stderr).contains("nobody may log in"), "it is a log");
    assert!(text(&server(&["help"]).stderr).contains("nobody may log in"), "so is this");
}

#[test]
fn standard_input_has_its_receipt() {
    let output = run("ssh-weblog", &directory(), &["--stats", "-"], &HIT.repeat(3));
    let bytes = HIT.len() * 3;
    let receipt = format!("receipt -: written {bytes}, read {bytes}, generations 0, gaps none\n");
    assert!(text(&output.stdout).contains(&receipt), "{}", text(&output.stdout));
}

#[test]
fn a_log_too_short_to_tell_its_format_is_told_of_once() {
    let (status, told) = told(&["--no-follow", "none.log", "a.log"]);
    let expected = "none.log: format not recognised, combined assumed: name it with --log-format\n\
                    none.log: 2 lines were not understood\n";
    assert_eq!((status, told.as_str()), (0, expected));
}

#[test]
fn positions_that_cannot_be_kept_are_told_once_before_anything_is_read() {
    let output = run("ssh-weblog", &directory(), &["--no-follow", "--state", "none/state", "a.log"], "");
    let told = text(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{told}");
    let expected = "ssh-weblog: none/state: cannot be written: no such directory: its directory must be there and writable";
    assert!(told.starts_with(expected) && told.lines().count() == 1, "{told}");
}

#[test]
fn a_status_that_no_server_gives_is_refused() {
    for list in ["6xx", "700", "0xx", "404,99x", "500-600"] {
        let (status, told) = told(&["--no-follow", "--status", list, "a.log"]);
        assert_eq!(status, 2, "{list}: {told}");
        assert!(told.contains("from 100 to 599"), "{list}: {told}");
    }
}

#[test]
fn of_quiet_and_verbose_the_last_counts() {
    let format = "a.log: format combined\n";
    for (words, verbose) in
        [(["-q", "-v"], true), (["-v", "-q"], false), (["-vq", "-v"], true), (["-vv", "-q"], false)]
    {
        let (status, told) = told(&[&words[..], &["--no-follow", "a.log"]].concat());
        assert_eq!((status, told.contains(format)), (0, verbose), "{words:?}: {told}");
    }
}

#[test]
fn of_an_option_that_is_repeated_the_last_counts_and_what_adds_up_does() {
    let directory = directory();
    fs::write(directory.path().join("b.log"), HIT.to_owned() + &HIT.replace(" 200 ", " 404 ")).unwrap();
    let shown = |words: &[&str]| {
        let output = run("ssh-weblog", &directory, &[&["--no-follow", "-q"], words, &["b.log"]].concat(), "");
        assert_eq!((output.status.code(), &*text(&output.stderr)), (Some(0), ""), "{words:?}");
        text(&output.stdout)
    };
    assert_eq!(shown(&["--format", "{path}", "--no-follow", "--format", "{status}"]), "200\n404\n");
    assert_eq!(shown(&["-n", "+1", "-n1", "-q", "--json", "--json"]).lines().count(), 1);
    assert_eq!(shown(&["--top", "1", "--stats", "--top", "2", "--stats", "--json"]).lines().count(), 1);
    assert_eq!(
        shown(&["-4", "-6", "-F", "none", "-F", "none", "--via", "sh", "--via", "sftp"]).lines().count(),
        1
    );
    let both = ["--show", "raw", "--show", "hits", "--status", "4xx", "--status", "404,500"];
    assert_eq!(shown(&both).lines().count(), 1);
    assert_eq!(shown(&[&both[..], &["--status", "200"]].concat()), "", "all filters hold");
    for options in [["Nonsense=1", "Port=1"], ["Port=1", "Nonsense=1"]] {
        let words = options.map(|option| ["-o", option]).concat();
        let (status, told) = told(&[&words[..], &["--no-follow", "a.log"]].concat());
        assert_eq!(status, 2, "each is looked at: {told}");
    }
    let copied = run("ssh-weblog-cp", &directory, &["-q", "-l1", "-r", "-q", "-r", "-l2", "a", "b"], "");
    assert!(text(&copied.stderr).contains("nothing is on a host here"), "{}", text(&copied.stderr));
    let words = ["--state-dir", "one", "fingerprint", "--state-dir", "two"];
    let server = run("ssh-weblog-server", &directory, &words, "");
    let is_there = |name: &str| directory.path().join(name).exists();
    assert!(server.status.success() && is_there("two") && !is_there("one"), "{}", text(&server.stderr));
}

#[test]
fn an_option_of_sshs_that_is_none_is_refused_though_no_host_is_named() {
    let expected = "ssh-weblog: -o Nonsense=1: Nonsense: unknown keyword; see --help\n";
    for words in [&["--no-follow", "a.log"][..], &["--no-follow", "-"], &["demo", "--seconds", "1"]] {
        assert_eq!(told(&[&["-o", "Nonsense=1"], words].concat()), (2, expected.to_owned()), "{words:?}");
    }
    assert_eq!(told(&["-o", "ConnectTimeout=1", "--no-follow", "a.log"]), (0, String::new()));
}

#[test]
fn a_keyword_that_is_none_in_a_file_of_sshs_is_told_with_its_line_as_ssh_does() {
    let directory = directory();
    fs::write(directory.path().join("config"), "Host *\n  Nonsense yes\n").unwrap();
    let output = run("ssh-weblog", &directory, &["-F", "config", "shop.example:a.log"], "");
    let expected = "ssh-weblog: config:2: Nonsense: unknown keyword\n";
    assert_eq!((output.status.code(), &*text(&output.stderr)), (Some(255), expected));
}

#[test]
fn standard_input_is_shown_whole_whatever_begins_where() {
    for words in [&["-n", "0", "-"][..], &["-n1", "-"], &["-"]] {
        let output = run("ssh-weblog", &directory(), words, &HIT.repeat(3));
        assert_eq!((output.status.code(), text(&output.stdout).lines().count()), (Some(0), 3), "{words:?}");
    }
}

#[test]
fn a_file_that_is_called_as_the_demonstration_is_named_with_its_directory() {
    let directory = directory();
    fs::write(directory.path().join("demo"), HIT).unwrap();
    let output = run("ssh-weblog", &directory, &["--no-follow", "--format", "{source} {path}", "./demo"], "");
    assert_eq!((output.status.code(), &*text(&output.stdout)), (Some(0), "./demo /a\n"));
}

#[test]
fn a_filter_for_what_a_log_of_traefiks_does_not_have_is_told() {
    let directory = directory();
    let line = HIT.replace('\n', " 42 \"shop@docker\" \"http://10.0.0.2:80\" 1ms\n");
    fs::write(directory.path().join("t.log"), line).unwrap();
    let output = run("ssh-weblog", &directory, &["--no-follow", "--vhost", "shop.example", "t.log"], "");
    let expected = "t.log: its format has no virtual host: no record passes --vhost\n";
    assert_eq!((output.status.code(), &*text(&output.stderr)), (Some(0), expected));
}

#[test]
fn what_a_named_format_does_not_have_is_told_before_anything_is_read() {
    let no_host = ": its format has no virtual host: no record passes --vhost\n";
    let no_referrer = ": its format has no referrer: nothing is shown; try --show hits\n";
    for (words, expected) in [
        (&["--log-format", "combined", "--vhost", "shop.example"][..], no_host),
        (&["--log-format", "common"], no_referrer),
        (&["--log-format", "w3c", "--vhost", "shop.example"], ""),
    ] {
        let output = run("ssh-weblog", &directory(), &[&["--no-follow"], words, &["-"]].concat(), "");
        let expected = if expected.is_empty() { String::new() } else { format!("-{expected}") };
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), expected), "{words:?}");
    }
    assert_eq!(told(&["--no-follow", "--log-format", "common", "a.log"]), (0, format!("a.log{no_referrer}")));
}

#[test]
fn a_log_of_traefiks_without_referrers_is_told_once_with_what_to_configure() {
    let line = "{\"DownstreamStatus\":200,\"RequestPath\":\"/a\"}\n";
    let expected = "-: no record has a referrer: nothing is shown; try --show hits, or have Traefik write it: \
                    accessLog.fields.headers.names.Referer: keep\n";
    for (words, lines, expected) in [
        (&["-"][..], line.repeat(2), expected),
        (&["-"], line.repeat(99), expected),
        (&["--show", "hits", "-"], line.repeat(99), ""),
        (&["-q", "-"], line.repeat(99), ""),
        (&["-"], line.replace('}', ",\"request_Referer\":\"https://x.example/\"}") + &line.repeat(99), ""),
    ] {
        let output = run("ssh-weblog", &directory(), words, &lines);
        assert_eq!((output.status.code(), &*text(&output.stderr)), (Some(0), expected), "{words:?}");
    }
}

#[test]
fn a_pasted_format_that_does_not_fit_gives_no_odd_client() {
    let output = run(
        "ssh-weblog",
        &directory(),
        &["--no-follow", "--json", "--log-format", "%h %t", "-"],
        "\"ann smith\" [01/Mar/2026:12:00:00 +0000]\n203.0.113.7 [01/Mar/2026:12:00:00 +0000]\n",
    );
    let shown = text(&output.stdout);
    assert!(shown.lines().count() == 1 && shown.contains("\"client\":\"203.0.113.7\""), "{shown}");
    assert!(!shown.contains("size"), "a format without one has none: {shown}");
    assert!(text(&output.stderr).contains("-: 1 line was not understood"), "{}", text(&output.stderr));
}

#[test]
fn the_columns_of_a_w3c_log_are_those_above_the_lines_that_are_read() {
    let directory = directory();
    let log = "#Version: 1.0\n#Fields: date time s-ip cs-method cs-uri-stem c-ip sc-status\n\
               2026-03-01 12:00:00 10.0.0.9 GET /a 203.0.113.7 200\n\
               #Fields: date time c-ip cs-method cs-uri-stem sc-status\n\
               2026-03-01 12:00:01 203.0.113.8 GET /b 404\n2026-03-01 12:00:02 203.0.113.9 GET /c 404\n";
    fs::write(directory.path().join("iis.log"), log).unwrap();
    for (count, paths) in [("1", "/c\n"), ("2", "/b\n/c\n"), ("3", "/b\n/c\n"), ("4", "/a\n/b\n/c\n")] {
        let words = ["--no-follow", "--format", "{path}", "-n", count, "iis.log"];
        let output = run("ssh-weblog", &directory, &words, "");
        assert_eq!(
            (text(&output.stdout), text(&output.stderr)),
            (paths.to_owned(), String::new()),
            "{count}"
        );
    }
}

#[test]
fn a_log_that_cannot_be_had_is_told_with_what_to_do() {
    for (word, expected) in [
        (
            "shop.example",
            "shop.example: no such file; to watch a log on a host: ssh-weblog shop.example:/var/log/…\n",
        ),
        ("b.log", "b.log: no such file; look at the path, or leave --no-follow out to wait for it\n"),
        (".", ".: not a regular file; name a log, or logs by a pattern: DIRECTORY/*.log\n"),
        ("*.txt", "*.txt: no file fits; look at the pattern, or leave --no-follow out to wait for it\n"),
        ("*.gz", "*.gz: no file fits; look at the pattern\n"),
    ] {
        assert_eq!(told(&["--no-follow", word]), (1, expected.to_owned()), "{word}");
    }
    // Nothing is waited for once --until has passed.
    for (word, expected) in [
        ("b.log", "b.log: no such file; look at the path\n"),
        ("*.txt", "*.txt: no file fits; look at the pattern\n"),
    ] {
        assert_eq!(told(&["--until", "2026-03-01", word]), (1, expected.to_owned()), "{word}");
    }
}

#[test]
fn a_socket_is_no_log() {
    let directory = directory();
    let _socket = UnixListener::bind(directory.path().join("socket")).unwrap();
    for words in [&["socket"][..], &["--no-follow", "socket"]] {
        let output = run("ssh-weblog", &directory, words, "");
        let expected = "socket: not a regular file; name a log, or logs by a pattern: DIRECTORY/*.log\n";
        assert_eq!((output.status.code(), &*text(&output.stderr)), (Some(1), expected), "{words:?}");
    }
}

#[test]
fn two_words_of_which_the_first_is_a_file_are_two_logs_and_said_to_be() {
    let (status, told) = told(&["--no-follow", "-v", "a.log", "none.log"]);
    let expected =
        "a.log is a file here: two logs are read, a.log and none.log; for the host write a.log:none.log\n";
    assert!(status == 0 && told.starts_with(expected), "{told}");
}

/// Runs it in a directory, reading and writing these.
fn run_with(
    directory: &TempDir,
    words: &[&str],
    input: impl Into<Stdio>,
    output: impl Into<Stdio>,
) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ssh-weblog"));
    command.args(words).current_dir(directory.path()).env("HOME", directory.path());
    command.stdin(input).stdout(output).stderr(Stdio::piped()).output().unwrap()
}

#[test]
fn output_that_cannot_be_written_is_told_and_what_was_lost_counts_as_not_shown() {
    let directory = directory();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let told =
        "standard output: No space left on device (os error 28); make room there, or send it elsewhere\n";
    for words in [
        &["--no-follow", "--state", "st", "a.log"][..],
        &["--no-follow", "--stats", "a.log"],
        &["-n", "+1", "a.log"], // its end is that of the output
    ] {
        let output = run_with(&directory, words, Stdio::null(), full());
        assert_eq!((output.status.code(), &*text(&output.stderr)), (Some(1), told), "{words:?}");
    }
    let (reader, nobody_reads) = io::pipe().unwrap();
    drop(reader);
    let words = ["--no-follow", "--state", "st", "a.log"];
    let output = run_with(&directory, &words, Stdio::null(), nobody_reads);
    assert_eq!((output.status.code(), output.stderr.len()), (Some(141), 0), "{}", text(&output.stderr));
    assert_eq!(text(&run("ssh-weblog", &directory, &words, "").stdout), "https://x.example/  --> /a\n");
}

#[test]
fn standard_input_that_cannot_be_read_is_told_and_is_no_empty_log() {
    let directory = directory();
    let input = File::open(directory.path()).unwrap();
    let output = run_with(&directory, &["--stats", "-q", "-", "a.log", "--no-follow"], input, Stdio::piped());
    let told = "-: not a regular file; name a log, or logs by a pattern: DIRECTORY/*.log\n";
    assert_eq!((output.status.code(), &*text(&output.stderr)), (Some(1), told));
    assert!(text(&output.stdout).contains("receipt a.log: "), "{}", text(&output.stdout));
}

#[test]
fn what_the_system_refuses_is_no_wrong_argument_and_no_failed_login() {
    let directory = directory();
    let mut command = Command::new("sh");
    let script = "ulimit -n 6; exec \"$0\" --no-follow a.log";
    command.args(["-c", script, env!("CARGO_BIN_EXE_ssh-weblog")]).current_dir(directory.path());
    let output = command.output().unwrap();
    let expected = "ssh-weblog: too many open files; name fewer logs, or allow more open files (ulimit -n)\n";
    assert_eq!((output.status.code(), &*text(&output.stderr)), (Some(1), expected));
    let mut command = Command::new(env!("CARGO_BIN_EXE_ssh-weblog"));
    let output = command.arg("demo").env("TMPDIR", directory.path().join("none")).output().unwrap();
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.ends_with("; TMPDIR must name a directory that is there and writable\n"), "{told}");
    assert!(!told.contains("--help"), "{told}");
}

#[test]
fn a_newline_in_a_name_or_an_argument_is_escaped_as_other_controls_are() {
    let directory = directory();
    fs::write(directory.path().join("we\x1bird\n.log"), HIT).unwrap();
    let cases = [
        (["-v", "--no-follow", "we\x1bird\n.log", "a.log"], "we\\x1bird\\x0a.log is a file here"),
        (["--batch", "-F", "no\x1b[31m\nf", "h.invalid:a.log"], "no\\x1b[31m\\x0af: "),
        (["--no-follow", "--state", "/no\nf/x", "a.log"], "/no\\x0af/x: "),
        (["--no-follow", "--log-format", "a\x1b[31m\nb", "a.log"], "no log format \"a\\x1b[31m\\x0ab\": "),
    ];
    for (words, expected) in cases {
        let output = run("ssh-weblog", &directory, &words, "");
        let told = text(&output.stderr);
        assert!(told.contains(expected), "{words:?}: {told}");
    }
}

#[test]
fn over_counts_the_hits_of_logs_that_are_read_one_after_the_other_where_they_belong() {
    let directory = directory();
    let hit = |minute: u32, second: u32| HIT.replace("12:00:00", &format!("12:{minute:02}:{second:02}"));
    let whole: String = (0..20).flat_map(|minute| (0..60).map(move |second| hit(minute, second))).collect();
    for name in ["one.log", "two.log"] {
        fs::write(directory.path().join(name), &whole).unwrap();
    }
    let over = |rate: &str, logs: &[&str]| {
        let words = ["--no-follow", "--top", "1", "--over", rate, "--for", "60s"];
        let output = run("ssh-weblog", &directory, &[&words[..], logs].concat(), "");
        (output.status.code().unwrap(), text(&output.stdout))
    };
    assert_eq!(over("1.5/s", &["one.log"]), (0, String::new()));
    for logs in [&["one.log", "two.log"][..], &["???.log"], &["--sorted", "one.log", "two.log"]] {
        let (status, shown) = over("1.5/s", logs);
        assert_eq!(status, 3, "{logs:?}");
        let evidence = "over 1.5/s for 60s: 91 hits in 60s (1.5/s), 2026-03-01T12:";
        assert!(shown.starts_with(evidence), "{logs:?}: {shown}");
        assert_eq!(over("2/s", logs), (0, String::new()), "{logs:?}");
    }
}
