//! When a request was logged: an instant, and how its log writes it.
//!
//! Stamps are read without a table of time zones: each log says its own offset, or means UTC.

/// The digits of a second's fraction that are kept.
const DIGITS_MAX: usize = 9;

const DAY: i64 = 86_400;

/// An instant with the offset that its log used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Since 1970-01-01T00:00:00Z.
    seconds: i64,
    /// Of the second that has begun.
    nanoseconds: u32,
    /// How many digits of a second's fraction were logged.
    digits: u8,
    /// East of UTC (minutes).
    offset: i16,
}

/// What is no stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoStamp;

impl Stamp {
    /// So many seconds and nanoseconds after 1970-01-01T00:00:00Z, of which `digits` digits of the fraction were told.
    #[must_use]
    pub const fn utc(seconds: i64, nanoseconds: u32, digits: u8) -> Self {
        Self { seconds, nanoseconds, digits, offset: 0 }
    }

    /// The same in a log whose clock is `offset` minutes east of UTC.
    #[must_use]
    pub(super) const fn east(self, offset: i16) -> Self {
        Self { offset, ..self }
    }

    /// Whole seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// Seconds since 1970-01-01T00:00:00Z and the nanoseconds of the one that has begun, to compare instants by.
    #[must_use]
    pub const fn instant(self) -> (i64, u32) {
        (self.seconds, self.nanoseconds)
    }

    /// `01/Mar/2026:00:00:00 +0000`, of the common log format.
    ///
    /// # Errors
    /// Of another shape, or no such day.
    pub fn parse_common(bytes: &[u8]) -> Result<Self, NoStamp> {
        let [
            d1,
            d2,
            b'/',
            o1,
            o2,
            o3,
            b'/',
            y1,
            y2,
            y3,
            y4,
            b':',
            h1,
            h2,
            b':',
            m1,
            m2,
            b':',
            s1,
            s2,
            b' ',
            sign,
            z1,
            z2,
            z3,
            z4,
        ] = bytes.first_chunk::<26>().filter(|_| bytes.len() == 26).ok_or(NoStamp)?
        else {
            return Err(NoStamp);
        };
        let month = month_number(&[*o1, *o2, *o3])?;
        let year = two(*y1, *y2)? * 100 + two(*y3, *y4)?;
        let seconds = civil((year, month, two(*d1, *d2)?), (two(*h1, *h2)?, two(*m1, *m2)?, two(*s1, *s2)?))?;
        let offset = offset(*sign, two(*z1, *z2)?, two(*z3, *z4)?)?;
        Ok(Self { seconds: seconds - i64::from(offset) * 60, nanoseconds: 0, digits: 0, offset })
    }

    /// `2026-03-01T00:00:00.25+01:00`, of RFC 3339; also with a space for the `T`, slashes for the `-`, and UTC where no offset stands.
    ///
    /// # Errors
    /// Of another shape, or no such day.
    pub fn parse_rfc3339(bytes: &[u8]) -> Result<Self, NoStamp> {
        let (
            [
                y1,
                y2,
                y3,
                y4,
                b'-' | b'/',
                o1,
                o2,
                b'-' | b'/',
                d1,
                d2,
                b'T' | b't' | b' ',
                h1,
                h2,
                b':',
                m1,
                m2,
                b':',
                s1,
                s2,
            ],
            rest,
        ) = bytes.split_first_chunk::<19>().ok_or(NoStamp)?
        else {
            return Err(NoStamp);
        };
        let year = two(*y1, *y2)? * 100 + two(*y3, *y4)?;
        let date = (year, two(*o1, *o2)?, two(*d1, *d2)?);
        let seconds = civil(date, (two(*h1, *h2)?, two(*m1, *m2)?, two(*s1, *s2)?))?;
        let (nanoseconds, digits, rest) = match rest {
            [b'.' | b',', rest @ ..] => fraction(rest)?,
            _ => (0, 0, rest),
        };
        let offset = match *rest {
            [] | [b'Z' | b'z'] => 0,
            [sign, h1, h2, b':', m1, m2] | [sign, h1, h2, m1, m2] => {
                offset(sign, two(h1, h2)?, two(m1, m2)?)?
            }
            _ => return Err(NoStamp),
        };
        Ok(Self { seconds: seconds - i64::from(offset) * 60, nanoseconds, digits, offset })
    }

    /// `1772323200.25`: seconds since 1970, in UTC.
    ///
    /// # Errors
    /// No such number.
    pub fn parse_epoch(bytes: &[u8]) -> Result<Self, NoStamp> {
        let whole = memchr::memchr2(b'.', b',', bytes).unwrap_or(bytes.len());
        let (digits, rest) = bytes.split_at(whole);
        if digits.is_empty() || digits.len() > 11 {
            return Err(NoStamp);
        }
        let mut seconds = 0;
        for digit in digits {
            seconds = seconds * 10 + i64::from(decimal(*digit)?);
        }
        let (nanoseconds, digits, rest) = match rest {
            [_, rest @ ..] => fraction(rest)?,
            [] => (0, 0, rest),
        };
        if rest.is_empty() { Ok(Self::utc(seconds, nanoseconds, digits)) } else { Err(NoStamp) }
    }

