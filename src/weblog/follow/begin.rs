//! Where a log is begun: so many lines before its end, at a line, or at a time, found without reading all of it.

use super::files::{Files, Trouble};
use super::find::Opened;
use super::source::{Source, Step};
use super::{Since, Start};
use crate::driver::task::yield_now;

/// Bytes that are read at a time when going backwards or halving.
const BLOCK: usize = 64 * 1024;

/// What the directives of W3C's formats begin with; the one that names the columns stands behind a line end, or at the beginning.
const DIRECTIVE: &[u8] = b"#";
const COLUMNS: &[u8] = b"\n#Fields:";

/// Bytes before a place that are searched for other columns than those at the file's beginning, and the longest such line.
pub(super) const COLUMNS_BACK_MAX: u64 = 1024 * 1024;
const COLUMNS_MAX: usize = 4096;

/// Lines are out of the order of their stamps by seconds: so long before a time is begun.
const SLACK: i64 = 60;

/// A place in a log: which of its files, and where in that.
pub(super) type Place = (usize, u64);

/// Where to begin in `generations`, the oldest first, the log itself last.
pub(super) async fn place<F: Files>(
    files: &F,
    generations: &[&Opened<F::File>],
    start: Start,
    since: Option<&Since>,
) -> Result<Place, Trouble> {
    let place = match start {
        Start::LinesBeforeEnd(lines) => before_end(files, generations, lines).await?,
        Start::Line(line) => at_line(files, generations, line).await?,
    };
    match since {
        Some(since) => Ok(place.max(since_time(files, generations, since).await?)),
        None => Ok(place),
    }
}

async fn before_end<F: Files>(
    files: &F,
    generations: &[&Opened<F::File>],
    lines: u64,
) -> Result<Place, Trouble> {
    let mut left = lines;
    for (at, opened) in generations.iter().enumerate().rev() {
        let (offset, found) = if opened.packed {
            let all = line(files, opened, u64::MAX).await?.1;
            (line(files, opened, all.saturating_sub(left) + 1).await?.0, all.min(left))
        } else {
            backwards(files, opened, left).await?
        };
        left -= found;
        if left == 0 {
            return Ok((at, offset));
        }
    }
    Ok((0, 0))
}

async fn at_line<F: Files>(files: &F, generations: &[&Opened<F::File>], n: u64) -> Result<Place, Trouble> {
    let mut left = n.saturating_sub(1);
    let mut end = 0;
    for (at, opened) in generations.iter().enumerate() {
        let (offset, passed) = line(files, opened, left + 1).await?;
        left -= passed;
        if left == 0 {
            return Ok((at, offset));
        }
        end = offset;
    }
    Ok((generations.len().saturating_sub(1), end))
}

/// The first place that may have lines of the time: those before it are older.
async fn since_time<F: Files>(
    files: &F,
    generations: &[&Opened<F::File>],
    since: &Since,
) -> Result<Place, Trouble> {
    let time = since.seconds.saturating_sub(SLACK);
    for (at, opened) in generations.iter().enumerate().rev() {
        let is_older = at + 1 < generations.len() && opened.stat.mtime.is_some_and(|written| written < time);
        if is_older {
            return Ok((at + 1, 0));
        }
        let offset = if opened.packed { 0 } else { halve(files, opened, since, time).await? };
        if offset > 0 {
            return Ok((at, offset));
        }
    }
    Ok((0, 0))
}

/// The beginning of a line before which all are older than `time`; some more may be.
async fn halve<F: Files>(
    files: &F,
    opened: &Opened<F::File>,
    since: &Since,
    time: i64,
) -> Result<u64, Trouble> {
    let (mut low, mut high) = (0, opened.stat.size);
    let mut block = Vec::new();
    while high - low > BLOCK as u64 {
        let middle = low + (high - low) / 2;
        block.clear();
        files.read(&opened.file, middle, BLOCK, &mut block).await?;
        match first_stamp(&block, since) {
            Some((at, stamp)) if stamp < time && middle + at as u64 <= high => low = middle + at as u64,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// Of the first line with a stamp after the first line end: where it begins, and the stamp.
fn first_stamp(block: &[u8], since: &Since) -> Option<(usize, i64)> {
    let mut ends = memchr::memchr_iter(b'\n', block);
    let mut start = ends.next()? + 1;
    for end in ends {
        if let Some(stamp) = (since.stamp)(block.get(start..end)?) {
            return Some((start, stamp));
        }
        start = end + 1;
    }
    None
}

/// Where the last `lines` whole lines begin, and how many there are. What follows the last line end belongs to the next line.
async fn backwards<F: Files>(files: &F, opened: &Opened<F::File>, lines: u64) -> Result<(u64, u64), Trouble> {
    let (mut end, mut ends) = (opened.stat.size, 0);
    let mut block = Vec::new();
    while end > 0 {
        let length = BLOCK.min(usize::try_from(end).unwrap_or(BLOCK));
        let start = end - length as u64;
        block.clear();
        files.read(&opened.file, start, length, &mut block).await?;
        yield_now().await;
        for at in memchr::memrchr_iter(b'\n', &block) {
            if ends == lines {
                return Ok((start + at as u64 + 1, lines));
            }
            ends += 1;
        }
        end = start;
    }
    Ok((0, ends))
}

/// Where line number `n` begins, from 1, and how many line ends are before it; the end of the last whole line if there are fewer.
async fn line<F: Files>(files: &F, opened: &Opened<F::File>, n: u64) -> Result<(u64, u64), Trouble> {
    let (mut offset, mut ends, mut at) = (0, 0, 0);
    let mut text = Source::default();
    while ends + 1 < n && text.step(files, &opened.file, None).await? == Step::More {
        for end in memchr::memchr_iter(b'\n', text.text()) {
            ends += 1;
            offset = at + end as u64 + 1;
            if ends + 1 == n {
                break;
            }
        }
        at += text.text().len() as u64;
        yield_now().await;
    }
    Ok((offset, ends))
}

/// What says how to read the lines from `offset` on, in a log whose beginning says it: the whole lines of that beginning, and the
/// last line before `offset` that names the columns, as far as it is looked for.
pub(super) async fn directives<F: Files>(
    files: &F,
    opened: &Opened<F::File>,
    offset: u64,
) -> Result<Vec<u8>, Trouble> {
    if offset == 0 || !opened.head.starts_with(DIRECTIVE) {
        return Ok(Vec::new());
    }
    let whole = memchr::memrchr(b'\n', &opened.head).map_or(0, |end| end + 1);
    let mut text = opened.head.get(..whole).unwrap_or_default().to_vec();
    let least = if opened.packed { offset } else { offset.saturating_sub(COLUMNS_BACK_MAX) };
    let (mut end, mut block) = (offset, Vec::new());
    while end > least {
        let start = end.saturating_sub(BLOCK as u64).max(least);
        let length = usize::try_from(offset - start).map_or(BLOCK, |left| left.min(BLOCK + COLUMNS_MAX));
        block.clear();
        files.read(&opened.file, start, length, &mut block).await?;
        yield_now().await;
        let found = memchr::memmem::rfind(&block, COLUMNS).and_then(|at| block.get(at + 1..));
        if let Some((line, _)) =
            found.and_then(|rest| rest.split_at_checked(memchr::memchr(b'\n', rest)? + 1))
        {
            text.extend_from_slice(line);
            break;
        }
        end = start;
    }
    Ok(text)
}
