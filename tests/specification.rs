//! Traceability: every clause of SPEC.md is cited by a test, and every citation names a clause as SPEC.md words it.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use tally_check::{citations, specification};

/// Clauses that no test can show before something else is built. The list may only shrink: a test for one of them must
/// take it off.
const AWAITING: &[(&str, &str)] = &[
    ("GEO-1", "geo in the engine"),
    ("GEO-2", "geo in the engine"),
    ("GEO-3", "geo in the engine"),
    ("GEO-4", "geo in the engine"),
    ("GEO-5", "geo in the engine"),
    ("GEO-6", "geo in the engine"),
    ("GEO-7", "geo in the engine"),
    ("GEO-8", "geo in the engine"),
    ("GEOADD-1", "geo in the engine"),
    ("GEOADD-2", "geo in the engine"),
    ("GEOADD-3", "geo in the engine"),
    ("GEOADD-4", "geo in the engine"),
    ("GEOPOS-1", "geo in the engine"),
    ("GEODIST-1", "geo in the engine"),
    ("GEODIST-2", "geo in the engine"),
    ("GEODIST-3", "geo in the engine"),
    ("GEOHASH-1", "geo in the engine"),
    ("GEOHASH-2", "geo in the engine"),
    ("GEORADIUS-1", "geo in the engine"),
    ("GEORADIUS-2", "geo in the engine"),
    ("GEORADIUS-3", "geo in the engine"),
    ("GEORADIUS-4", "geo in the engine"),
    ("GEORADIUS-5", "geo in the engine"),
    ("GEORADIUS-6", "geo in the engine"),
    ("GEORADIUS-7", "geo in the engine"),
    ("GEORADIUS-8", "geo in the engine"),
    ("GEORADIUS-9", "geo in the engine"),
    ("GEORADIUS-10", "geo in the engine"),
    ("GEORADIUS-11", "geo in the engine"),
    ("GEORADIUS-12", "geo in the engine"),
    ("GEORADIUS-13", "geo in the engine"),
    ("GEORADIUS-14", "geo in the engine"),
    ("GEORADIUS-15", "geo in the engine"),
    ("GEORADIUSBYMEMBER-1", "geo in the engine"),
    ("GEORADIUSBYMEMBER-2", "geo in the engine"),
    ("ZINCRBY-3", "geo in the engine"),
    ("SCORE-1", "sorted sets in the engine"),
    ("SCORE-2", "sorted sets in the engine"),
    ("SCORE-3", "sorted sets in the engine"),
    ("SCORE-4", "sorted sets in the engine"),
    ("SCORE-5", "sorted sets in the engine"),
    ("SCORE-6", "sorted sets in the engine"),
    ("SCORE-7", "sorted sets in the engine"),
    ("SCORE-8", "sorted sets in the engine"),
    ("ZSET-1", "sorted sets in the engine"),
    ("ZSETENC-1", "sorted sets in the engine"),
    ("ZSETENC-2", "sorted sets in the engine"),
    ("ZSETENC-3", "sorted sets in the engine"),
    ("ZSETENC-4", "sorted sets in the engine"),
    ("ZSETENC-5", "sorted sets in the engine"),
    ("ZADD-1", "sorted sets in the engine"),
    ("ZADD-2", "sorted sets in the engine"),
    ("ZADD-3", "sorted sets in the engine"),
    ("ZADD-4", "sorted sets in the engine"),
    ("ZADD-5", "sorted sets in the engine"),
    ("ZADD-6", "sorted sets in the engine"),
    ("ZADD-7", "sorted sets in the engine"),
    ("ZADD-8", "sorted sets in the engine"),
    ("ZADD-9", "sorted sets in the engine"),
    ("ZADD-10", "sorted sets in the engine"),
    ("ZINCRBY-1", "sorted sets in the engine"),
    ("ZINCRBY-2", "sorted sets in the engine"),
    ("ZREM-1", "sorted sets in the engine"),
    ("ZSCORE-1", "sorted sets in the engine"),
    ("ZCARD-1", "sorted sets in the engine"),
    ("ZCOUNT-1", "sorted sets in the engine"),
    ("ZRANK-1", "sorted sets in the engine"),
    ("ZREVRANK-1", "sorted sets in the engine"),
    ("ZRANGE-1", "sorted sets in the engine"),
    ("ZRANGE-2", "sorted sets in the engine"),
    ("ZRANGE-3", "sorted sets in the engine"),
    ("ZRANGE-4", "sorted sets in the engine"),
    ("ZREVRANGE-1", "sorted sets in the engine"),
    ("ZRANGEBYSCORE-1", "sorted sets in the engine"),
    ("ZRANGEBYSCORE-2", "sorted sets in the engine"),
    ("ZRANGEBYSCORE-3", "sorted sets in the engine"),
    ("ZRANGEBYSCORE-4", "sorted sets in the engine"),
    ("ZRANGEBYSCORE-5", "sorted sets in the engine"),
    ("ZRANGEBYSCORE-6", "sorted sets in the engine"),
    ("ZREVRANGEBYSCORE-1", "sorted sets in the engine"),
    ("ZRANGEBYLEX-1", "sorted sets in the engine"),
    ("ZRANGEBYLEX-2", "sorted sets in the engine"),
    ("ZRANGEBYLEX-3", "sorted sets in the engine"),
    ("ZRANGEBYLEX-4", "sorted sets in the engine"),
    ("ZRANGEBYLEX-5", "sorted sets in the engine"),
    ("ZREVRANGEBYLEX-1", "sorted sets in the engine"),
    ("ZLEXCOUNT-1", "sorted sets in the engine"),
    ("ZREMRANGEBYRANK-1", "sorted sets in the engine"),
    ("ZREMRANGEBYSCORE-1", "sorted sets in the engine"),
    ("ZREMRANGEBYLEX-1", "sorted sets in the engine"),
    ("ZPOPMIN-1", "sorted sets in the engine"),
    ("ZPOPMIN-2", "sorted sets in the engine"),
    ("ZPOPMIN-3", "sorted sets in the engine"),
    ("ZPOPMAX-1", "sorted sets in the engine"),
    ("ZUNIONSTORE-1", "sorted sets in the engine"),
    ("ZUNIONSTORE-2", "sorted sets in the engine"),
    ("ZUNIONSTORE-3", "sorted sets in the engine"),
    ("ZUNIONSTORE-4", "sorted sets in the engine"),
    ("ZUNIONSTORE-5", "sorted sets in the engine"),
    ("ZUNIONSTORE-6", "sorted sets in the engine"),
    ("ZUNIONSTORE-7", "sorted sets in the engine"),
    ("ZUNIONSTORE-8", "sorted sets in the engine"),
    ("ZUNIONSTORE-9", "sorted sets in the engine"),
    ("ZUNIONSTORE-10", "sorted sets in the engine"),
    ("ZINTERSTORE-1", "sorted sets in the engine"),
    ("ZSCAN-1", "sorted sets in the engine"),
    ("SETENC-6", "sorted sets in the engine"),
    ("SETENC-7", "sorted sets in the engine"),
    ("SETENC-1", "sets in the engine"),
    ("SETENC-2", "sets in the engine"),
    ("SETENC-3", "sets in the engine"),
    ("SETENC-4", "sets in the engine"),
    ("SETENC-5", "sets in the engine"),
    ("SADD-1", "sets in the engine"),
    ("SREM-1", "sets in the engine"),
    ("SISMEMBER-1", "sets in the engine"),
    ("SCARD-1", "sets in the engine"),
    ("SMEMBERS-1", "sets in the engine"),
    ("SMOVE-1", "sets in the engine"),
    ("SMOVE-2", "sets in the engine"),
    ("SMOVE-3", "sets in the engine"),
    ("SMOVE-4", "sets in the engine"),
    ("SPOP-1", "sets in the engine"),
    ("SPOP-2", "sets in the engine"),
    ("SPOP-3", "sets in the engine"),
    ("SPOP-4", "sets in the engine"),
    ("SPOP-5", "sets in the engine"),
    ("SPOP-6", "sets in the engine"),
    ("SRANDMEMBER-1", "sets in the engine"),
    ("SRANDMEMBER-2", "sets in the engine"),
    ("SRANDMEMBER-3", "sets in the engine"),
    ("SRANDMEMBER-4", "sets in the engine"),
    ("SRANDMEMBER-5", "sets in the engine"),
    ("SRANDMEMBER-6", "sets in the engine"),
    ("SINTER-1", "sets in the engine"),
    ("SINTER-2", "sets in the engine"),
    ("SUNION-1", "sets in the engine"),
    ("SDIFF-1", "sets in the engine"),
    ("SINTERSTORE-1", "sets in the engine"),
    ("SINTERSTORE-2", "sets in the engine"),
    ("SINTERSTORE-3", "sets in the engine"),
    ("SUNIONSTORE-1", "sets in the engine"),
    ("SDIFFSTORE-1", "sets in the engine"),
    ("SSCAN-1", "sets in the engine"),
    ("DB-5", "sets in the engine"),
    ("EXPIRY-8", "sets in the engine"),
    ("EXPIRY-9", "sets in the engine"),
    ("CURSOR-8", "sets in the engine"),
    ("CURSOR-9", "sets in the engine"),
    ("CURSOR-10", "sets in the engine"),
    ("CURSOR-11", "sets in the engine"),
    ("CURSOR-12", "sets in the engine"),
    ("BGSAVE-3", "AOF rewriting by a child"),
    ("AUTH-8", "a measure of time that does not depend on the machine"),
];

fn read() -> (Vec<specification::ClauseText>, citations::Citations) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("SPEC.md")).unwrap();
    let clauses = specification::read(&document).unwrap();
    let citations = citations::read(root, &clauses).unwrap();
    (clauses, citations)
}

#[test]
fn every_citation_names_a_clause_and_quotes_it_word_for_word() {
    let (_, citations) = read();
    assert!(citations.faults.is_empty(), "{}", citations.faults.join("\n"));
}

#[test]
fn every_clause_is_cited_by_a_test() {
    let (clauses, citations) = read();
    let untested: Vec<&str> =
        clauses.iter().map(|clause| clause.id.as_str()).filter(|id| !citations.tested(id)).collect();
    let awaiting: Vec<&str> = AWAITING.iter().map(|(id, _)| *id).collect();
    let tested: Vec<&&str> = awaiting.iter().filter(|id| !untested.contains(id)).collect();
    assert!(tested.is_empty(), "these await nothing any more: {tested:?}");
    let untested: Vec<&str> = untested.into_iter().filter(|id| !awaiting.contains(id)).collect();
    assert!(untested.is_empty(), "{} clauses are tested by nothing: {}", untested.len(), untested.join(" "));
}
