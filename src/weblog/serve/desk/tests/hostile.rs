//! What a user may ask for that would cost the others something: time of the loop, memory, or what is not his.

use super::super::super::caps::Share;
use super::super::super::command::COMMAND_MAX;
use super::super::super::dash::TYPED_MAX;
use super::super::super::session::{AGAIN_MAX, Activity, VALUE_MAX};
use super::*;
use std::os::unix::fs::{lchown, symlink};

const NARROW: u32 = 1 << 14;

fn place(caps: Caps) -> (Place, usize, usize) {
    let mut place = Place::new(&["ann", "bob"], caps);
    let (ann, bob) = (place.visit("ann", NARROW), place.visit("bob", WIDE));
    (place, ann, bob)
}

#[test]
fn t102_a_report_reads_only_what_the_follower_would() {
    let (mut place, _, bob) = place(Caps::default());
    let (log, secret) = (place.log(), place.directory.path().join("secret"));
    std::fs::write(&secret, hit("/secret").repeat(3)).unwrap();
    std::fs::remove_file(&log).unwrap();
    symlink(&secret, &log).unwrap();
    let reported = |place: &mut Place| {
        place.told(bob);
        place.ask(bob, None, "stats --json");
        place.read_reports(1);
        let report: serde_json::Value = serde_json::from_str(&place.told(bob).out).unwrap();
        (report["lines"].as_u64().unwrap(), place.answer(bob, None, "logs").out)
    };
    let size = std::fs::metadata(&secret).unwrap().len();
    assert_eq!(reported(&mut place), (3, format!("shop {size}\n")), "a link of one's own is followed");
    // Only root can give a link to somebody.
    if lchown(&log, Some(33), None).is_ok() {
        assert_eq!(reported(&mut place), (0, "shop 0\n".to_owned()), "another's is not");
    }
}

#[test]
fn t109_what_is_asked_for_is_bounded_before_it_is_made() {
    let (mut place, _, bob) = place(Caps::default());
    for (command, told) in [
        ("tail".to_owned() + &r" --path '\w{20}'".repeat(500), "500 expressions: write 8 at the most"),
        (format!("tail --status 404{}", ",404".repeat(3000)), "3001 parts of lists: write 256 at the most"),
        (
            format!("tail --format {}", "{line}".repeat(65)),
            "--format: 65 fields and texts between them: write 64",
        ),
        ("x".repeat(COMMAND_MAX + 1), "a command of 16385 bytes: write 16384 at the most"),
    ] {
        let answer = place.answer(bob, None, &command);
        assert_eq!((answer.status, answer.out.as_str()), (Some(2), ""), "{told}");
        assert!(answer.err.starts_with(&format!("ssh-weblog-server: {told}")), "{}", answer.err);
    }
}

#[test]
fn t109_a_view_that_takes_too_long_ends_and_another_sees_every_hit() {
    let (mut place, _, bob) = place(Caps::default());
    let slow = place.visit("ann", WIDE);
    let command = "--path '(?s-u:(?:a?.{0,40}){30}[^a-zA-Z0-9/])' --format {path}";
    for begin in ["tail", "tail --since @1"] {
        place.ask(slow, None, &format!("{begin} {command}"));
    }
    place.ask(slow, TERMINAL, &format!("dashboard {}", command.replace("--format {path}", "")));
    place.ask(bob, None, "tail --format {path}");
    let long = "a".repeat(6000);
    let (mut told, mut hits, mut seen) = (Told::default(), 0, 0);
    let ended = |told: &Told| (told.err.clone() + &told.out).matches("takes too long").count();
    while hits < 2000 && ended(&told) < 3 {
        place.log_hits((0..20).map(|number| format!("/{long}{number}")));
        hits += 20;
        let more = place.told(slow);
        told.err += &more.err;
        told.out += &more.out;
        seen += place.told(bob).out.lines().count();
    }
    assert_eq!(told.err.matches(": write simpler expressions\n").count(), 2, "{hits}: {}", told.err);
    assert_eq!(seen, hits);
    // The terminal of the dashboard is given back, and it says the same.
    assert!(
        told.out.ends_with(": write simpler expressions\r\n"),
        "{:?}",
        told.out.get(told.out.len() - 100..)
    );
    let go_on = place.desk.sessions.values().filter(|session| session.goes_on());
    assert_eq!(go_on.count(), 1, "bob's");
}

