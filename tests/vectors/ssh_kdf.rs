use strombus::crypto::Hash;
use strombus::crypto::kdf::derive;
use strombus::crypto::kex::SharedSecret;

use crate::reader::{Block, Tally, Verdict, judge};

#[test]
fn ssh_kdf() {
    judge("ssh-kdf.txt", Tally { valid: 31, passed_over: 9, ..Tally::default() }, six_keys);
}

#[test]
fn ssh_kdf_acvp() {
    judge("ssh-kdf-acvp.txt", Tally { valid: 27, passed_over: 9, ..Tally::default() }, six_keys);
}

fn six_keys(block: &Block) -> Verdict {
    let hash = match block.text("HASH") {
        "sha256" => Hash::Sha256,
        "sha384" => Hash::Sha384,
        "sha512" => Hash::Sha512,
        // No key exchange here has SHA-1.
        "sha1" => return Verdict::PassedOver,
        other => panic!("{block}: {other}"),
    };
    let k = shared_secret(block);
    assert_eq!(k.encoded(), block.hex("K"), "{block}");
    let (h, session_id) = (block.hex("H"), block.hex("SESSION_ID"));
    for (letter, name) in (b'A'..).zip(["IV_C2S", "IV_S2C", "KEY_C2S", "KEY_S2C", "MAC_C2S", "MAC_S2C"]) {
        let expected = block.hex(name);
        let mut out = vec![0; expected.len()];
        derive(hash, &k, &h, letter, &session_id, &mut out);
        assert_eq!(out, expected, "{block}: {name}");
    }
    Verdict::Accepted
}

/// From the raw secret where the block has it, otherwise from the contents of the encoded one.
fn shared_secret(block: &Block) -> SharedSecret {
    let secret = block.get("SECRET").map_or_else(|| block.hex("K").split_off(4), |_| block.hex("SECRET"));
    match block.get("K_ENCODING").unwrap_or("mpint") {
        "mpint" => SharedSecret::from_mpint(&secret),
        "string" => SharedSecret::from_string(&secret),
        other => panic!("{block}: {other}"),
    }
}
