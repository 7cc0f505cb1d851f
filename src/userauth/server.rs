//! The server: checks a credential, lets the application judge it, and answers each request once.
//!
//! A login goes through the methods of a chain; what each of them permits, all of them together permit. A step that
//! succeeded is never forgotten and never counts for another user: who changes the name in midway is disconnected, as by
//! OpenSSH.

use super::interactive::{KEYBOARD_INTERACTIVE, PROMPTS_MAX, Prompt, encode_prompts, responses};
use super::method::{Method, MethodChains};
use super::permissions::Permissions;
use super::signature::{Binding, PUBLICKEY, PUBLICKEY_HOSTBOUND};
use super::{Authenticated, CONNECTION_SERVICE, Outcome, USERAUTH_SERVICE, UserauthSide};
use crate::crypto::sign::certificate::{KeyAlgorithm, PlainOrCertified};
use crate::crypto::sign::sk::SkFlags;
use crate::crypto::sign::{PublicKey, SignatureVerified};
use crate::transport::{Error, Misuse, STALE_VERDICT, Server, Ticket, Transport};
use crate::wire::message::{
    KeyboardInteractiveFields, PasswordFields, PublickeyFields, ServiceAccept, ServiceRequest,
    UserauthBanner, UserauthFailure, UserauthInfoRequest, UserauthInfoResponse, UserauthPasswdChangereq,
    UserauthPkOk, UserauthRequest, UserauthSuccess,
};
use crate::wire::{Decode, DisconnectReason, Encode, Fault, MALFORMED, NameList};
use core::fmt;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;
use zeroize::Zeroizing;

/// Questions whether a key would do, in one login.
pub const QUERIES_MAX: u32 = 20;
/// Requests and responses of any kind in one login.
pub const REQUESTS_MAX: u32 = 128;

/// A service that is not offered here.
pub const UNKNOWN_SERVICE: Fault =
    Fault { reason: DisconnectReason::SERVICE_NOT_AVAILABLE, description: "this service is not offered" };
/// The user name changed midway.
pub const USER_CHANGED: Fault = Fault::protocol("the user name changed during authentication");
/// Too many wrong credentials.
pub const TOO_MANY_FAILURES: Fault = Fault {
    reason: DisconnectReason::NO_MORE_AUTH_METHODS_AVAILABLE,
    description: "too many authentication failures",
};
/// More prompts than [`PROMPTS_MAX`].
pub const TOO_MANY_PROMPTS: Misuse = Misuse("too many prompts at a time");
/// Too many requests or queries.
pub const TOO_MANY_REQUESTS: Fault = Fault::protocol("too many authentication requests");

/// How users log in.
#[derive(Clone, Debug)]
pub struct ServerUserauthConfig {
    /// What a user must go through, unless
    /// [`set_methods`](crate::connection::Connection::set_methods) says otherwise for him.
    pub methods: MethodChains,
    /// Wrong credentials before the connection ends.
    pub max_auth_tries: u32,
    /// The least time between a request and the answer that refuses it, whatever the reason.
    pub failure_delay: Duration,
    /// A text to send before the first answer.
    pub banner: Option<String>,
}

impl Default for ServerUserauthConfig {
    /// A key or a password, six tries, 20 ms, no banner.
    fn default() -> Self {
        Self {
            methods: MethodChains::any_of(&[Method::Publickey, Method::Password]),
            max_auth_tries: 6,
            failure_delay: Duration::from_millis(20),
            banner: None,
        }
    }
}

/// A question to the application: may this user log in with this? No input is taken until the ticket comes back by
/// [`accept_user`](crate::connection::Connection::accept_user),
/// [`refuse_user`](crate::connection::Connection::refuse_user) or another answer that fits the credential, which may be
/// later and from the answer of another thread.
#[derive(Debug)]
pub struct CredentialEvent {
    /// Who. Any bytes; not known to exist.
    pub user_name: Arc<[u8]>,
    /// With what.
    pub credential: Credential,
    /// For the verdict.
    pub ticket: Ticket,
}