#[test]
fn t109_kept_lines_are_looked_at_in_parts_though_none_is_shown() {
    const KEPT: usize = 2 * AGAIN_MAX + 10;
    for (filter, shown) in [("--path nothing", 0), ("--path 0", KEPT)] {
        let (mut place, _, bob) = place(Caps::default());
        let first = place.desk.logs.range(0).0;
        place.log_hits((0..KEPT).map(|number| format!("/0{number}")));
        let id = place.ask(bob, None, &format!("tail --since @1 --format {{path}} {filter}"));
        let mut out = String::new();
        for turn in 1..=2 {
            let Activity::CatchingUp(catch_up) = &place.desk.sessions.values().next().unwrap().activity
            else {
                panic!("{turn}: it is still at it");
            };
            assert_eq!(catch_up.at, [(0, first + (turn * AGAIN_MAX) as u64)]);
            assert!(
                place.desk.due(&place.limits).is_some_and(|due| due <= place.now),
                "the next turn is due"
            );
            assert_eq!(place.desk.catching_up.len(), 1);
            place.turn();
        }
        // What comes now is told behind them.
        place.log_hits(["/0new"].map(str::to_owned).into_iter());
        out += &place.told(bob).out;
        assert_eq!(out.lines().count(), if shown > 0 { shown + 1 } else { 0 });
        assert!(place.desk.catching_up.is_empty() && place.desk.due(&place.limits).is_none());
        assert!(matches!(place.desk.sessions.values().next().unwrap().activity, Activity::Watching { .. }));
        assert!(shown == 0 || out.ends_with("/0new\n"));
        place.visitors[bob].pair.client.conn.channel(id).unwrap().close().unwrap();
    }
}

#[test]
fn lines_that_are_forgotten_before_a_session_comes_to_them_are_told_as_skipped() {
    const KEPT: usize = 2 * AGAIN_MAX;
    let (mut place, _, bob) = place(Caps::default());
    let file =
        LogFile { name: "shop".to_owned(), path: place.log(), log_format: Some("combined".to_owned()) };
    place.desk.logs.set(&[file], KEPT);
    place.log_hits((0..KEPT).map(|number| format!("/{number}")));
    place.ask(bob, None, "tail --since @1 --format {path}");
    // Before its next turn others have come.
    let mut log = OpenOptions::new().append(true).open(place.log()).unwrap();
    (0..KEPT).for_each(|number| log.write_all(hit(&format!("/new{number}")).as_bytes()).unwrap());
    while place.desk.logs.get(0).unwrap().records < 2 * KEPT as u64 {
        place.now += Duration::from_millis(50);
        place.desk.read(place.now);
    }
    (0..4).for_each(|_| place.turn());
    let out = place.told(bob).out;
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), AGAIN_MAX + 1 + KEPT, "{:?}", lines.last());
    assert_eq!(lines[AGAIN_MAX - 1], format!("/{}", AGAIN_MAX - 1));
    assert_eq!(lines[AGAIN_MAX..][..2], [&format!("… {} records skipped", KEPT - AGAIN_MAX), "/new0"]);
    let first = place.desk.logs.range(0).0;
    place.answer(bob, None, &format!("tail --after {} shop", first - 8));
    let metrics = place.answer(bob, None, "metrics").out;
    let skipped = format!("ssh_weblog_skipped_total{{log=\"shop\"}} {}\n", KEPT - AGAIN_MAX + 7);
    assert!(metrics.contains(&skipped), "{metrics}");
}

