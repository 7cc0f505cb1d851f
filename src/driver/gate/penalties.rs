//! The sources of one family that have penalties, and how much is left of each.

use super::{Block, Offence, Overflow, Penalties};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

#[derive(Clone, Copy, Debug)]
struct Penalty {
    until: Instant,
    /// It once was above the minimum; until it ends, the source is refused.
    enforced: bool,
    last: Offence,
}

#[derive(Debug, Default)]
pub(super) struct Penalised {
    sources: BTreeMap<Block, Penalty>,
    /// The same in the order of their ends.
    ends: BTreeSet<(Instant, Block)>,
}

impl Penalised {
    /// How many there are, those below the minimum too.
    pub(super) fn len(&mut self, now: Instant) -> usize {
        while let Some(&(until, block)) = self.ends.first()
            && until <= now
        {
            self.ends.pop_first();
            self.sources.remove(&block);
        }
        self.sources.len()
    }

    /// Why a source is refused; after [`len`](Self::len) has removed what is over.
    pub(super) fn find(&self, block: Block) -> Option<Offence> {
        self.sources.get(&block).filter(|penalty| penalty.enforced).map(|penalty| penalty.last)
    }

    /// Adds the time for an offence to what is left, up to the maximum. A source that is new to a full table takes the place
    /// of the one whose penalty ends first, or gets none.
    pub(super) fn add(&mut self, block: Block, offence: Offence, rules: &Penalties, now: Instant) {
        let (term, (max_sources, overflow)) = (rules.of(offence), rules.table(block));
        if term.is_zero() || max_sources == 0 {
            return;
        }
        let full = self.len(now) >= max_sources;
        let old = self.sources.get(&block).copied();
        match (old, full, overflow) {
            (Some(old), ..) => drop(self.ends.remove(&(old.until, block))),
            (None, true, Overflow::DenyAll) => return,
            (None, true, Overflow::Permissive) => {
                if let Some((_, first)) = self.ends.pop_first() {
                    self.sources.remove(&first);
                }
            }
            (None, false, _) => {}
        }
        let left = old.map_or_else(Default::default, |old| old.until.saturating_duration_since(now));
        let left = left.saturating_add(term).min(rules.max_or_longest());
        let enforced = old.is_some_and(|old| old.enforced) || left > rules.min;
        self.sources.insert(block, Penalty { until: now + left, enforced, last: offence });
        self.ends.insert((now + left, block));
    }
}
