//! Who may log in to `ssh-weblog-server`, and what each is shown: the `[[user]]` tables of its configuration, and what the
//! command line says of one user.
//!
//! It does not know how a login goes, nor how a log is read.

use super::settings::LogFile;
use super::tables::{At, Table, nearest};
use crate::driver::accounts::{Account, Accounts, Names, USER_NAME_MAX};
use crate::driver::passwords::Passwords;
use crate::driver::text::acts;
use crate::userauth::{CHAINS_MAX, Method, MethodChains};
use crate::weblog::options::{self, ViewOptions};
use crate::weblog::view::{Destination, View};
use clap::Parser;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// All who may log in.
#[derive(Clone, Debug)]
pub struct Users {
    /// By keys.
    pub accounts: Accounts,
    /// By passwords.
    pub passwords: Option<Arc<Passwords>>,
    /// What everybody may try who has no methods of his own.
    pub methods: MethodChains,
    /// What each of them is shown.
    pub rights: HashMap<Vec<u8>, Rights>,
}

/// What a user is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// The names of his logs; `None` for all.
    pub logs: Option<Vec<String>>,
    /// What every command of his gets, and what he can't undo.
    pub view: ViewOptions,
    /// Whether he may copy his logs by SFTP.
    pub sftp: bool,
}

impl Default for Rights {
    /// Everything.
    fn default() -> Self {
        Self { logs: None, view: ViewOptions::default(), sftp: true }
    }
}

/// One user, as he is asked for.
#[derive(Debug, Default)]
pub struct User {
    /// The name to log in with.
    pub name: String,
    /// The line that names him; 0 if he is not from a file.
    pub line: usize,
    /// Something is wrong with what stands there, or with the passwords, and was said: what he lacks is not said besides.
    pub faulty: bool,
    /// A file of keys, a line each, as authorized_keys of sshd(8).
    pub authorized_keys: Option<PathBuf>,
    /// A hash of argon2id, with its line.
    pub password_hash: Option<(usize, String)>,
    /// All of these methods, in this order, with their line; without it any one.
    pub require: Option<(usize, Vec<Method>)>,
    /// A file of CAs, whose certificates let the user in.
    pub ca_keys: Option<PathBuf>,
    /// What he is shown.
    pub rights: Rights,
}

/// What is wrong with users, by line; 0 for none.
pub type Wrongs = Vec<(usize, String)>;

/// Where nobody may log in, this helps.
pub const NOBODY: &str = "nobody may log in: give --user NAME with --authorized-keys FILE, or --password-file FILE, or --config \
                          FILE with a [[user]], who has name and authorized_keys = \"FILE\", ca_keys = \"FILE\" or \
                          password_hash = \"…\" (ssh-weblog-server hash-password makes one)";

