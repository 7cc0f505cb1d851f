//! The dashboard: rates, status classes, tops and live lines of a log on the whole of a terminal; for `ssh-weblog --dashboard`
//! and for a session of `ssh-weblog-server` with a pty.
//!
//! ```text
//!  line, hit ──▶ Tally ─────────┐           of the view; one a board or session
//!            └─▶ Dashboard::hit │           only with a filter of one's own does it count
//!  keys ───────▶ Dashboard ◀────┘           one a terminal
//!                    └─▶ bytes for the terminal, when they are due
//! ```
//!
//! With a filter (`/`) only the lines are shown that it finds something in, of those that came before too; the numbers and the
//! tops are those of the hits that it finds from then on. While it is paused (`p`) it shows what was there then, and goes on
//! counting. A dashboard takes as much memory as its terminal has cells ([`DRAWN_MAX`]), with a filter or while it is paused a
//! further tally each. It does not know what its terminal is, nor the clock: bytes, sizes and times are arguments.

mod draw;
mod keys;
mod screen;
mod tally;

#[cfg(test)]
pub(super) mod tests;

pub use keys::ESCAPE_WAIT;
pub use screen::{DRAWN_MAX, ENTER, LEAVE};
pub use tally::{COUNTERS, LINE_KEPT, LINES_KEPT, RATE_SECONDS, Tally};

use super::view::{EXPRESSIONS_SIZE_MAX, Hit, LINE_TIME, Order, Patience, Topic, expression, grouped};
use crate::connection::WindowSize;
use crate::driver::text::escaped;
use core::ops::Range;
use core::time::Duration;
use keys::{Key, Keys};
use regex::bytes::Regex;
use screen::Screen;
use std::time::Instant;

/// Between two drawings at least.
pub const BETWEEN_DRAWS: Duration = Duration::from_millis(100);

/// The smallest terminal that all of it fits on: columns and rows.
pub const SIZE_MIN: (u32, u32) = (80, 24);

/// So many names of each top can be scrolled through.
pub const TOPS_MAX: usize = 100;

/// The longest filter (bytes).
pub const FILTER_MAX: usize = 256;

/// What making filters and searching with them may take of the processor's time beyond [`LINE_TIME`] a line and a
/// fiftieth of the time that passes.
pub const FILTERING: Duration = Duration::from_millis(100);

/// Of the time that passes such a part is for filters.
const REST: u32 = 50;

/// How long no other filter is made, at the least, after one that took too long.
const SLOW_PAUSE: Duration = Duration::from_secs(1);

/// A word about the log goes so long after the first hit behind it.
const NOTE_READ: Duration = Duration::from_secs(10);

/// What is said of a filter that takes more.
const SLOW: &str = "the filter takes too long: write a simpler one";

/// Texts longer than a pane can be moved so far to the left (columns).
const SHIFT_MAX: usize = 4096;

/// One step of it.
const SHIFT: usize = 8;

/// What a terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Colours, and what else SGR sequences do; without them none are written.
    pub coloured: bool,
    /// Characters other than ASCII.
    pub unicode: bool,
}

impl Look {
    /// What the variables of an environment say of it: no colours with `NO_COLOR` or `TERM=dumb`; only ASCII if the first of
    /// `LC_ALL`, `LC_CTYPE` and `LANG` that is set names another character set than UTF-8.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(&variable);
        let is_utf8 = |locale: String| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        };
        Self {
            coloured: variable("NO_COLOR").is_none() && variable("TERM").is_none_or(|term| term != "dumb"),
            unicode: locale.is_none_or(is_utf8),
        }
    }
}

/// Why it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// `q`.
    Quit,
    /// Ctrl-C.
    Interrupted,
}

impl End {
    /// The exit status.
    #[must_use]
    pub const fn status(self) -> u8 {
        match self {
            Self::Quit => 0,
            Self::Interrupted => 130,
        }
    }
}

