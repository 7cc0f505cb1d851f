//! What may take its time, done beside the loop: names are slow to look up, and hosts to answer.
//!
//! A bounded number of threads do one thing each and wake the loop; what is beyond waits for its turn. A peer has its share of
//! the threads, so that hosts of its choice that never answer leave others theirs. What is done is not known here.

use super::{Key, PeerId};
use core::time::Duration;
use mio::Waker;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// The threads at a time.
pub const DIALS_MAX: usize = 64;

/// Those of one peer. Its share is taken up until they end, whether it is still there or not.
pub const DIALS_OF_PEER_MAX: usize = 16;

/// What waits for a thread.
pub const DIALS_WAITING_MAX: usize = 1024;

/// How long a host may take to be connected to, all its addresses together. A name is the system's to give up.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(30);

/// What a thread does.
type Job<T> = Box<dyn FnOnce() -> io::Result<T> + Send>;

/// What something is done for.
pub(super) trait Asker: Copy + Send + 'static {
    /// Whose it is.
    fn peer(self) -> PeerId;
}

impl Asker for PeerId {
    fn peer(self) -> PeerId {
        self
    }
}

impl Asker for Key {
    fn peer(self) -> PeerId {
        self.0
    }
}

/// Does things for whoever has a key.
pub(super) struct Dialer<K, T> {
    waker: Arc<Waker>,
    send: Sender<(K, io::Result<T>)>,
    outcomes: Receiver<(K, io::Result<T>)>,
    /// Whose they are, once for each.
    running: Vec<PeerId>,
    waiting: VecDeque<(K, Job<T>)>,
    max: usize,
}

impl<K: Asker, T: Send + 'static> Dialer<K, T> {
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        let (send, outcomes) = channel();
        Self { waker, send, outcomes, running: Vec::new(), waiting: VecDeque::new(), max: DIALS_MAX }
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
        let peer = outcome.0.peer();
        if let Some(at) = self.running.iter().position(|of| *of == peer) {
            self.running.swap_remove(at);
        }
        self.advance();
        Some(outcome)
    }

    /// Does not begin what waits for these.
    pub(super) fn forget(&mut self, is: impl Fn(K) -> bool) {
        self.waiting.retain(|(key, _)| !is(*key));
    }

    fn tell(&mut self, key: K, error: io::Error) {
        self.running.push(key.peer()); // it is taken off as any other
        let _held_here = self.send.send((key, Err(error)));
        let _next_time = self.waker.wake();
    }

    fn advance(&mut self) {
        while self.running.len() < self.max
            && let Some((key, job)) = self.next()
        {
            let (send, waker) = (self.send.clone(), Arc::clone(&self.waker));
            let dial = move || {
                let _nobody_waits = send.send((key, job()));
                let _gone = waker.wake();
            };
            match thread::Builder::new().name("dial".to_owned()).spawn(dial) {
                Ok(_) => self.running.push(key.peer()),
                Err(error) => self.tell(key, error),
            }
        }
    }

    /// The first whose peer has not its share of the threads.
    fn next(&mut self) -> Option<(K, Job<T>)> {
        let running = |peer| self.running.iter().filter(|of| **of == peer).count();
        let may = |(key, _): &(K, _)| running(key.peer()) < DIALS_OF_PEER_MAX;
        let at = self.waiting.iter().position(may)?;
        self.waiting.remove(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::connect::connect_by;
    use mio::{Events, Poll, Token};
    use std::net::TcpListener;
    use std::sync::Mutex;

    /// A job of a peer's.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Of(usize, usize);

    impl Asker for Of {
        fn peer(self) -> PeerId {
            PeerId { slot: self.0, generation: 1 }
        }
    }

    fn dialer<T: Send + 'static>() -> (Dialer<Of, T>, Poll) {
        let poll = Poll::new().unwrap();
        (Dialer::new(Arc::new(Waker::new(poll.registry(), Token(0)).unwrap())), poll)
    }

    /// Jobs that wait until the gate is dropped.
    fn gate() -> (Sender<()>, impl Fn() -> Job<()>) {
        let (open, gate) = channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let job = move || -> Job<()> {
            let gate = Arc::clone(&gate);
            Box::new(move || {
                let _opened = gate.lock().unwrap().recv();
                Ok(())
            })
        };
        (open, job)
    }

    /// All outcomes that are still to come.
    fn rest<T: Send + 'static>(dialer: &mut Dialer<Of, T>, poll: &mut Poll) -> Vec<Of> {
        let (mut came, mut events) = (Vec::new(), Events::with_capacity(4));
        while !dialer.running.is_empty() {
            poll.poll(&mut events, None).unwrap();
            while let Some((key, outcome)) = dialer.outcome() {
                assert!(outcome.is_ok() && dialer.running.len() <= dialer.max);
                came.push(key);
            }
        }
        came
    }

    #[test]
    fn no_more_threads_connect_than_the_bound_and_what_waits_has_its_bound_too() {
        let (mut dialer, mut poll) = dialer();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        dialer.max = 0;
        for n in 0..=DIALS_WAITING_MAX {
            dialer.start(Of(0, n), Box::new(move || connect_by("127.0.0.1", port, DIAL_TIMEOUT)));
        }
        assert_eq!((dialer.running.len(), dialer.waiting.len()), (1, DIALS_WAITING_MAX));
        let (key, outcome) = dialer.outcome().unwrap();
        assert_eq!(
            (key, outcome.unwrap_err().to_string().as_str()),
            (Of(0, DIALS_WAITING_MAX), "too many connections are being made")
        );
        dialer.waiting.truncate(20);
        dialer.max = 2;
        dialer.advance();
        let mut came = rest(&mut dialer, &mut poll);
        came.sort();
        assert_eq!(came, (0..20).map(|n| Of(0, n)).collect::<Vec<_>>());
    }

    #[test]
    fn so_many_threads_there_are_by_default() {
        let (mut dialer, mut poll) = dialer();
        let (open, job) = gate();
        for n in 0..DIALS_MAX + 5 {
            dialer.start(Of(n, 0), job());
        }
        assert_eq!((dialer.running.len(), dialer.waiting.len()), (DIALS_MAX, 5));
        drop(open);
        assert_eq!(rest(&mut dialer, &mut poll).len(), DIALS_MAX + 5);
    }

    #[test]
    fn hosts_that_never_answer_one_peer_leave_the_others_their_threads() {
        let (mut dialer, mut poll) = dialer();
        let (open, job) = gate();
        for n in 0..DIALS_OF_PEER_MAX + 5 {
            dialer.start(Of(0, n), job());
        }
        assert_eq!((dialer.running.len(), dialer.waiting.len()), (DIALS_OF_PEER_MAX, 5));
        // Though it comes last.
        dialer.start(Of(1, 0), Box::new(|| Ok(())));
        poll.poll(&mut Events::with_capacity(4), None).unwrap();
        let came = loop {
            if let Some((key, _)) = dialer.outcome() {
                break key;
            }
        };
        assert_eq!(came, Of(1, 0));
        // The first is gone, and nothing more is begun for it.
        dialer.start(Of(2, 0), job());
        dialer.forget(|of| of.0 == 0);
        assert_eq!((dialer.running.len(), dialer.waiting.len()), (DIALS_OF_PEER_MAX + 1, 0));
        drop(open);
        assert_eq!(rest(&mut dialer, &mut poll).len(), DIALS_OF_PEER_MAX + 1);
    }
}
