//! Where a log is begun.

use super::*;
use crate::driver::glob::{FITTING_MAX, TooMany};
use crate::weblog::follow::Since;
use crate::weblog::follow::begin::COLUMNS_BACK_MAX;
use crate::weblog::follow::position::HEAD_MAX;
use crate::weblog::follow::siblings::SIBLINGS_MAX;
use crate::weblog::follow::source::head;
use core::task::{Context, Poll, Waker};
use flate2::{Compression, GzBuilder};

fn numbers(rig: &mut Rig, options: Options) -> Vec<u64> {
    rig.ledger = Rc::default();
    rig.lines.clear();
    rig.start(options);
    rig.run();
    core::mem::take(&mut rig.lines).iter().map(|line| line[..7].parse().unwrap()).collect()
}

fn start(start: Start) -> Options {
    Options { start, ..once() }
}

/// What comes of what does not wait.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match core::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("nothing waits"),
    }
}

#[test]
fn it_begins_so_many_lines_before_the_end_or_at_a_line() {
    for blind in BOTH {
        let mut rig = Rig::new(blind);
        let many = 20_000; // several blocks
        rig.write(many);
        for count in [0, 1, 2, 700, 10_000, many - 1, many, many + 1, u64::MAX] {
            let from = many.saturating_sub(count);
            assert_eq!(
                numbers(&mut rig, start(Start::LinesBeforeEnd(count))),
                (from..many).collect::<Vec<_>>()
            );
            let from = count.saturating_sub(1).min(many);
            assert_eq!(
                numbers(&mut rig, start(Start::Line(count))),
                (from..many).collect::<Vec<_>>(),
                "+{count}"
            );
        }
    }
}

#[test]
fn a_partial_line_at_the_end_belongs_to_the_next_line_and_is_told_if_there_is_none() {
    let mut rig = Rig::new(false);
    rig.append("a\nb\nhal");
    rig.start(Options { start: Start::LinesBeforeEnd(1), ..all() });
    assert_eq!(rig.read(), ["b"]);
    rig.append("f\n");
    assert_eq!(rig.read(), ["half"]);
    rig.append("rest");
    rig.ledger = Rc::default();
    rig.start(once());
    assert_eq!(rig.read(), ["a", "b", "half", "rest|"]);
    assert_eq!(rig.ended, Some(None));
    rig.check_receipt();
    rig.append(" of it\n");
    rig.restart();
    assert_eq!(rig.read(), ["rest of it"], "the place is where the line begins");
}

#[test]
fn the_columns_that_hold_where_a_log_is_begun_are_told_as_far_as_they_are_looked_for() {
    let head = "#Version: 1.0\n#Fields: time c-ip\n";
    let line = "12:00:00 203.0.113.7\n";
    let told = |text: &str, options: Options| {
        let mut rig = Rig::new(false);
        rig.append(text);
        rig.start(options);
        rig.run();
        rig.append(line);
        rig.run();
        assert_eq!(rig.lines.last().map(String::as_str), Some(line.trim_end()));
        rig.directives.concat()
    };
    let at_the_end = Options::default;
    assert!(told(&[head, line].concat(), at_the_end()).starts_with(head));
    assert_eq!(told(&[head, line].concat(), all()), "", "it is read anyway");
    assert_eq!(told(&line.repeat(3), at_the_end()), "", "no such log");
    let (before, columns) = ("#Fields: c-ip date\n", "#Fields: c-ip time\n");
    let long = line.repeat(HEAD_MAX / line.len());
    let whole = [head, &line.repeat((HEAD_MAX - head.len()) / line.len())].concat();
    // Wherever they stand before the place, over the borders of what is read at a time too.
    let bound = COLUMNS_BACK_MAX as usize;
    for behind in [1..128, 65_500..65_570, bound - 64..bound - columns.len()].into_iter().flatten() {
        let rest = format!("{}\n", "x".repeat(behind - 1));
        let text = [head, &long, before, line, columns, &rest].concat();
        assert_eq!(told(&text, at_the_end()), whole.clone() + columns, "{behind} bytes before the place");
    }
    let far = format!("{}\n", "x".repeat(bound));
    assert_eq!(told(&[head, &long, columns, &far].concat(), at_the_end()), whole, "beyond the bound");
}

