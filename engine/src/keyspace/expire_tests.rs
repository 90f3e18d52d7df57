//! The budgets of the active expire cycle, on clocks that move only when they are looked at.
#![allow(clippy::unwrap_used)]

use super::expire::Cycle;
use crate::config::Config;
use crate::state::Server;
use crate::structures::key_entry::Payload;
use crate::world::{Still, World};

/// Each look at the monotonic clock costs `step_us`.
struct Stepping {
    now_us: u64,
    step_us: u64,
    unix_us: i64,
}

impl World for Stepping {
    fn now_us(&mut self) -> u64 {
        self.now_us += self.step_us;
        self.now_us
    }
    fn unix_us(&mut self) -> i64 {
        self.unix_us
    }
    fn used_memory(&self, _account: &dyn Fn() -> usize) -> usize {
        0
    }
    fn sleep_us(&mut self, us: u64) {
        self.now_us += us;
    }
    fn process_fact(&self, _field: &str) -> Option<String> {
        None
    }
}

const NOW_MS: i64 = 1_000_000;

fn world(step_us: u64) -> Stepping {
    Stepping { now_us: 0, step_us, unix_us: NOW_MS * 1000 }
}

/// A server whose clock stands at [`NOW_MS`].
fn server(directives: &str) -> Server {
    let mut server = Server::new(Config::parse(directives).unwrap(), 1);
    server.clock.read(&mut Still { unix_us: NOW_MS * 1000, ..Still::default() });
    server
}

/// Adds keys to a database, the first `over` of them past their deadline, the others with `left_ms` to live.
fn fill(server: &mut Server, db: usize, keys: usize, over: usize, left_ms: i64) {
    for index in 0..keys {
        let expiry = if index < over { NOW_MS - 1 } else { NOW_MS + left_ms };
        let key = format!("key:{index}");
        server.keyspace.db_mut(db).keys.insert_new(key.as_bytes(), Payload::Embstr(b"v"[..].into()), 0, Some(expiry));
    }
}

fn left(server: &Server, db: usize) -> usize {
    server.keyspace.db(db).keys.len()
}

//= SPEC.md#active-expiry
//# [ACTIVE-EXPIRY-2] (inside) A slow cycle MUST spend at most 25 % of the time between two calls of the cron.
#[test]
fn a_slow_cycle_stops_when_a_quarter_of_the_cron_period_is_over() {
    let mut server = server("");
    fill(&mut server, 0, 20_000, 20_000, 0);
    let mut world = world(100);
    server.expire_cycle(&mut world, Cycle::Slow);
    assert!(left(&server, 0) > 0, "the budget should not have been enough");
    assert!(left(&server, 0) < 20_000);
    // hz 10: 25 ms of each 100, and at most the samples between two looks beyond it.
    assert!(world.now_us <= 25_000 + 20 * 100, "{} us", world.now_us);
}

//= SPEC.md#active-expiry
//# [ACTIVE-EXPIRY-3] (inside) A fast cycle MUST take at most 1 millisecond, begin only if the last slow cycle ran out of time, and not begin again within 2 milliseconds.
#[test]
fn a_fast_cycle_is_short_and_follows_a_slow_one_that_ran_out_of_time() {
    let mut server = server("");
    fill(&mut server, 0, 20_000, 20_000, 0);
    let mut clock = world(10);
    server.expire_cycle(&mut clock, Cycle::Fast);
    assert_eq!(left(&server, 0), 20_000, "no slow cycle ran out of time before");
    let mut slow = world(100);
    server.expire_cycle(&mut slow, Cycle::Slow);
    let before = left(&server, 0);
    let mut clock = world(10);
    server.expire_cycle(&mut clock, Cycle::Fast);
    assert!(left(&server, 0) < before);
    assert!(clock.now_us <= 1000 + 20 * 10, "{} us", clock.now_us);
    let before = left(&server, 0);
    server.expire_cycle(&mut clock, Cycle::Fast);
    assert_eq!(left(&server, 0), before, "it began again too early");
    clock.now_us += 2000;
    server.expire_cycle(&mut clock, Cycle::Fast);
    assert!(left(&server, 0) < before);
}

//= SPEC.md#active-expiry
//# [ACTIVE-EXPIRY-4] (inside) A cycle MUST sample up to 20 keys with a deadline per database and round, and repeat the round for that database while more than a quarter of the sampled keys had expired.
#[test]
fn a_database_is_sampled_again_while_more_than_a_quarter_was_over() {
    let mut mostly_over = server("");
    fill(&mut mostly_over, 0, 1000, 1000, 0);
    mostly_over.expire_cycle(&mut world(0), Cycle::Slow);
    assert_eq!(left(&mostly_over, 0), 0, "every round found more than a quarter over");

    let mut mostly_alive = server("");
    fill(&mut mostly_alive, 0, 1000, 50, 1000);
    mostly_alive.expire_cycle(&mut world(0), Cycle::Slow);
    let removed = 1000 - left(&mostly_alive, 0);
    assert!(removed <= 5, "one round of 20 found {removed} over, and another one followed");
}

//= SPEC.md#active-expiry
//# [ACTIVE-EXPIRY-5] (inside) A cycle MUST visit at most 16 databases and go on with the next ones at the next call.
#[test]
fn a_cycle_visits_sixteen_databases_and_the_next_one_goes_on() {
    let mut server = server("databases 40");
    for db in 0..40 {
        fill(&mut server, db, 1, 1, 0);
    }
    let emptied = |server: &Server| (0..40).filter(|&db| left(server, db) == 0).count();
    for expected in [16, 32, 40] {
        server.expire_cycle(&mut world(0), Cycle::Slow);
        assert_eq!(emptied(&server), expected);
    }
}

//= SPEC.md#active-expiry
//# [ACTIVE-EXPIRY-6] (inside) A database's average time to live MUST be a running estimate, 2 % of the new sample and 98 % of the old value.
#[test]
fn the_mean_time_to_live_moves_by_a_fiftieth_of_each_sample() {
    let mut server = server("");
    fill(&mut server, 0, 10, 0, 100_000);
    server.expire_cycle(&mut world(0), Cycle::Slow);
    assert_eq!(server.keyspace.db(0).avg_ttl, 100_000);
    server.keyspace.db_mut(0).keys.clear();
    fill(&mut server, 0, 10, 0, 50_000);
    server.expire_cycle(&mut world(0), Cycle::Slow);
    assert_eq!(server.keyspace.db(0).avg_ttl, 98_000 + 1000);
}
