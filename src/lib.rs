//! SSH-2 for both sides.
#![forbid(unsafe_code)]
#![warn(
    missing_docs,
    unused_must_use,
    unreachable_pub,
    elided_lifetimes_in_paths,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::use_self,
    clippy::manual_let_else
)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation))]

pub mod crypto;
pub mod wire;
