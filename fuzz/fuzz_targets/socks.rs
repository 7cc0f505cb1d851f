//! SOCKS: whatever a caller says, and however it is cut.
#![no_main]
use libfuzzer_sys::fuzz_target;
use strombus::connection::HOST_TO_CONNECT_MAX;
use strombus::driver::socks::{Handshake, Outcome, Refused, SAID_MAX, Said};

/// What is said to these bytes in pieces, the last thing first, and how many belong to it.
fn said(bytes: &[u8], size: usize) -> (Result<Vec<Said>, Refused>, usize) {
    let (mut handshake, mut all, mut taken) = (Handshake::default(), Vec::new(), 0);
    while taken < bytes.len() {
        let end = bytes.len().min(taken + size);
        match handshake.handle(&bytes[taken..end]) {
            Ok((n, one)) => {
                assert!(n > 0 && n <= end - taken);
                taken += n;
                match one {
                    Said::Incomplete => {}
                    Said::Connect { host, port } => {
                        assert!(
                            !host.is_empty() && host.len() <= HOST_TO_CONNECT_MAX && !host.contains('\0')
                        );
                        assert!(!handshake.answer(Outcome::Connected).is_empty());
                        all.push(Said::Connect { host, port });
                        return (Ok(all), taken);
                    }
                    answer => all.push(answer),
                }
            }
            Err(refused) => return (Err(refused), 0),
        }
    }
    assert!(taken <= 2 * SAID_MAX, "it does not listen for ever");
    (Ok(all), taken)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((size, bytes)) = bytes.split_first() else { return };
    assert_eq!(said(bytes, usize::from(*size).max(1)), said(bytes, usize::MAX / 2));
});
