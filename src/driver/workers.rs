//! Many cores: workers, each a thread with a loop, peers, timers and an instance of the program of its own.
//!
//! ```text
//! first worker   listener ─▶ gate ─▶ whoever has the fewest peers ─┬─▶ itself
//!                                                                  └─▶ channel of another, and its waker
//! every worker   makes the connections of the peers that it was handed: no other thread ever sees them
//! ```
//!
//! Shared are the gate, for its bounds are the process's; how many peers each has; and how far the end has come. A program
//! shares more if it wants to. Peers stay for hours and leave as they like: handed round by turns, they would gather in some
//! workers; so the one with the fewest gets the next. A worker whose channel is full is passed over, for its program is
//! busy; the first keeps what nobody takes, because it is the one that surely runs.
//!
//! It does not know what a connection is for, nor why a program is done.

use super::gate::Gate;
use super::listener::Newcomer;
use super::{Application, Context, Driver, Error, Peers};
use crate::connection::Connection;
use crate::userauth::UserauthSide;
use core::num::NonZero;
use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use mio::Waker;
use mio::net::TcpListener;
use std::io;
use std::net::SocketAddr;
use std::panic;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, MutexGuard};
use std::thread;
use std::time::Instant;

/// The most workers.
pub const WORKERS_MAX: usize = 256;

/// Peers that were handed to a worker and wait for it to take them.
pub const INBOX_MAX: usize = 64;

/// Loops that share a listener, each on a thread of its own; the first on the thread that runs them.
///
/// Ids of peers and sources are those of one loop: a program that tells others of them adds which worker it is.
///
/// # The end
/// Everything ends together, so that a process is never half alive. A program that is done ends the loops of all workers,
/// whichever worker it is of; and so does an error of [`Application::source`] and a panic. The exception is a program that
/// stopped listening before: all others are told of that ([`Application::stopped_listening`]) and each goes on with the
/// peers that it has until it is done itself. A program that blocks holds up the end of all.
pub struct Workers<S: UserauthSide, A> {
    drivers: Vec<Driver<S, A>>,
}

impl<S: UserauthSide, A: Application<S> + Send> Workers<S, A>
where
    Connection<S>: Send,
{
    /// Loops without peers; 0 are as many as the process has cores. `make` is called once for each, with the number of the
    /// worker, from 0, and the waker of its loop. One is the same as a [`Driver`]: no thread is started.
    ///
    /// # Errors
    /// More than [`WORKERS_MAX`], the system's, and those of `make`.
    pub fn new(count: usize, mut make: impl FnMut(usize, Arc<Waker>) -> io::Result<A>) -> io::Result<Self> {
        let count = match count {
            0 => thread::available_parallelism().map_or(1, NonZero::get).min(WORKERS_MAX),
            1..=WORKERS_MAX => count,
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many workers")),
        };
        let drivers = (0..count).map(|index| Driver::with_waker(|waker| make(index, waker)));
        let mut drivers = drivers.collect::<io::Result<Vec<_>>>()?;
        if count > 1 {
            Seat::set(&mut drivers);
        }
        Ok(Self { drivers })
    }

    /// Accepts peers, whoever they are and however many; each worker has its own copy of `accept`.
    ///
    /// # Errors
    /// The system's.
    pub fn listen(
        &mut self,
        socket: TcpListener,
        accept: impl FnMut(SocketAddr, Instant) -> Connection<S> + Clone + Send + 'static,
    ) -> io::Result<()> {
        let Some((first, others)) = self.drivers.split_first_mut() else { return Ok(()) };
        for driver in others {
            driver.accept = Some(Box::new(accept.clone()));
        }
        first.listen(socket, Box::new(accept))
    }

    /// Accepts peers from another socket, too, as from the first.
    ///
    /// # Errors
    /// The system's.
    pub fn listen_at(&mut self, socket: TcpListener) -> io::Result<()> {
        self.drivers.first_mut().map_or(Ok(()), |first| first.listen_at(socket))
    }

    /// Accepts the peers that `gate` admits; its bounds are those of all workers together.
    ///
    /// # Errors
    /// The system's.
    pub fn listen_behind(
        &mut self,
        gate: Gate,
        socket: TcpListener,
        accept: impl FnMut(SocketAddr, Instant) -> Connection<S> + Clone + Send + 'static,
    ) -> io::Result<()> {
        let gate = Arc::new(gate.into());
        for driver in &mut self.drivers {
            driver.gate = Some(Arc::clone(&gate));
        }
        self.listen(socket, accept)
    }

    /// The gate, to look at its numbers; no peer comes or goes as long as it is held.
    #[must_use]
    pub fn gate(&self) -> Option<MutexGuard<'_, Gate>> {
        self.drivers.first()?.gate()
    }

    /// Runs something for each worker's program outside of its turn, before or after [`run`](Self::run).
    ///
    /// # Errors
    /// Those of `act`.
    pub fn with(
        &mut self,
        mut act: impl FnMut(&mut A, &mut Context<'_>, &mut Peers<'_, S>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.drivers.iter_mut().try_for_each(|driver| driver.with(&mut act))
    }

    /// Runs all loops until they have ended; no thread is left then. Once.
    ///
    /// # Errors
    /// The system has no thread left, and what ended a loop. The end of a connection is not one.
    ///
    /// # Panics
    /// Goes on with the panic of a program, wherever it was.
    pub fn run(&mut self) -> Result<(), Error> {
        let Some((first, others)) = self.drivers.split_first_mut() else { return Ok(()) };
        thread::scope(|scope| {
            let end = End::of(first);
            let mut threads = Vec::with_capacity(others.len());
            for (index, driver) in (1..).zip(others) {
                let thread = thread::Builder::new().name(format!("worker {index}"));
                threads.push(thread.spawn_scoped(scope, || End::of(driver).after(driver))?);
            }
            let mut result = end.after(first);
            for thread in threads {
                let other = thread.join().unwrap_or_else(|payload| panic::resume_unwind(payload));
                result = result.and(other);
            }
            result
        })
    }
}

