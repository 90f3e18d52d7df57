//! Hash table that moves its entries to a larger or smaller table a few buckets at a time.
//!
//! ```text
//!  tables[0]   [ - ][ - ][ - ][ * ][ * ][ - ] …      buckets below rehash_index are empty
//!                              │
//!                              ▼
//!                          entry ─next─► entry        the entry itself begins with the pointer to the next
//!  tables[1]   [ * ][ - ] …                           new entries go here while a rehash is under way
//! ```
//!
//! Every addition, look-up and deletion moves one bucket, unless a safe iterator is open; the cron moves more in idle
//! time. The hash is keyed (SipHash-1-3), so nobody who lacks the key can choose keys that fall into one bucket, and
//! the same key gives the same order on every machine.
//!
//! Invariants, all verified by [`Dict::validate`]:
//! - `rehash_index` is `None` exactly when `tables[1]` has no buckets;
//! - while it is `Some(i)`, `i` is a bucket of `tables[0]`, and those below it are empty;
//! - an entry lies in the bucket that its key's hash chooses; no key is there twice;
//! - `used` of each table is the number of entries in its chains.

mod arrivals;
mod iterator;
mod node;
mod rehash;
mod scan;
mod table;

use std::marker::PhantomData;
use std::ptr::NonNull;

use siphasher::sip::SipHasher13;

pub use arrivals::{Arrivals, Arrived};
pub use iterator::{Changed, Iter, SafeIterator, UnsafeIterator};
pub use node::{EntryRef, Link, Node, Owned};
pub use scan::next_cursor;
pub use table::INITIAL_SIZE;
use table::Table;

use node::{next, next_place};

/// The secret of a dict's hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HashKey(pub u64, pub u64);

/// The hash of a key, as the dict that gave it needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash(usize);

/// Whether a dict may change its size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Growth {
    /// Grows when there are as many entries as buckets.
    #[default]
    Free,
    /// Grows only when chains become long, and does not shrink: moving entries would unshare the memory pages of a
    /// snapshot child.
    Avoided,
}

/// Most entries of one chain that [`Dict::random`] weighs against each other.
const FAIR_CHAIN: usize = 8;
/// [`Dict::random`] gives up drawing after so many times the draws that it should take: once in e^40 calls, unless the
/// table is so empty that counting through it is as fast.
const PATIENCE: u64 = 40;

/// The table, see the [module](self).
pub struct Dict<N: Node> {
    tables: [Table<N>; 2],
    rehash_index: Option<usize>,
    /// Open safe iterators.
    iterators: usize,
    growth: Growth,
    hasher: SipHasher13,
    owns: PhantomData<Owned<N>>,
}

/// Where an entry hangs in its chain.
struct Place<N: Node> {
    /// The link that points to it: a bucket's, or its predecessor's.
    link: NonNull<Link<N>>,
    node: NonNull<N>,
    table: usize,
}

impl<N: Node> Dict<N> {
    /// An empty dict; allocates nothing.
    #[must_use]
    pub fn new(key: HashKey) -> Self {
        Dict {
            tables: [Table::empty(), Table::empty()],
            rehash_index: None,
            iterators: 0,
            growth: Growth::Free,
            hasher: SipHasher13::new_with_keys(key.0, key.1),
            owns: PhantomData,
        }
    }

