//! Which addresses are listened on: `GatewayPorts` on both sides, `-g`, and `PermitListen`. The tables hold for OpenSSH and for
//! ours alike.

use super::*;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ALL: &[&str] = &["0.0.0.0", "::"];
const LOOPBACK: &[&str] = &["127.0.0.1", "::1"];

/// The addresses on which a port is listened on, as the system tells them. It tells them piece by piece, and one may be missed or
/// told twice when others come and go meanwhile: two answers must be the same.
fn listened(port: u16) -> Vec<String> {
    let mut before = told(port);
    loop {
        let now = told(port);
        if now == before {
            return now.into_iter().collect();
        }
        before = now;
    }
}

fn told(port: u16) -> BTreeSet<String> {
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
