//! Three ways to go through all entries.
//!
//! - [`Iter`] borrows the dict, which therefore cannot change: what the engine itself uses.
//! - [`SafeIterator`] holds the dict and lets it be changed through the iterator; no bucket moves while it is open. An
//!   entry that is there from the beginning to the end is returned exactly once.
//! - [`UnsafeIterator`] borrows nothing between two steps. It remembers a fingerprint of both tables instead and refuses
//!   to go on when they changed: addresses, sizes and numbers of entries.

use std::ptr::NonNull;

use super::node::{EntryRef, Link, Node, Owned, next};
use super::table::Chain;
use super::{Dict, EntryMut, prefetch};

/// How many buckets ahead of the one that is read the first entry is asked for.
const AHEAD: usize = 8;

/// All entries of a dict that does not change meanwhile.
pub struct Iter<'a, N: Node> {
    dict: &'a Dict<N>,
    table: usize,
    bucket: usize,
    chain: Option<Chain<N>>,
}

impl<'a, N: Node> Iterator for Iter<'a, N> {
    type Item = EntryRef<'a, N>;

    fn next(&mut self) -> Option<EntryRef<'a, N>> {
        loop {
            if let Some(node) = self.chain.as_mut().and_then(Iterator::next) {
                // SAFETY: the entry lives and cannot be changed while the dict is borrowed.
                return Some(unsafe { EntryRef::new(node) });
            }
            while self.bucket == self.dict.tables.get(self.table)?.size() {
                self.bucket = 0;
                self.table += 1;
            }
            let table = &self.dict.tables[self.table];
            self.chain = Some(table.chain(self.bucket));
            self.bucket += 1;
            // Entries lie anywhere, so those of later buckets are asked for while these are looked at.
            if let Some(node) = (self.bucket + AHEAD < table.size()).then(|| table.first(self.bucket + AHEAD)).flatten()
            {
                prefetch(node.as_ptr());
            }
        }
    }
}

impl<N: Node> Dict<N> {
    /// All entries, in the order of the buckets.
    pub fn iter(&self) -> Iter<'_, N> {
        Iter { dict: self, table: 0, bucket: 0, chain: None }
    }

    /// Opens a safe iterator.
    pub fn safe_iter(&mut self) -> SafeIterator<'_, N> {
        self.iterators += 1;
        SafeIterator { dict: self, table: 0, bucket: 0, following: None }
    }

    /// Opens an unsafe iterator.
    #[must_use]
    pub fn unsafe_iter(&self) -> UnsafeIterator {
        UnsafeIterator { fingerprint: self.fingerprint(), table: 0, bucket: 0, position: 0 }
    }

    /// A number that changes with the address, the size and the number of entries of either table.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let fields = self.tables.iter().flat_map(|table| [table.address(), table.size(), table.used]);
        // FNV-1a over whole words, each spread by a multiplication before the next is mixed in.
        fields.fold(0xcbf2_9ce4_8422_2325, |sum: u64, field| {
            let mixed = (sum ^ field as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed ^ (mixed >> 29)
        })
    }
}

impl<'a, N: Node> IntoIterator for &'a Dict<N> {
    type Item = EntryRef<'a, N>;
    type IntoIter = Iter<'a, N>;

    fn into_iter(self) -> Iter<'a, N> {
        self.iter()
    }
}

/// Goes through a dict that is changed meanwhile. Buckets stand still until it is dropped.
pub struct SafeIterator<'a, N: Node> {
    dict: &'a mut Dict<N>,
    table: usize,
    /// The bucket to open next.
    bucket: usize,
    /// The entry to return next from the open bucket. Always live: [`SafeIterator::remove`] steps over it.
    following: Link<N>,
}

