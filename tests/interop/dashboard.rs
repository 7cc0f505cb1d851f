//! The dashboard as a person sees it: in tmux, of files and of hosts.

use super::openssh::{ENDED, Files, Generation, Server, Terminal, ours, resident, run, sshd, words};
use super::watch::cut;
use super::weblog::{append, here, hit, ssh_weblog};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What is seen at 80x24 and above.
pub const WORDS: [&str; 10] =
    ["hits/s", "errors/s", "2xx", "4xx", "5xx", "referrers", "paths", "hosts", "agents", "access.log"];

/// `before`, then the dashboard of a program that tells its process id, then how it ended and whether the terminal is as it was.
pub fn script(files: &Files, program: &Command) -> String {
    format!(
        "stty -g > {stty}; echo before; sh -c 'echo $$ > {pid}; exec \"$@\"' sh {}; echo {ENDED} $?; \
         stty -g | cmp - {stty} && echo as it was",
        words(program),
        pid = files.text("pid"),
        stty = files.text("stty"),
    )
}

/// The program whose process id was told.
pub fn process(files: &Files) -> Pid {
    let pid = fs::read_to_string(files.path("pid")).unwrap();
    Pid::from_raw(pid.trim().parse().unwrap()).unwrap()
}

fn dashboard(files: &Files) -> Command {
    let mut command = ours("ssh-weblog");
    command.args(["-F", "none", "--dashboard", &files.text("access.log")]);
    command
}

/// tmux's word for: another screen, no cursor, no wrapping.
pub const STATE: &str = "#{alternate_on} #{cursor_flag} #{wrap_flag}";

fn last(screen: &str) -> &str {
    screen.lines().last().unwrap_or_default().trim_end()
}

pub fn ended(terminal: &Terminal, status: i32) {
    let screen = terminal.wait_for("as it was");
    assert!(screen.contains(&format!("{ENDED} {status}\n")) && screen.contains("before"), "{screen}");
    assert_eq!(terminal.state(STATE), "0 1 1");
}

#[test]
fn the_terminal_is_as_it_was_however_the_dashboard_ends() {
    let ends: [(&str, &[Signal], i32); 6] = [
        ("q", &[], 0),
        ("C-c", &[], 130),
        ("", &[Signal::INT], 130),
        ("", &[Signal::TERM], 143),
        // As timeout(1) sends them; stopped, it has both at once.
        ("", &[Signal::STOP, Signal::TERM, Signal::CONT], 143),
        ("", &[Signal::HUP], 129),
    ];
    for (key, signals, status) in ends {
        let files = Files::new();
        append(&files.path("access.log"), &hit("https://old.example/", "/old", 200));
        let terminal = Terminal::run(&script(&files, dashboard(&files).args(["-n1", "--stats"])));
        terminal.resize(80, 24);
        terminal.wait_until("all of it", |screen| {
            screen.contains("GET /old") && WORDS.iter().all(|word| screen.contains(word))
        });
        assert_eq!(terminal.state(STATE), "1 0 0");
        append(&files.path("access.log"), &hit("-", "/new", 503));
        let screen = terminal.wait_for("GET /new");
        assert!(screen.contains("5xx 1") && screen.contains("https://old.example/"), "{screen}");
        // Room for the report below what was there before.
        terminal.resize(100, 50);
        terminal.wait_until("the dashboard in it", |screen| screen.lines().count() == 50);
        if signals.is_empty() {
            terminal.key(key);
        }
        signals.iter().for_each(|signal| kill_process(process(&files), *signal).unwrap());
        ended(&terminal, status);
        // The report comes once the dashboard is away.
        let reports = terminal.screen().contains("hits/s     ");
        assert_eq!(reports, signals != [Signal::HUP], "{}", terminal.screen());
    }
}

