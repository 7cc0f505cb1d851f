//! What stands where: the one page of the dashboard, for any size.
//!
//! Nothing stands directly to the right of a text from a log, so that a terminal that thinks it wider breaks nothing. It does not
//! know the bytes of a terminal.

use super::screen::Picture;
use super::{BETWEEN_DRAWS, Dashboard, LINES, Mode, RATE_SECONDS, SIZE_MIN, Tally, TopsPane};
use crate::weblog::view::{Order, Second, Top, Topic, grouped};
use ratatui_core::style::{Color, Modifier, Style};
use std::time::Instant;

/// Columns in front of a sparkline.
const LABEL: u16 = 18;

/// With so many columns the tops stand side by side.
const WIDE: u16 = 160;

/// The heights of a sparkline's cell.
const BARS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const ASCII_BARS: [&str; 9] = [" ", ".", ":", "-", "=", "+", "*", "#", "@"];

const HELP: [&str; 10] = [
    "q         quit",
    "p         pause, and go on",
    "/         filter: a regular expression over the",
    "          lines; an empty one shows all again",
    "s         sort by hits, by bytes",
    "Tab       the next pane",
    "up, down  select a line of it; also by page, Home, End",
    "left, right  move long lines",
    "Esc       select nothing",
    "Ctrl-L    draw all anew",
];

/// A part of the page.
#[derive(Clone, Copy)]
struct Part {
    x: u16,
    y: u16,
    width: u16,
    height: u16,
}

/// The page for a size of at least [`SIZE_MIN`].
struct Page {
    /// Rows of each sparkline.
    bars: u16,
    tops: [Part; 4],
    lines: Part,
}

impl Page {
    fn new(width: u16, height: u16) -> Self {
        let bars = match height {
            ..30 => 1,
            30..45 => 2,
            _ => 3,
        };
        // Without the title, the classes and the last line.
        let rest = height.saturating_sub(3 + 2 * bars);
        let (across, down, of_tops) = if width < WIDE { (2, 2, rest / 3 * 2) } else { (4, 1, rest / 2) };
        let (y, tops_width, tops_height) = (2 + 2 * bars, width / across, of_tops / down);
        let top = |at: u16| Part {
            x: at % across * tops_width,
            y: y + at / across * tops_height,
            width: tops_width,
            height: tops_height,
        };
        let tops_end = y + down * tops_height;
        let lines = Part { x: 0, y: tops_end, width, height: height.saturating_sub(tops_end + 1) };
        Self { bars, tops: [top(0), top(1), top(2), top(3)], lines }
    }
}

impl Part {
    /// Rows below the heading.
    fn rows(self) -> usize {
        usize::from(self.height).saturating_sub(1)
    }
}

impl Dashboard {
    /// Appends what changes the terminal to what is to be seen now; nothing before it is [due](Self::due).
    pub fn draw(&mut self, tally: &Tally, now: Instant, out: &mut Vec<u8>) {
        if let Some(key) = self.keys.handle_timeout(now) {
            let _escape_ends_nothing = self.key(key, tally, now);
        }
        if self.note_until.take_if(|until| *until <= now).is_some() {
            (self.note, self.changed) = (None, true);
        }
        let changes = self.shown(tally).changes();
        let moves = self.paused.is_none() && changes != self.drawn;
        let ticks = self.tick.is_some_and(|tick| tick <= now);
        if now < self.next || !(self.changed || moves || ticks) {
            return;
        }
        let mut picture = self.screen.blank();
        let is_small = u32::from(picture.width()) < SIZE_MIN.0 || u32::from(picture.height()) < SIZE_MIN.1;
        self.tick = None;
        if is_small {
            self.too_small(&mut picture);
        } else {
            let page = Page::new(picture.width(), picture.height());
            self.arrange(&page, tally);
            self.paint(&page, tally, now, &mut picture);
            if self.paused.is_none() {
                let shown = self.shown(tally);
                let seconds = shown.seconds(now, usize::from(picture.width()) + RATE_SECONDS);
                let moves = seconds.iter().any(|second| second.hits > 0);
                self.tick = shown.next_second(now).filter(|_| moves);
            }
        }
        self.screen.show(picture, out);
        (self.changed, self.drawn, self.next) = (false, changes, now + BETWEEN_DRAWS);
    }

