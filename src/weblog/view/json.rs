//! JSON, written member by member: for records, where no line may allocate, and for reports.
//!
//! Whatever could act on a terminal is escaped in strings, so an object can be shown as it is.

use crate::driver::text::acts;
use std::io::Write;

/// An object that is being written.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> Object<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Begins a member, whose value the caller appends. Names are our own: nothing in them needs an escape.
    pub(super) fn name(&mut self, name: &str) -> &mut Vec<u8> {
        self.out.extend_from_slice(if self.empty { b"\"" } else { b",\"" });
        self.empty = false;
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    pub(super) fn text(&mut self, name: &str, value: &[u8]) {
        string(value, self.name(name));
    }

    pub(super) fn number(&mut self, name: &str, value: u64) {
        number(value, self.name(name));
    }

    pub(super) fn float(&mut self, name: &str, value: f64) {
        let _into_memory = write!(self.name(name), "{value:?}");
    }

    /// A list, whose elements `each` appends.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = T>,
        mut each: impl FnMut(T, &mut Vec<u8>),
    ) {
        let out = self.name(name);
        out.push(b'[');
        for (at, value) in values.into_iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            each(value, out);
        }
        out.push(b']');
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }
}

/// A string; what is not UTF-8 is U+FFFD in it.
pub(super) fn string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') & (*byte != b'"') & (*byte != b'\\');
    if bytes.iter().fold(true, |all, byte| all & plain(byte)) {
        out.extend_from_slice(bytes);
    } else {
        for chunk in bytes.utf8_chunks() {
            chunk.valid().chars().for_each(|character| push(character, out));
            if !chunk.invalid().is_empty() {
                out.extend_from_slice("\u{fffd}".as_bytes());
            }
        }
    }
    out.push(b'"');
}

fn push(character: char, out: &mut Vec<u8>) {
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        // All of them are in the basic plane.
        character if acts(character) => {
            let _into_memory = write!(out, "\\u{:04x}", u32::from(character));
        }
        character => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// A number in decimal digits.
pub(super) fn number(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut first = digits.len() - 1;
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        first = at;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::{Object, number, string};
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    #[test]
    fn objects_are_what_serde_reads() {
        let mut out = Vec::new();
        let mut object = Object::new(&mut out);
        object.text("a", b"x\"\\\x1b\xff");
        object.number("b", 0);
        object.float("c", 2.0);
        object.list("d", [1, 20], number);
        object.list("e", [0_u64; 0], number);
        object.end();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "{\"a\":\"x\\\"\\\\\\u001b\u{fffd}\",\"b\":0,\"c\":2.0,\"d\":[1,20],\"e\":[]}");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["a"], "x\"\\\u{1b}\u{fffd}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_back_and_nothing_in_it_acts(text in any::<String>(), more in "[\\x00-\\xff\u{202a}-\u{202e}\u{2028}\u{2029}]*") {
            for text in [text, more] {
                let mut out = Vec::new();
                string(text.as_bytes(), &mut out);
                let written = String::from_utf8(out).unwrap();
                prop_assert!(!written.chars().any(crate::driver::text::acts));
                prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
            }
        }

        #[test]
        fn any_bytes_are_a_string(bytes in prop::collection::vec(any::<u8>(), 0..64), value in any::<u64>()) {
            let mut out = Vec::new();
            string(&bytes, &mut out);
            let read: String = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(read, String::from_utf8_lossy(&bytes));
            out.clear();
            number(value, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }
}
