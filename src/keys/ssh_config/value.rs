//! What the values of keywords may be: each type reads the words of a line, and writes itself as `ssh -G` does.

use super::choice::{YesNoAsk, chosen};
use super::forward::Jump;
use super::tokens::{Variable, expand_variables};
use crate::wire::list_matches;

/// The most files of one kind (OpenSSH: 100 identities, 100 certificates, 32 files of known hosts).
pub const FILES_MAX: usize = 100;

/// The most things of another kind that add up.
pub const ENTRIES_MAX: usize = 1024;

/// What stands behind a keyword.
pub(super) struct Arguments<'a> {
    pub(super) words: Vec<String>,
    /// The rest of the line as it stands.
    pub(super) rest: &'a str,
    pub(super) variable: Variable<'a>,
}

impl Arguments<'_> {
    /// The one word that there must be.
    pub(super) fn word(&self) -> Result<&str, String> {
        match self.words.as_slice() {
            [] => Err("a value is missing".to_owned()),
            [word] if word.is_empty() => Err("the value is empty".to_owned()),
            [word] => Ok(word),
            [_, extra, ..] => Err(format!("one value is expected, and {extra} follows")),
        }
    }

    /// All words, at least one, none empty; `none` only alone.
    fn list(&self) -> Result<&[String], String> {
        if self.words.iter().any(String::is_empty) {
            return Err("a value is empty".to_owned());
        }
        match self.words.as_slice() {
            [] => Err("a value is missing".to_owned()),
            [_, _, ..] if self.words.iter().any(|word| is_none(word)) => {
                Err("none stands alone or not at all".to_owned())
            }
            words => Ok(words),
        }
    }
}

fn is_none(word: &str) -> bool {
    word.eq_ignore_ascii_case("none")
}

/// A field of the configuration.
pub(super) trait Field {
    /// Whether each line adds to it; else the first one counts.
    fn adds(&self) -> bool {
        false
    }

    /// Takes the words of a line.
    fn set(&mut self, arguments: &Arguments<'_>) -> Result<(), String>;

    /// The lines of `-G`, without the keyword.
    fn show(&self) -> Vec<String>;
}

impl Field for bool {
    fn set(&mut self, arguments: &Arguments<'_>) -> Result<(), String> {
        *self = chosen(&[("yes", true), ("no", false), ("true", true), ("false", false)], arguments.word()?)?;
        Ok(())
    }

    fn show(&self) -> Vec<String> {
        vec![if *self { "yes" } else { "no" }.to_owned()]
    }
}

/// A number as OpenSSH's `int` holds it.
fn number(word: &str) -> Result<u32, String> {
    let plain = word.bytes().all(|b| b.is_ascii_digit());
    word.parse()
        .ok()
        .filter(|n| plain && *n <= i32::MAX as u32)
        .ok_or_else(|| format!("{word}: not a number"))
}

impl Field for u32 {
    fn set(&mut self, arguments: &Arguments<'_>) -> Result<(), String> {
        *self = number(arguments.word()?)?;
        Ok(())
    }

    fn show(&self) -> Vec<String> {
        vec![self.to_string()]
    }
}

impl Field for u16 {
    fn set(&mut self, arguments: &Arguments<'_>) -> Result<(), String> {
        let port = number(arguments.word()?)?;
        *self = Self::try_from(port).ok().filter(|n| *n > 0).ok_or("a port is from 1 to 65535")?;
        Ok(())
    }

    fn show(&self) -> Vec<String> {
        vec![self.to_string()]
    }
}

/// A mode of files, in octal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mask(pub u32);

impl Mask {
    /// Reads it, as sshd_config(5) has it, too.
    ///
    /// # Errors
    /// A text for the user.
    pub fn parse(word: &str) -> Result<Self, String> {
        let digits = word.bytes().all(|b| (b'0'..=b'7').contains(&b));
        let mask = u32::from_str_radix(word, 8).ok().filter(|mask| digits && *mask <= 0o777);
        mask.map(Self).ok_or_else(|| format!("{word}: an octal number up to 0777"))
    }
}

impl Field for Mask {
    fn set(&mut self, arguments: &Arguments<'_>) -> Result<(), String> {
        *self = Self::parse(arguments.word()?)?;
        Ok(())
    }

