//! SSH-2 for both sides: a core without I/O, a loop around it, and programs that watch web logs over it.
//!
//! # The map
//!
//! Layers import strictly downward; a line belongs to the layer of the most special thing it names.
//!
//! ```text
//!  src/bin      arguments            ssh-weblog · ssh-weblog-server · ssh-weblog-cp
//!  weblog       log lines            records, views, following, the two programs
//!  copy         files of two hosts   the third: trees, partial files, what goes on where it was cut off
//!  driver       file descriptors     mio: turns, buffers, standard input and output; logins and ways to a host
//!  sftp         paths, handles       SFTP version 3, both sides: requests, answers, what is under way
//!  keys         files of keys        key files, certificates, authorized_keys, known_hosts, ssh_config, agents; formats only
//!  ───────────────────────────────── below here: no I/O, no clock, no operating system
//!  connection   channel numbers      RFC 4254, and the machine that joins the layers: Connection<Client | Server>
//!  userauth     user names           RFC 4252, 4256; what a login may do
//!  transport    sequence numbers     RFC 4253, 8308, strict key exchange: packets, negotiation, rekeying
//!  crypto       keys                 one algorithm a file, in place
//!  wire         bytes                RFC 4251: data types, messages, the table of who may send which when
//! ```
//!
//! # How it is used
//!
//! A [`Connection`](connection::Connection) is one side of an SSH connection as a state machine: bytes, time and randomness
//! go in as arguments, bytes and [`Event`](connection::Event)s come out. [`driver`] runs any number of them on a thread;
//! two of them in memory, a blocking socket or another runtime can do it by the same calls:
//!
//! ```
//! use std::{sync::Arc, time::Instant};
//! use strombus::connection::{Connection, Event, Step};
//! use strombus::crypto::{SystemRng, sign::PrivateKey};
//! use strombus::transport::{Client, RecvBuf, Server, ServerConfig};
//! use strombus::userauth::ClientUserauthConfig;
//!
//! let now = Instant::now();
//! let ann = ClientUserauthConfig { user_name: "ann".to_owned() };
//! let rng = || Box::new(SystemRng);
//! let host_key = Arc::new(PrivateKey::generate_ed25519(&mut SystemRng));
//! let fingerprint = host_key.public_key().fingerprint();
//! let server = ServerConfig::new(vec![host_key]);
//! let mut client = Connection::<Client>::new(Arc::default(), ann, Default::default(), rng(), now);
//! let mut server = Connection::<Server>::new(Arc::new(server), Default::default(), Default::default(), rng(), now);
//!
//! // What one has to send, the other gets; here until the client is asked whether this is the right server.
//! fn carry(from: &mut impl FnMut() -> Vec<u8>, to: &mut RecvBuf) {
//!     let bytes = from();
//!     to.space()[..bytes.len()].copy_from_slice(&bytes);
//!     to.filled(bytes.len());
//! }
//! let (mut up, mut down) = (RecvBuf::new(), RecvBuf::new());
//! let shown = 'asked: loop {
//!     carry(&mut || { let b = client.output().to_vec(); client.consume_output(b.len()); b }, &mut up);
//!     while let Step::Progress = server.handle_input(&mut up, now)? {}
//!     carry(&mut || { let b = server.output().to_vec(); server.consume_output(b.len()); b }, &mut down);
//!     loop {
//!         match client.handle_input(&mut down, now)? {
//!             Step::Event(Event::Kex(host)) => break 'asked host.key.fingerprint(),
//!             Step::NeedInput => break,
//!             _ => {}
//!         }
//!     }
//! };
//! assert_eq!(shown, fingerprint);
//! # Ok::<(), strombus::transport::Error>(())
//! ```
//!
//! # What is promised
//!
//! Bytes of a peer never panic, never allocate by a length that was not checked, and never block the loop. Each bound has a
//! name and a test that hits it. What the peer did wrong is a [`Fault`](wire::Fault), a constant beside the line that finds
//! it. Nothing is trusted by default: no host key, no user, no request.
#![forbid(unsafe_code)]
#![warn(
    missing_docs,
    unused_must_use,
    unreachable_pub,
    elided_lifetimes_in_paths,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::use_self,
    clippy::manual_let_else
)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation))]

pub mod connection;
#[cfg(feature = "programs")]
pub mod copy;
pub mod crypto;
#[cfg(feature = "driver")]
pub mod driver;
pub mod keys;
pub mod sftp;
pub mod transport;
pub mod userauth;
#[cfg(feature = "programs")]
pub mod weblog;
pub mod wire;

#[cfg(test)]
mod tests;
