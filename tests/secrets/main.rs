//! What a login leaves in the memory of both processes, and what they say of it.
//!
//! Passwords are typed at a terminal of the test's. After the login, while the session goes on, all that can be read of a
//! process is searched for any eight bytes of the secret: whoever frees memory overwrites its beginning.

mod process;

use base64ct::{Base64, Encoding};
use process::{Find, Process, find, random_text};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use strombus::crypto::sign::PrivateKey;
use strombus::crypto::{Hash, Secret, SystemRng};
use strombus::driver::{files, passwords};
use strombus::keys::private_key::Parsed;
use strombus::keys::{private_key, public_key};
use strombus::transport::RecvBuf;
use strombus::userauth::Credential;
use strombus::wire::Reader;
use strombus::wire::message::{PasswordFields, UserauthRequest};
use tempfile::TempDir;
use zeroize::Zeroizing;

/// What is searched for, with names.
type Secrets = Vec<(&'static str, Vec<u8>)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Ssh,
    Weblog,
    Unwiped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    Sshd,
    Weblog,
    Unwiped,
}

/// What the client logs in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum With {
    Password,
    /// The same password as the answer to a question of keyboard-interactive.
    Questions,
    /// A key of vectors/keys.
    Key(&'static str),
    /// The same in a file with a passphrase.
    Encrypted(&'static str),
}

/// Everything there is to log in with, and to be found.
const ALL: [With; 6] = [
    With::Password,
    With::Questions,
    With::Key("ed25519"),
    With::Key("ecdsa-256"),
    With::Key("rsa-2048"),
    With::Encrypted("ed25519"),
];

fn program(name: &str) -> Command {
    match name {
        "ssh-weblog" => Command::new(env!("CARGO_BIN_EXE_ssh-weblog")),
        "ssh-weblog-server" => Command::new(env!("CARGO_BIN_EXE_ssh-weblog-server")),
        example => {
            let beside = Path::new(env!("CARGO_BIN_EXE_ssh-weblog")).parent().unwrap();
            Command::new(beside.join("examples").join(example))
        }
    }
}

/// The files of one login: a host key, a user's key, his password's hash, and a log to look at.
struct Files {
    directory: TempDir,
    with: With,
    password: String,
    host_line: String,
}

impl Files {
    fn new(with: With) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let password = random_text(40);
        let hash = passwords::hash(password.as_bytes()).unwrap();
        fs::write(path("passwords"), format!("ann:{hash}\n")).unwrap();
        fs::write(path("log"), "").unwrap();
        let host_key = PrivateKey::generate_ed25519(&mut SystemRng);
        let file = private_key::write(&host_key, "", &mut SystemRng).unwrap();
        files::create_private(&path("host_key"), file.as_bytes()).unwrap();
        if let With::Key(name) | With::Encrypted(name) = with {
            let mut file = Zeroizing::new(String::from_utf8(vector(name)).unwrap());
            if with == With::Encrypted(name) {
                let key = private_key::parse(file.as_bytes()).and_then(Parsed::plain).unwrap();
                let (passphrase, rng) = (password.as_bytes(), &mut SystemRng);
                file = private_key::write_encrypted(&key.key, "", passphrase, 4, rng).unwrap();
            }
            files::create_private(&path("user_key"), file.as_bytes()).unwrap();
            fs::write(path("authorized_keys"), vector(&format!("{name}.pub"))).unwrap();
        }
        let host_line = public_key::write(&host_key.public_key(), "").unwrap();
        Self { directory, with, password, host_line }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn known_hosts(&self, port: u16) -> String {
        fs::write(self.path("known_hosts"), format!("[127.0.0.1]:{port} {}", self.host_line)).unwrap();
        self.text("known_hosts")
    }

    fn secrets(&self) -> Secrets {
        match self.with {
            With::Password | With::Questions => vec![("the password", self.password.as_bytes().to_vec())],
            With::Key(name) => secrets_of_key(&vector(name)),
            With::Encrypted(name) => {
                let mut secrets = secrets_of_key(&vector(name));
                secrets.push(("the passphrase", self.password.as_bytes().to_vec()));
                secrets
            }
        }
    }

    fn server(&self, server: Server) -> Process {
        let (key, log) = (self.text("host_key"), self.text("log"));
        let mut command;
        match server {
            Server::Sshd => {
                command = program("sshd");
                command.args(["-D", "-e", "-p", "0", "-h", &key]);
                command.args(["-o", &format!("AuthorizedKeysFile={}", self.text("authorized_keys"))]);
                if matches!(self.with, With::Password | With::Questions) {
                    command.args(["-o", &format!("PasswordFile={}", self.text("passwords"))]);
                }
            }
            Server::Weblog => {
                command = program("ssh-weblog-server");
                command.args(["--listen", "127.0.0.1:0", "--host-key", &key, "--user", "ann"]);
                match self.with {
                    With::Password | With::Questions => {
                        command.args(["--password-file", &self.text("passwords"), &log])
                    }
                    With::Key(_) | With::Encrypted(_) => {
                        command.args(["--authorized-keys", &self.text("authorized_keys"), &log])
                    }
                };
            }
            Server::Unwiped => {
                command = program("unwiped");
                command.args(["serve", &self.text("passwords"), &key, &log]);
            }
        }
        Process::start(&mut command)
    }

    /// A client that follows the log.
    fn client(&self, client: Client, server: Server, port: u16) -> Command {
        let (key, log) = (self.text("user_key"), self.text("log"));
        let (known_hosts, port) = (self.known_hosts(port), port.to_string());
        let follow =
            if server == Server::Sshd { format!("tail -F {log}") } else { "tail --show raw".to_owned() };
        let own = |mut command: Command| {
            command.args(["-F", "none", "-p", &port, "-i", &key, "-v"]);
            command.args(["-o", &format!("UserKnownHostsFile={known_hosts}")]);
            let questions = if self.with == With::Questions { "yes" } else { "no" };
            command.args(["-o", &format!("KbdInteractiveAuthentication={questions}")]);
            command
        };
        let mut command;
        match client {
            Client::Ssh => {
                command = own(program("ssh"));
                command.args(["-v", "-v", "ann@127.0.0.1", &follow]);
            }
            Client::Weblog => {
                command = own(program("ssh-weblog"));
                command.args(["ann@127.0.0.1", &log]);
            }
            Client::Unwiped => {
                command = program("unwiped");
                // The server's tree, or files.
                let path = if server == Server::Unwiped { "log/log" } else { &log };
                command.args(["watch", &port, &known_hosts, "ann", &key, path]);
                command.arg(if self.with == With::Questions { "yes" } else { "no" });
            }
        }
        command.env_remove("SSH_AUTH_SOCK");
        command
    }

    /// Logs in, waits until the session runs, and searches both processes.
    fn log_in(&self, client: Client, server: Server) -> [Vec<Find>; 2] {
        let serving = self.server(server);
        let port = serving.port();
        let client = Process::on_a_terminal(&self.client(client, server, port));
        let prompt = match self.with {
            With::Password => Some("'s password: "),
            With::Questions => Some(") Password: "),
            With::Encrypted(_) => Some("passphrase for key"),
            With::Key(_) => None,
        };
        if let Some(prompt) = prompt {
            client.wait_for(prompt);
            client.type_unseen(&self.password);
        }
        // A line that came before the session did is not shown, so one more is written until one is.
        let mut log = fs::OpenOptions::new().append(true).open(self.path("log")).unwrap();
        let line = "203.0.113.7 - - [01/Mar/2026:00:00:00 +0000] \"GET /came-in HTTP/1.1\" 200 5 \"http://r.example/\" \"x\"\n";
        client.wait_for_and("/came-in", || log.write_all(line.as_bytes()).unwrap());
        let secrets = self.secrets();
        for process in [&client, &serving] {
            for (name, secret) in &secrets {
                assert!(!process.said(secret), "{name} is in what it says");
                assert!(!process.was_given(secret), "{name} is in its arguments or its environment");
            }
        }
        [&client, &serving].map(|process| find(process.pid(), &secrets))
    }
}

fn vector(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/keys").join(name)).unwrap()
}

/// The forms that a key has: the numbers of its file in both orders of bytes, their text in the file, and of Ed25519 the half
/// of the seed's hash that signatures draw upon.
fn secrets_of_key(file: &[u8]) -> Secrets {
    let text: String = str::from_utf8(file).unwrap().lines().filter(|line| !line.starts_with('-')).collect();
    let bytes = Base64::decode_vec(&text).unwrap();
    let mut r = Reader::new(&bytes);
    r.bytes(b"openssh-key-v1\0".len()).unwrap();
    let [_cipher, _kdf, _options] = [(); 3].map(|()| r.string().unwrap());
    r.uint32().unwrap();
    let [_public, private] = [(); 2].map(|()| r.string().unwrap());
    let mut r = Reader::new(private);
    r.uint64().unwrap();
    let key_type = r.text().unwrap();
    let fields: Vec<&[u8]> = std::iter::from_fn(|| r.string().ok()).collect();
    let numbers = match key_type {
        "ssh-ed25519" => vec![("the seed", &fields[1][..32])],
        "ssh-rsa" => vec![("d", fields[2]), ("iqmp", fields[3]), ("p", fields[4]), ("q", fields[5])],
        _ => vec![("d", fields[2])],
    };
    let mut secrets = Secrets::new();
    for (name, number) in numbers {
        let at = number.as_ptr() as usize - bytes.as_ptr() as usize;
        secrets.push((name, number.to_vec()));
        secrets.push((name, number.iter().rev().copied().collect()));
        secrets.push((name, text.as_bytes()[(at * 4).div_ceil(3)..(at + number.len()) * 4 / 3].to_vec()));
        if key_type == "ssh-ed25519" {
            secrets.push(("the prefix", Hash::Sha512.digest(number).as_bytes()[32..].to_vec()));
        }
    }
    secrets
}

#[test]
fn t57_after_a_login_its_secret_is_in_no_memory_argument_or_log() {
    for with in ALL {
        for (client, server) in
            [(Client::Ssh, Server::Sshd), (Client::Weblog, Server::Sshd), (Client::Ssh, Server::Weblog)]
        {
            let [here, there] = Files::new(with).log_in(client, server);
            assert!(here.is_empty(), "{client:?} {with:?}: {here:#?}");
            assert!(there.is_empty(), "{server:?} {with:?}: {there:#?}");
        }
    }
}

#[test]
fn without_the_allocator_the_numbers_of_rsa_that_ring_frees_are_found() {
    for with in ALL {
        let typed = matches!(with, With::Password | With::Questions);
        let server = if typed { Server::Unwiped } else { Server::Sshd };
        let [here, there] = Files::new(with).log_in(Client::Unwiped, server);
        println!(
            "figure: {with:?}, not wiped: {} parts in the client, {} in the server",
            here.len(),
            there.len()
        );
        // ring does not wipe the numbers of RSA. Of the other secrets nothing has to be left: those are figures only.
        if with == With::Key("rsa-2048") {
            assert!(!here.is_empty(), "nothing was found of a key that ring frees");
        }
    }
}

#[test]
fn t57_what_is_printed_of_a_password_or_a_key_is_not_it() {
    let password = b"h4P-secret";
    let mut input = RecvBuf::new();
    input.space()[..password.len()].copy_from_slice(password);
    input.filled(password.len());
    let key = PrivateKey::ed25519_from_seed(&Secret::new(*b"h4P-secret-h4P-secret-h4P-secret"));
    let file = private_key::write(&key, "", &mut SystemRng).unwrap();
    let parsed = private_key::parse(file.as_bytes()).unwrap();
    let request = UserauthRequest {
        user_name: b"ann",
        service_name: b"ssh-connection",
        method_name: b"password",
        method_fields: password,
    };
    let printed = [
        format!("{:?}", Credential::Password(password.to_vec().into())),
        format!("{:?}", PasswordFields { password, new_password: Some(password) }),
        format!("{request:?} {input:?} {key:?}"),
        format!("{parsed:?} {:?}", Secret::new(*b"h4P-secret")),
    ];
    for text in printed {
        // As text, and as the numbers of bytes.
        assert!(!text.contains("h4P") && !text.contains("104, 52, 80"), "{text}");
    }
}

#[test]
fn what_a_process_holds_is_found_whole_or_in_part() {
    let held = random_text(40);
    let secrets = vec![("held", held.as_bytes().to_vec())];
    let found = find(std::process::id(), &secrets);
    assert!((0..40).step_by(8).all(|at| found.iter().any(|find| find.at == at)), "{found:?}");
}
