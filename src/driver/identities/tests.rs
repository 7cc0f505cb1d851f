use super::read::read_files;
use super::*;
use crate::crypto::Secret;
use crate::crypto::sign::SignatureAlgorithm;
use crate::crypto::sign::rsa::Scheme;
use crate::keys::private_key::{self, Parsed, PrivateKeyError};
use crate::keys::{certificate, public_key};
use crate::transport::algorithms::SIGNATURE;
use core::time::Duration;
use mio::{Events, Poll, Token, Waker};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;
use zeroize::Zeroizing;

const PASSPHRASE: &str = "correct horse battery staple";

const ALL: Rules = Rules { identities_only: false, accepted: Vec::new(), required_rsa_size: 0 };

fn rules(identities_only: bool) -> Rules {
    Rules {
        identities_only,
        accepted: SIGNATURE.iter().map(|row| row.algorithm).collect(),
        required_rsa_size: 0,
    }
}

fn vector(name: &str) -> Vec<u8> {
    fs::read(Path::new("vectors/keys").join(name)).unwrap()
}

fn parsed(name: &str) -> Parsed {
    private_key::parse(&vector(name)).unwrap()
}

fn public(name: &str) -> PublicKey {
    public_key::parse(&vector(&format!("{name}.pub"))).unwrap().key
}

fn cert(name: &str) -> Certificate {
    certificate::parse(&vector(&format!("cert-{name}-cert.pub"))).unwrap()
}

/// A file of this name with the key in clear.
fn key(name: &str) -> Entry {
    Entry { path: name.into(), held: Held::Key(Arc::new(parsed(name).plain().unwrap().key)) }
}

fn only_public(name: &str, why: Option<&str>) -> Entry {
    Entry { path: name.into(), held: Held::Public { key: public(name), why: why.map(str::to_owned) } }
}

fn certified(name: &str) -> Entry {
    Entry { path: name.into(), held: Held::Certificate(Box::new(cert(name))) }
}

/// What an agent lists: each key of these names, or certificate, with the name as its comment.
fn agent(names: &[&str]) -> Vec<agent::Identity> {
    let listed = |name: &&str| {
        let is_certificate = name.starts_with("user-") || name.starts_with("host-");
        let blob = if is_certificate { cert(name).blob().to_vec() } else { public(name).blob() };
        listed(blob, name)
    };
    names.iter().map(listed).collect()
}

fn listed(blob: Vec<u8>, comment: &str) -> agent::Identity {
    let key = PlainOrCertified::from_blob(&blob);
    agent::Identity { blob, comment: comment.as_bytes().to_vec(), key }
}

fn files(entries: Vec<Entry>, certificates: &[&str]) -> KeyFiles {
    let certificates = certificates.iter().map(|name| (PathBuf::from(name), cert(name))).collect();
    KeyFiles { entries, certificates, notices: vec![] }
}

/// A word for each candidate: its name, and who signs; `+` in front of a certificate.
fn shown_plan(plan: &Plan) -> Vec<String> {
    let word = |candidate: &Candidate| match candidate {
        Candidate::Locked(locked) => format!("{} locked", locked.name),
        Candidate::Identity(identity) => {
            let Identity { public, name, source, .. } = &**identity;
            let mark = if let PlainOrCertified::Certified(_) = public { "+" } else { "" };
            let who = match source {
                KeySource::Agent(blob) if *blob == public.key().blob() => "agent",
                KeySource::Agent(_) => "agent's own",
                KeySource::File(key) => {
                    assert_eq!(key.public_key(), *public.key());
                    "file"
                }
                KeySource::Encrypted(_) => "encrypted",
            };
            format!("{mark}{name} {who}")
        }
    };
    plan.candidates.iter().map(word).collect()
}

fn told(plan: &Plan) -> Vec<&str> {
    let told = plan.notices.iter().filter_map(|notice| match notice {
        Notice::Tell(text) => Some(&**text),
        Notice::Debug(_) => None,
    });
    told.collect()
}

