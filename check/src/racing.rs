//! Really concurrent clients against a live server: the recorded history holds if some order, consistent with when commands
//! were sent and answered, explains every answer to the model. [Linearizability](https://doi.org/10.1145/78969.78972)
//!
//! Rounds are short and begin on an empty server, so that each is judged alone: some clients, a few turns each, few keys.

pub mod history;
pub mod program;
pub mod search;

mod driver;

use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use tally_model::{Profile, Reply, commands};

use crate::choice::Choice;
use crate::coverage::Coverage;
use crate::grammar::index::command_index;
use crate::target::{TargetError, Url};
use driver::Racers;
use history::{History, Operation};
use program::Round;
use search::{Verdict, explain};

/// Clients that race at most.
const MOST_CLIENTS: usize = 5;

/// How long a finding is run again and again with less in it.
const SHRINKING: Duration = Duration::from_secs(5);

/// Runs of a smaller round before it counts as not showing the finding.
const ATTEMPTS: usize = 40;

/// What a race is asked for.
#[derive(Clone, Debug)]
pub struct Race {
    /// The server.
    pub url: Url,
    /// Everything drawn comes from it; who wins a race does not.
    pub seed: u64,
    /// What the model takes the server for.
    pub profile: Profile,
}

/// A history that no order explains.
#[derive(Clone, Debug)]
pub struct Anomaly {
    /// The number of its round.
    pub round: u64,
    /// As few operations as still cannot be explained.
    pub history: History,
}

/// What a run of races did.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Rounds.
    pub rounds: u64,
    /// What was found; the run ends with it.
    pub anomaly: Option<Anomaly>,
}

impl Anomaly {
    /// What is expected of every history.
    pub const EXPECTED: &str =
        "an order of these commands, consistent with when each was sent and answered, that explains every answer";
}

impl Race {
    /// Runs rounds until something is found or `enough` says so.
    ///
    /// # Errors
    /// When the server cannot be used.
    pub fn run(
        &self,
        coverage: &mut Coverage,
        enough: &mut dyn FnMut(&Coverage) -> bool,
    ) -> Result<Outcome, TargetError> {
        let mut racers = Racers::open(&self.url, MOST_CLIENTS)?;
        let mut outcome = Outcome::default();
        while !enough(coverage) {
            let round = self.draw(outcome.rounds);
            let history = racers.run(&round)?;
            for operation in &history.operations {
                coverage.accepted(command_index(operation.request.name()));
            }
            match self.judge(&history) {
                Judgement::Holds => {}
                Judgement::Undecided => coverage.undecided += 1,
                Judgement::Anomaly(part) => {
                    let part = self.shrink(&mut racers, round, part)?;
                    outcome.anomaly = Some(Anomaly { round: outcome.rounds, history: smallest(&part, &self.profile) });
                    outcome.rounds += 1;
                    return Ok(outcome);
                }
            }
            outcome.rounds += 1;
            coverage.episodes += 1;
        }
        Ok(outcome)
    }

    /// The round of that number.
    fn draw(&self, number: u64) -> Round {
        let mut choice = ChaCha8Rng::seed_from_u64(self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let clients = 2 + choice.below(MOST_CLIENTS as u32 - 1) as usize;
        program::draw(&mut choice, clients, number)
    }

    fn judge(&self, history: &History) -> Judgement {
        let mut judgement = Judgement::Holds;
        for part in history.parts() {
            match explain(&part, &vec![true; part.operations.len()], &self.profile) {
                Verdict::Explained => {}
                Verdict::Unexplained => return Judgement::Anomaly(part),
                Verdict::Undecided => judgement = Judgement::Undecided,
            }
        }
        judgement
    }

    /// Runs smaller and smaller rounds, each several times, as long as they show an anomaly.
    fn shrink(&self, racers: &mut Racers, mut round: Round, mut found: History) -> Result<History, TargetError> {
        let end = Instant::now() + SHRINKING;
        'smaller: loop {
            for candidate in smaller(&round) {
                for _ in 0..ATTEMPTS {
                    if Instant::now() > end {
                        return Ok(found);
                    }
                    if let Judgement::Anomaly(part) = self.judge(&racers.run(&candidate)?) {
                        (round, found) = (candidate, part);
                        continue 'smaller;
                    }
                }
            }
            return Ok(found);
        }
    }
}

enum Judgement {
    Holds,
    Undecided,
    Anomaly(History),
}

