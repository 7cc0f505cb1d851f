//! The demonstration's log: hits that look like a small site's, the same for the same seed.

/// Makes lines of a combined log.
#[derive(Clone, Copy, Debug)]
pub struct Generator(u64);

const REFERRERS: [&str; 6] = [
    "https://news.example/item?id=2003",
    "https://search.example/?q=ssh+in+rust",
    "https://social.example/@conch",
    "https://blog.example/caf\\xc3\\xa9",
    "https://forum.example/t?title=\\\"twisted\\\"",
    "-",
];
const RESOURCES: [&str; 7] =
    ["/", "/about", "/shells/conch.html", "/shells/strombus.png", "/feed.xml", "/search?q=pearl", "/missing"];
const AGENTS: [&str; 3] = ["Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (iPhone)", "curl/8.5.0"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Generator {
    /// The same lines for the same seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64: looks random enough for a demonstration.
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn pick<'t>(&mut self, table: &[&'t str]) -> &'t str {
        let at = usize::try_from(self.next() % table.len() as u64).unwrap_or(0);
        table.get(at).copied().unwrap_or_default()
    }

    /// A hit at `unix_time` (seconds), with its line end.
    pub fn line(&mut self, unix_time: u64) -> String {
        let (resource, referrer, agent) = (self.pick(&RESOURCES), self.pick(&REFERRERS), self.pick(&AGENTS));
        let status = match resource {
            "/missing" => 404,
            "/feed.xml" if self.next().is_multiple_of(2) => 304,
            _ => 200,
        };
        let (client, size) = (self.next() % 250, 200 + self.next() % 9000);
        let (day, month, year) = date(unix_time / 86_400);
        let month = MONTHS.get(month - 1).copied().unwrap_or_default();
        let (h, m, s) = (unix_time / 3600 % 24, unix_time / 60 % 60, unix_time % 60);
        format!(
            "203.0.113.{client} - - [{day:02}/{month}/{year}:{h:02}:{m:02}:{s:02} +0000] \"GET {resource} HTTP/1.1\" \
             {status} {size} \"{referrer}\" \"{agent}\"\n"
        )
    }
}

/// Day, month from 1 and year of a day since 1970 (the civil calendar in eras of 400 years that begin in March).
fn date(days: u64) -> (u64, usize, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (day, usize::try_from(month).unwrap_or(1), year_of_era + era * 400 + u64::from(month <= 2))
}

#[cfg(test)]
mod tests {
    use super::{Generator, date};
    use crate::weblog::record::Record;

    #[test]
    fn its_lines_are_records_of_every_kind() {
        let mut generator = Generator::new(2003);
        let lines: Vec<_> = (0..500).map(|i| generator.line(1_700_000_000 + i)).collect();
        let records: Vec<_> = lines.iter().map(|l| Record::parse(l.trim_end().as_bytes()).unwrap()).collect();
        let count = |f: &dyn Fn(&Record<'_>) -> bool| records.iter().filter(|r| f(r)).count();
        assert!(count(&|r| r.is_referred()) > 200);
        assert!(count(&|r| r.referrer.is_none()) > 20);
        assert!(count(&|r| r.status != 200) > 20);
        assert_eq!(Generator::new(2003).line(1_700_000_000), lines[0], "the same for the same seed");
    }

    #[test]
    fn days_have_their_dates() {
        for (day, expected) in
            [(0, (1, 1, 1970)), (11_016, (29, 2, 2000)), (19_675, (14, 11, 2023)), (20_514, (2, 3, 2026))]
        {
            assert_eq!(date(day), expected);
        }
    }
}
