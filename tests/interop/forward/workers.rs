//! `examples/sshd` on several threads: whatever a client does there, and however it ends.

use super::*;
use std::io::ErrorKind;

const WORKERS: usize = 3;

/// Clients of each kind.
const CLIENTS: usize = 4;

#[test]
fn with_three_workers_all_data_is_whole_and_of_who_is_gone_nothing_is_left() {
    let workers = format!("Workers={WORKERS}");
    let options = [&*workers, "Subsystem=sftp internal-sftp"];
    let case = Case::new(Sides { client: Some(Generation::Trixie), server: None }, &options);
    let pid = case.server.running.child.id();
    let before = descriptors(pid);
    let agent = Agent::new(&case.files);
    let listed = run(Command::new("ssh-add").env("SSH_AUTH_SOCK", &agent.socket).arg("-l"), b"").stdout;
    let (port, sent) = (serve(echo), noise(3 << 20));
    fs::write(case.files.path("sent"), &sent).unwrap();
    let forward = |remote: u16| format!("{remote}:127.0.0.1:{port}");
    let destination = case.destination();

    // Those that stay come first: whoever has the fewest gets the next.
    let tunnel = |_| {
        let remote = free_port();
        (remote, case.tunnel(&["-R", &forward(remote)]))
    };
    let tunnels: Vec<_> = (0..CLIENTS).map(tunnel).collect();
    let in_the_middle = |_| {
        let remote = free_port();
        let mut ssh = case.ssh();
        ssh.args(["-R", &forward(remote), &destination, "echo here; exec cat /dev/zero"]);
        let mut running = Running::start(ssh.stdin(Stdio::null()).stdout(Stdio::piped()));
        running.child.stdout.as_mut().unwrap().read_exact(&mut [0; 5]).unwrap();
        let mut stream = connect(remote);
        stream.set_read_timeout(Some(deadline())).unwrap();
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        (running, stream)
    };
    let killed: Vec<_> = (0..CLIENTS).map(in_the_middle).collect();
    let threads = children_of_threads(pid);
    let busy = threads.iter().filter(|children| !children.is_empty()).count();
    assert_eq!(busy, WORKERS, "each has some: {threads:?}");

    // Each of these writes the file of known hosts: all are made before the first runs.
    let ssh = |arguments: &[&str]| {
        let mut ssh = case.ssh();
        ssh.args(arguments);
        ssh
    };
    let sessions: Vec<_> = (0..CLIENTS).map(|_| ssh(&[&destination, "cat; exit 7"])).collect();
    let agents: Vec<_> = (0..CLIENTS).map(|_| ssh(&["-A", &destination, "ssh-add -l"])).collect();
    let sftp = |n: usize| {
        let names = ["sent", &format!("there{n}"), &format!("back{n}")];
        let [from, there, back] = names.map(|name| case.files.text(name));
        let mut sftp = Command::new(Generation::Trixie.program("sftp"));
        sftp.args(["-q", "-b", "-", "-D", &words(&ssh(&["-s", &destination, "sftp"]))]);
        (sftp, format!("put {from} {there}\nget {there} {back}\n"), back)
    };
    let sftps: Vec<_> = (0..CLIENTS).map(sftp).collect();
    let (sent, listed, socket) = (&sent, &listed, &agent.socket);
    thread::scope(|scope| {
        for (remote, tunnel) in tunnels {
            scope.spawn(move || {
                comes_back(connect(remote), sent, "-R");
                tunnel.finish();
            });
        }
        for mut ssh in sessions {
            scope.spawn(move || {
                let output = run(&mut ssh, sent);
                assert!((output.status.code(), &output.stdout) == (Some(7), sent), "{}", told(&output));
            });
        }
        for (mut sftp, lines, back) in sftps {
            scope.spawn(move || {
                let output = run(&mut sftp, lines.as_bytes());
                assert!(output.status.success(), "{}", told(&output));
                assert!(fs::read(back).unwrap() == *sent);
            });
        }
        for mut ssh in agents {
            scope.spawn(move || {
                let output = run(ssh.env("SSH_AUTH_SOCK", socket), b"");
                assert!(output.stdout == *listed, "{}", told(&output));
            });
        }
        for (running, mut stream) in killed {
            drop(running);
            let gone = stream.read(&mut [0]).map_err(|error| error.kind());
            assert!(matches!(gone, Ok(0) | Err(ErrorKind::ConnectionReset)), "{gone:?}");
        }
    });
    eventually("nothing is left", || descriptors(pid) == before && children(pid).is_empty());
}
