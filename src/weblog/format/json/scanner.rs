//! The scalars of a JSON object, borrowed as they stand.
//!
//! It allocates nothing, and does not recurse: containers within one another are counted up to [`DEPTH_MAX`]. Strings may hold
//! any byte but a bare quote, as servers write them that know no UTF-8. Hand-written layouts have a comma too many and numbers
//! that are missing; both are passed over. It does not know what the names mean.

use crate::weblog::record::Malformed;

/// How many containers may lie within one another. A line with more is no record.
pub(super) const DEPTH_MAX: usize = 16;

/// A string without its quotes, or what stands there without any: a number, `true`, `false`, `null`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar<'a> {
    String(&'a [u8]),
    Bare(&'a [u8]),
}

#[derive(Clone, Copy, Default)]
struct Container<'a> {
    /// The name under which it stands.
    name: &'a [u8],
    array: bool,
    /// An element was read.
    begun: bool,
    /// Nothing in it is told.
    passed_over: bool,
}

/// Tells each scalar with the name of the object that holds it and its own; of an array only the first, under the array's
/// name. What stands under a name for which `pass_over` is true is checked and not told.
pub(super) fn scan<'a>(
    line: &'a [u8],
    pass_over: impl Fn(&[u8]) -> bool,
    mut tell: impl FnMut(&'a [u8], &'a [u8], Scalar<'a>),
) -> Result<(), Malformed> {
    let mut containers = [Container::default(); DEPTH_MAX];
    let mut depth = 1_usize;
    let mut rest = line.strip_prefix(b"{").ok_or(Malformed)?;
    while depth > 0 {
        rest = rest.trim_ascii_start();
        let parent =
            depth.checked_sub(2).and_then(|at| containers.get(at)).map_or(&b""[..], |parent| parent.name);
        let container = containers.get_mut(depth - 1).ok_or(Malformed)?;
        if container.begun {
            rest = rest.strip_prefix(b",").unwrap_or(rest).trim_ascii_start();
        }
        let end = if container.array { b']' } else { b'}' };
        if rest.first() == Some(&end) {
            rest = rest.get(1..).unwrap_or_default();
            depth -= 1;
            continue;
        }
        let (holder, name) = if container.array {
            (parent, container.name)
        } else {
            let (name, behind) = string(rest)?;
            rest = behind.trim_ascii_start().strip_prefix(b":").ok_or(Malformed)?.trim_ascii_start();
            (container.name, name)
        };
        let told = !(container.passed_over || container.array && container.begun);
        container.begun = true;
        match rest {
            [b'"', ..] => {
                let (value, behind) = string(rest)?;
                rest = behind;
                if told {
                    tell(holder, name, Scalar::String(value));
                }
            }
            [open @ (b'{' | b'['), behind @ ..] => {
                rest = behind;
                let inner = containers.get_mut(depth).ok_or(Malformed)?;
                let passed_over = !told || pass_over(name);
                *inner = Container { name, array: *open == b'[', begun: false, passed_over };
                depth += 1;
                continue;
            }
            _ => {
                let length = rest.iter().take_while(|byte| bare(**byte)).count();
                let (value, behind) = rest.split_at_checked(length).ok_or(Malformed)?;
                rest = behind;
                if container.array && value.is_empty() {
                    return Err(Malformed);
                }
                if told {
                    tell(holder, name, Scalar::Bare(value));
                }
            }
        }
        if rest.trim_ascii_start().first().is_none_or(|next| *next != b',' && *next != end) {
            return Err(Malformed);
        }
    }
    if rest.trim_ascii_start().is_empty() { Ok(()) } else { Err(Malformed) }
}

/// A string at the beginning of `rest`, without its quotes, and what follows it.
fn string(rest: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    super::super::fields::until_quote(rest.strip_prefix(b"\"").ok_or(Malformed)?)
}

const fn bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

#[cfg(test)]
mod tests {
    use super::{DEPTH_MAX, Scalar, scan};
    use crate::weblog::record::Malformed;

    fn told(line: &[u8]) -> Result<String, Malformed> {
        let mut out = String::new();
        scan(
            line,
            |name| name == b"skip",
            |holder, name, value| {
                let (mark, value) = match value {
                    Scalar::String(value) => ("'", value),
                    Scalar::Bare(value) => ("", value),
                };
                let text = |bytes| String::from_utf8_lossy(bytes);
                out += &format!("{}.{}={mark}{} ", text(holder), text(name), text(value));
            },
        )?;
        Ok(out)
    }

    #[test]
    fn scalars_are_told_with_their_names_and_of_arrays_the_first() {
        for (line, expected) in [
            (r#"{}"#, ""),
            (
                r#"{"a":1,"b":"x\"}","c":{"d":["1",2,{"e":3}],"f":null},"g":[[true]]}"#,
                ".a=1 .b='x\\\"} c.d='1 c.f=null g.g=true ",
            ),
            (r#" { "a" : -1.5e3 , "b" : [ { "c" : 1 } ] } "#.trim_start(), ".a=-1.5e3 b.c=1 "),
            (r#"{"skip":{"a":1,"b":[{"c":2}]},"d":4}"#, ".d=4 "),
            (r#"{"a":,"b":-,"c":1,}"#, ".a= .b=- .c=1 "),
        ] {
            assert_eq!(told(line.as_bytes()).as_deref(), Ok(expected), "{line}");
        }
        assert_eq!(told(b"{\"a\":\"caf\xe9\x00\"}").as_deref(), Ok(".a='caf\u{fffd}\0 "));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for line in [
            "",
            "{",
            "[1]",
            "{}x",
            "{}{}",
            r#"{"a"}"#,
            r#"{"a":1"#,
            r#"{"a":"x}"#,
            r#"{"a":"x\"}"#,
            "{a:1}",
            r#"{"a":1]"#,
            r#"{"a":[1}"#,
            r#"{"a":1 "b":2}"#,
            r#"{"a":"x" "b":2}"#,
            r#"{"a":$status}"#,
            r#"{,"a":1}"#,
            r#"{"a":'x'}"#,
        ] {
            assert_eq!(told(line.as_bytes()), Err(Malformed), "{line}");
        }
    }

    #[test]
    fn containers_lie_within_one_another_up_to_the_bound() {
        let nested = |depth: usize| {
            let inner = depth - 1;
            [r#"{"a":"#.repeat(inner), "{}".into(), "}".repeat(inner)].concat()
        };
        assert_eq!(told(nested(DEPTH_MAX).as_bytes()).as_deref(), Ok(""));
        for depth in [DEPTH_MAX + 1, 10_000] {
            assert_eq!(told(nested(depth).as_bytes()), Err(Malformed), "{depth}");
        }
        let arrays = [r#"{"a":"#, &"[".repeat(60_000)].concat();
        assert_eq!(told(arrays.as_bytes()), Err(Malformed));
    }
}
