//! What happens to a log while it is followed.

use super::*;
use crate::weblog::follow::{DRAIN, PAST_MAX};
use std::os::unix::fs::symlink;

#[test]
fn row_1_a_writer_that_keeps_the_rotated_file_loses_nothing_and_old_lines_come_first() {
    for blind in BOTH {
        let mut rig = Rig::following(blind);
        let mut writer = rig.writer();
        rig.write_by(&mut writer, 10);
        rig.check();
        rig.write_by(&mut writer, 5);
        rig.rotate();
        rig.write_by(&mut writer, 5);
        rig.write(3);
        rig.check();
        for _ in 0..5 {
            rig.write_by(&mut writer, 1);
            rig.write(1);
            rig.pass(DRAIN / 2);
        }
        rig.check_unordered();
        rig.check_receipt();
        assert_eq!(rig.ledger.receipt().generations, 0, "it is still read");
        rig.pass(DRAIN);
        assert_eq!(rig.ledger.receipt().generations, 1);
        assert_eq!(rig.notes, [Note::Rotated { behind: 0 }]);
    }
}

#[test]
fn row_1_a_writer_who_goes_on_in_the_new_file_after_the_old_one_is_read_so_whenever_he_does() {
    for (call, blind) in (1..30).flat_map(|call| BOTH.map(|blind| (call, blind))) {
        let mut rig = Rig::following(blind);
        let mut writer = rig.writer();
        rig.write_by(&mut writer, 10);
        rig.rotate();
        rig.write(0);
        rig.check();
        let (number, mut new) = (rig.written, rig.writer());
        rig.written += 2;
        let goes_on = move || {
            writer.write_all((line(number) + "\n").as_bytes()).unwrap();
            new.write_all((line(number + 1) + "\n").as_bytes()).unwrap();
        };
        rig.manners.before.replace(Some((call, Box::new(goes_on))));
        while rig.manners.before.borrow().is_some() {
            rig.pass(POLL);
        }
        rig.check();
        rig.check_receipt();
    }
}

#[test]
fn no_more_rotated_files_are_read_on_than_the_bound() {
    let mut rig = Rig::following(false);
    let mut writers = Vec::new();
    for rotations in 0..=PAST_MAX {
        let mut writer = rig.writer();
        rig.write_by(&mut writer, 1);
        rig.check();
        assert_eq!(rig.ledger.receipt().generations, 0, "{rotations}");
        rig.rotate();
        rig.write(0);
        rig.pass(POLL);
        writers.push(writer);
    }
    assert_eq!(rig.ledger.receipt().generations, 1, "the oldest is let go");
    rig.put(&mut writers[0], "nobody reads this\n");
    rig.write_by(&mut writers[1], 1);
    rig.check_unordered();
}

#[test]
fn row_2_a_log_that_is_not_made_anew_for_minutes_is_read_where_it_is_and_that_is_said_once() {
    for blind in BOTH {
        let mut rig = Rig::following(blind);
        let mut writer = rig.writer();
        rig.write_by(&mut writer, 10);
        rig.check();
        rig.rotate();
        for _ in 0..10 {
            rig.pass(DRAIN);
            rig.write_by(&mut writer, 1);
            rig.check();
        }
        assert_eq!(rig.notes, [Note::Waiting]);
        rig.write(2);
        rig.check();
        rig.check_receipt();
    }
}

#[test]
fn row_3_after_copytruncate_the_rest_is_read_from_the_copy() {
    for blind in BOTH {
        let mut rig = Rig::following(blind);
        rig.write(10);
        rig.check();
        for round in 0..4 {
            rig.write(7);
            rig.copy_and_truncate();
            rig.write(if round % 2 == 0 { 3 } else { 0 });
            rig.check();
        }
        rig.check_receipt();
        assert_eq!(rig.count(|note| matches!(note, Note::Truncated { .. })), 3, "one was not to be seen");
    }
}

