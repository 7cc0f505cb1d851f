//! Lines, records and views of a log, in every format and in one that the first line may be the directive of; and what is shown
//! of them.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use strombus::weblog::format::{NAMES, RecordParser};
use strombus::weblog::lines::{LINE_MAX, LineSplitter};
use strombus::weblog::options::{quoted, words};
use strombus::weblog::show::{Show, View};

const DIRECTIVES: [&str; 4] = [
    r#"%v:%p %h %u [%{%d/%b/%Y:%T}t.%{msec_frac}t %{%z}t] "%r" %>s %b %D %U%q"#,
    r#"$host$request_uri $remote_user [$time_local] "$request" $status $body_bytes_sent $request_time"#,
    r#"log_format a escape=json '{"t":"$time_iso8601","r":"$request","s":$status,"ref":"$http_referer"}';"#,
    r#"log_format b escape=none '$msec|$remote_addr|$request|$status|$http_user_agent';"#,
];

static PARSERS: LazyLock<Vec<RecordParser>> = LazyLock::new(|| {
    NAMES.iter().chain(&DIRECTIVES).map(|format| RecordParser::named(format).expect("one of them")).collect()
});

/// Reads a line, and all that a record of it says.
fn read(parser: &mut RecordParser, line: &[u8]) {
    let Ok(Some(record)) = parser.parse(line) else { return };
    for field in [
        record.client,
        record.host,
        record.method,
        record.protocol,
        record.referrer,
        record.agent,
        record.forwarded_for,
    ] {
        let _ = field.map(|field| field.decode().len());
    }
    let _ = (record.resource().map(|resource| resource.len()), record.time.map(|time| time.rfc3339()));
    let user = record.user.map_or(&b""[..], |user| user.bytes());
    assert!(!user.starts_with(b"\"") && !user.windows(2).any(|pair| pair[0] != b'\\' && pair[1] == b'"'));
}

fuzz_target!(|bytes: &[u8]| {
    let views = [Show::Referrers, Show::Hits, Show::Raw].map(|show| View::Text {
        show,
        escaped: true,
        coloured: false,
    });
    let mut splitter = LineSplitter::default();
    let mut parsers = PARSERS.clone();
    parsers.push(RecordParser::detecting());
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    parsers
        .extend(core::str::from_utf8(first).ok().and_then(|directive| RecordParser::named(directive).ok()));
    let mut each = |line: strombus::weblog::lines::Line<'_>| {
        assert!(line.bytes.len() <= LINE_MAX && !line.bytes.contains(&b'\n'));
        parsers.iter_mut().for_each(|parser| read(parser, line.bytes));
        let record = RecordParser::default().parse(line.bytes).ok().flatten();
        for view in views {
            let mut out = Vec::new();
            view.render("source", &line, record.as_ref(), &mut out);
            let text = String::from_utf8(out).expect("what is shown is UTF-8");
            assert!(text.strip_suffix('\n').unwrap_or_default().chars().all(|c| !c.is_control()));
        }
        let mut out = Vec::new();
        View::Json.render("source", &line, record.as_ref(), &mut out);
        assert!(out.iter().filter(|b| **b == b'\n').count() == usize::from(record.is_some()));
    };
    for chunk in bytes.chunks(61) {
        splitter.push(chunk, &mut each);
    }
    splitter.finish(&mut each);
    let text = String::from_utf8_lossy(bytes);
    let _ = words(&text);
    assert_eq!(words(&quoted(&text)).as_deref(), Some(&[text.into_owned()][..]));
});
