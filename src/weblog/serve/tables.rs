//! A file of TOML taken apart key by key. Whatever is wrong with it is kept, with its line and with what to write instead.
//!
//! The text of a line is never part of what is said of it, for it may be a secret. It does not know what the keys are for.

use core::cell::RefCell;
use core::ops::RangeInclusive;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// So many things that are wrong are told of one file.
pub(super) const WRONG_MAX: usize = 20;

/// A file as it is taken apart.
pub(super) struct Document<'d> {
    text: &'d str,
    /// Where its lines begin.
    lines: Vec<usize>,
    wrong: RefCell<Vec<(usize, String)>>,
}

/// A value with its line; lines count from 1.
pub(super) struct At<T> {
    pub(super) line: usize,
    pub(super) value: T,
}

/// A table of it. Keys that nobody took are told by [`end`](Self::end).
pub(super) struct Table<'d> {
    document: &'d Document<'d>,
    /// Where it begins.
    pub(super) line: usize,
    entries: DeTable<'d>,
    /// What was asked for.
    keys: Vec<&'static str>,
}

impl<'d> Document<'d> {
    pub(super) fn new(text: &'d str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = core::iter::once(0).chain(ends.map(|(end, _)| end + 1)).collect();
        Self { text, lines, wrong: RefCell::new(Vec::new()) }
    }

    /// The keys that stand in no table; `None` if it is no TOML.
    pub(super) fn root(&'d self) -> Option<Table<'d>> {
        let (root, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let at = error.span().map_or(self.text.len(), |span| span.start);
            self.wrong(self.line(at), format!("this is no TOML: {}", error.message()));
        }
        let table = Table { document: self, line: 1, entries: root.into_inner(), keys: Vec::new() };
        errors.is_empty().then_some(table)
    }

    /// Keeps what is wrong with a line.
    pub(super) fn wrong(&self, line: usize, what: impl Into<String>) {
        self.wrong.borrow_mut().push((line, what.into()));
    }

    /// How much is wrong so far.
    pub(super) fn count(&self) -> usize {
        self.wrong.borrow().len()
    }

    /// All that is wrong, as lines `FILE:LINE: …` in the order of the file; at most [`WRONG_MAX`] and how many more.
    pub(super) fn all_wrong(&self, path: &Path) -> Vec<String> {
        let mut wrong = self.wrong.take();
        wrong.sort_by_key(|(line, _)| *line); // stable
        let more = wrong.len().saturating_sub(WRONG_MAX);
        let told = wrong.iter().take(WRONG_MAX);
        let mut told: Vec<_> =
            told.map(|(line, what)| format!("{}:{line}: {what}", path.display())).collect();
        if more > 0 {
            told.push(format!("{}: and {more} more", path.display()));
        }
        told
    }

    fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|begin| *begin <= at)
    }
}

impl<'d> Table<'d> {
    pub(super) const fn document(&self) -> &'d Document<'d> {
        self.document
    }

    /// A text, as in `example`.
    pub(super) fn text(&mut self, key: &'static str, example: &str) -> Option<At<String>> {
        self.value(key, example, |_, value| match value {
            DeValue::String(text) => Some(text.into_owned()),
            _ => None,
        })
    }

    /// The same, of a key that must be there; otherwise `what` is wrong with the table.
    pub(super) fn needed(&mut self, key: &'static str, example: &str, what: &str) -> Option<At<String>> {
        if !self.has(key) {
            self.lacks(what);
        }
        self.text(key, example)
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: &'static str, example: &str) -> Option<At<Vec<At<String>>>> {
        self.value(key, example, |document, value| match value {
            DeValue::Array(items) => items.into_iter().map(|item| text(document, item)).collect(),
            _ => None,
        })
    }

    /// `true` or `false`.
    pub(super) fn truth(&mut self, key: &'static str) -> Option<bool> {
        let found = self.value(key, "true", |_, value| value.as_bool());
        found.map(|at| at.value)
    }

