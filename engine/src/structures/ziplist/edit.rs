//! Insertion and deletion. Which bytes come out is part of what Redis's files hold, so each step is chosen as it chooses
//! there, even where a shorter form would do.

use super::entry::{Value, previous_size, write_previous};
use super::{HEADER, Position, UNCOUNTED, Ziplist};

impl Ziplist {
    /// Adds a value in front.
    pub fn push_front(&mut self, value: Value<'_>) {
        self.insert(self.first(), value);
    }

    /// Adds a value at the end.
    #[inline]
    pub fn push_back(&mut self, value: Value<'_>) {
        self.insert(None, value);
    }

    /// Adds a value before an entry, or at the end. The new entry begins where the old one began.
    ///
    /// # Panics
    /// When the whole would pass 4 GiB, see [`Ziplist::has_room`].
    pub fn insert(&mut self, before: Option<Position>, value: Value<'_>) -> Position {
        let at = match before {
            Some(Position(at)) => self.insert_before(at, value),
            None => self.append(value),
        };
        self.add_to_count(1);
        Position(at)
    }

    fn append(&mut self, value: Value<'_>) -> usize {
        let at = self.end();
        let tail = self.tail();
        let previous_len = at - tail;
        self.0.splice(at, 0, previous_size(previous_len) + value.encoded_len());
        self.set_tail(at);
        self.write(at, previous_len, value);
        at
    }

    fn insert_before(&mut self, at: usize, value: Value<'_>) -> usize {
        let next = self.entry(at);
        let tail = self.tail();
        let len = previous_size(next.previous_len) + value.encoded_len();
        // A field that could shrink stays long before an entry so short that the whole would shrink by the insertion.
        let next_size = if len < 4 { next.previous_size.max(previous_size(len)) } else { previous_size(len) };
        self.0.splice(at, next.previous_size, len + next_size);
        self.write(at, next.previous_len, value);
        write_previous(&mut self.0.bytes_mut()[at + len..], next_size, len);
        // The last entry is the next one or lies behind it.
        self.set_tail(if tail == at { at + len } else { tail + len + next_size - next.previous_size });
        if next_size != next.previous_size {
            self.cascade(at + len);
        }
        at
    }

    /// Writes an entry into the room made for it.
    fn write(&mut self, at: usize, previous_len: usize, value: Value<'_>) {
        let size = previous_size(previous_len);
        let place = &mut self.0.bytes_mut()[at..];
        write_previous(place, size, previous_len);
        value.write(&mut place[size..]);
    }

    /// Removes an entry; answers the one that was behind it.
    pub fn delete(&mut self, position: Position) -> Option<Position> {
        self.delete_range(position, 1)
    }

    /// Removes `count` entries or as many as there are from this one on; answers the one that was behind them.
    pub fn delete_range(&mut self, position: Position, count: usize) -> Option<Position> {
        let Position(at) = position;
        let end = self.end();
        let previous_len = self.entry(at).previous_len;
        let (mut next_at, mut deleted) = (at, 0);
        while deleted < count && next_at < end {
            next_at = self.entry(next_at).end();
            deleted += 1;
        }
        if deleted == 0 {
            return Some(position);
        }
        if next_at == end {
            self.0.splice(at, end - at, 0);
            self.set_tail(at - previous_len);
            self.subtract_from_count(deleted);
            return None;
        }
        let next = self.entry(next_at);
        let tail = self.tail();
        let next_size = previous_size(previous_len);
        self.0.splice(at, next_at - at + next.previous_size, next_size);
        write_previous(&mut self.0.bytes_mut()[at..], next_size, previous_len);
        let gone = next_at - at;
        self.set_tail(if tail == next_at { at } else { tail - gone + next_size - next.previous_size });
        if next_size != next.previous_size {
            self.cascade(at);
        }
        self.subtract_from_count(deleted);
        Some(position)
    }

    /// Puts another value in an entry's place.
    ///
    /// # Panics
    /// As [`Ziplist::insert`].
    pub fn replace(&mut self, position: Position, value: Value<'_>) {
        let Position(at) = position;
        let old = self.entry(at);
        let len = previous_size(old.previous_len) + value.encoded_len();
        let next = (old.end() < self.end()).then(|| self.entry(old.end()));
        // Deleting and inserting would leave every field as long as it is: the content is exchanged where it lies.
        let one_byte = |len| previous_size(len) == 1;
        let quiet = match &next {
            None => true,
            Some(next) => next.previous_size == 1 && one_byte(old.previous_len) && one_byte(len),
        };
        if quiet && old.previous_size == previous_size(old.previous_len) {
            let tail = self.tail();
            self.0.splice(at, old.len(), len);
            self.write(at, old.previous_len, value);
            if next.is_some() {
                write_previous(&mut self.0.bytes_mut()[at + len..], 1, len);
                self.set_tail(tail - old.len() + len);
            }
            return;
        }
        let behind = self.delete(position);
        self.insert(behind, value);
    }

    /// Adds the entries of another ziplist behind its own.
    ///
    /// # Panics
    /// When the whole would pass 4 GiB.
    pub fn append_all(&mut self, other: &Ziplist) {
        let (end, tail) = (self.end(), self.tail());
        let entries = &other.as_bytes()[HEADER..other.end()];
        self.0.splice(end, 0, entries.len());
        self.0.bytes_mut()[end..end + entries.len()].copy_from_slice(entries);
        if !other.is_empty() {
            self.set_tail(end + other.tail() - HEADER);
            self.cascade(tail);
        }
        self.add_to_count(other.len());
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        *self = Ziplist::new();
    }

    fn add_to_count(&mut self, added: usize) {
        let counted = self.counted();
        if counted != UNCOUNTED {
            let count = usize::from(counted).saturating_add(added);
            self.set_counted(u16::try_from(count).unwrap_or(UNCOUNTED));
        }
    }

    fn subtract_from_count(&mut self, deleted: usize) {
        let counted = self.counted();
        if counted != UNCOUNTED {
            // No more are deleted than there are.
            self.set_counted(counted - deleted as u16);
        }
    }
}
