//! A reader of DER (X.690 §8, §10): as much as key files need.
//!
//! Like [`Reader`](crate::wire::Reader) it borrows, allocates nothing and cannot panic. It takes the one encoding that DER
//! has for a value: definite and shortest lengths, shortest integers. Tags above 30 and indefinite lengths are errors.

use super::error::Malformed;

/// What is left of a sequence.
#[derive(Clone)]
pub(super) struct Der<'a>(&'a [u8]);

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;

/// The tag `[number]`, primitive.
pub(super) const fn context(number: u8) -> u8 {
    0x80 | number
}

/// The tag `[number]`, constructed.
pub(super) const fn constructed(number: u8) -> u8 {
    0xa0 | number
}

impl<'a> Der<'a> {
    /// What `bytes` hold: one sequence and nothing else.
    pub(super) fn whole_sequence(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut outside = Self(bytes);
        let sequence = outside.sequence()?;
        outside.finish()?;
        Ok(sequence)
    }

    /// The contents of the next value, which has this tag.
    pub(super) fn value(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        let rest = self.0.strip_prefix(&[tag]).ok_or(Malformed::Der)?;
        let (length, rest) = length(rest).ok_or(Malformed::Der)?;
        let (contents, rest) = rest.split_at_checked(length).ok_or(Malformed::Der)?;
        self.0 = rest;
        Ok(contents)
    }

    /// The contents of the next value, if it has this tag.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Malformed> {
        if self.0.first() == Some(&tag) { self.value(tag).map(Some) } else { Ok(None) }
    }

    pub(super) fn sequence(&mut self) -> Result<Self, Malformed> {
        self.value(SEQUENCE).map(Self)
    }

    /// The one value within `contents`.
    pub(super) fn explicit(contents: &'a [u8], tag: u8) -> Result<&'a [u8], Malformed> {
        let mut inside = Self(contents);
        let value = inside.value(tag)?;
        inside.finish()?;
        Ok(value)
    }

    /// A number above or equal to zero, big-endian and without leading zeros: none at all for zero.
    pub(super) fn unsigned(&mut self) -> Result<&'a [u8], Malformed> {
        match self.value(INTEGER)? {
            [0] => Ok(&[]),
            [] | [0, 0..=0x7f, ..] | [0x80..=0xff, ..] => Err(Malformed::Der),
            [0, magnitude @ ..] | magnitude => Ok(magnitude),
        }
    }

    /// A number that fits.
    pub(super) fn number(&mut self) -> Result<u64, Malformed> {
        let magnitude = self.unsigned()?;
        if magnitude.len() > size_of::<u64>() {
            return Err(Malformed::Der);
        }
        Ok(magnitude.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
    }

    /// The octets of a bit string that has whole ones.
    pub(super) fn bits(contents: &'a [u8]) -> Result<&'a [u8], Malformed> {
        contents.strip_prefix(&[0]).ok_or(Malformed::Der)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fails if anything is left.
    pub(super) const fn finish(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed::Der) }
    }
}

/// A length in its shortest form, and what follows it.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if *first < 0x80 {
        return Some((usize::from(*first), rest));
    }
    let (octets, rest) = rest.split_at_checked(usize::from(*first & 0x7f))?;
    if octets.first().is_none_or(|octet| *octet == 0) || octets.len() > size_of::<u32>() {
        return None;
    }
    let length = octets.iter().fold(0, |length, octet| length << 8 | u64::from(*octet));
    (length >= 0x80).then_some((usize::try_from(length).ok()?, rest))
}

/// An object identifier as people write it; the contents of one that is none give `?`.
pub(super) fn oid_text(contents: &[u8]) -> String {
    let mut text = String::new();
    let mut arc = 0_u64;
    for octet in contents.iter().take(32) {
        arc = arc << 7 | u64::from(octet & 0x7f);
        if octet & 0x80 == 0 {
            if text.is_empty() {
                let first = (arc / 40).min(2);
                text = format!("{first}.{}", arc - 40 * first);
            } else {
                text.push('.');
                text.push_str(&arc.to_string());
            }
            arc = 0;
        }
    }
    if text.is_empty() { "?".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t89_only_the_shortest_form_is_a_length() {
        assert_eq!(length(&[0x7f, 1]), Some((0x7f, &[1][..])));
        assert_eq!(length(&[0x81, 0x80]), Some((0x80, &[][..])));
        assert_eq!(length(&[0x84, 0xff, 0xff, 0xff, 0xff]), Some((0xffff_ffff, &[][..])));
        for bytes in [
            &[][..],
            &[0x80],
            &[0x81],
            &[0x81, 0x7f],
            &[0x82, 0, 0x80],
            &[0x85, 1, 0, 0, 0, 0],
            &[0x85, 0, 0, 0, 0, 1],
            &[0xff; 200],
        ] {
            assert_eq!(length(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn numbers_have_one_encoding_and_no_sign() {
        let unsigned = |bytes| Der(bytes).unsigned();
        assert_eq!(unsigned(&[2, 1, 0]), Ok(&[][..]));
        assert_eq!(unsigned(&[2, 1, 0x7f]), Ok(&[0x7f][..]));
        assert_eq!(unsigned(&[2, 2, 0, 0x80]), Ok(&[0x80][..]));
        for bytes in
            [&[2, 0][..], &[2, 1, 0x80], &[2, 2, 0, 0x7f], &[2, 2, 0, 0], &[2, 2, 1], &[3, 1, 0], &[]]
        {
            assert_eq!(unsigned(bytes), Err(Malformed::Der), "{bytes:?}");
        }
        assert_eq!(Der(&[2, 9, 0, 255, 255, 255, 255, 255, 255, 255, 255]).number(), Ok(u64::MAX));
        assert_eq!(Der(&[2, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0]).number(), Err(Malformed::Der));
    }

    #[test]
    fn a_sequence_is_whole_and_alone() {
        assert!(Der::whole_sequence(&[0x30, 2, 5, 0]).is_ok());
        for bytes in
            [&[0x30, 2, 5, 0, 0][..], &[0x30, 3, 5, 0], &[0x31, 2, 5, 0], &[0x30, 0x80, 5, 0, 0, 0], &[]]
        {
            assert_eq!(Der::whole_sequence(bytes).err(), Some(Malformed::Der), "{bytes:?}");
        }
    }

    #[test]
    fn identifiers_are_written_with_dots_whatever_they_hold() {
        assert_eq!(oid_text(&[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1]), "1.2.840.10040.4.1");
        assert_eq!(oid_text(&[0x88, 0x37, 3]), "2.999.3");
        assert_eq!((oid_text(&[]), oid_text(&[0xff; 99])), ("?".to_owned(), "?".to_owned()));
    }
}
