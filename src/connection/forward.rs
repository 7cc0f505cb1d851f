//! Forwarding: what each side has asked for or serves, and the channels that follow from it (RFC 4254 §7; OpenSSH PROTOCOL §2.4).
//!
//! A client is opened channels only for what it holds: the places where a server listens because it was asked to, and the
//! agent once that was offered. A server is asked about anything but sessions only if it said that it forwards. Sockets, and
//! whether a user may have them, are not known here.

use super::channel::{MAXIMUM_PACKET_SIZE, Stage};
use super::channel_type::{ChannelType, HOST_TO_CONNECT_MAX, SOCKET_PATH_MAX};
use super::channels::TOO_MANY_CHANNELS;
use super::{ChannelId, Connection, NOT_AUTHENTICATED, Service};
use crate::transport::{Client, Error, Misuse, Server};
use crate::userauth::UserauthSide;
use crate::wire::message::ChannelOpen;
use crate::wire::{DecodeError, Reader, Writer};

/// The places that a client has a server listen on, at the most; those that it has asked for and not heard of included.
pub const FORWARDS_MAX: usize = 128;

/// A longer name than [`HOST_TO_CONNECT_MAX`].
pub const HOST_TOO_LONG: Misuse = Misuse("the host's name is too long");
/// A longer path than [`SOCKET_PATH_MAX`].
pub const SOCKET_PATH_TOO_LONG: Misuse = Misuse("the socket's path is too long");
/// More places than [`FORWARDS_MAX`].
pub const TOO_MANY_FORWARDS: Misuse = Misuse("too many forwardings");
/// The server does not listen there for us.
pub const NO_SUCH_FORWARD: Misuse = Misuse("no such forwarding");

/// A place where a server listens for a client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Bind {
    /// RFC 4254 §7.1.
    Tcpip {
        /// An address or a name; empty for all addresses, `localhost` for both loopback ones.
        address: String,
        /// The port; 0 asks for one that is free.
        port: u16,
    },
    /// OpenSSH PROTOCOL §2.4.
    Streamlocal {
        /// The path there.
        socket_path: String,
    },
}

/// A global request about such a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Forward(Bind),
    Cancel(Bind),
}

const TCPIP: &[u8] = b"tcpip-forward";
const CANCEL_TCPIP: &[u8] = b"cancel-tcpip-forward";
const STREAMLOCAL: &[u8] = b"streamlocal-forward@openssh.com";
const CANCEL_STREAMLOCAL: &[u8] = b"cancel-streamlocal-forward@openssh.com";

impl Wish {
    pub(super) const fn request_name(&self) -> &'static [u8] {
        match self {
            Self::Forward(Bind::Tcpip { .. }) => TCPIP,
            Self::Cancel(Bind::Tcpip { .. }) => CANCEL_TCPIP,
            Self::Forward(Bind::Streamlocal { .. }) => STREAMLOCAL,
            Self::Cancel(Bind::Streamlocal { .. }) => CANCEL_STREAMLOCAL,
        }
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        let (Self::Forward(bind) | Self::Cancel(bind)) = self;
        match bind {
            Bind::Tcpip { address, port } => {
                w.string(address.as_bytes());
                w.uint32((*port).into());
            }
            Bind::Streamlocal { socket_path } => w.string(socket_path.as_bytes()),
        }
    }

    /// Reads a request; nothing for any other, and for a place that there cannot be: a port above 65535, a name that is too long
    /// or not UTF-8.
    pub(super) fn decode(request_name: &[u8], fields: &[u8]) -> Result<Option<Self>, DecodeError> {
        let mut r = Reader::new(fields);
        let text = |bytes: &[u8], max| {
            core::str::from_utf8(bytes).ok().filter(|text| text.len() <= max).map(str::to_owned)
        };
        let bind = match request_name {
            TCPIP | CANCEL_TCPIP => {
                let (address, port) = (text(r.string()?, HOST_TO_CONNECT_MAX), u16::try_from(r.uint32()?));
                address.zip(port.ok()).map(|(address, port)| Bind::Tcpip { address, port })
            }
            STREAMLOCAL | CANCEL_STREAMLOCAL => {
                text(r.string()?, SOCKET_PATH_MAX).map(|socket_path| Bind::Streamlocal { socket_path })
            }
            _ => return Ok(None),
        };
        r.finish()?;
        let forward = matches!(request_name, TCPIP | STREAMLOCAL);
        Ok(bind.map(|bind| if forward { Self::Forward(bind) } else { Self::Cancel(bind) }))
    }
}

