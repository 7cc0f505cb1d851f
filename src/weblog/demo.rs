//! `ssh-weblog demo`: everything on this machine. A log that grows, a server on a free port of the loopback interface, and a
//! client that logs in to it: the same code as everywhere else, over a real socket.

use super::client::{WatchOptions, watch};
use super::generate::Generator;
use super::serve::notify::Notify;
use super::serve::settings::{Limits, LogFile, Settings};
use super::serve::users::{Rights, Users};
use super::serve::{ServerOptions, WeblogServer};
use super::view::View;
use crate::crypto::SystemRng;
use crate::crypto::sign::PrivateKey;
use crate::driver::accounts::{Account, Accounts, Names};
use crate::driver::files::create_private;
use crate::driver::options::{Options, StrictHostKeyChecking};
use crate::keys::known_hosts::{self, Host, NameForm};
use crate::keys::{private_key, public_key};
use crate::tell;
use crate::transport::ServerConfig;
use crate::userauth::{Method, MethodChains};
use core::time::Duration;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

/// Between two hits: some twenty a second.
const BETWEEN_HITS: Duration = Duration::from_millis(50);

const HOST: Ipv4Addr = Ipv4Addr::LOCALHOST;
const USER: &str = "demo";

/// Runs the demonstration, and returns the exit status; without `seconds` until Ctrl-C.
///
/// # Errors
/// A text for the user.
pub fn run(seconds: Option<u64>, view: View) -> Result<u8, String> {
    let directory = tempfile::Builder::new().prefix("ssh-weblog-demo").tempdir().map_err(text)?; // mode 0700
    let (log, authorized_keys, key_file, known_hosts) = (
        directory.path().join("access.log"),
        directory.path().join("authorized_keys"),
        directory.path().join("id_ed25519"),
        directory.path().join("known_hosts"),
    );
    let mut rng = SystemRng;
    let key = PrivateKey::generate_ed25519(&mut rng);
    let contents =
        private_key::write(&key, "ssh-weblog demo", &mut rng).map_err(|error| error.to_string())?;
    create_private(&key_file, contents.as_bytes()).map_err(text)?;
    File::create_new(&log).map_err(text)?;
    let line = public_key::write(&key.public_key(), "").map_err(|error| error.to_string())?;
    create_private(&authorized_keys, line.as_bytes()).map_err(text)?;
    let account = Account { authorized_keys: vec![authorized_keys], ..Account::default() };
    let host_key = PrivateKey::generate_ed25519(&mut rng);
    let public_host_key = host_key.public_key();
    let listener = TcpListener::bind((HOST, 0)).map_err(text)?;
    listener.set_nonblocking(true).map_err(text)?;
    let port = listener.local_addr().map_err(text)?.port();
    let users = Users {
        accounts: Accounts::new(Names::Of([(USER.into(), account)].into())),
        passwords: None,
        methods: MethodChains::any_of(&[Method::Publickey]),
        rights: [(USER.into(), Rights::default())].into(),
    };
    let logs = vec![LogFile { name: "access".to_owned(), path: log.clone(), log_format: None }];
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
    let Ok(stopper) = begun.recv() else {
        return serving.join().map_err(|_| "the server failed")?.map(|()| 0);
    };
    let host = Host::new(&HOST.to_string(), port).map_err(|error| error.to_string())?;
    let line = known_hosts::line_to_append(b"", &host, &public_host_key, NameForm::Plain);
    create_private(&known_hosts, line.as_bytes()).map_err(text)?;

    tell!("From another terminal, while this runs:");
    tell!(
        "ssh -p {port} -i {} -o IdentitiesOnly=yes -o UserKnownHostsFile={} {USER}@{HOST}",
        key_file.display(),
        known_hosts.display()
    );
    let (stop, stopped) = channel();
    let writing = thread::Builder::new()
        .name("writer".to_owned())
        .spawn(move || write(&log, &stopped))
        .map_err(text)?;

    let watched = watch(WatchOptions {
        connection: connection(port, &key_file, &known_hosts),
        command: "tail --show raw".to_owned(),
        source: "access".to_owned(),
        view,
        quiet: false,
        verbose: false,
        seconds,
    });
    drop(stop);
    stopper.stop();
    let served = serving.join().map_err(|_| "the server failed")?;
    let written = writing.join().map_err(|_| "the writer failed")?;
    served.and(written.map_err(text)).and(watched)
}

fn connection(port: u16, key_file: &Path, known_hosts: &Path) -> Options {
    let mut options = Options::new(&HOST.to_string());
    options.port = port;
    USER.clone_into(&mut options.user);
    options.identity_files = vec![key_file.to_owned()];
    options.user_known_hosts_files = vec![known_hosts.to_owned()];
    options.global_known_hosts_files = Vec::new();
    options.strict_host_key_checking = StrictHostKeyChecking::Yes;
    options.batch_mode = true;
    options
}

/// Appends hits until the other end of `stopped` is dropped.
fn write(log: &Path, stopped: &Receiver<()>) -> std::io::Result<()> {
    let mut file = OpenOptions::new().append(true).open(log)?;
    let mut generator = Generator::new(2003);
    while stopped.recv_timeout(BETWEEN_HITS) == Err(RecvTimeoutError::Timeout) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        file.write_all(generator.line(now).as_bytes())?;
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn text(error: std::io::Error) -> String {
    error.to_string()
}
