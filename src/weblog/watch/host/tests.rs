//! When a host is dialled again, in a time of the tests' own.

use super::*;

fn host(now: Instant) -> Host {
    let manner = Manner { quiet: true, verbose: false, retry: None, via: None, follow: true };
    Host::resting(Options::new("h.example"), manner, now)
}

/// Its logs are read for so long, then the connection is lost; the seconds in which it is dialled again.
fn lose_after(host: &mut Host, now: &mut Instant, lasted: Duration) -> f64 {
    host.up(*now);
    *now += lasted;
    lose(host, now)
}

/// The same of a connection by which nothing was read.
fn lose(host: &mut Host, now: &mut Instant) -> f64 {
    host.unreached("gone", *now);
    let pause = host.due().expect("it is dialled again") - *now;
    *now += pause;
    pause.as_secs_f64()
}

/// Some earlier than the others, by half a pause at the most.
#[track_caller]
fn check(pause: f64, most: u32) {
    assert!((f64::from(most) / 2.0..=f64::from(most)).contains(&pause), "{pause} of {most} s");
}

#[test]
fn a_host_that_ends_each_connection_at_once_is_dialled_less_and_less_often() {
    let mut now = Instant::now();
    let mut host = host(now);
    let soon = [Duration::ZERO, Duration::from_secs(1), LASTING - Duration::from_nanos(1)];
    for (most, lasted) in [1, 2, 4, 8, 16, 30, 30, 30, 30].into_iter().zip(soon.into_iter().cycle()) {
        check(lose_after(&mut host, &mut now, lasted), most);
    }
    // One that has lasted is another matter.
    check(lose_after(&mut host, &mut now, LASTING), 1);
    check(lose_after(&mut host, &mut now, Duration::ZERO), 2);
    check(lose_after(&mut host, &mut now, 100 * LASTING), 1);
    assert!(LASTING <= PAUSE_MAX, "nobody waits longer for a host than it would have to be there");
}

#[test]
fn a_host_that_cannot_be_reached_is_dialled_less_and_less_often_and_time_without_it_is_none_that_it_lasted() {
    let mut now = Instant::now();
    let mut host = host(now);
    check(lose_after(&mut host, &mut now, 2 * LASTING), 1);
    for most in [2, 4, 8, 16, 30, 30] {
        now += LASTING; // a login that leads to nothing
        check(lose(&mut host, &mut now), most);
    }
    check(lose_after(&mut host, &mut now, Duration::ZERO), 30);
}
