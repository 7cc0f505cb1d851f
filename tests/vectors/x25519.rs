use strombus::crypto::kex::{BadPublicValue, Method};

use crate::Given;
use crate::reader::{Tally, Verdict, judge};

/// The block of 1,000,000 turns takes minutes: it is passed over unless STROMBUS_LONG_VECTORS is set.
#[test]
fn x25519() {
    let long = std::env::var_os("STROMBUS_LONG_VECTORS").is_some();
    let (valid, passed_over) = if long { (111, 0) } else { (110, 1) };
    judge("x25519.txt", Tally { valid, invalid: 35, passed_over, ..Tally::default() }, |block| {
        let turns = block.get("ITERATIONS").map_or(1, |_| block.number("ITERATIONS"));
        if turns > 1000 && !long {
            return Verdict::PassedOver;
        }
        let (mut scalar, mut u) = (block.hex("SCALAR"), block.hex("U"));
        for _ in 0..turns {
            match multiply(&scalar, &u) {
                Ok(out) => u = std::mem::replace(&mut scalar, out),
                Err(BadPublicValue) => return Verdict::Refused,
            }
        }
        assert_eq!(scalar, block.hex("OUT"), "{block}");
        Verdict::Accepted
    });
}

/// Both halves of the method must say the same; the 32 bytes come back out of the encoded K.
fn multiply(scalar: &[u8], u: &[u8]) -> Result<Vec<u8>, BadPublicValue> {
    let method = Method::Curve25519;
    let as_client = method.client_start(&mut Given(scalar)).agree(u);
    let as_server = method.respond(u, &mut Given(scalar)).map(|(_, k)| k);
    assert_eq!(as_client.as_ref().map(|k| k.encoded()), as_server.as_ref().map(|k| k.encoded()));
    let k = as_client?;
    let magnitude = k.encoded()[4..].iter().copied().skip_while(|b| *b == 0).collect::<Vec<_>>();
    Ok([vec![0; 32 - magnitude.len()], magnitude].concat())
}
