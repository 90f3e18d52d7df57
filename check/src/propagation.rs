//! Holds what a target hands on to its AOF and replicas against what the model says it should.
//!
//! The only freedom is when an expired key is deleted: the model names it when a command finds it, the active cycle may have
//! done so long before, and what is evicted may go at any time. So a deletion that came early is remembered, and accepted
//! when it falls due.

use std::collections::BTreeSet;
use std::fmt;

use tally_model::{Model, Propagated, Span};

use crate::request::Request;
use crate::target::{HandedOn, HandedOnErrors};

type Command = (usize, Vec<Vec<u8>>);

/// A command where it stands.
type Seen<'a> = (usize, &'a [Vec<u8>]);

fn owned((db, arguments): Seen<'_>) -> Command {
    (db, arguments.to_vec())
}

/// What was not handed on as it should have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// `AOF` or `replicas`.
    pub stream: &'static str,
    /// What should have come next.
    pub expected: Option<Command>,
    /// What came.
    pub received: Option<Command>,
}

fn describe(command: Option<&Command>) -> String {
    match command {
        Some((db, arguments)) => format!("{} in db {db}", Request::from(arguments.as_slice())),
        None => "nothing".to_owned(),
    }
}

impl Mismatch {
    /// The command that is missing, or else the one too many.
    pub(crate) fn request(&self) -> Option<Request> {
        let (_, arguments) = self.expected.as_ref().or(self.received.as_ref())?;
        Some(Request::from(arguments.as_slice()))
    }

    pub(crate) fn expected(&self) -> String {
        format!("to the {}: {}", self.stream, describe(self.expected.as_ref()))
    }

    pub(crate) fn received(&self) -> String {
        format!("to the {}: {}", self.stream, describe(self.received.as_ref()))
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, received {}", self.expected(), self.received())
    }
}

/// What one command hands on.
#[derive(Debug)]
struct Due {
    propagated: Propagated,
    /// It answered an error: then nobody says whether it had looked for its keys before, and so found them expired.
    failed: bool,
}

/// What is due and what came, since both last agreed.
#[derive(Debug, Default)]
pub struct Ledger {
    due: Vec<Due>,
    came: Vec<HandedOn>,
    /// Keys whose deletion came before the model asked for it.
    early: BTreeSet<(usize, Vec<u8>)>,
    /// How many commands were handed on to replicas before `came`.
    sent_before: usize,
    errors: HandedOnErrors,
}

impl Ledger {
    /// The model says what a command hands on.
    pub fn expect(&mut self, mut propagated: Propagated, failed: bool) {
        let further = std::mem::take(&mut propagated.further);
        for propagated in std::iter::once(propagated).chain(further) {
            if !propagated.aof.is_empty()
                || !propagated.replicas.is_empty()
                || !propagated.expired.is_empty()
                || propagated.unspecified
            {
                self.due.push(Due { propagated, failed });
            }
        }
    }

    /// The target handed these on.
    pub fn handed_on(&mut self, commands: Vec<HandedOn>) {
        self.came.extend(commands);
    }

    /// The keys whose deletion came since both last agreed, by whatever led to it.
    pub fn deletions(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let came = self.came.iter().map(|command| (command.db, command.arguments.as_slice()));
        came.filter_map(|seen| deletes(&seen)).map(|(db, key)| (db, key.as_slice()))
    }

    /// Compares both sides, after a whole batch.
    pub fn compare(&mut self, model: &Model, span: Span) -> Result<(), Mismatch> {
        if self.due.is_empty() && self.came.is_empty() {
            return Ok(());
        }
        let due = std::mem::take(&mut self.due);
        let came = std::mem::take(&mut self.came);
        self.note_errors(&due, &came);
        if due.iter().any(|due| due.propagated.unspecified) {
            // What expired or was evicted is not deleted a second time when that shows.
            let deleted = came.iter().filter_map(|command| deletes(&(command.db, command.arguments.as_slice())));
            let gone = deleted.filter(|(db, key)| model.evicts() || may_be_gone(model, *db, key, span));
            self.early.extend(gone.map(|(db, key)| (db, key.clone())));
            return Ok(());
        }
        let early = self.early.clone();
        for aof in [true, false] {
            self.early.clone_from(&early);
            self.compare_stream(aof, &due, &came, model, span)?;
        }
        if model.evicts() {
            // A key that was evicted and made anew has another deletion before it.
            self.early.retain(|(db, key)| may_be_gone(model, *db, key, span));
        }
        Ok(())
    }

