//! Habits that a compiler does not check: names, module headers, and where randomness, clocks and `unsafe` may be used.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// Every file of the project with this extension, as (path from the root, text).
fn sources(extension: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !["target", "corpus", "artifacts", "node_modules"].contains(&name.as_str()) && !name.starts_with('.')
                {
                    walk(&path, extension, found);
                }
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    walk(root, extension, &mut paths);
    paths.sort();
    assert!(!paths.is_empty(), "no .{extension} files were found");
    let relative = |path: &PathBuf| path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (relative(path), fs::read_to_string(path).unwrap())).collect()
}

/// Fails with the paths of the sources that `breaks` picks; the file with the rules names what it forbids.
fn forbid(what: &str, extension: &str, breaks: impl Fn(&str, &str) -> bool) {
    let broken: Vec<String> = sources(extension)
        .into_iter()
        .filter(|(path, text)| path != "tests/tidy.rs" && breaks(path, text))
        .map(|(path, _)| path)
        .collect();
    assert!(broken.is_empty(), "{what}:\n{}", broken.join("\n"));
}

#[test]
fn no_module_is_named_for_no_concept() {
    let empty = ["util", "utils", "helper", "helpers", "common", "misc", "types"];
    forbid("a name that says nothing", "rs", |path, _| path.split(['/', '.']).any(|word| empty.contains(&word)));
}

#[test]
fn every_module_begins_with_a_header() {
    forbid("no `//!` header", "rs", |_, text| !text.starts_with("//!"));
}

#[test]
fn documents_have_one_title() {
    forbid("not exactly one `# Title`", "md", |path, text| {
        let mut in_code = false;
        let is_title = |line: &&str| {
            in_code ^= line.starts_with("```");
            !in_code && line.starts_with("# ")
        };
        // SPEC.md is one document in parts, each with a title of its own.
        path != "SPEC.md" && text.lines().filter(is_title).count() != 1
    });
}

#[test]
fn nothing_draws_random_numbers_without_a_seed() {
    let unseeded = ["thread_rng", "from_entropy", "from_os_rng", "OsRng", "RandomState", "getrandom"];
    // The process seeds the engine once from the system, at its edge.
    forbid("randomness without a seed", "rs", |path, text| {
        !path.starts_with("server/") && unseeded.iter().any(|word| text.contains(word))
    });
}

#[test]
fn clocks_are_read_only_at_the_edge() {
    // The runner and the shrinker keep budgets of real seconds; no verdict depends on them.
    let edges = [
        "server/",
        "src/",
        "tests/",
        "engine/benches/",
        "check/src/target/live",
        // Races are about what really happened when.
        "check/src/racing",
        "check/src/report",
        "check/src/progress",
        "check/src/runner",
        "check/src/shrink",
    ];
    forbid("a clock read inside", "rs", |path, text| {
        !edges.iter().any(|edge| path.starts_with(edge))
            && ["Instant::now", "SystemTime::now"].iter().any(|word| text.contains(word))
    });
}

#[test]
fn unsafe_code_lives_only_in_structures_and_at_the_system_call_edge() {
    forbid("unsafe outside its places", "rs", |path, text| {
        let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
        !path.starts_with("engine/src/structures/")
            && !path.starts_with("server/src/")
            && code
                .into_iter()
                .any(|line| ["unsafe {", "unsafe fn", "unsafe impl"].iter().any(|word| line.contains(word)))
    });
}

#[test]
fn no_test_is_ignored() {
    forbid("an ignored test hides a failure", "rs", |_, text| text.contains("#[ignore"));
}
