//! What a run found and what it exercised, for people and for machines.

mod html;
mod junit;
mod text;

use std::path::Path;

use serde::Serialize;

use crate::coverage::Coverage;
use crate::grammar;
use crate::racing::Anomaly;
use crate::runner::Discovery;
use crate::script::Script;
use crate::session::Finding;
use crate::shrink::Shrunk;

pub use text::{redis_cli, summary};

/// A whole run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was checked: `embedded engine`, or a URL and what the server says it is.
    pub target: String,
    /// The profile it was taken for.
    pub profile: String,
    /// The seed, as `--seed` takes it.
    pub seed: String,
    /// Families the run was limited to; none for all.
    pub families: Vec<&'static str>,
    /// Real time, seconds.
    pub seconds: f64,
    /// Commands judged.
    pub commands: u64,
    /// Commands judged per second of real time.
    pub commands_per_second: f64,
    /// Episodes, each from a fresh start.
    pub episodes: u64,
    /// Answers that the specification leaves open.
    pub unspecified: u64,
    /// Commands withheld.
    pub withheld: u64,
    /// Rounds of racing clients that were too much to judge.
    pub undecided: u64,
    /// What did not hold.
    pub findings: Vec<FindingReport>,
    /// Known departures of the profile that were met.
    pub errata: Vec<Counted>,
    /// Commands that were answered, and how often.
    pub exercised: Vec<Counted>,
    /// Commands that were not.
    pub unexercised: Vec<&'static str>,
    /// Error lines that were answered, by command.
    pub error_paths: Vec<ErrorPath>,
    /// Clauses that accepted answers relied on, and how often.
    pub clauses: Vec<Counted>,
    /// Clauses that no answer relied on.
    pub unwitnessed: Vec<&'static str>,
}

/// A name and how often it was met.
#[derive(Clone, Debug, Serialize)]
pub struct Counted {
    /// What.
    pub name: String,
    /// How often.
    pub count: u64,
}

/// An error that a command answered.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorPath {
    /// The command.
    pub command: &'static str,
    /// The line up to its first quoted argument.
    pub error: String,
    /// How often.
    pub count: u64,
}

/// One thing that did not hold.
#[derive(Clone, Debug, Serialize)]
pub struct FindingReport {
    /// The shrunk commands in redis-cli syntax.
    pub commands: Vec<String>,
    /// What would have been right.
    pub expected: String,
    /// What came.
    pub received: String,
    /// The clause it departs from.
    pub clause: Option<&'static str>,
    /// What the clause says, where it is known.
    pub clause_text: Option<String>,
    /// The sort of wrong.
    pub kind: String,
    /// Where the script was written.
    pub file: String,
    /// How to see it again.
    pub replay: String,
    /// It showed again when the script was run a second time.
    pub reproduced: bool,
}

/// How a run was asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// See [`Report::target`].
    pub target: String,
    /// See [`Report::profile`].
    pub profile: String,
    /// The seed.
    pub seed: u64,
    /// See [`Report::families`].
    pub families: Vec<&'static str>,
}

impl Report {
    /// Gathers what a run exercised.
    pub fn new(asked: Asked, coverage: &Coverage, seconds: f64) -> Self {
        let counted = |(name, count): (&str, u64)| Counted { name: name.to_owned(), count };
        Self {
            target: asked.target,
            profile: asked.profile,
            seed: format!("{:#x}", asked.seed),
            families: asked.families,
            seconds,
            commands: coverage.commands,
            commands_per_second: coverage.commands as f64 / seconds.max(1e-9),
            episodes: coverage.episodes,
            unspecified: coverage.unspecified,
            withheld: coverage.withheld,
            undecided: coverage.undecided,
            findings: Vec::new(),
            errata: coverage.errata.iter().map(|(erratum, &count)| counted((erratum.id(), count))).collect(),
            exercised: coverage.exercised().map(counted).collect(),
            unexercised: coverage.unexercised().collect(),
            error_paths: coverage
                .error_paths()
                .into_iter()
                .map(|(command, error, count)| ErrorPath { command, error, count })
                .collect(),
            clauses: coverage.clauses.iter().map(|(clause, &count)| counted((clause.id(), count))).collect(),
            unwitnessed: coverage.unwitnessed().map(|clause| clause.id()).collect(),
        }
    }

