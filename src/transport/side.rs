//! The two sides of a connection, and where they differ in RFC 4253: who sends the first half of the exchange, who signs,
//! who judges.

use super::algorithms::{Algorithms, Negotiated};
use super::error::Error;
use super::kex::{ExchangeHash, KexNext};
use super::rekey::RekeyLimit;
use super::{Link, Ticket};
use crate::crypto::sign::certificate::Certificate;
use crate::crypto::sign::{PrivateKey, PublicKey, SignatureVerified};
use crate::wire::number::Sender;
use core::time::Duration;
use std::sync::Arc;

/// The side that opened the connection.
#[derive(Clone, Copy, Debug)]
pub struct Client;

/// The side that accepted it.
#[derive(Clone, Copy, Debug)]
pub struct Server;

/// What both sides configure.
#[derive(Clone, Debug)]
pub struct TransportConfig {
    /// What is offered.
    pub algorithms: Algorithms,
    /// When keys are renewed.
    pub rekey_limit: RekeyLimit,
    /// How long a peer may take: to a server, from the connection to the end of the login; to a client, until keys are in
    /// use (a person may type a password after that). The same holds for each later exchange.
    pub login_grace: Duration,
}

impl TransportConfig {
    /// A client's default: all that is thought secure, 1 GiB or an hour, 120 seconds.
    #[must_use]
    pub fn client() -> Self {
        Self::new(Algorithms::client())
    }

    /// A server's default, likewise.
    #[must_use]
    pub fn server() -> Self {
        Self::new(Algorithms::server())
    }

    fn new(algorithms: Algorithms) -> Self {
        Self { algorithms, rekey_limit: RekeyLimit::default(), login_grace: Duration::from_secs(120) }
    }
}

/// A client's configuration of the transport.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// What both sides configure. The list of host key algorithms should begin with those known of this host.
    pub transport: TransportConfig,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self { transport: TransportConfig::client() }
    }
}

/// A server's configuration of the transport.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// What both sides configure. The list of host key algorithms is narrowed to those that `host_keys` can sign with
    /// and that are not legacy.
    pub transport: TransportConfig,
    /// What the server is known by, one of a type.
    pub host_keys: Vec<Arc<PrivateKey>>,
    /// Certificates of these keys, for clients that ask for one. What is of another key or for users is not shown.
    pub certificates: Vec<Certificate>,
    /// Whether a client is told all host keys after its login, and may have each prove itself once (OpenSSH PROTOCOL §2.5):
    /// so clients learn keys before they are needed.
    pub announces_host_keys: bool,
}

impl ServerConfig {
    /// The default with these host keys, without certificates; the keys are announced.
    #[must_use]
    pub fn new(host_keys: Vec<Arc<PrivateKey>>) -> Self {
        let (transport, certificates) = (TransportConfig::server(), Vec::new());
        Self { transport, host_keys, certificates, announces_host_keys: true }
    }
}

/// A client's question to its application: is this the server's key? Asked once a connection; every later exchange must
/// show the same key.
#[derive(Debug)]
pub struct HostKey<'b> {
    /// The key that signed this exchange.
    pub key: PublicKey,
    /// The certificate that it was shown in, if that was agreed upon. Nothing in it has been checked.
    pub certificate: Option<Box<Certificate>>,
    /// The proof that it signed this exchange.
    pub proof: SignatureVerified,
    /// K_S: the key or its certificate as on the wire.
    pub k_s: &'b [u8],
    /// The signature as on the wire. Its message is what the [session
    /// identifier](crate::connection::Connection::session_id) will be.
    pub signature: &'b [u8],
    /// For [`accept_host_key`](crate::connection::Connection::accept_host_key) or
    /// [`refuse_host_key`](crate::connection::Connection::refuse_host_key).
    pub ticket: Ticket,
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Client {}
    impl Sealed for super::Server {}
}

/// Where the sides differ in key exchange. Implemented by [`Client`] and [`Server`] only.
pub trait KexSide: sealed::Sealed + Sized + 'static {
    /// Which side this is.
    const ROLE: Sender;
    /// The configuration of this side.
    type Config;
    /// What is kept between both KEXINITs and the peer's half of the exchange.
    type Exchange;
    /// What the application is asked; `Infallible` where it is asked nothing.
    type KexEvent<'b>;

    /// The part of the configuration that both sides have.
    #[doc(hidden)]
    fn transport_config(config: &Self::Config) -> &TransportConfig;
    /// What this side can offer in fact.
    #[doc(hidden)]
    fn algorithms(config: &Self::Config) -> Algorithms;
    /// The host keys that are announced to the peer, and that it may ask to prove themselves; a client has none.
    #[doc(hidden)]
    fn announced(config: &Self::Config) -> &[Arc<PrivateKey>];
    /// Both KEXINITs are in.
    #[doc(hidden)]
    fn begin(link: &mut Link<Self>, negotiated: &Negotiated) -> Self::Exchange;
    /// A message of the method came.
    #[doc(hidden)]
    fn exchange<'b>(
        own: Self::Exchange,
        negotiated: &Negotiated,
        hash: ExchangeHash,
        payload: &'b [u8],
        link: &mut Link<Self>,
    ) -> Result<KexNext<Self, Self::KexEvent<'b>>, Error>;
}
