//! The keys of one database: a dict of [`KeyEntry`]s, and a list of those that expire.
//!
//! The list is what the active expire cycle draws its samples from; each expiring entry knows its place in it, so it
//! leaves in constant time (the last one takes the place).
//!
//! Invariants, verified by [`KeyTable::validate`]: the list holds exactly the entries with an expiry, each at the place
//! it knows; `bytes` is the sum of all entries' sizes.

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::dict::{Dict, EntryMut, EntryRef, Growth, Hash, HashKey, Iter, Owned};
use super::key_entry::{Form, KeyEntry, LRU_BITS, NOT_LISTED, Payload, Stored, new_entry, rebuilt};
use crate::faults::{self, Fault};
use crate::values::CollectionMut;

/// An entry of a [`KeyTable`] that is only looked at.
pub type KeyRef<'a> = EntryRef<'a, KeyEntry>;

/// See the [module](self).
pub struct KeyTable {
    dict: Dict<KeyEntry>,
    expiring: Vec<NonNull<KeyEntry>>,
    bytes: usize,
}

// SAFETY: the pointers lead to entries that the table owns alone; entries hold plain bytes.
unsafe impl Send for KeyTable {}

/// An entry that left its table, with its expiry.
pub struct Detached {
    entry: Owned<KeyEntry>,
    /// Unix milliseconds.
    pub expiry: Option<i64>,
}

impl Detached {
    /// An entry that has been in no table.
    #[must_use]
    pub fn new(entry: Owned<KeyEntry>, expiry: Option<i64>) -> Detached {
        Detached { entry, expiry }
    }

    /// The same object under another key.
    #[must_use]
    pub fn renamed(self, key: &[u8]) -> Detached {
        Detached { entry: rebuilt(self.entry, Some(key), self.expiry.is_some()), expiry: self.expiry }
    }
}

impl KeyTable {
    /// An empty table; allocates nothing.
    #[must_use]
    pub fn new(hash_key: HashKey) -> KeyTable {
        KeyTable { dict: Dict::new(hash_key), expiring: Vec::new(), bytes: 0 }
    }

