//! authorized_keys: each line by itself, and what it grants.
#![no_main]
use libfuzzer_sys::fuzz_target;
use strombus::keys::authorized_keys;
use strombus::userauth::{Circumstances, Origin, Permissions};

fuzz_target!(|bytes: &[u8]| {
    let address = Some(std::net::Ipv4Addr::LOCALHOST.into());
    let login =
        Circumstances { now: 1_790_000_000, origin: Origin { address, host_name: Some("host.example") } };
    let plain = authorized_keys::plain_entries(bytes).filter(Result::is_ok).count();
    let mut unrestricted = 0;
    for entry in authorized_keys::entries(bytes) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(refused) => {
                assert!(!refused.to_string().contains(char::is_control), "what is shown is harmless");
                continue;
            }
        };
        assert!(entry.principals.is_none() || entry.cert_authority);
        let p = &entry.permissions;
        let both = p.intersect(&Permissions::FULL).expect("only one command");
        assert_eq!(
            (both.pty, both.port_forwarding, &both.force_command),
            (p.pty, p.port_forwarding, &p.force_command)
        );
        assert_eq!((&both.environment, &both.sources), (&p.environment, &p.sources));
        let granted: Vec<_> = authorized_keys::authorise(bytes, &entry.key, &login).flatten().collect();
        let is_there = granted.iter().any(|granted| granted.line() == entry.line);
        assert_eq!(is_there, !entry.cert_authority && p.admits(&login).is_ok());
        if !entry.cert_authority && p.is_unrestricted() {
            assert!(
                authorized_keys::plain_entries(bytes).flatten().any(|plain| plain.key == entry.key)
                    && is_there
            );
            unrestricted += 1;
        }
    }
    assert_eq!(plain, unrestricted);
});
