//! A step: judges an outcome in every world, and makes the worlds that explain it the state.
//!
//! ```text
//! step ── EXEC that executes ── transaction::run, which comes back here for each queued command
//!   │                                                    │
//!   └─ judge_with_pushes ── worlds ── admits? ── commit ─┴─ what others receive of it
//!   └─ serve: the clients that waited for what is there now
//! ```

use std::cell::RefCell;

use crate::allowed::Allowed;
use crate::call::{Call, Choice};
use crate::clause::Clause;
use crate::client::{ClientId, Touched};
use crate::commands::{self, Command};
use crate::delivery::Manner;
use crate::deviation::{Deviation, DeviationKind, Verdict};
use crate::erratum::Erratum;
use crate::keyspace::{Entry, Slot};
use crate::model::Model;
use crate::notify;
use crate::plan::{ErratumPlan, Plan, Propagation};
use crate::propagation::Propagated;
use crate::reply::{Bytes, Reply};
use crate::span::{Outcome, Span};

/// The most worlds one command is judged in; with more open keys in one command than that its answer is left unchecked.
const MOST_WORLDS: usize = 256;

/// Adds a state to those that a key may be in. Where one differs in when the key was made or used alone, they are one of
/// which less is known: the younger key, with every use that may have been.
fn add_state(states: &mut Vec<Option<Entry>>, state: Option<Entry>) {
    let twin = states.iter_mut().find(|known| match (&**known, &state) {
        (Some(known), Some(entry)) => *known == Entry { born: known.born, access: known.access, ..entry.clone() },
        (known, state) => known.is_none() && state.is_none(),
    });
    match (twin, state) {
        (Some(Some(known)), Some(entry)) => {
            known.born = known.born.max(entry.born);
            known.access = known.access.or(entry.access);
        }
        (Some(_), _) => {}
        (None, state) => states.push(state),
    }
}

/// One way the open keys may stand, and what follows in it.
pub(crate) struct World {
    command: Option<&'static Command>,
    choices: Vec<Choice>,
    cited: Vec<Clause>,
    pub(crate) plan: Plan,
}

impl Model {
    /// What would be accepted as the answer to this command. Changes nothing.
    pub fn allowed(&self, client: ClientId, command: &[&[u8]], span: Span) -> Allowed {
        let mut worlds = self.worlds(client, command, span, None).into_iter().map(|world| world.plan.allowed);
        let first = worlds.next().unwrap_or(Allowed::Unspecified(Clause::DISPATCH_1));
        worlds.fold(first, |one, other| Allowed::Either(Box::new(one), Box::new(other)))
    }

    /// Whether the command would store one of several choices without telling which.
    pub fn stores_arbitrarily(&self, client: ClientId, command: &[&[u8]], span: Span) -> bool {
        self.worlds(client, command, span, None).iter().any(|world| world.plan.arbitrary)
    }

    /// Judges what a command led to, and moves to the state that follows from it. After a deviation the state is as before,
    /// except within EXEC, where it is undefined.
    ///
    /// The outcome is everything that the connection received for the command: before the reply also the command's line of
    /// MONITOR, if the connection is in it, and what the command sends to its own sender. What other connections have to
    /// receive is in [`Model::take_due`].
    pub fn step(
        &mut self,
        client: ClientId,
        command: &[&[u8]],
        outcome: &Outcome<'_>,
        span: Span,
    ) -> Result<Verdict, Box<Deviation>> {
        self.propagated = Propagated::default();
        if command.is_empty() && outcome.replies.is_empty() && !outcome.closed {
            // An inline request whose arguments are all empty is none.
            self.witness(Clause::INLINE_2);
            return Ok(Verdict::default());
        }
        if self.was_killed_meanwhile(client, outcome) {
            self.witness(Clause::CLIENT_12);
            if !self.is_killed(client) {
                // Perhaps it was this command that ended the connection, and then it was shown and logged.
                let ends = |spec: &&Command| matches!(spec.name, "post" | "host:");
                if let Some(spec) = command.first().and_then(|name| commands::find(name)).filter(ends) {
                    self.show_to_monitors(client, spec, command, true, span);
                }
                self.server.slowlog.lose_track();
            }
            self.release(client);
            return Ok(Verdict::default());
        }
        self.doubt_before(client, command);
        if self.was_refused_for_memory(client, command, outcome) {
            self.witness(Clause::OOM_1);
            self.lose_evictable(outcome, span)?;
            self.note_refusal(client, command);
            return Ok(Verdict::default());
        }
        let mut verdict = if self.executes_transaction(client, command, outcome) {
            self.run_transaction(client, command, outcome, span)?
        } else {
            self.judge_with_pushes(client, command, outcome, span)?
        };
        self.serve(span);
        verdict.lost |= std::mem::take(&mut self.lost_track);
        if outcome.closed {
            self.release(client);
        }
        Ok(verdict)
    }

