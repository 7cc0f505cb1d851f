//! Sessions besides commands: terminals, job control, escapes, variables, subsystems, and their ends.

mod asked;
mod host;
mod left;
mod raw;
mod signals;

use super::openssh::{
    ENDED, Files, Generation, Running, Server, Terminal, children, deadline, descriptors, eventually,
    is_long, our_ssh, our_sshd, ours, resident, run, ssh, sshd, user, words,
};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// A client and a server.
struct Case {
    name: String,
    files: Files,
    server: Server,
    /// Whose ssh it is, if not ours.
    client: Option<Generation>,
}

impl Case {
    fn new(client: Option<Generation>, server: Option<Generation>, lines: &[(&str, &str)]) -> Self {
        let files = Files::new();
        let option = |(key, value): &(&str, &str), between| format!("{key}{between}{value}");
        let with = |between| lines.iter().map(|line| option(line, between)).collect::<Vec<_>>();
        let name = format!("{} to {}", called(client), called(server));
        let server = match server {
            Some(generation) => {
                let lines = with(" ");
                sshd(generation, &files, &lines.iter().map(String::as_str).collect::<Vec<_>>())
            }
            None => {
                let options = with("=");
                our_sshd(&files, &options.iter().map(String::as_str).collect::<Vec<_>>())
            }
        };
        Self { name, files, server, client }
    }

    /// Both roles with both generations, and ours with ours; the servers are configured alike.
    fn all(lines: &[(&str, &str)]) -> Vec<Self> {
        let generations = Generation::ALL.into_iter().map(Some);
        let clients = generations.clone().map(|generation| (generation, None));
        let servers = generations.map(|generation| (None, generation));
        clients.chain(servers).chain([(None, None)]).map(|(c, s)| Self::new(c, s, lines)).collect()
    }

    /// The same for our client alone.
    fn of_our_client(lines: &[(&str, &str)]) -> Vec<Self> {
        Self::all(lines).into_iter().filter(|case| case.client.is_none()).collect()
    }

    /// The client with options and what follows the destination.
    fn ssh(&self, options: &[&str], command: &[&str]) -> Command {
        let mut client = match self.client {
            Some(generation) => ssh(generation, &self.files, self.server.port),
            None => our_ssh(&self.files, self.server.port),
        };
        client.args(options).arg(format!("{}@127.0.0.1", user())).args(command);
        client
    }
}

fn called(generation: Option<Generation>) -> String {
    generation.map_or("ours".to_owned(), |generation| format!("{generation:?}"))
}

#[test]
fn a_terminal_there_has_the_modes_and_the_size_of_the_one_here() {
    let mut cases = Case::all(&[]);
    cases.insert(0, Case::new(Some(Generation::Bookworm), Some(Generation::Bookworm), &[]));
    let mut shown = Vec::new();
    for case in &cases {
        let out = case.files.text("out");
        let client = words(&case.ssh(&["-tt"], &["stty -a; tty"]));
        let settings = "stty intr ^P susp undef -echoctl iutf8 -ixon -onlcr tostop 9600";
        let terminal = Terminal::run(&format!("{settings}; {client} > {out}; echo {ENDED} $?"));
        let screen = terminal.wait_for(ENDED);
        assert!(screen.contains(&format!("{ENDED} 0")), "{}: {screen}", case.name);
        let out = fs::read_to_string(out).unwrap();
        let (settings, tty) = out.rsplit_once("/dev/pts/").unwrap_or_else(|| panic!("{}: {out}", case.name));
        assert!(tty.trim_end().parse::<u32>().is_ok(), "{}: {out}", case.name);
        assert!(settings.contains("rows 50; columns 200;") && settings.contains("intr = ^P;"), "{settings}");
        shown.push(settings.to_owned());
    }
    for (case, settings) in cases.iter().zip(&shown) {
        assert_eq!(settings, &shown[0], "{}", case.name);
    }
}

