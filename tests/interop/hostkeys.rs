//! Who the host is, beside OpenSSH of both generations: certificates of hosts, revoked keys, and known_hosts that follows a
//! host's keys.

use super::openssh::*;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// Types of host keys: ssh-keygen's words, and the name of the certificate's algorithm.
const TYPES: [(&str, &[&str], &str); 5] = [
    ("host_key", &[], "ssh-ed25519-cert-v01@openssh.com"),
    ("host_p256", &["-t", "ecdsa", "-b", "256"], "ecdsa-sha2-nistp256-cert-v01@openssh.com"),
    ("host_p384", &["-t", "ecdsa", "-b", "384"], "ecdsa-sha2-nistp384-cert-v01@openssh.com"),
    ("host_p521", &["-t", "ecdsa", "-b", "521"], "ecdsa-sha2-nistp521-cert-v01@openssh.com"),
    ("host_rsa", &["-t", "rsa", "-b", "2048"], "rsa-sha2-512-cert-v01@openssh.com"),
];

fn keygen(files: &Files, arguments: &[&str]) {
    let mut command = Command::new(Generation::Bookworm.program("ssh-keygen"));
    let output = command.current_dir(files.directory.path()).arg("-q").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn make_key(files: &Files, name: &str, arguments: &[&str]) {
    keygen(files, &[arguments, &["-N", "", "-f", name]].concat());
}

/// Certifies a key for a host; `what` may say something else.
fn certify(files: &Files, ca: &str, key: &str, what: &[&str]) {
    let public = format!("{key}.pub");
    keygen(files, &[&["-s", ca, "-I", "id"], what, &[&public]].concat());
}

const FOR_HERE: &[&str] = &["-h", "-n", "127.0.0.1", "-V", "-1h:+1h"];

fn public(files: &Files, name: &str) -> String {
    fs::read_to_string(files.path(&format!("{name}.pub"))).unwrap()
}

fn here(port: u16) -> String {
    format!("[127.0.0.1]:{port}")
}

/// Our ssh and both of OpenSSH, to a port.
fn clients(files: &Files, port: u16, trust: &Trust) -> Vec<(String, Command)> {
    let mut clients = vec![("ours".to_owned(), our_ssh_trusting(files, port, trust))];
    for generation in Generation::ALL {
        clients.push((format!("{generation:?}"), ssh_trusting(generation, files, port, trust)));
    }
    clients
}

/// Runs a command there; what was told on standard error, and whether it ran.
fn runs(command: &mut Command, options: &[&str]) -> (bool, String) {
    for option in options {
        command.args(["-o", option]);
    }
    let output = run(command.args([&format!("{}@127.0.0.1", user()), "echo in"]), b"");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let ran = output.status.success() && output.stdout == b"in\n";
    assert!(ran || output.status.code() == Some(255), "{told}");
    (ran, told)
}

#[test]
fn host_certificates_of_every_type_are_vouched_for_on_both_sides() {
    let files = Files::new();
    for (ca, arguments) in [("ca", &["-t", "ed25519"][..]), ("ca_rsa", &["-t", "rsa", "-b", "2048"])] {
        make_key(&files, ca, arguments);
    }
    let (mut host_keys, mut lines, mut options) = (Vec::new(), Vec::new(), Vec::new());
    for (at, (name, arguments, _)) in TYPES.iter().enumerate() {
        if !arguments.is_empty() {
            make_key(&files, name, arguments);
            lines.push(format!("HostKey {}", files.text(name)));
        }
        certify(&files, ["ca", "ca_rsa"][at % 2], name, FOR_HERE);
        lines.push(format!("HostCertificate {}", files.text(&format!("{name}-cert.pub"))));
        options.push(format!("HostCertificate={}", files.text(&format!("{name}-cert.pub"))));
        host_keys.push(files.text(name));
    }
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let mut servers: Vec<_> =
        Generation::ALL.iter().map(|generation| (true, sshd(*generation, &files, &lines))).collect();
    servers.push((false, our_sshd_with(&files, &host_keys, &options)));
    let mut compared = 0;
    for (is_theirs, server) in &servers {
        // With the port, without it, and as a pattern: an authority speaks of the host.
        for hosts in [here(server.port), "127.0.0.1".to_owned(), "127.*".to_owned()] {
            let cas = ["ca", "ca_rsa"].map(|ca| format!("@cert-authority {hosts} {}", public(&files, ca)));
            let trust = Trust { known_hosts: files.write("authorities", &cas.concat()), strict: "yes" };
            for (who, mut client) in clients(&files, server.port, &trust) {
                if *is_theirs && who != "ours" {
                    continue;
                }
                let (ran, told) = runs(&mut client, &[]);
                assert!(ran, "{who}: the authority is asked first: {told}");
                for (_, _, algorithm) in TYPES {
                    let mut client = clients(&files, server.port, &trust);
                    let client = client.iter_mut().find(|(name, _)| *name == who).unwrap();
                    let (ran, told) = runs(&mut client.1, &[&format!("HostKeyAlgorithms={algorithm}")]);
                    assert!(ran, "{who} {hosts} {algorithm}: {told}");
                    compared += 1;
                }
            }
        }
    }
    println!("figure: {compared} logins to hosts that a certificate vouches for");
    assert_eq!(compared, 75);
}

#[test]
fn a_host_certificate_that_does_not_count_is_refused_where_ssh_refuses_it() {
    let files = Files::new();
    for ca in ["ca", "other_ca"] {
        make_key(&files, ca, &["-t", "ed25519"]);
    }
    make_key(&files, "ca_p256", &["-t", "ecdsa", "-b", "256"]);
    let authority = |port, ca| format!("@cert-authority {} {}", here(port), public(&files, ca));
    let revoked = |port, key| format!("@revoked {} {}", here(port), public(&files, key));
    let list = |key| format!("RevokedHostKeys={}", files.write("revoked", &public(&files, key)));
    type Case<'a> = (&'a str, &'a str, &'a [&'a str], Box<dyn Fn(u16) -> (String, Vec<String>) + 'a>, bool);
    let plain: &dyn Fn(u16) -> (String, Vec<String>) = &|port| (authority(port, "ca"), Vec::new());
    let cases: Vec<Case<'_>> = vec![
        ("good", "ca", FOR_HERE, Box::new(plain), true),
        ("a pattern in a list", "ca", &["-h", "-n", "h.example,127.0.0.1"], Box::new(plain), true),
        ("another host's", "ca", &["-h", "-n", "h.example", "-V", "-1h:+1h"], Box::new(plain), false),
        ("expired", "ca", &["-h", "-n", "127.0.0.1", "-V", "-2h:-1h"], Box::new(plain), false),
        ("not yet valid", "ca", &["-h", "-n", "127.0.0.1", "-V", "+1h:+2h"], Box::new(plain), false),
        ("a user's", "ca", &["-n", "127.0.0.1", "-V", "-1h:+1h"], Box::new(plain), false),
        ("another CA's", "other_ca", FOR_HERE, Box::new(plain), false),
        (
            "of a CA that is revoked",
            "ca",
            FOR_HERE,
            Box::new(|port| (revoked(port, "ca") + &authority(port, "ca"), Vec::new())),
            false,
        ),
        (
            "of a key that is revoked",
            "ca",
            FOR_HERE,
            Box::new(|port| (authority(port, "ca") + &revoked(port, "host_key"), Vec::new())),
            false,
        ),
        (
            "of a CA on the list of revoked keys",
            "ca",
            FOR_HERE,
            Box::new(|port| (authority(port, "ca"), vec![list("ca")])),
            false,
        ),
        (
            "of a key on that list",
            "ca",
            FOR_HERE,
            Box::new(|port| (authority(port, "ca"), vec![list("host_key")])),
            false,
        ),
        (
            "with another key on that list",
            "ca",
            FOR_HERE,
            Box::new(|port| (authority(port, "ca"), vec![list("user_key")])),
            true,
        ),
        (
            "signed by what CAs may not sign by",
            "ca_p256",
            FOR_HERE,
            Box::new(|port| {
                (authority(port, "ca_p256"), vec!["CASignatureAlgorithms=ssh-ed25519".to_owned()])
            }),
            false,
        ),
        (
            "signed by what they may",
            "ca_p256",
            FOR_HERE,
            Box::new(|port| (authority(port, "ca_p256"), Vec::new())),
            true,
        ),
        (
            "that nobody speaks of, of a key that is known",
            "ca",
            FOR_HERE,
            Box::new(|port| (format!("{} {}", here(port), public(&files, "host_key")), Vec::new())),
            true,
        ),
        (
            "of another host, of a key that is known",
            "ca",
            &["-h", "-n", "h.example"],
            Box::new(|port| {
                let known = format!("{} {}", here(port), public(&files, "host_key"));
                (authority(port, "ca") + &known, Vec::new())
            }),
            true,
        ),
        (
            "of a known key that is on the list of revoked keys",
            "ca",
            FOR_HERE,
            Box::new(|port| {
                (format!("{} {}", here(port), public(&files, "host_key")), vec![list("host_key")])
            }),
            false,
        ),
    ];
    for (what, ca, certificate, known, good) in &cases {
        certify(&files, ca, "host_key", certificate);
        let line = format!("HostCertificate {}", files.text("host_key-cert.pub"));
        let server = sshd(Generation::Bookworm, &files, &[&line]);
        let (known_hosts, mut options) = known(server.port);
        options.push("HostKeyAlgorithms=ssh-ed25519-cert-v01@openssh.com,ssh-ed25519".to_owned());
        let trust = Trust { known_hosts: files.write("known_hosts", &known_hosts), strict: "yes" };
        let options: Vec<_> = options.iter().map(String::as_str).collect();
        for (who, mut client) in clients(&files, server.port, &trust) {
            let (ran, told) = runs(&mut client, &options);
            assert_eq!(ran, *good, "{who}: {what}: {told}");
        }
    }
    println!("figure: {} host certificates judged as ssh judges them", cases.len());
}

