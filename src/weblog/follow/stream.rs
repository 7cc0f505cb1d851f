//! Logs that come as the output of a command on their host: taken apart into lines.
//!
//! It does not know channels: whoever has one brings what comes.

use super::files::Trouble;
use super::ledger::Ledger;
use super::logs::Share;
use super::shell::{Event, NONCE_LEN, Next, ShellFollower, Start};
use super::{Note, Sink};
use crate::weblog::lines::{Line, LineSplitter, NOWHERE};
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
    /// It ends at the end of the log, and what is wrong is why there is nothing.
    once: bool,
    trouble: Option<Trouble>,
}

impl ShellLog {
    /// Without `follow` it ends at the end of the log.
    pub(crate) fn new(path: &[u8], start: Start, follow: bool, share: Share, ledger: Rc<Ledger>) -> Self {
        let out = Out { share, ledger, lines: Vec::new(), said: None, once: !follow, trouble: None };
        let follower = ShellFollower::new(path, start);
        Self { follower: if follow { follower } else { follower.to_the_end() }, out }
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

    /// The number of the log.
    pub(crate) const fn log(&self) -> usize {
        self.out.share.log
    }

    /// Nothing more comes because of a trouble: a text for the user.
    pub(crate) fn end(&self, why: String) {
        self.out.share.tray.end(self.out.share.log, Some(why));
    }

    /// All that was asked for has come.
    pub(crate) fn finish(&mut self) {
        let Out { share, lines, trouble, .. } = &mut self.out;
        for (generation, mut lines) in lines.drain(..) {
            lines.finish(|line| share.line(generation, line));
        }
        share.tray.end(share.log, trouble.as_ref().map(Trouble::to_string));
    }
}

impl Out {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Began { generation, offset, .. } => {
                (self.said, self.trouble) = (None, None);
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
            Event::Missing if self.once => self.trouble = Some(Trouble::Missing),
            Event::Denied if self.once => self.trouble = Some(Trouble::Denied),
            Event::Missing => self.say(Note::Waiting),
            Event::Denied => self.say(Note::Trouble(Trouble::Denied.to_string())),
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

/// A log by the `tail` there: lines as they come, of which nobody knows where they stand.
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
        self.lines.push(data, |line| share.line(0, Line { offset: NOWHERE, ..line }));
    }

    /// The number of the log.
    pub(crate) const fn log(&self) -> usize {
        self.share.log
    }

    /// Nothing more comes; a text for the user if that is because of a trouble.
    pub(crate) fn end(&mut self, why: Option<String>) {
        let share = &mut self.share;
        self.lines.finish(|line| share.line(0, Line { offset: NOWHERE, ..line }));
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
        let ledger_of_out = Rc::clone(&ledger);
        let mut out =
            Out { share, ledger: ledger_of_out, lines: Vec::new(), said: None, once: false, trouble: None };
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
                Told::Directives(_) | Told::End(_) => unreachable!(),
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

    #[test]
    fn of_the_lines_of_tail_nobody_knows_where_they_stand() {
        let tray = Rc::new(Tray::default());
        let mut log = TailLog::new(Share { tray: Rc::clone(&tray), log: 0 }, Rc::default());
        log.handle_data(b"a\nb\nc");
        log.end(None);
        let mut told = Vec::new();
        tray.take(|_, item| {
            if let Told::Line(_, line) = item {
                told.push((line.bytes.to_vec(), line.known_offset(), line.partial));
            }
        });
        let line = |text: &str, partial| (text.as_bytes().to_vec(), None, partial);
        assert_eq!(told, [line("a", false), line("b", false), line("c", true)]);
    }

    #[test]
    fn without_following_the_last_line_comes_without_its_end_and_what_is_not_there_is_why() {
        let log = |events: &[Event<'_>]| {
            let (tray, ledger) = (Rc::new(Tray::default()), Rc::default());
            let share = Share { tray: Rc::clone(&tray), log: 0 };
            let mut log = ShellLog::new(b"log", Start::Line(1), false, share, ledger);
            events.iter().for_each(|event| log.out.event(*event));
            log.finish();
            let mut told = Vec::new();
            tray.take(|_, item| {
                told.push(match item {
                    Told::Line(_, line) => String::from_utf8_lossy(line.bytes).into_owned(),
                    other => format!("{other:?}"),
                });
            });
            told
        };
        let began = Event::Began { generation: 0, inode: 1, offset: 0, size: 3 };
        let data = Event::Data { generation: 0, offset: 0, bytes: b"a\nb" };
        assert_eq!(log(&[began, data]), ["a", "b", "End(None)"]);
        assert_eq!(log(&[Event::Missing]), ["End(Some(\"no such file\"))"]);
        assert_eq!(log(&[Event::Denied]), ["End(Some(\"permission denied\"))"]);
        assert_eq!(log(&[Event::Missing, began]), ["End(None)"], "it came at last");
    }
}
