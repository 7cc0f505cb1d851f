//! The rules of a gate, and how sshd_config(5) writes them.

use super::{Block, Offence};
use crate::keys::ssh_config::seconds;
use crate::userauth::SourceList;
use core::str::FromStr;
use core::time::Duration;
use std::net::IpAddr;

/// The longest penalty there is, whatever [`Penalties::max`] says.
const PENALTY_LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// What a [`Gate`](super::Gate) goes by. The defaults are those of sshd_config(5) of OpenSSH 10 where nothing else is said.
#[derive(Clone, Debug)]
pub struct GateConfig {
    /// `MaxStartups`: how many may be without a login.
    pub startups: Startups,
    /// `PerSourceMaxStartups`: how many of them may come from one source. Without one, three quarters of
    /// [`Startups::start`], so that a source that is silent takes no place from others, not even by chance; for no bound, as
    /// is sshd's default, `u32::MAX`.
    pub startups_per_source: Option<u32>,
    /// The most connections, those after the login too: 20 000. sshd has no such bound.
    pub connections_max: u32,
    /// The most connections of one source: half of that. sshd has no such bound.
    pub connections_per_source_max: u32,
    /// `PerSourceNetBlockSize`: what a source is. Who has a network of IPv6 has as many addresses as he likes; a server that
    /// meets such peers does well to count 64 bits.
    pub net_block: NetBlock,
    /// `PerSourcePenalties`, if there are any.
    pub penalties: Option<Penalties>,
    /// `PerSourcePenaltyExemptList`: who never gets a penalty, and is not refused because others have; by default nobody.
    pub penalty_exempt: Option<SourceList>,
    /// Whether a source from which somebody is logged in gets no penalty and is not refused for one: false, as in sshd.
    pub spares_logged_in: bool,
}

/// Random early drop of connections without a login: none below `start`, `rate` percent there, more above, all from `full` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Startups {
    /// 10
    pub start: u32,
    /// 30
    pub rate: u32,
    /// 100
    pub full: u32,
}

/// How many leading bits of an address name its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetBlock {
    v4: u32,
    v6: u32,
}

/// For how long a source is refused, by what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Penalties {
    /// The server failed on its connection: 90 s.
    pub crash: Duration,
    /// It tried in vain to log in: 5 s.
    pub authfail: Duration,
    /// The program turned it away before it tried anything: 10 s.
    pub refuseconnection: Duration,
    /// It tried nothing: 1 s.
    pub noauth: Duration,
    /// It let the time for the login pass: 10 s.
    pub grace_exceeded: Duration,
    /// What penalties add up to at most: 10 min.
    pub max: Duration,
    /// What must be exceeded before anything is refused: 15 s.
    pub min: Duration,
    /// Sources by IPv4 that are remembered: 65 536.
    pub max_sources4: usize,
    /// Sources by IPv6: 65 536.
    pub max_sources6: usize,
    /// What happens when there are more: permissive.
    pub overflow: Overflow,
    /// The same for IPv6, if it is another thing there.
    pub overflow6: Option<Overflow>,
}

/// What happens when more sources deserve a penalty than are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// The penalty that ends first is forgotten.
    Permissive,
    /// While so many are remembered, everybody is refused who is not exempt.
    DenyAll,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            startups: Startups::default(),
            startups_per_source: None,
            connections_max: 20_000,
            connections_per_source_max: 10_000,
            net_block: NetBlock::default(),
            penalties: Some(Penalties::default()),
            penalty_exempt: None,
            spares_logged_in: false,
        }
    }
}

impl GateConfig {
    /// Sets one option by its name in sshd_config(5); nothing if the keyword is none of these. Of the words of
    /// `PerSourcePenalties` each keeps what an earlier call gave it, unless it is given again.
    ///
    /// # Errors
    /// A text for the user; then nothing is changed.
    pub fn set(&mut self, keyword: &str, value: &str) -> Option<Result<(), String>> {
        let set = match keyword.to_ascii_lowercase().as_str() {
            "maxstartups" => value.parse().map(|startups| self.startups = startups),
            "persourcemaxstartups" => {
                let max =
                    if value == "none" { Some(u32::MAX) } else { value.parse().ok().filter(|n| *n > 0) };
                max.map(|_| self.startups_per_source = max)
                    .ok_or_else(|| "a number above 0, or none".to_owned())
            }
            "persourcenetblocksize" => value.parse().map(|net_block| self.net_block = net_block),
            "persourcepenalties" => self.with(value).map(|penalties| self.penalties = penalties),
            "persourcepenaltyexemptlist" => SourceList::patterns(value.as_bytes())
                .map(|list| self.penalty_exempt = Some(list))
                .map_err(|error| error.to_string()),
            _ => return None,
        };
        Some(set)
    }

    /// The penalties after the words of `PerSourcePenalties`.
    fn with(&self, words: &str) -> Result<Option<Penalties>, String> {
        if words == "no" {
            return Ok(None);
        }
        let mut penalties = self.penalties.clone().unwrap_or_default();
        words
            .split_ascii_whitespace()
            .filter(|word| *word != "yes")
            .try_for_each(|word| penalties.set(word))?;
        Ok(Some(penalties))
    }

    /// The bound for one source.
    pub(super) fn startups_of_source(&self) -> u32 {
        self.startups_per_source
            .unwrap_or_else(|| self.startups.start.saturating_sub(self.startups.start.div_ceil(4)).max(1))
    }
}

