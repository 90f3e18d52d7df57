//! WATCH and UNWATCH: which keys a client watches, and what touches them.
//!
//! Real servers overlook some changes and take others for changes that are none (E-90); [`Touched`] keeps apart what is right
//! and what they do, so that EXEC can accept either of them.

use crate::call::Call;
use crate::clause::Clause;
use crate::client::{Client, ClientChange, ClientId, Touched, Watched};
use crate::keyspace::Fate;
use crate::model::Model;
use crate::plan::{Change, Plan, Refusal};
use crate::span::Span;

/// [WATCH-1] [WATCH-2]
pub(crate) fn watch(call: &Call<'_>) -> Result<Plan, Refusal> {
    if call.client.transaction.is_some() {
        return Err(Refusal::new(Clause::WATCH_2, "ERR WATCH inside MULTI is not allowed"));
    }
    call.cite(Clause::WATCH_11);
    let db = call.db();
    let watched = call.args[1..].iter().map(|key| Watched {
        db,
        key: key.to_vec(),
        presence: call.model.keyspace.slot(db, key).map_or(Fate::Gone, |slot| slot.fate(call.span)),
    });
    Ok(Plan::ok(Clause::WATCH_1).with(Change::Client(ClientChange::Watch(watched.collect()))))
}

/// [UNWATCH-1]
pub(crate) fn unwatch(call: &Call<'_>) -> Result<Plan, Refusal> {
    call.cite(Clause::UNWATCH_2);
    Ok(Plan::ok(Clause::UNWATCH_1).with(Change::Client(ClientChange::Unwatch)))
}

impl Client {
    fn watches(&self, db: usize, key: &[u8]) -> Option<&Watched> {
        self.watched.iter().find(|watched| watched.db == db && watched.key == key)
    }

    fn touch(&mut self, how: Touched) {
        self.touched = match (self.touched, how) {
            // One that was touched and one that is only taken for it make no difference any more.
            (Touched::Spuriously, Touched::Overlooked) | (Touched::Overlooked, Touched::Spuriously) => Touched::Surely,
            (one, other) => one.max(other),
        };
    }
}

impl Model {
    /// A key was changed: who watches it is told. [WATCH-3] [WATCH-12]
    pub(crate) fn touch(&mut self, db: usize, key: &[u8], how: Touched) {
        let mut any = false;
        for client in self.clients.values_mut() {
            if client.watches(db, key).is_some() {
                client.touch(how);
                any = true;
            }
        }
        if any {
            self.witness(Clause::WATCH_3);
            self.witness(Clause::WATCH_12);
        }
    }

    /// A key is gone because its deadline has passed: touched for those who saw it when they began to watch. [WATCH-7] [WATCH-8]
    pub(crate) fn touch_expired(&mut self, db: usize, key: &[u8]) {
        for client in self.clients.values_mut() {
            match client.watches(db, key).map(|watched| watched.presence) {
                Some(Fate::Alive) => client.touch(Touched::Overlooked),
                Some(Fate::Perhaps) => client.touch(Touched::Perhaps),
                Some(Fate::Gone) | None => {}
            }
        }
    }

    /// What a change does to watched keys that it does not name one by one: those of a database that is emptied, exchanged
    /// or loaded anew. [WATCH-5] [WATCH-6]
    pub(crate) fn foresee(&mut self, change: &Change, span: Span) {
        let (databases, seen) = match change {
            Change::Flush { db } => (Some(vec![*db]), Touched::Surely),
            Change::FlushAll => (None, Touched::Surely),
            Change::Reload => (None, Touched::Overlooked),
            Change::Swap(one, other) if one != other => (Some(vec![*one, *other]), Touched::Overlooked),
            _ => return,
        };
        let swaps = matches!(change, Change::Swap(..));
        let flushes = matches!(change, Change::Flush { .. } | Change::FlushAll);
        self.witness(if swaps { Clause::WATCH_6 } else { Clause::WATCH_5 });
        let keyspace = &self.keyspace;
        for client in self.clients.values_mut() {
            for watched in std::mem::take(&mut client.watched) {
                let concerned = databases.as_ref().is_none_or(|databases| databases.contains(&watched.db));
                // After an exchange it matters whether the key is in either database.
                let looked_at = match &databases {
                    Some(databases) if swaps && concerned => databases.as_slice(),
                    _ => &[watched.db],
                };
                let own = keyspace.slot(watched.db, &watched.key).map(|slot| slot.fate(span));
                let slots = looked_at.iter().filter_map(|db| keyspace.slot(*db, &watched.key));
                let fates: Vec<Fate> = slots.map(|slot| slot.fate(span)).collect();
                if concerned {
                    if fates.contains(&Fate::Alive) {
                        client.touch(seen);
                    } else if fates.contains(&Fate::Perhaps) {
                        client.touch(Touched::Perhaps);
                    } else if own == Some(Fate::Gone) && watched.presence == Fate::Alive {
                        // Its deadline has passed since, and what tells of that goes now. [WATCH-7]
                        client.touch(Touched::Overlooked);
                    } else if own == Some(Fate::Gone) && flushes {
                        // Real servers may not have removed it yet.
                        client.touch(Touched::Spuriously);
                    }
                }
                client.watched.push(watched);
            }
        }
    }

    /// Whether a key that the client watches was touched, as far as EXEC has to say now. [WATCH-7]
    pub(crate) fn touched_by_now(&self, client: &Client, span: Span) -> Touched {
        let mut judged = Client { touched: client.touched, ..Client::default() };
        for watched in &client.watched {
            let now = self.keyspace.slot(watched.db, &watched.key).map(|slot| slot.fate(span));
            match (watched.presence, now) {
                (Fate::Alive, Some(Fate::Gone)) => judged.touch(Touched::Overlooked),
                (Fate::Alive, Some(Fate::Perhaps)) | (Fate::Perhaps, Some(Fate::Gone | Fate::Perhaps)) => {
                    judged.touch(Touched::Perhaps);
                }
                _ => {}
            }
        }
        judged.touched
    }

    /// Who watches a key that was touched, for a while.
    pub(crate) fn touched(&self) -> Vec<(ClientId, Touched)> {
        self.clients.iter().map(|(&id, client)| (id, client.touched)).collect()
    }

    /// Goes back to what was so before.
    pub(crate) fn set_touched(&mut self, touched: &[(ClientId, Touched)]) {
        for (id, touched) in touched {
            if let Some(client) = self.clients.get_mut(id) {
                client.touched = *touched;
            }
        }
    }

    /// What several worlds led to: sure only where they agree.
    pub(crate) fn set_touched_in_some(&mut self, worlds: Vec<Vec<(ClientId, Touched)>>) {
        for (id, client) in &mut self.clients {
            let found = worlds.iter().filter_map(|world| world.iter().find(|(of, _)| of == id));
            let found: Vec<Touched> = found.map(|(_, touched)| *touched).collect();
            if let Some(first) = found.first() {
                client.touched = if found.iter().all(|touched| touched == first) { *first } else { Touched::Perhaps };
            }
        }
    }
}
