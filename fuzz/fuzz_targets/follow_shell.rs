//! What a host says to a follower that was sent to its shell: after each byte that is not below 16, a mark of one kind; the
//! others are bytes as they stand. Every byte of a log is told once, in its order.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use strombus::weblog::follow::shell::{COMPARED_MAX, Event, Next, ShellFollower, Start};

fuzz_target!(|bytes: &[u8]| {
    let (head, said) = bytes.split_at(bytes.len().min(2));
    let [from_end, lines] = *head else { return };
    let lines = u64::from(lines % 8);
    let start = if from_end & 1 == 0 { Start::LinesBeforeEnd(lines) } else { Start::Line(lines) };
    let mut follower = ShellFollower::new(b"log", start);
    follower.begin([0xab; 16]);
    let mut next = BTreeMap::new();
    for byte in said {
        let n = byte >> 4;
        let text = match byte & 15 {
            _ if n == 0 => String::new(),
            0 => "S".to_owned(),
            1 => format!("N {n} {n} {}", n * 3),
            2 => format!("T {n} 0 {n}"),
            3 => format!("R {n} 0 {n}"),
            4..=8 => ["O", "C", "E", "W", "L"][usize::from(byte & 15) - 4].to_owned(),
            9 => format!("H {n}"),
            10 => format!("N {n} {} {}", u64::MAX - u64::from(n), u64::MAX),
            _ => String::new(),
        };
        let mark = format!("\x1e{} {text}\n", "ab".repeat(16));
        let came = if text.is_empty() { std::slice::from_ref(byte) } else { mark.as_bytes() };
        let handled = follower.handle_data(came, |event| match event {
            Event::Began { generation, offset, .. } => assert_eq!(next.insert(generation, offset), None),
            Event::Data { generation, offset, bytes } => {
                assert!(!bytes.is_empty());
                let end = offset.saturating_add(bytes.len() as u64);
                assert_eq!(next.insert(generation, end), Some(offset));
            }
            Event::Ended { generation } => assert!(next.remove(&generation).is_some()),
            _ => {}
        });
        assert!(follower.position().is_none_or(|position| position.before.len() <= COMPARED_MAX));
        if handled == Ok(Next::Again) {
            follower.begin([0xab; 16]);
        }
    }
    let mut raw = ShellFollower::new(b"log", Start::LinesBeforeEnd(lines));
    raw.begin([0xab; 16]);
    let _ = raw.handle_data(bytes, |_| {});
});