    fn show(&self) -> Vec<String> {
        vec![format!("0{:o}", self.0)]
    }
}

impl Field for Option<String> {
    fn set(&mut self, arguments: &Arguments<'_>) -> Result<(), String> {
        *self = Some(arguments.word()?.to_owned());
        Ok(())
    }

    fn show(&self) -> Vec<String> {
        self.iter().cloned().collect()
    }
}

/// Seconds from a text like `90`, `2h30m` or `1w`.
#[must_use]
pub fn seconds(text: &str) -> Option<u32> {
    let (mut total, mut rest) = (0_u64, text);
    let mut bare = false;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let value: u64 = rest.get(..end)?.parse().ok()?;
        let unit = rest.get(end..)?.chars().next();
        let factor = match unit.map(|unit| unit.to_ascii_lowercase()) {
            None | Some('s') if bare => return None,
            None | Some('s') => {
                bare = true;
                1
            }
            Some('m') => 60,
            Some('h') => 60 * 60,
            Some('d') => 24 * 60 * 60,
            Some('w') => 7 * 24 * 60 * 60,
            Some(_) => return None,
        };
        total = total.checked_add(value.checked_mul(factor)?).filter(|total| *total <= i32::MAX as u64)?;
        rest = rest.get(end + unit.map_or(0, char::len_utf8)..)?;
    }
    (!text.is_empty()).then_some(u32::try_from(total).ok()?)
}

fn time(word: &str) -> Result<u32, String> {
    seconds(word).ok_or_else(|| format!("{word}: not a time"))
}

/// A time in seconds, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeout(pub Option<u32>);

impl Field for Timeout {
    fn set(&mut self, arguments: &Arguments<'_>) -> Result<(), String> {
        let word = arguments.word()?;
        self.0 = if word == "none" { None } else { Some(time(word)?) };
        Ok(())
    }

    fn show(&self) -> Vec<String> {
        vec![self.0.map_or("none".to_owned(), |seconds| seconds.to_string())]
    }
}

/// A time in seconds that is 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interval(pub u32);

impl Field for Interval {
    fn set(&mut self, arguments: &Arguments<'_>) -> Result<(), String> {
        let mut timeout = Timeout::default();
        timeout.set(arguments)?;
        self.0 = timeout.0.unwrap_or(0);
        Ok(())
    }

    fn show(&self) -> Vec<String> {
        vec![self.0.to_string()]
    }
}

/// When keys are renewed; 0 where the default holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RekeyLimit {
    /// After so many bytes.
    pub bytes: u64,
    /// After so many seconds.
    pub seconds: u32,
}

impl RekeyLimit {
    /// Reads `BYTES[K|M|G] [TIME]`.
    ///
    /// # Errors
    /// A text for the user.
    pub fn parse(words: &[&str]) -> Result<Self, String> {
        let (bytes, time_word) = match words {
            [bytes] => (*bytes, "none"),
            [bytes, time] => (*bytes, *time),
            _ => return Err("bytes with K, M or G, perhaps a time".to_owned()),
        };
        let wrong = || format!("{bytes}: bytes with K, M or G, 16 at least, or default");
        let bytes = if bytes == "default" { 0 } else { scaled(bytes).ok_or_else(wrong)? };
        if (1..16).contains(&bytes) {
            return Err(wrong());
        }
        Ok(Self { bytes, seconds: if time_word == "none" { 0 } else { time(time_word)? } })
    }
}

