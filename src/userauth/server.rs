//! The server: checks a credential, lets the application judge it, and answers each request once.

use super::signature::{Binding, PUBLICKEY, PUBLICKEY_HOSTBOUND};
use super::{Authenticated, CONNECTION_SERVICE, Outcome, USERAUTH_SERVICE, UserauthSide};
use crate::crypto::sign::{PublicKey, SignatureAlgorithm, SignatureVerified};
use crate::transport::{Error, STALE_VERDICT, Server, Ticket, Transport};
use crate::wire::message::{
    PasswordFields, PublickeyFields, ServiceAccept, ServiceRequest, UserauthBanner, UserauthFailure,
    UserauthPkOk, UserauthRequest, UserauthSuccess,
};
use crate::wire::{Decode, DisconnectReason, Encode, Fault, NameList};
use core::fmt;
use core::time::Duration;
use std::time::Instant;
use zeroize::Zeroizing;

/// Questions whether a key would do, in one login.
pub const QUERIES_MAX: u32 = 20;
/// Requests of any kind in one login.
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
/// Too many requests or queries.
pub const TOO_MANY_REQUESTS: Fault = Fault::protocol("too many authentication requests");

/// How users log in.
#[derive(Clone, Debug)]
pub struct ServerUserauthConfig {
    /// Whether keys are taken.
    pub publickey: bool,
    /// Whether passwords are taken.
    pub password: bool,
    /// Wrong credentials before the connection ends.
    pub max_auth_tries: u32,
    /// The least time between a request and the answer that refuses it, whatever the reason.
    pub failure_delay: Duration,
    /// A text to send before the first answer.
    pub banner: Option<String>,
}

impl Default for ServerUserauthConfig {
    /// Keys and passwords, six tries, 20 ms, no banner.
    fn default() -> Self {
        Self {
            publickey: true,
            password: true,
            max_auth_tries: 6,
            failure_delay: Duration::from_millis(20),
            banner: None,
        }
    }
}

/// A question to the application: may this user log in with this? No input is taken until the ticket comes back by
/// [`accept_user`](crate::connection::Connection::accept_user) or
/// [`refuse_user`](crate::connection::Connection::refuse_user), which may be later and from the answer of another thread.
#[derive(Debug)]
pub struct CredentialEvent<'b> {
    /// Who. Any bytes; not known to exist.
    pub user_name: &'b [u8],
    /// With what.
    pub credential: Credential,
    /// For the verdict.
    pub ticket: Ticket,
}

/// A credential, checked as far as that can be done without knowing the users.
pub enum Credential {
    /// Would this key do? Yes logs nobody in.
    Query {
        /// The key.
        key: PublicKey,
    },
    /// The user holds this key: its signature binds this connection, user and algorithm.
    Publickey {
        /// The key.
        key: PublicKey,
        /// The proof.
        proof: SignatureVerified,
    },
    /// A password, to be compared with the user's; never empty.
    Password(Zeroizing<Vec<u8>>),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query { key } => write!(f, "Query {{ key: {key:?} }}"),
            Self::Publickey { key, .. } => write!(f, "Publickey {{ key: {key:?} }}"),
            Self::Password(_) => f.write_str("Password(..)"),
        }
    }
}

/// What the verdict is on.
#[derive(Debug)]
enum Pending {
    Query { algorithm: SignatureAlgorithm, key: Box<PublicKey> },
    Credential,
}

/// The state of a login at the server.
#[derive(Debug)]
pub struct ServerUserauth {
    config: ServerUserauthConfig,
    accepted_service: bool,
    user_name: Option<Box<[u8]>>,
    pending: Option<Pending>,
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
    type UserauthEvent<'b> = CredentialEvent<'b>;

    fn begin_userauth(config: ServerUserauthConfig, transport: &mut Transport<Self>) -> ServerUserauth {
        ServerUserauth {
            config,
            accepted_service: false,
            user_name: None,
            pending: None,
            failures: 0,
            queries: 0,
            requests: 0,
            requested_at: transport.now(),
            fail_at: None,
        }
    }

    fn handle_userauth<'b>(
        own: &mut ServerUserauth,
        payload: &'b [u8],
        transport: &mut Transport<Self>,
    ) -> Result<Outcome<CredentialEvent<'b>>, Error> {
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
                own.handle_request(UserauthRequest::from_payload(payload)?, transport)
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
            own.send_failure(transport);
        }
    }

    #[cfg(test)]
    fn userauth_state(own: &ServerUserauth) -> &'static str {
        match (own.accepted_service, &own.user_name, &own.pending, own.fail_at) {
            (false, ..) => "NoService",
            (true, None, ..) => "NoUser",
            (true, _, Some(Pending::Query { .. }), _) => "Query",
            (true, _, Some(Pending::Credential), _) => "Credential",
            (true, _, None, Some(_)) => "Delaying",
            (true, ..) => "Answered",
        }
    }
}

