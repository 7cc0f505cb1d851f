use strombus::wire::{DecodeError, Mpint, NameList, Reader, Writer};

use std::sync::Arc;
use std::time::Instant;
use strombus::connection::{Connection, Step};
use strombus::crypto::SystemRng;
use strombus::transport::{
    Client, EMPTY_PAYLOAD, Error, PACKET_LENGTH, PADDING_LENGTH, RecvBuf, UNEXPECTED_MESSAGE,
};
use strombus::userauth::ClientUserauthConfig;

use crate::reader::{Block, Tally, Verdict, hex, judge};

/// The data types of RFC 4251 §5. Identification lines and packets have a test of their own.
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

/// What a client makes of the first bytes of a server; the last of its steps.
fn first_bytes(bytes: &[u8]) -> Result<bool, Error> {
    let ann = ClientUserauthConfig { user_name: "ann".to_owned() };
    let now = Instant::now();
    let mut client =
        Connection::<Client>::new(Arc::default(), ann, Default::default(), Box::new(SystemRng), now);
    let mut input = RecvBuf::new();
    input.space()[..bytes.len()].copy_from_slice(bytes);
    input.filled(bytes.len());
    let mut taken = false;
    while let Step::Progress | Step::Event(_) = client.handle_input(&mut input, now)? {
        taken = true;
    }
    Ok(taken && input.unread().is_empty())
}

/// Identification lines and packets without keys (RFC 4253 §4.2, §6), by a client that meets them first.
///
/// Policy, accepted: blanks within the comment, which is for people.
#[test]
fn identifications_and_clear_packets() {
    let expected = Tally { valid: 10, invalid: 20, policy_accepted: 1, passed_over: 101, ..Tally::default() };
    judge("wire.txt", expected, |block| {
        let encoded = block.hex("ENCODED");
        let taken = match block.text("TYPE") {
            "identification" => first_bytes(&encoded),
            "packet-clear" => {
                let taken = first_bytes(&[b"SSH-2.0-x\r\n", &encoded[..]].concat());
                let fault = match block.get("ERROR") {
                    Some("padding-under-4" | "padding-over-packet") => PADDING_LENGTH,
                    Some("empty-payload") => EMPTY_PAYLOAD,
                    Some("truncated") => {
                        assert_eq!(taken, Ok(false), "{block}: the rest is waited for");
                        return Verdict::Refused;
                    }
                    Some(_) => PACKET_LENGTH,
                    // In good shape, and NEWKEYS before any exchange.
                    None if block.text("PAYLOAD") == "15" => {
                        assert_eq!(taken, Err(UNEXPECTED_MESSAGE.into()), "{block}");
                        return Verdict::Accepted;
                    }
                    None => return if taken == Ok(true) { Verdict::Accepted } else { Verdict::Refused },
                };
                assert_eq!(taken, Err(fault.into()), "{block}");
                return Verdict::Refused;
            }
            _ => return Verdict::PassedOver,
        };
        if taken == Ok(true) { Verdict::Accepted } else { Verdict::Refused }
    });
}