fn scaled(text: &str) -> Option<u64> {
    let unit = text.chars().last()?.to_ascii_uppercase();
    let shift = match unit {
        'K' => 10,
        'M' => 20,
        'G' => 30,
        'T' => 40,
        _ => 0,
    };
    let digits = if unit.is_ascii_digit() { text } else { text.get(..text.len() - 1)? };
    let known = unit.is_ascii_digit() || unit == 'B' || shift > 0;
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    digits
        .parse::<u64>()
        .ok()
        .filter(|_| known && plain)?
        .checked_mul(1 << shift)
        .filter(|n| *n <= i64::MAX as u64)
}

impl Field for RekeyLimit {
    fn set(&mut self, arguments: &Arguments<'_>) -> Result<(), String> {
        let words: Vec<_> = arguments.words.iter().map(String::as_str).collect();
        *self = Self::parse(&words)?;
        Ok(())
    }

    fn show(&self) -> Vec<String> {
        vec![format!("{} {}", self.bytes, self.seconds)]
    }
}

/// Keystrokes are sent at this interval (milliseconds), 0 for as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keystrokes(pub u32);

impl Field for Keystrokes {
    fn set(&mut self, arguments: &Arguments<'_>) -> Result<(), String> {
        self.0 = match arguments.word()? {
            "yes" | "true" => 20,
            "no" | "false" => 0,
            word => {
                let interval = word.strip_prefix("interval:").ok_or("it may be yes, no or interval:N")?;
                number(interval).ok().filter(|n| (1..=1000).contains(n)).ok_or("1 to 1000 ms")?
            }
        };
        Ok(())
    }

    fn show(&self) -> Vec<String> {
        vec![match self.0 {
            20 => "yes".to_owned(),
            0 => "no".to_owned(),
            other => other.to_string(),
        }]
    }
}

/// Whether keys that were read are given to the agent, and for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddKeysToAgent {
    /// They are, or only if somebody says yes.
    pub add: Option<YesNoAsk>,
    /// The agent asks before each use.
    pub confirm: bool,
    /// The agent forgets them after so many seconds; 0 for never.
    pub lifetime: u32,
}

impl Field for AddKeysToAgent {
    fn set(&mut self, arguments: &Arguments<'_>) -> Result<(), String> {
        let (word, lifetime) = match arguments.words.as_slice() {
            [word] => (word.as_str(), None),
            [word, lifetime] if word.eq_ignore_ascii_case("confirm") => (word.as_str(), Some(lifetime)),
            _ => return Err("it may be yes, no, ask, confirm [TIME] or TIME".to_owned()),
        };
        let confirm = word.eq_ignore_ascii_case("confirm");
        *self = if confirm {
            Self { add: Some(YesNoAsk::Yes), confirm, lifetime: lifetime.map_or(Ok(0), |word| time(word))? }
        } else if let Ok(add) = chosen(YesNoAsk::WORDS, word) {
            Self { add: Some(add), confirm, lifetime: 0 }
        } else {
            Self { add: Some(YesNoAsk::Yes), confirm, lifetime: time(word)? }
        };
        Ok(())
    }

    fn show(&self) -> Vec<String> {
        vec![match (self.confirm, self.lifetime) {
            (true, 0) => "confirm".to_owned(),
            (true, lifetime) => format!("confirm {lifetime}"),
            (false, 0) => self.add.unwrap_or(YesNoAsk::No).show().concat(),
            (false, lifetime) => lifetime.to_string(),
        }]
    }
}

/// A command for a shell: the rest of the line as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command(pub Option<String>);

impl Field for Command {
    fn set(&mut self, arguments: &Arguments<'_>) -> Result<(), String> {
        let command = arguments.rest.trim_start_matches([' ', '\t', '=']);
        if command.is_empty() {
            return Err("a command is missing".to_owned());
        }
        self.0 = Some(command.to_owned());
        Ok(())
    }

    fn show(&self) -> Vec<String> {
        self.0.iter().cloned().collect()
    }
}

/// Hosts to go through, in this order; none for the straight way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyJump(pub Vec<Jump>);