#[test]
fn t107_of_kept_lines_no_more_wait_for_one_who_reads_slowly_than_the_bound() {
    const KEPT: usize = 200;
    const WAITS: usize = 64 << 10;
    let (mut place, ann, _) = place(Caps::default());
    place.log_hits((0..KEPT).map(|number| format!("/{number:0>2000}")));
    for terminal in [None, TERMINAL] {
        place.visitors[ann].pair.client.consumes = false;
        let id = place.ask(ann, terminal, "tail --since @1 --show raw");
        (0..4).for_each(|_| place.turn());
        let waits = place.desk.unread[&b"ann"[..]].get();
        let most = WAITS + hit(&format!("/{:0>2000}\r\n", 0)).len();
        assert!((WAITS - NARROW as usize..=most).contains(&waits), "{terminal:?}: {waits} bytes");
        // She reads on, a window at a time.
        let mut out = String::new();
        place.visitors[ann].pair.client.consumes = true;
        let mut came = place.told(ann);
        place.visitors[ann].pair.client.conn.channel(id).unwrap().adjust_window(came.out.len()).unwrap();
        while !came.out.is_empty() {
            out += &came.out;
            place.turn();
            came = place.told(ann);
        }
        assert_eq!(out.lines().count(), KEPT);
        let is_next = |(number, line): (usize, &str)| line.contains(&format!("/{number:0>2000} "));
        assert!(out.lines().enumerate().all(is_next), "{terminal:?}: each once, in order");
        place.visitors[ann].pair.client.conn.channel(id).unwrap().close().unwrap();
        place.settle();
        place.told(ann);
    }
}

#[test]
fn t107_who_catches_up_with_a_report_takes_the_room_of_a_view() {
    let (mut place, ann, bob) = place(Caps { feeds: Share { all: 4, of_user: 2 }, ..Caps::default() });
    place.log_hits((0..500).map(|number| format!("/{number:0>100}")));
    place.visitors[ann].pair.client.consumes = false;
    let first = place.desk.logs.range(0).0;
    let private = "tail --since @1 --stats --format {path}";
    let after = format!("tail --after {first} --stats --format {{path}} shop");
    for command in [private, &after] {
        place.ask(ann, None, command);
        assert_eq!(place.told(ann).status, None);
    }
    let why = "2 different views of yours at once are as many as there may be; end one of them first";
    for command in [private, &after, "stats --every 1s"] {
        let told = place.answer(ann, None, command);
        assert_eq!((told.err, told.status), (format!("ssh-weblog-server: {why}\n"), Some(1)), "{command}");
    }
    assert_eq!(place.answer(ann, None, "tail --since @1").status, None, "it has nothing of its own");
    place.ask(bob, None, private);
    (0..4).for_each(|_| place.turn());
    assert_eq!(place.told(bob).status, None, "another has his");
    assert_eq!((place.desk.feeds.iter().count(), place.busy(bob)), (1, 3));
}

#[test]
fn t107_reports_that_come_at_the_end_of_all_sessions_are_no_more_than_the_bound() {
    const UNREAD: usize = 150_000;
    let (mut place, ann, bob) = place(Caps { unread: UNREAD, ..Caps::default() });
    place.visitors[ann].pair.client.consumes = false;
    for number in 0..6 {
        place.ask(ann, None, &format!("tail --stats --top {}", 500 + number));
    }
    place.ask(ann, TERMINAL, "tail --dashboard --stats --top 500");
    place.ask(bob, None, "tail --stats --top 500");
    place.log_hits((0..500).map(|number| format!("/{number:0>100}")));
    place.told(bob);
    place.desk.close(&mut place.visitors, place.now);
    place.settle();
    let unread = |place: &Place, user: &str| place.desk.unread[user.as_bytes()].get();
    assert!((50_000..=UNREAD).contains(&unread(&place, "ann")), "{}", unread(&place, "ann"));
    let told_so = place.told(ann).err.matches("end their sessions, first").count();
    assert_eq!(told_so, 5, "the others are told why they have none");
    let told = place.told(bob);
    assert!(told.out.len() > 50_000 && told.is_closed, "bob has his: {}", told.out.len());
    assert_eq!(unread(&place, "bob"), 0);
    place.desk.disconnect(peer(ann));
    assert_eq!(unread(&place, "ann"), 0, "nothing is left of it");
}

#[test]
fn t107_what_waits_for_standard_error_counts() {
    let mut place = Place::new(&["ann"], Caps::default());
    let ann = place.visit("ann", 512);
    place.visitors[ann].pair.client.consumes = false;
    let id = place.ask(ann, None, &"\x01".repeat(COMMAND_MAX));
    let unread = |place: &Place| place.desk.unread[&b"ann"[..]].get();
    assert!((3000..=4096).contains(&unread(&place)), "{}: a bound part is echoed", unread(&place));
    place.visitors[ann].pair.client.conn.channel(id).unwrap().close().unwrap();
    place.settle();
    assert_eq!(unread(&place), 0);
}

