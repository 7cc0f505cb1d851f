//! Lines of a log that say when they were written, and what one who follows it saw of them.

use std::time::Duration;

/// Octets of a line.
pub const LINE: usize = 200;

/// What stands behind the time (µs) and the number.
const FILLING: [u8; LINE - 23] = {
    let mut filling = [b'x'; LINE - 23];
    (filling[0], filling[LINE - 24]) = (b' ', b'\n');
    filling
};

/// `since` is the time from whatever beginning the writer and the reader share.
pub fn line(since: Duration, number: u64) -> Vec<u8> {
    let mut line = format!("{:012} {number:010}", since.as_micros()).into_bytes();
    line.extend(FILLING);
    line
}

/// Who follows the log from some line of it.
#[derive(Debug, Default)]
pub struct Seen {
    cut: Vec<u8>,
    next: Option<u64>,
}

impl Seen {
    /// The number of the line that comes next; none before the first.
    pub const fn next(&self) -> Option<u64> {
        self.next
    }

    /// More bytes came; `each` is told when a line was written.
    ///
    /// # Panics
    /// What comes is not a line, or not the next one.
    pub fn take(&mut self, mut data: &[u8], mut each: impl FnMut(Duration)) {
        if !self.cut.is_empty() {
            let (rest, more) = data.split_at(data.len().min(LINE - self.cut.len()));
            self.cut.extend(rest);
            if self.cut.len() < LINE {
                return;
            }
            let line = core::mem::take(&mut self.cut);
            each(self.line(&line));
            data = more;
        }
        let lines = data.chunks_exact(LINE);
        self.cut.extend(lines.remainder());
        lines.for_each(|line| each(self.line(line)));
    }

    fn line(&mut self, line: &[u8]) -> Duration {
        let (since, number) = (decimal(&line[..12]), decimal(&line[13..23]));
        assert!(line[12] == b' ' && line[23..] == FILLING, "no line: {}", line.escape_ascii());
        assert_eq!(number, self.next.unwrap_or(number), "a line is missing, or came twice");
        self.next = Some(number + 1);
        Duration::from_micros(since)
    }
}

fn decimal(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number, digit| {
        assert!(digit.is_ascii_digit(), "no number: {}", digits.escape_ascii());
        number * 10 + u64::from(digit - b'0')
    })
}
