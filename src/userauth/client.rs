//! The client: asks, shows credentials, and takes no answer that it did not ask for.

use super::interactive::{KEYBOARD_INTERACTIVE, Prompt, encode_responses, prompts};
use super::signature::{Binding, PUBLICKEY};
use super::{Authenticated, CONNECTION_SERVICE, Outcome, USERAUTH_SERVICE, UserauthSide};
use crate::crypto::sign::certificate::{KeyAlgorithm, PlainOrCertified};
use crate::crypto::sign::{PrivateKey, SignatureAlgorithm};
use crate::transport::{Client, Error, Misuse, STALE_VERDICT, Ticket, Transport};
use crate::wire::message::{
    ServiceAccept, ServiceRequest, UserauthBanner, UserauthFailure, UserauthInfoRequest,
    UserauthInfoResponse, UserauthPasswdChangereq, UserauthPkOk, UserauthRequest, UserauthSuccess,
};
use crate::wire::{Decode, Encode, Fault, NameList, Writer};
use std::sync::Arc;
use std::time::Instant;
use zeroize::Zeroizing;

/// Banners that are taken in one login.
pub const BANNERS_MAX: u32 = 64;
/// SSH_MSG_USERAUTH_INFO_REQUEST that are taken in one login.
pub const INFO_REQUESTS_MAX: u32 = 64;
/// Partial successes that are taken in one login: a client may begin anew after each.
pub const PARTIAL_SUCCESSES_MAX: u32 = 16;
/// The longest password, or all responses to one request together (bytes): what fits into a packet before the login.
pub const SECRET_MAX: usize = 16 * 1024;

/// An answer to a request that is not out.
pub const UNASKED_ANSWER: Fault = Fault::protocol("an answer of user authentication that nobody asked for");
/// Banner after banner.
pub const TOO_MANY_BANNERS: Fault = Fault::protocol("too many banners");
/// Question after question.
pub const TOO_MANY_INFO_REQUESTS: Fault = Fault::protocol("too many requests for information");
/// Step after step, and no end.
pub const TOO_MANY_PARTIAL_SUCCESSES: Fault = Fault::protocol("too many partial successes");

/// A key that signs with nothing that this client offers.
pub const KEY_NOT_OFFERED: Misuse = Misuse("the key serves no signature algorithm that is offered");
/// A password or responses of more than [`SECRET_MAX`] bytes.
pub const CREDENTIAL_TOO_LONG: Misuse = Misuse("the password or the responses are too long");
/// Other than one response for each prompt.
pub const NOT_SO_MANY_PROMPTS: Misuse = Misuse("there is one response for each prompt");

/// Who logs in.
#[derive(Clone, Debug)]
pub struct ClientUserauthConfig {
    /// The name at the server.
    pub user_name: String,
}

/// What a login tells the client. Each ticket is for the next `request_*` or what the event names; no input is taken until
/// it is used, and whoever has nothing left disconnects.
#[derive(Debug)]
pub enum ClientUserauthEvent<'b> {
    /// SSH_MSG_USERAUTH_BANNER: a text of the server's; escape it before it is shown.
    Banner {
        /// Any bytes.
        message: &'b [u8],
    },
    /// The server waits for a credential, after the first question or after one that did not suffice.
    Continue {
        /// What the server would take next.
        authentications_that_can_continue: NameList<'b>,
        /// The last credential was right, and more is needed.
        partial_success: bool,
        /// For the next request.
        ticket: Ticket,
    },
    /// The server would take the key of
    /// [`request_identity`](crate::connection::Connection::request_identity):
    /// [`send_signature`](crate::connection::Connection::send_signature) proves it, and any other request gives it up.
    Sign {
        /// What is to be signed.
        request: SignatureRequest,
        /// For the signature.
        ticket: Ticket,
    },
    /// The password is right but must be changed first:
    /// [`request_password_change`](crate::connection::Connection::request_password_change).
    PasswordExpired {
        /// The server's text; escape it before it is shown.
        prompt: &'b [u8],
        /// For the next request.
        ticket: Ticket,
    },
    /// Questions to the person at the client, perhaps none (RFC 4256 §3.2):
    /// [`send_responses`](crate::connection::Connection::send_responses).
    InformationRequest {
        /// The server's title; escape it before it is shown, as the other texts.
        name: &'b [u8],
        /// What stands above the questions.
        instruction: &'b [u8],
        /// At most [`PROMPTS_MAX`](super::PROMPTS_MAX).
        prompts: Vec<Prompt<'b>>,
        /// For the responses.
        ticket: Ticket,
    },
}