#[test]
fn row_3_a_copy_and_truncation_between_any_two_calls_loses_and_doubles_nothing() {
    for (call, at_once) in (1..60).flat_map(|call| [(call, true), (call, false)]) {
        let mut rig = Rig::following(false);
        rig.write(20);
        rig.check();
        rig.write(5);
        rig.copy_and_truncate();
        rig.write(20);
        // That is found by the next look, and it happens once more between two calls of it, the truncation perhaps later.
        let first = rig.written;
        let text =
            move |from: u64, to: u64| (first + from..first + to).map(|n| line(n) + "\n").collect::<String>();
        let path = rig.path.clone();
        let truncate = move || {
            let mut writer = OpenOptions::new().append(true).open(&path).unwrap();
            writer.set_len(0).unwrap();
            writer.write_all(text(5, 25).as_bytes()).unwrap();
        };
        let path = rig.path.clone();
        let names: Vec<_> = (1..20).map(|number| path.with_extension(format!("log.{number}"))).collect();
        let truncate_at_once = at_once.then(|| truncate.clone());
        let again = move || {
            let mut writer = OpenOptions::new().append(true).open(&path).unwrap();
            writer.write_all(text(0, 5).as_bytes()).unwrap();
            for pair in names.windows(2).rev() {
                let _none = fs::rename(&pair[0], &pair[1]);
            }
            fs::copy(&path, &names[0]).unwrap();
            truncate_at_once.into_iter().for_each(|truncate| truncate());
        };
        rig.written += 25;
        rig.manners.before.replace(Some((call, Box::new(again))));
        rig.pass(POLL);
        if let Some((_, again)) = rig.manners.before.take() {
            again(); // there were fewer calls
        }
        if !at_once {
            truncate();
        }
        rig.check();
    }
}

#[test]
fn row_3_copies_that_nobody_has_looked_between_are_all_read() {
    for blind in BOTH {
        let mut rig = Rig::following(blind);
        for _ in 0..4 {
            rig.write(10);
            rig.check();
            for _ in 0..3 {
                rig.write(7);
                rig.copy_and_truncate();
            }
            rig.write(2);
            rig.check();
        }
        rig.check_receipt();
    }
}

#[test]
fn row_3_a_copy_that_was_made_before_what_was_read_is_no_gap() {
    for blind in BOTH {
        let mut rig = Rig::following(blind);
        rig.write(10);
        rig.check();
        rig.copy(".1");
        rig.write(3);
        rig.check();
        rig.writer().set_len(0).unwrap();
        rig.write(2);
        rig.check();
        rig.check_receipt();
    }
}

#[test]
fn row_3_what_was_never_copied_is_a_gap_by_name() {
    for blind in BOTH {
        let mut rig = Rig::following(blind);
        rig.write(10);
        rig.check();
        rig.append("never seen\n");
        rig.writer().set_len(0).unwrap();
        rig.write(2);
        rig.check();
        let gaps = rig.ledger.receipt().gaps;
        assert!(
            gaps.len() == 1 && gaps[0].contains(&format!("after byte {}", 10 * (line(0).len() + 1))),
            "{gaps:?}"
        );
    }
}

#[test]
fn row_4_a_file_truncated_and_grown_past_the_old_length_begins_again() {
    for blind in BOTH {
        let mut rig = Rig::following(blind);
        rig.write(100);
        rig.check();
        rig.writer().set_len(0).unwrap();
        rig.write(300);
        rig.check();
    }
}

#[test]
fn row_5_a_file_truncated_and_grown_to_the_same_length_begins_again() {
    for blind in BOTH {
        let mut rig = Rig::following(blind);
        rig.write(100);
        rig.check();
        rig.writer().set_len(0).unwrap();
        rig.write(100);
        rig.check();
    }
}

#[test]
fn row_6_what_is_packed_while_it_is_read_is_read_on() {
    for blind in BOTH {
        let mut rig = Rig::following(blind);
        let mut writer = rig.writer();
        rig.write_by(&mut writer, 10);
        rig.check();
        rig.rotate();
        rig.write(0);
        rig.write_by(&mut writer, 10);
        rig.gzip(".1");
        rig.check();
        rig.write_by(&mut writer, 10);
        rig.write(10);
        rig.check();
        rig.check_receipt();
    }
}

#[test]
fn rotations_that_nobody_has_looked_between_lose_nothing() {
    for (blind, packed) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut rig = Rig::following(blind);
        rig.write(10);
        rig.check();
        for round in 0..4 {
            for file in 0..3 {
                rig.write(5);
                rig.rotate();
                if packed && (round + file) % 2 == 0 {
                    rig.gzip(".1");
                }
            }
            rig.write(5);
            rig.check();
            rig.pass(Duration::from_secs(round * 40));
        }
        rig.check_receipt();
        rig.pass(DRAIN);
        assert_eq!(rig.ledger.receipt().generations, 12);
    }
}