    /// Number of keys.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.dict.len()
    }

    /// Whether there is no key.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dict.is_empty()
    }

    /// Number of keys that expire.
    #[inline]
    #[must_use]
    pub fn expiring(&self) -> usize {
        self.expiring.len()
    }

    /// One of the keys that expire, by its place in their list.
    #[must_use]
    pub fn expiring_at(&self, place: usize) -> Option<KeyRef<'_>> {
        // SAFETY: entries in the list are in the dict, and live unchanged while the table is borrowed.
        self.expiring.get(place).map(|&node| unsafe { EntryRef::new(node) })
    }

    /// Bytes of entries, values and tables.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes + self.dict.table_bytes() + self.expiring_bytes()
    }

    /// Bytes of the list of keys that expire.
    #[inline]
    #[must_use]
    pub fn expiring_bytes(&self) -> usize {
        self.expiring.capacity() * size_of::<NonNull<KeyEntry>>()
    }

    /// Finds a key and leaves the tables as they are.
    #[inline]
    #[must_use]
    pub fn peek(&self, key: &[u8]) -> Option<KeyRef<'_>> {
        self.dict.peek(key)
    }

    /// Finds a key.
    #[inline]
    pub fn find(&mut self, key: &[u8]) -> Option<KeyMut<'_>> {
        let entry = self.dict.find_mut(key)?;
        Some(KeyMut { entry, expiring: &mut self.expiring, bytes: &mut self.bytes })
    }

    /// Finds a key that is not over at `now_ms`; one that is, is removed, and `expired` set.
    #[inline]
    pub fn find_alive(&mut self, key: &[u8], now_ms: i64, expired: &mut bool) -> Option<KeyMut<'_>> {
        let found = self.find(key)?;
        if found.get().expiry().is_some_and(|at_ms| is_over(at_ms, now_ms)) {
            *expired = true;
            found.remove();
            return None;
        }
        Some(found)
    }

    /// Adds a key that is known to be absent.
    ///
    /// # Panics
    /// As [`new_entry`].
    #[inline]
    pub fn insert_new(&mut self, key: &[u8], payload: Payload<'_>, lru: u32, expiry: Option<i64>) {
        let entry = new_entry(key, payload, lru, expiry.is_some());
        self.attach(Detached { entry, expiry });
    }

    /// Adds an entry whose key is known to be absent.
    pub fn attach(&mut self, detached: Detached) {
        let Detached { mut entry, expiry } = detached;
        if let Some(at_ms) = expiry {
            entry = with_slot(entry);
            list(&mut self.expiring, entry.as_raw(), at_ms);
        }
        self.bytes += entry.as_entry().bytes();
        self.dict.insert_new(entry);
    }

    /// Adds an entry that has waited for its turn; false, and it is dropped, when there is one of its key.
    pub fn attach_arrived(&mut self, hash: Hash, detached: Detached, expected: usize) -> bool {
        let Detached { mut entry, expiry } = detached;
        if self.dict.holds(hash, entry.as_entry().key()) {
            return false;
        }
        if let Some(at_ms) = expiry {
            entry = with_slot(entry);
            list(&mut self.expiring, entry.as_raw(), at_ms);
        }
        self.bytes += entry.as_entry().bytes();
        self.dict.grow_towards(expected);
        self.dict.insert_hashed(hash, entry);
        true
    }

    /// Removes every key and frees the tables.
    pub fn clear(&mut self) {
        self.expiring = Vec::new();
        self.dict.clear();
        self.bytes = 0;
    }

    /// Makes room for this many keys at once.
    pub fn reserve(&mut self, keys: usize, expiring: usize) {
        if keys > self.dict.len() {
            self.dict.resize_to(keys);
        }
        self.expiring.reserve(expiring.saturating_sub(self.expiring.len()));
    }

    /// A key chosen with equal chances; `below(n)` draws a number smaller than `n`.
    pub fn random(&mut self, below: impl FnMut(u64) -> u64) -> Option<KeyRef<'_>> {
        self.dict.random(below)
    }

    /// See [`Dict::scan`].
    pub fn scan<'a>(&'a self, cursor: u64, visit: impl FnMut(KeyRef<'a>)) -> u64 {
        self.dict.scan(cursor, visit)
    }

    /// All keys, in the order of the buckets.
    pub fn iter(&self) -> Iter<'_, KeyEntry> {
        self.dict.iter()
    }

    /// The dict, to look at.
    #[must_use]
    pub fn dict(&self) -> &Dict<KeyEntry> {
        &self.dict
    }

    /// See [`Dict::rehash`].
    pub fn rehash(&mut self, buckets: usize) -> bool {
        self.dict.rehash(buckets)
    }

    /// Begins to shrink a table that is nearly empty.
    pub fn shrink_if_sparse(&mut self) {
        if self.dict.is_sparse() {
            self.dict.shrink();
        }
        if self.expiring.capacity() > 64 && self.expiring.len() < self.expiring.capacity() / 8 {
            self.expiring.shrink_to(self.expiring.len() * 2);
        }
    }

    /// See [`Dict::set_growth`].
    pub fn set_growth(&mut self, growth: Growth) {
        self.dict.set_growth(growth);
    }

    /// Checks every invariant.
    ///
    /// # Panics
    /// When one does not hold.
    pub fn validate(&self) {
        self.dict.validate();
        let mut expiring = 0;
        let mut bytes = 0;
        for entry in self.dict.iter() {
            bytes += entry.bytes();
            match entry.stored() {
                Stored::Int(value) => {
                    let shared = entry.form() == Form::SharedInt;
                    assert!(!shared || (0..super::key_entry::SHARED_INTEGERS).contains(&value));
                }
                Stored::Bytes(_) => {}
                Stored::Collection(collection) => {
                    assert!(!collection.is_void(), "an empty collection stays in no keyspace");
                    collection.validate();
                }
            }
            // SAFETY: the entry is live, and the table is borrowed.
            if let Some(place) = unsafe { KeyEntry::place(entry.as_raw()) } {
                assert_eq!(self.expiring.get(place as usize), Some(&entry.as_raw()));
                expiring += 1;
            }
        }
        assert_eq!(expiring, self.expiring.len());
        assert_eq!(bytes, self.bytes);
    }
}

