//! Secret bytes of a fixed length, and the stack after a computation with secrets.
//!
//! It does not know what the bytes are for.

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// `N` secret bytes: zeroed on drop, compared in constant time, never printed, not `Clone`.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Takes the bytes over. An array that the caller keeps is his to wipe.
    #[must_use]
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// Secret bytes straight from `rng`.
    pub fn random(rng: &mut dyn super::Rng) -> Self {
        let mut secret = Self([0; N]);
        rng.fill(&mut secret.0);
        secret
    }

    /// The bytes. Whoever copies them wipes the copy.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// How much of the stack is overwritten (bytes): more than a computation with a key takes. ring's power with an RSA key, the
/// largest, has 18 KiB.
const STACK_WIPED: usize = 48 * 1024;

/// Does `work`, then overwrites the part of the stack that it had: buffers there that the crates below do not wipe.
#[inline(never)]
pub(crate) fn then_wipe_stack<T>(work: impl FnOnce() -> T) -> T {
    let result = apart(work);
    wipe_stack();
    result
}

/// A frame of its own, below the one that stays.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}

#[inline(never)]
fn wipe_stack() {
    let mut stack = [0_u8; STACK_WIPED];
    core::hint::black_box(&mut stack);
}
