//! A peer's KEXINIT, made of names that the input chooses or of its bytes; what is agreed upon is worked out here once more.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::time::Instant;
use strombus::crypto::kex::{KeyExchange, Method};
use strombus::transport::algorithms::{
    CIPHER, COMPRESSION, Direction, KEX, MAC, Preset, SIGNATURE, Slot, names,
};
use strombus::transport::{Client, Error, Server, TEXT_MAX, TransportConfig, algorithms::Negotiated};
use strombus::wire::message::{Disconnect, KexInit};
use strombus::wire::{Decode, Encode, NAMES_MAX, NameList, Writer, number::Sender};
use strombus_fuzz::{Choices, End, Side, all_output, clear, payloads};

const SLOTS: [Slot; 8] = [
    Slot::KexAlgorithms,
    Slot::ServerHostKeyAlgorithms,
    Slot::EncryptionAlgorithmsClientToServer,
    Slot::EncryptionAlgorithmsServerToClient,
    Slot::MacAlgorithmsClientToServer,
    Slot::MacAlgorithmsServerToClient,
    Slot::CompressionAlgorithmsClientToServer,
    Slot::CompressionAlgorithmsServerToClient,
];

const MARKERS: [&str; 5] = [
    "ext-info-c",
    "ext-info-s",
    "kex-strict-c-v00@openssh.com",
    "kex-strict-s-v00@openssh.com",
    "kexguess2@matt.ucc.asn.au",
];

/// Names of no table, and what is no name at all.
const JUNK: [&str; 9] =
    ["none", "zlib", "a", "curve25519-sha25", "aes128-ctrx", "AES128-CTR", "", "a b", "\u{e9}"];

/// The lists of a KEXINIT as they stand in it; the languages last.
fn lists<'a>(message: &KexInit<'a>) -> [&'a str; 10] {
    [
        message.kex_algorithms,
        message.server_host_key_algorithms,
        message.encryption_algorithms_client_to_server,
        message.encryption_algorithms_server_to_client,
        message.mac_algorithms_client_to_server,
        message.mac_algorithms_server_to_client,
        message.compression_algorithms_client_to_server,
        message.compression_algorithms_server_to_client,
        message.languages_client_to_server,
        message.languages_server_to_client,
    ]
    .map(NameList::as_str)
}

fn names_of(list: &str) -> Vec<&str> {
    list.split(',').filter(|name| !name.is_empty()).take(NAMES_MAX).collect()
}

/// The victim's lists, each turned, cut, mixed or replaced.
fn chosen_kexinit(own: &KexInit<'_>, choices: &mut Choices<'_>) -> Vec<u8> {
    let tables: [Vec<&str>; 5] = [
        names(KEX).chain(MARKERS).collect(),
        names(SIGNATURE).collect(),
        names(CIPHER).collect(),
        names(MAC).collect(),
        names(COMPRESSION).collect(),
    ];
    let long = ["x".repeat(64), "x".repeat(65)];
    let mut payload = vec![KexInit::NUMBER];
    payload.extend_from_slice(own.cookie);
    for (at, list) in lists(own).into_iter().enumerate() {
        let table = &tables[[0, 1, 2, 2, 3, 3, 4, 4, 4, 4][at]];
        let pool: Vec<_> =
            table.iter().copied().chain(JUNK).chain(long.iter().map(|name| &name[..])).collect();
        let (how, n) = (choices.below(5), choices.below(12));
        let picked = (0..n).map(|_| *choices.one_of(&pool)).collect::<Vec<_>>();
        let mut own = list.split(',').filter(|name| !name.is_empty()).collect::<Vec<_>>();
        let list = match how {
            0 => own.join(","),
            1 => {
                let n = n % own.len().max(1);
                own.rotate_left(n);
                own.join(",")
            }
            2 => [picked, own].concat().join(","),
            3 => own.split_off(n % (own.len() + 1)).join(","),
            _ => picked.join(","),
        };
        Writer::new(&mut payload).string(list.as_bytes());
    }
    payload.push(choices.byte() & 3);
    payload.extend_from_slice(&[0; 4]);
    payload
}

/// The first of the client's names that the server has too, of lists that may have markers among them.
fn common<'a>(client: &[&'a str], server: &[&str]) -> Option<&'a str> {
    client.iter().copied().find(|name| server.contains(name) && !MARKERS.contains(name))
}

