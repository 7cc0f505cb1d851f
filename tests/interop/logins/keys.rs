//! Every type of key × where it lies × which side is ours, with both generations; and the other formats of files.

use super::super::openssh::{Files, Generation, Server, our_sshd, sshd, user};
use super::{
    Agent, Answers, COMMAND, Came, beside, certify, done, generate, our_client, public, set, their_client,
};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Types of keys, as ssh-keygen has them.
const KINDS: [&[&str]; 6] = [
    &["ed25519"],
    &["ecdsa", "-b", "256"],
    &["ecdsa", "-b", "384"],
    &["ecdsa", "-b", "521"],
    &["rsa", "-b", "2048"],
    &["rsa", "-b", "3072"],
];

/// Where a client finds a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    File,
    EncryptedFile,
    Agent,
    /// And `IdentityFile` names its public half.
    AgentNamed,
    Certificate,
    CertificateInAgent,
}

impl Place {
    const ALL: [Self; 6] = [
        Self::File,
        Self::EncryptedFile,
        Self::Agent,
        Self::AgentNamed,
        Self::Certificate,
        Self::CertificateInAgent,
    ];
}

const PASSPHRASE: &str = "correct horse";

/// Keys of every type, of which some may log in themselves and others by a certificate alone.
struct Keys {
    files: Files,
    generation: Generation,
    /// It has all that log in themselves.
    agent: Agent,
}

impl Keys {
    fn make(generation: Generation) -> Self {
        let files = Files::new();
        let ca = files.path("ca");
        generate(generation, &ca, &["ed25519"], "");
        let agent = Agent::start(generation, &files, "all.sock");
        let mut authorized = format!("cert-authority,principals=\"wanted\" {}", public(&ca));
        for (n, kind) in KINDS.iter().enumerate() {
            let (key, certified, locked) = (
                files.path(&format!("key{n}")),
                files.path(&format!("certified{n}")),
                files.path(&format!("locked{n}")),
            );
            generate(generation, &key, kind, "");
            generate(generation, &certified, kind, "");
            certify(generation, &ca, &certified, &["-n", "other,wanted"]);
            fs::copy(&key, &locked).unwrap();
            let mut lock = Command::new(generation.program("ssh-keygen"));
            done(lock.args(["-q", "-p", "-a", "2", "-P", "", "-N", PASSPHRASE, "-f"]).arg(&locked));
            authorized += &public(&key);
            agent.add([&*key]);
        }
        files.write("authorized_keys", &authorized);
        Self { files, generation, agent }
    }

    fn path(&self, name: &str, n: usize) -> PathBuf {
        self.files.path(&format!("{name}{n}"))
    }

    /// Gives a client the key of this type from this place, and nothing else; what it needs stays with the answer.
    fn give(&self, client: &mut Command, n: usize, place: Place) -> (Option<Agent>, Option<Answers>) {
        let mut agent_of = |name: &str| {
            let agent = Agent::start(self.generation, &self.files, &format!("{name}{n}.sock"));
            agent.add([&*self.path(name, n)]);
            client.env("SSH_AUTH_SOCK", &agent.socket);
            set(client, &["IdentityFile=none"]);
            Some(agent)
        };
        match place {
            Place::Agent => return (agent_of("key"), None),
            Place::CertificateInAgent => return (agent_of("certified"), None),
            Place::File => client.arg("-i").arg(self.path("key", n)),
            Place::Certificate => client.arg("-i").arg(self.path("certified", n)),
            Place::EncryptedFile => client.arg("-i").arg(self.path("locked", n)),
            Place::AgentNamed => {
                set(client, &["IdentitiesOnly=yes"]);
                client.env("SSH_AUTH_SOCK", &self.agent.socket);
                client.arg("-i").arg(beside(&self.path("key", n), ".pub"))
            }
        };
        let answers = (place == Place::EncryptedFile).then(|| {
            let answers = Answers::new(&self.files, &format!("askpass{n}"), &["wrong", PASSPHRASE]);
            answers.give(client);
            answers
        });
        (None, answers)
    }

    /// `certified` stands in a line of the server's log for each login by a certificate.
    fn every_login(&self, server: &Server, client: impl Fn() -> Command, certified: &str, who: &str) {
        for (n, kind) in KINDS.iter().enumerate() {
            for place in Place::ALL {
                let mut client = client();
                let (_agent, answers) = self.give(&mut client, n, place);
                client.args([&format!("{}@127.0.0.1", user()), COMMAND]);
                let came = Came::of(&mut client);
                let what = format!("{:?} {kind:?} {place:?}", self.generation);
                assert_eq!(
                    came.to().as_deref(),
                    Some("in"),
                    "{what}: {}{}",
                    came.told(),
                    server.running.log()
                );
                if let Some(answers) = answers {
                    assert_eq!(answers.asked().len(), 2, "{what}: a wrong passphrase is asked for again");
                    fs::remove_file(beside(&answers.script, ".count")).unwrap();
                    fs::remove_file(beside(&answers.script, ".asked")).unwrap();
                }
            }
        }
        // The certificates did it, not their keys.
        for _ in 0..2 * KINDS.len() {
            assert!(server.running.wait_for(certified).is_some(), "{}", server.running.log());
        }
        println!(
            "figure: keys, {who} {:?}: {} combinations",
            self.generation,
            KINDS.len() * Place::ALL.len()
        );
    }

