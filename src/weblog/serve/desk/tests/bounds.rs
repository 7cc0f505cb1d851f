//! As many as there may be, and a user's part of them.

use super::super::super::caps::Share;
use super::super::super::{
    DASHBOARDS_MAX, DASHBOARDS_OF_USER_MAX, FEEDS_MAX, FEEDS_OF_USER_MAX, JOBS_MAX, JOBS_OF_USER_MAX,
    UNREAD_MAX,
};
use super::*;

const FIVE: [&str; 5] = ["ann", "bob", "cy", "dee", "eve"];

/// Of all bounds those of the server.
fn usual(users: &[&'static str]) -> (Place, Vec<usize>) {
    let mut place = Place::new(users, Caps::default());
    let visitors = users.iter().map(|user| place.visit(user, WIDE)).collect();
    (place, visitors)
}

fn refused(why: &str) -> Told {
    let err = format!("ssh-weblog-server: {why}\n");
    Told { out: String::new(), err, status: Some(1), is_closed: false }
}

/// Closes a session from the client's side.
fn leave(place: &mut Place, visitor: usize, id: ChannelId) {
    place.visitors[visitor].pair.client.conn.channel(id).unwrap().close().unwrap();
    place.settle();
}

#[test]
fn one_user_takes_a_part_of_the_views_and_all_users_no_more_than_there_may_be() {
    let (mut place, visitors) = usual(&FIVE);
    let [ann, bob, .., eve] = visitors[..] else { panic!() };
    let mut of_ann = Vec::new();
    for number in 0..FEEDS_OF_USER_MAX {
        of_ann.push(place.ask(ann, None, &format!("tail --path ann{number}")));
    }
    assert_eq!(place.told(ann).status, None, "all of them are shown");
    let why = "64 different views of yours at once are as many as there may be; end one of them first";
    let ended = |told: Told| Told { is_closed: false, ..told };
    for command in ["tail --path more", "wait", "stats --every 1s"] {
        assert_eq!(ended(place.answer(ann, None, command)), refused(why), "{command}");
    }
    place.ask(bob, None, "tail --path bob");
    assert_eq!(place.told(bob).status, None, "another has his");
    assert_eq!(
        ended(place.answer(ann, None, "tail --path bob")),
        refused(why),
        "it would be hers without bob"
    );
    place.ask(ann, None, "tail --path ann0");
    assert_eq!(place.told(ann).status, None, "she is at that one already");
    leave(&mut place, ann, of_ann[1]);
    place.ask(ann, None, "tail --path again");
    assert_eq!(place.told(ann).status, None, "there is room again");
    for (user, visitor) in FIVE.iter().zip(&visitors).skip(1) {
        let begun = place.desk.feeds.iter().count();
        let more = (FEEDS_MAX - begun).min(FEEDS_OF_USER_MAX - usize::from(*user == "bob"));
        for number in 0..more {
            place.ask(*visitor, None, &format!("tail --path {user}{number}"));
        }
        assert_eq!(place.told(*visitor).status, None, "{user}");
    }
    assert_eq!(place.desk.feeds.iter().count(), FEEDS_MAX);
    let why = "too many different views at once; come again later";
    assert_eq!(ended(place.answer(eve, None, "tail --path more")), refused(why));
    place.ask(eve, None, "tail --path bob");
    assert_eq!(place.told(eve).status, None, "what is shown to others takes no room");
    assert_eq!(place.busy(eve), 5);
}

#[test]
fn one_user_takes_a_part_of_the_dashboards_and_all_users_no_more_than_there_may_be() {
    let (mut place, visitors) = usual(&FIVE);
    let [ann, .., eve] = visitors[..] else { panic!() };
    let ended = |told: Told| (told.err, told.status);
    let mut of_ann = Vec::new();
    for visitor in &visitors[..4] {
        for _ in 0..DASHBOARDS_OF_USER_MAX {
            let id = place.ask(*visitor, TERMINAL, "dashboard");
            of_ann.extend((*visitor == ann).then_some(id));
        }
        assert_eq!(place.told(*visitor).status, None);
        if *visitor == ann {
            let why = "16 dashboards of yours at once are as many as there may be; the lines are there, too: ssh HOST tail";
            let told = place.answer(ann, TERMINAL, "tail --dashboard");
            let why = format!("ssh-weblog-server: {why}\r\n");
            assert_eq!(ended(told), (why, Some(1)));
        }
    }
    assert_eq!(place.desk.dashboards.len(), DASHBOARDS_MAX);
    let why = "too many dashboards at once; the lines are there, too: ssh HOST tail";
    let told = place.answer(eve, TERMINAL, "dashboard");
    assert_eq!(ended(told), (format!("ssh-weblog-server: {why}\r\n"), Some(1)));
    assert_eq!(place.busy(eve), 2);
    // One that has ended is no more, before anything else happens.
    place.say(ann, of_ann[0], b"q");
    assert_eq!(place.answer(eve, TERMINAL, "dashboard").status, None);
}

/// A log without an end, for all that a report can wait for.
fn endless() -> (Place, Vec<usize>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.log");
    std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let mut place = Place::of(&FIVE, Caps::default(), path, directory);
    let visitors = FIVE.iter().map(|user| place.visit(user, WIDE)).collect();
    (place, visitors)
}

#[test]
fn one_user_has_a_part_of_the_reports_read_and_all_users_no_more_than_there_may_be() {
    let (mut place, visitors) = endless();
    let [ann, bob, .., eve] = visitors[..] else { panic!() };
    let ended = |told: Told| (told.err, told.status);
    let why_of_user =
        "ssh-weblog-server: 8 reports of yours are being read, as many as there may be; come again later\n";
    let mut of_ann = Vec::new();
    for visitor in &visitors[..4] {
        for _ in 0..JOBS_OF_USER_MAX {
            let id = place.ask(*visitor, None, "stats");
            of_ann.extend((*visitor == ann).then_some(id));
        }
        assert_eq!(place.told(*visitor).status, None);
        assert_eq!(ended(place.answer(*visitor, None, "stats")), (why_of_user.to_owned(), Some(1)));
    }
    let why = "ssh-weblog-server: too many reports are being read; come again later\n";
    assert_eq!(ended(place.answer(eve, None, "stats")), (why.to_owned(), Some(1)));
    assert_eq!(place.busy(eve), 5);
    // Those that nobody waits for any more end soon, and count until then.
    of_ann.iter().for_each(|id| leave(&mut place, ann, *id));
    place.told(ann);
    assert_eq!(ended(place.answer(ann, None, "stats")), (why_of_user.to_owned(), Some(1)));
    place.desk.disconnect(peer(bob)); // so that the threads come to hers
    place.read_reports(2 * JOBS_OF_USER_MAX);
    assert_eq!(place.answer(eve, None, "stats").status, None);
    assert_eq!(JOBS_MAX, 4 * JOBS_OF_USER_MAX);
}

#[test]
fn who_is_alone_has_all() {
    let (mut place, visitors) = usual(&["ann"]);
    let ann = visitors[0];
    for number in 0..FEEDS_MAX {
        place.ask(ann, None, &format!("tail --path ann{number}"));
    }
    assert_eq!((place.told(ann).status, place.desk.feeds.iter().count()), (None, FEEDS_MAX));
    assert_eq!(place.answer(ann, None, "tail --path more").status, Some(1));
    for _ in 0..DASHBOARDS_MAX {
        place.ask(ann, TERMINAL, "dashboard");
    }
    assert_eq!((place.told(ann).status, place.desk.dashboards.len()), (None, DASHBOARDS_MAX));
    assert_eq!(place.answer(ann, TERMINAL, "dashboard").status, Some(1));
    // From a reload on she is not.
    let rights = ["ann", "bob"].map(|user| (user.as_bytes().to_vec(), Rights::default()));
    let log = LogFile { name: "shop".to_owned(), path: place.log(), log_format: Some("combined".to_owned()) };
    place.desk.set(rights.into(), &[log], 10);
    let share = Share { all: FEEDS_MAX, of_user: FEEDS_OF_USER_MAX };
    assert_eq!((place.desk.feeds.share, place.desk.jobs.share.of_user), (share, JOBS_OF_USER_MAX));
}

/// Two users at a log whose reports are larger than a window.
fn with_large_reports(unread: usize) -> (Place, usize, usize) {
    let mut place = Place::new(&["ann", "bob"], Caps { unread, ..Caps::default() });
    let (ann, bob) = (place.visit("ann", 1 << 14), place.visit("bob", 1 << 14));
    place.log_hits((0..500).map(|number| format!("/{number:0>100}")));
    place.visitors[ann].pair.client.consumes = false;
    (place, ann, bob)
}

const LARGE: &str = "stats --top 500";

#[test]
fn reports_that_a_user_does_not_read_are_no_more_than_the_bound_and_another_has_his() {
    assert_eq!(Caps::default().unread, UNREAD_MAX);
    let (mut place, ann, bob) = with_large_reports(150_000);
    let why = "ssh-weblog-server: other reports of yours are not read yet; read them, or end their sessions, first\n";
    let mut of_ann = Vec::new();
    for told in ["", "", why, why] {
        of_ann.push(place.ask(ann, None, LARGE));
        place.read_reports(1);
        let told = (told.to_owned(), (told == why).then_some(1));
        let now = place.told(ann);
        assert_eq!((now.err, now.status), told);
        let unread = place.desk.unread.values().map(|unread| unread.get()).sum::<usize>();
        assert!((1..=150_000).contains(&unread), "{unread}");
    }
    place.ask(bob, None, LARGE);
    place.read_reports(1);
    let told = place.told(bob);
    assert!(told.status == Some(0) && told.out.len() > 50_000, "{}", told.out.len());
    // With --every the first one waits, too, and a terminal's.
    for command in [(None, "stats --every 1h --top 500"), (TERMINAL, LARGE)] {
        place.ask(ann, command.0, command.1);
        place.read_reports(1);
        assert_eq!(place.told(ann).status, Some(1), "{command:?}");
    }
    of_ann[..1].iter().for_each(|id| leave(&mut place, ann, *id));
    place.ask(ann, None, LARGE);
    place.read_reports(1);
    assert_eq!(place.told(ann).status, None);
    // One alone may be longer than the bound.
    let (mut place, ann, _) = with_large_reports(100);
    place.ask(ann, None, LARGE);
    place.read_reports(1);
    assert_eq!((place.told(ann).status, place.desk.sessions.len()), (None, 1));
    // With it no other is begun, also none that comes at the end of something.
    for command in [LARGE, "tail --stats", "stats --every 1s"] {
        let told = place.answer(ann, None, command);
        assert_eq!((told.err.as_str(), told.status), (why, Some(1)), "{command}");
    }
    assert_eq!(place.answer(ann, None, "tail").status, None);
}

#[test]
fn t108_whoever_does_not_read_what_he_asked_for_is_idle() {
    let (mut place, ann, _) = with_large_reports(1 << 20);
    place.ask(ann, None, LARGE);
    place.ask(ann, TERMINAL, LARGE);
    place.read_reports(2);
    place.ask(ann, Some((200, 60)), "dashboard");
    place.ask(ann, None, "tail --show raw");
    while place.desk.sessions.values().filter(|session| session.full).count() < 4 {
        let number = place.desk.logs.get(0).unwrap().records;
        place.log_hits((number..number + 20).map(|number| format!("/{number:0>100}")));
    }
    // From now on.
    place.limits.idle = Some(Duration::from_secs(60));
    let now = place.now;
    place.desk.sessions.values_mut().for_each(|session| session.active = now);
    place.now += Duration::from_secs(59);
    place.turn();
    let first = place.told(ann);
    assert_eq!((first.status, first.is_closed, place.desk.sessions.len()), (None, false, 4));
    place.now += Duration::from_secs(2);
    place.turn();
    let told = place.told(ann);
    assert_eq!((told.out.as_str(), told.status, told.is_closed), ("", Some(1), true));
    assert_eq!(place.desk.sessions.len(), 0, "nothing of them waits for anybody");
    assert_eq!(place.desk.feeds.iter().count(), 0);
}

#[test]
fn an_idle_session_ends_a_second_late_at_the_most_and_is_not_looked_for_at_every_turn() {
    const IDLE: Duration = Duration::from_secs(60);
    const LATE: Duration = Duration::from_secs(1);
    let (mut place, visitors) = usual(&["ann"]);
    place.limits.idle = Some(IDLE);
    let ann = visitors[0];
    place.ask(ann, None, "tail");
    let last = place.now + IDLE;
    place.now += 5 * LATE;
    let mut looks = Vec::new();
    let told = loop {
        let due = place.desk.due(&place.limits).expect("it is looked for");
        if looks.last() != Some(&due) {
            looks.push(due);
        }
        place.now = place.now.max(due - Duration::from_millis(50));
        place.turn();
        let told = place.told(ann);
        if told.status.is_some() {
            break told;
        }
        assert!(place.now < last + LATE, "{looks:?}");
    };
    assert_eq!((told.err.as_str(), told.status), ("ssh-weblog-server: idle for too long\n", Some(1)));
    assert!(place.now >= last && place.now <= last + LATE);
    assert!(looks.windows(2).all(|two| two[1] - two[0] >= LATE), "{looks:?}");
}

#[test]
fn t108_no_duration_that_is_asked_for_is_too_much_for_the_clock() {
    let mut place = Place::new(&["ann"], Caps::default());
    let ann = place.visit("ann", 1 << 20);
    for command in ["wait --timeout", "stats --every", "tail --stats --every"] {
        let told = place.answer(ann, None, &format!("{command} 18446744073709551615s shop"));
        assert_eq!(told.status, Some(2), "{command}: {told:?}");
        assert!(told.err.contains("too long: write 3650d at the most"), "{command}: {told:?}");
    }
    place.ask(ann, None, "wait --timeout 3650d shop");
    assert_eq!(place.told(ann).status, None, "it waits");
}