#[test]
fn a_host_certificate_for_nobody_is_refused() {
    let files = Files::new();
    make_key(&files, "ca", &["-t", "ed25519"]);
    certify(&files, "ca", "host_key", &["-h"]);
    let server = our_sshd(&files, &[&format!("HostCertificate={}", files.text("host_key-cert.pub"))]);
    let line = format!("@cert-authority {} {}", here(server.port), public(&files, "ca"));
    let trust = Trust { known_hosts: files.write("known_hosts", &line), strict: "accept-new" };
    let (ran, told) = runs(&mut our_ssh_trusting(&files, server.port, &trust), &[]);
    assert!(!ran && told.contains("lists no principals"), "{told}");
    assert_eq!(fs::read_to_string(files.path("known_hosts")).unwrap(), line, "nothing is noted down instead");
}

/// The keys that a file knows a port here by, and all other lines.
fn known(contents: &str, port: u16) -> (BTreeSet<String>, Vec<&str>) {
    let (own, others): (Vec<_>, Vec<_>) = contents.lines().partition(|line| line.starts_with(&here(port)));
    let blob = |line: &&str| line.split(' ').nth(2).unwrap().to_owned();
    (own.iter().map(blob).collect(), others)
}

#[test]
fn known_hosts_follows_the_keys_that_a_host_announces_and_proves() {
    let files = Files::new();
    make_key(&files, "host_p256", &["-t", "ecdsa", "-b", "256"]);
    make_key(&files, "host_rsa", &["-t", "rsa", "-b", "2048"]);
    make_key(&files, "old", &["-t", "ecdsa", "-b", "384"]);
    let extra = ["host_p256", "host_rsa"].map(|name| format!("HostKey {}", files.text(name)));
    let extra = extra.each_ref().map(String::as_str);
    let names = ["host_key", "host_p256", "host_rsa"];
    let blob = |name: &str| public(&files, name).split(' ').nth(1).unwrap().to_owned();
    let all: BTreeSet<_> = names.map(blob).into();
    let host_keys = names.map(|name| files.text(name));
    let servers = [
        ("Bookworm", sshd(Generation::Bookworm, &files, &extra)),
        ("Trixie", sshd(Generation::Trixie, &files, &extra)),
        ("ours", our_sshd_with(&files, &host_keys, &[] as &[&str])),
    ];
    for (whose, server) in &servers {
        let port = server.port;
        let others = format!("# a comment\n\nh.example {}", public(&files, "user_key"));
        let before = format!(
            "{others}{} {}{} {}",
            here(port),
            public(&files, "host_key"),
            here(port),
            public(&files, "old")
        );
        let path = files.path("to_be_updated");
        // A server that shows its RSA key proves by that key's algorithm.
        let by_rsa = before.replace(&public(&files, "host_key"), &public(&files, "host_rsa"));
        for (before, first) in [(&before, "ssh-ed25519"), (&by_rsa, "rsa-sha2-256")] {
            let trust = Trust { known_hosts: path.to_str().unwrap().to_owned(), strict: "yes" };
            for (who, _) in clients(&files, port, &trust) {
                if who != "ours" && *whose != "ours" {
                    continue;
                }
                let client = |options: &[&str]| {
                    fs::write(&path, before).unwrap();
                    let mut clients = clients(&files, port, &trust);
                    let client = clients.iter_mut().find(|(name, _)| *name == who).unwrap();
                    let algorithms = format!("HostKeyAlgorithms=^{first}");
                    let (ran, told) = runs(&mut client.1, &[&[&*algorithms], options].concat());
                    assert!(ran, "{who} to {whose}: {told}");
                    fs::read_to_string(&path).unwrap()
                };
                assert_eq!(client(&[]), *before, "a file of the user's own is not updated unasked");
                assert_eq!(client(&["UpdateHostKeys=no"]), *before);
                let after = client(&["UpdateHostKeys=yes"]);
                let (own, rest) = known(&after, port);
                assert_eq!(
                    (own, rest),
                    (all.clone(), others.lines().collect()),
                    "{who} to {whose} by {first}"
                );
                let hashed = client(&["UpdateHostKeys=yes", "HashKnownHosts=yes"]);
                assert!(
                    hashed.contains("\n|1|") && !hashed.contains(&blob("old")),
                    "{who} to {whose}: {hashed}"
                );
            }
        }
    }
}

