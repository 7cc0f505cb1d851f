//! The other files of a log: those that were rotated away, told by their names, the oldest first.

use super::files::{Files, Kind, Stat, Trouble};
use core::cmp::{Ordering, Reverse};

/// Rotated files that are considered, the newest ones.
pub(super) const SIBLINGS_MAX: usize = 64;

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// Not, or by gzip: that shows when it is read.
    Readable,
    /// In a way that is not read here.
    Foreign,
}

/// What rotation has put at the end of the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    /// `.1` is the newest.
    Number(u64),
    /// `-20260301`, `-2026030112`, `-20260301-1772323200`.
    Date(Vec<u8>),
}

/// A rotated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sibling {
    pub(super) path: Vec<u8>,
    pub(super) stat: Stat,
    pub(super) rank: Rank,
    pub(super) packing: Packing,
    packed_name: bool,
}

/// A path as its directory and its last name.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memrchr(b'/', path) {
        Some(at) => (path.get(..at.max(1)).unwrap_or_default(), path.get(at + 1..).unwrap_or_default()),
        None => (b".", path),
    }
}

/// The rotated files of the log at `path`, the oldest first. A directory that is not there has none.
pub(super) async fn siblings<F: Files>(files: &F, path: &[u8]) -> Result<Vec<Sibling>, Trouble> {
    let (directory, base) = split(path);
    let is_one = |name: &[u8]| name.strip_prefix(base).and_then(rank).is_some();
    let names = match files.list(directory, is_one).await {
        Ok(names) => names,
        Err(trouble @ (Trouble::Lost | Trouble::Exhausted)) => return Err(trouble),
        Err(_) => return Ok(Vec::new()), // what is wrong with it, the log itself tells
    };
    let prefix = path.get(..path.len() - base.len()).unwrap_or_default();
    let sibling = |(name, stat): (Vec<u8>, Stat)| {
        if !matches!(stat.kind, None | Some(Kind::Regular)) {
            return None;
        }
        let (rank, packing, packed_name) = rank(name.strip_prefix(base)?)?;
        Some(Sibling { path: [prefix, name.as_slice()].concat(), stat, rank, packing, packed_name })
    };
    let mut found: Vec<Sibling> = names.into_iter().filter_map(sibling).collect();
    sort(&mut found);
    // While a file is being packed both are there, and the plain one is whole.
    found.dedup_by(|packed, plain| packed.rank == plain.rank && packed.packed_name);
    found.drain(..found.len().saturating_sub(SIBLINGS_MAX));
    Ok(found)
}

/// By rank where all have one of a kind, otherwise by when they were written last: clocks step back, names do not.
fn sort(found: &mut [Sibling]) {
    let is_number = |sibling: &Sibling| matches!(sibling.rank, Rank::Number(_));
    let one_kind = found.iter().all(is_number) || !found.iter().any(is_number);
    found.sort_by(|a, b| {
        let time = if one_kind { Ordering::Equal } else { a.stat.mtime.cmp(&b.stat.mtime) };
        let rank = match (&a.rank, &b.rank) {
            (Rank::Number(a), Rank::Number(b)) => Reverse(a).cmp(&Reverse(b)),
            (Rank::Date(a), Rank::Date(b)) => a.cmp(b),
            (Rank::Number(_), Rank::Date(_)) => Ordering::Less,
            (Rank::Date(_), Rank::Number(_)) => Ordering::Greater,
        };
        time.then(rank).then(a.packed_name.cmp(&b.packed_name))
    });
}

/// The names of logs that a file of this name may have been rotated away from.
pub(crate) fn bases(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    memchr::memchr2_iter(b'.', b'-', name).filter_map(|at| {
        let (base, rest) = name.split_at_checked(at)?;
        rank(rest).map(|_| base)
    })
}

fn rank(rest: &[u8]) -> Option<(Rank, Packing, bool)> {
    let endings: [(&[u8], Packing); 4] = [
        (b".gz", Packing::Readable),
        (b".xz", Packing::Foreign),
        (b".zst", Packing::Foreign),
        (b".bz2", Packing::Foreign),
    ];
    let packed = endings.iter().find_map(|(ending, packing)| Some((rest.strip_suffix(*ending)?, *packing)));
    let (rest, packing) = packed.unwrap_or((rest, Packing::Readable));
    let (separator, stamp) = rest.split_first()?;
    let digits = stamp.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rank = match (separator, digits) {
        (b'.', 1..8) if digits == stamp.len() => Rank::Number(str::from_utf8(stamp).ok()?.parse().ok()?),
        (b'.' | b'-', 8..) if stamp.iter().all(|byte| byte.is_ascii_digit() || b"-_T:".contains(byte)) => {
            Rank::Date(stamp.to_vec())
        }
        _ => return None,
    };
    Some((rank, packing, packed.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_and_ordered() {
        for other in ["", ".", ".bak", ".1.bak", "-2026", ".1x", "2", ".gz", "-20260301x"] {
            assert_eq!(rank(other.as_bytes()), None, "{other}");
        }
        assert_eq!(rank(b".12.zst"), Some((Rank::Number(12), Packing::Foreign, true)));
        let sorted = |names: &[(&str, i64)]| {
            let sibling = |(name, mtime): &(&str, i64)| {
                let (rank, packing, packed_name) = rank(name.as_bytes()).unwrap();
                let stat = Stat { mtime: Some(*mtime), ..Stat::default() };
                Sibling { path: name.as_bytes().to_vec(), stat, rank, packing, packed_name }
            };
            let mut found: Vec<_> = names.iter().map(sibling).collect();
            sort(&mut found);
            found.iter().map(|s| String::from_utf8(s.path.clone()).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(
            sorted(&[(".2", 9), (".10", 9), (".1", 5)]),
            [".10", ".2", ".1"],
            "whatever the clock says"
        );
        assert_eq!(
            sorted(&[("-20260302", 1), ("-20260301-1772323200", 2), ("-20260301", 3)]),
            ["-20260301", "-20260301-1772323200", "-20260302"]
        );
        assert_eq!(sorted(&[("-20260302", 5), (".1", 7), (".2.gz", 3)]), [".2.gz", "-20260302", ".1"]);
    }

    #[test]
    fn the_log_of_a_rotated_file_is_told_by_its_name() {
        let bases = |name: &'static str| -> Vec<_> {
            bases(name.as_bytes()).map(|base| str::from_utf8(base).unwrap()).collect()
        };
        assert_eq!(bases("a.log.2.gz"), ["a.log"]);
        assert_eq!(bases("a-b.log-20260301-1772323200.xz"), ["a-b.log", "a-b.log-20260301"]);
        assert_eq!(bases("a.log.1.2"), ["a.log.1"]);
        for none in ["", "a.log", "a.log.1x", ".gz", "a.log.1.bak", "a.log-2026"] {
            assert!(bases(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn a_path_is_split() {
        assert_eq!(split(b"a.log"), (&b"."[..], &b"a.log"[..]));
        assert_eq!(split(b"/a.log"), (&b"/"[..], &b"a.log"[..]));
        assert_eq!(split(b"/x/a.log"), (&b"/x"[..], &b"a.log"[..]));
    }
}
