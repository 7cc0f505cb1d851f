//! Names of files by pattern, as a shell finds them: `*`, `?`, `[a-z]` and `\`; a leading dot is matched by a dot only.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The most files that a pattern may find.
pub(super) const FOUND_MAX: usize = 1024;
/// The most that one finds where directories are listed by somebody else.
pub(crate) const FITTING_MAX: usize = 65_536;

/// One component of a path as a pattern, for names that come from elsewhere.
pub struct Pattern {
    atoms: Vec<Atom>,
    hidden: bool,
}

impl Pattern {
    /// Whether a text is more than a name.
    #[must_use]
    pub fn is_one(text: &[u8]) -> bool {
        text.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
    }

    /// Reads a pattern; every text is one.
    #[must_use]
    pub fn new(text: &[u8]) -> Self {
        Self { atoms: atoms(text), hidden: text.starts_with(b".") }
    }

    /// Whether it means this name.
    #[must_use]
    pub fn fits(&self, name: &[u8]) -> bool {
        (self.hidden || !name.starts_with(b".")) && fits(&self.atoms, name)
    }
}

/// More names fit than [`FITTING_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

impl core::fmt::Display for TooMany {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "more than {FITTING_MAX} files fit")
    }
}

/// The paths that a pattern means, sorted, where directories are listed by `fitting`: it gets one (`.` is where relative paths
/// begin) and says which names in it fit. Nothing is put in front of a relative path, and what stands behind the last pattern
/// need not exist.
pub(crate) async fn expand<E: From<TooMany>>(
    path: &[u8],
    fitting: impl AsyncFn(&[u8], &Pattern) -> Result<Vec<Vec<u8>>, E>,
) -> Result<Vec<Vec<u8>>, E> {
    let mut found = vec![if path.starts_with(b"/") { b"/".to_vec() } else { Vec::new() }];
    for component in path.split(|byte| *byte == b'/').filter(|component| !component.is_empty()) {
        let mut next = Vec::new();
        for base in found {
            if !Pattern::is_one(component) {
                next.push(below(&base, component));
                continue;
            }
            let directory = if base.is_empty() { b"." } else { base.as_slice() };
            let names = fitting(directory, &Pattern::new(component)).await?;
            next.extend(names.iter().map(|name| below(&base, name)));
            if next.len() > FITTING_MAX {
                return Err(TooMany.into());
            }
        }
        next.sort();
        found = next;
    }
    Ok(found)
}

fn below(base: &[u8], name: &[u8]) -> Vec<u8> {
    match base {
        b"" => name.to_vec(),
        base if base.ends_with(b"/") => [base, name].concat(),
        base => [base, b"/", name].concat(),
    }
}

enum Atom {
    Star,
    Any,
    One(u8),
    /// Ranges, and whether what is in none of them is meant.
    Class(Vec<(u8, u8)>, bool),
}

impl Atom {
    fn fits(&self, byte: u8) -> bool {
        match self {
            Self::Star => false,
            Self::Any => true,
            Self::One(one) => *one == byte,
            Self::Class(ranges, negated) => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&byte)) != *negated
            }
        }
    }
}

fn atoms(mut pattern: &[u8]) -> Vec<Atom> {
    let mut atoms = Vec::new();
    while let [first, rest @ ..] = pattern {
        let (atom, after) = match (first, rest) {
            (b'*', _) => (Atom::Star, rest),
            (b'?', _) => (Atom::Any, rest),
            (b'\\', [escaped, after @ ..]) => (Atom::One(*escaped), after),
            (b'[', _) => class(rest).unwrap_or((Atom::One(b'['), rest)),
            (one, _) => (Atom::One(*one), rest),
        };
        atoms.push(atom);
        pattern = after;
    }
    atoms
}

/// What stands behind `[`, if there is a `]`; one that comes first is meant as such.
fn class(text: &[u8]) -> Option<(Atom, &[u8])> {
    let (mut rest, negated) = match text {
        [b'!' | b'^', rest @ ..] => (rest, true),
        _ => (text, false),
    };
    let mut ranges = Vec::new();
    loop {
        rest = match rest {
            [b']', after @ ..] if !ranges.is_empty() => return Some((Atom::Class(ranges, negated), after)),
            [from, b'-', to, after @ ..] if *to != b']' => {
                ranges.push((*from, *to));
                after
            }
            [one, after @ ..] => {
                ranges.push((*one, *one));
                after
            }
            [] => return None,
        };
    }
}

