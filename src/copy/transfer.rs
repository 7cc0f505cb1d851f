//! One file's bytes: READs and WRITEs that are many at a time.
//!
//! What comes is written in the order of the file, so that what is there is whole up to its end, whatever happens next; what
//! came too early waits, within the bound for all bytes under way.

use super::progress::Bar;
use super::remote::{Failure, Handle, Remote, Transfer};
use crate::driver::stdio::Output;
use crate::sftp::Request;
use core::cell::RefCell;
use core::task::{Context, Poll, Waker};
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

/// The smallest block that a server which answers short is asked for (bytes; OpenSSH: the same).
const BLOCK_MIN: u32 = 512;

/// A piece that came too early and is smaller than this (bytes) takes in what comes behind it: what holds the pieces is little
/// beside their bytes, however short a server answers.
const PIECE_MIN: usize = 4096;

/// Where bytes go.
pub(super) enum Sink {
    /// At their offset.
    File(Rc<File>),
    /// For comparison.
    Memory(Vec<u8>),
    /// Standard output; what it holds is freed as it is written.
    Out(Rc<Output>),
}

impl Sink {
    /// Takes what comes next; returns how many of the bytes are done with.
    fn write(&mut self, offset: u64, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write_all_at(data, offset)?,
            Self::Memory(memory) => memory.extend_from_slice(data),
            Self::Out(out) => {
                out.push(data);
                return Ok(0);
            }
        }
        Ok(data.len())
    }
}

/// A file, or a part of one, that is being read.
pub(super) struct Incoming(RefCell<Reading>);

struct Reading {
    sink: Sink,
    bar: Bar,
    /// All before this is in the sink.
    next: u64,
    /// All before this was asked for.
    ask: u64,
    /// The size, as far as it is known: beyond it one READ at a time looks for the end.
    known: u64,
    /// Nothing from here on is wanted.
    until: u64,
    block: u32,
    /// What short answers left out.
    again: VecDeque<(u64, u32)>,
    /// What came too early.
    early: BTreeMap<u64, Vec<u8>>,
    in_flight: usize,
    eof: Option<u64>,
    failed: Option<Failure>,
    waker: Option<Waker>,
}

impl Incoming {
    /// Reads from `from` on up to the end of a file that is known to have `known` bytes, or up to `until`.
    pub(super) fn new(sink: Sink, bar: Bar, block: u32, from: u64, known: u64, until: u64) -> Rc<Self> {
        Rc::new(Self(RefCell::new(Reading {
            sink,
            bar,
            next: from,
            ask: from,
            known,
            until,
            block,
            again: VecDeque::new(),
            early: BTreeMap::new(),
            in_flight: 0,
            eof: None,
            failed: None,
            waker: None,
        })))
    }

    /// The size is known better now.
    pub(super) fn know(&self, size: u64) {
        let mut reading = self.0.borrow_mut();
        reading.known = size;
    }

    /// DATA came; returns how many bytes are done with, of these or of earlier ones.
    pub(super) fn data(&self, offset: u64, len: u32, data: &[u8]) -> usize {
        let mut reading = self.0.borrow_mut();
        let done = reading.data(offset, len, data);
        reading.answered();
        done
    }

    /// There is nothing at this offset.
    pub(super) fn eof(&self, offset: u64, len: u32) -> usize {
        let mut reading = self.0.borrow_mut();
        reading.eof = Some(reading.eof.map_or(offset, |eof| eof.min(offset)));
        reading.answered();
        len as usize
    }

    /// It cannot be read.
    pub(super) fn fail(&self, len: u32, failure: Failure) -> usize {
        let mut reading = self.0.borrow_mut();
        reading.failed.get_or_insert(failure);
        reading.answered();
        len as usize
    }

    /// It is not to be read.
    pub(super) fn fail_all(&self, failure: Failure) {
        let mut reading = self.0.borrow_mut();
        reading.failed.get_or_insert(failure);
        if let Some(waker) = reading.waker.take() {
            waker.wake();
        }
    }

    /// Reads all of it.
    pub(super) async fn read(self: &Rc<Self>, remote: &Remote, handle: &Handle) -> Result<u64, Failure> {
        core::future::poll_fn(|cx| {
            loop {
                let mut reading = self.0.borrow_mut();
                if let Some(failure) = reading.failed.clone() {
                    remote.free(reading.drop_early());
                    return Poll::Ready(Err(failure));
                }
                reading.waker = Some(cx.waker().clone());
                let Some((offset, len)) = reading.wanted() else {
                    if reading.in_flight > 0 {
                        return Poll::Pending;
                    }
                    let end = reading.end();
                    remote.free(reading.drop_early());
                    return Poll::Ready(end);
                };
                if !remote.may_transfer(len as usize, cx) {
                    return Poll::Pending;
                }
                reading.asked(offset, len);
                drop(reading);
                let token = Transfer::Read { to: Rc::clone(self), offset, len };
                if let Err(failure) =
                    remote.transfer(token, &Request::Read { handle: handle.bytes(), offset, len })
                {
                    return Poll::Ready(Err(failure));
                }
            }
        })
        .await
    }