    /// Judges a command whose reply may stand behind, and for EXEC before, what else its sender receives of it.
    pub(crate) fn judge_with_pushes(
        &mut self,
        client: ClientId,
        command: &[&[u8]],
        outcome: &Outcome<'_>,
        span: Span,
    ) -> Result<Verdict, Box<Deviation>> {
        let before = self.pushes_at_front(client, outcome.replies);
        let rest = &outcome.replies[before..];
        let after = if command.first().is_some_and(|name| name.eq_ignore_ascii_case(b"exec")) {
            self.pushes_at_end(client, rest)
        } else {
            0
        };
        let (replies, behind) = rest.split_at(rest.len() - after);
        self.delivery.begin(client);
        let judged = self.judge(client, command, &Outcome { replies, closed: outcome.closed }, span);
        let own = self.delivery.end();
        let verdict = judged?;
        if verdict.lost {
            // What it ran nobody knows, and so what monitors and listeners were told of it.
            return Ok(verdict);
        }
        own.before.compare(&outcome.replies[..before], self.profile.errors)?;
        own.after.compare(behind, self.profile.errors)?;
        Ok(verdict)
    }

    /// Judges what a command was answered, and moves to the state that follows from it.
    pub(crate) fn judge(
        &mut self,
        client: ClientId,
        command: &[&[u8]],
        outcome: &Outcome<'_>,
        span: Span,
    ) -> Result<Verdict, Box<Deviation>> {
        let script = self.script_of(client, command, span);
        if let Some(script) = &script
            && let Some(judged) = self.run_script(client, command, script, outcome, span)
        {
            return judged;
        }
        // What it did nobody tells.
        let untold = script.is_some();
        let mut worlds = self.worlds(client, command, span, outcome.replies.first());
        let errors = self.profile.errors;
        if worlds.len() >= MOST_WORLDS {
            worlds.truncate(1);
            let mut lost = false;
            if let Some(world) = worlds.pop() {
                // Which of the keys were evicted the answer told, but nobody has read it.
                lost = self.evicts() && !world.plan.changes.is_empty();
                let keys: Vec<(usize, Bytes)> =
                    world.choices.iter().map(|choice| (choice.db, choice.key.clone())).collect();
                self.commit(client, command, world, outcome, span);
                self.doubt_again(&keys);
            }
            return Ok(Verdict { unspecified: true, lost, ..Verdict::default() });
        }
        let mut verdict = Verdict::default();
        if !worlds.iter().any(|world| world.plan.allowed.admits(outcome, errors)) {
            let Some(erratum) = self.admit_erratum(&mut worlds, outcome) else {
                return Err(self.deviation(self.worlds(client, command, span, None), outcome));
            };
            verdict.erratum = Some(erratum);
        }
        // One world that is left has just been asked.
        if worlds.len() > 1 {
            // What one world explains, another may by a known defect: then either may be the state.
            if verdict.erratum.is_none() {
                let wrong = |world: &&mut World| !world.plan.allowed.admits(outcome, errors);
                self.admit_erratum(worlds.iter_mut().filter(wrong), outcome);
            }
            worlds.retain(|world| world.plan.allowed.admits(outcome, errors));
        }
        if verdict.erratum.is_none() {
            self.add_disguised_errata(&mut worlds, outcome);
        }
        verdict.unspecified = worlds.iter().all(|world| world.plan.allowed.is_unspecified());
        let scripts = |world: &World| matches!(world.plan.allowed, Allowed::Unspecified(Clause::EVAL_1));
        let refused = outcome.replies.first().is_some_and(crate::script::is_refusal);
        verdict.lost = untold || !refused && worlds.iter().any(scripts);
        verdict.unspecified |= untold;
        for world in &worlds {
            self.witness(world.plan.clause);
            for &clause in &world.cited {
                self.witness(clause);
            }
        }
        if worlds.len() == 1 {
            if let Some(world) = worlds.pop() {
                self.commit(client, command, world, outcome, span);
            }
        } else {
            self.commit_several(client, command, worlds, outcome, span);
        }
        Ok(verdict)
    }

