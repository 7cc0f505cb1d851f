//! The cells of a terminal: what is to stand there, what stands there, and the bytes that make the one of the other.
//!
//! ratatui's buffers hold the cells and find the differences. Whatever is written into a cell is first made harmless: nothing that
//! acts gets there, and nothing whose width terminals disagree about more than needs be. After each character that is not ASCII
//! the cursor is placed anew, so that a terminal that thinks otherwise of its width shifts nothing; lines are never wrapped by
//! the terminal. It does not know what is shown.

use super::Look;
use crate::connection::WindowSize;
use crate::driver::text::acts;
use ratatui_core::buffer::{Buffer, Cell, CellWidth};
use ratatui_core::layout::Rect;
use ratatui_core::style::{Color, Modifier, Style};
use std::io::Write;

/// A window of more cells is drawn on in its upper part only: it takes some 40 bytes a cell.
pub const DRAWN_MAX: u32 = 65_536;

/// So many marks that combine with a character are kept.
pub(super) const MARKS_MAX: usize = 2;

/// Takes the whole terminal: its other screen, no wrapping, no cursor.
pub const ENTER: &[u8] = b"\x1b[?1049h\x1b[?7l\x1b[?25l";

/// Gives it back as it was.
pub const LEAVE: &[u8] = b"\x1b[?7h\x1b[?25h\x1b[?1049l";

/// No colour, nothing set.
const PLAIN: (Color, Modifier) = (Color::Reset, Modifier::empty());

const CLEAR: &[u8] = b"\x1b[H\x1b[2J";

/// A terminal of a size.
#[derive(Debug)]
pub(super) struct Screen {
    look: Look,
    /// What stands there; `None` if nobody knows.
    shown: Option<Buffer>,
    area: Rect,
    cursor: Option<(u16, u16)>,
}

/// What is to stand on a screen.
pub(super) struct Picture {
    look: Look,
    cells: Buffer,
    /// Where the cursor is to be seen, if anywhere.
    pub(super) cursor: Option<(u16, u16)>,
}

impl Screen {
    pub(super) fn new(size: WindowSize, look: Look) -> Self {
        Self { look, shown: None, area: area(size), cursor: None }
    }

    pub(super) fn resize(&mut self, size: WindowSize) {
        self.area = area(size);
        self.forget();
    }

    /// What stands there is not known any more: all is drawn anew.
    pub(super) fn forget(&mut self) {
        self.shown = None;
    }

    #[cfg(test)]
    pub(super) fn cells(&self) -> usize {
        self.shown.as_ref().map_or(0, |shown| shown.content.len())
    }

    /// Nothing yet, of the screen's size.
    pub(super) fn blank(&self) -> Picture {
        Picture { look: self.look, cells: Buffer::empty(self.area), cursor: None }
    }

    /// Appends what makes the picture of what stands there.
    pub(super) fn show(&mut self, picture: Picture, out: &mut Vec<u8>) {
        let before = out.len();
        let shown = self.shown.take().unwrap_or_else(|| {
            out.extend_from_slice(CLEAR);
            Buffer::empty(self.area)
        });
        let mut pen = Pen { look: self.look, at: None, style: PLAIN, out };
        for (x, y, cell) in shown.diff(&picture.cells) {
            pen.draw(x, y, cell);
        }
        pen.set_style(PLAIN);
        let is_anew = out.len() > before;
        match picture.cursor {
            Some((x, y)) if is_anew || self.cursor != picture.cursor => {
                place(x, y, out);
                out.extend_from_slice(b"\x1b[?25h");
            }
            None if self.cursor.is_some() => out.extend_from_slice(b"\x1b[?25l"),
            _ => {}
        }
        self.cursor = picture.cursor;
        self.shown = Some(picture.cells);
    }
}

/// What one draws on of a window.
fn area(size: WindowSize) -> Rect {
    let WindowSize { columns, rows, .. } = size.clamped();
    let short = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    Rect::new(0, 0, short(columns), short(rows.min(DRAWN_MAX / columns)))
}

/// Appends what moves the cursor.
fn place(x: u16, y: u16, out: &mut Vec<u8>) {
    let _into_memory = write!(out, "\x1b[{};{}H", u32::from(y) + 1, u32::from(x) + 1);
}

/// Writes cells one after the other.
struct Pen<'o> {
    look: Look,
    /// Where the cursor is, if all terminals agree.
    at: Option<(u16, u16)>,
    style: (Color, Modifier),
    out: &'o mut Vec<u8>,
}

