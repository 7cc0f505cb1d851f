//! The names that come most often, in bounded memory.
//!
//! The algorithm is space-saving (Metwally, Agrawal, El Abbadi 2005): so many counters as the capacity says; a name that has
//! none takes over one of those with the least hits, and their number with it. With N hits in all, no number is too small, and
//! none is too large by more than N / capacity; a name with more hits than that is there; and all is exact while there
//! are no more distinct names than counters. Bytes are counted from when a name got its counter: never too large.

use std::hash::{BuildHasher, RandomState};

/// The counters of each ranking in a report: numbers are too large by at most a 4,096th of all hits.
pub const NAMES_MAX: usize = 4096;

/// Of a longer name so many bytes are kept; names that differ only behind them are one.
pub const NAME_MAX: usize = 256;

/// A bounded number of names with their hits.
#[derive(Clone, Debug)]
pub struct Ranking {
    capacity: usize,
    /// Keyed at random: nobody can choose names that collide.
    hasher: RandomState,
    /// Counters by the hash of their name, by open addressing; a counter's place plus 1, 0 for none.
    slots: Vec<u32>,
    names: Vec<Name>,
    /// The hits of each name, apart so that the least is found quickly.
    hits: Vec<u64>,
    /// The least number of hits of all, when it was looked for the last time.
    least: u64,
    /// The counters that had it then.
    candidates: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Name {
    hash: u64,
    name: Vec<u8>,
    cut: bool,
    bytes: u64,
    excess: u64,
}

/// A name with what was counted of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Top {
    /// Its first [`NAME_MAX`] bytes.
    pub name: Vec<u8>,
    /// It was longer.
    pub cut: bool,
    /// How often it came, and at most `excess` more.
    pub hits: u64,
    /// By how much `hits` may be too large.
    pub excess: u64,
    /// How many bytes were sent.
    pub bytes: u64,
}

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The most hits.
    #[default]
    Hits,
    /// The most bytes.
    Bytes,
}

