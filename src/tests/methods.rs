//! Logins of several steps and several rounds: chains of methods, keyboard-interactive, passwords that are changed, signatures
//! that come from elsewhere.

use super::pair::{Pair, SeededRng, Seen, Settings, user_key};
use crate::crypto::sign::PrivateKey;
use crate::crypto::sign::certificate::PlainOrCertified;
use crate::transport::STALE_VERDICT;
use crate::userauth::*;
use std::sync::Arc;
use std::time::Duration;

fn asking_for(methods: &str) -> Pair {
    let mut settings = Settings::default();
    settings.userauth.methods = MethodChains::parse(methods).unwrap();
    Pair::keyed(settings)
}

fn other_key() -> Arc<PrivateKey> {
    Arc::new(PrivateKey::generate_ed25519(&mut SeededRng::new(70)))
}

impl Pair {
    /// What the server is asked about is answered by yes.
    fn accept(&mut self, permissions: &Permissions) -> Accepted {
        self.drive();
        let ticket = self.server.ticket();
        let accepted = self.server.conn.accept_user(ticket, permissions).unwrap();
        self.drive();
        accepted
    }

    fn refuse(&mut self) {
        self.drive();
        let ticket = self.server.ticket();
        self.server.conn.refuse_user(ticket).unwrap();
        self.drive();
    }

    fn by_password(&mut self) {
        let ticket = self.client.ticket();
        self.client.conn.request_password(ticket, b"secret").unwrap();
    }

    /// Through the query to the credential.
    fn by_key(&mut self, key: Arc<PrivateKey>) {
        let ticket = self.client.ticket();
        self.client.conn.request_publickey(ticket, key).unwrap();
        assert_eq!(self.accept(&Permissions::FULL), Accepted::Query);
    }

    fn by_questions(&mut self) {
        let ticket = self.client.ticket();
        self.client.conn.request_keyboard_interactive(ticket, b"").unwrap();
        self.drive();
    }

    fn told_last(&self) -> &Seen {
        self.client.seen.last().unwrap()
    }
}

fn continues(methods: &str) -> Seen {
    Seen::Continue(methods.to_owned())
}

#[test]
fn a_chain_is_gone_through_step_by_step_and_only_in_its_order() {
    let mut pair = asking_for("publickey,password publickey,keyboard-interactive");
    assert_eq!(*pair.told_last(), continues("publickey"));
    // Another method first is a wrong credential, and nobody is asked about it.
    pair.by_password();
    pair.drive();
    assert_eq!((pair.server.seen.len(), pair.told_last()), (0, &continues("publickey")));
    pair.by_key(user_key());
    assert_eq!(pair.accept(&Permissions::FULL), Accepted::Partial);
    assert_eq!(*pair.told_last(), continues("password,keyboard-interactive"));
    assert!(!pair.server.conn.is_authenticated() && pair.server.conn.permissions().is_none());
    // A step that fails leaves the steps before it.
    pair.by_password();
    pair.refuse();
    assert_eq!(*pair.told_last(), continues("password,keyboard-interactive"));
    pair.by_password();
    assert_eq!(pair.accept(&Permissions::FULL), Accepted::Complete);
    assert!(pair.server.conn.is_authenticated() && pair.client.conn.is_authenticated());
}

#[test]
fn t45_what_any_step_takes_away_is_away_in_the_end() {
    let forced =
        |command: &str| Permissions { force_command: Some(command.as_bytes().to_vec()), ..Permissions::FULL };
    let mut pair = asking_for("publickey,password");
    pair.by_key(user_key());
    assert_eq!(pair.accept(&Permissions { pty: false, ..forced("date") }), Accepted::Partial);
    pair.by_password();
    assert_eq!(pair.accept(&Permissions::FULL), Accepted::Complete);
    let permissions = pair.server.conn.permissions().unwrap();
    assert_eq!((permissions.force_command.as_deref(), permissions.pty), (Some(&b"date"[..]), false));
    assert!(permissions.agent_forwarding);

    // Two commands are none.
    let mut pair = asking_for("publickey,publickey");
    pair.by_key(user_key());
    assert_eq!(pair.accept(&forced("date")), Accepted::Partial);
    pair.by_key(other_key());
    let accepted = pair.accept(&forced("uptime"));
    assert_eq!(accepted, Accepted::Insufficient(Insufficient::CommandsDiffer));
    assert!(!pair.server.conn.is_authenticated());
    // A yes to a query permits nothing.
    assert!(Pair::authenticated(Settings::default()).server.conn.permissions().unwrap().is_unrestricted());
}

