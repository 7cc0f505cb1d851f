//! The table of benches/compare: when it tells a ratio, and when it does not.

#[path = "../benches/compare/table.rs"]
mod table;

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
    let lines =
        [line("ours", figures(1.0)), line("it", figures(4.0)), line("half", half), line("none", None)];
    let text = "| row | CPU s | ours ÷ it | wall s |\n|---|--:|--:|--:|\n\
                | ours | 1.0 (1.0–1.0) | | 7 |\n\
                | it | 4.0 (4.0–4.0) | 0.25 | 7 |\n\
                | half | 2.0 (2.0–2.0) | 0.50 | - |\n\
                | none | - | | - |\n";
    assert_eq!(table("row", &columns, &lines), text);
}