impl Ranking {
    /// No names yet, and never more than `capacity`, which is at least 1.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self {
            capacity,
            hasher: RandomState::new(),
            slots: Vec::new(),
            names: Vec::new(),
            hits: Vec::new(),
            least: 0,
            candidates: Vec::new(),
        }
    }

    /// A name came, and so many bytes with it.
    pub fn add(&mut self, name: &[u8], bytes: u64) {
        self.add_hits(name, 1, bytes);
    }

    /// A name came `hits` times.
    pub fn add_hits(&mut self, name: &[u8], hits: u64, bytes: u64) {
        let (name, cut) = bounded(name);
        let hash = self.hasher.hash_one(name);
        self.grow();
        let at = match self.find(hash, name) {
            Ok(at) => at,
            Err(slot) if self.names.len() < self.capacity => {
                self.set(slot, self.names.len());
                self.names.push(Name { hash, name: name.to_vec(), cut, bytes: 0, excess: 0 });
                self.hits.push(0);
                self.names.len() - 1
            }
            Err(_) => self.take_over(hash, name, cut),
        };
        self.hits[at] = self.hits[at].saturating_add(hits);
        self.names[at].bytes = self.names[at].bytes.saturating_add(bytes);
    }

    /// How many names have a counter.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether no name came.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The first `count` names in an order; among equals by name.
    #[must_use]
    pub fn tops(&self, count: usize, order: Order) -> Vec<Top> {
        let key = |at: usize| if order == Order::Hits { self.hits[at] } else { self.names[at].bytes };
        let mut all: Vec<usize> = (0..self.names.len()).collect();
        let compare = |one: &usize, other: &usize| {
            let names = || self.names[*one].name.cmp(&self.names[*other].name);
            key(*other).cmp(&key(*one)).then_with(names)
        };
        if count < all.len() {
            all.select_nth_unstable_by(count, compare);
            all.truncate(count);
        }
        all.sort_unstable_by(compare);
        let top = |at: usize| {
            let Name { name, cut, bytes, excess, .. } = &self.names[at];
            Top { name: name.clone(), cut: *cut, hits: self.hits[at], excess: *excess, bytes: *bytes }
        };
        all.into_iter().map(top).collect()
    }

    /// Gives the counter with the least hits to another name.
    fn take_over(&mut self, hash: u64, name: &[u8], cut: bool) -> usize {
        let at = self.least_used();
        self.forget(at);
        let excess = self.hits[at];
        let taken = &mut self.names[at];
        taken.name.clear();
        taken.name.extend_from_slice(name);
        *taken = Name { hash, name: core::mem::take(&mut taken.name), cut, bytes: 0, excess };
        if let Err(slot) = self.find(hash, name) {
            self.set(slot, at);
        }
        at
    }

    /// A counter with the least hits. Hits only grow, so of those that had the least some may still have it; all are looked
    /// through only when none has.
    fn least_used(&mut self) -> usize {
        loop {
            while let Some(at) = self.candidates.pop() {
                if self.hits[at] == self.least {
                    return at;
                }
            }
            self.least = self.hits.iter().copied().min().unwrap_or(0);
            let have = self.hits.iter().enumerate().filter(|(_, hits)| **hits == self.least);
            self.candidates.extend(have.map(|(at, _)| at));
        }
    }

    /// Keeps at least half of the slots free.
    fn grow(&mut self) {
        if self.slots.len() > 2 * self.names.len() || self.slots.len() >= 2 * self.capacity {
            return;
        }
        let length = (4 * self.names.len()).max(64).next_power_of_two();
        self.slots = vec![0; length];
        for at in 0..self.names.len() {
            let mut slot = self.home(self.names[at].hash);
            while self.slots[slot] != 0 {
                slot = self.next(slot);
            }
            self.set(slot, at);
        }
    }

    /// The counter of a name, or the free slot where it would stand.
    fn find(&self, hash: u64, name: &[u8]) -> Result<usize, usize> {
        let mut slot = self.home(hash);
        while let Some(at) = self.at(slot) {
            let known = &self.names[at];
            if known.hash == hash && known.name == name {
                return Ok(at);
            }
            slot = self.next(slot);
        }
        Err(slot)
    }

    /// Frees the slot of a counter, and moves those behind it nearer to their home.
    fn forget(&mut self, counter: usize) {
        let mut free = self.home(self.names[counter].hash);
        while self.at(free).is_some_and(|at| at != counter) {
            free = self.next(free);
        }
        let mask = self.slots.len() - 1;
        let mut slot = self.next(free);
        while let Some(at) = self.at(slot) {
            let home = self.home(self.names[at].hash);
            // It may move if the free slot is not before its home.
            if (slot.wrapping_sub(home) & mask) >= (slot.wrapping_sub(free) & mask) {
                self.slots[free] = self.slots[slot];
                free = slot;
            }
            slot = self.next(slot);
        }
        self.slots[free] = 0;
    }

    fn home(&self, hash: u64) -> usize {
        usize::try_from(hash & (self.slots.len() as u64 - 1)).unwrap_or(0)
    }

    const fn next(&self, slot: usize) -> usize {
        (slot + 1) & (self.slots.len() - 1)
    }

    fn at(&self, slot: usize) -> Option<usize> {
        usize::try_from(self.slots[slot]).ok()?.checked_sub(1)
    }

    fn set(&mut self, slot: usize, counter: usize) {
        self.slots[slot] = u32::try_from(counter + 1).unwrap_or(0);
    }
}

/// The part of a name that is kept, and whether that is less than all; no character is cut in two.
fn bounded(name: &[u8]) -> (&[u8], bool) {
    if name.len() <= NAME_MAX {
        return (name, false);
    }
    let is_first = |at: &usize| name.get(*at).is_some_and(|byte| byte & 0xc0 != 0x80);
    let end = (NAME_MAX - 3..=NAME_MAX).rev().find(is_first).unwrap_or(NAME_MAX);
    (name.get(..end).unwrap_or(name), true)
}

