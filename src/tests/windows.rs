//! Windows that grow with what is dealt with, within their bounds.

use super::pair::{Pair, Settings};
use crate::connection::{ChannelId, ChannelLimits, GROWTH_PERIOD};
use std::time::Duration;

const WINDOW: u32 = 100_000;

const LIMITS: ChannelLimits =
    ChannelLimits { channels_max: 8, window_size: WINDOW, window_max: 4 * WINDOW, growth_max: 5 * WINDOW };

/// The server sends a window's worth and more, `pause` before each; the client deals with all of it.
fn stream(pair: &mut Pair, there: ChannelId, pause: Duration, windows: usize) {
    for _ in 0..windows {
        pair.wait(pause);
        nobody_waits(pair);
        let n = pair.server.conn.channel(there).unwrap().write(&vec![7; WINDOW as usize * 8]);
        assert!(n > WINDOW as usize * 7 / 8 - 1);
        pair.drive();
    }
}

/// Whoever was refused bytes has nothing to send any more.
fn nobody_waits(pair: &mut Pair) {
    while pair.server.conn.poll_writable().is_some() {}
}

/// What the server may send while the client deals with nothing: the window.
fn window(pair: &mut Pair, there: ChannelId) -> usize {
    pair.client.consumes = false;
    let mut all = 0;
    loop {
        nobody_waits(pair);
        let n = pair.server.conn.channel(there).unwrap().write(&[7; 1000]);
        pair.drive();
        all += n;
        if n == 0 {
            return all;
        }
    }
}

fn pair(limits: ChannelLimits) -> Pair {
    Pair::authenticated(Settings { limits, ..Default::default() })
}

#[test]
fn a_window_that_is_dealt_with_at_once_grows_to_its_bound() {
    let mut pair = pair(LIMITS);
    let (_, there) = pair.open();
    stream(&mut pair, there, Duration::ZERO, 20);
    // What is not worth a message yet waits on the other side.
    let grown = window(&mut pair, there);
    let bound = LIMITS.window_max as usize;
    assert!(grown <= bound && grown > bound * 7 / 8 - 1, "{grown}");
}

#[test]
fn a_window_that_takes_its_time_stays_as_it_is() {
    let mut pair = pair(LIMITS);
    let (_, there) = pair.open();
    assert_eq!(pair.server.conn.channel(there).unwrap().write(b"first"), 5);
    pair.drive();
    stream(&mut pair, there, GROWTH_PERIOD, 20);
    let same = window(&mut pair, there);
    assert!(same <= WINDOW as usize, "{same}");
}

#[test]
fn no_growth_beyond_the_bound_of_the_connection_and_what_closes_gives_its_growth_back() {
    let mut pair = pair(LIMITS);
    let ids: Vec<_> = (0..3).map(|_| pair.open()).collect();
    for (_, there) in &ids {
        stream(&mut pair, *there, Duration::ZERO, 20);
    }
    // Growth by 3, by 2 and by nothing: 5 windows in all.
    let windows: Vec<_> = ids.iter().map(|(_, there)| window(&mut pair, *there)).collect();
    let whole: Vec<_> = windows.iter().map(|window| window.div_ceil(WINDOW as usize)).collect();
    assert_eq!(whole, [4, 3, 1], "{windows:?}");
    pair.client.consumes = true;
    pair.server.conn.channel(ids[0].1).unwrap().close().unwrap();
    pair.drive();
    let (_, there) = pair.open();
    stream(&mut pair, there, Duration::ZERO, 20);
    assert_eq!(window(&mut pair, there).div_ceil(WINDOW as usize), 4);
}

#[test]
fn a_bound_below_the_first_window_means_no_growth() {
    let mut pair = pair(ChannelLimits { window_max: 0, ..LIMITS });
    let (_, there) = pair.open();
    stream(&mut pair, there, Duration::ZERO, 20);
    assert!(window(&mut pair, there) <= WINDOW as usize);
}
