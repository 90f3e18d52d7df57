//! Eviction: what may have gone, at any command, because memory was short.
//!
//! How much memory is in use is not for the model to know. So each key that the policy can evict may have been evicted
//! whenever a command comes: its slot is open from then on, absence being one of its states, until a look-up settles it. Where
//! the target tells what it deletes of itself, the keys that it did not delete are in no doubt.

use std::collections::{BTreeMap, BTreeSet};

use crate::allowed::Allowed;
use crate::clause::Clause;
use crate::client::{ClientId, Touched};
use crate::commands;
use crate::delivery::Manner;
use crate::deviation::{Deviation, DeviationKind};
use crate::due::Due;
use crate::keyspace::{Entry, Fate, Slot};
use crate::model::Model;
use crate::reply::{Bytes, Reply};
use crate::span::{Outcome, Span};

/// What a policy can evict while there is a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Evicts {
    /// Nothing. [EVICTION-7]
    #[default]
    Nothing,
    /// Keys that have a deadline. [EVICTION-6]
    WithDeadline,
    /// Any key. [EVICTION-5]
    Anything,
}

impl Evicts {
    /// What the policy of that name can evict; any key if the policy is not known.
    pub(crate) fn of(policy: Option<&[u8]>) -> Self {
        match policy {
            Some(b"noeviction") => Self::Nothing,
            Some(name) if name.starts_with(b"volatile-") => Self::WithDeadline,
            Some(_) | None => Self::Anything,
        }
    }

    fn can_take(self, entry: &Entry) -> bool {
        match self {
            Self::Nothing => false,
            Self::WithDeadline => entry.deadline.is_some(),
            Self::Anything => true,
        }
    }

    /// Absence becomes one of the states of a key, if the policy can evict it.
    fn doubts(self, slot: &mut Slot) -> bool {
        let states = match slot {
            Slot::Known(entry) => {
                if !self.can_take(entry) {
                    return false;
                }
                let Slot::Known(entry) = std::mem::replace(slot, Slot::Open(vec![None])) else { return false };
                *slot = Slot::Open(vec![Some(entry), None]);
                return true;
            }
            Slot::Open(states) => states,
        };
        if !states.iter().flatten().any(|entry| self.can_take(entry)) {
            return false;
        }
        if !states.iter().any(Option::is_none) {
            states.push(None);
        }
        true
    }
}

/// Keys, by database.
type Keys = BTreeMap<usize, BTreeSet<Bytes>>;

/// What is known of evictions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Eviction {
    /// Keys that the target deleted of itself lately, or nothing where it does not tell.
    deleted: Option<Keys>,
    /// Keys that may have been evicted and may still be told of.
    doubted: Keys,
    /// Who changed its subscriptions, and sent all commands since, with those that it had before: what its own commands
    /// evicted it was told by these or by those of now.
    former: Option<(ClientId, BTreeSet<Bytes>, Vec<Bytes>)>,
}