#[test]
fn known_hosts_stays_as_it_is_where_more_than_one_name_or_an_authority_is_involved() {
    let files = Files::new();
    make_key(&files, "host_p256", &["-t", "ecdsa", "-b", "256"]);
    let server = sshd(Generation::Trixie, &files, &[&format!("HostKey {}", files.text("host_p256"))]);
    let (host, key) = (here(server.port), public(&files, "host_key"));
    let other = public(&files, "host_p256");
    for before in [
        format!("{host},h.example,i.example {key}"),
        format!("[127.0.0.?]:{} {key}", server.port),
        format!("{host} {key}h.example {other}"),
        format!("{host} {key}@cert-authority {host} {}", public(&files, "user_key")),
        format!("127.0.0.1 {key}"),
    ] {
        let trust = Trust { known_hosts: files.write("known_hosts", &before), strict: "yes" };
        for (who, mut client) in clients(&files, server.port, &trust) {
            let (ran, told) = runs(&mut client, &["UpdateHostKeys=yes"]);
            assert!(ran, "{who}: {told}");
            assert_eq!(fs::read_to_string(files.path("known_hosts")).unwrap(), before, "{who}");
        }
    }
}

#[test]
fn processes_that_note_down_hosts_at_once_lose_no_line() {
    let files = Files::new();
    let server = our_sshd(&files, &[]);
    let first = "# without an end";
    let trust = Trust { known_hosts: files.write("shared", first), strict: "accept-new" };
    let aliases: Vec<_> = (0..16).map(|n| format!("h{n}.example")).collect();
    let mut running = Vec::new();
    for alias in &aliases {
        let mut command = our_ssh_trusting(&files, server.port, &trust);
        command.args(["-o", &format!("HostKeyAlias={alias}"), "ann@127.0.0.1", "true"]);
        running.push(Running::start(command.stdin(std::process::Stdio::null())));
    }
    for client in &mut running {
        assert!(client.wait().success(), "{}", client.log());
    }
    let key = public(&files, "host_key");
    let key = key.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let expected: BTreeSet<_> = aliases.iter().map(|alias| format!("{alias} {key}")).collect();
    let contents = fs::read_to_string(files.path("shared")).unwrap();
    let lines: Vec<_> = contents.lines().collect();
    assert_eq!((lines[0], lines.len()), (first, 17), "{contents}");
    assert_eq!(lines[1..].iter().map(|line| (*line).to_owned()).collect::<BTreeSet<_>>(), expected);
}