/// A credential, checked as far as that can be done without knowing the users.
pub enum Credential {
    /// None at all; asked only where a chain has [`Method::None`].
    None,
    /// Would this key or certificate do? Yes logs nobody in.
    Query {
        /// The key.
        key: PlainOrCertified,
    },
    /// The user holds this key: its signature binds this connection, user and algorithm. Of a certificate nothing but its
    /// form is checked; that is for `keys::certificate`.
    Publickey {
        /// The key.
        key: PlainOrCertified,
        /// The proof. What a token says in it is held against the [`Permissions`] of the verdict.
        proof: SignatureVerified,
    },
    /// A password, to be compared with the user's; never empty. If it is right and old,
    /// [`expire_password`](crate::connection::Connection::expire_password) asks for a new one.
    Password(Zeroizing<Vec<u8>>),
    /// A password and the one to put in its place (RFC 4252 §8).
    PasswordChange {
        /// The old one.
        password: Zeroizing<Vec<u8>>,
        /// The new one; never empty.
        new_password: Zeroizing<Vec<u8>>,
    },
    /// The client lets itself be asked:
    /// [`request_information`](crate::connection::Connection::request_information) does.
    KeyboardInteractive {
        /// A hint which ways the client would like (RFC 4256 §3.1); any bytes.
        submethods: Vec<u8>,
    },
    /// The answers to what was asked last, as many as there were prompts. The application may ask again.
    Responses(Vec<Zeroizing<Vec<u8>>>),
}

impl Credential {
    /// The method that it belongs to.
    #[must_use]
    pub const fn method(&self) -> Method {
        match self {
            Self::None => Method::None,
            Self::Query { .. } | Self::Publickey { .. } => Method::Publickey,
            Self::Password(_) | Self::PasswordChange { .. } => Method::Password,
            Self::KeyboardInteractive { .. } | Self::Responses(_) => Method::KeyboardInteractive,
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query { key } => f.debug_struct("Query").field("key", key).finish(),
            Self::Publickey { key, proof } => {
                f.debug_struct("Publickey").field("key", key).field("proof", proof).finish()
            }
            _ => write!(f, "Credential({})", self.method().name()),
        }
    }
}

/// What a yes has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// The client was told that the key would do.
    Query,
    /// A step is done, and the chain asks for more.
    Partial,
    /// The user is logged in.
    Complete,
    /// It was not enough, and counts as a wrong credential.
    Insufficient(Insufficient),
}

/// Why a credential that the application accepts does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insufficient {
    /// The token was not touched, or does not know its user, and the permissions ask for that.
    Token,
    /// No chain of this user has the method next.
    NotNext,
    /// The key was used for an earlier step.
    KeyUsed,
    /// It forces another command than an earlier step.
    CommandsDiffer,
}

impl fmt::Display for Insufficient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token => "the token does not say that it was touched, or that it knows its user",
            Self::NotNext => "another method must come first",
            Self::KeyUsed => "the key was used for an earlier step",
            Self::CommandsDiffer => "two steps force two commands",
        })
    }
}

/// What the verdict is on.
#[derive(Debug)]
enum Pending {
    Query { algorithm: KeyAlgorithm, blob: Box<[u8]> },
    Credential { method: Method, signer: Option<Signer> },
}

/// Whose signature was checked.
#[derive(Debug)]
struct Signer {
    key: Box<PublicKey>,
    sk: Option<SkFlags>,
}

/// The state of a login at the server.
#[derive(Debug)]
pub struct ServerUserauth {
    config: ServerUserauthConfig,
    accepted_service: bool,
    user_name: Option<Arc<[u8]>>,
    /// What this user must still go through.
    chains: MethodChains,
    /// What the steps so far permit together; none before the first.
    permitted: Option<Permissions>,
    used_keys: Vec<PublicKey>,
    pending: Option<Pending>,
    /// SSH_MSG_USERAUTH_INFO_REQUEST is out, with so many prompts.
    prompts: Option<usize>,
    failures: u32,
    queries: u32,
    requests: u32,
    requested_at: Instant,
    /// When SSH_MSG_USERAUTH_FAILURE goes out.
    fail_at: Option<Instant>,
}

impl UserauthSide for Server {
    type UserauthConfig = ServerUserauthConfig;
    type Userauth = ServerUserauth;
    type UserauthEvent<'b> = CredentialEvent;

    fn begin_userauth(config: ServerUserauthConfig, transport: &mut Transport<Self>) -> ServerUserauth {
        ServerUserauth {
            chains: config.methods.clone(),
            config,
            accepted_service: false,
            user_name: None,
            permitted: None,
            used_keys: Vec::new(),
            pending: None,
            prompts: None,
            failures: 0,
            queries: 0,
            requests: 0,
            requested_at: transport.now(),
            fail_at: None,
        }
    }

