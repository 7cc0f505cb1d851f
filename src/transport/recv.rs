//! The inbound packet path: each packet is opened where it landed (RFC 4253 §6).
//!
//! It knows keys, lengths and sequence numbers, not what a payload means.
#![warn(clippy::indexing_slicing)]

use super::algorithms::Compression;
use super::compression::{Delayed, Inflater};
use super::{Error, RecvBuf};
use crate::crypto::OpeningKey;
use crate::wire::{DisconnectReason, Fault};

/// The largest `packet_length` once a user is authenticated: that of OpenSSH.
pub const PACKET_LENGTH_MAX: usize = 256 * 1024;

/// The largest `packet_length` before that: what RFC 4253 §6.1 asks every side to take.
pub const PACKET_LENGTH_MAX_UNAUTHENTICATED: usize = 35_000;

/// One byte of padding_length, no payload and four bytes of padding.
const PACKET_LENGTH_MIN: usize = 5;

/// RFC 4253 §6.
const PADDING_LENGTH_MIN: usize = 4;

/// After so many packets with one key the connection ends: the sequence number would come again (RFC 4344 §3.1).
const PACKETS_MAX: u64 = (1 << 32) - 1;

/// A `packet_length` out of bounds or no multiple of the block.
pub const PACKET_LENGTH: Fault = Fault::protocol("packet_length is out of bounds");
/// A `padding_length` below four, or beyond the packet.
pub const PADDING_LENGTH: Fault = Fault::protocol("padding_length is out of bounds");
/// A packet without payload, or with a compressed one that says nothing.
pub const EMPTY_PAYLOAD: Fault = Fault::protocol("the payload is empty");
/// The peer uses one key for too many packets.
pub const KEY_EXHAUSTED: Fault = Fault::protocol("the keys were not renewed in time");
/// A packet is not what was sealed. No detail, and the same wherever it shows.
pub const MAC_ERROR: Fault =
    Fault { reason: DisconnectReason::MAC_ERROR, description: "message authentication failed" };

/// The state of the inbound direction.
pub(super) struct RecvPath {
    key: OpeningKey,
    sequence_number: u32,
    compression: Delayed<Inflater>,
    /// The length of the packet that is coming in, once its first bytes are here.
    packet_length: Option<usize>,
    packet_length_max: usize,
    /// Bytes to swallow before the failure shows: a wrong length under a plain MAC (RFC 4253 §6.4 as OpenSSH does it).
    swallow: Option<usize>,
    /// Packets and bytes since the key came into use.
    packets: u64,
    bytes: u64,
}

impl RecvPath {
    pub(super) const fn new() -> Self {
        Self {
            key: OpeningKey::Clear,
            sequence_number: 0,
            compression: Delayed::new(),
            packet_length: None,
            packet_length_max: PACKET_LENGTH_MAX_UNAUTHENTICATED,
            swallow: None,
            packets: 0,
            bytes: 0,
        }
    }

    /// The payload of the next whole packet, or `None` until there is one.
    pub(super) fn next<'b>(&mut self, input: &'b mut RecvBuf) -> Result<Option<&'b [u8]>, Error> {
        input.wipe();
        if let Some(left) = self.swallow {
            return self.swallow(left, input);
        }
        let packet_length = match self.packet_length {
            Some(length) => length,
            None => {
                let Some(first) = input.unread_mut().get_mut(..self.key.first_len()) else { return Ok(None) };
                let length = self.key.packet_length(self.sequence_number, first) as usize;
                if !self.is_sound(length) {
                    if self.key.hides_bad_length() {
                        return self.swallow(PACKET_LENGTH_MAX, input);
                    }
                    return Err(PACKET_LENGTH.into());
                }
                *self.packet_length.insert(length)
            }
        };
        let sealed_length = 4 + packet_length + self.key.tag_len();
        if input.unread().len() < sealed_length {
            return Ok(None);
        }
        if self.packets >= PACKETS_MAX {
            return Err(KEY_EXHAUSTED.into());
        }
        self.packet_length = None;
        if self.packet_length_max == PACKET_LENGTH_MAX_UNAUTHENTICATED {
            input.mark_secret(sealed_length); // a password may be in it
        }
        let (sealed, area) = input.take_beside_area(sealed_length);
        self.key.open_in_place(self.sequence_number, sealed)?;
        self.sequence_number = self.sequence_number.wrapping_add(1);
        self.packets += 1;
        self.bytes += sealed_length as u64;
        let payload = payload(sealed.get(4..4 + packet_length).unwrap_or_default())?;
        let payload = match self.compression.stream() {
            Some(inflater) => inflater.inflate(payload, area)?,
            None => payload,
        };
        if payload.is_empty() { Err(EMPTY_PAYLOAD.into()) } else { Ok(Some(payload)) }
    }

    fn is_sound(&self, packet_length: usize) -> bool {
        (PACKET_LENGTH_MIN..=self.packet_length_max).contains(&packet_length)
            && (4 + packet_length - self.key.unpadded_len()).is_multiple_of(self.key.block_len())
    }

    /// The place of the failure must not tell what the length decrypted to (CVE-2008-5161).
    fn swallow<'b>(&mut self, left: usize, input: &mut RecvBuf) -> Result<Option<&'b [u8]>, Error> {
        let left = left - input.take(left).len();
        self.swallow = Some(left);
        if left == 0 { Err(MAC_ERROR.into()) } else { Ok(None) }
    }

    /// The sequence number of the packet that came last.
    pub(super) const fn last_sequence_number(&self) -> u32 {
        self.sequence_number.wrapping_sub(1)
    }

    /// The peer's NEWKEYS was taken: `key` opens what follows.
    pub(super) fn set_key(&mut self, key: OpeningKey, compression: Compression, reset_sequence_number: bool) {
        self.key = key;
        self.compression.set_method(compression);
        (self.packets, self.bytes) = (0, 0);
        if reset_sequence_number {
            self.sequence_number = 0;
        }
    }

    /// A user is authenticated: packets may be larger, and compressed.
    pub(super) fn set_authenticated(&mut self) {
        self.packet_length_max = PACKET_LENGTH_MAX;
        self.compression.set_authenticated();
    }

    /// Doors for tests: another method for the keys in use, and keys that have served so many packets.
    #[cfg(any(test, fuzzing))]
    pub(super) fn set_compression(&mut self, method: Compression) {
        self.compression.set_method(method);
    }

    #[cfg(any(test, fuzzing))]
    pub(super) const fn age(&mut self, packets: u64, bytes: u64) {
        (self.packets, self.bytes) = (packets, bytes);
    }

    /// Packets and bytes since the key came into use.
    pub(super) const fn used(&self) -> (u64, u64) {
        (self.packets, self.bytes)
    }
}

/// Takes `padding_length` and the padding off.
fn payload(packet: &[u8]) -> Result<&[u8], Error> {
    let (padding_length, rest) = packet.split_first().ok_or(PACKET_LENGTH)?;
    let padding_length = usize::from(*padding_length);
    let payload_length = rest.len().checked_sub(padding_length).ok_or(PADDING_LENGTH)?;
    if padding_length < PADDING_LENGTH_MIN {
        return Err(PADDING_LENGTH.into());
    }
    Ok(rest.get(..payload_length).unwrap_or_default())
}
