use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;
use strombus::crypto::{Cipher, Mac, OpeningKey};

use crate::reader::{Tally, Verdict, judge};

/// All as the crate has it; and what has the shape of a packet (32 bytes of key, a sequence number, a length) as the MAC
/// of an encrypted packet too.
#[test]
fn hmac_sha256() {
    let mut as_packets = 0;
    judge("hmac-sha256.txt", Tally { valid: 21, invalid: 27, ..Tally::default() }, |block| {
        let (key, message, tag) = (block.hex("KEY"), block.hex("MSG"), block.hex("TAG"));
        let holds =
            Hmac::<Sha256>::new_from_slice(&key).unwrap().chain_update(&message).verify_slice(&tag).is_ok();
        if let (Some((sequence_number, packet)), 32) = (message.split_first_chunk(), key.len())
            && packet.len() >= 4
        {
            let mac = Some(Mac::HmacSha256Etm);
            let mut opening = OpeningKey::new(Cipher::Aes256Ctr, mac, &[2; 32], &[3; 16], &key).unwrap();
            let mut sealed = [packet, &tag].concat();
            let opened = opening.open_in_place(u32::from_be_bytes(*sequence_number), &mut sealed);
            assert_eq!(opened.is_ok(), holds, "{block}");
            as_packets += 1;
        }
        if holds { Verdict::Accepted } else { Verdict::Refused }
    });
    assert!(as_packets > 0);
}
