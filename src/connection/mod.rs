//! The connection protocol (RFC 4254), and the machine that joins the layers.
//!
//! A [`Connection`] is one side of an SSH connection as a state machine. Bytes, time and randomness come in as arguments,
//! bytes and events go out; it does not know sockets, clocks or threads. There are no queues of payload: a
//! [`write`](Channel::write) that cannot go out returns short, and [`poll_writable`](Connection::poll_writable) names the
//! channel when there is room. Whoever drives it repeats:
//!
//! 1. put bytes into a [`RecvBuf`] and call [`handle_input`](Connection::handle_input) until it says
//!    [`NeedInput`](Step::NeedInput), answering each event;
//! 2. let the application write to each channel that [`poll_writable`](Connection::poll_writable) names;
//! 3. send [`output`](Connection::output), and tell how much by [`consume_output`](Connection::consume_output);
//! 4. call [`handle_timeout`](Connection::handle_timeout) when [`poll_timeout`](Connection::poll_timeout) has come.
//!
//! Above 512 KiB of [`pending_output`](Connection::pending_output), which only replies reach, it should take no input:
//! then a peer that does not read hurts only itself.

mod channel;
mod channel_type;
mod channels;
mod client;
mod event;
mod forward;
mod global;
mod growth;
mod keepalive;
mod pty;
mod request;
mod server;

pub use channel::{
    CHANNEL_NOT_OPEN, CREDIT_EXCEEDED, Channel, DATA_AFTER_EOF, MAXIMUM_PACKET_SIZE, NO_REPLY_OWED,
    PACKET_EXCEEDED, REPLIES_OWED_MAX, TOO_MANY_REQUESTS_OWED, WINDOW_EXCEEDED, WINDOW_OVERFLOW,
};
pub use channel_type::{ChannelType, HOST_TO_CONNECT_MAX, SOCKET_PATH_MAX};
pub use channels::{
    ADMINISTRATIVELY_PROHIBITED, CONNECT_FAILED, ChannelId, ChannelLimits, NO_PACKET_SIZE, NO_SUCH_CHANNEL,
    OFFERED_MAX, RESOURCE_SHORTAGE, SESSION_AFTER_NO_MORE, TOO_MANY_CHANNELS, UNKNOWN_CHANNEL,
    UNKNOWN_CHANNEL_TYPE, open_failure,
};
pub use event::{ChannelEvent, Event, Step};
pub use forward::{
    Bind, FORWARDS_MAX, HOST_TOO_LONG, NO_SUCH_FORWARD, SOCKET_PATH_TOO_LONG, TOO_MANY_FORWARDS,
};
pub use global::{
    GLOBAL_ASKED_MAX, GLOBAL_REPLIES_OWED_MAX, GlobalEvent, HOST_KEYS_MAX, TOO_MANY_GLOBAL_REQUESTS,
    TOO_MANY_GLOBAL_REQUESTS_OWED, TOO_MANY_HOST_KEYS,
};
pub use growth::GROWTH_PERIOD;
pub use keepalive::Keepalive;
pub use pty::{CELLS_MAX, MODES_MAX, TERM_MAX, TTY_OP_END, TerminalModes, WindowSize, terminal_type};
pub use request::{ENV_MAX, ENV_NAME_MAX, ENV_VALUE_MAX, Request};

use crate::crypto::Rng;
use crate::crypto::sign::SignatureAlgorithm;
#[cfg(any(test, fuzzing))]
use crate::transport::algorithms::Compression;
use crate::transport::algorithms::Negotiated;
use crate::transport::{Error, Inbound, Misuse, RecvBuf, SendBuf, Transport};
use crate::userauth::{Authenticated, Outcome, UserauthSide};
use crate::wire::{DisconnectReason, number};
use channels::Channels;
use global::Global;
use growth::RoundTrip;
use keepalive::{Due, Watch};
use std::sync::Arc;
use std::time::Instant;

/// Channels come after the login.
pub const NOT_AUTHENTICATED: Misuse = Misuse("no user is authenticated");

/// The service under way; it only goes forward.
enum Service<S: UserauthSide> {
    Userauth(S::Userauth),
    Connection(Channels),
}