impl Pen<'_> {
    fn draw(&mut self, x: u16, y: u16, cell: &Cell) {
        if self.at != Some((x, y)) {
            place(x, y, self.out);
        }
        self.set_style((cell.fg, cell.modifier));
        self.out.extend_from_slice(cell.symbol().as_bytes());
        self.at = cell.symbol().is_ascii().then(|| (x.saturating_add(1), y));
    }

    /// Only the sixteen colours' first eight, and what is set of bold, dim and reversed.
    fn set_style(&mut self, style: (Color, Modifier)) {
        if !self.look.coloured || style == self.style {
            return;
        }
        self.style = style;
        self.out.extend_from_slice(b"\x1b[0");
        for (modifier, code) in [(Modifier::BOLD, ";1"), (Modifier::DIM, ";2"), (Modifier::REVERSED, ";7")] {
            if style.1.contains(modifier) {
                self.out.extend_from_slice(code.as_bytes());
            }
        }
        let colour = match style.0 {
            Color::Red => ";31",
            Color::Green => ";32",
            Color::Yellow => ";33",
            Color::Cyan => ";36",
            _ => "",
        };
        self.out.extend_from_slice(colour.as_bytes());
        self.out.push(b'm');
    }
}

/// What becomes of a character.
enum Shape {
    /// So many cells.
    Cells(char, u16),
    /// It combines with the character before it.
    Mark,
    Nothing,
}

impl Picture {
    pub(super) fn width(&self) -> u16 {
        self.cells.area.width
    }

    pub(super) fn height(&self) -> u16 {
        self.cells.area.height
    }

    /// Writes a text from a cell on, without its first `skip` columns, and never more than `width` cells. The column behind it.
    pub(super) fn text(
        &mut self,
        (x, y): (u16, u16),
        width: u16,
        skip: usize,
        text: &str,
        style: Style,
    ) -> u16 {
        let end = x.saturating_add(width).min(self.width());
        let style = if self.look.coloured { style } else { Style::new() };
        let (mut at, mut skip, mut last, mut marks) = (x, skip, None, 0);
        for character in text.chars() {
            match shape(character, self.look.unicode) {
                Shape::Nothing => {}
                Shape::Mark => {
                    if let Some(cell) = last.and_then(|last| self.cells.cell_mut(last))
                        && marks < MARKS_MAX
                    {
                        marks += 1;
                        combine(cell, character);
                    }
                }
                Shape::Cells(_, cells) if skip > 0 => skip = skip.saturating_sub(cells.into()),
                Shape::Cells(character, cells) => {
                    if at.saturating_add(cells) > end {
                        break;
                    }
                    (last, marks) = (Some((at, y)), 0);
                    self.uncover(at, y);
                    for cell in 0..cells {
                        if let Some(cell) = self.cells.cell_mut((at + cell, y)) {
                            cell.reset();
                            cell.set_style(style);
                        }
                    }
                    if let Some(cell) = self.cells.cell_mut((at, y)) {
                        cell.set_char(character);
                    }
                    at += cells;
                }
            }
        }
        at
    }

    /// How many columns a text takes.
    pub(super) fn columns(&self, text: &str) -> usize {
        let columns = |character| match shape(character, self.look.unicode) {
            Shape::Cells(_, cells) => cells.into(),
            Shape::Mark | Shape::Nothing => 0,
        };
        text.chars().map(columns).sum()
    }

    /// What stood before a cell and reached into it is gone.
    fn uncover(&mut self, x: u16, y: u16) {
        let before = x.checked_sub(1).and_then(|x| self.cells.cell_mut((x, y)));
        if let Some(cell) = before.filter(|cell| cell.cell_width() > 1) {
            cell.reset();
        }
    }

    /// Gives cells a style.
    pub(super) fn style(&mut self, (x, y): (u16, u16), width: u16, style: Style) {
        if self.look.coloured {
            self.cells.set_style(Rect::new(x, y, width, 1), style);
        }
    }
}

/// Puts a mark on a character, unless that would make it wider.
fn combine(cell: &mut Cell, mark: char) {
    let before = cell.symbol().to_owned();
    let width = cell.cell_width();
    cell.set_symbol(&format!("{before}{mark}"));
    if cell.cell_width() != width {
        cell.set_symbol(&before);
    }
}

fn shape(character: char, unicode: bool) -> Shape {
    if character.is_ascii() {
        return Shape::Cells(if acts(character) { '?' } else { character }, 1);
    }
    match character {
        character if acts(character) => Shape::Cells('?', 1),
        // The letters of flags, of which two are one picture for some: as those in circles.
        '\u{1f1e6}'..='\u{1f1ff}' if unicode => {
            Shape::Cells(char::from_u32(u32::from(character) - 0x1_f1e6 + 0x24b6).unwrap_or('?'), 1)
        }
        // What is not to be seen, and what changes the width of the character before it: joiners, selectors, tints.
        '\u{ad}'
        | '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200d}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{1f3fb}'..='\u{1f3ff}'
        | '\u{e0000}'..='\u{e0fff}' => Shape::Nothing,
        character => match character.encode_utf8(&mut [0; 4]).cell_width() {
            0 if unicode => Shape::Mark,
            0 => Shape::Nothing,
            cells @ 1..=2 if unicode => Shape::Cells(character, cells),
            _ => Shape::Cells('?', 1),
        },
    }
}
