//! Tests of the layers together: two connections in memory, under virtual time.

mod channels;
mod login;
mod pair;
mod rekey;
