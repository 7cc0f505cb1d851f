//! How many delays were how long.

use std::time::Duration;

/// Steps of ten microseconds; what takes longer than all of them, a minute, counts as the last.
const STEPS: usize = 6_000_000;
const STEPS_OF_A_MILLISECOND: f64 = 100.0;

pub struct Delays {
    counts: Vec<u64>,
    longest: Duration,
}

impl Delays {
    pub fn new() -> Self {
        Self { counts: vec![0; STEPS], longest: Duration::ZERO }
    }

    pub fn add(&mut self, delay: Duration) {
        let step = usize::try_from(delay.as_micros() / 10).unwrap_or(STEPS);
        self.counts[step.min(STEPS - 1)] += 1;
        self.longest = self.longest.max(delay);
    }

    /// What such a part of them does not exceed, in milliseconds.
    pub fn at(&self, part: f64) -> f64 {
        let wanted = (self.counts.iter().sum::<u64>() as f64 * part) as u64;
        let mut below = 0;
        let reached = self.counts.iter().position(|count| {
            below += count;
            below > wanted
        });
        reached.map_or(f64::NAN, |step| (step + 1) as f64 / STEPS_OF_A_MILLISECOND)
    }
}

impl core::fmt::Display for Delays {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let longest = self.longest.as_secs_f64() * 1e3;
        write!(f, "median {:.1} ms, p99 {:.1} ms, longest {longest:.1} ms", self.at(0.5), self.at(0.99))
    }
}
