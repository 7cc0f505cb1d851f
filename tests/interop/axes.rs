//! Each algorithm that both sides know, on its own axis, and every pair of values of two axes, in both roles, with both
//! generations.

use super::openssh::{
    Files, Generation, Server, Trust, known_to, our_ssh_trusting, our_sshd_with, run, ssh_trusting, sshd,
    user,
};
use std::collections::BTreeSet;
use std::process::Command;

/// The files of keys beside those of Ed25519, by the options that make them.
const KEYS: [(&str, &[&str]); 4] = [
    ("ecdsa-256", &["-t", "ecdsa", "-b", "256"]),
    ("ecdsa-384", &["-t", "ecdsa", "-b", "384"]),
    ("ecdsa-521", &["-t", "ecdsa", "-b", "521"]),
    ("rsa", &["-t", "rsa", "-b", "2048"]),
];

/// The user's key that signs by an algorithm.
fn key_of(algorithm: &str) -> &'static str {
    match algorithm {
        "ssh-ed25519" => "user_key",
        "ecdsa-sha2-nistp256" => "user_key-ecdsa-256",
        "ecdsa-sha2-nistp384" => "user_key-ecdsa-384",
        "ecdsa-sha2-nistp521" => "user_key-ecdsa-521",
        "rsa-sha2-512" | "rsa-sha2-256" => "user_key-rsa",
        other => panic!("no key signs by {other}"),
    }
}

/// An axis: the option of ssh_config(5), and its values.
struct Axis {
    option: &'static str,
    values: Vec<String>,
}

const AXES: usize = 6;

/// What this generation and we both know. Tokens need a person, and only an agent signs with them; ssh-rsa proves hosts only.
fn axes(generation: Generation) -> [Axis; AXES] {
    let common = |query| known_to(generation, query);
    let mut signatures = common("sig");
    signatures.retain(|name| !name.starts_with("sk-"));
    let users = signatures.iter().filter(|name| *name != "ssh-rsa").cloned().collect();
    [
        Axis { option: "KexAlgorithms", values: common("kex") },
        Axis { option: "HostKeyAlgorithms", values: signatures },
        Axis { option: "PubkeyAcceptedAlgorithms", values: users },
        Axis { option: "Ciphers", values: common("cipher") },
        Axis { option: "MACs", values: common("mac") },
        Axis { option: "Compression", values: vec!["no".to_owned(), "yes".to_owned()] },
    ]
}

/// Keys of every type, known and allowed to log in.
fn files() -> Files {
    let files = Files::new();
    let mut authorized = std::fs::read_to_string(files.path("user_key.pub")).unwrap();
    for (name, options) in KEYS {
        for kind in ["host_key", "user_key"] {
            let path = files.path(&format!("{kind}-{name}"));
            let mut keygen = Command::new(Generation::Bookworm.program("ssh-keygen"));
            let made = keygen.args(["-q", "-N", "", "-f"]).arg(&path).args(options).status();
            assert!(made.unwrap().success());
        }
        authorized += &std::fs::read_to_string(files.path(&format!("user_key-{name}.pub"))).unwrap();
    }
    files.write("authorized_keys", &authorized);
    files
}

/// Every host key of the server's.
fn trust(files: &Files, port: u16) -> Trust {
    let keys = KEYS.map(|(name, _)| files.path(&format!("host_key-{name}.pub")));
    let keys = keys.into_iter().chain([files.path("host_key.pub")]);
    let lines: String =
        keys.map(|path| format!("[127.0.0.1]:{port} {}", std::fs::read_to_string(path).unwrap())).collect();
    Trust { known_hosts: files.write("every_known_host", &lines), strict: "yes" }
}

/// Which side is OpenSSH's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    OurClient,
    OurServer,
}

/// A server that takes whatever its client chooses.
struct Bench {
    role: Role,
    generation: Generation,
    axes: [Axis; AXES],
    files: Files,
    server: Server,
    trust: Trust,
}

impl Bench {
    fn new(role: Role, generation: Generation) -> Self {
        let (axes, files) = (axes(generation), files());
        let mut host_keys: Vec<_> =
            KEYS.iter().map(|(name, _)| files.text(&format!("host_key-{name}"))).collect();
        // A server's ssh-rsa is theirs alone: ours signs with nothing that rests on SHA-1.
        let list = |axis: &Axis| match (role, axis.option) {
            (_, "Compression") => "yes".to_owned(),
            (Role::OurServer, _) => {
                let names = axis.values.iter().filter(|name| *name != "ssh-rsa").map(String::as_str);
                names.collect::<Vec<_>>().join(",")
            }
            (Role::OurClient, _) => axis.values.join(","),
        };
        let server = match role {
            Role::OurClient => {
                let mut lines: Vec<_> =
                    axes.iter().map(|axis| format!("{} {}", axis.option, list(axis))).collect();
                lines.extend(host_keys.iter().map(|path| format!("HostKey {path}")));
                sshd(generation, &files, &lines.iter().map(String::as_str).collect::<Vec<_>>())
            }
            Role::OurServer => {
                let options: Vec<_> =
                    axes.iter().map(|axis| format!("{}={}", axis.option, list(axis))).collect();
                host_keys.push(files.text("host_key"));
                our_sshd_with(&files, &host_keys, &options)
            }
        };
        let trust = trust(&files, server.port);
        Self { role, generation, axes, files, server, trust }
    }

