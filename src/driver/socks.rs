//! SOCKS 4, 4a and 5 (RFC 1928): what a client says before its connection is made, and what it is answered.
//!
//! Only CONNECT is there, and nobody has to say who he is: whoever listens decides who may come. Bytes come in as they come, and
//! those after the request belong to the connection. Sockets and channels are not known here.

use crate::connection::HOST_TO_CONNECT_MAX;
use crate::wire::{DecodeError, Reader};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The longest name of a user that SOCKS 4 may give (bytes); nobody reads it.
pub const USER_ID_MAX: usize = 255;

/// The longest thing that a client says at a time: both texts of SOCKS 4a (bytes).
pub const SAID_MAX: usize = 8 + USER_ID_MAX + 1 + HOST_TO_CONNECT_MAX + 1;

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// More is to come.
    Incomplete,
    /// It is to be answered this, and then goes on.
    Answer(&'static [u8]),
    /// To be connected there.
    Connect {
        /// A name, or an address without brackets.
        host: String,
        /// TCP.
        port: u16,
    },
}

/// Why it is not served: what it is answered, if it would understand that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub &'static [u8]);

/// How it came out, for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The connection is there.
    Connected,
    /// It is not allowed.
    Prohibited,
    /// It was not made.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Greeting,
    Request,
    Over,
}

/// The beginning of a connection by SOCKS.
#[derive(Clone, Debug)]
pub struct Handshake {
    stage: Stage,
    version: u8,
    /// What came of a message that is not whole: at most [`SAID_MAX`].
    held: Vec<u8>,
}

impl Default for Handshake {
    fn default() -> Self {
        Self { stage: Stage::Greeting, version: 0, held: Vec::new() }
    }
}

impl Handshake {
    /// Takes bytes until something is said, and how many it took: the rest is to be offered again, or is the connection's.
    ///
    /// # Errors
    /// What is said is not SOCKS, or not served.
    pub fn handle(&mut self, bytes: &[u8]) -> Result<(usize, Said), Refused> {
        for (at, byte) in bytes.iter().enumerate() {
            if self.held.len() >= SAID_MAX {
                return Err(Refused(b""));
            }
            self.held.push(*byte);
            let said = match self.read() {
                Ok(said) => said,
                Err(Fault::Incomplete) => continue,
                Err(Fault::Refused(answer)) => return Err(Refused(answer)),
            };
            self.held.clear();
            return Ok((at + 1, said));
        }
        Ok((bytes.len(), Said::Incomplete))
    }

    /// What the client is answered after its request.
    #[must_use]
    pub const fn answer(&self, outcome: Outcome) -> &'static [u8] {
        match (self.version, outcome) {
            (4, Outcome::Connected) => b"\0\x5a\0\0\0\0\0\0",
            (4, _) => REJECTED4,
            (_, Outcome::Connected) => b"\x05\0\0\x01\0\0\0\0\0\0",
            (_, Outcome::Prohibited) => b"\x05\x02\0\x01\0\0\0\0\0\0",
            (_, Outcome::Failed) => b"\x05\x05\0\x01\0\0\0\0\0\0",
        }
    }

    fn read(&mut self) -> Result<Said, Fault> {
        let mut r = Reader::new(&self.held);
        self.version = r.byte()?;
        match (self.stage, self.version) {
            (Stage::Greeting, 4) => {
                let said = request4(&mut r)?;
                self.stage = Stage::Over;
                Ok(said)
            }
            (Stage::Greeting, 5) => {
                let n = r.byte()?;
                let methods = r.bytes(n.into())?;
                if !methods.contains(&NO_AUTHENTICATION) {
                    return Err(Fault::Refused(b"\x05\xff"));
                }
                self.stage = Stage::Request;
                Ok(Said::Answer(b"\x05\0"))
            }
            (Stage::Request, 5) => {
                let said = request5(&mut r)?;
                self.stage = Stage::Over;
                Ok(said)
            }
            _ => Err(Fault::Refused(b"")),
        }
    }
}

