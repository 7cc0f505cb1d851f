//! How much there may be at once of what costs memory or work for as long as somebody wants it, and how much of it one user may
//! have, so that the others always get something.
//!
//! It does not know what is counted.

use super::dash::{DASHBOARDS_MAX, DASHBOARDS_OF_USER_MAX};
use super::feeds::{FEEDS_MAX, FEEDS_OF_USER_MAX};
use super::jobs::{JOBS_MAX, JOBS_OF_USER_MAX};
use super::logs::{FILES_MAX, LOG_BYTES_MAX};
use super::session::UNREAD_MAX;

/// What there may be at the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caps {
    pub(super) feeds: Share,
    pub(super) dashboards: Share,
    pub(super) jobs: Share,
    /// Bytes of a user's reports.
    pub(super) unread: usize,
    /// Bytes of lines of a log.
    pub(super) log_bytes: usize,
    /// Of a log that is a pattern.
    pub(super) files: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            feeds: Share { all: FEEDS_MAX, of_user: FEEDS_OF_USER_MAX },
            dashboards: Share { all: DASHBOARDS_MAX, of_user: DASHBOARDS_OF_USER_MAX },
            jobs: Share { all: JOBS_MAX, of_user: JOBS_OF_USER_MAX },
            unread: UNREAD_MAX,
            log_bytes: LOG_BYTES_MAX,
            files: FILES_MAX,
        }
    }
}

impl Caps {
    /// The same where there are so many users: who is alone takes nothing from anybody.
    pub(super) fn of_users(mut self, users: usize) -> Self {
        if users <= 1 {
            for share in [&mut self.feeds, &mut self.dashboards, &mut self.jobs] {
                share.of_user = share.all;
            }
        }
        self
    }
}

/// A number of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) all: usize,
    /// One user's.
    pub(super) of_user: usize,
}

/// Why there is no room for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// All users together have as many as there may be.
    All,
    /// This user has as many as one may have: so many.
    OfUser(usize),
}

impl Share {
    /// Whether one more fits where there are so many, `of_user` of them this user's.
    ///
    /// # Errors
    /// It does not.
    pub(super) const fn fits(self, all: usize, of_user: usize) -> Result<(), Full> {
        if of_user >= self.of_user {
            return Err(Full::OfUser(self.of_user));
        }
        if all >= self.all { Err(Full::All) } else { Ok(()) }
    }
}
