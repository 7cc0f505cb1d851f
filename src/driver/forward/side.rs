//! The two sides of forwarding: where the connections that each accepts lead, and the channels that it asks for.
//!
//! Sockets are not known here.

use super::Error;
use crate::connection::{ChannelId, Connection};
use crate::transport::{Client, Server};
use crate::userauth::UserauthSide;
use core::fmt::Debug;

/// What a side makes of the connections that it accepts.
pub trait ForwardSide: UserauthSide {
    /// Where they lead.
    type Lead: Clone + Debug + PartialEq;

    /// Asks the peer for the channel; nothing for a lead that says it only by SOCKS.
    ///
    /// # Errors
    /// Those of the connection.
    fn open(
        conn: &mut Connection<Self>,
        lead: &Self::Lead,
        originator: (&str, u16),
    ) -> Result<Option<ChannelId>, Error>;

    /// Where SOCKS leads, if it may.
    fn by_socks(host: String, port: u16) -> Option<Self::Lead>;
}

/// What becomes of a connection to a client's socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Direct {
    /// The server connects to a host.
    Tcpip {
        /// A name or an address.
        host: String,
        /// The port there.
        port: u16,
    },
    /// The server connects to a Unix socket.
    Streamlocal {
        /// The path there.
        socket_path: String,
    },
    /// Each says itself where it goes.
    Socks,
}

/// What becomes of a connection to a server's socket: the client gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// It came to a port.
    Tcpip {
        /// The address that the client asked for, in its words.
        connected_address: String,
        /// The port that it is.
        connected_port: u16,
    },
    /// It came to a Unix socket.
    Streamlocal {
        /// The path that the client asked for.
        socket_path: String,
    },
    /// It is for the agent.
    Agent,
}

impl ForwardSide for Client {
    type Lead = Direct;

    fn open(
        conn: &mut Connection<Self>,
        lead: &Direct,
        (address, port): (&str, u16),
    ) -> Result<Option<ChannelId>, Error> {
        Ok(Some(match lead {
            Direct::Tcpip { host, port: to } => conn.open_direct_tcpip(host, *to, address, port)?,
            Direct::Streamlocal { socket_path } => conn.open_direct_streamlocal(socket_path)?,
            Direct::Socks => return Ok(None),
        }))
    }

    fn by_socks(host: String, port: u16) -> Option<Direct> {
        Some(Direct::Tcpip { host, port })
    }
}

impl ForwardSide for Server {
    type Lead = Forwarded;

    fn open(
        conn: &mut Connection<Self>,
        lead: &Forwarded,
        (address, port): (&str, u16),
    ) -> Result<Option<ChannelId>, Error> {
        Ok(Some(match lead {
            Forwarded::Tcpip { connected_address, connected_port } => {
                conn.open_forwarded_tcpip(connected_address, *connected_port, address, port)?
            }
            Forwarded::Streamlocal { socket_path } => conn.open_forwarded_streamlocal(socket_path)?,
            Forwarded::Agent => conn.open_auth_agent()?,
        }))
    }

    fn by_socks(_: String, _: u16) -> Option<Forwarded> {
        None
    }
}
