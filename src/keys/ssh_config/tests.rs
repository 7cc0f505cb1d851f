//! Blocks, files and commands, with an outside that is made up.

use super::*;
use std::collections::HashMap;

#[derive(Default)]
struct World {
    files: HashMap<&'static str, &'static str>,
    /// Commands that were run; those that hold `true` succeed.
    ran: Vec<String>,
}

impl Outside for World {
    fn exec(&mut self, command: &str) -> Result<bool, String> {
        self.ran.push(command.to_owned());
        Ok(command.contains("true"))
    }

    fn include(&mut self, pattern: &str, _: Owner) -> Result<Vec<File>, String> {
        let file =
            |contents: &&str| File { name: pattern.to_owned(), contents: contents.as_bytes().to_vec() };
        Ok(self.files.get(pattern).map(file).into_iter().collect())
    }

    fn variable(&self, name: &str) -> Option<String> {
        (name == "V").then(|| "value".to_owned())
    }

    fn home_of(&self, user: &str) -> Option<String> {
        (user == "bob").then(|| "/home/bob".to_owned())
    }
}

fn request() -> Request {
    let local = Local { user: "me".into(), home: "/home/me".into(), uid: 7, host: "here.example".into() };
    Request { host: "Web".to_owned(), local, ..Request::default() }
}

fn file(contents: impl AsRef<[u8]>) -> (Owner, File) {
    (Owner::User, File { name: "config".to_owned(), contents: contents.as_ref().to_vec() })
}

