//! What strangers write into a log, and what terminals send.

use super::*;
use crate::weblog::dashboard::screen::MARKS_MAX;
use crate::weblog::dashboard::{DRAWN_MAX, LINE_KEPT, LINES_KEPT, SLOW_PAUSE, Topic};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
use ratatui_core::buffer::CellWidth;

#[test]
fn t101_nothing_in_a_line_acts_on_the_terminal() {
    let mut shown = Shown::usual();
    let hostile = "/\\x1b]52;c;eA==\\x07\\x9b2J\\x0a\u{202e}\u{9b}1m\u{2028}\\xff";
    shown.log(&logged(0, hostile, 200, "https://x/\u{1b}[2J\u{7}"));
    shown.dashboard.note("\x1b]0;title\x07");
    // The terminal of these tests takes no byte that acts but those of the dashboard's own sequences.
    let screen = shown.screen();
    assert!(screen.contains("/\\x1b]52;c;eA==\\x07"), "{screen}");
    assert!(screen.contains("https://x/\\x1b[2J\\x07"), "{screen}");
    let mut titled = Shown::usual();
    titled.dashboard = Dashboard::new("a\x1b[2J\nb", PLAIN, size(80, 24), titled.now);
    assert!(titled.screen().starts_with(" a\\x1b[2J\\x0ab "), "{}", titled.terminal.text());
}

#[test]
fn a_flag_is_no_pair_of_ascii_letters() {
    let mut shown = Shown::usual();
    shown.log(&logged(0, "/flag🇩🇪x", 200, "-"));
    shown.log(&logged(0, "/flagDEx", 200, "-"));
    let screen = shown.screen();
    assert!(screen.contains("/flagⒹⒺx") && screen.contains("/flagDEx"), "{screen}");
}

#[test]
fn wide_and_combining_characters_break_no_row_even_if_the_terminal_thinks_otherwise_of_their_width() {
    let texts = [
        "日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語",
        "e\u{301}\u{302}\u{303}\u{304}a\u{300}".repeat(30).leak(),
        "👩\u{200d}👩\u{200d}👧🇩🇪🇫🇷👍🏽❤\u{fe0f}☎\u{fe0f}".repeat(6).leak(),
        "\u{301}\u{200b}\u{feff}\u{ad}a\u{1160}한글\u{1112}\u{1161}\u{11ab}ﾊﾟ\u{e0101}",
        "…→ΩαёЖ½§\u{e000}\u{10ffff}\u{378}﷽𒐫",
    ];
    let widths: [fn(&str) -> u16; 3] = [
        CellWidth::cell_width,
        |text| if text.cell_width() == 0 { 0 } else { 2 },
        |text| text.cell_width().min(1),
    ];
    for width in widths {
        let mut shown = Shown::usual();
        shown.terminal.width = width;
        // Only what comes from the log is not ASCII.
        shown.dashboard.look.unicode = false;
        for (second, text) in (0..).zip(texts) {
            for _ in 0..=second {
                shown.log(&logged(second, &format!("/{text}"), 200, text));
                shown.draw();
            }
        }
        let screen = shown.screen();
        for (row, begin) in [(4, "- referrers "), (10, "- hosts "), (16, "-[lines]")] {
            let line = shown.terminal.row(row);
            assert!(line.starts_with(begin) && line.ends_with("- "), "{screen}");
        }
        // Each pane's numbers stand where they belong.
        for (row, number) in (5..10).zip((1..=5).rev()) {
            let text = shown.terminal.row(row);
            assert!(text.starts_with(&format!("{number:>9} ")), "{screen}");
            let right = shown.terminal.row_from(row, 40);
            assert!(right.starts_with(&format!("{number:>9} /")), "{right:?}: {screen}");
        }
    }
}

