//! How the recordings come to be: our side over a socket with blocking reads, real processes at its other end.

use super::end::{End, HOST_KEY, ROUND_LEN, Side, USER_KEY, round};
use super::openssh::{self, Files, Generation, Running, run};
use super::recording::{Recording, Rekey, Settings, Turn};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use strombus::transport::algorithms::KEX;
use strombus::transport::{Client, Server};
use strombus::wire::number::Sender;

/// Both roles of every method, and of what else changes the bytes.
pub fn record_all() -> Vec<Recording> {
    let plain = Settings {
        role: Sender::Client,
        peer: String::new(),
        user_name: openssh::user(),
        seed: 0,
        kex: "curve25519-sha256".to_owned(),
        cipher: "chacha20-poly1305@openssh.com".to_owned(),
        mac: "hmac-sha2-256-etm@openssh.com".to_owned(),
        compression: "none".to_owned(),
        rekey: Rekey::Nobody,
        rounds: 3,
    };
    let method = |name: &str| (name.to_owned(), Settings { kex: name.to_owned(), ..plain.clone() });
    let mut cases: Vec<(String, Settings)> = KEX.iter().map(|row| method(row.name)).collect();
    let mut further = |name: &str, settings| cases.push((name.to_owned(), settings));
    further("zlib", Settings { compression: "zlib@openssh.com".to_owned(), ..plain.clone() });
    further("rekey-local", Settings { rekey: Rekey::Local, ..plain.clone() });
    further("rekey-remote", Settings { rekey: Rekey::Remote, rounds: 24, ..plain.clone() });
    let (cipher, mac) = ("aes256-ctr".to_owned(), "hmac-sha2-512-etm@openssh.com".to_owned());
    further("aes256-ctr", Settings { cipher, mac, ..plain.clone() });

    let mut recordings = Vec::new();
    for (name, settings) in cases {
        for (role, of) in [(Sender::Client, "client"), (Sender::Server, "server")] {
            let seed = recordings.len() as u64 + 1;
            let settings = Settings { role, seed, ..settings.clone() };
            recordings.push(record(format!("{name}-{of}"), settings, with_openssh));
        }
    }
    let (cipher, mac) = ("aes256-ctr".to_owned(), "hmac-sha2-256".to_owned());
    let seed = recordings.len() as u64 + 1;
    let settings = Settings { role: Sender::Server, seed, cipher, mac, rounds: 0, ..plain };
    recordings.push(record("not-strict-server".to_owned(), settings, with_curl));
    recordings
}

/// The newest OpenSSH that has the method; `None` if none has.
fn generation(kex: &str) -> Option<Generation> {
    let has = |generation: &Generation| {
        let output = run(Command::new(generation.program("ssh")).args(["-Q", "kex"]), b"");
        String::from_utf8(output.stdout).unwrap().lines().any(|name| name == kex)
    };
    Generation::ALL.into_iter().rev().find(has)
}

fn record(name: String, settings: Settings, with: impl Fn(&Settings) -> (String, Vec<Turn>)) -> Recording {
    println!("{name}");
    let (peer, turns) = with(&settings);
    Recording { name, settings: Settings { peer, ..settings }, turns }
}

/// OpenSSH if any has the method, else ours.
fn with_openssh(settings: &Settings) -> (String, Vec<Turn>) {
    match (generation(&settings.kex), settings.role) {
        (Some(generation), Sender::Client) => with_sshd(generation, settings),
        (Some(generation), Sender::Server) => with_ssh(generation, settings),
        (None, _) => with_ours(settings),
    }
}

/// Keys that are always the same ones.
fn files() -> Files {
    let files = Files::new();
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/keys");
    for (key, to) in [(HOST_KEY, "host_key"), (USER_KEY, "user_key")] {
        for ending in ["", ".pub"] {
            // Written over, so that the mode stays what it was.
            let key = fs::read(keys.join(format!("{key}{ending}"))).unwrap();
            fs::write(files.path(&format!("{to}{ending}")), key).unwrap();
        }
    }
    fs::copy(files.path("user_key.pub"), files.path("authorized_keys")).unwrap();
    files
}

