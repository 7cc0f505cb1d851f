//! Payloads of one compressed stream: none expands to more than the largest packet, and where the stream is cut changes
//! nothing.
#![no_main]
use libfuzzer_sys::fuzz_target;
use strombus::transport::{INFLATED_MAX, inflate_each};

fuzz_target!(|bytes: &[u8]| {
    let (mut payloads, mut rest) = (Vec::new(), bytes);
    while let Some(([high, low], tail)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (payload, tail) = tail.split_at(length);
        rest = tail;
        payloads.push(payload);
    }
    let (mut area, mut expanded) = (Vec::new(), Vec::new());
    let result = inflate_each(payloads.iter().copied(), &mut area, |payload| {
        assert!(payload.len() <= INFLATED_MAX);
        expanded.extend_from_slice(payload);
    });
    assert!(area.capacity() <= INFLATED_MAX + 1);
    if result.is_ok() && expanded.len() <= INFLATED_MAX {
        let mut again = Vec::new();
        let result =
            inflate_each([&*payloads.concat()], &mut area, |payload| again.extend_from_slice(payload));
        assert!(result.is_ok() && again == expanded);
    }
});
