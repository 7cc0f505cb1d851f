//! The exit statuses that programs share, those of ssh(1) and of shells. What else they end with is their own.

/// Wrong arguments.
pub const USAGE: u8 = 2;
/// Ctrl-C.
pub const INTERRUPTED: u8 = 130;
/// Nobody reads standard output any more.
pub const BROKEN_PIPE: u8 = 141;
/// SIGTERM.
pub const TERMINATED: u8 = 143;
/// No connection, or no login.
pub const NO_CONNECTION: u8 = 255;
