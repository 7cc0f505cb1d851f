//! The messages of every key exchange method, changed as the input chooses, into either side at every step before there are
//! keys: they are refused, or the exchange goes on as it would with an honest peer.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::sync::{LazyLock, OnceLock};
use std::time::Instant;
use strombus::transport::algorithms::KEX;
use strombus::transport::{Client, Error, Server, TransportConfig};
use strombus::wire::message::{Disconnect, KexDhGexGroup, KexDhGexInit, KexDhGexReply, KexDhGexRequest};
use strombus::wire::message::{KexEcdhReply, NewKeys};
use strombus::wire::{Decode, DisconnectReason, Encode};
use strombus_fuzz::{Choices, End, Pair, Side, all_output, clear, payloads, quick};

/// The line that both begin with, and of each the payloads from KEXINIT to NEWKEYS.
struct Honest {
    identification: Vec<u8>,
    by_client: Vec<Vec<u8>>,
    by_server: Vec<Vec<u8>>,
}

/// By the rows of the table. Both sides draw what they always draw, so each says it again if it hears the same.
static HONEST: LazyLock<Vec<OnceLock<Honest>>> =
    LazyLock::new(|| KEX.iter().map(|_| OnceLock::new()).collect());

fn offering(row: usize) -> TransportConfig {
    let mut transport = quick();
    transport.algorithms.kex = vec![KEX[row]];
    transport
}

impl Honest {
    fn of(row: usize) -> &'static Self {
        HONEST[row].get_or_init(|| {
            let mut pair = Pair::with(offering(row), offering(row), Default::default());
            let (mut identification, mut by_client, mut by_server) = (Vec::new(), Vec::new(), Vec::new());
            while by_client.last().is_none_or(|last| *last != [NewKeys::NUMBER]) {
                let (up, down) = (all_output(&mut pair.client.conn), all_output(&mut pair.server.conn));
                if by_client.is_empty() {
                    identification.extend(up.iter().take_while(|b| **b != b'\n').chain(b"\n"));
                }
                by_client.extend(payloads(&up));
                by_server.extend(payloads(&down));
                pair.server.feed(&up, pair.now);
                pair.client.feed(&down, pair.now);
                if let Some(ticket) = pair.client.tickets.pop_front() {
                    pair.client.conn.accept_host_key(ticket).expect("it is the open question");
                }
            }
            Self { identification, by_client, by_server }
        })
    }
}

/// The message changed in a few places, or other bytes.
fn changed(message: &[u8], others: &[Vec<u8>], choices: &mut Choices<'_>) -> Vec<u8> {
    let mut changed = match choices.below(8) {
        0 => return choices.bytes(usize::MAX).to_vec(),
        1 => choices.one_of(others).clone(),
        _ => message.to_vec(),
    };
    for _ in 0..choices.below(4) {
        let at = usize::from(u16::from_be_bytes([choices.byte(), choices.byte()])) % (changed.len() + 1);
        match choices.below(5) {
            0 => changed.iter_mut().skip(at).take(1).for_each(|octet| *octet ^= choices.byte() | 1),
            1 => changed.truncate(at),
            2 => drop(changed.splice(at..at, vec![choices.byte(); choices.below(64)])),
            3 => drop(changed.drain(at..changed.len().min(at + choices.below(64)))),
            _ => {
                let new = choices.bytes(4);
                changed.iter_mut().skip(at).zip(new).for_each(|(octet, new)| *octet = *new);
            }
        }
    }
    changed
}

/// What went out after the message was taken.
trait Judge: Side {
    fn assert_honest_answer(step: &[u8], message: &[u8], answer: &[Vec<u8>], asked: bool);
}

impl Judge for Client {
    fn assert_honest_answer(honest: &[u8], message: &[u8], answer: &[Vec<u8>], asked: bool) {
        if asked || honest == [NewKeys::NUMBER] {
            assert_eq!(message, honest, "what the server signed is what it sent");
        } else {
            let group = KexDhGexGroup::from_payload(message).expect("a group");
            assert!((256..=1025).contains(&group.p.len()) && group.p.last().is_some_and(|low| low % 2 == 1));
            assert!(matches!(answer, [init] if KexDhGexInit::from_payload(init).is_ok()));
        }
    }
}

