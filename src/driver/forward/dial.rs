//! What may take its time, done beside the loop: names are slow to look up, and hosts to answer.
//!
//! A bounded number of threads do one thing each and wake the loop; what is beyond waits for its turn. Who asked, and what for, is
//! not known here.

use core::time::Duration;
use mio::Waker;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// The threads at a time.
pub const DIALS_MAX: usize = 64;

/// What waits for a thread.
pub const DIALS_WAITING_MAX: usize = 1024;

/// How long a host may take to be connected to, all its addresses together. A name is the system's to give up.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(30);

/// What a thread does.
type Job<T> = Box<dyn FnOnce() -> io::Result<T> + Send>;

/// Does things for whoever has a key.
pub(super) struct Dialer<K, T> {
    waker: Arc<Waker>,
    send: Sender<(K, io::Result<T>)>,
    outcomes: Receiver<(K, io::Result<T>)>,
    running: usize,
    waiting: VecDeque<(K, Job<T>)>,
    max: usize,
}

impl<K: Copy + Send + 'static, T: Send + 'static> Dialer<K, T> {
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        let (send, outcomes) = channel();
        Self { waker, send, outcomes, running: 0, waiting: VecDeque::new(), max: DIALS_MAX }
    }

    /// Starts; the outcome comes in time by [`outcome`](Self::outcome), and the loop is woken.
    pub(super) fn start(&mut self, key: K, job: Job<T>) {
        if self.waiting.len() >= DIALS_WAITING_MAX {
            return self.tell(key, io::Error::other("too many connections are being made"));
        }
        self.waiting.push_back((key, job));
        self.advance();
    }

    /// One that is there.
    pub(super) fn outcome(&mut self) -> Option<(K, io::Result<T>)> {
        let outcome = self.outcomes.try_recv().ok()?;
        self.running = self.running.saturating_sub(1);
        self.advance();
        Some(outcome)
    }

    fn tell(&mut self, key: K, error: io::Error) {
        self.running += 1; // it is taken off as any other
        let _held_here = self.send.send((key, Err(error)));
        let _next_time = self.waker.wake();
    }

    fn advance(&mut self) {
        while self.running < self.max
            && let Some((key, job)) = self.waiting.pop_front()
        {
            let (send, waker) = (self.send.clone(), Arc::clone(&self.waker));
            let dial = move || {
                let _nobody_waits = send.send((key, job()));
                let _gone = waker.wake();
            };
            match thread::Builder::new().name("dial".to_owned()).spawn(dial) {
                Ok(_) => self.running += 1,
                Err(error) => self.tell(key, error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::connect::connect_by;
    use mio::{Events, Poll, Token};
    use std::net::TcpListener;

    #[test]
    fn no_more_threads_connect_than_the_bound_and_what_waits_has_its_bound_too() {
        let mut poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut dialer = Dialer { max: 0, ..Dialer::new(waker) };
        for key in 0..=DIALS_WAITING_MAX {
            dialer.start(key, Box::new(move || connect_by("127.0.0.1", port, DIAL_TIMEOUT)));
        }
        assert_eq!((dialer.running, dialer.waiting.len()), (1, DIALS_WAITING_MAX));
        let (key, outcome) = dialer.outcome().unwrap();
        assert_eq!(
            (key, outcome.unwrap_err().to_string().as_str()),
            (DIALS_WAITING_MAX, "too many connections are being made")
        );
        dialer.waiting.truncate(20);
        dialer.max = 2;
        dialer.advance();
        let (mut came, mut events) = (Vec::new(), Events::with_capacity(4));
        while came.len() < 20 {
            assert!(dialer.running <= 2);
            poll.poll(&mut events, None).unwrap();
            while let Some((key, outcome)) = dialer.outcome() {
                assert!(outcome.is_ok());
                came.push(key);
            }
        }
        came.sort();
        assert_eq!((came, dialer.running), ((0..20).collect::<Vec<_>>(), 0));
    }

    #[test]
    fn so_many_threads_there_are_by_default() {
        let mut poll = Poll::new().unwrap();
        let mut dialer = Dialer::new(Arc::new(Waker::new(poll.registry(), Token(0)).unwrap()));
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let gate = Arc::new(std::sync::Mutex::new(gate));
        for key in 0..DIALS_MAX + 5 {
            let gate = Arc::clone(&gate);
            let wait = move || {
                let _opened = gate.lock().unwrap().recv();
                Ok(())
            };
            dialer.start(key, Box::new(wait));
        }
        assert_eq!((dialer.running, dialer.waiting.len()), (DIALS_MAX, 5));
        drop(open);
        let (mut ended, mut events) = (0, Events::with_capacity(4));
        while ended < DIALS_MAX + 5 {
            poll.poll(&mut events, None).unwrap();
            ended += core::iter::from_fn(|| dialer.outcome()).count();
        }
    }
}
