use strombus::crypto::{Cipher, OpeningKey, SealingKey};

use crate::reader::{Block, Tally, Verdict, judge};

/// Packets of one key follow each other in the file, so that the counter of the code is checked, its wrap too.
#[test]
fn aes_gcm_ssh() {
    let mut keys = None;
    judge("aes-gcm-ssh.txt", Tally { valid: 24, ..Tally::default() }, |block| {
        if block.number("PACKET") == 0 {
            keys = Some(new_keys(block));
        }
        let (sealing, opening) = keys.as_mut().unwrap();
        let plaintext = [block.hex("LENGTH_FIELD"), block.hex("PLAINTEXT")].concat();
        let wire = block.hex("WIRE");

        let (mut packet, mut tag) = (plaintext.clone(), [0; 16]);
        // The sequence number has no part in it.
        sealing.seal_in_place(7, &mut packet, &mut tag);
        assert_eq!([packet, tag.to_vec()].concat(), wire, "{block}");

        let mut sealed = wire;
        let packet_length = opening.packet_length(8, &mut sealed[..4]);
        assert_eq!(usize::try_from(packet_length).unwrap() + 4, plaintext.len(), "{block}");
        assert_eq!(opening.open_in_place(8, &mut sealed), Ok(()), "{block}");
        assert_eq!(sealed[..plaintext.len()], plaintext, "{block}");
        Verdict::Accepted
    });
}

fn new_keys(block: &Block) -> (SealingKey, OpeningKey) {
    let cipher = match block.text("CIPHER") {
        "aes128-gcm@openssh.com" => Cipher::Aes128Gcm,
        "aes256-gcm@openssh.com" => Cipher::Aes256Gcm,
        other => panic!("{block}: {other}"),
    };
    let (key, iv) = (block.hex("KEY"), block.hex("INITIAL_IV"));
    (
        SealingKey::new(cipher, None, &key, &iv, &[]).unwrap(),
        OpeningKey::new(cipher, None, &key, &iv, &[]).unwrap(),
    )
}
