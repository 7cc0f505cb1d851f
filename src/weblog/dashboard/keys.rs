//! What is typed, as keys: bytes of a terminal, split anywhere.
//!
//! It knows the sequences of arrows and of their neighbours in both of their modes (`ESC [ A`, `ESC O A`); all others are one
//! key. It does not know what a key is for.

use core::time::Duration;
use std::time::Instant;

/// An escape byte that nothing follows for so long is the key; with less, the rest of a sequence may be on its way.
pub const ESCAPE_WAIT: Duration = Duration::from_millis(100);

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Character(char),
    Enter,
    Escape,
    Backspace,
    Tab,
    BackTab,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-L.
    Redraw,
    /// Ctrl-U.
    Erase,
    /// Any other, by a control byte or a sequence.
    Other,
}

/// The part of a key that has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Begun {
    #[default]
    Nothing,
    /// `ESC`.
    Escape,
    /// `ESC O`.
    Application,
    /// `ESC [`, and the first number behind it, until what is no digit comes.
    Sequence { number: u16, is_open: bool },
    /// The first bytes of a character, and how many are to come.
    Character { bytes: [u8; 4], length: usize, wanted: usize },
}

/// Makes keys of bytes; holds no more than the beginning of one.
#[derive(Debug, Default)]
pub(super) struct Keys {
    begun: Begun,
    /// When the last byte of a sequence that has begun came.
    since: Option<Instant>,
}

impl Keys {
    /// Takes what was typed; `each` gets the keys.
    pub(super) fn push(&mut self, bytes: &[u8], now: Instant, mut each: impl FnMut(Key)) {
        for byte in bytes {
            self.byte(*byte, now, &mut each);
            self.since = self.is_escape().then_some(now);
        }
    }

    /// When an escape byte becomes the key, if one waits.
    pub(super) fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + ESCAPE_WAIT)
    }

    /// The escape key, once nothing came behind its byte.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Key> {
        self.due().filter(|due| *due <= now)?;
        self.since = None;
        (core::mem::take(&mut self.begun) == Begun::Escape).then_some(Key::Escape)
    }

    const fn is_escape(&self) -> bool {
        matches!(self.begun, Begun::Escape | Begun::Application | Begun::Sequence { .. })
    }

    fn byte(&mut self, byte: u8, now: Instant, each: &mut impl FnMut(Key)) {
        // One that came long after an escape byte is not of its sequence.
        self.handle_timeout(now).into_iter().for_each(&mut *each);
        self.begun = match (self.begun, byte) {
            (Begun::Escape, b'[') => Begun::Sequence { number: 0, is_open: true },
            (Begun::Escape, b'O') => Begun::Application,
            (Begun::Sequence { number, is_open: true }, b'0'..=b'9') => {
                let number = number.saturating_mul(10).saturating_add(u16::from(byte - b'0'));
                Begun::Sequence { number, is_open: true }
            }
            (Begun::Sequence { number, .. }, 0x20..=0x3f) => Begun::Sequence { number, is_open: false },
            (Begun::Sequence { number, .. }, 0x40..=0x7e) => {
                each(sequence(byte, number));
                Begun::Nothing
            }
            (Begun::Application, 0x40..=0x7e) => {
                each(sequence(byte, 0));
                Begun::Nothing
            }
            (Begun::Character { mut bytes, length, wanted }, 0x80..=0xbf) => {
                if let Some(place) = bytes.get_mut(length) {
                    *place = byte;
                }
                if length + 1 < wanted {
                    Begun::Character { bytes, length: length + 1, wanted }
                } else {
                    let text = bytes.get(..wanted).and_then(|bytes| core::str::from_utf8(bytes).ok());
                    text.and_then(|text| text.chars().next()).map(Key::Character).into_iter().for_each(each);
                    Begun::Nothing
                }
            }
            (begun, byte) => {
                if begun == Begun::Escape {
                    each(Key::Escape);
                }
                alone(byte, each)
            }
        };
    }
}

/// A byte with nothing in front of it.
fn alone(byte: u8, each: &mut impl FnMut(Key)) -> Begun {
    let wanted = match byte {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 0,
    };
    if wanted > 0 {
        return Begun::Character { bytes: [byte, 0, 0, 0], length: 1, wanted };
    }
    each(match byte {
        0x1b => return Begun::Escape,
        0x03 => Key::Interrupt,
        0x08 | 0x7f => Key::Backspace,
        b'\t' => Key::Tab,
        b'\r' | b'\n' => Key::Enter,
        0x0c => Key::Redraw,
        0x15 => Key::Erase,
        b' '..=b'~' => Key::Character(byte.into()),
        0..b' ' => Key::Other,
        _ => return Begun::Nothing,
    });
    Begun::Nothing
}

