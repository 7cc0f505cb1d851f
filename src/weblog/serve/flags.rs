//! The options of `ssh-weblog-server`, which stand on the command line and count more than its file.
//!
//! They are kept as they were typed; [`Configuration::read`](super::settings::Configuration::read) says what they mean.

use super::settings::AuditForm;
use clap::Args;
use std::path::PathBuf;

/// What the command line says.
#[derive(Args, Clone, Debug, Default)]
pub struct Flags {
    /// File of all this, of several users, of logs and of limits: TOML; what is said here too counts more
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// PORT or ADDRESS:PORT to listen on, repeatable; port 0 is one that is free [default: 8022, at every address]
    #[arg(long, value_name = "[ADDR:]PORT")]
    pub listen: Vec<String>,
    /// The name to log in with
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// File of the user's keys, a line each
    #[arg(long, value_name = "FILE", requires = "user")]
    pub authorized_keys: Option<PathBuf>,
    /// File of password hashes: lines NAME:HASH, or a bare hash, which is the user's
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// File of a host key, repeatable, one of a type; without any, one is made in the state directory
    #[arg(long, value_name = "FILE")]
    pub host_key: Vec<PathBuf>,
    /// File of a certificate of one of the host keys, repeatable
    #[arg(long, value_name = "FILE")]
    pub host_certificate: Vec<PathBuf>,
    /// File of keys, of users and of CAs, that let nobody in any more
    #[arg(long, value_name = "FILE")]
    pub revoked_keys: Option<PathBuf>,
    /// Directory of what the server keeps [default: $STATE_DIRECTORY, or ssh-weblog-server in $XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Whom to become, when it is started as root, once it listens
    #[arg(long, value_name = "USER")]
    pub run_as: Option<String>,
    /// How the audit log on standard error is written [default: text]
    #[arg(long, value_enum, value_name = "FORM")]
    pub audit: Option<AuditForm>,
    /// Logs to show; or hash-password, fingerprint, or check and a FILE
    #[arg(value_name = "LOG")]
    pub log: Vec<PathBuf>,
}