impl Field for ProxyJump {
    fn set(&mut self, arguments: &Arguments<'_>) -> Result<(), String> {
        let text = arguments.rest.trim_start_matches([' ', '\t', '=']);
        let text = text.split('#').next().unwrap_or_default().trim_end();
        let jump =
            |jump: &str| Jump::parse(jump).ok_or_else(|| format!("{jump}: write it as [USER@]HOST[:PORT]"));
        self.0 =
            if is_none(text) { Vec::new() } else { text.split(',').map(jump).collect::<Result<_, _>>()? };
        Ok(())
    }

    fn show(&self) -> Vec<String> {
        let hosts: Vec<_> = self.0.iter().map(Jump::to_string).collect();
        Some(hosts.join(",")).filter(|hosts| !hosts.is_empty()).into_iter().collect()
    }
}

/// Names of files that add up; the same one only once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(pub Vec<String>);

impl Field for Files {
    fn adds(&self) -> bool {
        true
    }

    fn set(&mut self, arguments: &Arguments<'_>) -> Result<(), String> {
        let file = arguments.word()?;
        if self.0.len() >= FILES_MAX {
            return Err(format!("more than {FILES_MAX} files"));
        }
        if !self.0.iter().any(|known| known == file) {
            self.0.push(file.to_owned());
        }
        Ok(())
    }

    fn show(&self) -> Vec<String> {
        self.0.clone()
    }
}

/// A list of names on one line; empty for `none`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List(pub Vec<String>);

impl List {
    pub(super) fn of(words: &[&str]) -> Self {
        Self(words.iter().map(|word| (*word).to_owned()).collect())
    }
}

impl Field for List {
    fn set(&mut self, arguments: &Arguments<'_>) -> Result<(), String> {
        let words = arguments.list()?;
        if words.len() > FILES_MAX {
            return Err(format!("more than {FILES_MAX} files"));
        }
        self.0 = words.iter().filter(|word| !is_none(word)).cloned().collect();
        Ok(())
    }

    fn show(&self) -> Vec<String> {
        vec![if self.0.is_empty() { "none".to_owned() } else { self.0.join(" ") }]
    }
}

/// Patterns of variables that are sent; `-PATTERN` takes some out again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendEnv(pub Vec<String>);

impl Field for SendEnv {
    fn adds(&self) -> bool {
        true
    }

    fn set(&mut self, arguments: &Arguments<'_>) -> Result<(), String> {
        if arguments.words.is_empty() || arguments.words.iter().any(|w| w.is_empty() || w.contains('=')) {
            return Err("names of variables are expected".to_owned());
        }
        for word in &arguments.words {
            match word.strip_prefix('-') {
                // A comma is no separator here; no name has one.
                Some(pattern) => {
                    self.0.retain(|name| {
                        pattern.contains(',') || !list_matches(pattern.as_bytes(), name.as_bytes(), u8::eq)
                    });
                }
                None if self.0.len() >= ENTRIES_MAX => {
                    return Err(format!("more than {ENTRIES_MAX} variables"));
                }
                None => self.0.push(word.clone()),
            }
        }
        Ok(())
    }

    fn show(&self) -> Vec<String> {
        self.0.clone()
    }
}

/// Variables that are set at the server: `NAME=VALUE`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetEnv(pub Vec<String>);

impl Field for SetEnv {
    fn set(&mut self, arguments: &Arguments<'_>) -> Result<(), String> {
        if arguments.words.is_empty() || arguments.words.len() > ENTRIES_MAX {
            return Err("NAME=VALUE is expected".to_owned());
        }
        let name = |word: &str| word.split_once('=').map(|(name, _)| name.to_owned());
        self.0.clear();
        for word in &arguments.words {
            let new = name(word).ok_or_else(|| format!("{word}: write it as NAME=VALUE"))?;
            if !self.0.iter().any(|known| name(known).as_deref() == Some(&new)) {
                self.0.push(word.clone());
            }
        }
        Ok(())
    }

    fn show(&self) -> Vec<String> {
        self.0.clone()
    }
}

