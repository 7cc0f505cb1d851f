//! Every message as bytes written by hand, in both directions, and what is left of it when it is cut or a number changes.

use super::*;
use crate::wire::DecodeError;

const ATTRS: Attributes<'_> = Attributes {
    size: Some(0x0102_0304_0506_0708),
    uid_gid: Some((1000, 1001)),
    permissions: Some(0o100_644),
    ac_mod_time: Some((5, 6)),
    extended: Pairs::NONE,
};
pub(super) const NO_ATTRS: Attributes<'_> =
    Attributes { size: None, uid_gid: None, permissions: None, ac_mod_time: None, extended: Pairs::NONE };

fn mode(mode: u32) -> Attributes<'static> {
    Attributes { permissions: Some(mode), ..NO_ATTRS }
}

/// All requests with the id 7, without their lengths.
pub(super) fn requests() -> Vec<(Request<'static>, &'static [u8])> {
    let extended = Attributes { extended: Pairs::counted(1, b"\0\0\0\x01k\0\0\0\x01v"), ..NO_ATTRS };
    let ids = |bytes| PackedIds::from_bytes(bytes).unwrap();
    vec![
        (
            Request::Open { filename: b"/f", pflags: Pflags::WRITE | Pflags::CREAT | Pflags::TRUNC, attrs: mode(0o600) },
            b"\x03\0\0\0\x07\0\0\0\x02/f\0\0\0\x1a\0\0\0\x04\0\0\x01\x80",
        ),
        (Request::Close { handle: b"h" }, b"\x04\0\0\0\x07\0\0\0\x01h"),
        (
            Request::Read { handle: b"h", offset: 0x0001_0203_0405_0607, len: 32768 },
            b"\x05\0\0\0\x07\0\0\0\x01h\0\x01\x02\x03\x04\x05\x06\x07\0\0\x80\0",
        ),
        (
            Request::Write { handle: b"h", offset: 256, data: b"data" },
            b"\x06\0\0\0\x07\0\0\0\x01h\0\0\0\0\0\0\x01\0\0\0\0\x04data",
        ),
        (Request::Lstat { path: b"/l" }, b"\x07\0\0\0\x07\0\0\0\x02/l"),
        (Request::Fstat { handle: b"h" }, b"\x08\0\0\0\x07\0\0\0\x01h"),
        (Request::Setstat { path: b"/f", attrs: NO_ATTRS }, b"\x09\0\0\0\x07\0\0\0\x02/f\0\0\0\0"),
        (
            Request::Fsetstat { handle: b"h", attrs: extended },
            b"\x0a\0\0\0\x07\0\0\0\x01h\x80\0\0\0\0\0\0\x01\0\0\0\x01k\0\0\0\x01v",
        ),
        (Request::Opendir { path: b"/" }, b"\x0b\0\0\0\x07\0\0\0\x01/"),
        (Request::Readdir { handle: b"h" }, b"\x0c\0\0\0\x07\0\0\0\x01h"),
        (Request::Remove { filename: b"/f" }, b"\x0d\0\0\0\x07\0\0\0\x02/f"),
        (
            Request::Mkdir { path: b"/d", attrs: mode(0o755) },
            b"\x0e\0\0\0\x07\0\0\0\x02/d\0\0\0\x04\0\0\x01\xed",
        ),
        (Request::Rmdir { path: b"/d" }, b"\x0f\0\0\0\x07\0\0\0\x02/d"),
        (Request::Realpath { path: b"." }, b"\x10\0\0\0\x07\0\0\0\x01."),
        (Request::Stat { path: b"/f" }, b"\x11\0\0\0\x07\0\0\0\x02/f"),
        (Request::Rename { oldpath: b"/f", newpath: b"/g" }, b"\x12\0\0\0\x07\0\0\0\x02/f\0\0\0\x02/g"),
        (Request::Readlink { path: b"/l" }, b"\x13\0\0\0\x07\0\0\0\x02/l"),
        (
            Request::Symlink { targetpath: b"target", linkpath: b"/l" },
            b"\x14\0\0\0\x07\0\0\0\x06target\0\0\0\x02/l",
        ),
        (
            Request::PosixRename { oldpath: b"/f", newpath: b"/g" },
            b"\xc8\0\0\0\x07\0\0\0\x18posix-rename@openssh.com\0\0\0\x02/f\0\0\0\x02/g",
        ),
        (Request::Statvfs { path: b"/" }, b"\xc8\0\0\0\x07\0\0\0\x13statvfs@openssh.com\0\0\0\x01/"),
        (Request::Fstatvfs { handle: b"h" }, b"\xc8\0\0\0\x07\0\0\0\x14fstatvfs@openssh.com\0\0\0\x01h"),
        (
            Request::Hardlink { oldpath: b"/f", newpath: b"/g" },
            b"\xc8\0\0\0\x07\0\0\0\x14hardlink@openssh.com\0\0\0\x02/f\0\0\0\x02/g",
        ),
        (Request::Fsync { handle: b"h" }, b"\xc8\0\0\0\x07\0\0\0\x11fsync@openssh.com\0\0\0\x01h"),
        (
            Request::Lsetstat { path: b"/l", attrs: Attributes { ac_mod_time: Some((1, 2)), ..NO_ATTRS } },
            b"\xc8\0\0\0\x07\0\0\0\x14lsetstat@openssh.com\0\0\0\x02/l\0\0\0\x08\0\0\0\x01\0\0\0\x02",
        ),
        (Request::Limits, b"\xc8\0\0\0\x07\0\0\0\x12limits@openssh.com"),
        (
            Request::ExpandPath { path: b"~ann/x" },
            b"\xc8\0\0\0\x07\0\0\0\x17expand-path@openssh.com\0\0\0\x06~ann/x",
        ),
        (
            Request::CopyData { read_handle: b"h", read_offset: 1, read_length: 2, write_handle: b"i", write_offset: 3 },
            b"\xc8\0\0\0\x07\0\0\0\x09copy-data\0\0\0\x01h\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\x01i\0\0\0\0\0\0\0\x03",
        ),
        (
            Request::HomeDirectory { username: b"ann" },
            b"\xc8\0\0\0\x07\0\0\0\x0ehome-directory\0\0\0\x03ann",
        ),
        (
            Request::UsersGroupsById { uids: ids(b"\0\0\0\0\0\0\x03\xe8"), gids: ids(b"\0\0\0\x05") },
            b"\xc8\0\0\0\x07\0\0\0\x1eusers-groups-by-id@openssh.com\0\0\0\x08\0\0\0\0\0\0\x03\xe8\0\0\0\x04\0\0\0\x05",
        ),
        (
            Request::Extended { request_name: b"x@example.com", fields: b"any" },
            b"\xc8\0\0\0\x07\0\0\0\x0dx@example.comany",
        ),
        (Request::Unknown { number: 21, fields: b"any" }, b"\x15\0\0\0\x07any"),
    ]
}

