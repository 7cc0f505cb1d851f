//! Compression of payloads, zlib@openssh.com (RFC 4253 §6.2, OpenSSH PROTOCOL §1.2).
//!
//! A stream serves one direction and one set of keys: it begins once a user is authenticated, and anew at each NEWKEYS after
//! that; what one packet says is known in the next. Each payload ends with a partial flush. It is for slow lines, and for
//! those who ask for it: the lengths of compressed packets tell of what they hold, and the two streams of a side hold 360 KiB
//! for as long as it is connected.
//!
//! A payload is compressed behind itself in the send buffer and moved into its place, so that a connection holds no
//! buffer for it; it is expanded into the second area of the receive buffer. It does not know what a payload means.
#![warn(clippy::indexing_slicing)]

use super::algorithms::Compression;
use super::recv::PACKET_LENGTH_MAX;
use crate::wire::{DisconnectReason, Fault};
use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

/// The longest payload that a compressed one may stand for (bytes).
pub const INFLATED_MAX: usize = PACKET_LENGTH_MAX;

/// Where the area of a payload starts: it holds each message that we say we take.
const AREA: usize = 64 * 1024;

/// By how much the payload of a packet of data may grow when there is nothing to compress (bytes): a header of 2, 5 for each
/// stored block of some 31 KiB, and the flush. Should a block be too long to be stored, its Huffman codes may waste a
/// hundredth of it, and their table 300 bytes. No more than 13 were ever seen.
pub(crate) const EXPANSION_MAX: usize = 1024;

/// A payload expands beyond the largest packet.
pub const INFLATED_LENGTH: Fault = fault("the payload expands beyond the largest packet");
/// A payload is not what zlib writes.
pub const NOT_ZLIB: Fault = fault("the compressed payload is corrupt");
/// The stream of a direction ends only with its keys.
pub const ZLIB_ENDED: Fault = fault("the compressed stream has ended");

const fn fault(description: &'static str) -> Fault {
    Fault { reason: DisconnectReason::COMPRESSION_ERROR, description }
}

/// One direction: the method that came with its keys, and its stream once that has begun.
pub(super) struct Delayed<S> {
    method: Compression,
    authenticated: bool,
    stream: Option<S>,
}

impl<S: Default> Delayed<S> {
    pub(super) const fn new() -> Self {
        Self { method: Compression::None, authenticated: false, stream: None }
    }

    /// NEWKEYS passed.
    pub(super) fn set_method(&mut self, method: Compression) {
        self.method = method;
        self.begin();
    }

    /// USERAUTH_SUCCESS passed, in whichever direction.
    pub(super) fn set_authenticated(&mut self) {
        self.authenticated = true;
        self.begin();
    }

    fn begin(&mut self) {
        self.stream = None;
        if self.authenticated && self.method == Compression::ZlibOpenssh {
            self.stream = Some(S::default());
        }
    }

    /// What the next payload passes through, if anything.
    pub(super) const fn stream(&mut self) -> Option<&mut S> {
        self.stream.as_mut()
    }
}

/// Compresses the payloads of one direction.
pub(super) struct Deflater(Compress);

impl Default for Deflater {
    fn default() -> Self {
        Self(Compress::new(flate2::Compression::default(), true))
    }
}

impl Deflater {
    /// Replaces what `buf` holds from `start` on by its compressed form.
    pub(super) fn deflate(&mut self, buf: &mut Vec<u8>, start: usize) {
        let end = buf.len();
        let room = (end - start).div_ceil(8) + EXPANSION_MAX; // a code of DEFLATE costs nine bits a byte at the most
        let mut filled = end;
        let mut read = start;
        loop {
            buf.resize(filled + (end - read) + room, 0);
            let (payload, area) = buf.split_at_mut(filled);
            let (total_in, total_out) = (self.0.total_in(), self.0.total_out());
            let payload = payload.get(read..end).unwrap_or_default();
            // It fails only after its stream was finished, which nothing does.
            let _ = self.0.compress(payload, area, FlushCompress::Partial);
            read += since(total_in, self.0.total_in());
            let made = since(total_out, self.0.total_out());
            let is_flushed = made < area.len();
            filled += made;
            if is_flushed {
                break;
            }
        }
        buf.copy_within(end..filled, start);
        buf.truncate(start + filled - end);
    }
}

/// Expands the payloads of one direction.
pub(super) struct Inflater(Decompress);

impl Default for Inflater {
    fn default() -> Self {
        Self(Decompress::new(true))
    }
}

impl Inflater {
    /// What `payload` expands to, within `area`, which grows where that is needed, to one byte more than may come.
    pub(super) fn inflate<'a>(&mut self, payload: &[u8], area: &'a mut Vec<u8>) -> Result<&'a [u8], Fault> {
        let (mut rest, mut length) = (payload, 0);
        loop {
            if length == area.len() {
                let grown = if area.len() < AREA { AREA } else { INFLATED_MAX + 1 };
                area.reserve_exact(grown - area.len());
                area.resize(grown, 0);
            }
            let (total_in, total_out) = (self.0.total_in(), self.0.total_out());
            let room = area.get_mut(length..).unwrap_or_default();
            let status = self.0.decompress(rest, room, FlushDecompress::Sync).map_err(|_| NOT_ZLIB)?;
            let (read, made) = (since(total_in, self.0.total_in()), since(total_out, self.0.total_out()));
            rest = rest.get(read..).unwrap_or_default();
            length += made;
            if length > INFLATED_MAX {
                return Err(INFLATED_LENGTH);
            }
            if status == Status::StreamEnd {
                return Err(ZLIB_ENDED);
            }
            if (read, made) == (0, 0) {
                // All that was read is out: some of it may stay inside after the last byte was taken.
                return area.get(..length).ok_or(INFLATED_LENGTH);
            }
        }
    }
}

