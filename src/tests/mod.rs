//! Tests of the layers together: two connections in memory, under virtual time.

mod channel_model;
mod channel_schedules;
mod channels;
mod compression;
mod forward;
mod host_keys;
mod hostile;
mod keepalive;
mod login;
mod methods;
pub(crate) mod pair;

mod rekey;
mod schedules;
mod seeds;
mod sessions;
mod states;
mod windows;
