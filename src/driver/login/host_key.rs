//! Whether a host key is the host's, from the files of known hosts and the user's rules.
//!
//! It reads and writes the files and words the answers; it asks nobody and does not know connections. A certificate counts if
//! an authority of the files vouches for it; where none speaks of its CA, the key in it is judged as if it had come alone, as
//! ssh does. Of a certificate that an authority should vouch for and that does not count, the key must be known already.

use super::revoked;
use crate::crypto::SystemRng;
use crate::crypto::sign::certificate::Certificate;
use crate::crypto::sign::{PublicKey, SignatureAlgorithm};
use crate::driver::files;
use crate::driver::options::{Options, StrictHostKeyChecking, home, is_too_short};
use crate::driver::text::key_kind;
use crate::keys::known_hosts::{self, CertificateVerdict, File, Host, NameForm, Place, Verdict};
use crate::keys::ssh_config::YesNoAsk;
use crate::transport::algorithms::SIGNATURE;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

const ADVICE: &str =
    "log in once on a terminal and compare the fingerprint, or use -o StrictHostKeyChecking=accept-new";

/// What users write to have no file.
const NO_FILES: [&str; 2] = ["none", "/dev/null"];

/// The other names of a key that a question tells.
const OTHER_NAMES_MAX: usize = 8;

/// What is to be done about a host key.
pub(super) enum Judgement {
    /// It is known, or vouched for.
    Accept,
    /// It is new, and may be noted down unasked.
    AcceptNew,
    /// It is not the one that is known, and the user does not care: the login goes on without what somebody who listens could
    /// use. The text warns him.
    AcceptChanged(String),
    /// The user is to be asked this.
    Ask(String),
    /// It is not the host's; why.
    Refuse(String),
}

/// What is known of one host.
pub(super) struct HostKeys {
    pub(super) host: Host,
    /// The host without its port, whose lines do for every port where none knows this one.
    portless: Option<Host>,
    /// known_hosts files, name and contents.
    known: Vec<(PathBuf, Vec<u8>)>,
    /// Those that are the user's; new keys are noted down in the first.
    pub(super) user_files: Vec<PathBuf>,
    strict: StrictHostKeyChecking,
    pub(super) hash: bool,
    /// RevokedHostKeys, or why the list cannot be read: then every key is refused.
    revoked: Result<Vec<PublicKey>, String>,
    ca_signature_algorithms: Vec<SignatureAlgorithm>,
    required_rsa_size: u32,
    pub(super) update: YesNoAsk,
    /// The key that was known by a line of its own, or that the user said yes to; nothing else is a ground for learning more.
    pub(super) trusted: Option<PublicKey>,
    /// What the host announced.
    pub(super) announced: Vec<PublicKey>,
}

impl HostKeys {
    /// Reads the files.
    ///
    /// # Errors
    /// A text for the user: the host's name cannot be one, or a file cannot be read.
    pub(super) fn new(options: &Options) -> Result<Self, String> {
        // An alias goes with the port that is not written.
        let alias = options.config.host_key_alias.as_deref().map(|alias| (alias, 22));
        let (name, port) = alias.unwrap_or((&options.host, options.port));
        let named =
            |port| Host::new(name, port).map_err(|_| format!("{}: not a host name", name.escape_debug()));
        let (host, portless) = (named(port)?, named(22)?);
        let is_file = |path: &&PathBuf| !NO_FILES.iter().any(|none| *path == Path::new(none));
        let user_files: Vec<_> = options.user_known_hosts_files.iter().filter(is_file).cloned().collect();
        let global_files = options.global_known_hosts_files.iter().filter(is_file);
        let known = read(user_files.iter().chain(global_files))?;
        Ok(Self {
            portless: Some(portless).filter(|portless| *portless != host),
            host,
            known,
            user_files,
            strict: options.strict_host_key_checking,
            hash: options.config.hash_known_hosts,
            revoked: revoked::read(&options.config.revoked_host_keys.0),
            ca_signature_algorithms: options.algorithms.ca_signature_algorithms().to_vec(),
            required_rsa_size: options.config.required_rsa_size,
            update: options.config.update_host_keys,
            trusted: None,
            announced: Vec::new(),
        })
    }

