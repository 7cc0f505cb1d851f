//! Every key exchange × cipher × MAC × login, in both roles, with both generations.

use super::openssh::{
    Account, Files, Generation, Trust, our_ssh, our_ssh_trusting, our_sshd, run, ssh, sshd, user,
};
use std::process::Command;

const KEX: [&str; 2] = ["curve25519-sha256", "curve25519-sha256@libssh.org"];

/// Ciphers with the MACs that they can have; an AEAD has none.
const PROTECTION: [(&str, &str); 7] = [
    ("chacha20-poly1305@openssh.com", ""),
    ("aes256-gcm@openssh.com", ""),
    ("aes128-gcm@openssh.com", ""),
    ("aes256-ctr", "hmac-sha2-256-etm@openssh.com"),
    ("aes256-ctr", "hmac-sha2-256"),
    ("aes192-ctr", "hmac-sha2-512-etm@openssh.com"),
    ("aes128-ctr", "hmac-sha2-512"),
];

/// The options that leave just one choice, by the names that both clients know.
fn only(command: &mut Command, kex: &str, (cipher, mac): (&str, &str)) {
    command.args(["-o", &format!("KexAlgorithms={kex}"), "-o", &format!("Ciphers={cipher}")]);
    if !mac.is_empty() {
        command.args(["-o", &format!("MACs={mac}")]);
    }
}

fn combinations() -> impl Iterator<Item = (&'static str, (&'static str, &'static str))> {
    KEX.into_iter().flat_map(|kex| PROTECTION.into_iter().map(move |protection| (kex, protection)))
}

/// A command that proves input, output, errors and status.
const COMMAND: &str = "cat; echo oops >&2; exit 7";

fn check(command: &mut Command, what: &str) {
    let output = run(command, b"question\n");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((&*out, output.status.code()), ("question\n", Some(7)), "{what}: {err}");
    assert!(err.contains("oops"), "{what}: {err}");
}

#[test]
fn our_client_logs_in_by_key_to_every_sshd_with_every_algorithm() {
    let mut count = 0;
    for generation in Generation::ALL {
        let files = Files::new();
        let server = sshd(generation, &files, &[]);
        for (kex, protection) in combinations() {
            let mut command = our_ssh(&files, server.port);
            only(&mut command, kex, protection);
            command.args([&format!("{}@127.0.0.1", user()), COMMAND]);
            check(&mut command, &format!("{generation:?} {kex} {protection:?}"));
            count += 1;
        }
    }
    println!("{count} combinations");
}

#[test]
fn every_ssh_logs_in_by_key_to_our_server_with_every_algorithm() {
    let mut count = 0;
    let files = Files::new();
    let server = our_sshd(&files, &[]);
    for generation in Generation::ALL {
        for (kex, protection) in combinations() {
            let mut command = ssh(generation, &files, server.port);
            only(&mut command, kex, protection);
            command.args(["ann@127.0.0.1", COMMAND]);
            check(&mut command, &format!("{generation:?} {kex} {protection:?}"));
            count += 1;
        }
    }
    println!("{count} combinations");
}

#[test]
fn every_ssh_logs_in_by_password_to_our_server_with_every_algorithm() {
    let files = Files::new();
    let hash = run(super::openssh::ours("ssh-weblog-server").arg("hash-password"), b"secret one\n");
    assert!(hash.status.success());
    let file = files.write("passwords", &format!("ann:{}", String::from_utf8(hash.stdout).unwrap()));
    let server = our_sshd(&files, &[&format!("PasswordFile={file}")]);
    for generation in Generation::ALL {
        for (kex, protection) in combinations() {
            let mut command = ssh(generation, &files, server.port);
            only(&mut command, kex, protection);
            command.args(["-o", "PubkeyAuthentication=no", "ann@127.0.0.1", COMMAND]);
            command.env("SSH_ASKPASS", files.askpass("secret one")).env("SSH_ASKPASS_REQUIRE", "force");
            check(&mut command, &format!("{generation:?} {kex} {protection:?}"));
        }
        let mut command = ssh(generation, &files, server.port);
        command.args([
            "-o",
            "PubkeyAuthentication=no",
            "-o",
            "NumberOfPasswordPrompts=1",
            "ann@127.0.0.1",
            "true",
        ]);
        command.env("SSH_ASKPASS", files.askpass("wrong")).env("SSH_ASKPASS_REQUIRE", "force");
        assert_eq!(run(&mut command, b"").status.code(), Some(255), "a wrong password is refused");
    }
}

#[test]
fn our_client_logs_in_by_password_typed_on_a_terminal_to_every_sshd_with_every_algorithm() {
    let account = Account::create();
    for generation in Generation::ALL {
        let files = Files::new();
        let server = sshd(generation, &files, &["PasswordAuthentication yes"]);
        for (kex, protection) in combinations() {
            let mut client = our_ssh(&files, server.port);
            only(&mut client, kex, protection);
            client.args(["-o", "PubkeyAuthentication=no"]);
            client.args([&format!("{}@127.0.0.1", account.name), "echo the user is $(id -un)"]);
            let screen = super::openssh::on_a_terminal(&client, "password: ", &account.password);
            let expected = format!("the user is {}", account.name);
            assert!(screen.contains(&expected), "{generation:?} {kex} {protection:?}: {screen}");
            assert!(!screen.contains(&account.password), "the password is not shown");
        }
        assert!(server.running.log().contains("Accepted password"), "{}", server.running.log());
    }
}

#[test]
fn a_host_key_that_is_unknown_or_changed_is_refused() {
    let files = Files::new();
    let server = our_sshd(&files, &[]);
    let nobody = Trust { known_hosts: files.write("empty", ""), strict: "yes" };
    let output = run(our_ssh_trusting(&files, server.port, &nobody).args(["ann@127.0.0.1", "true"]), b"");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(255), "{text}");
    assert!(text.contains("no known host key") && text.contains("Host key verification failed"), "{text}");

    let mut changed = our_ssh(&files, server.port);
    let other = std::fs::read_to_string(files.path("user_key.pub")).unwrap();
    files.write("known_hosts", &format!("# a comment\n[127.0.0.1]:{} {other}", server.port));
    let output = run(changed.args(["ann@127.0.0.1", "true"]), b"");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(255), "{text}");
    assert!(
        text.contains(&format!("{}:2:", files.text("known_hosts"))) && text.contains("changed"),
        "{text}"
    );
}

#[test]
fn a_hashed_known_host_is_known() {
    let files = Files::new();
    let server = our_sshd(&files, &[]);
    let mut command = our_ssh(&files, server.port);
    let hashed = run(Command::new("ssh-keygen").args(["-H", "-f", &files.text("known_hosts")]), b"");
    assert!(hashed.status.success());
    assert!(std::fs::read_to_string(files.path("known_hosts")).unwrap().starts_with("|1|"));
    let output = run(command.args(["ann@127.0.0.1", "echo in"]), b"");
    assert_eq!(&*output.stdout, b"in\n", "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn keepalives_of_every_ssh_are_answered() {
    let files = Files::new();
    let server = our_sshd(&files, &[]);
    for generation in Generation::ALL {
        let mut command = ssh(generation, &files, server.port);
        command.args([
            "-o",
            "ServerAliveInterval=1",
            "-o",
            "ServerAliveCountMax=1",
            "ann@127.0.0.1",
            "sleep 3; echo alive",
        ]);
        assert_eq!(&*run(&mut command, b"").stdout, b"alive\n", "{generation:?}");
    }
}