impl Users {
    /// Puts users and a password file together.
    ///
    /// # Errors
    /// Nobody could log in, or somebody could not.
    pub fn new(users: Vec<User>, passwords: Option<Passwords>) -> Result<Self, Wrongs> {
        let mut passwords = passwords.map_or_else(Passwords::new, Ok).map_err(|why| vec![(0, why)])?;
        let (mut accounts, mut rights, mut wrongs) = (HashMap::new(), HashMap::new(), Vec::new());
        for user in users {
            let name = user.name.clone().into_bytes();
            if accounts.contains_key(&name) {
                let what = "two users have this name: give one another, or make one of them, with both keys in one file";
                wrongs.push((user.line, format!("user {}: {what}", user.name)));
            }
            rights.insert(name.clone(), user.rights.clone());
            accounts.insert(name, user.account(&mut passwords, &mut wrongs));
        }
        for name in passwords.names() {
            accounts.entry(name.to_vec()).or_default();
            rights.entry(name.to_vec()).or_default();
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
        if methods.is_empty() && wrongs.is_empty() {
            wrongs.push((0, NOBODY.to_owned()));
        }
        let users = Self {
            accounts: Accounts::new(Names::Of(accounts)),
            passwords: has_passwords.then(|| Arc::new(passwords)),
            methods: MethodChains::any_of(&methods),
            rights,
        };
        if wrongs.is_empty() { Ok(users) } else { Err(wrongs) }
    }

    /// Without anybody.
    pub(super) fn nobody() -> Self {
        Self {
            accounts: Accounts::new(Names::Of(HashMap::new())),
            passwords: None,
            methods: MethodChains::any_of(&[]),
            rights: HashMap::new(),
        }
    }

    /// What a user is shown.
    #[must_use]
    pub fn rights(&self, user_name: &[u8]) -> Option<&Rights> {
        self.rights.get(user_name)
    }
}

impl User {
    /// Reads a `[[user]]`; files are looked for in `directory`. What is wrong with it is kept by its document.
    pub(super) fn read(mut table: Table<'_>, directory: &Path, logs: &[LogFile]) -> Option<Self> {
        let document = table.document();
        let needs = "a [[user]] needs name = \"…\", the name to log in with";
        let name = table.needed("name", "\"ann\"", needs);
        let path = |at: At<String>| directory.join(at.value);
        let authorized_keys = table.text("authorized_keys", "\"ann.pub\"").map(path);
        let ca_keys = table.text("ca_keys", "\"ca.pub\"").map(path);
        let password_hash = table
            .text("password_hash", "\"$argon2id$…\", of ssh-weblog-server hash-password")
            .map(|at| (at.line, at.value));
        let require = table.texts("require", "[\"publickey\", \"password\"]").and_then(|words| {
            let line = words.line;
            let methods = methods(&words.value);
            methods.map(|methods| (line, methods)).map_err(|what| document.wrong(line, what)).ok()
        });
        let named = table.texts("logs", "[\"shop\"]");
        if let Some(At { line, value: names }) = &named {
            check_logs(names, logs).into_iter().for_each(|(at, what)| document.wrong(at, what));
            if names.is_empty() {
                document.wrong(*line, "logs: name one at least, or leave it out for all logs");
            }
        }
        let words = table.texts("view", "[\"--vhost\", \"shop.example\"]");
        let has_view = words.as_ref().is_some_and(|words| !words.value.is_empty());
        let view = words.and_then(|words| {
            let texts: Vec<_> = words.value.iter().map(|word| word.value.as_str()).collect();
            view(&texts).map_err(|what| document.wrong(words.line, format!("view: {what}"))).ok()
        });
        let sftp = table.truth("sftp").unwrap_or(!has_view);
        let line = table.line;
        table.end();
        let At { line: name_line, value: name } = name?;
        if let Some(what) = wrong_name(&name) {
            document.wrong(name_line, what);
        }
        let logs = named.map(|names| names.value.into_iter().map(|name| name.value).collect());
        let rights = Rights { logs, view: view.unwrap_or_default(), sftp };
        Some(Self { name, line, faulty: false, authorized_keys, password_hash, require, ca_keys, rights })
    }

