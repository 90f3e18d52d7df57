//! Makes the changes that a plan asks for.

use crate::clause::Clause;
use crate::client::ClientId;
use crate::commands::Command;
use crate::delivery::Manner;
use crate::keyspace::{Access, Entry, Fate, Slot};
use crate::model::Model;
use crate::plan::{Change, Expiry};
use crate::reply::{Bytes, Reply};
use crate::span::{Outcome, Span};
use crate::value::{Encoding, Value};

impl Model {
    pub(crate) fn apply(&mut self, client: ClientId, change: Change, outcome: &Outcome<'_>, span: Span) {
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
                if one != other {
                    self.make_ready_after_swap(one, other, span);
                }
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
            Change::Block(blocked) => self.block(client, blocked),
            Change::Unblock { client, with_error } => self.unblock_by_command(client, with_error),
            Change::Publish { channel, message } => {
                self.publish(&channel, &message, Manner::surely(Clause::PUBLISH_1));
            }
            Change::Server(change) => self.server.apply(change),
            Change::Reload => {
                self.reload(span);
                self.make_ready_after_reload(span);
            }
            Change::Observe(observation) => self.observe(client, observation, outcome, span),
        }
    }

    pub(crate) fn put(&mut self, db: usize, key: Bytes, value: Value, expiry: Expiry, span: Span) {
        /// A new key's access counter.
        const FIRST_FREQUENCY: u8 = 5;
        let counts_frequency = self.server.counts_frequency();
        // What lies past its deadline is no key any more: this is a new one.
        if self.keyspace.slot(db, &key).is_some_and(|slot| slot.fate(span) == Fate::Gone) {
            self.expire(db, &key, false);
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
            // What is replaced, if it is there, leaves its counter.
            true if self.keyspace.slot(db, &key).is_some() => Access { last: Access::UNKNOWN, most_frequent: u8::MAX },
            true => Access { last: Access::UNKNOWN, most_frequent: FIRST_FREQUENCY },
            false => Access { last: span, most_frequent: u8::MAX },
        };
        let born = self.keyspace.next_born;
        self.keyspace.next_born += 1;
        let db = self.keyspace.databases.entry(db).or_default();
        db.keys.insert(key, Slot::Known(Entry { value, deadline, access, born }).into());
    }

    /// The command's keys were used now; if it failed, perhaps.
    pub(crate) fn use_keys(
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
            "rpoplpush" | "brpoplpush" => outcome.replies == [Reply::NilBulk],
            // Keys behind the one that was popped from are not looked at, so that only this one counts as used.
            "blpop" | "brpop" | "bzpopmin" | "bzpopmax" => true,
            // A missing source ends the look-ups, and a count of 0 comes before them.
            "sinter" | "zpopmin" | "zpopmax" => outcome.replies == [Reply::Array(Vec::new())],
            "sinterstore" => outcome.replies == [Reply::Integer(0)],
            _ => false,
        };
        // Where replies are switched off nobody knows.
        let failed = stopped || matches!(outcome.replies, [] | [Reply::Error(_)]);
        let counts_frequency = self.server.counts_frequency();
        for position in spec.used_keys(command) {
            for entry in self.keyspace.entries_mut(db, command[position]) {
                entry.access.used(span, failed, counts_frequency);
            }
        }
    }
}

impl Change {
    /// The keys it is about.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (usize, &Bytes)> {
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
            | Self::Block(_)
            | Self::Unblock { .. }
            | Self::Publish { .. }
            | Self::Server(_)
            | Self::Reload
            | Self::Observe(_) => (None, None),
        };
        one.into_iter().chain(other)
    }
}