    /// The panes have what is selected in sight.
    fn arrange(&mut self, page: &Page, tally: &Tally) {
        let there = self.shown(tally).lines();
        self.lines.arrange(page.lines.rows(), there);
        for (pane, part) in self.tops.iter_mut().zip(page.tops) {
            pane.arrange(part.rows());
        }
    }

    fn paint(&self, page: &Page, tally: &Tally, now: Instant, picture: &mut Picture) {
        let shown = self.shown(tally);
        let now = self.paused.as_ref().map_or(now, |paused| paused.since);
        self.header(shown, picture);
        self.rates(page, shown, now, picture);
        classes(1 + 2 * page.bars, shown, picture);
        let panes = Topic::ALL.into_iter().zip(&self.tops).zip(page.tops).enumerate();
        for (at, ((topic, pane), part)) in panes {
            self.heading(part, topic.name(), self.focus == at, picture);
            let tops = shown.tops(topic, pane.first + pane.rows, self.order);
            self.tops(part, pane, &tops, self.focus == at, picture);
        }
        self.heading(page.lines, "lines", self.focus == LINES, picture);
        if let Some(filter) = &self.filter {
            let at = (8, page.lines.y);
            picture.text(at, page.lines.width - 10, 0, &format!(" /{} ", filter.text), bold());
        }
        self.lines(page.lines, shown, picture);
        self.last_line(picture.height() - 1, shown, picture);
        if matches!(self.mode, Mode::Help) {
            self.help(picture);
        }
    }

    fn header(&self, shown: &Tally, picture: &mut Picture) {
        let width = picture.width();
        let mut states = vec![if self.order == Order::Hits { "by hits" } else { "by bytes" }.to_owned()];
        if self.paused.is_some() {
            states.push("paused".to_owned());
        }
        if shown.records_skipped() > 0 {
            states.push(format!("{} skipped", grouped(shown.records_skipped())));
        }
        let states = states.join("  ");
        let states_width = u16::try_from(states.len()).unwrap_or(width);
        let at = width.saturating_sub(states_width + 1);
        picture.text((1, 0), at.saturating_sub(3), 0, &self.title, bold());
        picture.text((at, 0), states_width, 0, &states, Style::new());
        picture.style((0, 0), width, Style::new().add_modifier(Modifier::REVERSED));
    }

    fn rates(&self, page: &Page, shown: &Tally, now: Instant, picture: &mut Picture) {
        let width = picture.width() - LABEL - 1;
        let seconds = shown.seconds(now, width.into());
        let (hits, errors) = shown.rates(now);
        let of_hits: Vec<u32> = seconds.iter().map(|second: &Second| second.hits).collect();
        let of_errors: Vec<u32> = seconds.iter().map(|second| second.errors).collect();
        self.rate("hits/s", hits, &of_hits, Color::Green, (1, page.bars), picture);
        self.rate("errors/s", errors, &of_errors, Color::Red, (1 + page.bars, page.bars), picture);
    }

    /// A number, and how it came to be.
    fn rate(
        &self,
        name: &str,
        rate: f64,
        values: &[u32],
        colour: Color,
        (y, rows): (u16, u16),
        picture: &mut Picture,
    ) {
        let digits = usize::from(rate < 100_000.0);
        picture.text((1, y), LABEL - 2, 0, &format!("{name:<9}{rate:>7.digits$}"), bold());
        let max = values.iter().copied().max().unwrap_or(0);
        if rows > 1 && max > 0 {
            picture.text(
                (1, y + 1),
                LABEL - 2,
                0,
                &format!("{:<9}{:>7}", "  most", short(max.into())),
                Style::new(),
            );
        }
        let bars = if self.look.unicode { BARS } else { ASCII_BARS };
        let style = Style::new().fg(colour);
        for (x, value) in (LABEL..).zip(values) {
            // In eighths of a row; what is not nothing is seen.
            let height = (u64::from(*value) * 8 * u64::from(rows)).div_ceil(u64::from(max).max(1));
            for row in 0..rows {
                let part = height.saturating_sub(8 * u64::from(row)).min(8);
                let bar = usize::try_from(part).ok().and_then(|part| bars.get(part)).unwrap_or(&" ");
                picture.text((x, y + rows - 1 - row), 1, 0, bar, style);
            }
        }
    }

