//! The outbound packet path: a packet is built, compressed where that was agreed upon, padded and sealed where it leaves
//! from (RFC 4253 §6).
//!
//! It knows keys, padding and sequence numbers, not what a payload means.

use super::algorithms::Compression;
use super::compression::{Deflater, Delayed, EXPANSION_MAX};
use crate::crypto::{Rng, SealingKey};
use crate::wire::{Encode, Writer};

/// Above so much unsent output (bytes) bulk data is refused; replies are not.
pub const DATA_MARK: usize = 256 * 1024;

/// RFC 4253 §6.
const PADDING_LENGTH_MIN: usize = 4;

/// What sealing may append to a payload (bytes): padding as we choose it, and the longest tag.
const PADDING_AND_TAG: usize = 32 + 64;

/// By how much a packet may be longer than its payload (bytes).
pub(crate) const OVERHEAD_MAX: usize = 5 + EXPANSION_MAX + PADDING_AND_TAG;

/// Two buffers that are swapped and never moved: one drains into the socket while the other fills.
#[derive(Debug, Default)]
pub struct SendBuf {
    filling: Vec<u8>,
    draining: Vec<u8>,
    drained: usize,
}

impl SendBuf {
    /// Whether it holds memory.
    #[must_use]
    pub const fn has_capacity(&self) -> bool {
        self.filling.capacity() + self.draining.capacity() > 0
    }

    /// What may be sent now, in one piece. More may follow once it is consumed.
    pub(super) fn output(&mut self) -> &[u8] {
        self.swap_if_drained();
        self.draining.get(self.drained..).unwrap_or_default()
    }

    pub(super) fn consume(&mut self, n: usize) {
        self.drained = self.drained.saturating_add(n).min(self.draining.len());
    }

    pub(super) const fn pending(&self) -> usize {
        self.draining.len() - self.drained + self.filling.len()
    }

    fn swap_if_drained(&mut self) {
        if self.drained == self.draining.len() {
            self.drained = 0;
            self.draining.clear();
            core::mem::swap(&mut self.draining, &mut self.filling);
        }
    }
}

/// The state of the outbound direction.
pub(super) struct SendPath {
    pub(super) buf: SendBuf,
    key: SealingKey,
    sequence_number: u32,
    compression: Delayed<Deflater>,
    rng: Box<dyn Rng + Send>,
    /// Packets and bytes since the key came into use.
    packets: u64,
    bytes: u64,
}

impl SendPath {
    pub(super) fn new(rng: Box<dyn Rng + Send>) -> Self {
        Self {
            buf: SendBuf::default(),
            key: SealingKey::Clear,
            sequence_number: 0,
            compression: Delayed::new(),
            rng,
            packets: 0,
            bytes: 0,
        }
    }

    /// Randomness for the exchange and for padding.
    pub(super) fn rng(&mut self) -> &mut dyn Rng {
        &mut *self.rng
    }

    /// Bytes without a packet around them: the identification line.
    pub(super) fn line(&mut self, line: &[u8]) {
        self.buf.filling.extend_from_slice(line);
    }

