//! Medians, their spread, and ratios as far as they mean something, as a table for the README.
//!
//! The rule of ratios: *a ratio is told if the medians are further apart than half of either range, or the ranges do not
//! touch at all.* A range is what the rounds had, from the least to the most. Less than three rounds have no spread that could be
//! looked at, and so no ratio.

use core::fmt::Write;

/// Fewer rounds tell no ratio.
pub const ROUNDS_MIN: usize = 3;

/// What the rounds of one peer gave for one figure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rounds(Vec<f64>);

impl Rounds {
    pub fn push(&mut self, value: f64) {
        let at = self.0.partition_point(|other| *other < value);
        self.0.insert(at, value);
    }

    pub fn median(&self) -> f64 {
        let n = self.0.len();
        match n {
            0 => f64::NAN,
            _ => f64::midpoint(self.0[(n - 1) / 2], self.0[n / 2]),
        }
    }

    fn least(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    fn most(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    fn half_range(&self) -> f64 {
        (self.most() - self.least()) / 2.0
    }
}

/// Ours to theirs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ratio {
    Told(f64),
    /// The spread is larger than the difference.
    WithinSpread,
    TooFewRounds,
}

impl Ratio {
    pub fn of(ours: &Rounds, theirs: &Rounds) -> Self {
        if ours.0.len().min(theirs.0.len()) < ROUNDS_MIN {
            return Self::TooFewRounds;
        }
        let difference = (ours.median() - theirs.median()).abs();
        let apart = ours.most() < theirs.least() || theirs.most() < ours.least();
        if apart || difference > ours.half_range().max(theirs.half_range()) {
            Self::Told(ours.median() / theirs.median())
        } else {
            Self::WithinSpread
        }
    }
}

impl core::fmt::Display for Ratio {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Told(ratio) if *ratio < 0.1 => write!(f, "{ratio:.4}"),
            Self::Told(ratio) => write!(f, "{ratio:.2}"),
            Self::WithinSpread => f.write_str("≈"),
            Self::TooFewRounds => f.write_str("?"),
        }
    }
}

/// A figure of the table: less is better.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub head: &'static str,
    pub digits: usize,
    /// Ours is put into relation to it.
    pub is_compared: bool,
}

/// A peer's figures, one for each column, NaN for one that it has not; none if it can't do the row.
pub struct Line {
    pub name: String,
    pub figures: Option<Vec<Rounds>>,
}

/// A table in Markdown. Its first line is ours.
pub fn table(title: &str, columns: &[Column], lines: &[Line]) -> String {
    let mut text = format!("| {title} |");
    for column in columns {
        let _infallible =
            write!(text, " {} |{}", column.head, if column.is_compared { " ours ÷ it |" } else { "" });
    }
    text.push_str("\n|---|");
    for column in columns {
        text.push_str(if column.is_compared { "--:|--:|" } else { "--:|" });
    }
    let ours = lines.first().and_then(|line| line.figures.as_ref());
    for (number, line) in lines.iter().enumerate() {
        let _infallible = write!(text, "\n| {} |", line.name);
        for (at, column) in columns.iter().enumerate() {
            let figure = line.figures.as_ref().map(|figures| &figures[at]);
            text.push_str(&figure.map_or_else(|| " - |".to_owned(), |figure| cell(figure, column.digits)));
            if column.is_compared {
                let figure = figure.filter(|figure| number > 0 && !figure.median().is_nan());
                let ratio = ours.zip(figure).map(|(ours, it)| Ratio::of(&ours[at], it));
                let _infallible = match ratio {
                    Some(ratio) => write!(text, " {ratio} |"),
                    None => write!(text, " |"),
                };
            }
        }
    }
    text.push('\n');
    text
}

fn cell(figure: &Rounds, digits: usize) -> String {
    let (median, least, most) = (figure.median(), figure.least(), figure.most());
    match figure.0.len() {
        _ if median.is_nan() => " - |".to_owned(),
        1 => format!(" {median:.digits$} |"),
        _ => format!(" {median:.digits$} ({least:.digits$}–{most:.digits$}) |"),
    }
}
