//! Contract §1 and §2: `--stats`, receipts, `--over`.

use super::{HIT, full, line, now, options, view, wrong};
use crate::weblog::format::RecordParser;
use crate::weblog::lines::Line;
use crate::weblog::record::{Record, Text};
use crate::weblog::time::Stamp;
use crate::weblog::view::{
    APART_MAX, Alert, BUCKETS_MAX, Destination, LATE_MAX, Order, Receipt, Report, Room, Topic, View,
};
use core::time::Duration;
use proptest::prelude::{prop, prop_assert_eq, proptest};

/// What is reported of lines.
fn report(arguments: &[&str], lines: &[&[u8]]) -> Report {
    let view = view(arguments);
    let mut report = view.start_report().unwrap();
    for bytes in lines {
        let record = RecordParser::default().parse(bytes).ok().flatten();
        report.line(&Line { cut: bytes.ends_with(b"cut"), ..line(bytes) }, record.is_none());
        let mut room = Room::default();
        if let Some(hit) = record.as_ref().and_then(|record| view.hit(record, &mut room)) {
            report.hit(&hit);
        }
    }
    report
}

fn hit(second: u32, path: &str, status: u16, client: &str) -> Vec<u8> {
    format!(
        "{client} - - [01/Mar/2026:01:00:{second:02} +0100] \"GET {path} HTTP/1.1\" {status} 100 \"https://x.org/\" \"curl/8\""
    )
    .into_bytes()
}

fn lines() -> Vec<Vec<u8>> {
    vec![
        hit(2, "/a?1", 200, "192.0.2.1"),
        hit(1, "/a?2", 200, "192.0.2.2"),
        hit(5, "/b", 404, "192.0.2.1"),
        b"garbage".to_vec(),
        b"".to_vec(),
        b"long and cut".to_vec(),
    ]
}

fn receipts() -> Vec<Receipt> {
    let gaps = vec!["from\x1b 1".to_owned(), "two".to_owned()];
    let source = "shop:/a\x07".to_owned();
    vec![
        Receipt { source: "b".to_owned(), written: 5, read: 5, generations: 1, gaps: Vec::new() },
        Receipt { source, written: 12_345, read: 9, generations: 2, gaps },
    ]
}