fn outcome(contents: &str) -> Outcome {
    read(&request(), &[file(contents)], &mut World::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn error(contents: impl AsRef<[u8]>) -> String {
    read(&request(), &[file(contents)], &mut World::default()).expect_err("it is refused").to_string()
}

#[test]
fn the_command_line_is_before_the_user_and_the_user_before_the_system() {
    let mut request = request();
    request.user = Some("typed".to_owned());
    request.options = vec!["User=option".to_owned(), "Port 1".to_owned()];
    let (_, system) = file("Port 3\nBatchMode no\nCompression yes\n");
    let files = [file("Port 2\nBatchMode yes\nUser file\n"), (Owner::System, system)];
    let outcome = read(&request, &files, &mut World::default()).unwrap();
    let config = &outcome.config;
    assert_eq!((config.port, config.batch_mode, config.compression), (1, true, true));
    assert_eq!(outcome.tokens.user, "typed");
    assert_eq!(outcome.given["BatchMode"], Place::Line("config".to_owned(), 2));
}

#[test]
fn a_block_ends_with_its_file() {
    let system = file("Port 3\n");
    let outcome = read(&request(), &[file("Host other\n"), system], &mut World::default()).unwrap();
    assert_eq!(outcome.config.port, 3);
}

#[test]
fn every_line_is_checked_whomever_it_is_for() {
    for (line, why) in [
        ("Port x", "Port: x: not a number"),
        ("Port 65536", "Port: a port is from 1 to 65535"),
        ("Port", "Port: a value is missing"),
        ("Port # 22", "Port: a value is missing"),
        ("Port 1 2", "Port: one value is expected, and 2 follows"),
        ("User \"\"", "User: the value is empty"),
        ("User \"a", "User: a quote is not closed"),
        ("BatchMode maybe", "BatchMode: maybe: it may be yes, no, true, false"),
        ("Host a \"\"", "Host: a pattern is empty"),
        ("Match", "Match: a value is missing"),
        ("Match # x", "Match: a criterion is missing"),
        ("Match host", "Match host: a value is missing"),
        ("Match host \"\"", "Match host: a value is missing"),
        ("Match localnetwork 10.0.0.0/8", "Match localnetwork: not supported"),
        ("Match frob x", "Match frob: not supported"),
        ("Match all host x", "Match: all stands alone"),
        ("UserKnownHostsFile a none", "UserKnownHostsFile: none stands alone or not at all"),
        ("IdentityAgent ${W}", "IdentityAgent: ${W} is not set"),
        ("Frob 1", "Frob: unknown keyword"),
        ("\"Port\" 22", "\"Port\": unknown keyword"),
    ] {
        for block in ["", "Host other\n", "Match !all\n"] {
            let expected = format!("config:{}: {why}", block.lines().count() + 1);
            assert_eq!(error(format!("{block}{line}\n")), expected, "{block}{line}");
        }
    }
}

#[test]
fn commands_run_only_where_their_outcome_counts() {
    let mut world = World::default();
    world.files.insert("inactive", "Match exec \"never true\"\nPort 9\n");
    let contents = "Match exec \"true %n %h %r\"\nUser ann\nMatch host no exec \"never\"\nPort 1\nMatch exec false\nPort 2\n\
                    Host other\nInclude inactive\nMatch !exec \"%r\"\nPort 3\n";
    let outcome = read(&request(), &[file(contents)], &mut world).unwrap();
    assert_eq!(world.ran, ["true Web Web me", "false", "ann"]);
    assert_eq!((outcome.config.port, &*outcome.tokens.user), (3, "ann"));
}

#[test]
fn files_are_included_where_they_stand() {
    let mut world = World::default();
    world.files.insert("a", "Host other\nPort 1\nHost *\nPort 2\n");
    world.files.insert("value/Web", "Port 4\n");
    let read = |world: &mut World, contents: &str| read(&request(), &[file(contents)], world);
    assert_eq!(read(&mut world, "Include b a\nPort 3").unwrap().config.port, 2);
    assert_eq!(read(&mut world, "Host x\nInclude a\nHost *\nPort 3").unwrap().config.port, 3);
    assert_eq!(read(&mut world, "Include ${V}/%n").unwrap().config.port, 4);
    world.files.insert("self", "Include self");
    let told = read(&mut world, "Include self").unwrap_err().to_string();
    assert_eq!(told, "self:1: files include each other more than 16 deep");
    let system = (Owner::System, File { name: "config".into(), contents: b"Include ~/x".to_vec() });
    assert!(super::read(&request(), &[system], &mut world).is_err());
}

#[test]
fn unknown_keywords_are_told_passed_over_or_ignored() {
    let outcome =
        outcome("Host other\nTunnel yes\nHost *\nIgnoreUnknown fro*,x\nFROB 1\nX 1\nControlPath ~/x\nx y");
    assert_eq!(outcome.passed_over, [(Place::Line("config".into(), 7), "ControlPath")].into());
    assert_eq!(error("Frob 1\nIgnoreUnknown *"), "config:1: Frob: unknown keyword");
    assert_eq!(error("RefuseConnection \"not here\""), "config:1: not here");
    assert!(outcome.config.proxy_command.0.is_none());
}

#[test]
fn what_is_read_twice_is_told_once() {
    let outcome = outcome(
        "Tunnel yes\nMatch final\nTunnel yes\nHostName b\nMatch host web\nUser ann\nLocalForward 1 a:1",
    );
    let lines: Vec<_> = outcome.passed_over.iter().map(|(place, _)| place.to_string()).collect();
    assert_eq!(lines, ["config:1", "config:3"]);
    assert_eq!(
        (&*outcome.tokens.host, &*outcome.tokens.user),
        ("web", "ann"),
        "the host is settled the first time"
    );
    assert_eq!(outcome.config.local_forward.0.len(), 1);
}

#[test]
fn names_are_expanded_at_the_end() {
    let outcome = outcome(
        "HostName %h.Example\nUser ${V}-%u\nUserKnownHostsFile ~/%h ~bob/x /%r\nSetEnv A=%n\nRemoteCommand %p ${V}\n\
         IdentityFile ~/%h\nIdentityAgent none",
    );
    let config = &outcome.config;
    assert_eq!(config.user_known_hosts_file.0, ["/home/me/web.example", "/home/bob/x", "/value-me"]);
    assert_eq!(config.set_env.0, ["A=Web"]);
    assert_eq!(config.remote_command.0.as_deref(), Some("22 ${V}"));
    assert_eq!(config.identity_file.0, ["~/%h"]);
    let path = expand_path(&outcome.tokens, &World::default(), "~/%h");
    assert_eq!(path.as_deref(), Ok("/home/me/web.example"));
    assert_eq!(error("Port 22\nUserKnownHostsFile ~nobody/x"), "config:2: ~nobody/x: there is no such user");
    assert_eq!(error("HostName %p"), "config:1: HostName %p: %p means nothing here");
    assert_eq!(error("User a;b%%"), "config:1: it has characters that are not allowed there");
}

#[test]
fn the_way_that_is_named_first_counts() {
    let way = |contents: &str| {
        let config = outcome(contents).config;
        (config.proxy_jump.show_hosts(), config.proxy_command.0)
    };
    assert_eq!(way("ProxyJump a,b\nProxyCommand c"), ("a,b".to_owned(), None));
    assert_eq!(way("ProxyCommand c\nProxyJump a"), (String::new(), Some("c".to_owned())));
    assert_eq!(way("ProxyJump none\nProxyCommand c\nProxyJump a"), (String::new(), Some("c".to_owned())));
    assert_eq!(way("ProxyCommand none\nProxyJump a"), (String::new(), None));
    assert_eq!(
        way("ProxyCommand=  c  %h \"x\" # y \nHost *"),
        (String::new(), Some("c  %h \"x\" # y".to_owned()))
    );
}

impl ProxyJump {
    fn show_hosts(&self) -> String {
        self.0.iter().map(Jump::to_string).collect::<Vec<_>>().join(",")
    }
}

#[test]
fn t104_bounds_hold() {
    let long = |n: usize| [b"User ".as_slice(), &vec![b'a'; n - 5]].concat();
    assert!(read(&request(), &[file(long(LINE_MAX))], &mut World::default()).is_ok());
    assert!(error(long(LINE_MAX + 1)).contains("longer than"));
    assert!(error(vec![b'\n'; FILE_MAX + 1]).contains("too large"));
    assert!(
        error((0..=FILES_MAX).fold(String::new(), |s, n| s + &format!("IdentityFile {n}\n")))
            .contains("more than 100")
    );
    assert!(
        error((0..=ENTRIES_MAX).fold(String::new(), |s, n| s + &format!("LocalForward {} a:1\n", n + 1)))
            .contains("more than 1024")
    );
    let names: String = (0..=ENTRIES_MAX).map(|n| format!(" V{n}")).collect();
    assert!(error(format!("SendEnv{names}")).contains("more than 1024"));
    assert!(error(format!("HostName {}", "a".repeat(NAME_MAX + 1))).contains("too long"));
    let mut request = request();
    request.host = "a".repeat(NAME_MAX + 1);
    assert!(read(&request, &[], &mut World::default()).is_err());
    let many = vec![file(""); READS_MAX + 1];
    assert!(read(&self::request(), &many, &mut World::default()).is_err());
    let large = vec![file(vec![b'\n'; FILE_MAX]); 1 + TOTAL_MAX / FILE_MAX];
    assert!(
        read(&self::request(), &large, &mut World::default()).unwrap_err().to_string().contains("too large")
    );
}

proptest::proptest! {
    #[test]
    fn t104_whatever_a_file_holds_it_ends_and_is_checked(
        parts in proptest::collection::vec(proptest::sample::select(PARTS), 0..40),
        included in proptest::collection::vec(proptest::sample::select(PARTS), 0..8),
    ) {
        let mut world = Everywhere(included.concat());
        if let Ok(outcome) = read(&request(), &[file(parts.concat())], &mut world) {
            assert!(!outcome.config.lines().is_empty() && outcome.config.port > 0);
            for (_, place) in outcome.given {
                assert!(matches!(place, Place::Line(_, line) if line > 0));
            }
        }
    }
}

/// Of these, files are made up.
const PARTS: &[&str] = &[
    "Host",
    "Match",
    "Include",
    "User",
    "Port",
    "ProxyJump",
    "LocalForward",
    "SetEnv",
    "RekeyLimit",
    "HostName",
    "IgnoreUnknown",
    "SendEnv",
    "all",
    "final",
    "exec",
    "host",
    "web*",
    "!",
    "*",
    "\n",
    "\n",
    " ",
    " ",
    "=",
    "\"",
    "'",
    "\\",
    "#",
    "%h",
    "%",
    "${V}",
    "${",
    "}",
    ":",
    "[",
    "]",
    ",",
    "22",
    "0",
    "-",
    "~",
    "/",
    "@",
    "\0",
    "\u{e9}",
    "\r",
    "\t",
    "ssh://",
];

/// Each pattern means the same file, and every command succeeds.
struct Everywhere(String);

impl Outside for Everywhere {
    fn exec(&mut self, command: &str) -> Result<bool, String> {
        assert!(command.len() <= EXPANDED_MAX);
        Ok(true)
    }

    fn include(&mut self, pattern: &str, _: Owner) -> Result<Vec<File>, String> {
        Ok(vec![File { name: pattern.to_owned(), contents: self.0.clone().into_bytes() }])
    }

    fn variable(&self, name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    fn home_of(&self, _: &str) -> Option<String> {
        None
    }
}
