//! Lines as records: the formats of access logs, named, pasted or found out.
//!
//! A [`RecordParser`] reads the lines of one source. It does not know files, nor what a record is for.

mod combined;

use super::record::{Malformed, Record};

/// The lines of one source, in a format that was named or is found out from them.
#[derive(Clone, Debug, Default)]
pub struct RecordParser {}

/// stub
pub enum News { /// stub
 Found(&'static str) }
impl core::fmt::Display for News { fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result { f.write_str("") } }
impl RecordParser {
    /// stub
    pub fn named(_: &str) -> Result<Self, String> { Ok(Self::default()) }
    /// stub
    pub fn take_news(&mut self) -> Option<News> { None }
    /// stub
    pub fn has_referrer(&self) -> bool { true }
    /// stub
    pub fn has_host(&self) -> bool { true }
    /// stub
    pub fn name(&self) -> Option<&str> { None }
    /// Reads a line without its end. `None` for one that is no record by its format's own rules, as W3C's directives.
    ///
    /// # Errors
    /// A line that is no record of the format.
    pub fn parse<'a>(&mut self, line: &'a [u8]) -> Result<Option<Record<'a>>, Malformed> {
        combined::parse(line).map(Some)
    }
}
