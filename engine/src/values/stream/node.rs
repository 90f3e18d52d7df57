//! One node of a stream: entries relative to the node's id and to the fields of its first entry.
//!
//! In files and payloads a node is a listpack, and limits are about that:
//!
//! ```text
//! count | deleted | F | field × F | 0                        how many entries are there, how many are marked as
//!                                                            deleted, and the fields of the first
//! flags | ms | seq | n | field, value × n | elements         an entry: what to add to the node's id, its fields; at the
//!                                                            end how many elements stand before this one, for readers
//! flags | ms | seq | value × F | elements                    from behind. Flag 1: deleted; flag 2: the fields are the
//!                                                            node's, so only values are there.
//! ```
//!
//! Its bytes are those of Redis after the same history. [STREAMENC-5] [STREAMENC-6] [STREAMENC-7]
//!
//! In memory every element but one in a few would have a back-length that nobody reads, as long as a small number is. So
//! what is kept has one for each entry:
//!
//! ```text
//! count(4) | deleted(4) | listed(4) | F(4) | field × F       low bytes first; listed: bytes of the listpack, apart
//!                                                            from its first two elements
//! flags(1) | ms | seq | n | field, value × n | length        elements as listpacks encode them, see `listpack::bare`;
//! flags(1) | ms | seq | value × F | length                   how many bytes of the entry stand before the length
//! ```

use crate::faults::{self, Fault};
use crate::number::parse_i64;
use crate::structures::DecodeError;
use crate::structures::listpack::{Checking, EMPTY_BYTES, MAX_BYTES, OVERHEAD_MAX, Value, bare};

use super::id::StreamId;

/// Marks an entry that was deleted.
const DELETED: i64 = 1;
/// Marks an entry whose fields are those of the node.
const SAME_FIELDS: i64 = 2;
/// Elements of an entry beside its fields and values: flags, both differences.
const FIXED: usize = 3;

/// Offsets of what a node begins with.
const COUNT: usize = 0;
const DELETED_COUNT: usize = 4;
const LISTED: usize = 8;
const FIELD_COUNT: usize = 12;
const FIELDS: usize = 16;
/// Room is made for at least so many bytes more.
const LEAST_GROWTH: usize = 32;

/// The entries, see the [module](self). The node's id is the key under which it is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node(Vec<u8>);

/// What a node begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Master {
    /// Entries that are not deleted.
    pub(super) count: u32,
    /// Entries that are.
    pub(super) deleted: u32,
    /// How many fields there are.
    field_count: usize,
    /// Where the entries begin.
    entries: usize,
}

/// An entry of a stream.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// Its id.
    pub id: StreamId,
    node: &'a [u8],
    /// Where the node's fields begin, when they are the entry's.
    names: Option<usize>,
    /// The first field, or the first value when the fields are the node's.
    first: usize,
    len: usize,
}

impl<'a> Entry<'a> {
    /// How many fields it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no field, as no entry has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The fields with their values, in order.
    pub fn fields(&self) -> Fields<'a> {
        Fields { node: self.node, names: self.names, next: self.first, left: self.len }
    }
}

impl PartialEq for Entry<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.fields().eq(other.fields())
    }
}

impl std::fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Entry").field(&self.id).field(&self.fields().collect::<Vec<_>>()).finish()
    }
}

/// Fields and values of an entry.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    node: &'a [u8],
    names: Option<usize>,
    next: usize,
    left: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Value<'a>, Value<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let take = |from: &mut usize| {
            let (value, next) = bare::read(self.node, *from);
            *from = next;
            value
        };
        let name = match &mut self.names {
            Some(names) => take(names),
            None => take(&mut self.next),
        };
        Some((name, take(&mut self.next)))
    }
}

/// An entry as it stands in its node.
#[derive(Clone, Copy)]
pub(super) struct Raw {
    /// Where it begins.
    at: usize,
    flags: i64,
    pub(super) id: StreamId,
    len: usize,
    first: usize,
}

impl Raw {
    pub(super) fn is_deleted(&self) -> bool {
        self.flags & DELETED != 0
    }

    fn has_same_fields(&self) -> bool {
        self.flags & SAME_FIELDS != 0
    }

    /// Elements behind the differences and the number of fields.
    fn elements(&self) -> usize {
        if self.has_same_fields() { self.len } else { self.len.saturating_mul(2) }
    }
}

fn as_number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Bytes of a number in a listpack.
fn listed_number(number: i64) -> usize {
    bare::listed_len_of(Value::Int(number))
}

