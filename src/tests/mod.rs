//! Tests of the layers together: two connections in memory, under virtual time.

mod channels;
mod hostile;
mod login;
mod pair;
mod rekey;
mod schedules;
mod seeds;
mod states;