/// Whether the whole name fits; goes back to the last star only.
fn fits(mut atoms: &[Atom], mut name: &[u8]) -> bool {
    let mut retry: Option<(&[Atom], &[u8])> = None;
    loop {
        match (atoms, name) {
            ([], []) => return true,
            ([Atom::Star, rest @ ..], _) => {
                retry = Some((rest, name));
                atoms = rest;
            }
            ([atom, more @ ..], [byte, rest @ ..]) if atom.fits(*byte) => (atoms, name) = (more, rest),
            _ => {
                let Some((after_star, [_, shorter @ ..])) = retry else { return false };
                retry = Some((after_star, shorter));
                (atoms, name) = (after_star, shorter);
            }
        }
    }
}

/// The files below a directory that a pattern means, sorted; none if there is none.
///
/// # Errors
/// There are more than [`FOUND_MAX`].
pub(super) fn glob(base: &Path, pattern: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![base.to_owned()];
    for component in pattern.split('/').filter(|component| !component.is_empty()) {
        let atoms = atoms(component.as_bytes());
        let literal: Option<Vec<u8>> =
            atoms.iter().map(|atom| if let Atom::One(byte) = atom { Some(*byte) } else { None }).collect();
        let mut next = Vec::new();
        for path in found {
            match &literal {
                Some(name) => {
                    next.extend(
                        Some(path.join(std::ffi::OsStr::from_bytes(name))).filter(|path| path.exists()),
                    );
                }
                None => {
                    let names =
                        fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.file_name());
                    let pattern = Pattern::new(component.as_bytes());
                    let wanted = |name: &std::ffi::OsString| pattern.fits(name.as_bytes());
                    next.extend(names.filter(wanted).take(FOUND_MAX + 1).map(|name| path.join(name)));
                }
            }
            if next.len() > FOUND_MAX {
                return Err(io::Error::other("too many files fit"));
            }
        }
        next.sort();
        found = next;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{FITTING_MAX, FOUND_MAX, TooMany, atoms, expand, fits, glob};
    use core::future::Future;
    use core::task::{Context, Poll, Waker};
    use std::fs;

    #[test]
    fn names_fit_patterns() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", ".conf", true),
            ("a?c", "abc", true),
            ("[a-c]*", "b1", true),
            ("[!a-c]", "d", true),
            ("[!a-c]", "a", false),
            ("[]]", "]", true),
            ("[a", "[a", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("*a*b", "xaxb", true),
            ("*a*b", "xaxc", false),
        ] {
            assert_eq!(fits(&atoms(pattern.as_bytes()), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn files_are_found_in_their_order_and_hidden_ones_only_by_a_dot() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b.d/2", "b.d/1", "a.d/3", "a.d/.h", "c"] {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = |pattern: &str| {
            let paths = glob(directory.path(), pattern).unwrap();
            let names = paths
                .iter()
                .map(|path| path.strip_prefix(directory.path()).unwrap().to_str().unwrap().to_owned());
            names.collect::<Vec<_>>()
        };
        assert_eq!(found("*.d/*"), ["a.d/3", "b.d/1", "b.d/2"]);
        assert_eq!(found("a.d/.*"), ["a.d/.h"]);
        assert_eq!(found("c"), ["c"]);
        assert_eq!(found("c/*").len() + found("d").len() + found("*/x").len(), 0);
    }

    #[test]
    fn more_files_than_the_bound_are_none() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            fs::create_dir(directory.path().join(name)).unwrap();
            for n in 0..FOUND_MAX / 2 {
                fs::write(directory.path().join(name).join(n.to_string()), "").unwrap();
            }
        }
        assert_eq!(glob(directory.path(), "*/*").unwrap().len(), FOUND_MAX);
        fs::write(directory.path().join("b/one_more"), "").unwrap();
        assert_eq!(glob(directory.path(), "*/*").unwrap_err().to_string(), "too many files fit");
    }

    #[test]
    fn more_names_than_the_bound_are_none() {
        for (names, expected) in [(FITTING_MAX / 2, Ok(FITTING_MAX)), (FITTING_MAX / 2 + 1, Err(TooMany))] {
            // Two directories with as many names each.
            let fitting = async |directory: &[u8], _: &super::Pattern| -> Result<_, TooMany> {
                let count = if directory == b"." { 2 } else { names };
                Ok((0..count).map(|n| n.to_string().into_bytes()).collect())
            };
            let mut expanded = core::pin::pin!(expand(b"*/*", fitting));
            let Poll::Ready(found) = expanded.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
                panic!("it waits for nothing")
            };
            assert_eq!(found.map(|found| found.len()), expected);
        }
    }
}
