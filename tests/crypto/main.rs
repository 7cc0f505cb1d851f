//! What a peer who means harm can try on the cryptography alone, and what must hold for every key.

mod finite_field;
mod kex;
#[path = "../common/rng.rs"]
mod rng;
mod seal;
mod secret;
mod sign;

use strombus::wire::Writer;

/// Fields as strings, one after the other.
fn strings(fields: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut w = Writer::new(&mut bytes);
    fields.iter().for_each(|field| w.string(field));
    bytes
}
