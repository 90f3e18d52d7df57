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
use crate::delivery::{Manner, merged};
use crate::deviation::{Deviation, DeviationKind};
use crate::due::Due;
use crate::keyspace::{Entry, Fate, Slot};
use crate::model::Model;
use crate::notify::Flags;
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
    /// Who sent the last commands.
    sender: Option<ClientId>,
    /// By what its commands may have told of what they evicted, each different one once.
    tellings: Vec<Telling>,
}

/// What decides how an eviction is told, as far as the one whose command evicts can change it. [EVICTION-24]
#[derive(Clone, Debug, PartialEq, Eq)]
struct Telling {
    /// The channels that it is subscribed to itself.
    channels: BTreeSet<Bytes>,
    /// And the patterns.
    patterns: Vec<Bytes>,
    /// What `notify-keyspace-events` asks for.
    events: Flags,
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
        if command.first().and_then(|name| commands::find(name)).is_some_and(|spec| spec.takes(command.len())) {
            self.doubt_evictable(Some(client));
        }
    }

    /// Keys may be evicted now, by a command of that client. [EVICTION-1] [EVICTION-3]
    pub(crate) fn doubt_evictable(&mut self, sender: Option<ClientId>) {
        let effects = self.server.config.effects();
        if effects.evicts == Evicts::Nothing {
            return;
        }
        self.note_telling(sender);
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

    /// The last command of a batch may have made a key that one of somebody else evicted.
    pub(crate) fn doubt_at_last(&mut self) {
        self.doubt_evictable(self.eviction.sender);
    }

    /// What the sender's command evicts is told as things are now, before it is executed. [EVICTION-24]
    fn note_telling(&mut self, sender: Option<ClientId>) {
        let events = self.server.config.effects().events;
        let Eviction { sender: last, tellings, .. } = &mut self.eviction;
        if *last != sender {
            *last = sender;
            tellings.clear();
        }
        let Some(listener) = sender.and_then(|sender| self.clients.get(&sender)) else { return };
        let same = |telling: &Telling| {
            telling.events == events && telling.channels == listener.channels && telling.patterns == listener.patterns
        };
        if !tellings.iter().any(same) {
            let (channels, patterns) = (listener.channels.clone(), listener.patterns.clone());
            tellings.push(Telling { channels, patterns, events });
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

    /// A client was told that a key was evicted. By now it may have been made anew, so that nothing is said of its state. It
    /// was told in one of the ways that were in force at a command of the same sender, and so were others. [WATCH-7]
    /// [NOTIFY-5] [EVICTION-24]
    pub(crate) fn tell_of_eviction(&mut self, db: usize, key: &[u8], told: (ClientId, &Reply)) {
        self.witness(Clause::EVICTION_11);
        self.touch(db, key, Touched::Perhaps);
        // Others were told as early, before what the command sends.
        let manner = Manner { early: true, ..Manner::surely(Clause::NOTIFY_5) };
        let (client, reply) = told;
        let begun = self.delivery.due.len();
        let mut ways: Vec<Vec<Due>> = Vec::new();
        let tellings = self.eviction.tellings.clone();
        let count = tellings.len();
        for mut telling in tellings {
            let events = telling.events;
            self.exchange_subscriptions(&mut telling);
            self.notify_as(events, db, key, (b'e', "evicted"), manner);
            self.exchange_subscriptions(&mut telling);
            let way = self.delivery.due.split_off(begun);
            if way.iter().any(|due| due.client == client && due.admits(reply, self.profile.errors)) {
                ways.push(way);
            }
        }
        if (1..count).contains(&ways.len()) {
            self.witness(Clause::EVICTION_24);
        }
        self.delivery.due.extend(merged(&[], ways.iter().map(Vec::as_slice).collect()));
    }

    fn exchange_subscriptions(&mut self, telling: &mut Telling) {
        let sender = self.eviction.sender.and_then(|sender| self.clients.get_mut(&sender));
        if let Some(sender) = sender {
            std::mem::swap(&mut sender.channels, &mut telling.channels);
            std::mem::swap(&mut sender.patterns, &mut telling.patterns);
        }
    }

    /// Commands that need memory may be refused. [OOM-1]
    pub(crate) fn is_memory_limited(&self) -> bool {
        self.server.config.effects().memory_limit > 0
    }
}