#[test]
fn a_shell_with_an_editor_and_jobs_follows_the_window_and_the_keys() {
    for case in Case::all(&[]) {
        let terminal = Terminal::start(&case.ssh(&[], &[]));
        terminal.send("echo ready-$((1+1)) $TERM $(tty)");
        let screen = terminal.wait_for("ready-2");
        assert!(screen.contains("/dev/pts/"), "{}: {screen}", case.name);
        terminal.send(&format!("vi -u NONE {}; clear; echo left-$((1+1))", case.files.text("edited")));
        terminal.wait_for("[New File]");
        for (columns, rows) in [(100, 30), (151, 41)] {
            terminal.resize(columns, rows);
            // What the editor is told and what it draws come at different times.
            let told = format!("size {columns} {rows}");
            let (_never, tick) = channel::<()>();
            let mut screen = String::new();
            for _ in 0..100 {
                terminal.send(":echo 'size' &columns &lines");
                let _tick = tick.recv_timeout(Duration::from_millis(100));
                screen = terminal.screen();
                if screen.contains(&told) {
                    break;
                }
            }
            assert!(screen.contains(&told), "{}: {screen}", case.name);
        }
        terminal.send("ione line");
        terminal.key("Escape");
        terminal.send(":wq");
        terminal.wait_for("left-2");
        assert_eq!(fs::read_to_string(case.files.path("edited")).unwrap(), "one line\n\n", "{}", case.name);
        // Keys are for what is in the foreground: it says when it is.
        terminal.send("sh -c 'echo job-$((1+1)); exec sleep 1000'");
        terminal.wait_for("job-2");
        terminal.key("C-z");
        terminal.wait_for("Stopped");
        terminal.send("kill -9 %1; wait %1; echo gone-$((1+1))");
        terminal.wait_for("gone-2");
        terminal.send("sh -c 'echo go-$((1+1)); exec sleep 1000'; echo never");
        terminal.wait_for("\ngo-2");
        terminal.key("C-c");
        terminal.send("echo int-$?");
        terminal.wait_for("int-130");
        terminal.send("exit 3");
        let screen = terminal.wait_for(ENDED);
        assert!(screen.contains(&format!("{ENDED} 3")), "{}: {screen}", case.name);
        assert!(screen.contains("Connection to 127.0.0.1 closed."), "{}: {screen}", case.name);
    }
}

/// How a session comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Normal,
    Escape,
    Signal,
    Cut,
}

#[test]
fn the_terminal_here_is_as_it_was_before_however_the_session_ends() {
    for end in [End::Normal, End::Escape, End::Signal, End::Cut] {
        for mut case in Case::of_our_client(&[]) {
            let (before, after) = (case.files.text("before"), case.files.text("after"));
            let pid = case.files.text("pid");
            let client = words(&case.ssh(&[], &[])).replace('\'', "\"");
            let terminal = Terminal::run(&format!(
                "stty -g > {before}; sh -c 'echo $$ > {pid}; exec {client}'; s=$?; stty -g > {after}; echo {ENDED} $s"
            ));
            terminal.send("echo ready-$((1+1))");
            terminal.wait_for("ready-2");
            let status = match end {
                End::Normal => {
                    terminal.send("exit 0");
                    0
                }
                End::Escape => {
                    terminal.send("");
                    terminal.send("~.");
                    255
                }
                End::Signal => {
                    let pid = fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
                    kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
                    128 + 15
                }
                End::Cut => {
                    // The servers of OpenSSH have processes for the connection, the shell among them; some end with another.
                    for child in descendants(case.server.running.child.id()) {
                        let killed = kill_process(Pid::from_raw(child).unwrap(), Signal::KILL);
                        assert!(matches!(killed, Ok(()) | Err(Errno::SRCH)), "{killed:?}");
                    }
                    case.server.running.signal(Signal::KILL);
                    case.server.running.wait();
                    255
                }
            };
            let screen = terminal.wait_for(ENDED);
            assert!(screen.contains(&format!("{ENDED} {status}")), "{end:?} {}: {screen}", case.name);
            assert!(!screen.contains("panicked"), "{end:?} {}: {screen}", case.name);
            let [before, after] = [before, after].map(|path| fs::read_to_string(path).unwrap());
            assert_eq!(before, after, "{end:?} {}", case.name);
        }
    }
}

