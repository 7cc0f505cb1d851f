//! What to do about a log that is not to be had: the words behind what was wrong.

use super::Place;
use crate::driver::text::escaped;
use crate::weblog::follow::NOT_REGULAR;
use crate::weblog::follow::files::{DENIED, MISSING};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What may have been meant by the name of a log that is not there.
pub(super) fn meant(place: &Place) -> String {
    match place {
        Place::Local(path) if is_like_a_host(path) => {
            let name = escaped(path.as_os_str().as_bytes());
            format!("; to watch a log on a host: ssh-weblog {name}:/var/log/…")
        }
        _ => String::new(),
    }
}

/// What to do about a log that could not be read.
pub(super) fn advice(why: &str, place: &Place) -> String {
    let text = match (why, place) {
        (MISSING, Place::Local(_)) if place.is_packed() => "; look at the path",
        (MISSING, Place::Host { path, .. }) if place.is_packed() && path.starts_with(b"/") => {
            " there; look at the path"
        }
        (MISSING, Place::Local(path)) if !is_like_a_host(path) => {
            "; look at the path, or leave --no-follow out to wait for it"
        }
        (MISSING, Place::Host { path, .. }) if !path.starts_with(b"/") => {
            " there; a path without / at its beginning is from the login directory"
        }
        (MISSING, Place::Host { .. }) => " there; look at the path, or leave --no-follow out to wait for it",
        (DENIED, Place::Local(_)) => "; run it as a user who may read it (on Debian one of the group adm)",
        (DENIED, Place::Host { .. }) => "; log in as a user who may read it (on Debian one of the group adm)",
        (NOT_REGULAR, _) => "; name a log, or logs by a pattern: DIRECTORY/*.log",
        _ => "",
    };
    [text, &meant(place)].concat()
}

/// Whether a local name may be that of a host whose path was forgotten.
fn is_like_a_host(path: &Path) -> bool {
    let name = path.as_os_str().as_bytes();
    let is_log = [&b".log"[..], b".gz"].iter().any(|ending| name.ends_with(ending));
    !name.contains(&b'/') && !is_log && !path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_told_with_what_to_do_next() {
        let local = |path: &str| Place::Local(path.into());
        let there = |path: &str| Place::Host { host: 0, path: path.into() };
        for (why, place, told) in [
            (MISSING, local("/x/a.log"), "leave --no-follow out"),
            (MISSING, local("shop.example"), "ssh-weblog shop.example:/var/log/"),
            (MISSING, there("a.log"), "from the login directory"),
            (MISSING, there("/a.log"), "leave --no-follow out"),
            (DENIED, local("/x"), "run it as a user"),
            (DENIED, there("/x"), "log in as a user"),
            (MISSING, local("a.log.gz"), "; look at the path"),
            (MISSING, there("/a.log.gz"), " there; look at the path"),
            (NOT_REGULAR, local("/x"), "*.log"),
        ] {
            assert!(advice(why, &place).contains(told), "{why} {place:?}");
        }
        assert!(!advice(MISSING, &local("a.log.gz")).contains("--no-follow"), "it would not be waited for");
        assert_eq!(advice("anything else", &local("/x")), "");
        assert!(meant(&local("shop.example")).contains("shop.example:/var/log/"));
        for plain in [local("./shop"), local("a.log"), local("/"), there("shop")] {
            assert_eq!(meant(&plain), "", "{plain:?}");
        }
    }
}
