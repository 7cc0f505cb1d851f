//! What is shown of a log, as options: of `ssh-weblog`, and of the commands that `ssh-weblog-server` takes.
//!
//! They are kept as they were typed; [`View::new`](super::view::View::new) says what they mean, or what is wrong with them.

use clap::{ArgAction, Args, ValueEnum};

/// What is shown of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, ValueEnum)]
pub enum Show {
    /// `referrer  --> resource`, hits with status 200 and a referrer
    #[default]
    Referrers,
    /// Time, status, method, resource, size and referrer of every hit
    Hits,
    /// Each line as it stands, parsed or not; with a filter those that parse and pass
    Raw,
}

/// What becomes of agents that are programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Bots {
    /// Their hits are left out
    Hide,
    /// Only their hits are left
    Only,
}

/// What is shown of a log, which of its records, and what is reported of them. What is repeated must all hold.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ViewOptions {
    /// Lines for people [default: referrers]
    #[arg(long, value_enum, value_name = "WHAT", help_heading = SHOWN, conflicts_with_all = ["json", "format", "dashboard"])]
    pub show: Option<Show>,
    /// One JSON object a hit; with --stats one object in all
    #[arg(long, help_heading = SHOWN, conflicts_with_all = ["format", "dashboard"])]
    pub json: bool,
    /// A line of your own: {time} {source} {offset} {seq} {client} {user} {host} {method} {resource} {path} {query} {protocol}
    /// {status} {size} {referrer} {agent} {duration} {forwarded_for} {line}; {{ and }} for braces, \t and \n
    #[arg(long, value_name = "TEMPLATE", help_heading = SHOWN, conflicts_with = "dashboard")]
    pub format: Option<String>,
    /// Rates, tops and live lines on the whole terminal
    #[arg(long, help_heading = SHOWN)]
    pub dashboard: bool,
    /// Cut so many last bits of client addresses (16/80 if none are named), users and query strings
    #[arg(long, value_name = "BITS4/BITS6", help_heading = SHOWN)]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "16/80", action = ArgAction::Append)]
    pub anonymize: Vec<String>,
    /// Statuses from 100 to 599: 404,5xx,400-499
    #[arg(long, value_name = "LIST", help_heading = FILTERS)]
    pub status: Vec<String>,
    /// Methods: GET,POST
    #[arg(long, value_name = "LIST", help_heading = FILTERS)]
    pub method: Vec<String>,
    /// Virtual hosts with their subdomains: shop.example,blog.example
    #[arg(long, value_name = "LIST", help_heading = FILTERS)]
    pub vhost: Vec<String>,
    /// Regular expression that is searched in what was asked for, path and query: ^/cart
    #[arg(long, value_name = "RE", help_heading = FILTERS)]
    pub path: Vec<String>,
    /// Regular expression that is searched in the referrer
    #[arg(long, value_name = "RE", help_heading = FILTERS)]
    pub referrer: Vec<String>,
    /// Regular expression that is searched in the agent
    #[arg(long, value_name = "RE", help_heading = FILTERS)]
    pub agent: Vec<String>,
    /// Client addresses: 192.0.2.7,2001:db8::/32
    #[arg(long, value_name = "LIST", help_heading = FILTERS)]
    pub from: Vec<String>,
    /// Hosts of your own, with their subdomains: their pages are no referrers; may be repeated
    #[arg(long, value_name = "LIST", help_heading = FILTERS)]
    pub site: Vec<String>,
    /// Hits of programs: their agent holds bot, crawl, spider, slurp or feed, is curl, wget, python-requests or
    /// Go-http-client, or is empty
    #[arg(long, value_enum, value_name = "WHAT", help_heading = FILTERS)]
    pub bots: Vec<Bots>,
    /// From this time on: 2h, 1h30m, 12:00, 2026-03-01, '2026-03-01 12:00', 2026-03-01T12:00:00Z, @1772323200
    #[arg(long, value_name = "TIME", help_heading = FILTERS)]
    pub since: Vec<String>,
    /// Before this time; the watch ends when it comes
    #[arg(long, value_name = "TIME", help_heading = FILTERS)]
    pub until: Vec<String>,
    /// Report hits, bytes, statuses and tops at the end, in place of lines
    #[arg(long, help_heading = REPORTS)]
    pub stats: bool,
    /// Report again and again, after each DURATION: 10s
    #[arg(long, value_name = "DURATION", help_heading = REPORTS)]
    pub every: Option<String>,
    /// So many names in each top of a report; 10 if it is not given
    #[arg(long, value_name = "N", help_heading = REPORTS, value_parser = clap::value_parser!(u16).range(1..=i64::from(TOP_MAX)))]
    pub top: Option<u16>,
    /// End with status 3, and say why, once there are more hits than N a second (N/m: a minute, N/h: an hour)
    #[arg(long, value_name = "N[/s|/m|/h]", help_heading = REPORTS)]
    pub over: Option<String>,
    /// How far back --over looks; 60s if it is not given
    #[arg(long = "for", value_name = "DURATION", help_heading = REPORTS)]
    pub over_for: Option<String>,
    /// End with status 0 when this path is requested
    #[arg(long, value_name = "PATH", help_heading = REPORTS)]
    pub stop_on: Option<String>,
}