/// The key of a sequence's last byte and its number.
const fn sequence(last: u8, number: u16) -> Key {
    match (last, number) {
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'C', _) => Key::Right,
        (b'D', _) => Key::Left,
        (b'H', _) | (b'~', 1 | 7) => Key::Home,
        (b'F', _) | (b'~', 4 | 8) => Key::End,
        (b'Z', _) => Key::BackTab,
        (b'M', 0) => Key::Enter,
        (b'~', 5) => Key::PageUp,
        (b'~', 6) => Key::PageDown,
        _ => Key::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::{ESCAPE_WAIT, Key, Keys};
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
    use std::time::Instant;

    fn keys(chunks: &[&[u8]]) -> Vec<Key> {
        let (mut keys, mut all, now) = (Keys::default(), Vec::new(), Instant::now());
        for chunk in chunks {
            keys.push(chunk, now, |key| all.push(key));
        }
        all
    }

    #[test]
    fn arrows_are_known_in_both_modes_and_any_other_sequence_is_one_key() {
        let all = b"\x1b[A\x1b[B\x1b[C\x1b[D\x1bOA\x1bOB\x1bOC\x1bOD\x1b[1;5A\x1b[5~\x1b[6~\x1b[H\x1bOF\x1b[1~\x1b[4~\x1b[Z";
        let arrows = [Key::Up, Key::Down, Key::Right, Key::Left];
        let rest = [Key::Up, Key::PageUp, Key::PageDown, Key::Home, Key::End, Key::Home, Key::End];
        assert_eq!(keys(&[all]), [&arrows[..], &arrows, &rest, &[Key::BackTab]].concat());
        let others = [[Key::Other; 5].as_slice(), &[Key::Character('q')]].concat();
        assert_eq!(keys(&[b"\x1b[200~\x1b[?1;2c\x1b[99999999999;1~\x1b[15~\x1bOPq"]), others);
    }

    #[test]
    fn bytes_are_keys_and_control_bytes_of_no_use_are_one_and_the_same() {
        use Key::{Backspace, Character, Enter, Erase, Interrupt, Other, Redraw, Tab};
        let known = [Character('q'), Tab, Enter, Enter, Backspace, Backspace, Interrupt, Redraw, Erase];
        let expected = [&known[..], &[Other; 4]].concat();
        assert_eq!(keys(&[b"q\t\r\n\x7f\x08\x03\x0c\x15\x00\x01\x04\x1a\x80\xff"]), expected);
        assert_eq!(
            keys(&["é日😀".as_bytes(), b"\xc3", b"(\xe3\x81a"]),
            ['é', '日', '😀', '(', 'a'].map(Character)
        );
    }

    #[test]
    fn an_escape_byte_is_the_key_once_nothing_follows_it_and_at_once_if_that_is_no_sequence() {
        let (mut keys_of, mut all, now) = (Keys::default(), Vec::new(), Instant::now());
        keys_of.push(b"\x1b", now, |key| all.push(key));
        assert_eq!((keys_of.due(), keys_of.handle_timeout(now)), (Some(now + ESCAPE_WAIT), None));
        assert_eq!(keys_of.handle_timeout(now + ESCAPE_WAIT), Some(Key::Escape));
        assert_eq!((keys_of.due(), all.len()), (None, 0));
        // What comes later is no sequence, though nobody asked meanwhile.
        keys_of.push(b"\x1b", now, |key| all.push(key));
        keys_of.push(b"[A", now + ESCAPE_WAIT, |key| all.push(key));
        assert_eq!(all, [Key::Escape, Key::Character('['), Key::Character('A')]);
        assert_eq!(keys(&[b"\x1bq"]), [Key::Escape, Key::Character('q')]);
        assert_eq!(keys(&[b"\x1b\x1b[A"]), [Key::Escape, Key::Up]);
        for sequence in [&b"\x1b\x03"[..], b"\x1b[\x03", b"\x1b[1;\x03", b"\x1bO\x03", b"\xe3\x03"] {
            assert_eq!(keys(&[sequence]).last(), Some(&Key::Interrupt), "{}", sequence.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn keys_are_the_same_wherever_the_bytes_are_split(
            bytes in prop::collection::vec(prop::sample::select(b"\x1b[O1;5~AZq\x03\xc3\xa9\xe6\x97\xa5\xff ".as_slice()), 0..40),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let (mut chunks, mut begin) = (Vec::new(), 0);
            for end in cuts.into_iter().chain([bytes.len()]) {
                chunks.push(&bytes[begin..end]);
                begin = end;
            }
            prop_assert_eq!(keys(&chunks), keys(&[&bytes]));
            prop_assert!(keys(&[&bytes]).len() <= bytes.len());
        }
    }
}
