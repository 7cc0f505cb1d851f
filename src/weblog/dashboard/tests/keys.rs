//! What keys do.

use super::*;
use crate::weblog::dashboard::{ESCAPE_WAIT, FILTER_MAX, LINE_KEPT, SHIFT_MAX, TOPS_MAX};

#[test]
fn q_quits_and_ctrl_c_interrupts_wherever_one_is() {
    assert_eq!(Shown::usual().type_in("q").map(End::status), Some(0));
    for keys in ["\x03", "?\x03", "/abc\x03", "p\x03", "\x1b[\x03", "x\x03q"] {
        assert_eq!(Shown::usual().type_in(keys).map(End::status), Some(130), "{keys:?}");
    }
    for keys in ["?q", "/q\r", "/qqq\x1b", "Q"] {
        assert_eq!(Shown::usual().type_in(keys), None, "{keys:?}");
    }
}

#[test]
fn a_pause_keeps_the_picture_and_goes_on_counting() {
    let mut shown = Shown::usual();
    shown.log(&logged(0, "/before", 200, "-"));
    assert!(!shown.screen().contains("paused"));
    shown.type_in("p");
    shown.log(&logged(1, "/meanwhile", 200, "-"));
    let screen = shown.screen();
    assert!(
        screen.contains("paused") && screen.contains("/before") && !screen.contains("/meanwhile"),
        "{screen}"
    );
    shown.wait(Duration::from_secs(100));
    assert_eq!(shown.dashboard.due(&shown.tally), None);
    assert!(shown.draw().is_empty());
    shown.type_in("p");
    let screen = shown.screen();
    assert!(
        !screen.contains("paused") && screen.contains("/meanwhile") && screen.contains("2xx 2"),
        "{screen}"
    );
}

#[test]
fn s_sorts_by_bytes_and_back() {
    let mut shown = Shown::usual();
    for _ in 0..3 {
        shown.log(&logged(0, "/often", 200, "-"));
    }
    shown.log(&logged(0, "/large", 200, "-").replace(" 512 ", " 1234567 "));
    let order = |screen: &str| screen.find(" /often").unwrap() < screen.find(" /large").unwrap();
    let screen = shown.screen();
    assert!(screen.contains("by hits") && !screen.contains("by bytes") && order(&screen), "{screen}");
    shown.type_in("s");
    let screen = shown.screen();
    assert!(screen.contains("by bytes") && !screen.contains("by hits") && !order(&screen), "{screen}");
    assert!(screen.contains("1.2M /large") && screen.contains("1536 /often"), "{screen}");
    shown.type_in("s");
    assert!(shown.screen().contains("by hits"));
}

#[test]
fn help_lies_over_it_until_any_key() {
    // Among them F1, F5, Insert, Delete, Ctrl-A and Ctrl-Space.
    for key in ["q", "\x1b[A", "?", "/", " ", "\x1bOP", "\x1b[15~", "\x1b[2~", "\x1b[3~", "\x01", "\0"] {
        let mut shown = Shown::usual();
        let before = shown.screen();
        shown.type_in("?");
        let screen = shown.screen();
        for word in ["quit", "pause", "filter", "sort"] {
            assert!(screen.contains(word) && !before.contains(word), "{word}: {screen}");
        }
        assert_eq!(shown.type_in(key), None);
        assert_eq!(shown.screen(), before);
    }
}

#[test]
fn a_key_that_is_for_nothing_changes_nothing() {
    for key in ["\x1bOP", "\x1b[15~", "\x1b[2~", "\x1b[3~", "\x01", "\0"] {
        let mut shown = Shown::usual();
        shown.log(&logged(0, "/one", 200, "-"));
        for before in ["", "\t\t\x1b[B", "p", "/ab"] {
            shown.type_in(before);
            let screen = shown.screen();
            assert_eq!(shown.type_in(key), None);
            assert_eq!(shown.screen(), screen, "{before:?} {key:?}");
        }
    }
}

