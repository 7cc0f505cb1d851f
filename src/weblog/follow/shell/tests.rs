//! What the follower there says, said by the test.

use super::*;
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

/// A run: marks with the nonce that was asked for, and what is told of them.
struct Case {
    follower: ShellFollower,
    runs: u8,
    told: Vec<String>,
}

impl Case {
    fn new(start: Start) -> Self {
        let mut case = Self { follower: ShellFollower::new(b"log", start), runs: 0, told: Vec::new() };
        case.begin();
        case
    }

    /// The values that the next run is given.
    fn begin(&mut self) -> String {
        self.runs += 1;
        let script = String::from_utf8(self.follower.begin([self.runs; 16])).unwrap();
        let (values, rest) = script.split_once('\n').unwrap();
        assert_eq!(rest, SCRIPT);
        assert!(self.take(b"Welcome!\n\x1e") == Ok(Next::Wait), "what the login says is nothing of ours");
        assert!(!self.follower.has_begun() && self.told.is_empty());
        self.mark("S");
        assert!(self.follower.has_begun());
        values.split_once(' ').unwrap().1.to_owned()
    }

    fn take(&mut self, bytes: &[u8]) -> Result<Next, Fault> {
        let told = &mut self.told;
        self.follower.handle_data(bytes, |event| {
            told.push(match event {
                Event::Began { generation, inode, offset, size } => {
                    format!("{generation} began: {inode} {offset} {size}")
                }
                Event::Data { generation, offset, bytes } => {
                    format!("{generation} {offset}: {}", bytes.escape_ascii())
                }
                Event::Ended { generation } => format!("{generation} ended"),
                Event::Gap(gap) => format!("{gap:?}"),
                other => format!("{other:?}"),
            });
        })
    }

    fn mark(&mut self, text: &str) -> Next {
        let mark = format!("\x1e{} {text}\n", format!("{:02x}", self.runs).repeat(16));
        self.take(mark.as_bytes()).unwrap()
    }

    fn told(&mut self) -> Vec<String> {
        core::mem::take(&mut self.told)
    }
}

#[test]
fn files_come_one_after_another_and_what_the_old_one_still_gets_is_its_own() {
    let mut case = Case::new(Start::Line(1));
    case.mark("W");
    case.mark("N 7 0 2");
    case.take(b"a\nb").unwrap();
    case.mark("N 8 0 0");
    case.mark("O");
    case.take(b"c\n").unwrap();
    case.mark("C");
    case.take(b"d\n").unwrap();
    case.mark("H 2");
    case.mark("O");
    case.mark("E");
    case.mark("C");
    case.mark("D");
    case.mark("N 9 0 0");
    assert_eq!(
        case.told(),
        [
            "Missing",
            "0 began: 7 0 2",
            "0 0: a\\nb",
            "1 began: 8 0 0",
            "0 3: c\\n",
            "1 0: d\\n",
            "Alive { size: 2 }",
            "0 ended",
            "Denied",
            "2 began: 9 0 0"
        ]
    );
}

#[test]
fn a_file_that_is_emptied_begins_anew_and_the_gap_has_a_name() {
    for (mark, gap) in [("T", "Truncated"), ("R", "Rewritten")] {
        let mut case = Case::new(Start::Line(1));
        case.mark("N 7 0 2");
        case.take(b"a\n").unwrap();
        case.mark(&format!("{mark} 7 0 2"));
        case.take(b"b\n").unwrap();
        let expected = ["0 began: 7 0 2", "0 0: a\\n", gap, "0 ended", "1 began: 7 0 2", "1 0: b\\n"];
        assert_eq!(case.told(), expected);
    }
    for gap in [Gap::Truncated, Gap::Rewritten, Gap::NotFound, Gap::NotTheSame] {
        assert!(gap.to_string().contains("missing"), "{gap}");
    }
}

#[test]
fn lines_from_the_beginning_are_passed_over_but_none_that_come_later() {
    for (line, offset, shown) in
        [(0, 0, "a\\nb\\nc\\nd\\n"), (1, 0, "a\\nb\\nc\\nd\\n"), (3, 4, "c\\nd\\n"), (9, 6, "d\\n")]
    {
        let mut case = Case::new(Start::Line(line));
        case.mark("N 7 0 6");
        case.take(b"a\nb\nc\nd\n").unwrap();
        assert_eq!(case.told(), [format!("0 began: 7 {offset} 6"), format!("0 {offset}: {shown}")], "{line}");
    }
}

