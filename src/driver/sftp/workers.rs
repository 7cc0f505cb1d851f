//! Threads that do what sessions ask, started as they are needed.
//!
//! A [`Desk`] is a session's: its requests in their order, and its files. A worker sits down at one that has work, does a
//! few requests and goes on to the next, so a desk has one worker at a time. What comes of it goes to one queue, and the
//! loop is woken. It does not know the requests.

use super::files::Reply;
use super::served::Served;
use crate::sftp::Ticket;
use mio::Waker;
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Threads.
pub const THREADS_MAX: usize = 4;

/// Requests of a session that are done before another has its turn.
pub const TURN_MAX: usize = 16;

/// Buffers of what was read and asked that wait to be used again.
pub const SPARE_MAX: usize = 16;

/// Smaller ones are not worth it (bytes).
const SPARE_LEN_MIN: usize = 4096;

/// A request.
pub(super) struct Job {
    pub(super) ticket: Ticket,
    /// With its length.
    pub(super) packet: Vec<u8>,
}

/// What came of one; `K` says which session it is of.
pub(super) struct Done<K> {
    pub(super) key: K,
    pub(super) ticket: Ticket,
    pub(super) reply: Reply,
}

struct Pending {
    jobs: VecDeque<Job>,
    /// A worker is at it, or will come.
    is_ready: bool,
    is_gone: bool,
}

/// A session's.
pub(super) struct Desk<K> {
    key: K,
    pending: Mutex<Pending>,
    pub(super) files: Mutex<Option<Served>>,
}

impl<K> Desk<K> {
    pub(super) const fn new(key: K, files: Served) -> Self {
        let pending = Pending { jobs: VecDeque::new(), is_ready: false, is_gone: false };
        Self { key, pending: Mutex::new(pending), files: Mutex::new(Some(files)) }
    }

    fn next(&self) -> Option<Job> {
        lock(&self.pending).jobs.pop_front()
    }

    /// It is not done yet, unless nobody waits for it any more.
    fn put_back(&self, job: Job) {
        let mut pending = lock(&self.pending);
        if !pending.is_gone {
            pending.jobs.push_front(job);
        }
    }

    /// The worker gets up: whether another has to come, and whether the files are nobody's any more.
    fn leave(&self) -> (bool, bool) {
        let mut pending = lock(&self.pending);
        pending.is_ready = !pending.jobs.is_empty();
        (pending.is_ready, pending.is_gone)
    }
}

struct Room<K> {
    ready: VecDeque<Arc<Desk<K>>>,
    threads: usize,
    idle: usize,
    is_closed: bool,
}

struct Shared<K> {
    room: Mutex<Room<K>>,
    work: Condvar,
    spare: Mutex<Vec<Vec<u8>>>,
}

impl<K> Shared<K> {
    /// The next desk; nothing if the workers are to go.
    fn wait(&self) -> Option<Arc<Desk<K>>> {
        let mut room = lock(&self.room);
        loop {
            if room.is_closed {
                return None;
            }
            if let Some(desk) = room.ready.pop_front() {
                return Some(desk);
            }
            room.idle += 1;
            room = self.work.wait(room).unwrap_or_else(PoisonError::into_inner);
            room.idle -= 1;
        }
    }

    fn spare(&self) -> Vec<u8> {
        lock(&self.spare).pop().unwrap_or_default()
    }

    fn give_back(&self, buffer: Vec<u8>) {
        let mut spare = lock(&self.spare);
        if buffer.capacity() >= SPARE_LEN_MIN && spare.len() < SPARE_MAX {
            spare.push(buffer);
        }
    }
}

/// All of them.
pub(super) struct Workers<K> {
    shared: Arc<Shared<K>>,
    answer: Sender<Done<K>>,
    answers: Receiver<Done<K>>,
    waker: Arc<Waker>,
}

