//! Bulk in both directions at once, half-close, and peers that read nothing.

use super::openssh::{
    Files, Generation, Server, is_long, known_to, names, our_ssh, our_sshd, ours, resident, run, ssh, sshd,
    user,
};
use std::io::Read;
use std::process::{Command, Stdio};

/// Bytes each way: a check of the whole takes 256 MiB, which `tests/run long` asks for.
fn bulk() -> usize {
    if is_long() { 256 << 20 } else { 24 << 20 }
}

/// Bytes that no stream repeats.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 2003_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).to_le_bytes()
    };
    let mut bytes: Vec<u8> =
        (0..length.div_ceil(4)).flat_map(|_| <[u8; 4]>::try_from(&next()[..4]).unwrap()).collect();
    bytes.truncate(length);
    bytes
}

/// A client and a server of which one at least is ours.
struct Case {
    name: String,
    files: Files,
    server: Server,
    /// Whose ssh it is, if not ours.
    generation: Option<Generation>,
    /// Whose sshd it is, if not ours.
    theirs: Option<Generation>,
}

impl Case {
    fn all() -> Vec<Self> {
        Self::with(&[], &[])
    }

    /// The servers renew keys each MiB, and take every method.
    fn renewing() -> Vec<Self> {
        Self::with(&["RekeyLimit 1M"], &["RekeyLimit=1M"])
    }

    fn with(lines: &[&str], options: &[&str]) -> Vec<Self> {
        let mut cases = Vec::new();
        let every_method = |names: Vec<String>| names.join(",");
        for generation in Generation::ALL {
            let known = every_method(known_to(generation, "kex"));
            let files = Files::new();
            let methods = format!("KexAlgorithms {known}");
            let server = sshd(generation, &files, &[lines, &[&methods]].concat());
            let (name, theirs) = (format!("ours to {generation:?}"), Some(generation));
            cases.push(Self { name, files, server, generation: None, theirs });
            let files = Files::new();
            let methods = format!("KexAlgorithms={known}");
            let server = our_sshd(&files, &[options, &[&methods]].concat());
            let name = format!("{generation:?} to ours");
            cases.push(Self { name, files, server, generation: Some(generation), theirs: None });
        }
        let files = Files::new();
        let methods = format!("KexAlgorithms={}", every_method(names(&mut ours("ssh"), "kex")));
        let server = our_sshd(&files, &[options, &[&methods]].concat());
        cases.push(Self { name: "ours to ours".to_owned(), files, server, generation: None, theirs: None });
        cases
    }

    fn command(&self, remote: &str) -> Command {
        let mut command = match self.generation {
            Some(generation) => ssh(generation, &self.files, self.server.port),
            None => our_ssh(&self.files, self.server.port),
        };
        command.args([&format!("{}@127.0.0.1", user()), remote]);
        command
    }
}

#[test]
fn bulk_both_ways_at_once_arrives_whole() {
    let sent = noise(bulk());
    for case in Case::all() {
        let output = run(&mut case.command("cat"), &sent);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}: {}",
            case.name,
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(output.stdout.len(), sent.len(), "{}", case.name);
        assert!(output.stdout == sent, "{}: other bytes came back", case.name);
    }
}

impl Case {
    /// The same with options in front, which ssh takes before those behind.
    fn command_with(&self, options: &[&str], remote: &str) -> Command {
        let plain = self.command(remote);
        let mut command = Command::new(plain.get_program());
        for option in options {
            command.args(["-o", option]);
        }
        command.args(plain.get_args()).env_remove("SSH_AUTH_SOCK");
        command
    }

    /// The methods that both sides have.
    fn methods(&self) -> Vec<String> {
        match (self.theirs, self.generation) {
            (Some(generation), _) | (None, Some(generation)) => known_to(generation, "kex"),
            (None, None) => names(&mut ours("ssh"), "kex"),
        }
    }

    fn assert_whole(&self, command: &mut Command, sent: &[u8], what: &str) {
        let output = run(command, sent);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{} {what}: {told}", self.name);
        assert_eq!(output.stdout.len(), sent.len(), "{} {what}", self.name);
        assert!(output.stdout == sent, "{} {what}: other bytes came back", self.name);
    }
}

#[test]
fn t12_t36_bulk_arrives_whole_while_both_sides_renew_their_keys_by_every_method() {
    let sent = noise(if is_long() { 64 << 20 } else { 3 << 20 });
    for case in Case::renewing() {
        let methods = case.methods();
        for kex in &methods {
            let options = ["RekeyLimit=1M", &format!("KexAlgorithms={kex}")];
            case.assert_whole(&mut case.command_with(&options, "cat"), &sent, kex);
        }
        println!("figure: {}: keys renewed each MiB by {} methods", case.name, methods.len());
    }
}

#[test]
fn a_gibibyte_each_way_arrives_whole_across_the_limit_of_its_keys() {
    let sent = noise(if is_long() { 1 << 30 } else { 1 << 20 });
    for case in Case::all() {
        for kex in ["curve25519-sha256", "mlkem768x25519-sha256"] {
            if case.methods().iter().any(|known| known == kex) {
                let option = format!("KexAlgorithms={kex}");
                case.assert_whole(&mut case.command_with(&[&option], "cat"), &sent, kex);
            }
        }
    }
}

#[test]
fn nothing_is_something_and_a_status_is_passed_on() {
    for case in Case::all() {
        for (remote, input, expected, status) in [
            ("cat", &b""[..], &b""[..], 0),
            ("exit 255", b"", b"", 255),
            ("exit 1", b"unread", b"", 1),
            ("cat; echo end", b"one\n", b"one\nend\n", 0),
            ("exec 1>&- 2>&-; cat >/dev/null; exit 4", b"after our output ended", b"", 4),
        ] {
            let output = run(&mut case.command(remote), input);
            let text = String::from_utf8_lossy(&output.stderr);
            assert_eq!(
                (output.status.code(), &*output.stdout),
                (Some(status), expected),
                "{} {remote}: {text}",
                case.name
            );
        }
        let output = run(&mut case.command("kill -TERM $$"), b"");
        assert_eq!(output.status.code(), Some(255), "{}: no status, but a signal", case.name);
    }
}

#[test]
fn a_command_that_reads_nothing_ends_while_we_send() {
    let sent = noise(8 << 20);
    for case in Case::all() {
        let output = run(&mut case.command("exec 0<&-; echo done"), &sent);
        assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"done\n"[..]), "{}", case.name);
    }
}

#[test]
fn a_peer_that_reads_nothing_grows_nobodys_memory_and_holds_up_nobody() {
    for case in Case::all() {
        // A client whose output nobody reads, while the command writes as fast as it can.
        let mut stuck = case.command("yes");
        let mut stuck =
            stuck.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut pipe = stuck.stdout.take().unwrap();
        let mut first = [0; 2];
        pipe.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"y\n");
        let other = run(&mut case.command("head -c 4000000 /dev/zero"), b"");
        assert_eq!(other.stdout.len(), 4_000_000, "{}: another session goes on", case.name);
        if case.generation.is_none() {
            assert!(resident(stuck.id()) < 64 << 20, "{}: {} bytes", case.name, resident(stuck.id()));
        }
        if case.generation.is_some() {
            let server = case.server.running.child.id();
            assert!(resident(server) < 64 << 20, "{}: {} bytes", case.name, resident(server));
        }
        stuck.kill().unwrap();
        stuck.wait().unwrap();
    }
}
