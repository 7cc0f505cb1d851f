//! The transport layer (RFC 4253): identification, packets, key exchange.
//!
//! It turns bytes into payloads that are known to be allowed, and messages into bytes. It knows sequence numbers and
//! algorithms' names; it does not know users, channels, sockets or clocks.

pub mod algorithms;
mod compression;
mod error;
mod extension;
mod identification;
mod kex;
mod recv;
mod recv_buf;
mod rekey;
mod send;
mod side;
mod ticket;

#[cfg(fuzzing)]
pub use compression::inflate_each;
pub use compression::{INFLATED_LENGTH, INFLATED_MAX, NOT_ZLIB, ZLIB_ENDED};
pub use error::{Error, Misuse, STALE_VERDICT, TEXT_MAX};
pub use extension::{EXTENSION_TWICE, EXTENSIONS_MAX, TOO_MANY_EXTENSIONS};
pub use identification::{
    IDENTIFICATION_CHARACTER, IDENTIFICATION_LENGTH, IDENTIFICATION_MAX, LINE_MAX, LINES_MAX, NOT_SSH,
    TOO_MANY_LINES, VERSION,
};
pub use kex::{
    BAD_GROUP, BAD_GROUP_REQUEST, BAD_HOST_SIGNATURE, BAD_PUBLIC_VALUE, HOST_KEY_CHANGED, KEXINIT_NOT_FIRST,
};
pub use recv::{
    EMPTY_PAYLOAD, KEY_EXHAUSTED, MAC_ERROR, PACKET_LENGTH, PACKET_LENGTH_MAX,
    PACKET_LENGTH_MAX_UNAUTHENTICATED, PADDING_LENGTH,
};
pub use recv_buf::RecvBuf;
pub use rekey::{REKEY_PACKETS, RekeyLimit};
pub use send::{DATA_MARK, PacketBuilder, SendBuf};
pub use side::{Client, ClientConfig, HostKey, KexSide, Server, ServerConfig, TransportConfig};
pub use ticket::Ticket;

pub(crate) use error::text_of_peer;
pub(crate) use send::OVERHEAD_MAX;
pub(crate) use ticket::Tickets;

use crate::crypto::Rng;
use crate::crypto::hash::Digest;
use crate::crypto::sign::SignatureAlgorithm;
use crate::crypto::sign::certificate::KeyAlgorithm;
use crate::crypto::sign::rsa::Scheme;
use crate::wire::message::{Disconnect, Ping, Pong, Unimplemented};
use crate::wire::number::{self, Admission, Phase, Sender, admit};
use crate::wire::{Decode, DisconnectReason, Encode, Fault, Writer};
#[cfg(any(test, fuzzing))]
use algorithms::Compression;
use algorithms::{Algorithm, Negotiated, Offered};
use extension::Extensions;
use identification::Identification;
use kex::Kex;
use recv::RecvPath;
use send::SendPath;
use std::sync::Arc;
use std::time::Instant;

/// The bytes of replies that may be owed while an exchange bars them; a peer that asks for more is at fault.
pub const HELD_MAX: usize = 64 * 1024;

/// SSH_MSG_IGNORE, UNIMPLEMENTED and DEBUG that are taken before a user is authenticated.
pub const CHATTER_MAX: u32 = 64;

/// Exchanges that a peer may start within a minute without channel data between them.
pub const EXCHANGES_MAX: u32 = 16;

const EXCHANGES_PERIOD: core::time::Duration = core::time::Duration::from_secs(60);

/// A message that is known and not allowed from that side at that time.
pub const UNEXPECTED_MESSAGE: Fault = Fault::protocol("this message is not allowed now");
/// The peer asks for more than it lets us answer.
pub const TOO_MANY_REPLIES: Fault = Fault::protocol("too many replies are owed during a key exchange");
/// Too many messages that say nothing.
pub const TOO_MUCH_CHATTER: Fault = Fault::protocol("too many messages without a purpose before the login");
/// Exchange after exchange, and nothing else.
pub const TOO_MANY_EXCHANGES: Fault = Fault::protocol("too many key exchanges");

