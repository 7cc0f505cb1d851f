//! Who is let in before anything is known of him: bounds on connections, and penalties for sources that misbehave.
//!
//! The rules are those of sshd_config(5) of OpenSSH 10: `MaxStartups`, `PerSourceMaxStartups`, `PerSourceNetBlockSize`,
//! `PerSourcePenalties`; and bounds that hold after the login too. A gate holds numbers. It does not know sockets nor SSH:
//! the loop asks it when a peer has come, and tells it of the login and of the end. What it holds is bounded by its own
//! configuration, and a connection costs it the logarithm of that, taken over all connections.

mod config;
mod penalties;

pub use config::{GateConfig, NetBlock, Overflow, Penalties, Startups};

use crate::crypto::Rng;
use crate::userauth::Origin;
use core::fmt;
use core::time::Duration;
use penalties::Penalised;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

/// The program is told of one refusal in this time, and of the number of the others.
const REFUSALS_PERIOD: Duration = Duration::from_secs(1);

/// A source: an address, or all addresses of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Block {
    V4(u32),
    V6(u128),
}

/// What a source has.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    /// Those without a login among its connections.
    startups: u32,
    connections: u32,
}

/// Bounds and penalties, and the numbers that they are held against.
pub struct Gate {
    config: GateConfig,
    rng: Box<dyn Rng + Send>,
    all: Count,
    /// Sources with a connection, thus no more than there may be connections.
    sources: BTreeMap<Block, Count>,
    penalised4: Penalised,
    penalised6: Penalised,
    refusals: u64,
    refusals_told: u64,
    told_at: Option<Instant>,
}

/// The place of a connection that was admitted. It goes back by [`Gate::leave`]; dropped, it stays taken.
#[derive(Debug)]
#[must_use]
pub struct Place {
    source: IpAddr,
    authenticated: bool,
}

impl Place {
    /// Whether the gate was not told of a login yet.
    pub(super) const fn is_startup(&self) -> bool {
        !self.authenticated
    }
}

/// Why a connection is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Too many without a login, by chance or for certain ([`GateConfig::startups`]).
    Startups,
    /// Too many without a login from there ([`GateConfig::startups_per_source`]).
    StartupsOfSource,
    /// Too many at all ([`GateConfig::connections_max`]).
    Connections,
    /// Too many from there ([`GateConfig::connections_per_source_max`]).
    ConnectionsOfSource,
    /// A penalty, of which this was the last cause.
    Penalty(Offence),
    /// So many sources have penalties that nobody without an exemption is admitted ([`Overflow::DenyAll`]).
    PenaltiesFull,
}

/// How a connection ended without a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offence {
    /// The server itself failed on it.
    Crash,
    /// Something was tried in vain.
    AuthFail,
    /// Nothing was tried.
    NoAuth,
    /// The time for the login passed.
    GraceExceeded,
    /// The program ended it before anything was tried.
    RefuseConnection,
}

impl Gate {
    /// A gate that nobody has passed. `rng` decides who is dropped early.
    #[must_use]
    pub fn new(config: GateConfig, rng: Box<dyn Rng + Send>) -> Self {
        Self {
            config,
            rng,
            all: Count::default(),
            sources: BTreeMap::new(),
            penalised4: Penalised::default(),
            penalised6: Penalised::default(),
            refusals: 0,
            refusals_told: 0,
            told_at: None,
        }
    }

    /// Goes by other rules from now on; who is in stays, and what a source is.
    pub fn set_config(&mut self, config: GateConfig) {
        self.config = GateConfig { net_block: self.config.net_block, ..config };
    }

    /// A peer has come from `source`.
    ///
    /// # Errors
    /// It must go at once.
    pub fn admit(&mut self, source: IpAddr, now: Instant) -> Result<Place, Refusal> {
        let refused = self.refusal(source, now);
        if let Some(why) = refused {
            self.refusals = self.refusals.saturating_add(1);
            return Err(why);
        }
        for count in [self.sources.entry(self.config.net_block.of(source)).or_default(), &mut self.all] {
            count.startups += 1;
            count.connections += 1;
        }
        Ok(Place { source, authenticated: false })
    }

    /// Its user is authenticated; once or more.
    pub fn authenticated(&mut self, place: &mut Place) {
        if core::mem::replace(&mut place.authenticated, true) {
            return;
        }
        self.all.startups -= 1;
        if let Some(count) = self.sources.get_mut(&self.config.net_block.of(place.source)) {
            count.startups -= 1;
        }
    }

    /// It has ended. An offence after the login is none.
    pub fn leave(&mut self, mut place: Place, offence: Option<Offence>, now: Instant) {
        if let Some(offence) = offence.filter(|_| !place.authenticated) {
            self.penalise(place.source, offence, now);
        }
        self.authenticated(&mut place); // no startup any more, in any case
        self.all.connections -= 1;
        let block = self.config.net_block.of(place.source);
        if let Some(count) = self.sources.get_mut(&block) {
            count.connections -= 1;
            if count.connections == 0 {
                self.sources.remove(&block);
            }
        }
    }

