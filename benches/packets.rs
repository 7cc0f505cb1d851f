//! Sealing and opening through the whole packet path beside the bare primitive, in one run: `cargo bench --bench packets`.
//!
//! Sealing is compared with the primitive and one copy of the payload into the same buffer, opening with the primitive alone;
//! 32 KiB a packet, seven packets a turn. Of AES-CTR with HMAC the primitives are the key stream of the crate `aes` and an
//! HMAC, one after the other; each line names the crate whose HMAC was the faster one.

mod common;

use aes::{Aes128Enc, Aes192Enc, Aes256Enc};
use common::{Pair, carry, is_wanted, least, server, timed};
use ctr::Ctr128BE;
use ctr::cipher::consts::U16;
use ctr::cipher::{Array, BlockCipherEncrypt, KeyIvInit, StreamCipher};
use hmac::{KeyInit, Mac};
use ring::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey, chacha20_poly1305_openssh as chacha};
use sha2::{Sha256, Sha512};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use strombus::connection::{ChannelEvent, ChannelLimits, Event, Step};
use strombus::transport::algorithms::{Algorithms, CIPHER, MAC, Offered, pick};
use strombus::transport::{ClientConfig, RekeyLimit, TransportConfig};

const PAYLOAD: usize = 32 * 1024;
/// As many as a receive buffer holds.
const PACKETS: usize = 7;
const ROUNDS: usize = 3000;

type InPlace = dyn FnMut(&mut [u8]);

/// The primitive of a packet, in place: sealed, and opened again.
enum Bare {
    Gcm(Box<LessSafeKey>),
    ChaCha(Box<(chacha::SealingKey, chacha::OpeningKey)>),
    /// The work is the same in both directions: a MAC and a key stream.
    Ctr(Box<InPlace>),
}

impl Bare {
    fn new(cipher: &str, hmac: &Hmac) -> Self {
        match cipher {
            "aes128-gcm@openssh.com" => Self::gcm(&aead::AES_128_GCM, &[1; 16]),
            "aes256-gcm@openssh.com" => Self::gcm(&aead::AES_256_GCM, &[1; 32]),
            "chacha20-poly1305@openssh.com" => {
                Self::ChaCha(Box::new((chacha::SealingKey::new(&[1; 64]), chacha::OpeningKey::new(&[1; 64]))))
            }
            "aes128-ctr" => Self::ctr::<Aes128Enc>(hmac),
            "aes192-ctr" => Self::ctr::<Aes192Enc>(hmac),
            _ => Self::ctr::<Aes256Enc>(hmac),
        }
    }

    fn ctr<C: BlockCipherEncrypt<BlockSize = U16> + KeyInit + 'static>(hmac: &Hmac) -> Self {
        let mut cipher = Ctr128BE::<C>::new(&Array::from_fn(|_| 1), &[2; 16].into());
        let (etm, authenticate) = (hmac.etm, hmac.authenticate);
        Self::Ctr(Box::new(move |packet| {
            if etm {
                cipher.apply_keystream(packet);
            }
            authenticate(packet);
            if !etm {
                cipher.apply_keystream(packet);
            }
        }))
    }

    fn gcm(algorithm: &'static aead::Algorithm, key: &[u8]) -> Self {
        Self::Gcm(Box::new(LessSafeKey::new(UnboundKey::new(algorithm, key).unwrap())))
    }

    fn seal(&mut self, packet: &mut [u8]) -> [u8; 32] {
        let mut tag = [0; 32];
        match self {
            Self::Gcm(key) => {
                let nonce = Nonce::assume_unique_for_key([0; 12]);
                let made = key.seal_in_place_separate_tag(nonce, Aad::from(&[0; 4]), packet).unwrap();
                tag[..16].copy_from_slice(made.as_ref());
            }
            Self::ChaCha(keys) => keys.0.seal_in_place(0, packet, (&mut tag[..16]).try_into().unwrap()),
            Self::Ctr(work) => work(packet),
        }
        tag
    }

    /// Opens what [`seal`](Self::seal) made, with its tag of 16 bytes behind it where there is one.
    fn open(&mut self, sealed: &mut [u8]) {
        match self {
            Self::Gcm(key) => {
                let nonce = Nonce::assume_unique_for_key([0; 12]);
                key.open_in_place(nonce, Aad::from(&[0; 4]), sealed).unwrap();
            }
            Self::ChaCha(keys) => {
                let (packet, tag) = sealed.split_last_chunk_mut().unwrap();
                keys.1.open_in_place(0, packet, tag).unwrap();
            }
            Self::Ctr(work) => work(sealed),
        }
    }
}

type Authenticate = fn(&[u8]);

/// The faster HMAC of two crates.
struct Hmac {
    etm: bool,
    authenticate: Authenticate,
    by: &'static str,
}

