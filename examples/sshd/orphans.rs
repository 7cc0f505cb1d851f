//! Commands that outlive their sessions, until they end too.
//!
//! They are let be, as OpenSSH does it. Nothing is known here of what they are or were asked for by whom but the peer.

use super::child::Orphan;
use std::collections::{HashMap, VecDeque};
use std::process::Child;
use strombus::driver::{Context, PeerId, SourceId};

/// Commands of peers that are gone for whose end a descriptor is kept. Of more the first ones are looked at when another one
/// ends or a peer goes; how many processes a user may have is the system's to say.
const ORPHANS_MAX: usize = 64;

/// All of them.
#[derive(Default)]
pub struct Orphans {
    watched: HashMap<SourceId, (PeerId, Orphan)>,
    /// Of these those whose peer is gone; the first comes first.
    left: VecDeque<SourceId>,
    unwatched: Vec<Child>,
}

impl Orphans {
    /// Waits for one whose session is closed.
    pub fn keep(&mut self, peer: PeerId, id: SourceId, orphan: Orphan) {
        self.watched.insert(id, (peer, orphan));
    }

    /// How many there are of a peer that is still there.
    pub fn count(&self, peer: PeerId) -> usize {
        self.watched.values().filter(|(of, _)| *of == peer).count()
    }

    /// A descriptor is ready; whether one of these has ended.
    pub fn ended(&mut self, cx: &mut Context<'_>, id: SourceId) -> bool {
        let Some((_, orphan)) = self.watched.remove(&id) else { return false };
        self.left.retain(|of| *of != id);
        let _reaped = orphan.unwatch(cx, id).try_wait();
        self.look();
        true
    }

    /// The peer is gone.
    pub fn disconnect(&mut self, cx: &mut Context<'_>, peer: PeerId) {
        self.left.extend(self.watched.iter().filter(|(_, (of, _))| *of == peer).map(|(id, _)| *id));
        while self.left.len() > ORPHANS_MAX
            && let Some(id) = self.left.pop_front()
        {
            let orphan = self.watched.remove(&id);
            self.unwatched.extend(orphan.map(|(_, orphan)| orphan.unwatch(cx, id)));
        }
        self.look();
    }

    /// Waits for those of the unwatched that have ended.
    fn look(&mut self) {
        self.unwatched.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }
}
