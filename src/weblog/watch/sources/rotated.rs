//! Rotated files that are found, or named, beside their log: whoever follows the log reads them, and each is read once.

use super::{Place, Sources};
use crate::weblog::follow::siblings::{bases, split};
use std::collections::HashSet;

impl Sources {
    /// Which of the files that were found are by their names rotated ones of another log: of one that was found with them, that
    /// is named, or that is followed.
    pub(super) fn rotated(&self, place: &Place, found: &[Vec<u8>]) -> Vec<bool> {
        let named = self.operands.iter().map(|(source, _)| &source.place);
        let named = named.filter(|other| other.is_beside(place)).map(Place::path);
        let is_beside =
            |operand: usize| self.operands.get(operand).is_some_and(|(of, _)| of.place.is_beside(place));
        let followed = self.logs.iter().filter(|log| is_beside(log.operand)).map(|log| log.path.as_slice());
        let known: HashSet<&[u8]> = found.iter().map(Vec::as_slice).chain(named).chain(followed).collect();
        let is_rotated = |path: &Vec<u8>| {
            let (_, name) = split(path);
            let directory = path.get(..path.len() - name.len()).unwrap_or_default();
            bases(name).any(|base| known.contains([directory, base].concat().as_slice()))
        };
        found.iter().map(is_rotated).collect()
    }
}
