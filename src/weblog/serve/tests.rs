//! What a configuration says, and what is said of one that is wrong.

use super::flags::Flags;
use super::settings::{AuditForm, Configuration, LOG_NAME_MAX, Limits, LogFile, PORT, RING_MAX, Wrong};
use super::tables::WRONG_MAX;
use super::users::Rights;
use crate::driver::files::create_private;
use crate::driver::gate::Startups;
use crate::driver::passwords::hash;
use crate::keys::{authorized_keys, ssh_config};
use crate::userauth::{CHAINS_MAX, Method, MethodChains};
use core::time::Duration;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A directory with files of its own.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        for name in ["ann.pub", "a", "b"] {
            files.write(name, include_str!("../../../vectors/keys/ed25519.pub"));
        }
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// The flags that name a file with this text.
    fn flags(&self, text: &str) -> Flags {
        let config = Some(self.write("config.toml", text));
        Flags { config, state_dir: Some(self.path("state")), ..Flags::default() }
    }

    fn read(&self, text: &str) -> Result<Configuration, Wrong> {
        Configuration::read(&self.flags(text))
    }

    /// The lines that are told of this text, without the directory.
    fn wrongs(&self, text: &str) -> Vec<String> {
        let read = self.read(text).and_then(|configuration| configuration.check());
        let Err(Wrong::Files(lines)) = read else { panic!("nothing is wrong: {text}") };
        lines.iter().map(|line| line.replace(&format!("{}/", self.0.path().display()), "")).collect()
    }
}

/// Enough for a start.
const LEAST: &str =
    "[[log]]\npath = '/var/log/shop.log'\n[[user]]\nname = 'ann'\nauthorized_keys = 'ann.pub'\n";

