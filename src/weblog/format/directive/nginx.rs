//! The text of nginx's `log_format`: `$remote_addr - …`, bare, in quoted pieces, or with the whole directive.

use super::{Field, Form, Piece, Unit};
use crate::weblog::record::Escapes;

/// Its literals and fields, and how it escapes.
pub(super) fn pieces(text: &str) -> Result<(Vec<Piece>, Escapes), String> {
    let (text, escapes) = unquoted(text)?;
    let mut pieces = Vec::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find('$') {
        let (literal, behind) = rest.split_at_checked(at).unwrap_or((rest, ""));
        let behind = behind.get(1..).unwrap_or_default();
        let (name, behind) = match behind.strip_prefix('{') {
            Some(behind) => {
                behind.split_once('}').ok_or("a ${ of the log_format is not closed: write ${name}")?
            }
            None => {
                let end =
                    behind.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(behind.len());
                behind.split_at_checked(end).unwrap_or((behind, ""))
            }
        };
        if name.is_empty() {
            return Err("a $ of the log_format names no variable: write one such as $remote_addr".into());
        }
        let (field, rank) = meaning(name);
        pieces.extend([Piece::Literal(literal.into()), Piece::Field(field, rank)]);
        rest = behind;
    }
    pieces.push(Piece::Literal(rest.into()));
    pieces.retain(|piece| !matches!(piece, Piece::Literal(literal) if literal.is_empty()));
    Ok((pieces, escapes))
}

/// The format itself: without the directive's word, the format's name and `;`, its quoted pieces one behind the other.
fn unquoted(text: &str) -> Result<(String, Escapes), String> {
    let whole = text.strip_prefix("log_format").filter(|rest| rest.starts_with(char::is_whitespace));
    let mut escapes = Escapes::Backslash;
    let mut rest = match whole {
        Some(rest) => {
            rest.trim().split_once(char::is_whitespace).map_or("", |(_name, rest)| rest.trim_start())
        }
        None => text,
    };
    if let Some(escape) = rest.strip_prefix("escape=") {
        let (escape, behind) = escape.split_once(char::is_whitespace).unwrap_or((escape, ""));
        escapes = match escape {
            "default" => Escapes::Backslash,
            "json" => Escapes::Json,
            "none" => Escapes::None,
            _ => return Err(format!("escape={escape} is none of nginx's: write default, json or none")),
        };
        rest = behind.trim_start();
    }
    let in_pieces = whole.is_some() || in_pieces(rest);
    if !in_pieces {
        return Ok((rest.replace("\\\"", "\""), escapes));
    }
    let mut out = String::new();
    let mut characters = rest.chars().peekable();
    while let Some(first) = characters.next() {
        match first {
            ';' => break,
            '\'' | '"' => loop {
                match characters
                    .next()
                    .ok_or("a quote of the log_format is not closed: end each piece with its own")?
                {
                    end if end == first => break,
                    '\\' => unescape(&mut characters, &mut out),
                    inside => out.push(inside),
                }
            },
            blank if blank.is_whitespace() => {}
            '\\' => unescape(&mut characters, &mut out),
            other => out.push(other),
        }
    }
    Ok((out, escapes))
}

/// Whether a text without the directive's word is quoted pieces: a bare format may begin with a quote of its own.
fn in_pieces(text: &str) -> bool {
    let text = text.trim_end().trim_end_matches(';').trim_end();
    let Some(first) = text.chars().next().filter(|first| matches!(first, '\'' | '"')) else { return false };
    text.len() > 1 && text.ends_with(['\'', '"']) && (first == '\'' || text.matches(first).count() == 2)
}

/// What nginx's configuration makes of a backslash; another one stays.
fn unescape(characters: &mut core::iter::Peekable<core::str::Chars<'_>>, out: &mut String) {
    match characters.peek() {
        Some(next @ ('"' | '\'' | '\\')) => out.push(*next),
        Some('t') => out.push('\t'),
        Some('r') => out.push('\r'),
        Some('n') => out.push('\n'),
        _ => return out.push('\\'),
    }
    characters.next();
}

fn meaning(name: &str) -> (Field, u8) {
    let field = match name {
        "remote_addr" | "realip_remote_addr" => {
            return (Field::Client, if name == "remote_addr" { 2 } else { 1 });
        }
        "remote_user" => Field::User,
        "time_local" => return (Field::Time(Form::Common), 3),
        "time_iso8601" => return (Field::Time(Form::Rfc3339), 4),
        "msec" => Field::Time(Form::Epoch),
        "request" => Field::Request,
        "request_method" => Field::Method,
        "request_uri" => return (Field::Target, 2),
        "uri" | "document_uri" => Field::Target,
        "args" | "query_string" => Field::Query,
        "server_protocol" => Field::Protocol,
        "status" => Field::Status,
        "body_bytes_sent" => return (Field::Size, 2),
        "bytes_sent" => Field::Size,
        "http_referer" => Field::Referrer,
        "http_user_agent" => Field::Agent,
        "http_x_forwarded_for" => return (Field::ForwardedFor, 2),
        "proxy_add_x_forwarded_for" => Field::ForwardedFor,
        "host" => return (Field::Host, 3),
        "http_host" => return (Field::Host, 2),
        "server_name" => Field::Host,
        "request_time" => Field::Duration(Unit::Seconds),
        _ => Field::Other,
    };
    (field, 1)
}
