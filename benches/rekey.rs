//! What a rekey costs: `cargo bench --bench rekey [WORD]…`. Of an established pair the processor time of one exchange, both
//! sides on one core; and the time of a transfer in memory whose keys are renewed by `RekeyLimit` beside the same without.

mod common;

use common::{Pair, is_wanted, least, server, timed};
use std::sync::Arc;
use std::time::Duration;
use strombus::transport::algorithms::{KEX, pick};
use strombus::transport::{ClientConfig, RekeyLimit, TransportConfig};

const ROUNDS: usize = 500;
const MIB: u64 = 1 << 20;

/// A session is open; the client renews the keys after so many bytes.
fn pair(method: &str, bytes: u64) -> Pair {
    let mut transport = TransportConfig::client();
    transport.algorithms.kex = pick(KEX, method).expect("a name of the table");
    transport.rekey_limit = RekeyLimit { bytes, time: Duration::MAX };
    let mut server = Arc::into_inner(server()).expect("nobody else has it");
    server.transport = TransportConfig {
        rekey_limit: RekeyLimit { bytes: u64::MAX, ..transport.rekey_limit },
        ..transport.clone()
    };
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

fn transfer(pair: &mut Pair, mut left: u64) -> Duration {
    let (id, block) = (pair.here.expect("a session is open"), [7; 32 * 1024]);
    timed(|| {
        while left > 0 {
            let n = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let written = pair.client.channel(id).expect("open").write(&block[..n]);
            left -= written as u64;
            assert!(written > 0 || pair.round(), "it goes on");
        }
        while pair.round() {}
    })
}

fn main() {
    for method in ["curve25519-sha256", "mlkem768x25519-sha256"].into_iter().filter(|name| is_wanted(name)) {
        let (mut one, mut other) = (pair(method, u64::MAX), pair(method, u64::MAX));
        let (time, again) = least(ROUNDS, || rekey(&mut one), || rekey(&mut other));
        println!("{method}: a rekey takes {:.1} us", time.min(again).as_secs_f64() * 1e6);
        for (limit, rounds) in [(64 * MIB, 20), (1024 * MIB, 4)] {
            let (mut with, mut without) = (pair(method, limit), pair(method, u64::MAX));
            let bytes = 2 * limit;
            let (with, without) =
                least(rounds, || transfer(&mut with, bytes), || transfer(&mut without, bytes));
            println!(
                "{method}: a limit of {:4} MiB, {:5.0} MB/s, ratio {:.4} to none",
                limit / MIB,
                bytes as f64 / with.as_secs_f64() / 1e6,
                with.as_secs_f64() / without.as_secs_f64(),
            );
        }
    }
}
