//! What a session has only if it is asked for, and what it never has.

use super::*;

#[test]
fn a_command_has_a_terminal_if_it_is_asked_for_and_there_is_one_here() {
    for case in Case::all(&[]) {
        for (options, has_terminal) in [(&["-t"][..], true), (&[], false)] {
            let terminal = Terminal::start(&case.ssh(options, &["tty; stty size; exit 3"]));
            let screen = terminal.wait_for(ENDED);
            let what = format!("{} {options:?}: {screen}", case.name);
            assert!(screen.contains(&format!("{ENDED} 3")), "{what}");
            assert_eq!(screen.contains("/dev/pts/") && screen.contains("50 200"), has_terminal, "{what}");
            assert_eq!(screen.contains("not a tty"), !has_terminal, "{what}");
        }
        // What goes in is for the shell; a command reads nothing of it.
        for (options, command, is_told) in [
            (&["-t"][..], &["tty"][..], true),
            (&[], &["tty"], false),
            (&[], &[], true),
            (&["-T"], &[], false),
            (&["-q", "-t"], &["tty"], false),
        ] {
            let output = run(&mut case.ssh(options, command), b"tty; exit 1\n");
            let told = String::from_utf8_lossy(&output.stderr);
            let said = String::from_utf8_lossy(&output.stdout);
            let what = format!("{} {options:?} {command:?}: {said} {told}", case.name);
            assert_eq!((output.status.code(), said.ends_with("not a tty\n")), (Some(1), true), "{what}");
            let line = "Pseudo-terminal will not be allocated because stdin is not a terminal.";
            assert_eq!(told.contains(line), is_told, "{what}");
        }
    }
}

#[test]
fn x11_is_refused_as_openssh_refuses_it_and_there_is_no_display() {
    for client in Generation::ALL {
        for server in [None, Some(client)] {
            let case = Case::new(Some(client), server, &[]);
            let mut client = case.ssh(&["-Y"], &["echo \"<$DISPLAY>\""]);
            let output = run(client.env("DISPLAY", "127.0.0.1:9"), b"");
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(
                (output.status.code(), &*output.stdout),
                (Some(0), &b"<>\n"[..]),
                "{}: {told}",
                case.name
            );
            assert!(told.contains("X11 forwarding request failed on channel 0"), "{}: {told}", case.name);
        }
    }
}

#[test]
fn of_options_that_contradict_one_another_the_last_counts_and_some_mean_nothing() {
    for case in Case::all(&[]) {
        let options = ["-2", "-x", "-q", "-q", "-6", "-4", "-A", "-a", "-tt", "-T"];
        let output = run(&mut case.ssh(&options, &["tty; echo \"<$SSH_AUTH_SOCK>\""]), b"");
        let told = String::from_utf8_lossy(&output.stderr);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!((output.status.code(), &*said), (Some(0), "not a tty\n<>\n"), "{}: {told}", case.name);
    }
}
