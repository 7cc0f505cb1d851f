//! The contract's sentences on filters, forms, reports and alerts, each by name.

mod filters;
mod forms;
mod hostile;
mod reports;

use super::{Destination, Hit, Place, Room, View};
use crate::weblog::format::RecordParser;
use crate::weblog::lines::Line;
use crate::weblog::options::ViewOptions;
use crate::weblog::record::{Record, Text};
use crate::weblog::time::Stamp;
use clap::Parser;
use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Parser)]
#[command(no_binary_name = true)]
struct Arguments {
    #[command(flatten)]
    view: ViewOptions,
}

const ESCAPED: Destination = Destination { escaped: true, coloured: false, names_sources: false };

const HIT: &[u8] =
    br#"203.0.113.7 - - [01/Mar/2026:00:00:00 +0000] "GET /a?q=1 HTTP/2.0" 200 512 "https://x.org/" "curl/8""#;

fn parsed(arguments: &[&str]) -> Result<ViewOptions, clap::Error> {
    Arguments::try_parse_from(arguments).map(|arguments| arguments.view)
}

fn options(arguments: &[&str]) -> ViewOptions {
    parsed(arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
}

/// 2026-03-01T12:00:00Z.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_772_366_400)
}

fn view(arguments: &[&str]) -> View {
    View::new(&options(arguments), ESCAPED, now()).unwrap()
}

fn wrong(arguments: &[&str]) -> String {
    View::new(&options(arguments), ESCAPED, now()).unwrap_err()
}

/// A record with every field.
fn full() -> Record<'static> {
    let text = |text: &'static str| Text::plain(text.as_bytes());
    Record {
        time: Stamp::parse_rfc3339(b"2026-03-01T01:00:00.250+01:00").ok(),
        client: text("203.0.113.7"),
        user: text("ann lee"),
        host: text("www.shop.example"),
        method: text("GET"),
        target: text("/a/b?q=1"),
        query: None,
        protocol: text("HTTP/2.0"),
        status: Some(200),
        size: 512,
        has_size: true,
        referrer: text("https://x.org/"),
        agent: text("Mozilla/5.0"),
        duration: Some(Duration::from_micros(268_977)),
        forwarded_for: text("198.51.100.9, 10.0.0.1"),
    }
}

fn passes(arguments: &[&str], record: &Record<'_>) -> bool {
    view(arguments).hit(record, &mut Room::default()).is_some()
}

const fn line(bytes: &[u8]) -> Line<'_> {
    Line { bytes, offset: 9, cut: false, partial: false }
}

/// What is shown of a line whose record is `record`.
fn shown_of(view: &View, line: &Line<'_>, record: Option<&Record<'_>>) -> Vec<u8> {
    let (mut room, mut out) = (Room::default(), Vec::new());
    let hit: Option<Hit<'_>> = record.and_then(|record| view.hit(record, &mut room));
    let place = Place { source: "shop", seq: None };
    assert_eq!(view.show(place, line, hit.as_ref(), &mut out), !out.is_empty());
    out
}

fn bytes_shown(view: &View, bytes: &[u8]) -> Vec<u8> {
    let record = RecordParser::default().parse(bytes).ok().flatten();
    shown_of(view, &line(bytes), record.as_ref())
}

fn shown(arguments: &[&str], bytes: &[u8]) -> String {
    String::from_utf8(bytes_shown(&view(arguments), bytes)).unwrap()
}
