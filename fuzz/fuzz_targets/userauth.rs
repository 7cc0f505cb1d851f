//! Requests of user authentication in the order that the bytes choose, good and bad, and verdicts when the bytes say so, for
//! the chains of methods that the first byte names: the server asks only about what was shown and holds, and lets in exactly
//! who went through a chain, to what all its steps permit.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::collections::{BTreeSet, VecDeque};
use std::sync::LazyLock;
use std::time::Instant;
use strombus::connection::{Connection, Event, Step};
use strombus::crypto::sign::certificate::KeyAlgorithm;
use strombus::crypto::sign::{PrivateKey, ecdsa::Curve};
use strombus::transport::{Client, Error, RecvBuf, STALE_VERDICT, Server, Ticket};
use strombus::userauth::{
    Accepted, Credential, CredentialEvent, Endpoint, Insufficient, Method, MethodChains, PROMPTS_MAX,
    Permissions, Prompt,
};
use strombus::wire::message::{ServiceRequest, UserauthInfoResponse, UserauthRequest};
use strombus::wire::{Encode, Writer};
use strombus_fuzz::{Choices, End, HOST_KEYS, Pair, SeededRng, all_output, fill, quick};

const USERS: [&[u8]; 3] = [b"ann", b"eve", b""];
const SECRETS: [&[u8]; 3] = [b"secret", b"other", b""];
const SERVICES: [&[u8]; 4] = [b"ssh-connection", b"ssh-userauth", b"ssh-connection\0", b""];

/// What is asked for, as AuthenticationMethods has it.
const CHAINS: [&str; 8] = [
    "publickey password keyboard-interactive",
    "publickey,password",
    "publickey,publickey",
    "keyboard-interactive",
    "none",
    "publickey,password publickey,keyboard-interactive,password",
    "none password,password",
    "keyboard-interactive,publickey password",
];

static PRIVATE_KEYS: LazyLock<[PrivateKey; 2]> = LazyLock::new(|| {
    let rng = &mut SeededRng(4, 0);
    [PrivateKey::generate_ed25519(rng), PrivateKey::generate_ecdsa(Curve::Nistp256, rng)]
});

/// A key as it is shown: plain, or in a certificate.
struct ShownKey {
    private: &'static PrivateKey,
    algorithm: KeyAlgorithm,
    blob: Vec<u8>,
}

/// Both keys plain, then in a certificate, and the first in another one.
static KEYS: LazyLock<Vec<ShownKey>> = LazyLock::new(|| {
    let plain = PRIVATE_KEYS.iter().map(|private| {
        let algorithm = KeyAlgorithm::plain(private.algorithms()[0]);
        ShownKey { private, algorithm, blob: private.public_key().blob() }
    });
    let certified = [(0, b"one"), (1, b"one"), (0, b"two")].map(|(n, key_id)| {
        let (private, ca) = (&PRIVATE_KEYS[n], &PRIVATE_KEYS[1 - n]);
        let algorithm = KeyAlgorithm::certified(private.algorithms()[0]);
        ShownKey { private, algorithm, blob: certificate(private, ca, algorithm, key_id) }
    });
    plain.chain(certified).collect()
});

/// A certificate for users, of everybody and for ever.
fn certificate(key: &PrivateKey, ca: &PrivateKey, algorithm: KeyAlgorithm, key_id: &[u8]) -> Vec<u8> {
    let blob = key.public_key().blob();
    let key_fields = &blob[4 + key.public_key().key_type().len()..];
    let mut bytes = fields(|w| {
        w.string(algorithm.key_type().as_bytes());
        w.string(b"nonce");
        w.bytes(key_fields);
        w.uint64(1);
        w.uint32(1); // SSH_CERT_TYPE_USER
        w.string(key_id);
        w.string(b"");
        w.uint64(0);
        w.uint64(u64::MAX);
        [(); 3].iter().for_each(|()| w.string(b"")); // critical options, extensions, reserved
        w.string(&ca.public_key().blob());
    });
    let signature = ca.sign(ca.algorithms()[0], &bytes).expect("its own algorithm");
    Writer::new(&mut bytes).string(&signature);
    bytes
}

/// What a question may be about: a request that is whole and whose signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    None,
    Query(Vec<u8>),
    Key(Vec<u8>),
    Password(Vec<u8>),
    PasswordChange(Vec<u8>, Vec<u8>),
    Interactive(Vec<u8>),
    Responses(Vec<Vec<u8>>),
}