/// CONNECT, of both versions.
const CONNECT: u8 = 1;
/// X'00' of RFC 1928 §3.
const NO_AUTHENTICATION: u8 = 0;
const REJECTED4: &[u8] = b"\0\x5b\0\0\0\0\0\0";

enum Fault {
    Incomplete,
    Refused(&'static [u8]),
}

impl From<DecodeError> for Fault {
    fn from(_: DecodeError) -> Self {
        Self::Incomplete
    }
}

fn request4(r: &mut Reader<'_>) -> Result<Said, Fault> {
    if r.byte()? != CONNECT {
        return Err(Fault::Refused(REJECTED4));
    }
    let port = u16::from_be_bytes(*r.array()?);
    let address: [u8; 4] = *r.array()?;
    text(r, USER_ID_MAX)?;
    // An address that there is not says that a name follows (4a).
    let host = match address {
        [0, 0, 0, last] if last != 0 => name(text(r, HOST_TO_CONNECT_MAX)?, REJECTED4)?,
        address => Ipv4Addr::from(address).to_string(),
    };
    Ok(Said::Connect { host, port })
}

/// RFC 1928 §4.
fn request5(r: &mut Reader<'_>) -> Result<Said, Fault> {
    if r.byte()? != CONNECT {
        return Err(Fault::Refused(b"\x05\x07\0\x01\0\0\0\0\0\0"));
    }
    r.byte()?; // reserved
    let host = match r.byte()? {
        1 => Ipv4Addr::from(*r.array::<4>()?).to_string(),
        3 => {
            let length = r.byte()?;
            name(r.bytes(length.into())?, b"\x05\x01\0\x01\0\0\0\0\0\0")?
        }
        4 => Ipv6Addr::from(*r.array::<16>()?).to_string(),
        _ => return Err(Fault::Refused(b"\x05\x08\0\x01\0\0\0\0\0\0")),
    };
    Ok(Said::Connect { host, port: u16::from_be_bytes(*r.array()?) })
}

/// Bytes up to a NUL.
fn text<'a>(r: &mut Reader<'a>, max: usize) -> Result<&'a [u8], Fault> {
    let rest = r.rest();
    match rest.iter().position(|byte| *byte == 0) {
        Some(length) if length <= max => {
            let text = r.bytes(length)?;
            r.byte()?;
            Ok(text)
        }
        None if rest.len() <= max => Err(Fault::Incomplete),
        _ => Err(Fault::Refused(REJECTED4)),
    }
}

