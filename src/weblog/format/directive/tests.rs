use super::Directive;
use crate::weblog::record::{Malformed, Record, Text};
use crate::weblog::time::Stamps;
use proptest::prelude::{any, prop, proptest};

fn text(field: Option<Text<'_>>) -> Option<String> {
    field.map(|field| String::from_utf8_lossy(&field.decode()).into_owned())
}

fn parse<'a>(directive: &Directive, line: &'a str) -> Result<Record<'a>, Malformed> {
    directive.parse(line.as_bytes(), &mut Stamps::default())
}

/// A record's fields in one text, `-` for those that are absent.
fn shown(directive: &str, line: &str) -> String {
    let directive = Directive::compile(directive).unwrap();
    let record = parse(&directive, line).unwrap_or_else(|Malformed| panic!("{line}"));
    let field = |field| text(field).unwrap_or("-".into());
    let resource =
        record.resource().map_or("-".into(), |resource| String::from_utf8_lossy(&resource).into_owned());
    format!(
        "{} {} {} {} {} {resource} {} {} {} {} {} {} {}",
        record.time.map_or("-".into(), |time| time.rfc3339()),
        field(record.client),
        field(record.user),
        field(record.host),
        field(record.method),
        field(record.protocol),
        record.status.map_or("-".into(), |status| status.to_string()),
        record.size,
        field(record.referrer),
        field(record.agent),
        record.duration.map_or("-".into(), |duration| duration.as_micros().to_string()),
        field(record.forwarded_for),
    )
}

const LINE: &str = r#"203.0.113.7 - ann lee [01/Mar/2026:00:00:00 +0000] "GET /a\"b HTTP/1.1" 200 512 "https://x.org/" "a \"b\"""#;
const SHOWN: &str =
    "2026-03-01T00:00:00+00:00 203.0.113.7 ann lee - GET /a\"b HTTP/1.1 200 512 https://x.org/ a \"b\" - -";

#[test]
fn the_combined_format_is_read_in_every_form_that_is_pasted() {
    for directive in [
        r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i""#,
        r#"%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\""#,
        r#""%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"""#,
        r#"LogFormat "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"" combined"#,
        r#"  logformat   '%a %l %u %t "%r" %s %B "%{referer}i" "%{user-agent}i"' x "#,
        r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#,
        r#"log_format main '$remote_addr - $remote_user [$time_local] "$request" '
                           '$status $body_bytes_sent "$http_referer" "$http_user_agent"';"#,
        r#"'$remote_addr - $remote_user [$time_local] "$request" ' "$status ${body_bytes_sent} \"$http_referer\" \"$http_user_agent\"""#,
        r#"log_format main escape=default "$remote_addr - $remote_user [$time_local] \"$request\" $status $bytes_sent \"$http_referer\" \"$http_user_agent\"";"#,
    ] {
        assert_eq!(shown(directive, LINE), SHOWN, "{directive}");
    }
}

#[test]
fn variables_are_read_each_as_it_is_logged_and_unknown_ones_over() {
    for (directive, line, expected) in [
        (
            r#"%v:%p %h %D "%m %U%q %H" %>s %O "%{X-Forwarded-For}i" %{Foo}o %I %k"#,
            r#"x.net:443 h 1500 "GET /a?q=1 HTTP/2.0" 404 99 "10.0.0.9, 10.0.0.8" a b 1"#,
            "- h - x.net GET /a?q=1 HTTP/2.0 404 99 - - 1500 10.0.0.9, 10.0.0.8",
        ),
        ("%h %T %s %>s", "h 2 301 200", "- h - - - - - 200 0 - - 2000000 -"),
        (
            "%h %{ms}T %!200,304{Referer}i|%^FB|%%",
            "h 25 https://x.org/|7|%",
            "- h - - - - - - 0 https://x.org/ - 25000 -",
        ),
        ("%h %U %q|%b", "h /a ?q=1|-", "- h - - - /a?q=1 - - 0 - - - -"),
        (
            "%{%Y-%m-%dT%H:%M:%S%z}t %h",
            "2026-03-01T00:00:00+0100 h",
            "2026-03-01T00:00:00+01:00 h - - - - - - 0 - - - -",
        ),
        (
            "[%{%d/%b/%Y:%T}t.%{msec_frac}t %{%z}t] %h",
            "[01/Mar/2026:00:00:00.250 +0000] h",
            "2026-03-01T00:00:00.250+00:00 h - - - - - - 0 - - - -",
        ),
        (
            "%{%Y-%m-%d %H:%M:%S}t %h",
            "2026-03-01 00:00:00 h",
            "2026-03-01T00:00:00+00:00 h - - - - - - 0 - - - -",
        ),
        ("%{msec}t %h", "1772323200250 h", "2026-03-01T00:00:00.250+00:00 h - - - - - - 0 - - - -"),
        ("%h \"%u\" x", "h \"\" x", "- h - - - - - - 0 - - - -"),
        ("%h %u x", "h \"\" x", "- h - - - - - - 0 - - - -"),
        (
            "$host$request_uri $time_iso8601 $msec $request_time $upstream_addr",
            "x.net/a?b 2026-03-01T00:00:00+00:00 1772323200.250 0.269 10.0.0.1:80, 10.0.0.2:80",
            "2026-03-01T00:00:00+00:00 - - x.net - /a?b - - 0 - - 269000 -",
        ),
        (
            "$scheme://$http_host$uri$is_args$args|$status",
            "https://x.net:8443/a?b|204",
            "- - - x.net - /a?b - 204 0 - - - -",
        ),
        (
            "$time_local $remote_addr",
            "01/Mar/2026:00:00:00 +0000 ::1",
            "2026-03-01T00:00:00+00:00 ::1 - - - - - - 0 - - - -",
        ),
        (
            r#"log_format j escape=json '{"t":"$msec","r":"$request","ua":"$http_user_agent","s":$status,"x":"$foo"}';"#,
            r#"{"t":"1772323200.250","r":"GET /\u001b\"x\" HTTP/1.1","ua":"","s":200,"x":"}"}"#,
            "2026-03-01T00:00:00.250+00:00 - - - GET /\u{1b}\"x\" HTTP/1.1 200 0 - - - -",
        ),
        (
            r#"log_format n escape=none '$remote_addr "$http_referer" "$http_user_agent"';"#,
            r#"h "https://x.org/\x41" "a "b" c""#,
            r#"- h - - - - - - 0 https://x.org/\x41 a "b" c - -"#,
        ),
    ] {
        assert_eq!(shown(directive, line), expected, "{directive}");
    }
}