/// What a key that is not in this process is to sign, in an agent for example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureRequest {
    /// By this algorithm.
    pub algorithm: SignatureAlgorithm,
    /// With the key, or the key of the certificate, of this blob.
    pub public_key_blob: Vec<u8>,
    /// The bytes (RFC 4252 §7).
    pub data: Vec<u8>,
}

/// A key that the server was asked about.
#[derive(Debug)]
struct Offer {
    algorithm: KeyAlgorithm,
    blob: Vec<u8>,
    /// Signs by itself, if it is there.
    key: Option<Arc<PrivateKey>>,
}

/// The request that is out.
#[derive(Debug)]
enum State {
    ServiceRequest,
    /// No request: the application was asked for one.
    Choosing,
    None,
    Query(Box<Offer>),
    /// No request: the application was asked for a signature.
    Signing(Box<Offer>),
    Publickey,
    Password,
    Interactive,
    /// No request: the application was asked so many questions.
    Answering(usize),
}

/// The state of a client's login.
#[derive(Debug)]
pub struct ClientUserauth {
    user_name: String,
    state: State,
    banners: u32,
    info_requests: u32,
    partial_successes: u32,
}

impl UserauthSide for Client {
    type UserauthConfig = ClientUserauthConfig;
    type Userauth = ClientUserauth;
    type UserauthEvent<'b> = ClientUserauthEvent<'b>;

    fn begin_userauth(config: ClientUserauthConfig, transport: &mut Transport<Self>) -> ClientUserauth {
        transport.send(&ServiceRequest { service_name: USERAUTH_SERVICE });
        ClientUserauth {
            user_name: config.user_name,
            state: State::ServiceRequest,
            banners: 0,
            info_requests: 0,
            partial_successes: 0,
        }
    }

