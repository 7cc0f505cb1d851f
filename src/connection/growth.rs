//! Windows that grow with need: on a link with a long round trip the window is what limits the peer, elsewhere a larger one only
//! fills buffers before whatever comes on other channels.

use core::time::Duration;
use std::time::Instant;

/// A window that took so long to be dealt with does not grow.
pub const GROWTH_PERIOD: Duration = Duration::from_secs(1);

/// Nor does one that took more round trips than this.
const GROWTH_ROUND_TRIPS: u32 = 2;

/// Whole windows of a size that are timed before it grows.
const GROWTH_WINDOWS: u8 = 2;

/// The round trip, as the login shows it: its first two messages are an answer, and the answer to that, at either side. A peer
/// that takes its time makes it seem longer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum RoundTrip {
    #[default]
    Unknown,
    Since(Instant),
    Took(Duration),
}

impl RoundTrip {
    /// A message of the login came.
    pub(super) fn handle_message(&mut self, now: Instant) {
        *self = match *self {
            Self::Unknown => Self::Since(now),
            Self::Since(first) => Self::Took(now.saturating_duration_since(first)),
            Self::Took(_) => return,
        };
    }
}

/// What the windows of a connection may still grow by, together.
#[derive(Debug)]
pub(super) struct Growth {
    /// To so much each (bytes).
    window_max: u32,
    room: u32,
    /// A window that took longer does not grow.
    period: Duration,
}

impl Growth {
    pub(super) fn new(window_max: u32, room: u32, round_trip: RoundTrip) -> Self {
        let period = match round_trip {
            RoundTrip::Took(time) => GROWTH_PERIOD.min(time.saturating_mul(GROWTH_ROUND_TRIPS)),
            _ => GROWTH_PERIOD,
        };
        Self { window_max, room, period }
    }

    /// A window that had grown by so much is gone.
    pub(super) const fn give_back(&mut self, grown: u32) {
        self.room += grown;
    }
}

/// How fast the windows of a channel are dealt with.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Bytes of the present one, and when the last one was.
    dealt: u32,
    since: Option<Instant>,
    /// The least time that a whole window took, of whatever size.
    least: Option<Duration>,
    /// How many there were of this size.
    windows: u8,
}

impl Pace {
    /// Another `n` bytes of a window of `size` were dealt with. What it grows by: as much again, if one of this size took hardly
    /// longer than a smaller one did, and not much longer than a round trip.
    pub(super) fn deal(&mut self, n: u32, size: u32, growth: &mut Growth, now: Instant) -> u32 {
        self.dealt = self.dealt.saturating_add(n);
        if self.dealt < size {
            return 0;
        }
        self.dealt = 0;
        // The first may have come at once.
        let Some(since) = self.since.replace(now) else { return 0 };
        let took = now.saturating_duration_since(since);
        let least = self.least.map_or(took, |least| least.min(took));
        self.least = Some(least);
        self.windows = self.windows.saturating_add(1);
        if self.windows < GROWTH_WINDOWS || took >= growth.period || took > least * 3 / 2 {
            return 0;
        }
        self.windows = 0;
        let more = growth.window_max.saturating_sub(size).min(size).min(growth.room);
        growth.room -= more;
        more
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Instant, RoundTrip};

    #[test]
    fn the_round_trip_is_what_lies_between_the_first_two_messages_of_a_login() {
        let begin = Instant::now();
        let mut round_trip = RoundTrip::default();
        for seconds in [1, 3, 7] {
            round_trip.handle_message(begin + Duration::from_secs(seconds));
        }
        assert!(matches!(round_trip, RoundTrip::Took(time) if time == Duration::from_secs(2)));
    }
}