#[test]
fn a_line_of_another_form_is_refused() {
    let directive = Directive::compile(r#"%h %u %t "%r" %>s %b"#).unwrap();
    let good = r#"h ann [01/Mar/2026:00:00:00 +0000] "GET / HTTP/1.1" 200 5"#;
    assert!(parse(&directive, good).is_ok());
    for (from, to) in [
        (good, ""),
        ("h ann", "h"),
        ("ann", "a\"n"),
        ("01/Mar", "41/Mar"),
        ("\" 200", " 200"),
        ("200", "2000"),
        (" 5", " 5 \"more\""),
        (" 5", " x"),
        ("1.1\"", "1.1\\\""),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_eq!(parse(&directive, &bad), Err(Malformed), "{bad}");
    }
}

#[test]
fn a_line_cut_inside_with_the_next_glued_on_is_no_record() {
    let directive = Directive::compile(r#"%h %u %t "%r" %>s %b"#).unwrap();
    let whole = r#"h ann [01/Mar/2026:00:00:00 +0000] "GET / HTTP/1.1" 200 5"#;
    for at in whole.find('"').unwrap() + 1..whole.len() {
        let glued = [&whole[..at], whole].concat();
        assert_eq!(parse(&directive, &glued), Err(Malformed), "{glued}");
    }
}

#[test]
fn what_is_wrong_with_a_directive_is_said_with_what_to_write() {
    for (directive, says) in [
        ("100%", "write %%"),
        ("%h 50% off", "write %%"),
        ("%h %{Referer", "write %{…}"),
        ("%h %^F", "two letters"),
        ("LogFormat \"%h %t", "not closed"),
        ("%l %p", "write one with %h"),
        ("$remote_addr $", "$remote_addr"),
        ("${remote_addr", "write ${name}"),
        ("log_format main '$remote_addr", "not closed"),
        ("log_format main escape=xml '$remote_addr';", "write default, json or none"),
        ("$foo $bar", "write one with $remote_addr"),
        ("log_format", "write one with $remote_addr"),
    ] {
        let error = Directive::compile(directive).unwrap_err();
        assert!(error.contains(says), "{directive}: {error}");
    }
}

proptest! {
    #[test]
    fn no_directive_and_no_line_make_it_panic(
        directive in prop::collection::vec(
            prop::sample::select(vec![
                "%h", "%u", "%t", "\"%r\"", "%>s", "%{%d %T}t", "%{%z}t", "%{msec_frac}t", "%U%q", "%%", "%{", "}", "^", "\\", "'", "\"", " ",
                "$request", "$time_local", "$host$uri", "$args", "${status}", "log_format x", "LogFormat", "escape=none", ";", "é",
            ]),
            0..8,
        ),
        line in prop::collection::vec(any::<u8>(), 0..40), cut in any::<prop::sample::Index>(),
    ) {
        if let Ok(directive) = Directive::compile(&directive.concat()) {
            for line in [line.as_slice(), &LINE.as_bytes()[..cut.index(LINE.len())]] {
                if let Ok(record) = directive.parse(line, &mut Stamps::default()) {
                    let _ = (record.resource(), text(record.user), text(record.agent), record.time.map(|time| time.rfc3339()));
                }
            }
        }
    }
}
