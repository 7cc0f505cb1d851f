use super::{BAD_LINES_MAX, BARE_RECORDS_MAX, NAMES, News, RecordParser, UNKNOWN_LINES_MAX};
use crate::weblog::record::{Malformed, Record, Text};
use proptest::prelude::{any, prop, proptest};

fn text(field: Option<Text<'_>>) -> Option<String> {
    field.map(|field| String::from_utf8_lossy(&field.decode()).into_owned())
}

/// A line of each format with its name, and what is in it.
struct Example {
    format: &'static str,
    line: &'static str,
    client: &'static str,
    user: Option<&'static str>,
    host: Option<&'static str>,
    method: Option<&'static str>,
    resource: &'static str,
    status: u16,
    size: u64,
    referrer: Option<&'static str>,
    agent: Option<&'static str>,
    time: &'static str,
    milliseconds: Option<u128>,
}

const PLAIN: Example = Example {
    format: "",
    line: "",
    client: "203.0.113.7",
    user: None,
    host: None,
    method: Some("GET"),
    resource: "/a",
    status: 200,
    size: 512,
    referrer: Some("https://x.org/"),
    agent: Some("curl/8"),
    time: "2026-03-01T00:00:00+00:00",
    milliseconds: None,
};

const EXAMPLES: [Example; 15] = [
    Example {
        format: "combined",
        line: r#"203.0.113.7 - - [01/Mar/2026:00:00:00 +0000] "GET /a?q=1 HTTP/2.0" 200 512 "https://x.org/t?title=\"quoted\"" "Mozilla/5.0""#,
        resource: "/a?q=1",
        referrer: Some("https://x.org/t?title=\"quoted\""),
        agent: Some("Mozilla/5.0"),
        ..PLAIN
    },
    Example {
        format: "combined",
        line: r#"2001:db8::80 - ann lee [01/Mar/2026:00:00:00 +0000] "GET /a HTTP/1.1" 200 512 "https://x.org/caf\xC3\xA9\x22" "-""#,
        client: "2001:db8::80",
        user: Some("ann lee"),
        referrer: Some("https://x.org/café\""),
        agent: None,
        ..PLAIN
    },
    Example {
        format: "common",
        line: r#"203.0.113.7 - - [01/Mar/2026:00:00:00 +0000] "GET /a HTTP/1.1" 304 -"#,
        status: 304,
        size: 0,
        referrer: None,
        agent: None,
        ..PLAIN
    },
    Example {
        format: "vhost",
        line: r#"example.net:80 203.0.113.7 - ann lee [01/Mar/2026:00:00:00 +0000] "GET / HTTP/1.1" 304 - "-" "curl/8""#,
        user: Some("ann lee"),
        host: Some("example.net"),
        resource: "/",
        status: 304,
        size: 0,
        referrer: None,
        ..PLAIN
    },
    Example {
        format: "nginx",
        line: r#"203.0.113.7 - - [01/Mar/2026:00:00:00 +0000] "GET /a HTTP/1.1" 200 512 "https://x.org/" "curl/8" "10.0.0.9" 0.004"#,
        ..PLAIN
    },
    Example {
        format: "json",
        line: r#"{"time_iso8601":"2026-03-01T00:00:00+00:00","remote_addr":"203.0.113.7","request":"GET /a HTTP/2.0","status":"200","body_bytes_sent":"0","http_referer":"https://x.org/","request_time":"0.269"}"#,
        size: 0,
        agent: None,
        milliseconds: Some(269),
        ..PLAIN
    },
    Example {
        format: "caddy",
        line: r#"{"level":"info","ts":1772323200.25,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"203.0.113.7","client_ip":"203.0.113.7","proto":"HTTP/2.0","method":"GET","host":"x.net","uri":"/a","headers":{"Referer":["https://x.org/"]}},"duration":0.268977,"size":0,"status":200}"#,
        host: Some("x.net"),
        size: 0,
        agent: None,
        time: "2026-03-01T00:00:00.25+00:00",
        milliseconds: Some(268),
        ..PLAIN
    },
    Example {
        format: "traefik",
        line: r#"{"ClientHost":"203.0.113.7","RequestMethod":"GET","RequestPath":"/a","DownstreamStatus":200,"DownstreamContentSize":5,"Duration":1830000,"StartUTC":"2026-03-01T00:00:00.1Z","request_Referer":"https://x.org/","level":"info","msg":"","time":"2026-03-01T00:00:00Z"}"#,
        size: 5,
        agent: None,
        time: "2026-03-01T00:00:00.1+00:00",
        milliseconds: Some(1),
        ..PLAIN
    },
    Example {
        format: "traefik",
        line: r#"203.0.113.7 - - [01/Mar/2026:00:00:00 +0000] "GET /a HTTP/1.1" 200 5 "https://x.org/" "curl/8" 42 "r@docker" "http://10.0.0.2:80" 1ms"#,
        size: 5,
        milliseconds: Some(1),
        ..PLAIN
    },
    Example {
        format: "traefik",
        line: r#"203.0.113.7 - ann lee [01/Mar/2026:00:00:00 +0000] "GET /a"b HTTP/1.1" - 5 "https://x.org/"q"" "a "b" "b" 200 5 "c\" 42 "-" "-" 1ms"#,
        user: Some("ann lee"),
        resource: "/a\"b",
        status: 0,
        size: 5,
        referrer: Some("https://x.org/\"q\""),
        agent: Some("a \"b\" \"b\" 200 5 \"c\\"),
        milliseconds: Some(1),
        ..PLAIN
    },
    Example {
        format: "alb",
        line: r#"https 2026-03-01T00:00:00.186641Z app/lb/50dc 203.0.113.7:2817 10.0.0.1:80 0.086 0.048 0.037 200 200 0 57 "GET https://x.net:443/a HTTP/1.1" "curl/8" ECDHE TLSv1.2 arn "Root=1-58" "x.net" "arn" 1 2026-03-01T00:00:00.1Z "forward" "-" "-" "10.0.0.1:80" "200" "-" "-""#,
        host: Some("x.net"),
        resource: "https://x.net:443/a",
        size: 57,
        referrer: None,
        time: "2026-03-01T00:00:00.186641+00:00",
        milliseconds: Some(171),
        ..PLAIN
    },
    Example {
        format: "w3c",
        line: "2026-03-01 00:00:00 10.0.0.9 GET /a q=1 443 - 203.0.113.7 Mozilla/5.0+(X11) https://x.org/ 200 0 0 93",
        resource: "/a?q=1",
        size: 0,
        agent: Some("Mozilla/5.0 (X11)"),
        milliseconds: Some(93),
        ..PLAIN
    },
    Example {
        format: "cloudfront",
        line: "2026-03-01\t00:00:00\tFRA2\t512\t203.0.113.7\tGET\td1.cloudfront.net\t/a%20b\t200\thttps://x.org/\tMozilla/5.0%20(X11)%2520\tq=1\t-\tHit\tid==\twww.x.net\thttps\t23\t0.001\t10.0.0.9\tTLSv1.3\tA\tHit\tHTTP/2.0\t-\t-",
        host: Some("www.x.net"),
        resource: "/a b?q=1",
        agent: Some("Mozilla/5.0 (X11)%20"),
        milliseconds: Some(1),
        ..PLAIN
    },
    Example {
        format: "s3",
        line: r#"79a5 bucket [01/Mar/2026:00:00:00 +0000] 203.0.113.7 - 3E57 REST.GET.OBJECT a "GET /a HTTP/1.1" 200 - 512 512 70 10 "https://x.org/" "curl/8" - id SigV4 ECDHE AuthHeader x.net TLSv1.2 - -"#,
        host: Some("x.net"),
        milliseconds: Some(70),
        ..PLAIN
    },
    Example {
        format: "combined",
        line: r#"203.0.113.7 - - [01/Mar/2026:00:00:00 +0000] "\x16\x03\x01" 400 512 "https://x.org/" "curl/8""#,
        method: None,
        resource: "\x16\x03\x01",
        status: 400,
        ..PLAIN
    },
];