#[test]
fn two_keys_are_two() {
    let mut pair = asking_for("publickey,publickey");
    pair.by_key(user_key());
    assert_eq!(pair.accept(&Permissions::FULL), Accepted::Partial);
    pair.by_key(user_key());
    assert_eq!(pair.accept(&Permissions::FULL), Accepted::Insufficient(Insufficient::KeyUsed));
    pair.by_key(other_key());
    assert_eq!(pair.accept(&Permissions::FULL), Accepted::Complete);
}

#[test]
fn t46_a_users_own_chain_shows_nothing_before_his_first_step() {
    let mut settings = Settings::default();
    settings.userauth.methods = MethodChains::any_of(&[Method::Publickey, Method::Password]);
    let mut pair = Pair::keyed(settings);
    pair.by_password();
    pair.drive();
    pair.server.conn.set_methods(MethodChains::all_of(&[Method::Publickey, Method::Password]));
    assert_eq!(pair.accept(&Permissions::FULL), Accepted::Insufficient(Insufficient::NotNext));
    assert_eq!(*pair.told_last(), continues("publickey,password"), "as everybody is told");
    pair.by_key(user_key());
    assert_eq!(pair.accept(&Permissions::FULL), Accepted::Partial);
    assert_eq!(*pair.told_last(), continues("password"));
    // Too late for another chain.
    pair.server.conn.set_methods(MethodChains::any_of(&[Method::Password]));
    pair.by_password();
    assert_eq!(pair.accept(&Permissions::FULL), Accepted::Complete);
}

#[test]
fn t46_a_user_with_a_chain_of_his_own_is_asked_and_answered_like_everybody() {
    for own in [None, Some(MethodChains::all_of(&[Method::Publickey, Method::Password]))] {
        let mut pair = asking_for("publickey password keyboard-interactive");
        let mut asked = 0;
        for _ in 0..2 {
            pair.by_questions();
            if let Some(own) = own.clone() {
                pair.server.conn.set_methods(own);
            }
            let ticket = pair.server.ticket();
            let prompt = Prompt { prompt: b"Password: ", echo: false };
            pair.server.conn.request_information(ticket, b"", b"", &[prompt]).unwrap();
            pair.drive();
            asked += usize::from(matches!(pair.told_last(), Seen::Asked(_)));
            let ticket = pair.client.ticket();
            pair.client.conn.send_responses(ticket, &[b"right"]).unwrap();
            pair.drive();
            let ticket = pair.server.ticket();
            // For the user with the chain a right answer is as good as a wrong one.
            match own {
                Some(_) => {
                    let accepted = pair.server.conn.accept_user(ticket, &Permissions::FULL);
                    assert_eq!(accepted, Ok(Accepted::Insufficient(Insufficient::NotNext)));
                }
                None => pair.server.conn.refuse_user(ticket).unwrap(),
            }
            pair.drive();
            assert_eq!(*pair.told_last(), continues("publickey,password,keyboard-interactive"));
        }
        assert_eq!(asked, 2);
    }
}

#[test]
fn t51_who_needs_nothing_is_let_in_only_where_that_is_said() {
    let mut settings = Settings::default();
    settings.userauth.methods = MethodChains::parse("none").unwrap();
    let mut pair = Pair::keyed(settings);
    assert_eq!(pair.server.seen, [Seen::NoCredential]);
    assert!(!pair.client.conn.is_authenticated());
    assert_eq!(pair.accept(&Permissions::BARE), Accepted::Complete);
    assert!(pair.client.conn.is_authenticated());
    assert_eq!(pair.server.conn.permissions(), Some(&Permissions::BARE));
}

/// Who wants to be sure that a credential was asked for has seen whether it was, before anything else goes out.
#[test]
fn t121_a_client_that_was_let_in_without_a_credential_has_been_asked_for_none_and_said_nothing_yet() {
    let mut settings = Settings::default();
    settings.userauth.methods = MethodChains::parse("none").unwrap();
    let mut pair = Pair::keyed(settings);
    assert_eq!(pair.accept(&Permissions::FULL), Accepted::Complete);
    assert!(matches!(&pair.client.seen[..], [.., Seen::Authenticated]));
    assert!(!pair.client.seen.iter().any(|seen| matches!(seen, Seen::Continue(_) | Seen::Asked(_))));
    assert_eq!((pair.client.conn.pending_output(), pair.server.seen.len()), (0, 1));
}