fn usage(flags: &Flags) -> String {
    match Configuration::read(flags) {
        Err(Wrong::Usage(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_says_everything() {
    let files = Files::new();
    let hash = hash(b"secret").unwrap();
    let text = format!(
        r#"
listen = ["127.0.0.1:0", "8023", "[::1]:22"]
host_keys = ["one", "/two"]
host_certificates = ["one-cert.pub"]
state_dir = "state"
audit = "json"
revoked_keys = "revoked"
run_as = "nobody"

[[log]]
name = "shop"
path = "/var/log/nginx/shop-*.log"
log_format = "vhost"
[[log]]
path = "api.log"

[[user]]
name = "ann"
authorized_keys = "ann.pub"
password_hash = "{hash}"
require = ["publickey", "password"]
logs = ["shop"]
[[user]]
name = "support"
ca_keys = "ca.pub"
view = ["--vhost", "shop.example", "--anonymize", "--top", "5"]
[[user]]
name = "copier"
authorized_keys = "/etc/copier.pub"
view = ["--status", "5xx"]
sftp = true

[limits]
login_grace = "1m30s"
max_startups = "5:50:20"
max_auth_tries = 3
max_connections = 7
per_source = 2
max_sessions = 1
idle = "2h"
keepalive = "0"
ring = 100
"#
    );
    let read = files.read(&text).unwrap();
    let listen: Vec<SocketAddr> =
        ["127.0.0.1:0", "[::]:8023", "[::1]:22"].iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(read.listen, listen);
    assert_eq!(read.host_keys, [files.path("one"), PathBuf::from("/two")]);
    assert_eq!(read.host_certificates, [files.path("one-cert.pub")]);
    assert_eq!((read.state_dir.clone(), read.audit), (files.path("state"), AuditForm::Json));
    assert_eq!(read.run_as.unwrap().to_string(), "nobody");
    let log = |name: &str, path: PathBuf, format: Option<&str>| LogFile {
        name: name.to_owned(),
        path,
        log_format: format.map(str::to_owned),
    };
    let logs = [
        log("shop", "/var/log/nginx/shop-*.log".into(), Some("vhost")),
        log("api", files.path("api.log"), None),
    ];
    assert_eq!(read.settings.logs, logs);
    let limits = Limits {
        login_grace: Some(Duration::from_secs(90)),
        max_startups: Startups { start: 5, rate: 50, full: 20 },
        max_auth_tries: 3,
        max_connections: 7,
        per_source: 2,
        max_sessions: 1,
        idle: Some(Duration::from_secs(7200)),
        keepalive: None,
        ring: 100,
    };
    assert_eq!(read.settings.limits, limits);
    let users = read.settings.users;
    let ann = users.accounts.account(b"ann").unwrap();
    assert_eq!(ann.authorized_keys, [files.path("ann.pub")]);
    assert_eq!(ann.methods, MethodChains::parse("password,publickey publickey,password").ok());
    let support = users.accounts.account(b"support").unwrap();
    assert_eq!((support.trusted_ca_keys.clone(), &support.methods), (Some(files.path("ca.pub")), &None));
    assert!(users.accounts.account(b"eve").is_none() && users.rights(b"eve").is_none());
    assert_eq!(users.accounts.revoked_keys, Some(files.path("revoked")));
    assert!(users.passwords.as_ref().unwrap().verify(b"ann", b"secret"));
    let rights = users.rights(b"ann").unwrap();
    assert_eq!(*rights, Rights { logs: Some(vec!["shop".to_owned()]), ..Rights::default() });
    assert!(rights.sftp, "without a view he may copy");
    let rights = users.rights(b"support").unwrap();
    assert_eq!(
        (&rights.view.vhost[..], rights.view.top, rights.sftp),
        (&["shop.example".to_owned()][..], Some(5), false)
    );
    assert!(users.rights(b"copier").unwrap().sftp, "it was said");
    let all = MethodChains::any_of(&[Method::Publickey, Method::Password, Method::KeyboardInteractive]);
    assert_eq!(users.methods, all);
}

#[test]
fn what_is_not_said_is_as_the_contract_has_it() {
    let files = Files::new();
    let read = files.read(LEAST).unwrap();
    assert_eq!(read.listen, ["[::]:8022".parse().unwrap()]);
    assert_eq!(read.listen[0].port(), PORT);
    assert_eq!((read.audit, &read.run_as, read.host_keys.len()), (AuditForm::Text, &None, 0));
    assert_eq!(read.settings.logs[0].name, "shop");
    assert_eq!(*read.settings.users.rights(b"ann").unwrap(), Rights::default());
    let seconds = |n| Some(Duration::from_secs(n));
    let limits = Limits {
        login_grace: seconds(30),
        max_startups: "10:30:100".parse().unwrap(),
        max_auth_tries: 6,
        max_connections: 10_000,
        per_source: 0,
        max_sessions: 10,
        idle: None,
        keepalive: seconds(30),
        ring: 10_000,
    };
    assert_eq!(read.settings.limits, limits);
    assert_eq!(files.read(&format!("{LEAST}[limits]\n")).unwrap().settings.limits, limits);
    assert_eq!(read.notes, [""; 0]);
}

#[test]
fn an_error_names_its_line_and_says_what_to_write() {
    let files = Files::new();
    let hash = hash(b"x").unwrap();
    let user = "[[user]]\nname = 'ann'\n";
    let log = "[[log]]\npath = 'a.log'\n";
    for (text, line, words) in [
        ("listen = 8022\n".to_owned() + LEAST, 1, "listen = [\"[::]:8022\"]"),
        ("listen = []\n".to_owned() + LEAST, 1, "[ADDRESS:]PORT"),
        ("listen = [\n'8022',\n'localhost:1'\n]\n".to_owned() + LEAST, 3, "[ADDRESS:]PORT"),
        ("listen = ['8022', 1]\n".to_owned() + LEAST, 1, "listen = [\"[::]:8022\"]"),
        ("\naudit = 'xml'\n".to_owned() + LEAST, 2, "audit = \"json\""),
        ("run_as = 'strombus-nobody'\n".to_owned() + LEAST, 1, "useradd"),
        ("run_as = 'root'\n".to_owned() + LEAST, 1, "run_as: root: that is root"),
        ("run_as = 0\n".to_owned() + LEAST, 1, "run_as = \"ssh-weblog\""),
        ("state_dir = true\n".to_owned() + LEAST, 1, "state_dir = \""),
        ("listn = ['8022']\n".to_owned() + LEAST, 1, "unknown key listn: write listen"),
        ("colour = 1\n".to_owned() + LEAST, 1, "here may stand run_as, listen, host_keys"),
        ("log = 'a.log'\n".to_owned(), 1, "[[log]]"),
        ("log = ['a.log']\n".to_owned(), 1, "[[log]]"),
        ("[log]\npath = 'a.log'\n".to_owned(), 1, "[[log]]"),
        ("limits = 3\n".to_owned() + LEAST, 1, "[limits]"),
        (LEAST.to_owned() + "[limits]\nring = 0\n", 7, "1 to 10000000"),
        (LEAST.to_owned() + "[limits]\nring = '1'\n", 7, "ring = 10000"),
        (LEAST.to_owned() + "[limits]\nmax_auth_tries = -1\n", 7, "1 to"),
        (LEAST.to_owned() + "[limits]\nmax_sessions = 0\n", 7, "max_sessions: write a number"),
        (LEAST.to_owned() + "[limits]\nmax_connections = 4294967296\n", 7, "4294967295"),
        (LEAST.to_owned() + "[limits]\n\nlogin_grace = '30'\n", 8, "90s"),
        (LEAST.to_owned() + "[limits]\nidle = 30\n", 7, "idle = \"30s\", or \"0\" for no limit"),
        (LEAST.to_owned() + "[limits]\nkeepalive = '0s'\n", 7, "\"0\" for no limit"),
        (LEAST.to_owned() + "[limits]\nmax_startups = '10:0:1'\n", 7, "max_startups: write 1 ≤ start"),
        (LEAST.to_owned() + "[limits]\nmax_startup = '10'\n", 7, "write max_startups"),
        (format!("{user}authorized_keys = 'ann.pub'\n"), 1, "there is no log: write [[log]]"),
        (format!("{LEAST}[[log]]\nname = 'x'\n"), 6, "path = \""),
        (format!("{LEAST}[[log]]\npath = 'x'\nlog_format = 'apache'\n"), 8, "write common, combined"),
        (
            format!("{LEAST}[[log]]\npath = 'x'\nformat = 'common'\n"),
            8,
            "here may stand name, path, log_format",
        ),
        (format!("{LEAST}[[log]]\npath = '/elsewhere/shop.log'\n"), 6, "two logs have this name"),
        (format!("{LEAST}[[log]]\nname = 'a/b'\npath = 'x'\n"), 7, "a log's name"),
        (format!("{LEAST}[[log]]\npath = '-x.log'\n"), 7, "a log's name"),
        (format!("{log}{user}"), 3, "nothing lets him in: give authorized_keys, ca_keys or password_hash"),
        (format!("{log}[[user]]\nca_keys = 'a'\n"), 3, "name = \""),
        (format!("{log}{user}authorized_key = 'a'\nca_keys = 'a'\n"), 5, "write authorized_keys"),
        (
            format!("{log}{user}password = 'a'\nca_keys = 'a'\n"),
            5,
            "unknown key password: write password_hash",
        ),
        (
            format!("{log}{user}password_hash = 'plain'\n"),
            5,
            "password_hash: this is no hash of a password; make one",
        ),
        (format!("{log}{user}ca_keys = 'a'\nrequire = ['password']\n"), 6, "give password_hash"),
        (
            format!("{log}{user}password_hash = '{hash}'\nrequire = ['publickey']\n"),
            6,
            "give authorized_keys",
        ),
        (format!("{log}{user}ca_keys = 'a'\nrequire = ['magic']\n"), 6, "write publickey, password or"),
        (format!("{log}{user}ca_keys = 'a'\nrequire = ['none']\n"), 6, "write publickey, password or"),
        (format!("{log}{user}ca_keys = 'a'\nrequire = ['publickey password']\n"), 6, "write publickey"),
        (format!("{log}{user}ca_keys = 'a'\nrequire = []\n"), 6, "name 1 to 16 methods"),
        (format!("{log}{user}ca_keys = 'a'\nlogs = []\n"), 6, "name one at least"),
        (format!("{log}{user}ca_keys = 'a'\nlogs = [\n 'a',\n 'b']\n"), 8, "no [[log]] is called b: write a"),
        (format!("{log}{user}ca_keys = 'a'\nlogs = 'a'\n"), 6, "logs = [\"shop\"]"),
        (format!("{log}{user}ca_keys = 'a'\nsftp = 'yes'\n"), 6, "sftp = true"),
        (
            format!("{log}{user}ca_keys = 'a'\nview = '--anonymize'\n"),
            6,
            "view = [\"--vhost\", \"shop.example\"]",
        ),
        (format!("{log}{user}ca_keys = 'a'\nview = ['--status', 'bad']\n"), 6, "view: --status bad"),
        (format!("{log}{user}ca_keys = 'a'\nview = ['--vhosts', 'x']\n"), 6, "--vhosts"),
        (format!("{log}{user}ca_keys = 'a'\nview = ['shop']\n"), 6, "unexpected argument 'shop'"),
        (
            format!("{log}{user}ca_keys = 'a'\nview = ['--vhost x.example']\n"),
            6,
            "write each word by itself: \"--vhost\", \"x.example\"",
        ),
        (format!("{log}{user}ca_keys = 'a'\nview = ['--json', '--show', 'raw']\n"), 6, "cannot be used with"),
        (
            format!("{log}{user}ca_keys = 'a'\n{user}ca_keys = 'b'\n"),
            6,
            "two users have this name: give one another",
        ),
        (format!("{log}[[user]]\nname = 'a/b'\nca_keys = 'a'\n"), 4, "without / and without control"),
        (format!("{log}[[user]]\nname = ''\nca_keys = 'a'\n"), 4, "name: write 1 to 255 bytes"),
    ] {
        let wrongs = files.wrongs(&text);
        let is_there =
            |wrong: &String| wrong.starts_with(&format!("config.toml:{line}: ")) && wrong.contains(words);
        assert!(wrongs.iter().any(is_there), "{text}: {line}: {words}: {wrongs:#?}");
        assert_eq!(wrongs.len(), 1, "{text}: {wrongs:#?}");
    }
    assert_eq!(CHAINS_MAX, 16, "as the table says");
    assert_eq!(RING_MAX, 10_000_000, "as the table says");
}

#[test]
fn a_view_holds_nothing_that_ends_or_reports() {
    let files = Files::new();
    for words in [
        "'--stats'",
        "'--every', '10s'",
        "'--over', '5/s'",
        "'--over', '5/s', '--for', '30s'",
        "'--stop-on', '/x'",
        "'--dashboard'",
        "'--until', '12:00'",
        "'--help'",
    ] {
        let wrongs = files.wrongs(&format!("{LEAST}view = [{words}]\n"));
        let option = words.split('\'').nth(1).unwrap();
        assert!(wrongs.len() == 1 && wrongs[0].starts_with("config.toml:6: view: "), "{wrongs:?}");
        assert!(wrongs[0].contains(option), "{option}: {wrongs:?}");
    }
    let good = "'--vhost', 'a.example', '--from=192.0.2.0/24', '--since', '2h', '--json', '--bots', 'hide'";
    assert!(files.read(&format!("{LEAST}view = [{good}]\n")).is_ok());
}

#[test]
fn t57_an_error_never_shows_what_stands_in_the_line() {
    let files = Files::new();
    let user = "[[log]]\npath = 'a'\n[[user]]\nname = 'ann'\n";
    for text in [
        format!("{user}password = 'hunter2'\n"),
        format!("{user}password_hash = 'hunter2\n"),
        format!("{user}password_hash = 'hunter2'\n"),
        format!("{user}password_hash = hunter2\n"),
        format!("{user}hunter2\n"),
        format!("{user}hunter2 = 1\n"),
        format!("{user}require = ['hunter2']\nca_keys = 'a'\n"),
        format!("{user}password_hash = ['hunter2']\nca_keys = 'a'\n"),
        format!("{user}sftp = 'hunter2'\nca_keys = 'a'\n"),
        format!("{user}password_hash = '$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$hunter2hunter2'\n"),
    ] {
        let wrongs = files.wrongs(&text);
        assert!(wrongs.iter().any(|wrong| wrong.starts_with("config.toml:5: ")), "{text}: {wrongs:?}");
        assert!(!wrongs.concat().contains("hunter2"), "{wrongs:?}");
    }
    let passwords = files.write("passwords", "# of ann\nann:hunter2\n");
    let flags = Flags { password_file: Some(passwords), log: vec!["a.log".into()], ..Flags::default() };
    let Err(Wrong::Files(lines)) = Configuration::read(&flags) else { panic!("taken") };
    assert!(lines[0].contains("passwords:2: ") && !lines[0].contains("hunter2"), "{lines:?}");
}

#[test]
fn all_that_is_wrong_is_said_at_once_in_the_order_of_the_file_and_not_without_end() {
    let files = Files::new();
    let text =
        "audit = 1\n".to_owned() + LEAST + "view = ['--stats']\n[[log]]\n[limits]\nring = 0\nfoo = 1\n";
    let wrongs = files.wrongs(&text);
    let lines: Vec<_> = wrongs.iter().map(|wrong| wrong.split(':').nth(1).unwrap()).collect();
    assert_eq!(lines, ["1", "7", "8", "10", "11"], "{wrongs:#?}");
    let text = LEAST.to_owned() + &"[[log]]\n".repeat(WRONG_MAX + 5);
    let wrongs = files.wrongs(&text);
    assert_eq!(
        (wrongs.len(), wrongs.last().map(String::as_str)),
        (WRONG_MAX + 1, Some("config.toml: and 5 more"))
    );
    let wrongs = files.wrongs(&("[[log]\n".to_owned() + LEAST + "x = = 1\n"));
    assert!(wrongs.len() >= 2 && wrongs[0].starts_with("config.toml:1: this is no TOML"), "{wrongs:?}");
}

#[test]
fn t104_a_configuration_is_a_file_of_a_size_and_of_text() {
    let files = Files::new();
    let fifo = files.path("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
    let large = files.write("large", &"\n".repeat(ssh_config::FILE_MAX + 1));
    let binary = files.path("binary");
    fs::write(&binary, b"\n\n# \xff\n").unwrap();
    for (path, words) in [
        (Path::new("/dev/zero"), "not a regular file"),
        (&fifo, "not a regular file"),
        (files.0.path(), "not a regular file"),
        (&large, "too large"),
        (&binary, "binary:3: this is no UTF-8"),
        (&files.path("missing"), "No such file"),
    ] {
        let flags = Flags { config: Some(path.to_owned()), ..Flags::default() };
        let Err(Wrong::Files(lines)) = Configuration::read(&flags) else { panic!("{path:?} was taken") };
        assert!(lines.len() == 1 && lines[0].contains(words), "{lines:?}");
    }
    let most = files.write("most", &(LEAST.to_owned() + &"\n".repeat(ssh_config::FILE_MAX - LEAST.len())));
    assert!(Configuration::read(&Flags { config: Some(most), ..Flags::default() }).is_ok());
}

#[test]
fn t105_a_name_is_of_a_length_and_of_plain_characters() {
    let files = Files::new();
    for (name, good) in [
        ("a".repeat(255), true),
        ("a".repeat(256), false),
        ("../../root".to_owned(), false),
        ("a\\u0000".to_owned(), false),
        ("a\\nb".to_owned(), false),
        ("a\\u202eb".to_owned(), false),
        ("jörg @ home".to_owned(), true),
    ] {
        let text = format!("[[log]]\npath = 'a'\n[[user]]\nname = \"{name}\"\nauthorized_keys = 'ann.pub'\n");
        assert_eq!(files.read(&text).is_ok(), good, "{name}");
    }
    for (name, good) in
        [("a".repeat(LOG_NAME_MAX), true), ("a".repeat(LOG_NAME_MAX + 1), false), ("..".to_owned(), false)]
    {
        assert_eq!(
            files.read(&format!("{LEAST}[[log]]\npath = 'x'\nname = '{name}'\n")).is_ok(),
            good,
            "{name}"
        );
    }
}

#[test]
fn nobody_may_log_in_is_said_with_what_helps() {
    let files = Files::new();
    let flags = Flags { log: vec!["a.log".into()], ..Flags::default() };
    let Err(Wrong::Files(lines)) = Configuration::read(&flags) else { panic!("taken") };
    assert!(
        lines[0].starts_with("nobody may log in: give --user NAME with --authorized-keys FILE"),
        "{lines:?}"
    );
    let of_file = files.wrongs("[[log]]\npath = 'a.log'\n");
    assert!(of_file[0].ends_with(&format!(":1: {}", lines[0])), "{of_file:?}");
}

#[test]
fn a_view_of_a_host_that_no_record_of_a_log_can_have_is_told() {
    let files = Files::new();
    let logs = |format: &str| {
        format!("[[log]]\nname = 'a'\npath = 'a'\nlog_format = {format}\n[[log]]\npath = 'b.log'\n")
    };
    let user = "[[user]]\nname = 'ann'\nauthorized_keys = 'ann.pub'\nview = ['--vhost', 'x.example']\n";
    let notes = |text: &str| files.read(text).unwrap().check().unwrap();
    for (format, name) in [("'combined'", "combined"), ("'%h %l %u %t \"%r\" %>s %b'", "LogFormat")] {
        let notes = notes(&(logs(format) + user));
        let told = format!(
            "config.toml:7: user ann: view: --vhost: no record of a will pass, for its format, {name},"
        );
        assert!(notes.len() == 1 && notes[0].contains(&told), "{notes:?}");
    }
    assert_eq!(notes(&(logs("'vhost'") + user)), [""; 0]);
    assert_eq!(notes(&(logs("'combined'") + user + "logs = ['b']\n")), [""; 0], "it is not his");
}

#[test]
fn flags_count_more_than_the_file_and_logs_stand_in_one_of_them() {
    let files = Files::new();
    let text = "listen = ['1']\naudit = 'json'\nstate_dir = '/x'\nhost_keys = ['k']\n".to_owned() + LEAST;
    let flags = Flags {
        listen: vec!["0".to_owned(), "127.0.0.1:2".to_owned()],
        audit: Some(AuditForm::Text),
        host_key: vec!["other".into()],
        user: Some("bob".to_owned()),
        authorized_keys: Some(files.path("ann.pub")),
        ..files.flags(&text)
    };
    let read = Configuration::read(&flags).unwrap();
    assert_eq!(read.listen, ["[::]:0".parse().unwrap(), "127.0.0.1:2".parse().unwrap()]);
    assert_eq!((read.audit, read.state_dir), (AuditForm::Text, files.path("state")));
    assert_eq!(read.host_keys, [PathBuf::from("other")]);
    assert!(read.settings.users.rights(b"ann").is_some() && read.settings.users.rights(b"bob").is_some());
    let with = |change: &dyn Fn(&mut Flags)| {
        let mut flags = flags.clone();
        change(&mut flags);
        usage(&flags)
    };
    assert!(with(&|flags| flags.log = vec!["a.log".into()]).contains("[[log]]"));
    assert!(with(&|flags| flags.listen = vec!["x".to_owned()]).contains("[ADDRESS:]PORT"));
    assert!(with(&|flags| flags.user = Some("a/b".to_owned())).contains("--user"));
    assert!(with(&|flags| flags.run_as = Some("strombus-nobody".to_owned())).contains("no such user"));
    let logs = |logs: &[&str]| {
        with(&|flags| {
            (flags.config, flags.log) = (None, logs.iter().map(PathBuf::from).collect());
        })
    };
    assert!(logs(&["/a/shop.log", "/b/shop"]).contains("two logs are called shop"));
    assert!(logs(&[]).contains("no log is named"));
    assert!(logs(&["./-n.log"]).contains("a log's name"));
}

#[test]
fn a_file_of_keys_is_judged_as_a_login_will() {
    let files = Files::new();
    let text = |key: &str| format!("[[log]]\npath = 'a'\n[[user]]\nname = 'ann'\n{key}\n");
    let missing = files.wrongs(&text("authorized_keys = 'missing'"));
    assert!(
        missing[0].starts_with("config.toml:3: user ann: authorized_keys: missing: No such file"),
        "{missing:?}"
    );
    let missing = files.wrongs(&("revoked_keys = 'none'\n".to_owned() + LEAST));
    assert!(missing[0].starts_with("config.toml:1: revoked_keys: none: No such file"), "{missing:?}");
    files.write("ca.pub", "ssh-ed25519 AAAA\n");
    let odd = files.wrongs(&text("ca_keys = 'ca.pub'"));
    assert!(odd.len() == 1 && odd[0].starts_with("config.toml:3: user ann: ca_keys: ca.pub: "), "{odd:?}");
    fs::set_permissions(files.path("ann.pub"), fs::Permissions::from_mode(0o666)).unwrap();
    for key in ["authorized_keys = 'ann.pub'", "ca_keys = 'ann.pub'"] {
        let wrongs = files.wrongs(&text(key));
        assert!(wrongs.len() == 1 && wrongs[0].contains("others must not be able to write it"), "{wrongs:?}");
    }
    let key = fs::read_to_string(files.path("ann.pub")).unwrap();
    files.write("ann.pub", &format!("{key}strict-tunnel {key}"));
    assert!(authorized_keys::entries(key.as_bytes()).all(|entry| entry.is_ok()));
    let notes = files.read(LEAST).unwrap().check().unwrap();
    assert!(notes.len() == 1 && notes[0].contains("ann.pub:2: not taken: "), "{notes:?}");
}

#[test]
fn what_is_read_again_is_taken_or_said_in_a_line() {
    let files = Files::new();
    let flags = files.flags(LEAST);
    let first = Configuration::read(&flags).unwrap();
    let (settings, notes) = first.read_again(&flags).unwrap();
    assert_eq!((settings.logs.len(), notes.len()), (1, 0));
    files.write(
        "config.toml",
        &("listen = ['1']\naudit = 'json'\n".to_owned()
            + LEAST
            + "[[log]]\npath = 'b.log'\n[limits]\nring = 5\n"),
    );
    let (settings, notes) = first.read_again(&flags).unwrap();
    assert_eq!((settings.logs.len(), settings.limits.ring), (2, 5));
    assert_eq!(notes, ["changed, but taken only at the next start: listen, audit"]);
    files.write("config.toml", "[[log]]\npath = 1\n[[user]]\nname = 2\n");
    let why = first.read_again(&flags).unwrap_err();
    assert!(
        why.contains("config.toml:2: path: write it as path = ") && why.ends_with("(and 1 more)"),
        "{why}"
    );
    assert_eq!(why.lines().count(), 1);
    files.write("config.toml", &LEAST.replace("ann.pub", "gone.pub"));
    assert!(first.read_again(&flags).unwrap_err().contains("config.toml:3: user ann: authorized_keys"));
}

#[test]
fn a_server_listens_at_every_address_of_both_families_or_at_those_that_are_named() {
    let files = Files::new();
    let started = |listen: &str| {
        let configuration = files.read(&format!("listen = {listen}\n{LEAST}")).unwrap();
        configuration.start().map(|started| started.listeners)
    };
    let every = started("['0']").unwrap();
    let port = every[0].local_addr().unwrap().port();
    for address in
        [SocketAddr::from(([127, 0, 0, 1], port)), SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port))]
    {
        TcpStream::connect(address).unwrap();
    }
    let Err(Wrong::Files(lines)) = started(&format!("['{port}']")) else { panic!("it is taken") };
    assert!(lines[0].contains(&format!("[::]:{port}: Address already in use")), "{lines:?}");
    drop(every);
    let both = started(&format!("['0.0.0.0:{port}', '[::]:{port}']")).unwrap();
    assert_eq!(both.len(), 2);
    assert!(both.iter().all(|listener| listener.local_addr().unwrap().port() == port));
}

#[test]
fn a_host_key_is_made_once_and_a_certificate_must_be_of_one() {
    let files = Files::new();
    let configuration = files.read(LEAST).unwrap();
    assert!(configuration.check().is_ok() && !files.path("state").exists(), "a check makes nothing");
    let made = configuration.identity().unwrap().host_keys[0].public_key();
    let mode = |name| fs::metadata(files.path(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("state"), mode("state/ssh_host_ed25519_key")), (0o700, 0o600));
    assert_eq!(configuration.identity().unwrap().host_keys[0].public_key(), made);
    fs::set_permissions(files.path("state/ssh_host_ed25519_key"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(configuration.identity().unwrap_err().to_string().contains("chmod 600"));
    create_private(&files.path("key"), include_bytes!("../../../vectors/keys/ed25519")).unwrap();
    let with = |keys: &str| {
        files.read(&format!("host_keys = ['{keys}']\nhost_certificates = ['other']\n{LEAST}")).unwrap()
    };
    for (certificate, words) in [
        (include_str!("../../../vectors/keys/cert-user-plain-cert.pub"), "this certificate is for a user"),
        (include_str!("../../../vectors/keys/cert-host-ecdsa-cert.pub"), "is none of the host keys"),
    ] {
        files.write("other", certificate);
        let why = with("key").check().unwrap_err().to_string();
        assert!(why.contains(words), "{why}");
    }
    assert!(with("missing").check().unwrap_err().to_string().contains("missing: No such file"));
}

#[test]
fn what_is_wrong_with_the_file_and_with_those_that_it_names_is_said_together() {
    let files = Files::new();
    let (port, hash) = (TcpListener::bind("127.0.0.1:0").unwrap(), hash(b"x").unwrap());
    let address = port.local_addr().unwrap();
    files.write("passwords", "eve:none\n");
    let text = format!(
        "listen = ['{address}', '203.0.113.1:1']\nhost_keys = ['nokey']\nhost_certificates = ['nocert']\n\
         password_file = 'passwords'\n[[log]]\npath = 'a.log'\nlog_fromat = 'vhost'\n\
         [[user]]\nname = 'ann'\nautorized_keys = 'a'\n[[user]]\nname = 'bob'\npassword_hash = 'none'\n\
         [[user]]\nname = 'bob'\nauthorized_keys = 'gone.pub'\n"
    );
    let wrongs = files.wrongs(&text);
    for told in [
        "config.toml:7: unknown key log_fromat",
        "config.toml:10: unknown key autorized_keys",
        "passwords:1: this is no hash",
        "config.toml:13: user bob: password_hash: this is no hash",
        "config.toml:14: user bob: two users",
        "config.toml:2: nokey: No such file or directory; make it with ssh-keygen",
        "config.toml:3: nocert: No such file or directory; make it with ssh-keygen -s",
        "config.toml:14: user bob: authorized_keys: gone.pub: No such file or directory; put",
    ] {
        assert_eq!(wrongs.iter().filter(|wrong| wrong.starts_with(told)).count(), 1, "{told}: {wrongs:#?}");
    }
    assert_eq!(wrongs.len(), 8, "and nothing that is only of these: {wrongs:#?}");
    let wrongs = files.wrongs(&LEAST.replace("authorized_keys", "autorized_keys"));
    assert!(
        wrongs.len() == 1 && wrongs[0].contains("write authorized_keys"),
        "he lacks nothing else: {wrongs:?}"
    );
    let text = format!(
        "listen = ['{address}', '203.0.113.1:1']\nhost_keys = ['nokey']\n{LEAST}\
         [[user]]\nname = 'bob'\npassword_hash = '{hash}'\nca_keys = 'gone.pub'\n"
    );
    let Err(Wrong::Files(lines)) = files.read(&text).unwrap().start() else { panic!("it has started") };
    let told = lines.join("\n");
    for words in [
        &*format!("config.toml:1: {address}: Address already in use; ss -ltnp shows by whom"),
        "config.toml:1: 203.0.113.1:1: Cannot assign requested address; listen on an address that",
        "config.toml:2: ",
        "gone.pub: No such file or directory; put the public keys there",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert_eq!(lines.len(), 4, "{told}");
}

#[test]
fn a_private_key_is_taken_for_what_it_is_and_an_empty_file_is_told() {
    let files = Files::new();
    let text = |key: &str| LEAST.replace("ann.pub", key);
    files.write("private", include_str!("../../../vectors/keys/ed25519"));
    let wrongs = files.wrongs(&text("private"));
    let told = "config.toml:3: user ann: authorized_keys: private: this is a private key: name the public one, private.pub";
    assert!(wrongs.len() == 1 && wrongs[0].starts_with(told), "{wrongs:?}");
    files.write("putty", "PuTTY-User-Key-File-3: ssh-ed25519\n");
    assert!(files.wrongs(&text("putty"))[0].contains("this is a private key"));
    files.write("empty", "# nobody yet\n");
    let notes = files.read(&text("empty")).unwrap().check().unwrap();
    assert!(notes.len() == 1 && notes[0].contains("empty: there is no key in it"), "{notes:?}");
}

#[test]
fn two_host_keys_of_one_type_are_refused_and_both_are_named() {
    let files = Files::new();
    for name in ["one", "two"] {
        files.write(name, include_str!("../../../vectors/keys/ed25519"));
    }
    let told = "config.toml:1: two: an ssh-ed25519 key as in one: name one file of each type";
    assert_eq!(files.wrongs(&format!("host_keys = ['one', 'two']\n{LEAST}")), [told]);
}

#[test]
fn a_view_that_cuts_addresses_and_the_logs_whole_are_told_of() {
    let files = Files::new();
    let notes = |more: &str| files.read(&(LEAST.to_owned() + more)).unwrap().check().unwrap();
    let told = notes("view = ['--anonymize']\nsftp = true\n");
    assert!(
        told.len() == 1 && told[0].contains("config.toml:3: user ann: by sftp = true he gets"),
        "{told:?}"
    );
    for more in ["view = ['--anonymize']\n", "view = ['--status', '5xx']\nsftp = true\n", "sftp = true\n"] {
        assert_eq!(notes(more), [""; 0], "{more}");
    }
}
