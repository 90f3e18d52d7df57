//! How much one call of SCAN does.
#![allow(clippy::unwrap_used)]

use tally_check::target::{Connection, Embedded, Received, Setup, Target, Wait};
use tally_model::Reply;

fn ask(target: &mut Embedded, connection: Connection, line: &str) -> Reply {
    target.send(connection, format!("{line}\r\n").as_bytes()).unwrap();
    match target.receive(connection, Wait::Reply).unwrap() {
        Received::Reply(reply) => reply,
        other => panic!("{line}: {other:?}"),
    }
}

/// The cursor and the number of keys of a page.
fn page(reply: &Reply) -> (u64, usize) {
    let Reply::Array(parts) = reply else { panic!("{reply}") };
    let [Reply::Bulk(cursor), Reply::Array(keys)] = &parts[..] else { panic!("{reply}") };
    (String::from_utf8_lossy(cursor).parse().unwrap(), keys.len())
}

//= SPEC.md#cursors
//# [CURSOR-7] (inside) A call MUST visit at most one bucket more than ten times COUNT, and stop once it has COUNT entries.
#[test]
fn a_call_goes_over_few_buckets_however_empty_they_are() {
    const KEYS: u64 = 4096;
    let mut target = Embedded::new();
    target.reset(&Setup::default()).unwrap();
    let client = target.open().unwrap();
    ask(&mut target, client, &format!("DEBUG POPULATE {KEYS}"));
    // The cron ends the rehash that growing began.
    target.pass(2000).unwrap();
    let (_, full) = page(&ask(&mut target, client, "SCAN 0 COUNT 10"));
    assert!((10..30).contains(&full), "a page of about ten keys, not {full}");
    // Without time for the cron the table keeps its size while it empties.
    for index in 1..KEYS {
        ask(&mut target, client, &format!("DEL key:{index}"));
    }
    for count in [1, 5] {
        let (cursor, _) = page(&ask(&mut target, client, &format!("SCAN 0 COUNT {count}")));
        // The cursor counts buckets in the order of their reversed bits.
        let visited = cursor.reverse_bits() >> (64 - KEYS.trailing_zeros());
        assert!(cursor != 0 && visited <= 10 * count + 1, "COUNT {count} went over {visited} buckets");
    }
}
