//! Raw bytes into a client.
#![no_main]
use libfuzzer_sys::fuzz_target;
use strombus_fuzz::Pair;

fuzz_target!(|bytes: &[u8]| {
    let mut pair = Pair::new(Default::default());
    let now = pair.now;
    pair.client.feed(bytes, now);
    assert!(!pair.client.conn.is_authenticated());
});