    /// Number of entries.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.tables[0].used + self.tables[1].used
    }

    /// Whether there is no entry.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Buckets of both tables; the second is 0 unless entries are moving.
    #[must_use]
    pub fn sizes(&self) -> [usize; 2] {
        [self.tables[0].size(), self.tables[1].size()]
    }

    /// Entries in each table.
    #[must_use]
    pub fn used(&self) -> [usize; 2] {
        [self.tables[0].used, self.tables[1].used]
    }

    /// The bucket that moves next.
    #[must_use]
    pub fn rehash_index(&self) -> Option<usize> {
        self.rehash_index
    }

    /// Bytes of the tables, without the entries.
    #[inline]
    #[must_use]
    pub fn table_bytes(&self) -> usize {
        self.tables[0].bytes() + self.tables[1].bytes()
    }

    /// Says whether the dict may change its size from now on.
    pub fn set_growth(&mut self, growth: Growth) {
        self.growth = growth;
    }

    #[inline]
    fn hash(&self, key: &[u8]) -> usize {
        // The order of a 32-bit machine would be another one; tables of more than 2^32 buckets exist on neither.
        self.hasher.hash(key) as usize
    }

    /// Walks the chains that `key` can be in.
    #[inline]
    fn locate(&self, key: &[u8]) -> Option<Place<N>> {
        if self.is_empty() {
            return None;
        }
        self.locate_hashed(Hash(self.hash(key)), key)
    }

    #[inline]
    fn locate_hashed(&self, Hash(hash): Hash, key: &[u8]) -> Option<Place<N>> {
        for (number, table) in self.tables.iter().enumerate() {
            if table.size() == 0 {
                break;
            }
            let mut link = table.bucket(hash & table.mask());
            // SAFETY: `link` is a bucket, or the first field of an entry that hangs in the chain and is live.
            while let Some(node) = unsafe { *link.as_ptr() } {
                // SAFETY: as above; the key is compared and let go before anything changes.
                if unsafe { N::key(node) } == key {
                    return Some(Place { link, node, table: number });
                }
                link = next_place(node);
            }
        }
        None
    }

    /// Finds an entry.
    #[inline]
    pub fn find(&mut self, key: &[u8]) -> Option<EntryRef<'_, N>> {
        self.step();
        self.peek(key)
    }

    /// Finds an entry and leaves the tables as they are.
    #[inline]
    #[must_use]
    pub fn peek(&self, key: &[u8]) -> Option<EntryRef<'_, N>> {
        // SAFETY: the entry lives and cannot be changed while the dict is borrowed.
        self.locate(key).map(|place| unsafe { EntryRef::new(place.node) })
    }

    /// Finds an entry, to replace it or take it out.
    #[inline]
    pub fn find_mut(&mut self, key: &[u8]) -> Option<EntryMut<'_, N>> {
        self.step();
        let place = self.locate(key)?;
        Some(EntryMut { dict: self, place })
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// Gives the entry back when its key is there already.
    pub fn insert(&mut self, node: Owned<N>) -> Result<(), Owned<N>> {
        self.step();
        if self.locate(node.as_entry().key()).is_some() {
            return Err(node);
        }
        self.link(node);
        Ok(())
    }

    /// Adds an entry whose key is known to be absent.
    #[inline]
    pub fn insert_new(&mut self, node: Owned<N>) {
        debug_assert!(self.locate(node.as_entry().key()).is_none());
        self.step();
        self.link(node);
    }

    /// The hash of a key.
    #[inline]
    #[must_use]
    pub fn hash_of(&self, key: &[u8]) -> Hash {
        Hash(self.hash(key))
    }

    /// Whether there is an entry of this key, whose hash is known.
    #[inline]
    #[must_use]
    pub fn holds(&self, hash: Hash, key: &[u8]) -> bool {
        self.locate_hashed(hash, key).is_some()
    }

    /// Adds an entry whose key is known to be absent, and whose hash is known.
    #[inline]
    pub fn insert_hashed(&mut self, hash: Hash, node: Owned<N>) {
        debug_assert_eq!(self.hash_of(node.as_entry().key()), hash);
        debug_assert!(!self.holds(hash, node.as_entry().key()));
        self.step();
        self.link_hashed(hash, node);
    }

    /// Asks the processor for the bucket of a key that will be needed soon.
    #[inline]
    pub fn prefetch_bucket(&self, Hash(hash): Hash) {
        let table = &self.tables[usize::from(self.rehash_index.is_some())];
        if table.size() > 0 {
            prefetch(table.bucket(hash & table.mask()).as_ptr());
        }
    }

    /// Asks the processor for the first entry of a key's chain; the bucket is read for that.
    #[inline]
    pub fn prefetch_chain(&self, Hash(hash): Hash) {
        let table = &self.tables[usize::from(self.rehash_index.is_some())];
        if let Some(node) = (table.size() > 0).then(|| table.first(hash & table.mask())).flatten() {
            prefetch(node.as_ptr());
        }
    }

    #[inline]
    fn link(&mut self, node: Owned<N>) {
        let hash = self.hash_of(node.as_entry().key());
        self.link_hashed(hash, node);
    }

    #[inline]
    fn link_hashed(&mut self, Hash(hash): Hash, node: Owned<N>) {
        self.grow_if_full();
        let table = &mut self.tables[usize::from(self.rehash_index.is_some())];
        let bucket = hash & table.mask();
        // SAFETY: an owned entry is live and in no chain.
        unsafe { table.push(bucket, node.into_raw()) };
    }

    /// Takes an entry out.
    #[inline]
    pub fn remove(&mut self, key: &[u8]) -> Option<Owned<N>> {
        self.find_mut(key).map(EntryMut::remove)
    }

    /// Takes the entry out of the chain at `place`, which nothing changed since it was found.
    #[inline]
    fn unlink(&mut self, place: &Place<N>) -> Owned<N> {
        // SAFETY: `place` was found under a borrow that lasts still: the entry is live, and the link points to it.
        // Out of its chain the entry is the caller's.
        unsafe {
            *place.link.as_ptr() = next(place.node);
            self.tables[place.table].used -= 1;
            Owned::from_raw(place.node)
        }
    }

    /// Frees every entry and both tables.
    pub fn clear(&mut self) {
        for table in &mut self.tables {
            for bucket in 0..table.size() {
                let mut link = table.take_chain(bucket);
                while let Some(node) = link {
                    // SAFETY: the entry was in the chain, so it is live and now nobody else's.
                    unsafe {
                        link = next(node);
                        N::free(node);
                    }
                }
            }
            *table = Table::empty();
        }
        self.rehash_index = None;
    }

    /// An entry chosen with equal chances for all, as long as chains are not extremely long. `below(n)` draws a number
    /// smaller than `n`.
    pub fn random(&mut self, below: impl FnMut(u64) -> u64) -> Option<EntryRef<'_, N>> {
        self.step();
        self.pick(below)
    }

    /// As [`Dict::random`], and leaves the tables as they are.
    pub fn pick(&self, mut below: impl FnMut(u64) -> u64) -> Option<EntryRef<'_, N>> {
        if self.is_empty() {
            return None;
        }
        let buckets = self.buckets() as u64;
        let chain = |index: usize| self.chain(index);
        let needed = FAIR_CHAIN as u64 * buckets / self.len() as u64;
        for _ in 0..(PATIENCE * needed).min(buckets) {
            let index = below(buckets) as usize;
            let length = chain(index).count();
            // A place in the bucket is drawn too, and the draw repeated if nothing is there: this makes an entry of a
            // long chain as likely as one that is alone.
            let position = below(FAIR_CHAIN.max(length) as u64) as usize;
            if let Some(node) = chain(index).nth(position) {
                // SAFETY: the entry lives and cannot be changed while the dict is borrowed.
                return Some(unsafe { EntryRef::new(node) });
            }
        }
        // So little is there that nothing was met: then one of all entries, by its number.
        let number = below(self.len() as u64);
        let mut entries = (0..buckets).flat_map(|index| chain(index as usize));
        // SAFETY: as above.
        entries.nth(number as usize).map(|node| unsafe { EntryRef::new(node) })
    }

    /// Visits up to `count` entries, of the buckets from number `first` on, behind the last of which the first follows.
    /// Entries of neighbouring buckets are quicker to reach than entries drawn one by one; they are as good a sample where
    /// equal chances do not matter, since a hash has thrown them together.
    pub fn some<'a>(&'a self, count: usize, first: u64, visit: impl FnMut(EntryRef<'a, N>)) {
        let buckets = self.buckets();
        let first = (first % buckets.max(1) as u64) as usize;
        let entries = (first..buckets).chain(0..first).flat_map(|index| self.chain(index)).take(count);
        // SAFETY: the entries live and cannot be changed while the dict is borrowed.
        entries.map(|node| unsafe { EntryRef::new(node) }).for_each(visit);
    }

    /// Buckets of both tables, without the empty ones below the rehash index.
    fn buckets(&self) -> usize {
        self.tables[0].size() - self.rehash_index.unwrap_or(0) + self.tables[1].size()
    }

    /// The entries of one of these buckets.
    fn chain(&self, index: usize) -> table::Chain<N> {
        let index = index + self.rehash_index.unwrap_or(0);
        match index.checked_sub(self.tables[0].size()) {
            None => self.tables[0].chain(index),
            Some(index) => self.tables[1].chain(index),
        }
    }

    /// Number of buckets of table `table` (0 or 1) by the length of their chain; the last counts all longer ones.
    #[must_use]
    pub fn chain_lengths(&self, table: usize, longest: usize) -> Vec<usize> {
        let mut counts = vec![0; longest.max(1)];
        if let Some(table) = self.tables.get(table) {
            for bucket in 0..table.size() {
                let length = table.chain(bucket).count();
                counts[length.min(longest.max(1) - 1)] += 1;
            }
        }
        counts
    }

    /// Checks every invariant.
    ///
    /// # Panics
    /// When one does not hold.
    pub fn validate(&self) {
        assert_eq!(self.rehash_index.is_none(), self.tables[1].size() == 0);
        if let Some(index) = self.rehash_index {
            assert!(index < self.tables[0].size());
            assert!((0..index).all(|bucket| self.tables[0].first(bucket).is_none()));
        }
        let mut keys = std::collections::BTreeSet::new();
        for table in &self.tables {
            assert!(table.size() == 0 || table.size().is_power_of_two() && table.size() >= INITIAL_SIZE);
            let mut used = 0;
            for bucket in 0..table.size() {
                for node in table.chain(bucket) {
                    // SAFETY: entries in a chain are live, and the dict is borrowed.
                    let key = unsafe { N::key(node) };
                    assert_eq!(self.hash(key) & table.mask(), bucket, "an entry lies in a wrong bucket");
                    assert!(keys.insert(key), "a key is there twice");
                    used += 1;
                }
            }
            assert_eq!(used, table.used);
        }
    }
}