#[cfg(test)]
mod tests {
    use super::{NAME_MAX, Order, Ranking, Top};
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
    use std::collections::HashMap;

    fn names(tops: &[Top]) -> Vec<&str> {
        tops.iter().map(|top| core::str::from_utf8(&top.name).unwrap()).collect()
    }

    #[test]
    fn the_most_hits_come_first_then_the_name_or_the_most_bytes() {
        let mut ranking = Ranking::new(10);
        for (name, bytes) in [("b", 1), ("a", 2), ("c", 100), ("b", 1), ("a", 2), ("d", 0)] {
            ranking.add(name.as_bytes(), bytes);
        }
        assert_eq!(names(&ranking.tops(3, Order::Hits)), ["a", "b", "c"]);
        assert_eq!(names(&ranking.tops(9, Order::Bytes)), ["c", "a", "b", "d"]);
    }

    #[test]
    fn a_long_name_is_cut_between_characters_and_says_so() {
        let mut ranking = Ranking::new(10);
        let long = "x".repeat(NAME_MAX - 1) + "é";
        ranking.add((long.clone() + "1").as_bytes(), 0);
        ranking.add((long + "2").as_bytes(), 0);
        ranking.add("y".repeat(NAME_MAX).as_bytes(), 0);
        let tops = ranking.tops(10, Order::Hits);
        assert_eq!((tops[0].name.len(), tops[0].cut, tops[0].hits), (NAME_MAX - 1, true, 2));
        assert_eq!((tops[1].name.len(), tops[1].cut), (NAME_MAX, false));
    }

    #[test]
    fn t101_a_hundred_thousand_names_need_no_more_memory_and_the_heavy_ones_are_found() {
        const CAPACITY: usize = 100;
        let mut ranking = Ranking::new(CAPACITY);
        let mut total = 0;
        for number in 0..100_000 {
            ranking.add(format!("name {number}").as_bytes(), 1);
            total += 1;
            if number % 10 == 0 {
                ranking.add(b"heavy", 7);
                total += 1;
            }
        }
        assert_eq!((ranking.names.len(), ranking.slots.len()), (CAPACITY, 256));
        assert!(ranking.candidates.len() <= CAPACITY);
        let first = &ranking.tops(1, Order::Hits)[0];
        assert_eq!(first.name, b"heavy");
        assert!((10_000..=10_000 + total / CAPACITY as u64).contains(&first.hits), "{first:?}");
        assert!(first.bytes <= 70_000);
    }

    proptest! {
        #[test]
        fn numbers_are_never_too_small_and_too_large_by_no_more_than_the_bound(
            stream in prop::collection::vec((0_u8..40, 1_u64..4, any::<u16>()), 0..400), capacity in 1_usize..50,
        ) {
            let mut ranking = Ranking::new(capacity);
            let mut exact: HashMap<Vec<u8>, (u64, u64)> = HashMap::new();
            let mut total = 0;
            for (name, hits, bytes) in stream {
                // Names whose frequencies differ.
                let name = format!("name {}", u32::from(name).isqrt()).into_bytes();
                ranking.add_hits(&name, hits, bytes.into());
                let known = exact.entry(name).or_default();
                *known = (known.0 + hits, known.1 + u64::from(bytes));
                total += hits;
            }
            let tops = ranking.tops(usize::MAX, Order::Hits);
            prop_assert_eq!(tops.len(), exact.len().min(capacity));
            for top in &tops {
                let (hits, bytes) = exact[&top.name];
                prop_assert!(top.hits >= hits && top.hits - top.excess <= hits);
                prop_assert!(top.excess <= total / capacity as u64);
                prop_assert!(top.bytes <= bytes);
                if exact.len() <= capacity {
                    prop_assert_eq!((top.hits, top.bytes, top.excess), (hits, bytes, 0));
                }
            }
            for (name, (hits, _)) in &exact {
                let is_there = tops.iter().any(|top| top.name == *name);
                prop_assert!(is_there || *hits <= total / capacity as u64);
            }
        }
    }
}
