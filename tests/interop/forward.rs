//! Forwarding in both roles: ports, Unix sockets, SOCKS, the agent, and what policy refuses.

mod addresses;
mod ends;
mod workers;

use super::openssh::{
    Files, Generation, Running, Server, children, children_of_threads, deadline, descriptors, eventually,
    free_port, our_ssh, our_sshd, ours, run, ssh, sshd, user, words,
};
use ends::*;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

#[test]
fn ports_and_sockets_are_forwarded_in_both_directions() {
    let small = noise(300_000);
    for sides in SIDES {
        let case = Case::new(sides, &[]);
        let port = serve(echo);
        serve_unix(&case.files.path("there"));
        let there = case.files.text("there");
        let [l, r, l_unix, r_unix] = [(); 4].map(|()| free_port());
        let [l_path, r_path, both] = ["l", "r", "both"].map(|name| case.files.text(name));
        let tunnel = case.tunnel(&[
            "-L",
            &format!("{l}:127.0.0.1:{port}"),
            "-R",
            &format!("127.0.0.1:{r}:127.0.0.1:{port}"),
            "-L",
            &format!("{l_unix}:{there}"),
            "-R",
            &format!("{r_unix}:{there}"),
            "-L",
            &format!("{l_path}:127.0.0.1:{port}"),
            "-R",
            &format!("{r_path}:localhost:{port}"),
            "-L",
            &format!("{both}:{there}"),
        ]);
        for port in [l, r, l_unix, r_unix] {
            comes_back(connect(port), &small, &format!("{sides:?}"));
        }
        for path in [&l_path, &r_path, &both] {
            comes_back(UnixStream::connect(path).unwrap(), &small, &format!("{sides:?}"));
            let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions());
            assert_eq!(mode & 0o777, 0o600, "{path}");
        }
        tunnel.finish();
        if sides.client.is_none() {
            assert!(!Path::new(&l_path).exists() && !Path::new(&both).exists(), "nothing stays behind");
        }
        eventually("nobody listens any more", || TcpStream::connect(("127.0.0.1", r)).is_err());
    }
}

#[test]
fn t78_bulk_goes_whole_both_ways_through_both_directions() {
    for sides in SIDES {
        let length =
            if sides.client == Some(Generation::Bookworm) || sides.server == Some(Generation::Bookworm) {
                8 << 20
            } else {
                64 << 20
            };
        let sent = noise(length);
        let case = Case::new(sides, &[]);
        let port = serve(echo);
        let [l, r] = [(); 2].map(|()| free_port());
        let tunnel =
            case.tunnel(&["-L", &format!("{l}:127.0.0.1:{port}"), "-R", &format!("{r}:127.0.0.1:{port}")]);
        thread::scope(|scope| {
            scope.spawn(|| comes_back(connect(l), &sent, &format!("{sides:?} -L")));
            scope.spawn(|| comes_back(connect(r), &sent, &format!("{sides:?} -R")));
        });
        tunnel.finish();
    }
}

#[test]
fn each_direction_ends_apart() {
    for sides in SIDES {
        let case = Case::new(sides, &[]);
        let (tell, heard) = channel();
        // Says something and ends; then hears all of the rest.
        let first = serve(move |mut stream| {
            stream.write_all(b"bye").unwrap();
            stream.end();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).unwrap();
            tell.send(rest).unwrap();
        });
        let [l, r] = [(); 2].map(|()| free_port());
        let (to_first, from_first) = (format!("{l}:127.0.0.1:{first}"), format!("{r}:127.0.0.1:{first}"));
        let tunnel = case.tunnel(&["-L", &to_first, "-R", &from_first]);
        let sent = noise(500_000);
        for port in [l, r] {
            let mut stream = connect(port);
            let mut came = String::new();
            stream.read_to_string(&mut came).unwrap();
            assert_eq!(came, "bye", "{sides:?}");
            stream.write_all(&sent).unwrap();
            drop(stream);
            assert!(heard.recv().unwrap() == sent, "{sides:?}");
        }
        tunnel.finish();
    }
}

