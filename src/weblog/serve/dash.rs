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
use std::time::Instant;

/// Dashboards at a time: each counts for itself.
pub const DASHBOARDS_MAX: usize = 64;

/// Those of one user, where there are others.
pub const DASHBOARDS_OF_USER_MAX: usize = DASHBOARDS_MAX / 4;

pub(super) struct Dash {
    pub(super) asked: Asked,
    run: Run,
    tally: Tally,
    dashboard: Dashboard,
    /// The line that is being shown.
    line: Vec<u8>,
    /// What was drawn and not taken yet.
    out: Vec<u8>,
    /// What receipts begin with.
    since: Since,
}

impl Dash {
    pub(super) fn new(
        asked: Asked,
        since: Since,
        title: &str,
        look: Look,
        size: WindowSize,
        now: Instant,
    ) -> Self {
        let mut dashboard = Dashboard::new(title, look, size, now);
        let mut out = Vec::new();
        dashboard.enter(&mut out);
        Self { run: asked.run(), asked, tally: Tally::default(), dashboard, line: Vec::new(), out, since }
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

    pub(super) fn input(&mut self, bytes: &[u8], now: Instant) -> Option<End> {
        self.dashboard.input(bytes, &self.tally, now)
    }

    pub(super) fn resize(&mut self, size: WindowSize) {
        self.dashboard.resize(size);
    }

    /// When there is something to draw.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.out.is_empty() { self.dashboard.due(&self.tally) } else { None }
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

    /// Why it has ended by itself, and what is written then: the terminal is given back, then reports.
    pub(super) fn into_last_words(mut self, logs: &Logs) -> (Option<crate::weblog::view::End>, Vec<u8>) {
        let (mut words, mut err) = (Vec::new(), Vec::new());
        self.run.finish(&mut words, &mut err);
        if self.run.is_private() {
            self.run.report(&self.since.receipts(logs, &self.asked.logs), &mut words);
        }
        words.extend_from_slice(&err);
        self.out.extend_from_slice(LEAVE);
        self.out.extend_from_slice(&super::feed::crlf(&words));
        (self.run.end(), self.out)
    }
}
