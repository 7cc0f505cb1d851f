//! Who may log in to `ssh-weblog-server`: the `[[user]]` tables of its configuration, and what the command line says of one user.
//!
//! It does not know how a login goes, nor what a user is shown.

use crate::driver::accounts::{Account, Accounts, Names};
use crate::driver::files;
use crate::driver::passwords::Passwords;
use crate::keys::authorized_keys;
use crate::userauth::{CHAINS_MAX, Method, MethodChains};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    user: Vec<User>,
}

/// One user: `[[user]]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The name to log in with.
    pub name: String,
    /// A file of keys, a line each, as authorized_keys of sshd(8).
    pub authorized_keys: Option<PathBuf>,
    /// A hash of argon2id.
    pub password_hash: Option<String>,
    /// All of these methods, in this order; without it any one.
    pub require: Option<Vec<String>>,
    /// A file of CAs, whose certificates let the user in.
    pub ca_keys: Option<PathBuf>,
}

/// All that a server asks.
#[derive(Debug)]
pub struct Users {
    /// By keys.
    pub accounts: Accounts,
    /// By passwords.
    pub passwords: Option<Arc<Passwords>>,
    /// What everybody may try.
    pub methods: MethodChains,
    /// Rights.
    pub rights: HashMap<Vec<u8>, Rights>,
}
/// stub
#[derive(Clone, Debug, Default)]
pub struct Rights {
    /// l
    pub logs: Option<Vec<String>>,
    /// v
    pub view: crate::weblog::options::ViewOptions,
    /// s
    pub sftp: bool,
}

/// Reads a configuration; relative names in it are looked for in `directory`.
///
/// # Errors
/// A text for the user.
pub fn parse(text: &str, directory: &Path) -> Result<Vec<User>, String> {
    // The error would show the line, and the line may be a secret.
    let mut file: File = toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("line {}: {}", before.matches('\n').count() + 1, error.message())
    })?;
    for user in &mut file.user {
        for path in [&mut user.authorized_keys, &mut user.ca_keys].into_iter().flatten() {
            *path = directory.join(&*path);
        }
    }
    Ok(file.user)
}

/// Puts users and a password file together.
///
/// # Errors
/// Nobody could log in, or somebody could not; a text for the user.
pub fn collect(users: Vec<User>, passwords: Option<Passwords>) -> Result<Users, String> {
    let mut passwords = passwords.map_or_else(Passwords::new, Ok)?;
    let mut accounts: HashMap<Vec<u8>, Account> = HashMap::new();
    for user in users {
        let (name, account) = user.into_account(&mut passwords)?;
        if accounts.insert(name.clone().into_bytes(), account).is_some() {
            return Err(format!("{name}: two users have this name"));
        }
    }
    for name in passwords.names() {
        accounts.entry(name.to_vec()).or_default();
    }
    let has_keys =
        |account: &Account| !account.authorized_keys.is_empty() || account.trusted_ca_keys.is_some();
    let mut methods = Vec::new();
    if accounts.values().any(has_keys) {
        methods.push(Method::Publickey);
    }
    let has_passwords = passwords.names().next().is_some();
    if has_passwords {
        methods.extend([Method::Password, Method::KeyboardInteractive]);
    }
    if methods.is_empty() {
        return Err(
            "nobody may log in: give --user NAME with --authorized-keys FILE, or --password-file FILE, or \
                    --config FILE with a [[user]]"
                .to_owned(),
        );
    }
    Ok(Users {
        accounts: Accounts::new(Names::Of(accounts)),
        passwords: has_passwords.then(|| Arc::new(passwords)),
        methods: MethodChains::any_of(&methods),
        rights: HashMap::new(),
    })
}

