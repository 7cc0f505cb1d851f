//! A silent peer is asked whether it is there, under virtual time.

use super::pair::{Pair, Settings, all_output};
use crate::connection::{GLOBAL_ASKED_MAX, Keepalive};
use crate::transport::Error;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(15);

fn watching(count_max: u32) -> Pair {
    let mut pair = Pair::authenticated(Settings::default());
    pair.client.conn.set_keepalive(Some(Keepalive { interval: INTERVAL, count_max }), pair.now);
    pair
}

/// Nothing of the client's arrives any more; how often it asked until it gave up.
fn asked_in_vain(pair: &mut Pair) -> u32 {
    let begin = pair.now;
    for asked in 0..100 {
        pair.now = pair.client.conn.poll_timeout().unwrap();
        let due = pair.client.conn.handle_timeout(pair.now);
        let sent = all_output(&mut pair.client.conn).len();
        if due.is_err() {
            assert_eq!((due, sent), (Err(Error::TimedOut), 0));
            assert_eq!(pair.now - begin, INTERVAL * (asked + 1));
            return asked;
        }
        assert!(sent > 0, "asked {asked}");
    }
    panic!("it never gives up");
}

#[test]
fn t108_a_silent_peer_is_asked_and_then_given_up() {
    for count_max in [0, 1, 3] {
        assert_eq!(asked_in_vain(&mut watching(count_max)), count_max);
    }
}

#[test]
fn t108_a_server_gives_up_a_silent_client_too() {
    let mut pair = Pair::authenticated(Settings::default());
    pair.server.conn.set_keepalive(Some(Keepalive { interval: INTERVAL, count_max: 1 }), pair.now);
    for due in [Ok(()), Err(Error::TimedOut)] {
        pair.now += INTERVAL;
        assert_eq!(pair.server.conn.handle_timeout(pair.now), due);
    }
    assert!(pair.server.conn.is_ended());
}

#[test]
fn a_peer_that_answers_is_asked_for_ever() {
    let mut pair = watching(1);
    for _ in 0..3 * GLOBAL_ASKED_MAX {
        let before = pair.server.conn.pending_output();
        pair.wait(INTERVAL);
        assert!(pair.client.conn.pending_output() > 0, "it is asked");
        pair.drive();
        assert_eq!((before, &pair.client.error, &pair.server.error), (0, &None, &None));
    }
}

#[test]
fn any_packet_is_a_sign_of_life_and_moves_no_deadline() {
    let mut pair = watching(0);
    let (_, there) = pair.open();
    let due = pair.client.conn.poll_timeout();
    for _ in 0..20 {
        pair.wait(INTERVAL / 2);
        assert_eq!(pair.server.conn.channel(there).unwrap().write(b"x"), 1);
        let before = pair.client.conn.poll_timeout();
        pair.drive();
        assert_eq!(pair.client.conn.poll_timeout(), before);
        assert_eq!(pair.client.conn.pending_output(), 0, "nobody is asked");
    }
    assert!(pair.client.conn.poll_timeout() > due);
}

/// Before the login the grace time counts, and afterwards what was set for it.
#[test]
fn it_counts_from_the_login_on() {
    let mut pair = Pair::keyed(Settings::default());
    let keepalive = Keepalive { interval: Duration::from_millis(1), count_max: 0 };
    pair.client.conn.set_keepalive(Some(keepalive), pair.now);
    pair.wait(INTERVAL);
    assert_eq!(pair.client.error, None);
    pair.client.conn.set_keepalive(None, pair.now);
    let mut pair = watching(0);
    pair.client.conn.set_keepalive(None, pair.now);
    pair.wait(INTERVAL * 2);
}

/// A peer may leave global requests without an answer; then what is owed does not grow.
#[test]
fn unanswered_questions_have_a_bound() {
    let mut pair = Pair::authenticated(Settings::default());
    let keepalive = Keepalive { interval: Duration::from_secs(1), count_max: u32::MAX };
    pair.client.conn.set_keepalive(Some(keepalive), pair.now);
    let mut asked = 0;
    for _ in 0..GLOBAL_ASKED_MAX + 20 {
        pair.wait(keepalive.interval);
        asked += usize::from(!all_output(&mut pair.client.conn).is_empty());
    }
    assert_eq!(asked, GLOBAL_ASKED_MAX);
}
