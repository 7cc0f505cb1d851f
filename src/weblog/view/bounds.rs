//! How much a user of the server may ask of one view: what he asks for is done on the loop that serves all.
//!
//! It does not know what the options mean.

use super::filter::REGEX_MAX;
use crate::weblog::options::ViewOptions;
use core::time::Duration;
use rustix::time::{ClockId, clock_gettime};

/// Regular expressions of a command.
pub const EXPRESSIONS_MAX: usize = 8;

/// The memory (bytes) that all of them may need: each has its part, and one alone has all. Time to search grows with it.
pub const EXPRESSIONS_SIZE_MAX: usize = REGEX_MAX / 2;

/// What the lists of a command name, all together.
pub const LISTED_MAX: usize = 256;

/// The share of each line: what searching it may take of the processor's time, on an average.
pub const LINE_TIME: Duration = Duration::from_micros(100);

/// What searching may take beyond that.
pub const BURST: Duration = Duration::from_millis(500);

/// The memory that each expression of these options may need.
///
/// # Errors
/// They ask for too much, and what to write instead.
pub(super) fn each_max(options: &ViewOptions) -> Result<usize, String> {
    let ViewOptions { path, referrer, agent, .. } = options;
    let expressions = path.len() + referrer.len() + agent.len();
    if expressions > EXPRESSIONS_MAX {
        return Err(format!(
            "{expressions} expressions: write {EXPRESSIONS_MAX} at the most, alternatives as a|b in one"
        ));
    }
    let ViewOptions { status, method, vhost, from, site, since, until, anonymize, .. } = options;
    let lists = [status, method, vhost, from, site, since, until, anonymize];
    let listed: usize = lists.into_iter().flatten().map(|list| list.split(',').count()).sum();
    let listed = listed + options.bots.len();
    if listed > LISTED_MAX {
        return Err(format!("{listed} parts of lists: write {LISTED_MAX} at the most"));
    }
    Ok(EXPRESSIONS_SIZE_MAX / expressions.max(1))
}

/// What is left of the time for searching: a bucket that runs over.
#[derive(Clone, Debug)]
pub(in crate::weblog) struct Patience {
    spent: Duration,
    burst: Duration,
}

impl Patience {
    /// Nothing is spent yet.
    pub(in crate::weblog) const fn new(burst: Duration) -> Self {
        Self { spent: Duration::ZERO, burst }
    }

    /// Does something, and spends what it takes of the processor's time: that others have it meanwhile does not count.
    pub(in crate::weblog) fn measure<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let before = processor_time();
        let done = work();
        self.spend(processor_time().saturating_sub(before));
        done
    }

    pub(in crate::weblog) fn spend(&mut self, time: Duration) {
        self.spent = self.spent.saturating_add(time);
    }

    /// So much of what was spent is forgiven.
    pub(in crate::weblog) fn rest(&mut self, time: Duration) {
        self.spent = self.spent.saturating_sub(time);
    }

    /// Whether all is spent.
    pub(in crate::weblog) fn is_over(&self) -> bool {
        self.spent > self.burst
    }
}

/// What this thread had of the processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t109_patience_is_over_when_more_is_spent_than_the_burst_and_what_is_forgiven() {
        let mut patience = Patience::new(BURST);
        for _ in 0..10_000 {
            patience.spend(LINE_TIME);
            patience.rest(LINE_TIME);
        }
        assert!(!patience.is_over());
        patience.spend(BURST);
        assert!(!patience.is_over());
        patience.spend(Duration::from_nanos(1));
        assert!(patience.is_over());
        patience.rest(Duration::from_nanos(1));
        assert!(!patience.is_over());
        let mut patience = Patience::new(Duration::ZERO);
        assert!((0..100_000_u64).map(|n| patience.measure(|| core::hint::black_box(n))).sum::<u64>() > 0);
        assert!(patience.is_over(), "all that is done takes time");
    }

    #[test]
    fn t109_expressions_share_what_there_is_for_all_and_there_are_no_more_than_the_bound() {
        let of = |count: usize| ViewOptions { path: vec!["x".to_owned(); count], ..ViewOptions::default() };
        assert_eq!(each_max(&of(0)), Ok(EXPRESSIONS_SIZE_MAX));
        assert_eq!(each_max(&of(EXPRESSIONS_MAX)), Ok(64 << 10));
        let mut more = of(EXPRESSIONS_MAX);
        more.agent.push("y".to_owned());
        assert_eq!(
            each_max(&more).unwrap_err(),
            "9 expressions: write 8 at the most, alternatives as a|b in one"
        );
    }

    #[test]
    fn t109_lists_name_no_more_than_the_bound_all_together() {
        let list = |count: usize| vec![vec!["404"; count].join(",")];
        let mut options = ViewOptions { status: list(LISTED_MAX - 1), ..ViewOptions::default() };
        options.site = vec!["a.example".to_owned()];
        assert!(each_max(&options).is_ok());
        options.from = list(1);
        assert_eq!(each_max(&options).unwrap_err(), "257 parts of lists: write 256 at the most");
    }
}
