//! The manners of our client: what it offers and in which order, what it asks, and what it does with agents that fail.

use super::super::openssh::{Account, Files, Generation, Server, sshd, user};
use super::super::openssh::{Running, Trust, our_ssh_trusting, our_sshd};
use super::{Agent, Answers, COMMAND, Came, beside, generate, our_client, public, set};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Command;
use std::thread;

/// Makes plain keys of these names.
fn keys<const N: usize>(files: &Files, names: [&str; N]) -> [PathBuf; N] {
    names.map(|name| {
        let path = files.path(name);
        generate(Generation::Bookworm, &path, &["ed25519"], "");
        path
    })
}

/// A server and a client of it; the client has no key.
struct Place {
    files: Files,
    server: Server,
}

impl Place {
    fn new(generation: Generation, lines: &[&str]) -> Self {
        let files = Files::new();
        fs::set_permissions(files.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let server = sshd(generation, &files, lines);
        Self { files, server }
    }

    fn client(&self, options: &[&str]) -> Command {
        let mut client = our_client(&self.files, self.server.port);
        client.arg("-v");
        set(&mut client, options);
        client
    }

    fn login(&self, client: &mut Command) -> Came {
        Came::of(client.args([&format!("{}@127.0.0.1", user()), COMMAND]))
    }
}

/// What a client offered, in order, by its names.
fn offered(came: &Came) -> Vec<String> {
    let name = |line: &str| {
        line.split_once("Offering public key: ").map(|(_, key)| key.split(' ').next().unwrap().to_owned())
    };
    came.told().lines().filter_map(name).collect()
}

#[test]
fn keys_are_offered_in_the_order_of_the_files_and_of_an_agent_only_those_that_are_named() {
    for generation in Generation::ALL {
        let place = Place::new(generation, &[]);
        let [first, second, third] = keys(&place.files, ["first", "second", "third"]);
        place.files.write("authorized_keys", &public(&third));
        let mut client = place.client(&[]);
        client.arg("-i").arg(&second).arg("-i").arg(&first).arg("-i").arg(&third);
        let came = place.login(&mut client);
        assert_eq!(came.to().as_deref(), Some("in"), "{}", came.told());
        let expected = [&second, &first, &third].map(|path| path.display().to_string());
        assert_eq!(offered(&came), expected);

        // The right key is the agent's alone.
        let agent = Agent::start(generation, &place.files, "agent.sock");
        agent.add([&*second, &*third]);
        for path in [&second, &third] {
            fs::remove_file(path).unwrap();
        }
        let login = |options: &[&str], names: &[PathBuf]| {
            let mut client = place.client(options);
            for path in names {
                client.arg("-i").arg(path);
            }
            place.login(client.env("SSH_AUTH_SOCK", &agent.socket))
        };
        let came = login(&["BatchMode=yes"], std::slice::from_ref(&first));
        assert_eq!((came.to().as_deref(), offered(&came).len()), (Some("in"), 2), "{}", came.told());
        let came = login(&["BatchMode=yes", "IdentitiesOnly=yes"], std::slice::from_ref(&first));
        assert_eq!((came.to(), offered(&came).len()), (None, 1), "{}", came.told());
        let came = login(&["BatchMode=yes", "IdentitiesOnly=yes"], &[beside(&third, ".pub"), first.clone()]);
        assert_eq!((came.to().as_deref(), offered(&came).len()), (Some("in"), 1), "{}", came.told());
        let came = login(&["BatchMode=yes", "IdentityAgent=none"], &[first]);
        assert_eq!(came.to(), None, "{}", came.told());
    }
}

#[test]
fn methods_are_tried_in_the_order_that_is_preferred_and_passwords_as_often_as_is_said() {
    let account = Account::create();
    for generation in Generation::ALL {
        let place = Place::new(generation, &["UsePAM yes"]);
        let login = |name: &str, options: &[&str], typed: &[&str]| {
            let answers = Answers::new(&place.files, name, typed);
            let mut client = place.client(options);
            answers.give(&mut client);
            client.arg("-i").arg(place.files.path("host_key")); // nobody's
            let came = Came::of(client.args([&format!("{}@127.0.0.1", account.name), COMMAND]));
            (came, answers.asked())
        };
        let right = &*account.password;
        let (came, asked) = login("a", &["PreferredAuthentications=password,publickey"], &[right]);
        assert_eq!((came.to().as_deref(), asked.len()), (Some("in"), 1), "{}", came.told());
        assert_eq!(asked, [format!("{}@127.0.0.1's password: ", account.name)]);
        assert!(offered(&came).is_empty(), "{}", came.told());
        let (came, asked) =
            login("b", &["PreferredAuthentications=publickey,keyboard-interactive"], &[right]);
        assert_eq!((came.to().as_deref(), asked.len()), (Some("in"), 1), "{}", came.told());
        assert!(asked[0].starts_with(&format!("({}@127.0.0.1) ", account.name)), "{asked:?}");
        assert_eq!(offered(&came).len(), 1);
        let twice = ["PreferredAuthentications=password", "NumberOfPasswordPrompts=2"];
        let (came, asked) = login("c", &twice, &["wrong", "again wrong", right]);
        assert_eq!((came.to(), asked.len()), (None, 2), "{}", came.told());
        assert!(came.told().contains("Permission denied, please try again."), "{}", came.told());
        let (came, asked) = login("d", &["PreferredAuthentications=password"], &[]);
        assert_eq!(
            (came.to(), asked.len()),
            (None, 1),
            "whoever declines is not asked again: {}",
            came.told()
        );
    }
}

#[test]
fn in_batch_mode_nobody_is_asked_and_the_last_words_say_what_was_tried_and_what_would_be_taken() {
    for generation in Generation::ALL {
        let place =
            Place::new(generation, &["PasswordAuthentication yes", "KbdInteractiveAuthentication no"]);
        let [plain, locked] = ["plain", "locked"].map(|name| place.files.path(name));
        generate(generation, &plain, &["ed25519"], "");
        generate(generation, &locked, &["ed25519"], "secret");
        place.files.write("authorized_keys", &public(&locked));
        let answers = Answers::new(&place.files, "askpass", &["secret"]);
        let mut client = place.client(&["BatchMode=yes"]);
        answers.give(&mut client);
        let came = place.login(client.arg("-i").arg(&plain).arg("-i").arg(&locked));
        let told = came.told();
        assert_eq!((came.to(), answers.asked().len()), (None, 0), "{told}");
        let denied = format!("{}@127.0.0.1: Permission denied (publickey,password).", user());
        assert!(told.contains(&denied), "{told}");
        assert_eq!(told.matches("debug1: kex: algorithm: ").count(), 1, "{told}");
        let tried = told.lines().find(|line| line.starts_with("Tried: ")).unwrap();
        for word in [
            plain.display().to_string(),
            format!("{} (it needs a passphrase, and nobody is asked)", locked.display()),
        ] {
            assert!(tried.contains(&word), "{word}: {tried}");
        }
    }
}

#[test]
fn twenty_keys_of_an_agent_leave_tries_for_what_is_named_and_for_a_password() {
    let account = Account::create();
    for generation in Generation::ALL {
        let place = Place::new(generation, &["MaxAuthTries 6", "PasswordAuthentication yes"]);
        let files = &place.files;
        let strays: Vec<_> = (0..20).map(|n| keys(files, [&format!("stray{n}")])[0].clone()).collect();
        let [in_agent, in_file] = keys(files, ["in_agent", "in_file"]);
        files.write("authorized_keys", &(public(&in_agent) + &public(&in_file)));
        let agent = Agent::start(generation, files, "agent.sock");
        agent.add(strays.iter().map(PathBuf::as_path).chain([&*in_agent]));
        fs::remove_file(&in_agent).unwrap();
        for (name, key) in [("by the agent", beside(&in_agent, ".pub")), ("by a file", in_file)] {
            let mut client = place.client(&["BatchMode=yes"]);
            let came = place.login(client.env("SSH_AUTH_SOCK", &agent.socket).arg("-i").arg(key));
            assert_eq!(came.to().as_deref(), Some("in"), "{name}: {}", came.told());
        }
        let answers = Answers::new(files, "askpass", &[&account.password]);
        let mut client = place.client(&["IdentityFile=none"]);
        answers.give(&mut client);
        client.env("SSH_AUTH_SOCK", &agent.socket);
        let came = Came::of(client.args([&format!("{}@127.0.0.1", account.name), COMMAND]));
        assert_eq!(came.to().as_deref(), Some("in"), "by a password: {}", came.told());
        assert_eq!((offered(&came).len(), answers.asked().len()), (4, 1), "{}", came.told());
    }
}

/// What an agent that fails does with a connection.
fn failing_agent(files: &Files, name: &str, talk: fn(UnixStream)) -> PathBuf {
    let socket = files.path(name);
    let listener = UnixListener::bind(&socket).unwrap();
    thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(talk));
    socket
}

