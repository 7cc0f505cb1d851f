use std::fmt::Debug;

use strombus::crypto::kex::{Ephemeral, KeyExchange, SharedSecret};
use strombus::crypto::sign::PrivateKey;
use strombus::crypto::sign::ecdsa::Curve;
use strombus::crypto::sign::rsa::Components;
use strombus::crypto::{Cipher, Hash, Mac, OpeningKey, SealingKey, Secret};
use strombus::keys::private_key;
use strombus::transport::algorithms::KEX;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::rng::SeededRng;

/// Text that carries an octet has digits; none of these names of types and variants has any, but in the words removed.
fn assert_says_nothing(value: &impl Debug) {
    for text in [format!("{value:?}"), format!("{value:#?}")] {
        let words = text.replace("ChaCha20Poly1305", "").replace("Ed25519", "");
        assert!(!words.contains(|c: char| c.is_ascii_digit()), "{text}");
    }
}

#[test]
fn t38_debug_of_secrets_says_nothing() {
    let mut rng = SeededRng::new(38);
    assert_says_nothing(&Secret::<32>::random(&mut rng));
    assert_says_nothing(&SharedSecret::from_mpint(&[77; 32]));
    for row in KEX {
        if let KeyExchange::OneStep(method) = row.algorithm {
            assert_says_nothing(&method.client_start(&mut rng));
        }
    }
    let mut state = Hash::Sha512.start();
    state.update(&[77; 32]);
    assert_says_nothing(&state);
    let rsa = private_key::parse(include_bytes!("../../vectors/keys/rsa-2048")).unwrap().plain().unwrap().key;
    let ecdsa = [Curve::Nistp256, Curve::Nistp384, Curve::Nistp521];
    let ecdsa = ecdsa.map(|curve| PrivateKey::generate_ecdsa(curve, &mut rng));
    for key in ecdsa.into_iter().chain([PrivateKey::generate_ed25519(&mut rng), rsa]) {
        assert_says_nothing(&key);
        match &key {
            PrivateKey::Ed25519(inner) => assert_says_nothing(inner),
            PrivateKey::Ecdsa(inner) => assert_says_nothing(inner),
            PrivateKey::Rsa(inner) => assert_says_nothing(inner),
        }
    }
    let one = &[77; 9];
    assert_says_nothing(&Components { n: one, e: one, d: one, iqmp: one, p: one, q: one });
    for (cipher, mac) in [
        (Cipher::ChaCha20Poly1305, None),
        (Cipher::Aes128Gcm, None),
        (Cipher::Aes256Gcm, None),
        (Cipher::Aes256Ctr, Some(Mac::HmacSha256)),
        (Cipher::Aes192Ctr, Some(Mac::HmacSha512Etm)),
        (Cipher::Aes128Ctr, Some(Mac::HmacSha1)),
    ] {
        let (key, iv, mac_key) =
            (vec![77; cipher.key_len()], vec![77; cipher.iv_len()], vec![77; mac.map_or(0, Mac::key_len)]);
        assert_says_nothing(&SealingKey::new(cipher, mac, &key, &iv, &mac_key).unwrap());
        assert_says_nothing(&OpeningKey::new(cipher, mac, &key, &iv, &mac_key).unwrap());
    }
}

/// Reading memory after a drop needs unsafe code; what can be said without it is that the drop calls what was seen to wipe.
#[test]
fn t38_secrets_are_wiped_when_dropped() {
    fn wiped_on_drop<T: ZeroizeOnDrop>() {}
    wiped_on_drop::<Secret<32>>();
    wiped_on_drop::<SharedSecret>();
    wiped_on_drop::<x25519_dalek::StaticSecret>();
    wiped_on_drop::<Zeroizing<p256::NonZeroScalar>>();
    wiped_on_drop::<Zeroizing<p384::NonZeroScalar>>();
    wiped_on_drop::<Zeroizing<p521::NonZeroScalar>>();
    wiped_on_drop::<p256::ecdh::SharedSecret>();
    wiped_on_drop::<p384::ecdh::SharedSecret>();
    wiped_on_drop::<p521::ecdh::SharedSecret>();
    wiped_on_drop::<ml_kem::DecapsulationKey768>();
    wiped_on_drop::<ml_kem::DecapsulationKey1024>();
    wiped_on_drop::<ed25519_dalek::SigningKey>();
    wiped_on_drop::<aes::Aes128Enc>();
    wiped_on_drop::<aes::Aes192Enc>();
    wiped_on_drop::<p256::SecretKey>();
    wiped_on_drop::<p384::SecretKey>();
    wiped_on_drop::<p521::SecretKey>();
    wiped_on_drop::<p521::ecdsa::SigningKey>();
    wiped_on_drop::<Zeroizing<crypto_bigint::BoxedUint>>();
    wiped_on_drop::<aes::Aes256Enc>();
    wiped_on_drop::<ctr::Ctr128BE<aes::Aes256>>();
    wiped_on_drop::<cbc::Decryptor<aes::Aes256>>();
    wiped_on_drop::<chacha20::ChaCha20>();
    wiped_on_drop::<blowfish::Blowfish>();
    wiped_on_drop::<md5::Md5>();

    let mut secret = Secret::new([77; 32]);
    secret.zeroize();
    assert_eq!(secret.as_bytes(), &[0; 32]);
}

#[test]
fn secrets_compare_by_value() {
    assert_eq!(Secret::new([1; 16]), Secret::new([1; 16]));
    assert_ne!(Secret::new([1; 16]), Secret::new([2; 16]));
}

/// A connection moves between threads; a host key is shared by all of them.
#[test]
fn keys_go_where_they_are_needed() {
    fn send<T: Send>() {}
    fn shared<T: Send + Sync>() {}
    send::<SealingKey>();
    send::<OpeningKey>();
    send::<Ephemeral>();
    send::<SharedSecret>();
    shared::<PrivateKey>();
}