/// What one call added to a total.
fn since(before: u64, after: u64) -> usize {
    usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX)
}

/// A door for the fuzz target: shows what the payloads of one stream expand to.
#[cfg(fuzzing)]
pub fn inflate_each<'p>(
    payloads: impl IntoIterator<Item = &'p [u8]>,
    area: &mut Vec<u8>,
    mut show: impl FnMut(&[u8]),
) -> Result<(), Fault> {
    let mut inflater = Inflater::default();
    payloads.into_iter().try_for_each(|payload| inflater.inflate(payload, area).map(&mut show))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Rng;
    use crate::tests::pair::SeededRng;

    fn deflated(deflater: &mut Deflater, payload: &[u8]) -> Vec<u8> {
        let mut buf = [b"before", payload].concat();
        deflater.deflate(&mut buf, 6);
        assert!(buf.starts_with(b"before"));
        buf.split_off(6)
    }

    fn random(length: usize, rng: &mut SeededRng) -> Vec<u8> {
        let mut bytes = vec![0; length];
        rng.fill(&mut bytes);
        bytes
    }

    #[test]
    fn each_payload_is_whole_at_its_end() {
        let (mut deflater, mut inflater, mut area) = (Deflater::default(), Inflater::default(), Vec::new());
        let mut rng = SeededRng::new(1);
        let lengths = (1..300).chain([4096, 32_768, 32_781, AREA - 1, AREA, AREA + 1, 200_000, INFLATED_MAX]);
        for length in lengths {
            for payload in [vec![7; length], random(length, &mut rng)] {
                let bytes = deflated(&mut deflater, &payload);
                assert!(inflater.inflate(&bytes, &mut area) == Ok(&payload), "{length}");
            }
        }
        let bytes = deflated(&mut deflater, &vec![7; INFLATED_MAX + 1]);
        assert_eq!(inflater.inflate(&bytes, &mut area), Err(INFLATED_LENGTH));
        assert_eq!(area.capacity(), INFLATED_MAX + 1);
    }

    /// What zlib 1.2.13 writes, level 6 and Z_PARTIAL_FLUSH after each, as OpenSSH does: the last bits of a flush come with
    /// the next payload.
    #[test]
    fn what_zlib_writes_is_read() {
        let (mut inflater, mut area) = (Inflater::default(), Vec::new());
        for (bytes, payload) in [
            (&b"\x78\x9c\x4a\xcb\x2c\x2a\x2e\x01\x08"[..], &b"first"[..]),
            (
                b"\xa0\xe2\xd4\xe4\xfc\xbc\x14\x1d\x85\xc4\xbc\x14\x85\x34\x90\x80\x42\x62\x7a\x62\x66\x1e\x40",
                b"second, and first again",
            ),
            (b"\x00\x55\x8c\x02\xa2\x01\x40", &[b'x'; 300]),
        ] {
            assert_eq!(inflater.inflate(bytes, &mut area), Ok(payload));
        }
    }

    /// Random bytes with a match here and there are the worst: they keep a block from ending, until it is too long to be
    /// stored.
    #[test]
    fn what_cannot_be_compressed_grows_by_little() {
        let (mut rng, mut most) = (SeededRng::new(2), 0);
        for every in (3..40).chain([50, 80, 100, 150, 200, 400, 100_000]) {
            let mut deflater = Deflater::default();
            for match_len in [3, 4, 5] {
                let mut payload = random(32_768 + 13, &mut rng);
                for at in (100..payload.len() - 8).step_by(every) {
                    let from = at - match_len - rng.below(at.min(32_000) - match_len - 1);
                    payload.copy_within(from..from + match_len, at);
                }
                let bytes = deflated(&mut deflater, &payload);
                most = most.max(bytes.len().saturating_sub(payload.len()));
            }
        }
        println!("figure: a payload of random bytes grows by {most} bytes at the most");
        assert!(most <= EXPANSION_MAX, "{most}");
    }

    #[test]
    fn a_stream_begins_with_the_login_and_anew_with_each_set_of_keys() {
        let mut compression = Delayed::<Deflater>::new();
        compression.set_method(Compression::ZlibOpenssh);
        assert!(compression.stream().is_none());
        compression.set_authenticated();
        let first = deflated(compression.stream().unwrap(), b"payload");
        assert_ne!(deflated(compression.stream().unwrap(), b"payload"), first);
        compression.set_method(Compression::ZlibOpenssh);
        assert_eq!(deflated(compression.stream().unwrap(), b"payload"), first);
        compression.set_method(Compression::None);
        assert!(compression.stream().is_none());
    }
}
