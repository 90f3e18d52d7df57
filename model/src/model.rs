//! The model itself: judges an outcome, and moves to the state that the outcome implies.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::allowed::Allowed;
use crate::call::{Call, Choice};
use crate::clause::Clause;
use crate::client::{Client, ClientId, Peer};
use crate::commands::{self, Command};
use crate::deviation::{Deviation, DeviationKind, Verdict};
use crate::due::Due;
use crate::erratum::Erratum;
use crate::hyperloglog::HyperLogLog;
use crate::keyspace::{Access, Entry, Fate, Keyspace, Slot};
use crate::plan::{Change, ErratumPlan, Expiry, Plan, Propagation};
use crate::profile::Profile;
use crate::propagation::Propagated;
use crate::reply::{Bytes, Reply};
use crate::scan::Iterations;
use crate::scan_elements::ElementIterations;
use crate::server::Server;
use crate::span::{Outcome, Span};
use crate::value::{Encoding, Kind, Value};

/// The most worlds one command is judged in; with more open keys in one command than that its answer is left unchecked.
const MOST_WORLDS: usize = 256;

/// One way the open keys may stand, and what follows in it.
struct World {
    command: Option<&'static Command>,
    choices: Vec<Choice>,
    cited: Vec<Clause>,
    plan: Plan,
}

/// The specification, executable.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) profile: Profile,
    pub(crate) keyspace: Keyspace,
    pub(crate) server: Server,
    pub(crate) clients: BTreeMap<ClientId, Client>,
    pub(crate) iterations: Iterations,
    pub(crate) element_iterations: ElementIterations,
    witnessed: Vec<u64>,
    pub(crate) due: Vec<Due>,
    propagated: Propagated,
    records_propagation: bool,
}

/// What the generator of commands may know of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyView<'a> {
    /// The key.
    pub key: &'a [u8],
    /// Its value's type.
    pub kind: Kind,
    /// How the value is stored.
    pub encoding: Encoding,
    /// Bytes of a string, elements of anything else.
    pub len: usize,
    /// Whether it has a deadline.
    pub expires: bool,
}

/// One key of the logical data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The database.
    pub db: usize,
    /// The key.
    pub key: &'a [u8],
    /// Its value, or `None` if it may be absent by now.
    pub entry: Option<&'a Entry>,
}

