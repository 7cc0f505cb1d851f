//! Escape characters of ssh(1): what a person types at the start of a line to talk to the client instead of the host.
//!
//! It does not know what an escape does, nor how the rest reaches the host.

/// What was typed and waits for the host (bytes); beyond it no escape is found, and whoever pastes waits.
pub const TYPED_MAX: usize = 4096;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// `~.`: the end of the connection.
    Disconnect,
    /// `~^Z`: the client stops until it is continued.
    Suspend,
    /// `~B`: a BREAK.
    Break,
    /// `~R`: new keys.
    Rekey,
    /// `~V`: less is told.
    Quieter,
    /// `~v`: more is told.
    Louder,
    /// `~?`: a list of these.
    Help,
}

/// The list, for a terminal in raw mode; `~` stands for the escape character.
pub const HELP: &str = "Supported escape sequences:\r\n \
    ~.   - terminate connection\r\n \
    ~B   - send a BREAK to the remote system\r\n \
    ~R   - request rekey\r\n \
    ~V/v - decrease/increase verbosity (LogLevel)\r\n \
    ~^Z  - suspend ssh\r\n \
    ~?   - this message\r\n \
    ~~   - send the escape character by typing it twice\r\n\
    (Note that escapes are only recognized immediately after newline.)";

const CTRL_Z: u8 = 0x1a;

/// Finds escapes in what is typed.
#[derive(Clone, Copy, Debug)]
pub struct Escapes {
    character: u8,
    at_line_start: bool,
    /// The escape character was typed and not what follows it.
    pending: bool,
}

impl Escapes {
    /// By this escape character.
    #[must_use]
    pub const fn new(character: u8) -> Self {
        Self { character, at_line_start: true, pending: false }
    }

    /// Appends to `out` what is for the host, up to the first escape. How many bytes of `typed` were taken, and the escape.
    pub fn take(&mut self, typed: &[u8], out: &mut Vec<u8>) -> (usize, Option<Escape>) {
        for (at, byte) in (1..).zip(typed.iter().copied()) {
            if core::mem::take(&mut self.pending) {
                let escape = match byte {
                    b'.' => Some(Escape::Disconnect),
                    CTRL_Z => Some(Escape::Suspend),
                    b'B' => Some(Escape::Break),
                    b'R' => Some(Escape::Rekey),
                    b'V' => Some(Escape::Quieter),
                    b'v' => Some(Escape::Louder),
                    b'?' => Some(Escape::Help),
                    _ => None,
                };
                if escape.is_some() && byte != self.character {
                    return (at, escape);
                }
                if byte != self.character {
                    out.push(self.character);
                }
            } else if self.at_line_start && byte == self.character {
                self.pending = true;
                continue;
            }
            self.at_line_start = matches!(byte, b'\r' | b'\n');
            out.push(byte);
        }
        (typed.len(), None)
    }
}

/// What is typed, on its way to a host that does not take everything at once.
#[derive(Clone, Debug)]
pub struct Typed {
    escapes: Escapes,
    /// One more than [`TYPED_MAX`] if the last is what follows an escape character and makes no escape of it.
    waiting: Vec<u8>,
}

impl Typed {
    /// Nothing yet.
    #[must_use]
    pub const fn new(escapes: Escapes) -> Self {
        Self { escapes, waiting: Vec::new() }
    }

    /// Whether something waits for the host.
    #[must_use]
    pub const fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Offers the host what waits; `write` tells how many bytes it took.
    pub fn flush(&mut self, write: impl FnOnce(&[u8]) -> usize) {
        let written = write(&self.waiting).min(self.waiting.len());
        self.waiting.drain(..written);
    }

