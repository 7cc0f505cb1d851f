//! UpdateHostKeys of ssh_config(5): the user's files learn the keys that a host announces and forget those that it does not.
//!
//! Nothing is written before the host has proved the new keys, and nothing unless the key that it showed was known by a line
//! of its own, or the user said yes to it. Whether a file can be changed is for [`plan_update`] to say, when the keys come
//! and again when the files are locked.

use super::host_key::{HostKeys, name_form, read, views};
use crate::crypto::SystemRng;
use crate::crypto::sign::PublicKey;
use crate::driver::files::LockedFile;
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
            locked.insert(path, LockedFile::open(path)?);
        }
        let mut known = Vec::new();
        for path in &paths {
            known.extend(
                locked
                    .get_mut(path)
                    .map(LockedFile::read)
                    .transpose()?
                    .map(|contents| (path.clone(), contents)),
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

#[cfg(test)]
mod tests {
    use super::super::host_key::Judgement;
    use super::super::{Login, Options};
    use super::*;
    use crate::connection::GlobalEvent;
    use crate::crypto::sign::PrivateKey;
    use crate::keys::known_hosts::{Host, NameForm, line_to_append};
    use crate::tests::pair::{Pair, SeededRng, Settings};
    use std::fs;
    use std::sync::Arc;

    fn key(seed: u64) -> PublicKey {
        PrivateKey::generate_ed25519(&mut SeededRng::new(seed)).public_key()
    }

    fn line(key: &PublicKey) -> String {
        line_to_append(b"", &Host::new("h.example", 22).unwrap(), key, NameForm::Plain)
    }

    struct Known {
        directory: tempfile::TempDir,
        options: Options,
    }

    impl Known {
        fn new(contents: &str) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let mut options = Options::new("h.example");
            options.user_known_hosts_files = vec![directory.path().join("known_hosts")];
            options.global_known_hosts_files = Vec::new();
            options.config.update_host_keys = YesNoAsk::Yes;
            let known = Self { directory, options };
            known.write(contents);
            known
        }

        fn write(&self, contents: &str) {
            fs::write(self.directory.path().join("known_hosts"), contents).unwrap();
        }

        fn contents(&self) -> String {
            fs::read_to_string(self.directory.path().join("known_hosts")).unwrap()
        }

        /// The host has shown this key.
        fn shown(&self, key: &PublicKey) -> HostKeys {
            let mut keys = HostKeys::new(&self.options).unwrap();
            assert!(matches!(keys.judge(key, None), Judgement::Accept));
            keys
        }
    }

    #[test]
    fn new_keys_are_proved_before_they_are_written_and_old_ones_go() {
        let known = Known::new(&(line(&key(1)) + &line(&key(9))));
        let mut keys = known.shown(&key(1));
        assert_eq!(keys.announced(vec![key(2), key(1), key(3)]), Some(vec![key(2), key(3)]));
        for proved in [vec![], vec![key(2)], vec![key(2), key(4)]] {
            assert_eq!(keys.update(&proved), None);
            assert_eq!(known.contents(), line(&key(1)) + &line(&key(9)), "t76: not all are proved");
        }
        assert_eq!(keys.update(&[key(2), key(3)]), None);
        assert_eq!(known.contents(), line(&key(1)) + &line(&key(2)) + &line(&key(3)));
        assert_eq!(keys.announced(vec![key(2), key(1), key(3)]), None, "nothing is left to do");
    }

    #[test]
    fn t76_what_is_not_proved_leaves_the_file_as_it_is() {
        let before = line(&key(1));
        let known = Known::new(&before);
        let poll = mio::Poll::new().unwrap();
        let waker = Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let mut login = Login::new(known.options.clone(), waker).unwrap();
        let mut pair = Pair::authenticated(Settings::default());
        let conn = &mut pair.client.conn;
        assert!(matches!(login.host_keys.judge(&key(1), None), Judgement::Accept));
        login.global(conn, GlobalEvent::HostKeys { keys: vec![key(1), key(2)] });
        assert!(conn.pending_output() > 0, "the host is asked for proof");
        login.global(conn, GlobalEvent::HostKeysNotProved);
        assert_eq!(known.contents(), before);
        login.global(conn, GlobalEvent::HostKeysProved { keys: vec![key(2)] });
        assert_eq!(known.contents(), before + &line(&key(2)));
    }

    #[test]
    fn only_a_key_that_is_known_or_that_the_user_said_yes_to_vouches_for_others() {
        let known = Known::new("");
        for (strict, confirmed) in [("accept-new", false), ("off", false), ("ask", true)] {
            known.write("");
            let mut options = known.options.clone();
            options.strict_host_key_checking = match strict {
                "ask" => crate::driver::options::StrictHostKeyChecking::Ask,
                "off" => crate::driver::options::StrictHostKeyChecking::Off,
                _ => crate::driver::options::StrictHostKeyChecking::AcceptNew,
            };
            let mut keys = HostKeys::new(&options).unwrap();
            match keys.judge(&key(1), None) {
                Judgement::AcceptNew => drop(keys.remember(&key(1))),
                Judgement::Ask(_) => drop(keys.confirmed(&key(1))),
                _ => panic!("{strict}"),
            }
            assert_eq!(known.contents(), line(&key(1)));
            assert_eq!(keys.announced(vec![key(1), key(2)]).is_some(), confirmed, "{strict}");
        }
        known.write(&line(&key(1)));
        assert_eq!(known.shown(&key(1)).announced(vec![key(2)]), None, "the key in use is not announced");
    }

    #[test]
    fn the_files_are_looked_at_again_before_they_are_changed() {
        let known = Known::new(&line(&key(1)));
        let mut keys = known.shown(&key(1));
        assert_eq!(keys.announced(vec![key(1), key(2)]), Some(vec![key(2)]));
        for meanwhile in ["", "@revoked h.example ssh-ed25519 AAAA\n", "# nothing\n"] {
            known.write(meanwhile);
            assert_eq!(keys.update(&[key(2)]), None);
            assert_eq!(known.contents(), meanwhile);
        }
        known.write(&(line(&key(1)) + &line(&key(2))));
        assert_eq!(keys.update(&[key(2)]), None);
        assert_eq!(known.contents(), line(&key(1)) + &line(&key(2)), "another process was first");
    }

    #[test]
    fn who_wants_to_be_asked_is_told_and_no_file_is_changed() {
        let mut known = Known::new(&line(&key(1)));
        known.options.config.update_host_keys = YesNoAsk::Ask;
        let mut keys = known.shown(&key(1));
        assert_eq!(keys.announced(vec![key(1), key(2)]), Some(vec![key(2)]));
        assert!(keys.update(&[key(2)]).unwrap().contains("UpdateHostKeys=yes"));
        assert_eq!(known.contents(), line(&key(1)));
        known.options.config.update_host_keys = YesNoAsk::No;
        assert_eq!(known.shown(&key(1)).announced(vec![key(1), key(2)]), None);
    }

    #[test]
    fn new_keys_go_to_the_first_file_and_old_ones_from_all_even_if_one_is_named_twice() {
        let mut known = Known::new(&line(&key(1)));
        let first = known.options.user_known_hosts_files[0].clone();
        let second = known.directory.path().join("a_second");
        fs::write(&second, line(&key(9))).unwrap();
        known.options.user_known_hosts_files = vec![first.clone(), second.clone(), first];
        let mut keys = known.shown(&key(1));
        assert!(keys.announced(vec![key(1), key(2)]).is_some());
        assert_eq!(keys.update(&[key(2)]), None);
        assert_eq!(known.contents(), line(&key(1)) + &line(&key(2)));
        assert_eq!(fs::read_to_string(second).unwrap(), "");
    }
}