#[test]
fn rotated_files_are_read_first_packed_or_not() {
    for blind in BOTH {
        let mut rig = Rig::new(blind);
        for _ in 0..4 {
            rig.write(1000);
            rig.rotate();
            rig.now += POLL;
        }
        rig.gzip(".4");
        rig.gzip(".2");
        rig.write(1000);
        let with = |start| Options { with_rotated: true, start, ..once() };
        for count in [1, 999, 1000, 1001, 1500, 3300, 4999, 5000, 6000] {
            let from = 5000_u64.saturating_sub(count);
            assert_eq!(
                numbers(&mut rig, with(Start::LinesBeforeEnd(count))),
                (from..5000).collect::<Vec<_>>()
            );
            let from = (count - 1).min(5000);
            assert_eq!(
                numbers(&mut rig, with(Start::Line(count))),
                (from..5000).collect::<Vec<_>>(),
                "+{count}"
            );
        }
        rig.ledger = Rc::default();
        rig.start(Options { with_rotated: true, ..all() });
        rig.check();
        rig.write(10);
        rig.rotate();
        rig.write(10);
        rig.check();
        rig.check_receipt();
    }
}

#[test]
fn of_very_many_rotated_files_the_newest_are_read() {
    let mut rig = Rig::new(false);
    let count = SIBLINGS_MAX as u64 + 1;
    for age in 1..=count {
        fs::write(rig.sibling(&format!(".{age}")), line(count - age) + "\n").unwrap();
    }
    rig.append(&(line(count) + "\n"));
    let read = numbers(&mut rig, Options { with_rotated: true, ..once() });
    assert_eq!(read, (1..=count).collect::<Vec<_>>());
}

#[test]
fn t101_of_a_directory_what_fits_is_looked_at_and_no_more_than_the_bound() {
    let rig = Rig::new(false);
    let directory = rig.directory.path();
    for name in 0..=FITTING_MAX {
        File::create(directory.join(name.to_string())).unwrap();
    }
    let files = rig.local.log(&rig.path);
    let count = |fits: fn(&[u8]) -> bool| {
        let listed = at_once(files.list(directory.as_os_str().as_bytes(), fits));
        listed.map(|listed| listed.len())
    };
    assert_eq!(count(|name| name == b"7"), Ok(1));
    assert_eq!(count(|name| name != b"7"), Ok(FITTING_MAX));
    assert_eq!(count(|_| true), Err(TooMany.into()));
}

#[test]
fn what_is_packed_in_another_way_is_a_gap_by_name() {
    let mut rig = Rig::new(false);
    rig.write(10);
    fs::write(rig.sibling(".2.xz"), "xz").unwrap();
    fs::write(rig.sibling(".1.zst"), "zst").unwrap();
    rig.start(Options { with_rotated: true, ..once() });
    rig.check();
    let told = |name: &str| format!("{name}: packed in a way that is not read");
    assert_eq!(rig.ledger.receipt().gaps, [told("access.log.2.xz"), told("access.log.1.zst")]);
}

#[test]
fn t101_of_a_packed_file_no_more_is_read_for_its_beginning_than_the_bound() {
    let rig = Rig::new(false);
    let reads = Rc::new(Cell::new(0));
    let count = Rc::clone(&reads);
    let counts = move |call| count.set(count.get() + u64::from(call == Call::Read));
    rig.manners.always.replace(Some(Box::new(counts)));
    let files = TestFiles { inner: rig.local.log(&rig.path), manners: Rc::clone(&rig.manners) };
    let begin = |packed: Vec<u8>| {
        fs::write(&rig.path, packed).unwrap();
        let file = at_once(files.open(rig.path.as_os_str().as_bytes())).unwrap();
        at_once(head(&files, &file)).unwrap()
    };
    let packed = |names: GzBuilder| {
        let mut encoder = names.write(Vec::new(), Compression::default());
        encoder.write_all(b"first\n").unwrap();
        encoder.finish().unwrap()
    };
    let long = |length| vec![b'x'; length];
    let names = GzBuilder::new().extra(long(60_000)).filename(long(50_000));
    assert_eq!(begin(packed(names)), (b"first\n".to_vec(), true), "a header may be long");
    // Members without a text, and one with a text far behind them.
    let empty = GzBuilder::new().write(Vec::new(), Compression::default()).finish().unwrap();
    let mut members = empty.repeat((1 << 19) / empty.len());
    members.extend(packed(GzBuilder::new()));
    reads.set(0);
    assert_eq!(begin(members), (Vec::new(), true));
    assert_eq!(reads.get() * HEAD_MAX as u64, 128 << 10, "bytes");
}