    /// A rule with a name in it.
    fn heading(&self, part: Part, name: &str, focused: bool, picture: &mut Picture) {
        let rule = if self.look.unicode { "─" } else { "-" };
        let width = part.width - 1;
        picture.text((part.x, part.y), width, 0, &rule.repeat(width.into()), Style::new());
        let (name, style) =
            if focused { (format!("[{name}]"), bold()) } else { (format!(" {name} "), Style::new()) };
        picture.text((part.x + 1, part.y), width - 1, 0, &name, style);
    }

    fn tops(&self, part: Part, pane: &TopsPane, tops: &[Top], focused: bool, picture: &mut Picture) {
        for ((y, at), top) in
            (part.y + 1..).zip(pane.first..).zip(tops.iter().skip(pane.first)).take(part.rows())
        {
            let number = short(if self.order == Order::Hits { top.hits } else { top.bytes });
            let about = if self.order == Order::Hits && top.excess > 0 { "~" } else { "" };
            let number = format!("{:>8} ", format!("{about}{number}"));
            let selected = focused && pane.selected == Some(at);
            let x = picture.text((part.x, y), 10, 0, &format!("{}{number}", marker(selected)), Style::new());
            picture.text((x, y), part.width - 11, 0, &self.name(top), Style::new());
            if selected {
                picture.style((part.x, y), part.width - 1, Style::new().add_modifier(Modifier::REVERSED));
            }
        }
    }

    fn name(&self, top: &Top) -> String {
        let more = if !top.cut {
            ""
        } else if self.look.unicode {
            "…"
        } else {
            "..."
        };
        crate::driver::text::escaped(&top.name) + more
    }

    fn lines(&self, part: Part, shown: &Tally, picture: &mut Picture) {
        let first = self.lines.end.saturating_sub(part.rows() as u64).max(shown.lines().start);
        for (y, number) in (part.y + 1..).zip(first..self.lines.end) {
            let Some(line) = shown.line(number) else { continue };
            let selected = self.focus == LINES && self.lines.selected == Some(number);
            let shift = if self.focus == LINES { self.shift } else { 0 };
            picture.text((0, y), 1, 0, marker(selected), Style::new());
            picture.text((1, y), part.width - 2, shift, &line.text, of_status(line.status));
            if selected {
                picture.style((0, y), part.width, Style::new().add_modifier(Modifier::REVERSED));
            }
        }
    }

    /// What is being typed, a word about the log, the whole of what is selected, or where to find help.
    fn last_line(&self, y: u16, shown: &Tally, picture: &mut Picture) {
        let width = picture.width() - 1;
        if let Mode::Typing { text, error } = &self.mode {
            // The end of it is seen.
            let typed = format!("/{text}");
            let skip = picture.columns(&typed).saturating_sub(usize::from(width) - 1);
            let x = picture.text((0, y), width, skip, &typed, Style::new());
            picture.cursor = Some((x, y));
            if let Some(error) = error {
                let error = crate::driver::text::escaped(error.as_bytes());
                picture.text((x + 2, y), width.saturating_sub(x + 2), 0, &error, Style::new().fg(Color::Red));
            }
            return;
        }
        if let Some(note) = &self.note {
            picture.text((0, y), width, 0, note, Style::new().fg(Color::Yellow));
            return;
        }
        let selected = match (Topic::ALL.get(self.focus), self.tops.get(self.focus)) {
            (Some(topic), Some(TopsPane { selected: Some(at), .. })) => {
                shown.tops(*topic, at + 1, self.order).get(*at).map(|top| self.name(top))
            }
            _ => None,
        };
        match selected {
            Some(name) => drop(picture.text((0, y), width, self.shift, &name, Style::new())),
            None => drop(picture.text(
                (1, y),
                width,
                0,
                "? for the keys",
                Style::new().add_modifier(Modifier::DIM),
            )),
        }
    }

