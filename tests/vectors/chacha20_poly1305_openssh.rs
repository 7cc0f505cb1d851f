use strombus::crypto::{Cipher, OpeningKey, SealingKey, Unauthentic};

use crate::reader::{Tally, Verdict, judge};

#[test]
fn chacha20_poly1305_openssh() {
    let expected = Tally { valid: 53, invalid: 5, ..Tally::default() };
    judge("chacha20-poly1305-openssh.txt", expected, |block| {
        let key = block.hex("KEY");
        let sequence_number = u32::try_from(block.number("SEQUENCE_NUMBER")).unwrap();
        let mut sealed = [block.hex("CIPHERTEXT"), block.hex("TAG")].concat();
        let mut opening = OpeningKey::new(Cipher::ChaCha20Poly1305, None, &key, &[], &[]).unwrap();
        let packet_length = opening.packet_length(sequence_number, &mut sealed[..4]);
        if opening.open_in_place(sequence_number, &mut sealed) == Err(Unauthentic) {
            return Verdict::Refused;
        }
        let plaintext = block.hex("PLAINTEXT");
        assert_eq!(packet_length.to_be_bytes(), plaintext[..4], "{block}");
        assert_eq!(sealed[4..plaintext.len()], plaintext[4..], "{block}");

        let mut sealing = SealingKey::new(Cipher::ChaCha20Poly1305, None, &key, &[], &[]).unwrap();
        let (mut packet, mut tag) = (plaintext, [0; 16]);
        sealing.seal_in_place(sequence_number, &mut packet, &mut tag);
        assert_eq!((packet, tag.to_vec()), (block.hex("CIPHERTEXT"), block.hex("TAG")), "{block}");
        Verdict::Accepted
    });
}
