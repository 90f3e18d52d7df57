//! One node of a stream: entries in a listpack, relative to the node's id and to the fields of its first entry.
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
//! The bytes are those of Redis after the same history. [STREAMENC-5] [STREAMENC-6] [STREAMENC-7]

use super::id::StreamId;
use crate::faults::{self, Fault};
use crate::number::parse_i64;
use crate::structures::DecodeError;
use crate::structures::listpack::{Checking, Listpack, Position, Value};

/// Marks an entry that was deleted.
const DELETED: i64 = 1;
/// Marks an entry whose fields are those of the node.
const SAME_FIELDS: i64 = 2;
/// Elements of an entry beside its fields and values: flags, both differences.
const FIXED: usize = 3;

/// The entries, see the [module](self). The node's id is the key under which it is found.
#[derive(Clone, Debug)]
pub(super) struct Node(Listpack);

/// What a node begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Master {
    /// Entries that are not deleted.
    pub(super) count: i64,
    /// Entries that are.
    pub(super) deleted: i64,
    /// How many fields there are.
    field_count: usize,
    /// The first of them.
    fields: Option<Position>,
    /// The 0 behind them.
    end: Option<Position>,
}

/// An entry of a stream.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// Its id.
    pub id: StreamId,
    list: &'a Listpack,
    /// The node's fields, when they are the entry's.
    names: Option<Position>,
    /// The first field, or the first value when the fields are the node's.
    first: Option<Position>,
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
        Fields { list: self.list, names: self.names, next: self.first, left: self.len }
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
    list: &'a Listpack,
    names: Option<Position>,
    next: Option<Position>,
    left: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Value<'a>, Value<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let take = |from: &mut Option<Position>| {
            let (value, next) = self.list.read((*from)?);
            *from = next;
            Some(value)
        };
        let name = if self.names.is_some() { take(&mut self.names) } else { take(&mut self.next) }?;
        Some((name, take(&mut self.next)?))
    }
}

/// An entry as it stands in its node.
#[derive(Clone, Copy)]
pub(super) struct Raw {
    /// Its flags.
    pub(super) at: Position,
    flags: i64,
    pub(super) id: StreamId,
    len: usize,
    first: Option<Position>,
}

impl Raw {
    pub(super) fn is_deleted(&self) -> bool {
        self.flags & DELETED != 0
    }

    fn has_same_fields(&self) -> bool {
        self.flags & SAME_FIELDS != 0
    }