/// A web server of one page, for curl.
fn web() -> u16 {
    serve(|mut stream| {
        let mut request = BufReader::new(stream.twin());
        let mut line = String::new();
        while request.read_line(&mut line).is_ok_and(|n| n > 2) {
            line.clear();
        }
        let _gone = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    })
}

fn curl(socks: &str, port: u16, url: &str) -> Output {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "60", socks, &format!("127.0.0.1:{port}"), url]);
    command.env_remove("http_proxy").env_remove("no_proxy").env_remove("NO_PROXY");
    run(&mut command, b"")
}

#[test]
fn socks_of_every_version_leads_out_on_either_side() {
    for sides in SIDES {
        let case = Case::new(sides, &[]);
        let page = web();
        let [d, r] = [(); 2].map(|()| free_port());
        let tunnel = case.tunnel(&["-D", &d.to_string(), "-R", &r.to_string()]);
        for port in [d, r] {
            for (socks, host) in [
                ("--socks4", "127.0.0.1"),
                ("--socks4a", "localhost"),
                ("--socks5", "127.0.0.1"),
                ("--socks5-hostname", "localhost"),
            ] {
                let output = curl(socks, port, &format!("http://{host}:{page}/"));
                let what = format!("{sides:?} {socks}: {}", told(&output));
                assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"hello"[..]), "{what}");
            }
            let output = curl("--socks5", port, &format!("http://127.0.0.1:{}/", free_port()));
            assert_ne!(output.status.code(), Some(0), "nobody listens there");
            // What is not SOCKS is closed.
            let mut stream = connect(port);
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
            let mut came = Vec::new();
            let _reset_or_end = stream.read_to_end(&mut came);
            assert!(came.is_empty(), "{sides:?}");
        }
        tunnel.finish();
    }
}

#[test]
fn a_port_that_the_server_chooses_is_told() {
    for sides in SIDES {
        // OpenSSH's goes by the port that is free at ::1, also if it is another's at 127.0.0.1.
        let options: &[_] = if sides.server.is_some() { &["AddressFamily=inet"] } else { &[] };
        let case = Case::new(sides, options);
        let port = serve(echo);
        let tunnel = case.tunnel(&["-R", &format!("0:127.0.0.1:{port}")]);
        let line = tunnel.running.wait_for("Allocated port ").unwrap();
        let rest = line.split("Allocated port ").nth(1).unwrap().trim_end();
        let (chosen, rest) = rest.split_once(' ').unwrap();
        assert_eq!(rest, format!("for remote forward to 127.0.0.1:{port}"), "{sides:?}");
        comes_back(connect(chosen.parse().unwrap()), b"chosen", &format!("{sides:?}"));
        tunnel.finish();
    }
}

#[test]
fn t70_a_forwarding_that_is_cancelled_is_gone_and_others_stay() {
    for generation in Generation::ALL {
        let case = Case::new(Sides { client: Some(generation), server: None }, &[]);
        let port = serve(echo);
        let [one, other] = [(); 2].map(|()| free_port());
        let control = case.files.text("control");
        let forwards = [one, other].map(|r| format!("{r}:127.0.0.1:{port}"));
        let path = format!("{}:127.0.0.1:{port}", case.files.text("s"));
        let tunnel =
            case.tunnel(&["-M", "-S", &control, "-R", &forwards[0], "-R", &forwards[1], "-R", &path]);
        comes_back(connect(one), b"before", "one");
        for forward in [&forwards[0], &path] {
            let output = run(
                Command::new(generation.program("ssh"))
                    .args(["-F", "none", "-S", &control, "-O", "cancel", "-R", forward, "host"]),
                b"",
            );
            assert!(output.status.success(), "{}", told(&output));
        }
        // `-O cancel` ends once the request is sent: it asks for no reply.
        eventually("the port is free", || TcpStream::connect(("127.0.0.1", one)).is_err());
        eventually("the socket is gone", || !case.files.path("s").exists());
        comes_back(connect(other), b"after", "other");
        // It can be asked for again.
        let again = run(
            Command::new(generation.program("ssh")).args([
                "-F",
                "none",
                "-S",
                &control,
                "-O",
                "forward",
                "-R",
                &forwards[0],
                "host",
            ]),
            b"",
        );
        assert!(again.status.success(), "{}", told(&again));
        comes_back(connect(one), b"again", "one");
        tunnel.finish();
    }
}