    /// How many replies a command leads to when its first one is this, and whether the connection ends then.
    pub(crate) fn replies_due(
        &self,
        client: ClientId,
        command: &[&[u8]],
        span: Span,
        answer: Option<&Reply>,
    ) -> (usize, bool) {
        let worlds = self.worlds(client, command, span, answer);
        worlds.first().map_or((1, false), |world| (world.plan.allowed.count(), world.plan.allowed.closes()))
    }

    /// Judges the command in every world: each way the look-ups it makes may turn out.
    pub(crate) fn worlds(
        &self,
        client_id: ClientId,
        command: &[&[u8]],
        span: Span,
        answer: Option<&Reply>,
    ) -> Vec<World> {
        let (Some(client), Some(_)) = (self.clients.get(&client_id), command.first()) else {
            return Vec::new();
        };
        let spec = command.first().and_then(|name| commands::find(name));
        let mut worlds = Vec::with_capacity(1);
        let mut choices: Vec<Choice> = Vec::new();
        loop {
            let call = Call {
                model: self,
                client_id,
                client,
                args: command,
                command: spec,
                span,
                answer,
                choices: RefCell::new(choices),
                cited: RefCell::new(Vec::new()),
            };
            let plan = commands::plan(&call);
            let (made, cited) = (call.choices.into_inner(), call.cited.into_inner());
            choices = next_choices(&made);
            worlds.push(World { command: spec, choices: made, cited, plan });
            if choices.is_empty() || worlds.len() >= MOST_WORLDS {
                return worlds;
            }
        }
    }

