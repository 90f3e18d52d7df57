//! A listpack from bytes that somebody else wrote: everything is checked once, so that nothing has to be afterwards.
//!
//! Accepted is whatever can be read without doubt, longer encodings than a value needs included. The check walks all
//! entries and takes no memory; the copy is as long as the input.

use super::entry::{END, Entry, Unreadable, back_length};
use super::{COUNT_FIELD, EMPTY_BYTES, HEADER, Listpack, UNCOUNTED};
use crate::structures::DecodeError;

impl Listpack {
    /// A listpack with these bytes.
    ///
    /// # Errors
    /// When they are not exactly one listpack, see [`Listpack::check`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Listpack, DecodeError> {
        Listpack::check(bytes)?;
        Ok(Listpack { bytes: bytes.to_vec() })
    }

    /// Whether these bytes are a listpack; answers the number of entries.
    ///
    /// # Errors
    /// The first trouble met: of the length, the end mark, the entries from first to last, their number.
    pub fn check(bytes: &[u8]) -> Result<usize, DecodeError> {
        let trouble = |offset, reason| Err(DecodeError { offset, reason });
        let (&[l0, l1, l2, l3, c0, c1, ..], true) = (bytes, bytes.len() >= EMPTY_BYTES) else {
            return trouble(bytes.len(), "a listpack shorter than an empty one");
        };
        if u32::from_le_bytes([l0, l1, l2, l3]) as usize != bytes.len() {
            return trouble(0, "a length that is not that of the listpack");
        }
        let end = bytes.len() - 1;
        if bytes[end] != END {
            return trouble(end, "no end mark");
        }
        let mut count = 0;
        let mut at = HEADER;
        while at < end {
            let entry = match Entry::read(&bytes[..end], at) {
                Ok(entry) => entry,
                Err(Unreadable::Encoding) => return trouble(at, "an encoding that does not exist"),
                Err(Unreadable::Truncated) => return trouble(at, "an entry that goes on behind the end mark"),
            };
            let (back, size) = back_length(entry.len());
            match bytes[..end].get(at + entry.len()..at + entry.len() + size) {
                None => return trouble(at, "an entry that goes on behind the end mark"),
                Some(found) if found != &back[..size] => {
                    return trouble(at + entry.len(), "a back-length that is not that of the entry");
                }
                Some(_) => {}
            }
            at = entry.end();
            count += 1;
        }
        let said = u16::from_le_bytes([c0, c1]);
        if said != UNCOUNTED && usize::from(said) != count {
            return trouble(COUNT_FIELD, "a number of entries that is not right");
        }
        Ok(count)
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
    use crate::structures::listpack::Value;

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