impl<'a> IntoIterator for &'a KeyTable {
    type Item = KeyRef<'a>;
    type IntoIter = Iter<'a, KeyEntry>;

    fn into_iter(self) -> Iter<'a, KeyEntry> {
        self.iter()
    }
}

/// Whether an expiry lies in the past: a key lives through the millisecond in which it expires.
#[inline]
#[must_use]
pub fn is_over(at_ms: i64, now_ms: i64) -> bool {
    if faults::is(Fault::ExpiresOneMillisecondEarly) { now_ms >= at_ms } else { now_ms > at_ms }
}

/// The entry, with room for an expiry.
fn with_slot(entry: Owned<KeyEntry>) -> Owned<KeyEntry> {
    // SAFETY: the entry is live and ours.
    if unsafe { KeyEntry::set_slot(entry.as_raw(), 0, NOT_LISTED) } { entry } else { rebuilt(entry, None, true) }
}

/// Adds an entry that has a slot to the list of expiring keys.
fn list(expiring: &mut Vec<NonNull<KeyEntry>>, node: NonNull<KeyEntry>, at_ms: i64) {
    let place = match u32::try_from(expiring.len()) {
        Ok(place) if place != NOT_LISTED => place,
        _ => unreachable!("2^32 entries take more than 128 GiB"),
    };
    // SAFETY: the entry is live, and its table is borrowed by the caller.
    unsafe { KeyEntry::set_slot(node, at_ms, place) };
    expiring.push(node);
}

/// Takes an entry out of the list of expiring keys; its slot stays.
fn unlist(expiring: &mut Vec<NonNull<KeyEntry>>, node: NonNull<KeyEntry>) -> bool {
    // SAFETY: the entry is live, and its table is borrowed by the caller.
    let Some(place) = (unsafe { KeyEntry::place(node) }) else { return false };
    expiring.swap_remove(place as usize);
    // SAFETY: entries in the list are live.
    unsafe {
        if let Some(&moved) = expiring.get(place as usize) {
            KeyEntry::set_place(moved, place);
        }
        KeyEntry::set_place(node, NOT_LISTED);
    }
    true
}

/// A key that may be changed.
pub struct KeyMut<'a> {
    entry: EntryMut<'a, KeyEntry>,
    expiring: &'a mut Vec<NonNull<KeyEntry>>,
    bytes: &'a mut usize,
}

