//! The peer of the machine under test. It can say any message at any time: it has no states, and keeps only what makes
//! packets readable, which is keys, sequence numbers and what goes into the exchange hash.
//!
//! Ciphers, methods and the forms of messages are the library's; packets, H and when keys and numbers change are written
//! here again, so that two mistakes of one kind do not agree with each other.

use super::HOST_KEY;
use crate::crypto::hash::HashState;
use crate::crypto::kex::{Ephemeral, Method, SharedSecret};
use crate::crypto::{Cipher, OpeningKey, SealingKey, kdf};
use crate::tests::hostile::payload;
use crate::tests::pair::SeededRng;
use crate::wire::message::{KexEcdhInit, KexEcdhReply, KexInit};
use crate::wire::number::{self, Sender};
use crate::wire::{Decode, NameList};

/// Under which agreements a machine is looked at.
#[derive(Clone, Copy)]
pub(super) struct World {
    /// The name of the method, and the method.
    pub(super) name: &'static str,
    pub(super) method: Method,
    /// The peer shows the marker of strict key exchange.
    pub(super) strict: bool,
}

/// Its numbers start anew with each key of a strict connection, and its packets cannot be opened under another number.
const CIPHER: (Cipher, &str) = (Cipher::ChaCha20Poly1305, "chacha20-poly1305@openssh.com");

const IDENTIFICATION: &[u8] = b"SSH-2.0-peer";

pub(super) struct Peer {
    /// Whom it plays.
    pub(super) role: Sender,
    world: World,
    rng: SeededRng,
    sealing: SealingKey,
    opening: OpeningKey,
    /// Of the next packet, sent and received.
    pub(super) sequence_numbers: [u32; 2],
    /// Whether NEWKEYS begins the numbers anew, sent and received.
    pub(super) resets: [bool; 2],
    /// Keys that wait for NEWKEYS.
    next_sealing: Option<SealingKey>,
    next_opening: Option<OpeningKey>,
    /// Sent and received; both lines.
    identification_of_machine: Vec<u8>,
    kexinit: Vec<u8>,
    kexinit_of_machine: Vec<u8>,
    ephemeral: Option<Ephemeral>,
    q_c: Vec<u8>,
    pub(super) session_id: Vec<u8>,
    unread: Vec<u8>,
}

impl Peer {
    pub(super) fn new(role: Sender, world: World) -> Self {
        Self {
            role,
            world,
            rng: SeededRng::new(3),
            sealing: SealingKey::Clear,
            opening: OpeningKey::Clear,
            sequence_numbers: [0; 2],
            resets: [world.strict; 2],
            next_sealing: None,
            next_opening: None,
            identification_of_machine: Vec::new(),
            kexinit: Vec::new(),
            kexinit_of_machine: Vec::new(),
            ephemeral: None,
            q_c: Vec::new(),
            session_id: Vec::new(),
            unread: Vec::new(),
        }
    }

    pub(super) fn identification() -> Vec<u8> {
        [IDENTIFICATION, b"\r\n"].concat()
    }

    /// SSH_MSG_KEXINIT. With a wrong guess its first method is one that the machine does not have.
    pub(super) fn kexinit(&self, wrong_guess: bool) -> Vec<u8> {
        let markers = match (self.role, self.world.strict) {
            (Sender::Client, true) => ",ext-info-c,kex-strict-c-v00@openssh.com",
            (Sender::Server, true) => ",ext-info-s,kex-strict-s-v00@openssh.com",
            (Sender::Client, false) => ",ext-info-c",
            (Sender::Server, false) => ",ext-info-s",
        };
        let guess = if wrong_guess { "another-method@example.com," } else { "" };
        let kex_algorithms = [guess, self.world.name, markers].concat();
        let (none, cipher) = (NameList::from_own("none"), NameList::from_own(CIPHER.1));
        payload(&KexInit {
            cookie: &[7; 16],
            kex_algorithms: NameList::from_own(&kex_algorithms),
            server_host_key_algorithms: NameList::from_own("ssh-ed25519"),
            encryption_algorithms_client_to_server: cipher,
            encryption_algorithms_server_to_client: cipher,
            mac_algorithms_client_to_server: none,
            mac_algorithms_server_to_client: none,
            compression_algorithms_client_to_server: none,
            compression_algorithms_server_to_client: none,
            languages_client_to_server: NameList::from_own(""),
            languages_server_to_client: NameList::from_own(""),
            first_kex_packet_follows: wrong_guess,
        })
    }

    /// SSH_MSG_KEX_ECDH_INIT.
    pub(super) fn kex_init(&mut self) -> Vec<u8> {
        let ephemeral = self.world.method.client_start(&mut self.rng);
        self.q_c = ephemeral.public().to_vec();
        self.ephemeral = Some(ephemeral);
        payload(&KexEcdhInit { q_c: &self.q_c })
    }

