//! ssh_config as OpenSSH of both generations reads it, and hostile files, through the programs' own way to it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use strombus::driver::config::{CommandLine, LoadError, load, option};
use strombus::driver::options::{Options, StrictHostKeyChecking};

const SAMPLES: [&str; 14] = [
    "algorithms",
    "final",
    "first",
    "include",
    "match",
    "patterns",
    "proxy-first",
    "proxy-none",
    "quoting",
    "tokens",
    "unknown",
    "values",
    "values2",
    "include.d/20-b.conf",
];

const HOST: &str = "web1.shop.example";

/// Lists whose defaults are each program's own.
const LISTS: [&str; 6] = [
    "casignaturealgorithms",
    "ciphers",
    "hostkeyalgorithms",
    "kexalgorithms",
    "macs",
    "pubkeyacceptedalgorithms",
];

fn generations() -> [PathBuf; 2] {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || Path::new(&std::env::var_os("HOME").expect("HOME is set")).join(".cache");
    let newer = cache.unwrap_or_else(home).join("strombus/bin/ssh");
    assert!(newer.exists(), "{} is missing: tests/run installs it", newer.display());
    ["/usr/bin/ssh".into(), newer]
}

/// The samples in a directory of their own, which their `Include` names.
fn samples() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/ssh_config");
    fs::create_dir(directory.path().join("include.d")).unwrap();
    for below in ["", "include.d"] {
        for entry in fs::read_dir(source.join(below)).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                let text = fs::read_to_string(entry.path()).unwrap();
                let text = text.replace("vectors-directory", directory.path().to_str().unwrap());
                write(&directory.path().join(below).join(entry.file_name()), text.as_bytes());
            }
        }
    }
    directory
}

