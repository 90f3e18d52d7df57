//! Traceability: every clause of SPEC.md is cited by a test, and every citation names a clause as SPEC.md words it.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use tally_check::{citations, specification};

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
    assert!(untested.is_empty(), "{} clauses are tested by nothing: {}", untested.len(), untested.join(" "));
}

#[test]
fn every_wire_clause_is_kept_by_the_model() {
    let (clauses, citations) = read();
    let kept = |clause: &specification::ClauseText| {
        citations.by_clause.get(&clause.id).is_some_and(|c| c.iter().any(|c| c.place == citations::Place::Model))
    };
    let missing: Vec<&str> = clauses
        .iter()
        .filter(|clause| clause.observable == specification::Observable::Wire && !kept(clause))
        .map(|clause| clause.id.as_str())
        .collect();
    assert!(missing.is_empty(), "{} wire clauses are not in the model: {}", missing.len(), missing.join(" "));
}
