//! What only a client can do.

use super::channel_type::ChannelType;
use super::{ChannelId, Connection, NOT_AUTHENTICATED, Service};
use crate::crypto::sign::certificate::PlainOrCertified;
use crate::crypto::sign::{PrivateKey, PublicKey};
use crate::transport::{Client, Error, STALE_VERDICT, Ticket, Transport};
use crate::userauth::ClientUserauth;
use std::sync::Arc;

impl Connection<Client> {
    /// The host key is the server's: the login begins.
    ///
    /// # Errors
    /// [`STALE_VERDICT`]; or the connection has ended.
    pub fn accept_host_key(&mut self, ticket: Ticket) -> Result<(), Error> {
        if self.transport.awaits_verdict() && self.transport.tickets().redeem(ticket) {
            self.transport.accept_host_key()
        } else {
            Err(STALE_VERDICT.into())
        }
    }

    /// The host key is not the server's: the connection ends, and nothing of the login was sent.
    ///
    /// # Errors
    /// [`STALE_VERDICT`].
    pub fn refuse_host_key(&mut self, ticket: Ticket) -> Result<(), Error> {
        if self.transport.awaits_verdict() && self.transport.tickets().redeem(ticket) {
            self.transport.fail(&Error::HostKeyRefused);
            Ok(())
        } else {
            Err(STALE_VERDICT.into())
        }
    }

    /// Tries a key: the server is asked first whether it would take it (RFC 4252 §7). A key that serves none of the
    /// `user_key` algorithms of the configuration is
    /// [`KEY_NOT_OFFERED`](crate::userauth::KEY_NOT_OFFERED).
    ///
    /// # Errors
    /// [`STALE_VERDICT`], or [`KEY_NOT_OFFERED`](crate::userauth::KEY_NOT_OFFERED).
    pub fn request_publickey(&mut self, ticket: Ticket, key: Arc<PrivateKey>) -> Result<(), Error> {
        self.userauth(|state, transport| state.request_publickey(transport, ticket, key))
    }

    /// Tries a key or certificate whose private half is elsewhere: if the server would take it, the event
    /// [`Sign`](crate::userauth::ClientUserauthEvent::Sign) asks for the signature.
    ///
    /// # Errors
    /// As of [`request_publickey`](Self::request_publickey).
    pub fn request_identity(&mut self, ticket: Ticket, identity: &PlainOrCertified) -> Result<(), Error> {
        self.userauth(|state, transport| state.request_identity(transport, ticket, identity))
    }

    /// Sends the signature that was asked for: the blob with its algorithm's name.
    ///
    /// # Errors
    /// [`STALE_VERDICT`].
    pub fn send_signature(&mut self, ticket: Ticket, signature: &[u8]) -> Result<(), Error> {
        self.userauth(|state, transport| state.send_signature(transport, ticket, signature))
    }

    /// Tries a password (RFC 4252 §8), of at most [`SECRET_MAX`](crate::userauth::SECRET_MAX) bytes.
    ///
    /// # Errors
    /// [`STALE_VERDICT`], or [`CREDENTIAL_TOO_LONG`](crate::userauth::CREDENTIAL_TOO_LONG).
    pub fn request_password(&mut self, ticket: Ticket, password: &[u8]) -> Result<(), Error> {
        self.userauth(|state, transport| state.request_password(transport, ticket, password, None))
    }

    /// Changes a password that has expired, and logs in by it (RFC 4252 §8).
    ///
    /// # Errors
    /// As of [`request_password`](Self::request_password).
    pub fn request_password_change(
        &mut self,
        ticket: Ticket,
        password: &[u8],
        new_password: &[u8],
    ) -> Result<(), Error> {
        let new = Some(new_password);
        self.userauth(|state, transport| state.request_password(transport, ticket, password, new))
    }

    /// Lets the server ask the person at the client (RFC 4256 §3.1); `submethods` is a hint, and may be empty.
    ///
    /// # Errors
    /// [`STALE_VERDICT`].
    pub fn request_keyboard_interactive(&mut self, ticket: Ticket, submethods: &[u8]) -> Result<(), Error> {
        self.userauth(|state, transport| state.request_keyboard_interactive(transport, ticket, submethods))
    }

    /// Answers the server's questions, one response for each prompt, of at most
    /// [`SECRET_MAX`](crate::userauth::SECRET_MAX) bytes together.
    ///
    /// # Errors
    /// As of [`request_password`](Self::request_password), or
    /// [`NOT_SO_MANY_PROMPTS`](crate::userauth::NOT_SO_MANY_PROMPTS).
    pub fn send_responses(&mut self, ticket: Ticket, responses: &[&[u8]]) -> Result<(), Error> {
        self.userauth(|state, transport| state.send_responses(transport, ticket, responses))
    }

    fn userauth(
        &mut self,
        act: impl FnOnce(&mut ClientUserauth, &mut Transport<Client>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match &mut self.service {
            Service::Userauth(state) => act(state, &mut self.transport),
            Service::Connection(_) => Err(STALE_VERDICT.into()),
        }
    }

    /// Asks the server to prove that it holds these keys, at most [`HOST_KEYS_MAX`](super::HOST_KEYS_MAX) (OpenSSH PROTOCOL
    /// §2.5); answered by [`HostKeysProved`](super::GlobalEvent::HostKeysProved) or
    /// [`HostKeysNotProved`](super::GlobalEvent::HostKeysNotProved). A server may prove each key only once.
    ///
    /// # Errors
    /// [`NOT_AUTHENTICATED`], [`TOO_MANY_HOST_KEYS`](super::TOO_MANY_HOST_KEYS) or
    /// [`TOO_MANY_GLOBAL_REQUESTS`](super::TOO_MANY_GLOBAL_REQUESTS).
    pub fn request_hostkeys_prove(&mut self, keys: &[PublicKey]) -> Result<(), Error> {
        match &self.service {
            Service::Connection(_) => self.global.request_hostkeys_prove(keys, &mut self.transport),
            Service::Userauth(_) => Err(NOT_AUTHENTICATED.into()),
        }
    }

    /// Asks for a session (RFC 4254 §6.1); answered by [`Opened`](super::ChannelEvent::Opened) or
    /// [`OpenFailure`](super::ChannelEvent::OpenFailure).
    ///
    /// # Errors
    /// [`NOT_AUTHENTICATED`], or [`TOO_MANY_CHANNELS`](super::TOO_MANY_CHANNELS).
    pub fn open_session(&mut self) -> Result<ChannelId, Error> {
        self.open(&ChannelType::Session)
    }
}