#[test]
fn a_changed_key_with_checking_off_is_warned_of_and_no_password_is_asked_for() {
    let files = Files::new();
    let account = Account::create();
    let server = sshd(Generation::Bookworm, &files, &["PasswordAuthentication yes"]);
    let wrong = format!("{} {}", here(server.port), public(&files, "user_key"));
    let changed = Trust { known_hosts: files.write("changed", &wrong), strict: "no" };
    for (who, mut client) in clients(&files, server.port, &changed) {
        let (ran, told) = runs(&mut client, &[]);
        assert!(ran, "a key cannot be stolen: {who}: {told}");
        assert!(told.contains("changed") || told.contains("CHANGED"), "{who}: {told}");
    }
    assert_eq!(fs::read_to_string(files.path("changed")).unwrap(), wrong, "what is known stays");
    let right = Trust { strict: "no", ..Trust::test_key(&files, server.port) };
    for (trust, asks) in [(&right, true), (&changed, false)] {
        let mut client = our_ssh_trusting(&files, server.port, trust);
        client.args(["-o", "PubkeyAuthentication=no", &format!("{}@127.0.0.1", account.name), "true"]);
        let terminal = Terminal::start(&client);
        if asks {
            terminal.wait_for("password: ");
            terminal.send(&account.password);
        }
        let screen = terminal.wait_for(ENDED);
        assert_eq!(screen.contains("password: "), asks, "{screen}");
        assert!(screen.contains(if asks { "ended with 0" } else { "ended with 255" }), "{screen}");
    }
    let new = Trust { known_hosts: files.text("new"), strict: "no" };
    let (ran, told) = runs(&mut our_ssh_trusting(&files, server.port, &new), &[]);
    assert!(ran && told.contains("Permanently added"), "{told}");
    assert_eq!(known(&fs::read_to_string(files.path("new")).unwrap(), server.port).0.len(), 1);
}