fn name(bytes: &[u8], refusal: &'static [u8]) -> Result<String, Fault> {
    let text = core::str::from_utf8(bytes).ok().filter(|name| !name.is_empty() && !name.contains('\0'));
    text.map(str::to_owned).ok_or(Fault::Refused(refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said to these bytes, however they are cut, and what is left of them.
    fn said(bytes: &[u8]) -> Result<(Vec<Said>, Vec<u8>), Refused> {
        let all = |size: usize| {
            let (mut handshake, mut said, mut left) = (Handshake::default(), Vec::new(), Vec::new());
            for chunk in bytes.chunks(size) {
                let mut rest = chunk;
                while !rest.is_empty() {
                    if let Some(Said::Connect { .. }) = said.last() {
                        left.extend_from_slice(rest);
                        break;
                    }
                    let (n, one) = handshake.handle(rest)?;
                    assert!(n > 0);
                    rest = &rest[n..];
                    if one != Said::Incomplete {
                        said.push(one);
                    }
                }
            }
            Ok((said, left))
        };
        let whole = all(bytes.len());
        for size in 1..bytes.len() {
            assert_eq!(all(size), whole);
        }
        whole
    }

    fn connect(host: &str, port: u16) -> Said {
        Said::Connect { host: host.to_owned(), port }
    }

    #[test]
    fn each_version_asks_for_a_host_and_a_port_and_what_follows_is_left() {
        let left = b"GET".to_vec();
        let four = said(b"\x04\x01\x01\xbb\x7f\0\0\x01me\0GET");
        assert_eq!(four, Ok((vec![connect("127.0.0.1", 443)], left.clone())));
        let four_a = said(b"\x04\x01\0\x50\0\0\0\x01\0host.example\0GET");
        assert_eq!(four_a, Ok((vec![connect("host.example", 80)], left.clone())));
        let answer = Said::Answer(b"\x05\0");
        for (request, host) in [
            (&b"\x05\x01\0\x01\x7f\0\0\x01\0\x50GET"[..], "127.0.0.1"),
            (b"\x05\x01\0\x03\x04host\0\x50GET", "host"),
            (b"\x05\x01\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50GET", "::1"),
        ] {
            let five = said(&[b"\x05\x02\x02\0", request].concat());
            assert_eq!(five, Ok((vec![answer.clone(), connect(host, 80)], left.clone())));
        }
    }

    #[test]
    fn what_is_not_served_is_refused_in_the_words_of_its_version() {
        for (bytes, answer) in [
            (&b"GET / HTTP/1.1"[..], &b""[..]),
            (b"\0", b""),
            (b"\x04\x02\0\x50\x7f\0\0\x01\0", REJECTED4),
            (b"\x04\x01\0\x50\0\0\0\x01\0\0", REJECTED4),
            (b"\x04\x01\0\x50\0\0\0\x01\0\xff\xfe\0", REJECTED4),
            (b"\x05\x01\x02", b"\x05\xff"),
            (b"\x05\0", b"\x05\xff"),
            (b"\x05\x01\0\x04", b""),
            (b"\x05\x01\0\x05\x02", b"\x05\x07\0\x01\0\0\0\0\0\0"),
            (b"\x05\x01\0\x05\x03", b"\x05\x07\0\x01\0\0\0\0\0\0"),
            (b"\x05\x01\0\x05\x01\0\x05", b"\x05\x08\0\x01\0\0\0\0\0\0"),
            (b"\x05\x01\0\x05\x01\0\x03\0", b"\x05\x01\0\x01\0\0\0\0\0\0"),
            (b"\x05\x01\0\x05\x01\0\x03\x01\0", b"\x05\x01\0\x01\0\0\0\0\0\0"),
        ] {
            assert_eq!(said(bytes), Err(Refused(answer)), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn texts_have_a_longest_length() {
        let request = |user: usize, host: usize| {
            let (user, host) = (vec![b'u'; user], vec![b'h'; host]);
            said(&[&b"\x04\x01\0\x50\0\0\0\x01"[..], &user, b"\0", &host, b"\0"].concat())
        };
        let longest = "h".repeat(HOST_TO_CONNECT_MAX);
        let all = request(USER_ID_MAX, HOST_TO_CONNECT_MAX);
        assert_eq!(all, Ok((vec![connect(&longest, 80)], Vec::new())));
        assert_eq!(request(USER_ID_MAX + 1, 1), Err(Refused(REJECTED4)));
        assert_eq!(request(1, HOST_TO_CONNECT_MAX + 1), Err(Refused(REJECTED4)));
        let mut endless = Handshake::default();
        assert_eq!(
            endless.handle(&[&b"\x04\x01"[..], &[1; 10 * SAID_MAX]].concat()),
            Err(Refused(REJECTED4))
        );
        assert!(endless.held.len() <= SAID_MAX);
    }

    #[test]
    fn the_answer_says_how_it_came_out() {
        let version = |version| Handshake { version, ..Handshake::default() };
        let outcomes = [Outcome::Connected, Outcome::Prohibited, Outcome::Failed];
        let fours = outcomes.map(|outcome| version(4).answer(outcome)[1]);
        assert_eq!(fours, [0x5a, 0x5b, 0x5b]);
        assert_eq!(outcomes.map(|outcome| version(5).answer(outcome)[1]), [0, 2, 5]);
    }
}
