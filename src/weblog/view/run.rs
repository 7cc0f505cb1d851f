//! A view over the lines of its sources: what it shows goes out as they come in; report, alert and end are kept.
//!
//! It does not know where a line came from, nor where its bytes go.

use super::{Alert, BURST, BYE, Hit, LINE_TIME, Patience, Place, Receipt, Report, Room, Shown, View};
use crate::weblog::lines::Line;
use crate::weblog::record::{Malformed, Record};
use std::sync::Arc;

/// What is said where searching takes too long.
const SLOW: &str = "ssh-weblog-server: searching these lines takes too long: write simpler expressions\n";

/// Why nothing more is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// `--over` came true.
    Alert,
    /// What `--stop-on` waits for was requested.
    Stop,
    /// A record passed, where one was waited for.
    True,
    /// Searching took too long.
    Slow,
}

/// A view with all that it has seen.
#[derive(Debug)]
pub struct Run {
    view: Arc<View>,
    room: Room,
    report: Option<Report>,
    alert: Option<Alert>,
    /// It ends when something comes true: an alert, or without one the first record that passes.
    waits: bool,
    /// Of one who shares the loop with others.
    patience: Option<Patience>,
    /// Records that were too long.
    left_out: u64,
    end: Option<End>,
}

impl Run {
    /// Nothing was seen yet.
    #[must_use]
    pub fn new(view: Arc<View>) -> Self {
        let (report, alert) = (view.start_report(), view.start_alert());
        Self {
            view,
            room: Room::default(),
            report,
            alert,
            waits: false,
            patience: None,
            left_out: 0,
            end: None,
        }
    }

    /// Ends if what its user asks for takes too much of the processor's time: more than [`LINE_TIME`] a line, and [`BURST`].
    #[must_use]
    pub fn bounded(self) -> Self {
        let patience = self.view.searches().then(|| Patience::new(BURST));
        Self { patience, ..self }
    }

    /// The records will be of several logs, of which one may be read before another.
    #[must_use]
    pub fn of_several(self) -> Self {
        Self { alert: self.alert.map(Alert::of_several), ..self }
    }

    /// Ends with the first record that passes, unless there is an alert to wait for.
    #[must_use]
    pub fn until_true(self) -> Self {
        Self { waits: true, ..self }
    }

    /// Of what.
    #[must_use]
    pub const fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Whether it has something of its own beside the lines: two runs of one view that began at different times are then
    /// different.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.waits || self.report.is_some() || self.alert.is_some() || self.view.options().stop_on.is_some()
    }

    /// Takes a line, with what its format made of it, and appends what is shown of it; whether that was anything. Nothing is
    /// taken after the [end](Self::end).
    pub fn line(
        &mut self,
        place: Place<'_>,
        line: &Line<'_>,
        record: Result<Option<&Record<'_>>, Malformed>,
        out: &mut Vec<u8>,
    ) -> bool {
        self.line_and(place, line, record, out, |_, _| {})
    }

    /// The same; `each` is told of the record, as the view shows it, if it passes: what was appended, and its fields.
    pub fn line_and(
        &mut self,
        place: Place<'_>,
        line: &Line<'_>,
        record: Result<Option<&Record<'_>>, Malformed>,
        out: &mut Vec<u8>,
        each: impl FnOnce(&[u8], &Hit<'_>),
    ) -> bool {
        if self.end.is_some() {
            return false;
        }
        if let Some(report) = &mut self.report {
            report.line(line, record.is_err());
        }
        let record = record.ok().flatten();
        let before = out.len();
        let (view, room) = (&self.view, &mut self.room);
        let hit = match (record, &mut self.patience) {
            (None, _) => None,
            (Some(record), None) => view.hit(record, room),
            (Some(record), Some(patience)) => {
                let hit = patience.measure(move || view.hit(record, room));
                patience.rest(LINE_TIME);
                if patience.is_over() {
                    self.end = Some(End::Slow);
                    return false;
                }
                hit
            }
        };
        let shown = self.view.show_or_skip(place, line, hit.as_ref(), out);
        self.left_out += u64::from(shown == Shown::Skipped);
        let shown = shown != Shown::Nothing;
        if let Some(hit) = &hit {
            each(out.get(before..).unwrap_or_default(), hit);
            if let Some(report) = &mut self.report {
                report.hit(hit);
            }
            if self.alert.as_mut().is_some_and(|alert| alert.hit(hit.record())) {
                self.end = Some(End::Alert);
                return shown;
            }
            if self.waits && self.alert.is_none() {
                self.end = Some(End::True);
                return shown;
            }
        }
        if record.is_some_and(|record| self.view.is_stop(record, &mut self.room)) {
            self.end = Some(End::Stop);
        }
        shown
    }

    /// Records that were to be shown, and were too long.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Whether and why nothing more is taken.
    #[must_use]
    pub const fn end(&self) -> Option<End> {
        self.end
    }

    /// Appends what is said at the end: the evidence, or good bye; with `--json` that goes to `err`.
    pub fn finish(&self, out: &mut Vec<u8>, err: &mut Vec<u8>) {
        match self.end {
            None | Some(End::True) => {}
            Some(End::Slow) => err.extend_from_slice(SLOW.as_bytes()),
            Some(End::Stop) if self.view.is_json() => err.extend_from_slice(BYE.as_bytes()),
            Some(End::Stop) => out.extend_from_slice(BYE.as_bytes()),
            Some(End::Alert) => match self.alert.as_ref().and_then(Alert::evidence) {
                Some(evidence) if self.view.is_json() => evidence.write_json(out),
                Some(evidence) => evidence.write_text(out),
                None => {}
            },
        }
    }

    /// Appends the report so far; nothing if none was asked for.
    pub fn report(&self, receipts: &[Receipt], out: &mut Vec<u8>) {
        match &self.report {
            None => {}
            Some(report) if self.view.is_json() => report.write_json(receipts, out),
            Some(report) => report.write_text(receipts, out),
        }
    }

    /// The report, if one was asked for.
    #[must_use]
    pub fn into_report(self) -> Option<Report> {
        self.report
    }
}
