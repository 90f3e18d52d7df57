//! Explores every order of steps of a small system, breadth first, and prints the shortest way to what must not be.
//!
//! Our own instead of `stateright`: that crate wants a system's actions to be values of its `Model` trait with states
//! that it may hash and share among its threads, and brings an actor framework and a web server; what is needed here
//! is the trait's shape, a queue and a map. Exploration is single-threaded and deterministic, so a trace is the same on
//! every machine, and the transition functions called are the engine's own.
//!
//! States are remembered by a 128-bit fingerprint. That two of ten million states share one has a probability below
//! 10^-24, so a fingerprint seen before counts as a state seen before.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A system whose every behaviour is to be seen.
pub trait System {
    /// Everything that distinguishes two situations.
    type State: Clone + Hash;
    /// One step.
    type Action: Clone + fmt::Debug;

    /// Where it may begin.
    fn initial(&self) -> Vec<Self::State>;

    /// Adds every step that is possible in `state`.
    fn actions(&self, state: &Self::State, actions: &mut Vec<Self::Action>);

    /// What `action` leads to.
    fn next(&self, state: &Self::State, action: &Self::Action) -> Self::State;

    /// What must hold in each state.
    fn always(&self, state: &Self::State) -> Result<(), String>;

    /// What must hold where no step is possible; also the place to tell an end from a deadlock.
    fn finally(&self, state: &Self::State) -> Result<(), String>;

    /// What some state must show, so that silence is not mistaken for coverage.
    fn goals(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether `state` shows the goal of this index.
    fn shows(&self, state: &Self::State, goal: usize) -> bool {
        let _ = (state, goal);
        false
    }
}

/// What an exploration without a violation saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// Steps between them.
    pub transitions: usize,
    /// Steps of the longest shortest way.
    pub depth: usize,
    /// States without a further step.
    pub ends: usize,
}

/// A state that must not be, and the shortest way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What is wrong.
    pub message: String,
    /// The steps, printed.
    pub trace: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, after", self.message)?;
        for (number, step) in self.trace.iter().enumerate() {
            writeln!(f, "  {:3}. {step}", number + 1)?;
        }
        Ok(())
    }
}

impl std::error::Error for Violation {}

type Fingerprint = (u64, u64);

fn fingerprint(state: &impl Hash) -> Fingerprint {
    let half = |salt: u64| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        state.hash(&mut hasher);
        hasher.finish()
    };
    (half(1), half(2))
}

/// How each state was reached first.
type Origins<A> = HashMap<Fingerprint, Option<(Fingerprint, A)>>;

fn trace<A: fmt::Debug>(origins: &Origins<A>, end: Fingerprint) -> Vec<String> {
    let mut steps = Vec::new();
    let mut at = end;
    while let Some(Some((before, action))) = origins.get(&at) {
        steps.push(format!("{action:?}"));
        at = *before;
    }
    steps.reverse();
    steps
}

/// Visits every state, at most `limit` of them.
///
/// A violation is the first of: `always` fails somewhere, `finally` fails where nothing more can happen, more states
/// than `limit`, a goal that no state shows.
pub fn explore<S: System>(system: &S, limit: usize) -> Result<Explored, Violation> {
    let mut origins: Origins<S::Action> = HashMap::new();
    let mut queue = VecDeque::new();
    let mut goals = vec![false; system.goals().len()];
    let mut explored = Explored { states: 0, transitions: 0, depth: 0, ends: 0 };
    for state in system.initial() {
        let print = fingerprint(&state);
        if origins.insert(print, None).is_none() {
            queue.push_back((state, print, 0));
        }
    }
    let mut actions = Vec::new();
    while let Some((state, print, depth)) = queue.pop_front() {
        explored.states += 1;
        explored.depth = explored.depth.max(depth);
        if explored.states > limit {
            return Err(Violation { message: format!("more than {limit} states"), trace: trace(&origins, print) });
        }
        for (goal, reached) in goals.iter_mut().enumerate() {
            *reached = *reached || system.shows(&state, goal);
        }
        actions.clear();
        system.actions(&state, &mut actions);
        let mut judged = system.always(&state);
        if actions.is_empty() {
            explored.ends += 1;
            judged = judged.and_then(|()| system.finally(&state));
        }
        if let Err(message) = judged {
            return Err(Violation { message, trace: trace(&origins, print) });
        }
        for action in &actions {
            explored.transitions += 1;
            let next = system.next(&state, action);
            let next_print = fingerprint(&next);
            origins.entry(next_print).or_insert_with(|| {
                queue.push_back((next, next_print, depth + 1));
                Some((print, action.clone()))
            });
        }
    }
    match goals.iter().position(|reached| !reached) {
        Some(goal) => {
            Err(Violation { message: format!("no state shows: {}", system.goals()[goal]), trace: Vec::new() })
        }
        None => Ok(explored),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two clerks who each read a counter, then write back one more.
    struct Clerks {
        atomic: bool,
    }

    #[derive(Clone, Hash)]
    struct Office {
        counter: u8,
        read: [Option<u8>; 2],
        done: [bool; 2],
    }

    #[derive(Clone, Debug)]
    enum Step {
        Read(usize),
        Write(usize),
    }

    impl System for Clerks {
        type State = Office;
        type Action = Step;

        fn initial(&self) -> Vec<Office> {
            vec![Office { counter: 0, read: [None; 2], done: [false; 2] }]
        }

        fn actions(&self, office: &Office, actions: &mut Vec<Step>) {
            for clerk in 0..2 {
                match (office.read[clerk], office.done[clerk]) {
                    (None, _) if self.atomic && office.read[1 - clerk].is_some() && !office.done[1 - clerk] => {}
                    (None, _) => actions.push(Step::Read(clerk)),
                    (Some(_), false) => actions.push(Step::Write(clerk)),
                    _ => {}
                }
            }
        }

        fn next(&self, office: &Office, step: &Step) -> Office {
            let mut office = office.clone();
            match *step {
                Step::Read(clerk) => office.read[clerk] = Some(office.counter),
                Step::Write(clerk) => {
                    office.counter = office.read[clerk].map_or(0, |read| read + 1);
                    office.done[clerk] = true;
                }
            }
            office
        }

        fn always(&self, _: &Office) -> Result<(), String> {
            Ok(())
        }

        fn finally(&self, office: &Office) -> Result<(), String> {
            if office.counter == 2 { Ok(()) } else { Err(format!("counted {}", office.counter)) }
        }

        fn goals(&self) -> &'static [&'static str] {
            &["the second clerk is first"]
        }

        fn shows(&self, office: &Office, _: usize) -> bool {
            office.done == [false, true]
        }
    }

    #[test]
    fn a_lost_update_is_found_by_its_shortest_trace() {
        let found = explore(&Clerks { atomic: false }, 1000);
        let violation = found.err().map(|violation| (violation.message, violation.trace.len()));
        assert_eq!(violation, Some(("counted 1".to_owned(), 4)));
    }

    #[test]
    fn without_a_violation_every_state_is_counted_once() {
        let explored = explore(&Clerks { atomic: true }, 1000);
        assert_eq!(explored, Ok(Explored { states: 9, transitions: 8, depth: 4, ends: 2 }));
    }
}