/// What the peer may ask for.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// A server forwards.
    pub(super) forwarding: bool,
    /// A client has offered its agent.
    pub(super) agent: bool,
    /// A client has said that it opens no session any more.
    pub(super) no_more_sessions: bool,
    /// Where the server listens for us.
    held: Vec<Bind>,
}

impl Expected {
    pub(super) fn holds(&self, is: impl Fn(&Bind) -> bool) -> bool {
        self.held.iter().any(is)
    }

    pub(super) const fn held(&self) -> usize {
        self.held.len()
    }

    pub(super) fn hold(&mut self, bind: Bind) {
        if !self.held.contains(&bind) {
            self.held.push(bind);
        }
    }

    /// Whether it was held.
    pub(super) fn let_go(&mut self, bind: &Bind) -> bool {
        let before = self.held.len();
        self.held.retain(|held| held != bind);
        self.held.len() < before
    }
}

impl<S: UserauthSide> Connection<S> {
    /// Opens a channel that the peer asked for.
    ///
    /// # Errors
    /// [`NO_SUCH_CHANNEL`](super::NO_SUCH_CHANNEL): nobody waits for that; or the connection has ended, because the peer asks
    /// without end during an exchange.
    pub fn accept_channel(&mut self, id: ChannelId) -> Result<(), Error> {
        let accepted = match &mut self.service {
            Service::Connection(channels) => channels.accept(id, &mut self.transport),
            Service::Userauth(_) => Err(NOT_AUTHENTICATED.into()),
        };
        self.ended(accepted)
    }

    /// Refuses one, with a reason of RFC 4254 §5.1.
    ///
    /// # Errors
    /// As of [`accept_channel`](Self::accept_channel).
    pub fn refuse_channel(
        &mut self,
        id: ChannelId,
        reason_code: u32,
        description: &str,
    ) -> Result<(), Error> {
        let refused = match &mut self.service {
            Service::Connection(channels) => {
                channels.refuse(id, reason_code, description, &mut self.transport)
            }
            Service::Userauth(_) => Err(NOT_AUTHENTICATED.into()),
        };
        self.ended(refused)
    }

    pub(super) fn open(&mut self, channel_type: &ChannelType<'_>) -> Result<ChannelId, Error> {
        let Service::Connection(channels) = &mut self.service else { return Err(NOT_AUTHENTICATED.into()) };
        let (id, channel) = channels.insert(Stage::Opening).ok_or(TOO_MANY_CHANNELS)?;
        channel.session = *channel_type == ChannelType::Session;
        let mut type_fields = Vec::new();
        channel_type.encode(&mut Writer::new(&mut type_fields));
        self.transport.send(&ChannelOpen {
            channel_type: channel_type.name(),
            sender_channel: id.number,
            initial_window_size: channels.window_size(),
            maximum_packet_size: MAXIMUM_PACKET_SIZE,
            type_fields: &type_fields,
        });
        Ok(id)
    }
}

impl Connection<Client> {
    /// Asks for a TCP connection from the server to `host`, a name or an address that is the server's to look up
    /// (RFC 4254 §7.2); answered as a session is. The originator is whoever connected here, if that means anything to the
    /// server.
    ///
    /// # Errors
    /// A name above [`HOST_TO_CONNECT_MAX`] is [`HOST_TOO_LONG`].
    pub fn open_direct_tcpip(
        &mut self,
        host: &str,
        port: u16,
        originator_address: &str,
        originator_port: u16,
    ) -> Result<ChannelId, Error> {
        let (host, originator_address) = (name(host)?, name(originator_address)?);
        self.open(&ChannelType::DirectTcpip { host, port, originator_address, originator_port })
    }

