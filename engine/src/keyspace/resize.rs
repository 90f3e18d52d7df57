//! Tables change their size in idle time, too: the cron moves entries that no operation has moved yet, and shrinks
//! tables that have become nearly empty.

use crate::state::Server;
use crate::world::World;

/// Databases looked at in one run of the cron.
const DBS_PER_RUN: usize = 16;
/// Microseconds of rehashing in one run.
const REHASH_US: u64 = 1000;
/// Buckets moved between two looks at the clock.
const REHASH_BUCKETS: usize = 100;

impl Server {
    /// The cron's share of resizing and rehashing. Nothing while a snapshot child lives: every entry that moves would
    /// unshare a page of its memory.
    pub(crate) fn resize_tables(&mut self, world: &mut dyn World) {
        if self.keyspace.child {
            return;
        }
        let count = self.keyspace.dbs.len();
        let turns = count.min(DBS_PER_RUN);
        for _ in 0..turns {
            let db = self.keyspace.next_resize % count;
            self.keyspace.dbs[db].keys.shrink_if_sparse();
            self.keyspace.next_resize = (db + 1) % count;
        }
        if !self.config.activerehashing {
            return;
        }
        for _ in 0..turns {
            let db = self.keyspace.next_rehash % count;
            let keys = &mut self.keyspace.dbs[db].keys;
            if keys.dict().is_rehashing() {
                let start = world.now_us();
                while keys.rehash(REHASH_BUCKETS) && world.now_us().saturating_sub(start) <= REHASH_US {}
                // The same database goes on in the next run.
                return;
            }
            self.keyspace.next_rehash = (db + 1) % count;
        }
    }
}