#[test]
fn the_dashboard_follows_the_window_and_says_so_when_that_is_too_small() {
    let files = Files::new();
    append(&files.path("access.log"), &hit("-", "/a", 200));
    let terminal = Terminal::run(&script(&files, dashboard(&files).args(["-n1"])));
    for (columns, rows) in
        [(200, 50), (80, 24), (79, 24), (120, 30), (80, 23), (20, 3), (160, 24), (12, 2), (81, 25)]
    {
        terminal.resize(columns, rows);
        let size = format!("{columns}x{rows}");
        if columns < 80 || rows < 24 {
            let screen = terminal.wait_for(&size);
            assert!(screen.contains("80x24") && !screen.contains("hits/s"), "{screen}");
        } else {
            let is_drawn = |screen: &str| {
                let all = WORDS.iter().all(|word| screen.contains(word));
                let (lines, last) = (screen.lines().count(), screen.lines().last().unwrap_or_default());
                all && !screen.contains("80x24") && lines == rows as usize && last.contains("? for the keys")
            };
            let screen = terminal.wait_until(&size, is_drawn);
            let rule = screen.lines().find(|line| line.contains("[lines]")).unwrap();
            assert_eq!(rule.chars().count(), columns as usize - 1, "{screen}");
        }
    }
    terminal.key("q");
    ended(&terminal, 0);
}

#[test]
fn keys_without_a_mouse_pause_filter_sort_and_help() {
    let files = Files::new();
    append(&files.path("access.log"), &(hit("-", "/one", 200) + &hit("-", "/two", 404)));
    let terminal = Terminal::run(&script(&files, dashboard(&files).args(["-n2"])));
    terminal.resize(80, 24);
    terminal.wait_for("by hits");
    terminal.key("s");
    terminal.wait_for("by bytes");
    terminal.key("?");
    let screen = terminal.wait_for("quit");
    assert!(["pause", "filter", "sort"].iter().all(|word| screen.contains(word)), "{screen}");
    terminal.key("q");
    terminal.wait_until("no help", |screen| !screen.contains("quit"));
    terminal.key("p");
    terminal.wait_for("paused");
    append(&files.path("access.log"), &hit("-", "/three", 404));
    terminal.key("p");
    let screen = terminal.wait_for("GET /three");
    assert!(!screen.contains("paused"), "{screen}");
    for key in ["/", " ", "4", "0", "."] {
        terminal.key(key);
    }
    terminal.wait_until("what is typed", |screen| last(screen) == "/ 40.");
    terminal.key("Enter");
    let screen = terminal.wait_until("what it finds", |screen| !screen.contains("GET /one"));
    assert!(
        screen.contains("/ 40.") && screen.contains("GET /two") && screen.contains("GET /three"),
        "{screen}"
    );
    for key in ["/", "x", "Escape"] {
        terminal.key(key);
    }
    terminal.wait_until("the filter as it was", |screen| last(screen) == " ? for the keys");
    for pane in ["[referrers]", "[paths]"] {
        terminal.key("Tab");
        terminal.wait_for(pane);
    }
    append(&files.path("access.log"), &hit("-", "/four", 404));
    terminal.wait_for("512 /four");
    terminal.key("Down");
    terminal.wait_until("what is selected", |screen| last(screen) == "/four");
    terminal.key("q");
    ended(&terminal, 0);
}

#[test]
fn colours_and_other_characters_are_left_out_where_the_environment_says_so() {
    let files = Files::new();
    append(&files.path("access.log"), &hit("-", "/a", 404));
    let cases = [
        ("NO_COLOR= LANG=C.UTF-8", true, true),
        ("NO_COLOR=1 LANG=C.UTF-8", false, true),
        ("NO_COLOR= TERM=dumb LANG=C.UTF-8", false, true),
        ("NO_COLOR= LANG=C", true, false),
        ("NO_COLOR=1 LANG=de_DE.UTF-8 LC_ALL=POSIX", false, false),
    ];
    for (environment, is_coloured, is_unicode) in cases {
        let mut program = Command::new("env");
        program.args(["-u", "LC_ALL", "-u", "LC_CTYPE"]).args(environment.split(' '));
        let dashboard = dashboard(&files);
        program.arg(dashboard.get_program()).args(dashboard.get_args()).arg("-n1");
        let terminal = Terminal::run(&script(&files, &program));
        let screen = terminal.wait_for("GET /a");
        assert_eq!(screen.is_ascii(), !is_unicode, "{environment}: {screen}");
        assert_eq!(terminal.coloured_screen().contains('\x1b'), is_coloured, "{environment}: {screen}");
        terminal.key("q");
        ended(&terminal, 0);
    }
}

