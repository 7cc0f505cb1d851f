//! Contract §1: arguments, filters, times.

use super::{ESCAPED, HIT, full, line, now, options, parsed, passes, shown, view, wrong};
use crate::weblog::options::ViewOptions;
use crate::weblog::record::{Record, Text};
use crate::weblog::time::Stamp;
use crate::weblog::view::{Destination, EXPRESSIONS_MAX, End, LISTED_MAX, Place, REGEX_MAX, Run, View};
use std::sync::Arc;
use std::time::Duration;

fn with<'a>(field: for<'r> fn(&'r mut Record<'a>) -> &'r mut Option<Text<'a>>, text: &'a str) -> Record<'a> {
    let mut record = full();
    *field(&mut record) = Text::plain(text.as_bytes());
    record
}

#[test]
fn two_forms_together_are_refused_and_stats_with_json_are_not() {
    for two in [
        &["--json", "--show", "raw"][..],
        &["--json", "--format", "{path}"],
        &["--format", "x", "--show", "raw"],
        &["--dashboard", "--json"],
        &["--dashboard", "--show", "hits"],
        &["--dashboard", "--format", "x"],
        &["--stats", "--json", "--show", "hits"],
        &["--no-such"],
        &["--top", "0"],
        &["--show", "nothing"],
        &["--anonymize", "16/80"],
    ] {
        assert!(parsed(two).is_err_and(|error| error.exit_code() == 2), "{two:?}");
    }
    assert!(parsed(&["--stats", "--json"]).is_ok());
    assert_eq!(options(&["--anonymize"]), options(&["--anonymize=16/80"]), "its value is optional");
}

#[test]
fn a_status_is_in_a_list_of_numbers_classes_and_ranges() {
    let has = |list: &str, status: Option<u16>| passes(&["--status", list], &Record { status, ..full() });
    for (status, expected) in [(404, true), (403, false), (500, true), (599, true), (399, false), (302, true)]
    {
        assert_eq!(has("404,5xx,300-302", Some(status)), expected, "{status}");
    }
    assert!(has("5XX", Some(503)) && !has("1xx,404", None));
    for bad in
        ["", "4x4", "40", "4040", "500-400", "404,", "+40", "a-b", "0xx", "6xx", "099", "600", "500-600"]
    {
        assert!(
            wrong(&["--status", bad]).contains("write statuses from 100 to 599, as 404,5xx,400-499"),
            "{bad}"
        );
    }
}

#[test]
fn a_method_is_in_a_list_in_any_case() {
    assert!(passes(&["--method", "post,get"], &full()) && !passes(&["--method", "POST,PUT"], &full()));
    assert!(!passes(&["--method", "GET"], &Record { method: None, ..full() }));
    assert!(wrong(&["--method", "GET,,POST"]).contains("write methods as GET,POST"));
}

#[test]
fn a_virtual_host_is_a_host_and_its_subdomains_without_port_and_case() {
    let on = |list: &str, host: &str| passes(&["--vhost", list], &with(|record| &mut record.host, host));
    for host in ["shop.example", "WWW.Shop.Example", "a.b.shop.example", "shop.example:8443", "shop.example."]
    {
        assert!(on("other.example,SHOP.example:80", host), "{host}");
    }
    for host in ["myshop.example", "shop.example.org", "example", "other"] {
        assert!(!on("shop.example", host), "{host}");
    }
    assert!(on("[2001:db8::1]:80", "[2001:DB8::1]") && on("2001:db8::1", "2001:db8::1"));
    assert!(!passes(&["--vhost", "x"], &Record { host: None, ..full() }));
    assert!(wrong(&["--vhost", "https://shop.example"]).contains("write host names as"));
}

