//! What a watch does, and tells, where a log is not read by SFTP.

use super::openssh::{Files, Generation, run, sshd};
use super::watch::serving;
use super::weblog::{append, here, hit, ssh_weblog};
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn by_tail_nobody_knows_where_a_line_stands_and_by_the_other_ways_it_is_told() {
    for generation in Generation::ALL {
        let files = Files::new();
        let server = serving(generation, &files);
        let log = files.path("access.log");
        let before = hit("-", "/0", 200) + "garbage\n";
        append(&log, &(before.clone() + &hit("-", "/1", 200)));
        let source = format!("{}:{}", here(), log.display());
        let (offset, bad) = (before.len().to_string(), (before.len() - "garbage\n".len()).to_string());
        for (via, offset, bad) in [("sftp", &*offset, &*bad), ("sh", &*offset, &*bad), ("tail", "-", "-")] {
            let shown = |words: &[&str]| {
                let mut command = ssh_weblog(&files, server.port);
                let output = run(command.args(["--no-follow", "--via", via]).args(words).arg(&source), b"");
                (text(output.stdout), text(output.stderr))
            };
            let (json, _) = shown(&["-n1", "--json"]);
            let expected = format!("\"offset\":{offset},");
            assert_eq!(
                (json.contains(&expected), json.contains("offset")),
                (via != "tail", via != "tail"),
                "{json}"
            );
            let (lines, told) = shown(&["-v", "-n2", "--format", "{offset} {resource}"]);
            assert_eq!(lines, format!("{offset} /1\n"), "{via}");
            assert!(told.contains(&format!("{source}:{bad}: not understood: garbage\n")), "{via}: {told}");
        }
    }
}

#[test]
fn without_sftp_a_log_is_read_to_its_end_by_a_shell_and_by_tail_only_where_there_is_no_shell() {
    let files = Files::new();
    let log = files.path("access.log");
    append(&log, &(hit("-", "/0", 200) + &hit("-", "/1", 200)));
    let program = "#!/bin/sh\ncase $SSH_ORIGINAL_COMMAND in *'sh -s') exit 127;; esac\neval \"$SSH_ORIGINAL_COMMAND\"\n";
    let without_shell = files.write("without-shell", program);
    fs::set_permissions(&without_shell, fs::Permissions::from_mode(0o755)).unwrap();
    let forced = format!("ForceCommand={without_shell}");
    for (lines, via) in [(&[][..], "sh"), (&[&*forced], "tail")] {
        let server = sshd(Generation::Trixie, &files, lines);
        for (words, expected) in [(&[][..], "/0\n/1\n"), (&["-n1"], "/1\n")] {
            let mut command = ssh_weblog(&files, server.port);
            command.args(["-v", "--no-follow", "--format", "{resource}"]).args(words);
            let output = run(command.arg(here()).arg(&log), b"");
            let told = text(output.stderr);
            assert_eq!((output.status.code(), &*text(output.stdout)), (Some(0), expected), "{via}: {told}");
            assert!(told.contains(&format!("127.0.0.1: via {via}\n")), "{via}: {told}");
        }
    }
}

/// sshd tells how a command has ended before it has sent all of its output, and waits for whoever still holds that.
#[test]
fn tail_has_ended_once_all_of_its_output_has_come_whenever_its_status_does() {
    let numbers = |lines: usize| (0..lines).map(|n| hit("-", &format!("/{n}"), 200)).collect::<String>();
    let late = "#!/bin/sh\nset -- $SSH_ORIGINAL_COMMAND\neval \"log=${7}\"\nhead -c 150 \"$log\"\n(sleep 1; tail -c +151 \"$log\") &\nexit 0\n";
    for generation in Generation::ALL {
        let files = Files::new();
        let log = files.path("access.log");
        let forced = files.write("late", late);
        fs::set_permissions(&forced, fs::Permissions::from_mode(0o755)).unwrap();
        let forced = format!("ForceCommand={forced}");
        for (lines, options, runs) in [(3, &[&*forced][..], 1), (40_000, &[], 4)] {
            let server = sshd(generation, &files, options);
            fs::write(&log, numbers(lines)).unwrap();
            for _ in 0..runs {
                let mut command = ssh_weblog(&files, server.port);
                command.args(["-q", "--no-follow", "--via", "tail", "--show", "raw"]);
                let output = run(command.arg(here()).arg(&log), b"");
                let told = text(output.stderr);
                assert_eq!((output.status.code(), &*told), (Some(0), ""), "{generation:?}");
                let shown = output.stdout.len();
                assert!(
                    output.stdout == fs::read(&log).unwrap(),
                    "{generation:?}: {shown} bytes of {lines} lines"
                );
            }
        }
    }
}

#[test]
fn rotated_files_that_a_way_does_not_read_are_told_once() {
    let files = Files::new();
    let server = serving(Generation::Bookworm, &files);
    for name in ["a.log.1", "a.log", "b.log"] {
        append(&files.path(name), &hit("-", &format!("/{name}"), 200));
    }
    let sources = ["a.log", "b.log"].map(|name| format!("{}:{}", here(), files.text(name)));
    let told = "--with-rotated reads no rotated files there; that needs sftp";
    for (via, told, shown) in [
        ("sftp", String::new(), &["/a.log", "/a.log.1", "/b.log"][..]),
        ("sh", format!("127.0.0.1: via sh: {told}\n"), &["/a.log", "/b.log"]),
        ("tail", format!("127.0.0.1: via tail: {told}\n"), &["/a.log", "/b.log"]),
    ] {
        let mut command = ssh_weblog(&files, server.port);
        command.args(["-q", "--no-follow", "--with-rotated", "--via", via, "--format", "{resource}"]);
        let output = run(command.args(&sources), b"");
        assert_eq!((output.status.code(), text(output.stderr)), (Some(0), told), "{via}");
        let out = text(output.stdout);
        let mut lines: Vec<_> = out.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, shown, "{via}");
    }
}

#[test]
fn where_no_command_runs_that_is_told_with_advice_and_is_no_line_of_a_log() {
    let files = Files::new();
    let log = files.path("access.log");
    append(&log, &hit("-", "/0", 200));
    let failing = |name, words| {
        let file = files.write(name, &format!("#!/bin/sh\n{words} >&2\nexit 7\n"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        file
    };
    let (failing, raving) = (
        failing("failing", "echo 'no room here'"),
        failing("raving", "head -c 50000 /dev/zero | tr '\\0' x"),
    );
    let failed = "tail there ended with status 7 (no room here); look at the path, or take another --via";
    // WORDS_MAX of them.
    let raved = format!("tail there ended with status 7 ({}); ", "x".repeat(1024));
    for (forced, told) in [
        (
            "internal-sftp",
            "127.0.0.1: no `tail -F` runs there for this user; leave --via out, or take --via sftp",
        ),
        (&*failing, failed),
        (&*raving, &*raved),
    ] {
        let server = sshd(Generation::Trixie, &files, &[&format!("ForceCommand={forced}")]);
        for words in [&[][..], &["--no-follow"]] {
            let mut command = ssh_weblog(&files, server.port);
            command.args(["-q", "--via", "tail", "--show", "raw"]).args(words);
            let output = run(command.arg(here()).arg(&log), b"");
            let (shown, said) = (text(output.stdout), text(output.stderr));
            assert_eq!((output.status.code(), &*shown), (Some(1), ""), "{forced} {words:?}: {said}");
            assert!(said.contains(told), "{forced} {words:?}: {said}");
        }
    }
}
