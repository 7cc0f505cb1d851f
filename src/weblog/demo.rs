//! `ssh-weblog demo`: everything on this machine. A log that grows, a server of it on a free port of the loopback interface, and
//! the ordinary watch that logs in to it: the same code as everywhere else, over a real socket.
//!
//! Nothing of it is left at the end, and nothing of the user's is read or asked for.

use super::follow::Start;
use super::generate::Generator;
use super::serve::notify::Notify;
use super::serve::settings::{Limits, LogFile, Settings};
use super::serve::users::{User, Users};
use super::serve::{ServerOptions, Stopper, WeblogServer};
use super::watch::{Place, Source, WatchError, WatchOptions, watch};
use crate::crypto::SystemRng;
use crate::crypto::sign::{PrivateKey, PublicKey};
use crate::driver::config;
use crate::driver::files::create_private;
use crate::driver::options::{Options, StrictHostKeyChecking};
use crate::driver::terminal;
use crate::driver::text::quoted;
use crate::keys::known_hosts::{self, Host, NameForm};
use crate::keys::ssh_config::AgentSocket;
use crate::keys::{private_key, public_key};
use crate::tell;
use crate::transport::ServerConfig;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// Hits that are there at the beginning, one a second up to now.
const BEFORE: u64 = 1000;

/// So many of them are shown, unless the user says where to begin.
const SHOWN_BEFORE: u64 = 10;

const HOST: Ipv4Addr = Ipv4Addr::LOCALHOST;
const USER: &str = "demo";

/// The log's name at the server, and its path for who reads it by SFTP.
const LOG: &str = "access";
const PATH: &str = "access/access.log";

/// Runs the demonstration, and returns the exit status; without [`WatchOptions::seconds`] until Ctrl-C. It watches one log, its
/// own, whatever the options name.
///
/// # Errors
/// See [`WatchError`].
pub fn run(options: WatchOptions) -> Result<u8, WatchError> {
    options.check().map_err(WatchError::Usage)?;
    let files = Files::make()?;
    let path = files.directory.path().to_owned();
    terminal::before_end(move || drop(fs::remove_dir_all(path)));
    let mut generator = Generator::new(2003);
    write_before(&files.log, &mut generator)?;
    let (port, stopper, serving) = serve(&files).map_err(WatchError::System)?;
    tell!("From another terminal, while this runs:");
    tell!("{}", login(port, &files));
    let (stop, stopped) = channel();
    let log = files.log.clone();
    let writing = thread::Builder::new()
        .name("writer".to_owned())
        .spawn(move || write(&log, &mut generator, &stopped))?;
    let watched = watch(WatchOptions {
        sources: vec![Source {
            name: format!("{USER}@{HOST}:{PATH}"),
            place: Place::Host { host: 0, path: PATH.into() },
        }],
        hosts: vec![connection(port, &files)],
        start: options.start.or(options.follow.then_some(Start::LinesBeforeEnd(SHOWN_BEFORE))),
        // Its end is the end.
        retry: options.retry.or(Some(0)),
        ..options
    });
    drop(stop);
    stopper.stop();
    let served = serving.join().unwrap_or_else(|_| Err("the server failed".to_owned()));
    let written = writing.join().unwrap_or_else(|_| Err(io::Error::other("the writer failed")));
    served.map_err(WatchError::System)?;
    written?;
    watched
}

/// What is gone at the end.
struct Files {
    /// Of mode 0700.
    directory: TempDir,
    log: PathBuf,
    key: PathBuf,
    authorized_keys: PathBuf,
    known_hosts: PathBuf,
}

impl Files {
    /// An empty log, and a key to log in with.
    fn make() -> io::Result<Self> {
        let private = Permissions::from_mode(0o700);
        let made = tempfile::Builder::new().prefix("ssh-weblog-demo").permissions(private).tempdir();
        let advice = "TMPDIR must name a directory that is there and writable";
        let directory = made.map_err(|error| io::Error::other(format!("{error}; {advice}")))?;
        let path = |name| directory.path().join(name);
        let (log, key, authorized_keys, known_hosts) =
            (path("access.log"), path("id_ed25519"), path("authorized_keys"), path("known_hosts"));
        let pair = PrivateKey::generate_ed25519(&mut SystemRng);
        let contents = private_key::write(&pair, "ssh-weblog demo", &mut SystemRng);
        create_private(&key, contents.map_err(io::Error::other)?.as_bytes())?;
        let line = public_key::write(&pair.public_key(), "").map_err(io::Error::other)?;
        create_private(&authorized_keys, line.as_bytes())?;
        Ok(Self { directory, log, key, authorized_keys, known_hosts })
    }

