//! How records are shown: one text a record, whole lines.
//!
//! What a client of the web server wrote can hold anything; whatever could act on a terminal is escaped here.

use super::lines::Line;
use super::record::{Record, Text, path_and_query};
use super::time::Stamp;
use crate::driver::text::escape;
use base64ct::{Base64, Encoding};
use serde::Serialize;
use std::borrow::Cow;

/// What is shown of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Show {
    /// `referrer  --> resource`, hits with status 200 and a referrer
    #[default]
    Referrers,
    /// Time, status, method, resource, size and referrer of every hit
    Hits,
    /// Each line as it stands, parsed or not
    Raw,
}

/// A way to show a log; two viewers with equal views are shown the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum View {
    /// Text.
    Text {
        /// What.
        show: Show,
        /// Raw lines are escaped: for a terminal, and for every session of the server.
        escaped: bool,
        /// Colours by SGR sequences.
        coloured: bool,
    },
    /// One JSON object a hit.
    Json,
}

impl View {
    /// Appends what is shown of a line of `source`, with its end; nothing for a line that this view does not show.
    pub fn render(self, source: &str, line: &Line<'_>, record: Option<&Record<'_>>, out: &mut Vec<u8>) {
        match (self, record) {
            (Self::Text { show: Show::Raw, escaped, .. }, _) => {
                if escaped {
                    escape(line.bytes, out)
                } else {
                    out.extend_from_slice(line.bytes)
                }
                out.push(b'\n');
            }
            (Self::Text { show: Show::Referrers, .. }, Some(record)) if record.is_referred() => {
                field(record.referrer.map(Text::decode), out);
                out.extend_from_slice(b"  --> ");
                field(record.resource(), out);
                out.push(b'\n');
            }
            (Self::Text { show: Show::Hits, coloured, .. }, Some(record)) => hit(record, coloured, out),
            (Self::Json, Some(record)) => json(source, line, record, out),
            _ => {}
        }
    }

    /// Appends the notice that `count` records are missing where it stands.
    pub fn render_skipped(self, count: u64, out: &mut Vec<u8>) {
        let text = match self {
            Self::Json => format!("{{\"skipped\":{count}}}\n"),
            Self::Text { .. } => format!("… {} records skipped\n", grouped(count)),
        };
        out.extend_from_slice(text.as_bytes());
    }
}

/// Groups of three digits, a space between.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

fn field(field: Option<Cow<'_, [u8]>>, out: &mut Vec<u8>) {
    match field {
        Some(field) => escape(&field, out),
        None => out.push(b'-'),
    }
}

/// `TIME STATUS METHOD RESOURCE SIZE REFERRER`.
fn hit(record: &Record<'_>, coloured: bool, out: &mut Vec<u8>) {
    match record.time {
        Some(time) => time.write_rfc3339(out),
        None => out.push(b'-'),
    }
    let colour = match record.status {
        _ if !coloured => "",
        None => "",
        Some(..300) => "\x1b[32m",
        Some(300..400) => "\x1b[36m",
        Some(400..500) => "\x1b[33m",
        Some(500..) => "\x1b[31m",
    };
    let plain = if colour.is_empty() { "" } else { "\x1b[0m" };
    let status = record.status.map_or("-".to_owned(), |status| format!("{status:03}"));
    out.extend_from_slice(format!(" {colour}{status}{plain} ").as_bytes());
    field(record.method.map(Text::decode), out);
    out.push(b' ');
    field(record.resource(), out);
    out.extend_from_slice(format!(" {} ", record.size).as_bytes());
    field(record.referrer.map(Text::decode), out);
    out.push(b'\n');
}

/// The fields of the contract, in its order; what is absent is left out.
#[derive(Serialize)]
struct Object<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    source: &'a str,
    offset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    referrer: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    partial: bool,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    cut: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_b64: Option<String>,
}

fn json<'a>(source: &str, line: &Line<'_>, record: &Record<'a>, out: &mut Vec<u8>) {
    let text = |field: Option<Text<'a>>| field.map(|field| lossy(field.decode()));
    let resource = record.resource();
    let (path, query) = match &resource {
        Some(resource) => {
            let (path, query) = path_and_query(resource);
            (Some(String::from_utf8_lossy(path)), query.map(String::from_utf8_lossy))
        }
        None => (None, None),
    };
    let utf8 = core::str::from_utf8(line.bytes).is_ok();
    let object = Object {
        time: record.time.map(Stamp::rfc3339),
        source,
        offset: line.offset,
        client: text(record.client),
        user: text(record.user),
        method: text(record.method),
        resource: resource.as_deref().map(String::from_utf8_lossy),
        path,
        query,
        protocol: text(record.protocol),
        status: record.status,
        size: record.size,
        referrer: text(record.referrer),
        agent: text(record.agent),
        partial: line.partial,
        cut: line.cut,
        raw_b64: (!utf8).then(|| Base64::encode_string(line.bytes)),
    };
    // Into memory, of strings and numbers: there is nothing to fail.
    if serde_json::to_writer(&mut *out, &object).is_ok() {
        out.push(b'\n');
    }
}

