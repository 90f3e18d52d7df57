//! Listpacks: a list of strings and integers in one piece of memory, as the nodes of streams hold it.
//!
//! ```text
//! bytes in all (4)   elements (2; 65,535: not known)   elements …   ff
//! element: encoding   content   length of both, seven bits to a byte, high bits first
//! encoding: 0nnnnnnn | 110nnnnn n              the integers 0 to 127, and those of 13 bits
//!           f1, f2, f3, f4 and 2, 3, 4, 8 bytes    an integer, low byte first
//!           10nnnnnn | 1110nnnn n | f0 nnnn    a string of n bytes, n of the last form low byte first
//! ```

use super::ziplist::Wrong;
use crate::numbers::parse_integer;
use crate::reply::Bytes;

const HEADER: usize = 6;
const END: u8 = 0xff;
/// The number of elements is not known.
const MANY: usize = 0xffff;

/// The elements from first to last, integers as their decimal text. [LISTPACK-1] to [LISTPACK-6]
pub fn read(bytes: &[u8]) -> Result<Vec<Bytes>, Wrong> {
    if bytes.len() <= HEADER {
        return Err("a listpack has at least seven bytes");
    }
    if little_endian(&bytes[..4]) != bytes.len() as u64 {
        return Err("the listpack announces another length");
    }
    let mut elements = Vec::new();
    let mut rest = &bytes[HEADER..];
    loop {
        match rest {
            [] => return Err("the listpack has no end"),
            [END] => break,
            [END, ..] => return Err("bytes follow the end of the listpack"),
            _ => {}
        }
        let (element, length) = element(rest)?;
        // The byte that ends the listpack belongs to no element.
        if length >= rest.len() {
            return Err("the listpack ends within an element");
        }
        elements.push(element);
        rest = &rest[length..];
    }
    let announced = little_endian(&bytes[4..HEADER]);
    if announced != MANY as u64 && announced != elements.len() as u64 {
        return Err("the listpack announces another number of elements");
    }
    Ok(elements)
}

/// One element and how many bytes it takes.
fn element(bytes: &[u8]) -> Result<(Bytes, usize), Wrong> {
    const CUT: Wrong = "the listpack ends within an element";
    let taken = |from: usize, count: u64| {
        let end = usize::try_from(count).ok().and_then(|count| from.checked_add(count)).ok_or(CUT)?;
        bytes.get(from..end).ok_or(CUT)
    };
    let encoding = bytes[0];
    // Where the content begins, how long it is, and whether it is a string.
    let (start, length, is_string) = match encoding {
        0x00..=0x7f => return finished(bytes, encoding.to_string().into_bytes(), 1),
        0x80..=0xbf => (1, u64::from(encoding & 0x3f), true),
        0xc0..=0xdf => {
            let low = taken(1, 1)?[0];
            // Thirteen bits, of which the highest is the sign.
            let number = i64::from(encoding & 0x1f) << 8 | i64::from(low);
            let number = if number >= 1 << 12 { number - (1 << 13) } else { number };
            return finished(bytes, number.to_string().into_bytes(), 2);
        }
        0xe0..=0xef => (2, u64::from(encoding & 0x0f) << 8 | u64::from(taken(1, 1)?[0]), true),
        0xf0 => (5, little_endian(taken(1, 4)?), true),
        0xf1 => (1, 2, false),
        0xf2 => (1, 3, false),
        0xf3 => (1, 4, false),
        0xf4 => (1, 8, false),
        _ => return Err("an element has an encoding that does not exist"),
    };
    let content = taken(start, length)?;
    let text = if is_string { content.to_vec() } else { signed(content).to_string().into_bytes() };
    finished(bytes, text, start + content.len())
}