#[test]
fn many_sessions_share_one_connection() {
    for generation in Generation::ALL {
        // The master has a session of its own beside the ten.
        let case = Case::new(Sides { client: Some(generation), server: None }, &["MaxSessions=11"]);
        let control = case.files.text("control");
        let tunnel = case.tunnel(&["-M", "-S", &control]);
        let sent = noise(1 << 20);
        thread::scope(|scope| {
            for n in 0..10 {
                let (control, sent) = (&control, &sent);
                scope.spawn(move || {
                    let mut command = Command::new(generation.program("ssh"));
                    command.args(["-F", "none", "-S", control, "host", &format!("cat; exit {n}")]);
                    let output = run(&mut command, sent);
                    assert!((output.status.code(), &output.stdout) == (Some(n), sent), "{}", told(&output));
                });
            }
        });
        assert_eq!(case.server.running.log().matches("connection from").count(), 1);
        tunnel.finish();
    }
}

#[test]
fn standard_input_and_output_are_a_connection_or_a_way_to_another_host() {
    for sides in SIDES {
        let case = Case::new(sides, &[]);
        let port = serve(echo);
        serve_unix(&case.files.path("there"));
        let there = case.files.text("there");
        for to in [format!("127.0.0.1:{port}"), there] {
            if sides.client == Some(Generation::Bookworm) && to.contains('/') {
                continue; // it takes no paths
            }
            let output = run(case.ssh().args(["-W", &to, &case.destination()]), b"question");
            let what = format!("{sides:?} {to}: {}", told(&output));
            assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"question"[..]), "{what}");
        }
        let refused =
            run(case.ssh().args(["-W", &format!("127.0.0.1:{}", free_port()), &case.destination()]), b"");
        assert_eq!(refused.status.code(), Some(255), "{sides:?}");
        assert!(told(&refused).contains("onnection refused"), "{sides:?}: {}", told(&refused));
    }
}

#[test]
fn our_server_is_a_way_to_another_host() {
    let (way, host) = (Case::new(SIDES[0], &[]), Case::new(SIDES[2], &[]));
    let lines = |name: &str, case: &Case| {
        let (key, known) = (case.files.text("user_key"), case.files.known_hosts(case.server.port));
        format!(
            "Host {name}\nHostName 127.0.0.1\nPort {}\nUser {}\nIdentityFile {key}\nUserKnownHostsFile {known}\n",
            case.server.port,
            user()
        )
    };
    let common = "Host *\nGlobalKnownHostsFile none\nStrictHostKeyChecking yes\nIdentitiesOnly yes\n";
    let config = way.files.write("config", &(lines("way", &way) + &lines("host", &host) + common));
    let sent = noise(4 << 20);
    let clients = [
        Command::new(Generation::Bookworm.program("ssh")),
        Command::new(Generation::Trixie.program("ssh")),
        ours("ssh"),
    ];
    for mut client in clients {
        client.env_remove("SSH_AUTH_SOCK").args(["-F", &config, "-J", "way", "host", "cat; exit 7"]);
        let output = run(&mut client, &sent);
        assert_eq!(output.status.code(), Some(7), "{}", told(&output));
        assert!(output.stdout == sent);
    }
}

/// An agent with the test's key.
struct Agent {
    running: std::process::Child,
    socket: String,
}

