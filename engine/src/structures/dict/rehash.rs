//! When a dict changes its size, and how its entries move over: bucket by bucket.

use super::node::{Node, next};
use super::table::{INITIAL_SIZE, Table};
use super::{Dict, Growth};
use crate::faults::{self, Fault};

/// Entries per bucket that a dict bears before it grows although growing is to be avoided.
const CROWDED: usize = 5;
/// Percentage of used buckets below which a table is worth shrinking.
const SPARSE_PERCENT: usize = 10;
/// How many times as large a table may become at once on the word of a file: tables stay a small multiple of what was
/// really read, and few entries move.
const FORESIGHT: usize = 8;
/// Empty buckets passed over for each bucket that is to be moved.
const EMPTY_VISITS: usize = 10;

/// The smallest table for this many entries.
fn size_for(entries: usize) -> usize {
    entries.max(INITIAL_SIZE).checked_next_power_of_two().unwrap_or(1 << (usize::BITS - 1))
}

impl<N: Node> Dict<N> {
    /// Whether entries are moving to another table at the moment.
    #[inline]
    #[must_use]
    pub fn is_rehashing(&self) -> bool {
        self.rehash_index.is_some()
    }

    /// Opens the table that holds at least `entries`; entries then move with every operation. Answers false, and does
    /// nothing, while entries move already, or if that table would be too small or of the same size.
    pub fn resize_to(&mut self, entries: usize) -> bool {
        let size = size_for(entries);
        if self.is_rehashing() || self.tables[0].used > entries || size == self.tables[0].size() {
            return false;
        }
        let table = Table::with_size(size);
        if self.tables[0].size() == 0 {
            self.tables[0] = table;
        } else {
            self.tables[1] = table;
            self.rehash_index = Some(0);
        }
        true
    }

    /// Whether so few buckets are used that the dict should shrink.
    #[must_use]
    pub fn is_sparse(&self) -> bool {
        let size = self.tables[0].size() + self.tables[1].size();
        size > INITIAL_SIZE && (self.len() as u128 * 100 / size as u128) < SPARSE_PERCENT as u128
    }

    /// Begins to shrink to the smallest table that holds all entries, unless resizing is to be avoided.
    pub fn shrink(&mut self) -> bool {
        self.growth == Growth::Free && self.resize_to(self.tables[0].used.max(INITIAL_SIZE))
    }

    /// Makes room before an entry is added.
    #[inline]
    pub(super) fn grow_if_full(&mut self) {
        let table = &self.tables[0];
        if self.is_rehashing() || table.used < table.size() {
            return;
        }
        self.grow();
    }

    /// Makes room in a full dict that is said to get `expected` entries, and moves those that are there at once. What was
    /// said is believed only so far, and nothing is done where it is already wrong.
    #[inline]
    pub fn grow_towards(&mut self, expected: usize) {
        let table = &self.tables[0];
        if table.used >= table.size() && expected > table.used && !self.is_rehashing() {
            self.leap(expected);
        }
    }

    #[cold]
    fn leap(&mut self, expected: usize) {
        let used = self.tables[0].used;
        let believed = expected.min(used.max(INITIAL_SIZE).saturating_mul(FORESIGHT));
        if self.growth == Growth::Free && self.iterators == 0 && self.resize_to(believed) {
            while self.rehash(self.len().max(1)) {}
        }
    }

    #[cold]
    fn grow(&mut self) {
        let (used, size) = (self.tables[0].used, self.tables[0].size());
        if size == 0 {
            self.resize_to(INITIAL_SIZE);
        } else if self.growth == Growth::Free || used / size > CROWDED {
            self.resize_to(used.saturating_mul(2));
        }
    }

    /// The share of the move that each operation takes: one bucket, unless a safe iterator is open.
    #[inline]
    pub(super) fn step(&mut self) {
        if self.rehash_index.is_some() && self.iterators == 0 {
            self.rehash(1);
        }
    }

    /// Moves up to `buckets` buckets with entries, passing over ten empty ones for each; true while there is more to
    /// move.
    pub fn rehash(&mut self, buckets: usize) -> bool {
        let Some(mut index) = self.rehash_index else { return false };
        let mut empty_visits = buckets.saturating_mul(EMPTY_VISITS);
        for _ in 0..buckets {
            if self.tables[0].used == 0 {
                break;
            }
            while self.tables[0].first(index).is_none() {
                index += 1;
                empty_visits -= 1;
                if empty_visits == 0 {
                    self.rehash_index = Some(index);
                    return true;
                }
            }
            self.move_bucket(index);
            index += 1;
        }
        if self.tables[0].used > 0 {
            self.rehash_index = Some(index);
            return true;
        }
        self.tables[0] = std::mem::replace(&mut self.tables[1], Table::empty());
        self.rehash_index = None;
        false
    }

    fn move_bucket(&mut self, index: usize) {
        let mut link = self.tables[0].take_chain(index);
        let mut misplaced = None;
        while let Some(node) = link {
            // SAFETY: the entries of the chain are live, and out of the table since `take_chain`.
            let key = unsafe {
                link = next(node);
                N::key(node)
            };
            let mut bucket = self.hash(key) & self.tables[1].mask();
            if faults::is(Fault::RehashMisplacesChainTail) && self.tables[1].size() > self.tables[0].size() {
                bucket = *misplaced.get_or_insert(bucket);
            }
            // SAFETY: the entry is live and in no chain; its successor was read before.
            unsafe { self.tables[1].push(bucket, node) };
            self.tables[0].used -= 1;
        }
    }
}
