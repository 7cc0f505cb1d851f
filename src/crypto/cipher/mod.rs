//! The ciphers behind [`SealingKey`](super::SealingKey) and [`OpeningKey`](super::OpeningKey), one a file.

pub(super) mod aes_ctr_hmac;
pub(super) mod aes_gcm;
pub(super) mod chacha20_poly1305;