impl Agent {
    fn new(files: &Files) -> Self {
        let socket = files.text("agent");
        let mut running =
            Command::new("ssh-agent").args(["-D", "-a", &socket]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(running.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("SSH_AUTH_SOCK"), "{line}");
        let mut add = Command::new("ssh-add");
        let output = run(add.env("SSH_AUTH_SOCK", &socket).args(["-q", &files.text("user_key")]), b"");
        assert!(output.status.success(), "{}", told(&output));
        Self { running, socket }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ended = self.running.kill();
        let _ended = self.running.wait();
    }
}

#[test]
fn the_agent_is_there_on_the_far_side_and_gone_afterwards() {
    for sides in SIDES {
        let case = Case::new(sides, &[]);
        let agent = Agent::new(&case.files);
        let with = |arguments: &[&str], command: &str| {
            let mut ssh = case.ssh();
            ssh.env("SSH_AUTH_SOCK", &agent.socket).args(arguments).args([&case.destination(), command]);
            run(&mut ssh, b"")
        };
        let listed = run(Command::new("ssh-add").env("SSH_AUTH_SOCK", &agent.socket).arg("-l"), b"");
        let output = with(&["-A"], "ssh-add -l; ssh-add -l; echo $SSH_AUTH_SOCK");
        let all = String::from_utf8(output.stdout.clone()).unwrap();
        let mut lines = all.lines();
        for _ in 0..2 {
            let line = format!("{}\n", lines.next().unwrap_or_default());
            assert_eq!(line.as_bytes(), &listed.stdout[..], "{sides:?}: {} {all}", told(&output));
        }
        let socket = lines.next().unwrap();
        assert!(socket.starts_with('/') && socket != agent.socket, "{sides:?}: {socket}");
        eventually("the socket goes with its directory", || !Path::new(socket).parent().unwrap().exists());
        let without = with(&["-a"], "echo \"<$SSH_AUTH_SOCK>\"");
        assert_eq!(without.stdout, b"<>\n", "{sides:?}");
    }
}

#[test]
fn t62_keys_that_are_for_here_alone_are_not_used_for_the_host() {
    let case = Case::new(SIDES[0], &[]);
    let agent = Agent::new(&case.files);
    let known = case.files.known_hosts(case.server.port);
    let add = |arguments: &[&str]| {
        let mut add = Command::new("ssh-add");
        let output = run(add.env("SSH_AUTH_SOCK", &agent.socket).args(arguments), b"");
        assert!(output.status.success(), "{}", told(&output));
    };
    // Only for the way from here to that host, and no further.
    let host = format!("[127.0.0.1]:{}", case.server.port);
    add(&["-q", "-D"]);
    add(&["-q", "-H", &known, "-h", &host, &case.files.text("user_key")]);
    let mut ssh = case.ssh();
    ssh.env("SSH_AUTH_SOCK", &agent.socket).args(["-A", &case.destination(), "ssh-add -l"]);
    let output = run(&mut ssh, b"");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains("no identities"), "{shown} {}", told(&output));
}

#[test]
fn a_forwarding_that_fails_ends_the_connection_only_if_that_is_wanted() {
    for sides in SIDES {
        let case = Case::new(sides, &[]);
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let six = TcpListener::bind(("::1", taken.local_addr().unwrap().port()));
        let forward = format!("127.0.0.1:{}:127.0.0.1:1", taken.local_addr().unwrap().port());
        for letter in ["-L", "-R"] {
            let output = case.run(&[letter, &forward], "echo ran");
            let told = told(&output);
            assert_eq!(
                (output.status.code(), &*output.stdout),
                (Some(255), &b""[..]),
                "{sides:?} {letter}: {told}"
            );
            assert!(told.contains("forwarding"), "{sides:?} {letter}: {told}");
            let output = run(case.lenient().args([letter, &forward, &case.destination(), "echo ran"]), b"");
            assert_eq!(
                (output.status.code(), &*output.stdout),
                (Some(0), &b"ran\n"[..]),
                "{sides:?} {letter}"
            );
        }
        drop(six);
        let cleared = case.run(&["-o", "ClearAllForwardings=yes", "-L", &forward], "echo ran");
        assert_eq!(cleared.stdout, b"ran\n", "{sides:?}");
    }
}

