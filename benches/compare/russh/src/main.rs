//! The peer with russh for benches/compare: a server that answers a few commands from memory, and a client that asks for them.
//!
//! ```text
//! peer server --host-key FILE --authorized-keys FILE [--cipher NAME] [--mac NAME] [--kex NAME]
//! peer client --port PORT --key FILE [--cipher NAME] [--mac NAME] [--kex NAME] [--pour BYTES] COMMAND
//! ```
//!
//! tokio's runtime has as many threads as `--threads` says, two by default. Sockets are without delay, windows 16 MiB, packets as
//! large as russh permits. The client counts what comes, or pours so many zeros, and fails unless the command ends with 0.
#![forbid(unsafe_code)]

mod client;
mod follow;
mod server;

use clap::{Args, Parser, Subcommand};
use russh::{Limits, Preferred};
use std::borrow::Cow;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

/// Of a channel, in either role (bytes).
const WINDOW: u32 = 16 << 20;

/// The largest that russh takes (bytes).
const PACKET_MAX: u32 = 65_535;

/// What is given to a channel at a time.
const BLOCK: usize = 256 * 1024;
static ZEROS: [u8; BLOCK] = [0; BLOCK];

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Parser)]
struct Arguments {
    /// Threads of the runtime
    #[arg(long, default_value_t = 2, global = true)]
    threads: usize,
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    Server(Server),
    Client(Client),
}

#[derive(Args)]
struct Server {
    #[command(flatten)]
    names: Names,
    #[arg(long)]
    host_key: PathBuf,
    #[arg(long)]
    authorized_keys: PathBuf,
}

#[derive(Args)]
struct Client {
    #[command(flatten)]
    names: Names,
    #[arg(long)]
    port: u16,
    #[arg(long)]
    key: PathBuf,
    /// Zeros to send
    #[arg(long, default_value_t = 0)]
    pour: u64,
    command: String,
}

/// The one algorithm of each kind; the library's own choice where none is named.
#[derive(Args)]
struct Names {
    #[arg(long)]
    cipher: Option<String>,
    #[arg(long)]
    mac: Option<String>,
    #[arg(long)]
    kex: Option<String>,
}

impl Names {
    fn preferred(&self) -> Outcome<Preferred> {
        let mut own = Preferred::DEFAULT;
        own.compression = Cow::Borrowed(&[russh::compression::NONE]);
        if let Some(name) = &self.cipher {
            own.cipher = Cow::Owned(vec![name.as_str().try_into().map_err(|()| unknown(name))?]);
        }
        if let Some(name) = &self.mac {
            own.mac = Cow::Owned(vec![name.as_str().try_into().map_err(|()| unknown(name))?]);
        }
        if let Some(name) = &self.kex {
            // The marks of extensions stand in the same list, and stay.
            let marks = own
                .kex
                .iter()
                .filter(|kex| kex.as_ref().contains("ext-info") || kex.as_ref().contains("strict"));
            let kex = [name.as_str().try_into().map_err(|()| unknown(name))?];
            own.kex = Cow::Owned(kex.into_iter().chain(marks.copied()).collect());
        }
        Ok(own)
    }
}

fn unknown(name: &str) -> String {
    format!("{name}: russh does not know it")
}

/// Keys are renewed as late as russh permits.
fn limits() -> Limits {
    Limits::default()
}

fn run(arguments: Arguments) -> Outcome<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(arguments.threads).enable_all().build()?;
    runtime.block_on(async {
        match arguments.role {
            Role::Server(options) => server::serve(options).await,
            Role::Client(options) => client::ask(options).await,
        }
    })
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peer: {error}");
            ExitCode::FAILURE
        }
    }
}
