//! Tests of the layers together: two connections in memory, under virtual time.

mod channel_model;
mod channel_schedules;
mod channels;
mod compression;
mod host_keys;
mod hostile;
mod login;
mod methods;
pub(crate) mod pair;

mod rekey;
mod schedules;
mod seeds;
mod states;