#[test]
fn t101_a_hundred_thousand_referrers_and_hostile_names_from_a_pipe_break_nothing() {
    let files = Files::new();
    let log: String = (0..100_000).map(|n| hit(&format!("https://{n}.example/"), "/a", 200)).collect();
    let hostile = [
        "/\\x1b[2J\\x1b]0;x\\x07",
        "/\u{1b}[31m\u{9b}2J\u{202e}",
        "/日本語日本語日本語日本語日本語",
        "/e\u{301}\u{302}👩\u{200d}👧🇩🇪",
    ];
    let hits: String =
        hostile.iter().map(|name| hit(&format!("https://x{name}"), name, 500).repeat(3)).collect();
    append(&files.path("log"), &(log + &hits));
    let mut program = ours("ssh-weblog");
    program.args(["--dashboard", "-"]);
    let terminal = Terminal::run(&format!("cat {} | {{ {}; }}", files.text("log"), script(&files, &program)));
    terminal.resize(100, 30);
    let screen = terminal.wait_for("all is read; q quits");
    assert!(screen.contains("5xx 12") && screen.contains("2xx 100000"), "{screen}");
    assert!(
        screen.contains("/\\x1b[2J\\x1b]0;x\\x07") && screen.contains("/\\x1b[31m\\x9b2J\\u{202e}"),
        "{screen}"
    );
    let rule = screen.lines().find(|line| line.contains("[lines]")).unwrap();
    assert_eq!(rule.chars().count(), 99, "{screen}");
    let memory = resident(process(&files).as_raw_nonzero().get().try_into().unwrap());
    assert!(memory < 64 << 20, "{memory}");
    terminal.key("q");
    ended(&terminal, 0);
}

/// A dashboard of a host's log, in which `/0` is seen.
fn of_a_host(generation: Generation, files: &Files) -> (Server, Terminal) {
    let subsystem = format!("Subsystem sftp {}", generation.program("sftp-server").display());
    let server = sshd(generation, files, &[&subsystem]);
    append(&files.path("access.log"), &hit("-", "/0", 200));
    let mut program = ssh_weblog(files, server.port);
    program.args(["-n1", "--dashboard", &here(), &files.text("access.log")]);
    let terminal = Terminal::run(&script(files, &program));
    terminal.resize(150, 30);
    terminal.wait_for("GET /0");
    (server, terminal)
}

#[test]
fn a_lost_connection_is_told_in_the_dashboard_and_after_it_and_each_hit_counts_once() {
    for generation in Generation::ALL {
        let files = Files::new();
        let log = files.path("access.log");
        let (server, terminal) = of_a_host(generation, &files);
        for round in 1..=3 {
            append(&log, &hit("-", &format!("/before-{round}"), 200).repeat(100));
            cut(&server);
            terminal.wait_until("the connection's story", |screen| {
                last(screen).contains("connection lost (") || last(screen).contains("reconnected after")
            });
            // Some is written while nobody reads, and the log is rotated meanwhile.
            append(&log, &hit("-", &format!("/away-{round}"), 404).repeat(10));
            fs::rename(&log, files.path(&format!("access.log.{}", 4 - round))).unwrap();
            append(&log, &hit("-", &format!("/after-{round}"), 503));
            let screen = terminal.wait_for(&format!("GET /after-{round}"));
            assert!(last(&screen).contains("reconnected after"), "{screen}");
            let (all, of_200) = (1 + 111 * round, 1 + 100 * round);
            let counted = terminal.wait_for(&format!(" {all} hits  "));
            let classes = [format!("2xx {of_200} "), format!("4xx {} ", 10 * round), format!("5xx {round} ")];
            assert!(classes.iter().all(|class| counted.contains(class)), "{counted}");
            terminal.key("Escape"); // the word about it has been read
            terminal.wait_until("no word", |screen| last(screen) == " ? for the keys");
        }
        terminal.key("q");
        ended(&terminal, 0);
        let screen = terminal.screen();
        assert!(
            screen.contains("127.0.0.1: connection lost (") && screen.contains("reconnected after"),
            "{screen}"
        );
    }
}