fn lossy(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    match bytes {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Show, View};
    use crate::weblog::format::RecordParser;
    use crate::weblog::lines::Line;

    fn shown(view: View, line: &[u8]) -> String {
        let mut out = Vec::new();
        let record = RecordParser::default().parse(line).ok().flatten();
        let line = Line { bytes: line, offset: 9, cut: false, partial: false };
        view.render("shop", &line, record.as_ref(), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn text(show: Show) -> View {
        View::Text { show, escaped: true, coloured: false }
    }

    const HIT: &[u8] =
        br#"203.0.113.7 - - [01/Mar/2026:00:00:00 +0000] "GET /a?q=1 HTTP/2.0" 200 512 "https://x.org/" "curl/8""#;

    #[test]
    fn referrers_are_the_articles_lines() {
        assert_eq!(shown(text(Show::Referrers), HIT), "https://x.org/  --> /a?q=1\n");
        let found = String::from_utf8(HIT.to_vec()).unwrap();
        for other in
            [found.replace(" 200 ", " 404 "), found.replace("https://x.org/", "-"), "garbage".to_owned()]
        {
            assert_eq!(shown(text(Show::Referrers), other.as_bytes()), "");
        }
    }

    #[test]
    fn hits_are_one_line_each_with_colours_only_on_demand() {
        assert_eq!(
            shown(text(Show::Hits), HIT),
            "2026-03-01T00:00:00+00:00 200 GET /a?q=1 512 https://x.org/\n"
        );
        let coloured = View::Text { show: Show::Hits, escaped: true, coloured: true };
        assert!(shown(coloured, HIT).contains("\x1b[32m200\x1b[0m"));
        let bare = br#"h - - [01/Mar/2026:00:00:00 +0000] "-" 408 -"#;
        assert_eq!(shown(text(Show::Hits), bare), "2026-03-01T00:00:00+00:00 408 - - 0 -\n");
    }

    #[test]
    fn json_has_the_contracts_fields() {
        let expected = concat!(
            r#"{"time":"2026-03-01T00:00:00+00:00","source":"shop","offset":9,"client":"203.0.113.7","method":"GET","#,
            r#""resource":"/a?q=1","path":"/a","query":"q=1","protocol":"HTTP/2.0","status":200,"size":512,"#,
            r#""referrer":"https://x.org/","agent":"curl/8"}"#,
            "\n"
        );
        assert_eq!(shown(View::Json, HIT), expected);
        let latin = [&HIT[..HIT.len() - 1], b" caf\xe9\""].concat();
        let object: serde_json::Value = serde_json::from_str(&shown(View::Json, &latin)).unwrap();
        assert_eq!(object["agent"], "curl/8 caf\u{fffd}");
        assert!(object["raw_b64"].is_string());
    }

    #[test]
    fn t101_nothing_that_a_client_wrote_acts_on_a_terminal() {
        let hostile = br#"h - - [01/Mar/2026:00:00:00 +0000] "GET /\x1b]52;c;eA==\x07 HTTP/1.1" 200 1 "https://\xe2\x80\xae" "-""#;
        for show in [Show::Referrers, Show::Hits, Show::Raw] {
            let out = shown(text(show), hostile);
            assert!(out.trim_end().chars().all(|c| !c.is_control() && c != '\u{202e}'), "{out:?}");
        }
        assert_eq!(shown(text(Show::Referrers), hostile), "https://\\u{202e}  --> /\\x1b]52;c;eA==\\x07\n");
        let object: serde_json::Value = serde_json::from_str(&shown(View::Json, hostile)).unwrap();
        assert_eq!(object["resource"], "/\u{1b}]52;c;eA==\u{7}");
    }

    #[test]
    fn raw_lines_to_a_file_are_their_own_bytes() {
        let view = View::Text { show: Show::Raw, escaped: false, coloured: false };
        let mut out = Vec::new();
        let line = Line { bytes: b"\x1b\xff any", offset: 0, cut: false, partial: false };
        view.render("s", &line, None, &mut out);
        assert_eq!(out, b"\x1b\xff any\n");
    }

    #[test]
    fn skipped_records_are_told_in_groups_of_three() {
        for (view, expected) in
            [(text(Show::Raw), "… 1 234 567 records skipped\n"), (View::Json, "{\"skipped\":1234567}\n")]
        {
            let mut out = Vec::new();
            view.render_skipped(1_234_567, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
