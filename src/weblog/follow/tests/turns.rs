//! Turns of the loop: how it is told, how much it does at a time, and for whom.

use super::*;
use crate::weblog::follow::DRAIN;
use crate::weblog::follow::local::TURN_MAX;
use crate::weblog::follow::logs::LocalLogs;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

fn is_long() -> bool {
    std::env::var_os("STROMBUS_LONG").is_some()
}

/// Local logs in a loop that is told, without a clock.
struct Told {
    directory: TempDir,
    logs: LocalLogs,
    poll: Poll,
    now: Instant,
}

impl Told {
    fn new() -> Self {
        let now = Instant::now();
        let (logs, poll) = (LocalLogs::new(now), Poll::new().unwrap());
        let descriptor = logs.descriptor().unwrap();
        poll.registry().register(&mut SourceFd(&descriptor), Token(0), Interest::READABLE).unwrap();
        Self { directory: tempfile::tempdir().unwrap(), logs, poll, now }
    }

    fn add(&mut self, name: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        self.logs.add(&path, all(), Rc::default());
        path
    }

    /// The lines of one turn, and whether another is wanted at once.
    fn turn(&mut self) -> (Vec<(usize, String)>, bool) {
        let mut lines = Vec::new();
        let next = self.logs.turn(self.now, |log, told| {
            if let super::Told::Line(_, line) = told {
                lines.push((log, String::from_utf8(line.bytes.to_vec()).unwrap()));
            }
        });
        (lines, next == Some(self.now))
    }

    /// What is read after having been told, at the same time by the clock.
    fn told(&mut self, count: usize) -> Vec<(usize, String)> {
        let (mut all, mut events) = (Vec::new(), Events::with_capacity(4));
        while all.len() < count {
            self.poll.poll(&mut events, Some(Duration::from_secs(20))).unwrap();
            assert!(!events.is_empty(), "nobody tells: {all:?}");
            loop {
                let (lines, more) = self.turn();
                all.extend(lines);
                if !more {
                    break;
                }
            }
        }
        all
    }
}

