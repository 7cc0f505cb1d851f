//! What is read to its end as it comes, without a position: standard input, a FIFO. It may be packed by gzip.

use super::advice::advice;
use super::{Log, Showing, Sources};
use crate::driver::stdio::Input;
use crate::driver::text::escaped;
use crate::tell;
use crate::weblog::follow::ends_amid_text;
use crate::weblog::follow::local::trouble;
use crate::weblog::lines::{Line, LineSplitter};
use flate2::write::MultiGzDecoder;
use std::io::Write;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Instant;

/// How a gzip member begins (RFC 1952 §2.3.1), and no line of a log.
const GZIP: u8 = 0x1f;

/// Packed bytes that are inflated in a turn: they become four mebibytes at most.
const PIECE: usize = 4096;

pub(super) struct Stream {
    input: Input,
    lines: LineSplitter,
    text: Text,
    log: usize,
    over: bool,
}

#[derive(Default)]
enum Text {
    /// Nothing came yet that would say.
    #[default]
    Unknown,
    Plain,
    Packed(Box<MultiGzDecoder<Vec<u8>>>),
}

/// What a turn took of a stream.
#[derive(Default)]
struct Taken {
    /// Bytes of text.
    came: u64,
    /// More waits for the next turn.
    waits: bool,
    /// It is packed, and no more of it can be read.
    damaged: bool,
}

impl Stream {
    pub(super) fn new(input: Input, log: usize) -> Self {
        Self { input, lines: LineSplitter::default(), text: Text::Unknown, log, over: false }
    }

    fn take(&mut self, mut each: impl FnMut(Line<'_>)) -> Taken {
        let Self { input, lines, text, over, .. } = self;
        let mut taken = Taken::default();
        *over = input.offer(|bytes| {
            if matches!(text, Text::Unknown) {
                let is_packed = bytes.first() == Some(&GZIP);
                *text = if is_packed {
                    Text::Packed(Box::new(MultiGzDecoder::new(Vec::new())))
                } else {
                    Text::Plain
                };
            }
            let Text::Packed(decoder) = text else {
                taken.came = bytes.len() as u64;
                lines.push(bytes, &mut each);
                return bytes.len();
            };
            let piece = bytes.get(..PIECE).unwrap_or(bytes);
            taken.waits = piece.len() < bytes.len();
            taken.damaged = decoder.write_all(piece).and_then(|()| decoder.flush()).is_err();
            taken.came = decoder.get_ref().len() as u64;
            lines.push(decoder.get_ref(), &mut each);
            decoder.get_mut().clear();
            piece.len()
        });
        if let (true, Text::Packed(decoder)) = (*over, text) {
            taken.damaged |= decoder.try_finish().is_err();
        }
        *over |= taken.damaged;
        if *over {
            lines.finish(each);
        }
        taken
    }
}

impl Sources {
    /// Takes what came; whether more of it waits.
    pub(super) fn take_streams(&mut self, showing: &mut Showing, now: Instant) -> bool {
        let place = |log: &Log| Some(&self.operands.get(log.operand)?.0.place);
        let mut waits = false;
        for stream in self.streams.iter_mut().filter(|stream| !stream.over) {
            let number = stream.log;
            let taken = stream.take(|line| showing.line(number, &line, now));
            waits |= taken.waits && !taken.damaged;
            let name = || escaped(showing.name(number).as_bytes());
            let Some(log) = self.logs.get_mut(number) else { continue };
            log.ledger.count(taken.came);
            log.ended |= stream.over;
            if taken.damaged {
                self.unreadable = true;
                let gap = ends_amid_text(log.ledger.written_and_read().1);
                log.ledger.gap(&gap);
                tell!("{}: gap: {gap}", name());
            }
            if let Some(error) = stream.input.take_error() {
                self.unreadable = true;
                let why = trouble(&error).to_string();
                let advice = place(log).map(|place| advice(&why, place, self.waits)).unwrap_or_default();
                tell!("{}: {why}{advice}", name());
            }
        }
        waits
    }
}

/// Whether it has to be read as it comes: a FIFO, also one of the shell's (`<(…)`).
pub(super) fn is_stream(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo())
}
