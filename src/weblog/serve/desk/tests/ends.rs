//! How sessions end by themselves, and what is said of what they can't have.

use super::super::super::audit;
use super::super::super::settings::AuditForm;
use super::*;
use core::time::Duration;
use jiff::Timestamp;

fn metric(place: &mut Place, visitor: usize, sample: &str) -> Option<u64> {
    let metrics = place.answer(visitor, None, "metrics").out;
    metrics.lines().find_map(|line| line.strip_prefix(sample)?.trim().parse().ok())
}

#[test]
fn a_report_of_files_ends_with_what_it_waited_for() {
    let (mut place, ann) = place();
    place.ask(ann, None, "stats --over 0.2/s --for 10s");
    place.read_reports(1);
    let told = place.told(ann);
    assert_eq!((told.status, told.err.as_str(), told.is_closed), (Some(3), "", true), "{told:?}");
    assert!(told.out.contains("3 hits in 10s") && told.out.contains("hits       3"), "{}", told.out);
    place.ask(ann, None, "stats --stop-on /old1 --every 1h --json");
    place.read_reports(1);
    let told = place.told(ann);
    assert_eq!((told.status, told.err.as_str(), told.is_closed), (Some(0), "Bye bye...\n", true));
    assert!(told.out.contains("\"hits\":2,"), "{}", told.out);
    // What the files have counts with what comes.
    place.ask(ann, TERMINAL, "stats --every 1h --over 0.5/s --for 10s");
    place.read_reports(1);
    assert_eq!(place.told(ann).status, None);
    place.log_hits((0..2).map(|number| format!("/new{number}")));
    assert_eq!(place.told(ann).status, None, "five are not more than five");
    place.log_hits(["/new2".to_owned()].into_iter());
    let told = place.told(ann);
    assert!(told.status == Some(3) && told.out.contains("hits       6\r\n"), "{told:?}");
}

#[test]
fn hits_of_logs_that_a_report_reads_one_after_the_other_count_where_they_belong() {
    let (mut place, ann) = place();
    let other = place.directory.path().join("other.log");
    let file =
        |name: &str, path| LogFile { name: name.to_owned(), path, log_format: Some("combined".to_owned()) };
    std::fs::write(&other, "").unwrap();
    let (shop, of_other) = (file("shop", place.log()), file("other", other.clone()));
    place.desk.logs.set(&[shop, of_other], 1000);
    while place.desk.logs.paths(1).next().is_none() {
        place.turn();
    }
    place.turn();
    // In shop another follows hours later; in other there are two at the time of the three.
    let late = hit("/late").replace("12:00:00", "18:00:00");
    append(&place, &late);
    std::fs::write(&other, hit("/a").repeat(2)).unwrap();
    while place.desk.logs.get(0).unwrap().records < 4 || place.desk.logs.get(1).unwrap().records < 2 {
        place.turn();
    }
    place.ask(ann, None, "stats --over 0.4/s --for 10s");
    place.read_reports(1);
    assert_eq!(place.told(ann).status, Some(3));
}

#[test]
fn a_session_ends_when_until_has_passed() {
    let (mut place, ann) = place();
    let then = (Timestamp::now() + Duration::from_secs(3600)).to_string();
    for (command, status, err) in [
        ("tail --show hits", 0, ""),
        ("wait", 1, "ssh-weblog-server: it did not come true in time\r\n"),
        ("wait --timeout 3h", 1, "ssh-weblog-server: it did not come true in time\r\n"),
        ("dashboard", 0, ""),
        ("stats --every 3h", 0, ""),
    ] {
        place.ask(ann, TERMINAL, &format!("{command} --until {then}"));
        if command.starts_with("stats") {
            place.read_reports(1);
        }
        place.turn();
        assert_eq!(place.told(ann).status, None, "{command}");
        assert!(place.desk.due(&place.limits).is_some(), "{command}");
        place.now += Duration::from_secs(2 * 3600);
        place.turn();
        let told = place.told(ann);
        assert_eq!((told.status, told.err.as_str(), told.is_closed), (Some(status), err, true), "{command}");
    }
    // Where it has passed already, what is kept is shown.
    place.ask(ann, None, "tail --format {path} --since 2026-01-01 --until 2026-06-01");
    (0..3).for_each(|_| place.turn());
    let told = place.told(ann);
    assert_eq!((told.out.as_str(), told.status, told.is_closed), ("/old0\n/old1\n/old2\n", Some(0), true));
}

