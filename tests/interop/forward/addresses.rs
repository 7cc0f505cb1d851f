//! Which addresses are listened on: `GatewayPorts` on both sides, `-g`, and `PermitListen`; and `ListenAddress` of the server
//! itself. The tables hold for OpenSSH and for ours alike.

use super::super::openssh::{Trust, ssh_trusting};
use super::*;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ALL: &[&str] = &["0.0.0.0", "::"];
const LOOPBACK: &[&str] = &["127.0.0.1", "::1"];

/// The addresses on which a port is listened on, as the system tells them. It tells them piece by piece, and one may be missed or
/// told twice when others come and go meanwhile: two answers must be the same.
fn listened(port: u16) -> Vec<String> {
    let mut before = told_by_the_system(port);
    loop {
        let now = told_by_the_system(port);
        if now == before {
            return now.into_iter().collect();
        }
        before = now;
    }
}

fn told_by_the_system(port: u16) -> BTreeSet<String> {
    let mut addresses = BTreeSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in fs::read_to_string(table).unwrap().lines().skip(1) {
            let fields: Vec<_> = line.split_ascii_whitespace().collect();
            let (address, of_port) = fields[1].split_once(':').unwrap();
            // 0A: it is listened on.
            if fields[3] == "0A" && u16::from_str_radix(of_port, 16) == Ok(port) {
                addresses.insert(address_of(address).to_string());
            }
        }
    }
    addresses
}

/// Words of four bytes, each in the machine's order.
fn address_of(hexadecimal: &str) -> IpAddr {
    let word = |at: usize| u32::from_str_radix(&hexadecimal[at..at + 8], 16).unwrap().to_ne_bytes();
    if hexadecimal.len() == 8 {
        return Ipv4Addr::from(word(0)).into();
    }
    let octets = [word(0), word(8), word(16), word(24)].concat();
    Ipv6Addr::from(<[u8; 16]>::try_from(octets).unwrap()).into()
}

#[test]
fn a_server_listens_where_it_was_asked_to_as_far_as_its_gateway_ports_let_it() {
    // What stands before the port; where that is with `no`, `yes` and `clientspecified`.
    let table: [(&str, [&[&str]; 3]); 8] = [
        ("", [LOOPBACK, ALL, LOOPBACK]),
        ("localhost:", [LOOPBACK, ALL, LOOPBACK]),
        ("*:", [LOOPBACK, ALL, ALL]),
        (":", [LOOPBACK, ALL, ALL]),
        ("0.0.0.0:", [LOOPBACK, ALL, &["0.0.0.0"]]),
        ("[::1]:", [&["::1"], ALL, &["::1"]]),
        ("127.0.0.1:", [&["127.0.0.1"], ALL, &["127.0.0.1"]]),
        ("127.0.0.2:", [LOOPBACK, ALL, &["127.0.0.2"]]),
    ];
    let target = serve(echo);
    for sides in SIDES {
        for (n, gateway_ports) in ["no", "yes", "clientspecified"].into_iter().enumerate() {
            let case = Case::new(sides, &[&format!("GatewayPorts={gateway_ports}")]);
            let ports = table.map(|(address, _)| (address, free_port()));
            let forwards = ports.map(|(address, port)| format!("{address}{port}:127.0.0.1:{target}"));
            let tunnel = case.tunnel(&forwards.each_ref().map(|forward| ["-R", forward]).concat());
            for ((address, expected), (_, port)) in table.iter().zip(ports) {
                assert_eq!(listened(port), expected[n], "{sides:?} {gateway_ports} -R {address}{port}");
            }
            comes_back(connect(ports[0].1), b"question", "through one of them");
            tunnel.finish();
        }
    }
}

#[test]
fn t72_where_a_client_may_have_the_server_listen_is_told_by_the_address_that_it_asks_for() {
    let addresses = ["", "localhost:", "*:", "0.0.0.0:", "[::1]:", "127.0.0.1:"];
    for (permitted, allowed) in [
        ("localhost:*", [true, true, false, false, false, false]),
        ("127.0.0.1:*", [false, false, false, false, false, true]),
        ("[::1]:*", [false, false, false, false, true, false]),
        ("0.0.0.0:*", [false, false, false, true, false, false]),
        ("*:*", [true; 6]),
    ] {
        for sides in SIDES {
            let options = ["GatewayPorts=clientspecified", &format!("PermitListen={permitted}")];
            let case = Case::new(sides, &options);
            let ports = addresses.map(|address| (address, free_port()));
            let forwards = ports.map(|(address, port)| format!("{address}{port}:127.0.0.1:1"));
            let arguments = forwards.each_ref().map(|forward| ["-R", forward]).concat();
            let tunnel = case.tunnel_by(case.lenient().args(arguments));
            for ((address, port), allowed) in ports.into_iter().zip(allowed) {
                let what = format!("{sides:?} {permitted} -R {address}{port}");
                assert_eq!(listened(port).is_empty(), !allowed, "{what}: {}", tunnel.running.log());
                let refused = format!("remote port forwarding failed for listen port {port}");
                assert_eq!(tunnel.running.log().contains(&refused), !allowed, "{what}");
            }
            tunnel.finish();
        }
    }
}

