//! A whole run: explores until it is enough, shrinks every new finding, writes its replay file, and reports.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::coverage::Coverage;
use crate::report::{Asked, Report, replay_file};
use crate::runner::{Discovery, Plan, run_episode, run_script};
use crate::script::Script;
use crate::session::{Finding, Fingerprint};
use crate::shrink::{Budget, Shrunk, shrink};
use crate::target::{Target, TargetError};

/// Different findings after which a run ends early.
const MOST_FINDINGS: usize = 10;

/// Findings already known after which a run ends early: by then it only meets them again.
const MOST_REPETITIONS: usize = 300;

/// When a run ends, and who is told how far it is.
pub trait Watch {
    /// Is it enough? Asked between batches.
    fn enough(&mut self, coverage: &Coverage) -> bool;
    /// Real seconds since the run began.
    fn seconds(&self) -> f64;
    /// Something was found and will now be shrunk.
    fn found(&mut self, finding: &Finding);
}

/// A run.
pub struct Campaign<'a> {
    /// What is checked.
    pub target: &'a mut dyn Target,
    /// What may be drawn, and how it is judged.
    pub plan: Plan,
    /// For the report.
    pub asked: Asked,
    /// Where replay files go.
    pub folder: PathBuf,
    /// What follows the file's name in the line that replays it: the server's URL.
    pub replay_suffix: String,
}

impl Campaign<'_> {
    /// Runs until it is enough.
    ///
    /// # Errors
    /// When the target cannot be used, or a replay file cannot be written.
    pub fn run(&mut self, watch: &mut dyn Watch) -> Result<Report, TargetError> {
        let mut coverage = Coverage::default();
        let mut known: HashSet<Fingerprint> = HashSet::new();
        let mut found: Vec<(Shrunk, Discovery)> = Vec::new();
        let mut repetitions = 0;
        let mut episode = 0;
        while !watch.enough(&coverage) && found.len() < MOST_FINDINGS && repetitions < MOST_REPETITIONS {
            let mut enough = |coverage: &Coverage| watch.enough(coverage);
            let discovery = run_episode(self.target, &self.plan, episode, &mut coverage, &mut enough)?;
            coverage.episodes += 1;
            episode += 1;
            let Some(discovery) = discovery else { continue };
            if !known.insert(discovery.finding.fingerprint()) {
                repetitions += 1;
                continue;
            }
            watch.found(&discovery.finding);
            let shrunk = self.shrink(&discovery);
            found.push((shrunk, discovery));
        }
        let mut report = Report::new(self.asked.clone(), &coverage, watch.seconds());
        for (shrunk, discovery) in &found {
            let path = self.write(shrunk, discovery).map_err(|error| TargetError::Connection(error.to_string()))?;
            let replay = format!("tally replay {}{}", path.display(), self.replay_suffix);
            report.found(shrunk, &path.display().to_string(), replay);
        }
        Ok(report)
    }

    fn shrink(&mut self, discovery: &Discovery) -> Shrunk {
        let budget = if self.target.can().live { Budget::LIVE } else { Budget::EMBEDDED };
        let profile = self.plan.profile.clone();
        let target = &mut *self.target;
        let mut run = |script: &Script| {
            // What shrinking exercises is not the run's coverage.
            let mut coverage = Coverage::default();
            run_script(target, script, profile.clone(), &mut coverage, &mut |_, _| {}).err()
        };
        shrink(&discovery.script, &discovery.finding, budget, &mut run)
    }

    fn write(&self, shrunk: &Shrunk, discovery: &Discovery) -> std::io::Result<PathBuf> {
        let text = replay_file(&shrunk.script, &shrunk.finding, discovery, self.plan.seed);
        let path = free_name(&self.folder, &shrunk.finding.fingerprint());
        std::fs::write(&path, text)?;
        Ok(path)
    }
}

/// `deviation-<command>-<clause or kind>.tally`, with a number where that exists with another content.
fn free_name(folder: &Path, fingerprint: &Fingerprint) -> PathBuf {
    let command: String = fingerprint.command.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
    let which = fingerprint.clause.unwrap_or(&fingerprint.kind);
    let which: String =
        which.chars().map(|sign| if sign.is_ascii_alphanumeric() { sign } else { '-' }).take(60).collect();
    let mut number = 1;
    loop {
        let suffix = if number == 1 { String::new() } else { format!("-{number}") };
        let path = folder.join(format!("deviation-{command}-{which}{suffix}.tally"));
        if !path.exists() || number == 100 {
            return path;
        }
        number += 1;
    }
}
