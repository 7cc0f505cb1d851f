//! Questions that the application answers later, and the proof of which one an answer is to.

use core::sync::atomic::{AtomicU64, Ordering};

/// Of all connections in this process.
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

/// Names one question of one connection. It is given back by value with the verdict; one of another connection or attempt
/// changes nothing.
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket {
    connection: u64,
    attempt: u64,
}

/// The one question of a connection that may be open.
#[derive(Debug)]
pub(crate) struct Tickets {
    connection: u64,
    attempt: u64,
    open: bool,
}

impl Tickets {
    pub(crate) fn new() -> Self {
        Self { connection: CONNECTIONS.fetch_add(1, Ordering::Relaxed), attempt: 0, open: false }
    }

    /// Opens a question.
    pub(crate) const fn issue(&mut self) -> Ticket {
        self.attempt += 1;
        self.open = true;
        Ticket { connection: self.connection, attempt: self.attempt }
    }

    /// Closes the question, whatever the answer would be.
    pub(crate) const fn close(&mut self) {
        self.open = false;
    }

    /// Whether input waits for a verdict.
    pub(crate) const fn is_open(&self) -> bool {
        self.open
    }

    /// Closes the question, if `ticket` is on it. By value: a question is answered once.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used up")]
    pub(crate) const fn redeem(&mut self, ticket: Ticket) -> bool {
        let fits = self.open && ticket.connection == self.connection && ticket.attempt == self.attempt;
        if fits {
            self.open = false;
        }
        fits
    }
}