/// All answers with the id 7, without their lengths, and what they answer.
pub(super) fn answers() -> Vec<(Answer<'static>, Expected, &'static [u8])> {
    let strings = |bytes| PackedStrings::from_bytes(bytes).unwrap();
    let names = Names::counted(
        2,
        b"\0\0\0\x01a\0\0\0\x04line\0\0\0\x01\0\0\0\0\0\0\0\x09\0\0\0\x01b\0\0\0\0\0\0\0\0",
    );
    let eleven = StatVfs {
        bsize: 1,
        frsize: 2,
        blocks: 3,
        bfree: 4,
        bavail: 5,
        files: 6,
        ffree: 7,
        favail: 8,
        fsid: 9,
        flag: 10,
        namemax: 11,
    };
    let limits = Limits {
        max_packet_length: 262_144,
        max_read_length: 261_120,
        max_write_length: 261_121,
        max_open_handles: 9,
    };
    vec![
        (
            Answer::Status(Status {
                code: StatusCode::NO_SUCH_FILE,
                message: b"No such file",
                language_tag: b"en",
            }),
            Expected::Attrs,
            b"\x65\0\0\0\x07\0\0\0\x02\0\0\0\x0cNo such file\0\0\0\x02en",
        ),
        (Answer::Handle(b"\0\x01"), Expected::Handle, b"\x66\0\0\0\x07\0\0\0\x02\0\x01"),
        (Answer::Data(b"some"), Expected::Data { len: 5 }, b"\x67\0\0\0\x07\0\0\0\x04some"),
        (
            Answer::Names(names),
            Expected::Names,
            b"\x68\0\0\0\x07\0\0\0\x02\0\0\0\x01a\0\0\0\x04line\0\0\0\x01\0\0\0\0\0\0\0\x09\0\0\0\x01b\0\0\0\0\0\0\0\0",
        ),
        (
            Answer::Names(Names::counted(1, b"\0\0\0\x05/home\0\0\0\0\0\0\0\0")),
            Expected::OneName,
            b"\x68\0\0\0\x07\0\0\0\x01\0\0\0\x05/home\0\0\0\0\0\0\0\0",
        ),
        (
            Answer::Attrs(ATTRS),
            Expected::Attrs,
            b"\x69\0\0\0\x07\0\0\0\x0f\x01\x02\x03\x04\x05\x06\x07\x08\0\0\x03\xe8\0\0\x03\xe9\0\0\x81\xa4\0\0\0\x05\0\0\0\x06",
        ),
        (
            Answer::StatVfs(eleven),
            Expected::StatVfs,
            b"\xc9\0\0\0\x07\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\x0a\0\0\0\0\0\0\0\x0b",
        ),
        (
            Answer::Limits(limits),
            Expected::Limits,
            b"\xc9\0\0\0\x07\0\0\0\0\0\x04\0\0\0\0\0\0\0\x03\xfc\0\0\0\0\0\0\x03\xfc\x01\0\0\0\0\0\0\0\x09",
        ),
        (
            Answer::UsersGroups { usernames: strings(b"\0\0\0\x04root\0\0\0\0"), groupnames: strings(b"\0\0\0\x01g") },
            Expected::UsersGroups { users: 2, groups: 1 },
            b"\xc9\0\0\0\x07\0\0\0\x0c\0\0\0\x04root\0\0\0\0\0\0\0\x05\0\0\0\x01g",
        ),
        (Answer::Extended(b"any"), Expected::Extended, b"\xc9\0\0\0\x07any"),
    ]
}

