//! Instructions of a fixed conversation in memory, counted by callgrind: what a noisy machine can't blur. They are kept in
//! `benches/instructions.txt`; a part that grows by more than a twentieth fails.
//!
//! ```text
//! cargo bench --bench instructions [-- --record]
//! ```
//!
//! The program runs itself under valgrind, for each part once with its work and once without, and takes the difference. Both
//! sides of the conversation count. All that is drawn comes from a seed. Which code runs depends on the processor that valgrind
//! shows: figures stand under its features, and those of others are not compared.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Instant;
use strombus::connection::{ChannelEvent, ChannelId, Connection, Event, Request, Step};
use strombus::crypto::Rng;
use strombus::crypto::sign::PrivateKey;
use strombus::transport::algorithms::{Algorithms, CIPHER, KEX, MAC, pick};
use strombus::transport::{Client, ClientConfig, RecvBuf, Server, ServerConfig, TransportConfig};
use strombus::userauth::{ClientUserauthConfig, ClientUserauthEvent, Permissions};

/// Each part: its name, the cipher it is with, what is counted, and how many of those.
const PARTS: [(&str, &str, &str, u64); 6] = [
    ("login", "aes128-gcm@openssh.com", "a login", 20),
    ("chacha20-poly1305", "chacha20-poly1305@openssh.com", "a MiB", 8),
    ("aes128-gcm", "aes128-gcm@openssh.com", "a MiB", 8),
    ("aes256-gcm", "aes256-gcm@openssh.com", "a MiB", 8),
    ("aes256-ctr-hmac-sha2-256-etm", "aes256-ctr", "a MiB", 8),
    ("records", "aes128-gcm@openssh.com", "a record of 200 bytes", 100_000),
];

const FIGURES: &str = "benches/instructions.txt";

/// What a part may grow by.
const GROWTH_MAX: f64 = 0.05;

/// Written at a time in bulk (bytes).
const BLOCK: usize = 32 * 1024;

/// Records between two looks at the other side.
const RECORDS_AT_ONCE: u64 = 100;

/// xorshift: what is drawn costs next to nothing.
struct Seeded(u64);

impl Rng for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for octets in out.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            octets.copy_from_slice(&self.0.to_le_bytes()[..octets.len()]);
        }
    }
}

/// Two sides in memory.
struct Pair {
    client: Connection<Client>,
    server: Connection<Server>,
    up: RecvBuf,
    down: RecvBuf,
    now: Instant,
    key: Arc<PrivateKey>,
    /// The server's channel, once it was asked for a command.
    there: Option<ChannelId>,
    received: u64,
}

/// Puts bytes into a buffer as a read would.
fn carry(output: &[u8], input: &mut RecvBuf) -> usize {
    let space = input.space();
    let n = output.len().min(space.len());
    space[..n].copy_from_slice(&output[..n]);
    input.filled(n);
    n
}

impl Pair {
    fn new(cipher: &str, seed: u64) -> Self {
        let algorithms = Algorithms {
            kex: pick(KEX, "curve25519-sha256").expect("a method"),
            cipher: pick(CIPHER, cipher).expect("a cipher"),
            mac: pick(MAC, "hmac-sha2-256-etm@openssh.com").expect("a MAC"),
            ..Algorithms::client()
        };
        let transport = TransportConfig { algorithms: algorithms.clone(), ..TransportConfig::client() };
        let host_key = Arc::new(PrivateKey::generate_ed25519(&mut Seeded(1)));
        let server = ServerConfig {
            transport: TransportConfig { algorithms, ..TransportConfig::server() },
            ..ServerConfig::new(vec![host_key])
        };
        let (now, ann) = (Instant::now(), ClientUserauthConfig { user_name: "ann".to_owned() });
        let rng = |side| Box::new(Seeded(3 + 2 * seed + side));
        Self {
            client: Connection::new(
                Arc::new(ClientConfig { transport }),
                ann,
                Default::default(),
                rng(0),
                now,
            ),
            server: Connection::new(Arc::new(server), Default::default(), Default::default(), rng(1), now),
            up: RecvBuf::new(),
            down: RecvBuf::new(),
            now,
            key: Arc::new(PrivateKey::generate_ed25519(&mut Seeded(2))),
            there: None,
            received: 0,
        }
    }

