//! Runs scripts on copies of the model, one for each way in which their commands may be answered, until one explains the
//! reply.

use super::meaning::{Meaning, Stop};
use super::value::Value;
use super::{SCRIPTS, Script};
use crate::allowed::Allowed;
use crate::call::Call;
use crate::clause::Clause;
use crate::client::{ClientId, Peer};
use crate::commands;
use crate::connection;
use crate::delivery::Delivery;
use crate::deviation::{Deviation, DeviationKind, Verdict};
use crate::keyspace::{Entry, Slot};
use crate::model::Model;
use crate::plan::Plan;
use crate::propagation::Propagated;
use crate::reply::{Bytes, Reply};
use crate::span::{Outcome, Span};

/// The most ways that are tried.
const MOST_WAYS: usize = 64;

/// How the commands of a script are taken to be answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    /// Which of several exact answers each command with such gets, and of how many.
    chosen: Vec<(usize, usize)>,
    next_choice: usize,
    /// What the script's reply told of commands that leave a choice, in order.
    /// `None` where it does not tell, which does no harm if the command changes nothing.
    told: Vec<Option<Reply>>,
    /// What all those commands may be answered, in order.
    open: Vec<Allowed>,
    /// Whether they change something.
    changing: Vec<bool>,
    /// A command was not executed because its answer, on which the state depends, is not told yet.
    pub(super) pending_change: bool,
}

impl Answers {
    /// One of some exact answers.
    pub(super) fn choose(&mut self, mut replies: Vec<Reply>) -> Reply {
        replies.dedup();
        let place = match replies.len() {
            1 => 0,
            count => {
                let at = self.next_choice;
                self.next_choice += 1;
                if at == self.chosen.len() {
                    self.chosen.push((0, count));
                }
                self.chosen.get(at).map_or(0, |(chosen, _)| *chosen)
            }
        };
        replies.swap_remove(place.min(replies.len() - 1))
    }

    /// The answer that the script's reply told, or the number of the one that it has to tell.
    pub(super) fn tell(&mut self, allowed: Allowed, changes: bool) -> Result<Reply, usize> {
        let number = self.open.len();
        self.open.push(allowed);
        self.changing.push(changes);
        match self.told.get(number) {
            Some(Some(reply)) => Ok(reply.clone()),
            Some(None) => Err(number),
            None => {
                self.pending_change |= changes;
                Err(number)
            }
        }
    }

    /// Begins anew, with what was told.
    fn again(&self) -> Self {
        Self { chosen: self.chosen.clone(), told: self.told.clone(), ..Self::default() }
    }

    /// The next way, like an odometer; `None` when all were tried.
    fn next_way(mut self) -> Option<Self> {
        self.chosen.truncate(self.next_choice);
        while let Some((chosen, count)) = self.chosen.pop() {
            if chosen + 1 < count {
                self.chosen.push((chosen + 1, count));
                return Some(Self { chosen: self.chosen, ..Self::default() });
            }
        }
        None
    }
}

/// The alternatives that an allowed answer is made of.
pub(super) fn flat(allowed: &Allowed, into: &mut Vec<Allowed>) {
    match allowed {
        Allowed::Either(one, other) => {
            flat(one, into);
            flat(other, into);
        }
        other => into.push(other.clone()),
    }
}

/// The one reply that is allowed.
pub(super) fn exactly(allowed: &Allowed) -> Option<Reply> {
    match allowed {
        Allowed::Exactly(reply) => Some(reply.clone()),
        Allowed::Error(line) => Some(Reply::Error(line.to_vec())),
        _ => None,
    }
}

/// MULTI or EXEC as a script hands it on. [EVAL-28]
pub(super) fn marker(name: &[u8], db: usize) -> Propagated {
    let commands: Vec<Vec<Bytes>> = vec![vec![name.to_vec()]];
    Propagated { db, aof: commands.clone(), replicas: commands, ..Propagated::default() }
}

