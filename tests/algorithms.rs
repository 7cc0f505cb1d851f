//! The names of algorithms at the programs: lists as the machine's own ssh reads them, `-Q`, presets, and what is refused.

use std::path::Path;
use std::process::{Command, Output};
use strombus::transport::algorithms::{Algorithm, Offered, edit, names};

/// Runs the machine's ssh, whose lines of `-G` and `-Q` are what ours are compared with.
fn ssh(arguments: &[&str]) -> Output {
    let mut command = Command::new("ssh");
    command.args(["-F", "none"]).args(arguments).output().expect("ssh of openssh-client")
}

fn ssh_query(what: &str) -> Vec<Algorithm<()>> {
    let output = ssh(&["-Q", what]);
    assert!(output.status.success(), "{output:?}");
    rows(String::from_utf8(output.stdout).unwrap().lines())
}

fn rows<'n>(names: impl Iterator<Item = &'n str>) -> Vec<Algorithm<()>> {
    let row =
        |name: &str| Algorithm { name: name.to_owned().leak(), algorithm: (), offered: Offered::ByBoth };
    names.map(row).collect()
}

/// A list of ssh's under further options, or nothing if these are refused.
fn ssh_list(keyword: &str, options: &[&str]) -> Option<Vec<Algorithm<()>>> {
    let output = ssh(&[&["-G"][..], options, &["host"]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let key = keyword.to_ascii_lowercase() + " ";
    let line = text.lines().find_map(|line| line.strip_prefix(&key));
    output.status.success().then(|| rows(line.unwrap().split(',')))
}

#[test]
fn lists_are_edited_as_ssh_edits_them() {
    let mut compared = 0;
    for (keyword, query, wildcards, lists) in [
        (
            "Ciphers",
            "cipher",
            false,
            &[
                "aes256-ctr",
                "aes256-ctr,aes128-ctr,aes256-ctr",
                "+aes128-ctr",
                "+aes128-cbc",
                "+aes128-cbc,aes256-cbc,aes128-cbc",
                "^aes256-ctr,aes128-ctr",
                "^aes128-cbc",
                "-aes128-ctr",
                "-aes*",
                "-aes128-ctr,?es256*",
                "-!aes*,*",
                "-AES*",
                "-unknown",
                "-",
                "+aes*",
                "^aes*",
                "aes*",
                "unknown",
                "+unknown",
                "^unknown",
                "+",
                "^",
                "+-aes128-cbc",
                "AES128-CTR",
            ][..],
        ),
        (
            "MACs",
            "mac",
            false,
            &["hmac-sha2-256", "+hmac-md5", "-umac*", "-*sha1*,*-64*", "^hmac-sha2-512", "+hmac*", "x"],
        ),
        (
            "KexAlgorithms",
            "kex",
            false,
            &[
                "curve25519-sha256",
                "+diffie-hellman-group14-sha1",
                "-ecdh*",
                "-*nistp???",
                "^ecdh-sha2-nistp521",
                "x",
            ],
        ),
        (
            "HostKeyAlgorithms",
            "HostKeyAlgorithms",
            true,
            &[
                "ssh-ed25519",
                "ssh-*",
                "+ssh-*",
                "^rsa*",
                "*",
                "-*rsa*",
                "^ecdsa*,ssh-ed25519",
                "nosuch*",
                "+nosuch*",
            ],
        ),
        (
            "PubkeyAcceptedAlgorithms",
            "PubkeyAcceptedAlgorithms",
            true,
            &["+ssh-rsa", "-*nistp*", "^ssh-ed25519*", "?s?-ed*", "x"],
        ),
    ] {
        let (known, default) = (ssh_query(query), ssh_list(keyword, &[]).unwrap());
        for list in lists {
            let ours = edit(&known, &default, list, wildcards).ok();
            let theirs = ssh_list(keyword, &["-o", &format!("{keyword}={list}")]);
            let [ours, theirs] = [ours, theirs].map(|rows| rows.map(|rows| names(&rows).collect::<Vec<_>>()));
            assert_eq!(ours, theirs, "{keyword}={list}");
            compared += 1;
        }
    }
    println!("figure: {compared} lists compared with ssh");
}

/// A program of ours, built by cargo beside this test.
fn ours(name: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let beside = Path::new(env!("CARGO_BIN_EXE_ssh-weblog")).parent().unwrap();
    let program = if name == "ssh-weblog" { beside.join(name) } else { beside.join("examples").join(name) };
    let output = Command::new(program).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn ssh_q_lists_names_a_line_each_and_needs_no_host() {
    for (query, some) in [
        ("cipher", "aes256-ctr"),
        ("mac", "hmac-sha2-256"),
        ("kex", "curve25519-sha256"),
        ("key", "ssh-ed25519"),
        ("sig", "ssh-ed25519"),
        ("compression", "none"),
        ("help", "cipher"),
    ] {
        let (status, out, err) = ours("ssh", &["-Q", query]);
        assert_eq!((status, &*err), (Some(0), ""), "{query}");
        assert!(out.ends_with('\n') && out.lines().any(|line| line == some), "{query}: {out}");
    }
    let (status, out, err) = ours("ssh", &["-Q", "colour"]);
    assert_eq!((status, &*out), (Some(255), ""));
    assert_eq!(err, "ssh: -Q colour: it may be cipher, compression, kex, key, mac, sig\n");
    assert_ne!(ours("ssh", &[]).0, Some(0), "without -Q a host is needed");
}

#[test]
fn what_ssh_knows_too_has_the_same_name_there() {
    for query in ["cipher", "mac", "kex", "sig"] {
        let (_, out, _) = ours("ssh", &["-Q", query]);
        let theirs = ssh_query(query);
        let common = out.lines().filter(|line| names(&theirs).any(|name| name == *line)).count();
        assert!(common > 0, "{query}");
        // What is younger than the oldest ssh that is tested with.
        let young = |line: &str| line.starts_with("mlkem");
        assert_eq!(common, out.lines().filter(|line| !young(line)).count(), "{query}: {out}");
    }
}

#[test]
fn a_name_that_is_not_known_is_refused_with_those_that_are() {
    let lists = [
        ("Ciphers", "+blowfish-cbc", "blowfish-cbc", "aes256-ctr"),
        ("MACs", "umac-64@openssh.com", "umac-64@openssh.com", "hmac-sha2-256"),
        ("KexAlgorithms", "^curve448-sha512", "curve448-sha512", "curve25519-sha256"),
        ("HostKeyAlgorithms", "ssh-dss", "ssh-dss", "ssh-ed25519"),
        ("PubkeyAcceptedAlgorithms", "+ssh-dss", "ssh-dss", "ssh-ed25519"),
    ];
    for (keyword, list, name, known) in lists {
        let option = format!("{keyword}={list}");
        for (program, arguments, expected) in [
            ("ssh", &["-o", &option, "127.0.0.1"][..], 255),
            ("ssh-weblog", &["-o", &option, "127.0.0.1:x"], 2),
            ("sshd", &["-h", "/dev/null", "-o", &option], 1),
        ] {
            let (status, out, err) = ours(program, arguments);
            assert_eq!((status, &*out), (Some(expected), ""), "{program} {option}: {err}");
            let [name, known] = [format!("{keyword}: {name} is not known; known are "), known.to_owned()];
            assert!(err.contains(&name) && err.contains(&known), "{program}: {err}");
        }
    }
    let (status, _, err) = ours("ssh", &["-c", "-*", "127.0.0.1"]);
    assert_eq!(status, Some(255));
    assert!(err.contains("Ciphers: nothing is left"), "{err}");
}

#[test]
fn the_preset_post_quantum_refuses_other_methods_in_whatever_order_it_is_said() {
    let preset = "AlgorithmPreset=post-quantum";
    let list = "KexAlgorithms=+curve25519-sha256";
    for [one, other] in [[preset, list], [list, preset]] {
        for (program, arguments, expected) in [
            ("ssh", &["-o", one, "-o", other, "127.0.0.1"][..], 255),
            ("ssh-weblog", &["-o", one, "-o", other, "127.0.0.1:x"], 2),
            ("sshd", &["-h", "/dev/null", "-o", one, "-o", other], 1),
        ] {
            let (status, _, err) = ours(program, arguments);
            assert_eq!(status, Some(expected), "{program}: {err}");
            assert!(err.contains("KexAlgorithms: curve25519-sha256 is refused"), "{program}: {err}");
        }
    }
    let (status, _, err) = ours("ssh", &["-o", "AlgorithmPreset=quantum", "127.0.0.1"]);
    assert_eq!(status, Some(255));
    assert!(err.contains("default, post-quantum, legacy"), "{err}");
}

#[test]
fn help_tells_the_presets() {
    for program in ["ssh", "sshd", "ssh-weblog"] {
        let (status, out, _) = ours(program, &["--help"]);
        assert_eq!(status, Some(0));
        for word in ["AlgorithmPreset=", "post-quantum", "legacy"] {
            assert!(out.contains(word), "{program}: {out}");
        }
    }
}
