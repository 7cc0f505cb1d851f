//! Raw bytes into a server.
#![no_main]
use libfuzzer_sys::fuzz_target;
use strombus_fuzz::Pair;

fuzz_target!(|bytes: &[u8]| {
    let mut pair = Pair::new(Default::default());
    let now = pair.now;
    pair.server.feed(bytes, now);
    assert!(!pair.server.conn.is_authenticated());
});
