//! A generator with a seed, so that a conversation can be repeated. Tests only: what it gives can be known by anyone.

use strombus::crypto::{Hash, Rng};

/// SHA-256 of the seed and a counter.
pub struct SeededRng {
    seed: u64,
    counter: u64,
    left: Vec<u8>,
}

impl SeededRng {
    pub fn new(seed: u64) -> Self {
        Self { seed, counter: 0, left: Vec::new() }
    }
}

impl Rng for SeededRng {
    fn fill(&mut self, out: &mut [u8]) {
        while self.left.len() < out.len() {
            let mut state = Hash::Sha256.start();
            state.update(&self.seed.to_be_bytes());
            state.update(&self.counter.to_be_bytes());
            self.left.extend_from_slice(state.finish().as_bytes());
            self.counter += 1;
        }
        let rest = self.left.split_off(out.len());
        out.copy_from_slice(&self.left);
        self.left = rest;
    }
}
