//! `tally spec`: the clauses of SPEC.md, what cites each, and what nothing tests.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tally_check::citations::{self, Citations};
use tally_check::specification::{self, ClauseText};

/// The specification as it stood when this program was built.
const DOCUMENT: &str = include_str!("../SPEC.md");

/// Prints the clauses, what cites each, and what nothing tests.
#[derive(Args)]
pub(crate) struct Spec {
    /// A clause (`SET-2`) or all clauses of a section (`SET`), in full.
    clause: Option<String>,
    /// Where the project's sources are; citations are read from them.
    #[arg(long, default_value = ".")]
    root: PathBuf,
}

impl Spec {
    pub(crate) fn run(&self) -> ExitCode {
        let clauses = match specification::read(DOCUMENT) {
            Ok(clauses) => clauses,
            Err(faults) => {
                for fault in faults {
                    eprintln!("{fault}");
                }
                return ExitCode::from(2);
            }
        };
        // Outside a checkout the clauses are still worth printing, only their citations are unknown.
        let citations = self.root.join("SPEC.md").is_file().then(|| citations::read(&self.root, &clauses));
        let citations = match citations.transpose() {
            Ok(citations) => citations,
            Err(error) => {
                eprintln!("tally spec: cannot read the sources below {}: {error}", self.root.display());
                return ExitCode::from(2);
            }
        };
        match &self.clause {
            Some(wanted) => in_full(&clauses, citations.as_ref(), wanted),
            None => table(&clauses, citations.as_ref()),
        }
    }
}

fn in_full(clauses: &[ClauseText], citations: Option<&Citations>, wanted: &str) -> ExitCode {
    let matches =
        |clause: &&ClauseText| clause.id.eq_ignore_ascii_case(wanted) || clause.section.eq_ignore_ascii_case(wanted);
    let mut any = false;
    for clause in clauses.iter().filter(matches) {
        any = true;
        println!("SPEC.md:{} ({})\n  {}", clause.line, clause.section, clause.text);
        for citation in citations.and_then(|c| c.by_clause.get(&clause.id)).into_iter().flatten() {
            println!("  {:<6} {}:{}", citation.place.to_string(), citation.file, citation.line);
        }
    }
    if any {
        return ExitCode::SUCCESS;
    }
    eprintln!("tally spec: no clause and no section is called {wanted:?}");
    ExitCode::from(2)
}

fn table(clauses: &[ClauseText], citations: Option<&Citations>) -> ExitCode {
    let Some(citations) = citations else {
        for clause in clauses {
            println!("{}", clause.text);
        }
        println!("{} clauses; run inside the project's sources, or give --root, to see what cites them", clauses.len());
        return ExitCode::SUCCESS;
    };
    println!("{:<18} {:<7} {:>5} {:>6} {:>5}", "clause", "seen by", "model", "engine", "tests");
    let mut untested = Vec::new();
    for clause in clauses {
        let count = |place| {
            let found = citations.by_clause.get(&clause.id).into_iter().flatten();
            found.filter(|citation| citation.place == place).count()
        };
        let tests = count(citations::Place::Test);
        println!(
            "{:<18} {:<7} {:>5} {:>6} {:>5}",
            clause.id,
            clause.observable.to_string(),
            count(citations::Place::Model),
            count(citations::Place::Engine),
            tests
        );
        if tests == 0 {
            untested.push(clause.id.as_str());
        }
    }
    println!("{} clauses, {} of them tested by nothing", clauses.len(), untested.len());
    for id in untested {
        println!("  untested: {id}");
    }
    for fault in &citations.faults {
        println!("  fault: {fault}");
    }
    ExitCode::SUCCESS
}
