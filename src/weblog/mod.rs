//! Log lines: reading records, showing them, following files, and the two programs.
//!
//! It sees channels, never a packet.

pub mod follow;
pub mod generate;
pub mod lines;
pub mod record;
pub mod show;