    /// The same in seconds, milliseconds, microseconds or nanoseconds, by how many digits stand before the point.
    ///
    /// # Errors
    /// No such number.
    pub fn parse_epoch_of_any_unit(bytes: &[u8]) -> Result<Self, NoStamp> {
        let whole = memchr::memchr2(b'.', b',', bytes).unwrap_or(bytes.len());
        let kept: u8 = match whole {
            0..12 => return Self::parse_epoch(bytes),
            12..15 => 3,
            15..18 => 6,
            _ => 9,
        };
        let (digits, behind) = bytes.split_at_checked(whole).ok_or(NoStamp)?;
        let (seconds, fraction_of) = digits.split_at_checked(whole - usize::from(kept)).ok_or(NoStamp)?;
        let (nanoseconds, digits, rest) = fraction(fraction_of)?;
        if !rest.is_empty() || behind.iter().skip(1).any(|byte| !byte.is_ascii_digit()) {
            return Err(NoStamp);
        }
        Ok(Self { nanoseconds, digits, ..Self::parse_epoch(seconds)? })
    }

    /// In any form that logs have: RFC 3339, the common format with or without brackets, a number since 1970.
    ///
    /// # Errors
    /// In none of them.
    pub fn parse_any(bytes: &[u8]) -> Result<Self, NoStamp> {
        let bytes = bytes.strip_prefix(b"[").and_then(|bytes| bytes.strip_suffix(b"]")).unwrap_or(bytes);
        Self::parse_rfc3339(bytes)
            .or_else(|_| Self::parse_common(bytes))
            .or_else(|_| Self::parse_epoch_of_any_unit(bytes))
    }

    /// Appends it in the form of RFC 3339, with the log's own offset, and a fraction if one was logged.
    pub fn write_rfc3339(self, out: &mut Vec<u8>) {
        let local = self.seconds + i64::from(self.offset) * 60;
        let (year, month, day) = date(local.div_euclid(DAY));
        let clock = local.rem_euclid(DAY);
        push_two(out, year / 100);
        push_two(out, year % 100);
        for (mark, number) in
            [(b'-', month), (b'-', day), (b'T', clock / 3600), (b':', clock / 60 % 60), (b':', clock % 60)]
        {
            out.push(mark);
            push_two(out, number);
        }
        if self.digits > 0 {
            out.push(b'.');
            let mut unit = 100_000_000;
            for _ in 0..self.digits {
                out.push(b'0' + u8::try_from(self.nanoseconds / unit % 10).unwrap_or(0));
                unit /= 10;
            }
        }
        let minutes = i64::from(self.offset.unsigned_abs());
        out.push(if self.offset < 0 { b'-' } else { b'+' });
        push_two(out, minutes / 60);
        out.push(b':');
        push_two(out, minutes % 60);
    }

    /// As the common log format has it, without the fraction.
    #[must_use]
    pub fn common(self) -> String {
        let local = self.seconds + i64::from(self.offset) * 60;
        let ((year, month, day), clock) = (date(local.div_euclid(DAY)), local.rem_euclid(DAY));
        let month =
            usize::try_from(month - 1).ok().and_then(|at| MONTHS.get(at)).copied().unwrap_or_default();
        let month = String::from_utf8_lossy(month);
        let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
        let (sign, offset) = (if self.offset < 0 { '-' } else { '+' }, self.offset.unsigned_abs());
        let (hours, minutes) = (offset / 60, offset % 60);
        format!("{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} {sign}{hours:02}{minutes:02}")
    }