    /// What one side has said the other takes; whether anything was said.
    fn round(&mut self) -> bool {
        let said = carry(self.client.output(), &mut self.up);
        self.client.consume_output(said);
        while self.serve() {}
        let answered = carry(self.server.output(), &mut self.down);
        self.server.consume_output(answered);
        while self.ask() {}
        said + answered > 0
    }

    fn serve(&mut self) -> bool {
        let server = &mut self.server;
        match server.handle_input(&mut self.up, self.now).expect("the client is right") {
            Step::NeedInput | Step::NeedVerdict => return false,
            Step::Event(Event::Userauth(question)) => {
                server.accept_user(question.ticket, &Permissions::FULL).expect("open");
            }
            Step::Event(Event::Channel(id, ChannelEvent::OpenRequest { .. })) => {
                server.accept_channel(id).expect("offered");
            }
            Step::Event(Event::Channel(id, ChannelEvent::Request { request: Request::Exec { .. }, .. })) => {
                server.channel(id).expect("open").reply(true).expect("asked");
                self.there = Some(id);
            }
            _ => {}
        }
        true
    }

    fn ask(&mut self) -> bool {
        let client = &mut self.client;
        match client.handle_input(&mut self.down, self.now).expect("the server is right") {
            Step::NeedInput | Step::NeedVerdict => return false,
            Step::Event(Event::Kex(host)) => client.accept_host_key(host.ticket).expect("open"),
            Step::Event(Event::Userauth(ClientUserauthEvent::Continue { ticket, .. })) => {
                client.request_publickey(ticket, Arc::clone(&self.key)).expect("open");
            }
            Step::Event(Event::Authenticated) => drop(client.open_session().expect("authenticated")),
            Step::Event(Event::Channel(id, ChannelEvent::Opened)) => {
                client.channel(id).expect("open").request_exec(b"true").expect("open");
            }
            Step::Event(Event::Channel(id, ChannelEvent::Data { data })) => {
                self.received += data.len() as u64;
                client.channel(id).expect("open").adjust_window(data.len()).expect("so much came");
            }
            _ => {}
        }
        true
    }

    fn log_in(&mut self) -> ChannelId {
        while self.round() {}
        self.there.expect("logged in")
    }

    /// The server sends all of it.
    fn send(&mut self, id: ChannelId, data: &[u8]) {
        let mut rest = data;
        while !rest.is_empty() {
            let n = self.server.channel(id).expect("open").write(rest);
            rest = &rest[n..];
            if n == 0 {
                self.round();
            }
        }
    }
}

/// Does so much of a part.
fn work(part: &str, count: u64) {
    let (name, cipher, ..) = *PARTS.iter().find(|(name, ..)| *name == part).expect("a part");
    if name == "login" {
        return (0..count).for_each(|seed| {
            Pair::new(cipher, seed).log_in();
        });
    }
    let mut pair = Pair::new(cipher, 0);
    let id = pair.log_in();
    let sent = if name == "records" {
        let record = [7; 200];
        for number in 1..=count {
            pair.send(id, &record);
            if number % RECORDS_AT_ONCE == 0 {
                pair.round();
            }
        }
        count * record.len() as u64
    } else {
        let block = vec![7; BLOCK];
        let blocks = (count << 20) / BLOCK as u64;
        (0..blocks).for_each(|_| pair.send(id, &block));
        blocks * BLOCK as u64
    };
    while pair.round() {}
    assert_eq!(pair.received, sent, "all of it");
}

