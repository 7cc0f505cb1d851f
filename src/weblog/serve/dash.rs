//! The dashboard on a session's terminal: the program text of `ssh-weblog --dashboard`, drawn through a channel.
//!
//! It does not know channels: it gives bytes to whoever takes some of them.

use super::logs::Logs;
use super::receipts::Since;
use super::session::Asked;
use crate::connection::WindowSize;
use crate::weblog::dashboard::{Dashboard, End, LEAVE, Look, Tally};
use crate::weblog::lines::Line;
use crate::weblog::record::{Malformed, Record};
use crate::weblog::view::{Place as Origin, Run};
use core::time::Duration;
use std::time::Instant;

/// Dashboards at a time: each counts for itself.
pub const DASHBOARDS_MAX: usize = 64;

/// Those of one user, where there are others.
pub const DASHBOARDS_OF_USER_MAX: usize = DASHBOARDS_MAX / 4;

/// Bytes of what is typed that are looked at in one go: as many keys at the most, and no more than one of [`SLOW_KEYS`].
const TYPED_AT_ONCE: usize = 64;

/// The next go is so much later; a sequence of bytes is not cut, and would not fall apart by it.
const BETWEEN_GOES: Duration = Duration::from_millis(50);

/// Bytes that wait for their go. No person types so fast: what is typed beyond that is forgotten.
pub const TYPED_MAX: usize = 1024;

/// What may make a filter, or a copy of all that is shown: Enter, also as the end of a sequence, and `p`.
const SLOW_KEYS: &[u8] = b"\r\nMp";

const ESCAPE: u8 = 0x1b;
const INTERRUPT: u8 = 3;

pub(super) struct Dash {
    pub(super) asked: Asked,
    run: Run,
    tally: Tally,
    dashboard: Dashboard,
    /// The line that is being shown.
    line: Vec<u8>,
    /// What was drawn and not taken yet.
    out: Vec<u8>,
    /// What was typed and not looked at.
    typed: Vec<u8>,
    /// When the next part of it is.
    next_go: Instant,
    /// What receipts begin with.
    since: Since,
}

impl Dash {
    pub(super) fn new(
        asked: Asked,
        since: Since,
        title: &str,
        note: &[u8],
        look: Look,
        size: WindowSize,
        now: Instant,
    ) -> Self {
        let mut dashboard = Dashboard::new(title, look, size, now);
        let mut out = Vec::new();
        dashboard.enter(&mut out);
        if !note.is_empty() {
            dashboard.note(String::from_utf8_lossy(note).trim_end());
        }
        Self {
            run: asked.run(),
            asked,
            tally: Tally::default(),
            dashboard,
            line: Vec::new(),
            out,
            typed: Vec::new(),
            next_go: now,
            since,
        }
    }

    /// A line of one of its logs; whether it ends with that.
    pub(super) fn line(
        &mut self,
        origin: Origin<'_>,
        line: &Line<'_>,
        record: Result<Option<&Record<'_>>, Malformed>,
        now: Instant,
    ) -> bool {
        let (tally, dashboard) = (&mut self.tally, &mut self.dashboard);
        self.line.clear();
        self.run.line_and(origin, line, record, &mut self.line, |shown, hit| {
            tally.hit(shown, hit, now);
            dashboard.hit(shown, hit, now);
        });
        self.run.end().is_some()
    }

    /// Takes what was typed; some of it is looked at, the rest [later](Self::go_on). Ctrl-C does not wait.
    pub(super) fn input(&mut self, bytes: &[u8], now: Instant) -> Option<End> {
        let room = TYPED_MAX - self.typed.len();
        self.typed.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        let end = self.go_on(now);
        let interrupted = self.typed.contains(&INTERRUPT) || bytes.iter().skip(room).any(|b| *b == INTERRUPT);
        end.or_else(|| interrupted.then_some(End::Interrupted))
    }

    /// Looks at the next part of what was typed, if it is time.
    pub(super) fn go_on(&mut self, now: Instant) -> Option<End> {
        if self.typed.is_empty() || now < self.next_go {
            return None;
        }
        self.next_go = now + BETWEEN_GOES;
        let part = go(&self.typed);
        let end = self.dashboard.input(self.typed.get(..part).unwrap_or_default(), &self.tally, now);
        self.typed.drain(..part);
        end
    }

