//! What a person sees of a copy: on standard error, and only if that is a terminal.
//!
//! Names come escaped; it knows nothing else of what is copied.

use indicatif::{BinaryBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::cell::Cell;
use std::io::IsTerminal;
use std::rc::Rc;

/// Files that have a line of their own at a time; all others are in the total only.
const LINES_MAX: usize = 4;

/// The message has what the terminal's width leaves.
const LINE: &str = "{wide_msg} {percent:>3}% {binary_bytes:>11} {binary_bytes_per_sec:>13} {eta:>5}";

struct Lines {
    all: MultiProgress,
    total: ProgressBar,
    shown: Rc<Cell<usize>>,
    files: Cell<u64>,
}

/// All lines, or nothing.
#[derive(Default)]
pub(super) struct Progress(Option<Lines>);

/// Of one file.
#[derive(Default)]
pub(super) struct Bar {
    total: Option<ProgressBar>,
    own: Option<(ProgressBar, Rc<Cell<usize>>)>,
}

impl Progress {
    pub(super) fn new(quiet: bool) -> Self {
        if quiet || !std::io::stderr().is_terminal() {
            return Self::default();
        }
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let total = all.add(ProgressBar::new(0).with_style(style()).with_message("total"));
        Self(Some(Lines { all, total, shown: Rc::default(), files: Cell::new(0) }))
    }

    /// A file is begun of which `size` bytes are to come.
    pub(super) fn file(&self, name: &str, size: u64) -> Bar {
        let Some(lines) = &self.0 else { return Bar::default() };
        lines.files.set(lines.files.get() + 1);
        lines.total.inc_length(size);
        let all = BinaryBytes(lines.total.length().unwrap_or(0));
        lines.total.set_message(format!("total {all}, file {}", lines.files.get()));
        let own = (lines.shown.get() < LINES_MAX).then(|| {
            lines.shown.set(lines.shown.get() + 1);
            let bar = ProgressBar::new(size).with_style(style()).with_message(name.to_owned());
            (lines.all.insert_before(&lines.total, bar), Rc::clone(&lines.shown))
        });
        Bar { total: Some(lines.total.clone()), own }
    }

    /// Writes a line between those that move.
    pub(super) fn tell(&self, line: &str) {
        match &self.0 {
            Some(lines) => lines.all.suspend(|| crate::tell!("{line}")),
            None => crate::tell!("{line}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(lines) = &self.0 {
            lines.total.abandon();
        }
    }
}

impl Bar {
    pub(super) fn advance(&self, n: u64) {
        if let Some(total) = &self.total {
            total.inc(n);
        }
        if let Some((own, _)) = &self.own {
            own.inc(n);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some((own, shown)) = &self.own {
            own.finish_and_clear();
            shown.set(shown.get().saturating_sub(1));
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template(LINE).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_template() {
        assert!(ProgressStyle::with_template(LINE).is_ok());
    }

    #[test]
    fn no_more_files_have_a_line_of_their_own_than_the_bound() {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let total = all.add(ProgressBar::new(0));
        let progress = Progress(Some(Lines { all, total, shown: Rc::default(), files: Cell::new(0) }));
        let mut bars: Vec<_> = (0..LINES_MAX + 3).map(|_| progress.file("name", 1)).collect();
        let own = |bars: &[Bar]| bars.iter().filter(|bar| bar.own.is_some()).count();
        assert_eq!(own(&bars), LINES_MAX);
        // Whoever ends makes room for another.
        bars.remove(0);
        bars.extend([(); 2].map(|()| progress.file("name", 1)));
        assert_eq!(own(&bars), LINES_MAX);
    }
}
