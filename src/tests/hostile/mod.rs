//! What a peer can do wrong, and the very fault that it is: one test at least for each constant, in both roles where both can
//! meet it.

mod channels;
mod compression;
mod forward;
mod host_keys;
mod transport;
mod userauth;

use super::pair::{End, Pair, Settings, TestSide};
use crate::transport::Error;
use crate::wire::{Encode, Fault, Writer};

pub(super) fn payload<M: Encode>(message: &M) -> Vec<u8> {
    let mut payload = vec![M::NUMBER];
    message.encode(&mut Writer::new(&mut payload));
    payload
}

/// A packet before there are keys.
pub(super) fn clear(payload: &[u8]) -> Vec<u8> {
    let padding = 16 - (payload.len() + 5) % 8 - 4;
    let padding = if padding < 4 { padding + 8 } else { padding };
    let padding = padding + (8 - (payload.len() + 5 + padding) % 8) % 8;
    let length = u32::try_from(payload.len() + padding + 1).unwrap();
    [&length.to_be_bytes(), &[padding as u8][..], payload, &vec![0; padding]].concat()
}

pub(super) fn feed<S: TestSide>(end: &mut End<S>, bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() && end.error.is_none() {
        let space = end.input.space();
        let (now, later) = rest.split_at(space.len().min(rest.len()));
        space[..now.len()].copy_from_slice(now);
        end.input.filled(now.len());
        rest = later;
        end.pull(std::time::Instant::now());
    }
}

/// What each role makes of these first bytes.
pub(super) fn first_bytes(bytes: &[u8]) -> [Option<Error>; 2] {
    let mut pair = Pair::new(Settings::default());
    feed(&mut pair.client, bytes);
    feed(&mut pair.server, bytes);
    [pair.client.error, pair.server.error]
}

pub(super) fn both(fault: Fault) -> [Option<Error>; 2] {
    [Some(fault.into()), Some(fault.into())]
}

/// The peer is told the fault, unless a question keeps it from listening.
pub(super) fn assert_told<A: TestSide, B: TestSide>(at_fault: &End<A>, victim: &End<B>, fault: Fault) {
    assert_eq!(victim.error, Some(fault.into()));
    let told = Error::Disconnected { reason: fault.reason, description: fault.description.to_owned() };
    assert_eq!(at_fault.error, at_fault.tickets.is_empty().then_some(told));
}

/// The client sends a payload that the server must refuse.
pub(super) fn refused_by_server(mut pair: Pair, payloads: &[Vec<u8>], fault: Fault) {
    for payload in payloads {
        pair.client.conn.send_payload(payload);
    }
    pair.drive();
    assert_told(&pair.client, &pair.server, fault);
}

/// The same with the roles exchanged.
pub(super) fn refused_by_client(mut pair: Pair, payloads: &[Vec<u8>], fault: Fault) {
    for payload in payloads {
        pair.server.conn.send_payload(payload);
    }
    pair.drive();
    assert_told(&pair.server, &pair.client, fault);
}

/// Both, from one table.
pub(super) fn refused_by_both(stage: fn() -> Pair, payloads: &[Vec<u8>], fault: Fault) {
    refused_by_server(stage(), payloads, fault);
    refused_by_client(stage(), payloads, fault);
}

pub(super) fn keyed() -> Pair {
    Pair::keyed(Settings::default())
}

/// The client has shown a password and waits for the answer.
pub(super) fn asking() -> Pair {
    let mut pair = keyed();
    let ticket = pair.client.ticket();
    pair.client.conn.request_password(ticket, b"secret").unwrap();
    pair.drive();
    pair
}

pub(super) fn running() -> Pair {
    Pair::running(Settings::default())
}