fn decode_request(packet: &[u8]) -> Result<Request<'_>, DecodeError> {
    let (number, _, fields) = split(packet)?;
    Request::decode(number, fields)
}

fn decode_answer(packet: &[u8], expected: Expected) -> Result<Answer<'_>, Fault> {
    let (number, _, fields) = split(packet)?;
    Answer::decode(number, fields, expected)
}

/// What runs to the end of its packet has no wrong end.
fn is_open_ended(packet: &[u8]) -> bool {
    packet.ends_with(b"any")
}

/// The packet of a WRITE: what is behind its data is nothing.
const fn is_write(packet: &[u8]) -> bool {
    matches!(packet, [6, ..])
}

/// The packet cut anywhere and with a byte too many.
fn cut(packet: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..packet.len()).map(|n| packet[..n].to_vec()).chain([[packet, b"\0"].concat()])
}

/// The packet with another number at every place where one could stand.
fn renumbered(packet: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (5..packet.len().saturating_sub(3)).flat_map(move |at| {
        let number = u32::from_be_bytes(*packet[at..].first_chunk().unwrap());
        [number.wrapping_add(1), number.wrapping_sub(1), 0, u32::MAX].map(|number| {
            let mut changed = packet.to_vec();
            changed[at..at + 4].copy_from_slice(&number.to_be_bytes());
            changed
        })
    })
}

/// Extended attributes of which there are none are not written again.
fn says_there_are_no_extended_attributes(packet: &[u8]) -> bool {
    packet.windows(8).any(|w| w[0] & 0x80 != 0 && w[4..] == [0; 4])
}

#[test]
fn every_request_is_these_bytes_in_both_directions() {
    let mut numbers = std::collections::BTreeSet::new();
    for (request, packet) in requests() {
        let mut out = Vec::new();
        request.encode(7, &mut out);
        assert_eq!(out, framed(packet), "{request:?}");
        assert_eq!(split(packet).unwrap().1, 7);
        assert_eq!(decode_request(packet), Ok(request));
        numbers.insert(packet[0]);
    }
    assert!((3..=21).chain([200]).eq(numbers));
}

#[test]
fn every_answer_is_these_bytes_in_both_directions() {
    for (answer, expected, packet) in answers() {
        let mut out = Vec::new();
        answer.encode(7, &mut out);
        assert_eq!(out, framed(packet), "{answer:?}");
        assert_eq!(decode_answer(packet, expected), Ok(answer));
    }
}

#[test]
fn every_extension_has_a_request_and_a_name_of_its_own() {
    let found: Vec<_> = requests().iter().filter_map(|(request, _)| request.extension()).collect();
    assert_eq!(found, Extension::ALL);
    for (request, packet) in requests() {
        if let Some(extension) = request.extension() {
            assert_eq!(&packet[9..9 + extension.name().len()], extension.name());
        }
    }
}