    /// Looks for known defects of the profile that explain the outcome, and makes their plans the worlds' where they do.
    fn admit_erratum<'w>(
        &self,
        worlds: impl IntoIterator<Item = &'w mut World>,
        outcome: &Outcome<'_>,
    ) -> Option<Erratum> {
        let mut first = None;
        for world in worlds {
            let explains = |plan: &&ErratumPlan| {
                self.profile.errata.contains(&plan.erratum) && plan.allowed.admits(outcome, self.profile.errors)
            };
            if let Some(plan) = world.plan.errata.iter().find(explains) {
                first = first.or(Some(plan.erratum));
                world.plan.allowed = plan.allowed.clone();
                world.plan.changes = plan.changes.clone();
                // What changed the data set was handed on somehow.
                let failed = matches!(outcome.replies.first(), Some(Reply::Error(_)));
                if world.plan.propagation == Propagation::Nothing && !failed && !plan.changes.is_empty() {
                    world.plan.propagation = Propagation::Unspecified;
                }
            }
        }
        first
    }

    /// A known defect may change the state wrongly behind a right answer: then either may be the state.
    fn add_disguised_errata(&self, worlds: &mut Vec<World>, outcome: &Outcome<'_>) {
        let mut disguised = Vec::new();
        for world in worlds.iter() {
            for erratum in &world.plan.errata {
                let known = self.profile.errata.contains(&erratum.erratum);
                let differs = erratum.changes != world.plan.changes;
                if known && differs && erratum.allowed.admits(outcome, self.profile.errors) {
                    let plan = Plan { changes: erratum.changes.clone(), ..world.plan.clone() };
                    disguised.push(World {
                        command: world.command,
                        choices: world.choices.clone(),
                        cited: Vec::new(),
                        plan,
                    });
                }
            }
        }
        worlds.append(&mut disguised);
    }

    fn deviation(&self, worlds: Vec<World>, outcome: &Outcome<'_>) -> Box<Deviation> {
        let clause = worlds.first().map_or(Clause::DISPATCH_1, |world| world.plan.clause);
        let mut allowed = worlds.into_iter().map(|world| world.plan.allowed);
        let first = allowed.next().unwrap_or(Allowed::Nothing);
        let allowed = allowed.fold(first, |one, other| Allowed::Either(Box::new(one), Box::new(other)));
        let kind = DeviationKind::of(&allowed, outcome.replies, outcome.closed);
        Box::new(Deviation { clause, allowed, received: outcome.replies.to_vec(), closed: outcome.closed, kind })
    }

    /// Makes the only world that explains the outcome the state.
    pub(crate) fn commit(
        &mut self,
        client: ClientId,
        command: &[&[u8]],
        world: World,
        outcome: &Outcome<'_>,
        span: Span,
    ) {
        let failed = matches!(outcome.replies.first(), Some(Reply::Error(_)));
        if let (true, Some(spec)) = (world.plan.executed, world.command) {
            self.show_to_monitors(client, spec, command, false, span);
        }
        let name = world.command.map_or("", |command| command.name);
        let in_turn = world.plan.executed && notify::tells_in_turn(name);
        self.settle(&world.choices, command, failed, in_turn, span);
        if self.records_propagation {
            self.note_propagation(client, command, &world);
        }
        let executed = world.plan.executed;
        // What is queued or refused uses none.
        if executed {
            self.use_keys(client, world.command, command, outcome, span);
        }
        let ends = executed && name == "exec" && self.in_transaction(client);
        let rewritten = world.plan.rewrites(name);
        self.make_changes(client, name, command, world.plan, outcome, span);
        if executed {
            self.log_if_slow(client, command, rewritten, span);
        }
        if ends {
            self.show_execution(client, command[0], span);
        }
        if let Some(client) = self.clients.get_mut(&client)
            && !self.executing
        {
            client.last_command = world.command.map(|command| command.name);
        }
    }

    /// Several worlds explain the outcome: each key they touch may be in any of the states they lead to, and what only some
    /// of them make others receive need not come.
    fn commit_several(
        &mut self,
        client: ClientId,
        command: &[&[u8]],
        worlds: Vec<World>,
        outcome: &Outcome<'_>,
        span: Span,
    ) {
        let mut keys: Vec<(usize, Bytes)> = Vec::new();
        for world in &worlds {
            keys.extend(world.choices.iter().map(|choice| (choice.db, choice.key.clone())));
            for change in &world.plan.changes {
                keys.extend(change.keys().map(|(db, key)| (db, key.clone())));
            }
        }
        keys.sort();
        keys.dedup();
        let before: Vec<Option<Slot>> = keys.iter().map(|(db, key)| self.keyspace.slot(*db, key).cloned()).collect();
        let touched_before = self.touched();
        let delivery = self.delivery.clone();
        let slowlog = self.server.slowlog.clone();
        let mut states: Vec<Vec<Option<Entry>>> = vec![Vec::new(); keys.len()];
        let mut touched: Vec<Vec<(ClientId, Touched)>> = Vec::new();
        let mut deliveries = Vec::new();
        // A key that comes into being does so in each of the worlds at the same moment.
        let (born, mut last_born) = (self.keyspace.next_born, self.keyspace.next_born);
        for world in worlds {
            self.keyspace.next_born = born;
            for ((db, key), slot) in keys.iter().zip(&before) {
                self.keyspace.set_slot(*db, key, slot.clone());
            }
            self.set_touched(&touched_before);
            self.delivery = delivery.clone();
            // It is logged once, in whichever of the worlds.
            self.server.slowlog = slowlog.clone();
            self.commit(client, command, world, outcome, span);
            last_born = last_born.max(self.keyspace.next_born);
            touched.push(self.touched());
            deliveries.push(self.delivery.clone());
            for ((db, key), states) in keys.iter().zip(&mut states) {
                let after = match self.keyspace.slot(*db, key) {
                    None => vec![None],
                    Some(Slot::Known(entry)) => vec![Some(entry.clone())],
                    Some(Slot::Open(versions)) => versions.clone(),
                };
                for state in after {
                    add_state(states, state);
                }
            }
        }
        self.keyspace.next_born = last_born;
        for ((db, key), mut states) in keys.into_iter().zip(states) {
            let slot =
                if states.len() > 1 { Some(Slot::Open(states)) } else { states.pop().flatten().map(Slot::Known) };
            self.keyspace.set_slot(db, &key, slot);
        }
        self.set_touched_in_some(touched);
        self.delivery.merge(&delivery, deliveries);
        // Which of the worlds was propagated cannot be told.
        self.propagated = Propagated { unspecified: true, ..Propagated::default() };
    }

    /// The look-ups turned out this way: removes keys that were found expired, narrows down what stays.
    /// What is told of them awaits its turn where the command tells of each of its keys in turn.
    fn settle(&mut self, choices: &[Choice], command: &[&[u8]], failed: bool, in_turn: bool, span: Span) {
        for choice in choices {
            let Some(slot) = self.keyspace.slot(choice.db, &choice.key) else { continue };
            let settled = slot.options(span).get(choice.taken).copied().flatten().cloned();
            if settled.is_none() {
                // What may have gone before, for another reason, need not be told as expired now, and never if it cannot be.
                let perhaps_absent = slot.may_be_absent();
                let failed = failed || perhaps_absent;
                if choice.removes && perhaps_absent && !slot.may_have_expired(span) {
                    if self.evicts() {
                        self.witness(Clause::EVICTION_8);
                    }
                    self.remove_expired(choice.db, &choice.key);
                } else if choice.removes && in_turn {
                    if self.remove_expired(choice.db, &choice.key) {
                        self.untold.push((choice.db, choice.key.clone(), failed));
                    }
                } else if choice.removes {
                    let silently = self.has(Erratum::E_160) && notify::stores_at(command, &choice.key);
                    self.expire(choice.db, &choice.key, failed || silently);
                    if silently {
                        let manner = Manner { optional: true, ..Manner::surely(Clause::NOTIFY_9) };
                        self.notify(choice.db, &choice.key, (b'g', "del"), manner);
                    }
                }
                continue;
            }
            let settled = settled.map(|mut entry| {
                if let Some(deadline) = &mut entry.deadline
                    && !deadline.is_unknown()
                {
                    deadline.earliest_ms = deadline.earliest_ms.max(span.earliest_ms);
                }
                Slot::Known(entry)
            });
            self.keyspace.set_slot(choice.db, &choice.key, settled);
        }
    }

    fn note_propagation(&mut self, client: ClientId, command: &[&[u8]], world: &World) {
        let verbatim = || vec![command.iter().map(|argument| argument.to_vec()).collect::<Vec<Bytes>>()];
        let (aof, replicas, unspecified) = match &world.plan.propagation {
            Propagation::Nothing => (Vec::new(), Vec::new(), false),
            Propagation::Verbatim => (verbatim(), verbatim(), false),
            Propagation::Instead { aof, replicas } => (aof.clone(), replicas.clone().unwrap_or_else(verbatim), false),
            Propagation::Unspecified => (Vec::new(), Vec::new(), true),
        };
        let verbatim_clause = matches!(world.plan.propagation, Propagation::Verbatim);
        // A key that was open may have gone in another way than for being expired.
        let gone = world.choices.iter().filter(|choice| {
            self.keyspace.slot(choice.db, &choice.key).is_none() && choice.taken + 1 == choice.options && !choice.open
        });
        self.propagated = Propagated {
            expired: gone.map(|choice| (choice.db, choice.key.clone())).collect(),
            db: self.selected_db(client),
            aof,
            replicas,
            unspecified,
            ..Propagated::default()
        };
        self.witness(Clause::PROPAGATION_1);
        if verbatim_clause {
            self.witness(Clause::PROPAGATION_2);
        }
        if !self.propagated.expired.is_empty() {
            self.witness(Clause::EXPIRY_6);
        }
    }
}

/// The next combination of choices to try, counting like an odometer; empty when all were tried.
fn next_choices(made: &[Choice]) -> Vec<Choice> {
    let mut choices = made.to_vec();
    while let Some(mut last) = choices.pop() {
        if last.taken + 1 < last.options {
            last.taken += 1;
            choices.push(last);
            break;
        }
    }
    choices
}