/// Reads until the client has gone, and says nothing.
fn hang(mut stream: UnixStream) {
    let _gone = std::io::copy(&mut stream, &mut std::io::sink());
}

/// Ends the connection at the first request.
fn die(mut stream: UnixStream) {
    let _read = stream.read(&mut [0; 1]);
}

/// Answers what is no answer.
fn rave(mut stream: UnixStream) {
    let _gone = stream.read(&mut [0; 1]).and_then(|_| stream.write_all(&[0xff; 64]));
    hang(stream);
}

#[test]
fn a_login_goes_on_with_a_file_when_the_agent_hangs_dies_raves_or_is_not_there() {
    let place = Place::new(Generation::Trixie, &[]);
    let sockets = [
        failing_agent(&place.files, "hang.sock", hang),
        failing_agent(&place.files, "die.sock", die),
        failing_agent(&place.files, "rave.sock", rave),
        place.files.path("nobody.sock"),
    ];
    for socket in sockets {
        let mut client = place.client(&["BatchMode=yes"]);
        client.env("SSH_AUTH_SOCK", &socket).arg("-i").arg(place.files.path("user_key"));
        let came = place.login(&mut client);
        assert_eq!(came.to().as_deref(), Some("in"), "{}: {}", socket.display(), came.told());
        assert!(came.told().contains("agent"), "it is told with -v: {}", came.told());
    }
}

