//! Reads SPEC.md: which clauses it holds, where, and whether each keeps the form that makes it citable.
//!
//! A clause is one paragraph `[ID] (wire|file|inside) Sentence with one MUST, MUST NOT, SHOULD or MAY.`; its id is
//! upper-case words joined by `-` that end in a number, for example `SET-2`.

use std::collections::BTreeMap;
use std::fmt;

/// How a clause can be observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Observable {
    /// By any client, from replies alone.
    Wire,
    /// In the bytes of a file.
    File,
    /// Only by an implementation's own invariants.
    Inside,
}

impl fmt::Display for Observable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wire => "wire",
            Self::File => "file",
            Self::Inside => "inside",
        })
    }
}

/// One clause as SPEC.md words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClauseText {
    /// For example `SET-2`.
    pub id: String,
    /// How it can be observed.
    pub observable: Observable,
    /// The heading it stands under.
    pub section: String,
    /// The whole paragraph on one line, id included.
    pub text: String,
    /// Line of SPEC.md, from 1.
    pub line: usize,
}

/// A place where SPEC.md departs from its own form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line of SPEC.md, from 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SPEC.md:{}: {}", self.line, self.reason)
    }
}

/// All clauses in document order, or every fault of form.
pub fn read(document: &str) -> Result<Vec<ClauseText>, Vec<Fault>> {
    let mut clauses = Vec::new();
    let mut faults = Vec::new();
    let mut section = String::new();
    let mut first_use: BTreeMap<String, usize> = BTreeMap::new();
    for (line, paragraph) in paragraphs(document) {
        if let Some(heading) = paragraph.strip_prefix('#') {
            section = heading.trim_start_matches('#').trim().to_owned();
            continue;
        }
        match clause(&paragraph) {
            Ok(None) => {
                if !paragraph.starts_with('|') && !paragraph.starts_with("The upper-case words") {
                    for (word, _) in obligations(&paragraph) {
                        faults.push(Fault { line, reason: format!("{word} outside a clause") });
                    }
                }
            }
            Ok(Some((id, observable))) => {
                if let Some(earlier) = first_use.insert(id.clone(), line) {
                    faults.push(Fault { line, reason: format!("[{id}] stands already at line {earlier}") });
                }
                clauses.push(ClauseText { id, observable, section: section.clone(), text: paragraph, line });
            }
            Err(reason) => faults.push(Fault { line, reason }),
        }
    }
    if faults.is_empty() { Ok(clauses) } else { Err(faults) }
}

/// Paragraphs joined to one line each, headings alone, code blocks and tables left out.
fn paragraphs(document: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    let mut in_code = false;
    for (index, line) in document.lines().enumerate() {
        let trimmed = line.trim_end();
        if trimmed.starts_with("```") {
            in_code = !in_code;
            found.extend(open.take());
            continue;
        }
        if in_code {
            continue;
        }
        if trimmed.is_empty() || trimmed.starts_with('|') {
            found.extend(open.take());
        } else if trimmed.starts_with('#') {
            found.extend(open.take());
            found.push((index + 1, trimmed.to_owned()));
        } else if let Some((_, text)) = &mut open {
            text.push(' ');
            text.push_str(trimmed.trim_start());
        } else {
            open = Some((index + 1, trimmed.to_owned()));
        }
    }
    found.extend(open);
    found
}

/// The id and observability of a clause; `None` for an explanation.
fn clause(paragraph: &str) -> Result<Option<(String, Observable)>, String> {
    let Some(rest) = paragraph.strip_prefix('[') else { return Ok(None) };
    let Some((id, rest)) = rest.split_once(']') else { return Ok(None) };
    if !is_id(id) {
        // A Markdown link may also begin a paragraph.
        return if rest.starts_with('(') { Ok(None) } else { Err(format!("[{id}] is not an id of the form NAME-1")) };
    }
    let rest = rest.trim_start();
    let (observable, rest) = [Observable::Wire, Observable::File, Observable::Inside]
        .into_iter()
        .find_map(|o| rest.strip_prefix(&format!("({o})")).map(|rest| (o, rest)))
        .ok_or_else(|| format!("[{id}] does not say (wire), (file) or (inside)"))?;
    let count = obligations(rest).len();
    if count != 1 {
        return Err(format!("[{id}] holds {count} upper-case MUST, MUST NOT, SHOULD or MAY, not one"));
    }
    if !rest.ends_with('.') {
        return Err(format!("[{id}] does not end in a full stop"));
    }
    if rest.contains("e.g.") || rest.contains("i.e.") {
        return Err(format!("[{id}] holds an abbreviation that looks like the end of a sentence"));
    }
    Ok(Some((id.to_owned(), observable)))
}