/// What one packet meant to the layer above.
pub enum Inbound<'b, S: KexSide> {
    /// No whole packet is here.
    NeedInput,
    /// The packet belonged to the transport.
    Internal,
    /// The application must judge something before anything else happens.
    Kex(S::KexEvent<'b>),
    /// The payload of a message that is allowed in this phase: 5, 6, and 50 and above.
    Service(&'b [u8]),
}

/// Both packet paths, and what outlives one exchange.
pub struct Link<S: KexSide> {
    pub(self) config: Arc<S::Config>,
    send: SendPath,
    recv: RecvPath,
    /// The time last told.
    now: Instant,
    tickets: Tickets,
    remote_identification: Vec<u8>,
    negotiated: Option<Negotiated>,
    session_id: Option<Digest>,
    /// The host key of the first exchange.
    k_s: Option<Box<[u8]>>,
    /// The peer's first NEWKEYS was taken.
    keyed: bool,
    strict: bool,
    wants_ext_info: bool,
    /// Of the schemes of RSA in the peer's first list of host key algorithms, the best.
    remote_rsa: Option<Scheme>,
    /// From the peer's KEXINIT to its NEWKEYS.
    peer_in_kex: bool,
    /// The next packet follows a wrong guess.
    skip_packet: bool,
    kex_started: Option<Instant>,
    keyed_at: Instant,
    /// Exchanges that have ended.
    exchanges: u32,
}

/// One side of RFC 4253.
pub struct Transport<S: KexSide> {
    link: Link<S>,
    /// `None` only after a failure.
    kex: Option<Kex<S>>,
    /// Nothing goes in or out any more.
    ended: bool,
    identification: Option<Identification>,
    authenticated: bool,
    started: Instant,
    /// Payloads that an exchange bars, each behind its length; sent in order after our NEWKEYS.
    held: Vec<u8>,
    /// Of those, the bytes of replies.
    held_replies: usize,
    /// Of the peer's; what came last holds.
    extensions: Extensions,
    /// The next message must be SSH_MSG_USERAUTH_SUCCESS, or the last: extension information has no other second place.
    success_follows: bool,
    chatter: u32,
    exchanges: (Instant, u32),
}

impl<S: KexSide> Transport<S> {
    /// Begins: the identification line and KEXINIT wait in the output.
    pub(crate) fn new(config: Arc<S::Config>, rng: Box<dyn Rng + Send>, now: Instant) -> Self {
        let link = Link {
            config,
            send: SendPath::new(rng),
            recv: RecvPath::new(),
            now,
            tickets: Tickets::new(),
            remote_identification: Vec::new(),
            negotiated: None,
            session_id: None,
            k_s: None,
            keyed: false,
            strict: false,
            wants_ext_info: false,
            remote_rsa: None,
            peer_in_kex: false,
            skip_packet: false,
            kex_started: None,
            keyed_at: now,
            exchanges: 0,
        };
        let mut transport = Self {
            link,
            kex: Some(Kex::Idle),
            ended: false,
            identification: Some(Identification::default()),
            authenticated: false,
            started: now,
            held: Vec::new(),
            held_replies: 0,
            extensions: Extensions::default(),
            success_follows: false,
            chatter: 0,
            exchanges: (now, 0),
        };
        transport.link.send.line(identification::LOCAL);
        transport.link.send.line(b"\r\n");
        transport.start_kex();
        transport
    }

    /// Takes at most one packet, or the identification line.
    pub(crate) fn handle_input<'b>(
        &mut self,
        input: &'b mut RecvBuf,
        now: Instant,
    ) -> Result<Inbound<'b, S>, Error> {
        self.link.now = self.link.now.max(now);
        if self.ended {
            return Err(Error::Failed);
        }
        if let Some(identification) = &mut self.identification {
            let Some(line) = identification.next(input, S::ROLE)? else { return Ok(Inbound::NeedInput) };
            self.link.remote_identification = line;
            self.identification = None;
            return Ok(Inbound::Internal);
        }
        let Some(payload) = self.link.recv.next(input)? else { return Ok(Inbound::NeedInput) };
        if core::mem::take(&mut self.link.skip_packet) {
            return Ok(Inbound::Internal);
        }
        let number = payload.first().copied().unwrap_or_default();
        let follows = matches!(number, number::USERAUTH_SUCCESS | number::DISCONNECT);
        if core::mem::take(&mut self.success_follows) && !follows {
            return Err(UNEXPECTED_MESSAGE.into());
        }
        match admit(number, self.phase(), peer_of(S::ROLE)) {
            Admission::Take => {}
            Admission::Refuse => return Err(UNEXPECTED_MESSAGE.into()),
            Admission::Unimplemented => {
                // Allowed during an exchange too (RFC 4253 §7.1), and later its number could be another packet's.
                let packet_sequence_number = self.link.recv.last_sequence_number();
                self.link.send.message(&Unimplemented { packet_sequence_number });
                return Ok(Inbound::Internal);
            }
        }
        match number {
            number::DISCONNECT => return Err(self.disconnected(payload)),
            number::IGNORE | number::UNIMPLEMENTED | number::DEBUG => self.count_chatter()?,
            number::EXT_INFO => self.handle_ext_info(payload)?,
            number::PING => self.handle_ping(payload)?,
            number::PONG => {} // nobody asked
            number::KEXINIT | number::NEWKEYS | number::KEX_METHOD_FIRST..=number::KEX_METHOD_LAST => {
                let event = self.handle_kex(payload)?;
                return Ok(event.map_or(Inbound::Internal, Inbound::Kex));
            }
            _ => {
                if matches!(number, number::CHANNEL_DATA | number::CHANNEL_EXTENDED_DATA) {
                    self.exchanges.1 = 0;
                }
                self.start_kex_if_due();
                return Ok(Inbound::Service(payload));
            }
        }
        self.start_kex_if_due();
        Ok(Inbound::Internal)
    }

    /// Where the connection stands, for the table of messages.
    const fn phase(&self) -> Phase {
        match (self.link.keyed, self.link.strict, self.link.peer_in_kex, self.authenticated) {
            (false, true, _, _) => Phase::StrictKex,
            (false, false, _, _) => Phase::FirstKex,
            (true, _, true, _) => Phase::Rekey,
            (true, _, false, false) => Phase::Userauth,
            (true, _, false, true) => Phase::Connection,
        }
    }

    fn handle_kex<'b>(&mut self, payload: &'b [u8]) -> Result<Option<S::KexEvent<'b>>, Error> {
        if payload.first() == Some(&number::KEXINIT) && matches!(self.kex, Some(Kex::Idle)) {
            self.count_exchange()?;
        }
        let kex = self.kex.take().ok_or(Error::Failed)?;
        let (kex, event) = kex.handle(payload, &mut self.link)?;
        self.set_kex(kex);
        Ok(event)
    }

    /// Whether the open question is the one about the host key.
    pub(crate) const fn awaits_verdict(&self) -> bool {
        matches!(self.kex, Some(Kex::AwaitVerdict(_)))
    }

    /// The client's verdict on the host key.
    pub(crate) fn accept_host_key(&mut self) -> Result<(), Error> {
        let kex = self.kex.take().ok_or(Error::Failed)?.accept(&mut self.link)?;
        self.set_kex(kex);
        Ok(())
    }

    fn set_kex(&mut self, kex: Kex<S>) {
        self.kex = Some(kex);
        if !self.is_sending_kex() {
            if core::mem::take(&mut self.link.wants_ext_info) {
                // OpenSSH's clients look for plain names, whatever they show the key in.
                let names =
                    self.user_key_algorithms().filter(|row| !row.algorithm.certified).map(|row| row.name);
                let payload = extension::ext_info(S::ROLE, names);
                self.link.send.payload(&payload);
            }
            self.flush_held();
        }
    }

    /// Sends our KEXINIT, unless an exchange is under way.
    pub(crate) fn start_kex(&mut self) {
        if let Some(kex) = self.kex.take() {
            self.kex = Some(kex.start(&mut self.link));
        }
    }

    /// Between our KEXINIT and our NEWKEYS nothing but the exchange may be sent.
    pub(crate) fn is_sending_kex(&self) -> bool {
        self.kex.as_ref().is_none_or(Kex::bars_service_messages)
    }

    /// Puts a message into the output, or holds it while an exchange bars it.
    pub(crate) fn send<M: Encode>(&mut self, message: &M) {
        if self.is_sending_kex() {
            self.hold(message);
        } else {
            self.link.send.message(message);
        }
    }

    /// The same for an answer to the peer, who is at fault if he asks without end during an exchange.
    pub(crate) fn reply<M: Encode>(&mut self, message: &M) -> Result<(), Error> {
        if self.is_sending_kex() {
            self.held_replies += self.hold(message);
            if self.held_replies > HELD_MAX {
                return Err(TOO_MANY_REPLIES.into());
            }
        } else {
            self.link.send.message(message);
        }
        Ok(())
    }

    fn hold<M: Encode>(&mut self, message: &M) -> usize {
        let start = self.held.len();
        Writer::new(&mut self.held).nested(|w| {
            w.byte(M::NUMBER);
            message.encode(w);
        });
        self.held.len() - start
    }

    fn flush_held(&mut self) {
        let held = core::mem::take(&mut self.held);
        self.held_replies = 0;
        let mut r = crate::wire::Reader::new(&held);
        while let Ok(payload) = r.string() {
            self.link.send.payload(payload);
        }
    }

    /// Begins a packet of bulk data; `None` while an exchange bars it or the output is above [`DATA_MARK`].
    pub(crate) fn packet(&mut self) -> Option<PacketBuilder<'_>> {
        self.start_kex_if_due();
        if !self.is_writable() {
            return None;
        }
        self.exchanges.1 = 0;
        Some(self.link.send.packet())
    }

    /// Whether [`packet`](Self::packet) would begin one.
    pub(crate) fn is_writable(&self) -> bool {
        !self.is_sending_kex() && !self.link.send.is_full()
    }

    /// The first packet after the peer's first NEWKEYS, and from a server once more directly before
    /// SSH_MSG_USERAUTH_SUCCESS (RFC 8308 §2.4).
    fn handle_ext_info(&mut self, payload: &[u8]) -> Result<(), Error> {
        if self.link.recv.used().0 != 1 {
            if S::ROLE == Sender::Server {
                return Err(UNEXPECTED_MESSAGE.into());
            }
            self.success_follows = true;
        }
        self.extensions = extension::extensions(payload)?;
        Ok(())
    }

    /// OpenSSH PROTOCOL §1.9. Never before the login, never while it would have to be held (CVE-2025-26466).
    fn handle_ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        if !self.authenticated {
            return self.count_chatter();
        }
        let Ping { data } = Ping::from_payload(payload)?;
        if !self.is_sending_kex() {
            self.link.send.message(&Pong { data });
        }
        Ok(())
    }

    fn count_chatter(&mut self) -> Result<(), Error> {
        self.chatter = self.chatter.saturating_add(1);
        if !self.authenticated && self.chatter > CHATTER_MAX {
            return Err(TOO_MUCH_CHATTER.into());
        }
        Ok(())
    }

    fn count_exchange(&mut self) -> Result<(), Error> {
        let (since, count) = &mut self.exchanges;
        if self.link.now.saturating_duration_since(*since) > EXCHANGES_PERIOD {
            (*since, *count) = (self.link.now, 0);
        }
        *count += 1;
        if *count > EXCHANGES_MAX { Err(TOO_MANY_EXCHANGES.into()) } else { Ok(()) }
    }

    fn disconnected(&mut self, payload: &[u8]) -> Error {
        match Disconnect::from_lenient(payload) {
            Ok(message) => Error::Disconnected {
                reason: DisconnectReason(message.reason_code),
                description: text_of_peer(message.description),
            },
            Err(error) => error.into(),
        }
    }

    /// The peer closed its direction without SSH_MSG_DISCONNECT: what it said in clear text, if that is all it said.
    pub(crate) fn handle_eof(&self) -> Option<Error> {
        let line = &self.identification.as_ref()?.last_line;
        (!line.is_empty())
            .then(|| Error::Disconnected { reason: DisconnectReason(0), description: text_of_peer(line) })
    }

    /// Puts SSH_MSG_DISCONNECT into the output; the connection only fails from here.
    pub(crate) fn disconnect(&mut self, reason: DisconnectReason, description: &'static str) {
        if !self.ended && self.identification.is_none() {
            self.link.send.message(&Disconnect {
                reason_code: reason.0,
                description: description.as_bytes(),
                language_tag: b"",
            });
        }
        self.end();
    }

    /// Whether nothing goes in or out any more.
    pub(crate) const fn is_ended(&self) -> bool {
        self.ended
    }

    fn end(&mut self) {
        self.ended = true;
        self.kex = None;
        self.link.tickets.close(); // a verdict comes too late
    }

    /// Ends the connection after an error, and tells the peer where that is due.
    pub(crate) fn fail(&mut self, error: &Error) {
        match error {
            Error::Peer(fault) => self.disconnect(fault.reason, fault.description),
            Error::Incompatible(_) => {
                self.disconnect(DisconnectReason::KEY_EXCHANGE_FAILED, "no common algorithm");
            }
            Error::HostKeyRefused => {
                self.disconnect(DisconnectReason::HOST_KEY_NOT_VERIFIABLE, "the host key was refused");
            }
            Error::Disconnected { .. } | Error::TimedOut | Error::Misuse(_) | Error::Failed => self.end(),
        }
    }

    /// A user is authenticated (USERAUTH_SUCCESS was sent, or taken): keys may be renewed, packets may be larger and are
    /// compressed if that was agreed upon.
    pub(crate) fn set_authenticated(&mut self) {
        self.authenticated = true;
        self.link.send.set_authenticated();
        self.link.recv.set_authenticated();
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        if self.ended {
            return None;
        }
        let rekey = self.rekey_at().filter(|_| self.link.kex_started.is_none());
        [self.login_deadline(), self.kex_deadline(), rekey].into_iter().flatten().min()
    }

    /// Ends what took too long, and renews keys that are old.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        self.link.now = self.link.now.max(now);
        if self.ended {
            return Ok(());
        }
        if [self.login_deadline(), self.kex_deadline()].into_iter().flatten().any(|at| at <= now) {
            return Err(Error::TimedOut);
        }
        self.start_kex_if_due();
        Ok(())
    }

    fn login_deadline(&self) -> Option<Instant> {
        let over = match S::ROLE {
            // The verdict on a host key is a person's, who may take his time.
            Sender::Client => self.link.keyed || self.awaits_verdict(),
            Sender::Server => self.authenticated,
        };
        let grace = S::transport_config(&self.link.config).login_grace;
        self.started.checked_add(grace).filter(|_| !over)
    }

    fn kex_deadline(&self) -> Option<Instant> {
        let grace = S::transport_config(&self.link.config).login_grace;
        self.link.kex_started?.checked_add(grace).filter(|_| self.authenticated)
    }

    /// The configuration of this side.
    pub(crate) fn config(&self) -> Arc<S::Config> {
        Arc::clone(&self.link.config)
    }

    /// The best hash of SHA-2 by which the peer takes an RSA key as a host key, or offers one.
    pub(crate) const fn remote_rsa(&self) -> Option<Scheme> {
        self.link.remote_rsa
    }

    /// The time last told.
    pub(crate) const fn now(&self) -> Instant {
        self.link.now
    }

    /// The one open question.
    pub(crate) const fn tickets(&mut self) -> &mut Tickets {
        &mut self.link.tickets
    }

    /// H of the first exchange; empty before.
    pub(crate) fn session_id(&self) -> &[u8] {
        self.link.session_id.as_ref().map_or(&[], Digest::as_bytes)
    }

    /// What the last exchange agreed upon.
    pub(crate) const fn negotiated(&self) -> Option<&Negotiated> {
        self.link.negotiated.as_ref()
    }

    /// The peer's identification line, without its end; printable US-ASCII. Empty until it came.
    pub(crate) fn remote_identification(&self) -> &[u8] {
        &self.link.remote_identification
    }

    /// The signature algorithms that the server says it takes, those known here; `None` if it does not say.
    pub(crate) fn server_sig_algs(&self) -> Option<&[SignatureAlgorithm]> {
        self.extensions.server_sig_algs.as_deref()
    }

    /// Whether the server understands `publickey-hostbound-v00@openssh.com`.
    pub(crate) const fn takes_hostbound(&self) -> bool {
        self.extensions.publickey_hostbound
    }

    /// K_S of the first exchange; empty before.
    pub(crate) fn first_host_key(&self) -> &[u8] {
        self.link.k_s.as_deref().unwrap_or_default()
    }

    /// The signature algorithms of users' keys that this side offers or takes: never a legacy one, whatever is configured.
    pub(crate) fn user_key_algorithms(&self) -> impl Iterator<Item = &Algorithm<KeyAlgorithm>> + Clone {
        let rows = &S::transport_config(&self.link.config).algorithms.user_key;
        rows.iter().filter(|row| row.offered != Offered::Legacy)
    }

    pub(crate) fn output(&mut self) -> &[u8] {
        self.link.send.buf.output()
    }

    pub(crate) const fn pending_output(&self) -> usize {
        self.link.send.buf.pending()
    }

    pub(crate) fn consume_output(&mut self, n: usize) {
        self.link.send.buf.consume(n);
    }

    /// Lends a buffer for output, if there is none with room.
    pub(crate) const fn send_buf(&mut self) -> &mut SendBuf {
        &mut self.link.send.buf
    }
}