#[test]
fn t58_a_banner_does_nothing_to_the_terminal_and_says_whose_it_is() {
    let files = Files::new();
    let banner = files.write("banner", "\x1b]0;title\x07hello\r\n\x1b[31msecond \u{202e}line\n");
    for generation in Generation::ALL {
        let server = sshd(generation, &files, &[&format!("Banner {banner}")]);
        let mut client = our_client(&files, server.port);
        client.arg("-i").arg(files.path("user_key"));
        let came = Came::of(client.args([&format!("{}@127.0.0.1", user()), COMMAND]));
        assert_eq!(came.to().as_deref(), Some("in"));
        let told = came.told();
        assert!(!told.contains(['\x1b', '\x07', '\u{202e}', '\r']), "{told:?}");
        let shown = "127.0.0.1: \\x1b]0;title\\x07hello\n127.0.0.1: \\x1b[31msecond \\u{202e}line\n";
        assert!(told.contains(shown), "{told:?}");
    }
}

#[test]
fn no_secret_is_in_the_story_of_a_login() {
    let account = Account::create();
    for (generation, method) in
        [(Generation::Trixie, "password"), (Generation::Bookworm, "keyboard-interactive")]
    {
        let place =
            Place::new(generation, &["UsePAM yes", &format!("AuthenticationMethods publickey,{method}")]);
        let locked = place.files.path("locked");
        generate(generation, &locked, &["ed25519"], "open sesame");
        place.files.write("authorized_keys", &public(&locked));
        let secrets = ["open sesame", "wrong wrong", &account.password];
        let answers = Answers::new(&place.files, "askpass", &secrets);
        let mut client = place.client(&[]);
        answers.give(&mut client);
        client.args(["-vv", "-i"]).arg(&locked);
        let came = Came::of(client.args([&format!("{}@127.0.0.1", account.name), COMMAND]));
        let told = came.told();
        assert_eq!((came.to().as_deref(), answers.asked().len()), (Some("in"), 3), "{told}");
        assert!(told.contains("debug2: "), "{told}");
        for secret in secrets {
            assert!(!told.contains(secret), "{told}");
        }
    }
}

#[test]
fn nothing_is_no_yes_to_an_unknown_host() {
    let files = Files::new();
    let server = our_sshd(&files, &[]);
    for (text, is_yes) in [("", false), ("echo", false), ("echo Yes", true), ("echo no", false)] {
        let askpass = files.write("askpass", &format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(&askpass, fs::Permissions::from_mode(0o700)).unwrap();
        let known_hosts = files.path("learnt");
        let _none = fs::remove_file(&known_hosts);
        let trust = Trust { known_hosts: known_hosts.to_str().unwrap().to_owned(), strict: "ask" };
        let mut client = our_ssh_trusting(&files, server.port, &trust);
        client.env("SSH_ASKPASS", &askpass).env("SSH_ASKPASS_REQUIRE", "force");
        let mut running = Running::start(client.args([&format!("{}@127.0.0.1", user()), "true"]));
        assert_eq!(running.wait().success(), is_yes, "{text}: {}", running.log());
        assert_eq!(known_hosts.exists(), is_yes, "{}", running.log());
    }
}