#[test]
fn a_terminal_gets_its_line_ends_on_standard_error_too() {
    let (mut place, ann) = place();
    place.ask(ann, TERMINAL, "wait --path /never --timeout 1s");
    place.ask(ann, TERMINAL, "tail --json --stop-on /stop");
    place.ask(ann, TERMINAL, "tail --json --stop-on /old1 --since @1");
    place.ask(ann, TERMINAL, "tail --vhost x");
    place.log_hits(["/stop".to_owned()].into_iter());
    place.now += Duration::from_secs(1);
    (0..3).for_each(|_| place.turn());
    let told = place.told(ann);
    assert_eq!(told.err.matches("Bye bye...\r\n").count(), 2, "{told:?}");
    assert!(told.err.contains("in time\r\n") && told.err.contains("virtual host"), "{told:?}");
    for text in [&told.out, &told.err] {
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "{text}");
    }
}

#[test]
fn what_a_format_does_not_have_is_said_at_the_beginning() {
    let (mut place, ann) = place();
    let told = place.answer(ann, None, "tail --vhost x");
    let text = "shop: its format has no virtual host: no record passes --vhost";
    assert_eq!((told.err, told.status), (format!("ssh-weblog-server: {text}\n"), None));
    assert!(place.answer(ann, TERMINAL, "dashboard --vhost x").out.contains("no virtual host"));
    // The format is found out by what is there already.
    let common = "h - - [01/Mar/2026:12:00:00 +0000] \"GET /a HTTP/1.1\" 200 5\n";
    std::fs::write(place.log(), common).unwrap();
    let file = LogFile { name: "shop".to_owned(), path: place.log(), log_format: None };
    place.desk.logs.set(&[file], 1000);
    while place.desk.logs.paths(1).next().is_none() {
        place.turn();
    }
    assert!(place.answer(ann, None, "tail").err.ends_with("nothing is shown; try --show hits\n"));
    assert_eq!(place.answer(ann, None, "tail --show hits").err, "");
}

#[test]
fn lines_of_a_report_are_refused_with_what_to_write() {
    let (mut place, ann) = place();
    for option in ["--show hits", "--format {path}", "--dashboard"] {
        let told = place.answer(ann, None, &format!("stats {option}"));
        assert!(told.status == Some(2) && told.err.contains("tail --stats"), "{told:?}");
    }
}

#[test]
fn whoever_has_a_dashboard_or_catches_up_is_a_viewer() {
    let (mut place, ann) = place();
    let viewers = |place: &mut Place| metric(place, ann, "ssh_weblog_viewers{log=\"shop\"}");
    assert_eq!(viewers(&mut place), Some(0));
    place.ask(ann, TERMINAL, "dashboard");
    assert_eq!(viewers(&mut place), Some(1));
    place.ask(ann, None, "tail");
    assert_eq!(viewers(&mut place), Some(2));
    place.visitors[ann].pair.client.consumes = false;
    let bob = place.visit("ann", 100);
    place.visitors[bob].pair.client.consumes = false;
    place.ask(bob, None, "tail --since @1");
    assert_eq!(viewers(&mut place), Some(3));
}

#[test]
fn t81_a_name_of_a_terminal_that_could_act_is_dumb() {
    let (mut place, ann) = place();
    for term in ["", "x\x1b[31m", &"x".repeat(1000), "vt\n", "ä"] {
        let id = place.visitors[ann].pair.client.conn.open_session().unwrap();
        place.settle();
        let mut channel = place.visitors[ann].pair.client.conn.channel(id).unwrap();
        channel.request_pty(term.as_bytes(), WindowSize::default(), &[0]).unwrap();
        place.settle();
        let terminals = place.desk.sessions.values().filter_map(|session| session.terminal.as_ref());
        assert!(terminals.map(|terminal| &*terminal.term).all(|term| term == "dumb"), "{term:?}");
    }
}

#[test]
fn who_asks_for_what_nobody_gets_is_counted_and_told() {
    let (mut place, ann) = place();
    place.visitors[ann].pair.server.conn.expect_forwarding();
    let said = audit::tests::lines(AuditForm::Text, || {
        let conn = &mut place.visitors[ann].pair.client.conn;
        conn.open_direct_tcpip("localhost", 80, "127.0.0.1", 1).unwrap();
        conn.open_direct_streamlocal("/run/x").unwrap();
        place.settle();
        let id = place.visitors[ann].pair.client.conn.open_session().unwrap();
        place.settle();
        let mut channel = place.visitors[ann].pair.client.conn.channel(id).unwrap();
        channel.send_env(b"PATH", b"x").unwrap();
        channel.request_subsystem(b"netconf").unwrap();
        place.settle();
    });
    let said: Vec<_> =
        said.iter().filter_map(|line| line.split_once(" refused ")).map(|(_, of)| of).collect();
    let forwarding = "user=ann why=\"nothing is forwarded here\"";
    assert_eq!(said, [forwarding, forwarding, "user=ann why=\"subsystem: not served here\""]);
    assert_eq!(metric(&mut place, ann, "ssh_weblog_refusals_total{reason=\"request\"}"), Some(4));
    assert!(place.desk.sessions.len() <= 2, "no channel of them is a session");
    assert_eq!(place.desk.refused_told.len(), 1);
    place.desk.disconnect(peer(ann));
    assert!(place.desk.refused_told.is_empty(), "it is forgotten with its connection");
}

