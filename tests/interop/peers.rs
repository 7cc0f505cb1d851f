//! Other implementations, as processes on the loopback interface: AsyncSSH for the methods that no OpenSSH has yet, Dropbear
//! (which guesses the method) and PuTTY.

use super::openssh::{
    Account, Files, Running, Server, Trust, our_ssh, our_ssh_trusting, our_sshd, run, user,
};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The methods that both have.
const KEX: [&str; 7] = [
    "mlkem768x25519-sha256",
    "mlkem768nistp256-sha256",
    "mlkem1024nistp384-sha384",
    "curve25519-sha256",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group18-sha512",
];

/// The interpreter that has AsyncSSH and a parser of metrics; `tests/run` puts it there.
pub fn python() -> Command {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || Path::new(&std::env::var_os("HOME").expect("HOME is set")).join(".cache");
    let python = cache.unwrap_or_else(home).join("strombus/asyncssh/bin/python");
    assert!(python.exists(), "{} is missing: tests/run installs it", python.display());
    Command::new(python)
}

/// A script beside this file.
pub fn asyncssh(script: &str) -> Command {
    let mut command = python();
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/asyncssh").join(script));
    command.env_remove("SSH_AUTH_SOCK");
    command
}

#[test]
fn asyncssh_logs_in_to_our_server_with_methods_that_openssh_lacks() {
    let files = Files::new();
    for kex in KEX {
        let server = our_sshd(&files, &[&format!("KexAlgorithms={kex}")]);
        let mut client = asyncssh("client.py");
        client.args([
            &server.port.to_string(),
            &files.text("user_key"),
            &files.known_hosts(server.port),
            kex,
        ]);
        let output = run(&mut client, b"question");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*output.stdout), (Some(7), &b"question"[..]), "{kex}: {told}");
        assert!(told.contains("oops") && told.contains("strombus"), "{kex}: {told}");
    }
    println!("figure: AsyncSSH to ours: {} methods", KEX.len());
}

#[test]
fn our_client_logs_in_to_asyncssh_with_methods_that_openssh_lacks() {
    let files = Files::new();
    for kex in KEX {
        let mut command = asyncssh("server.py");
        let running =
            Running::start(command.args([&files.text("host_key"), &files.text("authorized_keys"), kex]));
        let line = running.wait_for("Server listening").unwrap_or_else(|| panic!("{}", running.log()));
        let port = line.rsplit(' ').next().unwrap().parse().unwrap();
        let mut client = our_ssh(&files, port);
        client.args(["-o", &format!("KexAlgorithms={kex}"), "ann@127.0.0.1", "anything"]);
        let output = run(&mut client, b"question");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*output.stdout), (Some(7), &b"QUESTION"[..]), "{kex}: {told}");
        assert!(told.contains("oops"), "{kex}: {told}");
    }
    println!("figure: ours to AsyncSSH: {} methods", KEX.len());
}

fn done(command: &mut Command) -> String {
    let output = run(command, b"");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A key of Dropbear's, and its public line.
fn dropbear_key(files: &Files, name: &str) -> (String, String) {
    let path = files.text(name);
    done(Command::new("dropbearkey").args(["-t", "ed25519", "-f", &path]));
    let told = done(Command::new("dropbearkey").args(["-y", "-f", &path]));
    let line = told.lines().find(|line| line.starts_with("ssh-ed25519 ")).unwrap().to_owned();
    (path, line + "\n")
}

#[test]
fn t30_dropbear_which_guesses_logs_in_to_our_server() {
    let files = Files::new();
    let (key, line) = dropbear_key(&files, "dropbear_key");
    files.write("authorized_keys", &line);
    // Its guess is wrong where our first method is not its first.
    for kex in
        ["curve25519-sha256", "ecdh-sha2-nistp256", "sntrup761x25519-sha512@openssh.com,curve25519-sha256"]
    {
        let server = our_sshd(&files, &[&format!("KexAlgorithms={kex}")]);
        let mut client = Command::new("dbclient");
        client.env("HOME", files.directory.path()).args([
            "-y",
            "-y",
            "-i",
            &key,
            "-p",
            &server.port.to_string(),
        ]);
        client.args(["ann@127.0.0.1", "cat; echo oops >&2; exit 7"]);
        let output = run(&mut client, b"question");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*output.stdout), (Some(7), &b"question"[..]), "{kex}: {told}");
        assert!(told.contains("oops"), "{kex}: {told}");
    }
}

