//! Rotated files that are found, or named, beside their log: whoever follows the log reads them, and each is read once.

use super::{Place, Sources};
use crate::weblog::follow::siblings::{bases, split};

impl Sources {
    /// Whether a file is by its name a rotated one of another log: of one that was found with it, that is named, or that is
    /// followed.
    pub(super) fn is_rotated(&self, place: &Place, path: &[u8], found: &[Vec<u8>]) -> bool {
        let (_, name) = split(path);
        let directory = path.get(..path.len() - name.len()).unwrap_or_default();
        bases(name).map(|base| [directory, base].concat()).any(|base| {
            let log = place.at(&base);
            let is_named = self.operands.iter().any(|(other, _)| other.place == log);
            is_named || found.binary_search(&base).is_ok() || self.is_followed(&log)
        })
    }

    fn is_followed(&self, place: &Place) -> bool {
        self.logs
            .iter()
            .any(|log| self.operands.get(log.operand).is_some_and(|(of, _)| of.place.at(&log.path) == *place))
    }
}
