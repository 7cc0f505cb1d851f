//! The rules of the house that a reader of files can check: layers, numbers, allocations, faults with their tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each layer with those it may use.
const LAYERS: [(&str, &[&str]); 10] = [
    ("wire", &[]),
    ("crypto", &["wire"]),
    ("transport", &["crypto", "wire"]),
    ("userauth", &["transport", "crypto", "wire"]),
    ("connection", &["userauth", "transport", "crypto", "wire"]),
    ("keys", &["userauth", "crypto", "wire"]),
    ("sftp", &["connection", "userauth", "transport", "wire"]),
    ("driver", &["keys", "sftp", "connection", "userauth", "transport", "crypto", "wire"]),
    ("copy", &["driver", "keys", "sftp", "connection", "userauth", "transport", "crypto", "wire"]),
    ("weblog", &["driver", "keys", "sftp", "connection", "userauth", "transport", "crypto", "wire"]),
];

/// Only these know sockets and clocks.
const WITH_IO: [&str; 3] = ["driver", "copy", "weblog"];

/// Where a packet passes: nothing is allocated there.
const PACKET_PATHS: [&str; 6] = [
    "src/transport/compression.rs",
    "src/transport/recv.rs",
    "src/transport/send.rs",
    "src/crypto/seal.rs",
    "src/crypto/cipher/",
    "src/connection/channel.rs",
];

/// What allocates there and is no packet's: a request is built once a session, a key once an exchange.
const ALLOCATES_ONCE: [&str; 2] = ["let mut type_fields = Vec::new();", ".map(Box::new)"];

/// Lines of a file without its tests.
const LINES_MAX: usize = 700;

/// Rows of the table of what broke other implementations.
const ROWS: usize = 125;

struct Source {
    path: String,
    /// Without the tests at its end.
    code: String,
    whole: String,
}

