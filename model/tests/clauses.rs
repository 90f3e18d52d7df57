//! SPEC.md keeps its form, and `clause.rs` names exactly its clauses.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::{env, fs};

use tally_model::specification;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[test]
fn the_clause_enum_names_exactly_the_clauses_of_the_specification() {
    let document = fs::read_to_string(root().join("SPEC.md")).unwrap();
    let clauses = specification::read(&document).unwrap_or_else(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        panic!("SPEC.md departs from its form:\n{}", lines.join("\n"));
    });
    let wanted = specification::clause_module(&clauses);
    let path = root().join("model/src/clause.rs");
    if env::var_os("TALLY_BLESS").is_some() {
        fs::write(&path, &wanted).unwrap();
        return;
    }
    let present = fs::read_to_string(&path).unwrap();
    assert!(
        present == wanted,
        "model/src/clause.rs is stale: run TALLY_BLESS=1 cargo test -p tally-model --test clauses"
    );
}
