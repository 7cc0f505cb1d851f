//! `ssh-weblog` and `ssh-weblog-server` in short, on the system's allocator: `watch PORT KNOWN_HOSTS USER KEY
//! PATH QUESTIONS` and `serve PASSWORDS HOST_KEY LOG`. That the numbers of an RSA key, which ring frees as they are, are found
//! in its memory shows that they would be found in the programs', whose allocator wipes.
#![forbid(unsafe_code)]

use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use strombus::driver::config::{self, CommandLine, LoadError};
use strombus::driver::files;
use strombus::driver::passwords::Passwords;
use strombus::transport::ServerConfig;
use strombus::weblog::options::ViewOptions;
use strombus::weblog::serve::notify::Notify;
use strombus::weblog::serve::settings::{AuditForm, Limits, LogFile, Settings};
use strombus::weblog::serve::users::Users;
use strombus::weblog::serve::{ServerOptions, WeblogServer, audit};
use strombus::weblog::view::Destination;
use strombus::weblog::watch::{Place, Source, WatchOptions, watch};

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let done = match *words {
        ["watch", port, known_hosts, user, key, path, questions] => {
            follow([port, known_hosts, user, key, path, questions])
        }
        ["serve", passwords, host_key, log] => serve(passwords, host_key, log),
        _ => {
            Err("watch PORT KNOWN_HOSTS USER KEY PATH QUESTIONS, or serve PASSWORDS HOST_KEY LOG".to_owned())
        }
    };
    done.map_or_else(
        |text| {
            eprintln!("{text}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

fn follow(words: [&str; 6]) -> Result<(), String> {
    let [port, known_hosts, user, key, path, questions] = words;
    let line = CommandLine {
        host: "127.0.0.1".to_owned(),
        user: Some(user.to_owned()),
        options: vec![
            config::option("Port", port),
            config::option("UserKnownHostsFile", known_hosts),
            config::option("IdentityFile", key),
            config::option("KbdInteractiveAuthentication", questions),
        ],
        file: Some("none".into()),
    };
    let told = |error: LoadError| error.text().to_owned();
    watch(WatchOptions {
        sources: vec![Source { name: "log".to_owned(), place: Place::Host { host: 0, path: path.into() } }],
        hosts: vec![config::load(&line).map_err(told)?.options().map_err(told)?],
        view: ViewOptions::default(),
        destination: Destination::default(),
        log_format: None,
        start: None,
        with_rotated: false,
        follow: true,
        via: None,
        retry: None,
        state: None,
        sorted: false,
        quiet: false,
        verbose: true,
        seconds: None,
    })
    .map_err(|error| error.to_string())?;
    Ok(())
}

fn serve(passwords: &str, host_key: &str, log: &str) -> Result<(), String> {
    let passwords = String::from_utf8(files::read_text(passwords.as_ref()).map_err(|e| e.to_string())?)
        .map_err(|_| "not UTF-8")?;
    let passwords = Passwords::parse(&passwords, None).map_err(|(_, why)| why)?;
    let users = Users::new(Vec::new(), Some(passwords)).map_err(|_| "nobody may log in")?;
    let host_key = files::read_private_key(host_key.as_ref()).map_err(|error| error.to_string())?;
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    audit::start(AuditForm::Text).map_err(|error| error.to_string())?;
    let logs = vec![LogFile { name: "log".to_owned(), path: log.into(), log_format: None }];
    let server = WeblogServer::bind(
        ServerOptions {
            listeners: vec![listener],
            config: ServerConfig::new(vec![Arc::new(host_key)]),
            settings: Settings { users, logs, limits: Limits::default() },
            reload: None,
            notify: Notify::default(),
        },
        true,
    )?;
    eprintln!("listening on {address}");
    server.run()
}
