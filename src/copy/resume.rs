//! Where a copy goes on that was cut off: what is noted beside the partial file, and what must be equal.
//!
//! It reads nothing itself. What it cannot see is a change of the source that leaves its size, its time and the compared bytes
//! as they were.

use core::ops::Range;

/// The first bytes are compared.
pub(super) const HEAD_LEN: u64 = 64 * 1024;
/// And the last before the place where the copy goes on.
pub(super) const TAIL_LEN: u64 = 1024 * 1024;
/// A file that is no longer than this is not noted: it is begun again.
pub(super) const NOTED_FROM: u64 = HEAD_LEN;
/// Of a note (bytes).
pub(super) const NOTE_LEN_MAX: usize = 128;
/// The longest name of a file (bytes; NAME_MAX of Linux).
pub(super) const NAME_LEN_MAX: usize = 255;

/// What is known of a source, to see that it is still the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) size: u64,
    /// Seconds since 1970.
    pub(super) mtime: i64,
}

impl Source {
    pub(super) fn note(&self) -> String {
        format!("size {}\nmtime {}\n", self.size, self.mtime)
    }

    pub(super) fn from_note(note: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(note).ok()?.strip_suffix('\n')?;
        let (size, mtime) = text.strip_prefix("size ")?.split_once("\nmtime ")?;
        Some(Self { size: size.parse().ok()?, mtime: mtime.parse().ok()? })
    }
}

/// From where a copy may go on, if the bytes of [`compared`] are equal too.
pub(super) fn offset(noted: Option<Source>, now: Source, partial_len: u64) -> Option<u64> {
    (noted == Some(now) && (1..=now.size).contains(&partial_len)).then_some(partial_len)
}

/// What is compared of what is there, up to `offset`.
pub(super) fn compared(offset: u64) -> [Range<u64>; 2] {
    let head = offset.min(HEAD_LEN);
    [0..head, last(offset).start.max(head)..offset]
}

/// What is compared of a whole file that may be equal.
pub(super) const fn last(size: u64) -> Range<u64> {
    size.saturating_sub(TAIL_LEN)..size
}

/// The name of the partial file: `.NAME.part`, or of a long name its beginning and a number made of all of it.
pub(super) fn partial(name: &[u8]) -> Vec<u8> {
    const ENDS_LEN: usize = b"..part.meta".len();
    const BEGINNING_LEN: usize = 200;
    let long = format!("{:016x}", fnv(name));
    let (name, number) = match name.get(..BEGINNING_LEN) {
        Some(beginning) if name.len() + ENDS_LEN > NAME_LEN_MAX => (beginning, long.as_bytes()),
        _ => (name, &b""[..]),
    };
    [b".", name, number, b".part"].concat()
}

/// The name of the note beside it.
pub(super) fn note(partial: &[u8]) -> Vec<u8> {
    [partial, b".meta"].concat()
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_says_what_it_was_told_and_nothing_else_is_one() {
        let source = Source { size: u64::MAX, mtime: -1 };
        assert_eq!(Source::from_note(source.note().as_bytes()), Some(source));
        assert!(source.note().len() <= NOTE_LEN_MAX);
        for wrong in ["", "size 1\n", "size 1\nmtime 2", "size -1\nmtime 2\n", "size 1\nmtime 2\n\n", "x"] {
            assert_eq!(Source::from_note(wrong.as_bytes()), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_copy_goes_on_only_from_a_part_of_the_same_source() {
        let now = Source { size: 100, mtime: 7 };
        for (noted, len, expected) in [
            (Some(now), 40, Some(40)),
            (Some(now), 100, Some(100)),
            (Some(now), 0, None),
            (Some(now), 101, None),
            (None, 40, None),
            (Some(Source { size: 101, ..now }), 40, None),
            (Some(Source { mtime: 8, ..now }), 40, None),
        ] {
            assert_eq!(offset(noted, now, len), expected, "{noted:?} {len}");
        }
    }

    #[test]
    fn the_first_64_kib_and_the_last_mib_before_the_offset_are_compared() {
        let mib = 1 << 20;
        assert_eq!(compared(10), [0..10, 10..10]);
        assert_eq!(compared(mib), [0..HEAD_LEN, HEAD_LEN..mib]);
        assert_eq!(compared(5 * mib), [0..HEAD_LEN, 4 * mib..5 * mib]);
        assert_eq!((last(10), last(3 * mib)), (0..10, 2 * mib..3 * mib));
    }

    #[test]
    fn a_partial_name_fits_however_long_the_name_is_and_tells_long_ones_apart() {
        assert_eq!(partial(b"a b"), b".a b.part");
        assert_eq!(note(b".a.part"), b".a.part.meta");
        for len in [1, 244, 245, 255] {
            let name = vec![b'x'; len];
            assert!(note(&partial(&name)).len() <= NAME_LEN_MAX, "{len}");
            let mut other = name.clone();
            *other.last_mut().unwrap() = b'y';
            assert_ne!(partial(&name), partial(&other), "{len}");
        }
    }
}
