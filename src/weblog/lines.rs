//! A stream of bytes as lines, borrowed where they lie whole in what was read.

use memchr::memchr;

/// The longest line (bytes, without its end). What is longer is cut here; the next line is whole.
pub const LINE_MAX: usize = 65_536;

/// The offset of a line of which nobody knows where it stands in its file; none can stand there.
pub const NOWHERE: u64 = u64::MAX;

/// A line without its end (LF or CR LF).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// At most [`LINE_MAX`] bytes.
    pub bytes: &'a [u8],
    /// Where its first byte stands in the stream, or [`NOWHERE`].
    pub offset: u64,
    /// It was longer.
    pub cut: bool,
    /// The stream ended before the line did.
    pub partial: bool,
}

impl Line<'_> {
    /// Where its first byte stands, if that is known.
    #[must_use]
    pub const fn known_offset(&self) -> Option<u64> {
        match self.offset {
            NOWHERE => None,
            offset => Some(offset),
        }
    }
}

/// Splits a stream into lines. NULs where a line begins are passed over: a file that was truncated under its writer has a hole
/// in front, and a crash leaves one at the end.
#[derive(Debug, Default)]
pub struct LineSplitter {
    /// The beginning of a line whose end did not come yet, at most [`LINE_MAX`] bytes.
    held: Vec<u8>,
    /// Bytes of that line in all.
    length: u64,
    /// Where that line begins.
    offset: u64,
    /// NULs passed over in all.
    nuls: u64,
}

impl LineSplitter {
    /// For a stream whose next byte stands at `offset`.
    #[must_use]
    pub const fn at(offset: u64) -> Self {
        Self { held: Vec::new(), length: 0, offset, nuls: 0 }
    }

    /// Where the line begins whose end did not come yet: everything before it was told or passed over.
    #[must_use]
    pub const fn line_start(&self) -> u64 {
        self.offset
    }

    /// How many NULs were passed over.
    #[must_use]
    pub const fn nuls(&self) -> u64 {
        self.nuls
    }

    /// Takes more of the stream; `each` gets the lines that end in it.
    pub fn push(&mut self, mut chunk: &[u8], mut each: impl FnMut(Line<'_>)) {
        chunk = self.pass_over_nuls(chunk);
        while let Some(end) = memchr(b'\n', chunk) {
            let (head, rest) = chunk.split_at(end);
            chunk = rest.get(1..).unwrap_or_default();
            let length = self.length + head.len() as u64;
            let bytes = if self.held.is_empty() {
                head
            } else {
                self.hold(head);
                &self.held
            };
            let (bytes, cut) = bounded(bytes, length);
            each(Line { bytes, offset: self.offset, cut, partial: false });
            self.held.clear();
            self.length = 0;
            self.offset += length + 1;
            chunk = self.pass_over_nuls(chunk);
        }
        self.hold(chunk);
        self.length += chunk.len() as u64;
    }

    /// The stream has ended: the last line, if its end is missing. What comes next stands at offset 0.
    pub fn finish(&mut self, each: impl FnOnce(Line<'_>)) {
        if self.length > 0 {
            let (bytes, cut) = bounded(&self.held, self.length);
            each(Line { bytes, offset: self.offset, cut, partial: true });
        }
        *self = Self { nuls: self.nuls, ..Self::at(0) };
    }

    fn pass_over_nuls<'c>(&mut self, chunk: &'c [u8]) -> &'c [u8] {
        if self.length > 0 || chunk.first() != Some(&0) {
            return chunk;
        }
        let run = chunk.iter().position(|byte| *byte != 0).unwrap_or(chunk.len());
        self.offset += run as u64;
        self.nuls += run as u64;
        chunk.get(run..).unwrap_or_default()
    }

    fn hold(&mut self, bytes: &[u8]) {
        let room = (LINE_MAX + 1).saturating_sub(self.held.len()); // one more, for the CR
        self.held.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }
}