#[test]
fn a_dashboard_whose_host_is_gone_ends_as_it_should() {
    let ends: [(&str, Option<Signal>, i32); 3] =
        [("q", None, 0), ("C-c", None, 130), ("", Some(Signal::TERM), 143)];
    for (generation, (key, signal, status)) in Generation::ALL.into_iter().cycle().zip(ends) {
        let files = Files::new();
        let (server, terminal) = of_a_host(generation, &files);
        cut(&server);
        drop(server);
        terminal.wait_until("that it is gone", |screen| last(screen).contains("connection lost ("));
        match signal {
            None => terminal.key(key),
            Some(signal) => kill_process(process(&files), signal).unwrap(),
        }
        ended(&terminal, status);
        assert!(terminal.screen().contains("127.0.0.1: connection lost ("), "{}", terminal.screen());
    }
}

#[test]
fn a_question_is_asked_on_the_screen_from_before_and_the_dashboard_comes_back() {
    let files = Files::new();
    let generation = Generation::Trixie;
    let server = sshd(
        generation,
        &files,
        &[&format!("Subsystem sftp {}", generation.program("sftp-server").display())],
    );
    append(&files.path("access.log"), &hit("-", "/here", 200));
    append(&files.path("there.log"), &hit("-", "/there", 200));
    let mut program = ours("ssh-weblog");
    program.args(["-F", "none", "-p", &server.port.to_string(), "-i", &files.text("user_key")]);
    program.args(["-o", &format!("UserKnownHostsFile={}", files.text("nobody")), "-n1", "--dashboard"]);
    program.args([files.text("access.log"), format!("{}:{}", here(), files.text("there.log"))]);
    let terminal = Terminal::run(&script(&files, &program));
    let screen = terminal.wait_for("Are you sure you want to continue connecting");
    assert!(screen.contains("before") && screen.contains("host key fingerprint: SHA256:"), "{screen}");
    assert!(!screen.lines().any(|line| line.starts_with(' ')), "each begins at the left: {screen}");
    assert_eq!(terminal.state(STATE), "0 1 1");
    terminal.send("yes");
    let screen = terminal
        .wait_until("both logs", |screen| screen.contains("GET /there") && screen.contains("GET /here"));
    assert!(screen.contains("hits/s"), "{screen}");
    assert_eq!(terminal.state(STATE), "1 0 0");
    terminal.key("q");
    ended(&terminal, 0);
}

#[test]
fn what_cannot_be_shown_is_no_dashboard() {
    let files = Files::new();
    append(&files.path("access.log"), &hit("-", "/a", 200));
    let output = run(&mut dashboard(&files), b"");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        told.contains("--dashboard: standard output is no terminal") && told.contains("ssh -t"),
        "{told}"
    );
    let mut missing = ours("ssh-weblog");
    missing.args(["--dashboard", "--no-follow", &files.text("missing.log")]);
    let terminal = Terminal::run(&script(&files, &missing));
    ended(&terminal, 1);
    assert!(terminal.screen().contains("missing.log: "), "{}", terminal.screen());
}

#[test]
fn the_terminal_that_keys_come_from_is_no_log_of_a_dashboard() {
    let files = Files::new();
    append(&files.path("access.log"), &hit("-", "/a", 200));
    for further in [&[][..], &[files.text("access.log")]] {
        let mut program = ours("ssh-weblog");
        program.args(["-F", "none", "--dashboard", "-"]).args(further);
        let terminal = Terminal::run(&script(&files, &program));
        ended(&terminal, 2);
        let screen = terminal.screen();
        assert!(screen.contains("tail -f LOG | ssh-weblog --dashboard -"), "{screen}");
    }
}

/// The command that makes the README's picture, and what it has made.
#[test]
fn the_picture_in_the_readme_is_one_of_the_dashboard_and_is_made_by_a_command() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(here.join("docs/picture"));
    command.arg(ours("ssh-weblog").get_program());
    let mut made = |seconds: u64| {
        let output = run(command.arg(seconds.to_string()), b"");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let readme = fs::read_to_string(here.join("README.md")).unwrap();
    let (_, from) = readme.split_once("<!-- picture -->\n```\n").expect("a place for it");
    let (kept, _) = from.split_once("```\n<!-- end of the picture -->").expect("its end");
    for picture in [kept, &made(2)] {
        assert!(WORDS.iter().all(|word| picture.contains(word)), "{picture}");
        assert!(picture.contains("news.example") && picture.contains("GET /"), "{picture}");
        assert_eq!(picture.lines().count(), 30, "{picture}");
    }
}
