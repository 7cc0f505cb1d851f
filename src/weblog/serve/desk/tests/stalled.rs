//! Dashboards on terminals that take nothing.

use super::*;
use crate::weblog::dashboard::tests::terminal::Terminal;

const SIZE: (u32, u32) = (120, 40);

/// Smaller than a few pictures.
const WINDOW: u32 = 16 << 10;

/// A terminal after what came.
fn write(terminal: &mut Terminal, told: &Told) {
    assert_eq!((told.err.as_str(), told.status), ("", None));
    terminal.write(told.out.as_bytes());
}

#[test]
fn t107_a_dashboard_that_takes_nothing_is_drawn_no_more_and_shows_what_is_so_when_it_does() {
    let mut place = Place::new(&["ann", "bob"], Caps::default());
    let (ann, bob, lines) =
        (place.visit("ann", WINDOW), place.visit("bob", WINDOW), place.visit("bob", WINDOW));
    place.visitors[ann].pair.client.consumes = false;
    place.ask(ann, Some(SIZE), "dashboard");
    place.ask(bob, Some(SIZE), "dashboard");
    place.ask(lines, None, "tail --format {path}");
    let mut shown = Terminal::new(SIZE.0 as usize, SIZE.1 as usize);
    let (mut of_ann, mut of_bob, mut kept) = (place.told(ann), 0, 0);
    let mut hits = 0;
    // Bob is drawn many pictures more than go into her window.
    while of_bob < 20 * WINDOW as usize {
        place.log_hits((hits..hits + 20).map(|number| format!("/path{number}")));
        hits += 20;
        let told = place.told(lines);
        assert_eq!(told.out.lines().count(), 20, "the lines are there for all");
        let told = place.told(bob);
        of_bob += told.out.len();
        write(&mut shown, &told);
        of_ann.out += &place.told(ann).out;
        assert!(of_ann.out.len() <= WINDOW as usize, "she takes no more than her window");
        let waits = place.desk.sessions.values().map(|session| match &session.activity {
            super::super::Activity::Dashboard(dash) => dash.waiting(),
            _ => 0,
        });
        kept = waits.sum::<usize>().max(kept);
    }
    assert!(
        kept > 0 && kept < 2 * SIZE.0 as usize * SIZE.1 as usize,
        "{kept} bytes: a picture waits, and no more"
    );
    // She reads again.
    let here = place.visitors[ann].pair.client.channel.unwrap();
    place.visitors[ann].pair.client.consumes = true;
    let came = of_ann.out.len();
    place.visitors[ann].pair.client.conn.channel(here).unwrap().adjust_window(came).unwrap();
    place.settle();
    place.now += Duration::from_secs(5);
    (0..4).for_each(|_| place.turn());
    of_ann.out += &place.told(ann).out;
    let mut hers = Terminal::new(SIZE.0 as usize, SIZE.1 as usize);
    write(&mut hers, &of_ann);
    write(&mut shown, &place.told(bob));
    assert!(shown.text().contains(&format!("/path{}", hits - 1)), "{}", shown.text());
    assert_eq!(hers.text(), shown.text(), "it is the picture of one who kept up");
    assert!(
        of_ann.out.len() < 4 * WINDOW as usize,
        "{} bytes: she was not drawn what is over",
        of_ann.out.len()
    );
}
