//! Where a log was read to, said so that the place is found again whatever became of the file meanwhile.
//!
//! A name says nothing, and a number of a file may be used again: what counts is how the file begins and what stands before the
//! place. Hashes are kept, not the bytes: a checkpoint is no copy of the log.

use super::files::Stat;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Of a file's beginning, what is remembered (bytes).
pub const HEAD_MAX: usize = 1024;

/// Of the bytes before a place, those that are remembered.
pub const MARK_MAX: usize = 256;

/// Some bytes of a file: how many, and their SHA-256 in hexadecimal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excerpt {
    /// Bytes.
    pub len: u64,
    /// What they hash to.
    pub hash: String,
}

impl Excerpt {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let hash = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { len: bytes.len() as u64, hash }
    }

    /// Whether `bytes` begin with these.
    pub(super) fn begins(&self, bytes: &[u8]) -> bool {
        let own = usize::try_from(self.len).ok().and_then(|len| bytes.get(..len));
        own.is_some_and(|own| Self::of(own) == *self)
    }
}

/// A place in one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Device and number of the file, where they can be had.
    pub identity: Option<(u64, u64)>,
    /// When the file was written last, as far as was seen (seconds since 1970).
    pub mtime: Option<i64>,
    /// How the file begins, at most [`HEAD_MAX`] bytes.
    pub head: Excerpt,
    /// Where the first line begins that was not told.
    pub offset: u64,
    /// The bytes before it, at most [`MARK_MAX`].
    pub mark: Excerpt,
    /// The log has gone on in another file, and this one's end was seen since.
    #[serde(default)]
    pub ended: bool,
}

/// Where a log was read to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// What comes after this in the order of rotation is wanted.
    #[serde(default)]
    pub before: Before,
    /// The files that are read, the oldest first: the last one has the log's name, those before it were rotated away.
    pub files: Vec<Position>,
}

/// What there was before the files that are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Before {
    /// Nobody knows.
    #[default]
    Unknown,
    /// No rotated file.
    Nothing,
    /// The last file of which nothing more is wanted.
    File(Position),
}

impl Before {
    pub(super) const fn position(&self) -> Option<&Position> {
        match self {
            Self::File(position) => Some(position),
            Self::Unknown | Self::Nothing => None,
        }
    }
}

/// A place while its file is read: the bytes themselves.
#[derive(Clone, Debug, Default)]
pub(super) struct Spot {
    identity: Option<(u64, u64)>,
    mtime: Option<i64>,
    /// How large the file was seen, in bytes of its text.
    size: u64,
    /// The file's number, counted from the one that was read first.
    pub(super) generation: u64,
    /// Where reading began.
    pub(super) start: u64,
    head: Vec<u8>,
    /// How far it was read, and the last bytes before that.
    read: u64,
    recent: Vec<u8>,
    /// Where the first line begins that was not told, and the last bytes before that.
    told: u64,
    mark: Vec<u8>,
    pub(super) ended: bool,
    /// The last line was told too, without its end.
    finished: bool,
}

impl Spot {
    /// At `offset` of a file that begins with `head`; `mark` stands before the offset.
    pub(super) fn at(stat: &Stat, head: Vec<u8>, offset: u64, mark: Vec<u8>) -> Self {
        let recent = mark.clone();
        let mut spot =
            Self { start: offset, head, read: offset, recent, told: offset, mark, ..Self::default() };
        spot.see(stat);
        spot
    }

    /// The same of a file that must be inflated from its beginning to get there.
    pub(super) fn packed(stat: &Stat, head: Vec<u8>, offset: u64) -> Self {
        let mut spot = Self { start: offset, head, told: offset, ..Self::default() };
        spot.see(&Stat { size: 0, ..*stat });
        spot
    }

    pub(super) fn see(&mut self, stat: &Stat) {
        self.identity = stat.identity;
        self.mtime = stat.mtime.or(self.mtime);
        self.size = stat.size;
    }

    /// Nothing was read of it yet, and it was empty.
    pub(super) const fn is_blank(&self) -> bool {
        self.head.is_empty()
    }

    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    pub(super) const fn told(&self) -> u64 {
        self.told
    }

