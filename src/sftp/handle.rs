//! The handles of a server: which it gave out, for what, and how many (draft §6.3).
//!
//! A handle is a place in a table and a number that no other handle of the channel ever had, so that one of a closed file
//! means nothing. It does not know the file.

use core::borrow::Borrow;

/// What a handle is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleKind {
    /// Of OPEN.
    File,
    /// Of OPENDIR.
    Directory,
}

/// A handle that a server gave out, or will if the request is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle {
    bytes: [u8; 12],
}

impl Handle {
    pub(super) const fn new(slot: u32, generation: u64) -> Self {
        let ([a, b, c, d], [e, f, g, h, i, j, k, l]) = (slot.to_be_bytes(), generation.to_be_bytes());
        Self { bytes: [a, b, c, d, e, f, g, h, i, j, k, l] }
    }

    /// Its place, below the number of handles at a time; free for another only once CLOSE was answered.
    #[must_use]
    pub const fn slot(&self) -> usize {
        let [a, b, c, d, ..] = self.bytes;
        u32::from_be_bytes([a, b, c, d]) as usize
    }
}

impl AsRef<[u8]> for Handle {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// It is found by its bytes, too.
impl Borrow<[u8]> for Handle {
    fn borrow(&self) -> &[u8] {
        &self.bytes
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Opening,
    Open,
    Closing,
}

/// All handles of a channel.
#[derive(Debug)]
pub(super) struct Handles {
    slots: Vec<Option<(Handle, HandleKind, State)>>,
    generation: u64,
    max: usize,
}

impl Handles {
    pub(super) const fn new(max: usize) -> Self {
        Self { slots: Vec::new(), generation: 0, max }
    }

    /// A handle for what is being opened; `None` at the bound.
    pub(super) fn reserve(&mut self, kind: HandleKind) -> Option<Handle> {
        let slot = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if slot >= self.max {
            return None;
        }
        self.generation += 1;
        let handle = Handle::new(u32::try_from(slot).ok()?, self.generation);
        if slot == self.slots.len() {
            self.slots.push(None);
        }
        *self.slots.get_mut(slot)? = Some((handle, kind, State::Opening));
        Some(handle)
    }

    /// The open handle of these bytes, if it is of the kind.
    pub(super) fn find(&self, bytes: &[u8], kind: Option<HandleKind>) -> Option<Handle> {
        let slot = u32::from_be_bytes(*bytes.first_chunk()?);
        match self.slots.get(usize::try_from(slot).ok()?) {
            Some(Some((handle, of, State::Open)))
                if handle.as_ref() == bytes && kind.is_none_or(|kind| kind == *of) =>
            {
                Some(*handle)
            }
            _ => None,
        }
    }

    pub(super) fn opened(&mut self, handle: Handle) {
        self.set(handle, State::Open);
    }

    /// From now on it means nothing to the client.
    pub(super) fn closing(&mut self, handle: Handle) {
        self.set(handle, State::Closing);
    }

    /// Its place is free.
    pub(super) fn free(&mut self, handle: Handle) {
        if let Some(slot) = self.slots.get_mut(handle.slot()) {
            *slot = None;
        }
    }

    /// Those that are open or about to be.
    pub(super) fn len(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    fn set(&mut self, handle: Handle, to: State) {
        if let Some(Some((_, _, state))) = self.slots.get_mut(handle.slot()) {
            *state = to;
        }
    }
}
