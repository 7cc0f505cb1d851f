//! Contract §2: what is written of a record.

use super::{ESCAPED, HIT, bytes_shown, full, line, now, options, shown, shown_of, view, wrong};
use crate::weblog::lines::{LINE_MAX, Line, NOWHERE};
use crate::weblog::record::{Escapes, Record, Text};
use crate::weblog::view::{BYE, Destination, PARTS_MAX, Place, Room, SHOWN_MAX, View};

/// What is shown of a record with every field.
fn shown_full(arguments: &[&str]) -> String {
    String::from_utf8(shown_of(&view(arguments), &line(b"raw"), Some(&full()))).unwrap()
}

#[test]
fn referrers_are_the_articles_lines() {
    let found = String::from_utf8(HIT.to_vec()).unwrap();
    let default = |line: &str| shown(&[], line.as_bytes());
    assert_eq!(default(&found), "https://x.org/  --> /a?q=1\n");
    assert_eq!(default(&found.replace("GET", "POST")), "https://x.org/  --> /a?q=1\n", "any method");
    for other in [
        found.replace(" 200 ", " 404 "),
        found.replace("https://x.org/", "-"),
        found.replace("https://x.org/", ""),
        "garbage".to_owned(),
        String::new(),
    ] {
        assert_eq!(default(&other), "");
    }
}

#[test]
fn hits_are_one_line_each_with_the_source_in_front_if_there_are_several() {
    assert_eq!(
        shown(&["--show", "hits"], HIT),
        "2026-03-01T00:00:00+00:00 200 GET /a?q=1 512 https://x.org/\n"
    );
    let several = Destination { names_sources: true, ..ESCAPED };
    let several = View::new(&options(&["--show", "hits"]), several, now()).unwrap();
    let expected = "shop 2026-03-01T00:00:00+00:00 200 GET /a?q=1 512 https://x.org/\n";
    assert_eq!(bytes_shown(&several, HIT), expected.as_bytes());
    let bare = br#"h - - [01/Mar/2026:00:00:00 +0000] "-" 408 -"#;
    assert_eq!(shown(&["--show", "hits"], bare), "2026-03-01T00:00:00+00:00 408 - - 0 -\n");
    let none = shown_of(&view(&["--show", "hits"]), &line(b""), Some(&Record::default()));
    assert_eq!(none, b"- - - - - -\n");
}

#[test]
fn colours_are_of_hits_and_only_on_demand() {
    let of = |arguments: &[&str], coloured: bool| {
        let destination = Destination { coloured, ..ESCAPED };
        String::from_utf8(bytes_shown(&View::new(&options(arguments), destination, now()).unwrap(), HIT))
            .unwrap()
    };
    assert!(of(&["--show", "hits"], true).contains(" \x1b[32m200\x1b[0m "));
    assert!(!of(&["--show", "hits"], false).contains('\x1b'));
    for other in [&[][..], &["--json"], &["--show", "raw"], &["--format", "{status}"]] {
        assert!(!of(other, true).contains('\x1b'), "{other:?}");
    }
}

