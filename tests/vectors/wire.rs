use strombus::wire::{DecodeError, Mpint, NameList, Reader, Writer};

use crate::reader::{Block, Tally, Verdict, hex, judge};

/// The data types of RFC 4251 §5. Identification lines and packets belong to `transport` and are passed over here.
///
/// Policy, all accepted: names with an odd place of the at sign (three blocks). Names are only compared, so nothing is
/// won by looking into them, and a peer that lists such a name besides others must not fail.
#[test]
fn wire() {
    let expected = Tally { valid: 49, invalid: 49, policy_accepted: 3, passed_over: 31, ..Tally::default() };
    judge("wire.txt", expected, |block| {
        let encoded = block.hex("ENCODED");
        let mut r = Reader::new(&encoded);
        let mut again = Vec::new();
        let read = match block.text("TYPE") {
            "mpint" => r.mpint().map(|v| mpint(block, v, &mut again)),
            "mpint-positive" => r.mpint().and_then(Mpint::positive).map(|magnitude| {
                assert_eq!(magnitude, magnitude_of(block.text("VALUE")), "{block}");
                Writer::new(&mut again).mpint(magnitude);
            }),
            "string" => r.string().map(|v| {
                assert_eq!(v, block.hex("VALUE"), "{block}");
                Writer::new(&mut again).string(v);
            }),
            "name-list" => r.name_list().map(|v| name_list(block, v, &mut again)),
            "uint32" => r.uint32().map(|v| {
                assert_eq!(u64::from(v), block.number("VALUE"), "{block}");
                Writer::new(&mut again).uint32(v);
            }),
            "uint64" => r.uint64().map(|v| {
                assert_eq!(v, block.number("VALUE"), "{block}");
                Writer::new(&mut again).uint64(v);
            }),
            "boolean" => r.boolean().map(|v| {
                assert_eq!(v.to_string(), block.text("VALUE"), "{block}");
                Writer::new(&mut again).boolean(v);
            }),
            "byte" => r.byte().map(|v| {
                assert_eq!(u64::from(v), block.number("VALUE"), "{block}");
                Writer::new(&mut again).byte(v);
            }),
            "identification" | "packet-clear" => return Verdict::PassedOver,
            other => panic!("{block}: {other}"),
        };
        match read {
            Ok(()) => {
                assert_eq!(r.finish(), Ok(()), "{block}");
                if block.get("REASON") != Some("non-zero-is-true,never-sent") {
                    assert_eq!(again, encoded, "{block}");
                }
                Verdict::Accepted
            }
            Err(error) => {
                assert_eq!(error, error_named(block), "{block}");
                Verdict::Refused
            }
        }
    });
}

/// Negative numbers are read but never written: they are compared by the bytes of their two's complement.
fn mpint(block: &Block, v: Mpint<'_>, again: &mut Vec<u8>) {
    let value = block.text("VALUE");
    let mut w = Writer::new(again);
    match value.strip_prefix('-') {
        Some(value) => {
            assert_eq!(v.positive(), Err(DecodeError::NotPositive), "{block}");
            assert_eq!(negative(&magnitude_of(value), v.as_bytes().len()), v.as_bytes(), "{block}");
            w.string(v.as_bytes());
        }
        None if value == "0" => w.mpint(&[0]),
        None => {
            assert_eq!(v.positive(), Ok(&*magnitude_of(value)), "{block}");
            w.mpint(&[&[0, 0], &*magnitude_of(value)].concat());
        }
    }
}

/// The two's complement of a number in `len` bytes: 2^(8 · len) − magnitude.
fn negative(magnitude: &[u8], len: usize) -> Vec<u8> {
    let mut bytes = [vec![0; len - magnitude.len()], magnitude.to_vec()].concat();
    bytes.iter_mut().for_each(|b| *b = !*b);
    for b in bytes.iter_mut().rev() {
        *b = b.wrapping_add(1);
        if *b != 0 {
            break;
        }
    }
    bytes
}

fn name_list(block: &Block, v: NameList<'_>, again: &mut Vec<u8>) {
    if block.text("RESULT") == "valid" {
        assert_eq!(v.as_str().as_bytes(), block.hex("VALUE"), "{block}");
        assert_eq!(u64::try_from(v.iter().count()).unwrap(), block.number("COUNT"), "{block}");
    }
    Writer::new(again).name_list(v.iter());
}

fn magnitude_of(value: &str) -> Vec<u8> {
    let padding = if value.len().is_multiple_of(2) { "" } else { "0" };
    hex(&format!("{padding}{value}")).unwrap()
}

fn error_named(block: &Block) -> DecodeError {
    match block.text("ERROR") {
        "truncated" | "truncated-length" | "truncated-body" => DecodeError::Truncated,
        "non-minimal" => DecodeError::NonMinimalMpint,
        "negative" | "zero" => DecodeError::NotPositive,
        "empty-name" => DecodeError::EmptyName,
        "name-over-64" => DecodeError::NameTooLong,
        "non-ascii" | "non-printable" | "space" => DecodeError::NameNotAscii,
        other => panic!("{block}: {other}"),
    }
}