impl Model {
    /// The target hands on every deletion, and these keys are those that it deleted since the last call: no other key was
    /// evicted. [EVICTION-10]
    pub fn foretell_deletions<'k>(&mut self, keys: impl Iterator<Item = (usize, &'k [u8])>) {
        let mut deleted = Keys::new();
        for (db, key) in keys {
            deleted.entry(db).or_default().insert(key.to_vec());
        }
        self.eviction.deleted = Some(deleted);
    }

    /// Whether keys may be evicted now.
    pub fn evicts(&self) -> bool {
        self.server.config.effects().evicts != Evicts::Nothing
    }

    /// A client's command comes: it may evict keys before anything else is done about it. [EVICTION-1] [EVICTION-2]
    pub(crate) fn doubt_before(&mut self, client: ClientId, command: &[&[u8]]) {
        if !self.evicts() {
            return;
        }
        self.note_former_listener(client, command);
        if command.first().and_then(|name| commands::find(name)).is_some_and(|spec| spec.takes(command.len())) {
            self.doubt_evictable();
        }
    }

    fn note_former_listener(&mut self, client: ClientId, command: &[&[u8]]) {
        let own = self.eviction.former.take().filter(|(of, ..)| *of == client);
        let name = command.first().map(|name| name.to_ascii_lowercase()).unwrap_or_default();
        // EXEC may execute any of the others.
        let changes = name.ends_with(b"subscribe") || name == b"exec";
        self.eviction.former = match (own, self.clients.get(&client)) {
            (None, Some(listener)) if changes => Some((client, listener.channels.clone(), listener.patterns.clone())),
            (Some((_, mut channels, mut patterns)), Some(listener)) if changes => {
                channels.extend(listener.channels.iter().cloned());
                patterns.extend(listener.patterns.iter().cloned());
                patterns.sort();
                patterns.dedup();
                Some((client, channels, patterns))
            }
            (own, _) => own,
        };
    }

    /// Keys may be evicted now. [EVICTION-1] [EVICTION-3]
    pub(crate) fn doubt_evictable(&mut self) {
        let effects = self.server.config.effects();
        if effects.evicts == Evicts::Nothing {
            return;
        }
        self.witness(Clause::EVICTION_1);
        self.witness(match effects.evicts {
            Evicts::WithDeadline => Clause::EVICTION_6,
            _ => Clause::EVICTION_5,
        });
        let told = effects.events.asks_for(b'e');
        let Eviction { deleted, doubted, .. } = &mut self.eviction;
        for (&number, db) in &mut self.keyspace.databases {
            let deleted_here = match deleted {
                Some(deleted) => match deleted.get(&number) {
                    Some(keys) => Some(keys),
                    None => continue,
                },
                None => None,
            };
            for (key, slot) in &mut db.keys {
                if deleted_here.is_some_and(|deleted| !deleted.contains(key)) {
                    continue;
                }
                if effects.evicts.doubts(slot) && told {
                    let doubted = doubted.entry(number).or_default();
                    if !doubted.contains(key) {
                        doubted.insert(key.clone());
                    }
                }
            }
        }
    }

    /// Nobody knows whether these keys were there.
    pub(crate) fn doubt_again(&mut self, keys: &[(usize, Bytes)]) {
        let evicts = self.server.config.effects().evicts;
        for (db, key) in keys {
            if let Some(slot) = self.keyspace.databases.get_mut(db).and_then(|db| db.keys.get_mut(key)) {
                evicts.doubts(slot);
            }
        }
    }

    /// A command was refused for lack of memory, so that no key is left that can be evicted. [EVICTION-1] [OOM-1]
    pub(crate) fn lose_evictable(&mut self, outcome: &Outcome<'_>, span: Span) -> Result<(), Box<Deviation>> {
        let evicts = self.server.config.effects().evicts;
        // One whose deadline may have passed went for that, or goes when it is looked for.
        let could_go = |entry: &Entry| evicts.can_take(entry) && entry.fate(span) == Fate::Alive;
        let mut lost: Vec<(usize, Bytes)> = Vec::new();
        for (&number, db) in &mut self.keyspace.databases {
            for (key, slot) in &mut db.keys {
                match &mut **slot {
                    // Where deletions are told of, this one was not deleted.
                    Slot::Known(entry) if could_go(entry) => return Err(Self::could_evict(outcome)),
                    Slot::Known(_) => {}
                    Slot::Open(states) => {
                        states.retain(|state| !state.as_ref().is_some_and(could_go));
                        if states.iter().all(Option::is_none) {
                            lost.push((number, key.clone()));
                        }
                    }
                }
            }
        }
        for (db, key) in lost {
            self.remove_expired(db, &key);
        }
        Ok(())
    }

    fn could_evict(outcome: &Outcome<'_>) -> Box<Deviation> {
        let refused = |_: &Reply| Err("a key is left that can be evicted".to_owned());
        let allowed =
            Allowed::Checked("no refusal for lack of memory while a key is left that can be evicted", refused);
        Box::new(Deviation {
            clause: Clause::EVICTION_1,
            allowed,
            received: outcome.replies.to_vec(),
            closed: outcome.closed,
            kind: DeviationKind::UnexpectedError,
        })
    }

    /// Whether this may be told as evicted. [NOTIFY-5] [EVICTION-11]
    pub(crate) fn may_tell_of_eviction(&self, db: usize, key: &[u8]) -> bool {
        self.eviction.doubted.get(&db).is_some_and(|keys| keys.contains(key))
    }

    /// A client was told that a key was evicted. By now it may have been made anew, so that nothing is said of its state.
    /// [WATCH-7] [NOTIFY-5]
    pub(crate) fn tell_of_eviction(&mut self, db: usize, key: &[u8]) {
        self.witness(Clause::EVICTION_11);
        self.touch(db, key, Touched::Perhaps);
        // Others were told as early, before what the command sends.
        let manner = Manner { early: true, ..Manner::surely(Clause::NOTIFY_5) };
        self.notify(db, key, (b'e', "evicted"), manner);
    }

    /// What is due from this place on tells of an eviction. One who changed its subscriptions meanwhile may have been told by
    /// those of before.
    pub(crate) fn tell_former_listener(&mut self, begun: usize, db: usize, key: &[u8]) {
        let Some((client, channels, patterns)) = self.eviction.former.clone() else { return };
        let mut due = self.delivery.due.split_off(begun);
        let own = due.iter_mut().filter(|due| due.client == client);
        own.for_each(|due| due.optional = true);
        let publications: Vec<(Bytes, Bytes)> = self.publications(db, key, (b'e', "evicted")).collect();
        for (channel, message) in &publications {
            let messages: Vec<Reply> = self.messages(&channels, &patterns, channel, message).collect();
            for message in messages {
                if !due.iter().any(|due| due.client == client && due.admits(&message, self.profile.errors)) {
                    let allowed = Allowed::Exactly(message);
                    let (early, optional) = (true, true);
                    due.push(Due { client, clause: Clause::NOTIFY_5, allowed, closes: false, early, optional });
                }
            }
        }
        self.delivery.due.append(&mut due);
    }

    /// Commands that need memory may be refused. [OOM-1]
    pub(crate) fn is_memory_limited(&self) -> bool {
        self.server.config.effects().memory_limit > 0
    }
}