#[test]
fn certificates_then_the_agents_keys_that_files_name_then_its_others_then_files() {
    let entries = || vec![key("ecdsa-384"), key("ecdsa-256"), key("ed25519")];
    let agent = agent(&["rsa-2048", "ed25519", "ecdsa-521", "ecdsa-256"]);
    let of = |rules: &Rules| {
        let plan = plan(files(entries(), &["user-ecdsa-384", "user-plain"]), &agent, rules);
        assert_eq!(plan.notices, []);
        shown_plan(&plan)
    };
    assert_eq!(
        of(&rules(false)),
        [
            "+user-ecdsa-384 file",
            "+user-plain agent",
            "ed25519 agent", // in the agent's order
            "ecdsa-256 agent",
            "rsa-2048 agent",
            "ecdsa-521 agent",
            "ecdsa-384 file",
        ]
    );
    assert_eq!(
        of(&rules(true)),
        ["+user-ecdsa-384 file", "+user-plain agent", "ed25519 agent", "ecdsa-256 agent", "ecdsa-384 file"]
    );
    let without = plan(files(entries(), &[]), &[], &rules(false));
    assert_eq!(shown_plan(&without), ["ecdsa-384 file", "ecdsa-256 file", "ed25519 file"]);
}

#[test]
fn a_certificate_beside_a_key_follows_it_and_is_signed_for_by_who_has_the_key() {
    let entries = || vec![key("ed25519"), certified("user-plain"), key("rsa-2048")];
    let of = |names: &[&str]| shown_plan(&plan(files(entries(), &[]), &agent(names), &rules(false)));
    assert_eq!(of(&[]), ["ed25519 file", "+user-plain file", "rsa-2048 file"]);
    assert_eq!(of(&["ed25519"]), ["ed25519 agent", "+user-plain agent", "rsa-2048 file"]);
    assert_eq!(of(&["ed25519", "user-plain"]), ["ed25519 agent", "+user-plain agent's own", "rsa-2048 file"]);
    // The agent has the certificate alone: the file may sign for the key itself.
    assert_eq!(of(&["user-plain"]), ["+user-plain agent's own", "ed25519 file", "rsa-2048 file"]);
    // A certificate that only the agent has.
    assert_eq!(
        of(&["user-expired"]),
        ["+user-expired agent's own", "ed25519 file", "+user-plain file", "rsa-2048 file"]
    );
}

#[test]
fn a_public_half_is_for_an_agent_and_without_one_the_user_is_told_why_if_he_named_it() {
    let entries = || {
        vec![only_public("sk-ed25519-1", Some("in a token")), only_public("ed25519", None), key("ecdsa-256")]
    };
    let both = plan(files(entries(), &[]), &agent(&["ed25519", "sk-ed25519-1"]), &rules(true));
    assert_eq!(shown_plan(&both), ["ed25519 agent", "sk-ed25519-1 agent", "ecdsa-256 file"]);
    assert_eq!(both.notices, []);
    let none = plan(files(entries(), &[]), &[], &rules(true));
    assert_eq!(shown_plan(&none), ["ecdsa-256 file"]);
    assert_eq!(told(&none), ["sk-ed25519-1: in a token"]);
}

#[test]
fn certificates_of_hosts_and_those_whose_key_nobody_has_are_left_out_and_told() {
    let entries = vec![key("ed25519"), certified("user-rsa-2048-ca-rsa-sha512"), certified("user-plain")];
    let plan = plan(files(entries, &["host-plain", "user-ecdsa-256"]), &[], &rules(false));
    assert_eq!(shown_plan(&plan), ["ed25519 file", "+user-plain file"]);
    let nobody = "neither a file nor an agent has the private key of this certificate";
    assert_eq!(
        told(&plan),
        [
            "host-plain: the certificate is for hosts, not for users",
            &format!("user-ecdsa-256: {nobody}"),
            &format!("user-rsa-2048-ca-rsa-sha512: {nobody}"),
        ]
    );
    let of_agent = super::plan(files(vec![], &[]), &agent(&["host-plain"]), &rules(false));
    let text = "host-plain: the certificate is for hosts, not for users";
    assert_eq!((of_agent.candidates.len(), &*of_agent.notices), (0, &[Notice::Debug(text.to_owned())][..]));
    // One that a file names is the agent's to sign for, even if it is asked for nothing else.
    let agent = agent(&["ecdsa-256", "rsa-2048"]);
    let plan = super::plan(files(vec![], &["user-ecdsa-256"]), &agent, &rules(true));
    assert_eq!(shown_plan(&plan), ["+user-ecdsa-256 agent"]);
}