    /// Adds a finding.
    pub fn found(&mut self, shrunk: &Shrunk, file: &str, replay: String) {
        let finding = &shrunk.finding;
        self.findings.push(FindingReport {
            commands: redis_cli(&shrunk.script),
            expected: finding.expected(),
            received: finding.received(),
            clause: finding.clause().map(|clause| clause.id()),
            clause_text: finding.clause().and_then(clause_text),
            kind: finding.fingerprint().kind,
            file: file.to_owned(),
            replay,
            reproduced: shrunk.reproduced,
        });
    }

    /// Adds a history that no order explains.
    pub fn raced(&mut self, anomaly: &Anomaly, file: &str, replay: String) {
        self.findings.push(FindingReport {
            commands: anomaly.history.to_string().lines().map(str::to_owned).collect(),
            expected: Anomaly::EXPECTED.to_owned(),
            received: "no such order".to_owned(),
            clause: None,
            clause_text: None,
            kind: "Linearizability".to_owned(),
            file: file.to_owned(),
            replay,
            reproduced: true,
        });
    }

    /// Writes the report in the form that the file's extension names.
    ///
    /// # Errors
    /// The extension is none of `json`, `xml` and `html`, or the file cannot be written.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let text = match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => serde_json::to_string_pretty(self).map_err(std::io::Error::other)?,
            Some("xml") => junit::render(self),
            Some("html") => html::render(self),
            _ => return Err(std::io::Error::other("a report's name ends in .json, .xml or .html")),
        };
        std::fs::write(path, text)
    }
}

/// The specification as it stood when this program was built.
const SPECIFICATION: &str = include_str!("../../SPEC.md");

/// The wording of a clause.
fn clause_text(clause: tally_model::Clause) -> Option<String> {
    let clauses = tally_model::specification::read(SPECIFICATION).ok()?;
    clauses.into_iter().find(|text| text.id == clause.id()).map(|text| text.text)
}

/// The script of a finding, as its replay file holds it.
pub fn replay_file(script: &Script, finding: &Finding, discovery: &Discovery, seed: u64) -> String {
    let mut text = format!("# {}\n", finding.request);
    for line in [
        format!("expected {}", finding.expected()),
        format!("received {}", finding.received()),
        match finding.clause() {
            Some(clause) => format!("clause   [{}]", clause.id()),
            None => "clause   none".to_owned(),
        },
        format!("seed     {seed:#x}, episode {}", discovery.episode),
        format!("tally    {}", env!("CARGO_PKG_VERSION")),
    ] {
        // One line each, whatever came.
        text.push_str(&format!("# {}\n", line.replace(['\n', '\r'], " ")));
    }
    text.push_str(&script.to_string());
    text
}

/// How many commands have a grammar.
pub(crate) fn commands_known() -> usize {
    grammar::all().count()
}

/// Text safe in XML and HTML.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' | '\t' => safe.push(letter),
            letter if letter.is_control() => safe.push('\u{fffd}'),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn report() -> Report {
        let asked = Asked { target: "x".into(), profile: "5.0".into(), seed: 7, families: vec![] };
        let mut coverage = Coverage::default();
        coverage.accepted(crate::grammar::index::command_index(b"GET"));
        coverage
            .error(crate::grammar::index::command_index(b"get"), b"ERR wrong number of arguments for 'get' command");
        let mut report = Report::new(asked, &coverage, 2.0);
        report.findings.push(FindingReport {
            commands: vec!["GET \"<&>\"".into()],
            expected: "(nil)".into(),
            received: "\"\u{1}\"".into(),
            clause: Some("GET-1"),
            clause_text: None,
            kind: "Value".into(),
            file: "f.tally".into(),
            replay: "tally replay f.tally".into(),
            reproduced: true,
        });
        report
    }

    #[test]
    fn json_junit_and_html_hold_the_finding_escaped() {
        let report = report();
        let json: serde_json::Value = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
        assert_eq!(json["findings"][0]["clause"], "GET-1");
        assert_eq!(json["commands"], 1);
        for text in [junit::render(&report), html::render(&report)] {
            assert!(text.contains("&lt;&amp;&gt;"), "{text}");
            assert!(!text.contains('\u{1}'));
        }
        assert!(junit::render(&report).contains("failures=\"1\""));
        assert!(summary(&report).contains("1 command"));
    }
}