impl<'a> KeyMut<'a> {
    /// Looks at it.
    #[inline]
    #[must_use]
    pub fn get(&self) -> KeyRef<'_> {
        self.entry.get()
    }

    /// Looks at it for as long as the table is borrowed.
    #[inline]
    #[must_use]
    pub fn into_ref(self) -> KeyRef<'a> {
        self.entry.into_ref()
    }

    /// Sets the 24 bits of the LRU clock or LFU counter; higher bits are cut off.
    #[inline]
    pub fn set_lru(&mut self, lru: u32) {
        let lru = lru & ((1 << LRU_BITS) - 1);
        // SAFETY: the entry is live and ours to change.
        unsafe { KeyEntry::set_lru(self.entry.as_raw(), lru) }
    }

    /// Replaces the value; LRU bits and expiry stay.
    ///
    /// # Panics
    /// As [`new_entry`].
    #[inline]
    pub fn overwrite(&mut self, payload: Payload<'_>) {
        let node = self.entry.as_raw();
        let before = self.growable_bytes();
        // SAFETY: the entry is live and ours to change.
        match unsafe { KeyEntry::overwrite(node, payload) } {
            Ok(()) => self.account_growable(before),
            Err(payload) => {
                let expiry = self.get().expiry();
                let new = new_entry(self.get().key(), payload, self.get().lru(), expiry.is_some());
                self.put_in_place(new, expiry);
            }
        }
    }

    /// Replaces value, LRU bits and expiry (none is left): what SET does.
    ///
    /// # Panics
    /// As [`new_entry`].
    #[inline]
    pub fn assign(&mut self, payload: Payload<'_>, lru: u32) {
        let node = self.entry.as_raw();
        let before = self.growable_bytes();
        // SAFETY: the entry is live and ours to change.
        match unsafe { KeyEntry::overwrite(node, payload) } {
            Ok(()) => {
                self.account_growable(before);
                if !faults::is(Fault::OverwriteInPlaceKeepsExpiry) {
                    unlist(self.expiring, node);
                }
                self.set_lru(lru);
            }
            Err(payload) => {
                unlist(self.expiring, node);
                let new = new_entry(self.get().key(), payload, lru, false);
                self.put_in_place(new, None);
            }
        }
    }

    /// Bytes of the entry when they can change in place: with a growable string, or a collection.
    #[inline]
    fn growable_bytes(&self) -> Option<usize> {
        matches!(self.get().form(), Form::Raw | Form::Collection).then(|| self.get().bytes())
    }

    /// Keeps the account after a change in place.
    #[inline]
    fn account_growable(&mut self, before: Option<usize>) {
        if let Some(before) = before {
            *self.bytes = *self.bytes - before + self.get().bytes();
        }
    }

    /// Puts `new` in the chain and, with an expiry, in the list, where the old entry is now, which is freed.
    fn put_in_place(&mut self, new: Owned<KeyEntry>, expiry: Option<i64>) {
        *self.bytes = *self.bytes - self.get().bytes() + new.as_entry().bytes();
        // SAFETY: both entries are live and ours to change.
        unsafe {
            let place = KeyEntry::place(self.entry.as_raw());
            if let (Some(place), Some(at_ms)) = (place, expiry) {
                KeyEntry::set_slot(new.as_raw(), at_ms, place);
                if let Some(listed) = self.expiring.get_mut(place as usize) {
                    *listed = new.as_raw();
                }
            }
        }
        drop(self.entry.replace(new));
    }

    /// The value as a growable string, converted to one if it is none.
    pub fn raw(&mut self) -> Option<RawMut<'_>> {
        if self.get().form() != Form::Raw {
            let bytes = match self.get().stored() {
                Stored::Int(value) => value.to_string().into_bytes(),
                Stored::Bytes(bytes) => bytes.to_vec(),
                Stored::Collection(_) => return None,
            };
            self.overwrite(Payload::Raw(bytes));
        }
        // SAFETY: the entry is live and ours to change as long as this is borrowed.
        match unsafe { KeyEntry::raw_mut(self.entry.as_raw()) } {
            Some(bytes) => Some(RawMut { before: bytes.capacity(), bytes, account: self.bytes }),
            None => unreachable!("it was converted above"),
        }
    }

    /// The collection, and the account of bytes that must follow what it takes or frees; `None` for a string.
    pub(crate) fn collection(&mut self) -> Option<(CollectionMut<'_>, &mut usize)> {
        // SAFETY: the entry is live and ours to change as long as this is borrowed.
        let collection = unsafe { KeyEntry::collection_mut(self.entry.as_raw()) }?;
        Some((collection, self.bytes))
    }

    /// Sets when the key expires, Unix milliseconds.
    pub fn set_expiry(&mut self, at_ms: i64) {
        let node = self.entry.as_raw();
        // SAFETY: the entry is live and ours to change.
        unsafe {
            if let Some(place) = KeyEntry::place(node) {
                KeyEntry::set_slot(node, at_ms, place);
            } else if KeyEntry::set_slot(node, at_ms, NOT_LISTED) {
                list(self.expiring, node, at_ms);
            } else {
                *self.bytes -= KeyEntry::bytes(node);
                let new = KeyEntry::with_slot_moved(node);
                drop(self.entry.replace(new));
                *self.bytes += self.get().bytes();
                list(self.expiring, self.entry.as_raw(), at_ms);
            }
        }
    }

    /// Lets the key live for ever; false when it did already.
    pub fn persist(&mut self) -> bool {
        unlist(self.expiring, self.entry.as_raw())
    }

    /// Removes the key and frees its value.
    pub fn remove(self) {
        drop(self.detach());
    }

    /// Takes the key out of the table.
    #[must_use]
    pub fn detach(self) -> Detached {
        let expiry = self.get().expiry();
        *self.bytes -= self.get().bytes();
        unlist(self.expiring, self.entry.as_raw());
        Detached { entry: self.entry.remove(), expiry }
    }
}

