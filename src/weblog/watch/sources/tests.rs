//! The bounds of what a pattern may find, in a time of the tests' own.

use super::*;
use crate::weblog::options::ViewOptions;
use crate::weblog::view::{Destination, View};
use std::fs;
use std::time::SystemTime;
use tempfile::TempDir;

/// A watch of one pattern, whose looks the test does itself.
struct Watched {
    directory: TempDir,
    options: WatchOptions,
    sources: Sources,
    showing: Showing,
    now: Instant,
}

impl Watched {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let pattern = directory.path().join("*.log");
        let source = Source { name: pattern.to_str().unwrap().to_owned(), place: Place::Local(pattern) };
        let options = WatchOptions {
            sources: vec![source],
            hosts: Vec::new(),
            view: ViewOptions { format: Some("{source} {line}".to_owned()), ..ViewOptions::default() },
            destination: Destination::default(),
            log_format: Some("common".to_owned()),
            start: None,
            with_rotated: false,
            follow: true,
            via: None,
            retry: None,
            state: None,
            sorted: false,
            quiet: true,
            verbose: false,
            seconds: None,
        };
        let now = Instant::now();
        let view = View::new(&options.view, options.destination, SystemTime::now()).unwrap();
        let showing = Showing::new(view, false, true, false);
        let sources = Sources::new(&options, showing.view(), now);
        Self { directory, sources, options, showing, now }
    }

    fn path(&self, name: &str) -> Vec<u8> {
        self.directory.path().join(name).into_os_string().into_encoded_bytes()
    }

    fn write(&self, name: &str, resource: &str) {
        let line =
            format!("203.0.113.7 - - [01/Mar/2026:12:00:00 +0000] \"GET {resource} HTTP/1.1\" 200 5\n");
        let path = self.directory.path().join(name);
        let file = fs::OpenOptions::new().append(true).create(true).open(path);
        io::Write::write_all(&mut file.unwrap(), line.as_bytes()).unwrap();
    }

    /// The pattern finds these, after so long.
    fn find(&mut self, after: Duration, names: &[String], state: Option<&State>) {
        self.turns(after);
        let mut paths: Vec<_> = names.iter().map(|name| self.path(name)).collect();
        paths.sort();
        let found = Found { paths, by_pattern: true, trouble: None, is_last: false };
        self.sources.found.borrow_mut().push((0, found));
        self.sources.take_found(&self.options, &mut self.showing, state, |_| None);
        self.turns(Duration::from_secs(2));
    }

    /// Time passes, and all that can be done is done.
    fn turns(&mut self, time: Duration) {
        self.now += time;
        for _ in 0..3 {
            self.sources.run(self.now);
            self.sources.take(&mut self.showing, true, false, self.now);
        }
    }

    fn followed(&self) -> usize {
        self.sources.logs.iter().filter(|log| !log.ended).count()
    }

    fn shown(&mut self) -> String {
        String::from_utf8(core::mem::take(&mut self.showing.out)).unwrap()
    }
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number:05}.log")).collect()
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn other_names_at_each_look_are_followed_up_to_a_bound_which_is_told_once() {
    let mut watched = Watched::new();
    watched.find(MINUTE, &names("a", LOGS_MAX - 5), None);
    assert!(watched.sources.told_full.is_empty());
    for prefix in ["b", "c", "d"] {
        watched.find(MINUTE, &names(prefix, 100), None);
        assert_eq!((watched.sources.logs.len(), watched.followed()), (LOGS_MAX, LOGS_MAX));
        assert_eq!(watched.sources.told_full.len(), 1);
    }
    assert_eq!(watched.showing.name(LOGS_MAX - 1), String::from_utf8(watched.path("b00004.log")).unwrap());
}