#[test]
fn t107_who_does_not_take_what_is_said_at_the_beginning_is_idle_and_it_counts() {
    let mut place = Place::new(&["ann"], Caps::default());
    let ann = place.visit("ann", 10);
    place.visitors[ann].pair.client.consumes = false;
    place.ask(ann, None, "tail --vhost x");
    assert_eq!(place.told(ann).err.len(), 10);
    assert!(place.desk.unread[&b"ann"[..]].get() > 50, "the rest waits");
    place.limits.idle = Some(Duration::from_secs(60));
    place.now += Duration::from_secs(61);
    place.turn();
    assert_eq!((place.told(ann).status, place.desk.sessions.len()), (Some(1), 0));
}

#[test]
fn a_report_of_a_log_that_cannot_be_read_ends_with_1_and_says_why() {
    let (mut place, ann) = place();
    let log = place.log();
    let ask = |place: &mut Place, command: &str| {
        place.ask(ann, None, command);
        place.read_reports(1);
        place.told(ann)
    };
    std::fs::remove_file(&log).unwrap();
    let is_told = |told: Told, why: &str| {
        let err = format!("ssh-weblog-server: shop: {why}\n");
        assert_eq!((told.err, told.status), (err, Some(1)));
    };
    is_told(ask(&mut place, "stats shop"), "no such file");
    std::fs::create_dir(&log).unwrap();
    is_told(ask(&mut place, "stats shop"), "not a regular file");
    std::fs::remove_dir(&log).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &log, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    is_told(ask(&mut place, "stats shop"), "not a regular file");
    let told = ask(&mut place, "stats --every 1h");
    let err = "ssh-weblog-server: shop: not a regular file; waiting for it\n";
    assert_eq!((&*told.err, told.status), (err, None));
    // A file of a pattern may go, and another be there; of one that nothing fits that is told.
    let pattern = place.directory.path().join("q*.log");
    let file = |path| LogFile { name: "q".to_owned(), path, log_format: Some("combined".to_owned()) };
    place.desk.logs.set(&[file(pattern)], 1000);
    place.turn();
    let told = ask(&mut place, "stats --json");
    assert_eq!((&*told.err, told.status), ("ssh-weblog-server: q: no file fits\n", Some(1)));
    for name in ["q1.log", "q2.log"] {
        std::fs::write(place.directory.path().join(name), hit("/q")).unwrap();
    }
    place.now += Duration::from_secs(10);
    (0..3).for_each(|_| place.turn());
    std::fs::remove_file(place.directory.path().join("q1.log")).unwrap();
    let told = ask(&mut place, "stats --json");
    assert_eq!((&*told.err, told.status), ("", Some(0)));
    assert!(told.out.contains("\"hits\":1,"), "{}", told.out);
}

#[test]
fn who_watches_when_the_server_ends_is_told_so_before_his_channel_is_closed() {
    let (mut place, ann) = place();
    for (terminal, command, end) in [
        (None, "tail", "\n"),
        (None, "wait", "\n"),
        (TERMINAL, "tail", "\r\n"),
        (TERMINAL, "dashboard", "\r\n"),
    ] {
        place.ask(ann, terminal, command);
        place.turn();
        place.told(ann);
        place.desk.close(&mut place.visitors, place.now);
        place.settle();
        let told = place.told(ann);
        let err = format!("ssh-weblog-server: the server is stopping{end}");
        assert_eq!((told.err, told.status, told.is_closed), (err, None, true), "{command}");
    }
}

#[test]
fn a_form_that_a_command_does_not_show_is_refused_by_it() {
    let (mut place, ann) = place();
    for (command, why) in [
        ("stats --show hits", "tail --stats"),
        ("stats --dashboard", "tail --stats"),
        ("wait --dashboard", "wait has no dashboard"),
        ("dashboard --json", "the dashboard has its own form"),
        ("dashboard --show hits", "the dashboard has its own form"),
        ("dashboard --format {path}", "the dashboard has its own form"),
    ] {
        let told = place.answer(ann, TERMINAL, command);
        assert!(told.status == Some(2) && told.err.contains(why), "{command}: {told:?}");
    }
}