impl What {
    fn of(credential: Credential) -> Self {
        match credential {
            Credential::None => Self::None,
            Credential::Query { key } => Self::Query(key.blob()),
            Credential::Publickey { key, .. } => Self::Key(key.blob()),
            Credential::Password(password) => Self::Password(password.to_vec()),
            Credential::PasswordChange { password, new_password } => {
                Self::PasswordChange(password.to_vec(), new_password.to_vec())
            }
            Credential::KeyboardInteractive { submethods } => Self::Interactive(submethods),
            Credential::Responses(responses) => {
                Self::Responses(responses.iter().map(|response| response.to_vec()).collect())
            }
        }
    }

    const fn method(&self) -> Method {
        match self {
            Self::None => Method::None,
            Self::Query(_) | Self::Key(_) => Method::Publickey,
            Self::Password(_) | Self::PasswordChange(..) => Method::Password,
            Self::Interactive(_) | Self::Responses(_) => Method::KeyboardInteractive,
        }
    }

    /// The key that signed, whatever it was shown in.
    fn signer(&self) -> Option<&'static PrivateKey> {
        let Self::Key(blob) = self else { return None };
        Some(KEYS.iter().find(|key| key.blob == *blob).expect("one of them").private)
    }
}

/// What must be gone through, what was, and by whom.
struct Steps {
    /// Of everybody.
    configured: Chains,
    /// Of this user.
    chains: Chains,
    done: Vec<(What, Permissions)>,
    user: Option<Vec<u8>>,
}

type Chains = Vec<Vec<Method>>;

fn parse(chains: &str) -> Chains {
    let method = |name| Method::from_name(name).expect("a method");
    chains.split(' ').map(|chain| chain.split(',').map(method).collect()).collect()
}

impl Steps {
    fn new(chains: &str) -> Self {
        Self { configured: parse(chains), chains: parse(chains), done: Vec::new(), user: None }
    }

    fn set(&mut self, chains: &str) {
        if self.done.is_empty() {
            self.chains = parse(chains);
        }
    }

    /// What is left of each chain.
    fn left(&self) -> impl Iterator<Item = &[Method]> {
        self.chains.iter().map(|chain| {
            self.done.iter().fold(&**chain, |left, (what, _)| match left.split_first() {
                Some((first, rest)) if *first == what.method() => rest,
                _ => left,
            })
        })
    }

    fn allows(&self, method: Method) -> bool {
        self.left().any(|left| left.first() == Some(&method))
    }

    /// Whether it is asked about: before the first step is done what may be tried by anybody is.
    fn takes(&self, method: Method) -> bool {
        let anybody = || self.configured.iter().any(|chain| chain.first() == Some(&method));
        self.allows(method) || (self.done.is_empty() && anybody())
    }

    fn is_through(&self) -> bool {
        self.left().any(<[_]>::is_empty)
    }

    /// What a yes must come to.
    fn accept(&mut self, what: What, permissions: Permissions) -> Accepted {
        if let What::Query(_) = what {
            return Accepted::Query;
        }
        if !self.allows(what.method()) {
            return Accepted::Insufficient(Insufficient::NotNext);
        }
        let mut signers = self.done.iter().filter_map(|(what, _)| what.signer());
        if what.signer().is_some_and(|key| signers.any(|used| std::ptr::eq(used, key))) {
            return Accepted::Insufficient(Insufficient::KeyUsed);
        }
        self.done.push((what, permissions));
        if self.permitted().is_none() {
            self.done.pop();
            return Accepted::Insufficient(Insufficient::CommandsDiffer);
        }
        if self.is_through() { Accepted::Complete } else { Accepted::Partial }
    }

    /// What all steps permit; nothing if they force different commands.
    fn permitted(&self) -> Option<Permissions> {
        let all = || self.done.iter().map(|(_, permissions)| permissions);
        let commands: BTreeSet<_> = all().filter_map(|step| step.force_command.clone()).collect();
        (commands.len() <= 1).then(|| Permissions {
            pty: all().all(|step| step.pty),
            agent_forwarding: all().all(|step| step.agent_forwarding),
            force_command: commands.into_iter().next(),
            environment: all().flat_map(|step| step.environment.clone()).take(1).collect(), // all have one name
            permit_open: all().flat_map(|step| step.permit_open.clone()).collect(),
            expires: all().filter_map(|step| step.expires).min(),
            ..Permissions::FULL
        })
    }
}

