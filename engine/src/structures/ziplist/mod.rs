//! Short sequences of strings and integers in one allocation: what small lists, hashes and sorted sets are made of.
//!
//! ```text
//! offset  0  bytes of the whole, the end mark counted        u32, little endian
//!         4  offset of the last entry, or of the end mark    u32, little endian
//!         8  number of entries; 65535: so many or more, or   u16, little endian
//!            fewer that have not been counted again
//!        10  entries
//!         …  end mark                                        0xFF
//!
//! entry      previous length | encoding | content
//!
//! previous   00..FD                       the entry before is so long (0: there is none)
//! length     FE llllllll×4                its length, little endian; also for lengths that one byte would hold
//!
//! encoding   00nnnnnn                     string of up to 63 bytes
//!            01nnnnnn nnnnnnnn            string of up to 16383 bytes, length big endian
//!            10000000 nnnnnnnn×4          string of any length, big endian
//!            1111vvvv, v in 1..=13        the integer v - 1, no content
//!            FE, C0, F0, D0, E0           integers of 8, 16, 24, 32 and 64 bits, little endian
//! ```
//!
//! A change of an entry's length can make the previous length in the entry behind it grow from one byte to five, which
//! makes that one longer, and so on: the [`cascade`]. It never makes a field shorter; only the field of the entry right
//! behind an insertion or deletion is chosen anew in both directions. So the bytes depend on the history, and they are
//! those that Redis has after the same one.
//!
//! Invariants, verified by [`Ziplist::validate`]:
//! - the first field is the length of the allocation's used part, and its last byte is the end mark;
//! - entries follow each other without gaps up to the end mark;
//! - each previous length is the length of the entry before;
//! - the second field is where the last entry begins;
//! - the third field is the number of entries, or 65535.
//!
//! Positions are byte offsets. A change makes all positions behind its place meaningless: using one gives some value or
//! a panic, never a wrong access.

mod block;
mod cascade;
mod decode;
mod edit;
mod entry;

use super::tagged::Thin;
use block::Block;
pub use entry::Value;
use entry::{END, Entry, integer};

/// Bytes before the first entry.
const HEADER: usize = 10;
/// Offset of the field with the place of the last entry.
const TAIL_FIELD: usize = 4;
/// Offset of the field with the number of entries.
const COUNT_FIELD: usize = 8;
/// What the number of entries says when it does not say how many.
const UNCOUNTED: u16 = u16::MAX;
/// Bytes of a ziplist without entries.
pub const EMPTY_BYTES: usize = HEADER + 1;
/// Bytes beyond which no ziplist should be let grow.
pub const MAX_BYTES: usize = 1 << 30;
/// Bytes that an entry can take beside its content, and its neighbour's previous length with it.
const OVERHEAD_MAX: usize = 16;

/// The list, see the [module](self).
#[derive(Clone)]
#[repr(transparent)]
pub struct Ziplist(Block);

// SAFETY: transparent over a `Block`, which is transparent over a pointer to an allocation of alignment eight.
unsafe impl Thin for Ziplist {}

/// Where an entry begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(usize);

impl Default for Ziplist {
    fn default() -> Self {
        Ziplist::new()
    }
}

impl Ziplist {
    /// One without entries.
    #[must_use]
    pub fn new() -> Ziplist {
        let mut bytes = [0; EMPTY_BYTES];
        bytes[TAIL_FIELD] = HEADER as u8;
        bytes[HEADER] = END;
        Ziplist(Block::copy_of(&bytes))
    }

