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
    /// IPv4 only
    #[arg(short = '4', conflicts_with = "inet6")]
    inet: bool,
    /// IPv6 only
    #[arg(short = '6')]
    inet6: bool,
}

impl ConnectionArguments {
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
