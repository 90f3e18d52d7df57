//! The databases: keys, values and expiries.
//!
//! ```text
//! Keyspace ─ Db 0 ─ KeyTable ─ entries (key, value, expiry, object header)
//!          ─ Db 1 …
//! ```
//!
//! - [`access`]: how commands find, store and remove keys;
//! - [`eviction`]: the removal of keys when memory is short;
//! - [`expire`]: the active expire cycle;
//! - [`resize`]: rehashing and shrinking by the cron.
//!
//! A database without keys takes no memory but its place here.

pub(crate) mod access;
pub(crate) mod eviction;
pub(crate) mod expire;
#[cfg(test)]
mod expire_tests;
pub(crate) mod resize;
#[cfg(test)]
mod resize_tests;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng as _;

use crate::structures::dict::{Growth, HashKey};
use crate::structures::key_table::KeyTable;

use eviction::Eviction;
use expire::ActiveExpire;

/// One database.
pub(crate) struct Db {
    pub(crate) keys: KeyTable,
    /// Estimate of the mean time to live of keys that expire, milliseconds.
    pub(crate) avg_ttl: i64,
}

/// All databases.
pub(crate) struct Keyspace {
    dbs: Vec<Db>,
    hash_key: HashKey,
    /// Keys that a look-up found expired and removed, with their database: to be handed on before what the command
    /// itself changed.
    pub(crate) expired: Vec<(usize, Vec<u8>)>,
    /// How many of those have been told to who watches or listens.
    pub(crate) expired_told: usize,
    /// A snapshot child lives: objects are not marked as used, and tables keep their size, so that its memory stays
    /// shared.
    child: bool,
    active: ActiveExpire,
    eviction: Eviction,
    /// The database whose table is looked at next for shrinking, and for rehashing.
    next_resize: usize,
    next_rehash: usize,
}

impl Keyspace {
    /// Empty databases; the hash key is drawn from `rng`.
    pub(crate) fn new(databases: i64, rng: &mut ChaCha8Rng) -> Keyspace {
        let hash_key = HashKey(rng.next_u64(), rng.next_u64());
        Keyspace::with_hash_key(usize::try_from(databases).unwrap_or(1).max(1), hash_key)
    }

    /// As many empty databases, in whose tables keys lie as they do in these: a SCAN goes on where it was when a loaded
    /// dataset takes their place.
    pub(crate) fn empty_twin(&self) -> Keyspace {
        Keyspace::with_hash_key(self.count(), self.hash_key)
    }

    fn with_hash_key(count: usize, hash_key: HashKey) -> Keyspace {
        Keyspace {
            hash_key,
            dbs: (0..count).map(|_| Db { keys: KeyTable::new(hash_key), avg_ttl: 0 }).collect(),
            expired: Vec::new(),
            expired_told: 0,
            child: false,
            active: ActiveExpire::default(),
            eviction: Eviction::default(),
            next_resize: 0,
            next_rehash: 0,
        }
    }

    /// The secret of the hash of keys and of members of values.
    pub(crate) fn hash_key(&self) -> HashKey {
        self.hash_key
    }

    /// Number of databases.
    pub(crate) fn count(&self) -> usize {
        self.dbs.len()
    }

    /// A database.
    ///
    /// # Panics
    /// When there is no such database: clients select only those that are.
    #[inline]
    pub(crate) fn db(&self, db: usize) -> &Db {
        &self.dbs[db]
    }

    /// A database, to change.
    ///
    /// # Panics
    /// As [`Keyspace::db`].
    #[inline]
    pub(crate) fn db_mut(&mut self, db: usize) -> &mut Db {
        &mut self.dbs[db]
    }

    /// All databases, in order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Db> {
        self.dbs.iter()
    }

    /// Exchanges what two databases hold. Estimates go with the keys.
    pub(crate) fn swap(&mut self, first: usize, second: usize) {
        self.dbs.swap(first, second);
    }

    /// Removes all keys of all databases; answers how many there were.
    pub(crate) fn clear(&mut self) -> usize {
        (0..self.dbs.len()).map(|db| self.clear_db(db)).sum()
    }

    /// Removes all keys of a database; answers how many there were.
    pub(crate) fn clear_db(&mut self, db: usize) -> usize {
        let keys = &mut self.dbs[db].keys;
        let count = keys.len();
        keys.clear();
        count
    }

    /// Exchanges all keys with another keyspace of as many databases.
    pub(crate) fn exchange(&mut self, other: &mut Keyspace) {
        std::mem::swap(&mut self.dbs, &mut other.dbs);
        self.set_child(self.child);
    }

    /// Takes over the keys of another keyspace of as many databases, and forgets its own.
    pub(crate) fn replace_by(&mut self, other: Keyspace) {
        self.dbs = other.dbs;
        self.set_child(self.child);
    }

    /// Bytes of all keys, values and tables.
    pub(crate) fn bytes(&self) -> usize {
        self.dbs.iter().map(|db| db.keys.bytes()).sum()
    }

    /// Whether a snapshot child lives, from now on.
    pub(crate) fn set_child(&mut self, lives: bool) {
        self.child = lives;
        let growth = if lives { Growth::Avoided } else { Growth::Free };
        for db in &mut self.dbs {
            db.keys.set_growth(growth);
        }
    }

    /// Checks every structure.
    ///
    /// # Panics
    /// When an invariant does not hold.
    pub(crate) fn validate(&self) {
        for db in &self.dbs {
            db.keys.validate();
        }
        self.eviction.validate();
    }
}

/// Draws a number below `bound` with equal chances.
pub(crate) fn below(rng: &mut ChaCha8Rng, bound: u64) -> u64 {
    if bound <= 1 {
        return 0;
    }
    loop {
        // The high half of a product of a random word and the bound is below it; words whose low half falls into the
        // incomplete last stretch are drawn anew.
        let product = u128::from(rng.next_u64()) * u128::from(bound);
        if product as u64 >= bound.wrapping_neg() % bound {
            return (product >> 64) as u64;
        }
    }
}