#[test]
fn questions_are_put_in_rounds_and_answered_each() {
    let mut pair = asking_for("keyboard-interactive");
    pair.by_questions();
    assert_eq!(pair.server.seen, [Seen::KeyboardInteractive(Vec::new())]);
    let ticket = pair.server.ticket();
    let prompts = [Prompt { prompt: b"Name: ", echo: true }, Prompt { prompt: b"Password: ", echo: false }];
    pair.server.conn.request_information(ticket, b"title", b"why", &prompts).unwrap();
    pair.drive();
    assert_eq!(*pair.told_last(), Seen::Asked(vec!["+Name: ".to_owned(), "Password: ".to_owned()]));
    let ticket = pair.client.ticket();
    pair.client.conn.send_responses(ticket, &[b"ann", b""]).unwrap();
    pair.drive();
    assert_eq!(pair.server.seen.last(), Some(&Seen::Responses(vec![b"ann".to_vec(), Vec::new()])));
    // Another round, without a question: it is answered all the same.
    let ticket = pair.server.ticket();
    pair.server.conn.request_information(ticket, b"", b"wait for it", &[]).unwrap();
    pair.drive();
    assert_eq!(*pair.told_last(), Seen::Asked(Vec::new()));
    let ticket = pair.client.ticket();
    pair.client.conn.send_responses(ticket, &[]).unwrap();
    assert_eq!(pair.accept(&Permissions::FULL), Accepted::Complete);
    assert!(pair.client.conn.is_authenticated());
}

#[test]
fn questions_can_be_left_for_another_method() {
    let mut pair = asking_for("keyboard-interactive password");
    pair.by_questions();
    let ticket = pair.server.ticket();
    let prompt = Prompt { prompt: b"Token: ", echo: true };
    pair.server.conn.request_information(ticket, b"", b"", &[prompt]).unwrap();
    pair.drive();
    pair.by_password();
    assert_eq!(pair.accept(&Permissions::FULL), Accepted::Complete);
    assert!(pair.client.conn.is_authenticated());
}

#[test]
fn t49_there_is_one_response_for_each_prompt_and_not_too_many() {
    let mut pair = asking_for("keyboard-interactive");
    pair.by_questions();
    let ticket = pair.server.ticket();
    let prompts = [Prompt { prompt: b"?", echo: false }; PROMPTS_MAX];
    pair.server.conn.request_information(ticket, b"", b"", &prompts).unwrap();
    pair.drive();
    for wrong in [0, 1, PROMPTS_MAX - 1, PROMPTS_MAX + 1] {
        let mut pair = asking_for("keyboard-interactive");
        pair.by_questions();
        let ticket = pair.server.ticket();
        pair.server.conn.request_information(ticket, b"", b"", &prompts).unwrap();
        pair.drive();
        let ticket = pair.client.ticket();
        let refused = pair.client.conn.send_responses(ticket, &vec![&b"x"[..]; wrong]);
        assert_eq!(refused, Err(NOT_SO_MANY_PROMPTS.into()));
    }
    let ticket = pair.client.ticket();
    pair.client.conn.send_responses(ticket, &[&b"x"[..]; PROMPTS_MAX]).unwrap();
    pair.drive();
    let ticket = pair.server.ticket();
    let too_many = [Prompt { prompt: b"?", echo: false }; PROMPTS_MAX + 1];
    let refused = pair.server.conn.request_information(ticket, b"", b"", &too_many);
    assert_eq!(refused, Err(TOO_MANY_PROMPTS.into()));
}

#[test]
fn a_password_that_has_expired_is_changed_and_counts_then() {
    let mut pair = asking_for("password");
    pair.by_password();
    pair.drive();
    let ticket = pair.server.ticket();
    pair.server.conn.expire_password(ticket, b"too old").unwrap();
    pair.drive();
    assert_eq!(*pair.told_last(), Seen::PasswordExpired);
    let ticket = pair.client.ticket();
    pair.client.conn.request_password_change(ticket, b"secret", b"better").unwrap();
    pair.drive();
    let change = Seen::PasswordChange(b"secret".to_vec(), b"better".to_vec());
    assert_eq!(pair.server.seen.last(), Some(&change));
    // The new one may be no better.
    let ticket = pair.server.ticket();
    pair.server.conn.expire_password(ticket, b"not that one").unwrap();
    pair.drive();
    let ticket = pair.client.ticket();
    pair.client.conn.request_password_change(ticket, b"secret", b"the best").unwrap();
    assert_eq!(pair.accept(&Permissions::FULL), Accepted::Complete);
}

#[test]
fn answers_that_belong_to_another_method_change_nothing() {
    let mut pair = asking_for("password keyboard-interactive");
    pair.by_password();
    pair.drive();
    let ticket = pair.server.ticket();
    assert_eq!(pair.server.conn.request_information(ticket, b"", b"", &[]), Err(STALE_VERDICT.into()));
    let mut pair = asking_for("password keyboard-interactive");
    pair.by_questions();
    let ticket = pair.server.ticket();
    assert_eq!(pair.server.conn.expire_password(ticket, b""), Err(STALE_VERDICT.into()));
    let ticket = asking_for("password").client.ticket();
    assert_eq!(asking_for("password").client.conn.send_responses(ticket, &[]), Err(STALE_VERDICT.into()));
}