/// Some of what may be granted and limited.
fn permissions(choice: u8) -> Permissions {
    let bit = |n: u8| choice >> n & 1 == 1;
    let endpoint = Endpoint { host: bit(0).then(|| "host".to_owned()), port: Some(22) };
    Permissions {
        pty: !bit(0),
        agent_forwarding: !bit(1),
        force_command: bit(3).then(|| if bit(2) { b"a".to_vec() } else { b"b".to_vec() }),
        environment: bit(4).then(|| ("NAME".to_owned(), vec![choice])).into_iter().collect(),
        permit_open: bit(6).then(|| vec![endpoint]).into_iter().collect(),
        expires: bit(7).then_some(u64::from(choice & 3)),
        ..Permissions::FULL
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

/// Who asks for what, before it is said how.
#[derive(Clone, Copy)]
struct Head {
    user: &'static [u8],
    service: &'static [u8],
}

impl Head {
    fn request(self, method_name: &[u8], method_fields: &[u8]) -> Vec<u8> {
        let Self { user, service } = self;
        payload(&UserauthRequest { user_name: user, service_name: service, method_name, method_fields })
    }
}

/// The client's keys, by which any payload can be sent, and a server with what it was shown and told.
struct Login {
    client: Connection<Client>,
    server: Connection<Server>,
    input: RecvBuf,
    now: Instant,
    /// The requests and responses that were sent since the last one that was asked about, each with what may be asked.
    sent: VecDeque<Option<(Vec<u8>, What)>>,
    steps: Steps,
    /// How many prompts the client was sent, if it has to answer some.
    prompts: Option<usize>,
    open: Option<(What, Ticket)>,
    /// The question that was open can be answered no more.
    is_stuck: bool,
    granted: bool,
    error: Option<Error>,
}

impl Login {
    /// The server has accepted the service and knows of no user.
    fn begin(chains: &str) -> Self {
        let mut pair = Pair::with(quick(), quick(), Default::default());
        let methods = MethodChains::parse(chains).expect("chains");
        pair.server = End::server_asking(methods, quick(), Default::default(), pair.now);
        pair.drive();
        let ticket = pair.client.tickets.pop_front().expect("asked about the host key");
        pair.client.conn.accept_host_key(ticket).expect("it is the open question");
        pair.client.pull(pair.now);
        pair.up(usize::MAX);
        Self {
            client: pair.client.conn,
            server: pair.server.conn,
            input: pair.server.input,
            now: pair.now,
            sent: VecDeque::new(),
            steps: Steps::new(chains),
            prompts: None,
            open: None,
            is_stuck: false,
            granted: false,
            error: None,
        }
    }

    /// Sends a request or response, which may be asked about if it is sound.
    fn send(&mut self, payload: &[u8], user: &[u8], sound: Option<What>) {
        let sound = sound.map(|what| (user.to_vec(), what));
        // One that fits, and comes when nothing is waited for, is asked about.
        let is_due = sound.as_ref().is_some_and(|(user, what)| {
            let fits = match what {
                What::Responses(responses) => self.prompts == Some(responses.len()),
                what => self.steps.takes(what.method()),
            };
            let is_free = self.open.is_none() && !self.is_stuck && !self.granted;
            fits && is_free && self.steps.user.as_ref().is_none_or(|known| known == user)
        });
        self.sent.push_back(sound);
        self.send_other(payload);
        assert!(!is_due || self.open.is_some() || self.error.is_some(), "a sound request is not asked about");
    }

    fn send_other(&mut self, payload: &[u8]) {
        self.client.send_payload(payload);
        let mut bytes = &*all_output(&mut self.client);
        while let n @ 1.. = fill(&mut self.input, bytes) {
            bytes = &bytes[n..];
            self.pull();
        }
    }

    fn pull(&mut self) {
        while self.error.is_none() {
            match self.server.handle_input(&mut self.input, self.now) {
                Ok(Step::NeedInput | Step::NeedVerdict) => break,
                Ok(Step::Event(Event::Userauth(question))) => self.asked(question),
                Ok(Step::Event(Event::Authenticated)) => assert!(self.granted),
                Ok(_) => {}
                Err(error) => self.error = Some(error),
            }
        }
        assert_eq!(self.server.is_authenticated(), self.granted);
        assert_eq!(self.server.permissions().is_some(), self.granted);
    }

    fn asked(&mut self, CredentialEvent { user_name, credential, ticket }: CredentialEvent) {
        assert!(!self.granted, "a question after the login");
        assert!(self.open.is_none() && !self.is_stuck, "two questions");
        let user = self.steps.user.get_or_insert_with(|| user_name.to_vec());
        assert_eq!(**user, *user_name, "another user");
        let what = What::of(credential);
        let asked = Some((user_name.to_vec(), what.clone()));
        let at = self.sent.iter().position(|sent| *sent == asked);
        let at = at.unwrap_or_else(|| panic!("{asked:?} was not shown"));
        match &what {
            What::Responses(responses) => {
                assert_eq!((at, Some(responses.len())), (0, self.prompts), "not what was asked last");
            }
            what => assert!(self.steps.takes(what.method()), "{what:?} is not next"),
        }
        self.sent.drain(..=at);
        self.prompts = None;
        self.open = Some((what, ticket));
    }

    fn accept(&mut self, permissions: Permissions) {
        let Some((what, ticket)) = self.open.take() else { return };
        let judged = self.server.accept_user(ticket, &permissions);
        let expected = self.steps.accept(what, permissions);
        if judged.is_ok() || !matches!(expected, Accepted::Insufficient(_)) {
            assert_eq!(judged, Ok(expected));
        } else {
            assert!(self.server.is_ended(), "{judged:?}"); // it was the last try
        }
        if expected == Accepted::Complete {
            self.granted = true;
            assert_eq!(self.server.permissions(), self.steps.permitted().as_ref());
        }
        self.pull();
    }

    fn refuse(&mut self) {
        let Some((_, ticket)) = self.open.take() else { return };
        let judged = self.server.refuse_user(ticket);
        assert!(judged.is_ok() || self.server.is_ended(), "{judged:?}");
        self.pull();
    }

    fn request_information(&mut self, count: usize) {
        let Some((what, ticket)) = self.open.take() else { return };
        let prompts = vec![Prompt { prompt: b"?", echo: false }; count];
        let done = self.server.request_information(ticket, b"", b"", &prompts);
        let fits = what.method() == Method::KeyboardInteractive && count <= PROMPTS_MAX;
        assert_eq!(done.is_ok(), fits, "{what:?} {done:?}");
        (self.prompts, self.is_stuck) = (fits.then_some(count), !fits);
        self.pull();
    }

    fn expire_password(&mut self) {
        let Some((what, ticket)) = self.open.take() else { return };
        let done = self.server.expire_password(ticket, b"");
        self.is_stuck = what.method() != Method::Password;
        assert_eq!(done, if self.is_stuck { Err(STALE_VERDICT.into()) } else { Ok(()) });
        self.pull();
    }

    fn set_methods(&mut self, chains: &str) {
        self.server.set_methods(MethodChains::parse(chains).expect("chains"));
        self.steps.set(chains);
    }

    /// A request of `publickey`, sound or with something wrong.
    fn publickey(&mut self, choices: &mut Choices<'_>, head: Head) {
        let (key, other) = (choices.one_of(&*KEYS), choices.one_of(&*KEYS));
        let wrong = choices.byte() % 16;
        let host_key = match wrong {
            1 | 2 => Some(HOST_KEYS[usize::from(wrong - 1)].public_key().blob()),
            _ => None,
        };
        let method: &[u8] = match host_key {
            Some(_) => b"publickey-hostbound-v00@openssh.com",
            None => b"publickey",
        };
        let shown_blob = if wrong == 3 { &other.blob } else { &key.blob };
        let algorithm = if wrong == 4 { other.algorithm } else { key.algorithm };
        let signed_user = if wrong == 7 { *choices.one_of(&USERS) } else { head.user };
        let signed_service = if wrong == 8 { *choices.one_of(&SERVICES) } else { head.service };
        let is_query = wrong == 5;
        let method_fields = |signed: bool| {
            fields(|w| {
                w.boolean(signed);
                w.string(algorithm.name().as_bytes());
                w.string(shown_blob);
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
            let mut signature = key.private.sign(key.algorithm.signature, &data).expect("its own algorithm");
            if wrong == 11 {
                let at = choices.below(signature.len());
                signature[at] ^= 1 << choices.below(8);
            }
            Writer::new(&mut request).string(&signature);
        }
        if wrong == 12 {
            request.push(choices.byte());
        }
        // What was changed may be what it was.
        let sound = match wrong {
            2 | 6 | 9..=12 => false,
            3 => std::ptr::eq(other.private, key.private) && other.algorithm == key.algorithm,
            4 => other.algorithm == key.algorithm,
            7 | 8 => (signed_user, signed_service) == (head.user, head.service),
            _ => true,
        };
        let what = if is_query { What::Query(shown_blob.clone()) } else { What::Key(shown_blob.clone()) };
        self.request(head, method, &request, sound.then_some(what));
    }

    fn password(&mut self, choices: &mut Choices<'_>, head: Head) {
        let (password, new) = (*choices.one_of(&SECRETS), *choices.one_of(&SECRETS));
        let (change, trailing) = (choices.byte() == 1, choices.byte() == 1);
        let request = fields(|w| {
            w.boolean(change);
            w.string(password);
            if change {
                w.string(new);
            }
            if trailing {
                w.byte(0);
            }
        });
        let sound = !trailing && !password.is_empty() && !(change && new.is_empty());
        let what = if change {
            What::PasswordChange(password.to_vec(), new.to_vec())
        } else {
            What::Password(password.to_vec())
        };
        self.request(head, b"password", &request, sound.then_some(what));
    }

    fn keyboard_interactive(&mut self, choices: &mut Choices<'_>, head: Head) {
        let (submethods, trailing) = (*choices.one_of(&SECRETS), choices.byte() == 1);
        let request = fields(|w| {
            w.string(b"en");
            w.string(submethods);
            if trailing {
                w.byte(0);
            }
        });
        let sound = (!trailing).then(|| What::Interactive(submethods.to_vec()));
        self.request(head, b"keyboard-interactive", &request, sound);
    }

    fn request(&mut self, head: Head, method: &[u8], method_fields: &[u8], sound: Option<What>) {
        let sound = sound.filter(|_| head.service == SERVICES[0]);
        self.send(&head.request(method, method_fields), head.user, sound);
    }

    /// As many responses as there were prompts, or another number; the count may be another than theirs.
    fn responses(&mut self, choices: &mut Choices<'_>) {
        let (count, first, lie) = (choices.byte(), choices.byte(), choices.byte() == 1);
        let count = match count.checked_sub(128) {
            Some(other) => usize::from(other),
            None => self.prompts.unwrap_or(1),
        };
        let responses: Vec<_> = SECRETS
            .iter()
            .cycle()
            .skip(usize::from(first % 3))
            .take(count)
            .map(|text| text.to_vec())
            .collect();
        let message = payload(&UserauthInfoResponse {
            num_responses: u32::try_from(count).expect("small") + u32::from(lie),
            responses: &fields(|w| responses.iter().for_each(|text| w.string(text))),
        });
        let sound = !lie && count <= PROMPTS_MAX;
        let user = self.steps.user.clone().unwrap_or_default();
        self.send(&message, &user, sound.then_some(What::Responses(responses)));
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices(bytes);
    let mut login = Login::begin(choices.one_of(&CHAINS));
    while let [operation] = *choices.bytes(1) {
        let user = USERS[usize::from(operation >> 6) % 3];
        let service = if operation & 0x30 == 0x30 { *choices.one_of(&SERVICES) } else { SERVICES[0] };
        let head = Head { user, service };
        match operation % 16 {
            0 | 1 => login.publickey(&mut choices, head),
            2 => login.password(&mut choices, head),
            3 => {
                let length = choices.below(40);
                let method = choices.bytes(length);
                let method = if method.is_empty() { b"none" } else { method };
                let fields = choices.bytes(4);
                // Nothing stands behind `none`; what else may be named here has more fields than that.
                let sound = (method == b"none" && fields.is_empty()).then_some(What::None);
                login.request(head, method, fields, sound);
            }
            4 => login.send_other(&payload(&ServiceRequest { service_name: service })),
            5 => login.accept(Permissions::FULL),
            6 => login.refuse(),
            7 => {
                let number = choices.byte();
                let length = choices.below(32);
                let rest = choices.bytes(length);
                if ![UserauthRequest::NUMBER, UserauthInfoResponse::NUMBER].contains(&number) {
                    login.send_other(&[&[number], rest].concat());
                }
            }
            8 => login.keyboard_interactive(&mut choices, head),
            9 => login.responses(&mut choices),
            10 => login.request_information(choices.below(PROMPTS_MAX + 2)),
            11 => login.expire_password(),
            12 => login.set_methods(choices.one_of(&CHAINS)),
            _ => login.accept(permissions(choices.byte())),
        }
    }
    assert!(login.server.pending_output() < 2 << 20);
});
