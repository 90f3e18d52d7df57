//! Listpacks: sequences of strings and integers in one allocation, without the cascades of ziplists, because an entry
//! tells its own length and not that of the one before. What the nodes of streams are made of.
//!
//! ```text
//! offset  0  bytes of the whole, the end mark counted        u32, little endian
//!         4  number of entries; 65535: so many or more, or   u16, little endian
//!            fewer that have not been counted again
//!         6  entries
//!         …  end mark                                        0xFF
//!
//! entry      encoding | content | back-length
//!
//! encoding   0vvvvvvv                     the integer v, no content
//!            10nnnnnn                     string of up to 63 bytes
//!            110vvvvv vvvvvvvv            integer of 13 bits with sign, high bits first
//!            1110nnnn nnnnnnnn            string of up to 4095 bytes
//!            F0 nnnnnnnn×4                string of any length, little endian
//!            F1, F2, F3, F4               integers of 16, 24, 32 and 64 bits, little endian
//!
//! back-      bytes of encoding and content, seven bits in each byte, the highest bits first; all bytes but the first
//! length     have their top bit set, so that it can be read from behind. Lengths of 2^14-1, 2^21-1 and 2^28-1 take a
//!            byte more than they need.
//! ```
//!
//! Invariants, verified by [`Listpack::validate`]:
//! - the first field is the number of bytes, and the last of them is the end mark;
//! - entries follow each other without gaps up to the end mark, and each can be read;
//! - each back-length is that of the entry before it, in the size that belongs to that length;
//! - the second field is the number of entries, or 65535.
//!
//! Positions are byte offsets. A change makes all positions behind its place meaningless: using one gives some value or
//! a panic, never a wrong access.

#![forbid(unsafe_code)]

mod decode;
mod entry;

use entry::{END, Entry, back_size, entry_len, read_back};

pub use super::ziplist::Value;
pub use decode::Checking;

/// Bytes before the first entry.
const HEADER: usize = 6;
/// Offset of the field with the number of entries.
const COUNT_FIELD: usize = 4;
/// What the number of entries says when it does not say how many.
const UNCOUNTED: u16 = u16::MAX;
/// Bytes of a listpack without entries.
pub const EMPTY_BYTES: usize = HEADER + 1;
/// Bytes beyond which no listpack should be let grow.
pub const MAX_BYTES: usize = 1 << 30;
/// Bytes that an entry can take beside its content.
pub const OVERHEAD_MAX: usize = 10;
/// Room is made for at least so many bytes more.
const LEAST_GROWTH: usize = 32;

/// The sequence, see the [module](self).
#[derive(Clone, PartialEq, Eq)]
pub struct Listpack {
    bytes: Vec<u8>,
}

/// Where an entry begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(usize);

impl Position {
    /// Bytes from the listpack's beginning.
    #[must_use]
    pub fn offset(self) -> usize {
        self.0
    }
}

impl Default for Listpack {
    fn default() -> Self {
        Listpack::new()
    }
}

impl Listpack {
    /// One without entries.
    #[must_use]
    pub fn new() -> Listpack {
        Listpack { bytes: vec![EMPTY_BYTES as u8, 0, 0, 0, 0, 0, END] }
    }

    /// One without entries that can take as many bytes before it needs another allocation.
    #[must_use]
    pub fn with_room(bytes: usize) -> Listpack {
        let mut list = Vec::with_capacity(bytes.max(EMPTY_BYTES));
        list.extend_from_slice(&[EMPTY_BYTES as u8, 0, 0, 0, 0, 0, END]);
        Listpack { bytes: list }
    }