    /// Adds to the penalty of a source, unless it is exempt. Connections that it has go on.
    fn penalise(&mut self, source: IpAddr, offence: Offence, now: Instant) {
        let block = self.config.net_block.of(source);
        if self.is_exempt(source) || self.is_spared(block) {
            return;
        }
        let Some(rules) = &self.config.penalties else { return };
        let penalised = match block {
            Block::V4(_) => &mut self.penalised4,
            Block::V6(_) => &mut self.penalised6,
        };
        penalised.add(block, offence, rules, now);
    }

    /// Whether a source has no penalty because somebody from there is logged in.
    fn is_spared(&self, block: Block) -> bool {
        let is_in = |count: &Count| count.connections > count.startups;
        self.config.spares_logged_in && self.sources.get(&block).is_some_and(is_in)
    }

    /// Connections without a login.
    #[must_use]
    pub const fn startups(&self) -> u32 {
        self.all.startups
    }

    /// All connections.
    #[must_use]
    pub const fn connections(&self) -> u32 {
        self.all.connections
    }

    /// Connections that were refused.
    #[must_use]
    pub const fn refusals(&self) -> u64 {
        self.refusals
    }

    /// Whether the program is told of the refusal that was the last, and how many others it was not told of.
    pub(super) fn tell(&mut self, now: Instant) -> Option<u64> {
        if self.told_at.is_some_and(|at| now < at + REFUSALS_PERIOD) {
            return None;
        }
        self.told_at = Some(now);
        let passed_over = self.refusals.saturating_sub(self.refusals_told).saturating_sub(1);
        self.refusals_told = self.refusals;
        Some(passed_over)
    }

    fn refusal(&mut self, source: IpAddr, now: Instant) -> Option<Refusal> {
        let block = self.config.net_block.of(source);
        if let Some(rules) = &self.config.penalties {
            let penalised = match block {
                Block::V4(_) => &mut self.penalised4,
                Block::V6(_) => &mut self.penalised6,
            };
            let (max_sources, overflow) = rules.table(block);
            let full = penalised.len(now) >= max_sources && overflow == Overflow::DenyAll;
            let refusal = match penalised.find(block) {
                _ if full => Some(Refusal::PenaltiesFull),
                offence => offence.map(Refusal::Penalty),
            };
            if refusal.is_some() && !self.is_exempt(source) && !self.is_spared(block) {
                return refusal;
            }
        }
        let own = self.sources.get(&block).copied().unwrap_or_default();
        if self.all.connections >= self.config.connections_max {
            Some(Refusal::Connections)
        } else if own.connections >= self.config.connections_per_source_max {
            Some(Refusal::ConnectionsOfSource)
        } else if own.startups >= self.config.startups_of_source() {
            Some(Refusal::StartupsOfSource)
        } else if self.drops_early() {
            Some(Refusal::Startups)
        } else {
            None
        }
    }

    /// Random early drop: the more there are, the likelier.
    fn drops_early(&mut self) -> bool {
        let Startups { start, rate, full } = self.config.startups;
        let now = self.all.startups;
        if now < start {
            return false;
        }
        if now >= full || rate >= 100 {
            return true;
        }
        let (above, width) = (u64::from(now - start), u64::from(full - start));
        let percent = u64::from(rate) + (100 - u64::from(rate)) * above / width;
        let mut random = [0; 4];
        self.rng.fill(&mut random);
        (u64::from(u32::from_le_bytes(random)) * 100) >> 32 < percent
    }

    fn is_exempt(&self, source: IpAddr) -> bool {
        let origin = Origin { address: Some(source), host_name: None };
        self.config.penalty_exempt.as_ref().is_some_and(|list| list.matches(&origin))
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("config", &self.config).field("all", &self.all).finish_non_exhaustive()
    }
}

impl Refusal {
    /// The line that the peer is sent in the place of an identification line (RFC 4253 §4.2); sshd's words, where it has some.
    #[must_use]
    pub const fn line(self) -> &'static str {
        match self {
            Self::Startups | Self::StartupsOfSource => "Exceeded MaxStartups\r\n",
            Self::Connections | Self::ConnectionsOfSource => "Too many connections\r\n",
            Self::Penalty(_) | Self::PenaltiesFull => "Not allowed at this time\r\n",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Startups => f.write_str("too many connections without a login"),
            Self::StartupsOfSource => f.write_str("too many connections without a login from there"),
            Self::Connections => f.write_str("too many connections"),
            Self::ConnectionsOfSource => f.write_str("too many connections from there"),
            Self::Penalty(offence) => write!(f, "a penalty: {offence}"),
            Self::PenaltiesFull => f.write_str("too many sources have penalties"),
        }
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Crash => "the server failed on a connection",
            Self::AuthFail => "logins failed",
            Self::NoAuth => "connections without a try to log in",
            Self::GraceExceeded => "the time for the login passed",
            Self::RefuseConnection => "connections were turned away",
        })
    }
}

#[cfg(test)]
mod tests;
