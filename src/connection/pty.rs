//! What a terminal is on the wire: its size and its modes (RFC 4254 §6.2, §6.7 and §8; IUTF8: RFC 8160).
//!
//! It does not know any operating system's terminal: which opcode is which of its settings is the driver's to say.

use crate::wire::Writer;

/// The longest terminal type that is believed (bytes).
pub const TERM_MAX: usize = 64;

/// The most columns, and the most rows, that a terminal is believed to have.
pub const CELLS_MAX: u32 = 1000;

/// The most modes that are read of one request: there are not more opcodes.
pub const MODES_MAX: usize = 160;

/// TTY_OP_END: what follows is no mode.
pub const TTY_OP_END: u8 = 0;

/// From here on opcodes are undefined, and so is the length of their arguments.
const UNDEFINED: u8 = 160;

/// A terminal's type that may reach a program's environment: `term` itself, or `dumb` if it is empty, longer than
/// [`TERM_MAX`] or not of printable US-ASCII.
#[must_use]
pub fn terminal_type(term: &[u8]) -> &str {
    let plain = (1..=TERM_MAX).contains(&term.len()) && term.iter().all(u8::is_ascii_graphic);
    core::str::from_utf8(term).ok().filter(|_| plain).unwrap_or("dumb")
}

/// The size of a window; 0 where it is not known (RFC 4254 §6.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowSize {
    /// Width in characters.
    pub columns: u32,
    /// Height in characters.
    pub rows: u32,
    /// Width in pixels.
    pub width_px: u32,
    /// Height in pixels.
    pub height_px: u32,
}

impl WindowSize {
    /// What one may draw on: at least 1 and at most [`CELLS_MAX`] columns and rows; 80 and 24 where the peer does not know.
    /// The pixels fit in 16 bits, as those of a terminal do.
    #[must_use]
    pub fn clamped(self) -> Self {
        let cells = |n, unknown| if n == 0 { unknown } else { u32::min(n, CELLS_MAX) };
        let pixels = |n: u32| n.min(u16::MAX.into());
        Self {
            columns: cells(self.columns, 80),
            rows: cells(self.rows, 24),
            width_px: pixels(self.width_px),
            height_px: pixels(self.height_px),
        }
    }
}

/// Modes of a terminal as a peer sent them (RFC 4254 §8): pairs of an opcode and its argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalModes<'a>(&'a [u8]);

impl<'a> TerminalModes<'a> {
    /// Takes them as they are. Nothing is wrong with any bytes.
    #[must_use]
    pub const fn new(encoded: &'a [u8]) -> Self {
        Self(encoded)
    }

    /// As they are on the wire.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Opcodes and arguments, up to TTY_OP_END, an undefined opcode, what is cut short, or [`MODES_MAX`] of them.
    pub fn iter(self) -> impl Iterator<Item = (u8, u32)> + 'a {
        let pairs = self.0.as_chunks::<5>().0.iter().map(|[opcode, argument @ ..]| (*opcode, *argument));
        let defined = pairs.take_while(|(opcode, _)| (TTY_OP_END + 1..UNDEFINED).contains(opcode));
        defined.map(|(opcode, argument)| (opcode, u32::from_be_bytes(argument))).take(MODES_MAX)
    }

    /// Writes modes as they are on the wire, with TTY_OP_END behind.
    #[must_use]
    pub fn encode(modes: impl IntoIterator<Item = (u8, u32)>) -> Vec<u8> {
        let mut encoded = Vec::new();
        let mut w = Writer::new(&mut encoded);
        for (opcode, argument) in modes {
            w.byte(opcode);
            w.uint32(argument);
        }
        w.byte(TTY_OP_END);
        encoded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(encoded: &[u8]) -> Vec<(u8, u32)> {
        TerminalModes::new(encoded).iter().collect()
    }

    #[test]
    fn modes_are_read_as_they_are_written() {
        let modes = vec![(1, 3), (42, 1), (93, u32::MAX), (128, 38_400), (159, 0)];
        let encoded = TerminalModes::encode(modes.clone());
        assert_eq!(encoded[..6], [1, 0, 0, 0, 3, 42]);
        assert_eq!((encoded.last(), read(&encoded)), (Some(&TTY_OP_END), modes));
        assert_eq!(TerminalModes::encode([]), [TTY_OP_END]);
    }

    #[test]
    fn reading_stops_at_the_end_and_at_undefined_opcodes() {
        for end in [0, 160, 200, 255] {
            assert_eq!(read(&[1, 0, 0, 0, 3, end, 0, 0, 0, 1, 2, 0, 0, 0, 3]), [(1, 3)], "{end}");
        }
        assert_eq!(read(b""), []);
    }

    #[test]
    fn modes_that_are_cut_at_any_byte_give_those_before() {
        let encoded = TerminalModes::encode([(1, 3), (2, 28), (3, 127)]);
        for cut in 0..encoded.len() {
            assert_eq!(read(&encoded[..cut]).len(), cut / 5, "{cut}");
        }
    }

    #[test]
    fn no_more_modes_than_there_are_opcodes() {
        let many = TerminalModes::encode((0..1000).map(|n| (1, n)));
        assert_eq!(read(&many).len(), MODES_MAX);
    }

    #[test]
    fn t81_sizes_have_bounds_and_zero_is_not_known() {
        let size = |n| WindowSize { columns: n, rows: n, width_px: n, height_px: n };
        let huge = size(u32::MAX).clamped();
        assert_eq!((huge.columns, huge.rows, huge.width_px, huge.height_px), (1000, 1000, 65_535, 65_535));
        let none = size(0).clamped();
        assert_eq!((none.columns, none.rows, none.width_px, none.height_px), (80, 24, 0, 0));
        for n in [1, CELLS_MAX] {
            assert_eq!(size(n).clamped(), size(n));
        }
        assert_eq!(size(CELLS_MAX + 1).clamped().rows, CELLS_MAX);
    }

    #[test]
    fn t81_a_terminal_type_that_could_act_is_dumb() {
        for good in ["xterm-256color", "a", &"x".repeat(TERM_MAX)] {
            assert_eq!(terminal_type(good.as_bytes()), good);
        }
        let long = "x".repeat(TERM_MAX + 1);
        for bad in [&b""[..], b"xterm\x1b[31m", b"a b", b"\0", b"caf\xe9", "é".as_bytes(), long.as_bytes()] {
            assert_eq!(terminal_type(bad), "dumb");
        }
    }
}