/// A script that ran to its end on a copy of the model.
struct Ran {
    model: Model,
    /// The script's SHA-1.
    sha: Bytes,
    value: Value,
    allowed: Allowed,
    /// The value with its tables, for what it tells.
    told_by: super::value::Tables,
    answers: Answers,
    pieces: Vec<Propagated>,
    /// It is propagated as it came. [EVAL-31]
    whole: bool,
    verdict: Verdict,
}

impl Model {
    /// The script that a command runs now, if the model can read it.
    pub(crate) fn script_of(&self, client_id: ClientId, command: &[&[u8]], span: Span) -> Option<Script> {
        let name = command.first()?;
        if !name.eq_ignore_ascii_case(b"eval") && !name.eq_ignore_ascii_case(b"evalsha") {
            return None;
        }
        let call = self.call_of(client_id, command, span)?;
        if commands::executes(&call) { super::script(&call) } else { None }
    }

    fn call_of<'a>(&'a self, client_id: ClientId, args: &'a [&'a [u8]], span: Span) -> Option<Call<'a>> {
        Some(Call {
            model: self,
            client_id,
            client: self.clients.get(&client_id)?,
            args,
            command: args.first().and_then(|name| commands::find(name)),
            span,
            answer: None,
            choices: Default::default(),
            cited: Default::default(),
        })
    }

    /// What a script may answer, as far as that can be told beforehand; nothing if it is beyond the model.
    pub(crate) fn rehearsed_script(&self, client: ClientId, script: &Script, span: Span) -> Option<Allowed> {
        let mut answers = Answers::default();
        let mut allowed: Option<Allowed> = None;
        for _ in 0..MOST_WAYS {
            let ran = self.ran(client, &[], script, span, answers)?.ok()?;
            allowed = Some(match allowed {
                None => ran.allowed,
                Some(before) => Allowed::Either(Box::new(before), Box::new(ran.allowed)),
            });
            match ran.answers.next_way() {
                Some(next) => answers = next,
                None => break,
            }
        }
        allowed
    }

    /// Runs a script on a copy; `None` where it goes beyond the model.
    fn ran(
        &self,
        client: ClientId,
        command: &[&[u8]],
        script: &Script,
        span: Span,
        answers: Answers,
    ) -> Option<Result<Ran, (Box<Deviation>, Answers)>> {
        let mut model = self.clone();
        let queued = model.executing;
        if let Some(spec) = command.first().and_then(|name| commands::find(name)) {
            // [EVAL-26]
            model.show_to_monitors(client, spec, command, false, span);
        }
        // [EVAL-15] [EVAL-27]
        model.connect(SCRIPTS, Peer { address: Some(b"?:0".to_vec()), local: true, id: None });
        if let (db, Some(scripts)) = (model.selected_db(client), model.clients.get_mut(&SCRIPTS)) {
            scripts.db = db;
        }
        model.executing = true;
        let mut meaning = Meaning::new(&mut model, script, span, answers, queued);
        let ended = meaning.run();
        let Meaning { tables, answers, repl, pieces, verdict, .. } = meaning;
        let (value, allowed) = match ended {
            Ok(value) => {
                let allowed = tables.to_allowed(&value, &answers.open).ok()?;
                (value, allowed)
            }
            Err(Stop::Raised { value, at }) => (Value::Nil, Allowed::Error(uncaught(script, &value, &at)?.into())),
            Err(Stop::Beyond) => return None,
            Err(Stop::Deviates(deviation)) => return Some(Err((deviation, answers))),
        };
        let mut pieces = pieces;
        if repl.began {
            pieces.push(marker(b"EXEC", model.selected_db(client)));
        }
        // [EVAL-31] [EVAL-35]
        let whole = !repl.by_effects && !repl.rewritten && !repl.refused;
        if repl.refused && !repl.by_effects {
            model.witness(Clause::EVAL_37);
        }
        model.executing = queued;
        model.clients.remove(&SCRIPTS);
        Some(Ok(Ran {
            model,
            sha: script.sha.clone(),
            value,
            allowed,
            told_by: tables,
            answers,
            pieces,
            whole,
            verdict,
        }))
    }

    /// Judges what a script was answered, and moves to the state that follows from it.
    pub(crate) fn run_script(
        &mut self,
        client: ClientId,
        command: &[&[u8]],
        script: &Script,
        outcome: &Outcome<'_>,
        span: Span,
    ) -> Option<Result<Verdict, Box<Deviation>>> {
        let mut answers = Answers::default();
        let mut refused: Option<Box<Deviation>> = None;
        let mut explaining: Vec<(Ran, Plan)> = Vec::new();
        let mut tried_all = false;
        for _ in 0..MOST_WAYS {
            let ran = match self.ran(client, command, script, span, answers.clone())? {
                Ok(ran) => ran,
                Err((deviation, tried)) => {
                    // What the reply shows does not fit this way, but may fit another.
                    refused = refused.or(Some(deviation));
                    match tried.next_way() {
                        Some(next) => answers = next,
                        None => {
                            tried_all = true;
                            break;
                        }
                    }
                    continue;
                }
            };
            let (mut shown, mut unlike) = (None, false);
            while let (number, None) = (answers.told.len(), &shown)
                && let Some(&changes) = ran.answers.changing.get(number)
            {
                // The reply shows how the first of the commands was answered that leave a choice.
                shown = outcome.replies.first().and_then(|reply| ran.told_by.told(&ran.value, number, reply));
                if shown.is_none() && changes {
                    // Either it is no reply of a script that ran this way, or it does not show what the state is now.
                    unlike = ran.told_by.holds(&ran.value, number) && !outcome.replies.is_empty();
                    if unlike {
                        break;
                    }
                    return None;
                }
                answers.told.push(shown.clone());
            }
            if shown.is_some() {
                answers = answers.again();
                continue;
            }
            let mut plan = Plan::new(Clause::EVAL_1, ran.allowed.clone());
            if let Some(call) = self.call_of(client, command, span) {
                connection::suppress_replies(&call, &mut plan);
            }
            let next = ran.answers.clone().next_way();
            if !unlike && plan.allowed.admits(outcome, self.profile.errors) {
                explaining.push((ran, plan));
            } else {
                refused = refused.or_else(|| Some(Self::script_deviation(plan.allowed, outcome)));
            }
            match next {
                Some(next) => answers = next,
                None => {
                    tried_all = true;
                    break;
                }
            }
        }
        if !tried_all && self.evicts() {
            // With keys in doubt it may be one of the other ways.
            return None;
        }
        let mut explaining = explaining.into_iter();
        let Some((ran, plan)) = explaining.next() else { return refused.map(Err) };
        let others: Vec<Ran> = explaining.map(|(ran, _)| ran).collect();
        // Whether it was handed on as it came, and is known by its name since, nobody tells. [EVAL-37] [EVALSHA-3]
        let doubted = others.iter().any(|other| other.whole != ran.whole).then(|| ran.sha.clone());
        let others: Vec<Model> = others.into_iter().map(|ran| ran.model).collect();
        let before = self.delivery.clone();
        let verdict = self.become_after_script(ran, plan, client, command, outcome, span);
        if let Some(sha) = doubted {
            self.server.propagated_scripts.doubt(sha);
        }
        self.admit_others(&before, &others);
        Some(Ok(verdict))
    }

    /// The script may also have run in these other ways: each key may be in any of the states that they lead to, and what
    /// only some of them make others receive need not come.
    fn admit_others(&mut self, before: &Delivery, others: &[Self]) {
        if others.is_empty() {
            return;
        }
        let models = || others.iter();
        let mut keys: Vec<(usize, Bytes)> = Vec::new();
        for model in models().chain(std::iter::once(&*self)) {
            let databases = model.keyspace.databases.iter();
            keys.extend(databases.flat_map(|(&number, db)| db.keys.keys().map(move |key| (number, key.clone()))));
        }
        keys.sort();
        keys.dedup();
        for (db, key) in keys {
            let own = self.keyspace.slot(db, &key).cloned();
            if models().all(|model| model.keyspace.slot(db, &key) == own.as_ref()) {
                continue;
            }
            // Whether it served somebody nobody tells.
            self.lost_track |= self.waiting.contains_key(&(db, key.clone()));
            let mut states: Vec<Option<Entry>> = Vec::new();
            for slot in models().map(|model| model.keyspace.slot(db, &key).cloned()).chain([own]) {
                let versions = match slot {
                    None => vec![None],
                    Some(Slot::Known(entry)) => vec![Some(entry)],
                    Some(Slot::Open(versions)) => versions,
                };
                for version in versions {
                    if !states.contains(&version) {
                        states.push(version);
                    }
                }
            }
            self.keyspace.set_slot(db, &key, Some(Slot::Open(states)));
        }
        let touched = models().map(Self::touched).chain([self.touched()]).collect();
        self.set_touched_in_some(touched);
        let deliveries = models().map(|model| model.delivery.clone()).chain([self.delivery.clone()]).collect();
        self.delivery.merge(before, deliveries);
        if models().any(|model| model.server.slowlog != self.server.slowlog) {
            self.server.slowlog.lose_track();
        }
        // How they ended their answer told, which was the same in all ways.
        self.propagated = Propagated { unspecified: true, ..std::mem::take(&mut self.propagated) };
    }

    fn script_deviation(allowed: Allowed, outcome: &Outcome<'_>) -> Box<Deviation> {
        let kind = DeviationKind::of(&allowed, outcome.replies, outcome.closed);
        let received = outcome.replies.to_vec();
        Box::new(Deviation { clause: Clause::EVAL_1, allowed, received, closed: outcome.closed, kind })
    }

    fn become_after_script(
        &mut self,
        ran: Ran,
        plan: Plan,
        client: ClientId,
        command: &[&[u8]],
        outcome: &Outcome<'_>,
        span: Span,
    ) -> Verdict {
        *self = ran.model;
        for clause in [Clause::EVAL_1, Clause::EVAL_5, Clause::EVAL_7, Clause::EVAL_15] {
            self.witness(clause);
        }
        match outcome.replies.first() {
            Some(Reply::Error(line)) if line.starts_with(b"ERR Error running script") => self.witness(Clause::EVAL_12),
            Some(Reply::Error(_)) => self.witness(Clause::EVAL_21),
            Some(Reply::Status(_)) => self.witness(Clause::EVAL_22),
            Some(Reply::Array(_)) => self.witness(Clause::EVAL_23),
            _ => self.witness(Clause::EVAL_20),
        }
        if command[0].eq_ignore_ascii_case(b"evalsha") {
            self.witness(Clause::EVALSHA_1);
        } else {
            self.server.scripts.insert(ran.sha, command[1].to_vec());
        }
        let name = commands::find(command[0]).map_or("eval", |command| command.name);
        self.make_changes(client, name, command, plan, outcome, span);
        self.log_if_slow(client, command, false, span);
        if let Some(client) = self.clients.get_mut(&client)
            && !self.executing
        {
            client.last_command = Some(name);
        }
        if ran.whole {
            let error = exactly(&ran.allowed).and_then(|reply| match reply {
                Reply::Error(line) => Some(line),
                _ => None,
            });
            let piece = self.whole_script(self.selected_db(client), command, &ran.pieces, error);
            self.gather(vec![piece]);
            return ran.verdict;
        }
        if !ran.pieces.is_empty() {
            self.witness(if self.executing { Clause::EVAL_29 } else { Clause::EVAL_28 });
        }
        self.gather(ran.pieces);
        ran.verdict
    }
}

/// What a script that an error ended answers; nothing where that is beyond the model. [EVAL-12]
fn uncaught(script: &Script, value: &Value, at: &str) -> Option<Bytes> {
    let (at, text) = match value {
        Value::Text(text) => (at.to_owned(), text.clone()),
        // E-142
        Value::Nil | Value::Boolean(_) | Value::Table(_) => {
            let text = format!("err_handler_def:8: attempt to concatenate local 'err' (a {} value)", value.type_name());
            ("@err_handler_def:8".to_owned(), text.into_bytes())
        }
        _ => return None,
    };
    let mut line = b"ERR Error running script (call to f_".to_vec();
    line.extend(&script.sha);
    line.extend(format!("): {at}: ").into_bytes());
    line.extend(text);
    line.push(b' ');
    Some(line.into_iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }).collect())
}