/// One terminal that shows a [`Tally`].
#[derive(Debug)]
pub struct Dashboard {
    title: String,
    look: Look,
    size: WindowSize,
    screen: Screen,
    keys: Keys,
    /// What has the arrows: a topic's place in [`Topic::ALL`], or the lines.
    focus: usize,
    tops: [TopsPane; 4],
    lines: LinesPane,
    order: Order,
    mode: Mode,
    filter: Option<Filter>,
    patience: Patience,
    /// When that was looked at the last time.
    rested: Instant,
    paused: Option<Paused>,
    note: Option<String>,
    /// When it goes, once a hit came behind it.
    note_until: Option<Instant>,
    /// So many columns of long texts are to the left of what is seen.
    shift: usize,
    /// Something else than the tally has changed since it was drawn.
    changed: bool,
    /// [`Tally::changes`] when it was drawn.
    drawn: u64,
    /// It may be drawn from then on.
    next: Instant,
    /// Expressions that were compiled, and tallies that were copied.
    #[cfg(test)]
    pub(super) made: usize,
    /// The picture changes then, even if nothing comes.
    tick: Option<Instant>,
}

/// The pane that is behind those of the topics.
const LINES: usize = Topic::ALL.len();

#[derive(Debug, Default)]
struct TopsPane {
    selected: Option<usize>,
    /// The name in its first row.
    first: usize,
    /// Rows when it was drawn.
    rows: usize,
}

#[derive(Debug, Default)]
struct LinesPane {
    /// By its number in the tally; the newest are shown without one.
    selected: Option<u64>,
    /// The number behind the one in its last row.
    end: u64,
    rows: usize,
}

/// What keys are for.
#[derive(Debug)]
enum Mode {
    Watching,
    Help,
    Typing {
        text: String,
        /// Why it is no filter.
        error: Option<String>,
    },
}

#[derive(Debug)]
struct Filter {
    text: String,
    expression: Regex,
    /// What it found.
    found: Tally,
}

/// What was there when it was paused.
#[derive(Debug)]
struct Paused {
    since: Instant,
    all: Tally,
    found: Option<Tally>,
}

impl Dashboard {
    /// A dashboard that has drawn nothing yet. The title names the log, or the logs.
    #[must_use]
    pub fn new(title: &str, look: Look, size: WindowSize, now: Instant) -> Self {
        Self {
            title: escaped(title.as_bytes()),
            look,
            size,
            screen: Screen::new(size, look),
            keys: Keys::default(),
            focus: LINES,
            tops: Default::default(),
            lines: LinesPane::default(),
            order: Order::default(),
            mode: Mode::Watching,
            filter: None,
            patience: Patience::new(FILTERING),
            rested: now,
            paused: None,
            note: None,
            note_until: None,
            shift: 0,
            changed: true,
            drawn: 0,
            next: now,
            #[cfg(test)]
            made: 0,
            tick: None,
        }
    }

    /// Appends what takes the terminal; all is drawn anew then. [`LEAVE`] gives it back.
    pub fn enter(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(ENTER);
        self.redraw();
    }

    /// Draws all of it anew the next time: somebody else has written there.
    pub fn redraw(&mut self) {
        self.screen.forget();
        self.changed = true;
    }

    /// A hit came that the tally is told of too; it is counted here if there is a filter that finds something in `line`.
    pub fn hit(&mut self, line: &[u8], hit: &Hit<'_>, now: Instant) {
        if self.note.is_some() {
            self.note_until.get_or_insert(now + NOTE_READ);
        }
        let Some(filter) = &mut self.filter else { return };
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        if self.patience.measure(|| filter.expression.is_match(text)) {
            filter.found.hit(line, hit, now);
        }
        self.patience.rest(LINE_TIME);
        self.forget_slow_filter();
    }

    /// Without a filter that took too long all is shown again.
    fn forget_slow_filter(&mut self) {
        if self.filter.is_some() && self.patience.is_over() {
            self.filter = None;
            self.paused.iter_mut().for_each(|paused| paused.found = None);
            self.note(SLOW);
            self.patience.spend(SLOW_PAUSE / REST);
        }
    }

    /// So many records are missing, of which the tally is told too; what the filter would have found of them nobody knows.
    pub fn skipped(&mut self, count: u64) {
        self.filter.iter_mut().for_each(|filter| filter.found.skipped(count));
    }

