//! Lines a second: parse, parse and filter, and the default output, beside `wc -l` and mawk over the same bytes; and a report by
//! the program, beside goaccess (Debian: `apt-get install goaccess`) that counts as much: clients, paths, referrers, agents,
//! statuses.
//!
//! ```text
//! cargo bench --bench records [-- LINES ROUNDS]
//! ```
//!
//! The log is combined, made here and the same for each run: long paths, escapes of both dialects, requests that are none, lines
//! that are no records, and a hit with status 200 and a referrer in 55 of 100 lines. The jobs take turns in each round;
//! figures are medians of a job, ratios are medians of the rounds' own. `wc` and mawk read the file from memory where there is
//! /dev/shm, their start included; mawk prints the same as the default output, but cuts what holds a `\"`.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime};
use strombus::weblog::format::RecordParser;
use strombus::weblog::lines::LineSplitter;
use strombus::weblog::options::ViewOptions;
use strombus::weblog::view::{Destination, Place, Room, View};

/// What mawk runs, with `"` between fields.
const MAWK: &str =
    r#"$3 ~ /^ 200 / && $4 != "-" && $4 != "" { split($2, request, " "); print $4 "  --> " request[2] }"#;

/// What goaccess counts otherwise, and ours does not.
const WITHOUT: [&str; 11] = [
    "VISITORS",
    "OS",
    "NOT_FOUND",
    "VISIT_TIMES",
    "VIRTUAL_HOSTS",
    "REFERRING_SITES",
    "KEYPHRASES",
    "REMOTE_USER",
    "CACHE_STATUS",
    "MIME_TYPE",
    "TLS_TYPE",
];

const OURS: &str = env!("CARGO_BIN_EXE_ssh-weblog");

/// What is read at once (bytes), as a follower does.
const CHUNK: usize = 256 << 10;

struct Random(u64);

impl Random {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn of<'t>(&mut self, table: &[&'t str]) -> &'t str {
        table[usize::try_from(self.below(table.len() as u64)).unwrap()]
    }
}

const WORDS: [&str; 8] = ["article", "images", "static", "product", "search", "conch", "archive", "2026"];
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/145.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Mobile/15E148",
    "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0",
    "curl/8.5.0",
];
const REFERRERS: [&str; 4] = [
    "https://news.example/item?id=",
    "https://search.example/?q=ssh+",
    "https://x.org/",
    "https://www.site.example/a/",
];