impl ServerUserauth {
    fn handle_request<'b>(
        &mut self,
        request: UserauthRequest<'b>,
        transport: &mut Transport<Server>,
    ) -> Result<Outcome<CredentialEvent<'b>>, Error> {
        self.requested_at = transport.now();
        self.requests += 1;
        if self.requests > REQUESTS_MAX {
            return Err(TOO_MANY_REQUESTS.into());
        }
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
        match request.method_name {
            PUBLICKEY if self.config.publickey => {
                let fields = PublickeyFields::decode(request.method_fields)?;
                self.handle_publickey(&request, &fields, Binding::Session, transport)
            }
            PUBLICKEY_HOSTBOUND if self.config.publickey => {
                let (fields, k_s) = PublickeyFields::decode_hostbound(request.method_fields)?;
                if k_s != transport.first_host_key() {
                    return self.fail(transport);
                }
                self.handle_publickey(&request, &fields, Binding::HostKey(k_s), transport)
            }
            b"password" if self.config.password => self.handle_password(&request, transport),
            b"none" => {
                self.send_failure(transport); // learns the methods; costs no try and no time
                Ok(Outcome::Internal)
            }
            _ => self.fail(transport),
        }
    }

    fn handle_publickey<'b>(
        &mut self,
        request: &UserauthRequest<'b>,
        fields: &PublickeyFields<'_>,
        binding: Binding<'_>,
        transport: &mut Transport<Server>,
    ) -> Result<Outcome<CredentialEvent<'b>>, Error> {
        // A name that is not accepted costs nothing more; nor does a key that cannot be read end the connection.
        let Some(algorithm) = accepted(transport, fields.public_key_algorithm_name) else {
            return self.fail(transport);
        };
        let Ok(key) = PublicKey::for_algorithm(algorithm, fields.public_key_blob) else {
            return self.fail(transport);
        };
        let Some(signature) = fields.signature else {
            self.queries += 1;
            if self.queries > QUERIES_MAX {
                return Err(TOO_MANY_REQUESTS.into());
            }
            self.pending = Some(Pending::Query { algorithm, key: Box::new(key.clone()) });
            return Ok(ask(request.user_name, Credential::Query { key }, transport));
        };
        let session_id = transport.session_id();
        let data =
            binding.signed_data(session_id, request.user_name, algorithm.name(), fields.public_key_blob);
        let Ok(proof) = key.verify(algorithm, &data, signature) else { return self.fail(transport) };
        // A token that nobody touched may be in the hands of a program.
        if proof.sk().is_some_and(|sk| !sk.user_present()) {
            return self.fail(transport);
        }
        self.pending = Some(Pending::Credential);
        Ok(ask(request.user_name, Credential::Publickey { key, proof }, transport))
    }

    fn handle_password<'b>(
        &mut self,
        request: &UserauthRequest<'b>,
        transport: &mut Transport<Server>,
    ) -> Result<Outcome<CredentialEvent<'b>>, Error> {
        let fields = PasswordFields::decode(request.method_fields)?;
        if fields.new_password.is_some() || fields.password.is_empty() {
            return self.fail(transport);
        }
        self.pending = Some(Pending::Credential);
        let password = Zeroizing::new(fields.password.to_vec());
        Ok(ask(request.user_name, Credential::Password(password), transport))
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
            self.send_failure(transport);
        } else {
            self.fail_at = Some(at);
        }
    }

    fn send_failure(&self, transport: &mut Transport<Server>) {
        let methods = match (self.config.publickey, self.config.password) {
            (true, true) => "publickey,password",
            (true, false) => "publickey",
            (false, true) => "password",
            (false, false) => "",
        };
        transport.send(&UserauthFailure {
            authentications_that_can_continue: NameList::from_own(methods),
            partial_success: false,
        });
    }

    /// The application says yes: a query is answered, a credential logs the user in.
    pub(crate) fn accept(
        &mut self,
        transport: &mut Transport<Server>,
        ticket: Ticket,
    ) -> Result<Option<Authenticated>, Error> {
        let pending = self.redeem(transport, ticket)?;
        match pending {
            Pending::Query { algorithm, key } => {
                transport.send(&UserauthPkOk {
                    public_key_algorithm_name: algorithm.name().as_bytes(),
                    public_key_blob: &key.blob(),
                });
                Ok(None)
            }
            Pending::Credential => {
                transport.send(&UserauthSuccess {});
                Ok(Some(Authenticated(())))
            }
        }
    }

    /// The application says no.
    pub(crate) fn refuse(&mut self, transport: &mut Transport<Server>, ticket: Ticket) -> Result<(), Error> {
        match self.redeem(transport, ticket)? {
            Pending::Query { .. } => self.delay_failure(transport),
            Pending::Credential => {
                self.fail::<()>(transport)?;
            }
        }
        Ok(())
    }

    fn redeem(&mut self, transport: &mut Transport<Server>, ticket: Ticket) -> Result<Pending, Error> {
        if self.pending.is_some() && transport.tickets().redeem(ticket) {
            return self.pending.take().ok_or(Error::Failed);
        }
        Err(STALE_VERDICT.into())
    }
}

fn ask<'b>(
    user_name: &'b [u8],
    credential: Credential,
    transport: &mut Transport<Server>,
) -> Outcome<CredentialEvent<'b>> {
    Outcome::Event(CredentialEvent { user_name, credential, ticket: transport.tickets().issue() })
}

/// The algorithm of exactly this name, if it is one that users may sign with here.
fn accepted(transport: &Transport<Server>, name: &[u8]) -> Option<SignatureAlgorithm> {
    transport.user_key_algorithms().find(|row| row.name.as_bytes() == name).map(|row| row.algorithm)
}
