use strombus::crypto::Hash;

use crate::reader::{Tally, Verdict, judge};

#[test]
fn sha1() {
    digests("sha1.txt", 23, Hash::Sha1);
}

#[test]
fn sha256() {
    digests("sha256.txt", 23, Hash::Sha256);
}

#[test]
fn sha384() {
    digests("sha384.txt", 30, Hash::Sha384);
}

#[test]
fn sha512() {
    digests("sha512.txt", 30, Hash::Sha512);
}

fn digests(file: &str, valid: usize, hash: Hash) {
    judge(file, Tally { valid, ..Tally::default() }, |block| {
        let message = block.hex("MSG");
        let mut state = hash.start();
        (0..block.number("REPEAT")).for_each(|_| state.update(&message));
        let digest = state.finish();
        assert_eq!(digest.as_bytes(), block.hex("DIGEST"), "{block}");
        assert_eq!(digest.as_bytes().len(), hash.digest_len());
        Verdict::Accepted
    });
}