/// Doors for tests and fuzz targets.
#[cfg(any(test, fuzzing))]
impl<S: KexSide> Transport<S> {
    pub(crate) fn set_first_host_key(&mut self, k_s: &[u8]) {
        self.link.k_s = Some(k_s.into());
    }

    /// Sends a payload whatever it is and whenever.
    pub(crate) fn send_payload(&mut self, payload: &[u8]) {
        self.link.send.payload(payload);
    }

    /// The same with a payload that takes the place of a compressed one.
    pub(crate) fn send_payload_as_it_is(&mut self, payload: &[u8]) {
        self.link.send.payload_as_it_is(payload);
    }

    /// Both methods as if the last exchange had agreed upon them.
    pub(crate) fn set_compression(&mut self, sent: Compression, received: Compression) {
        self.link.send.set_compression(sent);
        self.link.recv.set_compression(received);
    }

    pub(crate) fn drop_held(&mut self) {
        self.held.clear();
    }

    pub(crate) const fn age_keys(&mut self, packets: u64, bytes: u64) {
        self.link.recv.age(packets, bytes);
    }

    pub(crate) const fn exchanges_done(&self) -> u32 {
        self.link.exchanges
    }

    /// Where the exchange stands, in words.
    #[cfg(test)]
    pub(crate) fn state(&self) -> String {
        let kex = self.kex.as_ref().map_or("ended", Kex::state);
        let flag = |is: bool, word: &'static str| if is { word } else { "" };
        [
            flag(!self.link.keyed, "first "),
            kex,
            flag(self.link.skip_packet, "+skip"),
            flag(self.success_follows, "+success"),
        ]
        .concat()
    }

    #[cfg(fuzzing)]
    pub(crate) fn agreed(&self) -> Option<&Negotiated> {
        self.kex.as_ref()?.agreed()
    }
}

const fn peer_of(role: Sender) -> Sender {
    match role {
        Sender::Client => Sender::Server,
        Sender::Server => Sender::Client,
    }
}
