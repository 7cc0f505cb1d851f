//! The stream of the follower in the shell, taken apart: bytes of logs, and marks between them.
//!
//! A mark begins with RS and a nonce that only this session knows, so that no byte of a log can pass for one. It does not know
//! what marks mean to a log.

use crate::wire::Fault;
use memchr::memchr;

/// What looks like a mark says nothing that is known.
pub const UNKNOWN_MARK: Fault = Fault::protocol("the follower there says what it cannot say");
/// A mark above [`MARK_LEN_MAX`].
pub const MARK_TOO_LONG: Fault = Fault::protocol("the follower there says something without an end");

/// The longest mark behind its nonce (bytes): a letter and three numbers.
pub const MARK_LEN_MAX: usize = 1 + 3 * (1 + 20);

/// Of a nonce as it is written (bytes).
pub const NONCE_LEN: usize = 32;

/// RS, the nonce, a blank.
const PREFIX_LEN: usize = 1 + NONCE_LEN + 1;

const RS: u8 = 0x1e;

/// What the follower there says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It runs.
    Begun,
    /// A file is read on from `offset`, when it had `size`.
    File {
        /// Of the file.
        inode: u64,
        /// Where the next byte stands.
        offset: u64,
        /// When it was looked at.
        size: u64,
    },
    /// The same, emptied before it was read to its end: it begins anew.
    Truncated(u64, u64),
    /// The same, emptied and written anew behind where it was read.
    Rewritten(u64, u64),
    /// Bytes of the file before follow.
    Old,
    /// Bytes of this file follow again.
    Current,
    /// The file before is read no more.
    OldEnded,
    /// It runs still, and this was the size.
    Alive(u64),
    /// There is no such file.
    Missing,
    /// There is, and it must not be read.
    Denied,
    /// There is, and it is no regular file.
    Special,
    /// The file that should be gone on with was not found.
    NotFound,
    /// It has looked once, as it should, and ends.
    Done,
}

impl Mark {
    fn decode(text: &[u8]) -> Result<Self, Fault> {
        let mut fields = text.split(|byte| *byte == b' ');
        let letter = fields.next();
        let mut number = || number(fields.next());
        let mark = match letter {
            Some(b"S") => Self::Begun,
            Some(b"N") => {
                Self::File { inode: number()?, offset: length(number()?)?, size: length(number()?)? }
            }
            Some(letter @ (b"T" | b"R")) => {
                let (inode, offset, size) = (number()?, number()?, length(number()?)?);
                if offset != 0 {
                    return Err(UNKNOWN_MARK);
                }
                if letter == b"T" { Self::Truncated(inode, size) } else { Self::Rewritten(inode, size) }
            }
            Some(b"O") => Self::Old,
            Some(b"C") => Self::Current,
            Some(b"E") => Self::OldEnded,
            Some(b"H") => Self::Alive(length(number()?)?),
            Some(b"W") => Self::Missing,
            Some(b"D") => Self::Denied,
            Some(b"X") => Self::Special,
            Some(b"L") => Self::NotFound,
            Some(b"Q") => Self::Done,
            _ => return Err(UNKNOWN_MARK),
        };
        if fields.next().is_some() { Err(UNKNOWN_MARK) } else { Ok(mark) }
    }
}

fn number(field: Option<&[u8]>) -> Result<u64, Fault> {
    let digits = field.filter(|field| !field.is_empty() && field.iter().all(u8::is_ascii_digit));
    let digits = digits.and_then(|digits| core::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).ok_or(UNKNOWN_MARK)
}

/// No file is longer than the system can say.
fn length(number: u64) -> Result<u64, Fault> {
    i64::try_from(number).map_or(Err(UNKNOWN_MARK), |_| Ok(number))
}

/// What the stream is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Bytes of a log.
    Data(&'a [u8]),
    /// Of the follower there.
    Mark(Mark),
}

/// Takes the stream apart.
#[derive(Debug)]
pub struct Marks {
    prefix: [u8; PREFIX_LEN],
    /// The beginning of what may be a mark; at most [`PREFIX_LEN`] + [`MARK_LEN_MAX`] bytes.
    held: Vec<u8>,
}

impl Marks {
    /// For a stream whose marks have this nonce.
    #[must_use]
    pub fn new(nonce: &[u8; NONCE_LEN]) -> Self {
        let mut prefix = [b' '; PREFIX_LEN];
        let (first, rest) = prefix.split_at_mut(1);
        first.fill(RS);
        for (to, from) in rest.iter_mut().zip(nonce) {
            *to = *from;
        }
        Self { prefix, held: Vec::new() }
    }