#[test]
fn ssh_stops_and_goes_on_at_an_escape_and_shows_the_list_of_them() {
    let case = Case::new(None, None, &[]);
    let client = words(&case.ssh(&[], &[]));
    let before = case.files.text("before");
    let terminal = Terminal::run(&format!(
        "stty -g > {before}; set -m; {client}; stty -g | cmp - {before} && echo same; fg; echo {ENDED} $?"
    ));
    terminal.send("echo ready-$((1+1))");
    terminal.wait_for("ready-2");
    terminal.send("~?");
    terminal.wait_for("Supported escape sequences");
    terminal.send("");
    terminal.key("~");
    terminal.key("C-z");
    terminal.wait_for("same");
    terminal.send("echo again-$((1+1)) ~~");
    terminal.wait_for("again-2");
    terminal.send("exit 4");
    let screen = terminal.wait_for(ENDED);
    assert!(screen.contains(&format!("{ENDED} 4")), "{screen}");
}

#[test]
fn an_escape_sends_a_break_and_the_session_goes_on() {
    for server in [None, Some(Generation::Bookworm), Some(Generation::Trixie)] {
        let lines: &[_] = if server.is_some() { &[("LogLevel", "DEBUG1")] } else { &[] };
        let case = Case::new(None, server, lines);
        let terminal = Terminal::start(&case.ssh(&[], &[]));
        terminal.send("echo ready-$((1+1))");
        terminal.wait_for("ready-2");
        terminal.send("~B");
        if server.is_some() {
            let log = &case.server.running;
            assert!(log.wait_for("req break").is_some(), "{}: {}", case.name, log.log());
        }
        terminal.send("echo again-$((1+1))");
        let screen = terminal.wait_for("again-2");
        assert!(!screen.contains("sends no BREAK") && !screen.contains("~B"), "{}: {screen}", case.name);
        terminal.send("exit 4");
        let screen = terminal.wait_for(ENDED);
        assert!(screen.contains(&format!("{ENDED} 4")), "{}: {screen}", case.name);
    }
}

#[test]
fn an_escape_renews_the_keys_and_the_session_goes_on() {
    for (client, server) in [
        (None, None),
        (None, Some(Generation::Bookworm)),
        (None, Some(Generation::Trixie)),
        (Some(Generation::Bookworm), None),
        (Some(Generation::Trixie), None),
    ] {
        let lines: &[_] = if server.is_some() { &[("LogLevel", "DEBUG1")] } else { &[] };
        let case = Case::new(client, server, lines);
        let log = case.files.text("log");
        let options: &[&str] = if client.is_some() { &["-v", "-E", &log] } else { &[] };
        let terminal = Terminal::start(&case.ssh(options, &[]));
        for round in 2..5 {
            terminal.send(&format!("echo ready-$((1+{round}))"));
            terminal.wait_for(&format!("ready-{}", 1 + round));
            terminal.send("~R");
            if server.is_some() {
                let log = &case.server.running;
                assert!(log.wait_for("rekeying in").is_some(), "{}: {}", case.name, log.log());
            }
            if client.is_some() {
                let renewed = || fs::read_to_string(&log).unwrap().matches("rekeying in").count();
                eventually("the keys are renewed", || renewed() >= round - 1);
            }
        }
        terminal.send("exit 4");
        let screen = terminal.wait_for(ENDED);
        assert!(screen.contains(&format!("{ENDED} 4")) && !screen.contains("~R"), "{}: {screen}", case.name);
    }
}

