//! Where logs were read to, kept in a file across runs.
//!
//! The file is written beside its name and put there by renaming, so that it is whole at any moment. Whoever shows lines
//! saves what it has shown, at most once a second: after an end without warning no more than that is repeated.

use super::position::Checkpoint;
use crate::driver::text::escaped;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tempfile::NamedTempFile;

/// How often it is written at the most.
pub const SAVE_EVERY: Duration = Duration::from_secs(1);

/// The largest file that is read (bytes).
pub const STATE_MAX: u64 = 16 * 1024 * 1024;

/// The version of the file.
const VERSION: u32 = 1;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    version: u32,
    sources: BTreeMap<String, Checkpoint>,
}

/// The positions of logs, by the names of their sources.
#[derive(Debug)]
pub struct State {
    path: PathBuf,
    sources: BTreeMap<String, Checkpoint>,
    changed: bool,
    saved: Option<Instant>,
}

impl State {
    /// Reads the file at `path`; none yet is an empty one.
    ///
    /// # Errors
    /// A text for the user: what the system says; it is no such file, or a link; none can be made in its directory.
    pub fn load(path: &Path) -> Result<Self, String> {
        let told = |text: &str| format!("{}: {text}", escaped(path.as_os_str().as_bytes()));
        beside(path).map_err(|error| {
            let advice = "its directory must be there and writable, or name another FILE";
            told(&format!("cannot be written: {}: {advice}", reason(&error)))
        })?;
        let empty = Self { path: path.to_owned(), sources: BTreeMap::new(), changed: false, saved: None };
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(empty),
            Err(error) => return Err(told(&error.to_string())),
            Ok(found) if !found.is_file() => return Err(told("not a regular file; name another one")),
            Ok(_) => {}
        }
        let mut text = Vec::new();
        let read = fs::File::open(path).and_then(|file| file.take(STATE_MAX + 1).read_to_end(&mut text));
        read.map_err(|error| told(&error.to_string()))?;
        if text.len() as u64 > STATE_MAX {
            return Err(told("larger than any file of positions; name another one"));
        }
        let not_ours = |_| told("no file of positions; remove it or name another one");
        let content: Content = serde_json::from_slice(&text).map_err(not_ours)?;
        if content.version != VERSION {
            return Err(told("written by another version; remove it to begin anew"));
        }
        Ok(Self { sources: content.sources, ..empty })
    }

    /// Where to go on with a source, if that is known.
    #[must_use]
    pub fn checkpoint(&self, source: &str) -> Option<&Checkpoint> {
        self.sources.get(source)
    }

    /// Everything up to this was shown.
    pub fn set(&mut self, source: &str, checkpoint: Checkpoint) {
        if self.sources.get(source) != Some(&checkpoint) {
            self.sources.insert(source.to_owned(), checkpoint);
            self.changed = true;
        }
    }

    /// Nobody goes on with a source.
    pub fn forget(&mut self, source: &str) {
        self.changed |= self.sources.remove(source).is_some();
    }

    /// When to save, if something has changed since: at once, or a while after the last time.
    #[must_use]
    pub fn due(&self, now: Instant) -> Option<Instant> {
        self.changed.then(|| self.saved.map_or(now, |saved| saved + SAVE_EVERY))
    }

    /// Writes the file, whenever that is.
    ///
    /// # Errors
    /// A text for the user.
    pub fn save(&mut self, now: Instant) -> Result<(), String> {
        let sources = core::mem::take(&mut self.sources);
        let content = Content { version: VERSION, sources };
        let written = self.write(&content);
        self.sources = content.sources;
        self.saved = Some(now);
        let path = self.path.as_os_str().as_bytes();
        written.map_err(|error| format!("{}: not written: {}", escaped(path), reason(&error)))?;
        self.changed = false;
        Ok(())
    }

    fn write(&self, content: &Content) -> io::Result<()> {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::other("not a regular file"));
        }
        let mut file = beside(&self.path)?;
        serde_json::to_writer(&mut file, content)?;
        file.write_all(b"\n")?;
        file.persist(&self.path)?;
        Ok(())
    }
}

/// A new file in the same directory, with mode 0600, under a name that nobody can foresee; gone when it is dropped.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    tempfile::Builder::new().prefix(".ssh-weblog-state").tempfile_in(directory)
}

/// What the system says, without the name of the file beside, which is nobody's.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such directory".to_owned(),
        kind => kind.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weblog::follow::position::{Before, Position};
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn at(offset: u64) -> Checkpoint {
        Checkpoint { before: Before::Nothing, files: vec![Position { offset, ..Position::default() }] }
    }

    #[test]
    fn what_is_saved_is_loaded_and_only_its_owner_can_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let mut state = State::load(&path).unwrap();
        assert_eq!(state.checkpoint("host:/x"), None);
        let now = Instant::now();
        assert_eq!(state.due(now), None);
        state.set("host:/x", at(7));
        assert_eq!(state.due(now), Some(now));
        state.save(now).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(State::load(&path).unwrap().checkpoint("host:/x"), Some(&at(7)));
        state.set("host:/x", at(7));
        assert_eq!(state.due(now), None, "nothing new");
        state.set("host:/x", at(8));
        assert_eq!(state.due(now), Some(now + SAVE_EVERY), "at most once a second");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
        state.forget("host:/x");
        state.save(now).unwrap();
        assert_eq!(State::load(&path).unwrap().checkpoint("host:/x"), None);
    }

    #[test]
    fn t103_a_link_in_its_place_is_not_followed_and_what_is_there_stays_whole() {
        let directory = tempfile::tempdir().unwrap();
        let (path, target) = (directory.path().join("state"), directory.path().join("target"));
        fs::write(&target, "precious").unwrap();
        symlink(&target, &path).unwrap();
        assert!(State::load(&path).unwrap_err().contains("not a regular file"));
        fs::remove_file(&path).unwrap();
        let mut state = State::load(&path).unwrap();
        symlink(&target, &path).unwrap();
        state.set("x", at(1));
        state.save(Instant::now()).unwrap_err();
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
        assert!(path.is_symlink() && state.due(Instant::now()).is_some(), "still to be saved");
    }

    #[test]
    fn where_nothing_can_be_written_is_told_before_anything_is_read() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("file"), "").unwrap();
        for path in ["none/state", "file/state"] {
            let told = State::load(&directory.path().join(path)).unwrap_err();
            assert!(told.contains("state: cannot be written") && told.contains("name another"), "{told}");
            assert!(!told.contains(".ssh-weblog-state"), "{told}");
        }
        State::load(&directory.path().join("state")).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left of the look");
    }

    #[test]
    fn what_is_no_such_file_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        for (content, told) in
            [("{", "no file of positions"), ("{\"version\":2,\"sources\":{}}", "another version")]
        {
            fs::write(&path, content).unwrap();
            assert!(State::load(&path).unwrap_err().contains(told), "{content}");
        }
        fs::File::create(&path).unwrap().set_len(STATE_MAX + 1).unwrap();
        assert!(State::load(&path).unwrap_err().contains("larger"));
    }
}
