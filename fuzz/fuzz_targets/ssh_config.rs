//! ssh_config: whatever a file holds, and whatever it includes.
#![no_main]
use libfuzzer_sys::fuzz_target;
use strombus::keys::ssh_config::{
    ALL, EXPANDED_MAX, File, Local, Outside, Owner, Request, expand_path, is_valid_host, is_valid_user, read,
};

struct World<'a> {
    included: &'a [u8],
}

impl Outside for World<'_> {
    fn exec(&mut self, command: &str) -> Result<bool, String> {
        Ok(command.len() % 2 == 0)
    }

    fn include(&mut self, pattern: &str, _: Owner) -> Result<Vec<File>, String> {
        let file = File { name: pattern.to_owned(), contents: self.included.to_vec() };
        Ok(vec![file; pattern.len() % 3])
    }

    fn variable(&self, name: &str) -> Option<String> {
        (name.len() < 4).then(|| name.repeat(100))
    }

    fn home_of(&self, user: &str) -> Option<String> {
        user.starts_with('a').then(|| format!("/home/{user}"))
    }
}

fuzz_target!(|bytes: &[u8]| {
    // What stands behind a NUL is included.
    let (file, included) =
        bytes.iter().position(|b| *b == 0).map_or((bytes, &[][..]), |at| bytes.split_at(at));
    let mut world = World { included: included.get(1..).unwrap_or_default() };
    let local = Local { user: "me".into(), home: "/home/me".into(), uid: 7, host: "here.example".into() };
    let request = Request { host: "web1.example".into(), local, ..Request::default() };
    let file = File { name: "config".into(), contents: file.to_vec() };
    let Ok(outcome) = read(&request, &[(Owner::User, file)], &mut world) else { return };
    assert!(!outcome.config.lines().is_empty());
    assert!(outcome.config.port > 0);
    for path in &outcome.config.identity_file.0 {
        if let Ok(path) = expand_path(&outcome.tokens, &world, path) {
            assert!(path.len() <= EXPANDED_MAX);
        }
    }
    if outcome.tokens.expand_command("%h %r", ALL).is_ok() {
        assert!(is_valid_host(&outcome.tokens.host) && is_valid_user(&outcome.tokens.user));
    }
});
