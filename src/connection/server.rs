//! What only a server can do.

use super::channels::{ChannelLimits, Channels};
use super::global::Global;
use super::{ChannelId, Connection, NOT_AUTHENTICATED, Service};
use crate::transport::{Error, STALE_VERDICT, Server, Ticket};
use crate::userauth::Authenticated;

impl Connection<Server> {
    /// The credential is the user's. The answer to a query tells the client to go on; a credential logs the user in.
    pub fn accept_user(&mut self, ticket: Ticket) -> Result<(), Error> {
        let Service::Userauth(state) = &mut self.service else { return Err(STALE_VERDICT.into()) };
        if let Some(authenticated) = state.accept(&mut self.transport, ticket)? {
            self.authenticated(authenticated);
        }
        Ok(())
    }

    /// The credential is not the user's, or there is no such user.
    pub fn refuse_user(&mut self, ticket: Ticket) -> Result<(), Error> {
        let Service::Userauth(state) = &mut self.service else { return Err(STALE_VERDICT.into()) };
        let refused = state.refuse(&mut self.transport, ticket);
        self.ended(refused)
    }

    /// Opens a channel that the peer asked for.
    pub fn accept_channel(&mut self, id: ChannelId) -> Result<(), Error> {
        match &mut self.service {
            Service::Connection(channels) => channels.accept(id, &mut self.transport),
            Service::Userauth(_) => Err(NOT_AUTHENTICATED.into()),
        }
    }

    /// Refuses one, with a reason of RFC 4254 §5.1.
    pub fn refuse_channel(
        &mut self,
        id: ChannelId,
        reason_code: u32,
        description: &str,
    ) -> Result<(), Error> {
        match &mut self.service {
            Service::Connection(channels) => {
                channels.refuse(id, reason_code, description, &mut self.transport)
            }
            Service::Userauth(_) => Err(NOT_AUTHENTICATED.into()),
        }
    }
}

impl<S: crate::userauth::UserauthSide> Connection<S> {
    /// The only way to channels.
    pub(super) fn authenticated(&mut self, authenticated: Authenticated) {
        let limits: ChannelLimits = self.limits;
        self.transport.set_authenticated();
        self.service = Service::Connection(Channels::new(authenticated, limits));
        Global::announce(&mut self.transport);
    }
}
