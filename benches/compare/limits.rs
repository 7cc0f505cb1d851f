//! What the machine can do at all, in the same run: bare primitives and bare sockets, in processor seconds of each side.

use crate::load::LOGINS_AT_ONCE;
use aes::Aes256Enc;
use ctr::Ctr128BE;
use ctr::cipher::{Array, KeyIvInit, StreamCipher};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use ml_kem::kem::{EncapsulationKey, KeyExport};
use ml_kem::{B32, DecapsulationKey, MlKem768, Seed};
use ring::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey, chacha20_poly1305_openssh as chacha};
use rustix::time::{ClockId, clock_gettime};
use sha2::Sha256;
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use strombus::connection::MAXIMUM_PACKET_SIZE;
use strombus::transport::DATA_MARK;
use x25519_dalek::{PublicKey, StaticSecret};

/// Data of a packet (bytes).
const PACKET: usize = MAXIMUM_PACKET_SIZE as usize;

/// Packets of a write.
const PACKETS: usize = DATA_MARK / PACKET;

/// Reads and writes of the server in one login with an exec, by strace of `examples/bench_server`.
const EXCHANGES: usize = 8;

/// Bytes of one of them, about.
const MESSAGE: usize = 256;

/// Logins that are averaged.
const LOGINS: usize = 400;

/// Processor seconds of whoever sends and of whoever receives.
pub struct Sides {
    pub sender: f64,
    pub receiver: f64,
}

/// Processor seconds of this thread for a work.
fn spent(work: impl FnOnce()) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let begin = now();
    work();
    now() - begin
}

/// So many bytes, copied once, sealed, sent and received with the write sizes of the loop, and opened.
pub fn bulk(cipher: &str, bytes: u64) -> Sides {
    let (seal, open) = bare(cipher, bytes);
    let (send, receive) = loopback(bytes);
    Sides { sender: seal + send, receiver: receive + open }
}

/// Sealing with one copy before it, and opening.
fn bare(cipher: &str, bytes: u64) -> (f64, f64) {
    let payload = vec![7; PACKET];
    let mut packets = vec![vec![0; PACKET + 64]; PACKETS];
    let mut bare = Bare::new(cipher);
    let (mut seal, mut open) = (0.0, 0.0);
    for _ in 0..bytes.div_ceil(DATA_MARK as u64) {
        seal += spent(|| {
            for packet in &mut packets {
                packet[..PACKET].copy_from_slice(black_box(&payload));
                bare.seal(packet);
            }
        });
        open += spent(|| packets.iter_mut().for_each(|packet| bare.open(packet)));
    }
    (seal, open)
}

/// A primitive, that seals the first [`PACKET`] octets of a packet and sixteen more in place, with its tag behind them.
enum Bare {
    Gcm(Box<LessSafeKey>),
    ChaCha(Box<(chacha::SealingKey, chacha::OpeningKey)>),
    Ctr(Box<[Ctr128BE<Aes256Enc>; 2]>, Box<Hmac<Sha256>>),
}

/// What is sealed: the data, and the fields and padding around it.
const SEALED: usize = PACKET + 16;

impl Bare {
    fn new(cipher: &str) -> Self {
        let gcm = |algorithm, key: &[u8]| {
            Self::Gcm(Box::new(LessSafeKey::new(UnboundKey::new(algorithm, key).expect("of its length"))))
        };
        match cipher {
            "aes128-gcm@openssh.com" => gcm(&aead::AES_128_GCM, &[1; 16]),
            "aes256-gcm@openssh.com" => gcm(&aead::AES_256_GCM, &[1; 32]),
            "chacha20-poly1305@openssh.com" => {
                Self::ChaCha(Box::new((chacha::SealingKey::new(&[1; 64]), chacha::OpeningKey::new(&[1; 64]))))
            }
            _ => {
                let cipher = || Ctr128BE::new(&Array::from_fn(|_| 1), &[2; 16].into());
                let mac = KeyInit::new_from_slice(&[3; 32]).expect("of any length");
                Self::Ctr(Box::new([cipher(), cipher()]), Box::new(mac))
            }
        }
    }

