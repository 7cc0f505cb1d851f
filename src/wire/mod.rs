//! Bytes: the data types of RFC 4251 §5 and the messages made of them.
//!
//! Decoding borrows from the packet, allocates nothing and never panics; encoding appends to the buffer that is sent.
//! This layer does not know when a message may come, what it means, or that there is a connection.

#![warn(clippy::indexing_slicing)]

mod fault;
pub mod message;
mod mpint;
mod name_list;
pub mod number;
mod pattern;
mod reader;
mod writer;

pub use fault::{DecodeError, DisconnectReason, Fault, MALFORMED};
pub use message::{Decode, Encode};
pub use mpint::Mpint;
pub use name_list::{NAME_MAX, NAMES_MAX, NameList};
pub use reader::Reader;
pub use writer::Writer;

pub(crate) use pattern::{list_matches, pattern_matches};