    /// SSH_MSG_KEX_ECDH_REPLY; to nothing, if the machine did not ask.
    pub(super) fn kex_reply(&mut self) -> Vec<u8> {
        let (key, q_c) = (&*HOST_KEY, core::mem::take(&mut self.q_c));
        let k_s = key.public_key().blob();
        let Ok((q_s, k)) = self.world.method.respond(&q_c, &mut self.rng) else {
            return payload(&KexEcdhReply { k_s: &k_s, q_s: b"q_s", signature: b"signature" });
        };
        let h = self.agree(&k_s, &q_c, &q_s, &k);
        let signature = key.sign(key.algorithms()[0], &h).unwrap();
        payload(&KexEcdhReply { k_s: &k_s, q_s: &q_s, signature: &signature })
    }

    /// H, and the keys that follow from it (RFC 4253 §7.2, §8).
    fn agree(&mut self, k_s: &[u8], q_c: &[u8], q_s: &[u8], k: &SharedSecret) -> Vec<u8> {
        let hash = self.world.method.hash();
        let own = (IDENTIFICATION, &self.kexinit[..]);
        let of_machine = (&self.identification_of_machine[..], &self.kexinit_of_machine[..]);
        let (client, server) = match self.role {
            Sender::Client => (own, of_machine),
            Sender::Server => (of_machine, own),
        };
        let mut state: HashState = hash.start();
        for field in [client.0, server.0, client.1, server.1, k_s, q_c, q_s] {
            state.update(&(field.len() as u32).to_be_bytes());
            state.update(field);
        }
        state.update(k.encoded());
        let h = state.finish().as_bytes().to_vec();
        if self.session_id.is_empty() {
            self.session_id.clone_from(&h);
        }
        let key = |letter| {
            let mut key = vec![0; CIPHER.0.key_len()];
            kdf::derive(hash, k, &h, letter, &self.session_id, &mut key);
            key
        };
        let (out, into) = match self.role {
            Sender::Client => (b'C', b'D'),
            Sender::Server => (b'D', b'C'),
        };
        self.next_sealing = SealingKey::new(CIPHER.0, None, &key(out), b"", b"");
        self.next_opening = OpeningKey::new(CIPHER.0, None, &key(into), b"", b"");
        h
    }

    /// The packet around a payload. NEWKEYS takes the next keys into use, if there are some.
    pub(super) fn seal(&mut self, payload: &[u8]) -> Vec<u8> {
        let block = self.sealing.block_len();
        let unpadded = 5 + payload.len() - self.sealing.unpadded_len();
        let padding = block - unpadded % block;
        let padding = if padding < 4 { padding + block } else { padding };
        let length = (1 + payload.len() + padding) as u32;
        let mut packet =
            [&length.to_be_bytes(), &[padding as u8][..], payload, &vec![0; padding][..]].concat();
        let mut tag = vec![0; self.sealing.tag_len()];
        self.sealing.seal_in_place(self.sequence_numbers[0], &mut packet, &mut tag);
        self.sequence_numbers[0] += 1;
        match payload[0] {
            number::KEXINIT => payload.clone_into(&mut self.kexinit),
            number::NEWKEYS => {
                if let Some(key) = self.next_sealing.take() {
                    self.sealing = key;
                    self.sequence_numbers[0] *= u32::from(!self.resets[0]);
                }
            }
            _ => {}
        }
        [packet, tag].concat()
    }

    /// The payloads in the machine's output; `None` if one cannot be opened.
    pub(super) fn open(&mut self, output: &[u8]) -> Option<Vec<Vec<u8>>> {
        self.unread.extend_from_slice(output);
        if self.identification_of_machine.is_empty() {
            let end = self.unread.windows(2).position(|w| w == b"\r\n").expect("the whole line");
            self.identification_of_machine = self.unread[..end].to_vec();
            self.unread.drain(..end + 2);
        }
        let mut payloads = Vec::new();
        while !self.unread.is_empty() {
            let sequence_number = self.sequence_numbers[1];
            let first = self.opening.first_len();
            let length = self.opening.packet_length(sequence_number, &mut self.unread[..first]) as usize;
            let length = 4 + length + self.opening.tag_len();
            let packet = self.unread.get_mut(..length)?;
            self.opening.open_in_place(sequence_number, packet).ok()?;
            let end = length - self.opening.tag_len() - usize::from(packet[4]);
            let payload = packet[5..end].to_vec();
            self.unread.drain(..length);
            self.sequence_numbers[1] += 1;
            self.heard(&payload);
            payloads.push(payload);
        }
        Some(payloads)
    }

    /// Keeps what the exchange needs of a message of the machine's.
    fn heard(&mut self, payload: &[u8]) {
        match payload[0] {
            number::KEXINIT => payload.clone_into(&mut self.kexinit_of_machine),
            number::KEX_ECDH_INIT => self.q_c = KexEcdhInit::from_payload(payload).unwrap().q_c.to_vec(),
            number::KEX_ECDH_REPLY => {
                let reply = KexEcdhReply::from_payload(payload).unwrap();
                let k = self.ephemeral.take().expect("it was asked for").agree(reply.q_s).unwrap();
                let q_c = core::mem::take(&mut self.q_c);
                self.agree(reply.k_s, &q_c, reply.q_s, &k);
            }
            number::NEWKEYS => {
                self.opening = self.next_opening.take().expect("keys were agreed upon");
                self.sequence_numbers[1] *= u32::from(!self.resets[1]);
            }
            _ => {}
        }
    }
}