#[test]
fn keys_of_no_accepted_algorithm_are_skipped_with_a_word_to_who_wants_it() {
    let entries = vec![key("ed25519"), certified("user-plain"), key("ecdsa-256"), key("rsa-2048")];
    let accepted = vec![
        KeyAlgorithm::plain(SignatureAlgorithm::Rsa(Scheme::Sha256)),
        KeyAlgorithm::plain(SignatureAlgorithm::Ecdsa(crate::crypto::sign::ecdsa::Curve::Nistp521)),
    ];
    let rules = Rules { accepted, ..rules(false) };
    let plan = plan(files(entries, &[]), &agent(&["ecdsa-384", "ecdsa-521"]), &rules);
    assert_eq!(shown_plan(&plan), ["ecdsa-521 agent", "rsa-2048 file"]);
    assert_eq!(told(&plan), [""; 0]);
    assert_eq!(plan.notices.len(), 4);
    let text = "ecdsa-384: PubkeyAcceptedAlgorithms has nothing for a key of type ecdsa-sha2-nistp384";
    assert_eq!(plan.notices[0], Notice::Debug(text.to_owned()));
    let plain = PlainOrCertified::Plain(public("rsa-2048"));
    assert!(rules.refusal(&plain).is_none() && ALL.refusal(&plain).is_some());
    let long = Rules { required_rsa_size: 2049, ..rules };
    assert!(long.refusal(&plain).unwrap().contains("RequiredRSASize"));
}

#[test]
fn each_is_tried_once_and_no_more_than_the_bound() {
    let entries = vec![key("ed25519"), key("ed25519"), certified("user-plain")];
    let twice = plan(files(entries, &["user-plain"]), &agent(&["ecdsa-256", "ecdsa-256"]), &rules(false));
    assert_eq!(shown_plan(&twice), ["+user-plain file", "ecdsa-256 agent", "ed25519 file"]);
    assert_eq!(twice.notices, []);

    let many = |n: usize| {
        let seed = |n: usize| {
            let mut seed = [0; 32];
            seed[..8].copy_from_slice(&n.to_le_bytes());
            PrivateKey::ed25519_from_seed(&Secret::new(seed))
        };
        let agent: Vec<_> = (0..n).map(|n| listed(seed(n).public_key().blob(), "key")).collect();
        plan(files(vec![key("ecdsa-256")], &[]), &agent, &rules(false))
    };
    let most = many(IDENTITIES_MAX - 1);
    assert_eq!((most.candidates.len(), most.notices.len()), (IDENTITIES_MAX, 0));
    let more = many(IDENTITIES_MAX + 10);
    assert_eq!(more.candidates.len(), IDENTITIES_MAX);
    assert_eq!(told(&more), ["no more than 256 keys are tried"]);
}

#[test]
fn t101_what_an_agent_lists_is_shown_escaped_and_what_is_of_no_use_passed_over() {
    let agent =
        [listed(public("ed25519").blob(), "\x1b[2Kme"), listed(b"\0\0\0\x07ssh-dss".to_vec(), "\x07")];
    let plan = plan(files(vec![], &[]), &agent, &rules(false));
    assert_eq!(shown_plan(&plan), ["\\x1b[2Kme agent"]);
    assert!(matches!(&*plan.notices, [Notice::Debug(text)] if text.starts_with("\\x07: the agent's key")));
    assert_eq!(super::plan(files(vec![], &[]), &agent, &rules(true)).candidates.len(), 0);
}

/// A directory in which vectors lie under other names, private ones as they should.
struct Files(TempDir);

impl Files {
    fn new(contents: &[(&str, &str)]) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        for (name, from) in contents {
            fs::write(files.path(name), vector(from)).unwrap();
            files.mode(name, if name.ends_with(".pub") { 0o644 } else { 0o600 });
        }
        files
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, identities: &[&str], certificates: &[&str]) -> KeyFiles {
        let paths = |names: &[&str]| names.iter().map(|name| self.path(name)).collect::<Vec<_>>();
        read_files(&paths(identities), false, &paths(certificates))
    }

    /// Without the directory.
    fn words(&self, words: &[impl AsRef<str>]) -> Vec<String> {
        let directory = format!("{}/", self.0.path().display());
        words.iter().map(|word| word.as_ref().replace(&directory, "")).collect()
    }

    /// What is tried, and what is told, without an agent.
    fn plan(&self, identities: &[&str], certificates: &[&str]) -> (Vec<String>, Vec<String>) {
        let plan = plan(self.read(identities, certificates), &[], &rules(false));
        (self.words(&shown_plan(&plan)), self.words(&told(&plan)))
    }
}

