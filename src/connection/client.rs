//! What only a client can do.

use super::channel::{MAXIMUM_PACKET_SIZE, Stage};
use super::channels::TOO_MANY_CHANNELS;
use super::{ChannelId, Connection, NOT_AUTHENTICATED, Service};
use crate::crypto::sign::{PrivateKey, PublicKey};
use crate::transport::{Client, Error, STALE_VERDICT, Ticket};
use crate::wire::message::ChannelOpen;
use std::sync::Arc;

impl Connection<Client> {
    /// The host key is the server's: the login begins.
    pub fn accept_host_key(&mut self, ticket: Ticket) -> Result<(), Error> {
        if self.transport.awaits_verdict() && self.transport.tickets().redeem(ticket) {
            self.transport.accept_host_key()
        } else {
            Err(STALE_VERDICT.into())
        }
    }

    /// The host key is not the server's: the connection ends, and nothing of the login was sent.
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
    pub fn request_publickey(&mut self, ticket: Ticket, key: Arc<PrivateKey>) -> Result<(), Error> {
        match &mut self.service {
            Service::Userauth(state) => state.request_publickey(&mut self.transport, ticket, key),
            Service::Connection(_) => Err(STALE_VERDICT.into()),
        }
    }

    /// Tries a password (RFC 4252 §8).
    pub fn request_password(&mut self, ticket: Ticket, password: &[u8]) -> Result<(), Error> {
        match &mut self.service {
            Service::Userauth(state) => state.request_password(&mut self.transport, ticket, password),
            Service::Connection(_) => Err(STALE_VERDICT.into()),
        }
    }

    /// Asks the server to prove that it holds these keys, at most [`HOST_KEYS_MAX`](super::HOST_KEYS_MAX) (OpenSSH PROTOCOL
    /// §2.5); answered by [`HostKeysProved`](super::GlobalEvent::HostKeysProved) or
    /// [`HostKeysNotProved`](super::GlobalEvent::HostKeysNotProved). A server may prove each key only once.
    pub fn request_hostkeys_prove(&mut self, keys: &[PublicKey]) -> Result<(), Error> {
        match &self.service {
            Service::Connection(_) => self.global.request_hostkeys_prove(keys, &mut self.transport),
            Service::Userauth(_) => Err(NOT_AUTHENTICATED.into()),
        }
    }

    /// Asks for a session (RFC 4254 §6.1); answered by [`Opened`](super::ChannelEvent::Opened) or
    /// [`OpenFailure`](super::ChannelEvent::OpenFailure).
    pub fn open_session(&mut self) -> Result<ChannelId, Error> {
        let Service::Connection(channels) = &mut self.service else { return Err(NOT_AUTHENTICATED.into()) };
        let (id, _) = channels.insert(Stage::Opening).ok_or(TOO_MANY_CHANNELS)?;
        self.transport.send(&ChannelOpen {
            channel_type: b"session",
            sender_channel: id.number,
            initial_window_size: channels.window_size(),
            maximum_packet_size: MAXIMUM_PACKET_SIZE,
            type_fields: b"",
        });
        Ok(id)
    }
}
