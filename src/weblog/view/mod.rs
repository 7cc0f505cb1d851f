//! What is shown of a log, for `ssh-weblog` and for the commands of `ssh-weblog-server`: which records pass, how one is written,
//! what is reported of all of them.
//!
//! ```text
//!  ViewOptions ── View::new ──> View         as it was asked for; shared by all who ask for the same
//!  line, record ── View::hit ──> Hit         masked, then filtered
//!  line, hit ── View::show ──> bytes         whole lines
//!             ├─ Report::hit ──> a report
//!             └─ Alert::hit ──> it came true
//! ```
//!
//! It does not know files, channels, nor the clock: the present is an argument.

mod alert;
mod bounds;
mod filter;
mod json;
mod mask;
mod ranking;
mod report;
mod run;
mod seconds;
mod show;
mod template;
pub mod when;

#[cfg(test)]
mod tests;

pub use alert::{APART_MAX, Alert, BUCKETS_MAX, Evidence, LATE_MAX};
pub(super) use bounds::Patience;
pub use bounds::{BURST, EXPRESSIONS_MAX, EXPRESSIONS_SIZE_MAX, LINE_TIME, LISTED_MAX};
pub use filter::REGEX_MAX;
pub use mask::Room;
pub use ranking::{NAME_MAX, NAMES_MAX, Order, Ranking, Top};
pub use report::{Receipt, Report, Topic};
pub use run::{End, Run};
pub use seconds::{SECONDS_KEPT, Second, Seconds};

use super::lines::Line;
use super::options::{Show, ViewOptions};
use super::record::{Record, Text, path_and_query};
use super::time::Stamp;
use crate::driver::text::escaped;
use alert::Over;
use core::time::Duration;
pub(super) use filter::expression;
use filter::{Filter, host, is_on, lists, referrer_host};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use mask::Mask;
pub use show::SHOWN_MAX;
pub(super) use show::grouped;
use show::{Form, raw};
use std::time::SystemTime;
pub use template::PARTS_MAX;
use template::Template;

/// Written behind the record that `--stop-on` waits for.
pub const BYE: &str = "Bye bye...\n";

/// So many names has each top of a report if nothing else is said.
pub const TOP_DEFAULT: u16 = 10;

/// Where the lines go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Raw lines are escaped: for a terminal, and for every session of the server.
    pub escaped: bool,
    /// Colours by SGR sequences.
    pub coloured: bool,
    /// There are several sources, which are named where the form has no field for it.
    pub names_sources: bool,
}

/// Where a line came from.
#[derive(Clone, Copy, Debug)]
pub struct Place<'p> {
    /// What its source is called.
    pub source: &'p str,
    /// Its number, where lines are numbered.
    pub seq: Option<u64>,
}

/// A record that passed, as the view shows it.
#[derive(Clone, Debug)]
pub struct Hit<'r> {
    fields: Fields<'r>,
    /// Whether it has status 200 and a referrer that is not of a site of one's own.
    pub referred: bool,
}

/// A record is large: one that is shown as it was logged is not copied.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nothing is allocated for a line")]
enum Fields<'r> {
    Logged(&'r Record<'r>),
    Masked(Record<'r>),
}

impl<'r> Hit<'r> {
    /// Masked, if the view anonymizes.
    #[must_use]
    pub const fn record(&self) -> &Record<'r> {
        self.fields.record()
    }

    const fn is_masked(&self) -> bool {
        matches!(self.fields, Fields::Masked(_))
    }
}

impl<'r> Fields<'r> {
    const fn record(&self) -> &Record<'r> {
        match self {
            Self::Logged(record) => record,
            Self::Masked(record) => record,
        }
    }
}

/// A record that is shown, with the end of its line.
const SHOWN_END: usize = SHOWN_MAX + 1;

/// What was appended of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Nothing,
    Line,
    /// A notice in its place.
    Skipped,
}

/// A way to look at a log. Two that are equal show the same bytes of the same lines.
#[derive(Debug)]
pub struct View {
    options: ViewOptions,
    destination: Destination,
    /// What the rights of a user of the server leave him, whatever he asks for.
    rights: Option<Filter>,
    filter: Filter,
    mask: Option<Mask>,
    sites: Vec<String>,
    form: Form,
    over: Option<Over>,
    every: Option<Duration>,
}

impl PartialEq for View {
    fn eq(&self, other: &Self) -> bool {
        let times = |view: &Self| (view.since(), view.until());
        self.destination == other.destination
            && self.options.shows_lines() == other.options.shows_lines()
            && times(self) == times(other)
            && self.options.of_lines() == other.options.of_lines()
    }
}

impl Eq for View {}

