//! The arguments that ssh's users know, for the clients among the programs: how a host is connected to.
//!
//! It does not know what the connection is for.

use super::config::{self, CommandLine, LoadError, Loaded};
use super::exit::{NO_CONNECTION, USAGE};
use clap::Args;
use core::fmt;
use std::path::PathBuf;

/// How a host is connected to.
#[derive(Args, Clone, Debug)]
pub struct ConnectionArguments {
    /// File of a private key to log in with; may be repeated
    #[arg(short, value_name = "FILE")]
    identity: Vec<String>,
    /// An option by its name in ssh_config(5), as Key=Value; may be repeated
    #[arg(short, value_name = "OPTION")]
    option: Vec<String>,
    /// Configuration to read instead of ~/.ssh/config and /etc/ssh/ssh_config; none: no file at all
    #[arg(short = 'F', value_name = "FILE")]
    file: Option<PathBuf>,
    /// Hosts to connect through, commas between: ann@gate.example:2222
    #[arg(short = 'J', value_name = "HOSTS")]
    jump: Option<String>,
    /// IPv4 only; of -4 and -6 the last counts
    #[arg(short = '4', overrides_with = "inet6")]
    inet: bool,
    /// IPv6 only
    #[arg(short = '6', overrides_with = "inet")]
    inet6: bool,
}

impl ConnectionArguments {
    /// Whether what `-o` says is right, where no host is connected to.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn check(&self) -> Result<(), LoadError> {
        let (host, options) = ("localhost".to_owned(), self.option.clone());
        let line = CommandLine { host, options, file: Some("none".into()), ..CommandLine::default() };
        config::load(&line).map(drop)
    }

    /// Reads what is configured for a host. `named` are options that have an argument of their own in the program; they come
    /// before those of `-o`, and the first of two values counts, as for ssh.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load<'a>(
        &'a self,
        host: &str,
        user: Option<&str>,
        named: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<Loaded, LoadError> {
        let own = [
            ("AddressFamily", self.inet.then_some("inet")),
            ("AddressFamily", self.inet6.then_some("inet6")),
        ];
        let named = named.into_iter().chain(own);
        let named = named.filter_map(|(keyword, value)| Some(config::option(keyword, value?)));
        let identities = self.identity.iter().map(|file| config::option("IdentityFile", file));
        let jump = self.jump.iter().map(|hosts| format!("ProxyJump={hosts}"));
        config::load(&CommandLine {
            host: host.to_owned(),
            user: user.map(str::to_owned),
            options: named.chain(identities).chain(jump).chain(self.option.iter().cloned()).collect(),
            file: self.file.clone(),
        })
    }
}

/// Why a program does nothing of what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// For the user.
    pub text: String,
    /// The exit status.
    pub status: u8,
}

impl Wrong {
    /// The arguments are wrong.
    #[must_use]
    pub fn usage(text: impl fmt::Display) -> Self {
        Self { text: format!("{text}; see --help"), status: USAGE }
    }
}

impl From<LoadError> for Wrong {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::CommandLine(_) => Self::usage(error.text()),
            _ => Self { text: error.text().to_owned(), status: NO_CONNECTION },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    #[command(args_override_self = true)]
    struct Arguments {
        #[command(flatten)]
        connection: ConnectionArguments,
    }

    #[test]
    fn of_two_families_the_last_counts_and_options_and_identities_add_up() {
        let parsed = |words: &[&str]| Arguments::try_parse_from([&[""], words].concat()).unwrap().connection;
        for (words, family) in
            [(&["-4", "-6"][..], "inet6"), (&["-6", "-4"], "inet"), (&["-64", "-6"], "inet6")]
        {
            let words = [&["-F", "other", "-F", "none"], words].concat();
            let options = parsed(&words).load("h.example", None, []).unwrap();
            let lines = options.lines().unwrap();
            assert!(lines.contains(&format!("\naddressfamily {family}\n")), "{words:?}: {lines}");
        }
        let both = parsed(&["-o", "User=ann", "-i", "a", "-o", "Port=1", "-i", "b"]);
        assert_eq!((both.option.len(), both.identity.len()), (2, 2));
    }

    #[test]
    fn what_o_says_is_checked_without_a_host() {
        let check = |option: &str| Arguments::parse_from(["", "-o", option]).connection.check();
        assert_eq!(check("Port=1"), Ok(()));
        for wrong in ["Nonsense=1", "Port=x", "Port"] {
            assert!(
                matches!(check(wrong), Err(LoadError::CommandLine(text)) if text.contains(wrong)),
                "{wrong}"
            );
        }
    }
}