fn is_id(id: &str) -> bool {
    let Some((name, number)) = id.rsplit_once('-') else { return false };
    let name_ok = name
        .split('-')
        .all(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()));
    name_ok && name.starts_with(|c: char| c.is_ascii_uppercase()) && number.parse::<u32>().is_ok_and(|n| n > 0)
}

/// The obliging words with their byte offsets; text between backquotes is quoted, not meant.
fn obligations(text: &str) -> Vec<(&'static str, usize)> {
    let mut found = Vec::new();
    let mut quoted = false;
    let mut offset = 0;
    for piece in text.split('`') {
        if !quoted {
            let mut words = piece.split_inclusive(|c: char| !c.is_ascii_alphabetic());
            let mut at = offset;
            for word in &mut words {
                let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
                if let Some(name) = ["MUST", "SHOULD", "MAY"].into_iter().find(|name| *name == bare) {
                    found.push((name, at));
                }
                at += word.len();
            }
        }
        offset += piece.len() + 1;
        quoted = !quoted;
    }
    found
}

/// The Rust name of an id: `SET-2` becomes `SET_2`.
pub fn variant(id: &str) -> String {
    id.replace('-', "_")
}

/// The source of `clause.rs` for these clauses.
pub fn clause_module(clauses: &[ClauseText]) -> String {
    let mut source = String::from(
        "//! Every clause of SPEC.md, by id. Written by `TALLY_BLESS=1 cargo test -p tally-model --test clauses`.\n\n\
         use crate::specification::Observable;\n\n\
         /// A clause of SPEC.md.\n#[allow(non_camel_case_types, missing_docs)]\n\
         #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]\n#[repr(u16)]\npub enum Clause {\n",
    );
    for clause in clauses {
        source.push_str(&format!("    {},\n", variant(&clause.id)));
    }
    source.push_str(
        "}\n\nimpl Clause {\n    /// All clauses, in document order.\n    pub const ALL: &'static [Self] = &[\n",
    );
    for clause in clauses {
        source.push_str(&format!("        Self::{},\n", variant(&clause.id)));
    }
    source.push_str(
        "    ];\n\n    /// The id as SPEC.md writes it, for example `SET-2`.\n    pub fn id(self) -> &'static str {\n        \
         FACTS[self as usize].0\n    }\n\n    /// How the clause can be observed.\n    \
         pub fn observable(self) -> Observable {\n        FACTS[self as usize].1\n    }\n}\n\n\
         #[rustfmt::skip]\nconst FACTS: &[(&str, Observable)] = &[\n",
    );
    for clause in clauses {
        source.push_str(&format!("    (\"{}\", Observable::{:?}),\n", clause.id, clause.observable));
    }
    source.push_str("];\n");
    source
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(document: &str) -> Vec<String> {
        read(document).expect_err("faults were expected").into_iter().map(|fault| fault.reason).collect()
    }

    #[test]
    fn a_clause_is_read_with_its_section_and_line() {
        let clauses = read("# Part\n\n## SET\n\nWords.\n\n[SET-1] (wire) SET MUST\nanswer.\n").expect("well formed");
        assert_eq!(clauses.len(), 1);
        assert_eq!(clauses[0].section, "SET");
        assert_eq!(clauses[0].line, 7);
        assert_eq!(clauses[0].text, "[SET-1] (wire) SET MUST answer.");
    }

    #[test]
    fn an_id_used_twice_is_refused() {
        assert_eq!(faults("[A-1] (wire) It MUST.\n\n[A-1] (wire) It MAY.\n"), ["[A-1] stands already at line 1"]);
    }

    #[test]
    fn two_obligations_in_one_clause_are_refused() {
        assert_eq!(faults("[A-1] (wire) It MUST and it MAY.\n").len(), 1);
    }

    #[test]
    fn an_obligation_outside_a_clause_is_refused() {
        assert_eq!(faults("It MUST be so.\n"), ["MUST outside a clause"]);
    }

    #[test]
    fn a_clause_without_observability_is_refused() {
        assert_eq!(faults("[A-1] It MUST be so.\n").len(), 1);
    }

    #[test]
    fn quoted_words_and_tables_do_not_oblige() {
        assert!(read("`MUST` is a word.\n\n| a | MUST |\n").expect("well formed").is_empty());
    }
}
