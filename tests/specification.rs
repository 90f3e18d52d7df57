//! Traceability: every clause of SPEC.md is cited by a test, and every citation names a clause as SPEC.md words it.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use tally_check::{citations, specification};

/// Clauses that no test can show before something else is built. The list may only shrink: a test for one of them must
/// take it off.
const AWAITING: &[(&str, &str)] = &[
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
    ("ZIPLIST-1", "the engine's collections"),
    ("ZIPLIST-2", "the engine's collections"),
    ("ZIPLIST-3", "the engine's collections"),
    ("ZIPLIST-4", "the engine's collections"),
    ("ZIPLIST-6", "the engine's collections"),
    ("ZIPLIST-7", "the engine's collections"),
    ("ZIPLIST-8", "the engine's collections"),
    ("INTSET-1", "the engine's collections"),
    ("INTSET-3", "the engine's collections"),
    ("INTSET-4", "the engine's collections"),
    ("ZIPMAP-2", "the engine's collections"),
    ("QUICKLIST-1", "the engine's collections"),
    ("QUICKLIST-2", "the engine's collections"),
    ("QUICKLIST-3", "the engine's collections"),
    ("QUICKLIST-4", "the engine's collections"),
    ("SKIPLIST-1", "the engine's collections"),
    ("SKIPLIST-2", "the engine's collections"),
    ("SKIPLIST-3", "the engine's collections"),
    ("SKIPLIST-4", "the engine's collections"),
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
