//! What to do about a log that is not to be had: the words behind what was wrong.

use super::Place;
use crate::driver::text::escaped;
use crate::weblog::follow::NOT_REGULAR;
use crate::weblog::follow::files::{DENIED, MISSING};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How a log that is not there is waited for.
const WAITING: &str = ", or leave --no-follow out to wait for it";

/// Where a path on a host begins.
const FROM_LOGIN: &str = "a path without / at its beginning is from the login directory";

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

/// What to do about a log that could not be read. `waits`: it would have been waited for, had it been followed.
pub(super) fn advice(why: &str, place: &Place, waits: bool) -> String {
    let waiting = if waits && !place.is_packed() { WAITING } else { "" };
    let text: &str = match (why, place) {
        (MISSING, Place::Local(path)) if !is_like_a_host(path) => &format!("; look at the path{waiting}"),
        (MISSING, Place::Host { path, .. }) if !path.starts_with(b"/") => &format!(" there; {FROM_LOGIN}"),
        (MISSING, Place::Host { .. }) => &format!(" there; look at the path{waiting}"),
        (DENIED, Place::Local(_)) => "; run it as a user who may read it (on Debian one of the group adm)",
        (DENIED, Place::Host { .. }) => "; log in as a user who may read it (on Debian one of the group adm)",
        (NOT_REGULAR, _) => "; name a log, or logs by a pattern: DIRECTORY/*.log",
        _ => "",
    };
    [text, &meant(place)].concat()
}

/// What to do about a pattern that nothing fits; as above.
pub(super) fn nothing_fits(place: &Place, waits: bool) -> String {
    let waiting = if waits && !place.is_packed() { WAITING } else { "" };
    match place {
        Place::Host { path, .. } if !path.starts_with(b"/") => format!(" there; {FROM_LOGIN}"),
        Place::Host { .. } => format!(" there; look at the pattern{waiting}"),
        _ => format!("; look at the pattern{waiting}"),
    }
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
            assert!(advice(why, &place, true).contains(told), "{why} {place:?}");
        }
        for place in [local("a.log.gz"), there("/a.log.gz"), local("*.gz")] {
            let told = advice(MISSING, &place, true) + &nothing_fits(&place, true);
            assert!(!told.contains("--no-follow"), "{place:?} would not be waited for");
        }
        for place in [local("a.log"), there("/a.log")] {
            let told = advice(MISSING, &place, false) + &nothing_fits(&place, false);
            assert!(told.contains("look at the path") && !told.contains("--no-follow"), "{told}");
        }
        assert_eq!(advice("anything else", &local("/x"), true), "");
        for (place, told) in [
            (local("*.log"), "; look at the pattern, or leave --no-follow out"),
            (there("/x/*.log"), " there; look at the pattern, or leave --no-follow out"),
            (there("*.log"), " there; a path without / at its beginning is from the login directory"),
        ] {
            assert!(nothing_fits(&place, true).starts_with(told), "{place:?}");
        }
        assert!(meant(&local("shop.example")).contains("shop.example:/var/log/"));
        for plain in [local("./shop"), local("a.log"), local("/"), there("shop")] {
            assert_eq!(meant(&plain), "", "{plain:?}");
        }
    }
}
