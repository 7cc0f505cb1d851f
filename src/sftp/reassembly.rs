//! Packets out of a channel's data, cut anywhere (draft §3).
//!
//! It belongs to the caller, so that what is borrowed from it locks neither client nor server. It knows a packet's length
//! and nothing else of it.

use super::PACKET_LEN_MAX;
use crate::wire::Fault;

/// A packet says that it is longer than [`PACKET_LEN_MAX`].
pub const PACKET_TOO_LONG: Fault = Fault::protocol("the SFTP packet is too long");
/// A packet says that it is empty.
pub const EMPTY_PACKET: Fault = Fault::protocol("the SFTP packet is empty");
/// More was to be kept than [`KEPT_MAX`].
pub const TOO_MUCH_KEPT: Fault = Fault::protocol("more SFTP packets came than may wait");

/// What may wait unread (bytes): more than the window of a channel grows to by default, and a packet that was cut. A peer has no
/// credit for what waits.
pub const KEPT_MAX: usize = 17 * 1024 * 1024;

/// The length in front of a packet.
const LENGTH_LEN: usize = 4;

/// The beginning of a packet that was cut, and what was kept.
#[derive(Debug, Default)]
pub struct Reassembly {
    buf: Vec<u8>,
    head: usize,
}

impl Reassembly {
    /// An empty one; it allocates nothing before a packet is cut.
    #[must_use]
    pub const fn new() -> Self {
        Self { buf: Vec::new(), head: 0 }
    }

    /// The next packet, without its length; what was taken of `data` is gone from it. A packet that lies whole in `data` is
    /// not copied; of one that is cut no more is stored than came. `None` once `data` is empty.
    ///
    /// # Errors
    /// [`PACKET_TOO_LONG`] and [`EMPTY_PACKET`], before anything of the packet is stored but its length.
    pub(super) fn next<'b, 'd: 'b>(&'b mut self, data: &mut &'d [u8]) -> Result<Option<&'b [u8]>, Fault> {
        if self.unread().is_empty() {
            self.buf.clear();
            self.buf.shrink_to(LENGTH_LEN + PACKET_LEN_MAX); // more was kept: that was an exception
            self.head = 0;
            if let Some((length, rest)) = data.split_first_chunk()
                && let Some((packet, rest)) = rest.split_at_checked(packet_length(*length)?)
            {
                *data = rest;
                return Ok(Some(packet));
            }
        }
        if !self.fill(LENGTH_LEN, data) {
            return Ok(None);
        }
        let Some(length) = self.unread().first_chunk() else { return Ok(None) };
        let whole = LENGTH_LEN + packet_length(*length)?;
        if !self.fill(whole, data) {
            return Ok(None);
        }
        let start = self.head + LENGTH_LEN;
        self.head += whole;
        Ok(self.buf.get(start..self.head))
    }

    /// Keeps what is left of `data`, for a time when no packet is taken.
    ///
    /// # Errors
    /// [`TOO_MUCH_KEPT`]: the peer sent more than a window that is meant for SFTP allows.
    pub fn keep(&mut self, data: &mut &[u8]) -> Result<(), Fault> {
        if self.unread().len() + data.len() > KEPT_MAX {
            return Err(TOO_MUCH_KEPT);
        }
        self.append(core::mem::take(data));
        Ok(())
    }

    /// The bytes that were not taken.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.buf.get(self.head..).unwrap_or_default()
    }

    /// Moves bytes of `data` here until `n` are unread; whether that many are.
    fn fill(&mut self, n: usize, data: &mut &[u8]) -> bool {
        let missing = n.saturating_sub(self.unread().len());
        let (taken, rest) = data.split_at(missing.min(data.len()));
        self.append(taken);
        *data = rest;
        taken.len() == missing
    }

    fn append(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() && self.head > self.buf.len() / 2 {
            self.buf.drain(..self.head);
            self.head = 0;
        }
        self.buf.extend_from_slice(bytes);
    }
}

fn packet_length(length: [u8; LENGTH_LEN]) -> Result<usize, Fault> {
    match usize::try_from(u32::from_be_bytes(length)) {
        Ok(0) => Err(EMPTY_PACKET),
        Ok(length) if length <= PACKET_LEN_MAX => Ok(length),
        _ => Err(PACKET_TOO_LONG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The packets of a stream that comes in pieces.
    fn packets(stream: &[u8], cut: usize) -> Result<Vec<Vec<u8>>, Fault> {
        let (mut reassembly, mut all) = (Reassembly::new(), Vec::new());
        for mut piece in stream.chunks(cut) {
            while let Some(packet) = reassembly.next(&mut piece)? {
                all.push(packet.to_vec());
            }
            assert!(piece.is_empty());
        }
        Ok(all)
    }

    #[test]
    fn packets_are_the_same_however_they_are_cut() {
        let stream = b"\0\0\0\x01a\0\0\0\x03bcd\0\0\0\x01e\0\0\0\x02fg";
        for cut in 1..=stream.len() {
            assert_eq!(packets(stream, cut).unwrap(), [&b"a"[..], b"bcd", b"e", b"fg"], "{cut}");
        }
    }

    #[test]
    fn a_length_is_checked_as_soon_as_it_is_there_and_allocates_nothing() {
        for (length, fault) in
            [(0, EMPTY_PACKET), (PACKET_LEN_MAX + 1, PACKET_TOO_LONG), (0xffff_ffff, PACKET_TOO_LONG)]
        {
            let length = u32::try_from(length).unwrap().to_be_bytes();
            assert_eq!((packets(&length, 1), packets(&length, 4)), (Err(fault), Err(fault)));
        }
        let mut reassembly = Reassembly::new();
        let length = u32::try_from(PACKET_LEN_MAX).unwrap().to_be_bytes();
        assert_eq!(reassembly.next(&mut &[&length[..], b"x"].concat()[..]), Ok(None));
        assert!(reassembly.buf.capacity() < 64);
    }

    #[test]
    fn an_idle_channel_holds_no_more_than_a_packet() {
        let mut reassembly = Reassembly::new();
        let stream = b"\0\0\0\x03abc".repeat(4 * PACKET_LEN_MAX / 7);
        reassembly.keep(&mut &stream[..]).unwrap();
        assert!(reassembly.buf.capacity() > 3 * PACKET_LEN_MAX);
        while reassembly.next(&mut &[][..]).unwrap().is_some() {}
        assert!(reassembly.buf.capacity() <= LENGTH_LEN + PACKET_LEN_MAX);
    }

    #[test]
    fn what_is_kept_comes_before_what_follows() {
        let mut reassembly = Reassembly::new();
        reassembly.keep(&mut &b"\0\0\0\x01a\0\0\0\x01b\0\0"[..]).unwrap();
        let mut data = &b"\0\x01c\0\0\0\x01d"[..];
        let mut all = Vec::new();
        while let Some(packet) = reassembly.next(&mut data).unwrap() {
            all.extend_from_slice(packet);
        }
        assert_eq!((&all[..], reassembly.unread().len()), (&b"abcd"[..], 0));
        reassembly.keep(&mut &vec![0; KEPT_MAX][..]).unwrap();
        assert_eq!(reassembly.keep(&mut &b"x"[..]), Err(TOO_MUCH_KEPT));
    }
}
