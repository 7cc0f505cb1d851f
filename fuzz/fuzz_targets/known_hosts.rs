//! known_hosts: verdicts, appended lines, and updates that change nothing else.
#![no_main]
use libfuzzer_sys::fuzz_target;
use strombus::crypto::sign::PrivateKey;
use strombus::crypto::{Rng, Secret};
use strombus::keys::known_hosts::{self, File, Host, NameForm, Verdict};

/// Salts need not be random here.
struct Zeros;

impl Rng for Zeros {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(0);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let [key, new] = [7, 8].map(|seed| PrivateKey::ed25519_from_seed(&Secret::new([seed; 32])).public_key());
    let files = [File { name: "known_hosts", contents: bytes }];
    for (name, port) in [("host.example", 22), ("10.0.0.1", 2222)] {
        let host = Host::new(name, port).expect("a host name");
        let _ = known_hosts::key_types(&files, &host);
        let _ = known_hosts::has_authority(&files, &host);
        let verdict = known_hosts::lookup(&files, &host, &key);
        for hashed in [false, true] {
            let form = if hashed { NameForm::Hashed(&mut Zeros) } else { NameForm::Plain };
            let line = known_hosts::line_to_append(bytes, &host, &key, form);
            if matches!(verdict, Ok(Verdict::Unknown)) && bytes.len() < 4096 {
                let longer = [bytes, line.as_bytes()].concat();
                let files = [File { name: "known_hosts", contents: &longer }];
                assert!(matches!(known_hosts::lookup(&files, &host, &key), Ok(Verdict::Known(_))));
                update(&longer, &host, &[key.clone(), new.clone()]);
            }
        }
    }
});

/// A host that is known by the first of the keys announces both.
fn update(contents: &[u8], host: &Host, announced: &[strombus::crypto::sign::PublicKey; 2]) {
    let files = [File { name: "known_hosts", contents }];
    let Ok(plan) = known_hosts::plan_update(&files, host, &announced[0], announced) else { return };
    let to_do = !plan.to_prove.is_empty() || plan.to_remove > 0;
    let after = known_hosts::updated(contents, host, announced, plan.to_prove, NameForm::Plain);
    assert_eq!(after.is_some(), to_do);
    let Some(after) = after else { return };
    let files = [File { name: "known_hosts", contents: &after }];
    for key in announced {
        assert!(matches!(known_hosts::lookup(&files, host, key), Ok(Verdict::Known(_))));
    }
    let again = known_hosts::plan_update(&files, host, &announced[0], announced).expect("as before");
    assert!(again.to_prove.is_empty() && again.to_remove == 0);
}
