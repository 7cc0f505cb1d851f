//! Requests of user authentication in the order that the bytes choose, good and bad, and verdicts when the bytes say so: the
//! server asks only about what was shown and holds, and lets in only on a yes to a credential.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::collections::VecDeque;
use std::sync::LazyLock;
use std::time::Instant;
use strombus::connection::{Connection, Event, Step};
use strombus::crypto::sign::{PrivateKey, ecdsa::Curve};
use strombus::transport::{Client, Error, RecvBuf, Server, Ticket};
use strombus::userauth::{Accepted, Credential, CredentialEvent, Permissions};
use strombus::wire::message::{ServiceRequest, UserauthRequest};
use strombus::wire::{Encode, Writer};
use strombus_fuzz::{Choices, HOST_KEYS, Pair, SeededRng, all_output, quick};

const USERS: [&[u8]; 3] = [b"ann", b"eve", b""];
const PASSWORDS: [&[u8]; 3] = [b"secret", b"other", b""];
const SERVICES: [&[u8]; 4] = [b"ssh-connection", b"ssh-userauth", b"ssh-connection\0", b""];

static KEYS: LazyLock<[PrivateKey; 2]> = LazyLock::new(|| {
    let rng = &mut SeededRng(4, 0);
    [PrivateKey::generate_ed25519(rng), PrivateKey::generate_ecdsa(Curve::Nistp256, rng)]
});

/// What a question may be about: a request that is whole and whose signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    user: Vec<u8>,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Query(Vec<u8>),
    Key(Vec<u8>),
    Password(Vec<u8>),
    PasswordChange(Vec<u8>, Vec<u8>),
}

fn what(credential: Credential) -> What {
    match credential {
        Credential::Query { key } => What::Query(key.blob()),
        Credential::Publickey { key, .. } => What::Key(key.blob()),
        Credential::Password(password) => What::Password(password.to_vec()),
        Credential::PasswordChange { password, new_password } => {
            What::PasswordChange(password.to_vec(), new_password.to_vec())
        }
        other => panic!("{other:?} is not to be asked about"),
    }
}

fn fields(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut Writer::new(&mut bytes));
    bytes
}

fn payload<M: Encode>(message: &M) -> Vec<u8> {
    fields(|w| {
        w.byte(M::NUMBER);
        message.encode(w);
    })
}

/// The client's keys, by which any payload can be sent, and a server with what it was shown and told.
struct Login {
    client: Connection<Client>,
    server: Connection<Server>,
    input: RecvBuf,
    now: Instant,
    /// What was sent and may be asked about yet, in order.
    shown: VecDeque<Shown>,
    open: Option<(What, Ticket)>,
    granted: bool,
    error: Option<Error>,
}

impl Login {
    /// The server has accepted the service and knows of no user.
    fn begin() -> Self {
        let mut pair = Pair::with(quick(), quick(), Default::default());
        pair.drive();
        let ticket = pair.client.tickets.pop_front().expect("asked about the host key");
        pair.client.conn.accept_host_key(ticket).expect("it is the open question");
        pair.client.pull(pair.now);
        pair.up(usize::MAX);
        let (client, server, input) = (pair.client.conn, pair.server.conn, pair.server.input);
        let (shown, now) = (VecDeque::new(), pair.now);
        Self { client, server, input, now, shown, open: None, granted: false, error: None }
    }

    fn send(&mut self, payload: &[u8], shown: Option<Shown>) {
        self.shown.extend(shown);
        self.client.send_payload(payload);
        let mut bytes = &*all_output(&mut self.client);
        while !bytes.is_empty() {
            let space = self.input.space();
            let n = space.len().min(bytes.len());
            if n == 0 {
                return; // it waits for a verdict
            }
            space[..n].copy_from_slice(&bytes[..n]);
            self.input.filled(n);
            bytes = &bytes[n..];
            self.pull();
        }
    }

    fn pull(&mut self) {
        while self.error.is_none() {
            match self.server.handle_input(&mut self.input, self.now) {
                Ok(Step::NeedInput | Step::NeedVerdict) => break,
                Ok(Step::Event(Event::Userauth(CredentialEvent { user_name, credential, ticket }))) => {
                    assert!(!self.granted, "a question after the login");
                    assert!(self.open.is_none(), "two questions");
                    let asked = Shown { user: user_name.to_vec(), what: what(credential) };
                    let at = self.shown.iter().position(|shown| *shown == asked);
                    self.shown.drain(..=at.unwrap_or_else(|| panic!("{asked:?} was not shown")));
                    self.open = Some((asked.what, ticket));
                }
                Ok(Step::Event(Event::Authenticated)) => assert!(self.granted),
                Ok(_) => {}
                Err(error) => self.error = Some(error),
            }
            assert_eq!(self.server.is_authenticated(), self.granted);
        }
        assert_eq!(self.server.is_authenticated(), self.granted);
    }