    /// Takes what was typed as far as there is room, up to the first escape, and offers the host what is for it. How many
    /// bytes were taken, and the escape.
    pub fn take(&mut self, typed: &[u8], mut write: impl FnMut(&[u8]) -> usize) -> (usize, Option<Escape>) {
        let (mut taken, mut escape) = (0, None);
        while let Some(rest) = typed.get(taken..).filter(|rest| !rest.is_empty())
            && escape.is_none()
            && self.waiting.len() < TYPED_MAX
        {
            let (some, _) = rest.split_at(rest.len().min(TYPED_MAX - self.waiting.len()));
            let (n, found) = self.escapes.take(some, &mut self.waiting);
            (taken, escape) = (taken + n, found);
            self.flush(&mut write);
        }
        (taken, escape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What reaches the host and which escapes are found, the same for any cut.
    fn typed(text: &[u8]) -> (Vec<u8>, Vec<Escape>) {
        let take_all = |chunk: usize| {
            let (mut escapes, mut out, mut found) = (Escapes::new(b'~'), Vec::new(), Vec::new());
            for mut rest in text.chunks(chunk) {
                while !rest.is_empty() {
                    let (n, escape) = escapes.take(rest, &mut out);
                    found.extend(escape);
                    rest = &rest[n..];
                }
            }
            (out, found)
        };
        assert_eq!(take_all(1), take_all(text.len().max(1)));
        take_all(3)
    }

    #[test]
    fn an_escape_is_one_only_at_the_start_of_a_line() {
        assert_eq!(typed(b"~."), (vec![], vec![Escape::Disconnect]));
        assert_eq!(typed(b"ls\r~.x"), (b"ls\rx".to_vec(), vec![Escape::Disconnect]));
        assert_eq!(typed(b"a\n~\x1a"), (b"a\n".to_vec(), vec![Escape::Suspend]));
        assert_eq!(typed(b"a~. ~."), (b"a~. ~.".to_vec(), vec![]));
        assert_eq!(typed(b"~?~B~R~V~v"), {
            (vec![], vec![Escape::Help, Escape::Break, Escape::Rekey, Escape::Quieter, Escape::Louder])
        });
    }

    #[test]
    fn twice_is_the_character_and_anything_else_goes_with_it() {
        assert_eq!(typed(b"~~."), (b"~.".to_vec(), vec![]));
        assert_eq!(typed(b"~/x\r"), (b"~/x\r".to_vec(), vec![]));
        assert_eq!(typed(b"~\r~."), (b"~\r".to_vec(), vec![Escape::Disconnect]));
        assert_eq!(typed(b"~"), (vec![], vec![]), "it waits");
        let (mut out, mut dot) = (Vec::new(), Escapes::new(b'.'));
        assert_eq!(
            (dot.take(b"..", &mut out), &out[..]),
            ((2, None), &b"."[..]),
            "an escape character of another's"
        );
    }

    #[test]
    fn what_waits_for_a_host_that_takes_nothing_has_its_bound() {
        let (paste, nothing) = ([b'x'; 3 * TYPED_MAX], |_: &[u8]| 0);
        let mut typed = Typed::new(Escapes::new(b'~'));
        assert_eq!(typed.take(&paste, nothing), (TYPED_MAX, None));
        assert_eq!((typed.take(&paste, nothing), typed.waiting.len()), ((0, None), TYPED_MAX));
        // There is room again for what the host takes.
        typed.flush(|_| 100);
        assert_eq!((typed.take(&paste, nothing), typed.waiting.len()), ((100, None), TYPED_MAX));
        // Below the bound an escape is found, whatever waits before it.
        let mut typed = Typed::new(Escapes::new(b'~'));
        let text = [&paste[..TYPED_MAX - 3], b"\r~."].concat();
        assert_eq!(typed.take(&text, nothing), (text.len(), Some(Escape::Disconnect)));
        // Where it turns out to be none, its character is one byte more.
        let text = [&paste[..TYPED_MAX - 2], b"\r~x"].concat();
        let mut typed = Typed::new(Escapes::new(b'~'));
        assert_eq!((typed.take(&text, nothing), typed.waiting.len()), ((text.len(), None), TYPED_MAX + 1));
    }

    #[test]
    fn what_is_typed_comes_whole_and_in_order_however_little_the_host_takes_at_a_time() {
        let text: Vec<u8> = (0..3 * TYPED_MAX).map(|n| b"0123456789abcdef\r~~"[n % 19]).collect();
        let (mut expected, mut escapes) = (Vec::new(), Escapes::new(b'~'));
        escapes.take(&text, &mut expected);
        let (mut typed, mut came, mut rest) = (Typed::new(Escapes::new(b'~')), Vec::new(), &text[..]);
        while !rest.is_empty() || typed.waits() {
            let mut write = |bytes: &[u8]| {
                let n = bytes.len().min(7);
                came.extend_from_slice(&bytes[..n]);
                n
            };
            typed.flush(&mut write);
            let (n, escape) = typed.take(&rest[..rest.len().min(50)], &mut write);
            assert_eq!(escape, None);
            rest = &rest[n..];
        }
        assert!(came == expected);
    }
}