#[test]
fn a_regular_expression_is_searched_and_path_means_the_resource() {
    assert!(passes(&["--path", "q=[0-9]$"], &full()) && passes(&["--path", "/b"], &full()));
    assert!(!passes(&["--path", "^b"], &full()));
    assert!(passes(&["--referrer", "x[.]org", "--agent", "(?i)MOZILLA"], &full()));
    assert!(!passes(&["--referrer", "x[.]com"], &full()));
    let apart = Record { query: Text::plain(b"only=here"), ..with(|record| &mut record.target, "/a") };
    assert!(passes(&["--path", "^/a[?]only"], &apart));
    let bare = Record { referrer: None, agent: None, target: None, ..full() };
    for option in ["--path", "--referrer", "--agent"] {
        assert!(passes(&[option, "^$"], &bare) && !passes(&[option, "."], &bare), "absent is empty");
    }
    let escaped = br#"h - - [01/Mar/2026:00:00:00 +0000] "GET /caf\xc3\xa9 HTTP/1.1" 200 1 "https://x/" "-""#;
    assert_eq!(shown(&["--path", "é$"], escaped), "https://x/  --> /café\n", "decoded first");
    assert!(wrong(&["--agent", "a("]).starts_with("--agent a(: unclosed group: write a regular"));
}

#[test]
fn t101_an_expression_that_needs_too_much_memory_is_refused() {
    let large = format!("(?:a{{100}}){{{}}}", REGEX_MAX / 1000);
    assert!(wrong(&["--path", &large]).ends_with("too large: write a shorter one, with smaller repetitions"));
}

#[test]
fn an_address_is_in_a_list_of_addresses_and_networks() {
    let from =
        |list: &str, client: &str| passes(&["--from", list], &with(|record| &mut record.client, client));
    assert!(from("192.0.2.1,203.0.113.0/24", "203.0.113.7") && from("203.0.113.7", "203.0.113.7"));
    assert!(!from("203.0.113.6,203.0.114.0/24", "203.0.113.7"));
    assert!(from("2001:db8::/32", "2001:DB8:1::1") && !from("0.0.0.0/0", "2001:db8::1"));
    assert!(from("203.0.113.0/24", "::ffff:203.0.113.7"), "an address of IPv4 in IPv6's clothes");
    assert!(!from("0.0.0.0/0,::/0", "host.example"), "a name is in no network");
    for bad in ["", "host", "203.0.113.0/33", "203.0.113", "1.2.3.4,"] {
        assert!(wrong(&["--from", bad]).contains("write addresses as 192.0.2.7,2001:db8::/32"), "{bad}");
    }
}

#[test]
fn in_a_list_one_must_hold_and_what_is_repeated_must_all_hold() {
    let record = full();
    assert!(passes(&["--status", "404,200"], &record));
    assert!(!passes(&["--status", "404", "--status", "200"], &record));
    assert!(passes(&["--status", "2xx,404", "--status", "200"], &record));
    assert!(
        passes(&["--path", "a", "--path", "b"], &record) && !passes(&["--path", "a", "--path", "z"], &record)
    );
    assert!(!passes(&["--from", "203.0.113.0/24", "--from", "203.0.113.8"], &record));
    assert!(!passes(&["--vhost", "shop.example", "--vhost", "other.example"], &record));
    assert!(!passes(&["--bots", "hide", "--bots", "only"], &record));
    assert!(!passes(&["--status", "200", "--method", "POST"], &record), "of different options all");
}

#[test]
fn the_pages_of_sites_are_no_referrers_and_site_adds() {
    let both = ["--site", "x.org", "--site", "Own.example:80"];
    let from = |referrer: &str, arguments: &[&str]| {
        let line = String::from_utf8(HIT.to_vec()).unwrap().replace("https://x.org/", referrer);
        !shown(arguments, line.as_bytes()).is_empty()
    };
    for own in [
        "https://x.org/",
        "https://www.X.org:8443/a?b",
        "http://ann@own.example",
        "own.example/a",
        "https://own.example?x",
    ] {
        assert!(!from(own, &both) && from(own, &[]), "{own}");
    }
    for other in [
        "https://xx.org/",
        "https://other.example/https://x.org/",
        "https://x.org.example/",
        "https://x.org@evil/",
    ] {
        assert!(from(other, &both), "{other}");
    }
    for written in ["x.org,own.example", " .x.org, .Own.example:80"] {
        for own in ["https://x.org/", "https://www.own.example/"] {
            assert!(!from(own, &["--site", written]), "{written} {own}");
        }
        assert!(from("https://other.example/", &["--site", written]), "{written}");
    }
    assert!(!shown(&["--site", "x.org", "--show", "hits"], HIT).is_empty(), "it is a hit all the same");
    for bad in ["https://x.org/", "x.org,", "."] {
        assert!(wrong(&["--site", bad]).contains("write host names as"), "{bad}");
    }
}