fn write(path: &Path, contents: &[u8]) {
    fs::write(path, contents).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn line(file: &Path) -> CommandLine {
    CommandLine { host: HOST.to_owned(), file: Some(file.to_owned()), ..CommandLine::default() }
}

fn by_keyword(lines: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut map = BTreeMap::<_, Vec<_>>::new();
    for (keyword, value) in lines.lines().filter_map(|line| line.split_once(' ')) {
        map.entry(keyword).or_default().push(value);
    }
    map
}

#[test]
fn the_outcome_is_that_of_ssh() {
    let directory = samples();
    let mut compared = 0;
    for sample in SAMPLES {
        let file = directory.path().join(sample);
        let given = fs::read_to_string(&file).unwrap().to_lowercase();
        let ours = load(&line(&file))
            .and_then(|loaded| loaded.lines())
            .unwrap_or_else(|e| panic!("{sample}: {e:?}"));
        let ours = by_keyword(&ours);
        for ssh in generations() {
            let mut command = Command::new(&ssh);
            command.args(["-G", "-F"]).arg(&file).arg(HOST).stdin(Stdio::null());
            let output = command.output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{sample}: {told}");
            let theirs = String::from_utf8(output.stdout).unwrap();
            let theirs = by_keyword(&theirs);
            let set_only_here =
                |keyword: &str| keyword == "obscurekeystroketiming" || keyword == "revokedhostkeys";
            for (keyword, values) in &ours {
                if LISTS.contains(keyword) && !given.contains(&format!("\n{keyword} ")) {
                    continue;
                }
                match (*keyword, theirs.get(keyword)) {
                    // Ours are fewer and begin with the newest.
                    ("identityfile", _) if !given.contains("identityfile") => {}
                    (_, None) => assert!(
                        set_only_here(keyword),
                        "{sample}: {} has no {keyword} {values:?}",
                        ssh.display()
                    ),
                    (_, Some(theirs)) => {
                        assert_eq!(values, theirs, "{sample}: {keyword} of {}", ssh.display())
                    }
                }
                compared += 1;
            }
            for keyword in
                given.lines().filter_map(|line| line.split([' ', '=', '\t']).find(|word| !word.is_empty()))
            {
                // A socket's forwarding is printed by ssh as a dynamic one, too.
                if let (Some(values), None) = (theirs.get(keyword), ours.get(keyword)) {
                    assert!(
                        ["controlmaster", "controlpath", "gssapiauthentication"].contains(&keyword),
                        "{sample}: {keyword} {values:?}"
                    );
                }
            }
        }
    }
    println!("figure: {compared} values of {} samples are those of ssh -G", SAMPLES.len());
    assert!(compared > 1000);
}

fn refused(line: &CommandLine) -> LoadError {
    match load(line).and_then(|loaded| loaded.options()) {
        Ok(_) => panic!("{line:?} is taken"),
        Err(error) => error,
    }
}

#[test]
fn a_broken_line_is_refused_by_all_with_its_place() {
    let directory = samples();
    let file = directory.path().join("broken");
    let name = file.display();
    assert_eq!(refused(&line(&file)), LoadError::File(format!("{name}:4: Prot: unknown keyword")));
    for ssh in generations() {
        let output = Command::new(&ssh).args(["-G", "-F"]).arg(&file).arg(HOST).output().unwrap();
        assert_eq!(output.status.code(), Some(255));
    }
    let weblog = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ssh-weblog"));
        let output = command.args(arguments).args(["web1:x.log"]).stdin(Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, told) = weblog(&["-F", file.to_str().unwrap()]);
    assert_eq!((status, told.contains("broken:4: Prot")), (Some(255), true), "{told}");
    let (status, told) = weblog(&["-F", "none", "-o", "Prot=22"]);
    assert_eq!((status, told.contains("-o Prot=22: Prot: unknown keyword")), (Some(2), true), "{told}");
    let (status, told) = weblog(&["-F", "none", "-o", "BindInterface=lo"]);
    assert_eq!((status, told.contains("BindInterface is not there yet")), (Some(255), true), "{told}");
}

#[test]
fn the_example_prints_the_outcome_and_ends_with_255_for_a_broken_file() {
    let directory = samples();
    let example = Path::new(env!("CARGO_BIN_EXE_ssh-weblog")).parent().unwrap().join("examples/ssh");
    let run = |sample: &str| {
        let file = directory.path().join(sample);
        let output = Command::new(&example).args(["-G", "-F"]).arg(&file).arg(HOST).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let lines = load(&line(&directory.path().join("first"))).unwrap().lines().unwrap();
    assert_eq!(run("first"), (Some(0), lines, String::new()));
    let (status, out, told) = run("broken");
    assert_eq!((status, &*out), (Some(255), ""));
    assert!(told.contains("broken:4: Prot: unknown keyword"), "{told}");
}

#[test]
fn t104_files_that_include_themselves_or_are_no_files_are_refused() {
    let directory = samples();
    let text = |path: &Path| match refused(&line(path)) {
        LoadError::File(text) => text,
        other => panic!("{other:?}"),
    };
    assert!(text(&directory.path().join("loop")).contains("more than 16 deep"));
    assert!(text(Path::new("/dev/zero")).contains("not a regular file"));
    assert!(text(directory.path()).contains("not a regular file"));
    let fifo = directory.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
    assert!(text(&fifo).contains("not a regular file"));
    let file = directory.path().join("file");
    for (contents, expected) in [
        (vec![b'#'; 1 << 20], None),
        (vec![b'#'; (1 << 20) + 1], Some("too large")),
        ([b"Port ", &[b'1'; 1 << 19][..]].concat(), Some("longer than")),
        (b"Port 22\0".to_vec(), Some(":1: the line is not UTF-8, or has a NUL")),
        (b"Host *\nUser \xff".to_vec(), Some(":2: ")),
        (b"# caf\xe9\n".to_vec(), None),
        (format!("Include {}", fifo.display()).into_bytes(), Some("not a regular file")),
        (b"Include /dev/zero".to_vec(), Some("not a regular file")),
    ] {
        write(&file, &contents);
        match expected {
            None => assert!(load(&line(&file)).is_ok()),
            Some(expected) => assert!(text(&file).contains(expected), "{expected}: {}", text(&file)),
        }
    }
    // Twice at each of many levels.
    for level in 0..15 {
        let next = directory.path().join(format!("level{}", level + 1));
        let include = format!("Include {}\n", next.display()).repeat(2);
        write(&directory.path().join(format!("level{level}")), include.as_bytes());
    }
    write(&directory.path().join("level15"), b"");
    assert!(text(&directory.path().join("level0")).contains("too much is included"));
}

#[test]
fn t104_a_file_that_others_can_write_is_not_included() {
    let directory = samples();
    let deeper = directory.path().join("include.d/deeper");
    let refused = || {
        let error = refused(&line(&directory.path().join("include")));
        assert!(
            error.text().contains("nested:5") && error.text().contains("bad owner or permissions"),
            "{error:?}"
        );
    };
    for mode in [0o620, 0o602] {
        fs::set_permissions(&deeper, fs::Permissions::from_mode(mode)).unwrap();
        refused();
    }
    fs::set_permissions(&deeper, fs::Permissions::from_mode(0o644)).unwrap();
    // Only root can give a file away.
    if chown(&deeper, Some(12345), None).is_ok() {
        refused();
    }
}

#[test]
fn t83_t100_names_that_a_shell_would_read_start_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (file, mark) = (directory.path().join("config"), directory.path().join("mark"));
    let touch = format!("touch {}; :", mark.display());
    write(&file, format!("Match exec \"{touch} %h %r\"\nUser other\n").as_bytes());
    let names = ["-oProxyCommand=x", "a;b", "$(x)", "a\nb", "a`b`", "a|b", "", "a\0b"];
    for name in names {
        let host = CommandLine { host: name.to_owned(), file: Some(file.clone()), ..CommandLine::default() };
        let user = CommandLine { user: Some(name.to_owned()), ..line(&file) };
        for line in [host, user] {
            assert!(matches!(refused(&line), LoadError::CommandLine(_)), "{line:?}");
        }
        if !name.contains(['\n', '\0']) {
            let hop = CommandLine { options: vec![format!("ProxyJump={name}")], ..line(&file) };
            assert!(matches!(refused(&hop), LoadError::CommandLine(_)), "{hop:?}");
        }
        assert!(!mark.exists(), "{name:?}");
    }
    // From a file, too, where a command is made of them.
    for (keyword, value) in [("User", "a;b"), ("HostName", "a;b"), ("HostKeyAlias", "$(x)")] {
        write(&file, format!("{keyword} {value}\nMatch exec \"{touch} %h %r\"\n").as_bytes());
        assert!(refused(&line(&file)).text().contains("not given to a shell"));
        assert!(!mark.exists());
    }
    // The command of a proxy is made of them, too, and is not even made ready.
    for (keyword, value) in [("User", "a;b"), ("HostName", "a;b"), ("HostKeyAlias", "$(x)")] {
        write(&file, format!("ProxyCommand nc %h %p\n{keyword} {value}\n").as_bytes());
        let error = refused(&line(&file));
        assert!(matches!(&error, LoadError::File(text) if text.contains("config:1: ")), "{error:?}");
        assert!(error.text().contains("not given to a shell"));
    }
    write(&file, b"ProxyCommand nc %u\n");
    assert!(refused(&line(&file)).text().contains("%u means nothing here"));
    write(&file, b"ProxyCommand x %% %h %n %p %r\nUser ann\nHostName to.example\nPort 7\n");
    let options = load(&line(&file)).unwrap().options().unwrap();
    assert_eq!(options.proxy_command.unwrap(), format!("x % to.example {HOST} 7 ann"));
    write(&file, format!("Match exec \"{touch} %h %r\"\nUser other\n").as_bytes());
    assert_eq!(load(&line(&file)).unwrap().options().unwrap().user, "other");
    assert!(mark.exists(), "it is started where the names are harmless");
}

#[test]
fn options_of_the_command_line_come_first_and_stay_one_word() {
    let directory = samples();
    let file = directory.path().join("first");
    let mut command_line = line(&file);
    command_line.user = Some("typed".to_owned());
    command_line.options = ["Port=77", "Port=78", "StrictHostKeyChecking no"].map(str::to_owned).to_vec();
    command_line.options.push(option("IdentityFile", "a b\"c\\d#e"));
    command_line.options.push("VisualHostKey=yes".to_owned());
    let options: Options = load(&command_line).unwrap().options().unwrap();
    assert_eq!((options.port, &*options.user, &*options.host), (77, "typed", HOST));
    assert_eq!(options.strict_host_key_checking, StrictHostKeyChecking::Off);
    assert_eq!(options.identity_files[0], Path::new("a b\"c\\d#e"));
    assert_eq!(options.identity_files.len(), 3);
    assert!(
        options
            .passed_over
            .iter()
            .any(|text| text.ends_with("-o VisualHostKey=yes: VisualHostKey is passed over")),
        "{:?}",
        options.passed_over
    );
    for wrong in [
        "Port",
        "Port=",
        "Host=x",
        "Include=x",
        "Match=all",
        "Port=x",
        "Port=1 2",
        "=",
        "",
        "User=\"x",
        "Ciphers=x",
    ] {
        let line = CommandLine { options: vec![wrong.to_owned()], ..line(Path::new("none")) };
        assert!(
            matches!(refused(&line), LoadError::CommandLine(text) if text.starts_with(&format!("-o {wrong}: "))),
            "{wrong}"
        );
    }
}

#[test]
fn what_would_mean_something_else_is_refused_by_name() {
    for (option, keyword) in
        [("BindInterface=lo", "BindInterface"), ("CanonicalizeHostname=yes", "CanonicalizeHostname")]
    {
        let line = CommandLine { options: vec![option.to_owned()], ..line(Path::new("none")) };
        assert_eq!(refused(&line), LoadError::NotYet(format!("-o {option}: {keyword} is not there yet")));
    }
    // It limits where the server leads by a forwarding without a destination, and nothing else.
    for (forward, is_refused) in [("1080", true), ("1080 web:80", false)] {
        let options = ["PermitRemoteOpen=web:443".to_owned(), format!("RemoteForward={forward}")].into();
        let line = CommandLine { options, ..line(Path::new("none")) };
        assert_eq!(load(&line).unwrap().options().is_err(), is_refused, "{forward}");
    }
}

/// A library that an agent would load is never named to it, and none is loaded here.
#[test]
fn t114_t119_keywords_of_roaming_and_of_token_libraries_do_nothing_but_are_told() {
    let without = load(&line(Path::new("none"))).unwrap().lines().unwrap();
    for option in ["UseRoaming=yes", "PKCS11Provider=/nonexistent/library.so", "SmartcardDevice=/x"] {
        let line = CommandLine { options: vec![option.to_owned()], ..line(Path::new("none")) };
        assert_eq!(load(&line).unwrap().lines().unwrap(), without, "{option}");
        let told = load(&line).unwrap().options().unwrap().passed_over;
        assert!(
            told.iter().any(|text| text.ends_with(" is passed over") && text.contains(option)),
            "{told:?}"
        );
    }
}

#[test]
fn names_of_algorithms_that_only_ssh_has_are_no_error_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    write(&file, b"Ciphers 3des-cbc,aes256-ctr\nMACs +umac-64@openssh.com\n");
    let lines = load(&line(&file)).unwrap().lines().unwrap();
    assert!(lines.contains("\nciphers aes256-ctr\n"), "{lines}");
    write(&file, b"\nCiphers aes256-cdr\n");
    assert!(
        matches!(refused(&line(&file)), LoadError::File(text) if text.contains("config:2: Ciphers: aes256-cdr is not known"))
    );
}