#[test]
fn the_last_lines_are_found_in_what_is_kept() {
    for (lines, offset) in [(0, 104), (1, 102), (2, 100)] {
        let mut case = Case::new(Start::LinesBeforeEnd(lines));
        case.mark("N 7 98 105");
        for bytes in [&b"x\na"[..], b"\nb", b"\nhal", b"f\n"] {
            assert_eq!(case.take(bytes), Ok(Next::Wait));
        }
        let told = case.told();
        assert_eq!(told[0], format!("0 began: 7 {offset} 105"));
        assert!(told.concat().ends_with("f\\n"), "{told:?}");
    }
    let mut all = Case::new(Start::LinesBeforeEnd(9));
    all.mark("N 7 0 2");
    all.take(b"a\nb\n").unwrap();
    assert_eq!(all.told(), ["0 began: 7 0 2", "0 0: a\\nb\\n"]);
    let mut none = Case::new(Start::LinesBeforeEnd(0));
    none.mark("N 7 0 0");
    assert_eq!(none.told(), ["0 began: 7 0 0"]);
}

#[test]
fn for_many_last_lines_more_and_more_of_the_file_is_looked_at_and_nothing_of_it_kept() {
    let mut case = Case::new(Start::LinesBeforeEnd(3));
    let back = |bytes: u64| format!("once= want= off= back={bytes} f='log'");
    assert_eq!(case.begin(), back(BACK_MIN));
    let end = 100 * BACK_MIN;
    case.mark(&format!("N 7 {} {end}", end - BACK_MIN));
    let line = [vec![b'x'; BACK_MIN as usize - 1], b"\n".to_vec()].concat();
    assert_eq!(case.take(&line), Ok(Next::Again));
    assert_eq!(case.begin(), back(BACK_MIN * BACK_FACTOR));
    let from = end - BACK_MIN * BACK_FACTOR;
    case.mark(&format!("N 7 {from} {end}"));
    for n in 1..=BACK_FACTOR {
        let next = case.take(&line).unwrap();
        assert_eq!(next == Next::Again, n == BACK_FACTOR);
        let kept = case.follower.finding.as_ref().map(|(finding, _)| format!("{finding:?}").len());
        assert!(kept.is_none_or(|len| len < 200), "{kept:?}");
    }
    assert_eq!(case.begin(), format!("once= want=7 off={from} back= f='log'"));
    case.mark(&format!("N 7 {from} {end}"));
    for _ in 0..BACK_FACTOR - 3 {
        case.take(&line).unwrap();
    }
    assert_eq!(case.told(), [format!("0 began: 7 {} {end}", end - 3 * BACK_MIN)]);
}

#[test]
fn who_says_that_a_short_end_is_long_gets_no_memory_and_no_endless_runs() {
    let mut case = Case::new(Start::LinesBeforeEnd(1));
    let mut runs = 0;
    loop {
        case.mark(&format!("N 7 1 {}", BACK_MIN + 2));
        match case.take(&vec![b'x'; BACK_MIN as usize + 1]).unwrap() {
            Next::Again => case.begin(),
            _ => break,
        };
        runs += 1;
        assert!(runs < 20);
    }
}

#[test]
fn it_goes_on_where_it_was_in_the_same_file_and_nowhere_else() {
    let mut case = Case::new(Start::Line(1));
    case.mark("N 7 0 6");
    case.take(b"a\nbc\nd").unwrap();
    case.told();
    let position = case.follower.position().unwrap().clone();
    assert_eq!(position, Position { inode: 7, offset: 5, before: b"a\nbc\n".to_vec() });
    assert_eq!(case.begin(), "once= want=7 off=0 back= f='log'");
    assert_eq!(case.follower.position(), None);
    case.mark("N 7 0 9");
    case.take(b"a\nb").unwrap();
    assert_eq!(case.begin(), "once= want=7 off=0 back= f='log'", "it ended before the place was found");
    case.mark("N 7 0 9");
    case.take(b"a\nb").unwrap();
    case.take(b"c\nde\n").unwrap();
    assert_eq!(case.told(), ["0 began: 7 5 9", "0 5: de\\n"], "what was held of a line is sent again");
    assert_eq!(case.follower.position().unwrap().before, b"a\nbc\nde\n");

    case.begin();
    case.mark("N 7 0 9");
    assert_eq!(case.take(b"a\nbX\nde\n"), Ok(Next::Again));
    assert_eq!(case.told(), ["NotTheSame", "0 ended"]);
    assert_eq!(case.begin(), "once= want= off= back= f='log'");
    case.mark("N 7 0 2");
    case.take(b"z\n").unwrap();
    assert_eq!(case.told(), ["1 began: 7 0 2", "1 0: z\\n"]);

    case.begin();
    case.mark("L");
    case.mark("N 8 0 2");
    assert_eq!(case.told(), ["NotFound", "1 ended", "2 began: 8 0 2"]);
}

