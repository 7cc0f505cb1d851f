//! `examples/bench_server`: what the comparison relies on, asked for by OpenSSH's client.

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "interop/openssh.rs"]
mod openssh;

use openssh::{Files, Generation, Running, Server, deadline, ours, run, ssh};
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

fn serve(files: &Files) -> Server {
    let mut command = ours("bench_server");
    command.args(["-p", "0", "-h", &files.text("host_key"), "-o"]);
    command.arg(format!("AuthorizedKeysFile={}", files.text("authorized_keys")));
    let running = Running::start(&mut command);
    let line = running.wait_for("Server listening").unwrap_or_else(|| panic!("{}", running.log()));
    let port = line.trim_end_matches('.').rsplit(' ').next().unwrap().parse().unwrap();
    Server { running, port }
}

fn client(files: &Files, server: &Server, command: &str) -> Command {
    let mut client = ssh(Generation::Bookworm, files, server.port);
    client.args(["127.0.0.1", command]);
    client
}

#[test]
fn commands_are_answered_from_memory_and_others_are_not_known() {
    let files = Files::new();
    let server = serve(&files);
    let ask = |command, input: &[u8]| run(&mut client(&files, &server, command), input);
    let status = |command, input: &[u8]| ask(command, input).status.code();
    assert_eq!(status("true", b""), Some(0));
    assert_eq!(status("cat >/dev/null", &vec![7; 5_000_000]), Some(0));
    let zeros = ask("head -c 5000001 /dev/zero", b"");
    assert!(zeros.status.success() && zeros.stdout == vec![0; 5_000_001]);
    for other in
        ["false", "head -c x /dev/zero", "head -c 5 /dev/random", "cat >/dev/full", "cat -u", "true; true"]
    {
        assert_eq!(status(other, b""), Some(127), "{other}");
    }
    assert_eq!(status("tail -n0 -f /nowhere/at/all", b""), Some(1));
}

/// The client of a command, which is ended when it waits for what never comes.
fn spawn(files: &Files, server: &Server, command: &str, stdin: Stdio) -> Child {
    let ssh = client(files, server, command);
    let mut client = Command::new("timeout");
    client.arg(deadline().as_secs().to_string()).arg(ssh.get_program()).args(ssh.get_args());
    client.env_remove("SSH_AUTH_SOCK").stdin(stdin).stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn cat_loses_nothing_of_what_its_reader_does_not_take_yet() {
    let files = Files::new();
    let server = serve(&files);
    let mut cat = spawn(&files, &server, "cat", Stdio::piped());
    let mut stdin = cat.stdin.take().unwrap();
    // More than the client's window, and nothing is read before all of it is written: the rest waits there. No window is lost.
    let input: Vec<u8> = (0..3_u32 << 20).map(|n| (n % 251) as u8).collect();
    for _ in 0..4 {
        stdin.write_all(&input).unwrap();
        assert!(read(&mut cat, input.len()) == input);
    }
    // Its end comes while some is still to go back.
    stdin.write_all(&input).unwrap();
    drop(stdin);
    let mut last = Vec::new();
    cat.stdout.take().unwrap().read_to_end(&mut last).unwrap();
    assert!(last == input);
    assert_eq!(openssh::wait(&mut cat).code(), Some(0));
}

#[test]
fn who_has_no_known_key_is_refused() {
    let (files, stranger) = (Files::new(), Files::new());
    let server = serve(&files);
    std::fs::copy(files.path("host_key.pub"), stranger.path("host_key.pub")).unwrap();
    assert_eq!(run(&mut client(&stranger, &server, "true"), b"").status.code(), Some(255));
}

/// Reads exactly so much of what a client prints.
fn read(client: &mut Child, size: usize) -> Vec<u8> {
    let mut block = vec![0; size];
    client.stdout.as_mut().unwrap().read_exact(&mut block).unwrap();
    block
}

#[test]
fn all_who_follow_a_file_get_what_is_added_even_who_reads_late() {
    let files = Files::new();
    let server = serve(&files);
    let path = files.write("log", "before\n");
    let follow = || spawn(&files, &server, &format!("tail -n0 -f {path}"), Stdio::null());
    let mut followers = [follow(), follow()];
    let mut log = OpenOptions::new().append(true).open(&path).unwrap();
    // They do not say when they begin: something is added until it comes.
    let (until, mut marks) = (Instant::now() + deadline(), 0_u32);
    for follower in &mut followers {
        let mut out = follower.stdout.take().unwrap();
        let (send, came) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            let mut first = [0; 8];
            out.read_exact(&mut first).unwrap();
            send.send(first).unwrap();
            out
        });
        let first = loop {
            assert!(Instant::now() < until, "nothing comes");
            log.write_all(format!("{marks:07}\n").as_bytes()).unwrap(); // one write: no half of a mark is seen
            marks += 1;
            if let Ok(first) = came.recv_timeout(std::time::Duration::from_millis(20)) {
                break first;
            }
        };
        follower.stdout = Some(reader.join().unwrap());
        let mut mark: u32 = str::from_utf8(&first).unwrap().trim().parse().unwrap();
        // The rest of the marks until now, in their order.
        while mark + 1 < marks {
            mark += 1;
            assert_eq!(read(follower, 8), format!("{mark:07}\n").into_bytes());
        }
    }
    // The first has those too that were added while the second began; none is read by it before all of it is there.
    let bulk: Vec<u8> = (0..12_000_000_u32).map(|n| (n % 251) as u8).collect();
    log.write_all(&bulk).unwrap();
    let [first, second] = &mut followers;
    assert_eq!(read(second, bulk.len()), bulk);
    let mut line = read(first, 8);
    while line[7] == b'\n' && line[..7].iter().all(u8::is_ascii_digit) {
        line = read(first, 8);
    }
    line.extend(read(first, bulk.len() - 8));
    assert!(line == bulk);
    for mut follower in followers {
        follower.kill().unwrap();
        follower.wait().unwrap();
    }
}