fn append(path: &std::path::Path, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn many_logs_share_one_descriptor_and_are_read_when_it_tells() {
    let mut rig = Told::new();
    let paths: Vec<_> = (0..20).map(|n| rig.add(&format!("{n}/log"))).collect();
    let other = rig.add("other");
    for path in &paths {
        fs::create_dir(path.parent().unwrap()).unwrap();
        append(path, "first\n");
    }
    assert_eq!(rig.turn().0.len(), 20);
    while rig.turn().1 {}
    for (n, path) in paths.iter().enumerate() {
        append(path, "more\n");
        assert_eq!(rig.told(1), [(n, "more".to_owned())]);
        let to = path.with_extension("1");
        fs::rename(path, &to).unwrap();
        append(&to, "late\n");
        append(path, "new\n");
        assert_eq!(rig.told(2), [(n, "late".to_owned()), (n, "new".to_owned())]);
    }
    append(&other, "appears\n");
    assert_eq!(rig.told(1), [(20, "appears".to_owned())]);
}

#[test]
fn what_a_link_leads_to_is_told_of_too() {
    let mut rig = Told::new();
    let path = rig.add("log");
    let (a, b) = (rig.directory.path().join("x/a"), rig.directory.path().join("y/b"));
    fs::create_dir(a.parent().unwrap()).unwrap();
    fs::create_dir(b.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(&a, &path).unwrap();
    append(&a, "1\n");
    while rig.turn().1 {}
    append(&a, "2\n");
    assert_eq!(rig.told(1), [(0, "2".to_owned())]);
    append(&b, "3\n");
    std::os::unix::fs::symlink(&b, rig.directory.path().join("new")).unwrap();
    fs::rename(rig.directory.path().join("new"), &path).unwrap();
    assert_eq!(rig.told(1), [(0, "3".to_owned())]);
    append(&a, "4\n");
    append(&b, "5\n");
    assert_eq!(rig.told(2), [(0, "4".to_owned()), (0, "5".to_owned())]);
}

#[test]
fn however_often_it_is_told_one_time_is_waited_for() {
    let mut rig = Rig::following(false);
    for _ in 0..1000 {
        rig.write(1);
        rig.run();
    }
    assert_eq!(rig.lines.len(), 1000);
    assert_eq!(rig.timers.waited_for(), 1);
}

#[test]
fn row_22_without_watches_a_log_is_found_by_looking_once_a_second() {
    for blind in BOTH {
        let mut rig = Rig::new(blind);
        rig.local = Local::without_inotify(Rc::clone(&rig.timers));
        assert_eq!(rig.local.descriptor(), None);
        rig.write(5);
        rig.start(all());
        rig.run();
        assert_eq!(rig.lines.len(), 5);
        for _ in 0..3 {
            rig.write(5);
            rig.pass(POLL - Duration::from_millis(1));
            let before = rig.lines.len();
            rig.pass(Duration::from_millis(1));
            assert_eq!(rig.lines.len(), before + 5);
            rig.write(5);
            rig.rotate();
            rig.write(5);
            rig.check();
        }
    }
}

#[test]
fn row_22_a_remote_log_is_looked_at_less_often_while_it_is_idle() {
    let mut rig = Rig::new(true);
    rig.local = Local::without_inotify(Rc::clone(&rig.timers));
    rig.write(1);
    let poll = (Duration::from_millis(100), Duration::from_millis(400));
    rig.start(Options { poll, ..all() });
    rig.run();
    for after in [100, 200, 400, 400, 400] {
        let next = rig.timers.handle_timeout(rig.now).unwrap();
        assert_eq!(next - rig.now, Duration::from_millis(after));
        rig.pass(next - rig.now);
    }
    rig.write(1);
    rig.pass(Duration::from_millis(400));
    let next = rig.timers.handle_timeout(rig.now).unwrap();
    assert_eq!(next - rig.now, Duration::from_millis(100), "there may be more soon");
    rig.check();
}

#[test]
fn row_23_a_burst_is_read_in_bounded_turns_and_nobody_waits_for_it() {
    let bytes: usize = if is_long() { 1 << 30 } else { 64 << 20 };
    let mut rig = Told::new();
    let (big, small) = (rig.add("big"), rig.add("small"));
    let chunk = (0..1000).map(|n| line(n) + "\n").collect::<String>();
    let mut written = 0;
    let mut file = File::create(&big).unwrap();
    while written < bytes {
        file.write_all(chunk.as_bytes()).unwrap();
        written += chunk.len();
    }
    append(&small, &chunk);
    let (mut lines, mut turns, mut small_done) = (0_usize, 0, None);
    loop {
        let (told, more) = rig.turn();
        turns += 1;
        let size: usize = told.iter().map(|(_, line)| line.len() + 1).sum();
        assert!(size <= TURN_MAX * 2, "{size}");
        for (log, text) in told {
            if log == 0 {
                assert_eq!(text, line((lines % 1000) as u64));
                lines += 1;
            } else {
                small_done = Some(turns);
            }
        }
        if !more {
            break;
        }
    }
    assert_eq!(lines, written / chunk.len() * 1000);
    assert!(small_done.is_some_and(|turn| turn <= 2), "{small_done:?} of {turns}");
    assert!(turns > bytes / TURN_MAX / 2, "{turns}");
}

#[test]
fn row_23_whoever_takes_nothing_is_waited_for_and_loses_nothing() {
    for blind in BOTH {
        let mut rig = Rig::following(blind);
        rig.write(100_000);
        rig.pass_untaken(POLL);
        assert!(rig.ledger.receipt().read < 2 * TRAY_MAX as u64, "{:?}", rig.ledger.receipt());
        rig.rotate();
        rig.write(10);
        rig.check();
        rig.check_receipt();
    }
}

#[test]
fn row_23_files_that_end_while_nobody_takes_are_bounded_and_wanted_again() {
    const ROTATIONS: u64 = 16;
    const LINES: u64 = 1000;
    for blind in BOTH {
        let mut rig = Rig::following(blind);
        rig.write(7);
        rig.pass(POLL);
        for _ in 0..ROTATIONS {
            rig.write(LINES);
            rig.pass_untaken(POLL);
            rig.rotate();
            rig.write(0);
            rig.pass_untaken(POLL);
            rig.pass_untaken(DRAIN);
        }
        let ended = rig.ledger.receipt().generations;
        let most = TRAY_MAX as u64 / (LINES * line(0).len() as u64) + 1;
        assert!((2..=most).contains(&ended), "{ended} of {most} at the most");
        let ledger = Rc::clone(&rig.ledger);
        rig.tray.waiting(|_, file, offset| ledger.take_back(file, offset));
        assert!(ledger.checkpoint().files.len() as u64 > ended, "{:?}", ledger.checkpoint());
        rig.tray = Rc::default();
        rig.restart();
        rig.check();
    }
}

#[test]
fn row_23_a_writer_who_never_stops_hides_no_rotation() {
    const READS: usize = 16;
    for blind in BOTH {
        let mut rig = Rig::following(blind);
        // There is a line more whenever somebody reads, of one who keeps the rotated file.
        let (mut writer, written, most) = (rig.writer(), Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (lines, most_reads, mut reads) = (Rc::clone(&written), Rc::clone(&most), 0);
        let writes = move |call| match call {
            Call::Read => {
                writer.write_all((line(lines.replace(lines.get() + 1)) + "\n").as_bytes()).unwrap();
                reads += 1;
                most_reads.set(reads.max(most_reads.get()));
            }
            Call::Stat => reads = 0,
            Call::Open | Call::List => {}
        };
        rig.manners.always.replace(Some(Box::new(writes)));
        rig.now += POLL;
        rig.turn();
        assert!(rig.lines.len() > 10 * READS, "{} lines: it is read all the time", rig.lines.len());
        assert_eq!(most.get(), READS, "reads without a look at the name");
        rig.rotate();
        rig.write(0);
        rig.turn();
        assert_eq!(rig.count(|note| matches!(note, Note::Rotated { .. })), 1, "while he goes on");
        rig.manners.always.replace(None);
        rig.written = written.get();
        rig.write(10);
        rig.check();
        rig.check_receipt();
    }
}

#[test]
fn row_20_a_file_that_has_two_names_is_one_log() {
    let mut rig = Rig::new(false);
    rig.write(1);
    let paths = ["a", "b", "c"].map(|name| rig.directory.path().join(name));
    fs::hard_link(&rig.path, &paths[0]).unwrap();
    std::os::unix::fs::symlink(&rig.path, &paths[1]).unwrap();
    fs::write(&paths[2], "another").unwrap();
    let missing = rig.directory.path().join("missing");
    let bytes = |path: &PathBuf| path.as_os_str().as_bytes().to_vec();
    let asked: Vec<_> =
        [&rig.path, &paths[0], &paths[1], &paths[2], &missing].into_iter().map(bytes).collect();
    let files = rig.local.log(&rig.path);
    let found = Rc::new(RefCell::new(Ok(Vec::new())));
    let (to, of) = (Rc::clone(&found), asked.clone());
    rig.tasks
        .starter()
        .start(async move { *to.borrow_mut() = crate::weblog::follow::distinct(&files, of).await });
    rig.run();
    assert_eq!(*found.borrow(), Ok(vec![asked[0].clone(), asked[3].clone(), asked[4].clone()]));
}