#[test]
fn the_report_is_one_object_of_the_contracts_members() {
    let (all, receipts) = (lines(), receipts());
    let mut out = Vec::new();
    let all: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
    report(&["--stats", "--json"], &all).write_json(&receipts[..1], &mut out);
    let expected = concat!(
        r#"{"type":"stats","first":"2026-03-01T01:00:01+01:00","last":"2026-03-01T01:00:05+01:00","seconds":4.0,"lines":6,"#,
        r#""hits":3,"referrers":2,"malformed":3,"long":1,"bytes":300,"hits_per_second":0.75,"classes":{"2xx":2,"4xx":1},"#,
        r#""status":{"200":2,"404":1},"top":{"referrers":[{"name":"https://x.org/","hits":2,"bytes":200}],"#,
        r#""paths":[{"name":"/a","hits":2,"bytes":200},{"name":"/b","hits":1,"bytes":100}],"#,
        r#""hosts":[{"name":"192.0.2.1","hits":2,"bytes":200},{"name":"192.0.2.2","hits":1,"bytes":100}],"#,
        r#""agents":[{"name":"curl/8","hits":3,"bytes":300}]},"#,
        r#""receipts":[{"source":"b","written":5,"read":5,"generations":1,"gaps":[]}]}"#,
        "\n"
    );
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn lines_are_all_that_were_read_and_the_rest_is_after_filters() {
    let all = lines();
    let all: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
    let mut out = Vec::new();
    let report = report(&["--every", "1s", "--status", "404", "--top", "1"], &all);
    report.write_json(&receipts(), &mut out);
    let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let numbers =
        [("lines", 6), ("hits", 1), ("malformed", 3), ("long", 1), ("bytes", 100), ("referrers", 0)];
    for (name, expected) in numbers {
        assert_eq!(json[name], expected, "{name}");
    }
    assert_eq!((&json["first"], &json["seconds"]), (&json["last"], &0.0.into()));
    assert_eq!(json["hits_per_second"], 1.0, "what came in no time came in a second");
    assert_eq!(json["receipts"][1]["gaps"][0], "from\x1b 1");
    assert_eq!(report.tops(Topic::Paths, 5, Order::Bytes)[0].name, b"/b");
    assert_eq!(report.classes().into_iter().collect::<Vec<_>>(), [(4, 1)]);
}

#[test]
fn a_report_of_nothing_is_whole() {
    let (mut json, mut text) = (Vec::new(), Vec::new());
    let report = report(&["--stats"], &[]);
    report.write_json(&[], &mut json);
    report.write_text(&[], &mut text);
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!((&json["first"], &json["hits_per_second"]), (&serde_json::Value::Null, &0.0.into()));
    assert!(text.starts_with(b"lines      0\nhits       0\n"));
}

#[test]
fn the_report_as_text_ends_with_the_receipts() {
    let all = lines();
    let all: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
    let mut out = Vec::new();
    report(&["--stats", "--top", "1"], &all).write_text(&receipts(), &mut out);
    let expected = "\
time       2026-03-01T01:00:01+01:00 to 2026-03-01T01:00:05+01:00, 4 s
lines      6
hits       3
referrers  2
bytes      300
malformed  3
long       1
hits/s     0.8
status     2xx 2  4xx 1

        hits            bytes  referrers
           2              200  https://x.org/

        hits            bytes  paths
           2              200  /a

        hits            bytes  hosts
           2              200  192.0.2.1

        hits            bytes  agents
           3              300  curl/8

receipt b: written 5, read 5, generations 1, gaps none
receipt shop:/a\\x07: written 12345, read 9, generations 2, gaps from\\x1b 1; two
";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn a_name_that_was_cut_ends_with_an_ellipsis() {
    let long = hit(0, &format!("/{}", "x".repeat(300)), 200, "h");
    let report = report(&["--stats"], &[&long]);
    let (mut text, mut json) = (Vec::new(), Vec::new());
    report.write_text(&[], &mut text);
    report.write_json(&[], &mut json);
    assert!(String::from_utf8(text).unwrap().contains("xxx…\n"));
    assert!(String::from_utf8(json).unwrap().contains("xxx…\","));
}

#[test]
fn sites_are_left_out_of_the_referrers_of_a_report() {
    let report = report(&["--stats", "--site", "x.org"], &[HIT]);
    assert_eq!((report.hits(), report.tops(Topic::Referrers, 9, Order::Hits).len()), (1, 0));
}

#[test]
fn every_implies_stats_and_is_a_duration() {
    assert_eq!(view(&["--every", "10s"]).every(), Some(Duration::from_secs(10)));
    assert!(view(&["--every", "10s"]).start_report().is_some() && view(&[]).start_report().is_none());
    assert!(wrong(&["--every", "10"]).starts_with("--every 10: no duration: write it with units"));
}

fn alert(arguments: &[&str]) -> Alert {
    view(arguments).start_alert().unwrap()
}

fn at(second: i64) -> Record<'static> {
    Record { time: Some(Stamp::utc(second, 0, 0)), ..full() }
}

/// How many of the hits at these seconds there were when it came true.
fn true_after(arguments: &[&str], seconds: impl IntoIterator<Item = i64>) -> Option<usize> {
    let mut alert = alert(arguments);
    seconds.into_iter().position(|second| alert.hit(&at(second))).map(|at| at + 1)
}

#[test]
fn more_than_n_times_for_hits_in_a_window_make_it_true() {
    let args = ["--over", "2/s", "--for", "10s"];
    assert_eq!(true_after(&args, [0; 100]), Some(21));
    assert_eq!(true_after(&args, (0..100).flat_map(|second| [second; 2])), None, "2 a second are not over");
    assert_eq!(true_after(&args, (0..100).flat_map(|second| [second; 3])), Some(21));
    assert_eq!(true_after(&args, [vec![0; 20], vec![10]].concat()), None, "the window has slid");
    assert_eq!(true_after(&args, [vec![0; 20], vec![9]].concat()), Some(21));
    assert_eq!(true_after(&args, [vec![0; 20], vec![1 << 40], vec![1 << 40; 20]].concat()), Some(41));
    assert_eq!(true_after(&["--over", "1"], [5; 100]), Some(61), "a second, for 60 s");
    assert_eq!(true_after(&["--over", "90/m", "--for", "2m"], [5; 1000]), Some(181));
    assert_eq!(true_after(&["--over", "0.5/h", "--for", "2h"], [5; 1000]), Some(2));
    assert_eq!(true_after(&["--over", "0/s"], [5]), Some(1));
}

