//! Hashes: fields with a value each.
//!
//! ```text
//! Ziplist   field, value, field, value, …      few and short ones, in the order in which they were added
//! Table     Dict ─ entries of field and value  the rest
//! ```
//!
//! Which limits make a table of a ziplist is the configuration's matter, so they come with each change that can. A table
//! never becomes a ziplist again.
//!
//! Invariants, verified by [`Hash::validate`]: a ziplist holds an even number of entries, and no field twice; the heap
//! account of a table is what its entries take.

use crate::config::Config;
use crate::faults::{self, Fault};
use crate::structures::DecodeError;
use crate::structures::dict::{self, Arrivals, Arrived, Dict, EntryRef, HashKey};
use crate::structures::field::{self, Field};
use crate::structures::tagged::Either::{Large, Small};
use crate::structures::tagged::Tagged;
use crate::structures::ziplist::{self, Value, Ziplist};

use super::distinct::{Digests, are_distinct};
use super::{Encoding, Measured};

/// Buckets that a page of HSCAN visits at most for each field that it should have.
const BUCKETS_PER_FIELD: u64 = 20;

/// What a ziplist may hold, and the key of the table that takes its place.
#[derive(Clone, Copy, Debug)]
pub struct HashLimits {
    /// Fields of a ziplist.
    pub entries: usize,
    /// Bytes of a field or a value in it.
    pub value: usize,
    /// Hash key of a table.
    pub hash_key: HashKey,
}

impl HashLimits {
    /// From `hash-max-ziplist-entries` and `hash-max-ziplist-value`.
    pub(crate) fn new(config: &Config, hash_key: HashKey) -> HashLimits {
        let limit = |number: i64| usize::try_from(number).unwrap_or(0);
        HashLimits {
            entries: limit(config.hash_max_ziplist_entries),
            value: limit(config.hash_max_ziplist_value),
            hash_key,
        }
    }
}

/// Why a ziplist is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoHash {
    /// So many entries, an odd number.
    Odd(usize),
    /// A field twice.
    Twice,
}

/// The fields, see the [module](self).
#[repr(transparent)]
pub struct Hash(Tagged<Ziplist, Table>);

/// A dict of fields, and what its entries take.
pub(super) struct Table {
    fields: Dict<Field>,
    /// Bytes of all entries.
    heap: usize,
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Table {
    /// Adds a field that has waited for its turn.
    fn admit<T>(&mut self, arrived: Arrived<Field, T>, expected: usize) -> Result<(), T> {
        let Arrived { hash, node, note } = arrived;
        if self.fields.holds(hash, node.as_entry().key()) {
            return Err(note);
        }
        self.heap += node.as_entry().allocated();
        self.fields.grow_towards(expected);
        self.fields.insert_hashed(hash, node);
        Ok(())
    }
}

/// A hash that is filled from a file, and how many fields are said to come. Each is added with a note, which is the
/// answer when it is there already; that can turn out some fields later.
pub(crate) struct Filling<T> {
    hash: Hash,
    expected: usize,
    arrivals: Arrivals<Field, T>,
}

impl<T> Filling<T> {
    /// Nothing yet.
    pub(crate) fn new(expected: u64) -> Self {
        let expected = usize::try_from(expected).unwrap_or(usize::MAX);
        Filling { hash: Hash::new(), expected, arrivals: Arrivals::new() }
    }

    /// Adds a field as HSET does.
    pub(crate) fn add(&mut self, field: &[u8], value: &[u8], note: T, limits: &HashLimits) -> Result<(), T> {
        if !faults::is(Fault::LoadedHashStaysPacked) {
            self.hash.prepare([field, value].into_iter(), limits);
        }
        let Large(table) = self.hash.0.view_mut() else {
            return if self.hash.set(field, value, limits) { Ok(()) } else { Err(note) };
        };
        match self.arrivals.push(&table.fields, Field::create(field, value), note) {
            Some(arrived) => table.admit(arrived, self.expected),
            None => Ok(()),
        }
    }