fn holds(record: &Record<'_>, example: &Example) {
    let line = example.line;
    assert_eq!(text(record.client).as_deref(), Some(example.client), "{line}");
    assert_eq!(text(record.user).as_deref(), example.user, "{line}");
    assert_eq!(text(record.host).as_deref(), example.host, "{line}");
    assert_eq!(text(record.method).as_deref(), example.method, "{line}");
    assert_eq!(record.resource().as_deref(), Some(example.resource.as_bytes()), "{line}");
    assert_eq!(record.status.unwrap_or(0), example.status, "{line}");
    assert_eq!(record.size, example.size, "{line}");
    assert_eq!(record.has_size, example.format != "w3c", "{line}");
    assert_eq!(text(record.referrer).as_deref(), example.referrer, "{line}");
    assert_eq!(text(record.agent).as_deref(), example.agent, "{line}");
    assert_eq!(record.time.map(|time| time.rfc3339()).as_deref(), Some(example.time), "{line}");
    assert_eq!(record.duration.map(|duration| duration.as_millis()), example.milliseconds, "{line}");
}

#[test]
fn each_format_is_found_out_by_its_first_line_and_gives_every_field() {
    for example in &EXAMPLES {
        let mut parser = RecordParser::detecting();
        holds(&parser.parse(example.line.as_bytes()).unwrap().unwrap(), example);
        assert_eq!(parser.name(), Some(example.format), "{}", example.line);
        assert_eq!(parser.take_news(), Some(News::Found(parser.last.unwrap())));
        assert_eq!(parser.take_news(), None);
    }
    for name in NAMES {
        assert!(EXAMPLES.iter().any(|example| example.format == name), "{name}");
    }
}

