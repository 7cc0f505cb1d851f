//! Signals that a client sends to what runs in a session.

use super::raw::Raw;
use super::*;

#[test]
fn a_signal_reaches_a_command_with_and_without_a_terminal_and_its_end_is_told() {
    let case = Case::new(None, None, &[]);
    let mut raw = Raw::log_in(&case);
    for has_terminal in [false, true] {
        let id = raw.open().unwrap();
        if has_terminal {
            raw.terminal(id);
        }
        raw.exec(id, "trap 'echo got' USR1; echo ready; while :; do sleep 1; done");
        assert_eq!(raw.line(), "ready");
        raw.channel(id).send_signal(b"USR1").unwrap();
        // The shell may tell on the terminal what the signal did to its child.
        while raw.line() != "got" {}
        // Which signal this is meant to be nobody knows.
        raw.channel(id).send_signal(b"NONSENSE").unwrap();
        raw.channel(id).send_signal(b"TERM").unwrap();
        assert_eq!(raw.end(), Err("TERM".to_owned()), "terminal: {has_terminal}");
    }
    let pid = case.server.running.child.id();
    eventually("the group has ended, and was waited for", || children(pid).is_empty());
}

#[test]
fn t80_a_signal_does_nothing_to_a_command_that_is_forced() {
    let case = Case::new(None, None, &[]);
    let key = fs::read_to_string(case.files.path("user_key.pub")).unwrap();
    let forced = r#"command="trap 'echo got' USR1; echo ready; read line; echo read $line; exit 7" "#;
    case.files.write("authorized_keys", &format!("{forced}{key}"));
    let mut raw = Raw::log_in(&case);
    for has_terminal in [false, true] {
        let id = raw.open().unwrap();
        if has_terminal {
            raw.terminal(id);
        }
        raw.exec(id, "true");
        assert_eq!(raw.line(), "ready");
        for signal in ["USR1", "TERM", "KILL"] {
            raw.channel(id).send_signal(signal.as_bytes()).unwrap();
        }
        // What comes behind them is taken after them.
        assert_eq!(raw.channel(id).write(b"this\n"), 5);
        assert_eq!(raw.end(), Ok(7), "terminal: {has_terminal}");
        let said = raw.rest();
        assert!(said.contains("read this") && !said.contains("got"), "terminal: {has_terminal}: {said}");
    }
}