    /// Shows a word about the log, until a key is pressed or it has been read while hits come again.
    pub fn note(&mut self, text: &str) {
        (self.note, self.note_until) = (Some(escaped(text.as_bytes())), None);
        self.changed = true;
    }

    /// The terminal has another size; 0 where that is not known.
    pub fn resize(&mut self, size: WindowSize) {
        if size != self.size {
            self.size = size;
            self.screen.resize(size);
            self.changed = true;
        }
    }

    /// When [`draw`](Self::draw) has something to do, if nothing else happens.
    #[must_use]
    pub fn due(&self, tally: &Tally) -> Option<Instant> {
        let moves = self.paused.is_none() && self.shown(tally).changes() != self.drawn;
        let draw =
            if self.changed || moves { Some(self.next) } else { self.tick.map(|tick| tick.max(self.next)) };
        draw.into_iter().chain(self.note_until).chain(self.keys.due()).min()
    }

    /// Takes what was typed. After an end the rest is not looked at.
    pub fn input(&mut self, bytes: &[u8], tally: &Tally, now: Instant) -> Option<End> {
        self.patience.rest(now.saturating_duration_since(self.rested) / REST);
        self.rested = now;
        let mut keys = core::mem::take(&mut self.keys);
        let mut end = None;
        keys.push(bytes, now, |key| end = end.or_else(|| self.key(key, tally, now)));
        self.keys = keys;
        end
    }

    /// What is shown: what the filter found, or all.
    fn shown<'t>(&'t self, tally: &'t Tally) -> &'t Tally {
        match (&self.filter, &self.paused) {
            (Some(_), Some(Paused { found: Some(found), .. })) => found,
            (Some(filter), _) => &filter.found,
            (None, Some(paused)) => &paused.all,
            (None, None) => tally,
        }
    }

    fn key(&mut self, key: Key, tally: &Tally, now: Instant) -> Option<End> {
        self.changed = true;
        (self.note, self.note_until) = (None, None);
        if key == Key::Interrupt {
            return Some(End::Interrupted);
        }
        match &mut self.mode {
            Mode::Help => self.mode = Mode::Watching,
            Mode::Typing { .. } => self.type_key(key, tally),
            Mode::Watching => return self.watch_key(key, tally, now),
        }
        None
    }

    fn watch_key(&mut self, key: Key, tally: &Tally, now: Instant) -> Option<End> {
        match key {
            Key::Character('q') => return Some(End::Quit),
            Key::Character('p') => self.pause(tally, now),
            Key::Character('s') => {
                self.order = if self.order == Order::Hits { Order::Bytes } else { Order::Hits };
            }
            Key::Character('?') => self.mode = Mode::Help,
            Key::Character('/') => self.mode = Mode::Typing { text: String::new(), error: None },
            Key::Redraw => self.screen.forget(),
            Key::Tab => self.focus_on((self.focus + 1) % (LINES + 1)),
            Key::BackTab => self.focus_on((self.focus + LINES) % (LINES + 1)),
            Key::Escape => self.deselect(),
            Key::Left => self.shift = self.shift.saturating_sub(SHIFT),
            Key::Right => self.shift = (self.shift + SHIFT).min(SHIFT_MAX),
            _ => self.select(key, tally),
        }
        None
    }

    const fn focus_on(&mut self, pane: usize) {
        self.focus = pane;
        self.shift = 0;
    }

    fn select(&mut self, key: Key, tally: &Tally) {
        let shown = self.shown(tally);
        match Topic::ALL.get(self.focus).map(|topic| shown.names(*topic).min(TOPS_MAX)) {
            None => {
                let there = shown.lines();
                self.lines.select(key, there);
            }
            Some(count) => {
                self.tops.get_mut(self.focus).into_iter().for_each(|pane| pane.select(key, count));
            }
        }
    }

    fn pause(&mut self, tally: &Tally, now: Instant) {
        #[cfg(test)]
        {
            self.made += usize::from(self.paused.is_none());
        }
        self.paused = match self.paused.take() {
            Some(_) => None,
            None => {
                let found = self.filter.as_ref().map(|filter| filter.found.clone());
                Some(Paused { since: now, all: tally.clone(), found })
            }
        };
    }

