//! What `ssh-weblog-server` serves.

pub mod tree;
