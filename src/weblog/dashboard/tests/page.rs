//! What is to be seen, and when it is drawn.

use super::*;
use crate::weblog::dashboard::{COUNTERS, LINES_KEPT, SIZE_MIN};

const WORDS: [&str; 11] = [
    "hits/s",
    "errors/s",
    "2xx",
    "4xx",
    "5xx",
    "referrers",
    "paths",
    "hosts",
    "agents",
    "shop.log",
    "by hits",
];

#[test]
fn all_that_is_promised_is_seen_at_every_size_from_80x24_on() {
    let looks = [PLAIN, Look { unicode: false, ..PLAIN }, Look { coloured: true, unicode: true }];
    for (look, (columns, rows)) in looks.into_iter().flat_map(|look| {
        [(80, 24), (80, 60), (81, 31), (120, 30), (159, 24), (160, 24), (161, 50), (1000, 65)]
            .map(|size| (look, size))
    }) {
        let mut shown = Shown::new(columns, rows, look);
        for (second, status) in [(0, 200), (1, 304), (2, 404), (3, 404), (4, 500)] {
            shown.log(&logged(second, "/a?q=1", status, "https://x.example/"));
        }
        let screen = shown.screen();
        for word in WORDS.into_iter().chain([
            "2xx 1",
            "3xx 1",
            "4xx 2",
            "5xx 1",
            "hits/s       0.4",
            "errors/s     0.2",
            "5 hits  2560 bytes",
            "1 https://x.example/",
            "5 /a\n",
            "5 203.0.113.7",
            "5 curl/8",
            "00:00:04+00:00 500 GET /a?q=1 512 https://x.example/",
        ]) {
            let is_there = screen.contains(word) || screen.replace("  ", "\n").contains(word);
            assert!(is_there, "{word:?} at {columns}x{rows}, {look:?}:\n{screen}");
        }
        assert_eq!(shown.terminal.styles.is_empty(), !look.coloured);
        assert_eq!(screen.is_ascii(), !look.unicode);
        assert!(shown.terminal.is_entered && shown.terminal.cursor.is_none());
    }
}

#[test]
fn a_terminal_that_is_too_small_is_told_what_is_needed_and_nothing_breaks() {
    let (columns, rows) = SIZE_MIN;
    for (columns, rows) in
        [(columns - 1, rows), (columns, rows - 1), (30, 2), (12, 4), (6, 4), (1, 1), (3, 1)]
    {
        let mut shown = Shown::new(columns, rows, PLAIN);
        shown.log(&logged(0, "/a", 200, "-"));
        let screen = shown.screen();
        if columns >= 6 {
            assert!(screen.contains("80x24") && screen.contains(&format!("{columns}x{rows}")), "{screen}");
        }
        assert!(!screen.contains("hits/s"), "{screen}");
        shown.type_in("?");
        shown.draw();
        shown.type_in("x/a\x1b[A");
        shown.draw();
        assert_eq!(shown.type_in("\rq"), Some(End::Quit));
    }
    // Where the size is not known, it is the usual one.
    let mut shown = Shown::usual();
    shown.dashboard.resize(size(0, 0));
    assert!(shown.screen().contains("hits/s"));
}

#[test]
fn another_size_is_drawn_anew() {
    let mut shown = Shown::usual();
    shown.log(&logged(0, "/a", 200, "-"));
    shown.draw();
    for (columns, rows) in [(120, 40), (40, 10), (80, 24)] {
        shown.terminal = Terminal::new(columns as usize, rows as usize);
        shown.terminal.write(crate::weblog::dashboard::ENTER);
        shown.dashboard.resize(size(columns, rows));
        let screen = shown.screen();
        assert_eq!(screen.contains("hits/s"), columns >= 80, "{screen}");
    }
}

#[test]
fn only_what_changed_is_drawn_and_only_ten_times_a_second() {
    let mut shown = Shown::usual();
    assert_eq!(shown.dashboard.due(&shown.tally), Some(shown.now), "at once");
    shown.log(&logged(0, "/a", 200, "-"));
    let first = shown.draw().len();
    assert!(first > 500);
    assert!(shown.draw().is_empty(), "nothing has changed");
    let drawn = shown.now - BETWEEN_DRAWS;
    shown.log(&logged(0, "/a", 200, "-"));
    let due = shown.dashboard.due(&shown.tally).unwrap();
    assert_eq!(due, drawn + BETWEEN_DRAWS);
    let mut out = Vec::new();
    shown.dashboard.draw(&shown.tally, due - Duration::from_millis(1), &mut out);
    assert!(out.is_empty(), "not yet");
    let second = shown.draw().len();
    assert!(second > 0 && second < first / 3, "{second} of {first}");
    shown.log(&logged(0, "/a", 200, "-"));
    assert_eq!(shown.dashboard.due(&shown.tally), Some(shown.now + BETWEEN_DRAWS));
}