impl Model {
    /// A model of an empty server.
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            keyspace: Keyspace::default(),
            server: Server::default(),
            clients: BTreeMap::new(),
            iterations: Iterations::default(),
            element_iterations: ElementIterations::default(),
            witnessed: vec![0; Clause::ALL.len()],
            due: Vec::new(),
            propagated: Propagated::default(),
            records_propagation: false,
        }
    }

    /// A connection was opened.
    pub fn connect(&mut self, client: ClientId, peer: Peer) {
        self.clients.insert(client, Client::new(peer));
    }

    /// A connection ended.
    pub fn disconnect(&mut self, client: ClientId) {
        self.clients.remove(&client);
    }

    /// What would be accepted as the answer to this command. Changes nothing.
    pub fn allowed(&self, client: ClientId, command: &[&[u8]], span: Span) -> Allowed {
        let mut worlds = self.worlds(client, command, span, None).into_iter().map(|world| world.plan.allowed);
        let first = worlds.next().unwrap_or(Allowed::Unspecified(Clause::DISPATCH_1));
        worlds.fold(first, |one, other| Allowed::Either(Box::new(one), Box::new(other)))
    }

    /// Judges what a command led to, and moves to the state that follows from it. After a deviation the state is as before.
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
            return Ok(Verdict::default());
        }
        if self.was_refused_for_memory(client, command, outcome) {
            self.witness(Clause::OOM_1);
            self.note_refusal(client);
            return Ok(Verdict::default());
        }
        let mut worlds = self.worlds(client, command, span, outcome.replies.first());
        let errors = self.profile.errors;
        if worlds.len() >= MOST_WORLDS {
            worlds.truncate(1);
            if let Some(world) = worlds.pop() {
                self.commit(client, command, world, outcome, span);
            }
            return Ok(Verdict { erratum: None, unspecified: true });
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
            worlds.retain(|world| world.plan.allowed.admits(outcome, errors));
        }
        if verdict.erratum.is_none() {
            self.add_disguised_errata(&mut worlds, outcome);
        }
        verdict.unspecified = worlds.iter().all(|world| world.plan.allowed.is_unspecified());
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

    /// The keys of a database that are there for sure, with what the generator wants to know of them.
    pub fn keys(&self, db: usize) -> impl Iterator<Item = KeyView<'_>> {
        let keys = self.keyspace.databases.get(&db).into_iter().flat_map(|db| &db.keys);
        keys.filter_map(|(key, slot)| {
            let Slot::Known(entry) = slot else { return None };
            Some(KeyView {
                key,
                kind: entry.value.kind(),
                encoding: entry.value.encoding(),
                len: entry.value.len(),
                expires: entry.deadline.is_some(),
            })
        })
    }

    /// What is known of one key, if it is there for sure.
    pub fn key(&self, db: usize, key: &[u8]) -> Option<KeyView<'_>> {
        let (key, slot) = self.keyspace.databases.get(&db)?.keys.get_key_value(key)?;
        let Slot::Known(entry) = slot else { return None };
        Some(KeyView {
            key,
            kind: entry.value.kind(),
            encoding: entry.value.encoding(),
            len: entry.value.len(),
            expires: entry.deadline.is_some(),
        })
    }

    /// Is the key a skiplist of members with different scores? There ranges of members depend on the random levels of a
    /// real server's skiplist (E-44).
    pub fn has_chancy_ranges(&self, db: usize, key: &[u8]) -> bool {
        match self.keyspace.databases.get(&db).and_then(|db| db.keys.get(key)) {
            Some(Slot::Known(Entry { value: Value::Zset(zset), .. })) => {
                let (first, last) = (zset.order.first(), zset.order.last());
                zset.encoding == Encoding::Skiplist && first.map(|(score, _)| score) != last.map(|(score, _)| score)
            }
            Some(Slot::Open(_)) => true,
            _ => false,
        }
    }

    /// Does the key hold a HyperLogLog whose runs are damaged? A real server may take it for whole, and what it makes of it
    /// then nobody can know (E-71).
    pub fn has_damaged_hyperloglog(&self, db: usize, key: &[u8]) -> bool {
        match self.keyspace.databases.get(&db).and_then(|db| db.keys.get(key)) {
            Some(Slot::Known(Entry { value: Value::String(string), .. })) => {
                HyperLogLog::of(&string.bytes).is_some_and(|found| found.registers().is_err())
            }
            Some(Slot::Open(_)) => true,
            _ => false,
        }
    }

    /// The database a client works in.
    pub fn selected_db(&self, client: ClientId) -> usize {
        self.clients.get(&client).map_or(0, |client| client.db)
    }

    /// The logical data set, in order of database and key. A key whose fate is open or whose deadline may have passed in the
    /// span has no entry; one that is surely gone is left out.
    pub fn dataset(&self, span: Span) -> impl Iterator<Item = Record<'_>> {
        self.keyspace.databases.iter().flat_map(move |(&number, db)| {
            db.keys.iter().filter_map(move |(key, slot)| {
                let entry = match (slot, slot.fate(span)) {
                    (_, Fate::Gone) => return None,
                    (Slot::Known(entry), Fate::Alive) => Some(entry),
                    _ => None,
                };
                Some(Record { db: number, key, entry })
            })
        })
    }

    /// A key whose state is open: an EXISTS on it (in its database) settles most of what can be open.
    pub fn unsettled(&self) -> Option<(usize, &[u8])> {
        self.keyspace.databases.iter().find_map(|(&number, db)| {
            let open = db.keys.iter().find(|(_, slot)| matches!(slot, Slot::Open(_)));
            open.map(|(key, _)| (number, key.as_slice()))
        })
    }

    /// From now on steps note what they propagate (off at first, because it costs a copy of each write).
    pub fn record_propagation(&mut self, on: bool) {
        self.records_propagation = on;
    }

    /// What the last step propagated, if that is recorded.
    pub fn take_propagated(&mut self) -> Propagated {
        std::mem::take(&mut self.propagated)
    }

    /// What the steps since the last call made connections receive, in order; see [`Due`].
    pub fn take_due(&mut self) -> Vec<Due> {
        std::mem::take(&mut self.due)
    }

    /// Something came to a connection that was not due: allowed if it tells of a key that may have expired or been evicted
    /// by the end of the span, which the server tells at a time of its own choice. What else follows from that, for other
    /// connections too, is due afterwards. [NOTIFY-4] [NOTIFY-5]
    pub fn unsolicited(&mut self, client: ClientId, reply: &Reply, _span: Span) -> Result<(), Box<Deviation>> {
        let _ = client;
        Err(Box::new(Deviation {
            clause: Clause::NOTIFY_4,
            allowed: Allowed::Nothing,
            received: vec![reply.clone()],
            closed: false,
            kind: DeviationKind::ReplyCount,
        }))
    }

    /// Whether a client is subscribed to a channel or a pattern. [SUBSCRIBE-2]
    pub fn is_subscribed(&self, client: ClientId) -> bool {
        self.clients.get(&client).is_some_and(Client::is_subscribed)
    }

    /// Whether a client is between MULTI and EXEC. [MULTI-1]
    pub fn in_transaction(&self, client: ClientId) -> bool {
        self.clients.get(&client).is_some_and(|client| client.transaction.is_some())
    }

    /// Whether a client is in MONITOR. [MONITOR-1]
    pub fn is_monitor(&self, client: ClientId) -> bool {
        self.clients.get(&client).is_some_and(|client| client.monitors)
    }

    /// How often accepted steps relied on each clause.
    pub fn witnessed(&self) -> impl Iterator<Item = (Clause, u64)> {
        Clause::ALL.iter().copied().zip(self.witnessed.iter().copied())
    }

    pub(crate) fn witness(&mut self, clause: Clause) {
        if let Some(count) = self.witnessed.get_mut(clause as usize) {
            *count += 1;
        }
    }

    /// Judges the command in every world: each way the look-ups it makes may turn out.
    fn worlds(&self, client_id: ClientId, command: &[&[u8]], span: Span, answer: Option<&Reply>) -> Vec<World> {
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
    fn admit_erratum(&self, worlds: &mut [World], outcome: &Outcome<'_>) -> Option<Erratum> {
        let mut first = None;
        for world in worlds {
            let explains = |plan: &&ErratumPlan| {
                self.profile.errata.contains(&plan.erratum) && plan.allowed.admits(outcome, self.profile.errors)
            };
            if let Some(plan) = world.plan.errata.iter().find(explains) {
                first = first.or(Some(plan.erratum));
                world.plan.allowed = plan.allowed.clone();
                world.plan.changes = plan.changes.clone();
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
    fn commit(&mut self, client: ClientId, command: &[&[u8]], world: World, outcome: &Outcome<'_>, span: Span) {
        self.settle(&world.choices, span);
        if self.records_propagation {
            self.note_propagation(client, command, &world);
        }
        self.use_keys(client, world.command, command, outcome, span);
        for change in world.plan.changes {
            self.apply(client, change, outcome, span);
        }
    }

    /// Several worlds explain the outcome: each key they touch may be in any of the states they lead to.
    fn commit_several(
        &mut self,
        client: ClientId,
        command: &[&[u8]],
        worlds: Vec<World>,
        outcome: &Outcome<'_>,
        span: Span,
    ) {
        let mut touched: Vec<(usize, Bytes)> = Vec::new();
        for world in &worlds {
            touched.extend(world.choices.iter().map(|choice| (choice.db, choice.key.clone())));
            for change in &world.plan.changes {
                touched.extend(change.keys().map(|(db, key)| (db, key.clone())));
            }
        }
        touched.sort();
        touched.dedup();
        let before: Vec<Option<Slot>> = touched.iter().map(|(db, key)| self.keyspace.slot(*db, key).cloned()).collect();
        let mut states: Vec<Vec<Option<Entry>>> = vec![Vec::new(); touched.len()];
        for world in worlds {
            for ((db, key), slot) in touched.iter().zip(&before) {
                self.keyspace.set_slot(*db, key, slot.clone());
            }
            self.commit(client, command, world, outcome, span);
            for ((db, key), states) in touched.iter().zip(&mut states) {
                let after = match self.keyspace.slot(*db, key) {
                    None => vec![None],
                    Some(Slot::Known(entry)) => vec![Some(entry.clone())],
                    Some(Slot::Open(versions)) => versions.clone(),
                };
                for state in after {
                    if !states.contains(&state) {
                        states.push(state);
                    }
                }
            }
        }
        for ((db, key), mut states) in touched.into_iter().zip(states) {
            let slot =
                if states.len() > 1 { Some(Slot::Open(states)) } else { states.pop().flatten().map(Slot::Known) };
            self.keyspace.set_slot(db, &key, slot);
        }
        // Which of the worlds was propagated cannot be told.
        self.propagated = Propagated { unspecified: true, ..Propagated::default() };
    }

    /// The look-ups turned out this way: removes keys that were found expired, narrows down what stays.
    fn settle(&mut self, choices: &[Choice], span: Span) {
        for choice in choices {
            let Some(slot) = self.keyspace.slot(choice.db, &choice.key) else { continue };
            let settled = slot.options(span).get(choice.taken).copied().flatten().cloned();
            if settled.is_none() && !choice.removes {
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

    /// The command's keys were used now; if it failed, perhaps.
    fn use_keys(
        &mut self,
        client: ClientId,
        spec: Option<&Command>,
        command: &[&[u8]],
        outcome: &Outcome<'_>,
        span: Span,
    ) {
        let Some(spec) = spec.filter(|spec| spec.uses_keys()) else { return };
        let db = self.selected_db(client);
        // MSETNX looks no further than to the first key that exists, and RPOPLPUSH not beyond a missing list.
        let stopped = match spec.name {
            "msetnx" => outcome.replies == [Reply::Integer(0)],
            "rpoplpush" => outcome.replies == [Reply::NilBulk],
            // A missing source ends the look-ups, and a count of 0 comes before them.
            "sinter" | "zpopmin" | "zpopmax" => outcome.replies == [Reply::Array(Vec::new())],
            "sinterstore" => outcome.replies == [Reply::Integer(0)],
            _ => false,
        };
        // Where replies are switched off nobody knows.
        let failed = stopped || matches!(outcome.replies, [] | [Reply::Error(_)]);
        let counts_frequency = self.server.counts_frequency();
        for position in spec.used_keys(command) {
            if let Some(entry) = self.keyspace.entry_mut(db, command[position]) {
                entry.access.used(span, failed, counts_frequency);
            }
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
        let gone = world.choices.iter().filter(|choice| {
            self.keyspace.slot(choice.db, &choice.key).is_none() && choice.taken + 1 == choice.options
        });
        self.propagated = Propagated {
            expired: gone.map(|choice| (choice.db, choice.key.clone())).collect(),
            db: self.selected_db(client),
            aof,
            replicas,
            unspecified,
            further: Vec::new(),
        };
        self.witness(Clause::PROPAGATION_1);
        if verbatim_clause {
            self.witness(Clause::PROPAGATION_2);
        }
        if !self.propagated.expired.is_empty() {
            self.witness(Clause::EXPIRY_6);
        }
    }

    fn apply(&mut self, client: ClientId, change: Change, outcome: &Outcome<'_>, span: Span) {
        match change {
            Change::Put { db, key, value, expiry } => self.put(db, key, value, expiry, span),
            Change::Write { db, key, offset, bytes } => {
                let Some(entry) = self.keyspace.entry_mut(db, &key) else { return };
                let Value::String(string) = &mut entry.value else { return };
                let end = offset + bytes.len();
                if string.bytes.len() < end {
                    string.bytes.resize(end, 0);
                }
                string.bytes[offset..end].copy_from_slice(&bytes);
                string.encoding = Encoding::Raw;
                if string.shared {
                    entry.access.most_frequent = u8::MAX;
                }
                string.shared = false;
            }
            Change::Edit { db, key, edit } => self.edit(db, key, edit, span),
            Change::Remove { db, key } => self.keyspace.set_slot(db, &key, None),
            Change::SetDeadline { db, key, deadline } => {
                if let Some(entry) = self.keyspace.entry_mut(db, &key) {
                    entry.deadline = deadline;
                }
            }
            Change::SetAccess { db, key, access } => {
                if let Some(entry) = self.keyspace.entry_mut(db, &key) {
                    entry.access = access;
                }
            }
            Change::Use { db, keys } => {
                let counts_frequency = self.server.counts_frequency();
                for key in keys {
                    if let Some(entry) = self.keyspace.entry_mut(db, &key) {
                        entry.access.used(span, false, counts_frequency);
                    }
                }
            }
            Change::Move { from, to } => {
                let slot = self.keyspace.take_slot(from.0, &from.1).map(|slot| self.keyspace.reborn(slot));
                self.keyspace.set_slot(to.0, &to.1, slot);
            }
            Change::Swap(one, other) => {
                let first = self.keyspace.databases.remove(&one).unwrap_or_default();
                let second = self.keyspace.databases.remove(&other).unwrap_or_default();
                self.keyspace.databases.insert(one, second);
                self.keyspace.databases.insert(other, first);
                self.iterations.forget(one);
                self.iterations.forget(other);
            }
            Change::Flush { db } => {
                self.keyspace.databases.remove(&db);
            }
            Change::FlushAll => self.keyspace.databases.clear(),
            Change::Select(db) => {
                if let Some(client) = self.clients.get_mut(&client) {
                    client.db = db;
                }
            }
            Change::Scanned { db, cursor, pattern } => {
                self.iterations.advance(db, cursor, pattern, outcome.replies.first(), &self.keyspace);
            }
            Change::ScannedElements { db, key, cursor, pattern } => {
                self.advance_elements(db, &key, cursor, pattern, outcome.replies.first());
            }
            Change::Client(change) => {
                if let Some(client) = self.clients.get_mut(&client) {
                    client.apply(change);
                }
            }
            Change::Server(change) => self.server.apply(change),
            Change::Reload => self.reload(span),
            Change::Observe(observation) => self.observe(client, observation, outcome, span),
        }
    }

    pub(crate) fn put(&mut self, db: usize, key: Bytes, value: Value, expiry: Expiry, span: Span) {
        /// A new key's access counter.
        const FIRST_FREQUENCY: u8 = 5;
        let counts_frequency = self.server.counts_frequency();
        // What lies past its deadline is no key any more: this is a new one.
        if self.keyspace.slot(db, &key).is_some_and(|slot| slot.fate(span) == Fate::Gone) {
            self.keyspace.set_slot(db, &key, None);
        }
        if let Some(entry) = self.keyspace.entry_mut(db, &key) {
            self.element_iterations.forget(db, &key);
            // A counter is taken over, and a shared value's has counted for others too.
            let shared = matches!(&entry.value, Value::String(string) if string.shared);
            entry.value = value;
            entry.access.used(span, false, counts_frequency);
            if shared {
                entry.access.most_frequent = u8::MAX;
            }
            let kept = expiry == Expiry::Keep;
            let had_deadline = entry.deadline.is_some();
            match expiry {
                Expiry::Keep => {}
                Expiry::Clear => entry.deadline = None,
                Expiry::Set(deadline) => entry.deadline = Some(deadline),
            }
            if had_deadline {
                self.witness(if kept { Clause::EXPIRY_3 } else { Clause::EXPIRY_4 });
            }
            return;
        }
        let deadline = match expiry {
            Expiry::Set(deadline) => Some(deadline),
            Expiry::Keep | Expiry::Clear => None,
        };
        let access = match counts_frequency {
            true => Access { last: Access::UNKNOWN, most_frequent: FIRST_FREQUENCY },
            false => Access { last: span, most_frequent: u8::MAX },
        };
        let born = self.keyspace.next_born;
        self.keyspace.next_born += 1;
        let db = self.keyspace.databases.entry(db).or_default();
        db.keys.insert(key, Slot::Known(Entry { value, deadline, access, born }));
    }
}

impl Change {
    /// The keys it is about.
    fn keys(&self) -> impl Iterator<Item = (usize, &Bytes)> {
        let (one, other) = match self {
            Self::Put { db, key, .. }
            | Self::Write { db, key, .. }
            | Self::Edit { db, key, .. }
            | Self::Remove { db, key }
            | Self::SetDeadline { db, key, .. }
            | Self::SetAccess { db, key, .. } => (Some((*db, key)), None),
            Self::Move { from, to } => (Some((from.0, &from.1)), Some((to.0, &to.1))),
            Self::Swap(..)
            | Self::Flush { .. }
            | Self::FlushAll
            | Self::Select(_)
            | Self::Use { .. }
            | Self::Scanned { .. }
            | Self::ScannedElements { .. }
            | Self::Client(_)
            | Self::Server(_)
            | Self::Reload
            | Self::Observe(_) => (None, None),
        };
        one.into_iter().chain(other)
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