    fn handle_userauth<'b>(
        own: &mut ClientUserauth,
        payload: &'b [u8],
        transport: &mut Transport<Self>,
    ) -> Result<Outcome<ClientUserauthEvent<'b>>, Error> {
        match (payload.first().copied().unwrap_or_default(), &own.state) {
            (ServiceAccept::NUMBER, State::ServiceRequest) => {
                if ServiceAccept::from_payload(payload)?.service_name != USERAUTH_SERVICE {
                    return Err(UNASKED_ANSWER.into());
                }
                own.request(transport, b"none", b"");
                own.state = State::None;
                Ok(Outcome::Internal)
            }
            (UserauthBanner::NUMBER, _) => {
                own.banners += 1;
                if own.banners > BANNERS_MAX {
                    return Err(TOO_MANY_BANNERS.into());
                }
                let message = UserauthBanner::from_payload(payload)?.message;
                Ok(Outcome::Event(ClientUserauthEvent::Banner { message }))
            }
            (
                UserauthFailure::NUMBER,
                State::None | State::Query(..) | State::Publickey | State::Password | State::Interactive,
            ) => {
                let UserauthFailure { authentications_that_can_continue, partial_success } =
                    UserauthFailure::from_payload(payload)?;
                own.partial_successes += u32::from(partial_success);
                if own.partial_successes > PARTIAL_SUCCESSES_MAX {
                    return Err(TOO_MANY_PARTIAL_SUCCESSES.into());
                }
                own.state = State::Choosing;
                let ticket = transport.tickets().issue();
                Ok(Outcome::Event(ClientUserauthEvent::Continue {
                    authentications_that_can_continue,
                    partial_success,
                    ticket,
                }))
            }
            (
                UserauthSuccess::NUMBER,
                State::None | State::Publickey | State::Password | State::Interactive,
            ) => {
                UserauthSuccess::from_payload(payload)?;
                Ok(Outcome::Success(Authenticated(None)))
            }
            (UserauthPkOk::NUMBER, State::Query(_)) => own.handle_pk_ok(payload, transport),
            (UserauthInfoRequest::NUMBER, State::Interactive) => own.handle_info_request(payload, transport),
            (UserauthPasswdChangereq::NUMBER, State::Password) => {
                let prompt = UserauthPasswdChangereq::from_payload(payload)?.prompt;
                own.state = State::Choosing;
                let ticket = transport.tickets().issue();
                Ok(Outcome::Event(ClientUserauthEvent::PasswordExpired { prompt, ticket }))
            }
            _ => Err(UNASKED_ANSWER.into()),
        }
    }

    fn userauth_timeout(_: &ClientUserauth) -> Option<Instant> {
        None
    }

    fn handle_userauth_timeout(_: &mut ClientUserauth, _: &mut Transport<Self>) {}

    fn has_tried(_: &ClientUserauth) -> bool {
        false
    }

    #[cfg(test)]
    fn userauth_state(own: &ClientUserauth) -> &'static str {
        match &own.state {
            State::ServiceRequest => "ServiceRequest",
            State::Choosing => "Choosing",
            State::None => "None",
            State::Query(offer) if offer.key.is_none() => "QueryToSign",
            State::Query(..) => "Query",
            State::Signing(..) => "Signing",
            State::Interactive => "Interactive",
            State::Answering(..) => "Answering",
            State::Publickey => "Publickey",
            State::Password => "Password",
        }
    }
}

impl ClientUserauth {
    fn request(&self, transport: &mut Transport<Client>, method_name: &[u8], method_fields: &[u8]) {
        transport.send(&UserauthRequest {
            user_name: self.user_name.as_bytes(),
            service_name: CONNECTION_SERVICE,
            method_name,
            method_fields,
        });
    }

    /// Asks whether the server would take `key`; if it does, the signature follows by itself.
    pub(crate) fn request_publickey(
        &mut self,
        transport: &mut Transport<Client>,
        ticket: Ticket,
        key: Arc<PrivateKey>,
    ) -> Result<(), Error> {
        let identity = PlainOrCertified::Plain(key.public_key());
        self.query(transport, ticket, &identity, Some(key))
    }

    /// The same for a key or certificate whose signatures come from elsewhere.
    pub(crate) fn request_identity(
        &mut self,
        transport: &mut Transport<Client>,
        ticket: Ticket,
        identity: &PlainOrCertified,
    ) -> Result<(), Error> {
        self.query(transport, ticket, identity, None)
    }

    fn query(
        &mut self,
        transport: &mut Transport<Client>,
        ticket: Ticket,
        identity: &PlainOrCertified,
        key: Option<Arc<PrivateKey>>,
    ) -> Result<(), Error> {
        let algorithm = shown_by(transport, identity).ok_or(KEY_NOT_OFFERED)?;
        self.redeem(transport, ticket)?;
        let (name, blob) = (algorithm.name(), identity.blob());
        let mut fields = Vec::new();
        let mut w = Writer::new(&mut fields);
        w.boolean(false);
        w.string(name.as_bytes());
        w.string(&blob);
        self.request(transport, PUBLICKEY, &fields);
        self.state = State::Query(Box::new(Offer { algorithm, blob, key }));
        Ok(())
    }