    /// A whole number within `range`.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u32>,
        example: u32,
    ) -> Option<u32> {
        let found = self.value(key, &example.to_string(), |_, value| match value {
            DeValue::Integer(digits) => i128::from_str_radix(digits.as_str(), digits.radix()).ok(),
            _ => None,
        })?;
        let number = u32::try_from(found.value).ok().filter(|number| range.contains(number));
        if number.is_none() {
            let (from, to) = range.into_inner();
            self.document.wrong(found.line, format!("{key}: write a number from {from} to {to}"));
        }
        number
    }

    /// A table: `[key]`.
    pub(super) fn table(&mut self, key: &'static str) -> Option<Self> {
        let (line, value) = self.take(key)?;
        if let DeValue::Table(entries) = value {
            return Some(Self { document: self.document, line, entries, keys: Vec::new() });
        }
        self.document.wrong(line, format!("{key}: write it as a table, [{key}] on a line of its own"));
        None
    }

    /// Tables: `[[key]]` each.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<Self> {
        let Some((line, value)) = self.take(key) else { return Vec::new() };
        let document = self.document;
        let items = if let DeValue::Array(items) = value { items.into_iter().collect() } else { Vec::new() };
        let table = |item: Spanned<DeValue<'d>>| {
            let line = document.line(item.span().start);
            match item.into_inner() {
                DeValue::Table(entries) => Some(Self { document, line, entries, keys: Vec::new() }),
                _ => None,
            }
        };
        let count = items.len();
        let tables: Vec<_> = items.into_iter().filter_map(table).collect();
        if count == 0 || tables.len() < count {
            document.wrong(
                line,
                format!("{key}: write each as [[{key}]] on a line of its own, its keys below it"),
            );
        }
        tables
    }

    /// Whether a key is there that nobody took yet.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Something that must be there is not.
    pub(super) fn lacks(&self, what: &str) {
        self.document.wrong(self.line, what);
    }

    /// Nothing more is asked for: what is left is not known.
    pub(super) fn end(self) {
        for key in self.entries.keys() {
            let known = || self.keys.join(", ");
            let text: &str = key.get_ref();
            let what = match nearest(text, &self.keys) {
                Some(near) => format!("unknown key {text}: write {near}"),
                None => format!("unknown key: here may stand {}", known()),
            };
            self.document.wrong(self.document.line(key.span().start), what);
        }
    }

    fn value<T>(
        &mut self,
        key: &'static str,
        example: &str,
        read: impl FnOnce(&'d Document<'d>, DeValue<'d>) -> Option<T>,
    ) -> Option<At<T>> {
        let (line, value) = self.take(key)?;
        let value = read(self.document, value);
        if value.is_none() {
            self.document.wrong(line, format!("{key}: write it as {key} = {example}"));
        }
        Some(At { line, value: value? })
    }

    fn take(&mut self, key: &'static str) -> Option<(usize, DeValue<'d>)> {
        self.keys.push(key);
        let (found, value) = self.entries.remove_entry(key)?;
        Some((self.document.line(found.span().start), value.into_inner()))
    }
}

fn text<'d>(document: &Document<'d>, item: Spanned<DeValue<'d>>) -> Option<At<String>> {
    let line = document.line(item.span().start);
    match item.into_inner() {
        DeValue::String(text) => Some(At { line, value: text.into_owned() }),
        _ => None,
    }
}

/// The known word that somebody may have meant: one that begins with it or with which it begins, else one that is two letters
/// away at the most.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let part = |other: &&&str| word.len() > 2 && (other.starts_with(word) || word.starts_with(**other));
    let near = |other: &&&str| distance(word, other) <= DISTANCE_MAX;
    known
        .iter()
        .find(part)
        .or_else(|| known.iter().filter(near).min_by_key(|other| distance(word, other)))
        .copied()
}

/// So many letters wrong, and it is still taken for the word.
const DISTANCE_MAX: usize = 2;

/// How many letters must be put in, left out or changed to make the one of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    if one.len().abs_diff(other.len()) > 4 * DISTANCE_MAX {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (above, letter) in (1..).zip(one.chars()) {
        let mut diagonal = core::mem::replace(row.first_mut().unwrap_or(&mut 0), above);
        let mut left = above;
        for (cell, theirs) in row.iter_mut().skip(1).zip(other.chars()) {
            left = (diagonal + usize::from(letter != theirs)).min(left + 1).min(*cell + 1);
            diagonal = core::mem::replace(cell, left);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_with_two_letters_wrong_is_taken_for_the_word_and_one_with_three_is_not() {
        let known = ["listen", "max_connections", "login_grace"];
        for (word, meant) in [
            ("mxa_connections", Some("max_connections")),
            ("ax_connection", Some("max_connections")),
            ("max__connectionsz", Some("max_connections")),
            ("lagin_grade", Some("login_grace")),
            ("l\u{f6}gin_gr\u{e4}ce", Some("login_grace")),
            ("lagin_grads", None),
            ("x_connection", None),
            ("\u{1f600}\u{1f600}\u{1f600}gin_grace", None),
            ("zisten", Some("listen")),
            ("zistan", Some("listen")),
            ("zixtan", None),
        ] {
            assert_eq!(nearest(word, &known), meant, "{word}");
        }
        assert_eq!(nearest("lisxxn", &["lixxen", "listxn"]), Some("listxn"), "the nearest");
    }

    #[test]
    fn a_key_as_long_as_a_file_is_compared_with_nothing() {
        assert_eq!(distance(&"x".repeat(1 << 20), "listen"), usize::MAX);
        let mut wide = "listen".to_owned();
        (0..2).for_each(|_| wide.push('\u{1f600}'));
        assert_eq!(distance(&wide, "listen"), 2, "letters of four bytes are letters");
    }
}
