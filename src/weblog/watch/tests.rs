//! A watch in its loop, whose output goes to the test.

use super::*;
use crate::weblog::follow::logs::TRAY_MAX;
use std::io::{PipeReader, Read};
use std::path::Path;
use std::{fs, thread};

/// A watch of all that is in a local log, and what it writes to.
fn watch_of(path: &Path) -> (Driver<Client, Watch>, PipeReader) {
    let (reader, writer) = io::pipe().unwrap();
    let source = Source { name: "log".to_owned(), place: Place::Local(path.to_owned()) };
    let options = WatchOptions {
        sources: vec![source],
        hosts: Vec::new(),
        view: ViewOptions { format: Some("{line}".to_owned()), ..ViewOptions::default() },
        destination: Destination::default(),
        log_format: Some("common".to_owned()),
        start: None,
        with_rotated: false,
        follow: false,
        via: None,
        retry: None,
        state: None,
        sorted: false,
        quiet: true,
        verbose: false,
        seconds: None,
    };
    let view = options.check().unwrap();
    let driver = Driver::with_waker(|waker| {
        let out = Output::to(writer, Arc::clone(&waker))?;
        Watch::new(options, view, None, None, out, waker)
    });
    let mut driver = driver.unwrap();
    driver.with(|watch, cx, peers| watch.start(cx, peers)).unwrap();
    (driver, reader)
}

#[test]
fn above_so_much_unwritten_output_nothing_is_taken_of_the_logs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let line = |number| {
        format!("203.0.113.7 - - [01/Mar/2026:12:00:00 +0000] \"GET /{number:0>4000} HTTP/1.1\" 200 5\n")
    };
    let all: String = (0..2000).map(line).collect();
    fs::write(&path, &all).unwrap();
    let (mut driver, mut reader) = watch_of(&path);
    for _ in 0..100 {
        driver.with(|watch, cx, peers| watch.turn(cx, peers)).unwrap();
    }
    // What is taken at a time is a tray, and what one read more has brought.
    let (unwritten, (_, read)) = (driver.app.unwritten, driver.app.sources.written_and_read());
    let most = OUTPUT_MARK + 2 * TRAY_MAX;
    assert!((OUTPUT_MARK..most).contains(&unwritten), "{unwritten} bytes of {}", all.len());
    assert!(read < 4 << 20, "{read} bytes are read");
    let reading = thread::spawn(move || {
        let mut shown = String::new();
        reader.read_to_string(&mut shown).map(|_| shown)
    });
    driver.run().unwrap();
    assert_eq!(driver.app.finish(), 0);
    assert!(reading.join().unwrap().unwrap() == all, "all is shown to who reads");
}