    /// Whether this side can have that value at all.
    fn has(&self, axis: usize, value: usize) -> bool {
        self.role == Role::OurClient || self.axes[axis].values[value] != "ssh-rsa"
    }

    /// Logs in with these values and sends something there and back.
    fn check(&self, chosen: &[Option<usize>; AXES]) {
        let port = self.server.port;
        let mut command = match self.role {
            Role::OurClient => our_ssh_trusting(&self.files, port, &self.trust),
            Role::OurServer => ssh_trusting(self.generation, &self.files, port, &self.trust),
        };
        for (axis, value) in self.axes.iter().zip(chosen) {
            let Some(value) = value.map(|value| &axis.values[value]) else { continue };
            command.args(["-o", &format!("{}={value}", axis.option)]);
            if axis.option == "PubkeyAcceptedAlgorithms" {
                command.args(["-i", &self.files.text(key_of(value))]);
            }
        }
        command.args([&format!("{}@127.0.0.1", user()), "cat; echo oops >&2; exit 7"]);
        let text = "203.0.113.7 - - [01/Mar/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 512\n".repeat(900);
        let output = run(&mut command, text.as_bytes());
        let told = String::from_utf8_lossy(&output.stderr);
        let what = format!("{:?} {:?} {:?}: {told}", self.role, self.generation, self.names(chosen));
        assert_eq!(output.status.code(), Some(7), "{what}");
        assert!(output.stdout == text.as_bytes() && told.contains("oops"), "{what}");
    }

    fn names(&self, chosen: &[Option<usize>; AXES]) -> Vec<&str> {
        let named = self.axes.iter().zip(chosen);
        named.filter_map(|(axis, value)| Some(axis.values[(*value)?].as_str())).collect()
    }

    /// One value after the other, all else as the sides have it.
    fn each_axis(&self) -> usize {
        let mut count = 0;
        for axis in 0..AXES {
            for value in (0..self.axes[axis].values.len()).filter(|value| self.has(axis, *value)) {
                let mut chosen = [None; AXES];
                chosen[axis] = Some(value);
                self.check(&chosen);
                count += 1;
            }
        }
        count
    }

    fn every_pair(&self) -> usize {
        let sizes = core::array::from_fn(|axis| {
            (0..self.axes[axis].values.len()).filter(|value| self.has(axis, *value)).count()
        });
        let rows = pairwise(sizes);
        for row in &rows {
            self.check(&row.map(Some));
        }
        rows.len()
    }
}

/// Two values of two axes.
type Pair = [(usize, usize); 2];

fn pairs(row: [usize; AXES]) -> impl Iterator<Item = Pair> {
    (0..AXES).flat_map(move |b| (0..b).map(move |a| [(a, row[a]), (b, row[b])]))
}

/// Rows in which each value of an axis meets each of every other: one after the other, always the value that meets most of
/// what has not met.
fn pairwise(sizes: [usize; AXES]) -> Vec<[usize; AXES]> {
    let mut missing: BTreeSet<Pair> = BTreeSet::new();
    for b in 0..AXES {
        for a in 0..b {
            missing.extend((0..sizes[a]).flat_map(|x| (0..sizes[b]).map(move |y| [(a, x), (b, y)])));
        }
    }
    let mut rows = Vec::new();
    while let Some(first) = missing.first().copied() {
        let mut row = [None; AXES];
        first.iter().for_each(|(axis, value)| row[*axis] = Some(*value));
        for axis in 0..AXES {
            if row[axis].is_none() {
                let meets = |value: &usize| {
                    let others = (0..AXES).filter_map(|other| Some((other, row[other]?)));
                    let met = |(other, its)| {
                        let mut pair = [(axis, *value), (other, its)];
                        pair.sort_unstable();
                        missing.contains(&pair)
                    };
                    others.filter(|other| met(*other)).count()
                };
                // Where several meet as many, each has its turn.
                let turn = rows.len() % sizes[axis];
                row[axis] = (0..sizes[axis]).map(|v| (v + turn) % sizes[axis]).max_by_key(meets);
            }
        }
        let row = row.map(|value| value.expect("every axis has a value"));
        for pair in pairs(row) {
            missing.remove(&pair);
        }
        rows.push(row);
    }
    rows
}

#[test]
fn the_sample_has_every_pair_and_is_no_larger_than_it_must_be_by_much() {
    let sizes = [15, 7, 6, 6, 6, 2];
    let rows = pairwise(sizes);
    let met: BTreeSet<Pair> = rows.iter().flat_map(|row| pairs(*row)).collect();
    let all: usize = (0..AXES).map(|b| (0..b).map(|a| sizes[a] * sizes[b]).sum::<usize>()).sum();
    assert_eq!(met.len(), all);
    assert!(rows.len() < 15 * 7 * 5 / 4, "{} rows", rows.len());
}

fn everything(role: Role) {
    for generation in Generation::ALL {
        let bench = Bench::new(role, generation);
        let (alone, in_pairs) = (bench.each_axis(), bench.every_pair());
        println!(
            "figure: {role:?} {generation:?}: {alone} algorithms alone, {in_pairs} logins for every pair"
        );
    }
}

#[test]
fn our_client_logs_in_to_every_sshd_with_each_algorithm_and_every_pair() {
    everything(Role::OurClient);
}

#[test]
fn every_ssh_logs_in_to_our_server_with_each_algorithm_and_every_pair() {
    everything(Role::OurServer);
}
