use super::*;
use std::net::Ipv4Addr;

/// Draws so many percent each time.
struct Percent(u64);

impl Rng for Percent {
    fn fill(&mut self, out: &mut [u8]) {
        let drawn = u32::try_from((self.0 << 32).div_ceil(100)).unwrap();
        out.copy_from_slice(&drawn.to_le_bytes());
    }
}

fn gate(percent: u64, options: &[(&str, &str)]) -> Gate {
    let mut config = GateConfig::default();
    for (keyword, value) in options {
        config.set(keyword, value).unwrap().unwrap();
    }
    Gate::new(config, Box::new(Percent(percent)))
}

fn v4(n: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + n).into()
}

fn v6(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// One comes, and fails to log in.
fn fail(gate: &mut Gate, now: Instant) -> Result<(), Refusal> {
    let place = gate.admit(v4(1), now)?;
    gate.leave(place, Some(Offence::AuthFail), now);
    Ok(())
}

/// Whether one would be admitted.
fn asks(gate: &mut Gate, source: IpAddr, now: Instant) -> Result<(), Refusal> {
    let place = gate.admit(source, now)?;
    gate.leave(place, None, now);
    Ok(())
}

/// Admits one from each source, up to the first refusal; the places, and why.
fn fill(gate: &mut Gate, sources: impl Iterator<Item = u32>, now: Instant) -> (Vec<Place>, Option<Refusal>) {
    let mut places = Vec::new();
    for n in sources {
        match gate.admit(v4(n), now) {
            Ok(place) => places.push(place),
            Err(why) => return (places, Some(why)),
        }
    }
    (places, None)
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn none_is_dropped_below_the_start_all_when_full_and_by_chance_between() {
    let now = Instant::now();
    // 30 % at 10, 65 % at 55, 99 % at 99: one that draws less than that is dropped.
    for (percent, admitted) in [(0, 10), (29, 10), (30, 12), (64, 55), (65, 57), (99, 100)] {
        let mut gate = gate(percent, &[]);
        let (places, why) = fill(&mut gate, 0..200, now);
        assert_eq!((places.len(), why), (admitted, Some(Refusal::Startups)), "{percent}");
        assert_eq!((gate.startups() as usize, gate.connections() as usize), (admitted, admitted));
    }
    let mut number = gate(99, &[("MaxStartups", "20")]);
    assert_eq!(fill(&mut number, 0..200, now).0.len(), 20);
    let mut certain = gate(99, &[("MaxStartups", "20:100:50")]);
    assert_eq!(fill(&mut certain, 0..200, now).0.len(), 20);
}

#[test]
fn a_login_makes_room_and_so_does_an_end() {
    let now = Instant::now();
    let mut gate = gate(0, &[("MaxStartups", "2")]);
    let (mut places, _) = fill(&mut gate, 0..2, now);
    assert_eq!(asks(&mut gate, v4(2), now).err(), Some(Refusal::Startups));
    gate.authenticated(&mut places[0]);
    gate.authenticated(&mut places[0]); // again, which changes nothing
    assert_eq!((gate.startups(), gate.connections()), (1, 2));
    let third = gate.admit(v4(2), now).unwrap();
    assert_eq!(asks(&mut gate, v4(3), now).err(), Some(Refusal::Startups));
    gate.leave(third, None, now);
    let third = gate.admit(v4(2), now).unwrap();
    for place in places.drain(..).chain([third]) {
        gate.leave(place, None, now);
    }
    assert_eq!((gate.startups(), gate.connections(), gate.sources.len()), (0, 0, 0));
}

#[test]
fn t60_a_source_takes_no_place_from_others_not_even_by_chance() {
    let now = Instant::now();
    for startups in ["10:30:100", "2:30:100", "3", "100"] {
        // Who draws 0 % is dropped as soon as there is a chance of it.
        let mut gate = gate(0, &[("MaxStartups", startups)]);
        let (places, why) = fill(&mut gate, [7; 1000].into_iter(), now);
        assert_eq!(why, Some(Refusal::StartupsOfSource), "{startups}");
        let other = gate.admit(v4(8), now).unwrap();
        gate.leave(other, None, now);
        // After the login they count no more, and an end makes room for one.
        let taken = places.len();
        for mut place in places {
            gate.authenticated(&mut place);
        }
        let (mut places, _) = fill(&mut gate, [7; 1000].into_iter(), now);
        assert_eq!(places.len(), taken, "{startups}");
        gate.leave(places.pop().unwrap(), None, now);
        places.push(gate.admit(v4(7), now).unwrap());
        assert_eq!(asks(&mut gate, v4(7), now).err(), Some(Refusal::StartupsOfSource));
    }
    let mut without = gate(99, &[("PerSourceMaxStartups", "none")]);
    assert_eq!(fill(&mut without, [7; 1000].into_iter(), now).0.len(), 100);
    let mut five = gate(99, &[("PerSourceMaxStartups", "5")]);
    assert_eq!(fill(&mut five, [7; 1000].into_iter(), now).0.len(), 5);
}

#[test]
fn a_source_is_a_block_of_addresses() {
    let now = Instant::now();
    let options = [("PerSourceNetBlockSize", "24:64"), ("PerSourceMaxStartups", "1")];
    for (first, same, other) in [
        (v4(1), v4(255), v4(256)),
        (v4(1), v6("::ffff:10.0.0.77"), v4(512)),
        (v6("2001:db8::1"), v6("2001:db8::ffff:1"), v6("2001:db8:0:1::1")),
    ] {
        let mut gate = gate(0, &options);
        let place = gate.admit(first, now).unwrap();
        assert_eq!(asks(&mut gate, same, now).err(), Some(Refusal::StartupsOfSource), "{same}");
        assert!(asks(&mut gate, other, now).is_ok(), "{other}");
        gate.leave(place, None, now);
        assert!(asks(&mut gate, same, now).is_ok(), "{same}");
    }
    let mut all = gate(0, &[("PerSourceNetBlockSize", "0:0"), ("PerSourceMaxStartups", "1")]);
    let _place = all.admit(v4(1), now).unwrap();
    assert!(asks(&mut all, v4(u32::MAX >> 8), now).is_err() && asks(&mut all, v6("::1"), now).is_ok());
}

#[test]
fn connections_are_bounded_after_the_login_too_in_all_and_of_a_source() {
    let now = Instant::now();
    let config = GateConfig { connections_max: 5, connections_per_source_max: 3, ..Default::default() };
    let mut gate = Gate::new(config, Box::new(Percent(0)));
    let mut places = Vec::new();
    for (n, expected) in [
        (1, None),
        (1, None),
        (1, None),
        (1, Some(Refusal::ConnectionsOfSource)),
        (2, None),
        (2, None),
        (3, Some(Refusal::Connections)),
    ] {
        match gate.admit(v4(n), now) {
            Ok(mut place) => {
                gate.authenticated(&mut place);
                places.push(place);
                assert_eq!(expected, None);
            }
            Err(why) => assert_eq!(Some(why), expected),
        }
    }
    assert_eq!((gate.startups(), gate.connections(), gate.refusals()), (0, 5, 2));
    gate.leave(places.remove(0), None, now);
    assert!(asks(&mut gate, v4(1), now).is_ok());
}

#[test]
fn t60_penalties_add_up_are_enforced_above_the_minimum_and_pass() {
    let now = Instant::now();
    let mut one = gate(0, &[]);
    // Thrice 5 s is not more than 15 s.
    for _ in 0..4 {
        assert_eq!(fail(&mut one, now), Ok(()));
    }
    let refused = Err(Refusal::Penalty(Offence::AuthFail));
    assert_eq!(fail(&mut one, now), refused);
    assert!(asks(&mut one, v4(2), now).is_ok(), "others are not refused");
    assert!(asks(&mut one, v6("::1"), now).is_ok());
    // Once enforced it is to its end, also when less than the minimum is left.
    assert_eq!(fail(&mut one, now + 20 * SECOND - Duration::from_millis(1)), refused);
    assert_eq!(fail(&mut one, now + 20 * SECOND), Ok(()));
    // What is left shrinks meanwhile: a try every 3 s comes to more than the minimum, one every 5 s never does.
    for (every, tries) in [(3, 7), (5, 1000)] {
        let mut gate = gate(0, &[]);
        let oks = (0..1000).take_while(|n| fail(&mut gate, now + n * every * SECOND).is_ok()).count();
        assert_eq!(oks, tries);
    }
}

#[test]
fn each_offence_has_its_time_a_login_none_and_all_together_no_more_than_the_maximum() {
    let now = Instant::now();
    for (offence, seconds) in [
        (Offence::Crash, 90),
        (Offence::AuthFail, 5),
        (Offence::NoAuth, 1),
        (Offence::GraceExceeded, 10),
        (Offence::RefuseConnection, 10),
    ] {
        let mut gate = gate(0, &[("PerSourcePenalties", "min:0")]);
        gate.penalise(v4(1), offence, now);
        let last = now + seconds * SECOND - Duration::from_millis(1);
        assert_eq!(asks(&mut gate, v4(1), last).err(), Some(Refusal::Penalty(offence)));
        assert!(asks(&mut gate, v4(1), now + seconds * SECOND).is_ok(), "{offence}");
    }
    let mut gate = gate(0, &[("PerSourcePenalties", "yes min:0 max:1m noauth:0 crash:1000w")]);
    for _ in 0..3 {
        gate.penalise(v4(1), Offence::Crash, now);
    }
    assert!(asks(&mut gate, v4(1), now + 59 * SECOND).is_err());
    assert!(asks(&mut gate, v4(1), now + 60 * SECOND).is_ok());
    gate.penalise(v4(2), Offence::NoAuth, now);
    let mut place = gate.admit(v4(2), now).unwrap();
    gate.authenticated(&mut place);
    gate.leave(place, Some(Offence::Crash), now);
    assert!(asks(&mut gate, v4(2), now).is_ok(), "whoever was logged in is no stranger");
}

#[test]
fn no_time_of_a_penalty_makes_the_clock_overflow() {
    let now = Instant::now();
    let penalties =
        Penalties { crash: Duration::MAX, max: Duration::MAX, min: Duration::ZERO, ..Default::default() };
    let config = GateConfig { penalties: Some(penalties), ..Default::default() };
    let mut gate = Gate::new(config, Box::new(Percent(0)));
    for _ in 0..3 {
        gate.penalise(v4(1), Offence::Crash, now);
    }
    assert!(asks(&mut gate, v4(1), now + 24 * 60 * 60 * SECOND).is_err());
}

#[test]
fn the_exempt_get_no_penalty_and_without_penalties_nobody_does() {
    let now = Instant::now();
    for options in [
        &[("PerSourcePenaltyExemptList", "10.0.0.0/24,::1"), ("PerSourcePenalties", "min:0")][..],
        &[("PerSourcePenalties", "no")],
    ] {
        let mut gate = gate(0, options);
        for source in [v4(1), v6("::1")] {
            gate.penalise(source, Offence::Crash, now);
            assert!(asks(&mut gate, source, now).is_ok(), "{source} {options:?}");
        }
        gate.penalise(v4(256), Offence::Crash, now);
        assert_eq!(asks(&mut gate, v4(256), now).is_err(), options.len() == 2);
    }
}

#[test]
fn t60_the_table_of_penalties_is_bounded_and_forgets_or_denies_all() {
    let now = Instant::now();
    let words = "min:0 noauth:60 max-sources4:3 max-sources6:2";
    let mut permissive = gate(0, &[("PerSourcePenalties", words)]);
    for n in 0..100 {
        permissive.penalise(v4(n), Offence::NoAuth, now + n * SECOND / 10);
    }
    assert_eq!((permissive.penalised4.len(now), permissive.penalised6.len(now)), (3, 0));
    let later = now + 10 * SECOND;
    let refused: Vec<_> = (0..100).filter(|n| asks(&mut permissive, v4(*n), later).is_err()).collect();
    assert_eq!(refused, [97, 98, 99], "those that end last");

    let both = &format!("{words} overflow:deny-all");
    let mut denying = gate(0, &[("PerSourcePenalties", both)]);
    for n in 0..2 {
        denying.penalise(v6(&format!("::{n}")), Offence::NoAuth, now);
    }
    assert_eq!(asks(&mut denying, v6("::9"), now), Err(Refusal::PenaltiesFull));
    assert_eq!(asks(&mut denying, v4(9), now), Ok(()));

    let words = &format!("{words} overflow6:permissive overflow:deny-all");
    let exempt = ("PerSourcePenaltyExemptList", "10.0.0.8");
    let mut denying = gate(0, &[("PerSourcePenalties", words), exempt]);
    for n in 0..100 {
        denying.penalise(v4(n), Offence::NoAuth, now);
        denying.penalise(v6(&format!("::{n}")), Offence::NoAuth, now);
    }
    assert_eq!((denying.penalised4.len(now), denying.penalised6.len(now)), (3, 2));
    assert_eq!(asks(&mut denying, v4(200), now).err(), Some(Refusal::PenaltiesFull));
    assert!(asks(&mut denying, v4(8), now).is_ok(), "the exempt");
    assert!(asks(&mut denying, v6("::200"), now).is_ok(), "the other family");
    denying.penalise(v4(1), Offence::NoAuth, now); // who is in the table can still get more
    let later = now + 60 * SECOND;
    assert!(asks(&mut denying, v4(200), later).is_ok());
    assert_eq!(asks(&mut denying, v4(1), later).err(), Some(Refusal::Penalty(Offence::NoAuth)));
}

#[test]
fn a_program_is_told_of_one_refusal_a_second_and_of_the_number_of_the_others() {
    let now = Instant::now();
    let mut gate = gate(0, &[("MaxStartups", "1")]);
    let _place = gate.admit(v4(1), now).unwrap();
    let mut told = Vec::new();
    for n in 0..2000 {
        let at = now + n * Duration::from_millis(1);
        assert!(asks(&mut gate, v4(2), at).is_err());
        told.extend(gate.tell(at));
    }
    assert_eq!(told, [0, 999]);
    assert_eq!(gate.refusals(), 2000);
}

#[test]
fn options_are_read_as_sshd_writes_them_and_a_wrong_one_changes_nothing() {
    let set = |keyword: &str, value: &str| {
        let mut config = GateConfig::default();
        let before = format!("{config:?}");
        let result = config.set(keyword, value).unwrap();
        assert!(result.is_ok() || format!("{config:?}") == before, "{keyword} {value}");
        result.map(|()| config)
    };
    for (keyword, values) in [
        (
            "MaxStartups",
            &["", "0", "x", "10:30", "10:30:9", "10:0:20", "10:101:20", "0:30:20", "1:2:3:4", "-1"][..],
        ),
        ("PerSourceMaxStartups", &["", "0", "-1", "all"]),
        ("PerSourceNetBlockSize", &["", "33", "32:129", ":64", "32:", "24:64:1", "-1"]),
        (
            "PerSourcePenalties",
            &["maybe", "crash", "crash:", "crash:x", "max-sources4:0", "overflow:deny", "no yes"],
        ),
        ("PerSourcePenaltyExemptList", &["", "192.0.2.0/33", "192.0.2.0/8"]),
    ] {
        for value in values {
            assert!(set(keyword, value).is_err(), "{keyword} {value}");
        }
    }
    assert!(GateConfig::default().set("MaxSessions", "1").is_none());
    assert_eq!(set("maxstartups", "5:50:60").unwrap().startups, Startups { start: 5, rate: 50, full: 60 });
    assert_eq!(set("PerSourceNetBlockSize", "24:56").unwrap().net_block, NetBlock::new(24, 56).unwrap());
    assert_eq!(set("PerSourceNetBlockSize", "24").unwrap().net_block, NetBlock::new(24, 128).unwrap());
    let words = "crash:2m authfail:1 refuseconnection:2 noauth:3s grace-exceeded:1h30m max:1d min:7 max-sources4:8 \
                 max-sources6:9 overflow:deny-all overflow6:permissive";
    let expected = Penalties {
        crash: 120 * SECOND,
        authfail: SECOND,
        refuseconnection: 2 * SECOND,
        noauth: 3 * SECOND,
        grace_exceeded: 5400 * SECOND,
        max: 24 * 3600 * SECOND,
        min: 7 * SECOND,
        max_sources4: 8,
        max_sources6: 9,
        overflow: Overflow::DenyAll,
        overflow6: Some(Overflow::Permissive),
    };
    assert_eq!(set("PerSourcePenalties", words).unwrap().penalties, Some(expected));
    assert_eq!(set("PerSourcePenalties", "yes").unwrap().penalties, Some(Penalties::default()));
    assert_eq!(set("PerSourcePenalties", "no").unwrap().penalties, None);
    let mut config = set("PerSourcePenalties", "min:7").unwrap();
    config.set("PerSourcePenalties", "max:8").unwrap().unwrap();
    let both = Penalties { min: 7 * SECOND, max: 8 * SECOND, ..Default::default() };
    assert_eq!(config.penalties, Some(both));
}
