//! Lines that somebody wrote to act, or that hold what must not be shown.

use super::{HIT, bytes_shown, options, view};
use crate::driver::text::acts;
use crate::weblog::format::RecordParser;
use crate::weblog::record::{Escapes, Record, Text};
use crate::weblog::time::Stamp;
use crate::weblog::view::{Report, Room};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

const FORMS: [&[&str]; 6] = [
    &[],
    &["--show", "hits"],
    &["--show", "raw"],
    &["--json"],
    &[
        "--format",
        "{client} {user} {host} {resource} {path} {query} {protocol} {referrer} {agent} {forwarded_for} {line}",
    ],
    &["--show", "hits", "--bots", "only", "--since", "@0"],
];

/// Bytes among which many act.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "\x1b]52;c;eA==\x07",
        "\u{9b}31m",
        "\u{202e}",
        "\u{2066}",
        "\u{2028}",
        "\\x1b",
        "\\\"",
        "\\x22",
        "\\xe2\\x80\\xae",
        "?",
        "-",
        " ",
        "\r",
        "\0",
        "\t",
        "{path}",
        "é",
        "日本",
        "<b>",
    ]);
    let piece = piece.prop_map(|text| text.as_bytes().to_vec());
    let any_bytes = prop::collection::vec(any::<u8>(), 0..4);
    let pieces = prop::collection::vec(proptest::prop_oneof![3 => piece, 1 => any_bytes], 0..6);
    pieces.prop_map(|pieces| pieces.concat().into_iter().filter(|byte| *byte != b'\n').collect())
}

/// A text of one line that does nothing to a terminal.
fn is_plain(shown: &[u8]) -> bool {
    let Ok(text) = core::str::from_utf8(shown) else { return false };
    text.is_empty() || text.strip_suffix('\n').is_some_and(|line| !line.chars().any(acts))
}

#[test]
fn t101_nothing_that_a_client_wrote_acts_on_a_terminal() {
    let hostile = br#"h - - [01/Mar/2026:00:00:00 +0000] "GET /\x1b]52;c;eA==\x07 HTTP/1.1" 200 1 "https://\xe2\x80\xae" "-""#;
    for form in FORMS {
        let shown = bytes_shown(&view(form), hostile);
        assert!(is_plain(&shown) && !shown.is_empty(), "{form:?}");
    }
    assert_eq!(bytes_shown(&view(&[]), hostile), b"https://\\u{202e}  --> /\\x1b]52;c;eA==\\x07\n");
    let json: serde_json::Value = serde_json::from_slice(&bytes_shown(&view(&["--json"]), hostile)).unwrap();
    assert_eq!(json["resource"], "/\u{1b}]52;c;eA==\u{7}");
}

proptest! {
    #[test]
    fn t101_no_line_puts_anything_that_acts_into_escaped_output_and_json_always_parses(
        places in prop::collection::vec((any::<prop::sample::Index>(), bytes()), 0..4),
    ) {
        let mut line = HIT.to_vec();
        for (at, bytes) in places {
            let at = at.index(line.len() + 1);
            line.splice(at..at, bytes);
        }
        let is_record = matches!(RecordParser::default().parse(&line), Ok(Some(_)));
        for form in FORMS {
            for anonymize in [&[][..], &["--anonymize"]] {
                let shown = bytes_shown(&view(&[form, anonymize].concat()), &line);
                prop_assert!(is_plain(&shown), "{form:?} {:?}", String::from_utf8_lossy(&shown));
                if form == ["--json"] {
                    prop_assert_eq!(!shown.is_empty(), is_record);
                    if is_record {
                        prop_assert!(serde_json::from_slice::<serde_json::Value>(&shown).unwrap().is_object());
                    }
                }
            }
        }
        let view = view(&["--stats"]);
        let mut report = view.start_report().unwrap();
        let (text, json) = reported(&view, &line, &mut report);
        prop_assert!(text.lines().all(|line| !line.chars().any(acts)));
        prop_assert!(is_plain(&json));
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&json).unwrap().is_object());
    }

    #[test]
    fn anonymized_output_never_holds_what_was_cut(
        (a, b, c, d) in any::<(u8, u8, u8, u8)>(), v6 in any::<bool>(),
        escapes in prop::sample::select(vec![Escapes::None, Escapes::Backslash, Escapes::Json, Escapes::Percent]),
        noise in "[a-z/ ]{0,8}", mark in prop::sample::select(vec!["?", "??", "#", "?a=b#"]),
    ) {
        // None of it may be a zero that the mask leaves behind.
        let address = if v6 {
            format!("2001:db8:{a:x}:1{b:02x}:1{c:02x}:1{d:02x}::7f")
        } else {
            format!("{a}.{b}.1{:02}.1{:02}", c % 100, d % 100)
        };
        let field = |text: String| text.into_bytes();
        let user = field(format!("SECRET{noise}"));
        let target = field(format!("/{noise}{mark}SECRET&ip={address}"));
        let apart = field(format!("SECRET{noise}"));
        let referrer = field(format!("https://x.org/{address}/{noise}{mark}SECRET"));
        let agent = field(format!("bot {address} {noise}"));
        let forwarded = field(format!("{address}, SECRET, 198.51.100.77"));
        let text = |bytes| Text::new(bytes, escapes);
        let record = Record {
            time: Some(Stamp::utc(1_772_323_200, 0, 0)),
            client: text(address.as_bytes()),
            user: text(&user),
            host: text(address.as_bytes()),
            target: text(&target),
            query: text(&apart),
            status: Some(200),
            referrer: text(&referrer),
            agent: text(&agent),
            forwarded_for: text(&forwarded),
            ..Record::default()
        };
        let raw = [&user[..], &target, &referrer, &agent, &forwarded, b"\xff"].concat();
        for form in FORMS {
            let view = view(&[form, &["--anonymize"]].concat());
            let line = super::line(&raw);
            let shown = super::shown_of(&view, &line, Some(&record));
            let shown = String::from_utf8(shown).unwrap();
            for cut in ["SECRET", "raw_b64", "198.51.100", &address] {
                prop_assert!(!shown.contains(cut), "{form:?} {cut} {shown}");
            }
        }
        let view = view(&["--stats", "--anonymize", "--over", "0/s"]);
        let (mut room, mut report, mut alert) =
            (Room::default(), view.start_report().unwrap(), view.start_alert().unwrap());
        let hit = view.hit(&record, &mut room).unwrap();
        report.hit(&hit);
        prop_assert!(alert.hit(hit.record()));
        let mut out = Vec::new();
        report.write_text(&[], &mut out);
        report.write_json(&[], &mut out);
        alert.evidence().unwrap().write_text(&mut out);
        alert.evidence().unwrap().write_json(&mut out);
        let out = String::from_utf8(out).unwrap();
        prop_assert!(!out.contains("SECRET") && !out.contains(&address), "{out}");
    }
}

fn reported(view: &crate::weblog::view::View, line: &[u8], report: &mut Report) -> (String, Vec<u8>) {
    let record = RecordParser::default().parse(line).ok().flatten();
    report.line(&super::line(line), record.is_none());
    let mut room = Room::default();
    if let Some(hit) = record.as_ref().and_then(|record| view.hit(record, &mut room)) {
        report.hit(&hit);
    }
    let (mut text, mut json) = (Vec::new(), Vec::new());
    report.write_text(&[], &mut text);
    report.write_json(&[], &mut json);
    (String::from_utf8(text).unwrap(), json)
}

#[test]
fn options_of_nothing_are_the_default() {
    assert_eq!(options(&[]), Default::default());
}