    /// One of these values.
    #[must_use]
    pub fn of<'a>(values: impl IntoIterator<Item = Value<'a>>) -> Ziplist {
        let mut list = Ziplist::new();
        for value in values {
            list.push_back(value);
        }
        list
    }

    /// The serialized form, as RDB files and DUMP hold it.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    /// Bytes of the serialized form.
    #[inline]
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.0.len()
    }

    /// Bytes of heap it takes.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.allocated()
    }

    /// Number of entries; counted one by one beyond 65534.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        match self.counted() {
            UNCOUNTED => self.iter().count(),
            count => usize::from(count),
        }
    }

    /// Whether there is no entry.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.byte_len() == EMPTY_BYTES
    }

    /// Whether a value of `text_len` bytes can be added without the whole passing [`MAX_BYTES`].
    #[inline]
    #[must_use]
    pub fn has_room(&self, text_len: usize) -> bool {
        text_len.saturating_add(self.byte_len() + OVERHEAD_MAX) <= MAX_BYTES
    }

    fn counted(&self) -> u16 {
        let bytes = self.as_bytes();
        u16::from_le_bytes([bytes[COUNT_FIELD], bytes[COUNT_FIELD + 1]])
    }

    fn set_counted(&mut self, count: u16) {
        self.0.bytes_mut()[COUNT_FIELD..COUNT_FIELD + 2].copy_from_slice(&count.to_le_bytes());
    }

    /// Has the header tell the number of entries again when there were 65535 or more, and are fewer now.
    pub fn settle_count(&mut self) {
        if self.counted() == UNCOUNTED
            && let Ok(count) = u16::try_from(self.len())
        {
            self.set_counted(count);
        }
    }

    /// Offset of the last entry, or of the end mark.
    #[inline]
    fn tail(&self) -> usize {
        let bytes = self.as_bytes();
        let field = [bytes[TAIL_FIELD], bytes[TAIL_FIELD + 1], bytes[TAIL_FIELD + 2], bytes[TAIL_FIELD + 3]];
        u32::from_le_bytes(field) as usize
    }

    fn set_tail(&mut self, tail: usize) {
        // An offset is smaller than the length, which has 32 bits.
        self.0.bytes_mut()[TAIL_FIELD..TAIL_FIELD + 4].copy_from_slice(&(tail as u32).to_le_bytes());
    }

    /// Offset of the end mark.
    #[inline]
    fn end(&self) -> usize {
        self.byte_len() - 1
    }

    /// The entry that begins at `at`.
    #[inline]
    fn entry(&self, at: usize) -> Entry {
        match Entry::read(self.as_bytes(), at) {
            Ok(entry) => entry,
            Err(_) => panic!("no entry of a ziplist begins at {at}"),
        }
    }

    #[inline]
    fn unless_end(&self, at: usize) -> Option<Position> {
        (at < self.end()).then_some(Position(at))
    }

    /// The first entry.
    #[inline]
    #[must_use]
    pub fn first(&self) -> Option<Position> {
        self.unless_end(HEADER)
    }

    /// The last entry.
    #[inline]
    #[must_use]
    pub fn last(&self) -> Option<Position> {
        self.unless_end(self.tail())
    }

    /// The entry after this one.
    #[inline]
    #[must_use]
    pub fn next(&self, position: Position) -> Option<Position> {
        self.unless_end(self.entry(position.0).end())
    }

    /// The entry before this one.
    #[inline]
    #[must_use]
    pub fn previous(&self, position: Position) -> Option<Position> {
        if position.0 <= HEADER {
            return None;
        }
        position.0.checked_sub(self.entry(position.0).previous_len).map(Position)
    }

    /// The entry at this index; negative ones count from the end, -1 being the last.
    #[must_use]
    pub fn index(&self, index: i64) -> Option<Position> {
        if index < 0 {
            let mut position = self.last()?;
            for _ in 1..index.unsigned_abs() {
                position = self.previous(position)?;
            }
            Some(position)
        } else {
            let mut position = self.first()?;
            for _ in 0..index {
                position = self.next(position)?;
            }
            Some(position)
        }
    }

    /// The value of an entry.
    #[inline]
    #[must_use]
    pub fn get(&self, position: Position) -> Value<'_> {
        self.entry(position.0).value(self.as_bytes())
    }

    /// Bytes of the whole entry, its previous length counted.
    #[must_use]
    pub fn entry_len(&self, position: Position) -> usize {
        self.entry(position.0).len()
    }

    /// The first entry that stands for these bytes, from `from` on, when after each entry that is looked at `skip` are
    /// passed over.
    #[must_use]
    pub fn find(&self, from: Option<Position>, text: &[u8], skip: usize) -> Option<Position> {
        let bytes = self.as_bytes();
        let number = integer(text);
        let end = self.end();
        let mut at = from?.0;
        let mut passing = 0;
        while at < end {
            let entry = self.entry(at);
            if passing == 0 {
                let found = match entry.value(bytes) {
                    Value::Bytes(held) => held == text,
                    Value::Int(held) => number == Some(held),
                };
                if found {
                    return Some(Position(at));
                }
                passing = skip;
            } else {
                passing -= 1;
            }
            at = entry.end();
        }
        None
    }

    /// The values from first to last.
    pub fn iter(&self) -> Iter<'_> {
        Iter { bytes: self.as_bytes(), at: HEADER }
    }

    /// The values from this entry to the last.
    pub fn iter_from(&self, position: Position) -> Iter<'_> {
        Iter { bytes: self.as_bytes(), at: position.0 }
    }
}

