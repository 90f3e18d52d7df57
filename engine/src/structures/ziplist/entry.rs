//! One entry of a ziplist: how a value becomes bytes, and back.

use crate::faults::{self, Fault};
use crate::number::{I64_TEXT_MAX, format_i64, i64_text_len, parse_i64};

/// Marks the end of the entries where the next would begin.
pub(super) const END: u8 = 0xFF;
/// Marks a previous length of five bytes.
const LONG_PREVIOUS: u8 = 0xFE;
/// The first length that takes five bytes.
pub(super) const LONG_FROM: usize = 254;
/// Texts of integers are stored as integers up to this length; longer ones are none.
const INTEGER_TEXT_MAX: usize = 31;

/// Longest string with a length of six bits, and of fourteen.
const SIX_BITS: usize = (1 << 6) - 1;
const FOURTEEN_BITS: usize = (1 << 14) - 1;

/// Marks in the first byte of an encoding. Strings have the first two bits other than 11.
const STRING_14: u8 = 0b0100_0000;
const STRING_32: u8 = 0b1000_0000;
const INT_16: u8 = 0xC0;
const INT_32: u8 = 0xD0;
const INT_64: u8 = 0xE0;
const INT_24: u8 = 0xF0;
const INT_8: u8 = 0xFE;
/// Zero to twelve follow each other from here, in the mark itself.
const IMMEDIATE: u8 = 0xF1;
const IMMEDIATE_MAX: i64 = 12;

/// Bytes of a 24-bit integer.
const THREE: usize = 3;

/// What an entry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// An integer; it stands for its decimal text.
    Int(i64),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The value that stands for these bytes: an integer where they are the text of one.
    #[inline]
    #[must_use]
    pub fn of(bytes: &'a [u8]) -> Value<'a> {
        match integer(bytes) {
            Some(value) => Value::Int(value),
            None => Value::Bytes(bytes),
        }
    }

    /// The bytes; an integer's text is written into `digits`.
    #[inline]
    #[must_use]
    pub fn text<'b>(self, digits: &'b mut [u8; I64_TEXT_MAX]) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Value::Int(value) => format_i64(value, digits),
            Value::Bytes(bytes) => bytes,
        }
    }

    /// The bytes, copied.
    #[must_use]
    pub fn to_vec(self) -> Vec<u8> {
        self.text(&mut [0; I64_TEXT_MAX]).to_vec()
    }

    /// Length of the text, bytes.
    #[inline]
    #[must_use]
    pub fn text_len(self) -> usize {
        match self {
            Value::Int(value) => i64_text_len(value),
            Value::Bytes(bytes) => bytes.len(),
        }
    }

    /// Whether it stands for the same bytes as `other`.
    #[must_use]
    pub fn is_text(self, other: &[u8]) -> bool {
        match self {
            Value::Int(value) => integer(other) == Some(value),
            Value::Bytes(bytes) => bytes == other,
        }
    }

    /// Bytes that the encoding and the content take, without the previous length.
    #[inline]
    #[must_use]
    pub fn encoded_len(self) -> usize {
        let Head { len, body, .. } = self.head();
        len + body
    }

    #[inline]
    fn head(self) -> Head {
        let fixed = |mark, body| Head { bytes: [mark, 0, 0, 0, 0], len: 1, body };
        match self {
            Value::Bytes(bytes) => {
                let body = bytes.len();
                if body <= SIX_BITS {
                    Head { bytes: [body as u8, 0, 0, 0, 0], len: 1, body }
                } else if body <= FOURTEEN_BITS {
                    Head { bytes: [STRING_14 | (body >> 8) as u8, body as u8, 0, 0, 0], len: 2, body }
                } else {
                    // Whoever stores it checks that it fits a ziplist, and so 32 bits.
                    let [a, b, c, d] = (body as u32).to_be_bytes();
                    Head { bytes: [STRING_32, a, b, c, d], len: 5, body }
                }
            }
            Value::Int(value @ 0..=IMMEDIATE_MAX) => fixed(IMMEDIATE + value as u8, 0),
            Value::Int(value) if i8::try_from(value).is_ok() => fixed(INT_8, 1),
            Value::Int(value) if i16::try_from(value).is_ok() => fixed(INT_16, size_of::<i16>()),
            Value::Int(-0x80_0000..=0x7F_FFFF) => fixed(INT_24, THREE),
            Value::Int(value) if i32::try_from(value).is_ok() => fixed(INT_32, size_of::<i32>()),
            Value::Int(_) => fixed(INT_64, size_of::<i64>()),
        }
    }

    /// Writes encoding and content; `place` begins where they belong.
    #[inline]
    pub(super) fn write(self, place: &mut [u8]) {
        let head = self.head();
        let (start, rest) = place.split_at_mut(head.len);
        start.copy_from_slice(&head.bytes[..head.len]);
        match self {
            Value::Bytes(bytes) => rest[..bytes.len()].copy_from_slice(bytes),
            // The low bytes of a little-endian integer are the same integer in fewer bits.
            Value::Int(value) => rest[..head.body].copy_from_slice(&value.to_le_bytes()[..head.body]),
        }
    }
}

/// The integer that these bytes are the text of, if it is stored as one.
#[inline]
pub(super) fn integer(bytes: &[u8]) -> Option<i64> {
    if (1..=INTEGER_TEXT_MAX).contains(&bytes.len()) { parse_i64(bytes) } else { None }
}

/// The encoding of an entry.
struct Head {
    bytes: [u8; 5],
    len: usize,
    /// Bytes of content after it.
    body: usize,
}