    fn seal(&mut self, packet: &mut [u8]) {
        let (text, tag) = packet.split_at_mut(SEALED);
        match self {
            Self::Gcm(key) => {
                let nonce = Nonce::assume_unique_for_key([0; 12]);
                let made = key.seal_in_place_separate_tag(nonce, Aad::from(&[0; 4]), text).expect("sealed");
                tag[..16].copy_from_slice(made.as_ref());
            }
            Self::ChaCha(keys) => keys.0.seal_in_place(0, text, (&mut tag[..16]).try_into().expect("16")),
            Self::Ctr(ciphers, mac) => {
                ciphers[0].apply_keystream(text);
                let mac = Hmac::clone(mac).chain_update(&*text).finalize().into_bytes();
                tag[..32].copy_from_slice(&mac);
            }
        }
    }

    fn open(&mut self, packet: &mut [u8]) {
        match self {
            Self::Gcm(key) => {
                let nonce = Nonce::assume_unique_for_key([0; 12]);
                key.open_in_place(nonce, Aad::from(&[0; 4]), &mut packet[..SEALED + 16])
                    .expect("what was sealed");
            }
            Self::ChaCha(keys) => {
                let (text, tag) = packet[..SEALED + 16].split_last_chunk_mut().expect("a tag");
                keys.1.open_in_place(0, text, tag).expect("what was sealed");
            }
            Self::Ctr(ciphers, mac) => {
                let (text, tag) = packet.split_at_mut(SEALED);
                Hmac::clone(mac).chain_update(&*text).verify_slice(&tag[..32]).expect("what was sealed");
                ciphers[1].apply_keystream(text);
            }
        }
    }
}

/// Sending and receiving so many bytes over loopback.
fn loopback(bytes: u64) -> (f64, f64) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut near = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
    let (mut far, _) = listener.accept().expect("it came");
    near.set_nodelay(true).expect("TCP");
    let receiver = thread::spawn(move || {
        let mut block = vec![0; DATA_MARK];
        spent(|| while let Ok(1..) = far.read(&mut block) {})
    });
    let block = vec![7; DATA_MARK];
    let send = spent(|| {
        for _ in 0..bytes.div_ceil(DATA_MARK as u64) {
            near.write_all(&block).expect("someone reads");
        }
    });
    drop(near);
    (send, receiver.join().expect("received"))
}

/// The server's part of a login with an exec (s): its primitives, and a bare conversation of as many reads and writes.
pub fn login(kex: &str) -> f64 {
    let own = SigningKey::from_bytes(&[5; 32]);
    let user = SigningKey::from_bytes(&[6; 32]);
    let (public, signed) = (user.verifying_key().to_bytes(), user.sign(&[7; 64]));
    let other = PublicKey::from(&StaticSecret::from([8; 32]));
    let encapsulation_key =
        DecapsulationKey::<MlKem768>::new(&Seed::default()).encapsulation_key().to_bytes();
    let primitives = spent(|| {
        for _ in 0..LOGINS {
            let secret = StaticSecret::from(black_box([9; 32]));
            black_box(PublicKey::from(&secret));
            black_box(secret.diffie_hellman(black_box(&other)));
            if kex.starts_with("mlkem768") {
                let key = black_box(&encapsulation_key);
                let key = EncapsulationKey::<MlKem768>::new(key).expect("a key");
                black_box(key.encapsulate_deterministic(&black_box(B32::default())));
            }
            black_box(own.sign(black_box(&[7; 32])));
            let public = VerifyingKey::from_bytes(black_box(&public)).expect("a key");
            public.verify_strict(&[7; 64], &signed).expect("what was signed");
        }
    });
    (primitives + conversations()) / LOGINS as f64
}

/// The server's processor seconds for as many connections as there are logins.
fn conversations() -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let each = LOGINS / LOGINS_AT_ONCE as usize;
    let clients: Vec<_> = (0..LOGINS_AT_ONCE)
        .map(|_| {
            thread::spawn(move || {
                for _ in 0..each {
                    let mut socket = TcpStream::connect(address).expect("it listens");
                    let mut message = [7; MESSAGE];
                    for _ in 0..EXCHANGES {
                        socket.write_all(&message).expect("someone reads");
                        socket.read_exact(&mut message).expect("an answer");
                    }
                }
            })
        })
        .collect();
    let spent = spent(|| {
        for _ in 0..each * LOGINS_AT_ONCE as usize {
            let (mut socket, _) = listener.accept().expect("it came");
            socket.set_nodelay(true).expect("TCP");
            let mut message = [0; MESSAGE];
            for _ in 0..EXCHANGES {
                socket.read_exact(&mut message).expect("it asks");
                socket.write_all(&message).expect("it reads");
            }
        }
    });
    clients.into_iter().for_each(|client| client.join().expect("answered"));
    spent
}
