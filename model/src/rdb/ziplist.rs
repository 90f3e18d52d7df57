//! Ziplists: a list of strings and integers in one piece of memory, as files hold it.
//!
//! ```text
//! bytes in all (4)   offset of the last entry (4)   entries (2; 65,535: not known)   entries …   ff
//! entry: length of the entry before (1 byte below fe, or fe and 4)   encoding   content
//! encoding: 00nnnnnn | 01nnnnnn n | 10…… nnnn         a string of n bytes, n high byte first
//!           c0, f0, d0, e0 and 2, 3, 4, 8 bytes; fe and 1    an integer, low byte first
//!           f1 to fd                                   the integers 0 to 12
//! ```

use crate::numbers::parse_integer;
use crate::reply::Bytes;

const HEADER: usize = 10;
const END: u8 = 0xff;
/// Announces a length of four bytes.
const LONG: u8 = 0xfe;
/// The number of entries is not known.
const MANY: usize = 0xffff;

/// What is wrong with a structure.
pub type Wrong = &'static str;

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// A little-endian signed integer of so many bytes.
fn signed(bytes: &[u8]) -> i64 {
    let unused = 64 - 8 * bytes.len() as u32;
    (little_endian(bytes) << unused) as i64 >> unused
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The entries from first to last, integers as their decimal text. [ZIPLIST-1] to [ZIPLIST-5]
pub fn read(bytes: &[u8]) -> Result<Vec<Bytes>, Wrong> {
    if bytes.len() <= HEADER {
        return Err("a ziplist has at least eleven bytes");
    }
    if little_endian(&bytes[..4]) != bytes.len() as u64 {
        return Err("the ziplist announces another length");
    }
    let mut entries = Vec::new();
    let mut at = HEADER;
    let mut last = HEADER;
    let mut before = 0;
    loop {
        let rest = &bytes[at..];
        match rest {
            [] => return Err("the ziplist has no end"),
            [END] => break,
            [END, ..] => return Err("bytes follow the end of the ziplist"),
            _ => {}
        }
        let (entry, length) = entry(rest, before)?;
        entries.push(entry);
        last = at;
        before = length;
        at += length;
    }
    if little_endian(&bytes[4..8]) != last as u64 {
        return Err("the last entry stands elsewhere");
    }
    let announced = size(little_endian(&bytes[8..HEADER]));
    if announced != MANY && announced != entries.len() {
        return Err("the ziplist announces another number of entries");
    }
    Ok(entries)
}

/// One entry and how many bytes it takes; the entry before it takes `before`.
fn entry(bytes: &[u8], before: usize) -> Result<(Bytes, usize), Wrong> {
    const CUT: Wrong = "the ziplist ends within an entry";
    let (length_before, start) = match bytes {
        [LONG, rest @ ..] => (size(little_endian(rest.get(..4).ok_or(CUT)?)), 5),
        [short, ..] => (usize::from(*short), 1),
        [] => return Err(CUT),
    };
    if length_before != before {
        return Err("an entry tells another length of the one before it");
    }
    let rest = bytes.get(start..).ok_or(CUT)?;
    let &encoding = rest.first().ok_or(CUT)?;
    let (header, length, is_string): (usize, usize, bool) = match encoding {
        0x00..=0x3f => (1, usize::from(encoding), true),
        0x40..=0x7f => (2, usize::from(encoding & 0x3f) << 8 | usize::from(*rest.get(1).ok_or(CUT)?), true),
        0x80..=0xbf => (5, size(big_endian(rest.get(1..5).ok_or(CUT)?)), true),
        0xc0 => (1, 2, false),
        0xd0 => (1, 4, false),
        0xe0 => (1, 8, false),
        0xf0 => (1, 3, false),
        0xfe => (1, 1, false),
        0xf1..=0xfd => {
            return Ok(((encoding - 0xf1).to_string().into_bytes(), start + 1));
        }
        _ => return Err("an entry has an encoding that does not exist"),
    };
    // The byte that ends the ziplist is no content.
    let content = header.checked_add(length).and_then(|end| rest.get(header..end)).ok_or(CUT)?;
    let entry = if is_string { content.to_vec() } else { signed(content).to_string().into_bytes() };
    Ok((entry, start + header + length))
}

/// A ziplist that these entries were appended to, one after the other.
pub fn write(entries: &[Bytes]) -> Bytes {
    let mut bytes = vec![0; HEADER];
    let mut last = HEADER;
    let mut before = 0;
    for entry in entries {
        last = bytes.len();
        if before < usize::from(LONG) {
            bytes.push(before as u8);
        } else {
            bytes.push(LONG);
            bytes.extend((before as u32).to_le_bytes());
        }
        bytes.extend(encoded(entry));
        before = bytes.len() - last;
    }
    bytes.push(END);
    let length = bytes.len() as u32;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[4..8].copy_from_slice(&(last as u32).to_le_bytes());
    bytes[8..HEADER].copy_from_slice(&(entries.len().min(MANY) as u16).to_le_bytes());
    bytes
}

/// Encoding and content of an entry. [ZIPLIST-3] [ZIPLIST-4]
fn encoded(entry: &[u8]) -> Bytes {
    if let Some(integer) = parse_integer(entry) {
        let (encoding, length) = match integer {
            0..=12 => return vec![0xf1 + integer as u8],
            -0x80..=0x7f => (0xfe, 1),
            -0x8000..=0x7fff => (0xc0, 2),
            -0x80_0000..=0x7f_ffff => (0xf0, 3),
            -0x8000_0000..=0x7fff_ffff => (0xd0, 4),
            _ => (0xe0, 8),
        };
        return [&[encoding], &integer.to_le_bytes()[..length]].concat();
    }
    let mut bytes = match entry.len() {
        length @ 0..=0x3f => vec![length as u8],
        length @ 0x40..=0x3fff => vec![0x40 | (length >> 8) as u8, length as u8],
        length => [&[0x80], &(length as u32).to_be_bytes()[..]].concat(),
    };
    bytes.extend(entry);
    bytes
}
