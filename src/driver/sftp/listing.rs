//! What a file is, as it is told: its attributes, and a line as of `ls -l`.
//!
//! Names of users and groups are those of `/etc/passwd` and `/etc/group` below the root, as after chroot(2); who is in
//! neither has a number. Times are in UTC, for which no file of the system's is needed.

use super::root::Root;
use crate::sftp::Attributes;
use rustix::fs::{FileType, Mode, OFlags, Stat, fstat};
use rustix::io::Errno;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::time::{SystemTime, UNIX_EPOCH};

/// So much is read of a file of names (bytes).
pub const NAMES_LEN_MAX: u64 = 1024 * 1024;

/// So many lines of it count.
pub const NAMES_MAX: usize = 16_384;

/// The longest name of a user or a group (bytes), as the system has it.
pub const NAME_LEN_MAX: usize = 256;

/// Times that are as far from now are shown by their year (seconds): half a year, as `ls` does.
const RECENT: i64 = 365 * 24 * 60 * 60 / 2;

/// Names of users and groups.
#[derive(Debug, Default)]
pub(super) struct Users {
    users: HashMap<u32, Vec<u8>>,
    groups: HashMap<u32, Vec<u8>>,
    homes: HashMap<Vec<u8>, Vec<u8>>,
}

impl Users {
    /// Reads the two files; one that cannot be read has no names. Lines beyond [`NAMES_MAX`] and names above [`NAME_LEN_MAX`]
    /// are passed over: below a root that is written to, the files are whoever's.
    pub(super) fn read(root: &Root) -> Self {
        let mut all = Self::default();
        for line in lines(&contents(root, b"/etc/passwd").unwrap_or_default()) {
            let fields: Vec<_> = line.split(|byte| *byte == b':').collect();
            if let [name, _, uid, _, _, home, ..] = fields[..]
                && let (Some(name), Some(uid)) = (bounded(name), number(uid))
            {
                all.users.entry(uid).or_insert_with(|| name.to_vec());
                all.homes.entry(name.to_vec()).or_insert_with(|| home.to_vec());
            }
        }
        for line in lines(&contents(root, b"/etc/group").unwrap_or_default()) {
            let fields: Vec<_> = line.split(|byte| *byte == b':').collect();
            if let [name, _, gid, ..] = fields[..]
                && let (Some(name), Some(gid)) = (bounded(name), number(gid))
            {
                all.groups.entry(gid).or_insert_with(|| name.to_vec());
            }
        }
        all
    }

    /// The name of a user; empty if there is none.
    pub(super) fn user(&self, uid: u32) -> &[u8] {
        self.users.get(&uid).map_or(b"", Vec::as_slice)
    }

    pub(super) fn group(&self, gid: u32) -> &[u8] {
        self.groups.get(&gid).map_or(b"", Vec::as_slice)
    }

    pub(super) fn home(&self, name: &[u8]) -> Option<&[u8]> {
        self.homes.get(name).map(Vec::as_slice)
    }

    /// A line as of `ls -l`.
    pub(super) fn longname(&self, name: &[u8], stat: &Stat) -> Vec<u8> {
        let shown = |name: &[u8], id: u32| match name {
            b"" => id.to_string(),
            name => String::from_utf8_lossy(name).into_owned(),
        };
        let user = shown(self.user(stat.st_uid), stat.st_uid);
        let group = shown(self.group(stat.st_gid), stat.st_gid);
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        longname((stat.st_mode, stat.st_nlink), (&user, &group), size, stat.st_mtime, name)
    }
}

/// A line as of `ls -l`: mode and links, user and group, size, time, name.
pub(super) fn longname(
    (bits, links): (u32, u64),
    (user, group): (&str, &str),
    size: u64,
    mtime: i64,
    name: &[u8],
) -> Vec<u8> {
    let mut line = Vec::with_capacity(80 + name.len());
    let (mode, time) = (mode(bits), time(mtime, now()));
    let written = write!(line, "{mode} {links:>3} {user:<8} {group:<8} {size:>8} {time} ");
    debug_assert!(written.is_ok(), "a vector takes everything");
    line.extend_from_slice(name);
    line
}

fn contents(root: &Root, path: &[u8]) -> Result<Vec<u8>, Errno> {
    let fd = root.open_file(path, OFlags::RDONLY, Mode::empty())?;
    let mut contents = Vec::new();
    if FileType::from_raw_mode(fstat(&fd)?.st_mode) == FileType::RegularFile {
        let _unread = File::from(fd).take(NAMES_LEN_MAX).read_to_end(&mut contents);
    }
    Ok(contents)
}

fn lines(contents: &[u8]) -> impl Iterator<Item = &[u8]> {
    contents.split(|byte| *byte == b'\n').take(NAMES_MAX)
}

fn bounded(name: &[u8]) -> Option<&[u8]> {
    (name.len() <= NAME_LEN_MAX).then_some(name)
}

fn number(text: &[u8]) -> Option<u32> {
    core::str::from_utf8(text).ok()?.parse().ok()
}