#[test]
fn json_has_every_field_in_its_order() {
    let view = view(&["--json"]);
    let (mut room, mut out, record) = (Room::default(), Vec::new(), full());
    let hit = view.hit(&record, &mut room);
    view.show(Place { source: "shop", seq: Some(77) }, &line(b"raw"), hit.as_ref(), &mut out);
    let expected = concat!(
        r#"{"time":"2026-03-01T01:00:00.250+01:00","source":"shop","offset":9,"seq":77,"client":"203.0.113.7","#,
        r#""user":"ann lee","host":"www.shop.example","method":"GET","resource":"/a/b?q=1","path":"/a/b","query":"q=1","#,
        r#""protocol":"HTTP/2.0","status":200,"size":512,"referrer":"https://x.org/","agent":"Mozilla/5.0","#,
        r#""duration":0.268977,"forwarded_for":"198.51.100.9, 10.0.0.1"}"#,
        "\n"
    );
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn what_is_absent_is_left_out_of_json_and_a_dash_in_a_template() {
    let bare = shown_of(&view(&["--json"]), &line(b"x"), Some(&Record::default()));
    assert_eq!(bare, b"{\"source\":\"shop\",\"offset\":9}\n");
    let dash = Record { has_size: true, ..Record::default() };
    let dash = shown_of(&view(&["--json"]), &line(b"x"), Some(&dash));
    assert_eq!(dash, b"{\"source\":\"shop\",\"offset\":9,\"size\":0}\n", "`-` is a size of 0");
    let all = "{time} {source} {offset} {seq} {client} {user} {host} {method} {resource} {path} {query} {protocol} {status} \
               {size} {referrer} {agent} {duration} {forwarded_for} {line}";
    let view = view(&["--format", all]);
    let bare = shown_of(&view, &line(b""), Some(&Record::default()));
    assert_eq!(String::from_utf8(bare).unwrap(), "- shop 9 - - - - - - - - - - - - - - - -\n");
    let full = String::from_utf8(shown_of(&view, &line(b"raw"), Some(&full()))).unwrap();
    assert_eq!(
        full,
        "2026-03-01T01:00:00.250+01:00 shop 9 - 203.0.113.7 ann lee www.shop.example GET /a/b?q=1 /a/b q=1 HTTP/2.0 200 512 \
         https://x.org/ Mozilla/5.0 0.268977 198.51.100.9, 10.0.0.1 raw\n"
    );
}

#[test]
fn a_template_has_braces_tabs_and_ends_and_an_unknown_name_is_refused() {
    assert_eq!(shown_full(&["--format", r"{{{path}}}\t\n\x é"]), "{/a/b}\t\n\\x é\n");
    assert_eq!(shown_full(&["--format", ""]), "\n");
    for (template, what) in [
        ("{nothing}", "no field {nothing}: write one of time source offset seq client"),
        ("{path", "a { without its }: write {{"),
        ("path}", "a } without its {: write }}"),
        ("{ path}", "no field { path}"),
        ("{}", "no field {}"),
    ] {
        let error = wrong(&["--format", template]);
        assert!(error.starts_with(&format!("--format {template}: {what}")), "{error}");
    }
}

#[test]
fn the_resource_is_decoded_once_and_path_and_query_are_its_parts() {
    let target = Text::new(br"/a\x2520\\x41?b?c", Escapes::Backslash);
    let record = Record { target, ..full() };
    let shown = shown_of(&view(&["--format", "{resource} {path} {query}"]), &line(b""), Some(&record));
    assert_eq!(String::from_utf8(shown).unwrap(), r"/a%20\x41?b?c /a%20\x41 b?c".to_owned() + "\n");
}

#[test]
fn a_line_that_was_cut_or_has_no_end_or_is_not_utf8_says_so() {
    let object = |line: Line<'_>, arguments: &[&str]| {
        let shown = shown_of(&view(arguments), &line, Some(&full()));
        serde_json::from_slice::<serde_json::Value>(&shown).unwrap()
    };
    let marked = object(Line { bytes: b"caf\xe9", offset: 1, cut: true, partial: true }, &["--json"]);
    assert_eq!((&marked["cut"], &marked["partial"]), (&true.into(), &true.into()));
    assert_eq!(marked["raw_b64"], "Y2Fm6Q==");
    let plain = object(line("café".as_bytes()), &["--json"]);
    assert!(plain.get("cut").is_none() && plain.get("partial").is_none() && plain.get("raw_b64").is_none());
    assert!(object(line(b"\xff"), &["--json", "--anonymize"]).get("raw_b64").is_none());
    let latin = [&HIT[..HIT.len() - 1], b" caf\xe9\""].concat();
    assert!(shown(&["--json"], &latin).contains("\"agent\":\"curl/8 caf\u{fffd}\""));
}

#[test]
fn an_offset_that_nobody_knows_is_left_out() {
    let lost = Line { offset: NOWHERE, ..line(HIT) };
    for (offset, line, expected) in [("9", line(HIT), Some(9)), ("-", lost, None)] {
        let object = shown_of(&view(&["--json"]), &line, Some(&full()));
        let object = serde_json::from_slice::<serde_json::Value>(&object).unwrap();
        assert_eq!(object.get("offset").and_then(serde_json::Value::as_u64), expected);
        let shown = shown_of(&view(&["--format", "{offset}"]), &line, Some(&full()));
        assert_eq!(String::from_utf8(shown).unwrap(), format!("{offset}\n"));
        let told = view(&[]).not_understood("shop", &Line { bytes: b"garbage", ..line });
        assert_eq!(told, Some(format!("shop:{offset}: not understood: garbage")));
    }
}

#[test]
fn raw_lines_are_their_own_bytes_in_a_file_and_escaped_elsewhere() {
    let raw =
        |escaped| View::new(&options(&["--show", "raw"]), Destination { escaped, ..ESCAPED }, now()).unwrap();
    assert_eq!(bytes_shown(&raw(false), b"\x1b\xff any"), b"\x1b\xff any\n");
    assert_eq!(bytes_shown(&raw(true), b"\x1b\xff any"), "\\x1b\u{fffd} any\n".as_bytes());
    assert_eq!(bytes_shown(&raw(false), b""), b"\n", "a blank line too");
}