/// An element that takes so many bytes, and behind it the length of these.
fn finished(bytes: &[u8], element: Bytes, length: usize) -> Result<(Bytes, usize), Wrong> {
    let back = back_length(length);
    if !bytes[length..].starts_with(&back) {
        return Err("an element is not as long as it says at its end");
    }
    Ok((element, length + back.len()))
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

fn signed(bytes: &[u8]) -> i64 {
    let unused = 64 - 8 * bytes.len() as u32;
    (little_endian(bytes) << unused) as i64 >> unused
}

/// The length of an element as it stands at the element's end. [LISTPACK-2] [LISTPACK-3]
fn back_length(length: usize) -> Bytes {
    let count = match length {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    };
    let group = |index: u32| (length >> (7 * index)) as u8 & 0x7f | 0x80;
    let mut bytes: Bytes = (0..count).rev().map(group).collect();
    bytes[0] &= 0x7f;
    bytes
}

/// A listpack that these elements were appended to, one after the other.
pub fn write(elements: &[impl AsRef<[u8]>]) -> Bytes {
    let mut bytes = vec![0; HEADER];
    for element in elements {
        let start = bytes.len();
        encode(element.as_ref(), &mut bytes);
        match bytes.len() - start {
            length @ 0..=127 => bytes.push(length as u8),
            length => bytes.extend(back_length(length)),
        }
    }
    bytes.push(END);
    let length = bytes.len() as u32;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[4..HEADER].copy_from_slice(&(elements.len().min(MANY) as u16).to_le_bytes());
    bytes
}

/// Appends encoding and content of an element. [LISTPACK-4] [LISTPACK-5]
fn encode(element: &[u8], bytes: &mut Bytes) {
    if let Some(integer) = parse_integer(element) {
        let (encoding, length) = match integer {
            0..=127 => return bytes.push(integer as u8),
            -0x1000..=0x0fff => return bytes.extend([0xc0 | (integer >> 8) as u8 & 0x1f, integer as u8]),
            -0x8000..=0x7fff => (0xf1, 2),
            -0x80_0000..=0x7f_ffff => (0xf2, 3),
            -0x8000_0000..=0x7fff_ffff => (0xf3, 4),
            _ => (0xf4, 8),
        };
        bytes.push(encoding);
        bytes.extend(&integer.to_le_bytes()[..length]);
        return;
    }
    match element.len() {
        length @ 0..=0x3f => bytes.push(0x80 | length as u8),
        length @ 0x40..=0xfff => bytes.extend([0xe0 | (length >> 8) as u8, length as u8]),
        length => {
            bytes.push(0xf0);
            bytes.extend((length as u32).to_le_bytes());
        }
    }
    bytes.extend(element);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{back_length, encode, read, write};

    fn encoded(element: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(element, &mut bytes);
        bytes
    }

    #[test]
    fn lengths_at_the_end_of_elements_have_their_own_borders() {
        assert_eq!(back_length(127), [127]);
        assert_eq!(back_length(128), [1, 0x80]);
        assert_eq!(back_length(16_382), [0x7f, 0xfe]);
        assert_eq!(back_length(16_383), [0, 0xff, 0xff]);
        assert_eq!(back_length(2_097_151), [0, 0xff, 0xff, 0xff]);
    }

    #[test]
    fn integers_take_the_shortest_form() {
        assert_eq!(encoded(b"127"), [127]);
        assert_eq!(encoded(b"128"), [0xc0, 128]);
        assert_eq!(encoded(b"-1"), [0xdf, 0xff]);
        assert_eq!(encoded(b"-4096"), [0xd0, 0]);
        assert_eq!(encoded(b"4096"), [0xf1, 0, 0x10]);
        assert_eq!(encoded(b"8388607"), [0xf2, 0xff, 0xff, 0x7f]);
        assert_eq!(encoded(b"-2147483648"), [0xf3, 0, 0, 0, 0x80]);
        assert_eq!(encoded(b"007"), [0x83, b'0', b'0', b'7']);
    }

    #[test]
    fn what_is_written_is_read() {
        let numbers = [0_i64, 127, 128, -1, 4095, 4096, -4097, 32768, 1 << 23, 1 << 31, i64::MAX, i64::MIN];
        let mut elements: Vec<Vec<u8>> = numbers.iter().map(|number| number.to_string().into_bytes()).collect();
        elements.extend([0, 63, 64, 4095, 4096, 70_000].map(|length| vec![b'x'; length]));
        let bytes = write(&elements);
        assert_eq!(read(&bytes).unwrap(), elements);
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).is_err());
        }
    }
}