impl<'a> IntoIterator for &'a Ziplist {
    type Item = Value<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl std::fmt::Debug for Ziplist {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

/// Values in order, see [`Ziplist::iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Value<'a>;

    #[inline]
    fn next(&mut self) -> Option<Value<'a>> {
        if self.at + 1 >= self.bytes.len() {
            return None;
        }
        // In a valid ziplist every entry before the end mark can be read.
        let entry = Entry::read(self.bytes, self.at).ok()?;
        self.at = entry.end();
        Some(entry.value(self.bytes))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn texts(list: &Ziplist) -> Vec<Vec<u8>> {
        list.iter().map(Value::to_vec).collect()
    }

    #[test]
    fn values_come_back_in_order_from_both_ends() {
        let mut list = Ziplist::new();
        let wanted: Vec<Vec<u8>> =
            [&b"a"[..], b"12", b"", b"-300", &[b'x'; 300], b"70000"].iter().map(|text| text.to_vec()).collect();
        for text in &wanted {
            list.push_back(Value::of(text));
            list.validate();
        }
        assert_eq!(texts(&list), wanted);
        for (index, text) in wanted.iter().enumerate() {
            let position = list.index(index as i64).unwrap();
            assert_eq!(list.index(index as i64 - 6), Some(position));
            assert_eq!(list.get(position).to_vec(), *text);
            assert_eq!(list.find(list.first(), text, 0), Some(position));
        }
        assert_eq!((list.index(6), list.index(-7)), (None, None));
        assert_eq!(list.find(list.first(), b"12", 1), None);
    }

    #[test]
    fn entries_of_253_bytes_grow_one_after_the_other_when_the_first_does() {
        let mut list = Ziplist::of([Value::Bytes(b"short"), Value::Bytes(b"last")]);
        for _ in 0..20 {
            list.insert(list.index(1), Value::Bytes(&[b'x'; 250]));
        }
        list.validate();
        assert_eq!(list.entry_len(list.index(1).unwrap()), 253);
        list.replace(list.first().unwrap(), Value::Bytes(&[b'y'; 260]));
        list.validate();
        assert!((1..22).all(|index| list.entry(list.index(index).unwrap().0).previous_size == 5));
        // Nothing shrinks again but the field right behind the change.
        list.replace(list.first().unwrap(), Value::Bytes(b"s"));
        list.validate();
        let sizes: Vec<usize> = (0..22).map(|index| list.entry(list.index(index).unwrap().0).previous_size).collect();
        assert_eq!(sizes[..3], [1, 1, 5]);
        assert!(sizes[3..].iter().all(|&size| size == 5));
        list.delete(list.first().unwrap());
        list.validate();
        assert_eq!(list.len(), 21);
    }
}
