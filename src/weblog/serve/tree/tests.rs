//! Logs in real directories, seen through a client of SFTP; beside them what nobody may see.

use super::super::audit::tests::lines;
use super::super::settings::AuditForm;
use super::*;
use crate::driver::sftp::tests::{BAD, DENIED, EOF, FAILURE, MISSING, OK, Seen, Session};
use crate::sftp::{Pflags, Request};
use core::sync::atomic::{AtomicBool, Ordering};
use proptest::prelude::{any, prop, proptest};
use rustix::fs::{FileType, RenameFlags, mknodat, renameat_with};
use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::PathBuf;
use tempfile::TempDir;

const SECRET: &str = "nobody may read this";

/// `logs`, where logs are, and `outside` with a secret.
struct Machine {
    directory: TempDir,
    shop: Arc<LogFiles>,
}

impl Machine {
    /// `/shop` is `logs/access.log`.
    fn new() -> Self {
        let machine = Self {
            directory: tempfile::tempdir().unwrap(),
            shop: Arc::new(LogFiles::new("shop".to_owned())),
        };
        for name in ["logs", "outside"] {
            fs::create_dir(machine.path(name)).unwrap();
        }
        machine.write("outside/secret", SECRET);
        machine.write("logs/access.log", "live\n");
        machine.shop.set([machine.path("logs/access.log")]);
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn fifo(&self, name: &str) {
        mknodat(CWD, self.path(name), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    }

    fn session(&self) -> Session {
        Session::of_tree(Arc::new(LogTree::new(vec![Arc::clone(&self.shop)])))
    }
}

/// The names in a directory, sorted.
fn names(session: &mut Session, path: &str) -> Vec<String> {
    let handle = session.ask(&Request::Opendir { path: path.as_bytes() }).handle();
    let mut names = Vec::new();
    loop {
        match session.ask(&Request::Readdir { handle: &handle }) {
            Seen::Names(more) => names.extend(more.into_iter().map(|(name, ..)| name)),
            end => {
                assert_eq!(end, EOF);
                assert_eq!(session.ask(&Request::Close { handle: &handle }), OK);
                names.sort();
                return names;
            }
        }
    }
}

fn text(text: &str) -> Seen {
    Seen::Data(text.as_bytes().to_vec())
}

#[test]
fn a_log_has_its_rotated_files_beside_it_and_nothing_else() {
    let machine = Machine::new();
    let rotated = ["access.log.1", "access.log.2.gz", "access.log-20260301", "access.log-2026030112.xz"];
    for name in rotated {
        machine.write(&format!("logs/{name}"), name);
    }
    let others =
        ["error.log", "access.log.bak", "access.log.1.bak", "access.logs", "access", ".access.log.1", "x.1"];
    for name in others {
        machine.write(&format!("logs/{name}"), SECRET);
    }
    let mut session = machine.session();
    assert_eq!(names(&mut session, "/"), ["shop"]);
    let mut expected = [&["access.log"], &rotated[..]].concat();
    expected.sort_unstable();
    assert_eq!(names(&mut session, "/shop"), expected);
    assert_eq!(session.read(b"/shop/access.log"), text("live\n"));
    for name in rotated {
        assert_eq!(session.read(format!("/shop/{name}").as_bytes()), text(name));
    }
    for name in others {
        let path = format!("/shop/{name}");
        assert_eq!(session.read(path.as_bytes()), MISSING, "{name}");
        assert_eq!(session.ask(&Request::Stat { path: path.as_bytes() }), MISSING, "{name}");
    }
}

#[test]
fn each_sees_the_logs_that_are_his() {
    let machine = Machine::new();
    machine.write("logs/error.log", "error\n");
    let errors = Arc::new(LogFiles::new("errors".to_owned()));
    errors.set([machine.path("logs/error.log")]);
    let both: Arc<dyn Tree> = Arc::new(LogTree::new(vec![Arc::clone(&machine.shop), Arc::clone(&errors)]));
    let (mut ann, mut bob) = (Session::of_tree(both), machine.session());
    assert_eq!(names(&mut ann, "/"), ["errors", "shop"]);
    assert_eq!(ann.read(b"/errors/error.log"), text("error\n"));
    for path in ["/errors/error.log", "/errors", "/shop/error.log", "/shop/../errors/error.log", "/other"] {
        let path = path.as_bytes();
        assert_eq!(bob.read(path), MISSING, "{path:?}");
        assert_eq!(bob.ask(&Request::Opendir { path }), MISSING, "another's log is none");
    }
    assert_eq!(ann.read(b"/shop/error.log"), MISSING);
}

#[test]
fn what_is_followed_may_change_between_requests() {
    let machine = Machine::new();
    let mut session = machine.session();
    machine.write("logs/blog.log", "blog\n");
    assert_eq!(session.read(b"/shop/blog.log"), MISSING);
    machine.shop.set(["blog.log", "access.log", "later.log"].map(|name| machine.path("logs").join(name)));
    assert_eq!(names(&mut session, "/shop"), ["access.log", "blog.log"], "one is not there yet");
    assert_eq!(session.read(b"/shop/blog.log"), text("blog\n"));
    let handle = session.open(b"/shop/access.log", Pflags::READ).handle();
    fs::rename(machine.path("logs/access.log"), machine.path("logs/access.log.1")).unwrap();
    machine.write("logs/access.log", "new\n");
    let read = session.ask(&Request::Read { handle: &handle, offset: 0, len: 100 });
    assert_eq!(read, text("live\n"), "an open file stays what it is");
    assert_eq!(session.read(b"/shop/access.log"), text("new\n"));
    assert_eq!(session.read(b"/shop/access.log.1"), text("live\n"));
    machine.shop.set([] as [PathBuf; 0]);
    assert_eq!(session.read(b"/shop/access.log"), MISSING);
    assert!(names(&mut session, "/shop").is_empty());
}

#[test]
fn the_first_of_two_directories_has_a_name_that_both_have() {
    let machine = Machine::new();
    for directory in ["one", "two"] {
        fs::create_dir(machine.path(directory)).unwrap();
        machine.write(&format!("{directory}/a.log"), directory);
        machine.write(&format!("{directory}/{directory}.log.1"), directory);
    }
    machine.write("two/a.log.1", "two");
    machine.shop.set(["one/a.log", "one/one.log", "two/a.log", "two/two.log"].map(|name| machine.path(name)));
    let mut session = machine.session();
    assert_eq!(names(&mut session, "/shop"), ["a.log", "a.log.1", "one.log.1", "two.log.1"]);
    assert_eq!(session.read(b"/shop/a.log"), text("one"));
    fs::remove_file(machine.path("one/a.log")).unwrap();
    assert_eq!(session.read(b"/shop/a.log"), text("two"));
    assert_eq!(names(&mut session, "/shop"), ["a.log", "a.log.1", "one.log.1", "two.log.1"]);
}

#[test]
fn t102_what_is_no_regular_file_is_not_there_and_never_opened() {
    let machine = Machine::new();
    machine.fifo("logs/access.log.1");
    fs::create_dir(machine.path("logs/access.log.2")).unwrap();
    symlink("/dev/zero", machine.path("logs/access.log.3")).unwrap();
    symlink("access.log.1", machine.path("logs/access.log.4")).unwrap();
    symlink("gone", machine.path("logs/access.log.5")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(machine.path("logs/access.log.6")).unwrap();
    let mut session = machine.session();
    assert_eq!(names(&mut session, "/shop"), ["access.log"]);
    for number in 1..=6 {
        let path = format!("/shop/access.log.{number}");
        assert_eq!(session.read(path.as_bytes()), MISSING, "{path}");
        assert_eq!(session.ask(&Request::Lstat { path: path.as_bytes() }), MISSING, "{path}");
        assert_eq!(session.ask(&Request::Opendir { path: path.as_bytes() }), MISSING, "{path}");
    }
    // Whoever writes to the FIFO would have been let in by a reader, if only for a moment.
    let flags = OFlags::WRONLY | OFlags::NONBLOCK;
    let writer = openat(CWD, machine.path("logs/access.log.1"), flags, Mode::empty());
    assert_eq!(writer.unwrap_err(), Errno::NXIO, "nobody has it open");
}

#[test]
fn t102_links_lead_where_the_follower_would_go() {
    let machine = Machine::new();
    fs::create_dir(machine.path("data")).unwrap();
    machine.write("data/of-today", "today\n");
    symlink("../data/of-today", machine.path("logs/linked.log")).unwrap();
    symlink("../data", machine.path("logs/elsewhere")).unwrap();
    machine.write("logs/linked.log.1", "yesterday\n");
    machine.write("data/of-today.1", SECRET);
    machine.shop.set(["logs/linked.log", "logs/elsewhere/of-today"].map(|name| machine.path(name)));
    let mut session = machine.session();
    assert_eq!(names(&mut session, "/shop"), ["linked.log", "linked.log.1", "of-today", "of-today.1"]);
    assert_eq!(session.read(b"/shop/linked.log"), text("today\n"));
    assert_eq!(session.attrs(b"/shop/linked.log").permissions, Some(0o100_444), "it looks like a file");
    assert_eq!(session.ask(&Request::Readlink { path: b"/shop/linked.log" }), BAD);
    // A link that somebody else has put there, to what he could not read.
    symlink("../outside/secret", machine.path("logs/linked.log.2")).unwrap();
    if lchown(machine.path("logs/linked.log.2"), Some(33), None).is_ok() {
        assert_eq!(session.read(b"/shop/linked.log.2"), MISSING);
        assert_eq!(session.ask(&Request::Stat { path: b"/shop/linked.log.2" }), MISSING);
        assert!(!names(&mut session, "/shop").contains(&"linked.log.2".to_owned()));
    }
}

#[test]
fn t102_what_was_rotated_is_no_link() {
    let machine = Machine::new();
    symlink("../outside/secret", machine.path("logs/access.log.1")).unwrap();
    symlink("access.log", machine.path("logs/access.log.2")).unwrap();
    symlink("access.log", machine.path("logs/shop.log")).unwrap();
    machine.shop.set(["logs/access.log", "logs/shop.log"].map(|name| machine.path(name)));
    let mut session = machine.session();
    assert_eq!(names(&mut session, "/shop"), ["access.log", "shop.log"]);
    for path in [&b"/shop/access.log.1"[..], b"/shop/access.log.2"] {
        assert_eq!(session.read(path), MISSING);
        assert_eq!(session.ask(&Request::Stat { path }), MISSING);
    }
    assert_eq!(session.read(b"/shop/shop.log"), text("live\n"), "a log may be one");
}

#[test]
fn what_cannot_be_read_is_told() {
    let machine = Machine::new();
    machine.write("logs/access.log.1", "x");
    fs::set_permissions(machine.path("logs/access.log.1"), PermissionsExt::from_mode(0o0)).unwrap();
    let mut session = machine.session();
    assert_eq!(names(&mut session, "/shop"), ["access.log", "access.log.1"]);
    let expected = if rustix::process::geteuid().is_root() { text("x") } else { DENIED };
    assert_eq!(session.read(b"/shop/access.log.1"), expected);
}

#[test]
fn hostile_names_are_no_such_file() {
    let machine = Machine::new();
    machine.write("logs/access.log.1\u{1b}[2J", SECRET);
    let long = format!("/shop/access.log-{}", "1".repeat(300));
    let mut session = machine.session();
    for path in [
        "/shop/../outside/secret",
        "/shop/../../outside/secret",
        "../outside/secret",
        "/shop/../shop/../../etc/passwd",
        "/etc/passwd",
        "/shop/access.log/../../outside/secret",
        "/shop/access.log.1\u{1b}[2J",
        "/shop/access.log.1/../access.log",
        "/shop/.access.log",
        "/shop/*",
        "shop\\access.log",
        "/shop /access.log",
        "/SHOP/access.log",
        "/shop/access.log.00000000000000000001x",
        &long,
    ] {
        let path = path.as_bytes();
        assert_eq!(session.read(path), MISSING, "{path:?}");
        assert_eq!(session.ask(&Request::Stat { path }), MISSING, "{path:?}");
    }
    assert_eq!(names(&mut session, "/shop"), ["access.log"]);
    assert_eq!(session.ask_rudely(&Request::Stat { path: b"/shop/access.log\0" }), FAILURE);
}

#[test]
fn a_name_that_is_no_component_is_a_log_that_nobody_finds() {
    let machine = Machine::new();
    for name in ["..", "a/b", ""] {
        let log = Arc::new(LogFiles::new(name.to_owned()));
        log.set([machine.path("logs/access.log")]);
        let mut session = Session::of_tree(Arc::new(LogTree::new(vec![log])));
        assert!(names(&mut session, "/").is_empty());
        assert_eq!(session.read(format!("/{name}/access.log").as_bytes()), MISSING, "{name}");
    }
}

#[test]
fn the_audit_has_a_line_of_each_file_that_was_copied_or_begun() {
    let machine = Machine::new();
    machine.write("logs/access.log.1", "0123456789");
    machine.write("logs/\u{1b}[2J \"x.log", "?");
    machine.shop.set([machine.path("logs/access.log"), machine.path("logs/\u{1b}[2J \"x.log")]);
    let copy = || {
        let tree = LogTree::new(vec![Arc::clone(&machine.shop)]).copied_by(b"ann", None);
        let mut session = Session::of_tree(Arc::new(tree));
        session.read(b"/shop/access.log.1");
        session.open(b"/shop/none", Pflags::READ);
        session.ask(&Request::Stat { path: b"/shop/access.log" });
        session.open("/shop/\u{1b}[2J \"x.log".as_bytes(), Pflags::READ); // its connection is cut
    };
    let told = lines(AuditForm::Text, copy);
    let told: Vec<_> = told.iter().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(
        told,
        [
            "transfer user=ann path=/shop/access.log.1 bytes=10",
            r#"transfer user=ann path="/shop/\x1b[2J \x22x.log" bytes=0"#,
        ]
    );
    let told = lines(AuditForm::Json, copy);
    let told: Vec<serde_json::Value> = told.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (&told[0]["event"], &told[0]["user"], &told[0]["path"], &told[0]["bytes"]),
        (&"transfer".into(), &"ann".into(), &"/shop/access.log.1".into(), &10.into())
    );
    assert_eq!(told[1]["path"], "/shop/\\x1b[2J \"x.log");
    assert_eq!(lines(AuditForm::Text, || drop(machine.session().read(b"/shop/access.log"))), [""; 0]);
}

/// Tells the other thread that it is over, even if a test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn t98_names_that_are_swapped_while_they_are_read_never_lead_out() {
    const ROUNDS: u32 = 3_000;
    let machine = Machine::new();
    machine.write("logs/access.log.1", "old\n");
    // What is outside may be read by whoever follows this link only if it is his own; a FIFO by nobody.
    symlink("../outside/secret", machine.path("logs/swapped")).unwrap();
    let is_foreign = lchown(machine.path("logs/swapped"), Some(33), None).is_ok();
    if !is_foreign {
        fs::remove_file(machine.path("logs/swapped")).unwrap();
        machine.fifo("logs/swapped");
    }
    let is_over = AtomicBool::new(false);
    let (mut found, mut missed) = (0, 0);
    let (one, other) = (machine.path("logs/access.log.1"), machine.path("logs/swapped"));
    std::thread::scope(|scope| {
        let over = Over(&is_over);
        let swapping = scope.spawn(|| {
            let mut swaps = 0;
            while !is_over.load(Ordering::Relaxed) {
                renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
                swaps += 1;
            }
            swaps
        });
        let mut session = machine.session();
        let mut rounds = 0;
        while rounds < ROUNDS || found < 100 || missed < 100 {
            match session.read(b"/shop/access.log.1") {
                seen if seen == text("old\n") => found += 1,
                seen => {
                    assert_eq!(seen, MISSING);
                    missed += 1;
                }
            }
            let listed = names(&mut session, "/shop");
            assert!(listed.iter().all(|name| name.starts_with("access.log")), "{listed:?}");
            rounds += 1;
        }
        drop(over);
        assert!(swapping.join().unwrap() > 100);
    });
}

#[test]
fn a_directory_that_cannot_be_listed_still_has_the_log() {
    let machine = Machine::new();
    machine.shop.set([machine.path("logs/access.log"), machine.path("nowhere/b.log")]);
    let mut session = machine.session();
    assert_eq!(names(&mut session, "/shop"), ["access.log"]);
    assert_eq!(session.read(b"/shop/b.log"), MISSING);
}

proptest! {
    #[test]
    fn whatever_is_asked_for_only_the_logs_own_files_are_had(
        parts in prop::collection::vec(prop::sample::select(vec![
            "shop", "access.log", "access.log.1", "access.log.2", "..", ".", "", "outside", "secret", "logs", "etc", "passwd",
        ]), 0..8),
        suffix in prop::option::of("[.0-9a-z-]{1,12}"),
        is_absolute in any::<bool>(),
    ) {
        let machine = Machine::new();
        machine.write("logs/access.log.1", "old\n");
        symlink("../outside", machine.path("logs/access.log.2")).unwrap();
        let mut session = machine.session();
        let path = format!("{}{}{}", if is_absolute { "/" } else { "" }, parts.join("/"), suffix.unwrap_or_default());
        let path = path.as_bytes();
        let had = session.read(path);
        // A directory fails.
        assert!([text("live\n"), text("old\n"), MISSING, FAILURE].contains(&had), "{path:?}: {had:?}");
        session.ask(&Request::Stat { path });
    }
}