    /// Notes down whom to trust at the port.
    fn know(&self, port: u16, key: &PublicKey) -> Result<(), String> {
        let host = Host::new(&HOST.to_string(), port).map_err(|error| error.to_string())?;
        let line = known_hosts::line_to_append(b"", &host, key, NameForm::Plain);
        create_private(&self.known_hosts, line.as_bytes()).map_err(text)
    }
}

type Serving = JoinHandle<Result<(), String>>;

/// Serves the log at a free port, on a thread of its own.
fn serve(files: &Files) -> Result<(u16, Stopper, Serving), String> {
    let host_key = PrivateKey::generate_ed25519(&mut SystemRng);
    let listener = TcpListener::bind((HOST, 0)).map_err(text)?;
    listener.set_nonblocking(true).map_err(text)?;
    let port = listener.local_addr().map_err(text)?.port();
    files.know(port, &host_key.public_key())?;
    let authorized_keys = Some(files.authorized_keys.clone());
    let user = User { name: USER.to_owned(), authorized_keys, ..User::default() };
    let users = Users::new(vec![user], None).map_err(|_| "nobody may log in")?;
    let logs = vec![LogFile { name: LOG.to_owned(), path: files.log.clone(), log_format: None }];
    let options = ServerOptions {
        listeners: vec![listener],
        config: ServerConfig::new(vec![Arc::new(host_key)]),
        settings: Settings { users, logs, limits: Limits::default() },
        reload: None,
        notify: Notify::default(),
    };
    // A server stays on the thread that it was made on.
    let (begin, begun) = channel();
    let serve = move || {
        let server = WeblogServer::bind(options, false)?;
        let _nobody_waits = begin.send(server.stopper());
        server.run()
    };
    let serving = thread::Builder::new().name("server".to_owned()).spawn(serve).map_err(text)?;
    match begun.recv() {
        Ok(stopper) => Ok((port, stopper, serving)),
        Err(_) => Err(serving.join().ok().and_then(Result::err).unwrap_or("the server failed".to_owned())),
    }
}

/// What a person types to log in, whatever stands in his own files.
fn login(port: u16, files: &Files) -> String {
    let key = match files.key.display().to_string() {
        key if is_plain(&key) => format!("-i {key}"),
        key => option("IdentityFile", &key),
    };
    let known_hosts = option("UserKnownHostsFile", &files.known_hosts.display().to_string());
    format!("ssh -F none -p {port} {key} -o IdentitiesOnly=yes {known_hosts} {USER}@{HOST}")
}

/// A file by an option of ssh's, in words for a shell.
fn option(keyword: &str, path: &str) -> String {
    if is_plain(path) {
        return format!("-o {keyword}={path}");
    }
    let word = config::option(keyword, &path.replace('%', "%%"));
    format!("-o {}", String::from_utf8_lossy(&quoted(word.as_bytes())))
}

/// Whether a path means itself to a shell and to ssh.
fn is_plain(path: &str) -> bool {
    path.chars().all(|character| character.is_ascii_alphanumeric() || "/._-+".contains(character))
}

fn connection(port: u16, files: &Files) -> Options {
    let mut options = Options::new(&HOST.to_string());
    options.port = port;
    USER.clone_into(&mut options.user);
    options.identity_files = vec![files.key.clone()];
    options.config.identity_agent = AgentSocket(Some("none".to_owned())); // one might ask
    options.user_known_hosts_files = vec![files.known_hosts.clone()];
    options.global_known_hosts_files = Vec::new();
    options.strict_host_key_checking = StrictHostKeyChecking::Yes;
    options.batch_mode = true;
    options
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Makes the log, with hits of the time before.
fn write_before(log: &Path, generator: &mut Generator) -> io::Result<()> {
    let now = now();
    let lines = (0..BEFORE).rev().map(|ago| generator.line(now.saturating_sub(ago)));
    create_private(log, lines.collect::<String>().as_bytes())
}

/// Appends hits until the other end of `stopped` is dropped.
fn write(log: &Path, generator: &mut Generator, stopped: &Receiver<()>) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).open(log)?;
    while stopped.recv_timeout(generator.pause()) == Err(RecvTimeoutError::Timeout) {
        file.write_all(generator.line(now()).as_bytes())?;
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn text(error: io::Error) -> String {
    error.to_string()
}