#[test]
fn a_client_listens_where_it_was_told_to_and_elsewhere_only_if_its_gateway_ports_are_open() {
    // What stands before the port; where that is without and with GatewayPorts.
    let table: [(&str, [&[&str]; 2]); 7] = [
        ("", [LOOPBACK, ALL]),
        ("localhost:", [LOOPBACK, LOOPBACK]),
        ("*:", [ALL, ALL]),
        (":", [ALL, ALL]),
        ("0.0.0.0:", [&["0.0.0.0"], &["0.0.0.0"]]),
        ("[::1]:", [&["::1"], &["::1"]]),
        ("127.0.0.2:", [&["127.0.0.2"], &["127.0.0.2"]]),
    ];
    for sides in [SIDES[0], SIDES[3], SIDES[4]] {
        let case = Case::new(sides, &[]);
        for (n, options) in
            [(0, &[][..]), (0, &["-o", "GatewayPorts=no"]), (1, &["-o", "GatewayPorts=yes"]), (1, &["-g"])]
        {
            let ports = table.map(|(address, _)| (address, free_port(), free_port()));
            let locals = ports.map(|(address, port, _)| format!("{address}{port}:127.0.0.1:1"));
            let dynamics = ports.map(|(address, _, port)| format!("{address}{port}"));
            let arguments = [
                options.to_vec(),
                locals.each_ref().map(|forward| ["-L", forward]).concat(),
                dynamics.each_ref().map(|forward| ["-D", forward]).concat(),
            ];
            let tunnel = case.tunnel(&arguments.concat());
            for ((address, expected), (_, local, dynamic)) in table.iter().zip(ports) {
                for (letter, port) in [("-L", local), ("-D", dynamic)] {
                    assert_eq!(listened(port), expected[n], "{sides:?} {options:?} {letter} {address}{port}");
                }
            }
            tunnel.finish();
        }
    }
}

/// `examples/sshd` with these lines, once it listens as often.
fn listening(files: &Files, port: u16, lines: &[String], times: usize) -> Running {
    let mut command = ours("sshd");
    command.args(["-p", &port.to_string(), "-h", &files.text("host_key"), "-o"]);
    command.arg(format!("AuthorizedKeysFile={}", files.text("authorized_keys")));
    for line in lines {
        command.args(["-o", &format!("ListenAddress={line}")]);
    }
    let running = Running::start(&mut command);
    for _ in 0..times {
        assert!(running.wait_for("Server listening on ").is_some(), "{lines:?}: {}", running.log());
    }
    running
}

#[test]
fn our_server_listens_at_all_addresses_that_it_is_told_and_tells_a_command_which_it_was() {
    let files = Files::new();
    let line = |text: &str, port: u16| text.replace("PORT", &port.to_string());
    // Lines; where port and the other one are listened on.
    let table: [(&[&str], &[&str], &[&str]); 8] = [
        (&[], &["127.0.0.1"], &[]),
        (&["::1"], &["::1"], &[]),
        (&["[::1]"], &["::1"], &[]),
        (&["127.0.0.1:PORT"], &[], &["127.0.0.1"]),
        (&["[::1]:PORT"], &[], &["::1"]),
        (&["localhost:PORT", "127.0.0.2"], &["127.0.0.2"], &["127.0.0.1"]),
        (&["0.0.0.0", "::"], &["0.0.0.0", "::"], &[]),
        (&["127.0.0.2", "[127.0.0.1]:PORT", "::1"], &["127.0.0.2", "::1"], &["127.0.0.1"]),
    ];
    for (lines, at_port, at_other) in table {
        let (port, other) = (free_port(), free_port());
        let lines: Vec<_> = lines.iter().map(|text| line(text, other)).collect();
        let running = listening(&files, port, &lines, at_port.len() + at_other.len());
        assert_eq!(listened(port), at_port, "{lines:?}");
        assert_eq!(listened(other), at_other, "{lines:?}");
        let there = at_port.iter().map(|address| (address, port));
        for (address, port) in there.chain(at_other.iter().map(|address| (address, other))) {
            let address = match *address {
                "0.0.0.0" => "127.0.0.3",
                "::" => "::1",
                address => address,
            };
            let trust = Trust::first_met(&files, &format!("met{port}"));
            let mut ssh = ssh_trusting(Generation::Bookworm, &files, port, &trust);
            let output = run(ssh.args([address, "echo $SSH_CONNECTION"]), b"");
            let said = String::from_utf8_lossy(&output.stdout);
            let end = format!(" {address} {port}\n");
            assert!(said.ends_with(&end), "{lines:?} {end}: {said} {} {}", told(&output), running.log());
        }
    }
}

#[test]
fn our_server_goes_on_without_an_address_that_is_taken_and_ends_if_that_was_all() {
    let files = Files::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let lines = ["127.0.0.1", "::1"].map(str::to_owned);
    let running = listening(&files, port, &lines, 1);
    let told = format!("Bind to port {port} on 127.0.0.1 failed: ");
    assert!(running.log().contains(&told) && listened(port).contains(&"::1".to_owned()), "{}", running.log());
    let mut alone = listening(&files, port, &lines[..1], 0);
    assert_eq!(alone.wait().code(), Some(1));
    assert!(alone.wait_for("Cannot bind any address.").is_some(), "{}", alone.log());
    for wrong in ["[::1", "127.0.0.1:0", "127.0.0.1:x", "[::1]2"] {
        let mut wrong = listening(&files, port, &[wrong.to_owned()], 0);
        assert_eq!(wrong.wait().code(), Some(1), "{}", wrong.log());
    }
}