    /// One of these values.
    #[must_use]
    pub fn of<'a>(values: impl IntoIterator<Item = Value<'a>>) -> Listpack {
        let mut list = Listpack::new();
        for value in values {
            list.push_back(value);
        }
        list
    }

    /// The serialized form, as RDB files and DUMP hold it.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of the serialized form.
    #[inline]
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of heap it takes.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Number of entries; counted one by one beyond 65534.
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
        self.bytes.len() == EMPTY_BYTES
    }

    /// Whether entries whose contents have `text_len` bytes together, `entries` of them, can be added without the whole
    /// passing [`MAX_BYTES`].
    #[must_use]
    pub fn has_room(&self, text_len: usize, entries: usize) -> bool {
        let overhead = entries.saturating_mul(OVERHEAD_MAX);
        text_len.saturating_add(overhead).saturating_add(self.bytes.len()) <= MAX_BYTES
    }

    /// Gives back the room for further entries.
    pub fn shrink_to_fit(&mut self) {
        // Allocators keep a block in its place when little of it is given back, so it is exchanged for a fitting one.
        if self.bytes.capacity() > self.bytes.len() {
            self.bytes = self.bytes.as_slice().into();
        }
    }

    #[inline]
    fn counted(&self) -> u16 {
        u16::from_le_bytes([self.bytes[COUNT_FIELD], self.bytes[COUNT_FIELD + 1]])
    }

    /// Writes both header fields: the length is what it is, and the count changes by `added` unless it says nothing.
    #[inline]
    fn settle(&mut self, added: i32) {
        // Checked wherever bytes are added: the whole stays below 2^32.
        let len = self.bytes.len() as u32;
        self.bytes[..COUNT_FIELD].copy_from_slice(&len.to_le_bytes());
        let counted = self.counted();
        if counted != UNCOUNTED {
            let count = (i32::from(counted) + added) as u16;
            self.bytes[COUNT_FIELD..HEADER].copy_from_slice(&count.to_le_bytes());
        }
    }

    /// Makes room for `more` bytes, growing by an eighth at least, so that filling a listpack takes linear time.
    #[inline]
    fn make_room(&mut self, more: usize) {
        assert!(self.bytes.len() + more <= u32::MAX as usize, "a listpack of 4 GiB or more");
        if self.bytes.capacity() - self.bytes.len() < more {
            self.bytes.reserve_exact(more.max(self.bytes.len() / 8).max(LEAST_GROWTH));
        }
    }

    /// Offset of the end mark.
    #[inline]
    fn end(&self) -> usize {
        self.bytes.len() - 1
    }

    /// The entry that begins at `at`.
    #[inline]
    fn entry(&self, at: usize) -> Entry {
        match Entry::read(&self.bytes, at) {
            Ok(entry) => entry,
            Err(_) => panic!("no entry of a listpack begins at {at}"),
        }
    }

    #[inline]
    fn unless_end(&self, at: usize) -> Option<Position> {
        (at < self.end()).then_some(Position(at))
    }

    /// The entry that ends before `end`.
    #[inline]
    fn before(&self, end: usize) -> Option<Position> {
        if end <= HEADER {
            return None;
        }
        let len = read_back(&self.bytes, end)?;
        end.checked_sub(len + back_size(len)).filter(|&at| at >= HEADER).map(Position)
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
        self.before(self.end())
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
        self.before(position.0)
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
        self.entry(position.0).value(&self.bytes)
    }

    /// The value of an entry, and the entry after it.
    #[inline]
    #[must_use]
    pub fn read(&self, position: Position) -> (Value<'_>, Option<Position>) {
        let entry = self.entry(position.0);
        (entry.value(&self.bytes), self.unless_end(entry.end()))
    }

    /// The values from first to last.
    pub fn iter(&self) -> Iter<'_> {
        Iter { list: self, at: self.first() }
    }

    /// The values from this entry to the last; none for no entry.
    pub fn iter_from(&self, position: Option<Position>) -> Iter<'_> {
        Iter { list: self, at: position }
    }

    /// Adds a value at the end.
    ///
    /// # Panics
    /// When the whole would have 4 GiB or more; so do the other changes.
    #[inline]
    pub fn push_back(&mut self, value: Value<'_>) {
        self.make_room(entry_len(value));
        self.bytes.pop();
        entry::write(value, &mut self.bytes);
        self.bytes.push(END);
        self.settle(1);
    }

    /// Adds a value before an entry, or at the end.
    pub fn insert(&mut self, before: Option<Position>, value: Value<'_>) {
        let at = before.map_or(self.end(), |position| position.0);
        self.splice(at, at, Some(value), 1);
    }

    /// Puts a value in the place of an entry's.
    pub fn replace(&mut self, position: Position, value: Value<'_>) {
        let end = self.entry(position.0).end();
        self.splice(position.0, end, Some(value), 0);
    }

    /// Removes an entry; answers the one behind it.
    pub fn delete(&mut self, position: Position) -> Option<Position> {
        let end = self.entry(position.0).end();
        self.splice(position.0, end, None, -1);
        self.unless_end(position.0)
    }

    /// Puts the entry of a value in the place of some bytes.
    fn splice(&mut self, from: usize, to: usize, value: Option<Value<'_>>, added: i32) {
        let new = value.map_or(0, entry_len);
        self.make_room(new.saturating_sub(to - from));
        let tail = self.bytes.len() - to;
        if new == to - from {
            // Only the entry itself changes.
        } else if new < to - from {
            self.bytes.copy_within(to.., from + new);
            self.bytes.truncate(from + new + tail);
        } else {
            self.bytes.resize(from + new + tail, 0);
            self.bytes.copy_within(to..to + tail, from + new);
        }
        if let Some(value) = value {
            entry::write_over(value, &mut self.bytes[from..from + new]);
        }
        self.settle(added);
    }
}

impl<'a> IntoIterator for &'a Listpack {
    type Item = Value<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl std::fmt::Debug for Listpack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

/// Values in order, see [`Listpack::iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    list: &'a Listpack,
    at: Option<Position>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Value<'a>;

    #[inline]
    fn next(&mut self) -> Option<Value<'a>> {
        let (value, next) = self.list.read(self.at?);
        self.at = next;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn texts(list: &Listpack) -> Vec<Vec<u8>> {
        list.iter().map(Value::to_vec).collect()
    }

    #[test]
    fn values_come_back_in_order_from_both_ends() {
        let mut list = Listpack::new();
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
        }
        assert_eq!((list.index(6), list.index(-7)), (None, None));
    }

    #[test]
    fn the_count_is_given_up_at_65535_and_stays_so() {
        let mut list = Listpack::new();
        for number in 0..65_534 {
            list.push_back(Value::Int(number % 10));
        }
        assert_eq!(list.as_bytes()[4..6], [0xFE, 0xFF]);
        list.push_back(Value::Int(1));
        assert_eq!((list.len(), &list.as_bytes()[4..6]), (65_535, &[0xFF, 0xFF][..]));
        list.push_back(Value::Int(1));
        assert_eq!(list.len(), 65_536);
        list.delete(list.first().unwrap());
        list.delete(list.first().unwrap());
        assert_eq!((list.len(), &list.as_bytes()[4..6]), (65_534, &[0xFF, 0xFF][..]));
        list.validate();
    }
}