    /// The files and methods of the user, whose password is added to the others.
    fn account(self, passwords: &mut Passwords, wrongs: &mut Wrongs) -> Account {
        let Self { name, line, faulty, authorized_keys, password_hash, require, ca_keys, rights: _ } = self;
        let no_keys = authorized_keys.is_none() && ca_keys.is_none();
        let no_password = password_hash.is_none() && !passwords.names().any(|known| known == name.as_bytes());
        let needs =
            |any: &[Method]| require.iter().flat_map(|(_, all)| all).any(|method| any.contains(method));
        let require_line = require.as_ref().map_or(line, |(line, _)| *line);
        let mut wrong = |line, what: &str| wrongs.push((line, format!("user {name}: {what}")));
        if faulty {
            // It may lack nothing, once that is mended.
        } else if needs(&[Method::Publickey]) && no_keys {
            wrong(require_line, "require names publickey: give authorized_keys or ca_keys");
        } else if needs(&[Method::Password, Method::KeyboardInteractive]) && no_password {
            wrong(require_line, "require names a password: give password_hash");
        } else if no_keys && no_password {
            wrong(line, "nothing lets him in: give authorized_keys, ca_keys or password_hash");
        }
        if let Some((line, hash)) = password_hash
            && let Err(what) = passwords.add(&name, &hash)
        {
            wrong(line, &format!("password_hash: {what}"));
        }
        Account {
            authorized_keys: authorized_keys.into_iter().collect(),
            trusted_ca_keys: ca_keys,
            authorized_principals: None,
            methods: require.map(|(_, methods)| MethodChains::all_in_any_order(&methods)),
        }
    }
}

/// Why nobody can have this name. What peers call themselves is only compared with these, and so keeps to the same rule.
pub(super) fn wrong_name(name: &str) -> Option<String> {
    let odd = name.contains('/') || name.chars().any(acts);
    let wrong = name.is_empty() || name.len() > USER_NAME_MAX || odd;
    wrong.then(|| format!("name: write 1 to {USER_NAME_MAX} bytes without / and without control characters"))
}

fn methods(words: &[At<String>]) -> Result<Vec<Method>, String> {
    let method = |word: &At<String>| {
        let method = Method::from_name(&word.value).filter(|method| *method != Method::None);
        method.ok_or_else(|| "require: write publickey, password or keyboard-interactive".to_owned())
    };
    let methods: Vec<_> = words.iter().map(method).collect::<Result<_, _>>()?;
    if (1..=CHAINS_MAX).contains(&methods.len()) {
        Ok(methods)
    } else {
        Err(format!("require: name 1 to {CHAINS_MAX} methods, or leave it out for any one"))
    }
}

fn check_logs(names: &[At<String>], logs: &[LogFile]) -> Wrongs {
    let known: Vec<_> = logs.iter().map(|log| log.name.as_str()).collect();
    let unknown = names.iter().filter(|name| !known.contains(&name.value.as_str()));
    let told = unknown.map(|At { line, value }| {
        let meant = nearest(value, &known).map_or_else(|| known.join(", "), str::to_owned);
        (*line, format!("logs: no [[log]] is called {value}: write {meant}"))
    });
    told.collect()
}

#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
struct Words {
    #[command(flatten)]
    view: ViewOptions,
}

/// The words of an option and its value that were written as one.
fn apart(word: &str) -> Option<String> {
    let option = word.split(['=', ' ']).next().filter(|option| option.starts_with("--"))?;
    let words = word.get(option.len()..)?.starts_with(' ').then(|| options::words(word)).flatten();
    words.map(|words| words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", "))
}

/// Reads a view's words as a command's.
fn view(words: &[&str]) -> Result<ViewOptions, String> {
    if let Some(apart) = words.iter().find_map(|word| apart(word)) {
        return Err(format!("write each word by itself: {apart}"));
    }
    let options = Words::try_parse_from(words).map_err(|error| of_clap(&error))?.view;
    let ends = [
        ("--dashboard", options.dashboard),
        ("--until", !options.until.is_empty()),
        ("--stats", options.stats),
        ("--every", options.every.is_some()),
        ("--over", options.over.is_some()),
        ("--for", options.over_for.is_some()),
        ("--stop-on", options.stop_on.is_some()),
    ];
    if let Some((option, _)) = ends.into_iter().find(|(_, is_there)| *is_there) {
        return Err(format!(
            "{option} belongs to a command and not to a view: write filters, --anonymize, --site, --top or how a hit is shown"
        ));
    }
    View::new(&options, Destination::default(), SystemTime::now())?;
    Ok(options)
}

/// The first paragraph of what clap says, which is what is wrong.
pub(super) fn of_clap(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
    let text = lines.collect::<Vec<_>>().join(" ");
    text.strip_prefix("error: ").unwrap_or(&text).to_owned()
}
