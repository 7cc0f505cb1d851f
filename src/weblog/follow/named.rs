//! The files that a path means: the one of exactly this name, or those that it finds as a pattern.
//!
//! No shell expands anything. Whoever follows asks again from time to time, for logs that come later.

use super::distinct;
use super::files::{Files, Kind, Stat, Trouble};
use crate::driver::glob::{Pattern, expand};
use crate::driver::task::Timers;
use core::time::Duration;

/// How often the names that a pattern fits are looked for again.
pub(crate) const AGAIN: Duration = Duration::from_secs(10);

/// What a path means now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Sorted, different files; some may have been found before.
    pub(crate) paths: Vec<Vec<u8>>,
    /// It is a pattern.
    pub(crate) by_pattern: bool,
    /// Why there are none, if that is not because nothing fits.
    pub(crate) trouble: Option<Trouble>,
    /// It is not looked for again.
    pub(crate) is_last: bool,
}

/// Tells what a path means: once, or if it is a pattern and there is to be no end, again and again. It returns when all is
/// told, or when the way to the files is gone.
pub(crate) async fn look(
    files: &impl Files,
    path: &[u8],
    endless: bool,
    timers: &Timers,
    mut tell: impl FnMut(Found),
) {
    let by_pattern = Pattern::is_one(path) && files.stat(path).await.is_err();
    if !by_pattern {
        return tell(Found { paths: vec![path.to_vec()], by_pattern, trouble: None, is_last: true });
    }
    loop {
        let found = match find(files, path).await {
            Ok(paths) => distinct(files, paths).await,
            Err(trouble) => Err(trouble),
        };
        let (paths, trouble) = match found {
            Ok(paths) => (paths, None),
            Err(Trouble::Lost) => return,
            Err(trouble) => (Vec::new(), Some(trouble)),
        };
        tell(Found { paths, by_pattern, trouble, is_last: !endless });
        if !endless {
            return;
        }
        timers.sleep_until(timers.now() + AGAIN).await;
    }
}

