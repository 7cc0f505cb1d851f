use super::*;
use crate::crypto::SystemRng;
use crate::crypto::sign::PrivateKey;
use crate::keys::public_key;
use crate::userauth::Origin;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A user with a file of keys, and where other files may stand.
struct Fixture {
    directory: tempfile::TempDir,
    accounts: Accounts,
    key: PublicKey,
}

impl Fixture {
    fn new(options: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let key = PrivateKey::generate_ed25519(&mut SystemRng).public_key();
        let path = directory.path().join("authorized_keys");
        fs::write(&path, format!("{options}{}", public_key::write(&key, "").unwrap())).unwrap();
        let account = Account { authorized_keys: vec![path], ..Account::default() };
        let accounts = Accounts::new(Names::Of([(b"ann".to_vec(), account)].into()));
        Self { directory, accounts, key }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn judge(&self, user: &[u8]) -> Result<Granted, Vec<String>> {
        let login = Circumstances {
            now: 1_700_000_000,
            origin: Origin { address: Some([127, 0, 0, 1].into()), host_name: None },
        };
        self.accounts.judge(user, &PlainOrCertified::Plain(self.key.clone()), &login)
    }
}

#[test]
fn a_key_lets_its_user_in_with_what_its_line_permits() {
    let fixture = Fixture::new("command=\"date\",no-pty ");
    let granted = fixture.judge(b"ann").unwrap();
    assert_eq!(granted.permissions.force_command.as_deref(), Some(&b"date"[..]));
    assert!(!granted.permissions.pty && granted.permissions.port_forwarding);
    assert!(granted.by.ends_with("authorized_keys:1"), "{}", granted.by);
    assert_eq!(fixture.judge(b"bob").unwrap_err(), [""; 0]);
}

#[test]
fn a_key_that_is_taken_out_lets_nobody_in_any_more() {
    let fixture = Fixture::new("");
    assert!(fixture.judge(b"ann").is_ok());
    fs::write(fixture.path("authorized_keys"), "").unwrap();
    assert_eq!(fixture.judge(b"ann").unwrap_err(), [""; 0]);
    fs::remove_file(fixture.path("authorized_keys")).unwrap();
    assert_eq!(fixture.judge(b"ann").unwrap_err(), [""; 0]);
}

#[test]
fn an_option_that_is_not_obeyed_refuses_the_key_and_says_so() {
    for (options, word) in [
        ("environment=\"A=b\" ", "environment is not permitted"),
        ("from=\"192.0.2.1\" ", "address"),
        ("expiry-time=\"20200101Z\" ", "expiry-time"),
        ("frobnicate ", "frobnicate"),
        ("expiry-time=\"20991231\" ", "UTC"),
    ] {
        let why = Fixture::new(options).judge(b"ann").unwrap_err().join("; ");
        assert!(why.contains(word), "{options}: {why}");
    }
    let mut permitting = Fixture::new("environment=\"A=b\" ");
    permitting.accounts.permits_environment = true;
    let granted = permitting.judge(b"ann").unwrap();
    assert_eq!(granted.permissions.environment, [("A".to_owned(), b"b".to_vec())]);
}

#[test]
fn t90_a_file_that_others_may_write_lets_nobody_in() {
    let mut fixture = Fixture::new("");
    for (file, directory, good) in [(0o644, 0o755, true), (0o664, 0o755, false), (0o600, 0o777, false)] {
        let path = fixture.path("authorized_keys");
        fs::set_permissions(&path, fs::Permissions::from_mode(file)).unwrap();
        fs::set_permissions(fixture.directory.path(), fs::Permissions::from_mode(directory)).unwrap();
        fixture.accounts.strict_modes = true;
        let judged = fixture.judge(b"ann");
        assert_eq!(judged.is_ok(), good, "{file:o} {directory:o}");
        assert!(good || judged.unwrap_err().concat().contains("bad owner or permissions"));
        fixture.accounts.strict_modes = false;
        assert!(fixture.judge(b"ann").is_ok());
    }
}

#[test]
fn t85_a_revoked_key_lets_nobody_in_and_a_list_that_cannot_be_read_none() {
    let mut fixture = Fixture::new("");
    fixture.accounts.revoked_keys = Some(fixture.path("revoked"));
    let other = PrivateKey::generate_ed25519(&mut SystemRng).public_key();
    let line = |key: &PublicKey| public_key::write(key, "").unwrap();
    for (list, good) in [
        (None, false),
        (Some(String::new()), true),
        (Some(line(&other)), true),
        (Some(line(&fixture.key)), false),
        (Some(line(&other) + "# comment\n" + &line(&fixture.key)), false),
        (Some("what is this\n".to_owned()), false),
    ] {
        if let Some(list) = &list {
            fs::write(fixture.path("revoked"), list).unwrap();
        }
        assert_eq!(fixture.judge(b"ann").is_ok(), good, "{list:?}");
    }
}

#[test]
fn principals_are_whole_lines() {
    let file = b"ann\n# bob\n\n  eve  \nfrom=\"*\" mallory\na,b\n";
    let mut told = Vec::new();
    assert_eq!(principals(file, |line| told.push(line)), [&b"ann"[..], b"eve", b"a,b"]);
    assert_eq!(told, ["from=\"*\" mallory"]);
}

#[test]
fn t105_nobody_has_a_longer_name_than_there_is_room_for() {
    let longest = vec![b'a'; USER_NAME_MAX];
    let account = Account::default();
    let of =
        Names::Of([(longest.clone(), account.clone()), ([&*longest, b"a"].concat(), account.clone())].into());
    for names in [of, Names::Any { account, name: b"ann".to_vec() }] {
        let accounts = Accounts::new(names);
        assert!(accounts.account(&longest).is_some());
        assert!(accounts.account(&[&*longest, b"a"].concat()).is_none());
    }
}