    /// How it ended, by what is known now.
    pub(super) fn end(&self) -> Result<u64, Failure> {
        self.0.borrow().end()
    }

    /// What was read for comparison.
    pub(super) fn into_memory(self: Rc<Self>) -> Vec<u8> {
        match core::mem::replace(&mut self.0.borrow_mut().sink, Sink::Memory(Vec::new())) {
            Sink::Memory(memory) => memory,
            _ => Vec::new(),
        }
    }
}

impl Reading {
    /// What is to be asked for next.
    fn wanted(&mut self) -> Option<(u64, u32)> {
        let end = self.eof.unwrap_or(u64::MAX).min(self.until);
        while let Some((offset, len)) = self.again.front().copied() {
            if offset < end {
                return Some((offset, len));
            }
            self.again.pop_front();
        }
        if self.eof.is_some() || self.ask >= self.until {
            return None;
        }
        // Beyond what is known only one, and that once all before it was answered or is under way.
        if self.ask > self.known && self.in_flight > 0 {
            return None;
        }
        let known = if self.ask < self.known { self.known } else { u64::MAX };
        let len = known.min(self.until) - self.ask;
        Some((self.ask, u32::try_from(len).unwrap_or(u32::MAX).min(self.block)))
    }

    fn asked(&mut self, offset: u64, len: u32) {
        self.in_flight += 1;
        if self.again.front() == Some(&(offset, len)) {
            self.again.pop_front();
        } else {
            self.ask = offset.saturating_add(len.into());
        }
    }

    fn answered(&mut self) {
        self.in_flight -= 1;
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn data(&mut self, offset: u64, len: u32, data: &[u8]) -> usize {
        let came = u32::try_from(data.len()).unwrap_or(len);
        let missing = len.saturating_sub(came);
        if missing > 0 {
            let from = offset.saturating_add(came.into());
            self.again.push_back((from, missing));
            if from < self.known {
                self.block = self.block.min(came.max(BLOCK_MIN));
            }
        }
        // What is asked for again is counted again.
        let missing = missing as usize;
        if self.failed.is_some() {
            return missing + data.len();
        }
        if offset != self.next {
            self.hold(offset, data);
            return missing;
        }
        let mut done = missing + self.write(data);
        while let Some(data) = self.early.remove(&self.next) {
            done += self.write(&data);
        }
        done
    }

    fn hold(&mut self, offset: u64, data: &[u8]) {
        match self.early.range_mut(..offset).next_back() {
            Some((at, piece))
                if piece.len() < PIECE_MIN && at.checked_add(piece.len() as u64) == Some(offset) =>
            {
                piece.extend_from_slice(data);
            }
            _ => drop(self.early.insert(offset, data.to_vec())),
        }
    }

    fn write(&mut self, data: &[u8]) -> usize {
        match self.sink.write(self.next, data) {
            Ok(done) => {
                self.next += data.len() as u64;
                self.bar.advance(data.len() as u64);
                done
            }
            Err(error) => {
                self.failed.get_or_insert(error.into());
                data.len()
            }
        }
    }

    /// What came too early is of no use; returns how many bytes it was.
    fn drop_early(&mut self) -> usize {
        core::mem::take(&mut self.early).values().map(Vec::len).sum()
    }

    /// Nothing is under way, and nothing is wanted any more.
    fn end(&self) -> Result<u64, Failure> {
        if !self.early.is_empty() {
            return Err(Failure::new("it changed while it was copied"));
        }
        let expected = self.known.min(self.until);
        if self.next < expected {
            let text = format!("ended after {} of {expected} bytes", self.next);
            return Err(Failure::new(text));
        }
        Ok(self.next)
    }
}

/// A file that is being written.
#[derive(Default)]
pub(super) struct Outgoing(RefCell<Writing>);

#[derive(Default)]
struct Writing {
    bar: Bar,
    in_flight: usize,
    failed: Option<Failure>,
    waker: Option<Waker>,
}

impl Outgoing {
    pub(super) fn new(bar: Bar) -> Rc<Self> {
        Rc::new(Self(RefCell::new(Writing { bar, ..Writing::default() })))
    }

