//! UpdateHostKeys of ssh_config(5): the user's files learn the keys that a host announces and forget those that it does not.
//!
//! Nothing is written before the host has proved the new keys, and nothing unless the key that it showed was known by a line
//! of its own, or the user said yes to it. Whether a file can be changed is for [`plan_update`] to say, when the keys come
//! and again when the files are locked.

use super::host_key::{HostKeys, name_form, read, views};
use crate::crypto::SystemRng;
use crate::crypto::sign::PublicKey;
use crate::driver::files::Locked;
use crate::keys::known_hosts::{plan_update, updated};
use crate::keys::ssh_config::YesNoAsk;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

impl HostKeys {
    /// The host has announced its keys: which it must prove before the files are changed; nothing if they stay as they are.
    pub(super) fn announced(&mut self, keys: Vec<PublicKey>) -> Option<Vec<PublicKey>> {
        if self.update == YesNoAsk::No {
            return None;
        }
        let known = read(self.user_files.iter()).ok()?;
        let plan = plan_update(&views(&known), &self.host, self.trusted.as_ref()?, &keys).ok()?;
        if plan.to_prove.is_empty() && plan.to_remove == 0 {
            return None;
        }
        let to_prove = plan.to_prove.into_iter().cloned().collect();
        self.announced = keys;
        Some(to_prove)
    }

    /// The host has proved these keys, and all that it must: changes the files. What the user should know.
    pub(super) fn update(&mut self, proved: &[PublicKey]) -> Option<String> {
        let host = self.host.as_str();
        if self.update == YesNoAsk::Ask {
            return Some(format!(
                "{host} has changed its host keys, and has proved the new ones; -o UpdateHostKeys=yes notes them down"
            ));
        }
        match self.write(proved) {
            Ok(()) => None,
            Err(error) => Some(format!("the host keys of {host} were not updated: {error}")),
        }
    }

    fn write(&self, proved: &[PublicKey]) -> io::Result<()> {
        let paths = self.own_files()?;
        let mut locked = BTreeMap::new();
        for path in paths.iter().collect::<BTreeSet<_>>() {
            locked.insert(path, Locked::open(path)?);
        }
        let mut known = Vec::new();
        for path in &paths {
            known.extend(
                locked.get_mut(path).map(Locked::read).transpose()?.map(|contents| (path.clone(), contents)),
            );
        }
        let Some(trusted) = &self.trusted else { return Ok(()) };
        // The files may be others by now.
        let Ok(plan) = plan_update(&views(&known), &self.host, trusted, &self.announced) else {
            return Ok(());
        };
        if !plan.to_prove.iter().all(|key| proved.contains(key)) {
            return Ok(());
        }
        let mut to_add = plan.to_prove;
        for (path, contents) in &known {
            let rng = &mut SystemRng;
            let add = core::mem::take(&mut to_add); // to the first
            let contents = updated(contents, &self.host, &self.announced, add, name_form(self.hash, rng));
            if let (Some(contents), Some(file)) = (contents, locked.remove(path)) {
                file.replace(&contents)?;
            }
        }
        Ok(())
    }

    /// The user's files that are there, each once, whatever its names.
    fn own_files(&self) -> io::Result<Vec<PathBuf>> {
        let (mut paths, mut seen) = (Vec::new(), BTreeSet::new());
        for path in &self.user_files {
            match path.canonicalize().and_then(|path| Ok((path.metadata()?, path))) {
                Ok((metadata, path)) if seen.insert((metadata.dev(), metadata.ino())) => paths.push(path),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(paths)
    }
}