#[test]
fn each_format_reads_its_lines_when_it_is_named() {
    for example in &EXAMPLES {
        let mut parser = RecordParser::named(&example.format.to_uppercase()).unwrap();
        assert_eq!(parser.name(), Some(example.format));
        holds(&parser.parse(example.line.as_bytes()).unwrap().unwrap(), example);
    }
}

#[test]
fn the_clients_before_the_proxies_are_told_where_they_are_logged() {
    let forwarded =
        |line: &str| text(RecordParser::detecting().parse(line.as_bytes()).unwrap().unwrap().forwarded_for);
    assert_eq!(forwarded(EXAMPLES[4].line).as_deref(), Some("10.0.0.9"));
    assert_eq!(forwarded(EXAMPLES[12].line).as_deref(), Some("10.0.0.9"));
    assert_eq!(forwarded(EXAMPLES[0].line), None);
}

#[test]
fn what_a_format_cannot_have_is_known() {
    for (format, referrer, host) in [
        ("common", false, false),
        ("combined", true, false),
        ("vhost", true, true),
        ("alb", false, true),
        ("w3c", true, false),
        ("cloudfront", true, true),
        ("caddy", true, true),
        ("%h %t \"%r\" %>s", false, false),
        ("%v:%p %h \"%{Referer}i\"", true, true),
        ("$http_host$request_uri", false, true),
    ] {
        let parser = RecordParser::named(format).unwrap();
        assert_eq!((parser.no_referrer(false).is_none(), parser.has_host()), (referrer, host), "{format}");
    }
    let mut parser = RecordParser::named("w3c").unwrap();
    assert_eq!(parser.parse(b"#Fields: date time cs-host cs-uri-stem sc-status"), Ok(None));
    assert!(parser.no_referrer(false).is_some() && parser.has_host());
    // Of Traefik's two formats only JSON has one.
    let mut named = RecordParser::named("traefik").unwrap();
    assert!(named.no_referrer(false).is_none() && named.has_host());
    for line in EXAMPLES.iter().filter(|example| example.format == "traefik").map(|example| example.line) {
        let mut found = RecordParser::detecting();
        for parser in [&mut named, &mut found] {
            assert!(parser.parse(line.as_bytes()).is_ok());
            assert_eq!(
                (parser.no_referrer(false).is_none(), parser.has_host()),
                (true, line.starts_with('{')),
                "{line}"
            );
        }
    }
}