    /// The types of key that are known, and of certificates if there is an authority for the host; those should be asked for
    /// first.
    pub(super) fn key_types(&self) -> Vec<String> {
        let files = views(&self.known);
        let types = known_hosts::key_types(&files, &self.host);
        let mut types: Vec<_> = types.into_iter().map(str::to_owned).collect();
        if self.hosts().any(|host| known_hosts::has_authority(&files, host)) {
            let certified = SIGNATURE.iter().map(|row| row.algorithm).filter(|algorithm| algorithm.certified);
            types.extend(certified.map(|algorithm| algorithm.key_type().to_owned()));
        }
        types
    }

    /// The host with its port, then without.
    fn hosts(&self) -> impl Iterator<Item = &Host> {
        core::iter::once(&self.host).chain(&self.portless)
    }

    pub(super) fn judge(&mut self, key: &PublicKey, certificate: Option<&Certificate>) -> Judgement {
        if let Some(why) = self.unfit(key, certificate) {
            return Judgement::Refuse(why);
        }
        match certificate.and_then(|certificate| self.judge_certificate(certificate)) {
            Some(judgement) => judgement,
            None => self.judge_plain(key),
        }
    }

    /// What no file of known hosts can make good.
    fn unfit(&self, key: &PublicKey, certificate: Option<&Certificate>) -> Option<String> {
        let host = self.host.as_str();
        if is_too_short(key, self.required_rsa_size) {
            let required = self.required_rsa_size;
            return Some(format!("the host key of {host} is shorter than RequiredRSASize, {required} bits"));
        }
        let revoked = match &self.revoked {
            Ok(revoked) => revoked,
            Err(why) => return Some(format!("RevokedHostKeys: {why}")),
        };
        let ca = certificate.map(Certificate::ca_key);
        let found = [Some(key), ca].into_iter().flatten().find(|key| revoked.contains(key))?;
        Some(format!("RevokedHostKeys: the key {} of {host} is revoked", found.fingerprint()))
    }

    /// Nothing if the key in it decides.
    fn judge_certificate(&self, certificate: &Certificate) -> Option<Judgement> {
        let files = views(&self.known);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let mut bad = None;
        for host in self.hosts() {
            let algorithms = &self.ca_signature_algorithms;
            match known_hosts::lookup_certificate(&files, host, certificate, algorithms, now) {
                Ok(CertificateVerdict::NoAuthority) => {}
                Ok(CertificateVerdict::Vouched(..)) => return Some(Judgement::Accept),
                Ok(CertificateVerdict::Revoked(place)) => return Some(self.is_revoked(place)),
                Ok(CertificateVerdict::Refused(place, why)) => {
                    bad = bad.or(Some(format!("{}:{}: {}: {why}", place.file, place.line, host.as_str())));
                }
                Err(error) => return Some(Judgement::Refuse(error.to_string())),
            }
        }
        let bad = bad?;
        let is_known =
            matches!(known_hosts::lookup(&files, &self.host, certificate.key()), Ok(Verdict::Known(_)));
        (!is_known).then_some(Judgement::Refuse(bad))
    }

    fn judge_plain(&mut self, key: &PublicKey) -> Judgement {
        let files = views(&self.known);
        let mut verdict = known_hosts::lookup(&files, &self.host, key);
        if let Ok(Verdict::Known(_)) = verdict {
            self.trusted = Some(key.clone());
            return Judgement::Accept;
        }
        // What is known of the host on another port cannot have changed on this one.
        if let (Ok(Verdict::Unknown | Verdict::OtherType(_)), Some(portless)) = (&verdict, &self.portless) {
            match known_hosts::lookup(&files, portless, key) {
                Ok(Verdict::Known(_)) => return Judgement::Accept,
                Ok(Verdict::Unknown | Verdict::OtherType(_) | Verdict::Changed(_)) => {}
                revoked_or_unreadable => verdict = revoked_or_unreadable,
            }
        }
        match (verdict, self.strict) {
            (Err(error), _) => Judgement::Refuse(error.to_string()),
            (Ok(Verdict::Known(_)), _) => Judgement::Accept,
            (Ok(Verdict::Revoked(place)), _) => self.is_revoked(place),
            (Ok(Verdict::Changed(place)), StrictHostKeyChecking::Off) => {
                Judgement::AcceptChanged(self.has_changed(place, key))
            }
            (Ok(Verdict::Changed(place)), _) => Judgement::Refuse(format!(
                "{}. If you know why it changed, remove that line",
                self.has_changed(place, key)
            )),
            (Ok(_), StrictHostKeyChecking::Off)
            | (Ok(Verdict::Unknown), StrictHostKeyChecking::AcceptNew) => Judgement::AcceptNew,
            (Ok(_), StrictHostKeyChecking::Ask) => Judgement::Ask(self.question(key)),
            (Ok(_), _) => Judgement::Refuse(self.nobody_to_ask(key)),
        }
    }

