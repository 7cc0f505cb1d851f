//! What a `publickey` signature is made over (RFC 4252 §7, OpenSSH PROTOCOL §3.1).

use super::CONNECTION_SERVICE;
use crate::wire::message::UserauthRequest;
use crate::wire::{Encode, Writer};

/// The name of the method.
pub(super) const PUBLICKEY: &[u8] = b"publickey";
/// The same method, whose signature covers the host key too.
pub(super) const PUBLICKEY_HOSTBOUND: &[u8] = b"publickey-hostbound-v00@openssh.com";

/// What a signature binds besides session, user and key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binding<'a> {
    /// Nothing: `publickey`.
    Session,
    /// K_S of the first exchange: `publickey-hostbound-v00@openssh.com`.
    HostKey(&'a [u8]),
}

impl Binding<'_> {
    pub(super) const fn method_name(self) -> &'static [u8] {
        match self {
            Self::Session => PUBLICKEY,
            Self::HostKey(_) => PUBLICKEY_HOSTBOUND,
        }
    }

    /// The method fields without the signature: `boolean TRUE, string algorithm, string blob`, and the host key.
    pub(super) fn signed_fields(self, algorithm: &str, blob: &[u8]) -> Vec<u8> {
        let mut fields = Vec::new();
        let mut w = Writer::new(&mut fields);
        w.boolean(true);
        w.string(algorithm.as_bytes());
        w.string(blob);
        if let Self::HostKey(k_s) = self {
            w.string(k_s);
        }
        fields
    }

    /// The session identifier and the request as far as the signature. Both sides build it from what they know, so that
    /// a signature for another session, user, service, algorithm or host does not fit.
    pub(super) fn signed_data(
        self,
        session_id: &[u8],
        user_name: &[u8],
        algorithm: &str,
        blob: &[u8],
    ) -> Vec<u8> {
        let mut data = Vec::new();
        let mut w = Writer::new(&mut data);
        w.string(session_id);
        w.byte(UserauthRequest::NUMBER);
        w.string(user_name);
        w.string(CONNECTION_SERVICE);
        w.string(self.method_name());
        w.bytes(&self.signed_fields(algorithm, blob));
        data
    }
}

#[cfg(test)]
mod tests {
    use super::Binding;
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
            let data = Binding::Session.signed_data(session_id, user_name, text("ALGORITHM").unwrap(), blob);
            assert_eq!(data, expected);
            seen += 1;
        }
        assert_eq!(seen, 9);
    }
}
