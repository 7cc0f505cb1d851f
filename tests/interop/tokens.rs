//! Logins by security keys: every client with a token behind an agent's socket.

#[path = "../common/token.rs"]
mod token;

use super::openssh::{Files, Generation, Server, our_ssh, our_sshd, run, ssh, sshd, user};
use std::process::Output;
use token::{Kind, PRESENT, Token, VERIFIED};

/// Whose client: that of a generation, or ours.
type Client = Option<Generation>;

/// Logs in with the token's key of this kind.
fn log_in(client: Client, files: &Files, server: &Server, token: &Token, kind: Kind) -> Output {
    let public = files.write("token.pub", &token.line(kind));
    let mut client = match client {
        Some(generation) => ssh(generation, files, server.port),
        None => our_ssh(files, server.port),
    };
    client.env("SSH_AUTH_SOCK", files.path("agent")).args(["-i", &public, "-o", "BatchMode=yes"]);
    run(client.arg(format!("{}@127.0.0.1", user())).arg("cat"), b"question")
}

/// Every key of the token by every client.
fn all_log_in(files: &Files, server: &Server, token: &Token) {
    let clients = Generation::ALL.map(Some).into_iter().chain([None]);
    for (client, kind) in clients.flat_map(|client| Kind::ALL.map(|kind| (client, kind))) {
        files.write("authorized_keys", &token.line(kind));
        let output = log_in(client, files, server, token, kind);
        let told = format!("{}{}", String::from_utf8_lossy(&output.stderr), server.running.log());
        assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"question"[..]), "{kind:?}: {told}");
        let asked: Vec<_> =
            token.asked().into_iter().map(|(number, name)| format!("{number}{name}")).collect();
        assert_eq!(asked, ["27session-bind@openssh.com", "11", "13"], "{client:?} {kind:?}");
    }
}

#[test]
fn a_token_in_software_logs_in_to_every_sshd() {
    for (generation, takes_session_bind) in Generation::ALL.into_iter().zip([true, false]) {
        let files = Files::new();
        let token = Token::start(&files.path("agent"), PRESENT, takes_session_bind);
        let server = sshd(generation, &files, &[]);
        all_log_in(&files, &server, &token);
        assert!(server.running.log().contains("ED25519-SK SHA256:"), "{}", server.running.log());
        assert!(server.running.log().contains("ECDSA-SK SHA256:"), "{}", server.running.log());
    }
}

#[test]
fn a_token_logs_in_to_our_server() {
    let files = Files::new();
    let token = Token::start(&files.path("agent"), PRESENT, true);
    all_log_in(&files, &our_sshd(&files, &[]), &token);
}

#[test]
fn t56_a_token_that_nobody_touched_logs_nobody_in() {
    let files = Files::new();
    let token = Token::start(&files.path("agent"), 0, true);
    for server in [our_sshd(&files, &[]), sshd(Generation::Bookworm, &files, &[])] {
        for kind in Kind::ALL {
            files.write("authorized_keys", &token.line(kind));
            for (flags, status) in [(0, 255), (VERIFIED, 255), (PRESENT, 0)] {
                token.set_flags(flags);
                let output = log_in(Some(Generation::Trixie), &files, &server, &token, kind);
                assert_eq!(output.status.code(), Some(status), "{kind:?} {flags}: {}", server.running.log());
                assert!(token.asked().iter().any(|(number, _)| *number == 13), "it was asked to sign");
            }
        }
    }
}

/// What a line says of its key's token, what the token did, and whether that is a login.
const JUDGEMENTS: [(&str, u8, bool); 9] = [
    ("no-touch-required ", 0, true),
    ("no-touch-required ", VERIFIED, true),
    ("no-touch-required ", PRESENT, true),
    ("verify-required ", PRESENT, false),
    ("verify-required ", VERIFIED, false),
    ("verify-required ", PRESENT | VERIFIED, true),
    ("no-touch-required,verify-required ", 0, false),
    ("no-touch-required,verify-required ", VERIFIED, true),
    ("VERIFY-REQUIRED,restrict ", PRESENT, false),
];

#[test]
fn t56_a_key_s_line_says_what_its_token_must_have_done() {
    let files = Files::new();
    let token = Token::start(&files.path("agent"), 0, true);
    let [bookworm, trixie] = Generation::ALL.map(|generation| sshd(generation, &files, &[]));
    let servers = [our_sshd(&files, &[]), bookworm, trixie];
    for (server, kind) in servers.iter().flat_map(|server| Kind::ALL.map(|kind| (server, kind))) {
        for (options, flags, good) in JUDGEMENTS {
            files.write("authorized_keys", &format!("{options}{}", token.line(kind)));
            token.set_flags(flags);
            let output = log_in(Some(Generation::Trixie), &files, server, &token, kind);
            let status = if good { 0 } else { 255 };
            let told = format!("{kind:?} {options}{flags}: {}", server.running.log());
            assert_eq!(output.status.code(), Some(status), "{told}");
            assert!(token.asked().iter().any(|(number, _)| *number == 13), "asked to sign: {told}");
        }
    }
}
