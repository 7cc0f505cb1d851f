//! Signals by their names on the wire (RFC 4254 §6.10), which are not the numbers of any system.

use rustix::process::Signal;

/// Those that the RFC lists: no others are sent or taken.
const SIGNALS: [(&str, Signal); 13] = [
    ("ABRT", Signal::ABORT),
    ("ALRM", Signal::ALARM),
    ("FPE", Signal::FPE),
    ("HUP", Signal::HUP),
    ("ILL", Signal::ILL),
    ("INT", Signal::INT),
    ("KILL", Signal::KILL),
    ("PIPE", Signal::PIPE),
    ("QUIT", Signal::QUIT),
    ("SEGV", Signal::SEGV),
    ("TERM", Signal::TERM),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
];

/// What OpenSSH calls a signal that the RFC does not list.
const UNLISTED: &str = "SIG@openssh.com";

/// The signal that a peer names, without `SIG`.
#[must_use]
pub fn named(signal_name: &[u8]) -> Option<Signal> {
    SIGNALS.iter().find(|(name, _)| name.as_bytes() == signal_name).map(|(_, signal)| *signal)
}

/// What a signal of this system is called on the wire.
#[must_use]
pub fn name(number: i32) -> &'static str {
    SIGNALS.iter().find(|(_, signal)| signal.as_raw() == number).map_or(UNLISTED, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t80_signals_are_those_of_the_rfc_by_their_exact_names() {
        for (text, signal) in SIGNALS {
            assert_eq!((named(text.as_bytes()), name(signal.as_raw())), (Some(signal), text));
        }
        for other in
            [&b"STOP"[..], b"CONT", b"TSTP", b"BUS", b"SIGTERM", b"term", b"", b"9", b"INFO@openssh.com"]
        {
            assert_eq!(named(other), None, "{}", other.escape_ascii());
        }
        assert_eq!([name(7), name(19), name(0), name(-1)], [UNLISTED; 4]);
    }
}