    fn help(&self, picture: &mut Picture) {
        let longest = HELP.iter().map(|line| line.len()).max().unwrap_or(0);
        let [width, height] = [longest + 4, HELP.len() + 2].map(|n| u16::try_from(n).unwrap_or(0));
        let (x, y) = ((picture.width() - width) / 2, (picture.height() - height) / 2);
        let [rule, side, corners @ ..] = if self.look.unicode {
            ["─", "│", "┌", "┐", "└", "┘"]
        } else {
            ["-", "|", "+", "+", "+", "+"]
        };
        let rule = rule.repeat(usize::from(width) - 2);
        let [top_left, top_right, bottom_left, bottom_right] = corners;
        picture.text((x, y), width, 0, &format!("{top_left}{rule}{top_right}"), Style::new());
        for (y, line) in (y + 1..).zip(HELP) {
            let line = format!("{side} {line:<inside$} {side}", inside = usize::from(width) - 4);
            picture.text((x, y), width, 0, &line, Style::new());
        }
        let bottom = format!("{bottom_left}{rule}{bottom_right}");
        picture.text((x, y + height - 1), width, 0, &bottom, Style::new());
    }

    /// What is asked for and what there is, in as many lines as it needs.
    fn too_small(&self, picture: &mut Picture) {
        let (columns, rows) = SIZE_MIN;
        let there = self.size.clamped();
        let words = [format!("needs {columns}x{rows},"), format!("has {}x{}", there.columns, there.rows)];
        let (mut x, mut y) = (0, 0);
        for word in words.iter().flat_map(|words| words.split(' ')) {
            let length = u16::try_from(word.len()).unwrap_or(u16::MAX);
            if x > 0 && x + length > picture.width() {
                (x, y) = (0, y + 1);
            }
            x = picture.text((x, y), picture.width(), 0, word, Style::new()) + 1;
        }
    }
}

fn classes(y: u16, shown: &Tally, picture: &mut Picture) {
    let mut x = 1;
    for class in 2..=5_u16 {
        let text = format!("{class}xx {}", short(shown.class(class.into())));
        x = picture.text((x, y), 12, 0, &text, of_status(Some(class * 100))) + 2;
    }
    let all = format!("{} hits  {} bytes", short(shown.hits()), short(shown.bytes()));
    let width = u16::try_from(all.len()).unwrap_or(0);
    let x = picture.width().saturating_sub(width + 1).max(x);
    picture.text((x, y), width, 0, &all, Style::new());
}

const fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn of_status(status: Option<u16>) -> Style {
    match status.map(|status| status / 100) {
        Some(2) => Style::new().fg(Color::Green),
        Some(3) => Style::new().fg(Color::Cyan),
        Some(4) => Style::new().fg(Color::Yellow),
        Some(5) => Style::new().fg(Color::Red),
        _ => Style::new(),
    }
}

/// Shows what is selected, without colours too.
const fn marker(selected: bool) -> &'static str {
    if selected { ">" } else { " " }
}

/// A number in at most seven characters.
fn short(number: u64) -> String {
    if number < 1_000_000 {
        return number.to_string();
    }
    let (mut value, mut units) = (number as f64 / 1e6, "MGTPE".chars());
    let mut unit = units.next();
    while value >= 1000.0
        && let Some(next) = units.next()
    {
        (value, unit) = (value / 1000.0, Some(next));
    }
    format!("{value:.1}{}", unit.unwrap_or('E'))
}
