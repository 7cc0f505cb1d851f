//! Rows in which those who are compared are no [`Peer`](crate::peers::Peer)s: each names its own contestants, whole programs mostly.
//! A further row is a further [`Contest`].

use crate::openssh::Files;
use crate::rows::Sizes;
use crate::table::{Column, Line, Rounds, table};
use crate::{copies, links, starts};

pub trait Contest {
    /// By which it is asked for.
    fn name(&self) -> String;

    fn columns(&self) -> Vec<Column>;

    /// Makes ready what the row needs, its servers and files. Ours comes first, a limit last.
    fn contestants<'f>(&self, files: &'f Files, sizes: Sizes) -> Vec<Contestant<'f>>;
}

/// Whoever takes part in a row.
pub struct Contestant<'f> {
    pub name: &'static str,
    pub round: Round<'f>,
}

/// One round: a value for each column, or what went wrong.
pub type Round<'f> = Box<dyn FnMut() -> Result<Vec<f64>, String> + 'f>;

pub fn all() -> Vec<Box<dyn Contest>> {
    [copies::all(), links::all(), starts::all()].into_iter().flatten().collect()
}

/// All rounds of a row, in turns, as a table. Who fails says why, and takes part no more.
pub fn run(contest: &dyn Contest, files: &Files, sizes: Sizes, rounds: usize) -> String {
    let columns = contest.columns();
    let mut contestants = contest.contestants(files, sizes);
    let line = |contestant: &Contestant<'_>| Line {
        name: contestant.name.to_owned(),
        figures: Some(vec![Rounds::default(); columns.len()]),
    };
    let mut lines: Vec<_> = contestants.iter().map(line).collect();
    for _ in 0..rounds {
        for (contestant, line) in contestants.iter_mut().zip(&mut lines) {
            let Some(figures) = &mut line.figures else { continue };
            match (contestant.round)() {
                Ok(values) => figures.iter_mut().zip(values).for_each(|(rounds, value)| rounds.push(value)),
                Err(why) => {
                    eprintln!("{}: {}: {}", contest.name(), contestant.name, why.trim());
                    line.figures = None;
                }
            }
        }
    }
    table(&contest.name(), &columns, &lines)
}
