//! Values that are one word of a few.

use super::value::{Arguments, Field};

/// An enum of words; the first of each is what `-G` prints.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $($word:literal)|+,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$of])* $variant,)* }

        impl $name {
            pub(super) const WORDS: &[(&str, Self)] = &[$($(($word, Self::$variant),)+)*];
        }

        impl Field for $name {
            fn set(&mut self, arguments: &Arguments<'_>) -> Result<(), String> {
                *self = chosen(Self::WORDS, arguments.word()?)?;
                Ok(())
            }

            fn show(&self) -> Vec<String> {
                Self::WORDS.iter().find(|(_, value)| value == self).map(|(word, _)| (*word).to_owned()).into_iter().collect()
            }
        }
    };
}

pub(super) fn chosen<T: Copy>(words: &[(&str, T)], word: &str) -> Result<T, String> {
    let found = words.iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<_> = words.iter().map(|(known, _)| *known).collect();
        format!("{word}: it may be {}", known.join(", "))
    })
}

choice! {
    /// What is done with a host key that is not known.
    StrictHostKeyChecking {
        /// Refused.
        Yes = "true" | "yes",
        /// Accepted and noted down, whatever is known.
        Off = "false" | "no" | "off",
        /// Accepted and noted down where nothing is known.
        AcceptNew = "accept-new",
        /// The person at the terminal is asked.
        Ask = "ask",
    }
}

choice! {
    /// Whether something is done, or asked about first.
    YesNoAsk {
        /// It is done.
        Yes = "true" | "yes",
        /// It is not.
        No = "false" | "no",
        /// The person at the terminal is asked.
        Ask = "ask",
    }
}

choice! {
    /// Which addresses are tried.
    AddressFamily {
        /// All.
        Any = "any",
        /// IPv4.
        Inet = "inet",
        /// IPv6.
        Inet6 = "inet6",
    }
}

choice! {
    /// Whether keys are tried, and whether the signature names the host's key.
    PubkeyAuthentication {
        /// Bound where the server can.
        Yes = "true" | "yes",
        /// Not tried.
        No = "false" | "no",
        /// Never bound to the host.
        Unbound = "unbound",
        /// Bound to the host.
        HostBound = "host-bound",
    }
}

choice! {
    /// Whether a terminal is asked for.
    RequestTty {
        /// If there is one here and no command.
        Auto = "auto",
        /// If there is one here.
        Yes = "true" | "yes",
        /// Never.
        No = "false" | "no",
        /// Always.
        Force = "force",
    }
}

choice! {
    /// What the session is for.
    SessionType {
        /// A command or a shell.
        Default = "default",
        /// A subsystem.
        Subsystem = "subsystem",
        /// There is none.
        None = "none",
    }
}

choice! {
    /// Whether names are made canonical before the host is looked for.
    CanonicalizeHostname {
        /// Left as they are.
        No = "false" | "no",
        /// Made so.
        Yes = "true" | "yes",
        /// Behind a proxy, too.
        Always = "always",
    }
}

choice! {
    /// How much is told.
    LogLevel {
        /// Nothing.
        Quiet = "QUIET",
        /// What ends the program.
        Fatal = "FATAL",
        /// Errors.
        Error = "ERROR",
        /// What a user wants to know.
        Info = "INFO",
        /// More.
        Verbose = "VERBOSE",
        /// As `-v`.
        Debug = "DEBUG" | "DEBUG1",
        /// As `-vv`.
        Debug2 = "DEBUG2",
        /// As `-vvv`.
        Debug3 = "DEBUG3",
    }
}

impl LogLevel {
    /// How many `-v` it is worth.
    #[must_use]
    pub const fn debug(self) -> u8 {
        match self {
            Self::Quiet | Self::Fatal | Self::Error | Self::Info | Self::Verbose => 0,
            Self::Debug => 1,
            Self::Debug2 => 2,
            Self::Debug3 => 3,
        }
    }
}
