//! Standard input and output beside the loop: a small thread each.
//!
//! Descriptors 0 to 2 are never made non-blocking nor registered: epoll refuses files, and O_NONBLOCK would reach the shell
//! that shares the terminal. A thread moves bytes between the descriptor and a bounded buffer, and wakes the loop. A descriptor
//! that does not block, because whoever started the program made it so, is waited for (rsync gives such ones).

use mio::Waker;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// What a buffer holds at the most (bytes).
pub const BUFFER_MAX: usize = 256 * 1024;

/// One read of standard input (bytes).
const CHUNK: usize = 64 * 1024;

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// Input: its end, maybe by an error. Output: nothing more will be pushed.
    ended: bool,
    /// The thread is writing what it took.
    busy: bool,
    written: usize,
    error: Option<io::Error>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, waker: &Waker, error: Option<io::Error>) {
        let mut state = self.lock();
        (state.ended, state.error) = (true, error);
        drop(state);
        let _ended = waker.wake();
    }

    fn wait<'g>(&self, guard: MutexGuard<'g, State>) -> MutexGuard<'g, State> {
        self.changed.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }
}

/// Standard input, or a FIFO, read by a thread.
pub struct Input(Arc<Shared>);

impl Input {
    /// Starts to read.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn spawn(waker: Arc<Waker>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(move || read(&theirs, &waker, io::stdin().as_fd()))?;
        Ok(Self(shared))
    }

    /// Starts to open a file and to read it to its end. One that can't be opened ends at once, with [that
    /// error](Self::take_error).
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn open(path: PathBuf, waker: Arc<Waker>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        thread::Builder::new().name("input".to_owned()).spawn(move || match File::open(path) {
            Ok(file) => read(&theirs, &waker, file.as_fd()),
            Err(error) => theirs.end(&waker, Some(error)),
        })?;
        Ok(Self(shared))
    }

    /// Offers what was read to `take`, which returns how many bytes it took. True once all of the input was taken.
    pub fn offer(&self, take: impl FnOnce(&[u8]) -> usize) -> bool {
        let mut state = self.0.lock();
        if !state.bytes.is_empty() {
            let taken = take(&state.bytes).min(state.bytes.len());
            state.bytes.drain(..taken);
            self.0.changed.notify_one();
        }
        state.ended && state.bytes.is_empty()
    }

    /// Why it could not be read to its end, if that is so; told once.
    pub fn take_error(&self) -> Option<io::Error> {
        self.0.lock().error.take()
    }
}

fn read(shared: &Shared, waker: &Waker, descriptor: BorrowedFd<'_>) {
    let mut chunk = vec![0; CHUNK];
    loop {
        let result = rustix::io::read(descriptor, &mut chunk);
        let mut state = shared.lock();
        match result {
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => {
                drop(state);
                wait_for(descriptor, PollFlags::IN);
                continue;
            }
            Ok(0) | Err(_) => {
                drop(state);
                return shared.end(waker, result.err().map(io::Error::from));
            }
            Ok(n) => {
                while state.bytes.len() + n > BUFFER_MAX {
                    state = shared.wait(state);
                }
                let first = state.bytes.is_empty();
                state.bytes.extend_from_slice(chunk.get(..n).unwrap_or_default());
                drop(state);
                if first {
                    let _ended = waker.wake();
                }
            }
        }
    }
}

/// Which descriptor an [`Output`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Descriptor {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Standard output or error, written by a thread.
pub struct Output(Arc<Shared>);

