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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRng;
    use crate::tests::pair::all_output;
    use crate::transport::Client;
    use crate::userauth::ClientUserauthConfig;
    use std::time::Instant;

    #[test]
    fn no_more_buffers_wait_for_use_than_the_bound() {
        let mut pool = Pool::new();
        for n in 1..=SPARE_MAX + 5 {
            let user = ClientUserauthConfig { user_name: "ann".to_owned() };
            let rng = Box::new(SystemRng);
            let mut conn =
                Connection::<Client>::new(Default::default(), user, Default::default(), rng, Instant::now());
            pool.reclaim(&mut conn);
            assert!(
                conn.pending_output() > 0 && pool.spare.len() == n.min(SPARE_MAX + 1) - 1,
                "nothing is lost"
            );
            all_output(&mut conn);
            pool.reclaim(&mut conn);
            assert!(pool.spare.len() == n.min(SPARE_MAX) && !conn.send_buf().has_capacity());
        }
    }
}