fn files(directory: &str, ending: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.to_str().unwrap();
        if path.is_dir() && !name.ends_with("target") {
            files(name, ending, found);
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

fn sources(directories: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    directories.iter().for_each(|directory| files(directory, ".rs", &mut paths));
    paths.sort();
    let source = |path: &PathBuf| {
        let whole = fs::read_to_string(path).unwrap();
        let code = whole.split("#[cfg(test)]\nmod ").next().unwrap().to_owned();
        Source { path: path.to_str().unwrap().to_owned(), code, whole }
    };
    paths.iter().map(source).collect()
}

fn layer(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("src/")?;
    rest.split(['/', '.']).next().filter(|layer| LAYERS.iter().any(|(name, _)| name == layer))
}

/// Files of tests within `src`.
fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.starts_with("tests/")
}

/// Lines with their numbers, comments left out.
fn lines(code: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(code.lines()).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn imports_that_go_up(path: &str, code: &str) -> Vec<String> {
    let Some(here) = layer(path) else { return Vec::new() };
    let allowed = LAYERS.iter().find(|(name, _)| *name == here).unwrap().1;
    let up = |line: &str| {
        LAYERS.iter().any(|(there, _)| {
            *there != here && !allowed.contains(there) && line.contains(&format!("crate::{there}"))
        })
    };
    lines(code).filter(|(_, line)| up(line)).map(|(n, line)| format!("{path}:{n}: {line}")).collect()
}

fn sockets_and_clocks(path: &str, code: &str) -> Vec<String> {
    let Some(here) = layer(path).filter(|layer| !WITH_IO.contains(layer)) else { return Vec::new() };
    let words = ["std::net", "std::fs", "mio::", "Instant::now", "SystemTime", "std::env"];
    let found = lines(code).filter(|(_, line)| words.iter().any(|word| line.contains(word)));
    found.map(|(n, line)| format!("{path}:{n}: {here} does no I/O: {line}")).collect()
}

fn allocations_in_packet_paths(path: &str, code: &str) -> Vec<String> {
    if !PACKET_PATHS.iter().any(|part| path.starts_with(part)) {
        return Vec::new();
    }
    let words =
        ["Vec::new()", "vec![", "to_vec()", ".collect", "format!", "Box::new", "to_owned()", "String::"];
    let allocates = |line: &str| {
        words.iter().any(|word| line.contains(word))
            && !ALLOCATES_ONCE.iter().any(|known| line.contains(known))
    };
    lines(code).filter(|(_, line)| allocates(line)).map(|(n, line)| format!("{path}:{n}: {line}")).collect()
}

fn message_numbers(path: &str, code: &str) -> Vec<String> {
    if path == "src/wire/number.rs" || layer(path).is_none() {
        return Vec::new();
    }
    let number = |line: &str| {
        let after =
            line.split_once("NUMBER: u8 = ").or_else(|| line.split_once("w.byte(")).map(|(_, after)| after);
        after.is_some_and(|after| after.starts_with(|c: char| c.is_ascii_digit()))
    };
    lines(code).filter(|(_, line)| number(line)).map(|(n, line)| format!("{path}:{n}: {line}")).collect()
}

fn citations(path: &str, whole: &str) -> Vec<String> {
    let odd = |after: &str| {
        let rest = after.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
        let cited = rest.len() < after.trim_start().len();
        after.starts_with(|c: char| c.is_ascii_digit())
            || (cited && [" section", ", section", " sec.", "§"].iter().any(|word| rest.starts_with(word)))
    };
    let comment =
        |line: &str| line.split_once("//").is_some_and(|(_, text)| text.split("RFC").skip(1).any(odd));
    (1..)
        .zip(whole.lines())
        .filter(|(_, line)| comment(line))
        .map(|(n, line)| format!("{path}:{n}: {line}"))
        .collect()
}

fn forbidden_words(path: &str, whole: &str) -> Vec<String> {
    // Put together here, so that this file does not hold them.
    let words =
        [["thread::", "sleep"], ["todo", "!("], ["unimplemented", "!("], ["#[", "ignore"], ["dbg", "!("]];
    let found =
        (1..).zip(whole.lines()).filter(|(_, line)| words.iter().any(|word| line.contains(&word.concat())));
    found.map(|(n, line)| format!("{path}:{n}: {line}")).collect()
}

fn unsafe_code(path: &str, whole: &str) -> Vec<String> {
    if path == "tests/common/alloc.rs" {
        return Vec::new();
    }
    let keyword = ["un", "safe "].concat();
    let found = lines(whole).filter(|(_, line)| line.contains(&keyword));
    found.map(|(n, line)| format!("{path}:{n}: {line}")).collect()
}

/// The names of the constants of a type.
fn constants<'s>(code: &'s str, of: &str) -> Vec<&'s str> {
    let name = |line: &'s str| {
        let (name, rest) = line.trim().strip_prefix("pub const ")?.split_once(':')?;
        rest.trim_start().starts_with(of).then_some(name)
    };
    code.lines().filter_map(name).collect()
}

/// The rows that the names of tests carry: `t41_…`, `t03_t04_…`.
fn rows(whole: &str) -> impl Iterator<Item = usize> + '_ {
    let names = whole.lines().filter_map(|line| line.trim().strip_prefix("fn "));
    names.flat_map(|name| name.split('_').map_while(|word| word.strip_prefix('t')?.parse().ok()))
}

