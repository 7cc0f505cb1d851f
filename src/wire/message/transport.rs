//! Messages of the transport layer (RFC 4253 §7 to §11, RFC 5656 §4, RFC 8308).

use super::messages;
use crate::wire::{Decode, DecodeError, Encode, NameList, Reader, Writer, number};

messages! {
    /// RFC 4253 §11.1. Some peers leave the language tag out: see [`Disconnect::from_lenient`].
    DISCONNECT Disconnect<'a> { reason_code: uint32, description: string, language_tag: string }
    /// RFC 4253 §11.2.
    IGNORE Ignore<'a> { data: string }
    /// RFC 4253 §11.4.
    UNIMPLEMENTED Unimplemented { packet_sequence_number: uint32 }
    /// RFC 4253 §11.3.
    DEBUG Debug<'a> { always_display: boolean, message: string, language_tag: string }
    /// RFC 4253 §10.
    SERVICE_REQUEST ServiceRequest<'a> { service_name: string }
    /// RFC 4253 §10.
    SERVICE_ACCEPT ServiceAccept<'a> { service_name: string }
    /// RFC 8308 §2.3; the pairs of names and values are read by [`ExtInfo::extensions`].
    EXT_INFO ExtInfo<'a> { nr_extensions: uint32, pairs: remainder }
    /// RFC 4253 §7.3.
    NEWKEYS NewKeys {}
    /// RFC 5656 §4 and RFC 8731 §3; of RFC 4253 §8 too, whose e is an `mpint`: a string of its bytes.
    KEX_ECDH_INIT KexEcdhInit<'a> { q_c: string }
    /// RFC 5656 §4 and RFC 8731 §3.
    KEX_ECDH_REPLY KexEcdhReply<'a> { k_s: string, q_s: string, signature: string }
    /// RFC 4419 §3: the sizes of the modulus in bits that the client takes and prefers.
    KEX_DH_GEX_REQUEST KexDhGexRequest { min: uint32, n: uint32, max: uint32 }
    /// RFC 4419 §3: both are `mpint`, here as the strings that these are. Its number is that of KEX_ECDH_REPLY; the method
    /// under way tells which it is.
    KEX_ECDH_REPLY KexDhGexGroup<'a> { p: string, g: string }
    /// RFC 4419 §3: an `mpint`, here as the string that it is.
    KEX_DH_GEX_INIT KexDhGexInit<'a> { e: string }
    /// RFC 4419 §3: f is an `mpint`, here as the string that it is.
    KEX_DH_GEX_REPLY KexDhGexReply<'a> { k_s: string, f: string, signature: string }
    /// OpenSSH PROTOCOL §1.9.
    PING Ping<'a> { data: string }
    /// OpenSSH PROTOCOL §1.9.
    PONG Pong<'a> { data: string }
}

impl<'a> Disconnect<'a> {
    /// Reads a payload of a peer that may have left out what follows the reason.
    pub fn from_lenient(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(payload);
        r.byte()?;
        let reason_code = r.uint32()?;
        let description = r.string().unwrap_or_default();
        Ok(Self { reason_code, description, language_tag: b"" })
    }
}

impl<'a> ExtInfo<'a> {
    /// The extensions, name and value. A count that the bytes cannot hold is [`DecodeError::Truncated`] at the first
    /// missing one; the work is bounded by the bytes, not by the count.
    pub fn extensions(&self) -> impl Iterator<Item = Result<(&'a [u8], &'a [u8]), DecodeError>> + use<'a> {
        let mut r = Reader::new(self.pairs);
        let mut left = self.nr_extensions;
        core::iter::from_fn(move || {
            if left == 0 {
                return core::mem::replace(&mut r, Reader::new(b"")).finish().err().map(Err);
            }
            left -= 1;
            let pair = r.string().and_then(|name| Ok((name, r.string()?)));
            if pair.is_err() {
                left = 0;
                r = Reader::new(b"");
            }
            Some(pair)
        })
    }
}

/// SSH_MSG_KEXINIT (RFC 4253 §7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KexInit<'a> {
    /// Random bytes.
    pub cookie: &'a [u8; 16],
    /// Key exchange methods, and the markers of extensions.
    pub kex_algorithms: NameList<'a>,
    /// Signature algorithms of the host key.
    pub server_host_key_algorithms: NameList<'a>,
    /// Ciphers from client to server.
    pub encryption_algorithms_client_to_server: NameList<'a>,
    /// Ciphers from server to client.
    pub encryption_algorithms_server_to_client: NameList<'a>,
    /// MACs from client to server.
    pub mac_algorithms_client_to_server: NameList<'a>,
    /// MACs from server to client.
    pub mac_algorithms_server_to_client: NameList<'a>,
    /// Compression from client to server.
    pub compression_algorithms_client_to_server: NameList<'a>,
    /// Compression from server to client.
    pub compression_algorithms_server_to_client: NameList<'a>,
    /// Unused in practice.
    pub languages_client_to_server: NameList<'a>,
    /// Unused in practice.
    pub languages_server_to_client: NameList<'a>,
    /// Whether the sender guessed the method and sent its first message.
    pub first_kex_packet_follows: bool,
}

impl Encode for KexInit<'_> {
    const NUMBER: u8 = number::KEXINIT;

    fn encode(&self, w: &mut Writer<'_>) {
        w.bytes(self.cookie);
        for list in [
            self.kex_algorithms,
            self.server_host_key_algorithms,
            self.encryption_algorithms_client_to_server,
            self.encryption_algorithms_server_to_client,
            self.mac_algorithms_client_to_server,
            self.mac_algorithms_server_to_client,
            self.compression_algorithms_client_to_server,
            self.compression_algorithms_server_to_client,
            self.languages_client_to_server,
            self.languages_server_to_client,
        ] {
            w.string(list.as_str().as_bytes());
        }
        w.boolean(self.first_kex_packet_follows);
        w.uint32(0);
    }
}

impl<'a> Decode<'a> for KexInit<'a> {
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let message = Self {
            cookie: r.array()?,
            kex_algorithms: r.name_list()?,
            server_host_key_algorithms: r.name_list()?,
            encryption_algorithms_client_to_server: r.name_list()?,
            encryption_algorithms_server_to_client: r.name_list()?,
            mac_algorithms_client_to_server: r.name_list()?,
            mac_algorithms_server_to_client: r.name_list()?,
            compression_algorithms_client_to_server: r.name_list()?,
            compression_algorithms_server_to_client: r.name_list()?,
            languages_client_to_server: r.name_list()?,
            languages_server_to_client: r.name_list()?,
            first_kex_packet_follows: r.boolean()?,
        };
        r.uint32()?; // reserved: read and ignored
        Ok(message)
    }
}
