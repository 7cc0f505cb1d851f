//! Parsing, filtering and showing a line without escapes allocates nothing, once everything is warm. (What is masked is written
//! anew, and the resource is put together where a format has its query apart: those may allocate.)
//!
//! One test, because the counter is the process's.

#[path = "common/alloc.rs"]
mod alloc;
use clap::{Args, Command, FromArgMatches};
use std::time::SystemTime;
use strombus::weblog::format::RecordParser;
use strombus::weblog::lines::LineSplitter;
use strombus::weblog::options::ViewOptions;
use strombus::weblog::view::{Destination, Place, Room, View};

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

/// Lines of a log.
const LINES: usize = 1000;

/// How a log of one format begins, and its lines; `N` is another number in each.
const FORMATS: [(&str, &str, &str); 7] = [
    ("common", "", r#"203.0.113.7 - ann [01/Mar/2026:12:00:00 +0000] "GET /a?q=N HTTP/1.1" 200 5N"#),
    (
        "combined",
        "",
        r#"203.0.113.7 - - [01/Mar/2026:12:00:00 +0000] "GET /a?q=N HTTP/1.1" 200 5N "https://x.example/N" "Firefox/N""#,
    ),
    (
        "vhost",
        "",
        r#"shop.example:443 2001:db8::1 - - [01/Mar/2026:12:00:00 +0100] "GET /a?q=N HTTP/2.0" 200 5N "https://x.example/N" "Firefox/N""#,
    ),
    (
        r#"log_format own '$remote_addr [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $request_time';"#,
        "",
        r#"203.0.113.7 [01/Mar/2026:12:00:00 +0000] "GET /a?q=N HTTP/1.1" 200 5N "https://x.example/N" "Firefox/N" 0.N"#,
    ),
    (
        "json",
        "",
        r#"{"time":"2026-03-01T12:00:00+00:00","remote_addr":"203.0.113.7","request":"GET /a?q=N HTTP/1.1","status":200,"body_bytes_sent":5N,"http_referer":"https://x.example/N","http_user_agent":"Firefox/N"}"#,
    ),
    (
        "caddy",
        "",
        r#"{"level":"info","ts":1772366400.25,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"203.0.113.7","client_ip":"203.0.113.7","proto":"HTTP/2.0","method":"GET","host":"shop.example","uri":"/a?q=N","headers":{"Referer":["https://x.example/N"],"User-Agent":["Firefox/N"]}},"duration":0.0N,"size":5N,"status":200}"#,
    ),
    (
        "w3c",
        "#Fields: date time c-ip cs-method cs-uri-stem cs-uri-query sc-status sc-bytes cs(Referer) cs(User-Agent)\n",
        "2026-03-01 12:00:00 203.0.113.7 GET /aN - 200 5N https://x.example/N Firefox/N",
    ),
];

/// Ways to look at them.
const VIEWS: [&[&str]; 7] = [
    &[],
    &["--show", "hits"],
    &["--show", "raw"],
    &["--json"],
    &[
        "--format",
        "{time} {client} {host} {user} {status} {size} {path} {query} {referrer} {agent} {duration} {line}",
    ],
    &[
        "--show",
        "hits",
        "--status",
        "2xx,304",
        "--method",
        "GET,POST",
        "--path",
        "^/a",
        "--referrer",
        "x.example",
        "--agent",
        "(?i)firefox/[0-9]+",
        "--from",
        "203.0.113.0/24,2001:db8::/32",
        "--bots",
        "hide",
        "--site",
        "own.example",
        "--since",
        "2026-01-01",
        "--until",
        "2027-01-01",
    ],
    &["--status", "404"],
];

fn options(arguments: &[&str]) -> ViewOptions {
    let command = ViewOptions::augment_args(Command::new("view").no_binary_name(true));
    ViewOptions::from_arg_matches(&command.get_matches_from(arguments)).unwrap()
}

#[test]
fn a_line_allocates_nothing() {
    for (format, head, line) in FORMATS {
        let lines: String = (0..LINES).map(|number| line.replace('N', &number.to_string()) + "\n").collect();
        let mut parser = RecordParser::named(format).unwrap();
        for arguments in VIEWS {
            let destination = Destination { escaped: true, coloured: true, names_sources: true };
            let view = View::new(&options(arguments), destination, SystemTime::now()).unwrap();
            let (mut splitter, mut room, mut out) = (LineSplitter::default(), Room::default(), Vec::new());
            let mut show = |text: &str, splitter: &mut LineSplitter, out: &mut Vec<u8>| {
                let mut records = 0;
                splitter.push(text.as_bytes(), |line| {
                    let record = parser.parse(line.bytes).unwrap();
                    let hit = record.as_ref().and_then(|record| view.hit(record, &mut room));
                    view.show(Place { source: "access.log", seq: Some(1) }, &line, hit.as_ref(), out);
                    records += usize::from(record.is_some());
                });
                records
            };
            show(head, &mut splitter, &mut out);
            assert_eq!(show(&lines, &mut splitter, &mut out), LINES, "{format}");
            out.clear();
            out.reserve(LINES * 1000); // some show offsets, which get longer
            alloc::peak();
            let before = (alloc::count(), alloc::held());
            show(&lines, &mut splitter, &mut out);
            let after = (alloc::count(), alloc::peak());
            assert_eq!(after, before, "{format} {arguments:?}: allocations in {LINES} lines");
            let nothing_fits = arguments.contains(&"404")
                || (format == "common" && arguments.is_empty())
                || (format == "common" && arguments.contains(&"--referrer"));
            assert_eq!(out.is_empty(), nothing_fits, "{format} {arguments:?}");
        }
    }
}
