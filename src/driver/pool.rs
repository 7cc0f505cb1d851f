//! Buffers that the connections of a thread share, so that an idle one holds none.

use crate::connection::Connection;
use crate::transport::{RecvBuf, SendBuf};
use crate::userauth::UserauthSide;

/// Buffers that wait for use.
const SPARE_MAX: usize = 16;

pub(super) struct Pool {
    /// What a turn reads into.
    pub(super) input: RecvBuf,
    spare: Vec<SendBuf>,
}

impl Pool {
    pub(super) fn new() -> Self {
        Self { input: RecvBuf::new(), spare: Vec::new() }
    }

    /// Gives a connection that has no output a buffer to fill.
    pub(super) fn lend<S: UserauthSide>(&mut self, conn: &mut Connection<S>) {
        if conn.pending_output() == 0
            && !conn.send_buf().has_capacity()
            && let Some(buf) = self.spare.pop()
        {
            *conn.send_buf() = buf;
        }
    }

    /// Takes it back once all was sent.
    pub(super) fn reclaim<S: UserauthSide>(&mut self, conn: &mut Connection<S>) {
        if conn.pending_output() == 0 && conn.send_buf().has_capacity() {
            let buf = core::mem::take(conn.send_buf());
            if self.spare.len() < SPARE_MAX {
                self.spare.push(buf);
            }
        }
    }
}
