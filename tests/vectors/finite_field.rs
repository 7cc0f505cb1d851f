use strombus::crypto::Hash;
use strombus::crypto::kex::{BadGroup, Group, MODULUS_BITS_MAX, MODULUS_BITS_MIN, Method};
use strombus::wire::Reader;

use crate::Given;
use crate::reader::{Block, Tally, Verdict, judge};

/// Group 1 is passed over: 1024 bits are below what is ever used.
#[test]
fn dh_groups() {
    judge("dh-groups.txt", Tally { valid: 5, passed_over: 1, ..Tally::default() }, |block| {
        let bits = number(block, "BITS");
        let Some(group) = Group::by_size(bits, bits, bits) else {
            assert_eq!(block.number("GROUP"), 1, "{block}");
            return Verdict::PassedOver;
        };
        assert_eq!(group.p(), [vec![0], block.hex("P")].concat(), "{block}");
        assert_eq!(group.g(), block.hex("G"), "{block}");
        let p = &group.p()[1..];
        assert_eq!(Hash::Sha256.digest(p).as_bytes(), block.hex("SHA256_OF_P"), "{block}");
        Verdict::Accepted
    });
}

/// Exchanges in group 1 are passed over. Values that a peer may give for a known exponent of its own, 2 (few bits set) and
/// p − 2, are taken, as RFC 4253 §8 has it: who means to give K away can do so with any value.
#[test]
fn dh_exchange() {
    let expected = Tally { valid: 5, invalid: 7, policy_accepted: 2, passed_over: 2, ..Tally::default() };
    judge("dh-exchange.txt", expected, |block| {
        let method = match block.number("GROUP") {
            1 => return Verdict::PassedOver,
            14 => Method::DhGroup14Sha256,
            16 => Method::DhGroup16Sha512,
            18 => Method::DhGroup18Sha512,
            other => panic!("{block}: {other}"),
        };
        let exponent = |key: &str| {
            let bytes = block.get(key).map_or_else(|| vec![77; 64], |_| block.hex(key));
            [vec![0; 64 - bytes.len()], bytes].concat()
        };
        let (x, y) = (exponent("X"), exponent("Y"));
        let f = contents(&block.hex("F"));
        let ephemeral = method.client_start(&mut Given(&x));
        let e = ephemeral.public().to_vec();
        let client_k = ephemeral.agree(&f);
        if block.get("E").is_none() {
            // A server judges e by the same rule.
            assert_eq!(method.respond(&f, &mut Given(&y)).is_ok(), client_k.is_ok(), "{block}");
            return if client_k.is_ok() { Verdict::Accepted } else { Verdict::Refused };
        }
        let (public, server_k) = method.respond(&e, &mut Given(&y)).unwrap();
        assert_eq!((e, public), (contents(&block.hex("E")), f), "{block}");
        assert_eq!(
            (client_k.unwrap().encoded(), server_k.encoded()),
            (&*block.hex("K"), &*block.hex("K")),
            "{block}"
        );
        Verdict::Accepted
    });
}

/// The sizes of requests, and the groups of SSH_MSG_KEX_DH_GEX_GROUP. A request from 1024 bits up is met by 2048, one
/// beyond 8192 is not refused for that; a group of 1024 bits is refused. The old request of one number is not spoken.
#[test]
fn dh_gex() {
    let expected = Tally { valid: 5, invalid: 10, policy_accepted: 2, policy_refused: 1, passed_over: 1 };
    judge("dh-gex.txt", expected, |block| {
        if block.get("MIN").is_some() {
            let group = Group::by_size(number(block, "MIN"), number(block, "N"), number(block, "MAX"));
            let Some(group) = group else { return Verdict::Refused };
            assert_eq!(group.p().len() as u64, number(block, "N").max(MODULUS_BITS_MIN) as u64 / 8 + 1);
            return Verdict::Accepted;
        }
        if block.text("REASON") == "SSH_MSG_KEX_DH_GEX_REQUEST_OLD" {
            return Verdict::PassedOver;
        }
        let message = block.hex("MESSAGE");
        let mut r = Reader::new(&message[1..]);
        let (p, g) = (r.string().unwrap(), r.string().unwrap());
        assert_eq!(r.finish(), Ok(()), "{block}");
        let expected = match block.text("REASON").split_once(',').unwrap().1 {
            "group14" => None,
            "1024-bits" => Some(BadGroup::Size),
            "negative-p" | "even-p" => Some(BadGroup::Modulus),
            "g=0" | "g=1" | "g=p-1" => Some(BadGroup::Generator),
            other => panic!("{block}: {other}"),
        };
        let judged = Group::from_peer(p, g, MODULUS_BITS_MIN, MODULUS_BITS_MAX);
        assert_eq!(judged.as_ref().err(), expected.as_ref(), "{block}");
        let Ok(group) = judged else { return Verdict::Refused };
        assert_eq!((&*group.p(), &*group.g()), (p, g), "{block}");
        Verdict::Accepted
    });
}

fn number(block: &Block, key: &str) -> u32 {
    u32::try_from(block.number(key)).unwrap()
}

fn contents(mpint: &[u8]) -> Vec<u8> {
    Reader::new(mpint).string().unwrap().to_vec()
}