    fn verdict(&mut self, yes: bool) {
        let Some((what, ticket)) = self.open.take() else { return };
        if yes {
            let expected = if let What::Query(_) = what { Accepted::Query } else { Accepted::Complete };
            assert_eq!(self.server.accept_user(ticket, &Permissions::FULL), Ok(expected));
            self.granted = expected == Accepted::Complete;
        } else {
            let judged = self.server.refuse_user(ticket);
            assert!(judged.is_ok() || self.server.is_ended(), "{judged:?}");
        }
        self.pull();
    }

    /// A request of `publickey`, sound or with something wrong.
    fn publickey(&mut self, choices: &mut Choices<'_>, user: &[u8], service: &[u8]) {
        let (key, other) = (choices.one_of(&*KEYS), choices.below(2));
        let wrong = choices.byte() % 16;
        let (algorithm, blob) = (key.algorithms()[0], key.public_key().blob());
        let host_key = match wrong {
            1 | 2 => Some(HOST_KEYS[usize::from(wrong - 1)].public_key().blob()),
            _ => None,
        };
        let method: &[u8] = match host_key {
            Some(_) => b"publickey-hostbound-v00@openssh.com",
            None => b"publickey",
        };
        let shown_blob = if wrong == 3 { KEYS[other].public_key().blob() } else { blob };
        let name = if wrong == 4 { KEYS[other].algorithms()[0].name() } else { algorithm.name() };
        let signed_user = if wrong == 7 { *choices.one_of(&USERS) } else { user };
        let signed_service = if wrong == 8 { *choices.one_of(&SERVICES) } else { service };
        let is_query = wrong == 5;
        let method_fields = |signed: bool| {
            fields(|w| {
                w.boolean(signed);
                w.string(name.as_bytes());
                w.string(&shown_blob);
                host_key.iter().for_each(|blob| w.string(blob));
            })
        };
        let data = fields(|w| {
            w.string(if wrong == 6 { b"another session" } else { self.server.session_id() });
            w.byte(UserauthRequest::NUMBER);
            w.string(signed_user);
            w.string(signed_service);
            w.string(if wrong == 9 { b"hostbased" } else { method });
            w.bytes(&method_fields(wrong != 10));
        });
        let mut request = method_fields(!is_query);
        if !is_query {
            let mut signature = key.sign(algorithm, &data).expect("its own algorithm");
            if wrong == 11 {
                let at = choices.below(signature.len());
                signature[at] ^= 1 << choices.below(8);
            }
            Writer::new(&mut request).string(&signature);
        }
        if wrong == 12 {
            request.push(choices.byte());
        }
        let message = payload(&UserauthRequest {
            user_name: user,
            service_name: service,
            method_name: method,
            method_fields: &request,
        });
        // What was changed may be what it was.
        let sound = match wrong {
            2 | 6 | 9..=12 => false,
            3 => shown_blob == key.public_key().blob(),
            4 => name == algorithm.name(),
            7 | 8 => (signed_user, signed_service) == (user, service),
            _ => true,
        };
        let shown = sound && service == SERVICES[0];
        let what = if is_query { What::Query(shown_blob) } else { What::Key(shown_blob) };
        self.send(&message, shown.then(|| Shown { user: user.to_vec(), what }));
    }

    fn password(&mut self, choices: &mut Choices<'_>, user: &[u8], service: &[u8]) {
        let password = *choices.one_of(&PASSWORDS);
        let (change, trailing) = (choices.byte() == 1, choices.byte() == 1);
        let request = fields(|w| {
            w.boolean(change);
            w.string(password);
            if change {
                w.string(b"new");
            }
            if trailing {
                w.byte(0);
            }
        });
        let message = UserauthRequest {
            user_name: user,
            service_name: service,
            method_name: b"password",
            method_fields: &request,
        };
        let sound = !trailing && !password.is_empty() && service == SERVICES[0];
        let what = if change {
            What::PasswordChange(password.to_vec(), b"new".to_vec())
        } else {
            What::Password(password.to_vec())
        };
        let shown = Shown { user: user.to_vec(), what };
        self.send(&payload(&message), sound.then_some(shown));
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices(bytes);
    let mut login = Login::begin();
    while let [operation] = *choices.bytes(1) {
        let user = USERS[usize::from(operation >> 6) % 3];
        let service = if operation & 0x38 == 0x38 { *choices.one_of(&SERVICES) } else { SERVICES[0] };
        match operation % 8 {
            0 | 1 => login.publickey(&mut choices, user, service),
            2 => login.password(&mut choices, user, service),
            3 => {
                let length = choices.below(40);
                let method_name = choices.bytes(length);
                let method_name = if method_name.is_empty() { b"none" } else { method_name };
                let method_fields = choices.bytes(4);
                let message =
                    UserauthRequest { user_name: user, service_name: service, method_name, method_fields };
                login.send(&payload(&message), None);
            }
            4 => login.send(&payload(&ServiceRequest { service_name: service }), None),
            5 => login.verdict(true),
            6 => login.verdict(false),
            // Anything but a request.
            _ => {
                let number = choices.byte();
                let length = choices.below(32);
                let rest = choices.bytes(length);
                if number != UserauthRequest::NUMBER {
                    login.send(&[&[number], rest].concat(), None);
                }
            }
        }
    }
    assert!(login.server.pending_output() < 2 << 20);
});
