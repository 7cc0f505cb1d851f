//! Bulk in both directions at once, half-close, and peers that read nothing.

use super::openssh::{Files, Generation, Server, our_ssh, our_sshd, resident, run, ssh, sshd, user};
use std::io::Read;
use std::process::{Command, Stdio};

/// Bytes each way: a check of the whole takes 256 MiB, which `tests/run long` asks for.
fn bulk() -> usize {
    if std::env::var_os("STROMBUS_LONG").is_some() { 256 << 20 } else { 24 << 20 }
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
    generation: Option<Generation>,
}

impl Case {
    fn all() -> Vec<Self> {
        let mut cases = Vec::new();
        for generation in Generation::ALL {
            let files = Files::new();
            let server = sshd(generation, &files, &[]);
            cases.push(Self { name: format!("ours to {generation:?}"), files, server, generation: None });
            let files = Files::new();
            let server = our_sshd(&files, &[]);
            cases.push(Self {
                name: format!("{generation:?} to ours"),
                files,
                server,
                generation: Some(generation),
            });
        }
        let files = Files::new();
        let server = our_sshd(&files, &[]);
        cases.push(Self { name: "ours to ours".to_owned(), files, server, generation: None });
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

#[test]
fn t12_bulk_arrives_whole_while_both_sides_renew_their_keys() {
    let sent = noise(bulk() / 4);
    for case in Case::all() {
        let mut command = case.command("cat");
        let mut arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        arguments.splice(0..0, ["-o".into(), "RekeyLimit=1M".into()]);
        command = Command::new(command.get_program());
        let output = run(command.args(arguments).env_remove("SSH_AUTH_SOCK"), &sent);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}: {}",
            case.name,
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.stdout == sent, "{}: other bytes came back", case.name);
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
