//! The contract's sentences on the dashboard, as a terminal shows it.

mod hostile;
mod keys;
mod page;
pub(in crate::weblog) mod terminal;

use super::{BETWEEN_DRAWS, Dashboard, End, Look, Tally};
use crate::connection::WindowSize;
use crate::weblog::format::RecordParser;
use crate::weblog::lines::Line;
use crate::weblog::options::ViewOptions;
use crate::weblog::view::{Destination, Place, Room, View};
use std::time::{Duration, Instant, SystemTime};
use terminal::Terminal;

const PLAIN: Look = Look { coloured: false, unicode: true };

pub(super) fn size(columns: u32, rows: u32) -> WindowSize {
    WindowSize { columns, rows, ..WindowSize::default() }
}

/// A line of a log, `second` seconds after midnight.
fn logged(second: u32, resource: &str, status: u16, referrer: &str) -> String {
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!(
        "203.0.113.7 - - [01/Mar/2026:{hour:02}:{minute:02}:{second:02} +0000] \"GET {resource} HTTP/1.1\" {status} 512 \"{referrer}\" \"curl/8\""
    )
}

/// A dashboard on a terminal, and the log that it shows.
struct Shown {
    view: View,
    tally: Tally,
    dashboard: Dashboard,
    terminal: Terminal,
    now: Instant,
}

impl Shown {
    fn new(columns: u32, rows: u32, look: Look) -> Self {
        let options = ViewOptions { dashboard: true, ..ViewOptions::default() };
        let destination = Destination { escaped: true, ..Destination::default() };
        let now = Instant::now();
        let mut shown = Self {
            view: View::new(&options, destination, SystemTime::now()).unwrap(),
            tally: Tally::default(),
            dashboard: Dashboard::new("shop.log", look, size(columns, rows), now),
            terminal: Terminal::new(columns as usize, rows as usize),
            now,
        };
        let mut out = Vec::new();
        shown.dashboard.enter(&mut out);
        shown.terminal.write(&out);
        shown
    }

    fn usual() -> Self {
        Self::new(80, 24, PLAIN)
    }

    fn log(&mut self, line: &str) {
        self.log_bytes(line.as_bytes());
    }

    fn log_bytes(&mut self, bytes: &[u8]) {
        let mut room = Room::default();
        let mut parser = RecordParser::default();
        let Ok(Some(record)) = parser.parse(bytes) else { return };
        let hit = self.view.hit(&record, &mut room).expect("no filter");
        let mut text = Vec::new();
        let line = Line { bytes, offset: 0, cut: false, partial: false };
        self.view.show(Place { source: "shop", seq: None }, &line, Some(&hit), &mut text);
        self.tally.hit(&text, &hit, self.now);
        self.dashboard.hit(&text, &hit, self.now);
    }

    fn skip(&mut self, count: u64) {
        self.tally.skipped(count);
        self.dashboard.skipped(count);
    }

    fn type_in(&mut self, keys: &str) -> Option<End> {
        self.dashboard.input(keys.as_bytes(), &self.tally, self.now)
    }

    /// Draws when it is due, and gives the bytes.
    fn draw(&mut self) -> Vec<u8> {
        self.now += BETWEEN_DRAWS;
        let mut out = Vec::new();
        self.dashboard.draw(&self.tally, self.now, &mut out);
        self.terminal.write(&out);
        out
    }

    fn screen(&mut self) -> String {
        self.draw();
        self.terminal.text()
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
    }
}