    fn type_key(&mut self, key: Key, tally: &Tally) {
        let Mode::Typing { text, error } = &mut self.mode else { return };
        #[cfg(test)]
        {
            self.made += usize::from(key == Key::Enter);
        }
        *error = None;
        match key {
            Key::Character(character) if text.len() + character.len_utf8() <= FILTER_MAX => {
                text.push(character)
            }
            Key::Backspace if text.is_empty() => self.mode = Mode::Watching,
            Key::Backspace => drop(text.pop()),
            Key::Erase => text.clear(),
            Key::Escape => self.mode = Mode::Watching,
            Key::Enter if self.patience.is_over() => *error = Some(SLOW.to_owned()),
            Key::Enter => match self.patience.measure(|| expression(text, EXPRESSIONS_SIZE_MAX)) {
                Err(why) => *error = Some(why),
                Ok(expression) => {
                    let text = core::mem::take(text);
                    self.mode = Mode::Watching;
                    self.set_filter(text, expression, tally);
                }
            },
            _ => {}
        }
    }

    /// Another filter, or with an empty text none. Of the lines that came before it finds those that it has the time for.
    fn set_filter(&mut self, text: String, expression: Regex, tally: &Tally) {
        self.lines.selected = None;
        self.filter = None;
        let patience = &mut self.patience;
        let found =
            |all: &Tally, patience: &mut _| (!text.is_empty()).then(|| all.of_lines(&expression, patience));
        if let Some(paused) = &mut self.paused {
            paused.found = found(&paused.all, patience);
        }
        let found = found(tally, patience);
        self.filter = found.map(|found| Filter { found, expression, text });
        self.forget_slow_filter();
    }

    fn deselect(&mut self) {
        self.shift = 0;
        self.lines.selected = None;
        if let Some(pane) = self.tops.get_mut(self.focus) {
            *pane = TopsPane { rows: pane.rows, ..TopsPane::default() };
        }
    }
}

impl TopsPane {
    fn select(&mut self, key: Key, count: usize) {
        let Some(last) = count.checked_sub(1) else { return };
        let page = self.rows.max(1);
        let to = match (key, self.selected) {
            (Key::Home, _) => 0,
            (Key::End, _) => last,
            (Key::Up, Some(at)) => at.saturating_sub(1),
            (Key::Down, Some(at)) => at + 1,
            (Key::PageUp, Some(at)) => at.saturating_sub(page),
            (Key::PageDown, Some(at)) => at + page,
            (Key::Up | Key::Down | Key::PageUp | Key::PageDown, None) => 0,
            _ => return,
        };
        self.selected = Some(to.min(last));
    }

    /// Has `rows` rows, among them that of the selected one.
    fn arrange(&mut self, rows: usize) {
        self.rows = rows;
        let Some(selected) = self.selected else { return };
        self.first = self.first.min(selected).max((selected + 1).saturating_sub(rows));
    }
}

impl LinesPane {
    fn select(&mut self, key: Key, there: Range<u64>) {
        let Some(last) = there.end.checked_sub(1).filter(|last| there.contains(last)) else { return };
        let page = self.rows.max(1) as u64;
        let from = self.selected.unwrap_or(there.end);
        let to = match key {
            Key::Home => there.start,
            Key::End => there.end,
            Key::Up => from.saturating_sub(1),
            Key::Down => from.saturating_add(1),
            Key::PageUp => from.saturating_sub(page),
            Key::PageDown => from.saturating_add(page),
            _ => return,
        };
        // Below the newest there is none, and those that come are seen again.
        self.selected = (to <= last).then_some(to.max(there.start));
    }

    /// Has `rows` rows of the lines that are there, among them that of the selected one.
    fn arrange(&mut self, rows: usize, there: Range<u64>) {
        self.rows = rows;
        let rows = rows as u64;
        self.selected = self.selected.map(|selected| selected.max(there.start));
        self.end = match self.selected {
            None => there.end,
            Some(selected) => {
                let end = self.end.clamp(selected + 1, selected + rows.max(1));
                end.max(there.start + rows).min(there.end)
            }
        };
    }
}
