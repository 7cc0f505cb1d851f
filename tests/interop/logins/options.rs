//! What `authorized_keys`, certificates and their files ask for: the same files are given to ours and to both generations of
//! sshd, and ours refuses wherever one of them does.

use super::super::openssh::{Files, Generation, Running, Server, our_sshd, ssh, sshd, user};
use super::super::openssh::{ours, run};
use super::raw::Raw;
use super::{Answers, COMMAND, Came, beside, certify, generate, hashed, public, set, their_client};
use std::fs;
use std::path::{Path, PathBuf};
use strombus::driver::files::read_public;

/// One server of each kind on the same files.
struct Servers {
    files: Files,
    ours: Server,
    theirs: [(Generation, Server); 2],
}

impl Servers {
    fn start(files: Files, options: &[(&str, &str)]) -> Self {
        let join = |sign: &str| options.iter().map(|(k, v)| format!("{k}{sign}{v}")).collect::<Vec<_>>();
        let (ours, theirs) = (join("="), join(" "));
        let ours = our_sshd(&files, &ours.iter().map(String::as_str).collect::<Vec<_>>());
        let lines: Vec<_> = theirs.iter().map(String::as_str).collect();
        let theirs = Generation::ALL.map(|generation| (generation, sshd(generation, &files, &lines)));
        Self { files, ours, theirs }
    }

    /// What a login by this key comes to, at ours and at theirs; both of theirs must agree, and so must both clients.
    fn come_to(&self, key: &Path, what: &str) -> (Option<String>, Option<String>) {
        let login = |generation: Generation, server: &Server| {
            let mut client = their_client(generation, &self.files, server.port);
            set(&mut client, &["BatchMode=yes"]);
            let came = Came::of(client.arg("-i").arg(key).args([&format!("{}@127.0.0.1", user()), COMMAND]));
            came.to()
        };
        let ours = Generation::ALL.map(|generation| login(generation, &self.ours));
        assert_eq!(ours[0], ours[1], "{what}: at ours {}", self.ours.running.log());
        let theirs = [0, 1].map(|n| login(self.theirs[n].0, &self.theirs[n].1));
        assert_eq!(theirs[0], theirs[1], "{what}");
        let [ours, _] = ours;
        let [theirs, _] = theirs;
        (ours, theirs)
    }

    /// The same where ours and theirs agree.
    fn both_come_to(&self, key: &Path, expected: Option<&str>, what: &str) {
        let (ours, theirs) = self.come_to(key, what);
        assert_eq!(ours.as_deref(), expected, "{what}: ours: {}", self.ours.running.log());
        assert_eq!(theirs.as_deref(), expected, "{what}: theirs");
    }
}

const IN: Option<&str> = Some("in");

#[test]
fn lines_of_authorized_keys_are_obeyed_as_sshd_does_or_refused() {
    let servers = Servers::start(Files::new(), &[]);
    let key = servers.files.path("user_key");
    let line = public(&key);
    let cases = [
        ("", IN),
        ("restrict", IN),
        ("no-pty,no-port-forwarding,no-agent-forwarding,no-X11-forwarding,no-user-rc", IN),
        ("command=\"echo forced $SSH_ORIGINAL_COMMAND\"", Some("forced echo in")),
        ("restrict,command=\"echo \\\"a b\\\"\"", Some("a b")),
        ("from=\"127.0.0.1\"", IN),
        ("from=\"10.1.2.3,127.0.0.0/8\"", IN),
        ("from=\"10.0.0.0/8\"", None),
        ("from=\"!127.0.0.1,*\"", None),
        ("from=\"!10.0.0.1,127.*\"", IN),
        ("expiry-time=\"20200101\"", None),
        ("expiry-time=\"20200101Z\"", None),
        ("expiry-time=\"20990101Z\"", IN),
        ("no-such-option", None),
        ("no-such-option=\"x\",restrict", None),
        ("command=\"echo in", None),
        ("principals=\"root\"", None),
        ("cert-authority", None),
        ("permitopen=\"localhost:80\",permitlisten=\"8080\"", IN),
        ("permitopen=\"localhost\"", None),
        ("tunnel=\"x\"", None),
    ];
    for (options, expected) in cases {
        servers.files.write("authorized_keys", format!("{options} {line}").trim_start());
        servers.both_come_to(&key, expected, options);
    }
    // A key that one line refuses may be let in by another.
    let lines = format!(
        "from=\"10.0.0.0/8\" {line}no-such-option {line}# a comment\n\ncommand=\"echo third\" {line}"
    );
    servers.files.write("authorized_keys", &lines);
    servers.both_come_to(&key, Some("third"), "the first line that is not refused");
    // Ours refuses what it does not obey, where theirs goes on without.
    for (options, theirs) in [("environment=\"WORD=x\"", IN), ("expiry-time=\"20990101\"", IN)] {
        servers.files.write("authorized_keys", &format!("{options} {line}"));
        let (ours, at_theirs) = servers.come_to(&key, options);
        assert_eq!((ours, at_theirs.as_deref()), (None, theirs), "{options}");
    }
    println!("figure: lines of authorized_keys: {} compared with both generations", cases.len() + 3);
}

