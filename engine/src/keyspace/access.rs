//! How commands find, store and remove keys of the selected database.
//!
//! Every look-up first removes the key if it is over. What was removed so is remembered and handed on, before the
//! command's own effect, by [`Server::hand_on_expired`].

use rand_chacha::rand_core::Rng as _;

use crate::client::Client;
use crate::commands::Context;
use crate::config::Config;
use crate::lru;
use crate::object::{NewString, ObjectMut, ObjectRef};
use crate::propagation::{Cause, Targets};
use crate::resp::Reply;
use crate::state::Server;
use crate::structures::key_entry::Payload;
use crate::structures::key_table::Detached;
use crate::values::{Collection, SetLimits, ZsetLimits};

impl Config {
    /// Whether small integers are shared: not when eviction goes by what each object's bits say.
    #[inline]
    pub(crate) fn shares_integers(&self) -> bool {
        self.maxmemory == 0 || !(self.maxmemory_policy.is_lru() || self.maxmemory_policy.is_lfu())
    }
}

/// What a look-up leaves behind.
#[derive(Clone, Copy)]
struct Look {
    /// The object is marked as used now, unless a snapshot child lives.
    touch: bool,
    /// A hit or a miss is counted.
    count: bool,
}

impl Server {
    /// The time that decides whether a key is over: none is while a dataset is loaded.
    #[inline]
    pub(crate) fn expiry_now(&self, now_ms: i64) -> i64 {
        if self.loading { i64::MIN } else { now_ms }
    }

    /// The LRU clock or LFU counter of a new object.
    #[inline]
    pub(crate) fn new_lru(&self, now_ms: i64) -> u32 {
        if self.config.maxmemory_policy.is_lfu() {
            lru::frequency_bits(lru::minutes(now_ms), lru::LFU_INITIAL)
        } else {
            lru::clock(now_ms)
        }
    }

    /// Finds a key in a database, without counting or marking anything.
    #[inline]
    pub(crate) fn find(&mut self, db: usize, key: &[u8], now_ms: i64) -> Option<ObjectMut<'_>> {
        self.look_up(db, key, now_ms, Look { touch: false, count: false })
    }

    #[inline(always)]
    fn look_up(&mut self, db: usize, key: &[u8], now_ms: i64, look: Look) -> Option<ObjectMut<'_>> {
        let expiry_now = self.expiry_now(now_ms);
        let share = self.config.shares_integers();
        let mut expired = false;
        let mut found = self.keyspace.dbs[db].keys.find_alive(key, expiry_now, &mut expired);
        if expired {
            self.stats.expired_keys += 1;
            self.keyspace.expired.push((db, key.to_vec()));
        }
        if look.count {
            match found {
                Some(_) => self.stats.keyspace_hits += 1,
                None => self.stats.keyspace_misses += 1,
            }
        }
        if let (Some(entry), true) = (&mut found, look.touch && !self.keyspace.child) {
            let bits = if self.config.maxmemory_policy.is_lfu() {
                let minutes = lru::minutes(now_ms);
                let counter = lru::decayed(entry.get().lru(), minutes, self.config.lfu_decay_time);
                let counter = lru::incremented(counter, self.config.lfu_log_factor, self.rng.next_u32());
                lru::frequency_bits(minutes, counter)
            } else {
                lru::clock(now_ms)
            };
            entry.set_lru(bits);
        }
        found.map(|entry| ObjectMut::new(entry, share))
    }

    /// Hands on the removal of keys that look-ups found expired.
    #[inline]
    pub(crate) fn hand_on_expired(&mut self, current: Option<&mut Client>) {
        if !self.keyspace.expired.is_empty() {
            self.hand_on_expired_now(current);
        }
    }

    #[cold]
    fn hand_on_expired_now(&mut self, current: Option<&mut Client>) {
        self.tell_of_expired(current);
        self.keyspace.expired_told = 0;
        for (db, key) in std::mem::take(&mut self.keyspace.expired) {
            self.hand_on_removal(db, &key);
        }
    }

    /// Hands on that a key is over.
    pub(crate) fn hand_on_removal(&mut self, db: usize, key: &[u8]) {
        let name: &[u8] = if self.config.lazyfree_lazy_expire { b"UNLINK" } else { b"DEL" };
        self.hand_on_for(Cause::Expiry, Targets::ALL, db, [name, key].into_iter());
    }

    /// Stores a collection under a key that is known to be absent; an empty one is dropped. Who waits for the key is
    /// served when the command is over.
    pub(crate) fn add_collection(&mut self, db: usize, key: &[u8], collection: Collection, now_ms: i64) {
        if collection.view().is_void() {
            return;
        }
        let lru = self.new_lru(now_ms);
        let payload = Payload::Collection(collection);
        self.keyspace.db_mut(db).keys.insert_new(key, payload, lru, None);
        self.key_is_ready(db, key);
    }
}

