//! Lines, records and views of a log; and what is shown of them.
#![no_main]
use libfuzzer_sys::fuzz_target;
use strombus::weblog::format::RecordParser;
use strombus::weblog::lines::{LINE_MAX, LineSplitter};
use strombus::weblog::options::{quoted, words};
use strombus::weblog::show::{Show, View};

fuzz_target!(|bytes: &[u8]| {
    let views = [Show::Referrers, Show::Hits, Show::Raw].map(|show| View::Text {
        show,
        escaped: true,
        coloured: false,
    });
    let mut splitter = LineSplitter::default();
    let mut each = |line: strombus::weblog::lines::Line<'_>| {
        assert!(line.bytes.len() <= LINE_MAX && !line.bytes.contains(&b'\n'));
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