    fn handle_userauth(
        own: &mut ServerUserauth,
        payload: &[u8],
        transport: &mut Transport<Self>,
    ) -> Result<Outcome<CredentialEvent>, Error> {
        match (payload.first().copied().unwrap_or_default(), own.accepted_service) {
            (ServiceRequest::NUMBER, false) => {
                let ServiceRequest { service_name } = ServiceRequest::from_payload(payload)?;
                if service_name != USERAUTH_SERVICE {
                    return Err(UNKNOWN_SERVICE.into());
                }
                own.accepted_service = true;
                transport.send(&ServiceAccept { service_name });
                Ok(Outcome::Internal)
            }
            (UserauthRequest::NUMBER, true) => {
                own.prompts = None; // a new request gives up what was asked (RFC 4256 §3.1)
                own.handle_request(&UserauthRequest::from_payload(payload)?, transport)
            }
            (UserauthInfoResponse::NUMBER, true) if own.prompts.is_some() => {
                own.handle_response(&UserauthInfoResponse::from_payload(payload)?, transport)
            }
            _ => Err(crate::transport::UNEXPECTED_MESSAGE.into()),
        }
    }

    fn userauth_timeout(own: &ServerUserauth) -> Option<Instant> {
        own.fail_at
    }

    fn handle_userauth_timeout(own: &mut ServerUserauth, transport: &mut Transport<Self>) {
        if own.fail_at.is_some_and(|at| at <= transport.now()) {
            own.fail_at = None;
            own.send_failure(false, transport);
        }
    }

    fn has_tried(own: &ServerUserauth) -> bool {
        own.failures > 0 || own.queries > 0
    }

    #[cfg(test)]
    fn userauth_state(own: &ServerUserauth) -> &'static str {
        match (own.accepted_service, &own.user_name, &own.pending, own.fail_at, own.prompts) {
            (false, ..) => "NoService",
            (true, None, ..) => "NoUser",
            (true, _, Some(Pending::Query { .. }), ..) => "Query",
            (true, _, Some(Pending::Credential { method: Method::KeyboardInteractive, .. }), ..) => {
                "Interactive"
            }
            (true, _, Some(Pending::Credential { .. }), ..) => "Credential",
            (true, _, None, Some(_), _) => "Delaying",
            (true, _, None, None, Some(_)) => "Prompting",
            (true, ..) => "Answered",
        }
    }
}

impl ServerUserauth {
    fn handle_request(
        &mut self,
        request: &UserauthRequest<'_>,
        transport: &mut Transport<Server>,
    ) -> Result<Outcome<CredentialEvent>, Error> {
        self.count_request(transport)?;
        if request.service_name != CONNECTION_SERVICE {
            return Err(UNKNOWN_SERVICE.into());
        }
        match &self.user_name {
            Some(first) if **first != *request.user_name => return Err(USER_CHANGED.into()),
            Some(_) => {}
            None => {
                self.user_name = Some(request.user_name.into());
                if let Some(banner) = &self.config.banner {
                    transport.send(&UserauthBanner { message: banner.as_bytes(), language_tag: b"" });
                }
            }
        }
        let (method, fields) = (request.method_name, request.method_fields);
        match method {
            PUBLICKEY if self.takes(Method::Publickey) => {
                self.handle_publickey(request, &PublickeyFields::decode(fields)?, Binding::Session, transport)
            }
            PUBLICKEY_HOSTBOUND if self.takes(Method::Publickey) => {
                let (fields, k_s) = PublickeyFields::decode_hostbound(fields)?;
                if k_s != transport.first_host_key() {
                    return self.fail(transport);
                }
                self.handle_publickey(request, &fields, Binding::HostKey(k_s), transport)
            }
            b"password" if self.takes(Method::Password) => {
                let PasswordFields { password, new_password } = PasswordFields::decode(fields)?;
                let own = |secret: &[u8]| Zeroizing::new(secret.to_vec());
                let credential = match new_password {
                    _ if password.is_empty() => return self.fail(transport),
                    Some([]) => return self.fail(transport),
                    Some(new) => {
                        Credential::PasswordChange { password: own(password), new_password: own(new) }
                    }
                    None => Credential::Password(own(password)),
                };
                Ok(self.ask(credential, None, transport))
            }
            KEYBOARD_INTERACTIVE if self.takes(Method::KeyboardInteractive) => {
                let submethods = KeyboardInteractiveFields::decode(fields)?.submethods.to_vec();
                let credential = Credential::KeyboardInteractive { submethods };
                Ok(self.ask(credential, None, transport))
            }
            b"none" if !fields.is_empty() => Err(MALFORMED.into()),
            b"none" if self.takes(Method::None) => Ok(self.ask(Credential::None, None, transport)),
            b"none" => {
                self.send_failure(false, transport); // learns the methods; costs no try and no time
                Ok(Outcome::Internal)
            }
            _ => self.fail(transport),
        }
    }