#[test]
fn with_a_filter_raw_lines_are_those_that_parse_and_pass() {
    let found = String::from_utf8(HIT.to_vec()).unwrap();
    assert_eq!(shown(&["--show", "raw", "--status", "2xx"], HIT), found.clone() + "\n");
    assert_eq!(shown(&["--show", "raw", "--status", "404"], HIT), "");
    assert_eq!(shown(&["--show", "raw", "--status", "404"], b"garbage"), "");
    assert_eq!(shown(&["--show", "raw", "--site", "x.org"], b"garbage"), "garbage\n", "a site is no filter");
    for other in [&[][..], &["--json"], &["--show", "hits"], &["--format", "{line}"]] {
        assert_eq!(shown(other, b"garbage"), "", "{other:?}");
    }
}

#[test]
fn what_is_escaped_is_written_as_the_contract_says() {
    let text = "\x1b\t\x7f\u{9b}\u{202e}\u{2028}\\\u{e9}".as_bytes();
    let record = Record { target: Text::plain(text), ..full() };
    let written = shown_of(&view(&[]), &line(b""), Some(&record));
    let expected = "https://x.org/  --> \\x1b\\x09\\x7f\\x9b\\u{202e}\\u{2028}\\\u{e9}\n";
    assert_eq!(String::from_utf8(written).unwrap(), expected);
    let json = String::from_utf8(shown_of(&view(&["--json"]), &line(b""), Some(&record))).unwrap();
    assert!(json.contains(r#""resource":"\u001b\u0009\u007f\u009b\u202e\u2028\\é""#), "{json}");
}

#[test]
fn skipped_records_are_told_in_groups_of_three() {
    for (arguments, expected) in
        [(&[][..], "… 1 234 567 records skipped\n"), (&["--json"], "{\"skipped\":1234567}\n")]
    {
        let mut out = Vec::new();
        view(arguments).show_skipped(Some(1_234_567), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
    let mut out = Vec::new();
    view(&[]).show_skipped(Some(7), &mut out);
    assert_eq!(out, "… 7 records skipped\n".as_bytes());
}

#[test]
fn lines_are_suppressed_by_stats_and_over_unless_their_form_is_named() {
    for (arguments, shows) in [
        (&["--stats"][..], false),
        (&["--stats", "--json"], false),
        (&["--every", "10s"], false),
        (&["--stats", "--show", "hits"], true),
        (&["--stats", "--format", "x"], true),
        (&["--over", "5"], false),
        (&["--over", "5", "--json"], true),
        (&["--over", "5", "--show", "raw"], true),
        (&["--over", "5", "--stats", "--json"], false),
        (&["--top", "3"], true),
    ] {
        assert_eq!(!shown(arguments, HIT).is_empty(), shows, "{arguments:?}");
    }
}

#[test]
fn a_request_for_the_path_of_stop_on_ends_whatever_its_query_status_method_and_the_filters() {
    let view = view(&["--stop-on", "/kill", "--status", "500", "--anonymize"]);
    let mut room = Room::default();
    let mut is_stop = |target: &'static str| {
        view.is_stop(&Record { target: Text::plain(target.as_bytes()), ..full() }, &mut room)
    };
    assert!(is_stop("/kill") && is_stop("/kill?now"));
    assert!(!is_stop("/kill/") && !is_stop("/x?/kill") && !is_stop("/KILL"));
    assert!(!super::view(&[]).is_stop(&full(), &mut Room::default()));
    assert_eq!(BYE, "Bye bye...\n");
}

#[test]
fn a_bad_line_is_told_with_its_place() {
    let told = view(&[]).not_understood("a\x1bb", &line(b"gar\x07bage"));
    assert_eq!(told.as_deref(), Some("a\\x1bb:9: not understood: gar\\x07bage"));
}

#[test]
fn a_format_without_what_the_view_needs_is_told() {
    let misfit = |arguments: &[&str], no_referrer, host| view(arguments).misfit("log", no_referrer, host);
    let none = Some("has none: try --show hits");
    assert_eq!(misfit(&[], none, true).unwrap(), "log: has none: try --show hits");
    for other in [&["--show", "hits"][..], &["--json"], &["--stats"]] {
        assert_eq!(misfit(other, none, false), None, "{other:?}");
    }
    assert!(misfit(&["--vhost", "x"], None, false).unwrap().contains("no record passes --vhost"));
    assert_eq!(misfit(&["--vhost", "x"], None, true), None);
}

#[test]
fn anonymized_records_have_cut_addresses_and_no_users_and_queries() {
    let hits = ["--anonymize", "--show", "raw"];
    assert_eq!(
        shown_full(&hits),
        "203.0.0.0 - - [01/Mar/2026:01:00:00 +0100] \"GET /a/b HTTP/2.0\" 200 512 \"https://x.org/\" \"Mozilla/5.0\"\n"
    );
    let json: serde_json::Value = serde_json::from_str(&shown_full(&["--anonymize", "--json"])).unwrap();
    assert_eq!(
        (&json["client"], &json["forwarded_for"]),
        (&"203.0.0.0".into(), &"198.51.0.0, 10.0.0.0".into())
    );
    assert_eq!((&json["resource"], json.get("query"), json.get("user")), (&"/a/b".into(), None, None));
    assert_eq!(shown_full(&["--anonymize", "--format", "{line}"]), shown_full(&hits));
    assert_eq!(shown(&["--anonymize", "--show", "raw"], b"garbage"), "", "nobody knows what to cut of it");
    assert_eq!(view(&["--anonymize"]).not_understood("log", &line(b"garbage")), None);
    let text = |text: &'static str| Text::plain(text.as_bytes());
    let record = Record {
        client: text("[2001:db8:1:2::3]:4711"),
        forwarded_for: text("unknown, \"x\", 2001:db8::9"),
        referrer: text("https://x.org/u?name=ann"),
        agent: text("by [2001:db8:1:2::3]:4711 you"),
        ..full()
    };
    let template = ["--anonymize=8/64", "--format", "{client} {forwarded_for} {referrer} {agent}"];
    let shown = String::from_utf8(shown_of(&view(&template), &line(b""), Some(&record))).unwrap();
    assert_eq!(shown, "2001:db8:1:2:: 2001:db8:0:0:: https://x.org/u by 2001:db8:1:2:: you\n");
    let record = Record { client: text("ann.dialup.example"), ..full() };
    let shown = shown_of(&view(&["--anonymize", "--format", "{client}"]), &line(b""), Some(&record));
    assert_eq!(shown, b"-\n", "a name is no address that could be cut");
    assert!(wrong(&["--anonymize=16"]).contains("as --anonymize=16/80"));
}

#[test]
fn filters_see_the_cut_values() {
    let passes = |arguments: &[&str], record: &Record<'_>| {
        view(&[&["--anonymize"], arguments].concat()).hit(record, &mut Room::default()).is_some()
    };
    let record = Record { referrer: Text::plain(b"https://x.org/?name=ann"), ..full() };
    assert!(!passes(&["--from", "203.0.113.7"], &record) && passes(&["--from", "203.0.0.0"], &record));
    assert!(!passes(&["--referrer", "ann"], &record) && passes(&["--referrer", "x[.]org"], &record));
    assert!(!passes(&["--path", "q="], &record) && passes(&["--path", "^/a/b$"], &record));
}

#[test]
fn t107_no_form_of_a_record_is_larger_than_the_bound() {
    // What is longest when it is escaped: in JSON, in a terminal's lines, as base64.
    for byte in [0x01, 0xff, b'"', b'\\'] {
        let text = vec![byte; LINE_MAX / 2];
        let raw = vec![byte; LINE_MAX];
        let record = Record { target: Text::plain(&text), referrer: Text::plain(&text), ..full() };
        for arguments in
            [&["--json"][..], &["--show", "hits"], &["--show", "raw"], &[], &["--format", "{line}"]]
        {
            let shown = shown_of(&view(arguments), &line(&raw), Some(&record));
            assert!((LINE_MAX / 2..=SHOWN_MAX + 1).contains(&shown.len()), "{arguments:?}: {}", shown.len());
        }
    }
    let raw = vec![b'x'; LINE_MAX];
    let format = |count: usize| ["--format".to_owned(), "{line}".repeat(count)];
    let shown = |count: usize| {
        let [option, format] = format(count);
        let mut out = Vec::new();
        let view = view(&[&option, &format]);
        let (mut room, record) = (Room::default(), full());
        let hit = view.hit(&record, &mut room);
        let place = Place { source: "shop", seq: None };
        assert!(view.show(place, &line(&raw), hit.as_ref(), &mut out));
        assert!(out.capacity() <= 2 * (SHOWN_MAX + LINE_MAX), "{}", out.capacity());
        out
    };
    assert_eq!(shown(16).len(), SHOWN_MAX + 1, "it just fits");
    assert_eq!(shown(17), "… 1 records skipped\n".as_bytes());
    assert_eq!(shown(PARTS_MAX), "… 1 records skipped\n".as_bytes());
    let [option, format] = format(PARTS_MAX + 1);
    let told = wrong(&[&option, &format]);
    assert_eq!(told, "--format: 65 fields and texts between them: write 64 at the most");
}
