//! Encoding of the data types of RFC 4251 §5.
//!
//! A [`Writer`] appends to a buffer of the caller's, so that a message is built where it will be sealed and sent from.

/// Appends encoded values to a buffer (RFC 4251 §5).
#[derive(Debug)]
pub struct Writer<'a>(&'a mut Vec<u8>);

impl<'a> Writer<'a> {
    /// Appends to `buffer`.
    pub const fn new(buffer: &'a mut Vec<u8>) -> Self {
        Self(buffer)
    }

    /// `byte[n]`: the bytes alone.
    pub fn bytes(&mut self, value: &[u8]) {
        self.0.extend_from_slice(value);
    }

    /// `byte`.
    pub fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    /// `boolean`.
    pub fn boolean(&mut self, value: bool) {
        self.byte(u8::from(value));
    }

    /// `uint32`.
    pub fn uint32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    /// `uint64`.
    pub fn uint64(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
    }

    /// `string`. What is longer than a `uint32` can say is cut; no packet is as long as that.
    pub fn string(&mut self, value: &[u8]) {
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        self.uint32(length);
        self.bytes(value.get(..length as usize).unwrap_or(value));
    }

    /// `mpint` of the number above or equal to zero whose big-endian bytes are `magnitude`: leading zero bytes go, and
    /// one comes in front of a set top bit.
    pub fn mpint(&mut self, magnitude: &[u8]) {
        let zeros = magnitude.iter().take_while(|b| **b == 0).count();
        let (_, magnitude) = magnitude.split_at(zeros);
        let sign = magnitude.first().is_some_and(|b| *b >= 0x80);
        self.uint32(u32::try_from(magnitude.len() + usize::from(sign)).unwrap_or(u32::MAX));
        if sign {
            self.byte(0);
        }
        self.bytes(magnitude);
    }

    /// `name-list` of names that are joined by commas here.
    pub fn name_list<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) {
        let start = self.0.len();
        self.uint32(0);
        for (i, name) in names.into_iter().enumerate() {
            if i > 0 {
                self.byte(b',');
            }
            self.bytes(name.as_bytes());
        }
        self.end_string(start);
    }

    /// `string` whose contents `write` appends: for a string made of fields.
    pub fn nested(&mut self, write: impl FnOnce(&mut Writer<'_>)) {
        let start = self.0.len();
        self.uint32(0);
        write(&mut Writer(self.0));
        self.end_string(start);
    }

    /// Puts the length of what was appended behind the `uint32` at `start`.
    fn end_string(&mut self, start: usize) {
        let length = u32::try_from(self.0.len() - start - 4).unwrap_or(u32::MAX);
        if let Some(at) = self.0.get_mut(start..start + 4) {
            at.copy_from_slice(&length.to_be_bytes());
        }
    }
}