impl View {
    /// The view that `options` ask for. Durations are taken back from `now`, times without a zone are of this machine's.
    ///
    /// # Errors
    /// An option that can't be understood, and what to write instead.
    pub fn new(options: &ViewOptions, destination: Destination, now: SystemTime) -> Result<Self, String> {
        let now = Timestamp::try_from(now).map_err(|error| error.to_string())?;
        let filter = Filter::new(options, REGEX_MAX, now, &TimeZone::system())?;
        Self::of(options.clone(), destination, None, filter)
    }

    /// The view of a user who is shown no more than `rights` leave him, and asks for no more than the bounds.
    ///
    /// # Errors
    /// An option that can't be understood, or that is too much; and what to write instead.
    pub fn under(
        rights: &ViewOptions,
        options: &ViewOptions,
        destination: Destination,
        now: SystemTime,
    ) -> Result<Self, String> {
        let each_max = bounds::each_max(options)?;
        let now = Timestamp::try_from(now).map_err(|error| error.to_string())?;
        let zone = TimeZone::system();
        let filter = Filter::new(options, each_max, now, &zone)?;
        let of_rights = Filter::new(rights, REGEX_MAX, now, &zone)?;
        let of_rights = if of_rights.is_empty() { None } else { Some(of_rights) };
        Self::of(rights.and(options), destination, of_rights, filter)
    }

    fn of(
        options: ViewOptions,
        destination: Destination,
        rights: Option<Filter>,
        filter: Filter,
    ) -> Result<Self, String> {
        let form = match (&options.format, options.show) {
            (Some(template), _) => Form::Template(Template::new(template)?),
            (None, _) if options.json => Form::Json,
            (None, Some(Show::Raw)) => Form::Raw { escaped: destination.escaped },
            (None, None) if options.dashboard => {
                Form::Hits { coloured: false, names_sources: destination.names_sources }
            }
            (None, Some(Show::Hits)) => {
                let Destination { coloured, names_sources, .. } = destination;
                Form::Hits { coloured, names_sources }
            }
            (None, None | Some(Show::Referrers)) => Form::Referrers,
        };
        let sites =
            lists("--site", &options.site, "write host names as shop.example,blog.example", host)?.concat();
        let every = |text: &String| when::duration(text).map_err(|error| format!("--every {error}"));
        Ok(Self {
            rights,
            filter,
            mask: Mask::new(&options.anonymize)?,
            sites,
            form,
            over: Over::new(options.over.as_deref(), options.over_for.as_deref())?,
            every: options.every.as_ref().map(every).transpose()?,
            options,
            destination,
        })
    }

    fn filters(&self) -> impl Iterator<Item = &Filter> {
        self.rights.iter().chain([&self.filter])
    }

    /// What was asked for.
    #[must_use]
    pub const fn options(&self) -> &ViewOptions {
        &self.options
    }

    /// Where it goes.
    #[must_use]
    pub const fn destination(&self) -> Destination {
        self.destination
    }

    /// Records before this time don't pass.
    #[must_use]
    pub fn since(&self) -> Option<Stamp> {
        let since = self.filters().filter_map(|filter| filter.since).max();
        since.map(|(seconds, nanoseconds)| Stamp::utc(seconds, nanoseconds, 0))
    }

    /// Records from this time on don't pass.
    #[must_use]
    pub fn until(&self) -> Option<Stamp> {
        let until = self.filters().filter_map(|filter| filter.until).min();
        until.map(|(seconds, nanoseconds)| Stamp::utc(seconds, nanoseconds, 0))
    }

    /// From now on, how long records still pass; nothing if that is over, `None` if it does not end.
    #[must_use]
    pub fn left(&self, now: SystemTime) -> Option<Duration> {
        let (seconds, nanoseconds) = self.until()?.instant();
        let until =
            u64::try_from(seconds).map_or(Duration::ZERO, |seconds| Duration::new(seconds, nanoseconds));
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Some(until.saturating_sub(now))
    }

