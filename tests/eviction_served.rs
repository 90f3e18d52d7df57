//! `tally serve` with a limit, beside a real server of version 5.0 under the same load: both keep about as much of what is
//! asked for.
#![allow(clippy::unwrap_used)]

use redis::{Connection, Value};
use spawned::{Server, folder};
use tally_check::properties::eviction::SkewedTrace;

mod spawned;

/// Different keys that are asked for.
const KEYS: usize = 20_000;
/// How many of them there is room for, about: one in ten.
const ROOM: usize = 2000;
/// Accesses that fill the cache, then as many that count.
const ACCESSES: usize = 40_000;
/// Requests that are sent at once.
const BATCH: usize = 50;

fn set(connection: &mut Connection, name: &str, value: &str) {
    redis::cmd("CONFIG").arg("SET").arg(name).arg(value).exec(connection).unwrap();
}

fn field(connection: &mut Connection, name: &str) -> u64 {
    let text: String = redis::cmd("INFO").arg("all").query(connection).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap().trim().parse().unwrap()
}

fn key(number: usize) -> String {
    format!("key:{number:06}")
}

fn store(pipe: &mut redis::Pipeline, number: usize) {
    pipe.cmd("SET").arg(key(number)).arg("v".repeat(200)).arg("EX").arg(1_000_000).ignore();
}

/// Fills an empty server with so many keys; how many bytes they take.
fn fill(connection: &mut Connection, keys: usize) -> u64 {
    let empty = field(connection, "used_memory");
    for first in (0..keys).step_by(BATCH) {
        let mut pipe = redis::pipe();
        (first..(first + BATCH).min(keys)).for_each(|number| store(&mut pipe, number));
        pipe.exec(connection).unwrap();
    }
    field(connection, "used_memory") - empty
}

/// The share of accesses of a skewed trace that find their key.
fn hit_ratio(connection: &mut Connection, policy: &str) -> f64 {
    set(connection, "maxmemory", "0");
    set(connection, "maxmemory-policy", policy);
    redis::cmd("FLUSHALL").exec(connection).unwrap();
    let empty = field(connection, "used_memory");
    let room = fill(connection, ROOM);
    redis::cmd("FLUSHALL").exec(connection).unwrap();
    let limit = empty + room;
    set(connection, "maxmemory", &limit.to_string());
    let trace: Vec<usize> = SkewedTrace::new(KEYS, 23).take(2 * ACCESSES).collect();
    let mut hits = 0;
    for (number, batch) in trace.chunks(BATCH).enumerate() {
        let mut pipe = redis::pipe();
        for &number in batch {
            pipe.cmd("GET").arg(key(number));
        }
        let found: Vec<Value> = pipe.query(connection).unwrap();
        let missing = batch.iter().zip(&found).filter(|(_, value)| **value == Value::Nil);
        let mut pipe = redis::pipe();
        missing.for_each(|(&number, _)| store(&mut pipe, number));
        pipe.exec(connection).unwrap();
        if number * BATCH >= ACCESSES {
            hits += found.iter().filter(|value| **value != Value::Nil).count();
        }
    }
    assert!(field(connection, "evicted_keys") > 0, "{policy}: nothing was evicted");
    // Asking made room first; what the answer takes is beyond it.
    assert!(field(connection, "used_memory") <= limit + 64 * 1024, "{policy}: the limit does not hold");
    hits as f64 / ACCESSES as f64
}