    /// The hash, when all are there.
    pub(crate) fn finish(mut self) -> Result<Hash, T> {
        while let Some(arrived) = self.arrivals.pop() {
            if let Large(table) = self.hash.0.view_mut() {
                table.admit(arrived, self.expected)?;
            }
        }
        Ok(self.hash)
    }
}

impl Default for Hash {
    fn default() -> Self {
        Hash::new()
    }
}

impl Hash {
    /// One without fields.
    #[must_use]
    pub fn new() -> Hash {
        Hash(Tagged::small(Ziplist::new()))
    }

    /// One without fields that is a table already.
    #[must_use]
    pub fn new_table(hash_key: HashKey) -> Hash {
        Hash(Tagged::large(Box::new(Table { fields: Dict::new(hash_key), heap: 0 })))
    }

    /// Takes over fields and values in turn; `None` when they are no pairs, or a field is there twice.
    #[must_use]
    pub fn from_ziplist(list: Ziplist) -> Option<Hash> {
        (list.len().is_multiple_of(2) && fields_are_distinct(&list)).then_some(Hash(Tagged::small(list)))
    }

    /// As [`Hash::from_ziplist`], of the bytes of a ziplist.
    ///
    /// # Errors
    /// [`DecodeError`] when they are none.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Result<Hash, NoHash>, DecodeError> {
        let (mut entries, mut fields) = (0usize, Digests::new());
        let list = Ziplist::from_bytes_showing(bytes, |value| {
            if entries.is_multiple_of(2) {
                fields.add(value);
            }
            entries += 1;
        })?;
        Ok(if !entries.is_multiple_of(2) {
            Err(NoHash::Odd(entries))
        } else if fields.differ() || fields_are_distinct(&list) {
            Ok(Hash(Tagged::small(list)))
        } else {
            Err(NoHash::Twice)
        })
    }

