//! Channel types: their names, their fields, and which side may open them (RFC 4254 §6.1, §7.2; OpenSSH PROTOCOL §2.4).
//!
//! A type that exists and that nobody asked for is refused as prohibited, and whatever else as unknown, before the application
//! hears of it. What is at the other end of a channel is not known here.

use super::channels::{ADMINISTRATIVELY_PROHIBITED, CONNECT_FAILED, UNKNOWN_CHANNEL_TYPE};
use super::forward::{Bind, Expected};
use crate::wire::message::ChannelOpen;
use crate::wire::number::Sender;
use crate::wire::{DecodeError, Reader, Writer};

/// The longest name or address of a host in a channel's fields and in a request to listen (bytes); no name of the DNS is longer.
pub const HOST_TO_CONNECT_MAX: usize = 255;

/// The longest path of a socket there (bytes); systems take less.
pub const SOCKET_PATH_MAX: usize = 1024;

/// What a channel is for. The texts are the peer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelType<'a> {
    /// A session (RFC 4254 §6.1), which clients open.
    Session,
    /// A connection from the server to a host (RFC 4254 §7.2), which clients open.
    DirectTcpip {
        /// A name or an address, which the server looks up.
        host: &'a [u8],
        /// TCP.
        port: u16,
        /// Who connected at the client.
        originator_address: &'a [u8],
        /// From which port.
        originator_port: u16,
    },
    /// A connection that was made to where the server listens for the client (RFC 4254 §7.2).
    ForwardedTcpip {
        /// Where, by the words in which the client asked for it.
        connected_address: &'a [u8],
        /// TCP.
        connected_port: u16,
        /// Who connected.
        originator_address: &'a [u8],
        /// From which port.
        originator_port: u16,
    },
    /// A connection from the server to a Unix socket (OpenSSH PROTOCOL §2.4), which clients open.
    DirectStreamlocal {
        /// The path there.
        socket_path: &'a [u8],
    },
    /// A connection that was made to a Unix socket on which the server listens for the client.
    ForwardedStreamlocal {
        /// The path, as the client asked for it.
        socket_path: &'a [u8],
    },
    /// A connection to the user's agent at the client, which servers open.
    AuthAgent,
}

/// The types that have a name here, with what they are called by later servers.
const NAMES: [&[u8]; 8] = [
    b"session",
    b"x11",
    b"direct-tcpip",
    b"forwarded-tcpip",
    b"direct-streamlocal@openssh.com",
    b"forwarded-streamlocal@openssh.com",
    b"auth-agent@openssh.com",
    b"agent-connect",
];

impl<'a> ChannelType<'a> {
    /// The name on the wire.
    pub(super) const fn name(&self) -> &'static [u8] {
        match self {
            Self::Session => b"session",
            Self::DirectTcpip { .. } => b"direct-tcpip",
            Self::ForwardedTcpip { .. } => b"forwarded-tcpip",
            Self::DirectStreamlocal { .. } => b"direct-streamlocal@openssh.com",
            Self::ForwardedStreamlocal { .. } => b"forwarded-streamlocal@openssh.com",
            Self::AuthAgent => b"auth-agent@openssh.com",
        }
    }

    /// What `role` is asked for, if it expects that; otherwise the reason of the refusal.
    pub(super) fn decode(
        message: &ChannelOpen<'a>,
        role: Sender,
        expected: &Expected,
    ) -> Result<Result<Self, u32>, DecodeError> {
        let mut r = Reader::new(message.type_fields);
        let asked = match (role, message.channel_type) {
            (Sender::Server, b"session") => Some(Self::Session),
            (Sender::Server, b"direct-tcpip") if expected.forwarding => {
                addresses(&mut r)?.map(|(host, port, originator_address, originator_port)| {
                    Self::DirectTcpip { host, port, originator_address, originator_port }
                })
            }
            (Sender::Client, b"forwarded-tcpip") => addresses(&mut r)?.map(
                |(connected_address, connected_port, originator_address, originator_port)| {
                    Self::ForwardedTcpip {
                        connected_address,
                        connected_port,
                        originator_address,
                        originator_port,
                    }
                },
            ),
            (Sender::Server, b"direct-streamlocal@openssh.com") if expected.forwarding => {
                let socket_path = r.string()?;
                r.string()?; // reserved, and so is the next
                r.uint32()?;
                Some(Self::DirectStreamlocal { socket_path })
            }
            (Sender::Client, b"forwarded-streamlocal@openssh.com") => {
                let socket_path = r.string()?;
                r.string()?; // reserved
                Some(Self::ForwardedStreamlocal { socket_path })
            }
            (Sender::Client, b"auth-agent@openssh.com" | b"agent-connect") => Some(Self::AuthAgent),
            (_, name) if NAMES.contains(&name) => return Ok(Err(ADMINISTRATIVELY_PROHIBITED)),
            _ => return Ok(Err(UNKNOWN_CHANNEL_TYPE)),
        };
        if asked != Some(Self::Session) {
            r.finish()?;
        }
        Ok(match asked.filter(Self::is_short) {
            None => Err(CONNECT_FAILED), // there is no such port, and no such long name
            Some(asked) if asked.is_expected(expected) => Ok(asked),
            Some(_) => Err(ADMINISTRATIVELY_PROHIBITED),
        })
    }

    fn is_short(&self) -> bool {
        match self {
            Self::Session | Self::AuthAgent => true,
            Self::DirectTcpip { host: one, originator_address: other, .. }
            | Self::ForwardedTcpip { connected_address: one, originator_address: other, .. } => {
                one.len() <= HOST_TO_CONNECT_MAX && other.len() <= HOST_TO_CONNECT_MAX
            }
            Self::DirectStreamlocal { socket_path } | Self::ForwardedStreamlocal { socket_path } => {
                socket_path.len() <= SOCKET_PATH_MAX
            }
        }
    }

    /// Whether we asked for it: for where the server listens, in the very words of the request.
    fn is_expected(&self, expected: &Expected) -> bool {
        match *self {
            Self::Session | Self::DirectTcpip { .. } | Self::DirectStreamlocal { .. } => true,
            Self::ForwardedTcpip { connected_address, connected_port, .. } => expected.holds(|bind| {
                matches!(bind, Bind::Tcpip { address, port }
                    if address.as_bytes() == connected_address && *port == connected_port)
            }),
            Self::ForwardedStreamlocal { socket_path: forwarded } => expected.holds(|bind| {
                matches!(bind, Bind::Streamlocal { socket_path } if socket_path.as_bytes() == forwarded)
            }),
            Self::AuthAgent => expected.agent,
        }
    }

    /// Appends the fields.
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        match *self {
            Self::Session | Self::AuthAgent => {}
            Self::DirectTcpip { host: address, port, originator_address, originator_port }
            | Self::ForwardedTcpip {
                connected_address: address,
                connected_port: port,
                originator_address,
                originator_port,
            } => {
                w.string(address);
                w.uint32(port.into());
                w.string(originator_address);
                w.uint32(originator_port.into());
            }
            Self::DirectStreamlocal { socket_path } => {
                w.string(socket_path);
                w.string(b"");
                w.uint32(0);
            }
            Self::ForwardedStreamlocal { socket_path } => {
                w.string(socket_path);
                w.string(b"");
            }
        }
    }
}