/// What a peer is told so that it has one choice, as `KEYWORD=value`.
fn options(settings: &Settings) -> Vec<String> {
    let mut options = vec![
        format!("KexAlgorithms={}", settings.kex),
        format!("Ciphers={}", settings.cipher),
        format!("MACs={}", settings.mac),
        "HostKeyAlgorithms=ssh-ed25519".to_owned(),
        "PubkeyAcceptedAlgorithms=ssh-ed25519".to_owned(),
        format!("Compression={}", if settings.compression == "none" { "no" } else { "yes" }),
    ];
    if settings.rekey == Rekey::Remote {
        // What one round costs: every round renews the keys.
        options.push(format!("RekeyLimit={ROUND_LEN}"));
    }
    options
}

/// Ours as the client.
fn with_sshd(generation: Generation, settings: &Settings) -> (String, Vec<Turn>) {
    let (files, options) = (files(), options(settings));
    let server = openssh::sshd(generation, &files, &options.iter().map(String::as_str).collect::<Vec<_>>());
    let stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    converse::<Client>(settings, stream)
}

/// Ours as the server: ssh sends a round, and the next one when it came back.
fn with_ssh(generation: Generation, settings: &Settings) -> (String, Vec<Turn>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let files = files();
    let mut command = openssh::ssh(generation, &files, listener.local_addr().unwrap().port());
    command.args(options(settings).iter().map(|option| format!("-o{option}")));
    command.arg(format!("{}@127.0.0.1", settings.user_name)).arg("cat");
    let mut ssh = Running::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let (mut stdin, mut stdout) = (ssh.child.stdin.take().unwrap(), ssh.child.stdout.take().unwrap());
    let rounds = settings.rounds;
    let user = thread::spawn(move || {
        for number in 0..rounds {
            let mut back = [0; ROUND_LEN];
            stdin.write_all(&round(number)).unwrap();
            stdout.read_exact(&mut back).unwrap();
            assert_eq!(back.to_vec(), round(number));
        }
    });
    let (stream, _) = listener.accept().unwrap();
    let recorded = converse::<Server>(settings, stream);
    user.join().unwrap_or_else(|_| panic!("{}", ssh.log()));
    assert!(ssh.wait().success(), "{}", ssh.log());
    recorded
}

/// Ours as the server of curl, which does not know strict key exchange; it asks for a file, does not like what comes back,
/// and says good-bye.
fn with_curl(settings: &Settings) -> (String, Vec<Turn>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (files, port) = (files(), listener.local_addr().unwrap().port());
    let mut curl = Command::new("curl");
    curl.args(["-sSk", "--key", &files.text("user_key"), "--pubkey", &files.text("user_key.pub")]);
    curl.arg(format!("scp://{}@127.0.0.1:{port}/file", settings.user_name));
    let user = thread::spawn(move || run(&mut curl, b""));
    let recorded = converse::<Server>(settings, listener.accept().unwrap().0);
    user.join().unwrap();
    recorded
}

/// Ours with ours; the other one has a generator of its own.
fn with_ours(settings: &Settings) -> (String, Vec<Turn>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    let other = Settings { seed: settings.seed + 1000, ..settings.clone() };
    match settings.role {
        Sender::Client => {
            let server = thread::spawn(move || converse::<Server>(&other, far));
            let recorded = converse::<Client>(settings, near);
            server.join().unwrap();
            recorded
        }
        Sender::Server => {
            let client = thread::spawn(move || converse::<Client>(&other, far));
            let recorded = converse::<Server>(settings, near);
            client.join().unwrap();
            recorded
        }
    }
}

/// Our side until it has nothing more to say or to hear: who it talked to, and what was said.
fn converse<S: Side>(settings: &Settings, mut stream: TcpStream) -> (String, Vec<Turn>) {
    stream.set_read_timeout(Some(openssh::deadline())).unwrap();
    let mut end = End::<S>::new(settings);
    let mut turns = vec![end.take(&[], usize::MAX)];
    let mut bytes = [0; 32 * 1024];
    loop {
        stream.write_all(&turns.last().unwrap().output).unwrap();
        if end.is_over() {
            end.assert_complete();
            return (end.peer(), turns);
        }
        let n = stream.read(&mut bytes).unwrap();
        assert!(
            n > 0,
            "the peer closed early: {:?}",
            turns.iter().flat_map(|t| &t.events).collect::<Vec<_>>()
        );
        turns.push(end.take(&bytes[..n], usize::MAX));
    }
}