    fn is_revoked(&self, place: Place<'_>) -> Judgement {
        let host = self.host.as_str();
        let advice = "ask whoever runs the host for its new key, or remove this line";
        Judgement::Refuse(format!("{}:{}: the key of {host} is revoked; {advice}", place.file, place.line))
    }

    fn has_changed(&self, place: Place<'_>, key: &PublicKey) -> String {
        format!(
            "{}:{}: the host key of {} has changed: it is {} {} now, and somebody may be listening",
            place.file,
            place.line,
            self.host.as_str(),
            key.key_type(),
            key.fingerprint()
        )
    }

    fn question(&self, key: &PublicKey) -> String {
        format!(
            "The authenticity of host '{}' can't be established ({}).\n{} key fingerprint is {}.\n{}\nAre you sure you want \
             to continue connecting (yes/no/[fingerprint])? ",
            self.host.as_str(),
            self.unknown(key),
            key_kind(key),
            key.fingerprint(),
            self.other_names(key),
        )
    }

    /// Whom else the files know by this key.
    fn other_names(&self, key: &PublicKey) -> String {
        let files = views(&self.known);
        let names = known_hosts::other_names(&files, &self.host, key);
        if names.is_empty() {
            return "This key is not known by any other names.".to_owned();
        }
        let mut text = "This host key is known by the following other names/addresses:".to_owned();
        for (place, name) in names.iter().take(OTHER_NAMES_MAX) {
            let name = name.map_or("[hashed name]".to_owned(), |name| name.escape_ascii().to_string());
            text += &format!("\n    {}:{}: {name}", from_home(place.file), place.line);
        }
        if names.len() > OTHER_NAMES_MAX {
            text += &format!("\n    ({} additional names omitted)", names.len() - OTHER_NAMES_MAX);
        }
        text
    }

    /// What is missing about a key that is not known.
    fn unknown(&self, key: &PublicKey) -> String {
        match known_hosts::lookup(&views(&self.known), &self.host, key) {
            Ok(Verdict::OtherType(place)) => {
                format!("{}:{}: another type of key ({}) is known", place.file, place.line, place.key_type)
            }
            _ => format!("no known host key for {}", self.host.as_str()),
        }
    }

    /// Why a key that is not known is refused where nobody can be asked.
    pub(super) fn nobody_to_ask(&self, key: &PublicKey) -> String {
        format!("{}; {ADVICE}", self.unknown(key))
    }

    /// The user said yes to a key: notes it down.
    pub(super) fn confirmed(&mut self, key: &PublicKey) -> String {
        self.trusted = Some(key.clone());
        self.remember(key)
    }

    /// Notes a new key down; what the user is told of it.
    pub(super) fn remember(&self, key: &PublicKey) -> String {
        let (host, kind) = (self.host.as_str(), key_kind(key));
        let Some(path) = self.user_files.first() else {
            return format!("the key of {host} was not noted down");
        };
        match self.note_down(path, key) {
            Ok(()) => format!("Warning: Permanently added '{host}' ({kind}) to the list of known hosts."),
            Err(error) => format!("{}: {error}: the key of {host} was not noted down", path.display()),
        }
    }

    /// Whoever else logs in to the host at the same time may have been first.
    fn note_down(&self, path: &Path, key: &PublicKey) -> io::Result<()> {
        let mut file = files::LockedFile::create(path)?;
        let contents = file.read()?;
        let view = File { name: "", contents: &contents };
        if matches!(known_hosts::lookup(&[view], &self.host, key), Ok(Verdict::Known(_))) {
            return Ok(());
        }
        let rng = &mut SystemRng;
        file.append(
            known_hosts::line_to_append(&contents, &self.host, key, name_form(self.hash, rng)).as_bytes(),
        )
    }
}