fn check(rule: &str, directories: &[&str], violations: impl Fn(&Source) -> Vec<String>) {
    let found: Vec<_> = sources(directories).iter().flat_map(violations).collect();
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

#[test]
fn imports_point_down() {
    check("a layer uses one above it", &["src"], |s| imports_that_go_up(&s.path, &s.code));
    assert_eq!(imports_that_go_up("src/wire/x.rs", "use crate::transport::Error;").len(), 1);
    assert_eq!(imports_that_go_up("src/keys/x.rs", "use crate::transport::Error;").len(), 1);
    assert_eq!(imports_that_go_up("src/transport/x.rs", "use crate::wire::Fault;").len(), 0);
}

#[test]
fn the_core_does_no_io() {
    check("a socket, file or clock below the driver", &["src"], |s| {
        if is_test(&s.path) { Vec::new() } else { sockets_and_clocks(&s.path, &s.code) }
    });
    assert_eq!(sockets_and_clocks("src/connection/x.rs", "let now = Instant::now();").len(), 1);
}

#[test]
fn nothing_is_allocated_for_a_packet() {
    check("an allocation in a packet's path", &["src"], |s| allocations_in_packet_paths(&s.path, &s.code));
    assert_eq!(allocations_in_packet_paths("src/transport/send.rs", "let v = data.to_vec();").len(), 1);
}

#[test]
fn message_numbers_stand_in_one_file() {
    check("a message number outside of the table", &["src"], |s| {
        if is_test(&s.path) { Vec::new() } else { message_numbers(&s.path, &s.code) }
    });
    assert_eq!(message_numbers("src/transport/x.rs", "const NUMBER: u8 = 20;").len(), 1);
}

#[test]
fn files_are_of_a_size_that_can_be_read() {
    check("a file is too long", &["src", "examples"], |s| {
        let count = s.code.lines().count();
        if count > LINES_MAX { vec![format!("{}: {count} lines", s.path)] } else { Vec::new() }
    });
}

#[test]
fn rfcs_are_cited_in_one_form() {
    check("write it as RFC 4253 §7.1", &["src", "examples", "tests"], |s| {
        if s.path == "tests/tidy.rs" { Vec::new() } else { citations(&s.path, &s.whole) }
    });
    assert_eq!(citations("x", "// RFC 4253 section 7").len(), 1);
    assert_eq!(citations("x", "// RFC4253").len(), 1);
    assert_eq!(citations("x", "// RFC 4253 §7.1, RFC 4254").len(), 0);
}

#[test]
fn no_sleeps_and_nothing_left_to_do() {
    check("not here", &["src", "examples", "tests"], |s| forbidden_words(&s.path, &s.whole));
    assert_eq!(forbidden_words("x", &["thread::", "sleep(d)"].concat()).len(), 1);
}

#[test]
fn unsafe_code_is_forbidden_everywhere_but_in_the_counting_allocator() {
    check("the compiler does not check this", &["src", "examples", "tests", "benches"], |s| {
        unsafe_code(&s.path, &s.whole)
    });
    let is_root = |path: &str| {
        let mut parts = path.strip_prefix("examples/").unwrap_or_default().split('/');
        let example = path.starts_with("examples/") && (parts.nth(1).is_none() || path.ends_with("/main.rs"));
        example || path == "src/lib.rs" || path.starts_with("src/bin")
    };
    assert!(is_root("examples/sshd/main.rs") && is_root("examples/x.rs") && !is_root("examples/x/y.rs"));
    for s in sources(&["src", "examples"]).iter().filter(|s| is_root(&s.path)) {
        assert!(s.whole.contains("#![forbid(unsafe_code)]"), "{}", s.path);
    }
}

#[test]
fn t113_what_a_peer_is_told_at_the_end_is_a_constant() {
    let of_fault = |s: &Source| s.path == "src/wire/fault.rs" && s.code.contains("description: &'static str");
    let of_call = |s: &Source| {
        s.path == "src/connection/mod.rs"
            && s.code
                .contains("pub fn disconnect(&mut self, reason: DisconnectReason, description: &'static str)")
    };
    let all = sources(&["src"]);
    assert!(all.iter().any(of_fault) && all.iter().any(of_call));
}

#[test]
fn every_fault_has_a_hostile_test() {
    let all = sources(&["src", "tests"]);
    let tests: String = all
        .iter()
        .map(|s| if is_test(&s.path) { s.whole.as_str() } else { &s.whole[s.code.len()..] })
        .collect::<Vec<_>>()
        .join("\n");
    let words: BTreeSet<&str> = tests.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let faults: Vec<_> =
        all.iter().filter(|s| layer(&s.path).is_some()).flat_map(|s| constants(&s.code, "Fault")).collect();
    let without: Vec<_> = faults.iter().filter(|name| !words.contains(**name)).collect();
    println!("figure: {} faults", faults.len());
    assert!(faults.len() > 30, "the faults are found");
    assert!(without.is_empty(), "faults that no test names: {without:?}");
}

#[test]
fn rows_without_a_test_are_printed() {
    let have: BTreeSet<usize> =
        sources(&["src", "tests"]).iter().flat_map(|s| rows(&s.whole).collect::<Vec<_>>()).collect();
    let missing: Vec<_> =
        (1..=ROWS).filter(|row| !have.contains(row)).map(|row| format!("T-{row:02}")).collect();
    println!("figure: {} of {ROWS} rows have a test; without: {}", have.len(), missing.join(" "));
    assert!(have.contains(&59) && !have.contains(&0));
}

#[test]
fn every_file_of_the_tree_is_read() {
    assert!(sources(&["src"]).len() > 40);
    assert!(Path::new("tests/run").exists() && Path::new(".ci/run").exists());
}