    /// Whether the lines are objects; notices that stand between them are then objects too, and [`BYE`] goes elsewhere.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        self.options.json
    }

    /// After so long a report is due again.
    #[must_use]
    pub const fn every(&self) -> Option<Duration> {
        self.every
    }

    /// A report of what this view shows, with nothing in it; `None` if none was asked for.
    #[must_use]
    pub fn start_report(&self) -> Option<Report> {
        self.options.reports().then(|| Report::new(self.options.top.unwrap_or(TOP_DEFAULT)))
    }

    /// What `--over` waits for, with nothing seen yet; `None` if it waits for nothing.
    #[must_use]
    pub fn start_alert(&self) -> Option<Alert> {
        self.over.as_ref().map(|over| Alert::new(over.clone(), self.options.top.unwrap_or(TOP_DEFAULT)))
    }

    /// Masks a record and filters it: what this view shows of it, if it passes. `room` is where masked fields are written.
    pub fn hit<'r>(&self, record: &'r Record<'r>, room: &'r mut Room) -> Option<Hit<'r>> {
        let Some(mask) = self.mask else {
            let referred = self.referred(record)?;
            return Some(Hit { fields: Fields::Logged(record), referred });
        };
        let record = mask.apply(record, room);
        let referred = self.referred(&record)?;
        Some(Hit { fields: Fields::Masked(record), referred })
    }

    /// Of a record that passes, whether it is referred from another site.
    fn referred(&self, record: &Record<'_>) -> Option<bool> {
        self.passes(record).then(|| self.is_referred(record))
    }

    fn passes(&self, record: &Record<'_>) -> bool {
        self.filters().all(|filter| filter.passes(record))
    }

    /// Whether the user's own options search in texts.
    pub(super) const fn searches(&self) -> bool {
        self.filter.searches()
    }

    fn is_referred(&self, record: &Record<'_>) -> bool {
        let is_own = |referrer: Text<'_>| {
            let referrer = referrer.decode();
            let host = referrer_host(&referrer);
            self.sites.iter().any(|site| is_on(host, site))
        };
        record.is_referred() && (self.sites.is_empty() || !record.referrer.is_some_and(is_own))
    }

    /// Appends what is shown of a line, with its end; nothing for one that this view does not show; the notice that a record is
    /// missing if that would be longer than [`SHOWN_MAX`]. `hit` is what [`hit`](Self::hit) made of its record, if it has one.
    /// True if something was appended.
    pub fn show(&self, place: Place<'_>, line: &Line<'_>, hit: Option<&Hit<'_>>, out: &mut Vec<u8>) -> bool {
        self.show_or_skip(place, line, hit, out) != Shown::Nothing
    }

    /// The same; what was appended.
    pub(super) fn show_or_skip(
        &self,
        place: Place<'_>,
        line: &Line<'_>,
        hit: Option<&Hit<'_>>,
        out: &mut Vec<u8>,
    ) -> Shown {
        let before = out.len();
        match (hit, &self.form) {
            _ if !self.options.shows_lines() => {}
            (Some(hit), form) => form.hit(place, line, hit, out),
            (None, Form::Raw { escaped }) if self.filters().all(Filter::is_empty) && self.mask.is_none() => {
                raw(line.bytes, *escaped, out);
            }
            (None, _) => {}
        }
        match out.len() - before {
            0 => Shown::Nothing,
            1..=SHOWN_END => Shown::Line,
            _ => {
                out.truncate(before);
                self.show_skipped(Some(1), out);
                Shown::Skipped
            }
        }
    }

    /// Appends the notice that `count` records are missing where it stands; `None` if nobody knows how many.
    pub fn show_skipped(&self, count: Option<u64>, out: &mut Vec<u8>) {
        let text = match (self.is_json(), count) {
            (true, Some(count)) => format!("{{\"skipped\":{count}}}\n"),
            (true, None) => "{\"skipped\":null}\n".to_owned(),
            (false, Some(count)) => format!("… {} records skipped\n", grouped(count)),
            (false, None) => "… some records skipped\n".to_owned(),
        };
        out.extend_from_slice(text.as_bytes());
    }

    /// Whether a record, as it was logged, is the one that `--stop-on` waits for: whatever the filters, but one that the rights
    /// leave, and none before `--since`, of which some are read too. `room` is as for [`hit`](Self::hit).
    #[must_use]
    pub fn is_stop(&self, record: &Record<'_>, room: &mut Room) -> bool {
        let is_it = self.options.stop_on.as_ref().is_some_and(|stop| {
            record.resource().is_some_and(|resource| path_and_query(&resource).0 == stop.as_bytes())
        });
        is_it
            && !self.filter.is_before(record)
            && self.rights.as_ref().is_none_or(|rights| match self.mask {
                None => rights.passes(record),
                Some(mask) => rights.passes(&mask.apply(record, room)),
            })
    }

    /// What `-v` says of a line that no record was found in; `None` if it can't be shown because nobody knows what of it to
    /// cut.
    #[must_use]
    pub fn not_understood(&self, source: &str, line: &Line<'_>) -> Option<String> {
        let offset = || line.known_offset().map_or("-".to_owned(), |offset| offset.to_string());
        let text = || (escaped(source.as_bytes()), offset(), escaped(line.bytes));
        let (source, offset, line) = self.mask.is_none().then(text)?;
        Some(format!("{source}:{offset}: not understood: {line}"))
    }

    /// What is to be said once of a source whose format has no referrer, which `no_referrer` says, or no virtual host, if this
    /// view needs it.
    #[must_use]
    pub fn misfit(&self, source: &str, no_referrer: Option<&str>, has_host: bool) -> Option<String> {
        let shows_referrers = matches!(self.form, Form::Referrers) && self.options.shows_lines();
        if self.filters().any(Filter::needs_host) && !has_host {
            let source = escaped(source.as_bytes());
            return Some(format!("{source}: its format has no virtual host: no record passes --vhost"));
        }
        let what = no_referrer.filter(|_| shows_referrers)?;
        Some(format!("{}: {what}", escaped(source.as_bytes())))
    }
}