    /// Elements behind its differences, but for the last.
    fn elements(&self) -> usize {
        if self.has_same_fields() { self.len } else { self.len.saturating_mul(2) }
    }
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
        let mut list = Listpack::with_room(expected);
        let count = i64::try_from(fields.len()).unwrap_or(i64::MAX);
        [0, 0, count].into_iter().for_each(|number| list.push_back(Value::Int(number)));
        fields.for_each(|field| list.push_back(Value::of(field)));
        list.push_back(Value::Int(0));
        Node(list)
    }

    /// The listpack.
    pub(super) fn listpack(&self) -> &Listpack {
        &self.0
    }

    /// Bytes of the heap that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// Gives back room that further entries would need.
    pub(super) fn close(&mut self) {
        self.0.shrink_to_fit();
    }

    /// The number at a position, and the next position. In a valid node there is one.
    #[inline]
    fn number_at(&self, at: Option<Position>) -> (i64, Option<Position>) {
        match at {
            Some(at) => {
                let (value, next) = self.0.read(at);
                (number(value).unwrap_or(0), next)
            }
            None => (0, None),
        }
    }

    fn skip(&self, mut at: Option<Position>, elements: usize) -> Option<Position> {
        for _ in 0..elements {
            at = self.0.next(at?);
        }
        at
    }

    /// Entries that are not deleted.
    #[inline]
    pub(super) fn count(&self) -> i64 {
        self.number_at(self.0.first()).0
    }

    /// What it begins with.
    pub(super) fn master(&self) -> Master {
        let (count, at) = self.number_at(self.0.first());
        let (deleted, at) = self.number_at(at);
        let (field_count, fields) = self.number_at(at);
        let field_count = usize::try_from(field_count).unwrap_or(0);
        Master { count, deleted, field_count, fields, end: self.skip(fields, field_count) }
    }

    fn set_counts(&mut self, count: i64, deleted: i64) {
        for (index, number) in [count, deleted].into_iter().enumerate() {
            if let Some(at) = self.0.index(index as i64) {
                self.0.replace(at, Value::Int(number));
            }
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
        let master = self.master();
        let compared = if faults::is(Fault::StreamComparesFirstField) { 1 } else { len };
        let same = len == master.field_count
            && self.0.iter_from(master.fields).zip(texts.clone().step_by(2)).take(compared).all(|(a, b)| a.is_text(b));
        let (ms, seq) = id.minus(node_id);
        let flags = if same { SAME_FIELDS } else { 0 };
        [flags, ms, seq].into_iter().for_each(|number| self.0.push_back(Value::Int(number)));
        let integer = |number: usize| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
        if same {
            texts.skip(1).step_by(2).for_each(|value| self.0.push_back(Value::of(value)));
            self.0.push_back(integer(FIXED + len));
        } else {
            self.0.push_back(integer(len));
            texts.for_each(|text| self.0.push_back(Value::of(text)));
            self.0.push_back(integer(FIXED + 1 + 2 * len));
        }
        if let Some(first) = self.0.first() {
            self.0.replace(first, Value::Int(master.count + 1));
        }
    }

    /// Marks an entry as deleted and counts it so.
    pub(super) fn delete(&mut self, raw: &Raw) {
        let master = self.master();
        self.0.replace(raw.at, Value::Int(raw.flags | DELETED));
        self.set_counts(master.count - 1, master.deleted + 1);
    }

    /// Marks the first `entries` that are not deleted yet.
    pub(super) fn delete_first(&mut self, node_id: StreamId, entries: i64) {
        let master = self.master();
        let mut at = self.first_entry(&master);
        let mut left = entries;
        while let (Some(position), 1..) = (at, left) {
            let raw = self.raw(node_id, &master, position);
            at = self.behind(&raw);
            if !raw.is_deleted() {
                // Both flags take one byte, so nothing moves.
                self.0.replace(raw.at, Value::Int(raw.flags | DELETED));
                left -= 1;
            }
        }
        self.set_counts(master.count - entries, master.deleted + entries);
    }

    /// The first entry, deleted or not.
    pub(super) fn first_entry(&self, master: &Master) -> Option<Position> {
        self.0.next(master.end?)
    }

    /// The last element of the last entry.
    pub(super) fn last_element(&self) -> Option<Position> {
        self.0.last()
    }

    /// The entry that begins at a position.
    #[inline]
    pub(super) fn raw(&self, node_id: StreamId, master: &Master, at: Position) -> Raw {
        let (flags, next) = self.number_at(Some(at));
        let (ms, next) = self.number_at(next);
        let (seq, next) = self.number_at(next);
        let (len, first) = if flags & SAME_FIELDS != 0 {
            (master.field_count, next)
        } else {
            let (len, first) = self.number_at(next);
            (usize::try_from(len).unwrap_or(0), first)
        };
        Raw { at, flags, id: node_id.plus((ms, seq)), len, first }
    }

    /// The entry behind one.
    #[inline]
    pub(super) fn behind(&self, raw: &Raw) -> Option<Position> {
        self.skip(raw.first, raw.elements() + 1)
    }

    /// The entry whose last element this is; `None` for the end of the master.
    #[inline]
    pub(super) fn beginning(&self, last: Position) -> Option<Position> {
        let mut at = last;
        let (elements, _) = self.number_at(Some(last));
        if elements <= 0 {
            return None;
        }
        for _ in 0..elements {
            at = self.0.previous(at)?;
        }
        Some(at)
    }

    /// The last element of the entry before one.
    #[inline]
    pub(super) fn before(&self, raw: &Raw) -> Option<Position> {
        self.0.previous(raw.at)
    }

    /// An entry for readers.
    pub(super) fn entry(&self, master: &Master, raw: &Raw) -> Entry<'_> {
        let names = raw.has_same_fields().then_some(master.fields).flatten();
        Entry { id: raw.id, list: &self.0, names, first: raw.first, len: raw.len }
    }

    /// A node of bytes that somebody else wrote, when they are one, with the ids of its first and its last entry that
    /// are not deleted. [RDBSTREAM-6]
    ///
    /// # Errors
    /// The first trouble met.
    pub(super) fn from_bytes(node_id: StreamId, bytes: &[u8]) -> Result<(Node, StreamId, StreamId), DecodeError> {
        let mut reader = Reader(Checking::begin(bytes)?);
        let (first, last) = reader.node(node_id)?;
        Ok((Node(reader.0.into_listpack()?), first, last))
    }

    /// Checks every invariant.
    pub(super) fn validate(&self, node_id: StreamId) -> (StreamId, StreamId) {
        match Node::from_bytes(node_id, self.0.as_bytes()) {
            Ok((_, first, last)) => (first, last),
            Err(error) => panic!("a stream node's {error}"),
        }
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

    #[inline]
    fn skip(&mut self, elements: usize) -> Result<(), DecodeError> {
        let mut left = elements - self.0.skip_small_numbers(elements);
        while left > 0 {
            self.element("fewer elements than announced")?;
            left -= 1;
            left -= self.0.skip_small_numbers(left);
        }
        Ok(())
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

    /// Checks all elements as those of a node, and answers the ids of its first and its last entry that are not deleted.
    fn node(&mut self, node_id: StreamId) -> Result<(StreamId, StreamId), DecodeError> {
        let count = self.number("no number of entries")?;
        let deleted = self.number("no number of deleted entries")?;
        let fields = self.len("no number of fields")?;
        let names = Reader(self.0);
        self.skip(fields)?;
        self.expect(0, "no 0 behind the fields")?;
        let (mut alive, mut dead) = (0, 0);
        let mut ids: Option<(StreamId, StreamId)> = None;
        while !self.0.is_at_end() {
            let at = self.0.offset();
            let trouble = |reason| Err(DecodeError { offset: at, reason });
            let [flags, ms, seq] = self.head()?;
            if !(0..=DELETED | SAME_FIELDS).contains(&flags) {
                return trouble("flags that do not exist");
            }
            let elements = if flags & SAME_FIELDS != 0 {
                self.skip(fields)?;
                FIXED + fields
            } else {
                let len = self.len("no number of fields of an entry")?;
                let own = Reader(self.0);
                self.skip(len)?;
                self.skip(len)?;
                let is_first = alive + dead == 0;
                if is_first && !(len == fields && Reader(names.0).names_are_those_of(own, len)?) {
                    return trouble("a first entry whose fields are not the node's");
                }
                FIXED + 1 + 2 * len
            };
            self.expect(elements as i64, "a number of elements that is not right")?;
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
        if (count, deleted) != (alive, dead) {
            return Err(DecodeError { offset: 0, reason: "numbers of entries that are not right" });
        }
        ids.ok_or(DecodeError { offset: 0, reason: "a node without entries" })
    }
}