#[test]
fn wide_characters_below_the_help_do_not_reach_into_it() {
    for shift in ["", "x"] {
        let mut shown = Shown::usual();
        let text = shift.to_owned() + &"日".repeat(60);
        for _ in 0..6 {
            shown.log(&logged(0, &format!("/{text}"), 200, &text));
        }
        shown.type_in("?");
        let screen = shown.screen();
        let rows: Vec<_> = (0..24).map(|row| shown.terminal.row_from(row, 11)).collect();
        assert_eq!(rows.iter().filter(|row| row.starts_with('│')).count(), 10, "{screen}");
        assert_eq!(screen.matches('│').count(), 20, "{screen}");
    }
}

#[test]
fn of_marks_that_pile_up_only_some_are_kept() {
    let mut shown = Shown::usual();
    shown.log(&logged(0, &format!("/a{}b", "\u{301}".repeat(300)), 200, "-"));
    let screen = shown.screen();
    assert!(screen.contains(&format!("GET /a{}b ", "\u{301}".repeat(MARKS_MAX))), "{screen}");
}

#[test]
fn t81_a_window_of_any_size_is_drawn_in_bounded_memory() {
    for (columns, rows) in [(u32::MAX, u32::MAX), (1000, 1000), (u32::MAX, 24), (80, u32::MAX), (0, u32::MAX)]
    {
        let mut dashboard = Dashboard::new("shop", PLAIN, size(columns, rows), Instant::now());
        let mut out = Vec::new();
        dashboard.draw(&Tally::default(), Instant::now() + BETWEEN_DRAWS, &mut out);
        assert!(dashboard.screen.cells() <= DRAWN_MAX as usize && dashboard.screen.cells() >= 24 * 80);
        assert!(out.len() <= 4 * DRAWN_MAX as usize, "{}", out.len());
    }
}

#[test]
fn t109_a_filter_that_takes_too_long_is_forgotten_and_no_other_is_made_before_a_while() {
    let mut shown = Shown::usual();
    let text = "a".repeat(LINE_KEPT);
    (0..LINES_KEPT).for_each(|_| shown.log(&logged(0, &format!("/{text}"), 200, "-")));
    // Nothing is found in any line, and each costs.
    let slow = "/(?s-u:(?:a?.{0,40}){30}[^ -~])\r";
    shown.type_in(slow);
    let screen = shown.screen();
    assert!(screen.contains("the filter takes too long: write a simpler one"), "{screen}");
    assert!(screen.contains("2xx 500") && !screen.contains("[lines] /"), "all is shown: {screen}");
    shown.wait(SLOW_PAUSE - 2 * BETWEEN_DRAWS);
    shown.type_in("/a\r");
    let screen = shown.screen();
    assert!(screen.contains("/a  the filter takes too long"), "{screen}");
    shown.type_in("\x1b");
    shown.wait(Duration::from_secs(3600));
    shown.draw();
    shown.type_in("/a\r");
    assert!(shown.screen().contains("[lines] /a "), "{}", shown.terminal.text());
    shown.type_in("/nothing\r");
    shown.log(&logged(1, "/b", 200, "-"));
    assert!(shown.screen().contains("[lines] /nothing "), "what is usual takes no time");
    // One that is slow only with lines that come.
    let mut shown = Shown::usual();
    shown.type_in(slow);
    assert!(shown.screen().contains("[lines] /(?s-u"));
    (0..LINES_KEPT).for_each(|_| shown.log(&logged(0, &format!("/{text}"), 200, "-")));
    let screen = shown.screen();
    assert!(screen.contains("the filter takes too long: write a simpler one"), "{screen}");
}

