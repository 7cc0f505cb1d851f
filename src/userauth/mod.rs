//! User authentication (RFC 4252, RFC 4256): who is asking, and is it true.
//!
//! It knows user names and methods, and what a login may do ([`Permissions`]). It does not know channels, nor which users
//! there are: the application judges a credential that was checked here. Of a connection it knows that nothing of the
//! connection protocol exists without an [`Authenticated`], which only this layer makes.

mod client;
mod interactive;
mod method;
mod permissions;
mod server;
mod signature;
mod source;

pub use client::{
    BANNERS_MAX, CREDENTIAL_TOO_LONG, ClientUserauth, ClientUserauthConfig, ClientUserauthEvent,
    INFO_REQUESTS_MAX, KEY_NOT_OFFERED, NOT_SO_MANY_PROMPTS, PARTIAL_SUCCESSES_MAX, SECRET_MAX,
    SignatureRequest, TOO_MANY_BANNERS, TOO_MANY_INFO_REQUESTS, TOO_MANY_PARTIAL_SUCCESSES, UNASKED_ANSWER,
};
pub use interactive::{PROMPTS_MAX, Prompt};
pub use method::{BadChains, CHAINS_MAX, Method, MethodChains};
pub use permissions::{Circumstances, CommandsDiffer, Endpoint, NotAdmitted, Permissions, Tunnel};
pub use server::{
    Accepted, Credential, CredentialEvent, Insufficient, QUERIES_MAX, REQUESTS_MAX, ServerUserauth,
    ServerUserauthConfig, TOO_MANY_FAILURES, TOO_MANY_PROMPTS, TOO_MANY_REQUESTS, UNKNOWN_SERVICE,
    USER_CHANGED,
};
pub use source::{BadSourceList, Origin, SOURCE_LIST_MAX, SourceList};

use crate::transport::{Error, KexSide, Transport};
use std::time::Instant;

/// The service that follows authentication (RFC 4254).
const CONNECTION_SERVICE: &[u8] = b"ssh-connection";
/// The service of this layer.
const USERAUTH_SERVICE: &[u8] = b"ssh-userauth";

/// Proof that a user is authenticated, and at a server what he may do.
#[derive(Debug)]
pub struct Authenticated(Option<Box<Permissions>>);

impl Authenticated {
    /// What the user may do here; a client permits a server nothing.
    pub(crate) fn permissions(&self) -> Option<&Permissions> {
        self.0.as_deref()
    }
}

/// What a message meant.
#[derive(Debug)]
pub enum Outcome<E> {
    /// Nothing to tell.
    Internal,
    /// Something to tell the application.
    Event(E),
    /// The login is complete.
    Success(Authenticated),
}

/// Where the sides differ in RFC 4252. Implemented by [`Client`](crate::transport::Client) and
/// [`Server`](crate::transport::Server) only.
pub trait UserauthSide: KexSide {
    /// The configuration of this side.
    type UserauthConfig;
    /// The state of this side.
    type Userauth;
    /// What the application is told or asked.
    type UserauthEvent<'b>;

    /// Begins; what is sent waits for the keys.
    #[doc(hidden)]
    fn begin_userauth(config: Self::UserauthConfig, transport: &mut Transport<Self>) -> Self::Userauth;
    /// A message of numbers 5, 6, 50 to 79 came.
    #[doc(hidden)]
    fn handle_userauth<'b>(
        state: &mut Self::Userauth,
        payload: &'b [u8],
        transport: &mut Transport<Self>,
    ) -> Result<Outcome<Self::UserauthEvent<'b>>, Error>;
    /// When an answer that is being delayed is due; no input is taken until then.
    #[doc(hidden)]
    fn userauth_timeout(state: &Self::Userauth) -> Option<Instant>;
    /// Sends what is due.
    #[doc(hidden)]
    fn handle_userauth_timeout(state: &mut Self::Userauth, transport: &mut Transport<Self>);
    /// Whether a key or password of the peer's was refused, or a key asked about; never at a client.
    #[doc(hidden)]
    fn has_tried(state: &Self::Userauth) -> bool;
    /// A door for tests: where the login stands, in a word.
    #[cfg(test)]
    fn userauth_state(state: &Self::Userauth) -> &'static str;
}