/// A growable string inside its entry; keeps the account of bytes when it goes.
pub struct RawMut<'a> {
    bytes: &'a mut Vec<u8>,
    account: &'a mut usize,
    before: usize,
}

impl Deref for RawMut<'_> {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        self.bytes
    }
}

impl DerefMut for RawMut<'_> {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        self.bytes
    }
}

impl Drop for RawMut<'_> {
    fn drop(&mut self) {
        *self.account = *self.account - self.before + self.bytes.capacity();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Small enough for Miri, which checks what the property tests cannot see: that every pointer may do what it does.
    #[test]
    fn every_operation_keeps_the_invariants_in_every_form_of_value() {
        let mut table = KeyTable::new(HashKey(1, 2));
        let payloads: [fn() -> Payload<'static>; 5] = [
            || Payload::Int { value: 77, shared: true },
            || Payload::Int { value: -1, shared: false },
            || Payload::Embstr(b"short"[..].into()),
            || Payload::Embstr(b"longer than the other one"[..].into()),
            || Payload::Raw(vec![b'x'; 60]),
        ];
        let keys: Vec<Vec<u8>> = (0u8..25).map(|n| vec![n; usize::from(n)]).collect();
        for (n, key) in keys.iter().enumerate() {
            table.insert_new(key, payloads[n % 5](), 5, (n % 3 == 0).then_some(n as i64));
            table.validate();
        }
        for (n, key) in keys.iter().enumerate() {
            let mut found = table.find(key).unwrap();
            found.set_expiry(100);
            found.overwrite(payloads[n / 5]());
            found.set_lru(9);
            assert_eq!(found.get().expiry(), Some(100));
            assert_eq!(found.get().lru(), 9);
            if n % 2 == 0 {
                found.raw().unwrap().extend_from_slice(b"tail");
                assert_eq!(found.get().form(), Form::Raw);
            }
            table.validate();
        }
        for (n, key) in keys.iter().enumerate() {
            let mut found = table.find(key).unwrap();
            match n % 4 {
                0 => found.assign(payloads[n % 5](), 3),
                1 => assert!(found.persist()),
                2 => {
                    let detached = found.detach().renamed(&[b'z'; 30]);
                    table.attach(detached);
                    assert_eq!(table.find(&[b'z'; 30]).unwrap().get().expiry(), Some(100));
                    table.find(&[b'z'; 30]).unwrap().remove();
                }
                _ => found.remove(),
            }
            table.validate();
        }
        let mut cursor = 0;
        let mut seen = 0;
        loop {
            cursor = table.scan(cursor, |entry| seen += usize::from(!entry.key().is_empty() || entry.bytes() > 0));
            if cursor == 0 {
                break;
            }
        }
        assert!(seen >= table.len());
        let mut expired = false;
        assert!(table.random(|bound| bound / 2).is_some());
        table.find(&keys[5]).unwrap().set_expiry(7);
        assert!(table.find_alive(&keys[5], 7, &mut expired).is_some());
        assert!(table.find_alive(&keys[5], 8, &mut expired).is_none());
        assert!(expired);
        table.shrink_if_sparse();
        while table.rehash(1) {}
        table.validate();
        table.clear();
        table.validate();
        assert_eq!(table.bytes(), 0);
    }
}
