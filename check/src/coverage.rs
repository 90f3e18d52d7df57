//! What a run exercised, so that silence is never mistaken for coverage.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use tally_model::{Clause, Erratum, Model};

use crate::grammar::index::names;

/// Counters of a run.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    /// Commands judged.
    pub commands: u64,
    /// Episodes completed.
    pub episodes: u64,
    /// By [`command_index`](crate::grammar::index::command_index).
    by_command: Vec<u64>,
    /// By [`command_index`](crate::grammar::index::command_index), then by the error's text up to the first quoted argument.
    errors: Vec<FxHashMap<Box<[u8]>, u64>>,
    /// Answers that the specification leaves open.
    pub unspecified: u64,
    /// Commands withheld because they would kill or exhaust a live server.
    pub withheld: u64,
    /// Rounds of racing clients that were too much to judge.
    pub undecided: u64,
    /// Known departures of the profile that were met.
    pub errata: BTreeMap<Erratum, u64>,
    /// How often accepted answers relied on each clause.
    pub clauses: BTreeMap<Clause, u64>,
}

impl Coverage {
    /// A command was judged and accepted.
    pub fn accepted(&mut self, command: usize) {
        self.commands += 1;
        if self.by_command.len() <= command {
            self.by_command.resize(names().len() + 1, 0);
        }
        if let Some(count) = self.by_command.get_mut(command) {
            *count += 1;
        }
    }

    /// A command was answered by this error.
    pub fn error(&mut self, command: usize, line: &[u8]) {
        let text = &line[..line.iter().position(|byte| matches!(byte, b'`' | b'\'')).unwrap_or(line.len()).min(80)];
        if self.errors.len() <= command {
            self.errors.resize(names().len() + 1, FxHashMap::default());
        }
        let Some(texts) = self.errors.get_mut(command) else { return };
        match texts.get_mut(text) {
            Some(count) => *count += 1,
            None => {
                texts.insert(text.into(), 1);
            }
        }
    }

    /// Adds what a model witnessed in its whole life.
    pub fn add_witnessed(&mut self, model: &Model) {
        for (clause, count) in model.witnessed().filter(|&(_, count)| count > 0) {
            *self.clauses.entry(clause).or_default() += count;
        }
    }

    /// Commands that were answered, with how often.
    pub fn exercised(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.by_command.iter().copied();
        names().iter().copied().chain(["(unknown)"]).zip(counts).filter(|&(_, count)| count > 0)
    }

    /// Commands with a grammar that were never answered.
    pub fn unexercised(&self) -> impl Iterator<Item = &'static str> {
        let count = |index: usize| self.by_command.get(index).copied().unwrap_or(0);
        names().iter().copied().enumerate().filter(move |&(index, _)| count(index) == 0).map(|(_, name)| name)
    }

    /// Error paths: command, text, count; ordered.
    pub fn error_paths(&self) -> Vec<(&'static str, String, u64)> {
        let mut paths = Vec::new();
        for (index, texts) in self.errors.iter().enumerate() {
            let name = names().get(index).copied().unwrap_or("(unknown)");
            paths.extend(texts.iter().map(|(text, &count)| (name, String::from_utf8_lossy(text).into_owned(), count)));
        }
        paths.sort();
        paths
    }

    /// Clauses never relied on.
    pub fn unwitnessed(&self) -> impl Iterator<Item = Clause> {
        Clause::ALL.iter().copied().filter(|clause| !self.clauses.contains_key(clause))
    }
}