#[test]
fn t107_of_variables_only_those_are_kept_that_are_asked_for() {
    let mut place = Place::new(&["ann"], Caps::default());
    let ann = place.visit("ann", WIDE);
    let id = place.visitors[ann].pair.client.conn.open_session().unwrap();
    place.settle();
    let long = "x".repeat(VALUE_MAX + 1);
    let mut channel = place.visitors[ann].pair.client.conn.channel(id).unwrap();
    for name in ["LC_ALL", "LC_CTYPE", "LANG", "NO_COLOR", "TERM", "LC_TIME", "LC_X", "PATH"] {
        channel.send_env(name.as_bytes(), long.as_bytes()).unwrap();
        channel.send_env(name.as_bytes(), b"C").unwrap();
    }
    (0..1000).for_each(|n| channel.send_env(format!("LC_{n}").as_bytes(), b"C").unwrap());
    place.settle();
    let session = place.desk.sessions.values().next().unwrap();
    let mut kept: Vec<_> = session.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    kept.sort();
    assert_eq!(kept, ["LANG=C", "LC_ALL=C", "LC_CTYPE=C", "NO_COLOR=C"]);
    let look = session.look();
    assert!(!look.unicode && !look.coloured, "and they are heard");
}

/// Filters and copies that a dashboard has made, and bytes that wait for it.
fn made(place: &Place) -> (usize, usize) {
    let dash = place.desk.sessions.values().find_map(|session| match &session.activity {
        Activity::Dashboard(dash) => Some(dash),
        _ => None,
    });
    dash.map_or((0, 0), |dash| (dash.made(), dash.typed()))
}

#[test]
fn t109_keys_that_cost_something_are_worked_off_one_by_one_and_ctrl_c_does_not_wait() {
    for (keys, of_one) in [("/a\r", 1), ("p", 1), ("/b\x1bOM", 1), ("\x1b[A", 0)] {
        let (mut place, _, bob) = place(Caps::default());
        let id = place.ask(bob, TERMINAL, "dashboard");
        place.now += Duration::from_secs(1);
        place.turn();
        // In many packets, or one.
        (0..50).for_each(|_| place.say(bob, id, keys.as_bytes()));
        place.say(bob, id, keys.repeat(2000).as_bytes());
        assert_eq!(made(&place), (of_one, TYPED_MAX), "{keys:?}: a part, and a bounded rest waits");
        for turn in 1..10 {
            let before = made(&place);
            assert!(
                place.desk.due(&place.limits).is_some_and(|due| due <= place.now + Duration::from_millis(50))
            );
            place.turn();
            let after = made(&place);
            assert!(
                after.0 <= before.0 + of_one && after.1 < before.1,
                "{keys:?}: {turn}: {before:?} {after:?}"
            );
        }
        place.told(bob);
        place.say(bob, id, b"\x03");
        let told = place.told(bob);
        assert_eq!((told.status, told.is_closed), (Some(130), true), "{keys:?}");
    }
    // What is typed in a pause of a moment is done in its order, whatever the terminal takes.
    let (mut place, ann, _) = place(Caps::default());
    place.visitors[ann].pair.client.consumes = false;
    let id = place.ask(ann, Some((200, 60)), "dashboard");
    place.say(ann, id, format!("/{}\rsp", "x".repeat(200)).as_bytes());
    (0..10).for_each(|_| place.turn());
    assert_eq!(made(&place), (2, 0));
    place.say(ann, id, b"??q");
    (0..3).for_each(|_| place.turn());
    assert_eq!(place.desk.dashboards.len(), 0, "q ends it");
}

#[test]
fn a_report_larger_than_a_window_is_followed_by_the_next() {
    let (mut place, ann, _) = place(Caps::default());
    place.log_hits((0..500).map(|number| format!("/{number:0>100}")));
    place.ask(ann, None, "stats --every 1s --top 500 --json");
    place.read_reports(1);
    let hits = |told: Told| {
        assert!(told.out.len() > NARROW as usize);
        let report: serde_json::Value = serde_json::from_str(told.out.lines().last().unwrap()).unwrap();
        report["hits"].as_u64()
    };
    assert_eq!(hits(place.told(ann)), Some(500));
    place.log_hits(["/new"].map(str::to_owned).into_iter());
    place.now += Duration::from_secs(1);
    place.turn();
    place.turn();
    assert_eq!(hits(place.told(ann)), Some(501));
}
