//! The feeds there are, and who is at which.
//!
//! It does not know what is shown in them.

use super::caps::{Full, Share};
use super::feed::{Feed, Place};
use super::receipts::Since;
use super::session::{Asked, User};
use crate::weblog::view::Run;
use slab::Slab;
use std::collections::BTreeMap;

/// Feeds at a time: views that are different, and those with a report or an alert of their own.
pub const FEEDS_MAX: usize = 256;

/// Feeds that one user is at, where there are others.
pub const FEEDS_OF_USER_MAX: usize = FEEDS_MAX / 4;

pub(super) struct Feeds {
    feeds: Slab<Watched>,
    pub(super) share: Share,
    /// Sessions that found no room.
    pub(super) refused: u64,
}

/// A feed, with how many sessions of each user are at it.
struct Watched {
    feed: Feed,
    users: BTreeMap<User, usize>,
}

impl Feeds {
    pub(super) const fn new(share: Share) -> Self {
        Self { feeds: Slab::new(), share, refused: 0 }
    }

    /// Whether there is room for one more, which a user is at, beside the feeds and `others`, of which `own` are this user's.
    ///
    /// # Errors
    /// There is none; that is counted.
    pub(super) fn room(&mut self, user: &User, others: usize, own: usize) -> Result<(), Full> {
        self.room_beside(self.feeds.len() + others, user, own)
    }

    fn room_beside(&mut self, all: usize, user: &User, own: usize) -> Result<(), Full> {
        let of_user = self.feeds.iter().filter(|(_, watched)| watched.users.contains_key(user)).count();
        let fits = self.share.fits(all, of_user + own);
        self.refused += u64::from(fits.is_err());
        fits
    }

    /// A session watches from now on: in a feed of the same view, if there is one. `since` is what receipts begin with.
    ///
    /// # Errors
    /// There is none, and no room for it.
    pub(super) fn join(
        &mut self,
        user: &User,
        asked: &Asked,
        run: Run,
        since: Since,
        records: usize,
    ) -> Result<(usize, Place), Full> {
        let Asked { view, logs, crlf, .. } = asked;
        let is_same = |watched: &Watched| !run.is_private() && watched.feed.is(view, logs, *crlf);
        let same = self.feeds.iter().find(|(_, watched)| is_same(watched));
        let number = match same.map(|(number, watched)| (number, watched.users.contains_key(user))) {
            Some((number, true)) => number,
            Some((number, false)) => {
                // It takes room from nobody now, but is his alone when the others leave.
                self.room_beside(0, user, 0)?;
                number
            }
            None => {
                self.room(user, 0, 0)?;
                let feed = Feed::new(run, logs.clone(), *crlf, records, since);
                self.feeds.insert(Watched { feed, users: BTreeMap::new() })
            }
        };
        let watched = self.feeds.get_mut(number).ok_or(Full::All)?;
        *watched.users.entry(User::clone(user)).or_default() += 1;
        Ok((number, watched.feed.join()))
    }

    /// A session goes. A feed that nobody is at is forgotten.
    pub(super) fn leave(&mut self, number: usize, place: &Place, user: &User) {
        let Some(Watched { feed, users }) = self.feeds.get_mut(number) else { return };
        feed.leave(place);
        if let Some(count) = users.get_mut(user) {
            *count -= 1;
            if *count == 0 {
                users.remove(user);
            }
        }
        if feed.is_idle() {
            self.feeds.remove(number);
        }
    }

    pub(super) fn get(&self, number: usize) -> Option<&Feed> {
        self.feeds.get(number).map(|watched| &watched.feed)
    }

    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut Feed> {
        self.feeds.get_mut(number).map(|watched| &mut watched.feed)
    }

    /// All, with their numbers.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Feed)> {
        self.feeds.iter_mut().map(|(number, watched)| (number, &mut watched.feed))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Feed> {
        self.feeds.iter().map(|(_, watched)| &watched.feed)
    }
}