/// What matters of a processor, as this process is shown it.
fn features() -> String {
    let mut names = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        let known = [
            ("aes", has!("aes")),
            ("avx2", has!("avx2")),
            ("avx512f", has!("avx512f")),
            ("pclmulqdq", has!("pclmulqdq")),
            ("sha_ni", has!("sha")),
            ("vaes", has!("vaes")),
            ("vpclmulqdq", has!("vpclmulqdq")),
        ];
        names.extend(known.iter().filter(|(_, is)| *is).map(|(name, _)| *name));
    }
    if names.is_empty() { std::env::consts::ARCH.to_owned() } else { names.join(" ") }
}

/// This program under valgrind: what it printed, and how many instructions it took.
fn counted(words: &[&str]) -> (String, u64) {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(std::env::current_exe().expect("this program")).args(words);
    let output =
        command.output().unwrap_or_else(|error| panic!("valgrind: {error}; benches/run installs it"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {told}");
    let count = told.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    let printed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (printed, count.unwrap_or_else(|| panic!("no count: {told}")))
}

/// Instructions of each part, for one of what is counted.
fn measure() -> BTreeMap<&'static str, u64> {
    let of = |(name, _, _, count): &(&'static str, &str, &str, u64)| {
        let (_, with) = counted(&["part", name, &count.to_string()]);
        let (_, without) = counted(&["part", name, "0"]);
        (*name, (with - without) / count)
    };
    PARTS.iter().map(of).collect()
}

/// The figures of each set of features.
type Figures = BTreeMap<String, BTreeMap<String, u64>>;

fn read(text: &str) -> Figures {
    let mut figures = Figures::new();
    let mut set = String::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        match line.split_once(": ") {
            Some(("features", features)) => features.clone_into(&mut set),
            Some((name, count)) => {
                let count = count.split(' ').next().and_then(|count| count.parse().ok()).expect("a count");
                figures.entry(set.clone()).or_default().insert(name.to_owned(), count);
            }
            None => {}
        }
    }
    figures
}

fn write(figures: &Figures) -> String {
    let mut text = "# Instructions of both sides, by callgrind; written by `benches/run instructions --record`. The features\n\
                    # are those that valgrind shows, and they choose the code that runs.\n"
        .to_owned();
    for (features, counts) in figures {
        let _infallible = write!(text, "\nfeatures: {features}\n");
        for (name, _, unit, _) in PARTS {
            if let Some(count) = counts.get(name) {
                let _infallible = writeln!(text, "{name}: {count} {unit}");
            }
        }
    }
    text
}

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    match &words[..] {
        [part, name, count] if part == "part" => {
            work(name, count.parse().expect("a count"));
            return ExitCode::SUCCESS;
        }
        [word] if word == "features" => {
            println!("{}", features());
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FIGURES);
    let mut kept = read(&std::fs::read_to_string(&path).unwrap_or_default());
    let shown = counted(&["features"]).0;
    println!("the processor has {}; valgrind shows {shown}", features());
    let counts = measure();
    let known = kept.get(&shown);
    if known.is_none() {
        println!("{FIGURES} has no figures of these features: nothing is compared");
    }
    let mut grown = false;
    for (name, _, unit, _) in PARTS {
        let (count, before) = (counts[name], known.and_then(|known| known.get(name)));
        let growth = before.map(|before| count as f64 / *before as f64 - 1.0);
        let told = growth.map_or_else(String::new, |growth| format!("{:+.1} %", growth * 100.0));
        println!("{name:30} {count:>12} {unit:22} {told}");
        grown |= growth.is_some_and(|growth| growth > GROWTH_MAX);
    }
    if words.iter().any(|word| word == "--record") {
        kept.insert(shown, counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect());
        std::fs::write(&path, write(&kept)).expect("the file can be written");
    } else if grown {
        println!("grown by more than {:.0} %", GROWTH_MAX * 100.0);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
