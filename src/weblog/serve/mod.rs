//! `ssh-weblog-server`: what is read before it serves, and again when it is told to.

pub mod audit;
pub mod flags;
pub mod notify;
pub mod run_as;
pub mod settings;
pub mod start;
mod tables;
pub mod users;

#[cfg(test)]
mod tests;
