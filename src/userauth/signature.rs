//! What a `publickey` signature is made over (RFC 4252 §7).

use super::CONNECTION_SERVICE;
use crate::wire::message::UserauthRequest;
use crate::wire::{Encode, Writer};

/// The name of the method.
pub(super) const PUBLICKEY: &[u8] = b"publickey";

/// The method fields without the signature: `boolean TRUE, string algorithm, string blob`.
pub(super) fn signed_fields(algorithm: &str, blob: &[u8]) -> Vec<u8> {
    let mut fields = Vec::new();
    let mut w = Writer::new(&mut fields);
    w.boolean(true);
    w.string(algorithm.as_bytes());
    w.string(blob);
    fields
}

/// The session identifier and the request as far as the signature. Both sides build it from what they know, so that a
/// signature for another session, user, service or algorithm does not fit.
pub(super) fn signed_data(session_id: &[u8], user_name: &[u8], algorithm: &str, blob: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    let mut w = Writer::new(&mut data);
    w.string(session_id);
    w.byte(UserauthRequest::NUMBER);
    w.string(user_name);
    w.string(CONNECTION_SERVICE);
    w.string(PUBLICKEY);
    w.bytes(&signed_fields(algorithm, blob));
    data
}

#[cfg(test)]
mod tests {
    use super::signed_data;
    use crate::wire::Reader;

    /// The whole of the data is in the file; its fields are those of the other lines.
    #[test]
    fn t44_the_signed_data_is_that_of_the_vectors() {
        let mut seen = 0;
        for block in include_str!("../../vectors/userauth-signature.txt").split("\n\n").skip(1) {
            let text = |key: &str| block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
            let hex = |key: &str| -> Vec<u8> {
                let digits = text(key).unwrap();
                let octet = |i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap();
                (0..digits.len()).step_by(2).map(octet).collect()
            };
            let expected = hex("SIGNED_DATA");
            // The key's blob is the last field.
            let mut r = Reader::new(&expected);
            let (session_id, _) = (r.string().unwrap(), r.byte().unwrap());
            let (user_name, _, _, _) = (r.string().unwrap(), r.string(), r.string(), r.boolean());
            let (algorithm, blob) = (r.string().unwrap(), r.string().unwrap());
            assert_eq!((session_id, user_name), (&*hex("SESSION_ID"), &*hex("USER")));
            assert_eq!(algorithm, text("ALGORITHM").unwrap().as_bytes());
            let data = signed_data(session_id, user_name, text("ALGORITHM").unwrap(), blob);
            assert_eq!(data, expected);
            seen += 1;
        }
        assert_eq!(seen, 9);
    }
}