#[test]
fn files_are_read_with_the_certificate_beside_them_unless_others_are_named() {
    let files = Files::new(&[
        ("a", "ed25519"),
        ("a-cert.pub", "cert-user-plain-cert.pub"),
        ("b", "rsa-2048.aes256-ctr"),
        ("b-cert.pub", "cert-user-rsa-2048-ca-rsa-sha512-cert.pub"),
        ("c", "ecdsa-256.ppk2"),
        ("other-cert.pub", "cert-user-ecdsa-256-cert.pub"),
    ]);
    let (plan, told) = files.plan(&["a", "b", "a", "c"], &[]);
    assert_eq!(plan, ["a file", "+a-cert.pub file", "b encrypted", "+b-cert.pub encrypted", "c file"]);
    assert_eq!(told, [""; 0]);
    let (plan, told) = files.plan(&["a", "b", "c"], &["other-cert.pub"]);
    assert_eq!(plan, ["+other-cert.pub file", "a file", "b encrypted", "c file"]);
    assert_eq!(told, [""; 0]);
}

#[test]
fn t90_what_cannot_be_read_is_left_out_with_a_word_and_an_agent_may_still_have_it() {
    let files = Files::new(&[
        ("open", "ed25519"),
        ("shown", "ecdsa-256"),
        ("shown.pub", "ecdsa-256.pub"),
        ("damaged", "README.md"),
        ("damaged-cert.pub", "README.md"),
        ("plain-cert.pub", "ed25519.pub"),
        ("dsa", "ed25519"),
        ("token", "sk-ed25519-1"),
    ]);
    files.mode("open", 0o644);
    files.mode("shown", 0o640);
    fs::write(files.path("dsa"), "-----BEGIN DSA PRIVATE KEY-----\n").unwrap();
    let names = ["open", "shown", "damaged", "missing", "dsa", "token", "plain", "."];
    let (plan, told) = files.plan(&names, &["missing-cert.pub", "shown.pub"]);
    assert_eq!(plan, [""; 0]);
    let begins = [
        "open: mode 0644 lets others read it; use chmod 600",
        "damaged: ",
        "missing: No such file",
        "dsa: DSA keys are not supported",
        "plain: No such file",
        ".: not a regular file",
        "missing-cert.pub: No such file",
        "shown.pub: not a certificate",
        "shown: mode 0640 lets others read it; use chmod 600",
        "token: the key is in a hardware token",
    ];
    assert_eq!(told.len(), begins.len(), "{told:#?}");
    assert!(told.iter().zip(begins).all(|(told, begin)| told.starts_with(begin)), "{told:#?}");
    let (_, told) = files.plan(&["damaged", "plain"], &[]);
    assert!(
        told[0].starts_with("damaged-cert.pub: ") && told[2] == "plain-cert.pub: not a certificate",
        "{told:?}"
    );

    let agent = agent(&["sk-ed25519-1", "ecdsa-256"]);
    let plan = super::plan(files.read(&["shown", "token"], &[]), &agent, &rules(true));
    assert_eq!(files.words(&shown_plan(&plan)), ["token agent", "shown agent"]);
    assert_eq!(super::tests::told(&plan), [""; 0]);
}

#[test]
fn default_files_that_are_missing_are_passed_over_silently() {
    let files =
        Files::new(&[("id_ecdsa", "ecdsa-256"), ("id_rsa.pub", "rsa-2048.pub"), ("id_ed25519", "ed25519")]);
    files.mode("id_ed25519", 0o644);
    let paths: Vec<_> =
        ["id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519"].iter().map(|name| files.path(name)).collect();
    let plan = plan(read_files(&paths, true, &[]), &[], &rules(false));
    assert_eq!(files.words(&shown_plan(&plan)), ["id_ecdsa file"]);
    assert_eq!(files.words(&told(&plan)), ["id_ed25519: mode 0644 lets others read it; use chmod 600"]);
    let named = super::plan(read_files(&paths, false, &[]), &[], &rules(false));
    assert_eq!(told(&named).len(), 3);
    let with_agent = super::plan(read_files(&paths, true, &[]), &agent(&["rsa-2048"]), &rules(true));
    assert_eq!(files.words(&shown_plan(&with_agent)), ["id_rsa agent", "id_ecdsa file"]);
}

#[test]
fn a_file_may_be_a_public_key_or_a_certificate_itself() {
    let files = Files::new(&[
        ("a.pub", "ed25519.pub"),
        ("b-cert.pub", "cert-user-ecdsa-256-cert.pub"),
        ("c", "ecdsa-256"),
    ]);
    let (plan, told) = files.plan(&["a.pub", "b-cert.pub", "c"], &[]);
    assert_eq!(plan, ["+b-cert.pub file", "c file"]);
    assert_eq!(told, ["a.pub: only the public half of a key, and no agent has the private one"]);
    let read = files.read(&["a.pub", "b-cert.pub"], &[]);
    let plan = super::plan(read, &agent(&["ecdsa-256", "ed25519", "rsa-2048"]), &rules(true));
    assert_eq!(files.words(&shown_plan(&plan)), ["a.pub agent", "+b-cert.pub agent"]);
}