impl Users {
    /// Reads every file of keys as a login will; what is said of them now need not be found out then. The lines that let
    /// nobody in.
    ///
    /// # Errors
    /// A file that cannot be read, or that others may write; a text for the user.
    pub fn look_at_files(&self) -> Result<Vec<String>, String> {
        let Names::Of(accounts) = &self.accounts.names else { return Ok(Vec::new()) };
        let mut refused = Vec::new();
        for path in accounts.values().flat_map(|account| &account.authorized_keys) {
            let file = files::read_owned(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let lines = authorized_keys::entries(&file).filter_map(Result::err);
            refused.extend(
                lines.map(|line| format!("{}:{}: not taken: {}", path.display(), line.line, line.reason)),
            );
        }
        for path in accounts.values().filter_map(|account| account.trusted_ca_keys.as_ref()) {
            files::read_owned(path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(refused)
    }
}

impl User {
    fn into_account(self, passwords: &mut Passwords) -> Result<(String, Account), String> {
        let Self { name, authorized_keys, password_hash, require, ca_keys } = self;
        let in_user = |why: String| format!("user {name}: {why}");
        let method = |word: &String| {
            let method = Method::from_name(word).filter(|method| *method != Method::None);
            method.ok_or_else(|| {
                in_user(format!("require: {word}: it may be publickey, password, keyboard-interactive"))
            })
        };
        let methods: Option<Vec<_>> =
            require.as_ref().map(|words| words.iter().map(method).collect()).transpose()?;
        if methods.as_ref().is_some_and(|methods| !(1..=CHAINS_MAX).contains(&methods.len())) {
            return Err(in_user(format!("require: name 1 to {CHAINS_MAX} methods")));
        }
        let methods = methods.map(|methods| MethodChains::all_of(&methods));
        let known = passwords.names().any(|known| known == name.as_bytes());
        let needs = |method: &str| require.iter().flatten().any(|word| word == method);
        let no_keys = authorized_keys.is_none() && ca_keys.is_none();
        let no_password = password_hash.is_none() && !known;
        if needs("publickey") && no_keys {
            return Err(in_user("require names publickey: give authorized_keys or ca_keys".to_owned()));
        }
        if (needs("password") || needs("keyboard-interactive")) && no_password {
            return Err(in_user("require names a password: give password_hash".to_owned()));
        }
        if no_keys && no_password {
            return Err(in_user("give authorized_keys, ca_keys or password_hash".to_owned()));
        }
        if let Some(hash) = password_hash {
            passwords.add(&name, &hash).map_err(in_user)?;
        }
        let account = Account {
            authorized_keys: authorized_keys.into_iter().collect(),
            trusted_ca_keys: ca_keys,
            authorized_principals: None,
            methods,
        };
        Ok((name, account))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::passwords::hash;

    fn users(text: &str) -> Result<Users, String> {
        collect(parse(text, Path::new("/etc/weblog"))?, None)
    }

    #[test]
    fn a_user_is_a_table_of_the_configuration() {
        let hash = hash(b"secret").unwrap();
        let text = format!(
            "[[user]]\nname = 'ann'\nauthorized_keys = 'ann.pub'\npassword_hash = '{hash}'\nrequire = ['publickey', \
             'password']\n[[user]]\nname = 'bob'\nca_keys = '/ca.pub'\n"
        );
        let users = users(&text).unwrap();
        let ann = users.accounts.account(b"ann").unwrap();
        assert_eq!(ann.authorized_keys, [PathBuf::from("/etc/weblog/ann.pub")]);
        assert_eq!(ann.methods, Some(MethodChains::all_of(&[Method::Publickey, Method::Password])));
        let bob = users.accounts.account(b"bob").unwrap();
        assert_eq!((bob.trusted_ca_keys.clone(), &bob.methods), (Some("/ca.pub".into()), &None));
        assert!(users.accounts.account(b"eve").is_none());
        assert!(users.passwords.unwrap().verify(b"ann", b"secret"));
    }

    #[test]
    fn t57_an_error_names_the_line_and_does_not_show_it() {
        for text in [
            "[[user]]\nname = 'ann'\npassword = 'hunter2'\n",
            "[[user]]\nname = 'ann'\npassword_hash = 'hunter2\n",
        ] {
            let why = users(text).unwrap_err();
            assert!(why.contains("line 3") && !why.contains("hunter2"), "{why}");
        }
    }

    #[test]
    fn what_lets_nobody_in_is_refused_when_it_is_read() {
        for (text, word) in [
            ("", "nobody may log in"),
            ("[[user]]\nname = 'ann'\n", "authorized_keys"),
            ("[[user]]\nname = 'ann'\nauthorized_key = 'a'\n", "authorized_key"),
            ("[[user]]\nauthorized_keys = 'a'\n", "name"),
            ("[[user]]\nname = 'ann'\nauthorized_keys = 'a'\nrequire = ['password']\n", "password_hash"),
            ("[[user]]\nname = 'ann'\nauthorized_keys = 'a'\nrequire = ['magic']\n", "require"),
            ("[[user]]\nname = 'ann'\nauthorized_keys = 'a'\nrequire = ['publickey password']\n", "require"),
            ("[[user]]\nname = 'ann'\nauthorized_keys = 'a'\nrequire = ['none']\n", "require"),
            ("[[user]]\nname = 'ann'\nauthorized_keys = 'a'\nrequire = []\n", "require"),
            ("[[user]]\nname = 'ann'\npassword_hash = 'plain'\n", "ann"),
            ("[[user]]\nname = 'a'\nca_keys = 'a'\n[[user]]\nname = 'a'\nca_keys = 'a'\n", "two users"),
        ] {
            let why = users(text).unwrap_err();
            assert!(why.contains(word), "{text}: {why}");
        }
    }
}
