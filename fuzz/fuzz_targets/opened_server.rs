//! Payloads as they come out of packets, into a server in the phase that the first byte chooses.
#![no_main]
use libfuzzer_sys::fuzz_target;
use strombus_fuzz::{Pair, quick};

fuzz_target!(|bytes: &[u8]| {
    let Some((phase, mut rest)) = bytes.split_first() else { return };
    let logged_in = phase & 1 == 1;
    let limits = Default::default();
    let mut pair = if logged_in { Pair::running(quick(), limits) } else { Pair::keyed(quick(), limits) };
    while let Some(([high, low], tail)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (payload, tail) = tail.split_at(length);
        rest = tail;
        if !payload.is_empty() {
            pair.client.conn.send_payload(payload);
            pair.up(usize::MAX);
        }
    }
    assert!(pair.server.conn.is_authenticated() == logged_in, "nobody was let in");
    assert!(pair.server.conn.pending_output() < 2 << 20);
});