#[test]
fn escapes_change_how_much_ssh_tells() {
    let closed = "Connection to 127.0.0.1 closed.";
    for (escapes, told, is_closed_told) in [
        (&["~V"][..], "ERROR", false),
        (&["~V", "~v"], "INFO", true),
        (&["~V", "~V", "~V", "~V"], "QUIET", false),
        (&["~v", "~v", "~v", "~v", "~v", "~v", "~V"], "DEBUG2", true),
    ] {
        let case = Case::new(None, None, &[]);
        let terminal = Terminal::start(&case.ssh(&[], &[]));
        terminal.send("echo ready-$((1+1))");
        terminal.wait_for("ready-2");
        for escape in escapes {
            terminal.send(escape);
        }
        // Each is told, that there is no further one, too.
        eventually("all is told", || terminal.screen().matches("[LogLevel ").count() == escapes.len());
        let screen = terminal.screen();
        let last = screen.rsplit("[LogLevel ").next().unwrap();
        assert!(last.starts_with(&format!("{told}]")), "{escapes:?}: {screen}");
        terminal.send("exit 4");
        let screen = terminal.wait_for(ENDED);
        assert_eq!(screen.contains(closed), is_closed_told, "{escapes:?}: {screen}");
    }
    // A signal is told of only to who wants more.
    for (escapes, is_told) in [(&[][..], false), (&["~v"], true)] {
        let case = Case::new(None, None, &[]);
        let (pid, client) = (case.files.text("pid"), words(&case.ssh(&[], &[])).replace('\'', "\""));
        let terminal = Terminal::run(&format!("sh -c 'echo $$ > {pid}; exec {client}'; echo {ENDED} $?"));
        terminal.send("echo ready-$((1+1))");
        terminal.wait_for("ready-2");
        for escape in escapes {
            terminal.send(escape);
            terminal.wait_for("[LogLevel VERBOSE]");
        }
        let pid = fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
        let screen = terminal.wait_for(ENDED);
        assert!(screen.contains(&format!("{ENDED} 255")), "{screen}");
        assert_eq!(screen.contains("Killed by signal 2."), is_told, "{screen}");
    }
}

fn descendants(pid: u32) -> Vec<i32> {
    let below = |child: i32| [vec![child], descendants(u32::try_from(child).unwrap())].concat();
    children(pid).into_iter().flat_map(below).collect()
}

#[test]
fn the_status_of_a_command_is_that_of_ssh_and_a_signal_is_none() {
    for case in Case::all(&[]) {
        for options in [&[][..], &["-tt"]] {
            for (command, status) in [("exit 3", 3), ("true", 0), ("exit 255", 255), ("kill -TERM $$", 255)] {
                let output = run(&mut case.ssh(options, &[command]), b"");
                let told = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(status), "{} {options:?} {command}: {told}", case.name);
                if case.client.is_none() && command.starts_with("kill") {
                    assert!(told.contains("ended by signal TERM"), "{told}");
                }
            }
        }
        let mut quiet = case.ssh(&["-q"], &["kill -TERM $$"]);
        let output = run(&mut quiet, b"");
        assert_eq!((output.status.code(), output.stderr.len()), (Some(255), 0), "{}", case.name);
    }
}

#[test]
fn what_holds_a_terminal_open_does_not_hold_the_session() {
    for case in Case::all(&[]) {
        let command = "trap '' HUP; sleep 600 & echo $!; exit 5";
        let output = run(&mut case.ssh(&["-tt"], &[command]), b"");
        assert_eq!(output.status.code(), Some(5), "{}", case.name);
        let pid: i32 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    }
}

