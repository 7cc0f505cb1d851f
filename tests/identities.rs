//! What is tried in which order, held against what the machine's own ssh says that it will try.

#[path = "common/agent.rs"]
mod agent;

use agent::SshAgent;
use mio::{Events, Poll, Token, Waker};
use std::collections::HashSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;
use strombus::crypto::sign::certificate::PlainOrCertified;
use strombus::driver::agent::{AgentClient, Request};
use strombus::driver::identities::{self, Candidate, KeySource, Rules};
use strombus::driver::options::Options;
use strombus::keys::agent::{Answer, Identity};

/// Keys and certificates, and an agent that has some of them.
struct Files {
    agent: SshAgent,
}

impl Files {
    fn new() -> Self {
        let files = Self { agent: SshAgent::start() };
        for name in ["ca", "host", "a", "b", "c", "d", "e"] {
            let key_type = if name == "b" { "ecdsa" } else { "ed25519" };
            files.agent.run("ssh-keygen", &["-q", "-t", key_type, "-N", "", "-C", name, "-f", name]);
        }
        files.agent.run("ssh-keygen", &["-q", "-t", "ecdsa", "-m", "PEM", "-N", "secret", "-f", "pem"]);
        files.agent.run("ssh-keygen", &["-q", "-t", "rsa", "-b", "2048", "-N", "secret", "-f", "rsa"]);
        for name in ["a", "b", "d", "rsa"] {
            files
                .agent
                .run("ssh-keygen", &["-q", "-s", "ca", "-I", "id", "-n", "ann", &format!("{name}.pub")]);
        }
        fs::copy(files.agent.path("d-cert.pub"), files.agent.path("other-cert.pub")).unwrap();
        files.agent.run("ssh-keygen", &["-q", "-s", "ca", "-h", "-I", "id", "-n", "host", "e.pub"]);
        files
    }

    fn fingerprint(&self, name: &str) -> String {
        let output = self.agent.run("ssh-keygen", &["-l", "-f", name]);
        String::from_utf8(output.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
    }

    /// What ssh will try, from its own words: name and fingerprint, and whether in a certificate.
    fn ssh(&self, case: &Case) -> Vec<String> {
        let server =
            format!("/usr/sbin/sshd -i -f none -o MaxAuthTries=1 -h {}", self.agent.path("host").display());
        let mut ssh = self.agent.command("ssh");
        ssh.args(["-v", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]);
        ssh.args(["-o", "UserKnownHostsFile=/dev/null", "-o", &format!("ProxyCommand={server}")]);
        for name in case.identities {
            ssh.arg("-o").arg(format!("IdentityFile={}", self.agent.path(name).display()));
        }
        for name in case.certificates {
            ssh.arg("-o").arg(format!("CertificateFile={}", self.agent.path(name).display()));
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
            let key = words.iter().position(|word| word.starts_with("SHA256:"));
            let is_certificate = key.is_some_and(|place| words[place - 1].ends_with("-CERT"));
            self.word(words[0], is_certificate, key.map_or("", |place| words[place]))
        };
        tried.into_iter().map(word).collect()
    }

    /// What is tried here.
    fn ours(&self, case: &Case) -> (Vec<String>, Vec<Candidate>) {
        let mut options = Options::new("host");
        options.identity_files = case.identities.iter().map(|name| self.agent.path(name)).collect();
        options.certificate_files = case.certificates.iter().map(|name| self.agent.path(name)).collect();
        options.config.identities_only = case.only;
        let plan = identities::plan(identities::read(&options), &self.listed(), &Rules::of(&options));
        let word = |candidate: &Candidate| match candidate {
            Candidate::Locked(locked) => self.word(&locked.name, false, ""),
            Candidate::Identity(identity) => {
                let is_certificate = matches!(identity.public, PlainOrCertified::Certified(_));
                self.word(&identity.name, is_certificate, &identity.public.key().fingerprint())
            }
        };
        (plan.candidates.iter().map(word).collect(), plan.candidates)
    }

    /// ssh names the certificate beside a key as the key.
    fn word(&self, name: &str, is_certificate: bool, fingerprint: &str) -> String {
        let name = name.replace(&self.agent.path("").display().to_string(), "");
        let name = name.strip_suffix("-cert.pub").unwrap_or(&name);
        format!("{}{name} {fingerprint}", if is_certificate { "+" } else { "" })
    }

    /// The keys that the agent or a named file has.
    fn who_signs(&self, case: &Case) -> HashSet<String> {
        let listed = self.listed();
        let agent = listed.iter().map(|identity| identity.key.as_ref().unwrap().key().fingerprint());
        let named =
            case.identities.iter().filter(|name| !name.contains('.') && self.agent.path(name).exists());
        agent.chain(named.map(|name| self.fingerprint(name))).collect()
    }

    /// What the agent lists.
    fn listed(&self) -> Vec<Identity> {
        let mut poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let mut client = AgentClient::connect(&self.agent.socket(), Arc::clone(&waker));
        client.ask(Request::Identities).unwrap();
        let mut events = Events::with_capacity(4);
        loop {
            match client.answer() {
                Some(Ok(Answer::Identities(identities))) => return identities,
                Some(other) => panic!("{other:?}"),
                None => {}
            }
            poll.poll(&mut events, Some(Duration::from_secs(30))).unwrap();
            assert!(!events.is_empty(), "nobody woke the loop");
        }
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
        &["a", "b", "c", "d"],
        &["rsa", "a", "e"],
        &["a.pub", "pem", "b"],
        &["b-cert.pub", "b"],
        &["missing", "d", "d"],
    ];
    let mut compared = 0;
    // What the agent is given in turn: two in another order than the files'; one that few files name; one more.
    for added in [&[][..], &["c", "a"], &["e"], &["b"]] {
        for name in added {
            files.agent.run("ssh-add", &["-q", name]);
        }
        for identities in identities {
            for (certificates, only) in
                [(&[][..], false), (&[], true), (&["other-cert.pub", "a-cert.pub"], false)]
            {
                let case = Case { identities, certificates, only };
                let (mut ssh, ours) = (files.ssh(&case), files.ours(&case).0);
                // It says it will try what nobody can sign for, an agent's certificate for hosts, and some twice.
                let signs = files.who_signs(&case);
                let mut seen = HashSet::new();
                ssh.retain(|tried| signs.iter().any(|key| tried.ends_with(key)) && !tried.starts_with("+e "));
                ssh.retain(|tried| {
                    let (name, key) = tried.split_once(' ').unwrap();
                    seen.insert((name.starts_with('+'), key.to_owned()))
                });
                assert_eq!(ours, ssh, "{added:?} {identities:?} {certificates:?} {only}");
                compared += ours.len();
            }
        }
    }
    assert!(compared > 200, "{compared}");
}

#[test]
fn what_is_planned_signs() {
    let files = Files::new();
    files.agent.run("ssh-add", &["-q", "b"]);
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
