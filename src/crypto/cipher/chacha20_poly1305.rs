//! chacha20-poly1305@openssh.com (draft-ietf-sshm-chacha20-poly1305).
//!
//! The nonce is the sequence number; the length is encrypted by a key of its own, so that it can be read before the tag
//! is there. The tag is checked before anything else is decrypted.

use ring::aead::chacha20_poly1305_openssh as ring_openssh;

use crate::crypto::Unauthentic;

pub(in crate::crypto) const KEY_LEN: usize = ring_openssh::KEY_LEN;
pub(in crate::crypto) const TAG_LEN: usize = ring_openssh::TAG_LEN;

/// What both halves have in common.
pub trait Half: Sized {
    /// `None` if `key` has a wrong length.
    fn new(key: &[u8]) -> Option<Self>;
}

/// Seals packets.
pub struct Sealing(ring_openssh::SealingKey);

impl Half for Sealing {
    fn new(key: &[u8]) -> Option<Self> {
        Some(Self(ring_openssh::SealingKey::new(key.try_into().ok()?)))
    }
}

impl Sealing {
    /// `None`, with nothing done, if `packet` has no length field or `tag` a wrong length.
    pub(in crate::crypto) fn seal(
        &self,
        sequence_number: u32,
        packet: &mut [u8],
        tag: &mut [u8],
    ) -> Option<()> {
        packet.first_chunk::<{ ring_openssh::PACKET_LENGTH_LEN }>()?;
        self.0.seal_in_place(sequence_number, packet, tag.try_into().ok()?);
        Some(())
    }
}

/// Opens packets.
pub struct Opening(ring_openssh::OpeningKey);

impl Half for Opening {
    fn new(key: &[u8]) -> Option<Self> {
        Some(Self(ring_openssh::OpeningKey::new(key.try_into().ok()?)))
    }
}

impl Opening {
    pub(in crate::crypto) fn packet_length(&self, sequence_number: u32, first: [u8; 4]) -> u32 {
        u32::from_be_bytes(self.0.decrypt_packet_length(sequence_number, first))
    }

    pub(in crate::crypto) fn open(&self, sequence_number: u32, sealed: &mut [u8]) -> Result<(), Unauthentic> {
        let (packet, tag) = sealed.split_last_chunk_mut::<TAG_LEN>().ok_or(Unauthentic)?;
        self.0.open_in_place(sequence_number, packet, tag).map(|_| ()).map_err(|_| Unauthentic)
    }
}
