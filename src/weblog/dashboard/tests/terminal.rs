//! A terminal in a few lines. What it does not know is an error, and so is what stands outside of it.

use ratatui_core::buffer::CellWidth;

pub(in crate::weblog) struct Terminal {
    columns: usize,
    rows: usize,
    cells: Vec<Vec<String>>,
    at: (usize, usize),
    pub(in crate::weblog) cursor: Option<(usize, usize)>,
    pub(in crate::weblog) is_entered: bool,
    wraps: bool,
    /// Numbers of SGR sequences.
    pub(in crate::weblog) styles: Vec<String>,
    /// What it thinks of the width of a character that is not ASCII.
    pub(in crate::weblog) width: fn(&str) -> u16,
}

impl Terminal {
    pub(in crate::weblog) fn new(columns: usize, rows: usize) -> Self {
        Self {
            columns,
            rows,
            cells: vec![vec![" ".to_owned(); columns]; rows],
            at: (0, 0),
            cursor: Some((0, 0)),
            is_entered: false,
            wraps: true,
            styles: Vec::new(),
            width: CellWidth::cell_width,
        }
    }

    pub(in crate::weblog) fn write(&mut self, bytes: &[u8]) {
        let mut rest = core::str::from_utf8(bytes).expect("UTF-8");
        while let Some(character) = rest.chars().next() {
            if let Some(sequence) = rest.strip_prefix("\x1b[") {
                let end = sequence.find(|c: char| ('@'..='~').contains(&c)).expect("a whole sequence");
                self.sequence(&sequence[..end], sequence.as_bytes()[end]);
                rest = &sequence[end + 1..];
            } else {
                assert!(!character.is_control(), "{character:?} in {:?}", String::from_utf8_lossy(bytes));
                self.put(character);
                rest = &rest[character.len_utf8()..];
            }
        }
    }

    fn sequence(&mut self, numbers: &str, last: u8) {
        match (numbers, last) {
            ("?1049", b'h') => self.is_entered = true,
            ("?1049", b'l') => self.is_entered = false,
            ("?7", b'h') => self.wraps = true,
            ("?7", b'l') => self.wraps = false,
            ("?25", b'h') => self.cursor = Some(self.at),
            ("?25", b'l') => self.cursor = None,
            ("2", b'J') => self.cells.iter_mut().flatten().for_each(|cell| *cell = " ".to_owned()),
            ("", b'H') => self.at = (0, 0),
            (place, b'H') => {
                let (row, column) = place.split_once(';').expect("row and column");
                self.at = (column.parse::<usize>().unwrap() - 1, row.parse::<usize>().unwrap() - 1);
                assert!(self.at.0 < self.columns && self.at.1 < self.rows, "{:?} is outside", self.at);
            }
            (numbers, b'm') => self.styles.extend(numbers.split(';').map(str::to_owned)),
            other => panic!("unknown: {other:?}"),
        }
    }

    fn put(&mut self, character: char) {
        let text = character.to_string();
        let width = if character.is_ascii() { 1 } else { usize::from((self.width)(&text)) };
        let (x, y) = self.at;
        if width == 0 {
            // A wide character's second cell is empty.
            let base = self.cells[y][..x].iter_mut().rev().find(|cell| !cell.is_empty());
            return base.expect("a mark on something").push(character);
        }
        assert!(!self.wraps, "drawn on a terminal that wraps");
        assert!(x < self.columns, "{character:?} is outside");
        // What stood in a cell that is written to is gone as a whole.
        if self.cells[y][x].is_empty() {
            self.cells[y][x - 1] = " ".to_owned();
        }
        for covered in x..(x + width).min(self.columns) {
            if self.cells[y].get(covered + 1).is_some_and(String::is_empty) {
                self.cells[y][covered + 1] = " ".to_owned();
            }
            self.cells[y][covered] = if covered == x { text.clone() } else { String::new() };
        }
        self.at.0 += width;
    }

    pub(in crate::weblog) fn row(&self, y: usize) -> String {
        self.cells[y].concat()
    }

    /// A row from a column on.
    pub(in crate::weblog) fn row_from(&self, y: usize, column: usize) -> String {
        self.cells[y][column..].concat()
    }

    pub(in crate::weblog) fn text(&self) -> String {
        self.cells.iter().map(|row| row.concat().trim_end().to_owned() + "\n").collect()
    }
}
