//! What benches/compare tells: when a ratio and when not, whether all lines of a log came, and how long they took.

#[path = "../benches/common/delays.rs"]
mod delays;
#[path = "../benches/compare/lines.rs"]
mod lines;
#[path = "../benches/compare/table.rs"]
mod table;

use delays::Delays;
use lines::{LINE, Seen, line};
use std::time::Duration;
use table::{Column, Line, Ratio, Rounds, table};

fn rounds(values: &[f64]) -> Rounds {
    let mut rounds = Rounds::default();
    values.iter().for_each(|value| rounds.push(*value));
    rounds
}

#[test]
fn the_median_is_the_middle_of_what_came_in_any_order() {
    assert_eq!(rounds(&[3.0, 1.0, 2.0]).median(), 2.0);
    assert_eq!(rounds(&[4.0, 1.0, 3.0, 2.0]).median(), 2.5);
    assert!(rounds(&[]).median().is_nan());
}

#[test]
fn no_ratio_is_told_when_the_spread_is_larger_than_the_difference() {
    // The medians are 0.5 apart; half of the wider range is 1.
    let (ours, theirs) = (rounds(&[1.0, 1.5, 3.0]), rounds(&[1.8, 2.0, 2.2]));
    assert_eq!(Ratio::of(&ours, &theirs), Ratio::WithinSpread);
    assert_eq!(Ratio::of(&theirs, &ours), Ratio::WithinSpread, "whoever has it");
    assert_eq!(Ratio::of(&ours, &ours), Ratio::WithinSpread, "of the same");
}

#[test]
fn a_ratio_is_told_when_the_difference_is_larger_than_the_spread() {
    // They touch at 2.1, and the medians are 1 apart.
    let (ours, theirs) = (rounds(&[0.9, 1.0, 2.1]), rounds(&[1.9, 2.0, 2.2]));
    assert_eq!(Ratio::of(&ours, &theirs), Ratio::Told(0.5));
}

#[test]
fn a_ratio_is_told_when_the_ranges_do_not_touch() {
    // Skewed: the medians are closer than half a range, and each round of ours was the better one all the same.
    let (ours, theirs) = (rounds(&[0.2, 1.9, 1.9]), rounds(&[2.0, 2.0, 4.0]));
    assert_eq!(Ratio::of(&ours, &theirs), Ratio::Told(0.95));
}

#[test]
fn two_rounds_tell_no_ratio() {
    let (ours, theirs) = (rounds(&[1.0, 1.0]), rounds(&[2.0, 2.0, 2.0]));
    assert_eq!(Ratio::of(&ours, &theirs), Ratio::TooFewRounds);
    assert_eq!(Ratio::of(&theirs, &ours), Ratio::TooFewRounds);
}

#[test]
fn a_table_has_a_dash_for_what_a_peer_can_not_do_and_no_ratio_for_ours() {
    let columns = [
        Column { head: "CPU s", digits: 1, is_compared: true },
        Column { head: "wall s", digits: 0, is_compared: false },
    ];
    let figures = |at: f64| Some(vec![rounds(&[at, at, at]), rounds(&[7.0])]);
    let line = |name: &str, figures| Line { name: name.to_owned(), figures };
    let half = Some(vec![rounds(&[2.0, 2.0, 2.0]), rounds(&[f64::NAN])]);
    let other = Some(vec![rounds(&[f64::NAN, f64::NAN, f64::NAN]), rounds(&[7.0])]);
    let lines = [
        line("ours", figures(1.0)),
        line("it", figures(4.0)),
        line("half", half),
        line("other", other),
        line("none", None),
    ];
    let text = "| row | CPU s | ours ÷ it | wall s |\n|---|--:|--:|--:|\n\
                | ours | 1.0 (1.0–1.0) | | 7 |\n\
                | it | 4.0 (4.0–4.0) | 0.25 | 7 |\n\
                | half | 2.0 (2.0–2.0) | 0.50 | - |\n\
                | other | - | | 7 |\n\
                | none | - | | - |\n";
    assert_eq!(table("row", &columns, &lines), text);
}

/// Lines from number 7 on, each a second after the other.
fn log(lines: u64) -> Vec<u8> {
    (7..7 + lines).flat_map(|number| line(Duration::from_secs(number), number)).collect()
}

#[test]
fn lines_are_seen_once_and_in_their_order_however_they_are_cut() {
    let log = log(5);
    assert_eq!(log.len(), 5 * LINE);
    for cut in 1..=3 * LINE {
        let (mut seen, mut written) = (Seen::default(), Vec::new());
        assert_eq!(seen.next(), None);
        log.chunks(cut).for_each(|data| seen.take(data, |since| written.push(since.as_secs())));
        assert_eq!((written, seen.next()), (vec![7, 8, 9, 10, 11], Some(12)), "in pieces of {cut}");
    }
}

fn see(pieces: &[&[u8]]) {
    let mut seen = Seen::default();
    pieces.iter().for_each(|data| seen.take(data, |_| {}));
}

#[test]
#[should_panic(expected = "a line is missing, or came twice")]
fn a_line_that_is_missing_is_found() {
    let log = log(3);
    see(&[&log[..LINE], &log[2 * LINE..]]);
}

#[test]
#[should_panic(expected = "a line is missing, or came twice")]
fn a_line_that_came_twice_is_found() {
    let log = log(3);
    see(&[&log, &log[2 * LINE..]]);
}

#[test]
#[should_panic(expected = "no line")]
fn a_line_that_lacks_an_octet_is_found() {
    let log = log(3);
    see(&[&log[..LINE + 100], &log[LINE + 101..]]);
}

#[test]
fn delays_are_told_by_the_step_that_so_many_do_not_exceed() {
    let mut delays = Delays::new();
    assert!(delays.at(0.5).is_nan());
    (0..100).for_each(|n| delays.add(Duration::from_micros(n * 100 + 5)));
    // Of a hundred, the fifty-first and the last; each in a step of 10 µs.
    assert_eq!((delays.at(0.5), delays.at(0.99)), (5.01, 9.91));
    delays.add(Duration::from_secs(100));
    assert_eq!(delays.at(1.0 - 1e-9), 60_000.0, "more than all steps counts as the last");
    assert_eq!(delays.to_string(), "median 5.0 ms, p99 9.9 ms, longest 100000.0 ms");
}