    /// Number of fields.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        match self.0.view() {
            Small(list) => list.len() / 2,
            Large(table) => table.fields.len(),
        }
    }

    /// Whether there is no field.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self.0.view() {
            Small(list) => list.is_empty(),
            Large(table) => table.fields.is_empty(),
        }
    }

    /// How it is stored.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        match self.0.view() {
            Small(_) => Encoding::Ziplist,
            Large(_) => Encoding::Hashtable,
        }
    }

    /// The hash table, if it is one.
    #[must_use]
    pub fn as_table(&self) -> Option<&Dict<Field>> {
        match self.0.view() {
            Small(_) => None,
            Large(table) => Some(&table.fields),
        }
    }

    /// The ziplist, if it is one.
    #[must_use]
    pub fn as_ziplist(&self) -> Option<&Ziplist> {
        match self.0.view() {
            Small(list) => Some(list),
            Large(_) => None,
        }
    }

    /// The value of a field.
    #[inline]
    #[must_use]
    pub fn get(&self, field: &[u8]) -> Option<Value<'_>> {
        match self.0.view() {
            Small(list) => {
                let found = list.find(list.first(), field, 1)?;
                list.next(found).map(|position| list.get(position))
            }
            Large(table) => table.fields.peek(field).map(|entry| Value::Bytes(entry.value())),
        }
    }

    /// Whether there is such a field.
    #[inline]
    #[must_use]
    pub fn contains(&self, field: &[u8]) -> bool {
        match self.0.view() {
            Small(list) => list.find(list.first(), field, 1).is_some(),
            Large(table) => table.fields.peek(field).is_some(),
        }
    }

    /// Makes a table of it if one of these texts, which are about to become fields and values, is too long for a
    /// ziplist.
    pub fn prepare<'a>(&mut self, mut texts: impl Iterator<Item = &'a [u8]>, limits: &HashLimits) {
        let allowed = limits.value.saturating_add(usize::from(faults::is(Fault::HashOneByteTooLong)));
        if matches!(self.0.view(), Small(_)) && texts.any(|text| text.len() > allowed) {
            self.make_table(limits.hash_key);
        }
    }

    /// Sets a field; true when it is new. Makes a table of a ziplist with more fields than the limit, and of one that
    /// would become too large altogether.
    pub fn set(&mut self, field: &[u8], value: &[u8], limits: &HashLimits) -> bool {
        if let Small(list) = self.0.view_mut() {
            if list.has_room(field.len().saturating_add(value.len())) {
                let new = set_in(list, field, value);
                let allowed = limits.entries.saturating_add(usize::from(faults::is(Fault::HashOneFieldTooMany)));
                if list.len() / 2 > allowed {
                    self.make_table(limits.hash_key);
                }
                return new;
            }
            self.make_table(limits.hash_key);
        }
        match self.0.view_mut() {
            Large(table) => field::set(&mut table.fields, field, value, &mut table.heap),
            Small(_) => unreachable!("a table was made of it"),
        }
    }

    /// Removes a field; false when there is none.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match self.0.view_mut() {
            Small(list) => match list.find(list.first(), field, 1) {
                Some(position) => {
                    if let Some(value) = list.delete(position) {
                        list.delete(value);
                    }
                    list.settle_count();
                    true
                }
                None => false,
            },
            Large(table) => {
                let Some(gone) = table.fields.remove(field) else { return false };
                table.heap -= gone.as_entry().allocated();
                if table.fields.is_sparse() {
                    table.fields.shrink();
                }
                true
            }
        }
    }

    /// Makes a table of it.
    pub fn make_table(&mut self, hash_key: HashKey) {
        let Small(list) = self.0.view() else { return };
        let mut table = Box::new(Table { fields: Dict::new(hash_key), heap: 0 });
        table.fields.resize_to(list.len() / 2);
        let (mut field_digits, mut value_digits) = ([0; 20], [0; 20]);
        let forgotten = usize::from(faults::is(Fault::HashConversionForgetsLast));
        for (field, value) in pairs(list).take(list.len() / 2 - forgotten) {
            let (field, value) = (field.text(&mut field_digits), value.text(&mut value_digits));
            field::set(&mut table.fields, field, value, &mut table.heap);
        }
        self.0 = Tagged::large(table);
    }

    /// All fields with their values.
    pub fn iter(&self) -> Iter<'_> {
        match self.0.view() {
            Small(list) => Iter::Ziplist(pairs(list)),
            Large(table) => Iter::Table(table.fields.iter()),
        }
    }

    /// A page of HSCAN: gives fields and values to `found` and answers the next cursor. A ziplist is one page.
    pub(crate) fn scan<'a>(&'a self, cursor: u64, count: u64, mut found: impl FnMut(Value<'a>, Value<'a>)) -> u64 {
        let table = match self.0.view() {
            Small(list) => {
                pairs(list).for_each(|(field, value)| found(field, value));
                return 0;
            }
            Large(table) => table,
        };
        let (mut cursor, mut met) = (cursor, 0);
        let mut visits = count.saturating_mul(BUCKETS_PER_FIELD);
        loop {
            cursor = table.fields.scan(cursor, |entry| {
                found(Value::Bytes(entry.key()), Value::Bytes(entry.value()));
                met += 1;
            });
            if cursor == 0 || visits == 0 || met >= count {
                return cursor;
            }
            visits -= 1;
        }
    }

    /// Checks every invariant.
    ///
    /// # Panics
    /// When one does not hold.
    pub fn validate(&self) {
        match self.0.view() {
            Small(list) => {
                list.validate();
                assert!(Hash::from_ziplist(list.clone()).is_some(), "no pairs, or a field twice");
            }
            Large(table) => {
                table.fields.validate();
                assert_eq!(table.heap, table.fields.iter().map(EntryRef::allocated).sum::<usize>());
            }
        }
    }
}

/// Whether no field is there twice.
fn fields_are_distinct(list: &Ziplist) -> bool {
    are_distinct(|| pairs(list).map(|(field, _)| field))
}