    /// Takes what came. Bytes are held back only while they may be a mark.
    ///
    /// # Errors
    /// Of `each`; or what comes is not of the follower there, and nothing of the stream is of use any more.
    pub fn push(
        &mut self,
        mut data: &[u8],
        mut each: impl FnMut(Piece<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        loop {
            if self.held.is_empty() {
                let plain = memchr(RS, data).unwrap_or(data.len());
                let (plain, rest) = data.split_at(plain);
                if !plain.is_empty() {
                    each(Piece::Data(plain))?;
                }
                data = rest;
            }
            let Some((byte, rest)) = data.split_first() else { return Ok(()) };
            data = rest;
            self.hold(*byte, &mut each)?;
        }
    }

    fn hold(&mut self, byte: u8, each: &mut impl FnMut(Piece<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
        if let Some(expected) = self.prefix.get(self.held.len()) {
            if *expected == byte {
                self.held.push(byte);
                return Ok(());
            }
            // RS is nowhere in the nonce: only this byte may begin a mark.
            let told = each(Piece::Data(&self.held));
            self.held.clear();
            told?;
            if byte == RS {
                self.held.push(byte);
                return Ok(());
            }
            return each(Piece::Data(&[byte]));
        }
        if byte == b'\n' {
            let mark = Mark::decode(self.held.get(PREFIX_LEN..).unwrap_or_default())?;
            self.held.clear();
            return each(Piece::Mark(mark));
        }
        if self.held.len() >= PREFIX_LEN + MARK_LEN_MAX {
            return Err(MARK_TOO_LONG);
        }
        self.held.push(byte);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    const NONCE: &[u8; NONCE_LEN] = b"0123456789abcdef0123456789abcdef";

    #[derive(Debug, PartialEq, Eq)]
    enum Kept {
        Data(Vec<u8>),
        Mark(Mark),
    }

    fn taken(chunks: &[&[u8]]) -> Result<Vec<Kept>, Fault> {
        let (mut marks, mut kept) = (Marks::new(NONCE), Vec::new());
        for chunk in chunks {
            marks.push(chunk, |piece| {
                match (piece, kept.last_mut()) {
                    (Piece::Data(data), Some(Kept::Data(before))) => before.extend_from_slice(data),
                    (Piece::Data(data), _) => kept.push(Kept::Data(data.to_vec())),
                    (Piece::Mark(mark), _) => kept.push(Kept::Mark(mark)),
                }
                Ok(())
            })?;
            assert!(marks.held.len() <= PREFIX_LEN + MARK_LEN_MAX);
        }
        Ok(kept)
    }

    fn mark(text: &str) -> Vec<u8> {
        [b"\x1e", &NONCE[..], b" ", text.as_bytes(), b"\n"].concat()
    }

    #[test]
    fn marks_stand_between_bytes_and_hold_no_line_end_back() {
        let stream = [b"a\n", mark("N 7 0 2").as_slice(), b"b\n", &mark("H 2"), b"c\n"].concat();
        let data = |bytes: &[u8]| Kept::Data(bytes.to_vec());
        let file = Kept::Mark(Mark::File { inode: 7, offset: 0, size: 2 });
        let expected = [data(b"a\n"), file, data(b"b\n"), Kept::Mark(Mark::Alive(2)), data(b"c\n")];
        assert_eq!(taken(&[&stream]).unwrap(), expected);
        assert_eq!(taken(&[b"line\n"]).unwrap(), [data(b"line\n")]);
    }

    #[test]
    fn bytes_of_a_log_that_do_not_know_the_nonce_are_bytes() {
        let almost = mark("W").split_last().unwrap().1.to_vec();
        let other = [b"\x1e", &[b'0'; NONCE_LEN][..], b" W\n"].concat();
        let part = [b"\x1e\x1e", &NONCE[..7], b"\x1e", &NONCE[..30], b"x"].concat();
        for log in [&b"\x1e\x1e\x1e"[..], &other, &part] {
            let stream = [log, b"\n"].concat();
            assert_eq!(taken(&[&stream]).unwrap(), [Kept::Data(stream)]);
        }
        assert_eq!(taken(&[&almost]).unwrap(), []);
    }

    #[test]
    fn what_no_follower_says_ends_the_stream() {
        let zeros = "0".repeat(20);
        let longest = mark(&format!("N {} {zeros} {zeros}", u64::MAX));
        assert_eq!(longest.len(), PREFIX_LEN + MARK_LEN_MAX + 1);
        assert!(taken(&[&longest]).is_ok());
        for text in [
            "",
            "Q 1",
            "Z",
            "S 1",
            "N",
            "N 1 2",
            "N 1 2 3 4",
            "N 1 -2 3",
            "N 1 2 +3",
            "N 1  3",
            "T 1 2 3",
            "H",
        ] {
            assert_eq!(taken(&[&mark(text)]), Err(UNKNOWN_MARK), "{text}");
        }
        for long in ["H 9223372036854775808", "N 1 9223372036854775808 2", "N 18446744073709551616 1 2"] {
            assert_eq!(taken(&[&mark(long)]), Err(UNKNOWN_MARK), "{long}");
        }
        let endless = [&longest[..longest.len() - 1], b"0"].concat();
        assert_eq!(taken(&[&endless]), Err(MARK_TOO_LONG));
    }

    proptest! {
        #[test]
        fn any_cut_of_the_stream_gives_the_same_pieces_and_every_byte_of_a_log(
            parts in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..40)), 0..10),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        ) {
            let mut stream = Vec::new();
            for (is_mark, bytes) in &parts {
                stream.extend_from_slice(bytes);
                stream.extend(if *is_mark { mark("N 1 2 3") } else { b"\x1e0123".to_vec() });
            }
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            at.extend([0, stream.len()]);
            at.sort_unstable();
            let chunks: Vec<&[u8]> = at.windows(2).map(|two| &stream[two[0]..two[1]]).collect();
            let whole = taken(&[&stream, b"."]).unwrap();
            prop_assert_eq!(taken(&[&chunks[..], &[b"."]].concat()).unwrap(), whole);
        }

        #[test]
        fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let stream = [&mark("S")[..PREFIX_LEN], &bytes].concat();
            prop_assert!(taken(&[&stream]).is_ok_and(|kept| kept.len() <= stream.len())
                || taken(&[&stream]).is_err_and(|fault| [UNKNOWN_MARK, MARK_TOO_LONG].contains(&fault)));
        }
    }
}
