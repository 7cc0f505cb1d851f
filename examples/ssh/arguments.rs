//! The arguments, by ssh's own letters.

use clap::Parser;
use std::path::PathBuf;
use strombus::driver::algorithms::PRESET_HELP;
use strombus::driver::config::{self, CommandLine, LoadError, Loaded};
use strombus::driver::options::Options;
use strombus::keys::ssh_config::End;

/// Runs a command on a host over SSH.
#[derive(Parser)]
#[command(name = "ssh", version, args_override_self = true)]
#[command(after_help = format!("{PRESET_HELP}\n\nExit status: that of the command; 255 if there is none."))]
pub struct Arguments {
    /// Port of the host
    #[arg(short)]
    pub port: Option<String>,
    /// Name of the user there
    #[arg(short = 'l', value_name = "USER")]
    pub login_name: Option<String>,
    /// File of a private key; may be repeated
    #[arg(short, value_name = "FILE")]
    pub identity: Vec<String>,
    /// An option by its name in ssh_config(5); may be repeated
    #[arg(short, value_name = "KEY=VALUE")]
    pub option: Vec<String>,
    /// File to be read instead of ~/.ssh/config and /etc/ssh/ssh_config; none for none
    #[arg(short = 'F', value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Print what all of it comes to, as ssh -G does, and end
    #[arg(short = 'G')]
    pub print: bool,
    /// Hosts to go through
    #[arg(short = 'J', value_name = "HOSTS")]
    pub jump: Option<String>,
    /// Nothing runs there: the host connects to another, or to a Unix socket, and standard input and output are that connection
    #[arg(short = 'W', value_name = "HOST:PORT", conflicts_with = "command")]
    pub forward: Option<String>,
    /// Listen here, and have the host connect: [ADDRESS:]PORT:HOST:HOSTPORT, or a socket's path for either; may be repeated
    #[arg(short = 'L', value_name = "FORWARD")]
    pub local: Vec<String>,
    /// Have the host listen, and connect here: likewise; without a second half, by SOCKS
    #[arg(short = 'R', value_name = "FORWARD")]
    pub remote: Vec<String>,
    /// Listen here for SOCKS, and have the host connect; may be repeated
    #[arg(short = 'D', value_name = "[ADDRESS:]PORT")]
    pub dynamic: Vec<String>,
    /// Other hosts may connect to what is listened on here
    #[arg(short)]
    pub gateway_ports: bool,
    /// Let the host ask the agent
    #[arg(short = 'A', overrides_with = "no_agent")]
    pub agent: bool,
    /// Do not
    #[arg(short = 'a', overrides_with = "agent")]
    pub no_agent: bool,
    /// No X11, which is what happens anyway
    #[arg(short = 'x')]
    pub no_x11: bool,
    /// Version 2 of the protocol, which is spoken anyway
    #[arg(short = '2')]
    pub protocol_2: bool,
    /// IPv4 only; of -4 and -6 the last counts
    #[arg(short = '4', overrides_with = "inet6")]
    pub inet: bool,
    /// IPv6 only
    #[arg(short = '6', overrides_with = "inet")]
    pub inet6: bool,
    /// Tell the story of the login; more of it with -vv and -vvv
    #[arg(short, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Ciphers, in the order of preference; +LIST appends to the default, -LIST removes, ^LIST puts in front
    #[arg(short, value_name = "LIST", allow_hyphen_values = true)]
    pub cipher: Option<String>,
    /// MACs, likewise
    #[arg(short, value_name = "LIST", allow_hyphen_values = true)]
    pub mac: Option<String>,
    /// Compress, if the host does
    #[arg(short = 'C')]
    pub compression: bool,
    /// Print the names of all algorithms of a kind: cipher, compression, kex, key, mac, sig
    #[arg(short = 'Q', value_name = "KIND")]
    pub query: Option<String>,
    /// A terminal there, also for a command; -tt: also without one here
    #[arg(short, overrides_with = "no_terminal", action = clap::ArgAction::Count)]
    pub terminal: u8,
    /// No terminal
    #[arg(short = 'T', overrides_with = "terminal")]
    pub no_terminal: bool,
    /// No command and no shell
    #[arg(short = 'N')]
    pub no_session: bool,
    /// The command is the name of a subsystem
    #[arg(short)]
    pub subsystem: bool,
    /// Standard input is left alone
    #[arg(short = 'n')]
    pub no_input: bool,
    /// The character that talks to ssh itself at the start of a line, with a terminal; ^ and a letter, or none
    #[arg(short, value_name = "CHAR")]
    pub escape_char: Option<String>,
    /// Tell nothing
    #[arg(short)]
    pub quiet: bool,
    /// [USER@]HOST
    #[arg(required_unless_present = "query")]
    pub destination: Option<String>,
    /// The command; without one, the user's shell
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

impl Arguments {
    /// The options of all of it.
    pub fn loaded(&self) -> Result<Loaded, LoadError> {
        let destination = self.destination.as_deref().unwrap_or_default();
        let (user, host) = match destination.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, destination),
        };
        // ssh takes the first value of an option; what has a letter of its own comes first here, and so wins.
        let letters = [
            ("Port", self.port.as_deref()),
            ("Ciphers", self.cipher.as_deref()),
            ("MACs", self.mac.as_deref()),
            ("Compression", self.compression.then_some("yes")),
            ("LogLevel", self.quiet.then_some("QUIET")),
            ("LogLevel", config::log_level(self.verbose)),
            ("RequestTTY", self.no_terminal.then_some("no")),
            (
                "RequestTTY",
                [None, Some("yes")].get(usize::from(self.terminal)).copied().unwrap_or(Some("force")),
            ),
            ("SessionType", self.no_session.then_some("none")),
            ("SessionType", self.subsystem.then_some("subsystem")),
            ("StdinNull", self.no_input.then_some("yes")),
            ("EscapeChar", self.escape_char.as_deref()),
            ("AddressFamily", self.inet.then_some("inet")),
            ("AddressFamily", self.inet6.then_some("inet6")),
            ("GatewayPorts", self.gateway_ports.then_some("yes")),
            ("ForwardAgent", self.agent.then_some("yes")),
            ("ForwardAgent", self.no_agent.then_some("no")),
        ];
        let letters =
            letters.into_iter().filter_map(|(keyword, value)| Some(config::option(keyword, value?)));
        let identities = self.identity.iter().map(|file| config::option("IdentityFile", file));
        let jump = self.jump.iter().map(|hosts| format!("ProxyJump={hosts}"));
        let forwards = [
            ("LocalForward", &self.local),
            ("RemoteForward", &self.remote),
            ("DynamicForward", &self.dynamic),
        ];
        let forwards = forwards.into_iter().flat_map(|(keyword, texts)| {
            let option = move |text: &String| {
                config::forward_option(keyword, text).unwrap_or_else(|| format!("{keyword}={text}"))
            };
            texts.iter().map(option)
        });
        // Behind what is said of it: with -W nothing else is forwarded.
        let alone = self.forward.iter().map(|_| "ClearAllForwardings=yes".to_owned());
        config::load(&CommandLine {
            host: host.to_owned(),
            user: user.or(self.login_name.as_deref()).map(str::to_owned),
            options: letters
                .chain(identities)
                .chain(jump)
                .chain(forwards)
                .chain(self.option.iter().cloned())
                .chain(alone)
                .collect(),
            file: self.file.clone(),
        })
    }

    /// Where the host is to connect to.
    pub fn target(&self) -> Result<Option<End>, String> {
        let Some(text) = &self.forward else { return Ok(None) };
        let parse = |text: &str| {
            let (host, port) = text.rsplit_once(':')?;
            let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            let port = port.parse().ok().filter(|port| *port > 0 && !host.is_empty())?;
            Some(End::Tcp { host: Some(host.to_owned()), port })
        };
        if text.contains('/') {
            return Ok(Some(End::Unix(text.clone())));
        }
        parse(text).map(Some).ok_or_else(|| format!("ssh: -W {text}: write it as HOST:PORT"))
    }

    /// The command that runs there: none for the user's shell.
    pub fn command(&self, options: &Options) -> Result<Option<Vec<u8>>, String> {
        let typed = Some(self.command.join(" ")).filter(|command| !command.is_empty());
        let configured = options.config.remote_command.0.clone();
        if typed.is_some() && configured.is_some() {
            return Err("ssh: there is a command, and RemoteCommand is another".to_owned());
        }
        Ok(typed.or(configured).map(String::into_bytes))
    }
}