/// How far the end has come; it only goes on.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Stage {
    Open,
    /// A program has stopped listening, and the first worker has to.
    Asked,
    /// It has: nobody is handed to anyone any more.
    Stopped,
    /// All loops end.
    Over,
}

/// What the workers have in common.
struct Crew {
    workers: Vec<Worker>,
    /// A [`Stage`].
    stage: AtomicU8,
}

/// A worker, as the others see it.
struct Worker {
    inbox: SyncSender<Newcomer>,
    waker: Arc<Waker>,
    peers: AtomicUsize,
    /// In the inbox. Only the first worker adds to it.
    waiting: AtomicUsize,
}

impl Crew {
    fn reach(&self, stage: Stage) {
        if self.stage.fetch_max(stage as u8, Ordering::AcqRel) < stage as u8 {
            for worker in &self.workers {
                let _it_has_ended = worker.waker.wake();
            }
        }
    }

    fn has_reached(&self, stage: Stage) -> bool {
        self.stage.load(Ordering::Acquire) >= stage as u8
    }

    /// Hands a peer to another worker than the first, or back.
    fn hand(&self, newcomer: Newcomer) -> Option<Newcomer> {
        let takes = |(index, worker): &(usize, &Worker)| *index == 0 || worker.has_room();
        let chosen = self.workers.iter().enumerate().filter(takes).min_by_key(|(_, worker)| worker.load());
        let Some((1.., worker)) = chosen else { return Some(newcomer) };
        worker.waiting.fetch_add(1, Ordering::Relaxed);
        match worker.inbox.try_send(newcomer) {
            Ok(()) => {
                let _it_has_ended = worker.waker.wake();
                None
            }
            Err(TrySendError::Full(newcomer) | TrySendError::Disconnected(newcomer)) => {
                worker.waiting.fetch_sub(1, Ordering::Relaxed);
                Some(newcomer)
            }
        }
    }
}

impl Worker {
    fn has_room(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) < INBOX_MAX
    }

    fn load(&self) -> usize {
        self.peers.load(Ordering::Relaxed) + self.waiting.load(Ordering::Relaxed)
    }
}

/// A loop's place among the workers.
pub(super) struct Seat {
    crew: Arc<Crew>,
    index: usize,
    inbox: Receiver<Newcomer>,
}