#[test]
fn stamps_may_be_out_of_order_by_seconds() {
    let args = ["--over", "1/s", "--for", "5s"];
    // Of the window that ends with second 4, which has passed when its last hits come.
    assert_eq!(true_after(&args, [vec![0; 3], vec![30], vec![4; 3]].concat()), Some(7));
    let late = i64::try_from(LATE_MAX).unwrap();
    assert_eq!(true_after(&args, [vec![late], vec![0; 9]].concat()), Some(7));
    assert_eq!(true_after(&args, [vec![late + 1], vec![0; 9]].concat()), None, "too late to count");
    assert_eq!(
        true_after(&args, [vec![1 << 40], vec![0; 200]].concat()),
        Some(1 + 64 + 6),
        "the times went back"
    );
    let mixed = (0..200).map(|at| if at % 2 == 0 { 1000 + at } else { 1 });
    assert_eq!(true_after(&args, mixed), None, "some old ones among others don't begin it again");
    let mut alert = alert(&["--over", "0/s"]);
    assert!(!alert.hit(&Record { time: None, ..full() }), "without a time it is in no window");
}

#[test]
fn t101_the_window_needs_no_more_memory_however_many_hits_there_are() {
    let mut alert = alert(&["--over", "1000000/s", "--for", "1d"]);
    let day = i64::try_from(BUCKETS_MAX).unwrap();
    for second in (0..3 * day).step_by(7) {
        assert!(!alert.hit(&at(second)));
    }
    let quarters = |alert: &Alert| format!("{alert:?}").matches("number:").count();
    assert!(quarters(&alert) <= 10, "quarters");
    assert_eq!(alert.kept(), BUCKETS_MAX + LATE_MAX);
    let mut alert = self::alert(&["--over", "1000000/s", "--for", "10s"]).of_several();
    for second in (0..40 * day).step_by(7) {
        assert!(!alert.hit(&at(second)));
    }
    assert!(quarters(&alert) <= 64, "quarters");
    assert_eq!(alert.kept(), 10 + APART_MAX);
}

#[test]
fn t101_of_ever_new_names_no_more_are_counted_than_the_bound_and_the_one_that_comes_most_is_told() {
    const NAMES: usize = 512;
    let mut alert = alert(&["--over", "100/s", "--for", "40s", "--top", "1000"]);
    let often = ("/often".to_owned(), "192.0.2.1".to_owned());
    for number in 0.. {
        let new = (format!("/{number}"), format!("2001:db8::{number}"));
        let (path, client) = if number % 4 == 0 { &often } else { &new };
        let (target, client) = (Text::plain(path.as_bytes()), Text::plain(client.as_bytes()));
        // A thousand hits in each quarter of the window, and some more.
        let is_over = alert.hit(&Record { target, client, ..at(number / 101) });
        assert!(alert.names() <= NAMES);
        if is_over {
            break;
        }
    }
    assert_eq!(alert.names(), NAMES);
    let evidence = alert.evidence().unwrap();
    for (tops, often) in [(&evidence.paths, often.0), (&evidence.hosts, often.1)] {
        assert_eq!((tops.len(), tops[0].name.as_slice()), (NAMES, often.as_bytes()));
        assert!((1000..1020).contains(&tops[0].hits), "{:?}", tops[0]);
    }
}

#[test]
fn hits_of_logs_that_are_read_one_after_the_other_count_where_they_belong() {
    let args = ["--over", "1/s", "--for", "5s"];
    let true_after = |seconds: &[i64]| {
        let mut alert = alert(&args).of_several();
        seconds.iter().position(|second| alert.hit(&at(*second))).map(|at| at + 1)
    };
    let apart = i64::try_from(APART_MAX).unwrap();
    let one: Vec<_> = (0..1000).collect();
    assert_eq!(true_after(&one), None);
    assert_eq!(true_after(&[&one[..], &[500]].concat()), Some(1001));
    let (few, far) = ([0, 1, 2, 8, 9, 10], [apart]);
    assert_eq!(
        true_after(&[&few[..], &far, &[11, 12, 4]].concat()),
        None,
        "five in five seconds are not over"
    );
    for second in [12, 6, 0] {
        assert_eq!(true_after(&[&few[..], &far, &[second; 3]].concat()), Some(10), "{second}");
    }
    assert_eq!(true_after(&[&[apart + 10][..], &[9; 60]].concat()), None, "too far to count");
}

proptest! {
    #[test]
    fn of_several_logs_a_window_is_over_as_soon_as_all_its_hits_together_are(
        hits in prop::collection::vec((0..3_usize, 0..4_i64), 1..120), allowed in 1..9_usize,
    ) {
        let over = format!("{allowed}/m");
        let mut alert = alert(&["--over", &over, "--for", "1m"]).of_several();
        let (mut clocks, mut seen) = ([0, 500, 90_000], Vec::new());
        for (log, later) in hits {
            clocks[log] += 10 * later;
            seen.push(clocks[log]);
            let sums = seen.iter().map(|end| seen.iter().filter(|hit| (end - 59..=*end).contains(hit)).count());
            let is_over = sums.max() > Some(allowed);
            prop_assert_eq!(alert.hit(&at(clocks[log])), is_over);
            if is_over {
                break;
            }
        }
    }
}

