//! `ssh-weblog-server` before it serves: `check`, `fingerprint`, `hash-password`, wrong arguments; its unit for systemd,
//! and what its manager hears.

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use strombus::userauth::SECRET_MAX;
use tempfile::TempDir;

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write("ann.pub", include_str!("../vectors/keys/ed25519.pub"));
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Runs the program there.
    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ssh-weblog-server"));
        command.args(words).current_dir(self.0.path()).stdin(Stdio::null());
        command
            .env_remove("STATE_DIRECTORY")
            .env("XDG_STATE_HOME", self.path("xdg"))
            .env("HOME", self.path("home"));
        command
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

const CONFIG: &str =
    "state_dir = 'state'\n[[log]]\npath = 'a.log'\n[[user]]\nname = 'ann'\nauthorized_keys = 'ann.pub'\n";

#[test]
fn a_check_says_nothing_or_every_line_that_is_wrong() {
    let files = Files::new();
    files.write("good.toml", CONFIG);
    let output = files.run(&["check", "good.toml"]);
    assert_eq!((output.status.code(), text(&output.stderr), text(&output.stdout)), (Some(0), "", ""));
    assert!(!files.path("state").exists(), "it makes nothing");
    files.write("bad.toml", &(CONFIG.to_owned() + "authorised_keys = 'x'\n[limits]\nidle = '5'\n"));
    let output = files.run(&["check", "bad.toml"]);
    let wrong = "bad.toml:7: unknown key authorised_keys: write authorized_keys\n\
                 bad.toml:9: idle: 5: no duration: write it with units, as 90s, 5m, 2h, 1d or 1h30m, or \"0\" for no limit\n";
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), wrong));
    for words in [&["check"][..], &["check", "a", "b"], &["--config", "good.toml", "a.log"], &[]] {
        let output = files.run(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(text(&output.stderr).contains("--help"), "{words:?}");
    }
    files.write(
        "view.toml",
        &(CONFIG.to_owned() + "view = ['--vhost', 'x']\n[[log]]\npath = 'b'\nlog_format = 'common'\n"),
    );
    let output = files.run(&["check", "view.toml"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        text(&output.stderr).starts_with("view.toml:4: user ann: view: --vhost: no record of b will pass")
    );
}

#[test]
fn a_check_finds_the_format_out_from_the_log_itself() {
    let files = Files::new();
    files.write("view.toml", &(CONFIG.to_owned() + "view = ['--vhost', 'x']\n"));
    let combined =
        "203.0.113.7 - - [01/Mar/2026:12:00:00 +0000] \"GET /a HTTP/1.1\" 200 5 \"-\" \"curl/8\"\n";
    let told = "view.toml:4: user ann: view: --vhost: no record of a will pass, for its format, combined, has no virtual host\n";
    for (log, told) in [
        (combined.to_owned(), told),
        ("garbage\n".to_owned() + combined, told),
        (format!("x.example:80 {combined}"), ""),
        (String::new(), ""),
    ] {
        files.write("a.log", &log);
        let output = files.run(&["check", "view.toml"]);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), told), "{log}");
    }
}

#[test]
fn the_audit_has_once_that_the_format_of_a_log_is_not_recognised() {
    for (audit, ending) in [("text", ""), ("json", "\"")] {
        let files = Files::new();
        files.write("a.log", "");
        let words =
            ["--listen=127.0.0.1:0", "--user=ann", "--authorized-keys=ann.pub", "--audit", audit, "a.log"];
        let mut child = files.command(&words).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (to, lines) = mpsc::channel();
        let reader = thread::spawn(move || stderr.lines().for_each(|line| to.send(line.unwrap()).unwrap()));
        let wait_for = |what: &str| {
            let mut line = String::new();
            while !line.contains(what) {
                line = lines.recv_timeout(Duration::from_secs(60)).ok()?;
            }
            Some(line)
        };
        let listens = wait_for("listening on");
        files.write("a.log", &"garbage\n".repeat(60));
        let told = "a: format not recognised, combined assumed: name it with --log-format";
        let line = wait_for(told);
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
        reader.join().unwrap();
        assert!(listens.is_some(), "{audit}");
        assert!(line.is_some_and(|line| line.contains(&(told.to_owned() + ending))), "{audit}");
        assert!(!lines.iter().any(|line| line.contains("not recognised")), "{audit}: once");
    }
}