#[test]
fn a_filter_is_typed_on_the_last_line_and_stays_visible() {
    let mut shown = Shown::usual();
    for (resource, status) in [("/one", 200), ("/two", 404), ("/three", 500)] {
        shown.log(&logged(0, resource, status, "-"));
    }
    shown.type_in("/ [45]0\\d x");
    let screen = shown.screen();
    assert_eq!(screen.lines().last(), Some("/ [45]0\\d x"), "{screen}");
    assert_eq!(shown.terminal.cursor, Some((11, 23)));
    shown.type_in("\x7f\x7f /\x7f\r");
    let screen = shown.screen();
    assert_eq!(shown.terminal.cursor, None);
    assert!(screen.contains("/ [45]0\\d "), "{screen}");
    // The lines that were there are filtered, the numbers are those from now on.
    assert!(
        screen.contains("GET /two") && screen.contains("GET /three") && !screen.contains("GET /one"),
        "{screen}"
    );
    assert!(screen.contains("4xx 0") && screen.contains("0 hits"), "{screen}");
    for (resource, status) in [("/four", 200), ("/five", 503)] {
        shown.log(&logged(1, resource, status, "-"));
    }
    let screen = shown.screen();
    assert!(
        screen.contains("GET /five") && !screen.contains("GET /four") && screen.contains("5xx 1"),
        "{screen}"
    );
    assert!(screen.contains("2xx 0") && screen.contains("1 /five"), "{screen}");
    shown.type_in("/\r");
    let screen = shown.screen();
    assert!(
        !screen.contains("/ [45]") && screen.contains("GET /four") && screen.contains("5 hits"),
        "{screen}"
    );
}

#[test]
fn escape_leaves_the_filter_as_it_was_and_is_told_from_a_sequence() {
    let mut shown = Shown::usual();
    shown.log(&logged(0, "/one", 200, "-"));
    shown.type_in("/two\r");
    assert!(!shown.screen().contains("GET /one"));
    shown.type_in("/one");
    assert!(shown.screen().contains("\n/one\n"));
    shown.type_in("\x1b");
    assert_eq!(
        shown.dashboard.due(&shown.tally),
        Some(shown.now + ESCAPE_WAIT),
        "the rest of a sequence may follow"
    );
    shown.wait(ESCAPE_WAIT);
    let screen = shown.screen();
    assert!(!screen.contains("\n/one\n") && screen.contains(" /two "), "{screen}");
}

#[test]
fn what_is_no_expression_is_told_and_can_be_mended() {
    let mut shown = Shown::usual();
    shown.type_in("/a(b\r");
    let screen = shown.screen();
    assert!(screen.contains("\n/a(b  unclosed group"), "{screen}");
    shown.type_in(")");
    assert!(shown.screen().contains("\n/a(b)\n"));
    shown.type_in("\r");
    assert!(shown.screen().contains("[lines] /a(b) "));
    shown.type_in("/\\w{1000}{1000}\r");
    assert!(shown.screen().contains("too large"), "{}", shown.terminal.text());
    // More than the bound is not taken.
    shown.type_in(&format!("\x15{}", "é".repeat(FILTER_MAX)));
    shown.type_in("\r");
    shown.draw();
    assert_eq!(shown.dashboard.filter.as_ref().unwrap().text.len(), FILTER_MAX);
}

#[test]
fn a_filter_can_be_set_and_removed_while_it_is_paused() {
    let mut shown = Shown::usual();
    shown.log(&logged(0, "/one", 200, "-"));
    shown.log(&logged(0, "/two", 200, "-"));
    shown.type_in("p");
    shown.log(&logged(0, "/twofold", 200, "-"));
    shown.type_in("/tw\r");
    let screen = shown.screen();
    assert!(
        screen.contains("GET /two ") && !screen.contains("GET /one") && !screen.contains("twofold"),
        "{screen}"
    );
    shown.type_in("/\r");
    let screen = shown.screen();
    assert!(
        screen.contains("GET /one") && !screen.contains("twofold") && screen.contains("paused"),
        "{screen}"
    );
    shown.type_in("/tw\rp");
    let screen = shown.screen();
    assert!(screen.contains("GET /twofold") && !screen.contains("GET /one"), "{screen}");
}

#[test]
fn tab_goes_through_the_panes_and_arrows_through_what_is_in_them() {
    let mut shown = Shown::usual();
    for number in 0..20 {
        for _ in number..20 {
            let path = format!("/{number:02}{}", "x".repeat(60));
            shown.log(&logged(number, &path, 200, "-"));
        }
    }
    let panes = ["[referrers]", "[paths]", "[hosts]", "[agents]", "[lines]"];
    for pane in panes {
        shown.type_in("\t");
        let screen = shown.screen();
        assert!(panes.iter().all(|other| screen.contains(other) == (*other == pane)), "{screen}");
        assert!(panes.iter().all(|name| screen.contains(&name[1..name.len() - 1])), "{screen}");
    }
    shown.type_in("\x1b[Z\x1b[Z\x1b[Z");
    assert!(shown.screen().contains("[paths]"));
    // The whole of what is selected is in the last line, and it is always in sight.
    for (keys, number) in
        [("\x1b[B", 0), ("\x1bOB\x1bOB", 2), ("\x1b[6~", 7), ("\x1b[A", 6), ("\x1b[F", 19), ("\x1b[H", 0)]
    {
        shown.type_in(keys);
        let screen = shown.screen();
        let last = screen.lines().last().unwrap();
        assert_eq!(last, format!("/{number:02}{}", "x".repeat(60)), "{keys:?}: {screen}");
        assert!(screen.contains(&format!("> {:>7} /{number:02}x", 20 - number)), "{keys:?}: {screen}");
    }
    shown.type_in("\x1b[C");
    assert!(shown.screen().ends_with(&format!("\n{}\n", "x".repeat(55))), "{}", shown.terminal.text());
    shown.type_in("\x1b");
    shown.wait(ESCAPE_WAIT);
    assert!(!shown.screen().contains('>'), "{}", shown.terminal.text());
}

