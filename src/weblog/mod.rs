//! Log lines: reading records, showing them, following files, and the two programs.
//!
//! It sees channels, never a packet.

pub mod client;
pub mod demo;
pub mod feed;
pub mod follow;
pub mod format;
pub mod generate;
pub mod lines;
pub mod options;
pub mod record;
pub mod serve;
pub mod server;
pub mod time;
pub mod users;
pub mod view;
pub mod watch;