#[test]
fn environment_is_set_where_it_is_permitted() {
    let servers = Servers::start(Files::new(), &[("PermitUserEnvironment", "yes")]);
    let key = servers.files.path("user_key");
    let line = format!("environment=\"WORD=a b\",command=\"echo $WORD\" {}", public(&key));
    servers.files.write("authorized_keys", &line);
    servers.both_come_to(&key, Some("a b"), "environment");
}

/// A CA, and certificates of one key of its own.
struct Certificates {
    ca: PathBuf,
    other_ca: PathBuf,
}

impl Certificates {
    fn make(files: &Files) -> Self {
        let own = Self { ca: files.path("ca"), other_ca: files.path("other_ca") };
        for ca in [&own.ca, &own.other_ca] {
            generate(Generation::Trixie, ca, &["ed25519"], "");
        }
        files.write("authorized_keys", "");
        own
    }

    /// A new key with a certificate beside it.
    fn key(&self, files: &Files, name: &str, ca: &Path, arguments: &[&str]) -> PathBuf {
        let key = files.path(name);
        generate(Generation::Trixie, &key, &["ed25519"], "");
        certify(Generation::Bookworm, ca, &key, arguments);
        key
    }
}

/// `{}` is the user's name.
const CERTIFICATES: [(&str, &[&str], Option<&str>); 14] = [
    ("right principal", &["-n", "{}"], IN),
    ("one of two principals", &["-n", "other,{}"], IN),
    ("wrong principal", &["-n", "other"], None),
    ("no principal", &[], None),
    ("valid now", &["-n", "{}", "-V", "-1d:+1d"], IN),
    ("expired", &["-n", "{}", "-V", "20200101:20200102"], None),
    ("not yet valid", &["-n", "{}", "-V", "20900101:20910101"], None),
    (
        "forced command",
        &["-n", "{}", "-O", "force-command=echo forced $SSH_ORIGINAL_COMMAND"],
        Some("forced echo in"),
    ),
    ("from inside", &["-n", "{}", "-O", "source-address=127.0.0.0/8"], IN),
    ("from outside", &["-n", "{}", "-O", "source-address=10.0.0.0/8,192.0.2.1"], None),
    ("unknown critical option", &["-n", "{}", "-O", "critical:foo=bar"], None),
    ("unknown critical option without a value", &["-n", "{}", "-O", "critical:foo"], None),
    ("unknown extension", &["-n", "{}", "-O", "extension:foo"], IN),
    ("no extensions", &["-n", "{}", "-O", "clear"], IN),
];

#[test]
fn t88_certificates_let_in_as_sshd_does() {
    let files = Files::new();
    let certificates = Certificates::make(&files);
    let trusted = beside(&certificates.ca, ".pub");
    let revoked = files.write("revoked", "");
    let options = [("TrustedUserCAKeys", trusted.to_str().unwrap()), ("RevokedKeys", &revoked)];
    let servers = Servers::start(files, &options);
    let files = &servers.files;
    let mut right = None;
    for (n, (what, arguments, expected)) in CERTIFICATES.iter().enumerate() {
        let arguments: Vec<_> = arguments.iter().map(|word| word.replace("{}", &user())).collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let key = certificates.key(files, &format!("key{n}"), &certificates.ca, &arguments);
        servers.both_come_to(&key, *expected, what);
        right.get_or_insert(key);
    }
    // ssh does not show a certificate of a host's, and so proves nothing there.
    let of_host = files.path("of_host");
    generate(Generation::Trixie, &of_host, &["ed25519"], "");
    certify(Generation::Trixie, &certificates.ca, &of_host, &["-h", "-n", &user()]);
    for (key, would_do) in [(right.as_ref().unwrap(), true), (&of_host, false)] {
        let shown = read_public(&beside(key, "-cert.pub")).unwrap();
        for server in [&servers.ours, &servers.theirs[0].1, &servers.theirs[1].1] {
            let mut client = Raw::connect(server.port, &user());
            client.answer();
            client.conn.request_identity(client.ticket.take().unwrap(), &shown).unwrap();
            let answer = client.answer();
            assert_eq!(answer.starts_with("Sign"), would_do, "{answer} {}", server.running.log());
        }
    }
    let stranger = certificates.key(files, "stranger", &certificates.other_ca, &["-n", &user()]);
    servers.both_come_to(&stranger, None, "another CA");
    let right = right.unwrap();
    let own_ca = fs::read_to_string(&trusted).unwrap();
    for (what, revoked) in [("the key is revoked", public(&right)), ("the CA is revoked", own_ca)] {
        files.write("revoked", &revoked);
        servers.both_come_to(&right, None, what);
    }
    files.write("revoked", "no key\n");
    servers.both_come_to(&right, None, "nobody can be known not to be revoked");
    files.write("revoked", &public(&stranger));
    servers.both_come_to(&right, IN, "another key is revoked");
    println!("figure: certificates: {} compared with both generations", CERTIFICATES.len() + 6);
}

