use ring::aead::chacha20_poly1305_openssh as ring_openssh;
use strombus::crypto::{Cipher, Mac, OpeningKey, Rng, SealingKey, Unauthentic};

use crate::rng::SeededRng;

/// A cipher with its MAC, and what algorithms.md of the protocol says of the pair:
/// (cipher, MAC, block, unpadded, tag, first, hides a bad length).
type Row = (Cipher, Option<Mac>, usize, usize, usize, usize, bool);

const AEADS: [Row; 3] = [
    (Cipher::ChaCha20Poly1305, None, 8, 4, 16, 4, false),
    (Cipher::Aes128Gcm, None, 16, 4, 16, 4, false),
    (Cipher::Aes256Gcm, None, 16, 4, 16, 4, false),
];
const COUNTERS: [Cipher; 3] = [Cipher::Aes128Ctr, Cipher::Aes192Ctr, Cipher::Aes256Ctr];
/// (MAC, unpadded, tag, first, hides a bad length).
const MACS: [(Mac, usize, usize, usize, bool); 6] = [
    (Mac::HmacSha256Etm, 4, 32, 4, false),
    (Mac::HmacSha512Etm, 4, 64, 4, false),
    (Mac::HmacSha1Etm, 4, 20, 4, false),
    (Mac::HmacSha256, 0, 32, 16, true),
    (Mac::HmacSha512, 0, 64, 16, true),
    (Mac::HmacSha1, 0, 20, 16, true),
];

/// Every pair that can be negotiated.
fn pairs() -> impl Iterator<Item = Row> {
    let with = |cipher: Cipher| {
        MACS.into_iter().map(move |(mac, unpadded, tag, first, hides)| {
            (cipher, Some(mac), 16, unpadded, tag, first, hides)
        })
    };
    AEADS.into_iter().chain(COUNTERS.into_iter().flat_map(with))
}

fn keys(cipher: Cipher, mac: Option<Mac>) -> (SealingKey, OpeningKey) {
    let mut rng = SeededRng::new(1);
    let mut random = |len| {
        let mut bytes = vec![0; len];
        rng.fill(&mut bytes);
        bytes
    };
    let (key, iv) = (random(cipher.key_len()), random(cipher.iv_len()));
    let mac_key = random(mac.map_or(0, Mac::key_len));
    (
        SealingKey::new(cipher, mac, &key, &iv, &mac_key).unwrap(),
        OpeningKey::new(cipher, mac, &key, &iv, &mac_key).unwrap(),
    )
}

/// A packet of `blocks` blocks with its tag, sealed.
fn sealed(key: &mut SealingKey, sequence_number: u32, packet: &[u8]) -> Vec<u8> {
    let mut sealed = packet.to_vec();
    let mut tag = vec![0; key.tag_len()];
    key.seal_in_place(sequence_number, &mut sealed, &mut tag);
    sealed.extend(tag);
    sealed
}

fn packet(key: &SealingKey, blocks: usize) -> Vec<u8> {
    let padded = key.block_len() * blocks;
    let packet_length = u32::try_from(key.unpadded_len() + padded - 4).unwrap();
    let rest = (0..packet_length).map(|i| i.to_le_bytes()[0] | 1);
    packet_length.to_be_bytes().into_iter().chain(rest).collect()
}

/// As the transport does it: the length first, then the whole.
fn open(key: &mut OpeningKey, sequence_number: u32, sealed: &mut [u8]) -> Result<u32, Unauthentic> {
    let first_len = key.first_len();
    let length = key.packet_length(sequence_number, &mut sealed[..first_len]);
    key.open_in_place(sequence_number, sealed).map(|()| length)
}

#[test]
fn framing_is_that_of_the_table() {
    for (cipher, mac, block, unpadded, tag, first, hides) in pairs() {
        let (sealing, opening) = keys(cipher, mac);
        assert_eq!((sealing.block_len(), sealing.unpadded_len(), sealing.tag_len()), (block, unpadded, tag));
        assert_eq!((opening.block_len(), opening.unpadded_len(), opening.tag_len()), (block, unpadded, tag));
        assert_eq!((opening.first_len(), opening.hides_bad_length()), (first, hides), "{cipher:?} {mac:?}");
    }
    let (sealing, opening) = (SealingKey::Clear, OpeningKey::Clear);
    assert_eq!((sealing.block_len(), sealing.unpadded_len(), sealing.tag_len()), (8, 0, 0));
    assert_eq!((opening.first_len(), opening.hides_bad_length()), (4, false));
}

