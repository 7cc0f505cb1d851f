//! What is read of logs and said of them, whatever they are and wherever they lie.

use super::openssh::{Files, Generation, ours, run, sshd};
use super::watch::serving;
use super::weblog::{Watching, append, here, hit, ssh_weblog};
use std::fs;
use std::process::Command;

/// What `ssh-weblog --no-follow` ends with, shows and says.
fn ended(words: &[&str], input: &[u8]) -> (i32, String, String) {
    of(ours("ssh-weblog").args(["--no-follow"]).args(words), input)
}

fn of(command: &mut Command, input: &[u8]) -> (i32, String, String) {
    let output = run(command, input);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A log of these requests, packed.
fn packed(files: &Files, name: &str, resources: &[&str]) {
    append(&files.path(name), &resources.iter().map(|resource| hit("-", resource, 200)).collect::<String>());
    assert!(run(Command::new("gzip").arg(files.path(name)), b"").status.success());
}

#[test]
fn a_host_is_called_as_it_was_typed_wherever_its_name_leads() {
    let files = Files::new();
    let log = files.path("access.log");
    append(&log, &hit("-", "/0", 200));
    let servers = Generation::ALL.map(|generation| sshd(generation, &files, &[]));
    let hosts = ["h9", "h10"];
    let known = servers.each_ref().map(|server| fs::read_to_string(files.known_hosts(server.port)).unwrap());
    let known = files.write("known_hosts", &known.concat());
    let configured = hosts.iter().zip(&servers).map(|(host, server)| {
        format!("Host {host}\n  HostName 127.0.0.1\n  Port {}\n  UserKnownHostsFile {known}\n", server.port)
    });
    let config = files.write("config", &configured.collect::<String>());
    let mut command = ours("ssh-weblog");
    command.env_remove("SSH_AUTH_SOCK").args(["-F", &config, "-i", &files.text("user_key")]);
    command.args(["-v", "--no-follow", "--with-rotated", "--via", "sh", "--format", "{resource}"]);
    command.args(hosts.map(|host| format!("{host}:{}", log.display())));
    let (status, shown, told) = of(&mut command, b"");
    assert_eq!((status, &*shown), (0, "/0\n/0\n"), "{told}");
    for host in hosts {
        let of_host = |line: &&str| line.starts_with(&format!("{host}: via sh"));
        assert_eq!(told.lines().filter(of_host).count(), 2, "{host}: {told}");
        let is_fingerprint =
            |line: &str| line.starts_with("host key fingerprint:") && line.ends_with(&format!(" {host}"));
        assert!(told.lines().any(is_fingerprint), "{host}: {told}");
    }
    assert!(!told.contains("127.0.0.1"), "{told}");
}

#[test]
fn a_key_that_is_revoked_and_a_configuration_that_is_not_there_are_told_with_what_to_do() {
    let files = Files::new();
    let server = sshd(Generation::Bookworm, &files, &[]);
    let known = format!("@revoked {}", fs::read_to_string(files.known_hosts(server.port)).unwrap());
    let known = files.write("revoked_hosts", &known);
    let mut command = ssh_weblog(&files, server.port);
    command.args(["-o", &format!("GlobalKnownHostsFile={known}")]);
    let (status, _, told) = of(command.arg("127.0.0.1:/x"), b"");
    let advice = "is revoked; ask whoever runs the host for its new key, or remove this line\n";
    assert!(status == 255 && told.contains(&format!("{known}:1: the key of")), "{told}");
    assert!(told.contains(advice), "{told}");
    let missing = files.text("no-config");
    let (status, _, told) = ended(&["-F", &missing, "h:/x"], b"");
    let expected = format!("ssh-weblog: {missing}: no such file; look at the path, or use -F none\n");
    assert_eq!((status, told), (255, expected));
}

#[test]
fn a_request_before_since_ends_nothing_though_it_is_read() {
    let files = Files::new();
    let at = |time: &str, path: &str| hit("-", path, 200).replace("00:00:00", time);
    let log = at("12:00:00", "/one") + &at("12:00:40", "/two") + &at("12:00:50", "/three");
    append(&files.path("access.log"), &log);
    let log = files.text("access.log");
    let words = |stop| ["--since", "2026-03-01T12:00:35Z", "--format", "{path}", "--stop-on", stop, &log];
    assert_eq!(ended(&words("/one"), b"").1, "/two\n/three\n");
    assert_eq!(ended(&words("/two"), b"").1, "/two\nBye bye...\n");
    // Other filters don't matter for it.
    let hidden = ["--status", "404", "--format", "{path}", "--stop-on", "/one", &log];
    assert_eq!(ended(&hidden, b"").1, "Bye bye...\n");
}

#[test]
fn a_packed_log_that_is_damaged_or_cut_was_not_read_to_its_end() {
    let files = Files::new();
    let resources: Vec<_> = (0..5000).map(|number| format!("/{number}")).collect();
    packed(&files, "a.log", &resources.iter().map(String::as_str).collect::<Vec<_>>());
    let whole = fs::read(files.path("a.log.gz")).unwrap();
    let (middle, mut damaged) = (whole.len() / 2, whole.clone());
    damaged[middle..middle + 99].fill(0xff);
    append(&files.path("old.log"), &hit("-", "/now", 200));
    for (name, bytes) in
        [("cut.gz", &whole[..middle]), ("damaged.gz", &damaged), ("old.log.1.gz", &whole[..middle])]
    {
        fs::write(files.path(name), bytes).unwrap();
        let name = if name.starts_with("old") { "old.log" } else { name };
        let log = files.text(name);
        let (status, shown, told) = ended(&["-q", "--with-rotated", "--format", "{resource}", &log], b"");
        assert!(status == 1 && shown.starts_with("/0\n/1\n"), "{name}: {told}");
        assert_eq!(shown.ends_with("\n/now\n"), name == "old.log", "what is whole is read");
        assert!(told.ends_with(&format!("{log}: not read to its end; look for a whole copy\n")), "{told}");
        assert!(told.starts_with(&format!("{log}: gap: ")), "{told}");
    }
}

#[test]
fn with_state_a_line_comes_once_and_that_when_it_is_finished() {
    let files = Files::new();
    let server = serving(Generation::Trixie, &files);
    let (log, line) = (files.path("access.log"), hit("-", "/1", 200));
    let (begun, rest) = line.split_at(line.len() - 1);
    append(&log, &(hit("-", "/0", 200) + begun));
    append(&files.path("old.log"), begun);
    assert!(run(Command::new("gzip").arg(files.path("old.log")), b"").status.success());
    let shown = |place: &str, words: &[&str]| {
        let mut command = ssh_weblog(&files, server.port);
        command.args(["-q", "--no-follow", "--format", "{resource}"]).args(words);
        let (status, shown, told) = of(command.arg(place), b"");
        assert_eq!((status, &*told), (0, ""));
        shown
    };
    let (local, there) = (files.text("access.log"), format!("{}:{}", here(), log.display()));
    let states = ["local", "there"].map(|name| files.text(name));
    let run = |at: usize| shown([&local, &there][at], &["--state", &states[at]]);
    for at in 0..2 {
        assert_eq!([run(at), run(at)], ["/0\n", ""]);
    }
    assert_eq!(shown(&local, &[]), "/0\n/1\n", "nobody goes on without places");
    append(&log, rest);
    for at in 0..2 {
        assert_eq!([run(at), run(at)], ["/1\n", ""]);
    }
    // Nobody finishes what is packed.
    let packed = || shown(&files.text("old.log.gz"), &["--state", &files.text("packed")]);
    assert_eq!([packed(), packed()], ["/1\n", ""]);
}

#[test]
fn a_rotated_file_that_is_named_or_found_beside_its_log_is_read_once_the_oldest_first() {
    let files = Files::new();
    let server = serving(Generation::Bookworm, &files);
    let name = files.text("access.log");
    append(name.as_ref(), &hit("-", "/new", 200));
    append(&files.path("access.log.1"), &hit("-", "/old", 200));
    packed(&files, "access.log.2", &["/oldest"]);
    append(&files.path("other.log.1"), &hit("-", "/without-its-log", 200));
    let beside = format!("{name}.1");
    for (operands, expected) in [
        (&[format!("{name}*")][..], "/oldest\n/old\n/new\n"),
        (&[name.clone(), format!("{beside}*")], "/oldest\n/old\n/new\n"),
        (&[beside, name], "/oldest\n/old\n/new\n"),
        (&[files.text("other.log*")], "/without-its-log\n"),
    ] {
        let there: Vec<_> = operands.iter().map(|operand| format!("{}:{operand}", here())).collect();
        for operands in [operands, &there] {
            let mut command = ssh_weblog(&files, server.port);
            command.args(["-q", "--no-follow", "--with-rotated", "--format", "{resource}"]).args(operands);
            assert_eq!(of(&mut command, b""), (0, expected.to_owned(), String::new()), "{operands:?}");
        }
    }
    let (_, all, _) = ended(&["-q", "--format", "{resource}", &files.text("access.log*")], b"");
    assert_eq!(all.lines().count(), 3, "without --with-rotated each is a log of its own");
}

#[test]
fn what_is_rotated_to_a_name_that_the_pattern_fits_is_not_shown_again() {
    let files = Files::new();
    let log = files.path("access.log");
    append(&log, &hit("-", "/0", 200));
    let words = ["-n", "+1", "--format", "{resource}", "--stop-on", "/end", &files.text("access.log*")];
    let mut watching = Watching::start(ours("ssh-weblog").args(words));
    assert_eq!(watching.line().as_deref(), Some("/0"));
    fs::rename(&log, files.path("access.log.1")).unwrap();
    append(&log, &hit("-", "/1", 200));
    // Another that fits, and is new: once it is shown, the names were looked for again.
    append(&files.path("access.log-other"), &hit("-", "/2", 200));
    assert_eq!([watching.line(), watching.line()].map(Option::unwrap), ["/1", "/2"]);
    append(&log, &hit("-", "/end", 200));
    assert_eq!(watching.line().as_deref(), Some("/end"));
}

#[test]
fn standard_input_that_is_packed_is_inflated() {
    let files = Files::new();
    let resources: Vec<_> = (0..20_000).map(|number| format!("/{number}")).collect();
    packed(&files, "a.log", &resources.iter().map(String::as_str).collect::<Vec<_>>());
    packed(&files, "b.log", &["/last"]);
    let [a, b] = ["a.log.gz", "b.log.gz"].map(|name| fs::read(files.path(name)).unwrap());
    let words = ["-q", "--format", "{resource}", "-"];
    let all = |last: &str| resources.join("\n") + last;
    assert_eq!(ended(&words, &[&*a, &b].concat()), (0, all("\n/last\n"), String::new()));
    let (status, shown, told) = ended(&words, &a[..a.len() / 2]);
    assert!(status == 1 && all("").starts_with(shown.rsplit_once('\n').unwrap().0), "{told}");
    assert!(
        told.starts_with("-: gap: a packed file is damaged or ends amid its text, after byte "),
        "{told}"
    );
    let (status, _, told) = ended(&words, &[&*b, b"garbage"].concat());
    assert!(status == 1 && told.starts_with("-: gap: "), "{told}");
}
