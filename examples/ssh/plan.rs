//! What is going to be asked of the host.

use super::arguments::Arguments;
use std::io::{IsTerminal, stdin};
use strombus::driver::environment;
use strombus::driver::options::Options;
use strombus::keys::ssh_config::{End, LogLevel, RequestTty, SessionType};
use strombus::tell;

/// What the connection is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The user's shell.
    Shell,
    /// A command.
    Command(Vec<u8>),
    /// A subsystem.
    Subsystem(Vec<u8>),
    /// The host connects to another, and standard input and output are that connection.
    Connect(End),
    /// No session.
    Nothing,
}

/// All of it.
pub struct Plan {
    pub what: What,
    /// The type of the terminal, if there is to be one.
    pub terminal: Option<Vec<u8>>,
    pub environment: Vec<(Vec<u8>, Vec<u8>)>,
    /// Only with a terminal.
    pub escape_char: Option<u8>,
    pub stdin_null: bool,
    pub level: LogLevel,
    /// As it is shown.
    pub host: String,
}

impl Plan {
    /// By the command line and the configuration, as ssh decides it.
    pub fn new(arguments: &Arguments, options: &Options) -> Result<Self, String> {
        let config = &options.config;
        let command = arguments.command(options)?;
        let what = match (arguments.target()?, config.session_type, command) {
            (Some(end), ..) => What::Connect(end),
            (None, SessionType::None, _) => What::Nothing,
            (None, SessionType::Subsystem, None) => {
                return Err("ssh: -s: name a subsystem".to_owned());
            }
            (None, SessionType::Subsystem, Some(name)) => What::Subsystem(name),
            (None, SessionType::Default, Some(command)) => What::Command(command),
            (None, SessionType::Default, None) => What::Shell,
        };
        let wanted = match (&what, config.request_tty) {
            (What::Connect(_) | What::Nothing, _) | (_, RequestTty::No) => false,
            (What::Shell, RequestTty::Auto) | (_, RequestTty::Yes | RequestTty::Force) => true,
            (_, RequestTty::Auto) => false,
        };
        let is_here = stdin().is_terminal() && !config.stdin_null;
        let has_terminal = wanted && (is_here || config.request_tty == RequestTty::Force);
        if wanted && !has_terminal && config.log_level >= LogLevel::Info {
            tell!("Pseudo-terminal will not be allocated because stdin is not a terminal.");
        }
        let own = std::env::var_os(environment::TERM);
        Ok(Self {
            what,
            terminal: has_terminal.then(|| environment::term(config, own)),
            environment: environment::sent(config, std::env::vars_os()),
            escape_char: config.escape_char.0.filter(|_| has_terminal),
            stdin_null: config.stdin_null,
            level: config.log_level,
            host: options.host.clone(),
        })
    }
}
