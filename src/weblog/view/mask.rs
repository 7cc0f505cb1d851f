//! `--anonymize`: records without what names a visitor.
//!
//! What is cut is gone before anything else sees the record, filters too. Cut are: bits of the client's address, wherever that
//! stands in the record; a client that is no address; the user; the query strings of resource and referrer; bits of the
//! addresses before the proxies. It does not know lines: one is written anew from what is left of its record.

use super::filter::address;
use crate::weblog::record::{Record, Text};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::Range;
use memchr::{memchr2, memmem};
use std::borrow::Cow;
use std::io::Write;

/// How many bits of an address are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mask {
    v4: u32,
    v6: u32,
}

/// Where the masked fields of a record are written; one serves for all lines.
#[derive(Debug, Default)]
pub struct Room(Vec<u8>);

impl Mask {
    /// `BITS4/BITS6` of each of the texts, the more bits count; `None` if there are no texts.
    pub(super) fn new(texts: &[String]) -> Result<Option<Self>, String> {
        let mut mask: Option<Self> = None;
        for text in texts {
            let wrong = || {
                format!(
                    "--anonymize={text}: write how many bits are cut of IPv4 and IPv6, as --anonymize=16/80"
                )
            };
            let (v4, v6) = text.split_once('/').ok_or_else(wrong)?;
            let bits = |text: &str, most: u32| text.parse().ok().filter(|bits| *bits <= most);
            let (v4, v6) = (bits(v4, 32).ok_or_else(wrong)?, bits(v6, 128).ok_or_else(wrong)?);
            let before = mask.unwrap_or(Self { v4: 0, v6: 0 });
            mask = Some(Self { v4: before.v4.max(v4), v6: before.v6.max(v6) });
        }
        Ok(mask)
    }

    /// The record without what is cut.
    pub(super) fn apply<'r>(self, record: &Record<'r>, room: &'r mut Room) -> Record<'r> {
        let room = &mut room.0;
        room.clear();
        let client = record.client.map(Text::decode).filter(|client| address(client).is_some());
        let own = client.as_deref().map(|client| (client, self.cut_list(client)));
        let own = own.as_ref().map(|(client, cut)| (*client, cut.as_bytes()));
        let mut keep = |field: Option<Cow<'r, [u8]>>| field.map(|field| kept(field, own, room));
        let decoded = |field: Option<Text<'r>>| field.map(Text::decode);
        let method = keep(decoded(record.method));
        let host = keep(decoded(record.host));
        let target = keep(decoded(record.target).map(without_query));
        let protocol = keep(decoded(record.protocol));
        let referrer = keep(decoded(record.referrer).map(without_query));
        let agent = keep(decoded(record.agent));
        let client = own.map(|(_, cut)| moved(cut, room));
        let forwarded_for =
            record.forwarded_for.map(|list| moved(self.cut_list(&list.decode()).as_bytes(), room));
        let room: &'r [u8] = room;
        let text = |piece: Option<Piece<'r>>| match piece? {
            Piece::Kept(bytes) => Text::plain(bytes),
            Piece::Moved(range) => Text::plain(room.get(range)?),
        };
        Record {
            client: text(client),
            user: None,
            host: text(host),
            method: text(method),
            target: text(target),
            query: None,
            protocol: text(protocol),
            referrer: text(referrer),
            agent: text(agent),
            forwarded_for: text(forwarded_for),
            ..*record
        }
    }

    /// Each address of a list cut; what is none is left out.
    fn cut_list(self, list: &[u8]) -> String {
        let addresses = list.split(|byte| *byte == b',').filter_map(|part| address(part.trim_ascii()));
        addresses.map(|address| self.cut(address)).collect::<Vec<_>>().join(", ")
    }

    /// An address without its last bits: `203.0.0.0`, `2001:db8:0::`.
    fn cut(self, address: IpAddr) -> String {
        match address {
            IpAddr::V4(address) => {
                let kept = u32::MAX.checked_shl(self.v4).unwrap_or(0);
                Ipv4Addr::from_bits(address.to_bits() & kept).to_string()
            }
            IpAddr::V6(address) => {
                let kept = u128::MAX.checked_shl(self.v6).unwrap_or(0);
                let groups = usize::try_from((128 - self.v6).div_ceil(16)).unwrap_or(8);
                let address = Ipv6Addr::from_bits(address.to_bits() & kept);
                let groups: Vec<_> =
                    address.segments().iter().take(groups).map(|group| format!("{group:x}")).collect();
                if groups.len() == 8 { groups.join(":") } else { groups.join(":") + "::" }
            }
        }
    }
}

/// A field of a masked record.
enum Piece<'r> {
    /// As it stands in the line.
    Kept(&'r [u8]),
    /// In the room.
    Moved(Range<usize>),
}