#[test]
fn t109_the_tops_are_not_made_for_a_key() {
    let mut tally = Tally::default();
    let mut ranking = crate::weblog::view::Ranking::new(10);
    assert!(ranking.is_empty());
    (0..20).for_each(|number| ranking.add(format!("{number}").as_bytes(), 0));
    assert_eq!((ranking.len(), ranking.tops(usize::MAX, Default::default()).len()), (10, 10));
    assert_eq!(Topic::ALL.map(|topic| tally.names(topic)), [0; 4]);
    let mut shown = Shown::usual();
    (0..3).for_each(|number| shown.log(&logged(0, &format!("/{number}"), 200, "https://x/")));
    tally.clone_from(&shown.tally);
    assert_eq!(Topic::ALL.map(|topic| tally.names(topic)), [1, 3, 1, 1]);
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        "[ -~]{0,60}".prop_map(String::from),
        "\\PC{0,60}".prop_map(String::from),
        prop::collection::vec(any::<char>(), 0..40).prop_map(|all| all.into_iter().collect()),
        prop::collection::vec(
            prop::sample::select(vec!['日', '\u{301}', 'a', '\u{200d}', '👍', '\u{fe0f}', '\u{1160}']),
            0..80
        )
        .prop_map(|all| all.into_iter().collect()),
        Just("x".repeat(5000)),
    ];
    (0..100_000_u32, text, any::<u16>()).prop_map(|(second, text, status)| {
        let text = text.replace(['"', '\n'], "");
        logged(second % 86_400, &format!("/{text}"), status % 1000, &text).into_bytes()
    })
}

#[derive(Clone, Debug)]
enum Act {
    Log(Vec<u8>),
    Type(Vec<u8>),
    Resize(u32, u32),
    Wait(u64),
    Skip(u64),
    Note(Vec<u8>),
}

fn act() -> impl Strategy<Value = Act> {
    let keys = prop::sample::select(vec![
        "p", "s", "?", "/", "\t", "\x1b[Z", "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[5~", "\x1b[6~",
        "\x1b[H", "\x1b[F", "\x1b", "\r", "/a\r", "/日.\r", "/\r", "\x0c", "\x15", "/(\r",
    ]);
    prop_oneof![
        4 => line().prop_map(Act::Log),
        6 => keys.prop_map(|keys| Act::Type(keys.into())),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Act::Type),
        1 => (0..200_u32, 0..70_u32).prop_map(|(columns, rows)| Act::Resize(columns, rows)),
        1 => (0..5000_u64).prop_map(Act::Wait),
        1 => any::<u64>().prop_map(Act::Skip),
        1 => prop::collection::vec(any::<u8>(), 0..100).prop_map(Act::Note),
    ]
}

proptest! {
    #[test]
    fn whatever_comes_nothing_is_drawn_outside_and_what_is_drawn_is_what_would_be_drawn_anew(
        acts in prop::collection::vec(act(), 0..60), coloured in any::<bool>(), unicode in any::<bool>(),
        (columns, rows) in (1..200_u32, 1..70_u32),
    ) {
        let look = Look { coloured, unicode };
        let mut shown = Shown::new(columns, rows, look);
        for act in acts {
            match act {
                Act::Log(line) => shown.log_bytes(&line),
                Act::Type(bytes) => drop(shown.dashboard.input(&bytes, &shown.tally, shown.now)),
                Act::Resize(columns, rows) => {
                    let known = size(columns, rows).clamped();
                    shown.terminal = Terminal::new(known.columns as usize, known.rows as usize);
                    shown.terminal.write(crate::weblog::dashboard::ENTER);
                    shown.dashboard.resize(size(columns + 1, rows + 1));
                    shown.dashboard.resize(size(columns, rows));
                }
                Act::Wait(time) => shown.wait(Duration::from_millis(time)),
                Act::Skip(count) => shown.skip(count),
                Act::Note(text) => shown.dashboard.note(&String::from_utf8_lossy(&text)),
            }
            shown.draw();
        }
        // Nothing moves any more.
        shown.wait(Duration::from_secs(7200));
        let before = shown.screen();
        shown.dashboard.redraw();
        let anew = shown.screen();
        proptest::prop_assert_eq!(before, anew);
        proptest::prop_assert!(coloured || shown.terminal.styles.is_empty());
    }
}