#[test]
fn what_goes_on_to_write_to_a_terminal_does_not_hold_the_session() {
    for client in [None, Some(Generation::Bookworm)] {
        let case = Case::new(client, None, &[]);
        let [go, pids] = ["go", "pids"].map(|name| case.files.path(name));
        rustix::fs::mkfifoat(rustix::fs::CWD, &go, rustix::fs::Mode::RWXU).unwrap();
        let writers = format!("yes & yes & yes & jobs -p > {}", pids.display());
        let command = format!("trap '' HUP; {writers}; read line < {}; exit 5", go.display());
        let mut client = case.ssh(&["-tt"], &[&command]);
        let mut running = Running::start(client.stdin(Stdio::null()).stdout(Stdio::piped()));
        // Nobody reads here, so that what is under way when the command ends is bounded: by windows and pipes.
        fs::write(&go, "\n").unwrap();
        eventually("the command has ended", || {
            let shells = children(case.server.running.child.id());
            shells.is_empty() && fs::exists(&pids).unwrap()
        });
        let writers = fs::read_to_string(&pids).unwrap();
        let mut output = std::io::Read::take(running.child.stdout.take().unwrap(), 16 << 20);
        let came = std::io::copy(&mut output, &mut std::io::sink()).unwrap();
        assert!(came < 4 << 20, "{}: {came} bytes", case.name);
        assert_eq!(running.wait().code(), Some(5), "{}", case.name);
        // The terminal is gone, and they find that out.
        for pid in writers.split_ascii_whitespace() {
            let line = format!("/proc/{pid}/cmdline"); // empty, if nobody has waited for it yet
            eventually("what wrote there ends", || {
                fs::read(&line).is_ok_and(|line| line.is_empty()) || !fs::exists(&line).unwrap()
            });
        }
    }
}

#[test]
fn all_output_of_a_terminal_comes_before_the_status() {
    let rounds = if is_long() { 300 } else { 20 };
    let case = Case::new(None, None, &[]);
    let server = Case::new(Some(Generation::Bookworm), None, &[]);
    for case in [case, server] {
        for _ in 0..rounds {
            let output = run(&mut case.ssh(&["-tt"], &["stty -onlcr; echo begin; seq 20000; exit 7"]), b"");
            let lines = String::from_utf8(output.stdout).unwrap();
            // What the user's shell says before that is its own.
            let counted: Vec<_> = lines.lines().skip_while(|line| *line != "begin").skip(1).collect();
            let other = (1..=20000).map(|n| n.to_string()).zip(&counted).find(|(n, line)| n != *line);
            assert_eq!((other, counted.len(), output.status.code()), (None, 20000, Some(7)), "{}", case.name);
        }
    }
}

#[test]
fn t80_a_variable_reaches_a_command_only_if_the_server_takes_it() {
    let set = [
        "-o",
        "SetEnv=LANG=xx LD_PRELOAD=/nowhere LC_TEST=a=b FOO=1 PATH=/evil TERM=vt52",
        "-o",
        "SendEnv=SENT_*",
    ];
    for (case, accepts) in [("", &["LANG=xx", "LC_TEST=a=b"][..]), ("FOO SENT_?", &["FOO=1", "SENT_1=yes"])] {
        let lines: &[(&str, &str)] =
            if case.is_empty() { &[("AcceptEnv", "LANG LC_*")] } else { &[("AcceptEnv", case)] };
        for case in Case::all(lines) {
            let mut client = case.ssh(&set, &["env"]);
            client.env("SENT_1", "yes").env("SENT_22", "no");
            let output = run(&mut client, b"");
            let shown = String::from_utf8(output.stdout).unwrap();
            let has = |line: &str| shown.lines().any(|shown| shown == line);
            for name in ["LANG=xx", "LC_TEST=a=b", "FOO=1", "SENT_1=yes"] {
                assert_eq!(has(name), accepts.contains(&name), "{} {name}: {shown}", case.name);
            }
            for name in ["LD_PRELOAD=", "PATH=/evil", "SENT_22", "TERM=vt52", "SSH_TTY="] {
                assert!(!shown.contains(name), "{} {name}: {shown}", case.name);
            }
            let port = case.server.port;
            let connection = shown.lines().find_map(|line| line.strip_prefix("SSH_CONNECTION=")).unwrap();
            let end = format!(" 127.0.0.1 {port}");
            assert!(connection.starts_with("127.0.0.1 ") && connection.ends_with(&end), "{connection}");
            let client = shown.lines().find_map(|line| line.strip_prefix("SSH_CLIENT=")).unwrap();
            assert_eq!(client, format!("{} {port}", connection.strip_suffix(&end).unwrap()));
        }
    }
    // Without AcceptEnv ours takes the language; and a terminal brings TERM.
    let case = Case::new(None, None, &[]);
    let mut client = case.ssh(&[&set[..], &["-tt"]].concat(), &["env; tty"]);
    let output = run(&mut client, b"");
    let shown = String::from_utf8(output.stdout).unwrap();
    let tty = shown.lines().last().unwrap();
    for line in ["LANG=xx", "TERM=vt52", &format!("SSH_TTY={tty}")] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
    assert!(!shown.contains("LD_PRELOAD"), "{shown}");
    // Its bytes reach no program.
    let mut client = case.ssh(&["-tt", "-o", "SetEnv=TERM=x\x1b[31m"], &["echo $TERM"]);
    assert_eq!(run(&mut client, b"").stdout, b"dumb\r\n");
}