    /// A WRITE was answered.
    pub(super) fn written(&self, len: usize, result: Result<(), Failure>) {
        let mut writing = self.0.borrow_mut();
        writing.in_flight -= 1;
        match result {
            Ok(()) => writing.bar.advance(len as u64),
            Err(failure) => drop(writing.failed.get_or_insert(failure)),
        }
        if let Some(waker) = writing.waker.take() {
            waker.wake();
        }
    }

    /// Sends the file from `from` on, up to its end, and returns that; what was sent is not acknowledged yet.
    pub(super) async fn send(
        self: &Rc<Self>,
        remote: &Remote,
        handle: &Handle,
        file: &File,
        from: u64,
    ) -> Result<u64, Failure> {
        let block = remote.write_len() as usize;
        // What was read and not sent yet.
        let (mut buffer, mut read) = (Vec::new(), None);
        let mut offset = from;
        core::future::poll_fn(|cx| {
            loop {
                if let Some(failure) = self.failure(cx) {
                    return Poll::Ready(Err(failure));
                }
                let n = match read.take() {
                    Some(n) => n,
                    None => {
                        buffer.resize(block, 0);
                        match read_block(file, &mut buffer, offset) {
                            Ok(n) => n,
                            Err(error) => return Poll::Ready(Err(error.into())),
                        }
                    }
                };
                let data = buffer.get(..n).unwrap_or_default();
                if data.is_empty() {
                    return Poll::Ready(Ok(offset));
                }
                if !remote.may_transfer(n, cx) {
                    read = Some(n);
                    return Poll::Pending;
                }
                let token = Transfer::Written { of: Rc::clone(self), len: data.len() };
                self.0.borrow_mut().in_flight += 1;
                if let Err(failure) =
                    remote.transfer(token, &Request::Write { handle: handle.bytes(), offset, data })
                {
                    return Poll::Ready(Err(failure));
                }
                offset += data.len() as u64;
            }
        })
        .await
    }

    /// Waits until all that was sent is acknowledged.
    pub(super) async fn acknowledged(&self) -> Result<(), Failure> {
        core::future::poll_fn(|cx| match self.failure(cx) {
            Some(failure) => Poll::Ready(Err(failure)),
            None if self.0.borrow().in_flight == 0 => Poll::Ready(Ok(())),
            None => Poll::Pending,
        })
        .await
    }

    /// Whether the server refused a WRITE.
    pub(super) fn has_failed(&self) -> bool {
        self.0.borrow().failed.is_some()
    }

    fn failure(&self, cx: &Context<'_>) -> Option<Failure> {
        let mut writing = self.0.borrow_mut();
        writing.waker = Some(cx.waker().clone());
        writing.failed.clone()
    }
}

/// As much as there is, up to a block.
fn read_block(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut n = 0;
    while let Some(rest) = buffer.get_mut(n..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + n as u64) {
            Ok(0) => break,
            Ok(read) => n += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// READs under way.
    const UNDER_WAY: usize = 64;

    #[test]
    fn answers_of_a_byte_are_kept_in_few_pieces_and_blocks_do_not_shrink_without_end() {
        let byte = |offset: u64| (offset % 251) as u8;
        let (block, len) = (2048, 200_000);
        let incoming = Incoming::new(Sink::Memory(Vec::new()), Bar::default(), block, 0, len, len);
        let (mut asked, mut most, mut smallest) = (VecDeque::new(), 0, block);
        loop {
            let mut reading = incoming.0.borrow_mut();
            while asked.len() < UNDER_WAY
                && let Some((offset, len)) = reading.wanted()
            {
                // As long as nothing is asked for again it is a new block.
                if reading.again.is_empty() && offset + u64::from(len) < reading.known {
                    smallest = smallest.min(len);
                }
                reading.asked(offset, len);
                asked.push_back((offset, len));
            }
            let held: usize = reading.early.values().map(Vec::len).sum();
            assert!(reading.early.len() <= UNDER_WAY + held / BLOCK_MIN as usize, "of {held} bytes");
            most = most.max(held);
            drop(reading);
            // The first one is not answered as long as there is another.
            let Some((offset, len)) = asked.remove(1) else { break };
            assert_eq!(incoming.data(offset, len, &[byte(offset)]), len as usize - 1);
        }
        assert_eq!((most, smallest), ((len - u64::from(block)) as usize, BLOCK_MIN));
        let (offset, first) = asked.pop_front().unwrap();
        assert_eq!((offset, first), (0, block));
        let data: Vec<_> = (0..len).map(byte).collect();
        assert_eq!(incoming.data(0, block, &data[..block as usize]), len as usize);
        assert_eq!(incoming.0.borrow().end().unwrap(), len);
        assert!(incoming.into_memory() == data);
    }
}