impl Output {
    /// Starts to write.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn spawn(descriptor: Descriptor, waker: Arc<Waker>) -> io::Result<Self> {
        match descriptor {
            Descriptor::Out => Self::to(io::stdout(), waker),
            Descriptor::Err => Self::to(io::stderr(), waker),
        }
    }

    /// Starts to write there.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(crate) fn to(out: impl AsFd + Send + 'static, waker: Arc<Waker>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let writes = move || write(&theirs, &waker, out.as_fd());
        thread::Builder::new().name("stdout".to_owned()).spawn(writes)?;
        Ok(Self(shared))
    }

    /// Notices, without anything being written, that nobody reads standard output any more: [`take_written`](Self::take_written)
    /// tells it as a broken pipe.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn watch(&self, waker: Arc<Waker>) -> io::Result<()> {
        let shared = Arc::clone(&self.0);
        thread::Builder::new().name("reader".to_owned()).spawn(move || {
            wait_for_end(io::stdout().as_fd());
            shared.lock().error = Some(io::ErrorKind::BrokenPipe.into());
            let _ended = waker.wake();
        })?;
        Ok(())
    }

    /// Takes bytes to write. What waits is bounded by the window of whoever sends them: credit is given for what
    /// [`take_written`](Self::take_written) says.
    pub fn push(&self, bytes: &[u8]) {
        self.0.lock().bytes.extend_from_slice(bytes);
        self.0.changed.notify_one();
    }

    /// Bytes written or thrown away since the last call. An error is told once; after it, everything is thrown away.
    pub fn take_written(&self) -> (usize, Option<io::Error>) {
        let mut state = self.0.lock();
        (core::mem::take(&mut state.written), state.error.take())
    }

    /// Whether all is written that was pushed. The waker tells of each change.
    #[must_use]
    pub fn is_written(&self) -> bool {
        let state = self.0.lock();
        !state.busy && state.bytes.is_empty()
    }

    /// Waits until all is written. The loop has ended by then.
    pub fn finish(&self) {
        let mut state = self.0.lock();
        state.ended = true;
        self.0.changed.notify_one();
        while state.busy || !state.bytes.is_empty() {
            state = self.0.wait(state);
        }
    }
}

fn write(shared: &Shared, waker: &Waker, descriptor: BorrowedFd<'_>) {
    let mut taken = Vec::new();
    let mut broken = false;
    loop {
        let mut state = shared.lock();
        while state.bytes.is_empty() {
            if state.ended {
                return;
            }
            state = shared.wait(state);
        }
        core::mem::swap(&mut taken, &mut state.bytes);
        state.busy = true;
        drop(state);
        let result = if broken { Ok(()) } else { write_all(descriptor, &taken) };
        let mut state = shared.lock();
        state.busy = false;
        state.written += taken.len();
        if let Err(error) = result {
            broken = true;
            state.error = Some(error);
        }
        drop(state);
        taken.clear();
        shared.changed.notify_all();
        // Only now: whoever is woken must find what was written, for nothing may ever wake him again.
        let _ended = waker.wake();
    }
}