/// The paths to follow, sorted; none if it is a pattern that finds nothing now. A path that is no pattern is followed whether
/// there is something or not. What a pattern finds and is no regular file, or cannot be looked at, is left out.
///
/// # Errors
/// Too many files fit, or the way to the files is gone.
pub(crate) async fn find(files: &impl Files, path: &[u8]) -> Result<Vec<Vec<u8>>, Trouble> {
    if !Pattern::is_one(path) {
        return Ok(vec![path.to_vec()]);
    }
    match files.stat(path).await {
        Err(Trouble::Missing) => {}
        Err(Trouble::Lost) => return Err(Trouble::Lost),
        _ => return Ok(vec![path.to_vec()]),
    }
    let fitting = async |directory: &[u8], pattern: &Pattern| {
        match files.list(directory, |name| pattern.fits(name)).await {
            Ok(entries) => Ok(entries.into_iter().map(|(name, _)| name).collect()),
            // What is no directory, or cannot be read, has nothing that fits.
            Err(Trouble::Missing | Trouble::Denied) => Ok(Vec::new()),
            Err(trouble) => Err(trouble),
        }
    };
    let found = expand(path, fitting).await?;
    let stats = files.stat_all(&found).await?;
    let is_log = |stat: &Result<Stat, Trouble>| {
        stat.as_ref().is_ok_and(|stat| matches!(stat.kind, None | Some(Kind::Regular)))
    };
    Ok(found.into_iter().zip(stats).filter(|(_, stat)| is_log(stat)).map(|(path, _)| path).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::glob::{FITTING_MAX, TooMany};
    use core::task::{Context, Poll, Waker};
    use core::time::Duration;

    /// Regular files by their paths; what stands above them is a directory.
    struct Tree(&'static [&'static str]);

    impl Files for Tree {
        type File = ();

        async fn open(&self, _: &[u8]) -> Result<(), Trouble> {
            Err(Trouble::Missing)
        }

        async fn stat(&self, path: &[u8]) -> Result<Stat, Trouble> {
            let kind = match path {
                _ if path.starts_with(b"lost") => return Err(Trouble::Lost),
                _ if self.0.iter().any(|file| file.as_bytes() == path) => Kind::Regular,
                _ if self.0.iter().any(|file| file.as_bytes().starts_with(&[path, b"/"].concat())) => {
                    Kind::Directory
                }
                _ => return Err(Trouble::Missing),
            };
            Ok(Stat { kind: Some(kind), ..Stat::default() })
        }

        async fn fstat(&self, (): &()) -> Result<Stat, Trouble> {
            Err(Trouble::Missing)
        }

        async fn read(&self, (): &(), _: u64, _: usize, _: &mut Vec<u8>) -> Result<usize, Trouble> {
            Err(Trouble::Missing)
        }

        async fn list(
            &self,
            directory: &[u8],
            fits: impl Fn(&[u8]) -> bool,
        ) -> Result<Vec<(Vec<u8>, Stat)>, Trouble> {
            if directory.ends_with(b"secret") {
                return Err(Trouble::Denied);
            }
            let above = match directory {
                b"." => Vec::new(),
                b"/" => b"/".to_vec(),
                directory => [directory, b"/"].concat(),
            };
            let below = self.0.iter().filter_map(|file| file.as_bytes().strip_prefix(above.as_slice()));
            let names = below.filter_map(|below| below.split(|byte| *byte == b'/').next());
            let mut names: Vec<_> = names.map(|name| (name.to_vec(), Stat::default())).collect();
            names.dedup();
            names.retain(|(name, _)| fits(name));
            Ok(names)
        }

        async fn wait(&self, _: Duration) {}
    }

    /// A directory in which there is whatever name one asks for, and more of them than anybody takes.
    struct Huge(usize);

    impl Files for Huge {
        type File = ();

        async fn open(&self, _: &[u8]) -> Result<(), Trouble> {
            Err(Trouble::Missing)
        }

        async fn stat(&self, path: &[u8]) -> Result<Stat, Trouble> {
            if path.contains(&b'*') { Err(Trouble::Missing) } else { Ok(Stat::default()) }
        }

        async fn fstat(&self, (): &()) -> Result<Stat, Trouble> {
            Err(Trouble::Missing)
        }

        async fn read(&self, (): &(), _: u64, _: usize, _: &mut Vec<u8>) -> Result<usize, Trouble> {
            Err(Trouble::Missing)
        }

        async fn list(
            &self,
            _: &[u8],
            fits: impl Fn(&[u8]) -> bool,
        ) -> Result<Vec<(Vec<u8>, Stat)>, Trouble> {
            let names = (0..self.0).map(|number| format!("{number}.log").into_bytes());
            Ok(names.filter(|name| fits(name)).map(|name| (name, Stat::default())).collect())
        }

        async fn wait(&self, _: Duration) {}
    }

    #[test]
    fn t101_no_more_files_are_found_than_the_bound() {
        let count = |path: &str, names| {
            let huge = Huge(names);
            let mut finding = core::pin::pin!(find(&huge, path.as_bytes()));
            let Poll::Ready(found) = finding.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
                panic!("nothing waits")
            };
            found.map(|found| found.len())
        };
        let too_many = Err(Trouble::from(TooMany));
        assert_eq!(count("/d/*.log", FITTING_MAX), Ok(FITTING_MAX));
        assert_eq!(count("/d/*.log", FITTING_MAX + 1), too_many);
        assert_eq!(count("/d/*.other", FITTING_MAX + 1), Ok(0), "what does not fit is not counted");
        assert_eq!(count("/*/*", 256), Ok(FITTING_MAX));
        assert_eq!(count("/*/*", 257), too_many, "of all directories together");
        assert_eq!(count("/*/*/*/*", 257), too_many, "before there are more of them");
    }

    fn found(path: &str) -> Result<Vec<String>, Trouble> {
        let tree = Tree(&[
            "/var/log/nginx/b.log",
            "/var/log/nginx/a.log",
            "/var/log/nginx/.hidden.log",
            "/var/log/nginx/old.log/x",
            "/var/log/secret/c.log",
            "/var/log/[ab].log",
            "own/a.log",
            "b.log",
        ]);
        let mut finding = core::pin::pin!(find(&tree, path.as_bytes()));
        let Poll::Ready(found) = finding.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("nothing waits")
        };
        found.map(|paths| paths.into_iter().map(|path| String::from_utf8(path).unwrap()).collect())
    }

    #[test]
    fn a_path_is_itself_and_a_pattern_is_what_it_finds() {
        for (path, expected) in [
            ("/not/there.log", &["/not/there.log"][..]),
            ("/var/log/nginx/*.log", &["/var/log/nginx/a.log", "/var/log/nginx/b.log"]),
            ("/var/log/*/[bc].log", &["/var/log/nginx/b.log"]),
            ("/var/log/[ab].log", &["/var/log/[ab].log"]),
            ("*.log", &["b.log"]),
            ("own/?.log", &["own/a.log"]),
            ("/none/*", &[]),
        ] {
            assert_eq!(found(path).unwrap(), expected, "{path}");
        }
        assert_eq!(found("lost*"), Err(Trouble::Lost));
    }
}