#[test]
fn no_request_and_no_answer_is_read_from_a_part_of_it_or_from_more() {
    for (request, packet) in requests().into_iter().filter(|(_, packet)| !is_open_ended(packet)) {
        for cut in cut(packet) {
            if is_write(packet) && cut.len() > packet.len() {
                assert_eq!(decode_request(&cut), Ok(request), "what is behind its data does not count");
                continue;
            }
            // A name that is cut is the name of another extension.
            assert!(matches!(decode_request(&cut), Err(_) | Ok(Request::Extended { .. })), "{cut:x?}");
        }
    }
    for (answer, expected, packet) in answers().into_iter().filter(|(_, _, packet)| !is_open_ended(packet)) {
        for cut in cut(packet) {
            let without_strings = matches!(answer, Answer::Status(_)) && cut.len() == 9;
            assert_eq!(decode_answer(&cut, expected).is_ok(), without_strings, "{cut:x?}");
        }
    }
}

#[test]
fn whatever_a_number_is_changed_to_what_is_read_is_what_is_there() {
    let mut refused = 0;
    for (_, packet) in requests() {
        for changed in renumbered(packet) {
            let Ok(request) = decode_request(&changed) else {
                refused += 1;
                continue;
            };
            let mut out = Vec::new();
            request.encode(7, &mut out);
            assert!(
                out == framed(&changed)
                    || says_there_are_no_extended_attributes(&changed)
                    || (is_write(&changed) && changed.starts_with(&out[4..])),
                "{changed:x?}"
            );
        }
    }
    for (_, expected, packet) in answers() {
        for changed in renumbered(packet) {
            let Ok(answer) = decode_answer(&changed, expected) else {
                refused += 1;
                continue;
            };
            let mut out = Vec::new();
            answer.encode(7, &mut out);
            let is_empty_name = changed[0] == 104 && changed[5..9] == [0; 4];
            assert!(out == framed(&changed) || is_empty_name, "{changed:x?}");
        }
    }
    assert!(refused > 800, "{refused}");
}

#[test]
fn a_status_may_lack_its_texts() {
    let short = decode_answer(b"\x65\0\0\0\x07\0\0\0\x04", Expected::Status);
    assert_eq!(
        short,
        Ok(Answer::Status(Status { code: StatusCode::FAILURE, message: b"", language_tag: b"" }))
    );
}

#[test]
fn attributes_with_a_flag_that_nobody_knows_are_not_read_whatever_follows() {
    let lengths = |bit: u32| {
        let flags = 1_u32 << bit;
        let packet = |len| [&b"\x69\0\0\0\x07"[..], &flags.to_be_bytes(), &vec![0; len]].concat();
        (0..20).filter(|len| decode_answer(&packet(*len), Expected::Attrs).is_ok()).collect::<Vec<_>>()
    };
    for bit in 0..32 {
        let known: &[usize] = match bit {
            0 | 1 | 3 => &[8],
            2 | 31 => &[4],
            _ => &[],
        };
        assert_eq!(lengths(bit), known, "{bit}");
    }
}

#[test]
fn names_are_made_up_to_a_packet_and_read_again() {
    let name = |filename| Name { filename, longname: b"-rw", attrs: mode(0o644) };
    let mut names = NamesBuf::new();
    assert!(names.push(&name(b"one")) && names.push(&name(b"two")));
    assert!(names.names().iter().eq([name(b"one"), name(b"two")]));
    let long = vec![b'x'; PACKET_LEN_MAX / 4];
    while names.push(&name(&long)) {}
    assert_eq!(names.names().len(), 2 + 3);
    let packet = encoded::<&[u8]>(&Answer::Names(names.names()));
    assert!(packet.len() <= PACKET_LEN_MAX + 4);
    assert_eq!(decode_answer(&packet[4..], Expected::Names), Ok(Answer::Names(names.names())));
}

#[test]
fn only_a_name_of_an_entry_is_a_component() {
    let bad: [&[u8]; 9] = [b"", b".", b"..", b"/", b"../x", b"/etc/x", b"a/b", b"a\0b", b"a/"];
    assert!(bad.iter().all(|name| !is_component(name)));
    assert!([&b"..."[..], b".x", b"a b", b"\x1b[2K\rok", b"\\", b"-r"].into_iter().all(is_component));
}
