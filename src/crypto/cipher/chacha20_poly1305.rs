//! `chacha20-poly1305@openssh.com` (draft-ietf-sshm-chacha20-poly1305), by ring.
//!
//! The nonce is the sequence number. The length has a key of its own; it is read before it is authentic.

use crate::crypto::Unauthentic;
use ring::aead::chacha20_poly1305_openssh::{OpeningKey, SealingKey, TAG_LEN};

/// ring's key that seals.
pub struct Sealing(SealingKey);
/// ring's key that opens.
pub struct Opening(OpeningKey);

pub(in crate::crypto) fn sealing(key: &[u8]) -> Option<Sealing> {
    Some(Sealing(SealingKey::new(key.try_into().ok()?)))
}

pub(in crate::crypto) fn opening(key: &[u8]) -> Option<Opening> {
    Some(Opening(OpeningKey::new(key.try_into().ok()?)))
}

pub(in crate::crypto) fn seal(key: &Sealing, sequence_number: u32, packet: &mut [u8], tag: &mut [u8]) {
    if let Ok(tag) = <&mut [u8; TAG_LEN]>::try_from(tag) {
        key.0.seal_in_place(sequence_number, packet, tag);
    }
}

pub(in crate::crypto) fn packet_length(key: &Opening, sequence_number: u32, first: &[u8]) -> u32 {
    let first = first.first_chunk().copied().unwrap_or_default();
    u32::from_be_bytes(key.0.decrypt_packet_length(sequence_number, first))
}

pub(in crate::crypto) fn open(
    key: &Opening,
    sequence_number: u32,
    sealed: &mut [u8],
) -> Result<(), Unauthentic> {
    let (packet, tag) = sealed.split_last_chunk_mut::<TAG_LEN>().ok_or(Unauthentic)?;
    key.0.open_in_place(sequence_number, packet, tag).map(drop).map_err(|_| Unauthentic)
}
