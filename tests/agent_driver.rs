//! The machine's own ssh-agent, asked beside the loop: what it lists, and what it signs.

#[path = "common/agent.rs"]
mod agent;

use agent::SshAgent;
use mio::{Events, Poll, Token, Waker};
use std::sync::Arc;
use std::time::Duration;
use strombus::crypto::sign::certificate::PlainOrCertified;
use strombus::crypto::sign::rsa::Scheme;
use strombus::crypto::sign::{PrivateKey, SignatureAlgorithm};
use strombus::crypto::{Hash, SystemRng};
use strombus::driver::agent::{AgentClient, AgentFailure, Request};
use strombus::keys::agent::Answer;

/// A client in a loop of its own.
struct Asking {
    poll: Poll,
    _waker: Arc<Waker>,
    client: AgentClient,
}

impl Asking {
    fn of(agent: &SshAgent) -> Self {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let client = AgentClient::connect(&agent.socket(), Arc::clone(&waker));
        Self { poll, _waker: waker, client }
    }

    fn answer(&mut self) -> Result<Answer, AgentFailure> {
        let mut events = Events::with_capacity(4);
        loop {
            if let Some(answer) = self.client.answer() {
                return answer;
            }
            while let Err(error) = self.poll.poll(&mut events, Some(Duration::from_secs(30))) {
                assert_eq!(error.kind(), std::io::ErrorKind::Interrupted); // a signal to the process
            }
            assert!(!events.is_empty(), "nobody woke the loop");
        }
    }

    fn ask(&mut self, request: Request) -> Result<Answer, AgentFailure> {
        self.client.ask(request)?;
        self.answer()
    }
}

fn session_bind(session_id: &[u8]) -> Request {
    let host_key = PrivateKey::generate_ed25519(&mut SystemRng);
    Request::SessionBind {
        host_key: host_key.public_key().blob(),
        session_id: session_id.to_vec(),
        signature: host_key.sign(SignatureAlgorithm::Ed25519, session_id).unwrap(),
        is_forwarding: false,
    }
}

#[test]
fn t62_an_agent_is_bound_first_and_signs_with_every_key_and_certificate_that_it_lists() {
    let agent = SshAgent::start();
    agent.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", "ca"]);
    let keys = [("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"), ("rsa", "2048")];
    for (key_type, bits) in keys {
        let name = format!("{key_type}{bits}");
        agent.run("ssh-keygen", &["-q", "-t", key_type, "-b", bits, "-N", "", "-C", &name, "-f", &name]);
        agent.run("ssh-keygen", &["-q", "-s", "ca", "-I", "id", "-n", "ann", &format!("{name}.pub")]);
        agent.run("ssh-add", &["-q", &name]);
    }
    let mut asking = Asking::of(&agent);
    let session_id = Hash::Sha256.digest(b"session");
    // Both are under way at once.
    asking.client.ask(session_bind(session_id.as_bytes())).unwrap();
    asking.client.ask(Request::Identities).unwrap();
    assert_eq!(asking.answer(), Ok(Answer::Bound));
    let Ok(Answer::Identities(identities)) = asking.answer() else { panic!() };
    let comments: Vec<_> =
        identities.iter().map(|identity| String::from_utf8_lossy(&identity.comment).into_owned()).collect();
    let expected: Vec<_> = keys.iter().flat_map(|(name, bits)| vec![format!("{name}{bits}"); 2]).collect();
    assert_eq!(comments, expected, "a key, then its certificate");
    let mut made = 0;
    for (n, identity) in identities.into_iter().enumerate() {
        let public = identity.key.unwrap();
        assert_eq!(matches!(public, PlainOrCertified::Certified(_)), n % 2 == 1);
        let data = b"any data".to_vec();
        let fits = |algorithm: &&SignatureAlgorithm| {
            algorithm.key_type() == public.key().key_type()
                && **algorithm != SignatureAlgorithm::Rsa(Scheme::Sha1)
        };
        for algorithm in SignatureAlgorithm::ALL.iter().filter(fits) {
            let request =
                Request::Sign { blob: identity.blob.clone(), data: data.clone(), algorithm: *algorithm };
            let Ok(Answer::Signature(signature)) = asking.ask(request) else { panic!("{algorithm:?}") };
            assert!(public.key().verify(*algorithm, &data, &signature).is_ok(), "{algorithm:?}");
            made += 1;
        }
    }
    assert_eq!(made, 2 * (keys.len() + 1), "RSA with both hashes");
    let unknown = PrivateKey::generate_ed25519(&mut SystemRng).public_key().blob();
    let request = Request::Sign { blob: unknown, data: vec![], algorithm: SignatureAlgorithm::Ed25519 };
    assert_eq!(asking.ask(request), Ok(Answer::Refused));
}

#[test]
fn t62_a_key_for_other_hosts_is_not_shown_once_the_session_is_bound() {
    let agent = SshAgent::start();
    agent.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", "key"]);
    agent.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", "host"]);
    let host = std::fs::read_to_string(agent.path("host.pub")).unwrap();
    std::fs::write(agent.path("known_hosts"), format!("there {host}")).unwrap();
    agent.run("ssh-add", &["-q", "-H", "known_hosts", "-h", "there", "key"]);
    let count = |asking: &mut Asking| match asking.ask(Request::Identities) {
        Ok(Answer::Identities(identities)) => identities.len(),
        other => panic!("{other:?}"),
    };
    let mut unbound = Asking::of(&agent);
    assert_eq!(count(&mut unbound), 1);
    let mut bound = Asking::of(&agent);
    assert_eq!(bound.ask(session_bind(b"session")), Ok(Answer::Bound));
    assert_eq!(count(&mut bound), 0);
}

#[test]
fn an_agent_that_ends_is_told() {
    let mut agent = SshAgent::start();
    let mut asking = Asking::of(&agent);
    assert_eq!(asking.ask(Request::Identities), Ok(Answer::Identities(vec![])));
    agent.end();
    assert_eq!(asking.ask(Request::Identities), Err(AgentFailure::Closed));
    assert_eq!(asking.client.ask(Request::Identities), Err(AgentFailure::Closed));
    let gone = Asking::of(&agent).ask(Request::Identities).unwrap_err();
    assert!(matches!(gone, AgentFailure::Connect(_)), "{gone}");
}