/// The number that an element stands for.
#[inline]
fn number(value: Value<'_>) -> Option<i64> {
    match value {
        Value::Int(number) => Some(number),
        Value::Bytes(text) => parse_i64(text),
    }
}

impl Node {
    /// A node without entries whose first one will have these fields, and that will probably take so many bytes.
    pub(super) fn begin<'f>(fields: impl ExactSizeIterator<Item = &'f [u8]>, expected: usize) -> Node {
        let mut node = Node(Vec::with_capacity(expected.max(FIELDS)));
        node.0.extend_from_slice(&[0; FIELDS]);
        let count = fields.len();
        let listed = fields.fold(0, |sum, field| sum + bare::push(Value::of(field), &mut node.0));
        node.set_word(FIELD_COUNT, count);
        node.set_word(LISTED, EMPTY_BYTES + listed_number(as_number(count)) + listed + listed_number(0));
        node
    }

    #[inline]
    fn word(&self, at: usize) -> u32 {
        self.0[at..].first_chunk().map_or(0, |word| u32::from_le_bytes(*word))
    }

    /// A listpack has fewer than 2^32 bytes, so whatever is counted of it fits.
    #[inline]
    fn set_word(&mut self, at: usize, number: usize) {
        self.0[at..at + 4].copy_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
    }

    /// Bytes of the listpack.
    pub(super) fn listed_len(&self) -> usize {
        let counts = [COUNT, DELETED_COUNT].map(|at| i64::from(self.word(at)));
        self.word(LISTED) as usize + listed_number(counts[0]) + listed_number(counts[1])
    }

    /// Whether an entry of so many bytes and elements can be added without the listpack becoming too long for any.
    pub(super) fn has_room(&self, text_len: usize, elements: usize) -> bool {
        let overhead = elements.saturating_mul(OVERHEAD_MAX);
        text_len.saturating_add(overhead).saturating_add(self.listed_len()) <= MAX_BYTES
    }

    /// Bytes that are kept.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Bytes of the heap that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.0.capacity()
    }

    /// Gives back room that further entries would need.
    pub(super) fn close(&mut self) {
        // Allocators keep a block in its place when little of it is given back, so it is exchanged for a fitting one.
        if self.0.capacity() > self.0.len() {
            self.0 = self.0.as_slice().into();
        }
    }

    /// Appends the listpack.
    pub(super) fn list(&self, target: &mut Vec<u8>) {
        let master = self.master();
        let mut listing = bare::Listing::begin(target, self.listed_len());
        listing.number(i64::from(master.count));
        listing.number(i64::from(master.deleted));
        listing.number(as_number(master.field_count));
        listing.elements(&self.0, FIELDS, master.field_count);
        listing.number(0);
        let mut next = self.first_entry(&master);
        // With small numbers only, the number of bytes of an entry is that of its elements, so all of it is one row of such
        // numbers in both forms.
        let row = FIXED + master.field_count + 1;
        while let Some(at) = next {
            let same = i64::from(self.0[at]) & SAME_FIELDS != 0;
            if same && row <= bare::MANY && listing.small_numbers(&self.0, at, row) {
                next = self.unless_end(at + row);
                continue;
            }
            let elements = if same {
                FIXED + master.field_count
            } else {
                FIXED + 1 + self.raw(StreamId::MIN, &master, at).elements()
            };
            // The flags are encoded as an element is.
            let end = listing.elements(&self.0, at, elements);
            listing.number(as_number(elements));
            next = self.unless_end(end + bare::length_size(end - at));
        }
        listing.finish();
    }

    #[inline]
    fn unless_end(&self, at: usize) -> Option<usize> {
        (at < self.0.len()).then_some(at)
    }

    /// The number at an offset, and what follows. In a valid node there is one.
    #[inline]
    fn number_at(&self, at: usize) -> (i64, usize) {
        let (value, next) = bare::read(&self.0, at);
        (number(value).unwrap_or(0), next)
    }

    #[inline]
    fn skip(&self, mut at: usize, elements: usize) -> usize {
        for _ in 0..elements {
            at = bare::read(&self.0, at).1;
        }
        at
    }

    /// Entries that are not deleted.
    #[inline]
    pub(super) fn count(&self) -> u32 {
        self.word(COUNT)
    }

    /// What it begins with.
    pub(super) fn master(&self) -> Master {
        let field_count = self.word(FIELD_COUNT) as usize;
        Master {
            count: self.word(COUNT),
            deleted: self.word(DELETED_COUNT),
            field_count,
            entries: self.skip(FIELDS, field_count),
        }
    }

    /// Counts entries as deleted.
    fn count_deleted(&mut self, entries: u32) {
        let (count, deleted) = (self.word(COUNT), self.word(DELETED_COUNT));
        self.set_word(COUNT, count.saturating_sub(entries) as usize);
        self.set_word(DELETED_COUNT, deleted.saturating_add(entries) as usize);
    }

    /// Makes room for `more` bytes, growing by an eighth at least, so that filling a node takes linear time.
    fn make_room(&mut self, more: usize) {
        if self.0.capacity() - self.0.len() < more {
            self.0.reserve_exact(more.max(self.0.len() / 8).max(LEAST_GROWTH));
        }
    }

    /// Adds an entry: fields and values in turn, `len` of each.
    pub(super) fn append<'f>(
        &mut self,
        node_id: StreamId,
        id: StreamId,
        texts: impl Iterator<Item = &'f [u8]> + Clone,
        len: usize,
    ) {
        let compared = if faults::is(Fault::StreamComparesFirstField) { 1 } else { len };
        let same = len == self.word(FIELD_COUNT) as usize && {
            let names = Fields { node: &self.0, names: None, next: FIELDS, left: 0 };
            names.are(texts.clone().step_by(2).take(compared))
        };
        let (ms, seq) = id.minus(node_id);
        let start = self.0.len();
        let flags = if same { SAME_FIELDS } else { 0 };
        let mut listed = 0;
        // Room for the numbers; each text makes its own.
        self.make_room(FIXED * OVERHEAD_MAX);
        for number in [flags, ms, seq] {
            listed += bare::push(Value::Int(number), &mut self.0);
        }
        if !same {
            listed += bare::push(Value::Int(as_number(len)), &mut self.0);
        }
        for text in texts.skip(usize::from(same)).step_by(1 + usize::from(same)) {
            self.make_room(text.len() + OVERHEAD_MAX);
            listed += bare::push(Value::of(text), &mut self.0);
        }
        let size = self.0.len() - start;
        self.make_room(OVERHEAD_MAX);
        bare::push_length(size, &mut self.0);
        let elements = if same { FIXED + len } else { FIXED + 1 + 2 * len };
        listed += listed_number(as_number(elements));
        self.set_word(LISTED, self.word(LISTED) as usize + listed);
        self.set_word(COUNT, self.word(COUNT) as usize + 1);
    }

    /// Marks an entry as deleted and counts it so.
    pub(super) fn delete(&mut self, raw: &Raw) {
        self.0[raw.at] |= DELETED as u8;
        self.count_deleted(1);
    }

    /// Marks the first `entries` that are not deleted yet.
    pub(super) fn delete_first(&mut self, node_id: StreamId, entries: u32) {
        let master = self.master();
        let mut at = self.first_entry(&master);
        let mut left = entries;
        while let (Some(position), 1..) = (at, left) {
            let raw = self.raw(node_id, &master, position);
            at = self.behind(&raw);
            if !raw.is_deleted() {
                self.0[raw.at] |= DELETED as u8;
                left -= 1;
            }
        }
        self.count_deleted(entries);
    }

    /// Where the first entry begins, deleted or not.
    pub(super) fn first_entry(&self, master: &Master) -> Option<usize> {
        self.unless_end(master.entries)
    }

    /// Where the last entry ends.
    pub(super) fn end(&self) -> usize {
        self.0.len()
    }

    /// The entry that begins at an offset.
    #[inline]
    pub(super) fn raw(&self, node_id: StreamId, master: &Master, at: usize) -> Raw {
        let flags = i64::from(self.0[at]);
        let (ms, next) = self.number_at(at + 1);
        let (seq, next) = self.number_at(next);
        let (len, first) = if flags & SAME_FIELDS != 0 {
            (master.field_count, next)
        } else {
            let (len, first) = self.number_at(next);
            (usize::try_from(len).unwrap_or(0), first)
        };
        Raw { at, flags, id: node_id.plus((ms, seq)), len, first }
    }

    /// Where the entry behind one begins.
    #[inline]
    pub(super) fn behind(&self, raw: &Raw) -> Option<usize> {
        let end = self.skip(raw.first, raw.elements());
        self.unless_end(end + bare::length_size(end - raw.at))
    }

    /// Where the entry that ends at an offset begins; nothing before the first.
    #[inline]
    pub(super) fn beginning(&self, master: &Master, end: usize) -> Option<usize> {
        if end <= master.entries {
            return None;
        }
        let (len, at) = bare::length_before(&self.0, end)?;
        at.checked_sub(len).filter(|&begin| begin >= master.entries)
    }

    /// Where the entry before one ends.
    #[inline]
    pub(super) fn before(&self, raw: &Raw) -> usize {
        raw.at
    }

    /// An entry for readers.
    pub(super) fn entry(&self, raw: &Raw) -> Entry<'_> {
        let names = raw.has_same_fields().then_some(FIELDS);
        Entry { id: raw.id, node: &self.0, names, first: raw.first, len: raw.len }
    }

    /// A node of a listpack that somebody else wrote, when it is one, with the ids of its first and its last entry that
    /// are not deleted. [RDBSTREAM-6]
    ///
    /// # Errors
    /// The first trouble met.
    pub(super) fn from_bytes(node_id: StreamId, bytes: &[u8]) -> Result<(Node, StreamId, StreamId), DecodeError> {
        let mut reader = Reader(Checking::begin(bytes)?);
        // Each element takes less than in the listpack, and an entry's length less than the back-lengths of its elements.
        let mut filling = bare::Filling::new(FIELDS, bytes.len() + FIELDS);
        let (figures, first, last) = reader.node(node_id, &mut filling)?;
        reader.0.finish()?;
        let mut node = Node(filling.finish());
        for (at, number) in [COUNT, DELETED_COUNT, LISTED, FIELD_COUNT].into_iter().zip(figures) {
            node.set_word(at, number);
        }
        Ok((node, first, last))
    }

    /// Checks every invariant.
    pub(super) fn validate(&self, node_id: StreamId) -> (StreamId, StreamId) {
        let mut list = Vec::new();
        self.list(&mut list);
        assert_eq!(list.len(), self.listed_len(), "account of the listpack");
        match Node::from_bytes(node_id, &list) {
            Ok((node, first, last)) => {
                assert_eq!(node, *self, "a node and its listpack");
                (first, last)
            }
            Err(error) => panic!("a stream node's {error}"),
        }
    }
}

