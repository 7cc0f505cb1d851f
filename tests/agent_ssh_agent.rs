//! The machine's own ssh-agent, asked by this library: keys and certificates are listed, and what it signs holds.

#[path = "common/agent.rs"]
mod agent;

use agent::SshAgent;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;
use strombus::crypto::sign::certificate::PlainOrCertified;
use strombus::crypto::sign::rsa::Scheme;
use strombus::crypto::sign::{PrivateKey, SignatureAlgorithm};
use strombus::crypto::{Hash, SystemRng};
use strombus::keys::agent::{Agent, Answer, Identity};
use strombus::wire::Writer;

fn exchange(agent: &mut Agent, stream: &mut UnixStream) -> Answer {
    stream.write_all(agent.output()).unwrap();
    agent.consume_output(agent.output().len());
    let mut bytes = [0; 61];
    loop {
        let n = stream.read(&mut bytes).unwrap();
        assert!(n > 0, "the agent has hung up");
        if let Some(answer) = agent.handle_input(&bytes[..n]).unwrap() {
            return answer;
        }
    }
}

fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

#[test]
fn t62_ssh_agent_is_bound_lists_and_signs() {
    let server = SshAgent::start();
    server.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", "ca"]);
    let types = [("ed25519", "256"), ("ecdsa", "384"), ("rsa", "2048")];
    for (key_type, bits) in types {
        server
            .run("ssh-keygen", &["-q", "-t", key_type, "-b", bits, "-N", "", "-C", key_type, "-f", key_type]);
        server.run("ssh-keygen", &["-q", "-s", "ca", "-I", "id", "-n", "ann", &format!("{key_type}.pub")]);
        server.run("ssh-add", &["-q", key_type]);
    }
    let mut stream = connect(&server.socket());
    let mut agent = Agent::new();
    // A host key, a session and the host's signature of it, as the agent wants to see them.
    let host_key = PrivateKey::generate_ed25519(&mut SystemRng);
    let session_id = Hash::Sha256.digest(b"session");
    let signature = host_key.sign(SignatureAlgorithm::Ed25519, session_id.as_bytes()).unwrap();
    let blob = host_key.public_key().blob();
    agent.request_session_bind(&blob, session_id.as_bytes(), &signature, false).unwrap();
    assert_eq!(exchange(&mut agent, &mut stream), Answer::Bound);
    agent.request_session_bind(&blob, b"another session", &signature, false).unwrap();
    assert_eq!(exchange(&mut agent, &mut stream), Answer::Refused);

    agent.request_identities().unwrap();
    let Answer::Identities(identities) = exchange(&mut agent, &mut stream) else { panic!() };
    assert_eq!(identities.len(), 2 * types.len());
    let certified = |identity: &Identity| matches!(identity.key, Ok(PlainOrCertified::Certified(_)));
    assert_eq!(identities.iter().filter(|identity| certified(identity)).count(), types.len());
    for Identity { blob, key, .. } in identities {
        let key = key.unwrap().key().clone();
        let algorithms: Vec<_> = SignatureAlgorithm::ALL
            .iter()
            .copied()
            .filter(|algorithm| algorithm.key_type() == key.key_type())
            .filter(|algorithm| *algorithm != SignatureAlgorithm::Rsa(Scheme::Sha1))
            .collect();
        assert_eq!(algorithms.len(), if key.key_type() == "ssh-rsa" { 2 } else { 1 });
        for algorithm in algorithms {
            let data = to_be_signed(session_id.as_bytes(), algorithm, &blob);
            agent.request_signature(&blob, &data, algorithm).unwrap();
            let Answer::Signature(signature) = exchange(&mut agent, &mut stream) else {
                panic!("{algorithm:?}")
            };
            assert!(key.verify(algorithm, &data, &signature).is_ok(), "{algorithm:?}");
        }
    }
    agent.request_signature(&blob, b"data", SignatureAlgorithm::Ed25519).unwrap();
    assert_eq!(exchange(&mut agent, &mut stream), Answer::Refused, "a key that it has not");
}

/// What a login signs (RFC 4252 §7).
fn to_be_signed(session_id: &[u8], algorithm: SignatureAlgorithm, blob: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    let mut w = Writer::new(&mut data);
    w.string(session_id);
    w.byte(50);
    [&b"ann"[..], b"ssh-connection", b"publickey"].iter().for_each(|value| w.string(value));
    w.boolean(true);
    w.string(algorithm.name().as_bytes());
    w.string(blob);
    data
}