#[test]
fn our_client_logs_in_to_dropbear() {
    let (files, account) = (Files::new(), Account::create());
    let (host_key, line) = dropbear_key(&files, "dropbear_host_key");
    // Dropbear looks for keys in the account's home.
    let home = files.path("home");
    fs::create_dir_all(home.join(".ssh")).unwrap();
    fs::copy(files.path("user_key.pub"), home.join(".ssh/authorized_keys")).unwrap();
    done(Command::new("usermod").args(["-d", home.to_str().unwrap(), &account.name]));
    let id =
        |kind: &str| done(Command::new("id").args([kind, account.name.as_str()])).trim().parse().unwrap();
    for path in [home.clone(), home.join(".ssh"), home.join(".ssh/authorized_keys")] {
        chown(&path, Some(id("-u")), Some(id("-g"))).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }
    fs::set_permissions(files.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let server = dropbear(&files, &host_key);
    let known_hosts = files.write("dropbear_known", &format!("[127.0.0.1]:{} {line}", server.port));
    let trust = Trust { known_hosts, strict: "yes" };
    for (cipher, mac) in [
        ("chacha20-poly1305@openssh.com", "hmac-sha2-256"),
        ("aes128-ctr", "hmac-sha2-256"),
        ("aes256-ctr", "hmac-sha1"),
    ] {
        let mut client = our_ssh_trusting(&files, server.port, &trust);
        client.args(["-c", cipher, "-m", mac, &format!("{}@127.0.0.1", account.name)]);
        let output = run(client.arg("cat; echo oops >&2; exit 7"), b"question");
        let told = String::from_utf8_lossy(&output.stderr);
        let what = format!("{cipher} {mac}: {told} {}", server.running.log());
        assert_eq!((output.status.code(), &*output.stdout), (Some(7), &b"question"[..]), "{what}");
    }
}

/// Dropbear's server on a port that was free a moment ago.
fn dropbear(files: &Files, host_key: &str) -> Server {
    for _ in 0..5 {
        let port = super::openssh::free_port();
        let mut command = Command::new("dropbear");
        command.args(["-F", "-E", "-s", "-p", &format!("127.0.0.1:{port}"), "-r", host_key]);
        command.args(["-P", &files.text("dropbear.pid")]);
        let running = Running::start(&mut command);
        if running.wait_for("Not backgrounding").is_some()
            && std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        {
            return Server { running, port };
        }
    }
    panic!("no free port for dropbear");
}

#[test]
fn putty_logs_in_to_our_server() {
    let files = Files::new();
    let server = our_sshd(&files, &[]);
    done(Command::new("puttygen").args([
        &files.text("user_key"),
        "-O",
        "private",
        "-o",
        &files.text("user.ppk"),
    ]));
    let listed = done(Command::new("ssh-keygen").args(["-lf", &files.text("host_key.pub")]));
    let fingerprint = listed.split(' ').nth(1).unwrap();
    let mut client = Command::new("plink");
    client.env("HOME", files.directory.path()).args(["-batch", "-ssh", "-hostkey", fingerprint]);
    client.args(["-P", &server.port.to_string(), "-i", &files.text("user.ppk")]);
    client.args([&format!("{}@127.0.0.1", user()), "cat; echo oops >&2; exit 7"]);
    let output = run(&mut client, b"question");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*output.stdout), (Some(7), &b"question"[..]), "{told}");
}
