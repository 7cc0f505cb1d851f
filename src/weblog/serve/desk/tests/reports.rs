//! Reports while they go on, at their end, and what they say was read.

use super::*;
use serde_json::Value;

/// Bytes of one hit of those that are logged here.
fn length() -> u64 {
    hit("/old0").len() as u64
}

/// The objects of JSON in what was told.
fn objects(told: &Told) -> Vec<Value> {
    told.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn receipt(object: &Value) -> (u64, u64, u64, usize) {
    let receipts = object["receipts"].as_array().unwrap();
    assert_eq!((receipts.len(), &receipts[0]["source"]), (1, &"shop".into()), "{object}");
    let number = |name: &str| receipts[0][name].as_u64().unwrap();
    (number("written"), number("read"), number("generations"), receipts[0]["gaps"].as_array().unwrap().len())
}

#[test]
fn ctrl_c_on_a_terminal_shows_the_report_and_then_ends_with_130() {
    for (key, status) in [(b"\x03", 130), (b"\x04", 0)] {
        let (mut place, ann) = place();
        let id = place.ask(ann, TERMINAL, "tail --stats --show raw");
        place.log_hits((0..2).map(|number| format!("/new{number}")));
        let shown = place.told(ann);
        assert!(shown.out.lines().count() == 2 && shown.out.ends_with("\"-\"\r\n"), "{shown:?}");
        place.say(ann, id, key);
        let told = place.told(ann);
        assert_eq!((told.status, told.err.as_str(), told.is_closed), (Some(status), "", true));
        let n = 2 * length();
        let receipt = format!("receipt shop: written {n}, read {n}, generations 0, gaps none\r\n");
        assert!(told.out.contains("hits       2") && told.out.ends_with(&receipt), "{}", told.out);
        assert_eq!(told.out.matches('\n').count(), told.out.matches("\r\n").count());
    }
}

#[test]
fn whatever_ends_a_watch_its_report_is_shown() {
    let (mut place, ann) = place();
    place.ask(ann, None, "tail --json --stats --stop-on /stop");
    place.log_hits(["/a", "/stop", "/behind"].map(str::to_owned).into_iter());
    let told = place.told(ann);
    let report: Value = serde_json::from_str(told.out.lines().last().unwrap()).unwrap();
    assert_eq!((report["hits"].as_u64(), told.err.as_str(), told.status), (Some(2), "Bye bye...\n", Some(0)));
    let id = place.ask(ann, None, "stats --json --every 1h");
    place.read_reports(1);
    assert_eq!(objects(&place.told(ann)).len(), 1);
    place.log_hits(["/last"].map(str::to_owned).into_iter());
    let mut channel = place.visitors[ann].pair.client.conn.channel(id).unwrap();
    channel.send_signal(b"TERM").unwrap();
    place.settle();
    let told = place.told(ann);
    let report = objects(&told).remove(0);
    assert_eq!((report["hits"].as_u64(), told.status), (Some(7), Some(143)));
    // And a server's own end.
    place.ask(ann, None, "tail --stats");
    place.desk.close(&mut place.visitors, place.now);
    place.settle();
    assert!(place.told(ann).out.contains("receipt shop: "));
    // Nobody has asked for one.
    let id = place.ask(ann, TERMINAL, "tail");
    place.say(ann, id, b"\x03");
    assert_eq!((place.told(ann).out.as_str()), "");
}

#[test]
fn each_report_has_the_receipts_as_of_then() {
    let (mut place, ann) = place();
    place.ask(ann, None, "stats --every 1s --json");
    place.read_reports(1);
    let length = length();
    let first = objects(&place.told(ann)).remove(0);
    assert_eq!((receipt(&first), first["hits"].as_u64()), ((3 * length, 3 * length, 0, 0), Some(3)));
    let next = |place: &mut Place| {
        place.now += Duration::from_secs(1);
        place.turn();
        place.turn();
        objects(&place.told(ann)).pop().unwrap()
    };
    place.log_hits(["/new0"].map(str::to_owned).into_iter());
    let report = next(&mut place);
    assert_eq!((receipt(&report), report["hits"].as_u64()), ((4 * length, 4 * length, 0, 0), Some(4)));
    // A line that is not whole is written and not read.
    let line = hit("/new1");
    append(&place, &line[..20]);
    let mut report = next(&mut place);
    while receipt(&report).0 == 4 * length {
        report = next(&mut place);
    }
    assert_eq!((receipt(&report), report["hits"].as_u64()), ((4 * length + 20, 4 * length, 0, 0), Some(4)));
    append(&place, &line[20..]);
    while report["hits"].as_u64() == Some(4) {
        report = next(&mut place);
    }
    assert_eq!((receipt(&report), report["hits"].as_u64()), ((5 * length, 5 * length, 0, 0), Some(5)));
    // The log goes on in another file.
    std::fs::rename(place.log(), place.directory.path().join("shop.log.1")).unwrap();
    append(&place, &hit("/new2"));
    while report["hits"].as_u64() == Some(5) {
        report = next(&mut place);
    }
    let (written, read, _, gaps) = receipt(&report);
    assert_eq!((written, read, gaps, report["hits"].as_u64()), (6 * length, 6 * length, 0, Some(6)));
}

#[test]
fn a_receipt_counts_from_where_the_session_began() {
    let (mut place, ann) = place();
    // The part of a line that stands there is of the first line that it is shown.
    let line = hit("/new0");
    append(&place, &line[..20]);
    while place.desk.logs.lag(0) < 20 {
        place.turn();
    }
    let id = place.ask(ann, TERMINAL, "tail --stats");
    append(&place, &line[20..]);
    while place.desk.logs.get(0).unwrap().records < 4 {
        place.turn();
    }
    place.say(ann, id, b"\x03");
    let (one, four) = (length(), 4 * length());
    let told = place.told(ann).out;
    assert!(told.contains(&format!("receipt shop: written {one}, read {one}, ")), "{told}");
    // Lines that are kept count where they are shown.
    let seq = place.desk.logs.range(0).0;
    let id = place.ask(ann, TERMINAL, &format!("tail --stats --after {seq} shop"));
    place.log_hits(["/new1"].map(str::to_owned).into_iter());
    place.say(ann, id, b"\x03");
    let told = place.told(ann).out;
    assert!(
        told.contains("hits       4") && told.contains(&format!("written {four}, read {four}, ")),
        "{told}"
    );
}

#[test]
fn the_reports_of_a_session_that_has_ended_come_to_no_later_one() {
    let mut place = Place::new(&["ann", "bob"], Caps::default());
    let (ann, bob) = (place.visit("ann", WIDE), place.visit("bob", WIDE));
    for later in [ann, bob] {
        let id = place.ask(ann, None, "tail --every 1s");
        place.visitors[ann].pair.client.conn.channel(id).unwrap().send_signal(b"TERM").unwrap();
        place.settle();
        assert_eq!(place.told(ann).status, Some(143));
        let id = place.ask(later, None, "tail --stats --json");
        for _ in 0..3 {
            place.now += Duration::from_secs(1);
            place.turn();
            assert_eq!(place.told(later), Told::default(), "it has asked for none before its end");
        }
        place.visitors[later].pair.client.conn.channel(id).unwrap().send_signal(b"TERM").unwrap();
        place.settle();
        assert_eq!(objects(&place.told(later)).len(), 1);
    }
}
