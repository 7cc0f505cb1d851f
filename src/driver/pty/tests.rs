use super::*;
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OutputModes, SpecialCodeIndex, Termios, tcgetpgrp, tcgetsid,
    tcgetwinsize,
};

/// Runs a command on it and reads all that it writes.
fn output(pty: &mut Pty, script: &str) -> (String, std::process::ExitStatus) {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(script);
    let mut child = pty.spawn(command).unwrap();
    let mut all = Vec::new();
    let mut chunk = [0; 1024];
    let mut poll = mio::Poll::new().unwrap();
    poll.registry().register(pty, Token(0), Interest::READABLE).unwrap();
    let mut events = mio::Events::with_capacity(1);
    loop {
        match pty.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => all.extend_from_slice(&chunk[..n]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => poll.poll(&mut events, None).unwrap(),
            Err(error) => panic!("{error}"),
        }
    }
    (String::from_utf8(all).unwrap(), child.wait().unwrap())
}

fn none() -> TerminalModes<'static> {
    TerminalModes::new(b"")
}

const SIZE: WindowSize = WindowSize { columns: 132, rows: 43, width_px: 1320, height_px: 860 };

#[test]
fn a_command_has_the_terminal_in_its_size_and_its_end_ends_the_output() {
    let mut pty = Pty::open(SIZE, none()).unwrap();
    let path = pty.path().display().to_string();
    let (shown, status) = output(&mut pty, "stty size; tty; exit 3");
    assert_eq!((shown, status.code()), (format!("43 132\r\n{path}\r\n"), Some(3)));
    assert!(pty.spawn(Command::new("true")).is_err(), "once");
}

#[test]
fn a_command_leads_a_session_that_the_terminal_controls() {
    let mut pty = Pty::open(SIZE, none()).unwrap();
    let mut command = Command::new("/bin/sh");
    let mut child = pty
        .spawn({
            command.args(["-c", "read line"]);
            command
        })
        .unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    assert_eq!((tcgetsid(&pty.master), tcgetpgrp(&pty.master)), (Ok(pid), Ok(pid)));
    drop(pty);
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(child.wait().unwrap().signal(), Some(1), "hung up");
}

#[test]
fn t81_a_size_is_clamped_before_a_terminal_has_it() {
    let huge = WindowSize { columns: u32::MAX, rows: u32::MAX, width_px: u32::MAX, height_px: u32::MAX };
    let pty = Pty::open(huge, none()).unwrap();
    let size =
        |pty: &Pty| tcgetwinsize(&pty.master).map(|size| (size.ws_col, size.ws_row, size.ws_xpixel)).unwrap();
    assert_eq!(size(&pty), (1000, 1000, 65_535));
    pty.resize(WindowSize::default()).unwrap();
    assert_eq!(size(&pty), (80, 24, 0));
    pty.resize(SIZE).unwrap();
    assert_eq!(size(&pty), (132, 43, 1320));
    pty.send_break().unwrap();
}

fn settings(pty: &Pty) -> Termios {
    tcgetattr(pty.slave.as_ref().unwrap()).unwrap()
}

#[test]
fn modes_of_one_terminal_are_those_of_the_other() {
    let first = Pty::open(SIZE, none()).unwrap();
    let slave = first.slave.as_ref().unwrap();
    let mut termios = settings(&first);
    termios.special_codes[SpecialCodeIndex::VINTR] = 5;
    termios.special_codes[SpecialCodeIndex::VSUSP] = 0;
    termios.input_modes.toggle(InputModes::IUTF8 | InputModes::IXANY | InputModes::ICRNL);
    termios.local_modes.toggle(LocalModes::ECHO | LocalModes::ECHOCTL | LocalModes::TOSTOP);
    termios.output_modes.toggle(OutputModes::ONLCR);
    termios.set_speed(9600).unwrap();
    tcsetattr(slave, OptionalActions::Now, &termios).unwrap();
    let encoded = modes::encode(&settings(&first));
    let second = Pty::open(SIZE, TerminalModes::new(&encoded)).unwrap();
    let (a, b) = (settings(&first), settings(&second));
    assert_eq!(
        (a.input_modes, a.local_modes, a.output_modes),
        (b.input_modes, b.local_modes, b.output_modes)
    );
    assert_eq!(
        (a.control_modes, a.output_speed(), a.input_speed()),
        (b.control_modes, b.output_speed(), b.input_speed())
    );
    assert_eq!(b.special_codes[SpecialCodeIndex::VINTR], 5);
    assert_eq!(encoded, modes::encode(&b));
    assert_eq!(b.special_codes[SpecialCodeIndex::VSUSP], 0);
}

#[test]
fn modes_that_no_terminal_has_change_nothing() {
    let plain = Pty::open(SIZE, none()).unwrap();
    let odd: Vec<_> = [11, 15, 17, 19, 29, 43, 63, 76, 94, 127, 130, 159].map(|opcode| (opcode, 1)).into();
    // Speeds that do not exist, character sizes switched off.
    let odd = odd.into_iter().chain([(128, 7), (129, 0), (90, 0), (91, 0)]);
    let encoded = TerminalModes::encode(odd);
    let other = Pty::open(SIZE, TerminalModes::new(&encoded)).unwrap();
    assert_eq!(settings(&other).control_modes & ControlModes::CSIZE, ControlModes::CS8);
    let (a, b) = (settings(&plain), settings(&other));
    assert_eq!(
        (a.input_modes, a.local_modes, a.output_modes),
        (b.input_modes, b.local_modes, b.output_modes)
    );
}

#[test]
fn of_a_terminal_whose_command_has_ended_no_more_is_read_than_the_bound() {
    let would_block = || Err(io::ErrorKind::WouldBlock.into());
    let mut saying = Saying::default();
    // Before the end it says as much as there is room for.
    let mut blocks = [Some(4096); 100].into_iter();
    saying.pump(false, || Ok(blocks.next().flatten()));
    saying.pump(false, would_block);
    assert!(!saying.is_over());
    // Something never stops writing there.
    let mut read = 0;
    saying.pump(true, || {
        read += 4096;
        Ok(Some(4096))
    });
    assert!(saying.is_over() && read == REST_MAX + 4096, "{read}");
    saying.pump(true, || panic!("it is over"));
}

#[test]
fn a_terminal_is_silent_at_its_end_or_when_nothing_is_there_after_the_commands() {
    let of = |has_ended, result: fn() -> io::Result<Option<usize>>| {
        let mut saying = Saying::default();
        saying.pump(has_ended, result);
        saying.is_over()
    };
    for has_ended in [false, true] {
        assert_eq!(of(has_ended, || Err(io::ErrorKind::WouldBlock.into())), has_ended);
        assert!(of(has_ended, || Ok(Some(0))) && !of(has_ended, || Ok(None)));
        assert!(of(has_ended, || Err(io::ErrorKind::Other.into())));
    }
}