/// The most names of a top.
pub const TOP_MAX: u16 = 1000;

const SHOWN: &str = "What is shown";
const FILTERS: &str = "Filters, all of which must hold";
const REPORTS: &str = "Reports and ends";

impl ViewOptions {
    /// These and `more`, where these can't be undone: filters of both must hold, the more bits of addresses are cut, both
    /// sites are internal, the smaller top counts. How a record is shown, and what ends, is taken from `more` only where these
    /// don't say it.
    #[must_use]
    pub fn and(&self, more: &Self) -> Self {
        let form = if self.names_form() { self } else { more };
        let both = |mine: &[String], more: &[String]| [mine, more].concat();
        Self {
            show: form.show,
            json: form.json,
            format: form.format.clone(),
            dashboard: form.dashboard,
            anonymize: both(&self.anonymize, &more.anonymize),
            status: both(&self.status, &more.status),
            method: both(&self.method, &more.method),
            vhost: both(&self.vhost, &more.vhost),
            path: both(&self.path, &more.path),
            referrer: both(&self.referrer, &more.referrer),
            agent: both(&self.agent, &more.agent),
            from: both(&self.from, &more.from),
            site: both(&self.site, &more.site),
            bots: [&*self.bots, &*more.bots].concat(),
            since: both(&self.since, &more.since),
            until: both(&self.until, &more.until),
            stats: self.stats || more.stats,
            every: self.every.clone().or_else(|| more.every.clone()),
            top: self.top.into_iter().chain(more.top).min(),
            over: self.over.clone().or_else(|| more.over.clone()),
            over_for: self.over_for.clone().or_else(|| more.over_for.clone()),
            stop_on: self.stop_on.clone().or_else(|| more.stop_on.clone()),
        }
    }

    /// These without what only reports and ends need: what is left decides the lines.
    #[must_use]
    pub fn of_lines(&self) -> Self {
        Self {
            stats: false,
            every: None,
            top: None,
            over: None,
            over_for: None,
            stop_on: None,
            ..self.clone()
        }
    }

    const fn names_form(&self) -> bool {
        self.show.is_some() || self.json || self.format.is_some() || self.dashboard
    }

    /// A report is asked for.
    #[must_use]
    pub const fn reports(&self) -> bool {
        self.stats || self.every.is_some()
    }

    /// Lines are to be shown: with a report only if their form is named, with `--over` likewise.
    #[must_use]
    pub const fn shows_lines(&self) -> bool {
        match (self.reports(), self.over.is_some()) {
            (false, false) => true,
            (true, _) => self.show.is_some() || self.format.is_some() || self.dashboard,
            (false, true) => self.names_form(),
        }
    }
}

/// Splits a command as a shell does: blanks, `'…'`, `"…"` and `\`; nothing is expanded. `None` if a quote is not closed.
#[must_use]
pub fn words(command: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = command.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        end if end == character => break,
                        '\\' if character == '"' => match characters.next()? {
                            '\n' => {}
                            special @ ('$' | '`' | '"' | '\\') => word.push(special),
                            other => word.extend(['\\', other]),
                        },
                        inside => word.push(inside),
                    }
                }
            }
            '\\' => match characters.next()? {
                '\n' => {}
                other => word.get_or_insert_default().push(other),
            },
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::{TOP_MAX, ViewOptions, words};
    use crate::driver::text::quoted;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(flatten)]
        view: ViewOptions,
    }

    #[test]
    fn a_top_has_no_more_names_than_the_bound() {
        let top = |count: u32| Arguments::try_parse_from(["", "--top", &count.to_string()]);
        assert_eq!(top(TOP_MAX.into()).unwrap().view.top, Some(TOP_MAX));
        for count in [0, u32::from(TOP_MAX) + 1] {
            assert!(top(count).unwrap_err().to_string().contains("1..=1000"), "{count}");
        }
    }

    #[test]
    fn words_are_split_as_a_shell_does_and_nothing_is_expanded() {
        let split = |command: &str| words(command);
        let some = |words: &[&str]| Some(words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert_eq!(split("  tail --json\tshop "), some(&["tail", "--json", "shop"]));
        assert_eq!(
            split(r#"a 'b $c' "d \" e" f\ g '' h"i"j"#),
            some(&["a", "b $c", "d \" e", "f g", "", "hij"])
        );
        assert_eq!(split(r#"--path "\.php$" "\$\`\\" '\d' "#), some(&["--path", "\\.php$", "$`\\", "\\d"]));
        assert_eq!(split("a\\\nb \"c\\\nd\" \\\n"), some(&["ab", "cd"]));
        assert_eq!(split("logs; id"), some(&["logs;", "id"]));
        assert_eq!(split("a 'b"), None);
        assert_eq!(split("a\\"), None);
    }

    #[test]
    fn t100_a_quoted_path_is_one_word_whatever_it_holds() {
        for path in ["/var/log/a.log", "it's", "a b;$(id)`id`", "-n", "\"\n\\"] {
            let quoted = String::from_utf8(quoted(path.as_bytes())).unwrap();
            assert_eq!(words(&quoted), Some(vec![path.to_owned()]), "{path}");
        }
    }
}
