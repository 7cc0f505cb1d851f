//! Variables that go from a client's environment to what runs at a server: which are sent (SendEnv and SetEnv of
//! ssh_config(5)), and which are taken (AcceptEnv of sshd_config(5)).
//!
//! It does not know what a variable means, but for TERM, which goes with a terminal and not alone.

use crate::keys::ssh_config::Config;
use crate::wire::pattern_matches;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The variable that a request for a terminal carries.
pub const TERM: &str = "TERM";

/// Of `environment`, what the configuration says to send, and what it sets on top: names and values in the order in which
/// ssh sends them.
pub fn sent(
    config: &Config,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let is_sent = |name: &[u8]| {
        config.send_env.0.iter().any(|pattern| pattern_matches(pattern.as_bytes(), name, u8::eq))
    };
    let own = environment
        .filter(|(name, _)| is_sent(name.as_bytes()))
        .map(|(name, value)| (name.into_vec(), value.into_vec()));
    let set = config.set_env.0.iter().filter_map(|set| set.split_once('='));
    own.chain(set.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))).collect()
}

/// The type of the terminal: what SetEnv says of it, or else `own`.
#[must_use]
pub fn term(config: &Config, own: Option<OsString>) -> Vec<u8> {
    let set = config.set_env.0.iter().filter_map(|set| set.split_once('=')).find(|(name, _)| *name == TERM);
    set.map(|(_, value)| value.as_bytes().to_vec())
        .or_else(|| own.map(OsString::into_vec))
        .unwrap_or_default()
}

/// Which variables a server takes from its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptEnv(Vec<String>);

impl Default for AcceptEnv {
    /// The language: `LANG LC_*`.
    fn default() -> Self {
        Self::parse("LANG LC_*")
    }
}

impl AcceptEnv {
    /// Patterns of names, with blanks between them.
    #[must_use]
    pub fn parse(patterns: &str) -> Self {
        Self(patterns.split_ascii_whitespace().map(str::to_owned).collect())
    }

    /// More patterns.
    pub fn add(&mut self, patterns: &str) {
        self.0.extend(Self::parse(patterns).0);
    }

    /// Whether a variable is taken. TERM never is: it comes with a terminal.
    #[must_use]
    pub fn accepts(&self, name: &[u8]) -> bool {
        name != TERM.as_bytes()
            && self.0.iter().any(|pattern| pattern_matches(pattern.as_bytes(), name, u8::eq))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::ssh_config::{SendEnv, SetEnv};

    fn config(send: &[&str], set: &[&str]) -> Config {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Config { send_env: SendEnv(words(send)), set_env: SetEnv(words(set)), ..Config::default() }
    }

    #[test]
    fn what_matches_is_sent_and_what_is_set_comes_behind() {
        let environment = [("LANG", "C"), ("LC_ALL", "x"), ("SECRET", "no"), ("lang", "no")];
        let environment = || environment.iter().map(|(name, value)| (name.into(), value.into()));
        let told = |config: &Config| -> Vec<String> {
            let text = |(name, value): (Vec<u8>, Vec<u8>)| {
                format!("{}={}", String::from_utf8(name).unwrap(), String::from_utf8(value).unwrap())
            };
            sent(config, environment()).into_iter().map(text).collect()
        };
        assert_eq!(
            told(&config(&["LANG", "LC_*"], &["A=b=c", "LANG=D"])),
            ["LANG=C", "LC_ALL=x", "A=b=c", "LANG=D"]
        );
        assert!(told(&config(&[], &[])).is_empty());
    }

    #[test]
    fn the_type_of_the_terminal_can_be_set() {
        assert_eq!(term(&config(&[], &["TERM=vt100"]), Some("xterm".into())), b"vt100");
        assert_eq!(term(&config(&[], &["TERMS=vt100"]), Some("xterm".into())), b"xterm");
        assert_eq!(term(&config(&[], &[]), None), b"");
    }

    #[test]
    fn t80_only_the_language_is_taken_unless_the_configuration_says_otherwise() {
        let default = AcceptEnv::default();
        for name in ["LANG", "LC_ALL", "LC_", "LC_strombus"] {
            assert!(default.accepts(name.as_bytes()), "{name}");
        }
        for name in ["LD_PRELOAD", "PATH", "TERM", "LANGUAGE", "lang", "XLC_ALL", "", "BASH_ENV"] {
            assert!(!default.accepts(name.as_bytes()), "{name}");
        }
        let mut own = AcceptEnv::parse("A? *Z");
        own.add("TERM B");
        assert!(own.accepts(b"AB") && own.accepts(b"Z") && own.accepts(b"B"));
        assert!(!own.accepts(b"LANG") && !own.accepts(b"TERM"), "the default is replaced");
        assert!(!AcceptEnv::parse("").accepts(b"LANG"));
    }
}