/// An address and its port, and those of the originator.
type Addresses<'a> = (&'a [u8], u16, &'a [u8], u16);

/// Nothing if there can be no such port.
fn addresses<'a>(r: &mut Reader<'a>) -> Result<Option<Addresses<'a>>, DecodeError> {
    let (address, port, originator_address, originator_port) =
        (r.string()?, r.uint32()?, r.string()?, r.uint32()?);
    let ports = u16::try_from(port).ok().zip(u16::try_from(originator_port).ok());
    Ok(ports.map(|(port, originator_port)| (address, port, originator_address, originator_port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_in_the_order_of_the_rfc_and_read_back() {
        let (originator_address, originator_port) = (&b"::1"[..], 2);
        let tcpip = ChannelType::DirectTcpip { host: b"h", port: 65535, originator_address, originator_port };
        let forwarded = ChannelType::ForwardedTcpip {
            connected_address: b"h",
            connected_port: 65535,
            originator_address,
            originator_port,
        };
        let fields = &b"\0\0\0\x01h\0\0\xff\xff\0\0\0\x03::1\0\0\0\x02"[..];
        let socket_path = &b"/s"[..];
        let mut expected = Expected::default();
        (expected.forwarding, expected.agent) = (true, true);
        expected.hold(Bind::Tcpip { address: "h".to_owned(), port: 65535 });
        expected.hold(Bind::Streamlocal { socket_path: "/s".to_owned() });
        for (channel_type, role, fields) in [
            (ChannelType::Session, Sender::Server, &b""[..]),
            (tcpip, Sender::Server, fields),
            (forwarded, Sender::Client, fields),
            (ChannelType::DirectStreamlocal { socket_path }, Sender::Server, b"\0\0\0\x02/s\0\0\0\0\0\0\0\0"),
            (ChannelType::ForwardedStreamlocal { socket_path }, Sender::Client, b"\0\0\0\x02/s\0\0\0\0"),
            (ChannelType::AuthAgent, Sender::Client, b""),
        ] {
            let mut written = Vec::new();
            channel_type.encode(&mut Writer::new(&mut written));
            assert_eq!(written, fields);
            let message = |type_fields| ChannelOpen {
                channel_type: channel_type.name(),
                sender_channel: 0,
                initial_window_size: 0,
                maximum_packet_size: 1,
                type_fields,
            };
            assert_eq!(ChannelType::decode(&message(fields), role, &expected), Ok(Ok(channel_type)));
            for cut in 0..fields.len() {
                let cut = ChannelType::decode(&message(&fields[..cut]), role, &expected);
                assert_eq!(cut, Err(DecodeError::Truncated));
            }
            if channel_type != ChannelType::Session {
                let longer = [fields, b"x"].concat();
                let longer = ChannelType::decode(&message(&longer), role, &expected);
                assert_eq!(longer, Err(DecodeError::TrailingBytes));
            }
        }
    }
}
