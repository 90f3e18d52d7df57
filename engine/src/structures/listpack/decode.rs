//! A listpack from bytes that somebody else wrote: everything is checked once, so that nothing has to be afterwards.
//!
//! Accepted is whatever can be read without doubt, longer encodings than a value needs included. The check walks all
//! entries and takes no memory; the copy is as long as the input.

use super::entry::{END, Entry, Unreadable, back_length, back_size};
use super::{COUNT_FIELD, EMPTY_BYTES, HEADER, Listpack, UNCOUNTED, Value};
use crate::structures::DecodeError;

/// The elements of bytes that claim to be a listpack, each checked when it is reached: who has to look at the elements
/// anyway need not walk them twice.
#[derive(Clone, Copy)]
pub struct Checking<'a> {
    whole: &'a [u8],
    /// Without the end mark.
    entries: &'a [u8],
    at: usize,
    count: usize,
}

/// Whether the first so many elements, four at most, are small numbers: a byte without its top bit, and the back-length 1.
#[inline]
fn are_small(bytes: &[u8; 8], elements: usize) -> bool {
    const MARKS: u64 = 0xFF80_FF80_FF80_FF80;
    const WANTED: u64 = 0x0100_0100_0100_0100;
    let concerned = u64::MAX >> (64 - 16 * elements);
    (u64::from_le_bytes(*bytes) & MARKS ^ WANTED) & concerned == 0
}

impl<'a> Checking<'a> {
    /// Begins at the first element, when the length and the end mark are right.
    ///
    /// # Errors
    /// When they are not.
    pub fn begin(whole: &'a [u8]) -> Result<Checking<'a>, DecodeError> {
        let trouble = |offset, reason| Err(DecodeError { offset, reason });
        let (&[l0, l1, l2, l3, ..], true) = (whole, whole.len() >= EMPTY_BYTES) else {
            return trouble(whole.len(), "a listpack shorter than an empty one");
        };
        if u32::from_le_bytes([l0, l1, l2, l3]) as usize != whole.len() {
            return trouble(0, "a length that is not that of the listpack");
        }
        match whole.split_last() {
            Some((&END, entries)) => Ok(Checking { whole, entries, at: HEADER, count: 0 }),
            _ => trouble(whole.len() - 1, "no end mark"),
        }
    }

    /// Where the next element begins, or the end mark stands.
    #[inline]
    #[must_use]
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Bytes of the whole.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.whole.len()
    }

    /// Whether no element is left.
    #[inline]
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.at >= self.entries.len()
    }

    /// The next element; `None` at the end.
    ///
    /// # Errors
    /// When it cannot be read.
    #[inline]
    pub fn element(&mut self) -> Result<Option<Value<'a>>, DecodeError> {
        // Small numbers, most of what streams consist of.
        if let Some(&[mark @ 0..=0x7F, 1]) = self.entries.get(self.at..self.at + 2) {
            self.at += 2;
            self.count += 1;
            return Ok(Some(Value::Int(i64::from(mark))));
        }
        self.any_element()
    }

    /// The next three elements, if all are small numbers.
    #[inline]
    pub fn three_small_numbers(&mut self) -> Option<[u8; 3]> {
        let next = self.entries[self.at..].first_chunk::<8>()?;
        if !are_small(next, 3) {
            return None;
        }
        self.at += 2 * 3;
        self.count += 3;
        Some([next[0], next[2], next[4]])
    }

    /// Passes over small numbers, as many as stand next, `most` at most; answers how many. Some may be left where fewer
    /// than eight bytes follow.
    #[inline]
    pub fn skip_small_numbers(&mut self, most: usize) -> usize {
        let mut left = most;
        while left > 0
            && let Some(next) = self.entries[self.at..].first_chunk::<8>()
        {
            let step = left.min(4);
            if !are_small(next, step) {
                break;
            }
            self.at += 2 * step;
            left -= step;
        }
        self.count += most - left;
        most - left
    }

    fn any_element(&mut self) -> Result<Option<Value<'a>>, DecodeError> {
        let (bytes, at) = (self.entries, self.at);
        let trouble = |offset, reason| Err(DecodeError { offset, reason });
        if at >= bytes.len() {
            return Ok(None);
        }
        let entry = match Entry::read(bytes, at) {
            Ok(entry) => entry,
            Err(Unreadable::Encoding) => return trouble(at, "an encoding that does not exist"),
            Err(Unreadable::Truncated) => return trouble(at, "an entry that goes on behind the end mark"),
        };
        let len = entry.len();
        let right = match back_size(len) {
            1 => bytes.get(at + len).map(|&found| usize::from(found) == len),
            size => bytes.get(at + len..at + len + size).map(|found| found == &back_length(len).0[..size]),
        };
        match right {
            None => return trouble(at, "an entry that goes on behind the end mark"),
            Some(false) => return trouble(at + len, "a back-length that is not that of the entry"),
            Some(true) => {}
        }
        self.at = entry.end();
        self.count += 1;
        Ok(Some(entry.value(bytes)))
    }

    /// Checks what is left and the number of elements; answers that.
    ///
    /// # Errors
    /// The first trouble met.
    pub fn finish(mut self) -> Result<usize, DecodeError> {
        while self.element()?.is_some() {}
        let said = u16::from_le_bytes([self.whole[COUNT_FIELD], self.whole[COUNT_FIELD + 1]]);
        if said != UNCOUNTED && usize::from(said) != self.count {
            return Err(DecodeError { offset: COUNT_FIELD, reason: "a number of entries that is not right" });
        }
        Ok(self.count)
    }

    /// The listpack, when what is left is right too.
    ///
    /// # Errors
    /// As [`Checking::finish`].
    pub fn into_listpack(self) -> Result<Listpack, DecodeError> {
        self.finish()?;
        Ok(Listpack { bytes: self.whole.to_vec() })
    }
}

