//! The bytes that were read and not yet taken.
//!
//! The buffer is the caller's, not the connection's: what an event borrows from it does not lock the connection, and one
//! buffer serves all connections of a thread. Where payloads are compressed, they are expanded into an area beside the
//! bytes, so that an event borrows from the buffer as ever. What a packet of a login said is wiped before anything else
//! happens here. It does not know what the bytes mean.
#![warn(clippy::indexing_slicing)]

use super::recv::PACKET_LENGTH_MAX;
use core::fmt;
use core::ops::Range;
use zeroize::Zeroize;

/// Where a buffer starts: large enough that the cut packet at its end is a small part of it.
const CAPACITY: usize = 256 * 1024;

/// Where growth ends: the largest packet with its length and tag fits, and the next read has room.
const CAPACITY_MAX: usize = 2 * CAPACITY;

const _: () = assert!(CAPACITY_MAX > PACKET_LENGTH_MAX + 256);

/// Bytes from the peer, in the order of their coming.
pub struct RecvBuf {
    buf: Vec<u8>,
    head: usize,
    tail: usize,
    /// The payload that was expanded last; empty until there is one.
    inflated: Vec<u8>,
    /// What was taken last and is not to stay.
    secret: Range<usize>,
}

impl fmt::Debug for RecvBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvBuf").field("unread", &self.unread().len()).finish_non_exhaustive()
    }
}

impl Drop for RecvBuf {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl Default for RecvBuf {
    fn default() -> Self {
        Self::new()
    }
}

impl RecvBuf {
    /// An empty buffer of 256 KiB, which grows to twice that where a single packet needs it.
    #[must_use]
    pub fn new() -> Self {
        Self { buf: vec![0; CAPACITY], head: 0, tail: 0, inflated: Vec::new(), secret: 0..0 }
    }

    /// Where the next read may put bytes; never empty while the connection asks for input. What was not taken moves to
    /// the front first: at most the beginning of one packet, if this is called only when the connection needs input.
    pub fn space(&mut self) -> &mut [u8] {
        self.wipe();
        if self.head > 0 {
            self.buf.copy_within(self.head..self.tail, 0);
            self.tail -= self.head;
            self.head = 0;
        }
        if self.tail == self.buf.len() && self.tail < CAPACITY_MAX {
            self.buf.resize(CAPACITY_MAX, 0);
        }
        self.buf.get_mut(self.tail..).unwrap_or_default()
    }

    /// Says that the first `n` bytes of [`space`](Self::space) were filled.
    pub fn filled(&mut self, n: usize) {
        self.tail = self.tail.saturating_add(n).min(self.buf.len());
    }

    /// The bytes that were not taken.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.buf.get(self.head..self.tail).unwrap_or_default()
    }

    /// Forgets everything, and the growth too.
    pub fn clear(&mut self) {
        self.wipe();
        (self.head, self.tail) = (0, 0);
        self.buf.truncate(CAPACITY);
        self.inflated = Vec::new();
    }

    /// Begins anew with the bytes that [`save`](Self::save) put aside; `cut` is empty after that.
    pub fn load(&mut self, cut: &mut Vec<u8>) {
        self.clear();
        if cut.len() > CAPACITY {
            self.buf.resize(CAPACITY_MAX, 0);
        }
        if let Some(front) = self.buf.get_mut(..cut.len()) {
            front.copy_from_slice(cut);
            self.tail = cut.len();
        }
        cut.clear();
    }

    /// Puts the bytes that were not taken aside, so that the buffer can serve another connection.
    pub fn save(&mut self, cut: &mut Vec<u8>) {
        cut.reserve_exact(self.unread().len()); // what waits is what is held
        cut.extend_from_slice(self.unread());
        if cut.is_empty() && cut.capacity() > 0 {
            *cut = Vec::new(); // whoever is idle holds nothing
        }
        self.clear();
    }

    /// Says that the next `n` bytes are to be wiped once they were taken and looked at.
    pub(super) fn mark_secret(&mut self, n: usize) {
        self.secret = self.head..self.head.saturating_add(n).min(self.tail);
    }

    /// Wipes what was marked.
    pub(super) fn wipe(&mut self) {
        let secret = core::mem::take(&mut self.secret);
        self.buf.get_mut(secret).unwrap_or_default().zeroize();
    }

    pub(super) fn unread_mut(&mut self) -> &mut [u8] {
        self.buf.get_mut(self.head..self.tail).unwrap_or_default()
    }

    /// Takes at most `n` bytes.
    pub(super) fn take(&mut self, n: usize) -> &mut [u8] {
        self.take_beside_area(n).0
    }

    /// The same, and the area that a payload among them may be expanded into.
    pub(super) fn take_beside_area(&mut self, n: usize) -> (&mut [u8], &mut Vec<u8>) {
        let start = self.head;
        self.head = start.saturating_add(n).min(self.tail);
        (self.buf.get_mut(start..self.head).unwrap_or_default(), &mut self.inflated)
    }
}

#[cfg(test)]
mod tests {
    use super::RecvBuf;

    fn holding(bytes: &[u8]) -> RecvBuf {
        let mut input = RecvBuf::new();
        input.space().iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        input.filled(bytes.len());
        input
    }

    #[test]
    fn t57_what_was_marked_is_wiped_whatever_comes_next() {
        let next: [fn(&mut RecvBuf); 4] = [
            RecvBuf::wipe,
            |input| assert!(!input.space().is_empty()),
            RecvBuf::clear,
            |input| input.save(&mut Vec::new()),
        ];
        for next in next {
            let mut input = holding(b"user, password, and more");
            input.take(5);
            input.mark_secret(11);
            assert_eq!(input.take(11), b" password, ");
            next(&mut input);
            let left = |word: &[u8]| input.buf.windows(word.len()).any(|window| window == word);
            assert!(!left(b"pass") && !left(b"word"));
        }
    }

    #[test]
    fn t57_only_what_was_marked_is_wiped() {
        let mut input = holding(b"user, password, and more");
        input.mark_secret(15);
        input.take(15);
        input.wipe();
        input.mark_secret(usize::MAX);
        assert_eq!(input.unread(), b" and more");
    }
    #[test]
    fn t57_what_is_unread_is_not_printed() {
        assert_eq!(format!("{:?}", holding(b"password!")), "RecvBuf { unread: 9, .. }");
    }
}