#[test]
fn logs_that_have_vanished_for_long_make_room_for_others() {
    let mut watched = Watched::new();
    let state_file = watched.directory.path().join("state");
    let mut state = State::load(&state_file).unwrap();
    watched.find(MINUTE, &names("a", LOGS_MAX), Some(&state));
    watched.sources.places(&watched.showing).keep(&mut state);
    let old = watched.showing.name(0).to_owned();
    assert!(state.checkpoint(&old).is_some());
    watched.find(LET_GO - MINUTE, &names("b", 10), Some(&state));
    assert_eq!(watched.showing.name(0), old, "not long enough");
    // Their followers end, and then there is room.
    watched.find(MINUTE, &names("b", 10), Some(&state));
    assert_eq!((watched.sources.logs.len(), watched.followed()), (LOGS_MAX, 0));
    watched.find(MINUTE, &names("b", 10), Some(&state));
    assert_eq!((watched.sources.logs.len(), watched.followed()), (LOGS_MAX, 10));
    assert_eq!(watched.showing.name(0), String::from_utf8(watched.path("b00000.log")).unwrap());
    watched.sources.places(&watched.showing).keep(&mut state);
    assert!(state.checkpoint(&old).is_none(), "it is forgotten");
    assert!(
        state.checkpoint(watched.showing.name(LOGS_MAX - 1)).is_some(),
        "there was no need to forget this one"
    );
}

#[test]
fn a_log_that_was_let_go_and_comes_back_goes_on_where_it_was() {
    let mut watched = Watched::new();
    let a = ["a.log".to_owned()];
    watched.find(MINUTE, &["b.log".to_owned()], None);
    watched.write("a.log", "/1");
    watched.find(MINUTE, &a, None);
    watched.write("a.log", "/2");
    watched.turns(MINUTE);
    let shown = watched.shown();
    assert_eq!(
        (shown.lines().count(), shown.contains("/1"), shown.contains("/2")),
        (2, true, true),
        "{shown}"
    );
    for _ in 0..3 {
        watched.find(LET_GO / 2, &[], None);
    }
    watched.write("a.log", "/3");
    watched.turns(MINUTE);
    assert_eq!((watched.followed(), watched.shown()), (0, String::new()), "nobody looks at it");
    watched.find(MINUTE, &a, None);
    watched.write("a.log", "/4");
    watched.turns(MINUTE);
    let shown = watched.shown();
    assert_eq!(
        (shown.lines().count(), shown.contains("/3"), shown.contains("/4")),
        (2, true, true),
        "{shown}"
    );
    assert_eq!(watched.sources.logs.len(), 2);
}

#[test]
fn a_pattern_that_cannot_be_looked_for_is_told_and_lets_nothing_go() {
    let mut watched = Watched::new();
    watched.find(MINUTE, &names("a", 3), None);
    for _ in 0..4 {
        watched.turns(LET_GO);
        let trouble = Some(Trouble::Exhausted);
        let found = Found { paths: Vec::new(), by_pattern: true, trouble, is_last: false };
        watched.sources.found.borrow_mut().push((0, found));
        watched.sources.take_found(&watched.options, &mut watched.showing, None, |_| None);
        watched.turns(MINUTE);
    }
    assert_eq!(watched.followed(), 3);
    assert_eq!(watched.sources.told_missing.len(), 1);
}

#[test]
fn what_a_host_says_of_its_logs_in_ever_new_words_is_shown_up_to_a_bound() {
    for (note, quiet) in [(Note::Trouble as fn(String) -> Note, false), (Note::Gap, true)] {
        let mut watched = Watched::new();
        let place = Place::Host { host: 0, path: b"/a.log".to_vec() };
        let source = Source { name: "host:/a.log".to_owned(), place };
        watched.sources.operands = vec![(source, Looking::Done)];
        let Watched { sources, options, showing, now, .. } = &mut watched;
        let log = sources.add(0, b"/a.log".to_vec(), "host:/a.log".to_owned(), options, showing, None);
        let mut share = Share { tray: Rc::clone(&sources.tray), log };
        let mut say = |sources: &mut Sources, count: usize| {
            for number in 0..count {
                let text = format!("{number} {}", "x".repeat(1000));
                crate::weblog::follow::Sink::note(&mut share, note(text));
            }
            sources.take(showing, quiet, false, *now);
            sources.troubles.get(&0).is_some_and(Notices::is_silent)
        };
        assert!(!say(sources, 10), "what is within the bound is shown");
        assert!(say(sources, 10), "what is beyond it is not");
    }
}
