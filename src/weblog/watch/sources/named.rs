//! What is watched, as its user has named it.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// A log, or several by a pattern, as it was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// As it was typed.
    pub name: String,
    /// Where it is.
    pub place: Place,
}

impl Source {
    /// What a log is called that was found by a pattern: as it was typed, with the path in place of the pattern.
    pub(super) fn found(&self, path: &[u8]) -> String {
        let path = String::from_utf8_lossy(path);
        match &self.place {
            Place::Local(_) | Place::Standard => path.into_owned(),
            Place::Host { path: pattern, .. } => self.before(pattern) + &path,
        }
    }

    /// As it was typed, without its path.
    fn before(&self, path: &[u8]) -> String {
        match self.name.strip_prefix("ssh://") {
            // Its path may be written otherwise, with %XX.
            Some(rest) => {
                let place = rest.split('/').next().unwrap_or_default();
                let home = if path.starts_with(b"/") { "" } else { "/~/" };
                format!("ssh://{place}{home}")
            }
            None => self.name.strip_suffix(&*String::from_utf8_lossy(path)).unwrap_or_default().to_owned(),
        }
    }
}

/// Where a log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a host, by its number.
    Host {
        /// Of [`WatchOptions::hosts`](super::super::WatchOptions::hosts).
        host: usize,
        /// From the login directory, if it is not absolute.
        path: Vec<u8>,
    },
    /// Here.
    Local(PathBuf),
    /// Standard input.
    Standard,
}

impl Place {
    /// Its path there; standard input has none.
    pub(super) fn path(&self) -> &[u8] {
        match self {
            Self::Host { path, .. } => path,
            Self::Local(path) => path.as_os_str().as_bytes(),
            Self::Standard => b"",
        }
    }

    /// Whether both are on one machine.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Host { host, .. }, Self::Host { host: other, .. }) => host == other,
            (Self::Host { .. }, _) | (_, Self::Host { .. }) => false,
            _ => true,
        }
    }

    /// Whether it is that of packed logs, by its name: nobody writes to them any more.
    pub(super) fn is_packed(&self) -> bool {
        self.path().ends_with(b".gz")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_a_pattern_found_has_the_name_that_was_typed_with_its_path_in_place_of_the_pattern() {
        for (typed, pattern, found, name) in [
            ("ann@h:/var/log/*.log", "/var/log/*.log", "/var/log/a.log", "ann@h:/var/log/a.log"),
            ("h:*.log", "*.log", "a.log", "h:a.log"),
            ("h:~/*.log", "*.log", "a.log", "h:~/a.log"),
            ("[::1]:/x/*", "/x/*", "/x/a", "[::1]:/x/a"),
            ("ssh://ann@h:22/x/*", "/x/*", "/x/a", "ssh://ann@h:22/x/a"),
            ("ssh://h/my%20logs/*", "/my logs/*", "/my logs/a", "ssh://h/my logs/a"),
            ("ssh://i/my%20logs/*", "/my logs/*", "/my logs/a", "ssh://i/my logs/a"),
            ("ssh://h/~/my%20logs/*", "my logs/*", "my logs/a", "ssh://h/~/my logs/a"),
            ("ssh://[2001:db8::1]:22/%2a", "/*", "/a", "ssh://[2001:db8::1]:22/a"),
        ] {
            let place = Place::Host { host: 0, path: pattern.into() };
            let source = Source { name: typed.to_owned(), place };
            assert_eq!(source.found(found.as_bytes()), name);
        }
        let local = Source { name: "/x/*".to_owned(), place: Place::Local("/x/*".into()) };
        assert_eq!(local.found(b"/x/a"), "/x/a");
    }
}
