//! A dashboard with whatever is typed, logged and said to it: parts of the input by their first byte. What it writes are printable
//! characters and sequences of its own, and no more than its terminal has cells for.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};
use strombus::connection::WindowSize;
use strombus::driver::text::acts;
use strombus::weblog::dashboard::{Dashboard, LEAVE, Look, Tally};
use strombus::weblog::format::RecordParser;
use strombus::weblog::lines::Line;
use strombus::weblog::options::ViewOptions;
use strombus::weblog::view::{Destination, Place, Room, View};

static VIEW: LazyLock<View> = LazyLock::new(|| {
    let options = ViewOptions { dashboard: true, ..ViewOptions::default() };
    View::new(&options, Destination::default(), SystemTime::now()).expect("it is right")
});

fuzz_target!(|bytes: &[u8]| {
    let [first, rest @ ..] = bytes else { return };
    let look = Look { coloured: first & 1 == 0, unicode: first & 2 == 0 };
    let (mut now, mut size) = (Instant::now(), WindowSize::default());
    let (mut tally, mut dashboard, mut out) =
        (Tally::default(), Dashboard::new("log", look, size, now), Vec::new());
    dashboard.enter(&mut out);
    for part in rest.split(|byte| *byte == 0xff) {
        let [kind, part @ ..] = part else { continue };
        match (kind % 6, part) {
            (0 | 1, typed) => drop(dashboard.input(typed, &tally, now)),
            (2, line) => {
                let (mut room, mut text) = (Room::default(), Vec::new());
                let Ok(Some(record)) = RecordParser::default().parse(line) else { continue };
                let Some(hit) = VIEW.hit(&record, &mut room) else { continue };
                let line = Line { bytes: line, offset: 0, cut: false, partial: false };
                VIEW.show(Place { source: "log", seq: None }, &line, Some(&hit), &mut text);
                tally.hit(&text, &hit, now);
                dashboard.hit(&text, &hit, now);
            }
            (3, [columns, rows, ..]) => {
                size = WindowSize { columns: (*columns).into(), rows: (*rows).into(), ..size };
                dashboard.resize(size);
            }
            (4, text) => dashboard.note(&String::from_utf8_lossy(text)),
            (_, time) => {
                now += Duration::from_millis(time.len() as u64 * 100);
                tally.skipped(time.len() as u64);
                dashboard.skipped(time.len() as u64);
            }
        }
        now += Duration::from_millis(100);
        let begin = out.len();
        dashboard.draw(&tally, now, &mut out);
        let cells = (size.clamped().columns * size.clamped().rows) as usize;
        assert!(out.len() - begin <= 64 + 40 * cells);
    }
    out.extend_from_slice(LEAVE);
    let text = core::str::from_utf8(&out).expect("UTF-8");
    let mut parts = text.split('\x1b');
    assert_eq!(parts.next(), Some(""));
    for part in parts {
        let sequence = part.strip_prefix('[').expect("a sequence");
        let end = sequence.find(|c: char| !c.is_ascii_digit() && !"?;".contains(c)).expect("its end");
        assert!("HJhlm".contains(&sequence[end..=end]) && !sequence.contains(acts));
        assert!(look.coloured || &sequence[end..=end] != "m");
        assert!(look.unicode || sequence.is_ascii());
    }
});