impl<K: Copy + Send + Sync + 'static> Workers<K> {
    /// None yet; `waker` is used after each answer.
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        let room = Room { ready: VecDeque::new(), threads: 0, idle: 0, is_closed: false };
        let shared = Shared { room: Mutex::new(room), work: Condvar::new(), spare: Mutex::new(Vec::new()) };
        let (answer, answers) = channel();
        Self { shared: Arc::new(shared), answer, answers, waker }
    }

    /// Does it later. Gives the ticket back if the system has no thread for it.
    pub(super) fn submit(&self, desk: &Arc<Desk<K>>, job: Job) -> Result<(), Ticket> {
        let mut pending = lock(&desk.pending);
        if !pending.is_ready && !self.ready(desk) {
            return Err(job.ticket);
        }
        pending.is_ready = true;
        pending.jobs.push_back(job);
        Ok(())
    }

    /// What waits is dropped, and the files are closed once nobody is at them.
    pub(super) fn end(&self, desk: &Arc<Desk<K>>) {
        let mut pending = lock(&desk.pending);
        pending.is_gone = true;
        pending.jobs.clear();
        // Without a thread nothing was opened.
        if !pending.is_ready && lock(&self.shared.room).threads > 0 {
            pending.is_ready = self.ready(desk);
        }
    }

    /// What has come.
    pub(super) fn answer(&self) -> Option<Done<K>> {
        self.answers.try_recv().ok()
    }

    /// An empty buffer.
    pub(super) fn buffer(&self) -> Vec<u8> {
        let mut buffer = self.shared.spare();
        buffer.clear();
        buffer
    }

    /// Takes back what was read, once it is sent.
    pub(super) fn give_back(&self, reply: Reply) {
        if let Reply::Data(buffer, _) = reply {
            self.shared.give_back(buffer);
        }
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn threads(&self) -> usize {
        lock(&self.shared.room).threads
    }

    /// A worker will come; whether there is one.
    fn ready(&self, desk: &Arc<Desk<K>>) -> bool {
        let mut room = lock(&self.shared.room);
        if room.ready.len() >= room.idle && room.threads < THREADS_MAX {
            let (shared, answer, waker) =
                (Arc::clone(&self.shared), self.answer.clone(), Arc::clone(&self.waker));
            let started =
                thread::Builder::new().name("sftp".to_owned()).spawn(move || work(&shared, &answer, &waker));
            room.threads += usize::from(started.is_ok());
        }
        if room.threads > 0 {
            room.ready.push_back(Arc::clone(desk));
            self.shared.work.notify_one();
        }
        room.threads > 0
    }
}

impl<K> Drop for Workers<K> {
    fn drop(&mut self) {
        let mut room = lock(&self.shared.room);
        room.is_closed = true;
        // Here, and not when a thread has seen that it is over: whoever ends the process may not wait for that.
        let waiting = core::mem::take(&mut room.ready);
        drop(room);
        self.shared.work.notify_all();
        drop(waiting);
    }
}

fn work<K: Copy>(shared: &Shared<K>, answer: &Sender<Done<K>>, waker: &Waker) {
    while let Some(desk) = shared.wait() {
        let mut files = lock(&desk.files);
        for _ in 0..TURN_MAX {
            let Some(Job { ticket, packet }) = desk.next() else { break };
            let reply = files.as_mut().map(|files| files.run(&packet, ticket.handle(), || shared.spare()));
            match reply {
                Some(Some(reply)) => {
                    shared.give_back(packet);
                    if answer.send(Done { key: desk.key, ticket, reply }).is_err() || waker.wake().is_err() {
                        return;
                    }
                }
                Some(None) => {
                    desk.put_back(Job { ticket, packet });
                    break;
                }
                None => {}
            }
        }
        let (is_ready, is_gone) = desk.leave();
        if is_gone {
            *files = None;
        }
        drop(files);
        if is_ready {
            lock(&shared.room).ready.push_back(desk);
            shared.work.notify_one();
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
