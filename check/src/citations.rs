//! Who cites which clause of SPEC.md: model code, engine code, tests and scripts.
//!
//! Three forms are read, in comments unless said otherwise: a quote (`//# [SET-2] (wire) …`, going on over following
//! `//#` lines; `#%` in scripts), a plain `[SET-2]`, and `Clause::SET_2` in code. A quote must be the whole clause, word
//! for word, so that it breaks when the clause changes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use tally_model::specification::{self, ClauseText};

/// What kind of text a citation stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The model's code: the clause is kept there.
    Model,
    /// The engine's or the server's code.
    Engine,
    /// A test, a property or a script: the clause is tested there.
    Test,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Model => "model",
            Self::Engine => "engine",
            Self::Test => "test",
        })
    }
}

/// One citation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Citation {
    /// Kind of text.
    pub place: Place,
    /// File, from the project's root.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
}

/// All citations of a source tree, and what is wrong with them.
#[derive(Debug, Default)]
pub struct Citations {
    /// By clause id.
    pub by_clause: BTreeMap<String, Vec<Citation>>,
    /// Unknown ids and quotes that drifted from their clause: `file:line: reason`.
    pub faults: Vec<String>,
}

impl Citations {
    /// Whether a test, property or script cites the clause.
    pub fn tested(&self, id: &str) -> bool {
        self.by_clause.get(id).is_some_and(|found| found.iter().any(|citation| citation.place == Place::Test))
    }
}

/// Reads the sources below `root` (the folder that holds SPEC.md).
pub fn read(root: &Path, clauses: &[ClauseText]) -> io::Result<Citations> {
    let known: BTreeMap<&str, &str> = clauses.iter().map(|c| (c.id.as_str(), c.text.as_str())).collect();
    let variants: BTreeMap<String, &str> = known.keys().map(|id| (specification::variant(id), *id)).collect();
    let mut citations = Citations::default();
    for folder in ["model", "engine", "server", "check", "src", "tests", "fuzz/fuzz_targets"] {
        let mut files = Vec::new();
        if root.join(folder).is_dir() {
            walk(&root.join(folder), &mut files)?;
        }
        files.sort();
        for path in files {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            // The list of all clauses cites each without keeping or testing it.
            if name != "model/src/clause.rs" {
                read_file(&name, &fs::read_to_string(&path)?, &known, &variants, &mut citations);
            }
        }
    }
    Ok(citations)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("target") && !path.ends_with("corpus") {
                walk(&path, files)?;
            }
        } else if path.extension().is_some_and(|e| e == "rs" || e == "tally") {
            files.push(path);
        }
    }
    Ok(())
}

fn read_file(
    name: &str,
    text: &str,
    known: &BTreeMap<&str, &str>,
    variants: &BTreeMap<String, &str>,
    citations: &mut Citations,
) {
    let script = name.ends_with(".tally");
    let (comment, quote) = if script { ("#", "#%") } else { ("//", "//#") };
    let whole_file_tests = script
        || name.starts_with("tests/")
        || name.contains("/tests/")
        || name.ends_with("_tests.rs")
        || name.starts_with("check/src/properties")
        || name.starts_with("fuzz/");
    let mut in_tests = whole_file_tests;
    // The quote being read: its id, where it began, its words so far.
    let mut open: Option<(String, usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        in_tests |= trimmed == "#[cfg(test)]";
        let place = match () {
            () if in_tests => Place::Test,
            () if name.starts_with("model/") => Place::Model,
            () => Place::Engine,
        };
        let cited = |id: &str, citations: &mut Citations| {
            citations.by_clause.entry(id.to_owned()).or_default().push(Citation {
                place,
                file: name.to_owned(),
                line: index + 1,
            });
        };
        if let Some(words) = trimmed.strip_prefix(quote) {
            let words = words.trim();
            if words.starts_with('[') {
                close(name, open.take(), known, citations);
                if let Some(id) = ids(words).first() {
                    open = Some((id.clone(), index + 1, words.to_owned()));
                    cited(id, citations);
                }
            } else if let Some((_, _, so_far)) = &mut open {
                so_far.push(' ');
                so_far.push_str(words);
            }
            continue;
        }
        close(name, open.take(), known, citations);
        let mut found = BTreeSet::new();
        if let Some((_, words)) = line.split_once(comment) {
            for id in ids(words) {
                // Errata have ids of their own, E-1 and so on.
                if known.contains_key(id.as_str()) {
                    found.insert(id);
                } else if !id.starts_with("E-") {
                    citations.faults.push(format!("{name}:{}: no clause [{id}]", index + 1));
                }
            }
        }
        for piece in line.split("Clause::").skip(1) {
            let word: String = piece.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if let Some(id) = variants.get(&word) {
                found.insert((*id).to_owned());
            }
        }
        for id in &found {
            cited(id, citations);
        }
    }
    close(name, open.take(), known, citations);
}

/// Compares a finished quote with its clause.
fn close(name: &str, open: Option<(String, usize, String)>, known: &BTreeMap<&str, &str>, citations: &mut Citations) {
    let Some((id, line, words)) = open else { return };
    match known.get(id.as_str()) {
        None => citations.faults.push(format!("{name}:{line}: no clause [{id}]")),
        Some(text) if *text != words => {
            citations
                .faults
                .push(format!("{name}:{line}: the quote of [{id}] differs from SPEC.md, which says: {text}"));
        }
        Some(_) => {}
    }
}

/// Every ``NAME-1` in brackets` of a text.
fn ids(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for piece in text.split('[').skip(1) {
        let Some((inner, _)) = piece.split_once(']') else { continue };
        let Some((name, number)) = inner.rsplit_once('-') else { continue };
        let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-';
        if name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().all(upper)
            && number.parse::<u32>().is_ok()
        {
            found.push(inner.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    // Built from pieces, so that the scan of this very file does not take them for citations.
    fn read_text(name: &str, text: &str) -> Citations {
        let document = "## A\n\n[A-1] (wire) It MUST be so.\n";
        let clauses = specification::read(document).unwrap();
        let known = clauses.iter().map(|c| (c.id.as_str(), c.text.as_str())).collect();
        let variants = [("A_1".to_owned(), "A-1")].into();
        let mut citations = Citations::default();
        read_file(name, &text.replace('@', "["), &known, &variants, &mut citations);
        citations
    }

    #[test]
    fn a_quote_over_two_lines_is_a_citation() {
        let citations = read_text("tests/a.rs", "//# @A-1] (wire) It MUST\n//# be so.\nfn a() {}\n");
        assert!(citations.faults.is_empty(), "{:?}", citations.faults);
        assert!(citations.tested("A-1"));
    }

    #[test]
    fn a_drifted_quote_is_a_fault() {
        assert_eq!(read_text("tests/a.rs", "//# @A-1] (wire) It MUST be other.\n").faults.len(), 1);
    }

    #[test]
    fn an_unknown_id_is_a_fault_and_an_erratum_is_not() {
        assert_eq!(read_text("tests/a.rs", "// @B-1] and @E-1]\n").faults.len(), 1);
    }

    #[test]
    fn model_code_cites_without_testing() {
        let citations = read_text("model/src/a.rs", "f(Clause::A_1)\n");
        assert_eq!(citations.by_clause["A-1"].len(), 1);
        assert!(!citations.tested("A-1"));
    }

    #[test]
    fn a_script_tests_what_it_quotes() {
        assert!(read_text("tests/scripts/a.tally", "#% @A-1] (wire) It MUST be so.\n1> PING\n").tested("A-1"));
    }
}
