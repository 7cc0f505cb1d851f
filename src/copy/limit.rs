//! `-l`: so many bytes a second.

use core::time::Duration;
use std::time::Instant;

/// Blocks in a second, so that a slow copy is an even one.
const BLOCKS_PER_SECOND: u64 = 8;
/// The smallest block (bytes).
const BLOCK_MIN: u64 = 512;

/// A rate, and when it allows the next bytes.
#[derive(Debug)]
pub(super) struct Limit {
    bytes_per_second: u64,
    next: Option<Instant>,
}

impl Limit {
    /// `kibit` is scp's unit: 1024 bits a second.
    pub(super) const fn new(kibit: u32) -> Self {
        let bytes_per_second = kibit as u64 * 1024 / 8;
        Self { bytes_per_second, next: None }
    }

    /// The length of a block for this rate.
    pub(super) fn block(&self, len: u32) -> u32 {
        let block = (self.bytes_per_second / BLOCKS_PER_SECOND).max(BLOCK_MIN);
        len.min(u32::try_from(block).unwrap_or(u32::MAX))
    }

    /// Takes `len` bytes, or says when that may be tried again.
    pub(super) fn take(&mut self, len: usize, now: Instant) -> Option<Instant> {
        match self.next {
            Some(next) if next > now => Some(next),
            _ => {
                let pause = self.pause(len);
                // What the timer came late is caught up with, up to one block.
                let from = self.next.map_or(now, |next| next.max(now.checked_sub(pause).unwrap_or(now)));
                self.next = from.checked_add(pause);
                None
            }
        }
    }

    /// Of what was taken `len` bytes were not there.
    pub(super) fn give_back(&mut self, len: usize) {
        self.next = self.next.and_then(|next| next.checked_sub(self.pause(len)));
    }

    /// The time of `len` bytes.
    fn pause(&self, len: usize) -> Duration {
        let nanos = (len as u128 * 1_000_000_000).div_ceil(u128::from(self.bytes_per_second.max(1)));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_gives_its_rate_in_small_blocks_and_not_more() {
        let mut limit = Limit::new(800); // 100 KiB/s
        let block = limit.block(261_120) as usize;
        assert_eq!(block, 12_800);
        let start = Instant::now();
        let (mut now, mut taken) = (start, 0);
        while now < start + Duration::from_secs(10) {
            match limit.take(block, now) {
                None => taken += block,
                Some(next) => now = next + Duration::from_millis(1),
            }
        }
        let expected = 10 * 800 * 128;
        assert!((expected - 2 * block..=expected + 2 * block).contains(&taken), "{taken}");
        // What was not there costs nothing.
        let mut limit = Limit::new(800);
        for _ in 0..1000 {
            assert_eq!(limit.take(block, start), None);
            limit.give_back(block);
        }
        assert_eq!((limit.take(1, start), limit.take(1, start).is_some()), (None, true));
        assert_eq!((Limit::new(1).block(261_120), Limit::new(1 << 20).block(32_768)), (512, 32_768));
    }
}
