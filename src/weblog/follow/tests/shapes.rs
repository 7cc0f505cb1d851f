//! What may stand in a log.

use super::*;
use crate::weblog::lines::LINE_MAX;
use flate2::Compression;
use flate2::write::GzEncoder;

#[test]
fn row_11_only_whole_lines_are_told() {
    for blind in BOTH {
        let mut rig = Rig::following(blind);
        for piece in ["on", "e\ntw", "o", "\n"] {
            rig.append(piece);
            rig.pass(POLL * 100);
        }
        assert_eq!(rig.read(), ["one", "two"]);
    }
}

#[test]
fn row_13_a_line_beyond_the_bound_is_cut_and_the_next_is_whole() {
    for blind in BOTH {
        let mut rig = Rig::following(blind);
        rig.append(&("x".repeat(3 << 20) + "\nnext\n"));
        let lines = rig.read();
        assert_eq!((lines[0].len(), &lines[1][..]), (LINE_MAX + "…".len(), "next"));
        assert!(rig.ledger.checkpoint().files[0].offset > 3 << 20);
    }
}

#[test]
fn row_15_row_16_bytes_are_left_as_they_are_but_for_the_ends_and_the_mark_in_front() {
    for blind in BOTH {
        let mut rig = Rig::following(blind);
        let mut writer = rig.writer();
        writer.write_all(b"\xef\xbb\xbfone\r\ncaf\xe9\n\xef\xbb\xbfthree\n").unwrap();
        assert_eq!(rig.read(), ["one", "caf\u{fffd}", "\u{feff}three"]);
        assert_eq!(rig.offsets[1], (0, 8));
    }
}

#[test]
fn row_16_two_bytes_a_character_are_refused_with_a_word() {
    for blind in BOTH {
        let mut rig = Rig::new(blind);
        fs::write(&rig.path, b"\xff\xfea\0\n\0").unwrap();
        rig.start(all());
        rig.run();
        assert!(rig.ended.take().flatten().unwrap().starts_with("UTF-16"));
    }
}

fn member(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn row_27_a_log_that_is_written_packed_is_inflated_as_it_comes() {
    for blind in BOTH {
        let mut rig = Rig::new(blind);
        rig.start(all());
        rig.run();
        let mut writer = rig.writer();
        for count in [1, 100, 10_000, 1] {
            let text: String = (rig.written..rig.written + count).map(|n| line(n) + "\n").collect();
            rig.written += count;
            let packed = member(&text);
            let (first, rest) = packed.split_at(packed.len() / 2);
            writer.write_all(first).unwrap();
            rig.pass(POLL);
            writer.write_all(rest).unwrap();
            rig.check();
        }
        let text = line(rig.written) + "\n";
        rig.written += 1;
        rig.rotate();
        writer.write_all(&member(&text)).unwrap();
        rig.write(5);
        rig.check();
        rig.restart();
        rig.write(5);
        rig.check();
        assert_eq!(rig.ledger.receipt().gaps, Vec::<String>::new());
    }
}

#[test]
fn a_packed_file_is_inflated_and_what_is_wrong_with_it_is_told() {
    let mut rig = Rig::new(false);
    rig.written = 50_000;
    let text: String = (0..rig.written).map(|n| line(n) + "\n").collect();
    let packed = member(&text);
    fs::write(&rig.path, &packed).unwrap();
    rig.start(once());
    rig.check();
    assert_eq!((rig.ended.take(), rig.ledger.receipt().read), (Some(None), text.len() as u64));
    for (content, told) in [
        (packed[..packed.len() / 2].to_vec(), None),
        ([&packed[..], &[0; 100][..]].concat(), Some("cannot be inflated")),
    ] {
        fs::write(&rig.path, content).unwrap();
        rig.ledger = Rc::default();
        rig.start(once());
        rig.pass(POLL);
        assert!(rig.ended.take().flatten().unwrap().starts_with("not read to its end"));
        let gaps = rig.ledger.receipt().gaps;
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert!(gaps[0].contains(told.unwrap_or("is damaged or ends amid")), "{gaps:?}");
    }
}

#[test]
fn a_packed_file_of_nothing_but_one_byte_is_read_in_bounded_pieces() {
    let mut rig = Rig::new(false);
    let text = "\n".repeat(8 << 20);
    fs::write(&rig.path, member(&text)).unwrap();
    drop(text);
    rig.start(once());
    let mut lines = 0;
    loop {
        let more = rig.turn();
        lines += rig.lines.len();
        assert!(rig.lines.len() < 4 << 20, "{}", rig.lines.len());
        rig.lines.clear();
        rig.offsets.clear();
        if !more {
            break;
        }
    }
    assert_eq!(lines, 8 << 20);
}
