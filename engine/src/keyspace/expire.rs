//! The active expire cycle: removes keys that are over although nobody asks for them.
//!
//! Samples of the keys that expire are drawn, database by database; as long as more than a quarter of a sample was
//! over, the same database is sampled again. The slow cycle, in the cron, may take a quarter of the processor's time;
//! the fast one, before the driver waits for input, at most a millisecond, and only if the slow one ran out of time.

use super::below;
use crate::state::Server;
use crate::structures::key_table::is_over;
use crate::world::World;

/// Databases looked at in one cycle, unless the last one ran out of time.
const DBS_PER_CYCLE: usize = 16;
/// Keys in a sample.
const SAMPLE: usize = 20;
/// Share of the processor's time that the slow cycle may take, percent.
const SLOW_PERCENT: u64 = 25;
/// Time limit of the fast cycle, and half its shortest period, microseconds.
const FAST_US: u64 = 1000;
/// Samples between two looks at the clock.
const SAMPLES_PER_LOOK: u32 = 16;
/// Weight of the last value in the running mean of times to live, in fiftieths.
const TTL_WEIGHT: i64 = 50;
/// Weight of one cycle in the running mean of the share of stale keys.
const STALE_WEIGHT: f64 = 0.05;

/// Which of the two cycles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cycle {
    /// In the cron.
    Slow,
    /// Before the driver waits.
    Fast,
}

/// What the cycle remembers.
#[derive(Debug)]
pub(crate) struct ActiveExpire {
    /// DEBUG SET-ACTIVE-EXPIRE.
    pub(crate) enabled: bool,
    next_db: usize,
    /// The last cycle ended because its time was over.
    out_of_time: bool,
    /// When the last fast cycle began, microseconds.
    last_fast_us: Option<u64>,
}

impl Default for ActiveExpire {
    fn default() -> Self {
        ActiveExpire { enabled: true, next_db: 0, out_of_time: false, last_fast_us: None }
    }
}

/// What one sample found.
#[derive(Default)]
struct Sample {
    drawn: u64,
    expired: u64,
}

impl Server {
    /// Switches the active cycle off and on (DEBUG SET-ACTIVE-EXPIRE).
    pub(crate) fn set_active_expire(&mut self, enabled: bool) {
        self.keyspace.active.enabled = enabled;
    }

    /// Runs a cycle.
    pub(crate) fn expire_cycle(&mut self, world: &mut dyn World, cycle: Cycle) {
        // First of all, because it is asked at the end of each batch: the fast cycle only goes on where a slow one ran
        // out of time.
        if cycle == Cycle::Fast && !self.keyspace.active.out_of_time {
            return;
        }
        if !self.keyspace.active.enabled || self.is_paused(self.clock.unix_ms()) {
            return;
        }
        if self.keyspace.dbs.iter().all(|db| db.keys.expiring() == 0) {
            // Nothing can expire; the estimates say so, as after a cycle that looked.
            self.keyspace.active.out_of_time = false;
            self.keyspace.dbs.iter_mut().for_each(|db| db.avg_ttl = 0);
            self.stats.expired_stale_percent *= 1.0 - STALE_WEIGHT;
            return;
        }
        let start_us = world.now_us();
        let active = &mut self.keyspace.active;
        let limit_us = match cycle {
            Cycle::Slow => (SLOW_PERCENT * 10_000 / self.cron_hz.max(1).unsigned_abs()).max(1),
            Cycle::Fast => {
                let too_early = active.last_fast_us.is_some_and(|last| start_us < last.saturating_add(2 * FAST_US));
                if too_early {
                    return;
                }
                active.last_fast_us = Some(start_us);
                FAST_US
            }
        };
        let count = self.keyspace.dbs.len();
        let dbs = if active.out_of_time { count } else { count.min(DBS_PER_CYCLE) };
        active.out_of_time = false;
        let mut total = Sample::default();
        let mut samples = 0;
        for _ in 0..dbs {
            let db = self.keyspace.active.next_db % count;
            self.keyspace.active.next_db = (db + 1) % count;
            loop {
                self.clock.advance(world);
                let Some(sample) = self.sample_expiring(db) else { break };
                total.drawn += sample.drawn;
                total.expired += sample.expired;
                samples += 1;
                if samples % SAMPLES_PER_LOOK == 0 && world.now_us().saturating_sub(start_us) > limit_us {
                    self.keyspace.active.out_of_time = true;
                    self.stats.expired_time_cap_reached += 1;
                    break;
                }
                if sample.expired <= SAMPLE as u64 / 4 {
                    break;
                }
            }
            if self.keyspace.active.out_of_time {
                break;
            }
        }
        self.took("expire-cycle", world.now_us().saturating_sub(start_us));
        let stale = if total.drawn > 0 { total.expired as f64 / total.drawn as f64 } else { 0.0 };
        let mean = &mut self.stats.expired_stale_percent;
        *mean = stale * STALE_WEIGHT + *mean * (1.0 - STALE_WEIGHT);
    }

    /// Draws one sample, removes what is over and mends the estimate; `None` when nothing expires.
    fn sample_expiring(&mut self, db: usize) -> Option<Sample> {
        let now_ms = self.clock.unix_ms();
        let expiring = self.keyspace.dbs[db].keys.expiring();
        if expiring == 0 {
            self.keyspace.dbs[db].avg_ttl = 0;
            return None;
        }
        let mut sample = Sample::default();
        let (mut ttl_sum, mut ttl_count) = (0i128, 0i128);
        for _ in 0..expiring.min(SAMPLE) {
            let keys = &self.keyspace.dbs[db].keys;
            let left = keys.expiring() as u64;
            if left == 0 {
                break;
            }
            let place = below(&mut self.rng, left) as usize;
            let Some((key, at_ms)) = keys.expiring_at(place).and_then(|entry| Some((entry, entry.expiry()?))) else {
                break;
            };
            sample.drawn += 1;
            if is_over(at_ms, now_ms) {
                let key = key.key().to_vec();
                self.remove_expired(db, &key);
                sample.expired += 1;
            } else if at_ms > now_ms {
                ttl_sum += i128::from(at_ms) - i128::from(now_ms);
                ttl_count += 1;
            }
        }
        if ttl_count > 0 {
            let mean = i64::try_from(ttl_sum / ttl_count).unwrap_or(i64::MAX);
            let estimate = &mut self.keyspace.dbs[db].avg_ttl;
            if *estimate == 0 {
                *estimate = mean;
            }
            *estimate = *estimate / TTL_WEIGHT * (TTL_WEIGHT - 1) + mean / TTL_WEIGHT;
        }
        Some(sample)
    }

    /// Removes a key that is over, and hands that on.
    fn remove_expired(&mut self, db: usize, key: &[u8]) {
        if let Some(found) = self.keyspace.dbs[db].keys.find(key) {
            found.remove();
            self.stats.expired_keys += 1;
            self.watches.touch_expired(db, key);
            self.notify(None, db, key, "expired");
            self.hand_on_removal(db, key);
        }
    }
}