    pub(super) const fn read(&self) -> u64 {
        self.read
    }

    /// Bytes from where reading began to the end of what was seen, and to the end of what was told.
    pub(super) fn written_and_read(&self) -> (u64, u64) {
        let told = if self.finished { self.read } else { self.told };
        let end = self.size.max(self.read).max(told);
        (end.saturating_sub(self.start), told.saturating_sub(self.start))
    }

    /// What stands at the place was read; lines were told up to `told`.
    pub(super) fn advance(&mut self, text: &[u8], told: u64) {
        if let Ok(at) = usize::try_from(self.read)
            && let Some(new) = self.head.len().checked_sub(at).and_then(|known| text.get(known..))
        {
            let room = HEAD_MAX - self.head.len().min(HEAD_MAX);
            self.head.extend_from_slice(new.get(..room).unwrap_or(new));
        }
        if let Some(new) = told.checked_sub(self.read).and_then(|n| text.get(..usize::try_from(n).ok()?)) {
            self.mark.clone_from(&self.recent);
            keep_last(&mut self.mark, new);
            self.told = told;
        }
        keep_last(&mut self.recent, text);
        self.read += text.len() as u64;
    }

    /// All that was read was told, the last line without its end too. The place stays before that line: it may be finished.
    pub(super) const fn finish(&mut self) {
        self.finished = true;
    }

    /// The place is behind all that was read.
    pub(super) fn pass(&mut self) {
        self.told = self.read;
        self.mark.clone_from(&self.recent);
    }

    pub(super) fn position(&self) -> Position {
        Position {
            identity: self.identity,
            mtime: self.mtime,
            head: Excerpt::of(&self.head),
            offset: self.told,
            mark: Excerpt::of(&self.mark),
            ended: self.ended,
        }
    }
}

/// Appends, and keeps the last [`MARK_MAX`] bytes.
pub(super) fn keep_last(kept: &mut Vec<u8>, new: &[u8]) {
    kept.extend_from_slice(new.get(new.len().saturating_sub(MARK_MAX)..).unwrap_or_default());
    kept.drain(..kept.len().saturating_sub(MARK_MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_remembers_the_beginning_and_what_is_before_the_first_line_not_told() {
        let text: Vec<u8> = (0..3000).flat_map(|n: u32| format!("{n}\n").into_bytes()).collect();
        let start = text[..400].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
        for step in [1, 100, 255, 300, 5000] {
            let stat = Stat { size: text.len() as u64, ..Stat::default() };
            let mark = text[start - MARK_MAX..start].to_vec();
            let mut spot = Spot::at(&stat, text[..700].to_vec(), start as u64, mark);
            let mut at = start;
            for chunk in text[start..].chunks(step) {
                at += chunk.len();
                let told = text[..at].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
                spot.advance(chunk, told as u64);
                let position = spot.position();
                let known = at.clamp(700, HEAD_MAX);
                assert_eq!(position.head, Excerpt::of(&text[..known]), "{step} {at}");
                assert_eq!((position.offset, spot.read()), (told as u64, at as u64));
                assert_eq!(position.mark, Excerpt::of(&text[told - MARK_MAX..told]), "{step} {at}");
            }
        }
    }

    #[test]
    fn a_checkpoint_is_the_same_after_a_time_as_text() {
        let position = Position {
            identity: Some((1, u64::MAX)),
            mtime: Some(-1),
            head: Excerpt::of(b"head"),
            offset: 1 << 40,
            mark: Excerpt::of(b""),
            ended: true,
        };
        let checkpoint = Checkpoint { before: Before::File(position.clone()), files: vec![position] };
        let text = serde_json::to_string(&checkpoint).unwrap();
        assert!(!text.contains("head\":\"head"), "no bytes of the log");
        assert_eq!(serde_json::from_str::<Checkpoint>(&text).unwrap(), checkpoint);
        let hostile: Excerpt =
            serde_json::from_str("{\"len\":18446744073709551615,\"hash\":\"\\u0000\"}").unwrap();
        assert!(!hostile.begins(b"anything"));
    }
}