/// HashKnownHosts.
pub(super) fn name_form(hash: bool, rng: &mut SystemRng) -> NameForm<'_> {
    if hash { NameForm::Hashed(rng) } else { NameForm::Plain }
}

/// Files of known hosts with their contents, without those that are missing.
pub(super) fn read<'p>(paths: impl Iterator<Item = &'p PathBuf>) -> Result<Vec<(PathBuf, Vec<u8>)>, String> {
    let contents = paths.filter_map(|path| match files::read_text(path) {
        Ok(contents) => Some(Ok((path.clone(), contents))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(Err(format!("{}: {error}", path.display()))),
    });
    contents.collect()
}

pub(super) fn views(known: &[(PathBuf, Vec<u8>)]) -> Vec<File<'_>> {
    known
        .iter()
        .map(|(path, contents)| File { name: path.to_str().unwrap_or("known_hosts"), contents })
        .collect()
}

/// A path as a person would write it.
fn from_home(path: &str) -> String {
    match Path::new(path).strip_prefix(home()) {
        Ok(below) => format!("~/{}", below.display()),
        Err(_) => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::sign::PrivateKey;
    use crate::crypto::sign::certificate::tests::{Fields, ca, strings};
    use crate::crypto::sign::ecdsa::Curve;
    use crate::tests::pair::SeededRng;
    use crate::transport::algorithms::names;

    fn key(seed: u64) -> PublicKey {
        PrivateKey::generate_ed25519(&mut SeededRng::new(seed)).public_key()
    }

    fn line(hosts: &str, key: &PublicKey) -> String {
        hosts.to_owned() + " " + &crate::keys::public_key::write(key, "").unwrap()
    }

    /// What is known of h.example on a port, and of nobody else.
    fn known(port: u16, lines: &[String], strict: StrictHostKeyChecking) -> (HostKeys, Options) {
        let mut options = Options::new("h.example");
        (options.port, options.strict_host_key_checking) = (port, strict);
        options.user_known_hosts_files = Vec::new();
        options.global_known_hosts_files = Vec::new();
        let mut keys = HostKeys::new(&options).unwrap();
        keys.known = vec![("file".into(), lines.concat().into_bytes())];
        (keys, options)
    }

    fn judged(port: u16, lines: &[String], strict: StrictHostKeyChecking, key: &PublicKey) -> &'static str {
        match known(port, lines, strict).0.judge(key, None) {
            Judgement::Accept => "accept",
            Judgement::AcceptNew => "new",
            Judgement::AcceptChanged(_) => "changed",
            Judgement::Ask(_) => "ask",
            Judgement::Refuse(_) => "refuse",
        }
    }

    #[test]
    fn a_key_is_judged_by_what_is_known_and_how_strict_the_user_is() {
        use StrictHostKeyChecking::{AcceptNew, Ask, Off, Yes};
        let ecdsa = PrivateKey::generate_ecdsa(Curve::Nistp256, &mut SeededRng::new(1)).public_key();
        let own = |key: &PublicKey| line("h.example", key);
        let revoked = line("@revoked h.example", &key(1));
        for (lines, [yes, ask, accept_new, off]) in [
            (vec![own(&key(1))], ["accept"; 4]),
            (vec![own(&key(2)), own(&key(1))], ["accept"; 4]),
            (vec![line("other.example", &key(1))], ["refuse", "ask", "new", "new"]),
            (vec![own(&key(2))], ["refuse", "refuse", "refuse", "changed"]),
            // Whoever is in the middle chooses the type.
            (vec![own(&ecdsa)], ["refuse", "ask", "refuse", "new"]),
            (vec![own(&key(1)), revoked.clone()], ["refuse"; 4]),
            (vec!["@revoked h.example ssh-ed25519 AAAA\n".to_owned()], ["refuse"; 4]),
        ] {
            for (strict, expected) in [(Yes, yes), (Ask, ask), (AcceptNew, accept_new), (Off, off)] {
                assert_eq!(judged(22, &lines, strict, &key(1)), expected, "{strict:?} {lines:?}");
            }
        }
    }

    #[test]
    fn a_line_without_the_port_does_where_none_has_it() {
        use StrictHostKeyChecking::Yes;
        let (portless, with_port) = (line("h.example", &key(1)), line("[h.example]:2222", &key(2)));
        for (lines, key_shown, expected) in [
            (vec![portless.clone()], key(1), "accept"),
            (vec![portless.clone()], key(2), "refuse"),
            (vec![portless.clone(), with_port.clone()], key(2), "accept"),
            (vec![portless.clone(), with_port.clone()], key(1), "refuse"),
            (vec![portless, line("@revoked h.example", &key(1))], key(1), "refuse"),
        ] {
            assert_eq!(judged(2222, &lines, Yes, &key_shown), expected, "{lines:?}");
        }
        assert_eq!(judged(22, &[with_port], Yes, &key(2)), "refuse");
        // What is known on another port cannot have changed on this one.
        let other = [line("h.example", &key(2))];
        assert_eq!(judged(2222, &other, StrictHostKeyChecking::Ask, &key(1)), "ask");
    }

    #[test]
    fn of_many_other_names_of_a_key_a_question_tells_some_and_the_number_of_the_rest() {
        for (count, omitted) in
            [(OTHER_NAMES_MAX, None), (OTHER_NAMES_MAX + 2, Some("(2 additional names omitted)"))]
        {
            let lines: Vec<_> = (0..count).map(|n| line(&format!("h{n}.example"), &key(1))).collect();
            let (mut keys, _) = known(22, &lines, StrictHostKeyChecking::Ask);
            let Judgement::Ask(question) = keys.judge(&key(1), None) else { panic!("{count}") };
            assert_eq!(question.matches(".example\n").count(), OTHER_NAMES_MAX, "{question}");
            assert_eq!(question.contains("omitted"), omitted.is_some(), "{question}");
            assert!(omitted.is_none_or(|text| question.contains(text)), "{question}");
        }
    }

    #[test]
    fn certificates_are_asked_for_first_where_an_authority_speaks_of_the_host_and_last_elsewhere() {
        let ecdsa = PrivateKey::generate_ecdsa(Curve::Nistp256, &mut SeededRng::new(1)).public_key();
        let order = |port, lines: &[String]| -> Vec<_> {
            let (keys, options) = known(port, lines, StrictHostKeyChecking::Yes);
            names(&options.client_config(&keys.key_types()).transport.algorithms.host_key).collect()
        };
        let is_certified = |name: &&'static str| name.contains("-cert-");
        let none = order(22, &[]);
        let plain = none.iter().take_while(|name| !is_certified(name)).count();
        assert_eq!(none[0], "ssh-ed25519");
        assert!(plain > 0 && none[plain..].iter().all(is_certified) && plain * 2 == none.len());
        let one = order(22, &[line("h.example", &ecdsa)]);
        assert_eq!((one[0], one[1]), ("ecdsa-sha2-nistp256", "ssh-ed25519"));
        for (port, authority) in [(22, "h.example"), (2222, "[h.example]:2222"), (2222, "*.example")] {
            let lines = [line("h.example", &ecdsa), line(&format!("@cert-authority {authority}"), &key(1))];
            let names = order(port, &lines);
            assert_eq!(names.iter().take_while(|name| is_certified(name)).count(), plain, "{authority}");
        }
    }

    #[test]
    fn a_certificate_that_should_count_and_does_not_is_no_new_key() {
        let certificate = |principal: &[u8]| {
            let fields = Fields { principals: strings(&[principal]), valid: (0, u64::MAX), ..Fields::new(2) };
            Certificate::from_blob(&fields.signed()).unwrap()
        };
        let authority = line("@cert-authority h.example", &ca().public_key());
        let (good, bad) = (certificate(b"h.example"), certificate(b"other.example"));
        let own = line("h.example", good.key());
        let judge = |lines: &[String], certificate: &Certificate| {
            let (mut keys, _) = known(22, lines, StrictHostKeyChecking::AcceptNew);
            let judgement = keys.judge(certificate.key(), Some(certificate));
            (judgement, keys.trusted.is_some())
        };
        assert!(matches!(judge(core::slice::from_ref(&authority), &good), (Judgement::Accept, false)));
        assert!(matches!(judge(core::slice::from_ref(&authority), &bad), (Judgement::Refuse(_), false)));
        assert!(
            matches!(judge(&[authority, own.clone()], &bad), (Judgement::Accept, true)),
            "it is known already"
        );
        assert!(matches!(judge(&[], &good), (Judgement::AcceptNew, false)), "nobody speaks of its CA");
        assert!(matches!(judge(&[own], &good), (Judgement::Accept, true)));
    }
}
