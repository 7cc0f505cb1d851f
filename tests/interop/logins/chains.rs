//! Logins by several methods, and by passwords: OpenSSH's ssh at our server, and our client at both generations of sshd.

use super::super::openssh::{Account, Files, Generation, Server, our_sshd, sshd};
use super::{Answers, COMMAND, Came, generate, hashed, our_client, public, set, their_client};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// What is typed for the password in the table.
const RIGHT: &str = "RIGHT";

/// One login at a server that asks for `methods`.
struct Case {
    methods: &'static str,
    /// The files of keys that the client has.
    keys: &'static [&'static str],
    options: &'static [&'static str],
    typed: &'static [&'static str],
    succeeds: bool,
    /// How often something is typed.
    questions: usize,
    /// Steps that succeed before the last.
    partial: usize,
}

const NO_KEYS: &[&str] = &["PubkeyAuthentication=no"];
const BATCH: &[&str] = &["BatchMode=yes"];
const BOTH: [&str; 2] = ["publickey,password", "publickey,keyboard-interactive"];

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut case = |methods, keys, options, typed, succeeds, questions, partial| {
        cases.push(Case { methods, keys, options, typed, succeeds, questions, partial });
    };
    for methods in BOTH {
        case(methods, &["one"], &[], &["wrong", RIGHT], true, 2, 1);
        case(methods, &["one"], BATCH, &[], false, 0, 1);
        case(methods, &["stranger"], &[], &[RIGHT], false, 0, 0);
        case(methods, &["one"], NO_KEYS, &[RIGHT], false, 0, 0);
        case(methods, &["one"], &["NumberOfPasswordPrompts=1"], &["wrong", RIGHT], false, 1, 1);
    }
    let two = "publickey,publickey";
    case(two, &["one", "two"], BATCH, &[], true, 0, 1);
    case(two, &["stranger", "two", "one"], BATCH, &[], true, 0, 1);
    case(two, &["one"], BATCH, &[], false, 0, 1);
    case(two, &["one", "one_again"], BATCH, &[], false, 0, 1);
    let either = "publickey password";
    case(either, &["one"], BATCH, &[], true, 0, 0);
    case(either, &["stranger"], &[], &["wrong", RIGHT], true, 2, 0);
    case(either, &[], NO_KEYS, &[RIGHT], true, 1, 0);
    let longer = "publickey,password publickey,keyboard-interactive";
    case(longer, &["one"], &["PreferredAuthentications=publickey,password"], &[RIGHT], true, 1, 1);
    case(longer, &["one"], &["PreferredAuthentications=publickey,keyboard-interactive"], &[RIGHT], true, 1, 1);
    let three = "publickey,publickey,password";
    case(three, &["one", "two"], &[], &[RIGHT], true, 1, 2);
    cases
}

/// The keys of the table; the account may read what is authorised.
fn files() -> Files {
    let files = Files::new();
    for name in ["one", "two", "stranger"] {
        generate(Generation::Bookworm, &files.path(name), &["ed25519"], "");
    }
    fs::copy(files.path("one"), files.path("one_again")).unwrap();
    files.write("authorized_keys", &(public(&files.path("one")) + &public(&files.path("two"))));
    fs::set_permissions(files.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    files
}

impl Case {
    fn check(
        &self,
        files: &Files,
        server: &Server,
        mut client: Command,
        user: &str,
        password: &str,
        what: &str,
    ) {
        let typed: Vec<_> = self.typed.iter().map(|word| word.replace(RIGHT, password)).collect();
        let typed: Vec<_> = typed.iter().map(String::as_str).collect();
        let answers = Answers::new(files, &format!("askpass {what}"), &typed);
        answers.give(&mut client);
        for key in self.keys {
            client.arg("-i").arg(files.path(key));
        }
        set(&mut client, &["IdentitiesOnly=yes"]);
        set(&mut client, self.options);
        let came = Came::of(client.args(["-v", &format!("{user}@127.0.0.1"), COMMAND]));
        let what = format!(
            "{what} {} {:?} {:?}: {}{}",
            self.methods,
            self.keys,
            self.options,
            came.told(),
            server.running.log()
        );
        assert_eq!(came.to().as_deref(), self.succeeds.then_some("in"), "{what}");
        assert_eq!(answers.asked().len(), self.questions, "{:?} {what}", answers.asked());
        assert_eq!(came.told().matches("partial success").count(), self.partial, "{what}");
        if !self.succeeds {
            assert!(came.told().contains("Permission denied ("), "{what}");
        }
    }
}

fn chains(cases: &[Case]) -> Vec<&'static str> {
    let mut chains: Vec<_> = cases.iter().map(|case| case.methods).collect();
    chains.dedup();
    chains
}

#[test]
fn every_ssh_goes_through_chains_of_methods_at_our_server() {
    let (files, cases) = (files(), cases());
    let passwords = format!("PasswordFile={}", files.write("passwords", &hashed("ann", "secret")));
    for (m, methods) in chains(&cases).into_iter().enumerate() {
        let server = our_sshd(&files, &[&format!("AuthenticationMethods={methods}"), &passwords]);
        for (n, case) in cases.iter().enumerate().filter(|(_, case)| case.methods == methods) {
            let generation = Generation::ALL[(n + m) % 2];
            let client = their_client(generation, &files, server.port);
            case.check(&files, &server, client, "ann", "secret", &format!("{generation:?} {n}"));
        }
        if methods == "publickey,publickey" {
            // For the lonely key, and for its copy.
            for _ in 0..2 {
                let told = server.running.wait_for("the key was used for an earlier step");
                assert!(told.is_some(), "{}", server.running.log());
            }
        }
    }
    println!("figure: chains at our server: {} logins", cases.len());
}

fn our_client_at(generation: Generation) {
    let (files, cases, account) = (files(), cases(), Account::create());
    for methods in chains(&cases) {
        let methods_line = format!("AuthenticationMethods {methods}");
        let asks =
            ["UsePAM yes", "KbdInteractiveAuthentication yes", "PasswordAuthentication yes", &methods_line];
        let server = sshd(generation, &files, &asks);
        for (n, case) in cases.iter().enumerate().filter(|(_, case)| case.methods == methods) {
            let client = our_client(&files, server.port);
            case.check(&files, &server, client, &account.name, &account.password, &format!("{n}"));
        }
    }
    println!("figure: our client at chains of {generation:?}: {} logins", cases.len());
}

#[test]
fn our_client_goes_through_chains_of_methods_at_sshd_9() {
    our_client_at(Generation::Bookworm);
}

#[test]
fn our_client_goes_through_chains_of_methods_at_sshd_10() {
    our_client_at(Generation::Trixie);
}