#[test]
fn a_fingerprint_is_that_of_ssh_keygen_wherever_the_key_is() {
    let files = Files::new();
    files.write("config.toml", CONFIG);
    let keygen = |words: &[&str]| {
        let output = Command::new("ssh-keygen").args(words).current_dir(files.0.path()).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).to_owned()
    };
    // Bits, fingerprint and kind; between them stands the comment.
    let of_keygen = |key: &str| {
        let line = keygen(&["-lf", key]);
        let words: Vec<_> = line.split_whitespace().collect();
        format!("{} {} {}\n", words[0], words[1], words[words.len() - 1])
    };
    let shown = |words: &[&str]| {
        let output = files.run(words);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {}", text(&output.stderr));
        text(&output.stdout).to_owned()
    };
    let made = shown(&["fingerprint", "--config", "config.toml"]);
    assert_eq!(made, of_keygen("state/ssh_host_ed25519_key"));
    assert!(made.starts_with("256 SHA256:") && made.ends_with(" (ED25519)\n"), "{made}");
    assert_eq!(shown(&["--state-dir", "state", "fingerprint"]), made);
    shown(&["fingerprint"]);
    assert!(files.path("xdg/ssh-weblog-server/ssh_host_ed25519_key").exists(), "where nobody says where");
    let systemd =
        files.command(&["fingerprint"]).env("STATE_DIRECTORY", files.path("state")).output().unwrap();
    assert_eq!(text(&systemd.stdout), made);
    for (kind, bits) in [("rsa", "3072"), ("ecdsa", "384")] {
        keygen(&["-q", "-t", kind, "-b", bits, "-N", "", "-f", kind]);
    }
    let both = shown(&["fingerprint", "--host-key", "rsa", "--host-key", "ecdsa", "--config", "config.toml"]);
    assert_eq!(both, of_keygen("rsa") + &of_keygen("ecdsa"));
    fs::set_permissions(files.path("rsa"), fs::Permissions::from_mode(0o640)).unwrap();
    let output = files.run(&["fingerprint", "--host-key", "rsa"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("chmod 600"));
}

#[test]
fn a_password_is_read_from_the_first_line_and_only_its_hash_is_shown() {
    let files = Files::new();
    let hash = |typed: &[u8]| {
        let mut command = files.command(&["hash-password"]);
        let piped = Stdio::piped;
        let mut child = command.stdin(piped()).stdout(piped()).stderr(piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(typed).unwrap();
        child.wait_with_output().unwrap()
    };
    let output = hash(b"secret\nmore\n");
    let line = text(&output.stdout);
    assert!(
        line.starts_with("$argon2id$") && line.lines().count() == 1 && output.stderr.is_empty(),
        "{line}"
    );
    files.write(
        "config.toml",
        &CONFIG.replace("authorized_keys = 'ann.pub'", &format!("password_hash = '{}'", line.trim())),
    );
    assert_eq!(files.run(&["check", "config.toml"]).status.code(), Some(0));
    let long = vec![b'x'; SECRET_MAX + 1];
    for (wrong, why) in [
        (&b""[..], "an empty password is none"),
        (b"\n", "an empty password is none"),
        (b"\r\nx", "an empty password is none"),
        (b"caf\xe9\n", "a password is UTF-8"),
        (&long, "a password has 16384 bytes at the most"),
    ] {
        let output = hash(wrong);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), ""));
        assert!(text(&output.stderr).contains(why), "{}", text(&output.stderr));
    }
    assert_eq!(hash(&[&long[1..], b"\r\n"].concat()).status.code(), Some(0), "as long as may be");
    assert_eq!(files.run(&["hash-password", "more"]).status.code(), Some(2));
}

