//! One entry of a listpack: how a value becomes bytes, and back.

use super::Value;
use crate::faults::{self, Fault};

/// Marks the end of the entries where the next would begin.
pub(super) const END: u8 = 0xFF;

/// Marks in the first byte. Zero to [`SEVEN_BITS`] stand for themselves.
const SEVEN_BITS: i64 = 0x7F;
const STRING_6: u8 = 0b1000_0000;
const INT_13: u8 = 0b1100_0000;
const STRING_12: u8 = 0b1110_0000;
const STRING_32: u8 = 0xF0;
const INT_16: u8 = 0xF1;
const INT_24: u8 = 0xF2;
const INT_32: u8 = 0xF3;
const INT_64: u8 = 0xF4;

/// Longest string with a length of six bits, and of twelve.
const SIX_BITS: usize = (1 << 6) - 1;
const TWELVE_BITS: usize = (1 << 12) - 1;
/// Integers of thirteen bits, the sign one of them.
const THIRTEEN_BITS: std::ops::Range<i64> = -(1 << 12)..1 << 12;
/// Bytes of a 24-bit integer.
const THREE: usize = 3;

/// Where an entry's parts lie; its back-length follows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) at: usize,
    /// Bytes of the encoding.
    head: usize,
    /// Bytes of the content.
    body: usize,
}

/// Why an entry cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    Truncated,
    Encoding,
}

impl Entry {
    /// Takes apart what begins at `at`, which is not the end mark. Says nothing of whether its content is there.
    #[inline]
    pub(super) fn read(bytes: &[u8], at: usize) -> Result<Entry, Unreadable> {
        let mark = *bytes.get(at).ok_or(Unreadable::Truncated)?;
        let (head, body) = match mark {
            0..STRING_6 => (1, 0),
            STRING_6..INT_13 => (1, usize::from(mark & !STRING_6)),
            INT_13..STRING_12 => (1, 1),
            STRING_12..STRING_32 => {
                let low = *bytes.get(at + 1).ok_or(Unreadable::Truncated)?;
                (2, usize::from(mark & !STRING_12) << 8 | usize::from(low))
            }
            STRING_32 => {
                let field = bytes.get(at + 1..at + 5).ok_or(Unreadable::Truncated)?;
                (5, u32::from_le_bytes([field[0], field[1], field[2], field[3]]) as usize)
            }
            INT_16 => (1, size_of::<i16>()),
            INT_24 => (1, THREE),
            INT_32 => (1, size_of::<i32>()),
            INT_64 => (1, size_of::<i64>()),
            _ => return Err(Unreadable::Encoding),
        };
        Ok(Entry { at, head, body })
    }

    /// Bytes of encoding and content.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.head + self.body
    }

    /// Where the next begins.
    #[inline]
    pub(super) fn end(&self) -> usize {
        self.at + self.len() + back_size(self.len())
    }

    /// The content.
    #[inline]
    pub(super) fn value<'a>(&self, bytes: &'a [u8]) -> Value<'a> {
        let mark = bytes[self.at];
        let start = self.at + self.head;
        let content = &bytes[start..start + self.body];
        match mark {
            0..STRING_6 => Value::Int(i64::from(mark)),
            STRING_6..INT_13 | STRING_12..=STRING_32 => Value::Bytes(content),
            INT_13..STRING_12 => {
                let number = i64::from(mark & !STRING_12) << 8 | i64::from(content[0]);
                let negative = number >= THIRTEEN_BITS.end && !faults::is(Fault::ListpackThirteenBitsUnsigned);
                Value::Int(if negative { number - 2 * THIRTEEN_BITS.end } else { number })
            }
            _ => {
                let mut wide = [0; 8];
                wide[..content.len()].copy_from_slice(content);
                // Shifting up and down again fills what is above the sign.
                let spare = i64::BITS - 8 * content.len() as u32;
                Value::Int(i64::from_le_bytes(wide) << spare >> spare)
            }
        }
    }
}