    pub(super) fn resize(&mut self, size: WindowSize) {
        self.dashboard.resize(size);
    }

    /// When there is something to draw, or to go on with.
    pub(super) fn due(&self) -> Option<Instant> {
        let draw = if self.out.is_empty() { self.dashboard.due(&self.tally) } else { None };
        let go = (!self.typed.is_empty()).then_some(self.next_go);
        draw.into_iter().chain(go).min()
    }

    /// Offers what is drawn to `take`, which returns how many bytes it took; true if it took all. Nothing new is drawn before
    /// that: who takes little is shown fewer pictures.
    pub(super) fn offer(&mut self, now: Instant, mut take: impl FnMut(&[u8]) -> usize) -> bool {
        loop {
            if self.out.is_empty() && self.dashboard.due(&self.tally).is_some_and(|due| due <= now) {
                self.dashboard.draw(&self.tally, now, &mut self.out);
            }
            if self.out.is_empty() {
                return true;
            }
            let taken = take(&self.out);
            self.out.drain(..taken.min(self.out.len()));
            if !self.out.is_empty() {
                return false;
            }
        }
    }

    /// Bytes that are drawn and not taken.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.out.len()
    }

    /// Bytes that were typed and not looked at.
    #[cfg(test)]
    pub(super) const fn typed(&self) -> usize {
        self.typed.len()
    }

    /// Filters and copies that were made for keys.
    #[cfg(test)]
    pub(super) const fn made(&self) -> usize {
        self.dashboard.made
    }

    /// The report so far; nothing if none was asked for.
    pub(super) fn last_report(&self, logs: &Logs) -> Vec<u8> {
        let mut out = Vec::new();
        if self.run.is_private() {
            self.run.report(&self.since.receipts(logs, &self.asked.logs), &mut out);
        }
        out
    }

    /// Why it has ended by itself, and what is written then: the terminal is given back, then the report.
    pub(super) fn into_last_words(mut self, report: &[u8]) -> (Option<crate::weblog::view::End>, Vec<u8>) {
        let (mut words, mut err) = (Vec::new(), Vec::new());
        self.run.finish(&mut words, &mut err);
        words.extend_from_slice(report);
        words.extend_from_slice(&err);
        self.out.extend_from_slice(LEAVE);
        self.out.extend_from_slice(&super::feed::crlf(&words));
        (self.run.end(), self.out)
    }
}

/// How many bytes are looked at in one go.
fn go(typed: &[u8]) -> usize {
    let part = typed.get(..TYPED_AT_ONCE).unwrap_or(typed);
    if let Some(slow) = part.iter().position(|byte| SLOW_KEYS.contains(byte)) {
        return slow + 1;
    }
    // The rest of a sequence is in the next part, perhaps.
    let begun = part.iter().rposition(|byte| *byte == ESCAPE).filter(|at| *at > 0);
    if part.len() < typed.len() { begun.unwrap_or(part.len()) } else { part.len() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Strategy, prop, prop_assert, prop_oneof, proptest};

    /// Among many keys there is always a slow one, and no go is as long as it may be.
    fn keys() -> impl Strategy<Value = Vec<&'static str>> {
        const FAST: [&str; 7] = ["a", "q", "\x1b[A", "\x1bOB", "\x1b[5~", "é", "\x1b"];
        let any = [&FAST[..], &["p", "\r", "\n", "\x1bOM"]].concat();
        let of = |keys| prop::collection::vec(prop::sample::select(keys), 1..200);
        prop_oneof![of(FAST.to_vec()), of(any)]
    }

    proptest! {
        #[test]
        fn t109_in_a_go_there_is_one_slow_key_at_the_most_and_no_sequence_is_cut(typed in keys()) {
            let typed = typed.concat().into_bytes();
            let mut rest = &typed[..];
            while !rest.is_empty() {
                let (part, next) = rest.split_at(go(rest));
                prop_assert!((1..=TYPED_AT_ONCE).contains(&part.len()));
                let slow = part.iter().filter(|byte| SLOW_KEYS.contains(byte)).count();
                prop_assert!(slow <= 1);
                let is_cut = next.first().is_some_and(|byte| *byte != ESCAPE) && part[1..].contains(&ESCAPE);
                prop_assert!(slow == 1 || !is_cut, "{part:?}");
                rest = next;
            }
        }
    }
}