#[test]
fn what_can_t_be_written_is_told() {
    let files = Files::new();
    let host_key = files.path("host_key");
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&host_key).status();
    assert!(made.unwrap().success());
    let mut fingerprint = files.command(&["fingerprint", "--host-key"]);
    fingerprint.arg(&host_key);
    let mut hash = files.command(&["hash-password"]);
    files.write("password", "secret\n");
    hash.stdin(fs::File::open(files.path("password")).unwrap());
    for mut command in [fingerprint, hash] {
        let full = fs::File::create("/dev/full").unwrap();
        let output = command.stdout(full).output().unwrap();
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.starts_with("standard output: No space left on device"), "{told}");
    }
}

#[test]
fn without_users_it_does_not_start_and_help_is_help() {
    let files = Files::new();
    let output = files.run(&["--listen", "127.0.0.1:0", "a.log"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("--user NAME with --authorized-keys FILE"));
    for (words, shown) in [
        (["--help"], "Exit status: 0 stopped"),
        (["-h"], "Examples:"),
        (["--version"], concat!("ssh-weblog-server ", env!("CARGO_PKG_VERSION"))),
        (["-V"], "ssh-weblog-server "),
    ] {
        let output = files.run(&words);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{words:?}");
        assert!(text(&output.stdout).contains(shown), "{words:?}");
    }
    for (words, told) in [
        (&["--no-such-option"][..], "--help"),
        (&["--listen", "nowhere:1", "--user", "ann", "a.log"], "[ADDRESS:]PORT"),
        (&["--audit", "xml", "a.log"], "json"),
        (&["--authorized-keys", "ann.pub", "a.log"], "--user"),
        (&["a.log", "b/a.log"], "two logs are called a"),
    ] {
        let output = files.run(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(text(&output.stderr).contains(told), "{words:?}: {}", text(&output.stderr));
    }
}

#[test]
fn a_manager_hears_when_it_listens_reads_again_and_stops() {
    let files = Files::new();
    files.write("config.toml", &CONFIG.replace("state_dir", "listen = ['127.0.0.1:0']\nstate_dir"));
    let manager = UnixDatagram::bind(files.path("notify")).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut command = files.command(&["--config", "config.toml"]);
    let mut child =
        command.env("NOTIFY_SOCKET", files.path("notify")).stderr(Stdio::piped()).spawn().unwrap();
    let hear = || {
        let mut heard = [0; 100];
        let n = manager.recv(&mut heard).unwrap();
        text(&heard[..n]).to_owned()
    };
    let pid = Pid::from_child(&child);
    assert_eq!(hear(), "READY=1");
    kill_process(pid, Signal::HUP).unwrap();
    assert!(hear().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(hear(), "READY=1");
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(hear(), "STOPPING=1");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(told.contains("listening on 127.0.0.1:") && told.contains("\nreloaded\n"), "{told}");
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let files = Files::new();
    let unit = fs::read_to_string("dist/ssh-weblog-server.service").unwrap();
    let program = env!("CARGO_BIN_EXE_ssh-weblog-server");
    assert!(unit.contains("ExecStartPre=/usr/local/bin/ssh-weblog-server check "));
    let unit = unit.replace("/usr/local/bin/ssh-weblog-server", program).replace("Documentation=man:", "#");
    files.write("ssh-weblog-server.service", &unit);
    let verify = |words: &[&str]| {
        let mut command = Command::new("systemd-analyze");
        let output = command
            .args(words)
            .arg("ssh-weblog-server.service")
            .current_dir(files.0.path())
            .output()
            .unwrap();
        (output.status.code(), text(&output.stdout).to_owned(), text(&output.stderr).to_owned())
    };
    assert_eq!(verify(&["verify"]), (Some(0), String::new(), String::new()));
    // Of 10, where 10 is a program that may do everything.
    let (status, shown, told) = verify(&["security", "--offline=true", "--no-pager", "--threshold=20"]);
    assert_eq!(status, Some(0), "{shown}{told}");
    files.write("ssh-weblog-server.service", &(unit + "NoSuchKey=1\n"));
    assert_ne!(verify(&["verify"]).2, "", "it would have said so");
}