/// A combined log of so many lines.
fn log(lines: u64) -> Vec<u8> {
    let mut random = Random(2003);
    let mut log = Vec::new();
    for line in 0..lines {
        if line % 700 == 699 {
            log.extend_from_slice(b"203.0.113.9 - - [01/Mar/2026:00:00:00 +0000] \"GET /cut\n");
            continue;
        }
        let mut path = String::new();
        let parts = if line % 7000 == 0 { 900 } else { 1 + random.below(5) };
        for _ in 0..parts {
            path += &format!("/{}-{}", random.of(&WORDS), random.below(10_000));
        }
        let request = match random.below(300) {
            0 => r"\x16\x03\x01\x02\x00\x01\x00".to_owned(),
            1 => "-".to_owned(),
            _ => format!(
                "{} {path}?id={:x} HTTP/1.1",
                random.of(&["GET", "GET", "GET", "POST"]),
                random.next()
            ),
        };
        let (status, referred) = match random.below(100) {
            0..55 => ("200", true),
            55..75 => ("200", false),
            _ => (random.of(&["301", "304", "404", "500"]), random.below(2) == 0),
        };
        let referrer = match (referred, random.below(100)) {
            (false, _) => "-".to_owned(),
            (true, 0) => format!(r#"https://forum.example/t?title=\"twisted\"&n={}"#, random.below(9999)),
            (true, 1) => format!(r"https://blog.example/caf\xC3\xA9/{}", random.below(9999)),
            _ => format!("{}{:x}", random.of(&REFERRERS), random.below(1 << 40)),
        };
        let user = if random.below(50) == 0 { "ann lee" } else { "-" };
        let (second, minute, hour) = (line / 20 % 60, line / 1200 % 60, line / 72_000 % 24);
        log.extend_from_slice(
            format!(
                "203.0.{}.{} - {user} [{:02}/Mar/2026:{hour:02}:{minute:02}:{second:02} +0000] \"{request}\" {status} {} \
                 \"{referrer}\" \"{}\"\n",
                random.below(256),
                random.below(256),
                1 + line / 1_728_000 % 28,
                random.below(100_000),
                random.of(&AGENTS),
            )
            .as_bytes(),
        );
    }
    log
}

fn parse(log: &[u8]) -> u64 {
    let (mut parser, mut splitter, mut records) = (RecordParser::default(), LineSplitter::default(), 0);
    for chunk in log.chunks(CHUNK) {
        splitter.push(chunk, |line| records += u64::from(matches!(parser.parse(line.bytes), Ok(Some(_)))));
    }
    records
}

fn filter(log: &[u8]) -> u64 {
    let (mut parser, mut splitter, mut hits) = (RecordParser::default(), LineSplitter::default(), 0);
    for chunk in log.chunks(CHUNK) {
        splitter.push(chunk, |line| {
            let referred = matches!(&parser.parse(line.bytes), Ok(Some(record)) if record.is_referred());
            hits += u64::from(referred);
        });
    }
    hits
}

fn show(log: &[u8], out: &mut Vec<u8>) -> u64 {
    let (mut parser, mut splitter) = (RecordParser::default(), LineSplitter::default());
    let view = View::new(&ViewOptions::default(), Destination::default(), SystemTime::now()).unwrap();
    let mut room = Room::default();
    let mut shown = 0;
    for chunk in log.chunks(CHUNK) {
        out.clear();
        splitter.push(chunk, |line| {
            if let Ok(Some(record)) = &parser.parse(line.bytes) {
                let hit = view.hit(record, &mut room);
                view.show(Place { source: "log", seq: None }, &line, hit.as_ref(), out);
            }
        });
        shown += out.len() as u64;
    }
    shown
}

fn program(program: &str, arguments: &[&str], file: &Path) -> bool {
    Command::new(program)
        .args(arguments)
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A name, and what it does; false if it could not.
type Job<'a> = (&'a str, Box<dyn FnMut() -> bool + 'a>);

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let number = |at: usize, default| numbers.get(at).copied().unwrap_or(default);
    let (lines, rounds) = (number(0, 1_000_000), number(1, 7));
    let log = log(lines);
    let memory = Path::new("/dev/shm");
    let place = tempfile::tempdir_in(if memory.exists() { memory } else { Path::new("/tmp") }).unwrap();
    let file = place.path().join("access.log");
    fs::write(&file, &log).unwrap();
    println!(
        "{lines} lines, {} MB; {} records, {} hits; medians of {rounds} rounds",
        log.len() / 1_000_000,
        parse(&log),
        filter(&log)
    );
    let mut out = Vec::new();
    let report = place.path().join("report.json");
    let report = report.to_str().unwrap();
    let without = WITHOUT.map(|panel| format!("--ignore-panel={panel}"));
    let goaccess =
        ["--no-global-config", "--no-progress", "--log-format=COMBINED", "--enable-panel=REFERRERS"];
    let goaccess: Vec<_> =
        goaccess.into_iter().chain(without.iter().map(String::as_str)).chain(["-o", report, "-f"]).collect();
    let mut jobs: [Job<'_>; 7] = [
        ("parse", Box::new(|| black_box(parse(black_box(&log))) > 0)),
        ("parse and filter", Box::new(|| black_box(filter(black_box(&log))) > 0)),
        ("default output", Box::new(|| black_box(show(black_box(&log), &mut out)) > 0)),
        ("wc -l", Box::new(|| program("wc", &["-l"], &file))),
        ("mawk", Box::new(|| program("mawk", &["-F", "\"", MAWK], &file))),
        ("--stats", Box::new(|| program(OURS, &["--no-follow", "--stats"], &file))),
        ("goaccess", Box::new(|| program("goaccess", &goaccess, &file))),
    ];
    let mut took = [(); 7].map(|()| Vec::new());
    for _ in 0..rounds {
        for ((_, job), took) in jobs.iter_mut().zip(&mut took) {
            let begun = Instant::now();
            let ran = job();
            took.push(if ran { begun.elapsed().as_secs_f64() } else { f64::NAN });
        }
    }
    println!("{:18} {:>12} {:>10} {:>10} {:>12}", "", "M lines/s", "of wc -l", "of mawk", "of goaccess");
    for ((name, _), own) in jobs.iter().zip(&took) {
        let beside = |other: &[f64]| {
            let ratios: Vec<f64> = own.iter().zip(other).map(|(own, other)| other / own).collect();
            median(&ratios)
        };
        let rate = lines as f64 / median(own) / 1e6;
        let [wc, mawk, goaccess] = [3, 4, 6].map(|other| beside(&took[other]));
        println!("{name:18} {rate:12.2} {wc:10.2} {mawk:10.2} {goaccess:12.2}");
    }
}
