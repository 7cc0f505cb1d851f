//! What an agent may send: the first byte says what it was asked, the second how the rest is cut.
#![no_main]
use libfuzzer_sys::fuzz_target;
use strombus::crypto::sign::SignatureAlgorithm;
use strombus::keys::agent::{Agent, Answer, IDENTITIES_MAX};

fn ask(agent: &mut Agent, what: u8) {
    match what % 3 {
        0 => agent.request_identities(),
        1 => agent.request_signature(b"blob", b"data", SignatureAlgorithm::ALL[usize::from(what / 3) % 8]),
        _ => agent.request_session_bind(b"key", b"id", b"signature", what > 127),
    }
    .expect("nothing is under way");
}

fn answer(what: u8, answers: &[u8], cut: usize) -> Vec<Result<Answer, strombus::keys::agent::AgentError>> {
    let mut agent = Agent::new();
    ask(&mut agent, what);
    let mut all = Vec::new();
    for bytes in answers.chunks(cut) {
        match agent.handle_input(bytes) {
            Ok(None) => assert!(agent.is_busy()),
            Ok(Some(answer)) => {
                assert!(!agent.is_busy());
                if let Answer::Identities(identities) = &answer {
                    assert!(identities.len() <= IDENTITIES_MAX as usize);
                }
                all.push(Ok(answer));
                ask(&mut agent, what);
            }
            Err(error) => {
                assert!(!agent.is_busy() && agent.request_identities().is_err());
                all.push(Err(error));
                break;
            }
        }
    }
    all
}

fuzz_target!(|bytes: &[u8]| {
    let [what, cut, answers @ ..] = bytes else { return };
    let byte_by_byte = answer(*what, answers, 1);
    let cut = answer(*what, answers, usize::from(*cut).max(1));
    // A cut may join what should not be one; until then the answers are the same.
    for (a, b) in byte_by_byte.iter().zip(&cut) {
        assert!(a == b || b.is_err());
    }
});
