//! Randomness: a trait, so that a conversation can be replayed, and the system's generator behind it.
//!
//! It does not know what is drawn: cookies, padding and ephemeral keys come from the same place.

use core::cell::RefCell;
use std::process;

use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroize;

/// A source of unpredictable bytes.
pub trait Rng {
    /// Overwrites all of `out`. It cannot fail: a source that runs dry must not return.
    fn fill(&mut self, out: &mut [u8]);
}

/// The system's generator. Requests of up to 64 bytes are served from a buffer of the thread, so that the padding of a
/// packet does not cost a system call; longer ones go straight to the system.
///
/// The value is only a handle: the buffer belongs to the thread that draws, is never copied to another one, and is wiped
/// as it is handed out. Where the system has no randomness to give, the process aborts. A process that forks must not
/// draw in the child, which would repeat what the parent's buffer gives.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    fn fill(&mut self, out: &mut [u8]) {
        // While a thread ends its buffer may be gone; the system is always there.
        let buffered = out.len() <= BUFFERED_MAX
            && BUFFER.try_with(|b| b.try_borrow_mut().is_ok_and(|mut b| b.take(out))).unwrap_or(false);
        if !buffered {
            fill_from_system(out);
        }
    }
}

/// Bytes that are drawn from the system at once.
const BUFFER_LEN: usize = 1024;

/// The longest request that the buffer serves.
const BUFFERED_MAX: usize = 64;

thread_local! {
    static BUFFER: RefCell<Buffer> = const { RefCell::new(Buffer { bytes: [0; BUFFER_LEN], left: 0 }) };
}

/// Random bytes in hand: the first `left` of `bytes`.
struct Buffer {
    bytes: [u8; BUFFER_LEN],
    left: usize,
}

impl Buffer {
    /// Moves bytes out, after a refill if too few are left; false if the buffer can never hold as many.
    fn take(&mut self, out: &mut [u8]) -> bool {
        if self.left < out.len() {
            fill_from_system(&mut self.bytes);
            self.left = BUFFER_LEN;
        }
        let Some(start) = self.left.checked_sub(out.len()) else { return false };
        let Some(taken) = self.bytes.get_mut(start..self.left) else { return false };
        out.copy_from_slice(taken);
        taken.zeroize();
        self.left = start;
        true
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

fn fill_from_system(out: &mut [u8]) {
    if SystemRandom::new().fill(out).is_err() {
        // There is no safe way on without randomness, and an error here would be a branch that nobody tests.
        process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t39_bytes_are_handed_out_once_and_wiped() {
        let mut buffer = Buffer { bytes: [0; BUFFER_LEN], left: 0 };
        let (mut first, mut second) = ([0; BUFFERED_MAX], [0; BUFFERED_MAX]);
        assert!(buffer.take(&mut first));
        assert!(buffer.take(&mut second));
        assert_ne!(first, second);
        let (left, taken) = buffer.bytes.split_at(buffer.left);
        assert_eq!((left.len(), taken), (BUFFER_LEN - 2 * BUFFERED_MAX, &[0; 2 * BUFFERED_MAX][..]));
        assert_ne!(left, [0; BUFFER_LEN - 2 * BUFFERED_MAX]);
    }

    #[test]
    fn a_buffer_is_refilled_when_too_little_is_left() {
        let mut buffer = Buffer { bytes: [0; BUFFER_LEN], left: 0 };
        let mut out = [0; 7];
        for _ in 0..BUFFER_LEN / out.len() {
            assert!(buffer.take(&mut out));
        }
        assert_eq!(buffer.left, BUFFER_LEN % out.len());
        assert!(buffer.take(&mut out));
        assert_eq!(buffer.left, BUFFER_LEN - out.len());
        assert!(!buffer.take(&mut [0; BUFFER_LEN + 1]));
    }

    #[test]
    fn requests_of_every_length_are_filled() {
        for len in (1..=BUFFERED_MAX + 2).chain([BUFFER_LEN, 5 * BUFFER_LEN]) {
            let (mut ones, mut zeros) = (vec![0xff; len], vec![0; len]);
            // Chance leaves a byte as it was; not in 64 draws.
            for _ in 0..64 {
                let mut out = vec![0; len];
                SystemRng.fill(&mut out);
                ones.iter_mut().zip(&out).for_each(|(all, b)| *all &= b);
                zeros.iter_mut().zip(&out).for_each(|(any, b)| *any |= b);
            }
            assert!(ones.iter().all(|b| *b != 0xff) && zeros.iter().all(|b| *b != 0), "{len}");
        }
    }
}