/// Keys with idle times of all lengths, half of which go: the mean place of those that went, by idle time; 0 is the one that
/// should have gone, 1 the one that should have stayed.
fn mean_place_of_the_idle(connection: &mut Connection) -> f64 {
    set(connection, "maxmemory", "0");
    set(connection, "maxmemory-policy", "allkeys-lru");
    redis::cmd("FLUSHALL").exec(connection).unwrap();
    let empty = field(connection, "used_memory");
    redis::cmd("SET").arg("pattern").arg("v".repeat(200)).exec(connection).unwrap();
    let payload: Vec<u8> = redis::cmd("DUMP").arg("pattern").query(connection).unwrap();
    redis::cmd("DEL").arg("pattern").exec(connection).unwrap();
    // The hash scatters the keys, whatever their order.
    for first in (0..ROOM).step_by(BATCH) {
        let mut pipe = redis::pipe();
        for number in first..first + BATCH {
            let idle = 1000 * (number + 1);
            pipe.cmd("RESTORE").arg(key(number)).arg(0).arg(&payload).arg("IDLETIME").arg(idle).ignore();
        }
        pipe.exec(connection).unwrap();
    }
    let used = field(connection, "used_memory");
    set(connection, "maxmemory", &(used - (used - empty) / 2).to_string());
    let mut pipe = redis::pipe();
    for number in 0..ROOM {
        pipe.cmd("EXISTS").arg(key(number));
    }
    let left: Vec<i64> = pipe.query(connection).unwrap();
    let gone: Vec<usize> = (0..ROOM).filter(|&number| left[number] == 0).collect();
    assert!((ROOM / 3..ROOM).contains(&gone.len()), "{} keys went", gone.len());
    let places = gone.iter().map(|number| (ROOM - 1 - number) as f64 / (ROOM - 1) as f64);
    places.sum::<f64>() / gone.len() as f64 / (gone.len() as f64 / ROOM as f64)
}

#[test]
fn as_much_is_kept_as_by_a_real_server() {
    let (here, there) = (folder(), folder());
    let Some(real) = Server::real(there.path(), &[]) else { return };
    let ours = Server::start(here.path(), &["--save", ""]);
    let (mut ours, mut real) = (ours.client(), real.client());
    for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lfu", "volatile-random", "volatile-ttl"] {
        let (our_ratio, real_ratio) = (hit_ratio(&mut ours, policy), hit_ratio(&mut real, policy));
        println!("{policy}: {our_ratio:.3}, a real server {real_ratio:.3}");
        assert!(our_ratio > real_ratio - 0.04, "{policy}: {our_ratio:.3}, a real server {real_ratio:.3}");
        // Much more would mean that the limits are not alike.
        assert!(our_ratio < real_ratio + 0.08, "{policy}: {our_ratio:.3}, a real server {real_ratio:.3}");
    }
    let places = [&mut ours, &mut real].map(mean_place_of_the_idle);
    println!("idle: {:.3}, a real server {:.3}", places[0], places[1]);
    // One half is the least, when just the idle half goes; one is chance.
    assert!(places.iter().all(|place| (0.4..0.65).contains(place)), "{places:?}");
}

#[test]
fn the_limit_of_the_command_line_holds_whatever_is_stored() {
    let place = folder();
    let limit = 8 << 20;
    let options = ["--maxmemory", "8mb", "--maxmemory-policy", "allkeys-lru", "--appendonly", "yes"];
    let server = Server::start(place.path(), &options);
    let mut connection = server.client();
    for number in 0..4000usize {
        let name = format!("key:{number}");
        let mut pipe = redis::pipe();
        match number % 4 {
            0 => pipe.cmd("SET").arg(name).arg("v".repeat(number)),
            1 => pipe.cmd("RPUSH").arg(name).arg("v".repeat(3000)).arg("w".repeat(3000)),
            2 => pipe.cmd("HSET").arg(name).arg("f").arg("v".repeat(5000)),
            _ => pipe.cmd("SADD").arg(name).arg((0..200).collect::<Vec<i32>>()),
        };
        pipe.exec(&mut connection).unwrap();
        if number % 100 == 99 {
            let used = field(&mut connection, "used_memory") - field(&mut connection, "mem_not_counted_for_evict");
            assert!(used <= limit + 64 * 1024, "{used} bytes are in use");
        }
    }
    assert!(field(&mut connection, "evicted_keys") > 1000);
    // What was propagated leads to what is there.
    set(&mut connection, "maxmemory", "0");
    let digest: String = redis::cmd("DEBUG").arg("DIGEST").query(&mut connection).unwrap();
    redis::cmd("DEBUG").arg("LOADAOF").exec(&mut connection).unwrap();
    let again: String = redis::cmd("DEBUG").arg("DIGEST").query(&mut connection).unwrap();
    assert_eq!(digest, again);
}