impl Default for Startups {
    fn default() -> Self {
        Self { start: 10, rate: 30, full: 100 }
    }
}

impl FromStr for Startups {
    type Err = String;

    /// `start:rate:full`, or one number that is both ends.
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Option<Vec<u32>> = text.split(':').map(|number| number.parse().ok()).collect();
        let startups = match numbers.as_deref() {
            Some(&[full]) => Self { start: full, rate: 100, full },
            Some(&[start, rate, full]) => Self { start, rate, full },
            _ => return Err("start:rate:full, or a number".to_owned()),
        };
        let Self { start, rate, full } = startups;
        if start == 0 || start > full || !(1..=100).contains(&rate) {
            return Err("1 ≤ start ≤ full, and a rate of 1 to 100 percent".to_owned());
        }
        Ok(startups)
    }
}

impl NetBlock {
    /// Of IPv4 and of IPv6; not more than there are.
    #[must_use]
    pub const fn new(v4: u32, v6: u32) -> Option<Self> {
        if v4 <= u32::BITS && v6 <= u128::BITS { Some(Self { v4, v6 }) } else { None }
    }

    pub(super) fn of(self, source: IpAddr) -> Block {
        // A client of IPv4 at a socket of IPv6 is a client of IPv4.
        match source.to_canonical() {
            IpAddr::V4(address) => {
                Block::V4(address.to_bits() & u32::MAX.checked_shl(u32::BITS - self.v4).unwrap_or(0))
            }
            IpAddr::V6(address) => {
                Block::V6(address.to_bits() & u128::MAX.checked_shl(u128::BITS - self.v6).unwrap_or(0))
            }
        }
    }
}

impl Default for NetBlock {
    /// 32:128, which is each address for itself.
    fn default() -> Self {
        Self { v4: u32::BITS, v6: u128::BITS }
    }
}

impl FromStr for NetBlock {
    type Err = String;

    /// `v4:v6`, or the first alone.
    fn from_str(text: &str) -> Result<Self, String> {
        let (v4, v6) = text.split_once(':').map_or((text, None), |(v4, v6)| (v4, Some(v6)));
        let v6 = v6.map_or(Ok(u128::BITS), str::parse);
        match (v4.parse(), v6) {
            (Ok(v4), Ok(v6)) => Self::new(v4, v6),
            _ => None,
        }
        .ok_or_else(|| "bits of an IPv4 address, perhaps a colon and bits of an IPv6 address".to_owned())
    }
}

impl Default for Penalties {
    fn default() -> Self {
        Self {
            crash: Duration::from_secs(90),
            authfail: Duration::from_secs(5),
            refuseconnection: Duration::from_secs(10),
            noauth: Duration::from_secs(1),
            grace_exceeded: Duration::from_secs(10),
            max: Duration::from_secs(600),
            min: Duration::from_secs(15),
            max_sources4: 65_536,
            max_sources6: 65_536,
            overflow: Overflow::Permissive,
            overflow6: None,
        }
    }
}

impl Penalties {
    /// One word of `PerSourcePenalties`, like `authfail:10s`.
    fn set(&mut self, word: &str) -> Result<(), String> {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        let time = || {
            let seconds = seconds(value).ok_or_else(|| format!("{word}: not a time"))?;
            Ok::<_, String>(Duration::from_secs(seconds.into()))
        };
        let number = || {
            let number = value.parse().ok().filter(|n| *n > 0);
            number.ok_or_else(|| format!("{word}: not a number above 0"))
        };
        let overflow = || match value {
            "permissive" => Ok(Overflow::Permissive),
            "deny-all" => Ok(Overflow::DenyAll),
            _ => Err(format!("{word}: permissive or deny-all")),
        };
        match name {
            "crash" => self.crash = time()?,
            "authfail" => self.authfail = time()?,
            "refuseconnection" => self.refuseconnection = time()?,
            "noauth" => self.noauth = time()?,
            "grace-exceeded" => self.grace_exceeded = time()?,
            "max" => self.max = time()?,
            "min" => self.min = time()?,
            "max-sources4" => self.max_sources4 = number()?,
            "max-sources6" => self.max_sources6 = number()?,
            "overflow" => self.overflow = overflow()?,
            "overflow6" => self.overflow6 = Some(overflow()?),
            _ => return Err(format!("{word}: no penalty, bound or mode of that name")),
        }
        Ok(())
    }

    pub(super) const fn of(&self, offence: Offence) -> Duration {
        match offence {
            Offence::Crash => self.crash,
            Offence::AuthFail => self.authfail,
            Offence::NoAuth => self.noauth,
            Offence::GraceExceeded => self.grace_exceeded,
            Offence::RefuseConnection => self.refuseconnection,
        }
    }

    /// How many sources of the family are remembered, and what happens when there are more.
    pub(super) fn table(&self, block: Block) -> (usize, Overflow) {
        match block {
            Block::V4(_) => (self.max_sources4, self.overflow),
            Block::V6(_) => (self.max_sources6, self.overflow6.unwrap_or(self.overflow)),
        }
    }

    /// No time of a program's makes the clock overflow.
    pub(super) fn max_or_longest(&self) -> Duration {
        self.max.min(PENALTY_LONGEST)
    }
}
