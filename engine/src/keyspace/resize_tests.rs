//! The cron's share of resizing: how many databases, how much time.
#![allow(clippy::unwrap_used)]

use crate::config::Config;
use crate::state::Server;
use crate::structures::key_entry::Payload;
use crate::world::Still;

/// A server each of whose databases holds a table of 512 buckets with 2 keys, so that the cron will shrink it.
fn sparse(directives: &str, databases: usize) -> Server {
    let mut server = Server::new(Config::parse(format!("databases {databases}\n{directives}")).unwrap(), 1);
    for db in 0..databases {
        let keys = &mut server.keyspace.db_mut(db).keys;
        for index in 0..512 {
            keys.insert_new(format!("key:{index}").as_bytes(), Payload::Embstr(b"v"[..].into()), 0, None);
        }
        while keys.rehash(100) {}
        for index in 2..512 {
            keys.find(format!("key:{index}").as_bytes()).unwrap().remove();
        }
    }
    server
}

fn rehashing(server: &Server) -> usize {
    server.keyspace.iter().filter(|db| db.keys.dict().is_rehashing()).count()
}

//= SPEC.md#cron-and-time-events
//# [CRON-2] (inside) A call of the cron MUST visit at most 16 databases for resizing and rehashing, and go on with the
//# next ones at the next call.
#[test]
fn sixteen_databases_are_resized_in_a_run_and_the_next_ones_in_the_next() {
    let mut server = sparse("activerehashing no", 40);
    for expected in [16, 32, 40] {
        server.resize_tables(&mut Still::default());
        assert_eq!(rehashing(&server), expected);
    }
}

//= SPEC.md#dict
//# [DICT-10] (inside) The cron MUST spend at most about 1 millisecond a call on rehashing, 100 buckets at a time, and
//# none if `activerehashing` is `no`.
#[test]
fn rehashing_in_the_cron_can_be_switched_off_and_takes_one_database_a_run() {
    let mut server = sparse("activerehashing no", 2);
    for _ in 0..10 {
        server.resize_tables(&mut Still::default());
    }
    assert_eq!(rehashing(&server), 2);
    server.config.activerehashing = true;
    // The clock stands still, so one run finishes its database, and only that one.
    server.resize_tables(&mut Still::default());
    assert_eq!(rehashing(&server), 1);
    server.resize_tables(&mut Still::default());
    assert_eq!(rehashing(&server), 0);
}
