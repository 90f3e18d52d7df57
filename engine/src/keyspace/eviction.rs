//! Eviction: keys are removed when more memory is in use than `maxmemory` allows.
//!
//! Before each command that a client sends, and by CONFIG SET maxmemory, keys go one after the other until memory is within
//! the limit or nothing is left that the policy lets go. Transactions and scripts are not disturbed in between. Which key
//! goes next:
//!
//! - by LRU, LFU or TTL: every database that holds such keys shows `maxmemory-samples` of them to the
//!   [pool](crate::structures::eviction_pool), and the best of the pool goes;
//! - at random: one of the next database in turn that holds any.
//!
//! The pool remembers scores of the moment of the sample. A key that was used since has a lower one when its turn comes
//! and goes back to its place; where Redis would evict it, this looks once more.

use super::{Db, below};
use crate::client::Client;
use crate::config::{Config, MaxmemoryPolicy};
use crate::faults::{self, Fault};
use crate::lru;
use crate::propagation::Targets;
use crate::state::Server;
use crate::structures::eviction_pool::EvictionPool;
use crate::structures::key_table::{KeyRef, is_over};
use crate::world::World;

/// What eviction remembers.
#[derive(Debug)]
pub(crate) struct Eviction {
    pool: EvictionPool,
    /// By which policy the pool's scores are: those of another are no measure.
    policy: MaxmemoryPolicy,
    /// The database from which a random key is taken next.
    next_db: usize,
    /// When it was tried last, not enough could be won.
    short: bool,
}

impl Default for Eviction {
    fn default() -> Self {
        Eviction { pool: EvictionPool::default(), policy: MaxmemoryPolicy::NoEviction, next_db: 0, short: false }
    }
}

impl Eviction {
    /// Checks the pool.
    ///
    /// # Panics
    /// When an invariant does not hold.
    pub(crate) fn validate(&self) {
        self.pool.validate();
    }
}

/// How good it is to lose a key, at one moment under one configuration.
#[derive(Clone, Copy)]
struct Scale {
    policy: MaxmemoryPolicy,
    clock: u32,
    minutes: u16,
    lfu_decay_time: i64,
}

impl Scale {
    fn new(config: &Config, now_ms: i64) -> Scale {
        Scale {
            policy: config.maxmemory_policy,
            clock: lru::clock(now_ms),
            minutes: lru::minutes(now_ms),
            lfu_decay_time: config.lfu_decay_time,
        }
    }

    /// The key's score, the greater the sooner it goes; `None` when the policy spares it.
    fn score(self, entry: KeyRef<'_>) -> Option<u64> {
        if self.policy.is_volatile() {
            entry.expiry()?;
        }
        if self.policy == MaxmemoryPolicy::VolatileTtl {
            return entry.expiry().map(|at_ms| i64::MAX.abs_diff(at_ms));
        }
        if self.policy.is_lfu() {
            return Some(u64::from(u8::MAX - lru::decayed(entry.lru(), self.minutes, self.lfu_decay_time)));
        }
        Some(lru::idle_ms(self.clock, entry.lru()))
    }
}

/// Keys of a database that the policy lets go.
fn evictable(db: &Db, policy: MaxmemoryPolicy) -> usize {
    if policy.is_volatile() { db.keys.expiring() } else { db.keys.len() }
}

impl Server {
    /// Bytes in use.
    pub(crate) fn used_memory(&self, world: &dyn World) -> usize {
        world.used_memory(&|| self.keyspace.bytes())
    }

    /// Bytes that `maxmemory` does not count: evicting a key adds to them, so that counting them would evict more and
    /// more.
    pub(crate) fn memory_not_counted(&self) -> usize {
        self.aof.buffered() + self.rewrites.buffered()
    }

    fn is_within_memory(&self, world: &dyn World) -> bool {
        let counted = self.used_memory(world).saturating_sub(self.memory_not_counted());
        self.config.maxmemory == 0 || counted as u64 <= self.config.maxmemory
    }

    /// Evicts keys while more memory is in use than is allowed; false when that remains so. `current` is who asks.
    #[inline]
    pub(crate) fn make_room(&mut self, world: &mut dyn World, current: &mut Client) -> bool {
        if self.config.maxmemory == 0 {
            return true;
        }
        let enough = self.is_within_memory(world) || self.evict(world, current);
        self.keyspace.eviction.short = !enough;
        enough
    }

    /// Whether memory was short, with nothing left to evict, when the client's command came. What a transaction or a
    /// script has taken since then does not count: that could be won back by eviction later.
    pub(crate) fn was_short_of_memory(&self) -> bool {
        self.config.maxmemory > 0 && self.keyspace.eviction.short
    }

    #[cold]
    fn evict(&mut self, world: &mut dyn World, current: &mut Client) -> bool {
        // Of a dataset that is not complete nothing goes; and whoever pauses clients wants it to stay as it is.
        if self.loading || self.is_paused(self.clock.unix_ms()) {
            return true;
        }
        let began_us = self.clock.now_us;
        let mut within = false;
        let mut evicted = false;
        while !within {
            let Some((db, key)) = self.choose() else { break };
            self.evict_key(world, current, db, &key);
            self.keyspace.eviction.pool.give_back(key);
            evicted = true;
            within = self.is_within_memory(world);
        }
        if evicted {
            // So that the time is not the command's.
            self.clock.advance(world);
            self.took("eviction-cycle", self.clock.now_us.saturating_sub(began_us));
        }
        within
    }

