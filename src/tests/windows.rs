//! Windows that grow with what is dealt with, within their bounds.

use super::pair::{Pair, Settings};
use crate::connection::{ChannelId, ChannelLimits, GROWTH_PERIOD};
use std::time::Duration;

const WINDOW: u32 = 100_000;

const LIMITS: ChannelLimits =
    ChannelLimits { channels_max: 8, window_size: WINDOW, window_max: 4 * WINDOW, growth_max: 5 * WINDOW };

/// The server sends what the window allows, but for what is not worth a message, `pause` before each; the client deals with all
/// of it.
fn stream(pair: &mut Pair, there: ChannelId, pause: Duration, windows: usize) {
    stream_at_most(pair, there, pause, windows, WINDOW as usize * 8);
}

/// The same, over a link that carries no more than `most` in that time.
fn stream_at_most(pair: &mut Pair, there: ChannelId, pause: Duration, windows: usize, most: usize) {
    for _ in 0..windows {
        pair.wait(pause);
        nobody_waits(pair);
        let n = pair.server.conn.channel(there).unwrap().write(&vec![7; most]);
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
    let mut pair = Pair::authenticated(Settings { limits, ..Default::default() });
    pair.client.conn.set_round_trip(GROWTH_PERIOD);
    pair
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
fn a_window_grows_once_two_of_its_size_were_timed() {
    // Of the first size, of which the first one is not timed, and then of twice as much.
    for (dealt, expected) in [(1, 1), (2, 1), (3, 2), (5, 2), (7, 4)] {
        let mut pair = pair(LIMITS);
        let (_, there) = pair.open();
        let mut left = dealt * WINDOW as usize;
        while left > 0 {
            nobody_waits(&mut pair);
            left -= pair.server.conn.channel(there).unwrap().write(&vec![7; left.min(10_000)]);
            pair.drive();
        }
        let (grown, expected) = (window(&mut pair, there), expected * WINDOW as usize);
        assert!(grown <= expected && grown > expected * 7 / 8 - 1, "{dealt} windows: {grown}");
    }
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
fn a_window_grows_to_its_bound_over_a_link_with_a_long_round_trip() {
    let mut pair = pair(LIMITS);
    let (_, there) = pair.open();
    stream(&mut pair, there, GROWTH_PERIOD / 10, 20);
    assert!(window(&mut pair, there) > LIMITS.window_max as usize * 7 / 8 - 1);
}

#[test]
fn a_window_that_lets_no_more_come_in_the_same_time_grows_no_further() {
    let mut pair = pair(LIMITS);
    let (_, there) = pair.open();
    stream_at_most(&mut pair, there, GROWTH_PERIOD / 100, 100, WINDOW as usize);
    let grown = window(&mut pair, there).div_ceil(WINDOW as usize);
    assert_eq!(grown, 2, "once, to find out");
}

#[test]
fn a_window_that_takes_longer_than_two_round_trips_stays_as_it_is() {
    for (pause, expected) in [(Duration::from_millis(19), 4), (Duration::from_millis(20), 1)] {
        let mut pair = pair(LIMITS);
        pair.client.conn.set_round_trip(Duration::from_millis(10));
        let (_, there) = pair.open();
        stream(&mut pair, there, pause, 20);
        assert_eq!(window(&mut pair, there).div_ceil(WINDOW as usize), expected, "{pause:?}");
    }
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