#[test]
fn t72_what_the_server_is_told_to_refuse_is_refused() {
    let port = serve(echo);
    let to = format!("127.0.0.1:{port}");
    let listen = free_port();
    let remote = format!("{listen}:{to}");
    let permitted = format!("PermitOpen={to}");
    let other_open = "PermitOpen=127.0.0.1:1 [::1]:*".to_owned();
    let listens = format!("PermitListen={listen}");
    // Options; lines in front of the key; what goes: to connect, to listen, to connect to a path, to listen at one.
    for (options, key, allowed) in [
        (vec!["AllowTcpForwarding=yes"], "", [true, true, true, true]),
        (vec!["AllowTcpForwarding=no"], "", [false, false, true, true]),
        (vec!["AllowTcpForwarding=local"], "", [true, false, true, true]),
        (vec!["AllowTcpForwarding=remote"], "", [false, true, true, true]),
        (vec!["DisableForwarding=yes"], "", [false, false, false, false]),
        (vec!["AllowStreamLocalForwarding=no"], "", [true, true, false, false]),
        (vec!["AllowStreamLocalForwarding=local"], "", [true, true, true, false]),
        (vec!["AllowStreamLocalForwarding=remote"], "", [true, true, false, true]),
        (vec![&permitted], "", [true, true, true, true]),
        (vec![&other_open], "", [false, true, true, true]),
        (vec!["PermitOpen=none", "PermitListen=none"], "", [false, false, true, true]),
        (vec![&listens], "", [true, true, true, true]),
        (vec!["PermitListen=localhost:1"], "", [true, false, true, true]),
        (vec![], "no-port-forwarding ", [false, false, false, false]),
        (vec![], "restrict ", [false, false, false, false]),
        (vec![], "permitopen=\"127.0.0.1:1\",permitlisten=\"1\" ", [false, false, true, true]),
    ] {
        for sides in [SIDES[0], SIDES[4]] {
            let case = Case::new(sides, &options);
            let line = fs::read_to_string(case.files.path("user_key.pub")).unwrap();
            case.files.write("authorized_keys", &format!("{key}{line}"));
            serve_unix(&case.files.path("there"));
            let tcp = run(case.ssh().args(["-W", &to, &case.destination()]), b"");
            let listening = case.run(&["-R", &remote], "true");
            let here = case.files.text("here");
            let unix = {
                let tunnel = case.tunnel(&["-L", &format!("{here}:{}", case.files.text("there"))]);
                let mut stream = UnixStream::connect(&here).unwrap();
                let _cut = stream.write_all(b"x").and_then(|()| stream.shutdown(Shutdown::Write));
                let mut came = Vec::new();
                let _cut = stream.read_to_end(&mut came);
                tunnel.finish();
                came == b"x"
            };
            // Whether it is refused or not, whether there is a socket is seen there.
            let path = case.files.text("listened");
            let mut at_path = case.lenient();
            at_path.args(["-R", &format!("{path}:{to}"), &case.destination(), &format!("test -S {path}")]);
            let at_path = run(&mut at_path, b"");
            let code = |output: &Output| output.status.code() == Some(0);
            let what = format!(
                "{options:?} {key} {sides:?}: {} {} {}",
                told(&tcp),
                told(&listening),
                told(&at_path)
            );
            assert_eq!([code(&tcp), code(&listening), unix, code(&at_path)], allowed, "{what}");
            if !allowed[0] {
                assert!(told(&tcp).contains("prohibited"), "{what}");
            }
            let refused = format!("remote port forwarding failed for listen path {path}");
            assert_eq!(told(&at_path).contains(&refused), !allowed[3], "{what}");
            eventually("the socket is gone", || !fs::exists(&path).unwrap());
        }
    }
}

#[test]
fn t72_an_agent_that_may_not_be_forwarded_is_not() {
    for (options, key) in [
        (&["AllowAgentForwarding=no"][..], ""),
        (&["DisableForwarding=yes"], ""),
        (&[], "no-agent-forwarding "),
        (&[], "restrict "),
    ] {
        let case = Case::new(Sides { client: Some(Generation::Bookworm), server: None }, options);
        let line = fs::read_to_string(case.files.path("user_key.pub")).unwrap();
        case.files.write("authorized_keys", &format!("{key}{line}"));
        let agent = Agent::new(&case.files);
        let mut ssh = case.ssh();
        ssh.env("SSH_AUTH_SOCK", &agent.socket).args([
            "-A",
            &case.destination(),
            "echo \"<$SSH_AUTH_SOCK>\"",
        ]);
        assert_eq!(run(&mut ssh, b"").stdout, b"<>\n", "{options:?} {key}");
    }
}

