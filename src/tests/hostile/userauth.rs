//! The login.

use super::{asking, keyed, payload, refused_by_client, refused_by_server, running};
use crate::crypto::Hash;
use crate::tests::pair::{Pair, Seen, Settings, host_key, user_key};
use crate::transport::UNEXPECTED_MESSAGE;
use crate::userauth::*;
use crate::wire::message::*;
use crate::wire::{Encode, MALFORMED, NameList, Writer};

#[test]
fn t41_before_the_login_the_server_acts_on_nothing_but_the_login() {
    for number in 0..=255 {
        let mut pair = keyed();
        pair.client.conn.send_payload(&[number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        pair.drive();
        let refused =
            matches!(number, 0 | 1 | 5..=7 | 20 | 21 | 30..=34 | 50..=53 | 60 | 61 | 80..=127 | 193);
        assert_eq!(pair.server.error.is_some(), refused, "{number}: {:?}", pair.server.error);
        let known_here = matches!(number, 1 | 50);
        assert!(!refused || known_here || pair.server.error == Some(UNEXPECTED_MESSAGE.into()), "{number}");
        assert!(pair.server.seen.is_empty(), "{number}: {:?}", pair.server.seen);
        assert!(!pair.server.conn.is_authenticated());
    }
}

#[test]
fn t42_an_answer_of_the_login_that_nobody_asked_for_is_refused() {
    let continue_with = NameList::from_bytes(b"password").unwrap();
    let answers = [
        payload(&UserauthSuccess {}),
        payload(&UserauthFailure {
            authentications_that_can_continue: continue_with,
            partial_success: false,
        }),
        payload(&UserauthPkOk { public_key_algorithm_name: b"ssh-ed25519", public_key_blob: b"" }),
        payload(&ServiceAccept { service_name: b"ssh-userauth" }),
    ];
    for answer in answers {
        // The client waits for its application: no request is out, and no packet is taken.
        let mut pair = keyed();
        let ticket = pair.client.ticket();
        pair.server.conn.send_payload(&answer);
        pair.drive();
        assert_eq!(pair.client.error, None);
        assert!(!pair.client.conn.is_authenticated());
        // It asks whether a key would do: success is no answer to that, nor is another key.
        pair.client.conn.request_publickey(ticket, user_key()).unwrap();
        pair.drive();
        if answer[0] == UserauthFailure::NUMBER {
            assert_eq!(pair.client.seen.last(), Some(&Seen::Continue("password".to_owned())));
        } else {
            assert_eq!(pair.client.error, Some(UNASKED_ANSWER.into()), "{}", answer[0]);
        }
        assert!(!pair.client.conn.is_authenticated());
    }
}

#[test]
fn t58_banners_have_a_bound() {
    let banner = payload(&UserauthBanner { message: b"hello", language_tag: b"" });
    refused_by_client(asking(), &vec![banner; BANNERS_MAX as usize + 1], TOO_MANY_BANNERS);
}

/// The client waits for questions.
fn interviewed() -> Pair {
    let mut settings = Settings::default();
    settings.userauth.methods = MethodChains::any_of(&[Method::KeyboardInteractive]);
    let mut pair = Pair::keyed(settings);
    let ticket = pair.client.ticket();
    pair.client.conn.request_keyboard_interactive(ticket, b"").unwrap();
    pair.drive();
    pair
}

fn info_request(num_prompts: u32, prompts: &[u8]) -> Vec<u8> {
    payload(&UserauthInfoRequest { name: b"", instruction: b"", language_tag: b"", num_prompts, prompts })
}

fn info_response(num_responses: u32, responses: &[u8]) -> Vec<u8> {
    payload(&UserauthInfoResponse { num_responses, responses })
}

/// A count and the fields behind it that no list of prompts or responses has: each with one field of `one` bytes.
fn wrong_counts(one: &[u8]) -> [(u32, Vec<u8>); 6] {
    let max = u32::try_from(PROMPTS_MAX).unwrap();
    [
        (u32::MAX, Vec::new()),
        (u32::MAX, one.to_vec()),
        (max + 1, one.repeat(PROMPTS_MAX + 1)),
        (2, one.to_vec()),
        (0, one.to_vec()),
        (1, [one, &[0]].concat()),
    ]
}

#[test]
fn t49_counts_of_prompts_and_responses_are_those_of_their_fields() {
    for (num_prompts, prompts) in wrong_counts(&[0, 0, 0, 1, b'?', 1]) {
        refused_by_client(interviewed(), &[info_request(num_prompts, &prompts)], MALFORMED);
    }
    for (num_responses, responses) in wrong_counts(&[0, 0, 0, 1, b'x']) {
        let mut pair = interviewed();
        let ticket = pair.server.ticket();
        pair.server.conn.request_information(ticket, b"", b"", &[]).unwrap();
        pair.client.conn.send_payload(&info_response(num_responses, &responses));
        pair.drive();
        assert_eq!(pair.server.error, Some(MALFORMED.into()));
    }
}

#[test]
fn t49_fewer_or_more_responses_than_prompts_are_a_wrong_credential() {
    for (prompts, responses, good) in
        [(2, 1, false), (1, 2, false), (1, 0, false), (0, 0, true), (1, 1, true)]
    {
        let mut pair = interviewed();
        let ticket = pair.server.ticket();
        let prompts = vec![Prompt { prompt: b"?", echo: true }; prompts];
        pair.server.conn.request_information(ticket, b"", b"", &prompts).unwrap();
        let seen = pair.server.seen.len();
        pair.client.conn.send_payload(&info_response(responses, &[0, 0, 0, 0].repeat(responses as usize)));
        pair.drive();
        assert_eq!((pair.server.seen.len() > seen, &pair.server.error), (good, &None));
        assert!(!pair.server.conn.is_authenticated());
    }
}

#[test]
fn t41_responses_that_nobody_asked_for_are_refused() {
    refused_by_server(keyed(), &[info_response(0, b"")], UNEXPECTED_MESSAGE);
    // Asked once, answered twice.
    let mut pair = interviewed();
    let ticket = pair.server.ticket();
    pair.server.conn.request_information(ticket, b"", b"", &[]).unwrap();
    pair.client.conn.send_payload(&info_response(0, b""));
    pair.drive();
    let ticket = pair.server.ticket();
    pair.server.conn.refuse_user(ticket).unwrap();
    refused_by_server(pair, &[info_response(0, b"")], UNEXPECTED_MESSAGE);
}

#[test]
fn t42_questions_come_only_when_the_client_lets_itself_be_asked() {
    refused_by_client(asking(), &[info_request(0, b"")], MALFORMED); // read as a demand for another password
    let mut pair = keyed();
    let ticket = pair.client.ticket();
    pair.client.conn.request_publickey(ticket, user_key()).unwrap();
    refused_by_client(pair, &[info_request(0, b"")], MALFORMED); // read as a yes to the key
}

#[test]
fn t48_questions_without_end_are_a_fault_of_the_server() {
    let mut pair = interviewed();
    for _ in 0..INFO_REQUESTS_MAX {
        pair.server.conn.send_payload(&info_request(0, b""));
        pair.drive();
        let ticket = pair.client.ticket();
        pair.client.conn.send_responses(ticket, &[]).unwrap();
        // The server's own machine has asked nothing: its part is played by hand.
        let pending = pair.client.conn.pending_output();
        pair.client.conn.consume_output(pending);
    }
    pair.server.conn.send_payload(&info_request(0, b""));
    pair.drive();
    assert_eq!(pair.client.error, Some(TOO_MANY_INFO_REQUESTS.into()));
}

#[test]
fn t48_partial_successes_without_end_are_a_fault_of_the_server() {
    let mut pair = interviewed();
    let partial = payload(&UserauthFailure {
        authentications_that_can_continue: NameList::from_bytes(b"keyboard-interactive").unwrap(),
        partial_success: true,
    });
    for _ in 0..PARTIAL_SUCCESSES_MAX {
        pair.server.conn.send_payload(&partial);
        pair.drive();
        let ticket = pair.client.ticket();
        pair.client.conn.request_keyboard_interactive(ticket, b"").unwrap();
        // As above.
        let pending = pair.client.conn.pending_output();
        pair.client.conn.consume_output(pending);
    }
    pair.server.conn.send_payload(&partial);
    pair.drive();
    assert_eq!(pair.client.error, Some(TOO_MANY_PARTIAL_SUCCESSES.into()));
}

#[test]
fn t48_a_password_of_256_kib_is_no_packet_before_the_login() {
    let mut fields = Vec::new();
    let mut w = Writer::new(&mut fields);
    w.boolean(false);
    w.string(&vec![b'x'; 256 * 1024]);
    let long = request(b"ann", b"ssh-connection", b"password", &fields);
    refused_by_server(keyed(), &[long], crate::transport::PACKET_LENGTH);
}

fn request(user_name: &[u8], service_name: &[u8], method_name: &[u8], method_fields: &[u8]) -> Vec<u8> {
    payload(&UserauthRequest { user_name, service_name, method_name, method_fields })
}

fn none(user_name: &[u8]) -> Vec<u8> {
    request(user_name, b"ssh-connection", b"none", b"")
}

#[test]
fn t43_user_and_service_stay() {
    refused_by_server(keyed(), &[none(b"bob")], USER_CHANGED);
    refused_by_server(keyed(), &[request(b"ann", b"ssh-foo", b"none", b"")], UNKNOWN_SERVICE);
    let service = payload(&ServiceRequest { service_name: b"ssh-userauth" });
    refused_by_server(keyed(), &[service], UNEXPECTED_MESSAGE);
}

#[test]
fn an_unknown_service_is_refused() {
    let mut pair = Pair::new(Settings::default());
    pair.drive();
    let ticket = pair.client.ticket();
    pair.client.conn.drop_held();
    pair.client.conn.accept_host_key(ticket).unwrap();
    let service = payload(&ServiceRequest { service_name: b"ssh-connection" });
    refused_by_server(pair, &[service], UNKNOWN_SERVICE);
}

/// A question whether a key would do, with the key or with what is given as one.
fn query(blob: &[u8]) -> Vec<u8> {
    query_by("ssh-ed25519", blob)
}

fn query_by(algorithm: &str, blob: &[u8]) -> Vec<u8> {
    let mut fields = Vec::new();
    let mut w = Writer::new(&mut fields);
    w.boolean(false);
    w.string(algorithm.as_bytes());
    w.string(blob);
    request(b"ann", b"ssh-connection", b"publickey", &fields)
}

fn rsa_blob(bits: usize) -> Vec<u8> {
    let mut blob = Vec::new();
    let mut w = Writer::new(&mut blob);
    w.string(b"ssh-rsa");
    w.mpint(&[1, 0, 1]);
    w.mpint(&vec![0xff; bits / 8]);
    blob
}

#[test]
fn t54_t26_keys_of_other_sizes_types_and_names_are_failures() {
    for (algorithm, blob, good) in [
        ("rsa-sha2-512", rsa_blob(2048), true),
        ("rsa-sha2-256", rsa_blob(8192), true),
        ("ssh-rsa", rsa_blob(2048), false),
        ("rsa-sha2-512", rsa_blob(1024), false),
        ("rsa-sha2-512", rsa_blob(65536), false),
        ("ssh-ed25519", rsa_blob(2048), false),
        ("rsa-sha2-512", user_key().public_key().blob(), false),
        ("rsa-sha2-512-cert-v01@openssh.com", rsa_blob(2048), false),
    ] {
        let mut pair = keyed();
        pair.client.conn.send_payload(&query_by(algorithm, &blob));
        pair.drive();
        let asked: &[Seen] = &[Seen::Query(b"ann".to_vec())];
        assert_eq!(pair.server.seen, if good { asked } else { &[] }, "{algorithm}");
        assert_eq!(pair.server.error, None);
    }
}

/// The signature of a token that nobody touched holds, and lets nobody in whose permissions ask for more.
#[test]
fn t56_a_token_must_have_been_touched_and_know_its_user_as_permitted() {
    let untouched = Permissions { touch_required: false, ..Permissions::FULL };
    let verified = Permissions { verify_required: true, ..Permissions::FULL };
    for (permissions, flags, good) in [
        (&Permissions::FULL, 0, false),
        (&Permissions::FULL, 1, true),
        (&Permissions::FULL, 4, false),
        (&Permissions::FULL, 5, true),
        (&Permissions::FULL, 0xfe, false),
        (&untouched, 0, true),
        (&untouched, 4, true),
        (&verified, 1, false),
        (&verified, 4, false),
        (&verified, 5, true),
    ] {
        let mut pair = keyed();
        let request = signed_by_token(&pair, flags);
        pair.client.conn.send_payload(&request);
        pair.drive();
        assert_eq!(pair.server.seen, [Seen::Publickey(b"ann".to_vec())], "{flags:#x}");
        let ticket = pair.server.ticket();
        let expected = if good { Accepted::Complete } else { Accepted::Insufficient(Insufficient::Token) };
        assert_eq!(pair.server.conn.accept_user(ticket, permissions), Ok(expected), "{flags:#x}");
        assert_eq!(pair.server.conn.is_authenticated(), good, "{flags:#x}");
    }
}

/// A request with the signature of a token.
fn signed_by_token(pair: &Pair, flags: u8) -> Vec<u8> {
    let (name, key) = ("sk-ssh-ed25519@openssh.com", user_key());
    let mut blob = Vec::new();
    let mut w = Writer::new(&mut blob);
    w.string(name.as_bytes());
    w.bytes(&key.public_key().blob()[4 + "ssh-ed25519".len()..]);
    w.string(b"ssh:");
    let mut fields = Vec::new();
    let mut w = Writer::new(&mut fields);
    w.boolean(true);
    w.string(name.as_bytes());
    w.string(&blob);
    let mut data = Vec::new();
    let mut w = Writer::new(&mut data);
    w.string(pair.client.conn.session_id());
    w.bytes(&request(b"ann", b"ssh-connection", b"publickey", &fields));
    let state = [flags, 0, 0, 0, 9];
    let signed =
        [Hash::Sha256.digest(b"ssh:").as_bytes(), &state, Hash::Sha256.digest(&data).as_bytes()].concat();
    let plain = key.sign(key.algorithms()[0], &signed).unwrap();
    let mut w = Writer::new(&mut fields);
    w.nested(|w| {
        w.string(name.as_bytes());
        w.bytes(&plain[4 + "ssh-ed25519".len()..]);
        w.bytes(&state);
    });
    request(b"ann", b"ssh-connection", b"publickey", &fields)
}

#[test]
fn t48_tries_queries_and_requests_have_their_bounds() {
    let wrong = query(b"no key");
    refused_by_server(keyed(), &vec![wrong; 7], TOO_MANY_FAILURES);
    // One of them was the client's own at the beginning.
    refused_by_server(keyed(), &vec![none(b"ann"); REQUESTS_MAX as usize], TOO_MANY_REQUESTS);
    let mut pair = keyed();
    let good = query(&user_key().public_key().blob());
    for _ in 0..QUERIES_MAX {
        pair.client.conn.send_payload(&good);
        pair.drive();
        let ticket = pair.server.ticket();
        pair.server.conn.refuse_user(ticket).unwrap();
    }
    assert_eq!(pair.server.error, None);
    refused_by_server(pair, &[good], TOO_MANY_REQUESTS);
}

#[test]
fn t55_a_key_that_cannot_be_read_is_one_failed_try() {
    let mut pair = keyed();
    pair.client.conn.send_payload(&query(b"no key"));
    pair.client.conn.send_payload(&query(&user_key().public_key().blob()));
    pair.drive();
    assert_eq!(pair.server.error, None);
    assert_eq!(pair.server.seen, [Seen::Query(b"ann".to_vec())]);
}

#[test]
fn t53_t44_a_signature_is_good_for_this_session_user_and_key_only() {
    let (key, blob) = (user_key(), user_key().public_key().blob());
    let fields = |signed: bool, over: &[u8]| {
        let mut fields = Vec::new();
        let mut w = Writer::new(&mut fields);
        w.boolean(true);
        w.string(b"ssh-ed25519");
        w.string(&blob);
        if signed {
            w.string(&key.sign(key.algorithms()[0], over).unwrap());
        }
        fields
    };
    let signed_part = fields(false, b"");
    let over = |session_id: &[u8], user: &[u8], service: &[u8]| {
        let mut data = Vec::new();
        let mut w = Writer::new(&mut data);
        w.string(session_id);
        w.bytes(&request(user, service, b"publickey", &signed_part));
        data
    };
    for (what, good) in [("right", true), ("session", false), ("user", false), ("service", false)] {
        let mut pair = keyed();
        let session_id = pair.client.conn.session_id().to_vec();
        let data = match what {
            "session" => over(&[1; 32], b"ann", b"ssh-connection"),
            "user" => over(&session_id, b"bob", b"ssh-connection"),
            "service" => over(&session_id, b"ann", b"ssh-foo"),
            _ => over(&session_id, b"ann", b"ssh-connection"),
        };
        pair.client.conn.send_payload(&request(
            b"ann",
            b"ssh-connection",
            b"publickey",
            &fields(true, &data),
        ));
        pair.drive();
        let asked: &[Seen] = &[Seen::Publickey(b"ann".to_vec())];
        assert_eq!(pair.server.seen, if good { asked } else { &[] }, "{what}");
        assert_eq!(pair.server.error, None);
    }
    let none = request(b"ann", b"ssh-connection", b"none", &[0]);
    refused_by_server(keyed(), &[none], MALFORMED);
    let session_id = keyed().client.conn.session_id().to_vec();
    let mut trailing = fields(true, &over(&session_id, b"ann", b"ssh-connection"));
    trailing.push(0);
    refused_by_server(keyed(), &[request(b"ann", b"ssh-connection", b"publickey", &trailing)], MALFORMED);
}

#[test]
fn t53_t62_a_hostbound_signature_names_the_host_key_that_was_shown() {
    let (key, blob) = (user_key(), user_key().public_key().blob());
    let shown = host_key().public_key().blob();
    for (what, k_s, method, good) in [
        ("right", &shown, &b"publickey-hostbound-v00@openssh.com"[..], true),
        ("another host", &blob, b"publickey-hostbound-v00@openssh.com", false),
        ("signed as the other method", &shown, b"publickey", false),
    ] {
        let mut pair = keyed();
        let mut fields = Vec::new();
        let mut w = Writer::new(&mut fields);
        w.boolean(true);
        w.string(b"ssh-ed25519");
        w.string(&blob);
        w.string(k_s);
        let mut data = Vec::new();
        let mut w = Writer::new(&mut data);
        w.string(pair.client.conn.session_id());
        w.bytes(&request(b"ann", b"ssh-connection", method, &fields));
        Writer::new(&mut fields).string(&key.sign(key.algorithms()[0], &data).unwrap());
        let hostbound = b"publickey-hostbound-v00@openssh.com";
        pair.client.conn.send_payload(&request(b"ann", b"ssh-connection", hostbound, &fields));
        pair.drive();
        let asked: &[Seen] = &[Seen::Publickey(b"ann".to_vec())];
        assert_eq!(pair.server.seen, if good { asked } else { &[] }, "{what}");
        assert_eq!(pair.server.error, None, "{what}");
    }
}

#[test]
fn t51_nobody_is_let_in_without_a_credential() {
    for (method, fields) in
        [(&b"none"[..], &b""[..]), (b"password", &[0, 0, 0, 0, 0]), (b"hostbased", b""), (b"", b"")]
    {
        let mut pair = keyed();
        pair.client.conn.send_payload(&request(b"ann", b"ssh-connection", method, fields));
        pair.drive();
        assert!(pair.server.seen.is_empty() && pair.server.error.is_none());
        assert!(!pair.server.conn.is_authenticated());
    }
}

#[test]
fn t50_after_the_login_another_request_is_passed_over() {
    let mut pair = running();
    let seen = pair.server.seen.len();
    pair.client.conn.send_payload(&none(b"root"));
    pair.drive();
    assert_eq!((pair.server.seen.len(), &pair.server.error, &pair.client.error), (seen, &None, &None));
}
