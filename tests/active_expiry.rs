//! Keys that nobody asks for go when their time is over, and say so to the AOF and to replicas.
#![allow(clippy::unwrap_used)]

use tally_check::target::{Embedded, Received, Setup, Target, Wait};
use tally_model::Reply;

fn ask(target: &mut Embedded, connection: tally_check::target::Connection, line: &str) -> Reply {
    target.send(connection, format!("{line}\r\n").as_bytes()).unwrap();
    match target.receive(connection, Wait::Reply).unwrap() {
        Received::Reply(reply) => reply,
        other => panic!("{line}: {other:?}"),
    }
}

/// The commands handed on, those for replicas among them.
fn handed_on(target: &mut Embedded) -> Vec<String> {
    let words = |arguments: &[Vec<u8>]| {
        arguments.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect::<Vec<_>>().join(" ")
    };
    target.take_handed_on().iter().filter(|one| one.aof && one.replicas).map(|one| words(&one.arguments)).collect()
}

fn target(directives: &[(&str, &str)]) -> Embedded {
    let mut target = Embedded::new();
    let config = directives.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    target.reset(&Setup { seed: 1, config, record_propagation: true }).unwrap();
    target
}

//= SPEC.md#active-expiry
//# [ACTIVE-EXPIRY-1] (inside) The cron MUST remove expired keys that nobody accesses, and propagate each as an access
//# would.
#[test]
fn the_cron_removes_expired_keys_and_propagates_it() {
    let mut target = target(&[]);
    let client = target.open().unwrap();
    ask(&mut target, client, "SET k v PX 10");
    ask(&mut target, client, "SET stays v PX 100000");
    target.take_handed_on();
    target.pass(1000).unwrap();
    assert_eq!(handed_on(&mut target), ["DEL k"]);
    assert_eq!(ask(&mut target, client, "DBSIZE"), Reply::Integer(1));
}

//= SPEC.md#expiry
//# [EXPIRY-6] (file) When an access finds a key expired, the key MUST be removed and `DEL key`, or `UNLINK key` with
//# `lazyfree-lazy-expire yes`, be propagated before the command itself.
#[test]
fn an_access_that_finds_a_key_expired_propagates_its_removal_first() {
    for (setting, removal) in [("no", "DEL k"), ("yes", "UNLINK k")] {
        let mut target = target(&[("lazyfree-lazy-expire", setting)]);
        let client = target.open().unwrap();
        ask(&mut target, client, "DEBUG SET-ACTIVE-EXPIRE 0");
        ask(&mut target, client, "SET k v PX 10");
        target.take_handed_on();
        target.pass(11).unwrap();
        ask(&mut target, client, "INCR k");
        assert_eq!(handed_on(&mut target), [removal, "INCR k"]);
    }
}

//= SPEC.md#cron-and-time-events
//# [CRON-1] (inside) The cron MUST run `hz` times a second, and `hz` lie between 1 and 500.
#[test]
fn the_cron_runs_hz_times_a_second_within_its_bounds() {
    let mut target = target(&[]);
    let client = target.open().unwrap();
    ask(&mut target, client, "CONFIG SET dynamic-hz no");
    for (hz, period_ms) in [("10", 100), ("500", 2), ("100000", 2), ("1", 1000)] {
        ask(&mut target, client, &format!("CONFIG SET hz {hz}"));
        // The next tick was due by the old frequency; the one after it is due by the new.
        target.pass(1000).unwrap();
        let now_ms = target.span().latest_ms;
        let due_ms = target.engine().next_tick_ms(now_ms);
        assert!(due_ms > now_ms && due_ms - now_ms <= period_ms, "hz {hz}: in {} ms", due_ms - now_ms);
        target.pass(u64::try_from(due_ms - now_ms).unwrap()).unwrap();
        let next_ms = target.engine().next_tick_ms(due_ms);
        assert_eq!(next_ms - due_ms, period_ms, "hz {hz}");
    }
}
