//! Is there an order of these operations, consistent with real time, that the model accepts?
//!
//! The search of Wing and Gong with Lowe's memory: an operation may come next if it was called before any other that is
//! still missing had returned. A command that blocks takes effect twice, when it begins to wait and when it is served; in
//! between it counts as missing. What only its own client can see (MULTI, queueing) is taken at once, because it commutes
//! with everything of the others.

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use tally_model::{ClientId, ErrorPolicy, Model, Outcome, Peer, Profile, Reply, Span};

use super::history::{History, Operation};

/// Steps of the model after which a search gives up.
const MOST_STEPS: usize = 20_000;

/// The most operations that one search takes.
pub(super) const MOST_OPERATIONS: usize = 128;

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// An order that explains every answer.
    Explained,
    /// There is none.
    Unexplained,
    /// It was too much to look at.
    Undecided,
}

/// When everything runs, as the model sees it: racing clients use nothing that depends on time.
const MOMENT: Span = Span { earliest_ms: 1_700_000_000_000, latest_ms: 1_700_000_000_000 };

/// Looks for an order. `required[i]` says that operation `i` has returned; another one may have taken effect or not.
pub fn explain(history: &History, required: &[bool], profile: &Profile) -> Verdict {
    if history.operations.len() > MOST_OPERATIONS {
        return Verdict::Undecided;
    }
    let mut model = Model::new(profile.clone());
    for (client, &id) in history.ids.iter().enumerate() {
        let number = ClientId(client as u64);
        model.connect(number, Peer { local: true, ..Peer::default() });
        // So that the model knows whom CLIENT UNBLOCK means.
        let told = model.step(number, &[b"client", b"id"], &Outcome::reply(&Reply::Integer(id)), MOMENT);
        if told.is_err() {
            return Verdict::Undecided;
        }
    }
    let mut search =
        Search { operations: &history.operations, required, errors: profile.errors, seen: HashSet::new(), steps: 0 };
    let start = Situation { model, done: 0, waiting: Vec::new(), watching: 0, order: 0 };
    match search.goes_on(start) {
        Some(true) => Verdict::Explained,
        Some(false) => Verdict::Unexplained,
        None => Verdict::Undecided,
    }
}

/// A state, and what led to it.
#[derive(Clone)]
struct Situation {
    model: Model,
    /// Operations that took effect, one bit each.
    done: u128,
    /// Those among them that wait, in the order in which they began to.
    waiting: Vec<usize>,
    /// Clients that watch something, one bit each.
    watching: u64,
    /// Stands for the order of what happened since somebody watches or waits: whether a watched key was touched, and who
    /// is served first, follows from that order and not from the dataset.
    order: u64,
}

struct Search<'a> {
    operations: &'a [Operation],
    required: &'a [bool],
    errors: ErrorPolicy,
    seen: HashSet<(u128, u64)>,
    steps: usize,
}

impl Search<'_> {
    /// Can the rest be explained from here? None when it is too much.
    fn goes_on(&mut self, situation: Situation) -> Option<bool> {
        let missing = |index: usize| situation.done >> index & 1 == 0 || situation.waiting.contains(&index);
        let awaited = (0..self.operations.len()).filter(|&index| self.required[index] && missing(index));
        let horizon = awaited.map(|index| self.operations[index].returned).min();
        let Some(horizon) = horizon else { return Some(true) };
        if !self.seen.insert((situation.done, situation.fingerprint())) {
            return Some(false);
        }
        let mut candidates = self.next_of_each_client(&situation);
        candidates.retain(|&index| self.operations[index].called <= horizon);
        if let Some(&own) = candidates.iter().find(|&&index| self.is_own_affair(&situation, index)) {
            candidates = vec![own];
        }
        let mut options: Vec<(usize, bool)> = candidates.iter().map(|&index| (index, false)).collect();
        let waiting = candidates.iter().filter(|&&index| super::program::blocks(&self.operations[index].request));
        options.extend(waiting.map(|&index| (index, true)));
        // The last one takes the situation itself.
        let mut situation = Some(situation);
        for (place, &(index, waits)) in options.iter().enumerate() {
            let last = place + 1 == options.len();
            let Some(before) = (if last { situation.take() } else { situation.clone() }) else { break };
            self.steps += 1;
            if self.steps > MOST_STEPS {
                return None;
            }
            if let Some(next) = self.apply(before, index, waits)
                && self.goes_on(next)?
            {
                return Some(true);
            }
        }
        Some(false)
    }

    /// The first operation of each client that has not taken effect; none of a client that waits.
    fn next_of_each_client(&self, situation: &Situation) -> Vec<usize> {
        let mut seen = 0u64;
        for &index in &situation.waiting {
            seen |= 1 << self.operations[index].client;
        }
        let mut next = Vec::new();
        for (index, operation) in self.operations.iter().enumerate() {
            if situation.done >> index & 1 == 0 && seen >> operation.client & 1 == 0 {
                seen |= 1 << operation.client;
                next.push(index);
            }
        }
        next
    }

    /// Can nobody but its client tell when it took effect?
    fn is_own_affair(&self, situation: &Situation, index: usize) -> bool {
        let operation = &self.operations[index];
        if operation.is("exec") {
            return false;
        }
        operation.is("multi") || situation.model.in_transaction(ClientId(operation.client as u64))
    }

    /// The situation that the operation leads to, if it is answered at once or if it waits: none if the model does not allow
    /// that.
    fn apply(&self, mut situation: Situation, index: usize, waits: bool) -> Option<Situation> {
        let operation = &self.operations[index];
        let client = ClientId(operation.client as u64);
        let words: Vec<&[u8]> = operation.request.arguments().collect();
        let replies = if waits { &[] } else { std::slice::from_ref(&operation.reply) };
        situation.model.step(client, &words, &Outcome { replies, closed: false }, MOMENT).ok()?;
        if waits && !situation.model.is_blocked(client) {
            return None;
        }
        situation.done |= 1 << index;
        if waits {
            situation.waiting.push(index);
        }
        situation.note_watching(operation);
        if !self.serves(&mut situation) {
            return None;
        }
        situation.order = match (situation.watching, situation.waiting.is_empty()) {
            (0, true) => 0,
            _ => hash(&(situation.order, index)),
        };
        Some(situation)
    }

    /// Holds what falls due to waiting clients against what they received.
    fn serves(&self, situation: &mut Situation) -> bool {
        for due in situation.model.take_due() {
            let of_client = |&index: &usize| ClientId(self.operations[index].client as u64) == due.client;
            let Some(place) = situation.waiting.iter().position(of_client) else { return false };
            let index = situation.waiting.remove(place);
            if !due.admits(&self.operations[index].reply, self.errors) {
                return false;
            }
        }
        true
    }
}