/// One side of an SSH connection.
pub struct Connection<S: UserauthSide> {
    transport: Transport<S>,
    service: Service<S>,
    limits: ChannelLimits,
    global: Global,
    watch: Option<Watch>,
    round_trip: RoundTrip,
}

impl<S: UserauthSide> Connection<S> {
    /// Begins at `now`: the identification line and KEXINIT wait in the output. `rng` makes the secrets of the exchange
    /// and the padding; outside of tests it is a [`SystemRng`](crate::crypto::SystemRng).
    pub fn new(
        transport: Arc<S::Config>,
        userauth: S::UserauthConfig,
        limits: ChannelLimits,
        rng: Box<dyn Rng + Send>,
        now: Instant,
    ) -> Self {
        let mut transport = Transport::new(transport, rng, now);
        let userauth = S::begin_userauth(userauth, &mut transport);
        Self {
            transport,
            service: Service::Userauth(userauth),
            limits,
            global: Global::default(),
            watch: None,
            round_trip: RoundTrip::default(),
        }
    }

    /// Takes at most one packet from `input`. What an event borrows lies in `input`, so the connection can be used while
    /// it is looked at.
    ///
    /// # Errors
    /// The connection has ended. What is in the output should still be sent: it tells the peer why.
    pub fn handle_input<'b>(
        &mut self,
        input: &'b mut RecvBuf,
        now: Instant,
    ) -> Result<Step<Event<'b, S>>, Error> {
        if self.waits() {
            return Ok(Step::NeedVerdict);
        }
        let barred = self.transport.is_sending_kex();
        let step = self.handle_packet(input, now);
        if let (Some(watch), Ok(Step::Progress | Step::Event(_))) = (&mut self.watch, &step) {
            watch.heard(now);
        }
        if barred {
            self.flush_credit();
        }
        self.ended(step)
    }

    fn handle_packet<'b>(
        &mut self,
        input: &'b mut RecvBuf,
        now: Instant,
    ) -> Result<Step<Event<'b, S>>, Error> {
        let payload = match self.transport.handle_input(input, now)? {
            Inbound::NeedInput => return Ok(Step::NeedInput),
            Inbound::Internal => return Ok(Step::Progress),
            Inbound::Kex(event) => return Ok(Step::Event(Event::Kex(event))),
            Inbound::Service(payload) => payload,
        };
        match &mut self.service {
            Service::Userauth(state) => {
                self.round_trip.handle_message(now);
                match S::handle_userauth(state, payload, &mut self.transport)? {
                    Outcome::Internal => Ok(Step::Progress),
                    Outcome::Event(event) => Ok(Step::Event(Event::Userauth(event))),
                    Outcome::Success(authenticated) => {
                        self.authenticated(authenticated);
                        Ok(Step::Event(Event::Authenticated))
                    }
                }
            }
            Service::Connection(channels) => match payload.first().copied().unwrap_or_default() {
                number::USERAUTH_REQUEST => Ok(Step::Progress), // after success, ignored (RFC 4252 §5.1)
                number::GLOBAL_REQUEST..=number::REQUEST_FAILURE => {
                    let event = self.global.handle(payload, &mut self.transport)?;
                    Ok(event.map_or(Step::Progress, |event| Step::Event(Event::Global(event))))
                }
                _ => Ok(match channels.handle(payload, &self.global.expected, &mut self.transport)? {
                    Some((id, event)) => Step::Event(Event::Channel(id, event)),
                    None => Step::Progress,
                }),
            },
        }
    }

    /// Whether input waits: for a verdict, or for the time of an answer.
    fn waits(&mut self) -> bool {
        self.transport.tickets().is_open()
            || matches!(&self.service, Service::Userauth(state) if S::userauth_timeout(state).is_some())
    }

    fn flush_credit(&mut self) {
        if let Service::Connection(channels) = &mut self.service
            && !self.transport.is_sending_kex()
        {
            channels.flush_credit(&mut self.transport);
        }
    }

    /// The only way to channels.
    fn authenticated(&mut self, authenticated: Authenticated) {
        self.transport.set_authenticated();
        self.service = Service::Connection(Channels::new(authenticated, self.limits, self.round_trip));
        Global::announce(&mut self.transport);
    }

    /// After an error nothing but the output is left.
    fn ended<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result
            && !matches!(error, Error::Misuse(_))
        {
            self.transport.fail(error);
        }
        result
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let userauth = match &self.service {
            Service::Userauth(state) => S::userauth_timeout(state),
            Service::Connection(_) => None,
        };
        self.transport.poll_timeout().into_iter().chain(userauth).chain(self.watch_due()).min()
    }

    fn watch_due(&self) -> Option<Instant> {
        self.watch.as_ref().filter(|_| self.is_authenticated() && !self.is_ended()).map(Watch::due)
    }

    /// Asks a silent peer from now on whether it is there, or no longer; before the login it has no effect.
    pub fn set_keepalive(&mut self, keepalive: Option<Keepalive>, now: Instant) {
        let asks = keepalive.filter(|keepalive| !keepalive.interval.is_zero());
        self.watch = asks.map(|keepalive| Watch::new(keepalive, now));
    }

    /// Does what is due at `now`; calling it early or twice does no harm.
    ///
    /// # Errors
    /// [`Error::TimedOut`]: the connection has ended.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        let due = self.transport.handle_timeout(now);
        self.ended(due)?;
        if let Service::Userauth(state) = &mut self.service {
            S::handle_userauth_timeout(state, &mut self.transport);
        }
        match self.watch_due().and(self.watch.as_mut()).map(|watch| watch.handle_timeout(now)) {
            Some(Due::GiveUp) => self.ended(Err(Error::TimedOut)),
            Some(Due::Ask) => {
                self.global.request_keepalive(&mut self.transport);
                Ok(())
            }
            Some(Due::Nothing) | None => Ok(()),
        }
    }

    /// A channel that was refused bytes and would take some now; each in its turn. The application writes what it has, or
    /// is not named again until it was refused again.
    pub fn poll_writable(&mut self) -> Option<ChannelId> {
        match &mut self.service {
            Service::Connection(channels) if self.transport.is_writable() => channels.poll_writable(),
            _ => None,
        }
    }

    /// Whether [`poll_writable`](Self::poll_writable) would name a channel: after output was sent there may be room again.
    #[must_use]
    pub fn has_writable(&self) -> bool {
        match &self.service {
            Service::Connection(channels) => self.transport.is_writable() && channels.has_writable(),
            Service::Userauth(_) => false,
        }
    }

    /// What should be sent, in one piece; there may be more after it.
    pub fn output(&mut self) -> &[u8] {
        self.transport.output()
    }

    /// Says that the first `n` bytes of [`output`](Self::output) were sent.
    pub fn consume_output(&mut self, n: usize) {
        self.transport.consume_output(n);
    }

    /// All that waits to be sent (bytes).
    #[must_use]
    pub const fn pending_output(&self) -> usize {
        self.transport.pending_output()
    }

    /// The buffers of the output. While nothing is pending they may be exchanged for others, so that connections that
    /// are idle hold none.
    pub const fn send_buf(&mut self) -> &mut SendBuf {
        self.transport.send_buf()
    }

    /// A channel, to act on it.
    ///
    /// # Errors
    /// [`NO_SUCH_CHANNEL`] once it is gone.
    pub fn channel(&mut self, id: ChannelId) -> Result<Channel<'_, S>, Error> {
        let Service::Connection(channels) = &mut self.service else { return Err(NO_SUCH_CHANNEL.into()) };
        let others_wait = channels.others_wait(id);
        let (state, growth) = channels.act_on(id).ok_or(NO_SUCH_CHANNEL)?;
        Ok(Channel { state, growth, others_wait, transport: &mut self.transport })
    }

    /// Renews the keys now, unless that is under way. Nothing happens before the login.
    pub fn start_kex(&mut self) {
        if matches!(self.service, Service::Connection(_)) {
            self.transport.start_kex();
        }
    }

    /// Ends the connection: the message waits in the output, and everything else only fails.
    pub fn disconnect(&mut self, reason: DisconnectReason, description: &'static str) {
        self.transport.disconnect(reason, description);
    }

    /// Whether the connection has ended: what is in the output is all that is left.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        self.transport.is_ended()
    }

    /// The peer closed its direction. If all that it ever said was a refusal in clear text, that.
    #[must_use]
    pub fn handle_eof(&self) -> Option<Error> {
        self.transport.handle_eof()
    }

    /// Whether a user is authenticated.
    #[must_use]
    pub const fn is_authenticated(&self) -> bool {
        matches!(self.service, Service::Connection(_))
    }

    /// Whether the peer, who is not authenticated, asked about a key or gave a credential that was refused. At a client never.
    #[must_use]
    pub fn has_tried(&self) -> bool {
        matches!(&self.service, Service::Userauth(state) if S::has_tried(state))
    }

    /// The session identifier (RFC 4253 §7.2); empty before the first exchange has ended.
    #[must_use]
    pub fn session_id(&self) -> &[u8] {
        self.transport.session_id()
    }

    /// What the last exchange agreed upon.
    #[must_use]
    pub const fn negotiated(&self) -> Option<&Negotiated> {
        self.transport.negotiated()
    }

    /// The peer's identification line (RFC 4253 §4.2) without its end; printable US-ASCII, empty until it came.
    #[must_use]
    pub fn remote_identification(&self) -> &[u8] {
        self.transport.remote_identification()
    }

    /// The signature algorithms that a server says it takes from users (RFC 8308 §3.1), those that are known here.
    #[must_use]
    pub fn server_sig_algs(&self) -> Option<&[SignatureAlgorithm]> {
        self.transport.server_sig_algs()
    }
}

