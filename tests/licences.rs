//! Everything that is linked into the program may be used under MIT or Apache-2.0 terms, or freer ones.
#![allow(clippy::unwrap_used)]

use std::process::Command;

/// Terms that ask for no more than a notice.
const FREE: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unlicense",
    "CC0-1.0",
    "0BSD",
    "BSL-1.0",
    "Unicode-3.0",
    "NCSA",
    "MIT-0",
];

/// Whether an SPDX expression can be satisfied by free terms alone.
fn is_free(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let groups = expression.split(" AND ").map(|group| group.trim_matches(|c| c == '(' || c == ')'));
    groups.into_iter().all(|group| {
        group.split(" OR ").any(|term| FREE.contains(&term.trim_matches(|c: char| c == '(' || c == ')' || c == ' ')))
    })
}

#[test]
fn every_dependency_has_a_free_licence() {
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let facts = String::from_utf8(rustc.stdout).unwrap();
    let host = facts.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    // Only what this host links: the sources of other platforms' crates need not be on this machine.
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let refused: Vec<String> = packages
        .iter()
        .filter(|package| !is_free(package["license"].as_str().unwrap_or("none")))
        .map(|package| format!("{} ({})", package["name"], package["license"]))
        .collect();
    assert!(refused.is_empty(), "licences to look at: {}", refused.join(", "));
}

#[test]
fn copyleft_is_refused_unless_there_is_a_choice() {
    assert!(is_free("MIT OR GPL-3.0"));
    assert!(!is_free("GPL-3.0"));
    assert!(!is_free("MIT AND GPL-3.0"));
    assert!(is_free("(MIT OR Apache-2.0) AND Unicode-3.0"));
}