/// The escape character; none if there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EscapeChar(pub Option<u8>);

impl Field for EscapeChar {
    fn set(&mut self, arguments: &Arguments<'_>) -> Result<(), String> {
        let word = arguments.word()?;
        self.0 = match word.as_bytes() {
            _ if is_none(word) => None,
            [character] => Some(*character),
            [b'^', character @ 64..128] => Some(character & 0x1f),
            _ => return Err(format!("{word}: it may be one character, ^ and a letter, or none")),
        };
        Ok(())
    }

    fn show(&self) -> Vec<String> {
        vec![match self.0 {
            None => "none".to_owned(),
            Some(character) if character < 0x20 => format!("^{}", char::from(character | 0x40)),
            Some(character) => char::from(character).to_string(),
        }]
    }
}

/// A socket of an agent: a path, or a variable that holds one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentSocket(pub Option<String>);

impl AgentSocket {
    fn parse(word: &str, variable: Variable<'_>) -> Result<Self, String> {
        expand_variables(word, variable)?;
        let name = word.strip_prefix('$').filter(|name| !name.starts_with('{'));
        let is_name = |name: &str| {
            !name.is_empty()
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        if name.is_some_and(|name| !is_name(name)) {
            return Err(format!("{word}: no variable has this name"));
        }
        Ok(Self(Some(word.to_owned())))
    }
}

impl Field for AgentSocket {
    fn set(&mut self, arguments: &Arguments<'_>) -> Result<(), String> {
        *self = Self::parse(arguments.word()?, arguments.variable)?;
        Ok(())
    }

    fn show(&self) -> Vec<String> {
        self.0.iter().cloned().collect()
    }
}

/// Whether the agent is forwarded, and which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardAgent {
    /// It is.
    pub forward: bool,
    /// If not the one that is used here.
    pub socket: AgentSocket,
}

impl Field for ForwardAgent {
    fn set(&mut self, arguments: &Arguments<'_>) -> Result<(), String> {
        let mut forward = false;
        let socket = match forward.set(arguments) {
            Ok(()) => AgentSocket::default(),
            Err(_) => AgentSocket::parse(arguments.word()?, arguments.variable)?,
        };
        *self = Self { forward: forward || socket.0.is_some(), socket };
        Ok(())
    }

    fn show(&self) -> Vec<String> {
        self.socket.0.clone().map_or_else(|| self.forward.show(), |socket| vec![socket])
    }
}

#[cfg(test)]
mod tests {
    use super::{Mask, RekeyLimit, seconds};

    #[test]
    fn masks_are_octal() {
        assert_eq!(Mask::parse("0177"), Ok(Mask(0o177)));
        assert_eq!(Mask::parse("0"), Ok(Mask(0)));
        for text in ["", "8", "1000", "+7", "0x7"] {
            assert!(Mask::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_numbers_with_units() {
        for (text, expected) in [
            ("90", Some(90)),
            ("1h30m", Some(5400)),
            ("1W2d", Some(777_600)),
            ("10s", Some(10)),
            ("0", Some(0)),
            ("", None),
            ("m", None),
            ("1x", None),
            ("-1", None),
            ("10s10", None),
            ("99999999999", None),
            ("99999w", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn a_rekey_limit_is_bytes_and_a_time() {
        let limit = |words: &[&str]| RekeyLimit::parse(words).ok().map(|limit| (limit.bytes, limit.seconds));
        assert_eq!(limit(&["1G", "1h"]), Some((1 << 30, 3600)));
        assert_eq!(limit(&["16"]), Some((16, 0)));
        assert_eq!(limit(&["default", "none"]), Some((0, 0)));
        for bad in [
            &["15"][..],
            &["1x"],
            &["K"],
            &["+5K"],
            &["9999999T"],
            &["1G", "x"],
            &[],
            &["1G", "1", "1"],
            &["ö"],
        ] {
            assert_eq!(limit(bad), None, "{bad:?}");
        }
    }
}