#[test]
fn bots_are_those_of_the_list_and_agents_that_are_empty() {
    let is_bot = |agent: &str| {
        let record = with(|record| &mut record.agent, agent);
        let (hidden, only) = (!passes(&["--bots", "hide"], &record), passes(&["--bots", "only"], &record));
        assert_eq!(hidden, only, "{agent}");
        only
    };
    for agent in [
        "Mozilla/5.0 (compatible; Googlebot/2.1)",
        "AhrefsBOT",
        "my-Crawler",
        "Baiduspider",
        "Yahoo! Slurp",
        "Feedly/1.0",
        "curl/8.5.0",
        "curl",
        "Wget/1.21",
        "python-requests/2.31",
        "Go-http-client/1.1",
        "-",
        "",
    ] {
        assert!(is_bot(agent), "{agent}");
    }
    for agent in ["Mozilla/5.0 (X11; Linux)", "libcurl/8", "curlew/1.0", "not wget"] {
        assert!(!is_bot(agent), "{agent}");
    }
}

#[test]
fn each_record_passes_by_its_own_time_from_since_on_and_before_until() {
    let at = |time: &str, arguments: &[&str]| {
        let time = Stamp::parse_rfc3339(time.as_bytes()).ok();
        passes(arguments, &Record { time, ..full() })
    };
    let window = ["--since", "2026-03-01T10:00:00Z", "--until", "@1772362800.5"];
    for (time, expected) in [
        ("2026-03-01T09:59:59.999Z", false),
        ("2026-03-01T10:00:00Z", true),
        ("2026-03-01T11:00:00+01:00", true),
        ("2026-03-01T11:00:00.499Z", true),
        ("2026-03-01T11:00:00.5Z", false),
    ] {
        assert_eq!(at(time, &window), expected, "{time}");
    }
    assert!(
        at("2026-03-01T10:30:00Z", &["--since", "1h30m"])
            && !at("2026-03-01T10:29:59Z", &["--since", "1h30m"])
    );
    assert!(!at("2026-03-01T11:00:00Z", &["--since", "2h", "--since", "30m"]), "repeated: both hold");
    assert!(!passes(&["--since", "@0"], &Record { time: None, ..full() }), "no time is at no time");
    let view = view(&["--since", "2h", "--until", "1h"]);
    assert_eq!(view.since().unwrap().rfc3339(), "2026-03-01T10:00:00+00:00");
    assert_eq!(view.until().unwrap().rfc3339(), "2026-03-01T11:00:00+00:00");
    assert!(wrong(&["--since", "soon"]).starts_with("--since soon: no time: write it as 2h"));
    assert!(wrong(&["--until", "1"]).starts_with("--until 1: no time"));
}

