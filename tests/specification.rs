//! Traceability: every clause of SPEC.md is cited by a test, and every citation names a clause as SPEC.md words it.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use tally_check::{citations, specification};

/// Clauses that no test can show before something else is built. The list may only shrink: a test for one of them must
/// take it off.
const AWAITING: &[(&str, &str)] = &[("AUTH-8", "a measure of time that does not depend on the machine")];

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