fn set_in(list: &mut Ziplist, field: &[u8], value: &[u8]) -> bool {
    if let Some(found) = list.find(list.first(), field, 1)
        && let Some(position) = list.next(found)
    {
        list.replace(position, Value::of(value));
        return false;
    }
    list.push_back(Value::of(field));
    list.push_back(Value::of(value));
    true
}

fn pairs(list: &Ziplist) -> Pairs<'_> {
    Pairs(list.iter())
}

/// Fields and values of a ziplist.
pub struct Pairs<'a>(ziplist::Iter<'a>);

impl<'a> Iterator for Pairs<'a> {
    type Item = (Value<'a>, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().zip(self.0.next())
    }
}

/// Fields and values, see [`Hash::iter`].
pub enum Iter<'a> {
    /// Of a ziplist.
    Ziplist(Pairs<'a>),
    /// Of a table.
    Table(dict::Iter<'a, Field>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Value<'a>, Value<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Iter::Ziplist(pairs) => pairs.next(),
            Iter::Table(entries) => {
                entries.next().map(|entry| (Value::Bytes(entry.key()), Value::Bytes(entry.value())))
            }
        }
    }
}

impl Measured for Hash {
    #[inline]
    fn bytes(&self) -> usize {
        match self.0.view() {
            Small(list) => list.bytes(),
            Large(table) => size_of::<Table>() + table.fields.table_bytes() + table.heap,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn limits(entries: usize, value: usize) -> HashLimits {
        HashLimits { entries, value, hash_key: HashKey(3, 4) }
    }

    #[test]
    fn a_hash_becomes_a_table_at_its_limits_and_stays_one() {
        let limits = limits(3, 5);
        let mut hash = Hash::new();
        for field in ["a", "b", "c", "a"] {
            hash.set(field.as_bytes(), b"1", &limits);
            assert_eq!(hash.encoding(), Encoding::Ziplist);
            hash.validate();
        }
        assert!(hash.set(b"d", b"1", &limits));
        assert_eq!(hash.encoding(), Encoding::Hashtable);
        hash.validate();
        for field in ["b", "c", "d"] {
            assert!(hash.remove(field.as_bytes()));
            hash.validate();
        }
        assert_eq!((hash.encoding(), hash.len()), (Encoding::Hashtable, 1));
        assert_eq!(hash.get(b"a"), Some(Value::Bytes(b"1")));
        let mut hash = Hash::new();
        hash.prepare([&b"12345"[..], b"x"].into_iter(), &limits);
        assert_eq!(hash.encoding(), Encoding::Ziplist);
        hash.prepare([&b"123456"[..]].into_iter(), &limits);
        assert_eq!(hash.encoding(), Encoding::Hashtable);
    }

    #[test]
    fn a_ziplist_is_taken_for_a_hash_only_when_its_fields_differ() {
        let from = |texts: &[&[u8]]| Hash::from_ziplist(Ziplist::of(texts.iter().map(|text| Value::of(text))));
        assert_eq!(from(&[b"a", b"1", b"b", b"1"]).unwrap().len(), 2);
        assert!(from(&[b"a", b"1", b"b"]).is_none());
        assert!(from(&[b"a", b"1", b"a", b"2"]).is_none());
        // An integer, and the same as a string.
        assert!(
            Hash::from_ziplist(Ziplist::of([5, 5, 6].into_iter().map(Value::Int).chain([Value::Int(0)]))).is_some()
        );
        let twice = [Value::Int(5), Value::Int(1), Value::Bytes(b"5"), Value::Int(1)];
        assert!(Hash::from_ziplist(Ziplist::of(twice)).is_none());
        let many: Vec<Vec<u8>> = (0..1000).map(|number| format!("f{}", number / 2 * 2 % 999).into_bytes()).collect();
        let many: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
        assert!(from(&many).is_some());
        let again = [&many[..], &many[..2]].concat();
        assert!(from(&again).is_none());
    }
}
