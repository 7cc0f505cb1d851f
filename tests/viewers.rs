//! Viewers of `ssh-weblog-server` that do not keep up, and what an idle one takes: the load in small. `benches/viewers.rs` has it
//! in large.

#[path = "common/viewer.rs"]
mod viewer;

use std::io::Write;
use std::time::Duration;
use strombus::connection::ChannelLimits;
use viewer::{Seen, Server, Viewer, line};

/// Records of a log that are kept.
const RING: u64 = 100;
/// Records that are written at a time.
const BATCH: u64 = 50;
const BATCHES: u64 = 30;

/// A window that a few batches fill, so that what the sockets hold does not matter.
const NARROW: ChannelLimits =
    ChannelLimits { channels_max: 1, window_size: 16 << 10, window_max: 16 << 10, growth_max: 0 };

/// What an idle viewer may take of the server's memory (bytes).
const IDLE_MAX: u64 = 16 * 1024;

fn keep_reading(viewer: &mut Viewer, seen: &mut Seen, records: u64) {
    while !seen.has_all(viewer, records) {
        assert_eq!(seen.wrong, 0, "{seen:?}");
        assert!(viewer.read(usize::MAX), "the server closed");
    }
}

#[test]
fn t107_who_does_not_keep_up_costs_nobody_a_record_and_is_told_how_many_it_missed() {
    for command in ["tail", "tail --json"] {
        let server = Server::start(&format!("ring = {RING}\nkeepalive = '0'\n"));
        let mut log = server.open_log();
        let mut others = [(); 3].map(|()| Viewer::begin(&server, command, ChannelLimits::default()));
        let mut others_saw = [(); 3].map(|()| Seen::default());
        let [mut silent, mut slow, gone] = [(); 3].map(|()| Viewer::begin(&server, command, NARROW));
        let mut gone = Some(gone);
        for batch in 0..BATCHES {
            for number in batch * BATCH..(batch + 1) * BATCH {
                log.write_all(line(Duration::ZERO, number).as_bytes()).unwrap();
            }
            slow.read(1);
            // The next batch comes when they have this one: no record is ever out of the ring for them.
            for (viewer, seen) in others.iter_mut().zip(&mut others_saw) {
                keep_reading(viewer, seen, (batch + 1) * BATCH);
                assert_eq!((seen.skipped, seen.wrong), (0, 0), "{command}: {seen:?}");
            }
            if batch == BATCHES / 2 {
                gone = None; // its socket is closed, and nothing is said
            }
        }
        assert!(gone.is_none());
        let mut skipped = 0;
        for (name, viewer) in [("silent", &mut silent), ("slow", &mut slow)] {
            let mut seen = Seen::default();
            keep_reading(viewer, &mut seen, BATCHES * BATCH);
            assert_eq!((seen.received + seen.skipped, seen.wrong), (BATCHES * BATCH, 0), "{command}, {name}");
            assert!(seen.skipped > 0 && seen.received >= RING, "{command}, {name}: {seen:?}");
            skipped += seen.skipped;
        }
        let counted = server.metric("ssh_weblog_skipped_total");
        assert!(counted >= skipped, "{command}: {counted} counted, {skipped} told");
        assert_eq!(server.metric("ssh_weblog_viewers"), 5, "{command}: who is gone is forgotten");
    }
}

#[test]
fn an_idle_viewer_takes_no_more_than_16_kib() {
    let server = Server::start("");
    let begin = |count: u64| -> Vec<Viewer> {
        (0..count).map(|_| Viewer::begin(&server, "tail", ChannelLimits::default())).collect()
    };
    // What is made once, or grows in steps, is there before.
    let mut all = begin(100);
    let (before, more) = (server.resident(), 400);
    all.extend(begin(more));
    let each = server.resident().saturating_sub(before) / more;
    println!("figure: {each} bytes for an idle viewer");
    assert!(each <= IDLE_MAX, "{each} bytes for an idle viewer");
    server.open_log().write_all(line(Duration::ZERO, 0).as_bytes()).unwrap();
    for viewer in &mut all {
        keep_reading(viewer, &mut Seen::default(), 1);
    }
}
