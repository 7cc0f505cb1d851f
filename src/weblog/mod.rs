//! Log lines: reading records, showing them, following files, and the two programs.
//!
//! It sees channels, never a packet.

pub mod dashboard;
pub mod demo;
pub mod follow;
pub mod format;
pub mod generate;
pub mod lines;
pub mod options;
pub mod record;
pub mod serve;
pub mod time;
pub mod view;
pub mod watch;
