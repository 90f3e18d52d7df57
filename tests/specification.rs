//! Traceability: every clause of SPEC.md is cited by a test, and every citation names a clause as SPEC.md words it.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use tally_check::{citations, specification};

/// Clauses that no test can show before something else is built. The list may only shrink: a test for one of them must
/// take it off.
const AWAITING: &[(&str, &str)] = &[
    ("SPOP-6", "sets in the engine"),
    ("SRANDMEMBER-6", "sets in the engine"),
    ("NOTIFY-5", "eviction"),
    ("EVICTION-1", "eviction"),
    ("EVICTION-2", "eviction"),
    ("EVICTION-3", "eviction"),
    ("EVICTION-4", "eviction"),
    ("EVICTION-5", "eviction"),
    ("EVICTION-6", "eviction"),
    ("EVICTION-7", "eviction"),
    ("EVICTION-8", "eviction"),
    ("EVICTION-9", "eviction"),
    ("EVICTION-10", "eviction"),
    ("EVICTION-11", "eviction"),
    ("EVICTION-12", "eviction"),
    ("EVICTION-13", "eviction"),
    ("EVICTION-14", "eviction"),
    ("EVICTION-15", "eviction"),
    ("EVICTION-16", "eviction"),
    ("EVICTION-17", "eviction"),
    ("EVICTION-18", "eviction"),
    ("EVICTION-19", "eviction"),
    ("EVICTION-20", "eviction"),
    ("EVICTION-21", "eviction"),
    ("EVICTION-22", "eviction"),
    ("EVICTION-23", "eviction"),
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
