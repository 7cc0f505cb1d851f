//! What the server counts, as OpenMetrics text.
//!
//! It does not know what is worth counting: whoever sees it says so.

use super::logs::Log;
use crate::userauth::Method;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

/// Why somebody was not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// A credential that would not do.
    Credential,
    /// `max_auth_tries`.
    MaxAuthTries,
    /// `login_grace`.
    LoginGrace,
    /// `max_startups`.
    MaxStartups,
    /// `max_connections`.
    MaxConnections,
    /// `per_source`.
    PerSource,
    /// A penalty for logins that failed.
    Penalty,
    /// `max_sessions`.
    MaxSessions,
    /// `idle`.
    Idle,
    /// `keepalive`.
    Keepalive,
    /// Forwarding, or another request that nobody gets.
    Request,
    /// As many views, or reports, as there may be.
    Busy,
}

impl Reason {
    const fn name(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::MaxAuthTries => "max_auth_tries",
            Self::LoginGrace => "login_grace",
            Self::MaxStartups => "max_startups",
            Self::MaxConnections => "max_connections",
            Self::PerSource => "per_source",
            Self::Penalty => "penalty",
            Self::MaxSessions => "max_sessions",
            Self::Idle => "idle",
            Self::Keepalive => "keepalive",
            Self::Request => "request",
            Self::Busy => "busy",
        }
    }
}

/// Counted since the start.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    logins: BTreeMap<&'static str, u64>,
    refusals: BTreeMap<Reason, u64>,
}

/// A log, and what is so now.
pub(super) struct OfLog<'l> {
    pub(super) log: &'l Log,
    pub(super) lag: u64,
    pub(super) viewers: u64,
}

impl Metrics {
    pub(super) fn login(&mut self, method: Method) {
        *self.logins.entry(method.name()).or_default() += 1;
    }

    pub(super) fn refuse(&mut self, reason: Reason, count: u64) {
        *self.refusals.entry(reason).or_default() += count;
    }

    /// All of it, for a user who may see these logs.
    pub(super) fn write(&self, connections: usize, logs: &[OfLog<'_>]) -> String {
        let mut text = Text::default();
        text.family("ssh_weblog_connections", GAUGE, "Connections, those without a login included.");
        text.sample(None, connections as u64);
        text.family("ssh_weblog_logins", COUNTER, "Logins by the method of their last step.");
        self.logins.iter().for_each(|(method, count)| text.sample(Some(("method", method)), *count));
        text.family("ssh_weblog_refusals", COUNTER, "Refusals by what was the reason.");
        self.refusals.iter().for_each(|(reason, count)| text.sample(Some(("reason", reason.name())), *count));
        for (name, kind, help, of) in OF_LOGS {
            text.family(name, kind, help);
            logs.iter().for_each(|log| text.sample(Some(("log", &log.log.name)), of(log)));
        }
        text.family("process_resident_memory_bytes", GAUGE, "Memory of the process.");
        text.sample(None, resident());
        text.out + "# EOF\n"
    }
}

const GAUGE: &str = "gauge";
const COUNTER: &str = "counter";

/// What is counted of a log: its name, kind, what it is, and how much.
type Family = (&'static str, &'static str, &'static str, fn(&OfLog<'_>) -> u64);

const OF_LOGS: [Family; 5] = [
    ("ssh_weblog_records", COUNTER, "Records read.", |of| of.log.records),
    ("ssh_weblog_malformed", COUNTER, "Lines that were no records.", |of| of.log.malformed),
    ("ssh_weblog_lag_bytes", GAUGE, "Bytes written and not read yet.", |of| of.lag),
    ("ssh_weblog_skipped", COUNTER, "Records that viewers have missed.", |of| of.log.skipped.get()),
    ("ssh_weblog_viewers", GAUGE, "Sessions that watch.", |of| of.viewers),
];

/// Families of samples, one after the other.
#[derive(Default)]
struct Text {
    out: String,
    /// How a sample of the present family begins.
    name: String,
}

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _in_memory = writeln!(self.out, "# TYPE {name} {kind}\n# HELP {name} {help}");
        self.name = name.to_owned() + if kind == COUNTER { "_total" } else { "" };
    }

    fn sample(&mut self, label: Option<(&str, &str)>, number: u64) {
        let labels = label.map(|(label, value)| format!("{{{label}=\"{}\"}}", quoted(value)));
        let _in_memory = writeln!(self.out, "{}{} {number}", self.name, labels.unwrap_or_default());
    }
}

/// The value of a label.
fn quoted(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Bytes of memory that this process has, as the system counts them.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() * 1024
}