#[test]
fn a_selected_line_stays_while_others_come() {
    let mut shown = Shown::usual();
    for number in 0..30 {
        shown.log(&logged(0, &format!("/{number}."), 200, "-"));
    }
    shown.draw();
    shown.type_in("\x1b[A\x1b[A");
    assert!(shown.screen().contains(">2026-03-01T00:00:00+00:00 200 GET /28. "), "{}", shown.terminal.text());
    let before = shown.terminal.text();
    for number in 30..40 {
        shown.log(&logged(0, &format!("/{number}."), 200, "-"));
    }
    let screen = shown.screen();
    let lines = |screen: &str| screen.lines().skip(16).take(7).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&screen), lines(&before));
    // One page up, all to the left, and back to what comes.
    shown.type_in("\x1b[5~\x1b[C\x1b[C\x1b[C");
    assert!(shown.screen().contains(">0 200 GET /22. "), "{}", shown.terminal.text());
    shown.type_in("\x1b[H");
    assert!(shown.screen().contains(">0 200 GET /0. "), "{}", shown.terminal.text());
    shown.type_in("\x1b[F");
    assert!(
        shown.screen().contains(" GET /39. ") && !shown.terminal.text().contains('>'),
        "{}",
        shown.terminal.text()
    );
}

#[test]
fn a_word_about_the_log_is_seen_until_a_key_is_pressed() {
    let mut shown = Shown::usual();
    shown.draw();
    shown.dashboard.note("shop: connection lost (\x1b[2J); again in 1 s");
    assert!(shown.screen().ends_with("\nshop: connection lost (\\x1b[2J); again in 1 s\n"));
    shown.type_in("\t");
    assert!(!shown.screen().contains("connection lost"));
}

#[test]
fn a_word_about_the_log_goes_some_seconds_after_the_first_hit_that_comes_behind_it() {
    let mut shown = Shown::usual();
    shown.dashboard.note("access.log: not there; waiting for it");
    shown.draw();
    shown.wait(Duration::from_secs(60));
    assert!(shown.screen().contains("not there"), "nothing came yet");
    shown.log(&logged(0, "/a", 200, "-"));
    shown.wait(Duration::from_secs(1));
    assert!(shown.screen().contains("not there"), "it was not seen long enough");
    shown.wait(Duration::from_secs(10));
    let due = shown.dashboard.due(&shown.tally);
    assert!(due.is_some_and(|due| due <= shown.now) && !shown.screen().contains("not there"));
}

#[test]
fn ctrl_l_draws_all_anew() {
    let mut shown = Shown::usual();
    let first = shown.draw().len();
    shown.type_in("\x0c");
    assert!(shown.draw().len() > first / 2);
}

#[test]
fn one_moves_no_further_than_the_bounds() {
    let mut shown = Shown::usual();
    for number in 0..TOPS_MAX + 50 {
        shown.log(&logged(0, &format!("/{number:03}"), 200, "-"));
    }
    shown.type_in("\t\t\x1b[F");
    let screen = shown.screen();
    assert_eq!(screen.lines().last(), Some(format!("/{:03}", TOPS_MAX - 1).as_str()), "{screen}");
    shown.type_in(&"\x1b[C".repeat(SHIFT_MAX));
    shown.draw();
    assert_eq!(shown.dashboard.shift, SHIFT_MAX);
}

#[test]
fn a_filter_sees_all_of_a_line_of_which_only_a_part_is_kept() {
    let mut shown = Shown::usual();
    shown.type_in("/END\r");
    shown.log(&logged(0, &format!("/{}END", "é".repeat(5000)), 200, "-"));
    shown.log(&logged(0, "/other", 200, "-"));
    assert!(shown.screen().contains("1 hits"), "{}", shown.terminal.text());
    let kept = &shown.tally.line(0).unwrap().text;
    assert!((LINE_KEPT - 3..=LINE_KEPT).contains(&kept.len()) && kept.ends_with('é'), "{kept}");
}