/// What is told of a file.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "version 3 has 32 bits for a time"
)]
pub(super) const fn attributes(stat: &Stat) -> Attributes<'static> {
    Attributes {
        size: Some(stat.st_size as u64),
        uid_gid: Some((stat.st_uid, stat.st_gid)),
        permissions: Some(stat.st_mode),
        ac_mod_time: Some((stat.st_atime as u32, stat.st_mtime as u32)),
        extended: crate::sftp::Pairs::NONE,
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// `-rw-r--r--`
fn mode(mode: u32) -> String {
    let mut text = String::with_capacity(10);
    text.push(match FileType::from_raw_mode(mode) {
        FileType::RegularFile => '-',
        FileType::Directory => 'd',
        FileType::Symlink => 'l',
        FileType::Fifo => 'p',
        FileType::Socket => 's',
        FileType::CharacterDevice => 'c',
        FileType::BlockDevice => 'b',
        FileType::Unknown => '?',
    });
    for (shift, special, set, alone) in [(6, 0o4000, 's', 'S'), (3, 0o2000, 's', 'S'), (0, 0o1000, 't', 'T')]
    {
        let bits = mode >> shift;
        text.push(if bits & 4 == 0 { '-' } else { 'r' });
        text.push(if bits & 2 == 0 { '-' } else { 'w' });
        text.push(match (mode & special != 0, bits & 1 != 0) {
            (false, false) => '-',
            (false, true) => 'x',
            (true, true) => set,
            (true, false) => alone,
        });
    }
    text
}

/// `Nov  5 14:02`, or `Nov  5  2024` if that is long ago or to come.
fn time(at: i64, now: i64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (year, month, day) = date(at.div_euclid(24 * 60 * 60));
    let minute = at.rem_euclid(24 * 60 * 60) / 60;
    let month = MONTHS.get(month).copied().unwrap_or_default();
    if now.saturating_sub(RECENT) < at && at <= now {
        format!("{month} {day:>2} {:02}:{:02}", minute / 60, minute % 60)
    } else {
        format!("{month} {day:>2}  {year}")
    }
}

/// Year, month from 0 on and day of a number of days since 1970. Years are counted from March on, so that the odd day is
/// the last of one; 400 of them have 146097 days, and five months from March or August on 153.
fn date(days: i64) -> (i64, usize, i64) {
    let from_march = days + 719_468; // since the first of March of the year 0
    let (era, day) = (from_march.div_euclid(146_097), from_march.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year + i64::from(month >= 10);
    (year, usize::try_from((month + 2) % 12).unwrap_or_default(), day)
}

#[cfg(test)]
mod tests {
    use super::{NAME_LEN_MAX, NAMES_LEN_MAX, NAMES_MAX, Root, Users, date, mode, time};
    use std::fs;

    #[test]
    fn days_have_their_dates() {
        for (days, expected) in [
            (0, (1970, 0, 1)),
            (59, (1970, 2, 1)),
            (11_016, (2000, 1, 29)),
            (11_017, (2000, 2, 1)),
            (20_783, (2026, 10, 26)),
            (-1, (1969, 11, 31)),
            (47_540, (2100, 1, 28)),
            (47_541, (2100, 2, 1)),
        ] {
            assert_eq!(date(days), expected, "{days}");
        }
    }

    #[test]
    fn a_time_is_shown_by_its_minute_or_its_year() {
        let now = 1_795_662_123; // 2026-11-26 03:02:03
        assert_eq!(time(now, now), "Nov 26 03:02");
        assert_eq!(time(now - super::RECENT + 1, now), "May 27 15:02");
        assert_eq!(time(now - super::RECENT, now), "May 27  2026");
        assert_eq!(time(now + 1, now), "Nov 26  2026");
        assert_eq!(time(0, now), "Jan  1  1970");
    }

    #[test]
    fn modes_are_shown_as_ls_shows_them() {
        for (bits, expected) in [
            (0o100_644, "-rw-r--r--"),
            (0o40_755, "drwxr-xr-x"),
            (0o120_777, "lrwxrwxrwx"),
            (0o107_777, "-rwsrwsrwt"),
            (0o107_000, "---S--S--T"),
            (0o10_600, "prw-------"),
            (0o140_000, "s---------"),
            (0o20_000, "c---------"),
            (0o60_000, "b---------"),
        ] {
            assert_eq!(mode(bits), expected);
        }
    }

    #[test]
    fn of_a_file_of_names_only_its_beginning_is_read() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("etc")).unwrap();
        for (name, line) in [("passwd", "ann:x:ID:0::/home/ann:\n"), ("group", "ann:x:ID:\n")] {
            let mut text = line.replace("ID", "1");
            let end = line.replace("ID", "2") + &line.replace("ID", "3");
            // The second line ends at the bound.
            let rest = NAMES_LEN_MAX as usize - text.len() - end.len() / 2;
            text += &("#".repeat(rest - 1) + "\n" + &end);
            fs::write(directory.path().join("etc").join(name), text).unwrap();
        }
        let users = Users::read(&Root::open(directory.path()).unwrap());
        for (id, name) in [(1, &b"ann"[..]), (2, b"ann"), (3, b"")] {
            assert_eq!((users.user(id), users.group(id)), (name, name), "{id}");
        }
    }

    #[test]
    fn of_names_no_more_count_than_the_bound_and_none_that_is_too_long() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("etc")).unwrap();
        let (fits, long) = ("a".repeat(NAME_LEN_MAX), "a".repeat(NAME_LEN_MAX + 1));
        for (name, rest) in [("passwd", "::/home"), ("group", "")] {
            let mut text = format!("{long}:x:1:{rest}\n{fits}:x:2:{rest}\n");
            text += &"\n".repeat(NAMES_MAX - 3);
            text += &format!("last:x:3:{rest}\nbeyond:x:4:{rest}\n");
            fs::write(directory.path().join("etc").join(name), text).unwrap();
        }
        let users = Users::read(&Root::open(directory.path()).unwrap());
        for (id, name) in [(1, &b""[..]), (2, fits.as_bytes()), (3, b"last"), (4, b"")] {
            assert_eq!((users.user(id), users.group(id)), (name, name), "{id}");
        }
        assert_eq!((users.home(long.as_bytes()), users.home(b"last")), (None, Some(&b"/home"[..])));
    }
}