#[test]
fn files_that_are_rotated_at_each_look_are_looked_at_so_often_and_no_more() {
    const LOOKS: usize = 5;
    for blind in BOTH {
        for quiet_at in [LOOKS, usize::MAX] {
            let mut rig = Rig::new(blind);
            rig.write(3);
            rig.rotate();
            rig.write(3);
            // Something else is rotated before each second listing of a look.
            let (lists, older) = (Rc::new(Cell::new(0)), rig.sibling(".1"));
            let count = Rc::clone(&lists);
            let rotates = move |call| {
                if call == Call::List {
                    count.set(count.get() + 1);
                    assert!(count.get() < 100, "it looks for ever");
                    if count.get() % 2 == 0 && count.get() / 2 < quiet_at {
                        let aside = older.with_extension(format!("{}", count.get() + 5));
                        fs::copy(&older, aside).unwrap();
                    }
                }
            };
            rig.manners.always.replace(Some(Box::new(rotates)));
            rig.start(Options { with_rotated: true, ..once() });
            rig.run();
            assert_eq!(lists.get(), 2 * LOOKS, "{blind} {quiet_at}");
            assert_eq!(rig.ended, Some(None), "what was seen the last time is taken");
            let last: Vec<_> = rig.lines.iter().rev().take(6).rev().cloned().collect();
            assert_eq!(last, (0..6).map(line).collect::<Vec<_>>());
        }
    }
}

/// A stamp for each line: its number, and every tenth a few seconds back.
fn stamp(line: &[u8]) -> Option<i64> {
    let number: i64 = str::from_utf8(line.get(..7)?).ok()?.parse().ok()?;
    (number % 3 != 0).then_some(if number % 10 == 0 { number - 5 } else { number })
}

#[test]
fn a_time_is_found_by_halving_and_begun_a_minute_before() {
    for blind in BOTH {
        let mut rig = Rig::new(blind);
        for _ in 0..3 {
            rig.write(20_000);
            rig.rotate();
        }
        rig.gzip(".3");
        rig.write(20_000);
        for seconds in [0, 1, 61, 19_999, 20_000, 20_100, 33_333, 60_030, 61_000, 79_999, 80_100, i64::MAX] {
            for with_rotated in [false, true] {
                let since = Some(Since { seconds, stamp: Rc::new(stamp) });
                let got = numbers(&mut rig, Options { since, with_rotated, ..once() });
                let first = if with_rotated { 0 } else { 60_000 };
                let wanted = u64::try_from(seconds - 60).unwrap_or(0).clamp(first, 79_999);
                assert!(got[0] <= wanted, "{seconds} {with_rotated}: {}", got[0]);
                assert!(wanted - got[0] <= 1500 || got[0] == 0, "{seconds}: not so much before: {}", got[0]);
                assert_eq!(got, (got[0]..80_000).collect::<Vec<_>>());
            }
        }
        let since = Some(Since { seconds: 70_000, stamp: Rc::new(stamp) });
        let last = Options { since, ..start(Start::LinesBeforeEnd(5)) };
        assert_eq!(numbers(&mut rig, last).len(), 5, "the last lines of what there is since then");
    }
}

#[test]
fn what_is_not_there_is_a_trouble_unless_it_is_waited_for() {
    for blind in BOTH {
        let mut rig = Rig::new(blind);
        rig.start(once());
        rig.run();
        assert_eq!(rig.ended, Some(Some("no such file".to_owned())));
        rig.start(Options::default());
        rig.pass(POLL * 10);
        assert_eq!((rig.ended.take(), rig.notes.as_slice()), (None, &[Note::Waiting][..]));
        rig.write(5);
        rig.check();
        rig.manners.denied.set(true);
        rig.ledger = Rc::default();
        rig.start(once());
        rig.run();
        assert_eq!(rig.ended, Some(Some("permission denied".to_owned())));
    }
}

#[test]
fn a_log_that_is_new_and_rotated_before_anybody_has_looked_is_read() {
    for blind in BOTH {
        let mut rig = Rig::new(blind);
        rig.write(0);
        fs::rename(&rig.path, rig.sibling(".1")).unwrap();
        fs::write(rig.sibling(".1"), "an old one\n").unwrap();
        rig.start(Options::default());
        rig.pass(POLL);
        rig.now += POLL;
        for _ in 0..3 {
            rig.write(5);
            rig.rotate();
            rig.now += POLL;
        }
        rig.write(5);
        rig.check();
        rig.check_receipt();
    }
}
