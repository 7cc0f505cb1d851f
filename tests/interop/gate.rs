//! OpenSSH at our gate: what it is told, and that the options are sshd's.

use super::openssh::{Files, Generation, Server, deadline, our_sshd, ours, run, ssh};
use std::io::Read;
use std::net::TcpStream;

/// What OpenSSH's ssh ended with, and what it told.
fn login(generation: Generation, files: &Files, server: &Server) -> (Option<i32>, String) {
    let output = run(ssh(generation, files, server.port).args(["-v", "ann@127.0.0.1", "true"]), b"");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn t60_openssh_hears_that_it_is_not_allowed_after_logins_that_failed() {
    let files = Files::new();
    let key = std::fs::read_to_string(files.path("user_key.pub")).unwrap();
    for generation in Generation::ALL {
        // Whether the server knows the key, the penalties, and whether further logins are refused at the gate.
        for (known, penalties, exempt, refused) in [
            (false, "authfail:1h min:30m max:2h", "192.0.2.0/24", true),
            (false, "authfail:1h min:30m max:2h", "127.0.0.0/8", false),
            (false, "authfail:0 noauth:1h grace-exceeded:1h min:30m", "192.0.2.0/24", false),
            (false, "no", "192.0.2.0/24", false),
            (true, "authfail:1h noauth:1h min:30m", "192.0.2.0/24", false),
        ] {
            files.write("authorized_keys", if known { &key } else { "" });
            let penalties = format!("PerSourcePenalties={penalties}");
            let exempt = format!("PerSourcePenaltyExemptList={exempt}");
            let server = our_sshd(&files, &[&penalties, &exempt, "LoginGraceTime=1h30m"]);
            let status = if known { 0 } else { 255 };
            let (first, told) = login(generation, &files, &server);
            assert_eq!(first, Some(status), "{generation:?} {told}");
            assert_eq!(told.contains("Permission denied"), !known, "{told}");
            // A login that follows on the heels of the first may come before that has ended.
            let is_refused = (0..3).any(|_| {
                let (later, told) = login(generation, &files, &server);
                assert_eq!(later, Some(status), "{generation:?} {penalties}: {told}");
                told.contains("Not allowed at this time")
            });
            assert_eq!(is_refused, refused, "{generation:?} {penalties} {exempt}");
            if refused {
                assert!(server.running.wait_for("a penalty: logins failed").is_some());
            }
        }
    }
}

#[test]
fn our_sshd_ends_who_does_not_log_in_in_time() {
    let files = Files::new();
    let server = our_sshd(&files, &["LoginGraceTime=1"]);
    let mut silent = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    silent.set_read_timeout(Some(deadline())).unwrap();
    let mut heard = Vec::new();
    silent.read_to_end(&mut heard).unwrap(); // until the server ends it
    assert!(heard.starts_with(b"SSH-2.0-"), "{heard:?}");
}

#[test]
fn our_sshd_refuses_options_of_the_gate_that_mean_nothing() {
    let files = Files::new();
    for option in [
        "MaxStartups=0",
        "PerSourceMaxStartups=all",
        "PerSourceNetBlockSize=33",
        "PerSourcePenalties=authfail",
        "PerSourcePenaltyExemptList=10.0.0.1/8",
        "LoginGraceTime=1y",
    ] {
        let output = run(ours("sshd").args(["-p", "0", "-h", &files.text("host_key"), "-o", option]), b"");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && told.contains(option), "{option}: {told}");
    }
}
