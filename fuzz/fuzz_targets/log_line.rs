//! Lines, records and views of a log; and what is shown and reported of them.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use std::time::SystemTime;
use strombus::driver::text::{acts, quoted};
use strombus::weblog::format::RecordParser;
use strombus::weblog::lines::{LINE_MAX, Line, LineSplitter};
use strombus::weblog::options::{Show, ViewOptions, words};
use strombus::weblog::view::{Destination, Place, Room, View};

/// Every form, each with and without `--anonymize`; a report and an alert beside them.
static VIEWS: LazyLock<Vec<View>> = LazyLock::new(|| {
    let template = "{{{time}}} {client} {user} {host} {method} {path} {query} {protocol} {referrer} {agent} {forwarded_for} {line}";
    let forms = [
        ViewOptions::default(),
        ViewOptions { show: Some(Show::Hits), ..ViewOptions::default() },
        ViewOptions { show: Some(Show::Raw), ..ViewOptions::default() },
        ViewOptions { json: true, site: vec!["x.org".to_owned()], ..ViewOptions::default() },
        ViewOptions {
            format: Some(template.to_owned()),
            path: vec!["[a-z]".to_owned()],
            ..ViewOptions::default()
        },
        ViewOptions {
            stats: true,
            over: Some("1/s".to_owned()),
            from: vec!["0.0.0.0/0".to_owned()],
            ..ViewOptions::default()
        },
    ];
    let anonymized = forms.clone().map(|form| ViewOptions { anonymize: vec!["16/80".to_owned()], ..form });
    let destination = Destination { escaped: true, coloured: false, names_sources: true };
    let view = |options| View::new(options, destination, SystemTime::now()).expect("they are right");
    forms.iter().chain(&anonymized).map(view).collect()
});

fuzz_target!(|bytes: &[u8]| {
    let mut splitter = LineSplitter::default();
    let mut sums: Vec<_> = VIEWS.iter().map(|view| (view.start_report(), view.start_alert())).collect();
    let mut each = |line: Line<'_>| {
        assert!(line.bytes.len() <= LINE_MAX && !line.bytes.contains(&b'\n'));
        let record = RecordParser::default().parse(line.bytes).ok().flatten();
        for (view, (report, alert)) in VIEWS.iter().zip(&mut sums) {
            let (mut room, mut out) = (Room::default(), Vec::new());
            let hit = record.as_ref().and_then(|record| view.hit(record, &mut room));
            view.show(Place { source: "source", seq: None }, &line, hit.as_ref(), &mut out);
            is_plain(&out, 1);
            assert_eq!(out.is_empty(), out.last() != Some(&b'\n'));
            assert!(
                !view.is_json()
                    || out.is_empty()
                    || (out.first(), out.get(out.len() - 2)) == (Some(&b'{'), Some(&b'}'))
            );
            if let (Some(report), Some(alert)) = (report, alert) {
                report.line(&line, record.is_none());
                if let Some(hit) = &hit {
                    report.hit(hit);
                    alert.hit(hit.record());
                }
            }
        }
    };
    for chunk in bytes.chunks(61) {
        splitter.push(chunk, &mut each);
    }
    splitter.finish(&mut each);
    for (report, alert) in &sums {
        let mut out = Vec::new();
        if let Some(report) = report {
            report.write_text(&[], &mut out);
            report.write_json(&[], &mut out);
        }
        if let Some(evidence) = alert.as_ref().and_then(|alert| alert.evidence()) {
            evidence.write_text(&mut out);
            evidence.write_json(&mut out);
        }
        is_plain(&out, usize::MAX);
    }
    let text = String::from_utf8_lossy(bytes);
    let _ = words(&text);
    let quoted = String::from_utf8(quoted(text.as_bytes())).expect("nothing was taken away");
    assert_eq!(words(&quoted).as_deref(), Some(&[text.into_owned()][..]));
});

/// So many lines of text that do nothing to a terminal.
fn is_plain(shown: &[u8], lines: usize) {
    let text = std::str::from_utf8(shown).expect("what is shown is UTF-8");
    assert!(text.lines().count() <= lines);
    assert!(text.split('\n').all(|line| !line.chars().any(acts)));
}
