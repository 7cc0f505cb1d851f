//! What a rekey costs: `cargo bench --bench rekey [WORD]…`. Of an established pair the processor time of one exchange, both
//! sides on one core; and what a transfer in memory loses by it, for limits of 64 MiB and 1 GiB.
//!
//! A transfer as long as these limits never has the machine for itself. So one of a few MiB is taken with an exchange in its
//! middle and without, by the same pair, and what that costs is held against the time that as many bytes as the limit take.

mod common;

use common::{Pair, is_wanted, least, server, timed};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;
use strombus::transport::algorithms::{KEX, pick};
use strombus::transport::{ClientConfig, RekeyLimit, TransportConfig};

const ROUNDS: usize = 500;
const BLOCK: usize = 32 * 1024;
const ROUND: usize = 4 * BLOCK;
const BYTES: usize = 64 * ROUND;

/// A session is open, and no keys are renewed unasked.
fn pair(method: &str) -> Pair {
    let mut transport = TransportConfig::client();
    transport.algorithms.kex = pick(KEX, method).expect("a name of the table");
    transport.rekey_limit = RekeyLimit { bytes: u64::MAX, time: Duration::MAX };
    let mut server = Arc::into_inner(server()).expect("nobody else has it");
    server.transport = transport.clone();
    let mut pair = Pair::new(&Arc::new(ClientConfig { transport }), &Arc::new(server), Default::default());
    while pair.round() {}
    assert!(pair.here.is_some());
    pair
}

fn rekey(pair: &mut Pair) -> Duration {
    pair.now += Duration::from_secs(61); // nobody takes them for a flood
    timed(|| {
        pair.client.start_kex();
        while pair.round() {}
    })
}

/// [`BYTES`] through a session, with an exchange in their middle or without.
fn transfer(pair: &mut Pair, mut renews: bool) -> Duration {
    let (id, block) = (pair.here.expect("a session is open"), [7; BLOCK]);
    timed(|| {
        let mut left = BYTES;
        while left > 0 {
            if left == BYTES / 2 && core::mem::take(&mut renews) {
                pair.client.start_kex();
            }
            // No more than a receive buffer takes whole: every round is like the last.
            for _ in 0..ROUND / BLOCK {
                left -= pair.client.channel(id).expect("open").write(&block);
            }
            assert!(pair.round(), "it goes on");
        }
        while pair.round() {}
    })
}

fn main() {
    for method in ["curve25519-sha256", "mlkem768x25519-sha256"].into_iter().filter(|name| is_wanted(name)) {
        let pair = &RefCell::new(pair(method));
        let one = || rekey(&mut pair.borrow_mut());
        let (time, again) = least(ROUNDS, one, one);
        let alone = time.min(again).as_secs_f64() * 1e6;
        let transfer = |renews| move || transfer(&mut pair.borrow_mut(), renews);
        let (with, without) = least(ROUNDS, transfer(true), transfer(false));
        let within = (with.as_secs_f64() - without.as_secs_f64()) * 1e6;
        let rate = BYTES as f64 / without.as_secs_f64() / 1e6;
        println!("{method}: a rekey takes {alone:.1} us, within a transfer at {rate:.0} MB/s {within:.1} us");
        for limit in [64 << 20, 1 << 30] {
            let ratio = 1.0 + within * rate / f64::from(limit);
            println!("{method}: a limit of {:4} MiB, ratio {ratio:.5} to none", limit >> 20);
        }
    }
}
