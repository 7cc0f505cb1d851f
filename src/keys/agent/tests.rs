use super::*;
use crate::crypto::sign::certificate::tests::{Fields, key, strings};

fn frame(message: &[u8]) -> Vec<u8> {
    strings(&[message])
}

fn uint32(value: u32) -> [u8; 4] {
    value.to_be_bytes()
}

/// An agent that was asked for its keys, for a signature and for a session.
fn listing() -> Agent {
    let mut agent = Agent::new();
    agent.request_identities().unwrap();
    agent.consume_output(usize::MAX);
    agent
}

fn signing(algorithm: SignatureAlgorithm) -> Agent {
    let mut agent = Agent::new();
    agent.request_signature(b"blob", b"data", algorithm).unwrap();
    agent
}

fn binding() -> Agent {
    let mut agent = Agent::new();
    agent.request_session_bind(b"key", b"id", b"signature", false).unwrap();
    agent
}

fn answered(mut agent: Agent, message: &[u8]) -> Result<Option<Answer>, AgentError> {
    agent.handle_input(&frame(message))
}

#[test]
fn t62_requests_are_those_of_the_protocol_and_session_bind_says_which_session() {
    let mut agent = Agent::new();
    agent.request_session_bind(b"host key", b"session", b"sig", true).unwrap();
    let contents = strings(&[b"session-bind@openssh.com", b"host key", b"session", b"sig"]);
    assert_eq!(agent.output(), frame(&[&[27], &*contents, &[1]].concat()));
    assert_eq!(binding().output().last(), Some(&0));
    // Written in pieces.
    agent.consume_output(3);
    agent.consume_output(agent.output().len());
    assert_eq!(agent.output(), b"");
    assert_eq!(agent.handle_input(&frame(&[6])), Ok(Some(Answer::Bound)));
    agent.request_identities().unwrap();
    assert_eq!(agent.output(), [0, 0, 0, 1, 11]);
    for (algorithm, flags) in [
        (SignatureAlgorithm::Ed25519, 0),
        (SignatureAlgorithm::SkEd25519, 0),
        (SignatureAlgorithm::Rsa(Scheme::Sha256), 2),
        (SignatureAlgorithm::Rsa(Scheme::Sha512), 4),
    ] {
        let expected = frame(&[&[13], &*strings(&[b"blob", b"data"]), &uint32(flags)].concat());
        assert_eq!(signing(algorithm).output(), expected, "{algorithm:?}");
    }
}

#[test]
fn one_request_is_under_way_and_a_request_has_its_bound() {
    let mut agent = listing();
    assert!(agent.is_busy());
    assert_eq!(agent.request_identities(), Err(CannotAsk::Busy));
    assert_eq!(agent.request_session_bind(b"", b"", b"", false), Err(CannotAsk::Busy));
    assert_eq!(agent.output(), b"");
    assert_eq!(agent.handle_input(&frame(&[5])), Ok(Some(Answer::Refused)));
    assert!(!agent.is_busy());
    let sha1 = SignatureAlgorithm::Rsa(Scheme::Sha1);
    assert_eq!(agent.request_signature(b"", b"", sha1), Err(CannotAsk::WrongAlgorithm));
    let data = vec![0; MESSAGE_MAX - 1 - 4 - 4 - 4];
    let longer = vec![0; data.len() + 1];
    let algorithm = SignatureAlgorithm::Ed25519;
    assert_eq!(agent.request_signature(b"", &longer, algorithm), Err(CannotAsk::TooLong));
    assert_eq!((agent.output(), agent.is_busy()), (&b""[..], false));
    assert_eq!(agent.request_signature(b"", &data, algorithm), Ok(()));
    assert_eq!(agent.output().len(), MESSAGE_MAX + 4);
}

#[test]
fn identities_are_kept_with_certificates_and_what_is_of_no_use() {
    let (plain, certificate) = (key(3).public_key(), Fields::new(1).signed());
    let listed =
        strings(&[&plain.blob(), b"a", &certificate, b"", &strings(&[b"ssh-dss"]), b"\xff", b"", b"x"]);
    let message = [&[12], &uint32(4)[..], &listed].concat();
    let Ok(Some(Answer::Identities(identities))) = answered(listing(), &message) else { panic!() };
    let [a, b, c, d] = &*identities else { panic!() };
    assert_eq!((a.key.clone(), &*a.comment), (Ok(PlainOrCertified::Plain(plain)), &b"a"[..]));
    assert!(
        matches!(&b.key, Ok(PlainOrCertified::Certified(c)) if c.blob() == certificate && b.blob == certificate)
    );
    assert!(c.key.is_err() && d.key.is_err());
    assert_eq!(c.comment, b"\xff");
    let none = [&[12], &uint32(0)[..]].concat();
    assert_eq!(answered(listing(), &none), Ok(Some(Answer::Identities(vec![]))));
}

#[test]
fn t92_an_answer_may_be_cut_anywhere() {
    let signature = strings(&[b"ssh-ed25519", b"signature"]);
    let answer = frame(&[&[14], &*strings(&[&signature])].concat());
    for first in 0..=answer.len() {
        for second in first..=answer.len() {
            let mut agent = signing(SignatureAlgorithm::Ed25519);
            let parts = [&answer[..first], &answer[first..second], &answer[second..]];
            let answers: Vec<_> = parts
                .iter()
                .filter_map(|part| {
                    // What is asked for is there by then, or nothing comes.
                    if part.is_empty() { None } else { agent.handle_input(part).unwrap() }
                })
                .collect();
            assert_eq!(answers, [Answer::Signature(signature.clone())], "{first} {second}");
        }
    }
}

