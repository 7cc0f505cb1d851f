//! What only a server can do.

use super::{Connection, Service};
use crate::transport::{Error, STALE_VERDICT, Server, Ticket, Transport};
use crate::userauth::{Accepted, MethodChains, Permissions, Prompt, ServerUserauth};

impl Connection<Server> {
    /// The credential is the user's, who may do what `permissions` say by it. The answer to a query tells the client to go
    /// on; a credential is a step of the login, and the last one logs the user in. What all steps permit together is
    /// permitted.
    ///
    /// # Errors
    /// The connection has ended: it was not enough, and one time too many; or [`STALE_VERDICT`].
    pub fn accept_user(&mut self, ticket: Ticket, permissions: &Permissions) -> Result<Accepted, Error> {
        let Service::Userauth(state) = &mut self.service else { return Err(STALE_VERDICT.into()) };
        let accepted = state.accept(&mut self.transport, ticket, permissions);
        let (accepted, authenticated) = self.ended(accepted)?;
        if let Some(authenticated) = authenticated {
            self.authenticated(authenticated);
        }
        Ok(accepted)
    }

    /// The credential is not the user's, or there is no such user.
    ///
    /// # Errors
    /// [`STALE_VERDICT`]; or the connection has ended: it was one time too many.
    pub fn refuse_user(&mut self, ticket: Ticket) -> Result<(), Error> {
        let refused = self.userauth(|state, transport| state.refuse(transport, ticket));
        self.ended(refused)
    }

    /// Asks the person at the client, when keyboard-interactive is under way (RFC 4256 §3.2). Each prompt is a text and
    /// whether the answer may be seen; at most [`PROMPTS_MAX`](crate::userauth::PROMPTS_MAX), perhaps none.
    ///
    /// # Errors
    /// [`STALE_VERDICT`], or [`TOO_MANY_PROMPTS`](crate::userauth::TOO_MANY_PROMPTS).
    pub fn request_information(
        &mut self,
        ticket: Ticket,
        name: &[u8],
        instruction: &[u8],
        prompts: &[Prompt<'_>],
    ) -> Result<(), Error> {
        self.userauth(|state, transport| {
            state.request_information(transport, ticket, (name, instruction), prompts)
        })
    }

    /// The password is right, and the client must change it before it counts (RFC 4252 §8).
    ///
    /// # Errors
    /// [`STALE_VERDICT`].
    pub fn expire_password(&mut self, ticket: Ticket, prompt: &[u8]) -> Result<(), Error> {
        self.userauth(|state, transport| state.expire_password(transport, ticket, prompt))
    }

    /// What this user must go through, in place of the configuration's methods; to be said when he is first asked about,
    /// and without effect after his first step. Until then he is told the configuration's, like everybody.
    pub fn set_methods(&mut self, methods: MethodChains) {
        if let Service::Userauth(state) = &mut self.service {
            state.set_methods(methods);
        }
    }

    /// What the user may do; nothing before he is logged in.
    #[must_use]
    pub fn permissions(&self) -> Option<&Permissions> {
        match &self.service {
            Service::Userauth(_) => None,
            Service::Connection(channels) => channels.permissions(),
        }
    }

    fn userauth(
        &mut self,
        act: impl FnOnce(&mut ServerUserauth, &mut Transport<Server>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match &mut self.service {
            Service::Userauth(state) => act(state, &mut self.transport),
            Service::Connection(_) => Err(STALE_VERDICT.into()),
        }
    }
}