    /// Asks for a connection from the server to a Unix socket there (OpenSSH PROTOCOL §2.4); answered as a session is.
    ///
    /// # Errors
    /// A path above [`SOCKET_PATH_MAX`] is [`SOCKET_PATH_TOO_LONG`].
    pub fn open_direct_streamlocal(&mut self, socket_path: &str) -> Result<ChannelId, Error> {
        self.open(&ChannelType::DirectStreamlocal { socket_path: path(socket_path)? })
    }

    /// Asks the server to listen on a port (RFC 4254 §7.1); answered by [`Forwarding`](super::GlobalEvent::Forwarding) or
    /// [`ForwardingRefused`](super::GlobalEvent::ForwardingRefused). Then each connection there is a channel of type
    /// [`ForwardedTcpip`](ChannelType::ForwardedTcpip), with `address` in these words. Empty, or `*`, is all addresses;
    /// port 0 is one that the server chooses.
    ///
    /// # Errors
    /// [`HOST_TOO_LONG`], [`TOO_MANY_FORWARDS`].
    pub fn request_tcpip_forward(&mut self, address: &str, port: u16) -> Result<(), Error> {
        self.wish(Wish::Forward(tcpip(address, port)?))
    }

    /// Asks the server to stop that; answered by [`ForwardingCancelled`](super::GlobalEvent::ForwardingCancelled). No channel
    /// is opened for it from now on. A port that the server chose is named by its number.
    ///
    /// # Errors
    /// [`NO_SUCH_FORWARD`] if it is not held.
    pub fn cancel_tcpip_forward(&mut self, address: &str, port: u16) -> Result<(), Error> {
        self.wish(Wish::Cancel(tcpip(address, port)?))
    }

    /// Asks the server to listen on a Unix socket (OpenSSH PROTOCOL §2.4); answered as
    /// [`request_tcpip_forward`](Self::request_tcpip_forward) is. Channels of it are
    /// [`ForwardedStreamlocal`](ChannelType::ForwardedStreamlocal).
    ///
    /// # Errors
    /// [`SOCKET_PATH_TOO_LONG`], [`TOO_MANY_FORWARDS`].
    pub fn request_streamlocal_forward(&mut self, socket_path: &str) -> Result<(), Error> {
        self.wish(Wish::Forward(streamlocal(socket_path)?))
    }

    /// Asks the server to stop that, as [`cancel_tcpip_forward`](Self::cancel_tcpip_forward) does.
    ///
    /// # Errors
    /// [`NO_SUCH_FORWARD`] if it is not held.
    pub fn cancel_streamlocal_forward(&mut self, socket_path: &str) -> Result<(), Error> {
        self.wish(Wish::Cancel(streamlocal(socket_path)?))
    }

    fn wish(&mut self, wish: Wish) -> Result<(), Error> {
        match &self.service {
            Service::Connection(_) => self.global.wish(wish, &mut self.transport),
            Service::Userauth(_) => Err(NOT_AUTHENTICATED.into()),
        }
    }

    /// Says that no session will be opened any more: if one is, that was somebody else, and the server ends the connection
    /// (OpenSSH PROTOCOL §2.2). Said only to servers that are known to understand it.
    ///
    /// # Errors
    /// Nobody is logged in.
    pub fn send_no_more_sessions(&mut self) -> Result<(), Error> {
        match &self.service {
            Service::Connection(_) => self.global.send_no_more_sessions(&mut self.transport),
            Service::Userauth(_) => return Err(NOT_AUTHENTICATED.into()),
        }
        Ok(())
    }

    /// The server was, or is being, offered the user's agent on a session: from now on it may open channels of type
    /// [`AuthAgent`](ChannelType::AuthAgent).
    pub const fn expect_agent_channels(&mut self) {
        self.global.expected.agent = true;
    }
}

