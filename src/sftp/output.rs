//! What waits to be written to the channel.

use super::OUTPUT_MARK;

/// Memory that is kept when all has been sent (bytes): the mark with an answer above it fits, and growing anew copies.
const KEPT: usize = 2 * OUTPUT_MARK;

/// Bytes that go out in their order; what is sent is moved away only once it is the larger part.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    sent: usize,
}

impl Output {
    /// Where packets are appended.
    pub(super) const fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    pub(super) fn pending(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    pub(super) fn consume(&mut self, n: usize) {
        self.sent = self.sent.saturating_add(n).min(self.bytes.len());
        if self.sent >= self.bytes.len() - self.sent {
            self.bytes.drain(..self.sent);
            self.sent = 0;
            if self.bytes.is_empty() {
                self.bytes.shrink_to(KEPT); // more was an exception
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_leaves_no_more_than_is_kept() {
        let mut output = Output::default();
        output.bytes().resize(4 * OUTPUT_MARK, 0);
        output.consume(3 * OUTPUT_MARK);
        assert!(output.pending().len() == OUTPUT_MARK && output.bytes.capacity() >= 4 * OUTPUT_MARK);
        output.consume(OUTPUT_MARK);
        assert!(output.pending().is_empty());
        assert_eq!(output.bytes.capacity(), KEPT, "nor less: it would grow anew");
    }
}