#[test]
fn a_locked_file_that_does_not_tell_its_public_half_takes_it_from_beside() {
    let pem = "ecdsa-256.PEM-encrypted";
    let alone = Files::new(&[("a", pem)]);
    assert_eq!(alone.plan(&["a"], &[]).0, ["a locked"]);
    let beside = Files::new(&[("a", pem), ("a.pub", "ecdsa-256.pub")]);
    assert_eq!(beside.plan(&["a"], &[]).0, ["a encrypted"]);
    let certified = Files::new(&[("a", pem), ("a-cert.pub", "cert-user-ecdsa-256-cert.pub")]);
    assert_eq!(certified.plan(&["a"], &[]).0, ["a encrypted", "+a-cert.pub encrypted"]);
    let plan = super::plan(beside.read(&["a"], &[]), &agent(&["ecdsa-256"]), &rules(true));
    assert_eq!(beside.words(&shown_plan(&plan)), ["a agent"]);
}

#[test]
fn the_number_of_files_has_its_bound() {
    let files = Files::new(&[("cert.pub", "cert-user-plain-cert.pub")]);
    let names: Vec<_> = (0..=IDENTITY_FILES_MAX).map(|n| files.path(&format!("missing{n}"))).collect();
    let certificates = vec![files.path("cert.pub"); CERTIFICATE_FILES_MAX + 1];
    let read = read_files(&names, true, &certificates);
    assert_eq!((read.certificates.len(), read.notices.len()), (CERTIFICATE_FILES_MAX, 2));
    let read = read_files(&names[1..], true, &certificates[1..]);
    assert_eq!(read.notices, []);
}

fn unlock(file: &Arc<Encrypted>, passphrase: &str) -> Result<PrivateKey, UnlockError> {
    let mut poll = Poll::new().unwrap();
    let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
    let passphrase = Zeroizing::new(passphrase.to_owned());
    let unlocking = Unlocking::start(Arc::clone(file), passphrase, Arc::clone(&waker)).unwrap();
    let mut events = Events::with_capacity(4);
    loop {
        if let Some(result) = unlocking.done() {
            return result;
        }
        while let Err(error) = poll.poll(&mut events, Some(Duration::from_secs(60))) {
            assert_eq!(error.kind(), std::io::ErrorKind::Interrupted); // a signal to the process
        }
        assert!(!events.is_empty(), "nobody woke the loop");
    }
}

#[test]
fn a_passphrase_unlocks_a_key_off_the_loop() {
    let files = Files::new(&[
        ("a", "ed25519.rounds-1"),
        ("b", "ecdsa-256.PEM-encrypted"),
        ("c", "ecdsa-384.PEM-encrypted"),
        ("c.pub", "ecdsa-256.pub"),
    ]);
    let plan = plan(files.read(&["a", "b", "c"], &[]), &[], &rules(false));
    let mut candidates = plan.candidates.into_iter();
    let (Some(Candidate::Identity(mut a)), Some(Candidate::Locked(b)), Some(Candidate::Identity(mut c))) =
        (candidates.next(), candidates.next(), candidates.next())
    else {
        panic!("{candidates:?}")
    };
    let KeySource::Encrypted(file) = a.source.clone() else { panic!("{a:?}") };
    assert_eq!(unlock(&file, "wrong").unwrap_err(), UnlockError::Key(PrivateKeyError::WrongPassphrase));
    a.unlocked(unlock(&file, PASSPHRASE).unwrap()).unwrap();
    assert!(matches!(&a.source, KeySource::File(key) if key.public_key() == public("ed25519")));

    let key = unlock(&b.file, PASSPHRASE).unwrap();
    let b = b.unlocked(key);
    assert_eq!(b.public, PlainOrCertified::Plain(public("ecdsa-256")));

    // What lies beside is another key's.
    let KeySource::Encrypted(file) = c.source.clone() else { panic!("{c:?}") };
    assert_eq!(c.unlocked(unlock(&file, PASSPHRASE).unwrap()), Err(OtherKey));
    assert!(matches!(c.source, KeySource::Encrypted(_)));
}
