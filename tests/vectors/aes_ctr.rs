use strombus::crypto::{Cipher, Mac, OpeningKey, SealingKey};

use crate::reader::{Tally, Verdict, judge};

/// Through a key with a plain MAC, which encrypts from the first byte on.
#[test]
fn aes_ctr() {
    judge("aes-ctr.txt", Tally { valid: 20, ..Tally::default() }, |block| {
        let (key, counter) = (block.hex("KEY"), block.hex("COUNTER"));
        let (plaintext, mac) = (block.hex("PLAINTEXT"), Some(Mac::HmacSha256));
        let cipher = match key.len() {
            16 => Cipher::Aes128Ctr,
            24 => Cipher::Aes192Ctr,
            _ => Cipher::Aes256Ctr,
        };
        let mut sealing = SealingKey::new(cipher, mac, &key, &counter, &[1; 32]).unwrap();
        let (mut packet, mut tag) = (plaintext.clone(), [0; 32]);
        sealing.seal_in_place(0, &mut packet, &mut tag);
        assert_eq!(packet, block.hex("CIPHERTEXT"), "{block}");

        let mut opening = OpeningKey::new(cipher, mac, &key, &counter, &[1; 32]).unwrap();
        let mut sealed = [&*packet, &tag].concat();
        let packet_length = opening.packet_length(0, &mut sealed[..16]);
        assert_eq!(packet_length.to_be_bytes(), plaintext[..4], "{block}");
        assert_eq!(opening.open_in_place(0, &mut sealed), Ok(()), "{block}");
        assert_eq!(sealed[..plaintext.len()], plaintext, "{block}");
        Verdict::Accepted
    });
}