fn assert_direction(agreed: &Direction, [cipher, mac, compression]: [Option<&str>; 3]) {
    assert_eq!(Some(agreed.cipher.name), cipher);
    let is_aead = agreed.cipher.name.contains("gcm") || agreed.cipher.name.contains("poly1305");
    assert_eq!(agreed.mac.map(|mac| mac.name), if is_aead { None } else { mac });
    assert_eq!(Some(agreed.compression.name), compression);
}

fn assert_agreed(agreed: &Negotiated, expected: [Option<&str>; 8]) {
    let [kex, host_key, up, down, mac_up, mac_down, compression_up, compression_down] = expected;
    assert_eq!((Some(agreed.kex.name), Some(agreed.host_key.name)), (kex, host_key));
    assert_direction(&agreed.client_to_server, [up, mac_up, compression_up]);
    assert_direction(&agreed.server_to_client, [down, mac_down, compression_down]);
}

fn negotiate<S: Side>(mut victim: End<S>, mut choices: Choices<'_>) {
    let now = Instant::now();
    let own = payloads(&all_output(&mut victim.conn)).remove(0);
    let own = KexInit::from_payload(&own).expect("our own");
    let payload = match choices.below(4) {
        0 => [&[KexInit::NUMBER], choices.bytes(usize::MAX)].concat(),
        _ => chosen_kexinit(&own, &mut choices),
    };
    victim.feed(&[&b"SSH-2.0-peer\r\n"[..], &clear(&payload)].concat(), now);
    assert!(victim.conn.pending_output() < 64 * 1024);
    let Ok(peer) = KexInit::from_payload(&payload) else {
        assert!(matches!(victim.error, Some(Error::Peer(_))) && victim.conn.agreed().is_none());
        return;
    };

    let (local, remote) = (lists(&own).map(names_of), lists(&peer).map(names_of));
    let (client, server) = match S::ROLE {
        Sender::Client => (&local, &remote),
        Sender::Server => (&remote, &local),
    };
    let expected = std::array::from_fn(|at| common(&client[at], &server[at]));
    let aead = |at: usize| expected[at].is_some_and(|name| name.contains("gcm") || name.contains("poly1305"));
    let is_missing = |at: usize| expected[at].is_none() && !(matches!(at, 4 | 5) && aead(at - 2));
    if let Some(Error::Incompatible(lists)) = &victim.error {
        let at = SLOTS.iter().position(|slot| *slot == lists.slot).expect("a slot");
        assert!(is_missing(at), "{lists}");
        assert!(lists.remote.len() <= TEXT_MAX && lists.not_offered.len() <= KEX.len());
        return;
    }
    assert_eq!(victim.error, None);
    assert!((0..8).all(|at| !is_missing(at)));
    assert_agreed(victim.conn.agreed().expect("an exchange is under way"), expected);

    // One packet is passed over where a wrong guess was announced, and no other.
    let guess2 = remote[0].contains(&MARKERS[4]);
    let right = remote[0].first() == local[0].first() && (guess2 || remote[1].first() == local[1].first());
    if peer.first_kex_packet_follows && !right {
        let junk = [&[choices.byte()], choices.bytes(64)].concat();
        victim.feed(&clear(&junk), now);
        assert_eq!(victim.error, None);
    }
    let mut bye = vec![Disconnect::NUMBER];
    Disconnect { reason_code: 11, description: b"", language_tag: b"" }.encode(&mut Writer::new(&mut bye));
    victim.feed(&clear(&bye), now);
    assert!(matches!(victim.error, Some(Error::Disconnected { .. })));
}

/// Whatever the method is called, it is the cheapest one: here it is a name.
fn offer(choices: &mut Choices<'_>, role: Sender) -> TransportConfig {
    let mut transport = TransportConfig::client();
    let preset = *choices.one_of(&Preset::ALL);
    transport.algorithms =
        if choices.byte() & 1 == 0 { preset.offered(role) } else { preset.permitted(role) };
    for row in &mut transport.algorithms.kex {
        row.algorithm = KeyExchange::OneStep(Method::Curve25519);
    }
    transport
}

fuzz_target!(|bytes: &[u8]| {
    let (mut choices, now, limits) = (Choices(bytes), Instant::now(), Default::default());
    if choices.byte() & 1 == 0 {
        let transport = offer(&mut choices, Sender::Client);
        negotiate::<Client>(End::client(transport, limits, now), choices);
    } else {
        let transport = offer(&mut choices, Sender::Server);
        negotiate::<Server>(End::server(transport, limits, now), choices);
    }
});
