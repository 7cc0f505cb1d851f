//! Keys in hardware tokens: sk-ssh-ed25519@openssh.com and sk-ecdsa-sha2-nistp256@openssh.com (OpenSSH's PROTOCOL.u2f).
//!
//! Public keys and verification only: a token signs through an agent. What a token signs is not the message, but hashes of
//! the application's name and of the message, with flags and a counter between them. It does not know whether the flags are
//! enough for the purpose; webauthn signatures, which wrap the message once more, are not taken.

use core::fmt;

use super::ecdsa::Curve;
use super::{BadSignature, KeyError, ecdsa, ed25519};
use crate::crypto::Hash;
use crate::wire::{DecodeError, Reader, Writer};

/// The name of the algorithm with Ed25519 and of its keys.
pub const ED25519_NAME: &str = "sk-ssh-ed25519@openssh.com";

/// The name of the algorithm with ECDSA over P-256 and of its keys.
pub const ECDSA_NAME: &str = "sk-ecdsa-sha2-nistp256@openssh.com";

/// A token's key and the application that it is for.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: Key,
    application: Box<[u8]>,
}

#[derive(Clone, PartialEq, Eq)]
enum Key {
    Ed25519(ed25519::PublicKey),
    /// Over P-256.
    Ecdsa(ecdsa::PublicKey),
}

impl PublicKey {
    /// Reads the fields behind [`ED25519_NAME`].
    pub(super) fn decode_ed25519(r: &mut Reader<'_>) -> Result<Self, KeyError> {
        let key = Key::Ed25519(ed25519::PublicKey::decode(r)?);
        Ok(Self { key, application: r.string()?.into() })
    }

    /// Reads the fields behind [`ECDSA_NAME`].
    pub(super) fn decode_ecdsa(r: &mut Reader<'_>) -> Result<Self, KeyError> {
        let key = Key::Ecdsa(ecdsa::PublicKey::decode(Curve::Nistp256, r)?);
        Ok(Self { key, application: r.string()?.into() })
    }

    /// Writes the fields behind the type name.
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        match &self.key {
            Key::Ed25519(key) => w.string(key.as_bytes()),
            Key::Ecdsa(key) => key.encode(w),
        }
        w.string(&self.application);
    }

    /// The type name.
    #[must_use]
    pub const fn key_type(&self) -> &'static str {
        match self.key {
            Key::Ed25519(_) => ED25519_NAME,
            Key::Ecdsa(_) => ECDSA_NAME,
        }
    }

    /// The application that the key is for; `ssh:` or what begins so. Any bytes.
    #[must_use]
    pub const fn application(&self) -> &[u8] {
        &self.application
    }

    /// Checks the signature, and that it is over these flags and this counter.
    pub(super) fn verify(
        &self,
        message: &[u8],
        signature: &[u8],
        flags: SkFlags,
    ) -> Result<(), BadSignature> {
        let signed = [
            Hash::Sha256.digest(&self.application).as_bytes(),
            &[flags.flags],
            &flags.counter.to_be_bytes(),
            Hash::Sha256.digest(message).as_bytes(),
        ]
        .concat();
        match &self.key {
            Key::Ed25519(key) => key.verify(&signed, signature),
            Key::Ecdsa(key) => key.verify(&signed, signature),
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Key::Ed25519(key) => key.fmt(f)?,
            Key::Ecdsa(key) => key.fmt(f)?,
        }
        write!(f, " {}", self.application.escape_ascii())
    }
}

/// What a token says about a signature that it made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkFlags {
    flags: u8,
    counter: u32,
}

impl SkFlags {
    /// Reads what follows the signature in its blob: `byte flags, uint32 counter`.
    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { flags: r.byte()?, counter: r.uint32()? })
    }

    /// Somebody touched the token.
    #[must_use]
    pub const fn user_present(self) -> bool {
        self.flags & 0x01 != 0
    }

    /// The token knows who did: by PIN or by a finger.
    #[must_use]
    pub const fn user_verified(self) -> bool {
        self.flags & 0x04 != 0
    }

    /// The token's count of signatures; 0 throughout for tokens that have none.
    #[must_use]
    pub const fn counter(self) -> u32 {
        self.counter
    }
}
