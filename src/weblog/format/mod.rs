//! Lines as records: the formats of access logs, named, pasted or found out.
//!
//! A [`RecordParser`] reads the lines of one source. It does not know files, nor what a record is for.

mod combined;

use super::record::{Malformed, Record};

/// The lines of one source, in a format that was named or is found out from them.
#[derive(Clone, Debug, Default)]
pub struct RecordParser {}

impl RecordParser {
    /// Reads a line without its end. `None` for one that is no record by its format's own rules, as W3C's directives.
    ///
    /// # Errors
    /// A line that is no record of the format.
    pub fn parse<'a>(&mut self, line: &'a [u8]) -> Result<Option<Record<'a>>, Malformed> {
        combined::parse(line).map(Some)
    }
}