    /// In the form of RFC 3339, as a text.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let mut out = Vec::with_capacity(35);
        self.write_rfc3339(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// Reads stamps of the common format that follow one another: the day and the zone are mostly those of the one before.
#[derive(Clone, Debug, Default)]
pub struct Stamps {
    /// The day of the stamp before, `01/Mar/2026:`.
    day: [u8; 12],
    /// Its zone, ` +0000`.
    zone: [u8; 6],
    /// That day's beginning in that zone.
    midnight: Option<Stamp>,
}

impl Stamps {
    /// As [`Stamp::parse_common`].
    ///
    /// # Errors
    /// Of another shape, or no such day.
    pub fn parse_common(&mut self, bytes: &[u8; 26]) -> Result<Stamp, NoStamp> {
        let (Some(day), Some([h1, h2, b':', m1, m2, b':', s1, s2]), Some(zone)) =
            (bytes.first_chunk::<12>(), bytes.get(12..20), bytes.last_chunk::<6>())
        else {
            return Err(NoStamp);
        };
        let (hour, minute, second) = (two(*h1, *h2)?, two(*m1, *m2)?, two(*s1, *s2)?);
        if hour > 23 || minute > 59 || second > 60 {
            return Err(NoStamp);
        }
        let clock = hour * 3600 + minute * 60 + second;
        let midnight = match self.midnight {
            Some(midnight) if (*day, *zone) == (self.day, self.zone) => midnight,
            _ => {
                let stamp = Stamp::parse_common(bytes)?;
                let midnight = Stamp { seconds: stamp.seconds - clock, ..stamp };
                *self = Self { day: *day, zone: *zone, midnight: Some(midnight) };
                midnight
            }
        };
        Ok(Stamp { seconds: midnight.seconds + clock, ..midnight })
    }
}

fn decimal(byte: u8) -> Result<u8, NoStamp> {
    let digit = byte.wrapping_sub(b'0');
    if digit < 10 { Ok(digit) } else { Err(NoStamp) }
}

fn two(tens: u8, ones: u8) -> Result<i64, NoStamp> {
    Ok(i64::from(decimal(tens)? * 10 + decimal(ones)?))
}

fn push_two(out: &mut Vec<u8>, number: i64) {
    let number = u8::try_from(number.rem_euclid(100)).unwrap_or(0);
    out.extend_from_slice(&[b'0' + number / 10, b'0' + number % 10]);
}

/// What follows the point: nanoseconds, how many digits were kept of it, and what comes behind.
fn fraction(bytes: &[u8]) -> Result<(u32, u8, &[u8]), NoStamp> {
    let length = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = bytes.split_at(length);
    if digits.is_empty() {
        return Err(NoStamp);
    }
    let (mut nanoseconds, mut kept) = (0, 0);
    for at in 0..DIGITS_MAX {
        nanoseconds = nanoseconds * 10 + u32::from(digits.get(at).map_or(0, |digit| digit - b'0'));
        kept += u8::from(at < digits.len());
    }
    Ok((nanoseconds, kept, rest))
}

fn offset(sign: u8, hours: i64, minutes: i64) -> Result<i16, NoStamp> {
    let offset = i16::try_from(hours * 60 + minutes).map_err(|_| NoStamp)?;
    match sign {
        _ if hours > 23 || minutes > 59 => Err(NoStamp),
        b'+' => Ok(offset),
        b'-' => Ok(-offset),
        _ => Err(NoStamp),
    }
}

const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

fn month_number(name: &[u8]) -> Result<i64, NoStamp> {
    let at = MONTHS.iter().position(|month| *month == name).ok_or(NoStamp)?;
    Ok(i64::try_from(at + 1).unwrap_or(0))
}

/// Seconds from 1970 to a date and a time of day. A leap second is the first second of the next minute.
fn civil(
    (year, month, day): (i64, i64, i64),
    (hour, minute, second): (i64, i64, i64),
) -> Result<i64, NoStamp> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        1..=12 => 31,
        _ => return Err(NoStamp),
    };
    if !(1..=length).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return Err(NoStamp);
    }
    Ok(days(year, month, day) * DAY + hour * 3600 + minute * 60 + second)
}

/// Days of four hundred years, after which the calendar repeats itself.
const ERA: i64 = 146_097;
/// From 0000-03-01 to 1970-01-01, in days.
const BEFORE_1970: i64 = 719_468;

/// Days from 1970-01-01 to a date, counted in years that begin in March.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - BEFORE_1970
}

/// The date of a day since 1970-01-01.
const fn date(days: i64) -> (i64, i64, i64) {
    let days = days + BEFORE_1970;
    let (era, of_era) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year + era * 400 + if month <= 2 { 1 } else { 0 }, month, day)
}

#[cfg(test)]
mod tests {
    use super::{NoStamp, Stamp, Stamps, date, days};

    #[test]
    fn stamps_of_the_common_format_are_instants_with_their_offset() {
        let stamp = Stamp::parse_common(b"01/Mar/2026:12:34:56 +0130").unwrap();
        assert_eq!(stamp.rfc3339(), "2026-03-01T12:34:56+01:30");
        assert_eq!(stamp.seconds(), 1_772_363_096);
        assert_eq!(stamp.common(), "01/Mar/2026:12:34:56 +0130");
        assert_eq!(Stamp::parse_common(b"31/Dec/1969:23:59:59 -0000").unwrap().seconds(), -1);
        for bad in [
            "1/Mar/2026:12:34:56 +0130",
            "01/Mrz/2026:12:34:56 +0130",
            "29/Feb/2026:12:34:56 +0130",
            "01/Mar/2026:24:34:56 +0130",
            "01/Mar/2026:12:34:56 *0130",
            "01/Mar/2026:12:34:56 +0160",
            "01/Mar/2026:12:34:5a +0130",
            "00/Mar/2026:12:34:56 +0130",
            "",
        ] {
            assert_eq!(Stamp::parse_common(bad.as_bytes()), Err(NoStamp), "{bad}");
        }
    }