/// Doors for tests and fuzz targets.
#[cfg(any(test, fuzzing))]
impl<S: UserauthSide> Connection<S> {
    /// Sends a payload whatever it is and whenever.
    pub fn send_payload(&mut self, payload: &[u8]) {
        self.transport.send_payload(payload);
    }

    /// The same with a payload that takes the place of a compressed one.
    pub fn send_payload_as_it_is(&mut self, payload: &[u8]) {
        self.transport.send_payload_as_it_is(payload);
    }

    /// What is in the next packet that is not the transport's; nothing comes of it.
    pub fn take_payload(&mut self, input: &mut RecvBuf, now: Instant) -> Result<Option<Vec<u8>>, Error> {
        loop {
            match self.transport.handle_input(input, now)? {
                Inbound::NeedInput => return Ok(None),
                Inbound::Internal | Inbound::Kex(_) => {}
                Inbound::Service(payload) => return Ok(Some(payload.to_vec())),
            }
        }
    }

    /// Compresses from now on as if the last exchange had agreed upon it.
    pub fn set_compression(&mut self, sent: Compression, received: Compression) {
        self.transport.set_compression(sent, received);
    }

    /// Remembers another host key than the server's.
    pub fn forget_host_key(&mut self) {
        self.transport.set_first_host_key(b"another");
    }