fn moved<'r>(bytes: &[u8], room: &mut Vec<u8>) -> Piece<'r> {
    let start = room.len();
    room.extend_from_slice(bytes);
    Piece::Moved(start..room.len())
}

/// A field that is kept; the client's own address in it is cut there too.
fn kept<'r>(field: Cow<'r, [u8]>, own: Option<(&[u8], &[u8])>, room: &mut Vec<u8>) -> Piece<'r> {
    let found = own.filter(|(client, _)| memmem::find(&field, client).is_some());
    match (field, found) {
        (Cow::Borrowed(field), None) => Piece::Kept(field),
        (Cow::Owned(field), None) => moved(&field, room),
        (field, Some((client, cut))) => {
            let start = room.len();
            let mut rest = &*field;
            while let Some(at) = memmem::find(rest, client) {
                let (plain, tail) = rest.split_at(at);
                room.extend_from_slice(plain);
                room.extend_from_slice(cut);
                rest = tail.get(client.len()..).unwrap_or_default();
            }
            room.extend_from_slice(rest);
            Piece::Moved(start..room.len())
        }
    }
}

/// A resource or a referrer up to its query, or its fragment.
fn without_query(field: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let end = memchr2(b'?', b'#', &field).unwrap_or(field.len());
    match field {
        Cow::Borrowed(field) => Cow::Borrowed(field.get(..end).unwrap_or(field)),
        Cow::Owned(mut field) => {
            field.truncate(end);
            Cow::Owned(field)
        }
    }
}

/// A record as a line of the combined format, in Apache's escapes.
pub(super) fn combined_line(record: &Record<'_>, out: &mut Vec<u8>) {
    let field = |field: Option<Text<'_>>, out: &mut Vec<u8>| match field {
        Some(field) => quoted(&field.decode(), out),
        None => out.push(b'-'),
    };
    field(record.client, out);
    out.extend_from_slice(b" - ");
    field(record.user, out);
    let time = record.time.map_or_else(|| "-".to_owned(), |time| time.common());
    out.extend_from_slice(format!(" [{time}] \"").as_bytes());
    let resource = record.resource();
    let request = [record.method.map(Text::decode), resource, record.protocol.map(Text::decode)];
    let mut parts = request.iter().flatten();
    match parts.next() {
        Some(first) => quoted(first, out),
        None => out.push(b'-'),
    }
    for part in parts {
        out.push(b' ');
        quoted(part, out);
    }
    let status = record.status.map_or_else(|| "-".to_owned(), |status| format!("{status:03}"));
    let size = if record.has_size { record.size.to_string() } else { "-".to_owned() };
    out.extend_from_slice(format!("\" {status} {size} \"").as_bytes());
    field(record.referrer, out);
    out.extend_from_slice(b"\" \"");
    field(record.agent, out);
    out.push(b'"');
}

/// With `"`, `\` and control bytes escaped.
fn quoted(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            0..0x20 | 0x7f => {
                let _into_memory = write!(out, "\\x{byte:02x}");
            }
            _ => out.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Mask;
    use core::net::IpAddr;

    fn cut(bits: &str, address: &str) -> String {
        let mask = Mask::new(&[bits.to_owned()]).unwrap().unwrap();
        mask.cut(address.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn so_many_bits_of_an_address_are_cut() {
        for (bits, address, expected) in [
            ("16/80", "203.0.113.7", "203.0.0.0"),
            ("16/80", "2001:db8:0:1:2::3", "2001:db8:0::"),
            ("16/80", "2001:db8:aa:bb::1", "2001:db8:aa::"),
            ("8/64", "203.0.113.7", "203.0.113.0"),
            ("0/0", "203.0.113.7", "203.0.113.7"),
            ("0/0", "2001:db8::1", "2001:db8:0:0:0:0:0:1"),
            ("4/4", "203.0.113.255", "203.0.113.240"),
            ("4/4", "1:2:3:4:5:6:7:ffff", "1:2:3:4:5:6:7:fff0"),
            ("4/16", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::"),
            ("32/128", "203.0.113.7", "0.0.0.0"),
            ("32/128", "2001:db8::1", "::"),
        ] {
            let shown = cut(bits, address);
            assert_eq!(shown, expected, "{bits} {address}");
            assert!(shown.parse::<IpAddr>().is_ok(), "{shown}");
        }
    }

    #[test]
    fn the_more_bits_count_and_what_is_no_number_of_bits_says_what_to_write() {
        let mask = |texts: &[&str]| Mask::new(&texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>());
        assert_eq!(mask(&[]), Ok(None));
        assert_eq!(mask(&["8/100", "16/80"]), Ok(Some(Mask { v4: 16, v6: 100 })));
        for wrong in ["", "16", "33/80", "16/129", "a/b", "-1/2"] {
            assert!(mask(&[wrong]).unwrap_err().contains("as --anonymize=16/80"), "{wrong}");
        }
    }
}
