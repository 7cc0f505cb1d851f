//! SSH-2 for both sides.
#![forbid(unsafe_code)]
