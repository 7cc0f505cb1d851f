//! What lines of several formats are taken apart with: tokens, quoted fields, numbers, addresses with ports.

use crate::weblog::record::{Escapes, Malformed, Text};
use core::time::Duration;
use memchr::{memchr, memchr2, memrchr};

/// A quoted field at the beginning of `rest`, and what follows it.
#[inline]
pub(super) fn quoted(rest: &[u8], escapes: Escapes) -> Result<(Option<Text<'_>>, &[u8]), Malformed> {
    text_until_quote(rest.strip_prefix(b"\"").ok_or(Malformed)?, escapes)
}

/// A field that ends at the first bare quote, and what follows that. One without a backslash has no escapes to undo.
#[inline]
pub(super) fn text_until_quote(
    inside: &[u8],
    escapes: Escapes,
) -> Result<(Option<Text<'_>>, &[u8]), Malformed> {
    let first = memchr2(b'"', b'\\', inside).ok_or(Malformed)?;
    match inside.split_at_checked(first) {
        Some((field, [b'"', rest @ ..])) => Ok((Text::plain(field), rest)),
        _ => until_quote(inside).map(|(field, rest)| (Text::new(field, escapes), rest)),
    }
}

/// What stands before the first bare quote, and what follows that. A backslash takes the next byte with it.
pub(super) fn until_quote(inside: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let mut end = 0;
    loop {
        let tail = inside.get(end..).ok_or(Malformed)?;
        end += memchr2(b'"', b'\\', tail).ok_or(Malformed)?;
        let (field, rest) = inside.split_at_checked(end).ok_or(Malformed)?;
        match rest {
            [b'"', rest @ ..] => return Ok((field, rest)),
            _ => end += 2,
        }
    }
}

/// A token and what follows the space behind it; all if there is no space.
pub(super) fn token(rest: &[u8]) -> (&[u8], &[u8]) {
    match memchr(b' ', rest).and_then(|at| rest.split_at_checked(at)) {
        Some((token, rest)) => (token, rest.get(1..).unwrap_or_default()),
        None => (rest, b""),
    }
}

/// Digits and nothing else.
#[inline]
pub(super) fn number(digits: &[u8]) -> Result<u64, Malformed> {
    if digits.is_empty() {
        return Err(Malformed);
    }
    let mut number = 0_u64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return Err(Malformed);
        }
        number =
            number.checked_mul(10).and_then(|number| number.checked_add(digit.into())).ok_or(Malformed)?;
    }
    Ok(number)
}

/// A number, 0 for `-`.
pub(super) fn size(token: &[u8]) -> Result<u64, Malformed> {
    if token == b"-" { Ok(0) } else { number(token) }
}

/// The status of a response: three digits, or `-` for none.
pub(super) fn status(token: &[u8]) -> Result<Option<u16>, Malformed> {
    match *token {
        [b'-'] => Ok(None),
        [a, b, c] => {
            let digit = |byte: u8| Some(u16::from(byte.wrapping_sub(b'0'))).filter(|digit| *digit < 10);
            let status = |a, b, c| Some(digit(a)? * 100 + digit(b)? * 10 + digit(c)?);
            status(a, b, c).map(Some).ok_or(Malformed)
        }
        _ => Err(Malformed),
    }
}

/// An address or a name without the port behind it: `host:80`, `[::1]:80`; a bare IPv6 address stays.
pub(super) fn without_port(address: &[u8]) -> &[u8] {
    let split = memrchr(b':', address).and_then(|at| address.split_at_checked(at));
    let host = match split {
        Some((host, port))
            if (host.ends_with(b"]") || memchr(b':', host).is_none())
                && port.iter().skip(1).all(u8::is_ascii_digit) =>
        {
            host
        }
        _ => address,
    };
    host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host)
}

/// The client: an address, or a name as hosts have. Anything else is no record, for its line is not what it is taken for.
#[inline]
pub(super) fn client(text: &[u8]) -> Result<Option<Text<'_>>, Malformed> {
    let fits = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'-' | b'_' | b'%' | b'[' | b']')
    };
    if text.iter().all(fits) { Ok(Text::plain(text)) } else { Err(Malformed) }
}

/// Seconds with a fraction. A negative number, as of a request that no server took, is none.
pub(super) fn seconds(number: &[u8]) -> Option<Duration> {
    let number: f64 = core::str::from_utf8(number).ok()?.parse().ok()?;
    Duration::try_from_secs_f64(number).ok()
}

/// The host of `scheme://host:port/…`, without the port.
pub(super) fn host_of_url(url: &[u8]) -> Option<&[u8]> {
    let scheme = url.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let rest = url.get(scheme..)?.strip_prefix(b"://")?;
    let end = memchr::memchr3(b'/', b'?', b'#', rest).unwrap_or(rest.len());
    rest.get(..end).map(without_port)
}

#[cfg(test)]
mod tests {
    use super::{client, host_of_url, number, seconds, status, until_quote, without_port};
    use crate::weblog::record::Malformed;
    use core::time::Duration;

    #[test]
    fn a_port_is_taken_off_and_an_ipv6_address_stays_whole() {
        for (address, expected) in [
            ("example.net:80", "example.net"),
            ("example.net", "example.net"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::80", "2001:db8::80"),
            ("203.0.113.7:2817", "203.0.113.7"),
            ("a:b", "a:b"),
            ("", ""),
        ] {
            assert_eq!(without_port(address.as_bytes()), expected.as_bytes(), "{address}");
        }
        assert_eq!(host_of_url(b"https://x.net:443/a:1"), Some(&b"x.net"[..]));
        assert_eq!(host_of_url(b"/a://b"), None);
    }

    #[test]
    fn a_client_is_an_address_or_a_name() {
        for good in ["203.0.113.7", "2001:db8::1", "fe80::1%eth0", "my_host-1.example", "unix"] {
            assert_eq!(client(good.as_bytes()).unwrap().unwrap().bytes(), good.as_bytes());
        }
        assert_eq!([client(b"-"), client(b"")], [Ok(None), Ok(None)]);
        for bad in ["\"GET", "a b", "a\x1b[m", "'a'", "a\\b", "caf\u{e9}", "<a>", "a,b", "a/b"] {
            assert_eq!(client(bad.as_bytes()), Err(Malformed), "{bad}");
        }
    }

    #[test]
    fn numbers_are_digits_and_nothing_else() {
        assert_eq!(number(b"18446744073709551615"), Ok(u64::MAX));
        for bad in ["", "18446744073709551616", "+1", "-1", "1 ", "0x1"] {
            assert_eq!(number(bad.as_bytes()), Err(Malformed), "{bad}");
        }
        assert_eq!((status(b"404"), status(b"-")), (Ok(Some(404)), Ok(None)));
        for bad in ["", "20", "2000", "+20", "2x0"] {
            assert_eq!(status(bad.as_bytes()), Err(Malformed), "{bad}");
        }
        assert_eq!(seconds(b"0.269"), Some(Duration::from_millis(269)));
        assert_eq!([seconds(b"-1"), seconds(b"NaN"), seconds(b"1e99"), seconds(b"-")], [None; 4]);
    }

    #[test]
    fn a_quoted_field_ends_at_the_first_bare_quote() {
        assert_eq!(until_quote(br#"a\"b\\" x"#), Ok((&br#"a\"b\\"#[..], &b" x"[..])));
        for bad in [r#"a\""#, r"a\", "a", ""] {
            assert_eq!(until_quote(bad.as_bytes()), Err(Malformed), "{bad}");
        }
    }
}
