//! Makes a plan's changes, and lets what follows from them reach others: events, touched keys, keys that became ready.

use crate::clause::Clause;
use crate::client::{ClientId, Touched};
use crate::delivery::Manner;
use crate::edit::Edit;
use crate::erratum::Erratum;
use crate::keyspace::{Deadline, Fate, Slot};
use crate::model::Model;
use crate::notify;
use crate::plan::{Change, Plan, Propagation};
use crate::reply::Bytes;
use crate::set::SetEdit;
use crate::span::{Outcome, Span};
use crate::value::Kind;

impl Model {
    /// Makes the changes of a plan in order. `command` is the name in lower case, empty for an unknown command.
    pub(crate) fn make_changes(
        &mut self,
        client: ClientId,
        command: &'static str,
        line: &[&[u8]],
        plan: Plan,
        outcome: &Outcome<'_>,
        span: Span,
    ) {
        if !self.is_anyone_concerned() {
            for change in plan.changes {
                self.foresee(&change, span);
                self.apply(client, change, outcome, span);
            }
            // Who listens later is not told of it.
            self.untold.clear();
            return;
        }
        // [NOTIFY-6] [WATCH-3] [WATCH-4]
        let writes = plan.propagation != Propagation::Nothing;
        if writes && plan.changes.is_empty() && matches!(command, "sunionstore" | "sdiffstore" | "sinterstore") {
            self.touch(self.selected_db(client), line[1], Touched::Spuriously);
        }
        let mut told: Vec<(usize, Bytes, &'static str)> = Vec::new();
        for change in plan.changes {
            if let Some((_, key)) = change.keys().next().filter(|_| !self.untold.is_empty()) {
                let key = key.clone();
                self.tell_in_turn(line, Some(&key));
            }
            let silent = !writes || self.is_silent(command, line, &change, span);
            let events = if silent { Vec::new() } else { notify::events(command, line, &change) };
            let keys: Vec<(usize, Bytes)> = change.keys().map(|(db, key)| (db, key.clone())).collect();
            let before: Vec<Option<Kind>> = keys.iter().map(|(db, key)| self.kind(*db, key, span)).collect();
            let overlooks = matches!(change, Change::Edit { edit: Edit::Zset(_), .. } if command == "sort");
            let touches = match command {
                // [WATCH-10]
                "debug" => line.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"populate")),
                "pfdebug" => false,
                _ => writes && !overlooks,
            };
            let makes_ready = matches!(change, Change::Put { .. } | Change::Edit { .. } | Change::Move { .. });
            let edits = matches!(change, Change::Edit { .. });
            let removes = matches!(change, Change::Remove { .. });
            self.foresee(&change, span);
            self.apply(client, change, outcome, span);
            for ((db, key), before) in keys.iter().zip(&before) {
                // What was not there is not removed.
                let unchanged = removes && before.is_none();
                if touches && !unchanged {
                    let overlooked =
                        matches!(command, "move" | "persist" | "xack" | "xclaim" | "xgroup" | "xreadgroup" | "xsetid");
                    self.touch(*db, key, if overlooked { Touched::Overlooked } else { Touched::Surely });
                }
                if makes_ready {
                    let overwrites = matches!(command, "sort" | "georadius" | "georadiusbymember") && before.is_some();
                    let after = self.kind(*db, key, span);
                    let appears = (!edits || before.is_none()) && !(overwrites && self.has(Erratum::E_95));
                    // Readers of a stream are served by XADD, whatever else puts a stream there. [XREAD-12]
                    let ready = match after {
                        Some(Kind::Stream) => command == "xadd" && self.has_waiting_readers(),
                        Some(Kind::List | Kind::Zset) => appears,
                        _ => false,
                    };
                    if ready {
                        self.make_ready(*db, key);
                    }
                }
            }
            for (db, key, event) in events {
                // What is done to a key in several changes is told once, but MSET tells each of its pairs.
                let is_gone = event.1 == "del";
                let before = keys.iter().zip(&before).find(|((of, name), _)| *of == db && *name == key);
                if is_gone && before.is_none_or(|(_, kind)| kind.is_none()) {
                    continue;
                }
                // What real servers make of a deadline beyond all time may be one that has passed (E-2), and one within the
                // span may have.
                let may_have_passed = |deadline: Deadline| deadline.earliest_ms <= span.latest_ms;
                let doubtful = event.1 == "expire"
                    && matches!(self.keyspace.slot(db, &key), Some(Slot::Known(entry))
                        if entry.deadline.is_some_and(may_have_passed));
                if doubtful {
                    let manner = Manner { optional: true, ..Manner::surely(Clause::NOTIFY_11) };
                    self.notify(db, &key, event, manner);
                    self.notify(db, &key, (b'g', "del"), manner);
                    continue;
                }
                let again = told.contains(&(db, key.clone(), event.1)) && !matches!(command, "mset" | "msetnx");
                if !again {
                    self.notify(db, &key, event, Manner::surely(clause_of(event)));
                    told.push((db, key, event.1));
                }
            }
            if writes && edits {
                for ((db, key), before) in keys.iter().zip(before) {
                    if before.is_some() && self.kind(*db, key, span).is_none() {
                        self.notify(*db, key, (b'g', "del"), Manner::surely(Clause::NOTIFY_9));
                    }
                }
            }
        }
        self.tell_in_turn(line, None);
    }

    /// Whether a change of a key can matter to anybody: to who watches one, waits for one, or may be told of it.
    fn is_anyone_concerned(&self) -> bool {
        self.server.config.effects().events.asks_for_any()
            || !self.waiting.is_empty()
            || self.clients.values().any(|client| !client.watched.is_empty())
    }

    /// Whether the profile has a known defect.
    pub(crate) fn has(&self, erratum: Erratum) -> bool {
        self.profile.errata.contains(&erratum)
    }

    /// The type of a key's value, if the key is there or may be.
    pub(crate) fn kind(&self, db: usize, key: &[u8], span: Span) -> Option<Kind> {
        match self.keyspace.slot(db, key)? {
            Slot::Known(entry) if entry.fate(span) != Fate::Gone => Some(entry.value.kind()),
            Slot::Known(_) => None,
            Slot::Open(versions) => versions.iter().flatten().next().map(|entry| entry.value.kind()),
        }
    }

    /// A change of which nothing is told: a member that is there already, and, by mistake of real servers (E-92), the removal
    /// of a destination because a source is missing.
    fn is_silent(&self, command: &str, line: &[&[u8]], change: &Change, span: Span) -> bool {
        match change {
            Change::Edit { db, key, edit: Edit::Set(SetEdit::Add(members)) } if command == "smove" => {
                !self.adds(*db, key, members, span)
            }
            // What RESTORE replaces goes in silence. [NOTIFY-12]
            Change::Remove { .. } if command.starts_with("restore") => true,
            Change::Remove { db, .. } if command == "sinterstore" && self.has(Erratum::E_92) => {
                line[2..].iter().any(|source| self.kind(*db, source, span).is_none())
            }
            _ => false,
        }
    }
}

/// The clause that demands an event.
fn clause_of(event: (u8, &str)) -> Clause {
    match event {
        (_, "del") => Clause::NOTIFY_9,
        (_, "rename_from" | "rename_to") => Clause::NOTIFY_10,
        (_, "expire") => Clause::NOTIFY_11,
        (b'$', _) => Clause::NOTIFY_7,
        (b't', _) => Clause::NOTIFY_16,
        _ => Clause::NOTIFY_8,
    }
}
