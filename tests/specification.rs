//! Traceability: every clause of SPEC.md is cited by a test, and every citation names a clause as SPEC.md words it.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use tally_check::{citations, specification};

/// Clauses that no test can show before something else is built. The list may only shrink: a test for one of them must
/// take it off.
const AWAITING: &[(&str, &str)] = &[
    ("DB-3", "a second type of values"),
    ("GETSET-2", "a second type of values"),
    ("BITOP-7", "a second type of values"),
    ("LIST-1", "lists in the engine"),
    ("LIST-2", "lists in the engine"),
    ("LIST-3", "lists in the engine"),
    ("LIST-4", "lists in the engine"),
    ("LIST-5", "lists in the engine"),
    ("LPUSH-1", "lists in the engine"),
    ("RPUSH-1", "lists in the engine"),
    ("LPUSHX-1", "lists in the engine"),
    ("LPUSHX-2", "lists in the engine"),
    ("RPUSHX-1", "lists in the engine"),
    ("RPUSHX-2", "lists in the engine"),
    ("LPOP-1", "lists in the engine"),
    ("LPOP-2", "lists in the engine"),
    ("RPOP-1", "lists in the engine"),
    ("LLEN-1", "lists in the engine"),
    ("LINDEX-1", "lists in the engine"),
    ("LINDEX-2", "lists in the engine"),
    ("LINDEX-3", "lists in the engine"),
    ("LSET-1", "lists in the engine"),
    ("LSET-2", "lists in the engine"),
    ("LSET-3", "lists in the engine"),
    ("LINSERT-1", "lists in the engine"),
    ("LINSERT-2", "lists in the engine"),
    ("LINSERT-3", "lists in the engine"),
    ("LINSERT-4", "lists in the engine"),
    ("LRANGE-1", "lists in the engine"),
    ("LRANGE-2", "lists in the engine"),
    ("LRANGE-3", "lists in the engine"),
    ("LRANGE-4", "lists in the engine"),
    ("LTRIM-1", "lists in the engine"),
    ("LTRIM-2", "lists in the engine"),
    ("LTRIM-3", "lists in the engine"),
    ("LTRIM-4", "lists in the engine"),
    ("LREM-1", "lists in the engine"),
    ("LREM-2", "lists in the engine"),
    ("LREM-3", "lists in the engine"),
    ("RPOPLPUSH-1", "lists in the engine"),
    ("RPOPLPUSH-2", "lists in the engine"),
    ("RPOPLPUSH-3", "lists in the engine"),
    ("RPOPLPUSH-4", "lists in the engine"),
    ("HASH-1", "hashes in the engine"),
    ("HASH-2", "hashes in the engine"),
    ("HASH-3", "hashes in the engine"),
    ("HASHENC-1", "hashes in the engine"),
    ("HASHENC-2", "hashes in the engine"),
    ("HASHENC-3", "hashes in the engine"),
    ("HASHENC-4", "hashes in the engine"),
    ("HASHENC-5", "hashes in the engine"),
    ("HASHENC-6", "hashes in the engine"),
    ("HSET-1", "hashes in the engine"),
    ("HSET-2", "hashes in the engine"),
    ("HMSET-1", "hashes in the engine"),
    ("HSETNX-1", "hashes in the engine"),
    ("HSETNX-2", "hashes in the engine"),
    ("HGET-1", "hashes in the engine"),
    ("HGET-2", "hashes in the engine"),
    ("HMGET-1", "hashes in the engine"),
    ("HGETALL-1", "hashes in the engine"),
    ("HGETALL-2", "hashes in the engine"),
    ("HKEYS-1", "hashes in the engine"),
    ("HVALS-1", "hashes in the engine"),
    ("HDEL-1", "hashes in the engine"),
    ("HLEN-1", "hashes in the engine"),
    ("HSTRLEN-1", "hashes in the engine"),
    ("HEXISTS-1", "hashes in the engine"),
    ("HINCRBY-1", "hashes in the engine"),
    ("HINCRBY-2", "hashes in the engine"),
    ("HINCRBY-3", "hashes in the engine"),
    ("HINCRBY-4", "hashes in the engine"),
    ("HINCRBYFLOAT-1", "hashes in the engine"),
    ("HINCRBYFLOAT-2", "hashes in the engine"),
    ("HINCRBYFLOAT-3", "hashes in the engine"),
    ("HINCRBYFLOAT-4", "hashes in the engine"),
    ("HINCRBYFLOAT-5", "hashes in the engine"),
    ("HINCRBYFLOAT-6", "hashes in the engine"),
    ("HSCAN-1", "hashes in the engine"),
    ("HSCAN-2", "hashes in the engine"),
    ("HSCAN-3", "hashes in the engine"),
    ("HSCAN-4", "hashes in the engine"),
    ("SORT-1", "sorting in the engine"),
    ("SORT-2", "sorting in the engine"),
    ("SORT-3", "sorting in the engine"),
    ("SORT-4", "sorting in the engine"),
    ("SORT-5", "sorting in the engine"),
    ("SORT-6", "sorting in the engine"),
    ("SORT-7", "sorting in the engine"),
    ("SORT-8", "sorting in the engine"),
    ("SORT-9", "sorting in the engine"),
    ("SORT-10", "sorting in the engine"),
    ("SORT-11", "sorting in the engine"),
    ("SORT-12", "sorting in the engine"),
    ("SORT-13", "sorting in the engine"),
    ("SORT-14", "sorting in the engine"),
    ("SORT-15", "sorting in the engine"),
    ("SORT-16", "sorting in the engine"),
    ("SORT-17", "sorting in the engine"),
    ("SORT-18", "sorting in the engine"),
    ("SORT-19", "sorting in the engine"),
    ("SORT-20", "sorting in the engine"),
    ("HLL-1", "HyperLogLog in the engine"),
    ("HLL-2", "HyperLogLog in the engine"),
    ("HLL-3", "HyperLogLog in the engine"),
    ("HLL-4", "HyperLogLog in the engine"),
    ("HLL-5", "HyperLogLog in the engine"),
    ("HLL-6", "HyperLogLog in the engine"),
    ("HLL-7", "HyperLogLog in the engine"),
    ("HLL-8", "HyperLogLog in the engine"),
    ("HLL-9", "HyperLogLog in the engine"),
    ("HLL-10", "HyperLogLog in the engine"),
    ("HLL-11", "HyperLogLog in the engine"),
    ("HLL-12", "HyperLogLog in the engine"),
    ("HLL-13", "HyperLogLog in the engine"),
    ("PFADD-1", "HyperLogLog in the engine"),
    ("PFADD-2", "HyperLogLog in the engine"),
    ("PFADD-3", "HyperLogLog in the engine"),
    ("PFADD-4", "HyperLogLog in the engine"),
    ("PFADD-5", "HyperLogLog in the engine"),
    ("PFCOUNT-1", "HyperLogLog in the engine"),
    ("PFCOUNT-2", "HyperLogLog in the engine"),
    ("PFCOUNT-3", "HyperLogLog in the engine"),
    ("PFCOUNT-4", "HyperLogLog in the engine"),
    ("PFMERGE-1", "HyperLogLog in the engine"),
    ("PFMERGE-2", "HyperLogLog in the engine"),
    ("PFMERGE-3", "HyperLogLog in the engine"),
    ("PFMERGE-4", "HyperLogLog in the engine"),
    ("PFDEBUG-1", "HyperLogLog in the engine"),
    ("PFDEBUG-2", "HyperLogLog in the engine"),
    ("PFDEBUG-3", "HyperLogLog in the engine"),
    ("PFDEBUG-4", "HyperLogLog in the engine"),
    ("PFDEBUG-5", "HyperLogLog in the engine"),
    ("PFDEBUG-6", "HyperLogLog in the engine"),
    ("PFDEBUG-7", "HyperLogLog in the engine"),
    ("PFDEBUG-8", "HyperLogLog in the engine"),
    ("PFDEBUG-9", "HyperLogLog in the engine"),
    ("PFSELFTEST-1", "HyperLogLog in the engine"),
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