#[test]
fn the_question_about_a_new_host_names_others_with_its_key() {
    let files = Files::new();
    let server = our_sshd(&files, &[]);
    let key = public(&files, "host_key");
    let names: String = (0..9).map(|n| format!("h{n}.example {key}")).collect();
    for (known_hosts, expected) in [
        (files.write("none", ""), &["This key is not known by any other names"][..]),
        (
            files.write("some", &names),
            &[
                "This host key is known by the following other names/addresses:",
                ":1: h0.example",
                "(1 additional names omitted)",
            ],
        ),
    ] {
        let trust = Trust { known_hosts, strict: "ask" };
        for (who, mut client) in clients(&files, server.port, &trust) {
            client.args(["ann@127.0.0.1", "true"]);
            let terminal = Terminal::start(&client);
            let screen = terminal.wait_for("(yes/no/[fingerprint])?");
            for text in expected {
                assert!(screen.contains(text), "{who}: {text}: {screen}");
            }
            terminal.send("no");
            assert!(terminal.wait_for(ENDED).contains("ended with 255"));
        }
    }
}

#[test]
fn rsa_keys_shorter_than_required_are_neither_taken_nor_offered() {
    let files = Files::new();
    make_key(&files, "host_rsa", &["-t", "rsa", "-b", "2048"]);
    make_key(&files, "user_rsa", &["-t", "rsa", "-b", "2048"]);
    let server = our_sshd_with(&files, &[files.text("host_key"), files.text("host_rsa")], &[] as &[&str]);
    let lines =
        ["host_key", "host_rsa"].map(|name| format!("{} {}", here(server.port), public(&files, name)));
    let trust = Trust { known_hosts: files.write("known_hosts", &lines.concat()), strict: "yes" };
    for (required, host_algorithms, user_key, good) in [
        ("2048", "rsa-sha2-512", "user_key", true),
        ("2049", "rsa-sha2-512", "user_key", false),
        ("2048", "ssh-ed25519", "user_rsa", true),
        ("2049", "ssh-ed25519", "user_rsa", false),
    ] {
        fs::copy(files.path(&format!("{user_key}.pub")), files.path("authorized_keys")).unwrap();
        for (who, mut client) in clients(&files, server.port, &trust) {
            let options = [
                format!("HostKeyAlgorithms={host_algorithms}"),
                format!("RequiredRSASize={required}"),
                format!("IdentityFile={}", files.text(user_key)),
            ];
            let (ran, told) = runs(&mut client, &options.each_ref().map(String::as_str));
            assert_eq!(ran, good, "{who}: {required} {host_algorithms} {user_key}: {told}");
        }
    }
}