impl Judge for Server {
    fn assert_honest_answer(honest: &[u8], message: &[u8], answer: &[Vec<u8>], _: bool) {
        if honest == [NewKeys::NUMBER] {
            assert_eq!(message, honest);
        } else if let Ok(KexDhGexRequest { min, n, max }) = KexDhGexRequest::from_payload(message) {
            let [group] = answer else { panic!("one message") };
            let group = KexDhGexGroup::from_payload(group).expect("a group");
            let bits = 8 * u32::try_from(group.p.len() - 1).expect("short"); // a zero in front
            assert!(min <= n && n <= max && (min..=max).contains(&bits) && bits >= 2048);
        } else {
            let [reply, new_keys] = answer else { panic!("two messages") };
            assert_eq!(*new_keys, [NewKeys::NUMBER]);
            assert!(KexEcdhReply::from_payload(reply).is_ok() || KexDhGexReply::from_payload(reply).is_ok());
        }
    }
}

fn exchange<S: Judge>(
    mut victim: End<S>,
    identification: &[u8],
    (peer, own): (&[Vec<u8>], &[Vec<u8>]),
    accept: fn(&mut End<S>),
    mut choices: Choices<'_>,
) {
    let now = Instant::now();
    let step = 1 + choices.below(peer.len() - 1);
    victim.feed(identification, now);
    for payload in &peer[..step] {
        victim.feed(&clear(payload), now);
    }
    accept(&mut victim);
    let mut said = payloads(&all_output(&mut victim.conn));
    assert!(victim.error.is_none() && own.starts_with(&said), "it says what it always says");
    let message = changed(&peer[step], peer, &mut choices);
    victim.feed(&clear(&message), now);
    let output = all_output(&mut victim.conn);
    let keyed = said.last().is_some_and(|last| *last == [NewKeys::NUMBER]);
    let answer = if keyed { Vec::new() } else { payloads(&output) };
    match &victim.error {
        None => S::assert_honest_answer(&peer[step], &message, &answer, !victim.tickets.is_empty()),
        Some(Error::Peer(fault)) => {
            assert_ne!(message, peer[step], "what is honest is taken");
            let (protocol, kex) = (DisconnectReason::PROTOCOL_ERROR, DisconnectReason::KEY_EXCHANGE_FAILED);
            assert!(fault.reason == protocol || fault.reason == kex, "{fault:?}");
            let told = answer.last().and_then(|last| Disconnect::from_payload(last).ok());
            assert!(keyed || told.is_some_and(|told| told.reason_code == fault.reason.0));
        }
        Some(error) => assert!(
            matches!(error, Error::Disconnected { .. }) && message.first() == Some(&Disconnect::NUMBER),
            "{error}"
        ),
    }
    if message == peer[step] {
        said.extend(answer);
        accept(&mut victim);
        assert!(own.starts_with(&said) && (keyed || said.len() > step));
    }
}

/// The rows of the table by the byte that chooses one: the fast methods many times, each slow one once.
static ROWS: LazyLock<[usize; 256]> = LazyLock::new(|| {
    let is_slow = |row: &usize| KEX[*row].name.starts_with("diffie-") || KEX[*row].name.starts_with("sntrup");
    let (slow, fast): (Vec<_>, Vec<_>) = (0..KEX.len()).partition(is_slow);
    std::array::from_fn(|byte| match byte.checked_sub(256 - slow.len()) {
        None => fast[byte % fast.len()],
        Some(at) => slow[at],
    })
});

fuzz_target!(|bytes: &[u8]| {
    let (mut choices, now, limits) = (Choices(bytes), Instant::now(), Default::default());
    let row = ROWS[usize::from(choices.byte())];
    let Honest { identification, by_client, by_server } = Honest::of(row);
    if choices.byte() & 1 == 0 {
        let accept = |victim: &mut End<Client>| {
            if let Some(ticket) = victim.tickets.pop_front() {
                victim.conn.accept_host_key(ticket).expect("it is the open question");
            }
        };
        exchange(
            End::client(offering(row), limits, now),
            identification,
            (by_server, by_client),
            accept,
            choices,
        );
    } else {
        let accept = |_: &mut End<Server>| ();
        exchange(
            End::server(offering(row), limits, now),
            identification,
            (by_client, by_server),
            accept,
            choices,
        );
    }
});