    /// Whether a method is gone through. Until a step is done all that may be tried by anybody is, so that a user's own chain
    /// does not show that he exists.
    fn takes(&self, method: Method) -> bool {
        self.chains.allows(method) || (self.permitted.is_none() && self.config.methods.allows(method))
    }

    const fn count_request(&mut self, transport: &Transport<Server>) -> Result<(), Error> {
        self.requested_at = transport.now();
        self.requests += 1;
        if self.requests > REQUESTS_MAX { Err(Error::Peer(TOO_MANY_REQUESTS)) } else { Ok(()) }
    }

    fn handle_publickey(
        &mut self,
        request: &UserauthRequest<'_>,
        fields: &PublickeyFields<'_>,
        binding: Binding<'_>,
        transport: &mut Transport<Server>,
    ) -> Result<Outcome<CredentialEvent>, Error> {
        // A name that is not accepted costs nothing more; nor does a key that cannot be read end the connection.
        let Some(algorithm) = accepted(transport, fields.public_key_algorithm_name) else {
            return self.fail(transport);
        };
        let Ok(key) = PlainOrCertified::for_algorithm(algorithm, fields.public_key_blob) else {
            return self.fail(transport);
        };
        let Some(signature) = fields.signature else {
            self.queries += 1;
            if self.queries > QUERIES_MAX {
                return Err(TOO_MANY_REQUESTS.into());
            }
            self.pending = Some(Pending::Query { algorithm, blob: fields.public_key_blob.into() });
            return Ok(self.event(Credential::Query { key }, transport));
        };
        let session_id = transport.session_id();
        let data =
            binding.signed_data(session_id, request.user_name, algorithm.name(), fields.public_key_blob);
        let Ok(proof) = key.key().verify(algorithm.signature, &data, signature) else {
            return self.fail(transport);
        };
        let signer = Signer { key: Box::new(key.key().clone()), sk: proof.sk() };
        let credential = Credential::Publickey { key, proof };
        Ok(self.ask(credential, Some(signer), transport))
    }

    fn handle_response(
        &mut self,
        message: &UserauthInfoResponse<'_>,
        transport: &mut Transport<Server>,
    ) -> Result<Outcome<CredentialEvent>, Error> {
        self.count_request(transport)?;
        let responses = responses(message)?;
        if self.prompts.take() != Some(responses.len()) {
            return self.fail(transport);
        }
        Ok(self.ask(Credential::Responses(responses), None, transport))
    }

    fn ask(
        &mut self,
        credential: Credential,
        signer: Option<Signer>,
        transport: &mut Transport<Server>,
    ) -> Outcome<CredentialEvent> {
        self.pending = Some(Pending::Credential { method: credential.method(), signer });
        self.event(credential, transport)
    }

    fn event(&self, credential: Credential, transport: &mut Transport<Server>) -> Outcome<CredentialEvent> {
        let user_name = self.user_name.clone().unwrap_or_default();
        Outcome::Event(CredentialEvent { user_name, credential, ticket: transport.tickets().issue() })
    }

    /// Counts a wrong credential; the answer goes out when its time has come.
    fn fail<E>(&mut self, transport: &mut Transport<Server>) -> Result<Outcome<E>, Error> {
        self.failures += 1;
        if self.failures > self.config.max_auth_tries {
            return Err(TOO_MANY_FAILURES.into());
        }
        self.delay_failure(transport);
        Ok(Outcome::Internal)
    }

    fn delay_failure(&mut self, transport: &mut Transport<Server>) {
        let at = self.requested_at + self.config.failure_delay;
        if at <= transport.now() {
            self.send_failure(false, transport);
        } else {
            self.fail_at = Some(at);
        }
    }

    /// Until a step is done everybody is told the same methods, whoever he is and whether he exists.
    fn send_failure(&self, partial_success: bool, transport: &mut Transport<Server>) {
        let chains = if self.permitted.is_some() { &self.chains } else { &self.config.methods };
        transport.send(&UserauthFailure {
            authentications_that_can_continue: NameList::from_own(&chains.names()),
            partial_success,
        });
    }

    /// What this user must go through, before his first step.
    pub(crate) fn set_methods(&mut self, methods: MethodChains) {
        if self.permitted.is_none() {
            self.chains = methods;
        }
    }