fn write_all(descriptor: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(descriptor, bytes) {
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait_for(descriptor, PollFlags::OUT),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Returns once the descriptor may be ready.
fn wait_for(descriptor: BorrowedFd<'_>, flags: PollFlags) {
    let _again = poll(&mut [PollFd::from_borrowed_fd(descriptor, flags)], None);
}

/// Returns once the other end is closed; of what has none, never.
fn wait_for_end(descriptor: BorrowedFd<'_>) {
    let mut descriptors = [PollFd::from_borrowed_fd(descriptor, PollFlags::empty())];
    while !descriptors.iter().any(|it| it.revents().intersects(PollFlags::ERR | PollFlags::HUP)) {
        let _again = poll(&mut descriptors, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll, Token};
    use std::io::Read;

    /// Each wake-up is the only one: the sender has no credit for more until this is told.
    #[test]
    fn whoever_is_woken_finds_what_was_written() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut poll = Poll::new().unwrap();
        let waker = Waker::new(poll.registry(), Token(0)).unwrap();
        let output = Output(Arc::new(Shared::default()));
        let theirs = Arc::clone(&output.0);
        let thread = thread::spawn(move || write(&theirs, &waker, writer.as_fd()));
        let mut events = Events::with_capacity(1);
        for byte in 0..5000_u32 {
            output.push(&[byte as u8]);
            while events.is_empty() {
                poll.poll(&mut events, None).unwrap();
            }
            events.clear();
            assert_eq!(output.take_written().0, 1, "{byte}");
        }
        output.finish();
        thread.join().unwrap();
        let mut written = Vec::new();
        reader.read_to_end(&mut written).unwrap();
        assert!(written.iter().copied().eq((0..5000_u32).map(|byte| byte as u8)));
    }

    /// A pipe whose ends do not block, as rsync gives them.
    fn pipe_that_does_not_block() -> (io::PipeReader, io::PipeWriter) {
        let (reader, writer) = io::pipe().unwrap();
        for end in [reader.as_fd(), writer.as_fd()] {
            let flags = rustix::fs::fcntl_getfl(end).unwrap();
            rustix::fs::fcntl_setfl(end, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
        }
        (reader, writer)
    }

    #[test]
    fn descriptors_that_do_not_block_are_waited_for() {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let (own_reader, writer) = pipe_that_does_not_block();
        let (reader, own_writer) = pipe_that_does_not_block();
        let (output, input) = (Output(Arc::default()), Input(Arc::default()));
        let (theirs, wake) = (Arc::clone(&output.0), Arc::clone(&waker));
        let writing = thread::spawn(move || write(&theirs, &wake, writer.as_fd()));
        let (theirs, wake) = (Arc::clone(&input.0), waker);
        let reading = thread::spawn(move || read(&theirs, &wake, reader.as_fd()));
        // More than a pipe holds; nobody reads yet.
        let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        output.push(&bytes);
        // What comes out goes back in, a little at a time.
        let (mut block, mut came) = ([0; 1000], Vec::new());
        let all = bytes.len();
        while came.len() < all {
            if let Ok(n) = rustix::io::read(&own_reader, &mut block) {
                let mut rest = &block[..n];
                while !rest.is_empty() {
                    let n = rustix::io::write(&own_writer, rest).unwrap_or(0);
                    rest = &rest[n..];
                    input.offer(|bytes| {
                        came.extend_from_slice(bytes);
                        bytes.len()
                    });
                }
            }
            input.offer(|bytes| {
                came.extend_from_slice(bytes);
                bytes.len()
            });
        }
        drop(own_writer);
        output.finish();
        reading.join().unwrap();
        writing.join().unwrap();
        assert!(came == bytes && output.take_written().1.is_none());
        assert!(input.offer(|_| 0), "it ends at the end");
    }

    #[test]
    fn why_input_ends_before_its_end_is_told_once() {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let ended = |input: &Input| {
            while !input.offer(|_| 0) {
                thread::yield_now();
            }
            (input.take_error().map(|error| error.kind()), input.take_error().is_some())
        };
        let directory = tempfile::tempdir().unwrap();
        let empty = directory.path().join("empty");
        File::create(&empty).unwrap();
        for (path, kind) in [
            (directory.path().join("none"), Some(io::ErrorKind::NotFound)),
            (directory.path().to_owned(), Some(io::ErrorKind::IsADirectory)),
            (empty, None),
        ] {
            let input = Input::open(path, Arc::clone(&waker)).unwrap();
            assert_eq!(ended(&input), (kind, false));
        }
    }

    #[test]
    fn of_input_that_nobody_takes_no_more_is_read_than_the_buffer_holds() {
        let poll = Poll::new().unwrap();
        let waker = Waker::new(poll.registry(), Token(0)).unwrap();
        let ((reader, mut writer), input) = (io::pipe().unwrap(), Input(Arc::default()));
        let shared = Arc::clone(&input.0);
        let reading = thread::spawn(move || read(&shared, &waker, reader.as_fd()));
        let all = 4 * BUFFER_MAX;
        let writing = thread::spawn(move || io::Write::write_all(&mut writer, &vec![b'x'; all]).unwrap());
        // It fills up to where one more read might not fit; whatever little is taken then, it never holds more.
        let held = || {
            let mut held = 0;
            let ended = input.offer(|bytes| {
                held = bytes.len();
                usize::from(held > BUFFER_MAX - CHUNK)
            });
            assert!(held <= BUFFER_MAX && !ended, "{held}");
            held
        };
        while held() <= BUFFER_MAX - CHUNK {
            thread::yield_now();
        }
        let mut taken = 1;
        for _ in 0..10_000 {
            taken += usize::from(held() > BUFFER_MAX - CHUNK);
            thread::yield_now();
        }
        assert!(!writing.is_finished(), "the writer waits");
        while !input.offer(|bytes| {
            assert!(bytes.len() <= BUFFER_MAX);
            taken += bytes.len();
            bytes.len()
        }) {
            thread::yield_now();
        }
        writing.join().unwrap();
        reading.join().unwrap();
        assert_eq!(taken, all);
    }
}
