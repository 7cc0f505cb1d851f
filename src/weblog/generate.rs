//! The demonstration's log: hits that look like a small site's, the same for the same seed.

use super::time::Stamp;
use core::time::Duration;

/// Makes lines of a combined log.
#[derive(Clone, Copy, Debug)]
pub struct Generator {
    state: u64,
    /// Hits a second at the moment.
    pace: u64,
}

// What comes first comes more often.
const REFERRERS: [&str; 6] = [
    "https://news.example/item?id=2003",
    "https://search.example/?q=ssh+in+rust",
    "-",
    "https://social.example/@conch",
    "https://blog.example/caf\\xc3\\xa9",
    "https://forum.example/t?title=\\\"twisted\\\"",
];
const RESOURCES: [&str; 7] =
    ["/", "/shells/conch.html", "/shells/strombus.png", "/feed.xml", "/about", "/search?q=pearl", "/missing"];
const AGENTS: [&str; 4] =
    ["Mozilla/5.0 (iPhone)", "Mozilla/5.0 (X11; Linux x86_64)", "curl/8.5.0", "examplebot/1.0"];

/// Hits a second, and how far that changes.
const PACE: core::ops::RangeInclusive<u64> = 12..=40;

impl Generator {
    /// The same lines for the same seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed, pace: *PACE.start() }
    }

    /// SplitMix64: looks random enough for a demonstration.
    const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, a small one more often.
    fn small(&mut self, end: u64) -> u64 {
        (self.next() % end).min(self.next() % end)
    }

    fn pick<'t>(&mut self, table: &[&'t str]) -> &'t str {
        let at = usize::try_from(self.small(table.len() as u64)).unwrap_or(0);
        table.get(at).copied().unwrap_or_default()
    }

    /// The time until the next hit: now there are more visitors, now fewer.
    pub fn pause(&mut self) -> Duration {
        self.pace = (self.pace + self.next() % 3).saturating_sub(1).clamp(*PACE.start(), *PACE.end());
        Duration::from_secs(1) / u32::try_from(self.pace).unwrap_or(1)
    }

    /// A hit at `unix_time` (seconds), with its line end.
    pub fn line(&mut self, unix_time: u64) -> String {
        let (resource, referrer, agent) = (self.pick(&RESOURCES), self.pick(&REFERRERS), self.pick(&AGENTS));
        let status = match resource {
            "/missing" => 404,
            "/feed.xml" if self.next().is_multiple_of(2) => 304,
            "/search?q=pearl" if self.next().is_multiple_of(4) => 503,
            _ => 200,
        };
        let (client, size) = (1 + self.small(250), 200 + self.next() % 9000);
        let time = Stamp::utc(i64::try_from(unix_time).unwrap_or(i64::MAX), 0, 0).common();
        format!(
            "203.0.113.{client} - - [{time}] \"GET {resource} HTTP/1.1\" \
             {status} {size} \"{referrer}\" \"{agent}\"\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Generator, PACE};
    use crate::weblog::format::RecordParser;
    use crate::weblog::record::Record;
    use core::time::Duration;

    #[test]
    fn its_lines_are_records_of_every_kind() {
        let mut generator = Generator::new(2003);
        let lines: Vec<_> = (0..500).map(|i| generator.line(1_700_000_000 + i)).collect();
        let records: Vec<_> = lines
            .iter()
            .map(|l| RecordParser::default().parse(l.trim_end().as_bytes()).unwrap().unwrap())
            .collect();
        let count = |f: &dyn Fn(&Record<'_>) -> bool| records.iter().filter(|r| f(r)).count();
        assert!(count(&|r| r.is_referred()) > 200);
        assert!(count(&|r| r.referrer.is_none()) > 20);
        assert!(count(&|r| r.status != Some(200)) > 20);
        assert!(count(&|r| r.status == Some(503)) > 0);
        assert_eq!(Generator::new(2003).line(1_700_000_000), lines[0], "the same for the same seed");
    }

    #[test]
    fn between_hits_there_is_a_time_within_the_pace() {
        let mut generator = Generator::new(2003);
        let pauses: Vec<_> = (0..10_000).map(|_| generator.pause()).collect();
        let at = |pace: &u64| Duration::from_secs(1) / u32::try_from(*pace).unwrap();
        assert_eq!(pauses.iter().max(), Some(&at(PACE.start())));
        assert_eq!(pauses.iter().min(), Some(&at(PACE.end())));
    }
}