impl Connection<Server> {
    /// The application forwards: it is asked about channels of the types [`DirectTcpip`](ChannelType::DirectTcpip) and
    /// [`DirectStreamlocal`](ChannelType::DirectStreamlocal), and about [`Forward`](super::GlobalEvent::Forward) and
    /// [`CancelForward`](super::GlobalEvent::CancelForward), and answers each. Without it all of that is refused here.
    pub const fn expect_forwarding(&mut self) {
        self.global.expected.forwarding = true;
    }

    /// Grants the oldest [`Forward`](super::GlobalEvent::Forward) or [`CancelForward`](super::GlobalEvent::CancelForward) that
    /// wants a reply and has none. `bound_port` is told to a client that left the port to the server, and means nothing else.
    ///
    /// # Errors
    /// [`NO_REPLY_OWED`](super::NO_REPLY_OWED).
    pub fn accept_global_request(&mut self, bound_port: u16) -> Result<(), Error> {
        let answered = self.global.answer(Some(bound_port), &mut self.transport);
        self.ended(answered)
    }

    /// Refuses it.
    ///
    /// # Errors
    /// [`NO_REPLY_OWED`](super::NO_REPLY_OWED).
    pub fn refuse_global_request(&mut self) -> Result<(), Error> {
        let answered = self.global.answer(None, &mut self.transport);
        self.ended(answered)
    }

    /// Hands the client a connection that was made to where it asked to listen (RFC 4254 §7.2): `connected_address` in its own
    /// words, `connected_port` the port that it is. Answered as a session is answered to a client.
    ///
    /// # Errors
    /// An address above [`HOST_TO_CONNECT_MAX`] is [`HOST_TOO_LONG`].
    pub fn open_forwarded_tcpip(
        &mut self,
        connected_address: &str,
        connected_port: u16,
        originator_address: &str,
        originator_port: u16,
    ) -> Result<ChannelId, Error> {
        let (connected_address, originator_address) = (name(connected_address)?, name(originator_address)?);
        self.open(&ChannelType::ForwardedTcpip {
            connected_address,
            connected_port,
            originator_address,
            originator_port,
        })
    }

    /// The same for a Unix socket (OpenSSH PROTOCOL §2.4).
    ///
    /// # Errors
    /// A path above [`SOCKET_PATH_MAX`] is [`SOCKET_PATH_TOO_LONG`].
    pub fn open_forwarded_streamlocal(&mut self, socket_path: &str) -> Result<ChannelId, Error> {
        self.open(&ChannelType::ForwardedStreamlocal { socket_path: path(socket_path)? })
    }

    /// Asks for a connection to the user's agent at the client, who must have offered it on a session.
    ///
    /// # Errors
    /// [`TOO_MANY_CHANNELS`].
    pub fn open_auth_agent(&mut self) -> Result<ChannelId, Error> {
        self.open(&ChannelType::AuthAgent)
    }
}

const fn name(host: &str) -> Result<&[u8], Error> {
    if host.len() > HOST_TO_CONNECT_MAX { Err(Error::Misuse(HOST_TOO_LONG)) } else { Ok(host.as_bytes()) }
}

const fn path(socket_path: &str) -> Result<&[u8], Error> {
    match socket_path.len() {
        0..=SOCKET_PATH_MAX => Ok(socket_path.as_bytes()),
        _ => Err(Error::Misuse(SOCKET_PATH_TOO_LONG)),
    }
}

/// All addresses are the empty one on the wire.
fn tcpip(address: &str, port: u16) -> Result<Bind, Error> {
    name(address)?;
    let address = if address == "*" { "" } else { address };
    Ok(Bind::Tcpip { address: address.to_owned(), port })
}

fn streamlocal(socket_path: &str) -> Result<Bind, Error> {
    path(socket_path)?;
    Ok(Bind::Streamlocal { socket_path: socket_path.to_owned() })
}
