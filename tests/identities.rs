//! What is tried in which order, held against what the machine's own ssh says that it will try.

use mio::{Events, Poll, Token, Waker};
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;
use strombus::crypto::sign::certificate::PlainOrCertified;
use strombus::driver::agent::{AgentClient, Request};
use strombus::driver::identities::{self, Candidate, KeySource, Rules};
use strombus::driver::options::Options;
use strombus::keys::agent::{Answer, Identity};
use tempfile::TempDir;

/// Keys and certificates, and an agent that has some of them.
struct Files {
    directory: TempDir,
    agent: Child,
}

impl Files {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("ssh-agent");
        command.arg("-D").arg("-a").arg(directory.path().join("socket"));
        let mut agent = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("ssh-agent");
        agent.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let files = Self { directory, agent };
        for name in ["ca", "host", "a", "b", "c", "d", "e"] {
            let key_type = if name == "b" { "ecdsa" } else { "ed25519" };
            files.run("ssh-keygen", &["-q", "-t", key_type, "-N", "", "-C", name, "-f", name]);
        }
        files.run("ssh-keygen", &["-q", "-t", "ecdsa", "-m", "PEM", "-N", "secret", "-f", "pem"]);
        files.run("ssh-keygen", &["-q", "-t", "rsa", "-b", "2048", "-N", "secret", "-f", "rsa"]);
        for name in ["a", "b", "d", "rsa"] {
            files.run("ssh-keygen", &["-q", "-s", "ca", "-I", "id", "-n", "ann", &format!("{name}.pub")]);
        }
        fs::copy(files.path("d-cert.pub"), files.path("other-cert.pub")).unwrap();
        files.run("ssh-keygen", &["-q", "-s", "ca", "-h", "-I", "id", "-n", "host", "e.pub"]);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.directory).env("SSH_AUTH_SOCK", self.path("socket")).stdin(Stdio::null());
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let output = self.command(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    fn fingerprint(&self, name: &str) -> String {
        let output = self.run("ssh-keygen", &["-l", "-f", name]);
        String::from_utf8(output.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
    }

    /// What ssh will try, from its own words: name and fingerprint, and whether in a certificate.
    fn ssh(&self, case: &Case) -> Vec<String> {
        let server = format!("/usr/sbin/sshd -i -f none -h {}", self.path("host").display());
        let mut ssh = self.command("ssh");
        ssh.args(["-v", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]);
        ssh.args(["-o", "UserKnownHostsFile=/dev/null", "-o", &format!("ProxyCommand={server}")]);
        for name in case.identities {
            ssh.arg("-o").arg(format!("IdentityFile={}", self.path(name).display()));
        }
        for name in case.certificates {
            ssh.arg("-o").arg(format!("CertificateFile={}", self.path(name).display()));
        }
        if case.only {
            ssh.args(["-o", "IdentitiesOnly=yes"]);
        }
        let output = ssh.args(["nobody@host", "true"]).output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        let tried: Vec<_> = log
            .lines()
            .filter_map(|line| line.split_once("Will attempt key: "))
            .map(|(_, key)| key)
            .collect();
        assert!(!tried.is_empty(), "{log}");
        let word = |key: &str| {
            let words: Vec<_> = key.split(' ').collect();
            let name = self.without_directory(words[0]);
            match words.iter().position(|word| word.starts_with("SHA256:")) {
                Some(place) => {
                    let mark = if words[place - 1].ends_with("-CERT") { "+" } else { "" };
                    format!("{mark}{name} {}", words[place])
                }
                None => name,
            }
        };
        tried.into_iter().map(word).collect()
    }

    /// What is tried here.
    fn ours(&self, case: &Case) -> (Vec<String>, Vec<Candidate>) {
        let mut options = Options::new("host");
        options.identity_files = case.identities.iter().map(|name| self.path(name)).collect();
        options.certificate_files = case.certificates.iter().map(|name| self.path(name)).collect();
        options.config.identities_only = case.only;
        let plan = identities::plan(identities::read(&options), &self.listed(), &Rules::of(&options));
        let word = |candidate: &Candidate| match candidate {
            Candidate::Locked(locked) => self.without_directory(&locked.name),
            Candidate::Identity(identity) => {
                let mark = if let PlainOrCertified::Certified(_) = identity.public { "+" } else { "" };
                // ssh names the certificate beside a key as the key.
                let name = self.without_directory(&identity.name);
                let name = match name.strip_suffix("-cert.pub") {
                    Some(key) if case.identities.contains(&key) => key,
                    _ => &name,
                };
                format!("{mark}{name} {}", identity.public.key().fingerprint())
            }
        };
        (plan.candidates.iter().map(word).collect(), plan.candidates)
    }

    fn without_directory(&self, name: &str) -> String {
        name.replace(&format!("{}/", self.directory.path().display()), "")
    }

    /// What the agent lists.
    fn listed(&self) -> Vec<Identity> {
        let mut poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let mut client = AgentClient::connect(&self.path("socket"), Arc::clone(&waker));
        client.ask(Request::Identities).unwrap();
        let mut events = Events::with_capacity(4);
        loop {
            match client.answer() {
                Some(Ok(Answer::Identities(identities))) => return identities,
                Some(other) => panic!("{other:?}"),
                None => poll.poll(&mut events, Some(Duration::from_secs(30))).unwrap(),
            }
            assert!(!events.is_empty(), "nobody woke the loop");
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

struct Case {
    identities: &'static [&'static str],
    certificates: &'static [&'static str],
    only: bool,
}

#[test]
fn the_order_is_the_one_of_ssh() {
    let files = Files::new();
    let identities: &[&[&str]] = &[
        &["a", "b", "c"],
        &["c", "b", "a", "d"],
        &["rsa", "a", "e"],
        &["a.pub", "pem", "b"],
        &["b-cert.pub", "b"],
        &["missing", "d", "d"],
    ];
    // What the agent has been given by then: nothing; two; a key that no file names; a certificate, too.
    for added in [None, Some("c"), Some("a"), Some("e"), Some("b")] {
        if let Some(name) = added {
            files.run("ssh-add", &["-q", name]);
        }
        for identities in identities {
            for (certificates, only) in
                [(&[][..], false), (&[], true), (&["other-cert.pub", "a-cert.pub"], false)]
            {
                let case = Case { identities, certificates, only };
                let (ssh, ours) = (files.ssh(&case), files.ours(&case).0);
                let what = format!("{added:?} {identities:?} {certificates:?} {only}");
                assert_eq!(ours, but(ssh, &files, &case), "{what}");
            }
        }
    }
}

/// What ssh would try and cannot sign for, or tries twice.
fn but(ssh: Vec<String>, _files: &Files, _case: &Case) -> Vec<String> {
    ssh
}

#[test]
fn what_is_planned_signs() {
    let files = Files::new();
    files.run("ssh-add", &["-q", "b"]);
    let case = Case { identities: &["b", "rsa", "c"], certificates: &[], only: true };
    let (_, candidates) = files.ours(&case);
    let sources: Vec<_> = candidates
        .iter()
        .map(|candidate| match candidate {
            Candidate::Identity(identity) => (
                identity.public.key().fingerprint(),
                match identity.source {
                    KeySource::Agent(_) => "agent",
                    KeySource::File(_) => "file",
                    KeySource::Encrypted(_) => "encrypted",
                },
            ),
            Candidate::Locked(locked) => (locked.name.clone(), "locked"),
        })
        .collect();
    let [b, rsa, c] = ["b", "rsa", "c"].map(|name| files.fingerprint(name));
    let expected =
        [(b.clone(), "agent"), (b, "agent"), (rsa.clone(), "encrypted"), (rsa, "encrypted"), (c, "file")];
    assert_eq!(sources, expected);
}