    fn by_our_client(generation: Generation) {
        let keys = Self::make(generation);
        let server = sshd(generation, &keys.files, &[]);
        keys.every_login(
            &server,
            || our_client(&keys.files, server.port),
            "ID identity",
            "our client to sshd of",
        );
    }

    fn by_their_client(generation: Generation) {
        let keys = Self::make(generation);
        let server = our_sshd(&keys.files, &[]);
        let client = || their_client(generation, &keys.files, server.port);
        // Certificates are accepted by the first line, which has the CA.
        keys.every_login(&server, client, "authorized_keys:1)", "ours from ssh of");
    }
}

#[test]
fn our_client_logs_in_to_sshd_9_with_keys_of_every_type_from_everywhere() {
    Keys::by_our_client(Generation::Bookworm);
}

#[test]
fn our_client_logs_in_to_sshd_10_with_keys_of_every_type_from_everywhere() {
    Keys::by_our_client(Generation::Trixie);
}

#[test]
fn ssh_9_logs_in_to_our_server_with_keys_of_every_type_from_everywhere() {
    Keys::by_their_client(Generation::Bookworm);
}

#[test]
fn ssh_10_logs_in_to_our_server_with_keys_of_every_type_from_everywhere() {
    Keys::by_their_client(Generation::Trixie);
}

/// A key file in another format, made from `key`; which types have it.
struct Format {
    name: &'static str,
    kinds: fn(&str) -> bool,
    /// ssh-keygen's name for it; nothing if puttygen makes it.
    keygen: Option<&'static str>,
    puttygen: &'static [&'static str],
    encrypted: bool,
}

const FORMATS: [Format; 7] = [
    Format {
        name: "pem",
        kinds: |kind| kind != "ed25519",
        keygen: Some("PEM"),
        puttygen: &[],
        encrypted: false,
    },
    Format {
        name: "pem_locked",
        kinds: |kind| kind != "ed25519",
        keygen: Some("PEM"),
        puttygen: &[],
        encrypted: true,
    },
    Format {
        name: "pkcs8",
        kinds: |kind| kind != "ed25519",
        keygen: Some("PKCS8"),
        puttygen: &[],
        encrypted: false,
    },
    Format {
        name: "pkcs8_locked",
        kinds: |kind| kind != "ed25519",
        keygen: Some("PKCS8"),
        puttygen: &[],
        encrypted: true,
    },
    Format { name: "ppk3", kinds: |_| true, keygen: None, puttygen: &[], encrypted: false },
    Format {
        name: "ppk3_locked",
        kinds: |_| true,
        keygen: None,
        puttygen: &["--ppk-param", "memory=64,passes=1"],
        encrypted: true,
    },
    Format {
        name: "ppk2_locked",
        kinds: |_| true,
        keygen: None,
        puttygen: &["--ppk-param", "version=2"],
        encrypted: true,
    },
];

#[test]
fn our_client_logs_in_with_key_files_of_other_formats() {
    let files = Files::new();
    let phrase = files.write("phrase", PASSPHRASE);
    let (mut authorized, mut logins) = (String::new(), Vec::new());
    for (n, kind) in KINDS.iter().enumerate() {
        let generation = Generation::ALL[n % 2];
        let key = files.path(&format!("key{n}"));
        generate(generation, &key, kind, "");
        authorized += &public(&key);
        for format in FORMATS.iter().filter(|format| (format.kinds)(kind[0])) {
            let path = files.path(&format!("{}{n}", format.name));
            match format.keygen {
                Some(name) => {
                    fs::copy(&key, &path).unwrap();
                    let passphrase = if format.encrypted { PASSPHRASE } else { "" };
                    let mut convert = Command::new(generation.program("ssh-keygen"));
                    done(convert.args(["-q", "-p", "-m", name, "-P", "", "-N", passphrase, "-f"]).arg(&path));
                }
                None => {
                    let mut convert = Command::new("puttygen");
                    convert.arg(&key).args(["-O", "private", "-o"]).arg(&path).args(format.puttygen);
                    if format.encrypted {
                        convert.args(["--new-passphrase", &phrase]);
                    }
                    done(&mut convert);
                }
            }
            let head = fs::read(&path).unwrap();
            assert!(!head.starts_with(b"-----BEGIN OPENSSH"), "{} was not converted", path.display());
            logins.push((path, format.encrypted));
        }
    }
    files.write("authorized_keys", &authorized);
    let servers = Generation::ALL.map(|generation| sshd(generation, &files, &[]));
    for (n, (path, encrypted)) in logins.iter().enumerate() {
        let server = &servers[n % 2];
        let mut client = our_client(&files, server.port);
        let answers = Answers::new(&files, &format!("askpass{n}"), &[PASSPHRASE]);
        answers.give(&mut client);
        let to = format!("{}@127.0.0.1", user());
        let came = Came::of(client.arg("-i").arg(path).args([&to, COMMAND]));
        assert_eq!(came.to().as_deref(), Some("in"), "{}: {}", path.display(), came.told());
        assert_eq!(answers.asked().len(), usize::from(*encrypted), "{}", path.display());
    }
    println!("figure: key files of other formats: {} combinations", logins.len());
}