    /// The key that goes next, with its database.
    fn choose(&mut self) -> Option<(usize, Vec<u8>)> {
        let policy = self.config.maxmemory_policy;
        match policy {
            MaxmemoryPolicy::NoEviction => None,
            MaxmemoryPolicy::VolatileRandom if faults::is(Fault::EvictionTakesAnyKey) => {
                self.choose_at_random(MaxmemoryPolicy::AllkeysRandom)
            }
            MaxmemoryPolicy::AllkeysRandom | MaxmemoryPolicy::VolatileRandom => self.choose_at_random(policy),
            _ => self.choose_best(policy),
        }
    }

    fn choose_at_random(&mut self, policy: MaxmemoryPolicy) -> Option<(usize, Vec<u8>)> {
        let keyspace = &mut self.keyspace;
        let count = keyspace.dbs.len();
        let first = keyspace.eviction.next_db;
        let db = (first..first + count).map(|db| db % count).find(|&db| evictable(&keyspace.dbs[db], policy) > 0)?;
        keyspace.eviction.next_db = (db + 1) % count;
        let mut buffer = keyspace.eviction.pool.spare_buffer();
        let entry = draw(&keyspace.dbs[db], policy, |bound| below(&mut self.rng, bound))?;
        buffer.extend_from_slice(entry.key());
        Some((db, buffer))
    }

    fn choose_best(&mut self, policy: MaxmemoryPolicy) -> Option<(usize, Vec<u8>)> {
        let scale = Scale::new(&self.config, self.clock.unix_ms());
        if self.keyspace.eviction.policy != policy {
            self.keyspace.eviction.policy = policy;
            self.keyspace.eviction.pool.clear();
        }
        let samples = usize::try_from(self.config.maxmemory_samples).unwrap_or(1);
        // Fails only where nothing can go: a sample of all that can leaves a candidate.
        while self.show_samples(scale, samples) {
            while let Some(candidate) = self.keyspace.eviction.pool.take_best() {
                let keys = self.keyspace.dbs.get(candidate.db).map(|db| &db.keys);
                let now = keys.and_then(|keys| keys.peek(&candidate.key)).and_then(|entry| scale.score(entry));
                match now {
                    Some(score) if score >= candidate.score => return Some((candidate.db, candidate.key)),
                    Some(score) => {
                        self.keyspace.eviction.pool.offer(score, candidate.db, &candidate.key);
                    }
                    None => {}
                }
                self.keyspace.eviction.pool.give_back(candidate.key);
            }
        }
        None
    }

    /// Shows samples of every database to the pool; false when there is nothing to show.
    fn show_samples(&mut self, scale: Scale, samples: usize) -> bool {
        let keyspace = &mut self.keyspace;
        let pool = &mut keyspace.eviction.pool;
        let mut shown = false;
        for (index, db) in keyspace.dbs.iter().enumerate() {
            let show = |entry: KeyRef<'_>| {
                if let Some(score) = scale.score(entry) {
                    pool.offer(score, index, entry.key());
                    shown = true;
                }
            };
            let count = evictable(db, scale.policy);
            if count > samples {
                let mut below = |bound| below(&mut self.rng, bound);
                if scale.policy.is_volatile() {
                    (0..samples).filter_map(|_| draw(db, scale.policy, &mut below)).for_each(show);
                } else {
                    let first = below(u64::MAX);
                    db.keys.dict().some(samples, first, show);
                }
            } else if scale.policy.is_volatile() {
                (0..count).filter_map(|place| db.keys.expiring_at(place)).for_each(show);
            } else {
                db.keys.iter().for_each(show);
            }
        }
        shown
    }

    fn evict_key(&mut self, world: &mut dyn World, current: &mut Client, db: usize, key: &[u8]) {
        let name: &[u8] = if self.config.lazyfree_lazy_eviction { b"UNLINK" } else { b"DEL" };
        if !faults::is(Fault::EvictionIsNotPropagated) {
            self.hand_on(Targets::ALL, db, [name, key].into_iter());
        }
        let is_timed = self.config.latency_monitor_threshold > 0;
        if is_timed {
            self.clock.advance(world);
        }
        let Some(found) = self.keyspace.dbs[db].keys.find(key) else { return };
        let over = found.get().expiry().is_some_and(|at_ms| is_over(at_ms, self.clock.unix_ms()));
        found.remove();
        if is_timed {
            let us = self.clock.advance(world);
            self.took("eviction-del", us);
        }
        self.stats.evicted_keys += 1;
        if over {
            // Who watched it when it was over already sees no change.
            self.watches.touch_expired(db, key);
            self.notify(Some(current), db, key, "evicted");
        } else {
            self.changed(Some(current), db, key, "evicted");
        }
    }
}

/// A key that the policy lets go, chosen with equal chances.
fn draw(db: &Db, policy: MaxmemoryPolicy, mut below: impl FnMut(u64) -> u64) -> Option<KeyRef<'_>> {
    if policy.is_volatile() {
        let place = below(db.keys.expiring() as u64);
        db.keys.expiring_at(usize::try_from(place).unwrap_or(usize::MAX))
    } else {
        db.keys.dict().pick(below)
    }
}