/// Bytes of encoding and content by the mark they begin with, where the mark alone tells that they are 15 at most, what
/// [`Entry::read`] takes from them too; 0 elsewhere.
static SHORT_LEN: [u8; 256] = {
    let mut lens = [0; 256];
    let mut mark = 0;
    while mark < lens.len() {
        lens[mark] = match mark as u8 {
            0..STRING_6 => 1,
            // Up to 14 bytes of text.
            text @ STRING_6..=0x8E => 1 + (text & !STRING_6),
            INT_13..STRING_12 => 2,
            INT_16 => 3,
            INT_24 => 4,
            INT_32 => 5,
            INT_64 => 9,
            _ => 0,
        };
        mark += 1;
    }
    lens
};

/// Bytes of an element that begins with this mark, if it tells that they are 15 at most.
#[inline]
pub(super) fn short_len(mark: u8) -> Option<usize> {
    match SHORT_LEN[usize::from(mark)] {
        0 => None,
        // The mask tells the compiler what the table holds: who indexes 16 bytes by it needs no check.
        len => Some(usize::from(len & 0x0F)),
    }
}

/// Bytes of the back-length of an entry of `len` bytes. The greatest length of each size already takes the next one.
#[inline]
pub(super) fn back_size(len: usize) -> usize {
    match len {
        0..=0x7F => 1,
        0x80..0x3FFF => 2,
        0x3FFF..0x1F_FFFF => 3,
        0x1F_FFFF..0xFFF_FFFF => 4,
        _ => 5,
    }
}

/// The back-length of an entry of `len` bytes, and how many of its bytes count: seven bits each, the highest first; all
/// but the first have the bit that tells a reader who comes from behind to go on.
#[inline]
pub(super) fn back_length(len: usize) -> ([u8; 5], usize) {
    let size = back_size(len);
    let mut bytes = [0; 5];
    for (place, byte) in bytes.iter_mut().take(size).enumerate() {
        let bits = (len >> (7 * (size - 1 - place))) as u8 & 0x7F;
        *byte = if place == 0 { bits } else { bits | 0x80 };
    }
    (bytes, size)
}

/// Reads the back-length that ends before `end`: the length, `None` when it has no beginning.
#[inline]
pub(super) fn read_back(bytes: &[u8], end: usize) -> Option<usize> {
    let mut len = 0;
    for (place, &byte) in bytes.get(..end)?.iter().rev().take(5).enumerate() {
        len |= usize::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(len);
        }
    }
    None
}

/// Encoding and fixed-size content of a value; a string's bytes follow.
struct Head<'a> {
    bytes: [u8; 9],
    len: usize,
    text: &'a [u8],
}

