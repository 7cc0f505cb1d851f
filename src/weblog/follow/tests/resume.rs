//! Going on at a position, whatever became of the files.

use super::*;
use crate::weblog::follow::DRAIN;

/// Followed, and left alone.
fn left_at(blind: bool, lines: u64) -> Rig {
    let mut rig = Rig::following(blind);
    rig.write(lines);
    rig.check();
    rig.stop();
    rig.now += POLL;
    rig
}

#[test]
fn row_30_whoever_goes_on_repeats_nothing_and_loses_nothing() {
    for blind in BOTH {
        let mut rig = left_at(blind, 100);
        for _ in 0..5 {
            rig.write(50);
            rig.restart();
            rig.check();
        }
        rig.append("half");
        rig.restart();
        assert_eq!(rig.read().len(), 350);
        rig.append(" a line\n");
        rig.restart();
        assert_eq!(rig.read(), ["half a line"]);
    }
}

#[test]
fn row_7_what_was_rotated_meanwhile_is_finished_then_all_that_came_after_it() {
    for blind in BOTH {
        for generations in [1, 2, 5] {
            for packed in [false, true] {
                let mut rig = left_at(blind, 100);
                for _ in 0..generations {
                    rig.write(50);
                    rig.rotate();
                    rig.now += POLL;
                    if packed {
                        rig.gzip(".1");
                    }
                }
                rig.write(50);
                rig.restart();
                rig.check();
                rig.pass(DRAIN * 2);
                rig.check();
                rig.check_receipt();
                assert_eq!(rig.ledger.receipt().generations, generations);
            }
        }
    }
}

#[test]
fn row_7_dated_names_are_as_good() {
    for blind in BOTH {
        let mut rig = left_at(blind, 100);
        for day in 1..5 {
            rig.write(50);
            fs::rename(&rig.path, rig.sibling(&format!("-2026030{day}"))).unwrap();
            rig.now += POLL;
        }
        rig.gzip("-20260302");
        rig.restart();
        rig.check();
        assert_eq!(rig.notes, [Note::Waiting]);
        rig.write(5);
        rig.check();
        rig.check_receipt();
    }
}

#[test]
fn row_7_a_file_that_is_gone_is_a_gap_by_name_and_what_came_after_it_is_read() {
    for blind in BOTH {
        let mut rig = left_at(blind, 100);
        rig.append("lost\n");
        rig.rotate();
        for _ in 0..2 {
            rig.now += POLL;
            rig.write(10);
            rig.rotate();
        }
        rig.write(10);
        fs::write(rig.sibling(".3.xz"), "xz").unwrap();
        fs::remove_file(rig.sibling(".3")).unwrap();
        rig.restart();
        rig.check();
        let gaps = rig.ledger.receipt().gaps;
        assert_eq!(gaps.len(), 1);
        assert!(gaps[0].contains("is gone; it may be in access.log.3.xz"), "{gaps:?}");
        assert_eq!(rig.count(|note| matches!(note, Note::Gap(_))), 1);
    }
}

#[test]
fn row_3_a_copy_that_was_made_meanwhile_is_finished() {
    for blind in BOTH {
        let mut rig = left_at(blind, 100);
        for _ in 0..3 {
            rig.write(50);
            rig.copy_and_truncate();
            rig.now += POLL;
        }
        rig.write(10);
        rig.restart();
        rig.check();
        rig.check_receipt();
    }
}

#[test]
fn row_8_a_number_that_is_used_again_is_not_believed() {
    let mut rig = left_at(false, 100);
    rig.write(20);
    rig.rotate();
    rig.write(200);
    // As if the new file had the old one's number.
    let mut checkpoint = rig.ledger.checkpoint();
    let number = fs::metadata(&rig.path).map(|found| {
        use std::os::unix::fs::MetadataExt;
        (found.dev(), found.ino())
    });
    checkpoint.files[0].identity = Some(number.unwrap());
    rig.ledger = Rc::new(Ledger::from(checkpoint));
    rig.start(all());
    rig.check();
    rig.check_receipt();
}

#[test]
fn row_10_small_and_empty_files_are_found_again() {
    for blind in BOTH {
        for lines in [0, 1, 2] {
            let mut rig = Rig::new(blind);
            rig.write(0);
            rig.append("before\n");
            rig.rotate();
            rig.now += POLL;
            rig.write(0);
            rig.start(all());
            rig.run();
            rig.write(lines);
            rig.check();
            rig.stop();
            rig.write(3);
            rig.rotate();
            rig.write(0);
            rig.rotate();
            rig.write(3);
            rig.restart();
            rig.check();
            rig.check_receipt();
        }
    }
}

#[test]
fn old_files_that_are_still_read_are_found_again_too() {
    for blind in BOTH {
        let mut rig = Rig::following(blind);
        let mut first = rig.writer();
        rig.write_by(&mut first, 10);
        rig.check();
        rig.rotate();
        let mut second = rig.writer();
        rig.write_by(&mut second, 10);
        rig.check();
        rig.rotate();
        rig.write(10);
        rig.check();
        assert_eq!(rig.ledger.checkpoint().files.len(), 3);
        rig.stop();
        rig.write_by(&mut first, 5);
        rig.write_by(&mut second, 5);
        rig.write(5);
        rig.restart();
        rig.check();
        assert_eq!(rig.ledger.checkpoint().files.len(), 3);
        rig.pass(DRAIN * 2);
        let checkpoint = rig.ledger.checkpoint();
        assert_eq!(checkpoint.files.len(), 1);
        assert!(checkpoint.before.position().is_some_and(|before| before.ended));
        rig.check_receipt();
    }
}

#[test]
fn the_receipt_goes_on_over_a_lost_way() {
    for blind in BOTH {
        let mut rig = left_at(blind, 100);
        rig.write(10);
        rig.rotate();
        rig.write(10);
        rig.start(all()); // with the same ledger
        rig.check();
        rig.pass(DRAIN * 2);
        let receipt = rig.ledger.receipt();
        let bytes = 120 * (line(0).len() as u64 + 1);
        assert_eq!((receipt.written, receipt.read, receipt.generations), (bytes, bytes, 1));
        let (generation, offset) = rig.offsets.last().copied().unwrap();
        assert_eq!((generation, offset), (1, 9 * (line(0).len() as u64 + 1)));
    }
}