impl Seat {
    /// Makes workers of loops.
    fn set<S: UserauthSide, A>(drivers: &mut [Driver<S, A>]) {
        let (mut workers, mut inboxes) = (Vec::new(), Vec::new());
        for driver in &*drivers {
            let (sender, inbox) = sync_channel(INBOX_MAX);
            let (peers, waiting) = (AtomicUsize::new(0), AtomicUsize::new(0));
            workers.push(Worker { inbox: sender, waker: Arc::clone(&driver.waker), peers, waiting });
            inboxes.push(inbox);
        }
        let crew = Arc::new(Crew { workers, stage: AtomicU8::new(Stage::Open as u8) });
        for (index, (driver, inbox)) in drivers.iter_mut().zip(inboxes).enumerate() {
            driver.seat = Some(Self { crew: Arc::clone(&crew), index, inbox });
        }
    }

    fn own(&self) -> Option<&Worker> {
        self.crew.workers.get(self.index)
    }

    fn take(&self) -> Option<Newcomer> {
        self.inbox.try_recv().ok()
    }
}

/// What a worker needs of the others; a loop without others is done when its program is.
impl<S: UserauthSide, A: Application<S>> Driver<S, A> {
    pub(super) fn is_over(&self) -> bool {
        self.app.is_done() || self.seat.as_ref().is_some_and(|seat| seat.crew.has_reached(Stage::Over))
    }

    /// Tells how many peers there are.
    pub(super) fn tell_number(&self) {
        if let Some(worker) = self.seat.as_ref().and_then(Seat::own) {
            worker.peers.store(self.peers.len(), Ordering::Relaxed);
        }
    }

    /// Hands a peer to another worker, or back.
    pub(super) fn hand_on(&self, newcomer: Newcomer) -> Option<Newcomer> {
        match &self.seat {
            Some(seat) => seat.crew.hand(newcomer),
            None => Some(newcomer),
        }
    }

    /// Takes the peers that it was handed, and hears whether more can come.
    pub(super) fn hear(&mut self) -> Result<(), Error> {
        let Some(seat) = &self.seat else {
            if !self.listening {
                self.listeners.clear();
            }
            return Ok(());
        };
        if !self.listening {
            seat.crew.reach(Stage::Asked);
        }
        if seat.index == 0 && seat.crew.has_reached(Stage::Asked) {
            self.listeners.clear();
            seat.crew.reach(Stage::Stopped);
        }
        // Looked at before the inbox is, for the last peer was put there before.
        let stopped = seat.crew.has_reached(Stage::Stopped) && !seat.crew.has_reached(Stage::Over);
        // Of those that come meanwhile the waker tells again.
        for _ in 0..INBOX_MAX {
            let Some(newcomer) = self.seat.as_ref().and_then(Seat::take) else { break };
            let _the_system_cannot_watch_it = self.welcome(newcomer, Instant::now());
            if let Some(worker) = self.seat.as_ref().and_then(Seat::own) {
                worker.waiting.fetch_sub(1, Ordering::Relaxed);
            }
        }
        if stopped && core::mem::replace(&mut self.listening, false) {
            self.with(Application::stopped_listening)?;
        }
        Ok(())
    }
}

/// The end of a worker, which is that of all: whatever way it comes, a panic too.
struct End {
    /// None if it is that of this one alone.
    crew: Option<Arc<Crew>>,
}

impl End {
    fn of<S: UserauthSide, A>(driver: &Driver<S, A>) -> Self {
        Self { crew: driver.seat.as_ref().map(|seat| Arc::clone(&seat.crew)) }
    }

    fn after<S: UserauthSide, A: Application<S>>(mut self, driver: &mut Driver<S, A>) -> Result<(), Error> {
        driver.run()?;
        if let Some(crew) = self.crew.take_if(|crew| crew.has_reached(Stage::Asked))
            && driver.seat.as_ref().is_some_and(|seat| seat.index == 0)
        {
            driver.listeners.clear(); // it may have been asked after it was done
            crew.reach(Stage::Stopped);
        }
        Ok(())
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if let Some(crew) = &self.crew {
            crew.reach(Stage::Over);
        }
    }
}