    #[test]
    fn stamps_that_follow_one_another_are_read_as_each_alone() {
        let mut stamps = Stamps::default();
        for text in [
            "31/Dec/2026:23:59:60 +0000",
            "31/Dec/2026:23:59:59 +0000",
            "31/Dec/2026:23:59:59 -0130",
            "01/Jan/2027:00:00:00 -0130",
            "01/Jan/2027:24:00:00 -0130",
            "01/Jan/2027:00:00:61 -0130",
            "01/Jan/2027:00-00:00 -0130",
            "00/Jan/2027:00:00:00 -0130",
            "01/Jan/2027:00:00:00 -0130",
            "\0\0\0\0\0\0\0\0\0\0\0\x0012:00:00\0\0\0\0\0\0",
        ] {
            let bytes: &[u8; 26] = text.as_bytes().try_into().unwrap();
            assert_eq!(stamps.parse_common(bytes), Stamp::parse_common(bytes), "{text}");
        }
        let nothing_before = b"\0\0\0\0\0\0\0\0\0\0\0\x0012:00:00\0\0\0\0\0\0";
        assert_eq!(Stamps::default().parse_common(nothing_before), Err(NoStamp));
    }

    #[test]
    fn a_fraction_is_written_if_one_was_logged_and_as_long_as_it_was() {
        for (text, expected) in [
            ("2026-03-01T00:00:00Z", "2026-03-01T00:00:00+00:00"),
            ("2026-03-01 00:00:00", "2026-03-01T00:00:00+00:00"),
            ("2026-03-01T00:00:00.100Z", "2026-03-01T00:00:00.100+00:00"),
            ("2026-03-01T00:00:00.123456789123-08:00", "2026-03-01T00:00:00.123456789-08:00"),
            ("2024-02-29T23:59:60+0000", "2024-03-01T00:00:00+00:00"),
        ] {
            assert_eq!(Stamp::parse_rfc3339(text.as_bytes()).unwrap().rfc3339(), expected);
        }
        assert_eq!(Stamp::parse_epoch(b"1772323200.25").unwrap().rfc3339(), "2026-03-01T00:00:00.25+00:00");
        for bad in ["2026-03-01T00:00:00.Z", "2026-03-01T00:00:00 Z", "2026-03-01", "2026-13-01T00:00:00Z"] {
            assert_eq!(Stamp::parse_rfc3339(bad.as_bytes()), Err(NoStamp), "{bad}");
        }
        for bad in ["", ".5", "1772323200.", "1e9", "-1", "123456789012"] {
            assert_eq!(Stamp::parse_epoch(bad.as_bytes()), Err(NoStamp), "{bad}");
        }
    }

    #[test]
    fn a_number_since_1970_has_the_unit_that_its_length_says() {
        for (text, expected) in [
            ("1772323200", "2026-03-01T00:00:00+00:00"),
            ("1772323200250", "2026-03-01T00:00:00.250+00:00"),
            ("1772323200250.75", "2026-03-01T00:00:00.250+00:00"),
            ("1772323200250125", "2026-03-01T00:00:00.250125+00:00"),
            ("1772323200250125999", "2026-03-01T00:00:00.250125999+00:00"),
            ("[01/Mar/2026:00:00:00 +0000]", "2026-03-01T00:00:00+00:00"),
            ("2026/03/01 00:00:00.5", "2026-03-01T00:00:00.5+00:00"),
        ] {
            assert_eq!(Stamp::parse_any(text.as_bytes()).unwrap().rfc3339(), expected, "{text}");
        }
        for bad in ["", "17723232002x0", "1772323200250.x", "177232320025012599912345", "0.002s"] {
            assert_eq!(Stamp::parse_any(bad.as_bytes()), Err(NoStamp), "{bad}");
        }
    }

    #[test]
    fn every_day_of_eight_hundred_years_is_found_again() {
        let first = days(1600, 1, 1);
        let mut before = date(first - 1);
        for day in first..days(2400, 1, 1) {
            let (year, month, of_month) = date(day);
            assert_eq!(days(year, month, of_month), day);
            assert!((year, month, of_month) > before);
            before = (year, month, of_month);
        }
    }

    #[test]
    fn instants_are_compared_whatever_the_offset() {
        let east = Stamp::parse_rfc3339(b"2026-03-01T01:00:00+02:00").unwrap();
        let utc = Stamp::parse_rfc3339(b"2026-02-28T23:30:00.5Z").unwrap();
        assert!(east.instant() < utc.instant());
    }
}
