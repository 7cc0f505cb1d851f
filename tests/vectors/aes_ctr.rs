use aes::{Aes128Enc, Aes192Enc};
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use strombus::crypto::{Cipher, Mac, OpeningKey, SealingKey};

use crate::reader::{Block, Tally, Verdict, judge};

/// aes256-ctr through a key with a plain MAC, which encrypts from the first byte on; the other key lengths as the crates
/// have them.
#[test]
fn aes_ctr() {
    judge("aes-ctr.txt", Tally { valid: 20, ..Tally::default() }, |block| {
        let (key, counter) = (block.hex("KEY"), block.hex("COUNTER"));
        let mut bytes = block.hex("PLAINTEXT");
        match key.len() {
            16 => Ctr128BE::<Aes128Enc>::new_from_slices(&key, &counter).unwrap().apply_keystream(&mut bytes),
            24 => Ctr128BE::<Aes192Enc>::new_from_slices(&key, &counter).unwrap().apply_keystream(&mut bytes),
            _ => aes256_ctr(block, &key, &counter, &mut bytes),
        }
        assert_eq!(bytes, block.hex("CIPHERTEXT"), "{block}");
        Verdict::Accepted
    });
}

fn aes256_ctr(block: &Block, key: &[u8], counter: &[u8], bytes: &mut [u8]) {
    let mac = Some(Mac::HmacSha256);
    let mut sealing = SealingKey::new(Cipher::Aes256Ctr, mac, key, counter, &[1; 32]).unwrap();
    let mut tag = [0; 32];
    sealing.seal_in_place(0, bytes, &mut tag);

    let mut opening = OpeningKey::new(Cipher::Aes256Ctr, mac, key, counter, &[1; 32]).unwrap();
    let plaintext = block.hex("PLAINTEXT");
    let mut sealed = [&*bytes, &tag].concat();
    let packet_length = opening.packet_length(0, &mut sealed[..16]);
    assert_eq!(packet_length.to_be_bytes(), plaintext[..4], "{block}");
    assert_eq!(opening.open_in_place(0, &mut sealed), Ok(()), "{block}");
    assert_eq!(sealed[..plaintext.len()], plaintext, "{block}");
}