impl Context<'_> {
    /// What decides how sets are stored.
    pub(crate) fn set_limits(&self) -> SetLimits {
        SetLimits::new(&self.server.config, self.server.keyspace.hash_key())
    }

    /// What decides how sorted sets are stored.
    pub(crate) fn zset_limits(&self) -> ZsetLimits {
        ZsetLimits::new(&self.server.config, self.server.keyspace.hash_key())
    }

    /// Finds a key to read it: counts a hit or a miss, and marks the object as used.
    #[inline]
    pub(crate) fn lookup_read(&mut self, key: &[u8]) -> Option<ObjectRef<'_>> {
        self.read(key).0
    }

    /// As [`Context::lookup_read`], with the writer of the reply, which can be used while the object is looked at.
    #[inline]
    pub(crate) fn read(&mut self, key: &[u8]) -> (Option<ObjectRef<'_>>, Reply<'_>) {
        let look = Look { touch: true, count: true };
        let found = self.server.look_up(self.client.db, key, self.now_ms, look);
        (found.map(ObjectMut::into_view), self.client.reply())
    }

    /// Finds a key as [`Context::lookup_read`] does, but leaves the object's LRU bits as they are.
    pub(crate) fn lookup_read_quietly(&mut self, key: &[u8]) -> Option<ObjectRef<'_>> {
        let look = Look { touch: false, count: true };
        self.server.look_up(self.client.db, key, self.now_ms, look).map(ObjectMut::into_view)
    }

    /// Finds a key to change it: counts nothing, marks the object as used.
    #[inline]
    pub(crate) fn lookup_write(&mut self, key: &[u8]) -> Option<ObjectMut<'_>> {
        self.server.look_up(self.client.db, key, self.now_ms, Look { touch: true, count: false })
    }

    /// As [`Context::lookup_write`], with the writer of the reply, which can be used while the object is changed.
    #[inline]
    pub(crate) fn write(&mut self, key: &[u8]) -> (Option<ObjectMut<'_>>, Reply<'_>) {
        let look = Look { touch: true, count: false };
        (self.server.look_up(self.client.db, key, self.now_ms, look), self.client.reply())
    }

    /// Looks at a key that a look-up has found before; leaves everything as it is.
    pub(crate) fn peek(&self, key: &[u8]) -> Option<ObjectRef<'_>> {
        self.server.keyspace.db(self.client.db).keys.peek(key).map(ObjectRef::new)
    }

    /// Stores a collection under a key that is known to be absent; an empty one is dropped.
    pub(crate) fn add_collection(&mut self, key: &[u8], collection: Collection) {
        self.server.add_collection(self.client.db, key, collection, self.now_ms);
    }

    /// Stores a collection whatever was there, value and expiry; an empty one only removes the key.
    pub(crate) fn set_collection(&mut self, key: &[u8], collection: Collection) {
        self.remove(key);
        self.add_collection(key, collection);
    }

    /// Stores a string whatever was there: value and expiry.
    pub(crate) fn set_string(&mut self, key: &[u8], value: NewString<'_>) {
        let lfu = self.server.config.maxmemory_policy.is_lfu();
        let lru = self.server.new_lru(self.now_ms);
        let share = self.server.config.shares_integers();
        let payload = value.payload(share);
        if let Some(object) = self.lookup_write(key) {
            // An LFU counter outlives the value.
            let lru = if lfu { object.view().lru() } else { lru };
            object.into_entry().assign(payload, lru);
            return;
        }
        self.server.keyspace.db_mut(self.client.db).keys.insert_new(key, payload, lru, None);
    }

    /// Stores a string and leaves the expiry as it is.
    pub(crate) fn overwrite_keeping_expiry(&mut self, key: &[u8], value: NewString<'_>) {
        let lru = self.server.new_lru(self.now_ms);
        let lfu = self.server.config.maxmemory_policy.is_lfu();
        if let Some(mut object) = self.server.find(self.client.db, key, self.now_ms) {
            object.overwrite(value);
            if !lfu {
                object.set_lru(lru);
            }
            return;
        }
        let payload = value.payload(self.server.config.shares_integers());
        self.server.keyspace.db_mut(self.client.db).keys.insert_new(key, payload, lru, None);
    }

    /// Removes a key; false when there is none.
    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        self.server.find(self.client.db, key, self.now_ms).map(ObjectMut::remove).is_some()
    }

    /// Whether a key is there; counts and marks nothing.
    pub(crate) fn exists(&mut self, key: &[u8]) -> bool {
        self.server.find(self.client.db, key, self.now_ms).is_some()
    }

    /// Takes a key out of a database; the clients' next look-up there finds nothing.
    pub(crate) fn detach(&mut self, db: usize, key: &[u8]) -> Option<Detached> {
        self.server.find(db, key, self.now_ms).map(|object| object.into_entry().detach())
    }

    /// Sets when a key expires, Unix milliseconds; false when there is no such key.
    pub(crate) fn set_expiry(&mut self, key: &[u8], at_ms: i64) -> bool {
        self.server.find(self.client.db, key, self.now_ms).map(|mut object| object.set_expiry(at_ms)).is_some()
    }
}