    fn compare_stream(
        &mut self,
        aof: bool,
        due: &[Due],
        came: &[HandedOn],
        model: &Model,
        span: Span,
    ) -> Result<(), Mismatch> {
        let stream = if aof { "AOF" } else { "replicas" };
        let mut came = came
            .iter()
            .filter(|command| if aof { command.aof } else { command.replicas })
            .map(|command| (command.db, command.arguments.as_slice()))
            .peekable();
        for Due { propagated, failed } in due {
            for (db, key) in &propagated.expired {
                if self.early.remove(&(*db, key.clone())) {
                    continue;
                }
                let is_next = came.peek().and_then(deletes).is_some_and(|(of, deleted)| of == *db && deleted == key);
                if *failed && !is_next {
                    continue;
                }
                loop {
                    let received = came.next();
                    match received.as_ref().and_then(deletes) {
                        Some((of, deleted)) if of == *db && deleted == key => break,
                        // The active cycle deleted something else meanwhile.
                        Some((of, deleted)) => {
                            self.early.insert((of, deleted.clone()));
                        }
                        None => {
                            let expected = Some((*db, vec![b"DEL".to_vec(), key.clone()]));
                            return Err(Mismatch { stream, expected, received: received.map(owned) });
                        }
                    }
                }
            }
            let commands = if aof { &propagated.aof } else { &propagated.replicas };
            for command in commands {
                let expected = (propagated.db, command.as_slice());
                loop {
                    match came.next() {
                        Some(received) if is_same(&received, &expected) => {
                            self.follow_swap(&received);
                            break;
                        }
                        // The active cycle deleted something meanwhile.
                        Some(received) => match deletes(&received) {
                            Some((db, key)) => {
                                self.early.insert((db, key.clone()));
                            }
                            None => {
                                let (expected, received) = (Some(owned(expected)), Some(owned(received)));
                                return Err(Mismatch { stream, expected, received });
                            }
                        },
                        None => return Err(Mismatch { stream, expected: Some(owned(expected)), received: None }),
                    }
                }
            }
        }
        for received in came {
            match deletes(&received) {
                Some((db, key)) if may_be_gone(model, db, key, span) => {
                    self.early.insert((db, key.clone()));
                }
                _ => return Err(Mismatch { stream, expected: None, received: Some(owned(received)) }),
            }
        }
        Ok(())
    }
}

impl Ledger {
    /// The errors that replicas answer, because the target did: scripts that are propagated as they came may end with one.
    /// [EVAL-31]
    pub fn errors(&self) -> &HandedOnErrors {
        &self.errors
    }

    fn note_errors(&mut self, due: &[Due], came: &[HandedOn]) {
        let before = self.sent_before;
        self.sent_before += came.iter().filter(|command| command.replicas).count();
        if due.iter().all(|due| due.propagated.raises.is_none()) {
            return;
        }
        let mut sent = came.iter().filter(|command| command.replicas).enumerate();
        for Due { propagated, .. } in due {
            for command in &propagated.replicas {
                let is_it = |came: &HandedOn| match &propagated.raises {
                    // Whether it came with its text or its name is among what nobody can tell.
                    Some(_) if propagated.unspecified => runs_the_same(&came.arguments, command),
                    _ => is_same(&(came.db, &came.arguments), &(propagated.db, command)),
                };
                let mut rest = sent.clone();
                // What did not come is found by `compare`, or open.
                if let Some((number, _)) = rest.find(|(_, came)| is_it(came)) {
                    sent = rest;
                    self.errors.extend(propagated.raises.iter().map(|line| (before + number, line.clone())));
                }
            }
        }
    }

    /// SWAPDB moves keys whose deletion came early, unseen by clients, to another database.
    fn follow_swap(&mut self, command: &Seen<'_>) {
        let [name, one, other] = command.1 else { return };
        let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<usize>().ok();
        if let (true, Some(one), Some(other)) = (name.eq_ignore_ascii_case(b"swapdb"), number(one), number(other)) {
            let swapped = |db| match db {
                db if db == one => other,
                db if db == other => one,
                db => db,
            };
            self.early = std::mem::take(&mut self.early).into_iter().map(|(db, key)| (swapped(db), key)).collect();
        }
    }
}

/// Is it the same command? MULTI and EXEC belong to no database, and EXEC may be written as it came. (E-46)
fn is_same(received: &Seen<'_>, expected: &Seen<'_>) -> bool {
    match (received.1, expected.1) {
        ([received], [expected]) if expected == b"MULTI" || expected == b"EXEC" => {
            received.eq_ignore_ascii_case(expected)
        }
        (arguments, expected_arguments) => arguments == expected_arguments && received.0 == expected.0,
    }
}

/// Do both run a script with the same keys and arguments, be it by its text or by its name?
fn runs_the_same(one: &[Vec<u8>], other: &[Vec<u8>]) -> bool {
    let runs = |command: &[Vec<u8>]| {
        command.first().is_some_and(|name| name.eq_ignore_ascii_case(b"eval") || name.eq_ignore_ascii_case(b"evalsha"))
    };
    runs(one) && runs(other) && one.get(2..) == other.get(2..)
}

/// The key that a command deletes, if it is what expiry hands on.
fn deletes<'a>(command: &Seen<'a>) -> Option<(usize, &'a Vec<u8>)> {
    match command.1 {
        [name, key] if name.as_slice() == b"DEL" || name.as_slice() == b"UNLINK" => Some((command.0, key)),
        _ => None,
    }
}

fn may_be_gone(model: &Model, db: usize, key: &[u8], span: Span) -> bool {
    !model.dataset(span).any(|record| record.db == db && record.key == key && record.entry.is_some())
}