#[test]
fn options_are_added_by_and_and_none_widens_a_view() {
    let mine = options(&["--vhost", "shop.example", "--anonymize=8/90", "--status", "2xx", "--top", "5"]);
    let and = |arguments: &[&str]| mine.and(&options(arguments));
    let made = |options: &ViewOptions| View::new(options, Destination::default(), now()).unwrap();
    let ok = |options: &ViewOptions, record: &Record<'_>| {
        made(options).hit(record, &mut Default::default()).is_some()
    };
    let other = with(|record| &mut record.host, "other.example");
    for more in [&[][..], &["--vhost", "other.example"], &["--status", "404"], &["--anonymize=0/0"]] {
        assert!(!ok(&and(more), &other), "{more:?}");
        assert!(!ok(&and(more), &Record { status: Some(404), ..full() }), "{more:?}");
    }
    assert!(ok(&and(&["--status", "200"]), &full()) && !ok(&and(&["--status", "201"]), &full()));
    let mut room = Default::default();
    let record = full();
    let hit = made(&and(&["--anonymize=0/0", "--anonymize=16/80"])).hit(&record, &mut room);
    assert_eq!(hit.unwrap().record().client, Text::plain(b"203.0.0.0"), "the more bits");
    let mut room = Default::default();
    let hit = made(&and(&["--anonymize=0/0"])).hit(&record, &mut room);
    assert_eq!(hit.unwrap().record().client, Text::plain(b"203.0.113.0"));
    assert_eq!(
        (and(&["--top", "9"]).top, and(&["--top", "2"]).top, and(&[]).top),
        (Some(5), Some(2), Some(5))
    );
    assert!(and(&["--json"]).json, "the form is free where the view names none");
    let fixed = options(&["--format", "{path}"]).and(&options(&["--show", "raw", "--stats"]));
    assert_eq!((fixed.show, fixed.format.as_deref(), fixed.stats), (None, Some("{path}"), true));
    assert_eq!(options(&["--site", "a"]).and(&options(&["--site", "b"])).site, ["a", "b"]);
    assert_eq!(mine.and(&ViewOptions::default()), mine);
}

#[test]
fn views_of_equal_options_are_equal_whatever_is_reported() {
    let make = |arguments: &[&str], later: u64| {
        View::new(&options(arguments), Destination::default(), now() + Duration::from_secs(later)).unwrap()
    };
    assert_eq!(make(&["--status", "404"], 0), make(&["--status=404", "--stop-on", "/x"], 5));
    assert_ne!(make(&["--status", "404"], 0), make(&["--status", "405"], 0));
    assert_ne!(make(&["--since", "2h"], 0), make(&["--since", "2h"], 5), "other records pass");
    assert_ne!(make(&[], 0), make(&["--stats"], 0), "one shows no lines");
    let other = View::new(&options(&[]), Destination { names_sources: true, ..Default::default() }, now());
    assert_ne!(make(&[], 0), other.unwrap());
}

/// What a user with these rights asks for.
fn under(rights: &[&str], arguments: &[&str]) -> Result<View, String> {
    View::under(&options(rights), &options(arguments), ESCAPED, now())
}

#[test]
fn stop_on_tells_nothing_that_the_rights_do_not_leave() {
    let rights: &[&str] = &["--vhost", "shop.example", "--from", "203.0.0.0/16"];
    for more in [&[][..], &["--anonymize"]] {
        let ask = [&["--stop-on", "/a/b", "--status", "500"], more].concat();
        let ends = |record: &Record<'_>| {
            let mut run = Run::new(Arc::new(under(rights, &ask).unwrap()));
            run.line(Place { source: "s", seq: None }, &line(b""), Ok(Some(record)), &mut Vec::new());
            run.end()
        };
        assert_eq!(ends(&full()), Some(End::Stop), "whatever his own filters");
        for other in [
            with(|record| &mut record.host, "other.example"),
            with(|record| &mut record.client, "198.51.100.7"),
        ] {
            assert_eq!(ends(&other), None, "of another he learns nothing");
        }
    }
}