impl Hmac {
    fn fastest(mac: &str) -> Self {
        let (hmac, ring): (Authenticate, Authenticate) = if mac.contains("sha2-512") {
            (of_hmac::<hmac::Hmac<Sha512>>, |packet| of_ring(ring::hmac::HMAC_SHA512, packet))
        } else if mac.contains("sha2-256") {
            (of_hmac::<hmac::Hmac<Sha256>>, |packet| of_ring(ring::hmac::HMAC_SHA256, packet))
        } else {
            panic!("an HMAC without its primitives: {mac}")
        };
        let packet = vec![7; PAYLOAD];
        let (one, other) = least(200, || timed(|| hmac(&packet)), || timed(|| ring(&packet)));
        let (authenticate, by) = if one <= other { (hmac, "hmac") } else { (ring, "ring") };
        Self { etm: mac.contains("etm"), authenticate, by }
    }
}

fn of_hmac<M: Mac + KeyInit>(packet: &[u8]) {
    let keyed = <M as KeyInit>::new_from_slice(&[3; 32]).unwrap();
    black_box(keyed.chain_update(black_box(packet)).finalize().into_bytes());
}

fn of_ring(algorithm: ring::hmac::Algorithm, packet: &[u8]) {
    black_box(ring::hmac::sign(&ring::hmac::Key::new(algorithm, &[3; 32]), black_box(packet)));
}

fn measure(cipher: &str, mac: &str, name: &str) {
    if !is_wanted(name) {
        return;
    }
    let algorithms = Algorithms {
        cipher: pick(CIPHER, cipher).unwrap(),
        mac: pick(MAC, mac).unwrap(),
        ..Algorithms::client()
    };
    let rekey_limit = RekeyLimit { bytes: u64::MAX, ..Default::default() };
    let transport = TransportConfig { algorithms, rekey_limit, ..TransportConfig::client() };
    let limits = ChannelLimits { window_size: u32::MAX, ..Default::default() };
    let mut server = Arc::into_inner(server()).unwrap();
    server.transport = transport.clone();
    let mut pair = Pair::new(&Arc::new(ClientConfig { transport }), &Arc::new(server), limits);
    while pair.round() {}
    let (id, payload) = (pair.here.unwrap(), vec![7; PAYLOAD]);

    let hmac = Hmac::fastest(mac);
    let mut bare = Bare::new(cipher, &hmac);
    let mut buffer = vec![0; PACKETS * (PAYLOAD + 64)];
    let mut sealed = Vec::new();
    let (mut open_ours, mut open_bare) = (Duration::MAX, Duration::MAX);
    let mut other = Bare::new(cipher, &hmac);
    let mut other_buffer = buffer.clone();
    let (seal_ours, seal_bare) = least(
        ROUNDS,
        || {
            let time = timed(|| {
                for _ in 0..PACKETS {
                    assert_eq!(pair.client.channel(id).unwrap().write(black_box(&payload)), PAYLOAD);
                }
            });
            sealed.clear();
            while !pair.client.output().is_empty() {
                sealed.extend_from_slice(pair.client.output());
                let n = pair.client.output().len();
                pair.client.consume_output(n);
            }
            assert_eq!(carry(&sealed, &mut pair.up), sealed.len());
            open_ours = open_ours.min(timed(|| {
                for _ in 0..PACKETS {
                    let Ok(Step::Event(Event::Channel(_, ChannelEvent::Data { data }))) =
                        pair.server.handle_input(&mut pair.up, pair.now)
                    else {
                        panic!("a packet of data")
                    };
                    assert_eq!(black_box(data).len(), PAYLOAD);
                }
            }));
            time
        },
        || {
            let time = timed(|| {
                for packet in buffer.chunks_exact_mut(PAYLOAD + 64) {
                    packet[..PAYLOAD].copy_from_slice(black_box(&payload));
                    black_box(bare.seal(&mut packet[..PAYLOAD + 16]));
                }
            });
            for packet in other_buffer.chunks_exact_mut(PAYLOAD + 64) {
                let tag = other.seal(&mut packet[..PAYLOAD + 16]);
                packet[PAYLOAD + 16..PAYLOAD + 32].copy_from_slice(&tag[..16]);
            }
            open_bare = open_bare.min(timed(|| {
                for packet in other_buffer.chunks_exact_mut(PAYLOAD + 64) {
                    other.open(&mut packet[..PAYLOAD + 32]);
                }
            }));
            time
        },
    );
    let rate = |time: Duration| (PACKETS * PAYLOAD) as f64 / time.as_secs_f64() / 1e6;
    let ratio = |ours: Duration, bare: Duration| ours.as_secs_f64() / bare.as_secs_f64();
    println!(
        "{name:44} seal {:6.0} MB/s, ratio {:.3}   open {:6.0} MB/s, ratio {:.3}{}",
        rate(seal_ours),
        ratio(seal_ours, seal_bare),
        rate(open_ours),
        ratio(open_ours, open_bare),
        if name == cipher { String::new() } else { format!("   HMAC of {}", hmac.by) },
    );
}

fn main() {
    let macs = || MAC.iter().filter(|row| row.offered != Offered::Legacy).map(|row| row.name);
    for row in CIPHER {
        if row.algorithm.is_aead() {
            measure(row.name, "hmac-sha2-256", row.name);
        } else {
            let n = if row.name == "aes128-ctr" { 1 } else { usize::MAX };
            macs().take(n).for_each(|mac| measure(row.name, mac, &format!("{} {mac}", row.name)));
        }
    }
}