    /// The application says yes: a query is answered, a credential is a step of the login.
    pub(crate) fn accept(
        &mut self,
        transport: &mut Transport<Server>,
        ticket: Ticket,
        permissions: &Permissions,
    ) -> Result<(Accepted, Option<Authenticated>), Error> {
        let (method, signer) = match self.redeem(transport, ticket)? {
            Pending::Query { algorithm, blob } => {
                let public_key_algorithm_name = algorithm.name().as_bytes();
                transport.send(&UserauthPkOk { public_key_algorithm_name, public_key_blob: &blob });
                return Ok((Accepted::Query, None));
            }
            Pending::Credential { method, signer } => (method, signer),
        };
        let permitted = match self.permitted_with(method, signer.as_ref(), permissions) {
            Ok(permitted) => permitted,
            Err(why) => {
                self.fail::<()>(transport)?;
                return Ok((Accepted::Insufficient(why), None));
            }
        };
        self.used_keys.extend(signer.map(|signer| *signer.key));
        if self.chains.advance(method) {
            transport.send(&UserauthSuccess {});
            return Ok((Accepted::Complete, Some(Authenticated(Some(Box::new(permitted))))));
        }
        self.permitted = Some(permitted);
        self.send_failure(true, transport);
        Ok((Accepted::Partial, None))
    }

    /// What is permitted after one more step.
    fn permitted_with(
        &self,
        method: Method,
        signer: Option<&Signer>,
        permissions: &Permissions,
    ) -> Result<Permissions, Insufficient> {
        if !self.chains.allows(method) {
            return Err(Insufficient::NotNext);
        }
        if signer.is_some_and(|signer| !permissions.permits_signature(signer.sk)) {
            return Err(Insufficient::Token);
        }
        if signer.is_some_and(|signer| self.used_keys.contains(&signer.key)) {
            return Err(Insufficient::KeyUsed);
        }
        match &self.permitted {
            Some(before) => before.intersect(permissions).map_err(|_| Insufficient::CommandsDiffer),
            None => Ok(permissions.clone()),
        }
    }

    /// The application says no.
    pub(crate) fn refuse(&mut self, transport: &mut Transport<Server>, ticket: Ticket) -> Result<(), Error> {
        match self.redeem(transport, ticket)? {
            Pending::Query { .. } => self.delay_failure(transport),
            Pending::Credential { .. } => {
                self.fail::<()>(transport)?;
            }
        }
        Ok(())
    }

    /// The application wants to know more of the person at the client.
    pub(crate) fn request_information(
        &mut self,
        transport: &mut Transport<Server>,
        ticket: Ticket,
        (name, instruction): (&[u8], &[u8]),
        prompts: &[Prompt<'_>],
    ) -> Result<(), Error> {
        let num_prompts = u32::try_from(prompts.len()).map_err(|_| TOO_MANY_PROMPTS)?;
        if prompts.len() > PROMPTS_MAX {
            return Err(TOO_MANY_PROMPTS.into());
        }
        self.redeem_for(Method::KeyboardInteractive, transport, ticket)?;
        self.prompts = Some(prompts.len());
        transport.send(&UserauthInfoRequest {
            name,
            instruction,
            language_tag: b"",
            num_prompts,
            prompts: &encode_prompts(prompts),
        });
        Ok(())
    }

    /// The password is right, and must be changed before it counts.
    pub(crate) fn expire_password(
        &mut self,
        transport: &mut Transport<Server>,
        ticket: Ticket,
        prompt: &[u8],
    ) -> Result<(), Error> {
        self.redeem_for(Method::Password, transport, ticket)?;
        transport.send(&UserauthPasswdChangereq { prompt, language_tag: b"" });
        Ok(())
    }

    fn redeem(&mut self, transport: &mut Transport<Server>, ticket: Ticket) -> Result<Pending, Error> {
        if self.pending.is_some() && transport.tickets().redeem(ticket) {
            return self.pending.take().ok_or(Error::Failed);
        }
        Err(STALE_VERDICT.into())
    }

    /// The same for an answer that only one method has; for another one nothing changes.
    fn redeem_for(
        &mut self,
        method: Method,
        transport: &mut Transport<Server>,
        ticket: Ticket,
    ) -> Result<(), Error> {
        match &self.pending {
            Some(Pending::Credential { method: pending, .. }) if *pending == method => {
                self.redeem(transport, ticket).map(drop)
            }
            _ => Err(STALE_VERDICT.into()),
        }
    }
}

/// The algorithm of exactly this name, if it is one that users may show keys by here.
fn accepted(transport: &Transport<Server>, name: &[u8]) -> Option<KeyAlgorithm> {
    transport.user_key_algorithms().find(|row| row.name.as_bytes() == name).map(|row| row.algorithm)
}