impl Situation {
    fn note_watching(&mut self, operation: &Operation) {
        let bit = 1 << operation.client;
        if operation.is("watch") {
            self.watching |= bit;
        }
        let ends = ["exec", "discard", "unwatch"].into_iter().any(|name| operation.is(name));
        if ends && operation.reply != Reply::status("QUEUED") {
            self.watching &= !bit;
        }
    }

    fn fingerprint(&self) -> u64 {
        let mut hasher = Writer(DefaultHasher::new());
        self.waiting.hash(&mut hasher.0);
        self.order.hash(&mut hasher.0);
        for record in self.model.dataset(MOMENT) {
            (record.db, record.key).hash(&mut hasher.0);
            // Writing to a hasher cannot fail.
            let _ = fmt::write(&mut hasher, format_args!("{:?}", record.entry.map(|entry| &entry.value)));
        }
        hasher.0.finish()
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

struct Writer(DefaultHasher);

impl fmt::Write for Writer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::request::split_arguments;

    /// Lines of `client called returned command`, each with its reply.
    fn verdict(lines: &[(usize, u64, u64, &str, Reply)]) -> Verdict {
        let operations = lines
            .iter()
            .map(|(client, called, returned, line, reply)| {
                Operation::new(*client, split_arguments(line).unwrap(), reply.clone(), *called, *returned)
            })
            .collect();
        let history = History { operations, ids: vec![11, 12, 13] };
        explain(&history, &vec![true; lines.len()], &Profile::strict())
    }

    fn bulk(text: &str) -> Reply {
        Reply::bulk(text)
    }

    #[test]
    fn overlapping_writes_may_take_effect_in_any_order_and_others_may_not() {
        let read = |called, got: &str| (1, called, called + 5, "GET k", bulk(got));
        let (first, second) = ((0, 0, 10, "SET k a", Reply::ok()), (2, 5, 20, "SET k b", Reply::ok()));
        assert_eq!(verdict(&[first.clone(), second.clone(), read(30, "a")]), Verdict::Explained);
        assert_eq!(verdict(&[first.clone(), second.clone(), read(30, "b")]), Verdict::Explained);
        let later = (2, 15, 20, "SET k b", Reply::ok());
        assert_eq!(verdict(&[first.clone(), later.clone(), read(30, "a")]), Verdict::Unexplained);
        assert_eq!(verdict(&[first, later, read(16, "a")]), Verdict::Explained);
    }

    #[test]
    fn two_reads_may_not_see_two_writes_in_opposite_orders() {
        let writes = [(0, 0, 100, "SET k a", Reply::ok()), (2, 0, 100, "SET k b", Reply::ok())];
        let reads = |one: &str, other: &str| {
            let first = (1, 10, 20, "GET k", bulk(one));
            let second = (1, 30, 40, "GET k", bulk(other));
            verdict(&[writes[0].clone(), writes[1].clone(), first, second])
        };
        assert_eq!(reads("a", "b"), Verdict::Explained);
        assert_eq!(reads("b", "a"), Verdict::Explained);
        let third = [(1, 10, 20, "GET k", bulk("a")), (1, 30, 40, "GET k", bulk("b")), (1, 50, 60, "GET k", bulk("a"))];
        let lines: Vec<_> = writes.iter().chain(&third).cloned().collect();
        assert_eq!(verdict(&lines), Verdict::Unexplained);
    }
}
