//! Lines of a log in every format, and in one that the first line may be the directive of.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use strombus::weblog::format::{NAMES, RecordParser};
use strombus::weblog::lines::{Line, LineSplitter};

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
    let mut parsers = PARSERS.clone();
    parsers.push(RecordParser::detecting());
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    parsers
        .extend(core::str::from_utf8(first).ok().and_then(|directive| RecordParser::named(directive).ok()));
    let mut splitter = LineSplitter::default();
    let mut each = |line: Line<'_>| parsers.iter_mut().for_each(|parser| read(parser, line.bytes));
    splitter.push(bytes, &mut each);
    splitter.finish(&mut each);
});