#[test]
fn rates_sink_while_nothing_comes_and_then_nothing_is_drawn_any_more() {
    let mut shown = Shown::usual();
    assert_eq!(shown.tally.rates(shown.now), (0.0, 0.0));
    shown.draw();
    assert_eq!(shown.dashboard.due(&shown.tally), None);
    for _ in 0..30 {
        shown.log(&logged(7, "/a", 500, "-"));
    }
    let begin = shown.now;
    assert!(shown.screen().contains("hits/s       0.0"), "the second is not over");
    let next = shown.dashboard.due(&shown.tally).unwrap();
    assert_eq!(next, begin + Duration::from_secs(1));
    shown.wait(next - shown.now);
    assert!(shown.screen().contains("errors/s     3.0"), "{}", shown.terminal.text());
    shown.wait(Duration::from_secs(10));
    assert!(shown.screen().contains("errors/s     0.0"));
    let mut draws = 0;
    while let Some(due) = shown.dashboard.due(&shown.tally) {
        shown.now = due - BETWEEN_DRAWS;
        shown.draw();
        draws += 1;
        assert!(draws < 200);
    }
    assert!(draws > 40 && !shown.terminal.text().contains('█'), "{draws}");
}

#[test]
fn the_clock_is_the_logs_own_and_never_goes_back() {
    let mut shown = Shown::usual();
    shown.log(&logged(100, "/a", 200, "-"));
    shown.wait(Duration::from_secs(5));
    for _ in 0..20 {
        shown.log(&logged(103, "/a", 200, "-"));
    }
    shown.wait(Duration::from_secs(1));
    let seconds: Vec<u32> = shown.tally.seconds(shown.now, 7).iter().map(|second| second.hits).collect();
    assert_eq!(seconds, [1, 0, 0, 20, 0, 0, 0]);
    assert_eq!(shown.tally.rates(shown.now), (2.1, 0.0));
    // A record without a time is of the present.
    let record = crate::weblog::record::Record { status: Some(404), ..Default::default() };
    let mut room = Room::default();
    let hit = shown.view.hit(&record, &mut room).unwrap();
    shown.tally.hit(b"a line", &hit, shown.now);
    assert_eq!(shown.tally.seconds(shown.now, 1)[0].errors, 1);
}

#[test]
fn the_last_lines_are_kept_and_the_newest_is_at_the_bottom() {
    let mut shown = Shown::usual();
    for number in 0..LINES_KEPT + 50 {
        shown.log(&logged(0, &format!("/{number}."), 200, "-"));
    }
    let screen = shown.screen();
    assert!(screen.contains(&format!(" /{}. ", LINES_KEPT + 49)), "{screen}");
    assert_eq!(shown.tally.lines(), 50..LINES_KEPT as u64 + 50);
    let newest = screen.lines().nth(22).unwrap();
    assert!(newest.contains(&format!(" /{}. ", LINES_KEPT + 49)), "{screen}");
}

#[test]
fn records_that_are_missing_are_told_where_they_are_missing() {
    let mut shown = Shown::usual();
    shown.log(&logged(0, "/before", 200, "-"));
    shown.skip(1234);
    shown.log(&logged(0, "/after", 200, "-"));
    let screen = shown.screen();
    let at = |text: &str| screen.find(text).unwrap_or_else(|| panic!("{text}: {screen}"));
    assert!(at("GET /before") < at("… 1 234 records skipped") && at("records skipped") < at("GET /after"));
    assert!(screen.lines().next().unwrap().contains("1 234 skipped"));
    // What a filter would have found among them nobody knows.
    shown.type_in("/after\r");
    shown.skip(5);
    let screen = shown.screen();
    assert!(screen.contains("… 5 records skipped") && screen.contains(" 5 skipped"), "{screen}");
}

#[test]
fn a_hundred_thousand_referrers_take_no_more_memory_and_the_first_is_the_first() {
    let mut shown = Shown::usual();
    for number in 0..100_000 {
        shown.log(&logged(0, "/a", 200, &format!("https://{number}.example/")));
        if number % 100 == 0 {
            shown.log(&logged(0, "/a", 200, "https://often.example/"));
        }
    }
    let screen = shown.screen();
    let first =
        screen.lines().find(|line| line.contains("often.example")).unwrap_or_else(|| panic!("{screen}"));
    let number: usize =
        first.trim_start().trim_start_matches('~').split(' ').next().unwrap().parse().unwrap();
    assert!((1000..=1000 + 101_000 / COUNTERS).contains(&number), "{first}");
    let referrers = shown.tally.tops(crate::weblog::view::Topic::Referrers, usize::MAX, Default::default());
    assert_eq!(referrers.len(), COUNTERS);
    // What may be too large says so.
    assert!(screen.contains(" ~"), "{screen}");
}

#[test]
fn the_environment_says_what_a_terminal_can_show() {
    let cases = [
        ("", true, true),
        ("NO_COLOR=", true, true),
        ("NO_COLOR=0 TERM=xterm", false, true),
        ("TERM=dumb LANG=C", false, false),
        ("LANG=de_DE.UTF-8", true, true),
        ("LANG=de_DE.utf8 LC_CTYPE=", true, true),
        ("LANG=de_DE.UTF-8 LC_CTYPE=C", true, false),
        ("LC_ALL=C.UTF-8 LC_CTYPE=C LANG=C", true, true),
        ("LANG=de_DE.ISO-8859-1", true, false),
    ];
    for (variables, coloured, unicode) in cases {
        let value = |name: &str| {
            let named = |variable: &str| Some(variable.strip_prefix(name)?.strip_prefix('=')?.to_owned());
            variables.split(' ').find_map(named)
        };
        assert_eq!(Look::of(value), Look { coloured, unicode }, "{variables:?}");
    }
}
