//! SFTP version 3 over a channel, for both sides, without I/O (draft-ietf-secsh-filexfer-02; OpenSSH PROTOCOL §4 for the extensions).
//!
//! Bytes of a channel's data come in through a [`Reassembly`], which makes packets of them wherever they were cut; a
//! [`SftpClient`] matches answers with requests, a [`SftpServer`] knows handles and what is under way, and what is to be
//! written to the channel waits in their output. Payload is borrowed from where it landed; what comes as a whole packet is
//! not copied here.
//!
//! ```text
//! CHANNEL_DATA ──▶ Reassembly ──packet──▶ SftpClient ──▶ Answer, with the token of its request
//!                             ──packet──▶ SftpServer ──▶ Request, with a Ticket for its answer
//! ```
//!
//! Where the bytes go is the caller's affair; here both sides are in one place:
//!
//! ```
//! use strombus::sftp::*;
//!
//! struct Nothing;
//! impl Backend for Nothing {
//!     fn handle_request(&mut self, ticket: Ticket, _: Request<'_, Handle>, server: &mut SftpServer) {
//!         server.answer_status(ticket, StatusCode::NO_SUCH_FILE).expect("every request may fail");
//!     }
//! }
//!
//! let (mut client, mut server) = (SftpClient::new(), SftpServer::new(ServerLimits::default()));
//! let (mut up, mut down) = (Reassembly::new(), Reassembly::new());
//! let code = 'answered: loop {
//!     server.serve(&mut Nothing, &mut up, client.output())?;
//!     client.consume_output(client.output().len());
//!     let mut data = server.output();
//!     loop {
//!         match client.handle_input(&mut down, &mut data)? {
//!             Step::NeedInput => break,
//!             Step::Event(ClientEvent::Ready) => {
//!                 client.request("my question", &Request::Stat { path: b"/etc/motd" }).expect("it is ready");
//!             }
//!             Step::Event(ClientEvent::Answer { token: "my question", answer: Answer::Status(status) }) => {
//!                 break 'answered status.code;
//!             }
//!             _ => {}
//!         }
//!     }
//!     server.consume_output(server.output().len());
//! };
//! assert_eq!(code, StatusCode::NO_SUCH_FILE);
//! # Ok::<(), strombus::wire::Fault>(())
//! ```
//!
//! A packet that breaks the protocol is a [`Fault`](crate::wire::Fault): it ends the channel, not the connection. Each bound
//! has a name here. What comes on standard error is text for people and nothing of SFTP.
//!
//! [`ClientChannel`] and [`ServerChannel`] join them to a channel of a [`Connection`](crate::connection::Connection).
//!
//! This layer does not know files and directories, does not judge which paths may be used, and never reads a fact out of a `longname`. Names and messages of the peer are bytes: escape them before they are shown.
#![warn(clippy::indexing_slicing)]

mod answer;
mod attributes;
mod channel;
mod client;
mod extension;
mod handle;
mod name;
mod output;
mod reassembly;
mod request;
mod server;
mod status;

pub use answer::{Answer, Expected};
pub use attributes::{Attributes, Pairs};
pub use channel::{ClientChannel, ServerChannel};
pub use client::{
    ANSWER_OF_ANOTHER_TYPE, ClientEvent, ClientLimits, DATA_EXCEEDS_REQUEST, EMPTY_DATA, EXTENSIONS_LEN_MAX,
    EXTENSIONS_TOO_LONG, HANDLE_TOO_LONG, IN_FLIGHT_MAX, LEN_DEFAULT, LEN_OUT_OF_BOUNDS, NOT_ONE_NAME,
    NOT_READY, NOT_VERSION, PACKET_LEN_DEFAULT, REQUEST_TOO_LONG, STATUS_WITHOUT_ANSWER, SftpClient,
    TOO_MUCH_ASKED, UNKNOWN_ID, UNSUPPORTED_EXTENSION, WRONG_VERSION,
};
pub use extension::{Extension, Limits, PackedIds, PackedStrings, StatVfs};
pub use handle::{Handle, HandleKind};
pub use name::{Name, Names, NamesBuf, is_component};
pub use reassembly::{EMPTY_PACKET, KEPT_MAX, PACKET_TOO_LONG, Reassembly, TOO_MUCH_KEPT};
pub use request::{Pflags, Request, split};
pub use server::{
    ANSWER_TOO_LONG, Backend, NOT_INIT, SECOND_INIT, STALE_TICKET, ServerLimits, SftpServer, Ticket,
    VERSION_TOO_LOW, WORK_LEN_MAX, WRONG_ANSWER,
};
pub use status::{Status, StatusCode};

/// The version that is spoken (OpenSSH: the same, and no other).
pub const VERSION: u32 = 3;
/// The longest packet in bytes, its length not counted (OpenSSH: the same).
pub const PACKET_LEN_MAX: usize = 256 * 1024;
/// The most bytes that a READ or a WRITE moves (OpenSSH: the same).
pub const LEN_MAX: u32 = 256 * 1024 - 1024;
/// The longest handle (bytes; draft §6.3).
pub const HANDLE_LEN_MAX: usize = 256;
/// The longest path in a request (bytes; PATH_MAX of Linux).
pub const PATH_LEN_MAX: usize = 4096;
/// Of unsent output (bytes), from which on nothing is added to it but what is owed.
pub const OUTPUT_MARK: usize = 512 * 1024;

/// What one call of `handle_input` did: at most one packet.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Step<E> {
    /// No whole packet is there.
    NeedInput,
    /// So much is under way or unsent that no packet is taken: [`keep`](Reassembly::keep) what is left, and come again once
    /// something was answered or sent. Never at a client.
    Busy,
    /// A packet that the application need not know of.
    Progress,
    /// A packet that it should.
    Event(E),
}

#[cfg(test)]
mod tests;
