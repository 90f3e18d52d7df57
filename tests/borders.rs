//! The borders between the crates: who may depend on whom, and what the engine must not reach for.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, process::Command};

/// What each crate may depend on inside the workspace; the tests of the package `tally` may reach everything.
const ALLOWED: &[(&str, &[&str])] = &[
    ("tally", &["tally-check", "tally-server", "tally-engine", "tally-model"]),
    ("tally-check", &["tally-model", "tally-engine"]),
    ("tally-server", &["tally-engine"]),
    ("tally-engine", &[]),
    ("tally-model", &[]),
    ("tally-fuzz", &["tally-check"]),
];

/// What belongs to the driver: with it the engine would no longer be a function of its events.
const FORBIDDEN_IN_ENGINE: &[&str] =
    &["std::net", "std::fs", "std::thread", "std::env", "std::process", "std::time::Instant", "std::time::SystemTime"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn crates_depend_only_on_those_the_design_allows() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut seen = BTreeSet::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        seen.insert(name);
        let allowed = ALLOWED.iter().find(|(known, _)| *known == name);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("crate {name} is not in the design"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let target = dependency["name"].as_str().unwrap();
            let free = name == "tally" && dependency["kind"] == "dev";
            if target.starts_with("tally") && !free {
                assert!(allowed.contains(&target), "{name} must not depend on {target}");
            }
        }
    }
    assert_eq!(seen, ALLOWED.iter().map(|(name, _)| *name).collect());
}

#[test]
fn the_engine_reaches_for_no_clock_file_socket_or_thread() {
    let files = rust_files(&root().join("engine/src"));
    assert!(files.len() > 3, "the engine's sources were not found");
    let mut broken = Vec::new();
    for file in files {
        for path in used_paths(&fs::read_to_string(&file).unwrap()) {
            if FORBIDDEN_IN_ENGINE.iter().any(|f| path == *f || path.starts_with(&format!("{f}::"))) {
                broken.push(format!("{}: {path}", file.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(broken.is_empty(), "these belong to the driver:\n{}", broken.join("\n"));
}

#[test]
fn the_reader_of_paths_sees_through_groups_and_comments() {
    let source =
        "use std::{fs, time::{Duration, Instant as I}}; // std::net\nlet x = std::thread::spawn(\"std::env\");";
    let paths = used_paths(source);
    for wanted in ["std::fs", "std::time::Duration", "std::time::Instant", "std::thread::spawn"] {
        assert!(paths.iter().any(|path| path == wanted), "{wanted} is missing from {paths:?}");
    }
    assert!(!paths.iter().any(|path| path.contains("net") || path.contains("env")), "{paths:?}");
}

/// Every `a::b::c` path of a source, groups expanded, comments and string literals left out.
fn used_paths(source: &str) -> Vec<String> {
    let tokens = tokens(source);
    let mut paths = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        at = expand(&tokens, at, &mut Vec::new(), &mut paths);
    }
    paths
}

/// Reads one path, or the members of a group, from `at`; returns where it ends.
fn expand(tokens: &[String], mut at: usize, prefix: &mut Vec<String>, paths: &mut Vec<String>) -> usize {
    let depth = prefix.len();
    while let Some(token) = tokens.get(at) {
        at += 1;
        if token == "{" && depth + prefix.len() > 0 {
            while tokens.get(at).is_some_and(|token| token != "}") {
                at = expand(tokens, at, prefix, paths);
            }
            at += 1;
            break;
        }
        if !token.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            break;
        }
        prefix.push(token.clone());
        if tokens.get(at).is_none_or(|next| next != "::") {
            paths.push(prefix.join("::"));
            // `as name` renames, it reaches nothing.
            if tokens.get(at).is_some_and(|next| next == "as") {
                at += 2;
            }
            break;
        }
        at += 1;
    }
    prefix.truncate(depth);
    at
}

fn tokens(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if first == '"' {
            let mut escaped = false;
            rest.char_indices()
                .skip(1)
                .find(|&(_, c)| {
                    let closes = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    closes
                })
                .map_or(rest.len(), |(at, _)| at + 1)
        } else if rest.starts_with("'\"'") {
            3
        } else if rest.starts_with("::") {
            2
        } else {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()).max(first.len_utf8())
        };
        let (token, after) = rest.split_at(length);
        if !token.starts_with("//") && !token.starts_with('"') && !token.trim().is_empty() {
            found.push(token.to_owned());
        }
        rest = after;
    }
    found
}