#[test]
fn row_8_a_log_that_is_deleted_and_made_again_is_read_from_its_beginning() {
    for blind in BOTH {
        let mut rig = Rig::following(blind);
        rig.write(10);
        rig.rotate();
        rig.write(11);
        rig.check();
        for _ in 0..5 {
            rig.write(2);
            rig.check();
            fs::remove_file(&rig.path).unwrap();
            rig.pass(POLL);
            rig.write(3);
            rig.check();
            fs::remove_file(&rig.path).unwrap();
            rig.write(3);
            rig.check();
        }
    }
}

#[test]
fn row_9_files_that_begin_the_same_are_told_apart() {
    let banner = "#Version: 1.0\n".repeat(200);
    for blind in BOTH {
        let mut rig = Rig::new(blind);
        rig.append(&banner);
        rig.start(Options { start: Start::LinesBeforeEnd(0), ..all() });
        rig.run();
        for _ in 0..3 {
            rig.write(5);
            rig.check();
            rig.rotate();
            rig.append(&banner);
            rig.write(5);
            rig.pass(POLL);
            let lines = core::mem::take(&mut rig.lines);
            rig.lines = lines.into_iter().filter(|line| !line.starts_with('#')).collect();
            rig.check();
        }
        rig.write(1);
        rig.rotate();
        rig.append(&banner);
        rig.restart();
        rig.pass(POLL);
        assert_eq!(rig.lines.iter().filter(|line| line.starts_with('#')).count(), 200);
        rig.lines.retain(|line| !line.starts_with('#'));
        rig.check();
    }
}

#[test]
fn row_12_a_partial_line_before_a_rotation_is_told_when_the_drain_ends_and_glued_to_nothing() {
    for blind in BOTH {
        let mut rig = Rig::following(blind);
        rig.append("half");
        assert!(rig.read().is_empty());
        rig.rotate();
        rig.append("next\n");
        assert_eq!(rig.read(), ["next"]);
        rig.pass(DRAIN - POLL * 2);
        assert!(rig.lines.is_empty());
        rig.pass(POLL * 2);
        assert_eq!(rig.read(), ["half|"]);
        rig.check_receipt();

        rig.append("half");
        rig.pass(POLL);
        rig.writer().set_len(0).unwrap();
        rig.append("anew\n");
        assert_eq!(rig.read(), ["half|", "anew"]);
    }
}

#[test]
fn row_14_the_hole_in_front_of_a_file_that_was_truncated_under_its_writer_is_passed_over() {
    for blind in BOTH {
        let mut rig = Rig::following(blind);
        let mut writer = File::options().write(true).open(&rig.path).unwrap(); // no O_APPEND
        rig.write_by(&mut writer, 1000);
        rig.check();
        rig.copy_and_truncate();
        rig.write_by(&mut writer, 10);
        rig.check();
        rig.check_receipt();
    }
}

#[test]
fn row_18_a_link_that_is_switched_is_followed_and_the_old_file_is_drained() {
    for blind in BOTH {
        let mut rig = Rig::new(blind);
        let (a, b) = (rig.directory.path().join("elsewhere/a"), rig.directory.path().join("elsewhere/b"));
        fs::create_dir(a.parent().unwrap()).unwrap();
        let mut old = File::create(&a).unwrap();
        symlink(&a, &rig.path).unwrap();
        rig.start(all());
        rig.run();
        rig.write_by(&mut old, 10);
        rig.check();
        rig.write_by(&mut old, 5);
        let mut new = File::create(&b).unwrap();
        symlink(&b, rig.sibling(".new")).unwrap();
        fs::rename(rig.sibling(".new"), &rig.path).unwrap();
        rig.write_by(&mut old, 5);
        rig.write_by(&mut new, 5);
        rig.check();
        rig.write_by(&mut old, 5);
        rig.check();
        rig.check_receipt();
    }
}

