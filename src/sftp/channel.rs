//! SFTP on a channel of a [`Connection`]: data to packets, output to data, and credit for what was taken.
//!
//! Whoever asked for the session keeps it: opening the channel, the request for the subsystem, EOF and CLOSE are his. What
//! comes as standard error is text for people and no SFTP. A client's data is credited as it comes, since it asked for it; a
//! server's only while requests are taken, so that a client that does not read its answers stops.

use super::{Backend, ClientEvent, Reassembly, SftpClient, SftpServer, Step};
use crate::connection::{ChannelId, Connection};
use crate::transport::Error;
use crate::userauth::UserauthSide;
use crate::wire::Fault;

/// A client's end: the channel's `sftp` subsystem is on the other side.
#[derive(Debug)]
pub struct ClientChannel<T> {
    id: ChannelId,
    /// Requests and their answers. What was asked goes out by [`flush`](Self::flush).
    pub client: SftpClient<T>,
    reassembly: Reassembly,
}

impl<T> ClientChannel<T> {
    /// On a channel whose subsystem was granted; INIT goes out with the first [`flush`](Self::flush).
    #[must_use]
    pub fn new(id: ChannelId) -> Self {
        Self { id, client: SftpClient::new(), reassembly: Reassembly::new() }
    }

    /// Takes data of the channel; `act` is told of each event, and may ask more by the client that it is given.
    ///
    /// # Errors
    /// The server broke the protocol of SFTP: the channel should be closed.
    pub fn handle_data(
        &mut self,
        mut data: &[u8],
        mut act: impl FnMut(&mut SftpClient<T>, ClientEvent<'_, T>),
    ) -> Result<(), Fault> {
        loop {
            match self.client.handle_input(&mut self.reassembly, &mut data)? {
                Step::NeedInput | Step::Busy => return Ok(()),
                Step::Progress => {}
                Step::Event(event) => act(&mut self.client, event),
            }
        }
    }

    /// Writes what waits, as far as the channel takes it;
    /// [`poll_writable`](Connection::poll_writable) tells when to go on.
    ///
    /// # Errors
    /// The channel is gone.
    pub fn flush<S: UserauthSide>(&mut self, conn: &mut Connection<S>) -> Result<(), Error> {
        let n = conn.channel(self.id)?.write(self.client.output());
        self.client.consume_output(n);
        Ok(())
    }
}

/// A server's end.
#[derive(Debug)]
pub struct ServerChannel {
    id: ChannelId,
    /// Requests under way. Answers go out by [`pump`](Self::pump).
    pub server: SftpServer,
    reassembly: Reassembly,
    /// Bytes that came and were not credited, because they wait to be taken.
    owed: usize,
}

impl ServerChannel {
    /// On a channel whose subsystem is granted.
    #[must_use]
    pub const fn new(id: ChannelId, server: SftpServer) -> Self {
        Self { id, server, reassembly: Reassembly::new(), owed: 0 }
    }

    /// Takes data of the channel: each request goes to `backend`, which answers at once or later.
    ///
    /// # Errors
    /// Of the connection; or the client broke the protocol of SFTP, and the channel should be closed after what waits.
    pub fn handle_data<S: UserauthSide>(
        &mut self,
        conn: &mut Connection<S>,
        backend: &mut impl Backend,
        data: &[u8],
    ) -> Result<Result<(), Fault>, Error> {
        self.owed += data.len();
        let served = self.server.serve(backend, &mut self.reassembly, data);
        self.pump(conn, backend).map(|pumped| served.and(pumped))
    }

    /// Writes answers as far as the channel takes them, and takes the requests that waited for that. To be called once
    /// something was answered, and when the channel is named by [`poll_writable`](Connection::poll_writable).
    ///
    /// # Errors
    /// As [`handle_data`](Self::handle_data).
    pub fn pump<S: UserauthSide>(
        &mut self,
        conn: &mut Connection<S>,
        backend: &mut impl Backend,
    ) -> Result<Result<(), Fault>, Error> {
        let mut channel = conn.channel(self.id)?;
        loop {
            let n = channel.write(self.server.output());
            self.server.consume_output(n);
            if self.server.is_busy() {
                return Ok(Ok(()));
            }
            let waiting = self.reassembly.unread().len();
            let served = self.server.serve(backend, &mut self.reassembly, &[]);
            if !self.server.is_busy() {
                channel.adjust_window(core::mem::take(&mut self.owed))?;
            }
            if served.is_err() {
                let n = channel.write(self.server.output());
                self.server.consume_output(n);
            }
            if served.is_err() || self.reassembly.unread().len() == waiting {
                return Ok(served);
            }
        }
    }

    /// Bytes that came and wait to be taken, or for the rest of their packet: at most the channel's window and a packet.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.reassembly.unread().len()
    }

    /// Whether everything that came was answered, and all answers are written.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.server.in_flight() == 0 && self.server.output().is_empty()
    }
}
