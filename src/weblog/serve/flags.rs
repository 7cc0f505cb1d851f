//! The options of `ssh-weblog-server`, which stand on the command line and count more than its file.
//!
//! They are kept as they were typed; [`Configuration::read`](super::settings::Configuration::read) says what they mean.

use super::settings::AuditForm;
use clap::Args;
use std::path::PathBuf;

/// What the command line says.
#[derive(Args, Clone, Debug, Default)]
pub struct Flags {
    /// File of several users, logs and limits, and of all that is said here (TOML); an example is below
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Listen on PORT, or on ADDRESS:PORT only; may be repeated; port 0: one that is free [default: 8022]
    #[arg(long, global = true, value_name = "[ADDR:]PORT")]
    pub listen: Vec<String>,
    /// Name to log in with; goes with --authorized-keys, --password-file or both, of which either suffices
    #[arg(long, global = true, value_name = "NAME")]
    pub user: Option<String>,
    /// File of the user's public keys, a line each: an id_ed25519.pub will do
    #[arg(long, global = true, value_name = "FILE", requires = "user")]
    pub authorized_keys: Option<PathBuf>,
    /// File of password hashes, as hash-password makes them: lines NAME:HASH, or a bare hash, which is --user's
    #[arg(long, global = true, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// File of a host key, one of each type; may be repeated; without it a key is made in the state directory
    #[arg(long, global = true, value_name = "FILE")]
    pub host_key: Vec<PathBuf>,
    /// File of a certificate of one of the host keys; may be repeated
    #[arg(long, global = true, value_name = "FILE")]
    pub host_certificate: Vec<PathBuf>,
    /// File of public keys, of users and of CAs, that let nobody in any more
    #[arg(long, global = true, value_name = "FILE")]
    pub revoked_keys: Option<PathBuf>,
    /// Directory for the host key [default: $STATE_DIRECTORY, or ssh-weblog-server in $XDG_STATE_HOME or ~/.local/state]
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Started as root, become this user once it listens
    #[arg(long, global = true, value_name = "USER")]
    pub run_as: Option<String>,
    /// How the audit log on standard error is written [default: text]
    #[arg(long, global = true, value_enum, value_name = "FORM")]
    pub audit: Option<AuditForm>,
    /// Logs to show, each under its file's name without .log; patterns (* ? [a-z]) are expanded here
    #[arg(value_name = "LOG")]
    pub log: Vec<PathBuf>,
}