#[test]
fn who_does_not_read_stops_nobody_else() {
    for sides in SIDES {
        let case = Case::new(sides, &[]);
        let port = serve(echo);
        let (go, went): (_, Receiver<()>) = channel();
        let (tell, heard) = channel();
        let went = std::sync::Arc::new(std::sync::Mutex::new(went));
        let stalled = serve(move |mut stream| {
            tell.send(Vec::new()).unwrap();
            went.lock().unwrap().recv().unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            tell.send(all).unwrap();
        });
        let [l, r, stalled_l, stalled_r] = [(); 4].map(|()| free_port());
        let tunnel = case.tunnel(&[
            "-L",
            &format!("{l}:127.0.0.1:{port}"),
            "-R",
            &format!("{r}:127.0.0.1:{port}"),
            "-L",
            &format!("{stalled_l}:127.0.0.1:{stalled}"),
            "-R",
            &format!("{stalled_r}:127.0.0.1:{stalled}"),
        ]);
        let (sent, small) = (noise(24 << 20), noise(3 << 20));
        for port in [stalled_l, stalled_r] {
            thread::scope(|scope| {
                let mut stream = connect(port);
                assert!(heard.recv().unwrap().is_empty());
                let sent = &sent;
                scope.spawn(move || stream.write_all(sent).unwrap());
                comes_back(connect(l), &small, &format!("{sides:?} -L"));
                comes_back(connect(r), &small, &format!("{sides:?} -R"));
                go.send(()).unwrap();
                assert!(heard.recv().unwrap() == *sent, "{sides:?}");
            });
        }
        tunnel.finish();
    }
}

#[test]
fn the_connection_lasts_as_long_as_what_is_forwarded() {
    for sides in SIDES {
        let case = Case::new(sides, &[]);
        let port = serve(echo);
        let l = free_port();
        let mut tunnel = case.tunnel(&["-L", &format!("{l}:127.0.0.1:{port}")]);
        let mut stream = connect(l);
        stream.write_all(b"a").unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        // The command ends, the client does not.
        drop(tunnel.running.child.stdin.take());
        for _ in 0..3 {
            stream.write_all(b"b").unwrap();
            stream.read_exact(&mut byte).unwrap();
            assert_eq!(&byte, b"b", "{sides:?}");
        }
        assert!(tunnel.running.child.try_wait().unwrap().is_none());
        drop(stream);
        assert_eq!(tunnel.running.wait().code(), Some(0), "{sides:?}: {}", tunnel.running.log());
    }
}

#[test]
fn who_says_nothing_by_socks_keeps_no_connection() {
    for sides in SIDES {
        let case = Case::new(sides, &[]);
        let l = free_port();
        let mut tunnel = case.tunnel(&["-D", &l.to_string()]);
        let _silent = connect(l);
        drop(tunnel.running.child.stdin.take());
        assert_eq!(tunnel.running.wait().code(), Some(0), "{sides:?}: {}", tunnel.running.log());
    }
}

#[test]
fn the_server_holds_no_descriptor_of_who_is_gone() {
    let case = Case::new(SIDES[0], &[]);
    let descriptors = || descriptors(case.server.running.child.id());
    let port = serve(echo);
    let once = || {
        let [l, r] = [(); 2].map(|()| free_port());
        let path = case.files.text("s");
        let tunnel = case.tunnel(&[
            "-L",
            &format!("{l}:127.0.0.1:{port}"),
            "-R",
            &format!("{r}:127.0.0.1:{port}"),
            "-R",
            &format!("{path}:127.0.0.1:{port}"),
        ]);
        let open: Vec<_> = [l, r].map(connect).into();
        for mut stream in open {
            stream.write_all(b"x").unwrap();
            stream.read_exact(&mut [0]).unwrap();
        }
        tunnel.finish();
    };
    once();
    // What a connection leaves is gone when the next one has logged in.
    let output = case.run(&[], "true");
    assert!(output.status.success());
    let before = descriptors();
    for _ in 0..5 {
        once();
    }
    assert!(case.run(&[], "true").status.success());
    eventually("no descriptor is left", || descriptors() <= before);
}
