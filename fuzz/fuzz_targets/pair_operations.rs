//! Two connections do what the bytes choose; what came out is what went in.
#![no_main]
use libfuzzer_sys::fuzz_target;
use strombus::connection::ChannelLimits;
use strombus_fuzz::{End, Pair, Side};

/// Sends some bytes, each of which tells where it stands.
fn write<S: Side>(end: &mut End<S>, sent: &mut Vec<u8>, length: usize) {
    let Some(id) = end.seen.channel else { return };
    let start = sent.len();
    let block: Vec<u8> = (start..start + length).map(|at| (at * 31 + at / 251) as u8).collect();
    if let Ok(mut channel) = end.conn.channel(id) {
        let n = channel.write(&block);
        sent.extend_from_slice(&block[..n]);
    }
}

fn credit<S: Side>(end: &mut End<S>, part: usize) {
    let n = end.seen.owed.min(part);
    if let Some(mut channel) = end.seen.channel.and_then(|id| end.conn.channel(id).ok()) {
        channel.adjust_window(n).expect("so much was received");
        end.seen.owed -= n;
    }
}

fn finish<S: Side>(end: &mut End<S>, close: bool) {
    if let Some(mut channel) = end.seen.channel.and_then(|id| end.conn.channel(id).ok()) {
        let _closed_before = if close { channel.close() } else { channel.send_eof() };
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((window, rest)) = bytes.split_first() else { return };
    let limits = ChannelLimits { window_size: 1 + u32::from(*window) * 700, ..Default::default() };
    let mut pair = Pair::running(limits);
    let (mut up, mut down) = (Vec::new(), Vec::new());
    let mut closed = false;
    for operation in rest.chunks_exact(2) {
        let size = usize::from(operation[1]);
        match operation[0] % 13 {
            0 => write(&mut pair.client, &mut up, size * 97),
            1 => write(&mut pair.server, &mut down, size * 97),
            2 => credit(&mut pair.client, size * 211),
            3 => credit(&mut pair.server, size * 211),
            4 => pair.client.conn.start_kex(),
            5 => pair.server.conn.start_kex(),
            6 | 7 => drop(pair.up(size * 17)),
            8 | 9 => drop(pair.down(size * 17)),
            10 => pair.drive(),
            11 => finish(&mut pair.client, false),
            _ => {
                if size < 40 {
                    closed = true;
                    finish(&mut pair.server, true);
                } else {
                    finish(&mut pair.server, false);
                }
            }
        }
    }
    pair.drive();
    // A flood of rekeys is refused by design.
    let refused = pair.client.failed || pair.server.failed;
    assert!(!refused || rest.chunks_exact(2).filter(|o| matches!(o[0] % 13, 4 | 5)).count() > 16);
    if !refused {
        assert_eq!(pair.client.seen.data, down, "from the server");
        if closed {
            assert!(up.starts_with(&pair.server.seen.data), "from the client, as far as it was heard");
        } else {
            assert_eq!(pair.server.seen.data, up, "from the client");
        }
    }
});
