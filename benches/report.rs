//! What is done with each line of a log, in lines a second on one core: `cargo bench --bench report`.
//!
//! The time is the processor's, so that what runs beside it does not count. Every figure has the splitting into lines and the
//! parsing in it. The log is of the combined format, with so many distinct referrers, paths and clients as the first line of the
//! output says: more than a report has counters for.

use clap::Parser;
use std::fmt::Write;
use std::hint::black_box;
use std::time::SystemTime;
use strombus::weblog::format::RecordParser;
use strombus::weblog::lines::LineSplitter;
use strombus::weblog::options::ViewOptions;
use strombus::weblog::time::Stamp;
use strombus::weblog::view::{Destination, Place, Room, View};

const LINES: u32 = 500_000;
const ROUNDS: usize = 3;
const DISTINCT: u32 = 100_000;
/// Read at once.
const CHUNK: usize = 256 * 1024;

#[derive(Parser)]
#[command(no_binary_name = true)]
struct Arguments {
    #[command(flatten)]
    view: ViewOptions,
}

fn main() {
    let log = log();
    println!("{LINES} lines, {} MB, {DISTINCT} distinct referrers, paths and clients", log.len() / 1_000_000);
    for arguments in [
        &[][..],
        &["--show", "hits"],
        &["--json"],
        &["--status", "5xx", "--show", "hits"],
        &["--path", "^/page/1", "--bots", "hide"],
        &["--anonymize"],
        &["--stats"],
        &["--stats", "--anonymize"],
        &["--over", "1000000/s"],
    ] {
        let view = Arguments::parse_from(arguments).view;
        let view = View::new(&view, Destination::default(), SystemTime::now()).expect("they are right");
        let seconds = (0..ROUNDS).map(|_| run(&view, &log)).fold(f64::INFINITY, f64::min);
        let name = if arguments.is_empty() { "(the default)".to_owned() } else { arguments.join(" ") };
        println!("{name:<40} {:5.2} million lines a second", f64::from(LINES) / seconds / 1e6);
    }
}

/// Seconds that this thread has run.
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanoseconds = stat.split(' ').next().and_then(|first| first.parse::<f64>().ok());
    nanoseconds.expect("its first number is the time on a processor") / 1e9
}

/// Seconds that a view needs for the log.
fn run(view: &View, log: &[u8]) -> f64 {
    let (mut report, mut alert) = (view.start_report(), view.start_alert());
    let (mut parser, mut splitter) = (RecordParser::default(), LineSplitter::default());
    let (mut room, mut out) = (Room::default(), Vec::new());
    let begin = processor_time();
    for chunk in log.chunks(CHUNK) {
        splitter.push(chunk, |line| {
            let record = parser.parse(line.bytes).ok().flatten();
            let hit = record.as_ref().and_then(|record| view.hit(record, &mut room));
            if let Some(report) = &mut report {
                report.line(&line, record.is_none());
                hit.iter().for_each(|hit| report.hit(hit));
            }
            if let (Some(alert), Some(hit)) = (&mut alert, &hit) {
                alert.hit(hit.record());
            }
            view.show(Place { source: "log", seq: None }, &line, hit.as_ref(), &mut out);
        });
        black_box(&out);
        out.clear();
    }
    if let Some(report) = &report {
        report.write_json(&[], &mut out);
        assert!(report.hits() > 0);
    }
    processor_time() - begin
}

/// Some names come often and most rarely, as it is with a site.
fn log() -> Vec<u8> {
    let mut text = String::new();
    let mut state = 2003_u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(state >> 33).unwrap_or(0)
    };
    for at in 0..LINES {
        let mut name = || (next() % DISTINCT) >> (next() % 17);
        let (client, page, from) = (name(), name(), name());
        let status = [200, 200, 200, 200, 304, 404, 500].get(next() as usize % 7).copied().unwrap_or(200);
        let time = Stamp::utc(1_772_323_200 + i64::from(at / 100), 0, 0).common();
        let (size, build) = (next() % 90_000, next() % 200);
        writeln!(
            text,
            "10.{}.{}.{} - - [{time}] \"GET /page/{page}?session={at} HTTP/1.1\" {status} {size} \
             \"https://from{}.example/path/to/{from}\" \"Mozilla/5.0 (X11; Linux x86_64; rv:{build}.0) Gecko/20100101 Firefox\"",
            client >> 16,
            client >> 8 & 255,
            client & 255,
            from % 1000,
        )
        .expect("into memory");
    }
    text.into_bytes()
}