    /// Shows a password (RFC 4252 §8), and perhaps one to put in its place.
    pub(crate) fn request_password(
        &mut self,
        transport: &mut Transport<Client>,
        ticket: Ticket,
        password: &[u8],
        new_password: Option<&[u8]>,
    ) -> Result<(), Error> {
        let length = password.len().saturating_add(new_password.map_or(0, <[u8]>::len));
        if length > SECRET_MAX {
            return Err(CREDENTIAL_TOO_LONG.into());
        }
        self.redeem(transport, ticket)?;
        let mut fields = Zeroizing::new(Vec::with_capacity(length + 9)); // never moved, so wiped whole
        let mut w = Writer::new(&mut fields);
        w.boolean(new_password.is_some());
        w.string(password);
        new_password.into_iter().for_each(|new| w.string(new));
        self.request(transport, b"password", &fields);
        self.state = State::Password;
        Ok(())
    }

    /// Lets the server ask (RFC 4256 §3.1).
    pub(crate) fn request_keyboard_interactive(
        &mut self,
        transport: &mut Transport<Client>,
        ticket: Ticket,
        submethods: &[u8],
    ) -> Result<(), Error> {
        self.redeem(transport, ticket)?;
        let mut fields = Vec::new();
        let mut w = Writer::new(&mut fields);
        w.string(b"");
        w.string(submethods);
        self.request(transport, KEYBOARD_INTERACTIVE, &fields);
        self.state = State::Interactive;
        Ok(())
    }

    /// Answers the server's questions.
    pub(crate) fn send_responses(
        &mut self,
        transport: &mut Transport<Client>,
        ticket: Ticket,
        responses: &[&[u8]],
    ) -> Result<(), Error> {
        let State::Answering(prompts) = self.state else { return Err(STALE_VERDICT.into()) };
        if responses.len() != prompts {
            return Err(NOT_SO_MANY_PROMPTS.into());
        }
        if responses.iter().map(|response| response.len()).sum::<usize>() > SECRET_MAX {
            return Err(CREDENTIAL_TOO_LONG.into());
        }
        self.redeem(transport, ticket)?;
        transport.send(&UserauthInfoResponse {
            num_responses: u32::try_from(prompts).unwrap_or(0),
            responses: &encode_responses(responses),
        });
        self.state = State::Interactive;
        Ok(())
    }

    /// Proves the key that the server would take.
    pub(crate) fn send_signature(
        &mut self,
        transport: &mut Transport<Client>,
        ticket: Ticket,
        signature: &[u8],
    ) -> Result<(), Error> {
        if !matches!(self.state, State::Signing(_)) {
            return Err(STALE_VERDICT.into());
        }
        self.redeem(transport, ticket)?;
        if let State::Signing(offer) = core::mem::replace(&mut self.state, State::Publickey) {
            self.request_signed(transport, &offer, signature);
        }
        Ok(())
    }

    fn redeem(&self, transport: &mut Transport<Client>, ticket: Ticket) -> Result<(), Error> {
        let asked = matches!(self.state, State::Choosing | State::Signing(_) | State::Answering(_));
        if asked && transport.tickets().redeem(ticket) { Ok(()) } else { Err(STALE_VERDICT.into()) }
    }