#[test]
fn what_is_sealed_opens_packet_after_packet() {
    for (cipher, mac, ..) in pairs() {
        let (mut sealing, mut opening) = keys(cipher, mac);
        let lengths = (1..44).chain([2048, 2049, 4096, 16_384]);
        for (sequence_number, blocks) in (u32::MAX - 2..=u32::MAX).chain(0..).zip(lengths) {
            let packet = packet(&sealing, blocks);
            let mut bytes = sealed(&mut sealing, sequence_number, &packet);
            assert_ne!(bytes[4..packet.len()], packet[4..]);
            let length = open(&mut opening, sequence_number, &mut bytes).unwrap();
            assert_eq!(length.to_be_bytes(), packet[..4]);
            assert_eq!(bytes[4..packet.len()], packet[4..], "{cipher:?} {mac:?}");
        }
    }
}

#[test]
fn clear_changes_nothing() {
    let (mut sealing, mut opening) = (SealingKey::Clear, OpeningKey::Clear);
    let packet = packet(&sealing, 2);
    let mut bytes = sealed(&mut sealing, 0, &packet);
    assert_eq!(bytes, packet);
    assert_eq!(open(&mut opening, 0, &mut bytes), Ok(12));
    assert_eq!(bytes, packet);
}

#[test]
fn t08_each_flipped_bit_is_unauthentic_and_leaves_no_plaintext() {
    for (cipher, mac, ..) in pairs() {
        let (mut sealing, mut opening) = keys(cipher, mac);
        let packet = packet(&sealing, 3);
        let bytes = sealed(&mut sealing, 9, &packet);
        assert!(open(&mut opening, 9, &mut bytes.clone()).is_ok());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let (_, mut opening) = keys(cipher, mac);
            assert_eq!(open(&mut opening, 9, &mut flipped), Err(Unauthentic), "{cipher:?} {mac:?} bit {bit}");
            assert!(flipped.iter().all(|b| *b == 0), "{cipher:?} {mac:?} bit {bit}");
        }
    }
}

#[test]
fn t08_another_place_in_the_stream_is_unauthentic() {
    for (cipher, mac, ..) in pairs() {
        let (mut sealing, mut opening) = keys(cipher, mac);
        let packet = packet(&sealing, 1);
        let _first = sealed(&mut sealing, 3, &packet);
        let mut second = sealed(&mut sealing, 4, &packet);
        assert_eq!(open(&mut opening, 3, &mut second), Err(Unauthentic), "{cipher:?} {mac:?}");
    }
}

#[test]
fn t08_cut_off_bytes_are_unauthentic() {
    for (cipher, mac, ..) in pairs() {
        let (mut sealing, _) = keys(cipher, mac);
        let packet = packet(&sealing, 2);
        let bytes = sealed(&mut sealing, 0, &packet);
        for len in 0..bytes.len() {
            let (_, mut opening) = keys(cipher, mac);
            let mut cut = bytes[..len].to_vec();
            let first = len.min(opening.first_len());
            opening.packet_length(0, &mut cut[..first]);
            assert_eq!(opening.open_in_place(0, &mut cut), Err(Unauthentic), "{cipher:?} {mac:?} {len}");
            assert!(cut.iter().all(|b| *b == 0), "{cipher:?} {mac:?} {len}");
        }
    }
}

#[test]
fn a_length_that_is_not_there_is_zero() {
    for (cipher, mac, ..) in pairs() {
        let (_, mut opening) = keys(cipher, mac);
        assert_eq!(opening.packet_length(0, &mut [1; 3]), 0);
    }
    assert_eq!(OpeningKey::Clear.packet_length(0, &mut []), 0);
}