impl Listpack {
    /// A listpack with these bytes.
    ///
    /// # Errors
    /// When they are not exactly one listpack, see [`Listpack::check`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Listpack, DecodeError> {
        Checking::begin(bytes)?.into_listpack()
    }

    /// Whether these bytes are a listpack; answers the number of entries.
    ///
    /// # Errors
    /// The first trouble met: of the length, the end mark, the entries from first to last, their number.
    pub fn check(bytes: &[u8]) -> Result<usize, DecodeError> {
        Checking::begin(bytes)?.finish()
    }

    /// Checks every invariant.
    ///
    /// # Panics
    /// When one does not hold.
    pub fn validate(&self) {
        if let Err(error) = Listpack::check(&self.bytes) {
            panic!("a listpack's {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_named_with_its_offset() {
        let whole = Listpack::of([Value::Bytes(b"abc"), Value::Int(4096)]).as_bytes().to_vec();
        assert_eq!(whole, b"\x10\0\0\0\x02\0\x83abc\x04\xf1\0\x10\x03\xff");
        let damaged = |at: usize, byte: u8| {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            Listpack::check(&bytes).map_err(|error| error.offset)
        };
        assert_eq!(Listpack::check(&whole), Ok(2));
        assert_eq!(damaged(4, 0xFF).and(damaged(5, 1)), Err(4));
        assert_eq!(damaged(0, 17), Err(0));
        assert_eq!(damaged(15, 0), Err(15));
        assert_eq!(damaged(6, 0x84), Err(11));
        assert_eq!(damaged(10, 0x05), Err(10));
        assert_eq!(damaged(11, 0xF5), Err(11));
        assert_eq!(damaged(11, 0xF2), Err(11));
        assert_eq!(damaged(4, 3), Err(4));
        for len in 0..whole.len() {
            assert!(Listpack::check(&whole[..len]).is_err());
        }
    }

    #[test]
    fn longer_encodings_than_a_value_needs_are_read() {
        let mut bytes = vec![0, 0, 0, 0, 3, 0];
        bytes.extend_from_slice(b"\xf4\x05\0\0\0\0\0\0\0\x09");
        bytes.extend_from_slice(b"\xf0\x01\0\0\0x\x06");
        bytes.extend_from_slice(b"\x811\x02\xff");
        bytes[0] = bytes.len() as u8;
        let list = Listpack::from_bytes(&bytes);
        let values: Option<Vec<Vec<u8>>> = list.ok().map(|list| list.iter().map(Value::to_vec).collect());
        assert_eq!(values, Some(vec![b"5".to_vec(), b"x".to_vec(), b"1".to_vec()]));
    }
}
