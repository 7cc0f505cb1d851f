//! The three programs of the 2003 article, each doing what it did there, in the words that it said.

use super::logins::hash;
use super::openssh::{Files, Generation, ours, run, sshd};
use super::weblog::{Viewer, Watching, append, here, hit, serve, ssh_weblog, viewer};
use std::fs;
use std::io::BufRead;

#[test]
fn ssh_weblog_shows_who_came_from_where_across_a_rotation_until_the_kill_url() {
    for generation in Generation::ALL {
        let files = Files::new();
        let server = sshd(generation, &files, &[]);
        let log = files.path("access.log");
        append(&log, &hit("https://before.example/", "/old", 200));
        append(&log, &hit("https://first.example/", "/a", 200));
        let mut command = ssh_weblog(&files, server.port);
        command.args(["-n", "1", "--stop-on", "/kill-weblog-monitor", &here(), log.to_str().unwrap()]);
        let mut watching = Watching::start(&mut command);
        assert_eq!(
            watching.line().as_deref(),
            Some("https://first.example/  --> /a"),
            "{}",
            watching.running.log()
        );
        append(&log, &(hit("-", "/no-referrer", 200) + &hit("https://x/", "/missing", 404)));
        append(&log, &hit("https://second.example/\\x1b[31m", "/b?q=1", 200));
        assert_eq!(watching.line().as_deref(), Some("https://second.example/\\x1b[31m  --> /b?q=1"));
        fs::rename(&log, files.path("access.log.1")).unwrap();
        append(&log, &hit("https://third.example/", "/c", 200));
        assert_eq!(watching.line().as_deref(), Some("https://third.example/  --> /c"));
        append(&log, &hit("-", "/kill-weblog-monitor?now", 404));
        assert_eq!(watching.line().as_deref(), Some("Bye bye..."));
        assert_eq!(watching.line(), None);
        assert_eq!(watching.running.wait().code(), Some(0));
        let told = watching.running.log();
        assert!(
            told.contains("host key fingerprint: SHA256:") && told.contains("(ED25519) 127.0.0.1"),
            "{told}"
        );
    }
}

#[test]
fn scp_copies_a_file_by_cat() {
    for generation in Generation::ALL {
        let files = Files::new();
        let server = sshd(generation, &files, &[]);
        files.write("there", "what the host has\n");
        let mut command = ours("ssh-weblog-cp");
        command.args(["-F", "none", "-P", &server.port.to_string(), "-i", &files.text("user_key")]);
        command.args(["-o", &format!("UserKnownHostsFile={}", files.known_hosts(server.port))]);
        command.args(["--cat", &format!("{}:{}", here(), files.text("there")), &files.text("here")]);
        let output = run(command.env_remove("SSH_AUTH_SOCK"), b"");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert_eq!(fs::read(files.path("here")).unwrap(), b"what the host has\n");
    }
}

#[test]
fn ssh_weblog_server_shows_each_session_the_hits_live_by_password_and_by_key() {
    for generation in Generation::ALL {
        let files = Files::new();
        let log = files.path("access.log");
        append(&log, "");
        let keys = files.text("authorized_keys");
        let passwords = files.write("passwords", &hash("secret one"));
        let words = ["--authorized-keys", &keys, "--password-file", &passwords, log.to_str().unwrap()];
        let (server, port) = serve(&files, &words);
        let mut by_password = viewer(generation, &files, port);
        by_password.args(["-o", "PubkeyAuthentication=no"]);
        by_password.env("SSH_ASKPASS", files.askpass("secret one")).env("SSH_ASKPASS_REQUIRE", "force");
        let by_key = Viewer::start(viewer(generation, &files, port), &log);
        let mut both = [Viewer::start(by_password, &log), by_key];
        append(&log, &(hit("-", "/no-referrer", 200) + &hit("https://x.example/", "/missing", 404)));
        append(&log, &hit("https://a.example/", "/b?q=1", 200));
        for viewer in &mut both {
            let mut line = String::new();
            // Those that it was waited for come first.
            while line.is_empty() || line == "https://knock.example/  --> /\n" {
                line.clear();
                assert_ne!(viewer.lines.read_line(&mut line).unwrap(), 0, "{}", server.log());
            }
            assert_eq!(line, "https://a.example/  --> /b?q=1\n");
        }
    }
}