    /// The answer must name the key that was asked for; the signature binds this session and request.
    fn handle_pk_ok<'b>(
        &mut self,
        payload: &'b [u8],
        transport: &mut Transport<Client>,
    ) -> Result<Outcome<ClientUserauthEvent<'b>>, Error> {
        let State::Query(offer) = core::mem::replace(&mut self.state, State::Publickey) else {
            return Err(UNASKED_ANSWER.into());
        };
        let ok = UserauthPkOk::from_payload(payload)?;
        if ok.public_key_algorithm_name != offer.algorithm.name().as_bytes()
            || ok.public_key_blob != offer.blob
        {
            return Err(UNASKED_ANSWER.into());
        }
        let data = Self::binding(transport).signed_data(
            transport.session_id(),
            self.user_name.as_bytes(),
            offer.algorithm.name(),
            &offer.blob,
        );
        if let Some(key) = &offer.key {
            let signature = key.sign(offer.algorithm.signature, &data).map_err(|_| Error::Failed)?;
            self.request_signed(transport, &offer, &signature);
            return Ok(Outcome::Internal);
        }
        let request = SignatureRequest {
            algorithm: offer.algorithm.signature,
            public_key_blob: offer.blob.clone(),
            data,
        };
        self.state = State::Signing(offer);
        let ticket = transport.tickets().issue();
        Ok(Outcome::Event(ClientUserauthEvent::Sign { request, ticket }))
    }

    fn binding(transport: &Transport<Client>) -> Binding<'_> {
        match transport.takes_hostbound() {
            true => Binding::HostKey(transport.first_host_key()),
            false => Binding::Session,
        }
    }

    fn request_signed(&self, transport: &mut Transport<Client>, offer: &Offer, signature: &[u8]) {
        let binding = Self::binding(transport);
        let (method, mut fields) =
            (binding.method_name(), binding.signed_fields(offer.algorithm.name(), &offer.blob));
        Writer::new(&mut fields).string(signature);
        self.request(transport, method, &fields);
    }

    fn handle_info_request<'b>(
        &mut self,
        payload: &'b [u8],
        transport: &mut Transport<Client>,
    ) -> Result<Outcome<ClientUserauthEvent<'b>>, Error> {
        self.info_requests += 1;
        if self.info_requests > INFO_REQUESTS_MAX {
            return Err(TOO_MANY_INFO_REQUESTS.into());
        }
        let request = UserauthInfoRequest::from_payload(payload)?;
        let prompts = prompts(&request)?;
        self.state = State::Answering(prompts.len());
        let UserauthInfoRequest { name, instruction, .. } = request;
        let ticket = transport.tickets().issue();
        Ok(Outcome::Event(ClientUserauthEvent::InformationRequest { name, instruction, prompts, ticket }))
    }
}

/// By what this client shows a key or certificate.
fn shown_by(transport: &Transport<Client>, identity: &PlainOrCertified) -> Option<KeyAlgorithm> {
    let certified = matches!(identity, PlainOrCertified::Certified(_));
    let key_type = identity.key().key_type();
    let rows = transport.user_key_algorithms().map(|row| row.algorithm);
    let rows = rows.filter(|row| row.certified == certified && row.signature.key_type() == key_type);
    let signature = choose(rows.map(|row| row.signature), transport.server_sig_algs())?;
    Some(KeyAlgorithm { signature, certified })
}

/// The first of `own` that the server says it takes. One that says nothing, or nothing of this kind of key (RFC 8308 §3.1),
/// is shown the first: a server old enough to refuse rsa-sha2-512 has no rsa-sha2-256 either, and a second try counts.
fn choose(
    mut own: impl Iterator<Item = SignatureAlgorithm> + Clone,
    server_sig_algs: Option<&[SignatureAlgorithm]>,
) -> Option<SignatureAlgorithm> {
    let takes = server_sig_algs.unwrap_or_default();
    own.clone().find(|algorithm| takes.contains(algorithm)).or_else(|| own.next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::sign::rsa::Scheme;

    #[test]
    fn t26_the_server_says_with_which_hash_a_key_of_rsa_signs() {
        let [sha512, sha256, sha1] =
            [Scheme::Sha512, Scheme::Sha256, Scheme::Sha1].map(SignatureAlgorithm::Rsa);
        let own = [sha512, sha256];
        for (taken, expected) in [
            (None, sha512),
            (Some(&[][..]), sha512),
            (Some(&[SignatureAlgorithm::Ed25519, sha1]), sha512),
            (Some(&[sha1, sha256]), sha256),
            (Some(&[sha256, sha512]), sha512),
        ] {
            assert_eq!(choose(own.into_iter(), taken), Some(expected), "{taken:?}");
        }
        assert_eq!(choose([].into_iter(), Some(&[sha512])), None);
    }
}