#[test]
fn the_evidence_of_logs_that_are_read_one_after_the_other_names_what_came_in_its_window() {
    let mut alert = alert(&["--over", "1.5/s", "--for", "8s"]).of_several();
    for second in 0..100 {
        assert!(!alert.hit(&Record { target: Text::plain(b"/one"), ..at(second) }));
    }
    let mut second = 0;
    while !alert.hit(&Record { target: Text::plain(b"/two"), ..at(second) }) {
        second += 1;
    }
    let evidence = alert.evidence().unwrap();
    let names: Vec<_> = evidence.paths.iter().map(|top| (top.name.clone(), top.hits)).collect();
    assert_eq!((evidence.hits, names), (13, vec![(b"/one".to_vec(), 8), (b"/two".to_vec(), 5)]));
}

#[test]
fn the_evidence_has_the_contracts_words_and_members() {
    let mut alert = alert(&["--over", "5/s", "--for", "30s", "--top", "1"]);
    let mut second = 0;
    loop {
        let time = Stamp::parse_rfc3339(format!("2026-03-01T01:00:{second:02}+01:00").as_bytes()).ok();
        let target = Text::plain(if second % 3 == 0 { b"/b?x" } else { b"/a\x1b" });
        if (0..8).any(|_| alert.hit(&Record { time, target, ..full() })) {
            break;
        }
        second += 1;
    }
    let (mut text, mut json) = (Vec::new(), Vec::new());
    let evidence = alert.evidence().unwrap();
    evidence.write_text(&mut text);
    evidence.write_json(&mut json);
    let expected = "\
over 5/s for 30s: 151 hits in 30s (5.0/s), 2026-03-01T01:00:00+01:00 to 2026-03-01T01:00:18+01:00

        hits            bytes  paths
          96           49 152  /a\\x1b

        hits            bytes  hosts
         151           77 312  203.0.113.7
";
    assert_eq!(String::from_utf8(text).unwrap(), expected);
    let expected = concat!(
        r#"{"type":"alert","over":"5/s","for":"30s","hits":151,"rate":5.033333333333333,"first":"2026-03-01T01:00:00+01:00","#,
        r#""last":"2026-03-01T01:00:18+01:00","top":{"paths":[{"name":"/a\u001b","hits":96,"bytes":49152}],"#,
        r#""hosts":[{"name":"203.0.113.7","hits":151,"bytes":77312}]}}"#,
        "\n"
    );
    assert_eq!(String::from_utf8(json).unwrap(), expected);
}

#[test]
fn the_evidence_tells_the_rate_in_the_unit_that_was_asked_for() {
    for (over, told) in [("0/s", "1 hits in 2m (0.0/s)"), ("0/m", "(0.5/m)"), ("0/h", "(30.0/h)")] {
        let (mut alert, mut text) = (alert(&["--over", over, "--for", "2m"]), Vec::new());
        assert!(alert.hit(&full()));
        alert.evidence().unwrap().write_text(&mut text);
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains(told), "{text}");
    }
}

#[test]
fn the_evidence_names_what_came_in_the_window_not_before() {
    let mut alert = alert(&["--over", "1/s", "--for", "8s"]);
    for second in 0..1000 {
        assert!(!alert.hit(&Record { target: Text::plain(b"/old"), ..at(second) }));
    }
    while !alert.hit(&Record { target: Text::plain(b"/new"), ..at(1020) }) {}
    let names: Vec<_> = alert.evidence().unwrap().paths.iter().map(|top| top.name.clone()).collect();
    assert_eq!(names, [b"/new"]);
}

#[test]
fn for_alone_is_refused_and_each_wrong_number_says_what_to_write() {
    assert!(wrong(&["--for", "30s"]).contains("it belongs to --over: write --over 5/s --for 30s"));
    for bad in ["", "/s", "5/d", "x", "-1", "1e3", "inf", "nan", "5/", "+5"] {
        let over = format!("--over={bad}");
        assert!(wrong(&[&over]).contains("write so many hits a second, minute or hour: 5/s"), "{bad}");
    }
    assert!(wrong(&["--over", "5", "--for", "30"]).starts_with("--for 30: no duration"));
    assert!(wrong(&["--over", "5", "--for", "2d"]).contains("write 1d at the most"));
    let made = View::new(&options(&["--over", "5"]), Destination::default(), now());
    assert!(made.unwrap().start_alert().is_some());
}
