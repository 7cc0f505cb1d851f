//! The ciphers behind [`SealingKey`](super::SealingKey) and [`OpeningKey`](super::OpeningKey), one a file.

pub(super) mod aes_ctr_hmac;
pub(super) mod aes_gcm;
pub(super) mod chacha20_poly1305;

/// Whether this processor has instructions for AES and for the multiplication of GCM. With them AES-GCM is the fastest
/// cipher here, without them ChaCha20-Poly1305 is.
#[must_use]
pub fn aes_is_fast() -> bool {
    #[cfg(target_arch = "x86_64")]
    let both = std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    let both =
        std::arch::is_aarch64_feature_detected!("aes") && std::arch::is_aarch64_feature_detected!("pmull");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let both = false;
    both
}