#[test]
fn t80_a_forced_command_covers_shell_command_and_subsystem_with_and_without_a_terminal() {
    for client in [None, Some(Generation::Bookworm), Some(Generation::Trixie)] {
        let case = Case::new(client, None, &[]);
        let key = fs::read_to_string(case.files.path("user_key.pub")).unwrap();
        let forced = r#"command="echo forced $SSH_ORIGINAL_COMMAND" "#;
        case.files.write("authorized_keys", &format!("{forced}{key}"));
        for (options, command, shown) in [
            (&[][..], &[][..], "forced\n"),
            (&[], &["id"], "forced id\n"),
            (&["-s"], &["sftp"], "forced sftp\n"),
            (&["-tt"], &["id"], "forced id\r\n"),
            (&["-tt"], &[], "forced\r\n"),
        ] {
            let output = run(&mut case.ssh(options, command), b"");
            assert_eq!(
                String::from_utf8_lossy(&output.stdout),
                shown,
                "{} {options:?} {command:?}",
                case.name
            );
        }
        case.files.write("authorized_keys", &format!("no-pty {key}"));
        let output = run(&mut case.ssh(&["-tt"], &["tty"]), b"");
        let told = String::from_utf8_lossy(&output.stderr);
        // OpenSSH's client ends then.
        let expected = if client.is_some() { (Some(255), &b""[..]) } else { (Some(1), &b"not a tty\n"[..]) };
        assert_eq!((output.status.code(), &*output.stdout), expected, "{}: {told}", case.name);
        assert!(told.contains("PTY allocation request failed"), "{told}");
    }
    let case = Case::new(None, None, &[("PermitTTY", "no")]);
    assert_eq!(run(&mut case.ssh(&["-tt"], &["tty"]), b"").stdout, b"not a tty\n");
}

#[test]
fn no_session_and_a_subsystem_are_what_is_asked_for() {
    for case in Case::of_our_client(&[]) {
        let mut client = Running::start(case.ssh(&["-N", "-v"], &[]).stdin(Stdio::null()));
        assert!(client.wait_for("Authenticated to").is_some(), "{}", client.log());
        client.signal(Signal::TERM);
        assert_eq!(client.wait().signal(), Some(15), "{}", case.name);
        assert!(!case.server.running.log().contains("Starting session"), "{}", case.server.running.log());
    }
    for generation in Generation::ALL {
        let case = Case::new(None, Some(generation), &[("Subsystem", "other /bin/cat")]);
        for options in [&["-s"][..], &["-o", "SessionType=subsystem"]] {
            let output = run(&mut case.ssh(options, &["other"]), b"question");
            assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"question"[..]), "{}", case.name);
        }
        let output = run(&mut case.ssh(&["-s"], &["nonsense"]), b"");
        assert_eq!(output.status.code(), Some(255), "{}", case.name);
    }
}