impl Fields<'_> {
    /// Whether what stands next are these texts.
    fn are<'f>(self, mut texts: impl Iterator<Item = &'f [u8]>) -> bool {
        let mut at = self.next;
        texts.all(|text| {
            let (value, next) = bare::read(self.node, at);
            at = next;
            value.is_text(text)
        })
    }
}

/// The elements of bytes that nothing is known of.
struct Reader<'a>(Checking<'a>);

impl<'a> Reader<'a> {
    fn element(&mut self, reason: &'static str) -> Result<Value<'a>, DecodeError> {
        let offset = self.0.offset();
        self.0.element()?.ok_or(DecodeError { offset, reason })
    }

    #[inline]
    fn number(&mut self, reason: &'static str) -> Result<i64, DecodeError> {
        let offset = self.0.offset();
        number(self.element(reason)?).ok_or(DecodeError { offset, reason })
    }

    /// A number of fields: one at least, and no more than there are bytes.
    fn len(&mut self, reason: &'static str) -> Result<usize, DecodeError> {
        let offset = self.0.offset();
        let most = self.0.byte_len();
        let len = usize::try_from(self.number(reason)?).ok().filter(|len| (1..most).contains(len));
        len.ok_or(DecodeError { offset, reason })
    }

    fn skip(&mut self, elements: usize) -> Result<(), DecodeError> {
        for _ in 0..elements {
            self.element("fewer elements than announced")?;
        }
        Ok(())
    }

    /// Takes so many elements over; answers how many bytes they take in a listpack.
    #[inline]
    fn copy(&mut self, elements: usize, target: &mut bare::Filling) -> Result<usize, DecodeError> {
        let (mut left, mut listed) = (elements, 0);
        while left > 0 {
            let step = left.min(4);
            if let Some(numbers) = self.0.small_numbers(step) {
                listed += target.small(numbers, step);
                left -= step;
                continue;
            }
            let offset = self.0.offset();
            let reason = "fewer elements than announced";
            let encoded = self.0.encoded()?.ok_or(DecodeError { offset, reason })?;
            listed += target.encoded(encoded);
            left -= 1;
        }
        Ok(listed)
    }

    /// The elements of an entry, so many, if they are all small numbers, its fields are the node's, and their number is
    /// right: in both forms the same numbers, since there are as many bytes as elements.
    #[inline]
    fn row(&mut self, elements: usize) -> Option<[u8; bare::MANY]> {
        if elements > bare::MANY {
            return None;
        }
        let numbers = self.0.peek_small(elements)?;
        let (flags, last) = (i64::from(numbers[0]), usize::from(numbers[elements - 1]));
        if flags & !DELETED != SAME_FIELDS || last != elements - 1 {
            return None;
        }
        self.0.pass_small(elements);
        Some(numbers)
    }

    /// What an entry begins with: its flags and both differences.
    #[inline]
    fn head(&mut self) -> Result<[i64; FIXED], DecodeError> {
        if let Some(numbers) = self.0.three_small_numbers() {
            let [flags, ms, seq] = numbers;
            return Ok([i64::from(flags), i64::from(ms), i64::from(seq)]);
        }
        let flags = self.number("no flags of an entry")?;
        let ms = self.number("no milliseconds of an entry")?;
        Ok([flags, ms, self.number("no sequence number of an entry")?])
    }

    fn expect(&mut self, wanted: i64, reason: &'static str) -> Result<(), DecodeError> {
        let offset = self.0.offset();
        if self.number(reason)? == wanted { Ok(()) } else { Err(DecodeError { offset, reason }) }
    }

    /// Whether the names here are, `len` of them, those of the fields and values there.
    fn names_are_those_of(mut self, mut fields: Reader<'_>, len: usize) -> Result<bool, DecodeError> {
        const REASON: &str = "fewer elements than announced";
        for _ in 0..len {
            if self.element(REASON)? != fields.element(REASON)? {
                return Ok(false);
            }
            fields.skip(1)?;
        }
        Ok(true)
    }

    /// Checks all elements as those of a node and takes over what is kept of them; answers the numbers that a node begins
    /// with, and the ids of its first and its last entry that are not deleted.
    fn node(
        &mut self,
        node_id: StreamId,
        bytes: &mut bare::Filling,
    ) -> Result<([usize; 4], StreamId, StreamId), DecodeError> {
        let count = self.number("no number of entries")?;
        let deleted = self.number("no number of deleted entries")?;
        let fields = self.len("no number of fields")?;
        let names = Reader(self.0);
        let mut listed = EMPTY_BYTES + listed_number(as_number(fields)) + listed_number(0);
        listed += self.copy(fields, bytes)?;
        self.expect(0, "no 0 behind the fields")?;
        let (mut alive, mut dead) = (0u32, 0u32);
        let mut ids: Option<(StreamId, StreamId)> = None;
        while !self.0.is_at_end() {
            let at = self.0.offset();
            let trouble = |reason| Err(DecodeError { offset: at, reason });
            let row = self.row(FIXED + fields + 1);
            let [flags, ms, seq] = match row {
                Some([flags, ms, seq, ..]) => [i64::from(flags), i64::from(ms), i64::from(seq)],
                None => self.head()?,
            };
            if let Some(numbers) = row {
                listed += bytes.small(numbers, FIXED + fields + 1);
            } else {
                if !(0..=DELETED | SAME_FIELDS).contains(&flags) {
                    return trouble("flags that do not exist");
                }
                let start = bytes.len();
                for number in [flags, ms, seq] {
                    listed += bytes.number(number);
                }
                let elements = if flags & SAME_FIELDS != 0 {
                    listed += self.copy(fields, bytes)?;
                    FIXED + fields
                } else {
                    let len = self.len("no number of fields of an entry")?;
                    listed += bytes.number(as_number(len));
                    let own = Reader(self.0);
                    listed += self.copy(2 * len, bytes)?;
                    let is_first = alive + dead == 0;
                    if is_first && !(len == fields && Reader(names.0).names_are_those_of(own, len)?) {
                        return trouble("a first entry whose fields are not the node's");
                    }
                    FIXED + 1 + 2 * len
                };
                self.expect(as_number(elements), "a number of elements that is not right")?;
                listed += listed_number(as_number(elements));
                bytes.length(bytes.len() - start);
            }
            let id = node_id.plus((ms, seq));
            if alive + dead == 0 && id != node_id {
                return trouble("a first entry whose id is not the node's");
            }
            if flags & DELETED != 0 {
                dead += 1;
                continue;
            }
            alive += 1;
            match &mut ids {
                None if id < node_id => return trouble("an id below that of the node"),
                None => ids = Some((id, id)),
                Some((_, last)) if id <= *last => return trouble("an id that is not above the one before it"),
                Some((_, last)) => *last = id,
            }
        }
        if (count, deleted) != (i64::from(alive), i64::from(dead)) {
            return Err(DecodeError { offset: 0, reason: "numbers of entries that are not right" });
        }
        let (first, last) = ids.ok_or(DecodeError { offset: 0, reason: "a node without entries" })?;
        Ok(([alive as usize, dead as usize, listed, fields], first, last))
    }
}