#[test]
fn plain_keys_may_be_revoked_too() {
    let files = Files::new();
    let revoked = files.write("revoked", "");
    let servers = Servers::start(files, &[("RevokedKeys", &revoked)]);
    let key = servers.files.path("user_key");
    servers.both_come_to(&key, IN, "not revoked");
    servers.files.write("revoked", &public(&key));
    servers.both_come_to(&key, None, "revoked");
    fs::remove_file(&revoked).unwrap();
    servers.both_come_to(&key, None, "the list is missing");
}

#[test]
fn a_line_with_a_ca_names_principals_and_its_options_bind_the_certificate() {
    let servers = Servers::start(Files::new(), &[]);
    let certificates = Certificates::make(&servers.files);
    let files = &servers.files;
    let named = certificates.key(files, "named", &certificates.ca, &["-n", "ann,bob"]);
    let users = certificates.key(files, "users", &certificates.ca, &["-n", &user()]);
    let forced = certificates.key(
        files,
        "forced",
        &certificates.ca,
        &["-n", "ann", "-O", "force-command=echo by the certificate"],
    );
    let ca = public(&certificates.ca);
    for (options, key, expected) in [
        ("cert-authority", &users, IN),
        ("cert-authority", &named, None),
        ("cert-authority,principals=\"eve,bob\"", &named, IN),
        ("cert-authority,principals=\"eve,bob\"", &users, None),
        ("cert-authority,principals=\"ann\",command=\"echo by the line\"", &named, Some("by the line")),
        ("cert-authority,principals=\"ann\"", &forced, Some("by the certificate")),
        ("cert-authority,principals=\"ann\",command=\"echo by the line\"", &forced, None),
        ("cert-authority,principals=\"ann\",from=\"10.0.0.0/8\"", &named, None),
        ("cert-authority,principals=\"ann\",expiry-time=\"20200101Z\"", &named, None),
        ("", &users, None),
    ] {
        files.write("authorized_keys", format!("{options} {ca}").trim_start());
        servers.both_come_to(key, expected, options);
    }
}

#[test]
fn principals_may_stand_in_a_file() {
    let files = Files::new();
    let certificates = Certificates::make(&files);
    let trusted = beside(&certificates.ca, ".pub");
    let principals = files.write("principals", "# who\n\nann\nbob\n");
    let options =
        [("TrustedUserCAKeys", trusted.to_str().unwrap()), ("AuthorizedPrincipalsFile", &principals)];
    let servers = Servers::start(files, &options);
    let key =
        |name, principal: &str| certificates.key(&servers.files, name, &certificates.ca, &["-n", principal]);
    let (bob, users) = (key("bob", "bob"), key("users", &user()));
    servers.both_come_to(&bob, IN, "a principal of the file");
    servers.both_come_to(&users, None, "the user's name does not count then");
    fs::remove_file(&principals).unwrap();
    servers.both_come_to(&bob, None, "the file is missing");
}