#[test]
fn records_of_traefiks_json_have_no_referrer_once_so_many_had_none_and_never_if_one_had() {
    let bare = br#"{"DownstreamStatus":200,"RequestPath":"/a"}"#;
    let referred = br#"{"DownstreamStatus":200,"RequestPath":"/a","request_Referer":"https://x.org/"}"#;
    for mut parser in [RecordParser::named("traefik").unwrap(), RecordParser::detecting()] {
        assert_eq!(parser.no_referrer(true), None, "there is no record");
        for line in 1..=BARE_RECORDS_MAX {
            assert!(parser.parse(bare).is_ok());
            assert_eq!(parser.no_referrer(false).is_some(), line == BARE_RECORDS_MAX, "{line}");
            assert!(parser.no_referrer(true).is_some_and(|words| words.contains("Referer: keep")));
        }
    }
    for mut parser in [RecordParser::named("traefik").unwrap(), RecordParser::detecting()] {
        for line in [&referred[..]].into_iter().chain([&bare[..]; BARE_RECORDS_MAX as usize]) {
            assert!(parser.parse(line).is_ok());
        }
        assert_eq!(parser.no_referrer(true), None);
    }
}

#[test]
fn the_columns_of_w3c_may_change_in_the_middle_of_a_file() {
    let mut parser = RecordParser::detecting();
    for directive in [
        "#Software: Microsoft Internet Information Services 10.0",
        "#Version: 1.0",
        "#Date: 2026-03-01 00:00:00",
    ] {
        assert_eq!(parser.parse(directive.as_bytes()), Ok(None));
        assert_eq!(parser.name(), None);
    }
    assert_eq!(parser.parse(b"#Fields: time cs-uri-stem sc-status"), Ok(None));
    assert_eq!(parser.name(), Some("w3c"));
    let record = parser.parse(b"00:00:01 /a 404").unwrap().unwrap();
    assert_eq!(
        (record.status, record.time.unwrap().rfc3339().as_str()),
        (Some(404), "2026-03-01T00:00:01+00:00")
    );
    assert_eq!(parser.parse(b"#Fields: date time sc-status cs(Referer)"), Ok(None));
    let record = parser.parse(b"2026-03-02 00:00:01 200 https://x.org/a+b added").unwrap().unwrap();
    assert_eq!(text(record.referrer).as_deref(), Some("https://x.org/a b"));
    for bad in [
        "2026-03-02 00:00:01 200",
        "2026-03-02 00:00:01 2x0 -",
        "2026-13-02 00:00:01 200 -",
        "2026-03-02 00:00:01 - -",
    ] {
        assert_eq!(parser.parse(bad.as_bytes()), Err(Malformed), "{bad}");
    }
}

#[test]
fn directives_at_the_head_of_a_file_are_learned_without_its_records() {
    let mut parser = RecordParser::detecting();
    parser.learn(b"\xef\xbb\xbf#Version: 1.0\r\n#Fields: sc-status cs-uri-stem\r\n200 /a\r\n#Fields: sc-st");
    assert_eq!(parser.parse(b"404 /b").unwrap().unwrap().status, Some(404));
    let mut parser = RecordParser::detecting();
    parser.learn([EXAMPLES[3].line, "\n"].concat().as_bytes());
    assert_eq!(parser.name(), Some("vhost"));
}

#[test]
fn a_format_is_looked_for_anew_after_so_many_bad_lines_in_a_row() {
    let mut parser = RecordParser::detecting();
    let (combined, json) = (EXAMPLES[0].line.as_bytes(), EXAMPLES[5].line.as_bytes());
    assert!(parser.parse(combined).is_ok());
    for _ in 0..3 {
        for _ in 1..BAD_LINES_MAX {
            assert_eq!(parser.parse(json), Err(Malformed));
        }
        assert!(parser.parse(combined).is_ok(), "not in a row");
    }
    for _ in 0..BAD_LINES_MAX {
        assert_eq!(parser.parse(json), Err(Malformed));
    }
    assert_eq!(parser.take_news(), Some(News::Found("combined")));
    assert!(parser.parse(json).is_ok());
    assert_eq!((parser.name(), parser.take_news()), (Some("json"), Some(News::Found("json"))));
    let mut parser = RecordParser::named("combined").unwrap();
    for _ in 0..2 * BAD_LINES_MAX {
        assert_eq!(parser.parse(json), Err(Malformed), "what was named stays");
    }
}