#[test]
fn keys_of_a_wrong_length_or_a_wrong_mac_are_refused() {
    for (cipher, mac, ..) in pairs() {
        let (key, iv) = (vec![0; cipher.key_len()], vec![0; cipher.iv_len()]);
        let mac_key = vec![0; mac.map_or(0, Mac::key_len)];
        let refused = |mac, key: &[u8], iv: &[u8], mac_key: &[u8]| {
            SealingKey::new(cipher, mac, key, iv, mac_key).is_none()
                && OpeningKey::new(cipher, mac, key, iv, mac_key).is_none()
        };
        let longer = |bytes: &[u8]| [bytes, &[0]].concat();
        assert!(!refused(mac, &key, &iv, &mac_key));
        assert!(refused(mac, &longer(&key), &iv, &mac_key));
        assert!(refused(mac, &key[1..], &iv, &mac_key));
        assert!(refused(mac, &key, &longer(&iv), &mac_key));
        assert!(refused(mac, &key, &iv, &longer(&mac_key)));
        assert!(mac_key.is_empty() || refused(mac, &key, &iv, &mac_key[1..]));
        let other = if mac.is_some() { None } else { Some(Mac::HmacSha256) };
        assert!(refused(other, &key, &iv, &vec![0; other.map_or(0, Mac::key_len)]));
    }
}

/// Nothing may leave in clear because a caller erred.
#[test]
fn what_cannot_be_sealed_is_zeroed() {
    for (cipher, mac, ..) in pairs() {
        let (mut sealing, _) = keys(cipher, mac);
        let tag_len = sealing.tag_len();
        for (packet_len, tag_len) in [(32, tag_len - 1), (32, tag_len + 1), (32, 0)] {
            let (mut packet, mut tag) = (vec![1; packet_len], vec![1; tag_len]);
            sealing.seal_in_place(0, &mut packet, &mut tag);
            assert!(packet.iter().chain(&tag).all(|b| *b == 0), "{cipher:?} {mac:?} {packet_len} {tag_len}");
        }
    }
}

/// An idle connection holds one of each: the handle is small, and the state behind it is less than a kilobyte.
#[test]
fn keys_are_small() {
    assert!(size_of::<SealingKey>() <= 16 && size_of::<OpeningKey>() <= 16);
    for (cipher, mac, ..) in pairs() {
        let state = match keys(cipher, mac).0 {
            SealingKey::Clear => 0,
            SealingKey::ChaCha20Poly1305(key) => size_of_val(&*key),
            SealingKey::AesGcm(key) => size_of_val(&*key),
            SealingKey::AesCtrHmac(key) => size_of_val(&*key),
        };
        assert!(state < 1024, "{cipher:?}: {state}");
    }
}

/// Short packets and long ones have different implementations: both seal as ring does, and open that only.
#[test]
fn chacha20_poly1305_is_the_same_for_packets_of_all_lengths() {
    let key: [u8; 64] = core::array::from_fn(|n| u8::try_from(n).unwrap());
    let ring = ring_openssh::SealingKey::new(&key);
    let mut sealing = SealingKey::new(Cipher::ChaCha20Poly1305, None, &key, &[], &[]).unwrap();
    let mut opening = OpeningKey::new(Cipher::ChaCha20Poly1305, None, &key, &[], &[]).unwrap();
    let around_the_bound = 10_240 - 70..10_240 + 70;
    let lengths = [4, 5, 20, 68, 1024].into_iter().chain(around_the_bound).chain([32_788, 35_000, 65_541]);
    for (length, sequence_number) in lengths.flat_map(|length| [(length, 0), (length, u32::MAX)]) {
        let packet: Vec<_> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let (mut expected, mut tag) = (packet.clone(), [0; 16]);
        ring.seal_in_place(sequence_number, &mut expected, &mut tag);
        expected.extend(tag);
        assert!(sealed(&mut sealing, sequence_number, &packet) == expected, "{length}");
        for at in
            [0, 4, length / 2, length - 1, length, length + 15].into_iter().filter(|at| *at < length + 16)
        {
            let mut changed = expected.clone();
            changed[at] ^= 1;
            assert_eq!(
                opening.open_in_place(sequence_number, &mut changed),
                Err(Unauthentic),
                "{length}: {at}"
            );
            assert!(changed.iter().all(|octet| *octet == 0), "{length}: {at}");
        }
        opening.open_in_place(sequence_number, &mut expected).unwrap();
        assert!(expected[4..length] == packet[4..], "{length}");
    }
}