/// The rounds without one client, then those without one turn.
fn smaller(round: &Round) -> Vec<Round> {
    let mut smaller = Vec::new();
    for client in 0..round.programs.len() {
        if round.programs.len() > 1 {
            let mut fewer = round.clone();
            fewer.programs.remove(client);
            smaller.push(fewer);
        }
    }
    for client in 0..round.programs.len() {
        for turn in 0..round.programs[client].len() {
            let mut fewer = round.clone();
            fewer.programs[client].remove(turn);
            if !fewer.programs[client].is_empty() {
                smaller.push(fewer);
            }
        }
    }
    smaller
}

/// The beginning of a history that cannot be explained any more, without what was only read and is not needed for that.
fn smallest(history: &History, profile: &Profile) -> History {
    let mut ends: Vec<u64> = history.operations.iter().map(|operation| operation.returned).collect();
    ends.sort_unstable();
    let mut beginning = history.clone();
    let mut required = vec![true; history.operations.len()];
    for end in ends {
        // What had not returned by then may have taken effect or not.
        let begun = |operation: &&Operation| operation.called <= end;
        let operations: Vec<_> = history.operations.iter().filter(begun).cloned().collect();
        let returned: Vec<bool> = operations.iter().map(|operation| operation.returned <= end).collect();
        let candidate = History { operations, ids: history.ids.clone() };
        if explain(&candidate, &returned, profile) == Verdict::Unexplained {
            (beginning, required) = (candidate, returned);
            break;
        }
    }
    // Without what changed nothing there is more that explains the rest, never less.
    let mut index = 0;
    while index < beginning.operations.len() {
        let units = beginning.units();
        let (unit, rest): (Vec<usize>, Vec<usize>) = (0..units.len()).partition(|at| units[*at] == index);
        let operations =
            |places: &[usize]| -> Vec<_> { places.iter().map(|at| beginning.operations[*at].clone()).collect() };
        if changes_nothing(&operations(&unit)) {
            let candidate = History { operations: operations(&rest), ids: beginning.ids.clone() };
            let still: Vec<bool> = rest.iter().map(|at| required[*at]).collect();
            if !unit.is_empty() && explain(&candidate, &still, profile) == Verdict::Unexplained {
                (beginning, required) = (candidate, still);
                continue;
            }
        }
        index += 1;
    }
    beginning
}

/// Did the command, or all from a WATCH or MULTI to the transaction's end, leave every key as it was?
fn changes_nothing(unit: &[Operation]) -> bool {
    let given_up = unit.iter().any(|operation| {
        let fails = matches!(operation.reply, Reply::NilArray | Reply::Error(_));
        operation.is("discard") || operation.is("exec") && fails
    });
    unit.iter().all(|operation| {
        let frames = ["watch", "unwatch", "multi", "exec", "discard"].into_iter().any(|name| operation.is(name));
        frames || only_reads(operation.request.name()) || given_up && operation.reply == Reply::status("QUEUED")
    })
}

fn only_reads(name: &[u8]) -> bool {
    commands::find(name).is_some_and(|command| command.flags.split(' ').any(|flag| flag == "readonly"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::request::split_arguments;

    #[test]
    fn an_anomaly_is_shown_without_what_changed_nothing_and_without_what_came_later() {
        let queued = || Reply::status("QUEUED");
        let operations = [
            (0, 0, "GET k", Reply::NilBulk),
            (0, 10, "WATCH k", Reply::ok()),
            (0, 20, "MULTI", Reply::ok()),
            (0, 30, "SET k a", queued()),
            (0, 40, "DISCARD", Reply::ok()),
            (1, 50, "SET k b", Reply::ok()),
            (1, 60, "MULTI", Reply::ok()),
            (1, 70, "STRLEN k", queued()),
            (1, 80, "EXEC", Reply::Array(vec![Reply::Integer(1)])),
            (0, 90, "GET k", Reply::bulk("a")),
            (0, 100, "SET k c", Reply::ok()),
        ]
        .map(|(client, called, line, reply)| {
            Operation::new(client, split_arguments(line).unwrap(), reply, called, called + 5)
        });
        let profile = Profile::strict();
        let shown = smallest(&History { operations: operations.to_vec(), ids: vec![11, 12, 13] }, &profile);
        assert_eq!(shown.operations, [operations[5].clone(), operations[9].clone()]);
    }
}
