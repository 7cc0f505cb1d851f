//! What a session is served from: a directory, or a tree that is nowhere so.

use super::files::{Files, Reply};
use super::tree::TreeFiles;
use super::{Descriptors, Service, Tree};
use crate::sftp::{Backend, Handle, Request, SftpServer, Ticket};
use std::sync::Arc;

/// One session's.
#[derive(Debug)]
pub(super) enum Served {
    Directory(Files),
    Tree(TreeFiles),
}

impl Served {
    pub(super) const fn directory(service: Arc<Service>, descriptors: Arc<Descriptors>) -> Self {
        Self::Directory(Files::new(service, descriptors))
    }

    pub(super) fn tree(tree: Arc<dyn Tree>, descriptors: Arc<Descriptors>) -> Self {
        Self::Tree(TreeFiles::new(tree, descriptors))
    }

    /// Does what a packet with its length asks; `opens` is the handle for what is opened by it, and what is read goes to
    /// `buffer`. Nothing if it is not done yet: the same again goes on with it.
    pub(super) fn run(
        &mut self,
        packet: &[u8],
        opens: Option<Handle>,
        buffer: impl FnOnce() -> Vec<u8>,
    ) -> Option<Reply> {
        match self {
            Self::Directory(files) => files.run(packet, opens, buffer),
            Self::Tree(files) => Some(files.run(packet, opens, buffer)),
        }
    }
}

/// Does at once what is asked: for a program in which nothing else waits.
#[derive(Debug)]
pub struct AtOnce(pub(super) Served);

impl AtOnce {
    /// For one client.
    #[must_use]
    pub fn new(service: Arc<Service>) -> Self {
        Self(Served::directory(service, Descriptors::shared()))
    }

    /// For one client of a tree.
    #[must_use]
    pub fn of_tree(tree: Arc<dyn Tree>) -> Self {
        Self(Served::tree(tree, Descriptors::shared()))
    }
}

impl Backend for AtOnce {
    fn handle_request(&mut self, ticket: Ticket, request: Request<'_, Handle>, server: &mut SftpServer) {
        let mut packet = Vec::new();
        request.encode(0, &mut packet);
        let reply = loop {
            if let Some(reply) = self.0.run(&packet, ticket.handle(), Vec::new) {
                break reply;
            }
        };
        // What does not fit is told to the client as a failure.
        let _told = server.answer(ticket, &reply.answer());
    }
}
