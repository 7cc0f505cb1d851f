//! Logs that come as the output of a command on their host: taken apart into lines.
//!
//! It does not know channels: whoever has one brings what comes.

use super::ledger::Ledger;
use super::logs::Share;
use super::shell::{Event, NONCE_LEN, Next, ShellFollower, Start};
use super::{Note, Sink};
use crate::weblog::lines::LineSplitter;
use crate::wire::Fault;
use std::rc::Rc;

/// A log by a follower in a shell there; it outlives its channels.
#[derive(Debug)]
pub(crate) struct ShellLog {
    follower: ShellFollower,
    out: Out,
}

/// Where it all goes.
#[derive(Debug)]
struct Out {
    share: Share,
    ledger: Rc<Ledger>,
    /// Of each file that is read.
    lines: Vec<(u64, LineSplitter)>,
    /// What was wrong the last time, so that it is said once.
    said: Option<Note>,
}

impl ShellLog {
    pub(crate) fn new(path: &[u8], start: Start, share: Share, ledger: Rc<Ledger>) -> Self {
        let out = Out { share, ledger, lines: Vec::new(), said: None };
        Self { follower: ShellFollower::new(path, start), out }
    }

    /// What is to be sent on a new channel; see [`ShellFollower::begin`].
    pub(crate) fn begin(&mut self, random: [u8; NONCE_LEN / 2]) -> Vec<u8> {
        self.follower.begin(random)
    }

    /// Whether the follower there has said anything.
    pub(crate) const fn has_begun(&self) -> bool {
        self.follower.has_begun()
    }

    /// Takes what came.
    ///
    /// # Errors
    /// It is not of the follower there.
    pub(crate) fn handle_data(&mut self, data: &[u8]) -> Result<Next, Fault> {
        let out = &mut self.out;
        self.follower.handle_data(data, |event| out.event(event))
    }

    /// Nothing more comes; a text for the user if that is because of a trouble.
    pub(crate) fn end(&self, why: Option<String>) {
        self.out.share.tray.end(self.out.share.log, why);
    }
}

impl Out {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Began { generation, offset, .. } => {
                self.said = None;
                let again = self.lines.iter().any(|(own, _)| *own == generation);
                self.lines.retain(|(own, _)| *own != generation);
                self.lines.push((generation, LineSplitter::at(offset)));
                if generation > 0 && !again {
                    self.share.note(Note::Rotated { behind: 0 });
                }
            }
            Event::Data { generation, bytes, .. } => {
                self.ledger.count(bytes.len() as u64);
                let share = &mut self.share;
                if let Some((_, lines)) = self.lines.iter_mut().find(|(own, _)| *own == generation) {
                    lines.push(bytes, |line| share.line(generation, line));
                }
            }
            Event::Ended { generation } => {
                let share = &mut self.share;
                for (_, lines) in self.lines.iter_mut().filter(|(own, _)| *own == generation) {
                    lines.finish(|line| share.line(generation, line));
                }
                self.lines.retain(|(own, _)| *own != generation);
                self.ledger.count_generation();
            }
            Event::Alive { .. } => {}
            Event::Missing => self.say(Note::Waiting),
            Event::Denied => self.say(Note::Trouble("permission denied".to_owned())),
            Event::Gap(gap) => {
                self.ledger.gap(&gap.to_string());
                self.share.note(Note::Gap(gap.to_string()));
            }
        }
    }

    fn say(&mut self, note: Note) {
        if self.said.as_ref() != Some(&note) {
            self.said = Some(note.clone());
            self.share.note(note);
        }
    }
}

/// A log by the `tail` there: lines as they come, at offsets from where it began.
#[derive(Debug)]
pub(crate) struct TailLog {
    share: Share,
    ledger: Rc<Ledger>,
    lines: LineSplitter,
}

impl TailLog {
    pub(crate) fn new(share: Share, ledger: Rc<Ledger>) -> Self {
        Self { share, ledger, lines: LineSplitter::default() }
    }

    /// Takes what came.
    pub(crate) fn handle_data(&mut self, data: &[u8]) {
        let share = &mut self.share;
        self.ledger.count(data.len() as u64);
        self.lines.push(data, |line| share.line(0, line));
    }

    /// Nothing more comes; a text for the user if that is because of a trouble.
    pub(crate) fn end(&mut self, why: Option<String>) {
        let share = &mut self.share;
        self.lines.finish(|line| share.line(0, line));
        share.tray.end(share.log, why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weblog::follow::logs::{Told, Tray};
    use crate::weblog::follow::shell::Gap;

    #[test]
    fn what_a_shell_says_comes_as_lines_notes_and_a_receipt() {
        let (tray, ledger) = (Rc::new(Tray::default()), Rc::new(Ledger::default()));
        let share = Share { tray: Rc::clone(&tray), log: 7 };
        let mut out = Out { share, ledger: Rc::clone(&ledger), lines: Vec::new(), said: None };
        let data = |generation, offset, bytes| Event::Data { generation, offset, bytes };
        out.event(Event::Missing);
        out.event(Event::Missing);
        out.event(Event::Began { generation: 0, inode: 1, offset: 10, size: 10 });
        out.event(data(0, 10, b"a\nhal"));
        out.event(Event::Began { generation: 1, inode: 2, offset: 0, size: 0 });
        out.event(data(1, 0, b"new\n"));
        out.event(data(0, 15, b"f\nrest"));
        out.event(Event::Ended { generation: 0 });
        out.event(Event::Gap(Gap::Truncated));
        let mut told = Vec::new();
        tray.take(|log, item| {
            assert_eq!(log, 7);
            told.push(match item {
                Told::Line(generation, line) => {
                    let text = String::from_utf8_lossy(line.bytes);
                    format!("{generation}:{} {text}{}", line.offset, if line.partial { "|" } else { "" })
                }
                Told::Note(note) => note.to_string(),
                Told::End(_) => unreachable!(),
            });
        });
        let gap = format!("gap: {}", Gap::Truncated);
        let waiting = Note::Waiting.to_string();
        let expected = [&*waiting, "0:10 a", "rotated", "1:0 new", "0:12 half", "0:17 rest|", &gap];
        assert_eq!(told, expected);
        let receipt = ledger.receipt();
        assert_eq!((receipt.written, receipt.read, receipt.generations), (15, 15, 1));
        assert_eq!(receipt.gaps.len(), 1);
    }
}