#[test]
fn input_from_nowhere_and_output_to_who_has_enough_end_a_session() {
    for case in Case::all(&[]) {
        for options in [&[][..], &["-n"], &["-o", "StdinNull=yes"], &["-T"]] {
            let mut client = case.ssh(options, &["cat; echo over"]);
            let mut running = client.stdout(Stdio::piped());
            // Without an option, input that has ended; with one, input that never ends.
            running = if options.first().is_some_and(|option| *option != "-T") {
                running.stdin(Stdio::piped())
            } else {
                running.stdin(Stdio::null())
            };
            let mut child = running.spawn().unwrap();
            let (mut out, _open) = (child.stdout.take().unwrap(), child.stdin.take());
            let mut all = String::new();
            std::io::Read::read_to_string(&mut out, &mut all).unwrap();
            assert_eq!(
                (child.wait().unwrap().code(), &*all),
                (Some(0), "over\n"),
                "{} {options:?}",
                case.name
            );
        }
        // OpenSSH's client tells nobody but OpenSSH's servers that it has enough.
        if case.client.is_none() {
            let client = words(&case.ssh(&[], &["yes"]));
            let output = run(Command::new("sh").args(["-c", &format!("{client} | head -n 2")]), b"");
            assert_eq!(output.stdout, b"y\ny\n", "{}", case.name);
        }
    }
}

#[test]
fn what_goes_on_to_write_to_who_has_enough_does_not_hold_the_session() {
    for case in Case::of_our_client(&[]) {
        let client = words(&case.ssh(&[], &["(while echo x; do sleep .1; done) 2>/dev/null &"]));
        let output = run(Command::new("sh").args(["-c", &format!("{client} | head -n 1")]), b"");
        assert_eq!(output.stdout, b"x\n", "{}", case.name);
    }
}

#[test]
fn a_client_hears_that_a_command_has_closed_its_input_and_sends_no_more() {
    for client in Generation::ALL {
        let case = Case::new(Some(client), None, &[]);
        let fifo = case.files.text("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let mut client = case.ssh(&[], &[&format!("exec 0<&-; echo ready; cat {fifo}")]);
        let mut child = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut String::new()).unwrap();
        let mut input = child.stdin.take().unwrap();
        let (tell, told) = channel();
        let writer =
            thread::spawn(move || while input.write_all(&[b'x'; 65_536]).is_ok() && tell.send(()).is_ok() {});
        // That nothing more is taken shows by nothing.
        let taken = (0..1024).take_while(|_| told.recv_timeout(Duration::from_secs(2)).is_ok()).count();
        assert!(taken < 256, "{}: {taken} blocks of 64 KiB were taken", case.name);
        fs::write(&fifo, "").unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{}", case.name);
        writer.join().unwrap();
    }
}

/// So much resident memory (bytes) the server may have more at the end than after the first hundred sessions, however many
/// there were.
const GROWTH_MAX: u64 = 1 << 20;