#[test]
fn a_position_far_in_a_file_remembers_only_what_stands_right_before_it() {
    let mut case = Case::new(Start::Line(1));
    case.mark("N 7 0 0");
    for chunk in [vec![b'x'; 1000], b"\n".to_vec(), vec![b'y'; 300]] {
        case.take(&chunk).unwrap();
    }
    case.told();
    let before = [vec![b'x'; COMPARED_MAX - 1], b"\n".to_vec()].concat();
    assert_eq!(case.follower.position(), Some(&Position { inode: 7, offset: 1001, before }));
    assert_eq!(case.begin(), format!("once= want=7 off={} back= f='log'", 1001 - COMPARED_MAX));
}

#[test]
fn bytes_of_no_file_end_the_stream_and_so_does_a_mark_of_nobody() {
    for bytes in ["", "O", "C"] {
        let mut case = Case::new(Start::Line(1));
        if !bytes.is_empty() {
            case.mark(bytes);
        }
        assert_eq!(case.take(b"x"), Err(DATA_OF_NO_FILE));
        assert_eq!(case.take(b"x"), Err(DATA_OF_NO_FILE), "for ever");
    }
    let mut case = Case::new(Start::Line(1));
    assert_eq!(case.mark("X"), Next::Special);
}

#[test]
fn what_goes_to_the_end_is_done_there_and_has_given_all_that_came() {
    let mut case =
        Case { follower: ShellFollower::new(b"log", Start::Line(1)).to_the_end(), runs: 0, told: Vec::new() };
    assert!(case.begin().starts_with("once=1 "));
    case.mark("N 7 0 3");
    case.take(b"a\nb").unwrap();
    assert_eq!(case.mark("Q"), Next::Done);
    assert_eq!(case.told(), ["0 began: 7 0 3", "0 0: a\\nb"]);
    let mut case = Case::new(Start::LinesBeforeEnd(1));
    case.mark("N 7 0 100");
    case.take(b"a\nb\n").unwrap();
    assert_eq!(case.mark("Q"), Next::Done, "it was shortened meanwhile");
    assert_eq!(case.told(), ["0 began: 7 2 4", "0 2: b\\n"]);
}

#[test]
fn t100_the_path_is_quoted_and_nothing_else_is_of_anybody() {
    let mut follower = ShellFollower::new(b"it's $(id)\n`id`", Start::Line(1));
    let script = String::from_utf8(follower.begin([0xab; 16])).unwrap();
    let nonce = "ab".repeat(16);
    assert_eq!(script, format!("n={nonce} once= want= off= back= f='it'\\''s $(id)\n`id`'\n{SCRIPT}"));
}

proptest! {
    #[test]
    fn whatever_comes_every_byte_is_given_once_and_in_its_order(
        said in prop::collection::vec((0..12_usize, prop::collection::vec(any::<u8>(), 0..20), 0..4_u64), 0..40),
        lines in 0..4_u64,
        is_from_end: bool,
    ) {
        let start = if is_from_end { Start::LinesBeforeEnd(lines) } else { Start::Line(lines) };
        let mut follower = ShellFollower::new(b"log", start);
        drop(follower.begin([1; 16]));
        let mut next = std::collections::BTreeMap::new();
        for (what, bytes, n) in said {
            let text = match what {
                0 => "S".to_owned(),
                1 => format!("N {n} {n} {}", n + 4),
                2 => format!("T {n} 0 {n}"),
                3 => format!("R {n} 0 {n}"),
                4..=9 => ["O", "C", "E", "W", "L", "X"][what - 4].to_owned(),
                _ => String::new(),
            };
            let mark = format!("\x1e{} {text}\n", "01".repeat(16));
            let came = if text.is_empty() { bytes.as_slice() } else { mark.as_bytes() };
            let mut wrong = None;
            let handled = follower.handle_data(came, |event| match event {
                Event::Began { generation, offset, .. } => {
                    wrong = wrong.or(next.insert(generation, offset).map(|_| "begun twice"));
                }
                Event::Data { generation, offset, bytes } => {
                    if next.get(&generation) != Some(&offset) || bytes.is_empty() {
                        wrong = Some("bytes where none were expected");
                    }
                    next.insert(generation, offset + bytes.len() as u64);
                }
                Event::Ended { generation } => {
                    wrong = wrong.or(next.remove(&generation).is_none().then_some("ended twice"));
                }
                _ => {}
            });
            prop_assert_eq!(wrong, None);
            prop_assert!(follower.position().is_none_or(|position| position.before.len() <= COMPARED_MAX));
            if handled == Ok(Next::Again) {
                drop(follower.begin([1; 16]));
            }
        }
    }
}