#[test]
fn what_is_asked_for_under_rights_is_what_both_leave() {
    let passes = |rights: &[&str], arguments: &[&str], record: &Record<'_>| {
        under(rights, arguments).unwrap().hit(record, &mut Default::default()).is_some()
    };
    for (one, two, both) in [
        (&["--vhost", "shop.example"][..], &["--vhost", "other.example"][..], false),
        (&["--status", "2xx"], &["--status", "200"], true),
        (&["--bots", "hide"], &["--bots", "only"], false),
        (&["--since", "@1772323100"], &["--until", "@1772323201"], true),
        (&["--path", "a"], &["--path", "z"], false),
        (&[], &["--path", "a"], true),
    ] {
        assert_eq!(passes(one, two, &full()), both, "{one:?} {two:?}");
        assert_eq!(passes(two, one, &full()), both, "{two:?} {one:?}");
        let [one, two] = [options(one), options(two)];
        let under = View::under(&one, &two, ESCAPED, now()).unwrap();
        assert_eq!(under, View::new(&one.and(&two), ESCAPED, now()).unwrap());
    }
    let view = under(&["--since", "@10", "--until", "@30"], &["--since", "@5", "--until", "@20"]).unwrap();
    let (since, until) = (view.since().unwrap(), view.until().unwrap());
    assert_eq!((since.seconds(), until.seconds()), (10, 20));
    let shows = |rights: &[&str]| {
        let view = under(rights, &["--show", "raw"]).unwrap();
        !super::shown_of(&view, &line(b"no record"), None).is_empty()
    };
    assert!(shows(&[]) && !shows(&["--status", "200"]) && !shows(&["--anonymize"]));
    let misfit = under(&["--vhost", "a.example"], &["--show", "hits"]).unwrap().misfit("log", None, false);
    assert!(misfit.is_some_and(|misfit| misfit.contains("no record passes --vhost")));
}

#[test]
fn t109_what_a_user_asks_for_is_bounded_before_anything_is_made_of_it_and_what_people_write_is_taken() {
    let many = vec!["--path"; EXPRESSIONS_MAX + 1];
    let many: Vec<_> = many.into_iter().flat_map(|option| [option, "a("]).collect();
    assert!(
        under(&[], &many).unwrap_err().starts_with("9 expressions: write 8 at the most"),
        "though none is right"
    );
    let list = vec!["x"; LISTED_MAX + 1].join(",");
    assert!(under(&[], &["--status", &list]).unwrap_err().starts_with("257 parts of lists: write 256"));
    let too_large = "too large: write a shorter one, with smaller repetitions";
    let large: &[&str] = &["--path", r"\w{20}"];
    assert!(under(&[], large).unwrap_err().ends_with(too_large));
    assert!(under(large, &[]).is_ok(), "who has the server may ask for more");
    let usual = [
        r"^/(?:cart|checkout)/\w+[?]id=\d+$",
        r"(?i)\.(?:php|asp|cgi)\b",
        r"(?i)bot|crawl|spider|slurp|feed",
        r"^https?://(?:[^/]+\.)?example\.com/",
        r"\S+@\S+",
        "é|日本",
    ];
    let all: Vec<_> = usual.into_iter().flat_map(|expression| ["--path", expression]).collect();
    assert_eq!(under(&[], &all).err(), None);
}

#[test]
fn t109_a_view_that_takes_too_long_to_search_ends_and_others_go_on() {
    let slow = "(?s-u:(?:a?.{0,40}){30}[^a])";
    let long = vec![b'a'; 8000];
    let record = Record { target: Text::plain(&long), ..full() };
    let run = |view: View| {
        let mut run = Run::new(Arc::new(view)).bounded();
        // So many lines that what one takes does not matter.
        for _ in 0..2000 {
            run.line(Place { source: "s", seq: None }, &line(b""), Ok(Some(&record)), &mut Vec::new());
        }
        let (mut out, mut err) = (Vec::new(), Vec::new());
        run.finish(&mut out, &mut err);
        (run.end(), String::from_utf8(err).unwrap())
    };
    let (end, err) = run(under(&[], &["--path", slow]).unwrap());
    assert_eq!(end, Some(End::Slow));
    assert!(err.ends_with(": write simpler expressions\n"), "{err}");
    assert_eq!(run(under(&[], &["--path", "^/cart"]).unwrap()), (None, String::new()));
}