#[test]
fn what_fits_no_format_is_said_once_and_tried_again() {
    let mut parser = RecordParser::detecting();
    for line in 1..=UNKNOWN_LINES_MAX {
        assert_eq!(parser.name(), None);
        assert_eq!(parser.parse(b""), Err(Malformed), "an empty line does not count");
        assert_eq!(parser.parse(b"nothing that is known"), Err(Malformed));
        let told = (line == UNKNOWN_LINES_MAX).then_some(News::NotRecognised);
        assert_eq!(parser.take_news(), told);
    }
    assert_eq!((parser.name(), parser.has_host()), (Some("combined"), false));
    for _ in 0..500 {
        assert_eq!((parser.parse(b"nothing that is known"), parser.take_news()), (Err(Malformed), None));
    }
    assert!(parser.parse(EXAMPLES[5].line.as_bytes()).is_ok());
    assert_eq!(parser.take_news(), Some(News::Found("json")));
}

#[test]
fn nuls_and_a_byte_order_mark_before_a_line_are_passed_over() {
    for before in [&b"\0\0\0"[..], b"\xef\xbb\xbf", b"\0\xef\xbb\xbf"] {
        for example in &EXAMPLES {
            let line = [before, example.line.as_bytes()].concat();
            holds(&RecordParser::detecting().parse(&line).unwrap().unwrap(), example);
        }
    }
    assert_eq!(RecordParser::detecting().parse(b"\0\0"), Err(Malformed));
    let mut parser = RecordParser::detecting();
    assert_eq!(parser.parse(b"\xff\xfe2\x000\x00"), Err(Malformed));
    assert_eq!(parser.take_news(), Some(News::Utf16));
}

#[test]
fn a_name_that_is_none_is_told_what_to_write() {
    for name in ["", "apache", "comb ined"] {
        let error = RecordParser::named(name).unwrap_err();
        assert!(
            error.contains("combined, vhost") && error.contains("$remote_addr") && error.contains("%h"),
            "{error}"
        );
    }
}

proptest! {
    #[test]
    fn no_bytes_make_any_format_panic(
        example in 0..EXAMPLES.len(), at in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(any::<u8>(), 0..6), keep in any::<bool>(),
    ) {
        let line = EXAMPLES[example].line.as_bytes();
        let at = at.index(line.len());
        let tail = if keep { &line[at..] } else { &line[line.len().min(at + bytes.len())..] };
        let line = [&line[..at], &bytes, tail].concat();
        each_format(&line);
    }
}

/// Reads a line in every format and decodes what comes out.
fn each_format(line: &[u8]) {
    let named = NAMES.iter().map(|name| RecordParser::named(name).unwrap());
    for mut parser in named.chain([RecordParser::detecting()]) {
        if let Ok(Some(record)) = parser.parse(line) {
            for field in
                [record.client, record.user, record.host, record.method, record.protocol, record.agent]
            {
                let _ = text(field);
            }
            let _ = (
                record.resource(),
                text(record.referrer),
                text(record.forwarded_for),
                record.time.map(|t| t.rfc3339()),
            );
            let user = record.user.map_or(&b""[..], Text::bytes);
            assert!(!user.starts_with(b"\"") && !user.windows(2).any(|w| w[0] != b'\\' && w[1] == b'"'));
        }
    }
}

#[test]
fn t101_lines_cut_at_every_byte_and_absurd_ones_make_nothing_panic() {
    for example in &EXAMPLES {
        for cut in 0..example.line.len() {
            each_format(&example.line.as_bytes()[..cut]);
            each_format(&example.line.as_bytes()[cut..]);
        }
    }
    for byte in [b'"', b'\\', b' ', b'{', b'[', b'#', b'\t', b'%', 0, 0xff] {
        each_format(&vec![byte; 65_536]);
    }
}

#[test]
fn of_a_log_that_ends_before_its_format_is_found_out_it_is_said_at_the_end() {
    let mut short = RecordParser::detecting();
    assert_eq!(short.finish(), None, "nothing came");
    assert_eq!(short.parse(b"garbage"), Err(Malformed));
    assert_eq!((short.take_news(), short.finish(), short.finish()), (None, Some(News::NotRecognised), None));
    let mut long = RecordParser::detecting();
    (0..UNKNOWN_LINES_MAX).for_each(|_| assert_eq!(long.parse(b"garbage"), Err(Malformed)));
    assert_eq!((long.take_news(), long.finish()), (Some(News::NotRecognised), None), "once");
    let mut found = RecordParser::detecting();
    found.parse(EXAMPLES[0].line.as_bytes()).unwrap();
    assert_eq!(found.parse(b"garbage"), Err(Malformed));
    assert_eq!(found.finish(), None);
}
