//! Randomness: the trait by which it comes in, and the system's.

use core::cell::RefCell;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroize;

/// A source of random bytes.
pub trait Rng {
    /// Fills all of `out`.
    fn fill(&mut self, out: &mut [u8]);
}

/// Bytes fetched from the system at a time, so that the padding of a packet costs no system call.
const BUFFER: usize = 1024;

struct Buffer {
    system: SystemRandom,
    bytes: [u8; BUFFER],
    used: usize,
}

thread_local! {
    static RANDOM: RefCell<Buffer> =
        RefCell::new(Buffer { system: SystemRandom::new(), bytes: [0; BUFFER], used: BUFFER });
}

/// The system's randomness by a small buffer of each thread; a byte is wiped from it as it is handed out.
///
/// A process that forks without exec must not use it in both halves; this library never forks so. If the system has no
/// randomness the process is ended: there is nothing safe to go on with.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    fn fill(&mut self, out: &mut [u8]) {
        RANDOM.with_borrow_mut(|random| {
            if out.len() > BUFFER / 4 {
                return random.fetch(out);
            }
            if BUFFER - random.used < out.len() {
                random.refill();
            }
            let end = random.used + out.len();
            if let Some(bytes) = random.bytes.get_mut(random.used..end) {
                out.copy_from_slice(bytes);
                bytes.zeroize();
            }
            random.used = end;
        });
    }
}

impl Buffer {
    fn refill(&mut self) {
        let mut bytes = [0; BUFFER];
        self.fetch(&mut bytes);
        self.bytes = bytes;
        bytes.zeroize();
        self.used = 0;
    }

    fn fetch(&self, out: &mut [u8]) {
        if self.system.fill(out).is_err() {
            std::process::abort();
        }
    }
}