impl<N: Node> SafeIterator<'_, N> {
    /// The next entry.
    #[expect(clippy::should_implement_trait, reason = "the entry is lent by the iterator, which no Iterator can do")]
    pub fn next(&mut self) -> Option<EntryRef<'_, N>> {
        let node = loop {
            if let Some(node) = self.following {
                break node;
            }
            // Tables are asked for their size at every step: adding to an empty dict gives it its first one.
            while self.bucket >= self.dict.tables.get(self.table)?.size() {
                self.bucket = 0;
                self.table += 1;
            }
            self.following = self.dict.tables[self.table].first(self.bucket);
            self.bucket += 1;
        };
        // SAFETY: `node` is live, see `following`; it cannot be changed while the iterator is borrowed.
        unsafe {
            self.following = next(node);
            Some(EntryRef::new(node))
        }
    }

    /// Looks at the dict.
    #[must_use]
    pub fn dict(&self) -> &Dict<N> {
        self.dict
    }

    /// Finds an entry, see [`Dict::find`].
    pub fn find(&mut self, key: &[u8]) -> Option<EntryRef<'_, N>> {
        self.dict.find(key)
    }

    /// Adds an entry, see [`Dict::insert`]; whether the iterator will return it is left open.
    ///
    /// # Errors
    /// Gives the entry back when its key is there already.
    pub fn insert(&mut self, node: Owned<N>) -> Result<(), Owned<N>> {
        self.dict.insert(node)
    }

    /// Takes an entry out: the last one returned, or any other.
    pub fn remove(&mut self, key: &[u8]) -> Option<Owned<N>> {
        let found: NonNull<N> = self.dict.find_mut(key).map(|entry: EntryMut<'_, N>| entry.as_raw())?;
        if self.following == Some(found) {
            // SAFETY: `find_mut` returned it, so it is live.
            self.following = unsafe { next(found) };
        }
        self.dict.remove(key)
    }
}

impl<N: Node> Drop for SafeIterator<'_, N> {
    fn drop(&mut self) {
        self.dict.iterators -= 1;
    }
}

/// The dict was changed under an [`UnsafeIterator`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed;

/// Goes through a dict that nobody promised to leave alone.
#[derive(Clone, Debug)]
pub struct UnsafeIterator {
    fingerprint: u64,
    table: usize,
    bucket: usize,
    position: usize,
}

impl UnsafeIterator {
    /// The next entry of `dict`, the same that the iterator was opened on.
    ///
    /// # Errors
    /// [`Changed`] when the tables are not as they were when the iterator was opened.
    pub fn next<'a, N: Node>(&mut self, dict: &'a Dict<N>) -> Result<Option<EntryRef<'a, N>>, Changed> {
        if dict.fingerprint() != self.fingerprint {
            return Err(Changed);
        }
        while let Some(table) = dict.tables.get(self.table) {
            if self.bucket >= table.size() {
                (self.table, self.bucket, self.position) = (self.table + 1, 0, 0);
                continue;
            }
            if let Some(node) = table.chain(self.bucket).nth(self.position) {
                self.position += 1;
                // SAFETY: the entry lives and cannot be changed while the dict is borrowed.
                return Ok(Some(unsafe { EntryRef::new(node) }));
            }
            (self.bucket, self.position) = (self.bucket + 1, 0);
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::super::key_entry::{KeyEntry, Payload, new_entry};
    use super::super::HashKey;
    use super::*;

    fn entry(key: &[u8]) -> Owned<KeyEntry> {
        new_entry(key, Payload::Int { value: 0, shared: true }, 0, false)
    }

    #[test]
    fn an_entry_may_be_removed_while_an_iterator_is_about_to_return_it() {
        let mut dict: Dict<KeyEntry> = Dict::new(HashKey(7, 7));
        for key in 0u8..20 {
            dict.insert_new(entry(&[key]));
        }
        let mut iterator = dict.safe_iter();
        let mut returned = 0;
        while let Some(current) = iterator.next().map(|entry| entry.key()[0]) {
            returned += 1;
            // The one just returned, and others that may come next.
            for key in [current, current ^ 1, current ^ 2] {
                drop(iterator.remove(&[key]));
            }
            // Refused where the iterator returned that one, too.
            drop(iterator.insert(entry(&[current, 1])));
        }
        drop(iterator);
        assert!(returned > 0);
        dict.validate();
        let mut iterator = dict.unsafe_iter();
        assert!(iterator.next(&dict).unwrap().is_some());
        drop(dict.remove(dict.iter().next().unwrap().key().to_vec().as_slice()));
        assert_eq!(iterator.next(&dict).map(|_| ()), Err(Changed));
    }
}