fn head(value: Value<'_>) -> Head<'_> {
    let mut bytes = [0; 9];
    let (len, text) = match value {
        Value::Int(number) => (int_head(number, &mut bytes), &[][..]),
        Value::Bytes(text) if text.len() <= SIX_BITS => {
            bytes[0] = STRING_6 | text.len() as u8;
            (1, text)
        }
        Value::Bytes(text) if text.len() <= TWELVE_BITS => {
            bytes[0] = STRING_12 | (text.len() >> 8) as u8;
            bytes[1] = text.len() as u8;
            (2, text)
        }
        Value::Bytes(text) => {
            bytes[0] = STRING_32;
            // A listpack is shorter than 2^32 bytes.
            bytes[1..5].copy_from_slice(&(text.len() as u32).to_le_bytes());
            (5, text)
        }
    };
    Head { bytes, len, text }
}

fn int_head(number: i64, bytes: &mut [u8; 9]) -> usize {
    if (0..=SEVEN_BITS).contains(&number) {
        bytes[0] = number as u8;
        return 1;
    }
    if THIRTEEN_BITS.contains(&number) {
        bytes[0] = INT_13 | (number >> 8) as u8 & !STRING_12;
        bytes[1] = number as u8;
        return 2;
    }
    let (mark, size) = if i16::try_from(number).is_ok() {
        (INT_16, size_of::<i16>())
    } else if (-0x80_0000..0x80_0000).contains(&number) {
        (INT_24, THREE)
    } else if i32::try_from(number).is_ok() {
        (INT_32, size_of::<i32>())
    } else {
        (INT_64, size_of::<i64>())
    };
    bytes[0] = mark;
    bytes[1..=size].copy_from_slice(&number.to_le_bytes()[..size]);
    1 + size
}

/// Bytes of a value's whole entry, back-length and all.
#[inline]
pub(super) fn entry_len(value: Value<'_>) -> usize {
    if let Value::Int(0..=SEVEN_BITS) = value {
        return 2;
    }
    let head = head(value);
    let len = head.len + head.text.len();
    len + back_size(len)
}

/// Appends a value's whole entry.
#[inline]
pub(super) fn write(value: Value<'_>, target: &mut Vec<u8>) {
    let start = target.len();
    write_bare(value, target);
    let (back, size) = back_length(target.len() - start);
    target.extend_from_slice(&back[..size]);
}

/// Appends a value's entry but for the back-length.
#[inline]
pub(super) fn write_bare(value: Value<'_>, target: &mut Vec<u8>) {
    if let Value::Int(number @ 0..=SEVEN_BITS) = value {
        return target.push(number as u8);
    }
    let head = head(value);
    target.extend_from_slice(&head.bytes[..head.len]);
    target.extend_from_slice(head.text);
}

/// Writes a value's whole entry over bytes that are just as many.
pub(super) fn write_over(value: Value<'_>, place: &mut [u8]) {
    let head = head(value);
    let len = head.len + head.text.len();
    place[..head.len].copy_from_slice(&head.bytes[..head.len]);
    place[head.len..len].copy_from_slice(head.text);
    let (back, size) = back_length(len);
    place[len..].copy_from_slice(&back[..size]);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_value_comes_back_from_the_shortest_encoding_that_holds_it() {
        let long = vec![b'x'; 20_000];
        for (value, len) in [
            (Value::Int(0), 1),
            (Value::Int(127), 1),
            (Value::Int(128), 2),
            (Value::Int(-1), 2),
            (Value::Int(4095), 2),
            (Value::Int(-4096), 2),
            (Value::Int(4096), 3),
            (Value::Int(-4097), 3),
            (Value::Int(-32_768), 3),
            (Value::Int(32_768), 4),
            (Value::Int(-0x80_0000), 4),
            (Value::Int(0x7F_FFFF), 4),
            (Value::Int(0x80_0000), 5),
            (Value::Int(i64::from(i32::MIN)), 5),
            (Value::Int(1 << 31), 9),
            (Value::Int(i64::MIN), 9),
            (Value::Int(i64::MAX), 9),
            (Value::Bytes(b""), 1),
            (Value::Bytes(&long[..63]), 64),
            (Value::Bytes(&long[..64]), 66),
            (Value::Bytes(&long[..4095]), 4097),
            (Value::Bytes(&long[..4096]), 4101),
            (Value::Bytes(&long), 20_005),
        ] {
            let mut bytes = Vec::new();
            write(value, &mut bytes);
            let entry = Entry::read(&bytes, 0).unwrap();
            assert_eq!((entry.len(), entry.end()), (len, bytes.len()), "{value:?}");
            assert_eq!(entry_len(value), bytes.len());
            assert_eq!(entry.value(&bytes), value);
            assert_eq!(read_back(&bytes, bytes.len()), Some(len));
        }
    }

    #[test]
    fn back_lengths_are_read_from_behind_at_every_border_of_their_size() {
        for (len, size) in [
            (1, 1),
            (127, 1),
            (128, 2),
            (16_382, 2),
            (16_383, 3),
            (16_384, 3),
            (2_097_150, 3),
            (2_097_151, 4),
            (268_435_454, 4),
            (268_435_455, 5),
            (u32::MAX as usize, 5),
        ] {
            let (bytes, found) = back_length(len);
            assert_eq!(found, size, "{len}");
            assert_eq!(read_back(&bytes, size), Some(len));
        }
        assert_eq!(read_back(&[0x81, 0x82], 2), None);
        assert_eq!(read_back(&[0xFF; 9], 9), None);
        assert_eq!(read_back(&[], 0), None);
    }
}
