//! The text of Apache's `LogFormat`: `%h %l %u %t "%r" %>s %b`, bare, as it stands in httpd.conf, or with the whole directive.

use super::{Field, Form, Piece, Unit};

/// Its literals and fields.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let (mut pieces, mut literal) = (Vec::new(), Vec::new());
    let text = unquoted(text)?;
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match (*byte, behind) {
            (b'%', [b'%', behind @ ..]) => {
                literal.push(b'%');
                rest = behind;
            }
            (b'%', _) => {
                let (field, rank, behind) = variable(behind)?;
                rest = behind;
                // %t alone writes brackets around its time.
                let brackets = field == Field::Time(Form::Common);
                if brackets {
                    literal.push(b'[');
                }
                pieces.push(Piece::Literal(core::mem::take(&mut literal)));
                pieces.push(Piece::Field(field, rank));
                if brackets {
                    literal.push(b']');
                }
            }
            _ => literal.push(*byte),
        }
    }
    pieces.push(Piece::Literal(literal));
    pieces.retain(|piece| !matches!(piece, Piece::Literal(literal) if literal.is_empty()));
    Ok(pieces)
}

/// The format string itself: without the directive's word and the format's name, the quotes around it and its backslashes.
fn unquoted(text: &str) -> Result<String, String> {
    let word = "LogFormat";
    let whole = text.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
    let text = if whole { text.get(word.len()..).unwrap_or_default().trim_start() } else { text };
    let quote = text.chars().next().filter(|first| matches!(first, '"' | '\''));
    // Bare, a string may begin with a quote of its own: `"%r" %>s`.
    let quote = quote.filter(|quote| whole || text.len() > 1 && closes(text, *quote) == Some(text.len() - 1));
    let inside = match quote {
        Some(quote) => {
            let end =
                closes(text, quote).ok_or("the LogFormat's quote is not closed: end the string with it")?;
            text.get(1..end).unwrap_or_default()
        }
        None => text,
    };
    let mut out = String::with_capacity(inside.len());
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        match (character, characters.clone().next()) {
            ('\\', Some(next @ ('"' | '\'' | '\\' | 't' | 'n'))) => {
                characters.next();
                out.push(match next {
                    't' => '\t',
                    'n' => '\n',
                    other => other,
                });
            }
            _ => out.push(character),
        }
    }
    Ok(out)
}

/// Where the quote that begins a text is closed.
fn closes(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().skip(1).find_map(|(at, character)| {
        let end = character == quote && !escaped;
        escaped = character == '\\' && !escaped;
        end.then_some(at)
    })
}

/// A variable behind its `%`, how well it says what it means, and what follows it.
fn variable(text: &[u8]) -> Result<(Field, u8, &[u8]), String> {
    let mut rest = text;
    let (mut parameter, mut last) = (None, false);
    loop {
        let (byte, behind) = rest
            .split_first()
            .ok_or("a % of the LogFormat names no field: write %% for one that is meant")?;
        rest = behind;
        match *byte {
            b'<' => last = false,
            b'>' => last = true,
            b'!' | b',' | b'0'..=b'9' => {}
            b'{' => {
                let end =
                    memchr::memchr(b'}', behind).ok_or("a %{ of the LogFormat is not closed: write %{…}")?;
                parameter = behind.get(..end).map(String::from_utf8_lossy);
                rest = behind.get(end + 1..).unwrap_or_default();
            }
            b'^' => {
                let behind = rest.get(2..).ok_or("a %^ of the LogFormat is cut: two letters follow it")?;
                return Ok((Field::Other, 0, behind));
            }
            letter if letter.is_ascii_alphabetic() => {
                let (field, rank) = meaning(letter, parameter.as_deref(), last);
                return Ok((field, rank, rest));
            }
            _ => return Err("a % of the LogFormat names no field: write %% for one that is meant".into()),
        }
    }
}

fn meaning(letter: u8, parameter: Option<&str>, last: bool) -> (Field, u8) {
    let field = match (letter, parameter) {
        (b'a', None) => return (Field::Client, 2),
        (b'a' | b'h', _) => Field::Client,
        (b'b' | b'B', _) => return (Field::Size, 2),
        (b'O', _) => Field::Size,
        (b'D', _) => return (Field::Duration(Unit::Microseconds), 3),
        (b'T', Some("us")) => return (Field::Duration(Unit::Microseconds), 3),
        (b'T', Some("ms")) => return (Field::Duration(Unit::Milliseconds), 2),
        (b'T', _) => Field::Duration(Unit::Seconds),
        (b'H', _) => Field::Protocol,
        (b'i', Some(name)) => header(name),
        (b'm', _) => Field::Method,
        (b'q', _) => Field::Query,
        (b'r', _) => Field::Request,
        (b's', _) => return (Field::Status, if last { 2 } else { 1 }),
        (b't', None) => return (Field::Time(Form::Common), 2),
        (b't', Some(format)) => time(format),
        (b'u', _) => Field::User,
        (b'U', _) => Field::Target,
        (b'v' | b'V', _) => return (Field::Host, 2),
        _ => Field::Other,
    };
    (field, 1)
}

fn header(name: &str) -> Field {
    match name.to_ascii_lowercase().as_str() {
        "referer" | "referrer" => Field::Referrer,
        "user-agent" => Field::Agent,
        "x-forwarded-for" => Field::ForwardedFor,
        "host" => Field::Host,
        _ => Field::Other,
    }
}

fn time(format: &str) -> Field {
    let format = format.strip_prefix("begin:").or_else(|| format.strip_prefix("end:")).unwrap_or(format);
    match format {
        "sec" | "msec" | "usec" => Field::Time(Form::Epoch),
        "msec_frac" => Field::Time(Form::Strftime("%3f".into())),
        "usec_frac" => Field::Time(Form::Strftime("%6f".into())),
        _ => Field::Time(Form::Strftime(format.into())),
    }
}
