//! Tests of both sides: by vectors, against each other, and against peers that break the rules.

#![allow(clippy::indexing_slicing, reason = "tests may panic")]

mod both_ends;
mod channel;
mod hostile_client;
mod hostile_server;
mod memory;
mod pair;
mod vectors;

use super::*;
use crate::wire::Fault;

/// A packet with its length in front.
fn framed(packet: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(packet.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(packet);
    bytes
}

/// The packets of a stream that holds whole ones only.
fn packets(mut stream: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut reassembly = Reassembly::new();
    while let Some(packet) = reassembly.next(&mut stream).unwrap() {
        all.push(packet.to_vec());
    }
    assert!(reassembly.unread().is_empty());
    all
}

fn encoded<H: AsRef<[u8]>>(answer: &Answer<'_, H>) -> Vec<u8> {
    let mut bytes = Vec::new();
    answer.encode(0, &mut bytes);
    bytes
}

const INIT_PACKET: &[u8] = b"\0\0\0\x05\x01\0\0\0\x03";

/// The codes of the STATUS answers in a server's output, and 0 for every other answer.
fn codes(output: &[u8]) -> Vec<u32> {
    let code = |packet: Vec<u8>| match split(&packet).unwrap() {
        (101, _, fields) => u32::from_be_bytes(*fields.first_chunk().unwrap()),
        _ => 0,
    };
    packets(output).into_iter().map(code).collect()
}
