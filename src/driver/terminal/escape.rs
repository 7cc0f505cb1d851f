//! Escape characters of ssh(1): what a person types at the start of a line to talk to the client instead of the host.

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
}