#[test]
fn t45_what_a_certificate_forces_holds_after_a_password_as_second_step() {
    let files = Files::new();
    let certificates = Certificates::make(&files);
    let trusted = beside(&certificates.ca, ".pub").display().to_string();
    let passwords = files.write("passwords", &hashed("ann", "secret"));
    let server = our_sshd(
        &files,
        &[
            "AuthenticationMethods=publickey,password password,publickey",
            &format!("TrustedUserCAKeys={trusted}"),
            &format!("PasswordFile={passwords}"),
        ],
    );
    // Whatever name is said, the certificate is for who runs the server.
    let own = user();
    let force = ["-n", &own, "-O", "force-command=echo forced"];
    let key = certificates.key(&files, "key", &certificates.ca, &force);
    let away = ["-n", "ann", "-O", "source-address=10.0.0.0/8"];
    let away = certificates.key(&files, "away", &certificates.ca, &away);
    for (n, order) in ["publickey,password", "password,publickey"].iter().enumerate() {
        for generation in Generation::ALL {
            for (key, expected) in [(&key, Some("forced")), (&away, None)] {
                let mut client = their_client(generation, &files, server.port);
                let name = format!("askpass{n}{generation:?}{}", expected.is_some());
                let answers = Answers::new(&files, &name, &["secret"]);
                answers.give(&mut client);
                let order = format!("PreferredAuthentications={order}");
                set(&mut client, &[&order, "NumberOfPasswordPrompts=1"]);
                let came = Came::of(client.arg("-i").arg(key).args(["ann@127.0.0.1", COMMAND]));
                assert_eq!(came.to().as_deref(), expected, "{order}: {}", came.told());
                assert_eq!(answers.asked().len(), 1, "{order}: {:?}", answers.asked());
            }
        }
    }
}

#[test]
fn methods_that_are_switched_off_are_in_no_chain() {
    let files = Files::new();
    for (off, chain) in
        [("PubkeyAuthentication=no", "publickey"), ("PasswordAuthentication=no", "publickey,password")]
    {
        let mut server = ours("sshd");
        server.args(["-p", "0", "-h", &files.text("host_key"), "-o", off]);
        let output = run(server.args(["-o", &format!("AuthenticationMethods={chain}")]), b"");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && told.contains("switched off"), "{told}");
    }
}

#[test]
fn t88_a_certificate_is_for_its_principals_whatever_name_is_said() {
    let files = Files::new();
    let certificates = Certificates::make(&files);
    let trusted = beside(&certificates.ca, ".pub").display().to_string();
    let ca = format!("cert-authority {}", public(&certificates.ca));
    for (n, authorized, option) in
        [(1, "", format!("TrustedUserCAKeys={trusted}")), (2, &*ca, "StrictModes=yes".into())]
    {
        files.write("authorized_keys", authorized);
        let server = our_sshd(&files, &[&option]);
        for (name, principal, comes_in) in [("stranger", "ann", false), ("own", &*user(), true)] {
            let key = certificates.key(&files, &format!("{name}{n}"), &certificates.ca, &["-n", principal]);
            let mut client = their_client(Generation::Trixie, &files, server.port);
            let came = Came::of(client.arg("-i").arg(key).args(["ann@127.0.0.1", COMMAND]));
            assert_eq!(came.to().is_some(), comes_in, "{name}: {}", server.running.log());
        }
    }
}

/// `-f`: lines as those of `-o`, which come first; the first of two counts.
#[test]
fn a_file_of_options_is_read_and_its_errors_have_their_place() {
    let files = Files::new();
    let config = |text: &str| files.write("our_sshd_config", text);
    let start = |options: &[&str]| {
        let mut command = ours("sshd");
        command.args(["-D", "-e", "-f", &files.text("our_sshd_config")]).args(options);
        command
    };
    for (text, told) in [
        ("Port 0\nUsePAM yes\n", "our_sshd_config:2: UsePAM is no keyword that this server acts on"),
        ("Port\n", "our_sshd_config:1: Port needs a value"),
        ("\n# x\nBanner \"x\n", "our_sshd_config:3: a quote is not closed"),
        ("LoginGraceTime = soon\n", "our_sshd_config:1: a time"),
        ("Port 0", "no host key: name one with -h"),
    ] {
        config(text);
        let output = run(&mut start(&[]), b"");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(told), "{said}");
        assert_eq!(output.status.code(), Some(1));
    }
    config(&format!(
        "Port 0 # free\nport 1\nHostKey \"{}\"\nAuthorizedKeysFile {}\nBanner={}\nBanner none\n",
        files.text("host_key"),
        files.text("authorized_keys"),
        files.write("a banner", "hello\n").replace(' ', "\\ "),
    ));
    for (options, shown) in [(&[][..], true), (&["-o", "Banner none"], false)] {
        let running = Running::start(&mut start(options));
        let line = running.wait_for("Server listening").unwrap_or_else(|| panic!("{}", running.log()));
        let port = line.trim_end_matches('.').rsplit(' ').next().unwrap().parse().unwrap();
        let output = run(ssh(Generation::Bookworm, &files, port).args(["127.0.0.1", "echo in"]), b"");
        assert_eq!(output.stdout, b"in\n", "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stderr).contains("hello"), shown);
    }
    let output = run(ours("sshd").args(["-f", "/dev/null", "-h", "/nowhere"]), b"");
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere"), "an empty file");
}
