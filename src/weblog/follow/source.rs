//! The text of one open file, as it grows: as it stands, or inflated.
//!
//! Each read begins with the last bytes of the one before: that they are still there says that the file is still the one that
//! was read, in the same answer that brings what is new.

use super::files::{Files, Trouble};
use super::position::{HEAD_MAX, keep_last};
use flate2::write::MultiGzDecoder;
use std::io::Write;

/// Bytes asked for at a time, so that nobody waits for a burst.
pub(super) const READ_MAX: usize = 256 * 1024;

/// The same, of a file that is inflated.
const PACKED_MAX: usize = 64 * 1024;

/// Packed bytes that are inflated at a time: they become half a mebibyte at most.
const PIECE: usize = 512;

/// Packed bytes that are read at most for a text's beginning: a gzip header may carry a long name.
const HEAD_PACKED_MAX: u64 = 128 * 1024;

/// How a gzip member begins (RFC 1952 §2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Text.
    More,
    /// Nothing: it has been read to its end.
    End,
    /// The file holds something else now: it was truncated, or written anew.
    Replaced,
    /// It cannot be inflated.
    Broken,
}

#[derive(Debug, Default)]
enum Text {
    /// Nothing was read yet that would say.
    #[default]
    Unknown,
    Plain,
    Packed(Box<Inflate>),
}

#[derive(Debug)]
struct Inflate {
    decoder: MultiGzDecoder<Vec<u8>>,
    /// Read, and not inflated yet.
    packed: Vec<u8>,
    from: usize,
}

/// How far a file was read.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// Of the file's own bytes.
    offset: u64,
    mark: Vec<u8>,
    text: Text,
    buffer: Vec<u8>,
    /// Of the buffer, what is no news: the mark as it was.
    from: usize,
}

impl Source {
    /// Reads on at `offset` of a file that is not packed; `mark` stands before it there.
    pub(super) fn plain(offset: u64, mark: Vec<u8>) -> Self {
        let text = if offset == 0 { Text::Unknown } else { Text::Plain };
        Self { offset, mark, text, ..Self::default() }
    }

    pub(super) const fn is_packed(&self) -> bool {
        matches!(self.text, Text::Packed(_))
    }

    /// The text of the last step.
    pub(super) fn text(&self) -> &[u8] {
        match &self.text {
            Text::Packed(inflate) => inflate.decoder.get_ref(),
            _ => self.buffer.get(self.from..).unwrap_or_default(),
        }
    }

    /// The next text; of a file that is not packed, none that stands at `end` or behind it.
    pub(super) async fn step<F: Files>(
        &mut self,
        files: &F,
        file: &F::File,
        end: Option<u64>,
    ) -> Result<Step, Trouble> {
        loop {
            if let Text::Packed(inflate) = &mut self.text
                && let Some(step) = inflate.step()
            {
                return Ok(step);
            }
            match self.read(files, file, end).await? {
                Step::More => {}
                other => return Ok(other),
            }
            let new = self.buffer.get(self.from..).unwrap_or_default();
            match &mut self.text {
                Text::Unknown if new.starts_with(&GZIP) => {
                    self.text = Text::Packed(Box::new(Inflate::new(new)))
                }
                Text::Packed(inflate) => inflate.take(new),
                Text::Unknown | Text::Plain => {
                    self.text = Text::Plain;
                    return Ok(Step::More);
                }
            }
        }
    }

    /// Gives the room back that a burst has taken.
    pub(super) fn rest(&mut self) {
        self.buffer = Vec::new();
    }

    /// Whether a packed file is whole.
    pub(super) fn is_whole(&mut self) -> bool {
        match &mut self.text {
            Text::Packed(inflate) => inflate.decoder.try_finish().is_ok(),
            Text::Unknown | Text::Plain => true,
        }
    }

    async fn read<F: Files>(&mut self, files: &F, file: &F::File, end: Option<u64>) -> Result<Step, Trouble> {
        let before = self.mark.len();
        let wanted = end.and_then(|end| usize::try_from(end.saturating_sub(self.offset)).ok());
        let room = if self.is_packed() { PACKED_MAX } else { wanted.unwrap_or(READ_MAX).min(READ_MAX) };
        if before + room == 0 {
            return Ok(Step::End);
        }
        let mut buffer = core::mem::take(&mut self.buffer);
        buffer.clear();
        let n = files.read(file, self.offset - before as u64, before + room, &mut buffer).await?;
        (self.buffer, self.from) = (buffer, before);
        let Some((mark, new)) = self.buffer.split_at_checked(before) else { return Ok(Step::Replaced) };
        if *mark != *self.mark {
            return Ok(Step::Replaced);
        }
        if n == before {
            return Ok(Step::End);
        }
        self.offset += new.len() as u64;
        keep_last(&mut self.mark, new);
        Ok(Step::More)
    }
}

impl Inflate {
    fn new(packed: &[u8]) -> Self {
        Self { decoder: MultiGzDecoder::new(Vec::new()), packed: packed.to_vec(), from: 0 }
    }

    fn take(&mut self, packed: &[u8]) {
        self.packed.clear();
        self.packed.extend_from_slice(packed);
        self.from = 0;
    }

    /// Inflates what was read, at most about [`READ_MAX`] bytes of text; `None` when more must be read.
    fn step(&mut self) -> Option<Step> {
        self.decoder.get_mut().clear();
        while let Some(piece) = self.packed.get(self.from..).filter(|left| !left.is_empty()) {
            let piece = piece.get(..PIECE).unwrap_or(piece);
            if self.decoder.write_all(piece).and_then(|()| self.decoder.flush()).is_err() {
                return Some(Step::Broken);
            }
            self.from += piece.len();
            if self.decoder.get_ref().len() >= READ_MAX {
                break;
            }
        }
        (!self.decoder.get_ref().is_empty()).then_some(Step::More)
    }
}

/// How the text of a file begins, at most [`HEAD_MAX`] bytes, and whether the file is packed.
pub(super) async fn head<F: Files>(files: &F, file: &F::File) -> Result<(Vec<u8>, bool), Trouble> {
    let mut bytes = Vec::new();
    files.read(file, 0, HEAD_MAX, &mut bytes).await?;
    if !bytes.starts_with(&GZIP) {
        return Ok((bytes, false));
    }
    let mut inflate = Inflate::new(&bytes);
    let mut text = Vec::new();
    let mut at = bytes.len() as u64;
    while text.len() < HEAD_MAX && at < HEAD_PACKED_MAX {
        match inflate.step() {
            Some(Step::More) => text.extend_from_slice(inflate.decoder.get_ref()),
            Some(_) => break,
            None => {
                bytes.clear();
                let n = files.read(file, at, HEAD_MAX, &mut bytes).await?;
                if n == 0 {
                    break;
                }
                at += n as u64;
                inflate.take(&bytes);
            }
        }
    }
    text.truncate(HEAD_MAX);
    Ok((text, true))
}
