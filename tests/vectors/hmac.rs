use hmac::{Hmac, KeyInit};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use strombus::crypto::{Cipher, Mac, OpeningKey};

use crate::reader::{Block, Tally, Verdict, judge};

/// All as the crate has it; and what is long enough for a packet (a sequence number, a length) as the MAC of an encrypted
/// packet too. HMAC fills a short key up with zeros, so that it has a form of the length that SSH uses.
fn check<M: hmac::Mac + KeyInit>(block: &Block, mac: Mac, as_packets: &mut usize) -> Verdict {
    let (mut key, message, tag) = (block.hex("KEY"), block.hex("MSG"), block.hex("TAG"));
    let keyed = <M as KeyInit>::new_from_slice(&key).unwrap();
    let holds = keyed.chain_update(&message).verify_slice(&tag).is_ok();
    key.resize(key.len().max(mac.key_len()), 0);
    if let Some((sequence_number, packet)) = message.split_first_chunk()
        && packet.len() >= 4
        && let Some(mut opening) = OpeningKey::new(Cipher::Aes128Ctr, Some(mac), &[2; 16], &[3; 16], &key)
    {
        let mut sealed = [packet, &tag].concat();
        let opened = opening.open_in_place(u32::from_be_bytes(*sequence_number), &mut sealed);
        assert_eq!(opened.is_ok(), holds, "{block}");
        *as_packets += 1;
    }
    if holds { Verdict::Accepted } else { Verdict::Refused }
}

#[test]
fn hmac_sha1() {
    let mut as_packets = 0;
    judge("hmac-sha1.txt", Tally { valid: 22, invalid: 27, ..Tally::default() }, |block| {
        check::<Hmac<Sha1>>(block, Mac::HmacSha1Etm, &mut as_packets)
    });
    assert!(as_packets > 5, "{as_packets}");
}

#[test]
fn hmac_sha256() {
    let mut as_packets = 0;
    judge("hmac-sha256.txt", Tally { valid: 21, invalid: 27, ..Tally::default() }, |block| {
        check::<Hmac<Sha256>>(block, Mac::HmacSha256Etm, &mut as_packets)
    });
    assert!(as_packets > 5, "{as_packets}");
}

#[test]
fn hmac_sha512() {
    let mut as_packets = 0;
    judge("hmac-sha512.txt", Tally { valid: 21, invalid: 27, ..Tally::default() }, |block| {
        check::<Hmac<Sha512>>(block, Mac::HmacSha512Etm, &mut as_packets)
    });
    assert!(as_packets > 5, "{as_packets}");
}
