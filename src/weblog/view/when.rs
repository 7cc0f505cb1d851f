//! Times and durations as they are typed.
//!
//! It does not know the clock: the present is an argument, and so is the zone of times that name none.

use crate::weblog::time::Stamp;
use core::time::Duration;
use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;

/// A time: RFC 3339, a date with or without a time of day, a time of today, `@` and seconds since 1970, or a duration back from
/// `now`. Without a zone it is of `zone`.
///
/// # Errors
/// What to write instead.
pub fn time(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Stamp, String> {
    let wrong = || {
        format!(
            "{text}: no time: write it as 2h, 1h30m, 12:00, 2026-03-01, '2026-03-01 12:00', \
             2026-03-01T12:00:00+01:00 or @1772323200"
        )
    };
    let instant = if let Some(epoch) = text.strip_prefix('@') {
        return Stamp::parse_epoch(epoch.as_bytes()).map_err(|_| wrong());
    } else if let Some(back) = parse_duration(text) {
        now.checked_sub(back).map_err(|_| wrong())?
    } else if let Ok(instant) = text.parse::<Timestamp>() {
        instant
    } else if let Some(civil) = civil(text, now, zone) {
        zone.to_timestamp(civil).map_err(|_| wrong())?
    } else {
        return Err(wrong());
    };
    Ok(Stamp::utc(instant.as_second(), u32::try_from(instant.subsec_nanosecond()).unwrap_or(0), 0))
}

/// A date with or without a time of day, or a time of today.
fn civil(text: &str, now: Timestamp, zone: &TimeZone) -> Option<DateTime> {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    match shape.as_str() {
        "00:00" | "00:00:00" => {
            Some(DateTime::from_parts(zone.to_datetime(now).date(), text.parse::<Time>().ok()?))
        }
        "0000-00-00"
        | "0000-00-00 00:00"
        | "0000-00-00 00:00:00"
        | "0000-00-00T00:00"
        | "0000-00-00T00:00:00" => text.parse().ok(),
        _ => None,
    }
}

/// The longest duration, ten years: any clock can be asked for what comes so much later.
pub const DURATION_MAX: Duration = Duration::from_secs(3650 * 86_400);

/// A duration: `90s`, `2h`, `1d`, `1h30m`; at most [`DURATION_MAX`].
///
/// # Errors
/// What to write instead.
pub fn duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Some(duration) if duration > DURATION_MAX => {
            Err(format!("{text}: too long: write 3650d at the most"))
        }
        Some(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(format!("{text}: no duration: write it with units, as 90s, 5m, 2h, 1d or 1h30m")),
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let (mut seconds, mut number) = (0_u64, None::<u64>);
    for byte in text.bytes() {
        let unit = match byte {
            b'0'..=b'9' => {
                let digits = number.unwrap_or(0).checked_mul(10)?;
                number = Some(digits.checked_add(u64::from(byte - b'0'))?);
                continue;
            }
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            _ => return None,
        };
        seconds = seconds.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    (number.is_none() && !text.is_empty()).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::{DURATION_MAX, duration, time};
    use core::time::Duration;
    use jiff::Timestamp;
    use jiff::tz::{self, TimeZone};

    /// 2026-03-01 12:34:56 in Berlin.
    fn now() -> Timestamp {
        "2026-03-01T11:34:56Z".parse().unwrap()
    }

    fn berlin() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    fn read(text: &str) -> String {
        time(text, now(), &berlin()).unwrap().rfc3339()
    }

    #[test]
    fn times_are_read_in_every_form_and_without_a_zone_in_that_of_the_machine() {
        for (text, expected) in [
            ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00+00:00"),
            ("2026-03-01T12:00:00.5-08:00", "2026-03-01T20:00:00+00:00"),
            ("2026-03-01", "2026-02-28T23:00:00+00:00"),
            ("2026-03-01 12:00", "2026-03-01T11:00:00+00:00"),
            ("2026-03-01 12:00:30", "2026-03-01T11:00:30+00:00"),
            ("2026-07-01T12:00:30", "2026-07-01T10:00:30+00:00"),
            ("12:00", "2026-03-01T11:00:00+00:00"),
            ("23:59:59", "2026-03-01T22:59:59+00:00"),
            ("@1772323200", "2026-03-01T00:00:00+00:00"),
            ("90s", "2026-03-01T11:33:26+00:00"),
            ("2h", "2026-03-01T09:34:56+00:00"),
            ("1d", "2026-02-28T11:34:56+00:00"),
            ("1h30m", "2026-03-01T10:04:56+00:00"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        let fraction = time("2026-03-01T12:00:00.5Z", now(), &berlin()).unwrap();
        assert_eq!(fraction.instant(), (1_772_366_400, 500_000_000));
        let east = TimeZone::fixed(tz::offset(14));
        assert_eq!(
            time("00:00", now(), &east).unwrap().rfc3339(),
            "2026-03-01T10:00:00+00:00",
            "today there"
        );
    }

    #[test]
    fn what_is_no_time_says_what_to_write() {
        for text in [
            "",
            "yesterday",
            "2026-13-01",
            "2026-03-01 25:00",
            "12",
            "12:60",
            "@",
            "@x",
            "2h30",
            "h",
            "-2h",
            "99999999999999999999s",
            "9999999999999d",
            "2026-03-01T12:00:00+99:00",
        ] {
            let error = time(text, now(), &berlin()).unwrap_err();
            assert!(error.starts_with(&format!("{text}: ")) && error.contains("write it as 2h"), "{error}");
        }
    }

    #[test]
    fn durations_have_units_and_are_not_zero() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1d2h3m4s"), Ok(Duration::from_secs(93_784)));
        for text in ["30", "0s", "", "1w", "1.5h", "s"] {
            assert!(duration(text).unwrap_err().contains("write it with units"), "{text}");
        }
    }

    #[test]
    fn a_duration_is_ten_years_at_the_most() {
        assert_eq!(duration("3650d"), Ok(DURATION_MAX));
        for text in ["3650d1s", "9223372036854775807s", "18446744073709551615s"] {
            assert_eq!(duration(text), Err(format!("{text}: too long: write 3650d at the most")));
        }
    }
}