#[test]
fn many_sessions_in_a_row_leave_neither_descriptors_nor_children_nor_memory() {
    let (sessions, connections) = if is_long() { (2000, 300) } else { (200, 20) };
    let case = Case::new(Some(Generation::Bookworm), None, &[]);
    let pid = case.server.running.child.id();
    let socket = case.files.text("control");
    let before = descriptors(pid);
    run(&mut case.ssh(&[], &["true"]), b"");
    eventually("the first connection is gone", || descriptors(pid) == before);
    let mut master = Running::start(case.ssh(&["-M", "-S", &socket, "-N"], &[]).stdin(Stdio::null()));
    eventually("the master listens", || fs::exists(&socket).unwrap());
    let mut after_hundred = 0;
    for n in 0..sessions {
        if n == 100 {
            after_hundred = resident(pid);
        }
        let options: &[&str] = if n % 2 == 0 { &["-tt", "-S", &socket] } else { &["-T", "-S", &socket] };
        let output = run(&mut case.ssh(options, &["exit 9"]), b"");
        assert_eq!(output.status.code(), Some(9), "{n}: {}", String::from_utf8_lossy(&output.stderr));
    }
    eventually("its sessions are gone", || descriptors(pid) == before + 1 && children(pid).is_empty());
    run(&mut case.ssh(&["-S", &socket, "-O", "exit"], &[]), b"");
    master.wait();
    for n in 0..connections {
        // Every second one goes without an end of its session.
        let mut client =
            case.ssh(&["-tt"], &[if n % 2 == 0 { "exit 9" } else { "echo here; exec sleep 1000" }]);
        let mut client =
            client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        if n % 2 == 1 {
            let mut out = client.stdout.take().unwrap();
            std::io::Read::read_exact(&mut out, &mut [0; 4]).unwrap();
            client.kill().unwrap();
        }
        client.wait().unwrap();
    }
    eventually("all is as before", || descriptors(pid) == before && children(pid).is_empty());
    let grown = resident(pid).saturating_sub(after_hundred);
    assert!(grown < GROWTH_MAX, "{grown} bytes more than {after_hundred}");
    println!(
        "figure: {sessions} sessions and {connections} connections in a row: {before} descriptors before and after, \
         {grown} bytes more than after the first hundred"
    );
}

#[test]
fn a_connection_has_no_more_sessions_than_its_bound() {
    let case = Case::new(Some(Generation::Trixie), None, &[("MaxSessions", "2")]);
    let socket = case.files.text("control");
    let mut master = case.ssh(&["-M", "-S", &socket], &["cat"]);
    let mut master = master.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    eventually("the master listens", || fs::exists(&socket).unwrap());
    let mut second = case.ssh(&["-S", &socket], &["echo here; cat"]);
    let mut second = second.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Read::read_exact(second.stdout.as_mut().unwrap(), &mut [0; 5]).unwrap();
    let third = run(&mut case.ssh(&["-S", &socket, "-o", "BatchMode=yes"], &["echo third"]), b"");
    let told = String::from_utf8_lossy(&third.stderr);
    assert!(told.contains("refused") || told.contains("open failed"), "{told}");
    drop((master.stdin.take(), second.stdin.take()));
    assert!(second.wait().unwrap().success() && master.wait().unwrap().success());
}

/// As a server in the background has it, or one under nohup.
#[test]
fn what_the_server_ignores_its_sessions_do_not() {
    let files = Files::new();
    let sshd = ours("sshd");
    let options = ["-D", "-e", "-p", "0", "-h", &files.text("host_key")];
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP INT QUIT TERM TSTP; exec \"$@\"", "sh"]).arg(sshd.get_program());
    command.args(options).arg("-o").arg(format!("AuthorizedKeysFile={}", files.text("authorized_keys")));
    let running = Running::start(&mut command);
    let line = running.wait_for("Server listening").unwrap_or_else(|| panic!("{}", running.log()));
    let port = line.trim_end_matches('.').rsplit(' ').next().unwrap().parse().unwrap();
    let output = run(
        ssh(Generation::Bookworm, &files, port).args(["127.0.0.1", "grep SigIgn /proc/self/status"]),
        b"",
    );
    let ignored = String::from_utf8(output.stdout).unwrap();
    let ignored = u64::from_str_radix(ignored.trim().rsplit('\t').next().unwrap(), 16).unwrap();
    for signal in [1, 2, 3, 15, 20] {
        assert_eq!(ignored & (1 << (signal - 1)), 0, "signal {signal}");
    }
    // It still does as it was told.
    running.signal(Signal::INT);
    let output = run(ssh(Generation::Bookworm, &files, port).args(["127.0.0.1", "echo alive"]), b"");
    assert_eq!(output.stdout, b"alive\n");
}