#[test]
fn a_signature_may_come_from_elsewhere_or_not_at_all() {
    let key = user_key();
    let identity = PlainOrCertified::Plain(key.public_key());
    let mut pair = asking_for("publickey password");
    let ticket = pair.client.ticket();
    pair.client.conn.request_identity(ticket, &identity).unwrap();
    assert_eq!(pair.accept(&Permissions::FULL), Accepted::Query);
    let Seen::Sign(request) = pair.told_last().clone() else { panic!("{:?}", pair.client.seen) };
    assert_eq!(request.public_key_blob, key.public_key().blob());
    let ticket = pair.client.ticket();
    let signature = key.sign(request.algorithm, &request.data).unwrap();
    pair.client.conn.send_signature(ticket, &signature).unwrap();
    assert_eq!(pair.accept(&Permissions::FULL), Accepted::Complete);

    // The agent says no: the password is tried in its place.
    let mut pair = asking_for("publickey password");
    let ticket = pair.client.ticket();
    pair.client.conn.request_identity(ticket, &identity).unwrap();
    assert_eq!(pair.accept(&Permissions::FULL), Accepted::Query);
    pair.by_password();
    assert_eq!(pair.accept(&Permissions::FULL), Accepted::Complete);

    // What is signed wrong is a wrong credential.
    let mut pair = asking_for("publickey");
    let ticket = pair.client.ticket();
    pair.client.conn.request_identity(ticket, &identity).unwrap();
    assert_eq!(pair.accept(&Permissions::FULL), Accepted::Query);
    let ticket = pair.client.ticket();
    pair.client.conn.send_signature(ticket, b"anything").unwrap();
    pair.drive();
    assert_eq!((pair.server.seen.len(), pair.told_last()), (1, &continues("publickey")));
}

#[test]
fn t48_secrets_of_a_client_have_a_bound() {
    let long = vec![b'x'; SECRET_MAX + 1];
    let mut pair = asking_for("password keyboard-interactive");
    let ticket = pair.client.ticket();
    assert_eq!(pair.client.conn.request_password(ticket, &long), Err(CREDENTIAL_TOO_LONG.into()));
    let mut pair = asking_for("password");
    let ticket = pair.client.ticket();
    let refused = pair.client.conn.request_password_change(ticket, &long[2..], b"xx");
    assert_eq!(refused, Err(CREDENTIAL_TOO_LONG.into()));
    let mut pair = asking_for("password");
    let ticket = pair.client.ticket();
    pair.client.conn.request_password(ticket, &long[1..]).unwrap();
    pair.drive();
    assert_eq!(pair.server.seen, [Seen::Password(b"ann".to_vec(), long[1..].to_vec())]);
}

#[test]
fn t47_each_methods_failure_waits_for_its_time() {
    let refusals: [fn(&mut Pair); 4] = [
        |pair| {
            pair.by_password();
            pair.refuse();
        },
        |pair| {
            pair.by_questions();
            pair.refuse();
        },
        |pair| {
            let ticket = pair.client.ticket();
            pair.client.conn.request_publickey(ticket, user_key()).unwrap();
            pair.refuse();
        },
        |pair| {
            // The password is right, and another method must come first.
            pair.by_password();
            pair.drive();
            pair.server.conn.set_methods(MethodChains::any_of(&[Method::Publickey]));
            assert!(matches!(pair.accept(&Permissions::FULL), Accepted::Insufficient(_)));
        },
    ];
    for refusal in refusals {
        let mut settings = Settings::default();
        settings.userauth.methods = MethodChains::parse("publickey password keyboard-interactive").unwrap();
        settings.userauth.failure_delay = Duration::from_millis(20);
        let mut pair = Pair::keyed(settings);
        refusal(&mut pair);
        assert_eq!(pair.client.tickets.len(), 0);
        pair.wait(Duration::from_millis(19));
        pair.drive();
        assert_eq!(pair.client.tickets.len(), 0);
        pair.wait(Duration::from_millis(1));
        pair.drive();
        assert_eq!(pair.client.tickets.len(), 1);
    }
}

#[test]
fn a_verdict_after_the_end_lets_nobody_in() {
    let mut pair = asking_for("password");
    pair.by_password();
    pair.drive();
    let ticket = pair.server.ticket();
    pair.server.conn.disconnect(crate::wire::DisconnectReason::BY_APPLICATION, "the server is stopping");
    assert_eq!(pair.server.conn.accept_user(ticket, &Permissions::FULL), Err(STALE_VERDICT.into()));
    assert!(!pair.server.conn.is_authenticated());
}