    pub(super) fn packet(&mut self) -> PacketBuilder<'_> {
        let start = self.buf.filling.len();
        self.buf.filling.extend_from_slice(&[0; 5]);
        PacketBuilder { path: self, start }
    }

    pub(super) fn message<M: Encode>(&mut self, message: &M) {
        let mut packet = self.packet();
        let mut w = packet.writer();
        w.byte(M::NUMBER);
        message.encode(&mut w);
        packet.seal();
    }

    /// A packet around a payload that was encoded before.
    pub(super) fn payload(&mut self, payload: &[u8]) {
        let mut packet = self.packet();
        packet.writer().bytes(payload);
        packet.seal();
    }

    /// Our NEWKEYS was sent: `key` seals what follows.
    pub(super) fn set_key(&mut self, key: SealingKey, compression: Compression, reset_sequence_number: bool) {
        self.key = key;
        self.compression.set_method(compression);
        (self.packets, self.bytes) = (0, 0);
        if reset_sequence_number {
            self.sequence_number = 0;
        }
    }

    /// A user is authenticated: packets may be compressed.
    pub(super) fn set_authenticated(&mut self) {
        self.compression.set_authenticated();
    }

    /// Doors for tests: a payload that takes the place of a compressed one, and another method for the keys in use.
    #[cfg(any(test, fuzzing))]
    pub(super) fn payload_as_it_is(&mut self, payload: &[u8]) {
        let compression = core::mem::replace(&mut self.compression, Delayed::new());
        self.payload(payload);
        self.compression = compression;
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn set_compression(&mut self, method: Compression) {
        self.compression.set_method(method);
    }

    pub(super) const fn is_full(&self) -> bool {
        self.buf.pending() >= DATA_MARK
    }

    /// Packets and bytes since the key came into use.
    pub(super) const fn used(&self) -> (u64, u64) {
        (self.packets, self.bytes)
    }
}

/// A packet that is being built at the end of the send buffer. Dropped unsealed it leaves no trace.
#[must_use = "a packet that is not sealed is not sent"]
pub struct PacketBuilder<'a> {
    path: &'a mut SendPath,
    start: usize,
}

impl PacketBuilder<'_> {
    /// Appends fields of the payload, its number first. Bytes appended here are the one copy of a payload.
    pub fn writer(&mut self) -> Writer<'_> {
        Writer::new(&mut self.path.buf.filling)
    }

    /// Lets `fill` write up to `max` bytes where they are sealed and sent from: a `string` whose length is what `fill`
    /// returns. Nothing is copied.
    pub fn fill_string<E>(
        &mut self,
        max: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let filling = &mut self.path.buf.filling;
        let at = filling.len();
        let data = at + 4;
        filling.reserve(4 + max + PADDING_AND_TAG); // so that what was filled does not move when it is sealed
        filling.resize(data + max, 0);
        let n = fill(filling.get_mut(data..).unwrap_or_default())?.min(max);
        filling.truncate(data + n);
        if let Some(length) = filling.get_mut(at..data) {
            length.copy_from_slice(&u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes());
        }
        Ok(n)
    }

    /// Compresses, pads and seals the packet; it is now part of the output.
    pub fn seal(mut self) {
        let path = &mut *self.path;
        let filling = &mut path.buf.filling;
        if let Some(deflater) = path.compression.stream() {
            deflater.deflate(filling, self.start + 5);
        }
        let block_len = path.key.block_len();
        let unpadded = filling.len() - self.start - path.key.unpadded_len();
        let mut padding_length = block_len - unpadded % block_len;
        if padding_length < PADDING_LENGTH_MIN {
            padding_length += block_len;
        }
        let padding = filling.len();
        let end = padding + padding_length;
        filling.resize(end + path.key.tag_len(), 0);
        if !matches!(path.key, SealingKey::Clear) {
            path.rng.fill(filling.get_mut(padding..end).unwrap_or_default());
        }
        let (packet, tag) = filling.get_mut(self.start..).unwrap_or_default().split_at_mut(end - self.start);
        let packet_length = u32::try_from(packet.len() - 4).unwrap_or(u32::MAX);
        if let Some((first, rest)) = packet.split_first_chunk_mut::<4>() {
            *first = packet_length.to_be_bytes();
            if let (Some(second), Ok(padding_length)) = (rest.first_mut(), u8::try_from(padding_length)) {
                *second = padding_length;
            }
        }
        path.key.seal_in_place(path.sequence_number, packet, tag);
        path.sequence_number = path.sequence_number.wrapping_add(1);
        path.packets += 1;
        path.bytes += u64::from(packet_length);
        self.start = filling.len(); // sealed: the drop below cuts nothing
    }
}

impl Drop for PacketBuilder<'_> {
    fn drop(&mut self) {
        self.path.buf.filling.truncate(self.start);
    }
}