#[test]
fn t92_lengths_are_judged_before_anything_is_kept() {
    for length in [0, MESSAGE_MAX as u32 + 1, 0x7fff_ffff, u32::MAX] {
        let mut agent = listing();
        assert_eq!(agent.handle_input(&uint32(length)), Err(AgentError::Length), "{length}");
        assert_eq!((agent.input.capacity(), agent.is_busy()), (0, false));
        assert_eq!(agent.handle_input(b""), Err(AgentError::Failed));
        assert_eq!(agent.request_identities(), Err(CannotAsk::Failed));
    }
    // The longest is taken, and nothing is reserved for it.
    let mut agent = listing();
    assert_eq!(agent.handle_input(&uint32(MESSAGE_MAX as u32)), Ok(None));
    assert!(agent.input.capacity() < 64);
    let refusal = [&[5][..], &vec![0; MESSAGE_MAX - 1]].concat();
    assert_eq!(agent.handle_input(&refusal), Ok(Some(Answer::Refused)));
}

#[test]
fn t92_counts_are_held_against_the_bytes() {
    let with =
        |count: u32, contents: &[u8]| answered(listing(), &[&[12], &uint32(count)[..], contents].concat());
    let truncated = Err(AgentError::Malformed(DecodeError::Truncated));
    for count in [IDENTITIES_MAX + 1, 0x7fff_ffff, u32::MAX] {
        assert_eq!(with(count, b""), Err(AgentError::TooManyIdentities));
    }
    assert_eq!(with(IDENTITIES_MAX, b""), truncated);
    assert_eq!(with(2, &strings(&[b"", b"", b""])), truncated);
    assert_eq!(with(1, b"\xff\xff\xff\xff"), truncated);
    assert_eq!(with(0, &strings(&[b"", b""])), Err(AgentError::Malformed(DecodeError::TrailingBytes)));
    let many = strings(&[b"", b""]).repeat(IDENTITIES_MAX as usize);
    assert!(matches!(with(IDENTITIES_MAX, &many), Ok(Some(Answer::Identities(list))) if list.len() == 2048));
    assert_eq!(answered(listing(), &[12]), truncated);
}

#[test]
fn t92_what_is_no_answer_ends_the_connection() {
    let ed25519 = SignatureAlgorithm::Ed25519;
    for number in (0..=255).filter(|number| *number != 5) {
        if number != 12 {
            assert_eq!(answered(listing(), &[number]), Err(AgentError::Unexpected(number)));
        }
        if number != 14 {
            assert_eq!(answered(signing(ed25519), &[number]), Err(AgentError::Unexpected(number)));
        }
        if ![6, 28].contains(&number) {
            assert_eq!(answered(binding(), &[number]), Err(AgentError::Unexpected(number)));
        }
    }
    for bytes in [&[0][..], &frame(&[6])] {
        assert_eq!(Agent::new().handle_input(bytes), Err(AgentError::Unasked));
    }
    assert_eq!(Agent::new().handle_input(b""), Ok(None));
    // A second answer behind the first.
    let two = [frame(&[5]), vec![0]].concat();
    assert_eq!(listing().handle_input(&two), Err(AgentError::Unasked));
    for message in [&[6, 0][..], &[14, 0, 0, 0, 0, 0]] {
        let agent = if message[0] == 6 { binding() } else { signing(ed25519) };
        assert_eq!(answered(agent, message), Err(AgentError::Malformed(DecodeError::TrailingBytes)));
    }
    let cut = answered(signing(ed25519), &[14, 0, 0, 0, 9]);
    assert_eq!(cut, Err(AgentError::Malformed(DecodeError::Truncated)));
}

#[test]
fn a_refusal_is_an_answer_and_a_signature_by_another_algorithm_is_none() {
    for agent in [listing(), binding(), signing(SignatureAlgorithm::Ed25519)] {
        assert_eq!(answered(agent, &[5]), Ok(Some(Answer::Refused)));
    }
    assert_eq!(answered(binding(), &[28]), Ok(Some(Answer::Refused)));
    let response = |name: &[u8]| [&[14], &*strings(&[&strings(&[name, b"s"])])].concat();
    let rsa = SignatureAlgorithm::Rsa(Scheme::Sha512);
    for name in [&b"ssh-rsa"[..], b"rsa-sha2-256", b"rsa-sha2-512-cert-v01@openssh.com", b""] {
        assert_eq!(answered(signing(rsa), &response(name)), Ok(Some(Answer::OtherAlgorithm)));
    }
    assert!(matches!(answered(signing(rsa), &response(b"rsa-sha2-512")), Ok(Some(Answer::Signature(_)))));
    assert_eq!(answered(signing(rsa), &[14, 0, 0, 0, 0]), Ok(Some(Answer::OtherAlgorithm)));
    // It may be asked again.
    let mut agent = signing(rsa);
    agent.handle_input(&frame(&response(b"ssh-rsa"))).unwrap();
    assert_eq!(agent.request_identities(), Ok(()));
}
