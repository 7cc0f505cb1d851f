//! The client: asks, shows credentials, and takes no answer that it did not ask for.

use super::signature::{Binding, PUBLICKEY};
use super::{Authenticated, CONNECTION_SERVICE, Outcome, USERAUTH_SERVICE, UserauthSide};
use crate::crypto::sign::{PrivateKey, SignatureAlgorithm};
use crate::transport::{Client, Error, Misuse, STALE_VERDICT, Ticket, Transport};
use crate::wire::message::{
    ServiceAccept, ServiceRequest, UserauthBanner, UserauthFailure, UserauthPasswdChangereq, UserauthPkOk,
    UserauthRequest, UserauthSuccess,
};
use crate::wire::{Decode, Encode, Fault, NameList, Writer};
use std::sync::Arc;
use std::time::Instant;
use zeroize::Zeroizing;

/// Banners that are taken in one login.
pub const BANNERS_MAX: u32 = 64;

/// An answer to a request that is not out.
pub const UNASKED_ANSWER: Fault = Fault::protocol("an answer of user authentication that nobody asked for");
/// Banner after banner.
pub const TOO_MANY_BANNERS: Fault = Fault::protocol("too many banners");

/// A key that signs with nothing that this client offers.
pub const KEY_NOT_OFFERED: Misuse = Misuse("the key serves no signature algorithm that is offered");

/// Who logs in.
#[derive(Clone, Debug)]
pub struct ClientUserauthConfig {
    /// The name at the server.
    pub user_name: String,
}

/// What a login tells the client.
#[derive(Debug)]
pub enum ClientUserauthEvent<'b> {
    /// SSH_MSG_USERAUTH_BANNER: a text of the server's; escape it before it is shown.
    Banner {
        /// Any bytes.
        message: &'b [u8],
    },
    /// The server waits for a credential, after the first question or after one that did not suffice. No input is taken
    /// until a `request_*` brings the ticket back; whoever has nothing left disconnects.
    Continue {
        /// What the server would take next.
        authentications_that_can_continue: NameList<'b>,
        /// The last credential was right, and more is needed.
        partial_success: bool,
        /// For the next request.
        ticket: Ticket,
    },
    /// The password is right but must be changed at the server first.
    PasswordExpired {
        /// The server's text; escape it before it is shown.
        prompt: &'b [u8],
        /// For the next request.
        ticket: Ticket,
    },
}

/// The request that is out.
#[derive(Debug)]
enum State {
    ServiceRequest,
    /// No request: the application was asked for one.
    Choosing,
    None,
    Query(Arc<PrivateKey>, SignatureAlgorithm),
    Publickey,
    Password,
}

/// The state of a client's login.
#[derive(Debug)]
pub struct ClientUserauth {
    user_name: String,
    state: State,
    banners: u32,
}

impl UserauthSide for Client {
    type UserauthConfig = ClientUserauthConfig;
    type Userauth = ClientUserauth;
    type UserauthEvent<'b> = ClientUserauthEvent<'b>;

    fn begin_userauth(config: ClientUserauthConfig, transport: &mut Transport<Self>) -> ClientUserauth {
        transport.send(&ServiceRequest { service_name: USERAUTH_SERVICE });
        ClientUserauth { user_name: config.user_name, state: State::ServiceRequest, banners: 0 }
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
                State::None | State::Query(..) | State::Publickey | State::Password,
            ) => {
                let UserauthFailure { authentications_that_can_continue, partial_success } =
                    UserauthFailure::from_payload(payload)?;
                own.state = State::Choosing;
                let ticket = transport.tickets().issue();
                Ok(Outcome::Event(ClientUserauthEvent::Continue {
                    authentications_that_can_continue,
                    partial_success,
                    ticket,
                }))
            }
            (UserauthSuccess::NUMBER, State::None | State::Publickey | State::Password) => {
                UserauthSuccess::from_payload(payload)?;
                Ok(Outcome::Success(Authenticated(())))
            }
            (UserauthPkOk::NUMBER, State::Query(key, algorithm)) => {
                let (key, algorithm) = (Arc::clone(key), *algorithm);
                own.handle_pk_ok(payload, transport, &key, algorithm)
            }
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
        match own.state {
            State::ServiceRequest => "ServiceRequest",
            State::Choosing => "Choosing",
            State::None => "None",
            State::Query(..) => "Query",
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
        let algorithm = signs_with(transport, &key).ok_or(KEY_NOT_OFFERED)?;
        self.redeem(transport, ticket)?;
        let mut fields = Vec::new();
        let mut w = Writer::new(&mut fields);
        w.boolean(false);
        w.string(algorithm.name().as_bytes());
        w.string(&key.public_key().blob());
        self.request(transport, PUBLICKEY, &fields);
        self.state = State::Query(key, algorithm);
        Ok(())
    }

    /// Shows a password (RFC 4252 §8).
    pub(crate) fn request_password(
        &mut self,
        transport: &mut Transport<Client>,
        ticket: Ticket,
        password: &[u8],
    ) -> Result<(), Error> {
        self.redeem(transport, ticket)?;
        let mut fields = Zeroizing::new(Vec::with_capacity(password.len() + 5)); // never moved, so wiped whole
        let mut w = Writer::new(&mut fields);
        w.boolean(false);
        w.string(password);
        self.request(transport, b"password", &fields);
        self.state = State::Password;
        Ok(())
    }

    fn redeem(&self, transport: &mut Transport<Client>, ticket: Ticket) -> Result<(), Error> {
        let fits = matches!(self.state, State::Choosing) && transport.tickets().redeem(ticket);
        if fits { Ok(()) } else { Err(STALE_VERDICT.into()) }
    }

    /// The answer must name the key that was asked for; the signature binds this session and request.
    fn handle_pk_ok<'b>(
        &mut self,
        payload: &'b [u8],
        transport: &mut Transport<Client>,
        key: &PrivateKey,
        algorithm: SignatureAlgorithm,
    ) -> Result<Outcome<ClientUserauthEvent<'b>>, Error> {
        let ok = UserauthPkOk::from_payload(payload)?;
        let blob = key.public_key().blob();
        let name = algorithm.name();
        if ok.public_key_algorithm_name != name.as_bytes() || ok.public_key_blob != blob {
            return Err(UNASKED_ANSWER.into());
        }
        let binding = match transport.takes_hostbound() {
            true => Binding::HostKey(transport.first_host_key()),
            false => Binding::Session,
        };
        let data = binding.signed_data(transport.session_id(), self.user_name.as_bytes(), name, &blob);
        let signature = key.sign(algorithm, &data).map_err(|_| Error::Failed)?;
        let mut fields = binding.signed_fields(name, &blob);
        Writer::new(&mut fields).string(&signature);
        self.request(transport, binding.method_name(), &fields);
        self.state = State::Publickey;
        Ok(Outcome::Internal)
    }
}

/// What this client signs with `key` with.
fn signs_with(transport: &Transport<Client>, key: &PrivateKey) -> Option<SignatureAlgorithm> {
    let rows = transport.user_key_algorithms().map(|row| row.algorithm);
    choose(rows.filter(|algorithm| key.can_sign(*algorithm)), transport.server_sig_algs())
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