/// A hint to fetch the memory there into the caches; nothing where the compiler offers none.
#[inline]
fn prefetch<T>(place: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, valid for any address, that reads nothing.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(place.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

impl<N: Node> Drop for Dict<N> {
    fn drop(&mut self) {
        self.clear();
    }
}

/// An entry of a dict that may be replaced or taken out.
pub struct EntryMut<'a, N: Node> {
    dict: &'a mut Dict<N>,
    place: Place<N>,
}

impl<'a, N: Node> EntryMut<'a, N> {
    /// Looks at it.
    #[inline]
    #[must_use]
    pub fn get(&self) -> EntryRef<'_, N> {
        // SAFETY: the entry lives and cannot be changed while this is borrowed.
        unsafe { EntryRef::new(self.place.node) }
    }

    /// Looks at it for as long as the dict is borrowed.
    #[inline]
    #[must_use]
    pub fn into_ref(self) -> EntryRef<'a, N> {
        // SAFETY: the entry lives and cannot be changed during `'a`, for which the dict is borrowed.
        unsafe { EntryRef::new(self.place.node) }
    }

    /// Its pointer.
    #[inline]
    pub(crate) fn as_raw(&self) -> NonNull<N> {
        self.place.node
    }

    /// Takes it out.
    #[inline]
    pub fn remove(self) -> Owned<N> {
        self.dict.unlink(&self.place)
    }

    /// Puts another entry with the same key in its place, and answers the one that was there.
    ///
    /// # Panics
    /// When the keys differ.
    pub fn replace(&mut self, other: Owned<N>) -> Owned<N> {
        assert_eq!(self.get().key(), other.as_entry().key());
        let new = other.into_raw();
        let old = std::mem::replace(&mut self.place.node, new);
        // SAFETY: the place is valid as in `unlink`; the new entry is live and in no chain, the old one in none any
        // more and therefore the caller's.
        unsafe {
            *next_place(new).as_ptr() = next(old);
            *self.place.link.as_ptr() = Some(new);
            Owned::from_raw(old)
        }
    }
}