/// An entry's parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Where it begins.
    pub(super) at: usize,
    /// Bytes of the previous length: 1 or 5.
    pub(super) previous_size: usize,
    /// Length of the entry before it, 0 for none.
    pub(super) previous_len: usize,
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
    /// Takes apart what begins at `at`, which is not the end mark.
    #[inline]
    pub(super) fn read(bytes: &[u8], at: usize) -> Result<Entry, Unreadable> {
        let first = *bytes.get(at).ok_or(Unreadable::Truncated)?;
        let (previous_size, previous_len) = if first < LONG_PREVIOUS {
            (1, usize::from(first))
        } else {
            let field = bytes.get(at + 1..at + 5).ok_or(Unreadable::Truncated)?;
            (5, u32::from_le_bytes([field[0], field[1], field[2], field[3]]) as usize)
        };
        let head_at = at + previous_size;
        let mark = *bytes.get(head_at).ok_or(Unreadable::Truncated)?;
        let (head, body) = match mark {
            0..STRING_14 => (1, usize::from(mark)),
            STRING_14..STRING_32 => {
                let low = *bytes.get(head_at + 1).ok_or(Unreadable::Truncated)?;
                (2, usize::from(mark & !STRING_14) << 8 | usize::from(low))
            }
            STRING_32 => {
                let field = bytes.get(head_at + 1..head_at + 5).ok_or(Unreadable::Truncated)?;
                (5, u32::from_be_bytes([field[0], field[1], field[2], field[3]]) as usize)
            }
            INT_8 => (1, 1),
            INT_16 => (1, size_of::<i16>()),
            INT_24 => (1, THREE),
            INT_32 => (1, size_of::<i32>()),
            INT_64 => (1, size_of::<i64>()),
            IMMEDIATE..INT_8 => (1, 0),
            _ => return Err(Unreadable::Encoding),
        };
        Ok(Entry { at, previous_size, previous_len, head, body })
    }

    /// Bytes of the whole entry.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.previous_size + self.head + self.body
    }

    /// Where the next begins.
    #[inline]
    pub(super) fn end(&self) -> usize {
        self.at + self.len()
    }

    /// Where the encoding begins.
    #[inline]
    pub(super) fn head_at(&self) -> usize {
        self.at + self.previous_size
    }

    /// The content.
    #[inline]
    pub(super) fn value<'a>(&self, bytes: &'a [u8]) -> Value<'a> {
        let mark = bytes[self.head_at()];
        let start = self.head_at() + self.head;
        let content = &bytes[start..start + self.body];
        if mark < INT_16 {
            return Value::Bytes(content);
        }
        if self.body == 0 {
            return Value::Int(i64::from(mark - IMMEDIATE));
        }
        if faults::is(Fault::ZiplistThreeBytesUnsigned) && content.len() == THREE {
            return Value::Int(i64::from(u32::from_le_bytes([content[0], content[1], content[2], 0])));
        }
        let mut wide = [0; 8];
        wide[..content.len()].copy_from_slice(content);
        // Shifting up and down again fills what is above the sign.
        let spare = i64::BITS - 8 * content.len() as u32;
        Value::Int(i64::from_le_bytes(wide) << spare >> spare)
    }
}

/// Bytes that a previous length takes.
#[inline]
pub(super) fn previous_size(len: usize) -> usize {
    if len < LONG_FROM { 1 } else { 5 }
}

/// Writes a previous length in `size` bytes at the beginning of `place`.
#[inline]
pub(super) fn write_previous(place: &mut [u8], size: usize, len: usize) {
    if size == 1 {
        debug_assert!(len < LONG_FROM);
        place[0] = len as u8;
    } else {
        place[0] = LONG_PREVIOUS;
        // An entry is shorter than its ziplist, whose length has 32 bits.
        place[1..5].copy_from_slice(&(len as u32).to_le_bytes());
    }
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
            (Value::Int(12), 1),
            (Value::Int(13), 2),
            (Value::Int(-1), 2),
            (Value::Int(127), 2),
            (Value::Int(-128), 2),
            (Value::Int(128), 3),
            (Value::Int(-32_768), 3),
            (Value::Int(32_768), 4),
            (Value::Int(-0x80_0000), 4),
            (Value::Int(0x7F_FFFF), 4),
            (Value::Int(0x80_0000), 5),
            (Value::Int(i64::from(i32::MIN)), 5),
            (Value::Int(1 << 31), 9),
            (Value::Int(i64::MIN), 9),
            (Value::Bytes(b""), 1),
            (Value::Bytes(&long[..63]), 64),
            (Value::Bytes(&long[..64]), 66),
            (Value::Bytes(&long[..16_383]), 16_385),
            (Value::Bytes(&long[..16_384]), 16_389),
        ] {
            assert_eq!(value.encoded_len(), len, "{value:?}");
            for previous in [0, 253, 254, 70_000] {
                let size = previous_size(previous);
                let mut bytes = vec![0; size + len];
                write_previous(&mut bytes, size, previous);
                value.write(&mut bytes[size..]);
                let entry = Entry::read(&bytes, 0).unwrap();
                assert_eq!((entry.len(), entry.previous_len), (bytes.len(), previous));
                assert_eq!(entry.value(&bytes), value);
            }
        }
    }

    #[test]
    fn texts_of_integers_become_integers_and_nothing_else_does() {
        assert_eq!(Value::of(b"-5"), Value::Int(-5));
        for text in [&b""[..], b"05", b"+5", b"5 ", b"9223372036854775808", b"5\0", b"-"] {
            assert_eq!(Value::of(text), Value::Bytes(text));
        }
    }
}
