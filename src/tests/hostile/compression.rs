//! Compressed payloads that are none, or too much.

use super::transport::with_kexinit;
use super::{assert_told, feed, payload, refused_by_client, refused_by_server};
use crate::tests::pair::{Pair, Settings};
use crate::transport::algorithms::{COMPRESSION, Compression::ZlibOpenssh, Slot, pick};
use crate::transport::{
    EMPTY_PAYLOAD, Error, INFLATED_LENGTH, INFLATED_MAX, NOT_ZLIB, UNEXPECTED_MESSAGE, ZLIB_ENDED,
};
use crate::wire::message::{Debug, Ignore, KexInit};
use crate::wire::{DisconnectReason, Fault, NameList};
use flate2::{Compress, FlushCompress};

/// Nothing was said yet in either stream of either side.
fn compressed() -> Pair {
    let mut pair = Pair::running(Settings::compressed());
    pair.client.conn.set_compression(ZlibOpenssh, ZlibOpenssh);
    pair.server.conn.set_compression(ZlibOpenssh, ZlibOpenssh);
    pair
}

/// Both roles meet the bytes where the first compressed payload should be.
fn refused(bytes: &[u8], fault: Fault) {
    let mut pair = compressed();
    pair.client.conn.send_payload_as_it_is(bytes);
    pair.drive();
    assert_told(&pair.client, &pair.server, fault);
    let mut pair = compressed();
    pair.server.conn.send_payload_as_it_is(bytes);
    pair.drive();
    assert_told(&pair.server, &pair.client, fault);
}

fn zlib(payload: &[u8], flush: FlushCompress) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 1000);
    Compress::new(flate2::Compression::best(), true).compress_vec(payload, &mut out, flush).unwrap();
    out
}

#[test]
fn t15_a_payload_expands_to_the_largest_packet_and_no_further() {
    let ignore = |length: usize| payload(&Ignore { data: &vec![0; length - 5] });
    let largest = zlib(&ignore(INFLATED_MAX), FlushCompress::Sync);
    let mut pair = compressed();
    pair.client.conn.send_payload_as_it_is(&largest);
    pair.server.conn.send_payload_as_it_is(&largest);
    pair.drive();
    assert_eq!((pair.client.error, pair.server.error), (None, None));
    assert!(largest.len() < 1024);
    assert_eq!(INFLATED_LENGTH.reason, DisconnectReason::COMPRESSION_ERROR);
    refused(&zlib(&ignore(INFLATED_MAX + 1), FlushCompress::Sync), INFLATED_LENGTH);
    refused(&zlib(&ignore(10 << 20), FlushCompress::Sync), INFLATED_LENGTH);
}

#[test]
fn t15_a_payload_that_zlib_did_not_write_is_refused() {
    for bytes in [
        &payload(&Ignore { data: b"not compressed" })[..],
        b"\x78\x9d",                         // a header with a wrong check
        b"\x78\xbb\0\0\0\x01",               // a dictionary that nobody has
        b"\x78\x9c\x07",                     // a block of no type
        b"\x78\x9c\x00\x01\x00\x00\x00",     // a length that is not its complement
        b"\x78\x9c\x03\x00\x00\x00\x00\x02", // an end with a wrong checksum
    ] {
        refused(bytes, NOT_ZLIB);
    }
}

#[test]
fn t15_a_stream_does_not_end() {
    refused(b"\x78\x9c\x03\x00\x00\x00\x00\x01", ZLIB_ENDED);
    refused(
        &zlib(
            &payload(&Debug { always_display: false, message: b"x", language_tag: b"" }),
            FlushCompress::Finish,
        ),
        ZLIB_ENDED,
    );
}

#[test]
fn t15_a_payload_that_expands_to_nothing_is_no_payload() {
    for bytes in
        [&b""[..], b"\x78", b"\x78\x9c", b"\x78\x9c\x00\x00\x00\xff\xff", &zlib(b"", FlushCompress::Partial)]
    {
        refused(bytes, EMPTY_PAYLOAD);
    }
    let empty_blocks = [b"\x78\x9c".to_vec(), b"\x00\x00\x00\xff\xff".repeat(40_000)].concat();
    refused(&empty_blocks, EMPTY_PAYLOAD);
}

#[test]
fn t15_zlib_before_the_login_is_nothing_in_common() {
    let zlib = NameList::from_bytes(b"zlib").unwrap();
    let change = |message: &mut KexInit<'_>| {
        message.compression_algorithms_client_to_server = zlib;
        message.compression_algorithms_server_to_client = zlib;
    };
    for settings in [Settings::default, Settings::compressed] {
        let mut pair = Pair::new(settings());
        let (up, down) = (with_kexinit(&mut pair.client, change), with_kexinit(&mut pair.server, change));
        feed(&mut pair.server, &up);
        feed(&mut pair.client, &down);
        for error in [pair.server.error, pair.client.error] {
            let Some(Error::Incompatible(lists)) = error else { panic!("{error:?}") };
            assert_eq!(lists.slot, Slot::CompressionAlgorithmsClientToServer);
        }
    }
    assert!(pick(COMPRESSION, "zlib").is_err(), "nor can it be asked for");
}

#[test]
fn t15_before_the_login_nothing_is_expanded() {
    // The first byte of a stream is taken for a message's number, of a service that has not begun.
    let bytes = zlib(&payload(&Ignore { data: b"" }), FlushCompress::Sync);
    let keyed = || Pair::keyed(Settings::compressed());
    refused_by_server(keyed(), std::slice::from_ref(&bytes), UNEXPECTED_MESSAGE);
    let mut asking = keyed();
    let ticket = asking.client.ticket();
    asking.client.conn.request_password(ticket, b"secret").unwrap();
    refused_by_client(asking, &[bytes], UNEXPECTED_MESSAGE);
}