/// Takes the CR off, and what is too much.
fn bounded(bytes: &[u8], length: u64) -> (&[u8], bool) {
    let whole = bytes.len() as u64 == length;
    let bytes = if whole { bytes.strip_suffix(b"\r").unwrap_or(bytes) } else { bytes };
    match bytes.get(..LINE_MAX) {
        Some(kept) if bytes.len() > LINE_MAX || !whole => (kept, true),
        _ => (bytes, false),
    }
}

#[cfg(test)]
mod tests {
    use super::{LINE_MAX, Line, LineSplitter};
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    fn split(chunks: &[&[u8]]) -> Vec<(Vec<u8>, u64, bool, bool)> {
        let mut lines = Vec::new();
        let mut splitter = LineSplitter::default();
        let mut keep = |l: Line<'_>| lines.push((l.bytes.to_vec(), l.offset, l.cut, l.partial));
        for chunk in chunks {
            splitter.push(chunk, &mut keep);
        }
        splitter.finish(keep);
        lines
    }

    #[test]
    fn ends_are_taken_off_and_the_last_line_may_lack_one() {
        let lines = split(&[b"a\nb\r\n\nrest"]);
        let expected: [(&[u8], u64, bool); 4] =
            [(b"a", 0, false), (b"b", 2, false), (b"", 5, false), (b"rest", 6, true)];
        let expected: Vec<_> = expected.map(|(l, o, p)| (l.to_vec(), o, false, p)).into();
        assert_eq!(lines, expected);
    }

    #[test]
    fn nuls_before_a_line_are_passed_over_and_counted() {
        let stream = [&[0; 5000][..], b"a\0b\n\0\0c\n\0"].concat();
        for step in [1, 7, stream.len()] {
            let mut splitter = LineSplitter::default();
            let mut lines = Vec::new();
            let mut keep = |l: Line<'_>| lines.push((l.bytes.to_vec(), l.offset));
            stream.chunks(step).for_each(|chunk| splitter.push(chunk, &mut keep));
            assert_eq!((splitter.line_start(), splitter.nuls()), (stream.len() as u64, 5003));
            splitter.finish(keep);
            assert_eq!(lines, [(b"a\0b".to_vec(), 5000), (b"c".to_vec(), 5006)]);
        }
    }

    #[test]
    fn t101_a_line_beyond_the_bound_is_cut_and_the_next_is_whole() {
        for long in [LINE_MAX + 1, LINE_MAX * 3, 10 << 20] {
            let stream = [vec![b'x'; long], b"\nnext\n".to_vec()].concat();
            for step in [7, 4096, stream.len()] {
                if long > LINE_MAX * 3 && step == 7 {
                    continue; // the same, slowly
                }
                let lines = split(&stream.chunks(step).collect::<Vec<_>>());
                assert_eq!(lines[0].0.len(), LINE_MAX);
                assert!(lines[0].2);
                assert_eq!(lines[1], (b"next".to_vec(), long as u64 + 1, false, false));
            }
        }
        let exact = [vec![b'x'; LINE_MAX], b"\r\n".to_vec()].concat();
        assert!(!split(&[&exact])[0].2, "a line of just that length is whole");
    }

    #[test]
    fn t101_of_a_line_without_an_end_no_more_is_kept_than_the_bound() {
        let mut splitter = LineSplitter::default();
        (0..1024).for_each(|_| splitter.push(&[b'x'; 4096], |_| panic!("it has no end")));
        assert_eq!(splitter.held.len(), LINE_MAX + 1);
        assert!(splitter.held.capacity() <= 2 * (LINE_MAX + 1));
    }

    proptest! {
        #[test]
        fn any_cut_of_the_stream_gives_the_same_lines(
            stream in prop::collection::vec(prop::sample::select(b"ab\n\r\0\xff".to_vec()), 0..200),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        ) {
            let mut at: Vec<usize> = cuts.iter().map(|c| c.index(stream.len() + 1)).collect();
            at.extend([0, stream.len()]);
            at.sort_unstable();
            let chunks: Vec<&[u8]> = at.windows(2).map(|w| &stream[w[0]..w[1]]).collect();
            prop_assert_eq!(split(&chunks), split(&[&stream]));
        }
    }
}