    /// K_S of the first exchange.
    pub fn first_host_key(&self) -> &[u8] {
        self.transport.first_host_key()
    }

    /// What a request to prove the host keys in `fields` is answered with.
    #[cfg(test)]
    pub(crate) fn prove_host_keys(&mut self, fields: &[u8]) -> Option<Vec<u8>> {
        self.global.prove(fields, &self.transport)
    }

    /// Forgets what waits for the end of an exchange.
    pub fn drop_held(&mut self) {
        self.transport.drop_held();
    }

    /// Makes the keys that open as old as so many packets and bytes.
    pub fn age_keys(&mut self, packets: u64, bytes: u64) {
        self.transport.age_keys(packets, bytes);
    }

    /// Exchanges that have ended.
    pub fn exchanges(&self) -> u32 {
        self.transport.exchanges_done()
    }

    /// As if the login had shown such a round trip; windows have not grown yet.
    #[cfg(test)]
    pub(crate) fn set_round_trip(&mut self, round_trip: core::time::Duration) {
        if let Service::Connection(channels) = &mut self.service {
            channels.set_round_trip(RoundTrip::Took(round_trip));
        }
    }

    /// Where the connection stands, in words: the exchange, and the login or the channels.
    #[cfg(test)]
    pub(crate) fn state(&self) -> String {
        let service = match &self.service {
            Service::Userauth(state) => format!("userauth {}", S::userauth_state(state)),
            Service::Connection(channels) => format!("connection {}", channels.state()),
        };
        format!("{} | {service}", self.transport.state())
    }

    /// What the KEXINITs of an exchange under way settled.
    #[cfg(fuzzing)]
    pub fn agreed(&self) -> Option<&Negotiated> {
        self.transport.agreed()
    }
}