#[test]
fn row_19_a_directory_that_appears_late_or_is_replaced_is_found() {
    for blind in BOTH {
        let mut rig = Rig::new(blind);
        let directory = rig.directory.path().join("logs");
        rig.path = directory.join("access.log");
        rig.start(Options::default());
        rig.pass(POLL * 3);
        assert_eq!(rig.notes, [Note::Waiting]);
        fs::create_dir(&directory).unwrap();
        rig.pass(POLL);
        rig.write(5);
        rig.check();
        fs::rename(&directory, rig.directory.path().join("old")).unwrap();
        rig.pass(POLL);
        fs::create_dir(&directory).unwrap();
        rig.write(5);
        rig.check();
        rig.write(5);
        rig.check();
    }
}

#[test]
fn row_21_without_permission_the_held_file_is_read_on_and_with_it_nothing_is_repeated() {
    for blind in BOTH {
        let mut rig = Rig::following(blind);
        let mut writer = rig.writer();
        rig.write_by(&mut writer, 10);
        rig.check();
        rig.manners.denied.set(true);
        rig.rotate();
        rig.write(10);
        rig.lines.truncate(10);
        for _ in 0..5 {
            rig.pass(POLL);
        }
        assert_eq!(rig.lines.len(), 10, "what the new file has cannot be read");
        assert_eq!(rig.notes, [Note::Trouble("permission denied".to_owned())]);
        rig.manners.denied.set(false);
        rig.check();
        rig.manners.denied.set(true);
        rig.restart();
        rig.pass(POLL * 5);
        rig.manners.denied.set(false);
        rig.write(5);
        rig.check();
        assert_eq!(rig.count(|note| matches!(note, Note::Trouble(_))), 2, "said once each time");
        assert_eq!(rig.ledger.receipt().gaps, Vec::<String>::new());
    }
}

#[test]
fn row_24_whoever_is_slow_while_the_log_is_rotated_twice_reads_it_all_and_says_how_far_it_is_behind() {
    for blind in BOTH {
        let mut rig = Rig::following(blind);
        rig.write(1);
        rig.check();
        rig.write(60_000);
        rig.now += POLL;
        assert!(rig.turn(), "not all of it fits into a turn");
        rig.rotate();
        rig.write(100);
        rig.rotate();
        rig.write(100);
        assert!(rig.ledger.behind() > 0);
        rig.check();
        rig.check_receipt();
        assert_eq!(rig.ledger.behind(), 0);
    }
}

#[test]
fn row_25_clocks_that_step_lose_nothing() {
    for blind in BOTH {
        let mut rig = Rig::following(blind);
        for step in 0..12_u64 {
            rig.write(4);
            let stepped = [0, 4_000_000_000, 1000, 1_772_323_200][usize::try_from(step % 4).unwrap()];
            let time = UNIX_EPOCH + Duration::from_secs(stepped);
            rig.writer().set_modified(time).unwrap();
            if step % 3 == 0 {
                rig.check();
            }
            rig.rotate();
            rig.write(4);
            if step % 2 == 0 {
                rig.restart();
            }
            rig.check();
        }
        rig.check_receipt();
    }
}

#[test]
fn a_log_that_is_moved_back_is_not_read_again() {
    for blind in BOTH {
        let mut rig = Rig::following(blind);
        rig.write(50);
        rig.check();
        rig.rotate();
        rig.pass(POLL * 3);
        fs::rename(rig.sibling(".1"), &rig.path).unwrap();
        rig.write(5);
        rig.check();
        // A whole copy in its place, as an editor leaves it.
        rig.copy(".copy");
        fs::rename(rig.sibling(".copy"), &rig.path).unwrap();
        rig.write(5);
        rig.check();
        rig.check_receipt();
    }
}

#[test]
fn t102_what_is_no_regular_file_is_not_served() {
    for blind in BOTH {
        let mut rig = Rig::new(blind);
        fs::create_dir(&rig.path).unwrap();
        rig.start(all());
        rig.run();
        assert_eq!(rig.ended, Some(Some("not a regular file".to_owned())));
        fs::remove_dir(&rig.path).unwrap();

        rig.write(5);
        rig.start(all());
        rig.check();
        fs::remove_file(&rig.path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &rig.path, rustix::fs::Mode::RUSR).unwrap();
        rig.pass(POLL * 5);
        assert_eq!(rig.notes.last(), Some(&Note::Trouble("not a regular file".to_owned())));
        fs::remove_file(&rig.path).unwrap();
        rig.write(5);
        rig.check();
    }
}
