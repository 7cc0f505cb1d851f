//! Ours beside OpenSSH, russh and golang.org/x/crypto/ssh, and beside what the machine can do at all, in turns in one run.
//! `benches/run` builds all of them and runs this.
//!
//! ```text
//! cargo bench --bench compare -- [ROW]… [--rounds N] [--size MIB] [--logins N] [--connections N] [--seconds N]
//!     [--round-trip MS] [--russh FILE] [--go FILE]
//! ```
//!
//! A table a row: medians with the range of the rounds, processor seconds user and system, children included; and ours in
//! relation to each, as far as the spread lets it be told (`table`). Less is better everywhere. A client that is nobody's peer
//! is `load`, and where clients are compared, the server is `examples/bench_server`. Copies, streams through a slow link and starts
//! have contestants of their own (`contest`).

mod contest;
mod copies;
mod cost;
#[path = "../common/delay.rs"]
mod delay;
#[path = "../common/delays.rs"]
mod delays;
mod follow;
mod keystroke;
mod limits;
mod lines;
mod links;
mod load;
mod login;
#[expect(dead_code, reason = "the interop tests use the rest")]
#[path = "../../tests/interop/openssh.rs"]
mod openssh;
mod peers;
mod rows;
mod starts;
mod table;

use clap::Parser;
use openssh::{Files, Generation, Server};
use peers::Peer;
use rows::{Row, Sizes};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::PathBuf;
use table::{Line, Rounds, table};

/// Compares implementations of SSH on this machine.
#[derive(Parser)]
#[command(name = "compare", bin_name = "benches/run")]
struct Arguments {
    /// Rows whose names hold one of these words; all without any
    row: Vec<String>,
    /// Rounds of each row; fewer than 3 tell no ratio
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// MiB of a bulk row, and of a large file
    #[arg(long, default_value_t = 1024)]
    size: u64,
    /// Connections of a round of logins; of servers that fork a tenth
    #[arg(long, default_value_t = 2000)]
    logins: u64,
    /// Connections that are held idle; of servers that fork 100
    #[arg(long, default_value_t = 1000)]
    connections: u64,
    /// Time of a round with keystrokes, or with the records of a log; twice as much if it has few a second
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Milliseconds there and back of the link that copies go through
    #[arg(long, default_value_t = 20)]
    round_trip: u64,
    /// The program of benches/compare/russh
    #[arg(long, value_name = "FILE")]
    russh: Option<PathBuf>,
    /// The program of benches/compare/go
    #[arg(long, value_name = "FILE")]
    go: Option<PathBuf>,
    /// Print the names of the rows
    #[arg(long)]
    list: bool,
    /// What cargo says
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    fn peers(&self) -> Vec<Peer> {
        let mut peers = vec![Peer::OURS, Peer::OURS_ON_TWO];
        peers.extend(self.russh.clone().map(Peer::Russh));
        peers.extend(self.go.clone().map(Peer::Go));
        peers.extend([Generation::Trixie, Generation::Bookworm].map(Peer::OpenSsh));
        peers
    }

    fn is_wanted(&self, name: &str) -> bool {
        self.row.is_empty() || self.row.iter().any(|word| name.contains(word.as_str()))
    }
}

/// A peer in a row: its server, as long as it lasts, and what came.
struct Entry<'p> {
    peer: &'p Peer,
    server: Option<Server>,
    line: Line,
}

impl Entry<'_> {
    /// One round. A peer that fails says why, and takes part no more.
    fn round(&mut self, row: &Row, files: &Files, sizes: Sizes) {
        let Some(figures) = &mut self.line.figures else { return };
        if row.wants_a_fresh_server() || self.server.is_none() {
            self.server = row.serve(files, self.peer);
        }
        let measured = match &self.server {
            Some(server) => row.measure(files, sizes, self.peer, server),
            None => Err("its server does not know the algorithms, or does not start".to_owned()),
        };
        match measured {
            Ok(values) => figures.iter_mut().zip(values).for_each(|(rounds, value)| rounds.push(value)),
            Err(why) => {
                eprintln!("{}: {}: {}", row.name(), self.peer.name(), why.trim());
                (self.line.figures, self.server) = (None, None);
            }
        }
    }
}

fn run(row: &Row, files: &Files, sizes: Sizes, peers: &[Peer], rounds: usize) -> String {
    let none = || vec![Rounds::default(); row.columns().len()];
    let entry = |peer| {
        let line = Line { name: Peer::name(peer).to_owned(), figures: Some(none()) };
        Entry { peer, server: None, line }
    };
    let mut entries: Vec<_> = peers.iter().filter(|peer| row.takes(peer)).map(entry).collect();
    let mut limit: Option<Line> = None;
    for _ in 0..rounds {
        entries.iter_mut().for_each(|entry| entry.round(row, files, sizes));
        if let Some((name, values)) = row.limit(sizes) {
            let line = limit.get_or_insert_with(|| Line { name: name.to_owned(), figures: Some(none()) });
            line.figures.iter_mut().flatten().zip(values).for_each(|(rounds, value)| rounds.push(value));
        }
    }
    let lines: Vec<_> = entries.into_iter().map(|entry| entry.line).chain(limit).collect();
    table(&row.name(), &row.columns(), &lines)
}

fn main() {
    let words: Vec<_> = std::env::args().skip(1).collect();
    if let [first, rest @ ..] = &words[..]
        && first == "load"
    {
        return load::run(rest);
    }
    let arguments = Arguments::parse();
    let rows: Vec<_> = Row::all().into_iter().filter(|row| arguments.is_wanted(&row.name())).collect();
    let contests: Vec<_> =
        contest::all().into_iter().filter(|row| arguments.is_wanted(&row.name())).collect();
    if rows.is_empty() && contests.is_empty() {
        eprintln!("compare: no row has such a name; --list tells them");
        std::process::exit(2);
    }
    if arguments.list {
        let contests = contests.iter().map(|row| row.name());
        return rows.iter().map(Row::name).chain(contests).for_each(|name| println!("{name}"));
    }
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("up to the maximum");
    let Arguments { rounds, size, logins, connections, seconds, round_trip, .. } = arguments;
    let round_trip = std::time::Duration::from_millis(round_trip);
    let (files, sizes) =
        (Files::new(), Sizes { bytes: size << 20, logins, connections, seconds, round_trip });
    println!(
        "{rounds} rounds; {size} MiB in bulk; {logins} logins, {} at a time; {connections} idle connections; {seconds} s of \
         records or keystrokes",
        load::LOGINS_AT_ONCE
    );
    println!(
        "median (least–most); ≈: the spread is larger than the difference; ?: too few rounds to tell; -: it can not\n"
    );
    for row in &rows {
        println!("{}", run(row, &files, sizes, &arguments.peers(), rounds));
    }
    for row in &contests {
        println!("{}", contest::run(&**row, &files, sizes, rounds));
    }
}
